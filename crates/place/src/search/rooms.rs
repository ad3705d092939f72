//! Room is made for what is wanted: from a host that nearly has room for one more, VMs go elsewhere until it has.
//!
//! Method: for each wanted room that is missing, hosts by how few VMs must go and what their moves cost. From a host the smallest VM goes
//! that is enough by itself; if there is none, the one that brings it nearest, and so on. All or nothing. Where that makes no more, all
//! hosts trade ([`trade`]).
//!
//! Complexity: one look at the VMs of each host for each further one that is wanted, and for each host that is tried its VMs that go ×
//! hosts.

use super::{FULL, Search, trade};
use crate::placement::Placement;
use crate::problem::WantedRoom;

/// Parts in which what is needed is counted.
const PARTS: i128 = 1 << 20;

/// Makes room while it pays. Whether any was made.
pub(super) fn pass(search: &mut Search<'_>) -> bool {
    let mut any = false;
    for (k, room) in search.problem().rooms.iter().enumerate() {
        while !search.spent() && search.state.missing(k) > 0 && room.points > 0 && make(search, k, room) {
            any = true;
        }
    }
    any || trade::pass(search)
}

fn make(search: &mut Search<'_>, k: usize, room: &WantedRoom) -> bool {
    let set = &search.problem().sets[room.allowed as usize];
    let mut hosts: Vec<(usize, i128, u32, Vec<u32>)> = Vec::new();
    for host in set.iter() {
        search.evaluations += 1;
        if let Some(vms) = who_goes(&search.state, &search.bulk, host.0, k, room) {
            let home = vms.iter().filter(|vm| search.state.is_home(**vm));
            let moves = home.map(|vm| i128::from(search.problem().vms[*vm as usize].move_cost)).sum();
            hosts.push((vms.len(), moves, host.0, vms));
        }
    }
    hosts.sort_unstable();
    hosts.into_iter().any(|(.., host, vms)| !search.spent() && attempt(search, host, vms))
}

/// Which VMs go so that one more of the room fits on the host; `None`: it never does, or nobody needs to go. Of the parts of a host the
/// one counts from which the fewest must go.
fn who_goes(state: &Placement<'_>, bulk: &[u64], host: u32, k: usize, room: &WantedRoom) -> Option<Vec<u32>> {
    let capacity = &state.problem().hosts[host as usize].capacity;
    let load = |r: usize| state.load(host)[r];
    let lack = |r: usize, wanted: i128| (r, wanted - (i128::from(capacity[r]) - load(r)));
    let one_more = i128::from(state.fits(host, k)) + 1;
    let limited = (0..room.shape.len()).filter(|r| room.shape[*r] > 0 && capacity[*r] != i64::MAX);
    let whole = limited.map(|r| lack(r, one_more * i128::from(room.shape[r])));
    let mut needs: Vec<(usize, i128)> = whole.filter(|it| it.1 > 0).collect();
    let in_parts: Vec<i128> = room.parts.iter().map(|part| i128::from(room.fits_in(*part, capacity, load))).collect();
    if room.parts.is_empty() || in_parts.iter().sum::<i128>() >= one_more {
        return who_covers(state, bulk, host, needs);
    }
    let with_part = |((r, each), fit): (&(usize, i64), &i128)| {
        needs.push(lack(*r, (fit + 1) * i128::from(*each)));
        let goes = who_covers(state, bulk, host, needs.clone());
        needs.pop();
        goes
    };
    room.parts.iter().zip(&in_parts).filter_map(with_part).min_by_key(Vec::len)
}

/// VMs that together free on the host what is needed of these resources; `None`: nobody does, or nothing is needed.
fn who_covers(state: &Placement<'_>, bulk: &[u64], host: u32, mut needs: Vec<(usize, i128)>) -> Option<Vec<u32>> {
    let problem = state.problem();
    let mut left: Vec<u32> = state.on(host).iter().copied().filter(|vm| !problem.vms[*vm as usize].stays).collect();
    let mut gone = Vec::new();
    while !needs.is_empty() {
        let covers = |vm: u32| -> i128 {
            let takes = |r: usize| i128::from(problem.vms[vm as usize].takes(r, host));
            needs.iter().map(|(r, need)| takes(*r).min(*need) * PARTS / need).sum()
        };
        let best = (0..left.len()).max_by_key(|i| {
            let vm = left[*i];
            (covers(vm), std::cmp::Reverse(bulk[vm as usize]), std::cmp::Reverse(vm))
        })?;
        if covers(left[best]) == 0 {
            return None;
        }
        let vm = left.swap_remove(best);
        for (r, need) in &mut needs {
            *need -= i128::from(problem.vms[vm as usize].takes(*r, host));
        }
        needs.retain(|it| it.1 > 0);
        gone.push(vm);
    }
    (!gone.is_empty()).then_some(gone)
}

fn attempt(search: &mut Search<'_>, host: u32, vms: Vec<u32>) -> bool {
    let (mark, before) = (search.state.mark(), search.state.total());
    for vm in vms {
        let bound = search.bound(vm);
        let Some((_, to)) = search.best(vm, bound, FULL, |_, to| to != host) else {
            return search.conclude(mark, before, false);
        };
        search.shift(vm, to);
    }
    search.conclude(mark, before, true)
}
