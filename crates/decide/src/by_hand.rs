//! Moves that a person asks for.

use ulm_model::{HostIx, HostName, Plan, Reason, Step, StepId, VmId, VmIx};
use ulm_place::Choice;
use ulm_policy::Policy;
use ulm_rules::Initiative;

use crate::Input;
use crate::draft::{action, empty_plan};
use crate::gates::unbelievable;
use crate::round::Round;
use crate::way::judged;

/// A plan with the one move that somebody asks for, or everything that stands against it.
///
/// All rules, limits and doubts hold as for automatic moves. What does not hold is what protects VMs from the policy: exclusions,
/// cool-down, residence, back-off and thresholds. The plan has passed the checker.
pub fn migrate_by_hand(input: &Input, policy: &Policy, vm: VmId, to: &HostName, by: &str) -> Result<Plan, Vec<Reason>> {
    let (vm, to) = found(input, policy, vm, to)?;
    let (rulebook, _) = policy.rulebook_for(&input.snapshot);
    let round = Round::new(input, policy, &rulebook);
    let mut reasons = round.scene.state.why_not(vm, to, Initiative::ByHand);
    for host in [input.snapshot.vm(vm).host, to] {
        if let Some(reason @ (Reason::Stale { .. } | Reason::Impossible { .. })) = round.scene.barred(host)
            && !reasons.contains(reason)
        {
            reasons.push(reason.clone());
        }
        reasons.extend(busy(&round, policy, host));
    }
    reasons.extend(round.all_busy());
    if !reasons.is_empty() {
        return Err(reasons);
    }
    let step = Step {
        id: StepId(0),
        action: action(&input.snapshot, Choice { vm, to }, input.snapshot.vm(vm).host),
        after: Vec::new(),
        because: Reason::Asked { by: by.to_owned() },
        expected: None,
    };
    let mut plan = Plan { steps: vec![step], ..empty_plan(input, policy) };
    match judged(input, &rulebook, &mut plan) {
        Ok(_) => Ok(plan),
        Err(refused) => Err(vec![refused]),
    }
}

/// The limit on moves at once of the host, if it is reached.
pub(crate) fn busy(round: &Round<'_>, policy: &Policy, host: HostIx) -> Option<Reason> {
    let (moves, limit) = (round.scene.state.load(host).moves, policy.limits.moves_per_host);
    let name = &round.scene.snapshot().host(host).name;
    (moves >= limit).then(|| Reason::HostBusy { host: name.clone(), moves, limit })
}

/// The VM and the host, if the facts can be believed and both are there.
pub(crate) fn found(input: &Input, policy: &Policy, vm: VmId, host: &HostName) -> Result<(VmIx, HostIx), Vec<Reason>> {
    let unbelievable = unbelievable(input, policy);
    if !unbelievable.is_empty() {
        return Err(unbelievable);
    }
    let vm = input.snapshot.find_vm(vm).ok_or_else(|| vec![Reason::NoSuchVm { vm }])?;
    let host = input.snapshot.find_host(host).ok_or_else(|| vec![Reason::NoSuchHost { host: host.clone() }])?;
    Ok((vm, host))
}
