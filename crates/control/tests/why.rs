//! Why, why not, and what there is room for, asked of a daemon that has done something.

mod simulated;

use std::time::Duration;

use simulated::{Simulated, policy};
use ulm_control::Refusal;
use ulm_control::questions::{NewVm, WhyNotQuery};
use ulm_control::why::WhyQuery;
use ulm_decide::Backing;
use ulm_drivers::sim::{HostSpec, Load, Scenario, VmSpec};
use ulm_model::ledger::Outcome;
use ulm_model::{Bytes, Time};

fn scenario() -> Scenario {
    let host = |name: &str| HostSpec::new(name, 8, Bytes::gib(64));
    let vm = |name: &str, vcpus| VmSpec::new(name, "h1", vcpus, Bytes::gib(8)).load(Load::constant(100.0));
    let hosts = ["h1", "h2", "h3"].map(host);
    hosts.into_iter().fold(Scenario::new(7), Scenario::host).vm(vm("big", 4)).vm(vm("middle", 2)).vm(vm("small", 1))
}

/// A daemon that has relieved h1 of `big`, and the time at which it had not yet.
async fn relieved() -> (Simulated, Time) {
    let cluster = Simulated::start(&scenario(), policy()).await;
    cluster.run_for(Duration::from_secs(10 * 60)).await;
    // What the next round does is at the same moment of virtual time.
    let before = cluster.handle.status().now - Duration::from_secs(1);
    cluster.enable().await;
    cluster.run_for(Duration::from_secs(10 * 60)).await;
    assert_eq!(cluster.world().moves().len(), 1);
    (cluster, before)
}

fn of(vm: &str, at: Option<Time>) -> WhyQuery {
    WhyQuery { vm: vm.to_owned(), at }
}

#[tokio::test(start_paused = true)]
async fn why_a_vm_is_where_it_is_is_told_now_and_of_then() {
    let (cluster, before) = relieved().await;
    let now = cluster.handle.why(&of("big", None)).expect("it is known");
    assert_eq!(now.host.as_ref().map(|host| host.0.clone()), Some(cluster.host_of("big")));
    let moved = &now.moves[0];
    assert_eq!((now.moves.len(), &moved.outcome), (1, &Some(Outcome::Moved)));
    let (expected, cost) = (moved.expected.as_ref().expect("it was forecast"), moved.cost.expect("it was measured"));
    assert!(!expected.gains.is_empty() && cost.took_ms > 0 && cost.downtime_ms.is_some(), "{moved:?}");
    let standing = now.standing.expect("the present is known");
    assert!(standing.held.iter().any(|reason| reason.code() == "vm.cooling_down"), "{standing:?}");

    let then = cluster.handle.why(&of("big", Some(before))).expect("it is known");
    assert_eq!(then.host, Some("h1".into()));
    assert!(then.moves.is_empty() && then.standing.is_none(), "{then:?}");
    let said = then.said.expect("decisions are kept");
    assert!(said.at <= before && said.moves.len() == 1, "it was recommended already: {said:?}");
    let kept = cluster.handle.decision_at(Some(before)).expect("decisions are kept");
    assert_eq!((kept.at, &kept.decision.report.summary), (said.at, &said.summary));
    let missing = cluster.handle.decision_at(Some(Time(0))).expect_err("nothing was decided then");
    assert_eq!(missing.refusal, Refusal::NotFound);

    let cluster = cluster.killed_and_started_again().await;
    let later = cluster.handle.decision_at(Some(before)).expect("it survives");
    assert_eq!(later, kept);
}

#[tokio::test(start_paused = true)]
async fn decisions_that_say_the_same_are_kept_once() {
    let (cluster, before) = relieved().await;
    let (mut kept, mut at) = (0, cluster.handle.status().now);
    while let Ok(one) = cluster.handle.decision_at(Some(at)) {
        (kept, at) = (kept + 1, one.at - Duration::from_millis(1));
    }
    assert!((3..=14).contains(&kept), "{kept} of 80 rounds");
    let one = cluster.handle.decision_at(Some(before)).expect("it is kept");
    assert!(one.until > one.at, "it was said for a while");
}

#[tokio::test(start_paused = true)]
async fn everything_that_is_against_a_move_is_told_for_one_host_and_for_all() {
    let (cluster, _) = relieved().await;
    let query = |host: Option<&str>| WhyNotQuery { vm: "big".into(), host: host.map(Into::into) };
    let one = cluster.handle.why_not(&query(Some("h1"))).expect("both are known");
    let codes: Vec<&str> = one.targets[0].reasons.iter().map(ulm_model::Reason::code).collect();
    assert!(codes.contains(&"vm.cooling_down") && codes.contains(&"vm.left_lately"), "{codes:?}");
    let all = cluster.handle.why_not(&query(None)).expect("it is known");
    assert_eq!(all.targets.len(), 3);
    assert_eq!(all.targets[0], one.targets[0]);
    let wrong = cluster.handle.why_not(&WhyNotQuery { vm: "bgi".into(), host: None }).expect_err("no such VM");
    assert!(wrong.message.contains("did you mean `big`?"), "{wrong}");
    let still = cluster.handle.stillness().expect("rounds have ended");
    assert_eq!(still.iter().map(|one| one.vms).sum::<u32>(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_there_is_room_for_and_where_is_told() {
    let (cluster, _) = relieved().await;
    let capacity = cluster.handle.capacity(Backing::default()).expect("the figures are fresh");
    let largest = capacity.largest.expect("there is room");
    let new = |ram| NewVm { cpu: 1, ram, labels: Vec::new(), backing: Backing::default() };
    let hosts = cluster.handle.best_host(&new(largest.memory)).expect("it fits");
    assert!(hosts.iter().any(|host| host.host == largest.host));
    let none = cluster.handle.best_host(&new(largest.memory + Bytes(1))).expect_err("nothing is larger");
    assert_eq!((none.refusal, none.reasons.len()), (Refusal::NotAllowed, 3), "{none}");
    let labelled = NewVm { labels: vec!["rack=r4".into()], ..new(Bytes::gib(1)) };
    assert!(cluster.handle.best_host(&labelled).is_err());
    cluster.handle.set_tags(&"h3".into(), ["rack=r4".to_owned()].into()).await.expect("h3 is known");
    cluster.run_for(Duration::from_secs(30)).await;
    let hosts = cluster.handle.best_host(&labelled).expect("h3 has it");
    assert_eq!(hosts.iter().map(|host| host.host.0.as_str()).collect::<Vec<_>>(), ["h3"]);
}
