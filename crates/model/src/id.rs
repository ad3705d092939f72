//! Names outside, small dense numbers inside.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A physical host's name: unique in one ULM, given when the host is added (its own host name by default).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostName(pub String);

/// A VM's identity: its libvirt UUID, which stays the same wherever the VM runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VmId(pub Uuid);

/// A host's place in [`Snapshot::hosts`](crate::Snapshot::hosts). Means nothing in another snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostIx(pub u32);

/// A VM's place in [`Snapshot::vms`](crate::Snapshot::vms). Means nothing in another snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VmIx(pub u32);

impl HostIx {
    /// As an index into a slice that runs parallel to the snapshot's hosts.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

impl VmIx {
    /// As an index into a slice that runs parallel to the snapshot's VMs.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

impl From<&str> for HostName {
    fn from(name: &str) -> Self {
        HostName(name.to_owned())
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
