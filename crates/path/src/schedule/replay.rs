//! What the rest of the sequence leaves free of a place: room after all moves that have started, and its lowest level until a given
//! event of those that have not.
//!
//! Abstraction: for each place a list of numbers (arrivals negative, departures positive, started ones 0); what is asked is the
//! smallest sum of a prefix that ends before a position. Method: a binary tree over the positions; each node holds the sum of its
//! part and the smallest sum of a prefix of it. Complexity: O(log events) for a question or a change.

use super::jobs::{Jobs, Touch};

/// See the module.
pub(super) struct Replay {
    /// For each place where its trees begin; the trees of its kinds follow each other.
    first: Vec<usize>,
    /// For each place the number of leaves of each tree, a power of two.
    leaves: Vec<usize>,
    nodes: Vec<Node>,
    /// For each touch of a hop its position in the place's list.
    positions: Vec<u32>,
    first_position: Vec<u32>,
}

#[derive(Clone, Copy, Default)]
struct Node {
    sum: i64,
    /// The smallest sum of a prefix; 0 for the empty one.
    low: i64,
}

impl Replay {
    /// The replay of hops in this order, none of them started.
    pub fn new(jobs: &Jobs, sequence: &[u32]) -> Replay {
        let leaves: Vec<usize> = jobs.places.iter().map(|place| place.events.next_power_of_two()).collect();
        let mut first = Vec::with_capacity(leaves.len());
        let mut size = 0;
        for (place, leaves) in jobs.places.iter().zip(&leaves) {
            first.push(size);
            size += place.slack.len() * leaves * 2;
        }
        let mut first_position = Vec::with_capacity(jobs.len() + 1);
        let mut touches = 0;
        for hop in 0..jobs.len() as u32 {
            first_position.push(touches);
            touches += jobs.touches(hop).len() as u32;
        }
        let mut replay = Replay {
            first,
            leaves,
            nodes: vec![Node::default(); size],
            positions: vec![0; touches as usize],
            first_position,
        };
        let mut seen = vec![0u32; jobs.places.len()];
        for hop in sequence {
            for (t, touch) in jobs.touches(*hop).iter().enumerate() {
                let place = touch.place as usize;
                replay.positions[replay.first_position[*hop as usize] as usize + t] = seen[place];
                for (d, amount) in jobs.amount(touch).iter().enumerate() {
                    let sum = if touch.enters { -amount } else { *amount };
                    let leaf = replay.leaf(place, d, seen[place]);
                    replay.nodes[leaf] = Node { sum, low: sum.min(0) };
                }
                seen[place] += 1;
            }
        }
        for place in 0..replay.first.len() {
            for d in 0..jobs.places[place].slack.len() {
                let (first, leaves) = (replay.first[place] + d * replay.leaves[place] * 2, replay.leaves[place]);
                (1..leaves).rev().for_each(|node| replay.combine(first, node));
            }
        }
        replay
    }

    fn leaf(&self, place: usize, d: usize, position: u32) -> usize {
        self.first[place] + (d * 2 + 1) * self.leaves[place] + position as usize
    }

    fn combine(&mut self, first: usize, node: usize) {
        let (left, right) = (self.nodes[first + node * 2], self.nodes[first + node * 2 + 1]);
        self.nodes[first + node] = Node { sum: left.sum + right.sum, low: left.low.min(left.sum + right.low) };
    }

    fn position(&self, hop: u32, touch: usize) -> u32 {
        self.positions[self.first_position[hop as usize] as usize + touch]
    }

    /// Takes the hop out of the rest: it has started.
    pub fn start(&mut self, hop: u32, touches: &[Touch], kinds: impl Fn(u32) -> usize) {
        for (t, touch) in touches.iter().enumerate() {
            let place = touch.place as usize;
            let position = self.position(hop, t);
            for d in 0..kinds(touch.place) {
                let first = self.first[place] + d * self.leaves[place] * 2;
                let mut node = self.leaves[place] + position as usize;
                self.nodes[first + node] = Node::default();
                while node > 1 {
                    node /= 2;
                    self.combine(first, node);
                }
            }
        }
    }

    /// The lowest level of the place's room of a kind, seen from its present one, while everything before the hop is replayed.
    pub fn lowest_before(&self, hop: u32, touch: usize, place: u32, d: usize) -> i64 {
        let place = place as usize;
        let first = self.first[place] + d * self.leaves[place] * 2;
        let mut node = self.leaves[place] + self.position(hop, touch) as usize;
        let mut low = 0;
        while node > 1 {
            if node % 2 == 1 {
                let left = self.nodes[first + node - 1];
                low = left.low.min(left.sum + low);
            }
            node /= 2;
        }
        low
    }
}
