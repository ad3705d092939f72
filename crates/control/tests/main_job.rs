//! The main job on simulated hosts: through the real loop, executor and books, in virtual time.

mod simulated;

use std::time::Duration;

use simulated::{Simulated, policy};
use ulm_control::view::LedgerQuery;
use ulm_drivers::sim::{Fault, HostSpec, Load, Orders, Scenario, VmSpec, Whereabouts};
use ulm_model::ledger::{Event, Found, Outcome};
use ulm_model::{Acting, Bytes, Reason};

/// Three hosts of 8 CPUs; h1 is overworked by `big` (4 CPUs), `middle` (2) and `small` (1); the others are calm.
fn one_hot_host() -> Scenario {
    let host = |name: &str| HostSpec::new(name, 8, Bytes::gib(64));
    let vm = |name: &str, host: &str, vcpus, gib, percent| {
        VmSpec::new(name, host, vcpus, Bytes::gib(gib)).load(Load::constant(percent))
    };
    Scenario::new(7)
        .host(host("h1"))
        .host(host("h2"))
        .host(host("h3"))
        .vm(vm("big", "h1", 4, 8, 100.0))
        .vm(vm("middle", "h1", 2, 8, 100.0))
        .vm(vm("small", "h1", 1, 4, 100.0))
        .vm(vm("calm-a", "h2", 2, 8, 30.0))
        .vm(vm("calm-b", "h3", 2, 8, 100.0))
}

#[tokio::test(start_paused = true)]
async fn an_overworked_host_is_relieved_by_the_hungriest_vm_that_fits_elsewhere() {
    let cluster = Simulated::start(&one_hot_host(), policy()).await;
    cluster.enable().await;
    cluster.run_for(Duration::from_secs(20 * 60)).await;
    assert_eq!(cluster.host_of("big"), "h2", "the hungriest goes to the host that is calmest afterwards");
    let moves = cluster.world().moves().len();
    assert_eq!(moves, 1, "nothing else moved");
    let h1 = &cluster.handle.status().hosts[0];
    assert!(h1.cpu_share.expect("h1 is measured") < policy().hotspot.cpu, "{h1:?}");
    let ended = cluster.events().into_iter().find_map(|event| match event {
        Event::MoveEnded { outcome, cost, .. } => Some((outcome, cost)),
        _ => None,
    });
    let (outcome, cost) = ended.expect("the end is in the ledger");
    assert_eq!(outcome, Outcome::Moved);
    assert!(cost.downtime_ms.is_some() && cost.took_ms > 0, "{cost:?}");
}

#[tokio::test(start_paused = true)]
async fn promise_11_acting_is_off_until_it_is_switched_on() {
    let cluster = Simulated::start(&one_hot_host(), policy()).await;
    cluster.run_for(Duration::from_secs(20 * 60)).await;
    assert!(cluster.world().moves().is_empty(), "nothing moves while acting is off");
    let decision = cluster.handle.decision().expect("rounds have ended");
    assert_eq!(decision.plan.steps.len(), 1, "but it is recommended: {}", decision.report);
    assert_eq!(cluster.handle.status().acting, Acting::Off);
}

#[tokio::test(start_paused = true)]
async fn promise_8_a_dry_run_differs_from_a_real_one_only_in_the_last_call() {
    let dry = Simulated::start(&one_hot_host(), policy()).await;
    let real = Simulated::start(&one_hot_host(), policy()).await;
    real.enable().await;
    let first_plan = |cluster: &Simulated| {
        let decision = cluster.handle.decision().ok()?;
        (!decision.plan.steps.is_empty()).then(|| decision.plan.clone())
    };
    let (mut dry_plan, mut real_plan) = (None, None);
    for _ in 0..80 {
        dry.run_for(Duration::from_secs(15)).await;
        dry_plan = dry_plan.or_else(|| first_plan(&dry));
        real_plan = real_plan.or_else(|| first_plan(&real));
    }
    let actions = |plan: Option<ulm_model::Plan>| plan.expect("a plan was made").steps[0].action.clone();
    assert_eq!(actions(dry_plan), actions(real_plan));
    assert!(dry.world().moves().is_empty() && real.world().moves().len() == 1);
}

#[tokio::test(start_paused = true)]
async fn ledger_says_everything_in_order_and_before_it_is_done() {
    let cluster = Simulated::start(&one_hot_host(), policy()).await;
    cluster.enable().await;
    cluster.run_for(Duration::from_secs(20 * 60)).await;
    let words: Vec<&str> = cluster
        .events()
        .iter()
        .map(|event| match event {
            Event::DaemonStarted { .. } => "started",
            Event::HostAdded { .. } => "host",
            Event::Enabled { .. } => "enabled",
            Event::PlanAccepted { .. } => "plan",
            Event::MoveIntended { .. } => "intended",
            Event::MoveEnded { .. } => "ended",
            _ => "other",
        })
        .collect();
    assert_eq!(words, ["started", "host", "host", "host", "enabled", "plan", "intended", "ended"]);
}

#[tokio::test(start_paused = true)]
async fn a_move_by_hand_is_carried_out_while_acting_is_off() {
    let cluster = Simulated::start(&one_hot_host(), policy()).await;
    cluster.run_for(Duration::from_secs(60)).await;
    let accepted = cluster.handle.migrate("small", &"h3".into(), "alice").await.expect("it is allowed");
    let plan = cluster.follow(&accepted).await;
    assert_eq!(plan.steps[0].outcome, Some(Outcome::Moved));
    assert_eq!(cluster.host_of("small"), "h3");
}

#[tokio::test(start_paused = true)]
async fn a_move_that_no_rule_allows_is_refused_with_every_reason() {
    let scenario = one_hot_host().vm(VmSpec::new("huge", "h3", 2, Bytes::gib(50)));
    let cluster = Simulated::start(&scenario, policy()).await;
    cluster.run_for(Duration::from_secs(60)).await;
    cluster.handle.set_maintenance(&"h1".into(), true, "alice").await.expect("h1 is known");
    let refused = cluster.handle.migrate("huge", &"h1".into(), "alice").await.expect_err("h1 takes nothing");
    let codes: Vec<_> = refused.reasons.iter().map(Reason::code).collect();
    assert!(codes.contains(&"host.maintenance"), "{codes:?}");
    assert!(cluster.world().moves().is_empty());
}

#[tokio::test(start_paused = true)]
async fn unknown_names_are_told_with_the_nearest_ones() {
    let cluster = Simulated::start(&one_hot_host(), policy()).await;
    cluster.run_for(Duration::from_secs(60)).await;
    let error = cluster.handle.migrate("midle", &"h2".into(), "alice").await.expect_err("there is no such VM");
    assert!(error.message.contains("did you mean `middle`?"), "{error}");
    let error = cluster.handle.migrate("middle", &"h9".into(), "alice").await.expect_err("there is no such host");
    assert!(error.message.contains("there is no host `h9`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn abort_leaves_the_vm_where_it_is() {
    let mut slow = policy();
    slow.limits.bandwidth = Some(ulm_model::BytesPerSecond(50 << 20));
    let cluster = Simulated::start(&one_hot_host(), slow).await;
    cluster.run_for(Duration::from_secs(60)).await;
    let accepted = cluster.handle.migrate("big", &"h3".into(), "alice").await.expect("it is allowed");
    cluster.run_for(Duration::from_secs(10)).await;
    let aborted = cluster.handle.abort(Some("big"), "bob").await.expect("it moves");
    assert_eq!(aborted.len(), 1);
    let plan = cluster.follow(&accepted).await;
    assert!(matches!(plan.steps[0].outcome, Some(Outcome::Stayed { .. })), "{plan:?}");
    assert_eq!(cluster.host_of("big"), "h1");
    assert!(cluster.events().iter().any(|e| matches!(e, Event::AbortAsked { by, .. } if by == "bob")));
}

#[tokio::test(start_paused = true)]
async fn a_move_past_its_deadline_is_aborted() {
    let mut hasty = policy();
    hasty.limits.bandwidth = Some(ulm_model::BytesPerSecond(10 << 20));
    hasty.limits.deadline = Duration::from_secs(60);
    let cluster = Simulated::start(&one_hot_host(), hasty).await;
    cluster.run_for(Duration::from_secs(60)).await;
    let accepted = cluster.handle.migrate("big", &"h3".into(), "alice").await.expect("it is allowed");
    let plan = cluster.follow(&accepted).await;
    assert!(matches!(plan.steps[0].outcome, Some(Outcome::Stayed { .. })), "{plan:?}");
    assert!(cluster.events().iter().any(|e| matches!(e, Event::AbortAsked { by, .. } if by == "deadline")));
}

/// Everything that may happen to a move while it copies, and where the VM must be told to be afterwards.
#[tokio::test(start_paused = true)]
async fn whatever_happens_to_a_move_the_ledger_says_where_the_vm_really_is() {
    let (source, target) = ("h1", "h3");
    let faults = vec![
        Fault::StopHypervisor { host: target.into(), down_s: Some(1.0) },
        Fault::StopHypervisor { host: source.into(), down_s: Some(1.0) },
        Fault::KillIncoming { vm: "big".into() },
        Fault::CutLink { host: target.into(), for_s: Some(3.0) },
        Fault::CutLink { host: target.into(), for_s: Some(60.0) },
        Fault::Hang { host: source.into(), for_s: Some(90.0), orders: Orders::Obeyed },
        Fault::Hang { host: target.into(), for_s: Some(90.0), orders: Orders::Held },
        Fault::AbortMove { vm: "big".into() },
        Fault::FillMemory { host: target.into(), amount: Bytes::gib(60), for_s: None },
        Fault::GuestShutsDown { vm: "big".into() },
        Fault::BreakPostCopy { vm: "big".into() },
    ];
    for fault in faults {
        let mut slow = policy();
        slow.limits.bandwidth = Some(ulm_model::BytesPerSecond(200 << 20));
        let cluster = Simulated::start(&one_hot_host(), slow).await;
        cluster.run_for(Duration::from_secs(60)).await;
        let accepted = cluster.handle.migrate("big", &target.into(), "alice").await.expect("it is allowed");
        cluster.run_for(Duration::from_secs(5)).await;
        cluster.world().inject(fault.clone()).expect("the fault names what there is");
        let plan = cluster.follow(&accepted).await;
        let big = cluster.vm("big");
        let truth = cluster.world().whereabouts(big).expect("it is known");
        let told = plan.steps[0].outcome.clone();
        let right = match (&told, &truth) {
            (Some(Outcome::Moved), Whereabouts::Runs(host)) => host.0 == target,
            (Some(Outcome::Stayed { .. }), Whereabouts::Runs(host)) => host.0 == source,
            (Some(Outcome::Gone { .. }), Whereabouts::ShutOff(_) | Whereabouts::Broken(_)) => true,
            _ => false,
        };
        assert!(right, "after {fault:?} the ledger says {told:?} and the truth is {truth:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn promise_6_a_restart_in_the_middle_of_a_move_finds_it_in_the_hypervisors() {
    let mut slow = policy();
    slow.limits.bandwidth = Some(ulm_model::BytesPerSecond(100 << 20));
    let cluster = Simulated::start(&one_hot_host(), slow).await;
    cluster.run_for(Duration::from_secs(60)).await;
    cluster.handle.migrate("big", &"h3".into(), "alice").await.expect("it is allowed");
    cluster.run_for(Duration::from_secs(10)).await;
    let cluster = cluster.killed_and_started_again().await;
    cluster.run_for(Duration::from_secs(300)).await;
    let events = cluster.events();
    let found = events.iter().find_map(|event| match event {
        Event::MoveReconciled { found, .. } => Some(found.clone()),
        _ => None,
    });
    assert_eq!(found, Some(Found::Running), "{events:?}");
    let ended = events.iter().filter(|event| matches!(event, Event::MoveEnded { outcome: Outcome::Moved, .. })).count();
    assert_eq!((ended, cluster.host_of("big").as_str()), (1, "h3"));
}

#[tokio::test(start_paused = true)]
async fn promise_6_killed_at_any_moment_ledger_and_hypervisors_agree_in_the_end() {
    for killed_after_ms in [0, 1, 200, 1_000, 5_000, 30_000, 60_000, 80_000, 120_000] {
        for away in [Duration::ZERO, Duration::from_secs(600)] {
            let mut slow = policy();
            slow.limits.bandwidth = Some(ulm_model::BytesPerSecond(100 << 20));
            let cluster = Simulated::start(&one_hot_host(), slow).await;
            cluster.run_for(Duration::from_secs(60)).await;
            cluster.handle.migrate("big", &"h3".into(), "alice").await.expect("it is allowed");
            cluster.run_for(Duration::from_millis(killed_after_ms)).await;
            let cluster = cluster.killed_for(away).await;
            cluster.run_for(Duration::from_secs(600)).await;
            let what = format!("killed after {killed_after_ms} ms, away for {away:?}");
            let events = cluster.events();
            let told = events.iter().rev().find_map(|event| match event {
                Event::MoveEnded { r#move, .. } => Some(r#move.to.0.clone()),
                Event::MoveReconciled { r#move, found: Found::Ended { outcome: Outcome::Moved } } => {
                    Some(r#move.to.0.clone())
                }
                Event::MoveReconciled { r#move, found: Found::NotBegun } => Some(r#move.from.0.clone()),
                _ => None,
            });
            // Killed before its intention was durable, the move was never begun and the ledger has nothing to settle.
            let intended = events.iter().filter(|event| matches!(event, Event::MoveIntended { .. })).count();
            assert!(intended <= 1, "{what}: {events:?}");
            let expected = if intended == 0 { Some("h1".to_owned()) } else { told };
            assert_eq!(expected, Some(cluster.host_of("big")), "{what}: {events:?}");
            assert!(cluster.handle.status().moves.is_empty(), "{what}: nothing is left open");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_after_a_move_has_ended_unseen_finds_it_ended() {
    let mut slow = policy();
    slow.limits.bandwidth = Some(ulm_model::BytesPerSecond(100 << 20));
    let cluster = Simulated::start(&one_hot_host(), slow).await;
    cluster.run_for(Duration::from_secs(60)).await;
    cluster.handle.migrate("big", &"h3".into(), "alice").await.expect("it is allowed");
    cluster.run_for(Duration::from_secs(10)).await;
    let cluster = cluster.killed_for(Duration::from_secs(600)).await;
    cluster.run_for(Duration::from_secs(60)).await;
    let found = cluster.events().into_iter().find_map(|event| match event {
        Event::MoveReconciled { found, .. } => Some(found),
        _ => None,
    });
    assert_eq!(found, Some(Found::Ended { outcome: Outcome::Moved }));
}

#[tokio::test(start_paused = true)]
async fn promise_3_the_cool_down_survives_a_restart() {
    let cluster = Simulated::start(&one_hot_host(), policy()).await;
    cluster.run_for(Duration::from_secs(60)).await;
    // By hand onto the host that becomes hot with it: the policy would move it on, were it not for the cool-down.
    let accepted = cluster.handle.migrate("middle", &"h3".into(), "alice").await.expect("it is allowed");
    cluster.follow(&accepted).await;
    let cluster = cluster.killed_and_started_again().await;
    cluster.enable().await;
    let id = cluster.vm("middle");
    cluster.run_for(Duration::from_secs(15 * 60)).await;
    let moves_of_middle = cluster.world().moves().iter().filter(|r| r.vm == id).count();
    assert_eq!(moves_of_middle, 1, "it rests for its cool-down, also after a restart");
    let entries = cluster.handle.ledger(&LedgerQuery { vm: Some("middle".into()), ..LedgerQuery::default() });
    assert_eq!(entries.expect("the ledger can be read").len(), 2, "intended and ended, once");
}

#[tokio::test(start_paused = true)]
async fn switching_off_stops_new_moves_at_once() {
    let cluster = Simulated::start(&one_hot_host(), policy()).await;
    cluster.enable().await;
    cluster.run_for(Duration::from_secs(30)).await;
    cluster.handle.set_acting(Acting::Off, "alice").await.expect("it can be switched off");
    cluster.run_for(Duration::from_secs(20 * 60)).await;
    assert!(cluster.world().moves().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rule_by_host_tag_holds_and_the_tags_survive_a_restart() {
    let mut tagged = policy();
    let rule = "[[rule]]\nname = \"databases only\"\nkind = \"keep_off\"\nvm = \"*\"\nhost_tag = \"database\"\n";
    tagged.rules = ulm_policy::Policy::parse(rule, "a test").expect("the rule is right").rules;
    let cluster = Simulated::start(&one_hot_host(), tagged).await;
    let tags = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    cluster.handle.set_tags(&"h2".into(), tags(&["database"])).await.expect("h2 is known");
    let cluster = cluster.killed_and_started_again().await;
    cluster.run_for(Duration::from_secs(60)).await;
    let refused = cluster.handle.migrate("small", &"h2".into(), "alice").await.expect_err("h2 is for databases");
    assert_eq!(refused.reasons.iter().map(Reason::code).collect::<Vec<_>>(), ["rule.pinned"]);
    cluster.handle.set_tags(&"h2".into(), tags(&[])).await.expect("h2 is known");
    cluster.handle.migrate("small", &"h2".into(), "alice").await.expect("nothing speaks against it any more");
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_somebody_else_moves_is_told_once_and_one_that_ulm_moves_is_not() {
    let cluster = Simulated::start(&one_hot_host(), policy()).await;
    cluster.run_for(Duration::from_secs(60)).await;
    let accepted = cluster.handle.migrate("small", &"h3".into(), "alice").await.expect("it is allowed");
    cluster.follow(&accepted).await;
    let foreign = Fault::ForeignMove { vm: "calm-a".into(), to: "h3".into(), bandwidth: None };
    cluster.world().inject(foreign).expect("it can be moved");
    cluster.run_for(Duration::from_secs(300)).await;
    let arrived: Vec<String> = cluster
        .events()
        .iter()
        .filter(|event| matches!(event, Event::Arrived { .. }))
        .map(ToString::to_string)
        .collect();
    assert_eq!(arrived, ["VM calm-a was moved from h2 to h3 by somebody else"]);
}

#[tokio::test(start_paused = true)]
async fn a_move_whose_source_died_can_be_given_up_and_the_host_removed() {
    let mut slow = policy();
    slow.limits.bandwidth = Some(ulm_model::BytesPerSecond(50 << 20));
    let cluster = Simulated::start(&one_hot_host(), slow).await;
    cluster.run_for(Duration::from_secs(60)).await;
    let accepted = cluster.handle.migrate("big", &"h3".into(), "alice").await.expect("it is allowed");
    cluster.run_for(Duration::from_secs(10)).await;
    let cut = Fault::CutPower { host: "h1".into(), manner: Default::default() };
    cluster.world().inject(cut).expect("h1 has power");
    cluster.run_for(Duration::from_secs(300)).await;
    assert!(!cluster.handle.plan(&accepted.plan.0).expect("it was accepted").is_over(), "nobody knows where it is");
    assert!(cluster.handle.remove_host(&"h1".into(), "bob").await.is_err(), "a move touches it");
    cluster.handle.abort(Some("big"), "bob").await.expect("it is open");
    let plan = cluster.follow(&accepted).await;
    assert!(matches!(plan.steps[0].outcome, Some(Outcome::Unknown { .. })), "{plan:?}");
    cluster.handle.remove_host(&"h1".into(), "bob").await.expect("nothing touches it any more");
}

#[tokio::test(start_paused = true)]
async fn an_order_given_before_disable_begins_nothing_after_it() {
    let cluster = Simulated::start(&one_hot_host(), policy()).await;
    cluster.run_for(Duration::from_secs(60)).await;
    // The target hangs, so the order waits for fresh facts while acting is switched off.
    let hang = Fault::Hang { host: "h3".into(), for_s: Some(3.0), orders: Orders::Held };
    cluster.world().inject(hang).expect("h3 answers");
    let target = "h3".into();
    let (ordered, off) = tokio::join!(cluster.handle.migrate("small", &target, "alice"), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cluster.handle.set_acting(Acting::Off, "bob").await
    });
    off.expect("it can be switched off at any time");
    let refused = ordered.expect_err("it was given before");
    assert_eq!(refused.reasons.iter().map(Reason::code).collect::<Vec<_>>(), ["acting.stopped"]);
    cluster.run_for(Duration::from_secs(60)).await;
    assert!(cluster.world().moves().is_empty());
}
