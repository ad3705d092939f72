//! **Architecture.** A VM is only on hosts of the CPU architecture that it needs.

use ulm_model::{Host, Needs, Reason};

/// Whether the host is of the architecture that the VM needs.
pub fn offered(host: &Host, arch: &str) -> bool {
    host.platform.arch == arch
}

/// Why it is not, if so.
pub fn reason(host: &Host, needs: &Needs) -> Option<Reason> {
    (!offered(host, &needs.arch)).then(|| Reason::ArchDiffers {
        host: host.name.clone(),
        needed: needs.arch.clone(),
        offered: host.platform.arch.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::host;

    #[test]
    fn another_architecture_is_refused() {
        let needs = Needs { arch: "aarch64".into(), ..Needs::default() };
        assert_eq!(reason(&host("a"), &needs).unwrap().code(), "platform.arch");
        assert_eq!(reason(&host("a"), &Needs { arch: "x86_64".into(), ..needs }), None);
    }
}
