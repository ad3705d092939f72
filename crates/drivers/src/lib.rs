//! One trait, several families of hypervisors. Today: libvirt and a deterministic simulator.
//!
//! A [`Driver`] speaks to *one* host. It reports facts and obeys orders; it makes no choices. What a
//! driver reports is raw (counters, states, definitions); the room above turns it into plausible
//! figures. Every call may fail and none may hang: drivers keep a deadline of their own on each call to
//! a hypervisor, and callers set another one around it.
//!
//! Both drivers pass the same suite, [`conformance`].

pub mod clock;
pub mod conformance;
pub mod driver;
pub mod libvirt;
pub mod sim;

pub use clock::{Clock, SystemClock, VirtualClock};
pub use driver::{
    Driver, DriverError, DriverEvent, ErrorKind, HostFacts, JobKind, JobProgress, Link, MemoryReading, MoveOrder,
    NodeCpu, Presence, Reading, RunState, VmFacts, VmReading,
};
