//! What is to be done: steps in a partial order, with a hash, a parent snapshot and an expiry.

use std::fmt;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Bytes, HostName, Reason, Time, VmId};

/// The hash of a plan's content, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanId(pub String);

/// A step's number within its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u32);

/// An immutable plan. Whoever runs it makes no choices of his own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The digest of the snapshot that it was made from; empty when there are no steps.
    pub parent: String,
    /// When it was made.
    pub made_at: Time,
    /// From then on it must not be begun: the facts that it stands on are too old.
    pub expires_at: Time,
    /// In ascending order of their ids.
    pub steps: Vec<Step>,
}

/// One thing to do, when all the steps that it waits for are done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Unique in the plan.
    pub id: StepId,
    /// What to do.
    pub action: Action,
    /// Steps that must have ended well before this one begins.
    pub after: Vec<StepId>,
    /// Why.
    pub because: Reason,
    /// What it is expected to take and to bring; `None` when nothing was forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
}

/// What a step is expected to take and to bring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// How long the move takes.
    pub duration: Duration,
    /// How long the guest stands still.
    pub downtime: Duration,
    /// What is sent.
    pub bytes: Bytes,
    /// What it brings, for each goal that wants it.
    pub gains: Vec<Gain>,
    /// After how long it has brought more than it has taken; `None` when nothing that can be reckoned is gained.
    pub payback: Option<Duration>,
    /// How long the gain lasts, as far as the forecast tells.
    pub lasts: Option<Duration>,
}

/// What a move, or a plan, brings for a goal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gain {
    /// The goal, as the policy names it.
    pub goal: String,
    /// What is measured, with its unit, e.g. `CPU above 75 % on h1`.
    pub what: String,
    /// Before, as people read it, e.g. `91 %`.
    pub before: String,
    /// After.
    pub after: String,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// One live migration. Its precondition: the VM runs on `from` and nowhere else.
    Move {
        /// Which VM.
        vm: VmId,
        /// Its name, for people.
        vm_name: String,
        /// Where it must be running now.
        from: HostName,
        /// Where it goes.
        to: HostName,
    },
}

impl Plan {
    /// The hash of everything in the plan: equal plans have equal ids.
    pub fn id(&self) -> PlanId {
        PlanId(crate::snapshot::digest(self))
    }
}

impl PlanId {
    /// The first twelve digits: enough for people to tell plans apart.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
