//! **Window.** Automatic moves of the VMs, or from and to the hosts, begin only while the calendar holds, or only while it does not.
//! `rule.window`. About each automatic move; concerns VMs and hosts, each by itself.

use std::sync::OnceLock;

use ulm_model::{Reason, Rule, RuleKind, Rulebook, Time};

/// Which windows are shut at one time.
#[derive(Debug, Default)]
pub struct Windows {
    /// By rule; empty when the time is not known, then all are open.
    shut: Vec<bool>,
    /// By rule: when it opens. Looked up when a sentence wants it, as that takes a while.
    opens: Vec<OnceLock<Option<Time>>>,
    now: Time,
}

/// Whether the rule forbids moves that begin now.
pub fn is_shut(rule: &Rule, now: Time) -> bool {
    matches!(&rule.kind, RuleKind::Window { calendar, open } if calendar.holds(now) != *open)
}

impl Windows {
    /// Looks at all windows.
    pub fn at(rulebook: &Rulebook, now: Time) -> Self {
        let shut: Vec<bool> = rulebook.rules.iter().map(|rule| is_shut(rule, now)).collect();
        Windows { opens: shut.iter().map(|_| OnceLock::new()).collect(), shut, now }
    }
    /// Whether the rule is a window that is shut.
    pub fn is_shut(&self, number: u32) -> bool {
        self.shut.get(number as usize).is_some_and(|shut| *shut)
    }
    /// Why the rule allows no move now, if so.
    pub fn reason(&self, number: u32, rule: &Rule) -> Option<Reason> {
        let RuleKind::Window { calendar, .. } = &rule.kind else { return None };
        self.is_shut(number).then(|| {
            let until = *self.opens[number as usize].get_or_init(|| calendar.changes(self.now));
            Reason::OutsideWindow { rule: rule.name.clone(), until }
        })
    }
}

#[cfg(test)]
mod tests {
    use ulm_model::{Calendar, CalendarSpan};

    use super::*;
    use crate::testing::{rule, rulebook};

    #[test]
    fn a_window_is_open_while_its_calendar_holds_and_a_blackout_while_it_does_not() {
        let nights = Calendar {
            name: "nights".into(),
            zone: "UTC".into(),
            spans: vec![CalendarSpan { days: [true; 7], from: 0, to: 360, dates: None }],
        };
        let mut rulebook = rulebook();
        for open in [true, false] {
            rulebook.rules.push(rule(RuleKind::Window { calendar: nights.clone(), open }, None, None));
        }
        let hour = |hour: i64| Time(hour * 3_600_000);
        let at = |time| [0, 1].map(|i| Windows::at(&rulebook, time).is_shut(i));
        assert_eq!((at(hour(5)), at(hour(6))), ([false, true], [true, false]));
        let windows = Windows::at(&rulebook, hour(6));
        let until = Some(hour(24));
        assert_eq!(windows.reason(0, &rulebook.rules[0]), Some(Reason::OutsideWindow { rule: "r".into(), until }));
        assert_eq!(windows.reason(1, &rulebook.rules[1]), None);
        assert!(!Windows::default().is_shut(0), "without a time all are open");
    }
}
