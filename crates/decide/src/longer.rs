//! A longer search for a placement, where somebody waits for it.
//!
//! Properties:
//! (A) by the goals the plan is never worse than that of [`decide`](crate::decide()): what counts is what the plans reach, after all gates;
//! (B) same input, policy and budget, same decision, however the work is shared out, unless it was told to stop;
//! (C) anytime: whoever tells it to stop gets the best so far.
//!
//! Method: the quick search first, as always. Then two walks by [`anneal`](anneal()) share the budget: one that may move as much as it
//! likes, and one with no more moves than a round makes, as of the former's moves only the first are made. What each has found goes
//! through the same gates as the quick search's answer: gain, payback, the hole, a safe way, the checker. Of the plans that come out of
//! it the one after which the goals, its moves included, cost least is taken; of equals the quick one.
//!
//! Without a budget each series of walks is twice as long as the one before, as annealing must know its length at the beginning: what
//! is told to stop in the middle of a series keeps the best of those before.

use std::sync::OnceLock;

use ulm_model::{Action, HostIx, Plan, Share, Snapshot, Stopped};
use ulm_place::{Annealed, Effort, Found, Points, Problem, anneal, cost, search};
use ulm_policy::Policy;

use crate::Input;
use crate::decision::decide_by;
use crate::report::{Decision, LongerSearch, Outcome, Reached};
use crate::seek::question::Question;
use crate::seek::{self, Searcher, bounds};

/// So many walks share the budget.
const WALKS: usize = 2;
/// So long is each walk of the first series, where there is no budget.
const FIRST: u64 = 1 << 17;

/// A piece of work for each number.
pub type Work<'w> = dyn Fn(usize) + Sync + 'w;

/// How much longer is looked.
#[derive(Clone, Copy)]
pub struct Longer<'w> {
    /// Placements that may be weighed beside those of the quick search; `None`: as many as there is time for.
    pub budget: Option<u64>,
    /// Does pieces of work, numbered from 0, each once, in any order and on as many threads as it likes; comes back when all are done.
    pub share_out: &'w dyn Fn(usize, &Work<'_>),
    /// Asked every some thousand placements whether to stop, and why; goes on saying so.
    pub stop: &'w (dyn Fn() -> Option<Stopped> + Sync),
}

/// The same as [`decide`](crate::decide()), after a longer search for what the goals make better. The report says what that brought.
pub fn decide_longer(input: &Input, policy: &Policy, longer: &Longer<'_>) -> Decision {
    let mut asked = None;
    let mut quick = decided(input, policy, &mut |question, effort| {
        // Later it is asked again only without moves that have no safe way.
        asked.get_or_insert_with(|| (question.clone(), *effort));
        search(&question.problem, effort)
    });
    let Some((question, effort)) = asked else {
        quick.decision.report.longer = Some(LongerSearch::not_begun(Outcome::NotAsked));
        return quick.decision;
    };
    let stay = question.problem.vms.iter().all(|vm| vm.stays);
    if stay || quick.placement <= bounds::least(&question) {
        quick.decision.report.longer = Some(LongerSearch::not_begun(Outcome::NothingLeft));
        return quick.decision;
    }
    let limits = [effort.moves, seek::most_moves(policy).min(effort.moves)];
    let walked = longer.walk(&question.problem, limits);
    let reaches = |plan: &Plan| cost(&question.problem, &after(&question, &input.snapshot, plan)).total();
    let at_first = reaches(&quick.decision.plan);
    // Bounds tell of the best placement that was found, also where the first moves of another one are the better ones.
    let (mut placement, mut bounds) = (quick.placement, quick.decision.report.bounds.clone());
    let quick_reaches = [at_first, quick.placement];
    let (mut best, mut plan) = (quick.decision, at_first);
    for walk in &walked.best {
        let other = decided(input, policy, &mut |question, _| in_packages(walk, &question.problem));
        if other.placement < placement {
            (placement, bounds) = (other.placement, other.decision.report.bounds.clone());
        }
        let reaches = reaches(&other.decision.plan);
        if reaches < plan {
            (best, plan) = (other.decision, reaches);
        }
    }
    let now = cost(&question.problem, &question.home()).total();
    best.report.bounds = bounds;
    best.report.longer = Some(walked.told(now, quick_reaches, [plan, placement]));
    best
}

/// A decision, and what the goals cost in the placement of which its plan makes the first moves.
struct Attempt {
    decision: Decision,
    placement: Points,
}

fn decided(input: &Input, policy: &Policy, searcher: &mut Searcher<'_>) -> Attempt {
    let mut placement = Points::MAX;
    let mut noting = |question: &Question, effort: &Effort| {
        let found = searcher(question, effort);
        placement = found.after;
        found
    };
    let decision = decide_by(input, policy, &mut noting);
    Attempt { decision, placement }
}

/// Where each VM of the question is after the plan.
fn after(question: &Question, snapshot: &Snapshot, plan: &Plan) -> Vec<u32> {
    let mut at = question.home();
    for step in &plan.steps {
        let Action::Move { vm, to, .. } = &step.action;
        let vm = snapshot.find_vm(*vm).and_then(|vm| question.number[vm.at()]);
        if let (Some(vm), Some(to)) = (vm, snapshot.find_host(to)) {
            at[vm as usize] = to.0;
        }
    }
    at
}

/// What a walk has found, as packages. Where a VM may not go there any more it stays.
fn in_packages(walk: &Annealed, problem: &Problem) -> Found {
    let mut walk = walk.clone();
    for (at, vm) in walk.at.iter_mut().zip(&problem.vms) {
        if !problem.sets[vm.allowed as usize].contains(HostIx(*at)) {
            *at = vm.at;
        }
    }
    walk.in_packages(problem)
}

/// What the walks have come to.
#[derive(Default)]
struct Walked {
    /// The best of each of the walks.
    best: Vec<Annealed>,
    weighed: u64,
    stopped: Option<Stopped>,
}

impl Walked {
    /// What is to be told, where the goals cost so much now, after the plans of the quick search and of both, and in the placements found.
    fn told(&self, now: Points, quick: [Points; 2], both: [Points; 2]) -> LongerSearch {
        let part = |points: Points, of: Points| {
            Share::ratio(u64::try_from(points).unwrap_or(0), u64::try_from(of).unwrap_or(0))
        };
        let reached =
            |[plan, placement]: [Points; 2]| Reached { plan: part(plan, now), placement: part(placement, now) };
        let less = part(quick[0] - both[0], quick[0]);
        let outcome = Outcome::Looked { quick: reached(quick), longer: reached(both), less };
        LongerSearch { weighed: self.weighed, stopped: self.stopped, outcome }
    }
}

impl Longer<'_> {
    /// All walks, one series after the other; each walk has its limit on moves.
    fn walk(&self, problem: &Problem, limits: [u32; WALKS]) -> Walked {
        let mut walked = Walked::default();
        let each = self.budget.map_or(FIRST, |budget| budget / WALKS as u64);
        for series in 0.. {
            walked.stopped = (self.stop)();
            if walked.stopped.is_some() {
                break;
            }
            let efforts = limits.map(|moves| Effort { evaluations: each << series, moves });
            let found = self.series(problem, efforts, series * WALKS as u64);
            walked.weighed += found.iter().map(|walk| walk.evaluations).sum::<u64>();
            if found.iter().any(|walk| walk.stopped) {
                walked.stopped = (self.stop)().or(Some(Stopped::Interrupted));
            }
            if walked.best.is_empty() {
                walked.best = found;
            } else {
                let both = walked.best.iter_mut().zip(found);
                both.filter(|(best, walk)| walk.after < best.after).for_each(|(best, walk)| *best = walk);
            }
            if self.budget.is_some() || walked.stopped.is_some() || each << series > u64::MAX / 4 {
                break;
            }
        }
        walked
    }

    /// One walk for each effort, in their order; each has a seed of its own, from this one on.
    fn series(&self, problem: &Problem, efforts: [Effort; WALKS], seed: u64) -> Vec<Annealed> {
        let found = [const { OnceLock::new() }; WALKS];
        let walk = |i: usize| {
            let seed = seed + i as u64;
            found[i].get_or_init(|| anneal(problem, &efforts[i], seed, &|| (self.stop)().is_some()));
        };
        (self.share_out)(WALKS, &walk);
        found.into_iter().map(|walk| walk.into_inner().expect("all work that is shared out is done")).collect()
    }
}
