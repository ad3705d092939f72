//! From TOML to [`Policy`]: every key is named once here; what is not named is unknown.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use ulm_model::{HostSelector, Rule, RuleKind, Share, VmSelector};

use crate::Policy;
use crate::problem::Found;
use crate::values::{self, Reader};

/// Reads the whole file, or tells everything that is wrong with it.
pub(crate) fn policy(text: &str) -> Result<Policy, Vec<Found>> {
    let document = DeTable::parse(text).map_err(|error| vec![not_toml(text, &error)])?;
    let mut problems = Vec::new();
    let mut policy = Policy::default();
    let end = text.len()..text.len();

    let mut file = Section::new(Some(document.get_ref()), end.clone(), "the file");
    let mut observe = file.section("observe", &mut problems);
    observe.read("interval", values::span, &mut policy.observe.interval, &mut problems);
    observe.read("deadline", values::span, &mut policy.observe.deadline, &mut problems);
    observe.read("stale_after", values::span, &mut policy.observe.stale_after, &mut problems);
    let mut hotspot = file.section("hotspot", &mut problems);
    hotspot.read("enabled", values::yes_or_no, &mut policy.hotspot.enabled, &mut problems);
    hotspot.read("cpu", values::share, &mut policy.hotspot.cpu, &mut problems);
    hotspot.read("memory", values::share, &mut policy.hotspot.memory, &mut problems);
    hotspot.read("above", values::count, &mut policy.hotspot.above, &mut problems);
    hotspot.read("of", values::count, &mut policy.hotspot.of, &mut problems);
    hotspot.read("margin", values::share, &mut policy.hotspot.margin, &mut problems);
    hotspot.read("cool_down", values::span, &mut policy.hotspot.cool_down, &mut problems);
    hotspot.read("minimum_residence", values::span, &mut policy.hotspot.minimum_residence, &mut problems);
    hotspot.read("no_return", values::span, &mut policy.hotspot.no_return, &mut problems);
    hotspot.read("settle", values::span, &mut policy.hotspot.settle, &mut problems);
    let mut limits = file.section("limits", &mut problems);
    limits.read("moves", values::count, &mut policy.limits.moves, &mut problems);
    limits.read("moves_per_host", values::count, &mut policy.limits.moves_per_host, &mut problems);
    limits.read("deadline", values::span, &mut policy.limits.deadline, &mut problems);
    limits.read("bandwidth", values::rate, &mut policy.limits.bandwidth, &mut problems);
    limits.read("back_off", values::span, &mut policy.limits.back_off, &mut problems);
    limits.read("max_failures", values::count, &mut policy.limits.max_failures, &mut problems);
    let mut capacity = file.section("capacity", &mut problems);
    capacity.read("memory_overcommit", values::share, &mut policy.capacity.memory_overcommit, &mut problems);
    capacity.read("memory_reserve", values::size, &mut policy.capacity.memory_reserve, &mut problems);
    capacity.read("cpu_overcommit", values::share, &mut policy.capacity.cpu_overcommit, &mut problems);
    let mut everywhere = file.section("everywhere", &mut problems);
    everywhere.read("paths", values::paths, &mut policy.everywhere.paths, &mut problems);
    everywhere.read("networks", values::networks, &mut policy.everywhere.networks, &mut problems);
    policy.rules = rules(&mut file, &mut problems);

    // What fits together is asked only when every single value could be read.
    if problems.is_empty() {
        sense(&policy, [&observe, &hotspot, &limits, &capacity], &mut problems);
    }
    for section in [file, observe, hotspot, limits, capacity, everywhere] {
        section.unknown_keys(&mut problems);
    }
    if problems.is_empty() { Ok(policy) } else { Err(problems) }
}

/// What must hold between values.
fn sense(policy: &Policy, [observe, hotspot, limits, capacity]: [&Section<'_, '_>; 4], problems: &mut Vec<Found>) {
    let mut must = |holds: bool, section: &Section<'_, '_>, key: &str, label: &str, help: &str| {
        if !holds {
            let message = format!("`{key}` in [{}] cannot be so", section.name);
            problems.push(Found { span: section.place_of(key), message, label: label.into(), help: Some(help.into()) });
        }
    };
    let (o, h, l, c) = (&policy.observe, &policy.hotspot, &policy.limits, &policy.capacity);
    must(!o.interval.is_zero(), observe, "interval", "no time at all", "hosts are asked every 15 s by default");
    must(!o.deadline.is_zero(), observe, "deadline", "no time at all", "a host has 5 s to answer by default");
    must(
        o.stale_after >= o.interval,
        observe,
        "stale_after",
        "shorter than `interval`",
        "every figure would be stale before the next one comes: nothing would ever move",
    );
    for (key, threshold) in [("cpu", h.cpu), ("memory", h.memory)] {
        must(threshold <= Share::WHOLE, hotspot, key, "more than 100 %", "no host could ever be above it");
        must(
            threshold > h.margin,
            hotspot,
            key,
            "not above `margin`",
            "a target must stay below the threshold less the margin: no host could ever be one",
        );
    }
    must(h.of > 0, hotspot, "of", "none at all", "16 samples are looked at by default");
    must(h.above > 0, hotspot, "above", "none at all", "every host would be overworked at every moment");
    must(
        h.above <= h.of,
        hotspot,
        "above",
        "more than `of`",
        "a host can be above its threshold in no more samples than are looked at",
    );
    must(
        h.no_return <= Duration::from_secs(7 * 86_400),
        hotspot,
        "no_return",
        "longer than a week",
        "what happened longer ago is not looked at: 7d is the most",
    );
    must(l.moves > 0, limits, "moves", "none at all", "`ulm disable` switches acting off");
    must(l.moves_per_host > 0, limits, "moves_per_host", "none at all", "`ulm disable` switches acting off");
    must(!l.deadline.is_zero(), limits, "deadline", "no time at all", "a move has 30 min by default");
    must(
        c.memory_overcommit > Share::ZERO,
        capacity,
        "memory_overcommit",
        "nothing",
        "100 % promises no more than there is",
    );
    must(
        c.cpu_overcommit > Share::ZERO,
        capacity,
        "cpu_overcommit",
        "nothing",
        "400 % promises four vCPUs for each CPU",
    );
}

fn rules<'t, 'i>(file: &mut Section<'t, 'i>, problems: &mut Vec<Found>) -> Vec<Rule> {
    let Some((place, value)) = file.take("rule") else { return Vec::new() };
    let Some(list) = value.as_array() else {
        problems.push(Found {
            span: place,
            message: "rules are written as [[rule]], with two brackets".into(),
            label: format!("this is {}", values::named(value)),
            help: None,
        });
        return Vec::new();
    };
    let mut rules: Vec<Rule> = Vec::new();
    for item in list.iter() {
        let Some(table) = item.get_ref().as_table() else {
            let label = format!("this is {}", values::named(item.get_ref()));
            problems.push(Found { span: item.span(), message: "a rule is a table".into(), label, help: None });
            continue;
        };
        let before = problems.len();
        let rule = rule(table, item.span(), problems);
        if problems.len() > before {
            continue;
        }
        if rules.iter().any(|other| other.name == rule.name) {
            problems.push(Found {
                span: Section::new(Some(table), item.span(), "rule").place_of("name"),
                message: format!("there are two rules named `{}`", rule.name),
                label: "this name is taken".into(),
                help: Some("reasons name the rule that speaks, so each needs a name of its own".into()),
            });
        }
        rules.push(rule);
    }
    rules
}

const KINDS: [(&str, RuleKind); 4] = [
    ("exclude", RuleKind::Exclude),
    ("pin", RuleKind::Pin),
    ("keep_off", RuleKind::KeepOff),
    ("maintenance", RuleKind::Maintenance),
];

fn rule(table: &DeTable<'_>, span: Range<usize>, problems: &mut Vec<Found>) -> Rule {
    let mut section = Section::new(Some(table), span, "rule");
    let mut name = None;
    let mut kind_word = None;
    let (mut vms, mut hosts) = (VmSelector::default(), HostSelector::default());
    section.read("name", |value| values::words(value).map(Some), &mut name, problems);
    section.read("kind", |value| values::words(value).map(Some), &mut kind_word, problems);
    section.read("vm", values::words_or_list, &mut vms.name, problems);
    section.read("vm_tag", values::words_or_list, &mut vms.tag, problems);
    section.read("host", values::words_or_list, &mut hosts.name, problems);
    section.read("host_tag", values::words_or_list, &mut hosts.tag, problems);

    for (key, given) in [("name", name.is_some()), ("kind", kind_word.is_some())] {
        if !given && !section.has(key) {
            section.complain(key, format!("this rule has no `{key}`"), "of this rule", None, problems);
        }
    }
    let kind = kind_word.as_deref().and_then(|word| {
        let kind = KINDS.iter().find(|(name, _)| *name == word).map(|(_, kind)| kind.clone());
        if kind.is_none() {
            let names = KINDS.map(|(name, _)| name);
            let help = nearest(word, &names).map(|near| format!("did you mean `{near}`?"));
            let message = format!("there is no kind of rule `{word}`: it is one of {}", names.join(", "));
            section.complain("kind", message, "unknown kind", help, problems);
        }
        kind
    });
    if let Some(kind) = &kind {
        let (by_vm, by_host) = (!vms.is_empty(), !hosts.is_empty());
        let wrong = match kind {
            RuleKind::Exclude if by_vm == by_host => Some(
                "an exclusion is about VMs (`vm`, `vm_tag`) or about hosts (`host`, `host_tag`), not both; `keep_off` keeps VMs off hosts",
            ),
            RuleKind::Pin if !(by_vm && by_host) => {
                Some("a pin says which VMs (`vm`, `vm_tag`) stay on which hosts (`host`, `host_tag`)")
            }
            RuleKind::KeepOff if !(by_vm && by_host) => {
                Some("it says which VMs (`vm`, `vm_tag`) stay off which hosts (`host`, `host_tag`)")
            }
            RuleKind::Maintenance if by_vm || !by_host => Some("maintenance is about hosts alone (`host`, `host_tag`)"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            let message = "this rule does not say whom it is about".to_owned();
            section.complain("kind", message, "of this kind", Some(wrong.into()), problems);
        }
    }
    section.unknown_keys(problems);
    Rule { name: name.unwrap_or_default(), kind: kind.unwrap_or(RuleKind::Exclude), soft: false, vms, hosts }
}

/// One table of the file, and which of its keys were asked for.
struct Section<'t, 'i> {
    table: Option<&'t DeTable<'i>>,
    place: Range<usize>,
    name: &'static str,
    known: Vec<&'static str>,
}

impl<'t, 'i> Section<'t, 'i> {
    fn new(table: Option<&'t DeTable<'i>>, place: Range<usize>, name: &'static str) -> Self {
        Section { table, place, name, known: Vec::new() }
    }

    fn find(&self, key: &str) -> Option<(Range<usize>, &'t Spanned<DeValue<'i>>)> {
        let (name, value) = self.table?.iter().find(|(name, _)| name.get_ref() == key)?;
        Some((name.span(), value))
    }

    fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Where the key's value stands, or the table when the key is not there.
    fn place_of(&self, key: &str) -> Range<usize> {
        self.find(key).map_or(self.place.clone(), |(_, value)| value.span())
    }

    fn take(&mut self, key: &'static str) -> Option<(Range<usize>, &'t DeValue<'i>)> {
        self.known.push(key);
        self.find(key).map(|(place, value)| (place, value.get_ref()))
    }

    fn section(&mut self, key: &'static str, problems: &mut Vec<Found>) -> Section<'t, 'i> {
        let Some((place, value)) = self.take(key) else { return Section::new(None, self.place.clone(), key) };
        if value.as_table().is_none() {
            problems.push(Found {
                span: place.clone(),
                message: format!("`{key}` is a section, written as [{key}]"),
                label: format!("this is {}", values::named(value)),
                help: None,
            });
        }
        Section::new(value.as_table(), place, key)
    }

    fn read<T>(&mut self, key: &'static str, reader: Reader<T>, into: &mut T, problems: &mut Vec<Found>) {
        let Some((_, value)) = self.take(key) else { return };
        match reader(value) {
            Ok(read) => *into = read,
            Err(label) => {
                let message = format!("`{key}` in [{}] cannot be read", self.name);
                problems.push(Found { span: self.place_of(key), message, label, help: None });
            }
        }
    }

    fn complain(&self, key: &str, message: String, label: &str, help: Option<String>, problems: &mut Vec<Found>) {
        problems.push(Found { span: self.place_of(key), message, label: label.into(), help });
    }

    fn unknown_keys(self, problems: &mut Vec<Found>) {
        for (key, _) in self.table.into_iter().flat_map(|table| table.iter()) {
            if self.known.contains(&key.get_ref().as_ref()) {
                continue;
            }
            let near = nearest(key.get_ref(), &self.known);
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            let inside = if self.name == "the file" { String::new() } else { format!(" in [{}]", self.name) };
            problems.push(Found {
                span: key.span(),
                message: format!("`{}` is not known{inside}", key.get_ref()),
                label: "unknown".into(),
                help: Some(help),
            });
        }
    }
}

fn not_toml(text: &str, error: &toml::de::Error) -> Found {
    let message = error.message().lines().next().unwrap_or("this cannot be read").to_owned();
    Found {
        span: error.span().unwrap_or(text.len()..text.len()),
        message: "this is not TOML".into(),
        label: message,
        help: error.message().lines().nth(1).map(str::to_owned),
    }
}

/// The known word with the fewest changed letters, if it is near enough to be meant.
fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    let allowed = word.chars().count().div_ceil(3);
    known.iter().map(|near| (distance(word, near), *near)).filter(|(d, _)| *d <= allowed).min().map(|(_, near)| near)
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
