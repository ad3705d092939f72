//! **Fixtures.** A VM that something ties to its host (a passed-through device, a local disk) stays there.

use ulm_model::{Reason, Vm};

/// One reason for each thing that ties it.
pub fn reasons(vm: &Vm) -> impl Iterator<Item = Reason> + '_ {
    vm.fixtures.iter().map(|fixture| Reason::Immovable { fixture: fixture.clone() })
}

#[cfg(test)]
mod tests {
    use ulm_model::Fixture;

    use super::*;
    use crate::testing::vm;

    #[test]
    fn a_vm_with_a_passed_through_device_stays() {
        let mut vm = vm(1, 0);
        assert_eq!(reasons(&vm).count(), 0);
        vm.fixtures.push(Fixture::Passthrough { device: "pci 0000:3b:00.0".into() });
        let reason = reasons(&vm).next().unwrap();
        assert_eq!(reason.to_string(), "it cannot move: the host's device pci 0000:3b:00.0 is handed to it");
    }
}
