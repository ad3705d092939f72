//! What of the items that are left fills a host best.
//!
//! Abstraction: items of classes, each class with a value and so many left; what is wanted is the set that fits with the largest sum of
//! values. The largest item that fits is in it in any case (the minimum bin slack heuristic, Gupta and Ho 1999; Fleszar and Hindi 2002),
//! so that what is hard to place is placed first.
//!
//! Method: depth first, items by value, equal ones told apart by their number only. What is taken of all resources together is a weighted
//! sum; a branch is left when what it can still take is worth no more than what the best has, at the best value for each part of this sum.
//!
//! Complexity: [`NODES`] sets are looked at for a host.

/// Sets that are looked at for a host.
const NODES: u32 = 2_000;
/// Values are compared for so much of the weighted sum.
const UNIT: i64 = 1 << 10;

/// Items that can be taken, by value, the largest first.
#[derive(Default)]
pub(super) struct Filler {
    resources: usize,
    items: Vec<Item>,
    /// Item × resources + resource.
    sizes: Vec<i64>,
    /// For each item and those after it the best value for [`UNIT`] of the weighted sum, and the least that is taken of each resource.
    best_rate: Vec<i64>,
    least: Vec<i64>,
    /// What is taken now: places in `items`, ascending.
    taken: Vec<u32>,
    best: Vec<u32>,
    best_value: i64,
    left: Vec<i64>,
    nodes: u32,
}

#[derive(Clone, Copy)]
struct Item {
    class: u32,
    /// So many are left.
    count: u32,
    value: i64,
    /// What it takes of the weighted sum.
    bulk: i64,
}

impl Filler {
    pub fn new(resources: usize) -> Self {
        Filler { resources, ..Filler::default() }
    }

    /// Forgets all items, for another host.
    pub fn clear(&mut self) {
        self.items.clear();
        self.sizes.clear();
    }

    /// One more item, of no larger value than those before it. It fits by itself.
    pub fn push(&mut self, class: u32, count: u32, (value, bulk): (i64, i64), size: &[i64]) {
        self.items.push(Item { class, count, value, bulk: bulk.max(1) });
        self.sizes.extend(size);
    }

    /// The classes of the items that fill `room` best, and `bulk` is the weighted sum of it.
    pub fn fill(&mut self, room: &[i64], bulk: i64) -> impl Iterator<Item = u32> + '_ {
        let (count, resources) = (self.items.len(), self.resources);
        self.best_rate.clear();
        self.best_rate.resize(count + 1, 0);
        self.least.clear();
        self.least.resize((count + 1) * resources, i64::MAX);
        for i in (0..count).rev() {
            let rate = self.items[i].value.saturating_mul(UNIT) / self.items[i].bulk + 1;
            self.best_rate[i] = self.best_rate[i + 1].max(rate);
            for r in 0..resources {
                self.least[i * resources + r] = self.least[(i + 1) * resources + r].min(self.sizes[i * resources + r]);
            }
        }
        (self.nodes, self.best_value) = (0, -1);
        self.best.clear();
        self.taken.clear();
        self.left.clear();
        self.left.extend(room);
        if count > 0 {
            self.take(0, 1, 0, bulk);
        }
        self.best.iter().map(|i| self.items[*i as usize].class)
    }

    /// Sets that were looked at for the last host.
    pub fn nodes(&self) -> u64 {
        u64::from(self.nodes)
    }

    /// Takes one more of the item, of which so many are taken then, and goes on.
    fn take(&mut self, i: usize, many: u32, value: i64, bulk: i64) {
        let resources = self.resources;
        self.nodes += 1;
        let item = self.items[i];
        let (value, bulk) = (value + item.value, bulk - item.bulk);
        for r in 0..resources {
            self.left[r] -= self.sizes[i * resources + r];
        }
        self.taken.push(i as u32);
        if value > self.best_value {
            self.best_value = value;
            self.best.clone_from(&self.taken);
        }
        let mut next = if many < item.count { i } else { i + 1 };
        while next < self.items.len() && self.nodes < NODES {
            let more = bulk.max(0).saturating_mul(self.best_rate[next]) / UNIT;
            let least = &self.least[next * resources..][..resources];
            if value.saturating_add(more) <= self.best_value || least.iter().zip(&self.left).any(|(it, left)| it > left)
            {
                break;
            }
            let size = &self.sizes[next * resources..][..resources];
            if size.iter().zip(&self.left).all(|(size, left)| size <= left) {
                self.take(next, if next == i { many + 1 } else { 1 }, value, bulk);
            }
            next += 1;
        }
        self.taken.pop();
        for r in 0..resources {
            self.left[r] += self.sizes[i * resources + r];
        }
    }
}
