//! Which placement is better by the rules and goals of the policy: the question is put in numbers, [`ulm_place::search`] answers it, and
//! the answer is translated back into VMs that are wanted elsewhere, each with the reason, the gain and the payback.
//!
//! Properties:
//! (A) nothing is wanted that the rules forbid, nor of VMs that rest or whose figures cannot be believed;
//! (B) what is wanted comes in packages that bring what they promise only as a whole; the first few are sound by themselves;
//! (C) a package is wanted only if it is worth it ([`crate::worth`]); mending a broken rule and what somebody asked for outright (emptying,
//!     making room) always is; whoever draws VMs together leaves a hole for the largest of them ([`hole`]);
//! (D) a calm cluster stays as it is.
//!
//! Method: one question for all goals that are on, in three parts: who may go where ([`question`]), what companions ask of each other
//! ([`relations`]), what goals want ([`terms`]); what VMs have in common ([`shared`]), and what they take of NUMA cells ([`cells`]).
//! What comes out is read back in physical units ([`measure`]). Hosts that no single move relieves have a question of their own ([`exchange`]);
//! what is emptied over several rounds is worth it as a whole ([`over_rounds`]).

pub(crate) mod answer;
pub(crate) mod ask;
pub(crate) mod bounds;
pub(crate) mod cells;
pub(crate) mod exchange;
mod hole;
pub(crate) mod measure;
mod over_rounds;
pub(crate) mod question;
pub(crate) mod relations;
pub(crate) mod shared;
pub(crate) mod terms;

use ulm_model::{Gain, Reason};
use ulm_place::{Effort, Found, Package, PlaceMove, search};
use ulm_policy::{Goal, GoalKind, Policy};

use crate::concerns;
use crate::report::{Bound, GoalReport};
use crate::round::Round;
use crate::wanted::Wanted;
use crate::worth::{Bargain, Terms};
use answer::{apply, gained, wanted};
use ask::{ask, effort, of_goals};
use question::Question;

/// So many times the limit on moves at once are wanted in one round, and one package in any case. The rest is looked at again with
/// newer facts.
const ROUNDS_OF_MOVES: u32 = 4;

/// Who answers the question that goals put.
pub(crate) type Searcher<'s> = dyn FnMut(&Question, &Effort) -> Found + 's;

/// What was found.
#[derive(Default)]
pub(crate) struct Findings {
    /// VMs that are wanted elsewhere, package by package.
    pub wanted: Vec<Wanted>,
    /// For each goal that was looked at what there is to say.
    pub goals: Vec<GoalReport>,
    /// How far the best placement that was found is from what is possible at all.
    pub bounds: Vec<Bound>,
    /// Why nothing is wanted, if so.
    pub held: Option<Reason>,
}

/// Mends what is broken of the rules about companions and places, and keeps soft ones as far as that goes.
pub(crate) fn mend(round: &mut Round<'_>, goal: &Goal) -> Vec<Wanted> {
    let snapshot = &round.input.snapshot;
    if !round.concerns().iter().any(|concern| concern.is_broken(snapshot)) {
        return Vec::new();
    }
    let mut question = ask(round, &[goal]);
    relations::add(&mut question, snapshot, round.concerns(), Some(goal.weight));
    question.price_moves(question::move_price(round.policy, u64::from(goal.weight)));
    let found = search(&question.problem, &effort(round));
    let reason = |one: &PlaceMove| concerns::broken(snapshot, round.concerns(), question.vms[one.vm as usize]);
    let (mut all, mut at) = (Vec::new(), question.home());
    for (number, package) in found.packages.iter().enumerate() {
        if !room_for(round, &all, package) {
            break;
        }
        let before = at.clone();
        apply(&mut at, &package.moves);
        let bargain = Bargain { question: &question, round, before: &before, after: &at, moves: &package.moves };
        let better = || Reason::ForGoal { goal: goal.name.clone(), what: "a rule is kept better".into() };
        let why = package.moves.iter().find_map(reason).unwrap_or_else(better);
        let because = |one: &PlaceMove| reason(one).unwrap_or_else(|| why.clone());
        all.extend(wanted(&bargain, number, &because, &[], &Terms::default()));
    }
    all
}

/// Looks for a placement that is better by these goals together.
pub(crate) fn improve(
    round: &mut Round<'_>,
    goals: &[&Goal],
    rules: Option<&Goal>,
    searcher: &mut Searcher<'_>,
) -> Findings {
    let (question, aside) = of_goals(round, goals, rules);
    let effort = effort(round);
    let found = searcher(&question, &effort);
    let holes = hole::holes(&question, round, goals);
    let home = question.home();
    let (mut findings, at) = match over_rounds::begun(&question, round, goals, &holes, &found, &effort) {
        Some(Ok(begun)) => {
            let mut at = home.clone();
            begun.whole.packages.iter().for_each(|package| apply(&mut at, &package.moves));
            let bounds = bounds::bounds(&question, &begun.whole);
            (Findings { wanted: begun.wanted, bounds, ..Findings::default() }, at)
        }
        not => {
            let (mut findings, at) = worth_it(&question, round, goals, &holes, &found);
            if let Some(Err(reason)) = not.filter(|_| findings.wanted.is_empty()) {
                findings.held = Some(reason);
            }
            (findings, at)
        }
    };
    findings.goals = goals
        .iter()
        .map(|goal| GoalReport {
            goal: goal.name.clone(),
            gains: measure::gains(&question, round, goal, &home, &at),
            ends: findings.held.clone(),
            aside: aside.iter().filter(|(of, _)| *of == goal.name).map(|(_, reason)| reason.clone()).collect(),
        })
        .collect();
    findings
}

/// What was found, as far as it is worth it, and where that leads.
fn worth_it(
    question: &Question,
    round: &Round<'_>,
    goals: &[&Goal],
    holes: &[hole::Hole<'_>],
    found: &Found,
) -> (Findings, Vec<u32>) {
    let mut findings = Findings { bounds: bounds::bounds(question, found), ..Findings::default() };
    let gain = gained(found);
    let needed = round.policy.worth.gain;
    let asked = goals.iter().any(|goal| is_asked_for(goal));
    let enough = asked || gain >= needed;
    findings.held = match found.packages.is_empty() {
        true => Some(Reason::NothingBetter {}),
        false if !enough => Some(Reason::GainTooSmall { gain, needed }),
        false => None,
    };
    let mut at = question.home();
    for (number, package) in found.packages.iter().enumerate().take_while(|_| enough) {
        if !room_for(round, &findings.wanted, package) {
            break;
        }
        let before = at.clone();
        apply(&mut at, &package.moves);
        let bargain = Bargain { question, round, before: &before, after: &at, moves: &package.moves };
        let gains: Vec<Gain> =
            goals.iter().flat_map(|goal| measure::gains(question, round, goal, &before, &at)).collect();
        let for_asked = gains.iter().any(|gain| goals.iter().any(|goal| is_asked_for(goal) && goal.name == gain.goal));
        let terms = bargain.terms(goals);
        let lost = || holes.iter().find_map(|hole| hole.lost(question, round, &at));
        if let Some(reason) = terms.refused(round.policy).or_else(lost).filter(|_| !for_asked) {
            // The best prefix: what comes after it gains less for each move.
            at = before;
            findings.held.get_or_insert(reason);
            break;
        }
        let because = because(goals, &gains);
        findings.wanted.extend(wanted(&bargain, number, &|_| because.clone(), &gains, &terms));
    }
    if !findings.wanted.is_empty() {
        findings.held = None;
    }
    (findings, at)
}

/// Whether somebody wants this outright, whatever it costs.
fn is_asked_for(goal: &Goal) -> bool {
    matches!(goal.kind, GoalKind::Evacuate | GoalKind::MakeRoom(_))
}

/// So many moves are wanted in one round, unless one package has more.
pub(crate) fn most_moves(policy: &Policy) -> u32 {
    policy.limits.moves.saturating_mul(ROUNDS_OF_MOVES)
}

fn room_for(round: &Round<'_>, wanted: &[Wanted], package: &Package) -> bool {
    let moves = u32::try_from(wanted.len() + package.moves.len()).unwrap_or(u32::MAX);
    wanted.is_empty() || moves <= most_moves(round.policy)
}

/// The first gain speaks, with its goal.
fn because(goals: &[&Goal], gains: &[Gain]) -> Reason {
    match gains.first() {
        Some(gain) => Reason::ForGoal {
            goal: gain.goal.clone(),
            what: format!("{} {} → {}", gain.what, gain.before, gain.after),
        },
        None => {
            let goal = goals.first().map_or_else(String::new, |goal| goal.name.clone());
            Reason::ForGoal { goal, what: "the goals together cost less".into() }
        }
    }
}
