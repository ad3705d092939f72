//! **Memory promised.** For every host: the sum of the sizes of the VMs that live there or are arriving there is at most
//! `memory_overcommit · (memory − memory_reserve)`, in every state. A VM in flight counts on both ends.
//! What VMs that stay have in common counts once where it is merged ([`crate::merged`]).

use ulm_model::{Bytes, Capacity, Host, Reason};

/// The most that may be promised on the host.
pub fn limit(host: &Host, capacity: &Capacity) -> Bytes {
    capacity.memory_overcommit * host.memory.saturating_sub(capacity.memory_reserve)
}

/// Whether `more` fits beside what is promised already.
pub fn fits(promised: Bytes, more: Bytes, limit: Bytes) -> bool {
    promised.0.checked_add(more.0).is_some_and(|sum| sum <= limit.0)
}

/// Why it does not.
pub fn reason(host: &Host, promised: Bytes, more: Bytes, limit: Bytes) -> Reason {
    Reason::MemoryShort { host: host.name.clone(), needed: more, free: limit.saturating_sub(promised) }
}

#[cfg(test)]
mod tests {
    use ulm_model::Share;

    use super::*;
    use crate::testing::host;

    #[test]
    fn what_is_reserved_for_the_host_is_never_promised() {
        let capacity = Capacity {
            memory_overcommit: Share::WHOLE,
            memory_reserve: Bytes::gib(1),
            cpu_overcommit: Share::percent(400),
        };
        assert_eq!(limit(&host("a"), &capacity), Bytes::gib(63));
        let generous = Capacity { memory_overcommit: Share::percent(150), ..capacity };
        assert_eq!(limit(&host("a"), &generous), Bytes(Bytes::gib(63).0 / 2 * 3));
        let all = Capacity { memory_reserve: Bytes::gib(65), ..capacity };
        assert_eq!(limit(&host("a"), &all), Bytes(0));
    }

    #[test]
    fn the_last_byte_fits_and_one_more_does_not() {
        assert!(fits(Bytes(60), Bytes(4), Bytes(64)));
        assert!(!fits(Bytes(60), Bytes(5), Bytes(64)));
        assert!(!fits(Bytes(u64::MAX), Bytes(1), Bytes(u64::MAX)));
    }
}
