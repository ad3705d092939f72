//! The policy file: thresholds, limits, capacity, pins and exclusions. One TOML file, with units in its values.
//! And what a move costs, as an expression of the administrator's: [`MoveExpression`].
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
//! Every problem of a file is told at once, each with its place, what would be right, and the nearest known key.

mod expression;
mod goal;
mod policy;
mod problem;
mod read;
mod schema;
mod sources;
mod tags;
mod values;

pub use expression::{ExpressionCost, ExpressionError, MoveExpression, PlacementExpression, PlacementTable};
pub use goal::{Custom, Defragment, Goal, GoalKind, Shape, Spread, Worth};
pub use policy::{Everywhere, Hotspot, MoveBudget, Observe, Policy};
pub use problem::{PolicyError, Problem, Spot};
pub use schema::schema;
pub use sources::Sources;

/// The documented example: every key, sections with their defaults.
pub const EXAMPLE: &str = include_str!("../example.toml");
