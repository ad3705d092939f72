//! What expressions give, and what is said of those that give nothing.

use ulm_model::{Copying, Power, TaskHost, TaskResource, TaskVm};

use super::*;

fn task() -> Task {
    let host = |name: &str, memory| TaskHost {
        name: name.into(),
        capacity: vec![memory],
        takes: true,
        power: Power::On,
        moves_in: 1,
        moves_out: 1,
    };
    let vm = |name: &str, memory| TaskVm {
        name: name.into(),
        from: 0,
        to: 0,
        size: vec![memory],
        stays: false,
        copy: Copying { bytes: memory, ..Copying::default() },
    };
    Task {
        resources: vec![TaskResource { name: "memory".into(), holds: Default::default() }],
        hosts: vec![host("old1", 64), host("old2", 64), host("new1", 256)],
        vms: vec![vm("db", 32), vm("web1", 4), vm("web2", 4)],
        ..Task::default()
    }
}

fn over(text: &str) -> Result<ExpressionCost, ExpressionError> {
    MoveExpression::parse(text).unwrap().over(&task())
}

fn refused(text: &str) -> String {
    over(text).err().expect("it is refused").to_string()
}

#[test]
fn a_cost_is_what_the_expression_says() {
    let cost = over("vm.copy.bytes * (target.capacity.memory < 128 ? 3 : 1)").unwrap();
    assert_eq!(cost.cost(&task(), 0, 0, 1), 96);
    assert_eq!(cost.cost(&task(), 0, 0, 2), 32);
    assert_eq!(cost.cost(&task(), 2, 2, 0), 12);
    assert!(!cost.by_vm_alone());
    assert!(over("vm.size.memory").unwrap().by_vm_alone());
}

#[test]
fn what_looks_the_same_is_evaluated_once() {
    let cost = over("vm.copy.bytes + target.capacity.memory").unwrap();
    assert_eq!((cost.vms.len(), cost.sources.len(), cost.targets.len()), (2, 1, 2));
    let cost = over("source.name == target.name ? 1/0 : 7").unwrap();
    assert_eq!((cost.vms.len(), cost.sources.len(), cost.targets.len()), (1, 3, 3));
    assert_eq!(cost.cost(&task(), 1, 0, 1), 7);
    let cost = over("[vm].map(any, any.name == 'db' ? 2 : 1)[0]").unwrap();
    assert_eq!((cost.cost(&task(), 0, 0, 1), cost.cost(&task(), 1, 0, 1)), (2, 1));
}

#[test]
fn what_is_no_cost_is_refused_before_the_search() {
    assert_eq!(
        refused("vm.size.memory - 16"),
        "for a move of a VM like web1 it gives -12: a cost is 0 or more, add as much as makes it so"
    );
    assert!(refused("1.5").ends_with("it gives 1.5, which is not a whole number: put int(…) around it"));
    assert!(refused("vm.name").ends_with("it gives a text, but a cost is a whole number"));
    assert!(refused("4611686018427387904").contains("sums of that are too large"));
    assert!(refused("9223372036854775807 * 2").ends_with("it gives no result: a number in it does not fit in 64 bits"));
    assert!(refused("1 / (vm.size.memory - 32)").ends_with("it gives no result: it divides by 0"));
    let unknown = refused("1 + host.size");
    assert!(unknown.starts_with("column 5: ") && unknown.contains("there is no `host`"), "{unknown}");
    let unknown = refused("vm.size.cpu");
    assert!(unknown.starts_with("column 9: ") && unknown.contains("there is no `cpu`"), "{unknown}");
}

#[test]
fn what_is_no_expression_is_told_with_its_column() {
    let error = MoveExpression::parse("vm.copy.bytes + + 2)").err().unwrap();
    assert_eq!(error.column, Some(17), "{error}");
}
