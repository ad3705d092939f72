//! Whether the timetable is possible: nothing begins too early, and hosts and links carry what runs at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ulm_model::{RouteAction, RouteStep, Task, TaskLink};

use super::RouteFault;

/// What runs at once somewhere.
#[derive(Clone, Default)]
struct Running {
    /// When each move ends, and its rate.
    ends: BinaryHeap<Reverse<(u64, u64)>>,
    rate: u128,
}

impl Running {
    /// One more move begins; what has ended by then is over.
    fn begin(&mut self, step: &RouteStep, rate: u64) {
        while let Some(Reverse((end, rate))) = self.ends.peek().copied()
            && end <= step.start_ms
        {
            self.ends.pop();
            self.rate -= u128::from(rate);
        }
        self.ends.push(Reverse((step.end_ms, rate)));
        self.rate += u128::from(rate);
    }
}

/// What runs everywhere.
struct Timetable<'t> {
    task: &'t Task,
    /// The links that each host is inside of.
    links: Vec<Vec<u32>>,
    /// Moves to each host and from each host, into each link and out of it.
    to: Vec<Running>,
    from: Vec<Running>,
    inward: Vec<Running>,
    outward: Vec<Running>,
}

pub(super) fn first(task: &Task, steps: &[RouteStep]) -> Option<(u32, RouteFault)> {
    let mut links = vec![Vec::new(); task.hosts.len()];
    for (l, link) in task.links.iter().enumerate() {
        for host in &link.inside {
            if links[*host as usize].last() != Some(&(l as u32)) {
                links[*host as usize].push(l as u32);
            }
        }
    }
    let none = |count: usize| vec![Running::default(); count];
    let (hosts, count) = (task.hosts.len(), task.links.len());
    let (to, from, inward, outward) = (none(hosts), none(hosts), none(count), none(count));
    let mut timetable = Timetable { task, links, to, from, inward, outward };
    (0..steps.len()).find_map(|s| {
        let fault = out_of_order(s, steps).or_else(|| timetable.begin(s as u32, &steps[s]));
        Some((s as u32, fault?))
    })
}

/// Whether the step's times fit its own and the others'.
fn out_of_order(s: usize, steps: &[RouteStep]) -> Option<RouteFault> {
    let (step, RouteStep { after, start_ms, end_ms, .. }) = (s as u32, &steps[s]);
    let (start_ms, end_ms) = (*start_ms, *end_ms);
    if end_ms < start_ms {
        return Some(RouteFault::EndsEarly { step, start_ms, end_ms });
    }
    if s > 0 && start_ms < steps[s - 1].start_ms {
        return Some(RouteFault::OutOfTurn { step, start_ms });
    }
    let other = after.iter().find(|other| steps[**other as usize].end_ms > start_ms)?;
    Some(RouteFault::TooEarly { step, start_ms, other: *other, end_ms: steps[*other as usize].end_ms })
}

impl Timetable<'_> {
    fn begin(&mut self, step: u32, content: &RouteStep) -> Option<RouteFault> {
        let RouteAction::Move { from, to, rate, .. } = content.action else { return None };
        let (from, to, task) = (from as usize, to as usize, self.task);
        self.from[from].begin(content, 0);
        self.to[to].begin(content, 0);
        let (moves, limit) = (self.from[from].ends.len(), task.hosts[from].moves_out);
        if moves > limit as usize {
            return Some(RouteFault::TooManyOut { step, host: task.hosts[from].name.clone(), moves, limit });
        }
        let (moves, limit) = (self.to[to].ends.len(), task.hosts[to].moves_in);
        if moves > limit as usize {
            return Some(RouteFault::TooManyIn { step, host: task.hosts[to].name.clone(), moves, limit });
        }
        let only = |one: usize, other: usize| {
            let links = self.links[one].iter().copied().filter(|link| !self.links[other].contains(link));
            links.collect::<Vec<u32>>()
        };
        for (links, running) in [(only(from, to), &mut self.outward), (only(to, from), &mut self.inward)] {
            for link in links {
                let (running, TaskLink { name, rate: limit, .. }) =
                    (&mut running[link as usize], &task.links[link as usize]);
                running.begin(content, rate);
                if running.rate > u128::from(*limit) {
                    let rate = u64::try_from(running.rate).unwrap_or(u64::MAX);
                    return Some(RouteFault::LinkFull { step, link: name.clone(), rate, limit: *limit });
                }
            }
        }
        None
    }
}
