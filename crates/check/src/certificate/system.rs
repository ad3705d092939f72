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
    /// Where it can be at all; hosts ascend.
    sites: Vec<Site>,
}

/// A host that a mover can be on.
struct Site {
    host: u32,
    /// Whether it may go there; if not, it is its place in A or in B.
    fits: bool,
    /// What the counters count of it there.
    counters: Vec<(usize, u64)>,
}

impl Mover {
    fn site(&self, host: u32) -> Option<&Site> {
        self.sites.binary_search_by_key(&host, |site| site.host).ok().map(|i| &self.sites[i])
    }
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
        let mut sites = Vec::new();
        for host in 0..task.hosts.len() as u32 {
            let (counters, fits) = (items.counters(item, host), items.fits(item, host));
            let room = counters.iter().all(|(c, weight)| self.fixed[*c] + weight <= items.terms.limit(*c));
            if ends.contains(&host) || (room && fits) {
                sites.push(Site { host, fits, counters });
            }
        }
        Mover { item, places, at_once, sites }
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
            if !together || mover.places.iter().any(|place| mover.site(at(place)).is_none()) {
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
        let hosts: BTreeSet<u32> =
            self.movers.iter().flat_map(|mover| mover.sites.iter().map(|site| site.host)).collect();
        hosts.into_iter().collect()
    }

    /// Sums for [`System::each_step`].
    pub fn sums(&self) -> Vec<u64> {
        self.fixed.clone()
    }

    /// Calls `then` for every legal single move: from the state when looked at from A, to the state when looked at from B.
    pub fn each_step<E>(
        &self,
        state: &[u32],
        sums: &mut [u64],
        mut then: impl FnMut(Step<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let on: Vec<(&Mover, &Site, usize)> = self
            .movers
            .iter()
            .flat_map(|mover| {
                // Of a group the first place stands for all.
                let places = &mover.places[..if mover.at_once { 1 } else { mover.places.len() }];
                places.iter().filter_map(move |place| Some((mover, mover.site(state[*place])?, *place)))
            })
            .collect();
        let counters = || on.iter().flat_map(|(_, site, _)| &site.counters);
        counters().for_each(|(counter, weight)| sums[*counter] += weight);
        let mut next = state.to_vec();
        for (i, (mover, here, place)) in on.iter().enumerate() {
            // Interchangeable VMs on one host make the same moves.
            if i > 0 && on[i - 1].0.item == mover.item && on[i - 1].1.host == here.host {
                continue;
            }
            for there in mover.sites.iter().filter(|there| there.host != here.host) {
                let (from, to) = if self.from == End::A { (*here, there) } else { (there, *here) };
                if !self.is_legal(mover, from, to) || !self.has_room(here, there, sums) {
                    continue;
                }
                next.copy_from_slice(state);
                let all = if mover.at_once { &mover.places[..] } else { std::slice::from_ref(place) };
                all.iter().for_each(|place| next[*place] = there.host);
                if !mover.at_once {
                    next[mover.places[0]..mover.places[0] + mover.places.len()].sort_unstable();
                }
                then(Step { item: mover.item, from: from.host, to: to.host, state: &next })?;
            }
        }
        counters().for_each(|(counter, weight)| sums[*counter] -= weight);
        Ok(())
    }

    /// Whether the gates allow the move. It begins where the item may be: on a host that it may go to, or on its place in A. (If
    /// one of a class may not come back to its place in A, all of the class are there in A.)
    fn is_legal(&self, mover: &Mover, from: &Site, to: &Site) -> bool {
        let may_be = from.fits || self.items.list[mover.item].from == from.host;
        may_be && to.fits && self.items.steps_up(mover.item, from.host, to.host)
    }

    /// Whether the item finds room `there` while it is `here`, too.
    fn has_room(&self, here: &Site, there: &Site, sums: &[u64]) -> bool {
        let on_both = |counter: usize| here.counters.iter().any(|(other, _)| *other == counter);
        let fits = |(counter, weight): &(usize, u64)| {
            sums[*counter] + weight <= self.items.terms.limit(*counter) || on_both(*counter)
        };
        there.counters.iter().all(fits)
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
