//! **Exclude.** No automatic moves: of the VMs; from and to the hosts. About each move.

use ulm_model::{Host, HostIx, Reason};

use super::selectors::Binding;
use super::{Grounds, Resolved};

/// What the rule has against the step.
pub(super) fn against(rule: &Binding<'_>, step: &Resolved<'_>, grounds: &Grounds<'_>) -> Option<Reason> {
    if step.by_hand() {
        return None;
    }
    if rule.moves(step) {
        return Some(Reason::Excluded { rule: rule.name() });
    }
    let host = [step.from, step.to].into_iter().find(|host: &HostIx| rule.has(*host))?;
    let Host { name, .. } = grounds.snapshot.host(host);
    Some(Reason::HostExcluded { host: name.clone(), rule: rule.name() })
}
