//! Properties on small random sequences, against all states that can be reached; cases by hand; figures of large tasks.

use std::collections::BTreeSet;

use ulm_check::{Completeness, check_route};
use ulm_model::{Power, Route, RouteAction, Task, TaskRuleKind};

use super::samples::*;
use super::schedule;
use crate::cost::ByBytes;
use crate::problem::{Hop, Problem};
use crate::rule::{Nature, Rule, Scope};

fn route(task: &Task, hops: &[Hop]) -> Route {
    schedule(&Problem::new(task, &ByBytes, &[]), hops, 0)
}

/// Waits are for earlier steps that end before, slots and lanes suffice, targets are on.
fn assert_timetable(task: &Task, route: &Route) {
    let crosses = |link: &ulm_model::TaskLink, inner: u32, outer: u32| {
        link.inside.contains(&inner) && !link.inside.contains(&outer)
    };
    let mut last = 0;
    for (number, step) in route.steps.iter().enumerate() {
        assert!(step.start_ms >= last, "step {number} begins before the last one");
        last = step.start_ms;
        assert!(step.after.is_sorted_by(|a, b| a < b) && step.after.iter().all(|other| (*other as usize) < number));
        for other in &step.after {
            assert!(route.steps[*other as usize].end_ms <= step.start_ms, "{number} waits for {other}");
        }
        let RouteAction::Move { from, to, .. } = step.action else { continue };
        let (mut out, mut into, mut lanes) = (0, 0, vec![[0u64; 2]; task.links.len()]);
        for (n, other) in route.steps.iter().enumerate() {
            // Of moves that take no time only the one itself counts.
            let RouteAction::Move { from: f, to: t, rate, .. } = other.action else { continue };
            if n != number && !(other.start_ms <= step.start_ms && step.start_ms < other.end_ms) {
                continue;
            }
            if other.start_ms == step.start_ms && n > number {
                continue;
            }
            out += u32::from(f == from);
            into += u32::from(t == to);
            for (link, used) in task.links.iter().zip(&mut lanes) {
                used[0] += if crosses(link, f, t) { rate } else { 0 };
                used[1] += if crosses(link, t, f) { rate } else { 0 };
            }
        }
        assert!(out <= task.hosts[from as usize].moves_out, "step {number}: {out} moves out");
        assert!(into <= task.hosts[to as usize].moves_in, "step {number}: {into} moves in");
        for (link, used) in task.links.iter().zip(lanes) {
            assert!(used.iter().all(|used| *used <= link.rate), "step {number}: {used:?} on a link of {}", link.rate);
        }
    }
    assert_eq!(route.makespan_ms, route.steps.iter().map(|step| step.end_ms).max().unwrap_or(0));
    assert!(route.makespan_bound_ms <= route.makespan_ms, "{} > {}", route.makespan_bound_ms, route.makespan_ms);
}

/// Whether the state is sane in which these steps have begun and those have ended, by what `task.rs` says.
fn fault(task: &Task, route: &Route, begun: u32, ended: u32) -> Option<String> {
    let mut there: Vec<BTreeSet<u32>> = task.vms.iter().map(|vm| BTreeSet::from([vm.from])).collect();
    let mut on: Vec<bool> =
        task.hosts.iter().map(|host| matches!(host.power, Power::On | Power::SwitchOff { .. })).collect();
    // Steps of one VM wait for each other, so that their numbers are in the order in which they happen.
    for (n, step) in route.steps.iter().enumerate().filter(|(n, _)| begun >> n & 1 == 1) {
        match step.action {
            RouteAction::Move { vm, from, to, .. } => {
                if !there[vm as usize].contains(&from) || there[vm as usize].len() != 1 {
                    return Some(format!("VM {vm} is not on {from}"));
                }
                there[vm as usize].insert(to);
                if ended >> n & 1 == 1 {
                    there[vm as usize].remove(&from);
                }
            }
            RouteAction::PowerOn { host } => on[host as usize] = ended >> n & 1 == 1,
            RouteAction::PowerOff { host } => on[host as usize] = false,
        }
    }
    for (h, host) in task.hosts.iter().enumerate() {
        let here = || there.iter().enumerate().filter(|(_, at)| at.contains(&(h as u32))).map(|(vm, _)| vm);
        if !on[h] && here().next().is_some() {
            return Some(format!("VMs on host {h}, which is off"));
        }
        for (r, capacity) in host.capacity.iter().enumerate() {
            let load: u64 = here().map(|vm| task.vms[vm].size[r]).sum();
            if load > *capacity {
                return Some(format!("{load} of {capacity} on host {h}"));
            }
        }
    }
    for rule in &task.rules {
        match &rule.kind {
            TaskRuleKind::AtMost { vms, domains, limit } => {
                for domain in domains.iter() {
                    let count = |at: &dyn Fn(u32) -> BTreeSet<u32>| {
                        vms.iter().filter(|vm| domain.iter().any(|host| at(**vm).contains(host))).count() as u64
                    };
                    let in_a = count(&|vm| BTreeSet::from([task.vms[vm as usize].from]));
                    let now = count(&|vm| there[vm as usize].clone());
                    if now > (*limit).max(in_a) {
                        return Some(format!("{now} VMs in {domain:?}"));
                    }
                }
            }
            TaskRuleKind::Together { vms } => {
                let all = vms.iter().flat_map(|vm| there[*vm as usize].iter().copied());
                let all: BTreeSet<u32> = all.collect();
                if all.len() > 2 {
                    return Some(format!("a group on {all:?}"));
                }
            }
            _ => {}
        }
    }
    None
}

/// Every state that the waits allow is sane; gives how many there are.
fn assert_all_states(task: &Task, route: &Route) -> usize {
    let mut seen = BTreeSet::from([(0u32, 0u32)]);
    let mut open = vec![(0u32, 0u32)];
    while let Some((begun, ended)) = open.pop() {
        if let Some(fault) = fault(task, route, begun, ended) {
            panic!("{fault} when {begun:b} have begun and {ended:b} ended\n{task:#?}\n{route:#?}");
        }
        for (n, step) in route.steps.iter().enumerate() {
            let next = if begun >> n & 1 == 0 && step.after.iter().all(|other| ended >> other & 1 == 1) {
                (begun | 1 << n, ended)
            } else if begun >> n & 1 == 1 && ended >> n & 1 == 0 {
                (begun, ended | 1 << n)
            } else {
                continue;
            };
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    seen.len()
}

#[test]
fn every_state_that_can_be_reached_is_sane() {
    let (mut states, mut waits, mut parallel) = (0, 0, 0);
    for seed in 0..4000 {
        let (task, hops) = small(seed, 6);
        let route = route(&task, &hops);
        let last = route.placement(&task);
        let goal: Vec<u32> = task.vms.iter().map(|vm| vm.to).collect();
        assert_eq!(last, goal, "seed {seed}");
        assert_timetable(&task, &route);
        states += assert_all_states(&task, &route);
        waits += route.steps.iter().map(|step| step.after.len()).sum::<usize>();
        parallel +=
            usize::from(route.steps.iter().map(|step| step.end_ms - step.start_ms).sum::<u64>() > route.makespan_ms);
    }
    assert!(states > 100_000 && waits > 4000 && parallel > 1000, "{states} {waits} {parallel}");
}

#[test]
fn routes_of_longer_sequences_keep_slots_and_lanes_and_the_checker_is_content() {
    for seed in 0..400 {
        let (task, hops) = small(seed, 60);
        let route = route(&task, &hops);
        assert_timetable(&task, &route);
        if let Err(fault) = check_route(&task, &route, Completeness::AnyPlacement) {
            panic!("seed {seed}: {fault}");
        }
    }
}

fn hop(item: u32, from: u32, to: u32) -> Hop {
    Hop { item, from, to }
}

#[test]
fn a_ring_turns_through_the_spare_host_in_order() {
    let hosts = vec![host(&[1]), host(&[1]), host(&[1])];
    let task = task(hosts, vec![vm(0, 1, &[1], 5), vm(1, 0, &[1], 5)], vec![], vec![]);
    let route = route(&task, &[hop(0, 0, 2), hop(1, 1, 0), hop(0, 2, 1)]);
    assert_eq!(route.steps.iter().map(|step| step.after.clone()).collect::<Vec<_>>(), [vec![], vec![0], vec![1]]);
    assert_eq!((route.makespan_ms, route.makespan_bound_ms), (15, 10));
}

#[test]
fn with_room_for_all_nothing_waits_but_for_slots() {
    let vms = (0..4).map(|_| vm(0, 1, &[1], 5)).collect();
    let task = task(vec![host(&[8]), host(&[8])], vms, vec![], vec![]);
    let route = route(&task, &[hop(0, 0, 1), hop(1, 0, 1), hop(2, 0, 1), hop(3, 0, 1)]);
    assert!(route.steps.iter().all(|step| step.after.is_empty()));
    assert_eq!((route.makespan_ms, route.makespan_bound_ms), (20, 20));
}

#[test]
fn a_later_hop_overtakes_unless_it_takes_the_room_of_an_earlier_one() {
    // v0 needs what v1 leaves on host 1; there v2 would fit now, but then v0 would not until v3 has left, which comes after it.
    let mut hosts = vec![host(&[9]), host(&[4]), host(&[9]), host(&[9])];
    hosts[2].moves_in = 2;
    let vms = vec![vm(0, 1, &[3], 10), vm(1, 2, &[2], 10), vm(3, 1, &[1], 1), vm(1, 2, &[1], 1), vm(3, 2, &[1], 1)];
    let task = task(hosts, vms, vec![], vec![]);
    let route = route(&task, &[hop(1, 1, 2), hop(0, 0, 1), hop(3, 1, 2), hop(2, 3, 1), hop(4, 3, 2)]);
    assert_timetable(&task, &route);
    assert_all_states(&task, &route);
    let starts = |vm: u32| {
        let of_vm = |step: &&ulm_model::RouteStep| matches!(step.action, RouteAction::Move { vm: v, .. } if v == vm);
        route.steps.iter().find(of_vm).unwrap().start_ms
    };
    assert_eq!((starts(4), starts(1), starts(0)), (0, 0, 10));
    assert!(starts(2) >= starts(3), "{route:#?}");
}

#[test]
fn hosts_are_switched_on_before_and_off_after() {
    let mut hosts = vec![host(&[4]), host(&[4]), host(&[4])];
    hosts[0].power = Power::SwitchOff { takes_ms: 7 };
    hosts[1].power = Power::SwitchOn { takes_ms: 100 };
    hosts[2].power = Power::SwitchOn { takes_ms: 50 };
    let task = task(hosts, vec![vm(0, 1, &[1], 5)], vec![], vec![]);
    let route = route(&task, &[hop(0, 0, 1)]);
    let actions: Vec<_> = route.steps.iter().map(|step| (step.action, step.after.clone(), step.end_ms)).collect();
    assert_eq!(
        actions,
        [
            (RouteAction::PowerOn { host: 1 }, vec![], 100),
            (RouteAction::PowerOn { host: 2 }, vec![], 50),
            (RouteAction::Move { vm: 0, from: 0, to: 1, rate: 0 }, vec![0], 105),
            (RouteAction::PowerOff { host: 0 }, vec![2], 112),
        ]
    );
    assert_eq!(route.makespan_bound_ms, 105);
}

#[test]
fn a_host_that_keeps_vms_is_not_switched_off() {
    let mut hosts = vec![host(&[4]), host(&[4])];
    hosts[0].power = Power::SwitchOff { takes_ms: 7 };
    let task = task(hosts, vec![vm(0, 1, &[1], 5), vm(0, 1, &[1], 5)], vec![], vec![]);
    assert_eq!(route(&task, &[hop(0, 0, 1)]).steps.len(), 1);
    assert_eq!(route(&task, &[hop(0, 0, 1), hop(1, 0, 1)]).steps.len(), 3);
}

#[test]
fn a_group_moves_vm_by_vm_and_whoever_waits_for_it_waits_for_all() {
    let group = rule(TaskRuleKind::Together { vms: vec![0, 1] });
    let vms = vec![vm(0, 1, &[2], 5), vm(0, 1, &[2], 3), vm(2, 0, &[4], 1)];
    let task = task(vec![host(&[4]), host(&[4]), host(&[4])], vms, vec![group], vec![]);
    let route = route(&task, &[hop(0, 0, 1), hop(1, 2, 0)]);
    assert_eq!(route.steps.len(), 3);
    assert_eq!(route.steps[2].after, [0, 1]);
    assert_eq!((route.steps[2].start_ms, route.makespan_bound_ms), (8, 8));
}

#[test]
fn the_bound_knows_what_is_switched_around_a_link() {
    // Both VMs come into the rack of hosts 2 and 3 over one link, from hosts that are switched off to hosts that are switched on.
    let mut hosts = vec![host(&[4]); 4];
    hosts[..2].iter_mut().for_each(|host| host.power = Power::SwitchOff { takes_ms: 7 });
    hosts[2..].iter_mut().for_each(|host| host.power = Power::SwitchOn { takes_ms: 100 });
    let vms = vec![vm(0, 2, &[1], 5), vm(1, 3, &[1], 5)];
    let task = task(hosts, vms, vec![], vec![link(1000, &[2, 3])]);
    let route = route(&task, &[hop(0, 0, 2), hop(1, 1, 3)]);
    assert_eq!((route.makespan_ms, route.makespan_bound_ms), (117, 117));
}

#[test]
fn the_bound_knows_that_what_moves_is_counted_twice() {
    // Of ten VMs on four hosts never more than one can move.
    let hosts = vec![host(&[3]), host(&[3]), host(&[3]), host(&[2])];
    let mut vms: Vec<_> = (0..9).map(|v| vm(v / 3, (v / 3 + u32::from(v % 3 == 0)) % 3, &[1], 5)).collect();
    vms.push(vm(3, 3, &[1], 5));
    let task = task(hosts, vms, vec![], vec![]);
    let route = route(&task, &[hop(0, 0, 3), hop(6, 2, 0), hop(3, 1, 2), hop(0, 3, 1)]);
    assert_all_states(&task, &route);
    assert_eq!((route.makespan_ms, route.makespan_bound_ms), (20, 15));
}

struct InOrder;

impl Rule for InOrder {
    fn nature(&self) -> Nature {
        Nature { scope: Scope::Placement, monotone: false, symmetric: true }
    }
    fn key(&self, _vm: u32) -> u64 {
        0
    }
    fn admits(&self, _at: &[u32], _vm: u32, _to: u32) -> bool {
        true
    }
}

/// As many full hosts as VMs, each VM on its way to the host before; only the first host is empty, and `spare` large hosts that nobody goes to.
fn hole_that_walks(vms: u32, spare: usize) -> (Task, Vec<Hop>) {
    let mut hosts = vec![host(&[8]); vms as usize + 1];
    hosts.extend(vec![host(&[40]); spare]);
    let task = task(hosts, (0..vms).map(|v| vm(v + 1, v, &[8 - u64::from(v == 0)], 5)).collect(), vec![], vec![]);
    (task, (0..vms).map(|v| hop(v, v + 1, v)).collect())
}

#[test]
fn a_long_chain_of_waiting_is_cut_in_half_by_one_vm_that_is_parked() {
    let (task, hops) = hole_that_walks(60, 1);
    let route = route(&task, &hops);
    assert_eq!(route.moves(), 61, "one in fifty may be parked");
    assert!(route.makespan_ms <= 60 * 5 * 6 / 10, "{} ms", route.makespan_ms);
    assert_timetable(&task, &route);
    assert_eq!(check_route(&task, &route, Completeness::ToB).err(), None);
}

#[test]
fn a_chain_is_not_cut_where_there_is_no_room_or_it_costs_too_much() {
    for (vms, spare) in [(60, 0), (40, 1)] {
        let (task, hops) = hole_that_walks(vms, spare);
        let route = route(&task, &hops);
        assert_eq!((route.moves(), route.makespan_ms), (vms as usize, u64::from(vms) * 5));
    }
}

#[test]
fn a_rule_about_where_others_are_keeps_the_order() {
    let task = task(vec![host(&[9]); 4], vec![vm(0, 1, &[1], 5), vm(2, 3, &[1], 5)], vec![], vec![]);
    let hops = [hop(0, 0, 1), hop(1, 2, 3)];
    assert_eq!(route(&task, &hops).makespan_ms, 5);
    let route = schedule(&Problem::new(&task, &ByBytes, &[&InOrder]), &hops, 0);
    assert_eq!(route.steps[1].after, [0]);
    assert_eq!(route.makespan_ms, 10);
}

#[test]
#[ignore = "figures, for people: cargo test --release -p ulm-path schedule::tests::figures -- --ignored --nocapture"]
fn figures() {
    for (hosts, fill, change) in [
        (400, 80, Change::Moved(20)),
        (400, 95, Change::Moved(20)),
        (400, 90, Change::Swapped(20)),
        (400, 80, Change::Moved(90)),
        (1000, 80, Change::Moved(30)),
        (1000, 95, Change::Moved(30)),
        (60, 80, Change::Moved(20)),
        (60, 95, Change::Moved(20)),
    ] {
        let task = large(hosts, fill, change, 1);
        let problem = Problem::new(&task, &ByBytes, &[]);
        let mut walk = Walk::new(&problem);
        walk.home(&mut Dice(2));
        let route = schedule(&problem, &walk.hops, 0);
        let edges: usize = route.steps.iter().map(|step| step.after.len()).sum();
        eprintln!(
            "{hosts} hosts at {fill}: {} hops, {:.2} times the bound, {edges} waits",
            walk.hops.len(),
            route.makespan_ms as f64 / route.makespan_bound_ms as f64
        );
        let complete = walk.at.iter().zip(&problem.items).all(|(at, item)| *at == item.goal);
        let completeness = if complete { Completeness::ToB } else { Completeness::AnyPlacement };
        assert_eq!(check_route(&task, &route, completeness).err(), None);
    }
}
