//! What a placement is worth in physical units: what people see of a goal before and after.

use std::collections::{BTreeMap, BTreeSet};

use ulm_model::{Bytes, Gain, HostIx, Share, VmIx, label};
use ulm_policy::{Goal, GoalKind, PlacementExpression, Shape, Spread};
use ulm_rules::select::selects_host;

use super::question::{CPU, DISK, HELD, NETWORK, PROMISED, Question, RESOURCES, USED, VCPUS, WISHED};
use super::{cells, terms};
use crate::concerns::domains;
use crate::round::Round;

/// What the goal shows for one placement and for another one, as far as it changes.
pub(crate) fn gains(q: &Question, round: &Round<'_>, goal: &Goal, before: &[u32], after: &[u32]) -> Vec<Gain> {
    let gain = |what: String, before: String, after: String| Gain { goal: goal.name.clone(), what, before, after };
    let snapshot = &round.input.snapshot;
    let both = |what: String, of: &dyn Fn(&[u32]) -> String| gain(what, of(before), of(after));
    let all = match &goal.kind {
        GoalKind::Rules | GoalKind::Relieve => Vec::new(),
        GoalKind::Even(spread) | GoalKind::Headroom(spread) => {
            return load_gains(q, round, goal, spread, before, after);
        }
        GoalKind::Defragment(defragment) => {
            let awake = |at: &[u32]| carrying(q, at).into_iter().filter(|host| in_goal(round, goal, *host)).count();
            let watts = |at: &[u32]| -> u64 {
                let hosts = carrying(q, at).into_iter().filter(|host| in_goal(round, goal, *host));
                hosts.map(|host| u64::from(terms::watts(snapshot.host(host), defragment.watts))).sum()
            };
            vec![
                both("hosts that carry VMs".into(), &|at| awake(at).to_string()),
                both("power of hosts that carry VMs".into(), &|at| format!("{} W", watts(at))),
            ]
        }
        GoalKind::Evacuate => {
            let left =
                |at: &[u32]| at.iter().filter(|host| selects_host(&goal.hosts, snapshot.host(HostIx(**host)))).count();
            vec![both("VMs on hosts to be emptied".into(), &|at| left(at).to_string())]
        }
        GoalKind::MakeRoom(shape) => {
            let rooms = |at: &[u32]| rooms(q, round, goal, shape, at, &|_| true).to_string();
            vec![both(format!("places for a VM of {}", shown(shape)), &rooms)]
        }
        GoalKind::Colocate { label: key, level } => {
            let domains = domains(snapshot, level, &|_| true);
            let spread = |at: &[u32]| {
                let mut groups: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
                for (vm, host) in q.vms.iter().zip(at) {
                    if let Some(value) = label(&snapshot.vm(*vm).tags, key) {
                        groups.entry(value).or_default().insert(domains[*host as usize]);
                    }
                }
                groups.values().map(|domains| domains.len() - 1).sum::<usize>().to_string()
            };
            vec![both(format!("places too many that VMs of one {key} are spread over"), &spread)]
        }
        GoalKind::Merge(_) => vec![both("memory that merging saves".into(), &|at| saved(q, round, at).to_string())],
        GoalKind::Custom(custom) => match &custom.each {
            Some(each) => {
                let table = PlacementExpression::each(each).and_then(|each| each.over(snapshot));
                let sum = |at: &[u32]| match &table {
                    Ok(table) => q.vms.iter().zip(at).map(|(vm, host)| table.cost(vm.at(), *host as usize)).sum(),
                    Err(_) => 0i64,
                };
                vec![both("cost by its expression".into(), &|at| sum(at).to_string())]
            }
            None => {
                let carrying =
                    |at: &[u32]| carrying(q, at).into_iter().filter(|host| in_goal(round, goal, *host)).count();
                vec![both("hosts that carry VMs".into(), &|at| carrying(at).to_string())]
            }
        },
    };
    all.into_iter().filter(|gain| gain.before != gain.after).collect()
}

/// The fullest of the hosts whose load changes, for each resource that is spread.
fn load_gains(
    q: &Question,
    round: &Round<'_>,
    goal: &Goal,
    spread: &Spread,
    before: &[u32],
    after: &[u32],
) -> Vec<Gain> {
    let touched = touched(before, after);
    let mut gains: Vec<(Share, Gain)> = Vec::new();
    for (resource, _) in terms::spread_of(spread).into_iter().filter(|(_, weight)| *weight > 0) {
        let (was, is) = (loads(q, before, resource), loads(q, after, resource));
        let wholes = terms::wholes(q, &round.input.snapshot, goal, resource);
        let part = |load: &[i64], host: HostIx| share(load[host.at()], wholes[host.at()]);
        let fullest = touched.iter().copied().filter(|host| wholes[host.at()] > 0).max_by_key(|host| part(&was, *host));
        let Some(fullest) = fullest else { continue };
        let name = &round.input.snapshot.host(fullest).name;
        let (before, after) = (part(&was, fullest), part(&is, fullest));
        if after < before {
            let what = format!("{} on {name}", named(resource));
            let gain = Gain { goal: goal.name.clone(), what, before: before.to_string(), after: after.to_string() };
            gains.push((before, gain));
        }
    }
    // The fullest speaks first.
    gains.sort_by_key(|(before, _)| std::cmp::Reverse(*before));
    gains.into_iter().map(|(_, gain)| gain).collect()
}

/// The hosts whose VMs are not the same in both.
pub(crate) fn touched(before: &[u32], after: &[u32]) -> BTreeSet<HostIx> {
    let moved = before.iter().zip(after).filter(|(before, after)| before != after);
    moved.flat_map(|(before, after)| [HostIx(*before), HostIx(*after)]).collect()
}

/// What each host has to bear of the resource, when equal pages are merged.
pub(crate) fn loads(q: &Question, at: &[u32], resource: usize) -> Vec<i64> {
    let mut loads: Vec<i64> = q.problem.hosts.iter().map(|host| host.base[resource]).collect();
    for (vm, host) in q.problem.vms.iter().zip(at) {
        let takes = if resource < RESOURCES { vm.size[resource] } else { vm.takes(resource, *host) };
        loads[*host as usize] = loads[*host as usize].saturating_add(takes);
    }
    let Some(sharing) = q.problem.sharing.as_ref().filter(|it| it.resources.contains(&resource)) else {
        return loads;
    };
    for ((host, class), count) in sharing.counts(at) {
        let credit = i64::try_from(sharing.credit(host, class, count)).unwrap_or(i64::MAX);
        loads[host as usize] = loads[host as usize].saturating_sub(credit);
    }
    loads
}

/// What hosts that merge save by the likeliest weights, of the VMs that take part.
pub(crate) fn saved(q: &Question, round: &Round<'_>, at: &[u32]) -> Bytes {
    let known = round.scene.state.sharing();
    if known.classes.is_empty() {
        return Bytes(0);
    }
    let mut on: Vec<Vec<VmIx>> = vec![Vec::new(); q.problem.hosts.len()];
    q.vms.iter().zip(at).for_each(|(vm, host)| on[*host as usize].push(*vm));
    let merging = round.input.snapshot.hosts.iter().zip(on).filter(|(host, _)| host.merges());
    merging.map(|(_, vms)| known.saved(vms, |class| class.likely)).sum()
}

/// The hosts that carry a VM.
pub(crate) fn carrying(q: &Question, at: &[u32]) -> BTreeSet<HostIx> {
    let busy = q.problem.hosts.iter().enumerate().filter(|(_, host)| host.busy).map(|(i, _)| HostIx(i as u32));
    at.iter().map(|host| HostIx(*host)).chain(busy).collect()
}

fn in_goal(round: &Round<'_>, goal: &Goal, host: HostIx) -> bool {
    terms::concerns(goal, round.input.snapshot.host(host))
}

/// How many VMs of the shape would have room on those of the goal's open hosts that count, at most so many as the shape says.
pub(crate) fn rooms(
    q: &Question,
    round: &Round<'_>,
    goal: &Goal,
    shape: &Shape,
    at: &[u32],
    counts: &dyn Fn(HostIx) -> bool,
) -> i64 {
    let memory = super::question::whole_number(shape.memory.0);
    let asks = [(PROMISED, memory), (VCPUS, i64::from(shape.vcpus)), (HELD, terms::held(shape))];
    let free = asks.map(|(resource, ask)| (resource, ask, loads(q, at, resource)));
    let in_parts = cells::parts(q, round, goal, shape);
    let in_parts: Option<Vec<(usize, i64, Vec<i64>)>> =
        in_parts.map(|parts| parts.into_iter().map(|part| (part, memory, loads(q, at, part))).collect());
    let on = |host: usize| {
        let fits = |(resource, ask, loads): &(usize, i64, Vec<i64>)| match *ask {
            0 => i64::MAX,
            ask => (q.problem.hosts[host].capacity[*resource] - loads[host]).max(0) / ask,
        };
        let whole = free.iter().map(fits).min().unwrap_or(0);
        in_parts.as_ref().map_or(whole, |parts| whole.min(parts.iter().map(fits).sum()))
    };
    let counts = |host: &usize| q.problem.hosts[*host].takes && counts(HostIx(*host as u32));
    let open = (0..q.problem.hosts.len()).filter(counts);
    let most = i64::from(shape.count.unwrap_or(u32::MAX));
    open.filter(|host| in_goal(round, goal, HostIx(*host as u32))).map(on).sum::<i64>().min(most)
}

/// The shape, for people.
fn shown(shape: &Shape) -> String {
    let pages = shape.pages.map_or_else(String::new, |size| format!(" in pages of {size}"));
    let cell = if shape.cell { " in one NUMA cell" } else { "" };
    format!("{} vCPUs and {}{pages}{cell}", shape.vcpus, shape.memory)
}

/// The part of the whole.
pub(crate) fn share(load: i64, whole: i64) -> Share {
    Share::ratio(u64::try_from(load).unwrap_or(0), u64::try_from(whole).unwrap_or(0))
}

fn named(resource: usize) -> &'static str {
    match resource {
        CPU => "CPU in use",
        USED => "memory in use",
        DISK => "disk traffic, of the busiest host's,",
        NETWORK => "network traffic, of the busiest host's,",
        WISHED => "CPU wanted",
        _ => "load",
    }
}
