//! What is left for one more VM in a host's NUMA cells: the count behind [`crate::pages`] and [`crate::cells`].
//!
//! VMs *meet* if they may take of the same memory: both in huge pages of one size, or both in ordinary ones and bound to cells; and of
//! one of the same cells, where a VM that is bound to none may take of any. Left for a VM that comes is what is free in its cells less
//! what is on its way and meets it; and not more than what those that it meets can spare of theirs, as it may come to lie just there.

use std::collections::BTreeSet;

use ulm_model::{Bytes, Host, Needs, Vm};

use crate::{cells, memory_used, pages};

/// Whether it matters in which cells the VM comes to lie.
pub fn is_bound(needs: &Needs) -> bool {
    needs.pages.is_some() || !needs.cells.is_empty()
}

/// What the VM takes of cells: its size in huge pages, and what it holds in ordinary ones.
pub fn takes(vm: &Vm) -> Bytes {
    let huge = vm.needs.as_ref().is_some_and(|needs| needs.pages.is_some());
    if huge { vm.memory } else { memory_used::held(vm) }
}

/// What is free now in these cells, or in all if none are named: in huge pages of a size, or in ordinary ones.
pub fn free(host: &Host, cells: &BTreeSet<u32>, pages: Option<Bytes>) -> Bytes {
    match pages {
        Some(size) => pages::free(host, cells, size),
        None => cells::free(host, cells),
    }
}

/// What is left of it for one more; `arriving` are the VMs on their way to the host.
pub fn left<'v>(host: &Host, needs: &Needs, arriving: impl Iterator<Item = &'v Vm> + Clone) -> Bytes {
    let all = arriving.filter_map(|vm| Some((vm.needs.as_ref()?, takes(vm))));
    let spared_by = |one: &Needs| {
        let taken = all.clone().filter(|(other, _)| meet(one, other)).map(|(_, takes)| takes).sum();
        free(host, &one.cells, one.pages).saturating_sub(taken)
    };
    let met = all.clone().filter(|(other, _)| meet(needs, other));
    met.map(|(other, _)| spared_by(other)).min().unwrap_or(Bytes(u64::MAX)).min(spared_by(needs))
}

/// Whether VMs with these needs may take of the same memory.
fn meet(one: &Needs, other: &Needs) -> bool {
    let bound = is_bound(one) && is_bound(other);
    let same = one.cells.is_empty() || other.cells.is_empty() || !one.cells.is_disjoint(&other.cells);
    bound && one.pages == other.pages && same
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cell, host, vm};

    fn bound(cells: &[u32], pages: Option<Bytes>) -> Vm {
        let mut vm = vm(1, 0);
        let needs = vm.needs.as_mut().unwrap();
        (needs.cells, needs.pages) = (cells.iter().copied().collect(), pages);
        vm
    }

    #[test]
    fn only_what_may_take_of_the_same_memory_is_deducted() {
        let size = Some(Bytes::mib(2));
        let pages = &[(Bytes::mib(2), 10)];
        let host = Host { cells: vec![cell(0, 20, pages), cell(1, 20, pages)], ..host("a") };
        let left = |one: &Vm, others: &[Vm]| super::left(&host, one.needs.as_ref().unwrap(), others.iter()).0 >> 30;
        let ordinary = bound(&[0], None);
        assert_eq!(left(&ordinary, &[]), 20);
        assert_eq!(left(&ordinary, &[bound(&[0, 1], None), bound(&[1], None), vm(2, 0)]), 17, "3 GiB are held");
        assert_eq!(left(&ordinary, &[bound(&[0], size)]), 20, "pages are another matter");
        assert_eq!(left(&bound(&[0], size), &[bound(&[], size), bound(&[1], size)]), 6, "4 GiB is the size");
    }

    #[test]
    fn one_that_may_lie_anywhere_leaves_room_for_one_that_is_bound() {
        let size = Some(Bytes::mib(2));
        let pages = &[(Bytes::mib(2), 10)];
        let host = Host { cells: vec![cell(0, 20, pages), cell(1, 20, pages)], ..host("a") };
        let anywhere = bound(&[], size);
        let left = super::left(&host, anywhere.needs.as_ref().unwrap(), [&bound(&[0], size)].into_iter());
        assert_eq!(left, Bytes::gib(6), "of the 16 GiB that are free only 6 can be taken of any cell");
    }
}
