//! Which arrivals can have begun with as few departures done as possible: a flow from arrivals to the departures they wait for.
//!
//! Every set of arrivals weighs what they bring, less what the departures take away that one of them waits for. The heaviest set
//! is found by its opposite (project selection, a minimum cut): let every arrival send what it brings to departures that it waits
//! for, of which each can take what it takes away; what cannot be sent is the excess of the heaviest set.

/// Nodes send to others, and some of them can keep.
pub(crate) struct Network {
    /// The first arc from each node.
    first: Vec<Option<u32>>,
    /// In pairs: an arc and its opposite, which takes back what the arc has carried.
    arcs: Vec<Arc>,
    /// What each node still has to send.
    unsent: Vec<u128>,
    /// What each node can still keep.
    keeps: Vec<u128>,
    /// How the last search came to each node.
    by: Vec<By>,
    /// The nodes that it came to.
    seen: Vec<u32>,
    /// Nodes that may still have something to send.
    senders: Vec<u32>,
}

struct Arc {
    to: u32,
    next: Option<u32>,
    /// What it can still carry.
    left: u128,
}

/// How a search came to a node.
#[derive(Clone, Copy, PartialEq)]
enum By {
    /// Not at all.
    Nothing,
    /// It had something to send itself.
    Itself,
    /// By an arc.
    Arc(u32),
}

/// More than all that is ever sent.
const NO_END: u128 = u128::MAX / 2;

impl Network {
    pub fn new(nodes: usize) -> Self {
        Network {
            first: vec![None; nodes],
            arcs: Vec::new(),
            unsent: vec![0; nodes],
            keeps: vec![0; nodes],
            by: vec![By::Nothing; nodes],
            seen: Vec::new(),
            senders: Vec::new(),
        }
    }

    /// From `from` to `to` anything can be sent.
    pub fn connect(&mut self, from: u32, to: u32) {
        for (from, to, left) in [(from, to, NO_END), (to, from, 0)] {
            self.arcs.push(Arc { to, next: self.first[from as usize], left });
            self.first[from as usize] = Some(self.arcs.len() as u32 - 1);
        }
    }

    /// `node` can keep so much.
    pub fn keep(&mut self, node: u32, amount: u128) {
        self.keeps[node as usize] += amount;
    }

    /// `node` has so much to send.
    pub fn give(&mut self, node: u32, amount: u128) {
        self.unsent[node as usize] += amount;
        self.senders.push(node);
    }

    /// Sends at least `wanted` of what is still to be sent. If not all of it can be, says how much was.
    pub fn send(&mut self, wanted: u128) -> Result<u128, u128> {
        let mut sent = 0;
        while sent < wanted {
            let Some(end) = self.search() else { return Err(sent) };
            sent += self.carry(end);
        }
        Ok(sent)
    }

    /// Whether the last search, that found nothing, came to a node: then the node is of the heaviest set.
    pub fn reached(&self, node: u32) -> bool {
        self.by[node as usize] != By::Nothing
    }

    /// The nearest node that can keep something and that somebody can send to.
    fn search(&mut self) -> Option<u32> {
        for node in self.seen.drain(..) {
            self.by[node as usize] = By::Nothing;
        }
        self.senders.retain(|sender| self.unsent[*sender as usize] > 0);
        for sender in &self.senders {
            if self.by[*sender as usize] == By::Nothing {
                self.by[*sender as usize] = By::Itself;
                self.seen.push(*sender);
            }
        }
        // Breadth first: what is seen is looked at in the order in which it was seen.
        let mut looked_at = 0;
        while let Some(node) = self.seen.get(looked_at).copied() {
            looked_at += 1;
            if self.keeps[node as usize] > 0 {
                return Some(node);
            }
            let mut arc = self.first[node as usize];
            while let Some(a) = arc {
                let Arc { to, next, left } = self.arcs[a as usize];
                if left > 0 && self.by[to as usize] == By::Nothing {
                    self.by[to as usize] = By::Arc(a);
                    self.seen.push(to);
                }
                arc = next;
            }
        }
        None
    }

    /// Carries as much as possible on the way that the search found to `end`.
    fn carry(&mut self, end: u32) -> u128 {
        let mut amount = self.keeps[end as usize];
        let mut node = end;
        while let By::Arc(a) = self.by[node as usize] {
            amount = amount.min(self.arcs[a as usize].left);
            node = self.arcs[a as usize ^ 1].to;
        }
        amount = amount.min(self.unsent[node as usize]);
        self.unsent[node as usize] -= amount;
        self.keeps[end as usize] -= amount;
        node = end;
        while let By::Arc(a) = self.by[node as usize] {
            self.arcs[a as usize].left -= amount;
            self.arcs[a as usize ^ 1].left += amount;
            node = self.arcs[a as usize ^ 1].to;
        }
        amount
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_given_up_for_a_better_one() {
        // 0 can send to 2 and 3, 1 only to 2; each brings one, and each can keep one.
        let mut network = Network::new(4);
        network.connect(0, 3);
        network.connect(0, 2);
        network.connect(1, 2);
        network.keep(2, 1);
        network.keep(3, 1);
        network.give(0, 1);
        assert_eq!(network.send(1), Ok(1));
        network.give(1, 1);
        assert_eq!(network.send(1), Ok(1));
        network.give(1, 5);
        assert_eq!(network.send(2), Err(0));
        assert!(network.reached(1) && network.reached(2) && !network.reached(0) && !network.reached(3));
    }
}
