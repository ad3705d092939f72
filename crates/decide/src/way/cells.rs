//! NUMA cells on the way: of which supplies the movers take, and what hosts have of them.
//!
//! Who takes of a supply wholly is counted where it is, and gives back what it took when it has left. Who may lie there or elsewhere is
//! counted with its whole size where it is wanted, from the beginning; it goes nowhere else, and gives nothing back. The checker counts
//! no less than that, so it refuses no such way.

use std::collections::BTreeSet;

use ulm_model::{HostIx, Snapshot, VmIx};
use ulm_rules::{HostSet, numa};

use super::field::Mover;
use crate::cells::{Supply, Taken, crowded, gives_back};

/// What is looked at of the hosts' cells: nothing where no mover is bound to any.
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
            return Cells { supplies: Vec::new(), capacity: Vec::new() };
        }
        let flights = snapshot.in_flight.iter().filter(|it| it.to.is_some_and(|to| hosts.contains(&to)));
        let all = movers.iter().map(|mover| mover.vm).chain(flights.map(|flight| flight.vm));
        let supplies: BTreeSet<Supply> = all.filter_map(supply).collect();
        let supplies: Vec<Supply> = supplies.into_iter().collect();
        let taken = |supply: &Supply, vm: VmIx| supply.taken_by(snapshot.vm(vm));
        let loosely = |vm: VmIx| supplies.iter().any(|supply| taken(supply, vm) == Taken::Loosely);
        let mut place = 0;
        movers.retain(|mover| {
            place += 1;
            place <= wanted || !loosely(mover.vm)
        });
        for mover in movers.iter_mut() {
            crowded(snapshot, mover.vm).into_iter().for_each(|host| mover.allowed.remove(host));
            if loosely(mover.vm) {
                let mut there = HostSet::none(mover.allowed.universe());
                there.insert(mover.to);
                mover.allowed.intersect(&there);
            }
        }
        let mut capacity = Vec::new();
        for supply in &supplies {
            let wholly = |vm: VmIx| taken(supply, vm) == Taken::Wholly;
            let of_host = |host: &HostIx| {
                let comes = |mover: &&Mover| mover.to == *host && taken(supply, mover.vm) == Taken::Loosely;
                let come: i128 = movers.iter().filter(comes).map(|mover| takes(snapshot, mover.vm)).sum();
                let left = supply.left(snapshot, *host) - come;
                let here = || movers.iter().map(|it| it.vm).filter(|vm| snapshot.vm(*vm).host == *host && wholly(*vm));
                let known = here().all(|vm| i128::from(gives_back(snapshot.vm(vm)).0) >= takes(snapshot, vm));
                let all = left + here().map(|vm| takes(snapshot, vm)).sum::<i128>();
                (left >= 0 && known).then(|| u64::try_from(all).unwrap_or(u64::MAX))
            };
            let of_hosts: Vec<Option<u64>> = hosts.iter().map(of_host).collect();
            let shut: Vec<HostIx> = hosts.iter().zip(&of_hosts).filter(|it| it.1.is_none()).map(|it| *it.0).collect();
            let mut place = 0;
            movers.retain_mut(|mover| {
                place += 1;
                if !wholly(mover.vm) {
                    return true;
                }
                shut.iter().for_each(|host| mover.allowed.remove(*host));
                // Who goes for others comes back.
                place <= wanted || !shut.contains(&snapshot.vm(mover.vm).host)
            });
            capacity.push(of_hosts);
        }
        Cells { supplies, capacity }
    }

    /// What people call them.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.supplies.iter().map(Supply::name)
    }

    /// What the VM takes of each wholly.
    pub fn size<'c>(&'c self, snapshot: &'c Snapshot, vm: VmIx) -> impl Iterator<Item = u64> + 'c {
        let vm = snapshot.vm(vm);
        let wholly = |supply: &Supply| supply.taken_by(vm) == Taken::Wholly;
        self.supplies.iter().map(move |supply| if wholly(supply) { numa::takes(vm).0 } else { 0 })
    }

    /// What the host of this place has of each; no more than the movers take together.
    pub fn capacity<'c>(
        &'c self,
        snapshot: &'c Snapshot,
        movers: &'c [Mover],
        place: usize,
    ) -> impl Iterator<Item = u64> + 'c {
        self.supplies.iter().zip(&self.capacity).map(move |(supply, of_hosts)| {
            let wholly = movers.iter().filter(|mover| supply.taken_by(snapshot.vm(mover.vm)) == Taken::Wholly);
            let all: u64 = wholly.map(|mover| numa::takes(snapshot.vm(mover.vm)).0).sum();
            of_hosts[place].map_or(all, |capacity| capacity.min(all))
        })
    }
}

fn takes(snapshot: &Snapshot, vm: VmIx) -> i128 {
    i128::from(numa::takes(snapshot.vm(vm)).0)
}
