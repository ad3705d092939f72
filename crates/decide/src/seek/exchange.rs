//! Exchanges for hosts on which no single move helps.
//!
//! Properties: a host that is not relieved by it is left as it is; no other host gets above its ceiling; nothing is looked at but the stuck
//! hosts and the few that use least.
//!
//! Method: one question for all stuck hosts, in which what they have above their thresholds is very dear. A stuck host may take one VM
//! for another as long as it has less in the end.

use ulm_model::{HostIx, Reason, Resource, Share};
use ulm_place::{Curve, PlaceMove, Points, search};
use ulm_rules::HostSet;

use super::answer::{apply, wanted};
use super::ask::effort;
use super::question::{self, CPU, Question, USED};
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

/// Relieves hosts on which no single move helps by exchanges and by making room; a host that is not relieved by it is left as it is.
pub(crate) fn exchange<'s>(round: &mut Round<'_>, stuck: &'s [Stuck]) -> Exchange<'s> {
    const DEAR: Points = 1 << 34;
    let near = partners(round, stuck);
    let mut question = Question::among(round, &near, &|_| true);
    relations::add(&mut question, &round.input.snapshot, round.concerns(), None);
    let home = question.home();
    let at_home = [CPU, USED].map(|resource| measure::loads(&question, &home, resource));
    for one in stuck {
        let (number, whole) = whole_of(round, one);
        let mut wholes = vec![0; question.problem.hosts.len()];
        wholes[one.host.at()] = whole;
        let floor = one.threshold.0;
        question.problem.curves.push(Curve { resource: number, whole: wholes, floor, power: 1, weight: DEAR });
        // It takes one VM for another as long as that is less.
        let capacity = &mut question.problem.hosts[one.host.at()].capacity[number];
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

/// The stuck hosts, and those that use least of what these have too much of.
fn partners(round: &Round<'_>, stuck: &[Stuck]) -> HostSet {
    let snapshot = &round.input.snapshot;
    let mut open: Vec<(Share, HostIx)> = snapshot
        .hosts_ix()
        .filter(|(ix, _)| round.is_open(*ix) && stuck.iter().all(|one| one.host != *ix))
        .map(|(ix, host)| {
            let used = round.scene.uses[ix.at()];
            let cpu = stuck.iter().any(|one| one.resource == Resource::Cpu);
            (if cpu { used.cpu.share_of(host.cpu) } else { used.memory.share_of(host.memory) }, ix)
        })
        .collect();
    open.sort();
    let partners: Vec<HostIx> = open.into_iter().take(PARTNERS).map(|(_, ix)| ix).collect();
    HostSet::of(snapshot.hosts.len(), |ix| partners.contains(&ix) || stuck.iter().any(|one| one.host == ix))
}

/// The resource that the host has too much of, and its whole.
fn whole_of(round: &Round<'_>, one: &Stuck) -> (usize, i64) {
    let host = round.input.snapshot.host(one.host);
    match one.resource {
        Resource::Cpu => (CPU, question::whole_number(host.cpu.0)),
        Resource::Memory => (USED, question::whole_number(host.memory.0)),
    }
}
