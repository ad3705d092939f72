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

/// Words, labels and rules; numbers and names in capital letters, and hosts that may be there.
fn tags() -> impl Strategy<Value = BTreeSet<String>> {
    let prefixes = ["", "", "A=", "B=", "watts=", "plb_affinity_", "plb_pin_", "ulm:apart=", "ulm:pin="];
    let named = prop_oneof![name(), "[A-C]{3}", "[1-9][0-9]{0,2}"];
    let tag = (prop::sample::select(prefixes.to_vec()), named).prop_map(|(prefix, named)| format!("{prefix}{named}"));
    prop::collection::btree_set(tag, 0..4)
}

/// What rules find in the tags of a host or VM: the place of the value of each label among all values of its key, or the number
/// itself; the kind of each rule; the place of the host of each pin.
fn meaning(snapshot: &Snapshot, tags: &BTreeSet<String>, keys: &[String]) -> Vec<(usize, String)> {
    let all = || snapshot.hosts.iter().map(|h| &h.tags).chain(snapshot.vms.iter().map(|v| &v.tags));
    let mut found = Vec::new();
    for (i, key) in keys.iter().enumerate() {
        let Some(value) = crate::rulebook::label(tags, key) else { continue };
        let same =
            all().map(|tags| crate::rulebook::label(tags, key) == Some(value)).map(|same| if same { 'y' } else { 'n' });
        let number = value.parse::<u32>().map(|number| number.to_string()).unwrap_or_default();
        found.push((i, format!("{number} {}", same.collect::<String>())));
    }
    for tag in tags {
        for prefix in ["plb_affinity_", "ulm:apart="] {
            if tag.starts_with(prefix) {
                let same = all().map(|tags| if tags.contains(tag) { 'y' } else { 'n' });
                found.push((keys.len(), format!("{prefix} {}", same.collect::<String>())));
            }
        }
        for prefix in ["plb_pin_", "ulm:pin="] {
            if let Some(host) = tag.strip_prefix(prefix) {
                let at = snapshot.hosts.iter().position(|known| known.name.0 == host);
                found.push((keys.len(), format!("{prefix} {at:?}")));
            }
        }
    }
    found.sort();
    found
}

prop_compose! {
    fn host()(
        name in prop_oneof![name(), "[A-C]{3}"], networks in names("bridge:"), storage in names("path:/"), tags in tags(),
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
            networks, storage, tags, cells: Vec::new(), merging: None, }
    }
}

prop_compose! {
    fn vm()(
        id in any::<u128>(), name in name(), host in any::<prop::sample::Index>(), tags in tags(), cpu in name(),
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
            tags, unmergeable: false, };
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
        // `A` and `B` are `k1` and `k2`, or one of them is not there at all.
        let uses = |key: &str| original.hosts.iter().map(|h| &h.tags).chain(original.vms.iter().map(|v| &v.tags))
            .any(|tags| tags.iter().any(|tag| tag.starts_with(key)));
        let used: Vec<&str> = ["A=", "B="].into_iter().filter(|key| uses(key)).collect();
        let old_keys: Vec<String> = used.iter().map(|key| key[..1].to_owned()).chain(["watts".to_owned()]).collect();
        let new_keys: Vec<String> = (1..=used.len()).map(|i| format!("k{i}")).chain(["watts".to_owned()]).collect();
        for (new, old) in neutral.vms.iter().map(|v| &v.tags).zip(original.vms.iter().map(|v| &v.tags))
            .chain(neutral.hosts.iter().map(|h| &h.tags).zip(original.hosts.iter().map(|h| &h.tags)))
        {
            prop_assert_eq!(meaning(&neutral, new, &new_keys), meaning(&original, old, &old_keys));
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
