//! Every round's decision, kept when it says something else than the one before.
//!
//! Figures change in each round and are not what counts: two decisions say the same when the reason that tells most has the same code,
//! the same gates held them back for reasons of the same codes, and the same VMs are wanted on the same hosts.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use ulm_decide::{Decision, Gate};
use ulm_model::{Action, HostName, Time, VmId, text};
use ulm_store::{History, StoreError};

use crate::order::{OrderError, Refusal, unavailable};

/// A decision of the past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptDecision {
    /// When it was made first. Its figures are of this time.
    pub at: Time,
    /// When the same was decided last.
    pub until: Time,
    /// Plan, receipt and report.
    pub decision: Decision,
}

/// See the module's text.
#[derive(Default)]
pub struct Reports {
    /// What the last decision said, and when it said so first. After a restart the first one is kept in any case.
    last: Mutex<Option<(Saying, Time)>>,
}

/// What counts of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Saying {
    summary: &'static str,
    gates: Vec<(Gate, Vec<&'static str>)>,
    moves: Vec<(VmId, HostName, HostName)>,
}

impl Saying {
    fn of(decision: &Decision) -> Self {
        let gates = decision.report.gates.iter().map(|gate| {
            let mut codes: Vec<&'static str> = gate.held.iter().map(ulm_model::Reason::code).collect();
            codes.sort_unstable();
            codes.dedup();
            (gate.gate, codes)
        });
        let moves = decision.plan.steps.iter().map(|step| {
            let Action::Move { vm, from, to, .. } = &step.action;
            (*vm, from.clone(), to.clone())
        });
        Saying { summary: decision.report.summary.code(), gates: gates.collect(), moves: moves.collect() }
    }
}

impl Reports {
    /// Keeps a round's decision, or only that it was made again.
    pub fn keep(&self, history: &History, decision: &Decision, at: Time) -> Result<(), StoreError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let saying = Saying::of(decision);
        if let Some((_, since)) = last.as_ref().filter(|(said, _)| *said == saying) {
            return history.report_lasts(*since, at);
        }
        history.keep_report(at, saying.summary, &text::write(decision))?;
        *last = Some((saying, at));
        Ok(())
    }
}

/// The decision that was in force at a time.
pub fn decision_at(history: &History, at: Time) -> Result<KeptDecision, OrderError> {
    let kept = history.report_at(at).map_err(unavailable)?;
    let kept = kept.ok_or_else(|| {
        OrderError::new(Refusal::NotFound, format!("no decision of {at} or before is kept: they are kept for 30 days"))
    })?;
    let decision = text::read(&kept.document).map_err(|error| {
        let message = format!("the decision of {} cannot be read: {error}. It may be of another version", kept.at);
        OrderError::new(Refusal::Unavailable, message)
    })?;
    Ok(KeptDecision { at: kept.at, until: kept.until, decision })
}
