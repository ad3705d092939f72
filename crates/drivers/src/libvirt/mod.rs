//! The libvirt driver: one host behind libvirt's remote protocol.
//!
//! [`LibvirtDriver::new`] never waits: it connects in the background and connects anew whenever the
//! connection breaks. [`connect_once`] is for a person who waits for an answer (`ulm host test`).
//!
//! What cannot be learned over libvirt leads to "not moved", never to a move that fails half-way. The rules:
//!
//! * **Networks** ([`facts`]). A host offers `network:NAME` for every active libvirt network, and
//!   `bridge:NAME` for every bridge that libvirt's interface driver names, that an active libvirt network
//!   stands on, or that a VM on the host is plugged into. Where the interface driver is missing, an
//!   empty host's bridges cannot be seen: [`LibvirtOptions::networks`] declares them. Physical interfaces that
//!   VMs use directly (`direct:NAME`) are offered only when declared.
//! * **Storage** ([`storage`]). A disk can be reached from elsewhere if its path lies in a directory declared as shared
//!   ([`LibvirtOptions::shared_paths`], word `path:/dir`), or if it belongs to a pool of a shared kind (word
//!   `pool:NAME (kind source at target)`, so that pools of one name with different contents are told apart), or
//!   if it is a network disk (word `network-disk:PROTOCOL`). Any other disk is local and ties its VM.
//! * **CPU** ([`cpu`]). libvirt itself compares a named CPU model with what the target's emulator offers. A
//!   passed-through host CPU needs the same CPU on the target, feature by feature.
//! * **Memory** ([`cells`]). A host's NUMA cells and huge pages, and what is free of them; what a VM's definition asks of them.
//! * **Merging**. What a host's kernel counts of merged pages, if its libvirt tells; whether it merges at all is its
//!   administrator's choice.
//! * **Definition** ([`definition`]). Passthrough devices, host folders, memory in pages of several sizes, encrypted
//!   memory, snapshots, block jobs and the emulator's own arguments tie a VM, each with its own sentence.

mod amount;
mod answers;
pub mod capabilities;
pub mod cells;
mod connect;
pub mod cpu;
pub mod definition;
mod driver;
mod errors;
mod events;
pub mod facts;
mod jobs;
mod memory;
mod merging;
mod moves;
mod options;
mod peer;
mod reading;
pub mod storage;
mod xml;

pub use connect::{Probe, connect_once};
pub use driver::LibvirtDriver;
pub use options::LibvirtOptions;
pub use xml::XmlError;
