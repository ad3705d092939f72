//! Goals, explanations and capacity answers at 1,000 hosts and 30,000 VMs: how long they take, in processor time of one thread.
//!
//! The hosts' load is what their VMs use, so that a move takes with it what it should. `relieved` counts the hot hosts that are below
//! their threshold when all moves have ended.

#[path = "scene/mod.rs"]
mod scene;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use scene::*;
use ulm_decide::{Backing, Decision, Input, Past, capacity, decide, stillness, why_not_anywhere};
use ulm_model::*;
use ulm_policy::{Custom, Defragment, Goal, GoalKind, Policy, Shape, Spread};

const HOT: u32 = 50;

fn main() {
    let hosts_and_vms = format!("{HOSTS} hosts, {} VMs, {SAMPLES} samples each", HOSTS * VMS_PER_HOST);
    println!("{hosts_and_vms}");
    println!("{:<58} {:>6} {:>6} {:>9} {:>9} {:>8}", "decision", "moves", "least", "relieved", "took", "bound");
    let even = GoalKind::Even(Spread { memory: 0, floor: Share::percent(65), ..Spread::default() });
    decided("50 hot hosts, founding policy", HOT, &policy(None), 1000);
    decided("50 hot hosts, even out above 65 % of CPU", HOT, &policy(Some(even.clone())), 1000);
    decided("no host above the floor, even out", 0, &policy(Some(even)), 1000);
    let shape = Shape::new(32, Bytes::gib(200), Some(4));
    decided("make room for 4 VMs of 32 vCPUs and 200 GiB", 0, &policy(Some(GoalKind::MakeRoom(shape))), 1000);
    let in_cell = Shape { cell: true, pages: Some(PAGES), ..Shape::new(32, Bytes::gib(100), Some(4)) };
    let in_cell = policy(Some(GoalKind::MakeRoom(in_cell)));
    decided_on("make room for 4 VMs of 100 GiB, in huge pages of a cell", &in_huge_pages(), 0, &in_cell, 1000);
    let each = "vm.memory > host.memory / 100 ? host.cpus * 2 : host.cpus".to_owned();
    let custom = GoalKind::Custom(Custom { each: Some(each), awake: None });
    decided("an expression over VMs and hosts", 0, &policy(Some(custom)), 1000);
    decided("defragment", 0, &policy(Some(GoalKind::Defragment(Defragment::default()))), 5000);

    println!("{:<58} {:>6} {:>6} {:>9} {:>9} {:>8}", "answer", "", "", "", "took", "bound");
    let (input, plain) = (input(HOT), policy(None));
    let took = timed(|| drop(black_box(stillness(black_box(&input), &plain))));
    row("why nothing else moves: all VMs", ["", "", ""], took, 1000);
    let vm = input.snapshot.vms[77].id;
    let took = timed(|| drop(black_box(why_not_anywhere(black_box(&input), &plain, vm))));
    row("why not: one VM, all hosts", ["", "", ""], took, 1000);
    let took = timed(|| drop(black_box(capacity(black_box(&input), &plain, Backing::default()))));
    row("capacity", ["", "", ""], took, 5000);
}

/// The founding policy, or one goal instead of it. As many moves at once as it takes.
fn policy(kind: Option<GoalKind>) -> Policy {
    let mut policy = Policy::default();
    policy.limits.moves = 1000;
    policy.limits.moves_per_host = 8;
    if let Some(kind) = kind {
        policy.goals = vec![Goal::new("the goal", kind)];
    }
    policy
}

/// The first `hot` hosts are at 77 to 87 % CPU, the others at 30 to 50 %; all of it is used by their VMs.
fn input(hot: u32) -> Input {
    let mut snapshot = cluster(hot);
    for (i, host) in snapshot.hosts.iter_mut().take(hot as usize).enumerate() {
        host.cpu_use = steady(Share::percent(77 + i as u32 % 11) * host.cpu);
    }
    let mut sums: BTreeMap<HostIx, u64> = BTreeMap::new();
    for vm in &snapshot.vms {
        *sums.entry(vm.host).or_default() += hunger(vm);
    }
    for vm in &mut snapshot.vms {
        let (host, used) = (&snapshot.hosts[vm.host.at()], hunger(vm));
        let whole = host.cpu_use.value().map_or(0, |used| used.0);
        vm.cpu_use = steady(MilliCpu(used * whole / sums[&vm.host]));
        vm.vcpus = 8;
    }
    for host in &mut snapshot.hosts {
        host.memory_use = steady(Bytes::gib(245));
    }
    Input::new(snapshot, NOW, Acting::On, Past::default())
}

/// The size of the huge pages that VMs are in.
const PAGES: Bytes = Bytes::mib(2);

/// Each host has two NUMA cells with 150 GiB in huge pages, and each VM is in those of one of them.
fn in_huge_pages() -> Input {
    let mut snapshot = input(0).snapshot;
    let mut free = vec![[Bytes::gib(150); 2]; snapshot.hosts.len()];
    for (i, vm) in snapshot.vms.iter_mut().enumerate() {
        let cell = i % 2;
        let left = &mut free[vm.host.at()][cell];
        *left = left.saturating_sub(vm.memory);
        vm.needs = vm.needs.take().map(|needs| Needs { pages: Some(PAGES), cells: [cell as u32].into(), ..needs });
    }
    for (host, free) in snapshot.hosts.iter_mut().zip(free) {
        host.cells = (0..2)
            .map(|id| Cell {
                id,
                cpus: 32,
                memory: Bytes::gib(256),
                pages: vec![HugePages { size: PAGES, total: Bytes::gib(150), free: free[id as usize] }],
                ..Cell::default()
            })
            .collect();
    }
    Input::new(snapshot, NOW, Acting::On, Past::default())
}

/// Most VMs use little, and a few use much.
fn hunger(vm: &Vm) -> u64 {
    used_by(vm) * used_by(vm) / 1000
}

fn decided(name: &str, hot: u32, policy: &Policy, bound_ms: u64) {
    decided_on(name, &input(hot), hot, policy, bound_ms);
}

fn decided_on(name: &str, input: &Input, hot: u32, policy: &Policy, bound_ms: u64) {
    let decision = decide(input, policy);
    let took = timed(|| drop(black_box(decide(black_box(input), policy))));
    let (relieved, moves) = (relieved(input, &decision, hot), decision.plan.steps.len());
    if std::env::args().any(|arg| arg == "why") {
        println!("{}", decision.report);
    }
    let least = if hot > 0 { least_moves(input, hot).to_string() } else { String::new() };
    row(name, [&moves.to_string(), &least, &format!("{relieved}/{hot}")], took, bound_ms);
}

/// So many moves it takes at least: of each hot host its hungriest VMs, whether they fit elsewhere or not.
fn least_moves(input: &Input, hot: u32) -> usize {
    let of_host = |host: u32| {
        let whole = &input.snapshot.hosts[host as usize];
        let mut used: Vec<u64> = input.snapshot.vms.iter().filter(|vm| vm.host.0 == host).map(used_by).collect();
        used.sort_unstable_by(|a, b| b.cmp(a));
        let mut left = whole.cpu_use.value().map_or(0, |used| used.0);
        used.iter()
            .take_while(|used| {
                let hot = left * 100 > whole.cpu.0 * 75;
                left -= if hot { **used } else { 0 };
                hot
            })
            .count()
    };
    (0..hot).map(of_host).sum()
}

fn used_by(vm: &Vm) -> u64 {
    vm.cpu_use.value().map_or(0, |used| used.0)
}

/// The hot hosts that are at most at their threshold when all moves have ended.
fn relieved(input: &Input, decision: &Decision, hot: u32) -> usize {
    let snapshot = &input.snapshot;
    let mut load: Vec<i64> =
        snapshot.hosts.iter().map(|host| host.cpu_use.value().map_or(0, |used| used.0 as i64)).collect();
    for step in &decision.plan.steps {
        let Action::Move { vm, from, to, .. } = &step.action;
        let vm = snapshot.vm(snapshot.find_vm(*vm).expect("it is there"));
        let used = vm.cpu_use.value().map_or(0, |used| used.0 as i64);
        load[snapshot.find_host(from).expect("it is there").at()] -= used;
        load[snapshot.find_host(to).expect("it is there").at()] += used;
    }
    (0..hot as usize).filter(|host| load[*host] * 100 <= snapshot.hosts[*host].cpu.0 as i64 * 75).count()
}

/// The median of three.
fn timed(run: impl Fn()) -> Duration {
    let mut times: Vec<Duration> = (0..3)
        .map(|_| {
            let began = on_the_processor();
            run();
            on_the_processor() - began
        })
        .collect();
    times.sort();
    times[1]
}

fn row(name: &str, [moves, least, relieved]: [&str; 3], took: Duration, bound_ms: u64) {
    println!("{name:<58} {moves:>6} {least:>6} {relieved:>9} {:>6.0} ms {bound_ms:>5} ms", took.as_secs_f64() * 1e3);
}
