//! The table: for each quarter of an hour of the week, what was wanted in it.
//!
//! Three bytes for each cell, 2,016 for a week. The high takes 14 bits of a `u16`: ten of mantissa below four of exponent, in a
//! code that rises with the amount, so that the highest of many cells is found without decoding. The last two bits count the visits,
//! up to three. The median is kept as so many 255ths of the high.

use ulm_model::MilliCpu;

use super::calendar::{WEEK, siblings};
use super::mixture::blend;
use crate::Demand;

/// Bits of the code below its exponent.
const MANTISSA: u32 = 10;
/// The largest code.
const LARGEST: u16 = (1 << 14) - 1;
/// Bits of the count of visits.
const VISITS: u32 = 2;
/// Visits that are counted, at most: from the fourth on the newest visit always weighs a quarter, so that what was seen four weeks
/// ago still counts for about a third, and three months ago for nothing.
const COUNTED: u16 = (1 << VISITS) - 1;

/// The smallest code that stands for at least this amount. Exact below 2,048, then to a thousandth; from 33,000 CPUs on the same.
pub fn encode(amount: MilliCpu) -> u16 {
    let bits = u64::BITS - amount.0.leading_zeros();
    let Some(shift) = bits.checked_sub(MANTISSA + 1) else { return amount.0 as u16 };
    if shift + 1 > u32::from(LARGEST >> MANTISSA) {
        return LARGEST;
    }
    let code = (((shift + 1) << MANTISSA) | (amount.0 >> shift) as u32 & ((1 << MANTISSA) - 1)) as u16;
    if decode(code) < amount { (code + 1).min(LARGEST) } else { code }
}

/// What a code stands for.
pub fn decode(code: u16) -> MilliCpu {
    let (exponent, mantissa) = (code >> MANTISSA, u64::from(code & ((1 << MANTISSA) - 1)));
    MilliCpu(match exponent {
        0 => mantissa,
        exponent => (mantissa | 1 << MANTISSA) << (exponent - 1),
    })
}

/// See the module's text.
#[derive(Clone, PartialEq, Eq)]
pub struct Week {
    high: [u16; WEEK],
    median: [u8; WEEK],
}

impl Default for Week {
    fn default() -> Self {
        Week { high: [0; WEEK], median: [0; WEEK] }
    }
}

impl Week {
    /// What is known of a cell; `None`: it was never visited.
    pub fn get(&self, cell: usize) -> Option<Demand> {
        let code = self.high[cell];
        (code != 0).then(|| {
            let high = decode(code >> VISITS);
            Demand { median: MilliCpu((high.0 * u64::from(self.median[cell]) + 127) / 255), high }
        })
    }

    /// As [`Week::get`]; a cell that was never visited borrows from the same slot of the other days of its kind: the mean of their
    /// medians, and the highest of their highs, because one does not know which of them this day is like.
    pub fn get_or_borrow(&self, cell: usize) -> Option<Demand> {
        if let Some(own) = self.get(cell) {
            return Some(own);
        }
        let (mut sum, mut high, mut count) = (MilliCpu(0), MilliCpu(0), 0);
        for other in siblings(cell).filter_map(|cell| self.get(cell)) {
            (sum, high, count) = (sum + other.median, high.max(other.high), count + 1);
        }
        (count > 0).then(|| Demand { median: MilliCpu(sum.0 / count), high })
    }

    /// Takes in what was wanted during a visit.
    pub fn learn(&mut self, cell: usize, seen: Demand) {
        let visits = self.high[cell] & COUNTED;
        let now = match self.get(cell) {
            Some(before) => blend(before, seen, [u64::from(visits), 1]),
            None => seen,
        };
        let code = encode(now.high);
        let high = decode(code).0;
        self.high[cell] = code << VISITS | (visits + 1).min(COUNTED);
        self.median[cell] = ((now.median.0.min(high) * 255 + high / 2) / high.max(1)) as u8;
    }

    /// The highest high of `count` cells from `first` on, over the week's end; what is not known, also from other days, is `unknown`.
    pub fn highest(&self, first: usize, count: usize, unknown: MilliCpu) -> MilliCpu {
        let count = count.min(WEEK);
        let end = (first + count).min(WEEK);
        let parts = [&self.high[first..end], &self.high[..first + count - end]];
        let (top, least) =
            parts.into_iter().flatten().fold((0, u16::MAX), |(top, least), &code| (top.max(code), least.min(code)));
        let mut highest = decode(top >> VISITS);
        // A code of 0 is a cell without visits.
        if least == 0 {
            for cell in (first..first + count).map(|cell| cell % WEEK).filter(|&cell| self.high[cell] == 0) {
                highest = highest.max(self.get_or_borrow(cell).map_or(unknown, |demand| demand.high));
            }
        }
        highest
    }

    /// The cells' three bytes, as they are kept.
    pub fn raw(&self, cell: usize) -> [u8; 3] {
        let [low, high] = self.high[cell].to_le_bytes();
        [low, high, self.median[cell]]
    }

    /// Sets a cell to what [`Week::raw`] gave; `None` when nothing can have given it.
    pub fn set_raw(&mut self, cell: usize, [low, high, median]: [u8; 3]) -> Option<()> {
        let code = u16::from_le_bytes([low, high]);
        if code & COUNTED == 0 && (code != 0 || median != 0) {
            return None;
        }
        (self.high[cell], self.median[cell]) = (code, median);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::calendar::DAY;
    use super::*;

    fn demand(median: u64, high: u64) -> Demand {
        Demand { median: MilliCpu(median), high: MilliCpu(high) }
    }

    #[test]
    fn codes_stand_for_what_they_were_made_of() {
        for amount in 0..2048 {
            assert_eq!(decode(encode(MilliCpu(amount))), MilliCpu(amount));
        }
        for code in 0..=LARGEST {
            assert_eq!(encode(decode(code)), code);
            assert!(code == 0 || decode(code) > decode(code - 1), "codes rise with what they stand for");
        }
        assert_eq!(encode(MilliCpu(u64::MAX)), LARGEST);
    }

    #[test]
    fn a_cell_without_visits_borrows_from_days_of_its_kind_and_nothing_from_others() {
        let mut week = Week::default();
        week.learn(10, demand(100, 200));
        week.learn(DAY + 10, demand(300, 900));
        assert_eq!(week.get_or_borrow(4 * DAY + 10), Some(demand(200, 900)));
        assert_eq!(week.get_or_borrow(10), Some(demand(100, 200)));
        assert_eq!((week.get_or_borrow(5 * DAY + 10), week.get_or_borrow(11)), (None, None));
    }

    #[test]
    fn nothing_wanted_is_known_and_is_not_the_same_as_nothing_known() {
        let mut week = Week::default();
        week.learn(3, demand(0, 0));
        assert_eq!((week.get(3), week.get(4)), (Some(demand(0, 0)), None));
        assert_eq!((week.highest(3, 1, MilliCpu(9)), week.highest(3, 2, MilliCpu(9))), (MilliCpu(0), MilliCpu(9)));
    }

    #[test]
    fn what_was_seen_long_ago_is_forgotten() {
        let mut week = Week::default();
        (0..10).for_each(|_| week.learn(0, demand(4000, 6000)));
        week.learn(0, demand(100, 200));
        assert!(week.get(0).unwrap().high > MilliCpu(4500), "{:?}", week.get(0));
        (0..12).for_each(|_| week.learn(0, demand(100, 200)));
        assert!(week.get(0).unwrap().high < MilliCpu(400), "{:?}", week.get(0));
    }

    proptest! {
        #[test]
        fn a_code_is_never_less_and_hardly_more(amount in 0u64..33_000_000) {
            let decoded = decode(encode(MilliCpu(amount))).0;
            prop_assert!(decoded >= amount && decoded - amount <= amount / 1000);
        }

        #[test]
        fn the_highest_of_a_span_is_what_its_cells_say(
            visits in proptest::collection::vec((0..WEEK, 0u64..5000), 0..60), first in 0..WEEK, count in 0..=WEEK
        ) {
            let mut week = Week::default();
            visits.iter().for_each(|&(cell, high)| week.learn(cell, demand(high / 2, high)));
            let unknown = MilliCpu(1234);
            let plain = (0..count)
                .map(|i| week.get_or_borrow((first + i) % WEEK).map_or(unknown, |demand| demand.high))
                .max();
            prop_assert_eq!(week.highest(first, count, unknown), plain.unwrap_or_default());
        }
    }
}
