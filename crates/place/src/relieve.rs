//! Relieve an overworked host: the most hungry VM that fits elsewhere goes there.
//!
//! Properties:
//! (A) every move is allowed by every rule in the state with all earlier moves begun and none ended;
//! (B) with it and all that is on its way the target stays within its ceiling in CPU *and* memory. The ceiling lies below the
//!     threshold by a margin: so a move never makes a new hot spot, though the target may end warmer than the source;
//! (C) a host that a single move can relieve is relieved, or was found busy;
//! (D) no VM goes back to a host that it left a short while ago;
//! (E) what is chosen does not depend on the order of anything but names and ids.
//!
//! Abstraction: hosts and VMs are small numbers; what a VM asks is a set of hosts; loads are integers.
//!
//! Method: VMs by rank, and of equal ranks by their use of the hot resource, greatest first (then smaller memory, as it moves faster, then id). For each one all
//! targets are looked at; of those without an obstacle the best is the one whose worst resource will be least used, then
//! the hot resource, then the name; targets on which this VM's moves failed lately come after all others. After a choice the
//! search goes on while the host would still be overworked and the limits allow further moves.
//!
//! Complexity: VMs of the host × hosts, a few integer comparisons each; what does not depend on the VM is looked at once for all
//! VMs, and what does not depend on loads is a few words of bits for each.

use ulm_model::{HostIx, Reason, Resource, Share, Time, VmIx};
use ulm_rules::{HostSet, Initiative};

use crate::scene::{Bid, Obstacle, Scene, Slot, Use};

/// A VM that uses less of its host than this is not worth a move: the move itself costs both hosts more for as long as it takes.
/// Two thousandths: hundreds of such VMs would have to go before a host felt it.
const WORTH_MOVING: Share = Share(20);

/// A VM of the overworked host.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Which VM.
    pub vm: VmIx,
    /// Who is moved last: one with a higher rank only where none with a lower one helps.
    pub rank: u32,
    /// What it uses on average.
    pub demand: Use,
    /// Why it is not moved whatever the target: cool-down, doubts about its figures, and the like. Rules are added here.
    pub held: Vec<Reason>,
    /// Targets on which its moves failed lately, in the snapshot's order.
    pub failed_on: Vec<HostIx>,
    /// Hosts that it left too short a while ago to go back, each with when it may.
    pub left_lately: Vec<(HostIx, Time)>,
}

/// A move that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which VM.
    pub vm: VmIx,
    /// Where it goes.
    pub to: HostIx,
}

/// What came of looking at a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes to that host.
    Goes(HostIx),
    /// It is not moved, whatever the target.
    Stays(Vec<Reason>),
    /// It has no target: for each obstacle how many hosts it rules out, the most frequent one first.
    Nowhere(Vec<Count>),
}

/// Hosts that one obstacle rules out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub hosts: u32,
    /// The reason for the first of them.
    pub example: Reason,
}

/// A VM that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Which VM.
    pub vm: VmIx,
    /// What it uses.
    pub demand: Use,
    /// What came of it.
    pub fate: Fate,
}

/// What came of trying to relieve a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relief {
    /// The moves, in the order of choice; counted in the scene already.
    pub choices: Vec<Choice>,
    /// The VMs that were looked at, in this order.
    pub tried: Vec<Tried>,
    /// VMs that did not have to be looked at any more.
    pub untried: u32,
    /// What the host will use of the hot resource when all moves from it have ended.
    pub after: Share,
    /// Why no further VM was looked at, if the host stays overworked while there are some.
    pub stopped: Option<Reason>,
}

/// Chooses moves that bring the host to its threshold or below. See the module's text.
pub fn relieve(
    scene: &mut Scene<'_>,
    host: HostIx,
    resource: Resource,
    threshold: Share,
    mut vms: Vec<Candidate>,
) -> Relief {
    let snapshot = scene.snapshot();
    vms.sort_by_key(|it| {
        let hunger = if resource == Resource::Cpu { it.demand.cpu.0 } else { it.demand.memory.0 };
        (it.rank, std::cmp::Reverse(hunger), snapshot.vm(it.vm).memory, it.vm)
    });
    let mut relief = Relief {
        choices: Vec::new(),
        tried: Vec::new(),
        untried: 0,
        after: scene.after_departures(host, resource, Use::default()),
        stopped: None,
    };
    let mut vms = vms.into_iter();
    let mut targets = Targets::survey(scene, host);
    while relief.after > threshold {
        if let Some(limit) = limit_reached(scene, host) {
            relief.stopped = (vms.len() > 0).then_some(limit);
            break;
        }
        let Some(candidate) = vms.next() else { break };
        let fate = fate(scene, &targets, host, resource, &candidate);
        if let Fate::Goes(to) = fate {
            scene.begin(candidate.vm, to, candidate.demand);
            relief.choices.push(Choice { vm: candidate.vm, to });
            targets = Targets::survey(scene, host);
            relief.after = scene.after_departures(host, resource, Use::default());
        }
        relief.tried.push(Tried { vm: candidate.vm, demand: candidate.demand, fate });
    }
    relief.untried = vms.len() as u32;
    relief
}

/// The limit on moves at once that is reached, if one is: nothing more can leave the host in this round.
pub fn limit_reached(scene: &Scene<'_>, host: HostIx) -> Option<Reason> {
    let limits = scene.state.rulebook().limits;
    if scene.state.moves() >= limits.moves {
        return Some(Reason::AllBusy { moves: scene.state.moves(), limit: limits.moves });
    }
    let moves = scene.state.load(host).moves;
    let name = &scene.snapshot().host(host).name;
    (moves >= limits.moves_per_host).then(|| Reason::HostBusy {
        host: name.clone(),
        moves,
        limit: limits.moves_per_host,
    })
}

/// The possible targets of one source, between two choices.
struct Targets {
    /// Those that are not closed to every VM.
    open: HostSet,
    /// What each can still take, by host.
    slots: Vec<Slot>,
    /// The others.
    shut: Tally,
}

/// For each obstacle how many hosts it rules out, and the first of them.
#[derive(Clone)]
struct Tally([Option<(Obstacle, u32, HostIx)>; Obstacle::COUNT]);

impl Targets {
    fn survey(scene: &Scene<'_>, source: HostIx) -> Self {
        let mut shut = Tally([None; Obstacle::COUNT]);
        let hosts = scene.snapshot().hosts.len();
        let open = HostSet::of(hosts, |to| match scene.shut(to, Initiative::Automatic) {
            _ if to == source => false,
            None => true,
            Some(obstacle) => {
                shut.add(obstacle, 1, to);
                false
            }
        });
        let slots = (0..hosts).map(|i| scene.slot(HostIx(i as u32))).collect();
        Targets { open, slots, shut }
    }
}

impl Tally {
    fn add(&mut self, obstacle: Obstacle, hosts: u32, first: HostIx) {
        match &mut self.0[obstacle.number()] {
            Some((_, count, _)) => *count += hosts,
            none => *none = Some((obstacle, hosts, first)),
        }
    }

    /// As counts with sentences, the most frequent obstacle first, of equally frequent ones the most telling.
    fn told(&self, scene: &Scene<'_>, bid: &Bid<'_>) -> Vec<Count> {
        let told = self.0.iter().flatten();
        let mut counts: Vec<Count> = told
            .map(|(obstacle, hosts, first)| Count { hosts: *hosts, example: scene.reason(*obstacle, bid, *first) })
            .collect();
        counts.sort_by(|a, b| {
            let telling = b.example.class().cmp(&a.example.class());
            b.hosts.cmp(&a.hosts).then(telling).then_with(|| a.example.cmp(&b.example))
        });
        counts
    }
}

/// What becomes of one VM.
fn fate(scene: &mut Scene<'_>, targets: &Targets, host: HostIx, resource: Resource, candidate: &Candidate) -> Fate {
    let stays = stays(scene, host, resource, candidate);
    if !stays.is_empty() {
        return Fate::Stays(stays);
    }
    let profile = scene.state.profile(candidate.vm, Initiative::Automatic);
    let bid = Bid { profile: &profile, demand: candidate.demand, left_lately: &candidate.left_lately };
    let mut tally = targets.shut.clone();
    let mut left = targets.open.clone();
    scene.state.sift(&profile, &mut left, |blocker, hosts, first| tally.add(Obstacle::Rule(blocker), hosts, first));
    let mut best = None;
    for to in left.iter() {
        let back = bid.may_return(to).map(|_| Obstacle::LeftLately);
        if let Some(obstacle) = back.or_else(|| targets.slots[to.at()].obstacle(&bid)) {
            tally.add(obstacle, 1, to);
            continue;
        }
        let (cpu, memory) = scene.with(to, bid.demand);
        let hot = if resource == Resource::Cpu { cpu } else { memory };
        let key = (candidate.failed_on.contains(&to), cpu.max(memory), hot, to);
        if best.is_none_or(|best| key < best) {
            best = Some(key);
        }
    }
    best.map_or_else(|| Fate::Nowhere(tally.told(scene, &bid)), |(_, _, _, to)| Fate::Goes(to))
}

/// Why the VM is not moved, whatever the target.
fn stays(scene: &Scene<'_>, host: HostIx, resource: Resource, candidate: &Candidate) -> Vec<Reason> {
    let mut stays = candidate.held.clone();
    for reason in scene.state.vm_stays(candidate.vm, Initiative::Automatic) {
        if !stays.contains(&reason) {
            stays.push(reason);
        }
    }
    if relieves_nothing(scene, host, resource, candidate.demand) {
        stays.push(Reason::NoRelief { cpu: candidate.demand.cpu, memory: candidate.demand.memory });
    }
    stays
}

fn relieves_nothing(scene: &Scene<'_>, host: HostIx, resource: Resource, demand: Use) -> bool {
    let whole = scene.snapshot().host(host);
    let part = match resource {
        Resource::Cpu => demand.cpu.share_of(whole.cpu),
        Resource::Memory => demand.memory.share_of(whole.memory),
    };
    part < WORTH_MOVING
}
