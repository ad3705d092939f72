//! Defragment against lower bounds, on classes of vector bin packing from the literature.
//!
//! The question: hosts with VMs on them, each host that is empty saves much, each move costs a little. The start is
//! first fit in random order, as a cluster grows. The bound is [`bound::hosts`].
//!
//! The classes, all sizes whole numbers, evenly distributed unless it says otherwise:
//! * `ct 1` to `ct 8`, two resources: Caprara and Toth, "Lower bounds and algorithms for the 2-dimensional vector
//!   packing problem" (2001), where the first two are by Spieksma (1994). With hosts of 1,000: sizes in 100..400,
//!   1..1,000, 200..800, 50..200, 25..100; with hosts of 150: both in 20..100; the second within 10 of the first; the
//!   second within 10 of 120 less the first;
//! * `triplets`: hosts of 1,000 cut into three by both resources, each piece 200..600 of it: what a perfect packing
//!   needs is known;
//! * `uniform`: Panigrahy, Talwar, Uyeda and Wieder, "Heuristics for vector bin packing" (2011): 3 or 6 resources, each
//!   in 0..half a host or 0..a whole one; `shapes`: ten shapes only, as clouds sell them;
//! * `two kinds`: half of the hosts have half as much of everything, as in variable size vector bin packing (Gabay and
//!   Zaourar 2016), and cost six tenths;
//! * `cluster`: 20,000 VMs on 1,000 hosts, as in `crates/place/benches/search.rs`.

use std::time::Duration;

use ulm_place::bound::{self, HostBound};
use ulm_place::dice::Dice;
use ulm_place::{Effort, PlaceHost, PlaceVm, Points, Problem, cost, search};
use ulm_rules::HostSet;

use crate::clock::on_the_processor;
use crate::table::Table;

/// What a whole host saves, and what a move costs.
const SAVES: Points = 100_000;
const MOVE: Points = 1;
/// Questions of each class and number of VMs.
const SEEDS: u64 = 5;
/// Placements weighed at most for each VM.
const EVALUATIONS: u64 = 20_000;

/// A class of questions.
struct Class {
    name: &'static str,
    /// What hosts have of each resource.
    whole: Vec<i64>,
    /// Whether every other host has half of it.
    halves: bool,
    /// So many VMs.
    sizes: fn(&mut Dice, usize) -> Vec<Vec<i64>>,
    vms: &'static [usize],
}

fn classes() -> Vec<Class> {
    fn each<const LOW: i64, const HIGH: i64, const RESOURCES: usize>(dice: &mut Dice, vms: usize) -> Vec<Vec<i64>> {
        (0..vms).map(|_| (0..RESOURCES).map(|_| dice.between(LOW, HIGH)).collect()).collect()
    }
    fn alike(dice: &mut Dice, vms: usize) -> Vec<Vec<i64>> {
        let of = |dice: &mut Dice, first: i64| vec![first, dice.between(first - 10, first + 10)];
        (0..vms).map(|_| dice.between(20, 100)).collect::<Vec<_>>().into_iter().map(|first| of(dice, first)).collect()
    }
    fn opposed(dice: &mut Dice, vms: usize) -> Vec<Vec<i64>> {
        let of = |dice: &mut Dice, first: i64| vec![first, dice.between(110 - first, 130 - first)];
        (0..vms).map(|_| dice.between(20, 100)).collect::<Vec<_>>().into_iter().map(|first| of(dice, first)).collect()
    }
    fn triplets(dice: &mut Dice, vms: usize) -> Vec<Vec<i64>> {
        let mut sizes = Vec::new();
        for _ in 0..vms / 3 {
            let cut = |dice: &mut Dice| {
                let first = dice.between(200, 600);
                let second = dice.between(200, 800 - first);
                [first, second, 1000 - first - second]
            };
            let (one, other) = (cut(dice), cut(dice));
            sizes.extend((0..3).map(|i| vec![one[i], other[i]]));
        }
        sizes
    }
    fn shapes(dice: &mut Dice, vms: usize) -> Vec<Vec<i64>> {
        let shapes: Vec<Vec<i64>> = (0..10)
            .map(|_| {
                let cpu = [2, 4, 8, 12, 16][dice.below(5) as usize];
                vec![cpu, cpu * [2, 4, 8][dice.below(3) as usize], dice.between(2, 12)]
            })
            .collect();
        (0..vms).map(|_| shapes[dice.below(10) as usize].clone()).collect()
    }
    fn cluster(dice: &mut Dice, vms: usize) -> Vec<Vec<i64>> {
        // Twenty to a host, which take 25 to 45 % of it together; a host is filled to 80 %.
        let mut sizes = Vec::new();
        for _ in 0..vms / 20 {
            let part = [2_500 + dice.below(2_000), 2_500 + dice.below(2_000)];
            let weights: Vec<[i64; 2]> = (0..20).map(|_| [20 + dice.below(180), 20 + dice.below(180)]).collect();
            let sum = |r: usize| weights.iter().map(|it| it[r]).sum::<i64>();
            let whole = [64_000, 524_288];
            sizes.extend(weights.iter().map(|it| {
                vec![0, 1].into_iter().map(|r: usize| whole[r] * part[r] / 10_000 * it[r] / sum(r)).collect()
            }));
        }
        sizes
    }
    let two = |whole: i64| vec![whole; 2];
    let usual: &[usize] = &[50, 200];
    let class = |name, whole, sizes| Class { name, whole, halves: false, sizes, vms: usual };
    vec![
        class("ct 1", two(1000), each::<100, 400, 2>),
        class("ct 2", two(1000), each::<1, 1000, 2>),
        class("ct 3", two(1000), each::<200, 800, 2>),
        class("ct 4", two(1000), each::<50, 200, 2>),
        class("ct 5", two(1000), each::<25, 100, 2>),
        class("ct 6", two(150), each::<20, 100, 2>),
        class("ct 7", two(150), alike),
        class("ct 8", two(150), opposed),
        Class { vms: &[51, 201], ..class("triplets", two(1000), triplets) },
        class("uniform 3, half", vec![1000; 3], each::<0, 500, 3>),
        class("uniform 3, whole", vec![1000; 3], each::<0, 1000, 3>),
        class("uniform 6, half", vec![1000; 6], each::<0, 500, 6>),
        Class { vms: &[200, 2_000], ..class("shapes", vec![48, 256, 40], shapes) },
        Class { halves: true, ..class("two kinds", two(1000), each::<50, 400, 2>) },
        Class { vms: &[20_000], ..class("cluster", vec![51_200, 419_430], cluster) },
    ]
}

impl Class {
    fn name(&self, vms: usize) -> String {
        format!("{}, {vms} VMs", self.name)
    }

    fn host(&self, index: usize) -> PlaceHost {
        let part = if self.halves && index % 2 == 1 { 2 } else { 1 };
        let capacity: Vec<i64> = self.whole.iter().map(|whole| whole / part).collect();
        PlaceHost { base: vec![0; capacity.len()], capacity, takes: true, busy: false }
    }

    /// First fit in random order, on as many hosts as that needs.
    fn question(&self, vms: usize, seed: u64) -> Problem {
        let mut dice = Dice(seed);
        let mut sizes = (self.sizes)(&mut dice, vms);
        dice.shuffle(&mut sizes);
        let mut problem = Problem { resources: self.whole.len(), ..Problem::default() };
        let mut left: Vec<Vec<i64>> = Vec::new();
        for size in sizes {
            let fits = |left: &Vec<i64>| left.iter().zip(&size).all(|(left, size)| size <= left);
            // A host of the smaller kind may be too small for the VM, and stays empty for now.
            let at = loop {
                if let Some(at) = left.iter().position(fits) {
                    break at;
                }
                let host = self.host(left.len());
                left.push(host.capacity.clone());
                problem.hosts.push(host);
            };
            left[at].iter_mut().zip(&size).for_each(|(left, size)| *left -= size);
            problem.vms.push(PlaceVm { at: at as u32, size, move_cost: MOVE, ..PlaceVm::default() });
        }
        let hosts = problem.hosts.len();
        problem.sets = vec![HostSet::all(hosts)];
        let price = |host: usize| if self.halves && host % 2 == 1 { SAVES * 6 / 10 } else { SAVES };
        problem.awake = (0..hosts).map(price).collect();
        problem
    }
}

/// Sums over the questions of a row.
#[derive(Default)]
struct Row {
    before: u32,
    ours: u32,
    bound: u32,
    met: u32,
    points: i128,
    least: i128,
    moves: usize,
    time: Duration,
    bound_time: Duration,
    because: String,
    questions: u32,
}

/// Prints the table. `only` names classes; none: all.
pub fn run(only: &[String]) -> anyhow::Result<()> {
    let mut table = Table::new(&[
        "class",
        "before",
        "ours",
        "bound",
        "gap",
        "of cost",
        "met",
        "moves",
        "search",
        "bound in",
        "decided by (last one)",
    ]);
    for class in classes() {
        if !only.is_empty() && !only.iter().any(|word| class.name.contains(word.as_str())) {
            continue;
        }
        for vms in class.vms {
            let row = measure(&class, *vms);
            let mean = |sum: u32| format!("{:.1}", f64::from(sum) / f64::from(row.questions));
            let part = |ours: f64, bound: f64| format!("{:.1} %", 100.0 * (ours - bound) / bound);
            let time = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3 / f64::from(row.questions));
            table.row(&[
                class.name(*vms),
                mean(row.before),
                mean(row.ours),
                mean(row.bound),
                part(f64::from(row.ours), f64::from(row.bound)),
                part(row.points as f64, row.least as f64),
                format!("{}/{}", row.met, row.questions),
                mean(row.moves as u32),
                time(row.time),
                time(row.bound_time),
                row.because.clone(),
            ]);
        }
    }
    print!("{}", table.text());
    Ok(())
}

fn measure(class: &Class, vms: usize) -> Row {
    let mut row = Row::default();
    let seeds = if vms > 10_000 { 1 } else { SEEDS };
    for seed in 1..=seeds {
        let problem = class.question(vms, seed);
        let started = on_the_processor();
        let bound = bound::hosts(&problem);
        row.bound_time += on_the_processor() - started;
        let effort = Effort { evaluations: EVALUATIONS * vms as u64, moves: u32::MAX };
        let started = on_the_processor();
        let found = search(&problem, &effort);
        row.time += on_the_processor() - started;
        let mut at: Vec<u32> = problem.vms.iter().map(|vm| vm.at).collect();
        row.before += awake(&problem, &at);
        for step in found.packages.iter().flat_map(|package| &package.moves) {
            at[step.vm as usize] = step.to;
            row.moves += 1;
        }
        judge(&problem, &at, &bound);
        let ours = awake(&problem, &at);
        row.ours += ours;
        row.bound += bound.hosts;
        row.met += u32::from(ours == bound.hosts);
        row.points += i128::from(cost(&problem, &at).awake);
        row.least += i128::from(bound.points);
        row.questions += 1;
        row.because = bound.because.text(|r| format!("r{r}"));
    }
    row
}

/// Hosts that carry VMs.
fn awake(problem: &Problem, at: &[u32]) -> u32 {
    let mut awake = vec![false; problem.hosts.len()];
    at.iter().for_each(|host| awake[*host as usize] = true);
    awake.into_iter().filter(|it| *it).count() as u32
}

/// Fails where a host is too full, or fewer are awake than the bound says.
fn judge(problem: &Problem, at: &[u32], bound: &HostBound) {
    for (h, host) in problem.hosts.iter().enumerate() {
        for r in 0..problem.resources {
            let on = problem.vms.iter().zip(at).filter(|it| *it.1 as usize == h);
            let load: i64 = on.map(|it| it.0.size[r]).sum();
            assert!(load <= host.capacity[r], "host {h} has {} of {r} and carries {load}", host.capacity[r]);
        }
    }
    let hosts = awake(problem, at);
    assert!(hosts >= bound.hosts, "{hosts} hosts, and {bound:?}");
}
