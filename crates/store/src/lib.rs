//! History, ledger and state in embedded SQLite.
//!
//! One folder, one daemon: [`Store::open`] locks the folder and opens `state.db` (hosts, settings, plans and the
//! [`ledger`]; every change is on the disk when its call returns), [`Store::history`] opens `history.db` (samples and
//! their roll-ups, see [`history`]). Both are handles that can be cloned and sent to other threads; calls are
//! synchronous. Errors are sentences that say what to do next ([`StoreError`]).
//!
//! ```no_run
//! use std::path::Path;
//! use ulm_model::{Time, ledger::Event};
//! use ulm_model::Acting;
//! use ulm_store::{Filter, Store};
//!
//! let store = Store::open(Path::new("/var/lib/ulm"))?;
//! store.append(Time(0), &Event::DaemonStarted { version: "0.1.0".into() })?;
//! for open in store.open_moves()? {
//!     println!("to be looked up: {}", open.r#move);
//! }
//! store.switch_acting(Acting::On, "root", Time(1))?;
//! let newest = store.entries(&Filter { limit: Some(20), ..Filter::default() })?;
//! # Ok::<(), ulm_store::StoreError>(())
//! ```
//!
//! Both files can be read with the `sqlite3` tool while the daemon runs; [`ledger`] and [`history`] list useful queries.

mod error;
pub mod history;
pub mod ledger;
mod lock;
mod schema;
mod state;

pub use error::StoreError;
pub use history::{
    Entity, HISTORY_FILE, History, HostNumber, KeptReport, Known, Maintained, Metric, Point, Resolution, SeriesId,
    SeriesKey, Sizes, Tick, Tier, TierSize, Unit,
};
pub use ledger::{Filter, LastMoves, OpenMove};
pub use state::{KnownHost, PlanHead, STATE_FILE, Service, Store};
