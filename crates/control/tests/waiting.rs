//! The limits on moves at once are kept by waiting; plans with several moves of one VM end where they are to end.

mod simulated;

use std::time::Duration;

use simulated::{Simulated, policy};
use ulm_control::view::PlanStatus;
use ulm_decide::{Input, Past, Wanted};
use ulm_drivers::sim::{Fault, HostSpec, Load, Mover, Scenario, VmSpec};
use ulm_model::ledger::{Event, Outcome};
use ulm_model::{Acting, Action, Bytes, BytesPerSecond, Expected, HostName, Plan, Reason, Step, StepId};
use ulm_policy::Policy;

/// A policy that never moves anything by itself, and slow moves.
fn slow() -> Policy {
    let mut slow = policy();
    slow.hotspot.enabled = false;
    slow.limits.bandwidth = Some(BytesPerSecond(200 << 20));
    slow
}

fn host(name: &str) -> HostSpec {
    HostSpec::new(name, 16, Bytes::gib(64))
}

fn vm(name: &str, host: &str, gib: u64) -> VmSpec {
    VmSpec::new(name, host, 1, Bytes::gib(gib)).load(Load::constant(20.0))
}

/// Moves with what each waits for: VM, source, target, steps.
type Move<'m> = (&'m str, &'m str, &'m str, &'m [u32]);

fn plan(cluster: &Simulated, moves: &[Move<'_>]) -> Plan {
    let now = cluster.handle.status().now;
    let step = |(i, (vm, from, to, after)): (usize, &Move<'_>)| Step {
        id: StepId(i as u32),
        action: Action::Move { vm: cluster.vm(vm), vm_name: (*vm).into(), from: (*from).into(), to: (*to).into() },
        after: after.iter().map(|step| StepId(*step)).collect(),
        because: Reason::Asked { by: "a test".into() },
        expected: None,
    };
    let steps = moves.iter().enumerate().map(step).collect();
    Plan { parent: "a test".into(), made_at: now, expires_at: now + Duration::from_secs(60), steps }
}

/// The most moves that ever ran at once, in all and on one host.
fn most_at_once(cluster: &Simulated) -> (usize, usize) {
    let world = cluster.world();
    let at = |began| {
        let runs = world.moves().iter().filter(move |r| r.began <= began && r.ended.is_none_or(|ended| ended > began));
        let runs: Vec<_> = runs.collect();
        let hosts = world.host_names();
        let touching = |host: &HostName| runs.iter().filter(|run| run.from == *host || run.to == *host).count();
        (runs.len(), hosts.iter().map(touching).max().unwrap_or(0))
    };
    let all: Vec<(usize, usize)> = world.moves().iter().map(|run| at(run.began)).collect();
    (all.iter().map(|(all, _)| *all).max().unwrap_or(0), all.iter().map(|(_, host)| *host).max().unwrap_or(0))
}

fn outcomes(plan: &PlanStatus) -> Vec<String> {
    let told = plan.steps.iter().map(|step| match (&step.outcome, &step.refused) {
        (Some(Outcome::Moved), _) => "moved".to_owned(),
        (Some(Outcome::Stayed { .. }), _) => "stayed".to_owned(),
        (Some(other), _) => other.to_string(),
        (None, Some(reason @ Reason::CheckRefused { .. })) => reason.to_string(),
        (None, Some(reason)) => reason.code().to_owned(),
        (None, None) => "open".to_owned(),
    });
    told.collect()
}

/// Eight VMs on h1 and h2, and two empty hosts.
fn eight() -> Scenario {
    let mut scenario = Scenario::new(3).host(host("h1")).host(host("h2")).host(host("h3")).host(host("h4"));
    for i in 0..4 {
        scenario = scenario.vm(vm(&format!("a{i}"), "h1", 4)).vm(vm(&format!("b{i}"), "h2", 4));
    }
    scenario
}

#[tokio::test(start_paused = true)]
async fn a_plan_with_more_ready_steps_than_may_run_at_once_runs_all_of_them_and_never_more_at_once() {
    for (moves, per_host) in [(1, 1), (2, 1), (3, 2), (4, 4)] {
        let mut policy = slow();
        (policy.limits.moves, policy.limits.moves_per_host) = (moves, per_host);
        let cluster = Simulated::in_memory(&eight(), policy).await;
        cluster.run_for(Duration::from_secs(60)).await;
        let names: Vec<String> = (0..4).flat_map(|i| [format!("a{i}"), format!("b{i}")]).collect();
        // All of h1's come first: those of h2 overtake them.
        let mut list: Vec<Move<'_>> = names
            .iter()
            .map(|name| {
                if name.starts_with('a') {
                    (name.as_str(), "h1", "h3", &[][..])
                } else {
                    (name.as_str(), "h2", "h4", &[][..])
                }
            })
            .collect();
        list.sort();
        let accepted = cluster.handle.apply(plan(&cluster, &list), "a test").await.expect("it is sane");
        let status = cluster.follow(&accepted).await;
        assert_eq!(outcomes(&status), ["moved"; 8], "{moves} at once, {per_host} per host");
        let most = most_at_once(&cluster);
        let both = (2 * per_host as usize).min(moves as usize);
        assert_eq!(most, (both, (per_host as usize).min(moves as usize)), "{moves} at once, {per_host} per host");
    }
}

/// Two hosts, each too full for the other's VM beside its own, one that is not, and a VM that has nothing to do with them.
fn two_full_hosts() -> Scenario {
    let hosts = ["left", "other", "right", "spare"].map(host);
    let scenario = hosts.into_iter().fold(Scenario::new(5), Scenario::host);
    scenario.vm(vm("l", "left", 36)).vm(vm("r", "right", 36)).vm(vm("o", "other", 8))
}

/// The plan that swaps them, as the room that decides makes it.
fn swap(cluster: &Simulated, policy: &Policy) -> Plan {
    let published = cluster.handle.published();
    let snapshot = &published.snapshot;
    let want = |vm: &str, to: &str| {
        let vm = snapshot.find_vm(cluster.vm(vm)).expect("it runs");
        let to = snapshot.find_host(&to.into()).expect("it is known");
        Wanted::new(vm, to, Reason::Asked { by: "a test".into() })
    };
    let input = Input::new((**snapshot).clone(), snapshot.taken_at, Acting::On, Past::default());
    let way = ulm_decide::way(&input, policy, &[want("l", "right"), want("r", "left"), want("o", "spare")]);
    assert_eq!((way.plan.steps.len(), way.left_out.len()), (4, 0), "{way:?}");
    way.plan
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_is_parked_on_the_way_ends_where_it_is_wanted() {
    let cluster = Simulated::start(&two_full_hosts(), slow()).await;
    cluster.run_for(Duration::from_secs(300)).await;
    let plan = swap(&cluster, &slow());
    let accepted = cluster.handle.apply(plan, "a test").await.expect("it is sane");
    let status = cluster.follow(&accepted).await;
    assert_eq!(outcomes(&status), ["moved"; 4]);
    assert_eq!(["l", "r", "o"].map(|vm| cluster.host_of(vm)), ["right", "left", "spare"]);
    assert!(cluster.world().out_of_memory().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_move_that_fails_takes_along_what_waits_for_it_and_nothing_else() {
    let cluster = Simulated::start(&two_full_hosts(), slow()).await;
    cluster.run_for(Duration::from_secs(300)).await;
    let plan = swap(&cluster, &slow());
    let accepted = cluster.handle.apply(plan, "a test").await.expect("it is sane");
    cluster.run_for(Duration::from_secs(20)).await;
    let parked =
        cluster.world().moves().iter().find(|run| run.to.0 == "spare" && run.name != "o").map(|run| run.name.clone());
    let parked = parked.expect("it copies");
    cluster.world().inject(Fault::AbortMove { vm: parked }).expect("it moves");
    let status = cluster.follow(&accepted).await;
    let mut outcomes = outcomes(&status);
    outcomes.sort();
    assert_eq!(outcomes, ["moved", "stayed", "step.predecessor", "step.predecessor"]);
    assert_eq!(["l", "r", "o"].map(|vm| cluster.host_of(vm)), ["left", "right", "spare"]);
    assert!(cluster.world().out_of_memory().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_step_waits_while_somebody_elses_move_keeps_its_host_busy() {
    let mut policy = slow();
    policy.limits.moves_per_host = 1;
    let cluster = Simulated::start(&eight(), policy).await;
    cluster.run_for(Duration::from_secs(60)).await;
    let bandwidth = Some(BytesPerSecond(40 << 20));
    let foreign = Fault::ForeignMove { vm: "b0".into(), to: "h3".into(), bandwidth };
    cluster.world().inject(foreign).expect("it can be moved");
    cluster.run_for(Duration::from_secs(20)).await;
    // Both hosts of the second step are free: it overtakes the first one.
    let list: [Move<'_>; 2] = [("a0", "h1", "h3", &[]), ("a1", "h1", "h4", &[])];
    let accepted = cluster.handle.apply(plan(&cluster, &list), "a test").await.expect("it only has to wait");
    cluster.run_for(Duration::from_secs(5)).await;
    let moves = cluster.handle.status().moves;
    let waits = moves.iter().find(|one| one.key.vm_name == "a0").expect("it is wanted");
    assert!(
        waits.trouble.as_deref().is_some_and(|trouble| trouble.contains("of at most 1 moves at once")),
        "{waits:?}"
    );
    let status = cluster.follow(&accepted).await;
    assert_eq!(outcomes(&status), ["moved"; 2]);
    let world = cluster.world();
    let run = |name: &str| world.moves().iter().find(|run| run.name == name).expect("it moved").clone();
    assert!(matches!(run("b0").by, Mover::SomebodyElse), "{:?}", run("b0").by);
    assert!(run("a1").began < run("a0").began && run("b0").ended.expect("it has ended") <= run("a0").began);
}

#[tokio::test(start_paused = true)]
async fn a_step_does_not_wait_for_ever() {
    let mut policy = slow();
    policy.limits.moves_per_host = 1;
    let cluster = Simulated::start(&eight(), policy).await;
    cluster.run_for(Duration::from_secs(60)).await;
    let bandwidth = Some(BytesPerSecond(1 << 20));
    let foreign = Fault::ForeignMove { vm: "b0".into(), to: "h3".into(), bandwidth };
    cluster.world().inject(foreign).expect("it can be moved");
    cluster.run_for(Duration::from_secs(20)).await;
    let list: [Move<'_>; 2] = [("a0", "h1", "h3", &[]), ("a1", "h1", "h4", &[0])];
    let before = cluster.handle.status().now;
    let accepted = cluster.handle.apply(plan(&cluster, &list), "a test").await.expect("it only has to wait");
    let status = cluster.follow(&accepted).await;
    assert_eq!(outcomes(&status), ["step.waited", "step.predecessor"]);
    let waited = cluster.handle.status().now.since(before);
    assert!(waited >= Duration::from_secs(300) && waited < Duration::from_secs(330), "{waited:?}");
    assert!(
        status.steps[0]
            .refused
            .as_ref()
            .is_some_and(|reason| reason.to_string().contains("h3 takes part in 1 of at most 1"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_step_waits_while_as_many_of_its_rule_move_as_may() {
    let budget = "[[rule]]\nname = \"one at a time\"\nkind = \"budget\"\nper = \"rule\"\nat_once = 1\nvm = \"*\"\n";
    let rules = Policy::parse(budget, "a test").expect("it is sound").rules;
    let cluster = Simulated::in_memory(&eight(), Policy { rules, ..slow() }).await;
    cluster.run_for(Duration::from_secs(60)).await;
    let list: [Move<'_>; 2] = [("a0", "h1", "h3", &[]), ("b0", "h2", "h4", &[])];
    let accepted = cluster.handle.apply(plan(&cluster, &list), "a test").await.expect("it only has to wait");
    cluster.run_for(Duration::from_secs(5)).await;
    let moves = cluster.handle.status().moves;
    let waits = moves.iter().find(|one| one.key.vm_name == "b0").expect("it is wanted");
    let trouble = waits.trouble.as_deref().unwrap_or_default();
    assert!(trouble.contains("rule `one at a time` lets 1 of its VMs move at once, and 1 do"), "{waits:?}");
    let status = cluster.follow(&accepted).await;
    assert_eq!((outcomes(&status), most_at_once(&cluster).0), (vec!["moved".to_owned(); 2], 1));
}

#[tokio::test(start_paused = true)]
async fn a_step_begins_by_what_it_is_expected_to_take_of_a_budget_of_downtime() {
    let budget = "[[rule]]\nname = \"hardly disturbed\"\nkind = \"budget\"\nper = \"vm\"\ndowntime = \"1s\"\nwithin = \"1d\"\nvm = \"*\"\n";
    let rules = Policy::parse(budget, "a test").expect("it is sound").rules;
    let cluster = Simulated::in_memory(&eight(), Policy { rules, ..slow() }).await;
    cluster.run_for(Duration::from_secs(60)).await;
    let expected = |downtime: u64| Expected {
        duration: Duration::from_secs(10),
        downtime: Duration::from_millis(downtime),
        bytes: Bytes::gib(4),
        gains: Vec::new(),
        payback: None,
        lasts: None,
    };
    let mut plan = plan(&cluster, &[("a0", "h1", "h3", &[]), ("b0", "h2", "h4", &[])]);
    plan.steps[0].expected = Some(expected(900));
    plan.steps[1].expected = Some(expected(900));
    let accepted = cluster.handle.apply(plan.clone(), "a test").await.expect("each keeps within its budget");
    assert_eq!(outcomes(&cluster.follow(&accepted).await), ["moved"; 2]);
    let told = cluster.events().into_iter().find_map(|event| match event {
        Event::MoveIntended { expected, .. } => expected,
        _ => None,
    });
    assert_eq!(told, Some(expected(900)), "what was promised is in the ledger");
    plan.steps.truncate(1);
    plan.steps[0].expected = Some(expected(1100));
    // What somebody asks for by hand takes no budget.
    plan.steps[0].because = Reason::ForGoal { goal: "even".into(), what: "h1 and h3 alike".into() };
    let Action::Move { from, to, .. } = &mut plan.steps[0].action;
    std::mem::swap(from, to);
    let refused = cluster.handle.apply(plan, "a test").await.expect_err("that is too much");
    assert!(refused.message.contains("hardly disturbed"), "{refused}");
}

/// A host with one NUMA cell, of which 8 GiB are set aside in huge pages.
fn with_pages(name: &str) -> HostSpec {
    host(name).cell(Bytes::gib(64), &[(PAGES, Bytes::gib(8))])
}

const PAGES: Bytes = Bytes::mib(2);

#[tokio::test(start_paused = true)]
async fn a_vm_in_huge_pages_waits_while_another_one_is_on_its_way_to_the_same() {
    let scenario = ["h1", "h2", "h3", "h4"].map(with_pages).into_iter().fold(Scenario::new(9), Scenario::host);
    let scenario = scenario.vm(vm("a", "h1", 4).in_pages(PAGES)).vm(vm("b", "h1", 4).in_pages(PAGES));
    let mut policy = slow();
    (policy.limits.moves, policy.limits.moves_per_host) = (4, 4);
    let cluster = Simulated::start(&scenario.vm(vm("small", "h3", 1)), policy).await;
    cluster.run_for(Duration::from_secs(60)).await;
    // When `small` has moved and `b` might begin, `a` has its pages on h2 already, and is to bring as much as is left there.
    let moves: [Move<'_>; 3] = [("a", "h1", "h2", &[]), ("small", "h3", "h4", &[]), ("b", "h1", "h2", &[1])];
    let accepted = cluster.handle.apply(plan(&cluster, &moves), "a test").await.expect("it is sane");
    assert_eq!(outcomes(&cluster.follow(&accepted).await), ["moved"; 3]);
    let world = cluster.world();
    let of = |vm: &str| world.moves().iter().find(|record| record.name == vm).expect("it has moved");
    let (a, b) = (of("a"), of("b"));
    assert!(a.ended.is_some_and(|ended| ended <= b.began), "{a:?} {b:?}");
    assert_eq!(world.violations(), [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_huge_pages_that_a_vm_leaves_are_room_for_the_next_one_of_the_plan() {
    let scenario = ["h1", "h2", "h3"].map(with_pages).into_iter().fold(Scenario::new(9), Scenario::host);
    let scenario = scenario.vm(vm("comes", "h1", 6).in_pages(PAGES)).vm(vm("goes", "h2", 6).in_pages(PAGES));
    let cluster = Simulated::start(&scenario, slow()).await;
    cluster.run_for(Duration::from_secs(60)).await;
    let at_once: [Move<'_>; 2] = [("goes", "h2", "h3", &[]), ("comes", "h1", "h2", &[])];
    let refused = cluster.handle.apply(plan(&cluster, &at_once), "a test").await.unwrap_err();
    assert!(refused.to_string().contains("pages of 2.0 MiB"), "{refused}");
    let in_order: [Move<'_>; 2] = [("goes", "h2", "h3", &[]), ("comes", "h1", "h2", &[0])];
    let accepted = cluster.handle.apply(plan(&cluster, &in_order), "a test").await.expect("it is sane");
    assert_eq!(outcomes(&cluster.follow(&accepted).await), ["moved"; 2]);
    assert_eq!(cluster.world().violations(), [] as [String; 0]);
}
