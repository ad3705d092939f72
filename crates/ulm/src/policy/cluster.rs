//! A small cluster, made of what a case gives.
//!
//! All figures are as they are for as many samples as the policy looks at. Every VM can run on every host as far as CPUs, networks
//! and storage go, for a case is about what is wanted and not about what machines can do.

use std::collections::BTreeMap;
use std::time::Duration;

use ulm_decide::{Input, Past, VmPast};
use ulm_model::{
    Acting, CpuNeed, CpuVerdict, Figure, Host, HostName, HostState, Needs, PastMove, Platform, Recent, Snapshot, Time,
    Vm, VmId, VmState,
};
use ulm_policy::{Case, GivenHost, GivenVm, Policy};
use uuid::Uuid;

/// At least so many samples of everything.
const SAMPLES: u32 = 20;
/// No policy looks at so many samples; one that says so finds no host overworked.
const MOST_SAMPLES: u32 = 10_000;

/// The architecture, the network and the storage of all.
const ARCH: &str = "x86_64";
const CPU: &str = "any";
const NETWORK: &str = "bridge:br0";
const STORAGE: &str = "pool:images";

/// How long everything has been as it is.
#[derive(Clone, Copy)]
struct Steady {
    now: Time,
    samples: u32,
    interval: Duration,
}

impl Steady {
    fn figures<T: Copy>(self, value: T) -> Recent<T> {
        let at = |age: u32| self.now - self.interval.saturating_mul(age);
        Recent((0..self.samples).rev().map(|age| Figure { value, at: at(age) }).collect())
    }
}

/// What the decision sees of the case.
pub fn input(case: &Case, policy: &Policy) -> Input {
    let samples = policy.hotspot.of.clamp(SAMPLES, MOST_SAMPLES);
    let steady = Steady { now: case.when, samples, interval: policy.observe.interval };
    let mut snapshot = Snapshot { taken_at: case.when, ..Snapshot::default() };
    snapshot.hosts = case.hosts.iter().map(|given| host(given, case, steady)).collect();
    snapshot.hosts.sort_by(|a, b| a.name.cmp(&b.name));
    let mut past = Past::default();
    for (given, id) in case.vms.iter().zip(1..) {
        let id = VmId(Uuid::from_u128(id));
        // A case that was read has every VM on one of its hosts.
        let Some(on) = snapshot.find_host(&HostName(given.host.clone())) else { continue };
        let needs = Needs {
            arch: ARCH.into(),
            cpu: CpuNeed(CPU.into()),
            networks: [NETWORK.into()].into(),
            storage: [STORAGE.into()].into(),
            ..Needs::default()
        };
        snapshot.vms.push(Vm {
            id,
            name: given.name.clone(),
            host: on,
            state: VmState::Running,
            vcpus: given.vcpus,
            memory: given.memory,
            cpu_use: steady.figures(given.cpu),
            memory_use: steady.figures(given.memory_use),
            contention: Recent::default(),
            network: None,
            disk: None,
            needs: Some(needs),
            fixtures: Vec::new(),
            tags: given.tags.clone(),
            unmergeable: false,
        });
        remember(&mut past, given, id, case.when);
    }
    past.moves.sort_by_key(|past| (past.ended, past.vm));
    Input::new(snapshot, case.when, Acting::On, past)
}

fn host(given: &GivenHost, case: &Case, steady: Steady) -> Host {
    let on_it = || case.vms.iter().filter(|vm| vm.host == given.name);
    Host {
        name: HostName(given.name.clone()),
        state: if given.maintenance { HostState::Maintenance } else { HostState::Up },
        cpu: ulm_model::MilliCpu::cpus(given.cpus),
        memory: given.memory,
        cpu_use: steady.figures(given.own_cpu + on_it().map(|vm| vm.cpu).sum()),
        memory_use: steady.figures(given.own_memory + on_it().map(|vm| vm.memory_use).sum()),
        platform: Platform { arch: ARCH.into(), ..Platform::default() },
        cpu_verdicts: BTreeMap::from([(CpuNeed(CPU.into()), CpuVerdict::Offered)]),
        networks: [NETWORK.into()].into(),
        storage: [STORAGE.into()].into(),
        tags: given.tags.clone(),
        cells: Vec::new(),
        merging: None,
    }
}

/// Takes in that the VM was moved. Where it came from bears on that host and on its own as well.
fn remember(past: &mut Past, given: &GivenVm, id: VmId, now: Time) {
    let mut moved: Vec<Time> = given.moved.iter().map(|ago| now - *ago).collect();
    moved.sort_unstable();
    let Some(last) = moved.last().copied() else { return };
    past.moves.extend(moved.iter().map(|ended| PastMove { vm: id, ended: *ended, downtime: Duration::ZERO }));
    let mut of = VmPast { came: Some(last), ..VmPast::default() };
    if let Some(from) = &given.moved_from {
        let (from, to) = (HostName(from.clone()), HostName(given.host.clone()));
        of.left.insert(from.clone(), last);
        past.changed([&from, &to], last);
    }
    moved.drain(..moved.len().saturating_sub(VmPast::KEPT));
    of.moved = moved;
    past.vms.insert(id, of);
}
