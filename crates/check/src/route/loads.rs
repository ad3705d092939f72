//! Whether every limit is kept in every state: resources of hosts, VMs of a rule in a domain.

use std::collections::{BTreeMap, HashSet};

use ulm_model::{RouteAction, RouteStep, TaskRuleKind};

use super::RouteFault;
use super::fault::{Company, Guest};
use crate::loads::{Counter, Event, Excess, first_excess};
use crate::order::Order;
use crate::terms::{Counts, Terms};

pub(super) fn first(terms: &Terms<'_>, steps: &[RouteStep], order: &Order) -> Option<(u32, RouteFault)> {
    // What only loses cannot come to have too much: only the counters that something is added to are looked at.
    let mut counters: BTreeMap<usize, Counter> = BTreeMap::new();
    for_each_change(terms, steps, |step, counter, weight, change| {
        let new =
            || Counter { base: terms.base(counter).into(), limit: terms.limit(counter).into(), ..Counter::default() };
        let counter = counters.entry(counter).or_insert_with(new);
        let events = if change == Change::Arrival { &mut counter.arrivals } else { &mut counter.departures };
        events.push(Event { step, weight: weight.into() });
    });
    let (numbers, counters): (Vec<usize>, Vec<Counter>) = counters.into_iter().unzip();
    let excess = first_excess(order, &counters)?;
    let (number, counter) = (numbers[excess.counter], &counters[excess.counter]);
    Some((excess.step, fault(terms, steps, number, counter, &excess)))
}

#[derive(Clone, Copy, PartialEq)]
enum Change {
    Arrival,
    Departure,
}

/// What each step brings to a counter or takes away from it. A VM that moves within a domain counts there throughout.
fn for_each_change(terms: &Terms<'_>, steps: &[RouteStep], mut then: impl FnMut(u32, usize, u64, Change)) {
    for (s, step) in steps.iter().enumerate() {
        let RouteAction::Move { vm, from, to, .. } = step.action else { continue };
        let (before, behind): (Vec<_>, Vec<_>) = (terms.counters(vm, from).collect(), terms.counters(vm, to).collect());
        for (counter, weight) in behind.iter().filter(|one| !before.contains(one)) {
            then(s as u32, *counter, *weight, Change::Arrival);
        }
        for (counter, weight) in before.iter().filter(|one| !behind.contains(one)) {
            then(s as u32, *counter, *weight, Change::Departure);
        }
    }
}

fn fault(terms: &Terms<'_>, steps: &[RouteStep], number: usize, counter: &Counter, excess: &Excess) -> RouteFault {
    let RouteAction::Move { vm, to, .. } = steps[excess.step as usize].action else {
        unreachable!("only moves bring something")
    };
    let (vm_name, host) = (terms.vm(vm).to_owned(), terms.host(to).to_owned());
    // Sums of a task are far below 2^64.
    let small = |amount: u128| u64::try_from(amount).unwrap_or(u64::MAX);
    let (step, reach, limit) = (excess.step, small(excess.worst), small(counter.limit));
    let company = Box::new(company(terms, steps, number, counter, excess));
    match terms.counts(number) {
        Counts::Resource { resource, .. } => {
            let resource = terms.resource(resource).to_owned();
            RouteFault::Overfull { step, vm: vm_name, host, resource, reach, limit, company }
        }
        Counts::Domain { rule, .. } => {
            let rule = terms.rule(rule).to_owned();
            RouteFault::TooMany { step, vm: vm_name, host, rule, reach, limit, company }
        }
    }
}

/// Who is there in the bad state: those of A and those that have arrived, less those that must have left.
fn company(terms: &Terms<'_>, steps: &[RouteStep], number: usize, counter: &Counter, excess: &Excess) -> Company {
    let vm_of = |step: u32| match steps[step as usize].action {
        RouteAction::Move { vm, .. } => vm,
        _ => unreachable!("only moves bring something or take it away"),
    };
    let task = terms.task;
    let candidates: Vec<u32> = match terms.counts(number) {
        Counts::Domain { rule, .. } => match &task.rules[rule as usize].kind {
            TaskRuleKind::AtMost { vms, .. } => vms.clone(),
            _ => Vec::new(),
        },
        Counts::Resource { host, .. } => {
            (0..task.vms.len() as u32).filter(|vm| task.vms[*vm as usize].from == host).collect()
        }
    };
    let counts = |vm: u32| terms.counters(vm, task.vms[vm as usize].from).any(|(c, weight)| c == number && weight > 0);
    // Who came before whom; each VM's arrivals and departures alternate.
    let mut there: Vec<(u32, Option<u32>)> =
        candidates.into_iter().filter(|vm| counts(*vm)).map(|vm| (vm, None)).collect();
    let arrived = excess.arrived.iter().map(|step| (*step, true));
    let mut changes: Vec<(u32, bool)> = arrived.chain(excess.left.iter().map(|step| (*step, false))).collect();
    changes.sort_unstable();
    for (step, arrives) in changes {
        if arrives {
            there.push((vm_of(step), Some(step)));
        } else {
            there.retain(|(vm, _)| *vm != vm_of(step));
        }
    }
    let guest = |(vm, arrival): &(u32, Option<u32>)| Guest {
        vm: terms.vm(*vm).to_owned(),
        arriving: arrival.is_some_and(|step| step != excess.step),
    };
    let present: HashSet<u32> = there.iter().map(|(vm, _)| *vm).collect();
    let left: HashSet<u32> = excess.left.iter().copied().collect();
    let arrival: BTreeMap<u32, u32> = there.iter().filter_map(|(vm, step)| Some((*vm, (*step)?))).collect();
    let mut leaving = BTreeMap::new();
    for departure in counter.departures.iter().filter(|departure| !left.contains(&departure.step)) {
        let vm = vm_of(departure.step);
        if present.contains(&vm) && arrival.get(&vm).is_none_or(|step| *step < departure.step) {
            leaving.entry(vm).or_insert(departure.step);
        }
    }
    Company {
        there: there.iter().map(guest).collect(),
        leaving: leaving.into_iter().map(|(vm, step)| (terms.vm(vm).to_owned(), step)).collect(),
    }
}
