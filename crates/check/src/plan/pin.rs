//! **Pin, keep off, maintenance.** The VMs go to none but the hosts; not to the hosts; the hosts take nothing. About each move.

use ulm_model::{Reason, RuleKind};

use super::selectors::Binding;
use super::{Grounds, Resolved};

/// What a rule of one of these kinds has against the step, by hand or not.
pub(super) fn against(rule: &Binding<'_>, step: &Resolved<'_>, grounds: &Grounds<'_>) -> Option<Reason> {
    let host = grounds.snapshot.host(step.to).name.clone();
    let (moves, there) = (rule.moves(step), rule.has(step.to));
    match rule.rule.kind {
        RuleKind::Pin => (moves && !there).then(|| Reason::Pinned { host, rule: rule.name() }),
        RuleKind::KeepOff => (moves && there).then(|| Reason::Pinned { host, rule: rule.name() }),
        RuleKind::Maintenance => there.then_some(Reason::Maintenance { host }),
        _ => None,
    }
}
