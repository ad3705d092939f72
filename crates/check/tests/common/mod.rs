//! Small tasks and routes, by hand and at random.
#![allow(dead_code)]

use proptest::prelude::*;
use ulm_model::*;

pub fn host(i: usize, capacity: &[u64]) -> TaskHost {
    TaskHost {
        name: format!("h{i}"),
        capacity: capacity.to_vec(),
        takes: true,
        power: Power::On,
        moves_in: 99,
        moves_out: 99,
    }
}

pub fn vm(i: usize, from: u32, to: u32, size: &[u64]) -> TaskVm {
    TaskVm { name: format!("v{i}"), from, to, size: size.to_vec(), stays: false, copy: Copying::default() }
}

pub fn rule(name: &str, kind: TaskRuleKind) -> TaskRule {
    TaskRule { name: name.into(), holds: Holds::Always, soft: false, kind }
}

/// Hosts of these capacities of memory, and VMs of (from, to, size).
pub fn task(capacities: &[u64], vms: &[(u32, u32, u64)]) -> Task {
    Task {
        resources: vec![TaskResource { name: "memory".into(), holds: Holds::Always }],
        hosts: capacities.iter().enumerate().map(|(i, capacity)| host(i, &[*capacity])).collect(),
        vms: vms.iter().enumerate().map(|(i, (from, to, size))| vm(i, *from, *to, &[*size])).collect(),
        rules: vec![],
        links: vec![],
    }
}

/// Step `i` of a route that does one thing after the other by the clock.
pub fn step(i: usize, action: RouteAction, after: &[u32]) -> RouteStep {
    RouteStep { action, after: after.to_vec(), start_ms: i as u64 * 10, end_ms: i as u64 * 10 + 10 }
}

pub fn moved(vm: u32, from: u32, to: u32) -> RouteAction {
    RouteAction::Move { vm, from, to, rate: 0 }
}

pub fn route_of(steps: Vec<RouteStep>) -> Route {
    let makespan_ms = steps.iter().map(|step| step.end_ms).max().unwrap_or(0);
    Route { steps, makespan_ms, ..Route::default() }
}

/// A route of (vm, from, to, after).
pub fn route(moves: &[(u32, u32, u32, &[u32])]) -> Route {
    let steps = moves.iter().enumerate();
    route_of(steps.map(|(i, (vm, from, to, after))| step(i, moved(*vm, *from, *to), after)).collect())
}

/// What a random case is made from.
#[derive(Clone, Debug)]
pub struct Dice {
    homes: Vec<u32>,
    sizes: Vec<(u64, u64)>,
    slack: Vec<(i64, i64)>,
    hops: Vec<(usize, u32, u8)>,
    rules: Vec<(u8, u8, Vec<u8>)>,
    power: u8,
    takes: u8,
    grouped: bool,
    second: bool,
}

pub const HOSTS: usize = 4;
pub const VMS: usize = 5;

pub fn dice(steps: usize) -> impl Strategy<Value = Dice> {
    (
        proptest::collection::vec(0u32..HOSTS as u32, VMS),
        proptest::collection::vec((1u64..4, 0u64..3), VMS),
        proptest::collection::vec((-1i64..9, -1i64..9), HOSTS),
        proptest::collection::vec((0..VMS, 0u32..HOSTS as u32, any::<u8>()), 1..steps),
        proptest::collection::vec((0u8..10, any::<u8>(), proptest::collection::vec(any::<u8>(), 2 * HOSTS)), 0..3),
        0u8..16,
        0u8..16,
        proptest::bool::weighted(0.3),
        any::<bool>(),
    )
        .prop_map(|(homes, sizes, slack, hops, rules, power, takes, grouped, second)| Dice {
            homes,
            sizes,
            slack,
            hops,
            rules,
            power,
            takes,
            grouped,
            second,
        })
}

impl Dice {
    /// A task without flaw, and a route in it that may be sane. B is where the route ends.
    pub fn cast(&self) -> (Task, Route) {
        let mut homes = self.homes.clone();
        let mut hosts: Vec<TaskHost> = (0..HOSTS).map(|h| host(h, &[])).collect();
        match self.power {
            0 | 1 => hosts[3].power = Power::SwitchOn { takes_ms: 5 },
            2 | 3 => hosts[3].power = Power::SwitchOff { takes_ms: 5 },
            4 => hosts[3].power = Power::Off,
            _ => {}
        }
        hosts[2].takes = self.takes > 0;
        if self.power == 4 || self.power < 2 {
            homes.iter_mut().for_each(|home| *home %= 3);
        }
        if self.grouped {
            homes[1] = homes[0];
        }
        for (h, host) in hosts.iter_mut().enumerate() {
            let load = |of: fn(&(u64, u64)) -> u64| -> u64 {
                (0..VMS).filter(|v| homes[*v] == h as u32).map(|v| of(&self.sizes[v])).sum()
            };
            let with = |load: u64, slack: i64| load.saturating_add_signed(slack);
            host.capacity = vec![with(load(|s| s.0), self.slack[h].0), with(load(|s| s.1), self.slack[h].1)];
        }
        let steps = self.steps(&homes);
        let mut at = homes.clone();
        for step in &steps {
            if let RouteAction::Move { vm, to, .. } = step.action {
                at[vm as usize] = to;
            }
        }
        let vms = (0..VMS).map(|v| vm(v, homes[v], at[v], &[self.sizes[v].0, self.sizes[v].1])).collect();
        let second = if self.second { Holds::Always } else { Holds::AtEnd };
        let resources = vec![
            TaskResource { name: "memory".into(), holds: Holds::Always },
            TaskResource { name: "cpu".into(), holds: second },
        ];
        let mut rules: Vec<TaskRule> = self.rules.iter().map(Self::rule).collect();
        if self.grouped {
            rules.push(rule("group", TaskRuleKind::Together { vms: vec![0, 1] }));
        }
        (Task { resources, hosts, vms, rules, links: vec![] }, route_of(steps))
    }

    /// The same world with another question: where the VMs are to be.
    pub fn question(&self, goals: &[u32], stays: bool) -> Task {
        let (mut task, _) = self.cast();
        for (vm, goal) in task.vms.iter_mut().zip(goals) {
            vm.to = *goal;
        }
        if self.grouped {
            task.vms[1].to = task.vms[0].to;
        }
        if stays {
            task.vms[4].stays = true;
            task.vms[4].to = task.vms[4].from;
        }
        task
    }

    fn rule((kind, who, rest): &(u8, u8, Vec<u8>)) -> TaskRule {
        let vms: Vec<u32> = (0..VMS as u32).filter(|v| who >> v & 1 == 1).collect();
        let hosts: Vec<u32> = (0..HOSTS as u32).filter(|h| rest[*h as usize] % 3 == 0).collect();
        let mut domains = vec![Vec::new(); 3];
        (0..HOSTS).for_each(|h| domains[rest[h] as usize % 3].push(h as u32));
        domains.pop();
        let kind = match kind {
            0 => TaskRuleKind::Never { vms, hosts: hosts.into_iter().take(1).collect() },
            1 => TaskRuleKind::Only { vms: vms.into_iter().take(2).collect(), hosts: (0..3).collect() },
            2 => TaskRuleKind::OneWay {
                vms: vms.into_iter().take(2).collect(),
                rank: (0..HOSTS).map(|h| u32::from(rest[h] % 2)).collect(),
            },
            _ => TaskRuleKind::AtMost { vms, domains: domains.into(), limit: 1 + u64::from(rest[7] % 3) },
        };
        let holds = if rest[6] % 8 == 0 { Holds::AtEnd } else { Holds::Always };
        TaskRule { name: "r".into(), holds, soft: false, kind }
    }

    fn steps(&self, homes: &[u32]) -> Vec<RouteStep> {
        let (mut at, mut steps, mut last) = (homes.to_vec(), Vec::<RouteStep>::new(), vec![None; VMS]);
        if self.power == 0 || self.power == 1 {
            steps.push(step(0, RouteAction::PowerOn { host: 3 }, &[]));
        }
        for (vm, to, bits) in &self.hops {
            let mut movers = vec![*vm];
            if self.grouped && *vm < 2 && *bits != 77 {
                movers = vec![0, 1];
            }
            let count = steps.len() as u32;
            let mut after: Vec<u32> = (0..count).filter(|s| bits >> (s % 4) & 1 == 1 && s % 3 != 1).collect();
            if bits & 0xf0 != 0x10 {
                after.extend(movers.iter().filter_map(|vm| last[*vm]));
                after.extend((self.power < 2 && *to == 3).then_some(0));
            }
            after.sort_unstable();
            after.dedup();
            if movers.iter().any(|vm| at[*vm] == *to) {
                continue;
            }
            for vm in movers {
                steps.push(step(steps.len(), moved(vm as u32, at[vm], *to), &after));
                last[vm] = Some(steps.len() as u32 - 1);
                at[vm] = *to;
            }
        }
        if self.power == 2 || self.power == 3 {
            let leaves = |(_, step): &(usize, &RouteStep)| matches!(step.action, RouteAction::Move { from: 3, .. });
            let after: Vec<u32> = steps
                .iter()
                .enumerate()
                .filter(leaves)
                .map(|(s, _)| s as u32)
                .skip(usize::from(self.power == 3))
                .collect();
            steps.push(step(steps.len(), RouteAction::PowerOff { host: 3 }, &after));
        }
        steps
    }
}
