//! Small questions as `decide` makes them of goals: the same resources, terms, weights and prices, for a cluster of a few hosts.
//!
//! CPU is counted in tenths of a CPU and memory in GiB, where `decide` counts thousandths and bytes: what is asked are parts of wholes,
//! and an exact solver has less to count. Disk and network are left out.

use ulm_place::dice::Dice;
use ulm_place::{Curve, PlaceHost, PlaceVm, Points, Problem, Relation, RelationKind, Table, WantedRoom};
use ulm_rules::HostSet;

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Load is spread: the square of what is above half of a host.
    Even,
    /// The same by the fourth power.
    Headroom,
    /// As few watts as possible.
    Defragment,
    /// Room for VMs of a shape.
    MakeRoom,
    /// Rules about companions and places are mended, soft ones kept as far as that goes.
    Rules,
}

pub const GOALS: [Goal; 5] = [Goal::Even, Goal::Headroom, Goal::Defragment, Goal::MakeRoom, Goal::Rules];

/// Memory promised, virtual CPUs promised, memory held, CPU in use, memory in use, CPU reckoned with.
const PROMISED: usize = 0;
const VCPUS: usize = 1;
const HELD: usize = 2;
const CPU: usize = 3;
const USED: usize = 4;
const RECKONED: usize = 5;
const RESOURCES: usize = 6;

/// A CPU, and a GiB.
const ONE_CPU: i64 = 10;
const GIB: i64 = 1;
/// What a host costs that is wholly above its floor, at the usual weight of a goal.
const WEIGHT: Points = 100_000;
/// What moving 4 GiB costs, at the usual wish for gain.
const MOVE: Points = 100;
/// Half of a host, in ten-thousandths.
const FLOOR: u32 = 5_000;
/// How far a target may be filled, in percent of its CPUs and of its memory.
const CEILING: (i64, i64) = (80, 90);
/// The same where VMs are drawn together.
const TOGETHER: (i64, i64) = (60, 80);

impl Goal {
    /// Its name in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Goal::Even => "even",
            Goal::Headroom => "headroom",
            Goal::Defragment => "defragment",
            Goal::MakeRoom => "make room",
            Goal::Rules => "rules",
        }
    }

    /// A question; the same for the same seed.
    pub fn question(self, seed: u64) -> Problem {
        let mut dice = Dice(seed * GOALS.len() as u64 + self as u64);
        let mut problem = cluster(self, &mut dice);
        match self {
            Goal::Even => spread(&mut problem, 2),
            Goal::Headroom => spread(&mut problem, 4),
            Goal::Defragment => {
                problem.awake = problem.hosts.iter().map(|_| WEIGHT * dice.between(60, 140) / 100).collect();
            }
            Goal::MakeRoom => make_room(&mut problem, &mut dice),
            Goal::Rules => rules(&mut problem, &mut dice),
        }
        assert_eq!(problem.flaw(), None);
        problem
    }
}

/// Five to seven hosts, some fuller than others, and three or four VMs for each; in every other question the VMs are large. Where
/// load is spread, which is hardest to prove, there are five hosts and fifteen VMs.
fn cluster(goal: Goal, dice: &mut Dice) -> Problem {
    let spreads = matches!(goal, Goal::Even | Goal::Headroom);
    let hosts = if spreads { 5 } else { dice.between(5, 7) } as usize;
    let (cpu, memory) = if goal == Goal::Defragment { TOGETHER } else { CEILING };
    let kinds: Vec<(i64, i64)> = (0..hosts).map(|_| if dice.rarely(3) { (24, 96) } else { (16, 64) }).collect();
    let host = |(cpus, gib): &(i64, i64)| PlaceHost {
        capacity: vec![gib * GIB, cpus * 4, gib * GIB, i64::MAX, gib * GIB * memory / 100, cpus * ONE_CPU * cpu / 100],
        base: vec![0; RESOURCES],
        takes: true,
        busy: false,
    };
    let mut problem = Problem { resources: RESOURCES, hosts: kinds.iter().map(host).collect(), ..Problem::default() };
    problem.sets = vec![HostSet::all(hosts)];
    let wanted = match goal {
        Goal::MakeRoom => 4 * hosts,
        Goal::Defragment | Goal::Even | Goal::Headroom => 3 * hosts,
        Goal::Rules => 7 * hosts / 2,
    };
    let large = dice.rarely(2);
    let favour: Vec<i64> = (0..hosts).map(|_| dice.between(1, 5)).collect();
    for _ in 0..wanted {
        let size = size(goal, large, dice);
        if let Some(at) = (0..20).map(|_| any(&favour, dice)).find(|at| is_promised(&problem, *at, &size)) {
            let held = size[HELD];
            let move_cost = MOVE * held.max(GIB) / (4 * GIB);
            let allowed = if dice.rarely(10) { some_hosts(&mut problem, dice) } else { 0 };
            let stays = dice.rarely(15);
            problem.vms.push(PlaceVm { at: at as u32, size, allowed, stays, move_cost, ..PlaceVm::default() });
        }
    }
    problem
}

/// What a VM takes.
fn size(goal: Goal, large: bool, dice: &mut Dice) -> Vec<i64> {
    let vcpus = if large { [2, 4, 4, 6, 6, 12] } else { [1, 2, 2, 4, 4, 8] }[dice.place(6)];
    let promised = vcpus * GIB * [1, 2, 2, 4][dice.place(4)];
    let (least, most) = match goal {
        Goal::Even | Goal::Headroom => (30, 95),
        Goal::Defragment | Goal::MakeRoom | Goal::Rules => (5, 50),
    };
    let cpu = vcpus * dice.between(least, most) * ONE_CPU / 100;
    let used = promised * dice.between(40, 90) / 100;
    vec![promised, vcpus, promised, cpu, used, cpu * dice.between(100, 130) / 100]
}

/// A host by chance, by how much each is favoured.
fn any(favour: &[i64], dice: &mut Dice) -> usize {
    let chance = dice.below(favour.iter().sum());
    let mut sum = 0;
    let reached = |it: &i64| {
        sum += it;
        chance < sum
    };
    favour.iter().position(reached).unwrap_or(0)
}

/// Whether what is promised there has room for one more; what is in use may be more than a target may be filled with.
fn is_promised(problem: &Problem, at: usize, size: &[i64]) -> bool {
    [PROMISED, VCPUS, HELD].into_iter().all(|r| load(problem, at, r) + size[r] <= problem.hosts[at].capacity[r])
}

fn load(problem: &Problem, at: usize, resource: usize) -> i64 {
    problem.vms.iter().filter(|vm| vm.at as usize == at).map(|vm| vm.size[resource]).sum()
}

/// A set of hosts of its own.
fn some_hosts(problem: &mut Problem, dice: &mut Dice) -> u32 {
    let mut numbers: Vec<u32> = (0..problem.hosts.len() as u32).collect();
    dice.shuffle(&mut numbers);
    numbers.truncate(dice.between(2, 4) as usize);
    problem.sets.push(HostSet::of(problem.hosts.len(), |host| numbers.contains(&host.0)));
    problem.sets.len() as u32 - 1
}

fn spread(problem: &mut Problem, power: u32) {
    let cpus = |host: &PlaceHost| host.capacity[RECKONED] * 100 / CEILING.0;
    let memory = |host: &PlaceHost| host.capacity[PROMISED];
    let wholes = [(CPU, problem.hosts.iter().map(cpus).collect()), (USED, problem.hosts.iter().map(memory).collect())];
    let curve = |(resource, whole)| Curve { resource, whole, floor: FLOOR, power, weight: WEIGHT };
    problem.curves = wholes.map(curve).into();
}

fn make_room(problem: &mut Problem, dice: &mut Dice) {
    let (vcpus, gib) = [(4, 16), (8, 16), (8, 32)][dice.place(3)];
    let mut shape = vec![0; RESOURCES];
    (shape[PROMISED], shape[HELD], shape[VCPUS]) = (gib * GIB, gib * GIB, vcpus);
    let count = dice.between(3, 8) as u32;
    problem.rooms = vec![WantedRoom { shape, parts: Vec::new(), allowed: 0, count, points: WEIGHT }];
}

fn rules(problem: &mut Problem, dice: &mut Dice) {
    let hosts = problem.hosts.len() as u32;
    let surplus = WEIGHT / 2;
    let racks = dice.between(2, 3) as u32;
    for _ in 0..dice.between(4, 8) {
        let mut vms: Vec<u32> = (0..problem.vms.len() as u32).collect();
        dice.shuffle(&mut vms);
        let by_rack = dice.rarely(3);
        let (kind, most) = match dice.below(3) {
            0 => (RelationKind::Near, 3),
            1 if by_rack => (RelationKind::AtMost(2), 5),
            _ => (RelationKind::AtMost(1), if by_rack { i64::from(racks) } else { 5 }),
        };
        vms.truncate(dice.between(2, most) as usize);
        vms.sort_unstable();
        let domains = (0..hosts).map(|host| if by_rack { host % racks } else { host }).collect();
        let points = dice.rarely(2).then_some(surplus);
        problem.relations.push(Relation { vms, domains, kind, points });
    }
    // A pin: VMs that may be on some hosts only, and are not all there.
    for _ in 0..dice.between(0, 2) {
        let vm = dice.place(problem.vms.len());
        let allowed = some_hosts(problem, dice);
        let welcome = problem.sets[allowed as usize].contains(ulm_model::HostIx(problem.vms[vm].at));
        problem.vms[vm].allowed = allowed;
        if !welcome && !problem.vms[vm].stays {
            problem.vms[vm].stay_cost = Relation::BROKEN;
        }
    }
    // A soft one.
    let mut vm_class = vec![0; problem.vms.len()];
    (0..3).for_each(|_| vm_class[dice.place(problem.vms.len())] = 1);
    let host_class = (0..hosts).map(|host| u32::from(host % racks != 0)).collect();
    problem.tables.push(Table { vm_class, host_class, points: vec![0, 0, 0, surplus], host_classes: 2 });
}
