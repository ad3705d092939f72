//! Questions that several answers need.

use ulm_model::{Reason, VmIx};
use ulm_place::Effort;
use ulm_policy::Goal;

use super::question::{self, Question};
use super::{relations, shared, terms};
use crate::round::Round;

/// Placements that are weighed in one round: some hundred milliseconds.
const EVALUATIONS: u64 = 4_000_000;

/// The question that these goals put, with all that costs, and what of goals had to be set aside.
pub(crate) fn of_goals(
    round: &mut Round<'_>,
    goals: &[&Goal],
    rules: Option<&Goal>,
) -> (Question, Vec<(String, Reason)>) {
    let mut question = ask(round, goals);
    relations::add(&mut question, &round.input.snapshot, round.concerns(), rules.map(|goal| goal.weight));
    let mut aside = Vec::new();
    for goal in goals {
        aside.extend(terms::add(&mut question, round, goal).into_iter().map(|reason| (goal.name.clone(), reason)));
    }
    let weights = goals.iter().map(|goal| u64::from(goal.weight)).sum();
    let price = question::move_price(round.policy, weights);
    question.price_moves(price);
    shared::add(&mut question, round, price);
    (question, aside)
}

/// The question without what goals want. VMs that no goal is about stay.
pub(super) fn ask(round: &mut Round<'_>, goals: &[&Goal]) -> Question {
    let snapshot = &round.input.snapshot;
    let all = goals.is_empty() || goals.iter().any(|goal| goal.vms.is_empty());
    let selected = |vm: VmIx| goals.iter().any(|goal| ulm_rules::select::selects_vm(&goal.vms, snapshot.vm(vm)));
    Question::of(round, &|vm| all || selected(vm))
}

/// So much is weighed, whoever may move.
pub(crate) fn effort(round: &Round<'_>) -> Effort {
    Effort { evaluations: EVALUATIONS, moves: u32::try_from(round.input.snapshot.vms.len()).unwrap_or(u32::MAX) }
}
