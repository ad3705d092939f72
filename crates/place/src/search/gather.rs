//! What should be near comes together: all VMs of a relation that are in one domain go to another one, where more of them are.
//!
//! Method: for each relation that is not kept, domains with the fewest VMs first are emptied of them; targets are the domains with the
//! most. All or nothing.
//!
//! Complexity: for each such relation a few pairs of domains, its VMs in them × the hosts of the target.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{SPARE, Search};
use crate::problem::{Relation, RelationKind};

/// So many domains of a relation are tried as targets.
const TARGETS: usize = 4;

/// Gathers while it pays. Whether anything was gathered.
pub(super) fn pass(search: &mut Search<'_>) -> bool {
    let mut any = false;
    for (i, relation) in search.problem().relations.iter().enumerate() {
        if relation.kind == RelationKind::Near {
            while !search.spent() && search.state.surplus(i) > 0 && gather(search, relation) {
                any = true;
            }
        }
    }
    any
}

fn gather(search: &mut Search<'_>, relation: &Relation) -> bool {
    let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for vm in &relation.vms {
        groups.entry(relation.domains[search.state.at(*vm) as usize]).or_default().push(*vm);
    }
    groups.remove(&Relation::OUTSIDE);
    let weight =
        |vms: &[u32]| vms.iter().map(|vm| i128::from(search.problem().vms[*vm as usize].move_cost)).sum::<i128>();
    let mut domains: Vec<(usize, i128, u32)> =
        groups.iter().map(|(domain, vms)| (vms.len(), weight(vms), *domain)).collect();
    domains.sort_unstable();
    for (.., from) in &domains {
        for (.., to) in domains.iter().rev().filter(|it| it.2 != *from).take(TARGETS) {
            if attempt(search, relation, &groups[from], *to) {
                return true;
            }
        }
    }
    false
}

fn attempt(search: &mut Search<'_>, relation: &Relation, vms: &[u32], to: u32) -> bool {
    if vms.iter().any(|vm| search.problem().vms[*vm as usize].stays) {
        return false;
    }
    let (mark, before) = (search.state.mark(), search.state.total());
    let mut vms = vms.to_vec();
    vms.sort_by_key(|vm| (Reverse(search.bulk[*vm as usize]), *vm));
    for vm in vms {
        let bound = search.bound(vm);
        let best = search.best(vm, bound, SPARE, |_, host| relation.domains[host as usize] == to);
        let Some((_, host)) = best else { return search.conclude(mark, before, false) };
        search.shift(vm, host);
    }
    search.conclude(mark, before, true)
}
