//! Many hosts are emptied at once, because it costs something that they carry VMs, and their VMs fit on fewer.
//!
//! Properties: the result is sound and costs less, or nothing is done.
//!
//! Abstraction: an [`pack::Packing`](Packing): VMs that only sizes, moves and sets tell apart are items of one class. VMs that stay, or
//! that have relations or dependencies, remain where they are, and so do their hosts. It knows nothing of shared pages, and does nothing
//! where they are a good part of what VMs take.
//!
//! Method: no fewer hosts can be awake than hold the sums of all sizes. All above this number are closed, those first whose VMs cost
//! least to move for what is saved, of equals those with fewest, and the packing looks for room. Where too little remains, as many
//! are opened again as hold the excess. Where it could be fewer hosts still, and there are few VMs, all is packed anew ([`super::anew`]).
//! What comes of it is made if its whole cost is lower, the cheaper one of both.
//!
//! Complexity: [`STEPS`] for each VM, and [`ANEW`].

use std::collections::BTreeMap;
use std::rc::Rc;

use ulm_model::HostIx;
use ulm_rules::HostSet;

use super::anew::Anew;
use super::pack::{Class, HOST, Kind, Packing, UNLIMITED, scale};
use super::{Search, cluster};
use crate::cost::Sum;
use crate::problem::Problem;

/// Steps of annealing for each VM.
const STEPS: u64 = 400;
/// Fewer than these lead nowhere.
const LEAST_STEPS: u64 = 100;
/// The price of excess rises to so many times what it is at first.
const PRICES: i64 = 64;
/// After so many attempts hosts are opened again.
const AGAIN: u32 = 6;
/// So many VMs are packed anew at most: where there are more, hosts hold many, which is easy as they are.
const VMS: usize = 2_500;
/// Work on that: at first, and where anything came of it.
const ANEW: u64 = 100_000;
const ANEW_AGAIN: u64 = 500_000;
/// A matrix of counts has at most so many.
const COUNTS: usize = 1 << 22;

/// Empties hosts. Whether any was emptied.
pub(super) fn run(search: &mut Search<'_>) -> bool {
    let problem = search.problem();
    let vms = problem.vms.len() as u64;
    let left = (search.effort.evaluations.saturating_sub(search.evaluations)) / 2;
    let transient = problem.transient.contains(&true) || problem.is_loose();
    if transient || cluster::is_shared(problem) || problem.awake.iter().all(|it| *it <= 0) || left < vms * LEAST_STEPS {
        return false;
    }
    let steps = left.min(vms * STEPS);
    let Some(mut question) = Question::new(search) else { return false };
    let (work, closed) = question.solve(steps);
    search.evaluations += work;
    let mut best = None;
    if question.packing.over() == 0 {
        best = consider(search, question.target(search, &question.packing.on), best);
    }
    if closed < question.most && question.members.iter().map(Vec::len).sum::<usize>() <= VMS {
        let hands = question.anew(search);
        if let Some(hands) = hands {
            best = consider(search, question.target(search, &hands), best);
        }
    }
    let Some((_, target)) = best else { return false };
    make(search, &target);
    // Host by host: there are too many moves to look at each by itself. What goes from hosts that are not emptied only makes room.
    let mut from: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (vm, _) in target {
        from.entry(problem.vms[vm as usize].at).or_default().push(vm);
    }
    from.retain(|host, _| search.state.on(*host).is_empty());
    search.together.extend(from.into_values());
    true
}

/// Which VM goes where.
type Target = Vec<(u32, u32)>;

/// The cheaper one of a target and the best so far, with what the placement costs then; what costs no less than now is none.
fn consider(search: &mut Search<'_>, target: Target, best: Option<(Sum, Target)>) -> Option<(Sum, Target)> {
    let (mark, before) = (search.state.mark(), search.state.total());
    make(search, &target);
    let sound = target.iter().all(|(vm, _)| search.state.is_sound_at(*vm)) && search.may_move(0);
    let total = search.state.total();
    search.undo(mark);
    let least = best.as_ref().map_or(before, |best| best.0);
    if sound && total < least { Some((total, target)) } else { best }
}

fn make(search: &mut Search<'_>, target: &Target) {
    target.iter().for_each(|(vm, to)| search.shift(*vm, *to));
}

struct Question {
    packing: Packing,
    /// The hosts that take part.
    hosts: Vec<u32>,
    /// The VMs of each class, ascending.
    members: Vec<Vec<u32>>,
    /// For each of the hosts the classes of the VMs that are at home there, ascending.
    homes: Vec<Vec<u32>>,
    /// What it saves that one of the hosts is emptied, in the packing's points; 0: it cannot be, or that brings nothing.
    prices: Vec<i64>,
    /// Hosts that could be emptied, the most rewarding first: places in `hosts`.
    candidates: Vec<u32>,
    /// What of it can be emptied at most.
    most: usize,
    /// What the first move that matters costs, in the packing's points.
    typical: i64,
}

/// Hosts and VMs that take part, and how their amounts become the packing's.
struct Field<'s, 'p> {
    search: &'s Search<'p>,
    /// The hosts, in an order that does not hang on their numbers, but between equals.
    hosts: Vec<u32>,
    /// For each host of the problem its place in `hosts`; `u32::MAX`: it takes no part.
    place: Vec<u32>,
    /// The VMs, those together that only their numbers tell apart.
    alike: Vec<Vec<u32>>,
    /// The resources that are limited anywhere, and by how much each is scaled down.
    resources: Vec<(usize, Sum)>,
    /// What moving all VMs of a host costs on average.
    average: Sum,
}

impl<'s, 'p> Field<'s, 'p> {
    fn new(search: &'s Search<'p>) -> Self {
        let (state, problem) = (&search.state, search.problem());
        let takes_part =
            |host: &u32| problem.hosts[*host as usize].takes && state.is_awake(*host) && !state.is_overfull(*host);
        let hosts: Vec<u32> = (0..problem.hosts.len() as u32).filter(takes_part).collect();
        let mut place = vec![u32::MAX; problem.hosts.len()];
        hosts.iter().for_each(|host| place[*host as usize] = 0);
        let mut dependent = vec![false; problem.vms.len()];
        for vm in problem.dependencies.iter().flat_map(|it| it.vms.iter().chain(&it.of)) {
            dependent[*vm as usize] = true;
        }
        let moves = |vm: &u32| {
            !problem.vms[*vm as usize].stays
                && !dependent[*vm as usize]
                && state.relations(*vm).is_empty()
                && place[state.at(*vm) as usize] != u32::MAX
        };
        let mut alike: BTreeMap<(&[i64], Sum, u32), Vec<u32>> = BTreeMap::new();
        for vm in (0..problem.vms.len() as u32).filter(moves) {
            let it = &problem.vms[vm as usize];
            alike.entry((&it.size, cost(problem, vm), it.allowed)).or_default().push(vm);
        }
        let mut field =
            Field { search, hosts, place, alike: alike.into_values().collect(), resources: Vec::new(), average: 0 };
        field.put_in_order();
        field.resources = field.limited();
        let costs: Sum = field.alike.iter().flatten().map(|vm| cost(problem, *vm).abs()).sum();
        field.average = (costs / field.hosts.len().max(1) as Sum).max(1);
        field
    }

    fn put_in_order(&mut self) {
        let (state, problem) = (&self.search.state, self.search.problem());
        let mut has: Vec<Vec<usize>> = vec![Vec::new(); problem.hosts.len()];
        for (class, vms) in self.alike.iter().enumerate() {
            vms.iter().for_each(|vm| has[state.at(*vm) as usize].push(class));
        }
        self.hosts.sort_by_cached_key(|host| {
            let sets: Vec<bool> = problem.sets.iter().map(|set| set.contains(HostIx(*host))).collect();
            let capacity = problem.hosts[*host as usize].capacity.clone();
            (state.awake_points(*host), capacity, state.load(*host).to_vec(), sets, has[*host as usize].clone())
        });
        for (i, host) in self.hosts.iter().enumerate() {
            self.place[*host as usize] = i as u32;
        }
    }

    fn limited(&self) -> Vec<(usize, Sum)> {
        let problem = self.search.problem();
        let has_limit = |r: &usize| problem.hosts.iter().any(|host| host.capacity[*r] != i64::MAX);
        let scaled = |r: usize| {
            let limits = self.hosts.iter().map(|host| problem.hosts[*host as usize].capacity[r]);
            (r, scale(Sum::from(limits.filter(|it| *it != i64::MAX).max().unwrap_or(0))))
        };
        (0..problem.resources).filter(has_limit).map(scaled).collect()
    }

    /// Costs in the packing's points.
    fn points(&self, cost: Sum) -> i64 {
        (cost * Sum::from(HOST) / self.average).clamp(-(1 << 40), 1 << 40) as i64
    }

    /// Where a VM is, and where it was at the start: places in `hosts`.
    fn places_of(&self, vm: u32) -> (u32, u32) {
        let home = self.search.problem().vms[vm as usize].at;
        (self.place[self.search.state.at(vm) as usize], self.place[home as usize])
    }

    /// The classes with their VMs, and how many classes are counted.
    fn classes(&self) -> (Vec<Class>, Vec<Vec<u32>>, usize) {
        let problem = self.search.problem();
        let several = self.alike.iter().filter(|it| it.len() > 1).count();
        let counted = several * self.hosts.len() <= COUNTS;
        let takers = |set: &HostSet| {
            let takes: Vec<bool> = self.hosts.iter().map(|host| set.contains(HostIx(*host))).collect();
            takes.contains(&false).then(|| Rc::new(takes))
        };
        let sets: Vec<Option<Rc<Vec<bool>>>> = problem.sets.iter().map(takers).collect();
        let (mut classes, mut members, mut columns) = (Vec::new(), Vec::new(), 0);
        for vms in &self.alike {
            let first = &problem.vms[vms[0] as usize];
            let scaled = |(r, scale): &(usize, Sum)| ((Sum::from(first.size[*r]) + scale - 1) / scale) as i64;
            let class = |kind: Kind| Class {
                size: self.resources.iter().map(scaled).collect(),
                cost: self.points(cost(problem, vms[0])),
                kind,
                hosts: sets[first.allowed as usize].clone(),
            };
            if vms.len() > 1 && counted {
                classes.push(class(Kind::Many(columns)));
                members.push(vms.clone());
                columns += 1;
            } else {
                classes.extend(vms.iter().map(|vm| class(Kind::One(self.places_of(*vm).1))));
                members.extend(vms.iter().map(|vm| vec![*vm]));
            }
        }
        (classes, members, columns as usize)
    }

    /// What is left for those who move: host by host, each resource.
    fn capacity(&self) -> Vec<i64> {
        let (state, problem) = (&self.search.state, self.search.problem());
        let mut gone = vec![0; self.hosts.len() * self.resources.len()];
        for vm in self.alike.iter().flatten() {
            let first = self.places_of(*vm).0 as usize * self.resources.len();
            for (k, (r, _)) in self.resources.iter().enumerate() {
                gone[first + k] += Sum::from(problem.vms[*vm as usize].size[*r]);
            }
        }
        let mut capacity = Vec::with_capacity(gone.len());
        for host in &self.hosts {
            for (r, scale) in &self.resources {
                let most = problem.hosts[*host as usize].capacity[*r];
                let held = state.load(*host)[*r] - gone[capacity.len()];
                // Without a limit everything fits, whatever it is.
                let free = if most == i64::MAX { UNLIMITED } else { ((Sum::from(most) - held) / scale) as i64 };
                capacity.push(free);
            }
        }
        capacity
    }

    /// What can be emptied at a gain, those first whose VMs cost least to move for what is saved.
    fn candidates(&self) -> Vec<u32> {
        let (state, problem) = (&self.search.state, self.search.problem());
        let mut count = vec![0usize; self.hosts.len()];
        self.alike.iter().flatten().for_each(|vm| count[self.places_of(*vm).0 as usize] += 1);
        let mut candidates: Vec<(Sum, usize, u32)> = Vec::new();
        for (i, host) in self.hosts.iter().enumerate() {
            let saved = state.awake_points(*host);
            if saved > 0 && count[i] == state.on(*host).len() {
                let of = |vm: &u32| if state.is_home(*vm) { cost(problem, *vm) } else { 0 };
                let moved: Sum = state.on(*host).iter().map(of).sum();
                if moved < saved {
                    candidates.push((moved * (1 << 20) / saved, count[i], i as u32));
                }
            }
        }
        candidates.sort_unstable();
        candidates.into_iter().map(|it| it.2).collect()
    }
}

/// What it costs that the VM is not at home.
fn cost(problem: &Problem, vm: u32) -> Sum {
    let it = &problem.vms[vm as usize];
    Sum::from(it.move_cost) - Sum::from(it.stay_cost)
}

/// How many of the candidates can be emptied so that the sums of all sizes have room on the other hosts.
fn most(packing: &Packing, candidates: &[u32]) -> usize {
    let resources = packing.resources;
    let mut spare = vec![0; resources];
    for (i, (capacity, load)) in packing.capacity.iter().zip(&packing.load).enumerate() {
        spare[i % resources] += Sum::from(capacity - load);
    }
    let leaves_room = |host: &&u32| {
        let capacity = &packing.capacity[**host as usize * resources..][..resources];
        spare.iter_mut().zip(capacity).for_each(|(spare, capacity)| *spare -= Sum::from(*capacity));
        spare.iter().all(|it| *it >= 0)
    };
    candidates.iter().take_while(leaves_room).count()
}

impl Question {
    fn new(search: &Search<'_>) -> Option<Self> {
        let field = Field::new(search);
        let (classes, members, columns) = field.classes();
        let mut on = vec![Vec::new(); field.hosts.len()];
        for (class, vms) in members.iter().enumerate() {
            vms.iter().for_each(|vm| on[field.places_of(*vm).0 as usize].push(class as u32));
        }
        let mut packing = Packing::new(field.resources.len(), classes, field.capacity(), on, columns);
        let mut homes = vec![Vec::new(); field.hosts.len()];
        for (class, vms) in members.iter().enumerate() {
            let at_home = vms.iter().map(|vm| field.places_of(*vm).1).filter(|home| *home != u32::MAX);
            at_home.for_each(|home| homes[home as usize].push(class as u32));
            let Kind::Many(column) = packing.classes[class].kind else { continue };
            for vm in vms {
                let (at, home) = field.places_of(*vm);
                packing.more[at as usize * columns + column as usize] += 1;
                if home != u32::MAX {
                    packing.more[home as usize * columns + column as usize] -= 1;
                }
            }
        }
        let mut typical: Vec<i64> =
            field.alike.iter().flatten().map(|vm| field.points(cost(search.problem(), *vm))).collect();
        typical.sort_unstable();
        let typical = *typical.get(typical.len() / 2)?;
        let candidates = field.candidates();
        let most = most(&packing, &candidates);
        let mut prices = vec![0; field.hosts.len()];
        for i in &candidates {
            prices[*i as usize] = field.points(search.state.awake_points(field.hosts[*i as usize]));
        }
        (most > 0).then_some(Question {
            packing,
            hosts: field.hosts,
            members,
            homes,
            prices,
            candidates,
            most,
            typical,
        })
    }

    /// Closes and packs. Returns the work, and how many hosts are closed.
    fn solve(&mut self, steps: u64) -> (u64, usize) {
        let mut work = 0;
        let mut closed: Vec<u32> = self.candidates[..self.most].to_vec();
        for host in &closed {
            work += self.packing.close(*host);
        }
        let (hot, cold) = (self.typical / 10, self.typical / 1_000);
        self.packing.anneal(steps / 2, hot, cold, PRICES);
        work += steps / 2;
        for again in 1.. {
            if self.packing.over() == 0 || closed.is_empty() || work >= steps * 2 {
                break;
            }
            if again % AGAIN == 0 {
                let many = (self.packing.excess_in_all() as usize).div_ceil(65_536).clamp(1, closed.len());
                for host in closed.split_off(closed.len() - many) {
                    self.packing.reopen(host);
                }
            }
            self.packing.anneal(steps / 4, hot, cold, PRICES / 2);
            work += steps / 4;
        }
        (work, closed.len())
    }

    /// All packed anew, on fewer hosts than the packing has if it holds everything; classes, by host.
    fn anew(&self, search: &mut Search<'_>) -> Option<Vec<Vec<u32>>> {
        let left = search.effort.evaluations.saturating_sub(search.evaluations);
        let fits = self.packing.over() == 0;
        let used = (0..self.hosts.len()).filter(|i| !fits || !self.packing.on[*i].is_empty()).map(|i| self.prices[i]);
        let mut anew = Anew::new(&self.packing, &self.prices, &self.homes, used.sum());
        anew.run(ANEW.min(left));
        if anew.found() {
            anew.run(ANEW_AGAIN.min(left));
        }
        search.evaluations += anew.work;
        anew.hands()
    }

    /// Which VM goes where: of a class those stay at home that can.
    fn target(&self, search: &Search<'_>, hands: &[Vec<u32>]) -> Target {
        let mut wanted: Vec<Vec<u32>> = vec![Vec::new(); self.members.len()];
        for (i, on) in hands.iter().enumerate() {
            for class in on {
                wanted[*class as usize].push(self.hosts[i]);
            }
        }
        let mut target = Vec::new();
        for (vms, hosts) in self.members.iter().zip(wanted) {
            let mut left: BTreeMap<u32, usize> = BTreeMap::new();
            for host in hosts {
                *left.entry(host).or_default() += 1;
            }
            let mut away = Vec::new();
            for vm in vms {
                match left.get_mut(&search.problem().vms[*vm as usize].at) {
                    Some(count) if *count > 0 => {
                        *count -= 1;
                        target.push((*vm, search.problem().vms[*vm as usize].at));
                    }
                    _ => away.push(*vm),
                }
            }
            let places = left.into_iter().flat_map(|(host, count)| std::iter::repeat_n(host, count));
            target.extend(away.into_iter().zip(places));
        }
        target.retain(|(vm, to)| search.state.at(*vm) != *to);
        target
    }
}
