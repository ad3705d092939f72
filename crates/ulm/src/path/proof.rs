//! A proof that there is no route, as sentences for people. They only explain: the checker has judged the proof itself.

mod frozen;

use ulm_model::{Breach, Bytes, Certificate, End, Power, Task, TaskRuleKind};

use crate::path::words::{counted, grouped, named};

/// Why there is no route.
pub fn sentences(task: &Task, certificate: &Certificate) -> String {
    match certificate {
        Certificate::Unsound { breach } => format!("B itself cannot be: {}.", broken(task, *breach)),
        Certificate::Frozen { from, vms } => frozen::sentences(task, *from, vms),
        Certificate::Closed { from, classes, states } => closed(task, *from, classes, states.len() as u64),
        Certificate::Explored { from, classes, states } => closed(task, *from, classes, *states),
    }
}

/// An amount of a resource. Resources of which hosts have a GiB or more are taken for bytes.
fn amount(task: &Task, resource: usize, amount: u64) -> String {
    let bytes = task.hosts.iter().any(|host| host.capacity[resource] >= 1 << 30);
    if bytes { Bytes(amount).to_string() } else { grouped(amount) }
}

/// Two amounts that differ; exactly, if they would read the same otherwise.
fn amounts(task: &Task, resource: usize, one: u64, other: u64) -> (String, String) {
    let (first, second) = (amount(task, resource, one), amount(task, resource, other));
    if first == second && one != other { (grouped(one), grouped(other)) } else { (first, second) }
}

fn vm_names(task: &Task, vms: impl Iterator<Item = u32>) -> impl Iterator<Item = &str> {
    vms.map(|vm| task.vms[vm as usize].name.as_str())
}

fn broken(task: &Task, breach: Breach) -> String {
    let host = |at: u32| task.hosts[at as usize].name.as_str();
    match breach {
        Breach::Capacity { host: at, resource } => {
            let r = resource as usize;
            let there = || task.vms.iter().filter(|vm| vm.to == at && vm.size[r] > 0);
            let asked = there().map(|vm| vm.size[r]).sum();
            let (asked, had) = amounts(task, r, asked, task.hosts[at as usize].capacity[r]);
            let mut largest: Vec<_> = there().collect();
            largest.sort_by(|one, other| other.size[r].cmp(&one.size[r]).then(one.name.cmp(&other.name)));
            let names = named(largest.into_iter().map(|vm| vm.name.as_str()));
            let what = &task.resources[r].name;
            format!("{} has {had} of {what}, and the VMs that are to be there ask for {asked} ({names})", host(at))
        }
        Breach::Rule { rule } => {
            let rule = &task.rules[rule as usize];
            format!("the rule \"{}\" is broken there: {}", rule.name, rule_broken(task, &rule.kind))
        }
        Breach::Off { vm } => {
            let vm = &task.vms[vm as usize];
            format!("VM {} is to be on {}, which is off in B", vm.name, host(vm.to))
        }
        Breach::TakesNothing { vm } => {
            let vm = &task.vms[vm as usize];
            format!("VM {} is to go to {}, which takes nothing", vm.name, host(vm.to))
        }
    }
}

fn rule_broken(task: &Task, kind: &TaskRuleKind) -> String {
    let to = |vm: u32| task.vms[vm as usize].to;
    let host = |at: u32| task.hosts[at as usize].name.as_str();
    let placed = |vms: Vec<u32>| {
        let all: Vec<String> =
            vms.into_iter().map(|vm| format!("{} on {}", task.vms[vm as usize].name, host(to(vm)))).collect();
        named(all.iter().map(String::as_str))
    };
    match kind {
        TaskRuleKind::AtMost { vms, domains, limit } => {
            let full = domains.iter().find_map(|domain| {
                let there: Vec<u32> = vms.iter().copied().filter(|vm| domain.contains(&to(*vm))).collect();
                (there.len() as u64 > *limit).then_some((domain, there))
            });
            full.map_or_else(String::new, |(domain, there)| {
                let domain = named(domain.iter().map(|at| host(*at)));
                let there_names = named(vm_names(task, there.iter().copied()));
                format!("at most {limit} may be on {domain}, and {} are: {there_names}", there.len())
            })
        }
        TaskRuleKind::Together { vms } => format!("they are on several hosts: {}", placed(vms.clone())),
        TaskRuleKind::Only { vms, hosts } => {
            let wrong = vms.iter().copied().filter(|vm| !hosts.contains(&to(*vm))).collect();
            format!("it allows {} only: {}", named(hosts.iter().map(|at| host(*at))), placed(wrong))
        }
        TaskRuleKind::Never { vms, hosts } => {
            let wrong = vms.iter().copied().filter(|vm| hosts.contains(&to(*vm))).collect();
            format!("it forbids {}", placed(wrong))
        }
        TaskRuleKind::OneWay { vms, rank } => {
            let down = |vm: &u32| rank[to(*vm) as usize] < rank[task.vms[*vm as usize].from as usize];
            format!("to hosts of a lower rank go {}", placed(vms.iter().copied().filter(down).collect()))
        }
    }
}

fn closed(task: &Task, from: End, classes: &[Vec<u32>], states: u64) -> String {
    let members: usize = classes.iter().map(Vec::len).sum();
    if members == 0 {
        return "No VM can move at all, and A is not B.".to_owned();
    }
    let names = named(vm_names(task, classes.iter().flatten().copied()));
    let alike = if members == classes.len() { "" } else { " (those that are alike are not told apart)" };
    let states = counted(states, "placement");
    match from {
        End::A => format!(
            "Wherever the other VMs are, from A only {states} of {names}{alike} can be reached, and B is not among them."
        ),
        End::B => format!(
            "Wherever the other VMs are, B can be reached from only {states} of {names}{alike}, and A is not among them."
        ),
    }
}

/// Whether a host may be the target of any move, and if not, why.
fn closed_host(task: &Task, host: usize) -> Option<&'static str> {
    match task.hosts[host].power {
        Power::Off => Some("is off"),
        Power::SwitchOff { .. } => Some("is to be switched off"),
        Power::On | Power::SwitchOn { .. } if !task.hosts[host].takes => Some("takes nothing"),
        Power::On | Power::SwitchOn { .. } => None,
    }
}

#[cfg(test)]
mod tests;
