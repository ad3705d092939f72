//! **Pages and cells.** A VM whose memory is in huge pages finds as many free ones of their size as it needs, in the cells that it is
//! bound to if it is bound to any. A VM in ordinary pages that is bound to cells finds as much free memory in them as it holds. Both
//! whatever else comes: all that the plan brings and all that is on its way counts that may take of the same. What has left gives back
//! only what it can have taken nowhere else: a VM that is bound to some of these cells, and what it was seen to hold. A host that does not
//! tell its cells has nothing free. Continuous.

use std::collections::{BTreeMap, BTreeSet};

use ulm_model::{Bytes, Cell, Host, HostIx, Needs, Reason, VmIx};

use super::{Case, Fault, cells::listed};
use crate::loads::{Counter, Event, first_excess};

/// Somebody who comes or goes.
struct Comer<'s> {
    /// With which step; `None`: it is on its way already.
    step: Option<u32>,
    needs: &'s Needs,
    /// Memory that it takes where it comes to.
    takes: Bytes,
    /// Memory that is certainly free when it has left.
    gives_back: Bytes,
}

impl<'s> Comer<'s> {
    /// Nothing if it takes what is not counted by cells.
    fn of(case: &Case<'s>, ix: VmIx, step: Option<u32>) -> Option<Self> {
        let vm = case.grounds.snapshot.vm(ix);
        let needs = vm.needs.as_ref()?;
        let seen = vm.memory_use.0.last().map(|figure| figure.value);
        let (takes, gives_back) = match needs.pages {
            Some(_) => (vm.memory, vm.memory),
            None if needs.cells.is_empty() => return None,
            None => (seen.unwrap_or(vm.memory), seen.unwrap_or_default()),
        };
        Some(Comer { step, needs, takes, gives_back })
    }

    /// Whether it may take of these cells; of all, if none are named.
    fn may_lie_in(&self, cells: &BTreeSet<u32>) -> bool {
        self.needs.cells.is_empty() || cells.is_empty() || !self.needs.cells.is_disjoint(cells)
    }

    /// Whether it can have taken of no others.
    fn lies_in(&self, cells: &BTreeSet<u32>) -> bool {
        cells.is_empty() || (!self.needs.cells.is_empty() && self.needs.cells.is_subset(cells))
    }
}

/// The first of the steps before `before` with which somebody may find too little.
pub(super) fn first(case: &Case<'_>, before: usize) -> Option<(usize, Fault)> {
    let snapshot = case.grounds.snapshot;
    let steps = &case.steps[..before];
    // By host and by what they take of: pages of a size, or ordinary ones.
    let mut comers: BTreeMap<(HostIx, Option<Bytes>), Vec<Comer<'_>>> = BTreeMap::new();
    let flights = snapshot.in_flight.iter().filter_map(|flight| Some((flight.to?, flight.vm, None)));
    let arrivals = steps.iter().enumerate().map(|(i, step)| (step.to, step.vm, Some(i as u32)));
    for (to, vm, step) in flights.chain(arrivals) {
        if let Some(comer) = Comer::of(case, vm, step) {
            comers.entry((to, comer.needs.pages)).or_default().push(comer);
        }
    }
    let mut counters = Vec::new();
    for ((host, pages), comers) in &comers {
        let leaving = steps.iter().enumerate().filter(|(_, step)| step.from == *host);
        let leaving = leaving.filter_map(|(i, step)| Comer::of(case, step.vm, Some(i as u32)));
        let leaving: Vec<Comer<'_>> = leaving.filter(|one| one.needs.pages == *pages).collect();
        // Each of those that come must find enough, so what they are bound to is counted, each once.
        let sets: BTreeSet<&BTreeSet<u32>> = comers.iter().map(|comer| &comer.needs.cells).collect();
        counters.extend(sets.into_iter().map(|cells| {
            let meets = comers.iter().filter(|comer| comer.may_lie_in(cells));
            let base = meets.clone().filter(|comer| comer.step.is_none()).map(|comer| u128::from(comer.takes.0)).sum();
            let gone = leaving.iter().filter(|one| one.lies_in(cells));
            Counter {
                base,
                limit: free(snapshot.host(*host), cells, *pages).0.into(),
                arrivals: meets.filter_map(|comer| event(comer.step, comer.takes)).collect(),
                departures: gone.filter_map(|one| event(one.step, one.gives_back)).collect(),
            }
        }));
    }
    let excess = first_excess(&case.order, &counters)?;
    let step = excess.step as usize;
    Some(case.breaks(step, reason(case, step, counters[excess.counter].limit, excess.worst)))
}

/// What brings or takes away nothing is no event.
fn event(step: Option<u32>, amount: Bytes) -> Option<Event> {
    step.filter(|_| amount > Bytes(0)).map(|step| Event { step, weight: amount.0.into() })
}

/// What the step finds too little of.
fn reason(case: &Case<'_>, step: usize, limit: u128, worst: u128) -> Reason {
    let snapshot = case.grounds.snapshot;
    let (vm, host) = (case.steps[step].vm, snapshot.host(case.steps[step].to).name.clone());
    let Some(Comer { needs, takes: needed, .. }) = Comer::of(case, vm, None) else {
        unreachable!("only what takes of cells is counted")
    };
    // What the step itself finds: without what it brings.
    let free = (limit + u128::from(needed.0)).saturating_sub(worst);
    let free = Bytes(u64::try_from(free).unwrap_or(u64::MAX));
    match needs.pages {
        Some(size) => Reason::PagesShort { host, size, needed, free, cells: listed(needs) },
        None => {
            let what = format!("{free} is free in them, it holds {needed}");
            Reason::CellsShort { host, cells: listed(needs), what }
        }
    }
}

/// What is free in these cells, or in all if none are named: pages of a size, or ordinary memory.
fn free(host: &Host, cells: &BTreeSet<u32>, pages: Option<Bytes>) -> Bytes {
    let counts = |cell: &&Cell| cells.is_empty() || cells.contains(&cell.id);
    let of = |cell: &Cell| match pages {
        None => cell.free,
        Some(size) => cell.pages.iter().filter(|pages| pages.size == size).map(|pages| pages.free).sum(),
    };
    host.cells.iter().filter(counts).map(of).sum()
}
