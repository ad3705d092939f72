//! **Priority.** Who is moved last: a VM with a higher rank is moved only where none with a lower rank helps. No code: it forbids
//! nothing. About the choice of moves; concerns VMs. The first rule that selects the VM counts.

use ulm_model::{Rule, RuleKind};

/// The rank of a VM that no rule ranks.
pub const UNRANKED: u32 = 100;

/// The rank of a VM that the `rules`, in the order of the rulebook, select.
pub fn rank<'r>(mut rules: impl Iterator<Item = &'r Rule>) -> u32 {
    let first = rules.find_map(|rule| match rule.kind {
        RuleKind::Priority { rank } => Some(rank),
        _ => None,
    });
    first.unwrap_or(UNRANKED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rule;

    #[test]
    fn the_first_rule_ranks_and_without_one_the_rank_is_a_hundred() {
        let rules = [RuleKind::Pin, RuleKind::Priority { rank: 7 }, RuleKind::Priority { rank: 3 }]
            .map(|kind| rule(kind, None, None));
        assert_eq!((rank(rules.iter()), rank([].iter())), (7, 100));
    }
}
