//! Whether moves are worth it: what they cost, what they bring for each second, and for how long.
//!
//! Properties:
//! (A) costs and gains of one kind are in one physical unit, so that a payback is a time: CPU seconds for spreading, joules for power;
//! (B) a move pays back within a part of the time that its gain is forecast to last, or it is not made;
//! (C) what a goal wants without a rate of its own (emptying, room, nearness, equal pages, expressions) has no payback: there the least
//!     gain decides.
//!
//! Method: the cost of a move is its forecast duration times the CPU that it takes on both hosts, and the guest's CPUs for the time that
//! it stands still. The gain of spreading is the fall of the *pressure*: the CPUs of a host times the square of the part by which it is
//! above the floor, which is about the time that its VMs wait for each other. Rates of several goals add up.

use std::collections::BTreeSet;
use std::time::Duration;

use ulm_forecast::{Demand, DirtyCurve, Precopy, PrecopyInput, precopy, together};
use ulm_model::{Bytes, BytesPerSecond, HostIx, MilliCpu, Reason, Vm, VmIx};
use ulm_place::PlaceMove;
use ulm_policy::{Defragment, Goal, GoalKind, Policy, Spread};

use crate::round::Round;
use crate::seek::measure::{carrying, loads, saved, share, touched};
use crate::seek::question::{CPU, HELD, Question, RECKONED, whole_number};
use crate::seek::terms;

/// A CPU at work takes about so many watts more than one that idles.
const WATTS_PER_CPU: u64 = 10;
/// A host that is switched on again takes its power for so long before it is of use.
const BOOT: Duration = Duration::from_secs(180);
/// What a link carries when the policy does not say: a gigabit link, less its overhead.
const USUAL_LINK: BytesPerSecond = BytesPerSecond(110 << 20);
/// What hypervisors allow a guest to stand still at the end.
const DOWNTIME_LIMIT: Duration = Duration::from_millis(300);

/// What a move takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taking {
    pub duration: Duration,
    pub downtime: Duration,
    pub bytes: Bytes,
}

/// What the move of this VM will probably take. Nobody has measured how it dirties its memory: it is reckoned by the CPU that it uses.
pub(crate) fn taking(vm: &Vm, cpu: MilliCpu, policy: &Policy) -> Taking {
    let resident = vm.memory_use.value().unwrap_or(vm.memory).min(vm.memory);
    // A busy CPU writes some megabytes a second, over and over into a twentieth of what its VM has.
    let hot_rate = BytesPerSecond(cpu.0.saturating_mul(10 << 20) / 1000);
    let dirty = DirtyCurve { hot: Bytes(resident.0 / 20), hot_rate, cold_rate: BytesPerSecond(hot_rate.0 / 50) };
    let forecast = precopy(&PrecopyInput {
        resident,
        zero: vm.memory.saturating_sub(resident),
        dirty,
        bandwidth: policy.limits.bandwidth.unwrap_or(USUAL_LINK),
        downtime_limit: DOWNTIME_LIMIT,
        setup: Duration::from_secs(1),
        switch_over: Duration::from_millis(50),
    });
    match forecast.end {
        Precopy::Converges { total, downtime, sent } => Taking { duration: total, downtime, bytes: sent },
        // It will be aborted at the deadline, or throttled until it ends before it.
        _ => Taking { duration: policy.limits.deadline, downtime: DOWNTIME_LIMIT, bytes: resident },
    }
}

/// After how long a move that relieves a host has freed as much CPU as it takes; `None`: the VM uses no CPU.
pub(crate) fn relief_pays_back(taking: &Taking, vm: &Vm, cpu: MilliCpu, policy: &Policy) -> Option<Duration> {
    let ms = cpu_ms(taking, vm, policy).checked_div(u128::from(cpu.0))?;
    Some(Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)))
}

/// What a move takes, in thousandths of a CPU times milliseconds.
fn cpu_ms(taking: &Taking, vm: &Vm, policy: &Policy) -> u128 {
    let overhead = u128::from(policy.worth.overhead.0) / 10;
    2 * overhead * taking.duration.as_millis() + u128::from(vm.vcpus) * 1000 * taking.downtime.as_millis()
}

/// What some moves cost and bring together.
pub(crate) struct Bargain<'q, 'i> {
    pub question: &'q Question,
    pub round: &'q Round<'i>,
    /// Where the VMs are before and after.
    pub before: &'q [u32],
    pub after: &'q [u32],
    /// The moves between.
    pub moves: &'q [PlaceMove],
}

impl Bargain<'_, '_> {
    /// When the moves pay back, and for how long.
    pub fn terms(&self, goals: &[&Goal]) -> Terms {
        let spreadings = self.spreadings(goals);
        Terms { payback: self.payback(goals, &spreadings), lasts: self.lasts(&spreadings) }
    }

    /// After how long the moves have brought more than they have cost; `None`: no goal has a rate of gain.
    fn payback(&self, goals: &[&Goal], spreadings: &[Spreading<'_>]) -> Option<Duration> {
        if self.saves_pages() {
            return None;
        }
        let savings = goals.iter().filter_map(|goal| match &goal.kind {
            GoalKind::Defragment(defragment) => Some(self.saving(goal, defragment)),
            _ => None,
        });
        let speeds: Vec<u128> = spreadings.iter().map(|it| self.relaxing(it)).chain(savings).collect();
        if speeds.is_empty() {
            return None;
        }
        let together: u128 = speeds.iter().sum();
        let ms = UNIT.checked_div(together).unwrap_or(FOREVER);
        Some(Duration::from_millis(u64::try_from(ms.min(FOREVER)).unwrap_or(u64::MAX)))
    }

    /// Whether what the moves send is worth the pages that they save, if a goal wants that.
    fn saves_pages(&self) -> bool {
        let Some(sends) = self.question.sends else { return false };
        let [was, is] = [self.before, self.after].map(|at| saved(self.question, self.round, at));
        let held = |one: &PlaceMove| i128::from(self.question.problem.vms[one.vm as usize].size[HELD]);
        let worth = i128::from(is.saturating_sub(was).0) * i128::from(sends.0) / (1 << 30);
        worth > 0 && worth >= self.moves.iter().map(held).sum()
    }

    /// How many times over the cost comes back in a millisecond by less pressure, in parts of [`UNIT`].
    fn relaxing(&self, spreading: &Spreading<'_>) -> u128 {
        speed(u128::try_from(spreading.fall()).unwrap_or(0), self.cpu_ms().saturating_mul(100_000_000))
    }

    /// What the goals spread, each with what is the same at all times.
    fn spreadings<'g>(&self, goals: &[&'g Goal]) -> Vec<Spreading<'g>> {
        let spread = |goal: &&'g Goal| match &goal.kind {
            GoalKind::Even(spread) | GoalKind::Headroom(spread) => Some(self.spreading(goal, spread)),
            _ => None,
        };
        goals.iter().filter_map(spread).collect()
    }

    fn spreading<'g>(&self, goal: &Goal, spread: &'g Spread) -> Spreading<'g> {
        let snapshot = &self.round.input.snapshot;
        let touched = touched(self.before, self.after).into_iter();
        let mut spreading =
            Spreading { spread, hosts: touched.map(|ix| (ix, snapshot.host(ix).cpu)).collect(), resources: Vec::new() };
        for (resource, weight) in terms::spread_of(spread).into_iter().filter(|(_, weight)| *weight > 0) {
            let mut of = SpreadResource {
                resource,
                weight: i128::from(weight),
                wholes: terms::wholes(self.question, snapshot, goal, resource),
                fall: 0,
            };
            let [was, is] = [self.before, self.after].map(|at| loads(self.question, at, resource));
            of.fall = spreading.fall_of(&of, &was, &is);
            spreading.resources.push(of);
        }
        spreading
    }

    /// What the moves take, in thousandths of a CPU times milliseconds.
    fn cpu_ms(&self) -> u128 {
        let of = |one: &PlaceMove| {
            let (vm, taking) = self.taking(one);
            cpu_ms(&taking, self.round.input.snapshot.vm(vm), self.round.policy)
        };
        self.moves.iter().map(of).sum()
    }

    /// Which VM it is, and what its move takes.
    pub fn taking(&self, one: &PlaceMove) -> (VmIx, Taking) {
        let ix = self.question.vms[one.vm as usize];
        let cpu = MilliCpu(u64::try_from(self.question.problem.vms[one.vm as usize].size[CPU]).unwrap_or(0));
        (ix, taking(self.round.input.snapshot.vm(ix), cpu, self.round.policy))
    }

    /// The same by less power.
    fn saving(&self, goal: &Goal, defragment: &Defragment) -> u128 {
        let snapshot = &self.round.input.snapshot;
        let power = |at: &[u32]| -> u128 {
            let hosts = carrying(self.question, at).into_iter().map(|host| snapshot.host(host));
            let concerned = hosts.filter(|host| terms::concerns(goal, host));
            concerned.map(|host| u128::from(terms::watts(host, defragment.watts))).sum()
        };
        let watts = power(self.before).saturating_sub(power(self.after));
        let moving = self.cpu_ms() * u128::from(WATTS_PER_CPU) / 1000;
        speed(watts, moving + watts * BOOT.as_millis())
    }

    /// How long the gain lasts by the forecasts: until a target would be above its ceiling, or, for what is spread, until the pressure
    /// falls by less than half of what it falls now. As the policy says where nothing is forecast.
    fn lasts(&self, spreadings: &[Spreading<'_>]) -> Duration {
        let foreseen =
            self.moves.iter().all(|one| self.round.input.outlook(self.question.vms[one.vm as usize]).is_some());
        if !foreseen {
            return self.round.policy.worth.lasts;
        }
        let hosts = touched(self.before, self.after);
        let all = 0..self.question.vms.len() as u32;
        let near = |vm: &u32| [self.before, self.after].iter().any(|at| hosts.contains(&HostIx(at[*vm as usize])));
        let near: Vec<u32> = all.filter(near).collect();
        let now: i128 = spreadings.iter().map(Spreading::fall).sum();
        let lasting = |hour: usize| {
            let [was, is] = [self.before, self.after].map(|at| self.loads_then(&near, at, hour));
            2 * spreadings.iter().map(|it| it.fall_if(&was, &is)).sum::<i128>() >= now
        };
        let ends = |hour: &usize| !self.targets_bear(&near, *hour) || !(spreadings.is_empty() || lasting(*hour));
        Duration::from_secs(3600 * (0..HOURS).find(ends).unwrap_or(HOURS) as u64)
    }

    /// What is expected of the VM in an hour; what it uses now where nothing is.
    fn then(&self, vm: u32, hour: usize) -> Demand {
        let outlook = self.round.input.outlook(self.question.vms[vm as usize]);
        let then = outlook.and_then(|outlook| outlook.hours.get(hour)).copied();
        then.unwrap_or_else(|| {
            let now = self.question.problem.vms[vm as usize].size[CPU];
            Demand::steady(MilliCpu(u64::try_from(now).unwrap_or(0)))
        })
    }

    /// What hosts have to bear on average in an hour, as far as these VMs are on them.
    fn loads_then(&self, near: &[u32], at: &[u32], hour: usize) -> Vec<i64> {
        let mut loads: Vec<i64> = self.question.problem.hosts.iter().map(|host| host.base[CPU]).collect();
        for vm in near {
            let load = &mut loads[at[*vm as usize] as usize];
            *load = load.saturating_add(whole_number(self.then(*vm, hour).mean().0));
        }
        loads
    }

    fn targets_bear(&self, near: &[u32], hour: usize) -> bool {
        let hosts = &self.question.problem.hosts;
        let targets: BTreeSet<u32> = self.moves.iter().map(|one| one.to).collect();
        targets.into_iter().all(|target| {
            let on = near.iter().filter(|vm| self.after[**vm as usize] == target);
            let demands: Vec<Demand> = on.map(|vm| self.then(*vm, hour)).collect();
            let host = &hosts[target as usize];
            host.base[CPU].saturating_add(whole_number(together(&demands).high.0)) <= host.capacity[RECKONED]
        })
    }
}

/// What a goal spreads, and by how much the moves lower the pressure.
struct Spreading<'g> {
    spread: &'g Spread,
    /// The hosts whose VMs change, with their CPUs.
    hosts: Vec<(HostIx, MilliCpu)>,
    resources: Vec<SpreadResource>,
}

struct SpreadResource {
    resource: usize,
    weight: i128,
    /// What is the whole on each host; 0: the goal does not look at it.
    wholes: Vec<i64>,
    /// By how much the pressure falls now.
    fall: i128,
}

impl Spreading<'_> {
    /// By how much the pressure falls now, in thousandths of a CPU times the square of ten-thousandths.
    fn fall(&self) -> i128 {
        self.weighed(|it| it.fall)
    }

    /// The same if this is the CPU that hosts have to bear before and after.
    fn fall_if(&self, was: &[i64], is: &[i64]) -> i128 {
        self.weighed(|it| if it.resource == CPU { self.fall_of(it, was, is) } else { it.fall })
    }

    fn fall_of(&self, it: &SpreadResource, was: &[i64], is: &[i64]) -> i128 {
        let of = |(host, cpu): &(HostIx, MilliCpu)| {
            let above = |load: &[i64]| {
                let share = share(load[host.at()], it.wholes[host.at()]);
                i128::from(share.saturating_sub(self.spread.floor).0).pow(2)
            };
            i128::from(cpu.0) * (above(was) - above(is))
        };
        self.hosts.iter().filter(|(host, _)| it.wholes[host.at()] > 0).map(of).sum()
    }

    /// The mean of what is spread, by its weights.
    fn weighed(&self, of: impl Fn(&SpreadResource) -> i128) -> i128 {
        let sum: i128 = self.resources.iter().map(|it| of(it) * it.weight).sum();
        sum / self.resources.iter().map(|it| it.weight).sum::<i128>().max(1)
    }
}

/// When some moves pay back, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// After how long they have brought more than they have cost; `None`: no goal has a rate of gain.
    pub payback: Option<Duration>,
    /// How long what they bring lasts.
    pub lasts: Duration,
}

impl Terms {
    /// Why the moves are not worth it, if so.
    pub fn refused(&self, policy: &Policy) -> Option<Reason> {
        let payback = self.payback?;
        let within = self.lasts.as_millis() * u128::from(policy.worth.payback.0) / 10_000;
        let within = Duration::from_millis(u64::try_from(within).unwrap_or(u64::MAX));
        (payback > within).then_some(Reason::PaysBackLate { payback, within })
    }
}

/// Hours that are looked ahead.
const HOURS: usize = 24;
/// What speeds are parts of.
const UNIT: u128 = 1_000_000_000_000;
/// A hundred years, in milliseconds.
const FOREVER: u128 = 3_155_760_000_000;

/// Gain by cost, in parts of [`UNIT`].
fn speed(gain: u128, cost: u128) -> u128 {
    gain.saturating_mul(UNIT) / cost.max(1)
}
