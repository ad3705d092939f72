//! **Maintenance.** The hosts take nothing, by hand neither. `host.maintenance`. About each move; concerns hosts as targets.

use ulm_model::{Host, Reason, Rule, RuleKind};

/// Why a host that the rule selects takes nothing, if so.
pub fn of_host(rule: &Rule, host: &Host) -> Option<Reason> {
    (rule.kind == RuleKind::Maintenance).then(|| Reason::Maintenance { host: host.name.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{host, rule};

    #[test]
    fn a_host_in_maintenance_by_rule_takes_nothing() {
        assert_eq!(of_host(&rule(RuleKind::Maintenance, None, None), &host("a")).unwrap().code(), "host.maintenance");
        assert!(of_host(&rule(RuleKind::Exclude, None, None), &host("a")).is_none());
    }
}
