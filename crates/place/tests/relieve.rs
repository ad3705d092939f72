//! The properties that `relieve` promises, on clusters of plain numbers.

use proptest::prelude::*;
use ulm_model::*;
use ulm_place::{Barred, Candidate, Ceiling, Fate, Relief, Scene, Use, relieve};
use ulm_rules::State;
use uuid::Uuid;

const CEILING: Ceiling = Ceiling { cpu: Share(6500), memory: Share(8000) };

/// Hosts with 10 CPUs and 100 GiB, and VMs by host, CPU in thousandths and GiB.
fn snapshot(hosts: usize, vms: &[(u32, u64, u64)]) -> Snapshot {
    let host = |i: usize| Host {
        name: HostName(format!("h{i}")),
        state: HostState::Up,
        cpu: MilliCpu::cpus(10),
        memory: Bytes::gib(100),
        cpu_use: Recent::default(),
        memory_use: Recent(vec![Figure {
            value: Bytes::gib(vms.iter().filter(|vm| vm.0 as usize == i).map(|vm| vm.2).sum()),
            at: Time(0),
        }]),
        platform: Platform { arch: "x86_64".into(), ..Platform::default() },
        cpu_verdicts: [(CpuNeed::default(), CpuVerdict::Offered)].into(),
        networks: Default::default(),
        storage: Default::default(),
        tags: Default::default(),
        cells: Vec::new(),
        merging: None,
    };
    let vm = |(i, (host, _, gib)): (usize, &(u32, u64, u64))| Vm {
        id: VmId(Uuid::from_u128(i as u128)),
        name: format!("vm-{i}"),
        host: HostIx(*host),
        state: VmState::Running,
        vcpus: 1,
        memory: Bytes::gib(*gib),
        cpu_use: Recent::default(),
        memory_use: Recent(vec![Figure { value: Bytes::gib(*gib), at: Time(0) }]),
        contention: Recent::default(),
        network: None,
        disk: None,
        needs: Some(Needs { arch: "x86_64".into(), ..Needs::default() }),
        fixtures: vec![],
        tags: Default::default(),
        unmergeable: false,
    };
    Snapshot {
        hosts: (0..hosts).map(host).collect(),
        vms: vms.iter().enumerate().map(vm).collect(),
        ..Snapshot::default()
    }
}

fn rulebook(moves: u32, moves_per_host: u32) -> Rulebook {
    Rulebook {
        capacity: Capacity {
            memory_overcommit: Share::WHOLE,
            memory_reserve: Bytes(0),
            cpu_overcommit: Share::percent(400),
        },
        limits: Limits { moves, moves_per_host },
        rules: vec![],
        sharing: Vec::new(),
    }
}

fn demand(vm: &(u32, u64, u64)) -> Use {
    Use { cpu: MilliCpu(vm.1), memory: Bytes::gib(vm.2) }
}

fn scene<'s>(snapshot: &'s Snapshot, rulebook: &'s Rulebook, vms: &[(u32, u64, u64)]) -> Scene<'s> {
    let mut uses = vec![Use::default(); snapshot.hosts.len()];
    for vm in vms {
        uses[vm.0 as usize].cpu += demand(vm).cpu;
        uses[vm.0 as usize].memory += demand(vm).memory;
    }
    let barred = vec![None; snapshot.hosts.len()];
    Scene::new(State::new(snapshot, rulebook), uses, barred, CEILING)
}

fn candidates(vms: &[(u32, u64, u64)], host: u32) -> Vec<Candidate> {
    let of = |(i, vm): (usize, &(u32, u64, u64))| {
        (vm.0 == host).then(|| Candidate {
            rank: 100,
            vm: VmIx(i as u32),
            demand: demand(vm),
            held: vec![],
            failed_on: vec![],
            left_lately: vec![],
        })
    };
    vms.iter().enumerate().filter_map(of).collect()
}

fn on(hosts: usize, vms: &[(u32, u64, u64)], limits: (u32, u32)) -> Relief {
    let (snapshot, rulebook) = (snapshot(hosts, vms), rulebook(limits.0, limits.1));
    let mut scene = scene(&snapshot, &rulebook, vms);
    relieve(&mut scene, HostIx(0), Resource::Cpu, Share::percent(75), candidates(vms, 0))
}

fn choices(relief: &Relief) -> Vec<(u32, u32)> {
    relief.choices.iter().map(|choice| (choice.vm.0, choice.to.0)).collect()
}

#[test]
fn the_hungriest_goes_first_and_the_host_is_relieved() {
    let relief = on(2, &[(0, 2000, 4), (0, 4000, 4), (0, 3000, 4)], (4, 4));
    assert_eq!(choices(&relief), [(1, 1)]);
    assert_eq!((relief.after, relief.untried, relief.stopped), (Share::percent(50), 2, None));
}

#[test]
fn of_equally_hungry_ones_the_smaller_goes_and_then_the_first_by_id() {
    assert_eq!(choices(&on(2, &[(0, 4000, 8), (0, 4000, 4), (0, 100, 4)], (4, 4))), [(1, 1)]);
    assert_eq!(choices(&on(2, &[(0, 4000, 4), (0, 4000, 4), (0, 100, 4)], (4, 4))), [(0, 1)]);
}

#[test]
fn of_equally_good_targets_the_first_by_name_is_taken_and_the_less_used_is_better() {
    assert_eq!(choices(&on(4, &[(0, 4000, 4), (0, 4000, 4)], (4, 4))), [(0, 1)]);
    assert_eq!(choices(&on(4, &[(0, 4000, 4), (0, 4000, 4), (1, 10, 1)], (4, 4))), [(0, 2)]);
}

#[test]
fn the_search_goes_on_until_the_host_is_relieved_or_a_limit_is_reached() {
    let five = [(0, 2000, 4), (0, 2000, 4), (0, 2000, 4), (0, 2000, 4), (0, 2000, 4)];
    assert_eq!(choices(&on(3, &five, (4, 4))), [(0, 1), (1, 2)]);
    let one = on(3, &five, (4, 1));
    assert_eq!((choices(&one).len(), one.stopped.unwrap().code()), (1, "limit.host"));
    let none = on(3, &five, (0, 1));
    assert_eq!((none.tried.len(), none.stopped.unwrap().code()), (0, "limit.all"));
}

#[test]
fn a_vm_that_is_held_is_told_with_its_reasons_and_the_next_one_goes() {
    let vms = [(0, 4000, 4), (0, 3000, 4), (0, 2000, 4)];
    let (snapshot, rulebook) = (snapshot(2, &vms), rulebook(4, 4));
    let mut scene = scene(&snapshot, &rulebook, &vms);
    let mut candidates = candidates(&vms, 0);
    candidates[0].held.push(Reason::CoolingDown { until: Time(9) });
    let relief = relieve(&mut scene, HostIx(0), Resource::Cpu, Share::percent(75), candidates);
    assert_eq!(choices(&relief), [(1, 1)]);
    assert_eq!(relief.tried[0].fate, Fate::Stays(vec![Reason::CoolingDown { until: Time(9) }]));
}

#[test]
fn a_target_that_is_barred_takes_nothing_and_is_counted() {
    let vms = [(0, 4000, 4), (0, 4000, 4)];
    let (snapshot, rulebook) = (snapshot(3, &vms), rulebook(4, 4));
    let settling = Reason::Settling { host: "h1".into(), until: Time(9) };
    let uses = vec![Use { cpu: MilliCpu(8000), ..Use::default() }, Use::default(), Use::default()];
    let barred = vec![None, Some(Barred::Settling(settling.clone())), Some(Barred::NoFigures(Reason::Calm {}))];
    let mut scene = Scene::new(State::new(&snapshot, &rulebook), uses, barred, CEILING);
    let relief = relieve(&mut scene, HostIx(0), Resource::Cpu, Share::percent(75), candidates(&vms, 0));
    let Fate::Nowhere(counts) = &relief.tried[0].fate else { panic!("{relief:?}") };
    assert_eq!(counts.iter().map(|count| count.hosts).sum::<u32>(), 2);
    assert!(counts.iter().any(|count| count.example == settling));
}

proptest! {
    #[test]
    fn no_choice_takes_a_target_over_its_ceiling(
        vms in proptest::collection::vec((0u32..4, 0u64..6000, 1u64..40), 0..14), moves in 1u32..6, per_host in 1u32..4,
    ) {
        let (snapshot, rulebook) = (snapshot(4, &vms), rulebook(moves, per_host));
        let mut scene = scene(&snapshot, &rulebook, &vms);
        let before = scene.uses.clone();
        let relief = relieve(&mut scene, HostIx(0), Resource::Cpu, Share::percent(75), candidates(&vms, 0));
        prop_assert!(relief.choices.len() as u32 <= moves.min(per_host));
        let mut then = before.clone();
        for choice in &relief.choices {
            let demand = demand(&vms[choice.vm.at()]);
            let target = &mut then[choice.to.at()];
            target.cpu += demand.cpu;
            target.memory += demand.memory;
            prop_assert!(target.cpu.0 <= 6500 && target.memory <= Bytes::gib(80));
        }
        if before[0].cpu.0 <= 7500 { prop_assert!(relief.choices.is_empty()); }
        prop_assert_eq!(relief.tried.len() + relief.untried as usize, candidates(&vms, 0).len());
    }

    #[test]
    fn the_order_in_which_candidates_are_given_does_not_matter(
        vms in proptest::collection::vec((0u32..3, 0u64..6000, 1u64..40), 0..14), turn in 0usize..14,
    ) {
        let (snapshot, rulebook) = (snapshot(3, &vms), rulebook(9, 9));
        let straight = relieve(&mut scene(&snapshot, &rulebook, &vms), HostIx(0), Resource::Cpu, Share::percent(75), candidates(&vms, 0));
        let mut turned = candidates(&vms, 0);
        let middle = turn % turned.len().max(1);
        turned.rotate_left(middle);
        let other = relieve(&mut scene(&snapshot, &rulebook, &vms), HostIx(0), Resource::Cpu, Share::percent(75), turned);
        prop_assert_eq!(straight, other);
    }
}
