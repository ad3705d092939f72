//! A longer search over a real socket: awaited, refused, ended, left.

mod served;

use std::sync::Arc;
use std::time::{Duration, Instant};

use served::Served;
use tokio::task::JoinHandle;
use ulm_control::longer::{LongerWish, SearchId};
use ulm_control::simulated::{SimConnector, uri_of};
use ulm_drivers::SystemClock;
use ulm_drivers::sim::{Scenario, SimCluster};
use ulm_model::{Share, Stopped};
use ulm_policy::{Goal, GoalKind, Policy, Spread};
use ulm_web::api::Decided;
use ulm_web::client::{Client, ClientError};
use ulm_web::error::Sort;

/// Far more than anything here takes; reached only when something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Wants all hosts alike, which is never quite reached, and looks at them often.
fn evens() -> Policy {
    let even = Spread { floor: Share::ZERO, ..Spread::default() };
    let mut policy = Policy { goals: vec![Goal::new("even", GoalKind::Even(even))], ..Policy::default() };
    policy.observe.interval = Duration::from_millis(500);
    policy.hotspot.above = 1;
    policy.worth.lasts = Duration::from_secs(1_000_000);
    policy
}

/// A daemon that finds something to be better elsewhere.
async fn served() -> Served {
    let cluster = SimCluster::new(&Scenario::noisy(3, 9, 1), Arc::new(SystemClock)).expect("the scenario is sound");
    let hosts = cluster.world().host_names();
    let served = Served::with(Arc::new(SimConnector(cluster)), evens());
    for host in hosts {
        served.client.add_host(&uri_of(&host), Some(&host.0)).await.expect("it can be added");
    }
    let began = Instant::now();
    while served.client.plan().await.is_ok_and(|decided| decided.decision.plan.steps.is_empty()) {
        assert!(began.elapsed() < PATIENCE, "waited in vain until something is better elsewhere");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    served
}

/// Begins a search without an end, and waits until it runs.
async fn begun(client: &Client) -> (SearchId, JoinHandle<Result<Decided, ClientError>>) {
    let (asked, wish) = (client.clone(), LongerWish::new(None, Some(600.0)));
    let search = tokio::spawn(async move { asked.longer(&wish).await });
    until_it(client, Running::Yes).await;
    (wish.id, search)
}

#[derive(PartialEq, Eq)]
enum Running {
    Yes,
    No,
}

async fn until_it(client: &Client, wanted: Running) {
    let began = Instant::now();
    loop {
        let found = match client.searching().await {
            Ok(_) => Running::Yes,
            Err(error) if refusal(&error) == Sort::NotFound => Running::No,
            Err(error) => panic!("{error}"),
        };
        if found == wanted {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain until a search runs, or none does");
    }
}

fn refusal(error: &ClientError) -> Sort {
    match error {
        ClientError::Refused(told) => told.refusal,
        other => panic!("not a refusal: {other}"),
    }
}

fn stopped(answer: Result<Decided, ClientError>) -> Option<Stopped> {
    let decided = answer.expect("it has an answer");
    assert_eq!(decided.id, decided.decision.plan.id());
    decided.decision.report.longer.expect("a longer search says what came of it").stopped
}

#[tokio::test]
async fn a_search_is_awaited_a_second_one_refused_and_the_first_one_ended() {
    let served = served().await;
    let wish = LongerWish::new(Some(20_000), None);
    assert_eq!(stopped(served.client.longer(&wish).await), None);

    let (id, first) = begun(&served.client).await;
    let error = served.client.longer(&wish).await.expect_err("one runs");
    let runs = served.client.searching().await.expect("it runs");
    assert_eq!(refusal(&error), Sort::Conflict);
    assert!(error.to_string().contains(&format!("{} has had the daemon look", runs.by)), "{error}");
    assert!(error.to_string().contains(&runs.since.to_string()), "{error}");
    assert_eq!(runs.wish.id, id);
    let (code, _) = served.raw("POST", "/v1/plan/search", &format!(r#"{{"id":"{}","budget":1}}"#, wish.id)).await;
    assert_eq!(code, 409);
    served.client.status().await.expect("other questions are answered meanwhile");

    let error = served.client.end_search(wish.id).await.expect_err("that one has ended");
    assert_eq!(refusal(&error), Sort::NotFound);
    assert!(error.to_string().contains(&format!("The one that runs is {id}")), "{error}");
    assert_eq!(served.client.searching().await.expect("it goes on").stopped, None);
    served.client.end_search(id).await.expect("it runs");
    assert_eq!(stopped(first.await.expect("it does not panic")), Some(Stopped::Interrupted));
    served.stop().await;
}

#[tokio::test]
async fn who_closes_the_connection_ends_the_search() {
    let served = served().await;
    let stream =
        served.sent("POST", "/v1/plan/search", r#"{"id":"3889f4d2-37e3-43b1-a342-538690d836ac","seconds":600}"#).await;
    until_it(&served.client, Running::Yes).await;
    drop(stream);
    until_it(&served.client, Running::No).await;

    let (_, search) = begun(&served.client).await;
    search.abort();
    until_it(&served.client, Running::No).await;
    served.stop().await;
}

#[tokio::test]
async fn a_daemon_that_stops_answers_with_the_best_so_far() {
    let served = served().await;
    let (_, search) = begun(&served.client).await;
    served.stop().await;
    assert_eq!(stopped(search.await.expect("it does not panic")), Some(Stopped::Interrupted));
}
