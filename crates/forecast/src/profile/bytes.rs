//! A profile as bytes, to be kept.
//!
//! ```text
//! version u8 | size, slots learned, peak, usual median, usual high u32 | last i64
//! level, trend, its minute, minute under way i64 | minutes u16 | sum u64 | count u32
//! slot i64 | thinned u8 | skip u32 | samples u8 | each sample u16
//! days u8, a bit for each that has a cell | for each of these 96 cells of three bytes
//! checksum u32
//! ```
//!
//! All little-endian. What is longer than its field is kept as the longest that fits.

use ulm_model::{MilliCpu, Time};

use super::calendar::DAY;
use super::level::Level;
use super::visit::{ROOM, Visit};
use super::week::Week;
use super::{Demand, Profile};

/// The form of the bytes. Another form has another number.
const VERSION: u8 = 1;
/// Stands for no time.
const NEVER: i64 = i64::MIN;

impl Profile {
    /// The profile as bytes: less than 100 for a new VM, about 2,200 when a week is full.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2400);
        out.push(VERSION);
        let amounts = [self.whole, MilliCpu(self.learned.into()), self.peak, self.usual.median, self.usual.high];
        for amount in amounts {
            out.extend(u32::try_from(amount.0).unwrap_or(u32::MAX).to_le_bytes());
        }
        let Level { level, trend, minute, minutes, under_way, sum, count } = self.level;
        for number in [self.last.map_or(NEVER, |last| last.0), level, trend, minute, under_way] {
            out.extend(number.to_le_bytes());
        }
        out.extend(minutes.to_le_bytes());
        out.extend(sum.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(self.slot.to_le_bytes());
        out.push(self.visit.thinned);
        out.extend(self.visit.skip.to_le_bytes());
        out.push(self.visit.samples.len() as u8);
        self.visit.samples.iter().for_each(|sample| out.extend(sample.to_le_bytes()));
        let days = self.days();
        out.push(days);
        if let Some(week) = &self.week {
            cells(days).for_each(|cell| out.extend(week.raw(cell)));
        }
        let sum = checksum(&out);
        out.extend(sum.to_le_bytes());
        out
    }

    /// What [`Profile::to_bytes`] gave; `None` for anything else: bytes of another version, cut off or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Option<Profile> {
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        if u32::from_le_bytes(*sum) != checksum(body) {
            return None;
        }
        let mut from = Reader(body);
        if from.number::<1>()? != [VERSION] {
            return None;
        }
        let [whole, learned, peak, median, high] = from.array(|from| from.number().map(u32::from_le_bytes))?;
        let [last, level, trend, minute, under_way] = from.array(|from| from.number().map(i64::from_le_bytes))?;
        let level = Level {
            level,
            trend,
            minute,
            minutes: u16::from_le_bytes(from.number()?),
            under_way,
            sum: u64::from_le_bytes(from.number()?),
            count: u32::from_le_bytes(from.number()?),
        };
        let slot = i64::from_le_bytes(from.number()?);
        let (thinned, skip) = (u8::from_le_bytes(from.number()?), u32::from_le_bytes(from.number()?));
        let samples = usize::from(u8::from_le_bytes(from.number()?));
        if samples > ROOM || thinned > 20 || median > high {
            return None;
        }
        let samples = (0..samples).map(|_| from.number().map(u16::from_le_bytes)).collect::<Option<Vec<u16>>>()?;
        let days = u8::from_le_bytes(from.number()?);
        let week = match days {
            0 => None,
            days => {
                let mut week = Box::<Week>::default();
                for cell in cells(days) {
                    week.set_raw(cell, from.number()?)?;
                }
                Some(week)
            }
        };
        from.0.is_empty().then(|| Profile {
            whole: MilliCpu(whole.into()),
            last: (last != NEVER).then_some(Time(last)),
            learned,
            peak: MilliCpu(peak.into()),
            usual: Demand { median: MilliCpu(median.into()), high: MilliCpu(high.into()) },
            slot,
            visit: Visit { samples, thinned, skip },
            level,
            week,
        })
    }

    /// A bit for each day, Monday the lowest, that has a cell.
    fn days(&self) -> u8 {
        let Some(week) = &self.week else { return 0 };
        let seen = |day: &usize| (day * DAY..(day + 1) * DAY).any(|cell| week.get(cell).is_some());
        (0..7).filter(seen).fold(0, |days, day| days | 1 << day)
    }
}

/// The cells of days.
fn cells(days: u8) -> impl Iterator<Item = usize> {
    (0..7).filter(move |day| days >> day & 1 == 1).flat_map(|day| day * DAY..(day + 1) * DAY)
}

/// FNV-1a: finds what was cut off or damaged by accident.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (number, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*number)
    }
    fn array<T, const N: usize>(&mut self, mut next: impl FnMut(&mut Self) -> Option<T>) -> Option<[T; N]> {
        let all: Vec<T> = (0..N).map_while(|_| next(self)).collect();
        all.try_into().ok()
    }
}
