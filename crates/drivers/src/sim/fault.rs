//! What can go wrong in the simulated world, by scenario or by a test at any moment.
//!
//! The letters are those of the faults that were tried on real libvirt hosts during live migrations;
//! what the client saw then is what the simulated driver shows.

use serde::{Deserialize, Serialize};
use ulm_model::{Bytes, BytesPerSecond, HostName};

use super::text;

/// A fault and when it comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultAt {
    /// Seconds since the world began.
    pub at_s: f64,
    /// What happens.
    pub what: Fault,
}

/// Something that goes wrong, or that somebody else does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// libvirtd is killed (a: on a target, e: on a source); VMs run on. It starts again after `down_s`, or when told.
    StopHypervisor {
        /// Where.
        host: HostName,
        /// For so many seconds; left out: until [`Fault::StartHypervisor`].
        #[serde(default)]
        down_s: Option<f64>,
    },
    /// libvirtd starts again, and cleans up what its death left behind.
    StartHypervisor {
        /// Where.
        host: HostName,
    },
    /// The receiving process of a VM's move is killed (b).
    KillIncoming {
        /// The VM's name.
        vm: String,
    },
    /// The host's cable is out (c, c2): moves stall, and fail when it lasts longer than the keep-alive.
    CutLink {
        /// Where.
        host: HostName,
        /// For so many seconds; left out: until [`Fault::MendLink`].
        #[serde(default)]
        for_s: Option<f64>,
    },
    /// The cable is in again.
    MendLink {
        /// Where.
        host: HostName,
    },
    /// The power fails (f, f2): everything on the host is dead.
    CutPower {
        /// Where.
        host: HostName,
        /// What the peers notice.
        #[serde(default)]
        manner: Manner,
    },
    /// The VMs are shut down, then the host.
    ShutDownHost {
        /// Where.
        host: HostName,
    },
    /// The host is switched on and boots. Its VMs come back shut off.
    PowerOn {
        /// Where.
        host: HostName,
    },
    /// The hypervisor stops answering, its connection stays up.
    Hang {
        /// Where.
        host: HostName,
        /// For so many seconds; left out: until [`Fault::Recover`].
        #[serde(default)]
        for_s: Option<f64>,
        /// What becomes of orders meanwhile.
        #[serde(default)]
        orders: Orders,
    },
    /// The hypervisor answers again.
    Recover {
        /// Where.
        host: HostName,
    },
    /// Something on the host takes memory (h); if there is not enough, the out-of-memory killer comes.
    FillMemory {
        /// Where.
        host: HostName,
        /// How much.
        #[serde(with = "text::bytes")]
        amount: Bytes,
        /// For so many seconds; left out: for good.
        #[serde(default)]
        for_s: Option<f64>,
    },
    /// Somebody else aborts a VM's move (g).
    AbortMove {
        /// The VM's name.
        vm: String,
    },
    /// Somebody else moves a VM (i, when it moves already).
    ForeignMove {
        /// The VM's name.
        vm: String,
        /// To which host.
        to: HostName,
        /// At most so fast.
        #[serde(with = "text::maybe_rate", default)]
        bandwidth: Option<BytesPerSecond>,
    },
    /// Somebody else switches a VM's move to post-copy and the target's process dies (k): the VM is lost.
    BreakPostCopy {
        /// The VM's name.
        vm: String,
    },
    /// The guest shuts itself down, in the middle of a move or not.
    GuestShutsDown {
        /// The VM's name.
        vm: String,
    },
    /// Somebody starts a VM that is shut off, where it is defined.
    StartVm {
        /// The VM's name.
        vm: String,
    },
    /// Somebody holds a running VM.
    PauseVm {
        /// The VM's name.
        vm: String,
    },
    /// Somebody lets a held VM run on.
    ResumeVm {
        /// The VM's name.
        vm: String,
    },
    /// Somebody saves, dumps or backs up a VM: it has a job that is no move.
    OtherJob {
        /// The VM's name.
        vm: String,
        /// For so many seconds.
        for_s: f64,
    },
    /// A host's readings are impossible or stale.
    Lie {
        /// Where.
        host: HostName,
        /// In what way.
        lie: Lie,
        /// For so many seconds; left out: for good.
        #[serde(default)]
        for_s: Option<f64>,
    },
    /// A host's events are lost; afterwards the driver tells how many.
    LoseEvents {
        /// Where.
        host: HostName,
        /// For so many seconds.
        for_s: f64,
    },
}

/// What the peers of a host notice when its power fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// Their connections are reset at once (f).
    #[default]
    Reset,
    /// Nothing, until the keep-alive runs out (f2).
    Silent,
}

/// What becomes of the orders given to a hypervisor that does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orders {
    /// They wait until it answers again, or are dropped with the call.
    #[default]
    Held,
    /// They are obeyed; only the answer does not come.
    Obeyed,
}

/// In what way readings are impossible or stale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Lie {
    /// The host has 0 CPUs.
    ZeroCpus,
    /// The host's CPUs work four times as fast as time passes.
    MoreThanAllCpus,
    /// One VM's CPU time grows ten times as fast as its vCPUs allow.
    MoreThanAllVcpus {
        /// The VM's name.
        vm: String,
    },
    /// The host's counters fall back to half.
    CountersGoBack,
    /// The reading is dated an hour ago.
    TimeGoesBack,
    /// The same reading again and again, with the time of the first.
    Frozen,
    /// The host has no memory.
    NoMemory,
    /// More memory is available than there is.
    MoreThanAllMemory,
    /// A VM that runs elsewhere is said to run here too.
    Phantom {
        /// The VM's name.
        vm: String,
    },
}

impl Fault {
    /// The hosts and the VMs by name that it is about.
    pub(super) fn concerns(&self) -> (Vec<&HostName>, Vec<&str>) {
        match self {
            Fault::StopHypervisor { host, .. }
            | Fault::StartHypervisor { host }
            | Fault::CutLink { host, .. }
            | Fault::MendLink { host }
            | Fault::CutPower { host, .. }
            | Fault::ShutDownHost { host }
            | Fault::PowerOn { host }
            | Fault::Hang { host, .. }
            | Fault::Recover { host }
            | Fault::FillMemory { host, .. }
            | Fault::LoseEvents { host, .. } => (vec![host], vec![]),
            Fault::KillIncoming { vm }
            | Fault::AbortMove { vm }
            | Fault::BreakPostCopy { vm }
            | Fault::GuestShutsDown { vm }
            | Fault::StartVm { vm }
            | Fault::PauseVm { vm }
            | Fault::ResumeVm { vm }
            | Fault::OtherJob { vm, .. } => (vec![], vec![vm]),
            Fault::ForeignMove { vm, to, .. } => (vec![to], vec![vm]),
            Fault::Lie { host, lie, .. } => match lie {
                Lie::MoreThanAllVcpus { vm } | Lie::Phantom { vm } => (vec![host], vec![vm]),
                _ => (vec![host], vec![]),
            },
        }
    }
}
