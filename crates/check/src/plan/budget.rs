//! **Budget.** How much the VMs may be disturbed: moves and downtime within a span of time, of all VMs that are counted together. About
//! each automatic move; those by hand are counted and not bound, and count before all others of the plan. How many may be in flight at
//! once is [`super::at_once`]'s matter.

use std::collections::HashMap;
use std::time::Duration;

use ulm_model::{Per, Reason, RuleKind, Time, VmIx, label};

use super::selectors::Book;
use super::{Grounds, Resolved};

/// What is counted together by a budget.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Group {
    /// A VM by itself.
    Vm(VmIx),
    /// All VMs of the rule.
    All,
    /// Those with this value of a label.
    Value(String),
}

impl Group {
    pub fn of(per: &Per, vm: VmIx, grounds: &Grounds<'_>) -> Self {
        match per {
            Per::Vm => Group::Vm(vm),
            Per::Rule => Group::All,
            Per::Label(key) => {
                let value = label(&grounds.snapshot.vm(vm).tags, key);
                value.map_or(Group::Vm(vm), |value| Group::Value(value.to_owned()))
            }
        }
    }
}

/// What the budgets have left while steps are added one by one.
pub(super) struct Budgets<'c> {
    purses: Vec<Purse<'c>>,
}

/// What is spent of a budget.
struct Purse<'c> {
    name: &'c str,
    moves: Option<u32>,
    downtime: Option<Duration>,
    within: Duration,
    /// For each mover its group, if the rule selects it.
    group: Vec<Option<usize>>,
    /// By group.
    spent: Vec<Spent>,
}

#[derive(Clone, Copy, Default)]
struct Spent {
    moves: u32,
    downtime: Duration,
}

impl<'c> Budgets<'c> {
    /// With what was spent before the plan, what moves now, and the plan's steps by hand.
    pub fn new(steps: &[Resolved<'_>], book: &'c Book<'c>, grounds: &Grounds<'_>) -> Self {
        let mut purses = Vec::new();
        for rule in book.rules.iter().filter(|rule| rule.moves_any()) {
            let RuleKind::Budget { per, moves, downtime, within, at_once: _ } = &rule.rule.kind else { continue };
            if moves.is_none() && downtime.is_none() {
                continue;
            }
            let movers = steps.iter().map(|step| step.mover + 1).max().unwrap_or(0);
            let (mut group, mut known) = (vec![None; movers], HashMap::new());
            for step in steps.iter().filter(|step| rule.moves(step)) {
                let next = known.len();
                group[step.mover] = Some(*known.entry(Group::of(per, step.vm, grounds)).or_insert(next));
            }
            let mut spent = vec![Spent::default(); known.len()];
            let nothing_before = grounds.past.is_empty() && grounds.snapshot.in_flight.is_empty();
            let members = if nothing_before { Vec::new() } else { book.members(rule.rule) };
            let mut spend = |vm: VmIx, downtime: Duration| {
                if let Some(g) = members[vm.at()].then(|| known.get(&Group::of(per, vm, grounds))).flatten() {
                    spent[*g].add(downtime);
                }
            };
            let begin = back(grounds.now, *within);
            for past in grounds.past.iter().filter(|past| past.ended >= begin) {
                // Of a VM that is gone nobody asks any more.
                if let Some(vm) = grounds.snapshot.find_vm(past.vm) {
                    spend(vm, past.downtime);
                }
            }
            grounds.snapshot.in_flight.iter().for_each(|flight| spend(flight.vm, Duration::ZERO));
            for step in steps.iter().filter(|step| step.by_hand()) {
                if let Some(g) = group[step.mover] {
                    spent[g].add(step.downtime());
                }
            }
            let name = &rule.rule.name;
            purses.push(Purse { name, moves: *moves, downtime: *downtime, within: *within, group, spent });
        }
        Budgets { purses }
    }

    /// Adds the next step. What a budget has against it, if it is automatic.
    pub fn against(&mut self, step: &Resolved<'_>) -> Option<Reason> {
        if step.by_hand() {
            return None;
        }
        self.purses.iter_mut().find_map(|purse| purse.against(step))
    }
}

impl Purse<'_> {
    fn against(&mut self, step: &Resolved<'_>) -> Option<Reason> {
        let spent = &mut self.spent[self.group[step.mover]?];
        let (moves, within) = (spent.moves, self.within);
        spent.add(step.downtime());
        let rule = || self.name.to_owned();
        if let Some(limit) = self.moves.filter(|limit| moves >= *limit) {
            return Some(Reason::MovesSpent { rule: rule(), moves, limit, within });
        }
        let downtime = spent.downtime;
        let limit = self.downtime.filter(|limit| downtime > *limit)?;
        Some(Reason::DowntimeSpent { rule: rule(), downtime, limit, within })
    }
}

impl Spent {
    fn add(&mut self, downtime: Duration) {
        self.moves = self.moves.saturating_add(1);
        self.downtime = self.downtime.saturating_add(downtime);
    }
}

/// What ended before that is over and forgotten.
fn back(now: Time, within: Duration) -> Time {
    Time(now.0.saturating_sub(i64::try_from(within.as_millis()).unwrap_or(i64::MAX)))
}
