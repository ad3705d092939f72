//! **Exclude.** No automatic move of the VMs that the rule selects, nor from and to the hosts that it selects. `rule.excluded`,
//! `rule.host_excluded`. About each automatic move; concerns VMs and hosts, each by itself. Moves by hand are allowed.

use ulm_model::{Host, Reason, Rule, RuleKind};

use crate::Initiative;

/// Why a VM that the rule selects does not move, if so.
pub fn of_vm(rule: &Rule, initiative: Initiative) -> Option<Reason> {
    holds(rule, initiative).then(|| Reason::Excluded { rule: rule.name.clone() })
}

/// Why a host that the rule selects neither gives nor takes, if so.
pub fn of_host(rule: &Rule, host: &Host, initiative: Initiative) -> Option<Reason> {
    holds(rule, initiative).then(|| Reason::HostExcluded { host: host.name.clone(), rule: rule.name.clone() })
}

fn holds(rule: &Rule, initiative: Initiative) -> bool {
    rule.kind == RuleKind::Exclude && initiative == Initiative::Automatic
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{host, rule};

    #[test]
    fn an_exclusion_is_about_automatic_moves_only() {
        let out = rule(RuleKind::Exclude, None, None);
        assert_eq!(of_vm(&out, Initiative::Automatic).unwrap().code(), "rule.excluded");
        assert_eq!(of_host(&out, &host("a"), Initiative::Automatic).unwrap().code(), "rule.host_excluded");
        assert!(of_vm(&out, Initiative::ByHand).is_none() && of_host(&out, &host("a"), Initiative::ByHand).is_none());
        assert!(of_vm(&rule(RuleKind::Pin, None, None), Initiative::Automatic).is_none());
    }
}
