//! Numbers, spans and sums in words.

use std::collections::BTreeMap;
use std::time::Duration;

use ulm_model::{Bytes, Route, RouteAction, Task};

use crate::path::price::Price;
use crate::path::proof::named;

/// `1 state`, `2,000,000 states`.
pub fn counted(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{} {what}s", grouped(number)),
    }
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12.5 s`, `2 min 30 s`, `1 h 5 min 0 s`.
pub fn span(span: Duration) -> String {
    let (seconds, tenths) = (span.as_secs(), span.subsec_millis() / 100);
    match seconds {
        0..60 => format!("{seconds}.{tenths} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min {} s", seconds / 3600, seconds % 3600 / 60, seconds % 60),
    }
}

/// A point of a timetable: `0:12.5`, `1:02:03.0`.
pub fn clock(ms: u64) -> String {
    let (seconds, tenths) = (ms / 1000, ms % 1000 / 100);
    match seconds / 3600 {
        0 => format!("{}:{:02}.{tenths}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}.{tenths}", seconds % 3600 / 60, seconds % 60),
    }
}

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
    fn numbers_and_times_read_as_people_write_them() {
        assert_eq!(counted(1, "state"), "1 state");
        assert_eq!(counted(2_000_000, "state"), "2,000,000 states");
        assert_eq!(grouped(999), "999");
        assert_eq!(span(Duration::from_millis(12_500)), "12.5 s");
        assert_eq!(span(Duration::from_secs(150)), "2 min 30 s");
        assert_eq!(clock(62_300), "1:02.3");
        assert_eq!(clock(3_723_000), "1:02:03.0");
        assert_eq!(gap(110, 100, "no route costs less", "100"), "no route costs less than 100 (gap 10.0 %)");
    }
}
