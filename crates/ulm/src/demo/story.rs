//! What happens, as lines: a host gets busy, is found overworked, a move is decided, runs, ends; the host is relieved.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use ulm_control::published::Published;
use ulm_model::ledger::{Event, Outcome};
use ulm_model::{HostName, Reason, Share, Time, VmId};

use crate::follow::copied;

/// So many samples below the threshold in a row make a host relieved: one minute.
const CALM_SAMPLES: u32 = 4;

/// So many samples above the threshold, not enough for the policy yet, are worth a line.
const BUSY_SAMPLES: u32 = 4;

/// Progress of a move is told at each such part.
const QUARTER: f64 = 0.25;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// When, by the simulation's clock.
    pub at: Time,
    /// What sort of thing.
    pub what: What,
    /// The sentence.
    pub text: String,
}

/// Sorts of things that happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A host is above the threshold, not yet for long enough.
    Busy,
    /// A host is overworked.
    HotSpot,
    /// A move was decided.
    Decision,
    /// A move goes on.
    Move,
    /// A move ended well.
    Moved,
    /// A move, or relief, did not come about.
    Failed,
    /// A host that was overworked is so no longer.
    Relieved,
    /// The cluster at a glance.
    Load,
}

/// What came of it all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Hosts and VMs.
    pub hosts: usize,
    /// VMs that were watched.
    pub vms: usize,
    /// Times that a host was found overworked.
    pub hot_spots: u32,
    /// Of these, how often it was relieved.
    pub relieved: u32,
    /// Moves that ended with the VM on its target.
    pub moved: u32,
    /// Moves that came out otherwise.
    pub failed: u32,
    /// Moves that still ran at the end.
    pub running: usize,
    /// VMs that came back to a host that they had left.
    pub back_and_forth: usize,
    /// Mean time that a guest stood still in a move, in milliseconds.
    pub mean_downtime_ms: Option<u64>,
    /// Longest time that a guest stood still in a move, in milliseconds.
    pub longest_downtime_ms: Option<u64>,
    /// Mean duration of a move.
    pub mean_move_ms: Option<u64>,
    /// CPU of overworked hosts while they were, and after relief, in ten-thousandths.
    pub cpu: BeforeAndAfter,
    /// CPU time that VMs on these hosts wanted and did not get, while and after, in ten-thousandths of their vCPU time.
    pub contention: BeforeAndAfter,
}

/// Means over samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BeforeAndAfter {
    /// While overworked.
    pub before: Option<Share>,
    /// After relief.
    pub after: Option<Share>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: u64,
    samples: u64,
}

impl Mean {
    fn add(&mut self, share: Share) {
        self.sum += u64::from(share.0);
        self.samples += 1;
    }
    fn share(self) -> Option<Share> {
        (self.samples > 0).then(|| Share((self.sum / self.samples) as u32))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Calm,
    Busy,
    Hot,
    Relieved,
}

#[derive(Default)]
struct HostStory {
    mood: Mood,
    calm_in_a_row: u32,
}

/// Follows what the daemon publishes. See the module's text.
pub struct Story {
    threshold: Share,
    round: u64,
    last_glance: Option<Time>,
    hosts: BTreeMap<HostName, HostStory>,
    quarters: BTreeMap<VmId, u32>,
    left: BTreeMap<VmId, BTreeSet<HostName>>,
    returned: BTreeSet<VmId>,
    hot_spots: u32,
    relieved: u32,
    moved: u32,
    failed: u32,
    downtimes: Vec<u64>,
    took: Vec<u64>,
    cpu: [Mean; 2],
    contention: [Mean; 2],
}

const GLANCE_EVERY: Duration = Duration::from_secs(300);

impl Story {
    /// A story without a line yet; hosts above `threshold` are busy.
    pub fn new(threshold: Share) -> Self {
        Story {
            threshold,
            round: 0,
            last_glance: None,
            hosts: BTreeMap::new(),
            quarters: BTreeMap::new(),
            left: BTreeMap::new(),
            returned: BTreeSet::new(),
            hot_spots: 0,
            relieved: 0,
            moved: 0,
            failed: 0,
            downtimes: Vec::new(),
            took: Vec::new(),
            cpu: Default::default(),
            contention: Default::default(),
        }
    }

    /// What is new, in the order in which it happened.
    pub fn go_on(&mut self, now: Time, published: &Published, entries: &[ulm_model::ledger::Entry]) -> Vec<Line> {
        let mut lines = Vec::new();
        let round = published.round.map_or(0, |round| round.number);
        if round > self.round {
            self.round = round;
            self.findings(now, published, &mut lines);
            self.samples(now, published, &mut lines);
        }
        for entry in entries {
            self.entry(entry, &mut lines);
        }
        self.progress(now, published, &mut lines);
        lines
    }

    /// What the decision says of hosts.
    fn findings(&mut self, now: Time, published: &Published, lines: &mut Vec<Line>) {
        let Some(decision) = &published.decision else { return };
        for report in &decision.report.hosts {
            let host = self.hosts.entry(report.host.clone()).or_default();
            for finding in &report.findings {
                match finding {
                    Reason::NotSustained { above, .. } if *above >= BUSY_SAMPLES && host.mood == Mood::Calm => {
                        host.mood = Mood::Busy;
                        lines.push(Line { at: now, what: What::Busy, text: finding.to_string() });
                    }
                    Reason::HostOverworked { .. } if host.mood != Mood::Hot => {
                        host.mood = Mood::Hot;
                        host.calm_in_a_row = 0;
                        self.hot_spots += 1;
                        lines.push(Line { at: now, what: What::HotSpot, text: finding.to_string() });
                    }
                    _ => {}
                }
            }
        }
    }

    /// What the figures say of hosts.
    fn samples(&mut self, now: Time, published: &Published, lines: &mut Vec<Line>) {
        let statuses = published.hosts();
        let contention = contention(published);
        for status in &statuses {
            let Some(share) = status.cpu_share else { continue };
            let host = self.hosts.entry(status.name.clone()).or_default();
            host.calm_in_a_row = if share <= self.threshold { host.calm_in_a_row + 1 } else { 0 };
            let waited = contention.get(&status.name).copied().unwrap_or_default();
            match host.mood {
                Mood::Busy | Mood::Relieved if host.mood == Mood::Busy && host.calm_in_a_row >= CALM_SAMPLES => {
                    host.mood = Mood::Calm;
                }
                Mood::Hot => {
                    self.cpu[0].add(share);
                    self.contention[0].add(waited);
                    if host.calm_in_a_row >= CALM_SAMPLES {
                        host.mood = Mood::Relieved;
                        self.relieved += 1;
                        let text =
                            format!("{} has been below {} for a minute: CPU {share}", status.name, self.threshold);
                        lines.push(Line { at: now, what: What::Relieved, text });
                    }
                }
                Mood::Relieved => {
                    self.cpu[1].add(share);
                    self.contention[1].add(waited);
                }
                Mood::Calm | Mood::Busy => {}
            }
        }
        if self.last_glance.is_none_or(|last| now.since(last) >= GLANCE_EVERY) {
            self.last_glance = Some(now);
            let shares: Vec<(Share, &HostName)> =
                statuses.iter().filter_map(|status| Some((status.cpu_share?, &status.name))).collect();
            if let Some((share, host)) = shares.iter().max() {
                let mean = shares.iter().map(|(share, _)| u64::from(share.0)).sum::<u64>() / shares.len() as u64;
                let text = format!("CPU {} on average over all hosts, most on {host}: {share}", Share(mean as u32));
                lines.push(Line { at: now, what: What::Load, text });
            }
        }
    }

    /// What the ledger says of moves.
    fn entry(&mut self, entry: &ulm_model::ledger::Entry, lines: &mut Vec<Line>) {
        let mut tell = |what, text| lines.push(Line { at: entry.at, what, text });
        match &entry.event {
            Event::MoveIntended { r#move, because, .. } => {
                let crate_move =
                    format!("move {} from {} to {}, because {because}", r#move.vm_name, r#move.from, r#move.to);
                tell(What::Decision, crate_move);
            }
            Event::MoveEnded { r#move, outcome: Outcome::Moved, cost } => {
                self.moved += 1;
                self.took.push(cost.took_ms);
                self.downtimes.extend(cost.downtime_ms);
                let left = self.left.entry(r#move.vm).or_default();
                if left.contains(&r#move.to) {
                    self.returned.insert(r#move.vm);
                }
                left.insert(r#move.from.clone());
                let downtime =
                    cost.downtime_ms.map_or(String::new(), |ms| format!(", the guest stood still for {ms} ms"));
                let seconds = cost.took_ms as f64 / 1000.0;
                tell(What::Moved, format!("{} runs on {} after {seconds:.1} s{downtime}", r#move.vm_name, r#move.to));
            }
            Event::MoveEnded { outcome, .. } => {
                self.failed += u32::from(outcome.is_settled());
                tell(What::Failed, entry.event.to_string());
            }
            Event::MoveRefused { .. } | Event::Stuck { .. } => tell(What::Failed, entry.event.to_string()),
            _ => {}
        }
    }

    /// How far moves are.
    fn progress(&mut self, now: Time, published: &Published, lines: &mut Vec<Line>) {
        let running: BTreeSet<VmId> = published.moves.iter().map(|running| running.key.vm).collect();
        self.quarters.retain(|vm, _| running.contains(vm));
        for running in &published.moves {
            let Some(part) = running.progress.as_ref().and_then(copied) else { continue };
            let quarter = (part / QUARTER) as u32;
            let told = self.quarters.entry(running.key.vm).or_default();
            if quarter > *told && quarter < 4 {
                *told = quarter;
                let text = format!("{} {:.0} % copied", running.key, part * 100.0);
                lines.push(Line { at: now, what: What::Move, text });
            }
        }
    }

    /// What came of it all.
    pub fn summary(&self, published: &Published) -> Summary {
        let mean = |values: &[u64]| (!values.is_empty()).then(|| values.iter().sum::<u64>() / values.len() as u64);
        let pair = |means: [Mean; 2]| BeforeAndAfter { before: means[0].share(), after: means[1].share() };
        Summary {
            hosts: published.snapshot.hosts.len(),
            vms: published.snapshot.vms.len(),
            hot_spots: self.hot_spots,
            relieved: self.relieved,
            moved: self.moved,
            failed: self.failed,
            running: published.moves.len(),
            back_and_forth: self.returned.len(),
            mean_downtime_ms: mean(&self.downtimes),
            longest_downtime_ms: self.downtimes.iter().copied().max(),
            mean_move_ms: mean(&self.took),
            cpu: pair(self.cpu),
            contention: pair(self.contention),
        }
    }
}

/// For each host the CPU time that its VMs wanted and did not get, as a share of their vCPU time.
fn contention(published: &Published) -> BTreeMap<HostName, Share> {
    let mut sums: BTreeMap<HostName, (u64, u64)> = BTreeMap::new();
    for vm in &published.snapshot.vms {
        let Some(waited) = vm.contention.value() else { continue };
        let (sum, vcpus) = sums.entry(published.snapshot.host(vm.host).name.clone()).or_default();
        *sum += u64::from(waited.0) * u64::from(vm.vcpus);
        *vcpus += u64::from(vm.vcpus);
    }
    sums.into_iter()
        .filter(|(_, (_, vcpus))| *vcpus > 0)
        .map(|(host, (sum, vcpus))| (host, Share((sum / vcpus) as u32)))
        .collect()
}
