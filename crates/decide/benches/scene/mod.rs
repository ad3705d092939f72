//! A large cluster for the benches.
#![allow(dead_code)]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use ulm_model::*;
use uuid::Uuid;

pub const HOSTS: u32 = 1000;
pub const VMS_PER_HOST: u32 = 30;
pub const SAMPLES: i64 = 16;
pub const NOW: Time = Time(1_800_000_000_000);

/// The first `hot` hosts are at 85 to 95 % CPU, the others at 30 to 50 %.
pub fn cluster(hot: u32) -> Snapshot {
    let hosts = (0..HOSTS).map(|i| {
        let load = if i < hot { 85 + i % 11 } else { 30 + i % 21 };
        let (cpu, memory) = (MilliCpu::cpus(64), Bytes::gib(512));
        Host {
            name: HostName(format!("host-{i:04}")),
            state: HostState::Up,
            cpu,
            memory,
            cpu_use: steady(Share::percent(load) * cpu),
            memory_use: steady(Bytes::gib(260)),
            platform: Platform { arch: "x86_64".into(), ..Platform::default() },
            cpu_verdicts: (0..4).map(|model| (need(model), CpuVerdict::Offered)).collect(),
            networks: (0..40).map(|n| format!("bridge:br{n}")).collect(),
            storage: (0..8).map(|n| format!("pool:p{n}")).collect(),
            tags: Default::default(),
            cells: Vec::new(),
            merging: None,
        }
    });
    let vms = (0..HOSTS * VMS_PER_HOST).map(|i| {
        let memory = Bytes::gib(u64::from(4 + i % 3 * 4));
        Vm {
            id: VmId(Uuid::from_u128(u128::from(i) + 1)),
            name: format!("vm-{i}"),
            host: HostIx(i / VMS_PER_HOST),
            state: VmState::Running,
            vcpus: 4,
            memory,
            cpu_use: steady(MilliCpu(u64::from(200 + i * 37 % 2600))),
            memory_use: steady(memory),
            contention: steady(Share(12)),
            network: None,
            disk: None,
            needs: Some(Needs {
                arch: "x86_64".into(),
                cpu: need(i % 4),
                networks: [format!("bridge:br{}", i % 40)].into(),
                storage: [format!("pool:p{}", i % 8)].into(),
                pages: None,
                cells: Default::default(),
            }),
            fixtures: vec![],
            tags: Default::default(),
            unmergeable: false,
        }
    });
    Snapshot { taken_at: NOW, hosts: hosts.collect(), vms: vms.collect(), ..Snapshot::default() }
}

/// Time that this thread has spent on a processor: what else the machine does must not count. Elsewhere than on Linux, the time of day.
pub fn on_the_processor() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let wall = START.get_or_init(Instant::now).elapsed();
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = stat.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or(wall, Duration::from_nanos)
}

pub fn need(model: u32) -> CpuNeed {
    CpuNeed(format!("<cpu mode='custom'><model>model-{model}</model></cpu>"))
}

pub fn steady<T: Copy>(value: T) -> Recent<T> {
    Recent((0..SAMPLES).map(|i| Figure { value, at: Time(NOW.0 - (SAMPLES - 1 - i) * 15_000) }).collect())
}
