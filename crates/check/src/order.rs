//! Which step waits for which, through others too.

use ulm_model::Plan;

use crate::Fault;

/// The partial order of a plan's steps, by their places in the plan.
pub(crate) struct Order {
    /// `before[a][b]`: step `b` must have ended well before step `a` begins.
    before: Vec<Vec<bool>>,
}

impl Order {
    pub fn of(plan: &Plan) -> Result<Self, Fault> {
        let count = plan.steps.len();
        let mut before = vec![vec![false; count]; count];
        for (i, step) in plan.steps.iter().enumerate() {
            if plan.steps[..i].iter().any(|other| other.id == step.id) {
                return Err(Fault::StepTwice { step: step.id });
            }
            for awaited in &step.after {
                let place = plan.steps.iter().position(|other| other.id == *awaited);
                let place = place.ok_or(Fault::UnknownStep { step: step.id, missing: *awaited })?;
                before[i][place] = true;
            }
        }
        // Warshall: whoever waits for `via` waits for all that `via` waits for.
        for via in 0..count {
            let behind = before[via].clone();
            for waits in before.iter_mut().filter(|waits| waits[via]) {
                for (b, also) in behind.iter().enumerate() {
                    waits[b] |= also;
                }
            }
        }
        match (0..count).find(|i| before[*i][*i]) {
            Some(i) => Err(Fault::Cyclic { step: plan.steps[i].id }),
            None => Ok(Order { before }),
        }
    }

    /// Whether step `a` waits for step `b`.
    pub fn waits_for(&self, a: usize, b: usize) -> bool {
        self.before[a][b]
    }

    /// The most of these steps that could run at the same time: the largest set in which none waits for another.
    ///
    /// By Dilworth's theorem that is their number less the largest matching between steps and steps that they wait for.
    pub fn most_at_once(&self, steps: &[usize]) -> usize {
        let mut taken: Vec<Option<usize>> = vec![None; steps.len()];
        let matched =
            (0..steps.len()).filter(|a| self.matches(steps, *a, &mut taken, &mut vec![false; steps.len()])).count();
        steps.len() - matched
    }

    /// Finds a partner for `a`, if need be by sending another one to look for a new partner (Kuhn).
    fn matches(&self, steps: &[usize], a: usize, taken: &mut [Option<usize>], seen: &mut [bool]) -> bool {
        for b in 0..steps.len() {
            if self.before[steps[a]][steps[b]] && !seen[b] {
                seen[b] = true;
                if taken[b].is_none_or(|other| self.matches(steps, other, taken, seen)) {
                    taken[b] = Some(a);
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ulm_model::{Action, Reason, Step, StepId, Time, VmId};

    use super::*;

    fn plan(after: &[Vec<usize>]) -> Plan {
        let step = |(i, after): (usize, &Vec<usize>)| Step {
            id: StepId(i as u32),
            action: Action::Move {
                vm: VmId(uuid::Uuid::from_u128(i as u128)),
                vm_name: String::new(),
                from: "a".into(),
                to: "b".into(),
            },
            after: after.iter().map(|s| StepId(*s as u32)).collect(),
            because: Reason::Calm {},
        };
        Plan {
            parent: String::new(),
            made_at: Time(0),
            expires_at: Time(1),
            steps: after.iter().enumerate().map(step).collect(),
        }
    }

    #[test]
    fn steps_that_wait_for_each_other_are_found() {
        assert!(matches!(Order::of(&plan(&[vec![2], vec![0], vec![1]])), Err(Fault::Cyclic { .. })));
        assert!(matches!(Order::of(&plan(&[vec![0]])), Err(Fault::Cyclic { .. })));
        assert!(matches!(Order::of(&plan(&[vec![7]])), Err(Fault::UnknownStep { .. })));
    }

    #[test]
    fn waiting_reaches_through_others() {
        let order = Order::of(&plan(&[vec![], vec![0], vec![1]])).unwrap();
        assert!(order.waits_for(2, 0) && !order.waits_for(0, 2));
        assert_eq!(order.most_at_once(&[0, 1, 2]), 1);
        assert_eq!(order.most_at_once(&[0]), 1);
        assert_eq!(order.most_at_once(&[]), 0);
    }

    proptest! {
        #[test]
        fn the_most_at_once_is_the_largest_set_without_waiting(edges in proptest::collection::vec(any::<bool>(), 28)) {
            let mut edge = edges.into_iter();
            let after: Vec<Vec<usize>> = (0..8).map(|a| (0..a).filter(|_| edge.next().unwrap_or(false)).collect()).collect();
            let order = Order::of(&plan(&after)).unwrap();
            let all: Vec<usize> = (0..8).collect();
            let free = |set: u32| all.iter().all(|a| all.iter().all(|b| {
                set >> a & 1 == 0 || set >> b & 1 == 0 || !order.waits_for(*a, *b)
            }));
            let most = (0u32..256).filter(|set| free(*set)).map(u32::count_ones).max().unwrap();
            prop_assert_eq!(order.most_at_once(&all), most as usize);
        }
    }
}
