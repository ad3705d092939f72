//! A much cheaper placement, where there is time: simulated annealing.
//!
//! Properties:
//! (A) the answer is sound, costs no more than the start, and no more VMs than the limit are elsewhere;
//! (B) the same question, work and seed give the same answer, unless it was told to stop;
//! (C) anytime: whoever tells it to stop gets the best so far.
//!
//! Method: a quick descent first. Then changes are drawn at random: one VM goes to another host, or two VMs change places, or, where a
//! host has no room for one, others go back for it until it has: what is large finds no place else.
//! What lowers the cost is made; what raises it is made with probability `2 ^ -(more / temperature)`. The temperature falls from what makes
//! a good part of the changes likely to what makes none likely, by the same factor for each part of the work (Kirkpatrick, Gelatt,
//! Vecchi 1983). Where it begins and ends is learnt from changes of the descent's placement. At last a descent from the best.
//!
//! Complexity: each change that is drawn is one evaluation, whether it is possible or not, see [`Placement`]; memory as a placement.

use super::cooling::falling;
use super::{Search, packages, repair, settle};
use crate::cost::points;
use crate::dice::Dice;
use crate::placement::Placement;
use crate::problem::{Effort, Found, Points, Problem};

/// What annealing has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annealed {
    /// The host of each VM.
    pub at: Vec<u32>,
    /// What the present placement costs.
    pub before: Points,
    /// What the new one costs, moves included.
    pub after: Points,
    /// Placements that were weighed.
    pub evaluations: u64,
    /// Whether it was told to stop before the work was done.
    pub stopped: bool,
}

impl Annealed {
    /// The same as packages that are sound one after another. What cannot be put in such an order, or brings nothing in it,
    /// is left out; so this may cost more than [`Annealed::after`].
    ///
    /// # Panics
    /// If this is not an answer to the problem.
    pub fn in_packages(&self, problem: &Problem) -> Found {
        let split = packages::split(problem, &self.at, &[]);
        Found {
            packages: split.packages,
            before: self.before,
            after: points(split.after),
            evaluations: self.evaluations,
            settled: false,
        }
    }
}

/// After so many evaluations it is asked whether to stop, and the temperature falls.
const BLOCK: u64 = 4096;

/// Where the temperature begins, in the median of what makes the descent's placement worse, and where it ends, in parts of that median.
/// It is a half-value: so much worse is taken half as often.
const WARM: i64 = 3;
const COLD: i64 = 400;
/// One change in so many that may not be is tried as a bundle.
const BUNDLES: i64 = 4;
/// So many VMs are tried as those that go back.
const TRIED: usize = 16;
/// So often the temperature falls.
const LEVELS: u64 = 1 << 14;

/// Looks for a cheaper placement. Each `seed` begins another series of random numbers, and so gives another answer; `stop` is asked every
/// some thousand evaluations. See the module's text.
///
/// # Panics
/// If the problem has a [`Problem::flaw`].
pub fn anneal(problem: &Problem, effort: &Effort, seed: u64, stop: &dyn Fn() -> bool) -> Annealed {
    assert_eq!(problem.flaw(), None, "a sound question");
    // The descent is quick, and must leave most of the work to what follows.
    let mut search = Search::new(problem, &Effort { evaluations: effort.evaluations / 10, ..*effort });
    let before = points(search.state.total());
    repair::run(&mut search);
    settle(&mut search, stop);
    let mut walk = Walk::new(search.state, effort, seed, search.evaluations);
    let stopped = walk.cool(stop);
    let (best, done) = (walk.best, walk.evaluations);
    let mut search = Search::new(problem, &Effort { evaluations: effort.evaluations.saturating_sub(done), ..*effort });
    // From far placements soundness is not reached move by move, so the state is set, and the descent begins there.
    for (vm, host) in best.iter().enumerate() {
        search.shift(vm as u32, *host);
    }
    settle(&mut search, stop);
    Annealed {
        at: search.state.all().to_vec(),
        before,
        after: points(search.state.total()),
        evaluations: done + search.evaluations,
        stopped,
    }
}

/// A placement that changes at random, and the best that it was.
struct Walk<'p> {
    state: Placement<'p>,
    dice: Dice,
    /// VMs that may go anywhere.
    free: Vec<u32>,
    moves: u64,
    budget: u64,
    evaluations: u64,
    best: Vec<u32>,
    least: i128,
    /// VMs that may be elsewhere than in the best.
    since: Vec<u32>,
}

/// A change that is drawn.
#[derive(Clone, Copy)]
enum Change {
    Shift(u32, u32),
    Swap(u32, u32),
}

impl<'p> Walk<'p> {
    fn new(state: Placement<'p>, effort: &Effort, seed: u64, evaluations: u64) -> Self {
        let vms = &state.problem().vms;
        Walk {
            dice: Dice(seed),
            free: (0..vms.len() as u32).filter(|vm| !vms[*vm as usize].stays).collect(),
            moves: u64::from(effort.moves),
            budget: effort.evaluations - effort.evaluations / 50,
            evaluations,
            best: state.all().to_vec(),
            least: state.total(),
            since: Vec::new(),
            state,
        }
    }

    /// From warm to cold. Whether it was told to stop.
    fn cool(&mut self, stop: &dyn Fn() -> bool) -> bool {
        let (vms, hosts) = (self.free.len() as u32, self.state.problem().hosts.len() as u32);
        if vms == 0 || hosts < 2 {
            return false;
        }
        let Some(median) = self.median(vms, hosts) else { return false };
        let temperatures = falling(median.saturating_mul(WARM), median / COLD, LEVELS as usize);
        let (begun, work) = (self.evaluations, self.budget.saturating_sub(self.evaluations));
        while self.evaluations < self.budget {
            if stop() {
                return true;
            }
            let level = u128::from(self.evaluations - begun) * u128::from(LEVELS) / u128::from(work);
            let temperature = i128::from(temperatures[level as usize]);
            for _ in 0..BLOCK.min(self.budget - self.evaluations) {
                self.evaluations += 1;
                let change = self.draw(vms, hosts);
                match (self.weigh(change), change) {
                    (Some(delta), _) if self.takes(delta, temperature) => self.make(change, delta),
                    (None, Change::Shift(vm, to)) if self.dice.rarely(BUNDLES) => self.bundle(vm, to, temperature),
                    _ => {}
                }
            }
        }
        false
    }

    /// A VM, and a host or another VM, by one draw of bits.
    fn draw(&mut self, vms: u32, hosts: u32) -> Change {
        let bits = self.dice.bits();
        let below = |bits: u64, bound: u32| ((bits & 0x7FFF_FFFF) * u64::from(bound)) >> 31;
        let vm = |bits: u64| self.free[below(bits, vms) as usize];
        if bits >> 63 == 1 {
            Change::Swap(vm(bits), vm(bits >> 31))
        } else {
            Change::Shift(vm(bits), below(bits >> 31, hosts) as u32)
        }
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

    /// Whether a change is made that costs so much more.
    fn takes(&mut self, delta: i128, temperature: i128) -> bool {
        delta <= 0 || delta <= (temperature * i128::from(self.dice.exponential())) >> 16
    }

    /// The VM goes to the host, and others of that host go back to where it came from until there is room.
    fn bundle(&mut self, vm: u32, to: u32, temperature: i128) {
        let from = self.state.at(vm);
        if from == to || !self.state.may_be_on(vm, to) {
            return;
        }
        let on = self.state.on(to);
        let first = if on.is_empty() { 0 } else { self.dice.place(on.len()) };
        let others: Vec<u32> = on[first..].iter().chain(&on[..first]).take(TRIED).copied().collect();
        let (mark, before) = (self.state.mark(), self.state.total());
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
        let sound = self.state.is_sound_at(vm) && u64::from(self.state.away()) <= self.moves;
        if !sound || !self.takes(self.state.total() - before, temperature) {
            self.state.undo(mark);
            return;
        }
        self.since.extend(self.state.done_since(mark));
        self.remember();
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

    /// The median of what makes it worse; `None`: nothing does.
    fn median(&mut self, vms: u32, hosts: u32) -> Option<i64> {
        let mut worse = Vec::new();
        for _ in 0..100_000 {
            if worse.len() == 2_000 || self.evaluations >= self.budget {
                break;
            }
            self.evaluations += 1;
            let change = self.draw(vms, hosts);
            worse.extend(self.weigh(change).filter(|delta| *delta > 0));
        }
        worse.sort_unstable();
        worse.get(worse.len() / 2).map(|it| points(*it))
    }
}
