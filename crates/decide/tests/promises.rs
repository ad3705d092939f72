//! The promises of the design that concern decisions, each under its number.

mod common;

use std::time::Duration;

use common::*;
use ulm_check::{Grounds, check};
use ulm_decide::{Input, Past, VmPast, decide, migrate_by_hand};
use ulm_model::ledger::{Entry, Event, MoveCost, MoveKey, Outcome};
use ulm_model::text;
use ulm_model::*;
use ulm_policy::Policy;

fn hot() -> Cluster {
    let mut cluster = Cluster::of(&["hot", "idle-1", "idle-2"]);
    cluster.vm("hot", "big", 4000, 8);
    cluster.vm("hot", "middle", 3000, 8);
    cluster.vm("hot", "small", 2000, 8);
    cluster
}

fn id(cluster: &Cluster, name: &str) -> VmId {
    cluster.snapshot.vms.iter().find(|vm| vm.name == name).unwrap().id
}

/// The ledger's entry for a finished move of the first step.
fn moved(step: &Step, at: Time) -> Entry {
    let Action::Move { vm, vm_name, from, to } = step.action.clone();
    let key = MoveKey { plan: PlanId("p".into()), step: step.id, vm, vm_name, from, to };
    Entry { seq: 1, at, event: Event::MoveEnded { r#move: key, outcome: Outcome::Moved, cost: MoveCost::default() } }
}

#[test]
fn promise_1_no_hard_rule_is_broken_in_any_state_that_the_plan_can_reach() {
    // Two hot hosts want the same target, which has room for one of the two: with both begun and none ended it would be overfull.
    let mut cluster = Cluster::of(&["hot-1", "hot-2", "target"]);
    cluster.policy.limits.moves_per_host = 4;
    for host in ["hot-1", "hot-2"] {
        cluster.vm(host, &format!("{host}-big"), 2000, 40);
        cluster.vm(host, &format!("{host}-rest"), 6700, 8);
    }
    cluster.host_mut("target").memory = Bytes::gib(70);
    cluster.host_mut("target").memory_use = steady(Bytes::gib(1));
    let decision = cluster.decide();
    assert_eq!(moves(&decision), ["hot-1-big: hot-1 -> target"]);
    let receipt = decision.sane.expect("a plan with steps has passed the checker");
    assert_eq!(receipt.plan, decision.plan.id());
}

#[test]
fn promise_2_stale_figures_of_a_host_lead_to_watching() {
    let mut cluster = hot();
    cluster.snapshot.taken_at = NOW - Duration::from_secs(61);
    assert_eq!(codes(&cluster.decide()), ["data.stale"]);
    assert!(cluster.moves().is_empty());

    let mut cluster = hot();
    for figure in &mut cluster.host_mut("hot").cpu_use.0 {
        figure.at = figure.at - Duration::from_secs(61);
    }
    assert!(cluster.moves().is_empty(), "a host whose own figures are old is not relieved");
    assert!(codes(&cluster.decide()).contains(&"data.stale"));

    let mut cluster = hot();
    for figure in &mut cluster.host_mut("idle-1").memory_use.0 {
        figure.at = figure.at - Duration::from_secs(61);
    }
    assert_eq!(cluster.moves(), ["big: hot -> idle-2"], "a target whose figures are old takes nothing");
}

#[test]
fn promise_2_missing_figures_lead_to_watching() {
    let mut cluster = hot();
    cluster.host_mut("hot").memory_use = Recent::default();
    assert!(cluster.moves().is_empty());
    let mut cluster = hot();
    let big = id(&cluster, "big");
    cluster.vm_mut(big).cpu_use.0.truncate(3);
    assert!(cluster.moves()[0].starts_with("middle"), "the VM with too few figures stays, the next one goes");
    cluster.vm_mut(big).cpu_use = steady(MilliCpu(4000));
    cluster.vm_mut(big).needs = None;
    assert!(cluster.moves()[0].starts_with("middle"));
}

#[test]
fn promise_2_what_was_high_before_an_outage_is_not_added_to_what_is_high_after_it() {
    let mut cluster = hot();
    let figures = &mut cluster.host_mut("hot").cpu_use.0;
    let last = figures.len() - 3;
    for figure in &mut figures[..last] {
        figure.at = figure.at - Duration::from_secs(3600);
    }
    let decision = cluster.decide();
    assert!(decision.plan.steps.is_empty(), "three samples are not twelve, whatever was an hour ago");
    assert!(codes(&decision).contains(&"hotspot.not_sustained"));
}

#[test]
fn promise_2_impossible_figures_lead_to_watching() {
    let impossible: [fn(&mut Host); 4] = [
        |host| host.cpu = MilliCpu(0),
        |host| host.memory = Bytes(0),
        |host| host.cpu_use = steady(MilliCpu(10_001)),
        |host| host.memory_use = steady(Bytes::gib(101)),
    ];
    for spoil in impossible {
        let mut cluster = hot();
        spoil(cluster.host_mut("hot"));
        assert!(cluster.moves().is_empty());
        assert!(codes(&cluster.decide()).contains(&"data.impossible"));
        let mut cluster = hot();
        spoil(cluster.host_mut("idle-1"));
        assert_eq!(cluster.moves(), ["big: hot -> idle-2"]);
    }
    let mut cluster = hot();
    cluster.snapshot.taken_at = NOW + Duration::from_secs(3600);
    assert!(cluster.moves().is_empty(), "a round from the future");
    let mut cluster = hot();
    let big = id(&cluster, "big");
    cluster.vm_mut(big).cpu_use = steady(MilliCpu(9000));
    assert!(cluster.moves()[0].starts_with("middle"), "four vCPUs cannot use nine CPUs");
}

#[test]
fn promise_2_what_the_observer_doubts_is_not_moved() {
    let mut cluster = hot();
    cluster.doubt(Scope::Everything);
    assert!(cluster.moves().is_empty());
    let mut cluster = hot();
    cluster.doubt(Scope::Host("hot".into()));
    assert!(cluster.moves().is_empty());
    let mut cluster = hot();
    cluster.doubt(Scope::Host("idle-1".into()));
    assert_eq!(cluster.moves(), ["big: hot -> idle-2"]);
    let mut cluster = hot();
    let big = id(&cluster, "big");
    cluster.doubt(Scope::Vm(big));
    assert_eq!(cluster.moves(), ["middle: hot -> idle-1"]);
}

#[test]
fn promise_2_a_snapshot_of_no_sound_shape_moves_nothing_and_does_not_panic() {
    let mut cluster = hot();
    cluster.snapshot.vms[0].host = HostIx(99);
    assert_eq!(codes(&cluster.decide()), ["data.impossible"]);
    let mut cluster = hot();
    cluster.snapshot.hosts.reverse();
    assert_eq!(codes(&cluster.decide()), ["data.impossible"]);
    let big = id(&cluster, "big");
    assert!(migrate_by_hand(&cluster.input(), &cluster.policy, big, &"idle-1".into(), "ann").is_err());
}

#[test]
fn promise_3_a_vm_is_not_moved_again_inside_its_cool_down_which_survives_a_restart() {
    let mut cluster = hot();
    let first = cluster.decide();
    let ledger = [moved(&first.plan.steps[0], NOW - Duration::from_secs(29 * 60))];
    // The restarted daemon knows nothing but the ledger.
    let mut past = Past::default();
    ledger.iter().for_each(|entry| past.note(entry));
    cluster.past = past;
    cluster.past.hosts.clear();
    assert!(cluster.moves()[0].starts_with("middle"), "big rests");
    assert!(codes(&cluster.decide()).contains(&"vm.cooling_down"));
    cluster.past.vms.values_mut().for_each(|vm| vm.moved = vec![NOW - Duration::from_secs(30 * 60)]);
    assert!(cluster.moves()[0].starts_with("big"), "and may move again");
}

#[test]
fn promise_3_each_further_move_within_a_day_doubles_the_cool_down() {
    let mut cluster = hot();
    let big = id(&cluster, "big");
    let minutes = |n: u64| NOW - Duration::from_secs(60 * n);
    let mut rests = |moved: &[u64]| {
        cluster.past_mut(big).moved = moved.iter().map(|m| minutes(*m)).collect();
        !cluster.moves()[0].starts_with("big")
    };
    assert!(rests(&[200, 59]) && !rests(&[200, 60]));
    assert!(rests(&[500, 200, 119]) && !rests(&[500, 200, 120]));
    assert!(rests(&[29]) && !rests(&[60 * 26, 30]), "a move of the day before yesterday counts no more");
}

#[test]
fn promise_5_same_input_same_plan_byte_for_byte() {
    let cluster = busy_cluster(&["a", "b", "c", "d", "e"]);
    let input = cluster.input();
    let text = |input: &Input| serde_json::to_string(&decide(input, &cluster.policy)).unwrap();
    let first = text(&input);
    assert_eq!(text(&input), first);
    let again: Input = text::read(&text::write(&input)).unwrap();
    assert_eq!(again, input);
    assert_eq!(text(&again), first, "an input that was written and read decides the same");
    let decision = decide(&input, &cluster.policy);
    assert_eq!(text::read::<ulm_decide::Decision>(&text::write(&decision)).unwrap(), decision);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (input, policy) = (input.clone(), cluster.policy.clone());
            std::thread::spawn(move || serde_json::to_string(&decide(&input, &policy)).unwrap())
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap() == first));
}

#[test]
fn promise_5_the_order_in_which_hosts_and_vms_were_found_does_not_matter() {
    let one = busy_cluster(&["a", "b", "c", "d", "e"]).decide();
    let other = busy_cluster(&["d", "b", "e", "a", "c"]).decide();
    assert!(!one.plan.steps.is_empty());
    assert_eq!(serde_json::to_string(&one).unwrap(), serde_json::to_string(&other).unwrap());
}

/// Several hot hosts, ties everywhere.
fn busy_cluster(order: &[&str]) -> Cluster {
    let mut cluster = Cluster::of(order);
    for host in order.iter().filter(|host| **host < "d") {
        for vm in ["x", "y", "z"] {
            cluster.vm(host, &format!("{host}{vm}"), 2800, 4);
        }
    }
    cluster
}

#[test]
fn promise_7_every_vm_of_a_hot_host_that_was_looked_at_has_its_answer() {
    let mut cluster = hot();
    cluster.host_mut("idle-1").state = HostState::Maintenance;
    cluster.host_mut("idle-2").networks.clear();
    let decision = cluster.decide();
    let relief = &decision.report.hosts[0].relief[0];
    assert_eq!(relief.vms.len(), 3);
    assert_eq!(relief.more_vms, 0);
    for vm in &relief.vms {
        let ulm_decide::Answer::Nowhere(counts) = &vm.answer else { panic!("{vm:?}") };
        assert_eq!(counts.iter().map(|(hosts, _)| hosts).sum::<u32>(), 2, "every other host is accounted for");
    }
    let decision = hot().decide();
    assert!(matches!(&decision.plan.steps[0].because, Reason::HostOverworked { host, .. } if host.0 == "hot"));
    let calm = Cluster::of(&["a"]).decide();
    assert_eq!(calm.report.summary, Reason::Calm {}, "to do nothing has a reason too");
}

#[test]
fn promise_8_a_dry_run_decides_the_same() {
    let cluster = hot();
    let on = cluster.input();
    let off = Input { acting: Acting::Off, ..on.clone() };
    let (on, off) = (decide(&on, &cluster.policy), decide(&off, &cluster.policy));
    assert!(!on.plan.steps.is_empty());
    assert_eq!(on.plan.id(), off.plan.id());
    assert_eq!((on.sane, on.report.hosts, on.report.gates), (off.sane, off.report.hosts, off.report.gates));
}

#[test]
fn promise_8_a_dry_run_deducts_what_it_has_moved() {
    // Three hot hosts, one target with room for one of their VMs. Whoever does not deduct sends all three there.
    let mut cluster = Cluster::of(&["hot-1", "hot-2", "hot-3", "target"]);
    cluster.policy.limits.moves_per_host = 4;
    for host in ["hot-1", "hot-2", "hot-3"] {
        cluster.vm(host, &format!("{host}-a"), 4000, 4);
        cluster.vm(host, &format!("{host}-b"), 5000, 4);
    }
    let input = Input { acting: Acting::Off, ..cluster.input() };
    let decision = decide(&input, &cluster.policy);
    assert_eq!(moves(&decision).len(), 1, "{decision}");
    assert!(codes(&decision).contains(&"target.too_warm"));
}

#[test]
fn promise_10_one_bad_vm_host_or_rule_never_sinks_the_plan_for_the_rest() {
    let whole = hot().moves();
    let mut cluster = hot();
    // A host that is nonsense, with a VM that is nonsense, a VM without a definition, and a rule that means nobody.
    cluster.snapshot.hosts.push(Host { cpu: MilliCpu(0), memory: Bytes(0), cpu_use: Recent::default(), ..host("zzz") });
    cluster.vm("zzz", "nonsense", 4_000_000, 1 << 20);
    let unread = cluster.vm("idle-2", "unread", 10, 1);
    cluster.vm_mut(unread).needs = None;
    cluster.rule("name = \"nobody\"\nkind = \"pin\"\nvm = \"nobody-*\"\nhost = \"nowhere\"");
    cluster.doubt(Scope::Vm(unread));
    cluster.doubt(Scope::Host("no-such-host".into()));
    assert_eq!(cluster.moves(), whole);
}

#[test]
fn promise_11_acting_off_is_the_default_and_is_said() {
    assert_eq!(Acting::default(), Acting::Off);
    let cluster = hot();
    let input = Input { acting: Acting::Off, ..cluster.input() };
    assert!(decide(&input, &Policy::default()).report.to_string().ends_with(&format!("{}\n", Reason::ActingOff {})));
}

#[test]
fn a_plan_by_hand_has_passed_the_same_checker() {
    let cluster = hot();
    let input = cluster.input();
    let plan = migrate_by_hand(&input, &cluster.policy, id(&cluster, "small"), &"idle-2".into(), "ann").unwrap();
    let rulebook = cluster.policy.rulebook();
    let grounds = Grounds {
        snapshot: &input.snapshot,
        digest: &input.snapshot.digest(),
        rulebook: &rulebook,
        now: NOW,
        past: &[],
    };
    assert_eq!(check(&plan, &grounds).unwrap().steps, 1);
    assert_eq!(plan.expires_at, NOW + Duration::from_secs(60));
}

#[test]
fn promise_3_a_vm_does_not_go_back_to_a_host_that_it_left_less_than_a_day_ago() {
    let mut cluster = Cluster::of(&["before", "now"]);
    let vm = cluster.vm("now", "wanderer", 5000, 8);
    cluster.vm("now", "rest", 3000, 8);
    let left = |ago: Duration| VmPast { left: [("before".into(), NOW - ago)].into(), ..VmPast::default() };
    let hour = Duration::from_secs(3600);
    cluster.past.vms.insert(vm, left(24 * hour));
    assert_eq!(moves(&cluster.decide()), ["wanderer: now -> before"]);
    cluster.past.vms.insert(vm, left(23 * hour));
    assert_eq!(moves(&cluster.decide()), ["rest: now -> before"], "another one may go");
    assert!(cluster.decide().report.to_string().contains("it left before a short while ago"));
}
