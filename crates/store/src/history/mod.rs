//! `history.db`: what was measured, in three tiers.
//!
//! | tier | holds | for |
//! |---|---|---|
//! | [`Tier::Raw`] | every sample | 48 hours |
//! | [`Tier::FiveMinutes`] | mean and maximum | 5 weeks |
//! | [`Tier::Hour`] | minimum, mean, 95th percentile and maximum | 13 months |
//!
//! ```
//! use ulm_model::{HostName, Time};
//! use ulm_store::{Entity, Metric, Resolution, SeriesKey, Store, Tick};
//!
//! let history = Store::in_memory()?.history()?;
//! let key = SeriesKey { entity: Entity::Host(HostName("h1".into())), metric: Metric::CpuUse };
//! let ids = history.intern(&[key], Time(0))?;                  // once per series
//! for n in 0..40 {
//!     let at = Time(n * 15_000);
//!     history.append(&Tick { at, values: vec![(ids[0], 1500.0)] })?;   // every round
//!     history.maintain(at)?;                                     // after every round
//! }
//! let points = history.range(ids[0], Time(0), Time(600_000), Resolution::FiveMinutes)?;
//! assert_eq!(points[1].mean, 1500.0);
//! # Ok::<(), ulm_store::StoreError>(())
//! ```
//!
//! **How it is kept.** Series are numbered, and 1,000 neighbours make a *slab*. A tick is a row of 16-bit codes per
//! slab in the *journal*, committed before [`History::append`] returns. A minute after an hour has ended, one slab
//! after the other is *closed*, spread over the next hour: its 240 rows are turned round, compressed series by series into a
//! *block*, rolled up into rows of the next tiers' journals, and deleted, all in one transaction. The roll-ups' journals are
//! closed in the same way after a day and a week. A row that comes late is merged into its block and the roll-ups are
//! computed anew. After kill -9 every committed tick is there; after a power failure, every one before the last
//! [`History::flush`] or checkpoint.
//!
//! With the `sqlite3` tool: `SELECT * FROM tiers;` and `SELECT * FROM series_named WHERE name = 'h1';`. The samples themselves
//! are compressed; `ulm history` prints them.

mod close;
mod code;
mod codec;
mod demand;
mod read;
mod reports;
mod series;
mod tier;
mod write;

#[doc(hidden)]
pub mod codec_for_benches {
    //! The codec by itself, so that the benchmark can put it beside others.

    use super::{Metric, code, codec};

    /// The codes of values.
    pub fn codes(values: &[f32], metric: Metric) -> Vec<i16> {
        values.iter().map(|&value| code::encode(value, metric.precision())).collect()
    }
    /// Packs a stream.
    pub fn encode(codes: &[i16], out: &mut Vec<u8>) {
        codec::encode(codes, None, out);
    }
    /// Unpacks a stream. Panics when it is damaged.
    pub fn decode(bytes: &[u8], out: &mut [i16]) {
        codec::decode(bytes, None, out).expect("a stream that was packed before");
    }
}

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use ulm_model::{HostName, Time};

use crate::StoreError;
use crate::lock::FolderLock;
use crate::schema::{self, Durability, Schema};

pub use code::Precision;
pub use read::{Known, Sizes, TierSize};
pub use reports::KeptReport;
pub use series::{Entity, HostNumber, Metric, SeriesId, SeriesKey, Unit};
pub use tier::Tier;
pub use write::Maintained;

/// The name of the file in the folder.
pub const HISTORY_FILE: &str = "history.db";

const HISTORY: Schema = Schema {
    migrations: &[
        ("series, journal, blocks", include_str!("history.sql")),
        ("what VMs are expected to want", include_str!("demand.sql")),
        ("what was decided and why", include_str!("reports.sql")),
    ],
    durability: Durability::Checkpoints,
    page_size: 4096,
};

/// Pages in the write-ahead log before it is carried into the file: 16 MB. A page that was written several times is carried once, so that a
/// longer log saves writing; a shorter one is carried more quickly.
const LOG_PAGES: i64 = 4096;

/// The history of one ULM. A handle: clones share it, from any thread. Reading never waits for writing.
///
/// All calls are synchronous; in asynchronous code put them into `spawn_blocking`.
#[derive(Clone, Debug)]
pub struct History(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// `None` when opened for reading only.
    writer: Option<Mutex<write::Writer>>,
    /// Carries the log into the file, which waits for the disk, while the writer goes on. `None` in memory and for reading only.
    carrier: Option<Mutex<Connection>>,
    /// Connections that nobody uses at the moment. Not used in memory, where everything goes over the writer's.
    readers: Mutex<Vec<Connection>>,
    in_memory: bool,
    _lock: Option<Arc<FolderLock>>,
}

/// What was measured in one round.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// When.
    pub at: Time,
    /// Each series that has a value, in the unit of its metric. NaN counts as no value. Quickest in the order of the ids.
    pub values: Vec<(SeriesId, f32)>,
}

/// How fine a range is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// As measured; older than 48 hours as five minutes, older than five weeks as hours.
    Raw,
    /// By five minutes; older than five weeks as hours.
    FiveMinutes,
    /// By hours.
    Hour,
    /// The finest that gives at most so many points; at least one. Hours are drawn together when even they are too many.
    Auto {
        /// The most points.
        max_points: usize,
    },
}

/// One point of a series. Of a raw sample all four figures are the sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The time of the sample, or the begin of the time that is rolled up.
    pub at: Time,
    /// How long the point counts for, in milliseconds; 0 for a sample.
    pub span_ms: i64,
    /// The mean.
    pub mean: f32,
    /// The largest value.
    pub max: f32,
    /// The smallest value; not kept for five minutes.
    pub min: Option<f32>,
    /// The value that 95 % of the samples do not exceed (nearest rank); not kept for five minutes. Of hours that are drawn together the highest.
    pub p95: Option<f32>,
}

impl History {
    pub(crate) fn open(folder: &Path, lock: Arc<FolderLock>) -> Result<History, StoreError> {
        let path = folder.join(HISTORY_FILE);
        let connection = schema::open(&path, &HISTORY)?;
        History::with(path, Some(connection), false, Some(lock))
    }

    pub(crate) fn open_read_only(folder: &Path) -> Result<History, StoreError> {
        let path = folder.join(HISTORY_FILE);
        let connection = schema::open_read_only(&path, &HISTORY)?;
        let history = History::with(path, None, false, None)?;
        history.readers().push(connection);
        Ok(history)
    }

    pub(crate) fn in_memory() -> Result<History, StoreError> {
        History::with(PathBuf::from(":memory:"), Some(schema::open_in_memory(&HISTORY)?), true, None)
    }

    fn with(
        path: PathBuf,
        connection: Option<Connection>,
        in_memory: bool,
        lock: Option<Arc<FolderLock>>,
    ) -> Result<History, StoreError> {
        let carrier = match connection {
            Some(_) if !in_memory => Some(Mutex::new(schema::open(&path, &HISTORY)?)),
            _ => None,
        };
        let writer = connection.map(|connection| write::Writer::new(connection, &path)).transpose()?.map(Mutex::new);
        Ok(History(Arc::new(Inner { path, writer, carrier, readers: Mutex::default(), in_memory, _lock: lock })))
    }

    fn writer(&self) -> Result<MutexGuard<'_, write::Writer>, StoreError> {
        let writer = self.0.writer.as_ref().ok_or_else(|| StoreError::ReadOnly { path: self.0.path.clone() })?;
        Ok(writer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.0.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on a connection of its own, within one view of the file.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let sql = |e| StoreError::sql(&self.0.path, e);
        if self.0.in_memory {
            return work(&self.writer()?.connection);
        }
        let idle = self.readers().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => schema::open_read_only(&self.0.path, &HISTORY)?,
        };
        let view = connection.transaction().map_err(sql)?;
        let result = work(&view)?;
        view.finish().map_err(sql)?;
        let mut readers = self.readers();
        if readers.len() < 4 {
            readers.push(connection);
        }
        Ok(result)
    }

    /// The numbers of series, in the order of `keys`; new ones get theirs now. Ask once and keep them: they stay the same for
    /// as long as the series is known. Keys of one entity should follow each other.
    ///
    /// `now` is when they were seen: a series is forgotten 14 months after its last value.
    pub fn intern(&self, keys: &[SeriesKey], now: Time) -> Result<Vec<SeriesId>, StoreError> {
        self.writer()?.intern(keys, now)
    }

    /// The number of a host, for [`Metric::OnHost`]. Errors: [`StoreError::Value`] when there were more than 32,767 hosts.
    pub fn host_number(&self, host: &HostName, now: Time) -> Result<HostNumber, StoreError> {
        self.writer()?.host_number(host, now)
    }

    /// Adds what was measured at one time. When this returns, a kill -9 does not lose it.
    ///
    /// Times may come late, twice or not at all: later values for the same series and time replace earlier ones. One tick for
    /// all hosts costs far less than one for each.
    pub fn append(&self, tick: &Tick) -> Result<(), StoreError> {
        self.writer()?.append(tick)
    }

    /// Brings everything appended to the disk: when this returns, a power failure does not lose it.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.writer()?.flush()
    }

    /// Does a bounded part of what is due: closes blocks, rolls up, forgets what is too old. Call it after each tick, and again
    /// while it says [`Maintained::more`] and there is time: after a long rest there is much to do, and none of it is urgent.
    ///
    /// At 325,000 series a call in step takes about 18 ms on one core. About every tenth call carries the log into the file and
    /// waits for the disk, seconds when that is slow; other threads append and read meanwhile.
    pub fn maintain(&self, now: Time) -> Result<Maintained, StoreError> {
        let done = self.writer()?.maintain(now)?;
        if let Some(carrier) = &self.0.carrier {
            let sql = |e| StoreError::sql(&self.0.path, e);
            let carrier = carrier.lock().unwrap_or_else(PoisonError::into_inner);
            let pages: i64 = carrier.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1)).map_err(sql)?;
            if pages >= LOG_PAGES {
                carrier.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map_err(sql)?;
            }
        }
        Ok(done)
    }

    /// Limits the file's size, so that tests can fill the disk without one.
    #[doc(hidden)]
    pub fn limit_pages_for_tests(&self, pages: u32) -> Result<(), StoreError> {
        let writer = self.writer()?;
        let limit = writer.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()));
        limit.map_err(|e| StoreError::sql(&self.0.path, e))
    }
}
