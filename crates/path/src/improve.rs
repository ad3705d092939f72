//! Sequences made cheaper without searching the whole again.
//!
//! An item that makes several hops was parked: each parking costs. Two ways to do without are tried for each parking, in one pass
//! over the sequence, always from the placement that the sequence has reached there:
//!
//! * **Shortcut.** The parking is left out: the item waits where it is until its next hop, or makes that hop at once; if all
//!   hops of others in between stay sane, nobody misses it.
//! * **Window.** The hops from the parking to the next hop of the item that touch the same hosts are a small task of their own, from
//!   the placement before to the placement after: A* looks for a cheaper way with those items and the small ones beside
//!   them. All other hops in between touch none of these hosts, so they can as well come after.
//!
//! A pass never makes the sequence dearer, and every hop stays sane.

use std::collections::BTreeSet;

use crate::budget::Purse;
use crate::core::Core;
use crate::problem::{Hop, Problem};
use crate::search::{EXACT, Found, Search};
use crate::state::State;

/// A parking is looked at only if the item goes on within so many hops.
const AHEAD: usize = 400;
/// Windows are opened in sequences of at most so many hops: in longer ones they won a few hundredths of a per cent for twice the time.
const WINDOWED: usize = 1_000;
/// Hosts in a window.
const HOSTS: usize = 6;
/// Items in a window.
const ITEMS: usize = 14;
/// States that may be expanded in one window.
const EXPANSIONS: u64 = 300;

/// The same way, or one to the same placement that costs less.
pub(crate) fn improved(home: &State<'_>, hops: Vec<Hop>, purse: &mut Purse<'_>) -> Vec<Hop> {
    purse.stage = "looking for a cheaper way";
    let problem = home.problem;
    let windows = hops.len() <= WINDOWED
        && problem.extra.is_empty()
        && problem.counters.iter().all(|counter| counter.is_by_host());
    let mut rest = hops;
    rest.reverse();
    // For each item the hops that are still to come: an item with two or more is parked by the next one.
    let mut to_come = vec![0u32; problem.items.len()];
    rest.iter().for_each(|hop| to_come[hop.item as usize] += 1);
    let mut state = home.clone();
    let mut done = Vec::with_capacity(rest.len());
    while let Some(first) = rest.last().copied() {
        let ahead = if to_come[first.item as usize] > 1 && !purse.is_over() { AHEAD } else { 0 };
        let later = rest.iter().rev().skip(1).take(ahead).position(|later| later.item == first.item);
        if let Some(between) = later {
            let begin = rest.len() - 2 - between;
            let better = match shortcut(&mut state, &rest[begin..]) {
                None if windows => window(&state, &rest[begin..], purse),
                better => better,
            };
            if let Some(better) = better {
                rest[begin..].iter().for_each(|hop| to_come[hop.item as usize] -= 1);
                better.iter().for_each(|hop| to_come[hop.item as usize] += 1);
                replace(&mut rest, begin, better);
            }
        }
        // What comes first now is made as it is, so that the pass gets on.
        let Some(hop) = rest.pop() else { break };
        to_come[hop.item as usize] -= 1;
        state.go(hop.item, hop.to);
        done.push(hop);
    }
    done
}

/// Puts hops, in order, in the place of the last ones of a list that runs backwards.
fn replace(rest: &mut Vec<Hop>, from: usize, hops: Vec<Hop>) {
    rest.truncate(from);
    rest.extend(hops.into_iter().rev());
}

fn cost(problem: &Problem<'_>, hops: &[Hop]) -> u64 {
    hops.iter().map(|hop| problem.move_cost(hop.item, hop.from, hop.to)).sum()
}

/// Does without the first hop of a stretch (which runs backwards, and begins and ends with hops of one item).
fn shortcut(state: &mut State<'_>, stretch: &[Hop]) -> Option<Vec<Hop>> {
    let problem = state.problem;
    let (park, on) = (stretch[stretch.len() - 1], stretch[0]);
    let between: Vec<Hop> = stretch[1..stretch.len() - 1].iter().rev().copied().collect();
    if park.from == on.to {
        // There and back: perhaps it need not leave at all.
        return is_sane(state, &between).then_some(between);
    }
    let straight = Hop { from: park.from, ..on };
    if cost(problem, &[straight]) >= cost(problem, &[park, on]) {
        return None;
    }
    let late: Vec<Hop> = between.iter().copied().chain([straight]).collect();
    if is_sane(state, &late) {
        return Some(late);
    }
    let soon: Vec<Hop> = [straight].into_iter().chain(between).collect();
    is_sane(state, &soon).then_some(soon)
}

/// Whether all hops can be made one after the other; the state is as before afterwards.
fn is_sane(state: &mut State<'_>, hops: &[Hop]) -> bool {
    let mut made = Vec::with_capacity(hops.len());
    let mut sane = true;
    for hop in hops {
        if !state.admits(hop.item, hop.to) {
            sane = false;
            break;
        }
        made.push(state.go(hop.item, hop.to));
    }
    made.into_iter().rev().for_each(|hop| state.undo(hop));
    sane
}

/// A cheaper way for the hops of a stretch (which runs backwards) that touch the hosts of its first; the other hops come after it.
fn window(state: &State<'_>, stretch: &[Hop], purse: &mut Purse<'_>) -> Option<Vec<Hop>> {
    let problem = state.problem;
    let park = stretch[stretch.len() - 1];
    let mut hosts = BTreeSet::from([park.from, park.to, stretch[0].to]);
    // Every hop that touches one of the hosts belongs to the window, with both its hosts.
    loop {
        let touching = stretch.iter().filter(|hop| hosts.contains(&hop.from) || hosts.contains(&hop.to));
        let more: BTreeSet<u32> = touching.flat_map(|hop| [hop.from, hop.to]).collect();
        if more.len() > HOSTS {
            return None;
        }
        if more.is_subset(&hosts) {
            break;
        }
        hosts.extend(more);
    }
    let (inside, outside): (Vec<Hop>, Vec<Hop>) = stretch.iter().rev().partition(|hop| hosts.contains(&hop.from));
    let mut after = state.at.clone();
    inside.iter().for_each(|hop| after[hop.item as usize] = hop.to);
    let mut items: BTreeSet<u32> = inside.iter().map(|hop| hop.item).collect();
    // The cheapest of the others may be of use.
    let mut others: Vec<u32> = hosts.iter().flat_map(|host| state.residents(*host)).copied().collect();
    others.retain(|item| !items.contains(item));
    others.sort_by_key(|item| (problem.items[*item as usize].least, *item));
    items.extend(others.into_iter().take(ITEMS.saturating_sub(items.len())));
    if items.len() > ITEMS {
        return None;
    }
    let items: Vec<u32> = items.into_iter().collect();
    let goals: Vec<u32> = items.iter().map(|item| after[*item as usize]).collect();
    let core = Core::to(state, items, hosts.into_iter().collect(), &goals);
    let start = core.key(&state.at);
    let mut search = Search::new(&core, &start, EXACT, cost(problem, &inside));
    let Found::Way(steps, _) = search.go_on(EXPANSIONS, purse) else { return None };
    let mut better = core.hops(&steps, &mut state.at.clone());
    better.extend(outside);
    Some(better)
}
