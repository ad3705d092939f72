//! The judgement on routes is that of going through every state that can be reached, one by one.

mod common;

use std::collections::BTreeSet;

use common::{dice, moved, step};
use proptest::prelude::*;
use ulm_check::{Completeness, check_route};
use ulm_model::*;

/// Whether no state is bad that the first `count` steps can reach.
fn every_state_is_sane(task: &Task, route: &Route, count: usize) -> bool {
    let steps = &route.steps[..count];
    if steps.iter().any(|step| !may_be_a_step(task, step)) || !hops_fit(task, steps, &route.steps) {
        return false;
    }
    let (mut open, mut seen) = (vec![vec![0u8; count]], BTreeSet::new());
    while let Some(state) = open.pop() {
        if !seen.insert(state.clone()) {
            continue;
        }
        if !is_sane(task, &route.steps, &state) {
            return false;
        }
        for s in 0..count {
            // 0: not begun; 1: running, hanging or failed; 2: ended well.
            let ready = steps[s].after.iter().all(|before| state[*before as usize] == 2);
            if state[s] == 1 || (state[s] == 0 && ready) {
                let mut next = state.clone();
                next[s] += 1;
                open.push(next);
            }
        }
    }
    true
}

fn may_be_a_step(task: &Task, step: &RouteStep) -> bool {
    let host = |host: u32| &task.hosts[host as usize];
    match step.action {
        RouteAction::PowerOn { host: h } => matches!(host(h).power, Power::SwitchOn { .. }),
        RouteAction::PowerOff { host: h } => matches!(host(h).power, Power::SwitchOff { .. }),
        RouteAction::Move { vm, from, to, .. } => {
            let allowed = |rule: &TaskRule| match &rule.kind {
                _ if rule.holds == Holds::AtEnd => true,
                TaskRuleKind::Only { vms, hosts } => !vms.contains(&vm) || hosts.contains(&to),
                TaskRuleKind::Never { vms, hosts } => !vms.contains(&vm) || !hosts.contains(&to),
                TaskRuleKind::OneWay { vms, rank } => !vms.contains(&vm) || rank[to as usize] >= rank[from as usize],
                _ => true,
            };
            let on = matches!(host(to).power, Power::On | Power::SwitchOn { .. });
            from != to && host(to).takes && on && !task.vms[vm as usize].stays && task.rules.iter().all(allowed)
        }
    }
}

/// The hops of a VM, as places in the list.
fn hops(vm: u32, steps: &[RouteStep]) -> Vec<usize> {
    let of = |step: &RouteStep| matches!(step.action, RouteAction::Move { vm: moved, .. } if moved == vm);
    (0..steps.len()).filter(|s| of(&steps[*s])).collect()
}

fn group(task: &Task) -> Option<[u32; 2]> {
    let rule = task.rules.iter().find(|rule| matches!(rule.kind, TaskRuleKind::Together { .. }))?;
    let ([one, other], always) = ([&task.vms[0], &task.vms[1]], rule.holds == Holds::Always);
    (always && one.from == other.from && one.to == other.to).then_some([0, 1])
}

/// Each hop begins where the one before ended, and groups hop together.
fn hops_fit(task: &Task, steps: &[RouteStep], all: &[RouteStep]) -> bool {
    let mut at: Vec<u32> = task.vms.iter().map(|vm| vm.from).collect();
    let chained = steps.iter().all(|step| match step.action {
        RouteAction::Move { vm, from, to, .. } => std::mem::replace(&mut at[vm as usize], to) == from,
        _ => true,
    });
    let switched = |on: bool| {
        let of = |step: &&RouteStep| match step.action {
            RouteAction::PowerOn { .. } => on,
            RouteAction::PowerOff { .. } => !on,
            RouteAction::Move { .. } => false,
        };
        steps.iter().filter(of).count() <= 1
    };
    let together = group(task).is_none_or(|[one, other]| {
        let (one, other) = (hops(one, all), hops(other, all));
        (0..one.len().max(other.len())).all(|hop| match (one.get(hop), other.get(hop)) {
            (Some(a), Some(b)) if (*a).max(*b) < steps.len() => {
                let way = |s: usize| match all[s].action {
                    RouteAction::Move { from, to, .. } => (from, to, &all[s].after),
                    _ => unreachable!(),
                };
                way(*a) == way(*b)
            }
            (Some(_), Some(_)) => true,
            (Some(alone), None) | (None, Some(alone)) => *alone >= steps.len(),
            (None, None) => true,
        })
    });
    chained && switched(true) && switched(false) && together
}

/// The state of the first `state.len()` steps of `all`; the later ones have not begun.
fn is_sane(task: &Task, all: &[RouteStep], state: &[u8]) -> bool {
    let steps = &all[..state.len()];
    // Where each VM is: one host or two.
    let mut on: Vec<BTreeSet<u32>> = task.vms.iter().map(|vm| [vm.from].into()).collect();
    for (s, step) in steps.iter().enumerate() {
        match step.action {
            RouteAction::Move { vm, from, to, .. } if state[s] > 0 => {
                let on = &mut on[vm as usize];
                // It can begin only when the VM has arrived and is nowhere else.
                if *on != BTreeSet::from([from]) {
                    return false;
                }
                if state[s] == 2 {
                    on.clear();
                }
                on.insert(to);
                let switch = steps.iter().position(|step| step.action == RouteAction::PowerOn { host: to });
                let off = matches!(task.hosts[to as usize].power, Power::SwitchOn { .. });
                if off && switch.is_none_or(|switch| state[switch] < 2) {
                    return false;
                }
            }
            _ => {}
        }
    }
    for (s, step) in steps.iter().enumerate().filter(|(s, _)| state[*s] > 0) {
        let RouteAction::PowerOff { host } = step.action else { continue };
        if on.iter().any(|on| on.contains(&host)) {
            return false;
        }
        let _ = s;
    }
    if let Some([one, other]) = group(task) {
        let (one, other) = (hops(one, all), hops(other, all));
        let of = |step: &usize| state.get(*step).copied().unwrap_or(0);
        for hop in 1..one.len().max(other.len()) {
            let begun = |hops: &[usize]| hops.get(hop).is_some_and(|s| of(s) > 0);
            let done = |hops: &[usize]| hops.get(hop - 1).is_none_or(|s| of(s) == 2);
            if (begun(&one) || begun(&other)) && !(done(&one) && done(&other)) {
                return false;
            }
        }
    }
    let a: Vec<BTreeSet<u32>> = task.vms.iter().map(|vm| [vm.from].into()).collect();
    let always = task.resources.iter().enumerate().filter(|(_, resource)| resource.holds == Holds::Always);
    let capacity = always.into_iter().all(|(r, _)| {
        (0..task.hosts.len()).all(|h| {
            let load = |on: &[BTreeSet<u32>]| -> u64 {
                task.vms.iter().zip(on).filter(|(_, on)| on.contains(&(h as u32))).map(|(vm, _)| vm.size[r]).sum()
            };
            load(&on) <= task.hosts[h].capacity[r].max(load(&a))
        })
    });
    let counts = task.rules.iter().filter(|rule| rule.holds == Holds::Always).all(|rule| match &rule.kind {
        TaskRuleKind::AtMost { vms, domains, limit } => domains.iter().all(|domain| {
            let there = |on: &[BTreeSet<u32>]| {
                vms.iter().filter(|vm| domain.iter().any(|host| on[**vm as usize].contains(host))).count() as u64
            };
            there(&on) <= (*limit).max(there(&a))
        }),
        _ => true,
    });
    capacity && counts
}

fn b_is_sound(task: &Task) -> bool {
    let to = |vm: &u32| task.vms[*vm as usize].to;
    let capacity = (0..task.hosts.len()).all(|h| {
        (0..task.resources.len()).all(|r| {
            task.vms.iter().filter(|vm| vm.to == h as u32).map(|vm| vm.size[r]).sum::<u64>()
                <= task.hosts[h].capacity[r]
        })
    });
    let rules = task.rules.iter().all(|rule| match &rule.kind {
        TaskRuleKind::AtMost { vms, domains, limit } => {
            domains.iter().all(|domain| vms.iter().filter(|vm| domain.contains(&to(vm))).count() as u64 <= *limit)
        }
        TaskRuleKind::Together { vms } => vms.iter().all(|vm| to(vm) == to(&vms[0])),
        TaskRuleKind::Only { vms, hosts } => vms.iter().all(|vm| hosts.contains(&to(vm))),
        TaskRuleKind::Never { vms, hosts } => vms.iter().all(|vm| !hosts.contains(&to(vm))),
        TaskRuleKind::OneWay { vms, rank } => {
            vms.iter().all(|vm| rank[to(vm) as usize] >= rank[task.vms[*vm as usize].from as usize])
        }
    });
    let places = task.vms.iter().all(|vm| {
        let host = &task.hosts[vm.to as usize];
        matches!(host.power, Power::On | Power::SwitchOn { .. }) && (host.takes || vm.from == vm.to)
    });
    capacity && rules && places
}

/// The checker and the plain way agree: on the verdict, and on the step that leads to the first bad state.
fn agree(task: &Task, route: &Route) -> Result<bool, TestCaseError> {
    let first_bad = (1..=route.steps.len()).find(|count| !every_state_is_sane(task, route, *count));
    let found = check_route(task, route, Completeness::AnyPlacement);
    let step = found.as_ref().err().map(|fault| fault.step().map(|step| step as usize + 1));
    prop_assert_eq!(step, first_bad.map(Some), "{:?}", found.map_err(|fault| fault.to_string()));
    let there = route.placement(task) == task.vms.iter().map(|vm| vm.to).collect::<Vec<u32>>();
    let switched = task.hosts.iter().enumerate().all(|(h, host)| {
        let switch = |step: &RouteStep| !matches!(step.action, RouteAction::Move { .. });
        matches!(host.power, Power::On | Power::Off) || (h == 3 && route.steps.iter().any(switch))
    });
    let sane = first_bad.is_none() && there && switched && b_is_sound(task);
    let found = check_route(task, route, Completeness::ToB);
    prop_assert_eq!(found.is_ok(), sane, "{:?}", found.map_err(|fault| fault.to_string()));
    Ok(first_bad.is_none())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn routes_are_judged_as_by_going_through_every_state(dice in dice(8)) {
        let (task, route) = dice.cast();
        prop_assert_eq!(task.flaw(), None);
        agree(&task, &route)?;
    }

    #[test]
    fn spoilt_routes_are_judged_as_by_going_through_every_state(
        dice in dice(8),
        (kind, which, bits) in (0u8..6, any::<proptest::sample::Index>(), any::<u8>()),
    ) {
        let (task, mut route) = dice.cast();
        if route.steps.is_empty() {
            return Ok(());
        }
        let i = which.index(route.steps.len());
        match (kind, &mut route.steps[i].action) {
            // It waits for less, for something else, or for more.
            (0, _) => { route.steps[i].after.pop(); }
            (1, _) => { route.steps[i].after = (0..i as u32).filter(|s| bits >> (s % 8) & 1 == 1).collect(); }
            (2, RouteAction::Move { to, .. }) => *to = u32::from(bits) % 4,
            (3, RouteAction::Move { vm, .. }) => *vm = u32::from(bits) % 5,
            (4, RouteAction::Move { from, .. }) => *from = u32::from(bits) % 4,
            _ => {
                let at = route.placement(&task);
                let vm = u32::from(bits) % 5;
                let to = (at[vm as usize] + 1 + u32::from(bits) % 3) % 4;
                route.steps.push(step(route.steps.len(), moved(vm, at[vm as usize], to), &[]));
                route.makespan_ms = route.steps.len() as u64 * 10;
            }
        }
        agree(&task, &route)?;
    }
}

#[test]
fn both_verdicts_come_up_often() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut sane, mut long) = (0, 0);
    for _ in 0..1000 {
        let (task, route) = dice(8).new_tree(&mut runner).unwrap().current().cast();
        let is_sane = check_route(&task, &route, Completeness::AnyPlacement).is_ok();
        sane += usize::from(is_sane);
        long += usize::from(is_sane && route.steps.len() > 3);
    }
    assert!((200..800).contains(&sane), "{sane} of 1000 are sane");
    assert!(long > 60, "{long} of 1000 are sane and have more than three steps");
}
