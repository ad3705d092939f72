//! VMs on fewer hosts: where each goes so that it fits, and little is moved. What the search cannot see move by move, because on the way
//! there many hosts hold more than they have.
//!
//! Abstraction: items of classes on hosts. A class has a size, a cost of each item that is not where it was at the start, and the set of
//! hosts that take it; items of a class are interchangeable, so what is moved follows from how many of each class a host has, and no
//! state is looked at twice under different names. Some hosts are closed: nothing may be there.
//!
//! Method: simulated annealing. Hosts may hold more than they have, at a price that rises: first it is settled what is best moved, as in
//! a relaxation, then it is made to fit. A step lets one item go to another host, or two of different classes change places, or one
//! go to a host that gives back others until it no longer holds too much; half of the steps begin at hosts that hold too much.
//! Random numbers come from a fixed seed, and all is in integers, so that the same question has the same answer.
//!
//! Complexity: a step costs resources × a few, whatever the number of hosts and items. Memory: hosts × classes with several items.

use super::cooling::falling;
use crate::cost::Sum;
use crate::dice::Dice;

/// Capacities are scaled down to at most this much, so that products stay exact.
const MOST: Sum = 1 << 24;
/// What an average host's worth of excess costs at last, in average hosts' worth of moves.
const PRICE: i64 = 64;
/// One step in so many lets one item go and others come back.
const BUNDLES: u64 = 8;
/// So many items are tried as those that come back.
const TRIED: usize = 16;
/// Steps at one temperature and price.
const ROUND: u64 = 1 << 10;
/// The price is reckoned in parts of its last value.
const PARTS: i64 = 1 << 12;
/// What a host has of what is not limited.
pub(super) const UNLIMITED: i64 = 1 << 40;
/// An average host's worth of moves.
pub(super) const HOST: i64 = 1 << 24;

/// Items of one kind.
#[derive(Clone, Debug)]
pub(super) struct Class {
    /// Of each resource, in the packing's units.
    pub size: Vec<i64>,
    /// What it costs that one is not where it was, in the packing's points.
    pub cost: i64,
    /// A column of the matrix if there are several, else the one's home.
    pub kind: Kind,
    /// Hosts that take it; `None`: all.
    pub hosts: Option<std::rc::Rc<Vec<bool>>>,
}

/// How it is known which items are at home.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Several: where their counts stand.
    Many(u32),
    /// One: its home; `u32::MAX`: none of the hosts.
    One(u32),
}

/// Items on hosts.
pub(super) struct Packing {
    pub resources: usize,
    pub classes: Vec<Class>,
    /// Host × resources + resource.
    pub capacity: Vec<i64>,
    pub load: Vec<i64>,
    /// For each host the classes of its items, in no order.
    pub on: Vec<Vec<u32>>,
    /// How many more of a class are there than at the start: host × columns + column.
    pub more: Vec<i32>,
    pub columns: usize,
    pub closed: Vec<bool>,
    /// The price of excess, by resource, in points for 256 units.
    price: Vec<i64>,
    /// The part of it that holds now, in 4 096ths.
    part: i64,
    /// Hosts that are open.
    open: Vec<u32>,
    /// Hosts that hold too much, and where each stands in that list.
    over: Vec<u32>,
    place_over: Vec<u32>,
    dice: Dice,
}

/// By how much a resource is scaled down.
pub(super) fn scale(largest: Sum) -> Sum {
    largest / MOST + 1
}

impl Packing {
    /// Items where they are. `on` names classes.
    pub fn new(resources: usize, classes: Vec<Class>, capacity: Vec<i64>, on: Vec<Vec<u32>>, columns: usize) -> Self {
        let hosts = on.len();
        let mut load = vec![0; hosts * resources];
        for (host, on) in on.iter().enumerate() {
            for class in on {
                for r in 0..resources {
                    load[host * resources + r] += classes[*class as usize].size[r];
                }
            }
        }
        let price = |r: usize| {
            let limited = || (0..hosts).map(|host| capacity[host * resources + r]).filter(|it| *it < UNLIMITED);
            let sum: i64 = limited().sum();
            PRICE * HOST * 256 / (sum / limited().count().max(1) as i64).max(1)
        };
        Packing {
            resources,
            price: (0..resources).map(price).collect(),
            part: PARTS,
            classes,
            capacity,
            load,
            on,
            more: vec![0; hosts * columns],
            columns,
            closed: vec![false; hosts],
            open: (0..hosts as u32).collect(),
            over: Vec::new(),
            place_over: vec![u32::MAX; hosts],
            dice: Dice(1),
        }
    }

    /// What the excess on a host costs if so much more is on it.
    fn excess(&self, host: usize, comes: Option<u32>, goes: Option<u32>) -> i64 {
        let place = host * self.resources;
        let mut sum = 0;
        for r in 0..self.resources {
            let mut load = self.load[place + r];
            if let Some(class) = comes {
                load += self.classes[class as usize].size[r];
            }
            if let Some(class) = goes {
                load -= self.classes[class as usize].size[r];
            }
            sum = (load - self.capacity[place + r]).max(0).saturating_mul(self.price[r]).saturating_add(sum);
        }
        ((sum / 256).saturating_mul(self.part) >> 12).min(1 << 50)
    }

    /// What it costs that one of the class leaves the host.
    fn leave(&self, host: usize, class: u32) -> i64 {
        let it = &self.classes[class as usize];
        let home = match it.kind {
            Kind::Many(column) => self.more[host * self.columns + column as usize] <= 0,
            Kind::One(home) => home as usize == host,
        };
        if home { it.cost } else { 0 }
    }

    /// What it brings that one of the class comes to the host.
    fn arrive(&self, host: usize, class: u32) -> i64 {
        let it = &self.classes[class as usize];
        let home = match it.kind {
            Kind::Many(column) => self.more[host * self.columns + column as usize] < 0,
            Kind::One(home) => home as usize == host,
        };
        if home { it.cost } else { 0 }
    }

    pub fn takes(&self, host: usize, class: u32) -> bool {
        self.classes[class as usize].hosts.as_ref().is_none_or(|hosts| hosts[host])
    }

    fn count(&mut self, host: usize, class: u32, by: i64) {
        let it = &self.classes[class as usize];
        for r in 0..self.resources {
            self.load[host * self.resources + r] += by * it.size[r];
        }
        if let Kind::Many(column) = it.kind {
            self.more[host * self.columns + column as usize] += by as i32;
        }
    }

    fn note(&mut self, host: usize) {
        let over = !self.closed[host] && self.is_over(host);
        let place = self.place_over[host];
        if over && place == u32::MAX {
            self.place_over[host] = self.over.len() as u32;
            self.over.push(host as u32);
        } else if !over && place != u32::MAX {
            self.over.swap_remove(place as usize);
            if let Some(moved) = self.over.get(place as usize) {
                self.place_over[*moved as usize] = place;
            }
            self.place_over[host] = u32::MAX;
        }
    }

    fn is_over(&self, host: usize) -> bool {
        (0..self.resources).any(|r| self.load[host * self.resources + r] > self.capacity[host * self.resources + r])
    }

    /// Hosts that hold too much.
    pub fn over(&self) -> usize {
        self.over.len()
    }

    /// By how much hosts hold too much in all, in 65 536ths of an average host, of the resource that matters most.
    pub fn excess_in_all(&self) -> i64 {
        let sum = |r: usize| {
            let of = |host: &u32| {
                let place = *host as usize * self.resources + r;
                (self.load[place] - self.capacity[place]).max(0)
            };
            let excess: i64 = self.over.iter().map(of).sum();
            i64::try_from(Sum::from(excess) * Sum::from(self.price[r]) * 256 / Sum::from(PRICE * HOST))
                .unwrap_or(i64::MAX)
        };
        (0..self.resources).map(sum).max().unwrap_or(0)
    }

    /// Closes a host: what is on it goes elsewhere, the largest first, to where it costs least, of equals to where most is free.
    /// Returns how many placements were weighed.
    pub fn close(&mut self, host: u32) -> u64 {
        self.closed[host as usize] = true;
        self.open.retain(|it| *it != host);
        let mut items = std::mem::take(&mut self.on[host as usize]);
        let bulk = |class: &u32| -> i64 {
            let it = &self.classes[*class as usize];
            (0..self.resources).map(|r| it.size[r].saturating_mul(self.price[r])).max().unwrap_or(0)
        };
        items.sort_by_key(|class| (std::cmp::Reverse(bulk(class)), *class));
        let mut weighed = 0;
        for class in items {
            self.count(host as usize, class, -1);
            let mut best: Option<(i64, i64, u32)> = None;
            for to in &self.open {
                if !self.takes(*to as usize, class) {
                    continue;
                }
                weighed += 1;
                let h = *to as usize;
                let delta = self.excess(h, Some(class), None) - self.excess(h, None, None) - self.arrive(h, class);
                let left = |r: usize| self.capacity[h * self.resources + r] - self.load[h * self.resources + r];
                let free = |r: usize| left(r).saturating_mul(self.price[r]);
                let key = (delta, -(0..self.resources).map(free).min().unwrap_or(0), *to);
                if best.is_none_or(|best| key < best) {
                    best = Some(key);
                }
            }
            // Whoever closes a host has seen that its items have somewhere to go.
            let to = best.map_or(host, |best| best.2) as usize;
            self.on[to].push(class);
            self.count(to, class, 1);
            self.note(to);
        }
        self.note(host as usize);
        weighed
    }

    /// Opens a host; nothing is on it.
    pub fn reopen(&mut self, host: u32) {
        self.closed[host as usize] = false;
        self.open.push(host);
    }

    /// So many steps; the temperature falls from `hot` to `cold` points (half-values: so much worse is taken half as often), and the price
    /// of excess rises from a part in `cheap` to the whole in the first four fifths.
    pub fn anneal(&mut self, steps: u64, hot: i64, cold: i64, cheap: i64) {
        if self.open.len() < 2 {
            return;
        }
        let rounds = (steps / ROUND).max(1) as usize;
        let temperatures = falling(hot, cold, rounds);
        let rises = (rounds * 4 / 5).max(1);
        let parts = falling(PARTS, PARTS / cheap, rises);
        for (i, temperature) in temperatures.into_iter().enumerate() {
            self.part = if i < rises { parts[rises - 1 - i] } else { PARTS };
            for _ in 0..ROUND {
                self.step(temperature);
            }
        }
        self.part = PARTS;
    }

    fn step(&mut self, temperature: i64) {
        let word = self.dice.bits();
        let from = if word & 1 == 0 && !self.over.is_empty() {
            self.over[self.dice.place(self.over.len())]
        } else {
            self.open[self.dice.place(self.open.len())]
        } as usize;
        let to = self.open[self.dice.place(self.open.len())] as usize;
        if from == to || self.on[from].is_empty() {
            return;
        }
        if (word >> 8).is_multiple_of(BUNDLES) {
            let (from, to) = if word & 8 == 0 { (from, to) } else { (to, from) };
            return self.bundle(from, to, temperature);
        }
        let seat = self.dice.place(self.on[from].len());
        let class = self.on[from][seat];
        let other = if word & 6 == 0 || self.on[to].is_empty() {
            None
        } else {
            let seat = self.dice.place(self.on[to].len());
            Some((seat, self.on[to][seat]))
        };
        if !self.takes(to, class) || other.is_some_and(|it| it.1 == class || !self.takes(from, it.1)) {
            return;
        }
        let other_class = other.map(|it| it.1);
        let mut delta = self.leave(from, class) - self.arrive(to, class);
        if let Some(other) = other_class {
            delta += self.leave(to, other) - self.arrive(from, other);
        }
        let most = (temperature * self.dice.exponential()) >> 16;
        delta += self.excess(to, Some(class), other_class) - self.excess(to, None, None);
        delta += self.excess(from, other_class, Some(class)) - self.excess(from, None, None);
        if delta > most {
            return;
        }
        match other {
            None => {
                self.on[from].swap_remove(seat);
                self.on[to].push(class);
            }
            Some((theirs, other)) => {
                self.on[from][seat] = other;
                self.on[to][theirs] = class;
                self.count(to, other, -1);
                self.count(from, other, 1);
            }
        }
        self.count(from, class, -1);
        self.count(to, class, 1);
        self.note(from);
        self.note(to);
    }

    /// One item goes, and others come back until the target no longer holds too much.
    fn bundle(&mut self, from: usize, to: usize, temperature: i64) {
        if self.on[from].is_empty() || self.on[to].is_empty() {
            return;
        }
        let before = self.excess(from, None, None) + self.excess(to, None, None);
        let seat = self.dice.place(self.on[from].len());
        let class = self.on[from][seat];
        if !self.takes(to, class) {
            return;
        }
        // Seats below `theirs` are of items that were there before: the one that comes stands last.
        let mut theirs = self.on[to].len();
        let mut delta = self.shift(from, seat, to);
        let mut back = 0;
        for _ in 0..TRIED {
            if theirs == 0 || !self.is_over(to) {
                break;
            }
            let seat = self.dice.place(theirs);
            let other = self.on[to][seat];
            if self.takes(from, other) && self.fits(from, other) {
                theirs -= 1;
                self.on[to].swap(seat, theirs);
                // The one that came takes the seat in between.
                delta += self.shift(to, theirs, from);
                back += 1;
            }
        }
        delta += self.excess(from, None, None) + self.excess(to, None, None) - before;
        if delta > (temperature * self.dice.exponential()) >> 16 {
            // The one that came is the last of those that are left: it stands on the seat after theirs.
            self.shift(to, theirs, from);
            let last = self.on[from].len() - 1;
            for i in 0..back {
                self.shift(from, last - 1 - i, to);
            }
            return;
        }
        self.note(from);
        self.note(to);
    }

    /// Puts an item on another host. Returns what that costs, excess aside.
    fn shift(&mut self, from: usize, seat: usize, to: usize) -> i64 {
        let class = self.on[from].swap_remove(seat);
        let delta = self.leave(from, class) - self.arrive(to, class);
        self.on[to].push(class);
        self.count(from, class, -1);
        self.count(to, class, 1);
        delta
    }

    fn fits(&self, host: usize, class: u32) -> bool {
        let (place, size) = (host * self.resources, &self.classes[class as usize].size);
        (0..self.resources).all(|r| self.load[place + r] + size[r] <= self.capacity[place + r])
    }
}
