//! What merged pages are counted for, and what not: one test for each thing that could be forgotten.

mod plans;

use plans::World;
use ulm_model::*;

/// `h1` has four VMs of 4 GiB with 400 MiB in common, which it has merged, and `vm-0` is to come from `h0`.
fn world(h1: Bytes) -> World {
    joined(&[(0, 1, &[])], h1)
}

fn joined(steps: &[(u32, u32, &[u32])], h1: Bytes) -> World {
    let mut world = World::with(steps);
    let host = &mut world.snapshot.hosts[1];
    host.memory = h1;
    host.memory_use.0[0].value = Bytes::gib(2);
    host.merging = Some(Merging { saved: Bytes::mib(1200), full_scans: 2, ..Merging::default() });
    world.snapshot.vms.iter_mut().for_each(|vm| _ = vm.tags.insert("os:debian".into()));
    world.rulebook.sharing = vec![SharingGroup {
        name: "shop".into(),
        vms: VmSelector { name: vec!["*".into()], tag: vec![] },
        levels: vec![SharingLevel { prefix: "os:".into(), weight: Bytes::mib(400) }],
        nodes: vec![],
        trust: Trust::stated(Share::WHOLE),
        reserve: Share::ZERO,
    }];
    world
}

/// With what arrives 20 GiB are promised, less 1200 MiB.
const JUST: Bytes = Bytes::mib(20 * 1024 - 1200);

fn less(mib: u64) -> Bytes {
    JUST.saturating_sub(Bytes::mib(mib))
}

#[test]
fn what_those_who_stay_have_merged_is_room_and_what_arrives_counts_in_full() {
    assert_eq!(world(JUST).verdict(), Ok(()));
    assert_eq!(world(less(1)).broken(), "capacity.memory", "merged it would take 400 MiB less");
    let mut without = world(JUST);
    without.rulebook.sharing.clear();
    assert_eq!(without.broken(), "capacity.memory");
}

#[test]
fn a_vm_that_the_plan_moves_later_counts_in_full_from_the_beginning() {
    let late = |h1| joined(&[(0, 1, &[]), (4, 2, &[0])], h1);
    assert_eq!(late(JUST).broken(), "capacity.memory");
    assert_eq!(late(Bytes::mib(20 * 1024 - 800)).verdict(), Ok(()));
}

#[test]
fn a_vm_in_flight_counts_in_full() {
    let mut world = world(JUST);
    world.snapshot.in_flight.push(InFlight { vm: VmIx(4), from: HostIx(1), to: None, since: plans::NOW });
    assert_eq!(world.broken(), "capacity.memory");
}

#[test]
fn nothing_is_merged_where_the_host_was_not_seen_to_merge_it() {
    let changes: [fn(&mut Merging); 3] = [
        |counted| counted.full_scans = 1,
        |counted| counted.saved = Bytes::mib(1199),
        |counted| counted.stopped = true,
    ];
    for change in changes {
        let mut world = world(JUST);
        change(world.snapshot.hosts[1].merging.as_mut().unwrap());
        assert_eq!(world.broken(), "capacity.memory");
    }
    let mut told_nothing = world(JUST);
    told_nothing.snapshot.hosts[1].merging = None;
    assert_eq!(told_nothing.broken(), "capacity.memory");
}

#[test]
fn vms_of_different_groups_have_nothing_in_common() {
    let mut world = world(JUST);
    let other = SharingGroup {
        vms: VmSelector { name: vec!["vm-6".into(), "vm-7".into()], tag: vec![] },
        ..world.rulebook.sharing[0].clone()
    };
    world.rulebook.sharing.insert(0, other);
    assert_eq!(world.broken(), "capacity.memory");
    let mut unmergeable = crate::world(JUST);
    unmergeable.snapshot.vms[7].unmergeable = true;
    assert_eq!(unmergeable.broken(), "capacity.memory");
}

#[test]
fn only_the_sure_part_less_the_reserve_is_room() {
    let mut unsure = world(JUST);
    unsure.rulebook.sharing[0].trust.sure = Share::percent(99);
    assert_eq!(unsure.broken(), "capacity.memory");
    let mut half = world(Bytes::mib(20 * 1024 - 600));
    half.rulebook.sharing[0].trust.sure = Share::percent(50);
    half.snapshot.hosts[1].merging.as_mut().unwrap().saved = Bytes::mib(600);
    assert_eq!(half.verdict(), Ok(()), "nothing is short of what is counted on");
    let mut reserved = world(JUST);
    reserved.rulebook.sharing[0].reserve = Share::percent(1);
    assert_eq!(reserved.broken(), "capacity.memory");
}

#[test]
fn what_a_vm_that_goes_has_in_common_with_others_is_not_given_back() {
    let exchanged = |available: u64| {
        let mut world = joined(&[(4, 2, &[]), (0, 1, &[0])], Bytes::gib(30));
        world.snapshot.hosts[1].memory_use.0[0].value = Bytes::gib(30).saturating_sub(Bytes::mib(available));
        world
    };
    assert_eq!(exchanged(400).verdict(), Ok(()));
    assert_eq!(exchanged(399).broken(), "capacity.memory_used");
    let mut nothing_saved = exchanged(0);
    nothing_saved.snapshot.hosts[1].merging.as_mut().unwrap().saved = Bytes(0);
    assert_eq!(nothing_saved.verdict(), Ok(()), "what is not saved cannot be lost");
}
