//! VMs that a hard relation keeps apart: each weighs 1, and a domain bears as many as may be in it.
//!
//! A domain may have the most that the relation allows, or as many as it had at the start, if that is more: no VM comes
//! to one that has more than the most. Hosts that the relation does not look at bear any number.

use std::collections::BTreeMap;

use super::Why;
use super::cover::{Carrier, Load};
use super::part::Part;
use crate::cost::Sum;
use crate::problem::{Points, Problem, Relation, RelationKind};

/// Offers the bound of each relation.
pub(super) fn bounds(problem: &Problem, part: &Part<'_>, offer: &mut impl FnMut(u32, Points, Why)) {
    if problem.relations.is_empty() {
        return;
    }
    let mut here = vec![false; problem.hosts.len()];
    part.hosts.iter().for_each(|host| here[host.host as usize] = true);
    for (i, relation) in problem.relations.iter().enumerate().filter(|it| it.1.points.is_none()) {
        let RelationKind::AtMost(most) = relation.kind else { continue };
        // Those that cannot leave count too: their hosts are awake.
        let vms = relation.vms.iter().filter(|vm| here[problem.vms[**vm as usize].at as usize]);
        let mut home: BTreeMap<u32, u64> = BTreeMap::new();
        vms.clone().for_each(|vm| {
            *home.entry(relation.domains[problem.vms[*vm as usize].at as usize]).or_default() += 1;
        });
        let count = home.values().sum::<u64>();
        home.remove(&Relation::OUTSIDE);
        let may = |domain: u32| u64::from(most).max(home.get(&domain).copied().unwrap_or(0));
        let load = load(part, relation, count, may);
        offer(hosts(part, relation, &load), load.points(), Why::Apart { relation: i, vms: count as u32 });
    }
}

/// Domains as carriers, each as cheap as its cheapest host, and for nothing if one is awake in any case; outside, each
/// host by itself.
fn load(part: &Part<'_>, relation: &Relation, weight: u64, bears: impl Fn(u32) -> u64) -> Load {
    let mut domains: BTreeMap<u32, Carrier> = BTreeMap::new();
    let mut carriers = Vec::new();
    for host in &part.hosts {
        let domain = relation.domains[host.host as usize];
        let bears = if domain == Relation::OUTSIDE { weight } else { bears(domain) };
        let it = Carrier { bears: Sum::from(bears), awake: host.awake, points: host.points };
        if domain == Relation::OUTSIDE {
            carriers.push(it);
            continue;
        }
        let one = domains.entry(domain).or_insert(it);
        one.points = one.points.min(it.points);
        one.awake |= it.awake;
    }
    // What is awake in any case is paid for whatever is in the domain.
    carriers.extend(domains.into_values());
    let awake = part.awake_points();
    carriers.iter_mut().filter(|it| it.awake).for_each(|it| it.points = 0);
    carriers.push(Carrier { bears: 0, awake: true, points: awake });
    Load::new(Sum::from(weight), carriers)
}

/// Hosts awake in any case, and one for each further domain.
fn hosts(part: &Part<'_>, relation: &Relation, load: &Load) -> u32 {
    let awake = part.hosts.iter().filter(|host| host.awake);
    let mut domains: Vec<u32> = awake.clone().map(|host| relation.domains[host.host as usize]).collect();
    let outside = domains.iter().filter(|domain| **domain == Relation::OUTSIDE).count();
    domains.retain(|domain| *domain != Relation::OUTSIDE);
    domains.sort_unstable();
    domains.dedup();
    // The load counts awake domains and one more for their points.
    load.hosts() - (domains.len() + outside) as u32 - 1 + awake.count() as u32
}
