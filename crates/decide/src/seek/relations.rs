//! What rules ask of companions, and of VMs that are where they may not be, as relations and points.
//!
//! Hard rules bind every placement that is looked at, whichever goals are on. That a broken one costs, and what soft ones cost, is
//! the goal `rules`.

use std::collections::BTreeMap;

use ulm_model::{HostIx, Level, Rule, RuleKind, Snapshot, VmIx, label};
use ulm_place::{Points, Relation, RelationKind, Table};
use ulm_rules::State;
use ulm_rules::select::selects_host;

use super::question::{Question, WEIGHT};

/// What one surplus of a soft rule costs for each unit of weight: about as much as half a host above its floor.
const SURPLUS: u64 = WEIGHT / 2;

/// Adds all hard rules about companions, and with a weight for the goal `rules` also what broken and soft ones cost.
pub(crate) fn add(question: &mut Question, state: &State<'_>, weight: Option<u32>) {
    let snapshot = state.snapshot();
    for (rule, members) in state.rulebook().rules.iter().zip(members(state)) {
        match &rule.kind {
            RuleKind::Apart { level, at_most } => {
                let relation = RelationKind::AtMost(*at_most);
                companions(question, snapshot, (rule, &members), domains(snapshot, level), relation, weight);
            }
            RuleKind::Together { level } => {
                let domains = domains(snapshot, level);
                companions(question, snapshot, (rule, &members), domains, RelationKind::Near, weight);
            }
            RuleKind::MaxVms { at_most } => {
                let own = |(ix, host): (HostIx, &ulm_model::Host)| {
                    if selects_host(&rule.hosts, host) { ix.0 } else { Relation::OUTSIDE }
                };
                let domains = snapshot.hosts_ix().map(own).collect();
                companions(question, snapshot, (rule, &members), domains, RelationKind::AtMost(*at_most), weight);
            }
            RuleKind::Pin | RuleKind::KeepOff => {
                if let Some(weight) = weight {
                    places(question, snapshot, (rule, &members), weight);
                }
            }
            _ => {}
        }
    }
}

/// Whether the goal `rules` looks at the rule.
pub(super) fn costs(rule: &Rule) -> bool {
    use RuleKind::{Apart, KeepOff, MaxVms, Pin, Together};
    matches!(rule.kind, Apart { .. } | Together { .. } | MaxVms { .. } | Pin | KeepOff)
}

/// Whether some rule that the goal `rules` looks at, be it soft, is not kept by the VMs as they are.
pub(super) fn any_broken(state: &State<'_>) -> bool {
    let snapshot = state.snapshot();
    state.rulebook().rules.iter().zip(members(state)).filter(|(rule, _)| costs(rule)).any(|(rule, members)| {
        let counts = |domains: &[u32]| {
            let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
            members.iter().for_each(|vm| *counts.entry(domains[snapshot.vm(*vm).host.at()]).or_default() += 1);
            counts
        };
        match &rule.kind {
            RuleKind::Apart { level, at_most } => counts(&domains(snapshot, level)).values().any(|vms| vms > at_most),
            RuleKind::Together { level } => counts(&domains(snapshot, level)).len() > 1,
            RuleKind::MaxVms { at_most } => {
                let own: Vec<u32> = (0..snapshot.hosts.len() as u32).collect();
                let full =
                    |(host, vms): (u32, u32)| vms > *at_most && selects_host(&rule.hosts, snapshot.host(HostIx(host)));
                counts(&own).into_iter().any(full)
            }
            _ => {
                let welcome: Vec<bool> = snapshot.hosts.iter().map(|host| lets_be_on(rule, host)).collect();
                members.iter().any(|vm| !welcome[snapshot.vm(*vm).host.at()])
            }
        }
    })
}

/// The first rule that is not kept where the VM is, and what is wrong, in words.
pub(crate) fn broken(state: &State<'_>, members: &[Vec<VmIx>], ix: VmIx) -> Option<(String, String)> {
    let snapshot = state.snapshot();
    let vm = snapshot.vm(ix);
    let (home, host) = (vm.host, snapshot.host(vm.host));
    let rules = state.rulebook().rules.iter().zip(members).filter(|(rule, _)| costs(rule));
    rules.filter(|(_, members)| members.binary_search(&ix).is_ok()).find_map(|(rule, members)| {
        let there = |domains: &[u32]| {
            let domain = domains[home.at()];
            members.iter().filter(|vm| domains[snapshot.vm(**vm).host.at()] == domain).count()
        };
        let what = match &rule.kind {
            RuleKind::Pin | RuleKind::KeepOff => (!lets_be_on(rule, host)).then(|| format!("it is on {}", host.name)),
            RuleKind::Apart { level, at_most } => {
                let count = there(&domains(snapshot, level));
                (count > *at_most as usize).then(|| format!("{count} of its VMs are where {} is", host.name))
            }
            RuleKind::MaxVms { at_most } => {
                let count = members.iter().filter(|vm| snapshot.vm(**vm).host == home).count();
                let concerned = selects_host(&rule.hosts, host) && count > *at_most as usize;
                concerned.then(|| format!("{} has {count} VMs", host.name))
            }
            RuleKind::Together { level } => {
                let count = there(&domains(snapshot, level));
                (count < members.len()).then(|| format!("not all of its VMs are where {} is", host.name))
            }
            _ => None,
        };
        Some((rule.name.clone(), what?))
    })
}

/// Whether a pin or its opposite lets its VMs be on the host.
fn lets_be_on(rule: &Rule, host: &ulm_model::Host) -> bool {
    selects_host(&rule.hosts, host) == (rule.kind == RuleKind::Pin)
}

/// For each host the number of its domain: that of the first host in it.
pub(crate) fn domains(snapshot: &Snapshot, level: &Level) -> Vec<u32> {
    let Level::Label(key) = level else { return (0..snapshot.hosts.len() as u32).collect() };
    let mut first: BTreeMap<&str, u32> = BTreeMap::new();
    let mut domains = Vec::with_capacity(snapshot.hosts.len());
    for (ix, host) in snapshot.hosts_ix() {
        domains.push(label(&host.tags, key).map_or(ix.0, |value| *first.entry(value).or_insert(ix.0)));
    }
    domains
}

/// For each rule the VMs that it is about, ascending.
pub(crate) fn members(state: &State<'_>) -> Vec<Vec<VmIx>> {
    let rules = &state.rulebook().rules;
    let mut members: Vec<Vec<VmIx>> = vec![Vec::new(); rules.len()];
    for (ix, _) in state.snapshot().vms_ix() {
        state.index().of_vm(ix).iter().for_each(|rule| members[*rule as usize].push(ix));
    }
    for (rule, members) in rules.iter().zip(&mut members) {
        if matches!(rule.kind, RuleKind::MaxVms { .. }) && rule.vms.is_empty() {
            *members = state.snapshot().vms_ix().map(|(ix, _)| ix).collect();
        }
    }
    members
}

/// A relation between those of the rule's VMs that take part. Where others of them fill a domain already, none goes there.
fn companions(
    question: &mut Question,
    snapshot: &Snapshot,
    (rule, members): (&Rule, &[VmIx]),
    domains: Vec<u32>,
    kind: RelationKind,
    weight: Option<u32>,
) {
    let vms: Vec<u32> = members.iter().filter_map(|vm| question.number[vm.at()]).collect();
    if vms.is_empty() || (rule.soft && weight.is_none()) {
        return;
    }
    if let RelationKind::AtMost(limit) = kind {
        let mut others: BTreeMap<u32, u32> = BTreeMap::new();
        for other in members.iter().filter(|vm| question.number[vm.at()].is_none()) {
            *others.entry(domains[snapshot.vm(*other).host.at()]).or_default() += 1;
        }
        let full = others.into_iter().filter(|(domain, there)| *domain != Relation::OUTSIDE && *there >= limit);
        shut(question, &full.map(|(domain, _)| domain).collect::<Vec<_>>(), &domains, &vms);
    }
    let points = rule.soft.then(|| surplus(weight.unwrap_or_default()));
    question.problem.relations.push(Relation { vms, domains, kind, points });
}

/// None of the VMs goes to these domains.
fn shut(question: &mut Question, full: &[u32], domains: &[u32], vms: &[u32]) {
    if full.is_empty() {
        return;
    }
    for vm in vms {
        let vm = &mut question.problem.vms[*vm as usize];
        let mut set = question.problem.sets[vm.allowed as usize].clone();
        for (host, _) in domains.iter().enumerate().filter(|(_, of)| full.contains(of)) {
            set.remove(HostIx(host as u32));
        }
        vm.allowed = question.problem.sets.len() as u32;
        question.problem.sets.push(set);
    }
}

/// What pins say: a VM that is where it may not be is better elsewhere, whatever else.
fn places(question: &mut Question, snapshot: &Snapshot, (rule, members): (&Rule, &[VmIx]), weight: u32) {
    let members: Vec<u32> = members.iter().filter_map(|vm| question.number[vm.at()]).collect();
    if members.is_empty() {
        return;
    }
    let welcome: Vec<bool> = snapshot.hosts.iter().map(|host| lets_be_on(rule, host)).collect();
    if rule.soft {
        let mut vm_class = vec![0; question.vms.len()];
        members.iter().for_each(|vm| vm_class[*vm as usize] = 1);
        let host_class = welcome.iter().map(|welcome| u32::from(!welcome)).collect();
        let points = vec![0, 0, 0, surplus(weight)];
        question.problem.tables.push(Table { vm_class, host_class, points, host_classes: 2 });
        return;
    }
    for vm in members {
        let vm = &mut question.problem.vms[vm as usize];
        if !welcome[vm.at as usize] {
            vm.stay_cost = vm.stay_cost.saturating_add(Relation::BROKEN);
        }
    }
}

fn surplus(weight: u32) -> Points {
    Points::try_from(u64::from(weight) * SURPLUS).unwrap_or(Points::MAX / 4)
}
