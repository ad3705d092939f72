//! Capacity answers: what could start now, what after some moves, what may fail or sleep; and the best host for a new VM. The memory of
//! new VMs may have to be in one NUMA cell of a host, or in huge pages; that is the question of the goal `make_room`.
//!
//! Promises, memory that is really available and closed hosts are judged as for a move of the policy, headroom included. What a new VM
//! needs of networks, storage and CPUs is not known here, so it is not looked at.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ulm_model::{Bytes, HostIx, HostName, HostState, Needs, Reason, Share, Snapshot, VmIx};
use ulm_place::{Effort, Points, Problem, WantedRoom, search};
use ulm_policy::{Goal, GoalKind, Policy, Shape};

use crate::cells::Supply;
use crate::round::Round;
use crate::seek::question::{HELD, PROMISED, Question, VCPUS, whole_number};
use crate::seek::{cells, measure, terms};
use crate::{Input, gates};

/// So many of the most frequent shapes are counted.
const SHAPES: usize = 5;
/// Placements that are weighed for each of the questions.
const EVALUATIONS: u64 = 2_000_000;
/// Emptying a host, or making room for one VM, is worth so many points; a move of 4 GiB takes one in thousand.
const WORTH: Points = 1_000_000;

/// Where the memory of VMs that do not exist yet must be; by default anywhere on a host, in ordinary pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backing {
    /// The memory of each in one NUMA cell of its host.
    pub cell: bool,
    /// In huge pages of this size; `None`: in ordinary ones.
    pub pages: Option<Bytes>,
}

impl Backing {
    /// A VM with such memory, as many of them as possible, on any host.
    fn goal(self, vcpus: u32, memory: Bytes) -> (Goal, Shape) {
        let shape = Shape { cell: self.cell, pages: self.pages, ..Shape::new(vcpus, memory, None) };
        (Goal::new("", GoalKind::MakeRoom(shape)), shape)
    }
}

/// What there is room for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// The VM with the most memory that can start now; `None`: none can.
    pub largest: Option<LargestVm>,
    /// The most frequent shapes of VMs that there are, and how many more of each can start. In huge pages only those that are whole pages.
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
    /// Where its memory must be.
    pub backing: Backing,
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
pub fn capacity(input: &Input, policy: &Policy, backing: Backing) -> Result<Capacity, Vec<Reason>> {
    let unbelievable = gates::unbelievable(input, policy);
    if !unbelievable.is_empty() {
        return Err(unbelievable);
    }
    let (rulebook, _) = policy.rulebook_for(&input.snapshot);
    let mut round = Round::new(input, policy, &rulebook);
    let mut question = Question::of(&mut round, &|_| true);
    crate::seek::relations::add(&mut question, &input.snapshot, round.concerns(), None);
    question.price_moves(WORTH / 1000);
    let (may_sleep, moves_to_sleep) = sleepers(&round, &question);
    let may_fail = may_fail(&mut round);
    let shapes = shapes(input, backing).into_iter();
    Ok(Capacity {
        largest: largest(question.clone(), &round, backing),
        shapes: shapes.map(|(shape, vms)| rooms(question.clone(), &round, backing, shape, vms)).collect(),
        may_fail,
        may_sleep,
        moves_to_sleep,
    })
}

/// The VM with the most memory that can start now.
fn largest(mut question: Question, round: &Round<'_>, backing: Backing) -> Option<LargestVm> {
    let (goal, shape) = backing.goal(1, Bytes(0));
    cells::wanted(&mut question, round, &goal, &shape);
    let parts = cells::parts(&question, round, &goal, &shape);
    let page = backing.pages.map_or(1, |size| whole_number(size.0).max(1));
    let free = free(&question);
    let memory = |free: &[i64]| {
        let held = if backing.pages.is_some() { i64::MAX } else { free[HELD] };
        let part = parts.as_ref().map(|parts| parts.iter().map(|part| free[*part]).max().unwrap_or(0));
        free[PROMISED].min(held).min(part.unwrap_or(i64::MAX)).max(0) / page * page
    };
    let open = open(&question).filter(|host| free[*host][VCPUS] > 0);
    let host = open.max_by_key(|host| (memory(&free[*host]), free[*host][VCPUS], Reverse(*host)))?;
    let amount = |amount: i64| u64::try_from(amount).unwrap_or(0);
    let (memory, vcpus) = (Bytes(amount(memory(&free[host]))), amount(free[host][VCPUS]));
    let name = round.input.snapshot.hosts[host].name.clone();
    (memory > Bytes(0)).then_some(LargestVm { host: name, memory, vcpus })
}

/// The most frequent shapes, as virtual CPUs and memory, each with how often it is there.
fn shapes(input: &Input, backing: Backing) -> Vec<((u32, Bytes), u32)> {
    let mut counts: BTreeMap<(u32, Bytes), u32> = BTreeMap::new();
    let whole = |memory: Bytes| backing.pages.is_none_or(|size| memory.0.is_multiple_of(size.0));
    for vm in input.snapshot.vms.iter().filter(|vm| vm.memory > Bytes(0) && whole(vm.memory)) {
        *counts.entry((vm.vcpus, vm.memory)).or_default() += 1;
    }
    let mut shapes = Vec::from_iter(counts);
    shapes.sort_by_key(|(shape, vms)| (Reverse(*vms), *shape));
    shapes.truncate(SHAPES);
    shapes
}

/// The hosts that take VMs just now.
fn open(question: &Question) -> impl Iterator<Item = usize> {
    question.problem.hosts.iter().enumerate().filter(|(_, host)| host.takes).map(|(place, _)| place)
}

/// What each host has left of each resource.
fn free(question: &Question) -> Vec<Vec<i64>> {
    let home = question.home();
    let loads: Vec<Vec<i64>> = (0..question.problem.resources).map(|r| measure::loads(question, &home, r)).collect();
    let left = |(host, r): (usize, usize)| question.problem.hosts[host].capacity[r].saturating_sub(loads[r][host]);
    let of = |host: usize| (0..question.problem.resources).map(|r| left((host, r))).collect();
    (0..question.problem.hosts.len()).map(of).collect()
}

fn rooms(
    mut question: Question,
    round: &Round<'_>,
    backing: Backing,
    (vcpus, memory): (u32, Bytes),
    vms: u32,
) -> Rooms {
    let (goal, shape) = backing.goal(vcpus, memory);
    terms::make_room(&mut question, round, &goal, &shape, WORTH.unsigned_abs());
    let most = most(&question, &question.problem.rooms[0]);
    question.problem.rooms[0].count = most;
    let found = search(&question.problem, &effort(&question.problem));
    let moves: Vec<_> = found.packages.iter().flat_map(|package| &package.moves).collect();
    let home = question.home();
    let mut then = home.clone();
    moves.iter().for_each(|one| then[one.vm as usize] = one.to);
    let places =
        |at: &[u32]| u64::try_from(measure::rooms(&question, round, &goal, &shape, at, &|_| true)).unwrap_or(0);
    Rooms { vcpus, memory, vms, now: places(&home), after: places(&then), moves: moves.len() as u32 }
}

/// As if all that is free were on one host, and all that is free in cells of one number in one cell: more can never start.
fn most(question: &Question, room: &WantedRoom) -> u32 {
    let free = free(question);
    let fit = |(r, asks): (usize, i64)| {
        let sum = open(question).map(|host| free[host][r].max(0)).fold(0i64, i64::saturating_add);
        sum.checked_div(asks).unwrap_or(i64::MAX)
    };
    let whole = room.shape.iter().copied().enumerate().map(fit).min().unwrap_or(0);
    let in_parts = room.parts.iter().copied().map(fit).fold(0i64, i64::saturating_add);
    let most = if room.parts.is_empty() { whole } else { whole.min(in_parts) };
    u32::try_from(most).unwrap_or(u32::MAX)
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
    let held = if wish.backing.pages.is_some() { Bytes(0) } else { wish.memory };
    if limit.available.is_none_or(|available| load.arriving + held > available) {
        let available = limit.available.unwrap_or_default().saturating_sub(load.arriving);
        return Err(Reason::MemoryUsed { host: name(), needed: wish.memory, available });
    }
    if let Some(short) = short(&round.input.snapshot, ix, wish) {
        return Err(short);
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

/// Why the host has no such memory for it, if so: in the cell that has the most, or in pages of all cells.
fn short(snapshot: &Snapshot, ix: HostIx, wish: &Wish) -> Option<Reason> {
    let (Backing { cell, pages }, host, needed) = (wish.backing, snapshot.host(ix), wish.memory);
    let left = |cells| {
        let left = cells::for_room(&Supply { pages, cells }, snapshot, ix);
        Bytes(u64::try_from(left).unwrap_or(0))
    };
    if !cell {
        return pages.and_then(|size| ulm_rules::pages::reason(host, &[].into(), size, left([].into()), needed));
    }
    let in_each = host.cells.iter().map(|cell| (left([cell.id].into()), Reverse(cell.id)));
    let Some((free, Reverse(id))) = in_each.max() else {
        return ulm_rules::cells::missing(host, &Needs::default());
    };
    let of = pages.map_or_else(String::new, |size| format!(" in pages of {size}"));
    let what = format!("{free}{of} are free there, no cell has more, it needs {needed}");
    (free < needed).then(|| Reason::CellsShort { host: host.name.clone(), cells: id.to_string(), what })
}
