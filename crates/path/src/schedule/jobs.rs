//! Hops in the form that the timetable works on: what each one occupies, and where it takes and gives room.

use std::collections::BTreeMap;

use ulm_model::{Power, Task};

use crate::cost::{STREAM, duration_ms};
use crate::problem::{Hop, NONE, Problem};

/// No step is taken to last longer, in milliseconds: sums of them do not overflow. 35 years.
pub(super) const LONGEST: u64 = 1 << 40;

/// All hops of a sequence, each named by its place there. Nothing in here depends on the order of hops of different items.
#[derive(Clone)]
pub(super) struct Jobs {
    /// The hops.
    pub jobs: Vec<Job>,
    /// The moves of single VMs, hop by hop, the longest first.
    pub moves: Vec<OneMove>,
    /// Where each hop's moves begin; one more at the end.
    first_move: Vec<u32>,
    /// Which lanes each hop crosses, and as which class there.
    crossings: Vec<Crossing>,
    first_crossing: Vec<u32>,
    /// The classes of moves on lanes: same lane, same rate.
    pub classes: Vec<Crossing>,
    /// For each class its rate.
    pub class_rate: Vec<u64>,
    /// The classes on each lane.
    pub lane_classes: Vec<Vec<u32>>,
    /// What each lane carries; a link is two lanes, out and in.
    pub lane_rate: Vec<u64>,
    /// Moves at once, out of each host, then into each.
    pub slots: Vec<u32>,
    /// Where each hop takes and gives room that can become scarce.
    touches: Vec<Touch>,
    first_touch: Vec<u32>,
    amounts: Vec<i64>,
    /// Where room can become scarce.
    pub places: Vec<Place>,
}

/// One hop.
#[derive(Clone, Copy)]
pub(super) struct Job {
    pub from: u32,
    pub to: u32,
    /// What each of its moves takes of each lane; 0 where there is none.
    pub rate: u64,
    /// How long it takes when nothing else runs, in milliseconds.
    pub ms: u64,
    /// The hop that must have ended before: the item's last one, if any.
    pub previous: u32,
    /// The hop that waits for this one so.
    pub next: u32,
    /// It cannot begin earlier: its target is being switched on.
    pub release: u64,
    /// What comes after it at least: its source is switched off.
    pub tail: u64,
}

/// One VM's part in a hop.
#[derive(Clone, Copy)]
pub(super) struct OneMove {
    pub hop: u32,
    pub vm: u32,
    pub ms: u64,
}

/// A lane that is crossed.
#[derive(Clone, Copy)]
pub(super) struct Crossing {
    pub lane: u32,
    pub class: u32,
}

/// A hop that comes into a place, or leaves it.
#[derive(Clone, Copy)]
pub(super) struct Touch {
    pub place: u32,
    pub enters: bool,
    amount: u32,
}

/// A host, or a domain of a counter, with those kinds of room that would not suffice for A and all arrivals.
#[derive(Clone)]
pub(super) struct Place {
    /// What is free in the beginning, of each such kind.
    pub slack: Vec<i64>,
    /// How many hops touch it.
    pub events: usize,
}

impl Jobs {
    /// All about these hops. `strict`: each waits for the one before.
    pub fn new(problem: &Problem, hops: &[Hop], strict: bool) -> Jobs {
        let task = problem.task;
        let slots = |limit: fn(&ulm_model::TaskHost) -> u32| task.hosts.iter().map(move |host| limit(host).max(1));
        let mut all = Jobs {
            jobs: Vec::with_capacity(hops.len()),
            moves: Vec::new(),
            first_move: vec![0],
            crossings: Vec::new(),
            first_crossing: vec![0],
            classes: Vec::new(),
            class_rate: Vec::new(),
            lane_classes: vec![Vec::new(); task.links.len() * 2],
            lane_rate: task.links.iter().flat_map(|link| [link.rate, link.rate]).collect(),
            slots: slots(|host| host.moves_out).chain(slots(|host| host.moves_in)).collect(),
            touches: Vec::new(),
            first_touch: vec![0],
            amounts: Vec::new(),
            places: Vec::new(),
        };
        all.form_jobs(problem, hops, strict);
        all.form_places(problem, hops);
        all
    }

    fn form_jobs(&mut self, problem: &Problem, hops: &[Hop], strict: bool) {
        let task = problem.task;
        let links = links_of_hosts(task);
        let mut known: BTreeMap<(u32, u64), u32> = BTreeMap::new();
        let mut last = vec![NONE; problem.items.len()];
        for (number, hop) in hops.iter().enumerate() {
            let lanes = lanes(&links, hop);
            let slowest = lanes.iter().map(|lane| self.lane_rate[*lane as usize]).min();
            let rate = slowest.unwrap_or(STREAM).min(STREAM);
            debug_assert_eq!(rate, crate::cost::rate(task, hop.from, hop.to));
            for lane in lanes {
                let class = *known.entry((lane, rate)).or_insert_with(|| {
                    let class = self.classes.len() as u32;
                    self.classes.push(Crossing { lane, class });
                    self.class_rate.push(rate);
                    self.lane_classes[lane as usize].push(class);
                    class
                });
                self.crossings.push(Crossing { lane, class });
            }
            let vms = &problem.items[hop.item as usize].vms;
            let first = self.moves.len();
            let ms = |vm: u32| duration_ms(&task.vms[vm as usize], rate).min(LONGEST);
            self.moves.extend(vms.iter().map(|vm| OneMove { hop: number as u32, vm: *vm, ms: ms(*vm) }));
            self.moves[first..].sort_by_key(|one| (std::cmp::Reverse(one.ms), one.vm));
            let at_once = self.slots[hop.from as usize].min(self.slots[task.hosts.len() + hop.to as usize]);
            let sum: u64 = self.moves[first..].iter().map(|one| one.ms).sum();
            let longest = self.moves[first..].first().map_or(0, |one| one.ms);
            let previous = if strict && number > 0 { number as u32 - 1 } else { last[hop.item as usize] };
            if previous != NONE {
                self.jobs[previous as usize].next = number as u32;
            }
            last[hop.item as usize] = number as u32;
            self.jobs.push(Job {
                from: hop.from,
                to: hop.to,
                rate: if self.crossings.len() as u32 > self.first_crossing[number] { rate } else { 0 },
                ms: longest.max(sum.div_ceil(u64::from(at_once))),
                previous,
                next: NONE,
                release: match task.hosts[hop.to as usize].power {
                    Power::SwitchOn { takes_ms } => takes_ms.min(LONGEST),
                    _ => 0,
                },
                tail: match task.hosts[hop.from as usize].power {
                    Power::SwitchOff { takes_ms } => takes_ms.min(LONGEST),
                    _ => 0,
                },
            });
            self.first_move.push(self.moves.len() as u32);
            self.first_crossing.push(self.crossings.len() as u32);
        }
    }

    /// Finds the places where A and all arrivals together would not fit, and who touches them.
    fn form_places(&mut self, problem: &Problem, hops: &[Hop]) {
        let kinds = problem.kinds;
        let mut free = problem.room.clone();
        // Domains of counters are numbered on, after the hosts.
        let mut counter_first = Vec::new();
        let mut counter_free = Vec::new();
        for counter in &problem.counters {
            counter_first.push(counter_free.len());
            counter_free.extend_from_slice(&counter.room);
        }
        let domain = |counter: u32, host: u32| match problem.counters[counter as usize].domain[host as usize] {
            NONE => None,
            domain => Some(counter_first[counter as usize] + domain as usize),
        };
        for (number, item) in problem.items.iter().enumerate() {
            let size = problem.size(number as u32);
            (0..kinds).for_each(|k| free[item.home as usize * kinds + k] -= size[k]);
            for (counter, weight) in &item.counted {
                if let Some(domain) = domain(*counter, item.home) {
                    counter_free[domain] -= weight;
                }
            }
        }
        let mut coming = vec![0i64; free.len()];
        let mut counter_coming = vec![0i64; counter_free.len()];
        for hop in hops {
            let size = problem.size(hop.item);
            (0..kinds).for_each(|k| coming[hop.to as usize * kinds + k] += size[k]);
            for (counter, weight) in &problem.items[hop.item as usize].counted {
                let (from, to) = (domain(*counter, hop.from), domain(*counter, hop.to));
                if let Some(to) = to.filter(|to| Some(*to) != from) {
                    counter_coming[to] += weight;
                }
            }
        }
        let mut host_place = vec![NONE; problem.hosts];
        let mut host_kinds: Vec<Vec<usize>> = vec![Vec::new(); problem.hosts];
        for host in 0..problem.hosts {
            let scarce: Vec<usize> = (0..kinds).filter(|k| coming[host * kinds + k] > free[host * kinds + k]).collect();
            if !scarce.is_empty() {
                host_place[host] = self.places.len() as u32;
                let slack = scarce.iter().map(|k| free[host * kinds + k]).collect();
                self.places.push(Place { slack, events: 0 });
                host_kinds[host] = scarce;
            }
        }
        let mut domain_place = vec![NONE; counter_free.len()];
        for d in 0..counter_free.len() {
            if counter_coming[d] > counter_free[d] {
                domain_place[d] = self.places.len() as u32;
                self.places.push(Place { slack: vec![counter_free[d]], events: 0 });
            }
        }
        for hop in hops {
            let size = problem.size(hop.item);
            for (host, enters) in [(hop.from as usize, false), (hop.to as usize, true)] {
                self.touch(host_place[host], enters, host_kinds[host].iter().map(|k| size[*k]));
            }
            for (counter, weight) in &problem.items[hop.item as usize].counted {
                let (from, to) = (domain(*counter, hop.from), domain(*counter, hop.to));
                for (here, enters) in [(from, false), (to, true)] {
                    if let Some(here) = here.filter(|_| from != to) {
                        self.touch(domain_place[here], enters, std::iter::once(*weight));
                    }
                }
            }
            self.first_touch.push(self.touches.len() as u32);
        }
    }

    fn touch(&mut self, place: u32, enters: bool, amounts: impl Iterator<Item = i64>) {
        if place != NONE {
            self.touches.push(Touch { place, enters, amount: self.amounts.len() as u32 });
            self.amounts.extend(amounts);
            self.places[place as usize].events += 1;
        }
    }

    /// The same hops backwards in time, from the last state to the first: what was left is entered, and a host that is switched off
    /// in the end must be switched on first. Slots and lanes are occupied as before.
    pub fn backward(&self) -> Jobs {
        let mut back = self.clone();
        for touch in &mut back.touches {
            let sign = if touch.enters { -1 } else { 1 };
            for (d, slack) in back.places[touch.place as usize].slack.iter_mut().enumerate() {
                *slack += sign * self.amounts[touch.amount as usize + d];
            }
            touch.enters = !touch.enters;
        }
        for job in &mut back.jobs {
            std::mem::swap(&mut job.previous, &mut job.next);
            std::mem::swap(&mut job.release, &mut job.tail);
        }
        back
    }

    /// How many hops there are.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// The numbers of the hop's moves.
    pub fn moves_of(&self, hop: u32) -> std::ops::Range<usize> {
        self.first_move[hop as usize] as usize..self.first_move[hop as usize + 1] as usize
    }

    /// The lanes that the hop crosses.
    pub fn crossings(&self, hop: u32) -> &[Crossing] {
        let hop = hop as usize;
        &self.crossings[self.first_crossing[hop] as usize..self.first_crossing[hop + 1] as usize]
    }

    /// Where the hop takes and gives room.
    pub fn touches(&self, hop: u32) -> &[Touch] {
        let hop = hop as usize;
        &self.touches[self.first_touch[hop] as usize..self.first_touch[hop + 1] as usize]
    }

    /// How much, of each scarce kind of the place.
    pub fn amount(&self, touch: &Touch) -> &[i64] {
        let first = touch.amount as usize;
        &self.amounts[first..first + self.places[touch.place as usize].slack.len()]
    }

    /// The number of the hop's out-slots among all slots, and of its in-slots.
    pub fn slots_of(&self, hop: u32) -> [usize; 2] {
        let job = &self.jobs[hop as usize];
        [job.from as usize, self.slots.len() / 2 + job.to as usize]
    }
}

/// For each host the links that it is inside of, ascending.
fn links_of_hosts(task: &Task) -> Vec<Vec<u32>> {
    let mut links: Vec<Vec<u32>> = vec![Vec::new(); task.hosts.len()];
    for (number, link) in task.links.iter().enumerate() {
        for host in &link.inside {
            if links[*host as usize].last() != Some(&(number as u32)) {
                links[*host as usize].push(number as u32);
            }
        }
    }
    links
}

/// The lanes that a hop crosses, ascending: of the links around its source alone the way out, around its target alone the way in.
fn lanes(links: &[Vec<u32>], hop: &Hop) -> Vec<u32> {
    let (from, to) = (&links[hop.from as usize], &links[hop.to as usize]);
    let out = from.iter().filter(|link| to.binary_search(link).is_err()).map(|link| link * 2);
    let into = to.iter().filter(|link| from.binary_search(link).is_err()).map(|link| link * 2 + 1);
    let mut lanes: Vec<u32> = out.chain(into).collect();
    lanes.sort_unstable();
    lanes
}
