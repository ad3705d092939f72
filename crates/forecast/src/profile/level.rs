//! What a VM does at the moment: level and damped trend of its one-minute means.
//!
//! Holt's method with a damped trend. The level follows with a time constant of 10 minutes, the trend with the same, and of the
//! trend a tenth is lost with every minute that is looked ahead (φ = 0.9): however steep, it is worth at most nine of its minutes.

use ulm_model::{MilliCpu, Time};

/// Fractions of a milli-CPU that level and trend are kept in, and what the factors below are parts of.
const ONE: i64 = 1 << 10;
/// `1 - e^(-1/10)`: how much of a minute's surprise the level takes up, once it is settled.
const FOLLOW: i64 = 97;
/// How much of the level's change the trend takes up.
const TREND: i64 = 97;
/// φ: what is left of the trend a minute later.
const DAMPED: i64 = 922;
/// Minutes after which the level is settled and a trend is believed.
const SETTLED: u16 = 10;
/// A gap that is longer begins a new level.
const GAP: i64 = 30;
/// So far ahead a level says something about the future: an hour.
pub const REACH: i64 = 60;
/// Nothing larger is taken in: it would not fit after all multiplications. 34,000 CPUs.
const LARGEST: u64 = 1 << 25;

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// In 1024ths of a milli-CPU.
    pub level: i64,
    /// In 1024ths of a milli-CPU per minute.
    pub trend: i64,
    /// The last whole minute that is in both, since 1970.
    pub minute: i64,
    /// How many minutes are in both, up to [`SETTLED`]; 0: there is no level yet.
    pub minutes: u16,
    /// The minute under way.
    pub under_way: i64,
    /// The sum of its samples.
    pub sum: u64,
    /// How many there are.
    pub count: u32,
}

impl Level {
    /// Takes in a sample. Times must not run backwards.
    pub fn observe(&mut self, at: Time, used: MilliCpu) {
        let minute = minute(at);
        if self.count > 0 && minute != self.under_way {
            self.close();
        }
        self.under_way = minute;
        self.sum = self.sum.saturating_add(used.0.min(LARGEST));
        self.count = self.count.saturating_add(1);
    }

    /// The mean that is expected around a time; `None` when there is no level that says anything about it.
    pub fn at(&self, at: Time) -> Option<MilliCpu> {
        let ahead = self.ahead(at)?;
        Some(MilliCpu(u64::try_from(self.extended(ahead) / ONE).unwrap_or(0)))
    }

    /// How many minutes after the level's last one a time is.
    pub fn ahead(&self, at: Time) -> Option<i64> {
        let ahead = minute(at).saturating_sub(self.minute);
        (self.minutes > 0 && (0..=REACH).contains(&ahead)).then_some(ahead)
    }

    /// The last time about which the level says anything; `None` when there is none.
    pub fn until(&self) -> Option<Time> {
        (self.minutes > 0).then(|| Time(self.minute.saturating_add(REACH).saturating_mul(60_000)))
    }

    fn extended(&self, minutes: i64) -> i64 {
        let (mut level, mut trend) = (self.level, self.trend);
        for _ in 0..minutes {
            trend = trend * DAMPED / ONE;
            level += trend;
        }
        level.max(0)
    }

    fn close(&mut self) {
        let mean = (self.sum / u64::from(self.count.max(1))) as i64 * ONE;
        let passed = self.under_way.saturating_sub(self.minute);
        if self.minutes == 0 || !(1..=GAP).contains(&passed) {
            (self.level, self.trend, self.minutes) = (mean, 0, 0);
        } else {
            // Minutes without a sample: level and trend go on as expected, and what comes then is as surprising as after one minute.
            for _ in 1..passed {
                self.trend = self.trend * DAMPED / ONE;
                self.level += self.trend;
            }
            let before = self.level;
            let trend = self.trend * DAMPED / ONE;
            let expected = before + trend;
            // The first minutes weigh alike, so that the very first is no more than one of them.
            let follow = FOLLOW.max(ONE / i64::from(self.minutes + 1));
            self.level = (expected + (mean - expected) * follow / ONE).max(0);
            self.trend = match self.minutes >= SETTLED {
                true => trend + (self.level - before - trend) * TREND / ONE,
                false => 0,
            };
        }
        self.minute = self.under_way;
        self.minutes = (self.minutes + 1).min(SETTLED);
        (self.sum, self.count) = (0, 0);
    }
}

fn minute(at: Time) -> i64 {
    at.seconds().div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(values: impl Iterator<Item = u64>) -> Level {
        let mut level = Level::default();
        values.enumerate().for_each(|(i, used)| level.observe(Time(i as i64 * 15_000), MilliCpu(used)));
        level
    }

    fn minutes(n: i64) -> Time {
        Time(n * 60_000)
    }

    #[test]
    fn a_steady_load_is_its_own_level() {
        let level = fed((0..400).map(|_| 700));
        assert_eq!((level.at(minutes(100)), level.at(minutes(150))), (Some(MilliCpu(700)), Some(MilliCpu(700))));
    }

    #[test]
    fn a_step_is_followed_with_a_time_constant_of_ten_minutes() {
        let level = fed((0..800 + 41).map(|i| if i < 800 { 1000 } else { 2000 }));
        let now = level.at(minutes(210)).unwrap().0;
        assert!((1600..=1850).contains(&now), "{now}");
        let later = fed((0..800 + 161).map(|i| if i < 800 { 1000 } else { 2000 })).at(minutes(240)).unwrap().0;
        assert!((1950..=2150).contains(&later), "{later}");
    }

    #[test]
    fn a_trend_goes_on_and_ends_within_nine_of_its_minutes() {
        // 10 mCPU more every minute, for two hours.
        let level = fed((0..480).map(|i| i * 10 / 4));
        let (now, soon, late) = (level.at(minutes(119)), level.at(minutes(124)), level.at(minutes(170)));
        assert!(now < soon && soon < late, "{now:?} {soon:?} {late:?}");
        assert!(late.unwrap().0 - now.unwrap().0 <= 100, "{now:?} {late:?}");
    }

    #[test]
    fn one_wild_minute_is_no_trend() {
        let level = fed((0..401).map(|i| if (396..400).contains(&i) { 8000 } else { 500 }));
        assert!(level.at(minutes(110)).unwrap() < MilliCpu(1900), "{level:?}");
    }

    #[test]
    fn short_gaps_are_bridged_and_long_ones_begin_anew() {
        let mut level = fed((0..401).map(|_| 1000));
        level.observe(minutes(115), MilliCpu(3000));
        level.observe(minutes(116), MilliCpu(3000));
        assert!((1100..1400).contains(&level.at(minutes(116)).unwrap().0), "{level:?}");
        level.observe(minutes(300), MilliCpu(3000));
        level.observe(minutes(301), MilliCpu(3000));
        assert_eq!(level.at(minutes(301)), Some(MilliCpu(3000)));
    }

    #[test]
    fn a_level_says_nothing_of_what_is_more_than_an_hour_ahead_or_past() {
        let level = fed((0..41).map(|_| 1000));
        assert_eq!((level.at(minutes(70)), level.at(minutes(8)), Level::default().at(Time(0))), (None, None, None));
    }

    #[test]
    fn absurd_amounts_do_no_harm() {
        let level = fed((0..4000).map(|i| if i % 100 < 50 { u64::MAX } else { 0 }));
        assert!(level.at(minutes(1000)).is_some());
    }
}
