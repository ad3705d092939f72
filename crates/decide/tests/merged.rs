//! What goals make of pages that VMs have in common.

mod common;

use common::*;
use ulm_model::*;
use ulm_policy::{Defragment, Goal, GoalKind, Merge, Policy, Spread};

/// Hosts of 100 GiB that merge, and save what is stated.
fn merging(hosts: &[(&str, u64)], sharing: bool) -> Cluster {
    let mut cluster = Cluster::of(&hosts.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let groups = "[[sharing]]\nname = \"shop\"\nvm = \"*\"\ntrust = \"100%\"\nreserve = \"0%\"\n\
                  levels = [{ tag = \"os:\", memory = \"4GiB\" }]\n";
    if sharing {
        cluster.policy = Policy::parse(groups, "test").unwrap();
    }
    cluster.policy.limits.moves = 8;
    for (name, saved) in hosts {
        let counted = Merging { saved: Bytes::gib(*saved), full_scans: 9, ..Merging::default() };
        let host = cluster.host_mut(name);
        host.merging = Some(counted);
        host.memory_use.0.iter_mut().for_each(|figure| figure.value = figure.value.saturating_sub(Bytes::gib(*saved)));
    }
    cluster
}

fn vm(cluster: &mut Cluster, host: &str, name: &str, gib: u64, os: &str) {
    let id = cluster.vm(host, name, 100, gib);
    cluster.vm_mut(id).tags = [format!("os:{os}")].into();
}

/// One host with seven VMs that save 24 of 70 GiB, and one with one more.
fn nearly_full(sharing: bool, small: &str) -> Cluster {
    let mut cluster = merging(&[("a", 0), ("b", 0)], sharing);
    (0..7).for_each(|i| vm(&mut cluster, "a", &format!("vm{i}"), 10, "debian"));
    vm(&mut cluster, "b", "small", 10, small);
    let host = cluster.host_mut("a");
    host.merging = Some(Merging { saved: Bytes::gib(24), full_scans: 9, ..Merging::default() });
    host.memory_use.0.iter_mut().for_each(|figure| figure.value = figure.value.saturating_sub(Bytes::gib(24)));
    let defragment = Defragment { watts: 200, cpu: Share::percent(80), memory: Share::percent(75) };
    cluster.policy.goals.push(Goal::new("fewer", GoalKind::Defragment(defragment)));
    cluster
}

#[test]
fn a_host_is_filled_with_what_merging_leaves_of_it() {
    // 10 + 70 - 24 GiB are in use: 10 more are 66 % of the host, and 90 % if nothing were merged.
    let decision = nearly_full(true, "alpine").decide();
    assert_eq!(moves(&decision), ["small: b -> a"], "{decision}");
    assert_eq!(nearly_full(false, "alpine").moves(), [""; 0]);
}

#[test]
fn a_vm_that_arrives_has_room_in_full() {
    // Merged they would take 12 GiB more. Before that, 20 are too much: 76 %. So the second one waits for the next round.
    let mut cluster = nearly_full(true, "debian");
    vm(&mut cluster, "b", "other", 10, "debian");
    cluster.host_mut("b").merging = Some(Merging { saved: Bytes::gib(10), full_scans: 9, ..Merging::default() });
    let host = cluster.host_mut("b");
    host.memory_use.0.iter_mut().for_each(|figure| figure.value = figure.value.saturating_sub(Bytes::gib(10)));
    let decision = cluster.decide();
    assert_eq!(moves(&decision), ["other: b -> a"]);
    assert!(matches!(decision.plan.steps[0].because, Reason::OverRounds { moves: 1, of: 2, .. }), "{decision}");
}

#[test]
fn of_equal_targets_the_one_with_siblings_is_taken() {
    for (on_a, on_b, target) in [("debian", "alpine", "a"), ("alpine", "debian", "b")] {
        let mut cluster = merging(&[("a", 0), ("b", 0), ("c", 0)], true);
        vm(&mut cluster, "a", "one", 20, on_a);
        vm(&mut cluster, "b", "two", 20, on_b);
        vm(&mut cluster, "c", "mover", 20, "debian");
        let empty = Goal::new("empty", GoalKind::Evacuate);
        cluster
            .policy
            .goals
            .push(Goal { hosts: HostSelector { name: vec!["c".into()], ..Default::default() }, ..empty });
        assert_eq!(cluster.moves(), [format!("mover: c -> {target}")]);
    }
}

/// Two hosts with two VMs of 20 GiB each, of which each has a sibling on the other one.
fn mixed(sharing: bool) -> Cluster {
    let mut cluster = merging(&[("a", 0), ("b", 0)], sharing);
    for (host, name, os) in [("a", "a1", "debian"), ("a", "b1", "alpine"), ("b", "a2", "debian"), ("b", "b2", "alpine")]
    {
        vm(&mut cluster, host, name, 20, os);
    }
    cluster
}

fn even() -> Goal {
    Goal::new("even", GoalKind::Even(Spread { floor: Share::percent(70), ..Spread::default() }))
}

fn merge(gib: u64) -> Goal {
    Goal::new("merge", GoalKind::Merge(Merge { sends: Bytes::gib(gib) }))
}

#[test]
fn sharing_alone_is_no_reason_to_move() {
    let mut cluster = mixed(true);
    cluster.policy.goals.push(even());
    assert_eq!(cluster.moves(), [""; 0]);
}

#[test]
fn where_a_goal_wants_it_vms_with_equal_pages_come_together() {
    for beside in [None, Some(even())] {
        let mut cluster = mixed(true);
        cluster.policy.goals.extend([merge(16)].into_iter().chain(beside));
        let decision = cluster.decide();
        assert_eq!(decision.plan.steps.len(), 2, "{decision}");
        let gain = &decision.report.goals[0].gains[0];
        assert_eq!((gain.what.as_str(), gain.before.as_str()), ("memory that merging saves", "0 B"));
        assert_eq!(gain.after, Bytes::gib(8).to_string(), "{decision}");
        assert!(decision.plan.steps.iter().all(|step| step.because.code() == "goal.nearer"), "{decision}");
    }
}

#[test]
fn no_more_is_sent_than_the_saved_memory_is_worth() {
    // 4 GiB are saved by each move of 20.
    for (gib, weight, count) in [(6, 100, 2), (4, 100, 0), (6, 50, 0), (12, 50, 2)] {
        let mut cluster = mixed(true);
        cluster.policy.goals.push(Goal { weight, ..merge(gib) });
        assert_eq!(cluster.moves().len(), count, "{gib} GiB at weight {weight}");
    }
}

#[test]
fn nothing_comes_together_on_hosts_that_do_not_merge() {
    let mut cluster = mixed(true);
    cluster.snapshot.hosts.iter_mut().for_each(|host| host.merging = None);
    cluster.policy.goals.push(merge(16));
    let decision = cluster.decide();
    assert_eq!(moves(&decision), [""; 0]);
    let aside = decision.report.goals[0].aside[0].to_string();
    assert!(aside.contains("no host was seen to merge"), "{aside}");
}

#[test]
fn a_goal_to_merge_without_sharing_groups_says_what_is_missing() {
    let mut cluster = mixed(false);
    cluster.policy.goals.push(merge(16));
    let decision = cluster.decide();
    let aside = decision.report.goals[0].aside[0].to_string();
    assert!(aside.contains("no sharing group"), "{aside}");
}
