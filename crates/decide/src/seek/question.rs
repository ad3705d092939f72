//! The whole cluster as a placement question: who may go where, what each takes, how far hosts may be filled.
//!
//! CPU is two resources: what is used on average, of which goals speak, and what is reckoned with so that a target is not overworked when
//! its VMs want much at the same time, which its ceiling is for. A question about the next hour takes both from the forecasts, as far as
//! there are any; a question about the present takes both from what is used now.
//!
//! What goals want is added by [`super::terms`]; what rules ask of companions by [`super::relations`].

use std::collections::HashMap;

use ulm_forecast::{Demand, Sizing};
use ulm_model::{Bytes, HostIx, MilliCpu, Resource, Share, VmIx};
use ulm_place::{PlaceHost, PlaceVm, Points, Problem};
use ulm_policy::Policy;
use ulm_rules::{HostSet, Initiative};

use super::cells::{self, Supplies};
use crate::round::Round;

/// Memory promised.
pub(crate) const PROMISED: usize = 0;
/// Virtual CPUs promised.
pub(crate) const VCPUS: usize = 1;
/// Memory that processes hold, against what is available.
pub(crate) const HELD: usize = 2;
/// CPU in use on average, in thousandths of a CPU.
pub(crate) const CPU: usize = 3;
/// Memory in use.
pub(crate) const USED: usize = 4;
/// Disk traffic, in bytes per second.
pub(crate) const DISK: usize = 5;
/// Network traffic, in bytes per second.
pub(crate) const NETWORK: usize = 6;
/// CPU that is wanted, whether it was got or not, in thousandths of a CPU.
pub(crate) const WISHED: usize = 7;
/// CPU that is reckoned with, in thousandths of a CPU.
pub(crate) const RECKONED: usize = 8;
/// Those of every question; further ones are memory in NUMA cells, see [`super::cells`].
pub(super) const RESOURCES: usize = 9;

/// What people call a resource of a question.
pub(super) fn name(resource: usize) -> &'static str {
    match resource {
        PROMISED => "memory",
        VCPUS => "vCPUs",
        HELD => "memory held by running VMs",
        CPU => "CPU",
        USED => "memory in use",
        DISK => "disk traffic",
        NETWORK => "network traffic",
        WISHED => "CPU wanted",
        RECKONED => "CPU at busy times",
        _ => "memory of NUMA cells",
    }
}

/// Of which time a question is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// As things are.
    Now,
    /// The next hour.
    NextHour,
}

/// A placement question, and who its numbers are. Its hosts are the snapshot's.
#[derive(Clone)]
pub(crate) struct Question {
    pub problem: Problem,
    /// The VMs that take part.
    pub vms: Vec<VmIx>,
    /// For each VM of the snapshot its number in the question, if it takes part.
    pub number: Vec<Option<u32>>,
    /// To save a GiB of equal pages, so many bytes may be sent; `None`: no goal wants it.
    pub sends: Option<Bytes>,
    /// The memory in NUMA cells that it is also about.
    pub supplies: Supplies,
}

impl Question {
    /// Where every VM that takes part is now.
    pub fn home(&self) -> Vec<u32> {
        self.problem.vms.iter().map(|vm| vm.at).collect()
    }

    /// The question about the next hour without anything that costs. `may_move` says which VMs the goals are about; the others stay.
    pub fn of(round: &mut Round<'_>, may_move: &dyn Fn(VmIx) -> bool) -> Self {
        Question::among(round, &HostSet::all(round.input.snapshot.hosts.len()), Span::NextHour, may_move)
    }

    /// The same for some hosts alone: the others take nothing, and what they carry does not take part.
    pub fn among(round: &mut Round<'_>, near: &HostSet, span: Span, may_move: &dyn Fn(VmIx) -> bool) -> Self {
        let snapshot = &round.input.snapshot;
        let mut question = Question {
            problem: Problem::default(),
            vms: Vec::new(),
            number: vec![None; snapshot.vms.len()],
            sends: None,
            supplies: Supplies::default(),
        };
        question.problem.resources = RESOURCES;
        question.problem.hosts = hosts(round, near);
        let mut sets = Sets::default();
        let mut used = vec![MilliCpu(0); snapshot.hosts.len()];
        let foreseen = |ix: VmIx| round.input.outlook(ix)?.hours.first().copied().filter(|_| span == Span::NextHour);
        let all: Vec<Option<Demand>> = snapshot.vms_ix().map(|(ix, _)| foreseen(ix)).collect();
        let carrying = round.residents.iter().filter(|vms| !vms.is_empty()).count();
        let sizing = Sizing::of(all.iter().flatten().copied(), carrying);
        let moving: Vec<VmIx> = snapshot.in_flight.iter().map(|flight| flight.vm).collect();
        for (ix, vm) in snapshot.vms_ix() {
            let home = vm.host.at();
            if !near.contains(vm.host) {
                question.problem.hosts[home].busy = true;
                continue;
            }
            let demand = match round.demand(ix) {
                Ok(demand) if moving.binary_search(&ix).is_err() => demand,
                // What is on its way is counted where it may be; what cannot be believed is counted in its host's own figures.
                _ => {
                    question.problem.hosts[home].busy = true;
                    continue;
                }
            };
            let held = ulm_rules::memory_used::ordinary(vm);
            let (whole, wait) = (u64::from(vm.vcpus) * 1000, vm.contention.value().unwrap_or_default());
            let waiting = whole.saturating_mul(u64::from(wait.0)) / 10_000;
            used[home] += demand.cpu;
            let next = all[ix.at()];
            let size = [
                vm.memory.0,
                u64::from(vm.vcpus),
                held.0,
                next.map_or(demand.cpu, |next| next.mean()).0,
                demand.memory.0,
                vm.disk.map_or(0, |rate| rate.0),
                vm.network.map_or(0, |rate| rate.0),
                demand.cpu.0.saturating_add(waiting),
                next.map_or(demand.cpu, |next| sizing.vm(next).max(demand.cpu)).0,
            ];
            let stays = !may_move(ix) || !round.is_free(ix);
            let allowed = if stays { None } else { Some(round.reach(ix)) };
            question.number[ix.at()] = Some(question.vms.len() as u32);
            question.vms.push(ix);
            question.problem.vms.push(PlaceVm {
                at: vm.host.0,
                size: size.map(whole_number).into(),
                allowed: sets.number(allowed.unwrap_or_else(|| HostSet::none(snapshot.hosts.len()))),
                stays,
                ..PlaceVm::default()
            });
        }
        question.problem.sets = sets.list;
        let apart = if all.iter().any(Option::is_some) { sizing.host() } else { MilliCpu(0) };
        question.settle_bases(round, &used, apart);
        cells::of_vms(&mut question, round);
        question
    }

    /// What hosts use beside the VMs that take part: what they were seen to use, less those VMs' part; `apart` is what each one keeps
    /// for VMs that want much at the same time.
    fn settle_bases(&mut self, round: &Round<'_>, used: &[MilliCpu], apart: MilliCpu) {
        let mut taken = vec![[0i64; RESOURCES]; self.problem.hosts.len()];
        for vm in &self.problem.vms {
            for (sum, size) in taken[vm.at as usize].iter_mut().zip(&vm.size) {
                *sum = sum.saturating_add(*size);
            }
        }
        for (i, host) in self.problem.hosts.iter_mut().enumerate() {
            let (seen, load) = (round.scene.uses[i], round.scene.state.load(HostIx(i as u32)));
            let beside = |r: usize, all: u64| (whole_number(all) - taken[i][r]).max(0);
            host.base = vec![0; RESOURCES];
            host.base[PROMISED] = beside(PROMISED, load.memory.0);
            host.base[VCPUS] = beside(VCPUS, load.vcpus);
            host.base[CPU] = whole_number(seen.cpu.saturating_sub(used[i]).0);
            host.base[RECKONED] = host.base[CPU] + whole_number(apart.0);
            host.base[USED] = beside(USED, seen.memory.0);
            host.base[WISHED] = beside(WISHED, seen.cpu.0);
            // What is available is what is left beside all that runs there now.
            let available = host.capacity[HELD];
            host.capacity[HELD] = available.saturating_add(taken[i][HELD]);
        }
    }

    /// What it costs that a VM moves: `for_four_gib` for each 4 GiB that it holds, but at least a quarter of that.
    pub fn price_moves(&mut self, for_four_gib: Points) {
        const FOUR_GIB: i128 = 4 << 30;
        for vm in &mut self.problem.vms {
            let held = i128::from(vm.size[HELD]).max(FOUR_GIB / 4);
            vm.move_cost = Points::try_from(i128::from(for_four_gib) * held / FOUR_GIB).unwrap_or(Points::MAX / 4);
        }
    }
}

/// Hosts with how far they may be filled by promises, by what is really there, and by the policy's ceilings for targets.
fn hosts(round: &Round<'_>, near: &HostSet) -> Vec<PlaceHost> {
    let ceiling = |whole: u64, resource: Resource| {
        let share = if resource == Resource::Cpu { round.scene.ceiling.cpu } else { round.scene.ceiling.memory };
        part(whole, share)
    };
    let all = round.input.snapshot.hosts_ix();
    all.map(|(ix, host)| {
        let limit = round.scene.state.limit(ix);
        let mut capacity = vec![i64::MAX; RESOURCES];
        capacity[PROMISED] = whole_number(limit.memory_for(Initiative::Automatic).0);
        capacity[VCPUS] = whole_number(limit.vcpus_for(Initiative::Automatic));
        capacity[HELD] = limit.available.map_or(0, |available| whole_number(available.0));
        capacity[RECKONED] = ceiling(host.cpu.0, Resource::Cpu);
        capacity[USED] = ceiling(host.memory.0, Resource::Memory);
        PlaceHost { capacity, base: Vec::new(), takes: near.contains(ix) && round.is_open(ix), busy: false }
    })
    .collect()
}

/// Equal sets, once each.
#[derive(Default)]
struct Sets {
    list: Vec<HostSet>,
    known: HashMap<HostSet, u32>,
}

impl Sets {
    fn number(&mut self, set: HostSet) -> u32 {
        if let Some(known) = self.known.get(&set) {
            return *known;
        }
        let number = self.list.len() as u32;
        self.list.push(set.clone());
        self.known.insert(set, number);
        number
    }
}

/// As much as sums of many of them can be built of.
pub(crate) fn whole_number(amount: u64) -> i64 {
    const LARGEST: u64 = 1 << 52;
    amount.min(LARGEST) as i64
}

/// The part of the whole, rounded down.
pub(crate) fn part(whole: u64, share: Share) -> i64 {
    whole_number((share * Bytes(whole)).0)
}

/// What moving 4 GiB is reckoned at, where goals of these weights together are looked at: a thousandth of what a host costs that is
/// wholly above its floor, at the usual wish for gain; more where the policy wishes more.
pub(crate) fn move_price(policy: &Policy, weights: u64) -> Points {
    const USUAL: u64 = 200;
    let wish = u64::from(policy.worth.gain.0).clamp(USUAL / 10, 25 * USUAL);
    Points::try_from(weights.saturating_mul(WEIGHT / 1000).saturating_mul(wish) / USUAL).unwrap_or(Points::MAX / 4)
}

/// Points for each unit of a goal's weight: what a host costs that is wholly above its floor.
pub(crate) const WEIGHT: u64 = 1000;
