//! The part of the cluster that a question is about, in the numbers of a task.
//!
//! A VM that does not take part is no VM of the task: what it takes of its host is simply not there to be given. The same holds for
//! what is on its way already; such a VM counts on both hosts. What VMs that stay have merged is there to be given; the VMs of the task
//! count in full, wherever they are.

use std::collections::BTreeMap;

use ulm_model::{
    Copying, Holds, HostIx, Power, Reason, Rulebook, Task, TaskHost, TaskResource, TaskRule, TaskRuleKind, TaskVm, VmIx,
};
use ulm_policy::Policy;
use ulm_rules::{Initiative, State, memory_used};

use super::cells::Cells;
use super::company;
use super::mover::Mover;
use crate::wanted::Wanted;
use crate::{Input, figures, gates};

/// So many hosts may lend their room. More would rarely help and always cost effort.
pub(super) const HELPERS: usize = 16;

/// No VM is larger than 256 TiB: one that says so takes no part, and sums stay small.
const LARGEST_VM: u64 = 1 << 48;

/// What a host has and a VM asks for, in this order: memory promised, virtual CPUs, memory really held. After these come NUMA cells.
const RESOURCES: [&str; 3] = ["memory", "vCPUs", "memory in use"];

/// Who may move, and where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The wanted VMs, among their own hosts.
    Wanted,
    /// Also the other VMs of these hosts, and also to hosts that lend their room.
    Around,
}

/// What all questions of one round have in common.
pub(super) struct Ground<'i> {
    pub input: &'i Input,
    pub policy: &'i Policy,
    pub state: State<'i>,
}

/// A question.
pub(super) struct Field {
    pub task: Task,
    /// The task's hosts.
    pub hosts: Vec<HostIx>,
    /// The task's VMs; the wanted ones first, in the order in which they are asked for.
    pub vms: Vec<VmIx>,
}

impl<'i> Ground<'i> {
    pub fn new(input: &'i Input, policy: &'i Policy, rulebook: &'i Rulebook) -> Self {
        Ground { input, policy, state: State::at(&input.snapshot, rulebook, input.moment()) }
    }

    /// Why no VM is brought to the host at present, if so: what closes it, what makes its figures doubtful, and that it has too much
    /// already. Such a host takes nothing before it has been relieved.
    pub fn takes_nothing(&self, host: HostIx, for_vm: VmIx) -> Option<Reason> {
        if let Some(blocker) = self.state.closed(host, Initiative::Automatic) {
            return Some(self.state.reason(blocker, for_vm, host, Initiative::Automatic));
        }
        if let Some(barred) = gates::barred(self.input, self.policy, host) {
            return Some(barred);
        }
        let over = self.free(host).iter().any(|free| *free < 0);
        over.then(|| {
            let reasons = self.state.why_not(for_vm, host, Initiative::Automatic);
            reasons.into_iter().last().unwrap_or(Reason::AlreadyThere { host: self.name(host) })
        })
    }

    pub fn name(&self, host: HostIx) -> ulm_model::HostName {
        self.input.snapshot.host(host).name.clone()
    }

    /// What the host could still give of each resource; negative when it has given too much.
    fn free(&self, ix: HostIx) -> [i128; 3] {
        self.free_without(ix, &[])
    }

    /// The same if these of its VMs move: they count in full, whether they are there or not, and of what they hold they do not give back
    /// what they have in common with others.
    fn free_without(&self, ix: HostIx, movers: &[VmIx]) -> [i128; 3] {
        let (limit, load) = (self.state.limit(ix), self.state.load(ix));
        let merged = self.state.merged_without(ix, movers.iter().copied());
        let available = limit.available.map_or(-1, |available| i128::from(available.0));
        [
            i128::from(limit.memory_for(Initiative::Automatic).0) + i128::from(merged.credit.0)
                - i128::from(load.memory.0),
            i128::from(limit.vcpus_for(Initiative::Automatic)) - i128::from(load.vcpus),
            available - i128::from(load.arriving.0) - i128::from(merged.loss.0),
        ]
    }

    /// Whether the VM says of itself what cannot be.
    pub fn is_too_large(&self, vm: VmIx) -> bool {
        self.size(vm).iter().any(|size| *size > LARGEST_VM)
    }

    fn size(&self, vm: VmIx) -> [u64; 3] {
        let vm = self.input.snapshot.vm(vm);
        [vm.memory.0, u64::from(vm.vcpus), memory_used::ordinary(vm).0]
    }

    fn wanted(&mut self, one: &Wanted) -> Mover {
        let mut allowed = self.state.profile(one.vm, Initiative::Automatic).allowed;
        for (left, _) in gates::left_lately(self.input, self.policy, self.input.snapshot.vm(one.vm).id) {
            if left != one.to {
                allowed.remove(left);
            }
        }
        Mover { vm: one.vm, to: one.to, allowed }
    }

    /// A VM that may be moved out of the way for a while.
    fn bystander(&mut self, vm: VmIx) -> Option<Mover> {
        let one = self.input.snapshot.vm(vm);
        let held = figures::of_vm(one, self.policy, self.input.now).is_err()
            || !gates::vm_rests(self.input, self.policy, one.id).is_empty()
            || self.is_too_large(vm)
            || !self.state.vm_stays(vm, Initiative::Automatic).is_empty();
        if held {
            return None;
        }
        let mut allowed = self.state.profile(vm, Initiative::Automatic).allowed;
        for (left, _) in gates::left_lately(self.input, self.policy, one.id) {
            allowed.remove(left);
        }
        allowed.contains(one.host).then_some(Mover { vm, to: one.host, allowed })
    }

    /// Hosts with room that none of these VMs lives on or goes to, the roomiest first.
    fn helpers(&self, concerned: &[HostIx], movers: &[Mover]) -> Vec<HostIx> {
        let mut with_room: Vec<([i128; 2], HostIx)> = Vec::new();
        for (ix, _) in self.input.snapshot.hosts_ix() {
            let [promised, vcpus, held] = self.free(ix);
            let of_use = promised > 0 && vcpus > 0 && held > 0 && movers.iter().any(|mover| mover.allowed.contains(ix));
            if of_use && concerned.binary_search(&ix).is_err() {
                with_room.push(([promised.min(held), vcpus], ix));
            }
        }
        with_room.sort_by_key(|(room, ix)| (std::cmp::Reverse(*room), *ix));
        let open = with_room.into_iter().map(|(_, ix)| ix).filter(|ix| self.takes_nothing(*ix, movers[0].vm).is_none());
        open.take(HELPERS).collect()
    }
}

impl Field {
    /// The question how all of `asked` get where they are wanted.
    pub fn new(ground: &mut Ground<'_>, asked: &[&Wanted], reach: Reach) -> Self {
        let home = |vm: VmIx| ground.input.snapshot.vm(vm).host;
        let mut hosts: Vec<HostIx> = asked.iter().flat_map(|one| [home(one.vm), one.to]).collect();
        hosts.sort();
        hosts.dedup();
        let mut movers: Vec<Mover> = asked.iter().map(|one| ground.wanted(one)).collect();
        if reach == Reach::Around {
            let near = |vm: &ulm_model::Vm| hosts.binary_search(&vm.host).is_ok();
            let others: Vec<VmIx> =
                ground.input.snapshot.vms_ix().filter(|(_, vm)| near(vm)).map(|(ix, _)| ix).collect();
            let others = others.into_iter().filter(|vm| asked.iter().all(|one| one.vm != *vm));
            let mut others: Vec<Mover> = others.filter_map(|vm| ground.bystander(vm)).collect();
            let short = short(ground, &hosts, movers.iter().chain(&others));
            let is_needed =
                |mover: &Mover| short[place(&hosts, home(mover.vm)) as usize] && ground.state.gives_credit(mover.vm);
            others.retain(|mover| !is_needed(mover));
            movers.extend(others);
            hosts.extend(ground.helpers(&hosts, &movers));
            hosts.sort();
        }
        let cells = Cells::of(&ground.input.snapshot, &hosts, &mut movers, asked.len());
        let names = RESOURCES.map(str::to_owned).into_iter().chain(cells.names());
        let task = Task {
            resources: names.map(|name| TaskResource { name, holds: Holds::Always }).collect(),
            hosts: task_hosts(ground, &hosts, &movers, &cells),
            vms: movers.iter().map(|mover| task_vm(ground, &hosts, mover, &cells)).collect(),
            rules: rules(ground, &hosts, &movers),
            links: Vec::new(),
        };
        Field { task, hosts, vms: movers.into_iter().map(|mover| mover.vm).collect() }
    }
}

fn place(hosts: &[HostIx], host: HostIx) -> u32 {
    hosts.binary_search(&host).expect("the hosts of all VMs are listed") as u32
}

/// The movers of each of the hosts.
fn by_home<'m>(ground: &Ground<'_>, hosts: &[HostIx], movers: impl IntoIterator<Item = &'m Mover>) -> Vec<Vec<VmIx>> {
    let mut at_home = vec![Vec::new(); hosts.len()];
    for mover in movers {
        at_home[place(hosts, ground.input.snapshot.vm(mover.vm).host) as usize].push(mover.vm);
    }
    at_home
}

/// Which of the hosts have too little if the movers' pages do not count as merged.
fn short<'m>(ground: &Ground<'_>, hosts: &[HostIx], movers: impl IntoIterator<Item = &'m Mover>) -> Vec<bool> {
    let at_home = by_home(ground, hosts, movers);
    let is_short = |(host, movers): (&HostIx, Vec<VmIx>)| ground.free_without(*host, &movers).iter().any(|it| *it < 0);
    hosts.iter().zip(at_home).map(is_short).collect()
}

fn task_vm(ground: &Ground<'_>, hosts: &[HostIx], mover: &Mover, cells: &Cells) -> TaskVm {
    let (vm, size) = (ground.input.snapshot.vm(mover.vm), ground.size(mover.vm));
    TaskVm {
        name: vm.id.to_string(),
        from: place(hosts, vm.host),
        to: place(hosts, mover.to),
        size: size.into_iter().chain(cells.size(&ground.input.snapshot, mover.vm)).collect(),
        stays: false,
        copy: Copying { bytes: size[2], ..Copying::default() },
    }
}

fn task_hosts(ground: &Ground<'_>, hosts: &[HostIx], movers: &[Mover], cells: &Cells) -> Vec<TaskHost> {
    let zero = [0i128; 3];
    let (mut here, mut in_the_end, mut all) = (vec![zero; hosts.len()], vec![zero; hosts.len()], zero);
    for mover in movers {
        let (size, from) = (ground.size(mover.vm), ground.input.snapshot.vm(mover.vm).host);
        for (r, size) in size.into_iter().enumerate() {
            here[place(hosts, from) as usize][r] += i128::from(size);
            in_the_end[place(hosts, mover.to) as usize][r] += i128::from(size);
            all[r] += i128::from(size);
        }
    }
    let at_once = ground.policy.limits.moves_per_host.max(1);
    let at_home = by_home(ground, hosts, movers);
    let host = |(i, ix): (usize, &HostIx)| {
        let free = ground.free_without(*ix, &at_home[i]);
        let capacity = |r: usize| {
            let (here, in_the_end) = (here[i][r], in_the_end[i][r]);
            let limit = free[r] + here;
            // Who has too much and only gives is no worse off than before.
            let limit = if free[r] < 0 && in_the_end <= here { limit.max(in_the_end) } else { limit };
            // More than all ask for together makes no difference.
            limit.clamp(0, all[r]) as u64
        };
        TaskHost {
            name: ground.name(*ix).0,
            capacity: (0..RESOURCES.len())
                .map(capacity)
                .chain(cells.capacity(&ground.input.snapshot, movers, i))
                .collect(),
            // What has too little once the movers count in full takes nothing before they have gone.
            takes: free.iter().all(|free| *free >= 0) && ground.takes_nothing(*ix, movers[0].vm).is_none(),
            power: Power::On,
            moves_in: at_once,
            moves_out: at_once,
        }
    };
    hosts.iter().enumerate().map(host).collect()
}

/// What pins and the like say, and what companions ask of each other.
fn rules(ground: &Ground<'_>, hosts: &[HostIx], movers: &[Mover]) -> Vec<TaskRule> {
    let mut rules = only(hosts, movers);
    rules.extend(company::rules(
        &ground.state,
        hosts,
        &movers.iter().map(|mover| (mover.vm, mover.to)).collect::<Vec<_>>(),
    ));
    rules
}

/// One rule for all VMs that may be brought to the same hosts; none for those that may go anywhere.
fn only(hosts: &[HostIx], movers: &[Mover]) -> Vec<TaskRule> {
    let mut alike: BTreeMap<Vec<u32>, Vec<u32>> = BTreeMap::new();
    for (vm, mover) in movers.iter().enumerate() {
        let allowed: Vec<u32> =
            (0..hosts.len() as u32).filter(|i| mover.allowed.contains(hosts[*i as usize])).collect();
        alike.entry(allowed).or_default().push(vm as u32);
    }
    let bound = alike.into_iter().filter(|(allowed, _)| allowed.len() < hosts.len());
    let rule = |(i, (hosts, vms)): (usize, (Vec<u32>, Vec<u32>))| TaskRule {
        name: format!("hosts {i}"),
        holds: Holds::Always,
        soft: false,
        kind: TaskRuleKind::Only { vms, hosts },
    };
    bound.enumerate().map(rule).collect()
}
