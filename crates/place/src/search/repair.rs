//! What is urgent comes first: VMs that should not be where they are, VMs of broken hard relations, hosts that hold more than they
//! have.
//!
//! Method: VMs by what their being there costs, then the largest first; each goes to the cheapest host that takes it, of equal ones the
//! fullest in which it fits; where none has room, another VM makes room.
//!
//! Complexity: urgent VMs × hosts, and [`super::eject`] for those that find no room.

use std::cmp::Reverse;

use super::{FULL, Search, eject};

/// Goes through all that is urgent once.
pub(super) fn run(search: &mut Search<'_>) {
    let problem = search.problem();
    let mut urgent: Vec<(Reverse<i128>, Reverse<u64>, u32)> = (0..problem.vms.len() as u32)
        .filter(|vm| !problem.vms[*vm as usize].stays)
        .filter_map(|vm| Some((Reverse(urgency(search, vm)?), Reverse(search.bulk[vm as usize]), vm)))
        .collect();
    urgent.sort_unstable();
    for (.., vm) in urgent {
        if search.spent() {
            break;
        }
        if !search.state.is_home(vm) || urgency(search, vm).is_none() {
            continue;
        }
        let bound = search.bound(vm);
        if bound + search.state.sleep_gain(vm) <= 0 {
            continue;
        }
        match search.best(vm, bound, FULL, |_, _| true) {
            Some((delta, to)) if delta < 0 => search.shift(vm, to),
            _ => {
                eject::place(search, vm);
            }
        }
    }
}

/// What is wrong with the VM's being where it is, in points; `None`: nothing.
fn urgency(search: &Search<'_>, vm: u32) -> Option<i128> {
    let (state, problem) = (&search.state, search.problem());
    let stay = i128::from(problem.vms[vm as usize].stay_cost);
    let hard = |i: &&u32| problem.relations[**i as usize].points.is_none() && state.surplus(**i as usize) > 0;
    let broken: i128 = state.relations(vm).iter().filter(hard).map(|i| problem.relations[*i as usize].price()).sum();
    (stay + broken > 0 || state.is_overfull(state.at(vm))).then_some(stay + broken)
}
