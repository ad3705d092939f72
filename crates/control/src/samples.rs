//! A snapshot's figures as the history keeps them.

use std::collections::{BTreeMap, HashMap};

use ulm_model::{Bytes, Host, HostName, Snapshot, Time, Vm, VmId};
use ulm_store::{Entity, History, HostNumber, Metric, SeriesId, SeriesKey, StoreError, Tick};

const OF_HOST: [Metric; 7] = [
    Metric::CpuUse,
    Metric::CpuCapacity,
    Metric::MemoryUse,
    Metric::MemoryTotal,
    Metric::VmCount,
    Metric::VcpusPromised,
    Metric::MemoryPromised,
];

const OF_VM: [Metric; 6] =
    [Metric::CpuUse, Metric::MemoryUse, Metric::Contention, Metric::Network, Metric::Disk, Metric::OnHost];

/// The numbers of the series that have been met, so that a round needs no look-ups in the store.
#[derive(Default)]
pub struct Series {
    hosts: BTreeMap<HostName, (HostNumber, [SeriesId; OF_HOST.len()])>,
    vms: HashMap<VmId, [SeriesId; OF_VM.len()]>,
}

impl Series {
    /// What the snapshot's round measured. Figures of earlier rounds that the snapshot carries along are left out.
    pub fn tick(&mut self, snapshot: &Snapshot, previous: Time, history: &History) -> Result<Tick, StoreError> {
        self.intern(snapshot, history)?;
        let residents = snapshot.by_host();
        let mut values = Vec::with_capacity(snapshot.hosts.len() * OF_HOST.len() + snapshot.vms.len() * OF_VM.len());
        for (ix, host) in snapshot.hosts_ix() {
            if host.memory_use.latest().is_none_or(|figure| figure.at <= previous) {
                continue;
            }
            let here = || residents[ix.at()].iter().map(|&vm| snapshot.vm(vm));
            let promised: Bytes = here().map(|vm| vm.memory).sum();
            let vcpus: u32 = here().map(|vm| vm.vcpus).sum();
            let (_, ids) = &self.hosts[&host.name];
            put(&mut values, ids, host_values(host, residents[ix.at()].len(), vcpus, promised));
        }
        for vm in &snapshot.vms {
            if vm.memory_use.latest().is_none_or(|figure| figure.at <= previous) {
                continue;
            }
            let (number, _) = self.hosts[&snapshot.host(vm.host).name];
            put(&mut values, &self.vms[&vm.id], vm_values(vm, number));
        }
        Ok(Tick { at: snapshot.taken_at, values })
    }

    fn intern(&mut self, snapshot: &Snapshot, history: &History) -> Result<(), StoreError> {
        for host in snapshot.hosts.iter().filter(|host| !self.hosts.contains_key(&host.name)).collect::<Vec<_>>() {
            let number = history.host_number(&host.name, snapshot.taken_at)?;
            let keys = OF_HOST.map(|metric| SeriesKey { entity: Entity::Host(host.name.clone()), metric });
            let ids = history.intern(&keys, snapshot.taken_at)?;
            self.hosts.insert(host.name.clone(), (number, as_array(ids)));
        }
        let new: Vec<VmId> = snapshot.vms.iter().map(|vm| vm.id).filter(|id| !self.vms.contains_key(id)).collect();
        let keys: Vec<SeriesKey> =
            new.iter().flat_map(|id| OF_VM.map(|metric| SeriesKey { entity: Entity::Vm(*id), metric })).collect();
        let ids = history.intern(&keys, snapshot.taken_at)?;
        self.vms.extend(new.into_iter().zip(ids.chunks_exact(OF_VM.len()).map(|chunk| as_array(chunk.to_vec()))));
        Ok(())
    }
}

fn as_array<const N: usize>(ids: Vec<SeriesId>) -> [SeriesId; N] {
    ids.try_into().expect("interning gives one number for each key")
}

fn put<const N: usize>(values: &mut Vec<(SeriesId, f32)>, ids: &[SeriesId; N], of: [Option<f32>; N]) {
    values.extend(ids.iter().zip(of).filter_map(|(id, value)| Some((*id, value?))));
}

fn host_values(host: &Host, vms: usize, vcpus: u32, promised: Bytes) -> [Option<f32>; OF_HOST.len()] {
    [
        host.cpu_use.value().map(|v| v.0 as f32),
        Some(host.cpu.0 as f32),
        host.memory_use.value().map(|v| v.0 as f32),
        Some(host.memory.0 as f32),
        Some(vms as f32),
        Some(vcpus as f32),
        Some(promised.0 as f32),
    ]
}

fn vm_values(vm: &Vm, host: HostNumber) -> [Option<f32>; OF_VM.len()] {
    [
        vm.cpu_use.value().map(|v| v.0 as f32),
        vm.memory_use.value().map(|v| v.0 as f32),
        vm.contention.value().map(|v| v.0 as f32),
        vm.network.map(|v| v.0 as f32),
        vm.disk.map(|v| v.0 as f32),
        Some(f32::from(host.0)),
    ]
}
