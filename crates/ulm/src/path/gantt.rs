//! A route as a chart: one line for each step, time from left to right.

use ulm_model::{Route, RouteAction, Task};

use crate::path::words;
use crate::print;

/// The least room that bars have, however long the names are.
const LEAST: usize = 20;

/// As wide as the terminal.
pub fn chart(task: &Task, route: &Route) -> String {
    drawn(task, route, print::columns())
}

fn drawn(task: &Task, route: &Route, columns: usize) -> String {
    let labels: Vec<String> = route.steps.iter().enumerate().map(|(s, step)| label(task, s, step.action)).collect();
    let wide = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let room = columns.saturating_sub(wide + 1).max(LEAST);
    let end = route.makespan_ms.max(1);
    let place = |ms: u64| (u128::from(ms.min(end)) * room as u128 / u128::from(end)) as usize;
    let last = words::clock(route.makespan_ms);
    let first = words::clock(0);
    let space = room.saturating_sub(first.len() + last.len());
    let mut lines = vec![format!("{:wide$} {first}{:space$}{last}", "", "")];
    for (label, step) in labels.iter().zip(&route.steps) {
        let from = place(step.start_ms).min(room - 1);
        let long = place(step.end_ms).saturating_sub(from).max(1);
        lines.push(format!("{label:wide$} {:from$}{}", "", "█".repeat(long)));
    }
    lines.join("\n")
}

fn label(task: &Task, s: usize, action: RouteAction) -> String {
    let host = |at: u32| &task.hosts[at as usize].name;
    match action {
        RouteAction::Move { vm, from, to, .. } => {
            format!("{s:>3} {}: {} to {}", task.vms[vm as usize].name, host(from), host(to))
        }
        RouteAction::PowerOn { host: at } => format!("{s:>3} switch on {}", host(at)),
        RouteAction::PowerOff { host: at } => format!("{s:>3} switch off {}", host(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulm_model::{RouteStep, TaskHost, TaskVm};

    #[test]
    fn bars_stand_where_the_steps_are_in_time() {
        let host = |name: &str| TaskHost {
            name: name.into(),
            capacity: vec![],
            takes: true,
            power: Default::default(),
            moves_in: 1,
            moves_out: 1,
        };
        let vm = TaskVm { name: "web".into(), from: 0, to: 1, size: vec![], stays: false, copy: Default::default() };
        let task = Task { hosts: vec![host("h1"), host("h2")], vms: vec![vm], ..Task::default() };
        let step = |action, start_ms, end_ms| RouteStep { action, after: vec![], start_ms, end_ms };
        let steps = vec![
            step(RouteAction::PowerOn { host: 1 }, 0, 5000),
            step(RouteAction::Move { vm: 0, from: 0, to: 1, rate: 0 }, 5000, 10_000),
            step(RouteAction::PowerOff { host: 0 }, 10_000, 10_000),
        ];
        let route = Route { steps, makespan_ms: 10_000, ..Route::default() };
        let wanted = [
            "                  0:00.0        0:10.0",
            "  0 switch on h2  ██████████",
            "  1 web: h1 to h2           ██████████",
            "  2 switch off h1                    █",
        ];
        let wanted = wanted.join("\n");
        assert_eq!(drawn(&task, &route, 38), wanted);
        assert_eq!(drawn(&task, &route, 0), wanted, "bars keep some room on the narrowest terminal");
    }
}
