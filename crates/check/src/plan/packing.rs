//! Whether VMs have room in what is free on some hosts: memory and virtual CPUs, each VM on one host.
//!
//! The largest first, each where it has room first; if that does not do, all ways are tried, but not more than so many times.

/// Memory and virtual CPUs.
pub(super) type Size = [u128; 2];

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packed {
    /// There is room.
    Fits,
    /// There is none: all ways were tried.
    FitsNot,
    /// Nobody knows: too many ways.
    Unknown,
}

/// So many times a VM is put somewhere before it is given up: enough for a host's VMs on a few others.
const TRIES: u32 = 20_000;

/// Whether the VMs have room.
pub(super) fn pack(mut vms: Vec<Size>, mut free: Vec<Size>) -> Packed {
    vms.sort_unstable_by(|a, b| b.cmp(a));
    let total = |sizes: &[Size], r: usize| sizes.iter().map(|size| size[r]).sum::<u128>();
    if (0..2).any(|r| total(&vms, r) > total(&free, r)) {
        return Packed::FitsNot;
    }
    if first_fit(&vms, free.clone()) {
        return Packed::Fits;
    }
    // What none of the VMs has room on is of no use.
    free.retain(|free| vms.iter().any(|vm| fits(vm, free)));
    let mut tries = TRIES;
    match search(&vms, &mut free, &mut tries) {
        Some(true) => Packed::Fits,
        Some(false) => Packed::FitsNot,
        None => Packed::Unknown,
    }
}

fn fits(vm: &Size, free: &Size) -> bool {
    vm[0] <= free[0] && vm[1] <= free[1]
}

fn first_fit(vms: &[Size], mut free: Vec<Size>) -> bool {
    vms.iter().all(|vm| {
        let Some(host) = free.iter_mut().find(|free| fits(vm, free)) else { return false };
        (0..2).for_each(|r| host[r] -= vm[r]);
        true
    })
}

/// `None`: there were not enough tries.
fn search(vms: &[Size], free: &mut Vec<Size>, tries: &mut u32) -> Option<bool> {
    let Some((vm, rest)) = vms.split_first() else { return Some(true) };
    for h in 0..free.len() {
        // Where it is as on a host that was tried already, it is not tried again.
        if !fits(vm, &free[h]) || free[..h].contains(&free[h]) {
            continue;
        }
        *tries = tries.checked_sub(1)?;
        (0..2).for_each(|r| free[h][r] -= vm[r]);
        let found = search(rest, free, tries);
        (0..2).for_each(|r| free[h][r] += vm[r]);
        if found != Some(false) {
            return found;
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_at_first_is_tried_in_all_ways() {
        let memory = |sizes: &[u128]| sizes.iter().map(|size| [*size, 1]).collect::<Vec<Size>>();
        let free = |sizes: &[u128]| sizes.iter().map(|size| [*size, 9]).collect::<Vec<Size>>();
        assert_eq!(pack(memory(&[5, 3, 2]), free(&[10])), Packed::Fits);
        // The largest first: 3 and 3, then 2, 2 and 2, and no room for the last 2.
        assert!(!first_fit(&memory(&[3, 3, 2, 2, 2, 2]), free(&[7, 7])));
        assert_eq!(pack(memory(&[3, 3, 2, 2, 2, 2]), free(&[7, 7])), Packed::Fits);
        assert_eq!(pack(memory(&[5, 5, 4]), free(&[7, 7])), Packed::FitsNot);
        assert_eq!(pack(vec![[1, 4], [1, 4], [1, 4]], vec![[9, 7], [9, 5]]), Packed::FitsNot, "vCPUs count too");
        assert_eq!(pack(vec![], vec![]), Packed::Fits);
    }
}
