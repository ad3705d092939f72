//! Best-first search in a core: greedily for any way, weighted for a cheap one.
//!
//! Keys of open states are `(g · cost so far + h · least cost to go, least cost to go)`. With `g = 0` that is greedy best-first search,
//! which finds a way in few expansions; with `g = h = 1` it is A*, and the first way found is the cheapest (the least cost
//! never overestimates); with `h = 2` it costs at most twice the cheapest, and is found much sooner. An upper bound leaves out what
//! cannot undercut it: when nothing is left then, the bound was the optimum.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::budget::Purse;
use crate::core::{Core, Groups, Step, Sums, Way};
use crate::states::{NO_STATE, States};

/// What counts how much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights {
    /// The cost so far.
    pub so_far: u64,
    /// The least cost to go.
    pub to_go: u64,
}

/// Any way, soon.
pub(crate) const GREEDY: Weights = Weights { so_far: 0, to_go: 1 };
/// At most twice the cheapest.
pub(crate) const TWICE: Weights = Weights { so_far: 1, to_go: 2 };
/// The cheapest.
pub(crate) const EXACT: Weights = Weights { so_far: 1, to_go: 1 };

/// A search that can be gone on with.
pub(crate) struct Search<'c, 'p> {
    core: &'c Core<'p>,
    weights: Weights,
    /// Only ways that cost less are of interest.
    pub below: u64,
    states: States,
    cost: Vec<u64>,
    to_go: Vec<u64>,
    open: BinaryHeap<Reverse<(u64, u64, u32)>>,
}

/// What came of some expansions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A way: steps by class and hosts of the core, and its cost.
    Way(Vec<(u16, u8, u8)>, u64),
    /// There is none below the bound.
    Nothing,
    /// The expansions are used up.
    NotYet,
}

impl<'c, 'p> Search<'c, 'p> {
    /// Begins at a placement.
    pub fn new(core: &'c Core<'p>, start: &[u8], weights: Weights, below: u64) -> Self {
        let mut search = Search {
            core,
            weights,
            below,
            states: States::new(start.len()),
            cost: vec![0],
            to_go: Vec::new(),
            open: BinaryHeap::new(),
        };
        let to_go = core.least_cost_of(start);
        search.states.add(start, NO_STATE, (0, 0, 0));
        search.to_go.push(to_go);
        search.open.push(Reverse((0, to_go, 0)));
        search
    }

    /// Memory taken, in bytes.
    pub fn bytes(&self) -> u64 {
        self.states.bytes() + (self.cost.capacity() * 16 + self.open.len() * 24) as u64
    }

    /// Expands at most so many states, as far as the purse allows.
    pub fn go_on(&mut self, expansions: u64, purse: &mut Purse<'_>) -> Found {
        let (mut sums, mut group, mut next, mut steps) = (Sums::default(), Groups::default(), Vec::new(), Vec::new());
        let mut left = expansions;
        while let Some(Reverse((rank, to_go, state))) = self.open.pop() {
            let so_far = self.cost[state as usize];
            // Entered again since with a lower cost, or of no interest any more.
            if rank > self.rank(so_far, to_go) || so_far.saturating_add(to_go) >= self.below {
                continue;
            }
            if self.core.is_end(self.states.key(state)) {
                return Found::Way(self.states.steps_to(state), so_far);
            }
            if left == 0 || !purse.pay(self.core.weight(), self.bytes()) {
                self.open.push(Reverse((rank, to_go, state)));
                return Found::NotYet;
            }
            left -= 1;
            let key = self.states.key(state).to_vec();
            self.core.sum(&key, &mut sums);
            steps.clear();
            self.core.each_step(&key, &sums, Way::Onward, |step| steps.push(step));
            for step in &steps {
                self.enter(state, so_far, &key, *step, &mut sums, &mut group, &mut next);
            }
        }
        Found::Nothing
    }

    fn rank(&self, so_far: u64, to_go: u64) -> u64 {
        let Weights { so_far: g, to_go: h } = self.weights;
        so_far.saturating_mul(g).saturating_add(to_go.saturating_mul(h))
    }

    #[allow(clippy::too_many_arguments)]
    fn enter(
        &mut self,
        parent: u32,
        so_far: u64,
        key: &[u8],
        step: Step,
        sums: &mut Sums,
        group: &mut Groups,
        next: &mut Vec<u8>,
    ) {
        let cost = so_far.saturating_add(self.core.cost(step));
        if cost >= self.below {
            return;
        }
        self.core.after(key, step, Way::Onward, next);
        let told = (self.core.class[usize::from(step.place)], step.from, step.to);
        let (state, new) = self.states.add(next, parent, told);
        if new {
            self.core.apply(sums, step, false);
            // The sums do not depend on which of the class moved, so they are those of the sorted key, too.
            let to_go = self.core.least_cost(next, sums, group);
            self.core.apply(sums, step, true);
            self.cost.push(cost);
            self.to_go.push(to_go);
        } else if cost < self.cost[state as usize] {
            self.cost[state as usize] = cost;
            self.states.parent[state as usize] = parent;
            self.states.step[state as usize] = told;
        } else {
            return;
        }
        let to_go = self.to_go[state as usize];
        if cost.saturating_add(to_go) < self.below {
            self.open.push(Reverse((self.rank(cost, to_go), to_go, state)));
        }
    }
}
