//! How many VMs of a rule are in each area: what [`super::apart`] and [`super::max_vms`] count.

use super::Case;
use crate::loads::{Counter, Event};

/// One counter for each of so many areas, with the steps before `before`. No worse: the limit is `at_most`, or what is there already.
///
/// `members` says of all VMs, `moves` of those of the steps whether they count; `area` says where each host is, if in any.
pub(super) fn counters(
    case: &Case<'_>,
    before: usize,
    members: &[bool],
    (area, areas): (&[Option<usize>], usize),
    at_most: u32,
) -> Vec<Counter> {
    let snapshot = case.grounds.snapshot;
    let mut counters = vec![Counter::default(); areas];
    for (vm, _) in snapshot.vms.iter().zip(members).filter(|(_, member)| **member) {
        area[vm.host.at()].into_iter().for_each(|a| counters[a].base += 1);
    }
    for flight in snapshot.in_flight.iter().filter(|flight| members[flight.vm.at()]) {
        // Within an area it counts once.
        let to = flight.to.and_then(|to| area[to.at()]);
        to.filter(|to| area[flight.from.at()] != Some(*to)).into_iter().for_each(|a| counters[a].base += 1);
    }
    for (i, step) in case.steps[..before].iter().enumerate().filter(|(_, step)| members[step.vm.at()]) {
        let (from, to) = (area[step.from.at()], area[step.to.at()]);
        if from != to {
            let event = Event { step: i as u32, weight: 1 };
            from.into_iter().for_each(|a| counters[a].departures.push(event));
            to.into_iter().for_each(|a| counters[a].arrivals.push(event));
        }
    }
    for counter in &mut counters {
        counter.limit = counter.base.max(at_most.into());
    }
    counters
}
