//! Prices of VMs from all ways to fill a host: the bound of the linear program by Gilmore and Gomory (1961).
//!
//! Properties: whatever the prices, the bound is one, since prices are whole numbers here and what a host bears by them
//! is known exactly or rounded up. Floating point only proposes prices. VMs of one shape are one row, hosts with equal
//! rooms one kind; names do not matter.
//!
//! Method: column generation. The program chooses how many hosts are filled in which of the ways known so far; its dual
//! prices ask for the most valuable way to fill a host, which is added, until no way is worth more than a host costs.
//! The most valuable way is a knapsack in several resources ([`Knapsack`]): depth first, most valuable for its size
//! first, and cut off by what the rest would be worth if VMs could be divided and only a sum of resources counted.
//! After each round the prices give a bound (Farley 1990), and the program's value tells whether a better one can still
//! come.
//!
//! Complexity: a round costs (shapes + kinds)² and the knapsack, which has a budget; so has the whole.

use super::Why;
use super::cover::{Carrier, Load};
use super::part::Part;
use crate::cost::Sum;
use crate::problem::Points;

/// No more shapes and kinds are looked at than these.
const SHAPES: usize = 256;
const KINDS: usize = 6;
/// Prices are whole numbers of so many parts of a host's cost.
const PRICE: f64 = (1u64 << 30) as f64;
/// The room of a host in each resource, where resources are added up.
const ROOM: i64 = 1 << 20;
/// Nodes of one knapsack, and of all.
const NODES: u64 = 60_000;
const ALL_NODES: u64 = 1_000_000;
/// Rounds, at most.
const ROUNDS: usize = 4_000;
/// Below this a number is none.
const TINY: f64 = 1e-9;
/// What is nearly worth a host does not count as worth more.
const NEARLY: f64 = 1e-7;

/// VMs of one size.
struct Shape<'p> {
    size: &'p [i64],
    count: i64,
}

/// Hosts with equal rooms and costs.
struct Kind {
    room: Vec<i64>,
    /// What one costs, for the program.
    cost: f64,
    /// Places in the part.
    hosts: Vec<usize>,
}

/// Offers the bounds of the program, if the part is small enough. `known` is how many hosts are needed as far as is
/// known.
pub(super) fn bounds(part: &Part<'_>, known: (u32, Points), offer: &mut impl FnMut(u32, Points, Why)) {
    let now = part.now();
    let (hosts_met, points_met) = (|known: (u32, Points)| known.0 >= now.0, |known: (u32, Points)| known.1 >= now.1);
    let Some(shapes) = shapes(part).filter(|_| !hosts_met(known) || !points_met(known)) else { return };
    let mut known = known;
    let awake = part.hosts.iter().filter(|host| host.awake).count() as f64;
    let paid = part.awake_points() as f64;
    // Once for hosts; once more for points, where hosts differ in them.
    if let Some(kinds) = kinds(part, |_| 1.0) {
        let mut master = Master::new(&shapes, &kinds);
        master.run(&shapes, &kinds, |value, prices| {
            if let Some(load) = prices.map(|it| it.load(part, &shapes, &kinds)) {
                known = (known.0.max(load.hosts()), known.1.max(load.points()));
            }
            !hosts_met(known) && value + awake > f64::from(known.0) + NEARLY
        });
    }
    let mut asleep = part.hosts.iter().filter(|host| !host.awake).map(|host| host.points);
    let first = asleep.next().unwrap_or(0);
    let most = asleep.clone().fold(first, Points::max);
    if asleep.any(|points| points != first)
        && let Some(kinds) = kinds(part, |points| points as f64 / most as f64)
    {
        let mut master = Master::new(&shapes, &kinds);
        master.run(&shapes, &kinds, |value, prices| {
            if let Some(load) = prices.map(|it| it.load(part, &shapes, &kinds)) {
                known = (known.0.max(load.hosts()), known.1.max(load.points()));
            }
            !points_met(known) && value * most as f64 + paid > known.1 as f64 * (1.0 + NEARLY)
        });
    }
    offer(known.0, known.1, Why::Gaps);
}

/// The shapes, if they are few enough.
fn shapes<'p>(part: &Part<'p>) -> Option<Vec<Shape<'p>>> {
    let mut sizes: Vec<&[i64]> = part.vms.iter().map(|vm| vm.size).collect();
    sizes.sort_unstable();
    let some = sizes.chunk_by(|a, b| a == b).filter(|alike| alike[0].iter().any(|size| *size > 0));
    let shapes: Vec<_> =
        some.map(|alike| Shape { size: alike[0], count: alike.len() as i64 }).take(SHAPES + 1).collect();
    (1..=SHAPES).contains(&shapes.len()).then_some(shapes)
}

/// The kinds of hosts, if they are few enough.
fn kinds(part: &Part<'_>, cost: impl Fn(Points) -> f64) -> Option<Vec<Kind>> {
    let mut kinds: Vec<Kind> = Vec::new();
    for (i, host) in part.hosts.iter().enumerate() {
        // What one host bears more than these bits, it bears whatever comes.
        let room: Vec<i64> = host.room.iter().map(|room| i64::try_from(*room).ok()).collect::<Option<_>>()?;
        let cost = if host.awake { 0.0 } else { cost(host.points) };
        match kinds.iter().position(|kind| kind.room == room && kind.cost == cost) {
            Some(kind) => kinds[kind].hosts.push(i),
            None if kinds.len() == KINDS => return None,
            None => kinds.push(Kind { room, cost, hosts: vec![i] }),
        }
    }
    Some(kinds)
}

/// Whole prices by shape, and by kind the most that a host bears of them.
struct Prices {
    prices: Vec<i64>,
    bears: Vec<i64>,
}

impl Prices {
    fn load(&self, part: &Part<'_>, shapes: &[Shape<'_>], kinds: &[Kind]) -> Load {
        let weight =
            self.prices.iter().zip(shapes).map(|(price, shape)| Sum::from(*price) * Sum::from(shape.count)).sum();
        let of_kind = |(kind, bears): (&Kind, &i64)| {
            let carrier = |host: &usize| {
                let host = &part.hosts[*host];
                Carrier { bears: Sum::from(*bears), awake: host.awake, points: host.points }
            };
            kind.hosts.iter().map(carrier).collect::<Vec<_>>()
        };
        Load::new(weight, kinds.iter().zip(&self.bears).flat_map(of_kind).collect())
    }
}

/// The program over the ways known so far: as many rows as shapes and kinds, in the revised simplex method. At the
/// start each VM is nowhere, which is dear.
struct Master {
    /// The inverse of the basis, by row.
    inverse: Vec<Vec<f64>>,
    /// How much of each basic variable.
    much: Vec<f64>,
    /// What each basic variable costs.
    cost: Vec<f64>,
}

impl Master {
    fn new(shapes: &[Shape<'_>], kinds: &[Kind]) -> Self {
        let rows = shapes.len() + kinds.len();
        let unit = |i: usize| (0..rows).map(|j| f64::from(u8::from(i == j))).collect();
        // A little more of each, and of each another little, so that no two ways run out together.
        let more = |i: usize| 1.0 + 1e-7 * (1.0 + (i as f64 * 0.618_033_988_75).fract());
        let much = shapes.iter().enumerate().map(|(i, shape)| shape.count as f64 / more(i));
        let dear = 2.0 * kinds.iter().map(|kind| kind.cost).fold(1.0, f64::max);
        Master {
            inverse: (0..rows).map(unit).collect(),
            much: much.chain(kinds.iter().map(|kind| kind.hosts.len() as f64)).collect(),
            cost: shapes.iter().map(|_| dear).chain(kinds.iter().map(|_| 0.0)).collect(),
        }
    }

    /// Adds ways as long as `goes_on` says so of the program's value and of prices, where what they are worth is known.
    fn run(&mut self, shapes: &[Shape<'_>], kinds: &[Kind], mut goes_on: impl FnMut(f64, Option<&Prices>) -> bool) {
        let (mut nodes, rows) = (0, self.much.len());
        for _ in 0..ROUNDS {
            let duals = self.duals();
            let value: f64 = self.much.iter().zip(&self.cost).map(|it| it.0 * it.1).sum();
            if !goes_on(value, None) || nodes > ALL_NODES {
                return;
            }
            let prices: Vec<i64> = duals[..shapes.len()].iter().map(|dual| (dual.max(0.0) * PRICE) as i64).collect();
            let mut bears = Vec::new();
            let mut enters: Option<(f64, Vec<f64>, f64)> = None;
            for (k, kind) in kinds.iter().enumerate() {
                let row = shapes.len() + k;
                if duals[row] > NEARLY && enters.as_ref().is_none_or(|it| -duals[row] < it.0) {
                    // Fewer of this kind.
                    enters = Some((-duals[row], (0..rows).map(|i| f64::from(u8::from(i == row))).collect(), 0.0));
                }
                let mut knapsack = Knapsack::new(shapes, &prices, &kind.room);
                bears.push(knapsack.solve());
                nodes += knapsack.nodes;
                let mut column = vec![0.0; rows];
                column[row] = 1.0;
                let mut reduced = kind.cost - duals[row];
                for (shape, count) in &knapsack.best {
                    column[*shape] = *count as f64;
                    reduced -= duals[*shape] * *count as f64;
                }
                if reduced < -NEARLY && enters.as_ref().is_none_or(|it| reduced < it.0) {
                    enters = Some((reduced, column, kind.cost));
                }
            }
            let goes_on = goes_on(value, Some(&Prices { prices, bears }));
            let Some((_, column, cost)) = enters.filter(|_| goes_on) else { return };
            if !self.pivot(&column, cost) {
                return;
            }
        }
    }

    fn duals(&self) -> Vec<f64> {
        let mut duals = vec![0.0; self.much.len()];
        for (row, cost) in self.inverse.iter().zip(&self.cost).filter(|it| *it.1 != 0.0) {
            duals.iter_mut().zip(row).for_each(|(dual, it)| *dual += cost * it);
        }
        duals
    }

    /// The column enters, and what runs out first leaves. Whether anything does.
    fn pivot(&mut self, column: &[f64], cost: f64) -> bool {
        let some: Vec<(usize, f64)> = column.iter().copied().enumerate().filter(|it| it.1 != 0.0).collect();
        let change: Vec<f64> =
            self.inverse.iter().map(|row| some.iter().map(|(i, much)| row[*i] * much).sum()).collect();
        let ratios = (0..change.len()).filter(|i| change[*i] > TINY).map(|i| (self.much[i].max(0.0) / change[i], i));
        let Some((step, leaves)) = ratios.min_by(|a, b| a.0.total_cmp(&b.0)) else { return false };
        let by = change[leaves];
        let row: Vec<f64> = self.inverse[leaves].iter().map(|it| it / by).collect();
        for (i, much) in change.iter().enumerate().filter(|it| it.0 != leaves && *it.1 != 0.0) {
            self.much[i] -= step * much;
            self.inverse[i].iter_mut().zip(&row).for_each(|(it, row)| *it -= much * row);
        }
        self.inverse[leaves] = row;
        (self.much[leaves], self.cost[leaves]) = (step, cost);
        true
    }
}

/// The most valuable way to fill a host.
struct Knapsack<'a> {
    /// The most valuable for their size first.
    items: Vec<Item<'a>>,
    /// What is left of each resource, and of their sum.
    left: Vec<i64>,
    left_sum: i64,
    value: i64,
    taken: Vec<(usize, i64)>,
    /// Shapes and how many of each, and what they are worth.
    best: Vec<(usize, i64)>,
    best_value: i64,
    nodes: u64,
}

struct Item<'a> {
    shape: usize,
    price: i64,
    size: &'a [i64],
    /// A sum of sizes, each against the room and rounded down, times a factor.
    sum: i64,
    count: i64,
}

impl<'a> Knapsack<'a> {
    fn new(shapes: &'a [Shape<'_>], prices: &[i64], room: &[i64]) -> Self {
        let items = shapes.iter().zip(prices).enumerate().filter(|(_, (_, price))| **price > 0);
        let items = items.map(|(i, (shape, price))| (i, *price, shape.size, shape.count));
        let items: Vec<_> = items.filter(|it| it.2.iter().zip(room).all(|(size, room)| size <= room)).collect();
        // All resources alike, each more than the others, each by itself: what tells most.
        let each =
            |r: usize, one: i64, others: i64| (0..room.len()).map(|i| if i == r { one } else { others }).collect();
        let mixes = (0..room.len()).flat_map(|r| [each(r, 3, 1), each(r, 1, 0)]);
        let mut told: Option<(i64, Self)> = None;
        for factors in std::iter::once(vec![1; room.len()]).chain(mixes) {
            let knapsack = Self::with(&items, room, &factors);
            let bound = knapsack.bound(0);
            if told.as_ref().is_none_or(|it| bound < it.0) {
                told = Some((bound, knapsack));
            }
        }
        told.map_or_else(|| Self::with(&items, room, &[]), |it| it.1)
    }

    fn with(items: &[(usize, i64, &'a [i64], i64)], room: &[i64], factors: &[i64]) -> Self {
        let sum = |size: &[i64]| {
            let parts = size.iter().zip(room).zip(factors).filter(|it| *it.0.1 > 0);
            parts
                .map(|((size, room), factor)| (Sum::from(*size) * Sum::from(ROOM) / Sum::from(*room)) as i64 * factor)
                .sum()
        };
        let item = |it: &(usize, i64, &'a [i64], i64)| Item {
            shape: it.0,
            price: it.1,
            size: it.2,
            sum: sum(it.2),
            count: it.3,
        };
        let mut items: Vec<Item<'a>> = items.iter().map(item).collect();
        items.sort_by(|a, b| (Sum::from(b.price) * Sum::from(a.sum)).cmp(&(Sum::from(a.price) * Sum::from(b.sum))));
        let left_sum = room.iter().zip(factors).filter(|it| *it.0 > 0).map(|it| ROOM * it.1).sum();
        let (taken, best) = (Vec::new(), Vec::new());
        Knapsack { items, left: room.to_vec(), left_sum, value: 0, taken, best, best_value: 0, nodes: 0 }
    }

    /// What the best way is worth; if the budget does not do, what it is worth at most.
    fn solve(&mut self) -> i64 {
        let bound = self.bound(0);
        self.descend(0);
        if self.nodes > NODES { bound } else { self.best_value }
    }

    fn fits(&self, item: &Item<'_>) -> bool {
        item.size.iter().zip(&self.left).all(|(size, left)| size <= left)
    }

    /// What can be had at most with items from here on, if the last one may be divided.
    fn bound(&self, from: usize) -> i64 {
        let (mut value, mut left) = (self.value, self.left_sum);
        for item in self.items[from..].iter().filter(|item| self.fits(item)) {
            let all = item.sum * item.count;
            if all > left {
                return value + (Sum::from(item.price) * Sum::from(left) / Sum::from(item.sum)) as i64;
            }
            left -= all;
            value += item.price * item.count;
        }
        value
    }

    fn descend(&mut self, mut from: usize) {
        if self.value > self.best_value {
            self.best_value = self.value;
            self.best = self.taken.clone();
        }
        while self.nodes <= NODES {
            while from < self.items.len() && !self.fits(&self.items[from]) {
                from += 1;
            }
            if from == self.items.len() || self.bound(from) <= self.best_value {
                return;
            }
            // As many of it as fit, then one less, and so on; none is the next round of this loop.
            let item = &self.items[from];
            let fit = item.size.iter().zip(&self.left).filter(|it| *it.0 > 0).map(|(size, left)| left / size).min();
            let most = fit.map_or(item.count, |fit| fit.min(item.count));
            for count in (1..=most).rev() {
                self.nodes += 1;
                self.take(from, count);
                self.taken.push((self.items[from].shape, count));
                self.descend(from + 1);
                self.taken.pop();
                self.take(from, -count);
            }
            from += 1;
        }
    }

    fn take(&mut self, item: usize, count: i64) {
        let item = &self.items[item];
        self.left.iter_mut().zip(item.size).for_each(|(left, size)| *left -= size * count);
        self.left_sum -= item.sum * count;
        self.value += item.price * count;
    }
}
