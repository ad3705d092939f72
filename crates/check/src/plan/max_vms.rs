//! **Max VMs.** Each of the hosts has at most so many of the VMs, or of all VMs if the rule selects none. Continuous, no worse.

use ulm_model::{HostIx, Reason, RuleKind};

use super::{Case, Fault, census};
use crate::loads::first_excess;

/// The first of the steps before `before` that can bring too many to a host.
pub(super) fn first(case: &Case<'_>, before: usize) -> Option<(usize, Fault)> {
    let hosts = case.grounds.snapshot.hosts.len();
    let (mut counters, mut about) = (Vec::new(), Vec::new());
    for rule in &case.book.rules {
        let RuleKind::MaxVms { at_most } = rule.rule.kind else { continue };
        let everybody = rule.rule.vms.is_empty();
        let comes = |step: &super::Resolved<'_>| rule.has(step.to) && (everybody || rule.moves(step));
        if !case.steps[..before].iter().any(comes) {
            continue;
        }
        let members =
            if everybody { vec![true; case.grounds.snapshot.vms.len()] } else { case.book.members(rule.rule) };
        let area: Vec<Option<usize>> = (0..hosts).map(|h| rule.has(HostIx(h as u32)).then_some(h)).collect();
        counters.extend(census::counters(case, before, &members, (&area, hosts), at_most));
        about.extend((0..hosts).map(|_| (rule, at_most)));
    }
    let excess = first_excess(&case.order, &counters)?;
    let (rule, limit) = about[excess.counter];
    let step = excess.step as usize;
    let host = case.grounds.snapshot.host(case.steps[step].to).name.clone();
    Some(case.breaks(step, Reason::HostFull { host, rule: rule.name(), vms: excess.worst as u32, limit }))
}
