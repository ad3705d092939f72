//! From the facts to a plan, gate by gate.

use ulm_model::{Plan, Reason, Rulebook, Snapshot, VmId, VmIx};
use ulm_place::search;
use ulm_policy::Policy;

use crate::draft::empty_plan;
use crate::goals::Goals;
use crate::report::{Answer, Decision, Gate, GateReport, Report, SetAside};
use crate::round::Round;
use crate::seek::Searcher;
use crate::wanted::Wanted;
use crate::{Input, gates, seek, way};

/// So many times a placement is looked for again without what no safe way leads to.
const TRIES: usize = 3;

/// Looks at what is wanted at this time, and chooses the moves that serve it. Same input and policy, same decision, byte for byte.
pub fn decide(input: &Input, policy: &Policy) -> Decision {
    decide_by(input, policy, &mut |question, effort| search(&question.problem, effort))
}

/// The same where somebody else answers the question that goals put.
pub(crate) fn decide_by(input: &Input, policy: &Policy, searcher: &mut Searcher<'_>) -> Decision {
    let (rulebook, aside) = policy.rulebook_for(&input.snapshot);
    let goals = Goals::at(policy, input.now);
    let mut report = Report::new(input.acting, goals.calm());
    report.set_aside(&input.snapshot, aside);
    report.goals.extend(goals.off());

    // Something is wanted at all.
    if report.held_at(Gate::Enabled, goals.nothing_wanted()) {
        return nothing(input, policy, report);
    }
    // The facts as a whole can be believed.
    if report.held_at(Gate::Data, gates::unbelievable(input, policy)) {
        return nothing(input, policy, report);
    }
    let mut no_way = Vec::new();
    let (mut said, mut steps) = (report.clone(), Vec::new());
    for _ in 0..TRIES {
        said = report.clone();
        let mut round = Round::new(input, policy, &rulebook);
        round.no_way.clone_from(&no_way);
        let wanted = wanted(&mut round, &goals, &mut said, searcher);
        // A safe way leads there.
        let (found, left_out) = way::steps_to(input, policy, &rulebook, &wanted);
        steps = found;
        said.leave_out(&input.snapshot, &left_out);
        // Where there is none another placement is looked for.
        let before = no_way.len();
        let target = |vm: VmIx| wanted.iter().find(|one| one.vm == vm && one.package.is_some()).map(|one| (vm, one.to));
        no_way.extend(left_out.iter().filter_map(|(vm, _)| target(*vm)));
        if no_way.len() == before {
            break;
        }
    }
    let plan = Plan { steps, ..empty_plan(input, policy) };
    // The independent checker agrees.
    checked(input, &rulebook, plan, said)
}

/// The VMs that are wanted elsewhere: first what is broken is mended, then what is overworked relieved; only when neither asks for anything
/// what could be better is made better.
fn wanted(round: &mut Round<'_>, goals: &Goals<'_>, report: &mut Report, searcher: &mut Searcher<'_>) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    // Rules are kept.
    if let Some(goal) = goals.rules {
        wanted = seek::mend(round, goal);
        for one in &wanted {
            let demand = round.demand(one.vm).unwrap_or_default();
            round.scene.begin(one.vm, one.to, demand);
        }
        if let Some(first) = wanted.first() {
            report.summary = first.because.clone();
        }
    }
    // Some host has been overworked for long enough, and its own figures can be believed.
    let hot = if goals.relieve.is_some() { round.hot_hosts(report) } else { Vec::new() };
    if goals.relieve.is_some() {
        let calm = || if wanted.is_empty() { vec![Reason::Calm {}] } else { vec![] };
        report.held_at(Gate::Sustained, if hot.is_empty() { calm() } else { vec![] });
    }
    // Further moves may be begun. A host that is not looked at for this reason is named all the same.
    let improves = wanted.is_empty() && !goals.others.is_empty();
    let busy = round.all_busy();
    if !hot.is_empty() || improves {
        report.held_at(Gate::Limits, busy.iter().cloned().collect());
    }
    // Each one is relieved, the most overworked first, as far as the limits allow.
    let mut stuck = Vec::new();
    for (hot, goal) in hot.iter().filter_map(|hot| Some((hot, goals.relieve?))) {
        wanted.extend(round.relieve(goal, hot, report, &mut stuck));
    }
    // Where none of its VMs can go by itself, one may in exchange for another.
    if busy.is_none() {
        let first = wanted.iter().filter_map(|one| one.package).max().map_or(0, |last| last + 1);
        let numbered = |one: Wanted| Wanted { package: one.package.map(|package| first + package), ..one };
        wanted.extend(round.exchange(&stuck, report).into_iter().map(numbered));
    }
    if !hot.is_empty() || !wanted.is_empty() {
        report.summary = summary(&wanted, report);
    }
    if wanted.is_empty() && hot.is_empty() && improves && busy.is_none() {
        // Something is better elsewhere, and worth the moves.
        let findings = seek::improve(round, &goals.others, goals.rules, searcher);
        report.goals.extend(findings.goals);
        report.bounds = findings.bounds;
        report.held_at(Gate::Worth, findings.held.into_iter().collect());
        wanted = findings.wanted;
        if let Some(first) = wanted.first() {
            report.summary = first.because.clone();
        }
    }
    wanted
}

impl Report {
    /// Names VMs that ask by their tags for what cannot be.
    fn set_aside(&mut self, snapshot: &Snapshot, aside: Vec<(VmId, Reason)>) {
        let name = |vm: VmId| snapshot.find_vm(vm).map_or_else(String::new, |ix| snapshot.vm(ix).name.clone());
        self.aside = aside.into_iter().map(|(vm, reason)| SetAside { vm, name: name(vm), reason }).collect();
    }

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
            let (id, home) = (snapshot.vm(*vm).id, &snapshot.host(snapshot.vm(*vm).host).name);
            let of_home = self.hosts.iter_mut().filter(|host| host.host == *home);
            for relief in of_home.flat_map(|host| &mut host.relief) {
                let vms = relief.vms.iter_mut().filter(|vm| vm.vm == id && matches!(vm.answer, Answer::Goes(_)));
                vms.for_each(|vm| vm.answer = Answer::Stays(vec![reason.clone()]));
                relief.ends.get_or_insert_with(|| reason.clone());
            }
        }
        self.held_at(Gate::Way, left_out.iter().map(|(_, reason)| reason.clone()).collect());
    }
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
