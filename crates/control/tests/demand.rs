//! What VMs want is learned round by round, survives a kill, and reaches decisions.

mod simulated;

use std::time::Duration;

use simulated::{Simulated, policy};
use ulm_control::view::ForecastQuery;
use ulm_control::{OrderError, Refusal};
use ulm_drivers::sim::Scenario;

const HOUR: Duration = Duration::from_secs(3600);

fn query(of: &str, hours: u32) -> ForecastQuery {
    ForecastQuery { of: of.to_owned(), hours }
}

#[tokio::test(start_paused = true)]
async fn what_was_learned_survives_a_kill_but_for_two_hours_at_most() {
    let cluster = Simulated::start(&Scenario::noisy(3, 12, 1), policy()).await;
    let vm = cluster.handle.vms()[0].name.clone();
    let fresh = cluster.handle.forecast(&query(&vm, 1)).unwrap();
    assert!(fresh.learned.is_zero() && fresh.points.iter().all(|point| point.high == fresh.whole), "{fresh:?}");

    cluster.run_for(HOUR * 6).await;
    let before = cluster.handle.forecast(&query(&vm, 24)).unwrap();
    assert!(before.learned >= HOUR * 5 && before.points.len() == 96, "{before:?}");
    assert!(before.points.iter().all(|point| point.median <= point.high && point.high <= before.whole), "{before:?}");

    let cluster = cluster.killed_and_started_again().await;
    cluster.run_for(Duration::from_secs(60)).await;
    let after = cluster.handle.forecast(&query(&vm, 24)).unwrap();
    assert!(after.learned + HOUR * 2 + Duration::from_secs(900) >= before.learned, "{after:?} {before:?}");
    assert!(!after.learned.is_zero());
}

#[tokio::test(start_paused = true)]
async fn a_wrong_name_and_a_wrong_span_are_told() {
    let cluster = Simulated::in_memory(&Scenario::noisy(2, 4, 1), policy()).await;
    cluster.run_for(Duration::from_secs(60)).await;
    let vm = cluster.handle.vms()[0].name.clone();
    let refusal = |answer: Result<_, OrderError>| answer.map(|_: ulm_control::view::Forecast| ()).unwrap_err().refusal;
    assert_eq!(refusal(cluster.handle.forecast(&query("nobody", 24))), Refusal::NotFound);
    assert_eq!(refusal(cluster.handle.forecast(&query(&vm, 0))), Refusal::Malformed);
    assert_eq!(refusal(cluster.handle.forecast(&query(&vm, 169))), Refusal::Malformed);
}
