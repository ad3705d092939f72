//! **Networks.** A VM is only on hosts that have every network that it is joined to.

use ulm_model::{Host, Needs, Reason};

/// Whether the host has it.
pub fn offered(host: &Host, network: &str) -> bool {
    host.networks.contains(network)
}

/// One reason for each that is missing.
pub fn reasons<'a>(host: &'a Host, needs: &'a Needs) -> impl Iterator<Item = Reason> + 'a {
    needs
        .networks
        .iter()
        .filter(|network| !offered(host, network))
        .map(|network| Reason::NetworkMissing { host: host.name.clone(), network: network.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::host;

    #[test]
    fn everything_that_is_missing_is_named() {
        let mut host = host("a");
        host.networks = ["bridge:br0".to_owned()].into();
        let needs = Needs { networks: ["bridge:br0".into(), "one".into(), "two".into()].into(), ..Needs::default() };
        let named: Vec<String> = reasons(&host, &needs).map(|reason| reason.to_string()).collect();
        assert_eq!(named.len(), 2);
        assert!(named[0].contains("one") && named[1].contains("two"), "{named:?}");
    }
}
