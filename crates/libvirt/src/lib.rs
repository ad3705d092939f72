//! An asynchronous client of libvirt's remote protocol in pure Rust.
//!
//! No C library, no threads of its own: tokio tasks and bytes. It connects over a Unix socket, TCP,
//! TLS or the admin's own ssh, and speaks to any libvirtd, virtqemud or virtproxyd.
//!
//! * [`Uri`] says where a daemon is, [`Connection`] is one conversation with it, [`Link`] keeps a
//!   conversation alive by building it anew when it breaks.
//! * The calls are methods of [`Connection`], in the modules of what they are about:
//!   [`node`] (the host), [`domain`] (VMs), [`stats`] (figures of all VMs at once), [`job`]
//!   (progress of a migration), [`migrate`], [`events`].
//! * Figures carry their unit in the name: `_ns`, `_ms`, `_bytes`, `_bps` (bytes per second).
//! * Every error is an [`Error`], says what happened and, for the usual cases, what to do next.
//!
//! ```no_run
//! # async fn example() -> ulm_libvirt::Result<()> {
//! use ulm_libvirt::{Connection, StatsRequest, Uri};
//! let uri: Uri = "qemu:///system".parse()?;
//! let host = Connection::open(&uri).await?;
//! for vm in host.domain_stats(&StatsRequest::default()).await? {
//!     println!("{}: {:?} ns of CPU time", vm.domain.name, vm.cpu.total_ns);
//! }
//! # Ok(()) }
//! ```
//!
//! What comes from the network is hostile until checked: over-long, short, cut-off or nonsensical
//! frames end the connection with an error; nothing panics and nothing is allocated on the word
//! of a length field alone (see [`frame`] and [`xdr`]).

mod codes;
mod connection;
pub mod domain;
mod engine;
mod error;
pub mod events;
pub mod frame;
pub mod job;
mod keepalive;
mod link;
pub mod migrate;
pub mod node;
mod procedures;
pub mod stats;
#[cfg(any(test, feature = "fake-server"))]
pub mod testing;
mod transport;
mod typed_params;
mod uri;
pub mod xdr;

pub use connection::{Access, ConnectOptions, Connection, KeepAlive, Version};
pub use domain::{Domain, DomainFilter, DomainState};
pub use error::{
    Error, ErrorCode, ErrorLevel, ErrorWire, LibvirtError, ProtocolError, Result, TransportError, TransportFault,
};
pub use events::{Event, EventKind, EventStream, Incoming};
pub use job::JobStats;
pub use link::{Backoff, Link, LinkOptions, LinkState};
pub use migrate::{MigrateFlags, MigrateParams};
pub use node::{CpuComparison, NodeCpuStats, NodeInfo, NodeMemoryParameters, NodeMemoryStats};
pub use procedures::{Feature, Procedure};
pub use stats::{DomainStats, StatsRequest};
pub use typed_params::{TypedParam, TypedParams, Value};
pub use uri::{SshOptions, SshProxy, TlsOptions, Transport, Uri, UriError, Verify};
