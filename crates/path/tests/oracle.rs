//! The path finder against the truth, on 20,000 small tasks: the same answer in all, near the least cost, and every answer accepted
//! by the checker.
//!
//! `cargo test -p ulm-path --test oracle -- --nocapture` prints the figures.

mod common;

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use common::*;
use ulm_model::*;
use ulm_path::{Alone, Budget, ByBytes, MoveCost, path};

#[test]
fn mixed_tasks_1() {
    judge("mixed 1", 0..8_000, task, &ByBytes);
}

#[test]
fn mixed_tasks_2() {
    judge("mixed 2", 8_000..16_000, task, &ByBytes);
}

#[test]
fn tight_tasks() {
    judge("tight", 0..2_000, tight_task, &ByBytes);
}

#[test]
fn tasks_where_cost_depends_on_the_way() {
    judge("by way", 16_000..18_000, task, &ByWay);
}

/// Answers to all tasks, compared with the truth.
fn judge(name: &str, seeds: Range<u64>, make: fn(u64) -> Task, cost: &dyn MoveCost) {
    let mut count: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut ratios, mut worst, mut detours) = (0.0, (0.0, 0), 0u64);
    let mut faults: Vec<(u64, String)> = vec![];
    for seed in seeds.clone() {
        let task = make(seed);
        let truth = truth(&task, cost);
        let Ok(answer) = catch_unwind(AssertUnwindSafe(|| path(&task, cost, &Budget::default(), &Alone))) else {
            *count.entry("panics").or_default() += 1;
            faults.push((seed, "the path finder panics".into()));
            continue;
        };
        let fault = match (&answer, truth.optimum) {
            (Answer::Route(route), Some(optimum)) => {
                *count.entry("route").or_default() += 1;
                let direct: u64 = task.vms.iter().zip(0..).map(|(vm, i)| direct_cost(&task, cost, vm, i)).sum();
                detours += u64::from(optimum > direct);
                let ratio = if optimum == 0 { 1.0 } else { route.cost as f64 / optimum as f64 };
                ratios += ratio;
                if ratio > worst.0 {
                    worst = (ratio, seed);
                }
                route_fault(&task, route, cost, optimum, seed)
            }
            (Answer::Impossible { certificate }, None) => {
                *count.entry(kind(certificate)).or_default() += 1;
                check_certificate(&task, certificate)
                    .err()
                    .map(|fault| format!("the checker: {fault}\nin {certificate:?}"))
            }
            (Answer::Undecided { explored, why, .. }, _) => {
                *count.entry("undecided").or_default() += 1;
                Some(format!("undecided after {explored} states ({why:?}); the truth is {truth:?}"))
            }
            (Answer::Route(_), None) => Some("a route, where there is none".into()),
            (Answer::Impossible { certificate }, Some(optimum)) => {
                Some(format!("said to be impossible, but a route costs {optimum}: {certificate:?}"))
            }
        };
        faults.extend(fault.map(|fault| (seed, fault)));
    }
    let routes = count.get("route").copied().unwrap_or(0);
    let mean = if routes == 0 { 1.0 } else { ratios / routes as f64 };
    println!(
        "{name}: {} tasks, {count:?}; {detours} routes need more than one move for a VM; cost / least cost: mean {mean:.4}, worst \
         {:.3} (seed {})",
        seeds.end - seeds.start,
        worst.0,
        worst.1
    );
    for (seed, fault) in faults.iter().take(2) {
        println!("\nseed {seed}: {fault}\n{}", as_code(&make(*seed)));
    }
    for (seed, fault) in faults.iter().take(30) {
        println!("seed {seed}: {}", fault.lines().next().unwrap_or_default());
    }
    let all: Vec<u64> = faults.iter().map(|(seed, _)| *seed).collect();
    assert!(faults.is_empty(), "{name}: {} answers are wrong, those to the seeds {all:?}", faults.len());
    assert!(mean <= 1.10, "{name}: routes cost {mean} times the least on the average");
}

fn direct_cost(task: &Task, cost: &dyn MoveCost, vm: &TaskVm, i: u32) -> u64 {
    if vm.from == vm.to { 0 } else { cost.cost(task, i, vm.from, vm.to) }
}

/// What is wrong with a route where there is one.
fn route_fault(task: &Task, route: &Route, cost: &dyn MoveCost, optimum: u64, seed: u64) -> Option<String> {
    let faults = [
        check_route(task, route).err().map(|fault| format!("the checker: {fault}")),
        timetable_holds(task, route, cost).err(),
        carry_out(task, route, &mut Dice::new(seed), Slots::Ignored).err(),
        (route.cost < optimum).then(|| format!("cost {} is less than the least, {optimum}", route.cost)),
        (route.cost_bound > optimum)
            .then(|| format!("the bound {} is above the least cost {optimum}", route.cost_bound)),
    ];
    let faults: Vec<String> = faults.into_iter().flatten().collect();
    (!faults.is_empty()).then(|| format!("{}\nin {route:#?}", faults.join("\n")))
}

fn kind(certificate: &Certificate) -> &'static str {
    match certificate {
        Certificate::Unsound { .. } => "unsound",
        Certificate::Frozen { .. } => "frozen",
        Certificate::Closed { .. } => "closed",
        Certificate::Explored { .. } => "explored",
    }
}
