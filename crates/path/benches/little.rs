//! Hard little ones: random shuffles of 4 to 12 hosts and 9 to 40 VMs, up to 95 % full.
//!
//! Twenty tasks a row, A and B packed at random and independently, so that every VM may have to move. Prints how many have a route, are
//! proved to have none and stay undecided; what routes cost by the least cost that exhaustive search finds (A* with the memory of the
//! misplaced VMs, without any other help, up to 200,000 states), and of how many tasks that is known, by the bound that comes with the
//! route for the others; and the median and the longest processor time with timetable. Every route and every proof is given to the
//! checker.
//!
//! Beside it the founding project of 2013 (`migrationpaths`): for how many of the tasks that have a route its recursive displacement found one,
//! as published and with its fault repaired (measured by the throw-away prototype on tasks of the same kind, but not the same);
//! its routes cost 1.0 to 1.4 times the least, and its own solver takes seconds for 9 VMs.
//!
//! `cargo bench -p ulm-path --bench little -- WORD...` measures only rows that hold one of the words.

mod common;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use common::small::small;
use common::{Within, timed, wanted};
use ulm_check::{Completeness, check_certificate, check_route};
use ulm_model::*;
use ulm_path::{Budget, ByBytes, path};

const TASKS: u64 = 20;
const LIMIT: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(4);
/// States up to which the least cost is looked for.
const STATES: usize = 200_000;

/// Hosts, VMs (as many flavours as fill the hosts: [`FLAVOURS`]), fill in per cent; and what part of the routes the founding project found.
const ROWS: [(usize, usize, u64, &str); 17] = [
    (4, 9, 85, "63 %, repaired 73 %"),
    (5, 13, 80, "repaired 40 of 40"),
    (5, 13, 88, "repaired 29 of 36"),
    (6, 16, 85, "–"),
    (6, 16, 90, "repaired 26 of 39"),
    (8, 24, 85, "–"),
    (10, 30, 85, "–"),
    (12, 40, 85, "–"),
    (12, 40, 90, "–"),
    (12, 40, 95, "–"),
    (5, FLAVOURS, 85, "–"),
    (5, FLAVOURS, 90, "–"),
    (6, FLAVOURS, 92, "repaired 40 of 40"),
    (8, FLAVOURS, 90, "–"),
    (8, FLAVOURS, 95, "–"),
    (10, FLAVOURS, 90, "–"),
    (10, FLAVOURS, 95, "–"),
];
/// VMs of 4, 8, 16 and 32 GiB on hosts of 64, about four on a host.
const FLAVOURS: usize = 0;

fn main() {
    println!(
        "{:<16} {:>6} {:>10} {:>9} {:>14} {:>6} {:>12} {:>10} {:>10}   founding project found",
        "hosts×VMs, fill",
        "route",
        "impossible",
        "undecided",
        "cost / least",
        "known",
        "cost / bound",
        "median",
        "longest"
    );
    for (hosts, vms, fill, founders) in ROWS {
        let name = match vms {
            FLAVOURS => format!("{hosts} .{fill}, flavours"),
            _ => format!("{hosts}×{vms} .{fill}"),
        };
        if wanted(&name) {
            measure(&name, hosts, vms, fill, founders);
        }
    }
}

fn measure(name: &str, hosts: usize, vms: usize, fill: u64, founders: &str) {
    let (mut routes, mut proofs, mut undecided) = (0, 0, 0);
    let (mut times, mut by_least, mut by_bound) = (vec![], vec![], vec![]);
    for seed in 0..TASKS {
        let Some(task) = small(hosts, vms, vms == FLAVOURS, fill, seed) else { continue };
        let budget = Budget { expansions: u64::MAX, ..Budget::default() };
        let began = Instant::now();
        let (answer, time) = timed(|| path(&task, &ByBytes, &budget, &Within::new(LIMIT)));
        // The kernel counts processor time in ticks of some milliseconds.
        times.push(if time < TICK { began.elapsed() } else { time });
        match answer {
            Answer::Route(route) => {
                routes += 1;
                check_route(&task, &route, Completeness::ToB)
                    .unwrap_or_else(|fault| panic!("{name}, {seed}: {fault:?}"));
                match least_cost(&task) {
                    Some(least) => by_least.push(route.cost as f64 / least.max(1) as f64),
                    None => by_bound.push(route.cost as f64 / route.cost_bound.max(1) as f64),
                }
            }
            Answer::Impossible { certificate } => {
                proofs += 1;
                check_certificate(&task, &certificate).unwrap_or_else(|fault| panic!("{name}, {seed}: {fault:?}"));
            }
            Answer::Undecided { .. } => undecided += 1,
        }
    }
    if times.is_empty() {
        println!("{name:<16} no random packing was found");
        return;
    }
    times.sort();
    let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    println!(
        "{name:<16} {routes:>6} {proofs:>10} {undecided:>9} {:>14} {:>6} {:>12} {:>10} {:>10}   {founders}",
        mean(&by_least),
        by_least.len(),
        mean(&by_bound),
        ms(times[times.len() / 2]),
        ms(times[times.len() - 1]),
    );
}

fn mean(ratios: &[f64]) -> String {
    match ratios.len() {
        0 => "–".to_owned(),
        count => format!("{:.3}", ratios.iter().sum::<f64>() / count as f64),
    }
}

/// The least cost of a way to B; none if too many states have to be looked at.
fn least_cost(task: &Task) -> Option<u64> {
    let size = |vm: usize| task.vms[vm].size[0];
    let misplaced = |at: &[u8]| -> u64 {
        let away = (0..at.len()).filter(|vm| u32::from(at[*vm]) != task.vms[*vm].to);
        away.map(|vm| task.vms[vm].copy.bytes).sum()
    };
    let start: Vec<u8> = task.vms.iter().map(|vm| vm.from as u8).collect();
    let mut least: HashMap<Vec<u8>, u64> = HashMap::from([(start.clone(), 0)]);
    let mut open = BinaryHeap::from([Reverse((misplaced(&start), 0u64, start))]);
    while let Some(Reverse((_, cost, mut at))) = open.pop() {
        if least[&at] < cost {
            continue;
        }
        let left = misplaced(&at);
        if left == 0 {
            return Some(cost);
        }
        if least.len() > STATES {
            return None;
        }
        let mut free: Vec<u64> = task.hosts.iter().map(|host| host.capacity[0]).collect();
        (0..at.len()).for_each(|vm| free[at[vm] as usize] -= size(vm));
        for vm in 0..at.len() {
            let from = at[vm];
            for to in (0..free.len()).filter(|to| *to != from as usize && free[*to] >= size(vm)) {
                at[vm] = to as u8;
                let next = cost + task.vms[vm].copy.bytes;
                if least.get(&at).is_none_or(|known| next < *known) {
                    least.insert(at.clone(), next);
                    open.push(Reverse((next + misplaced(&at), next, at.clone())));
                }
            }
            at[vm] = from;
        }
    }
    None
}
