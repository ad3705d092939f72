//! Two VMs change places.
//!
//! Method: VMs that could bring something by leaving, the most promising first; for each one the VMs of other hosts, least used hosts
//! first, as long as the two together can bring something. After a handful of hosts the best exchange so far is made, if there is one.
//!
//! Complexity: for each promising VM at most all VMs, one bound and a few comparisons each; few are weighed.

use std::cmp::Reverse;

use super::Search;

/// So many hosts are looked at before the best exchange with any of them is made.
const HANDFUL: usize = 16;

/// Exchanges while any brings something. Whether one did.
pub(super) fn pass(search: &mut Search<'_>) -> bool {
    let vms = search.problem().vms.len() as u32;
    let mut bounds: Vec<i128> = Vec::with_capacity(vms as usize);
    for vm in 0..vms {
        let bound = search.bound(vm);
        bounds.push(bound);
    }
    let mut promising: Vec<u32> = (0..vms).filter(|vm| bounds[*vm as usize] > 0).collect();
    promising.sort_by_key(|vm| (Reverse(bounds[*vm as usize]), Reverse(search.bulk[*vm as usize]), *vm));
    let mut any = false;
    for vm in promising {
        while !search.spent()
            && let Some(other) = best_with(search, vm, &bounds)
        {
            let mark = search.state.mark();
            let hosts = [search.state.at(vm), search.state.at(other)];
            search.shift(vm, hosts[1]);
            search.shift(other, hosts[0]);
            search.together.push(search.state.done_since(mark).collect());
            any = true;
            for host in hosts {
                for i in 0..search.state.on(host).len() {
                    let vm = search.state.on(host)[i];
                    bounds[vm as usize] = search.bound(vm);
                }
            }
        }
    }
    any
}

fn best_with(search: &mut Search<'_>, vm: u32, bounds: &[i128]) -> Option<u32> {
    let (from, bound) = (search.state.at(vm), bounds[vm as usize]);
    if bound <= 0 {
        return None;
    }
    let mut best: Option<(i128, u64, u32)> = None;
    for i in 0..search.order.len() {
        if search.spent() || (i % HANDFUL == 0 && best.is_some()) {
            break;
        }
        let host = search.order.host(i);
        if host == from || !search.state.may_be_on(vm, host) {
            continue;
        }
        for k in 0..search.state.on(host).len() {
            let other = search.state.on(host)[k];
            if bound + bounds[other as usize] <= best.map_or(0, |best| -best.0) {
                continue;
            }
            search.evaluations += 1;
            let leave = [vm, other].map(|it| u32::from(search.state.is_home(it))).iter().sum();
            if !search.may_move(leave) {
                continue;
            }
            if let Some(delta) = search.state.swap_delta(vm, other).filter(|delta| *delta < 0) {
                let key = (delta, search.bulk[other as usize], other);
                best = Some(best.map_or(key, |best| best.min(key)));
            }
        }
    }
    best.map(|best| best.2)
}
