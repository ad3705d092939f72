//! What a fault says, in words, and faults that only a timetable, a group or a link can have.

mod common;

use common::{moved, route, route_of, rule, step, task};
use ulm_check::{Completeness, RouteFault, check_route};
use ulm_model::*;

fn says(task: &Task, route: &Route) -> String {
    match check_route(task, route, Completeness::ToB) {
        Ok(_) => "sane".into(),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn too_much_of_a_resource_is_told_with_everybody_who_is_there() {
    // h1 has 10: v1 (3) and v2 (4) are there and go to h2; v3 (3), v0 (6) and v4 (2) come.
    let full = task(&[20, 10, 20], &[(0, 1, 6), (1, 2, 3), (1, 2, 4), (0, 1, 3), (0, 1, 2)]);
    let late = route(&[(1, 1, 2, &[]), (4, 0, 1, &[]), (2, 1, 2, &[]), (3, 0, 1, &[0]), (0, 0, 1, &[2])]);
    assert_eq!(
        says(&full, &late),
        "while step 4 brings v0 to h1, memory on h1 can reach 11 of 10: v1, v4 (arriving) and v0 are there, \
         and v1's departure (step 0) need not have ended"
    );
}

#[test]
fn the_first_bad_state_is_told() {
    let ring = task(&[4, 4, 4], &[(0, 1, 4), (1, 0, 4)]);
    let way = |after: [&[u32]; 2]| route(&[(0, 0, 2, &[]), (1, 1, 0, after[0]), (0, 2, 1, after[1])]);
    assert_eq!(says(&ring, &way([&[0], &[0, 1]])), "sane");
    assert_eq!(
        says(&ring, &way([&[], &[0, 1]])),
        "while step 1 brings v1 to h0, memory on h0 can reach 8 of 4: v0 and v1 are there, \
         and v0's departure (step 0) need not have ended"
    );
    assert_eq!(says(&ring, &way([&[0], &[1]])), "sane", "step 1 waits for step 0");
    assert_eq!(
        says(&ring, &way([&[0], &[]])),
        "steps 0 and 2 both move v0, and the later one does not wait for the earlier one"
    );
    let short = route(&[(0, 0, 2, &[]), (1, 1, 0, &[0])]);
    assert_eq!(says(&ring, &short), "at the end v0 is on h2, not on h1");
    let arrived = check_route(&ring, &short, Completeness::AnyPlacement).unwrap();
    assert_eq!((arrived.at, arrived.steps), (vec![2, 0], 2));
}

#[test]
fn rules_are_told_by_name() {
    let mut spread = task(&[9, 9, 9], &[(0, 2, 1), (1, 1, 1)]);
    let domains = vec![vec![0], vec![1, 2]];
    spread.rules.push(rule("racks", TaskRuleKind::AtMost { vms: vec![0, 1], domains: domains.into(), limit: 1 }));
    assert_eq!(
        says(&spread, &route(&[(0, 0, 2, &[])])),
        "while step 0 brings v0 to h2, rule racks can come to 2 of 1: v1 and v0 are there"
    );
    spread.rules[0] = rule("newer", TaskRuleKind::OneWay { vms: vec![0], rank: vec![2, 2, 1] });
    assert_eq!(says(&spread, &route(&[(0, 0, 2, &[])])), "step 0 moves v0 from h0 to h2, and rule newer is against it");
    spread.rules[0].holds = Holds::AtEnd;
    assert_eq!(says(&spread, &route(&[(0, 0, 2, &[])])), "the end itself is not sound: rule newer is broken");
    spread.rules.clear();
    spread.hosts[2].capacity = vec![0];
    spread.resources[0].holds = Holds::AtEnd;
    let unsound = "the end itself is not sound: 1 of memory is asked of host h2, which has 0";
    assert_eq!(says(&spread, &route(&[(0, 0, 2, &[])])), unsound);
}

#[test]
fn a_place_that_is_too_full_in_a_may_stay_so_but_not_in_b() {
    // h0 has 4 and holds 6; v1 may come back while no more is there than before.
    let over = task(&[4, 9], &[(0, 0, 3), (0, 0, 3)]);
    let back = route(&[(1, 0, 1, &[]), (1, 1, 0, &[0])]);
    assert_eq!(says(&over, &back), "the end itself is not sound: 6 of memory is asked of host h0, which has 4");
    assert!(check_route(&over, &back, Completeness::AnyPlacement).is_ok());
}

#[test]
fn a_group_moves_as_a_group() {
    let mut pair = task(&[9, 9, 9], &[(0, 2, 1), (0, 2, 1), (0, 1, 1)]);
    pair.rules.push(rule("pair", TaskRuleKind::Together { vms: vec![0, 1] }));
    let by_h1 = |after: [&[u32]; 4]| {
        let steps: [(u32, u32, u32, &[u32]); 5] =
            [(0, 0, 1, after[0]), (1, 0, 1, after[1]), (0, 1, 2, after[2]), (1, 1, 2, after[3]), (2, 0, 1, &[])];
        says(&pair, &route(&steps))
    };
    assert_eq!(by_h1([&[], &[], &[0, 1], &[0, 1]]), "sane");
    assert_eq!(
        by_h1([&[], &[0], &[0, 1], &[0, 1]]),
        "step 1 moves v1, but not from where, to where and after what v0 moves, which it must be with"
    );
    let gathered = by_h1([&[], &[], &[0], &[0]]);
    assert_eq!(gathered, "step 2 moves v0 on, and does not wait until v1, which it must be with, is there (step 1)");
    let alone = route(&[(0, 0, 2, &[]), (2, 0, 1, &[])]);
    let said = says(&pair, &alone);
    assert_eq!(said, "step 0 moves v0, but not from where, to where and after what v1 moves, which it must be with");
}

#[test]
fn hosts_are_switched_on_before_and_off_after() {
    let mut powers = task(&[9, 9, 9], &[(0, 1, 1), (0, 0, 1)]);
    powers.hosts[1].power = Power::SwitchOn { takes_ms: 10 };
    powers.hosts[2].power = Power::SwitchOff { takes_ms: 10 };
    powers.vms[1].from = 2;
    let (on, off) = (RouteAction::PowerOn { host: 1 }, RouteAction::PowerOff { host: 2 });
    let way = |steps: &[(RouteAction, &[u32])]| {
        let steps = steps.iter().enumerate().map(|(i, (action, after))| step(i, *action, after));
        says(&powers, &route_of(steps.collect()))
    };
    let (first, second) = (moved(0, 0, 1), moved(1, 2, 0));
    assert_eq!(way(&[(on, &[]), (second, &[]), (first, &[0]), (off, &[1])]), "sane");
    assert_eq!(
        way(&[(on, &[]), (second, &[]), (first, &[]), (off, &[1])]),
        "step 2 moves v0 to h1, and does not wait until it has been switched on"
    );
    assert_eq!(
        way(&[(on, &[]), (second, &[]), (first, &[0]), (off, &[])]),
        "step 3 switches h2 off, and does not wait until v1 has left it"
    );
    assert_eq!(way(&[(on, &[]), (second, &[]), (first, &[0])]), "at the end h2 has not been switched off");
    let twice = "step 1 switches h1 on or off, and that is not asked for, or was done before";
    assert_eq!(way(&[(on, &[]), (on, &[])]), twice);
    assert_eq!(way(&[(moved(0, 0, 2), &[])]), "step 0 moves v0 to h2, which is to be switched off");
    assert_eq!(
        way(&[(RouteAction::PowerOff { host: 0 }, &[])]).split(',').next(),
        Some("step 0 switches h0 on or off")
    );
}

#[test]
fn the_timetable_is_possible() {
    let mut wide = task(&[9, 9, 9, 9], &[(0, 2, 1), (0, 2, 1), (1, 3, 1)]);
    wide.links.push(TaskLink { name: "uplink".into(), rate: 100, inside: vec![0, 1] });
    let timed = |times: [(u64, u64, u64); 3], after: &[u32]| {
        let mut all = route(&[(0, 0, 2, &[]), (1, 0, 2, after), (2, 1, 3, &[])]);
        for (step, (start_ms, end_ms, speed)) in all.steps.iter_mut().zip(times) {
            (step.start_ms, step.end_ms) = (start_ms, end_ms);
            if let RouteAction::Move { rate, .. } = &mut step.action {
                *rate = speed;
            }
        }
        all.makespan_ms = times.iter().map(|(_, end, _)| *end).max().unwrap();
        all
    };
    let at_once = timed([(0, 10, 50), (0, 10, 30), (0, 10, 20)], &[]);
    assert_eq!(says(&wide, &at_once), "sane");
    let too_fast = timed([(0, 10, 50), (0, 10, 30), (9, 19, 21)], &[]);
    assert_eq!(says(&wide, &too_fast), "with step 2 moves take 101 bytes/s of link uplink, which carries 100");
    assert_eq!(says(&wide, &timed([(0, 10, 50), (0, 10, 30), (10, 19, 100)], &[])), "sane");
    let early = timed([(0, 10, 0), (9, 10, 0), (9, 10, 0)], &[0]);
    assert_eq!(says(&wide, &early), "step 1 begins at 9 ms, before step 0, which it waits for, ends at 10 ms");
    let turned = timed([(5, 10, 0), (4, 10, 0), (9, 10, 0)], &[]);
    assert_eq!(says(&wide, &turned), "step 1 begins at 4 ms, before the step that is listed before it");
    let back = timed([(5, 4, 0), (5, 10, 0), (9, 10, 0)], &[]);
    assert_eq!(says(&wide, &back), "step 0 ends at 4 ms, before it begins at 5 ms");
    wide.hosts[0].moves_out = 1;
    assert_eq!(says(&wide, &at_once), "with step 1 2 moves from h0 run at once, at most 1 may");
    wide.hosts[0].moves_out = 2;
    wide.hosts[2].moves_in = 1;
    assert_eq!(says(&wide, &at_once), "with step 1 2 moves to h2 run at once, at most 1 may");
    assert_eq!(says(&wide, &timed([(0, 10, 0), (10, 20, 0), (10, 20, 0)], &[])), "sane");
    let mut wrong = timed([(0, 10, 0), (10, 20, 0), (10, 20, 0)], &[]);
    wrong.makespan_ms = 19;
    assert_eq!(says(&wide, &wrong), "the route says that it takes 19 ms, but its last step ends at 20 ms");
}

#[test]
fn a_route_of_no_sound_shape_is_refused() {
    let plain = task(&[9, 9], &[(0, 1, 1)]);
    let fault = |route: &Route| check_route(&plain, route, Completeness::ToB).unwrap_err();
    assert_eq!(fault(&route(&[(7, 0, 1, &[])])), RouteFault::Unknown { step: 0 });
    assert_eq!(fault(&route(&[(0, 0, 2, &[])])), RouteFault::Unknown { step: 0 });
    assert_eq!(fault(&route(&[(0, 0, 1, &[0])])), RouteFault::NotEarlier { step: 0, other: 0 });
    assert_eq!(fault(&route(&[(0, 0, 1, &[]), (0, 1, 0, &[0, 0])])), RouteFault::Unordered { step: 1 });
    assert_eq!(fault(&route(&[(0, 1, 0, &[])])).to_string(), "step 0 moves v0 away from h1, but it is on h0");
    let mut flawed = plain.clone();
    flawed.vms[0].to = 9;
    assert!(matches!(check_route(&flawed, &Route::default(), Completeness::ToB), Err(RouteFault::TaskFlawed { .. })));
    let mut fixed = plain.clone();
    fixed.vms[0].stays = true;
    fixed.vms[0].to = 0;
    assert_eq!(says(&fixed, &route(&[(0, 0, 1, &[])])), "step 0 moves v0, which stays where it is");
}
