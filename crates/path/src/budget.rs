//! How much work may be done, and who may end it.

use ulm_model::Stopped;

/// How much work a search may do. It is counted, not timed, so that the same input gives the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// States that may be expanded, in all.
    pub expansions: u64,
    /// Memory that states may take, in bytes.
    pub bytes: u64,
}

impl Default for Budget {
    /// Enough for the hard cores of large clusters: some seconds, at most 1 GiB.
    fn default() -> Self {
        Budget { expansions: 2_000_000, bytes: 1 << 30 }
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
