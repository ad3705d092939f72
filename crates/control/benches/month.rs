//! Thirty simulated days of a noisy cluster under each preset of the policy, through the real loop, executor and books.
//!
//! `cargo bench -p ulm-control --bench month -- [DAYS] [HOSTS] [VMS] [SEED] [PRESET …]` prints a table: what moved, whether anything moved
//! back and forth, what became of hot spots, the CPU that VMs wanted and did not get against the same month without moves, how many hosts
//! carried VMs, and what moves promised against what hosts showed ten minutes later. `default` is the policy without a file. A hot
//! spot begins when the policy's own k-of-n is fulfilled and ends when it is not.

#[path = "../tests/simulated/mod.rs"]
mod simulated;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use simulated::Simulated;
use ulm_drivers::sim::Scenario;
use ulm_model::ledger::{Event, Outcome};
use ulm_model::{HostIx, HostName, HostState, Reason, Snapshot, Time, Vm, VmId};
use ulm_policy::Policy;

const DAY: Duration = Duration::from_secs(86_400);

/// A VM that comes back to a host that it left less than this ago was moved back and forth.
const BACK_AND_FORTH: Duration = DAY;

/// A promise is looked at so long after it was made: the move has ended and the figures are of the time after it.
const LATER: Duration = Duration::from_secs(12 * 60);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let (given, presets): (Vec<&String>, Vec<&String>) = words.iter().partition(|word| word.parse::<u64>().is_ok());
    let at = |i: usize, default: u64| given.get(i).and_then(|word| word.parse().ok()).unwrap_or(default);
    let (days, hosts, vms, seed) = (at(0, 30), at(1, 12), at(2, 150), at(3, 1));
    let all = ["default", "careful", "balanced", "packed", "green"];
    let presets: Vec<&str> =
        if presets.is_empty() { all.into() } else { presets.iter().map(|name| name.as_str()).collect() };
    println!("{days} days, {hosts} hosts, {vms} VMs, a round every 15 s, seed {seed}");
    let still = month(None, days, (hosts, vms, seed));
    println!(
        "  without moves: {:.0} min of contention, {:.3} % of the CPU wanted",
        minutes(still.contention),
        still.missing()
    );
    for name in presets {
        let begun = Instant::now();
        let month = month(Some(name), days, (hosts, vms, seed));
        month.print(name, days, vms, &still, begun.elapsed());
    }
}

fn month(preset: Option<&str>, days: u64, (hosts, vms, seed): (u64, u64, u64)) -> Month {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime can be built");
    let policy = match preset {
        None | Some("default") => Policy::default(),
        Some(name) => Policy::preset(name).expect("one of the presets"),
    };
    runtime.block_on(Month::live(policy, preset.is_some(), days, hosts as usize, vms as usize, seed))
}

fn minutes(span: Duration) -> f64 {
    span.as_secs_f64() / 60.0
}

/// What a plan promised of a host, in per cent of its CPUs.
struct Promise {
    host: HostName,
    made: Time,
    before: f64,
    promised: f64,
    realised: Option<f64>,
}

/// One hot spot.
struct HotSpot {
    host: HostName,
    began: Time,
    ended: Option<Time>,
    /// The policy said that nothing can go anywhere, while a naive look found a VM that would have fitted somewhere.
    missed: bool,
    /// The policy said that nothing can go anywhere.
    stuck: bool,
}

struct Month {
    hot_spots: Vec<HotSpot>,
    promises: Vec<Promise>,
    /// Hosts that carried VMs, on average over all rounds.
    carrying: f64,
    moves: Vec<(Time, VmId, HostName, HostName)>,
    otherwise: usize,
    contention: Duration,
    worked: Duration,
}

impl Month {
    async fn live(policy: Policy, acts: bool, days: u64, hosts: usize, vms: usize, seed: u64) -> Self {
        let cluster = Simulated::in_memory(&Scenario::noisy(hosts, vms, seed), policy.clone()).await;
        if acts {
            cluster.enable().await;
        }
        let (mut hot_spots, mut promises): (Vec<HotSpot>, Vec<Promise>) = (Vec::new(), Vec::new());
        let mut carrying = 0;
        let rounds = days * DAY.as_secs() / policy.observe.interval.as_secs();
        for _ in 0..rounds {
            cluster.run_for(policy.observe.interval).await;
            let published = cluster.handle.published();
            let Some(decision) = &published.decision else { continue };
            let (snapshot, now) = (&published.snapshot, published.snapshot.taken_at);
            carrying += snapshot.by_host().iter().filter(|vms| !vms.is_empty()).count();
            if acts {
                keep_promises(&mut promises, snapshot, now);
                take_promises(&mut promises, decision, now);
            }
            let overworked = |reason: &Reason| matches!(reason, Reason::HostOverworked { .. });
            let hot: Vec<_> = decision.report.hosts.iter().filter(|h| h.findings.iter().any(overworked)).collect();
            for spot in hot_spots.iter_mut().filter(|spot| spot.ended.is_none()) {
                if !hot.iter().any(|report| report.host == spot.host) {
                    spot.ended = Some(now);
                }
            }
            for report in hot {
                let known = hot_spots.iter().position(|spot| spot.host == report.host && spot.ended.is_none());
                let at = known.unwrap_or_else(|| {
                    let host = report.host.clone();
                    hot_spots.push(HotSpot { host, began: now, ended: None, missed: false, stuck: false });
                    hot_spots.len() - 1
                });
                if decision.stuck().any(|(host, _)| *host == report.host) {
                    hot_spots[at].stuck = true;
                    hot_spots[at].missed |= somebody_fits(snapshot, &report.host, &policy);
                }
            }
        }
        let (mut moves, mut otherwise) = (Vec::new(), 0);
        for (at, event) in cluster.entries() {
            match event {
                Event::MoveEnded { r#move: key, outcome: Outcome::Moved, .. } => {
                    moves.push((at, key.vm, key.from, key.to))
                }
                Event::MoveEnded { .. } => otherwise += 1,
                _ => {}
            }
        }
        let (mut contention, mut worked) = (Duration::ZERO, Duration::ZERO);
        let names = cluster.world().vms();
        for (vm, _) in names {
            let life = cluster.world().life(vm);
            contention += life.as_ref().map_or(Duration::ZERO, |life| life.contention);
            worked += life.map_or(Duration::ZERO, |life| life.worked);
        }
        let carrying = carrying as f64 / rounds as f64;
        Month { hot_spots, promises, carrying, moves, otherwise, contention, worked }
    }

    fn relieved(&self, spot: &HotSpot) -> bool {
        let settled = spot.ended.unwrap_or(Time(i64::MAX));
        self.moves.iter().any(|(at, _, from, _)| *from == spot.host && spot.began <= *at && *at <= settled)
    }

    fn back_and_forth(&self) -> usize {
        let returns = |(i, (at, vm, _, to)): (usize, &(Time, VmId, HostName, HostName))| {
            self.moves[..i]
                .iter()
                .any(|(left, other, from, _)| other == vm && from == to && at.since(*left) < BACK_AND_FORTH)
        };
        self.moves.iter().enumerate().filter(|m| returns(*m)).count()
    }

    /// The part of the CPU that was wanted and not got, in per cent.
    fn missing(&self) -> f64 {
        100.0 * self.contention.as_secs_f64() / (self.contention + self.worked).as_secs_f64()
    }

    fn print(&self, preset: &str, days: u64, vms: u64, still: &Month, took: Duration) {
        let mut by_vm: BTreeMap<VmId, usize> = BTreeMap::new();
        for (_, vm, ..) in &self.moves {
            *by_vm.entry(*vm).or_default() += 1;
        }
        let count = |of: &dyn Fn(&HotSpot) -> bool| self.hot_spots.iter().filter(|spot| of(spot)).count();
        let lasted = |spot: &HotSpot| spot.ended.map_or(Duration::MAX, |ended| ended.since(spot.began));
        let mut relieved: Vec<Duration> = self.hot_spots.iter().filter(|s| self.relieved(s)).map(lasted).collect();
        relieved.sort();
        let median = relieved.get(relieved.len() / 2).map_or("-".to_owned(), |s| format!("{:.1} min", minutes(*s)));
        println!("{preset}");
        let per_vm = self.moves.len() as f64 / vms as f64 / days as f64;
        println!("  moves                                 {}   ({per_vm:.4} per VM and day)", self.moves.len());
        println!("  moves that ended otherwise            {}", self.otherwise);
        println!("  most moves of one VM                  {}", by_vm.values().max().unwrap_or(&0));
        println!("  VMs moved back within a day           {}   (bound 0)", self.back_and_forth());
        println!("  hot spots                             {}", self.hot_spots.len());
        println!("    relieved by a move                  {}   (median {median})", relieved.len());
        let alone = count(&|s| !self.relieved(s) && s.ended.is_some() && !s.stuck);
        println!("    ended by themselves before a move   {alone}");
        println!("    told as stuck at some time          {}", count(&|s| s.stuck));
        println!("    told as stuck although a VM fitted  {}   (bound 0)", count(&|s| s.missed));
        println!("    still hot at the end                {}", count(&|s| s.ended.is_none()));
        println!(
            "  contention                            {:.0} min, {:.3} % of the CPU wanted   ({:.2} of that without moves)",
            minutes(self.contention),
            self.missing(),
            self.contention.as_secs_f64() / still.contention.as_secs_f64()
        );
        println!("  hosts that carry VMs, on average      {:.2}", self.carrying);
        let kept: Vec<&Promise> = self.promises.iter().filter(|promise| promise.realised.is_some()).collect();
        let promised: f64 = kept.iter().map(|promise| promise.promised).sum();
        let realised: f64 = kept.iter().filter_map(|promise| promise.realised).sum();
        let each = |sum: f64| sum / kept.len().max(1) as f64;
        println!(
            "  fall of a host's CPU, per plan        promised {:.1} points, seen {:.1}   (ratio {:.2}, {} hosts)",
            each(promised),
            each(realised),
            realised / promised,
            kept.len()
        );
        println!("  real time                             {:.0} s", took.as_secs_f64());
    }
}

/// What the decision promises of hosts of which nothing is promised already.
fn take_promises(promises: &mut Vec<Promise>, decision: &ulm_decide::Decision, now: Time) {
    let per_cent = |text: &str| text.trim_end_matches(['%', ' ']).parse::<f64>().ok();
    let gains = decision.plan.steps.iter().filter_map(|step| step.expected.as_ref()).flat_map(|it| &it.gains);
    for gain in gains {
        let Some(host) = gain.what.strip_prefix("CPU in use on ").map(HostName::from) else { continue };
        let open = |promise: &Promise| promise.host == host && now.since(promise.made) < LATER;
        if promises.iter().rev().any(open) {
            continue;
        }
        if let (Some(before), Some(after)) = (per_cent(&gain.before), per_cent(&gain.after)) {
            promises.push(Promise { host, made: now, before, promised: before - after, realised: None });
        }
    }
}

/// Looks at the hosts whose promises are due.
fn keep_promises(promises: &mut [Promise], snapshot: &Snapshot, now: Time) {
    let due = |promise: &&mut Promise| promise.realised.is_none() && now.since(promise.made) >= LATER;
    for promise in promises.iter_mut().rev().take(64).filter(due) {
        let Some(ix) = snapshot.find_host(&promise.host) else { continue };
        let host = snapshot.host(ix);
        let seen: Vec<u64> = host.cpu_use.0.iter().map(|figure| figure.value.0).collect();
        let mean = seen.iter().sum::<u64>() as f64 / seen.len().max(1) as f64;
        promise.realised = Some(promise.before - 100.0 * mean / host.cpu.0 as f64);
    }
}

/// A naive look, without the rooms that decide: is there a VM on the host that would fit on another one now? Rests, back-offs and
/// limits on moves at once are left aside, so it finds too many rather than too few.
fn somebody_fits(snapshot: &Snapshot, host: &HostName, policy: &Policy) -> bool {
    let Some(source) = snapshot.find_host(host) else { return false };
    let residents = |ix: HostIx| snapshot.vms.iter().filter(move |vm| vm.host == ix);
    let fits = |vm: &Vm, (ix, target): (HostIx, &ulm_model::Host)| {
        let Some(needs) = &vm.needs else { return false };
        let memory: u64 = residents(ix).map(|vm| vm.memory.0).sum::<u64>() + vm.memory.0;
        let vcpus: u32 = residents(ix).map(|vm| vm.vcpus).sum::<u32>() + vm.vcpus;
        let mean = |recent: &ulm_model::Recent<ulm_model::MilliCpu>| {
            recent.0.iter().map(|f| f.value.0).sum::<u64>() / recent.0.len().max(1) as u64
        };
        let cpu = mean(&target.cpu_use) + mean(&vm.cpu_use);
        let used = target.memory_use.value().map_or(0, |m| m.0) + vm.memory_use.value().map_or(0, |m| m.0);
        let hot = &policy.hotspot;
        ix != source
            && target.state == HostState::Up
            && vm.fixtures.is_empty()
            && needs.networks.is_subset(&target.networks)
            && needs.storage.is_subset(&target.storage)
            && target.cpu_verdicts.get(&needs.cpu) == Some(&ulm_model::CpuVerdict::Offered)
            && memory + policy.capacity.memory_reserve.0 <= target.memory.0
            && u64::from(vcpus) * 1000 <= (policy.capacity.cpu_overcommit * target.cpu).0
            && cpu <= (hot.cpu.saturating_sub(hot.margin) * target.cpu).0
            && used <= (hot.memory.saturating_sub(hot.margin) * target.memory).0
            // Moving what hardly works relieves nothing.
            && mean(&vm.cpu_use) * 500 > snapshot.host(source).cpu.0
    };
    residents(source).any(|vm| snapshot.hosts_ix().any(|target| fits(vm, target)))
}
