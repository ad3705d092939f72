//! A question with its answer as text.

use crate::placement::write::{Line, a, b, lines, list, names, object, quoted, seconds, vm_names};
use crate::{Answer, Breach, Certificate, End, Route, RouteAction, RouteStep, Stopped, Task};

use super::{RouteFile, SCHEMA};

pub(super) fn text(file: &RouteFile) -> String {
    let RouteFile { task, cost, costs, answer } = file;
    let mut entries = vec![("schema", quoted(SCHEMA)), ("cost", quoted(cost)), ("a", a(task, 2)), ("b", b(task, 2))];
    match answer {
        Answer::Route(found) => {
            entries.push(("answer", quoted("route")));
            entries.push(("route", route(task, found, costs)));
        }
        Answer::Impossible { certificate } => {
            entries.push(("answer", quoted("impossible")));
            entries.push(("certificate", proof(task, certificate)));
        }
        Answer::Undecided { best, left, explored, why } => {
            entries.push(("answer", quoted("undecided")));
            entries.push(("why", quoted(stopped(*why))));
            entries.push(("explored", explored.to_string()));
            entries.push(("left", list(vm_names(task, left).map(quoted))));
            entries.push(("route", route(task, best, costs)));
        }
    }
    object(entries, 0) + "\n"
}

fn stopped(why: Stopped) -> &'static str {
    match why {
        Stopped::Expansions => "expansions",
        Stopped::Memory => "memory",
        Stopped::Clock => "clock",
        Stopped::Interrupted => "interrupted",
        Stopped::Ideas => "ideas",
    }
}

fn route(task: &Task, route: &Route, costs: &[u64]) -> String {
    let steps = route.steps.iter().enumerate().map(|(s, one)| step(task, s, one, costs.get(s).copied().unwrap_or(0)));
    let entries = [
        ("cost", route.cost.to_string()),
        ("cost_bound", route.cost_bound.to_string()),
        ("makespan_seconds", seconds(route.makespan_ms)),
        ("makespan_bound_seconds", seconds(route.makespan_bound_ms)),
        ("steps", lines(steps, 4)),
    ];
    object(entries, 2)
}

fn step(task: &Task, s: usize, step: &RouteStep, cost: u64) -> String {
    let line = Line::new().value("id", s);
    let host = |at: u32| task.hosts[at as usize].name.as_str();
    let line = match step.action {
        RouteAction::Move { vm, from, to, rate } => {
            let line = line.text("move", &task.vms[vm as usize].name).text("from", host(from)).text("to", host(to));
            line.value_if(rate > 0, "rate", rate).value("cost", cost)
        }
        RouteAction::PowerOn { host: at } => line.text("power_on", host(at)),
        RouteAction::PowerOff { host: at } => line.text("power_off", host(at)),
    };
    let after = list(step.after.iter().map(u32::to_string));
    line.value("after", after).value("start", seconds(step.start_ms)).value("end", seconds(step.end_ms)).end()
}

fn proof(task: &Task, certificate: &Certificate) -> String {
    let line = Line::new();
    match certificate {
        Certificate::Unsound { breach } => {
            let line = line.text("kind", "unsound");
            match *breach {
                Breach::Capacity { host, resource } => line
                    .text("breaks", "capacity")
                    .text("host", &task.hosts[host as usize].name)
                    .text("resource", &task.resources[resource as usize].name),
                Breach::Rule { rule } => line.text("breaks", "rule").text("rule", &task.rules[rule as usize].name),
                Breach::Off { vm } => line.text("breaks", "off").text("vm", &task.vms[vm as usize].name),
                Breach::TakesNothing { vm } => {
                    line.text("breaks", "takes_nothing").text("vm", &task.vms[vm as usize].name)
                }
            }
            .end()
        }
        Certificate::Frozen { from, vms } => {
            line.text("kind", "frozen").text("from", end(*from)).texts("vms", vm_names(task, vms)).end()
        }
        Certificate::Closed { from, classes, states } => {
            let states = states.iter().map(|hosts| list(names(&task.hosts, hosts).map(quoted)));
            let entries = [
                ("kind", quoted("closed")),
                ("from", quoted(end(*from))),
                ("classes", classes_of(task, classes)),
                ("states", lines(states, 4)),
            ];
            object(entries, 2)
        }
        Certificate::Explored { from, classes, states } => {
            let entries = [
                ("kind", quoted("explored")),
                ("from", quoted(end(*from))),
                ("classes", classes_of(task, classes)),
                ("states", states.to_string()),
            ];
            object(entries, 2)
        }
    }
}

fn classes_of(task: &Task, classes: &[Vec<u32>]) -> String {
    lines(classes.iter().map(|vms| list(vm_names(task, vms).map(quoted))), 4)
}

fn end(from: End) -> &'static str {
    match from {
        End::A => "A",
        End::B => "B",
    }
}
