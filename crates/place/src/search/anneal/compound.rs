//! Changes of several VMs at once, for one that finds no room.

use super::walk::Walk;

/// So many VMs are tried as those that leave for another one.
const TRIED: usize = 16;
/// So many VMs follow one another in a chain at most, the first left out.
const LINKS: usize = 3;
/// So many hosts are tried as the end of a chain.
const ENDS: usize = 5;

impl Walk<'_> {
    /// The VM goes to the host, and others of that host go back to where it came from until there is room: so large ones find a place.
    pub fn bundle(&mut self, vm: u32, to: u32, temperature: i128) {
        let (from, others) = (self.state.at(vm), self.some_on(to));
        let before = self.stand();
        self.state.shift(vm, to);
        for other in others {
            if self.state.cramped(to).is_none() {
                break;
            }
            self.evaluations += 1;
            if self.state.shift_delta(other, from).is_some() {
                self.state.shift(other, from);
            }
        }
        self.conclude(before, temperature);
    }

    /// The VM goes to the host, one that leaves room enough goes from there to another host, and so on until one finds room.
    pub fn chain(&mut self, vm: u32, to: u32, temperature: i128) {
        let from = self.state.at(vm);
        let before = self.stand();
        let (mut guest, mut host) = (vm, to);
        for _ in 0..LINKS {
            let Some(next) = self.makes_room(guest, host) else { break };
            self.state.shift(guest, host);
            let (end, found) = self.end_for(next, from);
            if found {
                self.state.shift(next, end);
                return self.conclude(before, temperature);
            }
            if end == host || !self.state.may_be_on(next, end) {
                break;
            }
            (guest, host) = (next, end);
        }
        self.state.undo(before.mark);
    }

    /// A host for the VM, and whether it may go there: its home, or where the chain began, or any; else the last that was tried.
    fn end_for(&mut self, vm: u32, first: u32) -> (u32, bool) {
        let mut host = if self.state.is_home(vm) { first } else { self.state.problem().vms[vm as usize].at };
        for i in 0..ENDS {
            if i > 0 {
                host = self.draw_host();
            }
            self.evaluations += 1;
            if self.state.shift_delta(vm, host).is_some() {
                return (host, true);
            }
        }
        (host, false)
    }

    /// A VM of the host whose leaving makes room for the guest.
    fn makes_room(&mut self, guest: u32, host: u32) -> Option<u32> {
        self.evaluations += 1;
        let mut others = self.some_on(host).into_iter();
        others.find(|other| *other != guest && self.state.has_room(guest, host, Some(*other)))
    }

    /// VMs of the host, from any of them on.
    fn some_on(&mut self, host: u32) -> Vec<u32> {
        let on = self.state.on(host);
        let first = if on.is_empty() { 0 } else { self.dice.place(on.len()) };
        on[first..].iter().chain(&on[..first]).take(TRIED).copied().collect()
    }
}
