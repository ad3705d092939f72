//! Rules beyond those that a task can name.

/// A rule of the caller's own: whatever it is about, the search keeps it.
///
/// A task's own rules (capacity, at most, together, only, never, one way) need none of this: they are bounds and gates, of which the
/// search can count and reason. A rule of one's own is asked before each move.
pub trait Rule: Sync {
    /// What the search may rely on.
    fn nature(&self) -> Nature;
    /// VMs with different keys are not interchangeable; equal keys: the rule does not tell them apart. 0 is usual for VMs that it does
    /// not concern.
    fn key(&self, vm: u32) -> u64;
    /// Whether the VM may go there while all other VMs are on these hosts (by VM), it itself counted on both.
    fn admits(&self, at: &[u32], vm: u32, to: u32) -> bool;
}

/// What the search may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nature {
    /// What the answer depends on.
    pub scope: Scope,
    /// Taking a VM away from a host never turns a yes into a no.
    pub monotone: bool,
    /// What may be done may be undone.
    pub symmetric: bool,
}

/// What the answer of a [`Rule`] depends on, beside the VM and the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Nothing else: moves may overtake each other freely.
    Move,
    /// On where other VMs are: the steps of a route keep their order.
    Placement,
}
