//! Small questions of each goal, beside the proved optimum by an exact solver (CP-SAT of OR-tools).
//!
//! `place exact FOLDER --write` writes the questions, `bench/exact.py FOLDER` solves them, `place exact FOLDER` answers them by the
//! ordinary search and prints how far that is from the optimum.
//!
//! The gap is (ours − optimum) / optimum, of costs; where the optimum costs nothing it is what we leave of what could be gained. Hard
//! rules that cannot be mended cost the same in both and are left out. Questions where we leave more of them broken than need be
//! are counted by themselves and have no gap. *Gain left* is (ours − optimum) / (at first − optimum), broken rules included.

mod file;
mod questions;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use ulm_model::HostIx;
use ulm_place::{Effort, Points, Problem, Relation, RelationKind, cost, search};

use crate::clock::on_the_processor;
use crate::table::Table;
use questions::{GOALS, Goal};

/// As much as `decide` weighs in a round.
const EFFORT: Effort = Effort { evaluations: 4_000_000, moves: u32::MAX };

fn name(goal: Goal, seed: u64) -> String {
    format!("{} {seed}", goal.name())
}

/// Writes the questions with these numbers, of each goal, into the folder.
pub fn write(folder: &Path, seeds: Range<u64>) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let all = GOALS.into_iter().flat_map(|goal| seeds.clone().map(move |seed| (name(goal, seed), goal.question(seed))));
    let all: Vec<(String, Problem)> = all.collect();
    let path = folder.join("questions.json");
    let value = file::questions(all.iter().map(|(name, problem)| (name.clone(), problem)));
    std::fs::write(&path, serde_json::to_string(&value)?)?;
    println!("{} questions in {}", all.len(), path.display());
    Ok(())
}

/// Prints the table of these.
pub fn run(folder: &Path, seeds: Range<u64>) -> anyhow::Result<()> {
    let answers = file::answers(&folder.join("answers.jsonl"))?;
    let answers: BTreeMap<&str, &file::Answer> = answers.iter().map(|it| (it.name.as_str(), it)).collect();
    let headings = [
        "goal",
        "questions",
        "proved",
        "optimal",
        "broken more",
        "mean gap",
        "worst gap",
        "of",
        "gain left",
        "CPU ms each",
        "CP-SAT",
    ];
    let mut table = Table::new(&headings);
    let mut beyond = Vec::new();
    for goal in GOALS {
        let mut sums = Sums::default();
        for seed in seeds.clone() {
            let name = name(goal, seed);
            let Some(answer) = answers.get(name.as_str()) else { continue };
            let problem = goal.question(seed);
            let best = judged(&problem, &answer.at).with_context(|| format!("CP-SAT's answer to {name}"))?;
            let begun = on_the_processor();
            let found = search(&problem, &EFFORT);
            let took = on_the_processor() - begun;
            let mut at: Vec<u32> = problem.vms.iter().map(|vm| vm.at).collect();
            found.packages.iter().flat_map(|it| &it.moves).for_each(|step| at[step.vm as usize] = step.to);
            let ours = judged(&problem, &at).with_context(|| format!("the answer to {name}"))?;
            ensure!(ours == found.after, "{name}: the search says {}, the judge {ours}", found.after);
            ensure!(ours >= best || !answer.proved, "{name}: {ours} is better than {best}, which is proved to be best");
            let gap = gap(ours, best, found.before);
            sums.add(gap, ours == best, answer, took, seed);
            if found.before > best {
                sums.left.push((ours - best) as f64 / (found.before - best) as f64);
            }
            if gap.is_none_or(|gap| gap > 0.01) {
                beyond.push(format!("{name}: {} at first, {best} possible, {ours} found", found.before));
            }
        }
        if sums.questions == 0 {
            continue;
        }
        table.row(&sums.row(goal));
    }
    print!("{}", table.text());
    println!("more than 1 % from the optimum: {}", beyond.len());
    beyond.iter().for_each(|it| println!("  {it}"));
    Ok(())
}

/// See the module's text; `None`: more is left broken than need be.
fn gap(ours: Points, best: Points, before: Points) -> Option<f64> {
    let broken = best / Relation::BROKEN;
    if ours == best {
        return Some(0.0);
    }
    let whole = if best % Relation::BROKEN > 0 { best % Relation::BROKEN } else { before - best };
    (ours / Relation::BROKEN == broken).then_some((ours - best) as f64 / whole as f64)
}

/// Figures of a goal.
#[derive(Default)]
struct Sums {
    gaps: Vec<f64>,
    /// What is left of what could be gained, where anything could.
    left: Vec<f64>,
    questions: usize,
    optimal: usize,
    proved: usize,
    worst: (f64, u64),
    took: Duration,
    theirs: f64,
}

impl Sums {
    fn add(&mut self, gap: Option<f64>, optimal: bool, answer: &file::Answer, took: Duration, seed: u64) {
        self.gaps.extend(gap);
        self.questions += 1;
        self.optimal += usize::from(optimal);
        self.proved += usize::from(answer.proved);
        self.took += took;
        self.theirs += answer.seconds;
        if gap.is_some_and(|gap| gap > self.worst.0) {
            self.worst = (gap.unwrap_or_default(), seed);
        }
    }

    fn row(&self, goal: Goal) -> [String; 11] {
        let count = self.questions;
        let percent = |part: f64| format!("{:.3} %", part * 100.0);
        let mean = |parts: &[f64]| percent(parts.iter().sum::<f64>() / parts.len().max(1) as f64);
        [
            goal.name().into(),
            count.to_string(),
            self.proved.to_string(),
            self.optimal.to_string(),
            (count - self.gaps.len()).to_string(),
            mean(&self.gaps),
            percent(self.worst.0),
            if self.worst.0 > 0.0 { self.worst.1.to_string() } else { "–".into() },
            mean(&self.left),
            format!("{:.2}", self.took.as_secs_f64() * 1e3 / count as f64),
            format!("{:.0}", self.theirs * 1e3 / count as f64),
        ]
    }
}

/// What the placement costs, if it is sound: judged by the question alone.
fn judged(problem: &Problem, at: &[u32]) -> anyhow::Result<Points> {
    ensure!(at.len() == problem.vms.len(), "one host for each VM");
    for (i, (vm, host)) in problem.vms.iter().zip(at).enumerate() {
        let welcome = problem.sets[vm.allowed as usize].contains(HostIx(*host)) && problem.hosts[*host as usize].takes;
        ensure!(vm.at == *host || (welcome && !vm.stays), "VM {i} may not be on host {host}");
    }
    for (h, host) in problem.hosts.iter().enumerate() {
        for r in 0..problem.resources {
            let on = || problem.vms.iter().zip(at).filter(|it| *it.1 as usize == h).map(|it| it.0);
            let load = host.base[r] + on().map(|vm| vm.size[r]).sum::<i64>();
            let come = on().any(|vm| vm.at as usize != h && vm.size[r] > 0);
            ensure!(load <= host.capacity[r] || !come, "host {h} took {load} of resource {r}");
        }
    }
    let home: Vec<u32> = problem.vms.iter().map(|vm| vm.at).collect();
    for (i, relation) in problem.relations.iter().enumerate().filter(|it| it.1.points.is_none()) {
        ensure!(relation.surplus(at) <= relation.surplus(&home), "relation {i} is broken more");
        let RelationKind::AtMost(most) = relation.kind else { continue };
        for vm in relation.vms.iter().map(|vm| *vm as usize) {
            let domain = |at: &[u32], vm: usize| relation.domains[at[vm] as usize];
            let there = relation.vms.iter().filter(|other| domain(at, **other as usize) == domain(at, vm)).count();
            let came = domain(at, vm) != domain(&home, vm) && domain(at, vm) != Relation::OUTSIDE;
            ensure!(!came || there <= most as usize, "VM {vm} went where it breaks relation {i}");
        }
    }
    Ok(cost(problem, at).total())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_is_of_what_can_be_mended() {
        const BROKEN: Points = Relation::BROKEN;
        assert_eq!(gap(102, 100, 500), Some(0.02));
        assert_eq!(gap(BROKEN + 102, BROKEN + 100, 3 * BROKEN), Some(0.02));
        assert_eq!(gap(100, 0, 400), Some(0.25), "where nothing must be left it is of what could be gained");
        assert_eq!(gap(2 * BROKEN, BROKEN + 100, 3 * BROKEN), None);
    }

    #[test]
    fn the_judge_knows_what_a_question_forbids() {
        let problem = Goal::Defragment.question(0);
        let home: Vec<u32> = problem.vms.iter().map(|vm| vm.at).collect();
        assert_eq!(judged(&problem, &home).unwrap(), cost(&problem, &home).total());
        let all_on_one = vec![0; home.len()];
        assert!(judged(&problem, &all_on_one).is_err());
    }
}
