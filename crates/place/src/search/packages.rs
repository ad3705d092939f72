//! Moves in packages, the most rewarding first, so that the first few are a sound placement by themselves.
//!
//! Properties: (A) after each package the placement is sound; (B) each package brings something; (C) the gains add up to what is
//! gained; (D) a move that another one makes room for is in its package or comes after it.
//!
//! Method: moves that were found together begin as one unit, others by themselves. From the start placement on, units that lead to a
//! sound placement and bring something are made, those that bring most for each move first. When there are none left, a unit is joined
//! with those that make room for it, one after the other: a chain, short ones before long ones. If that helps nowhere, units from
//! the same hosts are joined, at last all. What then brings nothing is dropped.
//!
//! Complexity: moves × logarithm, times the few rounds until nothing changes; joining looks at every unit that is left, and at a chain of
//! n units in n² steps.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::cost::points;
use crate::placement::Placement;
use crate::problem::{Package, PlaceMove, Problem};

/// For comparing gains by moves.
const SCALE: i128 = 1 << 20;

/// So many units are joined with one another: short chains first. At last as many as it takes, from so many beginnings.
const CHAINS: [usize; 3] = [8, 64, usize::MAX];
const FIRSTS: usize = 16;

/// What the moves were split into.
pub(super) struct Split {
    pub packages: Vec<Package>,
    /// What the placement after all packages costs.
    pub after: i128,
    /// Whether moves were dropped.
    pub dropped: bool,
}

impl Split {
    /// Whether no package brings more for each move than the one before it.
    fn is_in_order(&self) -> bool {
        let part = |package: &Package, moves: usize| i128::from(package.gain).saturating_mul(moves as i128);
        self.packages.windows(2).all(|two| part(&two[0], two[1].moves.len()) >= part(&two[1], two[0].moves.len()))
    }

    /// How soon gains come: each as often as moves are made after it.
    fn head_start(&self) -> i128 {
        let (mut after, mut sum) = (0, 0i128);
        for package in self.packages.iter().rev() {
            sum = sum.saturating_add(i128::from(package.gain).saturating_mul(after));
            after += package.moves.len() as i128;
        }
        sum
    }
}

/// VMs that move together, ascending.
type Unit = Vec<u32>;

struct Splitter<'p, 'a> {
    state: Placement<'p>,
    target: &'a [u32],
    packages: Vec<Package>,
}

/// Splits the moves that lead to `target`; VMs that are named `together` moved together at some time.
pub(super) fn split(problem: &Problem, target: &[u32], together: &[Vec<u32>]) -> Split {
    of_units(problem, target, units(problem, target, together))
}

/// The same where nobody knows what moved together. Chains come late, when nothing pays by itself any more, though some bring more for each
/// move than what came before. So short chains are made at the beginning as well, and the packages of the better answer are put in order
/// once more, each as a unit.
pub(super) fn split_alone(problem: &Problem, target: &[u32]) -> Split {
    let alone = units(problem, target, &[]);
    let mut in_chains = alone.clone();
    let any = Splitter::new(problem, target).join_what_makes_room(&mut in_chains, CHAINS[0]);
    let mut split = of_units(problem, target, alone);
    if any {
        split = sooner(split, of_units(problem, target, in_chains));
    }
    if split.is_in_order() {
        return split;
    }
    let packages = split.packages.iter().map(|package| package.moves.iter().map(|it| it.vm).collect());
    let again = of_units(problem, target, packages.collect());
    // What was dropped before is in none of the packages.
    let dropped = split.dropped || again.dropped;
    Split { dropped, ..sooner(split, again) }
}

/// The one whose gains come sooner, if in the end it costs no more; of equals the first.
fn sooner(one: Split, other: Split) -> Split {
    if other.after <= one.after && other.head_start() > one.head_start() { other } else { one }
}

fn of_units(problem: &Problem, target: &[u32], mut units: Vec<Unit>) -> Split {
    let mut splitter = Splitter::new(problem, target);
    loop {
        splitter.make_what_pays(&mut units);
        let joined = CHAINS.into_iter().any(|longest| splitter.join_what_makes_room(&mut units, longest))
            || join_by_source(problem, &mut units)
            || (units.len() > 1 && join_all(&mut units));
        if !joined {
            return Split { packages: splitter.packages, after: splitter.state.total(), dropped: !units.is_empty() };
        }
    }
}

fn units(problem: &Problem, target: &[u32], together: &[Vec<u32>]) -> Vec<Unit> {
    let moved: Vec<u32> =
        (0..target.len() as u32).filter(|vm| target[*vm as usize] != problem.vms[*vm as usize].at).collect();
    join(moved.iter().map(|vm| vec![*vm]).collect(), together.iter().map(Vec::as_slice))
}

/// Joins units that have VMs in the same of the sets.
fn join<'s>(units: Vec<Unit>, sets: impl Iterator<Item = &'s [u32]>) -> Vec<Unit> {
    let unit_of: BTreeMap<u32, usize> =
        units.iter().enumerate().flat_map(|(i, vms)| vms.iter().map(move |vm| (*vm, i))).collect();
    let mut parent: Vec<usize> = (0..units.len()).collect();
    fn root(parent: &mut [usize], mut i: usize) -> usize {
        while parent[i] != i {
            parent[i] = parent[parent[i]];
            i = parent[i];
        }
        i
    }
    for set in sets {
        let mut of_set = set.iter().filter_map(|vm| unit_of.get(vm));
        let Some(first) = of_set.next() else { continue };
        for other in of_set {
            let (a, b) = (root(&mut parent, *first), root(&mut parent, *other));
            parent[a.max(b)] = a.min(b);
        }
    }
    let mut joined: BTreeMap<usize, Unit> = BTreeMap::new();
    for (i, vms) in units.into_iter().enumerate() {
        joined.entry(root(&mut parent, i)).or_default().extend(vms);
    }
    joined.into_values().map(sorted).collect()
}

fn join_by_source(problem: &Problem, units: &mut Vec<Unit>) -> bool {
    let mut from: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for vm in units.iter().flatten() {
        from.entry(problem.vms[*vm as usize].at).or_default().push(*vm);
    }
    let before = units.len();
    *units = join(std::mem::take(units), from.values().map(Vec::as_slice));
    units.len() < before
}

fn join_all(units: &mut Vec<Unit>) -> bool {
    *units = vec![sorted(units.concat())];
    true
}

fn together(units: &[Unit], members: &[usize]) -> Unit {
    members.iter().flat_map(|i| units[*i].iter().copied()).collect()
}

fn sorted(mut unit: Unit) -> Unit {
    unit.sort_unstable();
    unit
}

impl<'p, 'a> Splitter<'p, 'a> {
    fn new(problem: &'p Problem, target: &'a [u32]) -> Self {
        Splitter { state: Placement::new(problem), target, packages: Vec::new() }
    }

    /// What the unit would bring; `None`: it does not lead to a sound placement.
    fn gain(&mut self, unit: &[u32]) -> Option<i128> {
        let (sound, gain) = self.change(unit);
        sound.then_some(gain)
    }

    /// Whether the unit leads to a sound placement, and what it would bring.
    fn change(&mut self, unit: &[u32]) -> (bool, i128) {
        let (mark, before) = (self.state.mark(), self.state.total());
        self.shift(unit);
        let sound = unit.iter().all(|vm| self.state.is_sound_at(*vm));
        let gain = before - self.state.total();
        self.state.undo(mark);
        (sound, gain)
    }

    fn shift(&mut self, unit: &[u32]) {
        for vm in unit {
            self.state.shift(*vm, self.target[*vm as usize]);
        }
    }

    /// Gain for each move of a unit that may be made and pays.
    fn worth(&mut self, unit: &[u32]) -> Option<i128> {
        self.gain(unit).filter(|gain| *gain > 0).map(|gain| gain.saturating_mul(SCALE) / unit.len() as i128)
    }

    fn make(&mut self, unit: Unit) {
        let before = self.state.total();
        self.shift(&unit);
        let gain = points(before - self.state.total());
        let moves = unit.iter().map(|vm| PlaceMove { vm: *vm, to: self.target[*vm as usize] }).collect();
        self.packages.push(Package { moves, gain });
    }

    /// Makes units that pay, the most rewarding ones first, until none is left. A unit's worth is reckoned anew when its turn is.
    fn make_what_pays(&mut self, units: &mut Vec<Unit>) {
        let mut any = true;
        while any {
            any = false;
            let mut left: Vec<Option<Unit>> = std::mem::take(units).into_iter().map(Some).collect();
            let mut heap = BinaryHeap::new();
            for (i, unit) in left.iter().enumerate() {
                if let Some(worth) = unit.as_ref().and_then(|unit| self.worth(unit)) {
                    heap.push((worth, Reverse(i)));
                }
            }
            while let Some((_, i)) = heap.pop() {
                let Some(unit) = left[i.0].take() else { continue };
                match self.worth(&unit) {
                    Some(worth) if heap.peek().is_none_or(|next| (worth, i) >= *next) => {
                        self.make(unit);
                        any = true;
                    }
                    worth => {
                        left[i.0] = Some(unit);
                        heap.extend(worth.map(|worth| (worth, i)));
                    }
                }
            }
            *units = left.into_iter().flatten().collect();
        }
    }

    /// Joins units with those that make room for them, so that together they may be made and pay; the most rewarding first. Whether
    /// there was one. At most `longest` are joined, and where that is no limit only one such chain is made.
    fn join_what_makes_room(&mut self, units: &mut Vec<Unit>, longest: usize) -> bool {
        let problem = self.state.problem();
        let mut leaving: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (i, vm) in units.iter().enumerate().flat_map(|(i, unit)| unit.iter().map(move |vm| (i, *vm))) {
            leaving.entry(problem.vms[vm as usize].at).or_default().push(i);
        }
        let mut found: Vec<(Reverse<i128>, usize, usize, Vec<usize>)> = Vec::new();
        for first in self.firsts(units, longest) {
            if let Some((worth, members)) = self.with_room(units, first, &leaving, longest) {
                found.push((Reverse(worth), members.len(), first, members));
                if longest == usize::MAX {
                    break;
                }
            }
        }
        found.sort_unstable();
        let mut left: Vec<Option<Unit>> = std::mem::take(units).into_iter().map(Some).collect();
        let mut any = false;
        for (.., members) in found {
            if members.iter().all(|i| left[*i].is_some()) {
                let joined = members.iter().filter_map(|i| left[*i].take()).flatten().collect();
                units.push(sorted(joined));
                any = true;
            }
        }
        units.extend(left.into_iter().flatten());
        any
    }

    /// Where chains begin: at all units, or if they may become long at those that bring most.
    fn firsts(&mut self, units: &[Unit], longest: usize) -> Vec<usize> {
        let mut firsts: Vec<usize> = (0..units.len()).collect();
        if longest == usize::MAX {
            firsts.sort_by_cached_key(|i| (Reverse(self.change(&units[*i]).1), *i));
            firsts.truncate(FIRSTS);
        }
        firsts
    }

    /// The unit and those that make room for it, if they pay together, and how much for each move.
    fn with_room(
        &mut self,
        units: &[Unit],
        first: usize,
        leaving: &BTreeMap<u32, Vec<usize>>,
        longest: usize,
    ) -> Option<(i128, Vec<usize>)> {
        let mark = self.state.mark();
        let mut members = vec![first];
        self.shift(&units[first]);
        while let Some(stuck) = self.stuck(units, &members) {
            let helper = if members.len() < longest { self.helper(units, &members, stuck, leaving) } else { None };
            let Some(helper) = helper else {
                self.state.undo(mark);
                return None;
            };
            members.push(helper);
            self.shift(&units[helper]);
        }
        // A helper that a later one made needless goes its own way.
        for i in (1..members.len()).rev() {
            let (helper, mark) = (members.remove(i), self.state.mark());
            for vm in &units[helper] {
                self.state.shift(*vm, self.state.problem().vms[*vm as usize].at);
            }
            if self.stuck(units, &members).is_some() {
                members.insert(i, helper);
                self.state.undo(mark);
            }
        }
        self.state.undo(mark);
        if members.len() < 2 {
            return None;
        }
        Some((self.worth(&together(units, &members))?, members))
    }

    /// A VM of the units that is not sound where it is.
    fn stuck(&self, units: &[Unit], members: &[usize]) -> Option<u32> {
        members.iter().flat_map(|i| &units[*i]).find(|vm| !self.state.is_sound_at(**vm)).copied()
    }

    /// Who makes room for the VM that is stuck: one whose VMs find room where they go goes before others, then small ones.
    fn helper(
        &mut self,
        units: &[Unit],
        members: &[usize],
        stuck: u32,
        leaving: &BTreeMap<u32, Vec<usize>>,
    ) -> Option<usize> {
        let helpers = self.helpers(stuck, leaving).into_iter().filter(|i| !members.contains(i));
        helpers.min_by_key(|i| {
            let mark = self.state.mark();
            self.shift(&units[*i]);
            let stuck = units[*i].iter().filter(|vm| !self.state.is_sound_at(**vm)).count();
            self.state.undo(mark);
            (stuck, units[*i].len(), self.move_costs(&units[*i]), *i)
        })
    }

    fn move_costs(&self, unit: &[u32]) -> i128 {
        unit.iter().map(|vm| i128::from(self.state.problem().vms[*vm as usize].move_cost)).sum()
    }

    /// Units that take something away from where the VM is stuck: from its host, or from the domains of its relations.
    fn helpers(&self, stuck: u32, leaving: &BTreeMap<u32, Vec<usize>>) -> Vec<usize> {
        let (state, problem) = (&self.state, self.state.problem());
        let host = state.at(stuck);
        if state.cramped(host).is_some() {
            return leaving.get(&host).cloned().unwrap_or_default();
        }
        let relations = state.relations(stuck).iter().map(|i| &problem.relations[*i as usize]);
        let others = relations.filter(|it| it.points.is_none()).flat_map(|it| &it.vms);
        let hosts = others.filter(|vm| **vm != stuck && state.is_home(**vm)).map(|vm| state.at(*vm));
        let mut helpers: Vec<usize> = hosts.filter_map(|host| leaving.get(&host)).flatten().copied().collect();
        helpers.sort_unstable();
        helpers.dedup();
        helpers
    }
}
