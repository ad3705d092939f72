//! **Pin.** The VMs go to none but the hosts. `rule.pinned`. About each move; concerns pairs of VM and host. Can be soft.

use ulm_model::{Host, Reason, Rule};

/// Whether a VM of the rule may go to a host that the rule selects, or does not select.
pub fn allows(selected: bool) -> bool {
    selected
}

/// Why it may not.
pub fn reason(rule: &Rule, host: &Host) -> Reason {
    Reason::Pinned { host: host.name.clone(), rule: rule.name.clone() }
}

#[cfg(test)]
mod tests {
    use ulm_model::RuleKind;

    use super::*;
    use crate::testing::{host, rule};

    #[test]
    fn a_pinned_vm_goes_to_its_hosts_only() {
        assert!(allows(true) && !allows(false));
        let reason = reason(&rule(RuleKind::Pin, None, None), &host("b"));
        assert_eq!((reason.code(), &*reason.to_string()), ("rule.pinned", "rule `r` does not allow it on b"));
    }
}
