//! The verdict: sane, or the first thing that is wrong.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use ulm_model::{HostName, PlanId, Reason, StepId, Time, VmId};

/// The receipt for a plan of which every reachable state is sane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sane {
    /// The plan that was looked at.
    pub plan: PlanId,
    /// The digest of the snapshot that it was held against.
    pub parent: String,
    /// How many steps were looked at.
    pub steps: u32,
}

/// The first thing that is wrong with a plan, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// The facts themselves have no sound shape.
    #[error("the snapshot is not sound: {flaw}")]
    SnapshotFlawed {
        /// What is wrong.
        flaw: String,
    },
    /// Made from other facts.
    #[error("the plan was made from snapshot {found}, the present one is {wanted}")]
    OtherParent {
        /// The plan's.
        found: String,
        /// The present one.
        wanted: String,
    },
    /// Too old.
    #[error("the plan expired at {at}, it is {now}")]
    Expired {
        /// Since when.
        at: Time,
        /// The present time.
        now: Time,
    },
    /// Made later than now.
    #[error("the plan was made at {made_at}, it is only {now}")]
    FromTheFuture {
        /// When it says that it was made.
        made_at: Time,
        /// The present time.
        now: Time,
    },
    /// Two steps of one number.
    #[error("two steps have the number {step}")]
    StepTwice {
        /// The number.
        step: StepId,
    },
    /// A step waits for one that is not there.
    #[error("step {step} waits for step {missing}, which is not in the plan")]
    UnknownStep {
        /// The step that waits.
        step: StepId,
        /// What it waits for.
        missing: StepId,
    },
    /// Steps wait for each other.
    #[error("step {step} waits, in the end, for itself")]
    Cyclic {
        /// One of them.
        step: StepId,
    },
    /// No such VM.
    #[error("step {step} moves VM {vm}, which runs on no known host")]
    UnknownVm {
        /// The step.
        step: StepId,
        /// The VM.
        vm: VmId,
    },
    /// No such host.
    #[error("step {step} names host {host}, which is not known")]
    UnknownHost {
        /// The step.
        step: StepId,
        /// The host.
        host: HostName,
    },
    /// The VM is elsewhere then: where the snapshot or the move before has it.
    #[error("step {step} moves VM {vm} away from {from}, but it is on {really}")]
    WrongSource {
        /// The step.
        step: StepId,
        /// The VM.
        vm: VmId,
        /// Where the step takes it to be.
        from: HostName,
        /// Where it is.
        really: HostName,
    },
    /// Nowhere to go.
    #[error("step {step} moves a VM from {host} to {host}")]
    SameHost {
        /// The step.
        step: StepId,
        /// The host.
        host: HostName,
    },
    /// One VM in two steps that do not wait for each other.
    #[error("steps {one} and {other} both move VM {vm}, and neither waits for the other")]
    VmTwice {
        /// One step.
        one: StepId,
        /// The other.
        other: StepId,
        /// The VM.
        vm: VmId,
    },
    /// More moves at once than may be.
    #[error("{moves} moves could run at once, at most {limit} may")]
    TooManyAtOnce {
        /// Moves that could run at once, those that run already included.
        moves: u32,
        /// The limit.
        limit: u32,
    },
    /// A state that can be reached breaks a rule.
    #[error("step {step} cannot move {vm}: {reason}")]
    Breaks {
        /// The step that leads there.
        step: StepId,
        /// The VM's name.
        vm: String,
        /// The rule.
        reason: Reason,
    },
    /// Perhaps no state breaks a rule, but that was not found out.
    #[error(
        "step {step} cannot move {vm}: as rule `{rule}` wants it, the plan cannot be shown to survive the loss of {host}"
    )]
    NotShown {
        /// The step without which it can be shown.
        step: StepId,
        /// The VM's name.
        vm: String,
        /// The host whose VMs may have no place.
        host: HostName,
        /// The rule, as the policy names it.
        rule: String,
    },
}

impl Fault {
    /// Whether there is nothing wrong but that too much runs at once, in all, on a host or of what a budget counts together: then
    /// waiting helps. Such a fault is told only when there is no other.
    pub fn passes(&self) -> bool {
        match self {
            Fault::TooManyAtOnce { .. } => true,
            Fault::Breaks { reason, .. } => matches!(reason, Reason::HostBusy { .. } | Reason::OthersMove { .. }),
            _ => false,
        }
    }
}
