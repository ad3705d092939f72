//! What makes a state or a move sane, each rule with a reason code and a sentence.
//!
//! One file per rule; each begins with its formal meaning in one line and has its own tests:
//!
//! | rule | holds | about | reason code |
//! |---|---|---|---|
//! | [`memory`] | in every state, moves in flight counted on both ends | host | `capacity.memory` |
//! | [`memory_used`] | when a move begins | host | `capacity.memory_used` |
//! | [`vcpus`] | in every state, moves in flight counted on both ends | host | `capacity.cpu` |
//! | [`arch`] | in every state | VM and host | `platform.arch` |
//! | [`cpu_model`] | in every state | VM and host | `platform.cpu`, `data.cpu_unknown` |
//! | [`networks`] | in every state | VM and host | `platform.network` |
//! | [`storage`] | in every state | VM and host | `platform.storage` |
//! | [`fixtures`] | in every state | VM | `vm.immovable` |
//! | [`vm_state`] | when a move begins | VM | `vm.not_running`, `vm.moving`, `data.unread` |
//! | [`host_state`] | when a move begins | host | `host.maintenance`, `host.unreachable` |
//! | [`doubts`] | when a move begins | all, host or VM | the doubt's own |
//! | [`orders`] | in every state that a move makes | VM and host | `rule.*`, `host.maintenance` |
//!
//! All rules are monotone: taking a VM away from a host never makes the host's state insane. So a move can
//! only do harm at its target, and only while it or something else arrives there.
//!
//! How to use it: build a [`State`] from a snapshot and a rulebook, ask for a VM's [`Profile`] once, then ask for as many
//! hosts as needed. [`State::blocker`] is integers only; [`State::why_not`] makes sentences.
//!
//! ```
//! use ulm_model::{Capacity, Limits, Rulebook, Share, Bytes, Snapshot};
//! use ulm_rules::State;
//! let rulebook = Rulebook {
//!     capacity: Capacity { memory_overcommit: Share::WHOLE, memory_reserve: Bytes::mib(512), cpu_overcommit: Share::percent(400) },
//!     limits: Limits { moves: 4, moves_per_host: 1 },
//!     rules: vec![],
//! };
//! let snapshot = Snapshot::default();
//! let state = State::new(&snapshot, &rulebook);
//! assert!(state.hosts().is_empty());
//! ```

pub mod arch;
pub mod bits;
pub mod cpu_model;
pub mod doubts;
pub mod fixtures;
pub mod host_state;
pub mod memory;
pub mod memory_used;
pub mod networks;
pub mod orders;
pub mod pattern;
mod state;
pub mod storage;
#[cfg(test)]
mod testing;
pub mod vcpus;
pub mod vm_state;

pub use bits::HostSet;
pub use orders::Initiative;
pub use state::{Blocker, Load, Profile, Room, State};
