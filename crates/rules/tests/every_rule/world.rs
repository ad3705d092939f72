//! Small random clusters with moves in flight, and moves that begin, end and fail after the snapshot.

use std::time::Duration;

use proptest::prelude::*;
use ulm_model::*;
use ulm_rules::{Moment, State};
use uuid::Uuid;

/// A snapshot, what has happened since, and what it is judged by.
#[derive(Clone, Debug)]
pub struct World {
    pub snapshot: Snapshot,
    pub rulebook: Rulebook,
    pub now: Time,
    pub past: Vec<PastMove>,
    pub since: Vec<Since>,
}

/// A move that began after the snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Since {
    pub vm: VmIx,
    pub to: HostIx,
    pub then: Then,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Runs,
    Ended,
    Failed,
}

impl World {
    /// The state that is asked, brought here step by step.
    pub fn state(&self) -> State<'_> {
        let mut state = State::at(&self.snapshot, &self.rulebook, Moment { now: self.now, past: &self.past });
        self.bring(&mut state);
        state
    }

    pub fn bring(&self, state: &mut State<'_>) {
        for since in &self.since {
            state.begin(since.vm, since.to);
            match since.then {
                Then::Runs => {}
                Then::Ended => state.remove(since.vm, self.snapshot.vm(since.vm).host),
                Then::Failed => state.remove(since.vm, since.to),
            }
        }
    }
}

pub fn percent() -> impl Strategy<Value = Share> {
    (0u32..13).prop_map(|n| Share(n * 1234))
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn parts(names: &'static [&'static [&'static str]]) -> impl Strategy<Value = Vec<String>> {
    proptest::sample::select(names).prop_map(texts)
}

fn vm_selector() -> impl Strategy<Value = VmSelector> {
    let names = parts(&[&[], &["*"], &["vm-1"], &["vm-?"], &["vm-0", "vm-3", "vm-4"], &["*-00000000000?"], &[ID_OF_2]]);
    let tags = parts(&[&[], &[], &["app=*"], &["app=a"], &["old", "app=b"]]);
    (names, tags).prop_map(|(name, tag)| VmSelector { name, tag })
}

const ID_OF_2: &str = "00000000-0000-0000-0000-000000000002";

fn host_selector() -> impl Strategy<Value = HostSelector> {
    let names = parts(&[&[], &["*"], &["h0"], &["h?"], &["h1", "h2", "h3"]]);
    let tags = parts(&[&[], &[], &["rack=*"], &["rack=1"], &["gen=1", "rack=2"]]);
    (names, tags).prop_map(|(name, tag)| HostSelector { name, tag })
}

/// Some rules of these kinds.
pub fn rules(kind: BoxedStrategy<RuleKind>) -> impl Strategy<Value = Vec<Rule>> {
    let rule = (kind, any::<bool>(), vm_selector(), host_selector()).prop_map(|(kind, soft, vms, hosts)| {
        let can_be_soft =
            matches!(kind, RuleKind::Pin | RuleKind::KeepOff | RuleKind::Together { .. } | RuleKind::Apart { .. });
        Rule { name: String::new(), kind, soft: soft && can_be_soft, vms, hosts }
    });
    proptest::collection::vec(rule, 1..5).prop_map(|mut rules| {
        for (i, rule) in rules.iter_mut().enumerate() {
            rule.name = format!("r{i}");
        }
        rules
    })
}

pub fn level() -> impl Strategy<Value = Level> {
    proptest::sample::select(vec![Level::Host, Level::Label("rack".into()), Level::Label("none".into())])
}

fn figure<T>(value: T) -> Recent<T> {
    Recent(vec![Figure { value, at: Time(0) }])
}

const PAGE: u64 = 2;
const LARGE_PAGE: u64 = 4;

fn host() -> impl Strategy<Value = Host> {
    let cell = (0u64..12, 0u64..9, 0u64..9).prop_map(|(free, small, large)| Cell {
        id: 0,
        cpus: 1,
        memory: Bytes(30),
        free: Bytes(free),
        pages: [(PAGE, small), (LARGE_PAGE, large)]
            .map(|(size, free)| HugePages { size: Bytes(size), total: Bytes(20), free: Bytes(free) })
            .into(),
    });
    let tags = (
        proptest::sample::select(vec!["", "rack=1", "rack=2"]),
        proptest::sample::select(vec!["", "gen=1", "gen=2", "gen=10", "gen=new", "gen=-3"]),
    );
    let merging = (0u64..30, 0u64..5).prop_map(|(saved, full_scans)| Merging {
        saved: Bytes(saved),
        full_scans,
        ..Merging::default()
    });
    let cells = proptest::collection::vec(cell, 0..4);
    (10u64..70, 0u64..30, 500u64..9000, 0u8..12, tags, cells, proptest::option::of(merging)).prop_map(
        |(memory, used, cpu, state, (rack, generation), mut cells, merging)| {
            for (i, cell) in cells.iter_mut().enumerate() {
                cell.id = i as u32;
            }
            Host {
                name: "".into(),
                state: match state {
                    0 => HostState::Maintenance,
                    1 => HostState::Unreachable { because: Box::new(Reason::Calm {}) },
                    _ => HostState::Up,
                },
                cpu: MilliCpu(cpu),
                memory: Bytes(memory),
                cpu_use: figure(MilliCpu(0)),
                memory_use: if state == 2 { Recent::default() } else { figure(Bytes(used.min(memory))) },
                platform: Platform::default(),
                cpu_verdicts: [(CpuNeed::default(), CpuVerdict::Offered)].into(),
                networks: Default::default(),
                storage: Default::default(),
                tags: [rack, generation].into_iter().filter(|tag| !tag.is_empty()).map(Into::into).collect(),
                cells,
                merging,
            }
        },
    )
}

fn vm() -> impl Strategy<Value = Vm> {
    let tags = (proptest::sample::select(vec!["", "app=a", "app=b"]), any::<bool>());
    let needs = (0u8..6, proptest::collection::btree_set(0u32..3, 0..3), 0u8..3);
    (0u64..14, 0u64..12, 0u32..4, tags, needs).prop_map(|(memory, held, vcpus, (app, old), (pages, cells, bound))| {
        let tags = [app, if old { "old" } else { "" }];
        Vm {
            id: VmId(Uuid::nil()),
            name: String::new(),
            host: HostIx(0),
            state: VmState::Running,
            vcpus,
            memory: Bytes(memory),
            cpu_use: figure(MilliCpu(0)),
            memory_use: figure(Bytes(held)),
            contention: Recent::default(),
            network: None,
            disk: None,
            needs: Some(Needs {
                pages: [Some(Bytes(PAGE)), Some(Bytes(LARGE_PAGE))].into_iter().nth(pages.into()).flatten(),
                cells: if bound == 0 { cells } else { Default::default() },
                ..Needs::default()
            }),
            fixtures: vec![],
            tags: tags.into_iter().filter(|tag| !tag.is_empty()).map(Into::into).collect(),
            unmergeable: false,
        }
    })
}

fn sharing_group() -> impl Strategy<Value = SharingGroup> {
    let level = |prefix: &str, weight| SharingLevel { prefix: prefix.into(), weight: Bytes(weight) };
    (vm_selector(), 0u64..6, 0u64..6, 0u32..101, 0u32..101).prop_map(move |(vms, app, old, trust, reserve)| {
        SharingGroup {
            name: String::new(),
            vms,
            levels: vec![level("app=", app), level("o", old)],
            nodes: Vec::new(),
            trust: Trust::stated(Share::percent(trust)),
            reserve: Share::percent(reserve / 2),
        }
    })
}

/// Any small cluster, judged by rules of this kind.
pub fn worlds(kind: BoxedStrategy<RuleKind>) -> impl Strategy<Value = World> {
    let vm = (vm(), any::<u8>(), any::<u8>(), 0u8..9);
    let past = (0u128..9, 0i64..10, 0u64..5);
    let capacity = (percent(), 0u64..9, percent());
    let parts = (
        proptest::collection::vec(host(), 1..5),
        proptest::collection::vec(vm, 1..8),
        rules(kind),
        proptest::collection::vec(past, 0..9),
        0i64..48,
        capacity,
        proptest::collection::vec(sharing_group(), 0..3),
    );
    parts.prop_map(|(mut hosts, vms, rules, past, half_hour, capacity, sharing)| {
        let (memory_overcommit, reserve, cpu_overcommit) = capacity;
        let count = hosts.len() as u32;
        for (i, host) in hosts.iter_mut().enumerate() {
            host.name = HostName(format!("h{i}"));
        }
        let now = Time(86_400_000 * 20_000 + half_hour * 1_800_000);
        let mut world = World {
            snapshot: Snapshot { taken_at: now, hosts, ..Snapshot::default() },
            rulebook: Rulebook {
                capacity: Capacity { memory_overcommit, memory_reserve: Bytes(reserve), cpu_overcommit },
                limits: Limits { moves: 4, moves_per_host: 1 },
                rules,
                sharing,
            },
            now,
            past: Vec::new(),
            since: Vec::new(),
        };
        for (vm, ended, downtime) in past {
            let ended = Time(now.0 - ended * 60_000);
            let downtime = Duration::from_secs(downtime);
            world.past.push(PastMove { vm: VmId(Uuid::from_u128(vm)), ended, downtime });
        }
        for (i, (mut vm, home, to, fate)) in vms.into_iter().enumerate() {
            let ix = VmIx(i as u32);
            (vm.id, vm.name) = (VmId(Uuid::from_u128(i as u128)), format!("vm-{i}"));
            vm.host = HostIx(u32::from(home) % count);
            let to = HostIx(u32::from(to) % count);
            let then = [Then::Runs, Then::Ended, Then::Failed].into_iter().nth(fate.into());
            match then {
                _ if to == vm.host => {}
                Some(then) => world.since.push(Since { vm: ix, to, then }),
                None if fate < 5 => {
                    let (from, to) = (vm.host, (fate == 3).then_some(to));
                    world.snapshot.in_flight.push(InFlight { vm: ix, from, to, since: now });
                }
                None => {}
            }
            world.snapshot.vms.push(vm);
        }
        world
    })
}
