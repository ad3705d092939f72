//! Whether some VMs fit together on some hosts.
//!
//! Properties: a yes is right. A no is right when the sums say so, and for up to [`FEW`] VMs unless [`EFFORT`] is spent.
//!
//! Abstraction: VMs and what is free on hosts are pairs of numbers, memory and virtual CPUs.
//!
//! Method, from cheap to dear: (a) sums: what is asked for in all is free in all; (b) if every VM were as large as the largest memory and
//! the most CPUs among them, so many would fit on each host: enough of that is a yes; (c) the largest first, each where least is left,
//! once by memory and once by CPUs; (d) for few VMs every way, alike hosts tried once.
//!
//! Complexity: (a, b) hosts, (c) VMs times hosts, (d) at most [`EFFORT`] comparisons.

use ulm_model::Vm;

/// Up to so many VMs every way is tried: beyond that it would hardly ever come to an end.
pub const FEW: usize = 12;

/// So many comparisons are made for every way of one question: a fraction of a millisecond, as each of a thousand hosts may ask.
pub const EFFORT: u32 = 100_000;

/// Memory in bytes and virtual CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// Memory.
    pub memory: u64,
    /// Virtual CPUs.
    pub vcpus: u64,
}

impl Size {
    /// What the VM takes.
    pub fn of(vm: &Vm) -> Self {
        Size { memory: vm.memory.0, vcpus: u64::from(vm.vcpus) }
    }
    /// All of them together.
    pub fn sum(sizes: impl Iterator<Item = Size>) -> Self {
        sizes.fold(Size::default(), |a, b| Size {
            memory: a.memory.saturating_add(b.memory),
            vcpus: a.vcpus.saturating_add(b.vcpus),
        })
    }
    /// What is left; `None`: not so much is there.
    pub fn minus(self, other: Size) -> Option<Size> {
        let memory = self.memory.checked_sub(other.memory)?;
        Some(Size { memory, vcpus: self.vcpus.checked_sub(other.vcpus)? })
    }
}

/// Whether all the VMs fit at once on hosts with so much free, of which one may be left out. Sorts the VMs.
pub fn exists(vms: &mut [Size], free: &[Size], without: Option<usize>) -> bool {
    if vms.is_empty() {
        return true;
    }
    let hosts = || free.iter().enumerate().filter(move |(i, _)| Some(*i) != without).map(|(_, size)| *size);
    if all_alike_fit(vms, hosts()) {
        return true;
    }
    if !sums_suffice(vms, hosts()) {
        return false;
    }
    for first in [by_memory, by_vcpus] {
        vms.sort_by_key(|size| std::cmp::Reverse(first(size)));
        if best_fit(vms, hosts().collect(), first) {
            return true;
        }
    }
    vms.len() <= FEW && {
        vms.sort_by_key(|size| std::cmp::Reverse(by_memory(size)));
        let mut effort = EFFORT;
        every_way(vms, &mut hosts().collect::<Vec<_>>(), &mut effort)
    }
}

fn by_memory(size: &Size) -> (u64, u64) {
    (size.memory, size.vcpus)
}

fn by_vcpus(size: &Size) -> (u64, u64) {
    (size.vcpus, size.memory)
}

fn sums_suffice(vms: &[Size], hosts: impl Iterator<Item = Size> + Clone) -> bool {
    let total = |sizes: &mut dyn Iterator<Item = Size>| {
        sizes.fold((0u128, 0u128), |sum, size| (sum.0 + u128::from(size.memory), sum.1 + u128::from(size.vcpus)))
    };
    let (needed, there) = (total(&mut vms.iter().copied()), total(&mut hosts.clone()));
    needed.0 <= there.0 && needed.1 <= there.1
}

/// Whether they fit even if all were as large as the largest.
fn all_alike_fit(vms: &[Size], hosts: impl Iterator<Item = Size>) -> bool {
    let largest = |of: fn(&Size) -> u64| vms.iter().map(of).max().unwrap_or(0);
    let (memory, vcpus) = (largest(|size| size.memory), largest(|size| size.vcpus));
    let mut missing = vms.len() as u64;
    for host in hosts {
        let by = |free: u64, each: u64| free.checked_div(each).unwrap_or(u64::MAX);
        missing = missing.saturating_sub(by(host.memory, memory).min(by(host.vcpus, vcpus)));
        if missing == 0 {
            return true;
        }
    }
    false
}

/// The VMs in this order, each on the host where least is left, in the sense of `first`.
fn best_fit(vms: &[Size], mut free: Vec<Size>, first: fn(&Size) -> (u64, u64)) -> bool {
    vms.iter().all(|vm| {
        let left = free.iter().enumerate().filter_map(|(i, host)| Some((first(&host.minus(*vm)?), i)));
        let best = left.min();
        if let Some((_, at)) = best
            && let Some(left) = free[at].minus(*vm)
        {
            free[at] = left;
        }
        best.is_some()
    })
}

fn every_way(vms: &[Size], free: &mut Vec<Size>, effort: &mut u32) -> bool {
    let Some((vm, rest)) = vms.split_first() else { return true };
    let mut tried: Vec<Size> = Vec::new();
    for at in 0..free.len() {
        let before = free[at];
        let left = before.minus(*vm);
        let comparisons = 1 + if left.is_some() { tried.len() as u32 } else { 0 };
        let Some(remaining) = effort.checked_sub(comparisons) else { return false };
        *effort = remaining;
        let Some(left) = left.filter(|_| !tried.contains(&before)) else { continue };
        tried.push(before);
        free[at] = left;
        if every_way(rest, free, effort) {
            return true;
        }
        free[at] = before;
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sizes(list: &[(u64, u64)]) -> Vec<Size> {
        list.iter().map(|(memory, vcpus)| Size { memory: *memory, vcpus: *vcpus }).collect()
    }

    #[test]
    fn what_the_greedy_way_does_not_find_is_found_by_trying_every_way() {
        // Best fit puts 5 and 4 on the host with 9, and then there is no place for the other 5 with 3 and 2; 5+5 and 4+3+2 fill both.
        let mut vms = sizes(&[(5, 0), (5, 0), (4, 0), (3, 0), (2, 0)]);
        assert!(exists(&mut vms, &sizes(&[(10, 0), (9, 0)]), None));
        assert!(!exists(&mut vms, &sizes(&[(10, 0), (9, 0)]), Some(1)));
    }

    /// Every assignment, straight and slow.
    fn by_definition(vms: &[Size], free: &[Size]) -> bool {
        let ways = (free.len() as u32).pow(vms.len() as u32);
        (0..ways).any(|way| {
            let mut left = way;
            let mut taken = vec![(0, 0); free.len()];
            for vm in vms {
                let at = left as usize % free.len();
                left /= free.len() as u32;
                taken[at] = (taken[at].0 + vm.memory, taken[at].1 + vm.vcpus);
            }
            taken.iter().zip(free).all(|(taken, free)| taken.0 <= free.memory && taken.1 <= free.vcpus)
        })
    }

    proptest! {
        #[test]
        fn the_answer_is_that_of_trying_everything(
            vms in proptest::collection::vec((0u64..6, 0u64..5), 0..7),
            free in proptest::collection::vec((0u64..11, 0u64..9), 1..4),
            without in proptest::option::of(0usize..4),
        ) {
            let (mut vms, free) = (sizes(&vms), sizes(&free));
            let mut left = free.clone();
            if let Some(without) = without.filter(|i| *i < free.len()) {
                left.remove(without);
            }
            let expected = vms.is_empty() || by_definition(&vms, &left);
            prop_assert_eq!(exists(&mut vms, &free, without), expected);
        }
    }
}
