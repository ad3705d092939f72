//! Which hops must wait for which, whatever runs, fails or hangs.
//!
//! # Properties
//!
//! With these waits alone, without any clock, no state can be reached in which more is taken of a place than it has; every hop
//! waits only for hops that ended before it began in the timetable; the number of waits is linear in the number of events.
//!
//! # Abstraction
//!
//! A place has some room free in the beginning. Arrivals take room when they begin, departures give room when they end.
//!
//! # Method
//!
//! Room is handed on, as if each piece of it had an owner. In the order of the timetable each arrival takes what it needs from what
//! was free in the beginning, and then from what departures gave that have ended; each piece is taken once. An arrival waits for
//! all departures from which it took a piece. In a timetable without overflow the pieces always suffice.
//!
//! *Proof.* Let S be the arrivals that have begun in a state that the waits allow, D the departures that have ended. Each item that
//! left was there before or is in S, so what is taken is `base + Σ S − Σ D`. Every arrival in S consists of pieces that were free in
//! the beginning or come from departures in D, none taken twice: `Σ S ≤ (room − base) + Σ D`. So what is taken is at most
//! `room`. ∎ (Of a place with several kinds of room that holds for each kind on its own.)
//!
//! The same waits in the order of the sequence say whose departure makes room for whom; the priorities come from that.
//!
//! # Complexity
//!
//! O(events · kinds); at most arrivals + departures waits for each place and kind. Waits that follow from other waits at once are
//! left out.

use super::jobs::{Jobs, Touch};
use super::timetable::Mark;
use crate::problem::NONE;

/// What is left of the room of one place.
struct Pool {
    /// Of what was free in the beginning, by kind.
    slack: Vec<i64>,
    /// Who left, in order of ends, and what is left of what it gave: kinds in a row.
    left: Vec<u32>,
    rest: Vec<i64>,
    /// For each kind the first departure of which something may be left.
    head: Vec<usize>,
}

/// For each hop those that it waits for, ascending, if hops begin and end in this order.
pub(super) fn waits(jobs: &Jobs, log: &[Mark]) -> Vec<Vec<u32>> {
    let new_pool = |slack: &Vec<i64>| Pool {
        slack: slack.clone(),
        left: Vec::new(),
        rest: Vec::new(),
        head: vec![0; slack.len()],
    };
    let mut pools: Vec<Pool> = jobs.places.iter().map(|place| new_pool(&place.slack)).collect();
    let mut waits: Vec<Vec<u32>> = vec![Vec::new(); jobs.len()];
    for mark in log {
        match mark {
            Mark::Begin(hop) => {
                let mut wait = Vec::new();
                let previous = jobs.jobs[*hop as usize].previous;
                if previous != NONE {
                    wait.push(previous);
                }
                for touch in jobs.touches(*hop).iter().filter(|touch| touch.enters) {
                    pools[touch.place as usize].take(jobs.amount(touch), &mut wait);
                }
                wait.sort_unstable();
                wait.dedup();
                waits[*hop as usize] = wait;
            }
            Mark::End(hop) => {
                let give = |touch: &Touch| pools[touch.place as usize].give(*hop, jobs.amount(touch));
                jobs.touches(*hop).iter().filter(|touch| !touch.enters).for_each(give);
            }
        }
    }
    waits
}

/// Waits without those that follow from others at once: if c waits for b and a, and b for a, then c need not wait for a.
pub(super) fn without_implied(waits: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let mut implied_for = vec![NONE; waits.len()];
    let shorter = |(hop, wait): (usize, &Vec<u32>)| {
        let implied = wait.iter().flat_map(|earlier| &waits[*earlier as usize]);
        implied.for_each(|one| implied_for[*one as usize] = hop as u32);
        wait.iter().copied().filter(|one| implied_for[*one as usize] != hop as u32).collect()
    };
    waits.iter().enumerate().map(shorter).collect()
}

impl Pool {
    fn give(&mut self, hop: u32, amount: &[i64]) {
        self.left.push(hop);
        self.rest.extend_from_slice(amount);
    }

    /// Takes so much of each kind; kinds that need a departure first, and departures that are waited for anyway before others.
    fn take(&mut self, amount: &[i64], wait: &mut Vec<u32>) {
        let kinds = amount.len();
        let mut chosen: Vec<usize> = Vec::new();
        for scarce in [true, false] {
            for (d, amount) in amount.iter().enumerate() {
                if (*amount > self.slack[d]) != scarce {
                    continue;
                }
                let mut need = *amount;
                for one in &chosen {
                    take_from(&mut self.rest[one * kinds + d], &mut need);
                }
                take_from(&mut self.slack[d], &mut need);
                let mut one = self.head[d];
                while need > 0 {
                    let rest = &mut self.rest[one * kinds + d];
                    if *rest > 0 {
                        take_from(rest, &mut need);
                        chosen.push(one);
                    }
                    if *rest == 0 {
                        one += 1;
                    }
                }
                self.head[d] = one;
            }
        }
        wait.extend(chosen.iter().map(|one| self.left[*one]));
    }
}

fn take_from(from: &mut i64, need: &mut i64) {
    let taken = (*from).min(*need);
    *from -= taken;
    *need -= taken;
}
