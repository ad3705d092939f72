//! VM rescheduling with a migration limit (EuroSys 2025, "VMR²L"): room for large VMs is made by few migrations.
//!
//! The question: each NUMA cell is a host of its own, with CPUs and memory; what is wanted is room for VMs of 16 CPUs, as many as could
//! ever be had. A VM on two cells is two VMs that are parts of one: on different cells of one machine. The limit is that on moves.
//!
//! The judge counts CPUs and memory of cells by itself, finds an order in which each migration fits while it holds its place on both
//! sides, and reckons the fragment rate, which is the share of free CPUs that is of no use for VMs of 16.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use ulm_place::{Effort, Found, PlaceHost, PlaceVm, Problem, Relation, RelationKind, WantedRoom, search};
use ulm_rules::HostSet;

use crate::clock::on_the_processor;
use crate::table::Table;

/// CPUs of a VM that room is wanted for.
const SHAPE: i64 = 16;
/// Limits on migrations, each with the fragment rate that the paper's greedy method reaches and the proved optimum.
const LIMITS: [(u32, f64, f64); 4] =
    [(10, 0.8508, 0.8508), (25, 0.8049, 0.7245), (50, 0.8049, 0.5753), (100, 0.8049, 0.2884)];
/// The most that may be weighed.
const EVALUATIONS: u64 = 1 << 40;

#[derive(Deserialize)]
struct File {
    cluster_list: Vec<Cluster>,
}

#[derive(Deserialize)]
struct Cluster {
    host_info: Vec<Machine>,
    vm_instance: Vec<Instance>,
}

#[derive(Deserialize)]
struct Machine {
    node_id: String,
    numa: Vec<Cell>,
}

#[derive(Deserialize)]
struct Cell {
    node: usize,
    total_cpu: f64,
    memory_huge_total_mb: f64,
}

#[derive(Deserialize)]
struct Instance {
    instance_id: String,
    host_id: String,
    numa: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    node: usize,
    cpu: f64,
    mem_mb: f64,
}

/// A mapping of VMs to cells. CPUs, and memory in MB.
pub struct Mapping {
    /// For each cell its machine and what it has.
    cells: Vec<(usize, [i64; 2])>,
    /// For each VM its parts: the cell, and what it takes there.
    vms: Vec<Vec<(usize, [i64; 2])>>,
}

/// Prints the table.
pub fn run(data: &Path) -> anyhow::Result<()> {
    let mapping = read(&data.join("vmr/cluster-small.json.gz"))?;
    let start = judge(&mapping, &mapping.home(), 0)?;
    println!("{} cells, {} VMs, fragment rate {start:.4}", mapping.cells.len(), mapping.vms.len());
    let mut table = Table::new(&["limit", "greedy", "optimum", "ours", "migrations", "ours / optimum", "CPU s"]);
    for (limit, greedy, optimum) in LIMITS {
        let (problem, parts) = question(&mapping);
        let started = on_the_processor();
        let found = search(&problem, &Effort { evaluations: EVALUATIONS, moves: limit });
        let seconds = (on_the_processor() - started).as_secs_f64();
        let target = answer(&mapping, &problem, &parts, &found);
        let rate = judge(&mapping, &target, limit).with_context(|| format!("limit {limit}"))?;
        let home = mapping.home();
        let migrations = target.iter().zip(&home).filter(|(to, from)| to != from).count();
        table.row(&[
            limit.to_string(),
            format!("{greedy:.4}"),
            format!("{optimum:.4}"),
            format!("{rate:.4}"),
            migrations.to_string(),
            format!("{:.4}", rate / optimum),
            format!("{seconds:.3}"),
        ]);
    }
    print!("{}", table.text());
    Ok(())
}

/// Reads a mapping.
fn read(path: &Path) -> anyhow::Result<Mapping> {
    let file = std::fs::File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text)?;
    let file: File = serde_json::from_str(&text).with_context(|| format!("{} is no mapping", path.display()))?;
    let mut mapping = Mapping { cells: Vec::new(), vms: Vec::new() };
    let mut cell_of: BTreeMap<(String, usize), usize> = BTreeMap::new();
    for (m, machine) in file.cluster_list.iter().flat_map(|it| &it.host_info).enumerate() {
        for cell in &machine.numa {
            cell_of.insert((machine.node_id.clone(), cell.node), mapping.cells.len());
            mapping.cells.push((m, [whole(cell.total_cpu)?, whole(cell.memory_huge_total_mb)?]));
        }
    }
    for vm in file.cluster_list.iter().flat_map(|it| &it.vm_instance) {
        let mut parts = Vec::new();
        for part in &vm.numa {
            let cell = cell_of.get(&(vm.host_id.clone(), part.node)).copied();
            let cell = cell.with_context(|| format!("{} is on a cell that is not there", vm.instance_id))?;
            parts.push((cell, [whole(part.cpu)?, whole(part.mem_mb)?]));
        }
        parts.sort_unstable();
        mapping.vms.push(parts);
    }
    Ok(mapping)
}

fn whole(number: f64) -> anyhow::Result<i64> {
    ensure!(number >= 0.0 && number.fract() == 0.0, "{number} is no whole number");
    Ok(number as i64)
}

impl Mapping {
    /// The cells of each VM.
    fn home(&self) -> Vec<Vec<usize>> {
        self.vms.iter().map(|parts| parts.iter().map(|part| part.0).collect()).collect()
    }
}

/// The question, and for each VM its parts.
fn question(mapping: &Mapping) -> (Problem, Vec<Vec<u32>>) {
    let cells = mapping.cells.len();
    let host = |(_, capacity): &(usize, [i64; 2])| PlaceHost {
        capacity: capacity.to_vec(),
        base: vec![0; 2],
        takes: true,
        busy: false,
    };
    let mut problem = Problem {
        resources: 2,
        hosts: mapping.cells.iter().map(host).collect(),
        sets: vec![HostSet::all(cells)],
        ..Problem::default()
    };
    let machines: Vec<u32> = mapping.cells.iter().map(|cell| cell.0 as u32).collect();
    let mut parts_of = Vec::new();
    for parts in &mapping.vms {
        let first = problem.vms.len() as u32;
        for (cell, size) in parts {
            problem.vms.push(PlaceVm { at: *cell as u32, size: size.to_vec(), ..PlaceVm::default() });
        }
        let vms: Vec<u32> = (first..problem.vms.len() as u32).collect();
        if vms.len() > 1 {
            let relation = |domains, kind| Relation { vms: vms.clone(), domains, kind, points: None };
            problem.relations.push(relation(machines.clone(), RelationKind::Near));
            problem.relations.push(relation((0..cells as u32).collect(), RelationKind::AtMost(1)));
            problem.wholes.push(vms.clone());
        }
        parts_of.push(vms);
    }
    let free: i64 = free(mapping, &mapping.home()).iter().map(|it| it[0]).sum();
    let count = (free / SHAPE) as u32;
    problem.rooms = vec![WantedRoom { shape: vec![SHAPE, 0], parts: Vec::new(), allowed: 0, count, points: 1_000 }];
    (problem, parts_of)
}

/// The cells of each VM after all moves.
fn answer(mapping: &Mapping, problem: &Problem, parts: &[Vec<u32>], found: &Found) -> Vec<Vec<usize>> {
    let mut at: Vec<usize> = problem.vms.iter().map(|vm| vm.at as usize).collect();
    for step in found.packages.iter().flat_map(|it| &it.moves) {
        at[step.vm as usize] = step.to as usize;
    }
    let cells = |(parts, home): (&Vec<u32>, &Vec<usize>)| {
        let mut cells: Vec<usize> = parts.iter().map(|vm| at[*vm as usize]).collect();
        cells.sort_unstable();
        // Halves are equal, so two that change places have not moved.
        if cells == *home { home.clone() } else { cells }
    };
    parts.iter().zip(&mapping.home()).map(cells).collect()
}

/// What is free on each cell.
fn free(mapping: &Mapping, at: &[Vec<usize>]) -> Vec<[i64; 2]> {
    let mut free: Vec<[i64; 2]> = mapping.cells.iter().map(|cell| cell.1).collect();
    for (parts, cells) in mapping.vms.iter().zip(at) {
        for ((_, size), cell) in parts.iter().zip(cells) {
            (0..2).for_each(|r| free[*cell][r] -= size[r]);
        }
    }
    free
}

/// The fragment rate of a target that keeps the rules; an error says which one it does not keep.
fn judge(mapping: &Mapping, target: &[Vec<usize>], limit: u32) -> anyhow::Result<f64> {
    let home = mapping.home();
    ensure!(target.len() == home.len(), "each VM is somewhere");
    for (i, (parts, cells)) in mapping.vms.iter().zip(target).enumerate() {
        let machine = |cell: &usize| mapping.cells[*cell].0;
        let mut distinct = cells.clone();
        distinct.dedup();
        let whole = parts.len() == cells.len() && distinct.len() == cells.len();
        ensure!(whole && cells.iter().all(|cell| machine(cell) == machine(&cells[0])), "VM {i} is torn apart");
    }
    let after = free(mapping, target);
    ensure!(after.iter().flatten().all(|free| *free >= 0), "a cell has more on it than it has");
    let mut waiting: Vec<usize> = (0..home.len()).filter(|vm| home[*vm] != target[*vm]).collect();
    ensure!(waiting.len() <= limit as usize, "{} migrations", waiting.len());
    let mut now = free(mapping, &home);
    while !waiting.is_empty() {
        let fits = |vm: &usize| {
            let mut parts = mapping.vms[*vm].iter().zip(&target[*vm]);
            parts.all(|((_, size), cell)| (0..2).all(|r| now[*cell][r] >= size[r]))
        };
        let Some(next) = waiting.iter().position(fits) else { bail!("{} migrations have no order", waiting.len()) };
        let vm = waiting.remove(next);
        for ((from, size), to) in mapping.vms[vm].iter().zip(&target[vm]) {
            (0..2).for_each(|r| now[*from][r] += size[r]);
            (0..2).for_each(|r| now[*to][r] -= size[r]);
        }
    }
    ensure!(now == after, "the migrations lead elsewhere");
    let useful: i64 = after.iter().map(|free| free[0] / SHAPE).sum();
    let all: i64 = after.iter().map(|free| free[0]).sum();
    Ok(1.0 - (SHAPE * useful) as f64 / all as f64)
}
