//! How far the search is from the best placement there is, on questions small enough to look at every placement.

mod common;

use common::*;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use ulm_place::dice::Dice;
use ulm_place::*;
use ulm_rules::HostSet;

/// Questions of each mix.
const QUESTIONS: usize = 1500;
/// What the search may leave of what could be gained, on average, in thousandths, for each mix.
const MOST_LEFT: [i64; 8] = [15, 45, 30, 55, 60, 60, 15, 45];

#[test]
fn the_search_finds_most_of_what_can_be_gained() {
    println!("{:<8} {:>9} {:>9} {:>16} {:>10}", "mix", "questions", "optimal", "left on average", "at worst");
    for (mix, most_left) in MIXES.into_iter().zip(MOST_LEFT) {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let strategy = problem(mix, 4, 6, 1);
        let (mut optimal, mut questions, mut left, mut worst, mut unsettled) = (0, 0, 0, 0, 0);
        while questions < QUESTIONS {
            let problem = strategy.new_tree(&mut runner).unwrap().current();
            let found = search(&problem, &PLENTY);
            let best = best(&problem);
            assert!(best <= found.after, "{best} {found:?} {problem:?}");
            unsettled += usize::from(!found.settled);
            let gain = found.before - best;
            if gain == 0 {
                assert!(found.packages.is_empty());
                continue;
            }
            let part = (found.after - best) * 1000 / gain;
            optimal += usize::from(found.after == best);
            questions += 1;
            left += part;
            worst = worst.max(part);
        }
        let mean = left / questions as i64;
        let percent = optimal * 100 / questions;
        println!("{:<8} {questions:>9} {percent:>7} % {mean:>11} ‰ {worst:>8} ‰", format!("{mix:?}"));
        // Where moves hang together so that no way of joining them into packages is sound they are dropped, and the search says so.
        assert!(unsettled <= 2, "{mix:?}: {unsettled} not settled");
        assert!(mean <= most_left, "{mix:?}: {mean} ‰ left on average");
    }
}

/// What the cheapest sound placement costs.
fn best(problem: &Problem) -> Points {
    let hosts = problem.hosts.len() as u32;
    let mut at = vec![0; problem.vms.len()];
    let mut best = Points::MAX;
    loop {
        let total = cost(problem, &at).total();
        if total < best && unsound(problem, &at).is_none() {
            best = total;
        }
        let Some(next) = at.iter().position(|host| host + 1 < hosts) else { return best };
        at[next] += 1;
        at[..next].fill(0);
    }
}

/// Questions of room within a limit on moves.
const OF_ROOM: u64 = 400;
/// What the search may leave of the rooms that can be made within the limit, on average, in thousandths.
const MOST_ROOM_LEFT: i64 = 5;

#[test]
fn as_much_room_is_made_as_the_limit_on_moves_allows() {
    let (mut questions, mut left, mut optimal) = (0, 0, 0);
    for seed in 0..OF_ROOM {
        let (problem, moves) = of_flavours(&mut Dice(seed));
        let found = search(&problem, &Effort { moves, ..PLENTY });
        let at = follow(&problem, &found, u32::MAX);
        assert!(moved(&problem, &at) <= moves, "{problem:?}");
        let best = best_within(&problem, moves);
        let gain = found.before - best;
        assert!(best <= found.after);
        if gain > 0 {
            questions += 1;
            left += (found.after - best) * 1000 / gain;
            optimal += i64::from(found.after == best);
        }
    }
    println!(
        "room within a limit: {questions} questions, {} % optimal, {} ‰ left",
        optimal * 100 / questions,
        left / questions
    );
    assert!(questions > 100 && left / questions <= MOST_ROOM_LEFT, "{} ‰ left on average", left / questions);
}

/// Machines of two cells, VMs of few flavours, some on both cells of a machine, and a limit on moves.
fn of_flavours(dice: &mut Dice) -> (Problem, u32) {
    let machines = 2 + dice.below(2) as usize;
    let hosts = machines * 2;
    let mut problem = Problem { resources: 2, sets: vec![HostSet::all(hosts)], ..Problem::default() };
    let capacity = vec![8 + dice.below(4), 12 + dice.below(12)];
    problem.hosts = vec![PlaceHost { capacity, base: vec![0; 2], takes: true, busy: false }; hosts];
    let mut free = vec![problem.hosts[0].capacity.clone(); hosts];
    let most = if machines == 2 { 9 } else { 7 };
    while problem.vms.len() < most {
        let whole = dice.below(4) == 0 && problem.vms.len() + 1 < most;
        let cpu = [1, 2, 2, 3, 4][dice.below(5) as usize];
        let at = dice.below(hosts as i64) as usize / if whole { 2 } else { 1 } * if whole { 2 } else { 1 };
        let on: Vec<usize> = (at..=at + usize::from(whole)).collect();
        let size = [cpu, cpu + i64::from(dice.below(4) == 0)];
        let fits = on.iter().all(|host| (0..2).all(|r| size[r] <= free[*host][r]));
        if !fits && dice.below(8) > 0 {
            continue;
        }
        if !fits {
            break;
        }
        let vms: Vec<u32> = (0..on.len()).map(|i| (problem.vms.len() + i) as u32).collect();
        for host in on {
            (0..2).for_each(|r| free[host][r] -= size[r]);
            problem.vms.push(PlaceVm { at: host as u32, size: size.to_vec(), ..PlaceVm::default() });
        }
        if whole {
            let relation = |domains, kind| Relation { vms: vms.clone(), domains, kind, points: None };
            problem.relations.push(relation((0..hosts as u32).map(|host| host / 2).collect(), RelationKind::Near));
            problem.relations.push(relation((0..hosts as u32).collect(), RelationKind::AtMost(1)));
            problem.wholes.push(vms);
        }
    }
    let shape = vec![4 + dice.below(3), dice.below(2) * 4];
    problem.rooms = vec![WantedRoom { shape, parts: Vec::new(), allowed: 0, count: 20, points: 1000 }];
    assert_eq!(problem.flaw(), None);
    (problem, 1 + dice.below(4) as u32)
}

/// VMs that are elsewhere; parts of one count once.
fn moved(problem: &Problem, at: &[u32]) -> u32 {
    let away = |vm: &u32| at[*vm as usize] != problem.vms[*vm as usize].at;
    let in_parts: Vec<u32> = problem.wholes.concat();
    let singles = (0..at.len() as u32).filter(|vm| !in_parts.contains(vm) && away(vm)).count();
    (singles + problem.wholes.iter().filter(|parts| parts.iter().any(away)).count()) as u32
}

/// What the cheapest sound placement costs that takes no more moves.
fn best_within(problem: &Problem, moves: u32) -> Points {
    let mut at = home(problem);
    let mut best = Points::MAX;
    place(problem, moves, 0, &mut at, &mut best);
    best
}

fn place(problem: &Problem, moves: u32, vm: usize, at: &mut Vec<u32>, best: &mut Points) {
    if moved(problem, at) > moves {
        return;
    }
    if vm == at.len() {
        let total = cost(problem, at).total();
        if total < *best && unsound(problem, at).is_none() {
            *best = total;
        }
        return;
    }
    for host in 0..problem.hosts.len() as u32 {
        at[vm] = host;
        place(problem, moves, vm + 1, at, best);
    }
    at[vm] = problem.vms[vm].at;
}
