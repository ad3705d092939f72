//! Question 1, "which placement?". Today one answer: relieve an overworked host.
//!
//! [`relieve()`] takes a [`Scene`] (the rules' state and the projected loads) and an overworked host, and chooses moves: the
//! VM that uses most of the hot resource goes to the best host where it fits, else the second one, and so on. What was chosen is
//! counted in the scene before the next choice is made, so the order of calls is the order of precedence.

pub mod problem;
pub mod relieve;
pub mod scene;

pub use problem::{
    Curve, Effort, Found, Package, PlaceHost, PlaceMove, PlaceVm, Points, Problem, Relation, RelationKind, Table,
    WantedRoom,
};
pub use relieve::{Candidate, Choice, Count, Fate, Relief, Tried, relieve};
pub use scene::{Barred, Ceiling, Obstacle, Scene, Use};
