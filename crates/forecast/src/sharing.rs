//! How far the stated weights of sharing groups are to be believed, learned from what hosts count of merged pages.
//!
//! Each host that merges is one observation of each group that it has VMs of: what the group's tree says that is saved there,
//! against what the host counts. The counter is of all groups together, so of one host only this much is certain of a group:
//! what is left of the counter when all other groups save all that they are said to. What hosts without any predicted saving
//! save for each byte of their VMs (pages that a guest has twice, VMs in no group) is taken off before.
//!
//! The *sure* part is the mean of these lower bounds over the hosts, each with the weight of its prediction, less twice the
//! standard error of that mean, and never more than the whole. What is known before ([`SharingGroup::trust`]) counts as one
//! more host of middle weight: a few hosts that agree are not yet a reason for trust. The *likely* part is the same mean of what
//! hosts count for what is predicted on them, without the rest.
//!
//! Hosts that VMs are just moved from or to say nothing, and neither do those that have not scanned twice.
//!
//! Where this is weak: groups that are on all hosts in the same mixture cannot be told apart, and then both get the lower bound of
//! what is certain, which may be nothing; and merging of other kinds is not seen where every host has a predicted saving.
//!
//! Complexity: hosts × groups, and one look at every class of every VM.

use std::collections::BTreeSet;

use ulm_model::{Bytes, HostIx, Share, Sharing, SharingClass, SharingGroup, Snapshot, Trust, VmIx};

/// What one host shows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Observation {
    /// By group.
    predicted: Vec<Bytes>,
    /// What it counts.
    saved: Bytes,
    /// Memory of its VMs.
    memory: Bytes,
}

/// Standard errors that the lower bound is below the mean.
const DEVIATIONS: u128 = 2;

/// Learns from one round of observation how far each group is to be believed, and says so in it. By group the number of hosts from which
/// that was learned. `belongs` says for each VM the first group that selects it.
pub fn believe(
    snapshot: &Snapshot,
    groups: &mut [SharingGroup],
    belongs: impl Fn(&Snapshot, &[SharingGroup]) -> Vec<Option<usize>>,
) -> Vec<u32> {
    if groups.is_empty() {
        return Vec::new();
    }
    let mut seen = observations(snapshot, groups.len(), &Sharing::of(snapshot, groups, belongs));
    take_off_the_rest(&mut seen);
    let of = |(at, group): (usize, &mut SharingGroup)| {
        let (trust, hosts) = of_group(&seen, at, group.trust.sure);
        group.trust = trust;
        hosts
    };
    groups.iter_mut().enumerate().map(of).collect()
}

/// What a set of VMs saves on one host by the weights of each group, which `weight` says of a class.
pub fn predicted(
    sharing: &Sharing,
    groups: usize,
    vms: &[VmIx],
    weight: impl Fn(&SharingClass) -> Bytes,
) -> Vec<Bytes> {
    let mut saved = vec![Bytes(0); groups];
    for (class, copies) in sharing.spared(vms.iter().copied()) {
        saved[class.group] += Bytes(weight(class).0.saturating_mul(copies));
    }
    saved
}

fn observations(snapshot: &Snapshot, groups: usize, sharing: &Sharing) -> Vec<Observation> {
    let ends = |flight: &ulm_model::InFlight| [Some(flight.from), flight.to].into_iter().flatten();
    let moving: BTreeSet<HostIx> = snapshot.in_flight.iter().flat_map(ends).collect();
    let on = snapshot.by_host();
    let settled = snapshot.hosts_ix().filter(|(ix, host)| host.merges() && !moving.contains(ix));
    settled
        .filter_map(|(ix, host)| {
            let vms = &on[ix.at()];
            let memory = vms.iter().map(|vm| snapshot.vm(*vm).memory).sum();
            let predicted = predicted(sharing, groups, vms, |class| class.weight);
            Some(Observation { predicted, saved: host.merging?.saved, memory })
        })
        .collect()
}

/// Takes off what hosts save for each byte of their VMs that no group predicts.
fn take_off_the_rest(seen: &mut [Observation]) {
    let silent = || seen.iter().filter(|host| host.predicted.iter().all(|bytes| *bytes == Bytes(0)));
    let (saved, memory): (Bytes, Bytes) =
        (silent().map(|host| host.saved).sum(), silent().map(|host| host.memory).sum());
    if memory == Bytes(0) {
        return;
    }
    for host in seen {
        let rest = u128::from(host.memory.0) * u128::from(saved.0) / u128::from(memory.0);
        host.saved = host.saved.saturating_sub(Bytes(u64::try_from(rest).unwrap_or(u64::MAX)));
    }
}

/// How far the group is to be believed, and the number of hosts that say so.
fn of_group(seen: &[Observation], group: usize, before: Share) -> (Trust, u32) {
    let showing: Vec<&Observation> = seen.iter().filter(|host| host.predicted[group] > Bytes(0)).collect();
    if showing.is_empty() {
        return (Trust::stated(before.min(Share::WHOLE)), 0);
    }
    let all = |host: &Observation| host.predicted.iter().copied().sum::<Bytes>();
    let weighed = |part: fn(Bytes, Bytes, Bytes) -> Share| {
        let one = |host: &&Observation| (part(host.saved, host.predicted[group], all(host)), host.predicted[group]);
        showing.iter().map(one).collect::<Vec<(Share, Bytes)>>()
    };
    let likely = mean(&weighed(|saved, _, all| part(saved, all)));
    let mut certain = weighed(|saved, own, all| part(saved.saturating_sub(all.saturating_sub(own)), own));
    let middle = certain.iter().map(|(_, weight)| *weight).sum::<Bytes>().0 / certain.len() as u64;
    certain.push((before.min(Share::WHOLE), Bytes(middle)));
    let trust = Trust { likely, sure: mean(&certain).saturating_sub(twice_its_error(&certain)).min(likely) };
    (trust, showing.len() as u32)
}

/// Rounded down, at most the whole.
fn part(of: Bytes, whole: Bytes) -> Share {
    let parts = u128::from(of.0) * u128::from(Share::WHOLE.0) / u128::from(whole.0.max(1));
    Share(parts.min(u128::from(Share::WHOLE.0)) as u32)
}

fn sum(values: &[(Share, Bytes)]) -> u128 {
    values.iter().map(|(_, weight)| u128::from(weight.0)).sum::<u128>().max(1)
}

/// Weighed, rounded down.
fn mean(values: &[(Share, Bytes)]) -> Share {
    let weighed: u128 = values.iter().map(|(value, weight)| u128::from(value.0) * u128::from(weight.0)).sum();
    Share((weighed / sum(values)) as u32)
}

/// The standard error of a weighed mean of at least two values, twice, rounded up: `√(n/(n−1) Σ w²(x − x̄)²)` with weights that
/// sum up to one.
fn twice_its_error(values: &[(Share, Bytes)]) -> Share {
    const ONE: u128 = 1 << 20;
    let (mean, sum, n) = (mean(values), sum(values), values.len() as u128);
    let square = |(value, weight): &(Share, Bytes)| {
        let weight = u128::from(weight.0) * ONE / sum;
        weight * weight * u128::from(value.0.abs_diff(mean.0)).pow(2)
    };
    let variance = values.iter().map(square).sum::<u128>() * n / (n - 1);
    Share(((DEVIATIONS * variance.isqrt()) / ONE + 1) as u32)
}
