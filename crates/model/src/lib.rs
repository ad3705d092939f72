//! The words that every room of ULM shares: typed units, hosts, VMs, the snapshot, plans and reasons.
//!
//! Everything here is plain data without I/O, without a clock and without a choice of its own. A
//! [`Snapshot`] holds what was observed, a [`Plan`] what is to be done, a [`Reason`] why or why not,
//! a [`ledger::Entry`] what was begun and what came of it. Quantities are types ([`Bytes`],
//! [`MilliCpu`], [`Share`], [`Time`]), so that memory cannot be added to CPU.
//!
//! The text format of each is its serde form as JSON; [`text`] adds the schema version and the
//! errors with line and column.

pub mod acting;
pub mod anonymous;
pub mod calendar;
pub mod figure;
pub mod host;
pub mod id;
pub mod import;
pub mod ledger;
pub mod placement;
pub mod plan;
pub mod reason;
pub mod route;
pub mod route_file;
pub mod rulebook;
pub mod sharing;
pub mod snapshot;
pub mod task;
pub mod text;
pub mod time;
pub mod units;
pub mod vm;

pub use acting::Acting;
pub use calendar::{Calendar, CalendarSpan};
pub use figure::{Figure, Recent};
pub use host::{Cell, CpuNeed, CpuVerdict, Host, HostState, HugePages, Platform};
pub use id::{HostIx, HostName, VmId, VmIx};
pub use plan::{Action, Expected, Gain, Plan, PlanId, Step, StepId};
pub use reason::{Class, Reason, Resource};
pub use route::{Answer, Breach, Certificate, End, Route, RouteAction, RouteStep, Stopped};
pub use route_file::RouteFile;
pub use rulebook::{Capacity, HostSelector, Level, Limits, PastMove, Per, Rule, RuleKind, Rulebook, VmSelector, label};
pub use sharing::{Merging, Sharing, SharingClass, SharingGroup, SharingLevel, SharingNode, Trust};
pub use snapshot::{Doubt, InFlight, Scope, Snapshot};
pub use task::{
    Copying, Domains, Holds, Power, Task, TaskHost, TaskLink, TaskResource, TaskRule, TaskRuleKind, TaskVm,
};
pub use time::Time;
pub use units::{Bytes, BytesPerSecond, MilliCpu, Share};
pub use vm::{Fixture, Needs, Vm, VmState};
