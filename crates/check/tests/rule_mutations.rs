//! Plans that rules of every kind allow; one changed thing makes each of them one that they do not.

mod plans;

use std::time::Duration;

use plans::{NOW, World, by_hand, rule};
use ulm_check::Fault;
use ulm_model::*;

fn with(steps: &[(u32, u32, &[u32])], rules: Vec<Rule>) -> World {
    let mut world = World::with(steps);
    world.rulebook.rules = rules;
    world
}

fn racks(world: &mut World, racks: [u32; 4]) {
    for (host, rack) in world.snapshot.hosts.iter_mut().zip(racks) {
        host.tags = [format!("rack={rack}")].into();
    }
}

fn in_flight(world: &mut World, vm: u32, to: Option<u32>) {
    let from = world.snapshot.vms[vm as usize].host;
    world.snapshot.in_flight.push(InFlight { vm: VmIx(vm), from, to: to.map(HostIx), since: NOW });
}

fn rack() -> Level {
    Level::Label("rack".into())
}

#[test]
fn what_is_to_be_apart_does_not_come_together_on_the_way() {
    let apart = |at_most| vec![rule(RuleKind::Apart { level: Level::Host, at_most }, "db-?", "")];
    let mut world = with(&[(4, 3, &[]), (0, 1, &[0])], apart(1));
    for vm in [0, 4] {
        world.snapshot.vms[vm].name = format!("db-{vm}");
    }
    assert_eq!(world.verdict(), Ok(()), "one goes where the other one was");
    world.plan.steps[1].after.clear();
    assert_eq!(
        world.verdict().unwrap_err().to_string(),
        "step 1 cannot move db-0: rule `r` allows 1 of its VMs on h1, and 2 would be there with it"
    );
    world.rulebook.rules[0].soft = true;
    assert_eq!(world.verdict(), Ok(()), "a wish is no obstacle");
    world.rulebook.rules = apart(2);
    assert_eq!(world.verdict(), Ok(()));
}

#[test]
fn within_a_rack_a_vm_counts_once_and_what_was_too_close_may_stay_so() {
    let apart = |at_most| rule(RuleKind::Apart { level: rack(), at_most }, "vm-?", "");
    // vm-0 to vm-3 on h0, vm-4 to vm-7 on h1, vm-8 and vm-9 on h2.
    let mut world = with(&[(0, 1, &[])], vec![apart(8)]);
    racks(&mut world, [0, 0, 1, 1]);
    assert_eq!(world.verdict(), Ok(()), "eight are there before, on the way and after");
    world.rulebook.rules = vec![apart(1)];
    assert_eq!(world.verdict(), Ok(()), "no worse");
    racks(&mut world, [0, 1, 1, 1]);
    let fault = world.verdict().unwrap_err().to_string();
    assert_eq!(fault, "step 0 cannot move vm-0: rule `r` allows 1 of its VMs on rack=1, and 7 would be there with it");
    world.snapshot.hosts[1].tags.clear();
    let fault = world.verdict().unwrap_err().to_string();
    assert_eq!(fault, "step 0 cannot move vm-0: rule `r` allows 1 of its VMs on h1, and 5 would be there with it");
}

#[test]
fn a_vm_in_flight_counts_on_both_hosts() {
    for kind in [RuleKind::Apart { level: Level::Host, at_most: 5 }, RuleKind::MaxVms { at_most: 5 }] {
        let mut world = with(&[(0, 1, &[])], vec![rule(kind, "*", "*")]);
        assert_eq!(world.verdict(), Ok(()), "the fifth");
        in_flight(&mut world, 8, Some(1));
        assert!(["rule.apart", "rule.max_vms"].contains(&world.broken()));
        world.snapshot.in_flight[0].to = Some(HostIx(3));
        assert_eq!(world.verdict(), Ok(()));
        let mut back = with(&[(0, 2, &[])], world.rulebook.rules.clone());
        in_flight(&mut back, 8, Some(1));
        assert_eq!(back.verdict(), Ok(()), "it has not left, and is one of the four");
        back.snapshot.vms[4].host = HostIx(2);
        assert!(["rule.apart", "rule.max_vms"].contains(&back.broken()));
    }
}

#[test]
fn a_vm_in_flight_within_a_rack_counts_once() {
    // vm-0 to vm-7 are in the one rack, and vm-8 comes.
    let mut world = with(&[(8, 0, &[])], vec![rule(RuleKind::Apart { level: rack(), at_most: 9 }, "vm-?", "")]);
    racks(&mut world, [0, 0, 1, 1]);
    in_flight(&mut world, 1, Some(1));
    assert_eq!(world.verdict(), Ok(()));
    in_flight(&mut world, 9, Some(1));
    assert_eq!(world.broken(), "rule.apart");
}

#[test]
fn a_host_has_no_more_vms_than_it_may() {
    let most = |at_most, vms: &str| rule(RuleKind::MaxVms { at_most }, vms, "h1");
    let two: &[(u32, u32, &[u32])] = &[(4, 2, &[]), (0, 1, &[0])];
    assert_eq!(with(two, vec![most(4, "")]).verdict(), Ok(()), "one has left");
    let at_once: &[(u32, u32, &[u32])] = &[(4, 2, &[]), (0, 1, &[])];
    let full = with(at_once, vec![most(4, "")]);
    assert_eq!(
        full.verdict().unwrap_err().to_string(),
        "step 1 cannot move vm-0: rule `r` allows 4 VMs on h1, and 5 would be there with it"
    );
    assert_eq!(with(at_once, vec![most(4, "vm-0")]).verdict(), Ok(()), "of the rule's VMs it is the only one");
    assert_eq!(with(at_once, vec![most(0, "vm-0")]).broken(), "rule.max_vms");
    assert_eq!(with(two, vec![most(2, "")]).verdict(), Ok(()), "no worse");
}

#[test]
fn what_is_together_is_no_more_spread_at_the_end() {
    let pair = |steps: &[(u32, u32, &[u32])], level| {
        let mut world = with(steps, vec![rule(RuleKind::Together { level }, "", "")]);
        world.rulebook.rules[0].vms.name = vec!["vm-0".into(), "vm-1".into()];
        world
    };
    let both = pair(&[(0, 1, &[]), (1, 1, &[0])], Level::Host);
    assert_eq!(both.verdict(), Ok(()), "apart only on the way");
    let mut one = pair(&[(0, 1, &[])], Level::Host);
    assert_eq!(
        one.verdict().unwrap_err().to_string(),
        "step 0 cannot move vm-0: rule `r` keeps it with its companions, which are not where h1 is"
    );
    assert_eq!(one.verdict_on_beginning(), Ok(()), "the end was asked for with the whole plan");
    in_flight(&mut one, 1, Some(1));
    assert_eq!(one.verdict(), Ok(()), "to where the other one goes");
    one.snapshot.in_flight[0].to = Some(HostIx(2));
    assert_eq!(one.verdict(), Ok(()), "as spread as before");
    one.snapshot.in_flight[0].to = None;
    assert_eq!(one.broken(), "rule.together");
    let mut racked = pair(&[(0, 1, &[])], rack());
    racks(&mut racked, [0, 0, 1, 1]);
    assert_eq!(racked.verdict(), Ok(()));
    racks(&mut racked, [0, 1, 1, 1]);
    assert_eq!(racked.broken(), "rule.together");
}

#[test]
fn the_first_rule_that_gives_a_capacity_counts_for_each_value() {
    let capacity = |memory: Option<u32>, reserve: Option<u64>, cpu: Option<u32>| {
        let kind = RuleKind::Capacity {
            memory_overcommit: memory.map(Share::percent),
            memory_reserve: reserve.map(Bytes::gib),
            cpu_overcommit: cpu.map(Share::percent),
        };
        rule(kind, "", "h1")
    };
    // 64 GiB and 16 CPUs; four VMs of 4 GiB and 2 vCPUs, and one more.
    let world = |rules| with(&[(0, 1, &[])], rules);
    assert_eq!(world(vec![capacity(None, Some(44), None)]).verdict(), Ok(()));
    assert_eq!(world(vec![capacity(None, Some(45), None)]).broken(), "capacity.memory");
    assert_eq!(world(vec![capacity(None, Some(45), None), capacity(Some(200), Some(0), None)]).verdict(), Ok(()));
    assert_eq!(world(vec![capacity(Some(31), None, None)]).broken(), "capacity.memory");
    assert_eq!(world(vec![capacity(None, None, Some(63))]).verdict(), Ok(()));
    assert_eq!(world(vec![capacity(None, None, Some(62))]).broken(), "capacity.cpu");
    let other = Rule { hosts: HostSelector { name: vec!["h2".into()], tag: vec![] }, ..capacity(None, None, Some(1)) };
    assert_eq!(world(vec![other]).verdict(), Ok(()));
}

#[test]
fn automatic_moves_leave_the_headroom() {
    let headroom = |memory, cpu| rule(RuleKind::Headroom { memory: Share(memory), cpu: Share(cpu) }, "", "h1");
    let mut world = with(&[(0, 1, &[])], vec![headroom(6875, 8437)]);
    assert_eq!(world.verdict(), Ok(()), "20 of 64 GiB, 10 of 64 vCPUs");
    world.rulebook.rules.push(headroom(6876, 0));
    assert_eq!(
        world.verdict().unwrap_err().to_string(),
        "step 0 cannot move vm-0: rule `r` keeps the memory that h1 still has for emergencies"
    );
    world.plan.steps[0].because = by_hand();
    assert_eq!(world.verdict(), Ok(()), "by hand all of it can be had");
    assert_eq!(with(&[(0, 1, &[])], vec![headroom(0, 8594)]).broken(), "rule.headroom");
    let mut eaten = with(&[(0, 1, &[]), (4, 2, &[])], vec![headroom(8000, 0)]);
    assert_eq!(eaten.broken(), "rule.headroom", "it is eaten already");
    eaten.plan.steps.remove(0);
    assert_eq!(eaten.verdict(), Ok(()), "what leaves is welcome");
}

#[test]
fn what_comes_by_hand_after_an_automatic_move_may_take_of_the_headroom() {
    let headroom = vec![rule(RuleKind::Headroom { memory: Share(6875), cpu: Share(0) }, "", "h1")];
    let mut world = with(&[(0, 1, &[]), (1, 1, &[0])], headroom);
    assert_eq!(world.broken(), "rule.headroom");
    world.plan.steps[1].because = by_hand();
    assert_eq!(world.verdict(), Ok(()));
    world.plan.steps[1].after.clear();
    assert_eq!(world.broken(), "rule.headroom", "it may come first");
}

#[test]
fn a_loss_that_was_survived_still_is() {
    // Four VMs of 4 GiB on each of two hosts; the other two do not count.
    let mut world = with(&[(8, 1, &[])], vec![rule(RuleKind::Spare, "", "")]);
    world.rulebook.rules[0].hosts.name = vec!["h0".into(), "h1".into()];
    let room = |world: &mut World, gib| world.snapshot.hosts[0].memory = Bytes::gib(gib);
    room(&mut world, 36);
    assert_eq!(world.verdict(), Ok(()), "h0 can take five and has four");
    room(&mut world, 35);
    assert_eq!(
        world.verdict().unwrap_err().to_string(),
        "step 0 cannot move vm-8: rule `r`: if h1 failed its VMs would have no place any more"
    );
    room(&mut world, 31);
    assert_eq!(world.verdict(), Ok(()), "h1 could not be lost before");
    room(&mut world, 35);
    world.snapshot.hosts[0].state = HostState::Maintenance;
    assert_eq!(world.verdict(), Ok(()), "h0 is no spare for h1 anyway");
    world.snapshot.hosts[0].state = HostState::Up;
    world.snapshot.hosts[1].cpu = MilliCpu(4000);
    world.snapshot.hosts[0].memory = Bytes::gib(64);
    assert_eq!(world.broken(), "rule.spare", "h1 would have no vCPUs for those of h0");
    world.plan.steps[0].because = by_hand();
    assert_eq!(world.broken(), "rule.spare", "by hand neither");
}

#[test]
fn what_cannot_be_shown_to_survive_a_loss_is_refused_in_these_words() {
    // One VM goes there and another one leaves: at no time there are more than before.
    let mut world = with(&[(4, 2, &[]), (8, 1, &[0])], vec![rule(RuleKind::Spare, "", "")]);
    world.rulebook.rules[0].hosts.name = vec!["h0".into(), "h1".into()];
    world.snapshot.hosts[0].memory = Bytes::gib(35);
    let fault = world.verdict().unwrap_err();
    assert!(matches!(fault, Fault::NotShown { step: StepId(1), .. }));
    assert_eq!(
        fault.to_string(),
        "step 1 cannot move vm-8: as rule `r` wants it, the plan cannot be shown to survive the loss of h1"
    );
    assert!(!fault.passes());
}

#[test]
fn nothing_goes_back_to_an_older_cpu() {
    let mut world =
        with(&[(0, 1, &[]), (0, 2, &[0])], vec![rule(RuleKind::OneWay { label: "gen".into() }, "vm-0", "")]);
    world.starts(1, "h1");
    let mut ages = |gens: [&str; 3]| {
        for (host, gen_) in world.snapshot.hosts.iter_mut().zip(gens) {
            host.tags = [format!("gen={gen_}")].into();
        }
        world.verdict().map_err(|fault| fault.to_string())
    };
    assert_eq!(ages(["9", "10", "10"]), Ok(()));
    assert_eq!(ages(["9", "10", "9"]).unwrap_err(), "step 1 cannot move vm-0: rule `r` does not let it go back to h2");
    assert_eq!(ages(["9", "new", "8"]), Ok(()), "what is no number does not count");
}

#[test]
fn automatic_moves_begin_in_their_window() {
    let working = CalendarSpan { days: [true; 7], from: 8 * 60, to: 17 * 60, dates: None };
    let calendar = Calendar { name: "work".into(), zone: "UTC".into(), spans: vec![working] };
    let window = |open, vm: &str, host: &str| rule(RuleKind::Window { calendar: calendar.clone(), open }, vm, host);
    // 1970-01-01 00:16:40, and that is before eight.
    let shut = with(&[(0, 1, &[])], vec![window(true, "vm-0", "")]);
    assert_eq!(
        shut.verdict().unwrap_err().to_string(),
        "step 0 cannot move vm-0: rule `r` allows no move at this time before 1970-01-01T08:00:00Z"
    );
    for host in ["h0", "h1"] {
        assert_eq!(with(&[(0, 1, &[])], vec![window(true, "", host)]).broken(), "rule.window");
    }
    assert_eq!(with(&[(0, 1, &[])], vec![window(true, "", "h2")]).verdict(), Ok(()));
    assert_eq!(with(&[(0, 1, &[])], vec![window(false, "vm-0", "")]).verdict(), Ok(()));
    let mut later = shut;
    later.now = Time(8 * 3_600_000);
    later.plan.expires_at = Time(i64::MAX);
    assert_eq!(later.verdict(), Ok(()));
    later.now = Time(17 * 3_600_000);
    assert_eq!(later.broken(), "rule.window");
    later.plan.steps[0].because = by_hand();
    assert_eq!(later.verdict(), Ok(()));
}

fn budget(per: Per, moves: Option<u32>, downtime: Option<u64>, at_once: Option<u32>, vms: &str) -> Vec<Rule> {
    let (downtime, within) = (downtime.map(Duration::from_secs), Duration::from_secs(100));
    vec![rule(RuleKind::Budget { per, moves, downtime, within, at_once }, vms, "")]
}

fn past(world: &mut World, vm: u32, seconds_ago: i64, downtime: u64) {
    let (vm, ended) = (world.snapshot.vms[vm as usize].id, Time(world.now.0 - seconds_ago * 1000));
    world.past.push(PastMove { vm, ended, downtime: Duration::from_secs(downtime) });
}

#[test]
fn no_more_moves_are_made_than_the_budget_has() {
    let mut world = with(&[(0, 1, &[])], budget(Per::Rule, Some(3), None, None, "*"));
    past(&mut world, 7, 100, 0);
    past(&mut world, 0, 101, 0);
    in_flight(&mut world, 8, None);
    assert_eq!(world.verdict(), Ok(()), "one that is over, one that runs, and this one; one is forgotten");
    past(&mut world, 5, 0, 0);
    assert_eq!(
        world.verdict().unwrap_err().to_string(),
        "step 0 cannot move vm-0: rule `r` allows 3 move(s) in 100 s, and 3 were made"
    );
    world.plan.steps[0].because = by_hand();
    assert_eq!(world.verdict(), Ok(()));
    let two: &[(u32, u32, &[u32])] = &[(0, 1, &[]), (8, 1, &[0])];
    assert_eq!(with(two, budget(Per::Rule, Some(1), None, None, "*")).broken(), "rule.budget_moves");
    assert_eq!(with(two, budget(Per::Vm, Some(1), None, None, "*")).verdict(), Ok(()));
    let mut apps = with(two, budget(Per::Label("app".into()), Some(1), None, None, "*"));
    assert_eq!(apps.verdict(), Ok(()), "without the label each is by itself");
    apps.snapshot.vms[0].tags.insert("app=a".into());
    apps.snapshot.vms[8].tags.insert("app=b".into());
    assert_eq!(apps.verdict(), Ok(()));
    apps.snapshot.vms[8].tags = ["app=a".into()].into();
    assert_eq!(apps.broken(), "rule.budget_moves");
}

#[test]
fn guests_stand_still_no_longer_than_the_budget_has() {
    let mut world = with(&[(0, 1, &[]), (0, 2, &[0])], budget(Per::Vm, None, Some(6), None, "*"));
    world.starts(1, "h1");
    past(&mut world, 0, 50, 2);
    past(&mut world, 1, 50, 9);
    for step in &mut world.plan.steps {
        step.expected = Some(Expected {
            duration: Duration::from_secs(60),
            downtime: Duration::from_secs(2),
            bytes: Bytes(0),
            gains: vec![],
            payback: None,
            lasts: None,
        });
    }
    assert_eq!(world.verdict(), Ok(()));
    past(&mut world, 0, 60, 1);
    assert_eq!(
        world.verdict().unwrap_err().to_string(),
        "step 1 cannot move vm-0: rule `r` allows 6 s of downtime in 100 s, and it would be 7 s"
    );
    world.plan.steps[1].because = by_hand();
    assert_eq!(world.broken(), "rule.budget_downtime", "what comes by hand is counted");
    world.plan.steps[0].because = by_hand();
    assert_eq!(world.verdict(), Ok(()), "and not bound");
}

#[test]
fn no_more_replicas_move_at_once_than_may() {
    let two = |after: &[u32], at_once| {
        with(&[(0, 1, &[]), (4, 2, &[]), (8, 3, after)], budget(Per::Label("app".into()), None, None, at_once, "*"))
    };
    let replicas = |world: &mut World| {
        [0, 8].into_iter().for_each(|vm| world.snapshot.vms[vm].tags = ["app=db".into()].into());
    };
    let mut world = two(&[0], Some(1));
    replicas(&mut world);
    assert_eq!(world.verdict(), Ok(()), "one after the other");
    let mut world = two(&[1], Some(1));
    assert_eq!(world.verdict(), Ok(()));
    replicas(&mut world);
    let fault = world.verdict().unwrap_err();
    assert!(fault.passes());
    assert_eq!(fault.to_string(), "step 2 cannot move vm-8: rule `r` lets 1 of its VMs move at once, and 1 do");
    world.plan.steps[2].because = by_hand();
    assert_eq!(world.broken(), "rule.at_once", "by hand neither");
    world.plan.steps.truncate(1);
    assert_eq!(world.verdict_on_beginning(), Ok(()));
    in_flight(&mut world, 8, None);
    assert!(world.verdict_on_beginning().unwrap_err().passes(), "another one runs");
    let mut also = two(&[1], Some(1));
    replicas(&mut also);
    also.snapshot.hosts[2].state = HostState::Maintenance;
    assert_eq!(also.broken(), "host.maintenance", "what does not pass is told first");
}

#[test]
fn huge_pages_are_free_where_they_are_needed() {
    let size = Bytes::mib(2);
    let mut world = with(&[(0, 1, &[])], vec![]);
    let cell = |id, gib| {
        let pages = HugePages { size, total: Bytes::gib(9), free: Bytes::gib(gib) };
        Cell { id, pages: vec![pages], ..Cell::default() }
    };
    let needs = |world: &mut World, vm: usize, cells: &[u32]| {
        let needs = world.snapshot.vms[vm].needs.as_mut().unwrap();
        (needs.pages, needs.cells) = (Some(size), cells.iter().copied().collect());
    };
    needs(&mut world, 0, &[]);
    assert_eq!(
        world.verdict().unwrap_err().to_string(),
        "step 0 cannot move vm-0: h1 has 0 B free in pages of 2.0 MiB, it needs 4.0 GiB",
        "a host that does not tell"
    );
    world.snapshot.hosts[1].cells = vec![cell(0, 3), cell(1, 1)];
    world.snapshot.hosts[1].memory_use = Recent(vec![Figure { value: Bytes::gib(64), at: NOW }]);
    assert_eq!(world.verdict(), Ok(()), "it takes nothing of the ordinary memory");
    needs(&mut world, 0, &[0]);
    assert_eq!(world.broken(), "platform.pages");
    needs(&mut world, 0, &[0, 1]);
    assert_eq!(world.verdict(), Ok(()));
    needs(&mut world, 0, &[2]);
    assert_eq!(world.broken(), "platform.cells");
    needs(&mut world, 0, &[1, 0]);
    in_flight(&mut world, 8, Some(1));
    needs(&mut world, 8, &[]);
    assert_eq!(world.broken(), "platform.pages", "another one is on its way");
    world.snapshot.hosts[1].cells[1].pages[0].free = Bytes::gib(5);
    assert_eq!(world.verdict(), Ok(()));
    world.plan.steps = World::with(&[(4, 2, &[]), (0, 1, &[0])]).plan.steps;
    needs(&mut world, 4, &[]);
    world.snapshot.hosts[2].cells = vec![cell(0, 4)];
    world.snapshot.hosts[1].cells[1].pages[0].free = Bytes::gib(4);
    assert_eq!(world.broken(), "platform.pages", "what may have lain elsewhere gives nothing back");
    needs(&mut world, 4, &[1]);
    world.snapshot.hosts[2].cells = vec![cell(1, 4)];
    needs(&mut world, 0, &[1]);
    assert_eq!(world.verdict(), Ok(()), "what was there and has left does");
    world.plan.steps[1].after.clear();
    assert_eq!(world.broken(), "platform.pages", "and not before");
}

#[test]
fn cells_have_what_a_bound_vm_holds() {
    let mut world = with(&[(0, 1, &[])], vec![]);
    world.snapshot.vms[0].needs.as_mut().unwrap().cells = [0, 1].into();
    assert_eq!(
        world.verdict().unwrap_err().to_string(),
        "step 0 cannot move vm-0: h1 cannot take it into NUMA cell(s) 0,1: it does not tell its cells"
    );
    let cell = |id, gib| Cell { id, free: Bytes::gib(gib), ..Cell::default() };
    world.snapshot.hosts[1].cells = vec![cell(0, 3), cell(2, 9)];
    let fault = world.verdict().unwrap_err().to_string();
    assert_eq!(fault, "step 0 cannot move vm-0: h1 cannot take it into NUMA cell(s) 0,1: it has no cell 1");
    world.snapshot.hosts[1].cells = vec![cell(0, 3), cell(1, 1)];
    assert_eq!(world.verdict(), Ok(()));
    world.snapshot.hosts[1].cells = vec![cell(0, 3), cell(1, 0), cell(2, 9)];
    assert_eq!(
        world.verdict().unwrap_err().to_string(),
        "step 0 cannot move vm-0: h1 cannot take it into NUMA cell(s) 0,1: 3.0 GiB is free in them, it holds 4.0 GiB"
    );
    world.snapshot.vms[0].memory_use = Recent(vec![Figure { value: Bytes::gib(3), at: NOW }]);
    assert_eq!(world.verdict(), Ok(()), "what it holds");
    world.snapshot.vms[0].memory_use = Recent::default();
    assert_eq!(world.broken(), "platform.cells", "its size, if that is not known");
}

#[test]
fn who_is_moved_last_makes_no_plan_unsound() {
    assert_eq!(with(&[(0, 1, &[])], vec![rule(RuleKind::Priority { rank: 900 }, "vm-0", "")]).verdict(), Ok(()));
}

#[test]
fn wishes_forbid_nothing() {
    for (kind, host) in [(RuleKind::Pin, "h2"), (RuleKind::KeepOff, "h1")] {
        let mut world = with(&[(0, 1, &[])], vec![rule(kind, "vm-0", host)]);
        assert_eq!(world.broken(), "rule.pinned");
        world.rulebook.rules[0].soft = true;
        assert_eq!(world.verdict(), Ok(()));
    }
}
