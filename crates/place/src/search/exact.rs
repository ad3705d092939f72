//! What several VMs can bring together, where a question is small: a few of them are taken off their hosts and put back in the best way.
//!
//! Properties: the result is sound and costs less, or nothing is done.
//!
//! Abstraction: the same question with one host more, *nowhere*, where nobody may stay; what VMs pay there is given back.
//!
//! Method: a large neighbourhood search (Shaw 1998). Some VMs are chosen that have to do with each other: of the same hosts, of the same
//! relations, all of a few hosts, those around a VM that pays for where it is, or any. From nowhere they are put back depth first, the
//! largest first, each to its cheapest hosts first; a branch is left when what it costs already, and what the others cost at least by
//! themselves, is as much as the best. How many VMs are chosen grows while nothing is found; where all can be chosen at once that is
//! done first, and is all. Terms that cost less with a VM than without it would need other bounds: questions with such are left alone.
//!
//! Complexity: [`WORK`] placements weighed at most.

use ulm_model::HostIx;
use ulm_rules::HostSet;

use super::Search;
use crate::dice::Dice;
use crate::placement::Placement;
use crate::problem::{PlaceHost, Problem, Relation, RelationKind, Sharing};

/// Questions with more VMs that may move are left alone: by chance their VMs have nothing to do with each other.
const VMS: usize = 1_000;
/// Placements weighed at most in all: where VMs are moved anyway, and where nothing else has asked for a move, which is so most of the time.
const WORK: u64 = 1_000_000;
const WORK_AT_REST: u64 = 20_000;
/// The same for one choice of VMs.
const WORK_OF_ONE: u64 = 20_000;
/// So many VMs are chosen, at first and at most.
const FEWEST: usize = 5;
const MOST: usize = 12;
/// After so many choices without success one VM more is chosen, and after so many in a row it ends.
const PATIENCE: u32 = 20;
const ALL_PATIENCE: u32 = 400;
/// So many hosts are tried for a VM, the cheapest.
const HOSTS: usize = 16;

/// Whether anything was found.
pub(super) fn run(search: &mut Search<'_>) -> bool {
    let problem = search.problem();
    let free: Vec<u32> = (0..problem.vms.len() as u32).filter(|vm| !problem.vms[*vm as usize].stays).collect();
    if free.is_empty() || free.len() > VMS || search.state.total() == 0 || !bears_nowhere(problem) {
        return false;
    }
    let left = search.effort.evaluations.saturating_sub(search.evaluations);
    let work = if search.state.away() == 0 { WORK_AT_REST } else { WORK };
    let wider = with_nowhere(problem);
    let mut state = Placement::new(&wider);
    search.state.all().iter().enumerate().for_each(|(vm, host)| state.shift(vm as u32, *host));
    let nowhere = problem.hosts.len() as u32;
    let dice = Dice(free.len() as u64);
    let mut hand =
        Hand { state, free, nowhere, moves: search.effort.moves, dice, weighed: 0, best: 0, places: Vec::new() };
    let better = hand.play(left.min(work));
    search.evaluations += hand.weighed;
    for vms in &better {
        vms.iter().for_each(|vm| search.shift(*vm, hand.state.at(*vm)));
    }
    let found = !better.is_empty();
    search.together.extend(better);
    found
}

/// Whether what a placement costs without a VM is no more than with it.
fn bears_nowhere(problem: &Problem) -> bool {
    let at_least = problem.relations.iter().any(|it| matches!(it.kind, RelationKind::AtLeast(_)));
    let transient = problem.transient.contains(&true);
    let lifting = problem.excesses.iter().any(|it| it.parts.iter().any(|(_, factor)| *factor < 0));
    problem.dependencies.is_empty() && problem.disruption.is_none() && !at_least && !transient && !lifting
}

/// The question with a host more, the last one, that costs nothing itself and that nobody may go to.
fn with_nowhere(problem: &Problem) -> Problem {
    let mut wider = problem.clone();
    let resources = problem.resources;
    wider.hosts.push(PlaceHost {
        capacity: vec![i64::MAX; resources],
        base: vec![0; resources],
        ..PlaceHost::default()
    });
    let hosts = wider.hosts.len();
    let wide = |set: &HostSet| HostSet::of(hosts, |ix: HostIx| ix.at() + 1 < hosts && set.contains(ix));
    wider.sets = problem.sets.iter().map(wide).collect();
    wider.relations.iter_mut().for_each(|it| it.domains.push(Relation::OUTSIDE));
    wider.curves.iter_mut().for_each(|it| it.whole.push(0));
    wider.excesses.iter_mut().for_each(|it| it.above.push(i64::MAX));
    if !wider.awake.is_empty() {
        wider.awake.push(0);
    }
    for table in &mut wider.tables {
        let classes = table.host_classes as usize;
        let rows = table.points.chunks_exact(classes.max(1));
        let with_least = |row: &[i64]| row.iter().copied().chain(row.iter().copied().min()).collect::<Vec<_>>();
        table.points = rows.flat_map(with_least).collect();
        table.host_class.push(table.host_classes);
        table.host_classes += 1;
    }
    if let Some(sharing) = &mut wider.sharing {
        sharing.merges.push(false);
    }
    wider
}

/// VMs taken off their hosts, and where the best way puts them.
struct Hand<'p> {
    state: Placement<'p>,
    free: Vec<u32>,
    nowhere: u32,
    moves: u32,
    dice: Dice,
    weighed: u64,
    /// What the best placement so far costs.
    best: i128,
    /// Where it puts the VMs that were taken, in the order in which they are put back; empty: where they were is best.
    places: Vec<u32>,
}

impl Hand<'_> {
    /// Chooses again and again. For each success the VMs that went elsewhere.
    fn play(&mut self, work: u64) -> Vec<Vec<u32>> {
        let (mut size, mut failures, mut better) = (FEWEST, 0, Vec::new());
        if self.free.len() <= MOST {
            let all = self.largest_first(self.free.clone());
            let moved = self.put_back(&all, work);
            better.extend(Some(moved).filter(|moved| !moved.is_empty()));
            if self.weighed < work {
                return better;
            }
        }
        while self.weighed < work && failures < ALL_PATIENCE {
            let chosen = self.choose(size);
            let moved = self.put_back(&chosen, self.weighed + WORK_OF_ONE);
            if !moved.is_empty() {
                better.push(moved);
                (size, failures) = (FEWEST, 0);
                continue;
            }
            // Choices that weigh nothing must end, too.
            self.weighed += 1;
            failures += 1;
            if failures % PATIENCE == 0 {
                size = (size + 1).min(MOST);
            }
        }
        better
    }

    fn choose(&mut self, size: usize) -> Vec<u32> {
        let problem = self.state.problem();
        let mut chosen = match self.dice.below(5) {
            3 => return self.whole_hosts(size),
            4 => self.around_one_who_pays(),
            0 => {
                let hosts = [self.host(), self.host(), self.host()];
                let near = |vm: u32| {
                    let (at, home) = (self.state.at(vm), problem.vms[vm as usize].at);
                    at == hosts[0] || at == hosts[1] || home == hosts[2]
                };
                self.free.iter().copied().filter(|vm| near(*vm)).collect()
            }
            1 if !problem.relations.is_empty() => {
                let mut chosen = Vec::new();
                for _ in 0..2 {
                    let vms = &problem.relations[self.dice.place(problem.relations.len())].vms;
                    chosen.extend(vms);
                    chosen.extend(vms.first().into_iter().flat_map(|vm| self.state.on(self.state.at(*vm))));
                }
                chosen.retain(|vm| !problem.vms[*vm as usize].stays);
                chosen.sort_unstable();
                chosen.dedup();
                chosen
            }
            _ => self.free.clone(),
        };
        self.dice.shuffle(&mut chosen);
        chosen.truncate(size);
        self.largest_first(chosen)
    }

    /// All VMs of a host, then all of another one, and so on: hosts are emptied as a whole.
    fn whole_hosts(&mut self, size: usize) -> Vec<u32> {
        let mut hosts: Vec<u32> = (0..self.nowhere).collect();
        self.dice.shuffle(&mut hosts);
        let on = hosts.into_iter().flat_map(|host| self.state.on(host)).copied();
        let mut chosen: Vec<u32> = on.filter(|vm| !self.state.problem().vms[*vm as usize].stays).collect();
        chosen.truncate(size);
        self.largest_first(chosen)
    }

    /// A VM that could bring something elsewhere, with those it has to do with, and all on its host and another one.
    fn around_one_who_pays(&mut self) -> Vec<u32> {
        let problem = self.state.problem();
        let (first, other) = (self.dice.place(self.free.len()), self.host());
        let round = self.free[first..].iter().chain(&self.free[..first]);
        let Some(vm) = round.copied().find(|vm| self.state.leave_bound(*vm) > 0) else { return self.free.clone() };
        let mut chosen: Vec<u32> = [vm].into();
        for relation in self.state.relations(vm) {
            chosen.extend(&problem.relations[*relation as usize].vms);
        }
        chosen.extend(self.state.on(self.state.at(vm)));
        chosen.extend(self.state.on(other));
        chosen.retain(|vm| !problem.vms[*vm as usize].stays);
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    fn largest_first(&self, mut chosen: Vec<u32>) -> Vec<u32> {
        let problem = self.state.problem();
        let size = |vm: &u32| problem.vms[*vm as usize].size.iter().map(|it| i128::from(*it)).sum::<i128>();
        chosen.sort_by_key(|vm| (std::cmp::Reverse(size(vm)), *vm));
        chosen
    }

    fn host(&mut self) -> u32 {
        self.dice.place(self.nowhere as usize) as u32
    }

    /// Takes the VMs off their hosts and puts them back in the best way, as far as the work reaches. Those that are elsewhere then; none if
    /// it costs no less.
    fn put_back(&mut self, vms: &[u32], until: u64) -> Vec<u32> {
        self.best = self.state.total();
        self.places.clear();
        let mark = self.state.mark();
        vms.iter().for_each(|vm| self.state.shift(*vm, self.nowhere));
        self.descend(vms, &mut Vec::new(), until);
        self.state.undo(mark);
        let places = std::mem::take(&mut self.places);
        let moved: Vec<(u32, u32)> =
            vms.iter().copied().zip(places).filter(|(vm, to)| self.state.at(*vm) != *to).collect();
        moved.iter().for_each(|(vm, to)| self.state.shift(*vm, *to));
        moved.into_iter().map(|it| it.0).collect()
    }

    /// Puts back the first, then the rest.
    fn descend(&mut self, vms: &[u32], places: &mut Vec<u32>, until: u64) {
        let Some((vm, rest)) = vms.split_first() else {
            if self.state.total() < self.best && self.state.away() <= self.moves {
                self.best = self.state.total();
                self.places.clone_from(places);
            }
            return;
        };
        let rebate: i128 = rest.iter().map(|vm| self.rebate(*vm)).sum();
        for (delta, host) in self.hosts_for(*vm) {
            // Only what is left at a leaf counts: what VMs pay for being away is given back while they are nowhere.
            if self.weighed >= until || self.state.total() + delta - rebate >= self.best {
                return;
            }
            let mark = self.state.mark();
            self.state.shift(*vm, host);
            places.push(host);
            self.descend(rest, places, until);
            places.pop();
            self.state.undo(mark);
        }
    }

    /// What a VM pays while it is nowhere and need not pay anywhere: that it is moved, and its copies of pages, which nobody merges there.
    fn rebate(&self, vm: u32) -> i128 {
        let problem = self.state.problem();
        let it = &problem.vms[vm as usize];
        let points = |sharing: &Sharing| -> i128 {
            sharing.of[vm as usize].iter().map(|class| i128::from(sharing.classes[*class as usize].points)).sum()
        };
        i128::from(it.move_cost) - i128::from(it.move_cost.min(it.stay_cost))
            + problem.sharing.as_ref().map_or(0, points)
    }

    /// The cheapest hosts, with what the VM costs there more than nowhere.
    fn hosts_for(&mut self, vm: u32) -> Vec<(i128, u32)> {
        self.weighed += u64::from(self.nowhere);
        let weigh = |host: u32| self.state.shift_delta(vm, host).map(|delta| (delta, host));
        let mut hosts: Vec<(i128, u32)> = (0..self.nowhere).filter_map(weigh).collect();
        hosts.sort_unstable();
        hosts.truncate(HOSTS);
        hosts
    }
}
