//! What the policy's rules ask of companions, in the numbers of a task.
//!
//! Companions that do not take part in the task are counted where they are, those that are on their way on both hosts: what they take of
//! a limit is simply not there to be given.

use std::collections::BTreeMap;

use ulm_model::{Holds, HostIx, Rule, Snapshot, TaskRule, TaskRuleKind, VmIx};
use ulm_place::RelationKind;
use ulm_rules::State;

use crate::concerns::{About, concerns};

/// One rule for each limit and the domains that have it. `movers` are the task's VMs with where they are wanted.
pub(super) fn rules(state: &State<'_>, hosts: &[HostIx], movers: &[(VmIx, HostIx)]) -> Vec<TaskRule> {
    let snapshot = state.snapshot();
    let number: BTreeMap<VmIx, u32> = movers.iter().zip(0..).map(|((vm, _), number)| (*vm, number)).collect();
    let mut rules = Vec::new();
    for concern in concerns(state).iter().filter(|concern| !concern.rule.soft) {
        let About::Companions { asks, domains, .. } = &concern.about else { continue };
        let (inside, outside): (Vec<VmIx>, Vec<VmIx>) = concern.vms.iter().partition(|vm| number.contains_key(vm));
        let inside: Vec<u32> = inside.iter().map(|vm| number[vm]).collect();
        match asks {
            _ if inside.is_empty() => {}
            RelationKind::AtMost(limit) => {
                rules.extend(at_most_so_many(concern.rule, domains, *limit, hosts, (inside, &outside), snapshot));
            }
            // They move as a group if they are and will be on one host; else what counts is only where they are in the end.
            RelationKind::Near if outside.is_empty() && inside.len() > 1 => {
                let ends = |vm: &u32| {
                    let (vm, to) = movers[*vm as usize];
                    (snapshot.vm(vm).host, to)
                };
                if inside.iter().all(|vm| ends(vm) == ends(&inside[0])) {
                    rules.push(always(concern.rule, TaskRuleKind::Together { vms: inside }));
                }
            }
            // In how many places they are counts only in the end.
            RelationKind::Near | RelationKind::AtLeast(_) => {}
        }
    }
    rules
}

fn always(rule: &Rule, kind: TaskRuleKind) -> TaskRule {
    TaskRule { name: rule.name.clone(), holds: Holds::Always, soft: false, kind }
}

/// Domains with the same limit left share a rule.
fn at_most_so_many(
    rule: &Rule,
    domain: &[u32],
    at_most: u32,
    hosts: &[HostIx],
    (inside, outside): (Vec<u32>, &[VmIx]),
    snapshot: &Snapshot,
) -> Vec<TaskRule> {
    let mut there: BTreeMap<u32, u64> = BTreeMap::new();
    for vm in outside {
        let flights = snapshot.in_flight.iter().filter(|flight| flight.vm == *vm).filter_map(|flight| flight.to);
        let mut on: Vec<u32> = flights.chain([snapshot.vm(*vm).host]).map(|host| domain[host.at()]).collect();
        on.sort_unstable();
        on.dedup();
        on.into_iter().for_each(|domain| *there.entry(domain).or_default() += 1);
    }
    let mut domains: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (number, host) in hosts.iter().enumerate().filter(|(_, host)| domain[host.at()] != u32::MAX) {
        domains.entry(domain[host.at()]).or_default().push(number as u32);
    }
    let mut by_limit: BTreeMap<u64, Vec<Vec<u32>>> = BTreeMap::new();
    for (domain, hosts) in domains {
        let left = u64::from(at_most).saturating_sub(there.get(&domain).copied().unwrap_or(0));
        if left < inside.len() as u64 {
            by_limit.entry(left).or_default().push(hosts);
        }
    }
    let of_limit = |(limit, domains): (u64, Vec<Vec<u32>>)| {
        let kind = TaskRuleKind::AtMost { vms: inside.clone(), domains: domains.into(), limit };
        always(rule, kind)
    };
    by_limit.into_iter().map(of_limit).collect()
}
