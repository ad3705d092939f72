//! The whole daemon over a thousand simulated hosts with thirty thousand VMs: processor time per round and memory of the process.
//!
//! `cargo bench -p ulm-control --bench scale -- [HOSTS] [VMS] [ROUNDS]`. The simulator's own time and memory are included, so the
//! daemon alone takes less.

#[path = "../tests/simulated/mod.rs"]
mod simulated;

use std::time::Duration;

use simulated::Simulated;
use ulm_drivers::sim::Scenario;
use ulm_policy::Policy;

/// What the issue asks for.
const MEMORY_BOUND_MB: f64 = 500.0;

fn main() {
    let given: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let at = |i: usize, default: usize| given.get(i).copied().unwrap_or(default);
    let (hosts, vms, rounds) = (at(0, 1000), at(1, 30_000), at(2, 40) as u32);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        let policy = Policy::default();
        let cluster = Simulated::start(&Scenario::noisy(hosts, vms, 1), policy.clone()).await;
        cluster.enable().await;
        let interval = policy.observe.interval;
        // The figures of the first rounds are those of filling up.
        cluster.run_for(interval * 20).await;
        let before = processor_time();
        cluster.run_for(interval * rounds).await;
        let used = processor_time() - before;
        let each = used / rounds;
        println!("{hosts} hosts, {vms} VMs, {rounds} rounds every {} s, simulator included", interval.as_secs());
        println!(
            "  processor time per round   {:>8.1} ms   ({:.2} % of one core)",
            each.as_secs_f64() * 1e3,
            100.0 * each.as_secs_f64() / interval.as_secs_f64()
        );
        let peak = peak_memory_mb();
        println!(
            "  peak memory of the process {peak:>8.1} MB   (bound {MEMORY_BOUND_MB} MB, ratio {:.2})",
            peak / MEMORY_BOUND_MB
        );
        println!("  VMs in the snapshot        {:>8}", cluster.handle.published().snapshot.vms.len());
    });
}

/// User and system time of this process.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has /proc");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    // After the name: state, then ten more, then utime and stime in ticks of 10 ms.
    let ticks: u64 = fields[11..=12].iter().filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// The most memory that the process has held (VmHWM).
fn peak_memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|kb| kb.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
