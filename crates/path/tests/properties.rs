//! What holds for all tasks.

mod common;

use std::collections::BTreeMap;

use common::*;
use ulm_model::*;
use ulm_path::{Alone, Budget, ByBytes, Progress, Watch, path};

#[test]
fn a_route_never_costs_less_than_the_bound() {
    for seed in 0..1000 {
        let task = mixed(seed);
        if let Answer::Route(route) = answer(&task) {
            let direct: u64 = task.vms.iter().filter(|vm| vm.from != vm.to).map(|vm| vm.copy.bytes.max(1)).sum();
            assert!(direct <= route.cost_bound, "every misplaced VM moves once at least; {}", tell(seed, &task));
            assert!(route.cost_bound <= route.cost, "{} < {}; {}", route.cost, route.cost_bound, tell(seed, &task));
        }
    }
}

#[test]
fn the_way_back_has_the_same_answer() {
    for seed in 0..1500 {
        let task = plain_task(seed);
        let mut back = task.clone();
        back.vms.iter_mut().for_each(|vm| std::mem::swap(&mut vm.from, &mut vm.to));
        assert_eq!(verdict(&task), verdict(&back), "{}", tell(seed, &task));
    }
}

#[test]
fn names_and_order_do_not_matter() {
    for seed in 0..1500 {
        let task = mixed(seed);
        let other = permuted(&task, &mut Dice::new(seed));
        assert_eq!(other.flaw(), None);
        let (one, two) = (answer(&task), answer(&other));
        assert_eq!(kind(&one), kind(&two), "{}", tell(seed, &task));
        if let (Answer::Route(one), Answer::Route(two)) = (&one, &two) {
            let least = one.cost_bound.max(two.cost_bound);
            assert!(least <= one.cost && least <= two.cost, "{one:?}\n{two:?}\n{}", tell(seed, &task));
        }
    }
}

#[test]
fn more_room_never_takes_a_route_away() {
    let mut had = 0;
    for seed in 0..2000 {
        let task = mixed(seed);
        if verdict(&task) != "route" {
            continue;
        }
        had += 1;
        let (mut more, mut dice) = (task.clone(), Dice::new(seed));
        for host in &mut more.hosts {
            for has in &mut host.capacity {
                *has += dice.between(0, 6);
            }
        }
        assert_eq!(verdict(&more), "route", "with more room: {:?}; {}", more.hosts, tell(seed, &task));
    }
    assert!(had > 500, "only {had} tasks had a route");
}

#[test]
fn what_is_frozen_is_impossible_in_truth() {
    let mut frozen = 0;
    for seed in 50_000..52_000 {
        let task = if seed % 2 == 0 { task(seed) } else { tight_task(seed) };
        if let Answer::Impossible { certificate: Certificate::Frozen { vms, from } } = answer(&task) {
            frozen += 1;
            assert_eq!(truth(&task, &ByBytes).optimum, None, "{vms:?} seen from {from:?}; {}", tell(seed, &task));
        }
    }
    assert!(frozen > 100, "only {frozen} tasks were frozen");
}

#[test]
fn the_same_question_gets_the_same_answer() {
    for seed in 0..300 {
        let task = if seed % 10 == 0 { large_task(seed) } else { mixed(seed) };
        let (one, two) = (answer(&task), answer(&task));
        assert_eq!(one, two, "{}", tell(seed, &task));
        let watched = path(&task, &ByBytes, &Budget::default(), &Onlooker);
        assert_eq!(one, watched, "watching changes the answer; {}", tell(seed, &task));
    }
}

struct Onlooker;

impl Watch for Onlooker {
    fn look(&self, _: Progress) -> Option<Stopped> {
        None
    }
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Two classes of tasks of which the truth is known at any size.

/// VMs of one size, hosts with so many places: as many moves as VMs to be moved, and one more for each part of the hosts that is
/// connected by pending moves and has no free place.
#[test]
fn vms_of_one_size_take_exactly_as_many_moves_as_it_needs() {
    for seed in 0..600 {
        let mut dice = Dice::new(seed);
        let hosts = 2 + dice.below(if seed % 3 == 0 { 40 } else { 8 });
        let places: Vec<usize> = (0..hosts).map(|_| dice.between(1, 5) as usize).collect();
        let slots: Vec<u32> = (0..hosts).flat_map(|host| vec![host as u32; places[host]]).collect();
        let free = *dice.pick(&[0, 1, 1, 1, 2, 3, slots.len() / 5]);
        let vms = slots.len().saturating_sub(free);
        if vms == 0 {
            continue;
        }
        let from: Vec<u32> = dice.order(slots.len()).into_iter().map(|slot| slots[slot]).collect();
        let mut to = from.clone();
        match dice.below(3) {
            0 => dice.shuffle(&mut to),
            1 => to[..vms].rotate_left(1),
            _ => (0..dice.below(6)).for_each(|_| to.swap(dice.below(vms), dice.below(vms))),
        }
        let size = [dice.between(1, 9), dice.between(1, 9)];
        let mut task = plain(&vec![0; hosts], &vec![(1, 0, 0); vms]);
        task.resources.push(TaskResource { name: "cpu".into(), holds: Holds::Always });
        for (host, places) in task.hosts.iter_mut().zip(&places) {
            host.capacity = size.iter().map(|size| size * *places as u64 + dice.between(0, size - 1)).collect();
        }
        for (i, vm) in task.vms.iter_mut().enumerate() {
            (vm.from, vm.to, vm.size, vm.copy.bytes) = (from[i], to[i], size.to_vec(), 1);
        }
        let misplaced = task.vms.iter().filter(|vm| vm.from != vm.to).count();
        let answer = answer(&task);
        match &answer {
            Answer::Route(route) => {
                let expected = misplaced + closed_parts(&task, &places);
                assert_eq!(route.moves(), expected, "{misplaced} misplaced; {}", tell(seed, &task));
                assert_eq!(route.cost, expected as u64);
            }
            Answer::Impossible { .. } => assert!(misplaced > 0 && vms == slots.len(), "{}", tell(seed, &task)),
            Answer::Undecided { .. } => panic!("undecided; {}", tell(seed, &task)),
        }
        assert_eq!(kind(&answer) == "impossible", misplaced > 0 && vms == slots.len(), "{}", tell(seed, &task));
    }
}

/// Parts of the hosts that pending moves connect, of which all are full.
fn closed_parts(task: &Task, places: &[usize]) -> usize {
    let mut part: Vec<usize> = (0..task.hosts.len()).collect();
    for vm in task.vms.iter().filter(|vm| vm.from != vm.to) {
        let (one, other) = (part[vm.from as usize], part[vm.to as usize]);
        part.iter_mut().filter(|part| **part == one).for_each(|part| *part = other);
    }
    let full = |host: usize| task.vms.iter().filter(|vm| vm.from as usize == host).count() == places[host];
    let concerned = |host: usize| task.vms.iter().any(|vm| vm.from != vm.to && vm.from as usize == host);
    (0..task.hosts.len())
        .filter(|one| {
            let mut members = (0..task.hosts.len()).filter(|host| part[*host] == *one);
            members.clone().any(concerned) && members.all(full)
        })
        .count()
}

/// Sizes of which each divides the next, on hosts that are multiples of the largest: there is a route unless a VM that is to be
/// moved is larger than all free room together.
#[test]
fn flavours_have_a_route_unless_a_vm_is_larger_than_all_free_room() {
    let mut verdicts: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..600 {
        let mut dice = Dice::new(seed ^ 0x666c_6176);
        let hosts = 2 + dice.below(5);
        let mut task = plain(&vec![0; hosts], &[]);
        let mut room: Vec<u64> = (0..hosts).map(|_| 32 * dice.between(1, 3)).collect();
        task.hosts.iter_mut().zip(&room).for_each(|(host, room)| host.capacity[0] = *room);
        let free = 4 * dice.between(0, 14);
        let mut left: u64 = room.iter().sum();
        let flavours = *dice.pick(&[&[4, 8, 16, 32][..], &[8, 16, 32], &[16, 32], &[8, 32], &[4, 4, 8, 16, 32]]);
        // Large ones first, so that they find room.
        let mut sizes: Vec<u64> = (0..26).map(|_| *dice.pick(flavours)).collect();
        sizes.sort_unstable_by_key(|size| u64::MAX - size);
        let mut places = vec![];
        for size in sizes {
            let fitting: Vec<usize> = (0..hosts).filter(|host| room[*host] >= size).collect();
            if left >= free + size && !fitting.is_empty() {
                let host = *dice.pick(&fitting);
                (room[host], left) = (room[host] - size, left - size);
                places.push((size, host as u32));
            }
        }
        let mut room: Vec<u64> = task.hosts.iter().map(|host| host.capacity[0]).collect();
        let mut fits = true;
        for (i, (size, from)) in places.iter().enumerate() {
            let fitting: Vec<usize> = (0..hosts).filter(|host| room[*host] >= *size).collect();
            fits &= !fitting.is_empty();
            if !fits {
                break;
            }
            let to = *dice.pick(&fitting);
            room[to] -= size;
            task.vms.push(vm(&format!("v{i}"), &[*size], *from, to as u32));
        }
        if !fits {
            continue;
        }
        let most = task.vms.iter().filter(|vm| vm.from != vm.to).map(|vm| vm.size[0]).max().unwrap_or(0);
        let expected = if most > left { "impossible" } else { "route" };
        *verdicts.entry(expected).or_default() += 1;
        assert_eq!(verdict(&task), expected, "{left} free, the largest to be moved is {most}; {}", tell(seed, &task));
    }
    assert!(verdicts.values().all(|count| *count > 50), "{verdicts:?}");
}

// ---------------------------------------------------------------------------------------------------------------------------------
// Carrying out.

#[test]
fn a_route_can_be_carried_out_whatever_lasts_long_or_fails() {
    for seed in 0..1500 {
        let task = mixed(seed);
        if let Answer::Route(route) = answer(&task) {
            carries_out(seed, &task, &route);
        }
    }
}

#[test]
fn large_routes_can_be_carried_out_whatever_lasts_long_or_fails() {
    let mut verdicts: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..150 {
        let task = large_task(seed);
        let answer = answer(&task);
        *verdicts.entry(kind(&answer)).or_default() += 1;
        match &answer {
            Answer::Route(route) => carries_out(seed, &task, route),
            Answer::Undecided { best, left, .. } => {
                let world = carry_out_a_part(&task, best, &mut Dice::new(seed), Slots::Ignored);
                let world = world.unwrap_or_else(|fault| panic!("{fault}; {}", tell(seed, &task)));
                assert_eq!(world.at, best.placement(&task));
                check_part(&task, best).unwrap_or_else(|fault| panic!("{fault}; {}", tell(seed, &task)));
                let away = |vm: &u32| world.at[*vm as usize] != task.vms[*vm as usize].to;
                assert_eq!(*left, (0..task.vms.len() as u32).filter(away).collect::<Vec<_>>());
            }
            Answer::Impossible { certificate } => {
                let verdict = check_certificate(&task, certificate);
                verdict.unwrap_or_else(|fault| panic!("{fault} in {certificate:?}; {}", tell(seed, &task)));
            }
        }
    }
    println!("large tasks: {verdicts:?}");
}

fn carries_out(seed: u64, task: &Task, route: &Route) {
    check_route(task, route).unwrap_or_else(|fault| panic!("{fault}\n{route:#?}\n{}", tell(seed, task)));
    timetable_holds(task, route, &ByBytes).unwrap_or_else(|fault| panic!("{fault}\n{route:#?}\n{}", tell(seed, task)));
    for luck in 0..6 {
        let slots = if luck % 2 == 0 { Slots::Kept } else { Slots::Ignored };
        let outcome = carry_out(task, route, &mut Dice::new(seed * 6 + luck), slots);
        outcome.unwrap_or_else(|fault| panic!("{fault} (slots {slots:?})\n{route:#?}\n{}", tell(seed, task)));
    }
}

// ---------------------------------------------------------------------------------------------------------------------------------

/// Other tasks than those in `oracle.rs`.
fn mixed(seed: u64) -> Task {
    task(1_000_000 + seed)
}

fn answer(task: &Task) -> Answer {
    path(task, &ByBytes, &Budget::default(), &Alone)
}

fn kind(answer: &Answer) -> &'static str {
    match answer {
        Answer::Route(_) => "route",
        Answer::Impossible { .. } => "impossible",
        Answer::Undecided { .. } => "undecided",
    }
}

fn verdict(task: &Task) -> &'static str {
    kind(&answer(task))
}

fn tell(seed: u64, task: &Task) -> String {
    format!("seed {seed}:\n{}", as_code(task))
}

/// The same task with hosts, VMs, resources and rules in another order and with other names.
fn permuted(task: &Task, dice: &mut Dice) -> Task {
    let (hosts, vms) = (dice.order(task.hosts.len()), dice.order(task.vms.len()));
    let resources = dice.order(task.resources.len());
    let place =
        |order: &[usize], old: u32| order.iter().position(|one| *one == old as usize).expect("it is there") as u32;
    let (host, vm) = (|old: u32| place(&hosts, old), |old: u32| place(&vms, old));
    let sizes = |old: &[u64]| resources.iter().map(|r| old[*r]).collect::<Vec<_>>();
    let (all_hosts, all_vms) = (
        |old: &[u32]| old.iter().map(|one| host(*one)).collect(),
        |old: &[u32]| old.iter().map(|one| vm(*one)).collect(),
    );
    let rule = |rule: &TaskRule| {
        let kind = match &rule.kind {
            TaskRuleKind::AtMost { vms, domains, limit } => TaskRuleKind::AtMost {
                vms: all_vms(vms),
                domains: domains.iter().rev().map(|domain| all_hosts(domain)).collect(),
                limit: *limit,
            },
            TaskRuleKind::Together { vms } => TaskRuleKind::Together { vms: all_vms(vms) },
            TaskRuleKind::Only { vms, hosts } => TaskRuleKind::Only { vms: all_vms(vms), hosts: all_hosts(hosts) },
            TaskRuleKind::Never { vms, hosts } => TaskRuleKind::Never { vms: all_vms(vms), hosts: all_hosts(hosts) },
            TaskRuleKind::OneWay { vms, rank } => {
                let rank = hosts.iter().map(|old| rank[*old] * 3 + 1).collect();
                TaskRuleKind::OneWay { vms: all_vms(vms), rank }
            }
        };
        TaskRule { name: format!("other-{}", rule.name), kind, ..rule.clone() }
    };
    Task {
        resources: resources.iter().map(|r| task.resources[*r].clone()).collect(),
        hosts: hosts
            .iter()
            .map(|old| TaskHost {
                name: format!("other-{old}"),
                capacity: sizes(&task.hosts[*old].capacity),
                ..task.hosts[*old].clone()
            })
            .collect(),
        vms: vms
            .iter()
            .map(|old| TaskVm {
                name: format!("other-{old}"),
                from: host(task.vms[*old].from),
                to: host(task.vms[*old].to),
                size: sizes(&task.vms[*old].size),
                ..task.vms[*old].clone()
            })
            .collect(),
        rules: task.rules.iter().rev().map(rule).collect(),
        links: task.links.iter().map(|link| TaskLink { inside: all_hosts(&link.inside), ..link.clone() }).collect(),
    }
}
