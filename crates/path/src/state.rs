//! One placement with its running sums, and the question whether a hop is sane in it.

use crate::problem::{Hop, NONE, Problem};

/// Where every item is, all at rest. Hops are made and unmade in constant time.
#[derive(Clone)]
pub(crate) struct State<'p> {
    pub problem: &'p Problem<'p>,
    /// The host of each item.
    pub at: Vec<u32>,
    /// What each host can still give, by host and kind.
    pub free: Vec<i64>,
    /// What each domain of each counter can still give.
    counters: Vec<Vec<i64>>,
    /// The items on each host, in no particular but a determined order.
    residents: Vec<Vec<u32>>,
    /// Where each item stands in its host's list.
    place: Vec<u32>,
    /// Where each VM is; kept only for rules of the caller's own.
    vm_at: Vec<u32>,
}

impl<'p> State<'p> {
    /// A with every item at home.
    pub fn home(problem: &'p Problem<'p>) -> Self {
        let at = problem.items.iter().map(|item| item.home).collect();
        State::of(problem, at)
    }

    /// The placement in which each item is on its host of `at`.
    pub fn of(problem: &'p Problem<'p>, at: Vec<u32>) -> Self {
        let mut state = State {
            problem,
            free: problem.room.clone(),
            counters: problem.counters.iter().map(|counter| counter.room.clone()).collect(),
            residents: vec![Vec::new(); problem.hosts],
            place: vec![0; at.len()],
            vm_at: match problem.extra.is_empty() {
                true => Vec::new(),
                false => problem.task.vms.iter().map(|vm| vm.from).collect(),
            },
            at,
        };
        for item in 0..state.at.len() as u32 {
            state.take(item, state.at[item as usize]);
        }
        state
    }

    /// Items that are not at their goals, ascending.
    pub fn pending(&self) -> impl Iterator<Item = u32> + '_ {
        let items = self.problem.items.iter().zip(&self.at).enumerate();
        items.filter(|(_, (item, at))| item.goal != **at).map(|(i, _)| i as u32)
    }

    /// What each domain of each counter can still give.
    pub fn counters(&self) -> &[Vec<i64>] {
        &self.counters
    }

    /// Where each VM is; empty when no rule of the caller's own asks for it.
    pub fn vm_at(&self) -> &[u32] {
        &self.vm_at
    }

    /// The items on the host.
    pub fn residents(&self, host: u32) -> &[u32] {
        &self.residents[host as usize]
    }

    /// What the host can still give of each kind.
    pub fn free(&self, host: u32) -> &[i64] {
        let first = host as usize * self.problem.kinds;
        &self.free[first..first + self.problem.kinds]
    }

    /// Whether the host has room for the item beside all that is there.
    pub fn fits(&self, item: u32, host: u32) -> bool {
        self.problem.size(item).iter().zip(self.free(host)).all(|(size, free)| size <= free)
    }

    /// Whether the item may go there now: the gates let it, and with the item on both hosts every bound holds.
    pub fn admits(&self, item: u32, to: u32) -> bool {
        self.fits(item, to)
            && self.problem.may_go(item, self.at[item as usize], to)
            && self.counted_out(item, to).is_none()
            && self.extra_admit(item, to)
    }

    /// The first counter that has no room for the item on that host, if any.
    pub fn counted_out(&self, item: u32, to: u32) -> Option<u32> {
        let (from, counted) = (self.at[item as usize], &self.problem.items[item as usize].counted);
        counted.iter().find(|(c, weight)| self.out_of(*c, *weight, from, to)).map(|(c, _)| *c)
    }

    fn out_of(&self, counter: u32, weight: i64, from: u32, to: u32) -> bool {
        let domain = &self.problem.counters[counter as usize].domain;
        let d = domain[to as usize];
        d != NONE && d != domain[from as usize] && self.counters[counter as usize][d as usize] < weight
    }

    fn extra_admit(&self, item: u32, to: u32) -> bool {
        let vms = &self.problem.items[item as usize].vms;
        self.problem.extra.iter().all(|rule| vms.iter().all(|vm| rule.admits(&self.vm_at, *vm, to)))
    }

    /// Brings the item there.
    pub fn go(&mut self, item: u32, to: u32) -> Hop {
        let from = self.at[item as usize];
        self.leave(item, from);
        self.at[item as usize] = to;
        self.take(item, to);
        Hop { item, from, to }
    }

    /// Unmakes a hop that was made last.
    pub fn undo(&mut self, hop: Hop) {
        self.go(hop.item, hop.from);
    }

    fn take(&mut self, item: u32, host: u32) {
        let residents = &mut self.residents[host as usize];
        self.place[item as usize] = residents.len() as u32;
        residents.push(item);
        self.count(item, host, -1);
        if !self.vm_at.is_empty() {
            self.problem.items[item as usize].vms.iter().for_each(|vm| self.vm_at[*vm as usize] = host);
        }
    }

    fn leave(&mut self, item: u32, host: u32) {
        let residents = &mut self.residents[host as usize];
        let place = self.place[item as usize] as usize;
        residents.swap_remove(place);
        if let Some(moved) = residents.get(place) {
            self.place[*moved as usize] = place as u32;
        }
        self.count(item, host, 1);
    }

    fn count(&mut self, item: u32, host: u32, sign: i64) {
        let first = host as usize * self.problem.kinds;
        for (free, size) in self.free[first..].iter_mut().zip(self.problem.size(item)) {
            *free += sign * size;
        }
        for (c, weight) in &self.problem.items[item as usize].counted {
            let d = self.problem.counters[*c as usize].domain[host as usize];
            if d != NONE {
                self.counters[*c as usize][d as usize] += sign * weight;
            }
        }
    }
}
