//! Orders to the daemon, and why one is not carried out.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::oneshot;
use ulm_model::ledger::MoveKey;
use ulm_model::{Acting, HostName, Plan, Reason};
use ulm_store::StoreError;

use crate::view::{Accepted, PolicyStatus};

/// Sorts of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// No such host, VM or plan.
    NotFound,
    /// The order itself is malformed.
    Malformed,
    /// It contradicts what is there already.
    Conflict,
    /// A rule or the present state does not allow it; the reasons say which.
    NotAllowed,
    /// A host or the store cannot be used at the moment.
    Unavailable,
}

/// Why an order was not carried out: a sentence that says what is wrong and what to do next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Error)]
#[error("{message}")]
pub struct OrderError {
    /// What sort of refusal.
    pub refusal: Refusal,
    /// The sentence.
    pub message: String,
    /// Every reason, if rules speak against it.
    #[serde(default)]
    pub reasons: Vec<Reason>,
}

impl OrderError {
    /// A refusal with a sentence.
    pub fn new(refusal: Refusal, message: impl Into<String>) -> Self {
        OrderError { refusal, message: message.into(), reasons: Vec::new() }
    }
    /// Rules speak against it.
    pub fn not_allowed(what: impl Into<String>, reasons: Vec<Reason>) -> Self {
        let mut message = what.into();
        for reason in &reasons {
            message.push_str(&format!("\n  - {reason}"));
        }
        OrderError { refusal: Refusal::NotAllowed, message, reasons }
    }
}

/// The answer's way back.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, OrderError>>;

/// What can be ordered of the loop. Each variant carries who orders it, for the ledger.
pub(crate) enum Order {
    SetActing { acting: Acting, by: String, reply: Reply<()> },
    Apply { plan: Plan, by: String, reply: Reply<Accepted> },
    Migrate { vm: String, host: HostName, by: String, reply: Reply<Accepted> },
    Abort { vm: Option<String>, by: String, reply: Reply<Vec<MoveKey>> },
    AddHost { uri: String, name: HostName, by: String, reply: Reply<HostName> },
    RemoveHost { name: HostName, by: String, reply: Reply<()> },
    SetTags { name: HostName, tags: BTreeSet<String>, reply: Reply<()> },
    ReloadPolicy { by: String, reply: Reply<PolicyStatus> },
    SetMaintenance { name: HostName, on: bool, by: String, reply: Reply<()> },
}

/// An error of the store, as the answer to an order.
pub fn unavailable(error: StoreError) -> OrderError {
    OrderError::new(Refusal::Unavailable, error.to_string())
}
