//! The search for a better placement: what it gains, by how many moves, in which time.
//!
//! Prints for each instance the cost before and after, moves, moves for each host that was hot (or was emptied), the processor time of one
//! search, placements weighed in a second, and what matters for this instance, with its bound.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use ulm_place::dice::Dice;
use ulm_place::*;
use ulm_rules::HostSet;

/// Effort without a limit that matters.
const PLENTY: Effort = Effort { evaluations: 1 << 40, moves: u32::MAX };
/// A host's CPUs, in thousandths, and its memory, in MiB.
const WHOLE: [i64; 2] = [64_000, 524_288];
/// Where load begins to cost, and what a host should stay below, in ten-thousandths.
const FLOOR: u32 = 7_000;
const CEILING: i64 = 7_500;

fn main() {
    println!(
        "{:<52} {:>12} {:>12} {:>6} {:>8} {:>10} {:>8} {:>7}  what matters",
        "instance", "before", "after", "moves", "per host", "time", "M eval/s", "settled"
    );
    calm();
    rebalance("rebalance: 50 hot of 1,000 hosts, 30,000 VMs", 50, 8_000);
    rebalance("rebalance: 50 very hot of 1,000 hosts, 30,000 VMs", 50, 9_200);
    rebalance("rebalance: 500 hot of 1,000 hosts, 30,000 VMs", 500, 8_000);
    warm_everywhere();
    defragment("defragment: 1,000 hosts, 20,000 VMs, 35 %", false);
    defragment("defragment, load above the floor costs, 20 M weighed", true);
    apart();
    evacuate();
    make_room();
    make_room_of_flavours();
    only_an_exchange();
    only_as_a_whole();
}

/// What came of an instance.
struct Outcome {
    found: Found,
    at: Vec<u32>,
    time: Duration,
}

fn measure(name: &str, problem: &Problem, effort: &Effort, hosts: usize, telling: impl Fn(&Outcome) -> String) {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
        return;
    }
    let started = on_the_processor();
    let found = search(problem, effort);
    let time = on_the_processor() - started;
    let mut at: Vec<u32> = problem.vms.iter().map(|vm| vm.at).collect();
    let steps = found.packages.iter().flat_map(|package| &package.moves);
    let moves = steps.map(|step| at[step.vm as usize] = step.to).count();
    assert_eq!(cost(problem, &at).total(), found.after, "{name}");
    let speed = found.evaluations as f64 / time.as_secs_f64() / 1e6;
    let outcome = Outcome { found, at, time };
    let found = &outcome.found;
    println!(
        "{name:<52} {:>12} {:>12} {moves:>6} {:>8.2} {:>7.1} ms {speed:>8.1} {:>7}  {}",
        found.before,
        found.after,
        moves as f64 / hosts.max(1) as f64,
        outcome.time.as_secs_f64() * 1e3,
        found.settled,
        telling(&outcome)
    );
}

/// Time that this thread has spent on a processor: what else the machine does must not count. Elsewhere than on Linux, the time of day.
fn on_the_processor() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let wall = START.get_or_init(Instant::now).elapsed();
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = stat.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or(wall, Duration::from_nanos)
}

fn bound(time: Duration, most: u64) -> String {
    let most = Duration::from_millis(most);
    format!("{} {most:?}", if time <= most { "within" } else { "ABOVE" })
}

fn vm(at: usize, size: [i64; 2], move_cost: Points) -> PlaceVm {
    PlaceVm { at: at as u32, size: size.to_vec(), move_cost, ..PlaceVm::default() }
}

/// Hosts of one kind, filled up to `most` parts in ten thousand.
fn empty_cluster(hosts: usize, most: i64) -> Problem {
    let host = PlaceHost {
        capacity: WHOLE.iter().map(|whole| whole * most / 10_000).collect(),
        base: vec![0; 2],
        takes: true,
        busy: false,
    };
    Problem { resources: 2, hosts: vec![host; hosts], sets: vec![HostSet::all(hosts)], ..Problem::default() }
}

fn curves(hosts: usize) -> Vec<Curve> {
    let curve = |resource: usize| {
        let whole = vec![WHOLE[resource]; hosts];
        Curve { resource, whole, floor: FLOOR, power: 2, weight: 1_000_000 }
    };
    vec![curve(0), curve(1)]
}

/// So many VMs on each host, which together use about this part of it.
fn fill(problem: &mut Problem, dice: &mut Dice, host: usize, vms: usize, part: [i64; 2]) {
    let weights: Vec<[i64; 2]> = (0..vms).map(|_| [20 + dice.below(180), 20 + dice.below(180)]).collect();
    for it in &weights {
        let size = [0, 1].map(|r| {
            let sum: i64 = weights.iter().map(|it| it[r]).sum();
            WHOLE[r] * part[r] / 10_000 * it[r] / sum
        });
        problem.vms.push(vm(host, size, 1_200 + size[1] / 25));
    }
}

fn loads(problem: &Problem, at: &[u32]) -> Vec<[i64; 2]> {
    let mut loads = vec![[0; 2]; problem.hosts.len()];
    for (vm, at) in problem.vms.iter().zip(at) {
        (0..2).for_each(|r| loads[*at as usize][r] += vm.size[r]);
    }
    loads
}

fn above(problem: &Problem, at: &[u32], part: i64) -> usize {
    let over = |load: &&[i64; 2]| (0..2).any(|r| load[r] * 10_000 > WHOLE[r] * part);
    loads(problem, at).iter().filter(over).count()
}

/// How many moves it takes at least until no host is above the ceiling: from each the largest VMs.
fn least_moves(problem: &Problem, at: &[u32]) -> usize {
    let mut sum = 0;
    for (host, load) in loads(problem, at).iter().enumerate() {
        let needed = (0..2).map(|r| {
            let on = problem.vms.iter().filter(|vm| vm.at as usize == host);
            let mut sizes: Vec<i64> = on.map(|vm| vm.size[r]).collect();
            sizes.sort_unstable_by(|a, b| b.cmp(a));
            let mut left = load[r];
            let goes = |size: &&i64| {
                let hot = left * 10_000 > WHOLE[r] * CEILING;
                left -= **size;
                hot
            };
            sizes.iter().take_while(goes).count()
        });
        sum += needed.max().unwrap_or(0);
    }
    sum
}

/// A cluster with some hot hosts, half of them in CPU, half in memory.
fn with_hot_hosts(hot: usize, heat: i64) -> Problem {
    let (hosts, mut dice) = (1_000, Dice(1));
    let mut problem = empty_cluster(hosts, 9_500);
    problem.curves = curves(hosts);
    for host in 0..hosts {
        let mut part = [3_000 + dice.below(3_000), 4_000 + dice.below(2_000)];
        if host * hot / hosts != (host + 1) * hot / hosts {
            part[host / 20 % 2] = heat + dice.below(300);
        }
        fill(&mut problem, &mut dice, host, 30, part);
    }
    problem
}

fn calm() {
    let problem = with_hot_hosts(0, 0);
    measure("calm: 1,000 hosts, 30,000 VMs, all below the floor", &problem, &PLENTY, 0, |outcome| {
        assert!(outcome.found.packages.is_empty());
        bound(outcome.time, 50)
    });
}

fn rebalance(name: &str, hot: usize, heat: i64) {
    let problem = with_hot_hosts(hot, heat);
    measure(name, &problem, &PLENTY, hot, |outcome| {
        let home: Vec<u32> = problem.vms.iter().map(|vm| vm.at).collect();
        let (before, after) = (above(&problem, &home, CEILING), above(&problem, &outcome.at, CEILING));
        let least = least_moves(&problem, &home);
        let time = bound(outcome.time, 1000);
        format!(
            "{time}; {before} hosts above the ceiling before, {after} after; to get below it takes {least} moves at least"
        )
    });
}

fn warm_everywhere() {
    let (hosts, mut dice) = (1_000, Dice(2));
    let mut problem = empty_cluster(hosts, 9_800);
    problem.curves = curves(hosts);
    for host in 0..hosts {
        let part = [6_000 + dice.below(3_500), 6_000 + dice.below(3_500)];
        fill(&mut problem, &mut dice, host, 30, part);
    }
    for (what, evaluations) in [("5 M weighed", 5_000_000), ("50 M weighed", 50_000_000)] {
        let name = format!("warm everywhere: 60 to 95 %, {what}");
        measure(&name, &problem, &Effort { evaluations, ..PLENTY }, hosts, |outcome| {
            let after = above(&problem, &outcome.at, 8_500);
            format!("{after} hosts above 85 %")
        });
    }
}

fn defragment(name: &str, curved: bool) {
    let (hosts, mut dice) = (1_000, Dice(3));
    let mut problem = empty_cluster(hosts, 8_000);
    problem.awake = (0..hosts).map(|_| 100_000 + dice.below(20_000)).collect();
    if curved {
        problem.curves = curves(hosts);
    }
    for host in 0..hosts {
        let part = [2_500 + dice.below(2_000), 2_500 + dice.below(2_000)];
        fill(&mut problem, &mut dice, host, 20, part);
    }
    let sum = |r: usize| problem.vms.iter().map(|vm| vm.size[r]).sum::<i64>();
    let least = (0..2).map(|r| (sum(r) - 1) / problem.hosts[0].capacity[r] + 1).max().unwrap_or(0);
    let effort = if curved { Effort { evaluations: 20_000_000, ..PLENTY } } else { PLENTY };
    measure(name, &problem, &effort, hosts, |outcome| {
        let awake = (0..hosts as u32).filter(|host| outcome.at.contains(host)).count();
        format!("{}; {awake} hosts awake, at least {least} must be", bound(outcome.time, 5000))
    });
}

fn apart() {
    let (hosts, mut dice) = (1_000, Dice(4));
    let mut problem = with_hot_hosts(0, 0);
    for i in 0..1_000 {
        let mut vms: Vec<u32> = (0..5).map(|_| dice.below(30_000) as u32).collect();
        if i % 2 == 0 {
            // Two on one host at the beginning.
            let first = vms[0] - vms[0] % 30;
            vms.extend([first, first + 1]);
        }
        vms.sort_unstable();
        vms.dedup();
        let domains = (0..hosts as u32).map(|host| if i % 4 == 0 { host / 20 } else { host }).collect();
        let points = (i % 3 != 0).then_some(5_000);
        problem.relations.push(Relation { vms, domains, kind: RelationKind::AtMost(1), points });
    }
    let surplus = |at: &[u32]| problem.relations.iter().map(|it| it.surplus(at)).sum::<u64>();
    let home: Vec<u32> = problem.vms.iter().map(|vm| vm.at).collect();
    let before = surplus(&home);
    measure("apart: 1,000 groups, hard and soft, hosts and racks", &problem, &PLENTY, before as usize, |outcome| {
        format!("{}; {before} too many before, {} after", bound(outcome.time, 1000), surplus(&outcome.at))
    });
}

fn evacuate() {
    let mut problem = with_hot_hosts(0, 0);
    for host in &mut problem.hosts[..100] {
        host.takes = false;
    }
    for vm in problem.vms.iter_mut().filter(|vm| vm.at < 100) {
        vm.stay_cost = 1_000_000;
    }
    measure("evacuate 100 of 1,000 hosts", &problem, &PLENTY, 100, |outcome| {
        let left = outcome.at.iter().filter(|host| **host < 100).count();
        format!("{}; {left} of 3000 VMs left", bound(outcome.time, 1000))
    });
}

fn make_room() {
    let (hosts, mut dice) = (1_000, Dice(5));
    let mut problem = empty_cluster(hosts, 10_000);
    for host in 0..hosts {
        let part = [6_500 + dice.below(2_000), 7_000 + dice.below(2_000)];
        fill(&mut problem, &mut dice, host, 20, part);
    }
    let shape = vec![WHOLE[0] * 4 / 10, WHOLE[1] * 4 / 10];
    for count in [1, 20] {
        let room = WantedRoom { shape: shape.clone(), parts: Vec::new(), allowed: 0, count, points: 100_000 };
        problem.rooms = vec![room];
        let name = format!("make room for {count}, no host has any");
        measure(&name, &problem, &PLENTY, count as usize, |outcome| {
            let missing = cost(&problem, &outcome.at).rooms / 100_000;
            format!("{}; {missing} missing", bound(outcome.time, 1000))
        });
    }
}

fn make_room_of_flavours() {
    // VMs of twelve flavours, as a cloud has them: what costs to move them is the same for each of a flavour.
    let (hosts, mut dice) = (1_000, Dice(6));
    let mut problem = empty_cluster(hosts, 10_000);
    for host in 0..hosts {
        let (mut left, most) = (WHOLE, [WHOLE[0] * 2 / 10, WHOLE[1] * 15 / 100]);
        loop {
            let cpu = [1_000, 2_000, 4_000, 8_000][dice.below(4) as usize];
            let size = [cpu, cpu * [2, 4, 8][dice.below(3) as usize] * 1_024 / 1_000];
            if (0..2).any(|r| left[r] - size[r] < most[r]) {
                break;
            }
            (0..2).for_each(|r| left[r] -= size[r]);
            problem.vms.push(vm(host, size, 1_200 + size[1] / 25));
        }
    }
    let shape = vec![WHOLE[0] * 4 / 10, WHOLE[1] * 4 / 10];
    for moves in [20, u32::MAX] {
        problem.rooms =
            vec![WantedRoom { shape: shape.clone(), parts: Vec::new(), allowed: 0, count: 400, points: 100_000 }];
        let limit = if moves == u32::MAX { String::new() } else { format!(", {moves} moves") };
        let name = format!("make room for 400, VMs of 12 flavours{limit}");
        measure(&name, &problem, &Effort { moves, ..PLENTY }, 400, |outcome| {
            let missing = cost(&problem, &outcome.at).rooms / 100_000;
            format!("{}; {missing} missing", bound(outcome.time, 2_000))
        });
    }
}

fn only_an_exchange() {
    // Pairs of hosts, one with much CPU and little memory in use, the other the other way round; none has room for more.
    let hosts = 200;
    let mut problem = empty_cluster(hosts, 10_000);
    problem.curves = curves(hosts);
    for host in 0..hosts {
        let (much, little) = if host % 2 == 0 { ([3, 1], [1, 1]) } else { ([1, 3], [1, 1]) };
        for size in [much, much, much, little] {
            let size = [0, 1].map(|r| WHOLE[r] * size[r] * 97 / 1_000 + (host % 7) as i64);
            problem.vms.push(vm(host, size, 100));
        }
    }
    measure("only exchanges help: 200 hosts", &problem, &PLENTY, hosts, |outcome| bound(outcome.time, 1000));
}

fn only_as_a_whole() {
    // Every move by itself costs; a host that is empty saves more than all of its moves cost.
    let hosts = 100;
    let mut problem = empty_cluster(hosts, 10_000);
    problem.awake = vec![1_000; hosts];
    for host in 0..hosts {
        for _ in 0..4 {
            problem.vms.push(vm(host, [0, 1].map(|r| WHOLE[r] / 10), 200));
        }
    }
    measure("only emptying as a whole helps: 100 hosts", &problem, &PLENTY, hosts, |outcome| {
        let awake = (0..hosts as u32).filter(|host| outcome.at.contains(host)).count();
        format!("{}; {awake} hosts awake", bound(outcome.time, 1000))
    });
}
