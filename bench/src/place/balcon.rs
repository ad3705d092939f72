//! Consolidation: as few hosts as hold all VMs, and as little memory moved as can be (Gudkov et al., *BalCon*, Future Generation
//! Computer Systems, 2023).
//!
//! The objective of the set is 10 for each active host and 1 for each TiB that is moved. Here a point is a MiB: a host that carries any
//! VM costs ten TiB, a move its VM's memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use ulm_model::{Answer, Copying, Holds, Power, Task, TaskHost, TaskResource, TaskVm};
use ulm_path::{Alone, Budget, ByBytes};
use ulm_place::{Effort, Found, PlaceHost, PlaceVm, Problem, search};
use ulm_rules::HostSet;

use crate::clock::on_the_processor;
use crate::table::Table;

/// MiB in a TiB.
const TIB: i64 = 1 << 20;
/// What a host that carries any VM costs, in MiB.
const AWAKE: i64 = 10 * TIB;

/// An instance as it is in its file.
#[derive(Deserialize)]
struct Instance {
    hosts: Vec<Size>,
    vms: Vec<Size>,
    mapping: Vec<u32>,
}

/// CPUs, and memory in MiB.
#[derive(Clone, Copy, Deserialize)]
struct Size {
    cpu: i64,
    mem: i64,
}

/// What the judge says of an answer.
struct Verdict {
    hosts: usize,
    /// Memory of VMs that are elsewhere, in MiB.
    moved: i64,
    moves: usize,
    order: Order,
}

/// Whether the moves can be made one after the other, with memory and CPUs taken on both hosts meanwhile.
enum Order {
    /// Package by package.
    AsPackages,
    /// Each VM once, but not package by package.
    ByPath,
    /// With so much memory moved besides, in MiB, because VMs are parked.
    Parked(i64),
    /// No way was found.
    None,
}

/// Hosts, MiB moved, moves, and milliseconds on a processor.
type Peer = (usize, i64, usize, u64);

/// What BalCon's own code makes of each instance: its `balcon.py` and `assignment.py` (MIT), retyped from their published
/// text, with small shims for input and output, the published settings (at most 4,000 forced steps), Python 3.11 and
/// NumPy 2.4.
const BALCON: [Peer; 40] = [
    (62, 16_186_368, 2_129, 718),
    (45, 12_173_312, 1_565, 444),
    (62, 16_789_504, 1_511, 543),
    (44, 11_902_976, 2_191, 559),
    (50, 17_406_976, 2_750, 1777),
    (55, 13_893_632, 1_157, 352),
    (39, 9_016_320, 1_052, 289),
    (26, 5_367_808, 812, 170),
    (62, 15_917_056, 2_186, 1004),
    (38, 9_751_552, 1_097, 262),
    (52, 10_660_864, 1_506, 588),
    (99, 31_084_544, 2_680, 1803),
    (21, 4_039_680, 557, 110),
    (54, 12_013_568, 1_831, 454),
    (63, 20_676_608, 2_410, 2339),
    (48, 10_688_512, 1_348, 341),
    (36, 7_273_472, 881, 163),
    (21, 3_953_664, 571, 93),
    (76, 22_473_728, 3_065, 2337),
    (89, 23_875_584, 2_364, 1046),
    (68, 22_647_808, 1_369, 1104),
    (25, 3_333_120, 691, 104),
    (29, 7_805_952, 1_000, 346),
    (49, 13_469_696, 1_589, 463),
    (13, 1_714_176, 249, 99),
    (72, 21_626_880, 2_792, 1172),
    (24, 4_858_880, 679, 179),
    (16, 4_933_632, 628, 227),
    (32, 6_620_160, 1_180, 247),
    (74, 20_251_648, 2_485, 1165),
    (15, 2_042_880, 391, 107),
    (36, 9_226_240, 2_007, 425),
    (54, 11_569_152, 1_413, 493),
    (50, 8_987_648, 1_337, 2298),
    (76, 18_936_832, 1_878, 574),
    (57, 17_977_344, 1_083, 3766),
    (55, 13_731_840, 2_101, 483),
    (33, 7_023_616, 759, 254),
    (81, 21_699_584, 2_437, 867),
    (51, 13_272_064, 1_834, 2193),
];

/// Prints the table.
pub fn run(data: &Path) -> anyhow::Result<()> {
    let instances = read(&data.join("balcon/instances-000-039.tar.xz"))?;
    let headings = [
        "instance",
        "hosts",
        "VMs",
        "bound",
        "awake",
        "BalCon",
        "TiB moved",
        "BalCon",
        "ratio",
        "moves",
        "BalCon",
        "CPU s",
        "BalCon",
        "packages",
        "order",
    ];
    let mut table = Table::new(&headings);
    let (mut sums, mut theirs) = (Sums::default(), Sums::default());
    let (mut bounds, mut ordered) = (0, 0);
    for (name, instance) in &instances {
        let problem = problem(instance);
        let effort = Effort { evaluations: 1 << 40, moves: u32::MAX };
        let started = on_the_processor();
        let found = search(&problem, &effort);
        let time = on_the_processor() - started;
        let verdict = judge(instance, &found)?;
        let number: usize = name.parse().with_context(|| format!("{name} is no number"))?;
        let peer = BALCON.get(number);
        let bound = least_hosts(instance);
        let tib = |moved: i64| format!("{:.2}", moved as f64 / TIB as f64);
        let of_peer = |show: &dyn Fn(&Peer) -> String| peer.map_or("?".into(), show);
        let order = match verdict.order {
            Order::AsPackages => "packages".into(),
            Order::ByPath => "path".into(),
            Order::Parked(more) => format!("parks {} TiB", tib(more)),
            Order::None => "NONE".into(),
        };
        ordered += usize::from(!matches!(verdict.order, Order::None));
        bounds += bound;
        sums.add(verdict.hosts, verdict.moved, verdict.moves, time);
        if let Some(it) = peer {
            theirs.add(it.0, it.1, it.2, Duration::from_millis(it.3));
        }
        table.row(&[
            name.clone(),
            instance.hosts.len().to_string(),
            instance.vms.len().to_string(),
            bound.to_string(),
            verdict.hosts.to_string(),
            of_peer(&|it| it.0.to_string()),
            tib(verdict.moved),
            of_peer(&|it| tib(it.1)),
            of_peer(&|it| format!("{:.3}", verdict.moved as f64 / it.1 as f64)),
            verdict.moves.to_string(),
            of_peer(&|it| it.2.to_string()),
            format!("{:.3}", time.as_secs_f64()),
            of_peer(&|it| format!("{:.3}", it.3 as f64 / 1e3)),
            found.packages.len().to_string(),
            order,
        ]);
    }
    print!("{}", table.text());
    let ours = sums;
    println!(
        "all: at least {bounds} hosts, {} used (BalCon {}); {:.2} TiB moved (BalCon {:.2}, ratio {:.3}); {} moves (BalCon {})",
        ours.hosts,
        theirs.hosts,
        ours.tib(),
        theirs.tib(),
        ours.tib() / theirs.tib(),
        ours.moves,
        theirs.moves
    );
    println!(
        "objective 10 × hosts + TiB: {:.1} (BalCon {:.1}); median {:.3} s, {:.1} s in all (BalCon {:.3} s, {:.1} s); {ordered} of {} \
         plans can be made in order",
        ours.objective(),
        theirs.objective(),
        ours.median(),
        ours.seconds(),
        theirs.median(),
        theirs.seconds(),
        instances.len()
    );
    Ok(())
}

/// Figures of all instances.
#[derive(Default)]
struct Sums {
    hosts: usize,
    moved: i64,
    moves: usize,
    times: Vec<Duration>,
}

impl Sums {
    fn add(&mut self, hosts: usize, moved: i64, moves: usize, time: Duration) {
        self.hosts += hosts;
        self.moved += moved;
        self.moves += moves;
        self.times.push(time);
        self.times.sort_unstable();
    }

    fn tib(&self) -> f64 {
        self.moved as f64 / TIB as f64
    }

    fn objective(&self) -> f64 {
        10.0 * self.hosts as f64 + self.tib()
    }

    fn median(&self) -> f64 {
        self.times.get(self.times.len() / 2).map_or(0.0, Duration::as_secs_f64)
    }

    fn seconds(&self) -> f64 {
        self.times.iter().sum::<Duration>().as_secs_f64()
    }
}

/// The instances of the archive, by name.
fn read(archive: &Path) -> anyhow::Result<BTreeMap<String, Instance>> {
    ensure!(archive.is_file(), "{} is not there: --data names the folder that has it", archive.display());
    let tar = |words: &[&str]| -> anyhow::Result<Vec<u8>> {
        let mut command = Command::new("tar");
        let output = command.args(words).arg("-f").arg(archive).output().context("tar (with xz) is needed")?;
        if !output.status.success() {
            bail!("tar: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(output.stdout)
    };
    // All files one after the other: each is one value.
    let names = String::from_utf8(tar(&["-t"])?)?;
    let names: Vec<&str> = names.lines().filter(|name| name.ends_with(".json")).collect();
    let content = tar(&["-xO"])?;
    let values = serde_json::Deserializer::from_slice(&content).into_iter::<Instance>();
    let instances: Vec<Instance> = values.collect::<Result<_, _>>()?;
    ensure!(instances.len() == names.len(), "each file is one instance");
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).trim_end_matches(".json").to_owned();
    Ok(names.iter().map(|path| name(path)).zip(instances).collect())
}

/// The question in the terms of the search.
fn problem(instance: &Instance) -> Problem {
    let host = |it: &Size| PlaceHost { capacity: vec![it.cpu, it.mem], base: vec![0; 2], takes: true, busy: false };
    let vm = |(it, at): (&Size, &u32)| PlaceVm {
        at: *at,
        size: vec![it.cpu, it.mem],
        move_cost: it.mem,
        ..PlaceVm::default()
    };
    Problem {
        resources: 2,
        hosts: instance.hosts.iter().map(host).collect(),
        vms: instance.vms.iter().zip(&instance.mapping).map(vm).collect(),
        sets: vec![HostSet::all(instance.hosts.len())],
        awake: vec![AWAKE; instance.hosts.len()],
        ..Problem::default()
    }
}

/// How many hosts hold the sum of all VMs at least: of each resource the largest hosts first.
fn least_hosts(instance: &Instance) -> usize {
    let of = |size: fn(&Size) -> i64| {
        let mut hosts: Vec<i64> = instance.hosts.iter().map(size).collect();
        hosts.sort_unstable_by(|a, b| b.cmp(a));
        let sum: i64 = instance.vms.iter().map(size).sum();
        let held = hosts.iter().scan(0, |held, it| {
            *held += it;
            Some(*held)
        });
        held.take_while(|held| *held < sum).count() + usize::from(sum > 0)
    };
    of(|it| it.cpu).max(of(|it| it.mem))
}

/// Judges an answer by the instance alone.
fn judge(instance: &Instance, found: &Found) -> anyhow::Result<Verdict> {
    let mut at = instance.mapping.clone();
    for step in found.packages.iter().flat_map(|it| &it.moves) {
        at[step.vm as usize] = step.to;
    }
    let loads = loads(instance, &at);
    for (host, (load, it)) in loads.iter().zip(&instance.hosts).enumerate() {
        ensure!(load.cpu <= it.cpu && load.mem <= it.mem, "host {host} holds more than it has");
    }
    let away: Vec<usize> = (0..at.len()).filter(|vm| at[*vm] != instance.mapping[*vm]).collect();
    let mut hosts = at.clone();
    hosts.sort_unstable();
    hosts.dedup();
    let order = if in_order(instance, found) { Order::AsPackages } else { by_path(instance, &at) };
    let moved: i64 = away.iter().map(|vm| instance.vms[*vm].mem).sum();
    let objective = AWAKE * hosts.len() as i64 + moved;
    ensure!(objective == found.after, "the search says {}, the judge {objective}", found.after);
    Ok(Verdict { hosts: hosts.len(), moved, moves: away.len(), order })
}

fn loads(instance: &Instance, at: &[u32]) -> Vec<Size> {
    let mut loads = vec![Size { cpu: 0, mem: 0 }; instance.hosts.len()];
    for (vm, host) in instance.vms.iter().zip(at) {
        loads[*host as usize].cpu += vm.cpu;
        loads[*host as usize].mem += vm.mem;
    }
    loads
}

/// Whether the moves can be made package by package, within each in some order, each VM once.
fn in_order(instance: &Instance, found: &Found) -> bool {
    let mut at = instance.mapping.clone();
    let mut loads = loads(instance, &at);
    for package in &found.packages {
        let mut left: Vec<_> = package.moves.clone();
        while !left.is_empty() {
            let before = left.len();
            left.retain(|step| {
                let (vm, to) = (instance.vms[step.vm as usize], step.to as usize);
                let (load, host) = (&mut loads[to], &instance.hosts[to]);
                if load.cpu + vm.cpu > host.cpu || load.mem + vm.mem > host.mem {
                    return true;
                }
                load.cpu += vm.cpu;
                load.mem += vm.mem;
                let from = &mut loads[std::mem::replace(&mut at[step.vm as usize], step.to) as usize];
                from.cpu -= vm.cpu;
                from.mem -= vm.mem;
                false
            });
            if left.len() == before {
                return false;
            }
        }
    }
    true
}

/// The way that the path finder knows.
fn by_path(instance: &Instance, at: &[u32]) -> Order {
    let resource = |name: &str| TaskResource { name: name.into(), holds: Holds::Always };
    let size = |it: &Size| vec![it.cpu as u64, it.mem as u64];
    let host = |(i, it): (usize, &Size)| TaskHost {
        name: format!("host{i}"),
        capacity: size(it),
        takes: true,
        power: Power::On,
        moves_in: 1,
        moves_out: 1,
    };
    let vm = |(i, it): (usize, &Size)| TaskVm {
        name: format!("vm{i}"),
        from: instance.mapping[i],
        to: at[i],
        size: size(it),
        stays: false,
        copy: Copying { bytes: (it.mem as u64) << 20, ..Copying::default() },
    };
    let task = Task {
        resources: vec![resource("cpu"), resource("memory")],
        hosts: instance.hosts.iter().enumerate().map(host).collect(),
        vms: instance.vms.iter().enumerate().map(vm).collect(),
        ..Task::default()
    };
    match ulm_path::path(&task, &ByBytes, &Budget::default(), &Alone) {
        Answer::Route(route) => match (route.cost.saturating_sub(route.cost_bound) >> 20) as i64 {
            0 => Order::ByPath,
            more => Order::Parked(more),
        },
        _ => Order::None,
    }
}
