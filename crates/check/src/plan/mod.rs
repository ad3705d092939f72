//! Plans: is every state that one can reach sane?
//!
//! One file for each rule or family of rules of the rulebook; each tells the first step that it has something against. The rules about
//! each move come first ([`rules`]), then those about states, then those about the end, then what passes by itself.

mod apart;
mod at_once;
mod budget;
mod capacity;
mod cells;
mod census;
mod exclude;
mod fault;
mod headroom;
mod limits;
mod max_vms;
mod merged;
mod one_way;
mod packing;
mod pages;
mod pin;
mod room;
mod rules;
mod selectors;
mod sequence;
mod spare;
mod together;
mod window;

pub use fault::{Fault, Sane};

use std::collections::HashMap;
use std::time::Duration;

use ulm_model::{Action, HostIx, PastMove, Plan, Reason, Rulebook, Snapshot, Step, StepId, Time, VmIx};

use crate::order::Order;
use capacity::Promise;
use merged::Merged;
use selectors::Book;
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
    /// The VM's place among those that move.
    mover: usize,
    from: HostIx,
    to: HostIx,
}

impl Resolved<'_> {
    /// Whether somebody asked for it: limits on automatic moves do not bind it.
    fn by_hand(&self) -> bool {
        matches!(self.step.because, Reason::Asked { .. })
    }
    /// The forecast of its downtime.
    fn downtime(&self) -> Duration {
        self.step.expected.as_ref().map_or(Duration::ZERO, |expected| expected.downtime)
    }
}

/// All that is looked at: the steps, each after those that it waits for, and what they are judged by.
struct Case<'c> {
    grounds: &'c Grounds<'c>,
    steps: Vec<Resolved<'c>>,
    order: Order,
    book: Book<'c>,
    /// By number of the host.
    promises: Vec<Promise>,
    merged: Vec<Merged>,
}

/// Whether every state that the plan can reach is sane, and its end is what the rules want of one; if not, the first thing that is
/// wrong.
///
/// The limits on moves at once are kept by whoever carries the plan out: he waits. They are judged here only for a plan of one
/// step, which begins at once; for what begins now of any other see [`check_beginning`].
pub fn check(plan: &Plan, grounds: &Grounds<'_>) -> Result<Sane, Fault> {
    let case = Case::of(plan, grounds)?;
    case.states()?;
    case.end()?;
    case.crowds()?;
    if case.steps.len() == 1 {
        case.beginning()?;
    }
    Ok(case.sane(plan))
}

/// As [`check`], and the steps that wait for no other may begin now, all of them at once: with the moves that run already they
/// keep the limits on moves at once. For a step that is about to begin, as a plan of that step alone.
///
/// What rules want of the end of a plan ([`RuleKind::Together`](ulm_model::RuleKind::Together)) is not asked here: it was asked of the
/// whole plan, and a step alone, which leads midway, need not bring it about.
pub fn check_beginning(plan: &Plan, grounds: &Grounds<'_>) -> Result<Sane, Fault> {
    let case = Case::of(plan, grounds)?;
    case.states()?;
    case.crowds()?;
    case.beginning()?;
    Ok(case.sane(plan))
}

impl<'c> Case<'c> {
    /// Looks the plan up.
    fn of(plan: &'c Plan, grounds: &'c Grounds<'c>) -> Result<Self, Fault> {
        let snapshot = grounds.snapshot;
        if let Some(flaw) = snapshot.flaw() {
            return Err(Fault::SnapshotFlawed { flaw });
        }
        timely(plan, grounds)?;
        let Sequence { steps, order } = Sequence::of(plan)?;
        let (mut movers, mut known) = (Vec::new(), HashMap::new());
        let mut mover = |vm: VmIx| {
            *known.entry(vm).or_insert_with(|| {
                movers.push(vm);
                movers.len() - 1
            })
        };
        let steps = steps.into_iter().map(|step| resolve(step, snapshot, &mut mover)).collect::<Result<Vec<_>, _>>()?;
        each_vm_in_a_chain(&steps, &order, snapshot)?;
        let book = Book::new(&grounds.rulebook.rules, snapshot, &movers);
        let promises = capacity::promises(&book, grounds);
        let merged = merged::merged(&book, &steps, grounds);
        Ok(Case { grounds, steps, order, book, promises, merged })
    }

    /// The judgement on each step and on all reachable states.
    fn states(&self) -> Result<(), Fault> {
        // A step that may not be taken for what it is comes to light before what comes after it, and after what comes before it.
        let mut judge = rules::Judge::new(&self.steps, &self.book, self.grounds);
        let barred = |(i, step): (usize, &Resolved<'_>)| Some(self.breaks(i, judge.against(step)?));
        let mut first = self.steps.iter().enumerate().find_map(barred);
        for family in [room::first, headroom::first, apart::first, max_vms::first, pages::first, spare::first] {
            let before = first.as_ref().map_or(self.steps.len(), |(step, _)| *step);
            first = family(self, before).or(first);
        }
        first.map_or(Ok(()), |(_, fault)| Err(fault))
    }

    /// The judgement on the placement after the last step.
    fn end(&self) -> Result<(), Fault> {
        together::at_the_end(self).map_or(Ok(()), |(_, fault)| Err(fault))
    }

    /// The judgement on what moves at once of that which rules count together.
    fn crowds(&self) -> Result<(), Fault> {
        at_once::first(self).map_or(Ok(()), |(_, fault)| Err(fault))
    }

    /// The judgement on what begins now.
    fn beginning(&self) -> Result<(), Fault> {
        let beginning: Vec<usize> = (0..self.steps.len()).filter(|i| self.steps[*i].step.after.is_empty()).collect();
        limits::kept(&beginning, self)
    }

    fn sane(&self, plan: &Plan) -> Sane {
        Sane { plan: plan.id(), parent: plan.parent.clone(), steps: self.steps.len() as u32 }
    }

    /// The step with the fault that it leads to a state that breaks a rule.
    fn breaks(&self, step: usize, reason: Reason) -> (usize, Fault) {
        let (id, vm) = self.named(step);
        (step, Fault::Breaks { step: id, vm, reason })
    }

    fn named(&self, step: usize) -> (StepId, String) {
        let step = &self.steps[step];
        (step.step.id, self.grounds.snapshot.vm(step.vm).name.clone())
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

fn resolve<'p>(
    step: &'p Step,
    snapshot: &Snapshot,
    mover: &mut impl FnMut(VmIx) -> usize,
) -> Result<Resolved<'p>, Fault> {
    let Action::Move { vm, vm_name: _, from, to } = &step.action;
    let host_of = |name: &ulm_model::HostName| {
        snapshot.find_host(name).ok_or_else(|| Fault::UnknownHost { step: step.id, host: name.clone() })
    };
    let ix = snapshot.find_vm(*vm).ok_or(Fault::UnknownVm { step: step.id, vm: *vm })?;
    Ok(Resolved { step, vm: ix, mover: mover(ix), from: host_of(from)?, to: host_of(to)? })
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
