//! The dependencies of a placement, kept up to date: for each one and each of its domains how many VMs need others, and how many others
//! there are.
//!
//! They are kept in this sense: the domains where VMs lack what they need never get more than at the start.
//!
//! Complexity: a weighed change costs two look-ups for each dependency of the VM. Memory: dependencies × domains.

use std::collections::BTreeMap;

use crate::cost::Sum;
use crate::problem::{Dependency, Problem};

/// Dependencies and counts.
#[derive(Clone, Debug)]
pub(super) struct Dependencies {
    /// The domains of hosts, one list for all dependencies that share it.
    domains: Vec<u32>,
    /// For each VM where its dependencies begin in `of`; one more at the end. Empty if there are none at all.
    begin: Vec<u32>,
    /// The dependencies of all VMs, those of each ascending.
    of: Vec<Part>,
    /// For each dependency those of its domains.
    counts: Vec<Count>,
    /// For each dependency in how many domains something is lacking, now and at the start.
    lacking: Vec<[u32; 2]>,
}

/// A VM's part in a dependency.
#[derive(Clone, Copy, Debug)]
struct Part {
    dependency: u32,
    /// Where the dependency's domains begin.
    domains: u32,
    /// Where its counts begin.
    counts: u32,
    /// Whether it needs others; else it is one of the others.
    needs: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    need: u32,
    others: u32,
}

impl Count {
    fn lacks(self) -> bool {
        self.need > 0 && self.others == 0
    }
    fn with(mut self, part: Part, more: i32) -> Self {
        let count = if part.needs { &mut self.need } else { &mut self.others };
        *count = count.wrapping_add_signed(more);
        self
    }
}

impl Dependencies {
    pub fn new(problem: &Problem) -> Self {
        let mut it = Dependencies { domains: vec![], begin: vec![], of: vec![], counts: vec![], lacking: vec![] };
        if problem.dependencies.is_empty() {
            return it;
        }
        let (mut parts, mut known, mut counts) = (Vec::new(), BTreeMap::new(), 0);
        for (i, dependency) in problem.dependencies.iter().enumerate() {
            let domains = *known.entry(&dependency.domains).or_insert_with(|| {
                it.domains.extend_from_slice(&dependency.domains);
                (it.domains.len() - dependency.domains.len()) as u32
            });
            for (list, needs) in [(&dependency.vms, true), (&dependency.of, false)] {
                parts.extend(list.iter().map(|vm| (*vm, Part { dependency: i as u32, domains, counts, needs })));
            }
            counts += dependency.domains.iter().max().map_or(0, |last| last + 1);
        }
        parts.sort_by_key(|(vm, part)| (*vm, part.dependency));
        let before = |vm: usize| parts.partition_point(|(of, _)| (*of as usize) < vm) as u32;
        it.begin = (0..=problem.vms.len()).map(before).collect();
        it.of = parts.iter().map(|(_, part)| *part).collect();
        it.counts = vec![Count::default(); counts as usize];
        it.lacking = vec![[0; 2]; problem.dependencies.len()];
        for (vm, part) in parts {
            it.count(part, it.place(part, problem.vms[vm as usize].at), 1);
        }
        it.lacking.iter_mut().for_each(|[now, before]| *before = *now);
        it
    }

    /// What a VM's move costs more. `Err`: it breaks a dependency.
    pub fn shift(&self, vm: usize, from: u32, to: u32) -> Result<Sum, ()> {
        self.of(vm).iter().try_fold(0, |sum, part| Ok(sum + self.price(*part, self.change(*part, None, from, to))?))
    }

    /// What a VM's move costs more, whether it breaks a dependency or not.
    pub fn price_of_shift(&self, vm: usize, from: u32, to: u32) -> Sum {
        self.of(vm).iter().map(|part| Sum::from(self.change(*part, None, from, to)) * Dependency::BROKEN).sum()
    }

    /// What the exchange of two VMs costs more. `Err`: it breaks a dependency.
    pub fn swap(&self, one: usize, from: u32, other: usize, to: u32) -> Result<Sum, ()> {
        let mut sum = 0;
        let (mine, theirs) = (self.of(one), self.of(other));
        let same = |list: &[Part], part: &Part| list.iter().find(|it| it.dependency == part.dependency).copied();
        for part in mine {
            sum += self.price(*part, self.change(*part, same(theirs, part), from, to))?;
        }
        for part in theirs.iter().filter(|part| same(mine, part).is_none()) {
            sum += self.price(*part, self.change(*part, None, to, from))?;
        }
        Ok(sum)
    }

    /// The most that it can bring that a VM leaves its host.
    pub fn leave_bound(&self, vm: usize) -> Sum {
        let lacking = |part: &&Part| self.lacking[part.dependency as usize][0] > 0;
        self.of(vm).iter().filter(lacking).count() as Sum * 2 * Dependency::BROKEN
    }

    /// Counts a VM's move.
    pub fn moved(&mut self, vm: usize, from: u32, to: u32) {
        for k in self.range(vm) {
            let part = self.of[k];
            let (left, reached) = (self.place(part, from), self.place(part, to));
            if left != reached {
                self.count(part, left, -1);
                self.count(part, reached, 1);
            }
        }
    }

    /// Whether the dependencies of a VM are kept.
    pub fn kept(&self, vm: usize) -> bool {
        self.of(vm).iter().all(|part| {
            let [now, before] = self.lacking[part.dependency as usize];
            now <= before
        })
    }

    fn range(&self, vm: usize) -> std::ops::Range<usize> {
        match self.begin.get(vm) {
            Some(begin) => *begin as usize..self.begin[vm + 1] as usize,
            None => 0..0,
        }
    }

    fn of(&self, vm: usize) -> &[Part] {
        &self.of[self.range(vm)]
    }

    fn place(&self, part: Part, host: u32) -> usize {
        (part.counts + self.domains[(part.domains + host) as usize]) as usize
    }

    fn count(&mut self, part: Part, place: usize, more: i32) {
        let (before, after) = (self.counts[place], self.counts[place].with(part, more));
        self.counts[place] = after;
        let lacking = &mut self.lacking[part.dependency as usize][0];
        *lacking = *lacking + u32::from(after.lacks()) - u32::from(before.lacks());
    }

    /// In how many domains more something is lacking if a VM goes one way, and the other one, if any, the other way.
    fn change(&self, part: Part, other: Option<Part>, from: u32, to: u32) -> i32 {
        let (left, reached) = (self.place(part, from), self.place(part, to));
        if left == reached {
            return 0;
        }
        let change = |place: usize, more: i32| {
            let now = self.counts[place];
            let then = now.with(part, more);
            let then = other.map_or(then, |other| then.with(other, -more));
            i32::from(then.lacks()) - i32::from(now.lacks())
        };
        change(left, -1) + change(reached, 1)
    }

    fn price(&self, part: Part, change: i32) -> Result<Sum, ()> {
        let [now, before] = self.lacking[part.dependency as usize];
        let breaks = change > 0 && i64::from(now) + i64::from(change) > i64::from(before);
        if breaks { Err(()) } else { Ok(Sum::from(change) * Dependency::BROKEN) }
    }
}
