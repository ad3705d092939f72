//! The meaning of the rules once more, from the names up and in the plainest way.

use std::collections::HashSet;

use ulm_model::{
    CpuVerdict, Host, HostSelector, HostState, Reason, Rule, RuleKind, Scope, Vm, VmIx, VmSelector, VmState,
};

use super::{Fault, Grounds, Resolved, breaks};

/// Judges what does not depend on what else is on the target.
pub(super) struct Judge<'g> {
    grounds: &'g Grounds<'g>,
    /// VMs that move already.
    moving: HashSet<VmIx>,
}

impl<'g> Judge<'g> {
    pub fn new(grounds: &'g Grounds<'g>) -> Self {
        Judge { grounds, moving: grounds.snapshot.in_flight.iter().map(|flight| flight.vm).collect() }
    }

    /// Whether the step's VM may go where it brings it.
    pub fn may_go(&self, step: &Resolved<'_>) -> Result<(), Fault> {
        may_go(step, self.moving.contains(&step.vm), self.grounds)
    }
}

fn may_go(step: &Resolved<'_>, moving: bool, grounds: &Grounds<'_>) -> Result<(), Fault> {
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
    if moving {
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
    match &rule.kind {
        RuleKind::Exclude if by_hand => None,
        RuleKind::Exclude if means_vm(&rule.vms, vm) => Some(Reason::Excluded { rule: name }),
        RuleKind::Exclude => {
            let host = [from, to].into_iter().find(|host| means_host(&rule.hosts, host))?;
            Some(Reason::HostExcluded { host: host.name.clone(), rule: name })
        }
        RuleKind::Pin => (means_vm(&rule.vms, vm) && !means_host(&rule.hosts, to)).then_some(pinned),
        RuleKind::KeepOff => (means_vm(&rule.vms, vm) && means_host(&rule.hosts, to)).then_some(pinned),
        RuleKind::Maintenance => means_host(&rule.hosts, to).then(|| Reason::Maintenance { host: to.name.clone() }),
        _ => None,
    }
}

fn means_vm(selector: &VmSelector, vm: &Vm) -> bool {
    let id = vm.id.to_string();
    let by_name = || selector.name.iter().any(|name| fits(name, &vm.name) || fits(name, &id));
    let by_tag = || selector.tag.iter().any(|tag| vm.tags.iter().any(|word| fits(tag, word)));
    match (selector.name.is_empty(), selector.tag.is_empty()) {
        (true, true) => false,
        (false, true) => by_name(),
        (true, false) => by_tag(),
        (false, false) => by_name() && by_tag(),
    }
}

fn means_host(selector: &HostSelector, host: &Host) -> bool {
    let by_name = || selector.name.iter().any(|name| fits(name, &host.name.0));
    let by_tag = || selector.tag.iter().any(|tag| host.tags.iter().any(|word| fits(tag, word)));
    match (selector.name.is_empty(), selector.tag.is_empty()) {
        (true, true) => false,
        (false, true) => by_name(),
        (true, false) => by_tag(),
        (false, false) => by_name() && by_tag(),
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
