//! A host that is emptied over several rounds ([`ulm_place::drain()`]): what is wanted of it in this one.
//!
//! Properties:
//! (A) what counts is the whole: nothing is begun that would not be worth it at last, or leave no hole on the way;
//! (B) nothing is remembered: what is left to do is asked again in each round, of newer facts. What was begun is nearer to its end then, and
//!     so more worth it than anything like it that was not; and nobody goes back ([`crate::gates::left_lately`]).

use ulm_model::{Gain, HostIx, Reason};
use ulm_place::{Drain, Effort, Found, Package, drain};
use ulm_policy::Goal;

use super::answer::{apply, gained, wanted};
use super::hole::Hole;
use super::question::Question;
use super::{because, measure};
use crate::round::Round;
use crate::wanted::Wanted;
use crate::worth::Bargain;

/// A host that is emptied over several rounds.
pub(super) struct Begun {
    /// The moves of this round.
    pub wanted: Vec<Wanted>,
    /// What all rounds lead to, as if it was found for one.
    pub whole: Found,
}

/// Looks for a host that it is better to empty over several rounds than to do what was found; or why that is not worth it.
pub(super) fn begun(
    question: &Question,
    round: &Round<'_>,
    goals: &[&Goal],
    holes: &[Hole<'_>],
    found: &Found,
    effort: &Effort,
) -> Option<Result<Begun, Reason>> {
    let drain = drain(&question.problem, found, effort)?;
    let mut moves = drain.rounds.concat();
    moves.sort_unstable();
    let package = Package { moves, gain: drain.gain };
    let whole = Found { packages: vec![package], after: found.before - drain.gain, ..found.clone() };
    let (gain, needed) = (gained(&whole), round.policy.worth.gain);
    if gain < needed {
        return Some(Err(Reason::GainTooSmall { gain, needed }));
    }
    let wanted = first_round(question, round, goals, holes, &drain);
    Some(wanted.map(|wanted| Begun { wanted, whole }))
}

/// The moves of this round; or why all of them are not worth it.
fn first_round(
    question: &Question,
    round: &Round<'_>,
    goals: &[&Goal],
    holes: &[Hole<'_>],
    drain: &Drain,
) -> Result<Vec<Wanted>, Reason> {
    let (home, mut end) = (question.home(), question.home());
    for moves in &drain.rounds {
        apply(&mut end, moves);
        if let Some(reason) = holes.iter().find_map(|hole| hole.lost(question, round, &end)) {
            return Err(reason);
        }
    }
    let all = drain.rounds.concat();
    let terms = Bargain { question, round, before: &home, after: &end, moves: &all }.terms(goals);
    if let Some(reason) = terms.refused(round.policy) {
        return Err(reason);
    }
    let gains: Vec<Gain> = goals.iter().flat_map(|goal| measure::gains(question, round, goal, &home, &end)).collect();
    let because = match (because(goals, &gains), drain.rounds.len()) {
        (Reason::ForGoal { goal, what }, 2..) => {
            let [moves, of] = [drain.rounds[0].len(), all.len()].map(|moves| u32::try_from(moves).unwrap_or(u32::MAX));
            let host = round.input.snapshot.host(HostIx(drain.host)).name.clone();
            Reason::OverRounds { goal, host, moves, of, what }
        }
        (because, _) => because,
    };
    let bargain = Bargain { question, round, before: &home, after: &end, moves: &drain.rounds[0] };
    Ok(wanted(&bargain, 0, &|_| because.clone(), &gains, &terms))
}
