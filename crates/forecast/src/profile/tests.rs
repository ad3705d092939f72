use proptest::prelude::*;

use super::*;

const WEEK_MS: i64 = 7 * 86_400_000;
const MONDAY: Time = Time(1_795_392_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn hours(n: u32) -> Duration {
    HOUR * n
}

/// Watches a VM of 4 CPUs every 15 s, from a Monday on; what it uses follows from the hour since then.
fn watched(span: Duration, used: impl Fn(u64) -> u64) -> Profile {
    let mut profile = Profile::new(MilliCpu::cpus(4));
    for second in (0..span.as_secs()).step_by(15) {
        profile.observe(MONDAY + Duration::from_secs(second), MilliCpu(used(second / 3600)));
    }
    profile
}

fn office(hour: u64) -> u64 {
    let (day, hour) = (hour / 24 % 7, hour % 24);
    if day < 5 && (8..17).contains(&hour) { 3000 } else { 200 }
}

#[test]
fn before_anything_was_seen_the_size_is_what_it_may_want() {
    let profile = watched(Duration::from_secs(1800), |_| 100);
    assert!(!profile.has_begun() && profile.outlook(MONDAY).is_none());
    assert_eq!(profile.expected(MONDAY + hours(30)).high, MilliCpu(4000));
    assert_eq!(profile.over(MONDAY + hours(30), HOUR), MilliCpu(4000));
}

#[test]
fn during_the_first_day_it_is_the_most_that_was_seen_and_the_size_is_the_ceiling() {
    let profile = watched(hours(6), |hour| if hour == 2 { 1500 } else { 100 });
    let later = profile.expected(MONDAY + hours(20));
    assert!(later.high == MilliCpu(1500) && later.median < MilliCpu(400), "{later:?}");
    let over_its_size = watched(hours(6), |_| 5000);
    assert_eq!(over_its_size.over(MONDAY + hours(20), HOUR), MilliCpu(4000));
}

#[test]
fn a_weekly_pattern_is_told_an_hour_and_days_ahead() {
    let profile = watched(hours(2 * 168), office);
    let (sunday_night, monday) = (MONDAY + hours(2 * 168), MONDAY + hours(2 * 168));
    let quarter = Duration::from_secs(900);
    assert_eq!(profile.over(sunday_night, hours(8) - quarter), MilliCpu(200));
    assert_eq!(profile.over(sunday_night, hours(8)), MilliCpu(3000), "work may begin a quarter of an hour early");
    assert_eq!(profile.over(monday + hours(5 * 24), hours(48)), MilliCpu(200), "the weekend");
    let outlook = profile.outlook(monday).unwrap();
    let high: Vec<usize> = (0..24).filter(|&hour| outlook.hours[hour].high == MilliCpu(3000)).collect();
    assert_eq!(high, (7..17).collect::<Vec<_>>());
    assert!(outlook.hours[9].median > MilliCpu(2500) && outlook.hours[20].median <= MilliCpu(200), "{outlook:?}");
}

#[test]
fn a_day_that_was_never_seen_is_like_others_of_its_kind() {
    let profile = watched(hours(48), office);
    assert_eq!(profile.expected(MONDAY + hours(72 + 10)).high, MilliCpu(3000), "Thursday");
    assert_eq!(profile.expected(MONDAY + hours(72 + 20)).high, MilliCpu(200));
    // No weekend was seen: what it wants at any time.
    assert_eq!(profile.expected(MONDAY + hours(120 + 20)), profile.usual);
}

#[test]
fn what_it_does_now_counts_for_the_next_hour_and_not_longer() {
    let profile = watched(hours(170), |hour| if hour >= 168 { 2500 } else { 200 });
    let now = MONDAY + hours(170);
    let outlook = profile.outlook(now).unwrap();
    assert!(outlook.hours[0].high >= MilliCpu(2490), "{outlook:?}");
    assert!(outlook.hours[2..].iter().all(|hour| hour.high == MilliCpu(200)), "{outlook:?}");
    // Half of the surprise is expected to last for the hour.
    assert!((1200..1500).contains(&outlook.hours[0].median.0), "{outlook:?}");
    let (soon, late) = (profile.expected(now), profile.expected(now + Duration::from_secs(50 * 60)));
    assert!(soon.median > MilliCpu(2400) && late.median < MilliCpu(900), "{soon:?} {late:?}");
}

#[test]
fn one_wild_sample_does_not_move_a_percentile_to_the_moon() {
    let mut profile = watched(hours(2 * 168), |_| 300);
    let at = MONDAY + hours(2 * 168);
    for n in 0..60u32 {
        let used = if n == 30 { u64::MAX } else { 300 };
        profile.observe(at + Duration::from_secs(15) * n, MilliCpu(used));
    }
    profile.observe(at + hours(3), MilliCpu(300));
    assert_eq!(profile.expected(at + hours(168)), Demand::steady(MilliCpu(300)));
    assert!(profile.over(at + hours(3), hours(168)) <= MilliCpu(300));
}

#[test]
fn time_that_runs_backwards_is_ignored() {
    let mut profile = watched(hours(30), office);
    let before = profile.clone();
    profile.observe(MONDAY, MilliCpu(4000));
    profile.observe(before.last().unwrap(), MilliCpu(4000));
    assert!(profile == before);
}

#[test]
fn a_clock_that_was_put_back_does_not_end_learning() {
    let mut profile = watched(hours(30), office);
    let now = MONDAY + hours(10);
    profile.not_after(now);
    profile.observe(now + HOUR, MilliCpu(100));
    assert_eq!(profile.last(), Some(now + HOUR));
}

#[test]
fn gaps_are_no_demand() {
    let (mut profile, whole) = (watched(hours(30), |_| 800), watched(hours(30), |_| 800));
    profile.observe(MONDAY + hours(1000), MilliCpu(800));
    assert_eq!(profile.expected(MONDAY + hours(40)).high, whole.expected(MONDAY + hours(40)).high);
}

#[test]
fn a_profile_has_its_size_in_memory_and_in_bytes() {
    let profile = watched(hours(168), office);
    let memory = size_of::<Profile>() + size_of::<Week>() + 2 * visit::ROOM;
    assert!(memory <= 2400, "{memory} bytes");
    assert!(profile.to_bytes().len() <= 2300, "{}", profile.to_bytes().len());
    assert!(Profile::new(MilliCpu::cpus(1)).to_bytes().len() < 120);
}

#[test]
fn bytes_of_another_version_are_refused() {
    let mut bytes = watched(hours(30), office).to_bytes();
    assert!(Profile::from_bytes(&bytes).is_some());
    bytes[0] = 2;
    assert!(Profile::from_bytes(&bytes).is_none() && Profile::from_bytes(&[]).is_none());
}

fn any_profile() -> impl Strategy<Value = Profile> {
    let samples = proptest::collection::vec((1u64..40_000_000, 0u64..9000), 0..300);
    (0u32..9, samples, 0..WEEK_MS).prop_map(|(cpus, samples, begin)| {
        let mut profile = Profile::new(MilliCpu::cpus(cpus));
        let mut at = Time(begin);
        for (pause, used) in samples {
            // Pauses of milliseconds to hours, short ones more often.
            at = at + Duration::from_millis(pause % 60_000 + if pause % 7 == 0 { pause } else { 0 });
            profile.observe(at, MilliCpu(used));
        }
        profile
    })
}

proptest! {
    #[test]
    fn bytes_give_the_profile_back(profile in any_profile()) {
        let back = Profile::from_bytes(&profile.to_bytes());
        prop_assert!(back.as_ref() == Some(&profile), "{back:?} {profile:?}");
    }

    #[test]
    fn damaged_bytes_are_refused(profile in any_profile(), at in any::<prop::sample::Index>(), flip in 1u8.., cut in 0usize..50) {
        let mut bytes = profile.to_bytes();
        let at = at.index(bytes.len());
        prop_assert!(Profile::from_bytes(&bytes[..bytes.len() - cut]).is_none() || cut == 0);
        bytes[at] ^= flip;
        prop_assert!(Profile::from_bytes(&bytes).is_none());
    }

    #[test]
    fn bytes_of_anybody_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Profile::from_bytes(&bytes).is_none());
    }

    #[test]
    fn a_forecast_keeps_within_what_was_seen_and_the_size(profile in any_profile(), at in 0..2 * WEEK_MS, span in 0u64..200) {
        let most = profile.whole.max(profile.peak);
        let demand = profile.expected(Time(at));
        prop_assert!(demand.median <= demand.high && demand.high.0 <= most.0 + most.0 / 500 + 1, "{demand:?} {profile:?}");
        let over = profile.over(Time(at), Duration::from_secs(span * 900));
        prop_assert!(over.0 <= most.0 + most.0 / 500 + 1, "{over:?} {profile:?}");
        prop_assert!(over.0 >= profile.by_table(calendar::slot(Time(at))).high.0);
    }

    #[test]
    fn an_outlook_is_the_next_hours_one_by_one(profile in any_profile(), after in 0u64..20_000) {
        let now = profile.last().unwrap_or(MONDAY) + Duration::from_secs(after);
        if let Some(outlook) = profile.outlook(now) {
            let plain: Vec<MilliCpu> = (0..24).map(|hour| profile.over(now + HOUR * hour, HOUR)).collect();
            prop_assert!(outlook.hours.iter().all(|hour| hour.median <= hour.high));
            prop_assert_eq!(outlook.hours.iter().map(|hour| hour.high).collect::<Vec<_>>(), plain);
        }
    }

    /// The plain meaning: every quarter of an hour of the span asked by itself.
    #[test]
    fn a_span_wants_what_its_quarters_want(profile in any_profile(), at in 0..2 * WEEK_MS, slots in 1u32..700) {
        let first = calendar::begin(calendar::slot(Time(at)) + 5000);
        let quarter = Duration::from_secs(900);
        let plain = (0..slots.min(672)).map(|n| profile.by_table(calendar::slot(first + quarter * n)).high).max();
        let over = profile.over(first, quarter * slots);
        // A level reaches an hour; 5000 slots ahead there is none, unless the samples came late.
        prop_assert!(Some(over) == plain || profile.level.at(first).is_some(), "{over:?} {plain:?}");
    }
}
