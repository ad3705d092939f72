//! Kill -9 at any moment: what was acknowledged is there, and nothing is damaged.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ulm_model::ledger::Event;
use ulm_model::{HostName, Time};
use ulm_store::{Entity, Filter, History, Metric, Resolution, STATE_FILE, SeriesId, SeriesKey, Store, Tick};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const BEGIN: i64 = 500_000 * HOUR;
/// Few ticks per hour, so that hours are closed all the time.
const ROUND: i64 = 5 * MINUTE;
/// A slab and a half.
const SERIES: usize = 1500;
const FOLDER: &str = "ULM_STORE_KILL_TEST_FOLDER";

fn series(history: &History) -> Vec<SeriesId> {
    let keys: Vec<SeriesKey> = (0..SERIES)
        .map(|n| SeriesKey { entity: Entity::Host(HostName(format!("h{n}"))), metric: Metric::VmCount })
        .collect();
    history.intern(&keys, Time(BEGIN)).unwrap()
}

fn at(tick: i64) -> i64 {
    BEGIN + tick * ROUND
}

/// What series `n` has at a tick: exact in its metric.
fn value(tick: i64, n: usize) -> f32 {
    ((tick * 31 + n as i64 * 17) % 3000) as f32
}

/// The program that is killed: writes ticks and entries, and says so after each.
#[test]
#[ignore = "runs in a process of its own, started by the other test"]
fn child_that_writes_until_it_is_killed() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("started by the other test"));
    let store = Store::open(&folder).unwrap();
    let history = store.history().unwrap();
    let ids = series(&history);
    let first =
        history.range(ids[0], Time(0), Time(i64::MAX / 4), Resolution::Hour).unwrap().last().map_or(BEGIN, |p| p.at.0);
    let raw = history.range(ids[0], Time(first), Time(i64::MAX / 4), Resolution::Raw).unwrap();
    let mut tick = raw.last().map_or(0, |point| (point.at.0 - BEGIN) / ROUND + 1);
    let mut out = std::io::stdout().lock();
    loop {
        let values = ids.iter().enumerate().map(|(n, &id)| (id, value(tick, n))).collect();
        history.append(&Tick { at: Time(at(tick)), values }).unwrap();
        writeln!(out, "tick {tick}").unwrap();
        out.flush().unwrap();
        let seq = store.append(Time(at(tick)), &Event::DaemonStarted { version: format!("tick {tick}") }).unwrap();
        writeln!(out, "entry {seq}").unwrap();
        out.flush().unwrap();
        if tick % 5 == 0 {
            history.flush().unwrap();
        }
        history.maintain(Time(at(tick))).unwrap();
        tick += 1;
    }
}

/// Runs the child until it has said `lines` lines, kills it, and returns the last tick and entry that it acknowledged; -1 and 0 for none.
fn run_and_kill(folder: &Path, lines: usize, spin: u64) -> (i64, u64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_writes_until_it_is_killed", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut tick, mut entry, mut heard) = (-1, 0, 0);
    let mut hear = |line: String| {
        // The test harness prints lines of its own, and the child's first one follows upon one of these.
        let mut words = line.split_whitespace().rev();
        let (number, what) = (words.next().and_then(|n| n.parse::<i64>().ok()), words.next());
        match (what, number) {
            (Some("tick"), Some(n)) => tick = n,
            (Some("entry"), Some(n)) => entry = n as u64,
            _ => return 0,
        }
        1
    };
    while heard < lines {
        let line = said.next().expect("the child ended before it was killed").unwrap();
        heard += hear(line);
    }
    // Somewhere between two lines, another place in each run.
    for n in 0..spin {
        std::hint::black_box(n);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for line in said.map_while(Result::ok) {
        hear(line);
    }
    (tick, entry)
}

#[test]
fn what_was_acknowledged_survives_kill_9_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let mut dice: u64 = 12;
    let (mut tick, mut entry) = (-1, 0);
    for run in 0..24 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (lines, spin) = (1 + (dice >> 33) as usize % 70, (dice >> 40) % 4_000_000);
        let heard = run_and_kill(folder.path(), lines, spin);
        (tick, entry) = (tick.max(heard.0), entry.max(heard.1));

        for file in [STATE_FILE, ulm_store::HISTORY_FILE] {
            let sqlite = rusqlite::Connection::open(folder.path().join(file)).unwrap();
            let verdict: String = sqlite.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(verdict, "ok", "{file} after run {run}");
        }
        let store = Store::open(folder.path()).expect("the lock went with the process");
        let entries = store.entries(&Filter::default()).unwrap();
        assert!(
            entries.len() as u64 == entry || entries.len() as u64 == entry + 1,
            "run {run}: {} entries, {entry} acknowledged",
            entries.len()
        );
        assert!(entries.iter().rev().map(|e| e.seq).eq(1..=entries.len() as u64));

        let history = store.history().unwrap();
        let ids = series(&history);
        for n in [0, 999, 1000, SERIES - 1] {
            let from = (at(tick) - 40 * HOUR).max(BEGIN);
            let points = history.range(ids[n], Time(from), Time(at(tick + 2)), Resolution::Raw).unwrap();
            let ticks: Vec<i64> = points.iter().map(|point| (point.at.0 - BEGIN) / ROUND).collect();
            let first = (from - BEGIN) / ROUND;
            assert!(
                ticks.iter().copied().eq(first..=tick) || ticks.iter().copied().eq(first..=tick + 1),
                "run {run}, series {n}: ticks {first} to {tick} were acknowledged, there are {ticks:?}"
            );
            assert!(
                points.iter().zip(&ticks).all(|(point, &tick)| point.mean == value(tick, n)),
                "run {run}, series {n}"
            );
            let hours = history.range(ids[n], Time(BEGIN), Time(at(tick) + 1), Resolution::Hour).unwrap();
            assert!(
                hours.iter().map(|point| (point.at.0 - BEGIN) / HOUR).eq(0..=(at(tick) - BEGIN) / HOUR),
                "run {run}: an hour is missing"
            );
        }
    }
}
