//! Items that never move.
//!
//! **From A.** Take some items, and let none of them find a place that it could move to while all of them are where they are in A.
//! Then none ever moves: the first one to move would have found all the others at their places.
//!
//! **From B.** Let none of them find a place from which it could make a move to its place in B while all the others are at theirs.
//! Then none of them moves on any route to B: the last one to move would have made such a move, for those that had moved were
//! back by then and the others had been there all the time.
//!
//! If one of such items is to be elsewhere, there is no route. Other items may be anywhere, so they are not counted; but whatever
//! they do, the item that moves is on two hosts, and all items together with it have to be somewhere: of a resource that always
//! holds, all hosts together must be able to hold that.

use std::cell::Cell;

use ulm_model::{End, Holds, Power, TaskHost};

use super::fault::CertificateFault;
use super::items::Items;

/// Items that are assumed not to have moved yet, or to have come to their places.
struct Frost<'i, 't> {
    items: &'i Items<'t>,
    from: End,
    /// What they make of each counter.
    load: Vec<u64>,
    /// For each resource that always holds, by its number, what hosts can hold beside all VMs.
    free: Vec<(usize, u64)>,
    /// The host that was found last.
    last: Cell<u32>,
}

/// Whether these VMs are frozen, and one of them is to be elsewhere.
pub(super) fn check(items: &Items<'_>, from: End, vms: &[u32]) -> Result<(), CertificateFault> {
    let terms = items.terms;
    if vms.iter().any(|vm| *vm as usize >= terms.task.vms.len()) {
        return Err(CertificateFault::Unknown);
    }
    if let Some(two) = vms.windows(2).find(|two| two[0] >= two[1]) {
        return Err(CertificateFault::Unordered { vm: terms.vm(two[1]).to_owned() });
    }
    for vm in vms {
        let members = &items.list[items.of_vm[*vm as usize]].vms;
        if let Some(other) = members.iter().find(|member| vms.binary_search(member).is_err()) {
            let name = |vm: u32| terms.vm(vm).to_owned();
            return Err(CertificateFault::HalfGroup { vm: name(*vm), other: name(*other) });
        }
    }
    let listed: Vec<usize> =
        (0..items.list.len()).filter(|i| vms.binary_search(&items.list[*i].vms[0]).is_ok()).collect();
    if listed.iter().all(|item| items.list[*item].from == items.list[*item].to) {
        return Err(CertificateFault::NothingToMove);
    }
    let frost = Frost::of(items, from, &listed);
    let moves = listed.iter().find_map(|item| Some((*item, frost.stirs(*item)?)));
    let Some((item, host)) = moves else { return Ok(()) };
    let (vm, host) = (items.name(item), terms.host(host).to_owned());
    Err(match from {
        End::A => CertificateFault::CanLeave { vm, host },
        End::B => CertificateFault::CanArrive { vm, host },
    })
}

/// For each item whether it moves on no route to B, as far as that can be told: the largest sets that are frozen, from A and from B.
pub(super) fn frozen(items: &Items<'_>) -> Vec<bool> {
    let mut never = vec![false; items.list.len()];
    for from in [End::A, End::B] {
        let mut left: Vec<usize> = (0..items.list.len()).collect();
        let mut frost = Frost::of(items, from, &left);
        loop {
            let (stirring, still): (Vec<usize>, Vec<usize>) =
                left.iter().partition(|item| frost.stirs(**item).is_some());
            left = still;
            if stirring.is_empty() {
                break;
            }
            stirring.iter().for_each(|item| frost.thaw(*item));
        }
        left.iter().for_each(|item| never[*item] = true);
    }
    never
}

impl<'i, 't> Frost<'i, 't> {
    fn of(items: &'i Items<'t>, from: End, listed: &[usize]) -> Self {
        let task = items.terms.task;
        let mut frost = Frost { items, from, load: vec![0; items.terms.len()], free: Vec::new(), last: Cell::new(0) };
        for item in listed {
            for (counter, weight) in items.counters(*item, frost.place(*item)) {
                frost.load[counter] += weight;
            }
        }
        for r in (0..task.resources.len()).filter(|r| task.resources[*r].holds == Holds::Always) {
            let mut in_a = vec![0; task.hosts.len()];
            task.vms.iter().for_each(|vm| in_a[vm.from as usize] += vm.size[r]);
            let can_hold = |(host, in_a): (&TaskHost, &u64)| match host.power {
                Power::Off => 0,
                // It never has more than in A.
                Power::SwitchOff { .. } => *in_a,
                Power::On | Power::SwitchOn { .. } if !host.takes => *in_a,
                Power::On | Power::SwitchOn { .. } => host.capacity[r].max(*in_a),
            };
            let held: u64 = task.hosts.iter().zip(&in_a).map(can_hold).sum();
            frost.free.push((r, held.saturating_sub(in_a.iter().sum())));
        }
        frost
    }

    fn place(&self, item: usize) -> u32 {
        match self.from {
            End::A => self.items.list[item].from,
            End::B => self.items.list[item].to,
        }
    }

    fn thaw(&mut self, item: usize) {
        for (counter, weight) in self.items.counters(item, self.place(item)) {
            self.load[counter] -= weight;
        }
    }

    /// A host that the item could move to before the others have moved, or come from after they have.
    fn stirs(&self, item: usize) -> Option<u32> {
        let (items, place) = (self.items, self.place(item));
        let vms = &items.list[item].vms;
        let asks = |r: usize| vms.iter().map(|vm| items.terms.task.vms[*vm as usize].size[r]).sum::<u64>();
        if items.list[item].stays || self.free.iter().any(|(r, free)| asks(*r) > *free) {
            return None;
        }
        let here = items.counters(item, place);
        // What counts it on both hosts counts it already.
        let room = |(counter, weight): (usize, u64)| {
            self.load[counter] + weight <= items.terms.limit(counter) || here.iter().any(|(other, _)| *other == counter)
        };
        let has_room = |host: u32| match vms[..] {
            [vm] => items.terms.counters(vm, host).all(room),
            _ => items.counters(item, host).into_iter().all(room),
        };
        let stirs = |host: &u32| *host != place && has_room(*host) && self.gates_allow(item, *host);
        // Where one item finds room the next one often does.
        let last = self.last.get();
        let found = if stirs(&last) { Some(last) } else { (0..items.terms.task.hosts.len() as u32).find(stirs) };
        found.inspect(|host| self.last.set(*host))
    }

    fn gates_allow(&self, item: usize, host: u32) -> bool {
        let (items, home, place) = (self.items, self.items.list[item].from, self.place(item));
        match self.from {
            End::A => items.fits(item, host) && items.steps_up(item, place, host),
            End::B => {
                // It has come to `host` from its place in A by steps up, or never left it.
                let may_be = host == home || (items.fits(item, host) && items.steps_up(item, home, host));
                may_be && items.fits(item, place) && items.steps_up(item, host, place)
            }
        }
    }
}
