//! A whole new packing: hosts are filled one after the other, each as well as it goes, again and again.
//!
//! Abstraction: that of [`super::pack`]; where items are now is of no matter until it is settled which go together.
//!
//! Method: sequential value correction (Mukhacheva and Belov; Belov and Scheithauer 2007). Each host takes the items with the largest sum
//! of values ([`super::fill`]); at first values are sizes, and after each host they are corrected: items that went to a host where much
//! remained free are worth more in the next round, so that they are placed while there is still something that goes with them. Then
//! what hosts that are equal hold is dealt out among them so that most remains where it was.
//!
//! Complexity: rounds × hosts × the sets that are looked at for a host.

use std::cmp::Reverse;

use super::fill::Filler;
use super::pack::{Packing, UNLIMITED};
use crate::cost::Sum;
use crate::dice::Dice;

/// An average host's worth of the weighted sum.
const WHOLE: Sum = 1 << 30;

/// So many homes of a class are looked at when hands are dealt out.
const HOMES: usize = 16;

/// Which items go to which host: classes, by host.
type Hands = Vec<Vec<u32>>;

/// Rounds of packing, and the best that came of them.
pub(super) struct Anew<'a> {
    packing: &'a Packing,
    /// What it costs that a host carries anything; 0: nothing, or it does so anyway.
    prices: &'a [i64],
    /// For each host the classes of the items that are at home there, ascending.
    homes: &'a [Vec<u32>],
    /// The hosts, in the order in which they are filled.
    order: Vec<u32>,
    /// By resource, and by class.
    weights: Vec<i64>,
    bulk: Vec<i64>,
    value: Vec<i64>,
    /// For each class the hosts where items are at home.
    homes_of: Vec<Vec<u32>>,
    dice: Dice,
    /// What hosts cost in the best hands, and what that saves that items are at home there.
    least: (i64, Reverse<i64>),
    best: Option<Hands>,
    pub work: u64,
}

impl<'a> Anew<'a> {
    /// The packing's items, wherever they are; only what costs less than `most` is looked for.
    pub fn new(packing: &'a Packing, prices: &'a [i64], homes: &'a [Vec<u32>], most: i64) -> Self {
        let mut homes_of: Vec<Vec<u32>> = vec![Vec::new(); packing.classes.len()];
        for (host, home) in homes.iter().enumerate() {
            home.iter().for_each(|class| homes_of[*class as usize].push(host as u32));
        }
        homes_of.iter_mut().for_each(Vec::dedup);
        let mut new = Anew {
            packing,
            prices,
            homes,
            order: (0..packing.on.len() as u32).collect(),
            weights: weights(packing),
            bulk: Vec::new(),
            value: Vec::new(),
            homes_of,
            dice: Dice(1),
            least: (most, Reverse(i64::MAX)),
            best: None,
            work: 0,
        };
        new.bulk = packing.classes.iter().map(|it| new.bulk_of(&it.size).max(1)).collect();
        new.value = new.bulk.clone();
        let rate = |host: &u32| {
            let room = new.bulk_of(new.room(*host)).max(1);
            Sum::from(prices[*host as usize]) * WHOLE / Sum::from(room)
        };
        let mut order = new.order.clone();
        order.sort_by_cached_key(|host| (rate(host), *host));
        new.order = order;
        new
    }

    /// Rounds until so much work is done.
    pub fn run(&mut self, work: u64) {
        while self.work < work {
            if let Some((cost, mut hands)) = self.round() {
                self.deal(&mut hands);
                let kept = (0..hands.len()).map(|host| self.worth(host, &hands[host])).sum();
                if (cost, Reverse(kept)) < self.least {
                    self.least = (cost, Reverse(kept));
                    self.best = Some(hands);
                }
            }
        }
    }

    /// Whether anything was found that costs less.
    pub fn found(&self) -> bool {
        self.best.is_some()
    }

    /// The best that was found.
    pub fn hands(self) -> Option<Vec<Vec<u32>>> {
        self.best
    }

    fn room(&self, host: u32) -> &'a [i64] {
        &self.packing.capacity[host as usize * self.packing.resources..][..self.packing.resources]
    }

    fn bulk_of(&self, size: &[i64]) -> i64 {
        let of = |(size, weight): (&i64, &i64)| Sum::from((*size).max(0)) * Sum::from(*weight);
        (size.iter().zip(&self.weights).map(of).sum::<Sum>() >> 20).min(1 << 50) as i64
    }

    /// Fills hosts until nothing is left. What they cost; `None`: more than the best, or something does not fit anywhere.
    fn round(&mut self) -> Option<(i64, Hands)> {
        let packing = self.packing;
        let mut left = vec![0u32; packing.classes.len()];
        packing.on.iter().flatten().for_each(|class| left[*class as usize] += 1);
        let mut by_value: Vec<u32> = (0..left.len() as u32).filter(|class| left[*class as usize] > 0).collect();
        by_value.sort_by_key(|class| (Reverse(self.value[*class as usize]), *class));
        let (mut hands, mut cost) = (vec![Vec::new(); packing.on.len()], 0);
        let mut filler = Filler::new(packing.resources);
        for host in self.order.clone() {
            let room = self.room(host);
            filler.clear();
            for class in &by_value {
                let (c, it) = (*class as usize, &packing.classes[*class as usize]);
                let fits = it.size.iter().zip(room).all(|(size, room)| size <= room);
                if left[c] > 0 && fits && packing.takes(host as usize, *class) {
                    filler.push(*class, left[c], (self.value[c], self.bulk[c]), &it.size);
                }
            }
            let bulk = self.bulk_of(room);
            let hand: Vec<u32> = filler.fill(room, bulk).collect();
            // Hosts that have room for nothing are work, too, so that it ends.
            self.work += 1 + filler.nodes() + by_value.len() as u64 / 4;
            if hand.is_empty() {
                continue;
            }
            cost += self.prices[host as usize];
            let taken: i64 = hand.iter().map(|class| self.bulk[*class as usize]).sum();
            hand.iter().for_each(|class| left[*class as usize] -= 1);
            self.correct(&hand, taken, bulk);
            hands[host as usize] = hand;
            by_value.retain(|class| left[*class as usize] > 0);
            if by_value.is_empty() {
                break;
            }
        }
        (by_value.is_empty() && cost <= self.least.0).then_some((cost, hands))
    }

    /// The fuller the host, the less its items are worth in the next round.
    fn correct(&mut self, hand: &[u32], taken: i64, bulk: i64) {
        for class in hand {
            let c = *class as usize;
            let own = Sum::from(self.bulk[c]);
            let wanted = (own * Sum::from(bulk.max(1)) / Sum::from(taken.max(1))).min(own * 4);
            let (old, new) = (1 + self.dice.below(4), 1 + self.dice.below(4));
            self.value[c] =
                ((Sum::from(self.value[c]) * Sum::from(old) + wanted * Sum::from(new)) / Sum::from(old + new)) as i64;
        }
    }
}

impl Anew<'_> {
    /// Exchanges what hosts hold, where each can hold what the other has, so that more is at home.
    fn deal(&self, hands: &mut Hands) {
        hands.iter_mut().for_each(|hand| hand.sort_unstable());
        let mut any = true;
        while any {
            any = false;
            for host in 0..hands.len() {
                let mut others: Vec<u32> = hands[host]
                    .iter()
                    .flat_map(|class| self.homes_of[*class as usize].iter().copied().take(HOMES))
                    .collect();
                others.sort_unstable();
                others.dedup();
                for other in others {
                    let other = other as usize;
                    let now = self.worth(host, &hands[host]) + self.worth(other, &hands[other]);
                    let then = self.worth(host, &hands[other]) + self.worth(other, &hands[host]);
                    if then > now && self.holds(host, &hands[other]) && self.holds(other, &hands[host]) {
                        hands.swap(host, other);
                        any = true;
                    }
                }
            }
        }
    }

    /// What it saves that the hand is on this host.
    fn worth(&self, host: usize, hand: &[u32]) -> i64 {
        let (home, mut i, mut kept) = (&self.homes[host], 0, 0);
        for class in hand {
            while home.get(i).is_some_and(|it| it < class) {
                i += 1;
            }
            if home.get(i) == Some(class) {
                kept += self.packing.classes[*class as usize].cost;
                i += 1;
            }
        }
        kept
    }

    fn holds(&self, host: usize, hand: &[u32]) -> bool {
        let packing = self.packing;
        let of = |r: usize| hand.iter().map(|class| packing.classes[*class as usize].size[r]).sum::<i64>();
        let room = self.room(host as u32);
        (0..packing.resources).all(|r| of(r) <= room[r]) && hand.iter().all(|class| packing.takes(host, *class))
    }
}

/// How much a unit of each resource weighs: the more, the scarcer it is.
fn weights(packing: &Packing) -> Vec<i64> {
    let of = |r: usize| {
        let room = packing.capacity.iter().skip(r).step_by(packing.resources).filter(|it| **it < UNLIMITED);
        let whole: Sum = room.clone().map(|it| Sum::from(*it)).sum();
        let load: Sum = packing.load.iter().skip(r).step_by(packing.resources).map(|it| Sum::from(*it)).sum();
        let mean = whole / room.count().max(1) as Sum;
        let scarcity = (load << 10) / whole.max(1);
        (((WHOLE << 20) / mean.max(1) * scarcity) >> 10) as i64
    };
    (0..packing.resources).map(of).collect()
}
