//! **Capacity.** Another limit of what may be promised on the hosts; for each value the first rule that selects the host and gives
//! the value counts. `capacity.memory`, `capacity.cpu`. Continuous; concerns hosts. Judged by [`crate::memory`] and [`crate::vcpus`].

use ulm_model::{Capacity, Rule, RuleKind};

/// The capacity of a host that the `rules`, in the order of the rulebook, select.
pub fn of<'r>(general: &Capacity, rules: impl Iterator<Item = &'r Rule>) -> Capacity {
    let (mut memory, mut reserve, mut cpu) = (None, None, None);
    for rule in rules {
        if let RuleKind::Capacity { memory_overcommit, memory_reserve, cpu_overcommit } = &rule.kind {
            memory = memory.or(*memory_overcommit);
            reserve = reserve.or(*memory_reserve);
            cpu = cpu.or(*cpu_overcommit);
        }
    }
    Capacity {
        memory_overcommit: memory.unwrap_or(general.memory_overcommit),
        memory_reserve: reserve.unwrap_or(general.memory_reserve),
        cpu_overcommit: cpu.unwrap_or(general.cpu_overcommit),
    }
}

#[cfg(test)]
mod tests {
    use ulm_model::{Bytes, Share};

    use super::*;
    use crate::testing::{rule, rulebook};

    #[test]
    fn the_first_rule_that_gives_a_value_counts() {
        let other = |memory: Option<u32>, reserve: Option<u64>, cpu: Option<u32>| {
            let kind = RuleKind::Capacity {
                memory_overcommit: memory.map(Share::percent),
                memory_reserve: reserve.map(Bytes::gib),
                cpu_overcommit: cpu.map(Share::percent),
            };
            rule(kind, None, Some("a"))
        };
        let rules = [other(None, Some(1), None), other(Some(150), Some(2), None)];
        let capacity = of(&rulebook().capacity, rules.iter());
        assert_eq!(capacity.memory_reserve, Bytes::gib(1));
        assert_eq!(capacity.memory_overcommit, Share::percent(150));
        assert_eq!(capacity.cpu_overcommit, Share::percent(400), "nobody says otherwise");
    }
}
