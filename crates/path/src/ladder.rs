//! The ladder: what is cheap and settles most comes first, what is dear and settles everything last.
//!
//! 1. B itself is looked at ([`crate::ends`]), then what can never move ([`crate::frozen`]): two proofs that cost next to nothing.
//! 2. Where all that moves has one shape the fewest moves are known ([`crate::shapes`]).
//! 3. Direct moves and chains that make room ([`crate::greedy`]): these settle whole clusters. Sane moves that can be undone lose no
//!    way to B, so nothing is at stake but cost.
//!    Where they do not get to the end and all that moves is of divisible flavours, a way is constructed ([`crate::flavours`]);
//!    with other sizes, in large tasks, room is gathered the same way as far as it goes ([`crate::holes`]).
//! 4. Hosts that no VM can leave for each other are separate **pools**. In each pool of a size that can be searched, a cheaper way than
//!    the one at hand is looked for; and where there is none at hand, search for any way and exploration of everything take turns
//!    ([`crate::search`], [`crate::explore`]), each time twice as long: the one is quick where there is a way, the other where there is none.
//! 5. What is left over in pools that are too large for that is searched for in the neighbourhood of each item ([`crate::focus`]).
//!
//! Completeness: exploration of a pool ends with a way or a proof, given enough budget, and it always begins at A, so moves that
//! cannot be undone do not matter.

use ulm_model::{Certificate, End};

use crate::budget::Purse;
use crate::core::Core;
use crate::ends::breach_of_b;
use crate::explore::{Exploration, Explored};
use crate::flavours::divisible;
use crate::focus;
use crate::frozen::frozen;
use crate::greedy::Greedy;
use crate::holes;
use crate::improve;
use crate::pools::{Pool, pools};
use crate::problem::{Hop, Problem};
use crate::search::{EXACT, Found, GREEDY, Search, TWICE};
use crate::shapes::equal_shapes;
use crate::state::State;

/// A sequence of hops, or what else came of it.
pub(crate) enum Climbed {
    /// From A to B.
    There(Vec<Hop>),
    /// There is no way.
    Impossible(Certificate),
    /// As near to B as was found.
    Stuck(Vec<Hop>),
}

/// Greedy runs with chance, when the first one does not get there.
const RETRIES: u64 = 12;
/// Items times hosts up to which a pool is searched as a whole.
const SEARCHABLE: usize = 20_000;
/// Items times hosts up to which a pool is searched as a whole first, and not around the items that are left.
const AS_A_WHOLE: usize = 1_500;
/// Work, in items times hosts times expansions, that may go into a cheaper way for one pool.
const POLISH: u64 = 1_500_000;

/// Climbs the ladder.
pub(crate) fn climb(problem: &Problem<'_>, purse: &mut Purse<'_>) -> Climbed {
    if let Some(breach) = breach_of_b(problem.task) {
        return Climbed::Impossible(Certificate::Unsound { breach });
    }
    let mut fixed = vec![false; problem.items.len()];
    for from in [End::A, End::B] {
        let frozen = frozen(problem, from);
        if (0..frozen.len()).any(|i| frozen[i] && problem.items[i].home != problem.items[i].goal) {
            return Climbed::Impossible(frozen_certificate(problem, from, &frozen));
        }
        fixed.iter_mut().zip(frozen).for_each(|(fixed, frozen)| *fixed |= frozen);
    }
    let home = State::home(problem);
    if let Some(hops) = equal_shapes(&home, &fixed) {
        return Climbed::There(hops);
    }
    purse.stage = "making room";
    let mut best = Greedy::run(home.clone(), 0);
    let mut left = best.left();
    purse.spend(best.work / 8);
    let small = problem.items.len() < 20_000;
    for noise in 1..=RETRIES {
        purse.left = left.len();
        if left.is_empty() || !small || purse.has_spent(25) || purse.look() {
            break;
        }
        let again = Greedy::run(home.clone(), noise);
        purse.spend(again.work / 8);
        if again.left().len() < left.len() {
            left = again.left();
            best = again;
        }
    }
    purse.left = left.len();
    if !left.is_empty()
        && let Some(hops) = divisible(&home, &fixed)
    {
        return Climbed::There(improve::improved(&home, hops, purse));
    }
    let mut hops = best.trail;
    if !left.is_empty() && problem.items.len() * problem.hosts > AS_A_WHOLE {
        let (filled, all) = holes::filled(&home, &hops, &fixed, purse);
        if all {
            (hops, left) = (filled, Vec::new());
        }
    }
    let mut hops = improve::improved(&home, hops, purse);
    let mut there = true;
    for pool in pools(problem, &fixed).into_iter().filter(|pool| pool.pending) {
        let own: Vec<Hop> = hops.iter().copied().filter(|hop| pool.has(hop.from)).collect();
        let open = left.iter().any(|item| pool.has(problem.items[*item as usize].home));
        let way = match settled(&home, &pool, own, open, purse) {
            Settled::Way(way) => way,
            Settled::None(certificate) => return Climbed::Impossible(certificate),
            Settled::Not(way) => {
                there = false;
                way
            }
        };
        hops.retain(|hop| !pool.has(hop.from));
        hops.extend(way);
    }
    if there { Climbed::There(hops) } else { Climbed::Stuck(hops) }
}

/// What becomes of a pool.
enum Settled {
    /// All its items get to their goals.
    Way(Vec<Hop>),
    /// There is no way.
    None(Certificate),
    /// So far it goes.
    Not(Vec<Hop>),
}

/// Settles one pool, beginning with the hops at hand; `open`: these do not bring everything home.
fn settled(home: &State<'_>, pool: &Pool, own: Vec<Hop>, open: bool, purse: &mut Purse<'_>) -> Settled {
    let size = pool.items.len() * pool.hosts.len();
    let searchable = pool.hosts.len() <= Core::HOSTS && size <= SEARCHABLE;
    let mut own = own;
    if open {
        if size > AS_A_WHOLE {
            let (way, all) = focus::finish(home, own, purse);
            if all {
                return Settled::Way(way);
            }
            own = way;
        }
        if !searchable {
            return Settled::Not(own);
        }
        match decided(home, pool, purse) {
            Decided::Way(way) => own = way,
            Decided::None(certificate) => return Settled::None(certificate),
            Decided::Not => return Settled::Not(own),
        }
    }
    Settled::Way(if searchable { polished(home, pool, own, purse) } else { own })
}

enum Decided {
    Way(Vec<Hop>),
    None(Certificate),
    Not,
}

/// Search for any way, and exploration of everything, in turns.
fn decided(home: &State<'_>, pool: &Pool, purse: &mut Purse<'_>) -> Decided {
    let mut core = Core::new(home, pool.items.clone(), pool.hosts.clone());
    core.count_every_move();
    let start = core.key(&home.at);
    let mut search = Search::new(&core, &start, GREEDY, u64::MAX);
    let mut exploration = Exploration::new(&core, &start);
    let way = |steps: &[(u16, u8, u8)]| Decided::Way(core.hops(steps, &mut home.at.clone()));
    let mut turn = 200;
    let (mut may_search, mut may_explore) = (true, true);
    while (may_search || may_explore) && !purse.is_over() {
        if may_search {
            purse.stage = "searching";
            match search.go_on(turn, purse) {
                Found::Way(steps, _) => return way(&steps),
                // All that can be reached was seen: exploration tells the same, with a proof.
                Found::Nothing => may_search = false,
                Found::NotYet => may_search = purse.stopped.is_none(),
            }
        }
        if may_explore {
            purse.stage = "exploring";
            match exploration.go_on(turn, purse) {
                Explored::Way(steps) => return way(&steps),
                Explored::None(from) => return Decided::None(exploration.certificate(from)),
                Explored::NotYet => may_explore = purse.stopped.is_none(),
            }
        }
        turn *= 2;
    }
    Decided::Not
}

/// A way that costs less than the one at hand, if one is found soon.
fn polished(home: &State<'_>, pool: &Pool, way: Vec<Hop>, purse: &mut Purse<'_>) -> Vec<Hop> {
    let problem = home.problem;
    let cost = |way: &[Hop]| way.iter().map(|hop| problem.move_cost(hop.item, hop.from, hop.to)).sum::<u64>();
    let at_hand = cost(&way);
    let core = Core::new(home, pool.items.clone(), pool.hosts.clone());
    let start = core.key(&home.at);
    // Where every pending item moves once, say, there is nothing to win.
    if at_hand <= core.least_cost_of(&start) {
        return way;
    }
    let expansions = (POLISH / (pool.items.len() * pool.hosts.len()).max(1) as u64).clamp(50, 20_000);
    purse.stage = "looking for a cheaper way";
    let (mut best, mut best_cost) = (way, at_hand);
    for (weights, expansions) in [(TWICE, expansions / 4), (EXACT, expansions)] {
        let mut search = Search::new(&core, &start, weights, best_cost);
        if let Found::Way(steps, cost) = search.go_on(expansions, purse) {
            (best, best_cost) = (core.hops(&steps, &mut home.at.clone()), cost);
        }
    }
    best
}

fn frozen_certificate(problem: &Problem<'_>, from: End, frozen: &[bool]) -> Certificate {
    let items = problem.items.iter().zip(frozen).filter(|(_, frozen)| **frozen);
    let mut vms: Vec<u32> = items.flat_map(|(item, _)| item.vms.iter().copied()).collect();
    // Those that may not move are frozen, too, and what they take is taken.
    let mut moves = vec![false; problem.task.vms.len()];
    problem.items.iter().flat_map(|item| &item.vms).for_each(|vm| moves[*vm as usize] = true);
    vms.extend((0..moves.len() as u32).filter(|vm| !moves[*vm as usize]));
    vms.sort_unstable();
    Certificate::Frozen { from, vms }
}
