//! **MaxVms.** Each of the hosts has at most so many of the VMs, of all VMs if none are selected. `rule.max_vms`. Continuous, no worse;
//! concerns hosts, each by itself. A VM in flight counts on both hosts.

use ulm_model::{Host, Reason, Rule};

pub use crate::apart::fits;

/// Why the host takes no more.
pub fn reason(rule: &Rule, host: &Host, there: u32, at_most: u32) -> Reason {
    Reason::HostFull { host: host.name.clone(), rule: rule.name.clone(), vms: there.saturating_add(1), limit: at_most }
}

#[cfg(test)]
mod tests {
    use ulm_model::RuleKind;

    use super::*;
    use crate::testing::{host, rule};

    #[test]
    fn the_sentence_counts_the_vm_that_would_come() {
        let reason = reason(&rule(RuleKind::MaxVms { at_most: 2 }, None, None), &host("a"), 2, 2);
        assert_eq!(reason.to_string(), "rule `r` allows 2 VMs on a, and 3 would be there with it");
        assert!(!fits(2, 2, 2) && fits(1, 2, 2));
    }
}
