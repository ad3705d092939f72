//! What every route costs at least.
//!
//! Every item that is not at its goal must move at least once: the sum of the least costs. And where nothing fits: join hosts by
//! the pending moves between them; in a group of hosts where no pending item can enter its goal now, the first departure from any
//! of its hosts cannot be a direct one (its target is in the group, nothing has left yet, and what comes from outside
//! only takes room), so it costs one hop beyond: the cheapest pending item once more, or the cheapest item at its goal
//! there and back. Groups have no items in common, so the sum stays a bound. [`crate::core::Core::least_cost`] is the same for
//! small placements.

use crate::joined::{join, root};
use crate::problem::NONE;
use crate::state::State;

/// A cost that no way from this placement to B undercuts.
pub(crate) fn least_cost(state: &State<'_>) -> u64 {
    let problem = state.problem;
    let pending = |item: usize| state.at[item] != problem.items[item].goal;
    let mut group: Vec<u32> = (0..problem.hosts as u32).collect();
    let mut total = 0u64;
    for (i, item) in problem.items.iter().enumerate().filter(|(i, _)| pending(*i)) {
        total = total.saturating_add(item.least);
        join(&mut group, state.at[i], item.goal);
    }
    let by_host: Vec<bool> = problem.counters.iter().map(|counter| counter.is_by_host()).collect();
    let mut moves_on = vec![false; problem.hosts];
    let mut waits = vec![false; problem.hosts];
    for (i, item) in problem.items.iter().enumerate().filter(|(i, _)| pending(*i)) {
        let g = root(&mut group, state.at[i]) as usize;
        waits[g] = true;
        let counted_out = item.counted.iter().any(|(c, weight)| {
            let d = problem.counters[*c as usize].domain[item.goal as usize];
            by_host[*c as usize] && d != NONE && state.counters()[*c as usize][d as usize] < *weight
        });
        let fits = state.fits(i as u32, item.goal) && problem.may_go(i as u32, state.at[i], item.goal);
        moves_on[g] |= fits && !counted_out;
    }
    let mut first = vec![u64::MAX; problem.hosts];
    for (i, item) in problem.items.iter().enumerate() {
        let g = root(&mut group, state.at[i]) as usize;
        if waits[g] && !moves_on[g] {
            first[g] = first[g].min(item.least.saturating_mul(if pending(i) { 1 } else { 2 }));
        }
    }
    first.iter().filter(|extra| **extra != u64::MAX).fold(total, |sum, extra| sum.saturating_add(*extra))
}
