//! A much cheaper placement, where there is time: simulated annealing.
//!
//! Properties:
//! (A) the answer is sound, costs no more than the start, and no more VMs than the limit are elsewhere;
//! (B) the same question, work and seed give the same answer, unless it was told to stop;
//! (C) anytime: whoever tells it to stop gets the best so far.
//!
//! Method: a quick descent first. Then changes are drawn at random ([`walk`]): one VM goes to another host, or two VMs change places; and
//! where a host has no room for one, several move together ([`compound`]).
//! What lowers the cost is made; what raises it is made with probability `2 ^ -(more / temperature)`. The temperature falls from what makes
//! a good part of the changes likely to what makes none likely, by the same factor for each part of the work (Kirkpatrick, Gelatt,
//! Vecchi 1983). Where it begins and ends is learnt from changes of the descent's placement. Then a few hosts at a time ([`focus`]). At
//! last a descent from the best.
//!
//! Complexity: each change that is drawn is one evaluation, whether it is possible or not, and so is each host that is tried in a chain;
//! memory as a [placement](crate::placement).

mod compound;
mod focus;
mod walk;

use super::{Search, packages, repair, settle};
use crate::cost::points;
use crate::problem::{Effort, Found, Points, Problem};
use walk::Walk;

/// What annealing has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annealed {
    /// The host of each VM.
    pub at: Vec<u32>,
    /// What the present placement costs.
    pub before: Points,
    /// What the new one costs, moves included.
    pub after: Points,
    /// Placements that were weighed.
    pub evaluations: u64,
    /// Whether it was told to stop before the work was done.
    pub stopped: bool,
}

impl Annealed {
    /// The same as packages that are sound one after another. What cannot be put in such an order, or brings nothing in it,
    /// is left out; so this may cost more than [`Annealed::after`].
    ///
    /// # Panics
    /// If this is not an answer to the problem.
    pub fn in_packages(&self, problem: &Problem) -> Found {
        let split = packages::split_alone(problem, &self.at);
        Found {
            packages: split.packages,
            before: self.before,
            after: points(split.after),
            evaluations: self.evaluations,
            settled: false,
        }
    }
}

/// Looks for a cheaper placement. Each `seed` begins another series of random numbers, and so gives another answer; `stop` is asked every
/// some thousand evaluations. See the module's text.
///
/// # Panics
/// If the problem has a [`Problem::flaw`].
pub fn anneal(problem: &Problem, effort: &Effort, seed: u64, stop: &dyn Fn() -> bool) -> Annealed {
    assert_eq!(problem.flaw(), None, "a sound question");
    // The descent is quick, and must leave most of the work to what follows.
    let mut search = Search::new(problem, &Effort { evaluations: effort.evaluations / 10, ..*effort });
    let before = points(search.state.total());
    repair::run(&mut search);
    settle(&mut search, stop);
    let mut walk = Walk::new(search.state, search.bulk, effort, seed, search.evaluations);
    let stopped = walk.may_change() && wander(&mut walk, stop);
    let (best, done) = (walk.best, walk.evaluations);
    let mut search = Search::new(problem, &Effort { evaluations: effort.evaluations.saturating_sub(done), ..*effort });
    // From far placements soundness is not reached move by move, so the state is set, and the descent begins there.
    for (vm, host) in best.iter().enumerate() {
        search.shift(vm as u32, *host);
    }
    settle(&mut search, stop);
    Annealed {
        at: search.state.all().to_vec(),
        before,
        after: points(search.state.total()),
        evaluations: done + search.evaluations,
        stopped,
    }
}

/// From warm to cold among all hosts, and then among a few at a time. Whether it was told to stop.
fn wander(walk: &mut Walk<'_>, stop: &dyn Fn() -> bool) -> bool {
    let (median, until) = (walk.median(), walk.budget - walk.budget / focus::SHARE);
    walk.cool(median, until, stop) || walk.focus(median, stop)
}
