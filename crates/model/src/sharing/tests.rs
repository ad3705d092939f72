use std::collections::BTreeSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{Fixture, HostIx, Needs, Recent, VmId, VmState};

fn vm(number: u128, memory: Bytes, tags: &str) -> Vm {
    Vm {
        id: VmId(Uuid::from_u128(number)),
        name: format!("vm-{number}"),
        host: HostIx(0),
        state: VmState::Running,
        vcpus: 1,
        memory,
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

fn snapshot(vms: Vec<Vm>) -> Snapshot {
    Snapshot { vms, ..Snapshot::default() }
}

fn by_tag(snapshot: &Snapshot, groups: &[SharingGroup]) -> Vec<Option<usize>> {
    let selects = |group: &SharingGroup, vm: &Vm| group.vms.tag.iter().any(|tag| vm.tags.contains(tag));
    snapshot.vms.iter().map(|vm| groups.iter().position(|group| selects(group, vm))).collect()
}

fn level(prefix: &str, mib: u64) -> SharingLevel {
    SharingLevel { prefix: prefix.into(), weight: Bytes::mib(mib) }
}

fn group(tag: &str) -> SharingGroup {
    SharingGroup {
        name: tag.into(),
        vms: VmSelector { name: vec![], tag: vec![tag.into()] },
        levels: vec![level("os:", 300), level("version:", 200), level("app:", 100)],
        nodes: Vec::new(),
        trust: Trust::stated(Share::percent(50)),
        reserve: Share::percent(20),
    }
}

fn ix(numbers: &[u32]) -> Vec<VmIx> {
    numbers.iter().copied().map(VmIx).collect()
}

/// Paths of the classes with their VMs.
fn told(sharing: &Sharing) -> Vec<(String, Vec<u32>)> {
    let one = |class: &SharingClass| (class.path.join("/"), class.vms.iter().map(|vm| vm.0).collect());
    sharing.classes.iter().map(one).collect()
}

#[test]
fn vms_share_what_lies_on_both_paths() {
    let of = |number, tags| vm(number, Bytes::gib(2), tags);
    let snapshot = snapshot(vec![
        of(1, "a os:debian version:12 app:db"),
        of(2, "a os:debian version:12 app:db"),
        of(3, "a os:debian version:12 app:web"),
        of(4, "a os:debian version:11 app:db"),
        of(5, "a os:debian app:db"),
        of(6, "a os:bsd version:12 app:db"),
    ]);
    let sharing = Sharing::of(&snapshot, &[group("a")], by_tag);
    let expected = [("debian", vec![0, 1, 2, 3, 4]), ("debian/12", vec![0, 1, 2]), ("debian/12/db", vec![0, 1])];
    assert_eq!(told(&sharing), expected.map(|(path, vms)| (path.to_owned(), vms)));
    assert_eq!(sharing.of_vm, [vec![0, 1, 2], vec![0, 1, 2], vec![0, 1], vec![0], vec![0], vec![]]);
    let saved = |vms: &[u32]| sharing.saved(ix(vms), |class| class.weight);
    assert_eq!(saved(&[0, 1]), Bytes::mib(600));
    assert_eq!(saved(&[0, 2, 4]), Bytes::mib(2 * 300 + 200));
    assert_eq!((saved(&[0, 5]), saved(&[3])), (Bytes(0), Bytes(0)));
    let footprint = sharing.footprint(&snapshot, ix(&[0, 1, 3]), |class| class.weight);
    assert_eq!(footprint, Bytes::mib(3 * 2048 - 2 * 300 - 200 - 100));
}

#[test]
fn tenants_are_not_credited_with_each_others_pages() {
    let of = |number, tags| vm(number, Bytes::gib(2), tags);
    let vms = vec![of(1, "a os:debian"), of(2, "b os:debian"), of(3, "os:debian"), of(4, "a b os:debian")];
    let sharing = Sharing::of(&snapshot(vms), &[group("a"), group("b")], by_tag);
    // The fourth belongs to the first group alone: else it would tie the tenants together.
    assert_eq!(told(&sharing), [("debian".to_owned(), vec![0, 3])]);
    assert_eq!(sharing.classes[0].group, 0);
}

#[test]
fn what_cannot_be_merged_shares_nothing() {
    let of = |number| vm(number, Bytes::gib(2), "a os:debian");
    let huge = Needs { pages: Some(Bytes::mib(2)), ..Needs::default() };
    let vms = vec![
        of(1),
        of(2),
        Vm { needs: Some(huge), ..of(3) },
        Vm { unmergeable: true, ..of(4) },
        Vm { needs: None, ..of(5) },
        Vm { fixtures: vec![Fixture::LocalDisk { path: "/a".into() }], ..of(6) },
    ];
    let sharing = Sharing::of(&snapshot(vms), &[group("a")], by_tag);
    assert_eq!(told(&sharing), [("debian".to_owned(), vec![0, 1, 5])]);
}

#[test]
fn nobody_shares_more_than_it_has() {
    let of = |number, mib| vm(number, Bytes::mib(mib), "a os:debian version:12 app:db");
    let vms = vec![of(1, 600), of(2, 599), of(3, 600), of(4, 299)];
    let sharing = Sharing::of(&snapshot(vms), &[group("a")], by_tag);
    assert_eq!(sharing.of_vm, [vec![0, 1, 2], vec![0, 1], vec![0, 1, 2], vec![]]);
}

#[test]
fn a_node_may_have_a_weight_of_its_own() {
    let vms = (1..=2).map(|number| vm(number, Bytes::gib(2), "a os:debian version:12 app:db")).collect();
    let own = SharingNode { path: vec!["debian".into(), "12".into()], weight: Bytes::mib(500) };
    let elsewhere = SharingNode { path: vec!["12".into()], weight: Bytes::mib(1) };
    let group = SharingGroup { nodes: vec![own, elsewhere], ..group("a") };
    let sharing = Sharing::of(&snapshot(vms), &[group], by_tag);
    let weights: Vec<Bytes> = sharing.classes.iter().map(|class| class.weight).collect();
    assert_eq!(weights, [300, 500, 100].map(Bytes::mib));
}

#[test]
fn what_is_counted_on_is_the_sure_part_less_the_reserve() {
    let vms = (1..=2).map(|number| vm(number, Bytes::gib(2), "a os:debian")).collect();
    let snapshot = snapshot(vms);
    let told = |trust: Trust| {
        let sharing = Sharing::of(&snapshot, &[SharingGroup { trust, ..group("a") }], by_tag);
        let SharingClass { weight, likely, credit, .. } = sharing.classes[0];
        [weight, likely, credit]
    };
    assert_eq!(
        told(Trust::stated(Share::percent(50))),
        [300, 300, 300 * 50 / 100 * 80 / 100].map(Bytes::mib),
        "half is trusted, 20 % kept back"
    );
    let shown = Trust { likely: Share::percent(90), sure: Share::percent(70) };
    assert_eq!(told(shown), [300, 270, 300 * 70 / 100 * 80 / 100].map(Bytes::mib));
}

#[test]
fn a_host_merges_only_after_two_full_scans() {
    let text = r#"{"name":"h","state":"up","cpu":1000,"memory":1,"cpu_use":[],"memory_use":[],"platform":
        {"arch":"","cpu_model":"","hypervisor":""},"cpu_verdicts":[],"networks":[],"storage":[],"tags":[]}"#;
    let host: Host = serde_json::from_str(text).unwrap();
    assert_eq!((host.merging, host.merges()), (None, false), "snapshots from before are read");
    let after = |full_scans| Host { merging: Some(Merging { full_scans, ..Merging::default() }), ..host.clone() };
    assert!(!after(1).merges() && after(2).merges());
}

/// A VM with so much memory and these values.
fn any_vm() -> impl Strategy<Value = (u64, [u8; 3])> {
    (500u64..2000, [0u8..3, 0..3, 0..3])
}

proptest! {
    /// The definition: VMs together hold every page once, and a page is a copy of a node.
    #[test]
    fn the_footprint_is_the_union_of_pages(vms in prop::collection::vec(any_vm(), 1..12), chosen in any::<u16>()) {
        let tags = |values: &[u8; 3]| {
            let each = ["os:", "version:", "app:"].into_iter().zip(values);
            // 0 is none.
            each.filter(|(_, value)| **value > 0).map(|(prefix, value)| format!("{prefix}{value} ")).collect::<String>() + "a"
        };
        let vms = vms.iter().zip(1..).map(|((mib, values), number)| vm(number, Bytes::mib(*mib), &tags(values))).collect();
        let snapshot = snapshot(vms);
        let sharing = Sharing::of(&snapshot, &[group("a")], by_tag);
        let set: Vec<VmIx> = snapshot.vms_ix().map(|(ix, _)| ix).filter(|ix| chosen >> ix.0 & 1 == 1).collect();
        let classes: BTreeSet<u32> = set.iter().flat_map(|vm| sharing.of_vm[vm.at()].iter().copied()).collect();
        let weight = |class: &u32| sharing.classes[*class as usize].weight.0;
        let shared: u64 = classes.iter().map(weight).sum();
        let own: u64 = set.iter().map(|vm| snapshot.vm(*vm).memory.0 - sharing.of_vm[vm.at()].iter().map(weight).sum::<u64>()).sum();
        prop_assert_eq!(sharing.footprint(&snapshot, set, |class| class.weight), Bytes(shared + own));
    }
}
