//! The history against a naive one: whatever comes, in whatever order, with restarts anywhere, a range reads as if
//! all samples had been kept in a list and rolled up by hand.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use ulm_model::{HostName, Time, VmId};
use ulm_store::{Entity, History, Metric, Point, Resolution, SeriesId, SeriesKey, Store, Tick, Tier};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// A full hour, not a full day, so that no begin falls together with another by chance.
const BEGIN: i64 = 500_003 * HOUR;

fn host(name: &str, metric: Metric) -> SeriesKey {
    SeriesKey { entity: Entity::Host(HostName(name.into())), metric }
}

fn vm(n: u32) -> VmId {
    serde_json::from_str(&format!("\"00000000-0000-4000-8000-{n:012}\"")).expect("a VM id")
}

fn one(history: &History) -> SeriesId {
    history.intern(&[host("h1", Metric::CpuUse)], Time(BEGIN)).unwrap()[0]
}

fn raw(at: i64, value: f32) -> Point {
    Point { at: Time(at), span_ms: 0, mean: value, max: value, min: Some(value), p95: Some(value) }
}

/// Maintains until nothing is due.
fn settle(history: &History, now: i64) {
    while history.maintain(Time(now)).unwrap().more {}
}

#[test]
fn a_series_keeps_its_number_and_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let keys = [
        host("h1", Metric::CpuUse),
        host("h1", Metric::Load),
        SeriesKey { entity: Entity::Vm(vm(7)), metric: Metric::OnHost },
    ];
    let history = Store::open(folder.path()).unwrap().history().unwrap();
    let ids = history.intern(&keys, Time(BEGIN)).unwrap();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 3);
    let number = history.host_number(&"h1".into(), Time(BEGIN)).unwrap();
    drop(history);
    let history = Store::open(folder.path()).unwrap().history().unwrap();
    assert_eq!(history.intern(&keys, Time(BEGIN)).unwrap(), ids);
    assert_eq!(history.find(&keys[2]).unwrap(), Some(ids[2]));
    assert_eq!(history.find(&host("h2", Metric::CpuUse)).unwrap(), None);
    assert_eq!(history.series_of(&keys[0].entity).unwrap(), [(Metric::CpuUse, ids[0]), (Metric::Load, ids[1])]);
    let known: Vec<Entity> = history.entities().unwrap().into_iter().map(|known| known.entity).collect();
    assert_eq!(known, [keys[0].entity.clone(), keys[2].entity.clone()]);
    assert_eq!(history.host_of(number).unwrap(), Some("h1".into()));
    assert_eq!(history.host_number(&"h1".into(), Time(BEGIN)).unwrap(), number);
}

#[test]
fn values_read_back_as_they_were_before_and_after_their_hour_is_closed() {
    let history = Store::in_memory().unwrap().history().unwrap();
    let id = one(&history);
    for n in 0..480 {
        history.append(&Tick { at: Time(BEGIN + n * 15 * SECOND), values: vec![(id, (n % 300) as f32)] }).unwrap();
    }
    let wanted: Vec<Point> = (0..480).map(|n| raw(BEGIN + n * 15 * SECOND, (n % 300) as f32)).collect();
    let read = || history.range(id, Time(BEGIN), Time(BEGIN + 2 * HOUR), Resolution::Raw).unwrap();
    assert_eq!(read(), wanted);
    assert_eq!(history.sizes().unwrap().tiers, []);
    settle(&history, BEGIN + 2 * HOUR);
    assert_eq!(history.sizes().unwrap().tiers[0].samples, 240);
    assert_eq!(read(), wanted);
    settle(&history, BEGIN + 3 * HOUR);
    assert_eq!(history.sizes().unwrap().tiers[0].samples, 480);
    assert_eq!(read(), wanted);
}

#[test]
fn no_value_is_no_point_and_a_later_value_replaces_an_earlier_one() {
    let history = Store::in_memory().unwrap().history().unwrap();
    let id = one(&history);
    for (at, value) in [(0, 1.0), (15, f32::NAN), (30, 3.0), (30, 4.0), (30, f32::NAN), (45, f32::INFINITY)] {
        history.append(&Tick { at: Time(BEGIN + at * SECOND), values: vec![(id, value)] }).unwrap();
    }
    let wanted = [raw(BEGIN, 1.0), raw(BEGIN + 30 * SECOND, 4.0)];
    for now in [BEGIN, BEGIN + 2 * HOUR] {
        settle(&history, now);
        assert_eq!(history.range(id, Time(BEGIN), Time(BEGIN + HOUR), Resolution::Raw).unwrap(), wanted);
    }
    // Late, into the closed hour.
    history.append(&Tick { at: Time(BEGIN + 15 * SECOND), values: vec![(id, 2.0)] }).unwrap();
    let wanted = [wanted[0], raw(BEGIN + 15 * SECOND, 2.0), wanted[1]];
    for _ in 0..2 {
        assert_eq!(history.range(id, Time(BEGIN), Time(BEGIN + HOUR), Resolution::Raw).unwrap(), wanted);
        let hour = history.range(id, Time(BEGIN), Time(BEGIN + HOUR), Resolution::Hour).unwrap();
        assert_eq!((hour[0].mean.round(), hour[0].min, hour[0].max), (2.0, Some(1.0), 4.0));
        settle(&history, BEGIN + 2 * HOUR);
    }
}

#[test]
fn times_that_cannot_be_are_refused_and_the_widest_range_is_not() {
    let store = Store::in_memory().unwrap();
    let history = store.history().unwrap();
    let id = one(&history);
    for at in [i64::MIN, i64::MAX] {
        let error = history.append(&Tick { at: Time(at), values: vec![(id, 1.0)] }).unwrap_err();
        assert!(matches!(error, ulm_store::StoreError::Value { .. }), "{error}");
    }
    store.history().unwrap().append(&Tick { at: Time(BEGIN), values: vec![(id, 1.0)] }).unwrap();
    for resolution in [Resolution::Raw, Resolution::FiveMinutes, Resolution::Hour, Resolution::Auto { max_points: 3 }] {
        let points = history.range(id, Time(i64::MIN), Time(i64::MAX), resolution).unwrap();
        assert_eq!(points.iter().map(|p| p.mean).collect::<Vec<_>>(), [1.0]);
        assert_eq!(history.range(id, Time(i64::MAX), Time(i64::MIN), resolution).unwrap(), []);
    }
}

#[test]
fn old_samples_thin_out_tier_by_tier_and_are_forgotten_at_last() {
    let history = Store::in_memory().unwrap().history().unwrap();
    let id = one(&history);
    for n in 0..12 {
        history.append(&Tick { at: Time(BEGIN + n * 5 * MINUTE), values: vec![(id, n as f32)] }).unwrap();
    }
    let read = |resolution| history.range(id, Time(0), Time(BEGIN + 500 * DAY), resolution).unwrap();
    let spans = |resolution| read(resolution).iter().map(|point| point.span_ms).collect::<Vec<_>>();
    settle(&history, BEGIN + 49 * HOUR - 1);
    assert_eq!(spans(Resolution::Raw), [0; 12]);
    settle(&history, BEGIN + 49 * HOUR);
    assert_eq!(spans(Resolution::Raw), [5 * MINUTE; 12]);
    settle(&history, BEGIN + 35 * DAY);
    assert_eq!(spans(Resolution::Raw), [5 * MINUTE; 12]);
    settle(&history, BEGIN + 37 * DAY);
    assert_eq!(spans(Resolution::Raw), [HOUR]);
    assert_eq!(
        read(Resolution::FiveMinutes),
        [Point { at: Time(BEGIN), span_ms: HOUR, mean: 6.0, max: 11.0, min: Some(0.0), p95: Some(11.0) }],
        "the mean is 5.5 and means are whole numbers here"
    );
    settle(&history, BEGIN + 396 * DAY);
    assert_eq!(spans(Resolution::Hour), [HOUR]);
    settle(&history, BEGIN + 404 * DAY);
    assert_eq!(spans(Resolution::Hour), [] as [i64; 0]);
    assert_eq!(history.sizes().unwrap().tiers, []);
    assert_eq!(history.find(&host("h1", Metric::CpuUse)).unwrap(), Some(id));
    settle(&history, BEGIN + 450 * DAY);
    assert_eq!(history.find(&host("h1", Metric::CpuUse)).unwrap(), None);
}

#[test]
fn a_sample_that_comes_after_its_hour_was_forgotten_does_not_spoil_the_roll_up() {
    let history = Store::in_memory().unwrap().history().unwrap();
    let id = one(&history);
    for n in 0..240 {
        history.append(&Tick { at: Time(BEGIN + n * 15 * SECOND), values: vec![(id, 100.0)] }).unwrap();
    }
    settle(&history, BEGIN + 60 * HOUR);
    history.append(&Tick { at: Time(BEGIN + 15 * SECOND), values: vec![(id, 1.0)] }).unwrap();
    settle(&history, BEGIN + 60 * HOUR);
    let hour = history.range(id, Time(BEGIN), Time(BEGIN + HOUR), Resolution::Hour).unwrap();
    assert_eq!((hour[0].mean, hour[0].min), (100.0, Some(100.0)));
}

#[test]
fn as_many_points_as_fit_are_given_and_no_more() {
    let history = Store::in_memory().unwrap().history().unwrap();
    let id = one(&history);
    for n in 0..4 * 240 {
        history.append(&Tick { at: Time(BEGIN + n * 15 * SECOND), values: vec![(id, n as f32)] }).unwrap();
    }
    settle(&history, BEGIN + 3 * HOUR);
    let auto =
        |max_points| history.range(id, Time(BEGIN), Time(BEGIN + 4 * HOUR), Resolution::Auto { max_points }).unwrap();
    assert_eq!(auto(960).len(), 960);
    assert_eq!(auto(959).len(), 48);
    assert_eq!(auto(48).len(), 48);
    assert_eq!(auto(47).len(), 4);
    let two = auto(2);
    assert_eq!(
        two.iter().map(|p| (p.at.0 - BEGIN, p.span_ms)).collect::<Vec<_>>(),
        [(0, 2 * HOUR), (2 * HOUR, 2 * HOUR)]
    );
    let all = auto(1)[0];
    assert_eq!((all.span_ms, all.min), (4 * HOUR, Some(0.0)));
    assert!((all.mean - 479.5).abs() < 2.0 && (all.max - 959.0).abs() <= 1.0, "{all:?}");
    assert_eq!(auto(0).len(), 1);
}

#[test]
fn the_documented_queries_work_in_plain_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let history = Store::open(folder.path()).unwrap().history().unwrap();
    let id = one(&history);
    for n in 0..240 {
        history.append(&Tick { at: Time(BEGIN + n * 15 * SECOND), values: vec![(id, n as f32)] }).unwrap();
    }
    settle(&history, BEGIN + 2 * HOUR);
    let sqlite = rusqlite::Connection::open(folder.path().join(ulm_store::HISTORY_FILE)).unwrap();
    let (tier, samples): (String, i64) =
        sqlite.query_row("SELECT * FROM tiers", [], |row| Ok((row.get("tier")?, row.get("samples")?))).unwrap();
    assert_eq!((tier.as_str(), samples), ("raw", 240));
    let (metric, unit): (String, String) = sqlite
        .query_row("SELECT * FROM series_named WHERE name = 'h1'", [], |row| Ok((row.get("metric")?, row.get("unit")?)))
        .unwrap();
    assert_eq!((metric.as_str(), unit.as_str()), ("cpu_use", "thousandths of a CPU"));
}

#[test]
fn reading_goes_on_while_ticks_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let history = Store::open(folder.path()).unwrap().history().unwrap();
    let id = one(&history);
    let reader = history.clone();
    let (first, begun) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut seen = 0;
        begun.recv().unwrap();
        while seen < 500 {
            let now = reader.range(id, Time(BEGIN), Time(BEGIN + DAY), Resolution::Raw).unwrap().len();
            assert!(now >= seen, "what was there stays there");
            seen = now;
        }
    });
    for n in 0..500 {
        let at = BEGIN + n * 15 * SECOND;
        history.append(&Tick { at: Time(at), values: vec![(id, 1.0)] }).unwrap();
        history.maintain(Time(at)).unwrap();
        if n == 0 {
            first.send(()).unwrap();
        }
    }
    reading.join().unwrap();
}

#[test]
fn a_full_disk_keeps_what_was_there() {
    // A limit on the file's pages stands for the disk: it gives the same error and needs no root.
    let folder = tempfile::tempdir().unwrap();
    let history = Store::open(folder.path()).unwrap().history().unwrap();
    let keys: Vec<SeriesKey> =
        (0..3000).map(|n| SeriesKey { entity: Entity::Vm(vm(n)), metric: Metric::CpuUse }).collect();
    let ids = history.intern(&keys, Time(BEGIN)).unwrap();
    let tick = |n: i64| Tick { at: Time(BEGIN + n * SECOND), values: ids.iter().map(|&id| (id, n as f32)).collect() };
    history.append(&tick(0)).unwrap();
    history.limit_pages_for_tests(400).unwrap();
    let mut kept = 1;
    let error = loop {
        match history.append(&tick(kept)) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ulm_store::StoreError::Full { .. }), "{error}");
    let read = || history.range(ids[2999], Time(BEGIN), Time(BEGIN + HOUR), Resolution::Raw).unwrap().len() as i64;
    assert_eq!(read(), kept);
    history.limit_pages_for_tests(100_000).unwrap();
    history.append(&tick(kept)).unwrap();
    assert_eq!(read(), kept + 1);
}

// ---- against the naive history

/// What happens to a history.
#[derive(Clone, Debug)]
enum Step {
    /// Time goes on by so many milliseconds, and a tick comes with a value for each series that has one.
    Tick { after: i64, values: [Option<i32>; 3] },
    /// A tick comes late by so many milliseconds.
    Late { by: i64, values: [Option<i32>; 3] },
    /// What is due is done.
    Maintain,
    /// The daemon ends and begins again.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let value =
        || prop_oneof![1 => Just(None), 4 => (-20i32..2_000_000).prop_map(Some), 4 => (0i32..40).prop_map(Some)];
    let values = || [value(), value(), value()];
    prop_oneof![
        12 => (prop_oneof![8 => 14_000i64..16_000, 3 => 60_000i64..1_200_000, 1 => HOUR..30 * HOUR], values()).prop_map(|(after, values)| Step::Tick { after, values }),
        2 => (0..3 * HOUR, values()).prop_map(|(by, values)| Step::Late { by, values }),
        3 => Just(Step::Maintain),
        1 => Just(Step::Restart),
    ]
}

/// A list of all samples, as the history rounds them.
type Naive = BTreeMap<i64, f32>;

fn naive_buckets(samples: &Naive, span: i64) -> BTreeMap<i64, Vec<f32>> {
    let mut buckets: BTreeMap<i64, Vec<f32>> = BTreeMap::new();
    for (at, value) in samples {
        buckets.entry(at.div_euclid(span) * span).or_default().push(*value);
    }
    buckets
}

fn close_to(kept: f32, computed: f64) -> bool {
    (f64::from(kept) - computed).abs() <= (computed.abs() / 500.0).max(0.501)
}

fn check(history: &History, id: SeriesId, samples: &Naive) -> Result<(), TestCaseError> {
    let (from, to) = (Time(BEGIN - DAY), Time(BEGIN + 400 * DAY));
    let points = history.range(id, from, to, Resolution::Raw).unwrap();
    prop_assert_eq!(points.len(), samples.len());
    for (point, (&at, &value)) in points.iter().zip(samples) {
        prop_assert_eq!((point.at.0, point.mean), (at, value));
    }
    for (resolution, span) in [(Resolution::FiveMinutes, 5 * MINUTE), (Resolution::Hour, HOUR)] {
        let points = history.range(id, from, to, resolution).unwrap();
        let buckets = naive_buckets(samples, span);
        prop_assert_eq!(points.iter().map(|p| p.at.0).collect::<Vec<_>>(), buckets.keys().copied().collect::<Vec<_>>());
        for (point, mut values) in points.iter().zip(buckets.into_values()) {
            values.sort_by(f32::total_cmp);
            let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
            prop_assert!(close_to(point.mean, mean), "mean {} kept as {}", mean, point.mean);
            prop_assert_eq!(point.max, values[values.len() - 1]);
            if resolution == Resolution::Hour {
                prop_assert_eq!(point.min, Some(values[0]));
                let rank = (values.len() as f64 * 0.95).ceil() as usize;
                prop_assert_eq!(point.p95, Some(values[rank - 1]));
            }
        }
    }
    Ok(())
}

/// The value as the history gives it back at once.
fn rounded(history: &History, id: SeriesId, at: i64) -> f32 {
    history.range(id, Time(at), Time(at + 1), Resolution::Raw).unwrap()[0].mean
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    /// Raw samples are read over their whole life, so the steps stay within 48 hours of the last maintenance.
    #[test]
    fn any_course_of_events_reads_as_the_naive_history(steps in vec(step(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let open = || Store::open(folder.path()).unwrap().history().unwrap();
        let mut history = open();
        // The first and the last of a slab, and one of the next: a thousand others lie between.
        let keys: Vec<SeriesKey> = (0..1010).map(|n| SeriesKey { entity: Entity::Vm(vm(n)), metric: Metric::CpuUse }).collect();
        let all = history.intern(&keys, Time(BEGIN)).unwrap();
        let ids = [all[0], all[999], all[1009]];
        let mut naive: [Naive; 3] = Default::default();
        let mut now = BEGIN;
        for step in steps {
            let tick = match step {
                Step::Tick { after, values } => {
                    // Nothing may grow too old to be read as it was measured.
                    now = (now + after).min(BEGIN + 44 * HOUR);
                    Some((now, values))
                }
                Step::Late { by, values } => Some((now - by, values)),
                Step::Maintain => {
                    history.maintain(Time(now)).unwrap();
                    None
                }
                Step::Restart => {
                    drop(history);
                    history = open();
                    None
                }
            };
            if let Some((at, values)) = tick {
                let given = ids.iter().zip(values).filter_map(|(&id, value)| Some((id, value? as f32)));
                history.append(&Tick { at: Time(at), values: given.collect() }).unwrap();
                for ((id, value), naive) in ids.iter().zip(values).zip(&mut naive) {
                    if value.is_some() {
                        naive.insert(at, rounded(&history, *id, at));
                    }
                }
            }
        }
        for (id, naive) in ids.iter().zip(&naive) {
            check(&history, *id, naive)?;
        }
        settle(&history, now);
        for (id, naive) in ids.iter().zip(&naive) {
            check(&history, *id, naive)?;
        }
    }
}

#[test]
fn sixty_days_are_rolled_up_closed_and_read() {
    let history = Store::in_memory().unwrap().history().unwrap();
    let id = one(&history);
    let days = 60;
    for hour in 0..days * 24 {
        let at = BEGIN + hour * HOUR;
        history.append(&Tick { at: Time(at), values: vec![(id, hour as f32)] }).unwrap();
        history.append(&Tick { at: Time(at + 30 * MINUTE), values: vec![(id, hour as f32 + 2.0)] }).unwrap();
        settle(&history, at + HOUR - 1);
    }
    let end = BEGIN + days * DAY;
    let hours = history.range(id, Time(BEGIN), Time(end), Resolution::Hour).unwrap();
    assert_eq!(hours.len() as i64, days * 24);
    for (n, point) in hours.iter().enumerate() {
        assert_eq!(point.at.0, BEGIN + n as i64 * HOUR);
        assert!(
            (point.mean - (n as f32 + 1.0)).abs() <= 0.5 + n as f32 / 200.0 && point.min.unwrap() <= point.max,
            "{point:?}"
        );
    }
    let mixed = history.range(id, Time(BEGIN), Time(end), Resolution::Raw).unwrap();
    assert!(mixed.windows(2).all(|two| two[0].at.0 + two[0].span_ms <= two[1].at.0), "tiers meet without overlap");
    let spans: BTreeSet<i64> = mixed.iter().map(|point| point.span_ms).collect();
    assert_eq!(spans, BTreeSet::from([0, 5 * MINUTE, HOUR]));
    assert_eq!(
        mixed.iter().map(|p| p.at.0.div_euclid(HOUR)).collect::<BTreeSet<_>>().len() as i64,
        days * 24,
        "no hour is missing"
    );
    let tiers: Vec<Tier> = history.sizes().unwrap().tiers.iter().map(|size| size.tier).collect();
    assert_eq!(tiers, Tier::ALL);
}
