//! From a sequence of hops to a parallel plan.
//!
//! # Properties
//!
//! * Every state that can be reached by steps beginning when all that they wait for have ended well is sane, whatever the real
//!   durations are, whatever fails or hangs.
//! * The timetable keeps slots, lanes and waits; it never comes to a dead end.
//! * `makespan_bound_ms` is at most what any timetable of any route takes.
//! * The same input gives the same route, byte for byte.
//!
//! # Abstraction
//!
//! [`Jobs`]: hops that occupy slots and lanes while they run, take room at places (hosts, domains of counters) from
//! their start and give room at their end. Only room that can become scarce is looked at.
//!
//! # Method
//!
//! [`timetable`] schedules by a priority, [`improve`] tries several and keeps the best, [`relief`] parks a few VMs more where chains of
//! waiting are long, [`order`] derives from the best which hops
//! must wait for which, [`bound`] says what could not be better. A hop of a group is one step for each VM; to wait for it is to
//! wait for all of these. A rule whose answer depends on where others are keeps all hops in their order.
//!
//! # Complexity
//!
//! O(hops · log hops) in practice; 10,000 hops in a few tenths of a second.

mod bound;
mod improve;
mod jobs;
mod order;
mod relief;
mod replay;
mod timetable;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use ulm_model::{Power, Route, RouteAction, RouteStep};

use self::jobs::{Jobs, LONGEST, OneMove};
use self::timetable::Timetable;
use crate::problem::{Hop, NONE, Problem};
use crate::rule::Scope;

/// The parallel plan for hops of which every state is sane when they are made one after the other.
pub(crate) fn schedule(problem: &Problem, hops: &[Hop], cost_bound: u64) -> Route {
    let strict = problem.extra.iter().any(|rule| rule.nature().scope == Scope::Placement);
    let jobs = Jobs::new(problem, hops, strict);
    let mut ends: Vec<u32> = problem.items.iter().map(|item| item.home).collect();
    hops.iter().for_each(|hop| ends[hop.item as usize] = hop.to);
    let kept = kept(problem, &ends);
    let bound = bound::makespan_bound(problem, &ends, &kept);
    let table = improve::best_timetable(&jobs, bound);
    let one = relief::Scheduled { hops: hops.to_vec(), jobs, table };
    let relief::Scheduled { hops, jobs, table } = relief::relieved(problem, one, bound);
    let waits = order::without_implied(&order::waits(&jobs, &table.log));
    let steps = steps(problem, &jobs, &table, &waits, &kept);
    Route {
        makespan_ms: steps.iter().map(|step| step.end_ms).max().unwrap_or(0),
        makespan_bound_ms: bound,
        cost: hops.iter().map(|hop| problem.move_cost(hop.item, hop.from, hop.to)).sum(),
        cost_bound,
        steps,
    }
}

/// Which hosts have VMs when all hops have been made: a route that does not come to B may leave some on a host that is to be switched
/// off, which then stays on.
fn kept(problem: &Problem, ends: &[u32]) -> Vec<bool> {
    let mut kept = vec![false; problem.hosts];
    let mut moving = vec![false; problem.task.vms.len()];
    for (item, end) in problem.items.iter().zip(ends) {
        kept[*end as usize] = true;
        item.vms.iter().for_each(|vm| moving[*vm as usize] = true);
    }
    let staying = problem.task.vms.iter().zip(&moving).filter(|(_, moving)| !**moving);
    staying.for_each(|(vm, _)| kept[vm.from as usize] = true);
    kept
}

/// All steps in the order in which they begin: what is switched on first, then moves, then what is switched off.
fn steps(problem: &Problem, jobs: &Jobs, table: &Timetable, waits: &[Vec<u32>], kept: &[bool]) -> Vec<RouteStep> {
    let mut steps = Vec::new();
    let hosts = || problem.task.hosts.iter().enumerate();
    let mut on = vec![NONE; problem.hosts];
    for (host, power) in hosts().map(|(h, host)| (h, host.power)) {
        if let Power::SwitchOn { takes_ms } = power {
            on[host] = steps.len() as u32;
            let action = RouteAction::PowerOn { host: host as u32 };
            steps.push(RouteStep { action, after: Vec::new(), start_ms: 0, end_ms: takes_ms.min(LONGEST) });
        }
    }
    let mut left_at = vec![0u64; problem.hosts];
    let mut leaving: Vec<Vec<u32>> = vec![Vec::new(); problem.hosts];
    for (number, one) in jobs.moves.iter().enumerate() {
        let from = jobs.jobs[one.hop as usize].from as usize;
        left_at[from] = left_at[from].max(table.start[number] + one.ms);
        leaving[from].push(number as u32);
    }
    let mut off: Vec<(u64, usize, u64)> = Vec::new();
    for (h, host) in hosts().filter(|(h, _)| !kept[*h]) {
        if let Power::SwitchOff { takes_ms } = host.power {
            off.push((left_at[h], h, takes_ms));
        }
    }
    off.sort_unstable();
    let mut off = off.into_iter().peekable();
    let mut step_of = vec![NONE; jobs.moves.len()];
    let switch_off = |steps: &mut Vec<RouteStep>, step_of: &[u32], (start_ms, host, takes_ms): (u64, usize, u64)| {
        let mut after: Vec<u32> = leaving[host].iter().map(|one| step_of[*one as usize]).collect();
        after.sort_unstable();
        let action = RouteAction::PowerOff { host: host as u32 };
        steps.push(RouteStep { action, after, start_ms, end_ms: start_ms + takes_ms.min(LONGEST) });
    };
    for one in &table.begun {
        let start_ms = table.start[*one as usize];
        while let Some(host) = off.next_if(|host| host.0 < start_ms) {
            switch_off(&mut steps, &step_of, host);
        }
        let OneMove { hop, vm, ms } = jobs.moves[*one as usize];
        let job = &jobs.jobs[hop as usize];
        let earlier = waits[hop as usize].iter().flat_map(|earlier| jobs.moves_of(*earlier));
        let mut after: Vec<u32> = earlier.map(|one| step_of[one]).collect();
        after.extend(Some(on[job.to as usize]).filter(|on| *on != NONE));
        after.sort_unstable();
        step_of[*one as usize] = steps.len() as u32;
        let action = RouteAction::Move { vm, from: job.from, to: job.to, rate: job.rate };
        steps.push(RouteStep { action, after, start_ms, end_ms: start_ms + ms });
    }
    off.for_each(|host| switch_off(&mut steps, &step_of, host));
    steps
}
