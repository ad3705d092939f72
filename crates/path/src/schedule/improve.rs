//! Better timetables for the same hops.
//!
//! # Properties
//!
//! The same hops give the same timetable; it is never later than that of the first rule. Work is bounded by [`WORK`].
//!
//! # Method
//!
//! Two rules of priority make first timetables: the critical path (how long the longest chain is that begins with the hop: its
//! duration, then the chain of a hop that waits for the room that it frees, or of the same item's next hop), and the same where a
//! hop is also at least as urgent as the busiest slot or lane that it uses has work.
//!
//! Then **justification** (Valls, Ballestín, Quintanilla 2005): bounds are symmetric in time, so a timetable read backwards is one
//! for the way back. It is made anew backwards, what ended last first, and then forwards again, what began first going first. The
//! order in which a timetable begins its hops is itself a sane sequence (so is that in which it ends them), so each round may
//! overtake where the last could not. What counts is the best of all.
//!
//! # Complexity
//!
//! Each timetable as in [`timetable`](mod@super::timetable); for few hops many, for more than [`LONG`] the two rules only.

use super::jobs::Jobs;
use super::order::waits;
use super::timetable::{Mark, Timetable, timetable};
use crate::problem::NONE;

/// How many hops are put into timetables in all, about.
const WORK: usize = 26_000;
/// How many timetables are made at most.
const MOST: usize = 64;
/// How many are made at least, for sequences of up to [`LONG`] hops: one round more than the two rules. It is worth the most.
const LEAST: usize = 4;
/// Hops for which the two rules must do.
const LONG: usize = 20_000;
/// So few rounds go on from one timetable only.
const FEW: usize = 6;

/// A good timetable for hops in a sane order; what reaches `bound` cannot be improved.
pub(super) fn best_timetable(jobs: &Jobs, bound: u64) -> Timetable {
    let best = critical_timetable(jobs);
    if best.end <= bound {
        return best;
    }
    let sequence = in_order(jobs);
    let busy = busiest(jobs);
    let other = timetable(jobs, &sequence, &critical_path(jobs, |hop| busy[hop as usize]));
    let mut from = vec![best, other];
    from.sort_by_key(|table| table.end);
    // Each round makes one backwards and one forwards. Few rounds are better spent on the better one.
    let least = if jobs.len() <= LONG { LEAST } else { 0 };
    let rounds = (WORK / jobs.len().max(1)).clamp(least, MOST).saturating_sub(2) / 2;
    from.truncate(if rounds < FEW { 1 } else { 2 });
    let rounds = rounds / from.len();
    let back = jobs.backward();
    let mut best = from[0].clone();
    for mut one in from {
        for _ in 0..rounds {
            if best.end <= bound {
                return best;
            }
            one = again(jobs, &again(&back, &one));
            if one.end < best.end {
                best = one.clone();
            }
        }
    }
    best
}

/// The timetable of the first rule.
pub(super) fn critical_timetable(jobs: &Jobs) -> Timetable {
    timetable(jobs, &in_order(jobs), &critical_path(jobs, |_| 0))
}

fn in_order(jobs: &Jobs) -> Vec<u32> {
    (0..jobs.len() as u32).collect()
}

/// A timetable in the other direction of time than `table`, what ended last in that first.
fn again(jobs: &Jobs, table: &Timetable) -> Timetable {
    let ended = |mark: &Mark| match mark {
        Mark::End(hop) => Some(*hop),
        Mark::Begin(_) => None,
    };
    let sequence: Vec<u32> = table.log.iter().rev().filter_map(ended).collect();
    let mut priority = vec![0; jobs.len()];
    sequence.iter().rev().enumerate().for_each(|(rank, hop)| priority[*hop as usize] = rank as u64);
    timetable(jobs, &sequence, &priority)
}

/// For each hop how long it takes from its start until all that waits for it is done; at least `floor` of it.
fn critical_path(jobs: &Jobs, floor: impl Fn(u32) -> u64) -> Vec<u64> {
    let log: Vec<Mark> = (0..jobs.len() as u32).flat_map(|hop| [Mark::Begin(hop), Mark::End(hop)]).collect();
    let waits = waits(jobs, &log);
    let mut then = vec![0u64; jobs.len()];
    for hop in (0..jobs.len()).rev() {
        let job = &jobs.jobs[hop];
        then[hop] = (then[hop].max(job.tail) + job.ms).max(floor(hop as u32));
        for earlier in &waits[hop] {
            then[*earlier as usize] = then[*earlier as usize].max(then[hop]);
        }
        debug_assert!(job.previous == NONE || (job.previous as usize) < hop);
    }
    then
}

/// For each hop how long the busiest slot or lane that it uses is busy.
fn busiest(jobs: &Jobs) -> Vec<u64> {
    let mut slots = vec![0u64; jobs.slots.len()];
    let mut lanes = vec![0u128; jobs.lane_rate.len()];
    for hop in 0..jobs.len() as u32 {
        let ms: u64 = jobs.moves[jobs.moves_of(hop)].iter().map(|one| one.ms).sum();
        jobs.slots_of(hop).into_iter().for_each(|slot| slots[slot] += ms);
        for crossing in jobs.crossings(hop) {
            lanes[crossing.lane as usize] += u128::from(ms) * u128::from(jobs.jobs[hop as usize].rate);
        }
    }
    let of_slot = |slot: usize| slots[slot] / u64::from(jobs.slots[slot]);
    let of_lane = |lane: usize| (lanes[lane] / u128::from(jobs.lane_rate[lane])) as u64;
    let of_hop = |hop: u32| {
        let lanes = jobs.crossings(hop).iter().map(|crossing| of_lane(crossing.lane as usize));
        jobs.slots_of(hop).into_iter().map(of_slot).chain(lanes).max().unwrap_or(0)
    };
    (0..jobs.len() as u32).map(of_hop).collect()
}
