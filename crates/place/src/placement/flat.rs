//! What is looked at most, in flat lists of 64 bits: sizes, what is free, which VM may be where, and excesses.
//!
//! What is free is cut to 64 bits; that changes no answer, because no size leaves them. Excesses are kept here only where no sum of
//! theirs can leave 64 bits or reach [`Excess::MOST`].

use ulm_model::HostIx;

use crate::cost::Sum;
use crate::problem::{Excess, Problem};

/// See the module's text.
#[derive(Clone, Debug)]
pub(super) struct Flat {
    /// For each VM where it is at the start.
    pub home: Vec<u32>,
    /// VM × resources + resource.
    pub size: Vec<i64>,
    /// Host × resources + resource: what more may be taken; below 0 where too much is taken.
    pub free: Vec<i64>,
    /// For each VM where its hosts begin in `hosts`.
    set: Vec<u32>,
    /// Bits of hosts that are allowed and take VMs, for each set; at last for VMs that stay.
    hosts: Vec<u64>,
    /// `None`: the numbers are too large, or what a VM adds hangs on who shares its pages.
    pub excesses: Option<FlatExcesses>,
}

impl Flat {
    pub fn new(problem: &Problem) -> Self {
        let words = problem.hosts.len().div_ceil(64);
        let mut hosts = vec![0u64; (problem.sets.len() + 1) * words];
        for (k, set) in problem.sets.iter().enumerate() {
            let takes = problem.hosts.iter().enumerate().filter(|(_, host)| host.takes).map(|(h, _)| h);
            for h in takes.filter(|h| set.contains(HostIx(*h as u32))) {
                hosts[k * words + h / 64] |= 1 << (h % 64);
            }
        }
        let none = problem.sets.len();
        let set = |vm: &crate::problem::PlaceVm| if vm.stays { none } else { vm.allowed as usize };
        Flat {
            home: problem.vms.iter().map(|vm| vm.at).collect(),
            size: problem.vms.iter().flat_map(|vm| vm.size.iter().copied()).collect(),
            free: vec![0; problem.hosts.len() * problem.resources],
            set: problem.vms.iter().map(|vm| (set(vm) * words) as u32).collect(),
            hosts,
            excesses: FlatExcesses::new(problem),
        }
    }

    /// Whether the VM may be on the host as far as only the two of them are concerned.
    pub fn may_be_on(&self, vm: u32, host: u32) -> bool {
        let word = self.hosts[self.set[vm as usize] as usize + host as usize / 64];
        word >> (host % 64) & 1 == 1 || host == self.home[vm as usize]
    }
}

/// Excesses, each with its factors and points multiplied in.
#[derive(Clone, Debug)]
pub(super) struct FlatExcesses {
    /// How many there are: those that cost something.
    count: usize,
    /// VM × count + excess: what the VM adds.
    more: Vec<i64>,
    /// Host × count + excess: what is above the level; below 0 where it is not reached.
    over: Vec<i64>,
}

/// Stands for a level that is never reached, and no sum of bounded numbers leaves 64 bits with it.
const NEVER: i64 = -(1 << 60);

impl FlatExcesses {
    fn new(problem: &Problem) -> Option<Self> {
        let kept: Vec<&Excess> = problem.excesses.iter().filter(|excess| excess.each > 0).collect();
        let shared = |r: usize| problem.sharing.as_ref().is_some_and(|sharing| sharing.resources.contains(&r));
        if kept.iter().flat_map(|excess| &excess.parts).any(|(r, _)| shared(*r)) {
            return None;
        }
        let mut all: Vec<Sum> = vec![0; problem.resources];
        for vm in &problem.vms {
            all.iter_mut().zip(&vm.size).for_each(|(all, size)| *all += Sum::from(*size));
        }
        let bound = |excess: &&Excess| {
            let part = |host: usize| {
                let most = |(r, factor): &(usize, i64)| {
                    (all[*r] + Sum::from(problem.hosts[host].base[*r])).saturating_mul(Sum::from(*factor).abs())
                };
                let level = if excess.above[host] == i64::MAX { 0 } else { Sum::from(excess.above[host]).abs() };
                level.saturating_add(excess.parts.iter().map(most).fold(0, Sum::saturating_add))
            };
            let most = (0..problem.hosts.len()).map(part).max().unwrap_or(0);
            most.saturating_mul(Sum::from(excess.each))
        };
        if kept.iter().map(bound).fold(0, Sum::saturating_add) >= Sum::from(Excess::MOST) {
            return None;
        }
        let value = |excess: &Excess, size: &[i64]| {
            excess.parts.iter().map(|(r, factor)| size[*r] * factor).sum::<i64>() * excess.each
        };
        let over = |excess: &Excess, host: usize| match excess.above[host] {
            i64::MAX => NEVER,
            above => value(excess, &problem.hosts[host].base) - above * excess.each,
        };
        let more = problem.vms.iter().flat_map(|vm| kept.iter().map(|excess| value(excess, &vm.size)));
        let over = (0..problem.hosts.len()).flat_map(|host| kept.iter().map(move |excess| over(excess, host)));
        Some(FlatExcesses { count: kept.len(), more: more.collect(), over: over.collect() })
    }

    /// Counts a VM that has come to the host (1) or left it (-1).
    pub fn count(&mut self, vm: usize, host: u32, sign: i64) {
        let over = &mut self.over[host as usize * self.count..][..self.count];
        let more = &self.more[vm * self.count..][..self.count];
        over.iter_mut().zip(more).for_each(|(over, more)| *over += sign * more);
    }

    /// What it costs more that the VM comes to the host.
    pub fn comes(&self, vm: u32, host: u32) -> i64 {
        let part = |(over, more): (&i64, &i64)| (over + more).max(0) - (*over).max(0);
        self.on(host).iter().zip(self.of(vm)).map(part).sum()
    }

    /// What it costs more that the VM leaves the host.
    pub fn goes(&self, vm: u32, host: u32) -> i64 {
        let part = |(over, less): (&i64, &i64)| (over - less).max(0) - (*over).max(0);
        self.on(host).iter().zip(self.of(vm)).map(part).sum()
    }

    /// What it costs more that one VM comes to the host and another one leaves it.
    pub fn changes(&self, comes: u32, goes: u32, host: u32) -> i64 {
        let (comes, goes, mut sum) = (self.of(comes), self.of(goes), 0);
        for ((over, more), less) in self.on(host).iter().zip(comes).zip(goes) {
            sum += (over + more - less).max(0) - (*over).max(0);
        }
        sum
    }

    fn on(&self, host: u32) -> &[i64] {
        &self.over[host as usize * self.count..][..self.count]
    }

    fn of(&self, vm: u32) -> &[i64] {
        &self.more[vm as usize * self.count..][..self.count]
    }
}
