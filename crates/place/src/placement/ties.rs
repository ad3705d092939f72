//! The relations of a placement, kept up to date: for each relation and domain how many VMs there are, and how many have come.
//!
//! Hard relations are kept in this sense: a domain with more than the most has none that was not in it at the start; and VMs that
//! should be near are in no more domains than at the start. So the surplus never grows, and nothing goes where it breaks a relation.
//!
//! Complexity: a weighed change costs a few look-ups for each relation of the VM. Memory: relations × hosts.

use std::collections::BTreeMap;

use crate::cost::Sum;
use crate::problem::{Problem, Relation, RelationKind};

/// Relations and counts.
#[derive(Clone, Debug)]
pub(super) struct Ties {
    hosts: usize,
    /// For each VM where it is at the start.
    home: Vec<u32>,
    /// What each relation asks.
    asks: Vec<Ask>,
    /// The domains of hosts, one list for all relations that share it.
    domains: Vec<u32>,
    /// For each VM where its relations begin in `of`; one more at the end.
    begin: Vec<u32>,
    /// The relations of all VMs, those of each ascending.
    of: Vec<u32>,
    /// Relation × hosts + domain.
    counts: Vec<Count>,
}

/// A relation.
#[derive(Clone, Copy, Debug)]
struct Ask {
    kind: RelationKind,
    hard: bool,
    /// What a surplus costs.
    price: i64,
    /// Where its domains begin.
    domains: u32,
    /// How many domains have any.
    spread: u32,
    /// The same at the start.
    spread_before: u32,
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

impl Ties {
    pub fn new(problem: &Problem) -> Self {
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
        let (mut domains, mut known) = (Vec::new(), BTreeMap::new());
        let asks = problem.relations.iter().map(|relation| {
            let begin = *known.entry(&relation.domains).or_insert_with(|| {
                domains.extend_from_slice(&relation.domains);
                (domains.len() - relation.domains.len()) as u32
            });
            let (hard, price) = (relation.points.is_none(), relation.points.unwrap_or(Relation::BROKEN));
            Ask { kind: relation.kind, hard, price, domains: begin, spread: 0, spread_before: 0 }
        });
        let (asks, hosts) = (asks.collect(), problem.hosts.len());
        let counts = vec![Count::default(); problem.relations.len() * hosts];
        let home = problem.vms.iter().map(|vm| vm.at).collect();
        let mut ties = Ties { hosts, home, asks, domains, begin, of, counts };
        for (i, relation) in problem.relations.iter().enumerate() {
            for vm in &relation.vms {
                let home = relation.domains[problem.vms[*vm as usize].at as usize];
                ties.arrive(i, home, home);
            }
        }
        ties.asks.iter_mut().for_each(|ask| ask.spread_before = ask.spread);
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
        let hosts = self.hosts;
        match self.asks[relation].kind {
            RelationKind::AtMost(most) => {
                let counts = &self.counts[relation * hosts..(relation + 1) * hosts];
                counts.iter().map(|count| u64::from(count.all.saturating_sub(most))).sum()
            }
            kind => u64::from(surplus_of(kind, self.asks[relation].spread)),
        }
    }

    /// What a VM's move costs more. `Err`: it breaks a hard relation.
    pub fn shift(&self, vm: usize, from: u32, to: u32) -> Result<Sum, ()> {
        self.of(vm).iter().try_fold(0, |sum, i| Ok(sum + self.change(self.way(*i as usize, vm, from, to))?))
    }

    /// What a VM's move costs more, whether it breaks a hard relation or not.
    pub fn price_of_shift(&self, vm: usize, from: u32, to: u32) -> Sum {
        self.of(vm).iter().map(|i| self.price(self.way(*i as usize, vm, from, to))).sum()
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
            let (i, ask) = (*i as usize, &self.asks[*i as usize]);
            let count = self.count(i, self.domain(ask, from));
            let less = match ask.kind {
                RelationKind::AtMost(most) => count > most,
                RelationKind::Near => count == 1 && ask.spread > 1,
                RelationKind::AtLeast(least) => count != 1 && ask.spread < least,
            };
            if less { Sum::from(ask.price) } else { 0 }
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
                self.asks[way.relation].spread -= u32::from(self.counts[place].all == 0);
            }
            self.arrive(way.relation, way.home, way.to);
        }
    }

    /// Whether the hard relations of a VM are kept where it is.
    pub fn kept(&self, vm: usize, at: u32) -> bool {
        self.of(vm).iter().all(|i| {
            let (i, ask) = (*i as usize, &self.asks[*i as usize]);
            let domain = self.domain(ask, at);
            !ask.hard
                || match ask.kind {
                    RelationKind::AtMost(_) if domain == Relation::OUTSIDE => true,
                    RelationKind::AtMost(most) => {
                        let count = self.counts[self.place(i, domain)];
                        count.all <= most || count.come == 0
                    }
                    kind => surplus_of(kind, ask.spread) <= surplus_of(kind, ask.spread_before),
                }
        })
    }

    fn place(&self, relation: usize, domain: u32) -> usize {
        relation * self.hosts + domain as usize
    }

    fn domain(&self, ask: &Ask, host: u32) -> u32 {
        self.domains[ask.domains as usize + host as usize]
    }

    fn way(&self, relation: usize, vm: usize, from: u32, to: u32) -> Way {
        let domain = |host: u32| self.domain(&self.asks[relation], host);
        Way { relation, home: domain(self.home[vm]), from: domain(from), to: domain(to) }
    }

    fn arrive(&mut self, relation: usize, home: u32, to: u32) {
        if to != Relation::OUTSIDE {
            let place = self.place(relation, to);
            self.asks[relation].spread += u32::from(self.counts[place].all == 0);
            self.counts[place].all += 1;
            self.counts[place].come += u32::from(to != home);
        }
    }

    /// What the way costs more, whether it breaks a hard relation or not.
    fn price(&self, way: Way) -> Sum {
        match self.surplus_change(way) {
            0 => 0,
            more => Sum::from(more) * Sum::from(self.asks[way.relation].price),
        }
    }

    /// What the way costs more. `Err`: it breaks a hard relation.
    fn change(&self, way: Way) -> Result<Sum, ()> {
        if self.asks[way.relation].hard && self.breaks(way) {
            return Err(());
        }
        Ok(self.price(way))
    }

    /// Whether a hard relation would be broken by the way.
    fn breaks(&self, way: Way) -> bool {
        match self.asks[way.relation].kind {
            _ if way.from == way.to => false,
            RelationKind::AtMost(_) if way.to == Relation::OUTSIDE => false,
            RelationKind::AtMost(most) => {
                let to = self.counts[self.place(way.relation, way.to)];
                to.all >= most && !(way.to == way.home && to.come == 0)
            }
            kind => surplus_of(kind, self.spread_after(way)) > surplus_of(kind, self.asks[way.relation].spread_before),
        }
    }

    /// In how many domains the VMs are afterwards.
    fn spread_after(&self, way: Way) -> u32 {
        let less = way.from != Relation::OUTSIDE && self.count(way.relation, way.from) == 1;
        let more = way.to != Relation::OUTSIDE && self.count(way.relation, way.to) == 0;
        self.asks[way.relation].spread + u32::from(more) - u32::from(less)
    }

    /// By how much the surplus changes.
    fn surplus_change(&self, way: Way) -> i64 {
        if way.from == way.to {
            return 0;
        }
        match self.asks[way.relation].kind {
            RelationKind::AtMost(most) => {
                let worse = way.to != Relation::OUTSIDE && self.count(way.relation, way.to) >= most;
                let better = way.from != Relation::OUTSIDE && self.count(way.relation, way.from) > most;
                i64::from(worse) - i64::from(better)
            }
            kind => {
                let surplus = |spread: u32| i64::from(surplus_of(kind, spread));
                surplus(self.spread_after(way)) - surplus(self.asks[way.relation].spread)
            }
        }
    }

    /// Whether two VMs of the relation may change places: the counts stay, but who has come and who was there may not.
    fn may_exchange(&self, one: Way, other: Way) -> bool {
        let ask = &self.asks[one.relation];
        let RelationKind::AtMost(most) = ask.kind else { return true };
        if !ask.hard || one.from == one.to {
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
