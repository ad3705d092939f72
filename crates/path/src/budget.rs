//! How much work may be done, and who may end it.

use ulm_model::Stopped;

/// How much work a search may do. It is counted, not timed, so that the same input gives the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// States that may be expanded, in all. The expansion of a state counts once for every 32 pairs of item and host that it looks at.
    pub expansions: u64,
    /// Memory that states may take, in bytes.
    pub bytes: u64,
}

impl Default for Budget {
    /// Enough for the hard cores of large clusters: some seconds, at most 1 GiB.
    fn default() -> Self {
        Budget { expansions: 4_000_000, bytes: 1 << 30 }
    }
}

/// How far a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it does, in a word or two.
    pub stage: &'static str,
    /// VMs that are not at their hosts of B yet.
    pub left: usize,
    /// States that were explored.
    pub explored: u64,
}

/// Watches a search, and may end it. Called every some thousand steps of work.
pub trait Watch {
    /// Takes note; a reason to end the search ends it soon, with the best that there is.
    fn look(&self, progress: Progress) -> Option<Stopped>;
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Watch for Alone {
    fn look(&self, _progress: Progress) -> Option<Stopped> {
        None
    }
}

/// The budget while it is spent.
pub(crate) struct Purse<'w> {
    budget: Budget,
    watch: &'w dyn Watch,
    /// What the search does now.
    pub stage: &'static str,
    /// VMs that are not at their hosts of B yet.
    pub left: usize,
    /// States that were expanded.
    pub explored: u64,
    /// Why nothing more may be spent.
    pub stopped: Option<Stopped>,
}

/// The watch is called once for so much work.
const LOOK_EVERY: u64 = 512;

impl<'w> Purse<'w> {
    /// A full one.
    pub fn new(budget: Budget, watch: &'w dyn Watch) -> Self {
        Purse { budget, watch, stage: "looking", left: 0, explored: 0, stopped: None }
    }

    /// Pays for some expansions while so much memory is taken; false: it is not allowed any more.
    pub fn pay(&mut self, expansions: u64, bytes: u64) -> bool {
        if self.stopped.is_some_and(|why| why != Stopped::Memory) {
            return false;
        }
        if bytes > self.budget.bytes {
            self.stopped = Some(Stopped::Memory);
            return false;
        }
        if self.explored + expansions > self.budget.expansions {
            self.stopped = Some(Stopped::Expansions);
            return false;
        }
        let before = self.explored / LOOK_EVERY;
        self.explored += expansions;
        if self.explored / LOOK_EVERY != before {
            self.look();
        }
        !self.is_over()
    }

    /// Counts work that is bounded anyhow, at most up to the budget.
    pub fn spend(&mut self, expansions: u64) {
        self.explored = self.explored.saturating_add(expansions).min(self.budget.expansions);
    }

    /// Whether so many parts in a hundred of the budget are spent.
    pub fn has_spent(&self, percent: u64) -> bool {
        self.explored >= self.budget.expansions / 100 * percent
    }

    /// Asks whoever watches; whether the search is to end.
    pub fn look(&mut self) -> bool {
        let progress = Progress { stage: self.stage, left: self.left, explored: self.explored };
        if !self.is_over()
            && let Some(why) = self.watch.look(progress)
        {
            self.stopped = Some(why);
        }
        self.is_over()
    }

    /// Whether nothing more may be done at all.
    pub fn is_over(&self) -> bool {
        self.stopped.is_some_and(|why| why != Stopped::Memory)
    }
}
