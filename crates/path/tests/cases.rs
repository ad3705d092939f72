//! Tasks made by hand, each with a point.

mod common;

use common::*;
use ulm_model::*;
use ulm_path::{Alone, Budget, ByBytes, Progress, Watch, path};

// ---------------------------------------------------------------------------------------------------------------------------------
// Rings.

/// Hosts that are full with one VM each, which all go one host further, and an empty one of the given size.
fn ring(length: u32, spare: u64) -> Task {
    let vms: Vec<_> = (0..length).map(|i| (10, i, (i + 1) % length)).collect();
    let mut capacity = vec![10; length as usize];
    capacity.push(spare);
    plain(&capacity, &vms)
}

#[test]
fn a_ring_turns_by_a_spare_host() {
    assert_eq!(route(&ring(3, 10)).moves(), 4);
}

#[test]
fn a_ring_without_a_spare_host_is_frozen() {
    let Certificate::Frozen { vms, .. } = impossible(&ring(3, 0)) else { panic!("not frozen") };
    assert_eq!(vms, [0, 1, 2]);
}

#[test]
fn a_ring_whose_spare_host_is_too_small_is_frozen() {
    assert!(matches!(impossible(&ring(3, 9)), Certificate::Frozen { .. }));
}

#[test]
fn a_long_ring_over_full_hosts_parks_one_vm() {
    let route = route(&ring(200, 10));
    assert_eq!(route.moves(), 201);
    assert_eq!(route.cost_bound, route.cost, "the bound knows that one VM must be parked");
}

#[test]
fn many_rings_share_one_spare_host() {
    let mut vms = vec![];
    for ring in 0..30 {
        vms.extend((0..3).map(|i| (10, ring * 3 + i, ring * 3 + (i + 1) % 3)));
    }
    let mut capacity = vec![10; 90];
    capacity.push(10);
    assert_eq!(route(&plain(&capacity, &vms)).moves(), 120);
}

#[test]
fn the_cheapest_vm_of_a_ring_is_parked() {
    let mut task = ring(5, 10);
    for (i, bytes) in [50, 40, 7, 40, 50].into_iter().enumerate() {
        task.vms[i].copy.bytes = bytes;
    }
    assert_eq!(route(&task).cost, 187 + 7);
}

#[test]
fn room_for_the_parked_vm_may_be_made() {
    // The hosts of the ring are full; the hole for a VM of 10 is spread over hosts 2 and 3, and what is there is at home.
    let task = plain(&[10, 10, 10, 10], &[(10, 0, 1), (10, 1, 0), (5, 2, 2), (5, 3, 3)]);
    assert_eq!(route(&task).cost, 20 + 10 + 10);
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Hard ones.

/// Two hosts exchange everything: items that fill the one, and two blocks of half their sum each. A block can enter only when the
/// items that are left there sum up to exactly half: PARTITION.
fn partition(items: &[u64]) -> Task {
    let sum: u64 = items.iter().sum();
    let half = sum / 2;
    let mut vms: Vec<_> = items.iter().map(|item| (*item, 0, 1)).collect();
    vms.extend([(half, 1, 0), (half, 1, 0)]);
    plain(&[sum, half * 3], &vms)
}

#[test]
fn two_hosts_can_exchange_what_can_be_partitioned() {
    assert_eq!(route(&partition(&[5, 8, 4, 7, 6])).moves(), 7);
}

#[test]
fn two_hosts_cannot_exchange_what_cannot_be_partitioned() {
    impossible(&partition(&[5, 5, 2]));
    impossible(&partition(&[9, 9, 3, 9]));
}

#[test]
fn a_partition_that_only_search_finds() {
    let items = [31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79];
    assert_eq!(items.iter().sum::<u64>() % 2, 0);
    assert_eq!(route(&partition(&items)).moves(), 14);
}

#[test]
fn two_pending_vms_make_way_for_a_large_one() {
    let task = plain(&[8, 8, 4, 4], &[(8, 0, 1), (4, 1, 0), (4, 1, 0)]);
    assert_eq!(route(&task).cost, 24);
}

#[test]
fn two_vms_at_home_make_way_and_come_back() {
    let task = plain(&[8, 8, 8, 4, 4], &[(8, 0, 1), (8, 1, 0), (4, 2, 2), (4, 2, 2)]);
    assert_eq!(route(&task).cost, 16 + 8 + 16);
}

#[test]
fn making_way_may_itself_need_a_way() {
    // A hole of 8 is needed; 4 of it are on host 2, and the VM of 4 there goes to host 3 only after its VM of 2 went to host 4.
    let task = plain(&[8, 8, 8, 4, 2], &[(8, 0, 1), (8, 1, 0), (4, 2, 2), (2, 3, 3)]);
    assert_eq!(route(&task).cost, 16 + 8 + 8 + 4);
}

#[test]
fn a_frozen_core_is_named_without_the_vms_around_it() {
    let mut vms = vec![(30, 0, 1), (30, 1, 0)];
    vms.extend([(2, 2, 3), (2, 3, 2), (2, 2, 2), (2, 4, 4)]);
    let Certificate::Frozen { vms, .. } = impossible(&plain(&[32, 32, 8, 8, 8], &vms)) else { panic!("not frozen") };
    assert_eq!(vms, [0, 1]);
}

#[test]
fn a_task_without_any_hole_that_helps_is_closed() {
    // The total room would do for the VMs that are to move, but it cannot be gathered.
    impossible(&plain(&[10, 10, 10], &[(7, 0, 1), (7, 1, 0), (7, 2, 2)]));
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Nothing to do, and nothing that can be done.

#[test]
fn nothing_is_done_where_all_is_as_it_should_be() {
    let route = route(&plain(&[10, 10], &[(4, 0, 0), (5, 1, 1)]));
    assert_eq!(route, Route::default());
}

#[test]
fn an_empty_task_has_an_empty_route() {
    assert_eq!(route(&Task::default()), Route::default());
}

#[test]
fn a_target_that_breaks_a_limit_is_told_at_once() {
    let mut task = plain(&[10, 10], &[(6, 0, 1), (6, 1, 1)]);
    let breach = Breach::Capacity { host: 1, resource: 0 };
    assert_eq!(impossible(&task), Certificate::Unsound { breach });
    task.hosts[1].capacity[0] = 20;
    task.rules = vec![rule("apart", apart(&[0, 1], 2))];
    assert_eq!(impossible(&task), Certificate::Unsound { breach: Breach::Rule { rule: 0 } });
    task.rules.clear();
    task.hosts[1].takes = false;
    assert_eq!(impossible(&task), Certificate::Unsound { breach: Breach::TakesNothing { vm: 0 } });
    task.hosts[1].takes = true;
    task.hosts[1].power = Power::SwitchOff { takes_ms: 5 };
    assert!(matches!(
        impossible(&task),
        Certificate::Unsound { breach: Breach::Off { .. } | Breach::TakesNothing { .. } }
    ));
}

#[test]
fn a_vm_that_stays_is_in_the_way_for_good() {
    let mut task = plain(&[8, 8, 8, 4, 4], &[(8, 0, 1), (8, 1, 0), (4, 2, 2), (4, 2, 2)]);
    task.vms[3].stays = true;
    impossible(&task);
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Rules.

#[test]
fn vms_that_are_to_be_apart_exchange_by_a_third_host() {
    let mut task = plain(&[100, 100, 100], &[(4, 0, 1), (4, 1, 0)]);
    assert_eq!(route(&task).moves(), 2);
    task.rules = vec![rule("apart", apart(&[0, 1], 3))];
    assert_eq!(route(&task).moves(), 3);
    task.hosts[2].takes = false;
    impossible(&task);
}

#[test]
fn racks_are_never_crowded_on_the_way() {
    let mut task = plain(&[100; 6], &[(4, 0, 2), (4, 2, 4), (4, 4, 0), (4, 1, 1)]);
    let domains = vec![vec![0, 1], vec![2, 3], vec![4, 5]];
    task.rules = vec![rule("spread", TaskRuleKind::AtMost { vms: vec![0, 1, 2], domains: domains.into(), limit: 1 })];
    impossible(&task);
    let TaskRuleKind::AtMost { domains, .. } = &mut task.rules[0].kind else { unreachable!() };
    domains[0] = vec![0];
    assert_eq!(route(&task).moves(), 4);
}

#[test]
fn a_move_within_a_rack_does_not_crowd_it() {
    let mut task = plain(&[100; 4], &[(4, 0, 1), (4, 2, 3)]);
    let domains = vec![vec![0, 1], vec![2, 3]];
    task.rules = vec![rule("spread", TaskRuleKind::AtMost { vms: vec![0, 1], domains: domains.into(), limit: 1 })];
    assert_eq!(route(&task).moves(), 2);
}

#[test]
fn an_affine_pair_moves_as_a_group() {
    // Each half would fit into the hole that there is, the pair only when the other VM made way.
    let mut task = plain(&[8, 8, 4], &[(4, 0, 1), (4, 0, 1), (4, 1, 2)]);
    task.rules = vec![rule("pair", TaskRuleKind::Together { vms: vec![0, 1] })];
    let route = route(&task);
    assert_eq!(route.moves(), 3);
    let first = route.steps.iter().find(|step| step.after.is_empty()).expect("a first step");
    assert!(matches!(first.action, RouteAction::Move { vm: 2, .. }), "{route:#?}");
}

#[test]
fn an_affine_pair_is_not_parked_on_two_hosts() {
    let mut task = plain(&[8, 8, 4, 4], &[(4, 0, 1), (4, 0, 1), (4, 1, 0), (4, 1, 0)]);
    assert_eq!(route(&task).moves(), 5);
    let pair = |vms: &[u32]| rule(&format!("pair-{vms:?}"), TaskRuleKind::Together { vms: vms.to_vec() });
    task.rules = vec![pair(&[0, 1]), pair(&[2, 3])];
    impossible(&task);
    task.hosts[2].capacity[0] = 8;
    assert_eq!(route(&task).moves(), 6);
}

#[test]
fn vms_that_are_to_come_together_move_one_by_one() {
    let mut task = plain(&[8, 8, 8], &[(4, 0, 2), (4, 1, 2)]);
    task.rules = vec![rule("pair", TaskRuleKind::Together { vms: vec![0, 1] })];
    assert_eq!(route(&task).moves(), 2);
}

#[test]
fn a_vm_leaves_a_place_that_it_may_not_go_to_and_never_comes_back() {
    // VM 0 is where it may not be. It cannot be the one that is parked at home again, so the ring turns by VM 1.
    let mut task = plain(&[10, 10, 10], &[(10, 0, 1), (10, 1, 0)]);
    task.rules = vec![rule("never", TaskRuleKind::Never { vms: vec![0], hosts: vec![0, 2] })];
    let route = route(&task);
    assert_eq!(route.moves(), 3);
    task.rules.push(rule("only", TaskRuleKind::Only { vms: vec![1], hosts: vec![0, 1] }));
    impossible(&task);
}

#[test]
fn processors_only_get_newer() {
    let mut task = ring(2, 10);
    assert_eq!(route(&task).moves(), 3);
    for spare in [0, 2] {
        task.rules = vec![rule("cpu", TaskRuleKind::OneWay { vms: vec![0, 1], rank: vec![1, 1, spare] })];
        impossible(&task);
    }
    task.rules = vec![rule("cpu", TaskRuleKind::OneWay { vms: vec![0], rank: vec![1, 1, 2] })];
    assert_eq!(route(&task).moves(), 3);
}

#[test]
fn what_holds_at_the_end_may_be_broken_on_the_way() {
    let mut task = ring(2, 0);
    task.resources[0].holds = Holds::AtEnd;
    assert_eq!(route(&task).moves(), 2);
    let mut task = plain(&[100, 100], &[(4, 0, 1), (4, 1, 0)]);
    task.rules = vec![rule("apart", apart(&[0, 1], 2))];
    impossible(&task);
    task.rules[0].holds = Holds::AtEnd;
    assert_eq!(route(&task).moves(), 2);
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Maintenance, hot spots, power.

#[test]
fn maintenance_cascades_from_host_to_host() {
    // Host 0 is emptied; what it gives fits only after its targets gave to others.
    let mut task = plain(&[10, 10, 10, 10], &[(6, 0, 1), (4, 0, 2), (6, 1, 2), (4, 2, 3), (6, 2, 3), (4, 1, 1)]);
    task.hosts[0].takes = false;
    assert_eq!(route(&task).moves(), 5);
}

#[test]
fn a_host_that_is_emptied_takes_no_parked_vm() {
    // Hosts 1 and 2 exchange; host 0, which is being emptied, would have room in the end.
    let mut task = plain(&[10, 10, 10, 5], &[(5, 0, 3), (10, 1, 2), (10, 2, 1)]);
    assert_eq!(route(&task).moves(), 4);
    task.hosts[0].takes = false;
    impossible(&task);
}

#[test]
fn a_hot_spot_gets_no_worse() {
    // Host 0 has 14 of 10: VM 3 may come only after one of 6 left, when there are 12 with it.
    let task = plain(&[10, 12, 6], &[(8, 0, 1), (6, 0, 2), (4, 1, 0), (4, 2, 0)]);
    route(&task);
    // With 16 asked of 10, an exchange of equals needs a detour although the host had as much before.
    let task = plain(&[10, 8, 8], &[(8, 0, 1), (8, 0, 0), (2, 1, 0)]);
    route(&task);
}

#[test]
fn a_crowd_of_a_may_stay_for_a_while_and_does_not_grow() {
    let mut task = plain(&[100, 100, 100, 100], &[(4, 0, 1), (4, 0, 2), (4, 0, 0), (4, 1, 3)]);
    task.rules = vec![rule("apart", apart(&[0, 1, 2, 3], 4))];
    assert_eq!(route(&task).moves(), 3);
}

#[test]
fn a_host_is_switched_on_before_it_is_used() {
    let mut task = ring(3, 10);
    task.hosts[3].power = Power::Off;
    impossible(&task);
    task.hosts[3].power = Power::SwitchOn { takes_ms: 120_000 };
    let route = route(&task);
    assert_eq!(route.moves(), 4);
    assert!(matches!(route.steps[0].action, RouteAction::PowerOn { host: 3 }), "{route:#?}");
    assert!(route.makespan_ms > 120_000);
}

#[test]
fn a_host_that_nobody_needs_is_switched_on_all_the_same() {
    let mut task = plain(&[10, 10], &[(4, 0, 0)]);
    task.hosts[1].power = Power::SwitchOn { takes_ms: 120_000 };
    let route = route(&task);
    assert_eq!((route.steps.len(), route.makespan_ms), (1, 120_000));
}

#[test]
fn a_host_is_switched_off_when_all_have_left() {
    let mut task = plain(&[10, 10, 10], &[(4, 0, 1), (4, 0, 2), (2, 0, 1), (3, 1, 1)]);
    task.hosts[0].power = Power::SwitchOff { takes_ms: 17_000 };
    let route = route(&task);
    assert_eq!(route.steps.len(), 4);
    let last = route.steps.last().expect("a last step");
    assert!(matches!(last.action, RouteAction::PowerOff { host: 0 }), "{route:#?}");
    assert!(last.end_ms - last.start_ms == 17_000 && last.end_ms == route.makespan_ms);
}

#[test]
fn decommission_replaces_hosts_by_new_ones() {
    let vms: Vec<_> = (0..24).map(|i| (4, i / 4, 6 + i / 8)).collect();
    let mut task = plain(&[16, 16, 16, 16, 16, 16, 32, 32, 32], &vms);
    task.hosts[..6].iter_mut().for_each(|host| host.power = Power::SwitchOff { takes_ms: 17_000 });
    task.hosts[6..].iter_mut().for_each(|host| host.power = Power::SwitchOn { takes_ms: 120_000 });
    task.vms.iter_mut().for_each(|vm| vm.copy.takes_ms = Some(10_000));
    let route = route(&task);
    assert_eq!((route.moves(), route.steps.len()), (24, 33));
    // Each new host takes one at a time.
    assert_eq!(route.makespan_ms, 120_000 + 8 * 10_000 + 17_000);
}

// ---------------------------------------------------------------------------------------------------------------------------------
// The timetable.

#[test]
fn moves_that_do_not_meet_run_at_once() {
    let vms: Vec<_> = (0..10).map(|i| (4, i, 10 + i)).collect();
    let mut task = plain(&[10; 20], &vms);
    task.vms.iter_mut().for_each(|vm| vm.copy.takes_ms = Some(1000));
    let route = route(&task);
    assert_eq!((route.makespan_ms, route.makespan_bound_ms), (1000, 1000));
    assert!(route.steps.iter().all(|step| step.after.is_empty()));
}

#[test]
fn moves_over_one_link_take_turns() {
    let mut task = plain(&[10; 20], &(0..10).map(|i| (4, i, 10 + i)).collect::<Vec<_>>());
    task.vms.iter_mut().for_each(|vm| vm.copy.takes_ms = Some(1000));
    task.links = vec![TaskLink { name: "uplink".into(), rate: 100_000_000, inside: (0..10).collect() }];
    let route = route(&task);
    assert_eq!((route.makespan_ms, route.makespan_bound_ms), (10_000, 10_000));
}

#[test]
fn the_way_back_over_a_link_is_free() {
    let mut task = plain(&[10; 4], &[(4, 0, 2), (4, 3, 1)]);
    task.vms.iter_mut().for_each(|vm| vm.copy.takes_ms = Some(1000));
    task.links = vec![TaskLink { name: "uplink".into(), rate: 100_000_000, inside: vec![0, 1] }];
    assert_eq!(route(&task).makespan_ms, 1000);
}

// ---------------------------------------------------------------------------------------------------------------------------------
// The budget.

#[test]
fn who_runs_out_of_budget_gives_what_there_is() {
    let hard = partition(&[501, 502, 503, 504, 505, 506, 507, 508, 509, 510, 511, 513, 514, 515, 516, 518]);
    let (task, budget) = (hard, Budget { expansions: 50, ..Budget::default() });
    match path(&task, &ByBytes, &budget, &Alone) {
        Answer::Undecided { best, left, why, .. } => {
            assert_eq!(why, Stopped::Expansions);
            let world = carry_out_a_part(&task, &best, &mut Dice::new(1), Slots::Ignored).expect("a sane part");
            assert_eq!(world.at, best.placement(&task));
            check_part(&task, &best).expect("the checker accepts the part");
            let away = |vm: &u32| world.at[*vm as usize] != task.vms[*vm as usize].to;
            assert_eq!(left, (0..task.vms.len() as u32).filter(away).collect::<Vec<_>>());
        }
        Answer::Route(_) => {} // found without search: as good
        Answer::Impossible { certificate } => panic!("50 states are no proof: {certificate:?}"),
    }
}

struct Impatient;

impl Watch for Impatient {
    fn look(&self, _: Progress) -> Option<Stopped> {
        Some(Stopped::Interrupted)
    }
}

#[test]
fn who_is_interrupted_gives_what_there_is() {
    let items: Vec<u64> = (0..24).map(|i| 1_000_003 + 2 * i * i).collect();
    let task = partition(&items);
    if let Answer::Undecided { best, why, .. } = path(&task, &ByBytes, &Budget::default(), &Impatient) {
        assert_eq!(why, Stopped::Interrupted);
        carry_out_a_part(&task, &best, &mut Dice::new(1), Slots::Ignored).expect("a sane part");
    }
}

// ---------------------------------------------------------------------------------------------------------------------------------

/// The route, which costs at most a tenth more than the least where the truth is at hand, looked at from all sides.
fn route(task: &Task) -> Route {
    assert_eq!(task.flaw(), None);
    let answer = path(task, &ByBytes, &Budget::default(), &Alone);
    let Answer::Route(route) = answer else { panic!("no route: {answer:#?}") };
    check_route(task, &route).expect("the checker accepts the route");
    timetable_holds(task, &route, &ByBytes).unwrap_or_else(|fault| panic!("{fault}\n{route:#?}"));
    for seed in 0..20 {
        for slots in [Slots::Kept, Slots::Ignored] {
            carry_out(task, &route, &mut Dice::new(seed), slots).unwrap_or_else(|fault| panic!("{fault}\n{route:#?}"));
        }
    }
    if is_small(task) {
        let optimum = truth(task, &ByBytes).optimum.expect("a route that there is");
        assert!(route.cost <= optimum + optimum / 10, "cost {}, the least is {optimum}\n{route:#?}", route.cost);
    }
    route
}

/// The proof that there is no route, accepted by the checker.
fn impossible(task: &Task) -> Certificate {
    assert_eq!(task.flaw(), None);
    let answer = path(task, &ByBytes, &Budget::default(), &Alone);
    let Answer::Impossible { certificate } = answer else { panic!("not impossible: {answer:#?}") };
    check_certificate(task, &certificate).expect("the checker accepts the certificate");
    if is_small(task) {
        assert_eq!(truth(task, &ByBytes).optimum, None);
    }
    certificate
}

fn is_small(task: &Task) -> bool {
    (task.hosts.len() as f64).powi(task.vms.len() as i32) < 1e6
}
