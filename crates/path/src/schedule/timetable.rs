//! A timetable for a sequence of hops: list scheduling with safe overtaking.
//!
//! # Properties
//!
//! At every moment the rest of the sequence, in order, can be executed from the state in which all started hops have ended. So the
//! schedule never comes to a dead end, and in no state is more taken of a place than it has, with items that move counted at both
//! ends.
//!
//! # Abstraction
//!
//! A hop takes room of the places that it enters from its start, and gives room of those that it leaves at its end. It occupies
//! one out-slot, one in-slot and its rate on each lane for each of its moves while that runs.
//!
//! # Method
//!
//! Time goes from event to event. A hop may begin when the item's last hop has ended, its target is on, slots and lanes are free,
//! there is room for it **now** where it enters, and there would be **still** if everything before it in the sequence that has
//! not started came first. Then starting it early does no harm: of all levels that the rest will see, it lowers only those of
//! places that it enters, between now and its own turn; and a departure only raises levels. Of those that may begin the one with
//! the greatest priority does, ties in sequence order.
//!
//! A hop that may not begin waits in the list of the first thing that hinders it, and is looked at again when that has changed for
//! the better: room now when a departure ended, room later when a departure started (arrivals that start never help), slots and
//! lanes when one is free, then one hop after the other in order of priority while there is still one free.
//!
//! # Complexity
//!
//! O((hops + looks) · log). A list for room wakes at most [`WAKE`] hops at once, so that not all of thousands are looked at for each
//! departure.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::jobs::Jobs;
use super::replay::Replay;
use crate::problem::NONE;

/// How many hops that wait for room are looked at again at once, the first in the sequence.
const WAKE: usize = 64;

/// When each move begins and ends.
#[derive(Clone)]
pub(super) struct Timetable {
    /// Start of each move, by its number.
    pub start: Vec<u64>,
    /// The moves in the order in which they begin.
    pub begun: Vec<u32>,
    /// Begins and ends of hops in the order in which they happen.
    pub log: Vec<Mark>,
    /// When all is done, what follows the hops included.
    pub end: u64,
}

/// Something that happens to a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Its first move begins.
    Begin(u32),
    /// Its last move has ended.
    End(u32),
}

/// A hop that waits, ordered by urgency.
type Waiting = (u64, Reverse<u32>, u32);

/// What happens later: (when, number of it), and what.
type Event = Reverse<(u64, u32, What)>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// A move ends.
    Ended(u32),
    /// A hop's target is on.
    Released(u32),
}

/// Why a hop may not begin.
enum Hindrance {
    /// Its target is not on yet.
    Off(u64),
    /// A slot or lane class, by the number of its list.
    Busy(usize),
    /// No room there now.
    NoRoom(u32),
    /// There would be no room there for those before it.
    InTheWay(u32),
}

struct Run<'j> {
    jobs: &'j Jobs,
    priority: &'j [u64],
    rank: Vec<u32>,
    replay: Replay,
    /// Room now, of each place.
    now_free: Vec<Vec<i64>>,
    /// Room when all that have started have ended.
    soon_free: Vec<Vec<i64>>,
    used_slots: Vec<u32>,
    used_lanes: Vec<u64>,
    /// How many moves of each hop have started, and ended.
    started: Vec<u32>,
    ended: Vec<u32>,
    /// Who waits for a slot (by its number) or for a lane (by its class, after the slots).
    queues: Vec<BinaryHeap<Waiting>>,
    /// Who waits for room now, and later.
    no_room: Vec<Vec<u32>>,
    in_the_way: Vec<Vec<u32>>,
    /// Who is to be looked at, with the queue that it comes from.
    ready: BinaryHeap<(Waiting, usize)>,
    events: BinaryHeap<Event>,
    number: u32,
    now: u64,
    table: Timetable,
}

/// No queue.
const NOWHERE: usize = usize::MAX;

/// A timetable for the hops in this order, all urgent as said. The order must be sane.
pub(super) fn timetable(jobs: &Jobs, sequence: &[u32], priority: &[u64]) -> Timetable {
    let mut rank = vec![0; jobs.len()];
    sequence.iter().enumerate().for_each(|(r, hop)| rank[*hop as usize] = r as u32);
    let free: Vec<Vec<i64>> = jobs.places.iter().map(|place| place.slack.clone()).collect();
    let mut run = Run {
        jobs,
        priority,
        rank,
        replay: Replay::new(jobs, sequence),
        soon_free: free.clone(),
        now_free: free,
        used_slots: vec![0; jobs.slots.len()],
        used_lanes: vec![0; jobs.lane_rate.len()],
        started: vec![0; jobs.len()],
        ended: vec![0; jobs.len()],
        queues: vec![BinaryHeap::new(); jobs.slots.len() + jobs.classes.len()],
        no_room: vec![Vec::new(); jobs.places.len()],
        in_the_way: vec![Vec::new(); jobs.places.len()],
        ready: BinaryHeap::new(),
        events: BinaryHeap::new(),
        number: 0,
        now: 0,
        table: Timetable { start: vec![0; jobs.moves.len()], begun: Vec::new(), log: Vec::new(), end: 0 },
    };
    sequence.iter().filter(|hop| jobs.jobs[**hop as usize].previous == NONE).for_each(|hop| run.look(*hop, NOWHERE));
    run.go();
    run.table
}

impl Run<'_> {
    fn go(&mut self) {
        loop {
            while let Some(((_, _, hop), queue)) = self.ready.pop() {
                self.try_to_begin(hop);
                if queue != NOWHERE && self.is_free(queue) {
                    self.call_next(queue);
                }
            }
            if let Some(Reverse((when, _, what))) = self.events.pop() {
                self.now = when;
                self.happen(what);
                while let Some(Reverse((_, _, what))) = self.events.peek().filter(|event| event.0.0 == when).copied() {
                    self.events.pop();
                    self.happen(what);
                }
                continue;
            }
            // Nothing runs. Whoever was not woken with the others is looked at now.
            let lists = self.no_room.iter_mut().chain(&mut self.in_the_way);
            let waiting: Vec<u32> = lists.flat_map(std::mem::take).collect();
            waiting.iter().for_each(|hop| self.look(*hop, NOWHERE));
            let before = self.table.log.len();
            if waiting.is_empty() || before == self.jobs.len() * 2 {
                break;
            }
            while let Some(((_, _, hop), _)) = self.ready.pop() {
                self.try_to_begin(hop);
            }
            assert!(self.table.log.len() > before, "the sequence of hops is not sane");
        }
        assert_eq!(self.table.log.len(), self.jobs.len() * 2, "the sequence of hops is not sane");
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Released(hop) => self.look(hop, NOWHERE),
            What::Ended(one) => self.end_move(one),
        }
    }

    /// Puts the hop among those to be looked at; one that has begun goes first.
    fn look(&mut self, hop: u32, queue: usize) {
        self.ready.push((self.urgency(hop), queue));
    }

    fn urgency(&self, hop: u32) -> Waiting {
        let begun = self.started[hop as usize] > 0;
        let priority = if begun { u64::MAX } else { self.priority[hop as usize] };
        (priority, Reverse(self.rank[hop as usize]), hop)
    }

    fn is_free(&self, queue: usize) -> bool {
        match queue.checked_sub(self.used_slots.len()) {
            None => self.used_slots[queue] < self.jobs.slots[queue],
            Some(class) => {
                let lane = self.jobs.classes[class].lane as usize;
                self.used_lanes[lane] + self.jobs.class_rate[class] <= self.jobs.lane_rate[lane]
            }
        }
    }

    fn call_next(&mut self, queue: usize) {
        if let Some((_, _, hop)) = self.queues[queue].pop() {
            self.look(hop, queue);
        }
    }

    fn try_to_begin(&mut self, hop: u32) {
        match self.hindrance(hop) {
            None => self.begin_move(hop),
            Some(Hindrance::Off(until)) => {
                self.number += 1;
                self.events.push(Reverse((until, self.number, What::Released(hop))));
            }
            Some(Hindrance::Busy(queue)) => {
                let waiting = self.urgency(hop);
                self.queues[queue].push(waiting);
            }
            Some(Hindrance::NoRoom(place)) => self.no_room[place as usize].push(hop),
            Some(Hindrance::InTheWay(place)) => self.in_the_way[place as usize].push(hop),
        }
    }

    fn hindrance(&self, hop: u32) -> Option<Hindrance> {
        let jobs = self.jobs;
        let release = jobs.jobs[hop as usize].release;
        if release > self.now {
            return Some(Hindrance::Off(release));
        }
        let classes = jobs.crossings(hop).iter().map(|crossing| self.used_slots.len() + crossing.class as usize);
        if let Some(queue) = jobs.slots_of(hop).into_iter().chain(classes).find(|queue| !self.is_free(*queue)) {
            return Some(Hindrance::Busy(queue));
        }
        if self.started[hop as usize] > 0 {
            return None;
        }
        let entered = || jobs.touches(hop).iter().enumerate().filter(|(_, touch)| touch.enters);
        for (_, touch) in entered() {
            if jobs.amount(touch).iter().zip(&self.now_free[touch.place as usize]).any(|(amount, free)| amount > free) {
                return Some(Hindrance::NoRoom(touch.place));
            }
        }
        for (t, touch) in entered() {
            let soon = &self.soon_free[touch.place as usize];
            for (d, amount) in jobs.amount(touch).iter().enumerate() {
                if *amount > soon[d] + self.replay.lowest_before(hop, t, touch.place, d) {
                    return Some(Hindrance::InTheWay(touch.place));
                }
            }
        }
        None
    }

    fn begin_move(&mut self, hop: u32) {
        let jobs = self.jobs;
        if self.started[hop as usize] == 0 {
            self.begin_hop(hop);
        }
        let moves = jobs.moves_of(hop);
        let one = moves.start + self.started[hop as usize] as usize;
        self.started[hop as usize] += 1;
        jobs.slots_of(hop).into_iter().for_each(|slot| self.used_slots[slot] += 1);
        for crossing in jobs.crossings(hop) {
            self.used_lanes[crossing.lane as usize] += jobs.jobs[hop as usize].rate;
        }
        self.table.start[one] = self.now;
        self.table.begun.push(one as u32);
        self.number += 1;
        self.events.push(Reverse((self.now + jobs.moves[one].ms, self.number, What::Ended(one as u32))));
        if one + 1 < moves.end {
            self.look(hop, NOWHERE);
        }
    }

    fn begin_hop(&mut self, hop: u32) {
        let jobs = self.jobs;
        self.table.log.push(Mark::Begin(hop));
        self.replay.start(hop, jobs.touches(hop), |place| jobs.places[place as usize].slack.len());
        for touch in jobs.touches(hop) {
            let place = touch.place as usize;
            for (d, amount) in jobs.amount(touch).iter().enumerate() {
                if touch.enters {
                    self.now_free[place][d] -= amount;
                    self.soon_free[place][d] -= amount;
                } else {
                    self.soon_free[place][d] += amount;
                }
            }
            if !touch.enters {
                let woken = first_in_sequence(&mut self.in_the_way[place], &self.rank);
                woken.iter().for_each(|hop| self.look(*hop, NOWHERE));
            }
        }
    }

    fn end_move(&mut self, one: u32) {
        let jobs = self.jobs;
        let hop = jobs.moves[one as usize].hop;
        for slot in jobs.slots_of(hop) {
            self.used_slots[slot] -= 1;
            self.call_next(slot);
        }
        for crossing in jobs.crossings(hop) {
            self.used_lanes[crossing.lane as usize] -= jobs.jobs[hop as usize].rate;
            for class in &jobs.lane_classes[crossing.lane as usize] {
                let queue = self.used_slots.len() + *class as usize;
                if self.is_free(queue) {
                    self.call_next(queue);
                }
            }
        }
        self.ended[hop as usize] += 1;
        if self.ended[hop as usize] as usize == jobs.moves_of(hop).len() {
            self.end_hop(hop);
        }
    }

    fn end_hop(&mut self, hop: u32) {
        let jobs = self.jobs;
        self.table.log.push(Mark::End(hop));
        self.table.end = self.table.end.max(self.now + jobs.jobs[hop as usize].tail);
        for touch in jobs.touches(hop).iter().filter(|touch| !touch.enters) {
            let place = touch.place as usize;
            for (d, amount) in jobs.amount(touch).iter().enumerate() {
                self.now_free[place][d] += amount;
            }
            let woken = first_in_sequence(&mut self.no_room[place], &self.rank);
            woken.iter().for_each(|hop| self.look(*hop, NOWHERE));
        }
        if jobs.jobs[hop as usize].next != NONE {
            self.look(jobs.jobs[hop as usize].next, NOWHERE);
        }
    }
}

/// Takes the first [`WAKE`] of the list out of it.
fn first_in_sequence(list: &mut Vec<u32>, rank: &[u32]) -> Vec<u32> {
    if list.len() <= WAKE {
        return std::mem::take(list);
    }
    list.select_nth_unstable_by_key(WAKE, |hop| rank[*hop as usize]);
    let rest = list.split_off(WAKE);
    std::mem::replace(list, rest)
}
