//! A snapshot without names is decided on as the one with names.

mod common;

use common::*;
use proptest::prelude::*;
use ulm_decide::{Decision, Input, Past, decide};
use ulm_model::*;

/// A VM's CPU in thousandths, its GiB, and what is odd about it.
type Plot = (u64, u64, u8);

/// Some hosts are overworked, some VMs cannot go everywhere; names are no neutral ones, and figures are often equal.
fn clusters() -> impl Strategy<Value = Cluster> {
    let vm = (1u64..5, 1u64..5, 0u8..8).prop_map(|(cpu, gib, oddity)| (cpu * 900, gib * 8, oddity));
    let host = ("[a-z]{4}", prop::collection::vec(vm, 0..6));
    prop::collection::btree_map(host.0, host.1, 2..13).prop_map(|hosts| {
        let names: Vec<&str> = hosts.keys().map(String::as_str).collect();
        let mut cluster = Cluster::of(&names);
        for (name, vms) in &hosts {
            furnish(&mut cluster, name, vms);
        }
        cluster
    })
}

fn furnish(cluster: &mut Cluster, name: &str, vms: &[Plot]) {
    for (i, (cpu, gib, oddity)) in vms.iter().enumerate() {
        let id = cluster.vm(name, &format!("{name}{i}"), *cpu, *gib);
        let vm = cluster.vm_mut(id);
        match oddity {
            0 => vm.fixtures.push(Fixture::LocalDisk { path: "/var/x".into() }),
            1 => drop(vm.needs.as_mut().map(|needs| needs.networks.insert("bridge:dmz".into()))),
            2 => drop(cluster.host_mut(name).networks.insert("bridge:dmz".into())),
            _ => {}
        }
    }
    let host = cluster.host_mut(name);
    // A host cannot use more than it has.
    host.cpu_use.0.iter_mut().for_each(|figure| figure.value = figure.value.min(MilliCpu(10_000)));
    host.memory_use.0.iter_mut().for_each(|figure| figure.value = figure.value.min(Bytes::gib(100)));
}

/// The steps by the places of VMs and hosts in the snapshot.
fn steps(snapshot: &Snapshot, decision: &Decision) -> Vec<(VmIx, HostIx, HostIx, Vec<StepId>)> {
    let step = |step: &Step| {
        let Action::Move { vm, from, to, .. } = &step.action;
        let host = |name| snapshot.find_host(name).unwrap();
        (snapshot.find_vm(*vm).unwrap(), host(from), host(to), step.after.clone())
    };
    decision.plan.steps.iter().map(step).collect()
}

proptest! {
    #[test]
    fn without_names_the_same_is_decided(cluster in clusters()) {
        let with_names = cluster.decide();
        let neutral = anonymous::snapshot(&cluster.snapshot);
        let without = decide(&Input::new(neutral.clone(), NOW, Acting::On, Past::default()), &cluster.policy);
        prop_assert_eq!(steps(&neutral, &without), steps(&cluster.snapshot, &with_names));
        prop_assert_eq!(codes(&without), codes(&with_names));
    }
}

#[test]
fn something_is_decided_at_all() {
    let mut cluster = Cluster::of(&["busy", "calm"]);
    for vm in ["mail", "shop", "wiki"] {
        cluster.vm("busy", vm, 3200, 8);
    }
    let neutral = anonymous::snapshot(&cluster.snapshot);
    let without = decide(&Input::new(neutral, NOW, Acting::On, Past::default()), &cluster.policy);
    assert_eq!(cluster.moves().len(), 1);
    let place = ["mail", "shop", "wiki"].iter().position(|vm| cluster.moves()[0].starts_with(vm)).unwrap();
    assert_eq!(moves(&without), [format!("vm-{}: host-1 -> host-2", place + 1)]);
}
