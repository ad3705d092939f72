//! Paths and bodies of the API, for both sides of the socket.
//!
//! | method and path | body or query | answer |
//! |---|---|---|
//! | `GET /v1/status` | | [`Status`](ulm_control::view::Status) |
//! | `GET /v1/hosts` | | list of [`HostStatus`](ulm_control::view::HostStatus) |
//! | `POST /v1/hosts` | [`NewHost`] | [`HostAdded`] |
//! | `POST /v1/hosts/test` | [`TrialOrder`] | [`HostTrial`](ulm_control::view::HostTrial) |
//! | `DELETE /v1/hosts/{name}` | | [`Done`] |
//! | `PUT /v1/hosts/{name}/maintenance` | [`MaintenanceOrder`] | [`Done`] |
//! | `PUT /v1/hosts/{name}/tags` | [`TagsOrder`] | [`Done`] |
//! | `GET /v1/vms` | | list of [`VmStatus`](ulm_control::view::VmStatus) |
//! | `GET /v1/snapshot` | | a snapshot document, `ulm.snapshot/1`: what the last round observed |
//! | `GET /v1/plan` | | [`Decided`]: what would be done now, and why |
//! | `POST /v1/plan/search` | [`LongerWish`](ulm_control::longer::LongerWish) | [`Decided`], after a longer search; it ends when the connection is closed; 409 while another one runs |
//! | `GET /v1/plan/search` | | [`Searching`](ulm_control::longer::Searching): the longer search that runs; 404 when there is none |
//! | `DELETE /v1/plan/search/{id}` | | [`Done`]: the longer search that was begun with this id is to end, and answers with the best so far; 404 when it does not run |
//! | `POST /v1/plan/apply` | a plan document, `ulm.plan/1` | [`Accepted`](ulm_control::view::Accepted) |
//! | `GET /v1/plans/{id}` | | [`PlanStatus`](ulm_control::view::PlanStatus) |
//! | `POST /v1/acting` | [`ActingOrder`] | [`Done`] |
//! | `GET /v1/moves` | | list of [`MoveStatus`](ulm_control::view::MoveStatus) |
//! | `POST /v1/moves` | [`MoveWish`] | [`Accepted`](ulm_control::view::Accepted) |
//! | `POST /v1/moves/abort` | [`AbortOrder`] | list of [`MoveKey`](ulm_model::ledger::MoveKey) |
//! | `GET /v1/ledger` | [`LedgerQuery`](ulm_control::view::LedgerQuery) | list of [`Entry`](ulm_model::ledger::Entry), newest first |
//! | `GET /v1/history` | [`HistoryQuery`](ulm_control::view::HistoryQuery) | list of [`Series`](ulm_control::view::Series) |
//! | `GET /v1/forecast` | [`ForecastQuery`](ulm_control::view::ForecastQuery) | [`Forecast`](ulm_control::view::Forecast) |
//! | `GET /v1/why` | [`WhyQuery`](ulm_control::why::WhyQuery) | [`Why`](ulm_control::why::Why) |
//! | `GET /v1/why-not` | [`WhyNotQuery`](ulm_control::questions::WhyNotQuery) | [`WhyNot`](ulm_control::questions::WhyNot) |
//! | `GET /v1/stillness` | | list of [`Stillness`](ulm_decide::Stillness), the most telling first |
//! | `GET /v1/reports` | [`ReportQuery`] | [`KeptDecision`](ulm_control::reports::KeptDecision): the decision in force at that time |
//! | `GET /v1/capacity` | [`Backing`](ulm_decide::Backing), `pages` in bytes | [`Capacity`](ulm_decide::Capacity) |
//! | `GET /v1/sharing` | | [`SharingReport`](ulm_decide::SharingReport) |
//! | `POST /v1/sharing` | a samples document, `ulm.samples/1` | the same, by what the samples show |
//! | `GET /v1/best-host` | `cpu`, `ram` in bytes, `label` as often as wanted, `cell` and `pages` as for capacity | list of [`BestHost`](ulm_decide::BestHost), the best first; 422 when there is none |
//! | `POST /v1/policy/reload` | | [`PolicyStatus`](ulm_control::view::PolicyStatus) |
//!
//! What goes wrong is told as [`Failure`] with a status code that fits, see [`crate::error`]. Keys that
//! are not known are refused, so that a misspelt one does not pass for an order that was obeyed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use ulm_decide::Decision;
use ulm_model::{Acting, HostName, PlanId, Reason, Time};

use crate::error::Sort;

/// Where the whole at a glance is.
pub const STATUS: &str = "/v1/status";
/// Where hosts are listed and added.
pub const HOSTS: &str = "/v1/hosts";
/// Where a host is tried.
pub const HOSTS_TEST: &str = "/v1/hosts/test";
/// Where one host is removed.
pub const HOST: &str = "/v1/hosts/{name}";
/// Where one host is taken out and back in.
pub const HOST_MAINTENANCE: &str = "/v1/hosts/{name}/maintenance";
/// Where a host is given tags.
pub const HOST_TAGS: &str = "/v1/hosts/{name}/tags";
/// Where VMs are listed.
pub const VMS: &str = "/v1/vms";
/// Where all that the last round observed is.
pub const SNAPSHOT: &str = "/v1/snapshot";
/// Where the last decision is.
pub const PLAN: &str = "/v1/plan";
/// Where a longer search for a plan is begun and looked at.
pub const PLAN_SEARCH: &str = "/v1/plan/search";
/// Where one that runs is ended.
pub const PLAN_SEARCH_ONE: &str = "/v1/plan/search/{id}";
/// Where a plan is handed in.
pub const PLAN_APPLY: &str = "/v1/plan/apply";
/// Where an accepted plan is followed.
pub const PLAN_STATUS: &str = "/v1/plans/{id}";
/// Where acting is switched.
pub const ACTING: &str = "/v1/acting";
/// Where moves are listed and asked for.
pub const MOVES: &str = "/v1/moves";
/// Where moves are aborted.
pub const MOVES_ABORT: &str = "/v1/moves/abort";
/// Where the ledger is read.
pub const LEDGER: &str = "/v1/ledger";
/// Where figures over time are read.
pub const HISTORY: &str = "/v1/history";
/// Where what a VM is expected to want is read.
pub const FORECAST: &str = "/v1/forecast";
/// Where it is told why a VM is where it is.
pub const WHY: &str = "/v1/why";
/// Where it is told why a VM does not go to a host.
pub const WHY_NOT: &str = "/v1/why-not";
/// Where it is told why nothing moves.
pub const STILLNESS: &str = "/v1/stillness";
/// Where decisions of the past are.
pub const REPORTS: &str = "/v1/reports";
/// Where it is told what there is room for.
pub const CAPACITY: &str = "/v1/capacity";
/// Where it is told what VMs have in common.
pub const SHARING: &str = "/v1/sharing";
/// Where a host for a new VM is found.
pub const BEST_HOST: &str = "/v1/best-host";
/// Where the policy's files are read again.
pub const POLICY_RELOAD: &str = "/v1/policy/reload";

/// The largest body of an order, in bytes.
pub const MAX_ORDER: usize = 64 << 10;
/// The largest plan document, in bytes: room for tens of thousands of steps.
pub const MAX_PLAN: usize = 16 << 20;

/// The largest samples document, in bytes: room for some thousand VMs.
pub const MAX_SAMPLES: usize = 64 << 20;

/// Switches acting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActingOrder {
    /// On or off.
    pub acting: Acting,
}

/// A host to be taken under care.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewHost {
    /// Where it is reached.
    pub uri: String,
    /// Its name in ULM; its own host name when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The name that a host got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostAdded {
    /// Its name in ULM.
    pub name: HostName,
}

/// A host to be tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialOrder {
    /// Where it is reached.
    pub uri: String,
}

/// Takes a host out or back in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceOrder {
    /// `true`: it takes no VMs from now on.
    pub on: bool,
}

/// Gives a host tags, instead of those that it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagsOrder {
    /// All of them.
    pub tags: BTreeSet<String>,
}

/// One VM that is to be moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveWish {
    /// The VM: its name or UUID.
    pub vm: String,
    /// The host that it is to go to.
    pub host: HostName,
}

/// Which moves are to be aborted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbortOrder {
    /// The VM: its name or UUID. All moves when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<String>,
}

/// Which decision of the past is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportQuery {
    /// The one that was in force then; the last one when not given.
    pub at: Option<Time>,
}

/// A decision with its plan's id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// The plan's id.
    pub id: PlanId,
    /// Plan, receipt and report.
    #[serde(flatten)]
    pub decision: Decision,
}

impl From<Decision> for Decided {
    fn from(decision: Decision) -> Self {
        Decided { id: decision.plan.id(), decision }
    }
}

/// An order without an answer of its own was carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong.
    pub error: Told,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// What sort of refusal, for programs.
    pub refusal: Sort,
    /// A sentence that says what is wrong and what to do next.
    pub message: String,
    /// Every reason, if rules speak against it.
    #[serde(default)]
    pub reasons: Vec<Reason>,
}
