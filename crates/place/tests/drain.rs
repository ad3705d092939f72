//! Hosts that are emptied over several rounds, because what arrives has room only when those before it are merged.

mod common;

use common::*;
use proptest::prelude::*;
use ulm_place::*;
use ulm_rules::HostSet;

/// Hosts of 20 that cost 1000 if they carry VMs, and VMs as host, own size and class; moving one costs 10. Classes weigh 3.
fn classes(hosts: usize, vms: &[(u32, i64, u32)], points: Points) -> Problem {
    let host = PlaceHost { capacity: vec![20], base: vec![0], takes: true, busy: false };
    let vm =
        |(at, own, _): &(u32, i64, u32)| PlaceVm { at: *at, size: vec![own + 3], move_cost: 10, ..PlaceVm::default() };
    Problem {
        resources: 1,
        hosts: vec![host; hosts],
        vms: vms.iter().map(vm).collect(),
        sets: vec![HostSet::all(hosts)],
        awake: vec![1000; hosts],
        sharing: Some(Sharing {
            resources: vec![0],
            merges: vec![true; hosts],
            classes: vec![Pages { weight: 3, points }; 3],
            of: vms.iter().map(|(.., class)| vec![*class]).collect(),
        }),
        ..Problem::default()
    }
}

/// So many siblings of 4 on the first host, which share 3, and so many on the second one.
fn siblings(first: usize, second: usize) -> Problem {
    let vms: Vec<(u32, i64, u32)> = (0..first + second).map(|i| (u32::from(i >= first), 1, 0)).collect();
    classes(2, &vms, 0)
}

const EFFORT: Effort = Effort { evaluations: 100_000, moves: u32::MAX };

fn asked(problem: &Problem) -> Option<Drain> {
    drain(problem, &search(problem, &EFFORT), &EFFORT)
}

/// The question of the next round: who was moved rests, and is merged.
fn next(problem: &Problem, moves: &[PlaceMove]) -> Problem {
    let mut next = problem.clone();
    next.vms.iter_mut().for_each(|vm| vm.stays = false);
    for one in moves {
        let vm = &mut next.vms[one.vm as usize];
        (vm.at, vm.stays) = (one.to, true);
    }
    next
}

#[test]
fn a_host_is_emptied_over_as_many_rounds_as_it_takes() {
    // Ten siblings take 13: one more of 4 has room, and the next one when it is merged.
    let problem = siblings(10, 3);
    assert!(search(&problem, &EFFORT).packages.is_empty());
    let drain = asked(&problem).unwrap();
    assert_eq!((drain.host, drain.gain), (1, 970));
    assert_eq!(drain.rounds.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
    let rest = asked(&next(&problem, &drain.rounds[0])).unwrap();
    assert_eq!((rest.rounds.len(), rest.gain), (2, 980), "what was done is no cost any more");
}

#[test]
fn nothing_is_begun_that_would_not_come_to_its_end() {
    // Merged all would take 20 of 20, but the last one finds 3 where it needs 4 to arrive.
    let problem = siblings(15, 2);
    assert_eq!(cost(&problem, &[0; 17]).awake, 1000);
    assert_eq!(asked(&problem), None);
    // More rounds than anybody believes in.
    assert!(asked(&siblings(10, 4)).is_some());
    assert_eq!(asked(&siblings(10, 5)), None);
}

#[test]
fn nothing_is_begun_that_does_not_pay() {
    let mut problem = siblings(10, 3);
    problem.vms.iter_mut().for_each(|vm| vm.move_cost = 400);
    assert_eq!(asked(&problem), None);
}

#[test]
fn what_one_round_does_is_left_to_the_search() {
    let problem = siblings(10, 1);
    assert_eq!(search(&problem, &EFFORT).packages.len(), 1);
    assert_eq!(asked(&problem), None);
    let mut unshared = siblings(10, 3);
    unshared.sharing = None;
    assert_eq!(asked(&unshared), None);
}

#[test]
fn a_host_with_a_vm_that_stays_is_not_begun() {
    let mut problem = siblings(10, 3);
    problem.vms[11].stays = true;
    // The other one could be emptied only by moving ten.
    assert_eq!(asked(&problem), None);
}

fn clusters() -> impl Strategy<Value = Problem> {
    let vm = (0u32..3, 1i64..3, 0u32..2);
    (proptest::collection::vec(vm, 14..26), 0i64..3)
        .prop_map(|(vms, points)| classes(3, &vms, points))
        .prop_filter("nobody has too little", |it| (0..3).all(|host| !Placement::new(it).is_overfull(host)))
}

fn awake(problem: &Problem) -> Points {
    cost(problem, &home(problem)).awake
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn each_round_is_sound_and_at_the_end_the_host_is_empty(problem in clusters()) {
        let Some(drain) = asked(&problem) else { return Ok(()) };
        let (mut now, mut moved) = (problem.clone(), std::collections::BTreeSet::new());
        for round in &drain.rounds {
            let mut at = home(&now);
            for one in round {
                prop_assert!(moved.insert(one.vm), "{} moves twice", one.vm);
                at[one.vm as usize] = one.to;
            }
            prop_assert_eq!(unsound(&now, &at), None);
            now = next(&now, round);
        }
        prop_assert!(now.vms.iter().all(|vm| vm.at != drain.host));
        prop_assert_eq!(cost(&problem, &home(&problem)).total() - cost(&problem, &home(&now)).total(), drain.gain);
        prop_assert!(drain.gain > 0);
    }

    #[test]
    fn who_goes_on_has_fewer_hosts_after_as_many_rounds(problem in clusters()) {
        let Some(begun) = asked(&problem) else { return Ok(()) };
        let mut now = problem.clone();
        for round in 0..begun.rounds.len() {
            let found = search(&now, &EFFORT);
            let moves = match drain(&now, &found, &EFFORT) {
                Some(it) => it.rounds[0].clone(),
                None => found.packages.into_iter().flat_map(|it| it.moves).collect(),
            };
            prop_assert!(!moves.is_empty(), "stuck in round {} of {:?}", round, begun);
            now = next(&now, &moves);
            if awake(&now) < awake(&problem) {
                return Ok(());
            }
        }
        prop_assert!(false, "{:?} has led to no fewer hosts", begun);
    }
}
