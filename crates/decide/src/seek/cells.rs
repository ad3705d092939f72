//! Memory in NUMA cells, as resources of a placement question: one for each supply that a VM which takes part is bound to, and for each
//! one in which a goal wants room. A question in which neither is has none of them.
//!
//! A host has of a supply what is left of it now, and what VMs that take part certainly take of it where they are. Where room is wanted in
//! ordinary pages of a cell, VMs that are bound to none take of it loosely too.

use std::collections::BTreeSet;

use ulm_model::{HostIx, Snapshot, Vm};
use ulm_policy::{Goal, Shape};
use ulm_rules::numa;

use super::question::{Question, RESOURCES, whole_number};
use super::terms::concerns;
use crate::cells::{Supply, Taken, gives_back};
use crate::round::Round;

/// The supplies of a question, in the order of their resources.
#[derive(Clone, Default)]
pub(crate) struct Supplies(Vec<(Supply, For)>);

/// Who asks for a supply.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum For {
    Vms,
    /// Room is wanted in it.
    Room,
}

impl Supplies {
    fn resource(&self, supply: &Supply) -> Option<usize> {
        self.0.iter().position(|(known, _)| known == supply).map(|place| RESOURCES + place)
    }
}

/// Adds what VMs that take part are bound to.
pub(super) fn of_vms(question: &mut Question, round: &Round<'_>) {
    let vms = question.vms.iter().map(|vm| round.input.snapshot.vm(*vm));
    let all: BTreeSet<Supply> = vms.filter_map(Supply::of).collect();
    for supply in all {
        resource(question, round, supply, For::Vms);
    }
}

/// Adds that room is wanted in cells or huge pages. Gives the parts of a host in which it may be, each with what one VM takes there;
/// `None`: it may be anywhere.
pub(crate) fn wanted(
    question: &mut Question,
    round: &Round<'_>,
    goal: &Goal,
    shape: &Shape,
) -> Option<Vec<(usize, i64)>> {
    let supplies = supplies(round, goal, shape)?.into_iter();
    let memory = whole_number(shape.memory.0);
    Some(supplies.map(|supply| (resource(question, round, supply, For::Room), memory)).collect())
}

/// The resources that [`wanted`] has added for this.
pub(crate) fn parts(question: &Question, round: &Round<'_>, goal: &Goal, shape: &Shape) -> Option<Vec<usize>> {
    let supplies = supplies(round, goal, shape)?;
    Some(supplies.iter().filter_map(|supply| question.supplies.resource(supply)).collect())
}

/// Where room of this shape may be: in each cell that one of the goal's hosts has, or in all of a host; `None`: it matters in no way.
fn supplies(round: &Round<'_>, goal: &Goal, shape: &Shape) -> Option<Vec<Supply>> {
    let supply = |cells| Supply { pages: shape.pages, cells };
    if !shape.cell {
        return shape.pages.map(|_| vec![supply(BTreeSet::new())]);
    }
    let hosts = round.input.snapshot.hosts.iter().filter(|host| concerns(goal, host));
    let ids: BTreeSet<u32> = hosts.flat_map(|host| &host.cells).map(|cell| cell.id).collect();
    Some(ids.into_iter().map(|id| supply([id].into())).collect())
}

/// The number of the supply among the question's resources, with what hosts have and VMs take of it.
fn resource(question: &mut Question, round: &Round<'_>, supply: Supply, by: For) -> usize {
    let snapshot = &round.input.snapshot;
    let known = question.supplies.resource(&supply);
    let r = known.unwrap_or(question.problem.resources);
    let by = known.map_or(by, |known| by.max(question.supplies.0[known - RESOURCES].1));
    if known.is_none() {
        question.problem.resources += 1;
        question.problem.hosts.iter_mut().for_each(|host| host.capacity.push(0));
        question.problem.hosts.iter_mut().for_each(|host| host.base.push(0));
        question.problem.vms.iter_mut().for_each(|vm| vm.size.push(0));
    }
    for (i, host) in question.problem.hosts.iter_mut().enumerate() {
        let host_ix = HostIx(i as u32);
        let left = if by == For::Room { for_room(&supply, snapshot, host_ix) } else { supply.left(snapshot, host_ix) };
        host.capacity[r] = whole_number(u64::try_from(left.max(0)).unwrap_or(u64::MAX));
    }
    for (ix, vm) in question.vms.iter().zip(&question.problem.vms) {
        let one = snapshot.vm(*ix);
        if supply.taken_by(one) == Taken::Wholly {
            question.problem.hosts[vm.at as usize].capacity[r] += whole_number(gives_back(one).0);
        }
    }
    let taken = |vm: &Vm| match supply.taken_by(vm) {
        Taken::Nothing if by == For::Room && may_lie_in(vm, &supply) => Taken::Loosely,
        taken => taken,
    };
    for (ix, vm) in question.vms.iter().zip(&mut question.problem.vms) {
        let one = snapshot.vm(*ix);
        let taken = taken(one);
        vm.size[r] = if taken == Taken::Nothing { 0 } else { whole_number(numa::takes(one).0) };
        if taken == Taken::Loosely && !vm.loosely.contains(&r) {
            vm.loosely.push(r);
            vm.loosely.sort_unstable();
        }
    }
    match known {
        Some(known) => question.supplies.0[known - RESOURCES].1 = by,
        None => question.supplies.0.push((supply, by)),
    }
    r
}

/// What is left of it for a VM that does not exist yet: less than for one that is bound, where something comes that may lie anywhere.
/// Below 0: more comes than is free.
pub(crate) fn for_room(supply: &Supply, snapshot: &Snapshot, host: HostIx) -> i128 {
    let flights = snapshot.in_flight.iter().filter(|flight| flight.to == Some(host));
    let coming = flights.map(|flight| snapshot.vm(flight.vm)).filter(|vm| may_lie_in(vm, supply));
    supply.left(snapshot, host) - coming.map(|vm| i128::from(numa::takes(vm).0)).sum::<i128>()
}

/// Whether the VM is in ordinary pages of any cell, and the supply is in such pages.
fn may_lie_in(vm: &Vm, supply: &Supply) -> bool {
    supply.pages.is_none() && vm.needs.as_ref().is_none_or(|needs| !numa::is_bound(needs))
}
