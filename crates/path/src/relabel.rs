//! When only shapes matter: interchangeable VMs take the cheapest targets.
//!
//! B says how many VMs of each shape are to be on each host; who is who does not matter to the caller. VMs are interchangeable when
//! they ask the same, can all move, and are named together by every rule. Of each such class as many stay on a host as B wants there
//! (those that are dearest to move); the others are assigned to the places that are left so that the sum of costs is least
//! (exactly up to [`EXACT`] VMs of a class, greedily beyond; when cost depends on the VM alone every assignment is equally good).

use std::collections::BTreeMap;

use ulm_model::{Power, Task, TaskRuleKind};

use crate::cost::MoveCost;

/// Up to so many VMs are assigned exactly, in cubic time.
const EXACT: usize = 300;

/// The task with B relabelled: as many VMs of each shape on each host as before, and the fewest and cheapest moves. Whatever B kept
/// is still kept.
pub fn relabel(task: &Task, cost: &dyn MoveCost) -> Task {
    let mut relabelled = task.clone();
    for vms in classes(task) {
        let (movers, places) = keep_at_home(task, &mut relabelled, &vms, cost);
        let price = |vm: u32, to: u32| cost.cost(task, vm, task.vms[vm as usize].from, to);
        let places = match (cost.by_vm_alone(), movers.len() <= EXACT) {
            (true, _) => places,
            (false, true) => assigned(&movers, &places, &price),
            (false, false) => taken_in_turn(&movers, places, &price),
        };
        movers.iter().zip(places).for_each(|(vm, to)| relabelled.vms[*vm as usize].to = to);
    }
    relabelled
}

/// Classes of interchangeable VMs of which one at least is to move.
fn classes(task: &Task) -> Vec<Vec<u32>> {
    let mut named: Vec<Vec<u32>> = vec![Vec::new(); task.vms.len()];
    // Rules that look at where a VM comes from, or at its companions, are about this VM and no other.
    let mut alone = vec![false; task.vms.len()];
    for (number, rule) in task.rules.iter().enumerate() {
        match &rule.kind {
            TaskRuleKind::AtMost { vms, .. } | TaskRuleKind::Only { vms, .. } | TaskRuleKind::Never { vms, .. } => {
                vms.iter().for_each(|vm| named[*vm as usize].push(number as u32));
            }
            TaskRuleKind::Together { vms } | TaskRuleKind::OneWay { vms, .. } => {
                vms.iter().for_each(|vm| alone[*vm as usize] = true);
            }
        }
    }
    let mut classes: BTreeMap<(&[u64], &[u32]), Vec<u32>> = BTreeMap::new();
    for (v, vm) in task.vms.iter().enumerate().filter(|(v, vm)| !vm.stays && !alone[*v]) {
        classes.entry((&vm.size, &named[v])).or_default().push(v as u32);
    }
    let moves = |vms: &Vec<u32>| vms.iter().any(|vm| task.vms[*vm as usize].from != task.vms[*vm as usize].to);
    classes.into_values().filter(moves).collect()
}

/// Keeps on each host as many as B wants there; gives those that must move, and the places for them.
fn keep_at_home(task: &Task, relabelled: &mut Task, vms: &[u32], cost: &dyn MoveCost) -> (Vec<u32>, Vec<u32>) {
    let mut wanted: BTreeMap<u32, usize> = BTreeMap::new();
    vms.iter().for_each(|vm| *wanted.entry(task.vms[*vm as usize].to).or_default() += 1);
    let mut dearest = vms.to_vec();
    dearest.sort_by_key(|vm| (std::cmp::Reverse(cost.least(task, *vm)), *vm));
    let mut movers = Vec::new();
    for vm in dearest {
        let home = task.vms[vm as usize].from;
        let off = matches!(task.hosts[home as usize].power, Power::Off | Power::SwitchOff { .. });
        match wanted.get_mut(&home) {
            Some(left) if *left > 0 && !off => {
                *left -= 1;
                relabelled.vms[vm as usize].to = home;
            }
            _ => movers.push(vm),
        }
    }
    movers.sort_unstable();
    let places = wanted.into_iter().flat_map(|(host, left)| std::iter::repeat_n(host, left)).collect();
    (movers, places)
}

/// For each VM one of the places so that the sum of prices is least (the Hungarian method with potentials).
fn assigned(vms: &[u32], places: &[u32], price: &dyn Fn(u32, u32) -> u64) -> Vec<u32> {
    let n = vms.len();
    let price = |row: usize, column: usize| i128::from(price(vms[row - 1], places[column - 1]));
    // Rows and columns count from 1; column 0 holds the row that looks for a column.
    let (mut of_row, mut of_column) = (vec![0i128; n + 1], vec![0i128; n + 1]);
    let (mut row_in, mut way) = (vec![0usize; n + 1], vec![0usize; n + 1]);
    for row in 1..=n {
        row_in[0] = row;
        let (mut column, mut least, mut used) = (0, vec![i128::MAX; n + 1], vec![false; n + 1]);
        while row_in[column] != 0 {
            used[column] = true;
            let (current, mut delta, mut next) = (row_in[column], i128::MAX, 0);
            for other in 1..=n {
                if used[other] {
                    continue;
                }
                let reduced = price(current, other) - of_row[current] - of_column[other];
                if reduced < least[other] {
                    (least[other], way[other]) = (reduced, column);
                }
                if least[other] < delta {
                    (delta, next) = (least[other], other);
                }
            }
            for other in 0..=n {
                if used[other] {
                    of_row[row_in[other]] += delta;
                    of_column[other] -= delta;
                } else if least[other] != i128::MAX {
                    least[other] -= delta;
                }
            }
            column = next;
        }
        while column != 0 {
            row_in[column] = row_in[way[column]];
            column = way[column];
        }
    }
    let mut chosen = vec![0; n];
    (1..=n).for_each(|column| chosen[row_in[column] - 1] = places[column - 1]);
    chosen
}

/// For each VM the cheapest place that is left, those with the most to lose first.
fn taken_in_turn(vms: &[u32], mut places: Vec<u32>, price: &dyn Fn(u32, u32) -> u64) -> Vec<u32> {
    vms.iter()
        .map(|vm| {
            let best = (0..places.len()).min_by_key(|i| (price(*vm, places[*i]), places[*i])).unwrap_or(0);
            places.swap_remove(best)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_the_cheapest_of_all() {
        for seed in 1..200u64 {
            let n = 1 + (seed % 6) as usize;
            let price = |vm: u32, to: u32| crate::mixed::mixed(seed * 1000 + u64::from(vm * 10 + to)) % 20;
            let vms: Vec<u32> = (0..n as u32).collect();
            let chosen = assigned(&vms, &vms, &price);
            let sum = |places: &[u32]| vms.iter().zip(places).map(|(vm, to)| price(*vm, *to)).sum::<u64>();
            assert_eq!(sum(&chosen), least(&vms, &mut vms.clone(), 0, &sum), "seed {seed}");
            let mut sorted = chosen;
            sorted.sort_unstable();
            assert_eq!(sorted, vms, "each place is taken once");
        }
    }

    fn least(vms: &[u32], places: &mut Vec<u32>, fixed: usize, sum: &dyn Fn(&[u32]) -> u64) -> u64 {
        if fixed == vms.len() {
            return sum(places);
        }
        let mut best = u64::MAX;
        for i in fixed..vms.len() {
            places.swap(fixed, i);
            best = best.min(least(vms, places, fixed + 1, sum));
            places.swap(fixed, i);
        }
        best
    }
}
