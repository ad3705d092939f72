//! Small clusters around the fill where tasks turn impossible: the hardest that there are for their size.
//!
//! Forty tasks a row, A and B packed at random and independently: how many have a route, how many have none and by which proof,
//! cost by the bound, and processor time. Beside it how many of forty tasks of the same kind, but not the same, had a route, had none and
//! were undecided with the throw-away prototype, which searched everything from both ends.

mod common;

use std::time::Duration;

use common::small::small;
use common::{Within, timed, wanted};
use ulm_model::*;
use ulm_path::{Budget, ByBytes, path};

const TASKS: u64 = 40;
const LIMIT: Duration = Duration::from_secs(20);

/// Hosts, VMs, whether sizes are flavours, and fill in per cent.
type Kind = (usize, usize, bool, u64);

/// What the prototype found of forty tasks: routes, proofs, undecided.
const PROTOTYPE: [(Kind, [u32; 3]); 8] = [
    ((5, 13, false, 80), [40, 0, 0]),
    ((5, 13, false, 88), [36, 4, 0]),
    ((5, 13, false, 90), [20, 13, 7]),
    ((5, 13, false, 92), [0, 40, 0]),
    ((6, 16, false, 90), [39, 1, 0]),
    ((6, 16, false, 92), [17, 13, 10]),
    ((6, 16, true, 92), [40, 0, 0]),
    ((6, 16, true, 94), [0, 40, 0]),
];

fn main() {
    println!(
        "{:<32} {:>6} {:>7} {:>7} {:>9} {:>9} {:>12} {:>9} {:>9} {:>20}",
        "hosts × VMs, sizes, fill",
        "route",
        "frozen",
        "closed",
        "explored",
        "undecided",
        "cost / bound",
        "median",
        "longest",
        "prototype's forty"
    );
    for (hosts, vms, flavours) in [(5, 13, false), (6, 16, false), (6, 16, true), (8, 24, false), (8, 24, true)] {
        for fill in [80, 85, 88, 90, 91, 92, 94, 96] {
            let name = format!("{hosts}×{vms} {} .{fill}", if flavours { "flavours" } else { "irregular" });
            if wanted(&name) {
                measure(&name, (hosts, vms, flavours, fill));
            }
        }
    }
}

fn measure(name: &str, kind: Kind) {
    let (hosts, vms, flavours, fill) = kind;
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
    let prototype = PROTOTYPE.iter().find(|(known, _)| *known == kind);
    let prototype = prototype
        .map_or("–".to_owned(), |(_, [routes, proofs, undecided])| format!("{routes} / {proofs} / {undecided}"));
    println!(
        "{name:<32} {:>6} {:>7} {:>7} {:>9} {:>9} {ratio:>12} {:>6.1} ms {:>6.1} ms {prototype:>20}",
        count[0],
        count[1],
        count[2],
        count[3],
        count[4],
        times[times.len() / 2].as_secs_f64() * 1e3,
        times[times.len() - 1].as_secs_f64() * 1e3
    );
}
