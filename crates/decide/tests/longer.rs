//! What a longer search promises: never worse, the same on one thread and on several, and the best so far for whoever ends it.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::*;
use proptest::prelude::*;
use ulm_decide::{Decision, Longer, LongerSearch, Outcome, Reached, Work, decide_longer};
use ulm_model::*;
use ulm_policy::{Defragment, Goal, GoalKind, Shape, Spread};

/// Hosts with VMs of these sizes, and a goal; moves cost next to nothing, so that the goal decides.
fn cluster(hosts: &[Vec<(u64, u64)>], kind: GoalKind) -> Cluster {
    let names: Vec<String> = (0..hosts.len()).map(|i| format!("h{i}")).collect();
    let mut cluster = Cluster::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for (name, vms) in names.iter().zip(hosts) {
        for (i, (cpu, gib)) in vms.iter().enumerate() {
            cluster.vm(name, &format!("{name}-{i}"), *cpu, *gib);
        }
    }
    cluster.policy.hotspot.enabled = false;
    cluster.policy.worth.lasts = Duration::from_secs(1_000_000);
    (cluster.policy.limits.moves, cluster.policy.limits.moves_per_host) = (100, 10);
    cluster.policy.goals = vec![Goal::new("the goal", kind)];
    cluster
}

fn even() -> GoalKind {
    GoalKind::Even(Spread { floor: Share::ZERO, ..Spread::default() })
}

/// Many VMs of sizes that hardly fit together, on a few hosts.
fn knotty() -> Cluster {
    let size = |i: u64| (150 + i * 389 % 700, 4 + i * 7 % 11);
    let host = |first: u64, vms: u64| (first..first + vms).map(size).collect::<Vec<_>>();
    cluster(&[host(0, 9), host(9, 4), host(13, 7), host(20, 2), host(22, 6)], even())
}

/// How work is shared out: one piece after the other, from either end, or all at once.
type ShareOut = fn(usize, &Work<'_>);
const IN_ORDER: ShareOut = |count, work| (0..count).for_each(work);
const BACKWARDS: ShareOut = |count, work| (0..count).rev().for_each(work);
const AT_ONCE: ShareOut =
    |count, work| std::thread::scope(|scope| (0..count).for_each(|i| drop(scope.spawn(move || work(i)))));

fn look(cluster: &Cluster, budget: u64, share_out: ShareOut) -> Decision {
    let longer = Longer { budget: Some(budget), share_out: &share_out, stop: &|| None };
    decide_longer(&cluster.input(), &cluster.policy, &longer)
}

fn said(decision: &Decision) -> &LongerSearch {
    decision.report.longer.as_ref().expect("a longer search says what came of it")
}

fn reached(decision: &Decision) -> (Reached, Reached) {
    match said(decision).outcome {
        Outcome::Looked { quick, longer, .. } => (quick, longer),
        other => panic!("it was looked longer: {other:?}"),
    }
}

#[test]
fn what_it_brings_does_not_depend_on_threads() {
    let cluster = knotty();
    let alone = look(&cluster, 400_000, IN_ORDER);
    assert_eq!(look(&cluster, 400_000, BACKWARDS), alone);
    assert_eq!(look(&cluster, 400_000, AT_ONCE), alone);
    assert!(said(&alone).weighed.abs_diff(400_000) < 20_000, "{}", said(&alone));
    assert_eq!(said(&alone).stopped, None);
}

#[test]
fn it_finds_what_the_quick_search_does_not() {
    let decision = look(&knotty(), 2_000_000, AT_ONCE);
    let (quick, longer) = reached(&decision);
    assert!(longer.plan < quick.plan, "{decision}");
    assert!(decision.sane.is_some());
    assert_ne!(decision.plan, knotty().decide().plan);
}

#[test]
fn whoever_ends_it_gets_the_best_so_far_and_is_told_so() {
    let cluster = knotty();
    let quick = cluster.decide();
    for (patience, why) in [(0, Stopped::Interrupted), (20, Stopped::Interrupted), (60, Stopped::Clock)] {
        let asked = AtomicU64::new(0);
        let stop = || (asked.fetch_add(1, Ordering::Relaxed) >= patience).then_some(why);
        // Without a budget it would never end by itself.
        let longer = Longer { budget: None, share_out: &AT_ONCE, stop: &stop };
        let decision = decide_longer(&cluster.input(), &cluster.policy, &longer);
        assert_eq!(said(&decision).stopped, Some(why));
        assert!(decision.sane.is_some());
        let (quick_reached, longer) = reached(&decision);
        assert!(longer.plan <= quick_reached.plan && longer.placement <= quick_reached.placement);
        if patience == 0 {
            assert_eq!(decision.plan, quick.plan, "nothing was looked at yet");
        }
        let ends = match why {
            Stopped::Clock => "the same input may give another answer",
            _ => "this is the best so far",
        };
        assert!(said(&decision).to_string().ends_with(ends), "{}", said(&decision));
    }
}

#[test]
fn where_nothing_is_left_to_find_it_is_not_begun() {
    let calm = cluster(&[vec![(500, 8)], vec![]], GoalKind::Even(Spread::default()));
    let decision = look(&calm, u64::MAX, IN_ORDER);
    assert_eq!((said(&decision).outcome, said(&decision).weighed), (Outcome::NothingLeft, 0));
}

#[test]
fn it_is_not_begun_where_something_else_comes_first() {
    let mut hot = knotty();
    hot.policy.hotspot.enabled = true;
    hot.policy.goals.push(Goal::new("relieve", GoalKind::Relieve));
    hot.vm("h0", "hungry", 5000, 4);
    let decision = look(&hot, u64::MAX, IN_ORDER);
    assert_eq!(said(&decision).outcome, Outcome::NotAsked, "{decision}");
    assert_eq!(decision.plan, hot.decide().plan);
}

#[test]
fn rules_hold_for_it_as_for_every_plan() {
    let mut cluster = knotty();
    cluster.rule("name = \"once\"\nkind = \"budget\"\nvm = \"h0-*\"\nper = \"vm\"\nmoves = 1\nwithin = \"7d\"\n");
    cluster.rule("name = \"few\"\nkind = \"max_vms\"\nhost = \"h3\"\nat_most = 3\n");
    let decision = look(&cluster, 400_000, AT_ONCE);
    let (quick, longer) = reached(&decision);
    assert!(decision.sane.is_some() && longer.plan <= quick.plan, "{decision}");
    let arrived = moves(&decision).iter().filter(|step| step.ends_with("-> h3")).count();
    let left = moves(&decision).iter().filter(|step| step.contains(": h3 ->")).count();
    assert!(2 + arrived - left <= 3, "{decision}");
}

fn kinds() -> impl Strategy<Value = GoalKind> {
    let shape = Shape::new(4, Bytes::gib(40), Some(3));
    prop_oneof![
        Just(even()),
        Just(GoalKind::Defragment(Defragment::default())),
        Just(GoalKind::MakeRoom(shape)),
        Just(GoalKind::Evacuate),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_plan_is_sane_and_never_worse_than_the_quick_one(
        hosts in proptest::collection::vec(proptest::collection::vec((50u64..900, 1u64..30), 0..5), 2..6),
        kind in kinds(),
        moves in 1u32..6,
    ) {
        let mut cluster = cluster(&hosts, kind);
        cluster.policy.limits.moves = moves;
        if cluster.policy.goals[0].kind == GoalKind::Evacuate {
            cluster.policy.goals[0].hosts.name = vec!["h0".into()];
        }
        let (quick, decision) = (cluster.decide(), look(&cluster, 20_000, AT_ONCE));
        prop_assert_eq!(decision.plan.steps.is_empty(), decision.sane.is_none());
        match said(&decision).outcome {
            Outcome::Looked { quick: first, longer, less } => {
                prop_assert!(longer.plan <= first.plan && longer.placement <= first.placement);
                prop_assert!(decision.plan == quick.plan || longer.plan < first.plan || less == Share::ZERO);
            }
            Outcome::NothingLeft | Outcome::NotAsked => prop_assert_eq!(&decision.plan, &quick.plan),
        }
        prop_assert_eq!(look(&cluster, 20_000, AT_ONCE), decision);
    }
}
