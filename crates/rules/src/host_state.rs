//! **Host state.** A host in maintenance takes nothing; a host that does not answer neither gives nor takes.

use ulm_model::{Host, HostState, Reason};

/// Why the host takes nothing, if so.
pub fn takes_nothing(host: &Host) -> Option<Reason> {
    match &host.state {
        HostState::Up => None,
        HostState::Maintenance => Some(Reason::Maintenance { host: host.name.clone() }),
        HostState::Unreachable { because } => {
            Some(Reason::Unreachable { host: host.name.clone(), error: because.to_string() })
        }
    }
}

/// Why the host gives nothing, if so: only one that does not answer.
pub fn gives_nothing(host: &Host) -> Option<Reason> {
    matches!(host.state, HostState::Unreachable { .. }).then(|| takes_nothing(host)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::host;

    #[test]
    fn a_host_in_maintenance_gives_but_takes_nothing() {
        let mut host = host("a");
        assert!(takes_nothing(&host).is_none());
        host.state = HostState::Maintenance;
        assert_eq!(takes_nothing(&host).unwrap().code(), "host.maintenance");
        assert!(gives_nothing(&host).is_none());
    }

    #[test]
    fn a_host_that_does_not_answer_neither_gives_nor_takes() {
        let mut host = host("a");
        host.state = HostState::Unreachable { because: Box::new(Reason::CpuUnknown { host: "a".into() }) };
        assert_eq!(takes_nothing(&host).unwrap().code(), "host.unreachable");
        assert_eq!(gives_nothing(&host).unwrap().code(), "host.unreachable");
    }
}
