//! Cases beside a policy: given such a cluster, when it is such a time, then this is decided.
//!
//! ```
//! use ulm_policy::{Case, Sources};
//! let text = r#"
//! [[case]]
//! name = "nothing is done about a quiet cluster"
//! [[case.given.host]]
//! name = ["h1", "h2"]
//! [[case.given.vm]]
//! name = "web1"
//! host = "h1"
//! [case.then]
//! moves = []
//! "#;
//! let cases = Case::read(&Sources::new("policy.test.toml", text)).unwrap();
//! assert_eq!(cases[0].hosts.len(), 2);
//! assert_eq!(cases[0].then.moves, Some(vec![]));
//! ```
//!
//! This room only reads them, with errors of the same look as a policy's; `docs/policy-tests.md` describes the format. Who may
//! decide runs them.

use std::collections::BTreeSet;
use std::time::Duration;

use ulm_model::{Bytes, MilliCpu, Time};

use crate::{PolicyError, Sources};

/// What is decided in a situation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What it shows, in a sentence.
    pub name: String,
    /// The file that it stands in.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The present time.
    pub when: Time,
    /// The hosts; there is at least one, and names are unique.
    pub hosts: Vec<GivenHost>,
    /// The VMs, each on one of the hosts; names are unique.
    pub vms: Vec<GivenVm>,
    /// What is to be decided.
    pub then: Then,
}

/// A host of a case. All its figures are as they have been for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenHost {
    /// Its name.
    pub name: String,
    /// CPUs.
    pub cpus: u32,
    /// Memory in all.
    pub memory: Bytes,
    /// CPU that is in use beside its VMs'.
    pub own_cpu: MilliCpu,
    /// Memory that is in use beside its VMs'.
    pub own_memory: Bytes,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// Whether it is taken out.
    pub maintenance: bool,
}

/// A VM of a case. All its figures are as they have been for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenVm {
    /// Its name.
    pub name: String,
    /// The host that it is on.
    pub host: String,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Its size.
    pub memory: Bytes,
    /// CPU that it uses.
    pub cpu: MilliCpu,
    /// Memory of the host that it holds.
    pub memory_use: Bytes,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// How long ago it was moved, each time.
    pub moved: Vec<Duration>,
    /// The host that it was on before the last of these moves, if that matters.
    pub moved_from: Option<String>,
}

/// What is to be decided. What is not said is not asked for; something is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Then {
    /// Exactly these moves, in any order.
    pub moves: Option<Vec<GivenMove>>,
    /// Each of these VMs moves.
    pub moving: Vec<String>,
    /// None of these VMs moves.
    pub staying: Vec<String>,
    /// At least so many moves.
    pub at_least: Option<u32>,
    /// At most so many moves.
    pub at_most: Option<u32>,
    /// Every move is away from one of these hosts; empty: from wherever.
    pub from: Vec<String>,
    /// Every move is to one of these hosts; empty: to wherever.
    pub to: Vec<String>,
    /// These hosts have no VM when all moves have ended.
    pub empty: Vec<String>,
    /// The code of the one reason that tells most: why the first move is made, or why none is.
    pub because: Option<String>,
    /// Codes of reasons that the decision gives somewhere.
    pub says: Vec<String>,
    /// Why VMs do not go to hosts.
    pub why_not: Vec<WhyNot>,
}

/// A move that is to be decided on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GivenMove {
    /// The VM.
    pub vm: String,
    /// The host that it is on.
    pub from: String,
    /// The host that it goes to.
    pub to: String,
}

/// Why a VM does not go to a host, among other reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhyNot {
    /// The VM.
    pub vm: String,
    /// The host.
    pub host: String,
    /// The reason's code.
    pub reason: String,
}

impl Case {
    /// The present of cases that say none: a Wednesday, at noon in UTC. 2026-11-25T12:00:00Z.
    pub const NOON: Time = Time(1_795_608_000_000);

    /// Reads the cases of all texts, in their order; or tells everything that is wrong with them.
    pub fn read(sources: &Sources) -> Result<Vec<Case>, PolicyError> {
        crate::read::cases::read(sources).map_err(|problems| PolicyError::new(sources, problems))
    }
}

/// As it is written: `db1: h1 -> h2`.
impl std::fmt::Display for GivenMove {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} -> {}", self.vm, self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noon_is_noon() {
        assert_eq!(Case::NOON.to_string(), "2026-11-25T12:00:00Z");
    }
}
