//! Stand-in until the scheduler is in: one hop after the other.
use ulm_model::{Route, RouteAction, RouteStep};

use crate::problem::{Hop, Problem};

pub(crate) fn schedule(problem: &Problem<'_>, hops: &[Hop], cost_bound: u64) -> Route {
    let mut route = Route { cost_bound, ..Route::default() };
    let mut before: Vec<u32> = Vec::new();
    let mut now = 0;
    for hop in hops {
        let first = route.steps.len() as u32;
        for vm in &problem.items[hop.item as usize].vms {
            let action = RouteAction::Move { vm: *vm, from: hop.from, to: hop.to, rate: 0 };
            route.steps.push(RouteStep { action, after: before.clone(), start_ms: now, end_ms: now + 1 });
        }
        now += 1;
        before = (first..route.steps.len() as u32).collect();
        route.cost += problem.move_cost(hop.item, hop.from, hop.to);
    }
    route.makespan_ms = now;
    route
}
