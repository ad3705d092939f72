//! Whether a load has been high for long enough, in spite of noise and gaps.
//!
//! A load is *sustained* when at least `k` of the last `n` samples lie above the threshold. Samples that are missing count as
//! not above it: gaps make ULM slower, never hastier. Samples from before [`Gauge::since`] are not looked at: after a
//! move has changed what runs on a host, only figures from after it say anything about the host.

use std::time::Duration;

use ulm_model::{Bytes, Figure, MilliCpu, Recent, Share, Time};

/// How a series is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge {
    /// A sample is high when it is above this part of the whole.
    pub threshold: Share,
    /// So many samples (`k`) must be high …
    pub above: u32,
    /// … of the last so many (`n`).
    pub of: u32,
    /// Samples from before this time are not looked at.
    pub since: Time,
}

/// What a series shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sustained<T> {
    /// High samples.
    pub above: u32,
    /// Samples looked at.
    pub of: u32,
    /// Samples that must be high.
    pub needed: u32,
    /// Mean of the samples looked at, rounded up; `None` when there are none.
    pub mean: Option<T>,
    /// Mean of the high samples alone, rounded up; `None` when there are none. What the load is like while it is high.
    pub high_mean: Option<T>,
    /// The newest of them.
    pub latest: Option<Figure<T>>,
}

/// A quantity that can be averaged.
pub trait Quantity: Copy {
    /// As a bare number.
    fn raw(self) -> u64;
    /// From a bare number.
    fn from_raw(raw: u64) -> Self;
}

impl Quantity for MilliCpu {
    fn raw(self) -> u64 {
        self.0
    }
    fn from_raw(raw: u64) -> Self {
        MilliCpu(raw)
    }
}

impl Quantity for Bytes {
    fn raw(self) -> u64 {
        self.0
    }
    fn from_raw(raw: u64) -> Self {
        Bytes(raw)
    }
}

impl Gauge {
    /// The samples that are looked at: the last `n`, without those from before [`Gauge::since`].
    pub fn window<'r, T: Copy>(&self, recent: &'r Recent<T>) -> &'r [Figure<T>] {
        let last = recent.last(self.of as usize);
        let first = last.iter().rposition(|figure| figure.at < self.since).map_or(0, |old| old + 1);
        &last[first..]
    }
    /// From when on samples count that are taken every `interval`: with room for half as many gaps as samples, so that
    /// what was high before an outage is not added to what is high after it.
    pub fn reach(now: Time, interval: Duration, of: u32) -> Time {
        now - interval.saturating_mul(of.saturating_add(of / 2))
    }
}

/// Looks at a series that is a part of `whole`.
pub fn sustained<T: Quantity>(recent: &Recent<T>, whole: T, gauge: &Gauge) -> Sustained<T> {
    let window = gauge.window(recent);
    let is_high = |figure: &&Figure<T>| Share::ratio(figure.value.raw(), whole.raw()) > gauge.threshold;
    let high: Vec<Figure<T>> = window.iter().filter(is_high).copied().collect();
    Sustained {
        above: high.len() as u32,
        of: window.len() as u32,
        needed: gauge.above,
        mean: mean(window),
        high_mean: mean(&high),
        latest: window.last().copied(),
    }
}

/// The mean of figures, rounded up; `None` when there are none.
pub fn mean<T: Quantity>(figures: &[Figure<T>]) -> Option<T> {
    let sum: u128 = figures.iter().map(|figure| u128::from(figure.value.raw())).sum();
    let mean = sum.div_ceil((figures.len() as u128).max(1));
    (!figures.is_empty()).then(|| T::from_raw(u64::try_from(mean).unwrap_or(u64::MAX)))
}

impl<T> Sustained<T> {
    /// Whether the load is sustained.
    pub fn holds(&self) -> bool {
        self.needed > 0 && self.above >= self.needed
    }
    /// Whether there are too few samples to say so, however high they are.
    pub fn too_few(&self) -> bool {
        self.of < self.needed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GAUGE: Gauge = Gauge { threshold: Share(7500), above: 3, of: 4, since: Time(0) };

    fn series(values: &[u64]) -> Recent<MilliCpu> {
        Recent(
            values
                .iter()
                .enumerate()
                .map(|(i, v)| Figure { value: MilliCpu(*v), at: Time(i as i64 * 15_000) })
                .collect(),
        )
    }

    fn look(values: &[u64]) -> Sustained<MilliCpu> {
        sustained(&series(values), MilliCpu(1000), &GAUGE)
    }

    #[test]
    fn k_of_the_last_n_samples_must_be_above() {
        assert!(look(&[900, 100, 900, 900]).holds());
        assert!(!look(&[900, 100, 100, 900]).holds());
        assert!(!look(&[900, 900, 900, 100, 100, 900, 900]).holds(), "only the last four count");
    }

    #[test]
    fn exactly_the_threshold_is_not_above_it() {
        assert!(!look(&[750, 750, 750, 750]).holds());
        assert!(sustained(&series(&[7501; 4]), MilliCpu(10_000), &GAUGE).holds());
    }

    #[test]
    fn missing_samples_count_as_not_above() {
        assert!(!look(&[900, 900]).holds() && look(&[900, 900]).too_few());
        assert!(look(&[900, 900, 900]).holds());
        let none = look(&[]);
        assert!(!none.holds() && none.mean.is_none() && none.latest.is_none());
    }

    #[test]
    fn what_the_load_is_like_while_it_is_high_is_not_diluted() {
        let seen = look(&[900, 100, 800, 850]);
        assert_eq!((seen.mean, seen.high_mean), (Some(MilliCpu(663)), Some(MilliCpu(850))));
    }

    #[test]
    fn samples_from_before_a_change_are_not_looked_at() {
        let gauge = Gauge { since: Time(30_000), ..GAUGE };
        let seen = sustained(&series(&[900, 900, 100, 200]), MilliCpu(1000), &gauge);
        assert_eq!((seen.above, seen.of, seen.mean), (0, 2, Some(MilliCpu(150))));
    }

    #[test]
    fn what_was_high_before_an_outage_is_not_added_to_what_is_high_after_it() {
        let mut recent = series(&[900, 900]);
        recent.push(Figure { value: MilliCpu(900), at: Time(3_600_000) }, 16);
        let since = Gauge::reach(Time(3_600_000), Duration::from_secs(15), 4);
        assert_eq!(sustained(&recent, MilliCpu(1000), &Gauge { since, ..GAUGE }).of, 1);
    }

    #[test]
    fn a_gauge_that_asks_for_nothing_never_holds() {
        assert!(!sustained(&series(&[900]), MilliCpu(1000), &Gauge { above: 0, ..GAUGE }).holds());
    }

    proptest! {
        #[test]
        fn the_mean_lies_between_the_least_and_the_greatest(values in proptest::collection::vec(0u64..5000, 1..20)) {
            let seen = look(&values);
            let window = &values[values.len().saturating_sub(4)..];
            let mean = seen.mean.unwrap().0;
            prop_assert!(mean >= *window.iter().min().unwrap() && mean <= *window.iter().max().unwrap());
        }

        #[test]
        fn a_higher_load_is_never_less_sustained(values in proptest::collection::vec(0u64..1000, 0..20), more in 0u64..500) {
            let raised: Vec<u64> = values.iter().map(|v| v + more).collect();
            prop_assert!(look(&raised).above >= look(&values).above);
        }
    }
}
