//! Whoever draws VMs together leaves one hole: on the hosts that go on carrying VMs there is room for a VM as large as the largest, so
//! that what fails or begins anew need not wait until a host is switched on.

use std::cmp::Reverse;

use ulm_model::{HostIx, Reason};
use ulm_policy::{Goal, GoalKind, Shape};

use super::measure::{carrying, rooms};
use super::question::Question;
use crate::round::Round;

/// The hole that is kept for a goal.
pub(super) struct Hole<'g> {
    goal: &'g Goal,
    shape: Shape,
}

/// Those of the goals that have a hole now; what is not there cannot be kept.
pub(super) fn holes<'g>(question: &Question, round: &Round<'_>, goals: &[&'g Goal]) -> Vec<Hole<'g>> {
    let home = question.home();
    let drawing = goals.iter().filter(|goal| matches!(goal.kind, GoalKind::Defragment(_)));
    let hole = |goal: &&'g Goal| Some(Hole { goal, shape: largest(question, round)? });
    drawing.filter_map(hole).filter(|hole| hole.is_there(question, round, &home)).collect()
}

/// The largest VM that takes part: most memory, of equals most virtual CPUs.
fn largest(question: &Question, round: &Round<'_>) -> Option<Shape> {
    let vms = question.vms.iter().map(|vm| round.input.snapshot.vm(*vm));
    let largest = vms.min_by_key(|vm| (Reverse(vm.memory), Reverse(vm.vcpus)))?;
    Some(Shape::new(largest.vcpus, largest.memory, Some(1)))
}

impl Hole<'_> {
    fn is_there(&self, question: &Question, round: &Round<'_>, at: &[u32]) -> bool {
        let carrying = carrying(question, at);
        let counts = |host: HostIx| carrying.contains(&host);
        rooms(question, round, self.goal, &self.shape, at, &counts) > 0
    }

    /// Why this placement is not wanted, if it has the hole no more.
    pub fn lost(&self, question: &Question, round: &Round<'_>, at: &[u32]) -> Option<Reason> {
        let Shape { vcpus, memory, .. } = self.shape;
        (!self.is_there(question, round, at)).then_some(Reason::NoHole { vcpus, memory })
    }
}
