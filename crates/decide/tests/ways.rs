//! How wanted VMs get where they are wanted: parked on the way, with others making room, or not at all and why.

mod common;

use std::collections::BTreeMap;

use common::*;
use proptest::prelude::*;
use ulm_check::{Grounds, check};
use ulm_decide::{Wanted, Way, way};
use ulm_model::*;

/// Where VMs are wanted, by names; the reason tells who.
fn wanted(cluster: &Cluster, targets: &[(&str, &str)]) -> Vec<Wanted> {
    let one = |(vm, to): &(&str, &str)| {
        let ix = cluster.snapshot.vms_ix().find(|(_, one)| one.name == *vm).unwrap().0;
        let to = cluster.snapshot.find_host(&(*to).into()).unwrap();
        Wanted::new(ix, to, Reason::Asked { by: format!("{vm}'s test") })
    };
    targets.iter().map(one).collect()
}

fn go(cluster: &Cluster, targets: &[(&str, &str)]) -> Way {
    way(&cluster.input(), &cluster.policy, &wanted(cluster, targets))
}

/// The steps as sentences, each with what it waits for and why it is made.
fn told(way: &Way) -> Vec<String> {
    let step = |step: &Step| {
        let Action::Move { vm_name, from, to, .. } = &step.action;
        let after: Vec<String> = step.after.iter().map(StepId::to_string).collect();
        format!("{}: {vm_name}: {from} -> {to} after [{}]: {}", step.id, after.join(", "), step.because)
    };
    way.plan.steps.iter().map(step).collect()
}

/// Where each VM is when all steps have been done.
fn end(cluster: &Cluster, plan: &Plan) -> BTreeMap<VmId, HostName> {
    let home = |vm: &Vm| (vm.id, cluster.snapshot.host(vm.host).name.clone());
    let mut at: BTreeMap<VmId, HostName> = cluster.snapshot.vms.iter().map(home).collect();
    for step in &plan.steps {
        let Action::Move { vm, from, to, .. } = &step.action;
        assert_eq!(
            at.insert(*vm, to.clone()).as_ref(),
            Some(from),
            "the steps stand in an order of which each VM can keep track"
        );
    }
    at
}

fn is_sane(cluster: &Cluster, plan: &Plan) -> Result<(), String> {
    let rulebook = cluster.policy.rulebook();
    let digest = cluster.snapshot.digest();
    let grounds = Grounds { snapshot: &cluster.snapshot, digest: &digest, rulebook: &rulebook, now: NOW, past: &[] };
    check(plan, &grounds).map(|_| ()).map_err(|fault| fault.to_string())
}

/// Two hosts, each too full for the other's VM beside its own.
fn two_full_hosts() -> Cluster {
    let mut cluster = Cluster::of(&["left", "right"]);
    cluster.vm("left", "l", 100, 60);
    cluster.vm("right", "r", 100, 60);
    cluster
}

fn with_host(mut cluster: Cluster, name: &str) -> Cluster {
    let mut snapshot = std::mem::take(&mut cluster.snapshot);
    snapshot.hosts.push(host(name));
    snapshot.sort();
    cluster.snapshot = snapshot;
    cluster
}

#[test]
fn a_swap_between_full_hosts_parks_one_vm_on_a_third_host() {
    let cluster = with_host(two_full_hosts(), "spare");
    let way = go(&cluster, &[("l", "right"), ("r", "left")]);
    assert_eq!(is_sane(&cluster, &way.plan), Ok(()));
    assert!(way.sane.is_some() && way.left_out.is_empty());
    assert_eq!(
        told(&way),
        [
            "0: l: left -> spare after []: it makes room on left for r",
            "1: r: right -> left after [0]: r's test asked for it",
            "2: l: spare -> right after [1]: l's test asked for it",
        ]
    );
}

#[test]
fn what_is_impossible_is_told_and_not_begun() {
    let cluster = two_full_hosts();
    let way = go(&cluster, &[("l", "right"), ("r", "left")]);
    assert!(way.plan.steps.is_empty() && way.sane.is_none());
    let mut told: Vec<String> = way.left_out.iter().map(|(_, reason)| reason.to_string()).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "no safe way leads l to right: right has too little memory for all that are to be there",
            "no safe way leads r to left: it and what is in its way have no room for a first move, not even with further hosts' help",
        ]
    );
}

#[test]
fn a_vm_that_nobody_wants_elsewhere_makes_room_and_goes_back() {
    let mut cluster = Cluster::of(&["left", "right", "spare"]);
    for (host, vms) in [("left", ["l", "l-small", "l-rest"]), ("right", ["r", "r-small", "r-rest"])] {
        for (vm, gib) in vms.into_iter().zip([30, 20, 30]) {
            cluster.vm(host, vm, 100, gib);
        }
    }
    cluster.vm("spare", "filler", 100, 65);
    let way = go(&cluster, &[("l", "right"), ("r", "left")]);
    assert_eq!(is_sane(&cluster, &way.plan), Ok(()), "{:#?}", told(&way));
    assert!(way.left_out.is_empty(), "{:?}", way.left_out);
    assert_eq!(way.plan.steps.len(), 4, "{:#?}", told(&way));
    let codes: Vec<&str> = way.plan.steps.iter().map(|step| step.because.code()).collect();
    assert_eq!(codes, ["way.makes_room", "asked", "asked", "way.goes_back"], "{:#?}", told(&way));
}

#[test]
fn what_fits_at_once_waits_for_nothing_and_disturbs_nobody() {
    let mut cluster = Cluster::of(&["a", "b", "c"]);
    cluster.vm("a", "one", 100, 20);
    cluster.vm("b", "two", 100, 20);
    cluster.vm("c", "three", 100, 20);
    let way = go(&cluster, &[("one", "b"), ("two", "c"), ("three", "a")]);
    assert_eq!(way.plan.steps.len(), 3);
    assert!(way.plan.steps.iter().all(|step| step.after.is_empty()), "{:#?}", told(&way));
}

#[test]
fn one_that_has_no_way_is_left_out_and_the_rest_goes() {
    let mut cluster = Cluster::of(&["left", "right", "spare"]);
    cluster.vm("left", "l", 100, 60);
    cluster.vm("left", "small", 100, 10);
    cluster.host_mut("right").networks.clear();
    let way = go(&cluster, &[("l", "right"), ("small", "spare")]);
    assert_eq!(told(&way), ["0: small: left -> spare after []: small's test asked for it"]);
    let reasons: Vec<String> = way.left_out.iter().map(|(_, reason)| reason.to_string()).collect();
    assert_eq!(reasons, ["no safe way leads l to right: right does not have bridge:br0"]);
}

#[test]
fn what_is_on_its_way_counts_on_both_hosts_and_stays_out_of_it() {
    let mut cluster = with_host(two_full_hosts(), "spare");
    let flying = cluster.vm("left", "flying", 100, 20);
    cluster.fly(flying, Some("spare"));
    // `spare` has 90 GiB, of which 20 are on their way: 60 still fit.
    let way = go(&cluster, &[("l", "right"), ("r", "left")]);
    assert!(!way.plan.steps.is_empty() && is_sane(&cluster, &way.plan).is_ok());
    // With 40 on their way they do not any more.
    cluster.vm_mut(flying).memory = Bytes::gib(40);
    let way = go(&cluster, &[("l", "right"), ("r", "left"), ("flying", "right")]);
    assert!(way.plan.steps.is_empty());
    assert!(way.left_out.iter().any(|(_, reason)| *reason == Reason::Moving {}));
}

#[test]
fn a_host_that_has_too_much_gives_and_does_not_take() {
    let mut cluster = Cluster::of(&["full", "other"]);
    cluster.vm("full", "goes", 100, 20);
    cluster.vm("full", "stays", 100, 60);
    cluster.vm("other", "comes", 100, 5);
    cluster.policy.capacity.memory_reserve = Bytes::gib(30);
    let way = go(&cluster, &[("goes", "other"), ("comes", "full")]);
    assert_eq!(told(&way), ["0: goes: full -> other after []: goes's test asked for it"]);
    assert_eq!(way.left_out.len(), 1);
    assert!(way.left_out[0].1.to_string().contains("full has 0 B of memory to give"), "{:?}", way.left_out);
}

#[test]
fn who_rests_or_cannot_be_believed_is_not_moved_out_of_the_way() {
    let mut cluster = Cluster::of(&["left", "right", "spare"]);
    let mut small = Vec::new();
    for (host, vms) in [("left", ["l", "l-small", "l-rest"]), ("right", ["r", "r-small", "r-rest"])] {
        let ids: Vec<VmId> = vms.iter().zip([30, 20, 30]).map(|(vm, gib)| cluster.vm(host, vm, 100, gib)).collect();
        small.push(ids[1]);
    }
    cluster.vm("spare", "filler", 100, 65);
    cluster.past_mut(small[0]).moved.push(NOW);
    cluster.vm_mut(small[1]).cpu_use = Recent::default();
    let way = go(&cluster, &[("l", "right"), ("r", "left")]);
    assert!(way.plan.steps.is_empty(), "{:#?}", told(&way));
}

/// Up to five hosts with more or less room, and VMs of which each is wanted on the host of the next one, or anywhere.
fn questions() -> impl Strategy<Value = (Cluster, Vec<(u8, u8)>)> {
    let host = (0u8..25, 1u64..40, proptest::collection::vec((1u64..5, 0u8..25), 0..6));
    (proptest::collection::vec(host, 2..6), proptest::collection::vec((0u8..25, 0u8..6), 1..7)).prop_map(
        |(hosts, targets)| {
            let names: Vec<String> = (0..hosts.len()).map(|i| format!("h{i}")).collect();
            let mut cluster = Cluster::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
            for (name, (kind, slack, vms)) in names.iter().zip(&hosts) {
                for (i, (gib, oddity)) in vms.iter().enumerate() {
                    let id = cluster.vm(name, &format!("{name}-{i}"), 100, 10 * gib);
                    match oddity {
                        0 => cluster.vm_mut(id).fixtures.push(Fixture::LocalDisk { path: "/var/x".into() }),
                        1 => cluster.past_mut(id).moved.push(NOW),
                        2 => cluster.vm_mut(id).memory_use = steady(Bytes::gib(5 * gib)),
                        3 if *name != "h0" => cluster.fly(id, Some("h0")),
                        4 => cluster.past_mut(id).left = [("h1".into(), NOW)].into(),
                        _ => {}
                    }
                }
                // Most hosts have little room beside what is on them.
                let host = cluster.host_mut(name);
                host.memory = host.memory_use.value().unwrap() + Bytes::gib(*slack);
                match kind {
                    0 => host.state = HostState::Maintenance,
                    1 => host.networks.clear(),
                    2 => host.memory_use = Recent::default(),
                    3 => cluster.doubt(Scope::Host(name.as_str().into())),
                    _ => {}
                }
            }
            // A plan of one step begins at once; here that never depends on what else moves.
            (cluster.policy.limits.moves, cluster.policy.limits.moves_per_host) = (100, 100);
            (cluster, targets)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_is_a_route_that_the_checker_accepts((cluster, targets) in questions()) {
        let snapshot = &cluster.snapshot;
        let vms = snapshot.vms.len().max(1) as u32;
        let vm = |i: usize| VmIx(u32::from(targets[i % targets.len()].0) % vms);
        let wanted: Vec<Wanted> = (0..targets.len())
            .filter(|_| !snapshot.vms.is_empty())
            .map(|i| {
                let anywhere = HostIx(u32::from(targets[i].1) % snapshot.hosts.len() as u32);
                let to = if targets[i].1 == 0 { anywhere } else { snapshot.vm(vm(i + 1)).host };
                Wanted::new(vm(i), to, Reason::Calm {})
            })
            .collect();
        let way = way(&cluster.input(), &cluster.policy, &wanted);
        let refused = way.left_out.iter().find(|(_, reason)| matches!(reason, Reason::CheckRefused { .. }));
        prop_assert!(refused.is_none(), "{refused:?}");
        prop_assert_eq!(way.sane.is_some(), !way.plan.steps.is_empty());
        if !way.plan.steps.is_empty() {
            prop_assert_eq!(is_sane(&cluster, &way.plan), Ok(()));
        }
        // Everybody is where he is wanted, or stays at home and is named.
        let ends = end(&cluster, &way.plan);
        for (ix, vm) in snapshot.vms_ix() {
            let home = &snapshot.host(vm.host).name;
            let goal = wanted.iter().find(|one| one.vm == ix && one.to != vm.host).map(|one| &snapshot.host(one.to).name);
            let left_out = way.left_out.iter().any(|(out, _)| *out == ix);
            let expected = match goal {
                Some(goal) if !left_out => goal,
                _ => home,
            };
            prop_assert_eq!(&ends[&vm.id], expected, "{} {:?}", vm.name, way);
        }
    }
}
