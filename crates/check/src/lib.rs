//! The independent verifier of any plan, route or proof from anyone.
//!
//! It shares with the rooms that make them the data ([`ulm_model`]) and the meaning as it is written down there, and not a
//! line of code: everything here is evaluated in the plainest way. There are three doors:
//!
//! * [`check`] judges a plan against a snapshot and the administrator's rulebook, and [`check_beginning`] what of it begins now.
//! * [`check_route`] judges a route against its task.
//! * [`check_certificate`] judges a proof that there is no route.
//!
//! A plan or a route is sane when no state that it can reach breaks a rule. Steps may run at the same time unless one waits for
//! another; a step may fail, hang or be tried again; a VM that moves counts on both hosts until the move has ended well. So
//! what has begun is there, and only that is surely gone which left by a step that a begun one waits for. The judgement is exact:
//! what is refused can really come to pass, and the sentence says how.
//!
//! ```
//! use ulm_check::{Grounds, check};
//! use ulm_model::*;
//! let snapshot = Snapshot::default();
//! let digest = snapshot.digest();
//! let rulebook = Rulebook {
//!     capacity: Capacity { memory_overcommit: Share::WHOLE, memory_reserve: Bytes(0), cpu_overcommit: Share::percent(400) },
//!     limits: Limits { moves: 4, moves_per_host: 1 },
//!     rules: vec![],
//!     sharing: vec![],
//! };
//! let plan = Plan { parent: digest.clone(), made_at: Time(0), expires_at: Time(60_000), steps: vec![] };
//! let grounds = Grounds { snapshot: &snapshot, digest: &digest, rulebook: &rulebook, now: Time(1), past: &[] };
//! assert_eq!(check(&plan, &grounds).unwrap().plan, plan.id());
//! assert!(check(&plan, &Grounds { now: Time(60_000), ..grounds }).is_err());
//! ```
//!
//! ```
//! use ulm_check::{Completeness, check_certificate, check_route};
//! use ulm_model::*;
//! // Two full hosts that are to change their VMs, and no third one.
//! let host = |name: &str| TaskHost {
//!     name: name.into(), capacity: vec![4], takes: true, power: Power::On, moves_in: 1, moves_out: 1,
//! };
//! let vm = |name: &str, from, to| TaskVm {
//!     name: name.into(), from, to, size: vec![4], stays: false, copy: Copying::default(),
//! };
//! let task = Task {
//!     resources: vec![TaskResource { name: "memory".into(), holds: Holds::Always }],
//!     hosts: vec![host("h1"), host("h2")],
//!     vms: vec![vm("a", 0, 1), vm("b", 1, 0)],
//!     ..Task::default()
//! };
//! let action = RouteAction::Move { vm: 0, from: 0, to: 1, rate: 0 };
//! let steps = vec![RouteStep { action, after: vec![], start_ms: 0, end_ms: 5 }];
//! let route = Route { steps, makespan_ms: 5, ..Route::default() };
//! assert_eq!(
//!     check_route(&task, &route, Completeness::AnyPlacement).unwrap_err().to_string(),
//!     "while step 0 brings a to h2, memory on h2 can reach 8 of 4: b and a are there",
//! );
//! assert!(check_certificate(&task, &Certificate::Frozen { from: End::A, vms: vec![0, 1] }).is_ok());
//! ```

mod certificate;
mod end;
mod loads;
mod network;
mod order;
mod plan;
mod route;
mod terms;

pub use certificate::{CertificateFault, MOST_STATES, check_certificate};
pub use plan::{Fault, Grounds, Sane, check, check_beginning};
pub use route::{Arrived, Company, Completeness, Guest, RouteFault, check_route};
