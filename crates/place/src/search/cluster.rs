//! VMs that share pages go together: all VMs of a class on one host go to another host where more of them are. Move by move nothing is
//! saved before the last one has come.
//!
//! Method: for each class and host that has VMs of it, the few hosts that share most with them: what is saved first, then by the smoothed
//! gain `Σ points · (1 − 1 / (1 + VMs there))`, which grows with each sibling. Where the target has no room, VMs of other classes
//! leave it, those first that cost least for what they take. All or nothing.
//!
//! Complexity: VMs × classes of a VM to list the groups; for each that is tried its VMs, and for each VM that leaves the target those on it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{FULL, Search};
use crate::problem::Problem;

/// So many targets are tried for each group.
const TARGETS: usize = 4;
/// A point, in the units of the smoothed gain.
const POINT: i128 = 1 << 20;

/// All VMs of a class on a host, to another one.
struct Candidate {
    class: u32,
    from: u32,
    to: u32,
}

/// Moves groups while it pays. Whether any was moved.
pub(super) fn pass(search: &mut Search<'_>) -> bool {
    if search.problem().sharing.is_none() {
        return false;
    }
    let mut any = false;
    for candidate in candidates(search) {
        if search.spent() {
            break;
        }
        any |= attempt(search, &candidate);
    }
    any
}

/// Whether shared pages are so much of what VMs take that it matters who is beside whom: a tenth.
pub(super) fn is_shared(problem: &Problem) -> bool {
    let Some(sharing) = &problem.sharing else { return false };
    let weight = |class: &u32| i128::from(sharing.classes[*class as usize].weight);
    let shared: i128 = sharing.of.iter().flatten().map(weight).sum();
    let all = |r: &usize| problem.vms.iter().map(|vm| i128::from(vm.size[*r])).sum::<i128>();
    shared > 0 && sharing.resources.iter().any(|r| 10 * shared >= all(r))
}

/// What could be moved with a gain, the greatest one first.
fn candidates(search: &mut Search<'_>) -> Vec<Candidate> {
    let state = &search.state;
    let mut groups: BTreeMap<u32, Vec<(u32, Vec<u32>)>> = BTreeMap::new();
    let mut looked_at = 0;
    for host in 0..search.order.len() as u32 {
        let mut on: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for vm in state.on(host) {
            let classes = state.classes(*vm);
            classes.iter().for_each(|class| on.entry(*class).or_default().push(*vm));
            looked_at += classes.len() as u64;
        }
        on.into_iter().for_each(|(class, vms)| groups.entry(class).or_default().push((host, vms)));
    }
    let mut found = Vec::new();
    for (class, on) in groups {
        for (from, vms) in &on {
            let costs: i128 = vms.iter().map(|vm| move_cost(search, *vm)).sum();
            let group = state.group(vms);
            let (all, alone) = (state.points_without(&group, *from), state.on(*from).len() == vms.len());
            if all <= costs && !alone {
                continue;
            }
            let mut targets = Vec::new();
            for (to, there) in on.iter().filter(|(to, _)| to != from) {
                looked_at += 1;
                if there.len() < vms.len() {
                    continue;
                }
                let saved = all - state.points_with(&group, *to);
                if saved > costs || alone {
                    targets.push((Reverse(saved - costs), Reverse(smoothed(search, vms[0], *to)), *to));
                }
            }
            targets.sort_unstable();
            let of = |(saved, _, to): (Reverse<i128>, _, u32)| (saved, class, *from, to);
            found.extend(targets.into_iter().take(TARGETS).map(of));
        }
    }
    search.evaluations += looked_at;
    found.sort_unstable();
    found.into_iter().map(|(_, class, from, to)| Candidate { class, from, to }).collect()
}

fn move_cost(search: &Search<'_>, vm: u32) -> i128 {
    if search.state.is_home(vm) { i128::from(search.problem().vms[vm as usize].move_cost) } else { 0 }
}

/// How much a VM shares with those on the host, more with each of them.
fn smoothed(search: &Search<'_>, vm: u32, host: u32) -> i128 {
    let of = |class: &u32| {
        let count = i128::from(search.state.having(*class, host));
        search.state.class_points(*class).saturating_mul(POINT) * count / (1 + count)
    };
    search.state.classes(vm).iter().map(of).sum()
}

fn attempt(search: &mut Search<'_>, it: &Candidate) -> bool {
    let has = |search: &Search<'_>, vm: u32| search.state.classes(vm).binary_search(&it.class).is_ok();
    let mut group: Vec<u32> = search.state.on(it.from).iter().copied().filter(|vm| has(search, *vm)).collect();
    group.sort_unstable();
    let may = |vm: &u32| !search.problem().vms[*vm as usize].stays && search.state.may_be_on(*vm, it.to);
    if group.is_empty() || !group.iter().all(may) {
        return false;
    }
    let (mark, before) = (search.state.mark(), search.state.total());
    search.evaluations += group.len() as u64;
    group.iter().for_each(|vm| search.shift(*vm, it.to));
    while search.state.cramped(it.to).is_some() {
        let Some((vm, to)) = who_leaves(search, it) else { return search.conclude(mark, before, false) };
        search.shift(vm, to);
    }
    let moved: Vec<u32> = search.state.done_since(mark).collect();
    let sound = search.may_move(0) && moved.iter().all(|vm| search.state.is_sound_at(*vm));
    search.conclude(mark, before, sound)
}

/// Who makes room on the target: the one whose way back to the source costs least for what it takes; if there none has room, the
/// smallest, to wherever it costs least.
fn who_leaves(search: &mut Search<'_>, it: &Candidate) -> Option<(u32, u32)> {
    let on: Vec<u32> = search.state.on(it.to).to_vec();
    let mut best: Option<(i128, u64, u32)> = None;
    for vm in on.iter().copied() {
        if search.problem().vms[vm as usize].stays || search.state.classes(vm).binary_search(&it.class).is_ok() {
            continue;
        }
        let bulk = search.bulk[vm as usize].max(1);
        if let Some(delta) = search.weigh(vm, it.from) {
            let key = (delta.saturating_mul(POINT) / i128::from(bulk), bulk, vm);
            best = Some(best.map_or(key, |best| best.min(key)));
        }
    }
    if let Some((.., vm)) = best {
        return Some((vm, it.from));
    }
    let others = on.into_iter().filter(|vm| search.state.classes(*vm).binary_search(&it.class).is_err());
    let vm = others.min_by_key(|vm| (search.bulk[*vm as usize], *vm))?;
    let bound = search.bound(vm);
    let (_, to) = search.best(vm, bound, FULL, |_, host| host != it.to)?;
    Some((vm, to))
}
