//! Which step waits for which, through others too.
//!
//! A whole matrix of steps by steps would be too large for long routes. [`Order::waits`] answers many questions at once instead:
//! it takes the steps that are asked for, 1024 at a time, and hands the set of those that a step waits for from step to step.

/// The partial order of steps. Every step waits only for earlier ones.
pub(crate) struct Order {
    /// Where each step's list begins in `list`; one more at the end.
    begins: Vec<usize>,
    /// The steps that are waited for directly, each step's in ascending order.
    list: Vec<u32>,
}

/// So many awaited steps are followed at a time.
const AT_A_TIME: usize = 1024;

impl Order {
    /// From the steps that each step waits for directly. All of them must be earlier than itself.
    pub fn new<'s>(after: impl Iterator<Item = &'s [u32]>) -> Self {
        let (mut begins, mut list) = (vec![0], Vec::new());
        for (step, awaited) in after.enumerate() {
            debug_assert!(awaited.iter().all(|earlier| (*earlier as usize) < step));
            let begin = list.len();
            list.extend_from_slice(awaited);
            list[begin..].sort_unstable();
            begins.push(list.len());
        }
        Order { begins, list }
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.begins.len() - 1
    }

    /// What a step waits for directly.
    pub fn after(&self, step: u32) -> &[u32] {
        &self.list[self.begins[step as usize]..self.begins[step as usize + 1]]
    }

    /// For each pair whether the first step waits for the second one, directly or through others.
    pub fn waits(&self, pairs: &[(u32, u32)]) -> Vec<bool> {
        let mut answers: Vec<bool> =
            pairs.iter().map(|(later, earlier)| self.after(*later).binary_search(earlier).is_ok()).collect();
        // Still open, by the step that is waited for.
        let open = |i: &usize| !answers[*i] && pairs[*i].1 < pairs[*i].0;
        let mut open: Vec<usize> = (0..pairs.len()).filter(open).collect();
        open.sort_unstable_by_key(|i| pairs[*i].1);
        let mut rest = &open[..];
        while let Some(first) = rest.first() {
            let mut awaited = vec![pairs[*first].1];
            let mut end = 0;
            for i in rest {
                let earlier = pairs[*i].1;
                if *awaited.last().unwrap_or(&earlier) != earlier {
                    if awaited.len() == AT_A_TIME {
                        break;
                    }
                    awaited.push(earlier);
                }
                end += 1;
            }
            let (now, later) = rest.split_at(end);
            self.follow(&awaited, now, pairs, &mut answers);
            rest = later;
        }
        answers
    }

    /// Answers those pairs that ask for the `awaited` steps, which ascend.
    fn follow(&self, awaited: &[u32], asked: &[usize], pairs: &[(u32, u32)], answers: &mut [bool]) {
        let (Some(low), Some(high)) = (awaited.first(), asked.iter().map(|i| pairs[*i].0).max()) else { return };
        let (low, words) = (*low, awaited.len().div_ceil(64));
        let steps = (high - low) as usize + 1;
        let mut column = vec![None; steps];
        for (c, earlier) in awaited.iter().enumerate() {
            column[(*earlier - low) as usize] = Some(c);
        }
        // For each step from `low` on the awaited ones that it waits for, as bits; and whether there are any.
        let mut rows = vec![0u64; steps * words];
        let mut any = vec![false; steps];
        for step in 0..steps {
            let (before, own) = rows.split_at_mut(step * words);
            for earlier in self.after(low + step as u32) {
                let Some(e) = earlier.checked_sub(low).map(|e| e as usize) else { continue };
                if any[e] {
                    any[step] = true;
                    for (mine, theirs) in own[..words].iter_mut().zip(&before[e * words..(e + 1) * words]) {
                        *mine |= theirs;
                    }
                }
                if let Some(c) = column[e] {
                    any[step] = true;
                    own[c / 64] |= 1 << (c % 64);
                }
            }
        }
        for i in asked {
            let (later, earlier) = pairs[*i];
            if let Some(c) = column[(earlier - low) as usize] {
                answers[*i] = rows[(later - low) as usize * words + c / 64] >> (c % 64) & 1 == 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waiting_reaches_through_others() {
        let after = [vec![], vec![0], vec![1], vec![]];
        let order = Order::new(after.iter().map(Vec::as_slice));
        assert_eq!(order.waits(&[(2, 0), (0, 2), (3, 0), (2, 1), (1, 1)]), [true, false, false, true, false]);
        assert_eq!(order.waits(&[]), [false; 0]);
    }

    proptest! {
        #[test]
        fn waiting_is_the_transitive_closure(edges in proptest::collection::vec(0u8..8, 40 * 39 / 2)) {
            let mut edge = edges.into_iter();
            let after: Vec<Vec<u32>> =
                (0..40).map(|a| (0..a).filter(|_| edge.next() == Some(0)).collect()).collect();
            let order = Order::new(after.iter().map(Vec::as_slice));
            let mut plain = vec![[false; 40]; 40];
            for step in 0..40 {
                for earlier in &after[step] {
                    let theirs = plain[*earlier as usize];
                    (0..40).for_each(|i| plain[step][i] |= theirs[i]);
                    plain[step][*earlier as usize] = true;
                }
            }
            let pairs: Vec<(u32, u32)> = (0..40).flat_map(|a| (0..40).map(move |b| (a, b))).collect();
            for (pair, answer) in pairs.iter().zip(order.waits(&pairs)) {
                prop_assert_eq!(answer, plain[pair.0 as usize][pair.1 as usize], "{:?}", pair);
            }
        }
    }

    #[test]
    fn more_awaited_steps_than_are_followed_at_a_time() {
        // Two chains, even and odd.
        let after: Vec<Vec<u32>> = (0..3000u32).map(|i| i.checked_sub(2).into_iter().collect()).collect();
        let order = Order::new(after.iter().map(Vec::as_slice));
        let pairs: Vec<(u32, u32)> = (0..2999).flat_map(|earlier| [(2999, earlier), (2998, earlier)]).collect();
        for (pair, answer) in pairs.iter().zip(order.waits(&pairs)) {
            assert_eq!(answer, pair.1 < pair.0 && pair.0 % 2 == pair.1 % 2, "{pair:?}");
        }
    }
}
