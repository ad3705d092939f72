//! What a daemon tells without being asked.
//!
//! ```no_run
//! # async fn example(host: ulm_libvirt::Connection) -> ulm_libvirt::Result<()> {
//! use ulm_libvirt::{Event, EventKind, Incoming};
//! let mut events = host.events(&EventKind::ALL).await?;
//! while let Some(incoming) = events.next().await {
//!     match incoming {
//!         Incoming::Event(Event::Lifecycle { domain, change }) => println!("{} {change}", domain.name),
//!         Incoming::Event(_) => {}
//!         Incoming::Lagged(n) => println!("{n} events lost: read everything again"),
//!         Incoming::Interrupted(why) => println!("events may be missing: {why}"),
//!     }
//! }
//! # Ok(()) }
//! ```

use crate::codes::codes;
use crate::domain::Domain;
use crate::error::ProtocolError;
use crate::job::JobStats;
use crate::procedures::Procedure;
use crate::typed_params::{TypedParam, TypedParams};
use crate::xdr::{List, Xdr, XdrError, from_bytes};
use futures_util::Stream;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// A kind of event that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// VMs come, go, stop, go on.
    Lifecycle,
    /// A migration begins another pass over the memory.
    MigrationIteration,
    /// A job (such as a migration) has ended; with its figures.
    JobCompleted,
}

impl EventKind {
    /// All kinds known here.
    pub const ALL: [EventKind; 3] = [EventKind::Lifecycle, EventKind::MigrationIteration, EventKind::JobCompleted];

    /// `VIR_DOMAIN_EVENT_ID_…`.
    pub(crate) fn id(self) -> i32 {
        match self {
            EventKind::Lifecycle => 0,
            EventKind::MigrationIteration => 20,
            EventKind::JobCompleted => 21,
        }
    }
}

codes! {
    /// How a VM was started.
    pub enum Started {
        Booted = 0 "booted",
        Migrated = 1 "arriving by migration",
        Restored = 2 "restored",
        FromSnapshot = 3 "from snapshot",
        Wakeup = 4 "woken up",
    }
}

codes! {
    /// Why a VM stands still.
    pub enum Suspended {
        Paused = 0 "by the user",
        Migrated = 1 "for migration",
        IoError = 2 "disk error",
        Watchdog = 3 "watchdog",
        Restored = 4 "restored",
        FromSnapshot = 5 "from snapshot",
        ApiError = 6 "error in a call",
        Postcopy = 7 "post-copy",
        PostcopyFailed = 8 "post-copy failed",
    }
}

codes! {
    /// Why a VM goes on.
    pub enum Resumed {
        Unpaused = 0 "by the user",
        Migrated = 1 "after migration",
        FromSnapshot = 2 "from snapshot",
        Postcopy = 3 "post-copy",
        PostcopyFailed = 4 "post-copy failed",
    }
}

codes! {
    /// Why a VM ended.
    pub enum Stopped {
        Shutdown = 0 "shut down",
        Destroyed = 1 "destroyed",
        Crashed = 2 "crashed",
        Migrated = 3 "migrated away",
        Saved = 4 "saved",
        Failed = 5 "failed",
        FromSnapshot = 6 "from snapshot",
    }
}

codes! {
    /// What shut a VM down. After a migration, newer daemons report `Host` on the source just
    /// before [`Lifecycle::Stopped`] with [`Stopped::Migrated`]: it does not mean that the guest
    /// has shut down.
    pub enum ShutDown {
        Finished = 0 "finished",
        Guest = 1 "by the guest",
        Host = 2 "by the host",
    }
}

/// What happened to a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// Its definition is new or changed.
    Defined(i32),
    /// Its definition is gone.
    Undefined(i32),
    /// It began to exist in memory.
    Started(Started),
    /// It stands still.
    Suspended(Suspended),
    /// It goes on.
    Resumed(Resumed),
    /// It is gone from memory.
    Stopped(Stopped),
    /// It has shut down, and [`Lifecycle::Stopped`] follows.
    Shutdown(ShutDown),
    /// The guest went to sleep.
    PmSuspended(i32),
    /// It crashed.
    Crashed(i32),
    /// Something this client does not know.
    Other {
        /// libvirt's event.
        event: i32,
        /// libvirt's detail.
        detail: i32,
    },
}

impl Lifecycle {
    /// From libvirt's event and detail.
    pub fn from_codes(event: i32, detail: i32) -> Self {
        match event {
            0 => Self::Defined(detail),
            1 => Self::Undefined(detail),
            2 => Self::Started(Started::from_code(detail)),
            3 => Self::Suspended(Suspended::from_code(detail)),
            4 => Self::Resumed(Resumed::from_code(detail)),
            5 => Self::Stopped(Stopped::from_code(detail)),
            6 => Self::Shutdown(ShutDown::from_code(detail)),
            7 => Self::PmSuspended(detail),
            8 => Self::Crashed(detail),
            _ => Self::Other { event, detail },
        }
    }

    /// libvirt's event and detail.
    pub fn to_codes(self) -> (i32, i32) {
        match self {
            Self::Defined(detail) => (0, detail),
            Self::Undefined(detail) => (1, detail),
            Self::Started(how) => (2, how.code()),
            Self::Suspended(why) => (3, why.code()),
            Self::Resumed(why) => (4, why.code()),
            Self::Stopped(why) => (5, why.code()),
            Self::Shutdown(by) => (6, by.code()),
            Self::PmSuspended(detail) => (7, detail),
            Self::Crashed(detail) => (8, detail),
            Self::Other { event, detail } => (event, detail),
        }
    }
}

impl std::fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Defined(_) => f.write_str("defined"),
            Self::Undefined(_) => f.write_str("undefined"),
            Self::Started(how) => write!(f, "started ({how})"),
            Self::Suspended(why) => write!(f, "suspended ({why})"),
            Self::Resumed(why) => write!(f, "resumed ({why})"),
            Self::Stopped(why) => write!(f, "stopped ({why})"),
            Self::Shutdown(by) => write!(f, "shut down ({by})"),
            Self::PmSuspended(_) => f.write_str("asleep"),
            Self::Crashed(_) => f.write_str("crashed"),
            Self::Other { event, detail } => write!(f, "unknown event {event}/{detail}"),
        }
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Something happened to a VM.
    Lifecycle {
        /// Which VM.
        domain: Domain,
        /// What happened.
        change: Lifecycle,
    },
    /// A migration began another pass over the memory.
    MigrationIteration {
        /// Which VM.
        domain: Domain,
        /// Which pass, from 1.
        iteration: u32,
    },
    /// A job has ended.
    JobCompleted {
        /// Which VM.
        domain: Domain,
        /// Its figures.
        stats: Box<JobStats>,
    },
}

impl Event {
    /// The VM concerned.
    pub fn domain(&self) -> &Domain {
        match self {
            Event::Lifecycle { domain, .. }
            | Event::MigrationIteration { domain, .. }
            | Event::JobCompleted { domain, .. } => domain,
        }
    }
}

/// What comes out of a stream of events.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// An event.
    Event(Event),
    /// So many events were lost because the consumer did not keep up.
    Lagged(u64),
    /// The connection was lost for a while (only in streams of a [`crate::Link`]): events of that
    /// time are missing. Sent when it is up again, with the reason of the loss.
    Interrupted(String),
}

/// Events in the order they came. Ends when the connection (or the link) ends.
#[derive(Debug)]
pub struct EventStream {
    receiver: broadcast::Receiver<Incoming>,
}

impl EventStream {
    pub(crate) fn new(receiver: broadcast::Receiver<Incoming>) -> Self {
        Self { receiver }
    }

    /// The next event; `None` after the end. Cancel-safe.
    pub async fn next(&mut self) -> Option<Incoming> {
        match self.receiver.recv().await {
            Ok(incoming) => Some(incoming),
            Err(RecvError::Lagged(n)) => Some(Incoming::Lagged(n)),
            Err(RecvError::Closed) => None,
        }
    }

    /// The same as a [`Stream`].
    pub fn into_stream(self) -> impl Stream<Item = Incoming> {
        futures_util::stream::unfold(self, async |mut events| events.next().await.map(|incoming| (incoming, events)))
    }
}

/// Reads the payload of a message; `None` for messages that this client does not know.
pub(crate) fn decode(procedure: i32, payload: &[u8]) -> Result<Option<Event>, ProtocolError> {
    fn read<T: Xdr>(payload: &[u8]) -> Result<T, XdrError> {
        from_bytes(payload)
    }
    let event = match Procedure::by_number(procedure) {
        Some(Procedure::EVENT_LIFECYCLE) => {
            read::<(i32, Domain, i32, i32)>(payload).map(|(_callback, domain, event, detail)| Event::Lifecycle {
                domain,
                change: Lifecycle::from_codes(event, detail),
            })
        }
        Some(Procedure::EVENT_MIGRATION_ITERATION) => {
            read::<(i32, Domain, i32)>(payload).map(|(_callback, domain, iteration)| Event::MigrationIteration {
                domain,
                iteration: u32::try_from(iteration).unwrap_or(0),
            })
        }
        Some(Procedure::EVENT_JOB_COMPLETED) => {
            read::<(i32, Domain, List<TypedParam, 64>)>(payload).map(|(_callback, domain, params)| {
                Event::JobCompleted { domain, stats: Box::new(JobStats::completed(TypedParams(params.0))) }
            })
        }
        _ => {
            tracing::trace!(procedure, "a message of no interest");
            return Ok(None);
        }
    };
    event.map(Some).map_err(|e| ProtocolError::new(e.to_string(), format!("payload of event {procedure}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_payloads_never_panic(
            procedure in prop_oneof![Just(318), Just(359), Just(363), any::<i32>()],
            payload in proptest::collection::vec(any::<u8>(), 0..256),
        ) {
            let _ = decode(procedure, &payload);
        }
    }
}
