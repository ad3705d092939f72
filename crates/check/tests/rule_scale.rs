//! How long the judgement on a large plan takes under many rules. `cargo test --release -p ulm-check --test rule_scale -- --nocapture
//! --include-ignored`.

mod plans;

use std::time::{Duration, Instant};

use plans::{NOW, host, rule, vm};
use ulm_check::{Fault, Grounds, check, check_beginning};
use ulm_model::*;

/// On each host.
const VMS: u32 = 30;

/// A row of hosts in racks of twenty; the first `MOVED` VMs of each host but the first move to the host before, each when the same one
/// of that host has left, and by a few of each app at once.
const MOVED: u32 = 13;

fn cluster(hosts: u32) -> (Snapshot, Plan) {
    let mut snapshot = Snapshot { taken_at: NOW, ..Snapshot::default() };
    for h in 0..hosts {
        let mut made = host(h);
        made.name = HostName(format!("h{h:05}"));
        (made.memory, made.cpu) = (Bytes::gib(4 * u64::from(VMS) + 120), MilliCpu::cpus(64));
        made.tags = [format!("rack={}", h / 20), "gen=1".into()].into();
        snapshot.hosts.push(made);
    }
    for v in 0..hosts * VMS {
        let mut made = vm(v, v / VMS);
        made.tags = [format!("app={}", v % 500), format!("tenant={}", v % 100)].into();
        snapshot.vms.push(made);
    }
    let step = |i: u32| {
        let (h, v) = (i / MOVED + 1, i % MOVED);
        let vm = &snapshot.vms[(h * VMS + v) as usize];
        let name = |h: u32| snapshot.hosts[h as usize].name.clone();
        Step {
            id: StepId(i),
            action: Action::Move { vm: vm.id, vm_name: vm.name.clone(), from: name(h), to: name(h - 1) },
            after: i.checked_sub(MOVED).into_iter().map(StepId).collect(),
            because: Reason::Calm {},
            expected: None,
        }
    };
    let steps = (0..(hosts - 1) * MOVED).map(step).collect();
    let plan = Plan { parent: snapshot.digest(), made_at: NOW, expires_at: NOW + Duration::from_secs(60), steps };
    (snapshot, plan)
}

fn rules() -> Vec<Rule> {
    let day = Duration::from_secs(86_400);
    let budget =
        |per, at_once| RuleKind::Budget { per, moves: Some(99_999), downtime: Some(day), within: day, at_once };
    let always = CalendarSpan { days: [true; 7], from: 0, to: 0, dates: None };
    let calendar = Calendar { name: "always".into(), zone: "Europe/Vienna".into(), spans: vec![always] };
    let of_kinds = |i: u32| {
        let tenant = VmSelector { name: vec![], tag: vec![format!("tenant={i}")] };
        let kind = match i % 10 {
            0 => RuleKind::Apart { level: Level::Host, at_most: 2 },
            1 => RuleKind::Apart { level: Level::Label("rack".into()), at_most: 9 },
            2 => RuleKind::Together { level: Level::Label("rack".into()) },
            3 => budget(Per::Label("app".into()), Some(MOVED)),
            4 => budget(Per::Vm, Some(1)),
            5 => RuleKind::OneWay { label: "gen".into() },
            6 => RuleKind::Window { calendar: calendar.clone(), open: true },
            7 => RuleKind::Pin,
            8 => RuleKind::MaxVms { at_most: VMS + 1 },
            _ => budget(Per::Rule, Some(MOVED)),
        };
        Rule { vms: tenant, ..rule(kind, "", "*") }
    };
    let mut rules: Vec<Rule> = (0..190).map(of_kinds).collect();
    rules.extend([
        rule(RuleKind::MaxVms { at_most: VMS + MOVED }, "", "*"),
        rule(RuleKind::Apart { level: Level::Label("rack".into()), at_most: 20 * VMS + MOVED }, "*", ""),
        rule(RuleKind::Headroom { memory: Share::percent(10), cpu: Share::percent(10) }, "", "*"),
        rule(RuleKind::Spare, "", "*"),
        rule(
            RuleKind::Capacity { memory_overcommit: None, memory_reserve: Some(Bytes::gib(4)), cpu_overcommit: None },
            "",
            "*",
        ),
        rule(budget(Per::Rule, Some(MOVED)), "*", ""),
        rule(budget(Per::Label("app".into()), Some(MOVED)), "*", ""),
        rule(budget(Per::Vm, Some(1)), "*", ""),
        rule(RuleKind::Exclude, "none-*-such", "none*"),
        rule(RuleKind::Priority { rank: 1 }, "*", ""),
    ]);
    rules
}

fn judged(hosts: u32) {
    let (snapshot, plan) = cluster(hosts);
    let rulebook = Rulebook {
        capacity: Capacity {
            memory_overcommit: Share::WHOLE,
            memory_reserve: Bytes(0),
            cpu_overcommit: Share::percent(400),
        },
        limits: Limits { moves: 100, moves_per_host: 100 },
        rules: rules(),
        sharing: Vec::new(),
    };
    let digest = plan.parent.clone();
    let grounds = Grounds { snapshot: &snapshot, digest: &digest, rulebook: &rulebook, now: NOW, past: &[] };
    let begun = Instant::now();
    let verdict = check(&plan, &grounds).map(|sane| sane.steps).map_err(|fault| fault.to_string());
    println!("{hosts} hosts, {} steps: {verdict:?}, found in {:?}", plan.steps.len(), begun.elapsed());
    assert_eq!(verdict, Ok(plan.steps.len() as u32));

    let mut one = Plan { steps: vec![plan.steps[0].clone()], ..plan.clone() };
    one.steps[0].after.clear();
    let begun = Instant::now();
    assert!(check_beginning(&one, &grounds).is_ok());
    println!("{hosts} hosts, one step that begins: found in {:?}", begun.elapsed());

    // A step at the end that does not wait.
    let mut wide = plan.clone();
    let spoilt = wide.steps.len() - 5;
    wide.steps[spoilt].after.clear();
    let begun = Instant::now();
    let fault = check(&wide, &grounds).unwrap_err();
    println!("{hosts} hosts: {fault}; found in {:?}", begun.elapsed());
    assert!(matches!(fault, Fault::Breaks { step: StepId(step), .. } if step as usize == spoilt));
}

#[test]
fn a_hundred_hosts() {
    judged(100);
}

#[test]
#[ignore = "for measuring"]
fn a_thousand_hosts() {
    judged(1_000);
}
