//! Holes are gathered and filled: for clusters that are full to the brim with sizes of every kind.
//!
//! # Properties
//!
//! Where B is sound, the items on a host that do not belong there, its free room included, are always at least as large as any item that
//! is still to come: so to bring an item home only such *guests* must make way, and nobody who is at home. Every arrival
//! leaves one more at home; only the gathering of a hole may send somebody out again.
//!
//! # Method
//!
//! The largest pending item first. Guests leave its goal until it fits: to their own goals, else to the fullest host that takes them. Where no
//! host takes a guest, scattered room is gathered on one host until it does: its items fill up what is left open elsewhere, one by one or in
//! exchange for a smaller one. This is how the constructive proof for divisible flavours works ([`crate::flavours`]); for other
//! sizes it is a heuristic that finds ways where chains of a few evictions do not.
//!
//! # Complexity
//!
//! The number of hops is bounded by [`HOPS`] for each item; a step of gathering looks at pairs of items on pairs of hosts.

use crate::budget::Purse;
use crate::problem::{Hop, Problem};
use crate::state::State;

/// Hops for each pending item, on the average, before it is given up.
const HOPS: usize = 60;
/// Hosts on which room is gathered, the emptiest first.
const GATHERED: usize = 6;
/// Steps of gathering for one hole.
const STEPS: usize = 40;

/// Goes on from where `hops` end; the longer sequence, and whether all items are at their goals then.
pub(crate) fn filled(home: &State<'_>, hops: &[Hop], fixed: &[bool], purse: &mut Purse<'_>) -> (Vec<Hop>, bool) {
    purse.stage = "gathering holes";
    let mut state = home.clone();
    for hop in hops {
        state.go(hop.item, hop.to);
    }
    let mut holes = Holes { scarce: scarce(&state), state, hops: hops.to_vec(), fixed };
    let mut most = hops.len() + HOPS * holes.pending().len() + 1_000;
    most = most.min(hops.len() + 1_000_000);
    loop {
        let pending = holes.pending();
        purse.left = pending.len();
        if pending.is_empty() || holes.hops.len() > most || purse.look() {
            break;
        }
        let before = pending.len();
        for item in pending {
            if holes.hops.len() > most || purse.look() {
                break;
            }
            holes.bring_home(item);
        }
        if holes.pending().len() >= before {
            break;
        }
    }
    let all = holes.pending().is_empty();
    (holes.hops, all)
}

struct Holes<'f, 'p> {
    state: State<'p>,
    hops: Vec<Hop>,
    fixed: &'f [bool],
    /// The scarcest kind of resource.
    scarce: usize,
}

/// The kind of which the smallest part is free.
fn scarce(state: &State<'_>) -> usize {
    let problem = state.problem;
    let free = |kind: usize| {
        let of = |list: &[i64]| list.iter().skip(kind).step_by(problem.kinds).map(|n| i128::from(*n)).sum::<i128>();
        of(&state.free) * 1_000_000 / of(&problem.room).max(1)
    };
    (0..problem.kinds).min_by_key(|kind| free(*kind)).unwrap_or(0)
}

impl<'p> Holes<'_, 'p> {
    fn problem(&self) -> &'p Problem<'p> {
        self.state.problem
    }

    fn goal(&self, item: u32) -> u32 {
        self.problem().items[item as usize].goal
    }

    /// What the item asks of the scarcest kind.
    fn size(&self, item: u32) -> i64 {
        self.problem().size(item).get(self.scarce).copied().unwrap_or(0)
    }

    fn free(&self, host: u32) -> i64 {
        self.state.free(host).get(self.scarce).copied().unwrap_or(0)
    }

    /// Items that are not at their goals, the largest first.
    fn pending(&self) -> Vec<u32> {
        let mut pending: Vec<u32> = self.state.pending().collect();
        pending.sort_by_key(|item| (std::cmp::Reverse(self.size(*item)), *item));
        pending
    }

    fn go(&mut self, item: u32, to: u32) {
        let hop = self.state.go(item, to);
        self.hops.push(hop);
    }

    fn undo_to(&mut self, hops: usize) {
        while self.hops.len() > hops {
            let hop = self.hops.pop().expect("there are more");
            self.state.undo(hop);
        }
    }

    /// Brings the item to its goal, or leaves everything as it was.
    fn bring_home(&mut self, item: u32) {
        let (begin, goal) = (self.hops.len(), self.goal(item));
        while self.state.at[item as usize] != goal {
            if self.state.admits(item, goal) {
                self.go(item, goal);
            } else if !self.send_away_a_guest(item, goal) {
                return self.undo_to(begin);
            }
        }
    }

    /// One item that does not belong on the host leaves it.
    fn send_away_a_guest(&mut self, for_item: u32, host: u32) -> bool {
        let missing = self.size(for_item) - self.free(host);
        let is_guest = |item: &u32| self.goal(*item) != host && !self.fixed[*item as usize] && *item != for_item;
        let mut guests: Vec<u32> = self.state.residents(host).iter().copied().filter(is_guest).collect();
        // The smallest that makes enough room alone, then the larger ones; then the smaller ones, the largest first.
        guests.sort_by_key(|guest| {
            let size = self.size(*guest);
            (size < missing, if size < missing { -size } else { size }, *guest)
        });
        for guest in &guests {
            if let Some(to) = self.somewhere(*guest, host) {
                self.go(*guest, to);
                return true;
            }
        }
        guests.iter().take(3).any(|guest| {
            let Some(to) = self.gathered(*guest, host) else { return false };
            self.go(*guest, to);
            true
        })
    }

    /// Its goal, or the fullest host that takes it.
    fn somewhere(&self, item: u32, not_on: u32) -> Option<u32> {
        let goal = self.goal(item);
        if goal != not_on && self.state.admits(item, goal) {
            return Some(goal);
        }
        let open = (0..self.problem().hosts as u32).filter(|host| *host != not_on && self.state.admits(item, *host));
        open.min_by_key(|host| (self.free(*host), *host))
    }

    /// Gathers room until some host takes the item.
    fn gathered(&mut self, item: u32, not_on: u32) -> Option<u32> {
        let here = self.state.at[item as usize];
        let possible = |host: &u32| *host != not_on && *host != here && self.problem().may_go(item, here, *host);
        let mut hosts: Vec<u32> = (0..self.problem().hosts as u32).filter(possible).collect();
        hosts.sort_by_key(|host| (std::cmp::Reverse(self.free(*host)), *host));
        for host in hosts.into_iter().take(GATHERED) {
            let begin = self.hops.len();
            for _ in 0..STEPS {
                if self.state.admits(item, host) {
                    return Some(host);
                }
                if !self.gather(host, not_on) {
                    break;
                }
            }
            if self.state.admits(item, host) {
                return Some(host);
            }
            self.undo_to(begin);
        }
        None
    }

    /// Makes the hole on the host larger by what can be filled up elsewhere: the most that one move, or else one exchange, gives.
    fn gather(&mut self, host: u32, not_on: u32) -> bool {
        let own: Vec<u32> =
            self.state.residents(host).iter().copied().filter(|item| !self.fixed[*item as usize]).collect();
        let others: Vec<u32> =
            (0..self.problem().hosts as u32).filter(|other| *other != host && *other != not_on).collect();
        let moves = own.iter().flat_map(|item| others.iter().map(move |other| (*item, *other)));
        let fitting = moves.filter(|(item, other)| self.state.admits(*item, *other));
        // The largest, to where the least is left open.
        let best = fitting.max_by_key(|(item, other)| {
            (self.size(*item), std::cmp::Reverse(self.free(*other)), std::cmp::Reverse((*item, *other)))
        });
        if let Some((item, other)) = best {
            self.go(item, other);
            return true;
        }
        let mut exchanges: Vec<(i64, u32, u32, u32)> = Vec::new();
        for other in &others {
            for small in self.state.residents(*other).iter().filter(|item| !self.fixed[**item as usize]) {
                let room = self.free(*other) + self.size(*small);
                if self.size(*small) > self.free(host) {
                    continue;
                }
                let fits = |item: &&u32| self.size(**item) <= room && self.size(**item) > self.size(*small);
                if let Some(large) = own.iter().filter(fits).max_by_key(|item| (self.size(**item), **item)) {
                    exchanges.push((self.size(*large) - self.size(*small), *small, *large, *other));
                }
            }
        }
        exchanges.sort_unstable_by_key(|(gain, small, large, _)| (std::cmp::Reverse(*gain), *small, *large));
        for (_, small, large, other) in exchanges.into_iter().take(50) {
            let begin = self.hops.len();
            if self.state.admits(small, host) {
                self.go(small, host);
                if self.state.admits(large, other) {
                    self.go(large, other);
                    return true;
                }
            }
            self.undo_to(begin);
        }
        false
    }
}
