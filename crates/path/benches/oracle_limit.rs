//! Small clusters around the fill where tasks turn impossible: the hardest that there are for their size.
//!
//! Forty tasks a row, A and B packed at random and independently: how many have a route, how many have none and by which proof,
//! cost by the bound, and processor time.

mod common;

use std::time::Duration;

use common::{Dice, Within, timed, wanted};
use ulm_model::*;
use ulm_path::{Budget, ByBytes, path};

const TASKS: u64 = 40;
const LIMIT: Duration = Duration::from_secs(20);

fn main() {
    println!(
        "{:<32} {:>6} {:>7} {:>7} {:>9} {:>9} {:>12} {:>9} {:>9}",
        "hosts × VMs, sizes, fill",
        "route",
        "frozen",
        "closed",
        "explored",
        "undecided",
        "cost / bound",
        "median",
        "longest"
    );
    for (hosts, vms, flavours) in [(5, 13, false), (6, 16, false), (6, 16, true), (8, 24, false), (8, 24, true)] {
        for fill in [80, 85, 88, 90, 91, 92, 94, 96] {
            let name = format!("{hosts}×{vms} {} .{fill}", if flavours { "flavours" } else { "irregular" });
            if wanted(&name) {
                measure(&name, hosts, vms, flavours, fill);
            }
        }
    }
}

fn measure(name: &str, hosts: usize, vms: usize, flavours: bool, fill: u64) {
    let mut count = [0; 5];
    let (mut times, mut ratios) = (vec![], vec![]);
    for seed in 0..TASKS {
        let Some(task) = small(hosts, vms, flavours, fill, seed) else { continue };
        let budget = Budget { expansions: u64::MAX, ..Budget::default() };
        let (answer, time) = timed(|| path(&task, &ByBytes, &budget, &Within::new(LIMIT)));
        times.push(time);
        let kind = match answer {
            Answer::Route(route) => {
                ratios.push(route.cost as f64 / route.cost_bound.max(1) as f64);
                0
            }
            Answer::Impossible { certificate: Certificate::Frozen { .. } | Certificate::Unsound { .. } } => 1,
            Answer::Impossible { certificate: Certificate::Closed { .. } } => 2,
            Answer::Impossible { certificate: Certificate::Explored { .. } } => 3,
            Answer::Undecided { .. } => 4,
        };
        count[kind] += 1;
    }
    if times.is_empty() {
        return;
    }
    times.sort();
    let ratio = match ratios.len() {
        0 => "–".to_owned(),
        count => format!("{:.3}", ratios.iter().sum::<f64>() / count as f64),
    };
    println!(
        "{name:<32} {:>6} {:>7} {:>7} {:>9} {:>9} {ratio:>12} {:>6.1} ms {:>6.1} ms",
        count[0],
        count[1],
        count[2],
        count[3],
        count[4],
        times[times.len() / 2].as_secs_f64() * 1e3,
        times[times.len() - 1].as_secs_f64() * 1e3
    );
}

/// Irregular sizes with capacities as the fill wants them, or 4/8/16/32 on hosts of 64, as many VMs as fill them.
fn small(hosts: usize, vms: usize, flavours: bool, fill: u64, seed: u64) -> Option<Task> {
    let mut dice = Dice(seed * 1000 + fill);
    let mut sizes: Vec<u64> = vec![];
    let mut capacity = 64;
    if flavours {
        let wanted = 64 * hosts as u64 * fill / 100 / 4 * 4;
        while sizes.iter().sum::<u64>() < wanted {
            let size = [4, 8, 16, 32][dice.below(4)];
            sizes.push(size.min(wanted - sizes.iter().sum::<u64>()));
        }
        // What is left over at the end need not be a flavour: it is split into fours.
        let odd = sizes.pop().expect("at least one VM");
        sizes.extend((0..odd / 4).map(|_| 4));
    } else {
        sizes.extend((0..vms).map(|_| dice.between(5, 35)));
        capacity = (sizes.iter().sum::<u64>() * 100).div_ceil(fill * hosts as u64);
    }
    let mut pack = || {
        for _ in 0..20_000 {
            let mut order: Vec<usize> = (0..sizes.len()).collect();
            dice.shuffle(&mut order);
            order.sort_by_key(|vm| u64::MAX - sizes[*vm] / 12);
            let (mut free, mut at) = (vec![capacity; hosts], vec![0; sizes.len()]);
            let placed = order.into_iter().all(|vm| {
                let fitting: Vec<usize> = (0..hosts).filter(|host| free[*host] >= sizes[vm]).collect();
                if fitting.is_empty() {
                    return false;
                }
                at[vm] = fitting[dice.below(fitting.len())];
                free[at[vm]] -= sizes[vm];
                true
            });
            if placed {
                return Some(at);
            }
        }
        None
    };
    let (from, to) = (pack()?, pack()?);
    let host = |i: usize| TaskHost {
        name: format!("h{i}"),
        capacity: vec![capacity],
        takes: true,
        power: Power::On,
        moves_in: 1,
        moves_out: 1,
    };
    let vm = |i: usize| TaskVm {
        name: format!("v{i}"),
        from: from[i] as u32,
        to: to[i] as u32,
        size: vec![sizes[i]],
        stays: false,
        copy: Copying { bytes: sizes[i], ..Copying::default() },
    };
    let task = Task {
        resources: vec![TaskResource { name: "memory".into(), holds: Holds::Always }],
        hosts: (0..hosts).map(host).collect(),
        vms: (0..sizes.len()).map(vm).collect(),
        ..Task::default()
    };
    assert_eq!(task.flaw(), None);
    Some(task)
}
