//! **Apart.** No domain has more than `at_most` of the rule's VMs. `rule.apart`. Continuous, no worse; concerns the VMs together.
//! Can be soft.
//!
//! A VM in flight counts in the domains of both its hosts; in one domain it counts once.

use ulm_model::{Reason, Rule};

/// Whether one more has a place beside those that are `there`: up to `at_most`, or to as many as were there `before` if that is more.
pub fn fits(there: u32, before: u32, at_most: u32) -> bool {
    there < at_most.max(before)
}

/// Why it has none.
pub fn reason(rule: &Rule, domain: String, there: u32, at_most: u32) -> Reason {
    Reason::TooClose { rule: rule.name.clone(), domain, vms: there.saturating_add(1), limit: at_most }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_close_already_may_stay_so_and_not_become_worse() {
        assert!(fits(0, 0, 1) && !fits(1, 1, 1));
        assert!(!fits(3, 3, 1), "three were there, a fourth is not to come");
        assert!(fits(2, 3, 1), "one of the three has gone, and may come back");
    }
}
