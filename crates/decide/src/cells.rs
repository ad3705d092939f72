//! What VMs take of their hosts' NUMA cells, as numbers that can be added up.
//!
//! A [`Supply`] is memory in certain cells of a host: in huge pages of one size, or in ordinary ones. A VM takes of a supply
//! * *wholly*, if it can lie nowhere else: it takes its size of it where it is, and gives it back when it has left;
//! * *loosely*, if it may lie there or elsewhere. Nobody knows how much it takes: where it comes to it is counted with its whole size, and
//!   what it leaves behind counts as nothing, until the host tells what is free then.
//!
//! So nothing is promised that may not be free: a host's supply is what it says is free, less what is on its way to it.

use std::collections::BTreeSet;

use ulm_model::{Bytes, HostIx, Needs, Snapshot, Vm, VmIx};
use ulm_rules::numa;

/// Memory in certain cells of each host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Supply {
    /// In huge pages of this size; `None`: in ordinary ones.
    pub pages: Option<Bytes>,
    /// The numbers of the cells; empty: all.
    pub cells: BTreeSet<u32>,
}

/// How a VM takes of a supply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Nothing,
    Loosely,
    Wholly,
}

impl Supply {
    /// The one that the VM takes its memory of, wholly; `None`: it is bound to no cell, and in ordinary pages.
    pub fn of(vm: &Vm) -> Option<Self> {
        let needs = vm.needs.as_ref().filter(|needs| numa::is_bound(needs))?;
        Some(Supply { pages: needs.pages, cells: needs.cells.clone() })
    }

    /// How the VM takes of it. One in ordinary pages that is bound to no cell is left to the host, and not counted.
    pub fn taken_by(&self, vm: &Vm) -> Taken {
        match &vm.needs {
            Some(needs) if numa::is_bound(needs) && needs.pages == self.pages => self.taken_with(needs),
            _ => Taken::Nothing,
        }
    }

    fn taken_with(&self, needs: &Needs) -> Taken {
        if self.cells.is_empty() || (!needs.cells.is_empty() && needs.cells.is_subset(&self.cells)) {
            Taken::Wholly
        } else if needs.cells.is_disjoint(&self.cells) && !needs.cells.is_empty() {
            Taken::Nothing
        } else {
            Taken::Loosely
        }
    }

    /// What the host says is free of it, less what is on its way there. Below 0: more comes than is free.
    pub fn left(&self, snapshot: &Snapshot, host: HostIx) -> i128 {
        let flights = snapshot.in_flight.iter().filter(|flight| flight.to == Some(host));
        let arriving = flights.map(|flight| snapshot.vm(flight.vm)).filter(|vm| self.taken_by(vm) != Taken::Nothing);
        let free = numa::free(snapshot.host(host), &self.cells, self.pages);
        i128::from(free.0) - arriving.map(|vm| i128::from(numa::takes(vm).0)).sum::<i128>()
    }

    /// For people.
    pub fn name(&self) -> String {
        let memory = self.pages.map_or_else(|| "memory".to_owned(), |size| format!("memory in pages of {size}"));
        if self.cells.is_empty() {
            return memory;
        }
        let cells: Vec<String> = self.cells.iter().map(u32::to_string).collect();
        format!("{memory} of NUMA cell(s) {}", cells.join(","))
    }
}

/// What comes free for certain of what the VM takes wholly when it leaves: nothing, where it is not known what it holds.
pub(crate) fn gives_back(vm: &Vm) -> Bytes {
    let huge = vm.needs.as_ref().is_some_and(|needs| needs.pages.is_some());
    if huge { vm.memory } else { vm.memory_use.value().unwrap_or_default() }
}

/// Hosts where what is on its way to them leaves too little for the VM in its cells, or would itself have too little if it came too.
pub(crate) fn crowded(snapshot: &Snapshot, vm: VmIx) -> BTreeSet<HostIx> {
    let vm = snapshot.vm(vm);
    let Some(needs) = vm.needs.as_ref().filter(|needs| numa::is_bound(needs)) else { return BTreeSet::new() };
    let bound = snapshot.in_flight.iter().filter(|flight| Supply::of(snapshot.vm(flight.vm)).is_some());
    let on_its_way = |host: HostIx| bound.clone().filter(move |it| it.to == Some(host)).map(|it| snapshot.vm(it.vm));
    let short = |host: &HostIx| numa::left(snapshot.host(*host), needs, on_its_way(*host)) < numa::takes(vm);
    bound.clone().filter_map(|flight| flight.to).filter(short).collect()
}
