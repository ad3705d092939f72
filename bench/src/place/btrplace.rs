//! Repair at 5,000 hosts: instances of BtrPlace (Hermenier, Lawall and Muller, *BtrPlace: a flexible consolidation manager for highly
//! available applications*, IEEE Transactions on Dependable and Secure Computing, 2013).
//!
//! *li*: VMs are to get more CPU, and some hosts cannot give it to all; *nr*: VMs wait to be started, and hosts are off. Each instance is
//! answered by the ordinary search and path finder, in a process of its own whose memory is told.
//!
//! A VM that waits is on one host more, which takes nothing and must be left: its move from there is its start. Points are
//! milliseconds of the moves; what a host has too little costs more than any of them.

mod instance;
mod judge;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use ulm_check::{Completeness, check_route};
use ulm_model::{
    Answer, Copying, Domains, Holds, HostIx, Power, Task, TaskHost, TaskResource, TaskRule, TaskRuleKind, TaskVm,
};
use ulm_path::{Alone, Budget, ByBytes};
use ulm_place::{Effort, Excess, PlaceHost, PlaceVm, Points, Problem, Relation, RelationKind, search};
use ulm_rules::HostSet;

use crate::clock::on_the_processor;
use crate::table::Table;
use instance::{Asks, Instance, USUAL_MS};

/// What a unit of a resource that a host has too little of costs, and a VM that is where it may not stay.
const OVER: Points = 1 << 24;
const URGENT: Points = 1 << 36;
/// As much as `decide` weighs in a round.
const EFFORT: Effort = Effort { evaluations: 4_000_000, moves: u32::MAX };

/// An instance's name, and what is known of BtrPlace's first plan: seconds, Σ action end times in seconds, GB.
type Peer = (&'static str, Option<(f64, u64, f64)>);

/// Measured beside the instances, in repair mode.
const PEERS: [Peer; 5] = [
    ("li3", Some((0.50, 22, 0.41))),
    ("li6", Some((11.8, 4_148, 3.9))),
    ("nr3", Some((9.2, 4_294, 1.4))),
    ("nr6", Some((8.2, 8_543, 3.2))),
    ("li3-c66", None),
];

/// Prints the table; with a name, only the figures of that instance, for the table.
pub fn run(data: &Path, only: Option<&str>) -> anyhow::Result<()> {
    if let Some(name) = only {
        println!("{}", figures(data, name)?.join("\t"));
        return Ok(());
    }
    let headings = [
        "instance",
        "hosts",
        "VMs",
        "moves",
        "starts",
        "Σ ends s",
        "BtrPlace",
        "ratio",
        "CPU s",
        "BtrPlace",
        "search",
        "path",
        "check",
        "MB",
        "BtrPlace",
        "checker",
        "violations",
    ];
    let mut table = Table::new(&headings);
    for (name, _) in PEERS {
        let this = std::env::current_exe()?;
        let output = Command::new(this).args(["place", "btrplace", "--only", name, "--data"]).arg(data).output()?;
        if !output.status.success() {
            bail!("{name}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let text = String::from_utf8(output.stdout)?;
        table.row(&text.trim_end().split('\t').map(str::to_owned).collect::<Vec<_>>());
    }
    print!("{}", table.text());
    Ok(())
}

/// The row of an instance.
fn figures(data: &Path, name: &str) -> anyhow::Result<Vec<String>> {
    let peer = PEERS.iter().find(|it| it.0 == name).and_then(|it| it.1);
    let instance = Instance::read(&data.join("btrplace").join(format!("{name}.json.gz")))?;
    let begun = on_the_processor();
    let at = placement(&instance);
    let searched = on_the_processor();
    let task = task(&instance, &at);
    let route = match ulm_path::path(&task, &ByBytes, &Budget::default(), &Alone) {
        Answer::Route(route) => route,
        Answer::Impossible { .. } => bail!("{name}: it is proved that there is no way"),
        Answer::Undecided { left, .. } => bail!("{name}: no way was found for {} VMs", left.len()),
    };
    let found = on_the_processor();
    let checked = check_route(&task, &route, Completeness::ToB);
    let ended = on_the_processor();
    let memory = peak_memory().context("the peak of memory cannot be read")?;
    let verdict = judge::judge(&instance, &route);
    let seconds = |time: std::time::Duration| format!("{:.3}", time.as_secs_f64());
    let of_peer = |show: &dyn Fn((f64, u64, f64)) -> String| peer.map_or("–".into(), show);
    let ends = verdict.ends_ms as f64 / 1e3;
    Ok(vec![
        name.into(),
        instance.hosts.len().to_string(),
        instance.vms.len().to_string(),
        verdict.moves.to_string(),
        verdict.boots.to_string(),
        format!("{ends:.0}"),
        of_peer(&|it| it.1.to_string()),
        of_peer(&|it| format!("{:.3}", ends / it.1 as f64)),
        seconds(ended - begun),
        of_peer(&|it| format!("{:.2}", it.0)),
        seconds(searched - begun),
        seconds(found - searched),
        seconds(ended - found),
        format!("{}", memory >> 20),
        of_peer(&|it| format!("{:.0}", it.2 * 1e9 / f64::from(1 << 20))),
        checked.map_or_else(|fault| fault.to_string(), |_| "accepts".into()),
        verdict.violations.to_string(),
    ])
}

/// The most memory that this process has had, in bytes.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

/// Where each VM is to be, by the search; one beyond the last host: where it waits.
fn placement(instance: &Instance) -> Vec<u32> {
    let problem = problem(instance);
    let found = search(&problem, &EFFORT);
    let mut at: Vec<u32> = problem.vms.iter().map(|vm| vm.at).collect();
    found.packages.iter().flat_map(|it| &it.moves).for_each(|step| at[step.vm as usize] = step.to);
    at
}

/// The question in the terms of the search.
fn problem(instance: &Instance) -> Problem {
    let (hosts, resources) = (instance.hosts.len(), instance.resources.len());
    let host = |(h, it): (usize, &instance::Host)| PlaceHost {
        capacity: instance.resources.iter().map(|resource| resource.capacity[h]).collect(),
        base: vec![0; resources],
        takes: it.on_then,
        busy: false,
    };
    let waiting = PlaceHost { capacity: vec![i64::MAX; resources], base: vec![0; resources], takes: false, busy: true };
    let (allowed, sets) = fences(instance);
    let vm = |(v, it): (usize, &instance::Vm)| {
        let stays_there = it
            .at
            .is_some_and(|at| instance.hosts[at as usize].on_then && sets[allowed[v] as usize].contains(HostIx(at)));
        PlaceVm {
            at: it.at.unwrap_or(hosts as u32),
            size: instance.resources.iter().map(|resource| resource.then[v]).collect(),
            allowed: allowed[v],
            stays: false,
            move_cost: duration_ms(it) as Points,
            stay_cost: if stays_there { 0 } else { URGENT },
            loosely: Vec::new(),
        }
    };
    let excess = |(r, resource): (usize, &instance::Resource)| Excess {
        parts: vec![(r, 1)],
        above: resource.capacity.iter().copied().chain([i64::MAX]).collect(),
        each: OVER,
    };
    Problem {
        resources,
        hosts: instance.hosts.iter().enumerate().map(host).chain([waiting]).collect(),
        vms: instance.vms.iter().enumerate().map(vm).collect(),
        relations: relations(instance),
        excesses: instance.resources.iter().enumerate().map(excess).collect(),
        sets,
        ..Problem::default()
    }
}

fn duration_ms(vm: &instance::Vm) -> u64 {
    if vm.at.is_some() { USUAL_MS } else { vm.boot_ms }
}

/// The part of an among that its VMs may not leave: the first where one of them runs, if that holds on the way.
fn kept_part<'i>(instance: &'i Instance, group: &'i instance::Group) -> Option<&'i Vec<u32>> {
    let Asks::Among(parts) = &group.asks else { return None };
    let mut homes = group.vms.iter().filter_map(|vm| instance.vms[*vm as usize].at);
    let home = homes.next().filter(|_| group.continuous)?;
    parts.iter().find(|part| part.binary_search(&home).is_ok())
}

/// For each VM the set of hosts that it may be on, and the sets.
fn fences(instance: &Instance) -> (Vec<u32>, Vec<HostSet>) {
    let hosts = instance.hosts.len() + 1;
    let mut sets = vec![HostSet::all(hosts)];
    let mut allowed = vec![0u32; instance.vms.len()];
    for group in &instance.groups {
        let within: Vec<u32> = match &group.asks {
            Asks::Spread => continue,
            Asks::Fence(hosts) => hosts.clone(),
            Asks::Among(parts) => kept_part(instance, group).cloned().unwrap_or_else(|| parts.concat()),
        };
        let mut inside = vec![false; hosts];
        within.iter().for_each(|host| inside[*host as usize] = true);
        let set = HostSet::of(hosts, |host| inside[host.at()]);
        for vm in &group.vms {
            let mut both = sets[allowed[*vm as usize] as usize].clone();
            both.intersect(&set);
            allowed[*vm as usize] = sets.iter().position(|it| *it == both).unwrap_or(sets.len()) as u32;
            if allowed[*vm as usize] as usize == sets.len() {
                sets.push(both);
            }
        }
    }
    (allowed, sets)
}

/// Spreads, and sets of which one is to be chosen.
fn relations(instance: &Instance) -> Vec<Relation> {
    let hosts = instance.hosts.len();
    let relation = |group: &instance::Group| {
        let (kind, mut domains) = match &group.asks {
            Asks::Spread => (RelationKind::AtMost(1), (0..hosts as u32).collect()),
            Asks::Among(parts) if kept_part(instance, group).is_none() => {
                let mut domains = vec![Relation::OUTSIDE; hosts];
                for (part, within) in parts.iter().enumerate() {
                    within.iter().for_each(|host| domains[*host as usize] = part as u32);
                }
                (RelationKind::Near, domains)
            }
            Asks::Among(_) | Asks::Fence(_) => return None,
        };
        domains.push(Relation::OUTSIDE);
        Some(Relation { vms: group.vms.clone(), domains, kind, points: None })
    };
    instance.groups.iter().filter_map(relation).collect()
}

/// The question how to get there.
fn task(instance: &Instance, at: &[u32]) -> Task {
    let host = |(h, it): (usize, &instance::Host)| TaskHost {
        name: format!("host {}", it.id),
        capacity: instance.resources.iter().map(|resource| resource.capacity[h] as u64).collect(),
        takes: it.on_then,
        power: match (it.on, it.on_then) {
            (true, true) => Power::On,
            (true, false) => Power::SwitchOff { takes_ms: USUAL_MS },
            (false, true) => Power::SwitchOn { takes_ms: USUAL_MS },
            (false, false) => Power::Off,
        },
        moves_in: u32::MAX,
        moves_out: u32::MAX,
    };
    let all = |resource: &instance::Resource| resource.then.iter().sum::<i64>() as u64;
    let waiting = TaskHost {
        name: "waiting".into(),
        capacity: instance.resources.iter().map(all).collect(),
        takes: false,
        power: Power::On,
        moves_in: u32::MAX,
        moves_out: u32::MAX,
    };
    let vm = |(v, it): (usize, &instance::Vm)| TaskVm {
        name: format!("vm {}", it.id),
        from: it.at.unwrap_or(instance.hosts.len() as u32),
        to: at[v],
        size: instance.resources.iter().map(|resource| resource.then[v] as u64).collect(),
        stays: false,
        copy: Copying { bytes: duration_ms(it), takes_ms: Some(duration_ms(it)), ..Copying::default() },
    };
    let each = Domains::each(instance.hosts.len() as u32);
    let resource = |it: &instance::Resource| TaskResource { name: it.name.clone(), holds: Holds::Always };
    Task {
        resources: instance.resources.iter().map(resource).collect(),
        hosts: instance.hosts.iter().enumerate().map(host).chain([waiting]).collect(),
        vms: instance.vms.iter().enumerate().map(vm).collect(),
        rules: instance.groups.iter().enumerate().map(|group| rule(instance, at, &each, group)).collect(),
        links: Vec::new(),
    }
}

fn rule(instance: &Instance, at: &[u32], each: &Domains, (number, group): (usize, &instance::Group)) -> TaskRule {
    let vms = group.vms.clone();
    let (name, kind) = match &group.asks {
        Asks::Spread => ("spread", TaskRuleKind::AtMost { vms, domains: each.clone(), limit: 1 }),
        Asks::Fence(hosts) => ("fence", TaskRuleKind::Only { vms, hosts: hosts.clone() }),
        Asks::Among(parts) => {
            let chosen = || parts.iter().find(|part| part.binary_search(&at[group.vms[0] as usize]).is_ok());
            let hosts = kept_part(instance, group).or_else(chosen).cloned().unwrap_or_default();
            ("among", TaskRuleKind::Only { vms, hosts })
        }
    };
    let holds = if group.continuous { Holds::Always } else { Holds::AtEnd };
    TaskRule { name: format!("{name} {number}"), holds, soft: false, kind }
}
