//! What becomes of a demand when another one is seen: the one holds for a part of the time, the other for the rest.
//!
//! A demand is two points of a distribution. Between and beyond them it is taken to fall off by the same factor for the same
//! distance on either side of the median, so that 5 % lie above the high: `P(more than x) = ½ · 10^-((x - median) / (high - median))`.
//! The mixture's high is found by halving. It lies between those of the two. All in integers: the same on every machine.

use ulm_model::MilliCpu;

use crate::Demand;

/// All of the time.
const WHOLE: u64 = 1 << 16;
/// 5 % of the time more than this, rounded up.
const TWENTIETH: u64 = WHOLE / 20 + 1;

/// `10^-(k/8)`, of [`WHOLE`]. What is further out than four times the distance from median to high counts as never.
const TENTH_POWERS: [u64; 33] = [
    65_536, 49_145, 36_854, 27_636, 20_724, 15_541, 11_654, 8739, 6554, 4915, 3685, 2764, 2072, 1554, 1165, 874, 655,
    491, 369, 276, 207, 155, 117, 87, 66, 49, 37, 28, 21, 16, 12, 9, 7,
];

/// What becomes of a demand that was kept, when another is seen; they hold `weights` parts of the time.
///
/// The median is the mean of the two medians, by weight. The high is that of the mixture; but a lower one is believed faster: it is not above the
/// mean of the two highs, by weight. So what is wanted in one week of four stays in the high, and what has ended is forgotten within weeks.
pub fn blend(kept: Demand, seen: Demand, weights: [u64; 2]) -> Demand {
    let mean =
        |kept: MilliCpu, seen: MilliCpu| (kept.0 * weights[0] + seen.0 * weights[1]).div_ceil(weights[0] + weights[1]);
    let median = mean(kept.median, seen.median);
    let mixed = point([kept, seen], weights, [kept.high.0, seen.high.0], TWENTIETH);
    let high = if seen.high < kept.high { mixed.min(mean(kept.high, seen.high)) } else { mixed };
    Demand { median: MilliCpu(median), high: MilliCpu(high.max(median)) }
}

/// The least amount between two bounds that is exceeded for at most `part` of the time.
fn point(demands: [Demand; 2], weights: [u64; 2], bounds: [u64; 2], part: u64) -> u64 {
    let exceeded = |x| -> u64 { demands.iter().zip(weights).map(|(demand, weight)| weight * above(demand, x)).sum() };
    let limit = part * (weights[0] + weights[1]);
    let (mut low, mut high) = (bounds[0].min(bounds[1]), bounds[0].max(bounds[1]));
    while low < high {
        let middle = low + (high - low) / 2;
        if exceeded(middle) <= limit { high = middle } else { low = middle + 1 }
    }
    low
}

/// For how much of the time a demand is more than `x`.
fn above(demand: &Demand, x: u64) -> u64 {
    let (median, spread) = (demand.median.0, demand.high.saturating_sub(demand.median).0);
    if x < median { WHOLE - tail(median - x, spread) / 2 } else { tail(x - median, spread) / 2 }
}

/// `10^-(distance / spread)`; nothing spreads beyond a spread of zero.
fn tail(distance: u64, spread: u64) -> u64 {
    const FINE: u64 = 256;
    if distance == 0 && spread > 0 {
        return WHOLE;
    }
    let last = (TENTH_POWERS.len() - 1) as u64;
    // In eighths of the spread, with 256 steps between them.
    let eighths = distance.saturating_mul(8 * FINE).checked_div(spread).unwrap_or(u64::MAX);
    let (from, rest) = (eighths / FINE, eighths % FINE);
    if from >= last {
        return 0;
    }
    let (left, right) = (TENTH_POWERS[from as usize], TENTH_POWERS[from as usize + 1]);
    left - (left - right) * rest / FINE
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn demand(median: u64, high: u64) -> Demand {
        Demand { median: MilliCpu(median), high: MilliCpu(high) }
    }

    #[test]
    fn what_is_seen_again_stays_as_it_is() {
        assert_eq!(blend(demand(100, 400), demand(100, 400), [3, 1]), demand(100, 400));
        assert_eq!(blend(demand(7, 7), demand(7, 7), [1, 1]), demand(7, 7));
    }

    #[test]
    fn what_is_high_for_a_quarter_of_the_time_is_high() {
        let blended = blend(demand(100, 120), demand(1000, 1200), [3, 1]);
        assert!(blended.high > MilliCpu(1000) && blended.median < MilliCpu(400), "{blended:?}");
    }

    #[test]
    fn what_has_ended_is_forgotten_faster_than_what_has_begun() {
        assert_eq!(blend(demand(1000, 1200), demand(100, 120), [3, 1]).high, MilliCpu(930));
    }

    #[test]
    fn the_two_points_are_exceeded_for_half_and_a_twentieth_of_the_time() {
        let demand = demand(100, 400);
        assert_eq!((above(&demand, 100), above(&demand, 400)), (WHOLE / 2, TWENTIETH));
    }

    #[test]
    fn tails_agree_with_real_powers_of_ten() {
        for distance in 0..4000u32 {
            let plain = 65_536.0 * 10f64.powf(-f64::from(distance) / 1000.0);
            assert!((tail(distance.into(), 1000) as f64 - plain).abs() <= 0.012 * plain + 8.0, "{distance}");
        }
    }

    proptest! {
        #[test]
        fn what_becomes_of_a_demand_lies_between_its_parts(
            a in (0u64..90_000, 0u64..90_000), b in (0u64..90_000, 0u64..90_000), w in 1u64..9
        ) {
            let (a, b) = (demand(a.0, a.0 + a.1), demand(b.0, b.0 + b.1));
            let now = blend(a, b, [w, 1]);
            prop_assert!(now.median >= a.median.min(b.median) && now.median <= a.median.max(b.median));
            prop_assert!(now.high >= a.high.min(b.high) && now.high <= a.high.max(b.high) && now.median <= now.high);
        }
    }
}
