//! Whatever can be asked and answered survives its text; what has no meaning is told with its line.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::placement::{Source, task, write};
use crate::*;

const GI: u64 = 1 << 30;

fn holds() -> impl Strategy<Value = Holds> {
    select(vec![Holds::Always, Holds::AtEnd])
}

fn power() -> impl Strategy<Value = Power> {
    prop_oneof![
        6 => Just(Power::On),
        1 => Just(Power::Off),
        1 => (0u64..1_000_000).prop_map(|takes_ms| Power::SwitchOn { takes_ms }),
        1 => (0u64..1_000_000).prop_map(|takes_ms| Power::SwitchOff { takes_ms }),
    ]
}

fn copying() -> impl Strategy<Value = Copying> {
    let takes = proptest::option::of(0u64..5_000_000);
    (0..64 * GI, 0..GI, 0..GI, 0..GI, takes).prop_map(|(bytes, hot_bytes, hot_rate, cold_rate, takes_ms)| Copying {
        bytes,
        hot_bytes,
        hot_rate,
        cold_rate,
        takes_ms,
    })
}

/// Names with what is awkward in JSON.
fn name(kind: &'static str, at: usize) -> String {
    match at % 4 {
        3 => format!("{kind} \"{at}\" \\ ü\n"),
        _ => format!("{kind}{at}"),
    }
}

fn picked(from: &[Index], of: usize) -> Vec<u32> {
    let mut all: Vec<u32> = if of == 0 { vec![] } else { from.iter().map(|index| index.index(of) as u32).collect() };
    all.sort_unstable();
    all.dedup();
    all
}

fn kind(which: u8, vms: Vec<u32>, hosts: Vec<u32>, number: u32, task: &Task) -> TaskRuleKind {
    let each = crate::Domains::each(task.hosts.len() as u32);
    match which {
        0 => TaskRuleKind::AtMost { vms, domains: each, limit: u64::from(number) },
        1 => TaskRuleKind::AtMost { vms, domains: vec![hosts, vec![]].into(), limit: u64::from(number) },
        2 => TaskRuleKind::Only { vms, hosts },
        3 => TaskRuleKind::Never { vms, hosts },
        4 => TaskRuleKind::OneWay { vms, rank: (0..task.hosts.len() as u32).map(|host| host * number).collect() },
        _ => {
            let grouped = |vm: &u32| {
                task.rules.iter().any(|rule| matches!(&rule.kind, TaskRuleKind::Together { vms } if vms.contains(vm)))
            };
            TaskRuleKind::Together { vms: vms.into_iter().filter(|vm| !grouped(vm)).collect() }
        }
    }
}

prop_compose! {
    fn tasks()(
        resources in vec(holds(), 1..3),
        hosts in vec((vec(0..64 * GI, 2), any::<bool>(), power(), 1u32..4, 1u32..4), 1..6),
        vms in vec((any::<Index>(), any::<Index>(), vec(0..GI, 2), any::<bool>(), copying()), 0..8),
        rules in vec((0u8..6, vec(any::<Index>(), 0..4), vec(any::<Index>(), 0..4), 0u32..4, holds(), any::<bool>()), 0..5),
        links in vec((1..GI, vec(any::<Index>(), 0..4)), 0..3),
    ) -> Task {
        let mut task = Task::default();
        let n = resources.len();
        for (at, holds) in resources.into_iter().enumerate() {
            task.resources.push(TaskResource { name: name("resource", at), holds });
        }
        for (at, (capacity, takes, power, moves_in, moves_out)) in hosts.into_iter().enumerate() {
            // The first host is always on, so that every VM can be somewhere.
            let power = if at == 0 { Power::On } else { power };
            let capacity = capacity[..n].to_vec();
            task.hosts.push(TaskHost { name: name("host", at), capacity, takes, power, moves_in, moves_out });
        }
        for (at, (from, to, size, stays, copy)) in vms.into_iter().enumerate() {
            let mut from = from.index(task.hosts.len()) as u32;
            if matches!(task.hosts[from as usize].power, Power::Off | Power::SwitchOn { .. }) {
                from = 0;
            }
            let to = if stays { from } else { to.index(task.hosts.len()) as u32 };
            task.vms.push(TaskVm { name: name("vm", at), from, to, size: size[..n].to_vec(), stays, copy });
        }
        for (at, (which, vms, hosts, number, holds, soft)) in rules.into_iter().enumerate() {
            let (vms, hosts) = (picked(&vms, task.vms.len()), picked(&hosts, task.hosts.len()));
            let kind = kind(which, vms, hosts, number, &task);
            task.rules.push(TaskRule { name: name("rule", at), holds, soft, kind });
        }
        for (at, (rate, inside)) in links.into_iter().enumerate() {
            task.links.push(TaskLink { name: name("link", at), rate, inside: picked(&inside, task.hosts.len()) });
        }
        task
    }
}

/// Any answer, sane or not: reading judges nothing.
fn answer(task: &Task, which: u8, picks: &[(Index, Index, Index, u64)], number: u64) -> RouteFile {
    let (hosts, vms) = (task.hosts.len(), task.vms.len());
    let mut route = Route { cost: number, cost_bound: number / 2, makespan_ms: number, ..Route::default() };
    let mut costs = Vec::new();
    for (s, (one, two, three, number)) in picks.iter().enumerate() {
        let host = one.index(hosts) as u32;
        let (action, cost) = match number % 4 {
            0 => (RouteAction::PowerOn { host }, 0),
            1 => (RouteAction::PowerOff { host }, 0),
            _ if vms == 0 => continue,
            _ => {
                let to = two.index(hosts) as u32;
                (RouteAction::Move { vm: three.index(vms) as u32, from: host, to, rate: *number }, *number)
            }
        };
        let after = (0..s as u32).filter(|other| (number >> other) & 1 == 1).collect();
        route.steps.push(RouteStep { action, after, start_ms: *number, end_ms: number / 3 });
        costs.push(cost);
    }
    let some: Vec<Index> = picks.iter().map(|(one, ..)| *one).collect();
    let (some_vms, some_hosts) = (picked(&some, vms), picked(&some, hosts));
    let from = if number.is_multiple_of(2) { End::A } else { End::B };
    let breach = match some_vms.first() {
        None => Breach::Capacity { host: 0, resource: 0 },
        Some(vm) if number.is_multiple_of(2) => Breach::Off { vm: *vm },
        Some(_) if !task.rules.is_empty() => Breach::Rule { rule: 0 },
        Some(vm) => Breach::TakesNothing { vm: *vm },
    };
    let certificate = match which {
        2 => Certificate::Unsound { breach },
        3 => Certificate::Frozen { from, vms: some_vms },
        4 => Certificate::Closed { from, classes: vec![some_vms], states: vec![some_hosts, vec![]] },
        _ => Certificate::Explored { from, classes: vec![some_vms, vec![]], states: number },
    };
    let answer = match which {
        0 => Answer::Route(route),
        1 => Answer::Undecided { best: route, left: some_vms_of(&certificate), explored: number, why: Stopped::Clock },
        _ => Answer::Impossible { certificate },
    };
    let costs = if which < 2 { costs } else { vec![] };
    RouteFile { task: task.clone(), cost: "bytes".into(), costs, answer }
}

fn some_vms_of(certificate: &Certificate) -> Vec<u32> {
    match certificate {
        Certificate::Explored { classes, .. } => classes[0].clone(),
        _ => vec![],
    }
}

proptest! {
    #[test]
    fn a_task_survives_its_two_texts(wanted in tasks()) {
        prop_assert_eq!(wanted.flaw(), None);
        let (a, b) = write(&wanted);
        let read = task(Source { file: "A", text: &a }, Source { file: "B", text: &b });
        prop_assert_eq!(read.map_err(|error| format!("{error}\n{a}{b}")), Ok(wanted));
    }

    #[test]
    fn an_answer_survives_its_text(
        task in tasks(),
        which in 0u8..6,
        picks in vec((any::<Index>(), any::<Index>(), any::<Index>(), 0u64..1 << 40), 0..6),
        number in 0u64..1 << 60,
    ) {
        let wanted = answer(&task, which, &picks, number);
        let text = wanted.write();
        let read = RouteFile::read(Source { file: "route", text: &text });
        prop_assert_eq!(read.map_err(|error| format!("{error}\n{text}")), Ok(wanted));
    }
}

fn small() -> RouteFile {
    let host = |name: &str| TaskHost {
        name: name.into(),
        capacity: vec![8],
        takes: true,
        power: Power::On,
        moves_in: 1,
        moves_out: 1,
    };
    let task = Task {
        resources: vec![TaskResource { name: "memory".into(), holds: Holds::Always }],
        hosts: vec![host("h1"), host("h2")],
        vms: vec![TaskVm {
            name: "web".into(),
            from: 0,
            to: 1,
            size: vec![4],
            stays: false,
            copy: Copying { bytes: 4, ..Copying::default() },
        }],
        ..Task::default()
    };
    let action = RouteAction::Move { vm: 0, from: 0, to: 1, rate: 0 };
    let steps = vec![RouteStep { action, after: vec![], start_ms: 0, end_ms: 1250 }];
    let route = Route { steps, cost: 4, cost_bound: 4, makespan_ms: 1250, makespan_bound_ms: 1250 };
    RouteFile { task, cost: "bytes".into(), costs: vec![4], answer: Answer::Route(route) }
}

#[test]
fn a_file_is_made_for_reading() {
    let wanted = r#"{
  "schema": "ulm.route/1",
  "cost": "bytes",
  "a": {
    "schema": "ulm.placement/1",
    "resources": [
      {"name": "memory"}
    ],
    "hosts": [
      {"name": "h1", "capacity": {"memory": 8}},
      {"name": "h2", "capacity": {"memory": 8}}
    ],
    "vms": [
      {"name": "web", "host": "h1", "size": {"memory": 4}, "copy": {"bytes": 4}}
    ]
  },
  "b": {
    "schema": "ulm.placement/1",
    "vms": [
      {"name": "web", "host": "h2"}
    ]
  },
  "answer": "route",
  "route": {
    "cost": 4,
    "cost_bound": 4,
    "makespan_seconds": 1.25,
    "makespan_bound_seconds": 1.25,
    "steps": [
      {"id": 0, "move": "web", "from": "h1", "to": "h2", "cost": 4, "after": [], "start": 0, "end": 1.25}
    ]
  }
}
"#;
    assert_eq!(small().write(), wanted);
}

fn told(that: &str, this: &str) -> String {
    let text = small().write();
    assert!(text.contains(that), "{that} must stand in the text");
    RouteFile::read(Source { file: "route.json", text: &text.replacen(that, this, 1) }).unwrap_err().to_string()
}

#[test]
fn what_has_no_meaning_is_told_with_its_line() {
    assert_eq!(
        told("\"move\": \"web\"", "\"move\": \"wob\""),
        "route.json:30:25: there is no VM `wob`: did you mean `web`? Otherwise name one that is listed in A"
    );
    assert_eq!(
        told("\"id\": 0", "\"id\": 2"),
        "route.json:30:7: step 2 stands in place 0: steps are numbered from 0 in their order"
    );
    assert_eq!(
        told("\"after\": []", "\"after\": [-1]"),
        "route.json:30:79: -1 is negative: a step's number is a whole number from 0 on"
    );
    assert_eq!(
        told("\"end\": 1.25", "\"end\": 1.25, \"by\": 0"),
        "route.json:30:107: `by` is no key of a step: known are id, after, start, end, power_on, power_off, move, from, to, rate, cost"
    );
    assert_eq!(
        told("ulm.route/1", "ulm.plan/1"),
        "route.json:2:13: this is `ulm.plan/1`, but `ulm.route/1` is needed: give a file of that kind"
    );
}

#[test]
fn what_is_wrong_but_has_a_meaning_comes_through_to_the_checker() {
    let text =
        small().write().replace("\"from\": \"h1\"", "\"from\": \"h2\"").replace("\"after\": []", "\"after\": [7]");
    let file = RouteFile::read(Source { file: "route.json", text: &text }).unwrap();
    let Answer::Route(route) = file.answer else { panic!("it is a route") };
    assert_eq!(route.steps[0].action, RouteAction::Move { vm: 0, from: 1, to: 1, rate: 0 });
    assert_eq!(route.steps[0].after, [7]);
}
