//! Long chains of waiting are cut: a few VMs are parked, so that what waits for their room need not wait for all before them.
//!
//! # Properties
//!
//! The sequence stays sane and leads to the same placement. It costs at most a [`SHARE`]th more, and its timetable ends sooner; else
//! nothing is changed. A timetable that ends by twice the bound is left alone.
//!
//! # Method
//!
//! In a cluster that is nearly full one hole as large as the largest VMs walks from host to host: each of them waits until the one
//! before has left, and the makespan is that of the longest such chain, however little each host has to do. If a VM in the middle of a
//! chain is parked early, on a host that has room for it until its turn comes, what waits for its room can go, and both halves
//! run side by side.
//!
//! Each hop that did not begin at once was *held* by another one: that ended when it began, or began then. From each hop that
//! ends too late the holders are followed back, and the chain is cut where what comes after the cut is done in time; what comes before
//! it is cut again if need be. All late chains are cut, then there is a new timetable, and so on while it ends sooner.
//!
//! # Complexity
//!
//! For each round a timetable, and at most [`LOOKS`] looks at what happens on all hosts. The rounds are bounded by [`WORK`].

use super::improve::{best_timetable, critical_timetable};
use super::jobs::Jobs;
use super::timetable::{Mark, Timetable};
use crate::problem::{Hop, NONE, Problem};
use crate::state::State;

/// The part of the cost that may be added.
const SHARE: u64 = 50;
/// How many hops are put into timetables in all, about; what has more is left alone.
const WORK: usize = 12_000;

/// Hops for which a host to halt on is looked for, in each round.
const LOOKS: usize = 150;

/// A sequence of hops with its timetable.
pub(super) struct Scheduled {
    pub hops: Vec<Hop>,
    pub jobs: Jobs,
    pub table: Timetable,
}

impl Scheduled {
    fn new(problem: &Problem, hops: Vec<Hop>) -> Self {
        let jobs = Jobs::new(problem, &hops, false);
        let table = critical_timetable(&jobs);
        Scheduled { hops, jobs, table }
    }
}

/// The same, or a sequence with a few more hops that is done sooner.
pub(super) fn relieved(problem: &Problem, one: Scheduled, bound: u64) -> Scheduled {
    if one.table.end <= bound.saturating_mul(2) || !problem.extra.is_empty() {
        return one;
    }
    let cost = |hops: &[Hop]| {
        let costs = hops.iter().map(|hop| problem.move_cost(hop.item, hop.from, hop.to));
        costs.fold(0, u64::saturating_add)
    };
    let before = cost(&one.hops);
    let most = before.saturating_add(before / SHARE);
    // Where all that moves has one shape the fewest moves are known, and kept.
    let size = |hop: &Hop| problem.size(hop.item);
    if most == before || one.hops.windows(2).all(|pair| size(&pair[0]) == size(&pair[1])) {
        return one;
    }
    let (few, mut best) = (one.hops.len(), one);
    // Chains are halved first; where that is no help, cut in as many pieces as it takes.
    let (mut in_half, enough) = (true, bound / 5 * 9);
    for _ in 0..WORK / few.max(1) {
        let aim = if in_half { enough.max(best.table.end / 7 * 4) } else { enough };
        let to_spend = most.saturating_sub(cost(&best.hops));
        let hops = Cutting::new(problem, &best).cut(aim, to_spend);
        let better = hops.map(|hops| Scheduled::new(problem, hops)).filter(|one| one.table.end < best.table.end);
        match better {
            Some(better) => best = better,
            None if in_half => in_half = false,
            None => break,
        }
    }
    if best.hops.len() > few {
        let table = best_timetable(&best.jobs, bound);
        if table.end < best.table.end {
            best.table = table;
        }
    }
    best
}

/// A hop that makes a halt.
#[derive(Clone, Copy)]
struct Cut {
    /// Which, by its place in the sequence.
    place: usize,
    /// On which host.
    host: u32,
    /// Before which hop of the sequence it goes there.
    before: usize,
}

/// Something that happens on a host: before or with a hop of the sequence (2p: before, 2p + 1: with it), an item comes or goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: usize,
    goes: bool,
    item: u32,
}

struct Cutting<'a, 't> {
    problem: &'a Problem<'t>,
    jobs: &'a Jobs,
    /// The hops in the order in which they begin, and which hop of `jobs` each one is.
    hops: Vec<Hop>,
    number: Vec<u32>,
    /// The place in that order of each hop of `jobs`.
    place_of: Vec<usize>,
    /// When each one begins and ends, by its place.
    start: Vec<u64>,
    end: Vec<u64>,
    /// Ends with places, ascending.
    by_end: Vec<(u64, usize)>,
    /// How many hops each item makes.
    hops_of: Vec<u32>,
    /// A, and what happens on each host from there on.
    home: State<'a>,
    events: Vec<Vec<Event>>,
    /// How long moves go on from and to each host.
    busy: Vec<[u64; 2]>,
    cuts: Vec<Cut>,
    /// How many hops may still be looked at.
    looks: usize,
}

impl<'a, 't> Cutting<'a, 't> {
    fn new(problem: &'a Problem<'t>, one: &'a Scheduled) -> Self {
        let jobs = &one.jobs;
        let begun = |mark: &Mark| match mark {
            Mark::Begin(hop) => Some(*hop),
            Mark::End(_) => None,
        };
        let number: Vec<u32> = one.table.log.iter().filter_map(begun).collect();
        let ends = |hop: &u32| jobs.moves_of(*hop).map(|m| one.table.start[m] + jobs.moves[m].ms).max().unwrap_or(0);
        let end: Vec<u64> = number.iter().map(ends).collect();
        let mut by_end: Vec<(u64, usize)> = end.iter().copied().zip(0..).collect();
        by_end.sort_unstable();
        let mut cutting = Cutting {
            problem,
            jobs,
            hops: number.iter().map(|hop| one.hops[*hop as usize]).collect(),
            place_of: vec![0; number.len()],
            start: number.iter().map(|hop| one.table.start[jobs.moves_of(*hop).start]).collect(),
            end,
            by_end,
            hops_of: vec![0; problem.items.len()],
            home: State::home(problem),
            events: vec![Vec::new(); problem.hosts],
            busy: vec![[0; 2]; problem.hosts],
            cuts: Vec::new(),
            looks: LOOKS,
            number,
        };
        for (place, hop) in cutting.hops.iter().enumerate() {
            cutting.place_of[cutting.number[place] as usize] = place;
            cutting.hops_of[hop.item as usize] += 1;
            for (host, goes) in [(hop.from as usize, true), (hop.to as usize, false)] {
                cutting.events[host].push(Event { at: 2 * place + 1, goes, item: hop.item });
                cutting.busy[host][usize::from(goes)] += cutting.end[place] - cutting.start[place];
            }
        }
        cutting
    }

    /// Cuts all chains that end after `aim`, for at most so much cost; the new sequence, if there is one.
    fn cut(mut self, aim: u64, mut to_spend: u64) -> Option<Vec<Hop>> {
        let late = self.by_end.iter().rev().take_while(|(end, _)| *end > aim);
        let late: Vec<usize> = late.map(|(_, place)| *place).collect();
        let mut is_cut = vec![false; self.hops.len()];
        for mut last in late {
            while self.end[last] > aim {
                let Some(candidates) = self.candidates(last, aim, &is_cut) else { break };
                let Some((price, cut)) = self.best_cut(&candidates, aim, to_spend) else { break };
                to_spend -= price;
                is_cut[cut.place] = true;
                self.book(cut);
                last = cut.place;
            }
        }
        if self.cuts.is_empty() { None } else { self.with_cuts() }
    }

    /// The hops that hold the chain up to `last` by their room, each with how long it takes from its end to the end of the chain, as far
    /// as that is in time. None: the chain is cut already where that is enough.
    fn candidates(&self, last: usize, aim: u64, is_cut: &[bool]) -> Option<Vec<(usize, u64)>> {
        let mut candidates = Vec::new();
        let mut at = last;
        while let Some((holder, by_room)) = self.holder(at) {
            let rest = self.end[last] - self.start[at];
            if rest >= aim {
                break;
            }
            if by_room && is_cut[holder] {
                return None;
            }
            if by_room {
                candidates.push((holder, rest));
            }
            at = holder;
        }
        Some(candidates)
    }

    /// The hop that holds another one, and whether by the room that it takes. It began earlier, or comes before it in the order: what takes
    /// no time at all ends when it begins.
    fn holder(&self, at: usize) -> Option<(usize, bool)> {
        let begin = self.start[at];
        if begin == 0 {
            return None;
        }
        let number = self.number[at];
        let room = |other: &usize| {
            let left = self.jobs.touches(self.number[*other]).iter().filter(|touch| !touch.enters);
            let entered = || self.jobs.touches(number).iter().filter(|touch| touch.enters);
            left.into_iter().any(|left| entered().any(|entered| entered.place == left.place))
        };
        let first = self.by_end.partition_point(|(end, _)| *end < begin);
        let ended = || self.by_end[first..].iter().take_while(|(end, _)| *end == begin);
        let ended = || ended().map(|(_, place)| *place).filter(|place| *place < at);
        if let Some(holder) = ended().find(room) {
            return Some((holder, true));
        }
        let previous = self.jobs.jobs[number as usize].previous;
        if previous != NONE && self.end[self.place_of[previous as usize]] == begin {
            return Some((self.place_of[previous as usize], false));
        }
        // Who sets out makes sure that there will be room for those that come first in the sequence.
        let since = self.start.partition_point(|start| *start < begin);
        if let Some(holder) = (since..at).find(room) {
            return Some((holder, true));
        }
        let slots = self.jobs.slots_of(number);
        let lanes = self.jobs.crossings(number);
        let busy = |other: &usize| {
            let other = self.number[*other];
            self.jobs.slots_of(other).iter().zip(slots).any(|(one, other)| *one == other)
                || self.jobs.crossings(other).iter().any(|one| lanes.iter().any(|lane| lane.lane == one.lane))
        };
        ended().find(busy).map(|holder| (holder, false))
    }

    /// The cut that wins the most time, and its price.
    fn best_cut(&mut self, candidates: &[(usize, u64)], aim: u64, to_spend: u64) -> Option<(u64, Cut)> {
        let mut best: Option<(u64, u64, Cut)> = None;
        for (place, rest) in candidates {
            let lasts = self.end[*place] - self.start[*place];
            let Some(cut) = self.parking(*place, aim.saturating_sub(rest + lasts)) else { continue };
            let price = self.price(&cut);
            // What comes before the cut is the next chain.
            let left = self.end[*place].max(aim);
            if price <= to_spend && best.is_none_or(|best| (left, price) < (best.0, best.1)) {
                best = Some((left, price, cut));
            }
        }
        best.map(|(_, price, cut)| (price, cut))
    }

    /// What a halt costs more.
    fn price(&self, cut: &Cut) -> u64 {
        let hop = self.hops[cut.place];
        let cost = |from, to| self.problem.move_cost(hop.item, from, to);
        cost(hop.from, cut.host).saturating_add(cost(cut.host, hop.to)).saturating_sub(cost(hop.from, hop.to))
    }

    /// Where the item of a hop can be until its turn, on its way there by `by`: of the hosts with room the least busy one.
    fn parking(&mut self, place: usize, by: u64) -> Option<Cut> {
        let hop = self.hops[place];
        if self.hops_of[hop.item as usize] > 1 || self.looks == 0 {
            return None;
        }
        self.looks -= 1;
        let mut best = None;
        for host in (0..self.problem.hosts as u32).filter(|host| *host != hop.from && *host != hop.to) {
            let open = |from, to| self.problem.may_go(hop.item, from, to);
            let Some(before) = self.room_since(host, hop.item, place).filter(|_| open(hop.from, host)) else {
                continue;
            };
            let when = before.checked_sub(1).map_or(0, |earlier| self.end[earlier]);
            if when > by || !open(host, hop.to) {
                continue;
            }
            let key = (when + self.busy[host as usize][0].max(self.busy[host as usize][1]), host);
            if best.is_none_or(|(least, _)| key < least) {
                best = Some((key, Cut { place, host, before }));
            }
        }
        best.map(|(_, cut)| cut)
    }

    /// The first hop of the sequence from before which on the host has room for the item until hop `until` has begun, if it has then.
    fn room_since(&self, host: u32, item: u32, until: usize) -> Option<usize> {
        let (problem, size) = (self.problem, self.problem.size(item));
        let mut free = self.home.free(host).to_vec();
        let fits = |free: &[i64]| free.iter().zip(size).all(|(free, size)| free >= size);
        let mut since = fits(&free).then_some(0);
        for event in self.events[host as usize].iter().take_while(|event| event.at <= 2 * until + 1) {
            let sign = if event.goes { 1 } else { -1 };
            free.iter_mut().zip(problem.size(event.item)).for_each(|(free, size)| *free += sign * size);
            since = if fits(&free) { since.or(Some(event.at / 2 + 1)) } else { None };
        }
        since.filter(|since| *since <= until)
    }

    /// Notes a cut.
    fn book(&mut self, cut: Cut) {
        let item = self.hops[cut.place].item;
        let lasts = self.end[cut.place] - self.start[cut.place];
        let events = &mut self.events[cut.host as usize];
        events.push(Event { at: 2 * cut.before, goes: false, item });
        events.push(Event { at: 2 * cut.place + 1, goes: true, item });
        events.sort_unstable();
        self.busy[cut.host as usize].iter_mut().for_each(|busy| *busy += lasts);
        self.hops_of[item as usize] += 1;
        self.cuts.push(cut);
    }

    /// The sequence with all halts, if it is sane: counters were not looked at before.
    fn with_cuts(&self) -> Option<Vec<Hop>> {
        let mut hops = self.hops.clone();
        let mut halts: Vec<Vec<Hop>> = vec![Vec::new(); hops.len()];
        for cut in &self.cuts {
            let hop = &mut hops[cut.place];
            halts[cut.before].push(Hop { to: cut.host, ..*hop });
            hop.from = cut.host;
        }
        let mut state = self.home.clone();
        let mut all = Vec::with_capacity(hops.len() + self.cuts.len());
        for (halts, hop) in halts.iter().zip(&hops) {
            for hop in halts.iter().chain([hop]) {
                if !state.admits(hop.item, hop.to) {
                    return None;
                }
                all.push(state.go(hop.item, hop.to));
            }
        }
        Some(all)
    }
}
