//! One round: from the facts to a plan, gate by gate.

use ulm_model::{HostIx, HostState, Plan, Reason, Resource, Rulebook, Share, Snapshot, VmIx};
use ulm_place::{Candidate, Ceiling, Choice, Fate, Scene, Use, relieve};
use ulm_policy::Policy;
use ulm_rules::{Initiative, State};

use crate::draft::empty_plan;
use crate::figures::{self, HostFigures};
use crate::report::{Answer, Decision, Gate, GateReport, HostReport, Relief, Report, VmReport};
use crate::way::{self, Wanted};
use crate::{Input, gates};

/// So many VMs of one host are listed in a report. More would not help a person; the rest is counted.
const LISTED_VMS: usize = 64;

/// Looks for overworked hosts and chooses the moves that relieve them. Same input and policy, same decision, byte for byte.
pub fn decide(input: &Input, policy: &Policy) -> Decision {
    let rulebook = policy.rulebook();
    let mut report = Report { acting: input.acting, summary: Reason::Calm {}, gates: Vec::new(), hosts: Vec::new() };

    // The policy looks for overworked hosts at all.
    if report.held_at(Gate::Enabled, switched_off(policy)) {
        return nothing(input, policy, report);
    }
    // The facts as a whole can be believed.
    if report.held_at(Gate::Data, gates::unbelievable(input, policy)) {
        return nothing(input, policy, report);
    }
    let mut round = Round::new(input, policy, &rulebook);
    // Some host has been overworked for long enough, and its own figures can be believed.
    let hot = round.hot_hosts(&mut report);
    if report.held_at(Gate::Sustained, if hot.is_empty() { vec![Reason::Calm {}] } else { vec![] }) {
        return nothing(input, policy, report);
    }
    // Further moves may be begun. A host that is not looked at for this reason is named all the same.
    let busy = round.all_busy();
    report.held_at(Gate::Limits, busy.iter().cloned().collect());
    // Each one is relieved, the most overworked first, as far as the limits allow.
    let wanted: Vec<Wanted> = hot.iter().flat_map(|hot| round.relieve(hot, &mut report)).collect();
    report.summary = summary(&wanted, &report);
    // A safe way leads there.
    let (steps, left_out) = way::steps_to(input, policy, &rulebook, &wanted);
    report.leave_out(&input.snapshot, &left_out);
    let plan = Plan { steps, ..empty_plan(input, policy) };
    // The independent checker agrees.
    checked(input, &rulebook, plan, report)
}

impl Report {
    /// Writes down what a gate said; whether it holds the round back.
    fn held_at(&mut self, gate: Gate, held: Vec<Reason>) -> bool {
        if let Some(most_telling) = held.iter().max_by_key(|reason| reason.class()) {
            self.summary = most_telling.clone();
        }
        self.gates.push(GateReport { gate, held });
        !self.gates[self.gates.len() - 1].held.is_empty()
    }

    /// Takes back what was said of VMs that have no way to where they are wanted.
    fn leave_out(&mut self, snapshot: &Snapshot, left_out: &[(VmIx, Reason)]) {
        if left_out.is_empty() {
            return;
        }
        for (vm, reason) in left_out {
            let id = snapshot.vm(*vm).id;
            for relief in self.hosts.iter_mut().flat_map(|host| &mut host.relief) {
                let vms = relief.vms.iter_mut().filter(|vm| vm.vm == id && matches!(vm.answer, Answer::Goes(_)));
                for vm in vms {
                    vm.answer = Answer::Stays(vec![reason.clone()]);
                    relief.ends = Some(reason.clone());
                }
            }
        }
        self.held_at(Gate::Way, left_out.iter().map(|(_, reason)| reason.clone()).collect());
    }
}

/// An overworked host.
struct Hot {
    host: HostIx,
    /// The hot resources, the one that is most above its threshold first.
    resources: Vec<(Resource, Share)>,
    /// How far the worst of them is above its threshold, in ten-thousandths of the threshold.
    excess: u64,
    /// Where it stands in the report.
    place: usize,
}

/// What a round works on.
pub(crate) struct Round<'i> {
    input: &'i Input,
    policy: &'i Policy,
    pub scene: Scene<'i>,
    figures: Vec<Option<HostFigures>>,
    residents: Vec<Vec<VmIx>>,
}

impl<'i> Round<'i> {
    /// Sets the scene: promises, projected use with all that is in flight, and which hosts are no targets just now.
    pub fn new(input: &'i Input, policy: &'i Policy, rulebook: &'i Rulebook) -> Self {
        let snapshot = &input.snapshot;
        let state = State::new(snapshot, rulebook);
        let (mut figures, mut uses, mut barred) = (Vec::new(), Vec::new(), Vec::new());
        for host in &snapshot.hosts {
            let seen = gates::seen(input, policy, host);
            uses.push(seen.as_ref().map_or(Use::default(), HostFigures::mean));
            barred.push(gates::bar(input, policy, host, &seen));
            figures.push(seen.ok());
        }
        let (margin, hotspot) = (policy.hotspot.margin, &policy.hotspot);
        let ceiling =
            Ceiling { cpu: hotspot.cpu.saturating_sub(margin), memory: hotspot.memory.saturating_sub(margin) };
        let mut scene = Scene::new(state, uses, barred, ceiling);
        for flight in &snapshot.in_flight {
            let vm = snapshot.vm(flight.vm);
            let demand = figures::of_vm(vm, policy, input.now).unwrap_or_else(|_| figures::at_most(vm));
            scene.expect(flight.from, flight.to, demand);
        }
        Round { input, policy, scene, figures, residents: snapshot.by_host() }
    }

    /// The limit on moves at once in all, if it is reached.
    pub fn all_busy(&self) -> Option<Reason> {
        let (moves, limit) = (self.scene.state.moves(), self.policy.limits.moves);
        (moves >= limit).then_some(Reason::AllBusy { moves, limit })
    }

    /// What the VM uses on average, or why that is not known.
    pub fn demand(&self, vm: VmIx) -> Result<Use, Reason> {
        figures::of_vm(self.input.snapshot.vm(vm), self.policy, self.input.now)
    }

    /// The hosts that have been overworked for long enough, the worst one first. Reports those, the ones that are above a threshold but
    /// not for long enough, and the ones whose figures cannot be believed.
    fn hot_hosts(&self, report: &mut Report) -> Vec<Hot> {
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

    /// Chooses moves for one overworked host, and reports what came of it.
    fn relieve(&mut self, hot: &Hot, report: &mut Report) -> Vec<Wanted> {
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
            let relieved = found.after <= *threshold;
            let stuck =
                Reason::Stuck { host: place.host.clone(), vms: all, hosts: self.input.snapshot.hosts.len() as u32 - 1 };
            let ends = match (&found.stopped, relieved) {
                (_, true) => None,
                (Some(limit), false) => Some(limit.clone()),
                (None, false) if found.choices.is_empty() => Some(stuck),
                (None, false) => None,
            };
            let snapshot = &self.input.snapshot;
            let vms: Vec<VmReport> =
                found.tried.iter().take(LISTED_VMS).map(|tried| vm_report(snapshot, tried)).collect();
            let more_vms = all - vms.len() as u32;
            place.relief.push(Relief { resource: *resource, after: found.after, vms, more_vms, ends });
            let because = || because.clone();
            wanted.extend(found.choices.iter().map(|&Choice { vm, to }| Wanted { vm, to, because: because() }));
        }
        wanted
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
        Candidate { vm: ix, demand: demand.unwrap_or_default(), held, failed_on, left_lately }
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

fn switched_off(policy: &Policy) -> Vec<Reason> {
    if policy.hotspot.enabled { vec![] } else { vec![Reason::PolicyOff {}] }
}

/// The one reason that tells most: why the first move is made, or else the most telling reason why a hot host stays hot.
fn summary(wanted: &[Wanted], report: &Report) -> Reason {
    if let Some(first) = wanted.first() {
        return first.because.clone();
    }
    let ends = report.hosts.iter().flat_map(|host| &host.relief).filter_map(|relief| relief.ends.as_ref());
    // Of equal classes the first, which is the most overworked host's.
    ends.rev().max_by_key(|reason| reason.class()).cloned().unwrap_or_else(|| report.summary.clone())
}

/// A decision to do nothing; there is nothing for the checker to look at.
fn nothing(input: &Input, policy: &Policy, report: Report) -> Decision {
    Decision { plan: empty_plan(input, policy), sane: None, report }
}

/// The plan with the checker's receipt, or no steps and the reason.
fn checked(input: &Input, rulebook: &Rulebook, mut plan: Plan, mut report: Report) -> Decision {
    match way::judged(input, rulebook, &mut plan) {
        Ok(None) => Decision { plan, sane: None, report },
        Ok(sane) => {
            report.gates.push(GateReport { gate: Gate::Check, held: Vec::new() });
            Decision { plan, sane, report }
        }
        Err(refused) => {
            // Two rooms that share no code disagree: one of them is wrong, and nothing moves until it is known which.
            report.held_at(Gate::Check, vec![refused]);
            plan.steps.clear();
            Decision { plan, sane: None, report }
        }
    }
}
