//! VMs as they were observed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Bytes, BytesPerSecond, CpuNeed, HostIx, MilliCpu, Recent, Share, VmId};

/// One VM that holds resources on a host: running, paused or otherwise alive. VMs that are shut off are not listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vm {
    /// Unique in the snapshot.
    pub id: VmId,
    /// Its libvirt name; for people, unique on one host only.
    pub name: String,
    /// The host that runs it. While it moves, the host it comes from.
    pub host: HostIx,
    /// What it does.
    pub state: VmState,
    /// Virtual CPUs that are on line.
    pub vcpus: u32,
    /// Memory that it may take at most (its size, not its balloon's momentary value): what capacity rules count.
    pub memory: Bytes,
    /// CPU in use, newest last.
    pub cpu_use: Recent<MilliCpu>,
    /// Memory of the host that its process holds (resident set).
    pub memory_use: Recent<Bytes>,
    /// CPU time that its virtual CPUs wanted and did not get, as a share of wall time and vCPUs: contention ("CPU ready").
    pub contention: Recent<Share>,
    /// Bytes through its network interfaces, both directions.
    pub network: Option<BytesPerSecond>,
    /// Bytes read and written on its disks.
    pub disk: Option<BytesPerSecond>,
    /// What a host must offer to run it. `None` until its definition was read: then it is not moved.
    pub needs: Option<Needs>,
    /// What ties it to its host. Empty: it can move.
    pub fixtures: Vec<Fixture>,
    /// Free words that policies select by.
    pub tags: BTreeSet<String>,
    /// Its pages are never merged with equal ones of other VMs: they are encrypted, or shared with a process of the host, or its
    /// definition says so. Huge pages, which are never merged either, are said by [`Needs::pages`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unmergeable: bool,
}

/// What a VM does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VmState {
    /// Executes.
    Running,
    /// Held by somebody; keeps its memory.
    Paused,
    /// Alive in another state (shutting down, crashed and kept, suspended by its guest); keeps its memory, is not moved.
    Other,
}

/// What a host must offer to run a VM.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Needs {
    /// CPU architecture, e.g. `x86_64`.
    pub arch: String,
    /// CPU model and features.
    pub cpu: CpuNeed,
    /// Networks, in the notation of [`Host::networks`](crate::Host::networks).
    pub networks: BTreeSet<String>,
    /// Storage, in the notation of [`Host::storage`](crate::Host::storage).
    pub storage: BTreeSet<String>,
    /// The size of the huge pages that its memory is in; `None`: ordinary pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<Bytes>,
    /// The numbers of the host's NUMA cells that its memory is strictly bound to; empty: any.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub cells: BTreeSet<u32>,
}

/// Something that ties a VM to its host, so that it cannot move.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fixture {
    /// A physical device handed to the guest.
    Passthrough {
        /// Which, e.g. `pci 0000:3b:00.0`.
        device: String,
    },
    /// A disk that only this host has.
    LocalDisk {
        /// Its path or volume.
        path: String,
    },
    /// Anything else that the hypervisor says prevents a move.
    Other {
        /// In the hypervisor's words.
        what: String,
    },
}
