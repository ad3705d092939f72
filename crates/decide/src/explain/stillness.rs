//! Why nothing moves, or why the rest does not: every VM's most telling reason, summed up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ulm_model::{Action, HostIx, Reason, Vm, VmId, VmIx};
use ulm_policy::Policy;
use ulm_rules::{Blocker, Initiative};

use crate::decision::decide;
use crate::goals::Goals;
use crate::report::{Decision, HostReport};
use crate::round::Round;
use crate::{Input, gates};

/// VMs that one kind of reason keeps where they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stillness {
    /// How many.
    pub vms: u32,
    /// The name of the first of them, by id.
    pub example: String,
    /// Its reason. The others' have the same code.
    pub reason: Reason,
}

/// The most telling reason of every VM that is not moved now, summed up: the most telling classes first, and of a class what holds most VMs.
pub fn stillness(input: &Input, policy: &Policy) -> Vec<Stillness> {
    let mut found: BTreeMap<&'static str, Stillness> = BTreeMap::new();
    let told = input.snapshot.vms.iter().zip(reasons(input, policy));
    for (vm, reason) in told.filter(|(_, (moves, _))| !moves).map(|(vm, (_, reason))| (vm, reason)) {
        let entry = found.entry(reason.code());
        entry.and_modify(|known| known.vms += 1).or_insert_with(|| Stillness {
            vms: 1,
            example: vm.name.clone(),
            reason,
        });
    }
    let mut all: Vec<Stillness> = found.into_values().collect();
    all.sort_by(|a, b| b.reason.class().cmp(&a.reason.class()).then(b.vms.cmp(&a.vms)));
    all
}

/// For every VM, in the snapshot's order, the most telling reason why the policy does not move it now; for one that it does move, why.
/// VMs that could move, and that no goal wants to, come under what the goals say.
pub fn still(input: &Input, policy: &Policy) -> Vec<Reason> {
    reasons(input, policy).into_iter().map(|(_, reason)| reason).collect()
}

/// Whether each VM is moved, and why or why not.
fn reasons(input: &Input, policy: &Policy) -> Vec<(bool, Reason)> {
    let unbelievable = gates::unbelievable(input, policy);
    if let Some(reason) = unbelievable.into_iter().max_by_key(Reason::class) {
        return vec![(false, reason); input.snapshot.vms.len()];
    }
    let decision = decide(input, policy);
    let (rulebook, _) = policy.rulebook_for(&input.snapshot);
    let mut round = Round::new(input, policy, &rulebook);
    let goes =
        |id: VmId| decision.plan.steps.iter().find(|step| matches!(step.action, Action::Move { vm, .. } if vm == id));
    let calm = Goals::at(policy, input.now).calm();
    let open: Vec<HostIx> = input.snapshot.hosts_ix().map(|(ix, _)| ix).filter(|ix| round.is_open(*ix)).collect();
    let told = |(ix, vm): (VmIx, &Vm)| {
        if let Some(step) = goes(vm.id) {
            return (true, step.because.clone());
        }
        (false, most_telling(&mut round, ix, &open).unwrap_or_else(|| nobody_wants(&decision, input, vm, &calm)))
    };
    input.snapshot.vms_ix().map(told).collect()
}

/// What is said of a VM that could go: another one of its host goes, or its host is not the one that something is done about.
fn nobody_wants(decision: &Decision, input: &Input, vm: &Vm, calm: &Reason) -> Reason {
    let home = &input.snapshot.host(vm.host).name;
    let relieved = |host: &HostReport| host.host == *home && host.relief.iter().any(|relief| relief.ends.is_none());
    if decision.report.hosts.iter().any(relieved) {
        return Reason::NotNeeded { host: home.clone() };
    }
    let hot = decision.report.hosts.iter().any(|host| !host.relief.is_empty());
    if hot { Reason::NothingBetter {} } else { calm.clone() }
}

fn most_telling(round: &mut Round<'_>, ix: VmIx, open: &[HostIx]) -> Option<Reason> {
    let vm = round.input.snapshot.vm(ix).id;
    let mut held: Vec<Reason> = round.demand(ix).err().into_iter().collect();
    held.extend(gates::vm_rests(round.input, round.policy, vm));
    held.extend(round.scene.state.vm_stays(ix, Initiative::Automatic));
    // Of equal classes the first.
    if let Some(reason) = held.into_iter().rev().max_by_key(Reason::class) {
        return Some(reason);
    }
    let profile = round.scene.state.profile(ix, Initiative::Automatic);
    let mut counts: BTreeMap<Blocker, (u32, HostIx)> = BTreeMap::new();
    for host in open {
        match round.scene.state.blocker(&profile, *host) {
            None => return None,
            Some(Blocker::AlreadyThere) => {}
            Some(blocker) => counts.entry(blocker).or_insert((0, *host)).0 += 1,
        }
    }
    let (blocker, (_, host)) = counts.into_iter().max_by_key(|(_, (hosts, _))| *hosts)?;
    Some(round.scene.state.reason(blocker, ix, host, Initiative::Automatic))
}
