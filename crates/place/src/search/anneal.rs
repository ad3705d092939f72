//! A much cheaper placement, where there is time: simulated annealing.
//!
//! Properties:
//! (A) the answer is sound, costs no more than the start, and no more VMs than the limit are elsewhere;
//! (B) the same question, work and seed give the same answer, unless it was told to stop;
//! (C) anytime: whoever tells it to stop gets the best so far.
//!
//! Method: a quick descent first. Then changes are drawn at random: one VM goes to another host, or two VMs change places.
//! What lowers the cost is made; what raises it is made with probability `exp(-more / temperature)`. The temperature falls from what makes
//! a good part of the changes likely to what makes none likely, by the same factor for each part of the work (Kirkpatrick, Gelatt,
//! Vecchi 1983). Where it begins and ends is learnt from changes of the descent's placement. At last a descent from the best.
//!
//! Complexity: each change that is drawn is one evaluation, whether it is possible or not, see [`Placement`]; memory as a placement.

use super::{Search, descend, packages, repair, shift};
use crate::cost::points;
use crate::placement::Placement;
use crate::problem::{Effort, Found, Points, Problem};

/// How much work annealing may do, and which of the many answers is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Annealing {
    /// Placements that are weighed, descents included.
    pub evaluations: u64,
    /// VMs that may be elsewhere at the end.
    pub moves: u32,
    /// Where the random numbers begin: other seeds give other answers.
    pub seed: u64,
}

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

/// Where the temperature begins and ends, in the median of what makes the descent's placement worse.
const WARM: f64 = 4.0;
const COLD: f64 = 0.004;

/// Looks for a cheaper placement. `stop` is asked every some thousand evaluations. See the module's text.
///
/// # Panics
/// If the problem has a [`Problem::flaw`].
pub fn anneal(problem: &Problem, work: &Annealing, stop: &dyn Fn() -> bool) -> Annealed {
    assert_eq!(problem.flaw(), None, "a sound question");
    // The descent is quick, and must leave most of the work to what follows.
    let effort = Effort { evaluations: work.evaluations / 10, moves: work.moves };
    let mut search = Search::new(problem, &effort);
    let before = points(search.state.total());
    repair::run(&mut search);
    settle(&mut search, stop);
    let mut walk = Walk::new(search.state, work, search.evaluations);
    let stopped = walk.cool(stop);
    let (best, done) = (walk.best, walk.evaluations);
    let mut search = Search::new(problem, &Effort { evaluations: work.evaluations.saturating_sub(done), ..effort });
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

/// Descends, and lets VMs go home whose move brings nothing.
fn settle(search: &mut Search<'_>, stop: &dyn Fn() -> bool) {
    loop {
        while !stop() && descend(search) {}
        if stop() || !shift::home(search) || search.spent() {
            return;
        }
    }
}

/// Random numbers: xorshift64* (Vigna 2016), begun by splitmix64.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Dice((z ^ (z >> 31)).max(1))
    }
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
    /// Two numbers below the bounds, from one draw.
    fn two(&mut self, one: u32, other: u32) -> (u32, u32) {
        let bits = self.next();
        let below = |bits: u64, bound: u32| ((bits * u64::from(bound)) >> 32) as u32;
        (below(bits >> 32, one), below(bits & 0xFFFF_FFFF, other))
    }
    /// Above 0, at most 1.
    fn part(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
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
    fn new(state: Placement<'p>, work: &Annealing, evaluations: u64) -> Self {
        let vms = &state.problem().vms;
        Walk {
            dice: Dice::new(work.seed),
            free: (0..vms.len() as u32).filter(|vm| !vms[*vm as usize].stays).collect(),
            moves: u64::from(work.moves),
            budget: work.evaluations - work.evaluations / 50,
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
        let Some((warm, cold)) = self.temperatures(vms, hosts) else { return false };
        let begun = self.evaluations;
        while self.evaluations < self.budget {
            if stop() {
                return true;
            }
            let part = (self.evaluations - begun) as f64 / (self.budget - begun) as f64;
            let temperature = warm * (cold / warm).powf(part);
            for _ in 0..BLOCK.min(self.budget - self.evaluations) {
                self.evaluations += 1;
                let change = self.draw(vms, hosts);
                let Some(delta) = self.weigh(change) else { continue };
                if delta <= 0 || (delta as f64) < -temperature * self.dice.part().ln() {
                    self.make(change, delta);
                }
            }
        }
        false
    }

    fn draw(&mut self, vms: u32, hosts: u32) -> Change {
        let swap = self.dice.0 >> 63 == 1;
        if swap {
            let (one, other) = self.dice.two(vms, vms);
            Change::Swap(self.free[one as usize], self.free[other as usize])
        } else {
            let (vm, host) = self.dice.two(vms, hosts);
            Change::Shift(self.free[vm as usize], host)
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

    /// Where to begin and where to end; `None`: nothing makes it worse.
    fn temperatures(&mut self, vms: u32, hosts: u32) -> Option<(f64, f64)> {
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
        let median = *worse.get(worse.len() / 2)? as f64;
        Some((WARM * median, COLD * median))
    }
}
