//! The three tiers and how time and series are cut up in them.

/// Series per slab: a slab is written, closed and forgotten as one. Two rows of 1,000 codes fill a page of 4,096 bytes.
pub(crate) const SLAB: usize = 1000;
/// Series per packed row: what is decompressed at least when one series is read.
pub(crate) const PACK: usize = 4;
/// Packs per slab.
pub(crate) const PACKS: usize = SLAB / PACK;
const _: () =
    assert!(SLAB.is_multiple_of(PACK) && PACKS <= 256, "packs fill the slab, and their numbers fit into the row's");

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// Times that can be kept, in milliseconds: far more than there will be, and far from where sums overflow.
pub(crate) const TIMES: std::ops::Range<i64> = -(1 << 50)..1 << 50;

/// Five-minute buckets per hour.
pub(crate) const FIVES: usize = 12;

/// How fine the figures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// As measured; 48 hours.
    Raw,
    /// Mean and maximum of five minutes; five weeks.
    FiveMinutes,
    /// Mean, maximum, 95th percentile and minimum of an hour; thirteen months.
    Hour,
}

impl Tier {
    /// All, finest first.
    pub const ALL: [Tier; 3] = [Tier::Raw, Tier::FiveMinutes, Tier::Hour];

    pub(crate) fn number(self) -> i64 {
        self as i64
    }

    /// Streams per series: value; mean and maximum; mean, maximum, p95 and minimum.
    pub(crate) fn streams(self) -> usize {
        match self {
            Tier::Raw => 1,
            Tier::FiveMinutes => 2,
            Tier::Hour => 4,
        }
    }

    /// Which stream each stream is near to, and is packed as a difference to when that is shorter.
    pub(crate) fn reference(stream: usize) -> Option<usize> {
        [None, Some(0), Some(1), Some(0)][stream]
    }

    /// Points in one row of the journal: a tick, or an hour of roll-ups.
    pub(crate) fn points_per_row(self) -> usize {
        match self {
            Tier::Raw | Tier::Hour => 1,
            Tier::FiveMinutes => FIVES,
        }
    }

    /// What one block spans, in milliseconds: long enough to compress well, short enough to close in one go.
    pub(crate) fn span(self) -> i64 {
        match self {
            Tier::Raw => HOUR,
            Tier::FiveMinutes => DAY,
            Tier::Hour => 7 * DAY,
        }
    }

    /// How long a point counts for, in milliseconds; 0 for a momentary one.
    pub(crate) fn bucket(self) -> i64 {
        match self {
            Tier::Raw => 0,
            Tier::FiveMinutes => 5 * MINUTE,
            Tier::Hour => HOUR,
        }
    }

    /// How long blocks are kept after their end, in milliseconds.
    pub(crate) fn keep(self) -> i64 {
        match self {
            Tier::Raw => 48 * HOUR,
            Tier::FiveMinutes => 35 * DAY,
            Tier::Hour => 396 * DAY,
        }
    }

    /// Where the block that holds `at` begins. Roll-up blocks begin at another hour for every slab, so that they do not all close at once.
    pub(crate) fn block_start(self, slab: u32, at: i64) -> i64 {
        let phase = match self {
            Tier::Raw => 0,
            Tier::FiveMinutes | Tier::Hour => i64::from(slab) * HOUR % self.span(),
        };
        (at - phase).div_euclid(self.span()) * self.span() + phase
    }

    /// When the block that begins at `start` is to be closed: a minute after its end, and then spread by slab over the next 55 minutes.
    /// Roll-ups wait until the hours that feed them are closed.
    pub(crate) fn due(self, slab: u32, start: i64) -> i64 {
        // Multiples of the golden ratio spread evenly for any number of slabs. Four neighbours go together: their rows share pages.
        let part = i64::from((slab / 4).wrapping_mul(2_654_435_769) >> 16);
        let wait = match self {
            Tier::Raw => MINUTE,
            Tier::FiveMinutes | Tier::Hour => HOUR,
        };
        start + self.span() + wait + ((part * 55 * MINUTE) >> 16)
    }
}

/// The start of the hour that holds `at`.
pub(crate) fn hour_start(at: i64) -> i64 {
    at.div_euclid(HOUR) * HOUR
}

/// The slab and the place in it of a series.
pub(crate) fn place(series: u32) -> (u32, usize) {
    (series / SLAB as u32, series as usize % SLAB)
}

/// The journal's row number.
pub(crate) fn journal_row(tick: i64, slab: u32) -> i64 {
    tick << 20 | i64::from(slab)
}

/// The packed row's number.
pub(crate) fn pack_row(block: i64, pack: usize) -> i64 {
    block << 8 | pack as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_lies_in_the_block_that_it_is_put_into() {
        for tier in Tier::ALL {
            for slab in [0, 1, 23, 24, 167, 168, 5000] {
                for at in [-1, 0, 1, HOUR - 1, HOUR, 1_795_246_029_999] {
                    let start = tier.block_start(slab, at);
                    assert!(start <= at && at < start + tier.span());
                    assert_eq!(start.rem_euclid(HOUR), 0);
                }
            }
        }
    }

    #[test]
    fn closing_is_spread_evenly() {
        let mut per_quarter = [0; 4];
        for slab in 0..318 {
            let after = Tier::Raw.due(slab, 0) - HOUR;
            assert!((MINUTE..56 * MINUTE).contains(&after));
            per_quarter[((after - MINUTE) * 4 / (55 * MINUTE)) as usize] += 1;
        }
        assert!(per_quarter.iter().all(|&n| (72..=88).contains(&n)), "{per_quarter:?}");
    }
}
