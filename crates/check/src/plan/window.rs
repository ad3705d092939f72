//! **Window.** Automatic moves of the VMs, or from and to the hosts, begin only while the calendar says so. About each move, at the
//! present time: a step that begins later is judged again then.

use ulm_model::{Reason, RuleKind};

use super::selectors::Binding;
use super::{Grounds, Resolved};

/// The windows that are shut at present.
pub(super) struct Shut<'c> {
    rules: Vec<(&'c Binding<'c>, Reason)>,
}

impl<'c> Shut<'c> {
    pub fn new(rules: &'c [Binding<'c>], grounds: &Grounds<'_>) -> Self {
        let shut = |rule: &'c Binding<'c>| match &rule.rule.kind {
            RuleKind::Window { calendar, open } if calendar.holds(grounds.now) != *open => {
                let until = calendar.changes(grounds.now);
                Some((rule, Reason::OutsideWindow { rule: rule.name(), until }))
            }
            _ => None,
        };
        Shut { rules: rules.iter().filter_map(shut).collect() }
    }

    /// What a window has against the step's beginning now.
    pub fn against(&self, step: &Resolved<'_>) -> Option<Reason> {
        if step.by_hand() {
            return None;
        }
        let concerned = |rule: &Binding<'_>| rule.moves(step) || rule.has(step.from) || rule.has(step.to);
        self.rules.iter().find(|(rule, _)| concerned(rule)).map(|(_, reason)| reason.clone())
    }
}
