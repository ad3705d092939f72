//! Proofs that there is no route: what is accepted is true, and what was gone through honestly is accepted.

mod common;

use std::collections::{BTreeSet, VecDeque};

use common::{dice, rule, task};
use proptest::prelude::*;
use ulm_check::{CertificateFault, check_certificate};
use ulm_model::*;

/// The plain way: every placement of every VM, and the legal single moves of VMs and of the group of VMs 0 and 1.
struct Oracle<'t> {
    task: &'t Task,
    group: bool,
}

impl<'t> Oracle<'t> {
    fn of(task: &'t Task) -> Self {
        let together = |rule: &TaskRule| {
            rule.holds == Holds::Always && matches!(&rule.kind, TaskRuleKind::Together { vms } if *vms == [0, 1])
        };
        let [one, other] = [&task.vms[0], &task.vms[1]];
        let group = task.rules.iter().any(together) && one.from == other.from && one.to == other.to;
        Oracle { task, group }
    }

    fn end(&self, end: End) -> Vec<u32> {
        self.task.vms.iter().map(|vm| if end == End::A { vm.from } else { vm.to }).collect()
    }

    fn items(&self) -> Vec<Vec<u32>> {
        let vms = 0..self.task.vms.len() as u32;
        if self.group {
            [vec![0, 1]].into_iter().chain((2..vms.end).map(|vm| vec![vm])).collect()
        } else {
            vms.map(|vm| vec![vm]).collect()
        }
    }

    fn may_enter(&self, vm: u32, to: u32) -> bool {
        let host = &self.task.hosts[to as usize];
        let allowed = |rule: &TaskRule| match &rule.kind {
            _ if rule.holds == Holds::AtEnd => true,
            TaskRuleKind::Only { vms, hosts } => !vms.contains(&vm) || hosts.contains(&to),
            TaskRuleKind::Never { vms, hosts } => !vms.contains(&vm) || !hosts.contains(&to),
            _ => true,
        };
        let on = matches!(host.power, Power::On | Power::SwitchOn { .. });
        on && host.takes && !self.task.vms[vm as usize].stays && self.task.rules.iter().all(allowed)
    }

    fn steps_up(&self, vm: u32, from: u32, to: u32) -> bool {
        self.task.rules.iter().all(|rule| match &rule.kind {
            TaskRuleKind::OneWay { vms, rank } if rule.holds == Holds::Always && vms.contains(&vm) => {
                rank[to as usize] >= rank[from as usize]
            }
            _ => true,
        })
    }

    /// Whether all limits are kept with each VM on these hosts.
    fn limits_kept(&self, on: &[Vec<u32>]) -> bool {
        let task = self.task;
        let a: Vec<Vec<u32>> = task.vms.iter().map(|vm| vec![vm.from]).collect();
        let capacity = (0..task.hosts.len()).all(|h| {
            (0..task.resources.len()).filter(|r| task.resources[*r].holds == Holds::Always).all(|r| {
                let load = |on: &[Vec<u32>]| -> u64 {
                    task.vms.iter().zip(on).filter(|(_, on)| on.contains(&(h as u32))).map(|(vm, _)| vm.size[r]).sum()
                };
                load(on) <= task.hosts[h].capacity[r].max(load(&a))
            })
        });
        let counts = task.rules.iter().filter(|rule| rule.holds == Holds::Always).all(|rule| match &rule.kind {
            TaskRuleKind::AtMost { vms, domains, limit } => domains.iter().all(|domain| {
                let there = |on: &[Vec<u32>]| {
                    vms.iter().filter(|vm| domain.iter().any(|host| on[**vm as usize].contains(host))).count() as u64
                };
                there(on) <= (*limit).max(there(&a))
            }),
            _ => true,
        });
        capacity && counts
    }

    /// Whether the item may move from there to here, all else at rest.
    fn is_legal(&self, at: &[u32], item: &[u32], to: u32) -> bool {
        let mut on: Vec<Vec<u32>> = at.iter().map(|host| vec![*host]).collect();
        item.iter().for_each(|vm| on[*vm as usize].push(to));
        let gates = item.iter().all(|vm| self.may_enter(*vm, to) && self.steps_up(*vm, at[*vm as usize], to));
        at[item[0] as usize] != to && gates && self.limits_kept(&on)
    }

    /// All placements that can be reached from A, or from which B can be reached.
    fn all(&self, from: End) -> BTreeSet<Vec<u32>> {
        let (mut seen, mut open) = (BTreeSet::from([self.end(from)]), VecDeque::from([self.end(from)]));
        while let Some(at) = open.pop_front() {
            for item in self.items() {
                for host in 0..self.task.hosts.len() as u32 {
                    let here = at[item[0] as usize];
                    let mut other = at.clone();
                    item.iter().for_each(|vm| other[*vm as usize] = host);
                    let legal = match from {
                        End::A => self.is_legal(&at, &item, host),
                        End::B => {
                            let home = |vm: &u32| self.task.vms[*vm as usize].from == host || self.may_enter(*vm, host);
                            item.iter().all(home) && self.is_legal(&other, &item, here)
                        }
                    };
                    if legal && seen.insert(other.clone()) {
                        open.push_back(other);
                    }
                }
            }
        }
        seen
    }

    /// Whether the limits are kept in B, so that it can be looked at from there.
    fn b_is_a_state(&self) -> bool {
        self.limits_kept(&self.task.vms.iter().map(|vm| vec![vm.to]).collect::<Vec<_>>())
    }

    fn has_a_route(&self) -> bool {
        self.all(End::A).contains(&self.end(End::B))
    }
}

fn all_alone(task: &Task) -> Vec<Vec<u32>> {
    (0..task.vms.len() as u32).map(|vm| vec![vm]).collect()
}

fn other(end: End) -> End {
    if end == End::A { End::B } else { End::A }
}

fn ends() -> impl Strategy<Value = End> {
    any::<bool>().prop_map(|a| if a { End::A } else { End::B })
}

/// Where the VMs are to be: the route's end, with some VMs elsewhere.
fn asked() -> impl Strategy<Value = (Task, bool)> {
    (dice(3), proptest::collection::vec(0u32..4, 5), any::<bool>(), any::<bool>()).prop_map(
        |(dice, goals, stays, tight)| {
            let mut task = dice.question(&goals, stays);
            if tight {
                // Much is full: many questions have no route.
                for (h, host) in task.hosts.iter_mut().enumerate() {
                    let a: u64 = task.vms.iter().filter(|vm| vm.from == h as u32).map(|vm| vm.size[0]).sum();
                    let b: u64 = task.vms.iter().filter(|vm| vm.to == h as u32).map(|vm| vm.size[0]).sum();
                    host.capacity[0] = a.max(b);
                }
            }
            (task, tight)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_was_gone_through_is_accepted_if_and_only_if_the_other_end_is_not_there(
        (task, _) in asked(),
        from in ends(),
    ) {
        let oracle = Oracle::of(&task);
        prop_assume!(from == End::A || oracle.b_is_a_state());
        let states: Vec<Vec<u32>> = oracle.all(from).into_iter().collect();
        let impossible = !states.contains(&oracle.end(other(from)));
        let count = states.len() as u64;
        let closed = Certificate::Closed { from, classes: all_alone(&task), states };
        let verdict = check_certificate(&task, &closed);
        prop_assert_eq!(verdict.is_ok(), impossible, "{:?}", verdict);
        let explored = |states| Certificate::Explored { from, classes: all_alone(&task), states };
        let verdict = check_certificate(&task, &explored(count));
        prop_assert_eq!(verdict.is_ok(), impossible, "{:?}", verdict);
        prop_assert!(check_certificate(&task, &explored(count + 1)).is_err());
        prop_assert!(check_certificate(&task, &explored(count - 1)).is_err());
    }

    #[test]
    fn a_listed_set_with_one_state_less_or_spoilt_is_refused(
        (task, _) in asked(),
        from in ends(),
        which in any::<proptest::sample::Index>(),
        (vm, host) in (0usize..5, 0u32..4),
    ) {
        let oracle = Oracle::of(&task);
        prop_assume!(from == End::A || oracle.b_is_a_state());
        let mut states: Vec<Vec<u32>> = oracle.all(from).into_iter().collect();
        if states.contains(&oracle.end(other(from))) {
            return Ok(());
        }
        let i = which.index(states.len());
        let gone = states.remove(i);
        let closed = |states: &[Vec<u32>]| {
            check_certificate(&task, &Certificate::Closed { from, classes: all_alone(&task), states: states.to_vec() })
        };
        prop_assert!(closed(&states).is_err(), "every state of them can be reached");
        let mut spoilt = gone.clone();
        spoilt[vm] = host;
        states.push(spoilt);
        states.sort();
        prop_assert_eq!(closed(&states).is_ok(), states.contains(&gone));
    }

    #[test]
    fn no_proof_by_frozen_vms_is_accepted_where_there_is_a_route(
        (task, _) in asked(),
        from in ends(),
        which in 0u32..32,
    ) {
        let vms: Vec<u32> = (0..5).filter(|vm| which >> vm & 1 == 1).collect();
        if check_certificate(&task, &Certificate::Frozen { from, vms }).is_ok() {
            prop_assert!(!Oracle::of(&task).has_a_route());
        }
    }

    #[test]
    fn no_proof_by_some_vms_is_accepted_where_there_is_a_route(
        (task, _) in asked(),
        from in ends(),
        parts in proptest::collection::vec(0usize..6, 5),
    ) {
        // Classes of several VMs, and VMs in no class.
        let part = |p: usize| (0..5u32).filter(|vm| parts[*vm as usize] == p).collect::<Vec<u32>>();
        let classes: Vec<Vec<u32>> = (0..5).map(part).filter(|class| !class.is_empty()).collect();
        let explored = |states| Certificate::Explored { from, classes: classes.clone(), states };
        // The checker itself tells how many there are.
        let mut verdict = check_certificate(&task, &explored(1));
        let mut said = 1;
        while let Err(CertificateFault::Count { found, .. }) = verdict {
            if found < said {
                verdict = check_certificate(&task, &explored(found));
                break;
            }
            said = found.max(said * 2);
            verdict = check_certificate(&task, &explored(said));
        }
        if verdict.is_ok() {
            prop_assert!(!Oracle::of(&task).has_a_route());
        }
    }

    #[test]
    fn b_is_unsound_only_by_what_it_breaks((task, _) in asked(), (kind, a, b) in (0u8..4, 0u32..6, 0u32..3)) {
        let breach = match kind {
            0 => Breach::Capacity { host: a, resource: b },
            1 => Breach::Rule { rule: b },
            2 => Breach::Off { vm: a },
            _ => Breach::TakesNothing { vm: a },
        };
        let to = |vm: &u32| task.vms[*vm as usize].to;
        let broken = match breach {
            Breach::Capacity { host, resource } => host < 4 && resource < 2 && {
                let (h, r) = (host as usize, resource as usize);
                task.vms.iter().filter(|vm| vm.to == host).map(|vm| vm.size[r]).sum::<u64>() > task.hosts[h].capacity[r]
            },
            Breach::Rule { rule } => task.rules.get(rule as usize).is_some_and(|rule| match &rule.kind {
                TaskRuleKind::AtMost { vms, domains, limit } => {
                    domains.iter().any(|domain| vms.iter().filter(|vm| domain.contains(&to(vm))).count() as u64 > *limit)
                }
                TaskRuleKind::Together { vms } => vms.iter().any(|vm| to(vm) != to(&vms[0])),
                TaskRuleKind::Only { vms, hosts } => vms.iter().any(|vm| !hosts.contains(&to(vm))),
                TaskRuleKind::Never { vms, hosts } => vms.iter().any(|vm| hosts.contains(&to(vm))),
                TaskRuleKind::OneWay { vms, rank } => {
                    vms.iter().any(|vm| rank[to(vm) as usize] < rank[task.vms[*vm as usize].from as usize])
                }
            }),
            Breach::Off { vm } => task.vms.get(vm as usize).is_some_and(|vm| {
                matches!(task.hosts[vm.to as usize].power, Power::Off | Power::SwitchOff { .. })
            }),
            Breach::TakesNothing { vm } => {
                task.vms.get(vm as usize).is_some_and(|vm| vm.to != vm.from && !task.hosts[vm.to as usize].takes)
            }
        };
        prop_assert_eq!(check_certificate(&task, &Certificate::Unsound { breach }).is_ok(), broken);
    }
}

#[test]
fn proofs_of_each_kind_are_accepted_now_and_then() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut impossible, mut frozen) = (0, [0, 0]);
    for _ in 0..400 {
        let (task, _) = asked().new_tree(&mut runner).unwrap().current();
        impossible += usize::from(!Oracle::of(&task).has_a_route());
        for (i, from) in [End::A, End::B].into_iter().enumerate() {
            let proves = |which: &u32| {
                let vms = (0..5).filter(|vm| which >> vm & 1 == 1).collect();
                check_certificate(&task, &Certificate::Frozen { from, vms }).is_ok()
            };
            frozen[i] += usize::from((1u32..32).any(|which| proves(&which)));
        }
    }
    assert!((80..360).contains(&impossible), "{impossible} of 400 have no route");
    assert!(frozen.iter().all(|count| *count > 20), "frozen: {frozen:?} of 400");
}

#[test]
fn a_ring_without_a_spare_is_closed() {
    let ring = task(&[4, 4], &[(0, 1, 4), (1, 0, 4)]);
    let proof = |states: &[&[u32]]| Certificate::Closed {
        from: End::A,
        classes: vec![vec![0], vec![1]],
        states: states.iter().map(|state| state.to_vec()).collect(),
    };
    assert_eq!(check_certificate(&ring, &proof(&[&[0, 1]])), Ok(()));
    assert_eq!(check_certificate(&ring, &proof(&[&[1, 0]])), Err(CertificateFault::NoStart { from: "A" }));
    assert_eq!(check_certificate(&ring, &proof(&[&[0, 1], &[1, 0]])), Err(CertificateFault::OtherEnd { other: "B" }));
    let with_a_spare = task(&[4, 4, 4], &[(0, 1, 4), (1, 0, 4)]);
    let fault = check_certificate(&with_a_spare, &proof(&[&[0, 1]])).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "VM v0 can move from h0 to h2 at state 0, and the state on the other side is not listed"
    );
    // Frozen says it, too, and shorter.
    let frozen = Certificate::Frozen { from: End::A, vms: vec![0, 1] };
    assert_eq!(check_certificate(&ring, &frozen), Ok(()));
    let fault = check_certificate(&with_a_spare, &frozen).unwrap_err();
    assert_eq!(fault.to_string(), "VM v0 is not frozen: it can be the first of them to move, to h2");
}

#[test]
fn a_vm_larger_than_all_that_is_free_is_frozen() {
    // On h1 it would fit if the two small ones were away, but they have nowhere to be.
    let full = task(&[8, 8, 4], &[(0, 1, 8), (1, 0, 2), (1, 0, 2), (2, 2, 1)]);
    for from in [End::A, End::B] {
        assert_eq!(check_certificate(&full, &Certificate::Frozen { from, vms: vec![0] }), Ok(()));
    }
    let room = task(&[8, 8, 8], &[(0, 1, 8), (1, 0, 2), (1, 0, 2), (2, 2, 1)]);
    let fault = check_certificate(&room, &Certificate::Frozen { from: End::A, vms: vec![0] });
    assert_eq!(fault, Err(CertificateFault::CanLeave { vm: "v0".into(), host: "h1".into() }));
    let fault = check_certificate(&full, &Certificate::Frozen { from: End::A, vms: vec![3] });
    assert_eq!(fault, Err(CertificateFault::NothingToMove));
}

#[test]
fn a_group_is_frozen_as_a_whole() {
    let mut pair = task(&[4, 3], &[(0, 1, 2), (0, 1, 2), (1, 1, 0)]);
    pair.rules.push(rule("pair", TaskRuleKind::Together { vms: vec![0, 1] }));
    let proof = |vms: &[u32]| check_certificate(&pair, &Certificate::Frozen { from: End::A, vms: vms.to_vec() });
    assert_eq!(proof(&[0, 1]), Ok(()), "each would fit, both do not");
    assert_eq!(proof(&[0]), Err(CertificateFault::HalfGroup { vm: "v0".into(), other: "v1".into() }));
}

#[test]
fn vms_of_one_class_are_interchangeable_or_refused() {
    let mut two = task(&[4, 4], &[(0, 1, 2), (0, 1, 2), (1, 0, 4)]);
    let proof = |task: &Task| {
        let states = vec![vec![0, 0, 1]];
        check_certificate(task, &Certificate::Closed { from: End::A, classes: vec![vec![0, 1], vec![2]], states })
    };
    assert_eq!(proof(&two), Ok(()));
    two.vms[0].size = vec![1];
    assert_eq!(proof(&two), Err(CertificateFault::Different { vm: "v0".into(), other: "v1".into() }));
    two.vms[0].size = vec![2];
    two.rules.push(rule("off", TaskRuleKind::Never { vms: vec![0], hosts: vec![] }));
    assert_eq!(proof(&two), Err(CertificateFault::Different { vm: "v0".into(), other: "v1".into() }));
}

#[test]
fn vms_that_can_move_elsewhere_need_not_be_listed_unless_they_make_room() {
    // A full ring on h0 and h1; v2 moves between h2 and h3, and may go nowhere else.
    let mut apart = task(&[4, 4, 4, 4], &[(0, 1, 4), (1, 0, 4), (2, 3, 1)]);
    apart.rules.push(rule("ring", TaskRuleKind::Only { vms: vec![0, 1], hosts: vec![0, 1] }));
    apart.rules.push(rule("rest", TaskRuleKind::Only { vms: vec![2], hosts: vec![2, 3] }));
    let proof = |task: &Task, from, states: &[&[u32]]| {
        let states = states.iter().map(|state| state.to_vec()).collect();
        check_certificate(task, &Certificate::Closed { from, classes: vec![vec![0], vec![1]], states })
    };
    assert_eq!(proof(&apart, End::A, &[&[0, 1]]), Ok(()));
    assert_eq!(proof(&apart, End::B, &[&[1, 0]]), Ok(()));
    // Here v2 is on h1 and can make room there.
    let mut room = task(&[4, 4, 4], &[(0, 1, 2), (1, 0, 2), (1, 1, 2), (0, 0, 2)]);
    room.rules.push(rule("ring", TaskRuleKind::Only { vms: vec![0, 1, 3], hosts: vec![0, 1] }));
    assert!(matches!(proof(&room, End::A, &[&[0, 1]]), Err(CertificateFault::Open { .. })));
}
