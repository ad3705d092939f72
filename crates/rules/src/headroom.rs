//! **Headroom.** Of what may be promised on each of the hosts this part stays free: no automatic move takes it. `rule.headroom`.
//! Continuous; concerns hosts. Moves by hand see the limit itself.
//!
//! Parts of the host's limit, rounded down; of several rules the largest part counts.

use ulm_model::{Bytes, Host, MilliCpu, Reason, Resource, Rule, RuleKind, Share};

/// What automatic moves leave free on a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Memory.
    pub memory: Bytes,
    /// Virtual CPUs.
    pub vcpus: u64,
}

/// What is kept free of these limits on a host that the `rules` select.
pub fn kept<'r>(memory: Bytes, vcpus: u64, rules: impl Iterator<Item = &'r Rule>) -> Kept {
    let (mut of_memory, mut of_cpu) = (Share::ZERO, Share::ZERO);
    for rule in rules {
        if let RuleKind::Headroom { memory, cpu } = &rule.kind {
            of_memory = of_memory.max(*memory);
            of_cpu = of_cpu.max(*cpu);
        }
    }
    Kept { memory: (of_memory * memory).min(memory), vcpus: part_of(of_cpu, vcpus).min(vcpus) }
}

/// The part of so many virtual CPUs, rounded down to whole ones.
fn part_of(part: Share, vcpus: u64) -> u64 {
    (part * MilliCpu(vcpus.saturating_mul(1000))).0 / 1000
}

/// Why an automatic move takes no more of the host: the first of those `rules` that keep most of it.
pub fn reason<'r>(host: &Host, resource: Resource, rules: impl Iterator<Item = &'r Rule>) -> Option<Reason> {
    let mut most: Option<(Share, &Rule)> = None;
    for rule in rules {
        if let RuleKind::Headroom { memory, cpu } = &rule.kind {
            let part = if resource == Resource::Memory { *memory } else { *cpu };
            if most.is_none_or(|(most, _)| part > most) {
                most = Some((part, rule));
            }
        }
    }
    most.map(|(_, rule)| Reason::Headroom { host: host.name.clone(), rule: rule.name.clone(), resource })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{host, rule};

    #[test]
    fn of_several_rules_the_largest_part_counts() {
        let keep = |memory: u32, cpu: u32, name: &str| Rule {
            name: name.into(),
            ..rule(RuleKind::Headroom { memory: Share::percent(memory), cpu: Share::percent(cpu) }, None, Some("a"))
        };
        let rules = [keep(10, 30, "one"), keep(20, 0, "two")];
        let kept = kept(Bytes(99), 11, rules.iter());
        assert_eq!(kept, Kept { memory: Bytes(19), vcpus: 3 }, "rounded down");
        let named = |resource| reason(&host("a"), resource, rules.iter()).unwrap().to_string();
        assert!(named(Resource::Memory).contains("two") && named(Resource::Cpu).contains("one"));
    }
}
