//! A longer search by the daemon: the same as without it, one at a time, and for nobody it does not go on.

mod simulated;

use std::sync::Arc;
use std::time::{Duration, Instant};

use simulated::{Simulated, policy};
use tokio::task::JoinHandle;
use ulm_control::longer::{LongerWish, Searching};
use ulm_control::simulated::SimConnector;
use ulm_control::{Config, Daemon, Handle, Keep, OrderError, Refusal};
use ulm_decide::{Decision, Longer, LongerSearch, Outcome, decide_longer};
use ulm_drivers::sim::{Scenario, SimCluster};
use ulm_model::{Acting, Share, Stopped};
use ulm_policy::{Goal, GoalKind, Policy, Spread};

/// Far more than anything here takes; reached only when something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Wants all hosts alike, which is never quite reached.
fn evens() -> Policy {
    let even = Spread { floor: Share::ZERO, ..Spread::default() };
    let mut policy = Policy { goals: vec![Goal::new("even", GoalKind::Even(even))], ..policy() };
    // One figure is enough.
    policy.hotspot.above = 1;
    policy.worth.lasts = Duration::from_secs(1_000_000);
    (policy.limits.moves, policy.limits.moves_per_host) = (20, 10);
    policy
}

async fn cluster() -> Simulated {
    let cluster = Simulated::in_memory(&Scenario::noisy(4, 16, 1), evens()).await;
    cluster.run_for(evens().observe.interval * 4).await;
    cluster
}

fn without_end() -> LongerWish {
    LongerWish::new(None, Some(600.0))
}

/// Begins a search, and waits until it runs.
async fn begun(handle: &Handle, wish: LongerWish) -> JoinHandle<Result<Decision, OrderError>> {
    let (asked, mine) = (handle.clone(), handle.clone());
    let search = tokio::spawn(async move { asked.longer(wish, "anna").await });
    until("it runs", || mine.searching().is_ok()).await;
    search
}

/// Virtual time stands still while a search runs, so it is looked again and again.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
        tokio::task::yield_now().await;
    }
}

fn said(decision: &Decision) -> &LongerSearch {
    decision.report.longer.as_ref().expect("a longer search says what came of it")
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, OrderError>) -> Refusal {
    answer.expect_err("it is refused").refusal
}

#[tokio::test(start_paused = true)]
async fn it_finds_what_the_longer_search_on_the_same_facts_finds() {
    let cluster = cluster().await;
    let (input, policy) = cluster.handle.grounds().expect("something is known");
    let wish = LongerWish::new(Some(400_000), None);
    let decision = cluster.handle.longer(wish, "anna").await.expect("none else runs");
    let in_order = Longer { budget: wish.budget, share_out: &|count, work| (0..count).for_each(work), stop: &|| None };
    assert_eq!(decision, decide_longer(&input, &policy, &in_order));
    assert!(matches!(said(&decision).outcome, Outcome::Looked { .. }), "{decision}");
    assert!(!decision.plan.steps.is_empty() && decision.sane.is_some());

    // Nothing came of it but the answer.
    assert_eq!(cluster.handle.status().moves, []);
    assert_eq!(refusal(cluster.handle.searching()), Refusal::NotFound);
    cluster.handle.longer(wish, "bert").await.expect("the next one may begin");
}

#[tokio::test(start_paused = true)]
async fn a_second_one_is_refused_until_the_first_has_ended() {
    let cluster = cluster().await;
    let (mine, theirs) = (without_end(), without_end());
    let first = begun(&cluster.handle, mine).await;
    let seen = cluster.handle.searching().expect("it runs");
    let since = cluster.handle.status().now;
    assert_eq!(seen, Searching { by: "anna".into(), since, wish: mine, stopped: None });
    let error = cluster.handle.longer(theirs, "bert").await.expect_err("one runs");
    assert_eq!(error.refusal, Refusal::Conflict);
    assert!(error.message.contains("anna") && error.message.contains(&since.to_string()), "{error}");

    assert_eq!(refusal(cluster.handle.end_search(theirs.id, "bert")), Refusal::NotFound);
    assert_eq!(cluster.handle.searching().map(|it| it.stopped), Ok(None), "the other one goes on");
    cluster.handle.end_search(mine.id, "bert").expect("it runs");
    let decision = first.await.expect("it does not panic").expect("it has an answer");
    assert_eq!(said(&decision).stopped, Some(Stopped::Interrupted));
    assert_eq!(refusal(cluster.handle.end_search(mine.id, "bert")), Refusal::NotFound);
}

#[tokio::test(start_paused = true)]
async fn the_clock_ends_it_and_its_plan_is_good_from_then_on() {
    let cluster = cluster().await;
    let stale = evens().observe.stale_after;
    let wish = LongerWish::new(None, Some(2.0 * stale.as_secs_f64()));
    let search = begun(&cluster.handle, wish).await;
    let began = cluster.handle.status().now;
    tokio::time::advance(stale * 2).await;
    let decision = search.await.expect("it does not panic").expect("it has an answer");
    assert_eq!(said(&decision).stopped, Some(Stopped::Clock));
    let (plan, sane) = (&decision.plan, decision.sane.as_ref().expect("the checker has looked at it"));
    assert!(plan.made_at >= began + stale * 2 && plan.expires_at == plan.made_at + stale, "{plan:?}");
    assert_eq!(sane.plan, plan.id());
    cluster.handle.apply(plan.clone(), "anna").await.expect("it is carried out");
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_nobody_waits_for_it_any_more() {
    let cluster = cluster().await;
    let search = begun(&cluster.handle, without_end()).await;
    search.abort();
    until("its threads have ended", || cluster.handle.searching().is_err()).await;
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_best_so_far_when_the_daemon_ends() {
    let cluster = cluster().await;
    let search = begun(&cluster.handle, without_end()).await;
    let _cluster = cluster.killed_and_started_again().await;
    let decision = search.await.expect("it does not panic").expect("it has an answer");
    assert_eq!(said(&decision).stopped, Some(Stopped::Interrupted));
}

#[tokio::test(start_paused = true)]
async fn the_loop_goes_on_while_it_is_looked() {
    let cluster = cluster().await;
    let search = begun(&cluster.handle, without_end()).await;
    let round = |handle: &Handle| handle.status().round.expect("rounds have ended").number;
    let before = round(&cluster.handle);
    cluster.handle.set_acting(Acting::On, "anna").await.expect("orders are obeyed");
    tokio::time::advance(evens().observe.interval * 2).await;
    until("a round has ended", || round(&cluster.handle) > before).await;
    assert_eq!(cluster.handle.searching().map(|it| it.stopped), Ok(None));
    search.abort();
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_knows_nothing_yet_says_so() {
    let cluster = SimCluster::in_virtual_time(&Scenario::new(1)).expect("the scenario is sound");
    let config = Config {
        keep: Keep::Memory,
        policy: evens().into(),
        connector: Arc::new(SimConnector(cluster.clone())),
        clock: cluster.clock(),
        version: "test".to_owned(),
    };
    let (handle, _not_running) = Daemon::start(config).expect("books in memory can be used");
    assert_eq!(refusal(handle.longer(LongerWish::new(None, None), "anna").await), Refusal::Malformed);
    assert_eq!(refusal(handle.longer(without_end(), "anna").await), Refusal::Unavailable);
    assert_eq!(refusal(handle.searching()), Refusal::NotFound);
}
