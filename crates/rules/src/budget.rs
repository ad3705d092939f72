//! **Budget.** How much the VMs may be disturbed: moves and downtime within a span, VMs in flight at once. `rule.budget_moves`,
//! `rule.budget_downtime`, `rule.at_once`. About each move that begins; concerns all VMs of one `per`.
//!
//! Moves and downtime bind automatic moves only, though moves by hand are counted; those in flight at once bind both. What is
//! counted is what ended within the span, what is in flight and what has begun in this state.

use std::collections::BTreeMap;
use std::time::Duration;

use ulm_model::{Per, Reason, Rule, RuleKind, Snapshot, Time, VmIx, label};

use crate::index::Index;
use crate::{Initiative, Moment};

/// What is counted together by one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group<'s> {
    /// One VM.
    Vm(VmIx),
    /// All VMs of the rule.
    All,
    /// All VMs of the rule with this value of the label.
    Label(&'s str),
}

/// What was counted for a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Moves that ended within the span.
    pub moves: u32,
    /// VMs in flight.
    pub in_flight: u32,
    /// Downtime within the span, with what is forecast for moves in flight as far as somebody said so.
    pub downtime: Duration,
}

/// All budgets of one state. Only groups of which something moved have an entry.
#[derive(Debug, Default)]
pub struct Budgets<'s> {
    spent: BTreeMap<(u32, Group<'s>), Spent>,
    now: Option<Time>,
}

/// The group of the VM.
pub fn group<'s>(per: &Per, snapshot: &'s Snapshot, vm: VmIx) -> Group<'s> {
    match per {
        Per::Vm => Group::Vm(vm),
        Per::Rule => Group::All,
        Per::Label(key) => label(&snapshot.vm(vm).tags, key).map_or(Group::Vm(vm), Group::Label),
    }
}

/// Why a further move, with so much `expected` downtime, may not begin; all that holds.
pub fn reasons(rule: &Rule, spent: &Spent, expected: Duration, initiative: Initiative, timed: bool) -> Vec<Reason> {
    let RuleKind::Budget { moves, downtime, within, at_once, .. } = &rule.kind else { return Vec::new() };
    let (rule, within, mut reasons) = (rule.name.clone(), *within, Vec::new());
    if timed && initiative == Initiative::Automatic {
        let begun = spent.moves.saturating_add(spent.in_flight);
        if let Some(limit) = moves.filter(|limit| begun >= *limit) {
            reasons.push(Reason::MovesSpent { rule: rule.clone(), moves: begun, limit, within });
        }
        let would_be = spent.downtime.saturating_add(expected);
        if let Some(limit) = downtime.filter(|limit| would_be > *limit) {
            reasons.push(Reason::DowntimeSpent { rule: rule.clone(), downtime: would_be, limit, within });
        }
    }
    if let Some(limit) = at_once.filter(|limit| spent.in_flight >= *limit) {
        reasons.push(Reason::OthersMove { rule, moves: spent.in_flight, limit });
    }
    reasons
}

impl<'s> Budgets<'s> {
    /// Counts what is over. A move of a VM that the snapshot does not list belongs to no rule any more.
    pub fn new(snapshot: &'s Snapshot, rules: &[Rule], index: &Index, moment: Option<Moment<'_>>) -> Self {
        let mut budgets = Budgets { spent: BTreeMap::new(), now: moment.map(|moment| moment.now) };
        if !rules.iter().any(|rule| matches!(rule.kind, RuleKind::Budget { .. })) {
            return budgets;
        }
        let Some(moment) = moment else { return budgets };
        for past in moment.past {
            let Some(vm) = snapshot.find_vm(past.vm) else { continue };
            budgets.each(snapshot, rules, index, vm, |spent, span| {
                if moment.now.since(past.ended) <= span {
                    spent.moves += 1;
                    spent.downtime = spent.downtime.saturating_add(past.downtime);
                }
            });
        }
        budgets
    }

    /// Counts a move that begins, or is in flight.
    pub fn begin(&mut self, snapshot: &'s Snapshot, rules: &[Rule], index: &Index, vm: VmIx) {
        self.each(snapshot, rules, index, vm, |spent, _| spent.in_flight += 1);
    }

    /// Counts the downtime that is forecast for a move in flight.
    pub fn expect(&mut self, snapshot: &'s Snapshot, rules: &[Rule], index: &Index, vm: VmIx, downtime: Duration) {
        self.each(snapshot, rules, index, vm, |spent, _| spent.downtime = spent.downtime.saturating_add(downtime));
    }

    /// Why the VM may not begin to move; see [`reasons`].
    pub fn reasons(
        &self,
        snapshot: &Snapshot,
        number: u32,
        rule: &Rule,
        vm: VmIx,
        expected: Duration,
        initiative: Initiative,
    ) -> Vec<Reason> {
        let RuleKind::Budget { per, .. } = &rule.kind else { return Vec::new() };
        let spent = self.spent.get(&(number, group(per, snapshot, vm))).copied().unwrap_or_default();
        reasons(rule, &spent, expected, initiative, self.now.is_some())
    }

    fn each(
        &mut self,
        snapshot: &'s Snapshot,
        rules: &[Rule],
        index: &Index,
        vm: VmIx,
        mut count: impl FnMut(&mut Spent, Duration),
    ) {
        for number in index.of_vm(vm) {
            if let RuleKind::Budget { per, within, .. } = &rules[*number as usize].kind {
                count(self.spent.entry((*number, group(per, snapshot, vm))).or_default(), *within);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rule;

    fn budget(moves: Option<u32>, downtime: Option<u64>, at_once: Option<u32>) -> Rule {
        let within = Duration::from_secs(3600);
        let downtime = downtime.map(Duration::from_secs);
        rule(RuleKind::Budget { per: Per::Rule, moves, downtime, within, at_once }, None, None)
    }

    fn codes(rule: &Rule, spent: Spent, expected: u64, initiative: Initiative) -> Vec<&'static str> {
        let expected = Duration::from_secs(expected);
        reasons(rule, &spent, expected, initiative, true).iter().map(Reason::code).collect()
    }

    #[test]
    fn moves_in_flight_count_as_begun_and_bind_by_hand_only_at_once() {
        let rule = budget(Some(3), None, Some(2));
        let spent = Spent { moves: 1, in_flight: 2, ..Spent::default() };
        assert_eq!(codes(&rule, spent, 0, Initiative::Automatic), ["rule.budget_moves", "rule.at_once"]);
        assert_eq!(codes(&rule, spent, 0, Initiative::ByHand), ["rule.at_once"]);
        assert!(codes(&rule, Spent { in_flight: 1, ..spent }, 0, Initiative::Automatic).is_empty());
    }

    #[test]
    fn the_forecast_downtime_of_the_move_is_added_to_what_was_measured() {
        let spent = Spent { downtime: Duration::from_secs(9), ..Spent::default() };
        let rule = budget(None, Some(10), None);
        assert!(codes(&rule, spent, 1, Initiative::Automatic).is_empty());
        assert_eq!(codes(&rule, spent, 2, Initiative::Automatic), ["rule.budget_downtime"]);
        assert!(codes(&rule, spent, 2, Initiative::ByHand).is_empty());
    }
}
