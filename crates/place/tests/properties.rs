//! What the search promises, on random questions.

mod common;

use common::*;
use proptest::prelude::*;
use ulm_model::HostIx;
use ulm_place::*;
use ulm_rules::HostSet;

/// Sizes so large that sums leave 64 bits.
const HUGE: i64 = 1 << 57;

fn any_problem(hosts: usize, vms: usize) -> impl Strategy<Value = Problem> {
    (proptest::sample::select(MIXES.to_vec()), proptest::sample::select(vec![1, 1 << 30, HUGE]))
        .prop_flat_map(move |(mix, unit)| problem(mix, hosts, vms, unit))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn the_cost_is_kept_up_to_date(problem in any_problem(6, 12), steps in prop::collection::vec((any::<u32>(), any::<u32>(), 0..4u32), 1..40)) {
        let mut state = Placement::new(&problem);
        let (hosts, vms) = (problem.hosts.len() as u32, problem.vms.len() as u32);
        for (a, b, what) in steps {
            let now = cost(&problem, state.all()).total();
            let mark = state.mark();
            let vm = a % vms;
            if what == 0 {
                let other = b % vms;
                let (from, to) = (state.at(vm), state.at(other));
                let mut at = state.all().to_vec();
                at.swap(vm as usize, other as usize);
                let sound = from != to && unsound(&problem, &at).is_none();
                let delta = state.swap_delta(vm, other);
                prop_assert_eq!(delta.is_some(), sound, "{} {} {:?}", vm, other, &problem);
                state.shift(vm, to);
                state.shift(other, from);
                let then = cost(&problem, state.all()).total();
                prop_assert_eq!(state.total(), i128::from(then));
                if let Some(delta) = delta {
                    prop_assert_eq!(delta, i128::from(then - now));
                } else {
                    state.undo(mark);
                    prop_assert_eq!(state.total(), i128::from(now));
                }
            } else {
                let to = b % hosts;
                let from = state.at(vm);
                let mut at = state.all().to_vec();
                at[vm as usize] = to;
                let delta = state.shift_delta(vm, to);
                let home = if to == problem.vms[vm as usize].at { state.home_bound(vm) } else { 0 };
                let bound = state.leave_bound(vm) + home + state.sleep_gain(vm);
                prop_assert_eq!(delta.is_some(), from != to && unsound(&problem, &at).is_none());
                state.shift(vm, to);
                prop_assert_eq!(state.total(), i128::from(cost(&problem, &at).total()));
                if let Some(delta) = delta {
                    prop_assert_eq!(delta, state.total() - i128::from(now));
                    prop_assert!(-delta <= bound, "{} brings at most {}", delta, bound);
                    prop_assert!(state.is_sound_at(vm));
                } else {
                    state.undo(mark);
                    prop_assert_eq!(state.at(vm), from);
                }
            }
            prop_assert_eq!(unsound(&problem, state.all()), None);
        }
        state.undo(0);
        prop_assert_eq!(state.all(), &home(&problem)[..]);
    }

    #[test]
    fn every_package_is_sound_and_brings_what_it_says(problem in any_problem(6, 14), moves in 0..8u32, evaluations in 0..3000u64) {
        for effort in [PLENTY, Effort { moves, ..PLENTY }, Effort { evaluations, ..PLENTY }] {
            let found = search(&problem, &effort);
            follow(&problem, &found, effort.moves);
            prop_assert_eq!(&found, &search(&problem, &effort));
        }
    }

    #[test]
    fn what_is_settled_has_no_better_move_and_no_better_exchange(problem in any_problem(5, 10)) {
        let found = search(&problem, &PLENTY);
        let at = follow(&problem, &found, u32::MAX);
        if !found.settled {
            return Ok(());
        }
        let better = |at: &[u32]| unsound(&problem, at).is_none() && cost(&problem, at).total() < found.after;
        for vm in 0..at.len() {
            for host in 0..problem.hosts.len() as u32 {
                let mut other = at.clone();
                other[vm] = host;
                prop_assert!(!better(&other), "VM {} to {}", vm, host);
            }
            for with in 0..vm {
                let mut other = at.clone();
                other.swap(vm, with);
                prop_assert!(!better(&other), "VMs {} and {}", vm, with);
            }
        }
    }

    #[test]
    fn numbers_of_hosts_and_vms_do_not_matter(
        (problem, sizes, costs) in any_problem(5, 8).prop_flat_map(|problem| {
            let vms = problem.vms.len();
            let sizes = prop::collection::vec((1_000_003i64..9_999_991, 1_000_003i64..9_999_991), vms);
            (Just(problem), sizes, prop::collection::vec(1_003i64..99_991, vms))
        }),
        hosts in Just((0..5u32).collect::<Vec<_>>()).prop_shuffle(),
        vms in Just((0..8u32).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let problem = distinct(problem, &sizes, &costs);
        let hosts: Vec<u32> = hosts.into_iter().filter(|i| (*i as usize) < problem.hosts.len()).collect();
        let vms: Vec<u32> = vms.into_iter().filter(|i| (*i as usize) < problem.vms.len()).collect();
        let (one, other) = (search(&problem, &PLENTY), search(&renumbered(&problem, &hosts, &vms), &PLENTY));
        prop_assert_eq!((one.before, one.after), (other.before, other.after));
        let gains = |found: &Found| found.packages.iter().map(|it| (it.gain, it.moves.len())).collect::<Vec<_>>();
        prop_assert_eq!(gains(&one), gains(&other));
    }
}

/// The question with sizes and costs that differ from one another.
fn distinct(mut problem: Problem, sizes: &[(i64, i64)], costs: &[i64]) -> Problem {
    problem.resources = RESOURCES;
    problem.transient.truncate(RESOURCES);
    for (i, host) in problem.hosts.iter_mut().enumerate() {
        host.capacity = vec![256_000_000 + 1_234_567 * i as i64, 272_000_000 + 1_345_679 * i as i64];
        host.base = vec![0, 7_919 * i as i64];
    }
    for (i, ((vm, (a, b)), cost)) in problem.vms.iter_mut().zip(sizes).zip(costs).enumerate() {
        let own = i as i64;
        (vm.size, vm.move_cost) = (vec![a * 16 + own, b * 16 + own], cost * 16 + own);
        vm.stay_cost *= 16_000;
        vm.loosely.clear();
    }
    for (k, curve) in problem.curves.iter_mut().enumerate() {
        curve.whole = problem.hosts.iter().map(|host| host.capacity[curve.resource]).collect();
        curve.weight = curve.weight * 100_000 + k as i64;
        curve.floor /= 2;
    }
    for (i, awake) in problem.awake.iter_mut().enumerate() {
        *awake = *awake * 1_000 + 17 * i as i64;
    }
    problem.tables.clear();
    problem.rooms.clear();
    problem.relations.retain(|it| matches!(it.kind, RelationKind::AtMost(_)));
    problem.dependencies.clear();
    problem.excesses.clear();
    problem.disruption = None;
    for (k, class) in problem.sharing.iter_mut().flat_map(|sharing| &mut sharing.classes).enumerate() {
        *class = Pages { weight: 1_000_003 + 99_991 * k as i64, points: 10_007 + 997 * k as i64 };
    }
    problem
}

/// Host `hosts[i]` becomes host `i`, and the same with VMs.
fn renumbered(problem: &Problem, hosts: &[u32], vms: &[u32]) -> Problem {
    let new_host = |old: u32| hosts.iter().position(|it| *it == old).unwrap() as u32;
    let set = |set: &HostSet| HostSet::of(hosts.len(), |new| set.contains(HostIx(hosts[new.at()])));
    let mut other = problem.clone();
    other.hosts = hosts.iter().map(|old| problem.hosts[*old as usize].clone()).collect();
    other.vms = vms.iter().map(|old| problem.vms[*old as usize].clone()).collect();
    for vm in &mut other.vms {
        vm.at = new_host(vm.at);
    }
    other.sets = problem.sets.iter().map(set).collect();
    for relation in &mut other.relations {
        let of = relation.vms.clone();
        relation.vms = (0..vms.len() as u32).filter(|new| of.contains(&vms[*new as usize])).collect();
        relation.domains = hosts.iter().map(|old| relation.domains[*old as usize]).collect();
    }
    for curve in &mut other.curves {
        curve.whole = hosts.iter().map(|old| curve.whole[*old as usize]).collect();
    }
    if let (Some(sharing), Some(old)) = (&mut other.sharing, &problem.sharing) {
        sharing.merges = hosts.iter().map(|host| old.merges[*host as usize]).collect();
        sharing.of = vms.iter().map(|vm| old.of[*vm as usize].clone()).collect();
    }
    if !other.awake.is_empty() {
        other.awake = hosts.iter().map(|old| problem.awake[*old as usize]).collect();
    }
    other
}
