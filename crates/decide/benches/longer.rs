//! What a longer search brings beside the quick one, on a cluster like Ganeti's of 40 hosts and 600 VMs and on one of 1,000 hosts and 30,000
//! VMs: what the goals cost after the plans, and in the placements that these make the first moves to, as parts of what they cost now. Processor time of one thread.

#[path = "scene/mod.rs"]
mod scene;

use scene::*;
use ulm_decide::{Input, Longer, Outcome, Past, decide_longer};
use ulm_model::*;
use ulm_policy::{Defragment, Goal, GoalKind, Policy, Shape, Spread};

/// Placements that are weighed for longer, in millions.
const BUDGETS: [u64; 2] = [10, 50];

fn main() {
    println!(
        "{:<14} {:<24} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "cluster", "goal", "at once", "millions", "quick:", "longer:", "quick:", "longer:", "took"
    );
    let only: Option<String> = std::env::args().nth(1).filter(|arg| arg.contains('×'));
    for (name, snapshot) in [("40×600", uneven(40, 600)), ("1,000×30,000", uneven(1000, 30_000))] {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        for (goal, kind) in goals() {
            for moves in [4, 1000] {
                BUDGETS.iter().for_each(|budget| row(name, &snapshot, goal, &kind, moves, *budget));
            }
        }
    }
}

fn goals() -> [(&'static str, GoalKind); 4] {
    let even = Spread { floor: Share::ZERO, ..Spread::default() };
    let shape = Shape::new(16, Bytes::gib(64), Some(40));
    [
        ("even out", GoalKind::Even(even)),
        ("headroom above 50 %", GoalKind::Headroom(Spread::default())),
        ("defragment", GoalKind::Defragment(Defragment::default())),
        ("room for VMs of 64 GiB", GoalKind::MakeRoom(shape)),
    ]
}

fn row(name: &str, snapshot: &Snapshot, goal: &str, kind: &GoalKind, moves: u32, millions: u64) {
    let mut policy = Policy { goals: vec![Goal::new(goal, kind.clone())], ..Policy::default() };
    (policy.limits.moves, policy.limits.moves_per_host) = (moves, moves.div_ceil(4));
    let input = Input::new(snapshot.clone(), NOW, Acting::On, Past::default());
    let longer = Longer {
        budget: Some(millions * 1_000_000),
        share_out: &|count, walk| (0..count).for_each(walk),
        stop: &|| None,
    };
    let began = on_the_processor();
    let decision = decide_longer(&input, &policy, &longer);
    let took = (on_the_processor() - began).as_secs_f64();
    let said = decision.report.longer.as_ref().expect("a longer search was asked for");
    let costs = match said.outcome {
        Outcome::Looked { quick, longer, .. } => {
            [quick.plan, longer.plan, quick.placement, longer.placement].map(|share| share.to_string())
        }
        Outcome::NothingLeft | Outcome::NotAsked => ["-", "-", "-", "-"].map(str::to_owned),
    };
    let [quick_plan, plan, quick, placement] = costs;
    println!(
        "{name:<14} {goal:<24} {moves:>8} {millions:>8} {quick_plan:>8} {plan:>8} {quick:>8} {placement:>8} {took:>6.1} s"
    );
    if std::env::args().any(|arg| arg == "why") {
        println!("{}", decision.report);
    }
}

/// VMs of the shapes of Ganeti's instances, on hosts that are chosen by chance with weights of their own, so that they fill 60 % of all memory.
fn uneven(hosts: u32, vms: u32) -> Snapshot {
    const SHAPES: [(u32, u64); 10] = [(1, 2), (1, 2), (1, 2), (2, 4), (2, 4), (2, 8), (2, 8), (4, 8), (4, 16), (8, 32)];
    let mut dice = Dice(u64::from(hosts));
    let mut snapshot = cluster(0);
    snapshot.hosts.truncate(hosts as usize);
    snapshot.vms.truncate(vms as usize);
    let shapes: Vec<(u32, u64)> = (0..vms).map(|_| SHAPES[dice.below(10) as usize]).collect();
    let memory = shapes.iter().map(|shape| shape.1).sum::<u64>() * 10 / 6 / u64::from(hosts) + 1;
    let weights: Vec<u64> = (0..hosts).map(|_| 1 << dice.below(4)).collect();
    let lots: Vec<u32> =
        weights.iter().zip(0..).flat_map(|(weight, host)| std::iter::repeat_n(host, *weight as usize)).collect();
    let mut used = vec![(0u64, 0u64); hosts as usize];
    for (vm, (vcpus, gib)) in snapshot.vms.iter_mut().zip(shapes) {
        let fits = |host: &u32| used[*host as usize].1 + gib <= memory * 9 / 10;
        let host = loop {
            let host = lots[dice.below(lots.len() as u64) as usize];
            if fits(&host) {
                break host;
            }
        };
        let cpu = u64::from(vcpus) * dice.below(600);
        used[host as usize].0 += cpu;
        used[host as usize].1 += gib;
        (vm.host, vm.vcpus, vm.memory) = (HostIx(host), vcpus, Bytes::gib(gib));
        (vm.cpu_use, vm.memory_use) = (steady(MilliCpu(cpu)), steady(Bytes::gib(gib)));
    }
    for (host, (cpu, gib)) in snapshot.hosts.iter_mut().zip(used) {
        host.memory = Bytes::gib(memory);
        (host.cpu_use, host.memory_use) = (steady(MilliCpu(cpu)), steady(Bytes::gib(gib)));
    }
    snapshot.sort();
    snapshot
}

/// Random numbers (xorshift), the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}
