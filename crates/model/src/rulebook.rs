//! The administrator's limits and rules, as data only.
//!
//! They are data and nothing else so that those who decide and the checker, which shares no code with
//! them, can be given the very same value. What each field *means* is said here, once; both sides
//! write their own evaluation of it. Patterns: `*` stands for any run of characters, also none, `?` for
//! exactly one; everything else stands for itself, case included.

use serde::{Deserialize, Serialize};

use crate::{Bytes, Share};

/// Everything that a state and a plan are judged by, beside physics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rulebook {
    /// How much may be promised on a host.
    pub capacity: Capacity,
    /// How many moves may run at once.
    pub limits: Limits,
    /// Pins, exclusions and the like, in the order of the policy file.
    pub rules: Vec<Rule>,
}

/// How much may be promised on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// VMs' memory that may be promised, as a part of the host's memory less [`Capacity::memory_reserve`]; rounded down to a byte.
    pub memory_overcommit: Share,
    /// Memory of each host that is never promised: the host's own.
    pub memory_reserve: Bytes,
    /// Virtual CPUs that may be promised, as a part of the host's CPUs; rounded down to a whole one.
    pub cpu_overcommit: Share,
}

/// How many moves may run at once, foreign ones counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// In all.
    pub moves: u32,
    /// To and from one host together.
    pub moves_per_host: u32,
}

/// A rule about where VMs may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What reasons call it.
    pub name: String,
    /// What it asks for.
    pub kind: RuleKind,
    /// Which VMs it is about.
    pub vms: VmSelector,
    /// Which hosts it is about.
    pub hosts: HostSelector,
}

/// What a rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// No automatic moves: of the VMs, when it selects by VM; from and to the hosts, when it selects by host. Moves by hand are allowed.
    Exclude,
    /// The VMs go to none but the hosts.
    Pin,
    /// The VMs do not go to the hosts.
    KeepOff,
    /// The hosts take nothing, by hand neither.
    Maintenance,
}

/// Selects VMs. Each part that is given must match; with no part given nothing is selected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmSelector {
    /// A pattern for the name, or for the id in its usual hyphenated lower-case form.
    pub name: Option<String>,
    /// A pattern for one of its tags.
    pub tag: Option<String>,
}

/// Selects hosts. Each part that is given must match; with no part given nothing is selected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSelector {
    /// A pattern for the name.
    pub name: Option<String>,
    /// A pattern for one of its tags.
    pub tag: Option<String>,
}

impl VmSelector {
    /// Whether no part is given.
    pub fn is_empty(&self) -> bool {
        self.name.is_none() && self.tag.is_none()
    }
}

impl HostSelector {
    /// Whether no part is given.
    pub fn is_empty(&self) -> bool {
        self.name.is_none() && self.tag.is_none()
    }
}
