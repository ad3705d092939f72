//! A placement that can be changed, with its cost kept up to date.
//!
//! Properties:
//! (A) [`Placement::total`] is what [`crate::cost()`] gives, after any sequence of changes;
//! (B) [`Placement::shift_delta`] and [`Placement::swap_delta`] tell by how much the total would change, and change nothing;
//! (C) *sound* is a placement where each VM may be where it is, each host has room or nothing that came to it, and hard relations are
//!     kept in the sense of [`ties`]. The start is sound; a change that is weighed as possible leads from a sound placement
//!     to a sound one; VMs that go never make a placement unsound;
//! (D) [`Placement::undo`] brings back what was.
//!
//! Method: for each host its loads, what each curve costs there and how many of each wanted room fit; for each relation its counts; for
//! each class of shared pages who has them ([`shared`]).
//! Sums have 128 bits: sizes, loads and capacities may be as large as they like.
//! What is asked most is kept in flat lists of 64 bits, where that changes no answer: see [`flat`].
//!
//! Complexity: a weighed or made change costs resources + curves + rooms + relations and classes of the VM, whatever the number of
//! hosts and VMs.

mod away;
mod delta;
mod dependencies;
mod disruption;
mod flat;
mod shared;
mod ties;

use ulm_model::HostIx;

use crate::cost::{Sum, cost};
use crate::problem::{Points, Problem};
use away::Away;
use dependencies::Dependencies;
use disruption::Moved;
use flat::Flat;
use shared::{Arrives, Credit, Shared};
use ties::Ties;

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Placement<'p> {
    problem: &'p Problem,
    at: Vec<u32>,
    /// For each host its VMs, in no order.
    on: Vec<Vec<u32>>,
    /// For each VM its place in that list.
    seat: Vec<u32>,
    /// Host × resources + resource; with equal pages merged.
    load: Vec<Sum>,
    /// What is taken beyond the load: by VMs that were moved from the host and keep their part, and by pages that are not merged yet.
    /// Host × resources + resource. Empty if no resource is transient, nothing is shared and no VM takes anything loosely.
    kept: Vec<Sum>,
    /// Whether any VM takes anything loosely.
    loose: bool,
    /// VMs that have come to the host and take any of the resource, not loosely: host × resources + resource.
    come: Vec<u32>,
    /// Host × curves + curve.
    curved: Vec<Points>,
    /// Host × excesses + excess; empty where [`Flat`] keeps them.
    exceeded: Vec<Points>,
    /// Host × rooms + room.
    fits: Vec<u32>,
    /// For each room how many fit in all.
    have: Vec<u64>,
    flat: Flat,
    ties: Ties,
    dependencies: Dependencies,
    shared: Option<Shared<'p>>,
    moved: Moved,
    /// For each VM the least that the tables can cost for it.
    least_table: Vec<Sum>,
    /// For each VM the most that excesses of its target can fall because it comes; empty if they cannot.
    relief: Vec<Sum>,
    total: Sum,
    away: Away,
    /// What was done, each with what undoes it.
    journal: Vec<Undo>,
}

#[derive(Clone, Copy, Debug)]
struct Undo {
    vm: u32,
    from: u32,
    total: Sum,
}

impl<'p> Placement<'p> {
    /// Each VM where it is now.
    pub fn new(problem: &'p Problem) -> Self {
        Placement::of(problem, Arrives::Unmerged)
    }

    /// The same, where pages of VMs that are moved count as merged at once: what is sound then is sound at last, and perhaps not before.
    pub(crate) fn when_merged(problem: &'p Problem) -> Self {
        Placement::of(problem, Arrives::Merged)
    }

    fn of(problem: &'p Problem, arrives: Arrives) -> Self {
        let (hosts, vms) = (problem.hosts.len(), problem.vms.len());
        let at: Vec<u32> = problem.vms.iter().map(|vm| vm.at).collect();
        let flat = Flat::new(problem);
        let loose = problem.is_loose();
        let may_keep = problem.transient.contains(&true) || problem.sharing.is_some() || loose;
        let exceeded = if flat.excesses.is_some() { 0 } else { hosts * problem.excesses.len() };
        let mut state = Placement {
            problem,
            on: vec![Vec::new(); hosts],
            seat: vec![0; vms],
            load: problem.hosts.iter().flat_map(|host| host.base.iter().map(|it| Sum::from(*it))).collect(),
            kept: vec![0; if may_keep { hosts * problem.resources } else { 0 }],
            loose,
            come: vec![0; hosts * problem.resources],
            curved: vec![0; hosts * problem.curves.len()],
            exceeded: vec![0; exceeded],
            fits: vec![0; hosts * problem.rooms.len()],
            have: vec![0; problem.rooms.len()],
            flat,
            ties: Ties::new(problem),
            dependencies: Dependencies::new(problem),
            shared: Shared::new(problem, arrives),
            moved: Moved::new(problem),
            least_table: least_table(problem),
            relief: relief(problem),
            total: cost(problem, &at).exact(),
            away: Away::new(problem),
            journal: Vec::new(),
            at,
        };
        for vm in 0..vms {
            state.seat(vm, state.at[vm]);
        }
        for host in 0..hosts as u32 {
            state.refresh(host);
        }
        state
    }

    /// The question.
    pub fn problem(&self) -> &'p Problem {
        self.problem
    }
    /// Where the VM is.
    pub fn at(&self, vm: u32) -> u32 {
        self.at[vm as usize]
    }
    /// Where all VMs are.
    pub fn all(&self) -> &[u32] {
        &self.at
    }
    /// The VMs on the host, in no order.
    pub fn on(&self, host: u32) -> &[u32] {
        &self.on[host as usize]
    }
    /// Whether the VM is where it was at the start.
    pub fn is_home(&self, vm: u32) -> bool {
        self.at(vm) == self.flat.home[vm as usize]
    }
    /// Whether the VM was on the host at the start.
    pub fn is_home_of(&self, vm: u32, host: u32) -> bool {
        host == self.flat.home[vm as usize]
    }
    /// How many VMs are elsewhere than at the start; parts of one count once.
    pub fn away(&self) -> u32 {
        self.away.count
    }
    /// What all costs.
    pub fn total(&self) -> i128 {
        self.total
    }
    /// What is taken of each resource when equal pages are merged.
    pub fn load(&self, host: u32) -> &[i128] {
        &self.load[host as usize * self.problem.resources..][..self.problem.resources]
    }
    /// Whether the host carries anything, those that do not take part included.
    pub fn is_awake(&self, host: u32) -> bool {
        self.problem.hosts[host as usize].busy || !self.on(host).is_empty()
    }
    /// Surplus VMs or domains of a relation.
    pub fn surplus(&self, relation: usize) -> u64 {
        self.ties.surplus(relation)
    }
    /// The relations of a VM.
    pub fn relations(&self, vm: u32) -> &[u32] {
        self.ties.of(vm as usize)
    }
    /// How many VMs of the relation are in the domain.
    pub fn in_domain(&self, relation: usize, domain: u32) -> u32 {
        self.ties.count(relation, domain)
    }
    /// How many more of a wanted room are wanted than fit.
    pub fn missing(&self, room: usize) -> u64 {
        self.problem.rooms[room].missing(self.have[room])
    }
    /// How many of a wanted room fit on the host.
    pub fn fits(&self, host: u32, room: usize) -> u32 {
        self.fits[host as usize * self.problem.rooms.len() + room]
    }

    /// The classes of pages that the VM shares with others, ascending; numbered anew, without those that only one VM has.
    pub fn classes(&self, vm: u32) -> &[u32] {
        self.shared.as_ref().map_or(&[], |shared| shared.classes(Some(vm)))
    }
    /// How many VMs of the class are on the host.
    pub fn having(&self, class: u32, host: u32) -> u32 {
        self.shared.as_ref().map_or(0, |shared| shared.on(class, host))
    }
    /// What a copy of the pages of the class costs.
    pub fn class_points(&self, class: u32) -> i128 {
        self.shared.as_ref().map_or(0, |shared| shared.price(class))
    }
    /// The classes of some VMs, ascending, each with how many of them have it.
    pub fn group(&self, vms: &[u32]) -> Vec<(u32, u32)> {
        self.shared.as_ref().map_or(Vec::new(), |shared| shared.group(vms))
    }
    /// By how much less copies of shared pages cost on a host without a [group](Placement::group) of its VMs.
    pub fn points_without(&self, group: &[(u32, u32)], host: u32) -> i128 {
        self.shared.as_ref().map_or(0, |shared| shared.points_without(group, host))
    }
    /// By how much more they cost on a host with a group of VMs that are elsewhere.
    pub fn points_with(&self, group: &[(u32, u32)], host: u32) -> i128 {
        self.shared.as_ref().map_or(0, |shared| shared.points_with(group, host))
    }

    /// Whether the VM may be on the host as far as only the two of them are concerned.
    pub fn may_be_on(&self, vm: u32, host: u32) -> bool {
        self.flat.may_be_on(vm, host)
    }

    /// Whether the VM's host has room or nothing that came to it, and the VM's hard relations are kept. A sound placement in which some
    /// VMs were moved is sound if this holds for each of them.
    pub fn is_sound_at(&self, vm: u32) -> bool {
        self.cramped(self.at(vm)).is_none()
            && self.ties.kept(vm as usize, self.at(vm))
            && self.dependencies.kept(vm as usize)
    }

    /// A resource of which the host has too little for what came to it.
    pub fn cramped(&self, host: u32) -> Option<usize> {
        let place = host as usize * self.problem.resources;
        let capacity = &self.problem.hosts[host as usize].capacity;
        (0..self.problem.resources).find(|r| {
            self.come[place + r] > 0 && capacity[*r] != i64::MAX && self.taken(place + r) > Sum::from(capacity[*r])
        })
    }

    /// Whether the host has more of some resource on it than it has.
    pub fn is_overfull(&self, host: u32) -> bool {
        let place = host as usize * self.problem.resources;
        let capacity = self.problem.hosts[host as usize].capacity.iter().enumerate();
        capacity.filter(|(_, most)| **most != i64::MAX).any(|(r, most)| self.taken(place + r) > Sum::from(*most))
    }

    /// What is taken by what is there, unmerged if it has come, and by what has left, but keeps its part.
    fn taken(&self, place: usize) -> Sum {
        self.load[place] + self.kept.get(place).copied().unwrap_or(0)
    }

    /// Puts the VM on the host, sound or not.
    pub fn shift(&mut self, vm: u32, to: u32) {
        let from = self.at(vm);
        if from != to {
            self.journal.push(Undo { vm, from, total: self.total });
            self.total += self.price_of_shift(vm, to);
            self.carry(vm as usize, to);
        }
    }

    /// Puts the VM on the host, where it is known by how much the total changes. The record of what was done is forgotten.
    pub(crate) fn step(&mut self, vm: u32, to: u32, delta: i128) {
        self.journal.clear();
        self.total += delta;
        self.carry(vm as usize, to);
    }

    /// Lets the two VMs change places, where it is known by how much the total changes. The record of what was done is forgotten.
    pub(crate) fn exchange(&mut self, one: u32, other: u32, delta: i128) {
        let (from, to) = (self.at(one), self.at(other));
        self.step(one, to, delta);
        self.carry(other as usize, from);
    }

    /// The present place in the record of what was done.
    pub fn mark(&self) -> usize {
        self.journal.len()
    }

    /// Takes back everything after the mark.
    pub fn undo(&mut self, mark: usize) {
        while self.journal.len() > mark {
            let Some(Undo { vm, from, total }) = self.journal.pop() else { return };
            self.carry(vm as usize, from);
            self.total = total;
        }
    }

    /// The VMs that were put elsewhere after the mark; one that was put more than once is named as often.
    pub fn done_since(&self, mark: usize) -> impl Iterator<Item = u32> + '_ {
        self.journal[mark..].iter().map(|it| it.vm)
    }

    /// The hosts that changed after the mark; some more than once.
    pub fn touched_since(&self, mark: usize) -> Vec<u32> {
        self.journal[mark..].iter().flat_map(|it| [it.from, self.at(it.vm)]).collect()
    }

    /// Everything but the total.
    fn carry(&mut self, vm: usize, to: u32) {
        let from = self.at[vm];
        let (seat, last) = (self.seat[vm] as usize, self.on[from as usize].len() - 1);
        self.on[from as usize].swap_remove(seat);
        if seat != last {
            self.seat[self.on[from as usize][seat] as usize] = seat as u32;
        }
        let it = &self.problem.vms[vm];
        let place = from as usize * self.problem.resources;
        for (r, size) in it.size.iter().enumerate() {
            let loosely = self.loose && it.loosely.contains(&r);
            self.load[place + r] -= Sum::from(if loosely && from == it.at { 0 } else { *size });
            self.come[place + r] -= u32::from(from != it.at && *size > 0 && !loosely);
        }
        if let Some(excesses) = &mut self.flat.excesses {
            excesses.count(vm, from, -1);
        }
        if let Some(shared) = &mut self.shared {
            let credit = shared.leave(vm as u32, from);
            self.merge(from, credit);
        }
        self.away.moved(vm, from != it.at, to != it.at);
        self.leave_home(vm, from, to);
        self.ties.moved(vm, from, to);
        self.dependencies.moved(vm, from, to);
        self.seat(vm, to);
        self.refresh(from);
        self.refresh(to);
    }

    /// Counts what follows from that the VM is no longer where it was at the start, or is there again.
    fn leave_home(&mut self, vm: usize, from: u32, to: u32) {
        let it = &self.problem.vms[vm];
        let more = i32::from(from == it.at) - i32::from(to == it.at);
        if more == 0 {
            return;
        }
        if let Some(disruption) = &self.problem.disruption {
            self.moved.count(disruption.group[vm], more);
        }
        if !self.problem.transient.is_empty() {
            let place = it.at as usize * self.problem.resources;
            for (r, size) in it.size.iter().enumerate().filter(|(r, _)| self.problem.transient[*r]) {
                self.kept[place + r] += Sum::from(*size) * Sum::from(more);
            }
        }
    }

    fn seat(&mut self, vm: usize, host: u32) {
        let it = &self.problem.vms[vm];
        self.at[vm] = host;
        self.seat[vm] = self.on[host as usize].len() as u32;
        self.on[host as usize].push(vm as u32);
        let place = host as usize * self.problem.resources;
        for (r, size) in it.size.iter().enumerate() {
            let loosely = self.loose && it.loosely.contains(&r);
            self.load[place + r] += Sum::from(if loosely && host == it.at { 0 } else { *size });
            self.come[place + r] += u32::from(host != it.at && *size > 0 && !loosely);
        }
        if let Some(excesses) = &mut self.flat.excesses {
            excesses.count(vm, host, 1);
        }
        if let Some(shared) = &mut self.shared {
            let credit = shared.arrive(vm as u32, host);
            self.merge(host, credit);
        }
    }

    /// Counts what a host's credit is more.
    fn merge(&mut self, host: u32, credit: Credit) {
        for r in self.problem.sharing.iter().flat_map(|sharing| &sharing.resources) {
            let place = host as usize * self.problem.resources + r;
            self.load[place] -= credit.all;
            self.kept[place] += credit.all - credit.stay;
        }
    }

    /// Reckons anew what follows from the loads of a host.
    fn refresh(&mut self, host: u32) {
        let (problem, h) = (self.problem, host as usize);
        for (c, curve) in problem.curves.iter().enumerate() {
            let load = self.load[h * problem.resources + curve.resource];
            self.curved[h * problem.curves.len() + c] = curve.points(h, load);
        }
        for (r, capacity) in problem.hosts[h].capacity.iter().enumerate() {
            let place = h * problem.resources + r;
            let free = Sum::from(*capacity) - self.taken(place);
            let free = if *capacity == i64::MAX { Sum::MAX } else { free };
            self.flat.free[place] = free.clamp(Sum::from(i64::MIN), Sum::from(i64::MAX)) as i64;
        }
        for (e, excess) in problem.excesses.iter().enumerate().filter(|_| self.flat.excesses.is_none()) {
            self.exceeded[h * problem.excesses.len() + e] = excess.points(h, excess.load(self.load(host)));
        }
        for (k, room) in problem.rooms.iter().enumerate() {
            if problem.sets[room.allowed as usize].contains(HostIx(host)) {
                let fits = room.fits(&problem.hosts[h].capacity, |r| self.load(host)[r]);
                let before = std::mem::replace(&mut self.fits[h * problem.rooms.len() + k], fits);
                self.have[k] = self.have[k] + u64::from(fits) - u64::from(before);
            }
        }
    }
}

fn relief(problem: &Problem) -> Vec<Sum> {
    if problem.excesses.iter().all(|excess| excess.parts.iter().all(|(_, factor)| *factor >= 0)) {
        return Vec::new();
    }
    // Of shared pages it adds nothing where that is more.
    let least = |vm: usize, r: usize| match &problem.sharing {
        Some(sharing) if sharing.resources.contains(&r) => sharing.private(problem, vm, r),
        _ => Sum::from(problem.vms[vm].size[r]),
    };
    let more = |vm: usize, (r, factor): &(usize, i64)| {
        let size = if *factor > 0 { least(vm, *r) } else { Sum::from(problem.vms[vm].size[*r]) };
        size.saturating_mul(Sum::from(*factor))
    };
    let fall = |vm: usize, excess: &crate::problem::Excess| {
        let more: Sum = excess.parts.iter().map(|part| more(vm, part)).sum();
        (-more).max(0).saturating_mul(Sum::from(excess.each))
    };
    (0..problem.vms.len()).map(|vm| problem.excesses.iter().map(|excess| fall(vm, excess)).sum()).collect()
}

fn least_table(problem: &Problem) -> Vec<Sum> {
    let mut least = vec![0; problem.vms.len()];
    for table in &problem.tables {
        let rows: Vec<Sum> = table
            .points
            .chunks_exact(table.host_classes.max(1) as usize)
            .map(|row| row.iter().min().map_or(0, |it| Sum::from(*it)))
            .collect();
        for (sum, class) in least.iter_mut().zip(&table.vm_class) {
            *sum += rows.get(*class as usize).copied().unwrap_or(0);
        }
    }
    least
}
