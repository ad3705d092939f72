//! **Memory really available.** When a move begins: what the VM's process holds now fits into what the target has available now,
//! less what other moves are still to bring there. A second guard beside [`crate::memory`], for promises that overcommit, for
//! memory that something else on the host took, and for sizes that were reported too small.

use ulm_model::{Bytes, Host, Reason, Vm};

/// What the VM's process holds; its whole size when that is not known.
pub fn held(vm: &Vm) -> Bytes {
    vm.memory_use.value().unwrap_or(vm.memory)
}

/// What the VM holds in ordinary pages, and will take of what a host has available: nothing if its memory is in huge pages, which
/// are set aside on each host beforehand (see [`crate::pages`]).
pub fn ordinary(vm: &Vm) -> Bytes {
    let huge = vm.needs.as_ref().is_some_and(|needs| needs.pages.is_some());
    if huge { Bytes(0) } else { held(vm) }
}

/// What the host has available now; `None` when it has not said.
pub fn available(host: &Host) -> Option<Bytes> {
    host.memory_use.value().map(|used| host.memory.saturating_sub(used))
}

/// Whether `more` fits into what is available less what is `arriving`.
pub fn fits(available: Option<Bytes>, arriving: Bytes, more: Bytes) -> bool {
    available.is_some_and(|available| arriving.0.checked_add(more.0).is_some_and(|sum| sum <= available.0))
}

/// Why it does not.
pub fn reason(host: &Host, available: Option<Bytes>, arriving: Bytes, more: Bytes) -> Reason {
    match available {
        None => Reason::TooFew { of: host.name.0.clone(), have: 0, needed: 1 },
        Some(available) => {
            Reason::MemoryUsed { host: host.name.clone(), needed: more, available: available.saturating_sub(arriving) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_of_other_moves_are_deducted() {
        assert!(fits(Some(Bytes(10)), Bytes(4), Bytes(6)));
        assert!(!fits(Some(Bytes(10)), Bytes(5), Bytes(6)));
    }

    #[test]
    fn a_host_that_has_not_said_what_is_available_takes_nothing() {
        assert!(!fits(None, Bytes(0), Bytes(0)));
    }
}
