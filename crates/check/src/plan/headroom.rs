//! **Headroom.** A part of what may be promised on the hosts stays free for emergencies: when an automatic move begins, its target
//! has no more than the rest, with it and in the worst state that it can begin in. Continuous, but not *no worse*: what moves by hand
//! have taken is missing, and nothing comes automatically until it is there again.
//!
//! Where nothing comes by hand, that is a limit like any other. Where something does, each automatic arrival is looked at for itself,
//! with all that may have begun before it: what waits for it may take of the headroom, if it comes by hand.

use ulm_model::{HostIx, Reason, Resource, RuleKind, Share};

use super::capacity::part;
use super::room::{self, ALL, Counted};
use super::{Case, Fault};
use crate::loads::{Counter, first_excess};

/// What a host keeps, and by which rule.
struct Kept {
    rule: String,
    resource: Resource,
    host: HostIx,
}

/// The first of the steps before `before` that takes of the headroom.
pub(super) fn first(case: &Case<'_>, before: usize) -> Option<(usize, Fault)> {
    if !case.book.rules.iter().any(|rule| matches!(rule.rule.kind, RuleKind::Headroom { .. })) {
        return None;
    }
    let (mut plain, mut kept, mut first) = (Vec::new(), Vec::new(), None::<(usize, Fault)>);
    for (c, mut counter) in room::counters(case, before).into_iter().enumerate() {
        let (host, counted) = (HostIx((c / ALL.len()) as u32), ALL[c % ALL.len()]);
        let (share, rule, resource) = match counted {
            Counted::Promised => largest(case, host, Resource::Memory),
            Counted::Vcpus => largest(case, host, Resource::Cpu),
            Counted::Held => continue,
        };
        let by_hand = |event: &crate::loads::Event| case.steps[event.step as usize].by_hand();
        if share == Share::ZERO || counter.arrivals.iter().all(by_hand) {
            continue;
        }
        counter.limit = counter.limit.saturating_sub(part(counter.limit, share));
        let its = Kept { rule, resource, host };
        if counter.arrivals.iter().any(by_hand) {
            let until = first.as_ref().map_or(before, |(step, _)| *step);
            let found = one_by_one(case, &counter).filter(|step| *step < until);
            first = found.map(|step| fault(case, step, &its)).or(first);
        } else {
            plain.push(counter);
            kept.push(its);
        }
    }
    if let Some(excess) = first_excess(&case.order, &plain)
        && first.as_ref().is_none_or(|(step, _)| (excess.step as usize) < *step)
    {
        first = Some(fault(case, excess.step as usize, &kept[excess.counter]));
    }
    first
}

/// The first automatic arrival that can begin when there is too much with it.
fn one_by_one(case: &Case<'_>, counter: &Counter) -> Option<usize> {
    let automatic = counter.arrivals.iter().filter(|event| !case.steps[event.step as usize].by_hand());
    automatic.copied().find_map(|arrival| {
        let asks = |pairs: Vec<(u32, u32)>| case.order.waits(&pairs);
        let earlier = asks(counter.departures.iter().map(|event| (arrival.step, event.step)).collect());
        let later = asks(counter.arrivals.iter().map(|event| (event.step, arrival.step)).collect());
        let mut rest = Counter { base: counter.base + arrival.weight, ..counter.clone() };
        // Added to the limit, and not taken from the load: what has left may have come only on the way.
        for (departure, gone) in rest.departures.iter_mut().zip(&earlier) {
            if *gone {
                rest.limit += std::mem::take(&mut departure.weight);
            }
        }
        let others =
            counter.arrivals.iter().zip(&later).filter(|(event, later)| event.step != arrival.step && !**later);
        rest.arrivals = others.map(|(event, _)| *event).collect();
        let over = rest.base > rest.limit || first_excess(&case.order, &[rest]).is_some();
        over.then_some(arrival.step as usize)
    })
}

/// The largest part of the host's limit that a rule keeps.
fn largest(case: &Case<'_>, host: HostIx, resource: Resource) -> (Share, String, Resource) {
    let mut most = (Share::ZERO, String::new(), resource);
    for rule in case.book.rules.iter().filter(|rule| rule.has(host)) {
        let RuleKind::Headroom { memory, cpu } = rule.rule.kind else { continue };
        let share = if resource == Resource::Memory { memory } else { cpu };
        if share > most.0 {
            most = (share, rule.name(), resource);
        }
    }
    most
}

fn fault(case: &Case<'_>, step: usize, kept: &Kept) -> (usize, Fault) {
    let host = case.grounds.snapshot.host(kept.host).name.clone();
    case.breaks(step, Reason::Headroom { host, rule: kept.rule.clone(), resource: kept.resource })
}
