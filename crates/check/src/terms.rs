//! A task, looked up: which hosts a VM may go to, who moves together, and what is counted where on the way.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use ulm_model::{Domains, Holds, Power, Task, TaskRuleKind};

/// What a task asks for in every state. It must be without [`Task::flaw`].
///
/// Counters have numbers: for each host one for each resource that always holds, then for each [`TaskRuleKind::AtMost`] that
/// always holds one for each domain.
pub(crate) struct Terms<'t> {
    pub task: &'t Task,
    /// Groups that move together: named by a rule that always holds, and together in A and in B.
    pub groups: Vec<Vec<u32>>,
    /// Resources that always hold.
    resources: Vec<u32>,
    /// For each rule the first of its counters.
    begins: Vec<usize>,
    /// For each rule that counts and each host the domain, if any; empty for other rules. Rules with the same domains share one list.
    domains: Vec<Rc<Vec<Option<u32>>>>,
    /// For each VM the rules that count it.
    counted: Vec<Vec<u32>>,
    /// For each VM the rules that say where it may go.
    gates: Vec<Vec<u32>>,
    /// For each rule the hosts that it lists.
    listed: Vec<HashSet<u32>>,
    /// How many counters there are.
    counters: usize,
    /// What there is in A, by counter; nothing where none is listed.
    base: HashMap<usize, u64>,
}

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    /// A resource of a host.
    Resource { host: u32, resource: u32 },
    /// VMs of a rule in a domain.
    Domain { rule: u32, domain: u32 },
}

/// Why a VM may not go to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bar {
    /// The host only gives.
    TakesNothing,
    /// The host is off.
    Off,
    /// The host is to be switched off.
    GoesOff,
    /// A rule.
    Rule(u32),
}

impl<'t> Terms<'t> {
    pub fn of(task: &'t Task) -> Self {
        let always = |holds: Holds| holds == Holds::Always;
        let resources: Vec<u32> =
            (0..task.resources.len() as u32).filter(|r| always(task.resources[*r as usize].holds)).collect();
        let mut terms = Terms {
            task,
            groups: Vec::new(),
            begins: Vec::new(),
            domains: vec![Rc::default(); task.rules.len()],
            counted: vec![Vec::new(); task.vms.len()],
            gates: vec![Vec::new(); task.vms.len()],
            listed: vec![HashSet::new(); task.rules.len()],
            counters: task.hosts.len() * resources.len(),
            base: HashMap::new(),
            resources,
        };
        let mut last: Option<(&Domains, Rc<Vec<Option<u32>>>)> = None;
        for (r, rule) in task.rules.iter().enumerate() {
            terms.begins.push(terms.counters);
            if !always(rule.holds) {
                continue;
            }
            let mut note = |vms: &[u32], of: fn(&mut Self) -> &mut Vec<Vec<u32>>| {
                vms.iter().for_each(|vm| of(&mut terms)[*vm as usize].push(r as u32));
            };
            match &rule.kind {
                // What nothing can break is not counted.
                TaskRuleKind::AtMost { vms, limit, .. } if vms.len() as u64 <= *limit => {}
                TaskRuleKind::AtMost { vms, domains, .. } => {
                    note(vms, |terms| &mut terms.counted);
                    let of_host = match last.take() {
                        Some((same, of_host)) if same.is_shared_with(domains) => of_host,
                        _ => Rc::new(domain_of_each(task, domains)),
                    };
                    last = Some((domains, Rc::clone(&of_host)));
                    terms.domains[r] = of_host;
                    terms.counters += domains.len();
                }
                TaskRuleKind::Together { vms } => {
                    let one = |host: fn(&ulm_model::TaskVm) -> u32| {
                        vms.windows(2).all(|two| host(&task.vms[two[0] as usize]) == host(&task.vms[two[1] as usize]))
                    };
                    if vms.len() > 1 && one(|vm| vm.from) && one(|vm| vm.to) {
                        let mut group = vms.clone();
                        group.sort_unstable();
                        terms.groups.push(group);
                    }
                }
                TaskRuleKind::Only { vms, hosts } | TaskRuleKind::Never { vms, hosts } => {
                    note(vms, |terms| &mut terms.gates);
                    terms.listed[r] = hosts.iter().copied().collect();
                }
                TaskRuleKind::OneWay { vms, .. } => note(vms, |terms| &mut terms.gates),
            }
        }
        for (v, vm) in task.vms.iter().enumerate() {
            for (counter, weight) in terms.counters(v as u32, vm.from).collect::<Vec<_>>() {
                *terms.base.entry(counter).or_default() += weight;
            }
        }
        terms
    }

    /// How many counters there are.
    pub fn len(&self) -> usize {
        self.counters
    }

    /// What the counters count of a VM on a host.
    pub fn counters(&self, vm: u32, host: u32) -> impl Iterator<Item = (usize, u64)> {
        let begin = host as usize * self.resources.len();
        let size = &self.task.vms[vm as usize].size;
        let resources = self.resources.iter().enumerate().map(move |(i, r)| (begin + i, size[*r as usize]));
        let domains = self.counted[vm as usize].iter().filter_map(move |rule| {
            let domain = self.domains[*rule as usize][host as usize]?;
            Some((self.begins[*rule as usize] + domain as usize, 1))
        });
        resources.chain(domains)
    }

    /// What there is of it in A.
    pub fn base(&self, counter: usize) -> u64 {
        self.base.get(&counter).copied().unwrap_or(0)
    }

    /// The limit on the way: no worse than A.
    pub fn limit(&self, counter: usize) -> u64 {
        self.real_limit(counter).max(self.base(counter))
    }

    /// The limit itself.
    pub fn real_limit(&self, counter: usize) -> u64 {
        match self.counts(counter) {
            Counts::Resource { host, resource } => self.task.hosts[host as usize].capacity[resource as usize],
            Counts::Domain { rule, .. } => match &self.task.rules[rule as usize].kind {
                TaskRuleKind::AtMost { limit, .. } => *limit,
                _ => u64::MAX,
            },
        }
    }

    /// What a counter counts.
    pub fn counts(&self, counter: usize) -> Counts {
        let per_host = self.resources.len();
        if counter < self.task.hosts.len() * per_host {
            let resource = self.resources[counter % per_host];
            return Counts::Resource { host: (counter / per_host) as u32, resource };
        }
        // Rules without counters begin where the next one does: the last that begins so early is the one.
        let rule = self.begins.partition_point(|begin| *begin <= counter) - 1;
        Counts::Domain { rule: rule as u32, domain: (counter - self.begins[rule]) as u32 }
    }

    /// Why the VM may go to this host from nowhere, if that is so.
    pub fn unfit(&self, vm: u32, to: u32) -> Option<Bar> {
        let host = &self.task.hosts[to as usize];
        match host.power {
            Power::Off => return Some(Bar::Off),
            Power::SwitchOff { .. } => return Some(Bar::GoesOff),
            Power::On | Power::SwitchOn { .. } if !host.takes => return Some(Bar::TakesNothing),
            Power::On | Power::SwitchOn { .. } => {}
        }
        let mut gates = self.gates[vm as usize].iter();
        let against = |rule: &&u32| {
            let lists = self.listed[**rule as usize].contains(&to);
            match &self.task.rules[**rule as usize].kind {
                TaskRuleKind::Only { .. } => !lists,
                TaskRuleKind::Never { .. } => lists,
                _ => false,
            }
        };
        gates.find(against).map(|rule| Bar::Rule(*rule))
    }

    /// Why the VM may not go from the one host to the other, if that is so; room aside.
    pub fn barred(&self, vm: u32, from: u32, to: u32) -> Option<Bar> {
        self.unfit(vm, to).or_else(|| self.steps_down(vm, from, to))
    }

    /// A rule by which the VM would go to a lower rank.
    pub fn steps_down(&self, vm: u32, from: u32, to: u32) -> Option<Bar> {
        let down = |rule: &&u32| match &self.task.rules[**rule as usize].kind {
            TaskRuleKind::OneWay { rank, .. } => rank[to as usize] < rank[from as usize],
            _ => false,
        };
        self.gates[vm as usize].iter().find(down).map(|rule| Bar::Rule(*rule))
    }

    /// Whether two VMs ask for the same of all that always holds, and are named by the same rules.
    pub fn alike(&self, one: u32, other: u32) -> bool {
        let (one, other) = (one as usize, other as usize);
        let size = |vm: usize, r: &u32| self.task.vms[vm].size[*r as usize];
        self.resources.iter().all(|r| size(one, r) == size(other, r))
            && self.counted[one] == self.counted[other]
            && self.gates[one] == self.gates[other]
    }

    pub fn vm(&self, vm: u32) -> &str {
        &self.task.vms[vm as usize].name
    }
    pub fn host(&self, host: u32) -> &str {
        &self.task.hosts[host as usize].name
    }
    pub fn resource(&self, resource: u32) -> &str {
        &self.task.resources[resource as usize].name
    }
    pub fn rule(&self, rule: u32) -> &str {
        &self.task.rules[rule as usize].name
    }
}

/// For each host the set that it is in, if any.
fn domain_of_each(task: &Task, domains: &Domains) -> Vec<Option<u32>> {
    let mut of_host = vec![None; task.hosts.len()];
    for (d, hosts) in domains.iter().enumerate() {
        hosts.iter().for_each(|host| of_host[*host as usize] = Some(d as u32));
    }
    of_host
}
