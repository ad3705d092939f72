//! Machine reassignment (Google's, the ROADEF/EURO challenge 2012, set A): the strong search against the challenge's winner.
//!
//! The question has exactly the challenge's rules and cost. The judge reckons both from the numbers of the instance alone, with
//! nothing of `ulm_place`: it must agree with the published cost of the start, and with the question's cost of each answer.
//!
//! Each answer is the better one of two walks with different seeds, one on each of two threads that know nothing of each other.
//! Work is counted in evaluations: so many as are given, or as fit into the time by the pace of a short trial. A guard ends what takes too
//! long, and is named in the table where it struck.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use ulm_place::{
    Annealed, Dependency, Disruption, Effort, Excess, PlaceHost, PlaceVm, Problem, Relation, RelationKind, anneal, cost,
};
use ulm_rules::HostSet;

use crate::table::Table;

/// What to run.
#[derive(Args)]
pub struct Options {
    /// Instances, e.g. a1_4; none: all.
    only: Vec<String>,
    /// Millions of placements weighed by each of the two walks; by default as many as there is time for.
    #[arg(long)]
    evaluations: Option<u64>,
    /// Seconds after which a walk ends in any case.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Where the random numbers begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Placements weighed in a trial, and what of the time is planned for: a walk's pace changes, and two share the machine.
const TRIAL: u64 = 20_000_000;
const PLANNED: f64 = 0.8;

/// What is known of the instances: name, cost of the start, the winner's cost after 300 and after 60 seconds.
const KNOWN: [(&str, i64, i64, i64); 10] = [
    ("a1_1", 49_528_750, 44_306_501, 44_306_501),
    ("a1_2", 1_061_649_570, 777_912_030, 778_471_177),
    ("a1_3", 583_662_270, 583_006_422, 583_006_718),
    ("a1_4", 632_499_600, 262_125_116, 263_330_189),
    ("a1_5", 782_189_690, 727_578_310, 727_578_311),
    ("a2_1", 391_189_190, 329, 362),
    ("a2_2", 1_876_768_120, 746_097_632, 756_757_072),
    ("a2_3", 2_272_487_840, 1_210_644_572, 1_219_337_750),
    ("a2_4", 3_223_516_130, 1_680_615_349, 1_705_593_064),
    ("a2_5", 787_355_300, 318_358_949, 324_812_656),
];

/// An instance as it is written.
struct Instance {
    /// Whether it is transient, and the weight of its load cost.
    resources: Vec<(bool, i64)>,
    machines: Vec<Machine>,
    services: Vec<Service>,
    processes: Vec<Process>,
    balances: Vec<Balance>,
    process_weight: i64,
    service_weight: i64,
    machine_weight: i64,
    start: Vec<usize>,
}

struct Machine {
    neighbourhood: usize,
    location: usize,
    capacity: Vec<i64>,
    safety: Vec<i64>,
    move_cost: Vec<i64>,
}

struct Service {
    spread: usize,
    needs: Vec<usize>,
}

struct Process {
    service: usize,
    needs: Vec<i64>,
    move_cost: i64,
}

struct Balance {
    first: usize,
    second: usize,
    target: i64,
    weight: i64,
}

/// The numbers of a text, one after another.
struct Numbers<'t>(std::str::SplitAsciiWhitespace<'t>);

impl Numbers<'_> {
    fn one(&mut self) -> anyhow::Result<i64> {
        Ok(self.0.next().context("the text ends too early")?.parse()?)
    }
    fn index(&mut self) -> anyhow::Result<usize> {
        Ok(self.one()?.try_into()?)
    }
    fn many(&mut self, count: usize) -> anyhow::Result<Vec<i64>> {
        (0..count).map(|_| self.one()).collect()
    }
    /// A count, and then so many of something.
    fn list<T>(&mut self, mut of: impl FnMut(&mut Self) -> anyhow::Result<T>) -> anyhow::Result<Vec<T>> {
        (0..self.index()?).map(|_| of(self)).collect()
    }
}

impl Instance {
    fn read(model: &str, assignment: &str) -> anyhow::Result<Self> {
        let mut text = Numbers(model.split_ascii_whitespace());
        let resources = text.list(|text| Ok((text.one()? == 1, text.one()?)))?;
        let (kinds, machines) = (resources.len(), text.index()?);
        let machine = |text: &mut Numbers| {
            Ok(Machine {
                neighbourhood: text.index()?,
                location: text.index()?,
                capacity: text.many(kinds)?,
                safety: text.many(kinds)?,
                move_cost: text.many(machines)?,
            })
        };
        let machines = (0..machines).map(|_| machine(&mut text)).collect::<anyhow::Result<_>>()?;
        let services =
            text.list(|text| Ok(Service { spread: text.index()?, needs: text.list(|text| text.index())? }))?;
        let processes =
            text.list(|text| Ok(Process { service: text.index()?, needs: text.many(kinds)?, move_cost: text.one()? }))?;
        let balances = text.list(|text| {
            Ok(Balance { first: text.index()?, second: text.index()?, target: text.one()?, weight: text.one()? })
        })?;
        let (process_weight, service_weight, machine_weight) = (text.one()?, text.one()?, text.one()?);
        let start = assignment.split_ascii_whitespace().map(str::parse).collect::<Result<Vec<usize>, _>>()?;
        anyhow::ensure!(start.len() == processes.len(), "a machine for each process");
        Ok(Instance {
            resources,
            machines,
            services,
            processes,
            balances,
            process_weight,
            service_weight,
            machine_weight,
            start,
        })
    }

    fn question(&self) -> Problem {
        let (hosts, everywhere) = (self.machines.len(), 0);
        let host = |it: &Machine| PlaceHost {
            capacity: it.capacity.clone(),
            base: vec![0; self.resources.len()],
            takes: true,
            busy: false,
        };
        let vm = |(it, at): (&Process, &usize)| PlaceVm {
            at: *at as u32,
            size: it.needs.clone(),
            allowed: everywhere,
            move_cost: it.move_cost * self.process_weight,
            ..PlaceVm::default()
        };
        let mut of: Vec<Vec<u32>> = vec![Vec::new(); self.services.len()];
        self.processes.iter().enumerate().for_each(|(i, it)| of[it.service].push(i as u32));
        let each: Vec<u32> = (0..hosts as u32).collect();
        let locations = numbered(self.machines.iter().map(|it| it.location));
        let near = numbered(self.machines.iter().map(|it| it.neighbourhood));
        let hard = |vms: &[u32], domains: &[u32], kind| Relation {
            vms: vms.to_vec(),
            domains: domains.to_vec(),
            kind,
            points: None,
        };
        let (mut relations, mut dependencies) = (Vec::new(), Vec::new());
        for ((s, service), vms) in self.services.iter().enumerate().zip(&of) {
            if vms.len() > 1 {
                relations.push(hard(vms, &each, RelationKind::AtMost(1)));
            }
            if service.spread > 1 {
                relations.push(hard(vms, &locations, RelationKind::AtLeast(service.spread as u32)));
            }
            // What needs itself has itself.
            let needs = service.needs.iter().collect::<BTreeSet<_>>().into_iter().filter(|t| **t != s);
            dependencies.extend(needs.map(|t| Dependency {
                vms: vms.clone(),
                of: of[*t].clone(),
                domains: near.clone(),
            }));
        }
        Problem {
            resources: self.resources.len(),
            hosts: self.machines.iter().map(host).collect(),
            vms: self.processes.iter().zip(&self.start).map(vm).collect(),
            sets: vec![HostSet::all(hosts)],
            relations,
            dependencies,
            transient: self.resources.iter().map(|(transient, _)| *transient).collect(),
            excesses: self.excesses(),
            disruption: Some(Disruption {
                group: self.processes.iter().map(|it| it.service as u32).collect(),
                each: self.service_weight,
            }),
            tables: vec![ulm_place::Table {
                vm_class: self.start.iter().map(|at| *at as u32).collect(),
                host_class: each,
                points: self
                    .machines
                    .iter()
                    .flat_map(|it| it.move_cost.iter().map(|cost| cost * self.machine_weight))
                    .collect(),
                host_classes: hosts as u32,
            }],
            ..Problem::default()
        }
    }

    fn excesses(&self) -> Vec<Excess> {
        let load = |(r, (_, weight)): (usize, &(bool, i64))| Excess {
            parts: vec![(r, 1)],
            above: self.machines.iter().map(|it| it.safety[r]).collect(),
            each: *weight,
        };
        let balance = |it: &Balance| Excess {
            parts: vec![(it.second, 1), (it.first, -it.target)],
            above: self.machines.iter().map(|m| m.capacity[it.second] - it.target * m.capacity[it.first]).collect(),
            each: it.weight,
        };
        let loads = self.resources.iter().enumerate().map(load);
        loads.chain(self.balances.iter().map(balance)).filter(|it| it.each > 0).collect()
    }

    /// What an assignment costs; an error where a rule is broken.
    fn judge(&self, at: &[usize]) -> anyhow::Result<i64> {
        let mut used = vec![vec![0i64; self.resources.len()]; self.machines.len()];
        let mut with_left = used.clone();
        for ((process, start), at) in self.processes.iter().zip(&self.start).zip(at) {
            for (r, need) in process.needs.iter().enumerate() {
                used[*at][r] += need;
                with_left[*at][r] += need;
                if self.resources[r].0 && at != start {
                    with_left[*start][r] += need;
                }
            }
        }
        for (m, machine) in self.machines.iter().enumerate() {
            for (r, capacity) in machine.capacity.iter().enumerate() {
                anyhow::ensure!(with_left[m][r] <= *capacity, "machine {m} has too little of {r}");
            }
        }
        let mut machines = vec![BTreeSet::new(); self.services.len()];
        let mut locations = machines.clone();
        let mut near = machines.clone();
        for (process, at) in self.processes.iter().zip(at) {
            anyhow::ensure!(machines[process.service].insert(*at), "two of {} on machine {at}", process.service);
            locations[process.service].insert(self.machines[*at].location);
            near[process.service].insert(self.machines[*at].neighbourhood);
        }
        for (s, service) in self.services.iter().enumerate() {
            anyhow::ensure!(locations[s].len() >= service.spread, "service {s} in too few locations");
            let lacks = service.needs.iter().find(|t| !near[s].is_subset(&near[**t]));
            anyhow::ensure!(lacks.is_none(), "service {s} without {lacks:?}");
        }
        let mut sum = 0;
        for (machine, used) in self.machines.iter().zip(&used) {
            for (r, (_, weight)) in self.resources.iter().enumerate() {
                sum += weight * (used[r] - machine.safety[r]).max(0);
            }
            for it in &self.balances {
                let left = |r: usize| machine.capacity[r] - used[r];
                sum += it.weight * (it.target * left(it.first) - left(it.second)).max(0);
            }
        }
        let mut moved = vec![0i64; self.services.len()];
        for ((process, start), at) in self.processes.iter().zip(&self.start).zip(at) {
            if start != at {
                sum += self.process_weight * process.move_cost;
                moved[process.service] += 1;
            }
            sum += self.machine_weight * self.machines[*start].move_cost[*at];
        }
        Ok(sum + self.service_weight * moved.into_iter().max().unwrap_or(0))
    }
}

/// Numbers from 0 on instead of any.
fn numbered(of: impl Iterator<Item = usize> + Clone) -> Vec<u32> {
    let known: BTreeSet<usize> = of.clone().collect();
    of.map(|it| known.range(..it).count() as u32).collect()
}

/// Prints the table.
pub fn run(options: &Options, data: &Path) -> anyhow::Result<()> {
    let mut table = Table::new(&[
        "instance",
        "start",
        "bound",
        "S41 60 s",
        "S41 300 s",
        "ours",
        "of S41 300 s",
        "score",
        "weighed",
        "a second",
        "seconds",
        "guard",
    ]);
    for (name, start, long, short) in KNOWN {
        if !options.only.is_empty() && !options.only.iter().any(|it| it == name) {
            continue;
        }
        let read = |what: &str| {
            let path = data.join(format!("roadef2012/{what}_{name}.txt"));
            std::fs::read_to_string(&path).with_context(|| path.display().to_string())
        };
        let instance = Instance::read(&read("model")?, &read("assignment")?)?;
        let bound: i64 = read("lb")?.trim().parse()?;
        anyhow::ensure!(instance.judge(&instance.start)? == start, "{name}: the start costs what is published");
        let (found, took) = best(&instance, options)?;
        anyhow::ensure!(found.before == start, "{name}: question and judge agree on the start");
        let weighed: u64 = found.evaluations;
        table.row(&[
            name.to_owned(),
            start.to_string(),
            bound.to_string(),
            short.to_string(),
            long.to_string(),
            found.after.to_string(),
            format!("{:.4}", found.after as f64 / long as f64),
            format!("{:.3} %", 100.0 * (found.after - long) as f64 / start as f64),
            format!("{} M", weighed / 1_000_000),
            format!("{:.2} M", weighed as f64 / 1e6 / took.as_secs_f64()),
            format!("{:.0}", took.as_secs_f64()),
            if found.stopped { "struck" } else { "" }.to_owned(),
        ]);
        eprintln!("{}", table.text().lines().last().unwrap_or_default());
    }
    print!("{}", table.text());
    Ok(())
}

/// The better one of two walks, with what they did and how long the longer one kept a processor.
fn best(instance: &Instance, options: &Options) -> anyhow::Result<(Annealed, Duration)> {
    let problem = instance.question();
    let evaluations = match options.evaluations {
        Some(millions) => millions * 1_000_000,
        None => work_of(&problem, options.seconds),
    };
    let walk = |seed: u64| {
        let (clock, busy) = (Instant::now(), crate::clock::on_the_processor());
        let effort = Effort { evaluations, moves: u32::MAX };
        let found = anneal(&problem, &effort, options.seed * 2 + seed, &|| {
            clock.elapsed() > Duration::from_secs(options.seconds)
        });
        (found, crate::clock::on_the_processor() - busy)
    };
    let walks = std::thread::scope(|scope| {
        let other = scope.spawn(|| walk(1));
        [walk(0), other.join().expect("a walk ends")]
    });
    for (found, _) in &walks {
        let at: Vec<usize> = found.at.iter().map(|host| *host as usize).collect();
        let judged = instance.judge(&at)?;
        anyhow::ensure!(
            judged == found.after && judged == cost(&problem, &found.at).total(),
            "judge and question agree"
        );
    }
    let [(one, one_took), (other, other_took)] = walks;
    let (evaluations, stopped) = (one.evaluations + other.evaluations, one.stopped || other.stopped);
    let better = if other.after < one.after { other } else { one };
    Ok((Annealed { evaluations, stopped, ..better }, one_took.max(other_took)))
}

/// How many placements a walk weighs in so many seconds, or somewhat fewer.
fn work_of(problem: &Problem, seconds: u64) -> u64 {
    let clock = Instant::now();
    let trial = anneal(problem, &Effort { evaluations: TRIAL, moves: u32::MAX }, 0, &|| false);
    let pace = trial.evaluations as f64 / clock.elapsed().as_secs_f64();
    (pace * seconds as f64 * PLANNED) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three machines in two locations and two neighbourhoods, two services of which the second needs the first.
    const MODEL: &str = "2  1 10  0 1
        3  0 0 10 10 6 6 0 1 2  0 1 10 10 6 6 1 0 1  1 1 10 10 6 6 2 1 0
        2  2 0  1 1 0
        3  0 4 3 5  0 4 3 5  1 2 2 7
        1  0 1 2 10
        1 10 100";

    fn instance() -> Instance {
        Instance::read(MODEL, "0 1 0").unwrap()
    }

    #[test]
    fn the_judge_reckons_what_a_placement_costs() {
        let it = instance();
        // Left are (4, 5), (6, 7) and (10, 10): balance 3 + 5 + 10.
        assert_eq!(it.judge(&it.start).unwrap(), 180);
        // The third process goes to the second machine: left are (6, 7), (4, 5) and (10, 10); moved 7, service 10, machine 100.
        assert_eq!(it.judge(&[0, 1, 1]).unwrap(), 180 + 7 + 10 + 100);
    }

    #[test]
    fn the_judge_sees_what_is_broken() {
        let it = instance();
        let why = |at: &[usize]| it.judge(at).unwrap_err().to_string();
        assert_eq!(why(&[0, 0, 0]), "two of 0 on machine 0");
        assert_eq!(why(&[1, 2, 1]), "service 0 in too few locations");
        assert!(why(&[0, 1, 2]).starts_with("service 1 without"));
        let mut tight = instance();
        tight.machines[0].capacity[0] = 5;
        assert_eq!(tight.judge(&tight.start).unwrap_err().to_string(), "machine 0 has too little of 0");
        tight.machines[0].capacity[0] = 6;
        assert!(tight.judge(&tight.start).is_ok());
        // What leaves keeps its part of the transient resource.
        assert_eq!(tight.judge(&[1, 0, 0]).unwrap_err().to_string(), "machine 0 has too little of 0");
    }

    #[test]
    fn judge_and_question_agree_everywhere() {
        let it = instance();
        let problem = it.question();
        let all = (0..27usize).map(|n| [n % 3, n / 3 % 3, n / 9]);
        let possible: Vec<(i64, [usize; 3])> = all.filter_map(|at| Some((it.judge(&at).ok()?, at))).collect();
        assert!(possible.len() > 3);
        for (judged, at) in &possible {
            assert_eq!(cost(&problem, &at.map(|host| host as u32)).total(), *judged);
        }
        let effort = Effort { evaluations: 20_000, moves: u32::MAX };
        let found = anneal(&problem, &effort, 1, &|| false);
        assert_eq!(found.after, possible.iter().min().unwrap().0);
    }
}
