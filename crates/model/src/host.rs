//! Physical hosts as they were observed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Bytes, HostName, Merging, MilliCpu, Reason, Recent};

/// One physical host: what it has, what it uses, what it offers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Unique in the snapshot.
    pub name: HostName,
    /// Whether it may be counted on.
    pub state: HostState,
    /// CPU time that it can give, in all: 1000 per CPU that is on line.
    pub cpu: MilliCpu,
    /// Memory in all, as the host itself sees it.
    pub memory: Bytes,
    /// CPU in use by everything on it, newest last; never more than [`Host::cpu`].
    pub cpu_use: Recent<MilliCpu>,
    /// Memory that could not be given to a new VM at once (total less available), newest last.
    pub memory_use: Recent<Bytes>,
    /// What its CPUs and hypervisor are.
    pub platform: Platform,
    /// What it answered when asked whether it can run a VM that needs such a CPU. A need that is missing here was not asked for yet.
    #[serde(with = "crate::text::pairs")]
    pub cpu_verdicts: BTreeMap<CpuNeed, CpuVerdict>,
    /// Networks that VMs can join here: `network:NAME` for libvirt networks that are active, `bridge:NAME` for host bridges.
    pub networks: BTreeSet<String>,
    /// Storage that VMs can use here: `pool:NAME` for libvirt pools that are active, `path:/dir` for shared directories.
    pub storage: BTreeSet<String>,
    /// Free words that policies select by; those of the form `key=value` are labels.
    pub tags: BTreeSet<String>,
    /// Its NUMA cells, in the order of their numbers; empty when they are not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<Cell>,
    /// What it counts of merged pages; `None` when it does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merging: Option<Merging>,
}

/// A NUMA cell of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Its number.
    pub id: u32,
    /// CPUs.
    pub cpus: u32,
    /// Memory in all.
    pub memory: Bytes,
    /// Memory that is free now, huge pages aside.
    pub free: Bytes,
    /// Huge pages, by size.
    pub pages: Vec<HugePages>,
}

/// Huge pages of one size in a NUMA cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HugePages {
    /// The size of a page.
    pub size: Bytes,
    /// Memory in such pages.
    pub total: Bytes,
    /// Of which nobody uses this.
    pub free: Bytes,
}

/// Whether a host may be counted on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// Answers, and may give and take VMs.
    Up,
    /// Taken out by an administrator: takes no VMs.
    Maintenance,
    /// Does not answer; its VMs are those that were last seen on it.
    Unreachable {
        /// Why, in a sentence.
        because: Box<Reason>,
    },
}

/// What a host's CPUs and hypervisor are, in libvirt's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// CPU architecture, e.g. `x86_64`.
    pub arch: String,
    /// CPU model as the host names it, e.g. `EPYC-Rome`; for people.
    pub cpu_model: String,
    /// Hypervisor and its version, e.g. `QEMU 10.0.2`; for people.
    pub hypervisor: String,
}

/// The CPU that a VM needs, as canonical text (for libvirt: its `<cpu>` element with virtualisation type and machine).
///
/// VMs with equal text need equal CPUs; hosts are asked once for each text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CpuNeed(pub String);

/// A host's answer to a [`CpuNeed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CpuVerdict {
    /// It can run such a VM.
    Offered,
    /// It cannot.
    Missing {
        /// What is missing, in the hypervisor's words.
        what: String,
    },
}
