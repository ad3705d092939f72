//! VMs that can never make their first move, or their last one: what each of them lacks.

use ulm_model::{End, Holds, Task, TaskRuleKind};

use super::{amounts, closed_host, vm_names};
use crate::path::words::named;

/// So many VMs are explained, the rest is named.
const EXPLAINED: usize = 5;

pub fn sentences(task: &Task, from: End, vms: &[u32]) -> String {
    let scene = Scene::new(task, from, vms);
    let names = named(vm_names(task, vms.iter().copied()));
    let first = match (from, vms.len()) {
        (End::A, 1) => format!("{names} can never leave its host, wherever the other VMs are:"),
        (End::A, _) => {
            format!("Whichever of {names} left its host first, it would find no other, wherever the other VMs are:")
        }
        (End::B, 1) => format!("{names} can never come to its host of B, wherever the other VMs are:"),
        (End::B, _) => {
            format!(
                "Whichever of {names} came to its host of B last, there is none that it could come from, wherever the other VMs are:"
            )
        }
    };
    let mut lines = vec![first];
    // Those that are to move are asked about first.
    let mut order = vms.to_vec();
    order.sort_by_key(|vm| task.vms[*vm as usize].from == task.vms[*vm as usize].to);
    lines.extend(order.iter().take(EXPLAINED).map(|vm| format!("  {}", scene.why(*vm))));
    if vms.len() > EXPLAINED {
        lines.push(format!("  and {} more in the same way", vms.len() - EXPLAINED));
    }
    let away = vms.iter().map(|vm| &task.vms[*vm as usize]).find(|vm| vm.from != vm.to);
    if let Some(vm) = away {
        let (from, to) = (&task.hosts[vm.from as usize].name, &task.hosts[vm.to as usize].name);
        lines.push(format!("But {} is on {from} and is to be on {to}.", vm.name));
    }
    lines.join("\n")
}

/// The listed VMs alone, where they are in A or in B.
struct Scene<'t> {
    task: &'t Task,
    from: End,
    listed: Vec<u32>,
    /// Room beside the listed VMs, by host and resource.
    room: Vec<Vec<u64>>,
    /// What is free in all hosts together, for resources that always hold.
    free: Vec<Option<u64>>,
}

/// What is against a host.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Against {
    Resource(usize),
    Rule(usize),
    Closed(&'static str),
}

impl<'t> Scene<'t> {
    fn new(task: &'t Task, from: End, listed: &[u32]) -> Self {
        let mut room: Vec<Vec<u64>> = task.hosts.iter().map(|host| host.capacity.clone()).collect();
        let mut loads = vec![vec![0u64; task.resources.len()]; task.hosts.len()];
        for vm in &task.vms {
            vm.size.iter().enumerate().for_each(|(r, size)| loads[vm.from as usize][r] += size);
        }
        for (host, load) in room.iter_mut().zip(&loads) {
            host.iter_mut().zip(load).for_each(|(room, load)| *room = (*room).max(*load));
        }
        let free = task.resources.iter().enumerate().map(|(r, resource)| {
            let had: u64 = room.iter().map(|host| host[r]).sum();
            let asked: u64 = task.vms.iter().map(|vm| vm.size[r]).sum();
            (resource.holds == Holds::Always).then(|| had.saturating_sub(asked))
        });
        let free = free.collect();
        for vm in listed.iter().map(|vm| &task.vms[*vm as usize]) {
            let at = if from == End::A { vm.from } else { vm.to };
            let room = &mut room[at as usize];
            room.iter_mut().zip(&vm.size).for_each(|(room, size)| *room = room.saturating_sub(*size));
        }
        Scene { task, from, listed: listed.to_vec(), room, free }
    }

    /// Where a listed VM is.
    fn at(&self, vm: u32) -> u32 {
        let vm = &self.task.vms[vm as usize];
        if self.from == End::A { vm.from } else { vm.to }
    }

    fn room(&self, host: usize, r: usize) -> u64 {
        self.room[host][r].min(self.free[r].unwrap_or(u64::MAX))
    }

    fn why(&self, vm: u32) -> String {
        let asks = &self.task.vms[vm as usize];
        if asks.stays {
            return format!("{} stays where it is", asks.name);
        }
        let others: Vec<usize> = (0..self.task.hosts.len()).filter(|host| *host as u32 != self.at(vm)).collect();
        let against: Vec<Against> = others.iter().filter_map(|host| self.against(vm, *host)).collect();
        // One resource that is short everywhere says all.
        let open = || others.iter().copied().filter(|host| closed_host(self.task, *host).is_none());
        for r in 0..self.task.resources.len() {
            let best =
                open().map(|host| (self.room(host, r), host)).max_by_key(|(room, host)| (*room, usize::MAX - host));
            let Some((room, host)) = best.filter(|(room, _)| *room < asks.size[r]) else { continue };
            let (asked, said) = amounts(self.task, r, asks.size[r], room);
            let (what, host) = (&self.task.resources[r].name, &self.task.hosts[host].name);
            if self.free[r] == Some(room) {
                return format!(
                    "{} asks for {asked} of {what}; all hosts together never have more than {said} free",
                    asks.name
                );
            }
            let room = said;
            return format!(
                "{} asks for {asked} of {what}; the most that can ever be free on another host is {room}, on {host}",
                asks.name
            );
        }
        let mut kinds: Vec<(&Against, usize)> = Vec::new();
        for one in &against {
            match kinds.iter_mut().find(|(kind, _)| *kind == one) {
                Some((_, times)) => *times += 1,
                None => kinds.push((one, 1)),
            }
        }
        let hosts = |n: usize| if n == 1 { "1 host".to_owned() } else { format!("{n} hosts") };
        let told: Vec<String> = kinds
            .into_iter()
            .map(|(kind, times)| match kind {
                Against::Resource(r) => {
                    format!("{} can never have enough {} free", hosts(times), self.task.resources[*r].name)
                }
                Against::Rule(rule) => {
                    format!("the rule \"{}\" is against {}", self.task.rules[*rule].name, hosts(times))
                }
                Against::Closed(why) => format!("{} {why}", hosts(times)),
            })
            .collect();
        match told.is_empty() {
            true => format!("{} has no other host to go to", asks.name),
            false => format!("{} has no other host to go to: {}", asks.name, told.join(", ")),
        }
    }

    /// What is against the VM's coming to (or from) that host.
    fn against(&self, vm: u32, host: usize) -> Option<Against> {
        if self.from == End::A
            && let Some(why) = closed_host(self.task, host)
        {
            return Some(Against::Closed(why));
        }
        let rule = (0..self.task.rules.len()).find(|rule| self.forbids(*rule, vm, host as u32));
        let short = || {
            let size = &self.task.vms[vm as usize].size;
            (0..size.len()).find(|r| size[*r] > self.room(host, *r))
        };
        rule.map(Against::Rule).or_else(|| short().map(Against::Resource))
    }

    fn forbids(&self, rule: usize, vm: u32, host: u32) -> bool {
        let rule = &self.task.rules[rule];
        let always = rule.holds == Holds::Always;
        match &rule.kind {
            TaskRuleKind::AtMost { vms, domains, limit } => {
                let Some(domain) = domains.iter().find(|domain| domain.contains(&host)) else { return false };
                let named = |other: &u32| *other != vm && vms.contains(other);
                let there = self.listed.iter().filter(|other| named(other) && domain.contains(&self.at(**other)));
                always && vms.contains(&vm) && there.count() as u64 >= *limit
            }
            TaskRuleKind::Together { .. } => false,
            TaskRuleKind::Only { vms, hosts } => always && vms.contains(&vm) && !hosts.contains(&host),
            TaskRuleKind::Never { vms, hosts } => always && vms.contains(&vm) && hosts.contains(&host),
            TaskRuleKind::OneWay { vms, rank } => {
                let (here, there) = (rank[self.at(vm) as usize], rank[host as usize]);
                always && vms.contains(&vm) && if self.from == End::A { there < here } else { there > here }
            }
        }
    }
}
