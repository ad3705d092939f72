//! The trait and the raw facts that cross it.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use ulm_model::{
    Bytes, BytesPerSecond, Cell, CpuNeed, CpuVerdict, Fixture, HostName, Merging, Needs, Platform, Time, VmId,
};
use uuid::Uuid;

/// One host's hypervisor: facts up, orders down.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// The host's name in ULM.
    fn host(&self) -> &HostName;

    /// Whether the host can be spoken to now. Never waits.
    fn link(&self) -> Link;

    /// What changes seldom: identity, platform, networks, storage.
    async fn facts(&self) -> Result<HostFacts, DriverError>;

    /// Counters of the host and of every VM that holds resources on it, in as few calls as possible.
    async fn reading(&self) -> Result<Reading, DriverError>;

    /// What a VM needs and what ties it to its host, from its live definition.
    async fn vm_facts(&self, vm: VmId) -> Result<VmFacts, DriverError>;

    /// Whether this host offers the CPU that a VM needs.
    async fn judge_cpu(&self, need: &CpuNeed) -> Result<CpuVerdict, DriverError>;

    /// Where a VM stands on this host, asked afresh.
    async fn locate(&self, vm: VmId) -> Result<Presence, DriverError>;

    /// Migrates a VM away from this host, live and peer to peer, and returns when the hypervisor says that
    /// the move has ended. The answer is a claim, not a proof: callers read both hosts afterwards.
    ///
    /// Dropping the future does not stop the move; [`Driver::abort`] does.
    async fn migrate(&self, order: &MoveOrder) -> Result<(), DriverError>;

    /// How far the VM's running job is; `None` when no job runs.
    async fn job(&self, vm: VmId) -> Result<Option<JobProgress>, DriverError>;

    /// What the VM's last move to this host took, if the hypervisor still knows. To be asked on the target.
    async fn completed(&self, vm: VmId) -> Result<Option<JobProgress>, DriverError>;

    /// Asks for the VM's running job to be aborted. Succeeds when there is none.
    async fn abort(&self, vm: VmId) -> Result<(), DriverError>;

    /// The URI by which *other hosts* reach this one for a peer-to-peer move.
    fn peer_uri(&self) -> String;

    /// What happens on the host from now on. The stream ends when the driver is dropped; gaps are told as [`DriverEvent::Missed`].
    fn events(&self) -> BoxStream<'static, DriverEvent>;
}

/// Whether a host can be spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// The first connection is being made.
    Connecting,
    /// The connection works.
    Up,
    /// There is none.
    Down {
        /// Why, in a sentence that says what to do.
        because: String,
    },
}

/// What changes seldom on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// The machine's own UUID: tells two names for one machine.
    pub machine: Uuid,
    /// The host name that the machine gives itself.
    pub hostname: String,
    /// CPUs and hypervisor.
    pub platform: Platform,
    /// Networks, in the notation of [`ulm_model::Host::networks`].
    pub networks: BTreeSet<String>,
    /// Storage, in the notation of [`ulm_model::Host::storage`].
    pub storage: BTreeSet<String>,
}

/// One round's raw figures of a host and its VMs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// When the answers had come in, by the controller's clock.
    pub at: Time,
    /// The host's processors.
    pub cpu: NodeCpu,
    /// The host's memory.
    pub memory: MemoryReading,
    /// The host's NUMA cells in the order of their numbers, if it tells them and what is free of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<Cell>,
    /// What the host counts of merged pages, if it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merging: Option<Merging>,
    /// Every VM that holds resources (not those shut off), incoming halves of moves included.
    pub vms: Vec<VmReading>,
}

/// Counters of a host's processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeCpu {
    /// CPUs on line.
    pub cpus: u32,
    /// CPU time spent working since some start, all CPUs together (user, kernel, interrupts, steal).
    pub busy: Duration,
    /// CPU time spent idle (input and output waits included) since the same start.
    pub idle: Duration,
}

/// A host's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryReading {
    /// In all.
    pub total: Bytes,
    /// What could be given to programs at once: free, and caches that can be dropped.
    pub available: Bytes,
}

/// One VM's raw figures on one host. Counters start anew when the VM arrives on another host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmReading {
    /// Which VM.
    pub id: VmId,
    /// Its name.
    pub name: String,
    /// What it does here.
    pub state: RunState,
    /// The job that the hypervisor runs on it.
    pub job: JobKind,
    /// Virtual CPUs on line.
    pub vcpus: u32,
    /// Memory that it may take at most.
    pub memory: Bytes,
    /// Resident set of its process.
    pub resident: Option<Bytes>,
    /// CPU time used since it came to this host.
    pub cpu_time: Option<Duration>,
    /// Time that its vCPUs waited for a physical CPU since it came to this host, all vCPUs together.
    pub cpu_delay: Option<Duration>,
    /// Bytes received and sent since it came to this host.
    pub network: Option<Bytes>,
    /// Bytes read and written since it came to this host.
    pub disk: Option<Bytes>,
}

/// What a VM does on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Executes here.
    Running,
    /// Held by somebody; its memory is here.
    Paused,
    /// The receiving half of a move: its memory is arriving, it does not execute here yet.
    Incoming,
    /// Paused for good because a post-copy move broke: neither half is whole.
    Broken,
    /// Alive in another state.
    Other,
}

/// The job that a hypervisor runs on a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// None.
    None,
    /// Leaves this host.
    MovingOut,
    /// Comes to this host.
    MovingIn,
    /// Something else (save, dump, snapshot, backup): it must not be moved meanwhile.
    Other,
}

/// Where a VM stands on one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// The host does not know it.
    Absent,
    /// Defined here, but not running.
    ShutOff,
    /// Holds resources here.
    Here {
        /// What it does.
        state: RunState,
        /// The job that runs on it.
        job: JobKind,
    },
}

/// What a VM needs of any host, and what ties it to this one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmFacts {
    /// What a host must offer.
    pub needs: Needs,
    /// What ties it. Empty: it can move.
    pub fixtures: Vec<Fixture>,
    /// Free words that policies select by, from its metadata.
    pub tags: BTreeSet<String>,
    /// In the words of [`ulm_model::Vm::unmergeable`].
    #[serde(default)]
    pub unmergeable: bool,
}

/// An order to move one VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveOrder {
    /// Which VM.
    pub vm: VmId,
    /// The target, by its name in ULM.
    pub to: HostName,
    /// The target, as the source host reaches it: [`Driver::peer_uri`] of the target's driver.
    pub to_uri: String,
    /// At most so many bytes per second; `None` for the hypervisor's own limit.
    pub bandwidth: Option<BytesPerSecond>,
    /// The longest that the guest may stand still; `None` for the hypervisor's own limit.
    pub max_downtime: Option<Duration>,
}

/// How far a move is, or what it took when it has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobProgress {
    /// Since the job began.
    pub elapsed: Duration,
    /// Memory in all.
    pub total: Option<Bytes>,
    /// Memory still to be sent.
    pub remaining: Option<Bytes>,
    /// Sent so far.
    pub sent: Option<Bytes>,
    /// Sent per second now.
    pub rate: Option<BytesPerSecond>,
    /// Dirtied per second now.
    pub dirty_rate: Option<BytesPerSecond>,
    /// Passes over the memory so far.
    pub passes: Option<u32>,
    /// How long the guest stood still (ended), or would (running).
    pub downtime: Option<Duration>,
}

/// What happens on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriverEvent {
    /// A VM began to run here: booted, arrived or resumed.
    VmRuns(VmId),
    /// A VM ended here, or left.
    VmLeft(VmId),
    /// A VM's definition, state or job changed.
    VmChanged(VmId),
    /// The connection came up or went down.
    LinkChanged(Link),
    /// So many events were lost: read everything afresh.
    Missed(u64),
}

/// Why a driver could not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct DriverError {
    /// What sort of failure it is, for programs.
    pub kind: ErrorKind,
    /// What happened, in the hypervisor's words where it has any, and what to do next.
    pub message: String,
}

/// Sorts of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The host cannot be reached, or the connection broke: the effect, if any, is not known.
    Unreachable,
    /// No answer within the deadline: the effect, if any, is not known.
    TimedOut,
    /// The VM is not on this host.
    NoSuchVm,
    /// The VM has a job already.
    Busy,
    /// The move was aborted, by us or by somebody else.
    Aborted,
    /// The hypervisor refused or failed.
    Refused,
}

impl DriverError {
    /// An error of a kind with a sentence.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        DriverError { kind, message: message.into() }
    }
}
