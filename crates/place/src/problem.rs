//! A placement question in numbers: what hosts have, what VMs take, what must hold, and what costs how much.
//!
//! Nothing about goals or rules of a policy is known here: whoever asks turns them into sizes, sets, relations and terms. Costs are
//! [`Points`]: whole numbers without a unit, that only the asker can translate back.

use ulm_rules::HostSet;

/// What something costs; the less the better.
pub type Points = i64;

/// A placement question. Hosts and VMs are numbers from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// How many resources there are: the length of each list of sizes.
    pub resources: usize,
    /// The hosts.
    pub hosts: Vec<PlaceHost>,
    /// The VMs that take part. What others take is in [`PlaceHost::base`].
    pub vms: Vec<PlaceVm>,
    /// VMs that are parts of one, such as one that is on two NUMA cells: they count as one move. What else holds between them is said
    /// by relations. Each list ascending, no VM in two of them.
    pub wholes: Vec<Vec<u32>>,
    /// Sets of hosts that [`PlaceVm::allowed`] refers to.
    pub sets: Vec<HostSet>,
    /// What must or should hold between VMs.
    pub relations: Vec<Relation>,
    /// Which VMs need which others near.
    pub dependencies: Vec<Dependency>,
    /// By resource whether a VM that was moved takes its part on the host that it comes from, too: what cannot be given back before the
    /// move has ended, and must be there for all moves at once. Empty: none.
    pub transient: Vec<bool>,
    /// What load costs.
    pub curves: Vec<Curve>,
    /// What load above a host's own level costs.
    pub excesses: Vec<Excess>,
    /// What it costs that many VMs of one group are moved; `None`: nothing.
    pub disruption: Option<Disruption>,
    /// What it costs that a host carries any VM, by host, those that do not take part included (see [`PlaceHost::busy`]); empty: nothing.
    pub awake: Vec<Points>,
    /// What it costs that a VM of a class is on a host of a class.
    pub tables: Vec<Table>,
    /// Room that is wanted for VMs that do not exist yet.
    pub rooms: Vec<WantedRoom>,
    /// Memory that VMs on one host have in common; `None`: none.
    pub sharing: Option<Sharing>,
}

impl Problem {
    /// Whether any VM takes anything loosely.
    pub(crate) fn is_loose(&self) -> bool {
        self.vms.iter().any(|vm| !vm.loosely.is_empty())
    }
}

/// A host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceHost {
    /// How much of each resource may be taken, in all. Hard and no worse: a host above it may stay so, and take no more. `i64::MAX`: no limit.
    pub capacity: Vec<i64>,
    /// What is taken of each resource by what does not take part.
    pub base: Vec<i64>,
    /// Whether it takes VMs that are not on it now.
    pub takes: bool,
    /// Whether there is something on it that does not take part, so that it cannot become empty.
    pub busy: bool,
}

/// A VM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceVm {
    /// The host that it is on now.
    pub at: u32,
    /// What it takes of each resource.
    pub size: Vec<i64>,
    /// The hosts that it may be moved to: a place in [`Problem::sets`]. It may stay where it is in any case.
    pub allowed: u32,
    /// Whether it stays where it is, whatever that costs.
    pub stays: bool,
    /// What it costs that it is not where it is now.
    pub move_cost: Points,
    /// Why it is better elsewhere whatever the load, e.g. because a hard rule is broken where it is: what it costs that it stays.
    pub stay_cost: Points,
    /// Resources, ascending, that it takes *loosely*: nobody knows how much of them, but no more than its size. Where it is now, what it
    /// takes of them is part of the host's base, and is not given back when it goes. Where it comes to, its size is counted, whether
    /// there is so much or not: what is there is only less for VMs that take it by size.
    pub loosely: Vec<usize>,
}

impl PlaceVm {
    /// What it takes of the resource on the host, beside the host's base.
    pub fn takes(&self, resource: usize, host: u32) -> i64 {
        if host == self.at && self.loosely.contains(&resource) { 0 } else { self.size[resource] }
    }
}

/// What must or should hold between VMs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The VMs, ascending.
    pub vms: Vec<u32>,
    /// For each host the number of its domain, below the number of hosts; [`Relation::OUTSIDE`]: the relation does not look at this host.
    pub domains: Vec<u32>,
    /// What is asked.
    pub kind: RelationKind,
    /// What each surplus VM, or each further domain, costs. `None`: it is hard and no worse; where it is broken from the beginning each
    /// surplus costs [`Relation::BROKEN`] points, so that mending it goes before everything else.
    pub points: Option<Points>,
}

/// What a relation asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// At most so many of the VMs in one domain.
    AtMost(u32),
    /// All in one domain: each domain beyond the first is a surplus.
    Near,
    /// In at least so many domains: each that is missing is a surplus.
    AtLeast(u32),
}

/// VMs that need others near: each domain with one of `vms` has one of `of`. Hard and no worse: the domains where it is not so never get more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The VMs that need others, ascending.
    pub vms: Vec<u32>,
    /// The others, ascending; none is in both.
    pub of: Vec<u32>,
    /// For each host the number of its domain, below the number of hosts.
    pub domains: Vec<u32>,
}

impl Relation {
    /// The domain of hosts that do not count.
    pub const OUTSIDE: u32 = u32::MAX;
    /// What a broken hard relation costs for each surplus.
    pub const BROKEN: Points = 1 << 40;
}

/// What the load of a resource costs on each host: `weight · (excess / 10 000) ^ power`, where the excess is by how many whole
/// ten-thousandths of the whole the load is above the floor, and nothing below it. Rounded down for each host, and at most [`Curve::MOST`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curve {
    /// Which resource.
    pub resource: usize,
    /// What is the whole, by host; 0: the curve does not look at this host.
    pub whole: Vec<i64>,
    /// Up to here nothing costs, in ten-thousandths of the whole.
    pub floor: u32,
    /// 1, 2 or 4.
    pub power: u32,
    /// What the whole above a floor of 0 costs.
    pub weight: Points,
}

/// What load above a level costs on each host: `each` for every unit of `Σ factor · load` above the level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    /// What is looked at: resources, each once, with a factor. Factors may be negative: so much of one resource is of no use without
    /// so much of another one.
    pub parts: Vec<(usize, i64)>,
    /// The level, by host; may be negative. `i64::MAX`: this host is not looked at.
    pub above: Vec<i64>,
    /// What a unit costs.
    pub each: Points,
}

/// What it costs that VMs of one group are moved: `each` for every moved VM of the group of which most are moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disruption {
    /// For each VM its group, from 0.
    pub group: Vec<u32>,
    /// What a VM costs.
    pub each: Points,
}

/// What it costs that VMs of some class are on hosts of some class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// For each VM its class.
    pub vm_class: Vec<u32>,
    /// For each host its class.
    pub host_class: Vec<u32>,
    /// The points: class of VM × number of classes of hosts + class of host.
    pub points: Vec<Points>,
    /// How many classes of hosts there are.
    pub host_classes: u32,
}

/// Room for VMs of one shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedRoom {
    /// What one takes of each resource; at least one is above 0.
    pub shape: Vec<i64>,
    /// Parts of a host, such as its NUMA cells, in one of which it is wholly: a resource, and how much it takes of it if it is there. Each
    /// resource once, and none that the shape takes. Empty: it is anywhere on the host.
    pub parts: Vec<(usize, i64)>,
    /// The hosts that it may be on: a place in [`Problem::sets`].
    pub allowed: u32,
    /// So many are wanted; more bring nothing.
    pub count: u32,
    /// What each that is missing costs.
    pub points: Points,
}

/// Memory pages of which a host has one copy, however many VMs there have them, because equal pages are merged.
///
/// Sizes are full sizes. The *credit* of a class on a host is its weight for each of the host's VMs of the class but one, and it is
/// counted in two ways:
/// * what load costs looks at the state after all moves, when everything is merged: each load is lowered by the credit of all VMs there;
/// * [`PlaceHost::capacity`] must hold at any time. A VM that was moved arrives unmerged, and merging takes minutes: it is counted in
///   full, and only VMs that have not moved give credit among each other.
///
/// Merging may end at any time, and weights are estimates: whoever asks gives lower bounds of them, less a reserve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// The resources that it is about, each once; none is transient. Several if memory is looked at in several ways: what was promised,
    /// what is held.
    pub resources: Vec<usize>,
    /// For each host whether it merges pages. Elsewhere each VM has its own copies, and there is no credit.
    pub merges: Vec<bool>,
    /// The classes: pages that the same VMs have.
    pub classes: Vec<Pages>,
    /// For each VM the classes that it has, ascending. Together they weigh no more than the VM takes of any of the resources.
    pub of: Vec<Vec<u32>>,
}

/// Pages that VMs have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    /// How much of each of the resources they take.
    pub weight: i64,
    /// What each copy of them on each host costs: so much is a smaller footprint worth by itself.
    pub points: Points,
}

/// How much effort a search may make. Counted in work, so that the same question gives the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Placements that are weighed: a change of one VM's host is one.
    pub evaluations: u64,
    /// VMs that may be elsewhere at the end; those of [`Problem::wholes`] count once.
    pub moves: u32,
}

/// A move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlaceMove {
    /// Which VM.
    pub vm: u32,
    /// Its new host.
    pub to: u32,
}

/// Moves that belong together: an exchange, the emptying of a host, or one move by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The moves, ascending by VM.
    pub moves: Vec<PlaceMove>,
    /// What they bring after all packages before them: points before less points after, the moves' own cost deducted.
    pub gain: Points,
}

/// What a search has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The moves that lead to the new placement, each VM once, the most rewarding packages first: the first few are a sound placement
    /// by themselves, whatever their number.
    pub packages: Vec<Package>,
    /// What the present placement costs.
    pub before: Points,
    /// What the new one costs, moves included.
    pub after: Points,
    /// Placements that were weighed.
    pub evaluations: u64,
    /// Whether no single move, no exchange of two VMs and no emptying of a host as the search tries it brings more; else the effort was
    /// spent.
    pub settled: bool,
}
