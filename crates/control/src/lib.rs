//! The loop and the executor: observe, decide, check, act.
//!
//! [`daemon`] is the loop and owns all that changes. [`executor`] knows the accepted plans and which
//! steps are ready; [`act`] sees one move from its intention to its end, through the [`phase`]s that the
//! table allows; [`settle`] asks both hosts how it ended. [`books`] writes everything down before it
//! has an effect. Everybody else comes in by the [`handle`].
//!
//! ```text
//!  Handle ──orders──► Daemon ──round──► observe ─► decide ─► accept ─► check ─► act ─► settle ─► ledger
//!    ▲                                                                                      │
//!    └────────────────────────────── published ◄────────────────────────────────────────────┘
//! ```

pub mod act;
pub mod books;
pub mod connect;
pub mod daemon;
pub mod demand;
pub mod executor;
pub mod fleet;
pub mod handle;
pub mod journal;
pub mod longer;
pub mod order;
mod orders;
pub mod phase;
pub mod policy_file;
pub mod published;
pub mod questions;
pub mod reports;
mod samples;
pub mod settle;
pub mod simulated;
pub mod view;
pub mod why;

pub use daemon::{Config, Daemon, Keep, StartError};
pub use fleet::Connector;
pub use handle::Handle;
pub use order::{OrderError, Refusal};
pub use policy_file::PolicyFile;
