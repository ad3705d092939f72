//! The question "how from A to B?" in numbers, and what each part of it means.
//!
//! A [`Task`] holds hosts, VMs with where each is in A and where it is to be in B, limits, rules and links. It is what the path
//! finder is asked and what the checker judges its answers by; the two share no code, so the meaning stands here, once.
//!
//! # Meaning
//!
//! A VM is on one host; while it moves it is on two: on its source until the move has ended well, on its target from the moment
//! that the move begins. *There* means either. Everything below holds in every state that can be reached, unless it
//! [`Holds::AtEnd`]: then it holds in B.
//!
//! * **Capacity.** What the VMs that are there ask of a resource is at most the host's capacity.
//! * **No worse.** Where A itself passes a limit (of capacity or of [`TaskRuleKind::AtMost`]), what A has there is the limit on
//!   the way. In B the limit itself holds.
//! * **A host that takes nothing** ([`TaskHost::takes`]), or that is to be switched off, is the target of no move.
//! * **A host that is off** is the target of no move before it was switched on; it is switched off after all its VMs have left.
//! * **A VM that stays** ([`TaskVm::stays`]) is not moved.
//! * Rules: see [`TaskRuleKind`].
//!
//! What a rule forbids as a target may be a VM's place in A: it may leave such a place, and never comes back.
//! Limits on moves at once and links ([`TaskHost::moves_in`], [`TaskLink`]) are no rules: they shape the timetable, and whoever
//! carries a route out keeps them by waiting.

use std::collections::HashSet;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// How from A to B: everything that decides it, the cost of moves aside.
///
/// Hosts, VMs, resources and rules are named by their places in these lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// What hosts have and VMs ask for; any number.
    pub resources: Vec<TaskResource>,
    /// The hosts; names are unique.
    pub hosts: Vec<TaskHost>,
    /// The VMs; names are unique.
    pub vms: Vec<TaskVm>,
    /// What must hold beside capacity.
    pub rules: Vec<TaskRule>,
    /// What moves share on their way.
    pub links: Vec<TaskLink>,
}

/// When something must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holds {
    /// In every state.
    #[default]
    Always,
    /// In B; on the way it may be broken.
    AtEnd,
}

/// Something that hosts have and VMs ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskResource {
    /// Its name, e.g. `memory`.
    pub name: String,
    /// When capacity must suffice.
    pub holds: Holds,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskHost {
    /// Its name.
    pub name: String,
    /// What it has of each resource, in the order of [`Task::resources`].
    pub capacity: Vec<u64>,
    /// Whether it may be the target of a move. `false`: it is being drained, it only gives.
    pub takes: bool,
    /// Whether it is on, in A and in B.
    pub power: Power,
    /// Moves to it at once: at least 1, which is usual. A host that is to take nothing says so in [`TaskHost::takes`].
    pub moves_in: u32,
    /// Moves from it at once: at least 1.
    pub moves_out: u32,
}

/// Whether a host is on in A and in B, and how long the change takes, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Power {
    /// It is on and stays on.
    #[default]
    On,
    /// It is off and stays off: it neither has nor takes VMs.
    Off,
    /// It is off and is to be switched on.
    SwitchOn {
        /// From the order until it takes VMs.
        takes_ms: u64,
    },
    /// It is on, is to be emptied and switched off: it takes nothing.
    SwitchOff {
        /// From the order until it is off.
        takes_ms: u64,
    },
}

/// A VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskVm {
    /// Its name.
    pub name: String,
    /// Its host in A.
    pub from: u32,
    /// Its host in B.
    pub to: u32,
    /// What it asks of each resource, in the order of [`Task::resources`].
    pub size: Vec<u64>,
    /// Whether it cannot move.
    pub stays: bool,
    /// What a move copies.
    pub copy: Copying,
}

/// How much a move copies, and how fast that changes meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copying {
    /// Memory in use, in bytes.
    pub bytes: u64,
    /// The hot set: memory that is written over and over, in bytes.
    pub hot_bytes: u64,
    /// Bytes per second written into the hot set.
    pub hot_rate: u64,
    /// Bytes per second dirtied outside of it.
    pub cold_rate: u64,
    /// How long a move takes, in milliseconds, where that is known and need not be forecast.
    pub takes_ms: Option<u64>,
}

/// A rule with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRule {
    /// What sentences call it.
    pub name: String,
    /// When it must hold.
    pub holds: Holds,
    /// Whether it is a wish that may be lifted if there is no other way; it holds like any other until somebody lifts it.
    pub soft: bool,
    /// What it asks for.
    pub kind: TaskRuleKind,
}

/// What a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskRuleKind {
    /// In each domain at most so many of the VMs are there. A VM is in a domain if it is on any of its hosts, and counts once.
    ///
    /// With one domain for each host and a limit of 1 that is anti-affinity; with racks as domains it spreads over racks; with all
    /// VMs it limits VMs per host.
    AtMost {
        /// Which VMs.
        vms: Vec<u32>,
        /// Sets of hosts that do not overlap.
        domains: Domains,
        /// How many at most in each.
        limit: u64,
    },
    /// The VMs are on one host.
    ///
    /// [`Holds::Always`]: they move as a group, all from one host to one other, and none begins a further move before all have
    /// arrived. A group that is not together in A, or not in B, is held together at the end only (and B is not sane without it).
    Together {
        /// Which VMs; a VM is in one such rule at most.
        vms: Vec<u32>,
    },
    /// The VMs are the target of moves to none but the hosts. In B they are on these.
    Only {
        /// Which VMs.
        vms: Vec<u32>,
        /// Which hosts.
        hosts: Vec<u32>,
    },
    /// The VMs are not moved to the hosts, and in B they are not there.
    Never {
        /// Which VMs.
        vms: Vec<u32>,
        /// Which hosts.
        hosts: Vec<u32>,
    },
    /// The VMs move only to hosts of the same or a higher rank: CPUs that have all that the older ones had. In B none is on a host of a
    /// lower rank than its host in A.
    OneWay {
        /// Which VMs.
        vms: Vec<u32>,
        /// The rank of each host.
        rank: Vec<u32>,
    },
}

/// Sets of hosts. A clone is the same list, until one of them is changed: thousands of rules over thousands of hosts share one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domains(Arc<Vec<Vec<u32>>>);

impl Domains {
    /// Each of so many hosts by itself.
    pub fn each(hosts: u32) -> Self {
        (0..hosts).map(|host| vec![host]).collect()
    }

    /// Whether the two are one list; equal ones need not be.
    pub fn is_shared_with(&self, other: &Domains) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for Domains {
    type Target = Vec<Vec<u32>>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Domains {
    fn deref_mut(&mut self) -> &mut Self::Target {
        Arc::make_mut(&mut self.0)
    }
}

impl From<Vec<Vec<u32>>> for Domains {
    fn from(sets: Vec<Vec<u32>>) -> Self {
        Domains(Arc::new(sets))
    }
}

impl FromIterator<Vec<u32>> for Domains {
    fn from_iter<T: IntoIterator<Item = Vec<u32>>>(sets: T) -> Self {
        sets.into_iter().collect::<Vec<_>>().into()
    }
}

/// Something that moves share: a host's network card, a rack's uplink.
///
/// It separates the hosts inside from those outside. A move that begins inside and ends outside goes out by it, one that begins
/// outside comes in by it, each with the full rate; others do not use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskLink {
    /// Its name.
    pub name: String,
    /// Bytes per second in each direction.
    pub rate: u64,
    /// The hosts inside.
    pub inside: Vec<u32>,
}

/// The largest sum that may occur: far enough below 2⁶³ that no difference or sum of two overflows.
pub const LARGEST: u64 = 1 << 61;

impl Task {
    /// What is wrong with the shape, if anything: lengths, indices, uniqueness, sums. Everybody may rely on a task without flaw.
    pub fn flaw(&self) -> Option<String> {
        let (hosts, vms) = (self.hosts.len() as u32, self.vms.len() as u32);
        if let Some(name) = twice(self.resources.iter().map(|one| &one.name)) {
            return Some(format!("resource {name} is there twice"));
        }
        if let Some(name) = twice(self.hosts.iter().map(|one| &one.name)) {
            return Some(format!("host {name} is there twice"));
        }
        if let Some(name) = twice(self.vms.iter().map(|one| &one.name)) {
            return Some(format!("VM {name} is there twice"));
        }
        for host in &self.hosts {
            if host.capacity.len() != self.resources.len() {
                return Some(format!("host {} does not say what it has of each resource", host.name));
            }
            if host.moves_in == 0 || host.moves_out == 0 {
                return Some(format!("host {} allows no move at all at a time: at least one must be", host.name));
            }
        }
        for vm in &self.vms {
            if vm.size.len() != self.resources.len() {
                return Some(format!("VM {} does not say what it asks of each resource", vm.name));
            }
            if vm.from >= hosts || vm.to >= hosts {
                return Some(format!("VM {} is on a host that is not listed", vm.name));
            }
            if vm.stays && vm.from != vm.to {
                return Some(format!("VM {} cannot move, but is to be on another host", vm.name));
            }
            if matches!(self.hosts[vm.from as usize].power, Power::Off | Power::SwitchOn { .. }) {
                let host = &self.hosts[vm.from as usize].name;
                return Some(format!("VM {} is on host {host}, which is off", vm.name));
            }
        }
        for (r, resource) in self.resources.iter().enumerate() {
            let asked = self.vms.iter().fold(0u64, |sum, vm| sum.saturating_add(vm.size[r]));
            let most = self.hosts.iter().map(|host| host.capacity[r]).max().unwrap_or(0);
            let had = self.hosts.iter().fold(0u64, |sum, host| sum.saturating_add(host.capacity[r]));
            if asked >= LARGEST || most >= LARGEST || had >= LARGEST {
                return Some(format!("the amounts of {} add up to 2^61 or more: use a larger unit", resource.name));
            }
        }
        let in_range = |list: &[u32], end: u32| list.iter().all(|one| *one < end);
        let mut grouped = HashSet::new();
        // Domains that several rules share are looked at once.
        let mut apart: Option<&Domains> = None;
        for rule in &self.rules {
            let sound = match &rule.kind {
                TaskRuleKind::AtMost { vms: v, domains, limit } => {
                    if !apart.is_some_and(|known| known.is_shared_with(domains)) {
                        apart = disjoint(domains, hosts).then_some(domains);
                    }
                    in_range(v, vms) && apart.is_some() && *limit < LARGEST
                }
                TaskRuleKind::Together { vms: v } => in_range(v, vms) && v.iter().all(|vm| grouped.insert(*vm)),
                TaskRuleKind::Only { vms: v, hosts: h } | TaskRuleKind::Never { vms: v, hosts: h } => {
                    in_range(v, vms) && in_range(h, hosts)
                }
                TaskRuleKind::OneWay { vms: v, rank } => in_range(v, vms) && rank.len() == self.hosts.len(),
            };
            if !sound {
                return Some(format!("rule {} names what is not there, or one thing twice", rule.name));
            }
            if let TaskRuleKind::AtMost { vms, .. } | TaskRuleKind::Together { vms } = &rule.kind {
                let mut seen = HashSet::new();
                if let Some(twice) = vms.iter().find(|vm| !seen.insert(**vm)) {
                    return Some(format!("rule {} names VM {} twice", rule.name, self.vms[*twice as usize].name));
                }
            }
        }
        let bad = self.links.iter().find(|link| !in_range(&link.inside, hosts) || link.rate == 0);
        bad.map(|link| format!("link {} has no rate, or hosts that are not listed", link.name))
    }
}

/// Whether the sets name hosts below `hosts`, each at most once.
fn disjoint(sets: &[Vec<u32>], hosts: u32) -> bool {
    let mut seen = vec![false; hosts as usize];
    let mut new = |host: &u32| seen.get_mut(*host as usize).is_some_and(|seen| !std::mem::replace(seen, true));
    sets.iter().flatten().all(&mut new)
}

/// The first name that is there twice.
fn twice<'n>(mut names: impl Iterator<Item = &'n String>) -> Option<&'n String> {
    let mut seen = HashSet::new();
    names.find(|name| !seen.insert(name.as_str()))
}
