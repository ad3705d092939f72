//! What the goals of a policy bring about, one by one and together.

mod common;

use std::time::Duration;

use common::*;
use ulm_decide::{Gate, decide};
use ulm_forecast::{Demand, Outlook};
use ulm_model::*;
use ulm_policy::{Custom, Defragment, Goal, GoalKind, Shape, Spread};

fn goal(cluster: &mut Cluster, kind: GoalKind) -> &mut Goal {
    let number = cluster.policy.goals.len();
    cluster.policy.goals.push(Goal::new(&format!("goal {number}"), kind));
    cluster.policy.goals.last_mut().unwrap()
}

fn even(floor: u32) -> GoalKind {
    GoalKind::Even(Spread { floor: Share::percent(floor), ..Spread::default() })
}

/// Three hosts, of which the first carries four VMs of one CPU and a half each.
fn uneven() -> Cluster {
    let mut cluster = Cluster::of(&["a", "b", "c"]);
    for i in 0..4 {
        cluster.vm("a", &format!("vm{i}"), 1500, 8);
    }
    cluster
}

#[test]
fn load_above_the_floor_is_spread_and_said_in_percent() {
    let mut cluster = uneven();
    goal(&mut cluster, even(30));
    let decision = cluster.decide();
    assert!(!decision.plan.steps.is_empty() && decision.sane.is_some(), "{decision}");
    let step = &decision.plan.steps[0];
    assert_eq!(step.because.code(), "goal.nearer");
    let expected = step.expected.as_ref().unwrap();
    let gain = &expected.gains[0];
    assert_eq!((gain.what.as_str(), gain.before.as_str()), ("CPU in use on a", "60 %"));
    assert!(expected.payback.unwrap() <= expected.lasts.unwrap() / 2);
    let gains = &decision.report.goals[0].gains;
    assert_eq!((gains[0].before.as_str(), gains[0].after.as_str()), ("60 %", "30 %"), "{decision}");
}

#[test]
fn a_cluster_below_the_floor_stays_as_it_is_however_uneven() {
    let mut cluster = uneven();
    goal(&mut cluster, even(70));
    let decision = cluster.decide();
    assert_eq!(moves(&decision), [""; 0]);
    assert_eq!(decision.report.goals[0].ends, Some(Reason::NothingBetter {}), "{decision}");
}

#[test]
fn the_worst_resource_decides_not_the_mean_of_all() {
    // 95 % of memory and 5 % of CPU is not "50 %".
    let mut cluster = Cluster::of(&["a", "b"]);
    for i in 0..8 {
        cluster.vm("a", &format!("vm{i}"), 60, 9);
    }
    goal(&mut cluster, even(60));
    let decision = cluster.decide();
    assert!(!decision.plan.steps.is_empty(), "{decision}");
    assert_eq!(decision.report.goals[0].gains[0].what, "memory in use on a");
}

#[test]
fn what_is_done_does_not_depend_on_how_many_other_hosts_there_are() {
    for others in [2, 10, 40] {
        let names: Vec<String> = (0..others).map(|i| format!("other{i:02}")).chain(["a".into()]).collect();
        let mut cluster = Cluster::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
        for i in 0..4 {
            cluster.vm("a", &format!("vm{i}"), 1500, 8);
        }
        goal(&mut cluster, even(30));
        cluster.policy.limits.moves = 8;
        assert_eq!(cluster.moves().len(), 2, "with {others} others");
    }
}

#[test]
fn few_hosts_carry_the_vms_and_the_power_that_is_saved_is_told() {
    let mut cluster = Cluster::of(&["a", "b", "c"]);
    for (host, vm) in [("a", "a0"), ("a", "a1"), ("b", "b0"), ("c", "c0")] {
        cluster.vm(host, vm, 500, 8);
    }
    goal(&mut cluster, GoalKind::Defragment(Defragment { watts: 200, ..Defragment::default() }));
    let decision = cluster.decide();
    assert_eq!(moves(&decision), ["b0: b -> a", "c0: c -> a"], "{decision}");
    let gains = &decision.report.goals[0].gains;
    assert_eq!((gains[0].before.as_str(), gains[0].after.as_str()), ("3", "1"));
    assert_eq!((gains[1].before.as_str(), gains[1].after.as_str()), ("600 W", "200 W"));
    let [hosts, cost] = &decision.report.bounds[..] else { panic!("two bounds: {decision}") };
    assert_eq!((hosts.reached.as_str(), hosts.possible.as_str()), ("1", "no fewer than 1"));
    let percent = |text: &str| text.split(' ').find_map(|word| word.parse::<f64>().ok()).unwrap();
    let (reached, possible) = (percent(&cost.reached), percent(&cost.possible));
    assert!(possible > 0.0 && possible <= reached && reached < 100.0, "{cost}");
}

#[test]
fn a_hole_for_the_largest_vm_is_left_where_vms_are_drawn_together() {
    let decided = |largest: u64| {
        let mut cluster = Cluster::of(&["a", "b", "c"]);
        cluster.vm("a", "a0", 100, largest);
        cluster.vm("b", "b0", 100, 8);
        cluster.vm("c", "c0", 100, 8);
        goal(&mut cluster, GoalKind::Defragment(Defragment::default()));
        cluster.decide()
    };
    let small = decided(16);
    assert_eq!(moves(&small).len(), 2, "two VMs of 8 beside one of 16 leave room for another one: {small}");
    // All three fit on one host, but then no room for another one as large as the largest is left.
    let large = decided(45);
    assert_eq!(moves(&large).len(), 1, "{large}");
}

#[test]
fn a_host_that_somebody_wants_empty_is_emptied_whatever_hole_is_lost() {
    let mut cluster = Cluster::of(&["a", "b"]);
    cluster.vm("a", "a0", 100, 45);
    cluster.vm("b", "b0", 100, 20);
    goal(&mut cluster, GoalKind::Defragment(Defragment::default()));
    assert_eq!(moves(&cluster.decide()), [""; 0]);
    goal(&mut cluster, GoalKind::Evacuate).hosts.name = vec!["b".into()];
    assert_eq!(moves(&cluster.decide()), ["b0: b -> a"]);
}

#[test]
fn hosts_that_would_be_needed_within_the_hour_are_not_emptied() {
    let mut cluster = Cluster::of(&["a", "b"]);
    cluster.vm("a", "a0", 500, 8);
    cluster.vm("b", "b0", 500, 8);
    goal(&mut cluster, GoalKind::Defragment(Defragment::default()));
    let foreseen = |next: u64, later: u64| {
        let mut hours = vec![Demand::steady(MilliCpu(later)); 24];
        hours[0] = Demand::steady(MilliCpu(next));
        let outlooks = vec![Some(Outlook { hours }); 2];
        decide(&cluster.input().with_outlooks(outlooks), &cluster.policy)
    };
    assert_eq!(foreseen(500, 500).plan.steps.len(), 1, "{}", foreseen(500, 500));
    // Together they would be above what a host is filled to in the next hour already.
    assert_eq!(foreseen(3500, 3500).plan.steps.len(), 0);
    let ramp = foreseen(500, 3500);
    assert_eq!(ramp.plan.steps.len(), 1, "an hour of sleep is enough for one small move: {ramp}");
}

#[test]
fn given_hosts_are_emptied_and_their_vms_spread() {
    let mut cluster = Cluster::of(&["a", "b", "c"]);
    for i in 0..4 {
        cluster.vm("a", &format!("vm{i}"), 1000, 8);
    }
    goal(&mut cluster, GoalKind::Evacuate).hosts.name = vec!["a".into()];
    let decision = cluster.decide();
    let to = |host: &str| moves(&decision).iter().filter(|step| step.ends_with(host)).count();
    assert_eq!((to("-> b"), to("-> c")), (2, 2), "{decision}");
    assert_eq!(decision.report.goals[0].gains[0].after, "0");
}

#[test]
fn room_is_made_for_a_large_vm() {
    let mut cluster = Cluster::of(&["a", "b", "c"]);
    for host in ["a", "b", "c"] {
        for i in 0..4 {
            cluster.vm(host, &format!("{host}{i}"), 300, 12);
        }
    }
    let shape = Shape::new(4, Bytes::gib(48), Some(1));
    goal(&mut cluster, GoalKind::MakeRoom(shape));
    let decision = cluster.decide();
    assert_eq!(decision.plan.steps.len(), 1, "one VM of 12 GiB is enough to go: {decision}");
    let gain = &decision.report.goals[0].gains[0];
    assert_eq!((gain.before.as_str(), gain.after.as_str()), ("0", "1"));
}

#[test]
fn vms_of_one_label_come_near_to_each_other() {
    let mut cluster = Cluster::of(&["a1", "a2", "b1"]);
    for (host, rack) in [("a1", "rack=a"), ("a2", "rack=a"), ("b1", "rack=b")] {
        cluster.host_mut(host).tags.insert(rack.into());
    }
    for (host, vm) in [("a1", "shop1"), ("a2", "shop2"), ("b1", "shop3")] {
        let id = cluster.vm(host, vm, 300, 8);
        cluster.vm_mut(id).tags.insert("app=shop".into());
    }
    goal(&mut cluster, GoalKind::Colocate { label: "app".into(), level: Level::Label("rack".into()) });
    let decision = cluster.decide();
    assert_eq!(decision.plan.steps.len(), 1, "{decision}");
    assert!(moves(&decision)[0].starts_with("shop3: b1 -> a"), "{decision}");
}

#[test]
fn rules_that_are_broken_are_mended() {
    let mut cluster = Cluster::of(&["a", "b"]);
    cluster.vm("a", "db1", 300, 8);
    cluster.vm("a", "db2", 300, 8);
    cluster.vm("b", "licensed", 300, 8);
    cluster.rule("name = \"apart\"\nkind = \"keep_off\"\nvm = \"licensed\"\nhost = \"b\"\n");
    cluster.rule("name = \"databases apart\"\nkind = \"apart\"\nvm = \"db*\"\n");
    let decision = cluster.decide();
    let mut moved = moves(&decision);
    moved.sort();
    assert!(moved.iter().any(|step| step.starts_with("db")), "{decision}");
    assert!(moved.contains(&"licensed: b -> a".to_owned()), "{decision}");
    assert!(codes(&decision).contains(&"rule.broken") || decision.plan.steps[0].because.code() == "rule.broken");
}

#[test]
fn a_soft_rule_is_kept_where_it_can_be_and_is_no_obstacle() {
    let mut cluster = Cluster::of(&["a", "b"]);
    cluster.vm("a", "web1", 300, 8);
    cluster.vm("a", "web2", 300, 8);
    cluster.rule("name = \"webs apart\"\nkind = \"apart\"\nsoft = true\nvm = \"web*\"\n");
    assert_eq!(cluster.moves().len(), 1);
    // Where the other host is closed, nothing is said to be broken and nothing moves.
    cluster.host_mut("b").state = HostState::Maintenance;
    assert_eq!(cluster.moves().len(), 0);
}

#[test]
fn no_rule_is_broken_for_a_goal() {
    let mut cluster = Cluster::of(&["a", "b"]);
    cluster.vm("a", "db1", 4000, 8);
    cluster.vm("a", "other", 2000, 8);
    cluster.vm("b", "db2", 500, 8);
    goal(&mut cluster, even(20));
    cluster.rule("name = \"databases apart\"\nkind = \"apart\"\nvm = \"db*\"\n");
    assert_eq!(cluster.moves(), ["other: a -> b"]);
}

#[test]
fn a_goal_is_on_only_by_its_calendar() {
    let mut cluster = uneven();
    let never = Calendar { name: "never".into(), zone: "UTC".into(), spans: vec![] };
    goal(&mut cluster, even(30)).when = Some(never);
    let decision = cluster.decide();
    assert!(decision.plan.steps.is_empty());
    assert_eq!(decision.report.goals[0].ends.as_ref().map(Reason::code), Some("goal.off"), "{decision}");
}

#[test]
fn only_the_vms_that_a_goal_is_about_are_moved_for_it() {
    let mut cluster = uneven();
    goal(&mut cluster, even(30)).vms.name = vec!["vm3".into()];
    assert!(cluster.moves()[0].starts_with("vm3: a -> "));
    assert_eq!(cluster.moves().len(), 1);
}

#[test]
fn a_gain_that_is_too_small_moves_nothing_and_says_how_much_it_would_take() {
    let mut cluster = uneven();
    goal(&mut cluster, even(30));
    cluster.policy.worth.gain = Share::percent(100);
    let decision = cluster.decide();
    assert!(decision.plan.steps.is_empty());
    let worth = decision.report.gates.iter().find(|gate| gate.gate == Gate::Worth).unwrap();
    assert_eq!(worth.held[0].code(), "worth.gain", "{decision}");
}

#[test]
fn a_gain_that_does_not_last_is_not_worth_a_move() {
    let mut cluster = uneven();
    goal(&mut cluster, even(30));
    cluster.policy.worth.lasts = Duration::from_secs(1);
    let decision = cluster.decide();
    assert!(decision.plan.steps.is_empty());
    assert!(codes(&decision).contains(&"worth.payback"), "{decision}");
}

#[test]
fn a_host_that_no_single_move_relieves_is_relieved_by_an_exchange() {
    let mut cluster = Cluster::of(&["a", "b"]);
    // With either of them beside what it has `b` would be too warm.
    cluster.vm("a", "hungry", 5400, 20);
    cluster.vm("a", "filler", 2600, 20);
    cluster.vm("b", "modest", 1800, 20);
    cluster.vm("b", "rest", 2700, 20);
    cluster.policy.hotspot.memory = Share::percent(100);
    let decision = cluster.decide();
    assert!(decision.sane.is_some(), "{decision}");
    let mut moved = moves(&decision);
    moved.sort();
    assert_eq!(moved, ["filler: a -> b", "modest: b -> a"], "{decision}");
    assert_eq!(decision.plan.steps[0].because.code(), "hotspot.overworked");
}

#[test]
fn goals_are_weighed_against_each_other() {
    // Packing and spreading at the same time: the heavier one decides.
    let plan = |pack: u32, spread: u32| {
        let mut cluster = Cluster::of(&["a", "b"]);
        for i in 0..2 {
            cluster.vm("a", &format!("a{i}"), 1200, 8);
            cluster.vm("b", &format!("b{i}"), 1200, 8);
        }
        goal(&mut cluster, GoalKind::Defragment(Defragment::default())).weight = pack;
        goal(&mut cluster, even(0)).weight = spread;
        cluster.policy.worth.lasts = Duration::from_secs(6 * 3600);
        cluster.moves().len()
    };
    assert_eq!(plan(1000, 1), 2);
    assert_eq!(plan(1, 1000), 0);
}

#[test]
fn an_expression_of_the_administrators_decides_where_vms_are_best() {
    let mut cluster = Cluster::of(&["a", "b"]);
    let id = cluster.vm("a", "batch", 300, 8);
    cluster.vm_mut(id).tags.insert("batch".into());
    cluster.vm("a", "web", 300, 8);
    cluster.host_mut("b").tags.insert("spot".into());
    let each = "'batch' in vm.tags && !('spot' in host.tags) ? 10 : 0".to_owned();
    goal(&mut cluster, GoalKind::Custom(Custom { each: Some(each), awake: None }));
    let decision = cluster.decide();
    assert_eq!(moves(&decision), ["batch: a -> b"], "{decision}");
    let gain = &decision.report.goals[0].gains[0];
    assert_eq!((gain.before.as_str(), gain.after.as_str()), ("10", "0"));
}

#[test]
fn a_burst_moves_nothing_and_what_is_usual_does() {
    // What four VMs of 1.5 CPUs each are expected to use hour by hour.
    let decided = |cpu: fn(usize) -> u64| {
        let mut cluster = Cluster::of(&["a", "b"]);
        for i in 0..4 {
            cluster.vm("a", &format!("vm{i}"), 1500, 8);
        }
        goal(&mut cluster, GoalKind::Even(Spread { memory: 0, floor: Share::percent(30), ..Spread::default() }));
        let hours = (0..Outlook::HOURS).map(|hour| Demand::steady(MilliCpu(cpu(hour)))).collect();
        decide(&cluster.input().with_outlooks(vec![Some(Outlook { hours }); 4]), &cluster.policy)
    };
    let lasts = |decision: &ulm_decide::Decision| decision.plan.steps[0].expected.as_ref().unwrap().lasts.unwrap();
    let usual = decided(|_| 1500);
    assert_eq!((usual.plan.steps.len(), lasts(&usual)), (2, Duration::from_secs(24 * 3600)), "{usual}");
    let burst = decided(|_| 250);
    assert_eq!(burst.report.goals[0].ends, Some(Reason::NothingBetter {}), "{burst}");
    // The pressure above the floor falls by less than half of what it falls now when the VMs use 0.9 CPUs.
    let evening = decided(|hour| if hour < 3 { 1500 } else { 900 });
    assert_eq!(lasts(&evening), Duration::from_secs(3 * 3600), "{evening}");
}
