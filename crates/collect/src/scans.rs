//! Whether a host still looks for equal pages.
//!
//! libvirt does not tell whether merging is switched on, only how often all memory was looked at. Where that number has not risen for twice
//! as long as a look takes by the host's own settings, and for an hour at least, nobody looks any more: what is merged may break, and
//! nothing new is merged. How long the number stood still before the first reading is not known, so a host that was switched off before
//! counts as merging for that long.

use std::time::Duration;

use ulm_model::{Merging, Time};

/// A number that stands still for less may stand still for other reasons: a busy host, settings that were just changed.
const AT_LEAST: Duration = Duration::from_secs(3600);

/// Since when the number of looks has been what it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scans {
    last: Option<(u64, Time)>,
}

impl Scans {
    /// Takes in what the host counts.
    pub fn note(&mut self, counted: Option<Merging>, at: Time) {
        let Some(counted) = counted else { return };
        // Time that goes back begins anew, too.
        let same = |(scans, since): &(u64, Time)| *scans == counted.full_scans && *since <= at;
        self.last = self.last.filter(same).or(Some((counted.full_scans, at)));
    }

    /// The same with whether nobody looks any more.
    pub fn judged(&self, counted: Merging, at: Time) -> Merging {
        let patience = counted.scan.map_or(AT_LEAST, |scan| scan.saturating_mul(2).max(AT_LEAST));
        Merging { stopped: self.last.is_some_and(|(_, since)| at.since(since) >= patience), ..counted }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ulm_drivers::{MemoryReading, NodeCpu, Reading};
    use ulm_model::{Bytes, HostName};

    use super::*;
    use crate::assemble::snapshot;
    use crate::memory::Memory;
    use crate::poll::Answer;
    use crate::{Known, Settings};

    fn counted(full_scans: u64, scan: Option<u64>) -> Merging {
        Merging { full_scans, scan: scan.map(Duration::from_secs), ..Merging::default() }
    }

    /// Whether it has stopped, for readings of (minute, full scans).
    fn stopped(scan: Option<u64>, readings: &[(i64, u64)]) -> bool {
        let mut scans = Scans::default();
        let mut last = false;
        for (minute, full_scans) in readings {
            let (at, counted) = (Time(minute * 60_000), counted(*full_scans, scan));
            scans.note(Some(counted), at);
            last = scans.judged(counted, at).stopped;
        }
        last
    }

    #[test]
    fn who_looks_no_more_for_an_hour_has_stopped() {
        assert!(!stopped(None, &[(0, 5)]));
        assert!(!stopped(None, &[(0, 5), (59, 5)]));
        assert!(stopped(None, &[(0, 5), (59, 5), (60, 5)]));
        assert!(!stopped(None, &[(0, 5), (60, 5), (61, 6)]), "it was switched on again");
        assert!(!stopped(None, &[(0, 5), (60, 1)]), "it was started anew");
        assert!(!stopped(None, &[(90, 5), (0, 5), (59, 5)]), "time went back");
    }

    #[test]
    fn the_snapshot_says_that_a_host_merges_no_more() {
        let (mut memory, host) = (Memory::default(), HostName::from("h1"));
        let watch = memory.begin(&host);
        let mut merges = |minutes: &[(i64, u64)]| {
            let read = |(minute, full_scans): &(i64, u64)| {
                let at = Time(minute * 60_000);
                let ms = Duration::from_millis(minute.unsigned_abs() * 60_000);
                let reading = Reading {
                    at,
                    cpu: NodeCpu { cpus: 1, busy: Duration::ZERO, idle: ms },
                    memory: MemoryReading { total: Bytes::gib(8), available: Bytes::gib(4) },
                    cells: vec![],
                    merging: Some(counted(*full_scans, None)),
                    vms: vec![],
                };
                let (facts, vms, verdicts) = (None, BTreeMap::new(), BTreeMap::new());
                let answer = Answer { host: host.clone(), watch, facts, reading: Ok(reading), vms, verdicts };
                memory.take(answer, &Settings::default());
                snapshot(&mut memory, &Known::default(), at, 4).hosts[0].merges()
            };
            minutes.iter().map(read).collect::<Vec<bool>>()
        };
        assert_eq!(merges(&[(0, 1), (1, 2), (60, 2), (61, 2), (62, 3)]), [false, true, true, false, true]);
    }

    #[test]
    fn who_takes_long_for_a_look_is_given_twice_as_long() {
        let three_hours = Some(3 * 3600);
        assert!(!stopped(three_hours, &[(0, 5), (359, 5)]));
        assert!(stopped(three_hours, &[(0, 5), (360, 5)]));
        assert!(stopped(Some(60), &[(0, 5), (60, 5)]), "an hour at least");
        assert!(!stopped(Some(60), &[(0, 5), (59, 5)]));
    }
}
