//! What the administrator wants, rule by rule.

use std::collections::BTreeSet;
use std::time::Duration;

use ulm_model::*;
use ulm_rules::Initiative;

use super::{host_is_selected, value_of, vm_is_selected};
use crate::world::World;

impl World {
    /// Rules about VM and host by themselves, and about other VMs; hard ones.
    pub(super) fn rules(&self, ix: VmIx, to: HostIx, reasons: &mut Vec<Reason>) {
        let host = self.host(to).name.clone();
        for rule in self.rulebook.rules.iter().filter(|rule| !rule.soft) {
            let name = rule.name.clone();
            let (about_it, there) =
                (vm_is_selected(&rule.vms, self.vm(ix)), host_is_selected(&rule.hosts, self.host(to)));
            match &rule.kind {
                RuleKind::Pin if about_it && !there => {
                    reasons.push(Reason::Pinned { host: host.clone(), rule: name });
                }
                RuleKind::KeepOff if about_it && there => {
                    reasons.push(Reason::Pinned { host: host.clone(), rule: name });
                }
                RuleKind::OneWay { label } if about_it => {
                    let number = |host: HostIx| value_of(&self.host(host).tags, label)?.parse::<i64>().ok();
                    if let (Some(from), Some(to)) = (number(self.vm(ix).host), number(to))
                        && to < from
                    {
                        reasons.push(Reason::WrongWay { host: host.clone(), rule: name });
                    }
                }
                RuleKind::Together { level } if about_it => {
                    let spread = |of_it: HostIx| -> usize {
                        let destination = |vm: VmIx| if vm == ix { of_it } else { self.destination(vm) };
                        let all = self.members(rule).into_iter().map(|vm| self.domain(level, destination(vm)));
                        all.collect::<BTreeSet<_>>().len()
                    };
                    if spread(to) > spread(self.destination(ix)) {
                        reasons.push(Reason::NotTogether { host: host.clone(), rule: name });
                    }
                }
                RuleKind::Apart { level, at_most } if about_it => {
                    let domain = self.domain(level, to);
                    let in_it = |places: Vec<HostIx>| places.iter().any(|place| self.domain(level, *place) == domain);
                    let members = self.members(rule);
                    let before = members.iter().filter(|vm| in_it(self.places_before(**vm))).count() as u32;
                    let now = members.iter().filter(|vm| in_it(self.places(**vm))).count() as u32;
                    let with = members.iter().filter(|vm| **vm == ix || in_it(self.places(**vm))).count() as u32;
                    if with > now && with > before.max(*at_most) {
                        reasons.push(Reason::TooClose { rule: name, domain, vms: with, limit: *at_most });
                    }
                }
                RuleKind::MaxVms { at_most } if (about_it || rule.vms.is_empty()) && there => {
                    let members = if rule.vms.is_empty() { self.all_vms().collect() } else { self.members(rule) };
                    let before = members.iter().filter(|vm| self.places_before(**vm).contains(&to)).count() as u32;
                    let now = members.iter().filter(|vm| self.places(**vm).contains(&to)).count() as u32;
                    let with = members.iter().filter(|vm| **vm == ix || self.places(**vm).contains(&to)).count() as u32;
                    if with > now && with > before.max(*at_most) {
                        reasons.push(Reason::HostFull { host: host.clone(), rule: name, vms: with, limit: *at_most });
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether automatic moves are not to begin now. The calendars here have one span of every day, by UTC.
    pub(super) fn is_shut(&self, rule: &Rule) -> bool {
        let RuleKind::Window { calendar, open } = &rule.kind else { return false };
        let minute = (self.now.0 / 60_000 % 1440) as u16;
        let span = &calendar.spans[0];
        let holds = if span.from < span.to {
            (span.from..span.to).contains(&minute)
        } else {
            minute >= span.from || minute < span.to
        };
        holds != *open
    }

    /// Rules that set the host aside from automatic moves.
    pub(super) fn set_aside(&self, host: HostIx) -> Vec<Reason> {
        let of = |rule: &Rule| match rule.kind {
            RuleKind::Exclude => {
                Some(Reason::HostExcluded { host: self.host(host).name.clone(), rule: rule.name.clone() })
            }
            RuleKind::Window { .. } if self.is_shut(rule) => {
                Some(Reason::OutsideWindow { rule: rule.name.clone(), until: None })
            }
            _ => None,
        };
        self.rules_of_host(host).filter_map(of).collect()
    }

    pub(super) fn budgets(&self, ix: VmIx, expected: Duration, initiative: Initiative, reasons: &mut Vec<Reason>) {
        for rule in self.rules_of_vm(ix) {
            let RuleKind::Budget { per, moves, downtime, within, at_once } = &rule.kind else { continue };
            let together = |other: VmIx| {
                let same = |key: &str| {
                    let value = value_of(&self.vm(ix).tags, key);
                    value.is_some() && value == value_of(&self.vm(other).tags, key)
                };
                other == ix
                    || match per {
                        Per::Vm => false,
                        Per::Rule => true,
                        Per::Label(key) => same(key),
                    }
            };
            let group: Vec<VmIx> = self.members(rule).into_iter().filter(|vm| together(*vm)).collect();
            let ids: Vec<VmId> = group.iter().map(|vm| self.vm(*vm).id).collect();
            let young = |past: &&PastMove| Duration::from_millis((self.now.0 - past.ended.0) as u64) <= *within;
            let past: Vec<&PastMove> = self.past.iter().filter(|past| ids.contains(&past.vm)).filter(young).collect();
            let flying = group.iter().filter(|vm| self.is_moving(**vm)).count() as u32;
            let begun = past.len() as u32 + flying;
            let still = past.iter().map(|past| past.downtime).sum::<Duration>() + expected;
            let (rule, within) = (rule.name.clone(), *within);
            if initiative == Initiative::Automatic {
                if let Some(limit) = moves.filter(|limit| begun + 1 > *limit) {
                    reasons.push(Reason::MovesSpent { rule: rule.clone(), moves: begun, limit, within });
                }
                if let Some(limit) = downtime.filter(|limit| still > *limit) {
                    reasons.push(Reason::DowntimeSpent { rule: rule.clone(), downtime: still, limit, within });
                }
            }
            if let Some(limit) = at_once.filter(|limit| flying + 1 > *limit) {
                reasons.push(Reason::OthersMove { rule, moves: flying, limit });
            }
        }
    }
}
