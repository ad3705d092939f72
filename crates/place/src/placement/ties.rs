//! The relations of a placement, kept up to date: for each relation and domain how many VMs there are, and how many have come.
//!
//! Hard relations are kept in this sense: a domain with more than the most has none that was not in it at the start; and VMs that
//! should be near are in no more domains than at the start. So the surplus never grows, and nothing goes where it breaks a relation.
//!
//! Complexity: a weighed change costs a few look-ups for each relation of the VM. Memory: relations × hosts.

use crate::cost::Sum;
use crate::problem::{Problem, Relation, RelationKind};

/// Relations and counts.
#[derive(Clone, Debug)]
pub(super) struct Ties<'p> {
    problem: &'p Problem,
    /// For each VM where its relations begin in `of`; one more at the end.
    begin: Vec<u32>,
    /// The relations of all VMs, those of each ascending.
    of: Vec<u32>,
    /// Relation × hosts + domain.
    counts: Vec<Count>,
    /// For each relation the domains that have any.
    spread: Vec<u32>,
    /// The same at the start.
    spread_before: Vec<u32>,
}

/// VMs of a relation in a domain.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    all: u32,
    /// Those that were not in it at the start.
    come: u32,
}

/// A VM's way from one domain to another, seen by one relation.
#[derive(Clone, Copy)]
struct Way {
    relation: usize,
    home: u32,
    from: u32,
    to: u32,
}

impl<'p> Ties<'p> {
    pub fn new(problem: &'p Problem) -> Self {
        let mut begin = vec![0u32; problem.vms.len() + 1];
        for vm in problem.relations.iter().flat_map(|it| &it.vms) {
            begin[*vm as usize + 1] += 1;
        }
        for i in 1..begin.len() {
            begin[i] += begin[i - 1];
        }
        let mut next = begin.clone();
        let mut of = vec![0; *begin.last().unwrap_or(&0) as usize];
        for (i, relation) in problem.relations.iter().enumerate() {
            for vm in &relation.vms {
                let place = &mut next[*vm as usize];
                of[*place as usize] = i as u32;
                *place += 1;
            }
        }
        let counts = vec![Count::default(); problem.relations.len() * problem.hosts.len()];
        let spread = vec![0; problem.relations.len()];
        let mut ties = Ties { problem, begin, of, counts, spread_before: spread.clone(), spread };
        for (i, relation) in problem.relations.iter().enumerate() {
            for vm in &relation.vms {
                let home = relation.domains[problem.vms[*vm as usize].at as usize];
                ties.arrive(i, home, home);
            }
        }
        ties.spread_before = ties.spread.clone();
        ties
    }

    /// The relations of a VM, ascending.
    pub fn of(&self, vm: usize) -> &[u32] {
        &self.of[self.begin[vm] as usize..self.begin[vm + 1] as usize]
    }

    /// How many VMs of the relation are in the domain.
    pub fn count(&self, relation: usize, domain: u32) -> u32 {
        if domain == Relation::OUTSIDE { 0 } else { self.counts[self.place(relation, domain)].all }
    }

    /// Surplus VMs or domains of a relation.
    pub fn surplus(&self, relation: usize) -> u64 {
        let hosts = self.problem.hosts.len();
        match self.problem.relations[relation].kind {
            RelationKind::AtMost(most) => {
                let counts = &self.counts[relation * hosts..(relation + 1) * hosts];
                counts.iter().map(|count| u64::from(count.all.saturating_sub(most))).sum()
            }
            kind => u64::from(surplus_of(kind, self.spread[relation])),
        }
    }

    /// What a VM's move costs more. `Err`: it breaks a hard relation.
    pub fn shift(&self, vm: usize, from: u32, to: u32) -> Result<Sum, ()> {
        self.of(vm).iter().try_fold(0, |sum, i| Ok(sum + self.change(self.way(*i as usize, vm, from, to))?))
    }

    /// What a VM's move costs more, whether it breaks a hard relation or not.
    pub fn price_of_shift(&self, vm: usize, from: u32, to: u32) -> Sum {
        let price = |i: &u32| self.surplus_change(self.way(*i as usize, vm, from, to)) * self.price(*i as usize);
        self.of(vm).iter().map(price).sum()
    }

    /// What the exchange of two VMs costs more. `Err`: it breaks a hard relation.
    pub fn swap(&self, one: usize, from: u32, other: usize, to: u32) -> Result<Sum, ()> {
        let (mine, theirs) = (self.of(one), self.of(other));
        let mut sum = 0;
        for i in mine {
            let way = self.way(*i as usize, one, from, to);
            if theirs.binary_search(i).is_err() {
                sum += self.change(way)?;
            } else if !self.may_exchange(way, self.way(*i as usize, other, to, from)) {
                return Err(());
            }
        }
        for i in theirs.iter().filter(|i| mine.binary_search(i).is_err()) {
            sum += self.change(self.way(*i as usize, other, to, from))?;
        }
        Ok(sum)
    }

    /// The most that it can bring that a VM leaves its host.
    pub fn leave_bound(&self, vm: usize, from: u32) -> Sum {
        let bound = |i: &u32| {
            let (i, relation) = (*i as usize, &self.problem.relations[*i as usize]);
            let count = self.count(i, relation.domains[from as usize]);
            let less = match relation.kind {
                RelationKind::AtMost(most) => count > most,
                RelationKind::Near => count == 1 && self.spread[i] > 1,
                RelationKind::AtLeast(least) => count != 1 && self.spread[i] < least,
            };
            if less { relation.price() } else { 0 }
        };
        self.of(vm).iter().map(bound).sum()
    }

    /// Counts a VM's move.
    pub fn moved(&mut self, vm: usize, from: u32, to: u32) {
        for k in self.begin[vm]..self.begin[vm + 1] {
            let way = self.way(self.of[k as usize] as usize, vm, from, to);
            if way.from == way.to {
                continue;
            }
            if way.from != Relation::OUTSIDE {
                let place = self.place(way.relation, way.from);
                self.counts[place].all -= 1;
                self.counts[place].come -= u32::from(way.from != way.home);
                self.spread[way.relation] -= u32::from(self.counts[place].all == 0);
            }
            self.arrive(way.relation, way.home, way.to);
        }
    }

    /// Whether the hard relations of a VM are kept where it is.
    pub fn kept(&self, vm: usize, at: u32) -> bool {
        self.of(vm).iter().all(|i| {
            let (i, relation) = (*i as usize, &self.problem.relations[*i as usize]);
            let domain = relation.domains[at as usize];
            relation.points.is_some()
                || match relation.kind {
                    RelationKind::AtMost(_) if domain == Relation::OUTSIDE => true,
                    RelationKind::AtMost(most) => {
                        let count = self.counts[self.place(i, domain)];
                        count.all <= most || count.come == 0
                    }
                    kind => surplus_of(kind, self.spread[i]) <= surplus_of(kind, self.spread_before[i]),
                }
        })
    }

    fn place(&self, relation: usize, domain: u32) -> usize {
        relation * self.problem.hosts.len() + domain as usize
    }

    fn way(&self, relation: usize, vm: usize, from: u32, to: u32) -> Way {
        let domains = &self.problem.relations[relation].domains;
        let home = domains[self.problem.vms[vm].at as usize];
        Way { relation, home, from: domains[from as usize], to: domains[to as usize] }
    }

    fn arrive(&mut self, relation: usize, home: u32, to: u32) {
        if to != Relation::OUTSIDE {
            let place = self.place(relation, to);
            self.spread[relation] += u32::from(self.counts[place].all == 0);
            self.counts[place].all += 1;
            self.counts[place].come += u32::from(to != home);
        }
    }

    fn price(&self, relation: usize) -> Sum {
        self.problem.relations[relation].price()
    }

    /// What the way costs more. `Err`: it breaks a hard relation.
    fn change(&self, way: Way) -> Result<Sum, ()> {
        if self.problem.relations[way.relation].points.is_none() && self.breaks(way) {
            return Err(());
        }
        Ok(self.surplus_change(way) * self.price(way.relation))
    }

    /// Whether a hard relation would be broken by the way.
    fn breaks(&self, way: Way) -> bool {
        match self.problem.relations[way.relation].kind {
            _ if way.from == way.to => false,
            RelationKind::AtMost(_) if way.to == Relation::OUTSIDE => false,
            RelationKind::AtMost(most) => {
                let to = self.counts[self.place(way.relation, way.to)];
                to.all >= most && !(way.to == way.home && to.come == 0)
            }
            kind => surplus_of(kind, self.spread_after(way)) > surplus_of(kind, self.spread_before[way.relation]),
        }
    }

    /// In how many domains the VMs are afterwards.
    fn spread_after(&self, way: Way) -> u32 {
        let less = way.from != Relation::OUTSIDE && self.count(way.relation, way.from) == 1;
        let more = way.to != Relation::OUTSIDE && self.count(way.relation, way.to) == 0;
        self.spread[way.relation] + u32::from(more) - u32::from(less)
    }

    /// By how much the surplus changes.
    fn surplus_change(&self, way: Way) -> Sum {
        if way.from == way.to {
            return 0;
        }
        match self.problem.relations[way.relation].kind {
            RelationKind::AtMost(most) => {
                let worse = way.to != Relation::OUTSIDE && self.count(way.relation, way.to) >= most;
                let better = way.from != Relation::OUTSIDE && self.count(way.relation, way.from) > most;
                Sum::from(worse) - Sum::from(better)
            }
            kind => {
                let surplus = |spread: u32| Sum::from(surplus_of(kind, spread));
                surplus(self.spread_after(way)) - surplus(self.spread[way.relation])
            }
        }
    }

    /// Whether two VMs of the relation may change places: the counts stay, but who has come and who was there may not.
    fn may_exchange(&self, one: Way, other: Way) -> bool {
        let relation = &self.problem.relations[one.relation];
        let RelationKind::AtMost(most) = relation.kind else { return true };
        if relation.points.is_some() || one.from == one.to {
            return true;
        }
        let fine = |domain: u32, comes: Way, goes: Way| {
            if domain == Relation::OUTSIDE {
                return true;
            }
            let count = self.counts[self.place(one.relation, domain)];
            let come = count.come + u32::from(comes.home != domain) - u32::from(goes.home != domain);
            count.all <= most || come == 0
        };
        fine(one.to, one, other) && fine(one.from, other, one)
    }
}

/// The surplus of a relation that counts domains only, if its VMs are in so many.
fn surplus_of(kind: RelationKind, spread: u32) -> u32 {
    match kind {
        RelationKind::AtMost(_) => 0,
        RelationKind::Near => spread.saturating_sub(1),
        RelationKind::AtLeast(least) => least.saturating_sub(spread),
    }
}
