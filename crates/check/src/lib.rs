//! The independent verifier of any plan from anyone.
//!
//! It shares with the rooms that make plans the data ([`ulm_model`]: snapshot, plan, rulebook) and the meaning of the rules as
//! it is written down there, and not a line of code: everything here is evaluated in the plainest way, from the names up.
//!
//! A plan is sane when no state that it can reach breaks a rule. Steps may run at the same time unless one waits for another
//! ([`ulm_model::Step::after`]); a step may fail, hang or be tried again; a VM that moves counts on both hosts until the move has
//! ended well. So when a step brings a VM to a host, everything may be there that was there or was on its way, and all that other
//! steps bring, except the steps that wait for this one; and only that is surely gone which left by a step that this one waits for.
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
//! };
//! let plan = Plan { parent: digest.clone(), made_at: Time(0), expires_at: Time(60_000), steps: vec![] };
//! let grounds = Grounds { snapshot: &snapshot, digest: &digest, rulebook: &rulebook, now: Time(1) };
//! assert_eq!(check(&plan, &grounds).unwrap().plan, plan.id());
//! assert!(check(&plan, &Grounds { now: Time(60_000), ..grounds }).is_err());
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
