//! A route as the steps of a plan, each with its reason.

use ulm_model::{Expected, Reason, Route, RouteAction, Snapshot, Step, StepId};
use ulm_place::Choice;

use super::field::Field;
use crate::draft::action;
use crate::wanted::Wanted;

/// A move of the route.
struct Hop {
    vm: u32,
    from: u32,
    to: u32,
}

/// The route's steps, in the order of its timetable; where none waits for another one, in the order in which the VMs are wanted: what
/// matters most is begun first. Their numbers are their places.
pub(super) fn of(route: &Route, field: &Field, asked: &[&Wanted], snapshot: &Snapshot) -> Vec<Step> {
    let mut hops: Vec<Hop> = route
        .steps
        .iter()
        .map(|step| match step.action {
            RouteAction::Move { vm, from, to, .. } => Hop { vm, from, to },
            RouteAction::PowerOn { .. } | RouteAction::PowerOff { .. } => unreachable!("every host of the task is on"),
        })
        .collect();
    if route.steps.iter().all(|step| step.after.is_empty()) {
        hops.sort_by_key(|hop| hop.vm);
    }
    let step = |(i, hop): (usize, &Hop)| Step {
        id: StepId(i as u32),
        action: action(
            snapshot,
            Choice { vm: field.vms[hop.vm as usize], to: field.hosts[hop.to as usize] },
            field.hosts[hop.from as usize],
        ),
        after: route.steps[i].after.iter().map(|earlier| StepId(*earlier)).collect(),
        because: because(i, &hops, route, field, asked, snapshot),
        expected: expected(i, &hops, asked),
    };
    hops.iter().enumerate().map(step).collect()
}

/// A VM's last move brings it where it is wanted, or back; all moves before make room for another one.
fn because(i: usize, hops: &[Hop], route: &Route, field: &Field, asked: &[&Wanted], snapshot: &Snapshot) -> Reason {
    let hop = &hops[i];
    let host = |host: u32| snapshot.host(field.hosts[host as usize]).name.clone();
    let wanted = asked.get(hop.vm as usize).map(|one| one.because.clone());
    let arrives = |j: &usize| hops[*j].to == hop.from && hops[*j].vm != hop.vm;
    let later = || (i + 1..hops.len()).filter(arrives);
    let waits = |j: &usize| route.steps[*j].after.contains(&(i as u32));
    let is_last = hops[i + 1..].iter().all(|other| other.vm != hop.vm);
    match later().find(waits).or_else(|| later().next()) {
        Some(j) if !is_last => {
            let for_vm = snapshot.vm(field.vms[hops[j].vm as usize]).name.clone();
            Reason::MakesRoom { for_vm, host: host(hop.from) }
        }
        _ => wanted.unwrap_or_else(|| Reason::GoesBack { host: host(field.task.vms[hop.vm as usize].to) }),
    }
}

/// What was forecast for the wanted VM, on the move that brings it there.
fn expected(i: usize, hops: &[Hop], asked: &[&Wanted]) -> Option<Expected> {
    let is_last = hops[i + 1..].iter().all(|other| other.vm != hops[i].vm);
    asked.get(hops[i].vm as usize).filter(|_| is_last)?.expected.clone()
}
