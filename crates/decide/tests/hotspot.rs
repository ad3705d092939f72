//! What the hotspot policy does, sentence by sentence of the specification.

mod common;

use std::time::Duration;

use common::*;
use ulm_decide::{migrate_by_hand, why_not};
use ulm_model::*;

/// Host `hot` with 90 % CPU in use by VMs of 4, 3 and 2 CPUs, and two idle hosts.
fn hot() -> Cluster {
    let mut cluster = Cluster::of(&["hot", "idle-1", "idle-2"]);
    cluster.vm("hot", "big", 4000, 8);
    cluster.vm("hot", "middle", 3000, 8);
    cluster.vm("hot", "small", 2000, 8);
    cluster
}

fn id(cluster: &Cluster, name: &str) -> VmId {
    cluster.snapshot.vms.iter().find(|vm| vm.name == name).unwrap().id
}

#[test]
fn the_most_hungry_vm_of_an_overworked_host_goes_to_the_least_used_host() {
    let mut cluster = hot();
    cluster.vm("idle-1", "other", 500, 4);
    assert_eq!(cluster.moves(), ["big: hot -> idle-2"]);
}

#[test]
fn a_decision_reads_as_sentences() {
    let mut cluster = hot();
    let pinned = id(&cluster, "big");
    cluster.vm_mut(pinned).fixtures.push(Fixture::Passthrough { device: "pci 0000:3b:00.0".into() });
    cluster.vm("idle-1", "other", 5000, 4);
    cluster.host_mut("idle-2").state = HostState::Maintenance;
    let middle = id(&cluster, "middle");
    cluster.past_mut(middle).moved.push(NOW - Duration::from_secs(600));
    insta::assert_snapshot!(cluster.decide());
}

#[test]
fn if_the_most_hungry_one_fits_nowhere_the_second_one_goes() {
    let mut cluster = hot();
    let big = id(&cluster, "big");
    cluster.vm_mut(big).memory = Bytes::gib(200);
    assert_eq!(cluster.moves(), ["middle: hot -> idle-1"]);
}

#[test]
fn three_quarters_is_not_above_three_quarters() {
    let mut cluster = Cluster::of(&["a", "b"]);
    cluster.vm("a", "one", 4000, 8);
    cluster.vm("a", "two", 3500, 8);
    assert_eq!(codes(&cluster.decide()), ["hotspot.calm"]);
}

#[test]
fn a_burst_that_is_too_short_is_watched() {
    let mut cluster = hot();
    let mut samples = [MilliCpu(2000); 16];
    samples[5..].fill(MilliCpu(9900));
    cluster.host_mut("hot").cpu_use = series(&samples);
    let decision = cluster.decide();
    assert!(decision.plan.steps.is_empty());
    assert_eq!(codes(&decision), ["hotspot.calm", "hotspot.not_sustained"]);
    samples[4] = MilliCpu(9900);
    cluster.host_mut("hot").cpu_use = series(&samples);
    assert_eq!(cluster.moves().len(), 1, "the twelfth high sample of sixteen makes it");
}

#[test]
fn memory_pressure_is_relieved_likewise() {
    let mut cluster = Cluster::of(&["hot", "idle"]);
    cluster.vm("hot", "large", 100, 40);
    cluster.vm("hot", "busy", 3000, 20);
    cluster.vm("hot", "other", 100, 25);
    assert_eq!(cluster.moves(), ["large: hot -> idle"]);
    assert!(matches!(cluster.decide().report.summary, Reason::HostOverworked { resource: Resource::Memory, .. }));
}

#[test]
fn a_host_that_is_short_of_both_is_relieved_of_the_more_pressing_one_first() {
    let mut cluster = Cluster::of(&["hot", "idle"]);
    cluster.policy.limits.moves_per_host = 2;
    cluster.vm("hot", "large", 100, 40);
    cluster.vm("hot", "busy", 2000, 10);
    cluster.vm("hot", "rest", 7500, 35);
    // CPU is at 96 % (1.28 times its threshold), memory at 95 % (1.06 times). `rest` is too much for any other host; without
    // `busy` CPU is at 76 %, so `large` goes, too.
    assert_eq!(cluster.moves(), ["busy: hot -> idle", "large: hot -> idle"]);
    let decision = cluster.decide();
    let resources: Vec<Resource> = decision.report.hosts[0].relief.iter().map(|relief| relief.resource).collect();
    assert_eq!(resources, [Resource::Cpu, Resource::Memory]);
}

#[test]
fn the_target_stays_below_the_threshold_less_the_margin() {
    let mut cluster = Cluster::of(&["hot", "warm"]);
    cluster.vm("hot", "big", 2000, 8);
    cluster.vm("hot", "rest", 7000, 8);
    // Up to 65 % is allowed: 20 % beside 45 % fits, beside 45.01 % it does not.
    let filler = cluster.vm("warm", "filler", 4500, 8);
    assert_eq!(cluster.moves(), ["big: hot -> warm"]);
    cluster.vm_mut(filler).cpu_use = steady(MilliCpu(4501));
    cluster.host_mut("warm").cpu_use = steady(MilliCpu(4501));
    assert!(codes(&cluster.decide()).contains(&"target.too_warm"));
    assert!(cluster.moves().is_empty());
}

#[test]
fn the_hungriest_vm_goes_even_if_the_target_is_warmer_than_the_source_afterwards() {
    let mut cluster = Cluster::of(&["hot", "other"]);
    cluster.vm("hot", "all", 6000, 8);
    cluster.vm("hot", "crumb", 1700, 8);
    cluster.vm("other", "filler", 500, 8);
    // `all` leaves 17 % here and makes 65 % there: both stay below the threshold, so nothing will send it back.
    assert_eq!(cluster.moves(), ["all: hot -> other"]);
}

#[test]
fn a_vm_whose_removal_changes_nothing_stays() {
    let mut cluster = Cluster::of(&["hot", "idle"]);
    let system = cluster.vm("hot", "idler", 10, 8);
    cluster.host_mut("hot").cpu_use = steady(MilliCpu(9000));
    let decision = cluster.decide();
    assert!(decision.plan.steps.is_empty());
    assert_eq!(codes(&decision), ["hotspot.overworked", "hotspot.no_relief", "hotspot.stuck"]);
    assert_eq!(decision.report.hosts[0].relief[0].vms[0].vm, system);
}

#[test]
fn moves_in_flight_are_counted_on_the_target() {
    let mut cluster = Cluster::of(&["hot", "source", "target"]);
    cluster.policy.limits.moves_per_host = 2;
    cluster.vm("hot", "big", 3000, 8);
    cluster.vm("hot", "rest", 7000, 8);
    let flying = cluster.vm("source", "flying", 4000, 8);
    assert_eq!(cluster.moves(), ["big: hot -> target"], "rest is too much for any target");
    cluster.fly(flying, Some("target"));
    let decision = cluster.decide();
    assert!(decision.plan.steps.is_empty(), "30 % beside 40 % on its way is over 65 %");
    assert!(codes(&decision).contains(&"target.too_warm"));
}

#[test]
fn a_host_that_is_being_relieved_is_not_relieved_twice() {
    let mut cluster = hot();
    cluster.policy.limits.moves_per_host = 2;
    let big = id(&cluster, "big");
    cluster.fly(big, Some("idle-1"));
    assert_eq!(codes(&cluster.decide()), ["hotspot.overworked", "hotspot.relief_under_way"]);
    assert!(cluster.moves().is_empty());
}

#[test]
fn a_host_that_one_move_does_not_relieve_gets_a_second_one_within_the_limits() {
    let mut cluster = Cluster::of(&["hot", "idle-1", "idle-2", "idle-3"]);
    for name in ["a", "b", "c", "d", "e"] {
        cluster.vm("hot", name, 2000, 4);
    }
    assert_eq!(cluster.moves(), ["a: hot -> idle-1"]);
    assert!(codes(&cluster.decide()).contains(&"limit.host"));
    cluster.policy.limits.moves_per_host = 2;
    assert_eq!(cluster.moves(), ["a: hot -> idle-1", "b: hot -> idle-2"]);
}

#[test]
fn never_more_moves_at_once_than_configured() {
    let names: Vec<String> = (0..12).map(|i| format!("h{i:02}")).collect();
    let mut cluster = Cluster::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for host in &names[..6] {
        cluster.vm(host, &format!("{host}-x"), 4000, 4);
        cluster.vm(host, &format!("{host}-y"), 4000, 4);
    }
    assert_eq!(cluster.moves().len(), 4);
    let foreign = cluster.vm("h06", "foreign", 100, 4);
    cluster.fly(foreign, None);
    assert_eq!(cluster.moves().len(), 3, "moves that somebody else began are counted");
    cluster.policy.limits.moves = 1;
    assert!(cluster.moves().is_empty());
    assert!(matches!(cluster.decide().report.summary, Reason::AllBusy { moves: 1, limit: 1 }));
}

#[test]
fn a_target_takes_part_in_no_more_moves_than_configured() {
    let mut cluster = Cluster::of(&["hot-1", "hot-2", "idle"]);
    for host in ["hot-1", "hot-2"] {
        cluster.vm(host, &format!("{host}-x"), 2000, 4);
        cluster.vm(host, &format!("{host}-y"), 6000, 4);
    }
    assert_eq!(cluster.moves(), ["hot-1-y: hot-1 -> idle"]);
    assert!(codes(&cluster.decide()).contains(&"limit.host"));
}

#[test]
fn a_stuck_host_is_told_with_the_binding_constraint_of_every_candidate() {
    let mut cluster = hot();
    cluster.host_mut("idle-1").networks.clear();
    cluster.host_mut("idle-2").memory = Bytes::gib(12);
    cluster.host_mut("idle-2").memory_use = steady(Bytes::gib(5));
    let decision = cluster.decide();
    assert!(matches!(decision.report.summary, Reason::Stuck { vms: 3, hosts: 2, .. }), "{}", decision.report.summary);
    for vm in &decision.report.hosts[0].relief[0].vms {
        let ulm_decide::Answer::Nowhere(counts) = &vm.answer else { panic!("{vm:?}") };
        let codes: Vec<&str> = counts.iter().map(|(_, reason)| reason.code()).collect();
        assert_eq!(codes, ["capacity.memory_used", "platform.network"], "{}", vm.name);
        assert!(counts.iter().all(|(hosts, _)| *hosts == 1));
    }
}

#[test]
fn after_a_move_a_host_is_judged_only_by_what_it_shows_since() {
    let mut cluster = hot();
    cluster.past.hosts.insert("hot".into(), NOW - Duration::from_secs(60));
    assert!(cluster.moves().is_empty());
    cluster.past.hosts.insert("hot".into(), NOW - Duration::from_secs(150));
    assert!(cluster.moves().is_empty(), "ten samples since the move cannot make twelve");
    cluster.past.hosts.insert("hot".into(), NOW - Duration::from_secs(180));
    assert_eq!(cluster.moves().len(), 1);
}

#[test]
fn a_target_that_settles_takes_nothing() {
    let mut cluster = hot();
    cluster.past.hosts.insert("idle-1".into(), NOW - Duration::from_secs(60));
    assert_eq!(cluster.moves(), ["big: hot -> idle-2"]);
    cluster.past.hosts.insert("idle-2".into(), NOW - Duration::from_secs(60));
    assert!(codes(&cluster.decide()).contains(&"limit.settling"));
}

#[test]
fn a_vm_whose_moves_failed_is_left_alone_ever_longer_and_then_given_up() {
    let mut cluster = hot();
    let big = id(&cluster, "big");
    let mut failed = |failures: u32, minutes_ago: u64| {
        let past = cluster.past_mut(big);
        (past.failures, past.failed_at) = (failures, Some(NOW - Duration::from_secs(60 * minutes_ago)));
        cluster.moves()[0].clone()
    };
    assert!(failed(1, 9).starts_with("middle") && failed(1, 10).starts_with("big"));
    assert!(failed(2, 19).starts_with("middle") && failed(2, 20).starts_with("big"));
    assert!(failed(5, 100_000).starts_with("middle"));
}

#[test]
fn a_target_on_which_a_move_failed_comes_last() {
    let mut cluster = hot();
    let big = id(&cluster, "big");
    assert_eq!(cluster.moves(), ["big: hot -> idle-1"]);
    cluster.past_mut(big).failed_on.insert("idle-1".into());
    assert_eq!(cluster.moves(), ["big: hot -> idle-2"]);
}

#[test]
fn a_vm_that_has_only_just_come_stays() {
    let mut cluster = hot();
    let big = id(&cluster, "big");
    cluster.past_mut(big).came = Some(NOW - Duration::from_secs(599));
    assert!(cluster.moves()[0].starts_with("middle"));
    cluster.past_mut(big).came = Some(NOW - Duration::from_secs(600));
    assert!(cluster.moves()[0].starts_with("big"));
}

#[test]
fn pins_and_exclusions_hold() {
    let mut cluster = hot();
    cluster.rule("name = \"p\"\nkind = \"pin\"\nvm = \"big\"\nhost = \"idle-2\"");
    assert_eq!(cluster.moves(), ["big: hot -> idle-2"]);
    cluster.rule("name = \"k\"\nkind = \"keep_off\"\nvm = \"b*\"\nhost = \"*-2\"");
    assert_eq!(cluster.moves(), ["middle: hot -> idle-1"]);
    cluster.rule("name = \"e\"\nkind = \"exclude\"\nvm = \"mid*\"");
    assert_eq!(cluster.moves(), ["small: hot -> idle-1"]);
    cluster.rule("name = \"m\"\nkind = \"maintenance\"\nhost = \"idle-1\"");
    assert_eq!(cluster.moves(), ["small: hot -> idle-2"]);
    cluster.rule("name = \"h\"\nkind = \"exclude\"\nhost = \"hot\"");
    assert!(cluster.moves().is_empty());
    assert_eq!(codes(&cluster.decide()), ["hotspot.overworked", "hotspot.calm", "rule.host_excluded"]);
}

#[test]
fn a_policy_that_is_switched_off_looks_for_nothing() {
    let mut cluster = hot();
    cluster.policy.hotspot.enabled = false;
    assert_eq!(codes(&cluster.decide()), ["hotspot.off"]);
}

#[test]
fn a_move_by_hand_is_held_back_by_rules_and_limits_only() {
    let mut cluster = hot();
    let big = id(&cluster, "big");
    cluster.rule("name = \"e\"\nkind = \"exclude\"\nvm = \"*\"");
    cluster.past_mut(big).moved.push(NOW);
    let ask = |cluster: &Cluster, to: &str| {
        migrate_by_hand(&cluster.input(), &cluster.policy, big, &to.into(), "ann")
            .map(|plan| plan.steps[0].because.to_string())
            .map_err(|reasons| reasons.iter().map(Reason::code).collect::<Vec<_>>())
    };
    assert_eq!(ask(&cluster, "idle-1"), Ok("ann asked for it".into()));
    assert_eq!(ask(&cluster, "hot"), Err(vec!["already_there"]));
    assert_eq!(ask(&cluster, "nowhere"), Err(vec!["no_such_host"]));
    cluster.host_mut("idle-1").state = HostState::Maintenance;
    cluster.host_mut("idle-1").storage.clear();
    assert_eq!(ask(&cluster, "idle-1"), Err(vec!["host.maintenance", "platform.storage"]));
    let other = id(&cluster, "small");
    cluster.fly(other, None);
    assert_eq!(ask(&cluster, "idle-2"), Err(vec!["limit.host"]));
    cluster.fly(big, None);
    assert_eq!(ask(&cluster, "idle-2"), Err(vec!["vm.moving", "limit.host"]));
}

#[test]
fn why_not_names_everything_at_once() {
    let mut cluster = hot();
    let big = id(&cluster, "big");
    let ask = |cluster: &Cluster, to: &str| -> Vec<&'static str> {
        why_not(&cluster.input(), &cluster.policy, big, &to.into()).iter().map(Reason::code).collect()
    };
    assert!(ask(&cluster, "idle-1").is_empty());
    cluster.past_mut(big).moved.push(NOW - Duration::from_secs(1));
    cluster.vm("idle-1", "filler", 3000, 80);
    cluster.past.hosts.insert("idle-1".into(), NOW - Duration::from_secs(60));
    assert_eq!(ask(&cluster, "idle-1"), ["vm.cooling_down", "limit.settling", "target.too_warm", "target.too_warm"]);
}
