//! What would make it possible, and relabelling.

mod common;

use common::*;
use ulm_model::*;
use ulm_path::{Alone, Budget, ByBytes, MoveCost, RepairKind, path, relabel, what_would_help};

fn is_possible(task: &Task) -> bool {
    matches!(path(task, &ByBytes, &Budget::default(), &Alone), Answer::Route(_))
}

fn kinds(task: &Task) -> Vec<RepairKind> {
    what_would_help(task, &ByBytes, &Alone).repairs.into_iter().map(|repair| repair.kind).collect()
}

#[test]
fn two_full_hosts_that_are_to_exchange_need_a_hole_of_any_kind() {
    let task = plain(&[10, 10], &[(10, 0, 1), (10, 1, 0)]);
    let help = what_would_help(&task, &ByBytes, &Alone);
    let named: Vec<RepairKind> = help.repairs.iter().map(|repair| repair.kind.clone()).collect();
    assert_eq!(named, [RepairKind::Stop { vm: 0 }, RepairKind::Stop { vm: 1 }, RepairKind::AddHost { like: 0 }]);
    let added = help.repairs.last().expect("there are three");
    assert_eq!((added.moves, added.cost), (3, 30), "there by the added host");
}

#[test]
fn the_conflict_is_what_cannot_be_left_out() {
    // Hosts 0 and 1 cannot exchange; hosts 2 and 3 have nothing to do with it.
    let task = plain(&[10, 10, 4, 4], &[(10, 0, 1), (10, 1, 0), (3, 2, 2), (1, 3, 2)]);
    let conflict = what_would_help(&task, &ByBytes, &Alone).conflict;
    // With either VM left where it is the target itself is not sound, so both moves are needed for the question; a hole of 10
    // anywhere would do.
    assert_eq!((conflict.moves, conflict.hosts, conflict.rules), (vec![0, 1], vec![0, 1, 2, 3], vec![]));
}

#[test]
fn a_wish_is_lifted_before_anything_else() {
    // The hole on host 2 would do, but a wish keeps both VMs off it.
    let mut task = plain(&[10, 10, 10], &[(10, 0, 1), (10, 1, 0)]);
    let wish = rule("not on h2", TaskRuleKind::Never { vms: vec![0, 1], hosts: vec![2] });
    task.rules.push(TaskRule { soft: true, ..wish });
    assert!(!is_possible(&task));
    assert_eq!(kinds(&task)[0], RepairKind::LiftWish { rule: 0 });
    assert_eq!(what_would_help(&task, &ByBytes, &Alone).conflict.rules, [0]);
    task.rules[0].soft = false;
    assert_eq!(kinds(&task).last(), Some(&RepairKind::LiftRule { rule: 0 }));
}

#[test]
fn what_is_possible_without_some_moves_is_done_without_them() {
    // VM 2 can go; VMs 0 and 1 cannot exchange, but a stay of both is sound.
    let mut task = plain(&[10, 10, 20], &[(10, 0, 1), (10, 1, 0), (5, 2, 2)]);
    task.hosts.push(host("h3", &[5]));
    task.vms[2].to = 3;
    task.rules.push(rule("off", TaskRuleKind::Never { vms: vec![0, 1], hosts: vec![2, 3] }));
    assert!(!is_possible(&task));
    let left = kinds(&task).into_iter().find(|kind| matches!(kind, RepairKind::Leave { .. }));
    assert_eq!(left, Some(RepairKind::Leave { vms: vec![0, 1] }));
}

#[test]
fn every_repair_that_is_named_was_planned() {
    let mut seen = 0;
    for seed in 0..1_500 {
        let task = task(seed);
        if is_possible(&task) {
            continue;
        }
        for repair in what_would_help(&task, &ByBytes, &Alone).repairs {
            let mut repaired = task.clone();
            match &repair.kind {
                RepairKind::LiftRule { rule } | RepairKind::LiftWish { rule } => {
                    drop(repaired.rules.remove(*rule as usize))
                }
                RepairKind::Leave { vms } => {
                    vms.iter().for_each(|vm| repaired.vms[*vm as usize].to = task.vms[*vm as usize].from);
                }
                // Another number of VMs or hosts: told by the case above.
                RepairKind::Stop { .. } | RepairKind::AddHost { .. } => continue,
            }
            seen += 1;
            assert!(
                truth(&repaired, &ByBytes).optimum.is_some_and(|least| least <= repair.cost),
                "seed {seed}: {repair:?}"
            );
        }
        if seen > 80 {
            return;
        }
    }
    panic!("only {seen} repairs were looked at");
}

#[test]
fn a_relabelled_target_has_the_same_shapes_everywhere_and_costs_no_more() {
    let mut cheaper = 0;
    for seed in 0..600 {
        let task = task(seed);
        if !b_is_sound(&task) {
            continue;
        }
        let relabelled = relabel(&task, &ByBytes);
        assert!(b_is_sound(&relabelled), "seed {seed}: {}", as_code(&relabelled));
        let shapes = |task: &Task| {
            let mut shapes: Vec<(u32, Vec<u64>)> = task.vms.iter().map(|vm| (vm.to, vm.size.clone())).collect();
            shapes.sort();
            shapes
        };
        assert_eq!(shapes(&task), shapes(&relabelled), "seed {seed}");
        let direct = |task: &Task| -> u64 {
            let moved = (0u32..).zip(&task.vms).filter(|(_, vm)| vm.from != vm.to);
            moved.map(|(v, vm)| ByBytes.cost(task, v, vm.from, vm.to)).sum()
        };
        assert!(direct(&relabelled) <= direct(&task), "seed {seed}");
        cheaper += u32::from(direct(&relabelled) < direct(&task));
    }
    assert!(cheaper > 20, "only {cheaper} became cheaper");
}

#[test]
fn two_that_are_alike_need_not_exchange() {
    let task = plain(&[10, 10], &[(10, 0, 1), (10, 1, 0)]);
    assert!(!is_possible(&task) && is_possible(&relabel(&task, &ByBytes)));
}
