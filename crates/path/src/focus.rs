//! What is left over in a large pool is searched for close by.
//!
//! For one item after another: the item, its host, its goal and a few hosts with the most room make a core, and search brings
//! the item to its goal with all others of the core back where they belong. Without success the core grows, twice as many helpers each
//! time. Every stage is sound: hosts outside are only kept as they are.

use crate::budget::Purse;
use crate::core::Core;
use crate::problem::Hop;
use crate::search::{Found, GREEDY, Search};
use crate::state::State;

/// Helpers in the first, second, … core for an item.
const HELPERS: [usize; 4] = [2, 4, 8, 16];
/// States that may be expanded in one core.
const EXPANSIONS: u64 = 2_000;

/// Goes on from where `hops` end; the longer sequence, and whether all items are at their goals then.
pub(crate) fn finish(home: &State<'_>, mut hops: Vec<Hop>, purse: &mut Purse<'_>) -> (Vec<Hop>, bool) {
    let problem = home.problem;
    let mut state = home.clone();
    for hop in &hops {
        state.go(hop.item, hop.to);
    }
    purse.stage = "searching close by";
    let mut progress = true;
    while progress {
        progress = false;
        let left: Vec<u32> = state.pending().collect();
        for item in &left {
            purse.left = left.len();
            if state.at[*item as usize] == problem.items[*item as usize].goal {
                continue;
            }
            let found = HELPERS.iter().find_map(|helpers| around(&state, *item, *helpers, purse));
            let Some(found) = found else { continue };
            progress = true;
            for hop in &found {
                state.go(hop.item, hop.to);
            }
            hops.extend(found);
        }
        if purse.stopped.is_some() {
            break;
        }
    }
    let all = state.pending().next().is_none();
    (hops, all)
}

fn around(state: &State<'_>, item: u32, helpers: usize, purse: &mut Purse<'_>) -> Option<Vec<Hop>> {
    let problem = state.problem;
    let (here, goal) = (state.at[item as usize], problem.items[item as usize].goal);
    let mut hosts = vec![here, goal];
    let mut others: Vec<u32> = (0..problem.hosts as u32).filter(|host| !hosts.contains(host)).collect();
    let room = |host: &u32| {
        // The least of the kinds, each as a part of what the item asks.
        let parts = state.free(*host).iter().zip(problem.size(item));
        parts.map(|(free, size)| i128::from(*free) * 1000 / i128::from((*size).max(1))).min().unwrap_or(0)
    };
    others.retain(|host| problem.may_be(item, *host));
    others.sort_by_key(|host| (std::cmp::Reverse(room(host)), *host));
    hosts.extend(others.into_iter().take(helpers));
    let mut items: Vec<u32> = hosts.iter().flat_map(|host| state.residents(*host)).copied().collect();
    items.sort_unstable();
    let mut core = Core::new(state, items, hosts);
    core.count_every_move();
    let start = core.key(&state.at);
    let mut search = Search::new(&core, &start, GREEDY, u64::MAX);
    match search.go_on(EXPANSIONS, purse) {
        Found::Way(steps, _) => Some(core.hops(&steps, &mut state.at.clone())),
        Found::Nothing | Found::NotYet => None,
    }
}
