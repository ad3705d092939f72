//! A host is emptied over several rounds, where its VMs have room elsewhere only when those that go first are merged there.
//!
//! Properties:
//! (A) all moves of all rounds together pay, and nobody is moved twice;
//! (B) after each round the placement is sound, where what comes in it is counted in full, and all that came before as merged;
//! (C) it is known how it ends: each round was looked for from where the one before it leads, as whoever asks then will look for it. So who
//!     makes a round's moves and asks again, when they are merged and nothing else has changed, has a way to the end, and that is cheaper
//!     than it was.
//!
//! Method: if even with everything merged at once no fewer hosts would do, there is none. Else those hosts are tried that are emptied
//! most cheaply; one that was begun is the first of them. What an empty host saves is shared out among its VMs, as what it costs
//! that they stay, and [`search`] answers that question round by round, until the host is empty or none of its VMs finds room any more.
//!
//! Complexity: a search as if all were merged; where that needs fewer hosts, one for each round of at most [`HOSTS`] hosts. Together no
//! more effort than one search may make.

use super::{Search, empty, search, settle};
use crate::cost::{cost, points};
use crate::placement::Placement;
use crate::problem::{Effort, Found, PlaceMove, Points, Problem};

/// So many hosts are tried.
const HOSTS: usize = 3;
/// A host that takes longer is left as it is: what is foreseen for later is less and less to be believed.
const ROUNDS: usize = 4;
/// So many times the VMs that a host carries on average are moved at most. Where it takes more, all has to change places for one host.
const MOVES: usize = 2;

/// How a host is emptied over several rounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Which host.
    pub host: u32,
    /// The moves of each round, each VM once. One round is enough for what is left of a host that was begun before.
    pub rounds: Vec<Vec<PlaceMove>>,
    /// What all of them bring together: points before less points after, the moves' own cost deducted.
    pub gain: Points,
}

/// Looks for a host that it is better to empty than to do what was `found`; `None`: there is none, or what was found empties one already, or
/// nothing is shared.
///
/// # Panics
/// If the problem has a [`Problem::flaw`].
pub fn drain(problem: &Problem, found: &Found, effort: &Effort) -> Option<Drain> {
    assert_eq!(problem.flaw(), None, "a sound question");
    let home = home(problem);
    let now = awake(problem, &home);
    if problem.sharing.is_none() || now == 0 {
        return None;
    }
    let mut then = home;
    found.packages.iter().flat_map(|it| &it.moves).for_each(|one| then[one.vm as usize] = one.to);
    if awake(problem, &then) < now {
        return None;
    }
    let mut merged = Search::from(Placement::when_merged(problem), effort);
    let hosts = empty::hosts(&merged);
    settle(&mut merged, &|| false);
    if awake(problem, merged.state.all()) >= now {
        return None;
    }
    let mut left = Effort { evaluations: effort.evaluations.saturating_sub(merged.evaluations), ..*effort };
    let mut drains = hosts.into_iter().take(HOSTS).filter_map(|host| Emptying::new(problem, host).run(&mut left));
    drains.find(|drain| drain.gain > found.before.saturating_sub(found.after))
}

fn home(problem: &Problem) -> Vec<u32> {
    problem.vms.iter().map(|vm| vm.at).collect()
}

/// The hosts that carry VMs, ascending.
fn carrying(at: &[u32]) -> Vec<u32> {
    let mut hosts = at.to_vec();
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

/// How many they are of those which it saves something to empty.
fn awake(problem: &Problem, at: &[u32]) -> usize {
    let saves = |host: usize| !problem.hosts[host].busy && problem.awake.get(host).is_some_and(|it| *it > 0);
    let costs = |host: &u32| saves(*host as usize);
    carrying(at).into_iter().filter(costs).count()
}

/// A host that is emptied round by round.
struct Emptying<'p> {
    problem: &'p Problem,
    host: u32,
    /// The question as it is in the next round.
    now: Problem,
    /// What is saved when the host is empty.
    saves: Points,
}

impl<'p> Emptying<'p> {
    fn new(problem: &'p Problem, host: u32) -> Self {
        let mut now = problem.clone();
        now.hosts[host as usize].takes = false;
        let saves = std::mem::take(&mut now.awake[host as usize]);
        Emptying { problem, host, now, saves }
    }

    /// `None`: it does not become empty, or that does not pay.
    fn run(mut self, left: &mut Effort) -> Option<Drain> {
        let (mut rounds, mut moves) = (Vec::new(), 0);
        let mut vms = self.share_out();
        while vms > 0 {
            if rounds.len() == ROUNDS {
                return None;
            }
            let found = search(&self.now, left);
            left.evaluations = left.evaluations.saturating_sub(found.evaluations);
            let made = self.as_far_as_it_goes(&found);
            self.make(&made)?;
            moves += made.len();
            let before = std::mem::replace(&mut vms, self.share_out());
            if vms == before || moves > self.most() {
                return None;
            }
            rounds.push(made);
        }
        let of = |problem: &Problem| cost(self.problem, &home(problem)).exact();
        let gain = points(of(self.problem) - of(&self.now));
        (gain > 0).then_some(Drain { host: self.host, rounds, gain })
    }

    /// Shares out among the VMs on the host what it saves that they go. How many they are.
    fn share_out(&mut self) -> usize {
        let vms = self.now.vms.iter().filter(|vm| vm.at == self.host).count();
        let share = self.saves / (vms as Points).max(1);
        let all = self.now.vms.iter_mut().zip(&self.problem.vms);
        for (vm, was) in all.filter(|(vm, _)| vm.at == self.host) {
            vm.stay_cost = was.stay_cost.saturating_add(share);
        }
        vms
    }

    /// The moves up to the last package in which a VM leaves the host: what comes after them is of no use to it.
    fn as_far_as_it_goes(&self, found: &Found) -> Vec<PlaceMove> {
        let leaves = |one: &PlaceMove| self.now.vms[one.vm as usize].at == self.host;
        let last = found.packages.iter().rposition(|it| it.moves.iter().any(leaves));
        let useful = found.packages.iter().take(last.map_or(0, |last| last + 1));
        useful.flat_map(|it| it.moves.iter().copied()).collect()
    }

    /// Makes the moves; who has come rests. `None`: nobody could say what is left where a VM went that took it loosely.
    fn make(&mut self, moves: &[PlaceMove]) -> Option<()> {
        for one in moves {
            let vm = &mut self.now.vms[one.vm as usize];
            if !vm.loosely.is_empty() {
                return None;
            }
            (vm.at, vm.stays, vm.stay_cost) = (one.to, true, 0);
        }
        Some(())
    }

    fn most(&self) -> usize {
        let at = home(self.problem);
        MOVES * at.len().div_ceil(carrying(&at).len().max(1))
    }
}
