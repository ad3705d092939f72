//! What is expected to be wanted: of one VM, of several together, over the next day.
//!
//! A [`Demand`] is two points of a distribution: the median and the 95th percentile. Several VMs that share a host seldom
//! want much at the same time, so the host needs less than the sum of their 95th percentiles: the sum of their means and
//! `z` standard deviations of the sum, `Σ mean + z · √Σ variance`. That holds for VMs that know nothing of each other. VMs
//! of one application rise together; [`alike`] adds those up without that discount, and the result takes part as one.
//!
//! How mean and deviation follow from the two points: the distance between them is 1.645 standard deviations of a normal
//! distribution. Load has a longer tail above than below, so its mean lies above its median, by an eighth of that distance
//! (0.10 of it for a log-normal with σ = ½, 0.13 for an exponential, 0.16 for a log-normal with σ = 1).

use serde::{Deserialize, Serialize};
use ulm_model::MilliCpu;

/// What is expected to be wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// Half of the time it is not more than this.
    pub median: MilliCpu,
    /// 95 % of the time it is not more than this. Never below the median.
    pub high: MilliCpu,
}

/// What is expected of one VM over the next hours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Outlook {
    /// The high demand (95 % of the time it is not more) of each of the next hours; the first begins now, and what the VM does
    /// at the moment is in it.
    pub hours: Vec<MilliCpu>,
}

impl Outlook {
    /// So many hours ahead are looked at.
    pub const HOURS: usize = 24;

    /// The highest within the next `hours`, the hour that has begun included; of all when there are fewer.
    pub fn within(&self, hours: usize) -> MilliCpu {
        self.hours.iter().take(hours).copied().max().unwrap_or_default()
    }
}

/// Standard deviations above the mean that a sum is expected to keep below.
const Z: u128 = 2;
/// The 95th percentile of a normal distribution lies so many thousandths of a standard deviation above its median.
const DEVIATIONS_AT_HIGH: u128 = 1645;
/// The mean lies above the median by this part of the distance between the two points.
const TAIL: u64 = 8;

impl Demand {
    /// The same at all times.
    pub fn steady(at: MilliCpu) -> Self {
        Demand { median: at, high: at }
    }
    /// The distance between the two points.
    fn spread(&self) -> u64 {
        self.high.saturating_sub(self.median).0
    }
    fn mean(&self) -> MilliCpu {
        self.median + MilliCpu(self.spread() / TAIL)
    }
}

/// What VMs want together that know nothing of each other. Its high is never more than the sum of theirs, and never less than the
/// highest of them. The order makes no difference.
pub fn together(demands: &[Demand]) -> Demand {
    if let [one] = demands {
        return *one;
    }
    let mean: MilliCpu = demands.iter().map(Demand::mean).sum();
    // In millionths of a squared milli-CPU, so that small ones are not rounded away.
    let variance = demands.iter().fold(0u128, |sum, demand| {
        let deviation = u128::from(demand.spread()).saturating_mul(1_000_000) / DEVIATIONS_AT_HIGH;
        sum.saturating_add(deviation.saturating_mul(deviation))
    });
    let above = (Z * variance.isqrt()).div_ceil(1000);
    let high = mean + MilliCpu(u64::try_from(above).unwrap_or(u64::MAX));
    let (most, least) =
        (demands.iter().map(|demand| demand.high).sum(), demands.iter().map(|demand| demand.high).max());
    let high = high.min(most).max(least.unwrap_or_default());
    Demand { median: mean.min(high), high }
}

/// What VMs want together that rise and fall together (of one application, one tenant): the sum, point by point.
pub fn alike(demands: &[Demand]) -> Demand {
    let median = demands.iter().map(|demand| demand.median).sum();
    Demand { median, high: demands.iter().map(|demand| demand.high).sum() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn demand(median: u64, high: u64) -> Demand {
        Demand { median: MilliCpu(median), high: MilliCpu(high) }
    }

    #[test]
    fn a_hundred_strangers_need_far_less_than_the_sum_of_their_peaks() {
        let all = vec![demand(200, 1000); 100];
        // Means of 300 each; a deviation of 486 each is 4,860 for all.
        assert_eq!(together(&all).high, MilliCpu(30_000 + 9_727));
        assert_eq!(alike(&all).high, MilliCpu(100_000));
    }

    #[test]
    fn vms_of_one_application_are_not_discounted() {
        let (application, strangers) = (vec![demand(100, 900); 4], vec![demand(100, 900); 4]);
        let guarded = together(&[&[alike(&application)], strangers.as_slice()].concat());
        let unguarded = together(&[application, strangers].concat());
        assert!(guarded.high > unguarded.high && guarded.high >= MilliCpu(3600), "{guarded:?} {unguarded:?}");
    }

    #[test]
    fn nothing_wants_nothing_and_one_is_itself() {
        assert_eq!(together(&[]), Demand::default());
        assert_eq!(together(&[demand(3, 9)]), demand(3, 9));
    }

    #[test]
    fn absurd_demands_have_a_sum_too() {
        let absurd = demand(0, u64::MAX);
        assert_eq!(together(&[absurd, absurd]).high, MilliCpu(u64::MAX));
    }

    prop_compose! {
        fn some()(median in 0u64..100_000, spread in 0u64..100_000) -> Demand { demand(median, median + spread) }
    }

    proptest! {
        #[test]
        fn a_sum_lies_between_the_highest_and_the_sum_of_the_highs(
            demands in proptest::collection::vec(some(), 1..40)
        ) {
            let sum = together(&demands);
            prop_assert!(sum.high >= demands.iter().map(|d| d.high).max().unwrap());
            prop_assert!(sum.high <= alike(&demands).high && sum.median <= sum.high);
            prop_assert!(sum.median >= alike(&demands).median.min(sum.high));
        }

        #[test]
        fn one_more_never_makes_a_sum_smaller(demands in proptest::collection::vec(some(), 2..20), more in some()) {
            let larger = together(&[demands.as_slice(), &[more]].concat());
            prop_assert!(larger.high >= together(&demands).high);
        }

        /// The plain meaning in real numbers.
        #[test]
        fn the_sum_is_mean_and_two_deviations(demands in proptest::collection::vec(some(), 2..40)) {
            let mean: f64 = demands.iter().map(|d| d.median.0 as f64 + (d.spread() / 8) as f64).sum();
            let variance: f64 = demands.iter().map(|d| (d.spread() as f64 / 1.645).powi(2)).sum();
            let (most, least) = (alike(&demands).high.0, demands.iter().map(|d| d.high.0).max().unwrap());
            let plain = (mean + 2.0 * variance.sqrt()).clamp(least as f64, most as f64);
            prop_assert!((together(&demands).high.0 as f64 - plain).abs() <= 2.0, "{plain}");
        }
    }
}
