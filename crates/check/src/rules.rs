//! The meaning of the rules once more, from the names up and in the plainest way.

use ulm_model::{
    Bytes, CpuVerdict, Host, HostSelector, HostState, Reason, Rule, RuleKind, Scope, Vm, VmSelector, VmState,
};

use crate::order::Order;
use crate::{Fault, Grounds, Resolved, breaks};

/// All that does not depend on what else is on the target.
pub(crate) fn may_go(step: &Resolved<'_>, grounds: &Grounds<'_>) -> Result<(), Fault> {
    let snapshot = grounds.snapshot;
    let vm = &snapshot.vms[step.vm.at()];
    let (from, to) = (&snapshot.hosts[step.from.at()], &snapshot.hosts[step.to.at()]);
    let refuse = |reason: Reason| Err(breaks(step, grounds, reason));

    for doubt in &snapshot.doubts {
        let concerned = match &doubt.scope {
            Scope::Everything => true,
            Scope::Host(name) => *name == from.name || *name == to.name,
            Scope::Vm(id) => *id == vm.id,
        };
        if concerned {
            return refuse(doubt.reason.clone());
        }
    }
    if let HostState::Unreachable { because } = &from.state {
        return refuse(Reason::Unreachable { host: from.name.clone(), error: because.to_string() });
    }
    match &to.state {
        HostState::Up => {}
        HostState::Maintenance => return refuse(Reason::Maintenance { host: to.name.clone() }),
        HostState::Unreachable { because } => {
            return refuse(Reason::Unreachable { host: to.name.clone(), error: because.to_string() });
        }
    }
    if vm.state != VmState::Running && vm.state != VmState::Paused {
        return refuse(Reason::NotRunning {});
    }
    if snapshot.in_flight.iter().any(|flight| flight.vm == step.vm) {
        return refuse(Reason::Moving {});
    }
    if let Some(fixture) = vm.fixtures.first() {
        return refuse(Reason::Immovable { fixture: fixture.clone() });
    }
    let Some(needs) = &vm.needs else { return refuse(Reason::Unread { error: "it is still to be read".into() }) };
    if needs.arch != to.platform.arch {
        let (needed, offered) = (needs.arch.clone(), to.platform.arch.clone());
        return refuse(Reason::ArchDiffers { host: to.name.clone(), needed, offered });
    }
    match to.cpu_verdicts.get(&needs.cpu) {
        Some(CpuVerdict::Offered) => {}
        Some(CpuVerdict::Missing { what }) => {
            return refuse(Reason::CpuMissing { host: to.name.clone(), what: what.clone() });
        }
        None => return refuse(Reason::CpuUnknown { host: to.name.clone() }),
    }
    if let Some(network) = needs.networks.iter().find(|name| !to.networks.contains(*name)) {
        return refuse(Reason::NetworkMissing { host: to.name.clone(), network: network.clone() });
    }
    if let Some(storage) = needs.storage.iter().find(|name| !to.storage.contains(*name)) {
        return refuse(Reason::StorageMissing { host: to.name.clone(), storage: storage.clone() });
    }
    let by_hand = matches!(step.step.because, Reason::Asked { .. });
    for rule in &grounds.rulebook.rules {
        if let Some(reason) = forbidden(rule, vm, from, to, by_hand) {
            return refuse(reason);
        }
    }
    Ok(())
}

/// What an administrator's rule has against the move.
fn forbidden(rule: &Rule, vm: &Vm, from: &Host, to: &Host, by_hand: bool) -> Option<Reason> {
    let name = rule.name.clone();
    let pinned = Reason::Pinned { host: to.name.clone(), rule: name.clone() };
    match rule.kind {
        RuleKind::Exclude if by_hand => None,
        RuleKind::Exclude if means_vm(&rule.vms, vm) => Some(Reason::Excluded { rule: name }),
        RuleKind::Exclude => {
            let host = [from, to].into_iter().find(|host| means_host(&rule.hosts, host))?;
            Some(Reason::HostExcluded { host: host.name.clone(), rule: name })
        }
        RuleKind::Pin => (means_vm(&rule.vms, vm) && !means_host(&rule.hosts, to)).then_some(pinned),
        RuleKind::KeepOff => (means_vm(&rule.vms, vm) && means_host(&rule.hosts, to)).then_some(pinned),
        RuleKind::Maintenance => means_host(&rule.hosts, to).then(|| Reason::Maintenance { host: to.name.clone() }),
    }
}

fn means_vm(selector: &VmSelector, vm: &Vm) -> bool {
    match (&selector.name, &selector.tag) {
        (None, None) => false,
        (Some(name), None) => fits(name, &vm.name) || fits(name, &vm.id.to_string()),
        (None, Some(tag)) => vm.tags.iter().any(|word| fits(tag, word)),
        (Some(name), Some(tag)) => {
            (fits(name, &vm.name) || fits(name, &vm.id.to_string())) && vm.tags.iter().any(|word| fits(tag, word))
        }
    }
}

fn means_host(selector: &HostSelector, host: &Host) -> bool {
    match (&selector.name, &selector.tag) {
        (None, None) => false,
        (Some(name), None) => fits(name, &host.name.0),
        (None, Some(tag)) => host.tags.iter().any(|word| fits(tag, word)),
        (Some(name), Some(tag)) => fits(name, &host.name.0) && host.tags.iter().any(|word| fits(tag, word)),
    }
}

/// Whether a pattern with `*` and `?` fits a whole word: for each beginning of the pattern, which beginnings of the word it fits.
fn fits(pattern: &str, word: &str) -> bool {
    let word: Vec<char> = word.chars().collect();
    let mut reached = vec![false; word.len() + 1];
    reached[0] = true;
    for sign in pattern.chars() {
        let mut next = vec![false; word.len() + 1];
        for (i, _) in reached.iter().enumerate().filter(|(_, yes)| **yes) {
            match sign {
                '*' => next[i..].fill(true),
                _ if i < word.len() && (sign == '?' || sign == word[i]) => next[i + 1] = true,
                _ => {}
            }
        }
        reached = next;
    }
    reached[word.len()]
}

/// Whether the target has room for the `i`-th step's VM in the worst state in which the step can be.
pub(crate) fn has_room(i: usize, steps: &[Resolved<'_>], order: &Order, grounds: &Grounds<'_>) -> Result<(), Fault> {
    let (step, snapshot, capacity) = (&steps[i], grounds.snapshot, &grounds.rulebook.capacity);
    let host = &snapshot.hosts[step.to.at()];
    let me = &snapshot.vms[step.vm.at()];

    // Who may be there beside the VM itself, and who of them is still arriving.
    let (mut there, mut arriving): (Vec<&Vm>, Vec<&Vm>) = (Vec::new(), Vec::new());
    for (v, vm) in snapshot.vms.iter().enumerate().filter(|(_, vm)| vm.host == step.to) {
        let gone = steps.iter().enumerate().any(|(j, leaving)| leaving.vm.at() == v && order.waits_for(i, j));
        if !gone {
            there.push(vm);
        }
    }
    for flight in snapshot.in_flight.iter().filter(|flight| flight.to == Some(step.to)) {
        arriving.push(&snapshot.vms[flight.vm.at()]);
    }
    for (j, other) in steps.iter().enumerate().filter(|(_, other)| other.to == step.to) {
        if j != i && !order.waits_for(j, i) {
            arriving.push(&snapshot.vms[other.vm.at()]);
        }
    }

    let promised: u128 = there.iter().chain(&arriving).map(|vm| u128::from(vm.memory.0)).sum();
    let limit = u128::from(host.memory.0.saturating_sub(capacity.memory_reserve.0))
        * u128::from(capacity.memory_overcommit.0)
        / 10_000;
    if promised + u128::from(me.memory.0) > limit {
        let free = Bytes(u64::try_from(limit.saturating_sub(promised)).unwrap_or(u64::MAX));
        let reason = Reason::MemoryShort { host: host.name.clone(), needed: me.memory, free };
        return Err(breaks(step, grounds, reason));
    }

    let vcpus: u128 = there.iter().chain(&arriving).map(|vm| u128::from(vm.vcpus)).sum::<u128>() + u128::from(me.vcpus);
    let limit = u128::from(host.cpu.0) * u128::from(capacity.cpu_overcommit.0) / 10_000 / 1000;
    if vcpus > limit {
        let (vcpus, limit) = (vcpus as u64, limit as u64);
        return Err(breaks(step, grounds, Reason::CpuOvercommit { host: host.name.clone(), vcpus, limit }));
    }

    let Some(used) = host.memory_use.0.last() else {
        return Err(breaks(step, grounds, Reason::TooFew { of: host.name.0.clone(), have: 0, needed: 1 }));
    };
    let holds = |vm: &Vm| vm.memory_use.0.last().map_or(vm.memory, |figure| figure.value).0;
    let coming: u128 = arriving.iter().map(|vm| u128::from(holds(vm))).sum();
    let available = u128::from(host.memory.0.saturating_sub(used.value.0));
    if coming + u128::from(holds(me)) > available {
        let available = Bytes(u64::try_from(available.saturating_sub(coming)).unwrap_or(u64::MAX));
        let reason = Reason::MemoryUsed { host: host.name.clone(), needed: Bytes(holds(me)), available };
        return Err(breaks(step, grounds, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_mean_what_the_rulebook_says() {
        assert!(fits("db-*", "db-1") && fits("db-*", "db-") && !fits("db-*", "xdb-1"));
        assert!(fits("*a*b", "xxaxxb") && !fits("*a*b", "xxaxxbx"));
        assert!(fits("web-?", "web-7") && !fits("web-?", "web-17"));
        assert!(fits("*", "") && !fits("", "a") && fits("", ""));
    }
}
