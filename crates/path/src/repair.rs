//! What would make it possible: why there is no way, in the fewest words, and what would open one.
//!
//! Every repair that is named was planned again and has a route. They are ranked: what gives up least comes first.

use ulm_model::{Answer, Certificate, Power, Task, TaskRuleKind};

use crate::budget::{Budget, Watch};
use crate::cost::MoveCost;
use crate::path;

/// One try may expand so many states.
const TRY: Budget = Budget { expansions: 30_000, bytes: 64 << 20 };
/// Limits and rules that are dropped one after the other to see which of them conflict; with more of them that is not tried.
const DROPPED: usize = 48;
/// VMs that are tried as the one to stop.
const STOPPED: usize = 24;
/// Plans that are made to see which moves can be made without the others.
const LEFT: usize = 64;
/// With more VMs than that only a quarter as much is tried.
const LARGE: usize = 3_000;
/// Repairs of one kind that are named.
const NAMED: usize = 3;

/// Why there is no way, and what would open one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Help {
    /// What conflicts.
    pub conflict: Conflict,
    /// What would help, the least painful first; each was planned.
    pub repairs: Vec<Repair>,
}

/// What conflicts, as a set from which nothing can be left out: without any one of these there would be a way, or no proof that there is
/// none. Empty when it was not looked for or not found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conflict {
    /// Hosts whose capacity is part of it.
    pub hosts: Vec<u32>,
    /// Rules that are part of it.
    pub rules: Vec<u32>,
    /// VMs whose wanted moves are part of it.
    pub moves: Vec<u32>,
}

/// What would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// What is done.
    pub kind: RepairKind,
    /// What the moves of the route that there is then cost.
    pub cost: u64,
    /// How many moves it has.
    pub moves: u32,
}

/// A kind of repair, in the order in which they are named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RepairKind {
    /// Lift a rule that is a wish.
    LiftWish {
        /// Which rule.
        rule: u32,
    },
    /// Leave these VMs where they are; all others get to their places.
    Leave {
        /// Which VMs.
        vms: Vec<u32>,
    },
    /// Stop a VM, bring all others to their places, and start it on its new host.
    Stop {
        /// Which VM.
        vm: u32,
    },
    /// Add one host like this one for the time of the moves; it is empty again at the end.
    AddHost {
        /// Like which host.
        like: u32,
    },
    /// Lift a rule that is no wish.
    LiftRule {
        /// Which rule.
        rule: u32,
    },
}

/// What would make a task possible of which [`path`] has found that it is not, or too dear. Bounded work: some hundred small plans.
pub fn what_would_help(task: &Task, cost: &dyn MoveCost, watch: &dyn Watch) -> Help {
    let tries = Tries { task, cost, watch };
    let conflict = tries.conflict();
    let mut repairs: Vec<Repair> = Vec::new();
    repairs.extend(tries.lifting());
    repairs.extend(tries.leaving());
    repairs.extend(tries.stopping(&conflict));
    repairs.extend(tries.adding());
    repairs.sort_by(|a, b| rank(&a.kind).cmp(&rank(&b.kind)).then(a.cost.cmp(&b.cost)).then(a.kind.cmp(&b.kind)));
    Help { conflict, repairs }
}

fn rank(kind: &RepairKind) -> u8 {
    match kind {
        RepairKind::LiftWish { .. } => 0,
        RepairKind::Leave { .. } => 1,
        RepairKind::Stop { .. } => 2,
        RepairKind::AddHost { .. } => 3,
        RepairKind::LiftRule { .. } => 4,
    }
}

struct Tries<'t> {
    task: &'t Task,
    cost: &'t dyn MoveCost,
    watch: &'t dyn Watch,
}

impl Tries<'_> {
    fn answer(&self, task: &Task) -> Answer {
        path(task, self.cost, &TRY, self.watch)
    }

    fn planned(&self, task: &Task, kind: RepairKind) -> Option<Repair> {
        match self.answer(task) {
            Answer::Route(route) => Some(Repair { kind, cost: route.cost, moves: route.moves() as u32 }),
            _ => None,
        }
    }

    /// How many tries are made of so many at most.
    fn tries(&self, most: usize) -> usize {
        if self.task.vms.len() > LARGE { most / 4 } else { most }
    }

    fn misplaced(&self) -> Vec<u32> {
        let moves = |vm: &u32| self.task.vms[*vm as usize].from != self.task.vms[*vm as usize].to;
        (0..self.task.vms.len() as u32).filter(moves).collect()
    }

    /// Drops limits, rules and wanted moves one by one for as long as it stays impossible: what is left conflicts.
    fn conflict(&self) -> Conflict {
        let (task, wanted) = (self.task, self.misplaced());
        let none = Conflict::default();
        if task.hosts.len() + task.rules.len() + wanted.len() > self.tries(DROPPED) {
            return none;
        }
        // A target that is wrong in itself is told by its certificate.
        match self.answer(task) {
            Answer::Impossible { certificate: Certificate::Unsound { .. } } => return none,
            Answer::Impossible { .. } => {}
            Answer::Route(_) | Answer::Undecided { .. } => return none,
        }
        let stays_impossible = |task: &Task| matches!(self.answer(task), Answer::Impossible { certificate } if !matches!(certificate, Certificate::Unsound { .. }));
        let enough: Vec<u64> = (0..task.resources.len()).map(|r| task.vms.iter().map(|vm| vm.size[r]).sum()).collect();
        let mut relaxed = task.clone();
        let mut left = Conflict::default();
        for vm in wanted {
            // A VM whose goal does not matter may as well stay; if B is not sound then, its move is needed for the question.
            let to = std::mem::replace(&mut relaxed.vms[vm as usize].to, task.vms[vm as usize].from);
            if !stays_impossible(&relaxed) {
                relaxed.vms[vm as usize].to = to;
                left.moves.push(vm);
            }
        }
        for host in 0..task.hosts.len() as u32 {
            let limits = std::mem::replace(&mut relaxed.hosts[host as usize].capacity, enough.clone());
            if relaxed.flaw().is_some() || !stays_impossible(&relaxed) {
                relaxed.hosts[host as usize].capacity = limits;
                left.hosts.push(host);
            }
        }
        for rule in (0..task.rules.len() as u32).rev() {
            let lifted = relaxed.rules.remove(rule as usize);
            if !stays_impossible(&relaxed) {
                relaxed.rules.insert(rule as usize, lifted);
                left.rules.insert(0, rule);
            }
        }
        left
    }

    fn lifting(&self) -> Vec<Repair> {
        let lifted = |(number, rule): (usize, &ulm_model::TaskRule)| {
            let mut task = self.task.clone();
            task.rules.remove(number);
            let rule_number = number as u32;
            let kind = match rule.soft {
                true => RepairKind::LiftWish { rule: rule_number },
                false => RepairKind::LiftRule { rule: rule_number },
            };
            self.planned(&task, kind)
        };
        self.task.rules.iter().enumerate().take(self.tries(DROPPED)).filter_map(lifted).collect()
    }

    /// As few wanted moves as possible are given up: all at first, then those that can be made after all are taken in again.
    fn leaving(&self) -> Option<Repair> {
        let task = self.task;
        let mut kept = task.clone();
        let wanted = self.misplaced();
        wanted.iter().for_each(|vm| kept.vms[*vm as usize].to = task.vms[*vm as usize].from);
        let mut best = None;
        let mut left = wanted.clone();
        let mut tries = self.tries(LEFT);
        // Halves at first, then quarters, and single ones in the end.
        let mut size = wanted.len();
        while size > 0 && tries > 0 {
            for part in left.clone().chunks(size) {
                if tries == 0 {
                    break;
                }
                tries -= 1;
                let before = kept.clone();
                part.iter().for_each(|vm| kept.vms[*vm as usize].to = task.vms[*vm as usize].to);
                let without: Vec<u32> = left.iter().copied().filter(|vm| !part.contains(vm)).collect();
                match self.planned(&kept, RepairKind::Leave { vms: without.clone() }) {
                    Some(repair) => (best, left) = (Some(repair), without),
                    None => kept = before,
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
        best.filter(|repair| repair.moves > 0)
    }

    /// VMs whose absence opens a way, those of the conflict first.
    fn stopping(&self, conflict: &Conflict) -> Vec<Repair> {
        let task = self.task;
        let mut tried: Vec<u32> = match conflict.moves.is_empty() {
            true => self.misplaced(),
            false => conflict.moves.clone(),
        };
        let on_its_hosts = |vm: &u32| conflict.hosts.contains(&task.vms[*vm as usize].from);
        tried.extend((0..task.vms.len() as u32).filter(on_its_hosts));
        let mut seen = std::collections::BTreeSet::new();
        tried.retain(|vm| seen.insert(*vm));
        let stopped = |vm: &u32| self.planned(&without(task, *vm), RepairKind::Stop { vm: *vm });
        let mut repairs: Vec<Repair> = tried.iter().take(self.tries(STOPPED)).filter_map(stopped).collect();
        repairs.sort_by_key(|repair| repair.cost);
        repairs.truncate(NAMED);
        repairs
    }

    /// One more host, of the smallest sort that helps.
    fn adding(&self) -> Option<Repair> {
        let mut sorts: Vec<(Vec<u64>, u32)> =
            self.task.hosts.iter().enumerate().map(|(h, host)| (host.capacity.clone(), h as u32)).collect();
        sorts.sort();
        sorts.dedup_by(|a, b| a.0 == b.0);
        sorts
            .iter()
            .take(NAMED)
            .find_map(|(_, like)| self.planned(&with_one_more(self.task, *like), RepairKind::AddHost { like: *like }))
    }
}

/// The task without a VM: the others' numbers close up.
fn without(task: &Task, vm: u32) -> Task {
    let mut task = task.clone();
    task.vms.remove(vm as usize);
    let close = |vms: &mut Vec<u32>| {
        vms.retain(|other| *other != vm);
        vms.iter_mut().for_each(|other| *other -= u32::from(*other > vm));
    };
    for rule in &mut task.rules {
        match &mut rule.kind {
            TaskRuleKind::AtMost { vms, .. }
            | TaskRuleKind::Together { vms }
            | TaskRuleKind::Only { vms, .. }
            | TaskRuleKind::Never { vms, .. }
            | TaskRuleKind::OneWay { vms, .. } => close(vms),
        }
    }
    task
}

/// The task with one more empty host, about which rules say what they say of the one that it is like.
fn with_one_more(task: &Task, like: u32) -> Task {
    let mut task = task.clone();
    let new = task.hosts.len() as u32;
    let mut host = task.hosts[like as usize].clone();
    host.name = format!("{} (added)", host.name);
    (host.takes, host.power) = (true, Power::On);
    task.hosts.push(host);
    for rule in &mut task.rules {
        match &mut rule.kind {
            TaskRuleKind::AtMost { domains, .. } => match domains.iter_mut().find(|domain| domain.contains(&like)) {
                Some(domain) if domain.len() > 1 => domain.push(new),
                Some(_) => domains.push(vec![new]),
                None => {}
            },
            TaskRuleKind::Only { hosts, .. } | TaskRuleKind::Never { hosts, .. } => {
                if hosts.contains(&like) {
                    hosts.push(new);
                }
            }
            TaskRuleKind::OneWay { rank, .. } => rank.push(rank[like as usize]),
            TaskRuleKind::Together { .. } => {}
        }
    }
    for link in task.links.iter_mut().filter(|link| link.inside.len() > 1 && link.inside.contains(&like)) {
        link.inside.push(new);
    }
    task
}
