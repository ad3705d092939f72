//! Merged pages as room for promises: who gets it, who does not, and that all who reckon with it agree.

mod common;

use common::*;
use proptest::prelude::*;
use ulm_check::{Grounds, check};
use ulm_decide::{Wanted, migrate_by_hand, way};
use ulm_model::*;
use ulm_policy::{Defragment, Goal, GoalKind, Policy, Shape, Spread};

const SHARING: &str = "[[sharing]]\nname = \"shop\"\nvm_tag = \"shop\"\ntrust = \"100%\"\nreserve = \"0%\"\n\
                       levels = [{ tag = \"os:\", memory = \"4GiB\" }]\n";

/// A VM of 10 GiB that holds half of it.
fn vm(cluster: &mut Cluster, host: &str, name: &str, tags: &str) {
    let id = cluster.vm(host, name, 100, 5);
    let vm = cluster.vm_mut(id);
    (vm.memory, vm.vcpus) = (Bytes::gib(10), 2);
    vm.tags = tags.split_whitespace().map(str::to_owned).collect();
}

fn saves(cluster: &mut Cluster, host: &str, gib: u64) {
    let host = cluster.host_mut(host);
    host.merging = Some(Merging { saved: Bytes::gib(gib), full_scans: 9, ..Merging::default() });
    host.memory_use.0.iter_mut().for_each(|figure| figure.value = figure.value.saturating_sub(Bytes::gib(gib)));
}

/// `full` has promised 90 of its 99.5 GiB, and 32 of these are merged; `rest` carries two further VMs.
fn full(policy: &str) -> Cluster {
    let mut cluster = Cluster::of(&["full", "rest"]);
    cluster.policy = Policy::parse(policy, "test").unwrap();
    cluster.policy.limits.moves = 8;
    cluster.policy.limits.moves_per_host = 8;
    (0..9).for_each(|i| vm(&mut cluster, "full", &format!("vm{i}"), "shop os:debian"));
    ["one", "two"].into_iter().for_each(|name| vm(&mut cluster, "rest", name, "shop os:alpine"));
    saves(&mut cluster, "full", 32);
    let defragment = Defragment { watts: 200, cpu: Share::percent(80), memory: Share::percent(75) };
    cluster.policy.goals.push(Goal::new("fewer", GoalKind::Defragment(defragment)));
    cluster
}

#[test]
fn a_host_takes_more_vms_than_it_has_memory_where_pages_are_merged() {
    assert_eq!(full(SHARING).moves(), ["one: rest -> full", "two: rest -> full"]);
    assert_eq!(full("").moves(), [""; 0]);
}

#[test]
fn a_host_that_counts_little_as_saved_gets_little_credit() {
    let saving = |gib| {
        let mut cluster = full(SHARING);
        cluster.host_mut("full").merging.as_mut().unwrap().saved = Bytes::gib(gib);
        cluster.moves().len()
    };
    assert_eq!([saving(32), saving(5)], [2, 0]);
}

#[test]
fn what_arrives_counts_in_full_though_it_has_siblings_there() {
    let mut cluster = full(SHARING);
    cluster.host_mut("full").merging.as_mut().unwrap().saved = Bytes::gib(10);
    cluster.snapshot.vms.iter_mut().for_each(|vm| vm.tags = ["shop".to_owned(), "os:debian".to_owned()].into());
    assert_eq!(cluster.moves(), [""; 0]);
}

fn name(step: &Step) -> &str {
    let Action::Move { vm_name, .. } = &step.action;
    vm_name
}

fn go(cluster: &Cluster, targets: &[(&str, &str)]) -> ulm_decide::Way {
    let one = |(vm, to): &(&str, &str)| {
        let ix = cluster.snapshot.vms_ix().find(|(_, one)| one.name == *vm).unwrap().0;
        Wanted::new(ix, cluster.snapshot.find_host(&(*to).into()).unwrap(), Reason::Asked { by: "a test".into() })
    };
    way(&cluster.input(), &cluster.policy, &targets.iter().map(one).collect::<Vec<Wanted>>())
}

#[test]
fn a_way_counts_on_what_those_who_stay_have_merged_and_on_nothing_else() {
    let mut cluster = full(SHARING);
    assert_eq!(go(&cluster, &[("one", "full"), ("two", "full")]).plan.steps.len(), 2);
    // 79.5 GiB, and 110 less 32 promised: there is room for both only as long as all nine stay.
    cluster.host_mut("full").memory = Bytes::gib(80);
    assert_eq!(go(&cluster, &[("one", "full"), ("two", "full")]).plan.steps.len(), 2);
    let exchanged = go(&cluster, &[("vm0", "rest"), ("one", "full"), ("two", "full")]);
    assert!(exchanged.left_out.is_empty(), "{:?}", exchanged.left_out);
    let first = exchanged.plan.steps.iter().find(|step| name(step) == "vm0").unwrap();
    let waits = |step: &&Step| step.after.contains(&first.id);
    assert_eq!(exchanged.plan.steps.iter().filter(waits).count(), 1, "what it gives up is room for one of the two");
}

#[test]
fn others_are_moved_out_of_the_way_only_where_their_pages_are_not_needed() {
    // Without the 32 GiB that are merged both hosts would be too full: so nobody is parked whose pages are merged.
    let mut cluster = full(SHARING);
    cluster.host_mut("full").memory = Bytes::gib(70);
    let stuck = go(&cluster, &[("one", "full"), ("two", "full")]);
    let moved: Vec<&str> = stuck.plan.steps.iter().map(name).collect();
    assert!(moved.len() < 2 && moved.iter().all(|name| !name.starts_with("vm")), "{moved:?}");
    assert!(stuck.left_out.iter().all(|(_, reason)| matches!(reason, Reason::NoWay { .. })), "{:?}", stuck.left_out);
}

/// Up to five hosts that are nearly full, or more than that; some merge. What hosts use follows from their VMs.
fn clusters() -> impl Strategy<Value = Cluster> {
    let vm = (1u64..6, 1u64..4, 0u8..6);
    let host = (proptest::collection::vec(vm, 0..7), 0u64..40, 0u8..4, 8u64..50);
    let goals = (0u8..4, 0u32..101, 0u32..101);
    (proptest::collection::vec(host, 2..6), goals).prop_map(|(hosts, (goal, trust, reserve))| {
        let names: Vec<String> = (0..hosts.len()).map(|i| format!("h{i}")).collect();
        let mut cluster = Cluster::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let text = format!(
            "[[sharing]]\nname = \"a\"\nvm_tag = \"a\"\ntrust = \"{trust}%\"\nreserve = \"{}%\"\n\
             levels = [{{ tag = \"os:\", memory = \"1GiB\" }}, {{ tag = \"app:\", memory = \"2GiB\" }}]\n\
             [[sharing]]\nname = \"b\"\nvm = \"*\"\ntrust = \"90%\"\nreserve = \"0%\"\n\
             levels = [{{ tag = \"os:\", memory = \"3GiB\" }}]\n",
            reserve / 2
        );
        cluster.policy = Policy::parse(&text, "test").unwrap();
        cluster.policy.limits.moves = 9;
        cluster.policy.limits.moves_per_host = 9;
        let kinds = [
            GoalKind::Even(Spread::default()),
            GoalKind::Defragment(Defragment { watts: 200, cpu: Share::percent(90), memory: Share::percent(90) }),
            GoalKind::Evacuate,
            GoalKind::MakeRoom(Shape::new(2, Bytes::gib(12), None)),
        ];
        let hosts_of = HostSelector { name: vec![if goal == 2 { "h0" } else { "*" }.into()], tag: vec![] };
        let goal = Goal { hosts: hosts_of, ..Goal::new("goal", kinds[usize::from(goal)].clone()) };
        cluster.policy.goals.push(goal);
        for (name, (vms, saved, scans, memory)) in names.iter().zip(hosts) {
            for (i, (gib, os, tags)) in vms.iter().enumerate() {
                let id = cluster.vm(name, &format!("{name}-{i}"), 100 * gib, *gib);
                let vm = cluster.vm_mut(id);
                vm.memory = Bytes::gib(gib + u64::from(tags % 3) * 3);
                vm.tags.insert(format!("os:{os}"));
                vm.tags.extend([format!("app:{}", tags % 2)].into_iter().filter(|_| *tags > 1));
                vm.tags.extend(["a".to_owned()].into_iter().filter(|_| *tags > 2));
            }
            let host = cluster.host_mut(name);
            host.memory = Bytes::gib(memory);
            let held: u64 = vms.iter().map(|(gib, ..)| gib).sum();
            let saved = saved.min(held);
            let used = Bytes::gib((held + 1 - saved.min(held / 2)).min(memory));
            host.memory_use.0.iter_mut().for_each(|figure| figure.value = used);
            let merging = Merging { saved: Bytes::gib(saved), full_scans: u64::from(scans), ..Merging::default() };
            host.merging = (scans > 0).then_some(merging);
        }
        cluster
    })
}

fn is_sane(cluster: &Cluster, plan: &Plan) -> Result<(), String> {
    let (rulebook, _) = cluster.policy.rulebook_for(&cluster.snapshot);
    let digest = cluster.snapshot.digest();
    let grounds = Grounds { snapshot: &cluster.snapshot, digest: &digest, rulebook: &rulebook, now: NOW, past: &[] };
    if plan.steps.is_empty() { Ok(()) } else { check(plan, &grounds).map(drop).map_err(|fault| fault.to_string()) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_is_decided_the_checker_accepts(cluster in clusters()) {
        let decision = cluster.decide();
        prop_assert!(!codes(&decision).contains(&"check.refused"), "{decision}");
        prop_assert_eq!(is_sane(&cluster, &decision.plan), Ok(()));
    }

    #[test]
    fn every_way_that_is_found_the_checker_accepts(cluster in clusters(), targets in proptest::collection::vec((any::<u8>(), any::<u8>()), 1..6)) {
        let hosts = cluster.snapshot.hosts.len() as u32;
        let all: Vec<VmIx> = cluster.snapshot.vms_ix().map(|(ix, _)| ix).collect();
        let wanted = targets.iter().filter(|_| !all.is_empty()).map(|(vm, to)| {
            let vm = all[usize::from(*vm) % all.len()];
            Wanted::new(vm, HostIx(u32::from(*to) % hosts), Reason::Asked { by: "a test".into() })
        });
        let way = way(&cluster.input(), &cluster.policy, &wanted.collect::<Vec<Wanted>>());
        let refused = way.left_out.iter().find(|(_, reason)| reason.code() == "check.refused");
        prop_assert_eq!(refused, None);
        prop_assert_eq!(is_sane(&cluster, &way.plan), Ok(()));
    }

    #[test]
    fn rules_and_checker_agree_on_moves_by_hand(cluster in clusters()) {
        for vm in &cluster.snapshot.vms {
            for host in &cluster.snapshot.hosts {
                if let Err(reasons) = migrate_by_hand(&cluster.input(), &cluster.policy, vm.id, &host.name, "ann") {
                    prop_assert!(reasons.iter().all(|reason| reason.code() != "check.refused"), "{reasons:?}");
                }
            }
        }
    }
}
