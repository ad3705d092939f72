//! What rules ask of companions, and of VMs that are where they may not be, as relations and points.
//!
//! Hard rules bind every placement that is looked at, whichever goals are on. That a broken one costs, and what soft ones cost, is
//! the goal `rules`.

use std::collections::BTreeMap;

use ulm_model::{HostIx, Snapshot};
use ulm_place::{Points, Relation, RelationKind, Table};

use super::question::{Question, WEIGHT};
use crate::concerns::{About, Concern};

/// What one surplus of a soft rule costs for each unit of weight: about as much as half a host above its floor.
const SURPLUS: u64 = WEIGHT / 2;

/// Adds all hard rules about companions, and with a weight for the goal `rules` also what broken and soft ones cost.
pub(crate) fn add(question: &mut Question, snapshot: &Snapshot, concerns: &[Concern<'_>], weight: Option<u32>) {
    for concern in concerns {
        match &concern.about {
            About::Companions { asks, domains, .. } => {
                companions(question, snapshot, concern, (*asks, domains), weight)
            }
            About::Places { welcome } => weight.iter().for_each(|weight| places(question, concern, welcome, *weight)),
        }
    }
}

/// A relation between those of the rule's VMs that take part. Where others of them fill a domain already, none goes there.
fn companions(
    question: &mut Question,
    snapshot: &Snapshot,
    concern: &Concern<'_>,
    (kind, domains): (RelationKind, &[u32]),
    weight: Option<u32>,
) {
    let soft = concern.rule.soft;
    let vms: Vec<u32> = concern.vms.iter().filter_map(|vm| question.number[vm.at()]).collect();
    if vms.is_empty() || (soft && weight.is_none()) {
        return;
    }
    if let RelationKind::AtMost(limit) = kind {
        let mut others: BTreeMap<u32, u32> = BTreeMap::new();
        for other in concern.vms.iter().filter(|vm| question.number[vm.at()].is_none()) {
            *others.entry(domains[snapshot.vm(*other).host.at()]).or_default() += 1;
        }
        let full = others.into_iter().filter(|(domain, there)| *domain != Relation::OUTSIDE && *there >= limit);
        shut(question, &full.map(|(domain, _)| domain).collect::<Vec<_>>(), domains, &vms);
    }
    let (points, domains) = (soft.then(|| surplus(weight.unwrap_or_default())), domains.to_owned());
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
fn places(question: &mut Question, concern: &Concern<'_>, welcome: &[bool], weight: u32) {
    let members: Vec<u32> = concern.vms.iter().filter_map(|vm| question.number[vm.at()]).collect();
    if members.is_empty() {
        return;
    }
    if concern.rule.soft {
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
