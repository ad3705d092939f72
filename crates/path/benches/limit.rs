//! How near to full hosts a way is found: 20 % swapped and all packed anew, at 95 to 99.5 %.
//!
//! Prints for each row how many tasks were solved, proved impossible and left undecided after 60 s, the memory copied beyond that of
//! the misplaced VMs, and the median and the longest processor time, which has to stay below 60 s. The last two columns hold what the
//! throw-away prototype needed (memory only, without a timetable).
//!
//! `cargo bench -p ulm-path --bench limit -- WORD...` measures only rows that hold one of the words.

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::{Sizes, Target, Within, cluster, figures, timed, wanted};
use ulm_model::*;
use ulm_path::{Budget, ByBytes, path};

const LIMIT: Duration = Duration::from_secs(60);

/// What the prototype needed for rows with these words: extra memory, and time.
const PROTOTYPE: [(&str, &str, &str); 8] = [
    ("1000 hosts .950, 20 % swapped, flavours", "7.9 %", "0.023 s"),
    ("1000 hosts .980, 20 % swapped, flavours", "13 %", "0.033 s"),
    ("1000 hosts .990, 20 % swapped, flavours", "27 %", "0.072 s"),
    ("1000 hosts .950, all packed anew, flavours", "11 %", "0.9 s"),
    ("1000 hosts .980, all packed anew, flavours", "not", "solved"),
    ("100 hosts .950, all packed anew, flavours", "5 %", "0.011 s"),
    ("100 hosts .980, all packed anew, flavours", "78 %", "0.2 s"),
    ("100 hosts .990, all packed anew, flavours", "219 %", "1.4 s"),
];

fn main() {
    println!(
        "{:<50} {:>6} {:>10} {:>9} {:>8} {:>9} {:>9} {:>7} {:>8}",
        "hosts, fill, target, sizes",
        "solved",
        "impossible",
        "undecided",
        "extra",
        "median",
        "longest",
        "proto",
        "proto"
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
    let known = PROTOTYPE.iter().find(|(row, _, _)| *row == name);
    let (proto_extra, proto_time) = known.map_or(("–", "–"), |(_, extra, time)| (*extra, *time));
    println!(
        "{name:<50} {solved:>6} {impossible:>10} {undecided:>9} {extra:>8} {:>7.2} s {:>7.2} s {proto_extra:>7} {proto_time:>8}{reasons}",
        median.as_secs_f64(),
        longest.as_secs_f64()
    );
}
