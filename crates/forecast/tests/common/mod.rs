//! VMs whose demand has a weekly pattern, with noise and bursts. Shared by tests and benches, each of which uses a part.
#![allow(dead_code)]

use std::time::Duration;

use ulm_forecast::Profile;
use ulm_model::{MilliCpu, Time};

/// A Monday.
pub const BEGIN: Time = Time(1_795_392_000_000);
/// Between two samples.
pub const STEP: u64 = 15;
/// Samples in a week.
pub const WEEK: u64 = 7 * 86_400 / STEP;

/// What a VM is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Busy on weekdays from 8 to 17, more on some days than on others.
    Office,
    /// Follows the day like a wave, with a wide noise.
    Web,
    /// Idle, but for a backup at about 2:00 each night.
    Backup,
    /// A low base; bursts of some minutes at any time.
    Bursts,
    /// Always the same, but for noise.
    Steady,
}

/// All of them.
pub const KINDS: [Kind; 5] = [Kind::Office, Kind::Web, Kind::Backup, Kind::Bursts, Kind::Steady];

/// One VM: an endless series of samples that follows from kind and seed.
pub struct Load {
    kind: Kind,
    dice: Dice,
    tick: u64,
    day_level: f64,
    drift: f64,
    shift: f64,
    burst: u64,
}

impl Load {
    /// Of 4 virtual CPUs.
    pub fn new(kind: Kind, seed: u64) -> Self {
        let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ kind as u64);
        Load { kind, dice, tick: 0, day_level: 1.0, drift: 0.0, shift: 0.0, burst: 0 }
    }
}

impl Iterator for Load {
    type Item = (Time, MilliCpu);

    fn next(&mut self) -> Option<Self::Item> {
        let second = self.tick * STEP;
        let at = BEGIN + Duration::from_secs(second);
        self.tick += 1;
        let (day, hour) = (second / 86_400, (second % 86_400) as f64 / 3600.0);
        if second.is_multiple_of(86_400) {
            self.day_level = 1.0 + 0.1 * self.dice.normal();
            self.shift = 0.15 * self.dice.normal();
        }
        // Noise that lasts for minutes, and noise of each sample.
        self.drift = 0.97 * self.drift + 0.24 * self.dice.normal();
        let (slow, quick) = (self.drift, self.dice.normal());
        let used = match self.kind {
            Kind::Office => {
                let busy = day % 7 < 5 && (8.0..17.0).contains(&(hour + self.shift / 3.0));
                if busy { 2000.0 * self.day_level + 200.0 * slow + 150.0 * quick } else { 150.0 + 30.0 * quick }
            }
            Kind::Web => {
                let wave = 1.0 - (hour / 24.0 * std::f64::consts::TAU).cos();
                (300.0 + 700.0 * wave) * self.day_level * (1.0 + 0.15 * slow + 0.2 * quick)
            }
            Kind::Backup => {
                let runs = (2.0..2.75).contains(&(hour + self.shift));
                if runs { 3000.0 + 300.0 * quick } else { 60.0 + 15.0 * quick }
            }
            Kind::Bursts => {
                if self.burst == 0 && self.dice.unit() < 0.002 {
                    self.burst = 4 + (self.dice.unit() * 30.0) as u64;
                }
                self.burst = self.burst.saturating_sub(1);
                if self.burst > 0 { 2500.0 + 400.0 * quick } else { 200.0 + 40.0 * quick }
            }
            Kind::Steady => 800.0 + 50.0 * slow + 50.0 * quick,
        };
        Some((at, MilliCpu(used.clamp(0.0, 4000.0) as u64)))
    }
}

/// How well forecasts fitted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fit {
    /// Samples.
    pub samples: u64,
    /// Of these not above what was forecast as high.
    pub covered: u64,
    /// What was used in all.
    pub used: f64,
    /// What was forecast as high and not used.
    pub unused: f64,
}

impl Fit {
    /// Takes in a sample and what was forecast for it.
    pub fn count(&mut self, used: MilliCpu, high: MilliCpu) {
        self.samples += 1;
        self.covered += u64::from(used <= high);
        self.used += used.0 as f64;
        self.unused += high.saturating_sub(used).0 as f64;
    }
    /// The share of samples that were covered.
    pub fn coverage(&self) -> f64 {
        self.covered as f64 / self.samples.max(1) as f64
    }
    /// What was forecast and not used, as a multiple of what was used.
    pub fn overshoot(&self) -> f64 {
        self.unused / self.used.max(1.0)
    }
    /// Both together.
    pub fn and(self, other: Fit) -> Fit {
        Fit {
            samples: self.samples + other.samples,
            covered: self.covered + other.covered,
            used: self.used + other.used,
            unused: self.unused + other.unused,
        }
    }
}

/// The fits of one VM.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fits {
    /// The table alone: a week ahead, from what was known when the week began.
    pub week: Fit,
    /// At the begin of each quarter of an hour, for it.
    pub quarter: Fit,
    /// At the begin of each hour, for the hour as a whole.
    pub hour: Fit,
    /// The largest value of the time that was learned from.
    pub naive: Fit,
}

impl Fits {
    /// Both together.
    pub fn and(self, other: Fits) -> Fits {
        Fits {
            week: self.week.and(other.week),
            quarter: self.quarter.and(other.quarter),
            hour: self.hour.and(other.hour),
            naive: self.naive.and(other.naive),
        }
    }
}

/// Learns for some samples, then forecasts the next ones.
pub fn learn_and_forecast(
    whole: MilliCpu,
    mut series: impl Iterator<Item = (Time, MilliCpu)>,
    learn: usize,
    forecast: usize,
) -> Fits {
    let mut profile = Profile::new(whole);
    let mut naive = MilliCpu(0);
    for (at, used) in series.by_ref().take(learn) {
        profile.observe(at, used);
        naive = naive.max(used);
    }
    let mut fits = Fits::default();
    let frozen = profile.clone();
    let (mut quarter, mut hour, mut high_quarter, mut high_hour) = (i64::MIN, i64::MIN, whole, whole);
    for (at, used) in series.take(forecast) {
        if at.seconds() / 900 != quarter {
            quarter = at.seconds() / 900;
            high_quarter = profile.over(at, Duration::from_secs(900));
        }
        if at.seconds() / 3600 != hour {
            hour = at.seconds() / 3600;
            high_hour = profile.over(at, Duration::from_secs(3600));
        }
        fits.week.count(used, frozen.expected(at).high);
        fits.quarter.count(used, high_quarter);
        fits.hour.count(used, high_hour);
        fits.naive.count(used, naive);
        profile.observe(at, used);
    }
    fits
}

/// Random numbers that are the same everywhere (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
    /// From 0 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    /// Mean 0, deviation 1, near enough to normal.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}
