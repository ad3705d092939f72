//! Demand over time: what is expected of a VM, sustained load, how long a pre-copy migration takes, and how many pages VMs have
//! in common.
//!
//! ```
//! use std::time::Duration;
//! use ulm_forecast::{DirtyCurve, Precopy, PrecopyInput, precopy};
//! use ulm_model::{Bytes, BytesPerSecond};
//!
//! let forecast = precopy(&PrecopyInput {
//!     resident: Bytes::gib(4),
//!     zero: Bytes::gib(4),
//!     dirty: DirtyCurve { hot: Bytes::mib(256), hot_rate: BytesPerSecond(60 << 20), cold_rate: BytesPerSecond(1 << 20) },
//!     bandwidth: BytesPerSecond(1 << 30),
//!     downtime_limit: Duration::from_millis(300),
//!     setup: Duration::from_secs(1),
//!     switch_over: Duration::from_millis(100),
//! });
//! let Precopy::Converges { total, downtime, .. } = forecast.end else { panic!("this one converges") };
//! assert!(total < Duration::from_secs(10) && downtime < Duration::from_millis(500));
//! ```
//!
//! Everything here is pure: integers in, integers out. Where real numbers are needed in between
//! ([`precopy()`]) only the four basic operations are used, so that the result is the same on every machine.

pub mod demand;
pub mod precopy;
pub mod profile;
pub mod samples;
pub mod sharing;
pub mod sustained;

pub use demand::{Demand, Outlook, Sizing, alike, together};
pub use precopy::{DirtyCurve, Pass, Precopy, PrecopyForecast, PrecopyInput, precopy};
pub use profile::Profile;
pub use samples::Samples;
pub use sharing::believe;
pub use sustained::{Gauge, Quantity, Sustained, mean, sustained};
