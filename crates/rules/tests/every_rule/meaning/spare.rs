//! The loss of a host.

use ulm_model::*;

use super::host_is_selected;
use crate::world::World;

impl World {
    /// The hosts of each spare rule that cannot be lost when VMs count at these places, and these have moved.
    pub fn cannot_be_lost(
        &self,
        places: &dyn Fn(VmIx) -> Vec<HostIx>,
        moved: &dyn Fn(VmIx) -> bool,
    ) -> Vec<(HostIx, Reason)> {
        let mut lost = Vec::new();
        for rule in self.rulebook.rules.iter().filter(|rule| rule.kind == RuleKind::Spare) {
            let counts = |host: &HostIx| {
                self.host(*host).state == HostState::Up && host_is_selected(&rule.hosts, self.host(*host))
            };
            let hosts: Vec<HostIx> = self.all_hosts().filter(counts).collect();
            for host in &hosts {
                let mut others: Vec<(HostIx, (u64, u64))> = hosts
                    .iter()
                    .filter(|other| *other != host)
                    .map(|other| (*other, self.promised(*other, places, moved)))
                    .collect();
                let on = |vm: &VmIx| places(*vm).contains(host);
                let vms: Vec<VmIx> = self.all_vms().filter(on).collect();
                if !self.have_places(&vms, &mut others) {
                    let name = self.host(*host).name.clone();
                    lost.push((*host, Reason::NoSpare { host: name, rule: rule.name.clone() }));
                }
            }
        }
        lost
    }

    pub(super) fn have_places(&self, vms: &[VmIx], hosts: &mut Vec<(HostIx, (u64, u64))>) -> bool {
        let Some((vm, rest)) = vms.split_first() else { return true };
        let (memory, vcpus) = (self.vm(*vm).memory.0, u64::from(self.vm(*vm).vcpus));
        (0..hosts.len()).any(|i| {
            let (host, promised) = hosts[i];
            let (with, limits) = ((promised.0 + memory, promised.1 + vcpus), self.limits(host));
            hosts[i].1 = with;
            let found = with.0 <= limits.0 && with.1 <= limits.1 && self.have_places(rest, hosts);
            hosts[i].1 = promised;
            found
        })
    }

    /// The first host that could be lost in the snapshot and cannot be with the VM on its way there, too.
    pub fn loses(&self, ix: VmIx, to: HostIx) -> Option<Reason> {
        if self.places(ix).contains(&to) {
            return None;
        }
        let before = self.cannot_be_lost(&|vm| self.places_before(vm), &|_| false);
        let with = |vm: VmIx| {
            let mut places = self.places(vm);
            places.extend((vm == ix).then_some(to));
            places
        };
        let concerns = |reason: &Reason| {
            let Reason::NoSpare { rule, .. } = reason else { return false };
            let rule = self.rulebook.rules.iter().find(|one| one.name == *rule).unwrap();
            let home = self.vm(ix).host;
            let gives =
                self.merged(home, |vm| vm == ix || self.has_moved(vm)) < self.merged(home, |vm| self.has_moved(vm));
            [Some(to), gives.then_some(home)]
                .into_iter()
                .flatten()
                .any(|host| self.host(host).state == HostState::Up && host_is_selected(&rule.hosts, self.host(host)))
        };
        let after = self.cannot_be_lost(&with, &|vm| vm == ix || self.has_moved(vm));
        after.into_iter().find(|lost| !before.contains(lost) && concerns(&lost.1)).map(|(_, reason)| reason)
    }

    pub fn spare(&self) -> Vec<Reason> {
        self.cannot_be_lost(&|vm| self.places(vm), &|vm| self.has_moved(vm))
            .into_iter()
            .map(|(_, reason)| reason)
            .collect()
    }
}
