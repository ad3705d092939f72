//! A route as a chart: one line for each step, time from left to right.

use ulm_model::{Route, RouteAction, Task};

use crate::path::tell;
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
    let last = tell::clock(route.makespan_ms);
    let first = tell::clock(0);
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
