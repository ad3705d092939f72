//! Direct moves as far as they go, then room is made: the work-horse for large tasks.
//!
//! # Method
//!
//! 1. **Safe hosts.** A host that has room for all its pending arrivals takes them at once: in any order of direct moves they could be
//!    brought to the front, for the host needs nobody to leave and the sources only gain. Where hosts do not wait for each other in a
//!    circle this alone finishes: the host that waits for nobody is safe, then those that waited for it.
//! 2. **Other direct moves** that fit, those first that relieve their source of what it lacks for its own arrivals.
//! 3. **Room is made** when nothing fits: for a blocked arrival its host's residents are moved on (to their goals if these take them,
//!    else to the host that they harm least, else room is made there first, up to a depth). All blocked arrivals are tried
//!    out and the cheapest chain is made as a whole, the arrival included: committing whole chains is what keeps it from going in circles.
//!
//! # What it guarantees
//!
//! Every hop is sane when it is made. Where every sane move can be undone (no draining hosts, no one-way CPUs) no way to B is lost. It may
//! end with items that are not at their goals: then nothing is known. An item that is moved out of the way again and again becomes ever
//! dearer to move, and the number of chains is bounded.
//!
//! # Complexity
//!
//! Direct moves cost O(log M) each; a chain tries at most [`NODES`] evictions, each of which looks at the residents of a host and at a
//! few hosts by the room that they have.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::mixed::mixed;
use crate::problem::{Hop, NONE, Problem};
use crate::state::State;

/// Evictions that one try to make room may look at.
const NODES: u32 = 400;
/// Residents of a host that are tried as the ones to go, the most promising first.
const EVICTED: usize = 8;
/// Hosts that are looked at for an evicted item, the fullest that have room first.
const LOOKED_AT: usize = 80;
/// Of these, so many that take it are compared.
const COMPARED: usize = 40;
/// Full hosts on which room is made for an evicted item.
const DEEPER: usize = 6;
/// Chains are at most so deep.
const DEPTH: u32 = 4;

/// What came of it.
pub(crate) struct Greedy<'p> {
    /// The placement at the end.
    pub state: State<'p>,
    /// What was done, in order.
    pub trail: Vec<Hop>,
    /// Work done: evictions looked at.
    pub work: u64,
    /// Pending items by goal: what each host still waits for.
    arrivals: Vec<Vec<u32>>,
    /// Where each pending item stands in its goal's list.
    place: Vec<u32>,
    /// What each host's pending arrivals ask, by host and kind.
    wanted: Vec<i64>,
    /// Hosts by what they can give of the scarcest kind.
    by_free: BTreeSet<(i64, u32)>,
    /// The scarcest kind of resource.
    scarce: usize,
    /// By kind what one unit is worth, for comparing kinds: a mean host is worth 2^20.
    worth: Vec<f64>,
    /// Hosts whose arrivals may have become possible.
    dirty: Vec<u32>,
    is_dirty: Vec<bool>,
    /// How often each item was moved out of the way.
    evicted: Vec<u32>,
    /// Direct moves that fitted when they were entered, the best first.
    ready: BinaryHeap<(i64, Reverse<u32>)>,
    /// What was parked on each host, by bulk: where much was, others have to wait for it.
    parked: Vec<i64>,
    /// Chance, for trying again in another way; 0 for none.
    noise: u64,
}

/// One try to make room.
struct Chain {
    hops: Vec<Hop>,
    items: Vec<u32>,
    hosts: Vec<u32>,
    cost: u64,
    nodes: u32,
}

/// How far a chain was at some point.
struct Mark {
    hops: usize,
    items: usize,
    hosts: usize,
    cost: u64,
}

impl<'p> Greedy<'p> {
    /// Goes from a placement towards B as far as it can. `noise` other than 0 varies the choices.
    pub fn run(state: State<'p>, noise: u64) -> Self {
        let mut greedy = Greedy::new(state, noise);
        greedy.direct();
        greedy.make_room_everywhere();
        greedy.take_back_what_was_in_vain();
        greedy
    }

    /// When it does not get to the end: back to where the fewest items were left, for the first time.
    fn take_back_what_was_in_vain(&mut self) {
        let mut left = self.left().len() as i64;
        if left == 0 {
            return;
        }
        // From the end backwards: how many were left before each hop.
        let (mut fewest, mut keep) = (left, self.trail.len());
        for (before, hop) in self.trail.iter().enumerate().rev() {
            let goal = self.goal(hop.item);
            left += i64::from(hop.to == goal) - i64::from(hop.from == goal);
            if left <= fewest {
                (fewest, keep) = (left, before);
            }
        }
        while self.trail.len() > keep {
            let hop = self.trail.pop().expect("there are more");
            self.shift(hop.item, hop.from);
        }
    }

    fn new(state: State<'p>, noise: u64) -> Self {
        let problem = state.problem;
        let (hosts, kinds) = (problem.hosts, problem.kinds);
        let mut had = vec![1i128; kinds];
        let mut free = vec![0i128; kinds];
        for h in 0..hosts {
            for k in 0..kinds {
                had[k] += i128::from(problem.room[h * kinds + k]);
                free[k] += i128::from(state.free[h * kinds + k]);
            }
        }
        let scarce = (0..kinds).min_by_key(|k| free[*k] * 1_000_000 / had[*k]).unwrap_or(0);
        let worth = had.iter().map(|had| hosts as f64 * f64::from(1 << 20) / *had as f64).collect();
        let mut greedy = Greedy {
            trail: Vec::new(),
            work: 0,
            arrivals: vec![Vec::new(); hosts],
            place: vec![NONE; problem.items.len()],
            wanted: vec![0; hosts * kinds],
            by_free: BTreeSet::new(),
            scarce,
            worth,
            dirty: Vec::new(),
            is_dirty: vec![false; hosts],
            evicted: vec![0; problem.items.len()],
            ready: BinaryHeap::new(),
            parked: vec![0; hosts],
            noise,
            state,
        };
        for item in 0..problem.items.len() as u32 {
            if greedy.is_pending(item) {
                greedy.await_arrival(item);
            }
        }
        for host in 0..hosts as u32 {
            let key = greedy.free_key(host);
            greedy.by_free.insert(key);
            greedy.touch(host);
        }
        greedy
    }

    /// Items that are not at their goals.
    pub fn left(&self) -> Vec<u32> {
        self.state.pending().collect()
    }

    fn problem(&self) -> &'p Problem<'p> {
        self.state.problem
    }

    fn goal(&self, item: u32) -> u32 {
        self.problem().items[item as usize].goal
    }

    fn is_pending(&self, item: u32) -> bool {
        self.state.at[item as usize] != self.goal(item)
    }

    fn free_key(&self, host: u32) -> (i64, u32) {
        (self.state.free(host).get(self.scarce).copied().unwrap_or(0), host)
    }

    fn await_arrival(&mut self, item: u32) {
        let goal = self.goal(item) as usize;
        self.place[item as usize] = self.arrivals[goal].len() as u32;
        self.arrivals[goal].push(item);
        self.want(item, goal, 1);
    }

    fn await_no_more(&mut self, item: u32) {
        let goal = self.goal(item) as usize;
        let place = self.place[item as usize] as usize;
        self.arrivals[goal].swap_remove(place);
        if let Some(moved) = self.arrivals[goal].get(place) {
            self.place[*moved as usize] = place as u32;
        }
        self.want(item, goal, -1);
    }

    fn want(&mut self, item: u32, goal: usize, sign: i64) {
        let problem = self.problem();
        for (wanted, size) in self.wanted[goal * problem.kinds..].iter_mut().zip(problem.size(item)) {
            *wanted += sign * size;
        }
    }

    /// Makes a hop and keeps the books; what it may have made possible is not noted.
    fn shift(&mut self, item: u32, to: u32) -> Hop {
        let from = self.state.at[item as usize];
        for host in [from, to] {
            let key = self.free_key(host);
            self.by_free.remove(&key);
        }
        let goal = self.goal(item);
        if to == goal {
            self.await_no_more(item);
        } else if from == goal {
            self.await_arrival(item);
        }
        let hop = self.state.go(item, to);
        for host in [from, to] {
            let key = self.free_key(host);
            self.by_free.insert(key);
        }
        hop
    }

    /// Notes a hop that stays made.
    fn commit(&mut self, hop: Hop) {
        self.trail.push(hop);
        self.touch(hop.from);
        let item = &self.problem().items[hop.item as usize];
        for (c, _) in &item.counted {
            let domain = &self.problem().counters[*c as usize].domain;
            let d = domain[hop.from as usize];
            if d != NONE && d != domain[hop.to as usize] {
                (0..domain.len()).filter(|h| domain[*h] == d).for_each(|h| self.touch(h as u32));
            }
        }
        // Seen from its new place its goal may be open to it.
        if hop.to != item.goal {
            self.touch(item.goal);
        }
    }

    fn touch(&mut self, host: u32) {
        if !self.is_dirty[host as usize] && !self.arrivals[host as usize].is_empty() {
            self.is_dirty[host as usize] = true;
            self.dirty.push(host);
        }
    }

    /// Makes direct moves until none fits.
    fn direct(&mut self) {
        loop {
            while let Some(host) = self.dirty.pop() {
                self.is_dirty[host as usize] = false;
                let safe = self.lack(host) == 0;
                for item in self.arrivals[host as usize].clone() {
                    if !self.state.admits(item, host) {
                        continue;
                    }
                    if safe {
                        let hop = self.shift(item, host);
                        self.commit(hop);
                    } else {
                        self.ready.push((self.promise(item), Reverse(item)));
                    }
                }
            }
            let Some((promise, Reverse(item))) = self.ready.pop() else {
                if self.problem().extra.is_empty() || !self.look_everywhere() {
                    return;
                }
                continue;
            };
            let goal = self.goal(item);
            if !self.is_pending(item) || !self.state.admits(item, goal) {
                continue;
            }
            let now = self.promise(item);
            if now < promise && self.ready.peek().is_some_and(|(next, _)| *next > now) {
                self.ready.push((now, Reverse(item)));
                continue;
            }
            let hop = self.shift(item, goal);
            self.commit(hop);
        }
    }

    /// With rules of the caller's own anything may have become possible: whether something has.
    fn look_everywhere(&mut self) -> bool {
        for host in 0..self.problem().hosts as u32 {
            if self.arrivals[host as usize].iter().any(|item| self.state.admits(*item, host)) {
                self.touch(host);
            }
        }
        !self.dirty.is_empty()
    }

    /// An amount of a kind, comparable between kinds. One multiplication: the same on every machine.
    fn scaled(&self, kind: usize, amount: i64) -> i64 {
        ((amount as f64 * self.worth[kind]) as i64).clamp(-(1 << 58), 1 << 58)
    }

    /// What the host lacks for its pending arrivals, in its scarcest kind; 0 when it has room for all.
    fn lack(&self, host: u32) -> i64 {
        self.lack_with(host, 0, |_| 0)
    }

    fn lack_with(&self, host: u32, least: i64, further: impl Fn(usize) -> i64) -> i64 {
        let first = host as usize * self.problem().kinds;
        let lack = |(k, free): (usize, &i64)| self.scaled(k, self.wanted[first + k] + further(k) - free);
        self.state.free(host).iter().enumerate().map(lack).fold(least, i64::max)
    }

    /// How large the item is, in its largest kind.
    fn bulk(&self, item: u32) -> i64 {
        self.problem().size(item).iter().enumerate().map(|(k, size)| self.scaled(k, *size)).max().unwrap_or(0)
    }

    /// How much a direct move promises: what it relieves its source of; parked items first.
    fn promise(&self, item: u32) -> i64 {
        let (from, bulk) = (self.state.at[item as usize], self.bulk(item));
        let parked = if from == self.problem().items[item as usize].home { 0 } else { -bulk };
        2 * bulk.min(self.lack(from)) + parked + self.varied(u64::from(item), bulk / 4)
    }

    /// A number between 0 and `most` left to chance; the same for the same question.
    fn varied(&self, question: u64, most: i64) -> i64 {
        if self.noise == 0 || most <= 0 {
            return 0;
        }
        (mixed(self.noise ^ mixed(question ^ (self.trail.len() as u64) << 32)) % (most as u64 + 1)) as i64
    }

    /// Makes room for blocked arrivals, the cheapest chain first, until all are there or no chain is found.
    fn make_room_everywhere(&mut self) {
        let mut tries: BinaryHeap<Reverse<(u64, i64, u32)>> = BinaryHeap::new();
        let mut failed_at = vec![usize::MAX; self.state.at.len()];
        let mut most_chains = 20 * self.left().len() + 1000;
        let mut depth = 0;
        loop {
            if tries.is_empty() {
                // Everyone that is left, at the depth at which anything is found at all.
                let left = self.left();
                if left.is_empty() {
                    return;
                }
                for item in left {
                    if failed_at[item as usize] == self.trail.len() {
                        continue;
                    }
                    match self.try_out(item, depth) {
                        Some(cost) => tries.push(Reverse((cost, self.bulk(item), item))),
                        None => failed_at[item as usize] = self.trail.len(),
                    }
                }
                if tries.is_empty() {
                    if depth == DEPTH {
                        return;
                    }
                    depth += 1;
                    failed_at.fill(usize::MAX);
                    continue;
                }
            }
            let Some(Reverse((_, bulk, item))) = tries.pop() else { continue };
            if !self.is_pending(item) {
                continue;
            }
            let Some(chain) = self.chain(item, depth) else { continue };
            if tries.peek().is_some_and(|Reverse((next, _, _))| *next < chain.cost) {
                let cost = chain.cost;
                self.unmake(chain);
                tries.push(Reverse((cost, bulk, item)));
                continue;
            }
            if most_chains == 0 {
                self.unmake(chain);
                return;
            }
            most_chains -= 1;
            for hop in chain.hops {
                if hop.to != self.goal(hop.item) {
                    self.evicted[hop.item as usize] += 1;
                    self.parked[hop.to as usize] += self.bulk(hop.item);
                }
                self.commit(hop);
            }
            depth = 0;
            self.direct();
        }
    }

    /// What the cheapest chain that is found for the item costs; nothing is changed.
    fn try_out(&mut self, item: u32, depth: u32) -> Option<u64> {
        let chain = self.chain(item, depth)?;
        let cost = chain.cost;
        self.unmake(chain);
        Some(cost)
    }

    fn unmake(&mut self, mut chain: Chain) {
        self.unmake_to(&mut chain, 0);
    }

    fn unmake_to(&mut self, chain: &mut Chain, hops: usize) {
        while chain.hops.len() > hops {
            let hop = chain.hops.pop().expect("there are more");
            self.shift(hop.item, hop.from);
        }
    }

    /// Makes room for a blocked arrival and brings it in: made, but not committed.
    fn chain(&mut self, item: u32, depth: u32) -> Option<Chain> {
        let goal = self.goal(item);
        if !self.problem().may_go(item, self.state.at[item as usize], goal) {
            return None;
        }
        let (items, hosts) = (vec![item], vec![goal]);
        let mut chain = Chain { hops: Vec::new(), items, hosts, cost: 0, nodes: NODES };
        let found = self.room(goal, item, depth, &mut chain);
        self.work += u64::from(NODES - chain.nodes);
        if !found {
            debug_assert!(chain.hops.is_empty());
            return None;
        }
        let hop = self.shift(item, goal);
        chain.hops.push(hop);
        Some(chain)
    }

    /// Makes room on the host until it admits the item, as cheaply as is found; false: nothing is changed.
    fn room(&mut self, host: u32, item: u32, depth: u32, chain: &mut Chain) -> bool {
        if self.state.admits(item, host) {
            return true;
        }
        let mut candidates = self.candidates(host, item, chain);
        candidates.truncate(EVICTED);
        let mark =
            Mark { hops: chain.hops.len(), items: chain.items.len(), hosts: chain.hosts.len(), cost: chain.cost };
        let mut best: Option<(u64, Vec<Hop>, Vec<u32>)> = None;
        for (_, other, cost) in candidates {
            if chain.nodes == 0 {
                break;
            }
            chain.nodes -= 1;
            if let Some(to) = self.somewhere(other, depth, chain) {
                let hop = self.shift(other, to);
                chain.hops.push(hop);
                chain.items.push(other);
                chain.cost += if to == self.goal(other) { 0 } else { cost };
                let dear = best.as_ref().is_some_and(|(best, _, _)| chain.cost >= *best);
                if !dear && self.room(host, item, depth, chain) && best.as_ref().is_none_or(|b| chain.cost < b.0) {
                    best = Some((chain.cost, chain.hops[mark.hops..].to_vec(), chain.hosts[mark.hosts..].to_vec()));
                }
            }
            self.unmake_to(chain, mark.hops);
            chain.items.truncate(mark.items);
            chain.hosts.truncate(mark.hosts);
            chain.cost = mark.cost;
        }
        let Some((cost, hops, hosts)) = best else { return false };
        for hop in hops {
            let again = self.shift(hop.item, hop.to);
            chain.hops.push(again);
            chain.items.push(hop.item);
        }
        chain.hosts.extend(hosts);
        chain.cost = cost;
        true
    }

    /// Who could leave the host so that the item gets in: (rank, who, what it costs if it does not go to its goal), the best first.
    fn candidates(&self, host: u32, item: u32, chain: &Chain) -> Vec<(u64, u32, u64)> {
        let problem = self.problem();
        let lacking: Vec<usize> =
            (0..problem.kinds).filter(|k| problem.size(item)[*k] > self.state.free(host)[*k]).collect();
        let mut found = Vec::new();
        let missing = |kinds: &[usize], size: &dyn Fn(usize) -> i64| {
            let left = |k: &usize| self.scaled(*k, problem.size(item)[*k] - self.state.free(host)[*k] - size(*k));
            kinds.iter().map(left).fold(0, i64::max) as u64
        };
        let whole = missing(&lacking, &|_| 0).max(1);
        let mut consider = |other: u32, counter: bool| {
            if chain.items.contains(&other) {
                return;
            }
            let size = problem.size(other);
            if !counter && !lacking.iter().any(|k| size[*k] > 0) {
                return;
            }
            let one = &problem.items[other as usize];
            let pending = self.is_pending(other);
            let times = u64::from(self.evicted[other as usize]);
            let cost = one.least.max(1).saturating_mul(times + if pending { 1 } else { 2 });
            let free_of_charge = pending && self.state.admits(other, one.goal);
            // Who does not make enough room alone counts as if its like had to go too.
            let short = if counter { 0 } else { missing(&lacking, &|k| size[k]) };
            let rank = if free_of_charge { 0 } else { cost.saturating_add(scaled_up(cost, short, whole)) };
            let rank = rank.saturating_add(self.varied(u64::from(other), (rank / 4).min(1 << 60) as i64) as u64);
            found.push((rank, other, cost));
        };
        match (lacking.is_empty(), self.state.counted_out(item, host)) {
            (true, Some(counter)) => {
                let domain = &problem.counters[counter as usize].domain;
                for h in (0..domain.len()).filter(|h| domain[*h] == domain[host as usize]) {
                    for other in self.state.residents(h as u32) {
                        if problem.items[*other as usize].counted.iter().any(|(c, _)| *c == counter) {
                            consider(*other, true);
                        }
                    }
                }
            }
            (true, None) => {}
            (false, _) => self.state.residents(host).iter().for_each(|other| consider(*other, false)),
        }
        found.sort_unstable();
        found
    }

    /// Where an evicted item can go; makes room there first if need be.
    fn somewhere(&mut self, item: u32, depth: u32, chain: &mut Chain) -> Option<u32> {
        let goal = self.goal(item);
        let here = self.state.at[item as usize];
        if goal != here && self.state.admits(item, goal) {
            return Some(goal);
        }
        if let Some(host) = self.least_harm(item, depth, chain) {
            return Some(host);
        }
        if depth == 0 {
            return None;
        }
        let size = self.problem().size(item).get(self.scarce).copied().unwrap_or(0);
        let possible =
            |host: &u32| *host != here && !chain.hosts.contains(host) && self.problem().may_go(item, here, *host);
        let mut fuller: Vec<u32> =
            self.by_free.range(..(size, 0)).rev().map(|(_, host)| *host).filter(possible).take(DEEPER).collect();
        if fuller.len() < DEEPER {
            let more = self.by_free.range((size, 0)..).map(|(_, host)| *host).filter(possible);
            fuller.extend(more.take(DEEPER));
        }
        if goal != here && !chain.hosts.contains(&goal) && !fuller.contains(&goal) {
            fuller.insert(0, goal);
        }
        chain.items.push(item);
        for host in fuller {
            chain.hosts.push(host);
            if self.room(host, item, depth - 1, chain) {
                return Some(host);
            }
            chain.hosts.pop();
            if chain.nodes == 0 {
                break;
            }
        }
        chain.items.pop();
        None
    }

    /// The host that takes the item with the least harm to its own pending arrivals; of those the fullest.
    fn least_harm(&self, item: u32, depth: u32, chain: &Chain) -> Option<u32> {
        let problem = self.problem();
        let size = problem.size(item);
        let first = size.get(self.scarce).copied().unwrap_or(0);
        let look = if depth < 2 { LOOKED_AT } else { problem.hosts };
        let mut best: Option<(i64, u32)> = None;
        let mut compared = 0;
        for (_, host) in self.by_free.range((first, 0)..).take(look) {
            if chain.hosts.contains(host) || !self.state.admits(item, *host) {
                continue;
            }
            let harm = match self.arrivals[*host as usize].is_empty() {
                true => 0,
                false => {
                    let before = self.lack(*host);
                    self.lack_with(*host, before, |k| size[k]) - before
                }
            };
            let leftover = self.state.free(*host).iter().zip(size).enumerate();
            let leftover = leftover.map(|(k, (free, size))| self.scaled(k, free - size)).min().unwrap_or(0);
            let key = (
                4 * harm + leftover + self.parked[*host as usize] + self.varied(u64::from(*host), leftover / 2),
                *host,
            );
            if best.is_none_or(|best| key < best) {
                best = Some(key);
            }
            compared += 1;
            if compared == COMPARED {
                break;
            }
        }
        best.map(|(_, host)| host)
    }
}

/// `amount · part / whole` without overflow.
fn scaled_up(amount: u64, part: u64, whole: u64) -> u64 {
    u64::try_from(u128::from(amount) * u128::from(part) / u128::from(whole)).unwrap_or(u64::MAX)
}
