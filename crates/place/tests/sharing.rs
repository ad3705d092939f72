//! What shared pages mean: where they give room, where they give none, and how VMs that share come together.

mod common;

use common::*;
use ulm_place::*;
use ulm_rules::HostSet;

/// One resource, hosts of 10, and VMs as host and size. All of them share one class of pages.
fn of_one_class(hosts: usize, vms: &[(u32, i64)], pages: Pages) -> Problem {
    let host = PlaceHost { capacity: vec![10], base: vec![0], takes: true, busy: false };
    let vm = |(at, size): &(u32, i64)| PlaceVm { at: *at, size: vec![*size], ..PlaceVm::default() };
    Problem {
        resources: 1,
        hosts: vec![host; hosts],
        vms: vms.iter().map(vm).collect(),
        sets: vec![HostSet::all(hosts)],
        sharing: Some(Sharing {
            resources: vec![0],
            merges: vec![true; hosts],
            classes: vec![pages],
            of: vec![vec![0]; vms.len()],
        }),
        ..Problem::default()
    }
}

const FOUR: Pages = Pages { weight: 4, points: 0 };

#[test]
fn a_vm_that_arrives_is_counted_in_full_whoever_shares_its_pages() {
    let mut problem = of_one_class(2, &[(0, 6), (1, 6)], FOUR);
    assert_eq!(Placement::new(&problem).shift_delta(0, 1), None, "12 unmerged, 8 merged");
    problem.vms[0].size = vec![4];
    assert_eq!(Placement::new(&problem).shift_delta(0, 1), Some(0), "10 unmerged");
}

#[test]
fn two_that_arrive_together_are_counted_in_full_too() {
    let problem = of_one_class(2, &[(0, 6), (0, 6)], FOUR);
    let mut state = Placement::new(&problem);
    state.shift(0, 1);
    assert_eq!(state.shift_delta(1, 1), None, "12 unmerged, 8 merged");
}

#[test]
fn those_that_stay_give_credit_among_each_other_and_no_more() {
    let mut problem = of_one_class(2, &[(0, 6), (0, 6), (1, 2), (1, 3)], FOUR);
    problem.sharing.as_mut().unwrap().of[2..].fill(vec![]);
    let state = Placement::new(&problem);
    assert_eq!(state.load(0), [8]);
    assert!(!state.is_overfull(0));
    assert_eq!((state.shift_delta(2, 0), state.shift_delta(3, 0)), (Some(0), None), "8 of 10 are taken");
    problem.sharing.as_mut().unwrap().merges = vec![false; 2];
    let state = Placement::new(&problem);
    assert_eq!(state.load(0), [12]);
    assert_eq!(state.shift_delta(2, 0), None);
}

#[test]
fn a_vm_that_leaves_gives_back_only_what_it_shares_with_nobody_who_stays() {
    let mut problem = of_one_class(3, &[(0, 6), (0, 6), (1, 4), (2, 5)], FOUR);
    problem.sharing.as_mut().unwrap().of[2..].fill(vec![]);
    let state = Placement::new(&problem);
    assert_eq!((state.swap_delta(0, 2), state.swap_delta(0, 3)), (Some(0), None), "6 of 10 remain taken");
    let mut state = Placement::new(&problem);
    state.shift(0, 1);
    assert_eq!((state.shift_delta(2, 0), state.shift_delta(3, 0)), (Some(0), None));
    state.shift(2, 0);
    assert_eq!(state.shift_delta(0, 0), None, "it came from here, and would need 2 more than there are");
}

#[test]
fn what_load_costs_looks_at_merged_pages() {
    let mut problem = of_one_class(3, &[(0, 4), (1, 4), (2, 4)], Pages { weight: 3, points: 0 });
    problem.vms[1].stays = true;
    problem.curves = vec![Curve { resource: 0, whole: vec![10; 3], floor: 0, power: 1, weight: 1000 }];
    assert_eq!(cost(&problem, &[0, 1, 2]).curves, 1200);
    assert_eq!(cost(&problem, &[1, 1, 2]).curves, 900);
    let found = search(&problem, &PLENTY);
    assert_eq!(follow(&problem, &found, u32::MAX)[1], 1);
    assert_eq!(found.after, 900, "no third one has room before it is merged");
}

#[test]
fn vms_that_share_go_together_where_one_alone_saves_nothing() {
    let pairs = [(0, 2), (0, 2), (1, 2), (1, 2)];
    let mut problem = of_one_class(2, &pairs, Pages { weight: 1, points: 100 });
    problem.vms.iter_mut().for_each(|vm| vm.move_cost = 10);
    let found = search(&problem, &PLENTY);
    assert_eq!((found.before, found.after), (200, 120));
    assert_eq!(found.packages.len(), 1);
}

#[test]
fn others_make_room_for_vms_that_go_together() {
    // Two families on two full hosts, three of each where the other has three.
    let vms: Vec<(u32, i64)> = (0..8).map(|i| (u32::from(i % 4 < 2), if i % 4 < 2 { 2 } else { 3 })).collect();
    let mut problem = of_one_class(2, &vms, Pages { weight: 1, points: 100 });
    let sharing = problem.sharing.as_mut().unwrap();
    sharing.classes.push(sharing.classes[0]);
    (0..8).for_each(|vm| sharing.of[vm] = vec![u32::from(vm >= 4)]);
    problem.vms.iter_mut().for_each(|vm| vm.move_cost = 10);
    let found = search(&problem, &PLENTY);
    follow(&problem, &found, u32::MAX);
    assert_eq!((found.before, found.after), (400, 240), "{found:?}");
}

#[test]
fn in_rounds_more_and_more_is_merged() {
    // Six siblings of 4 share 3: merged they take 9 of 10. But beside four, that take 7, no fifth one has room to arrive.
    let mut problem =
        of_one_class(6, &[(0, 4), (1, 4), (2, 4), (3, 4), (4, 4), (5, 4)], Pages { weight: 3, points: 0 });
    problem.awake = vec![1000; 6];
    let mut hosts = vec![6];
    for _ in 0..6 {
        let found = search(&problem, &PLENTY);
        let at = follow(&problem, &found, u32::MAX);
        problem.vms.iter_mut().zip(&at).for_each(|(vm, host)| vm.at = *host);
        let mut carrying = at;
        carrying.sort_unstable();
        carrying.dedup();
        hosts.push(carrying.len());
    }
    assert!(hosts.is_sorted_by(|a, b| a >= b) && hosts[1] == 3, "{hosts:?}");
    assert_eq!(hosts.last(), Some(&2), "{hosts:?}");
}

#[test]
fn what_cannot_be_shared_is_refused() {
    let fine = of_one_class(2, &[(0, 6), (1, 4)], FOUR);
    assert_eq!(fine.flaw(), None);
    let with = |change: &dyn Fn(&mut Problem)| {
        let mut problem = fine.clone();
        change(&mut problem);
        problem.flaw().unwrap_or_default()
    };
    let shared = |change: &dyn Fn(&mut Sharing)| with(&|problem| change(problem.sharing.as_mut().unwrap()));
    assert!(with(&|problem| problem.vms[1].size = vec![3]).contains("VM 1"));
    assert!(with(&|problem| problem.transient = vec![true]).contains("transient"));
    assert!(shared(&|sharing| sharing.resources = vec![1]).contains("known"));
    assert!(shared(&|sharing| sharing.resources = vec![0, 0]).contains("once"));
    assert!(shared(&|sharing| sharing.of[0] = vec![0, 0]).contains("ascending"));
    assert!(shared(&|sharing| sharing.of[0] = vec![1]).contains("VM 0"));
    assert!(shared(&|sharing| sharing.merges = vec![]).contains("host"));
    assert!(shared(&|sharing| sharing.classes[0].points = -1).contains("below 0"));
}
