//! Whether what was decided is what was to be decided.

use std::collections::BTreeSet;

use serde_json::Value;
use ulm_decide::{Decision, Input, still, why_not};
use ulm_model::{Action, HostName, Reason, Step, VmId};
use ulm_policy::{Case, GivenMove, Policy, WhyNot};

/// What is decided in a case, and what of it is not as it was to be.
pub struct Verdict {
    /// The moves that are decided on, with their reasons.
    pub moves: Vec<(GivenMove, Reason)>,
    /// The one reason that tells most.
    pub summary: Reason,
    /// What is not as it was to be, in sentences; empty: all is.
    pub wrong: Vec<String>,
}

impl Verdict {
    /// Looks at everything that the case asks for.
    pub fn of(case: &Case, input: &Input, policy: &Policy, decision: &Decision) -> Self {
        let moves: Vec<(GivenMove, Reason)> = decision.plan.steps.iter().map(told).collect();
        let summary = moves.first().map_or(&decision.report.summary, |(_, because)| because).clone();
        let mut verdict = Verdict { moves, summary, wrong: Vec::new() };
        verdict.moves_are_right(case);
        verdict.vms_are_right(case, input, policy);
        verdict.hosts_are_right(case);
        verdict.reasons_are_right(case, decision);
        for asked in &case.then.why_not {
            verdict.refused(asked, case, input, policy);
        }
        verdict
    }

    fn moves_are_right(&mut self, case: &Case) {
        let then = &case.then;
        if let Some(wanted) = &then.moves {
            let missing = wanted.iter().filter(|one| !self.moves.iter().any(|(made, _)| made == *one));
            let missing = missing.map(|one| format!("there is no move {one}"));
            let beside = self.moves.iter().filter(|(made, _)| !wanted.contains(made));
            let beside = beside.map(|(made, because)| format!("there is a move {made}: {because}"));
            let mut wrong: Vec<String> = missing.chain(beside).collect();
            self.wrong.append(&mut wrong);
        }
        let made = self.moves.len();
        if let Some(least) = then.at_least.filter(|least| made < *least as usize) {
            self.wrong.push(format!("moves: {made}, and at least {least} wanted"));
        }
        if let Some(most) = then.at_most.filter(|most| made > *most as usize) {
            self.wrong.push(format!("moves: {made}, and at most {most} wanted"));
        }
        for (made, because) in &self.moves {
            if !then.from.is_empty() && !then.from.contains(&made.from) {
                self.wrong
                    .push(format!("there is a move {made}, and only {} may lose VMs: {because}", then.from.join(", ")));
            }
            if !then.to.is_empty() && !then.to.contains(&made.to) {
                self.wrong
                    .push(format!("there is a move {made}, and only {} may get VMs: {because}", then.to.join(", ")));
            }
        }
    }

    fn vms_are_right(&mut self, case: &Case, input: &Input, policy: &Policy) {
        let move_of = |vm: &String| self.moves.iter().find(|(made, _)| made.vm == *vm);
        let mut wrong = Vec::new();
        let reasons = still(input, policy);
        for vm in case.then.moving.iter().filter(|vm| move_of(vm).is_none()) {
            let reason = case.vms.iter().position(|given| given.name == *vm).and_then(|at| reasons.get(at));
            wrong.push(match reason {
                Some(reason) => format!("{vm} does not move: {reason} ({})", reason.code()),
                None => format!("{vm} does not move"),
            });
        }
        for (made, because) in case.then.staying.iter().filter_map(move_of) {
            wrong.push(format!("{} moves from {} to {}: {because}", made.vm, made.from, made.to));
        }
        self.wrong.append(&mut wrong);
    }

    fn hosts_are_right(&mut self, case: &Case) {
        for host in &case.then.empty {
            // Of several moves of a VM the last one says where it ends.
            let ends = |vm: &str, on: &str| {
                let last = self.moves.iter().rev().find(|(made, _)| made.vm == vm);
                last.map_or_else(|| on.to_owned(), |(made, _)| made.to.clone())
            };
            let on_it = case.vms.iter().filter(|vm| ends(&vm.name, &vm.host) == *host).map(|vm| vm.name.as_str());
            let on_it: Vec<&str> = on_it.collect();
            if !on_it.is_empty() {
                self.wrong.push(format!("{host} is not empty then: it has {}", on_it.join(", ")));
            }
        }
    }

    fn reasons_are_right(&mut self, case: &Case, decision: &Decision) {
        if let Some(code) = case.then.because.as_ref().filter(|code| *code != self.summary.code()) {
            let instead = format!("{} ({})", self.summary.code(), self.summary);
            self.wrong.push(format!("the reason is {instead}, not {code}"));
        }
        let mut said = BTreeSet::new();
        let report = (&decision.report, Vec::from_iter(decision.plan.steps.iter().map(|step| &step.because)));
        codes(&serde_json::to_value(report).unwrap_or_default(), &mut said);
        for code in case.then.says.iter().filter(|code| !said.contains(*code)) {
            let said = Vec::from_iter(said.iter().map(String::as_str)).join(", ");
            self.wrong.push(format!("nothing says {code}; what is said: {said}"));
        }
    }

    fn refused(&mut self, asked: &WhyNot, case: &Case, input: &Input, policy: &Policy) {
        let Some(id) = id_of(&asked.vm, case, input) else { return };
        let reasons = why_not(input, policy, id, &HostName(asked.host.clone()));
        if reasons.iter().any(|reason| reason.code() == asked.reason) {
            return;
        }
        let (vm, host, code) = (&asked.vm, &asked.host, &asked.reason);
        self.wrong.push(match reasons.is_empty() {
            true => format!("nothing keeps {vm} from going to {host}, and {code} was to"),
            false => {
                let told = reasons.iter().map(|reason| format!("{reason} ({})", reason.code()));
                format!(
                    "{code} does not keep {vm} from going to {host}; what does: {}",
                    Vec::from_iter(told).join("; ")
                )
            }
        });
    }
}

fn id_of(vm: &str, case: &Case, input: &Input) -> Option<VmId> {
    // The VMs of the snapshot are those of the case, in its order.
    let at = case.vms.iter().position(|given| given.name == vm)?;
    input.snapshot.vms.get(at).map(|vm| vm.id)
}

/// A step as people write it, and why.
pub fn told(step: &Step) -> (GivenMove, Reason) {
    let Action::Move { vm_name, from, to, .. } = &step.action;
    (GivenMove { vm: vm_name.clone(), from: from.0.clone(), to: to.0.clone() }, step.because.clone())
}

/// Every code of a reason anywhere in the value.
fn codes(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(code)) = fields.get("code") {
                found.insert(code.clone());
            }
            fields.values().for_each(|field| codes(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| codes(item, found)),
        _ => {}
    }
}
