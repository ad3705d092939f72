//! Room: what may be promised, what is really there, huge pages and cells.

use std::collections::BTreeSet;

use ulm_model::*;
use ulm_rules::Initiative;

use super::{part, vm_is_selected};
use crate::world::World;

impl World {
    pub fn limits(&self, host: HostIx) -> (u64, u64) {
        let mut given = (None, None, None);
        for rule in self.rules_of_host(host) {
            if let RuleKind::Capacity { memory_overcommit, memory_reserve, cpu_overcommit } = rule.kind {
                given.0 = given.0.or(memory_overcommit);
                given.1 = given.1.or(memory_reserve);
                given.2 = given.2.or(cpu_overcommit);
            }
        }
        let (usual, one) = (&self.rulebook.capacity, self.host(host));
        let reserve = given.1.unwrap_or(usual.memory_reserve).0;
        let memory = part(given.0.unwrap_or(usual.memory_overcommit), one.memory.0.saturating_sub(reserve));
        (memory, part(given.2.unwrap_or(usual.cpu_overcommit), one.cpu.0) / 1000)
    }

    /// `moved` says which VMs have begun to move after the snapshot.
    pub(super) fn promised(
        &self,
        host: HostIx,
        places: impl Fn(VmIx) -> Vec<HostIx>,
        moved: impl Fn(VmIx) -> bool,
    ) -> (u64, u64) {
        let on = |vm: VmIx| places(vm).iter().filter(|place| **place == host).count() as u64;
        let sum = |size: fn(&Vm) -> u64| self.all_vms().map(|vm| on(vm) * size(self.vm(vm))).sum::<u64>();
        (sum(|vm| vm.memory.0) - self.merged(host, moved), sum(|vm| u64::from(vm.vcpus)))
    }

    /// Whether the VM has begun to move since the snapshot.
    pub(super) fn has_moved(&self, vm: VmIx) -> bool {
        self.since.iter().any(|since| since.vm == vm)
    }

    /// What counts once on the host: of each two neighbours in the order of their paths what the paths have in common.
    pub(super) fn merged(&self, host: HostIx, moved: impl Fn(VmIx) -> bool) -> u64 {
        let Some(counted) = self.host(host).merging.filter(|it| it.full_scans >= 2) else { return 0 };
        let flies = |vm: &VmIx| self.snapshot.in_flight.iter().any(|flight| flight.vm == *vm);
        let there: Vec<VmIx> = self.all_vms().filter(|vm| self.vm(*vm).host == host && !flies(vm)).collect();
        let all = self.in_common(&there);
        let stay: Vec<VmIx> = there.into_iter().filter(|vm| !moved(*vm)).collect();
        self.in_common(&stay).saturating_sub(all.saturating_sub(counted.saved.0))
    }

    fn in_common(&self, vms: &[VmIx]) -> u64 {
        let mut paths: Vec<(usize, Vec<(String, u64)>)> = vms.iter().filter_map(|vm| self.path(*vm)).collect();
        paths.sort();
        let common = |pair: &[(usize, Vec<(String, u64)>)]| -> u64 {
            let same = pair[0].1.iter().zip(&pair[1].1).take_while(|(a, b)| pair[0].0 == pair[1].0 && a.0 == b.0);
            same.map(|(a, _)| a.1).sum()
        };
        paths.windows(2).map(common).sum()
    }

    /// The VM's group and its path, with what each node is credited with.
    fn path(&self, ix: VmIx) -> Option<(usize, Vec<(String, u64)>)> {
        let vm = self.vm(ix);
        if vm.unmergeable || vm.needs.as_ref().unwrap().pages.is_some() {
            return None;
        }
        let groups = &self.rulebook.sharing;
        let number = groups.iter().position(|group| vm_is_selected(&group.vms, vm))?;
        let (group, mut path, mut weights) = (&groups[number], Vec::new(), 0);
        for level in &group.levels {
            let Some(value) = vm.tags.iter().find_map(|tag| tag.strip_prefix(&level.prefix)) else { break };
            weights += level.weight.0;
            if value.is_empty() || weights > vm.memory.0 {
                break;
            }
            let sure = part(group.trust.sure, level.weight.0);
            path.push((value.to_owned(), part(Share(10_000 - group.reserve.0), sure)));
        }
        Some((number, path))
    }

    pub(super) fn largest_headroom(&self, host: HostIx, resource: Resource) -> (Share, String) {
        let mut most = (Share(0), String::new());
        for rule in self.rules_of_host(host) {
            if let RuleKind::Headroom { memory, cpu } = rule.kind {
                let share = if resource == Resource::Memory { memory } else { cpu };
                if share > most.0 {
                    most = (share, rule.name.clone());
                }
            }
        }
        most
    }

    pub(super) fn capacity(&self, ix: VmIx, to: HostIx, initiative: Initiative, reasons: &mut Vec<Reason>) {
        let (vm, host) = (self.vm(ix), self.host(to).name.clone());
        let (limits, promised) = (self.limits(to), self.promised(to, |vm| self.places(vm), |vm| self.has_moved(vm)));
        let with = (promised.0 + vm.memory.0, promised.1 + u64::from(vm.vcpus));
        if with.0 > limits.0 {
            let free = Bytes(limits.0.saturating_sub(promised.0));
            reasons.push(Reason::MemoryShort { host: host.clone(), needed: vm.memory, free });
        }
        if with.1 > limits.1 {
            reasons.push(Reason::CpuOvercommit { host: host.clone(), vcpus: with.1, limit: limits.1 });
        }
        for (resource, with, limit) in [(Resource::Memory, with.0, limits.0), (Resource::Cpu, with.1, limits.1)] {
            let (share, rule) = self.largest_headroom(to, resource);
            let kept = part(share, limit).min(limit);
            if initiative == Initiative::Automatic && with <= limit && with > limit - kept {
                reasons.push(Reason::Headroom { host: host.clone(), rule, resource });
            }
        }
        let ordinary = |vm: &Vm| match vm.needs.as_ref().unwrap().pages {
            Some(_) => 0,
            None => vm.memory_use.0[0].value.0,
        };
        let arriving: u64 = self.set_out_for(to).iter().map(|vm| ordinary(self.vm(*vm))).sum();
        match self.host(to).memory_use.0.last() {
            None => reasons.push(Reason::TooFew { of: host.0, have: 0, needed: 1 }),
            Some(used) => {
                let available = self.host(to).memory.0 - used.value.0;
                if arriving + ordinary(vm) > available {
                    let (needed, available) = (Bytes(ordinary(vm)), Bytes(available.saturating_sub(arriving)));
                    reasons.push(Reason::MemoryUsed { host, needed, available });
                }
            }
        }
    }

    /// Huge pages and cells: whichever way all that arrive come to lie, each finds enough.
    pub(super) fn cells(&self, ix: VmIx, to: HostIx, reasons: &mut Vec<Reason>) {
        let (vm, host) = (self.vm(ix), self.host(to));
        let needs = vm.needs.as_ref().unwrap();
        if needs.pages.is_none() && needs.cells.is_empty() {
            return;
        }
        let lacks = needs.cells.iter().any(|id| !host.cells.iter().any(|cell| cell.id == *id));
        if host.cells.is_empty() || lacks {
            reasons.push(Reason::CellsShort { host: host.name.clone(), cells: String::new(), what: String::new() });
            return;
        }
        let is_in = |needs: &Needs, cell: u32| needs.cells.is_empty() || needs.cells.contains(&cell);
        let takes =
            |vm: &Vm, needs: &Needs| if needs.pages.is_some() { vm.memory.0 } else { vm.memory_use.0[0].value.0 };
        let free = |needs: &Needs| -> u64 {
            let of_cell = |cell: &Cell| match needs.pages {
                None => cell.free.0,
                Some(size) => cell.pages.iter().filter(|pages| pages.size == size).map(|pages| pages.free.0).sum(),
            };
            host.cells.iter().filter(|cell| is_in(needs, cell.id)).map(of_cell).sum()
        };
        let rival = |a: &Needs, b: &Needs| {
            let bound = |n: &Needs| n.pages.is_some() || !n.cells.is_empty();
            let all: BTreeSet<u32> = a.cells.union(&b.cells).copied().chain([u32::MAX]).collect();
            bound(a) && bound(b) && a.pages == b.pages && all.iter().any(|cell| is_in(a, *cell) && is_in(b, *cell))
        };
        let others = self.set_out_for(to);
        let others: Vec<(&Needs, u64)> = others
            .iter()
            .map(|vm| (self.vm(*vm).needs.as_ref().unwrap(), self.vm(*vm)))
            .map(|(needs, vm)| (needs, takes(vm, needs)))
            .collect();
        let left = others
            .iter()
            .map(|(needs, _)| *needs)
            .filter(|other| rival(needs, other))
            .chain([needs])
            .map(|one| {
                let taken: u64 = others.iter().filter(|(other, _)| rival(one, other)).map(|(_, takes)| takes).sum();
                free(one).saturating_sub(taken)
            })
            .min()
            .unwrap();
        let needed = takes(vm, needs);
        if needed <= left {
            return;
        }
        let host = host.name.clone();
        reasons.push(match needs.pages {
            Some(size) => {
                let cells = needs.cells.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
                Reason::PagesShort { host, size, needed: Bytes(needed), free: Bytes(left), cells }
            }
            None => Reason::CellsShort { host, cells: String::new(), what: String::new() },
        });
    }
}
