//! **Pins, exclusions, maintenance.** What the administrator's rules ([`ulm_model::Rule`]) say about a VM and a host:
//! an excluded VM or host takes part in no automatic move; a pinned VM goes only to its hosts; a VM that is kept off a host does
//! not go there; a host in maintenance takes nothing.

use ulm_model::{Host, HostSelector, Reason, Rule, RuleKind, Vm, VmSelector};

use crate::pattern::matches;

/// Whose idea a move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiative {
    /// The policy's: exclusions hold.
    Automatic,
    /// A person's: exclusions are about automatic moves and do not hold.
    ByHand,
}

/// Whether the selector means the VM.
pub fn selects_vm(selector: &VmSelector, vm: &Vm) -> bool {
    let name = any(&selector.name, |p| matches(p, &vm.name) || matches_id(p, vm));
    let tag = any(&selector.tag, |p| vm.tags.iter().any(|tag| matches(p, tag)));
    !selector.is_empty() && name && tag
}

/// Whether one of the patterns fits; a part that is not given fits always.
fn any(patterns: &[String], fits: impl Fn(&str) -> bool) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern))
}

fn matches_id(pattern: &str, vm: &Vm) -> bool {
    let mut text = [0; 36];
    matches(pattern, vm.id.0.hyphenated().encode_lower(&mut text))
}

/// Whether the selector means the host.
pub fn selects_host(selector: &HostSelector, host: &Host) -> bool {
    let name = any(&selector.name, |p| matches(p, &host.name.0));
    let tag = any(&selector.tag, |p| host.tags.iter().any(|tag| matches(p, tag)));
    !selector.is_empty() && name && tag
}

/// Why the rule does not let the host take anything, if so.
pub fn host_takes_nothing(rule: &Rule, host: &Host, initiative: Initiative) -> Option<Reason> {
    let name = host.name.clone();
    match &rule.kind {
        RuleKind::Maintenance if selects_host(&rule.hosts, host) => Some(Reason::Maintenance { host: name }),
        RuleKind::Exclude if initiative == Initiative::Automatic && selects_host(&rule.hosts, host) => {
            Some(Reason::HostExcluded { host: name, rule: rule.name.clone() })
        }
        _ => None,
    }
}

/// Why the rule does not let the host give anything, if so.
pub fn host_gives_nothing(rule: &Rule, host: &Host, initiative: Initiative) -> Option<Reason> {
    (rule.kind == RuleKind::Exclude).then(|| host_takes_nothing(rule, host, initiative)).flatten()
}

/// Why the rule does not let the VM move at all, if so.
pub fn vm_stays(rule: &Rule, vm: &Vm, initiative: Initiative) -> Option<Reason> {
    (rule.kind == RuleKind::Exclude && initiative == Initiative::Automatic && selects_vm(&rule.vms, vm))
        .then(|| Reason::Excluded { rule: rule.name.clone() })
}

/// Whether the rule is one that binds the VM to some hosts.
pub fn binds(rule: &Rule, vm: &Vm) -> bool {
    matches!(rule.kind, RuleKind::Pin | RuleKind::KeepOff) && selects_vm(&rule.vms, vm)
}

/// Whether a rule that binds the VM lets it be on the host.
pub fn lets_be_on(rule: &Rule, host: &Host) -> bool {
    match &rule.kind {
        RuleKind::Pin => selects_host(&rule.hosts, host),
        RuleKind::KeepOff => !selects_host(&rule.hosts, host),
        _ => true,
    }
}

/// Why the rule, which binds the VM, does not let it be on the host, if so.
pub fn reason(rule: &Rule, host: &Host) -> Option<Reason> {
    (!lets_be_on(rule, host)).then(|| Reason::Pinned { host: host.name.clone(), rule: rule.name.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{host, vm};

    fn rule(kind: RuleKind, vm: Option<&str>, host: Option<&str>) -> Rule {
        Rule {
            name: "r".into(),
            kind,
            soft: false,
            vms: VmSelector { name: vm.into_iter().map(Into::into).collect(), tag: vec![] },
            hosts: HostSelector { name: host.into_iter().map(Into::into).collect(), tag: vec![] },
        }
    }

    #[test]
    fn a_vm_is_selected_by_name_pattern_by_id_and_by_tag() {
        let mut vm = vm(7, 0);
        vm.tags.insert("team:db".into());
        let by = |name: Option<&str>, tag: Option<&str>| {
            let list = |text: Option<&str>| text.into_iter().map(str::to_owned).collect();
            selects_vm(&VmSelector { name: list(name), tag: list(tag) }, &vm)
        };
        assert!(by(Some("vm-*"), None) && by(Some("*-000000000007"), None) && by(None, Some("team:*")));
        assert!(by(Some("vm-7"), Some("team:db")) && !by(Some("vm-7"), Some("web")) && !by(None, None));
    }

    #[test]
    fn an_exclusion_is_about_automatic_moves_only() {
        let out = rule(RuleKind::Exclude, Some("vm-1"), None);
        assert!(vm_stays(&out, &vm(1, 0), Initiative::Automatic).is_some());
        assert!(vm_stays(&out, &vm(1, 0), Initiative::ByHand).is_none());
        assert!(vm_stays(&out, &vm(2, 0), Initiative::Automatic).is_none());
        let out = rule(RuleKind::Exclude, None, Some("a"));
        assert!(host_takes_nothing(&out, &host("a"), Initiative::Automatic).is_some());
        assert!(host_gives_nothing(&out, &host("a"), Initiative::Automatic).is_some());
        assert!(host_takes_nothing(&out, &host("a"), Initiative::ByHand).is_none());
    }

    #[test]
    fn a_pinned_vm_goes_to_its_hosts_only_and_one_kept_off_anywhere_else() {
        let pin = rule(RuleKind::Pin, Some("vm-1"), Some("a*"));
        assert!(binds(&pin, &vm(1, 0)) && !binds(&pin, &vm(2, 0)));
        assert!(reason(&pin, &host("a2")).is_none() && reason(&pin, &host("b")).is_some());
        let off = rule(RuleKind::KeepOff, Some("vm-1"), Some("a*"));
        assert!(reason(&off, &host("a2")).is_some() && reason(&off, &host("b")).is_none());
    }

    #[test]
    fn a_host_in_maintenance_by_rule_takes_nothing_by_hand_neither() {
        let closed = rule(RuleKind::Maintenance, None, Some("a"));
        assert_eq!(host_takes_nothing(&closed, &host("a"), Initiative::ByHand).unwrap().code(), "host.maintenance");
        assert!(host_gives_nothing(&closed, &host("a"), Initiative::Automatic).is_none());
    }
}
