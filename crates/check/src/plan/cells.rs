//! **Cells.** A VM that is bound to NUMA cells goes only where there are such, with as much ordinary memory free in them as it holds.
//! About each move.

use ulm_model::{Bytes, Cell, Needs, Reason};

use super::{Grounds, Resolved};

/// What the target's cells have against the step.
pub(super) fn against(needs: &Needs, step: &Resolved<'_>, grounds: &Grounds<'_>) -> Option<Reason> {
    if needs.cells.is_empty() {
        return None;
    }
    let (vm, to) = (grounds.snapshot.vm(step.vm), grounds.snapshot.host(step.to));
    let listed = |ids: Vec<&u32>| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let short = |what: String| {
        let cells = listed(needs.cells.iter().collect());
        Some(Reason::CellsShort { host: to.name.clone(), cells, what })
    };
    if to.cells.is_empty() {
        return short("it does not tell its cells".into());
    }
    let missing: Vec<&u32> = needs.cells.iter().filter(|id| !to.cells.iter().any(|cell| cell.id == **id)).collect();
    if !missing.is_empty() {
        return short(format!("it has no cell {}", listed(missing)));
    }
    if needs.pages.is_some() {
        return None;
    }
    let bound = |cell: &&Cell| needs.cells.contains(&cell.id);
    let free: Bytes = to.cells.iter().filter(bound).map(|cell| cell.free).sum();
    let held = vm.memory_use.0.last().map_or(vm.memory, |figure| figure.value);
    if held > free { short(format!("{free} is free in them, it holds {held}")) } else { None }
}
