//! Expressions over VMs and hosts: what they give, once for each class, and what becomes of those that give nothing.

use std::collections::BTreeSet;
use std::time::Instant;

use ulm_model::{
    Bytes, Figure, Host, HostIx, HostState, MilliCpu, Platform, Reason, Recent, Snapshot, Time, Vm, VmId, VmState,
};
use ulm_policy::{PlacementExpression, PlacementTable};

fn tags(tags: &[&str]) -> BTreeSet<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

fn host(name: &str, cpus: u32, words: &[&str]) -> Host {
    Host {
        name: name.into(),
        state: HostState::Up,
        cpu: MilliCpu::cpus(cpus),
        memory: Bytes::gib(64),
        cpu_use: Recent::default(),
        memory_use: Recent::default(),
        platform: Platform::default(),
        cpu_verdicts: Default::default(),
        networks: BTreeSet::new(),
        storage: BTreeSet::new(),
        tags: tags(words),
        cells: Vec::new(),
        merging: None,
    }
}

fn vm(number: u128, vcpus: u32, milli: u64, words: &[&str]) -> Vm {
    Vm {
        id: VmId(uuid::Uuid::from_u128(number)),
        name: format!("vm{number}"),
        host: HostIx(0),
        state: VmState::Running,
        vcpus,
        memory: Bytes::gib(4),
        cpu_use: Recent(vec![Figure { value: MilliCpu(milli), at: Time(0) }]),
        memory_use: Recent::default(),
        contention: Recent::default(),
        network: None,
        disk: None,
        needs: None,
        fixtures: Vec::new(),
        tags: tags(words),
        unmergeable: false,
    }
}

fn cluster() -> Snapshot {
    let hosts = vec![host("h1", 8, &["rack=1", "old"]), host("h2", 8, &["rack=2"]), host("h3", 32, &[])];
    let vms = vec![vm(1, 2, 10, &["app=shop"]), vm(2, 2, 120, &["app=shop", "owner=x"]), vm(3, 4, 900, &[])];
    Snapshot { hosts, vms, ..Snapshot::default() }
}

fn each(text: &str) -> PlacementTable {
    PlacementExpression::each(text).unwrap_or_else(|error| panic!("{text}: {error}")).over(&cluster()).unwrap()
}

fn classes(table: &PlacementTable) -> (Vec<u32>, Vec<u32>) {
    (table.vm_class.clone(), table.host_class.clone())
}

#[test]
fn a_cost_is_what_the_expression_says_of_a_vm_and_a_host() {
    let table = each("vm.vcpus * ('old' in host.tags ? 3 : 1) + host.cpus");
    assert_eq!((table.cost(0, 0), table.cost(2, 0), table.cost(2, 2)), (14, 20, 36));
    let table = each("has(vm.labels.app) && vm.labels.app == 'shop' ? vm.cpu_use : 0");
    assert_eq!((table.cost(0, 0), table.cost(1, 0), table.cost(2, 0)), (125, 125, 0));
    let awake = PlacementExpression::awake("host.cpus * 2").unwrap().over(&cluster()).unwrap();
    assert_eq!((awake.cost(0, 0), awake.cost(2, 2)), (16, 64));
}

#[test]
fn what_is_not_mentioned_makes_no_class() {
    assert_eq!(classes(&each("vm.vcpus + host.cpus")), (vec![0, 0, 1], vec![0, 0, 1]));
    assert_eq!(classes(&each("vm.name == host.name ? 1 : 0")), (vec![0, 1, 2], vec![0, 1, 2]));
    assert_eq!(classes(&each("7")), (vec![0, 0, 0], vec![0, 0, 0]));
    assert_eq!(classes(&each("vm.cpu_use")).0, [0, 0, 1], "rounded up to eighths of a CPU");
    assert_eq!(classes(&each("has(vm.labels.app) ? 1 : 0")).0, [0, 0, 1], "one label, not all tags");
    assert_eq!(classes(&each("'owner' in vm.labels ? 1 : 0")).0, [0, 1, 0]);
    assert_eq!(classes(&each("vm.labels['app'] == 'shop' ? 1 : 0")).0, [0, 0, 1]);
    assert_eq!(classes(&each("size(vm.tags)")).0, [0, 1, 2]);
    assert_eq!(classes(&each("size(vm.labels)")).0, [0, 1, 2]);
    assert_eq!(classes(&each("[vm].map(any, any.vcpus)[0]")).0, [0, 1, 2], "all of it, come by in another way");
    assert_eq!(classes(&each("vm.tags.exists(host, host == 'owner=x') ? 1 : 0")).1, [0, 0, 0], "a name of its own");
}

#[test]
fn a_vm_that_the_expression_gives_nothing_for_costs_nothing_and_the_rest_counts() {
    let table = each("vm.labels.app == 'shop' ? host.cpus : 1");
    assert_eq!((table.cost(0, 0), table.cost(0, 2), table.cost(2, 0), table.cost(2, 2)), (8, 32, 0, 0));
    let [Reason::ExpressionFailed { of, error }] = &table.aside[..] else { panic!("{:?}", table.aside) };
    assert_eq!((of.as_str(), error.as_str()), ("vm3", "there is no `app`: ask with has(…) first"));
}

#[test]
fn nothing_is_drawn_to_a_host_that_the_expression_gives_nothing_for() {
    let table = each("int(host.labels.rack) * vm.vcpus");
    assert_eq!((table.cost(0, 0), table.cost(0, 1), table.cost(0, 2)), (2, 4, 4));
    let [Reason::ExpressionFailed { of, .. }] = &table.aside[..] else { panic!("{:?}", table.aside) };
    assert_eq!(of, "h3");
    let awake = PlacementExpression::awake("int(host.labels.rack)").unwrap().over(&cluster()).unwrap();
    assert_eq!((awake.cost(0, 0), awake.cost(0, 1), awake.cost(0, 2)), (1, 2, 2));
}

#[test]
fn an_expression_that_gives_nothing_at_all_costs_nothing() {
    let table = each("1 / (host.cpus - host.cpus)");
    assert!(table.points.iter().all(|points| *points == 0));
    assert_eq!(table.aside.len(), 2, "each class of hosts");
    for (text, error) in [
        ("0 - vm.vcpus", "it gives -2, and a cost is 0 or more"),
        ("vm.vcpus * 1000000000", "it gives more than 1000000000: divide it"),
        ("9223372036854775807 + vm.vcpus", "a number in it does not fit in 64 bits"),
    ] {
        let table = each(text);
        assert!(matches!(&table.aside[0], Reason::ExpressionFailed { error: told, .. } if told == error), "{table:?}");
    }
}

#[test]
fn a_cluster_without_vms_or_hosts_is_no_trouble() {
    let nothing = Snapshot::default();
    let none = PlacementExpression::each("vm.vcpus + host.cpus").unwrap().over(&nothing).unwrap();
    assert_eq!(none, PlacementTable::default());
    let awake = PlacementExpression::awake("host.cpus").unwrap();
    assert!(awake.over(&nothing).unwrap().points.is_empty());
    assert_eq!(awake.over(&Snapshot { vms: vec![], ..cluster() }).unwrap().points, [8, 32]);
}

#[test]
fn too_many_classes_are_refused() {
    let vms = (0..400).map(|n| vm(n, 2, 0, &[])).collect();
    let hosts = (0..400).map(|n| host(&format!("h{n:03}"), 8, &[])).collect();
    let error = PlacementExpression::each("vm.name == host.name ? 0 : 1").unwrap();
    let error = error.over(&Snapshot { hosts, vms, ..Snapshot::default() }).unwrap_err();
    assert!(error.to_string().starts_with("it tells 400 kinds of VMs and 400 kinds of hosts apart"), "{error}");
}

/// `cargo test --release -p ulm-policy --test placement -- --ignored --nocapture`
#[test]
#[ignore = "measures"]
fn a_thousand_hosts_and_thirty_thousand_vms() {
    let hosts = (0..1000u32).map(|n| host(&format!("h{n:04}"), 64, &[&format!("generation={}", n % 4)])).collect();
    let app = |n: u32| format!("app={}", n % 10);
    let owner = |n: u32| format!("owner={n}");
    let vms = (0..30_000u32).map(|n| vm(n.into(), 1 << (n / 10 % 5), 0, &[&app(n), &owner(n), "word"])).collect();
    let snapshot = Snapshot { hosts, vms, ..Snapshot::default() };
    let text = "vm.labels.app == '3' && host.labels.generation != '2' ? vm.vcpus * host.cpus : vm.vcpus";
    let start = Instant::now();
    let expression = PlacementExpression::each(text).unwrap();
    let parsed = start.elapsed();
    let table = expression.over(&snapshot).unwrap();
    let all = start.elapsed();
    let classes = table.points.len();
    println!("{classes} pairs of classes: {parsed:?} to read, {all:?} in all");
    assert_eq!(classes, 200);
    assert!(all.as_millis() <= 50, "{all:?}");
}
