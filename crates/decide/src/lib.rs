//! Snapshot + policy + clock → plan + reasons. Pure, deterministic, and the only place that combines rules, forecast, placement,
//! policy and checker.
//!
//! ```
//! use ulm_decide::{Input, Past, decide};
//! use ulm_model::{Acting, Snapshot, Time};
//! use ulm_policy::Policy;
//!
//! let snapshot = Snapshot { taken_at: Time(1000), ..Snapshot::default() };
//! let input = Input::new(snapshot, Time(1000), Acting::Off, Past::default());
//! let decision = decide(&input, &Policy::default());
//! assert!(decision.plan.steps.is_empty());
//! println!("{}", decision.report);
//! ```
//!
//! [`Input`] is one value that holds everything a decision may see, so a bug report is a file: the same input and
//! the same policy give the same decision, byte for byte. [`decide`] reads like a list of sentences; each gate stands in the
//! open and what it holds back is in the [`Report`] with its reasons.
//!
//! Which VMs are wanted where is one question; how they get there another one: [`way()`] asks [`ulm_path`] for an order of moves that is
//! sane all the way, and lets other VMs make room where that is needed.
//!
//! Whether acting is on changes nothing in the plan: a dry run is the same decision that nobody carries out.

mod by_hand;
mod capacity;
mod cells;
mod concerns;
mod decision;
mod draft;
mod explain;
mod figures;
mod gates;
mod goals;
mod hot;
mod input;
mod longer;
mod report;
mod round;
mod seek;
mod sharing;
mod wanted;
mod way;
mod worth;

pub use by_hand::migrate_by_hand;
pub use capacity::{Backing, BestHost, Capacity, LargestVm, Rooms, Wish, best_host, capacity};
pub use decision::decide;
pub use explain::{Standing, Stillness, standing, still, stillness, why_not, why_not_anywhere};
pub use input::{Input, Past, VmPast};
pub use longer::{Longer, Work, decide_longer};
pub use report::{
    Answer, Bound, Decision, Gate, GateReport, GoalReport, HostReport, LongerSearch, Outcome, Reached, Relief, Report,
    SetAside, VmReport,
};
pub use sharing::{SharingOfGroup, SharingOfHost, SharingPlan, SharingReport, sharing};
pub use wanted::Wanted;
pub use way::{Way, way};
