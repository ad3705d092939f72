//! What does not depend on what else is on the target: whether a VM can run there at all, and the rules about each move.

use std::collections::HashSet;

use ulm_model::{CpuVerdict, HostState, Reason, RuleKind, Scope, VmIx, VmState};

use super::budget::Budgets;
use super::selectors::{Binding, Book};
use super::window::Shut;
use super::{Grounds, Resolved, cells, exclude, one_way, pin};

/// Judges step after step.
pub(super) struct Judge<'c> {
    grounds: &'c Grounds<'c>,
    book: &'c Book<'c>,
    /// VMs that move already.
    moving: HashSet<VmIx>,
    shut: Shut<'c>,
    budgets: Budgets<'c>,
}

impl<'c> Judge<'c> {
    pub fn new(steps: &[Resolved<'_>], book: &'c Book<'c>, grounds: &'c Grounds<'c>) -> Self {
        let moving = grounds.snapshot.in_flight.iter().map(|flight| flight.vm).collect();
        let (shut, budgets) = (Shut::new(&book.rules, grounds), Budgets::new(steps, book, grounds));
        Judge { grounds, book, moving, shut, budgets }
    }

    /// What there is against the next step.
    pub fn against(&mut self, step: &Resolved<'_>) -> Option<Reason> {
        let rules = &self.book.rules;
        (can_go(step, self.moving.contains(&step.vm), self.grounds).err())
            .or_else(|| rules.iter().find_map(|rule| forbidden(rule, step, self.grounds)))
            .or_else(|| self.shut.against(step))
            .or_else(|| self.budgets.against(step))
    }
}

/// What an administrator's rule has against the step.
fn forbidden(rule: &Binding<'_>, step: &Resolved<'_>, grounds: &Grounds<'_>) -> Option<Reason> {
    match &rule.rule.kind {
        RuleKind::Exclude => exclude::against(rule, step, grounds),
        RuleKind::Pin | RuleKind::KeepOff | RuleKind::Maintenance => pin::against(rule, step, grounds),
        RuleKind::OneWay { label } => one_way::against(rule, label, step, grounds),
        // Windows and budgets: see `Judge`.
        RuleKind::Window { .. } | RuleKind::Budget { .. } => None,
        // Not about a move alone: see the files of these names.
        RuleKind::Together { .. }
        | RuleKind::Apart { .. }
        | RuleKind::MaxVms { .. }
        | RuleKind::Capacity { .. }
        | RuleKind::Headroom { .. }
        | RuleKind::Spare => None,
        // Which of several VMs is moved makes no state better or worse.
        RuleKind::Priority { .. } => None,
    }
}

/// Whether the VM can be moved, and can run where the step brings it.
fn can_go(step: &Resolved<'_>, moving: bool, grounds: &Grounds<'_>) -> Result<(), Reason> {
    let snapshot = grounds.snapshot;
    let vm = &snapshot.vms[step.vm.at()];
    let (from, to) = (&snapshot.hosts[step.from.at()], &snapshot.hosts[step.to.at()]);
    let refuse = Err::<(), Reason>;

    for doubt in &snapshot.doubts {
        let concerned = match &doubt.scope {
            Scope::Everything => true,
            Scope::Host(name) => *name == from.name || *name == to.name,
            Scope::Vm(id) => *id == vm.id,
        };
        if concerned {
            return refuse(doubt.reason.clone());
        }
    }
    if let HostState::Unreachable { because } = &from.state {
        return refuse(Reason::Unreachable { host: from.name.clone(), error: because.to_string() });
    }
    match &to.state {
        HostState::Up => {}
        HostState::Maintenance => return refuse(Reason::Maintenance { host: to.name.clone() }),
        HostState::Unreachable { because } => {
            return refuse(Reason::Unreachable { host: to.name.clone(), error: because.to_string() });
        }
    }
    if vm.state != VmState::Running && vm.state != VmState::Paused {
        return refuse(Reason::NotRunning {});
    }
    if moving {
        return refuse(Reason::Moving {});
    }
    if let Some(fixture) = vm.fixtures.first() {
        return refuse(Reason::Immovable { fixture: fixture.clone() });
    }
    let Some(needs) = &vm.needs else { return refuse(Reason::Unread { error: "it is still to be read".into() }) };
    if needs.arch != to.platform.arch {
        let (needed, offered) = (needs.arch.clone(), to.platform.arch.clone());
        return refuse(Reason::ArchDiffers { host: to.name.clone(), needed, offered });
    }
    match to.cpu_verdicts.get(&needs.cpu) {
        Some(CpuVerdict::Offered) => {}
        Some(CpuVerdict::Missing { what }) => {
            return refuse(Reason::CpuMissing { host: to.name.clone(), what: what.clone() });
        }
        None => return refuse(Reason::CpuUnknown { host: to.name.clone() }),
    }
    if let Some(network) = needs.networks.iter().find(|name| !to.networks.contains(*name)) {
        return refuse(Reason::NetworkMissing { host: to.name.clone(), network: network.clone() });
    }
    if let Some(storage) = needs.storage.iter().find(|name| !to.storage.contains(*name)) {
        return refuse(Reason::StorageMissing { host: to.name.clone(), storage: storage.clone() });
    }
    cells::against(needs, step, grounds).map_or(Ok(()), Err)
}
