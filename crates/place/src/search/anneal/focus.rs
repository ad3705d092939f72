//! After cooling: a few hosts at a time, again and again, from the best placement.
//!
//! Among all hosts the few that belong together are rarely drawn together: three VMs that must change places for one of them to stay at
//! home, say. Among two to eight hosts they are drawn soon. So some hosts are chosen, and only their VMs and they are drawn, from a
//! temperature of chance to a colder one; then all goes back to the best that was met. Half of the time the hosts are such that VMs
//! have moved between.
//!
//! Here leaving home costs more the warmer it is: a VM has one home and many other hosts, so chance alone would take it away, and
//! when it is cold a VM that need not be away finds no way back.

use super::super::cooling::falling;
use super::walk::Walk;

/// One part in so many of the work is kept for this.
pub(super) const SHARE: u64 = 5;
/// Placements weighed with the same hosts.
const EACH: u64 = 5_000;
/// So often the temperature falls meanwhile.
const LEVELS: u64 = 50;
/// How many hosts, at least and at most; one more where the last two are a VM's host and its home.
const HOSTS: (i64, i64) = (2, 8);
/// Where the temperature begins at least, and how far it falls, as powers of two.
const LEAST: u32 = 2;
const FALL: u32 = 5;
/// What leaving home costs more, in temperatures.
const PULL: i64 = 10;
/// So many VMs are drawn to find one that is away.
const TRIED: usize = 16;

impl Walk<'_> {
    /// See the module's text; `warm`: the temperature begins there at most. Whether it was told to stop.
    pub(super) fn focus(&mut self, warm: i64, stop: &dyn Fn() -> bool) -> bool {
        let (hosts, free) = (self.hosts.clone(), self.free.clone());
        self.go_back();
        self.pull = PULL;
        let warmest = warm.max(1).ilog2().max(LEAST);
        while self.evaluations < self.budget {
            if stop() {
                return true;
            }
            self.hosts = self.some_hosts(&hosts, &free);
            let vms = self.hosts.iter().flat_map(|host| self.state.on(*host)).copied();
            self.free = vms.filter(|vm| !self.state.problem().vms[*vm as usize].stays).collect();
            if self.free.is_empty() {
                self.evaluations += 1;
                continue;
            }
            let warm = self.dice.between(i64::from(LEAST), i64::from(warmest)) as u32;
            for temperature in falling(1 << warm, 1 << warm.saturating_sub(FALL), LEVELS as usize) {
                let until = self.budget.min(self.evaluations + EACH / LEVELS);
                while self.evaluations < until {
                    self.turn(i128::from(temperature));
                }
            }
            self.go_back();
        }
        false
    }

    /// Some of the hosts: any, or first those of VMs that are away, and their homes.
    fn some_hosts(&mut self, hosts: &[u32], free: &[u32]) -> Vec<u32> {
        let count = (self.dice.between(HOSTS.0, HOSTS.1) as usize).min(hosts.len());
        let mut some: Vec<u32> = Vec::with_capacity(count + 1);
        if self.dice.rarely(2) {
            for _ in 0..TRIED {
                let vm = free[self.dice.place(free.len())];
                let pair = [self.state.at(vm), self.state.problem().vms[vm as usize].at];
                if pair[0] != pair[1] && some.len() < count {
                    some.extend(pair);
                }
            }
        }
        some.sort_unstable();
        some.dedup();
        while some.len() < count {
            let host = hosts[self.dice.place(hosts.len())];
            if !some.contains(&host) {
                some.push(host);
            }
        }
        some
    }
}
