//! Items that can never move, however the others are arranged.
//!
//! A least fixed point: begin with the assumption that nothing moves. A host can offer at most its limit less the items on it that
//! have not been found to move yet, and of no kind more than is free in all hosts together. An item that some other host could
//! ever offer enough moves, perhaps; then hosts can offer more, and so on. What is left when nothing changes any more never moves: the first of
//! them to move would need more room than there is. Seen from A these items never leave their hosts; seen from B, backwards, they never
//! arrive anywhere but where they are in B from the outset.

use ulm_model::{End, Power};

use crate::problem::{NONE, Problem};

/// By item, whether it is frozen, seen from one end. O(rounds · items) when hosts offer enough, times hosts at worst.
pub(crate) fn frozen(problem: &Problem<'_>, from: End) -> Vec<bool> {
    let kinds = problem.kinds;
    let at = |item: usize| match from {
        End::A => problem.items[item].home,
        End::B => problem.items[item].goal,
    };
    let mut total = vec![0i64; kinds];
    for h in (0..problem.hosts).filter(|h| problem.task.hosts[*h].power != Power::Off) {
        total.iter_mut().zip(&problem.room[h * kinds..]).for_each(|(total, room)| *total += room);
    }
    let mut offered = problem.room.clone();
    let mut counters: Vec<Vec<i64>> = problem.counters.iter().map(|counter| counter.room.clone()).collect();
    for (i, item) in problem.items.iter().enumerate() {
        let size = problem.size(i as u32);
        total.iter_mut().zip(size).for_each(|(total, size)| *total -= size);
        offered[at(i) as usize * kinds..].iter_mut().zip(size).for_each(|(offered, size)| *offered -= size);
        for (c, weight) in &item.counted {
            let d = problem.counters[*c as usize].domain[at(i) as usize];
            if d != NONE {
                counters[*c as usize][d as usize] -= weight;
            }
        }
    }
    let mut frozen = vec![true; problem.items.len()];
    // Hosts that offer most come first: most items find room on the first one that is looked at.
    let mut hosts: Vec<u32> = (0..problem.hosts as u32).collect();
    loop {
        let offer = |host: &u32| offered[*host as usize * kinds..].iter().take(kinds).min().copied().unwrap_or(0);
        hosts.sort_by_key(|host| (std::cmp::Reverse(offer(host)), *host));
        let mut thawed = Vec::new();
        for (i, item) in problem.items.iter().enumerate().filter(|(i, _)| frozen[*i]) {
            let (place, size) = (at(i), problem.size(i as u32));
            if size.iter().zip(&total).any(|(size, total)| size > total) {
                continue;
            }
            let possible = hosts.iter().any(|host| {
                let room = &offered[*host as usize * kinds..];
                let counted = |(c, weight): &(u32, i64)| {
                    let domain = &problem.counters[*c as usize].domain;
                    let d = domain[*host as usize];
                    d == NONE || d == domain[place as usize] || counters[*c as usize][d as usize] >= *weight
                };
                let gates = match from {
                    End::A => problem.may_go(i as u32, place, *host),
                    End::B => problem.may_be(i as u32, *host) && problem.may_go(i as u32, *host, place),
                };
                gates && size.iter().zip(room).all(|(size, room)| size <= room) && item.counted.iter().all(counted)
            });
            if possible {
                thawed.push(i);
            }
        }
        if thawed.is_empty() {
            return frozen;
        }
        for i in thawed {
            frozen[i] = false;
            let size = problem.size(i as u32);
            offered[at(i) as usize * kinds..].iter_mut().zip(size).for_each(|(offered, size)| *offered += size);
            for (c, weight) in &problem.items[i].counted {
                let d = problem.counters[*c as usize].domain[at(i) as usize];
                if d != NONE {
                    counters[*c as usize][d as usize] += weight;
                }
            }
        }
    }
}
