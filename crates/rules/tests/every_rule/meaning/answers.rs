//! All that holds of a VM, and of a VM and a host.

use std::time::Duration;

use ulm_model::*;
use ulm_rules::Initiative;

use super::host_is_selected;
use crate::world::World;

impl World {
    /// Why the VM cannot leave.
    pub fn stays(&self, ix: VmIx, expected: Duration, initiative: Initiative) -> Vec<Reason> {
        let (mut reasons, home) = (Vec::new(), self.vm(ix).host);
        if let HostState::Unreachable { because } = &self.host(home).state {
            reasons.push(Reason::Unreachable { host: self.host(home).name.clone(), error: because.to_string() });
        }
        if self.is_moving(ix) {
            reasons.push(Reason::Moving {});
        }
        if initiative == Initiative::Automatic {
            reasons.extend(self.set_aside(home));
            for rule in self.rules_of_vm(ix) {
                if rule.kind == RuleKind::Exclude {
                    reasons.push(Reason::Excluded { rule: rule.name.clone() });
                }
                if self.is_shut(rule) {
                    reasons.push(Reason::OutsideWindow { rule: rule.name.clone(), until: None });
                }
            }
        }
        self.budgets(ix, expected, initiative, &mut reasons);
        reasons
    }

    /// Why the VM cannot go there, spare room aside.
    pub fn why_not(&self, ix: VmIx, to: HostIx, initiative: Initiative) -> Vec<Reason> {
        let mut reasons = self.stays(ix, Duration::ZERO, initiative);
        let host = self.host(to);
        if self.vm(ix).host == to {
            reasons.push(Reason::AlreadyThere { host: host.name.clone() });
            return reasons;
        }
        match &host.state {
            HostState::Up => {}
            HostState::Maintenance => reasons.push(Reason::Maintenance { host: host.name.clone() }),
            HostState::Unreachable { because } => {
                reasons.push(Reason::Unreachable { host: host.name.clone(), error: because.to_string() });
            }
        }
        if self.rules_of_host(to).any(|rule| rule.kind == RuleKind::Maintenance) {
            reasons.push(Reason::Maintenance { host: host.name.clone() });
        }
        if initiative == Initiative::Automatic {
            reasons.extend(self.set_aside(to));
        }
        self.rules(ix, to, &mut reasons);
        self.cells(ix, to, &mut reasons);
        self.capacity(ix, to, initiative, &mut reasons);
        reasons
    }

    /// The soft rules that the VM would break there, by being one too many or away from all others.
    pub fn unwished(&self, ix: VmIx, to: HostIx) -> Vec<Reason> {
        let mut reasons = Vec::new();
        for rule in self.rules_of_vm(ix).filter(|rule| rule.soft) {
            let there = host_is_selected(&rule.hosts, self.host(to));
            let others: Vec<VmIx> = self.members(rule).into_iter().filter(|vm| *vm != ix).collect();
            let broken = match &rule.kind {
                RuleKind::Pin => !there,
                RuleKind::KeepOff => there,
                RuleKind::Apart { level, at_most } => {
                    let domain = self.domain(level, to);
                    let in_it = |vm: &&VmIx| self.places(**vm).iter().any(|host| self.domain(level, *host) == domain);
                    others.iter().filter(in_it).count() as u32 + 1 > *at_most
                }
                RuleKind::Together { level } => {
                    let near = |vm: &VmIx| self.domain(level, self.destination(*vm)) == self.domain(level, to);
                    !others.is_empty() && !others.iter().any(near)
                }
                _ => false,
            };
            if broken {
                reasons.push(Reason::Unwished { host: self.host(to).name.clone(), rule: rule.name.clone() });
            }
        }
        reasons
    }

    pub fn rank(&self, ix: VmIx) -> u32 {
        let rank = |rule: &Rule| if let RuleKind::Priority { rank } = rule.kind { Some(rank) } else { None };
        self.rules_of_vm(ix).find_map(rank).unwrap_or(100)
    }
}
