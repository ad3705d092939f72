//! A cheaper placement, by few moves.
//!
//! Properties:
//! (A) the result costs no more than the start; every accepted change lowers the cost, but for VMs that go home for nothing;
//! (B) hard things get no worse: see [`Placement`], *sound*;
//! (C) each package leads, after those before it, to a sound placement, and brings something; the gains add up to what is gained;
//! (D) the same question gives the same answer; numbers of hosts and VMs decide only between equals;
//! (E) effort is counted in placements weighed, and when it is spent the best so far is the answer.
//!
//! Abstraction: a [`Problem`]: sizes, sets, relations and terms of cost, all integers.
//!
//! Method: first what is urgent ([`repair`]), then hosts are emptied, many at once ([`close`]), and where more room is wanted than moves
//! may make, all hosts trade ([`trade`]). Then steepest descent, quick neighbourhoods first, from the beginning after each success:
//! one VM goes elsewhere ([`shift`]), two change places ([`swap`]), what should be near comes together ([`gather`]), and what shares
//! pages ([`cluster`]), room is made for what is wanted ([`rooms`]), a host is emptied as a whole ([`empty`]), one VM makes room for
//! another ([`eject`]). Moves and exchanges are first looked for between the few most promising VMs and hosts, at last between all. Then
//! VMs go home whose move brings nothing, and where a question is small, several VMs are looked at together ([`exact`]). At last the
//! moves are split into [`packages`]. [`anneal`](anneal()) goes on from there, where there is time;
//! [`drain`](drain::drain()) looks over several rounds.
//!
//! Most VMs are passed over at once: what a VM can bring by leaving its host is known without looking at targets
//! ([`Placement::leave_bound`]); so where nothing is wrong, one look at each VM is all, and where a target costs nothing
//! the first such target ends the search for a better one.
//!
//! Complexity: a pass over the VMs, and for each VM that could bring something at most all hosts (shift) or all VMs (swap).

mod anew;
pub(crate) mod anneal;
mod close;
mod cluster;
mod cooling;
mod cycle;
pub(crate) mod drain;
mod eject;
mod empty;
mod exact;
mod fill;
mod gather;
mod order;
mod pack;
mod packages;
mod repair;
mod rooms;
mod shift;
mod swap;
mod trade;

use crate::cost::points;
use crate::placement::Placement;
use crate::problem::{Effort, Found, Problem};
use order::Order;

/// Looks for a cheaper placement. See the module's text.
///
/// # Panics
/// If the problem has a [`Problem::flaw`].
pub fn search(problem: &Problem, effort: &Effort) -> Found {
    assert_eq!(problem.flaw(), None, "a sound question");
    let mut search = Search::new(problem, effort);
    let before = search.state.total();
    repair::run(&mut search);
    let closed = close::run(&mut search);
    trade::first(&mut search);
    settle(&mut search, &|| false);
    if exact::run(&mut search) {
        settle(&mut search, &|| false);
    }
    let mut split = packages::split(problem, search.state.all(), &search.together);
    if closed && split.dropped {
        // Moves that only made room for others were dropped: what remains may be better settled without them.
        let mut at: Vec<u32> = problem.vms.iter().map(|vm| vm.at).collect();
        split.packages.iter().flat_map(|it| &it.moves).for_each(|step| at[step.vm as usize] = step.to);
        for (vm, host) in at.into_iter().enumerate() {
            search.shift(vm as u32, host);
        }
        settle(&mut search, &|| false);
        split = packages::split(problem, search.state.all(), &search.together);
    }
    let settled = !search.spent() && !split.dropped;
    Found {
        packages: split.packages,
        before: points(before),
        after: points(split.after),
        evaluations: search.evaluations,
        settled,
    }
}

/// Until no neighbourhood brings more, or it is told to stop; then VMs go home whose move brings nothing, and all begins anew.
fn settle(search: &mut Search<'_>, stop: &dyn Fn() -> bool) {
    loop {
        while !stop() && descend(search) {}
        if stop() || !shift::home(search) || search.spent() {
            return;
        }
    }
}

/// One success of the first neighbourhood that has any.
fn descend(search: &mut Search<'_>) -> bool {
    let quick = [shift::quick, swap::quick, gather::pass, cluster::pass, rooms::pass, empty::pass, eject::pass];
    let neighbourhoods = quick.iter().chain(&[shift::pass as fn(&mut Search<'_>) -> bool, swap::pass]);
    neighbourhoods.into_iter().any(|pass| !search.spent() && pass(search))
}

/// Where a search stands.
struct Search<'p> {
    state: Placement<'p>,
    order: Order,
    /// How large each VM is, so that sizes compare.
    bulk: Vec<u64>,
    effort: Effort,
    evaluations: u64,
    /// VMs that were moved together in one step.
    together: Vec<Vec<u32>>,
    traded: trade::Traded,
}

/// How a target is looked for.
#[derive(Clone, Copy)]
struct Aim {
    prefer: Prefer,
    /// So many possible targets are compared.
    reach: usize,
}

/// Among the least used hosts.
const QUICK: Aim = Aim { prefer: Prefer::Spare, reach: 32 };
/// Among all, of equals the least used.
const SPARE: Aim = Aim { prefer: Prefer::Spare, reach: usize::MAX };
/// Among all, of equals the fullest.
const FULL: Aim = Aim { prefer: Prefer::Full, reach: usize::MAX };

/// From which end of the hosts by use a target is looked for, if several cost the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefer {
    /// Least used first: load is spread.
    Spare,
    /// Most used first: large gaps remain.
    Full,
}

impl<'p> Search<'p> {
    fn new(problem: &'p Problem, effort: &Effort) -> Self {
        Search::from(Placement::new(problem), effort)
    }

    fn from(state: Placement<'p>, effort: &Effort) -> Self {
        let problem = state.problem();
        let (order, bulk) = (Order::new(&state), order::bulk(problem));
        Search {
            order,
            bulk,
            effort: *effort,
            evaluations: 0,
            together: Vec::new(),
            traded: trade::Traded::NotYet,
            state,
        }
    }

    fn spent(&self) -> bool {
        self.evaluations >= self.effort.evaluations
    }

    fn problem(&self) -> &'p Problem {
        self.state.problem()
    }

    /// Whether so many further VMs may leave their homes.
    fn may_move(&self, more: u32) -> bool {
        u64::from(self.state.away()) + u64::from(more) <= u64::from(self.effort.moves)
    }

    /// By how much the total changes with the move, if it may be.
    fn weigh(&mut self, vm: u32, to: u32) -> Option<i128> {
        self.evaluations += 1;
        if self.state.is_home(vm) && !self.may_move(1) {
            return None;
        }
        self.state.shift_delta(vm, to)
    }

    /// The most that it can bring that the VM goes elsewhere, but not home.
    fn bound(&mut self, vm: u32) -> i128 {
        self.evaluations += 1;
        if self.problem().vms[vm as usize].stays { 0 } else { self.state.leave_bound(vm) }
    }

    /// By how much the total changes if the VM goes home; `None`: it is there, or may not.
    fn weigh_home(&mut self, vm: u32) -> Option<i128> {
        if self.state.is_home(vm) { None } else { self.weigh(vm, self.problem().vms[vm as usize].at) }
    }

    /// The cheapest of the targets that `of` says yes to, and how much it changes the total. None but home is worse than `-bound`, so
    /// the first that reaches this ends the search.
    fn best(
        &mut self,
        vm: u32,
        bound: i128,
        aim: Aim,
        of: impl Fn(&Placement<'_>, u32) -> bool,
    ) -> Option<(i128, u32)> {
        let home = self.problem().vms[vm as usize].at;
        let mut best = if of(&self.state, home) { self.weigh_home(vm).map(|delta| (delta, home)) } else { None };
        let (hosts, mut left) = (self.order.len(), aim.reach);
        for i in 0..hosts {
            if left == 0 || self.spent() || best.is_some_and(|(delta, _)| delta <= -bound) {
                break;
            }
            let host = self.order.host(if aim.prefer == Prefer::Spare { i } else { hosts - 1 - i });
            if host == home || !of(&self.state, host) {
                continue;
            }
            let Some(delta) = self.weigh(vm, host) else { continue };
            left -= 1;
            if best.is_none_or(|(least, _)| delta < least) {
                best = Some((delta, host));
            }
        }
        best
    }

    fn shift(&mut self, vm: u32, to: u32) {
        let from = self.state.at(vm);
        self.state.shift(vm, to);
        self.order.update(&self.state, from);
        self.order.update(&self.state, to);
    }

    fn undo(&mut self, mark: usize) {
        let touched = self.state.touched_since(mark);
        self.state.undo(mark);
        for host in touched {
            self.order.update(&self.state, host);
        }
    }

    /// Keeps what was done after the mark if the total is lower than it was then and the effort was enough; else takes it back.
    fn conclude(&mut self, mark: usize, before: i128, whole: bool) -> bool {
        if !whole || self.state.total() >= before {
            self.undo(mark);
            return false;
        }
        let vms: Vec<u32> = self.state.done_since(mark).collect();
        self.together.push(vms);
        true
    }
}
