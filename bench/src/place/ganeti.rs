//! Balance clusters in Ganeti's text format, beside `hbal` of Debian's `ganeti-htools`.
//!
//! The score is hbal's: the weighted sum of the standard deviations, over nodes, of free memory, of virtual CPUs for each CPU and of
//! the four loads, which are all the number of instances where nothing else is known. It is computed here for both answers from the
//! file; what hbal prints must be the same.
//!
//! The question: three resources with a curve of power 2 on each. A sum of deviations is not a sum over hosts; each
//! deviation is replaced by its tangent, a variance with a weight, and the question is asked again with the weights of the
//! answer before, as long as the score falls.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use ulm_place::{Curve, Effort, Found, PlaceHost, PlaceMove, PlaceVm, Points, Problem, search};
use ulm_rules::HostSet;

use crate::clock::{on_the_processor, peer};
use crate::plot::{Line, Plot};
use crate::table::Table;

/// Points for a unit of the score.
const UNIT: f64 = 1e9;
/// A deviation counts as this much at least when its tangent is taken.
const LEAST_DEVIATION: f64 = 1e-3;
/// What a move costs in units of the score, one question for each.
const PRICES: [f64; 6] = [1e-6, 1e-4, 1e-3, 5e-3, 1e-2, 2e-2];
/// Placements that are weighed for each instance when a question is asked; the last effort is enough for
/// anything that is not too large for that many placements in all.
const EFFORTS: [u64; 6] = [30, 100, 250, 1_000, 100_000, 100_000];
const MOST_EFFORT: u64 = 100_000_000;
/// hbal is stopped after so long.
const PATIENCE: Duration = Duration::from_secs(900);

/// What other peers reached on the cluster of 40 nodes and 600 instances (seed 1): moves, and memory most less least. As published beside
/// the instances; they cannot be run here.
const PEERS: [(&str, f64, f64); 2] = [("ProxLB, greedy", 21.0, 0.681), ("proxlb-solver", 234.0, 0.022)];
const PEERS_SIZE: (usize, usize) = (40, 600);

/// A node of the file.
struct Node {
    name: String,
    /// MiB, in all and used by the node itself.
    memory: i64,
    own: i64,
    cpus: i64,
}

/// An instance of the file.
struct Instance {
    name: String,
    memory: i64,
    vcpus: i64,
    node: u32,
}

struct Cluster {
    nodes: Vec<Node>,
    instances: Vec<Instance>,
}

/// An answer: its moves in order, and the time that it took.
struct Answer {
    moves: Vec<(usize, u32)>,
    took: Duration,
    /// What it knew before it had ended, and when: after each time that the question was asked.
    before: Vec<Answer>,
}

/// Prints the table.
pub fn run(files: &[PathBuf], beside: bool, plots: Option<&Path>) -> anyhow::Result<()> {
    let mut table = Table::new(&[
        "cluster",
        "start",
        "hbal",
        "moves",
        "GiB",
        "CPU s",
        "ours",
        "moves",
        "GiB",
        "CPU s",
        "moves to its score",
        "GiB to it",
        "times as fast",
    ]);
    for file in files {
        let cluster = Cluster::read(file)?;
        let ours = cluster.ours();
        let best = ours
            .iter()
            .min_by(|a, b| cluster.score_after(&a.moves).total_cmp(&cluster.score_after(&b.moves)))
            .context("there is an answer for each price")?;
        let mut row = vec![
            format!("{} nodes, {} instances", cluster.nodes.len(), cluster.instances.len()),
            format!("{:.3}", cluster.score_after(&[])),
        ];
        let theirs = if beside { cluster.hbal(file)? } else { None };
        if let Some(folder) = plots {
            cluster.plot(folder, &ours, theirs.as_ref())?;
        }
        row.extend(match &theirs {
            Some(theirs) => cluster.cells(theirs),
            None => vec!["-".into(); 4],
        });
        row.extend(cluster.cells(best));
        row.extend(match &theirs {
            Some(theirs) => cluster.compare(&ours, theirs),
            None => vec!["-".into(); 3],
        });
        table.row(&row);
    }
    print!("{}", table.text());
    Ok(())
}

impl Cluster {
    fn read(file: &Path) -> anyhow::Result<Cluster> {
        let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let mut sections = text.split("\n\n");
        let (nodes, instances) = (sections.nth(1), sections.next());
        let (nodes, instances) = nodes.zip(instances).context("a Ganeti file has nodes and instances")?;
        let number = |field: &str| field.parse::<i64>().with_context(|| format!("`{field}` is no number"));
        let mut cluster = Cluster { nodes: Vec::new(), instances: Vec::new() };
        let mut place = BTreeMap::new();
        for line in nodes.lines().filter(|line| !line.is_empty()) {
            let fields: Vec<&str> = line.split('|').collect();
            ensure!(fields.len() > 6, "a node has more fields than `{line}`");
            place.insert(fields[0].to_owned(), cluster.nodes.len() as u32);
            let (memory, own, cpus) = (number(fields[1])?, number(fields[2])?, number(fields[6])?);
            cluster.nodes.push(Node { name: fields[0].to_owned(), memory, own, cpus });
        }
        for line in instances.lines().filter(|line| !line.is_empty()) {
            let fields: Vec<&str> = line.split('|').collect();
            ensure!(fields.len() > 6, "an instance has more fields than `{line}`");
            let node = *place.get(fields[6]).with_context(|| format!("node `{}` is not listed", fields[6]))?;
            let (memory, vcpus) = (number(fields[1])?, number(fields[3])?);
            cluster.instances.push(Instance { name: fields[0].to_owned(), memory, vcpus, node });
        }
        Ok(cluster)
    }

    /// For each node its part of free memory, its virtual CPUs for each CPU, and its instances.
    fn measures(&self, at: &[u32]) -> [Vec<f64>; 3] {
        let mut used: Vec<[i64; 3]> = self.nodes.iter().map(|node| [node.own, 0, 0]).collect();
        for (instance, node) in self.instances.iter().zip(at) {
            let used = &mut used[*node as usize];
            *used = [used[0] + instance.memory, used[1] + instance.vcpus, used[2] + 1];
        }
        let of = |measure: &dyn Fn(&Node, &[i64; 3]) -> f64| {
            self.nodes.iter().zip(&used).map(|(node, used)| measure(node, used)).collect::<Vec<f64>>()
        };
        [
            of(&|node, used| (node.memory - used[0]) as f64 / node.memory as f64),
            of(&|node, used| used[1] as f64 / node.cpus as f64),
            of(&|_, used| used[2] as f64),
        ]
    }

    /// hbal counts memory and virtual CPUs twice, now and with what is planned, by a half each; and four loads.
    fn score(&self, at: &[u32]) -> f64 {
        let [memory, vcpus, load] = self.measures(at).map(|values| deviation(&values));
        memory + vcpus + 4.0 * load
    }

    fn home(&self) -> Vec<u32> {
        self.instances.iter().map(|instance| instance.node).collect()
    }

    fn score_after(&self, moves: &[(usize, u32)]) -> f64 {
        let mut at = self.home();
        moves.iter().for_each(|(instance, node)| at[*instance] = *node);
        self.score(&at)
    }

    fn gib(&self, moves: &[(usize, u32)]) -> f64 {
        moves.iter().map(|(instance, _)| self.instances[*instance].memory as f64 / 1024.0).sum()
    }

    fn cells(&self, answer: &Answer) -> Vec<String> {
        vec![
            format!("{:.3}", self.score_after(&answer.moves)),
            answer.moves.len().to_string(),
            format!("{:.0}", self.gib(&answer.moves)),
            format!("{:.3}", answer.took.as_secs_f64()),
        ]
    }

    /// How few moves and how little memory reach hbal's score, and how many times as fast we were.
    fn compare(&self, ours: &[Answer], theirs: &Answer) -> Vec<String> {
        let wanted = self.score_after(&theirs.moves) + 1e-9;
        let reaches = |answer: &Answer| {
            let enough = (0..=answer.moves.len()).find(|n| self.score_after(&answer.moves[..*n]) <= wanted)?;
            Some((enough, self.gib(&answer.moves[..enough])))
        };
        let reached: Vec<(usize, f64)> = ours.iter().filter_map(reaches).collect();
        let fewest = reached.iter().map(|it| it.0).min();
        let least = reached.iter().map(|it| it.1).min_by(f64::total_cmp);
        let earlier = ours.iter().flat_map(|answer| &answer.before);
        let soonest =
            earlier.filter(|answer| self.score_after(&answer.moves) <= wanted).map(|answer| answer.took).min();
        vec![
            fewest.map_or("never".to_owned(), |n| n.to_string()),
            least.map_or("never".to_owned(), |gib| format!("{gib:.0}")),
            soonest.map_or("-".to_owned(), |took| format!("{:.0}", theirs.took.as_secs_f64() / took.as_secs_f64())),
        ]
    }

    /// The score and the spread of memory after each move, over moves and over GiB.
    fn plot(&self, folder: &Path, ours: &[Answer], theirs: Option<&Answer>) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let size = (self.nodes.len(), self.instances.len());
        let spread = |at: &[u32]| {
            let [memory, ..] = self.measures(at);
            memory.iter().copied().fold(0.0, f64::max) - memory.iter().copied().fold(1.0, f64::min)
        };
        let score = |at: &[u32]| self.score(at);
        type Measure<'a> = &'a dyn Fn(&[u32]) -> f64;
        for (name, up, measure) in
            [("score", "hbal's score", &score as Measure<'_>), ("memory", "memory, most less least", &spread)]
        {
            for (unit, over_gib) in [("moves", false), ("GiB", true)] {
                let line = |name: String, answer: &Answer| Line { name, points: self.front(answer, measure, over_gib) };
                let named =
                    ours.iter().zip(PRICES).map(|(answer, price)| line(format!("ulm, a move costs {price}"), answer));
                let mut lines: Vec<Line> = named.step_by(2).collect();
                lines.extend(theirs.map(|theirs| line("hbal".into(), theirs)));
                if size == PEERS_SIZE && name == "memory" && !over_gib {
                    let point = |(name, moves, left): &(&str, f64, f64)| Line {
                        name: (*name).into(),
                        points: vec![(*moves, *left)],
                    };
                    lines.extend(PEERS.iter().map(point));
                }
                let title = format!("{} nodes, {} instances", size.0, size.1);
                let logarithmic = (name == "score").then_some(0.01);
                let plot = Plot { title, across: unit.into(), up: up.into(), logarithmic, lines };
                let file = folder.join(format!("ganeti-{}x{}-{name}-{unit}.svg", size.0, size.1));
                std::fs::write(&file, plot.svg()).with_context(|| format!("{} cannot be written", file.display()))?;
            }
        }
        Ok(())
    }

    /// A measure after each of the moves.
    fn front(&self, answer: &Answer, measure: &dyn Fn(&[u32]) -> f64, over_gib: bool) -> Vec<(f64, f64)> {
        let mut at = self.home();
        let mut points = vec![(0.0, measure(&at))];
        for (n, (instance, node)) in answer.moves.iter().enumerate() {
            at[*instance] = *node;
            let done = if over_gib { self.gib(&answer.moves[..=n]) } else { (n + 1) as f64 };
            points.push((done, measure(&at)));
        }
        points
    }

    /// One answer for each price of a move.
    fn ours(&self) -> Vec<Answer> {
        PRICES.iter().map(|price| self.answer(*price)).collect()
    }

    fn answer(&self, price: f64) -> Answer {
        let started = on_the_processor();
        let mut weights = self.weights(&self.home());
        let mut best: Option<(f64, Vec<(usize, u32)>)> = None;
        let mut before = Vec::new();
        for effort in EFFORTS {
            let evaluations = MOST_EFFORT.min(effort * self.instances.len() as u64);
            let found = search(&self.question(&weights, price), &Effort { evaluations, moves: u32::MAX });
            let moves = self.in_order(&found);
            before.push(Answer { moves: moves.clone(), took: on_the_processor() - started, before: Vec::new() });
            let value = self.score_after(&moves) + price * moves.len() as f64;
            if best.as_ref().is_some_and(|best| value >= best.0 - 1e-9) {
                break;
            }
            let mut at = self.home();
            moves.iter().for_each(|(instance, node)| at[*instance] = *node);
            weights = self.weights(&at);
            best = Some((value, moves));
        }
        Answer { moves: best.map(|best| best.1).unwrap_or_default(), took: on_the_processor() - started, before }
    }

    fn in_order(&self, found: &Found) -> Vec<(usize, u32)> {
        let moves = found.packages.iter().flat_map(|package| &package.moves);
        moves.map(|PlaceMove { vm, to }| (*vm as usize, *to)).collect()
    }

    /// What a variance of each measure is worth where these are the deviations.
    fn weights(&self, at: &[u32]) -> [f64; 3] {
        let [memory, vcpus, load] = self.measures(at).map(|values| deviation(&values).max(LEAST_DEVIATION));
        [0.5 / memory, 0.5 / vcpus, 4.0 * 0.5 / load]
    }

    fn question(&self, weights: &[f64; 3], price: f64) -> Problem {
        let nodes = self.nodes.len();
        let whole: [Vec<i64>; 3] = [
            self.nodes.iter().map(|node| node.memory).collect(),
            self.nodes.iter().map(|node| node.cpus).collect(),
            vec![1; nodes],
        ];
        let curve = |(resource, whole): (usize, Vec<i64>)| Curve {
            resource,
            whole,
            floor: 0,
            power: 2,
            weight: (UNIT * weights[resource] / nodes as f64) as Points,
        };
        Problem {
            resources: 3,
            hosts: self
                .nodes
                .iter()
                .map(|node| PlaceHost {
                    capacity: vec![node.memory, node.cpus * 8, i64::MAX],
                    base: vec![node.own, 0, 0],
                    takes: true,
                    busy: true,
                })
                .collect(),
            vms: self
                .instances
                .iter()
                .map(|instance| PlaceVm {
                    at: instance.node,
                    size: vec![instance.memory, instance.vcpus, 1],
                    move_cost: (UNIT * price) as Points,
                    ..PlaceVm::default()
                })
                .collect(),
            sets: vec![HostSet::all(nodes)],
            curves: whole.into_iter().enumerate().map(curve).collect(),
            ..Problem::default()
        }
    }

    /// What hbal does; `None`: it is not here, or it took too long.
    fn hbal(&self, file: &Path) -> anyhow::Result<Option<Answer>> {
        let file = file.to_str().context("the file's name is text")?;
        let Ok(answer) = peer("hbal", &["-t", file, "-v"], PATIENCE) else {
            eprintln!("hbal is not installed: its columns stay empty");
            return Ok(None);
        };
        let Some((printed, took)) = answer else { return Ok(None) };
        let instance: BTreeMap<&str, usize> =
            self.instances.iter().enumerate().map(|(i, instance)| (instance.name.as_str(), i)).collect();
        let node: BTreeMap<&str, u32> = self.nodes.iter().zip(0..).map(|(node, i)| (node.name.as_str(), i)).collect();
        let mut moves = Vec::new();
        let mut told = None;
        for line in printed.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [_, name, _, "=>", to, score, ..] = words.as_slice() {
                let (Some(name), Some(to)) = (instance.get(name), node.get(to)) else { continue };
                moves.push((*name, *to));
                told = score.parse::<f64>().ok();
            }
        }
        let reckoned = self.score_after(&moves);
        ensure!(told.is_none_or(|told| (told - reckoned).abs() < 1e-5), "hbal says {told:?}, and we reckon {reckoned}");
        Ok(Some(Answer { moves, took, before: Vec::new() }))
    }
}

/// Of a population.
fn deviation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}
