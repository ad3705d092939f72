//! Accidents of other systems, each as a test of what happens here. Those that need more than a decision are tested where it is:
//!
//! | what happened elsewhere | the test here |
//! |---|---|
//! | memory and CPU swapped in a sum | units are types: the example of `ulm_model::units` does not compile |
//! | the executor stops at the first step that has to wait | `every_ready_step_is_ready_whatever_stands_before_it_in_the_list` (control) |
//! | cool-down forgotten at a restart | `promise_3_the_cool_down_survives_a_restart` (control) |
//! | failed migration booked as done, done one as time-out | `whatever_happens_to_a_move_the_ledger_says_where_the_vm_really_is` (control) |
//! | a retry on a VM that had moved already | `promise_6_killed_at_any_moment_ledger_and_hypervisors_agree_in_the_end` (control) |
//! | a dry run did not deduct what it had moved | `promise_8_a_dry_run_deducts_what_it_has_moved` (here, promises) |
//! | a VM moved back and forth for hours | here, and the bench `month` (control) |
//! | hosts powered off and never woken | none yet: no step switches a host off |

mod common;

use std::time::Duration;

use common::*;
use ulm_decide::{Past, decide};
use ulm_model::ledger::{Entry, Event, MoveCost, MoveKey, Outcome};
use ulm_model::*;
use ulm_policy::{Defragment, Goal, GoalKind};

#[test]
fn imbalance_does_not_depend_on_the_number_of_hosts() {
    // Half of the hosts at 90 %, half at 10 %: with any number of hosts the hot ones are found and the first ones relieved.
    for pairs in [2, 4, 8, 32] {
        let names: Vec<String> = (0..2 * pairs).map(|i| format!("h{i:03}")).collect();
        let mut cluster = Cluster::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
        for i in 0..pairs {
            cluster.vm(&names[i], &format!("a{i}"), 3000, 4);
            cluster.vm(&names[i], &format!("b{i}"), 6000, 4);
            cluster.vm(&names[pairs + i], &format!("c{i}"), 1000, 4);
        }
        let decision = cluster.decide();
        let hot = decision.report.hosts.iter().filter(|host| !host.relief.is_empty()).count();
        assert_eq!((hot, decision.plan.steps.len()), (pairs, pairs.min(4)));
    }
}

#[test]
fn an_idle_cluster_is_not_imbalanced() {
    // 4 % against 1 %: a large ratio, and nothing to do about it.
    let mut cluster = Cluster::of(&["a", "b"]);
    cluster.vm("a", "one", 200, 4);
    cluster.vm("a", "two", 200, 4);
    cluster.vm("b", "three", 100, 4);
    assert_eq!(codes(&cluster.decide()), ["hotspot.calm"]);
}

#[test]
fn the_worst_resource_decides_and_not_the_mean() {
    // 95 % memory and 5 % CPU is not "50 %".
    let mut cluster = Cluster::of(&["full", "idle"]);
    cluster.vm("full", "one", 250, 40);
    cluster.vm("full", "two", 250, 45);
    assert_eq!(cluster.moves(), ["two: full -> idle"], "memory alone makes it hot, and the one with most of it goes");
    // As a target, too: of two hosts the one whose worst resource is better is chosen.
    let mut cluster = Cluster::of(&["full-of-memory", "hot", "some-cpu"]);
    cluster.vm("hot", "big", 3000, 4);
    cluster.vm("hot", "rest", 6600, 4);
    cluster.vm("full-of-memory", "m", 0, 60);
    cluster.vm("some-cpu", "c", 2000, 4);
    assert_eq!(cluster.moves(), ["big: hot -> some-cpu"]);
}

#[test]
fn a_load_beyond_the_whole_does_not_wrap_around() {
    let mut cluster = Cluster::of(&["hot", "other"]);
    cluster.policy.capacity.cpu_overcommit = Share(u32::MAX);
    cluster.policy.capacity.memory_overcommit = Share(u32::MAX);
    let huge = cluster.vm("hot", "huge", 1000, 1);
    cluster.host_mut("hot").cpu_use = steady(MilliCpu(10_000));
    cluster.vm_mut(huge).memory = Bytes(u64::MAX);
    cluster.vm_mut(huge).memory_use = steady(Bytes(u64::MAX));
    assert!(cluster.moves().is_empty());
}

#[test]
fn a_failed_move_is_not_booked_as_done() {
    let mut cluster = Cluster::of(&["hot", "idle"]);
    cluster.vm("hot", "big", 3000, 4);
    cluster.vm("hot", "rest", 6000, 4);
    let step = cluster.decide().plan.steps[0].clone();
    let Action::Move { vm, vm_name, from, to } = step.action;
    let key = MoveKey { plan: PlanId("p".into()), step: step.id, vm, vm_name, from, to };
    let ended = |outcome| Event::MoveEnded { r#move: key.clone(), outcome, cost: MoveCost::default() };
    let note = |event| {
        let mut past = Past::default();
        past.note(&Entry { seq: 1, at: NOW - Duration::from_secs(1), event });
        past
    };
    let failed = note(ended(Outcome::Stayed { error: "no".into() }));
    assert!(failed.vms[&vm].moved.is_empty() && failed.hosts.is_empty(), "no cool-down, no settling: it has not moved");
    assert_eq!(failed.vms[&vm].failures, 1);
    assert_eq!(note(ended(Outcome::Unknown { error: "?".into() })), Past::default());
}

#[test]
fn one_vm_with_a_passthrough_device_is_named_and_the_rest_is_planned() {
    let mut cluster = Cluster::of(&["hot", "idle"]);
    let gpu = cluster.vm("hot", "gpu", 4000, 4);
    cluster.vm("hot", "plain", 3000, 4);
    cluster.vm("hot", "rest", 2000, 4);
    cluster.vm_mut(gpu).fixtures.push(Fixture::Passthrough { device: "pci 0000:3b:00.0".into() });
    let decision = cluster.decide();
    assert_eq!(moves(&decision), ["plain: hot -> idle"]);
    assert!(decision.to_string().contains("gpu (4.00 CPU, 4.0 GiB) stays: it cannot move"), "{decision}");
}

#[test]
fn a_target_that_is_itself_in_maintenance_is_none() {
    let mut cluster = Cluster::of(&["hot", "under-repair"]);
    cluster.vm("hot", "big", 3000, 4);
    cluster.vm("hot", "rest", 6000, 4);
    cluster.host_mut("under-repair").state = HostState::Maintenance;
    assert!(cluster.moves().is_empty());
    assert!(codes(&cluster.decide()).contains(&"host.maintenance"));
}

#[test]
fn attempts_are_bounded_and_then_the_verdict_says_what_would_help() {
    let mut cluster = Cluster::of(&["hot", "idle"]);
    let big = cluster.vm("hot", "big", 8000, 4);
    cluster.vm_mut(big).vcpus = 8;
    cluster.past_mut(big).failures = 5;
    cluster.past_mut(big).failed_at = Some(Time(0));
    let decision = cluster.decide();
    assert!(decision.plan.steps.is_empty());
    assert!(
        decision.to_string().contains("ULM tries no more until one by hand succeeds (`ulm migrate`)"),
        "{decision}"
    );
}

#[test]
fn a_host_that_reports_no_cpus_does_not_lose_its_vms() {
    let mut cluster = Cluster::of(&["a", "b"]);
    cluster.vm("a", "one", 500, 4);
    cluster.host_mut("a").cpu = MilliCpu(0);
    let decision = cluster.decide();
    assert!(decision.plan.steps.is_empty());
    assert_eq!(codes(&decision), ["hotspot.calm", "data.impossible"]);
}

#[test]
fn seventy_gigabytes_are_not_sent_to_a_host_with_fifty_eight() {
    // Seven hosts, each with one 10 GiB VM that has to go, and one target that must not take more than it has.
    let names: Vec<String> = (0..7).map(|i| format!("hot-{i}")).chain(["target".into()]).collect();
    let mut cluster = Cluster::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    cluster.policy.limits.moves = 100;
    cluster.policy.limits.moves_per_host = 100;
    cluster.policy.hotspot.cpu = Share::percent(75);
    for host in &names[..7] {
        cluster.vm(host, &format!("{host}-goes"), 500, 10);
        cluster.vm(host, &format!("{host}-stays"), 7100, 4);
    }
    let target = cluster.host_mut("target");
    target.memory = Bytes::gib(58);
    target.memory_use = steady(Bytes(0));
    let decision = cluster.decide();
    let gib: u64 = 10 * decision.plan.steps.len() as u64;
    assert!(gib > 0 && gib <= 57, "{decision}");
}

#[test]
fn retrying_while_a_vm_moves_does_not_move_it_twice() {
    let mut cluster = Cluster::of(&["hot", "idle-1", "idle-2"]);
    cluster.policy.limits.moves_per_host = 3;
    let big = cluster.vm("hot", "big", 3000, 4);
    cluster.vm("hot", "rest", 6900, 4);
    cluster.fly(big, Some("idle-1"));
    for figure in &mut cluster.host_mut("hot").cpu_use.0 {
        figure.value = MilliCpu(10_000);
    }
    assert!(cluster.moves().iter().all(|step| !step.starts_with("big")), "{:?}", cluster.moves());
}

#[test]
fn a_vm_is_not_moved_back_and_forth_for_fourteen_hours() {
    // A VM that overworks any host it is on: 80 % of one by itself. Moving it helps nobody, so nobody moves it.
    let mut cluster = Cluster::of(&["a", "b"]);
    let all = cluster.vm("a", "all", 8000, 4);
    cluster.vm_mut(all).vcpus = 8;
    assert!(cluster.moves().is_empty());
    assert!(codes(&cluster.decide()).contains(&"target.too_warm"));
}

#[test]
fn noise_around_the_threshold_moves_nothing_back_and_forth() {
    // Two hosts swing around the threshold in turns for a day. Each decision is carried out at once, and what follows is noise again.
    let mut cluster = Cluster::of(&["a", "b"]);
    let ids = [cluster.vm("a", "p", 3000, 4), cluster.vm("a", "q", 4000, 4), cluster.vm("b", "r", 3000, 4)];
    let mut seed = 7u64;
    let mut noise = |around: u64, by: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        around + (seed >> 33) % (2 * by + 1) - by
    };
    let mut moved: Vec<(VmId, Time)> = Vec::new();
    let mut now = NOW;
    for _ in 0..24 * 60 * 4 {
        now = now + Duration::from_secs(15);
        for (id, usual) in ids.iter().zip([3000, 4000, 3000]) {
            let value = noise(usual, 600);
            cluster.vm_mut(*id).cpu_use.push(Figure { value: MilliCpu(value), at: now }, 20);
            cluster.vm_mut(*id).memory_use.push(Figure { value: Bytes::gib(4), at: now }, 20);
        }
        let residents = cluster.snapshot.by_host();
        for (i, vms) in residents.iter().enumerate() {
            let of = |vm: &VmIx| cluster.snapshot.vm(*vm).cpu_use.value().unwrap();
            let value = vms.iter().map(of).sum::<MilliCpu>() + MilliCpu(300);
            let host = &mut cluster.snapshot.hosts[i];
            host.cpu_use.push(Figure { value: MilliCpu(value.0.min(10_000)), at: now }, 20);
            host.memory_use.push(Figure { value: Bytes::gib(10 + 4 * vms.len() as u64), at: now }, 20);
        }
        cluster.snapshot.taken_at = now;
        let (snapshot, past) = (cluster.snapshot.clone(), cluster.past.clone());
        let input = ulm_decide::Input::new(snapshot, now, Acting::On, past);
        for step in decide(&input, &cluster.policy).plan.steps {
            let Action::Move { vm, vm_name, from, to } = step.action;
            let to_ix = cluster.snapshot.find_host(&to).unwrap();
            cluster.vm_mut(vm).host = to_ix;
            let key = MoveKey { plan: PlanId("p".into()), step: step.id, vm, vm_name, from, to };
            let event = Event::MoveEnded { r#move: key, outcome: Outcome::Moved, cost: MoveCost::default() };
            cluster.past.note(&Entry { seq: 1, at: now, event });
            moved.push((vm, now));
        }
    }
    assert!(moved.len() <= 2, "{} moves in a day of noise", moved.len());
}

#[test]
fn rules_are_checked_against_what_the_plan_itself_has_moved() {
    // Two VMs that must not share a host leave two hot hosts at once. The coolest host is best for each of them, and gets only one.
    let mut cluster = Cluster::of(&["hot1", "hot2", "cool", "mild"]);
    cluster.policy.limits.moves_per_host = 4;
    for host in ["hot1", "hot2"] {
        cluster.vm(host, &format!("twin-{host}"), 3000, 8);
        cluster.vm(host, &format!("rest-{host}"), 2800, 8);
        cluster.vm(host, &format!("more-{host}"), 2700, 8);
    }
    cluster.vm("mild", "something", 3200, 8);
    assert_eq!(cluster.moves(), ["twin-hot1: hot1 -> cool", "twin-hot2: hot2 -> cool"], "without a rule");
    cluster.rule("name = \"twins\"\nkind = \"apart\"\nvm = \"twin-*\"\n");
    assert_eq!(cluster.moves(), ["twin-hot1: hot1 -> cool", "twin-hot2: hot2 -> mild"]);
}

#[test]
fn the_host_that_is_emptied_is_no_matter_of_chance() {
    let plan = |order: &[&str]| {
        let mut cluster = Cluster::of(&["a", "b", "c", "d"]);
        for host in order {
            let weight = u64::from(host.as_bytes()[0] - b'a');
            cluster.vm(host, &format!("vm-{host}"), 300 + 100 * weight, 8);
        }
        let packed = GoalKind::Defragment(Defragment::default());
        cluster.policy.goals.push(Goal::new("few hosts", packed));
        let decision = cluster.decide();
        assert!(decision.plan.steps.iter().all(|step| step.because.code() == "goal.nearer"), "each with its reason");
        moves(&decision)
    };
    let first = plan(&["a", "b", "c", "d"]);
    assert_eq!(first.len(), 3);
    for order in [["d", "c", "b", "a"], ["b", "d", "a", "c"]] {
        assert_eq!(plan(&order), first);
    }
}
