//! Long routes. How long they take is told by `cargo test --release -p ulm-check --test scale -- --ignored --nocapture`.

mod common;

use std::time::Instant;

use common::{host, moved, route_of, rule, step, vm};
use ulm_check::{Completeness, RouteFault, check_route};
use ulm_model::*;

const VMS: u32 = 13;

/// Host 0 is empty and all others are full. The VMs of each host go to the host before it, each after one of that host's VMs has left.
fn row(hosts: u32) -> (Task, Route) {
    let sizes = [u64::from(VMS), 2 * u64::from(VMS), 3 * u64::from(VMS)];
    let pairs = (1..hosts).flat_map(|h| (0..VMS).map(move |v| (h, v)));
    let mut task = Task {
        resources: ["memory", "cpu", "disk"]
            .map(|name| TaskResource { name: name.into(), holds: Holds::Always })
            .into(),
        hosts: (0..hosts as usize).map(|h| host(h, &sizes)).collect(),
        vms: pairs.clone().enumerate().map(|(i, (h, _))| vm(i, h, h - 1, &[1, 2, 3])).collect(),
        rules: vec![],
        links: vec![],
    };
    // Racks of 50 hosts, of which one rule lets no more than there are in A have VMs of every thirteenth kind.
    let racks: Vec<Vec<u32>> = (0..hosts).collect::<Vec<u32>>().chunks(50).map(<[u32]>::to_vec).collect();
    let some = (0..(hosts - 1) * VMS).filter(|vm| vm % VMS == 0).collect();
    task.rules.push(rule("racks", TaskRuleKind::AtMost { vms: some, domains: racks.into(), limit: 50 }));
    let steps = pairs.enumerate().map(|(i, (h, v))| {
        let before = (i as u32).checked_sub(VMS);
        let mut made = step(i, moved(i as u32, h, h - 1), before.as_slice());
        (made.start_ms, made.end_ms) = (u64::from(h) * 10, u64::from(h) * 10 + 10);
        let _ = v;
        made
    });
    let route = route_of(steps.collect());
    (task, route)
}

fn judged(hosts: u32) {
    let (task, mut route) = row(hosts);
    println!("{hosts} hosts:");
    let begun = Instant::now();
    let arrived = check_route(&task, &route, Completeness::ToB).unwrap();
    println!("{hosts} hosts, {} steps: sane, found in {:?}", arrived.steps, begun.elapsed());
    // One step that does not wait, somewhere at the end.
    let spoilt = route.steps.len() - 5;
    route.steps[spoilt].after.clear();
    let begun = Instant::now();
    let fault = check_route(&task, &route, Completeness::ToB).unwrap_err();
    println!("{hosts} hosts: {fault}; found in {:?}", begun.elapsed());
    assert_eq!(fault.step(), Some(spoilt as u32));
    assert!(matches!(fault, RouteFault::Overfull { .. }));
}

#[test]
fn a_hundred_hosts() {
    judged(100);
}

#[test]
#[ignore = "for measuring"]
fn a_thousand_hosts() {
    judged(1_000);
}

#[test]
#[ignore = "for measuring"]
fn ten_thousand_hosts() {
    judged(10_000);
}

/// A counter that nearly every step is about: as many VMs in each of three zones as there are in A.
#[test]
#[ignore = "for measuring"]
fn ten_thousand_hosts_in_three_full_zones() {
    let (mut task, route) = row(10_000);
    let zones = (0..3).map(|zone| (0..10_000).filter(|h| h % 3 == zone).collect()).collect();
    let vms = (0..task.vms.len() as u32).collect();
    task.rules.push(rule("zones", TaskRuleKind::AtMost { vms, domains: zones, limit: 3334 * u64::from(VMS) }));
    let begun = Instant::now();
    let verdict = check_route(&task, &route, Completeness::ToB);
    println!(
        "three zones: {}; found in {:?}",
        verdict.map_or_else(|f| f.to_string(), |_| "sane".into()),
        begun.elapsed()
    );
}

/// Eight different VMs go about freely on six hosts, and a ninth one may not go where it is to be.
#[test]
#[ignore = "for measuring"]
fn more_than_a_million_placements_are_explored_again() {
    let mut task = common::task(&[99; 6], &(0..9).map(|vm| (0, 5, 1 + vm)).collect::<Vec<_>>());
    task.rules.push(rule("stays", TaskRuleKind::Only { vms: vec![8], hosts: vec![0] }));
    let classes = (0..9).map(|vm| vec![vm]).collect();
    let begun = Instant::now();
    let proof = Certificate::Explored { from: End::A, classes, states: 6u64.pow(8) };
    let verdict = ulm_check::check_certificate(&task, &proof);
    println!("{verdict:?}, found in {:?}", begun.elapsed());
    assert_eq!(verdict, Ok(()));
}
