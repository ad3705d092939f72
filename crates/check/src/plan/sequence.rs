//! A plan's steps, each after those that it waits for.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use ulm_model::{Plan, Step, StepId};

use super::Fault;
use crate::order::Order;

/// The steps, and what they wait for by their places in it.
pub(super) struct Sequence<'p> {
    pub steps: Vec<&'p Step>,
    pub order: Order,
}

impl<'p> Sequence<'p> {
    /// Keeps the plan's own order as far as that is possible.
    pub fn of(plan: &'p Plan) -> Result<Self, Fault> {
        let mut place: HashMap<StepId, u32> = HashMap::new();
        for (i, step) in plan.steps.iter().enumerate() {
            if place.insert(step.id, i as u32).is_some() {
                return Err(Fault::StepTwice { step: step.id });
            }
        }
        let mut after: Vec<Vec<u32>> = Vec::with_capacity(plan.steps.len());
        let mut waiting: Vec<Vec<u32>> = vec![Vec::new(); plan.steps.len()];
        for (i, step) in plan.steps.iter().enumerate() {
            let find = |id: &StepId| place.get(id).copied().ok_or(Fault::UnknownStep { step: step.id, missing: *id });
            let awaited = step.after.iter().map(find).collect::<Result<Vec<u32>, Fault>>()?;
            awaited.iter().for_each(|earlier| waiting[*earlier as usize].push(i as u32));
            after.push(awaited);
        }
        let mut missing: Vec<usize> = after.iter().map(Vec::len).collect();
        let mut ready: BinaryHeap<Reverse<u32>> =
            (0..after.len() as u32).filter(|i| missing[*i as usize] == 0).map(Reverse).collect();
        let (mut steps, mut list) = (Vec::new(), Vec::new());
        let mut new_place = vec![None; after.len()];
        while let Some(Reverse(i)) = ready.pop() {
            new_place[i as usize] = Some(steps.len() as u32);
            steps.push(&plan.steps[i as usize]);
            list.push(after[i as usize].iter().filter_map(|earlier| new_place[*earlier as usize]).collect::<Vec<_>>());
            for later in &waiting[i as usize] {
                missing[*later as usize] -= 1;
                if missing[*later as usize] == 0 {
                    ready.push(Reverse(*later));
                }
            }
        }
        if let Some(stuck) = new_place.iter().position(Option::is_none) {
            return Err(Fault::Cyclic { step: plan.steps[on_a_cycle(stuck, &after, &new_place)].id });
        }
        Ok(Sequence { steps, order: Order::new(list.iter().map(Vec::as_slice)) })
    }
}

/// From a step without a place back to one that waits for itself: each such step waits for another one.
fn on_a_cycle(stuck: usize, after: &[Vec<u32>], place: &[Option<u32>]) -> usize {
    let mut seen = vec![false; after.len()];
    let mut at = stuck;
    while !std::mem::replace(&mut seen[at], true) {
        at = after[at].iter().map(|i| *i as usize).find(|i| place[*i].is_none()).unwrap_or(at);
    }
    at
}

#[cfg(test)]
mod tests {
    use ulm_model::{Action, Reason, Time, VmId};

    use super::*;

    fn plan(after: &[&[u32]]) -> Plan {
        let step = |(i, after): (usize, &&[u32])| Step {
            id: StepId(i as u32),
            action: Action::Move {
                vm: VmId(uuid::Uuid::from_u128(i as u128)),
                vm_name: String::new(),
                from: "a".into(),
                to: "b".into(),
            },
            after: after.iter().map(|s| StepId(*s)).collect(),
            because: Reason::Calm {},
            expected: None,
        };
        let steps = after.iter().enumerate().map(step).collect();
        Plan { parent: String::new(), made_at: Time(0), expires_at: Time(1), steps }
    }

    #[test]
    fn steps_that_wait_for_each_other_are_found() {
        assert!(matches!(Sequence::of(&plan(&[&[2], &[0], &[1]])), Err(Fault::Cyclic { .. })));
        assert!(matches!(Sequence::of(&plan(&[&[0]])), Err(Fault::Cyclic { .. })));
        assert!(matches!(Sequence::of(&plan(&[&[7]])), Err(Fault::UnknownStep { .. })));
        // Step 0 only waits for a circle, it is not of it.
        assert!(matches!(Sequence::of(&plan(&[&[1], &[2], &[1]])), Err(Fault::Cyclic { step: StepId(1) })));
    }

    #[test]
    fn each_step_comes_after_those_that_it_waits_for() {
        let plan = plan(&[&[2], &[], &[1], &[]]);
        let sequence = Sequence::of(&plan).map(|sequence| sequence.steps.iter().map(|step| step.id.0).collect());
        assert_eq!(sequence, Ok(vec![1, 2, 0, 3]));
    }
}
