//! A placement that changes at random, ever more reluctantly, and the best that it was.
//!
//! Of two VMs that are drawn the larger one moves: what is large decides most, and is rarely drawn. And VMs that were moved are offered
//! their homes again and again: among all hosts a home would hardly ever be drawn, and moves that bring nothing would stay, and with them
//! what they keep on the hosts that they come from.

use super::super::cooling::falling;
use crate::cost::points;
use crate::dice::Dice;
use crate::placement::Placement;
use crate::problem::Effort;

/// After so many evaluations it is asked whether to stop, and the temperature falls.
const BLOCK: u64 = 4096;

/// Where the temperature begins, in the median of what makes the descent's placement worse, and where it ends, in parts of that median.
/// It is a half-value: so much worse is taken half as often.
const WARM: i64 = 3;
const COLD: i64 = 100;
/// So often the temperature falls.
const LEVELS: u64 = 1 << 14;

/// One move in so many leads home.
const HOME: i64 = 4;
/// One move in so many that finds no room is tried as a bundle, and one in so many of the others as a chain.
const BUNDLES: i64 = 4;
const CHAINS: i64 = 2;

/// See the module's text.
pub(super) struct Walk<'p> {
    pub state: Placement<'p>,
    pub dice: Dice,
    /// VMs that are drawn: those that may go anywhere.
    pub free: Vec<u32>,
    /// Hosts that are drawn.
    pub hosts: Vec<u32>,
    /// How large each VM is.
    bulk: Vec<u64>,
    /// So many VMs may be elsewhere.
    moves: u64,
    pub budget: u64,
    pub evaluations: u64,
    pub best: Vec<u32>,
    least: i128,
    /// What leaving home costs more, in temperatures.
    pub pull: i64,
    /// VMs that may be elsewhere than in the best.
    since: Vec<u32>,
}

/// What all cost, and how many VMs were away, before a change of several VMs; and the place in the record.
#[derive(Clone, Copy)]
pub(super) struct Stand {
    pub mark: usize,
    total: i128,
    away: u32,
}

/// A change that is drawn.
#[derive(Clone, Copy)]
enum Change {
    Shift(u32, u32),
    Swap(u32, u32),
}

impl<'p> Walk<'p> {
    pub fn new(state: Placement<'p>, bulk: Vec<u64>, effort: &Effort, seed: u64, evaluations: u64) -> Self {
        let vms = &state.problem().vms;
        Walk {
            dice: Dice(seed),
            free: (0..vms.len() as u32).filter(|vm| !vms[*vm as usize].stays).collect(),
            hosts: (0..state.problem().hosts.len() as u32).collect(),
            bulk,
            moves: u64::from(effort.moves),
            budget: effort.evaluations - effort.evaluations / 50,
            evaluations,
            best: state.all().to_vec(),
            least: state.total(),
            pull: 0,
            since: Vec::new(),
            state,
        }
    }

    /// Whether there is anything to draw.
    pub fn may_change(&self) -> bool {
        !self.free.is_empty() && self.hosts.len() > 1
    }

    /// From warm to cold over the whole of the placement, until so many are weighed. Whether it was told to stop.
    pub fn cool(&mut self, median: i64, budget: u64, stop: &dyn Fn() -> bool) -> bool {
        let temperatures = falling(median.saturating_mul(WARM), median / COLD, LEVELS as usize);
        let (begun, work) = (self.evaluations, budget.saturating_sub(self.evaluations));
        while self.evaluations < budget {
            if stop() {
                return true;
            }
            let level = u128::from(self.evaluations - begun) * u128::from(LEVELS) / u128::from(work);
            let temperature = i128::from(temperatures[level as usize]);
            let until = budget.min(self.evaluations + BLOCK);
            while self.evaluations < until {
                self.turn(temperature);
            }
        }
        false
    }

    /// Draws a change, and makes it if it is taken.
    pub fn turn(&mut self, temperature: i128) {
        self.evaluations += 1;
        let change = self.draw();
        match (self.weigh(change), change) {
            (Some(delta), _) if self.takes(delta, self.leaves(change), temperature) => self.make(change, delta),
            (None, Change::Shift(vm, to)) if self.state.at(vm) != to && self.state.may_be_on(vm, to) => {
                if self.dice.rarely(BUNDLES) {
                    self.bundle(vm, to, temperature);
                } else if self.dice.rarely(CHAINS) {
                    self.chain(vm, to, temperature);
                }
            }
            _ => {}
        }
    }

    fn draw(&mut self) -> Change {
        let (one, other) = (self.draw_vm(), self.draw_vm());
        if self.dice.rarely(2) {
            return Change::Swap(one, other);
        }
        let vm = if self.bulk[other as usize] > self.bulk[one as usize] { other } else { one };
        let leads_home = !self.state.is_home(vm) && self.dice.rarely(HOME);
        Change::Shift(vm, if leads_home { self.state.problem().vms[vm as usize].at } else { self.draw_host() })
    }

    fn draw_vm(&mut self) -> u32 {
        self.free[self.dice.place(self.free.len())]
    }

    pub fn draw_host(&mut self) -> u32 {
        self.hosts[self.dice.place(self.hosts.len())]
    }

    fn weigh(&self, change: Change) -> Option<i128> {
        let delta = match change {
            Change::Shift(vm, to) => self.state.shift_delta(vm, to)?,
            Change::Swap(one, other) => self.state.swap_delta(one, other)?,
        };
        let leaves = match change {
            Change::Shift(vm, _) => u64::from(self.state.is_home(vm)),
            Change::Swap(one, other) => u64::from(self.state.is_home(one)) + u64::from(self.state.is_home(other)),
        };
        (leaves == 0 || u64::from(self.state.away()) + leaves <= self.moves).then_some(delta)
    }

    /// How many VMs more are away after the change.
    fn leaves(&self, change: Change) -> i64 {
        let one = |vm: u32, to: u32| i64::from(self.state.is_home(vm)) - i64::from(self.state.is_home_of(vm, to));
        match change {
            Change::Shift(vm, to) => one(vm, to),
            Change::Swap(a, b) => one(a, self.state.at(b)) + one(b, self.state.at(a)),
        }
    }

    /// Whether a change is made that costs so much more and takes so many VMs from home.
    fn takes(&mut self, delta: i128, leaves: i64, temperature: i128) -> bool {
        let delta = delta + i128::from(leaves * self.pull) * temperature;
        delta <= 0 || delta <= (temperature * i128::from(self.dice.exponential())) >> 16
    }

    fn make(&mut self, change: Change, delta: i128) {
        match change {
            Change::Shift(vm, to) => {
                self.state.step(vm, to, delta);
                self.since.push(vm);
            }
            Change::Swap(one, other) => {
                self.state.exchange(one, other, delta);
                self.since.extend([one, other]);
            }
        }
        self.remember();
    }

    /// Before a change of several VMs.
    pub fn stand(&self) -> Stand {
        Stand { mark: self.state.mark(), total: self.state.total(), away: self.state.away() }
    }

    /// Keeps what was done since then if it is sound and taken; else takes it back.
    pub fn conclude(&mut self, before: Stand, temperature: i128) {
        let mark = before.mark;
        let sound = self.state.done_since(mark).all(|vm| self.state.is_sound_at(vm));
        let allowed = sound && u64::from(self.state.away()) <= self.moves;
        let leaves = i64::from(self.state.away()) - i64::from(before.away);
        if !allowed || !self.takes(self.state.total() - before.total, leaves, temperature) {
            self.state.undo(mark);
            return;
        }
        self.since.extend(self.state.done_since(mark));
        self.remember();
    }

    /// Keeps what is the best so far.
    fn remember(&mut self) {
        if self.state.total() < self.least {
            self.least = self.state.total();
            if self.since.len() > self.best.len() {
                self.best.copy_from_slice(self.state.all());
            } else {
                self.since.iter().for_each(|vm| self.best[*vm as usize] = self.state.at(*vm));
            }
            self.since.clear();
        } else if self.since.len() > 2 * self.best.len() {
            // All are copied then, and it does not matter which they are.
            self.since.truncate(self.best.len() + 1);
        }
    }

    /// Back to the best.
    pub fn go_back(&mut self) {
        if self.since.len() > self.best.len() {
            self.since = (0..self.best.len() as u32).collect();
        }
        for vm in std::mem::take(&mut self.since) {
            self.state.shift(vm, self.best[vm as usize]);
        }
    }

    /// The median of what makes it worse; 1 if nothing does: what is possible brings nothing then, but several VMs may at once.
    pub fn median(&mut self) -> i64 {
        let mut worse = Vec::new();
        let until = self.evaluations + (self.budget.saturating_sub(self.evaluations) / 10).min(100_000);
        while worse.len() < 2_000 && self.evaluations < until {
            self.evaluations += 1;
            let change = self.draw();
            worse.extend(self.weigh(change).filter(|delta| *delta > 0));
        }
        worse.sort_unstable();
        worse.get(worse.len() / 2).map_or(1, |it| points(*it))
    }
}
