//! Why nothing moves, or why the rest does not: every VM's most telling reason, summed up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ulm_model::{HostIx, Reason, VmIx};
use ulm_policy::Policy;
use ulm_rules::{Blocker, Initiative};

use crate::goals::Goals;
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

/// Every VM's most telling reason, summed up: the most telling classes first, and of a class what holds most VMs.
pub fn stillness(input: &Input, policy: &Policy) -> Vec<Stillness> {
    let mut found: BTreeMap<&'static str, Stillness> = BTreeMap::new();
    for (vm, reason) in input.snapshot.vms.iter().zip(still(input, policy)) {
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

/// For every VM, in the snapshot's order, the most telling reason why the policy does not move it now. VMs that could move, and that no
/// goal wants to, come under what the goals say.
pub fn still(input: &Input, policy: &Policy) -> Vec<Reason> {
    let unbelievable = gates::unbelievable(input, policy);
    if let Some(reason) = unbelievable.into_iter().max_by_key(Reason::class) {
        return vec![reason; input.snapshot.vms.len()];
    }
    let (rulebook, _) = policy.rulebook_for(&input.snapshot);
    let mut round = Round::new(input, policy, &rulebook);
    let calm = Goals::at(policy, input.now).calm();
    let open: Vec<HostIx> = input.snapshot.hosts_ix().map(|(ix, _)| ix).filter(|ix| round.is_open(*ix)).collect();
    let vms = input.snapshot.vms_ix().map(|(ix, _)| ix);
    vms.map(|ix| most_telling(&mut round, ix, &open).unwrap_or_else(|| calm.clone())).collect()
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
