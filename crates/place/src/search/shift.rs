//! One VM goes elsewhere.
//!
//! Method: hosts by what a VM of theirs could bring at most, greatest first; from each the best moves one after the other while there
//! is one. Of moves that bring the same the smallest VM goes, as it needs least room and is moved soonest.
//!
//! Complexity: one look at each VM, and for those that could bring something at most all hosts.

use std::cmp::Reverse;

use super::{Aim, QUICK, SPARE, Search};

/// So many VMs of a host are looked at quickly.
const VMS: usize = 8;

/// Moves of the most promising VMs to the least used hosts, while any brings something. Whether one did.
pub(super) fn quick(search: &mut Search<'_>) -> bool {
    all(search, VMS, QUICK)
}

/// Moves while any brings something. Whether one did.
pub(super) fn pass(search: &mut Search<'_>) -> bool {
    all(search, usize::MAX, SPARE)
}

fn all(search: &mut Search<'_>, vms: usize, aim: Aim) -> bool {
    let hosts = hosts_by_promise(search);
    let mut any = false;
    for host in hosts {
        while !search.spent()
            && let Some((vm, to)) = best_from(search, host, vms, aim)
        {
            search.shift(vm, to);
            any = true;
        }
    }
    any
}

/// Hosts from which a move could bring something, the most promising one first.
fn hosts_by_promise(search: &mut Search<'_>) -> Vec<u32> {
    let mut hosts = Vec::new();
    for host in 0..search.order.len() as u32 {
        let mut most = 0;
        for i in 0..search.state.on(host).len() {
            let vm = search.state.on(host)[i];
            most = most.max(promise(search, vm)).max(-search.weigh_home(vm).unwrap_or(0));
        }
        if most > 0 {
            hosts.push((Reverse(most), Reverse(search.order.used(host)), host));
        }
    }
    hosts.sort_unstable();
    hosts.into_iter().map(|it| it.2).collect()
}

/// The most that a move of the VM can bring, if it does not go home.
fn promise(search: &mut Search<'_>, vm: u32) -> i128 {
    let bound = search.bound(vm);
    if search.problem().vms[vm as usize].stays { 0 } else { bound + search.state.sleep_gain(vm) }
}

fn best_from(search: &mut Search<'_>, host: u32, most_vms: usize, aim: Aim) -> Option<(u32, u32)> {
    let mut best: Option<(i128, u64, u32, u32)> = None;
    let mut vms: Vec<(i128, u64, u32)> = Vec::new();
    for i in 0..search.state.on(host).len() {
        let vm = search.state.on(host)[i];
        let (most, bulk) = (promise(search, vm), search.bulk[vm as usize]);
        if most > 0 {
            vms.push((-most, bulk, vm));
        }
        if let Some(delta) = search.weigh_home(vm).filter(|delta| *delta < 0) {
            let home = (delta, bulk, vm, search.problem().vms[vm as usize].at);
            best = Some(best.map_or(home, |best| best.min(home)));
        }
    }
    vms.sort_unstable();
    vms.truncate(most_vms);
    for (least, bulk, vm) in vms {
        if best.is_some_and(|best| best.0 <= least) || search.spent() {
            break;
        }
        if let Some((delta, to)) = search.best(vm, -least, aim, |_, _| true)
            && delta < best.map_or(0, |best| best.0)
        {
            best = Some((delta, bulk, vm, to));
        }
    }
    best.map(|(_, _, vm, to)| (vm, to))
}

/// VMs whose move brings nothing go home. Whether any went.
pub(super) fn home(search: &mut Search<'_>) -> bool {
    let mut any = false;
    for vm in 0..search.problem().vms.len() as u32 {
        if search.state.is_home(vm) || search.spent() {
            continue;
        }
        let home = search.problem().vms[vm as usize].at;
        if search.weigh(vm, home).is_some_and(|delta| delta <= 0) {
            search.shift(vm, home);
            any = true;
        }
    }
    any
}
