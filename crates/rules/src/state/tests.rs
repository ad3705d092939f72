//! The state as a whole, by example, and the quick answer against the full one.

use proptest::prelude::*;
use ulm_model::*;

use super::*;
use crate::testing::{host, rulebook, vm};

fn three_hosts() -> Snapshot {
    Snapshot {
        taken_at: Time(0),
        hosts: ["a", "b", "c"].map(host).into(),
        vms: (1..=4).map(|i| vm(i, u32::from(i > 2))).collect(),
        ..Snapshot::default()
    }
}

fn codes(reasons: &[Reason]) -> Vec<&'static str> {
    reasons.iter().map(Reason::code).collect()
}

#[test]
fn a_vm_in_flight_counts_on_both_hosts() {
    let mut snapshot = three_hosts();
    snapshot.in_flight.push(InFlight { vm: VmIx(0), from: HostIx(0), to: Some(HostIx(2)), since: Time(0) });
    let rulebook = rulebook();
    let state = State::new(&snapshot, &rulebook);
    assert_eq!(state.load(HostIx(0)).memory, Bytes::gib(8));
    assert_eq!(
        state.load(HostIx(2)),
        Load { memory: Bytes::gib(4), merged: Bytes(0), vcpus: 2, arriving: Bytes::gib(3), moves: 1 }
    );
    assert_eq!(codes(&state.vm_stays(VmIx(0), Initiative::ByHand)), ["vm.moving"]);
}

#[test]
fn seventy_gigabytes_of_vms_are_not_sent_to_a_host_with_fifty_eight() {
    let mut snapshot = three_hosts();
    snapshot.hosts[2].memory = Bytes::gib(58);
    snapshot.vms = (1..=7).map(|i| Vm { memory: Bytes::gib(10), memory_use: Recent::default(), ..vm(i, 0) }).collect();
    let rulebook = rulebook();
    let mut state = State::new(&snapshot, &rulebook);
    let mut sent = 0;
    for i in 0..7 {
        if state.admits(VmIx(i), HostIx(2), Initiative::Automatic) {
            state.begin(VmIx(i), HostIx(2));
            sent += 1;
        }
    }
    assert_eq!(sent, 5, "8 GiB of the 58 are in use, so 50 can be filled");
    assert_eq!(
        codes(&state.why_not(VmIx(6), HostIx(2), Initiative::Automatic)),
        ["capacity.memory", "capacity.memory_used"]
    );
}

#[test]
fn every_obstacle_is_named_at_once() {
    let mut snapshot = three_hosts();
    snapshot.hosts[2] = Host {
        state: HostState::Maintenance,
        platform: Platform { arch: "aarch64".into(), ..Platform::default() },
        networks: Default::default(),
        storage: Default::default(),
        memory: Bytes::gib(2),
        cpu: MilliCpu(250),
        cpu_verdicts: Default::default(),
        ..host("c")
    };
    let mut rulebook = rulebook();
    rulebook.rules.push(Rule {
        name: "stay".into(),
        kind: RuleKind::Pin,
        soft: false,
        vms: VmSelector { name: vec!["*".into()], tag: vec![] },
        hosts: HostSelector { name: vec!["a".into()], tag: vec![] },
    });
    let state = State::new(&snapshot, &rulebook);
    assert_eq!(
        codes(&state.why_not(VmIx(0), HostIx(2), Initiative::Automatic)),
        [
            "host.maintenance",
            "platform.arch",
            "data.cpu_unknown",
            "platform.network",
            "platform.storage",
            "rule.pinned",
            "capacity.memory",
            "capacity.memory_used",
            "capacity.cpu"
        ]
    );
}

#[test]
fn what_is_begun_is_deducted_from_what_is_asked_next() {
    let snapshot = three_hosts();
    let mut rulebook = rulebook();
    rulebook.capacity.memory_reserve = Bytes::gib(58);
    let mut state = State::new(&snapshot, &rulebook);
    assert!(state.admits(VmIx(0), HostIx(2), Initiative::Automatic));
    state.begin(VmIx(0), HostIx(2));
    assert_eq!(codes(&state.why_not(VmIx(1), HostIx(2), Initiative::Automatic)), ["capacity.memory"]);
    state.remove(VmIx(0), HostIx(2));
    assert!(state.admits(VmIx(1), HostIx(2), Initiative::Automatic));
}

fn rule(kind: RuleKind, vms: &str, hosts: &str) -> Rule {
    crate::testing::rule(kind, Some(vms), Some(hosts))
}

#[test]
fn a_vm_that_moves_within_a_rack_counts_there_once() {
    let mut snapshot = three_hosts();
    for i in [0, 1] {
        snapshot.hosts[i].tags.insert("rack=1".into());
    }
    let mut rulebook = rulebook();
    rulebook.rules.push(rule(RuleKind::Apart { level: Level::Label("rack".into()), at_most: 2 }, "-", "*"));
    rulebook.rules[0].vms.name = vec!["vm-1".into(), "vm-3".into(), "vm-4".into()];
    let mut state = State::new(&snapshot, &rulebook);
    assert!(state.admits(VmIx(0), HostIx(1), Initiative::Automatic), "three are in the rack before and after");
    state.begin(VmIx(2), HostIx(2));
    state.begin(VmIx(3), HostIx(2));
    let full = state.why_not(VmIx(0), HostIx(2), Initiative::ByHand);
    assert_eq!(full[0].to_string(), "rule `r` allows 2 of its VMs on c, and 3 would be there with it");
    state.remove(VmIx(3), HostIx(2));
    assert!(state.admits(VmIx(0), HostIx(2), Initiative::ByHand), "that move failed");
}

#[test]
fn two_replicas_are_never_in_flight_at_once_by_hand_neither() {
    let snapshot = three_hosts();
    let mut rulebook = rulebook();
    let within = Duration::from_secs(60);
    let budget = RuleKind::Budget { per: Per::Rule, moves: Some(0), downtime: None, within, at_once: Some(1) };
    rulebook.rules.push(rule(budget, "vm-?", "-"));
    let mut state = State::new(&snapshot, &rulebook);
    assert!(state.vm_stays(VmIx(0), Initiative::Automatic).is_empty(), "without a present moves are not counted");
    state.begin(VmIx(1), HostIx(2));
    assert_eq!(codes(&state.vm_stays(VmIx(0), Initiative::ByHand)), ["rule.at_once"]);
    let state = State::at(&snapshot, &rulebook, Moment { now: Time(0), past: &[] });
    assert_eq!(codes(&state.vm_stays(VmIx(0), Initiative::Automatic)), ["rule.budget_moves"]);
}

#[test]
fn downtime_that_is_forecast_for_moves_in_flight_is_spent() {
    let snapshot = three_hosts();
    let mut rulebook = rulebook();
    let (second, within) = (Duration::from_secs(1), Duration::from_secs(60));
    let budget = RuleKind::Budget { per: Per::Rule, moves: None, downtime: Some(second), within, at_once: None };
    rulebook.rules.push(rule(budget, "*", "-"));
    let mut state = State::at(&snapshot, &rulebook, Moment { now: Time(0), past: &[] });
    state.begin(VmIx(0), HostIx(2));
    state.expect_downtime(VmIx(0), second / 2);
    let stays = |expected| codes(&state.vm_stays_expecting(VmIx(1), Initiative::Automatic, expected));
    assert!(stays(second / 2).is_empty());
    assert_eq!(stays(second), ["rule.budget_downtime"]);
}

#[test]
fn a_wish_forbids_nothing_and_says_so() {
    let snapshot = three_hosts();
    let mut rulebook = rulebook();
    for kind in [RuleKind::Pin, RuleKind::Together { level: Level::Host }] {
        rulebook.rules.push(Rule { soft: true, ..rule(kind, "vm-?", "a") });
    }
    let mut state = State::new(&snapshot, &rulebook);
    assert!(state.admits(VmIx(0), HostIx(2), Initiative::Automatic));
    assert_eq!(codes(&state.unwished(VmIx(0), HostIx(2))), ["rule.soft", "rule.soft"]);
    assert!(state.unwished(VmIx(0), HostIx(0)).is_empty());
}

#[test]
fn the_loss_of_a_host_is_looked_at_for_chosen_moves_and_not_by_the_quick_answer() {
    let mut snapshot = three_hosts();
    for host in &mut snapshot.hosts {
        (host.memory, host.memory_use.0[0].value) = (Bytes::gib(11), Bytes(0));
    }
    let mut rulebook = rulebook();
    rulebook.rules.push(rule(RuleKind::Spare, "-", "?"));
    let mut state = State::new(&snapshot, &rulebook);
    assert!(state.spare().is_empty(), "two VMs of 4 GiB on a, two on b: c has room for either two");
    let profile = state.profile(VmIx(0), Initiative::Automatic);
    assert_eq!(state.blocker(&profile, HostIx(2)), None);
    let no = &state.why_not(VmIx(0), HostIx(2), Initiative::Automatic)[0];
    assert_eq!(no.to_string(), "rule `r`: if a failed its VMs would have no place any more");
    assert!(!state.admits(VmIx(0), HostIx(2), Initiative::Automatic));
    state.begin(VmIx(0), HostIx(2));
    assert_eq!(state.spare().len(), 3, "begun nevertheless: c has room for one more only, and a and b for none");
}

/// Any small cluster with any obstacles.
fn clusters() -> impl Strategy<Value = (Snapshot, Rulebook)> {
    let one = (0u8..8, 1u64..40, 0u64..40, 0u8..3, 1u32..12);
    (proptest::collection::vec(one.clone(), 1..5), proptest::collection::vec(one, 1..9), 0u8..8).prop_map(
        |(hosts, vms, rules)| {
            let mut snapshot = Snapshot::default();
            for (i, (kind, gib, used, odd, cpus)) in hosts.iter().enumerate() {
                let mut host = host(&format!("h{i}"));
                host.memory = Bytes::gib(*gib);
                host.memory_use = Recent(vec![Figure { value: Bytes::gib(*used.min(gib)), at: Time(0) }]);
                host.cpu = MilliCpu::cpus(*cpus);
                match kind {
                    0 => host.state = HostState::Maintenance,
                    1 => host.networks.clear(),
                    2 => host.storage.clear(),
                    3 => host.cpu_verdicts.clear(),
                    _ => {}
                }
                if *odd == 0 {
                    snapshot.doubts.push(Doubt {
                        scope: Scope::Host(host.name.clone()),
                        reason: Reason::CpuUnknown { host: host.name.clone() },
                    });
                }
                snapshot.hosts.push(host);
            }
            for (i, (kind, gib, held, odd, vcpus)) in vms.iter().enumerate() {
                let home = HostIx(i as u32 % hosts.len() as u32);
                let mut vm = vm(i as u128, home.0);
                vm.memory = Bytes::gib(*gib / 2);
                vm.memory_use = Recent(vec![Figure { value: Bytes::gib(*held / 2), at: Time(0) }]);
                vm.vcpus = *vcpus;
                let to = HostIx((i as u32 + 1) % hosts.len() as u32);
                match kind {
                    0 => vm.needs = None,
                    1 => vm.state = VmState::Other,
                    2 if to != home => snapshot.in_flight.push(InFlight {
                        vm: VmIx(i as u32),
                        from: home,
                        to: (*odd > 0).then_some(to),
                        since: Time(0),
                    }),
                    _ => {}
                }
                snapshot.vms.push(vm);
            }
            let mut rulebook = rulebook();
            let kinds = [RuleKind::Exclude, RuleKind::Pin, RuleKind::KeepOff, RuleKind::Maintenance];
            rulebook.rules.push(Rule {
                name: "r".into(),
                kind: kinds[rules as usize % 4].clone(),
                soft: false,
                vms: VmSelector { name: vec!["vm-?".into()], tag: vec![] },
                hosts: HostSelector { name: (rules > 3).then(|| "h?".into()).into_iter().collect(), tag: vec![] },
            });
            (snapshot, rulebook)
        },
    )
}

proptest! {
    #[test]
    fn the_quick_answer_and_the_full_one_agree((snapshot, rulebook) in clusters()) {
        prop_assert_eq!(snapshot.flaw(), None);
        let mut state = State::new(&snapshot, &rulebook);
        for initiative in [Initiative::Automatic, Initiative::ByHand] {
            for (vm, _) in snapshot.vms_ix() {
                let profile = state.profile(vm, initiative);
                let mut sifted = HostSet::all(snapshot.hosts.len());
                let mut out = 0;
                state.sift(&profile, &mut sifted, |_, hosts, _| out += hosts);
                prop_assert_eq!(&sifted, &profile.allowed);
                prop_assert_eq!(sifted.len() + out as usize, snapshot.hosts.len());
                for (host, _) in snapshot.hosts_ix() {
                    let stays = state.vm_stays(vm, initiative).len();
                    let all = state.why_not(vm, host, initiative);
                    match state.blocker(&profile, host) {
                        None => prop_assert_eq!(all.len(), stays, "{:?}", all),
                        Some(blocker) => {
                            let reason = state.reason(blocker, vm, host, initiative);
                            prop_assert!(all[stays..].contains(&reason), "{:?} not in {:?}", reason, all);
                        }
                    }
                }
            }
        }
    }
}
