//! One state of the cluster with its running sums, and the answer to "may this VM go there, and why not?".
//!
//! Names are turned into numbers once: every thing that a VM can ask of a host (an architecture, a CPU, a network, a storage, a
//! rule's hosts) becomes a set of hosts, computed when it is first asked for and shared by all VMs that ask the same. A VM's
//! [`Profile`] is the intersection of its sets. Which rules select whom is found once ([`crate::index`]), and rules about several VMs
//! keep counts (`relations`). So [`State::blocker`] looks at bits and adds integers, whatever the number of rules.

mod blocker;
mod loads;
mod profile;
mod relations;
#[cfg(test)]
mod tests;
mod why_not;

use std::collections::BTreeMap;
use std::time::Duration;

use ulm_model::{HostIx, PastMove, Reason, RuleKind, Rulebook, Snapshot, Time, VmIx};

pub use blocker::Blocker;
pub use loads::{Limit, Load, Room};
pub use profile::Profile;

use crate::budget::Budgets;
use crate::doubts::Doubts;
use crate::index::{Index, Lists};
use crate::merged::Merged;
use crate::spare::Spare;
use crate::window::Windows;
use crate::{HostSet, Initiative, host_state};
use loads::Places;
use profile::{Ask, Supply};
use relations::Relations;

/// The present and the past, for rules that depend on them.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'p> {
    /// The time.
    pub now: Time,
    /// Moves that are over, in any order; those of the last [`Rulebook::REMEMBERED`] at least.
    pub past: &'p [PastMove],
}

/// One state of the cluster.
#[derive(Debug)]
pub struct State<'s> {
    snapshot: &'s Snapshot,
    rulebook: &'s Rulebook,
    index: Index,
    /// By host those of its rules that may keep it out of moves altogether.
    closing: Lists,
    doubts: Doubts<'s>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) loads: Vec<Load>,
    places: Places,
    relations: Relations,
    pub(crate) spare: Spare,
    pub(crate) merged: Merged,
    windows: Windows,
    budgets: Budgets<'s>,
    moving: Vec<VmIx>,
    moves: u32,
    /// By initiative and host.
    closed: [Vec<Option<Blocker>>; 2],
    sets: Vec<HostSet>,
    set_of: BTreeMap<Ask<'s>, u32>,
    /// By host what is free in certain cells.
    supplies: Vec<Vec<i64>>,
    supply_of: BTreeMap<Supply<'s>, u32>,
    /// By host the arriving VMs that take of certain cells or pages.
    arriving: BTreeMap<HostIx, Vec<VmIx>>,
}

impl<'s> State<'s> {
    /// The state that the snapshot shows, without a present or a past: windows and budgets of moves and of downtime are not looked at. For
    /// those see [`State::at`].
    pub fn new(snapshot: &'s Snapshot, rulebook: &'s Rulebook) -> Self {
        Self::build(snapshot, rulebook, None)
    }

    /// The state that the snapshot shows, at this moment. The snapshot must be without [`Snapshot::flaw`]; linear in hosts, VMs, rules
    /// and what they select.
    pub fn at(snapshot: &'s Snapshot, rulebook: &'s Rulebook, moment: Moment<'_>) -> Self {
        Self::build(snapshot, rulebook, Some(moment))
    }

    fn build(snapshot: &'s Snapshot, rulebook: &'s Rulebook, moment: Option<Moment<'_>>) -> Self {
        let index = Index::new(snapshot, &rulebook.rules);
        let limits = snapshot.hosts_ix().map(|(ix, host)| {
            let rules = index.of_host(ix).iter().map(|number| &rulebook.rules[*number as usize]);
            Limit::new(host, &rulebook.capacity, rules)
        });
        let mut closing = Lists::default();
        for (ix, _) in snapshot.hosts_ix() {
            let closes = |number: &u32| {
                let kind = &rulebook.rules[*number as usize].kind;
                matches!(kind, RuleKind::Exclude | RuleKind::Maintenance | RuleKind::Window { .. })
            };
            closing.push(index.of_host(ix).iter().copied().filter(closes));
        }
        let mut state = State {
            closing,
            limits: limits.collect(),
            loads: vec![Load::default(); snapshot.hosts.len()],
            doubts: Doubts::new(snapshot),
            places: Places::new(snapshot.vms.len()),
            relations: Relations::new(snapshot, rulebook, &index),
            spare: Spare::new(snapshot, rulebook, &index),
            merged: Merged::new(snapshot, rulebook),
            windows: moment.map_or_else(Windows::default, |moment| Windows::at(rulebook, moment.now)),
            budgets: Budgets::new(snapshot, &rulebook.rules, &index, moment),
            moving: snapshot.in_flight.iter().map(|flight| flight.vm).collect(),
            moves: snapshot.in_flight.len() as u32,
            closed: [Vec::new(), Vec::new()],
            sets: Vec::new(),
            set_of: BTreeMap::new(),
            supplies: Vec::new(),
            supply_of: BTreeMap::new(),
            arriving: BTreeMap::new(),
            snapshot,
            rulebook,
            index,
        };
        state.moving.sort();
        state.closed = [Initiative::Automatic, Initiative::ByHand]
            .map(|initiative| snapshot.hosts_ix().map(|(ix, _)| state.first_closed(ix, initiative)).collect());
        for (ix, vm) in snapshot.vms_ix() {
            state.add(ix, vm.host);
        }
        for (ix, _) in snapshot.hosts_ix() {
            state.loads[ix.at()].merged = state.merged.credit(ix);
        }
        for flight in &snapshot.in_flight {
            state.loads[flight.from.at()].moves += 1;
            state.budgets.begin(snapshot, &rulebook.rules, &state.index, flight.vm);
            if let Some(to) = flight.to {
                state.arrive(flight.vm, to);
            }
        }
        state.relations.remember();
        state
    }

    /// The snapshot behind it.
    pub fn snapshot(&self) -> &'s Snapshot {
        self.snapshot
    }
    /// The rulebook behind it.
    pub fn rulebook(&self) -> &'s Rulebook {
        self.rulebook
    }
    /// Which rules are about whom.
    pub fn index(&self) -> &Index {
        &self.index
    }
    /// The snapshot's doubts.
    pub fn doubts(&self) -> &Doubts<'s> {
        &self.doubts
    }

    /// Says what downtime is forecast for a move that has begun: budgets count it from now on.
    pub fn expect_downtime(&mut self, vm: VmIx, downtime: Duration) {
        self.budgets.expect(self.snapshot, &self.rulebook.rules, &self.index, vm, downtime);
    }

    /// What closes the host to all arrivals, if anything does.
    pub fn closed(&self, host: HostIx, initiative: Initiative) -> Option<Blocker> {
        self.closed[initiative as usize][host.at()]
    }

    /// The sentence for [`State::closed`].
    pub fn closed_because(&self, host: HostIx, initiative: Initiative) -> Option<Reason> {
        self.closed_by(host, initiative).into_iter().next().map(|(_, reason)| reason)
    }

    fn first_closed(&self, ix: HostIx, initiative: Initiative) -> Option<Blocker> {
        let host = self.snapshot.host(ix);
        if self.doubts.everything.or(self.doubts.of_host(&host.name)).is_some() {
            return Some(Blocker::HostDoubted);
        }
        if host_state::takes_nothing(host).is_some() {
            let maintenance = host.state == ulm_model::HostState::Maintenance;
            return Some(if maintenance { Blocker::HostInMaintenance } else { Blocker::HostUnreachable });
        }
        let automatic = initiative == Initiative::Automatic;
        self.closing.of(ix.at()).iter().find_map(|number| match self.rulebook.rules[*number as usize].kind {
            RuleKind::Maintenance => Some(Blocker::HostInMaintenance),
            RuleKind::Exclude if automatic => Some(Blocker::HostExcluded),
            RuleKind::Window { .. } if automatic && self.windows.is_shut(*number) => Some(Blocker::HostOutsideWindow),
            _ => None,
        })
    }
}
