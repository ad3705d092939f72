//! A small fake libvirtd, for tests and benchmarks (cargo feature `fake-server`).
//!
//! It listens on loopback, a Unix socket or in memory, knows a made-up host with VMs, and can be
//! told to misbehave: to hang, to be slow, to send garbage, to cut off.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use ulm_libvirt::testing::{FakeHost, FakeServer};
//! use ulm_libvirt::{Connection, DomainFilter};
//! let server = FakeServer::tcp(FakeHost::with_vms("h1", 30)).await.unwrap();
//! let host = Connection::open(&server.uri()).await.unwrap();
//! assert_eq!(host.domains(DomainFilter::ALL).await.unwrap().len(), 30);
//! # }
//! ```

mod answers;
mod host;
mod server;

pub use host::{FakeCell, FakeHost, FakePages, FakeVm};
pub use server::{Answer, Behaviour, FakeServer, Gate};
