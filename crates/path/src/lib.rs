//! Question 2: a safe, cheap, parallel way from A to B, or the proof that there is none.

mod bound;
mod budget;
mod core;
mod cost;
mod ends;
mod explore;
mod focus;
mod frozen;
mod greedy;
mod improve;
mod ladder;
mod pools;
mod problem;
mod relabel;
mod repair;
mod rule;
mod schedule;
mod search;
mod shapes;
mod state;
mod states;

pub use budget::{Alone, Budget, Progress, Watch};
pub use cost::{ByBytes, BySeconds, MoveCost};
pub use relabel::relabel;
pub use repair::{Conflict, Help, Repair, RepairKind, what_would_help};
pub use rule::{Nature, Rule, Scope};

use ulm_model::{Answer, Stopped, Task};

use budget::Purse;
use ladder::Climbed;
use problem::Problem;

/// A route from A to B, or the proof that there is none, or neither within the budget. The task must be without
/// [`Task::flaw`]. Same task, cost and budget, same answer, unless `watch` stops it.
pub fn path(task: &Task, cost: &dyn MoveCost, budget: &Budget, watch: &dyn Watch) -> Answer {
    path_with(task, &[], cost, budget, watch)
}

/// As [`path`], with rules of the caller's own beside the task's.
pub fn path_with(task: &Task, rules: &[&dyn Rule], cost: &dyn MoveCost, budget: &Budget, watch: &dyn Watch) -> Answer {
    debug_assert_eq!(task.flaw(), None);
    let problem = Problem::new(task, cost, rules);
    let least = bound::least_cost(&state::State::home(&problem));
    let mut purse = Purse::new(*budget, watch);
    match ladder::climb(&problem, &mut purse) {
        Climbed::There(hops) => Answer::Route(schedule::schedule(&problem, &hops, least)),
        Climbed::Impossible(certificate) => Answer::Impossible { certificate },
        Climbed::Stuck(hops) => {
            let best = schedule::schedule(&problem, &hops, least);
            let at = best.placement(task);
            let left = (0..task.vms.len() as u32).filter(|vm| at[*vm as usize] != task.vms[*vm as usize].to).collect();
            let why = purse.stopped.unwrap_or(Stopped::Expansions);
            Answer::Undecided { best, left, explored: purse.explored, why }
        }
    }
}
