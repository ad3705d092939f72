//! What is to be done: steps in a partial order, with a hash, a parent snapshot and an expiry.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{HostName, Reason, Time, VmId};

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
