//! **Together.** The VMs are in one domain. At the end, no worse: the number of domains that they are spread over does not grow. Of a
//! plan that stops midway nothing is asked. VMs that move already count where they go.

use std::collections::{BTreeSet, HashMap};

use ulm_model::{HostIx, Reason, RuleKind, VmIx};

use super::selectors::Domains;
use super::{Case, Fault};

/// What a rule has against the end: told with the first step that brings one of its VMs to where none of them was.
pub(super) fn at_the_end(case: &Case<'_>) -> Option<(usize, Fault)> {
    let snapshot = case.grounds.snapshot;
    let mut before: Vec<HostIx> = snapshot.vms.iter().map(|vm| vm.host).collect();
    for flight in &snapshot.in_flight {
        before[flight.vm.at()] = flight.to.unwrap_or(flight.from);
    }
    // The last step of each VM.
    let last: HashMap<VmIx, usize> = case.steps.iter().enumerate().map(|(i, step)| (step.vm, i)).collect();
    let spread = |rule: &super::selectors::Binding<'_>| {
        let RuleKind::Together { level } = &rule.rule.kind else { return None };
        let (members, domains) = (case.book.members(rule.rule), Domains::new(level, snapshot).of);
        let vms = || (0..members.len()).filter(|v| members[*v]);
        let at_first: BTreeSet<usize> = vms().map(|v| domains[before[v].at()]).collect();
        let end = |v: usize| last.get(&VmIx(v as u32)).map_or(before[v], |i| case.steps[*i].to);
        let at_last: BTreeSet<usize> = vms().map(|v| domains[end(v).at()]).collect();
        if at_last.len() <= at_first.len() {
            return None;
        }
        let ends = |(i, step): &(usize, &super::Resolved<'_>)| {
            last[&step.vm] == *i && members[step.vm.at()] && !at_first.contains(&domains[step.to.at()])
        };
        let (i, step) = case.steps.iter().enumerate().find(ends)?;
        Some(case.breaks(i, Reason::NotTogether { host: snapshot.host(step.to).name.clone(), rule: rule.name() }))
    };
    let found = case.book.rules.iter().filter(|rule| rule.moves_any()).filter_map(spread);
    found.min_by_key(|(step, _)| *step)
}
