//! Small clusters for the tests, described in the units that people think in.
#![allow(dead_code)]

use std::time::Duration;

use ulm_decide::{Decision, Input, Past, VmPast, decide};
use ulm_model::*;
use ulm_policy::Policy;
use uuid::Uuid;

/// The present of all tests.
pub const NOW: Time = Time(1_800_000_000_000);

/// A cluster in the making. Every figure has been as it is for the last twenty samples.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub snapshot: Snapshot,
    pub past: Past,
    pub policy: Policy,
}

impl Cluster {
    /// Hosts with 10 CPUs and 100 GiB each, empty but for 10 GiB in use.
    pub fn of(names: &[&str]) -> Self {
        let mut snapshot = Snapshot { taken_at: NOW, ..Snapshot::default() };
        snapshot.hosts = names.iter().map(|name| host(name)).collect();
        snapshot.sort();
        Cluster { snapshot, past: Past::default(), policy: Policy::default() }
    }

    /// Adds a VM with 4 vCPUs that uses `cpu` thousandths of a CPU and holds all of its `gib`; its host uses so much more.
    pub fn vm(&mut self, host: &str, name: &str, cpu: u64, gib: u64) -> VmId {
        let ix = self.snapshot.find_host(&host.into()).unwrap();
        // Names decide ids, so that permuting the order of calls permutes nothing else.
        let id = VmId(Uuid::from_u128(name.bytes().fold(1, |id, byte| id * 257 + u128::from(byte))));
        let vm = Vm {
            id,
            name: name.into(),
            host: ix,
            state: VmState::Running,
            vcpus: 4,
            memory: Bytes::gib(gib),
            cpu_use: steady(MilliCpu(cpu)),
            memory_use: steady(Bytes::gib(gib)),
            contention: Recent::default(),
            network: None,
            disk: None,
            needs: Some(needs()),
            fixtures: vec![],
            tags: Default::default(),
            unmergeable: false,
        };
        self.snapshot.vms.push(vm);
        self.snapshot.sort();
        let host = &mut self.snapshot.hosts[ix.at()];
        for figure in &mut host.cpu_use.0 {
            figure.value += MilliCpu(cpu);
        }
        for figure in &mut host.memory_use.0 {
            figure.value += Bytes::gib(gib);
        }
        id
    }

    pub fn host_mut(&mut self, name: &str) -> &mut Host {
        let ix = self.snapshot.find_host(&name.into()).unwrap();
        &mut self.snapshot.hosts[ix.at()]
    }

    pub fn vm_mut(&mut self, id: VmId) -> &mut Vm {
        let ix = self.snapshot.find_vm(id).unwrap();
        &mut self.snapshot.vms[ix.at()]
    }

    pub fn past_mut(&mut self, id: VmId) -> &mut VmPast {
        self.past.vms.entry(id).or_default()
    }

    pub fn doubt(&mut self, scope: Scope) {
        let reason = Reason::Impossible { of: "it".into(), what: "0 CPUs".into() };
        self.snapshot.doubts.push(Doubt { scope, reason });
    }

    pub fn fly(&mut self, id: VmId, to: Option<&str>) {
        let vm = self.snapshot.find_vm(id).unwrap();
        let from = self.snapshot.vm(vm).host;
        let to = to.map(|to| self.snapshot.find_host(&to.into()).unwrap());
        self.snapshot.in_flight.push(InFlight { vm, from, to, since: NOW });
        self.snapshot.sort();
    }

    pub fn rule(&mut self, text: &str) {
        let parsed = Policy::parse(&format!("[[rule]]\n{text}"), "test").unwrap();
        self.policy.rules.extend(parsed.rules);
    }

    pub fn input(&self) -> Input {
        Input::new(self.snapshot.clone(), NOW, Acting::On, self.past.clone())
    }

    pub fn decide(&self) -> Decision {
        decide(&self.input(), &self.policy)
    }

    /// The moves that are decided on, as `vm: from -> to`.
    pub fn moves(&self) -> Vec<String> {
        moves(&self.decide())
    }
}

pub fn moves(decision: &Decision) -> Vec<String> {
    let step = |step: &Step| {
        let Action::Move { vm_name, from, to, .. } = &step.action;
        format!("{vm_name}: {from} -> {to}")
    };
    decision.plan.steps.iter().map(step).collect()
}

/// Every reason anywhere in a decision, by its code.
pub fn codes(decision: &Decision) -> Vec<&'static str> {
    let text = serde_json::to_string(&decision.report).unwrap();
    let found = |code: &str| text.contains(&format!("\"code\":\"{code}\""));
    Reason::all_codes().iter().map(|(code, _)| *code).filter(|code| found(code)).collect()
}

pub fn host(name: &str) -> Host {
    Host {
        name: name.into(),
        state: HostState::Up,
        cpu: MilliCpu::cpus(10),
        memory: Bytes::gib(100),
        cpu_use: steady(MilliCpu(0)),
        memory_use: steady(Bytes::gib(10)),
        platform: Platform { arch: "x86_64".into(), ..Platform::default() },
        cpu_verdicts: [(CpuNeed("base".into()), CpuVerdict::Offered)].into(),
        networks: ["bridge:br0".into()].into(),
        storage: ["pool:images".into()].into(),
        tags: Default::default(),
        cells: Vec::new(),
        merging: None,
    }
}

pub fn needs() -> Needs {
    Needs {
        arch: "x86_64".into(),
        cpu: CpuNeed("base".into()),
        networks: ["bridge:br0".into()].into(),
        storage: ["pool:images".into()].into(),
        pages: None,
        cells: Default::default(),
    }
}

/// Twenty equal samples, 15 s apart, the last one now.
pub fn steady<T: Copy>(value: T) -> Recent<T> {
    series(&[value; 20])
}

/// Samples 15 s apart, the last one now.
pub fn series<T: Copy>(values: &[T]) -> Recent<T> {
    let age = |i: usize| Duration::from_secs(15) * (values.len() - 1 - i) as u32;
    Recent(values.iter().enumerate().map(|(i, value)| Figure { value: *value, at: NOW - age(i) }).collect())
}
