//! Question 2: a safe, cheap, parallel way from A to B, or the proof that there is none.

mod budget;
mod cost;
mod problem;
mod rule;

pub use budget::{Alone, Budget, Progress, Watch};
pub use cost::{ByBytes, BySeconds, MoveCost};
pub use rule::{Nature, Rule, Scope};

use ulm_model::{Answer, Task};

/// A route from A to B, or the proof that there is none, or neither within the budget. The task must be without
/// [`Task::flaw`]. Same task, cost and budget, same answer, unless `watch` stops it.
pub fn path(task: &Task, cost: &dyn MoveCost, budget: &Budget, watch: &dyn Watch) -> Answer {
    let _ = (task, cost, budget, watch);
    todo!()
}
