//! Paths at 1,000 hosts and 13,000 VMs, and at 10,000 and 130,000: moves, time, timetable.
//!
//! Prints a table: for each target the moves, those beyond one for each misplaced VM, the memory copied beyond that of the misplaced
//! VMs, the processor time of [`path`] with its timetable, the makespan by the least time that the busiest host needs and, for routes on
//! which nobody is parked, by that and the longest chain of direct moves that must wait for each other, and the checker's time. Bounds stand behind the figure. Three resources, of which memory is the scarcest; each host takes one move at a
//! time and gives one, and has a network card of 10 Gb/s.
//!
//! `cargo bench -p ulm-path --bench scale -- WORD...` measures only rows that hold one of the words.

mod common;

use std::time::Duration;

use common::{Sizes, Target, cluster, direct_chains, figures, forget_peak, memory, timed, wanted};
use ulm_check::{Completeness, check_route};
use ulm_model::*;
use ulm_path::{Alone, Budget, ByBytes, path};

/// What must hold.
#[derive(Clone, Copy, Default)]
struct Bounds {
    seconds: Option<f64>,
    extra: Option<f64>,
    makespan: Option<f64>,
}

fn main() {
    println!(
        "{:<46} {:>6} {:>7} {:>9} {:>15} {:>17} {:>8} {:>13} {:>8}",
        "target", "moves", "parked", "extra", "path", "makespan / least", "/ chains", "check", "memory"
    );
    let none = Bounds::default();
    let rows = [
        (1000, 800, Target::Relocated(20), Bounds { makespan: Some(1.5), ..none }),
        (1000, 900, Target::Relocated(20), none),
        (1000, 950, Target::Relocated(20), Bounds { makespan: Some(2.0), ..none }),
        (1000, 900, Target::Swapped(20), none),
        (1000, 950, Target::Swapped(20), Bounds { seconds: Some(0.1), extra: Some(0.08), ..none }),
        (1000, 980, Target::Swapped(20), none),
        (1000, 990, Target::Swapped(20), none),
        (1000, 800, Target::Repacked, Bounds { seconds: Some(0.5), ..none }),
        (1000, 900, Target::Repacked, Bounds { seconds: Some(0.5), ..none }),
        (1000, 950, Target::Repacked, none),
        (1000, 980, Target::Repacked, none),
        (1000, 900, Target::Swapped(100), Bounds { seconds: Some(0.5), ..none }),
        (1000, 950, Target::Swapped(100), none),
        (10_000, 900, Target::Relocated(20), none),
        (10_000, 950, Target::Swapped(20), none),
        (10_000, 900, Target::Repacked, none),
    ];
    for (hosts, fill, target, bounds) in rows {
        let what = match target {
            Target::Relocated(percent) => format!("{percent} % relocated"),
            Target::Swapped(100) => "all swapped".to_owned(),
            Target::Swapped(percent) => format!("{percent} % swapped"),
            Target::Repacked => "all packed anew".to_owned(),
        };
        let name = format!("{hosts} hosts .{:02}, {what}", fill / 10);
        if wanted(&name) {
            measure(&name, hosts, fill, target, bounds);
        }
    }
}

fn measure(name: &str, hosts: usize, fill: u64, target: Target, bounds: Bounds) {
    let Some(task) = cluster(hosts, Sizes::Flavours, fill, target, 1) else {
        println!("{name:<46} no random packing was found");
        return;
    };
    let name = format!("{name}, {} VMs", task.vms.len());
    forget_peak();
    let before = memory().0;
    let (answer, mut time) = timed(|| path(&task, &ByBytes, &Budget::default(), &Alone));
    let grown = memory().1.saturating_sub(before);
    if time < Duration::from_secs(1) {
        let mut times = [time; 3];
        times[1..].iter_mut().for_each(|time| *time = timed(|| path(&task, &ByBytes, &Budget::default(), &Alone)).1);
        times.sort();
        time = times[1];
    }
    let route = match &answer {
        Answer::Route(route) => route,
        Answer::Undecided { left, explored, why, .. } => {
            let left = left.len();
            println!("{name:<46} undecided: {left} VMs left after {explored} states ({why:?}), {time:.1?}");
            return;
        }
        Answer::Impossible { certificate } => {
            let text: String = format!("{certificate:?}").chars().take(60).collect();
            println!("{name:<46} impossible: {text}…, {time:.1?}");
            return;
        }
    };
    let (verdict, check) = timed(|| check_route(&task, route, Completeness::ToB));
    let figures = figures(&task, route);
    let against = |figure: f64, bound: Option<f64>| match bound {
        Some(bound) if figure <= bound => format!(" (≤ {bound})"),
        Some(bound) => format!(" (> {bound}!)"),
        None => String::new(),
    };
    println!(
        "{name:<46} {:>6} {:>7} {:>9} {:>15} {:>17} {:>8} {:>13} {:>8}",
        figures.moves,
        figures.moves - figures.misplaced,
        format!("{:.1} %{}", figures.extra * 100.0, against(figures.extra, bounds.extra)),
        format!("{:.3} s{}", time.as_secs_f64(), against(time.as_secs_f64(), bounds.seconds)),
        format!("{:.2}{}", figures.makespan, against(figures.makespan, bounds.makespan)),
        // Who parks nobody has to keep these chains.
        match figures.moves == figures.misplaced {
            true =>
                format!("{:.2}", route.makespan_ms as f64 / direct_chains(&task).max(route.makespan_bound_ms) as f64),
            false => "–".to_owned(),
        },
        match verdict {
            Ok(_) => format!("{:.3} s", check.as_secs_f64()),
            Err(fault) => format!("REFUSED: {fault:?}"),
        },
        format!("{} MB", grown / 1_000_000),
    );
}
