//! A question with its answer from text.

use crate::placement::json::{Keys, Node};
use crate::placement::names::Index;
use crate::placement::problem::Report;
use crate::placement::{PlacementError, Source, count, schema, seconds, small_count, task_of};
use crate::{Answer, Breach, Certificate, End, Route, RouteAction, RouteStep, Stopped, Task};

use super::{RouteFile, SCHEMA};

pub(super) fn file(source: Source<'_>) -> Result<RouteFile, PlacementError> {
    let mut report = Report::new(vec![source]);
    let read = Node::whole(source.text, &mut report).and_then(|node| whole(node, &mut report));
    report.end()?;
    Ok(read.expect("what has no problem was read"))
}

fn whole<'t>(node: Node<'t>, report: &mut Report<'t>) -> Option<RouteFile> {
    let mut keys = Keys::open(node, "a route's file", report)?;
    if !schema(&mut keys, SCHEMA, report) {
        return None;
    }
    let cost = keys.need("cost", report).and_then(|node| node.name("what moves cost, e.g. \"bytes\"", report));
    let (a, b) = (keys.need("a", report), keys.need("b", report));
    let kinds = [("route", Kind::Route), ("impossible", Kind::Impossible), ("undecided", Kind::Undecided)];
    let kind = keys.need("answer", report).and_then(|node| node.word(&kinds, report));
    let task = task_of(a, b, ["A", "B"], report)?;
    let names = Names::of(&task);
    let answer = match kind?.value {
        Kind::Route => {
            let route = keys.need("route", report).and_then(|node| route(node, &names, report));
            route.map(|(route, costs)| (Answer::Route(route), costs))
        }
        Kind::Impossible => {
            let certificate = keys.need("certificate", report).and_then(|node| proof(node, &names, report));
            certificate.map(|certificate| (Answer::Impossible { certificate }, Vec::new()))
        }
        Kind::Undecided => undecided(&mut keys, &names, report),
    };
    keys.done(report);
    let (answer, costs) = answer?;
    drop(names);
    Some(RouteFile { task, cost: cost?.value.into_owned(), costs, answer })
}

#[derive(Clone, Copy)]
enum Kind {
    Route,
    Impossible,
    Undecided,
}

struct Names<'n> {
    hosts: Index<'n>,
    vms: Index<'n>,
    resources: Index<'n>,
    rules: Index<'n>,
}

impl<'n> Names<'n> {
    fn of(task: &'n Task) -> Self {
        let remedy = "name one that is listed in A";
        Names {
            hosts: Index::of("host", remedy, task.hosts.iter().map(|one| one.name.as_str())),
            vms: Index::of("VM", remedy, task.vms.iter().map(|one| one.name.as_str())),
            resources: Index::of("resource", remedy, task.resources.iter().map(|one| one.name.as_str())),
            rules: Index::of("rule", remedy, task.rules.iter().map(|one| one.name.as_str())),
        }
    }
}

fn named<'t>(keys: &mut Keys<'t>, key: &'static str, index: &Index<'_>, report: &mut Report<'t>) -> Option<u32> {
    let name = keys.need(key, report)?.name("a name in quotation marks", report)?;
    index.find(&name, report)
}

fn all<'t>(node: Node<'t>, index: &Index<'_>, report: &mut Report<'t>) -> Vec<u32> {
    let names = node.names("a list of names", report);
    index.find_all(&names, report)
}

fn number<'t>(keys: &mut Keys<'t>, key: &'static str, report: &mut Report<'t>) -> Option<u64> {
    keys.need(key, report).and_then(|node| count(node, "this", report)).map(|spot| spot.value)
}

fn time<'t>(keys: &mut Keys<'t>, key: &'static str, report: &mut Report<'t>) -> Option<u64> {
    keys.need(key, report).and_then(|node| seconds(node, report)).map(|spot| spot.value)
}

fn route<'t>(node: Node<'t>, names: &Names<'_>, report: &mut Report<'t>) -> Option<(Route, Vec<u64>)> {
    let mut keys = Keys::open(node, "a route", report)?;
    let cost = number(&mut keys, "cost", report);
    let cost_bound = number(&mut keys, "cost_bound", report);
    let makespan_ms = time(&mut keys, "makespan_seconds", report);
    let makespan_bound_ms = time(&mut keys, "makespan_bound_seconds", report);
    let nodes = keys.need("steps", report).map_or(Vec::new(), |node| node.list("a list of steps", report));
    let (mut steps, mut costs) = (Vec::with_capacity(nodes.len()), Vec::with_capacity(nodes.len()));
    for (s, node) in nodes.into_iter().enumerate() {
        let Some((step, cost)) = step(node, s, names, report) else { continue };
        steps.push(step);
        costs.push(cost);
    }
    keys.done(report);
    let route = Route {
        steps,
        cost: cost?,
        cost_bound: cost_bound?,
        makespan_ms: makespan_ms?,
        makespan_bound_ms: makespan_bound_ms?,
    };
    Some((route, costs))
}

fn step<'t>(node: Node<'t>, s: usize, names: &Names<'_>, report: &mut Report<'t>) -> Option<(RouteStep, u64)> {
    let mut keys = Keys::open(node, "a step", report)?;
    if let Some(id) = number(&mut keys, "id", report).filter(|id| *id != s as u64) {
        report.at(node.at, format!("step {id} stands in place {s}: steps are numbered from 0 in their order"));
    }
    let after = keys.need("after", report).map_or(Vec::new(), |node| node.list("a list of steps' numbers", report));
    let after = after.into_iter().filter_map(|node| Some(small_count(node, "a step's number", report)?.value));
    let after = after.collect();
    let (start, end) = (time(&mut keys, "start", report), time(&mut keys, "end", report));
    let switched = ["power_on", "power_off"].into_iter().find(|key| keys.take(key).is_some());
    let (action, cost) = match switched {
        Some(key) => {
            let host = named(&mut keys, key, &names.hosts, report);
            let on = key == "power_on";
            (host.map(|host| if on { RouteAction::PowerOn { host } } else { RouteAction::PowerOff { host } }), Some(0))
        }
        None => {
            let vm = named(&mut keys, "move", &names.vms, report);
            let from = named(&mut keys, "from", &names.hosts, report);
            let to = named(&mut keys, "to", &names.hosts, report);
            let rate = keys.take("rate").and_then(|node| count(node, "a rate", report)).map_or(0, |spot| spot.value);
            let moved = vm.zip(from).zip(to).map(|((vm, from), to)| RouteAction::Move { vm, from, to, rate });
            (moved, number(&mut keys, "cost", report))
        }
    };
    keys.done(report);
    Some((RouteStep { action: action?, after, start_ms: start?, end_ms: end? }, cost?))
}

fn undecided<'t>(keys: &mut Keys<'t>, names: &Names<'_>, report: &mut Report<'t>) -> Option<(Answer, Vec<u64>)> {
    let reasons = [
        ("expansions", Stopped::Expansions),
        ("memory", Stopped::Memory),
        ("clock", Stopped::Clock),
        ("interrupted", Stopped::Interrupted),
        ("ideas", Stopped::Ideas),
    ];
    let why = keys.need("why", report).and_then(|node| node.word(&reasons, report));
    let explored = number(keys, "explored", report);
    let left = keys.need("left", report).map(|node| all(node, &names.vms, report));
    let best = keys.need("route", report).and_then(|node| route(node, names, report));
    let (best, costs) = best?;
    Some((Answer::Undecided { best, left: left?, explored: explored?, why: why?.value }, costs))
}

#[derive(Clone, Copy)]
enum Proof {
    Unsound,
    Frozen,
    Closed,
    Explored,
}

fn proof<'t>(node: Node<'t>, names: &Names<'_>, report: &mut Report<'t>) -> Option<Certificate> {
    let mut keys = Keys::open(node, "a certificate", report)?;
    let kinds = [
        ("unsound", Proof::Unsound),
        ("frozen", Proof::Frozen),
        ("closed", Proof::Closed),
        ("explored", Proof::Explored),
    ];
    let kind = keys.need("kind", report).and_then(|node| node.word(&kinds, report))?.value;
    let read = match kind {
        Proof::Unsound => breach(&mut keys, names, report).map(|breach| Certificate::Unsound { breach }),
        Proof::Frozen => {
            let from = end(&mut keys, report);
            let vms = keys.need("vms", report).map(|node| all(node, &names.vms, report));
            from.zip(vms).map(|(from, vms)| Certificate::Frozen { from, vms })
        }
        Proof::Closed => {
            let (from, classes) = (end(&mut keys, report), classes(&mut keys, names, report));
            let states = keys.need("states", report).map(|node| node.list("a list of states", report));
            let states = states.map(|nodes| nodes.into_iter().map(|node| all(node, &names.hosts, report)).collect());
            from.zip(classes).zip(states).map(|((from, classes), states)| Certificate::Closed { from, classes, states })
        }
        Proof::Explored => {
            let (from, classes) = (end(&mut keys, report), classes(&mut keys, names, report));
            let states = number(&mut keys, "states", report);
            from.zip(classes).zip(states).map(|((from, classes), states)| Certificate::Explored {
                from,
                classes,
                states,
            })
        }
    };
    keys.done(report);
    read
}

fn end<'t>(keys: &mut Keys<'t>, report: &mut Report<'t>) -> Option<End> {
    let node = keys.need("from", report)?;
    Some(node.word(&[("A", End::A), ("B", End::B)], report)?.value)
}

fn classes<'t>(keys: &mut Keys<'t>, names: &Names<'_>, report: &mut Report<'t>) -> Option<Vec<Vec<u32>>> {
    let lists = keys.need("classes", report)?.list("a list of classes, each a list of VMs", report);
    Some(lists.into_iter().map(|node| all(node, &names.vms, report)).collect())
}

fn breach<'t>(keys: &mut Keys<'t>, names: &Names<'_>, report: &mut Report<'t>) -> Option<Breach> {
    let kinds = [("capacity", 0), ("rule", 1), ("off", 2), ("takes_nothing", 3)];
    match keys.need("breaks", report).and_then(|node| node.word(&kinds, report))?.value {
        0 => {
            let host = named(keys, "host", &names.hosts, report);
            let resource = named(keys, "resource", &names.resources, report);
            Some(Breach::Capacity { host: host?, resource: resource? })
        }
        1 => Some(Breach::Rule { rule: named(keys, "rule", &names.rules, report)? }),
        2 => Some(Breach::Off { vm: named(keys, "vm", &names.vms, report)? }),
        _ => Some(Breach::TakesNothing { vm: named(keys, "vm", &names.vms, report)? }),
    }
}
