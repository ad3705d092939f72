//! Small hosts and VMs for the tests of this room.

use ulm_model::*;
use uuid::Uuid;

pub fn host(name: &str) -> Host {
    Host {
        name: name.into(),
        state: HostState::Up,
        cpu: MilliCpu::cpus(16),
        memory: Bytes::gib(64),
        cpu_use: Recent(vec![Figure { value: MilliCpu(1000), at: Time(0) }]),
        memory_use: Recent(vec![Figure { value: Bytes::gib(8), at: Time(0) }]),
        platform: Platform { arch: "x86_64".into(), ..Platform::default() },
        cpu_verdicts: [(CpuNeed("base".into()), CpuVerdict::Offered)].into(),
        networks: ["bridge:br0".into()].into(),
        storage: ["pool:images".into()].into(),
        tags: Default::default(),
        cells: Vec::new(),
        merging: None,
    }
}

pub fn vm(number: u128, host: u32) -> Vm {
    Vm {
        id: VmId(Uuid::from_u128(number)),
        name: format!("vm-{number}"),
        host: HostIx(host),
        state: VmState::Running,
        vcpus: 2,
        memory: Bytes::gib(4),
        cpu_use: Recent(vec![Figure { value: MilliCpu(500), at: Time(0) }]),
        memory_use: Recent(vec![Figure { value: Bytes::gib(3), at: Time(0) }]),
        contention: Recent::default(),
        network: None,
        disk: None,
        needs: Some(Needs {
            arch: "x86_64".into(),
            cpu: CpuNeed("base".into()),
            networks: ["bridge:br0".into()].into(),
            storage: ["pool:images".into()].into(),
            pages: None,
            cells: Default::default(),
        }),
        fixtures: vec![],
        tags: Default::default(),
        unmergeable: false,
    }
}

pub fn cell(id: u32, free_gib: u64, pages: &[(Bytes, u64)]) -> Cell {
    let of = |(size, gib): &(Bytes, u64)| HugePages { size: *size, total: Bytes::gib(*gib), free: Bytes::gib(*gib) };
    Cell { id, cpus: 8, memory: Bytes::gib(32), free: Bytes::gib(free_gib), pages: pages.iter().map(of).collect() }
}

pub fn rule(kind: RuleKind, vm: Option<&str>, host: Option<&str>) -> Rule {
    let list = |text: Option<&str>| text.into_iter().map(str::to_owned).collect();
    Rule {
        name: "r".into(),
        kind,
        soft: false,
        vms: VmSelector { name: list(vm), tag: vec![] },
        hosts: HostSelector { name: list(host), tag: vec![] },
    }
}

pub fn rulebook() -> Rulebook {
    Rulebook {
        capacity: Capacity {
            memory_overcommit: Share::WHOLE,
            memory_reserve: Bytes(0),
            cpu_overcommit: Share::percent(400),
        },
        limits: Limits { moves: 4, moves_per_host: 1 },
        rules: vec![],
        sharing: Vec::new(),
    }
}
