//! The simulator: a cluster in virtual time that behaves as libvirt hosts were seen to behave.
//!
//! A [`Scenario`] says what there is and what goes wrong when. A [`SimCluster`] runs it and gives a driver for
//! each host. [`SimCluster::world`] is the truth behind them, for tests. The same scenario gives the same trace,
//! byte for byte, whoever polls when and in whatever order.
//!
//! ```
//! use ulm_drivers::Driver;
//! use ulm_drivers::sim::{HostSpec, Load, Scenario, SimCluster, VmSpec};
//! use ulm_model::Bytes;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
//! # runtime.block_on(async {
//! let scenario = Scenario::new(7)
//!     .host(HostSpec::new("h1", 8, Bytes::gib(32)))
//!     .vm(VmSpec::new("web", "h1", 4, Bytes::gib(8)).load(Load::constant(60.0)));
//! let cluster = SimCluster::in_virtual_time(&scenario).unwrap();
//! let reading = cluster.drivers()[0].reading().await.unwrap();
//! assert_eq!(reading.vms[0].name, "web");
//! # });
//! ```
//!
//! What is modelled: CPU shared in proportion to what is wanted, what a VM did not get as its delay;
//! resident sets, merged pages and an out-of-memory killer; live migration by pre-copy over links that are shared
//! max-min fairly; power, boots, restarts of libvirtd, cables, hypervisors that hang,
//! readings that lie ([`Fault`]). What is not: NUMA, the CPU that a move itself costs, throttling of
//! guests, post-copy (but its accident, [`Fault::BreakPostCopy`]), latency of calls.

mod driver;
mod effects;
mod fault;
mod host;
mod link;
mod load;
mod merging;
mod moves;
mod numa;
mod presets;
mod scenario;
mod text;
mod truth;
mod world;

pub use driver::{Held, SimCluster};
pub use effects::Effect;
pub use fault::{Fault, FaultAt, Lie, Manner, Orders};
pub use host::Power;
pub use load::{AfterEnd, Bursts, Load, Shape, Surge, points_from_csv};
pub use merging::Content;
pub use moves::{MoveRecord, Mover};
pub use numa::{CellSpec, PagesSpec};
pub use scenario::{DirtySpec, Homes, HostSpec, Physics, PowerAtStart, Scenario, ScenarioError, StateAtStart, VmSpec};
pub use truth::{HostTruth, Life, Peaks, Whereabouts};
pub use world::World;
