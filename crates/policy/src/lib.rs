//! The policy file: what is wanted, when, and for whom: goals, rules, thresholds, limits and capacity. One TOML file with units in its
//! values, and those in the folder beside it ([`Sources`]). And expressions of the administrator's: what a move costs
//! ([`MoveExpression`]), and what it costs that a VM is on a host ([`PlacementExpression`]).
//!
//! ```
//! use ulm_model::Share;
//! let policy = ulm_policy::Policy::parse("[hotspot]\ncpu = \"80%\"\n", "ulm.toml").unwrap();
//! assert_eq!(policy.hotspot.cpu, Share::percent(80));
//! assert_eq!(policy.limits.moves, 4); // the rest stays at its default
//!
//! let wrong = ulm_policy::Policy::parse("[hotspot]\ncpu = 80\n", "ulm.toml").unwrap_err();
//! assert_eq!(wrong.problems[0].at.line, 2);
//! ```
//!
//! `example.toml` beside this crate's manifest documents every key and holds the defaults; a test keeps it so.
//! Every problem of all files is told at once, each with its place, what would be right, and the nearest known key; rules that contradict
//! each other with both places. One set of tables of keys serves the reader and the [`schema`] for editors. `presets/` beside the
//! manifest has policies to begin with, `docs/policy.md` is the reference.

mod case;
mod expression;
mod goal;
mod policy;
mod problem;
mod read;
mod schema;
mod sources;
mod tags;
mod values;

pub use case::{Case, GivenHost, GivenMove, GivenVm, Then, WhyNot};
pub use expression::{ExpressionCost, ExpressionError, MoveExpression, PlacementExpression, PlacementTable};
pub use goal::{Custom, Defragment, Goal, GoalKind, Merge, PagesFault, Shape, Spread, Worth, pages_fault};
pub use policy::{Everywhere, Hotspot, MoveBudget, Observe, Policy};
pub use problem::{PolicyError, Problem, Spot};
pub use schema::schema;
pub use sources::Sources;

/// The documented example: every key, sections with their defaults.
pub const EXAMPLE: &str = include_str!("../example.toml");
