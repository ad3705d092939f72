//! Rules about several VMs, as numbers: how many VMs of each rule are in each domain, and to which hosts no further one may go.
//!
//! Property: for each relation and domain the count is that of the relation's VMs in the domain, each once. Those that hold
//! continuously count a VM wherever it counts; those that hold at the end count it where it will be.
//!
//! Method: only domains that have had a VM of the relation have a count. A relation marks its hosts as a set of bits (the ones that
//! are full, or the ones where companions are), which changes only when a count passes its limit.
//!
//! Complexity: a question costs a bit for each relation of the VM; a VM that comes or goes costs a search among the relation's
//! domains for each of them.

use ulm_model::{HostIx, Level, RuleKind, Rulebook, Snapshot, VmIx};

use super::Blocker;
use crate::domains::{Domains, OUTSIDE};
use crate::index::{Index, Lists};
use crate::{HostSet, apart, together};

/// All relations of a state.
#[derive(Debug, Default)]
pub(super) struct Relations {
    list: Vec<Relation>,
    of_vm: Lists,
    levels: Vec<Domains>,
}

/// A rule about several VMs.
#[derive(Debug)]
pub(super) struct Relation {
    /// Its rule.
    pub rule: u32,
    /// Whether it is a wish.
    pub soft: bool,
    asked: Asked,
    /// What it has against a VM.
    against: Blocker,
    level: u32,
    /// By domain, ascending.
    counts: Vec<Count>,
    /// All VMs that are counted.
    all: u32,
    /// Of [`Asked::AtMost`] the hosts of full domains, of [`Asked::Near`] those of domains where a VM will be.
    marked: HostSet,
}

/// What a relation asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// At most so many in one domain.
    AtMost(u32),
    /// All in one.
    Near,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    domain: u32,
    vms: u32,
    /// As many as in the snapshot.
    before: u32,
}

impl Relations {
    /// The relations of all rules, without any VM counted yet.
    pub fn new(snapshot: &Snapshot, rulebook: &Rulebook, index: &Index) -> Self {
        let mut relations = Relations::default();
        let mut of_rule = vec![None; rulebook.rules.len()];
        let mut of_all_vms = Vec::new();
        // Levels of labels and of single hosts are the same for all rules.
        let mut known: Vec<(&Level, u32)> = Vec::new();
        let hosts = &snapshot.hosts;
        for (number, rule) in (0u32..).zip(&rulebook.rules) {
            let (asked, against, level) = match &rule.kind {
                RuleKind::Together { level } => (Asked::Near, Blocker::NotTogether, Some(level)),
                RuleKind::Apart { level, at_most } => (Asked::AtMost(*at_most), Blocker::TooClose, Some(level)),
                RuleKind::MaxVms { at_most } => (Asked::AtMost(*at_most), Blocker::HostFull, None),
                _ => continue,
            };
            let next = relations.levels.len() as u32;
            let level = match level {
                Some(level) => match known.iter().find(|(one, _)| *one == level) {
                    Some((_, there)) => *there,
                    None => {
                        known.push((level, next));
                        relations.levels.push(Domains::new(hosts, level, |_| true));
                        next
                    }
                },
                None => {
                    let concerned = |host| index.selects_host(number, host);
                    relations.levels.push(Domains::new(hosts, &Level::Host, concerned));
                    next
                }
            };
            let here = relations.list.len() as u32;
            of_rule[number as usize] = Some(here);
            if matches!(rule.kind, RuleKind::MaxVms { .. }) && rule.vms.is_empty() {
                of_all_vms.push(here);
            }
            let mut marked = HostSet::none(hosts.len());
            if asked == Asked::AtMost(0) {
                relations.levels[level as usize].all().iter().for_each(|host| marked.insert(*host));
            }
            // Only wishes of these kinds exist; a number of VMs on a host is never one.
            let soft = rule.soft && !matches!(rule.kind, RuleKind::MaxVms { .. });
            let counts = Vec::new();
            relations.list.push(Relation { rule: number, soft, asked, against, level, counts, all: 0, marked });
        }
        for (vm, _) in snapshot.vms_ix() {
            let own = index.of_vm(vm).iter().filter_map(|rule| of_rule[*rule as usize]);
            relations.of_vm.push(of_all_vms.iter().copied().chain(own));
        }
        relations
    }

    /// From now on what is counted is what was there before.
    pub fn remember(&mut self) {
        for count in self.list.iter_mut().flat_map(|relation| &mut relation.counts) {
            count.before = count.vms;
        }
    }

    /// Counts the VM on one host more than on those where it is counted.
    pub fn add(&mut self, vm: VmIx, host: HostIx, places: &[HostIx]) {
        for number in self.of_vm.of(vm.at()) {
            let relation = &mut self.list[*number as usize];
            let level = &self.levels[relation.level as usize];
            let domain = level.of(host);
            match relation.asked {
                Asked::AtMost(_) if places.iter().any(|place| level.of(*place) == domain) => {}
                Asked::AtMost(_) => relation.count(level, domain, true),
                Asked::Near => {
                    if let Some(last) = places.last() {
                        relation.count(level, level.of(*last), false);
                    }
                    relation.count(level, domain, true);
                }
            }
        }
    }

    /// Counts the VM on one host less. `places` are those that are left, and on `last` it would have been.
    pub fn remove(&mut self, vm: VmIx, host: HostIx, last: HostIx, places: &[HostIx]) {
        for number in self.of_vm.of(vm.at()) {
            let relation = &mut self.list[*number as usize];
            let level = &self.levels[relation.level as usize];
            let domain = level.of(host);
            match relation.asked {
                Asked::AtMost(_) if places.iter().any(|place| level.of(*place) == domain) => {}
                Asked::AtMost(_) => relation.count(level, domain, false),
                Asked::Near => {
                    relation.count(level, level.of(last), false);
                    if let Some(last) = places.last() {
                        relation.count(level, level.of(*last), true);
                    }
                }
            }
        }
    }

    /// The relations of the VM.
    pub fn of(&self, vm: VmIx) -> impl Iterator<Item = &Relation> {
        self.of_vm.of(vm.at()).iter().map(|number| &self.list[*number as usize])
    }

    /// What the relation has against the VM, which counts at these places, on the host.
    pub fn blocker(&self, relation: &Relation, places: &[HostIx], to: HostIx) -> Option<Blocker> {
        let level = &self.levels[relation.level as usize];
        match relation.asked {
            Asked::AtMost(_) => {
                let there = || places.iter().any(|place| level.of(*place) == level.of(to));
                (relation.marked.contains(to) && !there()).then_some(relation.against)
            }
            Asked::Near => {
                let here = places.last().map_or(0, |last| relation.vms(level.of(*last)));
                let there = u32::from(relation.marked.contains(to));
                (!together::fits(here, there)).then_some(relation.against)
            }
        }
    }

    /// The hosts of `hosts` that the relation keeps the VM from, with what it has against them.
    pub fn shut(&self, relation: &Relation, places: &[HostIx], hosts: &HostSet) -> Option<(Blocker, HostSet)> {
        let level = &self.levels[relation.level as usize];
        match relation.asked {
            Asked::AtMost(_) => {
                let mut shut = hosts.clone();
                shut.intersect(&relation.marked);
                for host in places.iter().flat_map(|place| level.hosts(level.of(*place))) {
                    shut.remove(*host);
                }
                Some((relation.against, shut))
            }
            Asked::Near => {
                let here = places.last().map_or(0, |last| relation.vms(level.of(*last)));
                if together::fits(here, 0) {
                    return None;
                }
                let mut shut = hosts.clone();
                shut.subtract(&relation.marked);
                Some((relation.against, shut))
            }
        }
    }

    /// VMs of the relation in the host's domain, without the given one.
    pub fn others(&self, relation: &Relation, places: &[HostIx], host: HostIx) -> u32 {
        let level = &self.levels[relation.level as usize];
        let domain = level.of(host);
        let itself = match relation.asked {
            Asked::AtMost(_) => places.iter().any(|place| level.of(*place) == domain),
            Asked::Near => places.last().is_some_and(|last| level.of(*last) == domain),
        };
        relation.vms(domain).saturating_sub(u32::from(itself))
    }

    /// Whether the VM on the host would add to what breaks the relation, whatever was before.
    pub fn breaks(&self, relation: &Relation, places: &[HostIx], host: HostIx) -> bool {
        let others = self.others(relation, places, host);
        match relation.asked {
            Asked::AtMost(at_most) => !apart::fits(others, 0, at_most),
            Asked::Near => others == 0 && relation.all > u32::from(!places.is_empty()),
        }
    }
}

impl Relation {
    fn vms(&self, domain: u32) -> u32 {
        let at = self.counts.binary_search_by_key(&domain, |count| count.domain);
        at.map_or(0, |at| self.counts[at].vms)
    }

    /// One VM more or less in the domain.
    fn count(&mut self, level: &Domains, domain: u32, more: bool) {
        if domain == OUTSIDE {
            return;
        }
        let at = self.counts.binary_search_by_key(&domain, |count| count.domain).unwrap_or_else(|at| {
            self.counts.insert(at, Count { domain, vms: 0, before: 0 });
            at
        });
        let count = &mut self.counts[at];
        let marked_before = self.asked.marks(count);
        if more {
            count.vms += 1;
            self.all += 1;
        } else {
            count.vms = count.vms.saturating_sub(1);
            self.all = self.all.saturating_sub(1);
        }
        let marked = self.asked.marks(count);
        if marked != marked_before {
            for host in level.hosts(domain) {
                if marked { self.marked.insert(*host) } else { self.marked.remove(*host) }
            }
        }
    }
}

impl Asked {
    /// Whether the domain's hosts are marked; see [`Relation::marked`].
    fn marks(self, count: &Count) -> bool {
        match self {
            Asked::AtMost(at_most) => !apart::fits(count.vms, count.before, at_most),
            Asked::Near => count.vms > 0,
        }
    }
}
