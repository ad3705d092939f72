//! What one VM wants, learned from what it used: by the week, and at the moment.
//!
//! **Properties.** The same samples in the same order give the same profile, bit for bit, on every machine: all is integers. A sample that
//! is wrong moves nothing by much; gaps do no harm; samples from the past are ignored. A profile takes about 2.3 KB.
//!
//! **Abstraction.** Demand repeats itself by the week, in UTC: the table has a cell for each of the 672 quarters of an hour, with the median and the
//! 95th percentile of what was used in it. What happens at the moment is a level and a damped trend of one-minute means. Expected within the next hour is
//! the larger of both, later what the table says.
//!
//! **Method.** The samples of a quarter of an hour become a median and a 95th percentile when it is over, and the cell becomes a blend of what
//! it was and what was seen (`mixture`), with weights 1 : 1, 2 : 1, and 3 : 1 from then on: old weeks are forgotten exponentially.
//! The high of a quarter of an hour is the larger of its own and the next one's: what is done by the clock is not punctual, and few visits
//! underrate what varies. A cell without visits borrows from the same quarter of other days of its kind (Monday to Friday, or the weekend), then from all.
//! *Cold start:* nothing is known before an hour was seen, and the VM's size is what it may want; during the first day it is the most that
//! was seen, size being the ceiling.
//!
//! **Complexity.** A sample costs a few operations; the end of a quarter of an hour sorts at most 64 numbers. A forecast of a span reads a cell for
//! each quarter of an hour in it.
//!
//! ```
//! use std::time::Duration;
//! use ulm_forecast::Profile;
//! use ulm_model::{MilliCpu, Time};
//!
//! let monday = Time(4 * 86_400_000);
//! let mut profile = Profile::new(MilliCpu::cpus(4));
//! for n in 0..2 * 86_400 / 15 {
//!     profile.observe(monday + Duration::from_secs(n * 15), MilliCpu(if n % 5760 < 240 { 2000 } else { 100 }));   // busy from 0:00 to 1:00
//! }
//! assert_eq!(profile.learned(), Duration::from_secs(2 * 86_400 - 900));
//! let wednesday = monday + Duration::from_secs(2 * 86_400);
//! assert_eq!(profile.expected(wednesday).high, MilliCpu(2000));
//! assert_eq!(profile.over(wednesday + Duration::from_secs(7200), Duration::from_secs(3600)), MilliCpu(100));
//! ```

use std::time::Duration;

use ulm_model::{MilliCpu, Time};

use crate::{Demand, Outlook};

mod bytes;
mod calendar;
mod level;
mod mixture;
#[cfg(test)]
mod tests;
mod visit;
mod week;

use calendar::{DAY, SECONDS, WEEK};
use level::Level;
use mixture::blend;
use visit::Visit;
use week::Week;

/// Quarters of an hour after which anything is known: an hour.
const BEGUN: u32 = 4;
/// Quarters of an hour after which the table is asked: a day.
const WARM: u32 = DAY as u32;
/// Of what is wanted at any time the newest quarter of an hour weighs this part at least: one of a week.
const USUALLY: u32 = WEEK as u32;
/// No VM uses more than so many times its size, emulation for its devices included: a larger sample is taken for this.
const MOST: u64 = 2;

/// See the module's text.
#[derive(Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its size: all its virtual CPUs.
    whole: MilliCpu,
    /// The time of the last sample; `None`: there was none.
    last: Option<Time>,
    /// Quarters of an hour that are in the table, repeated ones too.
    learned: u32,
    /// The most that was ever seen.
    peak: MilliCpu,
    /// What it wants at any time.
    usual: Demand,
    /// The quarter of an hour under way.
    slot: i64,
    visit: Visit,
    level: Level,
    /// Made when there is something for it: most of the memory.
    week: Option<Box<Week>>,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Profile { whole, last, learned, peak, usual, level, .. } = self;
        write!(f, "Profile {{ {whole}, {last:?}, {learned} slots, {peak}, {usual:?}, {level:?} }}")
    }
}

impl Profile {
    /// Of a VM of which nothing is known but its size.
    pub fn new(whole: MilliCpu) -> Self {
        Profile {
            whole,
            last: None,
            learned: 0,
            peak: MilliCpu(0),
            usual: Demand::default(),
            slot: 0,
            visit: Visit::default(),
            level: Level::default(),
            week: None,
        }
    }

    /// Its size.
    pub fn whole(&self) -> MilliCpu {
        self.whole
    }

    /// Its size is another one now.
    pub fn resize(&mut self, whole: MilliCpu) {
        self.whole = whole;
    }

    /// Takes in a sample: what was used at a time. One that is not newer than the last one is ignored.
    pub fn observe(&mut self, at: Time, used: MilliCpu) {
        if self.last.is_some_and(|last| at <= last) {
            return;
        }
        let slot = calendar::slot(at);
        if slot != self.slot {
            self.close_slot();
            self.slot = slot;
        }
        let used = used.min(MilliCpu(self.whole.0.saturating_mul(MOST).max(1000)));
        self.last = Some(at);
        self.peak = self.peak.max(used);
        self.visit.observe(used);
        self.level.observe(at, used);
    }

    /// The time of the last sample.
    pub fn last(&self) -> Option<Time> {
        self.last
    }

    /// For a clock that was put back: a last sample in the future counts as of now, so that learning goes on.
    pub fn not_after(&mut self, now: Time) {
        if self.last.is_some_and(|last| last > now) {
            (self.last, self.slot) = (Some(now), calendar::slot(now));
            (self.visit, self.level) = (Visit::default(), Level::default());
        }
    }

    /// How much time the table was learned from.
    pub fn learned(&self) -> Duration {
        Duration::from_secs(u64::from(self.learned) * SECONDS as u64)
    }

    /// How much of the week was seen at least once: quarters of an hour, of 672.
    pub fn cells_seen(&self) -> usize {
        self.week.as_ref().map_or(0, |week| (0..WEEK).filter(|&cell| week.get(cell).is_some()).count())
    }

    /// Whether anything is known but the size.
    pub fn has_begun(&self) -> bool {
        self.learned >= BEGUN
    }

    /// What is expected at a time.
    pub fn expected(&self, at: Time) -> Demand {
        let by_table = self.by_table(calendar::slot(at));
        let Some((level, ahead)) = self.level.at(at).zip(self.level.ahead(at)) else { return by_table };
        let level = level.min(self.whole.max(self.peak));
        // The middle drifts from where it is to where it usually is at that time.
        let (far, near) = (ahead as u64, (level::REACH - ahead) as u64);
        let median = MilliCpu((by_table.median.0 * far + level.0 * near) / level::REACH as u64);
        Demand { median, high: by_table.high.max(level).max(median) }
    }

    /// The 95th percentile over a span: the highest of its quarters of an hour, and what level and trend make of its beginning. A span of
    /// more than a week is as one of a week.
    pub fn over(&self, from: Time, span: Duration) -> MilliCpu {
        let end = from + span.max(Duration::from_millis(1));
        let by_table = self.over_by_table(from, end);
        // A damped trend only rises or only falls: the highest is at one of the ends.
        let reach = self.level.until().map_or(from, |until| until.min(Time(end.0 - 1)).max(from));
        let levels = [from, reach].map(|at| self.level.at(at).unwrap_or_default().min(self.whole.max(self.peak)));
        by_table.max(levels[0]).max(levels[1])
    }

    /// The demand of each of the next 24 hours; `None`: nothing is known but the size.
    pub fn outlook(&self, now: Time) -> Option<Outlook> {
        const HOUR: Duration = Duration::from_secs(3600);
        if !self.has_begun() {
            return None;
        }
        let near = self.level.until().map_or(0, |until| until.since(now).as_secs() / 3600 + 1);
        let hours = (0..Outlook::HOURS as u32).map(|hour| {
            let (from, middle) = (now + HOUR * hour, now + HOUR * hour + HOUR / 2);
            let (high, median) = match u64::from(hour) < near {
                true => (self.over(from, HOUR), self.expected(middle).median),
                false => (self.over_by_table(from, from + HOUR), self.median_by_table(from, from + HOUR)),
            };
            Demand { median: median.min(high), high }
        });
        Some(Outlook { hours: hours.collect() })
    }

    fn over_by_table(&self, from: Time, end: Time) -> MilliCpu {
        let (first, last) = (calendar::slot(from), calendar::slot(Time(end.0 - 1)));
        let count = usize::try_from(last.saturating_sub(first)).unwrap_or(0).saturating_add(1).min(WEEK);
        match &self.week {
            Some(week) if self.learned >= WARM => week.highest(calendar::cell(first), count + 1, self.usual.high),
            _ => self.by_table(first).high,
        }
    }

    fn median_by_table(&self, from: Time, end: Time) -> MilliCpu {
        let slots = calendar::slot(from)..calendar::slot(end);
        let count = u64::try_from(slots.end - slots.start).unwrap_or(1).max(1);
        MilliCpu(slots.map(|slot| self.by_table(slot).median.0).sum::<u64>() / count)
    }

    /// What the table says of a quarter of an hour, or what stands for it as long as too little is known.
    fn by_table(&self, slot: i64) -> Demand {
        if self.learned < BEGUN {
            return Demand { median: self.usual.median.min(self.whole), high: self.whole };
        }
        let known = self.week.as_ref().filter(|_| self.learned >= WARM);
        let kept = |week: &Week, slot| week.get_or_borrow(calendar::cell(slot)).unwrap_or(self.usual);
        match known.map(|week| (kept(week, slot), kept(week, slot.saturating_add(1)))) {
            Some((now, next)) => Demand { median: now.median, high: now.high.max(next.high) },
            None => {
                let high = self.peak.min(self.whole);
                Demand { median: self.usual.median.min(high), high }
            }
        }
    }

    fn close_slot(&mut self) {
        let Some(seen) = self.visit.close() else { return };
        self.week.get_or_insert_default().learn(calendar::cell(self.slot), seen);
        self.usual = match self.learned {
            0 => seen,
            n => blend(self.usual, seen, [u64::from(n.min(USUALLY)), 1]),
        };
        self.learned = self.learned.saturating_add(1);
    }
}
