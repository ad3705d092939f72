//! **Pages.** A VM whose memory is in huge pages finds as many free ones of their size as it needs, in the cells that it is bound to if
//! it is bound to any, whatever else comes: all that the plan brings and all that is on its way counts that may take of the same cells,
//! and nothing that leaves. A host that does not tell its cells has none. Continuous.

use std::collections::{BTreeMap, BTreeSet};

use ulm_model::{Bytes, Cell, Host, HostIx, Reason, VmIx};

use super::{Case, Fault};

/// Somebody who comes.
struct Comer<'s> {
    vm: VmIx,
    memory: u64,
    /// Those that it is bound to; empty: any.
    cells: &'s BTreeSet<u32>,
}

impl Comer<'_> {
    /// Whether both may take pages of the same cell.
    fn meets(&self, other: &Comer<'_>) -> bool {
        self.cells.is_empty() || other.cells.is_empty() || !self.cells.is_disjoint(other.cells)
    }
}

/// The first of the steps before `before` with which somebody may find too few pages.
pub(super) fn first(case: &Case<'_>, before: usize) -> Option<(usize, Fault)> {
    let snapshot = case.grounds.snapshot;
    let comer = |ix: VmIx| {
        let vm = snapshot.vm(ix);
        let needs = vm.needs.as_ref()?;
        Some((needs.pages?, Comer { vm: ix, memory: vm.memory.0, cells: &needs.cells }))
    };
    let mut comers: BTreeMap<(HostIx, Bytes), Vec<Comer<'_>>> = BTreeMap::new();
    for flight in &snapshot.in_flight {
        if let (Some(to), Some((size, comer))) = (flight.to, comer(flight.vm)) {
            comers.entry((to, size)).or_default().push(comer);
        }
    }
    // Whoever was on his way before the plan is no step's fault; but a step makes it no worse either.
    for (i, step) in case.steps[..before].iter().enumerate() {
        let Some((size, new)) = comer(step.vm) else { continue };
        let there = comers.entry((step.to, size)).or_default();
        // A VM that comes a second time has left before.
        if there.iter().any(|comer| comer.vm == new.vm) {
            continue;
        }
        there.push(new);
        let (host, new) = (snapshot.host(step.to), &there[there.len() - 1]);
        for one in there.iter().filter(|one| one.meets(new)) {
            let others = there.iter().filter(|other| other.vm != new.vm && other.meets(one));
            let taken: u128 = others.map(|other| u128::from(other.memory)).sum();
            let free = u128::from(free(host, size, one.cells)).saturating_sub(taken) as u64;
            if new.memory > free {
                let (needed, free) = (Bytes(new.memory), Bytes(free));
                return Some(case.breaks(i, Reason::PagesShort { host: host.name.clone(), size, needed, free }));
            }
        }
    }
    None
}

/// What is free in pages of the size in the cells; in all, if there are none.
fn free(host: &Host, size: Bytes, cells: &BTreeSet<u32>) -> u64 {
    let bound = |cell: &&Cell| cells.is_empty() || cells.contains(&cell.id);
    let pages = host.cells.iter().filter(bound).flat_map(|cell| &cell.pages);
    pages.filter(|pages| pages.size == size).map(|pages| pages.free).sum::<Bytes>().0
}
