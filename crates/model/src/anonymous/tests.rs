use proptest::prelude::*;

use super::*;
use crate::{Bytes, Doubt, HostIx, MilliCpu, Platform, Recent, Time, VmState, text};

/// A name of capital letters: nothing else in a document has one.
fn name() -> impl Strategy<Value = String> {
    "[A-Z]{3,6}"
}

fn names(prefix: &'static str) -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set(name().prop_map(move |name| format!("{prefix}{name}")), 0..3)
}

prop_compose! {
    fn host()(
        name in name(), networks in names("bridge:"), storage in names("path:/"), tags in names(""),
        platform in (name(), name()), verdicts in prop::collection::btree_map(name(), prop::option::of(name()), 0..3),
        unreachable in prop::option::of((name(), name())),
    ) -> Host {
        let verdict = |what: Option<String>| what.map_or(CpuVerdict::Offered, |what| CpuVerdict::Missing { what });
        let because = |(host, error)| Box::new(Reason::Unreachable { host: HostName(host), error });
        Host {
            name: HostName(name),
            state: unreachable.map_or(HostState::Up, |told| HostState::Unreachable { because: because(told) }),
            cpu: MilliCpu(8000),
            memory: Bytes::gib(64),
            cpu_use: Recent::default(),
            memory_use: Recent::default(),
            platform: Platform { arch: "x86_64".into(), cpu_model: platform.0, hypervisor: platform.1 },
            cpu_verdicts: verdicts.into_iter().map(|(need, what)| (CpuNeed(need), verdict(what))).collect(),
            networks, storage, tags, cells: Vec::new() }
    }
}

prop_compose! {
    fn vm()(
        id in any::<u128>(), name in name(), host in any::<prop::sample::Index>(), tags in names(""), cpu in name(),
        networks in names("network:"), storage in names("pool:"), fixture in prop::option::of(name()),
    ) -> (Vm, prop::sample::Index) {
        let vm = Vm {
            id: VmId(Uuid::from_u128(id | 0xabcd << 112)),
            name,
            host: HostIx(0),
            state: VmState::Running,
            vcpus: 2,
            memory: Bytes::gib(2),
            cpu_use: Recent::default(),
            memory_use: Recent::default(),
            contention: Recent::default(),
            network: None,
            disk: None,
            needs: Some(Needs { arch: "x86_64".into(), cpu: CpuNeed(cpu), networks, storage, pages: None, cells: Default::default() }),
            fixtures: fixture.into_iter().map(|path| Fixture::LocalDisk { path }).collect(),
            tags,
        };
        (vm, host)
    }
}

/// Every kind of text that a reason may hold.
fn reasons(host: &Host, vm: &Vm, text: &str) -> Vec<Reason> {
    let (name, fixture) = (host.name.clone(), Fixture::Passthrough { device: text.to_owned() });
    vec![
        Reason::RunsTwice { vm: vm.id, name: vm.name.clone(), one: name.clone(), other: HostName(text.to_owned()) },
        Reason::NoSuchVm { vm: VmId(Uuid::from_u128(vm.id.0.as_u128() ^ 1)) },
        Reason::Immovable { fixture },
        Reason::Impossible { of: vm.name.clone(), what: text.to_owned() },
        Reason::Stale {
            of: name.0.clone(),
            age: std::time::Duration::from_secs(9),
            limit: std::time::Duration::from_millis(1500),
        },
        Reason::SameMachine { one: name.clone(), other: name },
    ]
}

prop_compose! {
    fn snapshots()(
        hosts in prop::collection::vec(host(), 1..14), vms in prop::collection::vec(vm(), 1..14), free in name(),
    ) -> Snapshot {
        let mut snapshot = Snapshot { taken_at: Time(5), hosts, ..Snapshot::default() };
        snapshot.hosts.sort_by(|a, b| a.name.cmp(&b.name));
        snapshot.hosts.dedup_by(|a, b| a.name == b.name);
        for (mut vm, on) in vms {
            vm.host = HostIx(on.index(snapshot.hosts.len()) as u32);
            snapshot.vms.push(vm);
        }
        snapshot.sort();
        snapshot.vms.dedup_by(|a, b| a.id == b.id);
        let (host, vm) = (&snapshot.hosts[0], &snapshot.vms[0]);
        let reasons = reasons(host, vm, &free);
        let scopes = [Scope::Host(host.name.clone()), Scope::Vm(vm.id), Scope::Everything];
        let doubts = reasons.into_iter().zip(scopes.into_iter().cycle());
        snapshot.doubts = doubts.map(|(reason, scope)| Doubt { scope, reason }).collect();
        snapshot
    }
}

/// For each two of some things, whether they are equal and in which order they stand.
fn shape<T: Ord>(things: impl Iterator<Item = T>) -> Vec<std::cmp::Ordering> {
    let things: Vec<T> = things.collect();
    things.iter().flat_map(|one| things.iter().map(move |other| one.cmp(other))).collect()
}

proptest! {
    #[test]
    fn no_name_survives_and_the_order_does(original in snapshots()) {
        let neutral = snapshot(&original);
        let written = text::write(&neutral);
        let old = written.chars().find(char::is_ascii_uppercase);
        prop_assert!(old.is_none(), "{old:?} in {written}");
        for vm in &original.vms {
            prop_assert!(!written.contains(&vm.id.to_string()));
        }
        prop_assert_eq!(neutral.flaw(), None);
        prop_assert_eq!(&text::read::<Snapshot>(&written).unwrap(), &neutral);
        prop_assert_eq!(&snapshot(&neutral), &neutral, "what is neutral stays as it is");

        prop_assert_eq!(shape(neutral.hosts.iter().map(|h| &h.name)), shape(original.hosts.iter().map(|h| &h.name)));
        prop_assert_eq!(shape(neutral.vms.iter().map(|v| (&v.name, v.id))), shape(original.vms.iter().map(|v| (&v.name, v.id))));
        prop_assert_eq!(shape(neutral.vms.iter().map(|v| &v.needs)), shape(original.vms.iter().map(|v| &v.needs)));
        for (new, old) in neutral.doubts.iter().zip(&original.doubts) {
            prop_assert_eq!(new.reason.code(), old.reason.code());
        }
        let fits = |snapshot: &Snapshot| -> Vec<bool> {
            let pairs = snapshot.vms.iter().flat_map(|vm| snapshot.hosts.iter().map(move |host| (vm, host)));
            pairs.map(|(vm, host)| {
                let needs = vm.needs.as_ref().unwrap();
                needs.networks.is_subset(&host.networks) && needs.storage.is_subset(&host.storage)
                    && host.cpu_verdicts.get(&needs.cpu) == Some(&CpuVerdict::Offered) && !vm.tags.is_disjoint(&host.tags)
            }).collect()
        };
        prop_assert_eq!(fits(&neutral), fits(&original));
    }
}
