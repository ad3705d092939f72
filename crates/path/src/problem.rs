//! A task in the form that the search works on: dense numbers, and rules as bounds and gates.
//!
//! The search knows nothing of what a rule means. Every rule of a task becomes one of two things:
//!
//! * a **bound**: a sum over the VMs that are somewhere (on a host, or in a [`Counter`]'s domain of hosts) has a limit. Capacity,
//!   anti-affinity, spreading and VMs per host are bounds. Bounds are monotone: taking a VM away never breaks one; and symmetric: the
//!   state in which a VM is on both hosts is the same whichever way it moves.
//! * a **gate**: whether a VM may enter a host, and whether it may go from one to another. Fences, draining hosts and one-way CPUs are
//!   gates. Gates do not depend on where other VMs are. They need not be symmetric.
//!
//! VMs that must stay together become one [`Item`]: the search moves items. VMs that cannot move are part of what is taken.
//! "No worse than A" is folded into the limits: where A passes a limit, what A has is the limit.

use std::collections::BTreeMap;
use std::sync::Arc;

use ulm_model::{Domains, Holds, Power, Task, TaskRuleKind};

use crate::cost::MoveCost;
use crate::rule::Rule;

/// No domain, no place, no host.
pub(crate) const NONE: u32 = u32::MAX;

/// A task in dense form. Items, hosts and counters are named by their places.
pub(crate) struct Problem<'t> {
    pub task: &'t Task,
    pub cost: &'t dyn MoveCost,
    /// Rules beyond the task's own.
    pub extra: &'t [&'t dyn Rule],
    /// The number of hosts.
    pub hosts: usize,
    /// The number of resources that always hold: the stride of [`Problem::room`] and [`Problem::sizes`].
    pub kinds: usize,
    /// What each host can give to items: its limit less what VMs that stay take.
    pub room: Vec<i64>,
    /// What can move.
    pub items: Vec<Item>,
    /// What each item asks.
    pub sizes: Vec<i64>,
    /// Bounds that are not about one host's capacity.
    pub counters: Vec<Counter>,
    /// What the gates are, by [`Item::gate`].
    pub gates: Vec<Gate>,
}

/// A VM, or VMs that move together.
pub(crate) struct Item {
    /// Its VMs, ascending.
    pub vms: Vec<u32>,
    /// Its host in A.
    pub home: u32,
    /// Its host in B.
    pub goal: u32,
    /// Which gate it goes through.
    pub gate: u32,
    /// The counters that count it, with how much it counts for.
    pub counted: Vec<(u32, i64)>,
    /// What each of its moves costs at least; what each costs when [`MoveCost::by_vm_alone`].
    pub least: u64,
}

/// A bound over domains of hosts.
pub(crate) struct Counter {
    /// The domain of each host, or [`NONE`]. Counters of the same domains share it.
    pub domain: Arc<[u32]>,
    /// What each domain can give to items.
    pub room: Vec<i64>,
}

impl Counter {
    /// Whether each of its domains is one host.
    pub fn is_by_host(&self) -> bool {
        let mut seen = vec![false; self.room.len()];
        self.domain.iter().filter(|d| **d != NONE).all(|d| !std::mem::replace(&mut seen[*d as usize], true))
    }
}

/// Where items may go.
pub(crate) struct Gate {
    /// Hosts that may be entered.
    pub enter: Vec<bool>,
    /// Places in [`Task::rules`] of the one-way rules that hold for it.
    pub one_way: Vec<u32>,
}

impl<'t> Problem<'t> {
    /// The dense form of a task without flaw.
    pub fn new(task: &'t Task, cost: &'t dyn MoveCost, extra: &'t [&'t dyn Rule]) -> Self {
        let kinds: Vec<usize> =
            (0..task.resources.len()).filter(|r| task.resources[*r].holds == Holds::Always).collect();
        let mut room = vec![0i64; task.hosts.len() * kinds.len()];
        let mut taken = room.clone();
        for (h, host) in task.hosts.iter().enumerate() {
            for (k, r) in kinds.iter().enumerate() {
                room[h * kinds.len() + k] = host.capacity[*r] as i64;
            }
        }
        for vm in &task.vms {
            for (k, r) in kinds.iter().enumerate() {
                taken[vm.from as usize * kinds.len() + k] += vm.size[*r] as i64;
            }
        }
        for (room, taken) in room.iter_mut().zip(&taken) {
            *room = (*room).max(*taken);
        }
        let mut problem = Problem {
            task,
            cost,
            extra,
            hosts: task.hosts.len(),
            kinds: kinds.len(),
            room,
            items: Vec::new(),
            sizes: Vec::new(),
            counters: Vec::new(),
            gates: Vec::new(),
        };
        let item_of = problem.form_items(&kinds);
        problem.form_counters(&item_of);
        problem.form_gates();
        for i in 0..problem.items.len() {
            let vms = problem.items[i].vms.iter();
            problem.items[i].least = vms.map(|vm| cost.least(task, *vm)).sum();
        }
        problem
    }

    /// Makes items of VMs and groups, and takes the room of those that stay; gives the item of each VM, or [`NONE`].
    fn form_items(&mut self, kinds: &[usize]) -> Vec<u32> {
        let task = self.task;
        let mut item_of = vec![NONE; task.vms.len()];
        let mut grouped = vec![false; task.vms.len()];
        let mut members: Vec<Vec<u32>> = Vec::new();
        for rule in task.rules.iter().filter(|rule| rule.holds == Holds::Always) {
            let TaskRuleKind::Together { vms } = &rule.kind else { continue };
            if moves_together(task, vms) {
                let mut vms = vms.clone();
                vms.sort_unstable();
                vms.iter().for_each(|vm| grouped[*vm as usize] = true);
                members.push(vms);
            }
        }
        members.extend((0..task.vms.len() as u32).filter(|vm| !grouped[*vm as usize]).map(|vm| vec![vm]));
        members.retain(|vms| !vms.is_empty());
        members.sort();
        for vms in members {
            let first = &task.vms[vms[0] as usize];
            let size = |vm: &u32, r: usize| task.vms[*vm as usize].size[r] as i64;
            if vms.iter().any(|vm| task.vms[*vm as usize].stays) {
                for (k, r) in kinds.iter().enumerate() {
                    self.room[first.from as usize * kinds.len() + k] -= vms.iter().map(|vm| size(vm, *r)).sum::<i64>();
                }
                continue;
            }
            vms.iter().for_each(|vm| item_of[*vm as usize] = self.items.len() as u32);
            self.sizes.extend(kinds.iter().map(|r| vms.iter().map(|vm| size(vm, *r)).sum::<i64>()));
            let (home, goal) = (first.from, first.to);
            self.items.push(Item { vms, home, goal, gate: 0, counted: Vec::new(), least: 0 });
        }
        item_of
    }

    fn form_counters(&mut self, item_of: &[u32]) {
        let mut known: Option<(&Domains, Arc<[u32]>)> = None;
        for rule in self.task.rules.iter().filter(|rule| rule.holds == Holds::Always) {
            let TaskRuleKind::AtMost { vms, domains, limit } = &rule.kind else { continue };
            let domain = match &known {
                Some((same, domain)) if domains.is_shared_with(same) => Arc::clone(domain),
                _ => domain_of_each(domains, self.hosts),
            };
            known = Some((domains, Arc::clone(&domain)));
            let mut in_a = vec![0i64; domains.len()];
            let mut stay = in_a.clone();
            let mut weights: BTreeMap<u32, i64> = BTreeMap::new();
            for vm in vms {
                let (d, item) = (domain[self.task.vms[*vm as usize].from as usize], item_of[*vm as usize]);
                if d != NONE {
                    in_a[d as usize] += 1;
                    stay[d as usize] += i64::from(item == NONE);
                }
                if item != NONE {
                    *weights.entry(item).or_default() += 1;
                }
            }
            // A rule that nothing can break is left out.
            if weights.values().sum::<i64>() <= 1 && stay.iter().all(|n| *n == 0) && *limit >= 1 {
                continue;
            }
            let room = in_a.iter().zip(&stay).map(|(in_a, stay)| (*limit as i64).max(*in_a) - stay).collect();
            let number = self.counters.len() as u32;
            self.counters.push(Counter { domain, room });
            for (item, weight) in weights {
                self.items[item as usize].counted.push((number, weight));
            }
        }
    }

    fn form_gates(&mut self) {
        let task = self.task;
        // For each item the rules that say where it may go.
        let mut of_vm: Vec<Vec<u32>> = vec![Vec::new(); task.vms.len()];
        for (number, rule) in task.rules.iter().enumerate().filter(|(_, rule)| rule.holds == Holds::Always) {
            if let TaskRuleKind::Only { vms, .. } | TaskRuleKind::Never { vms, .. } | TaskRuleKind::OneWay { vms, .. } =
                &rule.kind
            {
                vms.iter().for_each(|vm| of_vm[*vm as usize].push(number as u32));
            }
        }
        let open: Vec<bool> = task
            .hosts
            .iter()
            .map(|host| host.takes && matches!(host.power, Power::On | Power::SwitchOn { .. }))
            .collect();
        let mut known: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
        for item in &mut self.items {
            let mut rules: Vec<u32> = item.vms.iter().flat_map(|vm| &of_vm[*vm as usize]).copied().collect();
            rules.sort_unstable();
            rules.dedup();
            item.gate = *known.entry(rules).or_insert_with_key(|rules| {
                self.gates.push(gate(task, &open, rules));
                self.gates.len() as u32 - 1
            });
        }
    }

    /// What an item asks of each resource that always holds.
    pub fn size(&self, item: u32) -> &[i64] {
        let first = item as usize * self.kinds;
        &self.sizes[first..first + self.kinds]
    }

    /// Whether the gates let the item go from one host to another.
    pub fn may_go(&self, item: u32, from: u32, to: u32) -> bool {
        let gate = &self.gates[self.items[item as usize].gate as usize];
        let higher = |rule: &u32| match &self.task.rules[*rule as usize].kind {
            TaskRuleKind::OneWay { rank, .. } => rank[to as usize] >= rank[from as usize],
            _ => true,
        };
        gate.enter[to as usize] && from != to && gate.one_way.iter().all(higher)
    }

    /// Whether the item can be on the host at all: it may enter it, or it is its place in A.
    pub fn may_be(&self, item: u32, host: u32) -> bool {
        let one = &self.items[item as usize];
        one.home == host || self.gates[one.gate as usize].enter[host as usize]
    }

    /// What moving the item costs.
    pub fn move_cost(&self, item: u32, from: u32, to: u32) -> u64 {
        let one = &self.items[item as usize];
        if self.cost.by_vm_alone() {
            return one.least;
        }
        one.vms.iter().map(|vm| self.cost.cost(self.task, *vm, from, to)).sum()
    }

    /// Whether two items can stand in for each other: equal in everything that decides what moves are sane, and with equal goals.
    /// Compared by this key. Groups, and items whose moves cost by source and target, have kinds of their own.
    pub fn kind_of(&self, item: u32) -> ItemKind<'_> {
        let one = &self.items[item as usize];
        let enter = &self.gates[one.gate as usize].enter;
        // A place that it may leave and not come back to is its own.
        let own = if enter[one.home as usize] { NONE } else { one.home };
        let keys = one.vms.iter().flat_map(|vm| self.extra.iter().map(move |rule| rule.key(*vm)));
        ItemKind {
            goal: one.goal,
            own,
            gate: one.gate,
            least: one.least,
            alone: if self.cost.by_vm_alone() && one.vms.len() == 1 { NONE } else { item },
            size: self.size(item),
            counted: &one.counted,
            extra: keys.collect(),
        }
    }
}

/// See [`Problem::kind_of`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ItemKind<'p> {
    goal: u32,
    own: u32,
    gate: u32,
    least: u64,
    alone: u32,
    size: &'p [i64],
    counted: &'p [(u32, i64)],
    extra: Vec<u64>,
}

/// For each host the domain that it is in, or [`NONE`].
fn domain_of_each(domains: &Domains, hosts: usize) -> Arc<[u32]> {
    let mut domain = vec![NONE; hosts];
    for (d, hosts) in domains.iter().enumerate() {
        hosts.iter().for_each(|host| domain[*host as usize] = d as u32);
    }
    domain.into()
}

/// Whether the VMs are together in A and in B, so that they can move as one.
fn moves_together(task: &Task, vms: &[u32]) -> bool {
    let places = || vms.iter().map(|vm| &task.vms[*vm as usize]);
    let same = |host: fn(&ulm_model::TaskVm) -> u32| places().all(|vm| host(vm) == host(&task.vms[vms[0] as usize]));
    vms.len() > 1 && same(|vm| vm.from) && same(|vm| vm.to)
}

fn gate(task: &Task, open: &[bool], rules: &[u32]) -> Gate {
    let mut enter = open.to_vec();
    let mut one_way = Vec::new();
    for number in rules {
        match &task.rules[*number as usize].kind {
            TaskRuleKind::Only { hosts, .. } => {
                let mut only = vec![false; enter.len()];
                hosts.iter().for_each(|host| only[*host as usize] = true);
                enter.iter_mut().zip(only).for_each(|(enter, only)| *enter &= only);
            }
            TaskRuleKind::Never { hosts, .. } => hosts.iter().for_each(|host| enter[*host as usize] = false),
            _ => one_way.push(*number),
        }
    }
    Gate { enter, one_way }
}

/// One item goes from one host to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub item: u32,
    pub from: u32,
    pub to: u32,
}
