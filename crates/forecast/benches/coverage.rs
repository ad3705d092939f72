//! How well profiles foretell, what sums of them are worth, and what they cost.
//!
//! `cargo bench -p ulm-forecast --bench coverage [-- FOLDER]`, FOLDER holding recorded traces: a file per VM with the CPU in per
//! cent every five minutes, one number a line. They are a day long, so they test a cold start and nothing of the weekly table.

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{BEGIN, Fit, Fits, KINDS, Kind, Load, WEEK, learn_and_forecast};
use ulm_forecast::{Demand, Profile, together};
use ulm_model::{MilliCpu, Time};

/// VMs of each kind.
const VMS: u64 = 40;

fn main() {
    for weeks in [1, 2, 4, 8] {
        println!("\nafter {weeks} weeks, the next one; coverage of the high, overshoot as a multiple of what was used");
        heading();
        let mut all = Fits::default();
        for kind in KINDS {
            let fits = (0..VMS).map(|seed| of_kind(kind, seed, weeks)).fold(Fits::default(), Fits::and);
            line(&format!("{kind:?}"), &fits);
            all = all.and(fits);
        }
        line("all", &all);
    }
    sums();
    cost();
    match std::env::args().skip(1).find(|arg| !arg.starts_with('-')) {
        Some(folder) => traces(Path::new(&folder)),
        None => println!("\nno folder of recorded traces was given"),
    }
}

fn of_kind(kind: Kind, seed: u64, weeks: u64) -> Fits {
    learn_and_forecast(MilliCpu::cpus(4), Load::new(kind, seed), (weeks * WEEK) as usize, WEEK as usize)
}

fn heading() {
    println!(
        "  {:<8} {:>16} {:>16} {:>16} {:>16}",
        "", "a week ahead", "next 15 minutes", "next hour", "naive maximum"
    );
}

fn line(name: &str, fits: &Fits) {
    let show = |fit: Fit| format!("{:.1} %  {:>5.2}x", fit.coverage() * 100.0, fit.overshoot());
    let shown = [fits.week, fits.quarter, fits.hour, fits.naive].map(show);
    println!("  {name:<8} {:>16} {:>16} {:>16} {:>16}", shown[0], shown[1], shown[2], shown[3]);
}

/// Hosts of 30 VMs of all kinds: how often the sum is within what they are expected to want together.
fn sums() {
    const ON_A_HOST: u64 = 30;
    println!(
        "\nthe sum of {ON_A_HOST} VMs within what they are expected to want together, 20 hosts, the week after two weeks"
    );
    let (mut within, mut samples, mut peaks, mut highs, mut used) = (0u64, 0u64, 0.0, 0.0, 0.0);
    for host in 0..20 {
        let mut vms: Vec<(Load, Profile)> = (0..ON_A_HOST)
            .map(|vm| {
                let mut load = Load::new(KINDS[(vm % 5) as usize], 1000 + host * ON_A_HOST + vm);
                let mut profile = Profile::new(MilliCpu::cpus(4));
                load.by_ref().take(2 * WEEK as usize).for_each(|(at, used)| profile.observe(at, used));
                (load, profile)
            })
            .collect();
        for tick in 0..WEEK {
            let (mut sum, mut when) = (MilliCpu(0), Time(0));
            for (load, _) in &mut vms {
                let (at, used) = load.next().expect("loads never end");
                (sum, when) = (sum + used, at);
            }
            if tick % 7 == 0 {
                let expected: Vec<Demand> = vms.iter().map(|(_, profile)| profile.expected(when)).collect();
                let high = together(&expected).high;
                within += u64::from(sum <= high);
                samples += 1;
                highs += high.0 as f64;
                used += sum.0 as f64;
                peaks += expected.iter().map(|demand| demand.high.0 as f64).sum::<f64>();
            }
        }
    }
    println!("  within {:.1} % of the time", within as f64 / samples as f64 * 100.0);
    println!("  together {:.2}x what was used; the sum of the highs would be {:.2}x", highs / used, peaks / used);
}

fn cost() {
    const MANY: usize = 30_000;
    let mut profile = Profile::new(MilliCpu::cpus(4));
    Load::new(Kind::Web, 1).take(2 * WEEK as usize).for_each(|(at, used)| profile.observe(at, used));
    let mut profiles = vec![profile.clone(); MANY];
    let mut now = profile.last().expect("it has samples");
    println!("\n{MANY} VMs");
    let mut rounds = Vec::new();
    for _ in 0..120 {
        now = now + Duration::from_secs(15);
        let begun = Instant::now();
        for (n, profile) in profiles.iter_mut().enumerate() {
            profile.observe(now, MilliCpu(n as u64 % 4000));
        }
        rounds.push(begun.elapsed());
    }
    let dearest = rounds.iter().max().expect("there were some");
    println!(
        "  a round of samples       {:>8.1} ms, at the end of a quarter of an hour {:.1} ms",
        mean(&rounds),
        ms(*dearest)
    );
    let begun = Instant::now();
    for profile in &profiles {
        black_box(profile.outlook(now));
    }
    println!("  all outlooks             {:>8.1} ms", ms(begun.elapsed()));
    let begun = Instant::now();
    let bytes: usize = profiles.iter().map(|profile| profile.to_bytes().len()).sum();
    println!("  all as bytes             {:>8.1} ms, {:.1} MB", ms(begun.elapsed()), bytes as f64 / 1e6);
    let bytes = profile.to_bytes();
    let begun = Instant::now();
    for _ in 0..MANY {
        black_box(Profile::from_bytes(&bytes));
    }
    println!("  all from bytes           {:>8.1} ms", ms(begun.elapsed()));
}

fn mean(all: &[Duration]) -> f64 {
    ms(all.iter().sum::<Duration>()) / all.len() as f64
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

fn traces(folder: &Path) {
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the folder can be read").flatten().map(|e| e.path()).collect();
    files.sort();
    let mut all = Fits::default();
    for file in &files {
        let Ok(text) = std::fs::read_to_string(file) else { continue };
        let day: Vec<u64> = text.lines().filter_map(|line| line.trim().parse().ok()).collect();
        if day.len() < 288 {
            continue;
        }
        // Within the day only: the first 20 hours are learned, then each quarter of an hour is foretold.
        let series = day
            .iter()
            .enumerate()
            .map(|(n, &percent)| (BEGIN + Duration::from_secs(300) * n as u32, MilliCpu(percent * 10)));
        all = all.and(learn_and_forecast(MilliCpu::cpus(1), series, 240, 48));
    }
    println!(
        "\n{} recorded VMs, a day each: 20 hours to learn from, the last four foretold (the maximum of what was seen counts)",
        files.len()
    );
    heading();
    line("traces", &all);
}
