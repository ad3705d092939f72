//! **At once.** Of the VMs that a budget counts together, at most so many are in flight in any state, by hand or not. It passes: whoever
//! carries the plan out may wait until others have landed.
//!
//! Steps of which none waits for another can all be in flight at once, and no others can. By Dilworth's theorem the largest set of such
//! is as large as the smallest number of chains that cover all steps. Steps are added one by one, each after those that it waits for; it
//! goes on from the end of a chain, perhaps after chains have changed their ends (an augmenting path), or it is one more chain.
//!
//! With `n` steps the relation takes n² bits, and each step a search of at most n² / 64 words, mostly of one row.

use std::collections::BTreeMap;

use ulm_model::{Reason, RuleKind};

use super::budget::Group;
use super::{Case, Fault};
use crate::order::Order;

/// Steps that are counted together, and how many of them may be in flight.
struct Crowd {
    rule: String,
    limit: u32,
    /// Moves that run already.
    flying: usize,
    /// Ascending.
    steps: Vec<usize>,
}

/// The first step with which too many can be in flight.
pub(super) fn first(case: &Case<'_>) -> Option<(usize, Fault)> {
    let mut crowds = Vec::new();
    for rule in case.book.rules.iter().filter(|rule| rule.moves_any()) {
        let RuleKind::Budget { per, at_once: Some(limit), .. } = &rule.rule.kind else { continue };
        let mut groups: BTreeMap<Group, Vec<usize>> = BTreeMap::new();
        for (i, step) in case.steps.iter().enumerate().filter(|(_, step)| rule.moves(step)) {
            groups.entry(Group::of(per, step.vm, case.grounds)).or_default().push(i);
        }
        let running = &case.grounds.snapshot.in_flight;
        let mut flying: BTreeMap<Group, usize> = BTreeMap::new();
        if !running.is_empty() {
            let members = case.book.members(rule.rule);
            for flight in running.iter().filter(|flight| members[flight.vm.at()]) {
                *flying.entry(Group::of(per, flight.vm, case.grounds)).or_default() += 1;
            }
        }
        for (group, steps) in groups {
            let flying = flying.get(&group).copied().unwrap_or(0);
            if flying + steps.len() > *limit as usize {
                crowds.push(Crowd { rule: rule.name(), limit: *limit, flying, steps });
            }
        }
    }
    let relation = Relation::new(&case.order, crowds.iter().flat_map(|crowd| &crowd.steps).copied().collect());
    let mut first: Option<(usize, Reason)> = None;
    for Crowd { rule, limit, flying, steps } in crowds {
        let until = first.as_ref().map_or(case.steps.len(), |(step, _)| *step);
        let steps = &steps[..steps.partition_point(|step| *step < until)];
        let most = (limit as usize).saturating_sub(flying);
        if let Some(step) = relation.first_wider(steps, most) {
            // Without the step itself.
            let moves = (flying + most) as u32;
            first = Some((step, Reason::OthersMove { rule, moves, limit }));
        }
    }
    first.map(|(step, reason)| case.breaks(step, reason))
}

/// Which of some steps wait for which others, through any steps.
struct Relation {
    /// The steps, ascending: a step's place here is its column.
    columns: Vec<usize>,
    /// For each column the columns that it waits for, as bits.
    rows: Vec<Vec<u64>>,
}

impl Relation {
    fn new(order: &Order, mut columns: Vec<usize>) -> Self {
        columns.sort_unstable();
        columns.dedup();
        let Some(last) = columns.last() else { return Relation { columns, rows: Vec::new() } };
        let words = columns.len().div_ceil(64);
        let mut all = vec![0u64; (last + 1) * words];
        let mut column_of = vec![None; last + 1];
        columns.iter().enumerate().for_each(|(c, step)| column_of[*step] = Some(c));
        for step in 0..=*last {
            let (before, own) = all.split_at_mut(step * words);
            for earlier in order.after(step as u32).iter().map(|earlier| *earlier as usize) {
                let theirs = &before[earlier * words..(earlier + 1) * words];
                own[..words].iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine |= theirs);
                if let Some(c) = column_of[earlier] {
                    own[c / 64] |= 1 << (c % 64);
                }
            }
        }
        let rows = columns.iter().map(|step| all[step * words..(step + 1) * words].to_vec()).collect();
        Relation { columns, rows }
    }

    /// The first of the steps, ascending, with which more than `most` of them can be in flight.
    fn first_wider(&self, steps: &[usize], most: usize) -> Option<usize> {
        let count = self.columns.len();
        let mut chains = Chains {
            relation: self,
            free: vec![0; count.div_ceil(64)],
            added: vec![0; count.div_ceil(64)],
            before: vec![None; count],
            after: vec![None; count],
        };
        let mut width = 0;
        for step in steps {
            let column = self.columns.binary_search(step).ok()?;
            width += usize::from(!chains.add(column));
            if width > most {
                return Some(*step);
            }
        }
        None
    }
}

/// As few chains as possible that cover the steps that were added.
struct Chains<'r> {
    relation: &'r Relation,
    /// The ends of chains, as bits.
    free: Vec<u64>,
    /// All that were added, as bits.
    added: Vec<u64>,
    /// What each one goes on from, and what goes on from it.
    before: Vec<Option<usize>>,
    after: Vec<Option<usize>>,
}

impl Chains<'_> {
    /// Adds one that none of those that were added waits for: whether no chain more was needed.
    fn add(&mut self, new: usize) -> bool {
        let found = self.goes_on(new);
        for bits in [&mut self.free, &mut self.added] {
            bits[new / 64] |= 1 << (new % 64);
        }
        found
    }

    /// Looks for an end of a chain from which `new` can go on, breadth first: who takes another one's predecessor needs an end for it.
    fn goes_on(&mut self, new: usize) -> bool {
        let mut unseen = self.added.clone();
        let mut taken_by = vec![None; self.before.len()];
        let (mut queue, mut looked_at) = (vec![new], 0);
        while let Some(one) = queue.get(looked_at).copied() {
            looked_at += 1;
            let row = &self.relation.rows[one];
            for (w, waits) in row.iter().enumerate() {
                let mut bits = waits & self.free[w] & unseen[w];
                if bits != 0 {
                    bits = bits.trailing_zeros() as u64;
                    let end = w * 64 + bits as usize;
                    taken_by[end] = Some(one);
                    self.turn(end, &taken_by);
                    return true;
                }
            }
            for (w, waits) in row.iter().enumerate() {
                let mut bits = waits & unseen[w];
                unseen[w] &= !bits;
                while bits != 0 {
                    let earlier = w * 64 + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    taken_by[earlier] = Some(one);
                    queue.extend(self.after[earlier]);
                }
            }
        }
        false
    }

    /// Hands the predecessors on, from the end that was found back to the new one.
    fn turn(&mut self, end: usize, taken_by: &[Option<usize>]) {
        self.free[end / 64] &= !(1 << (end % 64));
        let mut given = Some(end);
        while let Some(earlier) = given {
            let Some(later) = taken_by[earlier] else { return };
            given = self.before[later].replace(earlier);
            self.after[earlier] = Some(later);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The largest set of steps of which none waits for another, by looking at all sets.
    fn widest(rows: &[Vec<u64>], count: usize) -> usize {
        let apart = |set: u64| (0..count).all(|i| set >> i & 1 == 0 || rows[i][0] & set == 0);
        (0..1u64 << count).filter(|set| apart(*set)).map(|set| set.count_ones() as usize).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn chains_find_the_widest_set(edges in proptest::collection::vec(0u8..4, 10 * 9 / 2), some in 0u32..1 << 10) {
            let mut edge = edges.into_iter();
            let after: Vec<Vec<u32>> = (0..10).map(|a| (0..a).filter(|_| edge.next() == Some(0)).collect()).collect();
            let order = Order::new(after.iter().map(Vec::as_slice));
            let steps: Vec<usize> = (0..10).filter(|s| some >> s & 1 == 1).collect();
            let relation = Relation::new(&order, steps.clone());
            for most in 0..6 {
                let first = (1..=steps.len()).find(|count| widest(&relation.rows, *count) > most);
                prop_assert_eq!(relation.first_wider(&steps, most), first.map(|count| steps[count - 1]));
            }
        }
    }
}
