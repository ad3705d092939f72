//! Divisible flavours: when sizes are 4, 8, 16, 32 … on hosts that are multiples of the largest, there is always a way if nothing that is
//! to move is larger than all free room together; and this finds one.
//!
//! # Properties
//!
//! Decided: items that are larger than all free room together can never move ([`crate::frozen`] proves it); without such a one
//! among those that are to move, a way is found. It is not a cheap one: it is meant for where cheaper ways to find one have failed.
//!
//! # Abstraction
//!
//! All that moves asks for a multiple of one shape, so each size is a number; of two sizes the larger one is a multiple of the smaller,
//! and what each host can give is a multiple of the largest that is to move. So a host's free room, less the largest multiple of
//! a size `s` in it, is what items smaller than `s` leave open: if that is not nothing there are such items, enough to fill it up to `s`.
//! And of items no larger than `s` whose sum is at least `s`, some have a sum of exactly `s`: take the largest that still fit.
//!
//! # Method
//!
//! 1. **One hole.** Size by size, from the smallest up: while two hosts have free room that is no multiple of the next size, small items
//!    go from one to the other until one of the two has. In the end one host has room for the largest item that is to move.
//! 2. **One by one,** the largest first. To bring `v` to its goal, items that do not belong there, of its size or smaller, make way
//!    into the hole; `v` comes in, and leaves a hole of its own size where it was. Items of its size that are at home are never touched
//!    again, so each size takes as many arrivals as it has items that are not at home.
//!
//! # Complexity
//!
//! O(items · flavours) hops at most; each looks at the items of one host.

use crate::problem::{Hop, Problem};
use crate::state::State;

/// A way, when all that may move is of divisible flavours. `None`: it is not.
pub(crate) fn divisible(home: &State<'_>, fixed: &[bool]) -> Option<Vec<Hop>> {
    let sizes = Flavours::of(home, fixed)?;
    let mut filling = Filling { sizes: &sizes, state: home.clone(), hops: Vec::new() };
    let largest = filling.state.pending().map(|item| sizes.of[item as usize]).max()?;
    filling.make_one_hole(largest)?;
    for size in sizes.chain.iter().rev().filter(|size| **size <= largest) {
        let level: Vec<u32> = filling.state.pending().filter(|item| sizes.of[*item as usize] == *size).collect();
        for item in level {
            filling.bring_home(item)?;
        }
    }
    Some(filling.hops)
}

/// Sizes as multiples of one shape.
struct Flavours {
    /// Of each item that may move; 0 for those that never do.
    of: Vec<i64>,
    /// All that occur, ascending: each a multiple of the one before.
    chain: Vec<i64>,
    /// What each host can give to items that may move.
    room: Vec<i64>,
}

impl Flavours {
    fn of(home: &State<'_>, fixed: &[bool]) -> Option<Self> {
        let problem = home.problem;
        let movable: Vec<u32> = (0..problem.items.len() as u32).filter(|item| !fixed[*item as usize]).collect();
        let smallest = movable.iter().copied().min_by_key(|item| problem.size(*item).to_vec())?;
        let shape = problem.size(smallest);
        let first = shape.iter().position(|size| *size > 0)?;
        let mut of = vec![0; problem.items.len()];
        for item in &movable {
            let one = &problem.items[*item as usize];
            let gate = &problem.gates[one.gate as usize];
            let everywhere = one.counted.is_empty() && gate.one_way.is_empty() && gate.enter.iter().all(|open| *open);
            let times = problem.size(*item)[first] / shape[first];
            let alike = problem.size(*item).iter().zip(shape).all(|(size, shape)| *size == times * shape);
            if !everywhere || !alike {
                return None;
            }
            of[*item as usize] = times;
        }
        let mut chain: Vec<i64> = movable.iter().map(|item| of[*item as usize]).collect();
        chain.sort_unstable();
        chain.dedup();
        let mut room = vec![0; problem.hosts];
        for (h, room) in room.iter_mut().enumerate() {
            let kinds = home.free(h as u32).iter().zip(shape).filter(|(_, shape)| **shape > 0);
            *room = kinds.map(|(free, shape)| free.div_euclid(*shape)).min()?;
        }
        movable.iter().for_each(|item| room[home.at[*item as usize] as usize] += of[*item as usize]);
        let pending =
            movable.iter().filter(|item| problem.items[**item as usize].home != problem.items[**item as usize].goal);
        let largest = pending.map(|item| of[*item as usize]).max()?;
        let divisible = chain.windows(2).all(|two| two[1] % two[0] == 0) && room.iter().all(|room| room % largest == 0);
        (divisible && problem.extra.is_empty()).then_some(Flavours { of, chain, room })
    }
}

struct Filling<'f, 'p> {
    sizes: &'f Flavours,
    state: State<'p>,
    hops: Vec<Hop>,
}

impl Filling<'_, '_> {
    fn problem(&self) -> &Problem<'_> {
        self.state.problem
    }

    /// The items on the host that may move, the largest first.
    fn on(&self, host: u32) -> Vec<u32> {
        let mut items: Vec<u32> =
            self.state.residents(host).iter().copied().filter(|item| self.sizes.of[*item as usize] > 0).collect();
        items.sort_by_key(|item| (std::cmp::Reverse(self.sizes.of[*item as usize]), *item));
        items
    }

    fn free(&self, host: u32) -> i64 {
        let taken: i64 = self.state.residents(host).iter().map(|item| self.sizes.of[*item as usize]).sum();
        self.sizes.room[host as usize] - taken
    }

    fn go(&mut self, item: u32, to: u32) -> Option<()> {
        if !self.state.admits(item, to) {
            debug_assert!(false, "there is room for it");
            return None;
        }
        let hop = self.state.go(item, to);
        self.hops.push(hop);
        Some(())
    }

    /// Gathers free room until one host has room for an item of that size.
    fn make_one_hole(&mut self, largest: i64) -> Option<()> {
        let hosts = self.problem().hosts as u32;
        for size in self.sizes.chain.iter().copied().filter(|size| *size <= largest) {
            let odd = |filling: &Self, host: &u32| filling.free(*host) % size != 0;
            let mut open: Vec<u32> = (0..hosts).filter(|host| odd(self, host)).collect();
            while open.len() > 1 {
                let (from, to) = (open[open.len() - 1], open[open.len() - 2]);
                let amount = (size - self.free(from) % size).min(self.free(to) % size);
                let small = self.on(from).into_iter().filter(|item| self.sizes.of[*item as usize] < size).collect();
                for item in self.adding_up_to(small, amount) {
                    self.go(item, to)?;
                }
                let before = open.len();
                open.retain(|host| odd(self, host));
                if open.len() == before {
                    return None;
                }
            }
        }
        (0..hosts).any(|host| self.free(host) >= largest).then_some(())
    }

    /// Of these items, the largest first, as many as fit into the amount one after the other.
    fn adding_up_to(&self, items: Vec<u32>, mut amount: i64) -> Vec<u32> {
        let mut chosen = Vec::new();
        for item in items {
            let size = self.sizes.of[item as usize];
            if size <= amount {
                amount -= size;
                chosen.push(item);
            }
        }
        chosen
    }

    /// Brings an item to its goal, with the help of a hole of its size on any host.
    fn bring_home(&mut self, item: u32) -> Option<()> {
        let (goal, size) = (self.problem().items[item as usize].goal, self.sizes.of[item as usize]);
        if self.state.at[item as usize] == goal {
            return Some(());
        }
        if self.free(goal) < size {
            let hole = (0..self.problem().hosts as u32).find(|host| self.free(*host) >= size)?;
            let there = self.on(goal);
            let is_guest = |other: &u32| {
                self.sizes.of[*other as usize] == size && self.problem().items[*other as usize].goal != goal
            };
            let way = match there.iter().find(|other| is_guest(other)) {
                Some(guest) => vec![*guest],
                None => {
                    let small = there.into_iter().filter(|other| self.sizes.of[*other as usize] < size);
                    self.adding_up_to(small.collect(), size)
                }
            };
            for other in way {
                self.go(other, hole)?;
            }
        }
        self.go(item, goal)
    }
}

#[cfg(test)]
mod tests {
    use ulm_model::{Copying, Holds, Power, Task, TaskHost, TaskResource, TaskVm};

    use super::*;
    use crate::cost::ByBytes;
    use crate::frozen::frozen;
    use crate::mixed::mixed;

    /// Hosts of 64 with flavours of 4 to 32, both ends packed at random, so much room free in all.
    fn full(seed: u64, hosts: usize, free: u64) -> Option<Task> {
        let mut dice = seed;
        let mut roll = |end: u64| {
            dice = mixed(dice.wrapping_add(0x9e37_79b9_7f4a_7c15));
            dice % end
        };
        let (mut sizes, mut left) = (Vec::new(), hosts as u64 * 64 - free);
        while left > 0 {
            let size = [4, 8, 16, 32][roll(4) as usize].min(left & left.wrapping_neg()).min(32);
            sizes.push(size);
            left -= size;
        }
        let mut packed = || {
            let mut room = vec![64u64; hosts];
            let mut order: Vec<usize> = (0..sizes.len()).collect();
            let chance: Vec<u64> = sizes.iter().map(|_| roll(1 << 40)).collect();
            order.sort_by_key(|v| (std::cmp::Reverse(sizes[*v]), chance[*v]));
            let mut at = vec![0u32; sizes.len()];
            for v in order {
                let open: Vec<usize> = (0..hosts).filter(|h| room[*h] >= sizes[v]).collect();
                let host = *open.get(roll(open.len().max(1) as u64) as usize)?;
                room[host] -= sizes[v];
                at[v] = host as u32;
            }
            Some(at)
        };
        let (from, to) = (packed()?, packed()?);
        let host = |h| TaskHost {
            name: format!("h{h}"),
            capacity: vec![64, 640],
            takes: true,
            power: Power::On,
            moves_in: 1,
            moves_out: 1,
        };
        let vm = |v: usize| TaskVm {
            name: format!("v{v}"),
            from: from[v],
            to: to[v],
            size: vec![sizes[v], sizes[v] * 2],
            stays: false,
            copy: Copying::default(),
        };
        Some(Task {
            resources: ["memory", "cpu"].map(|name| TaskResource { name: name.into(), holds: Holds::Always }).into(),
            hosts: (0..hosts).map(host).collect(),
            vms: (0..sizes.len()).map(vm).collect(),
            ..Task::default()
        })
    }

    #[test]
    fn there_is_a_way_whenever_the_free_room_is_as_large_as_what_moves() {
        let mut ways = 0;
        for seed in 0..400 {
            let Some(task) = full(seed, 3 + seed as usize % 30, [4, 8, 16, 32, 36][seed as usize % 5]) else {
                continue;
            };
            let problem = Problem::new(&task, &ByBytes, &[]);
            let mut fixed = frozen(&problem, ulm_model::End::A);
            for (fixed, back) in fixed.iter_mut().zip(frozen(&problem, ulm_model::End::B)) {
                *fixed |= back;
            }
            let pending = |i: usize| problem.items[i].home != problem.items[i].goal;
            if (0..fixed.len()).any(|i| fixed[i] && pending(i)) || !(0..fixed.len()).any(pending) {
                continue;
            }
            let hops = divisible(&State::home(&problem), &fixed).expect("flavours are divisible");
            let mut state = State::home(&problem);
            for hop in hops {
                assert!(state.admits(hop.item, hop.to), "seed {seed}");
                state.go(hop.item, hop.to);
            }
            assert!(problem.items.iter().zip(&state.at).all(|(item, at)| item.goal == *at), "seed {seed}");
            ways += 1;
        }
        assert!(ways > 100, "only {ways} ways");
    }
}
