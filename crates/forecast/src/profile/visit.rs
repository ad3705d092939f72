//! The slot under way: its samples, until they are two points of the table.

use ulm_model::MilliCpu;

use super::week::{decode, encode};
use crate::Demand;

/// So many samples are kept; when there are more, every second one is dropped and from then on every second one is skipped.
pub const ROOM: usize = 64;
/// A slot with fewer samples teaches nothing: one of them could be wrong.
pub const ENOUGH: usize = 3;

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visit {
    /// Codes of the table.
    pub samples: Vec<u16>,
    /// Of so many samples one is kept: `2^thinned`.
    pub thinned: u8,
    /// So many samples are skipped before the next one is kept.
    pub skip: u32,
}

impl Visit {
    /// Takes in a sample.
    pub fn observe(&mut self, used: MilliCpu) {
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        if self.samples.len() == ROOM {
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
            // From 2^20 samples in a slot on, thinned evenly or not is all the same.
            self.thinned = (self.thinned + 1).min(20);
        }
        self.samples.push(encode(used));
        self.skip = (1 << self.thinned) - 1;
    }

    /// What was wanted, if there were enough samples; empties the slot.
    ///
    /// The largest sample is never the high: one that is wrong does not count.
    pub fn close(&mut self) -> Option<Demand> {
        let count = self.samples.len();
        (self.thinned, self.skip) = (0, 0);
        if count < ENOUGH {
            self.samples.clear();
            return None;
        }
        self.samples.sort_unstable();
        let nearest_rank = (count * 95).div_ceil(100).min(count - 1);
        let demand =
            Demand { median: decode(self.samples[(count - 1) / 2]), high: decode(self.samples[nearest_rank - 1]) };
        self.samples.clear();
        Some(demand)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(values: impl Iterator<Item = u64>) -> Option<Demand> {
        let mut visit = Visit::default();
        values.for_each(|used| visit.observe(MilliCpu(used)));
        visit.close()
    }

    #[test]
    fn a_slot_has_its_median_and_its_95th_percentile() {
        assert_eq!(seen(1..=60), Some(Demand { median: MilliCpu(30), high: MilliCpu(57) }));
    }

    #[test]
    fn one_wild_sample_does_not_count_and_too_few_teach_nothing() {
        assert_eq!(seen([5, 5, 5, 99_000].into_iter()), Some(Demand::steady(MilliCpu(5))));
        assert_eq!(seen([5, 5].into_iter()), None);
    }

    #[test]
    fn many_samples_are_thinned_out_evenly() {
        let Some(Demand { median, high }) = seen(1..=900) else { panic!("these are enough") };
        assert!((430..=470).contains(&median.0) && (835..=875).contains(&high.0), "{median} {high}");
    }
}
