//! A host is emptied as a whole, because it costs something that it carries VMs: all of them go, or none.
//!
//! Method: hosts by what it costs to move their VMs for each point that is saved, then the least used first. The VMs of a host go one
//! after the other, the largest first, each to the cheapest target, of equal ones the fullest. If that does not pay, all go back.
//!
//! Complexity: VMs × hosts at most for a pass over all hosts; a host at full targets is passed over after a few comparisons.

use std::cmp::Reverse;

use super::{FULL, Search};

/// For comparing costs by what they save.
const SCALE: i128 = 1 << 20;

/// Empties hosts while it pays. Whether any was emptied.
pub(super) fn pass(search: &mut Search<'_>) -> bool {
    let mut any = false;
    for host in hosts(search) {
        if search.spent() {
            break;
        }
        any |= attempt(search, host);
    }
    any
}

/// The hosts that may be emptied, in the order of their turns.
pub(super) fn hosts(search: &Search<'_>) -> Vec<u32> {
    let mut hosts: Vec<_> = (0..search.order.len() as u32).filter_map(|host| key(search, host)).collect();
    hosts.sort_unstable();
    hosts.into_iter().map(|(.., host)| host).collect()
}

/// Whether and when a host's turn is.
fn key(search: &Search<'_>, host: u32) -> Option<(i128, (u64, u64), u32)> {
    let (state, problem) = (&search.state, search.problem());
    let saved = state.awake_points(host);
    let vms = state.on(host);
    if saved <= 0 || vms.is_empty() || vms.iter().any(|vm| problem.vms[*vm as usize].stays) {
        return None;
    }
    let home = vms.iter().filter(|vm| state.is_home(**vm));
    let moves: i128 = home.map(|vm| i128::from(problem.vms[*vm as usize].move_cost)).sum();
    Some((moves * SCALE / saved, search.order.used(host), host))
}

/// Empties the host if that pays. Whether it did.
pub(super) fn attempt(search: &mut Search<'_>, host: u32) -> bool {
    let mut vms: Vec<(Reverse<u64>, u32, i128)> = Vec::new();
    for i in 0..search.state.on(host).len() {
        let vm = search.state.on(host)[i];
        let bound = search.bound(vm);
        vms.push((Reverse(search.bulk[vm as usize]), vm, bound));
    }
    vms.sort_unstable();
    let (mark, before) = (search.state.mark(), search.state.total());
    let mut left: i128 =
        vms.iter().map(|it| it.2 + search.state.home_bound(it.1)).sum::<i128>() + search.state.awake_points(host);
    for (_, vm, bound) in vms {
        // What is still to come cannot make good what was spent.
        if search.state.total() - left >= before || search.spent() {
            return search.conclude(mark, before, false);
        }
        left -= bound + search.state.home_bound(vm);
        let Some((_, to)) = search.best(vm, bound, FULL, |_, _| true) else {
            return search.conclude(mark, before, false);
        };
        search.shift(vm, to);
    }
    search.conclude(mark, before, true)
}
