//! **Storage.** A VM is only on hosts that reach every storage that it uses.

use ulm_model::{Host, Needs, Reason};

/// Whether the host has it.
pub fn offered(host: &Host, storage: &str) -> bool {
    host.storage.contains(storage)
}

/// One reason for each that is missing.
pub fn reasons<'a>(host: &'a Host, needs: &'a Needs) -> impl Iterator<Item = Reason> + 'a {
    needs
        .storage
        .iter()
        .filter(|storage| !offered(host, storage))
        .map(|storage| Reason::StorageMissing { host: host.name.clone(), storage: storage.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::host;

    #[test]
    fn everything_that_is_missing_is_named() {
        let mut host = host("a");
        host.storage = ["pool:images".to_owned()].into();
        let needs = Needs { storage: ["pool:images".into(), "one".into(), "two".into()].into(), ..Needs::default() };
        let named: Vec<String> = reasons(&host, &needs).map(|reason| reason.to_string()).collect();
        assert_eq!(named.len(), 2);
        assert!(named[0].contains("one") && named[1].contains("two"), "{named:?}");
    }
}
