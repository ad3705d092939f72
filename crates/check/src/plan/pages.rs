//! **Pages and cells.** A VM whose memory is in huge pages finds as many free ones of their size as it needs, in the cells that it is
//! bound to if it is bound to any. A VM in ordinary pages that is bound to cells finds as much free memory in them as it holds. Both
//! whatever else comes: all that the plan brings and all that is on its way counts that may take of the same, and nothing that leaves. A
//! host that does not tell its cells has nothing free. Continuous.

use std::collections::BTreeMap;

use ulm_model::{Bytes, Cell, Host, HostIx, Needs, Reason, VmIx};

use super::{Case, Fault, cells::listed};

/// Somebody who comes.
struct Comer<'s> {
    vm: VmIx,
    needs: &'s Needs,
    /// Memory.
    takes: Bytes,
}

impl<'s> Comer<'s> {
    /// Nothing if it takes what is not counted by cells.
    fn of(case: &Case<'s>, ix: VmIx) -> Option<Self> {
        let vm = case.grounds.snapshot.vm(ix);
        let needs = vm.needs.as_ref()?;
        let takes = match needs.pages {
            Some(_) => vm.memory,
            None if needs.cells.is_empty() => return None,
            None => vm.memory_use.0.last().map_or(vm.memory, |figure| figure.value),
        };
        Some(Comer { vm: ix, needs, takes })
    }

    /// Whether both may take of the same cell.
    fn meets(&self, other: &Comer<'_>) -> bool {
        let (one, other) = (&self.needs.cells, &other.needs.cells);
        one.is_empty() || other.is_empty() || !one.is_disjoint(other)
    }
}

/// The first of the steps before `before` with which somebody may find too little.
pub(super) fn first(case: &Case<'_>, before: usize) -> Option<(usize, Fault)> {
    let snapshot = case.grounds.snapshot;
    // By host and by what they take of: pages of a size, or ordinary ones.
    let mut comers: BTreeMap<(HostIx, Option<Bytes>), Vec<Comer<'_>>> = BTreeMap::new();
    for flight in &snapshot.in_flight {
        if let (Some(to), Some(comer)) = (flight.to, Comer::of(case, flight.vm)) {
            comers.entry((to, comer.needs.pages)).or_default().push(comer);
        }
    }
    for (i, step) in case.steps[..before].iter().enumerate() {
        let Some(new) = Comer::of(case, step.vm) else { continue };
        let there = comers.entry((step.to, new.needs.pages)).or_default();
        // A VM that comes a second time has left before.
        if there.iter().any(|comer| comer.vm == new.vm) {
            continue;
        }
        let host = snapshot.host(step.to);
        // What is left for it by each one that it meets, if that one is to have enough; and by itself.
        let left = there.iter().chain([&new]).filter(|one| one.meets(&new)).map(|one| {
            let others = there.iter().filter(|other| other.meets(one));
            free(host, one.needs).saturating_sub(others.map(|other| other.takes).sum())
        });
        let left = left.min().unwrap_or_default();
        if new.takes > left {
            let (host, needed, free) = (host.name.clone(), new.takes, left);
            let reason = match new.needs.pages {
                Some(size) => Reason::PagesShort { host, size, needed, free },
                None => {
                    let what = format!("{free} is free in them, it holds {needed}");
                    Reason::CellsShort { host, cells: listed(new.needs), what }
                }
            };
            return Some(case.breaks(i, reason));
        }
        there.push(new);
    }
    None
}

/// What is free of what the VM takes, in the cells that it is bound to; in all, if it is bound to none.
fn free(host: &Host, needs: &Needs) -> Bytes {
    let bound = |cell: &&Cell| needs.cells.is_empty() || needs.cells.contains(&cell.id);
    let of = |cell: &Cell| match needs.pages {
        None => cell.free,
        Some(size) => cell.pages.iter().filter(|pages| pages.size == size).map(|pages| pages.free).sum(),
    };
    host.cells.iter().filter(bound).map(of).sum()
}
