//! The judgement on plans is that of going through every state that can be reached, one by one, by every rule of the rulebook.

mod plain;
mod plans;

use std::collections::{BTreeMap, BTreeSet};

use plain::broken;
use plans::World;
use plans::random::{Dice, KINDS, Kinds, world};
use proptest::prelude::*;
use ulm_check::Fault;

/// The checker's verdict is that of the plain way. What it was.
fn agree(world: &World) -> Result<&'static str, TestCaseError> {
    prop_assert_eq!(world.snapshot.flaw(), None);
    let broken = broken(world);
    let agrees = |verdict: Result<(), Fault>, broken: &BTreeSet<&'static str>| match verdict {
        Ok(()) => {
            prop_assert!(broken.is_empty(), "accepted, though: {:?}", broken);
            Ok("sane")
        }
        Err(Fault::NotShown { .. }) => Ok("not shown"),
        Err(fault) => {
            let Fault::Breaks { reason, .. } = &fault else { return Err(TestCaseError::fail(fault.to_string())) };
            prop_assert!(broken.contains(reason.code()), "{}, but broken is {:?}", fault, broken);
            // What passes is told last.
            prop_assert!(!fault.passes() || broken.len() == 1, "{}, but broken is {:?}", fault, broken);
            Ok(reason.code())
        }
    };
    let verdict = agrees(world.verdict(), &broken)?;
    let mut at_begin = broken;
    at_begin.remove("rule.together");
    agrees(world.verdict_on_beginning(), &at_begin)?;
    Ok(verdict)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 250)
}

/// So many cases of each kind of rules.
const CASES: u32 = 1000;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    #[test]
    fn plans_are_judged_as_by_going_through_every_state(bytes in bytes()) {
        agree(&world(&mut Dice(bytes.into_iter()), Kinds::All))?;
    }

    #[test]
    fn plans_under_one_kind_of_rule_are_judged_as_by_going_through_every_state(bytes in bytes(), kind in 0..KINDS) {
        agree(&world(&mut Dice(bytes.into_iter()), Kinds::Only(kind)))?;
    }
}

#[test]
fn every_verdict_comes_up_often() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut count: BTreeMap<&str, u32> = BTreeMap::new();
    for i in 0..3000 {
        let bytes = bytes().new_tree(&mut runner).unwrap().current();
        let world = world(&mut Dice(bytes.into_iter()), Kinds::Only(i % KINDS));
        *count.entry(agree(&world).unwrap()).or_default() += 1;
    }
    for code in [
        "capacity.memory",
        "capacity.cpu",
        "rule.apart",
        "rule.max_vms",
        "rule.together",
        "rule.headroom",
        "rule.one_way",
        "rule.budget_moves",
        "rule.budget_downtime",
        "rule.at_once",
        "rule.spare",
        "rule.window",
        "rule.pinned",
        "rule.excluded",
        "host.maintenance",
        "platform.pages",
        "platform.cells",
    ] {
        assert!(count.get(code).is_some_and(|n| *n >= 10), "{code} in {count:?}");
    }
    assert!((600..2400).contains(&count["sane"]), "{count:?}");
    assert!((1..50).contains(&count["not shown"]), "{count:?}");
}
