//! What a VM asks of hosts, as bits and numbers, and the quick answers.

use std::collections::BTreeSet;

use ulm_model::{Bytes, CpuNeed, HostIx, Needs, RuleKind, VmIx};

use super::loads::{Asks, small};
use super::{Blocker, State};
use crate::{HostSet, Initiative, arch, cells, cpu_model, keep_off, networks, numa, one_way, pin, storage};

/// What a VM asks of hosts, in numbers.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Which VM.
    pub vm: VmIx,
    /// Whose idea the move is.
    pub initiative: Initiative,
    /// The hosts that offer all that it needs and that no rule forbids, whatever their load and wherever other VMs are.
    pub allowed: HostSet,
    /// The sets whose intersection `allowed` is, with what is missing outside of each.
    parts: Vec<(Blocker, u32)>,
    home: HostIx,
    pub(super) asks: Asks,
    numa: Option<Numa>,
}

/// What a VM asks of a host's NUMA cells: so much of one of [`State::supplies`].
#[derive(Clone, Copy, Debug)]
struct Numa {
    blocker: Blocker,
    supply: u32,
    needed: i64,
}

/// Something that a VM can ask of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ask<'s> {
    Arch(&'s str),
    CpuAsked(&'s CpuNeed),
    CpuOffered(&'s CpuNeed),
    Network(&'s str),
    Storage(&'s str),
    Cells(&'s BTreeSet<u32>),
    Rule(u32),
    NotBefore { label: &'s str, value: i64 },
}

/// Memory in certain cells of each host: in pages of a size, or in ordinary ones.
pub(super) type Supply<'s> = (Option<Bytes>, &'s BTreeSet<u32>);

impl<'s> State<'s> {
    /// What the VM asks of hosts. Costs a set for each thing that no VM before has asked for.
    pub fn profile(&mut self, ix: VmIx, initiative: Initiative) -> Profile {
        let vm = self.snapshot.vm(ix);
        let mut parts = Vec::new();
        let mut asks_of_cells = None;
        if let Some(needs) = &vm.needs {
            parts.push((Blocker::Arch, self.set(Ask::Arch(&needs.arch))));
            parts.push((Blocker::CpuUnknown, self.set(Ask::CpuAsked(&needs.cpu))));
            parts.push((Blocker::CpuMissing, self.set(Ask::CpuOffered(&needs.cpu))));
            parts.extend(needs.networks.iter().map(|network| (Blocker::Network, self.set(Ask::Network(network)))));
            parts.extend(needs.storage.iter().map(|storage| (Blocker::Storage, self.set(Ask::Storage(storage)))));
            if numa::is_bound(needs) {
                parts.push((Blocker::Cells, self.set(Ask::Cells(&needs.cells))));
                let blocker = if needs.pages.is_some() { Blocker::Pages } else { Blocker::Cells };
                let needed = numa::takes(vm);
                asks_of_cells = Some(Numa { blocker, supply: self.supply(needs), needed: small(needed.0) });
            }
        }
        for at in 0..self.index.of_vm(ix).len() {
            let number = self.index.of_vm(ix)[at];
            let rule = &self.rulebook.rules[number as usize];
            match &rule.kind {
                RuleKind::Pin | RuleKind::KeepOff if !rule.soft => {
                    parts.push((Blocker::Pinned, self.set(Ask::Rule(number))));
                }
                RuleKind::OneWay { label } => {
                    if let Some(value) = one_way::value(self.snapshot.host(vm.host), label) {
                        parts.push((Blocker::WrongWay, self.set(Ask::NotBefore { label, value })));
                    }
                }
                _ => {}
            }
        }
        let mut allowed = HostSet::all(self.snapshot.hosts.len());
        for (_, set) in &parts {
            allowed.intersect(&self.sets[*set as usize]);
        }
        Profile { vm: ix, initiative, allowed, parts, home: vm.host, asks: Asks::new(vm), numa: asks_of_cells }
    }

    fn set(&mut self, ask: Ask<'s>) -> u32 {
        if let Some(known) = self.set_of.get(&ask) {
            return *known;
        }
        let hosts = &self.snapshot.hosts;
        let set = HostSet::of(hosts.len(), |ix| {
            let host = &hosts[ix.at()];
            match ask {
                Ask::Arch(name) => arch::offered(host, name),
                Ask::CpuAsked(need) => host.cpu_verdicts.contains_key(need),
                Ask::CpuOffered(need) => cpu_model::offered(host, need),
                Ask::Network(name) => networks::offered(host, name),
                Ask::Storage(name) => storage::offered(host, name),
                Ask::Cells(ids) => cells::offered(host, ids),
                Ask::Rule(number) => self.lets_be_on(number, ix),
                Ask::NotBefore { label, value } => one_way::allows(Some(value), one_way::value(host, label)),
            }
        });
        self.sets.push(set);
        let number = self.sets.len() as u32 - 1;
        self.set_of.insert(ask, number);
        number
    }

    fn supply(&mut self, needs: &'s Needs) -> u32 {
        let key: Supply<'s> = (needs.pages, &needs.cells);
        if let Some(known) = self.supply_of.get(&key) {
            return *known;
        }
        let free = self.snapshot.hosts.iter().map(|host| numa::free(host, &needs.cells, needs.pages));
        self.supplies.push(free.map(|free| small(free.0)).collect());
        let number = self.supplies.len() as u32 - 1;
        self.supply_of.insert(key, number);
        number
    }

    /// Whether a pin, or a rule that keeps off, lets its VMs be on the host.
    pub(super) fn lets_be_on(&self, number: u32, host: HostIx) -> bool {
        let selected = self.index.selects_host(number, host);
        match &self.rulebook.rules[number as usize].kind {
            RuleKind::Pin => pin::allows(selected),
            RuleKind::KeepOff => keep_off::allows(selected),
            _ => true,
        }
    }

    /// The first thing that keeps the VM from the host; `None`: it may go there. Integers only. Spare room for the loss of a host is
    /// not looked at here, see [`State::keeps_spare`].
    pub fn blocker(&self, profile: &Profile, to: HostIx) -> Option<Blocker> {
        if to == profile.home {
            return Some(Blocker::AlreadyThere);
        }
        if let Some(closed) = self.closed(to, profile.initiative) {
            return Some(closed);
        }
        if !profile.allowed.contains(to) {
            return profile.parts.iter().find(|(_, set)| !self.sets[*set as usize].contains(to)).map(|part| part.0);
        }
        let numa = profile.numa.filter(|numa| self.is_short(profile.vm, *numa, to)).map(|numa| numa.blocker);
        let related = || {
            let places = self.places.of(profile.vm);
            let mut hard = self.relations.of(profile.vm).filter(|relation| !relation.soft);
            hard.find_map(|relation| self.relations.blocker(relation, places, to))
        };
        numa.or_else(related).or_else(|| self.room(to).blocker(profile))
    }

    /// Leaves in `hosts` only those that the profile allows, and that what the VM has to do with other VMs allows in this state. Tells
    /// for each blocker how many it took out, and the first of them.
    pub fn sift(&self, profile: &Profile, hosts: &mut HostSet, mut taken_out: impl FnMut(Blocker, u32, HostIx)) {
        let mut take_out = |blocker: Blocker, without: &HostSet, hosts: &mut HostSet| {
            if let Some(first) = without.iter().next() {
                taken_out(blocker, without.len() as u32, first);
                hosts.subtract(without);
            }
        };
        for (blocker, set) in &profile.parts {
            let mut without = hosts.clone();
            without.subtract(&self.sets[*set as usize]);
            take_out(*blocker, &without, hosts);
        }
        if let Some(numa) = profile.numa {
            let is_short = |host| hosts.contains(host) && self.is_short(profile.vm, numa, host);
            let without = HostSet::of(hosts.universe(), is_short);
            take_out(numa.blocker, &without, hosts);
        }
        let places = self.places.of(profile.vm);
        for relation in self.relations.of(profile.vm).filter(|relation| !relation.soft) {
            if let Some((blocker, without)) = self.relations.shut(relation, places, hosts) {
                take_out(blocker, &without, hosts);
            }
        }
    }

    fn is_short(&self, vm: VmIx, numa: Numa, host: HostIx) -> bool {
        let left = match &self.snapshot.vm(vm).needs {
            Some(needs) if self.arriving.contains_key(&host) => small(self.left_in_cells(needs, host).0),
            _ => self.supplies[numa.supply as usize][host.at()],
        };
        numa.needed > left
    }

    /// What is left in the host's cells for a VM with these needs, less what is on its way.
    pub(super) fn left_in_cells(&self, needs: &Needs, host: HostIx) -> Bytes {
        let arriving = self.arriving.get(&host).into_iter().flatten().map(|vm| self.snapshot.vm(*vm));
        numa::left(self.snapshot.host(host), needs, arriving)
    }
}
