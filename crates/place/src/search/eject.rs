//! One VM makes room for another: it goes to a third host, and the other takes its place.
//!
//! Method: VMs that could bring something, the most promising first; for each target that the VM may go to but that has no room, the
//! smallest few VMs that would make room are tried. The first chain that lowers the cost is kept.
//!
//! Complexity: promising VMs × targets × a few × hosts at most; both the promising VMs and the targets are limited.

use std::cmp::Reverse;

use super::{Aim, Prefer, Search};

/// So many VMs are looked at in a pass.
const VMS: usize = 32;
/// So many targets are looked at for each.
const TARGETS: usize = 32;
/// So many VMs are tried on each target.
const TRIED: usize = 3;
/// Where the one that makes room goes: the fullest few hosts that take it are compared.
const AIM: Aim = Aim { prefer: Prefer::Full, reach: 32 };

/// Whether any chain was made.
pub(super) fn pass(search: &mut Search<'_>) -> bool {
    let mut promising: Vec<(Reverse<i128>, Reverse<u64>, u32)> = Vec::new();
    for vm in 0..search.problem().vms.len() as u32 {
        let bound = search.bound(vm);
        if bound > 0 {
            promising.push((Reverse(bound), Reverse(search.bulk[vm as usize]), vm));
        }
    }
    promising.sort_unstable();
    promising.truncate(VMS);
    promising.into_iter().fold(false, |any, (.., vm)| (!search.spent() && place(search, vm)) || any)
}

/// Moves the VM to a host where another one makes room for it, if that lowers the cost.
pub(super) fn place(search: &mut Search<'_>, vm: u32) -> bool {
    let (from, bound) = (search.state.at(vm), search.bound(vm));
    if bound <= 0 {
        return false;
    }
    let hosts: Vec<u32> = (0..search.order.len()).map(|i| search.order.host(i)).collect();
    let targets = hosts.into_iter().filter(|host| *host != from && search.state.may_be_on(vm, *host));
    let targets: Vec<u32> = targets.collect();
    let mut looked_at = 0;
    for to in targets {
        if search.spent() || looked_at == TARGETS {
            break;
        }
        let others = who_makes_room(search, vm, to);
        looked_at += usize::from(!others.is_empty());
        for other in others {
            if attempt(search, vm, to, other, bound) {
                return true;
            }
        }
    }
    false
}

/// The smallest VMs on the host that would make room.
fn who_makes_room(search: &mut Search<'_>, vm: u32, to: u32) -> Vec<u32> {
    let state = &search.state;
    let fits = |it: &u32| !search.problem().vms[*it as usize].stays && state.has_room(vm, to, Some(*it));
    let mut others: Vec<u32> = state.on(to).iter().copied().filter(fits).collect();
    others.sort_by_key(|it| (search.bulk[*it as usize], *it));
    others.truncate(TRIED);
    search.evaluations += state.on(to).len() as u64;
    others
}

fn attempt(search: &mut Search<'_>, vm: u32, to: u32, other: u32, bound: i128) -> bool {
    let least = search.bound(other);
    if bound + least + search.state.home_bound(other) + search.state.sleep_gain(vm) <= 0 {
        return false;
    }
    let from = search.state.at(vm);
    let Some((_, third)) = search.best(other, least, AIM, |_, host| host != from) else { return false };
    let (mark, before) = (search.state.mark(), search.state.total());
    search.shift(other, third);
    let fits = search.weigh(vm, to).is_some();
    if fits {
        search.shift(vm, to);
    }
    search.conclude(mark, before, fits)
}
