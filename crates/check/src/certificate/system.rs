//! Placements of some VMs, those of a class interchangeable, and the single moves that lead from one to another.
//!
//! The other VMs are where they are in A, as far as they never move ([`frozen`]); VMs that may move and are in no class are
//! not counted at all. So more moves are legal here than on any route. Whatever a route does with the others, its moves of the
//! classes' VMs, one after the other, are moves here; and if these cannot lead from A to B, no route does.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use ulm_model::End;

use super::fault::CertificateFault;
use super::frozen::frozen;
use super::items::Items;

/// See the module's text.
pub(super) struct System<'t> {
    pub items: &'t Items<'t>,
    pub from: End,
    /// The end from which it is looked at, and the other one.
    pub start: Vec<u32>,
    pub other: Vec<u32>,
    /// For each place in a state its class.
    classes: Vec<Range<usize>>,
    movers: Vec<Mover>,
    /// What VMs that never move make of each counter.
    fixed: Vec<u64>,
}

/// VMs of one class, or a group.
struct Mover {
    /// One of the items; the others are like it.
    item: usize,
    /// The places of a single VM's class; of a group those of all its members.
    places: Vec<usize>,
    /// Whether all of the places move at once.
    at_once: bool,
    /// Where it can be at all, and what the counters count of it there.
    sites: HashMap<u32, Vec<(usize, u64)>>,
    /// The hosts of `sites`; ascending.
    hosts: Vec<u32>,
}

/// A single move, and the state on the other side of it.
pub(super) struct Step<'s> {
    pub item: usize,
    pub from: u32,
    pub to: u32,
    pub state: &'s [u32],
}

impl<'t> System<'t> {
    /// Of these classes of VMs.
    pub fn of(items: &'t Items<'t>, from: End, classes: &[Vec<u32>]) -> Result<Self, CertificateFault> {
        let terms = items.terms;
        let task = terms.task;
        if classes.iter().flatten().any(|vm| *vm as usize >= task.vms.len()) {
            return Err(CertificateFault::Unknown);
        }
        let mut place: HashMap<u32, usize> = HashMap::new();
        for class in classes {
            for vm in class {
                let number = place.len();
                let twice = place.insert(*vm, number).is_some();
                if twice || class.windows(2).any(|two| two[0] >= two[1]) {
                    return Err(CertificateFault::Unordered { vm: terms.vm(*vm).to_owned() });
                }
                if !interchangeable(items, class[0], *vm) {
                    let name = |vm: u32| terms.vm(vm).to_owned();
                    return Err(CertificateFault::Different { vm: name(class[0]), other: name(*vm) });
                }
            }
        }
        let mut system = System {
            items,
            from,
            start: Vec::new(),
            other: Vec::new(),
            classes: Vec::new(),
            movers: Vec::new(),
            fixed: vec![0; terms.len()],
        };
        let never = frozen(items);
        for (i, item) in items.list.iter().enumerate() {
            let mine: Vec<usize> = item.vms.iter().filter_map(|vm| place.get(vm).copied()).collect();
            if mine.is_empty() {
                if never[i] || item.stays {
                    items.counters(i, item.from).into_iter().for_each(|(c, weight)| system.fixed[c] += weight);
                }
            } else if mine.len() < item.vms.len() {
                let name = |there: bool| item.vms.iter().find(|vm| place.contains_key(vm) == there);
                let name = |there: bool| name(there).map_or(String::new(), |vm| terms.vm(*vm).to_owned());
                return Err(CertificateFault::HalfGroup { vm: name(true), other: name(false) });
            }
        }
        let mut seen = BTreeSet::new();
        let mut begin = 0;
        for class in classes.iter().filter(|class| !class.is_empty()) {
            let range = begin..begin + class.len();
            begin = range.end;
            let item = items.of_vm[class[0] as usize];
            let at_once = items.list[item].vms.len() > 1;
            if seen.insert(item) {
                let places = match at_once {
                    true => items.list[item].vms.iter().map(|vm| place[vm]).collect(),
                    false => range.clone().collect(),
                };
                let mover = system.mover(item, places, at_once, class);
                system.movers.push(mover);
            }
            for vm in class {
                let vm = &task.vms[*vm as usize];
                let (start, other) = if from == End::A { (vm.from, vm.to) } else { (vm.to, vm.from) };
                system.start.push(start);
                system.other.push(other);
            }
            system.start[range.clone()].sort_unstable();
            system.other[range.clone()].sort_unstable();
            system.classes.push(range);
        }
        Ok(system)
    }

    fn mover(&self, item: usize, places: Vec<usize>, at_once: bool, class: &[u32]) -> Mover {
        let (items, task) = (self.items, self.items.terms.task);
        let ends: BTreeSet<u32> =
            class.iter().flat_map(|vm| [task.vms[*vm as usize].from, task.vms[*vm as usize].to]).collect();
        let mut sites = HashMap::new();
        for host in 0..task.hosts.len() as u32 {
            let counters = items.counters(item, host);
            let room = counters.iter().all(|(c, weight)| self.fixed[*c] + weight <= items.terms.limit(*c));
            if ends.contains(&host) || (room && items.fits(item, host)) {
                sites.insert(host, counters);
            }
        }
        let mut hosts: Vec<u32> = sites.keys().copied().collect();
        hosts.sort_unstable();
        Mover { item, places, at_once, sites, hosts }
    }

    /// Whether it is a placement: of the right length, each class in ascending order, groups together, each VM where it can be.
    /// If not, the name of a VM.
    pub fn is_state(&self, state: &[u32]) -> Result<(), String> {
        let Some(first) = self.movers.first() else {
            return if state.is_empty() { Ok(()) } else { Err("nobody".to_owned()) };
        };
        if state.len() != self.start.len() {
            return Err(self.items.name(first.item));
        }
        for mover in &self.movers {
            let at = |place: &usize| state[*place];
            let together = !mover.at_once || mover.places.iter().all(|place| at(place) == at(&mover.places[0]));
            if !together || mover.places.iter().any(|place| !mover.sites.contains_key(&at(place))) {
                return Err(self.items.name(mover.item));
            }
        }
        match self.classes.iter().any(|class| state[class.clone()].windows(2).any(|two| two[0] > two[1])) {
            true => Err(self.items.name(first.item)),
            false => Ok(()),
        }
    }

    /// All hosts that a VM can be on, ascending.
    pub fn hosts(&self) -> Vec<u32> {
        let hosts: BTreeSet<u32> = self.movers.iter().flat_map(|mover| mover.hosts.iter().copied()).collect();
        hosts.into_iter().collect()
    }

    /// Calls `then` for every legal single move: from the state when looked at from A, to the state when looked at from B. `load` is
    /// for the sums, of any content.
    pub fn each_step<E>(
        &self,
        state: &[u32],
        load: &mut Vec<u64>,
        mut then: impl FnMut(Step<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        load.clone_from(&self.fixed);
        for mover in &self.movers {
            let hosts = mover.places.iter().map(|place| state[*place]);
            for host in hosts.take(if mover.at_once { 1 } else { usize::MAX }) {
                mover.sites[&host].iter().for_each(|(counter, weight)| load[*counter] += weight);
            }
        }
        let mut next = state.to_vec();
        for mover in &self.movers {
            let mut before = None;
            for place in &mover.places {
                let here = state[*place];
                // Interchangeable VMs on one host make the same moves.
                if before.replace(here) == Some(here) {
                    continue;
                }
                for there in mover.hosts.iter().copied().filter(|there| *there != here) {
                    let (from, to) = if self.from == End::A { (here, there) } else { (there, here) };
                    if !self.is_legal(mover, from, to) || !self.has_room(mover, here, there, load) {
                        continue;
                    }
                    next.copy_from_slice(state);
                    let all = if mover.at_once { &mover.places[..] } else { std::slice::from_ref(place) };
                    all.iter().for_each(|place| next[*place] = there);
                    self.classes.iter().for_each(|class| next[class.clone()].sort_unstable());
                    then(Step { item: mover.item, from, to, state: &next })?;
                }
            }
        }
        Ok(())
    }

    /// Whether the gates allow the move. Where it begins the VM may be: each of the mover's hosts is one that it may go to, or its
    /// place in A, or its place in B where it can only have come to if it may go there, or has been all along.
    fn is_legal(&self, mover: &Mover, from: u32, to: u32) -> bool {
        let may_be = self.items.fits(mover.item, from) || self.items.list[mover.item].from == from;
        may_be && self.items.fits(mover.item, to) && self.items.steps_up(mover.item, from, to)
    }

    /// Whether the item finds room `there` while it is `here`, too.
    fn has_room(&self, mover: &Mover, here: u32, there: u32, load: &[u64]) -> bool {
        let on_both = |counter: usize| mover.sites[&here].iter().any(|(other, _)| *other == counter);
        let fits = |(counter, weight): &(usize, u64)| {
            load[*counter] + weight <= self.items.terms.limit(*counter) || on_both(*counter)
        };
        mover.sites[&there].iter().all(fits)
    }
}

/// Whether two VMs can stand in for each other: what always holds says the same of both, they are to be on the same host, and are
/// on the same in A if one of them may not come back to its own.
fn interchangeable(items: &Items<'_>, one: u32, other: u32) -> bool {
    let (terms, item) = (items.terms, |vm: u32| items.of_vm[vm as usize]);
    let (a, b) = (&items.list[item(one)], &items.list[item(other)]);
    let grouped = a.vms.len() > 1 || b.vms.len() > 1;
    let comes_back = |vm: u32| items.fits(item(vm), items.list[item(vm)].from);
    one == other
        || ((!grouped || item(one) == item(other))
            && terms.alike(one, other)
            && a.to == b.to
            && a.stays == b.stays
            && (a.from == b.from || (comes_back(one) && comes_back(other))))
}
