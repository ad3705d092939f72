//! **Spare.** Whichever one of the hosts fails, there is a placement of its VMs on the others that keeps memory and virtual CPUs within their
//! limits, headroom aside; they come there in full, and what the others have merged stays merged. `rule.spare`. Continuous, no worse: a
//! host that could not be lost in the snapshot need not become one that can; concerns the hosts together. Hosts that are up count; a VM in
//! flight counts on both hosts.
//!
//! Method: see [`placement`]. What it does not find counts as not there, so that a host may be taken for one that cannot be lost
//! though it could. Whatever is found is there.
//!
//! Complexity: all hosts of the rule for one question, for each mostly a look at a few of the others. So it is asked about moves that
//! were chosen, not about all that could be.

pub mod placement;

use std::sync::OnceLock;

use ulm_model::{Bytes, HostIx, HostState, Reason, RuleKind, Rulebook, Snapshot, VmIx};

use crate::index::Index;
use crate::merged::Merged;
use crate::state::{Limit, State};
use placement::Size;

/// What is needed to answer whether a host can be lost.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    rules: Vec<SpareRule>,
    /// By host the VMs that count there; kept only if there are rules.
    guests: Vec<Vec<VmIx>>,
    /// By rule and its hosts, whether they could be lost in the snapshot.
    before: OnceLock<Vec<Vec<bool>>>,
}

#[derive(Debug)]
struct SpareRule {
    number: u32,
    /// Those that are up, ascending.
    hosts: Vec<HostIx>,
}

/// What is on the hosts in one state.
struct Survey<'a> {
    snapshot: &'a Snapshot,
    limits: &'a [Limit],
    loads: Vec<Size>,
    guests: &'a [Vec<VmIx>],
    /// One more VM, and where.
    further: Option<(VmIx, HostIx)>,
}

impl Spare {
    pub fn new(snapshot: &Snapshot, rulebook: &Rulebook, index: &Index) -> Self {
        let spare_rules = (0u32..).zip(&rulebook.rules).filter(|(_, rule)| rule.kind == RuleKind::Spare);
        let rules: Vec<SpareRule> = spare_rules
            .map(|(number, _)| {
                let counts =
                    |ix: HostIx, host: &ulm_model::Host| host.state == HostState::Up && index.selects_host(number, ix);
                let hosts = snapshot.hosts_ix().filter(|(ix, host)| counts(*ix, host)).map(|(ix, _)| ix).collect();
                SpareRule { number, hosts }
            })
            .collect();
        let guests = if rules.is_empty() { Vec::new() } else { vec![Vec::new(); snapshot.hosts.len()] };
        Spare { rules, guests, before: OnceLock::new() }
    }
    pub fn add(&mut self, vm: VmIx, host: HostIx) {
        if let Some(guests) = self.guests.get_mut(host.at()) {
            guests.push(vm);
        }
    }
    pub fn remove(&mut self, vm: VmIx, host: HostIx) {
        if let Some(guests) = self.guests.get_mut(host.at())
            && let Some(at) = guests.iter().rposition(|guest| *guest == vm)
        {
            guests.remove(at);
        }
    }

    /// By rule and its hosts, whether they could be lost in the snapshot.
    fn before(&self, snapshot: &Snapshot, limits: &[Limit], merged: &Merged) -> &[Vec<bool>] {
        self.before.get_or_init(|| {
            let mut guests = vec![Vec::new(); snapshot.hosts.len()];
            for (ix, vm) in snapshot.vms_ix() {
                guests[vm.host.at()].push(ix);
            }
            for flight in &snapshot.in_flight {
                if let Some(to) = flight.to {
                    guests[to.at()].push(flight.vm);
                }
            }
            let load = |guests: &Vec<VmIx>| Size::sum(guests.iter().map(|vm| Size::of(snapshot.vm(*vm))));
            let less = |(load, merged): (Size, Bytes)| Size { memory: load.memory.saturating_sub(merged.0), ..load };
            let loads = guests.iter().map(load).zip(merged.at_first(guests.len())).map(less).collect();
            let survey = Survey { snapshot, limits, loads, guests: &guests, further: None };
            let of_rule = |rule: &SpareRule| survey.can_be_lost(&rule.hosts, |_| true);
            self.rules.iter().map(of_rule).collect()
        })
    }
}

impl Survey<'_> {
    /// For each of the hosts whether it can be lost; those that are not `asked` for count as if they could.
    fn can_be_lost(&self, hosts: &[HostIx], asked: impl Fn(usize) -> bool) -> Vec<bool> {
        let mut free: Vec<(Size, HostIx)> = hosts
            .iter()
            .filter_map(|host| {
                let (limit, load) = (&self.limits[host.at()], &self.loads[host.at()]);
                Some((Size { memory: limit.memory.0, vcpus: limit.vcpus }.minus(*load)?, *host))
            })
            .collect();
        free.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let free_of: Vec<Size> = free.iter().map(|(size, _)| *size).collect();
        let mut itself = vec![None; self.limits.len()];
        for (i, (_, host)) in free.iter().enumerate() {
            itself[host.at()] = Some(i);
        }
        let mut vms = Vec::new();
        let each = hosts.iter().enumerate().map(|(i, host)| {
            if !asked(i) {
                return true;
            }
            vms.clear();
            vms.extend(self.guests[host.at()].iter().map(|vm| Size::of(self.snapshot.vm(*vm))));
            vms.extend(self.further.filter(|(_, to)| to == host).map(|(vm, _)| Size::of(self.snapshot.vm(vm))));
            placement::exists(&mut vms, &free_of, itself[host.at()])
        });
        each.collect()
    }
}

impl State<'_> {
    /// A reason for each host that could not be lost in this state, whether it could in the snapshot or not.
    pub fn spare(&self) -> Vec<Reason> {
        let survey = self.survey(None);
        let mut reasons = Vec::new();
        for rule in &self.spare.rules {
            let can_be_lost = survey.can_be_lost(&rule.hosts, |_| true);
            let lost = rule.hosts.iter().zip(can_be_lost).filter(|(_, can)| !can);
            reasons.extend(lost.map(|(host, _)| self.no_spare(rule, *host)));
        }
        reasons
    }

    /// Whether every host that could be lost in the snapshot can still be lost when the VM is on its way there, too. Where it counts
    /// already it changes nothing.
    ///
    /// # Errors
    /// The first host that could not be lost any more.
    pub fn keeps_spare(&self, vm: VmIx, to: HostIx) -> Result<(), Reason> {
        if self.spare.rules.is_empty() {
            return Ok(());
        }
        let home = self.snapshot().vm(vm).host;
        // Where it leaves others that it has pages in common with, more is promised while it moves.
        let touched = [Some(to), self.gives_credit(vm).then_some(home)];
        let is_about = |rule: &SpareRule| touched.iter().flatten().any(|host| rule.hosts.binary_search(host).is_ok());
        if !self.spare.rules.iter().any(is_about) || self.spare.guests[to.at()].contains(&vm) {
            return Ok(());
        }
        let before = self.spare.before(self.snapshot(), &self.limits, &self.merged);
        let survey = self.survey(Some((vm, to)));
        for (rule, before) in self.spare.rules.iter().zip(before) {
            if !is_about(rule) {
                continue;
            }
            let can_be_lost = survey.can_be_lost(&rule.hosts, |i| before[i]);
            if let Some(at) = can_be_lost.iter().position(|can| !can) {
                return Err(self.no_spare(rule, rule.hosts[at]));
            }
        }
        Ok(())
    }

    fn survey(&self, further: Option<(VmIx, HostIx)>) -> Survey<'_> {
        let mut loads: Vec<Size> =
            self.loads.iter().map(|load| Size { memory: load.promised().0, vcpus: load.vcpus }).collect();
        if let Some((vm, to)) = further {
            let home = self.snapshot().vm(vm).host;
            let less = self.load(home).merged.saturating_sub(self.merged_without(home, [vm]).credit);
            loads[home.at()].memory = loads[home.at()].memory.saturating_add(less.0);
            loads[to.at()] = Size::sum([loads[to.at()], Size::of(self.snapshot().vm(vm))].into_iter());
        }
        Survey { snapshot: self.snapshot(), limits: &self.limits, loads, guests: &self.spare.guests, further }
    }

    fn no_spare(&self, rule: &SpareRule, host: HostIx) -> Reason {
        Reason::NoSpare {
            host: self.snapshot().host(host).name.clone(),
            rule: self.rulebook().rules[rule.number as usize].name.clone(),
        }
    }
}
