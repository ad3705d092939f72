//! What a placement is judged in: promises and rules ([`ulm_rules::State`]), and projected real use.

use ulm_model::{Bytes, HostIx, MilliCpu, Reason, Resource, Share, Snapshot, Time, VmIx};
use ulm_rules::{Blocker, Initiative, Profile, Room, State};

/// What a host or a VM really uses, or will.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Processor time.
    pub cpu: MilliCpu,
    /// Memory.
    pub memory: Bytes,
}

/// How far a target may be filled, as parts of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// Of its CPUs.
    pub cpu: Share,
    /// Of its memory.
    pub memory: Share,
}

/// Why a host is no target just now, whatever the VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Barred {
    /// Its figures cannot be believed.
    NoFigures(Reason),
    /// It settles after a move.
    Settling(Reason),
}

/// What keeps a VM from a target: small, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// A rule.
    Rule(Blocker),
    /// The target's figures cannot be believed.
    NoFigures,
    /// The target settles after a move.
    Settling,
    /// The target takes part in as many moves as it may.
    Busy,
    /// The target would have too much CPU in use.
    CpuTooWarm,
    /// The target would have too much memory in use.
    MemoryTooWarm,
    /// The VM left the target a short while ago.
    LeftLately,
}

impl Obstacle {
    /// How many there are: [`Obstacle::number`] is below it.
    pub const COUNT: usize = Blocker::COUNT + 6;

    /// A small number for each.
    pub fn number(self) -> usize {
        match self {
            Obstacle::Rule(blocker) => blocker as usize,
            Obstacle::NoFigures => Blocker::COUNT,
            Obstacle::Settling => Blocker::COUNT + 1,
            Obstacle::Busy => Blocker::COUNT + 2,
            Obstacle::CpuTooWarm => Blocker::COUNT + 3,
            Obstacle::MemoryTooWarm => Blocker::COUNT + 4,
            Obstacle::LeftLately => Blocker::COUNT + 5,
        }
    }
}

/// Where placements are tried out. Moves that are chosen change it.
#[derive(Debug)]
pub struct Scene<'s> {
    /// Promises, rules and the count of moves.
    pub state: State<'s>,
    /// For each host what it uses, with what is on its way to it, and with what is on its way from it until that is gone.
    pub uses: Vec<Use>,
    /// For each host what will be gone from it when the moves from it have ended.
    pub leaving: Vec<Use>,
    /// For each host why it is no target just now.
    barred: Vec<Option<Barred>>,
    /// How far targets may be filled.
    pub ceiling: Ceiling,
    /// [`Scene::ceiling`] for each host, rounded down.
    most: Vec<Use>,
}

/// What a host can still take: all that is looked at for each VM and host, in one place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    room: Room,
    used: Use,
    most: Use,
}

impl Slot {
    /// What keeps the VM from the host, which is open and offers what it needs; `None`: it may go there, and it helps.
    pub fn obstacle(&self, bid: &Bid<'_>) -> Option<Obstacle> {
        if let Some(blocker) = self.room.blocker(bid.profile) {
            return Some(Obstacle::Rule(blocker));
        }
        if self.used.cpu + bid.demand.cpu > self.most.cpu {
            return Some(Obstacle::CpuTooWarm);
        }
        if self.used.memory + bid.demand.memory > self.most.memory {
            return Some(Obstacle::MemoryTooWarm);
        }
        None
    }
}

/// What a pair of VM and source is compared with.
pub(crate) struct Bid<'p> {
    pub profile: &'p Profile,
    pub demand: Use,
    /// Hosts that the VM left too short a while ago to go back, each with when it may.
    pub left_lately: &'p [(HostIx, Time)],
}

impl Bid<'_> {
    /// When the VM may go back to the host, if that is still to come.
    pub(crate) fn may_return(&self, to: HostIx) -> Option<Time> {
        self.left_lately.iter().find(|(host, _)| *host == to).map(|(_, until)| *until)
    }
}

impl<'s> Scene<'s> {
    /// A scene. The lists run parallel to the snapshot's hosts.
    pub fn new(state: State<'s>, uses: Vec<Use>, barred: Vec<Option<Barred>>, ceiling: Ceiling) -> Self {
        let hosts = &state.snapshot().hosts;
        assert!(uses.len() == hosts.len() && barred.len() == hosts.len(), "one entry for each host");
        let most = hosts
            .iter()
            .map(|host| Use { cpu: ceiling.cpu * host.cpu, memory: ceiling.memory * host.memory })
            .collect();
        Scene { leaving: vec![Use::default(); hosts.len()], state, uses, barred, ceiling, most }
    }

    /// Why the host is no target just now, if so.
    pub fn barred(&self, host: HostIx) -> Option<&Reason> {
        match &self.barred[host.at()] {
            Some(Barred::NoFigures(reason) | Barred::Settling(reason)) => Some(reason),
            None => None,
        }
    }

    /// The snapshot behind it.
    pub fn snapshot(&self) -> &'s Snapshot {
        self.state.snapshot()
    }

    /// Counts a move that runs or was chosen: the VM's demand comes to the target, and will be gone from the source.
    pub fn expect(&mut self, from: HostIx, to: Option<HostIx>, demand: Use) {
        if let Some(to) = to {
            self.uses[to.at()].cpu += demand.cpu;
            self.uses[to.at()].memory += demand.memory;
        }
        self.leaving[from.at()].cpu += demand.cpu;
        self.leaving[from.at()].memory += demand.memory;
    }

    /// Counts a chosen move everywhere.
    pub fn begin(&mut self, vm: VmIx, to: HostIx, demand: Use) {
        self.expect(self.snapshot().vm(vm).host, Some(to), demand);
        self.state.begin(vm, to);
    }

    /// The part of the resource that the host will use when the moves from it have ended.
    pub fn after_departures(&self, host: HostIx, resource: Resource, further: Use) -> Share {
        let (used, gone, whole) = (self.uses[host.at()], self.leaving[host.at()], self.snapshot().host(host));
        match resource {
            Resource::Cpu => used.cpu.saturating_sub(gone.cpu + further.cpu).share_of(whole.cpu),
            Resource::Memory => used.memory.saturating_sub(gone.memory + further.memory).share_of(whole.memory),
        }
    }

    /// The parts of CPU and memory that the host will use with a further VM.
    pub fn with(&self, host: HostIx, demand: Use) -> (Share, Share) {
        let (used, whole) = (self.uses[host.at()], self.snapshot().host(host));
        ((used.cpu + demand.cpu).share_of(whole.cpu), (used.memory + demand.memory).share_of(whole.memory))
    }

    /// What keeps every VM from the host, if anything does.
    pub(crate) fn shut(&self, to: HostIx, initiative: Initiative) -> Option<Obstacle> {
        if let Some(blocker) = self.state.closed(to, initiative) {
            return Some(Obstacle::Rule(blocker));
        }
        match &self.barred[to.at()] {
            Some(Barred::NoFigures(_)) => Some(Obstacle::NoFigures),
            Some(Barred::Settling(_)) => Some(Obstacle::Settling),
            None if self.state.load(to).moves >= self.state.rulebook().limits.moves_per_host => Some(Obstacle::Busy),
            None => None,
        }
    }

    /// What the host can still take, in numbers.
    pub(crate) fn slot(&self, to: HostIx) -> Slot {
        let (used, most) = (self.uses[to.at()], self.most[to.at()]);
        Slot { room: self.state.room(to), used, most }
    }

    /// The sentence for an obstacle that [`Scene::shut`], the rules or [`Slot::obstacle`] gave for this bid and host.
    pub(crate) fn reason(&self, obstacle: Obstacle, bid: &Bid<'_>, to: HostIx) -> Reason {
        let host = self.snapshot().host(to).name.clone();
        let (cpu, memory) = self.with(to, bid.demand);
        match obstacle {
            Obstacle::Rule(blocker) => self.state.reason(blocker, bid.profile.vm, to, bid.profile.initiative),
            Obstacle::NoFigures | Obstacle::Settling => {
                self.barred(to).cloned().unwrap_or(Reason::TooFew { of: host.0, have: 0, needed: 1 })
            }
            Obstacle::Busy => Reason::HostBusy {
                host,
                moves: self.state.load(to).moves,
                limit: self.state.rulebook().limits.moves_per_host,
            },
            Obstacle::LeftLately => Reason::LeftLately { host, until: bid.may_return(to).unwrap_or_default() },
            Obstacle::CpuTooWarm => {
                Reason::TargetTooWarm { host, resource: Resource::Cpu, would_be: cpu, limit: self.ceiling.cpu }
            }
            Obstacle::MemoryTooWarm => {
                Reason::TargetTooWarm { host, resource: Resource::Memory, would_be: memory, limit: self.ceiling.memory }
            }
        }
    }

    /// All that keeps the VM from the host, soft reasons included; the rules' reasons first.
    pub fn why_not(&self, vm: VmIx, to: HostIx, demand: Use) -> Vec<Reason> {
        let mut reasons = self.state.why_not(vm, to, Initiative::Automatic);
        if let Some(reason) = self.barred(to)
            && !reasons.contains(reason)
        {
            reasons.push(reason.clone());
        }
        let (host, limits) = (self.snapshot().host(to), self.state.rulebook().limits);
        let moves = self.state.load(to).moves;
        if moves >= limits.moves_per_host {
            reasons.push(Reason::HostBusy { host: host.name.clone(), moves, limit: limits.moves_per_host });
        }
        let (cpu, memory) = self.with(to, demand);
        for (resource, would_be, limit) in
            [(Resource::Cpu, cpu, self.ceiling.cpu), (Resource::Memory, memory, self.ceiling.memory)]
        {
            if would_be > limit {
                reasons.push(Reason::TargetTooWarm { host: host.name.clone(), resource, would_be, limit });
            }
        }
        reasons
    }
}
