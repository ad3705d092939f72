//! Whether a route's steps name what there is, and wait only for earlier ones.

use ulm_model::{RouteAction, RouteStep, Task};

use super::RouteFault;

pub(super) fn first(task: &Task, steps: &[RouteStep]) -> Option<(u32, RouteFault)> {
    (0..steps.len() as u32).find_map(|step| Some((step, of_step(task, step, &steps[step as usize])?)))
}

fn of_step(task: &Task, step: u32, content: &RouteStep) -> Option<RouteFault> {
    let (hosts, vms) = (task.hosts.len() as u32, task.vms.len() as u32);
    let known = match content.action {
        RouteAction::Move { vm, from, to, .. } => vm < vms && from < hosts && to < hosts,
        RouteAction::PowerOn { host } | RouteAction::PowerOff { host } => host < hosts,
    };
    if !known {
        return Some(RouteFault::Unknown { step });
    }
    if let Some(other) = content.after.iter().find(|other| **other >= step) {
        return Some(RouteFault::NotEarlier { step, other: *other });
    }
    let ascending = content.after.windows(2).all(|two| two[0] < two[1]);
    (!ascending).then_some(RouteFault::Unordered { step })
}
