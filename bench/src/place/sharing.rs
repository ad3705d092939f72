//! Page sharing: hosts and memory, by how much VMs have in common; see [`tree`] for the instances.
//!
//! The start is first fit in random order by full sizes, as a cluster grows. `oblivious` is the search that knows nothing of
//! sharing. `ours` knows it, and goes in rounds: what was moved counts in full until the next round, when it is merged. So every move
//! fits, which is more than the paper's packing asks, that begins with empty hosts and counts all as merged (`DFS`). Where a host can only
//! be emptied over several rounds, the first of them is made, and the next round is asked anew. Memory is
//! what is taken of hosts after merging in each case, saved against `oblivious`, and at last against the sum of full sizes. The bound is
//! that of [`Tree::least_hosts`].

mod tree;

use std::time::Duration;

use ulm_place::dice::Dice;
use ulm_place::{Drain, Effort, Found, Pages, PlaceHost, PlaceVm, Points, Problem, Sharing, drain, search};
use ulm_rules::HostSet;

use crate::clock::on_the_processor;
use crate::table::Table;
use tree::{HOST, Tree};

/// What a host saves, and what moving a VM costs. A MiB of pages costs a point.
const SAVES: Points = 10_000_000;
const MOVE: Points = 10;
/// Questions of each row.
const SEEDS: u64 = 3;
/// Rounds at most.
const ROUNDS: u32 = 40;
/// Placements weighed at most for each VM, in each round.
const EVALUATIONS: u64 = 20_000;

/// Sums over the questions of a row.
#[derive(Default)]
struct Row {
    start: usize,
    oblivious: usize,
    paper: usize,
    ours: usize,
    least: i64,
    /// What all take by themselves.
    whole: i64,
    /// What is taken of hosts: oblivious, the paper's, ours.
    memory: [i64; 3],
    rounds: u32,
    moves: usize,
    time: Duration,
}

/// Prints the table.
pub fn run() -> anyhow::Result<()> {
    let mut table = Table::new(&[
        "VMs, shared",
        "start",
        "oblivious",
        "DFS",
        "ours",
        "bound",
        "gap",
        "hosts saved",
        "memory saved",
        "DFS saves",
        "of full sizes",
        "rounds",
        "moves",
        "time",
    ]);
    for vms in [300, 1_000, 3_000] {
        for shared in [0, 20, 40, 60] {
            table.row(&measure(vms, shared).cells(format!("{vms} VMs, {shared} %")));
        }
    }
    print!("{}", table.text());
    Ok(())
}

impl Row {
    fn cells(&self, name: String) -> Vec<String> {
        let mean = |sum: usize| format!("{:.1}", sum as f64 / SEEDS as f64);
        let less = |from: f64, to: f64| format!("{:.1} %", 100.0 * (from - to) / from);
        let [oblivious, paper, ours] = self.memory.map(|it| it as f64);
        vec![
            name,
            mean(self.start),
            mean(self.oblivious),
            mean(self.paper),
            mean(self.ours),
            mean(self.least as usize),
            format!("{:.1} %", 100.0 * (self.ours as f64 - self.least as f64) / self.least as f64),
            less(self.oblivious as f64, self.ours as f64),
            less(oblivious, ours),
            less(oblivious, paper),
            less(self.whole as f64, ours),
            mean(self.rounds as usize),
            mean(self.moves),
            format!("{:.0} ms", self.time.as_secs_f64() * 1e3 / SEEDS as f64),
        ]
    }
}

fn measure(vms: usize, shared: i64) -> Row {
    let mut row = Row::default();
    for seed in 1..=SEEDS {
        let tree = Tree::draw(vms, shared, &mut Dice(seed));
        let mut question = question(&tree);
        row.start += question.hosts.len();
        row.whole += (0..vms).map(|vm| tree.size(vm)).sum::<i64>();
        row.least += tree.least_hosts();
        let paper = tree.depth_first();
        row.paper += paper.len();
        row.memory[1] += paper.iter().map(|on| tree.footprint(on.iter().copied())).sum::<i64>();
        let oblivious = follow(&question, &search(&question, &effort(vms)));
        let (hosts, memory) = judge(&tree, &oblivious);
        row.oblivious += hosts;
        row.memory[0] += memory;
        question.sharing = Some(sharing(&tree, question.hosts.len()));
        for _ in 0..ROUNDS {
            let started = on_the_processor();
            let found = search(&question, &effort(vms));
            let drained = drain(&question, &found, &effort(vms));
            row.time += on_the_processor() - started;
            row.rounds += 1;
            let then = first_round(&question, &found, drained.as_ref());
            safe(&tree, &question, &then);
            let moved = question.vms.iter_mut().zip(then);
            let moves = moved.map(|(vm, host)| usize::from(std::mem::replace(&mut vm.at, host) != host)).sum::<usize>();
            row.moves += moves;
            if moves == 0 {
                break;
            }
        }
        let (hosts, memory) = judge(&tree, &question.vms.iter().map(|vm| vm.at).collect::<Vec<u32>>());
        row.ours += hosts;
        row.memory[2] += memory;
    }
    row
}

fn effort(vms: usize) -> Effort {
    Effort { evaluations: EVALUATIONS * vms as u64, moves: u32::MAX }
}

/// First fit in random order by full sizes. Nothing is shared.
fn question(tree: &Tree) -> Problem {
    let mut problem = Problem { resources: 1, ..Problem::default() };
    let mut left: Vec<i64> = Vec::new();
    for vm in 0..tree.leaf.len() {
        let size = tree.size(vm);
        let at = left.iter().position(|left| size <= *left).unwrap_or(left.len());
        if at == left.len() {
            left.push(HOST);
        }
        left[at] -= size;
        problem.vms.push(PlaceVm { at: at as u32, size: vec![size], move_cost: MOVE, ..PlaceVm::default() });
    }
    let host = PlaceHost { capacity: vec![HOST], base: vec![0], takes: true, busy: false };
    problem.hosts = vec![host; left.len()];
    problem.sets = vec![HostSet::all(left.len())];
    problem.awake = vec![SAVES; left.len()];
    problem
}

fn sharing(tree: &Tree, hosts: usize) -> Sharing {
    let classes = tree.weight.iter().map(|weight| Pages { weight: *weight, points: *weight }).collect();
    let path = |vm: usize| tree.path(vm).into_iter().map(|node| node as u32).collect();
    Sharing { resources: vec![0], merges: vec![true; hosts], classes, of: (0..tree.leaf.len()).map(path).collect() }
}

fn follow(problem: &Problem, found: &Found) -> Vec<u32> {
    let mut at: Vec<u32> = problem.vms.iter().map(|vm| vm.at).collect();
    found.packages.iter().flat_map(|package| &package.moves).for_each(|step| at[step.vm as usize] = step.to);
    at
}

/// What is done of it now: where a host is to be emptied, the first of its rounds.
fn first_round(problem: &Problem, found: &Found, drain: Option<&Drain>) -> Vec<u32> {
    let Some(drain) = drain else { return follow(problem, found) };
    let mut at: Vec<u32> = problem.vms.iter().map(|vm| vm.at).collect();
    drain.rounds[0].iter().for_each(|step| at[step.vm as usize] = step.to);
    at
}

/// Fails where a host has no room for what has come to it before it is merged.
fn safe(tree: &Tree, problem: &Problem, at: &[u32]) {
    for host in 0..problem.hosts.len() as u32 {
        let (mut stay, mut come) = (Vec::new(), 0);
        for (vm, _) in at.iter().enumerate().filter(|it| *it.1 == host) {
            if problem.vms[vm].at == host { stay.push(vm) } else { come += tree.size(vm) }
        }
        let taken = tree.footprint(stay) + come;
        assert!(come == 0 || taken <= HOST, "host {host} has {HOST} MiB, and {taken} would be taken on it");
    }
}

/// Hosts that carry VMs, and what is taken of them. Fails where a host is too full.
fn judge(tree: &Tree, at: &[u32]) -> (usize, i64) {
    let hosts = at.iter().max().map_or(0, |most| *most as usize + 1);
    let mut on: Vec<Vec<usize>> = vec![Vec::new(); hosts];
    at.iter().enumerate().for_each(|(vm, host)| on[*host as usize].push(vm));
    on.retain(|on| !on.is_empty());
    let taken: Vec<i64> = on.iter().map(|on| tree.footprint(on.iter().copied())).collect();
    assert!(taken.iter().all(|taken| *taken <= HOST), "a host has {HOST} MiB, and they carry {taken:?}");
    (on.len(), taken.iter().sum())
}
