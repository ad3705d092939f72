//! Equal shapes: when all that moves asks the same, the fewest moves are known and found at once.
//!
//! # Properties
//!
//! The number of moves is the number of pending items plus the number of *closed* groups: sets of hosts that pending moves connect,
//! with not one free slot among them. No fewer do, and these suffice, if there is a free slot anywhere.
//!
//! # Abstraction
//!
//! Hosts are the vertices of a multigraph, pending moves its arcs from host to goal. A free slot is a hole; a move along an arc
//! takes the hole at its head to its tail: holes walk backwards. A host that more enter than leave has as many holes at the outset.
//!
//! # Method
//!
//! Holes walk backwards from hosts that more enter than leave, each until no arc leads on. What is left is balanced: closed walks. One that
//! touches a walk is spliced in where the hole passes. One with a free slot of its own begins there. What is left then is closed: its
//! cheapest item is parked outside, the hole walks all around, and the parked item comes home into it.
//!
//! # Complexity
//!
//! Linear in hosts and moves.

use std::collections::BTreeSet;

use crate::problem::{Hop, Problem};
use crate::state::State;

/// The way with the fewest moves, when all items that may move are of equal shape and may go everywhere. `None`: they are not, or there is no
/// slot free to begin with.
pub(crate) fn equal_shapes(home: &State<'_>, fixed: &[bool]) -> Option<Vec<Hop>> {
    let problem = home.problem;
    let movable: Vec<u32> = (0..problem.items.len() as u32).filter(|item| !fixed[*item as usize]).collect();
    let size = problem.size(*movable.first()?);
    let alike = |item: &u32| {
        let one = &problem.items[*item as usize];
        let gate = &problem.gates[one.gate as usize];
        problem.size(*item) == size
            && one.counted.is_empty()
            && gate.one_way.is_empty()
            && gate.enter.iter().all(|o| *o)
    };
    let known = problem.extra.is_empty() && problem.cost.by_vm_alone() && size.iter().any(|size| *size > 0);
    (known && movable.iter().all(alike)).then(|| Walks::new(home, &movable).walk_all())?
}

/// Holes on their way.
struct Walks<'p> {
    problem: &'p Problem<'p>,
    /// The placement after all hops so far.
    state: State<'p>,
    /// For each host the pending items that are to enter it and that no walk has taken yet.
    to_enter: Vec<Vec<u32>>,
    hops: Vec<Hop>,
}

impl<'p> Walks<'p> {
    fn new(home: &State<'p>, movable: &[u32]) -> Self {
        let problem = home.problem;
        let mut to_enter = vec![Vec::new(); problem.hosts];
        for item in movable.iter().rev() {
            let one = &problem.items[*item as usize];
            if one.home != one.goal {
                to_enter[one.goal as usize].push(*item);
            }
        }
        Walks { problem, state: home.clone(), to_enter, hops: Vec::new() }
    }

    fn walk_all(mut self) -> Option<Vec<Hop>> {
        let hosts = 0..self.problem.hosts as u32;
        let mut surplus: Vec<i64> = self.to_enter.iter().map(|items| items.len() as i64).collect();
        for item in self.to_enter.iter().flatten() {
            surplus[self.home(*item) as usize] -= 1;
        }
        let more = |host: u32| surplus[host as usize].max(0);
        // All of these first: only then what is left is balanced, and closed walks can be spliced in.
        let walks: Vec<(u32, Vec<u32>)> =
            hosts.clone().flat_map(|host| (0..more(host)).map(move |_| host)).map(|h| (h, self.walk(h))).collect();
        for (host, walk) in walks {
            let walk = self.spliced(host, walk);
            self.make(&walk);
        }
        for host in hosts {
            let Some(item) = self.to_enter[host as usize].last() else { continue };
            if self.state.fits(*item, host) {
                let walk = self.spliced(host, Vec::new());
                self.make(&walk);
            }
        }
        while let Some(first) = self.to_enter.iter().flatten().next().copied() {
            let outside = (0..self.problem.hosts as u32).find(|host| self.state.fits(first, *host))?;
            let least = |item: &u32| (self.problem.items[*item as usize].least, *item);
            let parked = self.group_of(first).into_iter().min_by_key(least)?;
            let (from, goal) = (self.home(parked), self.problem.items[parked as usize].goal);
            self.to_enter[goal as usize].retain(|item| *item != parked);
            self.hop(parked, outside);
            // From its host around to its goal, and everything in between.
            let walk = self.walk(from);
            let walk = self.spliced(from, walk);
            self.make(&walk);
            self.hop(parked, goal);
        }
        Some(self.hops)
    }

    fn home(&self, item: u32) -> u32 {
        self.problem.items[item as usize].home
    }

    fn hop(&mut self, item: u32, to: u32) {
        debug_assert!(self.state.admits(item, to), "a hole is there");
        let hop = self.state.go(item, to);
        self.hops.push(hop);
    }

    fn make(&mut self, walk: &[u32]) {
        walk.iter().for_each(|item| self.hop(*item, self.problem.items[*item as usize].goal));
    }

    /// The items that move one after the other when a hole begins at the host, as far as it gets.
    fn walk(&mut self, mut host: u32) -> Vec<u32> {
        let mut walk = Vec::new();
        while let Some(item) = self.to_enter[host as usize].pop() {
            walk.push(item);
            host = self.home(item);
        }
        walk
    }

    /// A walk from the host with all closed walks that its hole passes.
    fn spliced(&mut self, host: u32, walk: Vec<u32>) -> Vec<u32> {
        let (mut at, mut done, mut rest) = (host, Vec::new(), walk);
        rest.reverse();
        loop {
            let mut closed = self.walk(at);
            closed.reverse();
            rest.extend(closed);
            let Some(item) = rest.pop() else { return done };
            done.push(item);
            at = self.home(item);
        }
    }

    /// The pending items of the closed group to which an item belongs.
    fn group_of(&self, item: u32) -> Vec<u32> {
        // The group is balanced, so all of it can be reached by walking backwards.
        let goal = self.problem.items[item as usize].goal;
        let (mut seen, mut open, mut group) = (BTreeSet::from([goal]), vec![goal], Vec::new());
        while let Some(host) = open.pop() {
            for item in &self.to_enter[host as usize] {
                group.push(*item);
                if seen.insert(self.home(*item)) {
                    open.push(self.home(*item));
                }
            }
        }
        group
    }
}
