//! **One way.** The VMs go to no host whose value of a label is lower than that of the host that they are on. About each move.

use ulm_model::{HostIx, Reason, label};

use super::selectors::Binding;
use super::{Grounds, Resolved};

/// What the rule, whose label is `key`, has against the step, by hand or not.
pub(super) fn against(rule: &Binding<'_>, key: &str, step: &Resolved<'_>, grounds: &Grounds<'_>) -> Option<Reason> {
    if !rule.moves(step) {
        return None;
    }
    let value = |host: HostIx| label(&grounds.snapshot.host(host).tags, key)?.parse::<i64>().ok();
    let back = value(step.to)? < value(step.from)?;
    back.then(|| Reason::WrongWay { host: grounds.snapshot.host(step.to).name.clone(), rule: rule.name() })
}
