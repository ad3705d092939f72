//! Hosts that have been overworked for long enough, and their relief.

use ulm_model::{Expected, Gain, HostIx, HostState, Reason, Resource, Share, Snapshot, VmIx};
use ulm_place::{Candidate, Choice, Fate, Use, relieve};
use ulm_policy::Goal;
use ulm_rules::Initiative;

use crate::figures::HostFigures;
use crate::report::{Answer, HostReport, Relief, Report, VmReport};
use crate::round::Round;
use crate::seek::exchange::{Stuck, exchange};
use crate::wanted::Wanted;
use crate::{gates, worth};

/// So many VMs of one host are listed in a report. More would not help a person; the rest is counted.
const LISTED_VMS: usize = 64;

/// An overworked host.
pub(crate) struct Hot {
    host: HostIx,
    /// The hot resources, the one that is most above its threshold first.
    resources: Vec<(Resource, Share)>,
    /// How far the worst of them is above its threshold, in ten-thousandths of the threshold.
    excess: u64,
    /// Where it stands in the report.
    place: usize,
}

impl Round<'_> {
    /// The hosts that have been overworked for long enough, the worst one first. Reports those, the ones that are above a threshold but
    /// not for long enough, and the ones whose figures cannot be believed.
    pub fn hot_hosts(&self, report: &mut Report) -> Vec<Hot> {
        let mut hot = Vec::new();
        let mut others = Vec::new();
        for (ix, host) in self.input.snapshot.hosts_ix() {
            let mut findings = Vec::new();
            match &self.figures[ix.at()] {
                _ if host.state != HostState::Maintenance && host.state != HostState::Up => {
                    findings.extend(self.scene.state.gives_nothing(ix, Initiative::Automatic));
                }
                _ if self.scene.state.doubts().of_host(&host.name).is_some() => {
                    findings.extend(self.scene.state.gives_nothing(ix, Initiative::Automatic));
                }
                None => findings.extend(self.scene.barred(ix).cloned()),
                Some(figures) => {
                    let found = self.judge(ix, figures, &mut findings);
                    if let Some(found) = found {
                        hot.push((found, HostReport { host: host.name.clone(), findings, relief: Vec::new() }));
                        continue;
                    }
                }
            }
            if !findings.is_empty() {
                others.push(HostReport { host: host.name.clone(), findings, relief: Vec::new() });
            }
        }
        hot.sort_by_key(|(found, _)| (std::cmp::Reverse(found.excess), found.host));
        let mut found = Vec::new();
        for (place, (mut one, its_report)) in hot.into_iter().enumerate() {
            one.place = place;
            found.push(one);
            report.hosts.push(its_report);
        }
        report.hosts.extend(others);
        found
    }

    /// Whether the host is overworked; adds what there is to say.
    fn judge(&self, ix: HostIx, figures: &HostFigures, findings: &mut Vec<Reason>) -> Option<Hot> {
        let host = self.input.snapshot.host(ix);
        let hotspot = &self.policy.hotspot;
        let settling = gates::settling(self.input, self.policy, &host.name);
        let mut resources = Vec::new();
        for (resource, threshold) in [(Resource::Cpu, hotspot.cpu), (Resource::Memory, hotspot.memory)] {
            let (mean, above, of) = figures.of(resource, host);
            let now_above = match resource {
                Resource::Cpu => host.cpu_use.value().is_some_and(|used| used.share_of(host.cpu) > threshold),
                Resource::Memory => host.memory_use.value().is_some_and(|used| used.share_of(host.memory) > threshold),
            };
            if figures.holds(resource) {
                findings.push(Reason::HostOverworked { host: host.name.clone(), resource, mean, threshold, above, of });
                let high = figures.high_share(resource, host);
                resources.push((u64::from(high.0) * 10_000 / u64::from(threshold.0.max(1)), resource, threshold));
            } else if now_above {
                let needed = hotspot.above;
                findings.push(Reason::NotSustained { host: host.name.clone(), resource, above, needed, of });
            }
        }
        resources.sort_by_key(|(excess, resource, _)| (std::cmp::Reverse(*excess), *resource));
        if resources.is_empty() {
            return None;
        }
        // It is overworked, but nothing may be done about it just now.
        if let Some(held) = settling.or_else(|| self.scene.state.gives_nothing(ix, Initiative::Automatic)) {
            findings.push(held);
            return None;
        }
        let excess = resources[0].0;
        let resources = resources.into_iter().map(|(_, resource, threshold)| (resource, threshold)).collect();
        Some(Hot { host: ix, resources, excess, place: 0 })
    }

    /// Chooses moves for one overworked host, and reports what came of it. Where no VM fits elsewhere it is added to the stuck ones.
    pub fn relieve(&mut self, goal: &Goal, hot: &Hot, report: &mut Report, stuck: &mut Vec<Stuck>) -> Vec<Wanted> {
        let because = report.hosts[hot.place].findings[0].clone();
        let mut wanted = Vec::new();
        for (resource, threshold) in &hot.resources {
            self.look_while_high(hot.host, *resource);
            let under_way = self.departures(hot.host);
            let before = self.scene.after_departures(hot.host, *resource, Use::default());
            let place = &mut report.hosts[hot.place];
            if under_way > 0 && before <= *threshold {
                let ends = Reason::ReliefUnderWay { host: place.host.clone(), moves: under_way };
                place.relief.push(Relief {
                    resource: *resource,
                    after: before,
                    vms: vec![],
                    more_vms: 0,
                    ends: Some(ends),
                });
                continue;
            }
            let candidates = self.candidates(hot.host);
            let all = candidates.len() as u32;
            let found = relieve(&mut self.scene, hot.host, *resource, *threshold, candidates);
            let mut ends = None;
            if found.after > *threshold {
                ends.clone_from(&found.stopped);
                if ends.is_none() && found.choices.is_empty() {
                    ends = Some(self.stuck(hot.host, all));
                    let at = (hot.place, report.hosts[hot.place].relief.len());
                    let (resource, threshold, because) = (*resource, *threshold, because.clone());
                    stuck.push(Stuck { host: hot.host, resource, threshold, because, at });
                }
            }
            let (snapshot, place) = (&self.input.snapshot, &mut report.hosts[hot.place]);
            let vms: Vec<VmReport> =
                found.tried.iter().take(LISTED_VMS).map(|tried| vm_report(snapshot, tried)).collect();
            let more_vms = all - vms.len() as u32;
            place.relief.push(Relief { resource: *resource, after: found.after, vms, more_vms, ends });
            let gain = Gain {
                goal: goal.name.clone(),
                what: format!("{resource} in use on {}", place.host),
                before: before.to_string(),
                after: found.after.to_string(),
            };
            let chosen = found.choices.iter().map(|&Choice { vm, to }| (vm, to));
            wanted.extend(chosen.map(|(vm, to)| self.relieving(vm, to, &because, &gain)));
        }
        wanted
    }

    fn stuck(&self, host: HostIx, vms: u32) -> Reason {
        let hosts = self.input.snapshot.hosts.len() as u32 - 1;
        Reason::Stuck { host: self.input.snapshot.host(host).name.clone(), vms, hosts }
    }

    /// Relieves hosts of which no VM fits elsewhere as things are: one may if another comes in return. Takes back what was said of them.
    pub fn exchange(&mut self, stuck: &[Stuck], report: &mut Report) -> Vec<Wanted> {
        if stuck.is_empty() {
            return Vec::new();
        }
        let found = exchange(self, stuck);
        for (stuck, after) in found.relieved {
            let relief = &mut report.hosts[stuck.at.0].relief[stuck.at.1];
            (relief.after, relief.ends) = (after, None);
        }
        found.wanted
    }

    /// A move of the founding policy. It relieves at once, and pays back as soon as it has freed as much CPU as it takes.
    fn relieving(&self, vm: VmIx, to: HostIx, because: &Reason, gain: &Gain) -> Wanted {
        let (one, demand) = (self.input.snapshot.vm(vm), self.demand(vm).unwrap_or_default());
        let taking = worth::taking(one, demand.cpu, self.policy);
        let expected = Expected {
            duration: taking.duration,
            downtime: taking.downtime,
            bytes: taking.bytes,
            gains: vec![gain.clone()],
            payback: worth::relief_pays_back(&taking, one, demand.cpu, self.policy),
            lasts: None,
        };
        Wanted { vm, to, because: because.clone(), expected: Some(expected), package: None }
    }

    /// From here on the source counts with what it uses while it is high: that is what is to be relieved.
    fn look_while_high(&mut self, host: HostIx, resource: Resource) {
        let Some(figures) = &self.figures[host.at()] else { return };
        let (mean, used) = (figures.mean(), &mut self.scene.uses[host.at()]);
        let high = figures.while_high(resource, mean);
        used.cpu += high.cpu.saturating_sub(mean.cpu);
        used.memory += high.memory.saturating_sub(mean.memory);
    }

    fn departures(&self, host: HostIx) -> u32 {
        self.input.snapshot.in_flight.iter().filter(|flight| flight.from == host).count() as u32
    }

    /// The host's VMs, with what holds each back whatever the target.
    fn candidates(&self, host: HostIx) -> Vec<Candidate> {
        self.residents[host.at()].iter().map(|vm| self.candidate(*vm)).collect()
    }

    fn candidate(&self, ix: VmIx) -> Candidate {
        let vm = self.input.snapshot.vm(ix);
        let demand = self.demand(ix);
        let mut held: Vec<Reason> = demand.as_ref().err().cloned().into_iter().collect();
        held.extend(gates::vm_rests(self.input, self.policy, vm.id));
        let failed_on = self.input.past.vms.get(&vm.id).map(|past| &past.failed_on);
        let failed_on =
            failed_on.into_iter().flatten().filter_map(|name| self.input.snapshot.find_host(name)).collect();
        let left_lately = gates::left_lately(self.input, self.policy, vm.id);
        let rank = self.scene.state.rank(ix);
        Candidate { vm: ix, rank, demand: demand.unwrap_or_default(), held, failed_on, left_lately }
    }
}

fn vm_report(snapshot: &Snapshot, tried: &ulm_place::Tried) -> VmReport {
    let vm = snapshot.vm(tried.vm);
    let answer = match &tried.fate {
        Fate::Goes(to) => Answer::Goes(snapshot.host(*to).name.clone()),
        Fate::Stays(reasons) => Answer::Stays(reasons.clone()),
        Fate::Nowhere(counts) => {
            Answer::Nowhere(counts.iter().map(|count| (count.hosts, count.example.clone())).collect())
        }
    };
    VmReport { vm: vm.id, name: vm.name.clone(), cpu: tried.demand.cpu, memory: tried.demand.memory, answer }
}
