//! NUMA cells on the way: of which supplies the movers take, and what hosts have of them.
//!
//! Who takes of a supply wholly is counted where it is, and gives back what it took when it has left. Who may lie there or elsewhere is
//! counted with its whole size where it is wanted, from the beginning; it goes nowhere else, and gives nothing back. The checker counts
//! no more than that, so it refuses no such way.

use std::collections::BTreeSet;

use ulm_model::{HostIx, Snapshot, VmIx};
use ulm_rules::{HostSet, numa};

use super::mover::Mover;
use crate::cells::{Supply, Taken, crowded, gives_back};

/// What is looked at of the hosts' cells: nothing where no mover is bound to any.
#[derive(Default)]
pub(super) struct Cells {
    supplies: Vec<Supply>,
    /// For each supply what each of the hosts has of it for those that take it wholly; `None`: nobody who does comes there.
    capacity: Vec<Vec<Option<u64>>>,
}

impl Cells {
    /// What the movers take of; the first `wanted` of them are those that are asked for. Takes out those of the others, and of the hosts
    /// that movers may be brought to, what cannot be counted on.
    pub fn of(snapshot: &Snapshot, hosts: &[HostIx], movers: &mut Vec<Mover>, wanted: usize) -> Self {
        let supply = |vm: VmIx| Supply::of(snapshot.vm(vm));
        if movers.iter().all(|mover| supply(mover.vm).is_none()) {
            return Cells::default();
        }
        // What is on its way must find enough, too.
        let flights = snapshot.in_flight.iter().filter(|it| it.to.is_some_and(|to| hosts.contains(&to)));
        let all = movers.iter().map(|mover| mover.vm).chain(flights.map(|flight| flight.vm));
        let all: BTreeSet<Supply> = all.filter_map(supply).collect();
        let mut cells = Cells { supplies: all.into_iter().collect(), capacity: Vec::new() };
        cells.let_loose_ones_go_straight(snapshot, movers, wanted);
        for supply in &cells.supplies {
            let capacity: Vec<Option<u64>> =
                hosts.iter().map(|host| capacity(snapshot, supply, *host, movers)).collect();
            let shut: Vec<HostIx> = hosts.iter().zip(&capacity).filter(|it| it.1.is_none()).map(|it| *it.0).collect();
            keep_off(snapshot, supply, &shut, movers, wanted);
            cells.capacity.push(capacity);
        }
        cells
    }

    /// Who takes of any supply loosely goes to where it is wanted and nowhere else, and not for others.
    fn let_loose_ones_go_straight(&self, snapshot: &Snapshot, movers: &mut Vec<Mover>, wanted: usize) {
        let loosely = |vm: VmIx| self.supplies.iter().any(|supply| taken(snapshot, supply, vm) == Taken::Loosely);
        retain(movers, |place, mover| place < wanted || !loosely(mover.vm));
        for mover in movers {
            crowded(snapshot, mover.vm).into_iter().for_each(|host| mover.allowed.remove(host));
            if loosely(mover.vm) {
                let mut there = HostSet::none(mover.allowed.universe());
                there.insert(mover.to);
                mover.allowed.intersect(&there);
            }
        }
    }

    /// What people call them.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.supplies.iter().map(Supply::name)
    }

    /// What the VM takes of each wholly.
    pub fn size<'c>(&'c self, snapshot: &'c Snapshot, vm: VmIx) -> impl Iterator<Item = u64> + 'c {
        let wholly = move |supply: &Supply| taken(snapshot, supply, vm) == Taken::Wholly;
        self.supplies.iter().map(move |supply| if wholly(supply) { numa::takes(snapshot.vm(vm)).0 } else { 0 })
    }

    /// What the host of this place has of each; no more than the movers take together.
    pub fn capacity<'c>(
        &'c self,
        snapshot: &'c Snapshot,
        movers: &'c [Mover],
        place: usize,
    ) -> impl Iterator<Item = u64> + 'c {
        self.supplies.iter().zip(&self.capacity).map(move |(supply, of_hosts)| {
            let wholly = movers.iter().filter(|mover| taken(snapshot, supply, mover.vm) == Taken::Wholly);
            let all: u64 = wholly.map(|mover| numa::takes(snapshot.vm(mover.vm)).0).sum();
            of_hosts[place].map_or(all, |capacity| capacity.min(all))
        })
    }
}

/// What the host has of the supply for those that take it wholly: what is left beside those that come and take loosely, and what its own
/// movers take. `None`: nothing may be left, or it is not known what one of them gives back.
fn capacity(snapshot: &Snapshot, supply: &Supply, host: HostIx, movers: &[Mover]) -> Option<u64> {
    let takes = |vm: VmIx| i128::from(numa::takes(snapshot.vm(vm)).0);
    let of = |how: Taken| movers.iter().filter(move |mover| taken(snapshot, supply, mover.vm) == how);
    let come: i128 = of(Taken::Loosely).filter(|mover| mover.to == host).map(|mover| takes(mover.vm)).sum();
    let left = supply.left(snapshot, host) - come;
    let here = || of(Taken::Wholly).map(|mover| mover.vm).filter(|vm| snapshot.vm(*vm).host == host);
    let known = here().all(|vm| i128::from(gives_back(snapshot.vm(vm)).0) == takes(vm));
    let all = left + here().map(takes).sum::<i128>();
    (left >= 0 && known).then(|| u64::try_from(all).unwrap_or(u64::MAX))
}

/// Nobody who takes of the supply wholly comes to these hosts. Who goes for others comes back, so from there it does not go.
fn keep_off(snapshot: &Snapshot, supply: &Supply, shut: &[HostIx], movers: &mut Vec<Mover>, wanted: usize) {
    let wholly = |vm: VmIx| taken(snapshot, supply, vm) == Taken::Wholly;
    retain(movers, |place, mover| place < wanted || !wholly(mover.vm) || !shut.contains(&snapshot.vm(mover.vm).host));
    for mover in movers.iter_mut().filter(|mover| wholly(mover.vm)) {
        shut.iter().for_each(|host| mover.allowed.remove(*host));
    }
}

fn taken(snapshot: &Snapshot, supply: &Supply, vm: VmIx) -> Taken {
    supply.taken_by(snapshot.vm(vm))
}

fn retain(movers: &mut Vec<Mover>, keeps: impl Fn(usize, &Mover) -> bool) {
    let mut place = 0;
    movers.retain(|mover| {
        place += 1;
        keeps(place - 1, mover)
    });
}
