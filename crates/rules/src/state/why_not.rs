//! The full answers: every reason, as sentences.

use std::time::Duration;

use ulm_model::{Host, HostIx, Reason, Resource, Rule, RuleKind, Vm, VmIx};

use super::relations::Relation;
use super::{Blocker, State};
use crate::{
    Initiative, apart, arch, cells, cpu_model, domains, exclude, fixtures, headroom, host_state, maintenance, max_vms,
    memory, memory_used, networks, numa, one_way, pages, pin, priority, storage, together, vcpus, vm_state,
};

impl State<'_> {
    /// Why nothing can leave the host, if so.
    pub fn gives_nothing(&self, ix: HostIx, initiative: Initiative) -> Option<Reason> {
        let host = self.snapshot.host(ix);
        let doubt = self.doubts.everything.or(self.doubts.of_host(&host.name)).cloned();
        doubt.or_else(|| host_state::gives_nothing(host)).or_else(|| {
            self.closing_rules(ix).find_map(|(number, rule)| self.set_aside(number, rule, host, initiative))
        })
    }

    /// Why the VM cannot leave its host, wherever to; empty when it can. A move is taken to need no downtime; see
    /// [`State::vm_stays_expecting`].
    pub fn vm_stays(&self, ix: VmIx, initiative: Initiative) -> Vec<Reason> {
        self.vm_stays_expecting(ix, initiative, Duration::ZERO)
    }

    /// [`State::vm_stays`] for a move of which so much downtime is forecast.
    pub fn vm_stays_expecting(&self, ix: VmIx, initiative: Initiative, downtime: Duration) -> Vec<Reason> {
        let vm = self.snapshot.vm(ix);
        let home = self.snapshot.host(vm.host);
        let mut reasons: Vec<Reason> = Vec::new();
        reasons.extend(self.doubts.everything.cloned());
        reasons.extend(self.doubts.of_host(&home.name).cloned());
        match self.doubts.of_vm(vm.id) {
            Some(doubt) => reasons.push(doubt.clone()),
            None => reasons.extend(vm_state::unread(vm)),
        }
        reasons.extend(host_state::gives_nothing(home));
        reasons.extend(vm_state::reason(vm));
        reasons.extend(fixtures::reasons(vm));
        if self.moving.binary_search(&ix).is_ok() {
            reasons.push(Reason::Moving {});
        }
        for (number, rule) in self.closing_rules(vm.host) {
            reasons.extend(self.set_aside(number, rule, home, initiative));
        }
        for (number, rule) in self.rules_of_vm(ix) {
            reasons.extend(exclude::of_vm(rule, initiative));
            reasons.extend(self.window(number, rule, initiative));
            reasons.extend(self.budgets.reasons(self.snapshot, number, rule, ix, downtime, initiative));
        }
        let mut once = Vec::with_capacity(reasons.len());
        for reason in reasons {
            // A window that selects both the VM and its host speaks once.
            if !once.contains(&reason) {
                once.push(reason);
            }
        }
        once
    }

    /// Every reason why the VM cannot go to that host now; empty when it can. Spare room for the loss of a host is looked at, too.
    pub fn why_not(&self, ix: VmIx, to: HostIx, initiative: Initiative) -> Vec<Reason> {
        let mut reasons = self.vm_stays(ix, initiative);
        let (vm, host) = (self.snapshot.vm(ix), self.snapshot.host(to));
        if vm.host == to {
            reasons.push(Reason::AlreadyThere { host: host.name.clone() });
            return reasons;
        }
        for (_, reason) in self.closed_by(to, initiative) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        self.physics(vm, to, &mut reasons);
        for (number, rule) in self.rules_of_vm(ix) {
            reasons.extend(self.binding(number, rule, vm, to));
        }
        for relation in self.relations.of(ix).filter(|relation| !relation.soft) {
            if self.relations.blocker(relation, self.places.of(ix), to).is_some() {
                reasons.push(self.related(relation, ix, to));
            }
        }
        reasons.extend(self.keeps_spare(ix, to).err());
        self.capacity(vm, to, initiative, &mut reasons);
        reasons
    }

    /// Which wishes (soft rules) the VM would leave unfulfilled on that host, whether it is there now or not. Of a rule about several VMs
    /// what counts is whether it would be one too many, or away from all its companions; what others break is not said.
    pub fn unwished(&self, ix: VmIx, to: HostIx) -> Vec<Reason> {
        let places = self.places.of(ix);
        let mut broken: Vec<u32> = self
            .rules_of_vm(ix)
            .filter(|(number, rule)| rule.soft && !self.lets_be_on(*number, to))
            .map(|(number, _)| number)
            .collect();
        let wishes = self.relations.of(ix).filter(|relation| relation.soft);
        broken.extend(wishes.filter(|wish| self.relations.breaks(wish, places, to)).map(|wish| wish.rule));
        broken.sort_unstable();
        let unwished = |number: u32| Reason::Unwished {
            host: self.snapshot.host(to).name.clone(),
            rule: self.rule(number).name.clone(),
        };
        broken.into_iter().map(unwished).collect()
    }

    /// Whether the VM may go to that host now.
    pub fn admits(&mut self, vm: VmIx, to: HostIx, initiative: Initiative) -> bool {
        let profile = self.profile(vm, initiative);
        self.vm_stays(vm, initiative).is_empty()
            && self.blocker(&profile, to).is_none()
            && self.keeps_spare(vm, to).is_ok()
    }

    /// The VM's rank: a VM with a higher one is moved only where none with a lower one helps.
    pub fn rank(&self, vm: VmIx) -> u32 {
        priority::rank(self.rules_of_vm(vm).map(|(_, rule)| rule))
    }

    /// The sentence for a blocker that [`State::blocker`] gave for this VM and host in this state.
    pub fn reason(&self, blocker: Blocker, ix: VmIx, to: HostIx, initiative: Initiative) -> Reason {
        let (vm, host) = (self.snapshot.vm(ix), self.snapshot.host(to));
        let needs = vm.needs.as_ref();
        let mut rules = self.rules_of_vm(ix);
        let capacity = || {
            let mut reasons = Vec::new();
            self.capacity(vm, to, initiative, &mut reasons);
            let told = |reason: &Reason| match reason {
                Reason::MemoryShort { .. } => blocker == Blocker::Memory,
                Reason::CpuOvercommit { .. } => blocker == Blocker::Vcpus,
                Reason::Headroom { resource: Resource::Memory, .. } => blocker == Blocker::HeadroomMemory,
                Reason::Headroom { resource: Resource::Cpu, .. } => blocker == Blocker::HeadroomCpu,
                _ => blocker == Blocker::MemoryUsed,
            };
            reasons.into_iter().find(told)
        };
        let related = || {
            let places = self.places.of(ix);
            let mut hard = self.relations.of(ix).filter(|relation| !relation.soft);
            let relation = hard.find(|one| self.relations.blocker(one, places, to) == Some(blocker))?;
            Some(self.related(relation, ix, to))
        };
        let found = match blocker {
            Blocker::AlreadyThere => None,
            Blocker::HostDoubted
            | Blocker::HostUnreachable
            | Blocker::HostInMaintenance
            | Blocker::HostExcluded
            | Blocker::HostOutsideWindow => {
                let mut closed = self.closed_by(to, initiative).into_iter();
                closed.find(|(by, _)| *by == blocker).map(|(_, reason)| reason)
            }
            Blocker::Arch => needs.and_then(|needs| arch::reason(host, needs)),
            Blocker::CpuUnknown | Blocker::CpuMissing => needs.and_then(|needs| cpu_model::reason(host, &needs.cpu)),
            Blocker::Network => needs.and_then(|needs| networks::reasons(host, needs).next()),
            Blocker::Storage => needs.and_then(|needs| storage::reasons(host, needs).next()),
            Blocker::Cells | Blocker::Pages => self.numa(vm, to),
            Blocker::Pinned => rules.find_map(|(number, rule)| match rule.kind {
                RuleKind::Pin | RuleKind::KeepOff => self.binding(number, rule, vm, to),
                _ => None,
            }),
            Blocker::WrongWay => rules.find_map(|(number, rule)| match rule.kind {
                RuleKind::OneWay { .. } => self.binding(number, rule, vm, to),
                _ => None,
            }),
            Blocker::NotTogether | Blocker::TooClose | Blocker::HostFull => related(),
            Blocker::Memory | Blocker::MemoryUsed | Blocker::Vcpus | Blocker::HeadroomMemory | Blocker::HeadroomCpu => {
                capacity()
            }
        };
        found.unwrap_or_else(|| Reason::AlreadyThere { host: host.name.clone() })
    }

    /// All that closes the host to every arrival, short and as sentences.
    pub(super) fn closed_by(&self, ix: HostIx, initiative: Initiative) -> Vec<(Blocker, Reason)> {
        let host = self.snapshot.host(ix);
        let mut closed = Vec::new();
        if let Some(doubt) = self.doubts.everything.or(self.doubts.of_host(&host.name)) {
            closed.push((Blocker::HostDoubted, doubt.clone()));
        }
        if let Some(reason) = host_state::takes_nothing(host) {
            let maintenance = matches!(reason, Reason::Maintenance { .. });
            let blocker = if maintenance { Blocker::HostInMaintenance } else { Blocker::HostUnreachable };
            closed.push((blocker, reason));
        }
        for (number, rule) in self.closing_rules(ix) {
            closed.extend(maintenance::of_host(rule, host).map(|reason| (Blocker::HostInMaintenance, reason)));
            closed.extend(exclude::of_host(rule, host, initiative).map(|reason| (Blocker::HostExcluded, reason)));
            closed.extend(self.window(number, rule, initiative).map(|reason| (Blocker::HostOutsideWindow, reason)));
        }
        closed
    }

    /// Why a host that the rule selects takes part in no move of this kind, if so.
    fn set_aside(&self, number: u32, rule: &Rule, host: &Host, initiative: Initiative) -> Option<Reason> {
        exclude::of_host(rule, host, initiative).or_else(|| self.window(number, rule, initiative))
    }

    fn window(&self, number: u32, rule: &Rule, initiative: Initiative) -> Option<Reason> {
        (initiative == Initiative::Automatic).then(|| self.windows.reason(number, rule)).flatten()
    }

    fn physics(&self, vm: &Vm, to: HostIx, reasons: &mut Vec<Reason>) {
        let host = self.snapshot.host(to);
        if let Some(needs) = &vm.needs {
            reasons.extend(arch::reason(host, needs));
            reasons.extend(cpu_model::reason(host, &needs.cpu));
            reasons.extend(networks::reasons(host, needs));
            reasons.extend(storage::reasons(host, needs));
        }
        reasons.extend(self.numa(vm, to));
    }

    /// What the host's cells lack, if anything.
    fn numa(&self, vm: &Vm, to: HostIx) -> Option<Reason> {
        let (host, needs) = (self.snapshot.host(to), vm.needs.as_ref()?);
        if !numa::is_bound(needs) {
            return None;
        }
        let (left, needed) = (self.left_in_cells(needs, to), numa::takes(vm));
        cells::missing(host, needs).or_else(|| match needs.pages {
            Some(size) => pages::reason(host, &needs.cells, size, left, needed),
            None => cells::short(host, needs, left, needed),
        })
    }

    /// Why a hard rule that selects the VM, and is about it alone, does not let it go to the host, if so.
    fn binding(&self, number: u32, rule: &Rule, vm: &Vm, to: HostIx) -> Option<Reason> {
        let host = self.snapshot.host(to);
        match &rule.kind {
            RuleKind::Pin | RuleKind::KeepOff if !rule.soft && !self.lets_be_on(number, to) => {
                Some(pin::reason(rule, host))
            }
            RuleKind::OneWay { label } => {
                let values = [self.snapshot.host(vm.host), host].map(|host| one_way::value(host, label));
                (!one_way::allows(values[0], values[1])).then(|| one_way::reason(rule, host))
            }
            _ => None,
        }
    }

    /// The sentence of a relation that keeps the VM from the host.
    fn related(&self, relation: &Relation, ix: VmIx, to: HostIx) -> Reason {
        let (rule, host) = (self.rule(relation.rule), self.snapshot.host(to));
        let others = || self.relations.others(relation, self.places.of(ix), to);
        match &rule.kind {
            RuleKind::Apart { level, at_most } => apart::reason(rule, domains::name(level, host), others(), *at_most),
            RuleKind::MaxVms { at_most } => max_vms::reason(rule, host, others(), *at_most),
            _ => together::reason(rule, host),
        }
    }

    /// What the host has too little of.
    fn capacity(&self, vm: &Vm, to: HostIx, initiative: Initiative, reasons: &mut Vec<Reason>) {
        let (host, load, limit) = (self.snapshot.host(to), self.load(to), self.limit(to));
        let held = memory_used::ordinary(vm);
        let rules = || self.index.of_host(to).iter().map(|number| self.rule(*number));
        let promised = load.promised();
        let memory_fits = memory::fits(promised, vm.memory, limit.memory);
        let vcpus_fit = vcpus::fits(load.vcpus, vm.vcpus, limit.vcpus);
        if memory_fits && !memory::fits(promised, vm.memory, limit.memory_for(initiative)) {
            reasons.extend(headroom::reason(host, Resource::Memory, rules()));
        }
        if vcpus_fit && !vcpus::fits(load.vcpus, vm.vcpus, limit.vcpus_for(initiative)) {
            reasons.extend(headroom::reason(host, Resource::Cpu, rules()));
        }
        if !memory_fits {
            reasons.push(memory::reason(host, promised, vm.memory, limit.memory));
        }
        if !memory_used::fits(limit.available, load.arriving, held) {
            reasons.push(memory_used::reason(host, limit.available, load.arriving, held));
        }
        if !vcpus_fit {
            reasons.push(vcpus::reason(host, load.vcpus, vm.vcpus, limit.vcpus));
        }
    }

    fn closing_rules(&self, host: HostIx) -> impl Iterator<Item = (u32, &Rule)> {
        self.closing.of(host.at()).iter().map(|number| (*number, self.rule(*number)))
    }

    fn rules_of_vm(&self, vm: VmIx) -> impl Iterator<Item = (u32, &Rule)> {
        self.index.of_vm(vm).iter().map(|number| (*number, self.rule(*number)))
    }

    fn rule(&self, number: u32) -> &Rule {
        &self.rulebook.rules[number as usize]
    }
}
