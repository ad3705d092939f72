//! What the daemon shows: plain values for the API, the command and the tests.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ulm_drivers::{HostFacts, JobProgress};
use ulm_model::ledger::{MoveKey, Outcome};
use ulm_model::{
    Acting, Bytes, Doubt, Figure, Fixture, HostName, MilliCpu, PlanId, Reason, Share, StepId, Time, VmId, VmState,
};

use crate::phase::Phase;

/// The whole at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// The daemon's clock.
    pub now: Time,
    /// When the daemon began to run.
    pub started_at: Time,
    /// Whether it acts.
    pub acting: Acting,
    /// Which policy is in force.
    pub policy: PolicyStatus,
    /// The last round of observation; `None` before the first has ended.
    pub round: Option<RoundStatus>,
    /// Every host, by name.
    pub hosts: Vec<HostStatus>,
    /// Moves that are wanted or run, by VM name.
    pub moves: Vec<MoveStatus>,
    /// Data that was refused in the last round.
    pub doubts: Vec<Doubt>,
    /// Why anything moves, or nothing does: the most telling reasons of the last decision.
    pub because: Vec<Reason>,
    /// What is wrong with ULM itself (a disk that is full, a policy that does not load), each with what to do.
    pub troubles: Vec<String>,
}

/// Which policy is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// The file that is watched, if any. The files of the folder beside it are part of it.
    pub file: Option<String>,
    /// Equal policies have equal ones.
    pub digest: String,
    /// Since when it is in force.
    pub since: Time,
    /// Why the files as they are now are not in force, if they are not: file, line, column, sentence.
    pub refused: Option<String>,
}

/// One round of observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundStatus {
    /// Counted from 1.
    pub number: u64,
    /// When its snapshot was taken.
    pub at: Time,
    /// From its beginning to the decision.
    pub took: Duration,
    /// From one round's beginning to the next's.
    pub every: Duration,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostStatus {
    /// Its name in ULM.
    pub name: HostName,
    /// Where it is reached.
    pub uri: String,
    /// Whether it may be counted on.
    pub state: HostCondition,
    /// Why it may not, if so.
    pub because: Vec<Reason>,
    /// The tags that policies select it by.
    pub tags: Vec<String>,
    /// Hypervisor and version, as far as known.
    pub hypervisor: String,
    /// CPU in all.
    pub cpu: MilliCpu,
    /// CPU in use, with its age.
    pub cpu_use: Option<Figure<MilliCpu>>,
    /// CPU in use as a share of all.
    pub cpu_share: Option<Share>,
    /// Memory in all.
    pub memory: Bytes,
    /// Memory in use, with its age.
    pub memory_use: Option<Figure<Bytes>>,
    /// Memory in use as a share of all.
    pub memory_share: Option<Share>,
    /// Memory promised to VMs, moves in flight counted on both ends.
    pub memory_promised: Bytes,
    /// VMs whose home it is.
    pub vms: u32,
    /// Virtual CPUs of those VMs.
    pub vcpus: u32,
}

/// Whether a host may be counted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostCondition {
    /// Answers and takes part.
    Up,
    /// Answers, but what it says is not believed: it is only watched.
    Doubted,
    /// Taken out by an administrator.
    Maintenance,
    /// Does not answer.
    Unreachable,
}

/// One VM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VmStatus {
    /// Its UUID.
    pub id: VmId,
    /// Its name.
    pub name: String,
    /// Its home.
    pub host: HostName,
    /// The host that it is moving to, if so.
    pub moving_to: Option<HostName>,
    /// What it does.
    pub state: VmState,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory that it may take.
    pub memory: Bytes,
    /// CPU in use, with its age.
    pub cpu_use: Option<Figure<MilliCpu>>,
    /// Memory of the host that it holds.
    pub memory_use: Option<Figure<Bytes>>,
    /// CPU that it wanted and did not get.
    pub contention: Option<Figure<Share>>,
    /// What ties it to its host.
    pub fixtures: Vec<Fixture>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// A move that is wanted or runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MoveStatus {
    /// Which move.
    pub key: MoveKey,
    /// Why it is made.
    pub because: Reason,
    /// Where it stands.
    pub phase: Phase,
    /// Since when it is wanted, or runs.
    pub since: Time,
    /// How far the copy is.
    pub progress: Option<JobProgress>,
    /// What holds it up, if anything.
    pub trouble: Option<String>,
}

/// An order was accepted; the plan can be followed by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The plan.
    pub plan: PlanId,
    /// How many steps it has.
    pub steps: u32,
}

/// How an accepted plan is getting on. Plans of before the last restart are found in the ledger only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanStatus {
    /// The plan.
    pub plan: PlanId,
    /// Who ordered it: a user, or `policy`.
    pub by: String,
    /// Its steps, by id.
    pub steps: Vec<StepStatus>,
}

/// How one step of an accepted plan is getting on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepStatus {
    /// The step.
    pub step: StepId,
    /// Which move it is.
    pub key: MoveKey,
    /// Where it stands.
    pub phase: Phase,
    /// How far the copy is.
    pub progress: Option<JobProgress>,
    /// The settled outcome, when it has ended.
    pub outcome: Option<Outcome>,
    /// Why it was not begun, when it was refused.
    pub refused: Option<Reason>,
}

/// What a trial connection to a host found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostTrial {
    /// Its facts.
    pub facts: HostFacts,
    /// CPUs on line.
    pub cpus: u32,
    /// Memory in all.
    pub memory: Bytes,
    /// VMs that hold resources on it.
    pub vms: u32,
    /// From the first byte to the last answer.
    pub took: Duration,
    /// How other hosts reach it for a move.
    pub peer_uri: String,
}

/// Which entries of the ledger are wanted. All conditions hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerQuery {
    /// About this VM: its name or UUID.
    pub vm: Option<String>,
    /// About this host.
    pub host: Option<HostName>,
    /// Of this plan: its id or the beginning of it.
    pub plan: Option<String>,
    /// Not before.
    pub since: Option<Time>,
    /// Before.
    pub until: Option<Time>,
    /// At most so many, the newest; 100 when not given.
    pub limit: Option<u32>,
}

/// Which figures are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// Of which host or VM: a name or UUID.
    pub of: String,
    /// Which metric; all when not given.
    #[serde(default)]
    pub metric: Option<String>,
    /// From then on.
    pub from: Time,
    /// Until then, exclusive.
    pub to: Time,
    /// At most about so many points per series; the resolution follows from it.
    pub points: u32,
}

/// The figures of one metric over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Of which host or VM, by name.
    pub of: String,
    /// Which metric.
    pub metric: String,
    /// Its unit, e.g. `mCPU`, `bytes`.
    pub unit: String,
    /// Oldest first.
    pub points: Vec<SeriesPoint>,
}

/// One point, or the sum of an interval that begins at it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesPoint {
    /// When.
    pub at: Time,
    /// Mean over the interval, or the sample itself.
    pub mean: f64,
    /// Largest value in the interval.
    pub max: f64,
}

/// Which forecast is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForecastQuery {
    /// Of which VM: its name or UUID.
    pub of: String,
    /// For so many hours from now on, 1 to [`ForecastQuery::MOST_HOURS`]; 24 when not given.
    #[serde(default = "ForecastQuery::a_day")]
    pub hours: u32,
}

impl ForecastQuery {
    /// No forecast reaches further than a week.
    pub const MOST_HOURS: u32 = 168;

    fn a_day() -> u32 {
        24
    }
}

/// What a VM is expected to want.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Which VM, by name.
    pub of: String,
    /// Its UUID.
    pub id: VmId,
    /// Its size: all its virtual CPUs.
    pub whole: MilliCpu,
    /// How much time this was learned from. Less than an hour: nothing is known but the size. Less than a day: only the most that
    /// was seen is.
    pub learned: Duration,
    /// Quarters of an hour of the week, of 672, that were seen at least once.
    pub seen: usize,
    /// By quarters of an hour.
    pub points: Vec<ForecastPoint>,
}

/// What is expected in the quarter of an hour that begins at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForecastPoint {
    /// When it begins.
    pub at: Time,
    /// Half of the time it is not more than this.
    pub median: MilliCpu,
    /// 95 % of the time it is not more than this.
    pub high: MilliCpu,
}

impl PlanStatus {
    /// Whether every step is over.
    pub fn is_over(&self) -> bool {
        self.steps.iter().all(|step| step.phase.is_final())
    }
}
