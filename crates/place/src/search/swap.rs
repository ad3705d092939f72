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
/// So many of the least used hosts are looked at quickly.
const HOSTS: usize = 32;
/// So many VMs of a host are looked at quickly.
const VMS: u32 = 4;

/// Exchanges of the most promising VMs with those on the least used hosts, while any brings something. Whether one did.
pub(super) fn quick(search: &mut Search<'_>) -> bool {
    all(search, VMS, HOSTS)
}

/// Exchanges while any brings something. Whether one did.
pub(super) fn pass(search: &mut Search<'_>) -> bool {
    all(search, u32::MAX, usize::MAX)
}

fn all(search: &mut Search<'_>, most_vms: u32, hosts: usize) -> bool {
    let vms = search.problem().vms.len() as u32;
    let mut bounds: Vec<i128> = Vec::with_capacity(vms as usize);
    for vm in 0..vms {
        let bound = search.bound(vm);
        bounds.push(bound);
    }
    let mut promising: Vec<u32> =
        (0..vms).filter(|vm| bounds[*vm as usize] + search.state.home_bound(*vm) > 0).collect();
    promising.sort_by_key(|vm| (Reverse(bounds[*vm as usize]), Reverse(search.bulk[*vm as usize]), *vm));
    let mut looked_at = vec![0; search.order.len()];
    let mut any = false;
    for vm in promising {
        let count = &mut looked_at[search.state.at(vm) as usize];
        *count += 1;
        if *count > most_vms {
            continue;
        }
        while !search.spent()
            && let Some(other) = best_with(search, vm, &bounds, hosts)
        {
            exchange(search, vm, other, &mut bounds);
            any = true;
        }
    }
    any
}

fn exchange(search: &mut Search<'_>, vm: u32, other: u32, bounds: &mut [i128]) {
    let mark = search.state.mark();
    let hosts = [search.state.at(vm), search.state.at(other)];
    search.shift(vm, hosts[1]);
    search.shift(other, hosts[0]);
    search.together.push(search.state.done_since(mark).collect());
    for host in hosts {
        for i in 0..search.state.on(host).len() {
            let vm = search.state.on(host)[i];
            bounds[vm as usize] = search.bound(vm);
        }
    }
}

/// With whom the VM changes places best, if it brings something.
fn best_with(search: &mut Search<'_>, vm: u32, bounds: &[i128], hosts: usize) -> Option<u32> {
    let bound = bounds[vm as usize];
    let home = search.problem().vms[vm as usize].at;
    let mut best = None;
    if !search.state.is_home(vm) {
        best_on(search, vm, bound + search.state.home_bound(vm), home, bounds, &mut best);
    }
    for i in 0..search.order.len().min(hosts) {
        if bound <= 0 || search.spent() || (i % HANDFUL == 0 && best.is_some()) {
            break;
        }
        let host = search.order.host(i);
        if host != home {
            best_on(search, vm, bound, host, bounds, &mut best);
        }
    }
    best.map(|best| best.2)
}

/// Looks at all VMs of a host; `bound` is what the VM can bring if it goes there.
fn best_on(
    search: &mut Search<'_>,
    vm: u32,
    bound: i128,
    host: u32,
    bounds: &[i128],
    best: &mut Option<(i128, u64, u32)>,
) {
    let from = search.state.at(vm);
    if host == from || bound <= 0 || !search.state.may_be_on(vm, host) {
        return;
    }
    search.evaluations += 1;
    for k in 0..search.state.on(host).len() {
        let other = search.state.on(host)[k];
        let returns = if search.problem().vms[other as usize].at == from { search.state.home_bound(other) } else { 0 };
        if bound + bounds[other as usize] + returns <= best.map_or(0, |best| -best.0) {
            continue;
        }
        search.evaluations += 1;
        let leave = [vm, other].map(|it| u32::from(search.state.is_home(it))).iter().sum();
        if !search.may_move(leave) {
            continue;
        }
        if let Some(delta) = search.state.swap_delta(vm, other).filter(|delta| *delta < 0) {
            let key = (delta, search.bulk[other as usize], other);
            *best = Some(best.map_or(key, |best| best.min(key)));
        }
    }
}
