//! How near to full hosts a way is found: 20 % swapped and all packed anew, at 95 to 99.5 %.
//!
//! Prints for each row how many tasks were solved, proved impossible and left undecided after 60 s, the memory copied beyond that of
//! the misplaced VMs, and the median and the longest processor time.
//!
//! `cargo bench -p ulm-path --bench limit -- WORD...` measures only rows that hold one of the words.

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::{Sizes, Target, Within, cluster, figures, timed, wanted};
use ulm_model::*;
use ulm_path::{Budget, ByBytes, path};

const LIMIT: Duration = Duration::from_secs(60);

fn main() {
    println!(
        "{:<50} {:>6} {:>10} {:>9} {:>8} {:>9} {:>9}",
        "hosts, fill, target, sizes", "solved", "impossible", "undecided", "extra", "median", "longest"
    );
    for (sizes, size_name) in [(Sizes::Flavours, "flavours"), (Sizes::Irregular, "irregular")] {
        for (target, target_name) in [(Target::Swapped(20), "20 % swapped"), (Target::Repacked, "all packed anew")] {
            for (hosts, tasks) in [(100, 5), (1000, 1)] {
                for fill in [950, 980, 990, 995] {
                    let name = format!("{hosts} hosts .{fill}, {target_name}, {size_name}");
                    if wanted(&name) {
                        measure(&name, hosts, sizes, fill, target, tasks);
                    }
                }
            }
        }
    }
}

fn measure(name: &str, hosts: usize, sizes: Sizes, fill: u64, target: Target, tasks: u64) {
    let (mut solved, mut impossible, mut undecided) = (0, 0, 0);
    let (mut times, mut extra, mut reasons) = (vec![], vec![], BTreeSet::new());
    for seed in 0..tasks {
        let Some(task) = cluster(hosts, sizes, fill, target, seed + 1) else { continue };
        let budget = Budget { expansions: u64::MAX, ..Budget::default() };
        let (answer, time) = timed(|| path(&task, &ByBytes, &budget, &Within::new(LIMIT)));
        times.push(time);
        match answer {
            Answer::Route(route) => {
                solved += 1;
                extra.push(figures(&task, &route).extra);
            }
            Answer::Impossible { .. } => impossible += 1,
            Answer::Undecided { why, .. } => {
                undecided += 1;
                reasons.insert(why);
            }
        }
    }
    if times.is_empty() {
        println!("{name:<50} no random packing was found");
        return;
    }
    times.sort();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    let extra = match extra.len() {
        0 => "–".to_owned(),
        count => format!("{:.1} %", extra.iter().sum::<f64>() / count as f64 * 100.0),
    };
    let reasons = if reasons.is_empty() { String::new() } else { format!("  {reasons:?}") };
    println!(
        "{name:<50} {solved:>6} {impossible:>10} {undecided:>9} {extra:>8} {:>7.2} s {:>7.2} s{reasons}",
        median.as_secs_f64(),
        longest.as_secs_f64()
    );
}
