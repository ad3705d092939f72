//! Hosts that can only be emptied over several rounds, because what arrives counts in full until it is merged.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::*;
use proptest::prelude::*;
use ulm_model::*;
use ulm_policy::{Defragment, Goal, GoalKind, Merge, Policy};

const SHARING: &str = "[[sharing]]\nname = \"shop\"\nvm_tag = \"shop\"\ntrust = \"100%\"\nreserve = \"0%\"\n\
                       levels = [{ tag = \"os:\", memory = \"4GiB\" }]\n";
const HOUR: Duration = Duration::from_secs(3600);
/// What a host uses beside VMs, in GiB.
const BESIDE: u64 = 10;
/// What a VM holds, and what of it it has in common with its siblings.
const HOLDS: u64 = 5;
const COMMON: u64 = 4;

/// VMs of 10 GiB that hold half of it, each as host and what it runs; what is equal is merged.
fn cluster(hosts: &[&str], vms: &[(&str, &str)]) -> Cluster {
    let mut cluster = Cluster::of(hosts);
    cluster.policy = Policy::parse(SHARING, "test").unwrap();
    let defragment = Defragment { watts: 200, cpu: Share::percent(80), memory: Share::percent(75) };
    cluster.policy.goals.push(Goal::new("fewer", GoalKind::Defragment(defragment)));
    for (i, (host, os)) in vms.iter().enumerate() {
        let id = cluster.vm(host, &format!("vm{i:02}"), 100, HOLDS);
        let vm = cluster.vm_mut(id);
        (vm.memory, vm.vcpus) = (Bytes::gib(10), 1);
        vm.tags = ["shop".to_owned(), format!("os:{os}")].into();
    }
    merge(&mut cluster);
    cluster
}

/// What hosts use and save follows from their VMs.
fn merge(cluster: &mut Cluster) {
    for (ix, vms) in cluster.snapshot.by_host().into_iter().enumerate() {
        let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
        for vm in &vms {
            *kinds.entry(label(&cluster.snapshot.vm(*vm).tags, "os").unwrap_or("").to_owned()).or_default() += 1;
        }
        let saved = kinds.values().map(|count| (count - 1) * COMMON).sum();
        let host = &mut cluster.snapshot.hosts[ix];
        host.cpu_use = steady(MilliCpu(100 * vms.len() as u64));
        host.memory_use = steady(Bytes::gib(BESIDE + HOLDS * vms.len() as u64 - saved));
        host.merging = Some(Merging { saved: Bytes::gib(saved), full_scans: 9, ..Merging::default() });
    }
}

/// An hour later: the moves were made, and all is merged.
fn go(cluster: &mut Cluster, moves: &[String]) {
    for past in cluster.past.vms.values_mut() {
        let times = past.moved.iter_mut().chain(past.left.values_mut()).chain(past.came.as_mut());
        times.for_each(|at| *at = *at - HOUR);
    }
    for (vm, from, to) in moves.iter().map(|step| parts(step)) {
        let id = cluster.snapshot.vms.iter().find(|it| it.name == vm).unwrap().id;
        let to = cluster.snapshot.find_host(&to.into()).unwrap();
        cluster.vm_mut(id).host = to;
        let past = cluster.past_mut(id);
        past.moved.push(NOW - HOUR);
        past.left.insert(from.into(), NOW - HOUR);
        past.came = Some(NOW - HOUR);
    }
    merge(cluster);
}

/// `vm: from -> to`, taken apart.
fn parts(step: &str) -> (&str, &str, &str) {
    let (vm, way) = step.split_once(": ").unwrap();
    let (from, to) = way.split_once(" -> ").unwrap();
    (vm, from, to)
}

/// Ten VMs on `a` promise 64 of its 99.5 GiB. Of four on `b` three have room there before they are merged.
fn two_hosts() -> Cluster {
    let vms: Vec<(&str, &str)> = [("a", "debian"); 10].into_iter().chain([("b", "debian"); 4]).collect();
    cluster(&["a", "b"], &vms)
}

fn carrying(cluster: &Cluster) -> usize {
    cluster.snapshot.vms.iter().map(|vm| vm.host).collect::<BTreeSet<HostIx>>().len()
}

#[test]
fn a_host_is_emptied_in_as_many_rounds_as_it_takes_and_then_there_is_rest() {
    let mut cluster = two_hosts();
    let first = cluster.decide();
    assert_eq!(moves(&first).len(), 3, "{first}");
    assert!(first.sane.is_some() && moves(&first).iter().all(|step| step.ends_with("b -> a")), "{first}");
    go(&mut cluster, &moves(&first));
    let second = cluster.decide();
    assert_eq!(moves(&second).len(), 1, "{second}");
    go(&mut cluster, &moves(&second));
    assert_eq!((carrying(&cluster), cluster.moves().len()), (1, 0));
}

#[test]
fn it_is_said_that_it_is_a_part_and_of_what() {
    let decision = two_hosts().decide();
    let because = &decision.plan.steps[0].because;
    assert_eq!(because.code(), "goal.over_rounds");
    assert_eq!(
        because.to_string(),
        "goal `fewer`: the first 3 of 4 moves that empty b, the others in later rounds; in the end hosts that carry VMs 2 → 1"
    );
    assert_eq!(decision.report.summary, *because);
    let mut cluster = two_hosts();
    go(&mut cluster, &moves(&decision));
    assert_eq!(cluster.decide().plan.steps[0].because.code(), "goal.nearer", "the last one is no part any more");
}

#[test]
fn nothing_is_begun_that_would_not_pay_back_at_last() {
    let mut cluster = two_hosts();
    cluster.policy.worth.lasts = Duration::from_secs(1);
    let decision = cluster.decide();
    assert_eq!(moves(&decision), [""; 0]);
    assert!(codes(&decision).contains(&"worth.payback"), "{decision}");
    let mut cluster = two_hosts();
    cluster.policy.worth.gain = Share::percent(100);
    assert!(codes(&cluster.decide()).contains(&"worth.gain"));
}

#[test]
fn nothing_is_begun_where_no_hole_for_the_largest_vm_would_be_left() {
    let vms: Vec<(&str, &str)> = [("a", "debian"); 11].into_iter().chain([("b", "debian"); 4]).collect();
    let decision = cluster(&["a", "b"], &vms).decide();
    assert_eq!(moves(&decision), [""; 0]);
    assert!(codes(&decision).contains(&"goal.hole"), "{decision}");
}

#[test]
fn where_the_rest_has_become_impossible_nobody_is_moved_back() {
    let mut cluster = two_hosts();
    let first = cluster.moves();
    go(&mut cluster, &first);
    // Somebody has begun two VMs on `a`.
    for name in ["new1", "new2"] {
        let id = cluster.vm("a", name, 100, HOLDS);
        (cluster.vm_mut(id).memory, cluster.vm_mut(id).vcpus) = (Bytes::gib(10), 1);
    }
    merge(&mut cluster);
    for hour in 0..48 {
        let decision = cluster.decide();
        assert_eq!(moves(&decision), [""; 0], "hour {hour}: {decision}");
        go(&mut cluster, &[]);
    }
}

fn clusters() -> impl Strategy<Value = Cluster> {
    (proptest::collection::vec((0usize..3, 0usize..4), 18..30), any::<bool>()).prop_map(|(vms, merging)| {
        let (hosts, kinds) = (["a", "b", "c"], ["debian", "debian", "debian", "alpine"]);
        let vms: Vec<(&str, &str)> = vms.iter().map(|(host, kind)| (hosts[*host], kinds[*kind])).collect();
        let mut cluster = cluster(&hosts, &vms);
        if merging {
            cluster.policy.goals.push(Goal::new("merged", GoalKind::Merge(Merge::default())));
        }
        cluster
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn round_by_round_it_comes_to_rest_on_no_more_hosts_and_nobody_goes_back(mut cluster in clusters()) {
        let mut left = BTreeSet::new();
        let mut rest = 0;
        for hour in 0..24 {
            let (decision, hosts) = (cluster.decide(), carrying(&cluster));
            prop_assert!(!codes(&decision).contains(&"check.refused"), "{decision}");
            let made = moves(&decision);
            for (vm, from, to) in made.iter().map(|step| parts(step)) {
                prop_assert!(!left.contains(&(vm.to_owned(), to.to_owned())), "{vm} goes back to {to} in hour {hour}");
                left.insert((vm.to_owned(), from.to_owned()));
            }
            go(&mut cluster, &made);
            prop_assert!(carrying(&cluster) <= hosts);
            rest = if made.is_empty() { rest + 1 } else { 0 };
        }
        prop_assert!(rest > 2, "no rest within a day");
    }
}
