//! **KeepOff.** The VMs do not go to the hosts. `rule.pinned`. About each move; concerns pairs of VM and host. Can be soft.

use ulm_model::{Host, Reason, Rule};

/// Whether a VM of the rule may go to a host that the rule selects, or does not select.
pub fn allows(selected: bool) -> bool {
    !selected
}

/// Why it may not: the same sentence as for a pin.
pub fn reason(rule: &Rule, host: &Host) -> Reason {
    crate::pin::reason(rule, host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vm_that_is_kept_off_some_hosts_goes_anywhere_else() {
        assert!(allows(false) && !allows(true));
    }
}
