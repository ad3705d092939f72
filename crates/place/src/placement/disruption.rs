//! Moved VMs by group, and how many are moved of the group of which most are.
//!
//! Complexity: a few look-ups for each change; memory groups + VMs.

use crate::problem::{Disruption, Problem};

/// See the module's text. Empty if nothing is asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Moved {
    /// For each group how many of its VMs are moved.
    count: Vec<u32>,
    /// For each number of moved VMs how many groups have so many.
    groups: Vec<u32>,
    most: u32,
}

impl Moved {
    pub fn new(problem: &Problem) -> Self {
        let Some(Disruption { group, .. }) = &problem.disruption else { return Moved::default() };
        let groups = group.iter().max().map_or(0, |last| last + 1);
        let mut sizes = vec![0u32; groups as usize];
        group.iter().for_each(|group| sizes[*group as usize] += 1);
        let mut by_count = vec![0; sizes.iter().max().map_or(0, |most| *most as usize) + 1];
        by_count[0] = groups;
        Moved { count: vec![0; groups as usize], groups: by_count, most: 0 }
    }

    /// By how much the most changes if so many VMs more of one group are moved, and of another one, if any.
    pub fn change(&self, one: (u32, i32), other: Option<(u32, i32)>) -> i32 {
        let (one, other) = match other {
            Some((group, more)) if group == one.0 => ((group, one.1 + more), None),
            other => (one, other),
        };
        let then = |(group, more): (u32, i32)| self.count[group as usize].wrapping_add_signed(more);
        let theirs = then(one).max(other.map_or(0, then));
        let beside = |count: u32| {
            let those = [Some(one), other].into_iter().flatten();
            self.groups[count as usize] > those.filter(|it| self.count[it.0 as usize] == count).count() as u32
        };
        let mut most = self.most;
        // A VM is moved or back at a time: this is done after two steps.
        while most > theirs && !beside(most) {
            most -= 1;
        }
        most.max(theirs) as i32 - self.most as i32
    }

    /// Counts a VM that is moved (1), or is back (-1).
    pub fn count(&mut self, group: u32, more: i32) {
        let count = &mut self.count[group as usize];
        self.groups[*count as usize] -= 1;
        *count = count.wrapping_add_signed(more);
        self.groups[*count as usize] += 1;
        self.most = self.most.max(*count);
        while self.most > 0 && self.groups[self.most as usize] == 0 {
            self.most -= 1;
        }
    }
}
