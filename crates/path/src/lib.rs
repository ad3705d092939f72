//! Question 2: a safe, cheap, parallel way from A to B, or the proof that there is none.
//!
//! # Properties
//!
//! * **Safe.** Every state that the route can reach keeps every rule, whatever fails or hangs. ([`ulm_model::task`] says what rules mean;
//!   `ulm-check`, which shares no code with this room, verifies routes and proofs.)
//! * **Complete.** If there is a way and the budget allows, one is found; if there is none and the budget allows, that is proved. The
//!   third answer is honest: undecided, with the best so far and what ended the search.
//! * **Cheap and parallel.** Cost and makespan come with lower bounds, so that everybody sees how far from the optimum they can be at most.
//!   Up to a fiftieth of the cost is given for a timetable that ends sooner, where it would take more than twice its bound.
//! * **Deterministic.** Budgets are counted in work: same task, cost and budget, same answer. Only a [`Watch`] can stop it earlier, and
//!   the answer says so.
//!
//! # Abstraction
//!
//! The search sees items (a VM, or VMs that move together) on hosts, *bounds* (sums that have limits) and *gates* (where items may go):
//! see `problem`. No rule is wired into it. Where A itself breaks a limit, what A has is the limit: so nothing gets worse on the way.
//!
//! # Method
//!
//! `ladder` climbs from what is cheap and settles most to what is dear and settles everything: proofs that cost nothing
//! (`ends`, `frozen`), exact special cases (`shapes`, `flavours`), direct moves and chains that make room (`greedy`, `improve`), search and
//! exploration pool by pool (`pools`, `core`, `search`, `explore`) and close by what is left (`focus`). The sequence becomes a
//! timetable and a partial order in `schedule`. `repair` says what would make the impossible possible.
//!
//! # What it does not do
//!
//! Between 98 and 100 % full a total repack of a large cluster with sizes that are no flavours may stay undecided. A move copies
//! memory; what storage is copied with it counts as a resource, but its copying is not forecast.
//!
//! ```
//! use ulm_model::*;
//! use ulm_path::{Alone, Budget, ByBytes, path};
//!
//! // Two full hosts exchange their VMs; the third has room for one of them.
//! let host = |name: &str| TaskHost {
//!     name: name.into(), capacity: vec![8], takes: true, power: Power::On, moves_in: 1, moves_out: 1,
//! };
//! let vm = |name: &str, from, to| TaskVm {
//!     name: name.into(), from, to, size: vec![8], stays: false, copy: Copying { bytes: 8 << 30, ..Copying::default() },
//! };
//! let task = Task {
//!     resources: vec![TaskResource { name: "memory".into(), holds: Holds::Always }],
//!     hosts: vec![host("a"), host("b"), host("c")],
//!     vms: vec![vm("web", 0, 1), vm("db", 1, 0)],
//!     ..Task::default()
//! };
//! let Answer::Route(route) = path(&task, &ByBytes, &Budget::default(), &Alone) else { panic!("there is one") };
//! assert_eq!(route.moves(), 3); // one of them is parked on c
//! assert_eq!(route.cost, route.cost_bound); // and no way is cheaper
//! ```

mod bound;
mod budget;
mod core;
mod cost;
mod ends;
mod explore;
mod flavours;
mod focus;
mod frozen;
mod greedy;
mod holes;
mod improve;
mod joined;
mod ladder;
mod mixed;
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

/// As [`path`], with rules of the caller's own beside the task's. The checker knows the task's rules only: a proof that takes these rules
/// is for the caller to believe.
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
            let why = purse.stopped.unwrap_or(Stopped::Ideas);
            Answer::Undecided { best, left, explored: purse.explored, why }
        }
    }
}
