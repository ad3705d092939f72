//! The worst load of each counter over all states that a partial order of steps can reach.
//!
//! A counter is anything that has a limit: a resource of a host, the VMs of a rule in a domain. A step that brings something
//! counts from its beginning, a step that takes something away counts until its end. Whatever fails or hangs never ends, so a
//! state is a set of steps that have begun, of which those have ended that a begun one waits for, and perhaps others. It is worst
//! when no others have. So the worst load is what is there at first, and the heaviest set of arrivals: what they bring, less what
//! the departures take away that one of them waits for ([`crate::network`]).
//!
//! Arrivals are taken in the order of the steps, and only so much is sent as the limit asks for: the first one that makes a bad
//! state possible is found on the way.

use std::collections::HashSet;

use crate::network::Network;
use crate::order::Order;

/// Something with a limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter {
    /// What is there at first.
    pub base: u128,
    /// What may be there once something has arrived.
    pub limit: u128,
    /// Steps that bring something; ascending.
    pub arrivals: Vec<Event>,
    /// Steps that take something away; ascending.
    pub departures: Vec<Event>,
}

/// What a step brings or takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub step: u32,
    pub weight: u128,
}

/// A state that can be reached and is over the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    /// Which counter.
    pub counter: usize,
    /// The step that leads there: without it no state is over the limit.
    pub step: u32,
    /// The load there.
    pub worst: u128,
    /// The arrivals that have begun there.
    pub arrived: Vec<u32>,
    /// The departures that must have ended there.
    pub left: Vec<u32>,
}

/// Counters are looked at together until they ask so often whether one step waits for another ...
const QUESTIONS: usize = 1 << 20;

/// ... or about so many departures.
const DEPARTURES: usize = 1024;

/// A counter with so many questions is looked at on its own, in the whole order.
const TOO_MANY: usize = 1 << 22;

impl Counter {
    /// Whether it keeps its limit even if everything arrives and nothing leaves.
    fn is_easy(&self) -> bool {
        self.base + self.arrivals.iter().map(|event| event.weight).sum::<u128>() <= self.limit
    }

    fn questions(&self) -> usize {
        self.arrivals.len() * self.departures.len()
    }

    /// Only with what steps before `end` bring.
    fn before(&self, end: Option<u32>) -> &[Event] {
        let count = end.map_or(self.arrivals.len(), |end| self.arrivals.partition_point(|event| event.step < end));
        &self.arrivals[..count]
    }
}

/// The excess with the lowest step, and of these that of the first counter.
pub(crate) fn first_excess(order: &Order, counters: &[Counter]) -> Option<Excess> {
    first_excess_within(order, counters, TOO_MANY)
}

fn first_excess_within(order: &Order, counters: &[Counter], too_many: usize) -> Option<Excess> {
    let mut first: Option<Excess> = None;
    let hard: Vec<usize> = (0..counters.len()).filter(|c| !counters[*c].is_easy()).collect();
    let mut rest = &hard[..];
    while !rest.is_empty() {
        let (mut questions, mut departures) = (0, HashSet::new());
        let more = |c: &&usize| {
            let counter = &counters[**c];
            let fits = questions == 0 || (questions < QUESTIONS && departures.len() < DEPARTURES);
            questions += counter.questions().max(1);
            departures.extend(counter.departures.iter().map(|event| event.step));
            fits
        };
        let count = rest.iter().take_while(more).count();
        let (now, later) = rest.split_at(count);
        rest = later;
        let is_small = |c: &usize| counters[*c].base > counters[*c].limit || counters[*c].questions() <= too_many;
        let (answers, mut begin) = (ask(order, now.iter().filter(|c| is_small(c)).map(|c| &counters[*c])), 0);
        for c in now {
            let (counter, end) = (&counters[*c], first.as_ref().map(|excess| excess.step));
            let found = if is_small(c) {
                let waits = Waits { answers: &answers, begin, departures: counter.departures.len() };
                begin += counter.questions();
                if counter.base > counter.limit {
                    overfull(counter, counter.before(end), &waits)
                } else {
                    by_answers(counter, counter.before(end), &waits)
                }
            } else {
                by_whole_order(counter, counter.before(end), order)
            };
            if let Some(mut excess) = found {
                excess.counter = *c;
                first = Some(excess);
            }
        }
    }
    first
}

/// For each counter and each of its arrivals, whether it waits for each of the departures.
fn ask<'c>(order: &Order, counters: impl Iterator<Item = &'c Counter>) -> Vec<bool> {
    let mut pairs = Vec::new();
    for counter in counters {
        for arrival in &counter.arrivals {
            pairs.extend(counter.departures.iter().map(|departure| (arrival.step, departure.step)));
        }
    }
    order.waits(&pairs)
}

/// The answers about one counter.
struct Waits<'a> {
    answers: &'a [bool],
    begin: usize,
    departures: usize,
}

impl Waits<'_> {
    fn of(&self, arrival: usize) -> &[bool] {
        let begin = self.begin + arrival * self.departures;
        &self.answers[begin..begin + self.departures]
    }
    /// The departures that the arrival waits for.
    fn awaited(&self, arrival: usize) -> impl Iterator<Item = usize> {
        self.of(arrival).iter().enumerate().filter(|(_, waits)| **waits).map(|(d, _)| d)
    }
}

/// With arrivals and departures as the nodes of the network.
fn by_answers(counter: &Counter, arrivals: &[Event], waits: &Waits<'_>) -> Option<Excess> {
    let count = arrivals.len() as u32;
    let mut network = Network::new(arrivals.len() + counter.departures.len());
    for a in 0..arrivals.len() {
        waits.awaited(a).for_each(|d| network.connect(a as u32, count + d as u32));
    }
    let nodes: Vec<u32> = (0..count).collect();
    let keeps: Vec<u32> = (0..counter.departures.len() as u32).map(|d| count + d).collect();
    fill(counter, arrivals, network, &nodes, &keeps)
}

/// With all steps as the nodes of the network: for a counter that very many steps are about.
fn by_whole_order(counter: &Counter, arrivals: &[Event], order: &Order) -> Option<Excess> {
    let mut network = Network::new(order.len());
    for step in 0..order.len() as u32 {
        order.after(step).iter().for_each(|earlier| network.connect(step, *earlier));
    }
    let steps = |events: &[Event]| events.iter().map(|event| event.step).collect::<Vec<u32>>();
    fill(counter, arrivals, network, &steps(arrivals), &steps(&counter.departures))
}

/// Lets the arrivals begin one after the other, until the limit cannot be kept. `givers` and `keepers` are their nodes and those
/// of the departures.
fn fill(
    counter: &Counter,
    arrivals: &[Event],
    mut network: Network,
    givers: &[u32],
    keepers: &[u32],
) -> Option<Excess> {
    for (departure, node) in counter.departures.iter().zip(keepers) {
        network.keep(*node, departure.weight);
    }
    // What would be there if nothing had left, and what is sent of it.
    let (mut all, mut sent) = (counter.base, 0);
    for (a, arrival) in arrivals.iter().enumerate() {
        all += arrival.weight;
        network.give(givers[a], arrival.weight);
        let wanted = all.saturating_sub(counter.limit + sent);
        match network.send(wanted) {
            Ok(more) => sent += more,
            Err(more) => {
                let of = |events: &[Event], nodes: &[u32]| {
                    let reached = events.iter().zip(nodes).filter(|(_, node)| network.reached(**node));
                    reached.map(|(event, _)| event.step).collect()
                };
                return Some(Excess {
                    counter: 0,
                    step: arrival.step,
                    worst: all - sent - more,
                    arrived: of(&arrivals[..=a], givers),
                    left: of(&counter.departures, keepers),
                });
            }
        }
    }
    None
}

/// For a counter that is over its limit at first: that is nobody's fault, but whatever arrives must find it within.
///
/// So for each arrival what is worst when it has begun: it is there, what it waits for has left, and of the earlier arrivals as
/// many as can be.
fn overfull(counter: &Counter, arrivals: &[Event], waits: &Waits<'_>) -> Option<Excess> {
    for (a, arrival) in arrivals.iter().enumerate() {
        let mut rest = Counter { base: counter.base + arrival.weight, ..counter.clone() };
        for d in waits.awaited(a) {
            // Added to the limit, and not taken from the load: what has left may have come only on the way.
            rest.limit += std::mem::take(&mut rest.departures[d].weight);
        }
        let gone: Vec<u32> = waits.awaited(a).map(|d| counter.departures[d].step).collect();
        let credit = rest.limit - counter.limit;
        let found = if rest.base > rest.limit {
            Some(Excess { counter: 0, step: arrival.step, worst: rest.base, arrived: Vec::new(), left: Vec::new() })
        } else {
            by_answers(&rest, &arrivals[..a], waits)
        };
        if let Some(mut excess) = found {
            excess.step = arrival.step;
            excess.worst -= credit;
            excess.arrived.push(arrival.step);
            excess.left.extend(gone);
            excess.left.sort_unstable();
            excess.left.dedup();
            return Some(excess);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every set of steps that is closed under waiting, as bits: those that have begun, all that they wait for having ended.
    fn worst_by_brute_force(after: &[Vec<u32>], counter: &Counter, steps: u32) -> Option<u128> {
        let bits = |list: &[u32]| list.iter().fold(0u32, |bits, step| bits | 1 << step);
        let mut all_before = vec![0u32; after.len()];
        for (step, awaited) in after.iter().enumerate() {
            all_before[step] = awaited.iter().fold(bits(awaited), |all, a| all | all_before[*a as usize]);
        }
        let mut worst = None;
        for begun in 0u32..1 << steps {
            let ended = (0..steps).filter(|s| begun >> s & 1 == 1).fold(0, |all, s| all | all_before[s as usize]);
            if ended & !begun != 0 {
                continue;
            }
            let sum = |events: &[Event], set: u32| -> u128 {
                events.iter().filter(|event| set >> event.step & 1 == 1).map(|event| event.weight).sum()
            };
            let anything = counter.arrivals.iter().any(|event| begun >> event.step & 1 == 1);
            if anything || counter.base <= counter.limit {
                let load = counter.base + sum(&counter.arrivals, begun) - sum(&counter.departures, ended);
                worst = worst.max(Some(load));
            }
        }
        worst
    }

    proptest! {
        #[test]
        fn both_networks_find_what_going_through_all_states_finds(
            edges in proptest::collection::vec(0u8..4, 8 * 7 / 2),
            kinds in proptest::collection::vec((0u8..3, 1u128..5), 8),
            (limit, over) in (0u128..12, -2i128..3),
        ) {
            let mut edge = edges.into_iter();
            let after: Vec<Vec<u32>> = (0..8).map(|a| (0..a).filter(|_| edge.next() == Some(0)).collect()).collect();
            let order = Order::new(after.iter().map(Vec::as_slice));
            let of = |wanted: u8| {
                let events = kinds.iter().enumerate().filter(move |(_, (kind, _))| *kind == wanted);
                events.map(|(step, (_, weight))| Event { step: step as u32, weight: *weight }).collect::<Vec<_>>()
            };
            let (arrivals, departures) = (of(0), of(1));
            // Enough is there for all that leaves.
            let there: u128 = departures.iter().map(|event| event.weight).sum();
            let counter = Counter {
                base: there + limit.saturating_add_signed(over),
                limit: there + limit,
                arrivals,
                departures,
            };
            let first_bad = (1..=8).find(|steps| {
                worst_by_brute_force(&after, &counter.cut(*steps), *steps).is_some_and(|worst| worst > counter.limit)
            });
            let found = first_excess(&order, std::slice::from_ref(&counter));
            prop_assert_eq!(found.as_ref().map(|excess| excess.step + 1), first_bad);
            if counter.base <= counter.limit {
                let other = first_excess_within(&order, std::slice::from_ref(&counter), 0);
                prop_assert_eq!(&other, &found);
                if let (Some(steps), Some(found)) = (first_bad, &found) {
                    prop_assert_eq!(worst_by_brute_force(&after, &counter.cut(steps), steps), Some(found.worst));
                }
            }
        }
    }

    impl Counter {
        fn cut(&self, steps: u32) -> Counter {
            let until = |events: &[Event]| events.iter().filter(|e| e.step < steps).copied().collect();
            Counter { arrivals: until(&self.arrivals), departures: until(&self.departures), ..self.clone() }
        }
    }
}
