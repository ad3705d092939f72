//! Whether B is sound: all limits and all rules hold there, whatever A has.

use std::collections::HashSet;

use ulm_model::{Breach, Power, Task, TaskRuleKind};

/// The first thing that B breaks.
pub(crate) fn breach(task: &Task) -> Option<Breach> {
    let vms = 0..task.vms.len() as u32;
    let off = vms.clone().map(|vm| Breach::Off { vm });
    let nothing = vms.map(|vm| Breach::TakesNothing { vm });
    let rules = (0..task.rules.len() as u32).map(|rule| Breach::Rule { rule });
    let loads = loads(task);
    let over = |(host, resource): (usize, usize)| loads[resource][host] > task.hosts[host].capacity[resource];
    let places = (0..task.hosts.len()).flat_map(|host| (0..task.resources.len()).map(move |resource| (host, resource)));
    let capacity = places.filter(|place| over(*place));
    let capacity = capacity.map(|(host, resource)| Breach::Capacity { host: host as u32, resource: resource as u32 });
    off.chain(nothing).filter(|one| is_so(task, one)).chain(capacity).chain(rules.filter(|one| is_so(task, one))).next()
}

/// Whether B breaks this. Its numbers must be of the task.
pub(crate) fn is_so(task: &Task, breach: &Breach) -> bool {
    match breach {
        Breach::Capacity { host, resource } => {
            let (h, r) = (*host as usize, *resource as usize);
            load(task, h, r) > task.hosts[h].capacity[r]
        }
        Breach::Rule { rule } => broken(task, &task.rules[*rule as usize].kind),
        Breach::Off { vm } => {
            let host = &task.hosts[task.vms[*vm as usize].to as usize];
            matches!(host.power, Power::Off | Power::SwitchOff { .. })
        }
        Breach::TakesNothing { vm } => {
            let vm = &task.vms[*vm as usize];
            vm.from != vm.to && !task.hosts[vm.to as usize].takes
        }
    }
}

/// What is asked of a host in B.
pub(crate) fn load(task: &Task, host: usize, resource: usize) -> u64 {
    task.vms.iter().filter(|vm| vm.to as usize == host).map(|vm| vm.size[resource]).sum()
}

/// What is asked in B, by resource and host.
fn loads(task: &Task) -> Vec<Vec<u64>> {
    let mut loads = vec![vec![0; task.hosts.len()]; task.resources.len()];
    for vm in &task.vms {
        for (resource, size) in vm.size.iter().enumerate() {
            loads[resource][vm.to as usize] += size;
        }
    }
    loads
}

/// Whether B breaks the rule.
fn broken(task: &Task, rule: &TaskRuleKind) -> bool {
    let to = |vm: &u32| task.vms[*vm as usize].to;
    match rule {
        TaskRuleKind::AtMost { vms, domains, limit } => {
            let mut there = vec![0u64; task.hosts.len()];
            vms.iter().for_each(|vm| there[to(vm) as usize] += 1);
            let count = |hosts: &Vec<u32>| hosts.iter().map(|host| there[*host as usize]).sum::<u64>();
            domains.iter().any(|hosts| count(hosts) > *limit)
        }
        TaskRuleKind::Together { vms } => vms.windows(2).any(|two| to(&two[0]) != to(&two[1])),
        TaskRuleKind::Only { vms, hosts } => {
            let hosts: HashSet<&u32> = hosts.iter().collect();
            vms.iter().any(|vm| !hosts.contains(&to(vm)))
        }
        TaskRuleKind::Never { vms, hosts } => {
            let hosts: HashSet<&u32> = hosts.iter().collect();
            vms.iter().any(|vm| hosts.contains(&to(vm)))
        }
        TaskRuleKind::OneWay { vms, rank } => {
            vms.iter().any(|vm| rank[to(vm) as usize] < rank[task.vms[*vm as usize].from as usize])
        }
    }
}

/// The breach as a part of a sentence.
pub(crate) fn sentence(task: &Task, breach: &Breach) -> String {
    let vm_and_host = |vm: u32| {
        let vm = &task.vms[vm as usize];
        (&vm.name, &task.hosts[vm.to as usize].name)
    };
    match breach {
        Breach::Capacity { host, resource } => {
            let (h, r) = (*host as usize, *resource as usize);
            let (asked, has) = (load(task, h, r), task.hosts[h].capacity[r]);
            format!("{asked} of {} is asked of host {}, which has {has}", task.resources[r].name, task.hosts[h].name)
        }
        Breach::Rule { rule } => format!("rule {} is broken", task.rules[*rule as usize].name),
        Breach::Off { vm } => {
            let (vm, host) = vm_and_host(*vm);
            format!("VM {vm} is on host {host}, which is off")
        }
        Breach::TakesNothing { vm } => {
            let (vm, host) = vm_and_host(*vm);
            format!("VM {vm} is to go to host {host}, which takes nothing")
        }
    }
}
