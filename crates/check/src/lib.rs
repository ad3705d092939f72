//! The independent verifier of any plan from anyone.
//!
//! It shares with the rooms that make plans the data ([`ulm_model`]: snapshot, plan, rulebook) and the meaning of the rules as
//! it is written down there, and not a line of code: everything here is evaluated in the plainest way, from the names up.
//!
//! A plan is sane when no state that it can reach breaks a rule. Steps may run at the same time unless one waits for another
//! ([`ulm_model::Step::after`]); a step may fail, hang or be tried again; a VM that moves counts on both hosts until the move has
//! ended well. So when a step brings a VM to a host, everything may be there that was there or was on its way, and all that other
//! steps bring, except the steps that wait for this one; and only that is surely gone which left by a step that this one waits for.
//!
//! ```
//! use ulm_check::{Grounds, check};
//! use ulm_model::*;
//! let snapshot = Snapshot::default();
//! let digest = snapshot.digest();
//! let rulebook = Rulebook {
//!     capacity: Capacity { memory_overcommit: Share::WHOLE, memory_reserve: Bytes(0), cpu_overcommit: Share::percent(400) },
//!     limits: Limits { moves: 4, moves_per_host: 1 },
//!     rules: vec![],
//! };
//! let plan = Plan { parent: digest.clone(), made_at: Time(0), expires_at: Time(60_000), steps: vec![] };
//! let grounds = Grounds { snapshot: &snapshot, digest: &digest, rulebook: &rulebook, now: Time(1) };
//! assert_eq!(check(&plan, &grounds).unwrap().plan, plan.id());
//! assert!(check(&plan, &Grounds { now: Time(60_000), ..grounds }).is_err());
//! ```
//!
//! What it does not do: it knows no moves of one VM twice in one plan (such a plan is refused), and where a step waits for a
//! departure that another arrival also waits for, it may count that other arrival without the departure: it may refuse a sane
//! plan of that kind, never accept an insane one.

mod fault;
mod order;
mod rules;

pub use fault::{Fault, Sane};

use ulm_model::{Action, HostIx, Plan, Reason, Rulebook, Snapshot, Step, Time, VmIx};

use order::Order;

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
}

/// A step with its names looked up.
pub(crate) struct Resolved<'p> {
    pub step: &'p Step,
    pub vm: VmIx,
    pub from: HostIx,
    pub to: HostIx,
}

/// Whether every state that the plan can reach is sane; if not, the first thing that is wrong.
pub fn check(plan: &Plan, grounds: &Grounds<'_>) -> Result<Sane, Fault> {
    if let Some(flaw) = grounds.snapshot.flaw() {
        return Err(Fault::SnapshotFlawed { flaw });
    }
    timely(plan, grounds)?;
    let order = Order::of(plan)?;
    let steps = plan.steps.iter().map(|step| resolve(step, grounds.snapshot)).collect::<Result<Vec<_>, _>>()?;
    each_vm_once(&steps, grounds.snapshot)?;
    for (i, step) in steps.iter().enumerate() {
        rules::may_go(step, grounds)?;
        rules::has_room(i, &steps, &order, grounds)?;
    }
    limits_kept(&steps, &order, grounds)?;
    Ok(Sane { plan: plan.id(), parent: plan.parent.clone(), steps: plan.steps.len() as u32 })
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
        let known = snapshot.hosts.iter().position(|host| host.name == *name);
        known.map(|i| HostIx(i as u32)).ok_or_else(|| Fault::UnknownHost { step: step.id, host: name.clone() })
    };
    let ix =
        snapshot.vms.iter().position(|known| known.id == *vm).ok_or(Fault::UnknownVm { step: step.id, vm: *vm })?;
    let resolved = Resolved { step, vm: VmIx(ix as u32), from: host_of(from)?, to: host_of(to)? };
    let really = snapshot.vms[ix].host;
    if really != resolved.from {
        let really = snapshot.hosts[really.at()].name.clone();
        return Err(Fault::WrongSource { step: step.id, vm: *vm, from: from.clone(), really });
    }
    if resolved.from == resolved.to {
        return Err(Fault::SameHost { step: step.id, host: to.clone() });
    }
    Ok(resolved)
}

fn each_vm_once(steps: &[Resolved<'_>], snapshot: &Snapshot) -> Result<(), Fault> {
    for (i, step) in steps.iter().enumerate() {
        if let Some(other) = steps[..i].iter().find(|other| other.vm == step.vm) {
            return Err(Fault::VmTwice { one: other.step.id, other: step.step.id, vm: snapshot.vm(step.vm).id });
        }
    }
    Ok(())
}

/// Never more moves at once than the limits say, in all and for each host, with those that run already.
fn limits_kept(steps: &[Resolved<'_>], order: &Order, grounds: &Grounds<'_>) -> Result<(), Fault> {
    let (limits, running) = (grounds.rulebook.limits, &grounds.snapshot.in_flight);
    let all: Vec<usize> = (0..steps.len()).collect();
    let most = running.len() + order.most_at_once(&all);
    if !steps.is_empty() && most > limits.moves as usize {
        return Err(Fault::TooManyAtOnce { moves: most as u32, limit: limits.moves });
    }
    for (i, host) in grounds.snapshot.hosts.iter().enumerate() {
        let ix = HostIx(i as u32);
        let touching: Vec<usize> = all.iter().copied().filter(|s| steps[*s].from == ix || steps[*s].to == ix).collect();
        if touching.is_empty() {
            continue;
        }
        let there = running.iter().filter(|flight| flight.from == ix || flight.to == Some(ix)).count();
        let most = there + order.most_at_once(&touching);
        if most > limits.moves_per_host as usize {
            let reason = Reason::HostBusy { host: host.name.clone(), moves: most as u32, limit: limits.moves_per_host };
            return Err(Fault::Breaks {
                step: steps[touching[0]].step.id,
                vm: name(&steps[touching[0]], grounds),
                reason,
            });
        }
    }
    Ok(())
}

pub(crate) fn name(step: &Resolved<'_>, grounds: &Grounds<'_>) -> String {
    grounds.snapshot.vm(step.vm).name.clone()
}

pub(crate) fn breaks(step: &Resolved<'_>, grounds: &Grounds<'_>, reason: Reason) -> Fault {
    Fault::Breaks { step: step.step.id, vm: name(step, grounds), reason }
}
