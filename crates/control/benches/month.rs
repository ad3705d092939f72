//! Thirty simulated days of a noisy cluster under the default policy, through the real loop, executor and books.
//!
//! `cargo bench -p ulm-control --bench month -- [DAYS] [HOSTS] [VMS] [SEED]` prints what moved, whether anything moved back and
//! forth, and what became of every hot spot.

#[path = "../tests/simulated/mod.rs"]
mod simulated;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use simulated::Simulated;
use ulm_drivers::sim::Scenario;
use ulm_model::ledger::{Event, Outcome};
use ulm_model::{HostName, Reason, Time, VmId};
use ulm_policy::Policy;

const DAY: Duration = Duration::from_secs(86_400);

/// A VM that comes back to a host that it left less than this ago was moved back and forth.
const BACK_AND_FORTH: Duration = DAY;

fn main() {
    let given: Vec<u64> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let at = |i: usize, default: u64| given.get(i).copied().unwrap_or(default);
    let (days, hosts, vms, seed) = (at(0, 30), at(1, 12), at(2, 150), at(3, 1));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime can be built");
    runtime.block_on(month(days, hosts as usize, vms as usize, seed));
}

/// What became of a host's hot time.
#[derive(Default)]
struct Episode {
    began: Option<Time>,
    longest: Duration,
    relieved: u32,
    by_itself: u32,
    stuck: u32,
}

async fn month(days: u64, hosts: usize, vms: usize, seed: u64) {
    let begun = Instant::now();
    let scenario = Scenario::noisy(hosts, vms, seed);
    let policy = Policy::default();
    let cluster = Simulated::in_memory(&scenario, policy.clone()).await;
    cluster.enable().await;
    let mut episodes: BTreeMap<HostName, Episode> = BTreeMap::new();
    let mut stuck_because: BTreeMap<&'static str, u32> = BTreeMap::new();
    let end = Duration::from_secs(days * DAY.as_secs());
    let mut passed = Duration::ZERO;
    while passed < end {
        cluster.run_for(policy.observe.interval).await;
        passed += policy.observe.interval;
        let published = cluster.handle.published();
        let Some(decision) = &published.decision else { continue };
        let now = published.snapshot.taken_at;
        let hot: BTreeMap<&HostName, bool> = decision
            .report
            .hosts
            .iter()
            .filter(|host| host.findings.iter().any(|reason| matches!(reason, Reason::HostOverworked { .. })))
            .map(|host| (&host.host, host.relief.iter().any(|relief| relief.ends.is_some())))
            .collect();
        for (host, stuck) in &hot {
            let episode = episodes.entry((*host).clone()).or_default();
            if episode.began.is_none() {
                episode.began = Some(now);
            }
            if *stuck {
                for relief in decision.report.hosts.iter().filter(|h| h.host == **host).flat_map(|h| &h.relief) {
                    if let Some(reason) = &relief.ends {
                        *stuck_because.entry(reason.code()).or_default() += 1;
                    }
                }
            }
        }
        for (host, episode) in &mut episodes {
            if let Some(began) = episode.began
                && !hot.contains_key(host)
            {
                let lasted = now.since(began);
                episode.longest = episode.longest.max(lasted);
                episode.began = None;
                episode.by_itself += 1;
            }
        }
    }
    let events = cluster.entries();
    report(&events, &cluster, &episodes, &stuck_because, days, vms, begun.elapsed());
}

fn report(
    entries: &[(Time, Event)],
    cluster: &Simulated,
    episodes: &BTreeMap<HostName, Episode>,
    stuck_because: &BTreeMap<&'static str, u32>,
    days: u64,
    vms: usize,
    took: Duration,
) {
    let mut trail: BTreeMap<VmId, Vec<(Time, HostName, HostName)>> = BTreeMap::new();
    let (mut moved, mut otherwise, mut stuck) = (0, 0, 0);
    for (at, event) in entries {
        match event {
            Event::MoveEnded { r#move, outcome: Outcome::Moved, .. } => {
                moved += 1;
                trail.entry(r#move.vm).or_default().push((*at, r#move.from.clone(), r#move.to.clone()));
            }
            Event::MoveEnded { .. } => otherwise += 1,
            Event::Stuck { .. } => stuck += 1,
            _ => {}
        }
    }
    let returns = |trail: &Vec<(Time, HostName, HostName)>| {
        trail
            .iter()
            .enumerate()
            .filter(|(i, (at, _, to))| {
                trail[..*i].iter().any(|(left, from, _)| from == to && at.since(*left) < BACK_AND_FORTH)
            })
            .count()
    };
    let back_and_forth: usize = trail.values().map(returns).sum();
    let most = trail.values().map(Vec::len).max().unwrap_or(0);
    let hot: u32 = episodes.values().map(|e| e.relieved + e.by_itself + e.stuck + u32::from(e.began.is_some())).sum();
    let longest = episodes.values().map(|e| e.longest).max().unwrap_or_default();
    let open: Vec<&HostName> = episodes.iter().filter(|(_, e)| e.began.is_some()).map(|(host, _)| host).collect();
    let mut contention = Duration::ZERO;
    let names = cluster.world().vms();
    for (vm, _) in names {
        contention += cluster.world().life(vm).map_or(Duration::ZERO, |life| life.contention);
    }
    println!("{days} days, {} hosts, {vms} VMs, every 15 s, default policy", episodes.len().max(cluster.hosts()));
    println!(
        "  moves                                {moved}  ({:.3} per VM and day)",
        moved as f64 / vms as f64 / days as f64
    );
    println!("  moves that ended otherwise           {otherwise}");
    println!("  most moves of one VM                 {most}");
    println!("  VMs moved back within a day          {back_and_forth}   (bound: 0)");
    println!("  hot spots                            {hot}");
    println!("  longest hot spot                     {} min", longest.as_secs() / 60);
    println!("  hot at the end                       {open:?}");
    println!("  told as stuck                        {stuck}");
    println!("  why relief ended, by round           {stuck_because:?}");
    println!("  CPU time wanted and not got, in all  {:.1} h", contention.as_secs_f64() / 3600.0);
    println!("  real time                            {:.1} s", took.as_secs_f64());
}
