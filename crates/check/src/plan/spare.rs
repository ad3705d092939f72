//! **Spare.** Whichever one of the hosts fails, its VMs have room on the others, headroom aside; in full, while what VMs there have merged
//! stays merged. Hosts that are up count, a VM in flight counts on both. Continuous, no worse: a host that could not be lost before need
//! not be so.
//!
//! More VMs never have room where fewer do not. So it is enough that there is room when every VM counts on every host that the plan
//! brings it to; then there is in every state. Where that cannot be shown, the plan is refused though perhaps no state is bad: the one
//! place where the checker is not exact. What can be shown is what [`super::packing`] finds.

use std::collections::HashSet;

use ulm_model::{HostIx, HostState, Reason, RuleKind, VmIx};

use super::packing::{Packed, Size, pack};
use super::selectors::Binding;
use super::{Case, Fault, Resolved};

/// The first of the steps before `before` with which the loss of a host cannot be shown to be survived.
pub(super) fn first(case: &Case<'_>, before: usize) -> Option<(usize, Fault)> {
    let mut found: Option<(usize, Fault)> = None;
    for rule in case.book.rules.iter().filter(|rule| matches!(rule.rule.kind, RuleKind::Spare)) {
        let until = found.as_ref().map_or(before, |(step, _)| *step);
        found = of_rule(case, rule, until).or(found);
    }
    found
}

fn of_rule(case: &Case<'_>, rule: &Binding<'_>, before: usize) -> Option<(usize, Fault)> {
    let up = |host: &HostIx| rule.has(*host) && case.grounds.snapshot.host(*host).state == HostState::Up;
    let hosts: Vec<HostIx> = case.grounds.snapshot.hosts_ix().map(|(ix, _)| ix).filter(up).collect();
    let fills = |step: &Resolved<'_>| {
        let home = &case.merged[step.from.at()];
        hosts.contains(&step.to) || (hosts.contains(&step.from) && home.credit < home.before)
    };
    if !case.steps[..before].iter().any(fills) {
        return None;
    }
    let all = Everywhere::of(case, before);
    let mut lost: Vec<HostIx> =
        hosts.iter().copied().filter(|host| all.survives(case, &hosts, *host) != Packed::Fits).collect();
    if lost.is_empty() {
        return None;
    }
    // What is not survivable before is not asked for.
    let none = Everywhere::of(case, 0);
    lost.retain(|host| none.survives(case, &hosts, *host) == Packed::Fits);
    let after = |count: usize| {
        let some = Everywhere::of(case, count);
        lost.iter().copied().find_map(|host| match some.survives(case, &hosts, host) {
            Packed::Fits => None,
            packed => Some((host, packed)),
        })
    };
    // With the first `good` steps there is room, with the first `bad` ones there is not.
    let (mut good, mut bad, mut worst) = (0, before, after(before)?);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        match after(middle) {
            Some(found) => (bad, worst) = (middle, found),
            None => good = middle,
        }
    }
    let (step, (host, packed)) = (bad - 1, worst);
    let host = case.grounds.snapshot.host(host).name.clone();
    // When no step waits for another, all can be under way at once: then it is not only not shown, it is so.
    let reached = (0..bad).all(|i| case.order.after(i as u32).is_empty());
    if reached && packed == Packed::FitsNot {
        return Some(case.breaks(step, Reason::NoSpare { host, rule: rule.name() }));
    }
    let (id, vm) = case.named(step);
    Some((step, Fault::NotShown { step: id, vm, host, rule: rule.name() }))
}

/// Every VM on every host that it is on, goes to, or is brought to, less what is merged of those that stay.
struct Everywhere {
    on: Vec<Vec<VmIx>>,
    load: Vec<Size>,
}

impl Everywhere {
    /// With the first `count` steps.
    fn of(case: &Case<'_>, count: usize) -> Self {
        let snapshot = case.grounds.snapshot;
        let at_home = snapshot.vms_ix().map(|(ix, vm)| (ix, vm.host));
        let on_their_way = snapshot.in_flight.iter().filter_map(|flight| Some((flight.vm, flight.to?)));
        let brought = case.steps[..count].iter().map(|step| (step.vm, step.to));
        let hosts = snapshot.hosts.len();
        let mut all = Everywhere { on: vec![Vec::new(); hosts], load: vec![[0, 0]; hosts] };
        let mut guests = HashSet::new();
        for (vm, host) in at_home.chain(on_their_way).chain(brought) {
            if guests.insert((vm, host)) {
                all.on[host.at()].push(vm);
                let size = size(case, vm);
                (0..2).for_each(|r| all.load[host.at()][r] += size[r]);
            }
        }
        for (load, merged) in all.load.iter_mut().zip(&case.merged) {
            load[0] = load[0].saturating_sub(if count == 0 { merged.before } else { merged.credit });
        }
        all
    }

    /// Whether the VMs of a host have room on the others of `hosts`.
    fn survives(&self, case: &Case<'_>, hosts: &[HostIx], lost: HostIx) -> Packed {
        let free = |host: &HostIx| {
            let (promise, load) = (&case.promises[host.at()], &self.load[host.at()]);
            [promise.memory.saturating_sub(load[0]), promise.vcpus.saturating_sub(load[1])]
        };
        let vms = self.on[lost.at()].iter().map(|vm| size(case, *vm)).collect();
        pack(vms, hosts.iter().filter(|host| **host != lost).map(free).collect())
    }
}

fn size(case: &Case<'_>, vm: VmIx) -> Size {
    let vm = case.grounds.snapshot.vm(vm);
    [vm.memory.0.into(), vm.vcpus.into()]
}
