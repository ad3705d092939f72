//! Quantities as types. All are integers, so that no decision depends on rounding order.
//!
//! What is not of one kind cannot be added up:
//!
//! ```compile_fail
//! use ulm_model::{Bytes, MilliCpu};
//! let load = Bytes::gib(4) + MilliCpu::cpus(2);
//! ```

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An amount of memory or data, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// Processor time per time, in thousandths of one physical CPU: a host with 8 CPUs has 8000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MilliCpu(pub u64);

/// A rate of transfer, in bytes per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BytesPerSecond(pub u64);

/// A part of a whole, in ten-thousandths: `Share(7500)` is 75 %. May exceed the whole (overcommit 150 % is `Share(15000)`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(pub u32);

impl Bytes {
    /// `n` KiB. Saturates.
    pub const fn kib(n: u64) -> Self {
        Bytes(n.saturating_mul(1 << 10))
    }
    /// `n` MiB. Saturates.
    pub const fn mib(n: u64) -> Self {
        Bytes(n.saturating_mul(1 << 20))
    }
    /// `n` GiB. Saturates.
    pub const fn gib(n: u64) -> Self {
        Bytes(n.saturating_mul(1 << 30))
    }
    /// What is left after taking `other` away; zero when `other` is larger.
    pub const fn saturating_sub(self, other: Bytes) -> Bytes {
        Bytes(self.0.saturating_sub(other.0))
    }
    /// The part that `self` is of `whole`. An empty whole counts as full.
    pub fn share_of(self, whole: Bytes) -> Share {
        Share::ratio(self.0, whole.0)
    }
}

impl MilliCpu {
    /// `n` whole CPUs. Saturates.
    pub const fn cpus(n: u32) -> Self {
        MilliCpu(n as u64 * 1000)
    }
    /// The CPU time `used` within the wall time `elapsed`; `None` when no time has passed.
    pub fn from_time(used: Duration, elapsed: Duration) -> Option<Self> {
        let wall = elapsed.as_nanos();
        (wall > 0).then(|| MilliCpu(u64::try_from(used.as_nanos() * 1000 / wall).unwrap_or(u64::MAX)))
    }
    /// What is left after taking `other` away; zero when `other` is larger.
    pub const fn saturating_sub(self, other: MilliCpu) -> MilliCpu {
        MilliCpu(self.0.saturating_sub(other.0))
    }
    /// The part that `self` is of `whole`. An empty whole counts as full.
    pub fn share_of(self, whole: MilliCpu) -> Share {
        Share::ratio(self.0, whole.0)
    }
}

impl Share {
    /// Nothing.
    pub const ZERO: Share = Share(0);
    /// The whole: 100 %.
    pub const WHOLE: Share = Share(10_000);

    /// `n` per cent.
    pub const fn percent(n: u32) -> Self {
        Share(n.saturating_mul(100))
    }
    /// `part` of `whole`, rounded up, so that a limit that is passed by a hair counts as passed. An empty whole counts as full.
    pub fn ratio(part: u64, whole: u64) -> Self {
        if whole == 0 {
            return Share::WHOLE;
        }
        let ten_thousandths = (u128::from(part) * 10_000).div_ceil(u128::from(whole));
        Share(u32::try_from(ten_thousandths).unwrap_or(u32::MAX))
    }
    /// What is left after taking `other` away; zero when `other` is larger.
    pub const fn saturating_sub(self, other: Share) -> Share {
        Share(self.0.saturating_sub(other.0))
    }
    /// As a fraction, for display and plotting only.
    pub fn as_fraction(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }
    fn of(self, whole: u64) -> u64 {
        u64::try_from(u128::from(whole) * u128::from(self.0) / 10_000).unwrap_or(u64::MAX)
    }
}

impl BytesPerSecond {
    /// `moved` within `elapsed`; `None` when no time has passed.
    pub fn from_amount(moved: Bytes, elapsed: Duration) -> Option<Self> {
        let ns = elapsed.as_nanos();
        (ns > 0).then(|| BytesPerSecond(u64::try_from(u128::from(moved.0) * 1_000_000_000 / ns).unwrap_or(u64::MAX)))
    }
}

/// The whole's part, rounded down.
impl Mul<Bytes> for Share {
    type Output = Bytes;
    fn mul(self, whole: Bytes) -> Bytes {
        Bytes(self.of(whole.0))
    }
}

/// The whole's part, rounded down.
impl Mul<MilliCpu> for Share {
    type Output = MilliCpu;
    fn mul(self, whole: MilliCpu) -> MilliCpu {
        MilliCpu(self.of(whole.0))
    }
}

macro_rules! sums {
    ($($t:ident),*) => {$(
        /// Saturates: a sum that does not fit is the largest one, and fails every limit.
        impl Add for $t {
            type Output = $t;
            fn add(self, other: $t) -> $t { $t(self.0.saturating_add(other.0)) }
        }
        impl AddAssign for $t {
            fn add_assign(&mut self, other: $t) { *self = *self + other; }
        }
        impl Sum for $t {
            fn sum<I: Iterator<Item = $t>>(items: I) -> $t { items.fold($t(0), |a, b| a + b) }
        }
    )*};
}
sums!(Bytes, MilliCpu, BytesPerSecond, Share);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while value >= 1023.95 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        write!(f, "{value:.1} {}", UNITS[unit])
    }
}

impl fmt::Display for BytesPerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", Bytes(self.0))
    }
}

impl fmt::Display for MilliCpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} CPU", self.0 as f64 / 1000.0)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = f64::from(self.0) / 100.0;
        if self.0.is_multiple_of(100) { write!(f, "{percent:.0} %") } else { write!(f, "{percent:.1} %") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities_read_as_people_write_them() {
        assert_eq!(Bytes(1023).to_string(), "1023 B");
        assert_eq!(Bytes::mib(1).to_string(), "1.0 MiB");
        assert_eq!(Bytes(Bytes::gib(1).0 - 1).to_string(), "1.0 GiB");
        assert_eq!(MilliCpu(1500).to_string(), "1.50 CPU");
        assert_eq!(Share::percent(75).to_string(), "75 %");
        assert_eq!(Share(7525).to_string(), "75.2 %");
    }

    #[test]
    fn a_limit_passed_by_a_hair_is_passed() {
        assert!(Share::ratio(7_501, 10_001) > Share::percent(75));
        assert_eq!(Share::ratio(75, 100), Share::percent(75));
    }

    #[test]
    fn nothing_of_nothing_counts_as_full() {
        assert_eq!(Bytes(0).share_of(Bytes(0)), Share::WHOLE);
    }

    proptest! {
        #[test]
        fn a_share_is_the_smallest_that_covers_the_part(part in 0u64.., whole in 1u64..) {
            let share = u128::from(Share::ratio(part, whole).0);
            prop_assume!(share < u128::from(u32::MAX));
            prop_assert!(share * u128::from(whole) >= u128::from(part) * 10_000);
            prop_assert!(share == 0 || (share - 1) * u128::from(whole) < u128::from(part) * 10_000);
        }

        #[test]
        fn cpu_time_over_wall_time_is_exact_for_whole_cpus(cpus in 0u64..4096, ms in 1u64..1_000_000) {
            let wall = Duration::from_millis(ms);
            prop_assert_eq!(MilliCpu::from_time(wall * cpus as u32, wall), Some(MilliCpu(cpus * 1000)));
        }
    }
}
