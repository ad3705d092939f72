//! How long it takes at 1,000 hosts and 30,000 VMs. Not run with the others, as it is about time:
//! `cargo test --release -p ulm-rules --test large -- --ignored --nocapture`

use std::time::{Duration, Instant};

use ulm_model::*;
use ulm_rules::{Blocker, HostSet, Initiative, Moment, State};
use uuid::Uuid;

const HOSTS: u32 = 1_000;
const VMS: u32 = 30_000;
const APPS: u32 = 1_000;
const RACKS: u32 = 40;
const BLADES: u32 = 8;

fn figure<T>(value: T) -> Recent<T> {
    Recent(vec![Figure { value, at: Time(0) }])
}

fn cluster() -> Snapshot {
    let hosts = (0..HOSTS).map(|i| Host {
        name: HostName(format!("host-{i:04}")),
        state: HostState::Up,
        cpu: MilliCpu::cpus(64),
        memory: Bytes::gib(512),
        cpu_use: figure(MilliCpu(1)),
        memory_use: figure(Bytes::gib(200)),
        platform: Platform { arch: "x86_64".into(), ..Platform::default() },
        cpu_verdicts: [(CpuNeed("base".into()), CpuVerdict::Offered)].into(),
        networks: (0..BLADES).map(|n| format!("bridge:br{n}")).collect(),
        storage: ["pool:images".to_owned()].into(),
        tags: [format!("rack={}", i % RACKS), format!("gen={}", i % 4)].into(),
        cells: (0..2).map(|id| Cell { id, free: Bytes::gib(90), ..Cell::default() }).collect(),
        merging: None,
    });
    let vms = (0..VMS).map(|i| Vm {
        id: VmId(Uuid::from_u128(u128::from(i) * 0x9e37_79b9_7f4a_7c15)),
        name: format!("vm-{i:05}"),
        // Neighbours in number are spread, and so are the VMs of one application.
        host: HostIx((i * 7919 + i / APPS * 101) % HOSTS),
        state: VmState::Running,
        vcpus: 2 + i % 7,
        memory: Bytes::gib(4 + u64::from(i % 9)),
        cpu_use: figure(MilliCpu(1)),
        memory_use: figure(Bytes::gib(3)),
        contention: Recent::default(),
        network: None,
        disk: None,
        needs: Some(Needs {
            arch: "x86_64".into(),
            cpu: CpuNeed("base".into()),
            networks: [format!("bridge:br{}", i % BLADES)].into(),
            storage: ["pool:images".to_owned()].into(),
            ..Needs::default()
        }),
        fixtures: vec![],
        tags: [format!("app={}", i % APPS), format!("team={}", i % 30), "linux".into()].into(),
        unmergeable: false,
    });
    let mut snapshot = Snapshot { hosts: hosts.collect(), vms: vms.collect(), ..Snapshot::default() };
    snapshot.sort();
    assert_eq!(snapshot.flaw(), None);
    snapshot
}

fn rulebook(rules: Vec<Rule>) -> Rulebook {
    Rulebook {
        capacity: Capacity {
            memory_overcommit: Share::WHOLE,
            memory_reserve: Bytes::gib(8),
            cpu_overcommit: Share::percent(400),
        },
        limits: Limits { moves: 100, moves_per_host: 2 },
        rules,
        sharing: Vec::new(),
    }
}

fn rule(name: String, kind: RuleKind, vms: VmSelector, hosts: HostSelector) -> Rule {
    Rule { name, kind, soft: false, vms, hosts }
}

fn vms(name: &[String], tag: &[String]) -> VmSelector {
    VmSelector { name: name.into(), tag: tag.into() }
}

fn all_hosts() -> HostSelector {
    HostSelector { name: vec!["*".into()], tag: vec![] }
}

/// One rule for each application.
fn apart() -> Vec<Rule> {
    let level = |i: u32| if i.is_multiple_of(2) { Level::Host } else { Level::Label("rack".into()) };
    let one = |i| {
        let kind = RuleKind::Apart { level: level(i), at_most: 1 + i % 2 };
        rule(format!("apart-{i}"), kind, vms(&[], &[format!("app={i}")]), HostSelector::default())
    };
    (0..APPS).map(one).collect()
}

/// One for each prefix of a name.
fn wildcards() -> Vec<Rule> {
    let one = |i: u32| {
        let selector = vms(&[format!("vm-{i:03}*")], &[]);
        rule(format!("pin-{i}"), RuleKind::Pin, selector, all_hosts())
    };
    (0..200).map(one).collect()
}

fn of_everything() -> Vec<Rule> {
    let mut rules = apart();
    let every = || vms(&["*".into()], &[]);
    let within = Duration::from_secs(86_400);
    rules.push(rule("few".into(), RuleKind::MaxVms { at_most: 60 }, VmSelector::default(), all_hosts()));
    rules.push(rule("new".into(), RuleKind::OneWay { label: "gen".into() }, every(), HostSelector::default()));
    let budget = RuleKind::Budget { per: Per::Vm, moves: Some(2), downtime: None, within, at_once: Some(1) };
    rules.push(rule("calm".into(), budget, every(), HostSelector::default()));
    let headroom = RuleKind::Headroom { memory: Share::percent(10), cpu: Share::percent(10) };
    rules.push(rule("room".into(), headroom, VmSelector::default(), all_hosts()));
    for team in 0..30 {
        let kind = RuleKind::Together { level: Level::Label("rack".into()) };
        rules.push(rule(format!("team-{team}"), kind, vms(&[], &[format!("team={team}")]), HostSelector::default()));
    }
    rules
}

/// The shortest of some tries, and the last result.
fn shortest<T>(mut what: impl FnMut() -> T) -> (Duration, T) {
    let mut best = Duration::MAX;
    let mut last = None;
    for _ in 0..3 {
        let begin = Instant::now();
        last = Some(what());
        best = best.min(begin.elapsed());
    }
    (best, last.unwrap())
}

#[test]
#[ignore = "prints times"]
fn a_state_of_thirty_thousand_vms_takes_little_time_whatever_the_rules() {
    let snapshot = cluster();
    let past: Vec<PastMove> = snapshot
        .vms
        .iter()
        .step_by(3)
        .map(|vm| PastMove { vm: vm.id, ended: Time(0), downtime: Duration::from_millis(40) })
        .collect();
    for (what, rules) in [
        ("no rules", vec![]),
        ("1,000 rules by tag", apart()),
        ("200 rules by `vm-123*`", wildcards()),
        ("1,034 rules of many kinds", of_everything()),
    ] {
        let rulebook = rulebook(rules);
        let moment = Moment { now: Time(1), past: &past };
        let (building, mut state) = shortest(|| State::at(&snapshot, &rulebook, moment));
        let automatic = Initiative::Automatic;
        let (asking, profiles) =
            shortest(|| snapshot.vms_ix().map(|(vm, _)| state.profile(vm, automatic)).collect::<Vec<_>>());
        let (staying, stays) =
            shortest(|| snapshot.vms_ix().filter(|(vm, _)| !state.vm_stays(*vm, automatic).is_empty()).count());
        let (sifting, left) = shortest(|| {
            let mut left = 0;
            for profile in &profiles {
                let mut hosts = HostSet::all(HOSTS as usize);
                state.sift(profile, &mut hosts, |_, _, _| {});
                left += hosts.len();
            }
            left
        });
        let (looking, blocked) = shortest(|| {
            let mut blocked = [0u32; Blocker::COUNT];
            for profile in profiles.iter().step_by(10) {
                for to in 0..HOSTS {
                    if let Some(blocker) = state.blocker(profile, HostIx(to)) {
                        blocked[blocker as usize] += 1;
                    }
                }
            }
            blocked.iter().sum::<u32>()
        });
        let (beginning, ()) = shortest(|| {
            for vm in 0..1000 {
                let (vm, to) = (VmIx(vm * 13), HostIx(vm));
                state.add(vm, to);
                state.remove(vm, to);
            }
        });
        println!("{what}: state {building:?}, 30,000 profiles {asking:?}, vm_stays {staying:?} ({stays} stay)");
        println!(
            "  sift {sifting:?} (mean {} left), 3,000,000 blockers {looking:?} ({blocked} say no)",
            left / VMS as usize
        );
        println!("  1,000 times add and remove {beginning:?}");
        let budget = Duration::from_millis(400);
        assert!(building < budget, "{building:?} for {what}");
    }
}

#[test]
#[ignore = "prints times"]
fn spare_room_is_asked_about_chosen_moves_only() {
    let snapshot = cluster();
    let rulebook = rulebook(vec![rule("spare".into(), RuleKind::Spare, VmSelector::default(), all_hosts())]);
    let state = State::new(&snapshot, &rulebook);
    let begin = Instant::now();
    let first = state.keeps_spare(VmIx(0), HostIx(1));
    println!("the first question: {:?} ({first:?})", begin.elapsed());
    let (each, no) = shortest(|| (0..20).filter(|i| state.keeps_spare(VmIx(*i), HostIx(i + 100)).is_err()).count());
    println!("20 more: {each:?} ({no} say no)");
    let (all, lost) = shortest(|| state.spare().len());
    println!("all hosts: {all:?} ({lost} cannot be lost)");
}

/// Groups of tenants; each has a tree of systems, versions, libraries and applications, and every host merges what its VMs share.
fn shared(groups: u32) -> (Snapshot, Rulebook) {
    let mut snapshot = cluster();
    for (i, vm) in (0u32..).zip(&mut snapshot.vms) {
        let (os, version, lib, app) = (i % 3, i / 3 % 3, i / 9 % 4, i / 36 % 8);
        let tags = [format!("os:{os}"), format!("version:{version}"), format!("lib:{lib}"), format!("app:{app}")];
        vm.tags.extend(tags);
        vm.tags.insert(format!("tenant={}", i % groups.max(1)));
    }
    let counted = Merging { saved: Bytes::gib(20), full_scans: 9, ..Merging::default() };
    snapshot.hosts.iter_mut().for_each(|host| host.merging = Some(counted));
    let level = |prefix: &str| SharingLevel { prefix: prefix.into(), weight: Bytes::mib(300) };
    let group = |number: u32| SharingGroup {
        name: format!("tenant-{number}"),
        vms: vms(&[], &[format!("tenant={number}")]),
        levels: ["os:", "version:", "lib:", "app:"].map(level).into(),
        nodes: vec![],
        trust: Trust::stated(Share::percent(80)),
        reserve: Share::percent(15),
    };
    let rulebook = Rulebook { sharing: (0..groups).map(group).collect(), ..rulebook(vec![]) };
    (snapshot, rulebook)
}

#[test]
#[ignore = "prints times"]
fn pages_in_common_cost_little() {
    for groups in [0, 1, 10, 100] {
        let (snapshot, rulebook) = shared(groups);
        let (building, mut state) = shortest(|| State::new(&snapshot, &rulebook));
        let all: Vec<VmIx> = snapshot.vms_ix().map(|(ix, _)| ix).collect();
        let (asking, givers) = shortest(|| all.iter().filter(|vm| state.gives_credit(**vm)).count());
        let on = snapshot.by_host();
        let (emptying, left) = shortest(|| {
            let left = |(ix, _): (HostIx, &Host)| state.merged_without(ix, on[ix.at()].iter().copied()).credit;
            snapshot.hosts_ix().map(left).sum::<Bytes>()
        });
        let begin = Instant::now();
        for vm in all.iter().step_by(3) {
            let to = HostIx((snapshot.vm(*vm).host.0 + 1) % HOSTS);
            state.begin(*vm, to);
            state.remove(*vm, snapshot.vm(*vm).host);
        }
        let moving = begin.elapsed();
        println!("{groups} groups, {} classes: state {building:?}", state.sharing().classes.len());
        println!(
            "  30,000 times who gives credit {asking:?} ({givers} do), every host without its VMs {emptying:?} ({left})"
        );
        println!("  10,000 moves begin and end {moving:?}");
        assert!(building < Duration::from_millis(400), "{building:?} with {groups} groups");
    }
}
