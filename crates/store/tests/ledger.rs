//! The ledger: gapless, durable, and its derived tables say what the entries say.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use ulm_model::ledger::{Event, Found, MoveCost, MoveKey, Outcome};
use ulm_model::{Bytes, HostName, PlanId, Reason, StepId, Time, VmId};
use ulm_store::ledger::{Settles, kind, move_of, settles};
use ulm_store::{Filter, LastMoves, Store};

fn vm(n: u32) -> VmId {
    serde_json::from_str(&format!("\"00000000-0000-4000-8000-{n:012}\"")).expect("a VM id")
}

fn key(plan: u32, step: u32, n: u32, from: &str, to: &str) -> MoveKey {
    MoveKey {
        plan: PlanId(format!("{plan:064x}")),
        step: StepId(step),
        vm: vm(n),
        vm_name: format!("web{n}"),
        from: from.into(),
        to: to.into(),
    }
}

fn intended(r#move: MoveKey) -> Event {
    Event::MoveIntended { r#move, because: Reason::Asked { by: "root".into() }, expected: None }
}

fn ended(r#move: MoveKey, outcome: Outcome) -> Event {
    Event::MoveEnded {
        r#move,
        outcome,
        cost: MoveCost { took_ms: 5, downtime_ms: Some(30), sent: Some(Bytes::mib(9)) },
    }
}

fn stayed() -> Outcome {
    Outcome::Stayed { error: "no route".into() }
}

fn all_kinds() -> Vec<Event> {
    let host = HostName::from("h1");
    let r#move = key(1, 0, 1, "h1", "h2");
    let reason = Reason::Calm {};
    vec![
        Event::DaemonStarted { version: "1".into() },
        Event::DaemonStopped,
        Event::Enabled { by: "a".into() },
        Event::Disabled { by: "a".into() },
        Event::HostAdded { host: host.clone(), uri: "test:///".into(), by: "a".into() },
        Event::HostRemoved { host: host.clone(), by: "a".into() },
        Event::PlanAccepted { plan: r#move.plan.clone(), steps: 1, by: "a".into() },
        Event::PlanRefused { plan: r#move.plan.clone(), reason: reason.clone() },
        intended(r#move.clone()),
        Event::MoveRefused { r#move: r#move.clone(), reason: reason.clone() },
        Event::AbortAsked { r#move: r#move.clone(), by: "a".into() },
        ended(r#move.clone(), Outcome::Moved),
        Event::MoveReconciled { r#move, found: Found::Running },
        Event::Stuck { host, reason },
    ]
}

#[test]
fn every_kind_of_event_comes_back_as_it_was_written() {
    let store = Store::in_memory().unwrap();
    let events = all_kinds();
    for (n, event) in events.iter().enumerate() {
        assert_eq!(store.append(Time(n as i64), event).unwrap(), n as u64 + 1);
        let tag = serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned();
        assert_eq!(kind(event), tag, "the column says what the JSON says");
    }
    let entries = store.entries(&Filter::default()).unwrap();
    assert_eq!(entries.iter().map(|e| e.seq).collect::<Vec<_>>(), (1..=14).rev().collect::<Vec<_>>());
    assert!(entries.iter().rev().map(|e| &e.event).eq(&events));
    assert!(entries.iter().rev().map(|e| e.at.0).eq(0..14));
}

#[test]
fn entries_are_found_by_time_vm_host_and_kind() {
    let store = Store::in_memory().unwrap();
    for (n, event) in all_kinds().iter().enumerate() {
        store.append(Time(n as i64 * 10), event).unwrap();
    }
    store.append(Time(200), &intended(key(2, 0, 2, "h2", "h3"))).unwrap();
    let seqs = |filter: Filter| store.entries(&filter).unwrap().iter().map(|e| e.seq).collect::<Vec<_>>();
    let all = Filter::default();
    assert_eq!(seqs(Filter { since: Some(Time(120)), ..all.clone() }), [15, 14, 13]);
    assert_eq!(seqs(Filter { until: Some(Time(20)), ..all.clone() }), [2, 1]);
    assert_eq!(seqs(Filter { before: Some(3), ..all.clone() }), [2, 1]);
    assert_eq!(seqs(Filter { vm: Some("web1".into()), ..all.clone() }), [13, 12, 11, 10, 9]);
    assert_eq!(seqs(Filter { vm: Some(vm(2).to_string().to_uppercase()), ..all.clone() }), [15]);
    assert_eq!(seqs(Filter { host: Some("h3".into()), ..all.clone() }), [15]);
    assert_eq!(seqs(Filter { host: Some("h1".into()), limit: Some(2), ..all.clone() }), [14, 13]);
    assert_eq!(seqs(Filter { kinds: vec!["enabled".into(), "stuck".into()], ..all.clone() }), [14, 3]);
    assert_eq!(seqs(Filter { limit: Some(0), ..all }), [] as [u64; 0]);
}

#[test]
fn a_move_is_open_until_its_end_is_known_for_certain() {
    let store = Store::in_memory().unwrap();
    let open = || store.open_moves().unwrap().into_iter().map(|open| open.r#move.step.0).collect::<Vec<_>>();
    let step = |n| key(1, n, n, "h1", "h2");
    for n in 0..6 {
        store.append(Time(n.into()), &intended(step(n))).unwrap();
    }
    assert_eq!(open(), [0, 1, 2, 3, 4, 5]);
    store.append(Time(9), &ended(step(0), Outcome::Moved)).unwrap();
    store.append(Time(9), &ended(step(1), Outcome::Unknown { error: "both are silent".into() })).unwrap();
    store.append(Time(9), &Event::MoveRefused { r#move: step(2), reason: Reason::Moving {} }).unwrap();
    store.append(Time(9), &Event::AbortAsked { r#move: step(3), by: "deadline".into() }).unwrap();
    store.append(Time(9), &Event::MoveReconciled { r#move: step(4), found: Found::Running }).unwrap();
    store.append(Time(9), &Event::MoveReconciled { r#move: step(5), found: Found::NotBegun }).unwrap();
    assert_eq!(open(), [1, 3, 4]);
    let first = store.open_moves().unwrap().remove(0);
    assert_eq!((first.seq, first.intended_at, first.because), (2, Time(1), Reason::Asked { by: "root".into() }));
    store
        .append(Time(10), &Event::MoveReconciled { r#move: step(1), found: Found::Ended { outcome: stayed() } })
        .unwrap();
    store.append(Time(10), &ended(step(4), Outcome::Moved)).unwrap();
    assert_eq!(open(), [3]);
}

#[test]
fn cool_downs_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.append(Time(5), &ended(key(1, 0, 1, "h1", "h2"), Outcome::Moved)).unwrap();
    store.append(Time(6), &ended(key(2, 0, 1, "h2", "h1"), stayed())).unwrap();
    store.append(Time(7), &ended(key(3, 0, 1, "h2", "h1"), Outcome::Gone { details: String::new() })).unwrap();
    store.append(Time(8), &ended(key(4, 0, 2, "h2", "h1"), Outcome::Unknown { error: String::new() })).unwrap();
    drop(store);
    let last = Store::open(folder.path()).unwrap().last_moves().unwrap();
    let expected = LastMoves {
        moved_at: Some(Time(5)),
        moved_to: Some("h2".into()),
        failed_at: Some(Time(7)),
        failures_in_row: 2,
    };
    assert_eq!(last, BTreeMap::from([(vm(1), expected)]));
}

#[test]
fn entries_can_neither_be_changed_nor_removed_nor_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.append(Time(1), &Event::DaemonStopped).unwrap();
    let sqlite = rusqlite::Connection::open(folder.path().join(ulm_store::STATE_FILE)).unwrap();
    for (statement, complaint) in [
        ("DELETE FROM ledger", "the ledger keeps its entries"),
        ("UPDATE ledger SET at = 9", "entries of the ledger do not change"),
        ("INSERT INTO ledger (seq, at, event, says, json) VALUES (9, 1, 'x', '', '')", "the ledger has no gaps"),
    ] {
        assert!(sqlite.execute(statement, []).unwrap_err().to_string().contains(complaint), "{statement}");
    }
}

#[test]
fn the_documented_queries_work_in_plain_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.add_host(&"h1".into(), "qemu:///system", "root", Time(1_000)).unwrap();
    let gone = key(1, 0, 1, "h1", "h2");
    store.append(Time(60_000), &intended(gone.clone())).unwrap();
    store.append(Time(61_500), &ended(gone, Outcome::Moved)).unwrap();
    store.append(Time(62_000), &intended(key(1, 1, 2, "h1", "h2"))).unwrap();
    let refused = key(1, 2, 3, "h1", "h2");
    store.append(Time(63_000), &intended(refused.clone())).unwrap();
    store.append(Time(63_001), &Event::MoveRefused { r#move: refused, reason: Reason::Moving {} }).unwrap();
    let found = key(1, 3, 4, "h1", "h2");
    store.append(Time(64_000), &intended(found.clone())).unwrap();
    store
        .append(Time(64_001), &Event::MoveReconciled { r#move: found, found: Found::Ended { outcome: stayed() } })
        .unwrap();

    // While the daemon holds the folder.
    let sqlite = rusqlite::Connection::open(folder.path().join(ulm_store::STATE_FILE)).unwrap();
    let says: Vec<String> = sqlite
        .prepare("SELECT * FROM entries ORDER BY seq DESC LIMIT 20")
        .unwrap()
        .query_map([], |row| Ok(format!("{} {}", row.get::<_, String>("time")?, row.get::<_, String>("says")?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(says.len(), 8);
    assert_eq!(says[7], "1970-01-01T00:00:01.000Z host h1 (qemu:///system) added by root");
    let moves: Vec<(String, String, Option<i64>, String)> = sqlite
        .prepare("SELECT vm_name, outcome, took_ms, because FROM moves ORDER BY intended DESC LIMIT 20")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let expected =
        [("web4", "stayed", None), ("web3", "refused", None), ("web2", "open", None), ("web1", "moved", Some(5))];
    assert_eq!(moves.len(), expected.len());
    for (found, (name, outcome, took)) in moves.iter().zip(expected) {
        assert_eq!((found.0.as_str(), found.1.as_str(), found.2, found.3.as_str()), (name, outcome, took, "asked"));
    }
    let count = |sql: &str| sqlite.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM (SELECT * FROM moves WHERE outcome = 'open')"), 1);
    assert_eq!(
        count("SELECT n FROM (SELECT from_host, count(*) AS n FROM moves WHERE outcome = 'moved' GROUP BY from_host)"),
        1
    );
    assert_eq!(count("SELECT count(*) FROM hosts WHERE service = 'in_service'"), 1);
}

/// Any event about one of a few moves.
fn event() -> impl Strategy<Value = Event> {
    let outcome = prop_oneof![
        Just(Outcome::Moved),
        Just(stayed()),
        Just(Outcome::Doubled { details: "x".into() }),
        Just(Outcome::Unknown { error: "y".into() })
    ];
    (0u32..3, 0u32..2, 0u32..3, 0..6, outcome).prop_map(|(plan, step, n, what, outcome)| {
        let r#move = key(plan, step, n, "h1", "h2");
        match what {
            0 | 1 => intended(r#move),
            2 => Event::MoveRefused { r#move, reason: Reason::Moving {} },
            3 => ended(r#move, outcome),
            4 => Event::MoveReconciled { r#move, found: Found::NotBegun },
            _ => Event::MoveReconciled { r#move, found: Found::Ended { outcome } },
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_derived_is_what_the_entries_say(events in vec(event(), 0..60)) {
        let store = Store::in_memory().unwrap();
        let mut open: BTreeMap<MoveKey, u64> = BTreeMap::new();
        let mut last: BTreeMap<VmId, LastMoves> = BTreeMap::new();
        for (n, event) in events.iter().enumerate() {
            let at = Time(n as i64);
            let seq = store.append(at, event).unwrap();
            let key = move_of(event).unwrap();
            if let Event::MoveIntended { .. } = event {
                open.insert(key.clone(), seq);
            }
            if settles(event) != Settles::Nothing {
                open.remove(key);
            }
            match settles(event) {
                Settles::Success => {
                    let vm = last.entry(key.vm).or_default();
                    (vm.moved_at, vm.moved_to, vm.failures_in_row) = (Some(at), Some(key.to.clone()), 0);
                }
                Settles::Failure => {
                    let vm = last.entry(key.vm).or_default();
                    vm.failed_at = Some(at);
                    vm.failures_in_row += 1;
                }
                Settles::Nothing | Settles::NoEffect => {}
            }
        }
        let found: BTreeMap<MoveKey, u64> = store.open_moves().unwrap().into_iter().map(|open| (open.r#move, open.seq)).collect();
        prop_assert_eq!(found, open);
        prop_assert_eq!(store.last_moves().unwrap(), last);
    }
}
