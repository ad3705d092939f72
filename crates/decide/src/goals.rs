//! What is wanted at this time.

use ulm_model::{Reason, Time};
use ulm_policy::{Goal, GoalKind, Policy};

use crate::report::GoalReport;

/// The goals that are on, by what is done about them.
pub(crate) struct Goals<'p> {
    /// That the rules are kept.
    pub rules: Option<&'p Goal>,
    /// That overworked hosts are relieved.
    pub relieve: Option<&'p Goal>,
    /// What makes a placement better, taken together by their weights.
    pub others: Vec<&'p Goal>,
    /// Those that are off, with the reason.
    off: Vec<(&'p Goal, Reason)>,
}

impl<'p> Goals<'p> {
    /// The policy's goals at this time. A goal without weight asks for nothing.
    pub fn at(policy: &'p Policy, now: Time) -> Self {
        let mut goals = Goals { rules: None, relieve: None, others: Vec::new(), off: Vec::new() };
        for goal in policy.goals.iter().filter(|goal| goal.weight > 0) {
            if let Some(reason) = off(goal, policy, now) {
                goals.off.push((goal, reason));
                continue;
            }
            match goal.kind {
                GoalKind::Rules => goals.rules = Some(goal),
                GoalKind::Relieve => goals.relieve = Some(goal),
                _ => goals.others.push(goal),
            }
        }
        goals
    }

    /// What there is to say of those that are off.
    pub fn off(&self) -> impl Iterator<Item = GoalReport> + '_ {
        let report = |(goal, reason): &(&Goal, Reason)| GoalReport {
            goal: goal.name.clone(),
            gains: Vec::new(),
            ends: Some(reason.clone()),
            aside: Vec::new(),
        };
        self.off.iter().map(report)
    }

    /// What is said when there is nothing to do.
    pub fn calm(&self) -> Reason {
        match self.off.first() {
            Some((_, off)) if self.relieve.is_none() => off.clone(),
            _ if self.relieve.is_none() => Reason::NothingBetter {},
            _ => Reason::Calm {},
        }
    }

    /// Why nothing is done at all, if no goal is on.
    pub fn nothing_wanted(&self) -> Vec<Reason> {
        let wanted = self.rules.is_some() || self.relieve.is_some() || !self.others.is_empty();
        match self.off.as_slice() {
            _ if wanted => Vec::new(),
            [] => vec![Reason::NothingWanted {}],
            off => off.iter().map(|(_, reason)| reason.clone()).collect(),
        }
    }
}

fn off(goal: &Goal, policy: &Policy, now: Time) -> Option<Reason> {
    if goal.kind == GoalKind::Relieve && !policy.hotspot.enabled {
        return Some(Reason::PolicyOff {});
    }
    let calendar = goal.when.as_ref().filter(|calendar| !calendar.holds(now))?;
    let (goal, until) = (goal.name.clone(), calendar.changes(now));
    Some(Reason::GoalOff { goal, calendar: calendar.name.clone(), until })
}
