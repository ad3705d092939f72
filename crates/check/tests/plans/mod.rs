//! A small cluster, a rulebook and a plan, for tests to spoil.
#![allow(dead_code)]

pub mod random;

use ulm_check::{Fault, Grounds, check, check_beginning};
use ulm_model::*;
use uuid::Uuid;

pub const NOW: Time = Time(1_000_000);

pub fn host(i: u32) -> Host {
    Host {
        name: HostName(format!("h{i}")),
        state: HostState::Up,
        cpu: MilliCpu::cpus(16),
        memory: Bytes::gib(64),
        cpu_use: Recent::default(),
        memory_use: Recent(vec![Figure { value: Bytes::gib(20), at: NOW }]),
        platform: Platform { arch: "x86_64".into(), ..Platform::default() },
        cpu_verdicts: [(CpuNeed("base".into()), CpuVerdict::Offered)].into(),
        networks: ["bridge:br0".into()].into(),
        storage: ["pool:images".into()].into(),
        tags: Default::default(),
        cells: Vec::new(),
        merging: None,
    }
}

pub fn vm(i: u32, host: u32) -> Vm {
    Vm {
        id: VmId(Uuid::from_u128(u128::from(i) + 1)),
        name: format!("vm-{i}"),
        host: HostIx(host),
        state: VmState::Running,
        vcpus: 2,
        memory: Bytes::gib(4),
        cpu_use: Recent::default(),
        memory_use: Recent(vec![Figure { value: Bytes::gib(4), at: NOW }]),
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

/// Four hosts with four VMs of 4 GiB each, and room for 11 VMs on each (64 GiB, 20 GiB in use).
pub struct World {
    pub snapshot: Snapshot,
    pub rulebook: Rulebook,
    pub plan: Plan,
    pub past: Vec<PastMove>,
    pub now: Time,
}

impl World {
    pub fn new() -> Self {
        let snapshot = Snapshot {
            taken_at: NOW,
            hosts: (0..4).map(host).collect(),
            vms: (0..16).map(|i| vm(i, i / 4)).collect(),
            ..Snapshot::default()
        };
        let rulebook = Rulebook {
            capacity: Capacity {
                memory_overcommit: Share::WHOLE,
                memory_reserve: Bytes(0),
                cpu_overcommit: Share::percent(400),
            },
            limits: Limits { moves: 100, moves_per_host: 100 },
            rules: vec![],
            sharing: Vec::new(),
        };
        let plan = Plan { parent: String::new(), made_at: NOW, expires_at: Time(NOW.0 + 60_000), steps: Vec::new() };
        World { snapshot, rulebook, plan, past: Vec::new(), now: NOW }
    }

    /// With a step for each of these (VM, target, steps it waits for).
    pub fn with(steps: &[(u32, u32, &[u32])]) -> Self {
        let mut world = World::new();
        for (i, (vm, to, after)) in steps.iter().enumerate() {
            let known = &world.snapshot.vms[*vm as usize];
            world.plan.steps.push(Step {
                id: StepId(i as u32),
                action: Action::Move {
                    vm: known.id,
                    vm_name: known.name.clone(),
                    from: world.snapshot.host(known.host).name.clone(),
                    to: HostName(format!("h{to}")),
                },
                after: after.iter().map(|s| StepId(*s)).collect(),
                because: Reason::Calm {},
                expected: None,
            });
        }
        world
    }

    pub fn verdict(&self) -> Result<(), Fault> {
        let digest = self.snapshot.digest();
        let plan = Plan { parent: digest.clone(), ..self.plan.clone() };
        let grounds = Grounds {
            snapshot: &self.snapshot,
            digest: &digest,
            rulebook: &self.rulebook,
            now: self.now,
            past: &self.past,
        };
        check(&plan, &grounds).map(drop)
    }

    /// Lets a step begin where an earlier one has brought its VM.
    pub fn starts(&mut self, step: usize, host: &str) {
        let Action::Move { from, .. } = &mut self.plan.steps[step].action;
        *from = host.into();
    }

    /// As the verdict on the plan, with what begins now.
    pub fn verdict_on_beginning(&self) -> Result<(), Fault> {
        let digest = self.snapshot.digest();
        let plan = Plan { parent: digest.clone(), ..self.plan.clone() };
        let grounds = Grounds {
            snapshot: &self.snapshot,
            digest: &digest,
            rulebook: &self.rulebook,
            now: self.now,
            past: &self.past,
        };
        check_beginning(&plan, &grounds).map(drop)
    }

    /// The code of the rule that is broken.
    pub fn broken(&self) -> &'static str {
        match self.verdict() {
            Err(Fault::Breaks { reason, .. }) => reason.code(),
            other => panic!("no rule is broken, but: {other:?}"),
        }
    }

    pub fn first(&mut self) -> &mut Action {
        &mut self.plan.steps[0].action
    }
}

/// A rule that selects by patterns of names; an empty one selects nothing.
pub fn rule(kind: RuleKind, vm: &str, host: &str) -> Rule {
    let one = |pattern: &str| Vec::from_iter((!pattern.is_empty()).then(|| pattern.to_owned()));
    Rule {
        name: "r".into(),
        kind,
        soft: false,
        vms: VmSelector { name: one(vm), tag: vec![] },
        hosts: HostSelector { name: one(host), tag: vec![] },
    }
}

pub fn by_hand() -> Reason {
    Reason::Asked { by: "ann".into() }
}
