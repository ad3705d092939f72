//! **Together.** The rule's VMs are in one domain. `rule.together`. At the end, no worse; concerns the VMs together. Can be soft.
//!
//! For one move: the domains that the rule's VMs are spread over are not more after it than before it, each VM counted where it
//! will be. A move adds a domain where none of them is, and takes one away where it leaves none behind.

use ulm_model::{Host, Reason, Rule};

/// Whether a move does not spread the VMs further: `here` of them are in the domain that the VM leaves, itself included, and
/// `there` in the one, another, that it goes to.
pub fn fits(here: u32, there: u32) -> bool {
    here <= 1 || there > 0
}

/// Why it does.
pub fn reason(rule: &Rule, host: &Host) -> Reason {
    Reason::NotTogether { host: host.name.clone(), rule: rule.name.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vm_goes_where_companions_are_or_leaves_none_behind() {
        assert!(fits(2, 1), "to its companions");
        assert!(fits(1, 0), "the last one that was there: as spread as before");
        assert!(!fits(2, 0));
    }
}
