//! **Doubts.** What the observer could not believe is watched and not moved: a doubted VM stays, a doubted host neither gives nor
//! takes, and a doubt about everything stops every move.

use std::collections::BTreeMap;

use ulm_model::{HostName, Reason, Scope, Snapshot, VmId};

/// The snapshot's doubts by what they reach. The first doubt about a thing speaks.
#[derive(Debug)]
pub struct Doubts<'s> {
    /// A doubt about everything.
    pub everything: Option<&'s Reason>,
    hosts: BTreeMap<&'s HostName, &'s Reason>,
    vms: BTreeMap<VmId, &'s Reason>,
}

impl<'s> Doubts<'s> {
    /// Sorts the snapshot's doubts.
    pub fn new(snapshot: &'s Snapshot) -> Self {
        let mut doubts = Doubts { everything: None, hosts: BTreeMap::new(), vms: BTreeMap::new() };
        for doubt in &snapshot.doubts {
            match &doubt.scope {
                Scope::Everything => doubts.everything = doubts.everything.or(Some(&doubt.reason)),
                Scope::Host(name) => _ = doubts.hosts.entry(name).or_insert(&doubt.reason),
                Scope::Vm(id) => _ = doubts.vms.entry(*id).or_insert(&doubt.reason),
            }
        }
        doubts
    }
    /// Why the host's data is not believed, if so.
    pub fn of_host(&self, name: &HostName) -> Option<&'s Reason> {
        self.hosts.get(name).copied()
    }
    /// Why the VM's data is not believed, if so.
    pub fn of_vm(&self, id: VmId) -> Option<&'s Reason> {
        self.vms.get(&id).copied()
    }
}

#[cfg(test)]
mod tests {
    use ulm_model::Doubt;

    use super::*;
    use crate::testing::vm;

    #[test]
    fn each_doubt_reaches_what_it_names() {
        let reason = Reason::Impossible { of: "a".into(), what: "0 CPUs".into() };
        let mut snapshot = Snapshot::default();
        for scope in [Scope::Host("a".into()), Scope::Vm(vm(1, 0).id)] {
            snapshot.doubts.push(Doubt { scope, reason: reason.clone() });
        }
        let doubts = Doubts::new(&snapshot);
        assert_eq!(doubts.of_host(&"a".into()), Some(&reason));
        assert_eq!(doubts.of_host(&"b".into()), None);
        assert_eq!(doubts.of_vm(vm(1, 0).id), Some(&reason));
        assert_eq!(doubts.of_vm(vm(2, 0).id), None);
        assert!(doubts.everything.is_none());
    }
}
