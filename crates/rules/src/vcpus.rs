//! **Virtual CPUs promised.** For every host: the sum of the virtual CPUs of the VMs that live there or are arriving there is at
//! most `cpu_overcommit · CPUs`, in every state. A VM in flight counts on both ends.

use ulm_model::{Capacity, Host, Reason};

/// The most virtual CPUs that may be promised on the host.
pub fn limit(host: &Host, capacity: &Capacity) -> u64 {
    (capacity.cpu_overcommit * host.cpu).0 / 1000
}

/// Whether `more` fit beside what is promised already.
pub fn fits(promised: u64, more: u32, limit: u64) -> bool {
    promised.saturating_add(u64::from(more)) <= limit
}

/// Why they do not.
pub fn reason(host: &Host, promised: u64, more: u32, limit: u64) -> Reason {
    Reason::CpuOvercommit { host: host.name.clone(), vcpus: promised.saturating_add(u64::from(more)), limit }
}

#[cfg(test)]
mod tests {
    use ulm_model::{Bytes, MilliCpu, Share};

    use super::*;
    use crate::testing::host;

    #[test]
    fn the_limit_is_whole_virtual_cpus() {
        let capacity =
            Capacity { memory_overcommit: Share::WHOLE, memory_reserve: Bytes(0), cpu_overcommit: Share::percent(150) };
        let small = Host { cpu: MilliCpu::cpus(3), ..host("a") };
        assert_eq!(limit(&small, &capacity), 4);
        assert!(fits(3, 1, 4) && !fits(3, 2, 4));
    }
}
