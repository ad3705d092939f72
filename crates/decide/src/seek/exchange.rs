//! Exchanges for hosts on which no single move helps.
//!
//! Properties: a host that is not relieved by it is left as it is; no other host gets above its ceiling; nothing is looked at but the stuck
//! hosts and the few that use least.
//!
//! Method: one question for all stuck hosts, in which what they have above their thresholds is very dear. A stuck host may take one VM
//! for another as long as it has less in the end.

use ulm_model::{HostIx, Reason, Resource, Share};
use ulm_place::{Curve, PlaceMove, Points, Problem, search};
use ulm_rules::HostSet;

use super::answer::{apply, wanted};
use super::ask::effort;
use super::question::{self, CPU, Question, RECKONED, Span, USED};
use super::{measure, relations};
use crate::round::Round;
use crate::wanted::Wanted;
use crate::worth::{Bargain, Terms};

/// A hot host of which no VM fits elsewhere by itself.
pub(crate) struct Stuck {
    pub host: HostIx,
    pub resource: Resource,
    pub threshold: Share,
    /// Why it counts as overworked.
    pub because: Reason,
    /// Where it stands in the report: host and relief.
    pub at: (usize, usize),
}

/// What exchanges were found.
#[derive(Default)]
pub(crate) struct Exchange<'s> {
    pub wanted: Vec<Wanted>,
    /// The hosts that are relieved by them, each with what it will use.
    pub relieved: Vec<(&'s Stuck, Share)>,
}

/// So many of the least used hosts are looked at for exchanges.
const PARTNERS: usize = 32;

/// What it costs that a whole host is above its threshold.
const DEAR: Points = 1 << 34;

/// Relieves hosts on which no single move helps by exchanges and by making room; a host that is not relieved by it is left as it is.
pub(crate) fn exchange<'s>(round: &mut Round<'_>, stuck: &'s [Stuck]) -> Exchange<'s> {
    let Some(near) = partners(round, stuck) else { return Exchange::default() };
    let mut question = Question::among(round, &near, Span::Now, &|_| true);
    relations::add(&mut question, &round.input.snapshot, round.concerns(), None);
    let home = question.home();
    let at_home = [CPU, USED].map(|resource| measure::loads(&question, &home, resource));
    for one in stuck {
        let (number, whole) = whole_of(round, one);
        dear(&mut question.problem, number, one.threshold).whole[one.host.at()] = whole;
        // It takes one VM for another as long as that is less.
        let limit = if number == CPU { RECKONED } else { number };
        let capacity = &mut question.problem.hosts[one.host.at()].capacity[limit];
        *capacity = at_home[usize::from(number == USED)][one.host.at()].max(*capacity);
    }
    question.price_moves(DEAR / 10_000);
    let found = search(&question.problem, &effort(round));
    let mut end = home.clone();
    found.packages.iter().for_each(|package| apply(&mut end, &package.moves));
    let in_the_end = [CPU, USED].map(|resource| measure::loads(&question, &end, resource));
    let mut exchange = Exchange::default();
    for (number, package) in found.packages.iter().enumerate() {
        let touches = |one: &&Stuck| {
            let leaves = |it: &PlaceMove| question.problem.vms[it.vm as usize].at == one.host.0;
            package.moves.iter().any(leaves)
        };
        let after = |one: &Stuck| {
            let (resource, whole) = whole_of(round, one);
            measure::share(in_the_end[usize::from(resource == USED)][one.host.at()], whole)
        };
        let Some(first) = stuck.iter().find(touches) else { continue };
        if stuck.iter().filter(touches).any(|one| after(one) > one.threshold) {
            continue;
        }
        for one in stuck.iter().filter(touches) {
            if !exchange.relieved.iter().any(|(known, _)| std::ptr::eq(*known, one)) {
                exchange.relieved.push((one, after(one)));
            }
        }
        let bargain = Bargain { question: &question, round, before: &home, after: &end, moves: &package.moves };
        exchange.wanted.extend(wanted(&bargain, number, &|_| first.because.clone(), &[], &Terms::default()));
    }
    exchange
}

/// What the resource costs above the threshold; it looks at no host yet when it is new.
fn dear(problem: &mut Problem, resource: usize, threshold: Share) -> &mut Curve {
    let known = problem.curves.iter().position(|curve| (curve.resource, curve.floor) == (resource, threshold.0));
    let place = known.unwrap_or(problem.curves.len());
    if known.is_none() {
        let whole = vec![0; problem.hosts.len()];
        problem.curves.push(Curve { resource, whole, floor: threshold.0, power: 1, weight: DEAR });
    }
    &mut problem.curves[place]
}

/// The stuck hosts, and those that use least of what these have too much of; `None`: no host can take any more of it, so that whatever was
/// exchanged one would have too much in the end.
fn partners(round: &Round<'_>, stuck: &[Stuck]) -> Option<HostSet> {
    let snapshot = &round.input.snapshot;
    let mut looked_at =
        [(Resource::Cpu, round.scene.ceiling.cpu), (Resource::Memory, round.scene.ceiling.memory)].to_vec();
    looked_at.retain(|(resource, _)| stuck.iter().any(|one| one.resource == *resource));
    let mut open: Vec<(Share, HostIx)> = snapshot
        .hosts_ix()
        .filter(|(ix, _)| round.is_open(*ix) && stuck.iter().all(|one| one.host != *ix))
        .filter_map(|(ix, host)| {
            let used = round.scene.uses[ix.at()];
            let share = |resource| match resource {
                Resource::Cpu => used.cpu.share_of(host.cpu),
                Resource::Memory => used.memory.share_of(host.memory),
            };
            let takes_more = looked_at.iter().any(|(resource, ceiling)| share(*resource) < *ceiling);
            takes_more.then(|| (share(looked_at[0].0), ix))
        })
        .collect();
    open.sort();
    open.truncate(PARTNERS);
    let mut near = HostSet::none(snapshot.hosts.len());
    open.iter().map(|(_, ix)| *ix).chain(stuck.iter().map(|one| one.host)).for_each(|ix| near.insert(ix));
    (!open.is_empty()).then_some(near)
}

/// The resource that the host has too much of, and its whole.
fn whole_of(round: &Round<'_>, one: &Stuck) -> (usize, i64) {
    let host = round.input.snapshot.host(one.host);
    match one.resource {
        Resource::Cpu => (CPU, question::whole_number(host.cpu.0)),
        Resource::Memory => (USED, question::whole_number(host.memory.0)),
    }
}
