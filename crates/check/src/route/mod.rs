//! Routes: is every state that one can reach sane, and does it lead to B?

mod fault;
mod groups;
mod loads;
mod shape;
mod timetable;
mod walk;

pub use fault::{Company, Guest, RouteFault};

use std::collections::HashSet;

use ulm_model::{Power, Route, RouteAction, RouteStep, Task};

use crate::end;
use crate::order::Order;
use crate::terms::Terms;

/// Where a route is to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// To B, which must be sound: every VM is there, and every host is on or off as it is to be.
    ToB,
    /// To any placement, by sane states: the way that an undecided search has found.
    AnyPlacement,
}

/// The receipt for a route of which every reachable state is sane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Where each VM is at the end.
    pub at: Vec<u32>,
    /// How many steps were looked at.
    pub steps: u32,
}

/// The fault with the lowest step, and so how far the other checks have to look.
struct Lowest {
    upto: usize,
    fault: Option<RouteFault>,
}

impl Lowest {
    /// Takes what a check has found among the steps before [`Lowest::upto`].
    fn take(&mut self, found: Option<(u32, RouteFault)>) {
        if let Some((step, fault)) = found {
            self.upto = step as usize;
            self.fault = Some(fault);
        }
    }
}

/// Whether every state that the route can reach is sane, and whether it leads where it is to lead; if not, the fault with the
/// lowest step.
///
/// Steps wait only for earlier ones, so the first steps are a route by themselves. A fault of step `s` is one of the first `s`
/// steps and this one; each check looks only at the steps before the lowest fault that is known.
pub fn check_route(task: &Task, route: &Route, completeness: Completeness) -> Result<Arrived, RouteFault> {
    if let Some(flaw) = task.flaw() {
        return Err(RouteFault::TaskFlawed { flaw });
    }
    let terms = Terms::of(task);
    let steps = &route.steps;
    let mut lowest = Lowest { upto: steps.len(), fault: None };
    lowest.take(shape::first(task, steps));
    let order = Order::new(steps[..lowest.upto].iter().map(|step| step.after.as_slice()));
    lowest.take(walk::first(&terms, &steps[..lowest.upto], &order));
    lowest.take(groups::first(&terms, steps, lowest.upto, &order));
    lowest.take(timetable::first(task, &steps[..lowest.upto]));
    lowest.take(loads::first(&terms, &steps[..lowest.upto], &order));
    match lowest.fault {
        Some(fault) => Err(fault),
        None => arrived(task, route, completeness),
    }
}

/// What is to be so at the end.
fn arrived(task: &Task, route: &Route, completeness: Completeness) -> Result<Arrived, RouteFault> {
    let wanted = route.steps.iter().map(|step: &RouteStep| step.end_ms).max().unwrap_or(0);
    if route.makespan_ms != wanted {
        return Err(RouteFault::Makespan { found: route.makespan_ms, wanted });
    }
    let at = route.placement(task);
    if completeness == Completeness::ToB {
        if let Some(vm) = (0..at.len()).find(|vm| at[*vm] != task.vms[*vm].to) {
            let host = |host: u32| task.hosts[host as usize].name.clone();
            let (name, to) = (task.vms[vm].name.clone(), task.vms[vm].to);
            return Err(RouteFault::NotThere { vm: name, host: host(to), really: host(at[vm]) });
        }
        if let Some((host, on)) = not_switched(task, route) {
            return Err(RouteFault::NotSwitched { host: task.hosts[host].name.clone(), on });
        }
        if let Some(breach) = end::breach(task) {
            return Err(RouteFault::EndUnsound { breach: end::sentence(task, &breach) });
        }
    }
    Ok(Arrived { at, steps: route.steps.len() as u32 })
}

/// A host that is not as it is to be in B, and whether it is to be on.
fn not_switched(task: &Task, route: &Route) -> Option<(usize, bool)> {
    let switched: HashSet<u32> = route
        .steps
        .iter()
        .filter_map(|step| match step.action {
            RouteAction::PowerOn { host } | RouteAction::PowerOff { host } => Some(host),
            RouteAction::Move { .. } => None,
        })
        .collect();
    (0..task.hosts.len()).filter(|host| !switched.contains(&(*host as u32))).find_map(|host| {
        match task.hosts[host].power {
            Power::SwitchOn { .. } => Some((host, true)),
            Power::SwitchOff { .. } => Some((host, false)),
            Power::On | Power::Off => None,
        }
    })
}
