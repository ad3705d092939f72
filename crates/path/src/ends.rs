//! Whether B itself keeps every limit and rule.

use ulm_model::{Breach, Power, Task, TaskRuleKind};

/// What B breaks, if anything: rules that hold at the end as well as those that always hold, and every limit as it is written.
pub(crate) fn breach_of_b(task: &Task) -> Option<Breach> {
    for (v, vm) in task.vms.iter().enumerate() {
        let host = &task.hosts[vm.to as usize];
        if matches!(host.power, Power::Off | Power::SwitchOff { .. }) {
            return Some(Breach::Off { vm: v as u32 });
        }
        if vm.from != vm.to && !host.takes {
            return Some(Breach::TakesNothing { vm: v as u32 });
        }
    }
    for resource in 0..task.resources.len() {
        let mut asked = vec![0u64; task.hosts.len()];
        task.vms.iter().for_each(|vm| asked[vm.to as usize] += vm.size[resource]);
        let over = (0..task.hosts.len()).find(|h| asked[*h] > task.hosts[*h].capacity[resource]);
        if let Some(host) = over {
            return Some(Breach::Capacity { host: host as u32, resource: resource as u32 });
        }
    }
    let broken = |kind: &TaskRuleKind| {
        let to = |vm: &u32| task.vms[*vm as usize].to;
        match kind {
            TaskRuleKind::AtMost { vms, domains, limit } => {
                let mut there = vec![0u64; task.hosts.len()];
                vms.iter().for_each(|vm| there[to(vm) as usize] += 1);
                let count = |hosts: &Vec<u32>| hosts.iter().map(|host| there[*host as usize]).sum::<u64>();
                domains.iter().any(|hosts| count(hosts) > *limit)
            }
            TaskRuleKind::Together { vms } => vms.windows(2).any(|pair| to(&pair[0]) != to(&pair[1])),
            TaskRuleKind::Only { vms, hosts } => vms.iter().any(|vm| !hosts.contains(&to(vm))),
            TaskRuleKind::Never { vms, hosts } => vms.iter().any(|vm| hosts.contains(&to(vm))),
            TaskRuleKind::OneWay { vms, rank } => vms.iter().any(|vm| {
                let vm = &task.vms[*vm as usize];
                rank[vm.to as usize] < rank[vm.from as usize]
            }),
        }
    };
    task.rules.iter().position(|rule| broken(&rule.kind)).map(|rule| Breach::Rule { rule: rule as u32 })
}
