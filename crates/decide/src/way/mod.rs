//! From "these VMs are wanted there" to steps that bring them there, safely in every state on the way.
//!
//! Properties:
//! (A) every multi-move plan is a route that [`ulm_path`] found, and so an order in which nothing is broken, whatever fails or hangs;
//! (B) nobody else is moved while the wanted VMs can make their way among themselves;
//! (C) what stands in the way and is moved goes back to where it was;
//! (D) what cannot be brought there is named, with what is in the way, and the rest goes on without it;
//! (E) a half-found way is never begun.
//!
//! Method: a [`Field`] turns the hosts concerned into a [`ulm_model::Task`]. First only the wanted VMs may move, and only among
//! their own hosts: that is the whole answer when everything fits at once, and quickly found. Where that is not enough, other VMs of
//! these hosts may make room, and some further hosts lend theirs. What the proof of an impossibility names is left out; then the
//! question is asked again for the rest.
//!
//! What it does not look at: how warm a host gets while it lends its room, and the limits on moves at once, which whoever carries the plan
//! out keeps by waiting.
//!
//! Complexity: linear in VMs for the sums; the questions are about the hosts concerned and [`field::HELPERS`] more, and the effort for
//! each is bounded by a count, so that the same input gives the same answer.

mod cells;
mod company;
mod field;
mod mover;
mod steps;
mod why;

use ulm_check::{Grounds, Sane, check};
use ulm_model::{Answer, Plan, Reason, Rulebook, Step, VmIx};
use ulm_path::{Alone, Budget, ByBytes, path};
use ulm_policy::Policy;
use ulm_rules::{Initiative, State};

use crate::Input;
use crate::draft::empty_plan;
use crate::gates::unbelievable;
use crate::wanted::Wanted;
use field::{Field, Ground, Reach};
use why::No;

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// The moves, in the order in which they will probably begin; without steps when there are none to make.
    pub plan: Plan,
    /// The checker's receipt; there always is one when the plan has steps.
    pub sane: Option<Sane>,
    /// Those that stay where they are, each with the reason.
    pub left_out: Vec<(VmIx, Reason)>,
}

/// A plan that brings the VMs where they are wanted, as many of them as there is a way for. It has passed the checker.
///
/// Rules, doubts and limits hold as for any automatic move. Whether a wanted VM rests is not asked again: who wants it moved knows.
/// VMs that rest, or whose figures cannot be believed, are not moved out of the way.
pub fn way(input: &Input, policy: &Policy, wanted: &[Wanted]) -> Way {
    let (rulebook, _) = policy.rulebook_for(&input.snapshot);
    let mut plan = empty_plan(input, policy);
    if let Some(reason) = unbelievable(input, policy).into_iter().next() {
        let left_out = wanted.iter().map(|one| (one.vm, reason.clone())).collect();
        return Way { plan, sane: None, left_out };
    }
    let (steps, mut left_out) = steps_to(input, policy, &rulebook, wanted);
    plan.steps = steps;
    match judged(input, &rulebook, &mut plan) {
        Ok(sane) => Way { plan, sane, left_out },
        Err(reason) => {
            plan.steps.clear();
            left_out.extend(wanted.iter().map(|one| (one.vm, reason.clone())));
            Way { plan, sane: None, left_out }
        }
    }
}

/// Ties the plan to the facts and has it judged by the checker; a plan without steps needs no judgement.
pub(crate) fn judged(input: &Input, rulebook: &Rulebook, plan: &mut Plan) -> Result<Option<Sane>, Reason> {
    if plan.steps.is_empty() {
        return Ok(None);
    }
    // Only now: the digest of a large cluster takes longer than the decision.
    let digest = input.snapshot.digest();
    plan.parent = digest.clone();
    let grounds =
        Grounds { snapshot: &input.snapshot, digest: &digest, rulebook, now: input.now, past: &input.past.moves };
    check(plan, &grounds).map(Some).map_err(|fault| Reason::CheckRefused { sentence: fault.to_string() })
}

/// After so many questions that cost much effort and led to nothing, the rest is left out as well.
const DEAR: u32 = 3;

/// The steps, and those that are left out. The facts must be believable as a whole.
pub(crate) fn steps_to(
    input: &Input,
    policy: &Policy,
    rulebook: &Rulebook,
    wanted: &[Wanted],
) -> (Vec<Step>, Vec<(VmIx, Reason)>) {
    if wanted.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let mut ground = Ground::new(input, policy, rulebook);
    let (mut asked, mut left_out): (Vec<&Wanted>, Vec<(VmIx, Reason)>) = (Vec::new(), Vec::new());
    for one in wanted {
        let there = input.snapshot.vm(one.vm).host == one.to;
        if there || asked.iter().any(|other| other.vm == one.vm) {
            continue;
        }
        let too_large = || ground.is_too_large(one.vm).then(|| No::too_large().reason(&ground, one));
        match ground.state.vm_stays(one.vm, Initiative::Automatic).into_iter().next().or_else(too_large) {
            Some(reason) => left_out.push((one.vm, reason)),
            None => asked.push(one),
        }
    }
    lose_no_spare(&ground, &mut asked, &mut left_out);
    let mut dear = 0;
    while !asked.is_empty() {
        match ask(&mut ground, &asked) {
            Ok(steps) => return (steps, left_out),
            Err(no) => {
                dear += u32::from(no.dear);
                let without = if dear < DEAR { no.without..no.without + 1 } else { 0..asked.len() };
                let packages: Vec<Option<u32>> = asked[without.clone()].iter().map(|one| one.package).collect();
                let goes = |place: usize, one: &Wanted| {
                    without.contains(&place) || (one.package.is_some() && packages.contains(&one.package))
                };
                let mut place = 0;
                asked.retain(|one| {
                    let goes = goes(place, one);
                    place += 1;
                    if goes {
                        left_out.push((one.vm, no.reason(&ground, one)));
                    }
                    !goes
                });
            }
        }
    }
    (Vec::new(), left_out)
}

/// Leaves out what would take the room that hosts keep for the loss of another one, everything counted where it is and where it goes.
fn lose_no_spare(ground: &Ground<'_>, asked: &mut Vec<&Wanted>, left_out: &mut Vec<(VmIx, Reason)>) {
    let rules = &ground.state.rulebook().rules;
    if !rules.iter().any(|rule| rule.kind == ulm_model::RuleKind::Spare) {
        return;
    }
    let mut state = State::at(&ground.input.snapshot, ground.state.rulebook(), ground.input.moment());
    let mut without = Vec::new();
    for one in asked.iter() {
        match state.keeps_spare(one.vm, one.to) {
            Ok(()) => state.begin(one.vm, one.to),
            Err(reason) => {
                without.push(one.package);
                left_out.push((one.vm, reason));
            }
        }
    }
    let gone: Vec<VmIx> = left_out.iter().map(|(vm, _)| *vm).collect();
    asked.retain(|one| !gone.contains(&one.vm) && (one.package.is_none() || !without.contains(&one.package)));
}

/// How all of these get where they are wanted; or why not.
fn ask(ground: &mut Ground<'_>, asked: &[&Wanted]) -> Result<Vec<Step>, No> {
    let among_themselves = Field::new(ground, asked, Reach::Wanted);
    if let Answer::Route(route) = among_themselves.ask(&NARROW) {
        return Ok(steps::of(&route, &among_themselves, asked, &ground.input.snapshot));
    }
    let with_help = Field::new(ground, asked, Reach::Around);
    match with_help.ask(&WIDE) {
        Answer::Route(route) => Ok(steps::of(&route, &with_help, asked, &ground.input.snapshot)),
        answer => Err(No::of(&answer, &with_help, ground, asked)),
    }
}

/// For the wanted VMs among themselves. Where all fit at once nothing is searched at all.
const NARROW: Budget = Budget { expansions: 1_000, bytes: 16 << 20 };

/// With the help of others: some tens of milliseconds, so that a round never waits for it.
const WIDE: Budget = Budget { expansions: 20_000, bytes: 64 << 20 };

impl Field {
    fn ask(&self, budget: &Budget) -> Answer {
        path(&self.task, &ByBytes, budget, &Alone)
    }
}
