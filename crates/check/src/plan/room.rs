//! **Room.** Memory and virtual CPUs that are promised stay within the limits of every target in the worst state that can be
//! reached, and its memory really suffices for all that come. A host that has too much already takes nothing before it has been
//! relieved. What VMs that stay have in common counts once, and what VMs that go have in common with others is not given back
//! ([`super::merged`]). Continuous.

use ulm_model::{Bytes, Host, HostIx, Reason, Vm};

use super::capacity::Promise;
use super::{Case, Fault};
use crate::loads::{Counter, Event, Excess, first_excess};

/// What is counted of a host, in the order in which it is complained of.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Counted {
    /// Memory that VMs were promised.
    Promised,
    /// Virtual CPUs.
    Vcpus,
    /// Ordinary memory that VMs really hold: only of those that come; what is available now already lacks what the others hold.
    /// Huge pages were set aside long ago, and those in them take nothing of it.
    Held,
}

pub(super) const ALL: [Counted; 3] = [Counted::Promised, Counted::Vcpus, Counted::Held];

impl Counted {
    fn of(self, vm: &Vm) -> u128 {
        match self {
            Counted::Promised => u128::from(vm.memory.0),
            Counted::Vcpus => u128::from(vm.vcpus),
            Counted::Held if vm.needs.as_ref().is_some_and(|needs| needs.pages.is_some()) => 0,
            Counted::Held => u128::from(vm.memory_use.0.last().map_or(vm.memory, |figure| figure.value).0),
        }
    }

    fn limit(self, host: &Host, promise: &Promise) -> u128 {
        match self {
            Counted::Promised => promise.memory,
            Counted::Vcpus => promise.vcpus,
            // Without a figure nothing may come at all; that is said when all else is well.
            Counted::Held => {
                host.memory_use.0.last().map_or(u128::MAX / 4, |used| host.memory.0.saturating_sub(used.value.0).into())
            }
        }
    }
}

/// The first of the steps before `before` that finds no room, whatever else has begun or has not ended.
pub(super) fn first(case: &Case<'_>, before: usize) -> Option<(usize, Fault)> {
    let snapshot = case.grounds.snapshot;
    let unread = case.steps[..before].iter().position(|step| snapshot.host(step.to).memory_use.0.is_empty());
    // The step that finds no figure may still break another limit.
    let counters = counters(case, unread.map_or(before, |i| i + 1));
    if let Some(excess) = first_excess(&case.order, &counters) {
        let step = excess.step as usize;
        return Some(case.breaks(step, reason(step, &counters[excess.counter].limit, &excess, case)));
    }
    let of = |i: usize| snapshot.host(case.steps[i].to).name.0.clone();
    unread.map(|i| case.breaks(i, Reason::TooFew { of: of(i), have: 0, needed: 1 }))
}

/// For each host one for each of [`ALL`], with the steps before `before`.
pub(super) fn counters(case: &Case<'_>, before: usize) -> Vec<Counter> {
    let snapshot = case.grounds.snapshot;
    let hosts = snapshot.hosts.iter().zip(&case.promises);
    let limits = hosts.flat_map(|(host, promise)| ALL.map(|counted| counted.limit(host, promise)));
    let mut counters: Vec<Counter> = limits.map(|limit| Counter { limit, ..Counter::default() }).collect();
    let mut of = |host: HostIx, then: &mut dyn FnMut(&mut Counter, Counted)| {
        let begin = host.at() * ALL.len();
        counters[begin..begin + ALL.len()].iter_mut().zip(ALL).for_each(|(counter, counted)| then(counter, counted));
    };
    for vm in &snapshot.vms {
        of(vm.host, &mut |counter, counted| {
            if counted != Counted::Held {
                counter.base += counted.of(vm);
            }
        });
    }
    for (host, _) in snapshot.hosts_ix() {
        let merged = &case.merged[host.at()];
        of(host, &mut |counter, counted| match counted {
            Counted::Promised => counter.base = counter.base.saturating_sub(merged.credit),
            Counted::Vcpus => {}
            Counted::Held => counter.base += merged.loss,
        });
    }
    for flight in &snapshot.in_flight {
        if let Some(to) = flight.to {
            of(to, &mut |counter, counted| counter.base += counted.of(snapshot.vm(flight.vm)));
        }
    }
    for (i, step) in case.steps[..before].iter().enumerate() {
        // What brings nothing is no arrival.
        let event = |counted: Counted| {
            let weight = counted.of(snapshot.vm(step.vm));
            (weight > 0).then_some(Event { step: i as u32, weight })
        };
        of(step.to, &mut |counter, counted| counter.arrivals.extend(event(counted)));
        of(step.from, &mut |counter, counted| counter.departures.extend(event(counted)));
    }
    counters
}

/// What the step finds too little of.
fn reason(step: usize, limit: &u128, excess: &Excess, case: &Case<'_>) -> Reason {
    let counted = ALL[excess.counter % ALL.len()];
    let step = &case.steps[step];
    let (vm, host) = (case.grounds.snapshot.vm(step.vm), case.grounds.snapshot.host(step.to).name.clone());
    let small = |amount: u128| u64::try_from(amount).unwrap_or(u64::MAX);
    // What the step itself finds: without what it brings.
    let free = Bytes(small((limit + counted.of(vm)).saturating_sub(excess.worst)));
    match counted {
        Counted::Promised => Reason::MemoryShort { host, needed: vm.memory, free },
        Counted::Vcpus => Reason::CpuOvercommit { host, vcpus: small(excess.worst), limit: small(*limit) },
        Counted::Held => Reason::MemoryUsed { host, needed: Bytes(small(counted.of(vm))), available: free },
    }
}
