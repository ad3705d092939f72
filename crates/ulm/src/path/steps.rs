//! A route as a table of its steps.

use std::time::Duration;

use ulm_model::{Route, RouteAction, Task};

use crate::path::words;
use crate::print::{self, Side};

/// One line for each step, in the order in which they begin.
pub fn table(task: &Task, route: &Route) -> String {
    let host = |at: u32| task.hosts[at as usize].name.clone();
    let rows = route.steps.iter().enumerate().map(|(s, step)| {
        let (what, from, to) = match step.action {
            RouteAction::Move { vm, from, to, .. } => (task.vms[vm as usize].name.clone(), host(from), host(to)),
            RouteAction::PowerOn { host: at } => (format!("switch on {}", host(at)), String::new(), String::new()),
            RouteAction::PowerOff { host: at } => (format!("switch off {}", host(at)), String::new(), String::new()),
        };
        let takes = words::span(Duration::from_millis(step.end_ms.saturating_sub(step.start_ms)));
        let after = step.after.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        vec![s.to_string(), words::clock(step.start_ms), takes, what, from, to, after]
    });
    let headings = [
        ("STEP", Side::Right),
        ("BEGINS", Side::Right),
        ("TAKES", Side::Right),
        ("MOVE", Side::Left),
        ("FROM", Side::Left),
        ("TO", Side::Left),
        ("AFTER", Side::Left),
    ];
    print::table(&headings, rows.collect())
}
