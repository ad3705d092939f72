//! Moves that a person asks for, and the answer to "why does this VM not go there?".

use ulm_model::{HostIx, HostName, Plan, Reason, Step, StepId, VmId, VmIx};
use ulm_place::Choice;
use ulm_policy::Policy;
use ulm_rules::Initiative;

use crate::draft::{action, empty_plan};
use crate::gates::unbelievable;
use crate::round::Round;
use crate::way::judged;
use crate::{Input, gates};

/// A plan with the one move that somebody asks for, or everything that stands against it.
///
/// All rules, limits and doubts hold as for automatic moves. What does not hold is what protects VMs from the policy: exclusions,
/// cool-down, residence, back-off and thresholds. The plan has passed the checker.
pub fn migrate_by_hand(input: &Input, policy: &Policy, vm: VmId, to: &HostName, by: &str) -> Result<Plan, Vec<Reason>> {
    let (vm, to) = found(input, policy, vm, to)?;
    let rulebook = policy.rulebook();
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

/// Everything that keeps the policy from moving the VM to the host now; empty: nothing does, but for a need to.
pub fn why_not(input: &Input, policy: &Policy, vm: VmId, to: &HostName) -> Vec<Reason> {
    let (ix, to) = match found(input, policy, vm, to) {
        Ok(found) => found,
        Err(reasons) => return reasons,
    };
    let rulebook = policy.rulebook();
    let round = Round::new(input, policy, &rulebook);
    let mut reasons = Vec::new();
    reasons.extend(round.demand(ix).err());
    reasons.extend(gates::vm_rests(input, policy, vm));
    let left = gates::left_lately(input, policy, vm).into_iter().filter(|(host, _)| *host == to);
    reasons
        .extend(left.map(|(host, until)| Reason::LeftLately { host: input.snapshot.host(host).name.clone(), until }));
    let demand = round.demand(ix).unwrap_or_default();
    reasons.extend(round.scene.why_not(ix, to, demand));
    reasons.extend(busy(&round, policy, input.snapshot.vm(ix).host));
    reasons.extend(round.all_busy());
    reasons
}

fn busy(round: &Round<'_>, policy: &Policy, host: HostIx) -> Option<Reason> {
    let (moves, limit) = (round.scene.state.load(host).moves, policy.limits.moves_per_host);
    let name = &round.scene.snapshot().host(host).name;
    (moves >= limit).then(|| Reason::HostBusy { host: name.clone(), moves, limit })
}

fn found(input: &Input, policy: &Policy, vm: VmId, host: &HostName) -> Result<(VmIx, HostIx), Vec<Reason>> {
    let unbelievable = unbelievable(input, policy);
    if !unbelievable.is_empty() {
        return Err(unbelievable);
    }
    let vm = input.snapshot.find_vm(vm).ok_or_else(|| vec![Reason::NoSuchVm { vm }])?;
    let host = input.snapshot.find_host(host).ok_or_else(|| vec![Reason::NoSuchHost { host: host.clone() }])?;
    Ok((vm, host))
}
