//! What is wanted: goals, each with a name, a weight and the times and things that it is about.

use serde::{Deserialize, Serialize};
use ulm_model::{Bytes, Calendar, HostSelector, Level, Share, VmSelector};

/// Something that the administrator wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    /// What reasons call it.
    pub name: String,
    /// What is wanted.
    pub kind: GoalKind,
    /// How much it counts against others; 100 is usual, 0 only reports.
    pub weight: u32,
    /// When it is on; `None`: always.
    pub when: Option<Calendar>,
    /// The hosts that it is about; none selected: all.
    pub hosts: HostSelector,
    /// The VMs that it may move; none selected: all.
    pub vms: VmSelector,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoalKind {
    /// Rules that are not kept are kept again, and soft ones as far as possible.
    Rules,
    /// Hosts that have been overworked for long enough are relieved: the first policy; thresholds stand in `[hotspot]`.
    Relieve,
    /// Load is spread: what a host uses above the floor costs, and the more the higher it is (the square). Nothing is done while
    /// every host is below the floor, however uneven.
    Even(Spread),
    /// As `even`, but the fullest hosts count most by far: room for bursts is made as large as possible where it is smallest.
    Headroom(Spread),
    /// As few or as cheap hosts as possible carry VMs.
    Defragment(Defragment),
    /// The hosts (which must be selected) are emptied, and their VMs spread over the others.
    Evacuate,
    /// Room for VMs of this shape.
    MakeRoom(Shape),
    /// VMs with the same value of a label are brought near to each other.
    Colocate {
        /// The label of VMs, e.g. `app`.
        label: String,
        /// Near is: in one domain of this level.
        level: Level,
    },
    /// VMs with pages in common come together on hosts that merge equal pages.
    Merge(Merge),
    /// The sum of expressions of the administrator's is made small.
    Custom(Custom),
}

/// What load is spread, and from where on. The weights are relative; what has weight 0 is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// Weight of CPU in use.
    pub cpu: u32,
    /// Weight of memory in use.
    pub memory: u32,
    /// Weight of disk traffic, measured against the busiest host's.
    pub disk: u32,
    /// Weight of network traffic, measured against the busiest host's.
    pub network: u32,
    /// Weight of contention: CPU time that VMs wanted and did not get.
    pub contention: u32,
    /// Weight of the CPU load of racks whose hosts give a temperature (labels `rack` and `celsius`), by degrees above 25.
    pub heat: u32,
    /// Below this part of a host nothing costs.
    pub floor: Share,
}

/// How VMs are drawn together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defragment {
    /// What a host without VMs saves, in watts; hosts with a label `watts` give their own.
    pub watts: u32,
    /// A host is filled up to this part of its CPUs …
    pub cpu: Share,
    /// … and this part of its memory, in use.
    pub memory: Share,
}

/// The size of a VM that does not exist yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory.
    pub memory: Bytes,
    /// So many of them; `None`: as many as possible.
    pub count: Option<u32>,
    /// Whether the memory of each must fit into one NUMA cell of its host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cell: bool,
    /// The size of the huge pages that their memory is in; `None`: ordinary pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<Bytes>,
}

impl Shape {
    /// A VM in ordinary pages, anywhere on its host.
    pub fn new(vcpus: u32, memory: Bytes, count: Option<u32>) -> Self {
        Shape { vcpus, memory, count, cell: false, pages: None }
    }
}

/// What is wrong with huge pages that are wanted, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PagesFault {
    /// What is wrong: `pages` or `memory`.
    pub of: &'static str,
    /// What must be.
    pub rule: &'static str,
    /// What is.
    pub wrong: String,
    /// What to do.
    pub help: &'static str,
}

/// The smallest huge pages that any CPU has.
const SMALLEST_PAGE: Bytes = Bytes::kib(64);

/// What is wrong with so much memory in huge pages of this size, if anything: pages are of a size that there can be, and memory is in
/// whole ones.
pub fn pages_fault(size: Bytes, memory: Bytes) -> Option<PagesFault> {
    if !size.0.is_power_of_two() || size < SMALLEST_PAGE {
        return Some(PagesFault {
            of: "pages",
            rule: "`pages` is the size of one huge page",
            wrong: "no CPU has pages of this size".to_owned(),
            help: "hosts have huge pages of \"2MiB\" and \"1GiB\"; leave `pages` out for ordinary ones",
        });
    }
    (!memory.0.is_multiple_of(size.0)).then(|| PagesFault {
        of: "memory",
        rule: "`memory` is a multiple of `pages`",
        wrong: format!("no whole number of pages of {size}"),
        help: "VMs in huge pages have whole pages only",
    })
}

/// What memory that is saved by merging is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merge {
    /// To save a GiB, so much of VMs' memory is sent over the network at most.
    pub sends: Bytes,
}

/// Expressions in CEL, each a whole number from 0 on; see [`crate::PlacementExpression`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Custom {
    /// What it costs that a VM is on a host: over `vm` and `host`.
    pub each: Option<String>,
    /// What it costs that a host has any VM: over `host`.
    pub awake: Option<String>,
}

/// When moves that are not needed to relieve a host or to keep a rule are worth it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worth {
    /// A move must have paid back within this part of the time that its gain is forecast to last.
    pub payback: Share,
    /// How long a gain is taken to last where no forecast can be made yet.
    pub lasts: std::time::Duration,
    /// The goals together must gain at least this part of what they cost before.
    pub gain: Share,
    /// A move is reckoned with this part of a CPU on both hosts while it lasts.
    pub overhead: Share,
}

impl Default for Worth {
    fn default() -> Self {
        Worth {
            payback: Share::percent(50),
            lasts: std::time::Duration::from_secs(3600),
            gain: Share::percent(2),
            overhead: Share::WHOLE,
        }
    }
}

impl Default for Spread {
    fn default() -> Self {
        Spread { cpu: 100, memory: 100, disk: 0, network: 0, contention: 0, heat: 0, floor: Share::percent(50) }
    }
}

impl Default for Defragment {
    fn default() -> Self {
        Defragment { watts: 100, cpu: Share::percent(60), memory: Share::percent(80) }
    }
}

impl Default for Merge {
    fn default() -> Self {
        Merge { sends: Bytes::gib(16) }
    }
}

impl Goal {
    /// A goal with usual weight, always on, about everything.
    pub fn new(name: &str, kind: GoalKind) -> Self {
        let (hosts, vms) = (HostSelector::default(), VmSelector::default());
        Goal { name: name.to_owned(), kind, weight: 100, when: None, hosts, vms }
    }
}
