//! Whether groups move as groups: all members by the same hops, begun by the same condition, and none goes on before all are there.

use std::collections::HashMap;

use ulm_model::{RouteAction, RouteStep};

use super::RouteFault;
use crate::order::Order;
use crate::terms::Terms;

/// Among the steps before `upto`; the others are looked at only for whether a member moves along at all.
pub(super) fn first(terms: &Terms<'_>, steps: &[RouteStep], upto: usize, order: &Order) -> Option<(u32, RouteFault)> {
    let mut moves: HashMap<u32, Vec<u32>> = terms.groups.iter().flatten().map(|member| (*member, Vec::new())).collect();
    for (s, step) in steps.iter().enumerate() {
        if let RouteAction::Move { vm, .. } = step.action
            && let Some(moves) = moves.get_mut(&vm)
        {
            moves.push(s as u32);
        }
    }
    let mut faults: Vec<(u32, RouteFault)> = Vec::new();
    let (mut pairs, mut unmet) = (Vec::new(), Vec::new());
    let way = |step: u32| {
        let RouteStep { action, after, .. } = &steps[step as usize];
        match action {
            RouteAction::Move { from, to, .. } => Some((*from, *to, after)),
            _ => None,
        }
    };
    for group in &terms.groups {
        let hops = group.iter().map(|member| moves[member].len()).max().unwrap_or(0);
        for hop in 0..hops {
            let of = |member: &u32| Some((*moves[member].get(hop)?, *member));
            // The members that make this hop, by their steps.
            let mut hop_steps: Vec<(u32, u32)> = group.iter().filter_map(of).collect();
            hop_steps.sort_unstable();
            let (lead, vm) = hop_steps[0];
            if let Some(absent) = group.iter().find(|member| of(member).is_none()) {
                faults.push((lead, apart(terms, lead, vm, *absent)));
            }
            for (step, member) in &hop_steps[1..] {
                if way(*step) != way(lead) {
                    faults.push((*step, apart(terms, *step, *member, vm)));
                }
            }
            // All wait for the same steps, so what holds for one of them holds for all.
            for member in group.iter().filter(|_| hop > 0) {
                if let Some(arrival) = moves[member].get(hop - 1)
                    && (lead as usize) < upto
                {
                    let (name, other) = (terms.vm(vm).to_owned(), terms.vm(*member).to_owned());
                    pairs.push((lead, *arrival));
                    unmet.push((lead, RouteFault::NotGathered { step: lead, vm: name, other, arrival: *arrival }));
                }
            }
        }
    }
    faults.extend(order.waits(&pairs).into_iter().zip(unmet).filter(|(waits, _)| !waits).map(|(_, fault)| fault));
    // Of equal steps the first that was found.
    faults.into_iter().filter(|(step, _)| (*step as usize) < upto).min_by_key(|(step, _)| *step)
}

fn apart(terms: &Terms<'_>, step: u32, vm: u32, other: u32) -> RouteFault {
    RouteFault::Apart { step, vm: terms.vm(vm).to_owned(), other: terms.vm(other).to_owned() }
}
