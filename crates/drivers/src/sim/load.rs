//! Load over time in closed form: what a VM wants at any moment is computed from the moment and the
//! VM's own seed, never from what was asked before.
//!
//! A [`Load`] is a [`Shape`] with noise, bursts and surges on top, in per cent of the whole (a VM's
//! vCPUs, or its memory). Noise comes from a hash of time and seed: smooth over 20 and 2 minutes, and
//! rough from one grid cell to the next. So each evaluation costs the same whatever the time.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use ulm_model::Time;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// What is wanted over time, in per cent of the whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// The course without its accidents.
    #[serde(default)]
    pub shape: Shape,
    /// Half-width of the noise, in percentage points: 1/2 of it drifts in 20 minutes, 1/4 in 2 minutes, 1/4 is new in each cell.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub noise: f64,
    /// Short spells of heavy work at random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bursts: Option<Bursts>,
    /// Spells of heavy work at given times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub surges: Vec<Surge>,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl Default for Load {
    fn default() -> Self {
        Load::of(Shape::Idle)
    }
}

/// The course of a load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shape {
    /// One per cent.
    #[default]
    Idle,
    /// The same at all times, in per cent.
    Constant(f64),
    /// Low at night, high around a peak hour, less at week-ends (UTC).
    Daily {
        /// Per cent at night.
        low: f64,
        /// Per cent at the peak.
        high: f64,
        /// Hour of the day at which it peaks; the course is lowest ten hours before and after.
        #[serde(default = "afternoon")]
        peak_hour: f64,
        /// What is left of (high − low) on Saturdays and Sundays, from 0 to 1.
        #[serde(default = "whole")]
        weekend: f64,
    },
    /// Rises or falls evenly between two moments; constant before and after.
    Ramp {
        /// Per cent before.
        from: f64,
        /// Per cent afterwards.
        to: f64,
        /// Seconds since the world began at which it starts to change.
        start_s: f64,
        /// Seconds since the world began at which it has changed.
        end_s: f64,
    },
    /// Changes at once.
    Step {
        /// Per cent before.
        before: f64,
        /// Per cent afterwards.
        after: f64,
        /// Seconds since the world began.
        at_s: f64,
    },
    /// Given points, from a file with the columns `t_seconds,cpu_percent`.
    Csv {
        /// Where the file is, seen from the scenario's folder.
        file: PathBuf,
        /// What comes after the last point.
        #[serde(default)]
        then: AfterEnd,
    },
    /// Given points; each holds until the next one.
    Points {
        /// Seconds since the world began, and per cent; times must rise.
        points: Vec<(f64, f64)>,
        /// What comes after the last point.
        #[serde(default)]
        then: AfterEnd,
    },
}

fn afternoon() -> f64 {
    14.0
}

fn whole() -> f64 {
    1.0
}

/// What comes after the last given point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterEnd {
    /// The last value stays.
    #[default]
    Hold,
    /// The points begin again.
    Repeat,
}

/// Short spells of heavy work at random, at most one in each hour.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bursts {
    /// How many on average.
    pub per_day: f64,
    /// The longest, in minutes, up to 60; each lasts between half of it and all of it.
    pub minutes: f64,
    /// The load meanwhile, in per cent, unless it is higher anyhow.
    pub percent: f64,
}

/// A spell of heavy work at a given time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Surge {
    /// When it begins, in seconds since the world began.
    pub at_s: f64,
    /// How long it lasts, in seconds.
    pub for_s: f64,
    /// The load meanwhile, in per cent, unless it is higher anyhow.
    pub percent: f64,
}

impl Load {
    /// A shape without accidents.
    pub fn of(shape: Shape) -> Self {
        Load { shape, noise: 0.0, bursts: None, surges: Vec::new() }
    }
    /// The same at all times, in per cent.
    pub fn constant(percent: f64) -> Self {
        Load::of(Shape::Constant(percent))
    }
    /// `before` per cent until `at_s` seconds after the world began, `after` per cent from then on.
    pub fn step(before: f64, after: f64, at_s: f64) -> Self {
        Load::of(Shape::Step { before, after, at_s })
    }
    /// With noise of so many percentage points.
    pub fn with_noise(mut self, points: f64) -> Self {
        self.noise = points;
        self
    }
    /// With bursts.
    pub fn with_bursts(mut self, per_day: f64, minutes: f64, percent: f64) -> Self {
        self.bursts = Some(Bursts { per_day, minutes, percent });
        self
    }
    /// With a surge from `at_s` for `for_s` seconds to `percent` per cent.
    pub fn with_surge(mut self, at_s: f64, for_s: f64, percent: f64) -> Self {
        self.surges.push(Surge { at_s, for_s, percent });
        self
    }

    /// What is wrong with the figures, if anything.
    pub(super) fn fault(&self) -> Option<String> {
        let mut figures = vec![("noise", self.noise)];
        match &self.shape {
            Shape::Idle => {}
            Shape::Constant(percent) => figures.push(("constant", *percent)),
            Shape::Daily { low, high, peak_hour, weekend } => {
                figures.extend([("low", *low), ("high", *high), ("peak_hour", *peak_hour), ("weekend", *weekend)]);
            }
            Shape::Ramp { from, to, start_s, end_s } => {
                figures.extend([("from", *from), ("to", *to), ("start_s", *start_s), ("end_s", *end_s)]);
                if end_s <= start_s {
                    return Some("a ramp must end after it starts".into());
                }
            }
            Shape::Step { before, after, at_s } => {
                figures.extend([("before", *before), ("after", *after), ("at_s", *at_s)]);
            }
            Shape::Csv { .. } => {}
            Shape::Points { points, .. } => {
                if points.is_empty() {
                    return Some("a load of points needs at least one".into());
                }
                if points.windows(2).any(|pair| pair[1].0 <= pair[0].0) {
                    return Some("the times of a load's points must rise".into());
                }
                figures.extend(points.iter().flat_map(|(t, percent)| [("time", *t), ("percent", *percent)]));
            }
        }
        if let Some(bursts) = &self.bursts {
            figures.extend([("per_day", bursts.per_day), ("minutes", bursts.minutes), ("percent", bursts.percent)]);
        }
        for surge in &self.surges {
            figures.extend([("at_s", surge.at_s), ("for_s", surge.for_s), ("percent", surge.percent)]);
        }
        let bad = figures.iter().find(|(_, value)| !value.is_finite() || *value < 0.0)?;
        Some(format!("`{}` of a load is {}, but it must not be negative", bad.0, bad.1))
    }
}

/// Reads `t_seconds,cpu_percent` lines; empty lines, `#` comments and a heading are passed over.
pub fn points_from_csv(text: &str) -> Result<Vec<(f64, f64)>, String> {
    let mut points = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut columns = line.split(',').map(|column| column.trim().parse::<f64>());
        match (columns.next(), columns.next()) {
            (Some(Ok(t)), Some(Ok(percent))) => points.push((t, percent)),
            _ if points.is_empty() && line.starts_with(|c: char| c.is_ascii_alphabetic()) => {}
            _ => return Err(format!("line {}: `{line}` is not `t_seconds,cpu_percent`", number + 1)),
        }
    }
    if points.is_empty() { Err("there is no line `t_seconds,cpu_percent` in it".into()) } else { Ok(points) }
}

/// A load with its seed and its origin in time: ready to be asked.
#[derive(Clone, Debug)]
pub(super) struct Series {
    load: Arc<Load>,
    seed: u64,
    start: Time,
}

impl Series {
    pub fn new(load: Load, seed: u64, start: Time) -> Self {
        Series { load: Arc::new(load), seed, start }
    }

    /// The fraction of the whole, from 0 to 1, in the cell number `cell` that begins `ms` after the world began.
    pub fn at(&self, ms: i64, cell: u64) -> f64 {
        let seconds = ms as f64 * 1e-3;
        let wall = self.start.0 + ms;
        let mut percent = match &self.load.shape {
            Shape::Idle => 1.0,
            Shape::Constant(percent) => *percent,
            Shape::Daily { low, high, peak_hour, weekend } => daily(wall, *low, *high, *peak_hour, *weekend),
            Shape::Ramp { from, to, start_s, end_s } => {
                from + (to - from) * ((seconds - start_s) / (end_s - start_s)).clamp(0.0, 1.0)
            }
            Shape::Step { before, after, at_s } => {
                if seconds < *at_s {
                    *before
                } else {
                    *after
                }
            }
            Shape::Csv { .. } => 0.0,
            Shape::Points { points, then } => held(points, *then, seconds),
        };
        if self.load.noise > 0.0 {
            let noise = 0.5 * smooth(self.seed, wall, 20 * 60_000)
                + 0.25 * smooth(self.seed ^ 0x5bd1, wall, 2 * 60_000)
                + 0.25 * signed(hash(self.seed ^ 0xce11, cell));
            percent += self.load.noise * noise;
        }
        if let Some(bursts) = &self.load.bursts
            && in_burst(bursts, self.seed, wall)
        {
            percent = percent.max(bursts.percent);
        }
        for surge in &self.load.surges {
            if (surge.at_s..surge.at_s + surge.for_s).contains(&seconds) {
                percent = percent.max(surge.percent);
            }
        }
        (percent * 0.01).clamp(0.0, 1.0)
    }
}

fn daily(wall: i64, low: f64, high: f64, peak_hour: f64, weekend: f64) -> f64 {
    // A day is counted from one trough to the next, so that a week-end begins without a jump.
    let peak_ms = (peak_hour * HOUR as f64) as i64;
    let since_trough = wall - peak_ms + DAY / 2;
    let day = since_trough.div_euclid(DAY);
    let hours_off_peak = (since_trough.rem_euclid(DAY) - DAY / 2).abs() as f64 / HOUR as f64;
    let x = (1.0 - hours_off_peak / 10.0).max(0.0);
    // 1 January 1970 was a Thursday.
    let of_week = (day + 3).rem_euclid(7);
    let scale = if of_week >= 5 { weekend } else { 1.0 };
    low + (high - low) * scale * x * x * (3.0 - 2.0 * x)
}

fn held(points: &[(f64, f64)], then: AfterEnd, seconds: f64) -> f64 {
    let Some(&(last, _)) = points.last() else { return 0.0 };
    let seconds = match then {
        // The last point lasts as long as the one before it.
        AfterEnd::Repeat if points.len() > 1 => {
            let first = points[0].0;
            let period = last - first + (last - points[points.len() - 2].0);
            first + (seconds - first).rem_euclid(period)
        }
        _ => seconds,
    };
    points[points.partition_point(|(t, _)| *t <= seconds).saturating_sub(1)].1
}

fn in_burst(bursts: &Bursts, seed: u64, wall: i64) -> bool {
    let hour = wall.div_euclid(HOUR);
    [hour, hour - 1].into_iter().any(|hour| {
        let dice = hash(seed ^ 0xb0457, hour as u64);
        if unit(dice) >= bursts.per_day / 24.0 {
            return false;
        }
        let begins = hour * HOUR + (unit(hash(dice, 1)) * HOUR as f64) as i64;
        let lasts = (bursts.minutes.min(60.0) * 60_000.0 * (0.5 + 0.5 * unit(hash(dice, 2)))) as i64;
        (begins..begins + lasts).contains(&wall)
    })
}

/// Smooth noise from −1 to 1 with knots every `period` ms.
fn smooth(seed: u64, wall: i64, period: i64) -> f64 {
    let knot = wall.div_euclid(period);
    let x = wall.rem_euclid(period) as f64 / period as f64;
    let (a, b) = (signed(hash(seed, knot as u64)), signed(hash(seed, (knot + 1) as u64)));
    a + (b - a) * x * x * (3.0 - 2.0 * x)
}

/// Mixes a seed and a number into 64 even bits (the finaliser of SplitMix64).
pub(super) fn hash(seed: u64, n: u64) -> u64 {
    let mut z = seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The seed of one object: depends on nothing but the scenario's seed and the object's kind and name,
/// so that one object more shifts no other.
pub(super) fn seed_of(seed: u64, kind: &str, name: &str) -> u64 {
    kind.bytes().chain([0]).chain(name.bytes()).fold(hash(seed, 0x5eed), |state, byte| hash(state, u64::from(byte)))
}

/// From 0 to 1.
pub(super) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// From −1 to 1.
fn signed(bits: u64) -> f64 {
    2.0 * unit(bits) - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(load: &Load, seconds: i64) -> f64 {
        Series::new(load.clone(), 7, Time(0)).at(seconds * 1000, (seconds / 5) as u64) * 100.0
    }

    #[test]
    fn a_step_changes_at_its_time() {
        let load = Load::step(10.0, 90.0, 60.0);
        assert_eq!((at(&load, 59), at(&load, 60)), (10.0, 90.0));
    }

    #[test]
    fn a_ramp_is_half_way_at_half_time() {
        let load = Load::of(Shape::Ramp { from: 10.0, to: 50.0, start_s: 100.0, end_s: 200.0 });
        assert_eq!(at(&load, 0), 10.0);
        assert!((at(&load, 150) - 30.0).abs() < 1e-9);
        assert_eq!(at(&load, 900), 50.0);
    }

    #[test]
    fn a_day_peaks_at_its_hour_and_rests_at_the_week_end() {
        let load = Load::of(Shape::Daily { low: 5.0, high: 65.0, peak_hour: 14.0, weekend: 0.25 });
        // 1 January 1970 was a Thursday, the 3rd a Saturday.
        assert!((at(&load, 14 * 3600) - 65.0).abs() < 1e-9);
        assert!((at(&load, 2 * 3600) - 5.0).abs() < 1e-9);
        assert!((at(&load, 2 * 86_400 + 14 * 3600) - 20.0).abs() < 1e-9);
    }

    #[test]
    fn points_hold_until_the_next_one_and_may_repeat() {
        let points = points_from_csv("t_seconds,cpu_percent\n0,10\n60,20\n\n# a remark\n120,30\n").unwrap();
        let hold = Load::of(Shape::Points { points: points.clone(), then: AfterEnd::Hold });
        assert_eq!((at(&hold, 59), at(&hold, 60), at(&hold, 999)), (10.0, 20.0, 30.0));
        let repeat = Load::of(Shape::Points { points, then: AfterEnd::Repeat });
        assert_eq!((at(&repeat, 179), at(&repeat, 180), at(&repeat, 240)), (30.0, 10.0, 20.0));
    }

    #[test]
    fn a_broken_line_of_a_csv_is_told_with_its_number() {
        assert!(points_from_csv("0,10\n60;20\n").unwrap_err().starts_with("line 2:"));
        assert!(points_from_csv("t,percent\n").unwrap_err().contains("no line"));
    }

    #[test]
    fn bursts_come_about_as_often_as_asked() {
        let load = Load::constant(5.0).with_bursts(6.0, 20.0, 95.0);
        let minutes = (0..30 * 1440).filter(|minute| at(&load, minute * 60) > 90.0).count() as f64;
        let expected = 30.0 * 6.0 * 15.0;
        assert!((minutes / expected - 1.0).abs() < 0.35, "{minutes} minutes, expected about {expected}");
    }

    #[test]
    fn noise_is_centred() {
        let load = Load::constant(50.0).with_noise(10.0);
        let mean = (0..20_000).map(|i| at(&load, i * 30)).sum::<f64>() / 20_000.0;
        assert!((mean - 50.0).abs() < 0.5, "{mean}");
    }

    #[test]
    fn impossible_figures_are_named() {
        assert!(Load::constant(-1.0).fault().unwrap().contains("constant"));
        assert!(Load::constant(f64::NAN).fault().is_some());
        assert_eq!(Load::constant(20.0).with_bursts(1.0, 2.0, 3.0).fault(), None);
    }

    proptest! {
        #[test]
        fn a_load_is_always_between_nothing_and_all(ms in 0i64..i64::from(u32::MAX), seed: u64, noise in 0.0..200.0) {
            let load = Load::of(Shape::Daily { low: 10.0, high: 150.0, peak_hour: 3.0, weekend: 0.5 })
                .with_noise(noise).with_bursts(10.0, 60.0, 500.0);
            let value = Series::new(load, seed, Time(0)).at(ms, (ms / 5000) as u64);
            prop_assert!((0.0..=1.0).contains(&value));
        }
    }
}
