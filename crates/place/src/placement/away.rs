//! How many VMs are elsewhere than at the start; parts of one count once.

use crate::problem::Problem;

/// See the module's text.
#[derive(Clone, Debug)]
pub(super) struct Away {
    /// For each VM what it is a part of; empty if none is.
    whole: Vec<Option<u32>>,
    /// For each of these how many parts are elsewhere than at the start.
    parts: Vec<u32>,
    pub count: u32,
}

impl Away {
    pub fn new(problem: &Problem) -> Self {
        let mut whole = vec![None; if problem.wholes.is_empty() { 0 } else { problem.vms.len() }];
        for (i, parts) in problem.wholes.iter().enumerate() {
            parts.iter().for_each(|vm| whole[*vm as usize] = Some(i as u32));
        }
        Away { whole, parts: vec![0; problem.wholes.len()], count: 0 }
    }

    /// The VM was away, or was not, and is away now, or is not.
    pub fn moved(&mut self, vm: usize, before: bool, now: bool) {
        if before == now {
            return;
        }
        let change = |count: &mut u32| *count = if now { *count + 1 } else { *count - 1 };
        let Some(whole) = self.whole.get(vm).copied().flatten() else { return change(&mut self.count) };
        let parts = &mut self.parts[whole as usize];
        let any = *parts > 0;
        change(parts);
        if any != (*parts > 0) {
            change(&mut self.count);
        }
    }
}
