//! Capacity answers: what could start now, what after some moves, what may fail or sleep; and the best host for a new VM.
//!
//! Promises, memory that is really available and closed hosts are judged as for a move of the policy, headroom included. What a new VM
//! needs of networks, storage and CPUs is not known here, so it is not looked at.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ulm_model::{Bytes, HostIx, HostName, HostState, Reason, Share, VmIx};
use ulm_place::{Effort, Points, Problem, WantedRoom, search};
use ulm_policy::Policy;
use ulm_rules::HostSet;

use crate::round::Round;
use crate::seek::question::{HELD, PROMISED, Question, VCPUS, whole_number};
use crate::{Input, gates};

/// So many of the most frequent shapes are counted.
const SHAPES: usize = 5;
/// Placements that are weighed for each of the questions.
const EVALUATIONS: u64 = 2_000_000;
/// Emptying a host, or making room for one VM, is worth so many points; a move of 4 GiB takes one in thousand.
const WORTH: Points = 1_000_000;

/// What there is room for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// The VM with the most memory that can start now; `None`: none can.
    pub largest: Option<LargestVm>,
    /// The most frequent shapes of VMs that there are, and how many more of each can start.
    pub shapes: Vec<Rooms>,
    /// So many hosts may fail at once, those with the most promised memory: their VMs fit on the others.
    pub may_fail: u32,
    /// So many hosts carry nothing, or can be emptied.
    pub may_sleep: u32,
    /// Moves that emptying them takes.
    pub moves_to_sleep: u32,
}

/// The largest VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargestVm {
    /// Where it could start.
    pub host: HostName,
    /// Its memory.
    pub memory: Bytes,
    /// The virtual CPUs that it could have there.
    pub vcpus: u64,
}

/// How many VMs of one shape there is room for, each number by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rooms {
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory.
    pub memory: Bytes,
    /// So many VMs have this shape.
    pub vms: u32,
    /// So many more can start now.
    pub now: u64,
    /// So many can start after some moves.
    pub after: u64,
    /// Moves that this takes.
    pub moves: u32,
}

/// A VM that does not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory.
    pub memory: Bytes,
    /// Tags that the host must have, e.g. `rack=r4`.
    pub labels: Vec<String>,
}

/// A host for a new VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BestHost {
    /// Which host.
    pub host: HostName,
    /// The part of its promised memory that would be taken.
    pub memory: Share,
    /// The part of its promised virtual CPUs that would be taken.
    pub vcpus: Share,
    /// Its CPUs in use at present.
    pub cpu_use: Share,
}

/// What there is room for; or why that cannot be said.
pub fn capacity(input: &Input, policy: &Policy) -> Result<Capacity, Vec<Reason>> {
    let unbelievable = gates::unbelievable(input, policy);
    if !unbelievable.is_empty() {
        return Err(unbelievable);
    }
    let (rulebook, _) = policy.rulebook_for(&input.snapshot);
    let mut round = Round::new(input, policy, &rulebook);
    let mut question = Question::of(&mut round, &|_| true);
    crate::seek::relations::add(&mut question, &input.snapshot, round.concerns(), None);
    question.price_moves(WORTH / 1000);
    let open = HostSet::of(input.snapshot.hosts.len(), |host| round.is_open(host));
    question.problem.sets.push(open.clone());
    let free = free(&question.problem);
    let largest = open.iter().filter(|host| free[host.at()][VCPUS] > 0).max_by_key(|host| {
        let free = &free[host.at()];
        (free[PROMISED].min(free[HELD]), free[VCPUS], Reverse(*host))
    });
    let largest = largest.map(|host| {
        let free = &free[host.at()];
        let memory = Bytes(u64::try_from(free[PROMISED].min(free[HELD])).unwrap_or(0));
        let vcpus = u64::try_from(free[VCPUS]).unwrap_or(0);
        LargestVm { host: input.snapshot.host(host).name.clone(), memory, vcpus }
    });
    let (may_sleep, moves_to_sleep) = sleepers(&round, &question);
    Ok(Capacity {
        largest: largest.filter(|vm| vm.memory > Bytes(0)),
        shapes: shapes(input).into_iter().map(|(shape, vms)| rooms(&question, &open, &free, shape, vms)).collect(),
        may_fail: may_fail(&mut round),
        may_sleep,
        moves_to_sleep,
    })
}

/// The most frequent shapes, as virtual CPUs and memory, each with how often it is there.
fn shapes(input: &Input) -> Vec<((u32, Bytes), u32)> {
    let mut counts: BTreeMap<(u32, Bytes), u32> = BTreeMap::new();
    for vm in &input.snapshot.vms {
        *counts.entry((vm.vcpus, vm.memory)).or_default() += 1;
    }
    let mut shapes = Vec::from_iter(counts);
    shapes.sort_by_key(|(shape, vms)| (Reverse(*vms), *shape));
    shapes.truncate(SHAPES);
    shapes
}

/// What each host has left of each resource.
fn free(problem: &Problem) -> Vec<Vec<i64>> {
    let mut free: Vec<Vec<i64>> = problem
        .hosts
        .iter()
        .map(|host| host.capacity.iter().zip(&host.base).map(|(most, base)| most.saturating_sub(*base)).collect())
        .collect();
    for vm in &problem.vms {
        for (left, size) in free[vm.at as usize].iter_mut().zip(&vm.size) {
            *left = left.saturating_sub(*size);
        }
    }
    free
}

fn fit(free: &[i64], shape: &[i64]) -> i64 {
    let counts = free.iter().zip(shape).filter(|(_, asks)| **asks > 0).map(|(free, asks)| (*free).max(0) / asks);
    counts.min().unwrap_or(0)
}

fn rooms(question: &Question, open: &HostSet, free: &[Vec<i64>], shape: (u32, Bytes), vms: u32) -> Rooms {
    let mut asks = vec![0; question.problem.resources];
    asks[PROMISED] = whole_number(shape.1.0);
    asks[HELD] = asks[PROMISED];
    asks[VCPUS] = i64::from(shape.0);
    let now: i64 = open.iter().map(|host| fit(&free[host.at()], &asks)).sum();
    // As if all that is free were in one place: more can never start.
    let sum = |r: usize| open.iter().map(|host| free[host.at()][r].max(0)).fold(0i64, i64::saturating_add);
    let most = fit(&(0..asks.len()).map(sum).collect::<Vec<_>>(), &asks);
    let mut problem = question.problem.clone();
    let (allowed, count) = (problem.sets.len() as u32 - 1, u32::try_from(most).unwrap_or(u32::MAX));
    problem.rooms.push(WantedRoom { shape: asks.clone(), allowed, count, points: WORTH, ..WantedRoom::default() });
    let found = search(&problem, &effort(&problem));
    let moves: Vec<_> = found.packages.iter().flat_map(|package| &package.moves).collect();
    moves.iter().for_each(|one| problem.vms[one.vm as usize].at = one.to);
    let then = self::free(&problem);
    let after: i64 = open.iter().map(|host| fit(&then[host.at()], &asks)).sum();
    let count = |rooms: i64| u64::try_from(rooms).unwrap_or(0);
    Rooms { vcpus: shape.0, memory: shape.1, vms, now: count(now), after: count(after), moves: moves.len() as u32 }
}

fn effort(problem: &Problem) -> Effort {
    Effort { evaluations: EVALUATIONS, moves: u32::try_from(problem.vms.len()).unwrap_or(u32::MAX) }
}

/// Hosts that carry nothing or can be emptied, and the moves that this takes.
fn sleepers(round: &Round<'_>, question: &Question) -> (u32, u32) {
    let mut problem = question.problem.clone();
    let up = |host: &ulm_model::Host| host.state == HostState::Up;
    problem.awake = round.input.snapshot.hosts.iter().map(|host| if up(host) { WORTH } else { 0 }).collect();
    let found = search(&problem, &effort(&problem));
    let moves: Vec<_> = found.packages.iter().flat_map(|package| &package.moves).collect();
    moves.iter().for_each(|one| problem.vms[one.vm as usize].at = one.to);
    let mut carries: Vec<bool> = problem.hosts.iter().map(|host| host.busy).collect();
    problem.vms.iter().for_each(|vm| carries[vm.at as usize] = true);
    let asleep = round.input.snapshot.hosts.iter().zip(&carries).filter(|(host, carries)| up(host) && !**carries);
    (asleep.count() as u32, moves.len() as u32)
}

/// How many of the hosts with the most promised memory may fail together: their VMs are started on the others one after the other, the
/// largest first, each on the host that it fills best.
fn may_fail(round: &mut Round<'_>) -> u32 {
    let snapshot = &round.input.snapshot;
    let mut hosts: Vec<HostIx> =
        snapshot.hosts_ix().filter(|(_, host)| host.state == HostState::Up).map(|(ix, _)| ix).collect();
    hosts.sort_by_key(|host| (Reverse(round.scene.state.load(*host).promised()), *host));
    (1..hosts.len()).find(|failed| !survives(round, &hosts[..*failed], &hosts[*failed..])).unwrap_or(hosts.len()) as u32
        - 1
}

fn survives(round: &mut Round<'_>, failed: &[HostIx], left: &[HostIx]) -> bool {
    let snapshot = &round.input.snapshot;
    let mut free: Vec<(HostIx, [i64; 2])> = left
        .iter()
        .map(|host| {
            let (limit, load) = (round.scene.state.limit(*host), round.scene.state.load(*host));
            let memory = whole_number(limit.memory.0) - whole_number(load.promised().0);
            (*host, [memory, whole_number(limit.vcpus) - whole_number(load.vcpus)])
        })
        .collect();
    let mut vms: Vec<VmIx> = failed.iter().flat_map(|host| round.residents[host.at()].iter().copied()).collect();
    vms.sort_by_key(|vm| (Reverse(snapshot.vm(*vm).memory), *vm));
    vms.into_iter().all(|vm| {
        let allowed = round.scene.state.profile(vm, ulm_rules::Initiative::ByHand).allowed;
        let one = snapshot.vm(vm);
        let asks = [whole_number(one.memory.0), i64::from(one.vcpus)];
        let fits = |(host, free): &&mut (HostIx, [i64; 2])| {
            allowed.contains(*host) && free[0] >= asks[0] && free[1] >= asks[1]
        };
        let place = free.iter_mut().filter(fits).min_by_key(|(host, free)| (free[0], *host));
        place.map(|(_, free)| (0..2).for_each(|r| free[r] -= asks[r])).is_some()
    })
}

/// The hosts on which a new VM can start now, the one that will be least filled first; or why there is none.
pub fn best_host(input: &Input, policy: &Policy, wish: &Wish) -> Result<Vec<BestHost>, Vec<Reason>> {
    let unbelievable = gates::unbelievable(input, policy);
    if !unbelievable.is_empty() {
        return Err(unbelievable);
    }
    let (rulebook, _) = policy.rulebook_for(&input.snapshot);
    let round = Round::new(input, policy, &rulebook);
    let (mut fitting, mut reasons) = (Vec::new(), Vec::new());
    for (ix, host) in input.snapshot.hosts_ix() {
        if let Some(label) = wish.labels.iter().find(|label| !host.tags.contains(*label)) {
            reasons.push(Reason::LabelMissing { host: host.name.clone(), label: label.clone() });
            continue;
        }
        match fits(&round, ix, wish) {
            Ok(best) => fitting.push(best),
            Err(reason) => reasons.push(reason),
        }
    }
    if fitting.is_empty() && !reasons.is_empty() {
        return Err(reasons);
    }
    fitting.sort_by_key(|host| (host.memory.max(host.vcpus).max(host.cpu_use), host.host.clone()));
    Ok(fitting)
}

fn fits(round: &Round<'_>, ix: HostIx, wish: &Wish) -> Result<BestHost, Reason> {
    use ulm_rules::Initiative::Automatic;
    let (host, state) = (round.input.snapshot.host(ix), &round.scene.state);
    if let Some(closed) = state.closed_because(ix, Automatic).or_else(|| round.scene.barred(ix).cloned()) {
        return Err(closed);
    }
    let (limit, load) = (state.limit(ix), state.load(ix));
    let (memory, vcpus) = (limit.memory_for(Automatic), limit.vcpus_for(Automatic));
    let name = || host.name.clone();
    if load.promised() + wish.memory > memory {
        let free = memory.saturating_sub(load.promised());
        return Err(Reason::MemoryShort { host: name(), needed: wish.memory, free });
    }
    if limit.available.is_none_or(|available| load.arriving + wish.memory > available) {
        let available = limit.available.unwrap_or_default().saturating_sub(load.arriving);
        return Err(Reason::MemoryUsed { host: name(), needed: wish.memory, available });
    }
    let promised = load.vcpus.saturating_add(u64::from(wish.vcpus));
    if promised > vcpus {
        return Err(Reason::CpuOvercommit { host: name(), vcpus: promised, limit: vcpus });
    }
    let cpu_use = round.scene.uses[ix.at()].cpu.share_of(host.cpu);
    Ok(BestHost {
        host: name(),
        memory: (load.promised() + wish.memory).share_of(memory),
        vcpus: Share::ratio(promised, vcpus),
        cpu_use,
    })
}
