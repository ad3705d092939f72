//! **CPU model.** A VM is only on hosts that have said that they offer the CPU it was started with. A host that was not asked
//! yet counts as one that does not: silence moves nothing.

use ulm_model::{CpuNeed, CpuVerdict, Host, Reason};

/// Whether the host has said that it offers the CPU.
pub fn offered(host: &Host, need: &CpuNeed) -> bool {
    matches!(host.cpu_verdicts.get(need), Some(CpuVerdict::Offered))
}

/// Why it does not, if so.
pub fn reason(host: &Host, need: &CpuNeed) -> Option<Reason> {
    match host.cpu_verdicts.get(need) {
        Some(CpuVerdict::Offered) => None,
        Some(CpuVerdict::Missing { what }) => Some(Reason::CpuMissing { host: host.name.clone(), what: what.clone() }),
        None => Some(Reason::CpuUnknown { host: host.name.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::host;

    #[test]
    fn a_host_that_was_not_asked_takes_nothing() {
        let mut host = host("a");
        let need = CpuNeed("avx512".into());
        assert_eq!(reason(&host, &need).unwrap().code(), "data.cpu_unknown");
        host.cpu_verdicts.insert(need.clone(), CpuVerdict::Missing { what: "avx512f".into() });
        assert_eq!(reason(&host, &need).unwrap().code(), "platform.cpu");
        host.cpu_verdicts.insert(need.clone(), CpuVerdict::Offered);
        assert!(reason(&host, &need).is_none() && offered(&host, &need));
    }
}
