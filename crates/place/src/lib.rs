//! Question 1, "which placement?". Two answers: relieve an overworked host, and a better placement of everything.
//!
//! [`relieve()`] takes a [`Scene`] (the rules' state and the projected loads) and an overworked host, and chooses moves: the
//! VM that uses most of the hot resource goes to the best host where it fits, else the second one, and so on. What was chosen is
//! counted in the scene before the next choice is made, so the order of calls is the order of precedence.
//!
//! [`search()`] takes a [`Problem`], a question in numbers with what everything costs, and looks for a cheaper placement.
//! [`anneal()`] looks longer, where there is time, and [`drain()`] over several rounds.

pub mod bound;
mod contract;
pub mod cost;
pub mod dice;
pub mod placement;
pub mod problem;
pub mod relieve;
pub mod scene;
pub mod search;

pub use cost::{Costs, cost};
pub use placement::Placement;
pub use problem::{
    Curve, Dependency, Disruption, Effort, Excess, Found, Package, Pages, PlaceHost, PlaceMove, PlaceVm, Points,
    Problem, Relation, RelationKind, Sharing, Table, WantedRoom,
};
pub use relieve::{Candidate, Choice, Count, Fate, Relief, Tried, relieve};
pub use scene::{Barred, Ceiling, Obstacle, Scene, Use};
pub use search::anneal::{Annealed, anneal};
pub use search::drain::{Drain, drain};
pub use search::search;
