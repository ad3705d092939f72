//! What makes a state or a move sane, each rule with a reason code and a sentence.
//!
//! One file per rule; each begins with its formal meaning in one line and has its own tests:
//!
//! | physics | holds | about | reason code |
//! |---|---|---|---|
//! | [`memory`] | in every state, moves in flight counted on both ends | host | `capacity.memory` |
//! | [`merged`] | what [`memory`] counts once where equal pages are merged | host | |
//! | [`memory_used`] | when a move begins | host | `capacity.memory_used` |
//! | [`vcpus`] | in every state, moves in flight counted on both ends | host | `capacity.cpu` |
//! | [`arch`] | in every state | VM and host | `platform.arch` |
//! | [`cpu_model`] | in every state | VM and host | `platform.cpu`, `data.cpu_unknown` |
//! | [`networks`] | in every state | VM and host | `platform.network` |
//! | [`storage`] | in every state | VM and host | `platform.storage` |
//! | [`pages`] | when a move begins | VM and host | `platform.pages` |
//! | [`cells`] | when a move begins | VM and host | `platform.cells` |
//! | [`fixtures`] | in every state | VM | `vm.immovable` |
//! | [`vm_state`] | when a move begins | VM | `vm.not_running`, `vm.moving`, `data.unread` |
//! | [`host_state`] | when a move begins | host | `host.maintenance`, `host.unreachable` |
//! | [`doubts`] | when a move begins | all, host or VM | the doubt's own |
//!
//! | the administrator's | holds | no worse | about | reason code |
//! |---|---|---|---|---|
//! | [`exclude`] | about each automatic move | | VM; host | `rule.excluded`, `rule.host_excluded` |
//! | [`pin`] | about each move | | VM and host | `rule.pinned` |
//! | [`keep_off`] | about each move | | VM and host | `rule.pinned` |
//! | [`maintenance`] | about each move | | host | `host.maintenance` |
//! | [`together`] | at the end | yes | VMs | `rule.together` |
//! | [`apart`] | continuously | yes | VMs | `rule.apart` |
//! | [`max_vms`] | continuously | yes | host | `rule.max_vms` |
//! | [`capacity`] | continuously | | host | those of [`memory`] and [`vcpus`] |
//! | [`headroom`] | continuously, automatic moves | | host | `rule.headroom` |
//! | [`spare`] | continuously | yes | hosts | `rule.spare` |
//! | [`one_way`] | about each move | | VM and host | `rule.one_way` |
//! | [`budget`] | about each move that begins | | VMs | `rule.budget_moves`, `rule.budget_downtime`, `rule.at_once` |
//! | [`window`] | about each automatic move that begins | | VM; host | `rule.window` |
//! | [`priority`] | about the choice of moves | | VM | |
//!
//! [`pin`], [`keep_off`], [`together`] and [`apart`] can be soft: then they forbid nothing, and [`State::unwished`] tells with `rule.soft`
//! what they would rather not have.
//!
//! All rules but [`together`] are monotone: taking a VM away from a host never makes the state insane. So a move can
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
//!     sharing: vec![],
//! };
//! let snapshot = Snapshot::default();
//! let state = State::new(&snapshot, &rulebook);
//! assert!(state.hosts().is_empty());
//! ```

pub mod apart;
pub mod arch;
pub mod bits;
pub mod budget;
pub mod capacity;
pub mod cells;
pub mod cpu_model;
pub mod domains;
pub mod doubts;
pub mod exclude;
pub mod fixtures;
pub mod headroom;
pub mod host_state;
pub mod index;
mod initiative;
pub mod keep_off;
pub mod maintenance;
pub mod max_vms;
pub mod memory;
pub mod memory_used;
pub mod merged;
pub mod networks;
pub mod numa;
pub mod one_way;
pub mod pages;
pub mod pattern;
pub mod pin;
pub mod priority;
pub mod select;
pub mod spare;
mod state;
pub mod storage;
#[cfg(test)]
mod testing;
pub mod together;
pub mod vcpus;
pub mod vm_state;
pub mod window;

pub use bits::HostSet;
pub use initiative::Initiative;
pub use state::{Blocker, Limit, Load, Moment, Profile, Room, State};
