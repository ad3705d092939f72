//! Sharing, learned from a made-up truth: what hosts count, and samples of pages.

use proptest::prelude::*;
use ulm_forecast::{Samples, believe};
use ulm_model::*;
use uuid::Uuid;

const LEVELS: [&str; 3] = ["os:", "version:", "app:"];

fn vm(number: u32, host: u32, tags: &str) -> Vm {
    Vm {
        id: VmId(Uuid::from_u128(u128::from(number) + 1)),
        name: format!("vm-{number}"),
        host: HostIx(host),
        state: VmState::Running,
        vcpus: 1,
        memory: Bytes::gib(4),
        cpu_use: Recent::default(),
        memory_use: Recent::default(),
        contention: Recent::default(),
        network: None,
        disk: None,
        needs: Some(Needs::default()),
        fixtures: Vec::new(),
        tags: tags.split_whitespace().map(str::to_owned).collect(),
        unmergeable: false,
    }
}

fn host(number: u32, saved: Bytes) -> Host {
    Host {
        name: HostName(format!("h{number:03}")),
        state: HostState::Up,
        cpu: MilliCpu::cpus(16),
        memory: Bytes::gib(256),
        cpu_use: Recent::default(),
        memory_use: Recent::default(),
        platform: Platform::default(),
        cpu_verdicts: Default::default(),
        networks: Default::default(),
        storage: Default::default(),
        tags: Default::default(),
        cells: Vec::new(),
        merging: Some(Merging { saved, shared: Bytes::mib(1), full_scans: 2, ..Merging::default() }),
    }
}

fn group(name: &str, weights: [u64; 3], trust: u32) -> SharingGroup {
    let level = |(prefix, mib): (&&str, u64)| SharingLevel { prefix: (*prefix).into(), weight: Bytes::mib(mib) };
    SharingGroup {
        name: name.into(),
        vms: VmSelector { name: vec![], tag: vec![name.into()] },
        levels: LEVELS.iter().zip(weights).map(level).collect(),
        nodes: Vec::new(),
        trust: Trust::stated(Share::percent(trust)),
        reserve: Share::percent(15),
    }
}

fn belongs(snapshot: &Snapshot, groups: &[SharingGroup]) -> Vec<Option<usize>> {
    let selects = |group: &SharingGroup, vm: &Vm| group.vms.tag.iter().any(|tag| vm.tags.contains(tag));
    snapshot.vms.iter().map(|vm| groups.iter().position(|group| selects(group, vm))).collect()
}

/// So many hosts with so many VMs of each of the groups, where this part (in per cent) of what each group says is saved in truth.
fn cluster(hosts: u32, vms: u32, groups: &[(&str, u64)]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for h in 0..hosts {
        let mib: u64 = groups.iter().map(|(_, truth)| 300 * u64::from(vms - 1) * truth / 100).sum();
        snapshot.hosts.push(host(h, Bytes::mib(mib)));
        for (name, _) in groups {
            let number = snapshot.vms.len() as u32;
            snapshot.vms.extend((0..vms).map(|i| vm(number + i, h, &format!("{name} os:debian"))));
        }
    }
    snapshot
}

/// Sure and likely parts in per cent, and hosts, by group.
fn learned(snapshot: &Snapshot, groups: &[SharingGroup]) -> Vec<(u32, u32, u32)> {
    let mut groups = groups.to_vec();
    let hosts = believe(snapshot, &mut groups, belongs);
    let told = groups.iter().map(|group| group.trust).zip(hosts);
    told.map(|(trust, hosts)| (trust.sure.0 / 100, trust.likely.0 / 100, hosts)).collect()
}

#[test]
fn trust_grows_with_the_hosts_that_agree() {
    let groups = [group("a", [300, 0, 0], 0)];
    let sure: Vec<u32> = [1, 2, 4, 10, 40].map(|hosts| learned(&cluster(hosts, 10, &[("a", 80)]), &groups)[0].0).into();
    assert!(sure[0] == 0 && sure.is_sorted() && (50..70).contains(&sure[3]) && (70..80).contains(&sure[4]), "{sure:?}");
}

#[test]
fn without_counters_only_what_the_policy_says_is_trusted() {
    let mut snapshot = cluster(3, 10, &[("a", 80)]);
    snapshot.hosts.iter_mut().for_each(|host| host.merging.as_mut().unwrap().full_scans = 1);
    assert_eq!(learned(&snapshot, &[group("a", [300, 0, 0], 35)]), [(35, 100, 0)], "they have not scanned twice");
    snapshot.hosts.iter_mut().for_each(|host| host.merging = None);
    assert_eq!(learned(&snapshot, &[group("a", [300, 0, 0], 0)]), [(0, 100, 0)]);
}

#[test]
fn hosts_with_moves_are_not_asked() {
    let mut snapshot = cluster(3, 10, &[("a", 80)]);
    snapshot.in_flight = vec![InFlight { vm: VmIx(0), from: HostIx(0), to: Some(HostIx(2)), since: Time(0) }];
    assert_eq!(learned(&snapshot, &[group("a", [300, 0, 0], 0)])[0].2, 1);
}

#[test]
fn a_group_is_not_trusted_for_what_another_may_have_saved() {
    let groups = [group("a", [300, 0, 0], 0), group("b", [300, 0, 0], 0)];
    let mixed = learned(&cluster(30, 10, &[("a", 100), ("b", 0)]), &groups);
    assert_eq!(
        mixed,
        [(0, 50, 30), (0, 50, 30)],
        "half of what both say is counted: it may be all of one or of the other"
    );
    let both = learned(&cluster(30, 10, &[("a", 100), ("b", 100)]), &groups);
    assert!(both.iter().all(|(sure, likely, _)| *sure > 85 && *likely > 95), "{both:?}");
}

#[test]
fn what_hosts_save_anyway_is_not_ascribed_to_the_groups() {
    let mut snapshot = cluster(20, 10, &[("a", 50)]);
    // 40 GiB of VMs in no group save 300 MiB by themselves, and so do the 40 GiB of the group beside what they have in common.
    for h in 20..24 {
        snapshot.hosts.push(host(h, Bytes::mib(300)));
        let number = snapshot.vms.len() as u32;
        snapshot.vms.extend((0..10).map(|i| vm(number + i, h, "os:debian")));
    }
    for host in &mut snapshot.hosts[..20] {
        let merging = host.merging.as_mut().unwrap();
        merging.saved += Bytes::mib(300);
    }
    let (sure, likely, hosts) = learned(&snapshot, &[group("a", [300, 0, 0], 0)])[0];
    assert_eq!((likely, hosts), (50, 20));
    assert!((35..50).contains(&sure), "{sure}");
}

/// A truth in pages: each node of a tree has pages of its own, of which a VM has some; and VMs have pages of their own.
struct Truth {
    /// Pages of each VM.
    pages: Vec<Vec<u64>>,
    tags: Vec<String>,
}

/// A hash with random low bits.
fn hash(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// `number` pages with a name.
fn pages(name: &str, number: u64) -> impl Iterator<Item = u64> + use<> {
    let start = name.bytes().fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (0..number).map(move |i| hash(start.wrapping_add(i)))
}

/// Two systems with two applications each, `each` VMs of every one; nodes have `weights` MiB in pages of 4 KiB, VMs 64 of their own.
fn truth(seed: u64, each: usize, weights: [u64; 2]) -> Truth {
    let (mut all, mut tags) = (Vec::new(), Vec::new());
    for os in ["debian", "bsd"] {
        for app in ["db", "web"] {
            for i in 0..each {
                let of = |name: String, mib: u64| pages(&format!("{seed} {name}"), mib * 256);
                let own = of(format!("{os} {app} {i}"), 64);
                all.push(of(os.into(), weights[0]).chain(of(format!("{os} {app}"), weights[1])).chain(own).collect());
                tags.push(format!("a os:{os} version:1 app:{app}"));
            }
        }
    }
    Truth { pages: all, tags }
}

fn sampled(truth: &Truth, modulus: u64) -> (Snapshot, Samples) {
    let vms = truth.tags.iter().enumerate().map(|(i, tags)| vm(i as u32, 0, tags)).collect();
    let sample = |pages: &Vec<u64>| pages.iter().copied().filter(|hash| hash % modulus == 0).collect();
    let samples = truth.pages.iter().enumerate().map(|(i, pages)| (format!("vm-{i}"), sample(pages))).collect();
    let snapshot = Snapshot { hosts: vec![host(0, Bytes(0))], vms, ..Snapshot::default() };
    (snapshot, Samples { modulus, page: Bytes::kib(4), vms: samples })
}

/// MiB of a node, as learned.
fn node(groups: &[SharingGroup], path: &[&str]) -> u64 {
    groups[0].nodes.iter().find(|node| node.path == path).map_or(0, |node| node.weight.0 >> 20)
}

#[test]
fn all_pages_give_the_weights_of_the_tree_exactly() {
    let (snapshot, samples) = sampled(&truth(1, 4, [300, 100]), 1);
    let by_vm = samples.by_vm(&snapshot).unwrap();
    let learned = samples.learn(&by_vm, &snapshot, &[group("a", [1, 1, 1], 0)], belongs);
    // Of the version there is one value: the pages of the system show there.
    assert_eq!(node(&learned, &["debian"]), 0);
    assert_eq!(node(&learned, &["debian", "1"]), 300);
    assert_eq!(node(&learned, &["debian", "1", "db"]), 100);
    assert_eq!(samples.footprint(&by_vm, [0, 1, 4].map(VmIx)), Bytes::mib(300 + 2 * 100 + 3 * 64));
}

#[test]
fn the_tree_says_what_all_vms_of_it_need_together() {
    let (snapshot, samples) = sampled(&truth(2, 5, [300, 100]), 64);
    let by_vm = samples.by_vm(&snapshot).unwrap();
    let learned = samples.learn(&by_vm, &snapshot, &[group("a", [1, 1, 1], 0)], belongs);
    let sharing = Sharing::of(&snapshot, &learned, belongs);
    let all = || snapshot.vms_ix().map(|(ix, _)| ix);
    let full: Bytes = all().map(|vm| samples.footprint(&by_vm, [vm])).sum();
    let by_tree = full.saturating_sub(sharing.saved(all(), |class| class.weight));
    let by_samples = samples.footprint(&by_vm, all());
    assert!(by_tree.0.abs_diff(by_samples.0) < Bytes::mib(8).0, "{by_tree} {by_samples}");
}

#[test]
fn samples_of_nobody_or_of_several_are_told() {
    let (mut snapshot, samples) = sampled(&truth(3, 2, [10, 10]), 8);
    let with = |name: &str, hashes: &[u64]| {
        let mut samples = samples.clone();
        samples.vms.insert(name.into(), hashes.to_vec());
        samples
    };
    let error = |samples: Samples, snapshot: &Snapshot| samples.by_vm(snapshot).unwrap_err();
    assert!(error(with("vm-99", &[]), &snapshot).contains("no VM `vm-99`"));
    assert!(error(with("vm-1", &[9]), &snapshot).contains("no multiple of the modulus 8"));
    assert!(error(with(&snapshot.vms[1].id.to_string(), &[]), &snapshot).contains("two samples"));
    assert!(error(Samples { modulus: 0, ..samples.clone() }, &snapshot).contains("at least 1"));
    snapshot.vms[2].name = "vm-1".into();
    assert!(error(samples.clone(), &snapshot).contains("several VMs are named `vm-1`"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Twenty hosts whose true part wavers from host to host: the sure part is above the true mean in few cases only, and never far.
    #[test]
    fn the_sure_part_is_below_the_truth(truth in 20u64..90, seed in any::<u64>()) {
        let mut snapshot = cluster(20, 10, &[("a", truth)]);
        for (i, host) in snapshot.hosts.iter_mut().enumerate() {
            let merging = host.merging.as_mut().unwrap();
            let waver = 80 + hash(seed.wrapping_add(i as u64)) % 41;
            merging.saved = Bytes(merging.saved.0 * waver / 100);
        }
        let (sure, likely, _) = learned(&snapshot, &[group("a", [300, 0, 0], 0)])[0];
        prop_assert!(u64::from(sure) <= truth && u64::from(sure) + 25 > truth * 3 / 4, "{} of {}", sure, truth);
        prop_assert!(u64::from(likely).abs_diff(truth) < 10, "{} of {}", likely, truth);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// The weight of a node is off by no more than three standard errors, and what is trusted of it is less than there is.
    #[test]
    fn sampled_weights_are_near_the_truth(seed in any::<u64>(), os in 200u64..400, app in 50u64..200) {
        let (snapshot, samples) = sampled(&truth(seed, 4, [os, app]), 128);
        let by_vm = samples.by_vm(&snapshot).unwrap();
        let learned = samples.learn(&by_vm, &snapshot, &[group("a", [1, 1, 1], 0)], belongs);
        let off = |mib: u64| 4 * (mib * 256 / 128).isqrt() * 128 / 256 + 1;
        for (path, mib) in [(&["debian", "1"][..], os), (&["bsd", "1", "web"], app)] {
            prop_assert!(node(&learned, path).abs_diff(mib) <= off(os + app), "{:?}: {} of {}", path, node(&learned, path), mib);
        }
        let trusted = (learned[0].trust.sure * Bytes::mib(100)).0 >> 20;
        prop_assert!((30..=97).contains(&trusted), "{}", trusted);
    }
}
