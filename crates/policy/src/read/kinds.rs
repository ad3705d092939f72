//! How a rule or a goal is read: its kind says which keys it has, and whom it is about.

use ulm_model::{Calendar, HostSelector, VmSelector};

use super::keys::{Kind, Kinds, Need};
use super::names::{meant, nearest};
use super::section::Section;
use super::selection::{Groups, Selection};
use crate::problem::Found;

/// Builds what a kind asks for; what does not fit together is told.
pub(crate) type Build<D, B> = fn(&D, &mut Ground<'_, '_>) -> B;

/// What kinds are built on.
pub(crate) struct Ground<'g, 't> {
    pub section: &'g Section<'t>,
    pub calendars: &'g [Calendar],
    pub problems: &'g mut Vec<Found>,
}

/// What every draft has.
pub(super) trait Draft: Default {
    fn name(&self) -> Option<&str>;
    fn kind(&self) -> Option<&str>;
    fn selection(&self) -> &Selection;
    /// The calendar by which it is on.
    fn when(&self) -> Option<&str> {
        None
    }
}

/// A rule or goal as it was read.
pub(super) struct Drafted<D, B> {
    pub draft: D,
    pub name: String,
    pub kind: B,
    pub vms: VmSelector,
    pub hosts: HostSelector,
    pub when: Option<Calendar>,
}

impl Ground<'_, '_> {
    /// Tells that the value of a key cannot be.
    pub fn refuse(&mut self, key: &str, message: impl Into<String>, label: &str, help: &str) {
        self.problems.push(Found::new(self.section.place_of(key), message, label).help(help));
    }

    /// The calendar of this name.
    pub fn calendar(&mut self, key: &str, name: &str) -> Calendar {
        let found = self.calendars.iter().find(|calendar| calendar.name == name);
        if found.is_none() {
            let known: Vec<&str> = self.calendars.iter().map(|calendar| calendar.name.as_str()).collect();
            let message = format!("there is no calendar `{name}`");
            let help = meant(name, &known, "calendars, each a [[calendar]] with a name and spans");
            self.problems.push(Found::new(self.section.place_of(key), message, "unknown").help(help));
        }
        found.cloned().unwrap_or_default()
    }
}

/// Reads one rule or goal. `None` if there is anything wrong with it, which is told.
pub(super) fn read<D: Draft, B>(
    kinds: &Kinds<D, B>,
    section: &Section<'_>,
    groups: &Groups<'_>,
    calendars: &[Calendar],
    problems: &mut Vec<Found>,
) -> Option<Drafted<D, B>> {
    let before = problems.len();
    let mut draft = D::default();
    for key in kinds.common {
        if let Some((_, item)) = section.keys().find(|(name, _)| *name == key.name) {
            section.set(key, item, &mut draft, problems);
        } else if key.must {
            problems.push(section.missing(key.name, key.says));
        }
    }
    let kind = kind(kinds, draft.kind(), section, problems);
    keys(kinds, kind, section, &mut draft, problems);
    for key in kind.iter().flat_map(|kind| kind.keys).filter(|key| key.must && !section.has(key.name)) {
        let kind = draft.kind().unwrap_or_default();
        let message = format!("a {} of kind `{kind}` needs `{}`", kinds.one, key.name);
        let found = Found::new(section.place_of("kind"), message, "of this kind");
        problems.push(found.help(format!("`{}`: {}", key.name, key.says)));
    }
    // What fits together is asked only when every single value could be read.
    let readable = problems.len() == before;
    let vms = groups.vms(section, draft.selection(), problems);
    let hosts = groups.hosts(section, draft.selection(), problems);
    let when = draft.when().map(|name| Ground { section, calendars, problems }.calendar("when", name));
    let kind = kind.filter(|_| readable)?;
    whom(kinds.one, kind, section, draft.selection(), problems);
    let built = (kind.build)(&draft, &mut Ground { section, calendars, problems });
    let name = draft.name().unwrap_or_default().to_owned();
    (problems.len() == before).then_some(Drafted { draft, name, kind: built, vms, hosts, when })
}

fn kind<'k, D, B>(
    kinds: &Kinds<D, B>,
    word: Option<&str>,
    section: &Section<'_>,
    problems: &mut Vec<Found>,
) -> Option<&'k Kind<D, B>>
where
    Kinds<D, B>: 'k,
{
    let word = word?;
    let found = kinds.kinds.iter().find(|kind| kind.name == word);
    if found.is_none() {
        let names: Vec<&str> = kinds.kinds.iter().map(|kind| kind.name).collect();
        let message = format!("there is no kind of {} `{word}`: it is one of {}", kinds.one, names.join(", "));
        let found = Found::new(section.place_of("kind"), message, "unknown kind");
        problems.push(match nearest(word, &names) {
            Some(near) => found.help(format!("did you mean `{near}`?")),
            None => found,
        });
    }
    found
}

/// Reads the keys of the kind and the selectors; tells those that are unknown, or belong to another kind.
fn keys<D, B>(
    kinds: &Kinds<D, B>,
    kind: Option<&Kind<D, B>>,
    section: &Section<'_>,
    draft: &mut D,
    problems: &mut Vec<Found>,
) {
    let selectors = || {
        let open = |need: Option<Need>| need != Some(Need::No);
        let vms = kinds.vm_keys.iter().filter(move |_| open(kind.map(|kind| kind.vms)));
        vms.chain(kinds.host_keys.iter().filter(move |_| open(kind.map(|kind| kind.hosts))))
    };
    let own = || kind.iter().flat_map(|kind| kind.keys);
    for (name, item) in section.keys() {
        if kinds.common.iter().any(|key| key.name == name) {
            continue;
        }
        if let Some(key) = own().chain(selectors()).find(|key| key.name == name) {
            section.set(key, item, draft, problems);
            continue;
        }
        let having = kinds.kinds.iter().filter(|kind| kind.keys.iter().any(|key| key.name == name));
        let having: Vec<&str> = having.map(|kind| kind.name).collect();
        let selects = kinds.vm_keys.iter().chain(kinds.host_keys).any(|key| key.name == name);
        match kind {
            Some(kind) if selects || !having.is_empty() => {
                let message = format!("`{name}` means nothing in a {} of kind `{}`", kinds.one, kind.name);
                let found = Found::new(section.place_of_name(name), message, "not in this kind");
                problems.push(found.help(match selects {
                    true => kind.whom.to_owned(),
                    false => format!("`{name}` belongs to the kind(s) {}", having.join(", ")),
                }));
            }
            // Of a kind that is not known: nobody can tell how it should look.
            None if !having.is_empty() => {}
            _ => {
                let all = kinds.kinds.iter().filter(|_| kind.is_none()).flat_map(|kind| kind.keys);
                let keys = kinds.common.iter().chain(own()).chain(all).chain(selectors());
                let known: Vec<&str> = keys.map(|key| key.name).collect();
                problems.push(section.unknown(name, &known));
            }
        }
    }
}

/// Tells if a rule does not say whom it is about.
fn whom<D, B>(one: &str, kind: &Kind<D, B>, section: &Section<'_>, selection: &Selection, problems: &mut Vec<Found>) {
    let (by_vm, by_host) = (selection.by_vm(), selection.by_host());
    let either = kind.vms == Need::OneOfBoth;
    let right = match either {
        true => by_vm != by_host,
        false => (kind.vms != Need::Must || by_vm) && (kind.hosts != Need::Must || by_host),
    };
    if !right {
        let message = format!("this {one} does not say whom it is about");
        problems.push(Found::new(section.place_of("kind"), message, "of this kind").help(kind.whom));
    }
}
