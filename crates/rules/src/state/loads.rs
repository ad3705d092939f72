//! What is promised on each host, what it can still give, and where each VM counts.

use std::collections::BTreeMap;

use ulm_model::{Bytes, Host, HostIx, Rule, Vm, VmIx};

use super::{Blocker, Profile, State};
use crate::{Initiative, capacity, headroom, memory, memory_used, numa, vcpus};

/// What is promised on a host, moves in flight counted on both ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Sizes of the VMs that live there or are arriving.
    pub memory: Bytes,
    /// What those that stay have in common, so far as it counts: see [`crate::merged`].
    pub merged: Bytes,
    /// Their virtual CPUs.
    pub vcpus: u64,
    /// What the processes of the arriving ones hold, so far as it must still be found on the host.
    pub arriving: Bytes,
    /// Moves to and from it.
    pub moves: u32,
}

/// What a host can give at most.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Memory that may be promised.
    pub memory: Bytes,
    /// Virtual CPUs that may be promised.
    pub vcpus: u64,
    /// Memory that it has available now; `None` when it has not said.
    pub available: Option<Bytes>,
    /// What automatic moves leave free of the first two.
    pub kept: headroom::Kept,
}

/// What a host can still give in one state: small and plain, for those who look at a thousand of them for each VM.
///
/// Less than nothing when more is promised than may be; then not even a VM of no size fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    memory: i64,
    really: i64,
    vcpus: i64,
    /// What is left of the first and the last for automatic moves.
    automatic: (i64, i64),
}

/// What a VM asks of a host's room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asks {
    memory: i64,
    really: i64,
    vcpus: i64,
}

/// The hosts on which each VM counts, oldest first: the last one is where it will be.
#[derive(Debug, Default)]
pub(super) struct Places {
    only: Vec<Option<HostIx>>,
    /// For those that count on several.
    several: BTreeMap<VmIx, Vec<HostIx>>,
}

impl Load {
    /// The memory that is promised.
    pub fn promised(&self) -> Bytes {
        self.memory.saturating_sub(self.merged)
    }
}

impl Limit {
    /// The host's limits under the general capacity and the `rules` that select it.
    pub(super) fn new<'r>(
        host: &Host,
        general: &ulm_model::Capacity,
        rules: impl Iterator<Item = &'r Rule> + Clone,
    ) -> Self {
        let capacity = capacity::of(general, rules.clone());
        let (memory, vcpus) = (memory::limit(host, &capacity), vcpus::limit(host, &capacity));
        let kept = headroom::kept(memory, vcpus, rules);
        Limit { memory, vcpus, available: memory_used::available(host), kept }
    }
    /// The memory that moves of this kind may promise in all.
    pub fn memory_for(&self, initiative: Initiative) -> Bytes {
        match initiative {
            Initiative::Automatic => self.memory.saturating_sub(self.kept.memory),
            Initiative::ByHand => self.memory,
        }
    }
    /// The virtual CPUs that moves of this kind may promise in all.
    pub fn vcpus_for(&self, initiative: Initiative) -> u64 {
        match initiative {
            Initiative::Automatic => self.vcpus.saturating_sub(self.kept.vcpus),
            Initiative::ByHand => self.vcpus,
        }
    }
}

impl Asks {
    pub fn new(vm: &Vm) -> Self {
        Asks { memory: small(vm.memory.0), really: small(memory_used::ordinary(vm).0), vcpus: i64::from(vm.vcpus) }
    }
}

impl Room {
    /// Whose memory, memory in use or virtual CPUs do not fit; the integers of [`memory::fits`] and its like.
    pub fn blocker(&self, profile: &Profile) -> Option<Blocker> {
        let asks = &profile.asks;
        let by_hand = profile.initiative == Initiative::ByHand;
        if asks.memory > self.memory {
            Some(Blocker::Memory)
        } else if asks.really > self.really {
            Some(Blocker::MemoryUsed)
        } else if asks.vcpus > self.vcpus {
            Some(Blocker::Vcpus)
        } else if by_hand {
            None
        } else if asks.memory > self.automatic.0 {
            Some(Blocker::HeadroomMemory)
        } else if asks.vcpus > self.automatic.1 {
            Some(Blocker::HeadroomCpu)
        } else {
            None
        }
    }
}

impl State<'_> {
    /// What is promised on each host.
    pub fn hosts(&self) -> &[Load] {
        &self.loads
    }
    /// What is promised on one host.
    pub fn load(&self, host: HostIx) -> Load {
        self.loads[host.at()]
    }
    /// What the host can give at most, with the rules that are about it.
    pub fn limit(&self, host: HostIx) -> &Limit {
        &self.limits[host.at()]
    }
    /// Moves in this state, in all.
    pub fn moves(&self) -> u32 {
        self.moves
    }

    /// Counts the VM on the host.
    pub fn add(&mut self, vm: VmIx, host: HostIx) {
        self.relations.add(vm, host, self.places.of(vm));
        self.places.add(vm, host);
        self.spare.add(vm, host);
        let (vm, load) = (self.snapshot.vm(vm), &mut self.loads[host.at()]);
        load.memory += vm.memory;
        load.vcpus = load.vcpus.saturating_add(u64::from(vm.vcpus));
    }
    /// Counts the VM on the host no more: it has left, or has not arrived. What its arrival takes of the memory that was available when the
    /// snapshot was taken stays deducted.
    pub fn remove(&mut self, vm: VmIx, host: HostIx) {
        let last = self.places.of(vm).last().copied();
        if let Some(last) = last
            && self.places.remove(vm, host)
        {
            self.relations.remove(vm, host, last, self.places.of(vm));
            self.spare.remove(vm, host);
        }
        self.stays_no_more(vm, host);
        let (vm, load) = (self.snapshot.vm(vm), &mut self.loads[host.at()]);
        load.memory = load.memory.saturating_sub(vm.memory);
        load.vcpus = load.vcpus.saturating_sub(u64::from(vm.vcpus));
    }
    /// Begins a move: from now on the VM counts on both hosts, in full, and is moving.
    pub fn begin(&mut self, vm: VmIx, to: HostIx) {
        let home = self.snapshot.vm(vm).host;
        self.loads[home.at()].moves += 1;
        self.stays_no_more(vm, home);
        self.arrive(vm, to);
        self.moves += 1;
        if let Err(place) = self.moving.binary_search(&vm) {
            self.moving.insert(place, vm);
            self.budgets.begin(self.snapshot, &self.rulebook.rules, &self.index, vm);
        }
    }
    fn stays_no_more(&mut self, vm: VmIx, host: HostIx) {
        if self.snapshot.vm(vm).host == host {
            self.merged.leave(vm, host);
            self.loads[host.at()].merged = self.merged.credit(host);
        }
    }
    pub(super) fn arrive(&mut self, vm: VmIx, to: HostIx) {
        self.add(vm, to);
        let one = self.snapshot.vm(vm);
        let load = &mut self.loads[to.at()];
        load.arriving += memory_used::ordinary(one);
        load.moves += 1;
        if one.needs.as_ref().is_some_and(numa::is_bound) {
            self.arriving.entry(to).or_default().push(vm);
        }
    }

    /// What the host can still give.
    pub fn room(&self, host: HostIx) -> Room {
        let (load, limit) = (&self.loads[host.at()], &self.limits[host.at()]);
        let automatic = Initiative::Automatic;
        Room {
            memory: left(limit.memory.0, load.promised().0),
            really: limit.available.map_or(-1, |available| left(available.0, load.arriving.0)),
            vcpus: left(limit.vcpus, load.vcpus),
            automatic: (
                left(limit.memory_for(automatic).0, load.promised().0),
                left(limit.vcpus_for(automatic), load.vcpus),
            ),
        }
    }
}

impl Places {
    pub fn new(vms: usize) -> Self {
        Places { only: vec![None; vms], several: BTreeMap::new() }
    }
    pub fn of(&self, vm: VmIx) -> &[HostIx] {
        self.several.get(&vm).map_or_else(|| self.only[vm.at()].as_slice(), Vec::as_slice)
    }
    fn add(&mut self, vm: VmIx, host: HostIx) {
        let only = &mut self.only[vm.at()];
        match self.several.get_mut(&vm) {
            Some(several) => several.push(host),
            None => match only.take() {
                None => *only = Some(host),
                Some(first) => _ = self.several.insert(vm, vec![first, host]),
            },
        }
    }
    /// Whether it counted there.
    fn remove(&mut self, vm: VmIx, host: HostIx) -> bool {
        let only = &mut self.only[vm.at()];
        let Some(several) = self.several.get_mut(&vm) else {
            return only.take_if(|there| *there == host).is_some();
        };
        let Some(at) = several.iter().rposition(|there| *there == host) else { return false };
        several.remove(at);
        if let [last] = several[..] {
            *only = Some(last);
            self.several.remove(&vm);
        }
        true
    }
}

/// What is left of a limit, negative when it is passed. Never so much that [`small`]'s largest fits.
pub(super) fn left(limit: u64, taken: u64) -> i64 {
    let left = i128::from(limit) - i128::from(taken);
    left.clamp(i128::from(i64::MIN), i128::from(i64::MAX - 1)) as i64
}

pub(super) fn small(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
