//! Which rules select which VM and which host, found once for all of them.
//!
//! Property: a rule is in the list of a VM or host if and only if its selector means it, see [`crate::select`].
//!
//! Method: patterns without `*` and `?` are found by hash; of the others those are tried whose beginning, up to the first of these
//! signs, and whose end, from the last on, are those of the text. Each different tag is looked up once, however many VMs have it.
//!
//! Complexity: linear in names and tags and in what is found, and the names times the patterns with `*` or `?`, of which most
//! take a comparison of a few bytes.

use std::collections::{BTreeSet, HashMap};

use ulm_model::{HostIx, Rule, RuleKind, SharingGroup, Snapshot, VmId, VmIx};

use crate::pattern::matches;
use crate::select::{ID_LENGTH, id_text};

/// The rules of each VM and host, as their places in the rulebook.
#[derive(Debug)]
pub struct Index {
    vms: Lists,
    hosts: Lists,
}

/// One list of small numbers for each thing, end to end in one place.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    ends: Vec<u32>,
    items: Vec<u32>,
}

impl Index {
    /// Matches every rule with every VM and host.
    pub fn new(snapshot: &Snapshot, rules: &[Rule]) -> Self {
        let about_vms = |rule: &Rule| {
            !matches!(
                rule.kind,
                RuleKind::Maintenance | RuleKind::Capacity { .. } | RuleKind::Headroom { .. } | RuleKind::Spare
            )
        };
        let about_hosts = |rule: &Rule| {
            !matches!(
                rule.kind,
                RuleKind::Together { .. }
                    | RuleKind::Apart { .. }
                    | RuleKind::OneWay { .. }
                    | RuleKind::Budget { .. }
                    | RuleKind::Priority { .. }
            )
        };
        let (mut vms, mut hosts) = (Matcher::default(), Matcher::default());
        for (i, rule) in rules.iter().enumerate() {
            vms.add(i as u32, about_vms(rule), &rule.vms.name, &rule.vms.tag);
            hosts.add(i as u32, about_hosts(rule), &rule.hosts.name, &rule.hosts.tag);
        }
        Index {
            vms: vms.lists(snapshot.vms.iter().map(|vm| (vm.name.as_str(), Some(vm.id), &vm.tags))),
            hosts: hosts.lists(snapshot.hosts.iter().map(|host| (host.name.0.as_str(), None, &host.tags))),
        }
    }
    /// The rules whose selector means the VM, ascending.
    pub fn of_vm(&self, vm: VmIx) -> &[u32] {
        self.vms.of(vm.at())
    }
    /// The rules whose selector means the host, ascending.
    pub fn of_host(&self, host: HostIx) -> &[u32] {
        self.hosts.of(host.at())
    }
    /// Whether the rule's selector means the host.
    pub fn selects_host(&self, rule: u32, host: HostIx) -> bool {
        self.of_host(host).binary_search(&rule).is_ok()
    }
}

/// For each VM of the snapshot the first of the groups that selects it.
pub fn sharing_groups(snapshot: &Snapshot, groups: &[SharingGroup]) -> Vec<Option<usize>> {
    let mut matcher = Matcher::default();
    for (i, group) in groups.iter().enumerate() {
        matcher.add(i as u32, true, &group.vms.name, &group.vms.tag);
    }
    let lists = matcher.lists(snapshot.vms.iter().map(|vm| (vm.name.as_str(), Some(vm.id), &vm.tags)));
    (0..snapshot.vms.len()).map(|vm| lists.of(vm).first().map(|group| *group as usize)).collect()
}

impl Lists {
    /// The list of one thing.
    pub(crate) fn of(&self, at: usize) -> &[u32] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.items[start as usize..self.ends[at] as usize]
    }
    /// Adds the list of the next thing.
    pub(crate) fn push(&mut self, items: impl IntoIterator<Item = u32>) {
        self.items.extend(items);
        self.ends.push(self.items.len() as u32);
    }
}

/// Which parts of a selector are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parts {
    None,
    Name,
    Tag,
    Both,
}

/// All selectors of one sort.
#[derive(Default)]
struct Matcher<'s> {
    names: Patterns<'s>,
    tags: Patterns<'s>,
    parts: Vec<Parts>,
}

#[derive(Default)]
struct Patterns<'s> {
    exact: HashMap<&'s str, Vec<u32>>,
    wild: Vec<Wild<'s>>,
}

/// A pattern with `*` or `?`.
struct Wild<'s> {
    pattern: &'s str,
    /// What comes before the first of these signs, and after the last.
    begins: &'s str,
    ends: &'s str,
    /// Whether it can fit an id: it has no other characters than ids have.
    fits_ids: bool,
    rule: u32,
}

impl<'s> Matcher<'s> {
    fn add(&mut self, rule: u32, counts: bool, names: &'s [String], tags: &'s [String]) {
        self.parts.push(match (names.is_empty(), tags.is_empty()) {
            _ if !counts => Parts::None,
            (true, true) => Parts::None,
            (false, true) => Parts::Name,
            (true, false) => Parts::Tag,
            (false, false) => Parts::Both,
        });
        if counts {
            names.iter().for_each(|pattern| self.names.add(pattern, rule));
            tags.iter().for_each(|pattern| self.tags.add(pattern, rule));
        }
    }

    fn lists<'t>(&self, things: impl Iterator<Item = (&'t str, Option<VmId>, &'t BTreeSet<String>)>) -> Lists {
        let mut lists = Lists::default();
        let mut of_tag: HashMap<&str, Vec<u32>> = HashMap::new();
        let (mut by_name, mut by_tag, mut found) = (Vec::new(), Vec::new(), Vec::new());
        for (name, id, tags) in things {
            by_name.clear();
            by_tag.clear();
            found.clear();
            self.names.find(name, &mut by_name);
            if let Some(id) = id {
                self.names.find_id(id, &mut by_name);
            }
            if !self.tags.is_empty() {
                for tag in tags {
                    by_tag.extend_from_slice(of_tag.entry(tag).or_insert_with(|| self.tags.found(tag)));
                }
            }
            by_name.sort_unstable();
            by_name.dedup();
            let part = |rule: &u32| self.parts[*rule as usize];
            found.extend(by_name.iter().copied().filter(|rule| part(rule) == Parts::Name));
            found.extend(by_tag.iter().copied().filter(|rule| match part(rule) {
                Parts::Tag => true,
                Parts::Both => by_name.binary_search(rule).is_ok(),
                Parts::None | Parts::Name => false,
            }));
            found.sort_unstable();
            found.dedup();
            lists.push(found.iter().copied());
        }
        lists
    }
}

impl<'s> Patterns<'s> {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wild.is_empty()
    }
    fn add(&mut self, pattern: &'s str, rule: u32) {
        match pattern.find(['*', '?']) {
            None => self.exact.entry(pattern).or_default().push(rule),
            Some(at) => {
                let fits_ids = pattern.chars().all(|c| matches!(c, '*' | '?' | '-' | '0'..='9' | 'a'..='f'));
                let ends = pattern.rfind(['*', '?']).map_or("", |last| &pattern[last + 1..]);
                self.wild.push(Wild { pattern, begins: &pattern[..at], ends, fits_ids, rule });
            }
        }
    }
    fn found(&self, text: &str) -> Vec<u32> {
        let mut found = Vec::new();
        self.find(text, &mut found);
        found
    }
    fn find(&self, text: &str, found: &mut Vec<u32>) {
        if !self.exact.is_empty() {
            found.extend(self.exact.get(text).into_iter().flatten());
        }
        self.find_wild(self.wild.iter(), text, found);
    }
    fn find_id(&self, id: VmId, found: &mut Vec<u32>) {
        if self.is_empty() {
            return;
        }
        let mut place = [0; ID_LENGTH];
        let text = id_text(id, &mut place);
        found.extend(self.exact.get(text).into_iter().flatten());
        self.find_wild(self.wild.iter().filter(|wild| wild.fits_ids), text, found);
    }
    fn find_wild<'w>(&self, wild: impl Iterator<Item = &'w Wild<'s>>, text: &str, found: &mut Vec<u32>)
    where
        's: 'w,
    {
        let fits = |wild: &&Wild<'_>| {
            text.starts_with(wild.begins) && text.ends_with(wild.ends) && matches(wild.pattern, text)
        };
        found.extend(wild.filter(fits).map(|wild| wild.rule));
    }
}
