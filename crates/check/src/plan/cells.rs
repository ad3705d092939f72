//! **Cells.** A VM that is bound to NUMA cells goes only where there are such. About each move. Whether there is enough in them:
//! [`super::pages`].

use ulm_model::{Needs, Reason};

use super::{Grounds, Resolved};

/// What the target's cells have against the step.
pub(super) fn against(needs: &Needs, step: &Resolved<'_>, grounds: &Grounds<'_>) -> Option<Reason> {
    let to = grounds.snapshot.host(step.to);
    let missing = needs.cells.iter().find(|id| !to.cells.iter().any(|cell| cell.id == **id))?;
    let told = !to.cells.is_empty();
    let what = if told { format!("it has no cell {missing}") } else { "it does not tell its cells".into() };
    Some(Reason::CellsShort { host: to.name.clone(), cells: listed(needs), what })
}

/// The cells that a VM is bound to, for people.
pub(super) fn listed(needs: &Needs) -> String {
    needs.cells.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
