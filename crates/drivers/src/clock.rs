//! The clocks. Waiting is always done with `tokio::time`; telling the time is done with a [`Clock`].
//!
//! Under a paused tokio runtime the [`VirtualClock`] follows tokio's virtual time, so that a month
//! of a simulated cluster passes in seconds and the same seed gives the same month.

use std::sync::Arc;

use tokio::time::Instant;
use ulm_model::Time;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Time;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Time(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that follows tokio's time from a given start: virtual when the runtime is paused.
#[derive(Clone, Copy, Debug)]
pub struct VirtualClock {
    start: Time,
    zero: Instant,
}

impl VirtualClock {
    /// A clock that shows `start` now. Must be called inside a tokio runtime.
    pub fn starting_at(start: Time) -> Self {
        VirtualClock { start, zero: Instant::now() }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Time {
        self.start + self.zero.elapsed()
    }
}

impl<C: Clock> Clock for Arc<C> {
    fn now(&self) -> Time {
        (**self).now()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_virtual_month_passes_at_once() {
        let clock = VirtualClock::starting_at(Time(1_000));
        tokio::time::sleep(Duration::from_secs(30 * 86_400)).await;
        assert_eq!(clock.now(), Time(1_000) + Duration::from_secs(30 * 86_400));
    }
}
