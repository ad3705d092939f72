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
    /// The demand of each of the next hours: the mean of its medians and the highest of its highs. The first hour begins now, and what
    /// the VM does at the moment is in it.
    pub hours: Vec<Demand>,
}

impl Outlook {
    /// So many hours ahead are looked at.
    pub const HOURS: usize = 24;
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
    /// What is wanted on average.
    pub fn mean(&self) -> MilliCpu {
        self.median + MilliCpu(self.spread() / TAIL)
    }
    /// In thousandths of a milli-CPU, so that small ones are not rounded away.
    fn deviation(&self) -> u128 {
        u128::from(self.spread()).saturating_mul(1_000_000) / DEVIATIONS_AT_HIGH
    }
    fn variance(&self) -> u128 {
        self.deviation().saturating_mul(self.deviation())
    }
}

/// What VMs want together that know nothing of each other. Its high is never more than the sum of theirs, and never less than the
/// highest of them. The order makes no difference.
pub fn together(demands: &[Demand]) -> Demand {
    if let [one] = demands {
        return *one;
    }
    let mean: MilliCpu = demands.iter().map(Demand::mean).sum();
    let variance = demands.iter().fold(0u128, |sum, demand| sum.saturating_add(demand.variance()));
    let above = (Z * variance.isqrt()).div_ceil(1000);
    let high = mean + MilliCpu(u64::try_from(above).unwrap_or(u64::MAX));
    let (most, least) =
        (demands.iter().map(|demand| demand.high).sum(), demands.iter().map(|demand| demand.high).max());
    let high = high.min(most).max(least.unwrap_or_default());
    Demand { median: mean.min(high), high }
}

/// What single VMs and hosts count for, so that plain sums come close to what VMs want [`together`], and never below it.
///
/// The deviation of a sum is a root, which is no sum. It is replaced by its tangent where a host carries what hosts carry on average:
/// each VM counts for its mean and its part of the variance, and each host for half of the average deviation, whatever it carries.
#[derive(Clone, Copy, Debug)]
pub struct Sizing {
    /// The average deviation of what a host carries, in thousandths of a milli-CPU; never 0.
    deviation: u128,
}

impl Sizing {
    /// For VMs that are spread over so many hosts.
    pub fn of(demands: impl IntoIterator<Item = Demand>, hosts: usize) -> Self {
        let variance = demands.into_iter().fold(0u128, |sum, demand| sum.saturating_add(demand.variance()));
        Sizing { deviation: (variance / hosts.max(1) as u128).isqrt().max(1) }
    }
    /// What a VM counts for. Never below its mean.
    pub fn vm(&self, demand: Demand) -> MilliCpu {
        demand.mean() + milli(Z * (demand.variance() / 2).div_ceil(self.deviation))
    }
    /// What a host counts for.
    pub fn host(&self) -> MilliCpu {
        milli(Z * self.deviation.div_ceil(2))
    }
}

/// From thousandths, rounded up.
fn milli(thousandths: u128) -> MilliCpu {
    MilliCpu(u64::try_from(thousandths.div_ceil(1000)).unwrap_or(u64::MAX))
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
        fn plain_sums_are_never_below_and_exact_where_a_host_carries_what_is_usual(
            hosts in proptest::collection::vec(proptest::collection::vec(some(), 2..20), 1..6)
        ) {
            let sizing = Sizing::of(hosts.concat(), hosts.len());
            let count = |vms: &[Demand]| vms.iter().map(|vm| sizing.vm(*vm).0).sum::<u64>() + sizing.host().0;
            for vms in &hosts {
                prop_assert!(count(vms) >= together(vms).high.0);
            }
            let alone = Sizing::of(hosts[0].iter().copied(), 1);
            let sum = hosts[0].iter().map(|vm| alone.vm(*vm).0).sum::<u64>() + alone.host().0;
            let mean: f64 = hosts[0].iter().map(|vm| vm.mean().0 as f64).sum();
            let variance: f64 = hosts[0].iter().map(|vm| (vm.spread() as f64 / 1.645).powi(2)).sum();
            prop_assert!((sum as f64 - mean - 2.0 * variance.sqrt()).abs() <= 2.0 * hosts[0].len() as f64 + 4.0);
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
