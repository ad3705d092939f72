//! Selectors: each part that is given must match, and with no part given nothing is selected.
//!
//! The meaning for one VM or one host. [`Index`](crate::index) gives the same answers for all of them at once.

use ulm_model::{Host, HostSelector, Vm, VmId, VmSelector};

use crate::pattern::matches;

/// Whether the selector means the VM.
pub fn selects_vm(selector: &VmSelector, vm: &Vm) -> bool {
    let name = any(&selector.name, |p| matches(p, &vm.name) || matches(p, id_text(vm.id, &mut [0; ID_LENGTH])));
    let tag = any(&selector.tag, |p| vm.tags.iter().any(|tag| matches(p, tag)));
    !selector.is_empty() && name && tag
}

/// Whether the selector means the host.
pub fn selects_host(selector: &HostSelector, host: &Host) -> bool {
    let name = any(&selector.name, |p| matches(p, &host.name.0));
    let tag = any(&selector.tag, |p| host.tags.iter().any(|tag| matches(p, tag)));
    !selector.is_empty() && name && tag
}

/// Whether one of the patterns fits; a part that is not given fits always.
fn any(patterns: &[String], fits: impl Fn(&str) -> bool) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern))
}

/// So many characters an id has.
pub(crate) const ID_LENGTH: usize = 36;

/// The id in its usual form, written into the given place.
pub(crate) fn id_text(id: VmId, place: &mut [u8; ID_LENGTH]) -> &str {
    id.0.hyphenated().encode_lower(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::vm;

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
}
