//! Bounds by size: of a resource, or of several together.
//!
//! A measure is a sum of resources, each times a factor. Sizes and rooms are measured alike, so what goes on a host by
//! each resource goes on it by the measure. The factors make what hosts have of each resource about equal, times small
//! numbers ([`MIXES`]).

use super::Why;
use super::cover::{Carrier, Load};
use super::part::Part;
use super::steps::{Sizes, Steps};
use crate::cost::Sum;
use crate::problem::Points;

/// How much two resources count against each other.
const MIXES: [(Sum, Sum); 7] = [(1, 1), (1, 2), (2, 1), (1, 3), (3, 1), (2, 3), (3, 2)];
/// So many pairs of resources are mixed at most: those that bind most.
const PAIRS: usize = 6;
/// A factor's precision, against the largest room.
const PRECISION: Sum = 1 << 16;
/// So many different rooms are looked at; where there are more, rooms are rounded up.
const ROOMS: usize = 64;
/// For so many different rooms functions are made: the most frequent, and the largest.
const KINDS: usize = 3;
/// So many functions of each family for each kind of room, at most.
const FUNCTIONS: usize = 96;
/// Steps that a function may have.
const STEPS: Sum = 64;

/// Sizes and rooms seen by one measure.
struct Measure {
    of: Vec<usize>,
    sizes: Sizes,
    /// For each host of the part its room.
    rooms: Vec<Sum>,
    /// The same for those awake in any case: room and how many, the largest room first.
    awake: Vec<(Sum, Sum)>,
    /// And for the others.
    others: Vec<(Sum, Sum)>,
}

/// Offers what all measures say.
pub(super) fn bounds(part: &Part<'_>, offer: &mut impl FnMut(u32, Points, Why)) {
    let each: Vec<Vec<(usize, Sum)>> = (0..part.resources).map(|r| vec![(r, 1)]).collect();
    for factors in each.into_iter().chain(mixes(part)) {
        let measure = Measure::new(part, &factors);
        if measure.sizes.sum() > 0 {
            measure.bounds(part, offer);
        }
    }
}

/// The mixed measures: of each pair, and of all that bind.
fn mixes(part: &Part<'_>) -> Vec<Vec<(usize, Sum)>> {
    // What hosts commonly have, and how much of all of it is wanted.
    let common = |r: usize| {
        let mut rooms: Vec<Sum> = part.hosts.iter().map(|host| host.room[r]).filter(|room| *room > 0).collect();
        rooms.sort_unstable();
        rooms.get(rooms.len() / 2).copied()
    };
    let sum = |r: usize| part.vms.iter().map(|vm| Sum::from(vm.size[r])).sum::<Sum>();
    let mut binding: Vec<(Sum, usize, Sum)> = Vec::new();
    for r in 0..part.resources {
        let Some(room) = common(r) else { continue };
        // Where one host could bear all, nothing binds.
        if sum(r) > room {
            binding.push((sum(r) / (room >> 10).max(1), r, room));
        }
    }
    binding.sort_unstable_by(|a, b| b.cmp(a));
    let scale = PRECISION * binding.iter().map(|it| it.2).max().unwrap_or(0);
    let factor = |room: Sum| (scale / room).max(1);
    let mut pairs = Vec::new();
    for (i, a) in binding.iter().enumerate() {
        pairs.extend(binding[..i].iter().map(|b| (b, a)));
    }
    let mut mixes = Vec::new();
    for (a, b) in pairs.into_iter().take(PAIRS) {
        mixes.extend(MIXES.map(|(x, y)| vec![(a.1, x * factor(a.2)), (b.1, y * factor(b.2))]));
    }
    if binding.len() > 2 {
        mixes.push(binding.iter().map(|it| (it.1, factor(it.2))).collect());
    }
    mixes
}

impl Measure {
    fn new(part: &Part<'_>, factors: &[(usize, Sum)]) -> Self {
        let size = |size: &[i64]| factors.iter().map(|(r, factor)| Sum::from(size[*r]) * factor).sum();
        let room = |room: &[Sum]| factors.iter().map(|(r, factor)| room[*r] * factor).sum();
        let sizes = Sizes::new(part.vms.iter().map(|vm| size(vm.size)).collect());
        let rooms: Vec<Sum> = part.hosts.iter().map(|host| room(&host.room)).collect();
        let of = |awake: bool| {
            let rooms = part.hosts.iter().zip(&rooms).filter(|it| it.0.awake == awake);
            grouped(rooms.map(|it| *it.1).collect())
        };
        let (awake, others) = (of(true), of(false));
        let mut of: Vec<usize> = factors.iter().map(|it| it.0).collect();
        of.sort_unstable();
        Measure { of, sizes, rooms, awake, others }
    }

    fn bounds(&self, part: &Part<'_>, offer: &mut impl FnMut(u32, Points, Why)) {
        let plain = self.load(part, &Steps::plain());
        let least = plain.hosts();
        offer(least, plain.points(), Why::Sum { of: self.of.clone() });
        let mut best: Option<(u32, Steps)> = None;
        let held = part.hosts.iter().filter(|host| host.awake).count() as u32;
        for steps in self.kinds().into_iter().flat_map(|c| self.functions(c)) {
            let hosts = held + self.more(&steps);
            if best.as_ref().is_none_or(|it| hosts > it.0) {
                best = Some((hosts, steps));
            }
        }
        if let Some((hosts, steps)) = best.filter(|it| it.0 >= least) {
            offer(hosts, self.load(part, &steps).points(), Why::Large { of: self.of.clone() });
        }
    }

    /// What is to be borne, exactly.
    fn load(&self, part: &Part<'_>, steps: &Steps) -> Load {
        let weight = steps.weight(&self.sizes);
        let carriers = part.hosts.iter().zip(&self.rooms).map(|(host, room)| Carrier {
            bears: steps.bears(*room, &self.sizes, weight),
            awake: host.awake,
            points: host.points,
        });
        Load::new(weight, carriers.collect())
    }

    /// How many hosts beyond those awake in any case bear the weight, at least.
    fn more(&self, steps: &Steps) -> u32 {
        let weight = steps.weight(&self.sizes);
        let mut left = weight;
        for (room, count) in &self.awake {
            left -= count * steps.bears(*room, &self.sizes, weight);
        }
        let mut hosts = 0;
        for (room, count) in &self.others {
            let bears = steps.bears(*room, &self.sizes, weight);
            if left <= 0 || bears == 0 {
                break;
            }
            let all = (left + bears - 1) / bears;
            hosts += all.min(*count);
            left -= bears * all.min(*count);
        }
        hosts as u32
    }

    /// The rooms that functions are made for.
    fn kinds(&self) -> Vec<Sum> {
        let mut kinds: Vec<(Sum, Sum)> = self.others.iter().filter(|it| it.0 > 1).map(|it| (it.1, it.0)).collect();
        let largest = kinds.first().copied();
        kinds.sort_unstable_by(|a, b| b.cmp(a));
        kinds.truncate(KINDS);
        kinds.extend(largest.filter(|it| !kinds.contains(it)));
        kinds.into_iter().map(|it| it.1).collect()
    }

    /// Functions for hosts with room `c`.
    fn functions(&self, c: Sum) -> Vec<Steps> {
        let half = c / 2;
        let most = self.others.first().map_or(c, |it| it.0).max(c);
        let reach = most.min(4 * c);
        let small = self.sizes.some(1, half, FUNCTIONS);
        let large = self.sizes.some(half + 1, c, FUNCTIONS);
        let thresholds = small.iter().copied().chain(large.iter().map(|size| c - size + 1)).filter(|it| *it <= half);
        let mut functions: Vec<Steps> = thresholds.map(|it| Steps::threshold(c, it)).collect();
        if self.sizes.largest() * (STEPS / 4) < c {
            // All are so small that no gap matters.
            return functions;
        }
        functions.extend((1..=(STEPS / 4).min(c)).map(|k| Steps::parts(c, k)));
        let of_parts = (1..STEPS / 4).flat_map(|k| [c / (k + 1) + 1, c / k]);
        let units = self.sizes.some(1, c, FUNCTIONS / 2).into_iter().flat_map(|size| [size, c - size + 1]);
        let mut units: Vec<Sum> = units.chain(of_parts).filter(|unit| *unit > 0 && *unit * STEPS >= c).collect();
        units.sort_unstable();
        units.dedup();
        for unit in units {
            if unit <= half {
                functions.push(Steps::mirrored(c, unit));
            }
            if unit <= c && c % unit != 0 {
                functions.push(Steps::rounded(c, unit, reach));
            }
        }
        functions
    }
}

/// Rooms and how often, the largest first; where there are many, some rounded up.
fn grouped(mut rooms: Vec<Sum>) -> Vec<(Sum, Sum)> {
    rooms.sort_unstable_by(|a, b| b.cmp(a));
    let mut groups: Vec<(Sum, Sum)> = Vec::new();
    for room in rooms {
        match groups.last_mut() {
            Some(last) if last.0 == room => last.1 += 1,
            _ => groups.push((room, 1)),
        }
    }
    let step = groups.len().div_ceil(ROOMS).max(1);
    groups.chunks(step).map(|chunk| (chunk[0].0, chunk.iter().map(|it| it.1).sum())).collect()
}
