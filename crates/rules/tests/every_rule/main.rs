//! For every rule: the quick answer is the full answer is what the specification says, on random clusters with moves in flight.

mod meaning;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::{Union, ValueTree};
use proptest::test_runner::{TestCaseError, TestRunner};
use ulm_model::*;
use ulm_rules::{HostSet, Initiative, State};
use world::{World, level, percent, worlds};

/// Random clusters for each rule: each is asked about every VM and host, so that some thousand answers are compared.
const CASES: u32 = 128;

/// Reasons as they are compared: in any order, each once, without the words of some and without looking ahead in calendars.
fn told(reasons: &[Reason]) -> Vec<Reason> {
    let plain = |reason: &Reason| match reason.clone() {
        Reason::OutsideWindow { rule, .. } => Reason::OutsideWindow { rule, until: None },
        Reason::CellsShort { host, .. } => Reason::CellsShort { host, cells: String::new(), what: String::new() },
        other => other,
    };
    let mut reasons: Vec<Reason> = reasons.iter().map(plain).collect();
    reasons.sort();
    reasons.dedup();
    reasons
}

/// What [`State::sift`] looks at, beside what closes a host and beside loads.
fn is_sifted(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::PagesShort { .. }
            | Reason::CellsShort { .. }
            | Reason::Pinned { .. }
            | Reason::WrongWay { .. }
            | Reason::NotTogether { .. }
            | Reason::TooClose { .. }
            | Reason::HostFull { .. }
    )
}

fn agrees(world: &World) -> Result<(), TestCaseError> {
    prop_assert_eq!(world.snapshot.flaw(), None);
    let mut state = world.state();
    prop_assert_eq!(state.spare(), world.spare());
    for (vm, one) in world.snapshot.vms_ix() {
        prop_assert_eq!(state.rank(vm), world.rank(vm));
        for initiative in [Initiative::Automatic, Initiative::ByHand] {
            for downtime in [0, 3].map(Duration::from_secs) {
                let stays = state.vm_stays_expecting(vm, initiative, downtime);
                prop_assert_eq!(told(&stays), told(&world.stays(vm, downtime, initiative)), "{}", one.name);
            }
            let stays = told(&state.vm_stays(vm, initiative));
            let profile = state.profile(vm, initiative);
            let mut sifted = HostSet::all(world.snapshot.hosts.len());
            let mut out = 0;
            state.sift(&profile, &mut sifted, |_, hosts, _| out += hosts);
            prop_assert_eq!(sifted.len() + out as usize, world.snapshot.hosts.len());
            for (to, host) in world.snapshot.hosts_ix() {
                let context = format!("{} to {}, {initiative:?}", one.name, host.name);
                let meant = told(&world.why_not(vm, to, initiative));
                let mut full = state.why_not(vm, to, initiative);
                let loses = if one.host == to { None } else { world.loses(vm, to) };
                prop_assert_eq!(state.keeps_spare(vm, to).err(), world.loses(vm, to), "{}", &context);
                prop_assert_eq!(full.iter().find(|r| r.code() == "rule.spare"), loses.as_ref(), "{}", &context);
                full.retain(|reason| reason.code() != "rule.spare");
                prop_assert_eq!(&told(&full), &meant, "{}", &context);
                prop_assert_eq!(told(&state.unwished(vm, to)), told(&world.unwished(vm, to)), "{}", &context);

                // The quick answers, for what is left when the VM can leave.
                let blocker = state.blocker(&profile, to);
                match blocker {
                    None => prop_assert!(meant.iter().all(|reason| stays.contains(reason)), "{}: {:?}", context, meant),
                    Some(blocker) => {
                        let reason = state.reason(blocker, vm, to, initiative);
                        prop_assert!(
                            meant.contains(&told(std::slice::from_ref(&reason))[0]),
                            "{}: {:?}",
                            context,
                            reason
                        );
                    }
                }
                if one.host != to {
                    prop_assert_eq!(!sifted.contains(to), meant.iter().any(is_sifted), "{}", &context);
                }
                let admits = meant.is_empty() && loses.is_none();
                prop_assert_eq!(state.admits(vm, to, initiative), admits, "{}", &context);
            }
        }
    }
    Ok(())
}

fn together() -> impl Strategy<Value = RuleKind> {
    level().prop_map(|level| RuleKind::Together { level })
}
fn apart() -> impl Strategy<Value = RuleKind> {
    (level(), 0u32..4).prop_map(|(level, at_most)| RuleKind::Apart { level, at_most })
}
fn max_vms() -> impl Strategy<Value = RuleKind> {
    (0u32..5).prop_map(|at_most| RuleKind::MaxVms { at_most })
}
fn capacity() -> impl Strategy<Value = RuleKind> {
    let values = (proptest::option::of(percent()), proptest::option::of(0u64..9), proptest::option::of(percent()));
    values.prop_map(|(memory_overcommit, reserve, cpu_overcommit)| RuleKind::Capacity {
        memory_overcommit,
        memory_reserve: reserve.map(Bytes),
        cpu_overcommit,
    })
}
fn headroom() -> impl Strategy<Value = RuleKind> {
    (percent(), percent()).prop_map(|(memory, cpu)| RuleKind::Headroom { memory, cpu })
}
fn one_way() -> impl Strategy<Value = RuleKind> {
    proptest::sample::select(vec!["gen", "rack"]).prop_map(|label| RuleKind::OneWay { label: label.into() })
}
fn budget() -> impl Strategy<Value = RuleKind> {
    let per = proptest::sample::select(vec![Per::Vm, Per::Rule, Per::Label("app".into())]);
    let limits = (proptest::option::of(0u32..5), proptest::option::of(0u64..9), proptest::option::of(0u32..4));
    (per, limits, 0u64..9).prop_map(|(per, (moves, downtime, at_once), minutes)| RuleKind::Budget {
        per,
        moves,
        downtime: downtime.map(Duration::from_secs),
        within: Duration::from_secs(minutes * 60),
        at_once,
    })
}
fn window() -> impl Strategy<Value = RuleKind> {
    (0u16..24, 1u16..25, any::<bool>()).prop_map(|(from, to, open)| {
        let span = CalendarSpan { days: [true; 7], from: from * 60, to: to * 60, dates: None };
        RuleKind::Window { calendar: Calendar { name: "c".into(), zone: "UTC".into(), spans: vec![span] }, open }
    })
}
fn priority() -> impl Strategy<Value = RuleKind> {
    (0u32..300).prop_map(|rank| RuleKind::Priority { rank })
}

fn any_kind() -> BoxedStrategy<RuleKind> {
    let plain = [RuleKind::Exclude, RuleKind::Pin, RuleKind::KeepOff, RuleKind::Maintenance, RuleKind::Spare];
    let mut kinds: Vec<BoxedStrategy<RuleKind>> = plain.into_iter().map(|kind| Just(kind).boxed()).collect();
    kinds.extend([together().boxed(), apart().boxed(), max_vms().boxed(), capacity().boxed(), headroom().boxed()]);
    kinds.extend([one_way().boxed(), budget().boxed(), window().boxed(), priority().boxed()]);
    Union::new(kinds).boxed()
}

macro_rules! means_what_is_said {
    ($($name:ident: $kind:expr;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(CASES))]
            $(
                #[test]
                fn $name(world in worlds($kind.boxed())) {
                    agrees(&world)?;
                }
            )*
        }
    };
}

means_what_is_said! {
    excluded_vms_and_hosts_take_part_in_no_automatic_move: Just(RuleKind::Exclude);
    pinned_vms_go_to_none_but_their_hosts: Just(RuleKind::Pin);
    vms_that_are_kept_off_hosts_do_not_go_there: Just(RuleKind::KeepOff);
    hosts_in_maintenance_take_nothing: Just(RuleKind::Maintenance);
    vms_that_belong_together_are_not_spread_further: together();
    no_domain_gets_more_than_so_many_vms: apart();
    no_host_gets_more_than_so_many_vms: max_vms();
    hosts_have_limits_of_their_own: capacity();
    headroom_is_left_by_automatic_moves: Union::new([headroom().boxed(), capacity().boxed()]);
    every_host_can_be_lost_that_could_be_before: Union::new([Just(RuleKind::Spare).boxed(), headroom().boxed()]);
    vms_never_go_back_to_an_older_cpu: one_way();
    budgets_of_moves_and_downtime_are_kept: budget();
    automatic_moves_begin_only_while_the_window_is_open: window();
    the_first_rule_that_selects_a_vm_ranks_it: priority();
    rules_of_all_kinds_together_mean_what_each_means: any_kind();
}

proptest! {
    /// [`State::new`] knows no time: only windows and budgets over time are missing.
    #[test]
    fn without_a_present_only_windows_and_budgets_over_time_are_not_looked_at(world in worlds(any_kind())) {
        let timeless = |reason: &Reason| {
            !matches!(reason, Reason::OutsideWindow { .. } | Reason::MovesSpent { .. } | Reason::DowntimeSpent { .. })
        };
        let mut state = State::new(&world.snapshot, &world.rulebook);
        world.bring(&mut state);
        for (vm, _) in world.snapshot.vms_ix() {
            let mut stays = told(&world.stays(vm, Duration::ZERO, Initiative::Automatic));
            stays.retain(timeless);
            prop_assert_eq!(told(&state.vm_stays(vm, Initiative::Automatic)), stays);
        }
    }
}

/// The clusters are not such that a rule never has anything to say.
#[test]
fn every_reason_comes_up_often() {
    let mut runner = TestRunner::deterministic();
    let mut counts: BTreeMap<&'static str, u32> = BTreeMap::new();
    for _ in 0..1500 {
        let world = worlds(any_kind()).new_tree(&mut runner).unwrap().current();
        let state = world.state();
        for (vm, _) in world.snapshot.vms_ix() {
            for (to, _) in world.snapshot.hosts_ix() {
                let reasons = state.why_not(vm, to, Initiative::Automatic).into_iter().chain(state.unwished(vm, to));
                reasons.for_each(|reason| *counts.entry(reason.code()).or_default() += 1);
            }
        }
    }
    let few: Vec<_> = CODES.iter().filter(|code| counts.get(*code).is_none_or(|count| *count < 20)).collect();
    assert!(few.is_empty(), "{few:?} of {counts:#?}");
}

const CODES: [&str; 24] = [
    "rule.excluded",
    "rule.host_excluded",
    "rule.pinned",
    "rule.together",
    "rule.apart",
    "rule.max_vms",
    "rule.headroom",
    "rule.spare",
    "rule.one_way",
    "rule.window",
    "rule.budget_moves",
    "rule.budget_downtime",
    "rule.at_once",
    "rule.soft",
    "host.maintenance",
    "host.unreachable",
    "capacity.memory",
    "capacity.memory_used",
    "capacity.cpu",
    "platform.pages",
    "platform.cells",
    "vm.moving",
    "already_there",
    "data.too_few",
];
