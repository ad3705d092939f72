//! What every plan begins as, and how a move is written down in it.

use ulm_model::{Action, HostIx, Plan, Snapshot};
use ulm_place::Choice;
use ulm_policy::Policy;

use crate::Input;

/// A plan without steps, and so without facts that it stands on. It expires when the facts behind it would be stale.
pub(crate) fn empty_plan(input: &Input, policy: &Policy) -> Plan {
    Plan {
        parent: String::new(),
        made_at: input.now,
        expires_at: input.now + policy.observe.stale_after,
        steps: Vec::new(),
    }
}

/// One move as a step does it.
pub(crate) fn action(snapshot: &Snapshot, choice: Choice, from: HostIx) -> Action {
    let vm = snapshot.vm(choice.vm);
    Action::Move {
        vm: vm.id,
        vm_name: vm.name.clone(),
        from: snapshot.host(from).name.clone(),
        to: snapshot.host(choice.to).name.clone(),
    }
}
