//! Whether there is room on every target in the worst state that can be reached.

use ulm_model::{Bytes, Host, HostIx, Reason, Vm};

use super::{Fault, Grounds, Resolved, breaks};
use crate::loads::{Counter, Event, Excess, first_excess};
use crate::order::Order;

/// What is counted of a host, in the order in which it is complained of.
#[derive(Clone, Copy, PartialEq)]
enum Counted {
    /// Memory that VMs were promised.
    Promised,
    /// Virtual CPUs.
    Vcpus,
    /// Memory that VMs really hold: only of those that come; what is available now already lacks what the others hold.
    Held,
}

const ALL: [Counted; 3] = [Counted::Promised, Counted::Vcpus, Counted::Held];

impl Counted {
    fn of(self, vm: &Vm) -> u128 {
        match self {
            Counted::Promised => u128::from(vm.memory.0),
            Counted::Vcpus => u128::from(vm.vcpus),
            Counted::Held => u128::from(vm.memory_use.0.last().map_or(vm.memory, |figure| figure.value).0),
        }
    }

    fn limit(self, host: &Host, grounds: &Grounds<'_>) -> u128 {
        let capacity = &grounds.rulebook.capacity;
        match self {
            Counted::Promised => {
                u128::from(host.memory.0.saturating_sub(capacity.memory_reserve.0))
                    * u128::from(capacity.memory_overcommit.0)
                    / 10_000
            }
            Counted::Vcpus => u128::from(host.cpu.0) * u128::from(capacity.cpu_overcommit.0) / 10_000 / 1000,
            // Without a figure nothing may come at all; that is said when all else is well.
            Counted::Held => {
                host.memory_use.0.last().map_or(u128::MAX / 4, |used| host.memory.0.saturating_sub(used.value.0).into())
            }
        }
    }
}

/// Whether each step finds room, whatever else has begun or has not ended. A host that has too much already takes nothing before
/// it has been relieved.
pub(super) fn suffices(steps: &[Resolved<'_>], order: &Order, grounds: &Grounds<'_>) -> Result<(), Fault> {
    let snapshot = grounds.snapshot;
    let unread = steps.iter().position(|step| snapshot.host(step.to).memory_use.0.is_empty());
    // The step that finds no figure may still break another limit.
    let steps = &steps[..unread.map_or(steps.len(), |i| i + 1)];
    let counters = counters(steps, grounds);
    if let Some(excess) = first_excess(order, &counters) {
        let step = &steps[excess.step as usize];
        return Err(breaks(step, grounds, reason(step, &counters[excess.counter].limit, &excess, grounds)));
    }
    match unread {
        Some(i) => {
            let of = snapshot.host(steps[i].to).name.0.clone();
            Err(breaks(&steps[i], grounds, Reason::TooFew { of, have: 0, needed: 1 }))
        }
        None => Ok(()),
    }
}

/// Three for each host.
fn counters(steps: &[Resolved<'_>], grounds: &Grounds<'_>) -> Vec<Counter> {
    let snapshot = grounds.snapshot;
    let limits = snapshot.hosts.iter().flat_map(|host| ALL.map(|counted| counted.limit(host, grounds)));
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
    for flight in &snapshot.in_flight {
        if let Some(to) = flight.to {
            of(to, &mut |counter, counted| counter.base += counted.of(snapshot.vm(flight.vm)));
        }
    }
    for (i, step) in steps.iter().enumerate() {
        let event = |counted: Counted| Event { step: i as u32, weight: counted.of(snapshot.vm(step.vm)) };
        of(step.to, &mut |counter, counted| counter.arrivals.push(event(counted)));
        of(step.from, &mut |counter, counted| counter.departures.push(event(counted)));
    }
    counters
}

/// What the step finds too little of.
fn reason(step: &Resolved<'_>, limit: &u128, excess: &Excess, grounds: &Grounds<'_>) -> Reason {
    let counted = ALL[excess.counter % ALL.len()];
    let (vm, host) = (grounds.snapshot.vm(step.vm), grounds.snapshot.host(step.to).name.clone());
    let small = |amount: u128| u64::try_from(amount).unwrap_or(u64::MAX);
    // What the step itself finds: without what it brings.
    let free = Bytes(small((limit + counted.of(vm)).saturating_sub(excess.worst)));
    match counted {
        Counted::Promised => Reason::MemoryShort { host, needed: vm.memory, free },
        Counted::Vcpus => Reason::CpuOvercommit { host, vcpus: small(excess.worst), limit: small(*limit) },
        Counted::Held => Reason::MemoryUsed { host, needed: Bytes(small(counted.of(vm))), available: free },
    }
}
