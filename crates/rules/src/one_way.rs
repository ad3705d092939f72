//! **OneWay.** The VMs go only to hosts whose value of the label, a whole number, is not lower than that of their host.
//! `rule.one_way`. About each move; concerns pairs of VM and host. Hosts without such a label are not concerned.

use ulm_model::{Host, Reason, Rule, label};

/// The host's value of the label; `None`: it has none, or none that is a whole number.
pub fn value(host: &Host, key: &str) -> Option<i64> {
    label(&host.tags, key)?.parse().ok()
}

/// Whether a VM may go from a host with the one value to one with the other.
pub fn allows(from: Option<i64>, to: Option<i64>) -> bool {
    !matches!((from, to), (Some(from), Some(to)) if to < from)
}

/// Why it may not.
pub fn reason(rule: &Rule, host: &Host) -> Reason {
    Reason::WrongWay { host: host.name.clone(), rule: rule.name.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::host;

    #[test]
    fn from_old_to_new_and_never_back() {
        assert!(allows(Some(2), Some(3)) && allows(Some(2), Some(2)) && !allows(Some(10), Some(9)));
        assert!(allows(None, Some(1)) && allows(Some(3), None));
    }

    #[test]
    fn only_whole_numbers_count() {
        let of = |value: &str| {
            let mut host = host("a");
            host.tags.insert(format!("gen={value}"));
            super::value(&host, "gen")
        };
        assert_eq!((of("7"), of("v7"), of("7.5"), of("")), (Some(7), None, None, None));
        assert_eq!(value(&host("a"), "gen"), None);
    }
}
