//! **VM state.** A move begins only with a VM that runs or is paused, that is not moving already, and whose definition was read.
//!
//! A paused VM may move: QEMU migrates it like any other, it stays paused, and its memory is what presses on a host that is
//! short of memory. VMs in any other state (shutting down, crashed and kept) are about to change by themselves.

use ulm_model::{Reason, Vm, VmState};

/// Why the VM cannot move in its present state, if so.
pub fn reason(vm: &Vm) -> Option<Reason> {
    match vm.state {
        VmState::Running | VmState::Paused => None,
        VmState::Other => Some(Reason::NotRunning {}),
    }
}

/// Why a VM whose definition is not known cannot move, if so. When a doubt says more, the doubt speaks.
pub fn unread(vm: &Vm) -> Option<Reason> {
    vm.needs.is_none().then(|| Reason::Unread { error: "it is still to be read".into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::vm;

    #[test]
    fn running_and_paused_vms_may_move_and_others_may_not() {
        let mut vm = vm(1, 0);
        assert_eq!(reason(&vm), None);
        vm.state = VmState::Paused;
        assert_eq!(reason(&vm), None);
        vm.state = VmState::Other;
        assert_eq!(reason(&vm).unwrap().code(), "vm.not_running");
    }

    #[test]
    fn a_vm_whose_definition_was_not_read_stays() {
        let mut vm = vm(1, 0);
        assert_eq!(unread(&vm), None);
        vm.needs = None;
        assert_eq!(unread(&vm).unwrap().code(), "data.unread");
    }
}
