//! Paths at 1,000 hosts and 13,000 VMs, and at 10,000 and 130,000: moves, time, timetable.
//!
//! Prints a table: for each target the moves, those beyond one for each misplaced VM, the memory copied beyond that of the misplaced
//! VMs, the processor time of [`path`] with its timetable, the makespan by the least time that the busiest host needs and, for routes on
//! which nobody is parked, by that and the longest chain of direct moves that must wait for each other, and the checker's time. Bounds
//! stand behind the figure. Three resources, of which memory is the scarcest; each host takes one move at a time and gives one, and has a
//! network card of 10 Gb/s.
//!
//! Columns named "proto" hold what the throw-away prototypes needed (memory only; the time without a timetable; makespans of 400 hosts),
//! and "by it" our time by theirs.
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

/// What the prototypes needed: extra memory, seconds, makespan by the least.
#[derive(Clone, Copy, Default)]
struct Prototype {
    extra: Option<f64>,
    seconds: Option<f64>,
    makespan: Option<f64>,
}

/// One row: hosts, fill in thousandths, target, which random cluster, bounds, the prototypes' figures.
struct Row {
    hosts: usize,
    fill: u64,
    target: Target,
    seed: u64,
    bounds: Bounds,
    prototype: Prototype,
}

fn row(hosts: usize, fill: u64, target: Target) -> Row {
    Row { hosts, fill, target, seed: 1, bounds: Bounds::default(), prototype: Prototype::default() }
}

impl Row {
    fn seed(mut self, seed: u64) -> Row {
        self.seed = seed;
        self
    }
    /// It must be planned in so many seconds.
    fn within(mut self, seconds: f64) -> Row {
        self.bounds.seconds = Some(seconds);
        self
    }
    /// It may copy so much more memory.
    fn extra(mut self, extra: f64) -> Row {
        self.bounds.extra = Some(extra);
        self
    }
    /// It must be done in so many times the least.
    fn done_in(mut self, makespan: f64) -> Row {
        self.bounds.makespan = Some(makespan);
        self
    }
    /// The prototype needed so much more memory, and so many seconds.
    fn needed(mut self, extra: f64, seconds: f64) -> Row {
        (self.prototype.extra, self.prototype.seconds) = (Some(extra), Some(seconds));
        self
    }
    /// The prototype of the timetable needed so many times the least.
    fn took(mut self, makespan: f64) -> Row {
        self.prototype.makespan = Some(makespan);
        self
    }

    fn name(&self) -> String {
        let what = match self.target {
            Target::Relocated(percent) => format!("{percent} % relocated"),
            Target::Swapped(100) => "all swapped".to_owned(),
            Target::Swapped(percent) => format!("{percent} % swapped"),
            Target::Repacked => "all packed anew".to_owned(),
        };
        let seed = if self.seed == 1 { String::new() } else { format!(", seed {}", self.seed) };
        format!("{} hosts .{:02}, {what}{seed}", self.hosts, self.fill / 10)
    }
}

fn rows() -> Vec<Row> {
    use Target::*;
    let tight = |seed| row(1000, 950, Relocated(20)).seed(seed).done_in(2.0);
    vec![
        row(1000, 800, Relocated(20)).done_in(1.5).took(1.16),
        row(1000, 900, Relocated(20)).needed(0.0, 0.002),
        tight(1).needed(0.0, 0.003).took(1.77),
        tight(2),
        tight(3),
        tight(4),
        row(1000, 900, Swapped(20)).needed(0.034, 0.008).took(2.67),
        row(1000, 950, Swapped(20)).within(0.1).extra(0.08).needed(0.079, 0.023),
        row(1000, 980, Swapped(20)).needed(0.13, 0.033),
        row(1000, 990, Swapped(20)).needed(0.27, 0.072),
        row(1000, 800, Repacked).within(0.5).took(2.31),
        row(1000, 900, Repacked).within(0.5).needed(0.0001, 0.2),
        row(1000, 950, Repacked).needed(0.11, 0.9).took(14.2),
        row(1000, 980, Repacked),
        row(1000, 900, Swapped(100)).within(0.5).needed(0.009, 0.4),
        row(1000, 950, Swapped(100)).needed(0.028, 0.4),
        row(10_000, 900, Relocated(20)),
        row(10_000, 950, Swapped(20)),
        row(10_000, 900, Repacked),
    ]
}

fn main() {
    println!(
        "{:<58} {:>6} {:>6} {:>15} {:>7} {:>15} {:>8} {:>6} {:>12} {:>6} {:>8} {:>8} {:>7}",
        "target",
        "moves",
        "parked",
        "extra",
        "proto",
        "path",
        "proto",
        "by it",
        "makespan",
        "proto",
        "/ chains",
        "check",
        "memory"
    );
    rows().into_iter().filter(|row| wanted(&row.name())).for_each(|row| measure(&row));
}

fn measure(row: &Row) {
    let (name, bounds, prototype) = (row.name(), row.bounds, row.prototype);
    let Some(task) = cluster(row.hosts, Sizes::Flavours, row.fill, row.target, row.seed) else {
        println!("{name:<58} no random packing was found");
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
            println!("{name:<58} undecided: {left} VMs left after {explored} states ({why:?}), {time:.1?}");
            return;
        }
        Answer::Impossible { certificate } => {
            let text: String = format!("{certificate:?}").chars().take(60).collect();
            println!("{name:<58} impossible: {text}…, {time:.1?}");
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
        "{name:<58} {:>6} {:>6} {:>15} {:>7} {:>15} {:>8} {:>6} {:>12} {:>6} {:>8} {:>8} {:>7}",
        figures.moves,
        figures.moves - figures.misplaced,
        format!("{:.1} %{}", figures.extra * 100.0, against(figures.extra, bounds.extra)),
        or_dash(prototype.extra.map(|extra| format!("{:.1} %", extra * 100.0))),
        format!("{:.3} s{}", time.as_secs_f64(), against(time.as_secs_f64(), bounds.seconds)),
        or_dash(prototype.seconds.map(|seconds| format!("{seconds:.3} s"))),
        or_dash(prototype.seconds.map(|seconds| format!("{:.1}", time.as_secs_f64() / seconds))),
        format!("{:.2}{}", figures.makespan, against(figures.makespan, bounds.makespan)),
        or_dash(prototype.makespan.map(|makespan| format!("{makespan:.2}"))),
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

fn or_dash(figure: Option<String>) -> String {
    figure.unwrap_or_else(|| "–".to_owned())
}
