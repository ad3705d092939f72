//! What the ledger holds: one entry for everything that was begun, ended, refused or switched.
//!
//! Entries are only ever added. The entry that announces an effect is durable before the effect is
//! begun, so that after a crash every open move is known and can be reconciled with the hypervisors.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Bytes, Expected, HostName, PlanId, Reason, StepId, Time, VmId};

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number: 1, 2, 3 … without gaps.
    pub seq: u64,
    /// When it was written.
    pub at: Time,
    /// What happened.
    pub event: Event,
}

/// Names one attempt at one move.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MoveKey {
    /// The plan that wants it.
    pub plan: PlanId,
    /// The step of that plan.
    pub step: StepId,
    /// Which VM.
    pub vm: VmId,
    /// Its name at the time.
    pub vm_name: String,
    /// The host that it runs on.
    pub from: HostName,
    /// The host that it goes to.
    pub to: HostName,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The daemon began to run.
    DaemonStarted {
        /// Its version.
        version: String,
    },
    /// The daemon ended in an orderly way.
    DaemonStopped,
    /// Acting was switched on.
    Enabled {
        /// By whom.
        by: String,
    },
    /// Acting was switched off.
    Disabled {
        /// By whom.
        by: String,
    },
    /// A host was added.
    HostAdded {
        /// Its name.
        host: HostName,
        /// Its URI.
        uri: String,
        /// By whom.
        by: String,
    },
    /// A host was removed.
    HostRemoved {
        /// Its name.
        host: HostName,
        /// By whom.
        by: String,
    },
    /// A host was taken out: it takes no VMs.
    MaintenanceBegun {
        /// Its name.
        host: HostName,
        /// By whom.
        by: String,
    },
    /// A host was taken back in.
    MaintenanceEnded {
        /// Its name.
        host: HostName,
        /// By whom.
        by: String,
    },
    /// A plan was accepted for execution.
    PlanAccepted {
        /// Which plan.
        plan: PlanId,
        /// How many steps it has.
        steps: u32,
        /// By whom: a user, or `policy`.
        by: String,
    },
    /// A plan was refused as a whole.
    PlanRefused {
        /// Which plan.
        plan: PlanId,
        /// Why.
        reason: Reason,
    },
    /// A move is about to be begun. Written before the hypervisor is told.
    MoveIntended {
        /// Which move.
        r#move: MoveKey,
        /// Why it is made.
        because: Reason,
        /// What it is expected to take and to bring, if that was forecast.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected: Option<Expected>,
    },
    /// A move was not begun after all: its preconditions no longer hold. No effect was made.
    MoveRefused {
        /// Which move.
        r#move: MoveKey,
        /// Why not.
        reason: Reason,
    },
    /// Somebody, or the deadline, asked for the move to be aborted. Written before the hypervisor is told.
    AbortAsked {
        /// Which move.
        r#move: MoveKey,
        /// By whom: a user, or `deadline`.
        by: String,
    },
    /// A move ended; both hypervisors were asked where the VM is.
    MoveEnded {
        /// Which move.
        r#move: MoveKey,
        /// What the hypervisors say.
        outcome: Outcome,
        /// What it took, as far as it is known.
        cost: MoveCost,
    },
    /// A move that was open when the daemon began was looked up in the hypervisors.
    MoveReconciled {
        /// Which move.
        r#move: MoveKey,
        /// What the hypervisors say.
        found: Found,
    },
    /// A VM was seen on a host on which it was not before, and not by a move of ULM's: somebody started or moved it.
    Arrived {
        /// Which VM.
        vm: VmId,
        /// Its name at the time.
        vm_name: String,
        /// Where it is now.
        host: HostName,
        /// Where it was before; `None` when it ran nowhere.
        from: Option<HostName>,
    },
    /// Another policy took effect.
    PolicyChanged {
        /// Its digest: equal policies have equal ones.
        digest: String,
        /// The file that it was read from; those of the folder beside it are part of it.
        file: String,
        /// By whom: a user, `file` when the file was found changed, `start` when it changed while ULM did not run.
        by: String,
    },
    /// The policy's files changed and are not sound: the policy from before stays.
    PolicyRefused {
        /// The file.
        file: String,
        /// What is wrong, with line and column.
        error: String,
    },
    /// An overworked host could not be relieved.
    Stuck {
        /// Which host.
        host: HostName,
        /// Why, in short.
        reason: Reason,
    },
}

/// How a move ended, read back from both hypervisors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It runs on the target and not on the source.
    Moved,
    /// It runs on the source and not on the target.
    Stayed {
        /// What the hypervisor said when the move failed or was aborted.
        error: String,
    },
    /// It runs on neither host.
    Gone {
        /// What the hypervisors say about it.
        details: String,
    },
    /// It runs on both hosts: a person must look at it.
    Doubled {
        /// What the hypervisors say about it.
        details: String,
    },
    /// The hypervisors could not be asked; the move stays open until they can.
    Unknown {
        /// What went wrong.
        error: String,
    },
}

/// What was found when an open move was looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub enum Found {
    /// It had never been begun, or had failed: the VM runs on the source, and no job runs.
    NotBegun,
    /// It is still running: ULM watches it to its end.
    Running,
    /// It had ended.
    Ended {
        /// How.
        outcome: Outcome,
    },
}

/// What a move took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveCost {
    /// From the order to the end, in milliseconds.
    pub took_ms: u64,
    /// How long the guest stood still, in milliseconds, as the hypervisor says.
    pub downtime_ms: Option<u64>,
    /// Data sent, as the hypervisor says.
    pub sent: Option<Bytes>,
}

impl Outcome {
    /// Whether the matter is settled, so that the move need not be looked up again.
    pub fn is_settled(&self) -> bool {
        !matches!(self, Outcome::Unknown { .. })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Moved => f.write_str("moved"),
            Outcome::Stayed { error } => write!(f, "stayed on its host: {error}"),
            Outcome::Gone { details } => write!(f, "runs on neither host: {details}"),
            Outcome::Doubled { details } => write!(f, "runs on BOTH hosts, please look at it: {details}"),
            Outcome::Unknown { error } => write!(f, "not known yet: {error}"),
        }
    }
}

impl fmt::Display for MoveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.vm_name, self.from, self.to)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::DaemonStarted { version } => write!(f, "ulm {version} started"),
            Event::DaemonStopped => f.write_str("ulm stopped"),
            Event::Enabled { by } => write!(f, "acting switched on by {by}"),
            Event::Disabled { by } => write!(f, "acting switched off by {by}"),
            Event::HostAdded { host, uri, by } => write!(f, "host {host} ({uri}) added by {by}"),
            Event::HostRemoved { host, by } => write!(f, "host {host} removed by {by}"),
            Event::MaintenanceBegun { host, by } => write!(f, "host {host} taken into maintenance by {by}"),
            Event::MaintenanceEnded { host, by } => write!(f, "host {host} taken back from maintenance by {by}"),
            Event::PlanAccepted { plan, steps, by } => {
                write!(f, "plan {} with {steps} step(s) accepted by {by}", plan.short())
            }
            Event::PlanRefused { plan, reason } => write!(f, "plan {} refused: {reason}", plan.short()),
            Event::MoveIntended { r#move, because, .. } => {
                write!(f, "move {move} intended: {because}", move = r#move)
            }
            Event::MoveRefused { r#move, reason } => write!(f, "move {move} not begun: {reason}", move = r#move),
            Event::AbortAsked { r#move, by } => write!(f, "move {move} to be aborted, by {by}", move = r#move),
            Event::MoveEnded { r#move, outcome, cost } => {
                write!(f, "move {move} ended after {:.1} s: {outcome}", cost.took_ms as f64 / 1000.0, move = r#move)?;
                cost.downtime_ms.map_or(Ok(()), |ms| write!(f, ", downtime {ms} ms"))
            }
            Event::MoveReconciled { r#move, found } => match found {
                Found::NotBegun => write!(f, "move {move} found not begun after a restart", move = r#move),
                Found::Running => write!(f, "move {move} found running after a restart", move = r#move),
                Found::Ended { outcome } => {
                    write!(f, "move {move} found ended after a restart: {outcome}", move = r#move)
                }
            },
            Event::Arrived { vm_name, host, from: None, .. } => write!(f, "VM {vm_name} was started on {host}"),
            Event::Arrived { vm_name, host, from: Some(from), .. } => {
                write!(f, "VM {vm_name} was moved from {from} to {host} by somebody else")
            }
            Event::PolicyChanged { digest, file, by } => {
                write!(f, "policy {} from {file} in force, by {by}", digest.get(..12).unwrap_or(digest))
            }
            Event::PolicyRefused { error, .. } => {
                write!(f, "a changed policy is not sound, the old one stays: {error}")
            }
            Event::Stuck { host, reason } => write!(f, "{host}: {reason}"),
        }
    }
}
