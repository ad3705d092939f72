//! What a route comes to, in words.

use std::collections::BTreeMap;
use std::time::Duration;

use ulm_model::{Bytes, Route, RouteAction, Task};

use crate::path::price::Price;
use crate::path::words::{counted, named, span};

/// The route in some lines: how much is moved, what it costs, how long it takes.
pub fn summary(task: &Task, route: &Route, price: &Price) -> String {
    if route.steps.is_empty() {
        return "Nothing is to be done: A is B.".to_owned();
    }
    let mut lines = moved(task, route);
    let bound = price.spoken(route.cost_bound);
    let least = gap(route.cost, route.cost_bound, "no route costs less", &bound);
    lines.push(format!("Cost: {}; {least}", price.spoken(route.cost)));
    let spoken = |ms| span(Duration::from_millis(ms));
    let bound = spoken(route.makespan_bound_ms);
    let least = gap(route.makespan_ms, route.makespan_bound_ms, "no timetable ends sooner", &bound);
    lines.push(format!("Time: {}; {least}", spoken(route.makespan_ms)));
    lines.push("Checked: every state that can be reached keeps all limits and rules.".to_owned());
    lines.join("\n")
}

/// How much is moved, and which VMs go to their hosts by others.
pub fn moved(task: &Task, route: &Route) -> Vec<String> {
    let (mut bytes, mut moves_of, mut switched) = (0u64, BTreeMap::<u32, Vec<u32>>::new(), 0u64);
    for step in &route.steps {
        match step.action {
            RouteAction::Move { vm, to, .. } => {
                bytes = bytes.saturating_add(task.vms[vm as usize].copy.bytes);
                moves_of.entry(vm).or_default().push(to);
            }
            RouteAction::PowerOn { .. } | RouteAction::PowerOff { .. } => switched += 1,
        }
    }
    let mut lines = vec![format!(
        "{} of {}, {} to copy{}",
        counted(route.moves() as u64, "move"),
        counted(moves_of.len() as u64, "VM"),
        Bytes(bytes),
        if switched == 0 { String::new() } else { format!("; {} switched", counted(switched, "host")) }
    )];
    let parked = moves_of.iter().filter(|(_, hosts)| hosts.len() > 1);
    let parked: Vec<String> = parked.map(|(vm, hosts)| detour(task, *vm, hosts)).collect();
    if !parked.is_empty() {
        lines.push(format!("On the way elsewhere: {}", named(parked.iter().map(String::as_str))));
    }
    lines
}

fn detour(task: &Task, vm: u32, hosts: &[u32]) -> String {
    let by: Vec<&str> = hosts[..hosts.len() - 1].iter().map(|host| task.hosts[*host as usize].name.as_str()).collect();
    let times = match hosts.len() {
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    };
    format!("{} moves {times} (by {})", task.vms[vm as usize].name, by.join(", "))
}

fn gap(found: u64, bound: u64, none: &str, spoken: &str) -> String {
    if found <= bound {
        return none.to_owned();
    }
    if bound == 0 {
        return "how little would do is not known".to_owned();
    }
    let above = (found - bound) as f64 * 100.0 / bound as f64;
    format!("{none} than {spoken} (gap {above:.1} %)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_told_with_the_bound() {
        assert_eq!(gap(110, 100, "no route costs less", "100"), "no route costs less than 100 (gap 10.0 %)");
    }
}
