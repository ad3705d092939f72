//! A task as the texts of A and B: one line for each host, VM, rule and link.

use std::fmt::{Display, Write};

use crate::{Holds, Power, Task, TaskHost, TaskRule, TaskRuleKind, TaskVm};

use super::listing::SCHEMA;

/// A and B as texts that are read back as the same task; all numbers plain, without units.
///
/// Names of rules and links must be unique: they are in every task that was read.
pub fn write(task: &Task) -> (String, String) {
    (a(task, 0) + "\n", b(task, 0) + "\n")
}

/// An object on one line, key by key.
pub(crate) struct Line(String);

impl Line {
    pub fn new() -> Self {
        Line(String::from("{"))
    }
    /// A value that is JSON already, e.g. a number.
    pub fn value(mut self, key: &str, value: impl Display) -> Self {
        let separator = if self.0.len() > 1 { ", " } else { "" };
        write!(self.0, "{separator}\"{key}\": {value}").expect("a String takes everything");
        self
    }
    pub fn text(self, key: &str, text: &str) -> Self {
        self.value(key, quoted(text))
    }
    pub fn texts<'n>(self, key: &str, texts: impl Iterator<Item = &'n str>) -> Self {
        self.value(key, list(texts.map(quoted)))
    }
    /// As `value`, if the condition holds: else the key is left out.
    pub fn value_if(self, wanted: bool, key: &str, value: impl Display) -> Self {
        if wanted { self.value(key, value) } else { self }
    }
    pub fn end(self) -> String {
        self.0 + "}"
    }
}

/// A text in quotation marks.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text always has a JSON form")
}

/// A list on one line.
pub(crate) fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A list with a line for each item, within something that is indented by so much.
pub(crate) fn lines(items: impl Iterator<Item = String>, indent: usize) -> String {
    let (inner, outer) = (" ".repeat(indent + 2), " ".repeat(indent));
    let mut text = String::from("[");
    for (i, item) in items.enumerate() {
        let separator = if i == 0 { "" } else { "," };
        write!(text, "{separator}\n{inner}{item}").expect("a String takes everything");
    }
    if text.len() > 1 {
        write!(text, "\n{outer}").expect("a String takes everything");
    }
    text + "]"
}

/// An object with a line for each key, within something that is indented by so much.
pub(crate) fn object(entries: impl IntoIterator<Item = (&'static str, String)>, indent: usize) -> String {
    let (inner, outer) = (" ".repeat(indent + 2), " ".repeat(indent));
    let entries: Vec<String> = entries.into_iter().map(|(key, value)| format!("{inner}\"{key}\": {value}")).collect();
    format!("{{\n{}\n{outer}}}", entries.join(",\n"))
}

/// Milliseconds as seconds, exactly.
pub(crate) fn seconds(ms: u64) -> String {
    match (ms / 1000, ms % 1000) {
        (whole, 0) => whole.to_string(),
        (whole, rest) => format!("{whole}.{}", format!("{rest:03}").trim_end_matches('0')),
    }
}

pub(crate) fn a(task: &Task, indent: usize) -> String {
    let mut entries = vec![("schema", quoted(SCHEMA))];
    let holds = |line: Line, holds: Holds| line.value_if(holds == Holds::AtEnd, "holds", quoted("at_end"));
    let resources = task.resources.iter().map(|one| holds(Line::new().text("name", &one.name), one.holds).end());
    entries.push(("resources", lines(resources, indent + 2)));
    entries.push(("hosts", lines(task.hosts.iter().map(|one| host(task, one)), indent + 2)));
    entries.push(("vms", lines(task.vms.iter().map(|one| vm(task, one)), indent + 2)));
    if !task.rules.is_empty() {
        entries.push(("rules", lines(task.rules.iter().map(|one| rule(task, one)), indent + 2)));
    }
    if !task.links.is_empty() {
        let links = task.links.iter().map(|one| {
            let line = Line::new().text("name", &one.name).value("rate", one.rate);
            line.texts("hosts", names(&task.hosts, &one.inside)).end()
        });
        entries.push(("links", lines(links, indent + 2)));
    }
    object(entries, indent)
}

pub(crate) fn b(task: &Task, indent: usize) -> String {
    let mut entries = vec![("schema", quoted(SCHEMA))];
    let switched: Vec<String> = task.hosts.iter().filter_map(switched).collect();
    if !switched.is_empty() {
        entries.push(("hosts", lines(switched.into_iter(), indent + 2)));
    }
    let vms = task.vms.iter().map(|vm| {
        let host = &task.hosts[vm.to as usize].name;
        Line::new().text("name", &vm.name).text("host", host).end()
    });
    entries.push(("vms", lines(vms, indent + 2)));
    object(entries, indent)
}

fn switched(host: &TaskHost) -> Option<String> {
    let power = match host.power {
        Power::On | Power::Off => return None,
        Power::SwitchOn { .. } => "on",
        Power::SwitchOff { .. } => "off",
    };
    Some(Line::new().text("name", &host.name).text("power", power).end())
}

fn amounts(task: &Task, amounts: &[u64]) -> String {
    let all = task.resources.iter().zip(amounts);
    let all: Vec<String> = all.map(|(resource, amount)| format!("{}: {amount}", quoted(&resource.name))).collect();
    format!("{{{}}}", all.join(", "))
}

fn host(task: &Task, host: &TaskHost) -> String {
    let mut line = Line::new().text("name", &host.name).value("capacity", amounts(task, &host.capacity));
    line = line.value_if(!host.takes, "takes", false);
    line = match host.power {
        Power::On => line,
        Power::Off => line.text("power", "off"),
        Power::SwitchOn { takes_ms } => line.text("power", "off").value("boot_seconds", seconds(takes_ms)),
        Power::SwitchOff { takes_ms } => line.value("shutdown_seconds", seconds(takes_ms)),
    };
    line = line.value_if(host.moves_in != 1, "moves_in", host.moves_in);
    line.value_if(host.moves_out != 1, "moves_out", host.moves_out).end()
}

fn vm(task: &Task, vm: &TaskVm) -> String {
    let host = &task.hosts[vm.from as usize].name;
    let mut copy = Line::new().value("bytes", vm.copy.bytes);
    copy = copy.value_if(vm.copy.hot_bytes > 0, "hot_bytes", vm.copy.hot_bytes);
    copy = copy.value_if(vm.copy.hot_rate > 0, "hot_rate", vm.copy.hot_rate);
    copy = copy.value_if(vm.copy.cold_rate > 0, "cold_rate", vm.copy.cold_rate);
    if let Some(ms) = vm.copy.takes_ms {
        copy = copy.value("seconds", seconds(ms));
    }
    let line = Line::new().text("name", &vm.name).text("host", host).value("size", amounts(task, &vm.size));
    line.value_if(vm.stays, "stays", true).value("copy", copy.end()).end()
}

fn rule(task: &Task, rule: &TaskRule) -> String {
    let line = Line::new().text("name", &rule.name);
    let line = match &rule.kind {
        TaskRuleKind::AtMost { vms, domains, limit } => {
            let line = match limit {
                1 => line.text("kind", "apart"),
                _ => line.text("kind", "at_most").value("limit", limit),
            };
            let each_host = domains.len() == task.hosts.len()
                && domains.iter().enumerate().all(|(h, domain)| domain.as_slice() == [h as u32]);
            let line = line.texts("vms", vm_names(task, vms));
            if each_host {
                line
            } else {
                line.value("on", list(domains.iter().map(|hosts| list(names(&task.hosts, hosts).map(quoted)))))
            }
        }
        TaskRuleKind::Together { vms } => line.text("kind", "together").texts("vms", vm_names(task, vms)),
        TaskRuleKind::Only { vms, hosts } => {
            line.text("kind", "only").texts("vms", vm_names(task, vms)).texts("hosts", names(&task.hosts, hosts))
        }
        TaskRuleKind::Never { vms, hosts } => {
            line.text("kind", "never").texts("vms", vm_names(task, vms)).texts("hosts", names(&task.hosts, hosts))
        }
        TaskRuleKind::OneWay { vms, rank } => {
            let ranks = task.hosts.iter().zip(rank).filter(|(_, rank)| **rank > 0);
            let ranks: Vec<String> = ranks.map(|(host, rank)| format!("{}: {rank}", quoted(&host.name))).collect();
            let line = line.text("kind", "one_way").texts("vms", vm_names(task, vms));
            line.value("ranks", format!("{{{}}}", ranks.join(", ")))
        }
    };
    let line = line.value_if(rule.holds == Holds::AtEnd, "holds", quoted("at_end"));
    line.value_if(rule.soft, "soft", true).end()
}

/// The names of hosts by their places.
pub(crate) fn names<'n>(hosts: &'n [TaskHost], places: &'n [u32]) -> impl Iterator<Item = &'n str> {
    places.iter().map(|at| hosts[*at as usize].name.as_str())
}

/// The names of VMs by their places.
pub(crate) fn vm_names<'n>(task: &'n Task, places: &'n [u32]) -> impl Iterator<Item = &'n str> {
    places.iter().map(|at| task.vms[*at as usize].name.as_str())
}
