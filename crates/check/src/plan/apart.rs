//! **Apart.** No domain has more than so many of the VMs. Continuous, no worse.

use ulm_model::{Reason, RuleKind};

use super::selectors::Domains;
use super::{Case, Fault, census};
use crate::loads::first_excess;

/// The first of the steps before `before` that can bring too many together.
pub(super) fn first(case: &Case<'_>, before: usize) -> Option<(usize, Fault)> {
    let (mut counters, mut about) = (Vec::new(), Vec::new());
    for rule in case.book.rules.iter().filter(|rule| rule.moves_any()) {
        let RuleKind::Apart { level, at_most } = &rule.rule.kind else { continue };
        let members = case.book.members(rule.rule);
        let Domains { of, names } = Domains::new(level, case.grounds.snapshot);
        let area: Vec<Option<usize>> = of.into_iter().map(Some).collect();
        counters.extend(census::counters(case, before, &members, (&area, names.len()), *at_most));
        about.extend(names.into_iter().map(|domain| (rule, domain, *at_most)));
    }
    let excess = first_excess(&case.order, &counters)?;
    let (rule, domain, limit) = &about[excess.counter];
    let reason =
        Reason::TooClose { rule: rule.name(), domain: domain.clone(), vms: excess.worst as u32, limit: *limit };
    Some(case.breaks(excess.step as usize, reason))
}
