//! Plans: is every state that one can reach sane?

mod fault;
mod limits;
mod room;
mod rules;
mod sequence;

pub use fault::{Fault, Sane};

use std::collections::HashMap;

use ulm_model::{Action, HostIx, PastMove, Plan, Reason, Rulebook, Snapshot, Step, Time, VmIx};

use crate::order::Order;
use sequence::Sequence;

/// What a plan is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Grounds<'g> {
    /// The facts that the plan was made from.
    pub snapshot: &'g Snapshot,
    /// The snapshot's digest, as [`Snapshot::digest`] gives it: computed once by the caller, for it takes long for large ones.
    pub digest: &'g str,
    /// The administrator's limits and rules.
    pub rulebook: &'g Rulebook,
    /// The present time.
    pub now: Time,
    /// Moves that ended within [`Rulebook::REMEMBERED`], as budgets count them.
    pub past: &'g [PastMove],
}

/// A step with its names looked up.
struct Resolved<'p> {
    step: &'p Step,
    vm: VmIx,
    from: HostIx,
    to: HostIx,
}

/// Whether every state that the plan can reach is sane; if not, the first thing that is wrong.
///
/// The limits on moves at once are kept by whoever carries the plan out: he waits. They are judged here only for a plan of one
/// step, which begins at once; for what begins now of any other see [`check_beginning`].
pub fn check(plan: &Plan, grounds: &Grounds<'_>) -> Result<Sane, Fault> {
    if plan.steps.len() == 1 {
        return check_beginning(plan, grounds);
    }
    let (_, sane) = judged(plan, grounds)?;
    Ok(sane)
}

/// As [`check`], and the steps that wait for no other may begin now, all of them at once: with the moves that run already they
/// keep the limits on moves at once. For a step that is about to begin, as a plan of that step alone.
pub fn check_beginning(plan: &Plan, grounds: &Grounds<'_>) -> Result<Sane, Fault> {
    let (steps, sane) = judged(plan, grounds)?;
    let beginning: Vec<&Resolved<'_>> = steps.iter().filter(|step| step.step.after.is_empty()).collect();
    limits::kept(&beginning, grounds)?;
    Ok(sane)
}

/// The judgement on all reachable states, and the steps: each after those that it waits for.
fn judged<'p>(plan: &'p Plan, grounds: &Grounds<'_>) -> Result<(Vec<Resolved<'p>>, Sane), Fault> {
    if let Some(flaw) = grounds.snapshot.flaw() {
        return Err(Fault::SnapshotFlawed { flaw });
    }
    timely(plan, grounds)?;
    let Sequence { steps, order } = Sequence::of(plan)?;
    let steps = steps.into_iter().map(|step| resolve(step, grounds.snapshot)).collect::<Result<Vec<_>, _>>()?;
    each_vm_in_a_chain(&steps, &order, grounds.snapshot)?;
    // A step that may not be taken for what it is comes to light before what comes after it, and after what comes before it.
    let judge = rules::Judge::new(grounds);
    let barred = (0..steps.len()).find_map(|i| Some((i, judge.may_go(&steps[i]).err()?)));
    let (before, barred) = barred.map_or((steps.len(), None), |(i, fault)| (i, Some(fault)));
    room::suffices(&steps[..before], &order, grounds)?;
    match barred {
        Some(fault) => Err(fault),
        None => {
            let sane = Sane { plan: plan.id(), parent: plan.parent.clone(), steps: steps.len() as u32 };
            Ok((steps, sane))
        }
    }
}

fn timely(plan: &Plan, grounds: &Grounds<'_>) -> Result<(), Fault> {
    if plan.parent != grounds.digest {
        return Err(Fault::OtherParent { found: plan.parent.clone(), wanted: grounds.digest.to_owned() });
    }
    if plan.made_at > grounds.now {
        return Err(Fault::FromTheFuture { made_at: plan.made_at, now: grounds.now });
    }
    if plan.expires_at <= grounds.now {
        return Err(Fault::Expired { at: plan.expires_at, now: grounds.now });
    }
    Ok(())
}

fn resolve<'p>(step: &'p Step, snapshot: &Snapshot) -> Result<Resolved<'p>, Fault> {
    let Action::Move { vm, vm_name: _, from, to } = &step.action;
    let host_of = |name: &ulm_model::HostName| {
        snapshot.find_host(name).ok_or_else(|| Fault::UnknownHost { step: step.id, host: name.clone() })
    };
    let ix = snapshot.find_vm(*vm).ok_or(Fault::UnknownVm { step: step.id, vm: *vm })?;
    Ok(Resolved { step, vm: ix, from: host_of(from)?, to: host_of(to)? })
}

/// A VM's moves wait for each other, and each begins where the one before ended.
fn each_vm_in_a_chain(steps: &[Resolved<'_>], order: &Order, snapshot: &Snapshot) -> Result<(), Fault> {
    let mut last: HashMap<VmIx, usize> = HashMap::new();
    let mut pairs = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        pairs.extend(last.insert(step.vm, i).map(|before| (i as u32, before as u32)));
    }
    if let Some(alone) = order.waits(&pairs).iter().position(|waits| !waits) {
        let (other, one) = (&steps[pairs[alone].0 as usize], &steps[pairs[alone].1 as usize]);
        return Err(Fault::VmTwice { one: one.step.id, other: other.step.id, vm: snapshot.vm(one.vm).id });
    }
    let mut at: HashMap<VmIx, HostIx> = HashMap::new();
    for step in steps {
        let (id, vm) = (step.step.id, snapshot.vm(step.vm));
        let name = |host: HostIx| snapshot.host(host).name.clone();
        let really = at.insert(step.vm, step.to).unwrap_or(vm.host);
        if really != step.from {
            return Err(Fault::WrongSource { step: id, vm: vm.id, from: name(step.from), really: name(really) });
        }
        if step.from == step.to {
            return Err(Fault::SameHost { step: id, host: name(step.to) });
        }
    }
    Ok(())
}

fn breaks(step: &Resolved<'_>, grounds: &Grounds<'_>, reason: Reason) -> Fault {
    Fault::Breaks { step: step.step.id, vm: grounds.snapshot.vm(step.vm).name.clone(), reason }
}
