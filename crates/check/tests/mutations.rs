//! Sane plans are accepted; each way of spoiling one is refused with the sentence that fits.

mod plans;

use plans::{NOW, World};
use proptest::prelude::*;
use ulm_check::{Fault, Grounds, check};
use ulm_model::*;
use uuid::Uuid;

/// A way of spoiling a world.
type Spoil = fn(&mut World);

#[test]
fn a_sane_plan_is_accepted() {
    assert_eq!(World::with(&[(0, 1, &[]), (4, 2, &[]), (8, 0, &[0])]).verdict(), Ok(()));
    assert_eq!(World::new().verdict(), Ok(()));
}

#[test]
fn the_wrong_source_is_refused() {
    let mut world = World::with(&[(0, 1, &[])]);
    let Action::Move { from, .. } = world.first();
    *from = "h2".into();
    assert_eq!(
        world.verdict().unwrap_err().to_string(),
        "step 0 moves VM 00000000-0000-0000-0000-000000000001 away from h2, but it is on h0"
    );
}

#[test]
fn one_vm_in_two_steps_that_are_no_chain_is_refused() {
    assert!(matches!(World::with(&[(0, 1, &[]), (0, 2, &[])]).verdict(), Err(Fault::VmTwice { .. })));
    assert!(matches!(World::with(&[(0, 1, &[]), (0, 2, &[0])]).verdict(), Err(Fault::WrongSource { .. })));
    let mut chain = World::with(&[(0, 1, &[]), (0, 2, &[0]), (0, 0, &[1])]);
    chain.starts(1, "h1");
    chain.starts(2, "h2");
    assert_eq!(chain.verdict(), Ok(()), "out of the way and back");
    chain.plan.steps[2].after = vec![StepId(0)];
    assert!(matches!(chain.verdict(), Err(Fault::VmTwice { .. })));
}

#[test]
fn a_vm_that_was_out_of_the_way_counts_where_it_was_until_it_has_gone_on() {
    let world = |after: &[u32]| {
        let mut world = World::with(&[(0, 1, &[]), (0, 2, &[0]), (8, 1, after)]);
        world.starts(1, "h1");
        world.snapshot.hosts[1].memory = Bytes::gib(20);
        world.snapshot.hosts[1].memory_use = Recent(vec![Figure { value: Bytes::gib(16), at: NOW }]);
        world
    };
    assert_eq!(world(&[0]).broken(), "capacity.memory");
    assert_eq!(world(&[1]).verdict(), Ok(()), "what it held is free again, too");
    let mut held = world(&[0]);
    held.snapshot.hosts[1].memory = Bytes::gib(24);
    held.snapshot.hosts[1].memory_use = Recent(vec![Figure { value: Bytes::gib(20), at: NOW }]);
    assert_eq!(held.broken(), "capacity.memory_used");
}

#[test]
fn a_target_that_is_too_small_by_a_byte_is_refused() {
    let mut world = World::with(&[(0, 1, &[])]);
    world.snapshot.hosts[1].memory_use = Recent(vec![Figure { value: Bytes(0), at: NOW }]);
    world.snapshot.hosts[1].memory = Bytes::gib(20);
    assert_eq!(world.verdict(), Ok(()));
    world.snapshot.hosts[1].memory = Bytes(Bytes::gib(20).0 - 1);
    assert_eq!(world.broken(), "capacity.memory");
}

#[test]
fn a_target_without_memory_really_available_is_refused() {
    let mut world = World::with(&[(0, 1, &[])]);
    world.snapshot.hosts[1].memory_use = Recent(vec![Figure { value: Bytes::gib(60), at: NOW }]);
    assert_eq!(world.verdict(), Ok(()));
    world.snapshot.hosts[1].memory_use = Recent(vec![Figure { value: Bytes(Bytes::gib(60).0 + 1), at: NOW }]);
    assert_eq!(world.broken(), "capacity.memory_used");
    world.snapshot.hosts[1].memory_use = Recent::default();
    assert_eq!(world.broken(), "data.too_few");
}

#[test]
fn a_virtual_cpu_too_many_is_refused() {
    let mut world = World::with(&[(0, 1, &[])]);
    world.snapshot.hosts[1].cpu = MilliCpu(2500);
    assert_eq!(world.verdict(), Ok(()), "ten vCPUs on two and a half CPUs are four for each");
    world.snapshot.hosts[1].cpu = MilliCpu(2499);
    assert_eq!(world.broken(), "capacity.cpu");
}

#[test]
fn what_is_on_its_way_counts_at_its_target() {
    let mut world = World::with(&[(0, 1, &[])]);
    world.snapshot.hosts[1].memory = Bytes::gib(20);
    world.snapshot.hosts[1].memory_use = Recent(vec![Figure { value: Bytes(0), at: NOW }]);
    world.snapshot.in_flight.push(InFlight { vm: VmIx(8), from: HostIx(2), to: Some(HostIx(1)), since: NOW });
    assert_eq!(world.broken(), "capacity.memory");
}

#[test]
fn a_departure_makes_room_only_for_steps_that_wait_for_it() {
    let tight = |steps: &[(u32, u32, &[u32])]| {
        let mut world = World::with(steps);
        world.snapshot.hosts[1].memory = Bytes::gib(16);
        world.snapshot.hosts[1].memory_use = Recent(vec![Figure { value: Bytes::gib(8), at: NOW }]);
        world
    };
    assert_eq!(tight(&[(4, 2, &[]), (0, 1, &[])]).broken(), "capacity.memory");
    assert_eq!(tight(&[(4, 2, &[]), (0, 1, &[0])]).verdict(), Ok(()));
    // It may have failed: then the step that waits for it never begins. Hanging is the same.
    assert_eq!(tight(&[(4, 2, &[]), (5, 2, &[]), (0, 1, &[0]), (1, 1, &[1])]).verdict(), Ok(()));
    assert_eq!(tight(&[(4, 2, &[]), (5, 2, &[]), (0, 1, &[0]), (1, 1, &[0])]).broken(), "capacity.memory");
    assert_eq!(tight(&[(4, 2, &[]), (5, 2, &[]), (0, 1, &[0, 1]), (1, 1, &[0, 1])]).verdict(), Ok(()));
}

#[test]
fn every_property_of_the_target_is_looked_at() {
    let spoils: [(&str, Spoil); 10] = [
        ("host.maintenance", |w| w.snapshot.hosts[1].state = HostState::Maintenance),
        ("host.unreachable", |w| {
            w.snapshot.hosts[1].state = HostState::Unreachable { because: Box::new(Reason::Calm {}) }
        }),
        ("platform.arch", |w| w.snapshot.hosts[1].platform.arch = "riscv64".into()),
        ("data.cpu_unknown", |w| w.snapshot.hosts[1].cpu_verdicts.clear()),
        ("platform.cpu", |w| {
            let verdict = CpuVerdict::Missing { what: "avx".into() };
            w.snapshot.hosts[1].cpu_verdicts.insert(CpuNeed("base".into()), verdict);
        }),
        ("platform.network", |w| w.snapshot.hosts[1].networks.clear()),
        ("platform.storage", |w| w.snapshot.hosts[1].storage.clear()),
        ("data.impossible", |w| w.snapshot.doubts.push(doubt(Scope::Host("h1".into())))),
        ("data.impossible", |w| w.snapshot.doubts.push(doubt(Scope::Host("h0".into())))),
        ("data.impossible", |w| w.snapshot.doubts.push(doubt(Scope::Everything))),
    ];
    for (code, spoil) in spoils {
        let mut world = World::with(&[(0, 1, &[])]);
        spoil(&mut world);
        assert_eq!(world.broken(), code);
    }
}

#[test]
fn every_property_of_the_vm_is_looked_at() {
    let spoils: [(&str, Spoil); 6] = [
        ("vm.not_running", |w| w.snapshot.vms[0].state = VmState::Other),
        ("data.unread", |w| w.snapshot.vms[0].needs = None),
        ("vm.immovable", |w| w.snapshot.vms[0].fixtures.push(Fixture::Other { what: "no".into() })),
        ("host.unreachable", |w| {
            w.snapshot.hosts[0].state = HostState::Unreachable { because: Box::new(Reason::Calm {}) }
        }),
        ("vm.moving", |w| w.snapshot.in_flight.push(InFlight { vm: VmIx(0), from: HostIx(0), to: None, since: NOW })),
        ("data.impossible", |w| w.snapshot.doubts.push(doubt(Scope::Vm(w.snapshot.vms[0].id)))),
    ];
    for (code, spoil) in spoils {
        let mut world = World::with(&[(0, 1, &[])]);
        spoil(&mut world);
        assert_eq!(world.broken(), code);
    }
}

fn doubt(scope: Scope) -> Doubt {
    Doubt { scope, reason: Reason::Impossible { of: "it".into(), what: "0 CPUs".into() } }
}

#[test]
fn the_administrators_rules_hold() {
    let one = |pattern: &str| Vec::from_iter((!pattern.is_empty()).then(|| pattern.to_owned()));
    let rule = |kind, vm: &str, host: &str| Rule {
        name: "r".into(),
        kind,
        soft: false,
        vms: VmSelector { name: one(vm), tag: vec![] },
        hosts: HostSelector { name: one(host), tag: vec![] },
    };
    let with = |rule| {
        let mut world = World::with(&[(0, 1, &[])]);
        world.rulebook.rules.push(rule);
        world
    };
    assert_eq!(with(rule(RuleKind::Pin, "vm-*", "h[01]")).broken(), "rule.pinned");
    assert_eq!(with(rule(RuleKind::Pin, "vm-*", "h1")).verdict(), Ok(()));
    assert_eq!(with(rule(RuleKind::KeepOff, "vm-0", "h?")).broken(), "rule.pinned");
    assert_eq!(with(rule(RuleKind::Exclude, "*-000000000001", "")).broken(), "rule.excluded");
    assert_eq!(with(rule(RuleKind::Exclude, "", "h0")).broken(), "rule.host_excluded");
    assert_eq!(with(rule(RuleKind::Exclude, "", "h1")).broken(), "rule.host_excluded");
    assert_eq!(with(rule(RuleKind::Maintenance, "", "h1")).broken(), "host.maintenance");
    let mut asked = with(rule(RuleKind::Exclude, "vm-0", ""));
    asked.plan.steps[0].because = Reason::Asked { by: "ann".into() };
    assert_eq!(asked.verdict(), Ok(()), "exclusions are about automatic moves");
}

#[test]
fn unknown_names_are_refused() {
    let mut world = World::with(&[(0, 1, &[])]);
    let Action::Move { vm, .. } = world.first();
    *vm = VmId(Uuid::from_u128(999));
    assert!(matches!(world.verdict(), Err(Fault::UnknownVm { .. })));
    for end in ["from", "to"] {
        let mut world = World::with(&[(0, 1, &[])]);
        let Action::Move { from, to, .. } = world.first();
        *(if end == "from" { from } else { to }) = "nowhere".into();
        assert!(matches!(world.verdict(), Err(Fault::UnknownHost { .. })));
    }
    assert!(matches!(World::with(&[(0, 0, &[])]).verdict(), Err(Fault::SameHost { .. })));
}

#[test]
fn a_plan_of_another_time_or_of_other_facts_is_refused() {
    let mut world = World::with(&[(0, 1, &[])]);
    world.plan.expires_at = NOW;
    assert!(matches!(world.verdict(), Err(Fault::Expired { .. })));
    let mut world = World::with(&[(0, 1, &[])]);
    world.plan.made_at = Time(NOW.0 + 1);
    assert!(matches!(world.verdict(), Err(Fault::FromTheFuture { .. })));
    let world = World::with(&[(0, 1, &[])]);
    let grounds =
        Grounds { snapshot: &world.snapshot, digest: "other", rulebook: &world.rulebook, now: NOW, past: &[] };
    assert!(matches!(check(&world.plan, &grounds), Err(Fault::OtherParent { .. })));
}

#[test]
fn an_order_that_is_none_is_refused() {
    assert!(matches!(World::with(&[(0, 1, &[1]), (1, 2, &[0])]).verdict(), Err(Fault::Cyclic { .. })));
    assert!(matches!(World::with(&[(0, 1, &[7])]).verdict(), Err(Fault::UnknownStep { .. })));
    let mut world = World::with(&[(0, 1, &[]), (1, 2, &[])]);
    world.plan.steps[1].id = StepId(0);
    assert!(matches!(world.verdict(), Err(Fault::StepTwice { .. })));
}

#[test]
fn more_moves_at_once_than_allowed_do_not_begin_and_one_after_the_other_do() {
    let limited = |steps: &[(u32, u32, &[u32])], moves, moves_per_host| {
        let mut world = World::with(steps);
        world.rulebook.limits = Limits { moves, moves_per_host };
        world
    };
    let beginning = |world: World| world.verdict_on_beginning();
    let busy = |verdict: Result<(), Fault>| verdict.is_err_and(|fault| fault.passes());
    let apart: &[(u32, u32, &[u32])] = &[(0, 1, &[]), (8, 3, &[])];
    let on_one: &[(u32, u32, &[u32])] = &[(0, 1, &[]), (4, 2, &[])];
    assert!(matches!(beginning(limited(apart, 1, 9)), Err(Fault::TooManyAtOnce { moves: 2, limit: 1 })));
    assert!(busy(beginning(limited(apart, 1, 9))));
    assert_eq!(beginning(limited(&[(0, 1, &[]), (8, 3, &[0])], 1, 9)), Ok(()));
    assert!(busy(beginning(limited(on_one, 9, 1))));
    assert_eq!(beginning(limited(&[(0, 1, &[]), (4, 2, &[0])], 9, 1)), Ok(()));
    assert_eq!(limited(apart, 1, 9).verdict(), Ok(()), "whoever carries the plan out waits");
    let mut world = limited(&[(0, 1, &[])], 9, 1);
    world.snapshot.in_flight.push(InFlight { vm: VmIx(5), from: HostIx(1), to: None, since: NOW });
    assert_eq!(world.broken(), "limit.host", "a plan of one step begins at once");
    assert!(busy(world.verdict()));
}

#[test]
fn a_snapshot_of_no_sound_shape_is_refused() {
    let mut world = World::with(&[(0, 1, &[])]);
    world.snapshot.vms[3].host = HostIx(77);
    assert!(matches!(world.verdict(), Err(Fault::SnapshotFlawed { .. })));
}

/// What can be promised to a host in any state that can really be reached: all orders of beginnings and ends, step by step.
fn overfull_somewhere(world: &World) -> bool {
    let steps = &world.plan.steps;
    let place = |id: StepId| steps.iter().position(|step| step.id == id).unwrap();
    // 0: not begun, 1: running (or hanging), 2: ended well. A failed step is one that stays running for ever.
    let mut open = vec![vec![0u8; steps.len()]];
    let mut seen = std::collections::BTreeSet::new();
    while let Some(state) = open.pop() {
        if !seen.insert(state.clone()) {
            continue;
        }
        for (h, host) in world.snapshot.hosts.iter().enumerate() {
            let counts = |(v, vm): (usize, &Vm)| -> u64 {
                let step = steps.iter().position(|step| {
                    let Action::Move { vm: moved, .. } = &step.action;
                    *moved == world.snapshot.vms[v].id
                });
                let home = vm.host.at() == h && step.is_none_or(|s| state[s] < 2);
                let away = step.is_some_and(|s| {
                    let Action::Move { to, .. } = &steps[s].action;
                    *to == host.name && state[s] > 0
                });
                if home || away { vm.memory.0 } else { 0 }
            };
            let arrived = steps.iter().enumerate().any(|(s, step)| {
                let Action::Move { to, .. } = &step.action;
                *to == host.name && state[s] > 0
            });
            // Only a host that something came to can be overfull by the plan's doing.
            if arrived && world.snapshot.vms.iter().enumerate().map(counts).sum::<u64>() > host.memory.0 {
                return true;
            }
        }
        for s in 0..steps.len() {
            let ready = steps[s].after.iter().all(|before| state[place(*before)] == 2);
            if state[s] == 1 || (state[s] == 0 && ready) {
                let mut next = state.clone();
                next[s] += 1;
                open.push(next);
            }
        }
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_is_accepted_if_and_only_if_it_cannot_reach_an_overfull_host(
        steps in proptest::collection::btree_map(0u32..16, (0u32..4, 0u8..8), 1..6),
        free in proptest::collection::vec(0u64..5, 4),
    ) {
        let mut list: Vec<(u32, u32, Vec<u32>)> = Vec::new();
        for (vm, (to, waits)) in steps {
            let after = (0..list.len() as u32).filter(|i| waits >> (i % 3) & 1 == 1).collect();
            if to != vm / 4 { list.push((vm, to, after)); }
        }
        let borrowed: Vec<(u32, u32, &[u32])> = list.iter().map(|(v, t, a)| (*v, *t, a.as_slice())).collect();
        let mut world = World::with(&borrowed);
        for (host, free) in world.snapshot.hosts.iter_mut().zip(&free) {
            host.memory = Bytes::gib(16 + 4 * free);
            host.memory_use = Recent(vec![Figure { value: Bytes(0), at: NOW }]);
        }
        let accepted = world.verdict().is_ok();
        let overfull = overfull_somewhere(&world);
        prop_assert_eq!(accepted, !overfull);
    }
}
