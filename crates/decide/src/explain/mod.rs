//! Answers to "why does this VM not go there?", for one host, for all of them, and for all VMs at once.
//!
//! Properties:
//! (A) every reason is told at once: rules, figures, the VM's own past, limits, and what the goals would gain;
//! (B) an answer is empty only if the policy would make the move as soon as it looks;
//! (C) of thousands of reasons the most telling one speaks ([`ulm_model::Class`]), and the others are counted.

mod stillness;
mod verdict;

pub use stillness::{Stillness, still, stillness};
pub use verdict::{Standing, standing};

use ulm_model::{HostName, Reason, VmId};
use ulm_policy::Policy;

use crate::by_hand::{busy, found};
use crate::goals::Goals;
use crate::round::Round;
use crate::seek::ask;
use crate::seek::question::Question;
use crate::{Input, gates};
use verdict::Verdict;

/// Everything that keeps the policy from moving the VM to the host now.
pub fn why_not(input: &Input, policy: &Policy, vm: VmId, to: &HostName) -> Vec<Reason> {
    let (ix, to) = match found(input, policy, vm, to) {
        Ok(found) => found,
        Err(reasons) => return reasons,
    };
    let (rulebook, _) = policy.rulebook_for(&input.snapshot);
    let mut round = Round::new(input, policy, &rulebook);
    let goals = Goals::at(policy, input.now);
    let question = question(&mut round, &goals);
    let verdict = question.as_ref().map(|question| Verdict::new(question, &goals.others));
    one(&round, verdict.as_ref(), ix, to)
}

/// The same for every host, in the snapshot's order; or why nothing can be said of the VM.
pub fn why_not_anywhere(input: &Input, policy: &Policy, vm: VmId) -> Result<Vec<(HostName, Vec<Reason>)>, Vec<Reason>> {
    let unbelievable = gates::unbelievable(input, policy);
    if !unbelievable.is_empty() {
        return Err(unbelievable);
    }
    let ix = input.snapshot.find_vm(vm).ok_or_else(|| vec![Reason::NoSuchVm { vm }])?;
    let (rulebook, _) = policy.rulebook_for(&input.snapshot);
    let mut round = Round::new(input, policy, &rulebook);
    let goals = Goals::at(policy, input.now);
    let question = question(&mut round, &goals);
    let verdict = question.as_ref().map(|question| Verdict::new(question, &goals.others));
    let hosts = input.snapshot.hosts_ix();
    Ok(hosts.map(|(to, host)| (host.name.clone(), one(&round, verdict.as_ref(), ix, to))).collect())
}

/// What the goals that make a placement better ask, if any is on.
fn question(round: &mut Round<'_>, goals: &Goals<'_>) -> Option<Question> {
    (!goals.others.is_empty()).then(|| ask::of_goals(round, &goals.others, goals.rules).0)
}

fn one(
    round: &Round<'_>,
    verdict: Option<&Verdict<'_, '_>>,
    ix: ulm_model::VmIx,
    to: ulm_model::HostIx,
) -> Vec<Reason> {
    let (input, policy) = (round.input, round.policy);
    let (vm, host) = (input.snapshot.vm(ix), input.snapshot.host(to));
    let mut reasons = Vec::new();
    reasons.extend(round.demand(ix).err());
    reasons.extend(gates::vm_rests(input, policy, vm.id));
    let left = gates::left_lately(input, policy, vm.id).into_iter().filter(|(left, _)| *left == to);
    reasons.extend(left.map(|(_, until)| Reason::LeftLately { host: host.name.clone(), until }));
    reasons.extend(round.scene.why_not(ix, to, round.demand(ix).unwrap_or_default()));
    reasons.extend(busy(round, policy, vm.host));
    reasons.extend(round.all_busy());
    if vm.host != to {
        reasons.extend(round.scene.state.unwished(ix, to));
        reasons.extend(verdict.and_then(|verdict| verdict.of(round, ix, to)));
    }
    reasons
}
