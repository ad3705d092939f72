//! VMs (libvirt says *domains*): which there are, their state and definition, starting and
//! stopping them.

use crate::codes::codes;
use crate::connection::Connection;
use crate::error::Result;
use crate::procedures::Procedure;
use crate::xdr::{Decoder, Encoder, List, Void, Xdr, XdrError};
use std::time::Duration;
use uuid::Uuid;

/// The most VMs (or networks, or pools) a list may have on the wire.
pub const LIST_MAX: usize = 16_384;

/// A VM as a daemon names it. The UUID is its identity; name and id are only true at the time of
/// the answer they came in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Domain {
    /// The name, unique on its host.
    pub name: String,
    /// The identity, on all hosts.
    pub uuid: Uuid,
    /// A number while it runs, `None` while it does not.
    pub id: Option<u32>,
}

impl Xdr for Domain {
    const MIN_SIZE: usize = 24;

    fn encode(&self, out: &mut Encoder) {
        self.name.encode(out);
        self.uuid.encode(out);
        self.id.map_or(-1, |id| id as i32).encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, XdrError> {
        Ok(Self { name: Xdr::decode(input)?, uuid: Xdr::decode(input)?, id: i32::decode(input)?.try_into().ok() })
    }
}

/// Which VMs to list: a set of conditions (`VIR_CONNECT_LIST_DOMAINS_…`). Conditions of one group
/// (active or not, persistent or not, the states) widen each other, groups narrow each other;
/// the empty set is all VMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DomainFilter(pub u32);

#[allow(missing_docs)] // the names are libvirt's own
impl DomainFilter {
    pub const ALL: Self = Self(0);
    pub const ACTIVE: Self = Self(1);
    pub const INACTIVE: Self = Self(1 << 1);
    pub const PERSISTENT: Self = Self(1 << 2);
    pub const TRANSIENT: Self = Self(1 << 3);
    pub const RUNNING: Self = Self(1 << 4);
    pub const PAUSED: Self = Self(1 << 5);
    pub const SHUTOFF: Self = Self(1 << 6);
    pub const OTHER: Self = Self(1 << 7);
}

impl std::ops::BitOr for DomainFilter {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

codes! {
    /// Why a VM runs.
    pub enum RunningReason {
        Unknown = 0 "unknown",
        Booted = 1 "booted",
        Migrated = 2 "migrated",
        Restored = 3 "restored",
        FromSnapshot = 4 "from snapshot",
        Unpaused = 5 "unpaused",
        MigrationCanceled = 6 "migration canceled",
        SaveCanceled = 7 "save canceled",
        Wakeup = 8 "woken up",
        Crashed = 9 "resumed after a crash",
        Postcopy = 10 "post-copy",
        PostcopyFailed = 11 "post-copy failed",
    }
}

codes! {
    /// Why a VM is paused.
    pub enum PausedReason {
        Unknown = 0 "unknown",
        User = 1 "by the user",
        Migration = 2 "migration",
        Save = 3 "save",
        Dump = 4 "dump",
        IoError = 5 "disk error",
        Watchdog = 6 "watchdog",
        FromSnapshot = 7 "from snapshot",
        ShuttingDown = 8 "shutting down",
        Snapshot = 9 "snapshot",
        Crashed = 10 "crashed",
        StartingUp = 11 "starting up",
        Postcopy = 12 "post-copy",
        PostcopyFailed = 13 "post-copy failed",
        ApiError = 14 "error in a call",
    }
}

codes! {
    /// Why a VM is off.
    pub enum ShutoffReason {
        Unknown = 0 "unknown",
        Shutdown = 1 "shut down",
        Destroyed = 2 "destroyed",
        Crashed = 3 "crashed",
        Migrated = 4 "migrated away",
        Saved = 5 "saved",
        Failed = 6 "failed to start",
        FromSnapshot = 7 "from snapshot",
        Daemon = 8 "daemon lost it",
    }
}

/// A VM's state with its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainState {
    /// The hypervisor does not say.
    NoState,
    /// It runs.
    Running(RunningReason),
    /// It runs and waits for something (Xen).
    Blocked,
    /// It is in memory and stands still.
    Paused(PausedReason),
    /// The guest is shutting down.
    Shutdown,
    /// It is off.
    Shutoff(ShutoffReason),
    /// It crashed and is kept for inspection.
    Crashed,
    /// The guest sleeps.
    PmSuspended,
    /// A state this client does not know.
    Other {
        /// libvirt's state.
        state: i32,
        /// libvirt's reason.
        reason: i32,
    },
}

impl DomainState {
    /// From libvirt's two numbers.
    pub fn from_codes(state: i32, reason: i32) -> Self {
        match state {
            0 => Self::NoState,
            1 => Self::Running(RunningReason::from_code(reason)),
            2 => Self::Blocked,
            3 => Self::Paused(PausedReason::from_code(reason)),
            4 => Self::Shutdown,
            5 => Self::Shutoff(ShutoffReason::from_code(reason)),
            6 => Self::Crashed,
            7 => Self::PmSuspended,
            _ => Self::Other { state, reason },
        }
    }

    /// Whether guest code runs here now. A VM that is just arriving is paused, not running.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running(_) | Self::Blocked)
    }

    /// Whether the VM takes up memory on this host.
    pub fn is_active(self) -> bool {
        !matches!(self, Self::Shutoff(_))
    }
}

impl std::fmt::Display for DomainState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoState => f.write_str("no state"),
            Self::Running(reason) => write!(f, "running ({reason})"),
            Self::Blocked => f.write_str("blocked"),
            Self::Paused(reason) => write!(f, "paused ({reason})"),
            Self::Shutdown => f.write_str("shutting down"),
            Self::Shutoff(reason) => write!(f, "shut off ({reason})"),
            Self::Crashed => f.write_str("crashed"),
            Self::PmSuspended => f.write_str("asleep"),
            Self::Other { state, reason } => write!(f, "unknown ({state}/{reason})"),
        }
    }
}

/// Which definition of a VM to give: a set of `VIR_DOMAIN_XML_…`. The empty one is the definition
/// it runs with now (or, if it is off, will start with).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct XmlFlags(pub u32);

#[allow(missing_docs)] // the names are libvirt's own
impl XmlFlags {
    pub const CURRENT: Self = Self(0);
    pub const SECURE: Self = Self(1);
    pub const INACTIVE: Self = Self(1 << 1);
    pub const UPDATE_CPU: Self = Self(1 << 2);
    pub const MIGRATABLE: Self = Self(1 << 3);
}

impl std::ops::BitOr for XmlFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How a VM is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Running.
    Running,
    /// In memory, standing still.
    Paused,
}

impl Connection {
    /// The VMs that pass the filter, in the daemon's order.
    pub async fn domains(&self, filter: DomainFilter) -> Result<Vec<Domain>> {
        let need_results = 1i32;
        let (domains, _count): (List<Domain, LIST_MAX>, u32) =
            self.call(Procedure::CONNECT_LIST_ALL_DOMAINS, &(need_results, filter.0)).await?;
        Ok(domains.0)
    }

    /// The VM with this UUID. Fails with [`crate::Error::is_no_domain`] if it is not here.
    pub async fn domain_by_uuid(&self, uuid: Uuid) -> Result<Domain> {
        self.call(Procedure::DOMAIN_LOOKUP_BY_UUID, &uuid).await
    }

    /// The VM with this name. Fails with [`crate::Error::is_no_domain`] if it is not here.
    pub async fn domain_by_name(&self, name: &str) -> Result<Domain> {
        self.call(Procedure::DOMAIN_LOOKUP_BY_NAME, &name.to_owned()).await
    }

    /// A VM's state and its reason.
    pub async fn domain_state(&self, domain: &Domain) -> Result<DomainState> {
        let (state, reason): (i32, i32) = self.call(Procedure::DOMAIN_GET_STATE, &(domain.clone(), 0u32)).await?;
        Ok(DomainState::from_codes(state, reason))
    }

    /// A VM's definition as XML.
    pub async fn domain_xml(&self, domain: &Domain, flags: XmlFlags) -> Result<String> {
        self.call(Procedure::DOMAIN_GET_XML_DESC, &(domain.clone(), flags.0)).await
    }

    /// Whether the VM is defined here permanently (and would still be listed when it is off).
    pub async fn domain_is_persistent(&self, domain: &Domain) -> Result<bool> {
        let persistent: i32 = self.call(Procedure::DOMAIN_IS_PERSISTENT, domain).await?;
        Ok(persistent != 0)
    }

    /// Defines a VM permanently, or changes its definition.
    pub async fn define_domain(&self, xml: &str) -> Result<Domain> {
        self.call(Procedure::DOMAIN_DEFINE_XML_FLAGS, &(xml.to_owned(), 0u32)).await
    }

    /// Forgets a VM's permanent definition. A running one runs on and is gone when it ends.
    pub async fn undefine_domain(&self, domain: &Domain) -> Result<()> {
        self.nothing(Procedure::DOMAIN_UNDEFINE_FLAGS, &(domain.clone(), 0u32)).await
    }

    /// Starts a defined VM; gives it with its new id.
    pub async fn start_domain(&self, domain: &Domain, how: Start) -> Result<Domain> {
        let flags = match how {
            Start::Running => 0u32,
            Start::Paused => 1,
        };
        self.call(Procedure::DOMAIN_CREATE_WITH_FLAGS, &(domain.clone(), flags)).await
    }

    /// Asks the guest to shut down; returns at once, the guest may take its time or ignore it.
    pub async fn shut_down_domain(&self, domain: &Domain) -> Result<()> {
        self.nothing(Procedure::DOMAIN_SHUTDOWN_FLAGS, &(domain.clone(), 0u32)).await
    }

    /// Takes a VM's power away.
    pub async fn destroy_domain(&self, domain: &Domain) -> Result<()> {
        self.nothing(Procedure::DOMAIN_DESTROY_FLAGS, &(domain.clone(), 0u32)).await
    }

    /// Makes a VM stand still in memory.
    pub async fn suspend_domain(&self, domain: &Domain) -> Result<()> {
        self.nothing(Procedure::DOMAIN_SUSPEND, domain).await
    }

    /// Lets a VM that stands still go on.
    pub async fn resume_domain(&self, domain: &Domain) -> Result<()> {
        self.nothing(Procedure::DOMAIN_RESUME, domain).await
    }

    /// Has the guest's balloon driver report its memory every `period` (whole seconds; zero
    /// switches it off). Without that, `unused`, `usable` … of the balloon are missing in the
    /// statistics. Only for the running VM, not in its definition.
    pub async fn set_memory_stats_period(&self, domain: &Domain, period: Duration) -> Result<()> {
        const LIVE: u32 = 1;
        let seconds = i32::try_from(period.as_secs()).unwrap_or(i32::MAX);
        self.nothing(Procedure::DOMAIN_SET_MEMORY_STATS_PERIOD, &(domain.clone(), seconds, LIVE)).await
    }

    /// Begins to measure how fast the guest dirties memory, for `period` (1 to 60 s, whole
    /// seconds); the result appears in the statistics as [`crate::stats::DirtyRate`].
    ///
    /// Always by page sampling, which is cheap and rough. QEMU's dirty-bitmap mode is not offered
    /// on purpose: under TCG it has killed guests (QEMU 7.2).
    pub async fn start_dirty_rate_calc(&self, domain: &Domain, period: Duration) -> Result<()> {
        const PAGE_SAMPLING: u32 = 0;
        let seconds = i32::try_from(period.as_secs().clamp(1, 60)).unwrap_or(1);
        self.nothing(Procedure::DOMAIN_START_DIRTY_RATE_CALC, &(domain.clone(), seconds, PAGE_SAMPLING)).await
    }

    /// A call without a result.
    pub(crate) async fn nothing<A: Xdr>(&self, procedure: Procedure, arguments: &A) -> Result<()> {
        let Void = self.call(procedure, arguments).await?;
        Ok(())
    }
}
