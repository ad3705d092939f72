//! What the rules mean, word by word, slowly, and with nothing of the room's own.

use std::collections::BTreeSet;
use std::time::Duration;

use ulm_model::*;
use ulm_rules::Initiative;

use crate::world::{Then, World};

/// Whether a text fits a pattern.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|n| fits(rest, &text[n..])),
        Some((sign, rest)) => {
            text.split_first().is_some_and(|(t, tail)| (sign == t || *sign == b'?') && fits(rest, tail))
        }
    }
}

fn some_fits(patterns: &[String], texts: &[&str]) -> bool {
    patterns.is_empty() || patterns.iter().any(|p| texts.iter().any(|text| fits(p.as_bytes(), text.as_bytes())))
}

pub fn vm_is_selected(selector: &VmSelector, vm: &Vm) -> bool {
    let id = vm.id.0.to_string();
    let tags: Vec<&str> = vm.tags.iter().map(String::as_str).collect();
    let given = !(selector.name.is_empty() && selector.tag.is_empty());
    given && some_fits(&selector.name, &[&vm.name, &id]) && some_fits(&selector.tag, &tags)
}

pub fn host_is_selected(selector: &HostSelector, host: &Host) -> bool {
    let tags: Vec<&str> = host.tags.iter().map(String::as_str).collect();
    let given = !(selector.name.is_empty() && selector.tag.is_empty());
    given && some_fits(&selector.name, &[&host.name.0]) && some_fits(&selector.tag, &tags)
}

fn value_of(tags: &BTreeSet<String>, key: &str) -> Option<String> {
    let begin = format!("{key}=");
    tags.iter().find(|tag| tag.starts_with(&begin)).map(|tag| tag[begin.len()..].to_owned())
}

fn part(share: Share, whole: u64) -> u64 {
    (u128::from(whole) * u128::from(share.0) / 10_000) as u64
}

impl World {
    fn host(&self, ix: HostIx) -> &Host {
        &self.snapshot.hosts[ix.0 as usize]
    }
    fn vm(&self, ix: VmIx) -> &Vm {
        &self.snapshot.vms[ix.0 as usize]
    }
    fn all_hosts(&self) -> impl Iterator<Item = HostIx> + use<> {
        (0..self.snapshot.hosts.len() as u32).map(HostIx)
    }
    fn all_vms(&self) -> impl Iterator<Item = VmIx> + use<> {
        (0..self.snapshot.vms.len() as u32).map(VmIx)
    }
    fn rules_of_vm(&self, vm: VmIx) -> impl Iterator<Item = &Rule> {
        self.rulebook.rules.iter().filter(move |rule| vm_is_selected(&rule.vms, self.vm(vm)))
    }
    fn rules_of_host(&self, host: HostIx) -> impl Iterator<Item = &Rule> {
        self.rulebook.rules.iter().filter(move |rule| host_is_selected(&rule.hosts, self.host(host)))
    }
    fn members(&self, rule: &Rule) -> Vec<VmIx> {
        self.all_vms().filter(|vm| vm_is_selected(&rule.vms, self.vm(*vm))).collect()
    }

    /// Where the VM counted in the snapshot.
    fn places_before(&self, vm: VmIx) -> Vec<HostIx> {
        let mut places = vec![self.vm(vm).host];
        places.extend(self.snapshot.in_flight.iter().filter(|flight| flight.vm == vm).filter_map(|flight| flight.to));
        places
    }
    /// Where it counts now; the last one is where it will be.
    fn places(&self, vm: VmIx) -> Vec<HostIx> {
        match self.since.iter().find(|since| since.vm == vm) {
            None => self.places_before(vm),
            Some(since) => match since.then {
                Then::Runs => vec![self.vm(vm).host, since.to],
                Then::Ended => vec![since.to],
                Then::Failed => vec![self.vm(vm).host],
            },
        }
    }
    fn destination(&self, vm: VmIx) -> HostIx {
        *self.places(vm).last().unwrap()
    }
    fn is_moving(&self, vm: VmIx) -> bool {
        self.snapshot.in_flight.iter().any(|flight| flight.vm == vm) || self.since.iter().any(|since| since.vm == vm)
    }
    /// Everything that has set out for the host.
    fn set_out_for(&self, host: HostIx) -> Vec<VmIx> {
        let in_flight = self.snapshot.in_flight.iter().filter(|flight| flight.to == Some(host)).map(|flight| flight.vm);
        in_flight.chain(self.since.iter().filter(|since| since.to == host).map(|since| since.vm)).collect()
    }

    fn domain(&self, level: &Level, host: HostIx) -> String {
        let own = self.host(host).name.0.clone();
        match level {
            Level::Host => own,
            Level::Label(key) => value_of(&self.host(host).tags, key).map_or(own, |value| format!("{key}={value}")),
        }
    }

    // ---- what may be promised

    pub fn limits(&self, host: HostIx) -> (u64, u64) {
        let mut given = (None, None, None);
        for rule in self.rules_of_host(host) {
            if let RuleKind::Capacity { memory_overcommit, memory_reserve, cpu_overcommit } = rule.kind {
                given.0 = given.0.or(memory_overcommit);
                given.1 = given.1.or(memory_reserve);
                given.2 = given.2.or(cpu_overcommit);
            }
        }
        let (usual, one) = (&self.rulebook.capacity, self.host(host));
        let reserve = given.1.unwrap_or(usual.memory_reserve).0;
        let memory = part(given.0.unwrap_or(usual.memory_overcommit), one.memory.0.saturating_sub(reserve));
        (memory, part(given.2.unwrap_or(usual.cpu_overcommit), one.cpu.0) / 1000)
    }

    fn promised(&self, host: HostIx, places: impl Fn(VmIx) -> Vec<HostIx>) -> (u64, u64) {
        let on = |vm: VmIx| places(vm).iter().filter(|place| **place == host).count() as u64;
        let sum = |size: fn(&Vm) -> u64| self.all_vms().map(|vm| on(vm) * size(self.vm(vm))).sum::<u64>();
        (sum(|vm| vm.memory.0), sum(|vm| u64::from(vm.vcpus)))
    }

    fn largest_headroom(&self, host: HostIx, resource: Resource) -> (Share, String) {
        let mut most = (Share(0), String::new());
        for rule in self.rules_of_host(host) {
            if let RuleKind::Headroom { memory, cpu } = rule.kind {
                let share = if resource == Resource::Memory { memory } else { cpu };
                if share > most.0 {
                    most = (share, rule.name.clone());
                }
            }
        }
        most
    }

    fn capacity(&self, ix: VmIx, to: HostIx, initiative: Initiative, reasons: &mut Vec<Reason>) {
        let (vm, host) = (self.vm(ix), self.host(to).name.clone());
        let (limits, promised) = (self.limits(to), self.promised(to, |vm| self.places(vm)));
        let with = (promised.0 + vm.memory.0, promised.1 + u64::from(vm.vcpus));
        if with.0 > limits.0 {
            let free = Bytes(limits.0.saturating_sub(promised.0));
            reasons.push(Reason::MemoryShort { host: host.clone(), needed: vm.memory, free });
        }
        if with.1 > limits.1 {
            reasons.push(Reason::CpuOvercommit { host: host.clone(), vcpus: with.1, limit: limits.1 });
        }
        for (resource, with, limit) in [(Resource::Memory, with.0, limits.0), (Resource::Cpu, with.1, limits.1)] {
            let (share, rule) = self.largest_headroom(to, resource);
            let kept = part(share, limit).min(limit);
            if initiative == Initiative::Automatic && with <= limit && with > limit - kept {
                reasons.push(Reason::Headroom { host: host.clone(), rule, resource });
            }
        }
        let ordinary = |vm: &Vm| match vm.needs.as_ref().unwrap().pages {
            Some(_) => 0,
            None => vm.memory_use.0[0].value.0,
        };
        let arriving: u64 = self.set_out_for(to).iter().map(|vm| ordinary(self.vm(*vm))).sum();
        match self.host(to).memory_use.0.last() {
            None => reasons.push(Reason::TooFew { of: host.0, have: 0, needed: 1 }),
            Some(used) => {
                let available = self.host(to).memory.0 - used.value.0;
                if arriving + ordinary(vm) > available {
                    let (needed, available) = (Bytes(ordinary(vm)), Bytes(available.saturating_sub(arriving)));
                    reasons.push(Reason::MemoryUsed { host, needed, available });
                }
            }
        }
    }

    /// Huge pages and cells: whichever way all that arrive come to lie, each finds enough.
    fn cells(&self, ix: VmIx, to: HostIx, reasons: &mut Vec<Reason>) {
        let (vm, host) = (self.vm(ix), self.host(to));
        let needs = vm.needs.as_ref().unwrap();
        if needs.pages.is_none() && needs.cells.is_empty() {
            return;
        }
        let lacks = needs.cells.iter().any(|id| !host.cells.iter().any(|cell| cell.id == *id));
        if host.cells.is_empty() || lacks {
            reasons.push(Reason::CellsShort { host: host.name.clone(), cells: String::new(), what: String::new() });
            return;
        }
        let is_in = |needs: &Needs, cell: u32| needs.cells.is_empty() || needs.cells.contains(&cell);
        let takes =
            |vm: &Vm, needs: &Needs| if needs.pages.is_some() { vm.memory.0 } else { vm.memory_use.0[0].value.0 };
        let free = |needs: &Needs| -> u64 {
            let of_cell = |cell: &Cell| match needs.pages {
                None => cell.free.0,
                Some(size) => cell.pages.iter().filter(|pages| pages.size == size).map(|pages| pages.free.0).sum(),
            };
            host.cells.iter().filter(|cell| is_in(needs, cell.id)).map(of_cell).sum()
        };
        let rival = |a: &Needs, b: &Needs| {
            let bound = |n: &Needs| n.pages.is_some() || !n.cells.is_empty();
            let all: BTreeSet<u32> = a.cells.union(&b.cells).copied().chain([u32::MAX]).collect();
            bound(a) && bound(b) && a.pages == b.pages && all.iter().any(|cell| is_in(a, *cell) && is_in(b, *cell))
        };
        let others = self.set_out_for(to);
        let others: Vec<(&Needs, u64)> = others
            .iter()
            .map(|vm| (self.vm(*vm).needs.as_ref().unwrap(), self.vm(*vm)))
            .map(|(needs, vm)| (needs, takes(vm, needs)))
            .collect();
        let left = others
            .iter()
            .map(|(needs, _)| *needs)
            .filter(|other| rival(needs, other))
            .chain([needs])
            .map(|one| {
                let taken: u64 = others.iter().filter(|(other, _)| rival(one, other)).map(|(_, takes)| takes).sum();
                free(one).saturating_sub(taken)
            })
            .min()
            .unwrap();
        let needed = takes(vm, needs);
        if needed <= left {
            return;
        }
        let host = host.name.clone();
        reasons.push(match needs.pages {
            Some(size) => Reason::PagesShort { host, size, needed: Bytes(needed), free: Bytes(left) },
            None => Reason::CellsShort { host, cells: String::new(), what: String::new() },
        });
    }

    // ---- what the administrator wants

    /// Rules about VM and host by themselves, and about other VMs; hard ones.
    fn rules(&self, ix: VmIx, to: HostIx, reasons: &mut Vec<Reason>) {
        let host = self.host(to).name.clone();
        for rule in self.rulebook.rules.iter().filter(|rule| !rule.soft) {
            let name = rule.name.clone();
            let (about_it, there) =
                (vm_is_selected(&rule.vms, self.vm(ix)), host_is_selected(&rule.hosts, self.host(to)));
            match &rule.kind {
                RuleKind::Pin if about_it && !there => {
                    reasons.push(Reason::Pinned { host: host.clone(), rule: name });
                }
                RuleKind::KeepOff if about_it && there => {
                    reasons.push(Reason::Pinned { host: host.clone(), rule: name });
                }
                RuleKind::OneWay { label } if about_it => {
                    let number = |host: HostIx| value_of(&self.host(host).tags, label)?.parse::<i64>().ok();
                    if let (Some(from), Some(to)) = (number(self.vm(ix).host), number(to))
                        && to < from
                    {
                        reasons.push(Reason::WrongWay { host: host.clone(), rule: name });
                    }
                }
                RuleKind::Together { level } if about_it => {
                    let spread = |of_it: HostIx| -> usize {
                        let destination = |vm: VmIx| if vm == ix { of_it } else { self.destination(vm) };
                        let all = self.members(rule).into_iter().map(|vm| self.domain(level, destination(vm)));
                        all.collect::<BTreeSet<_>>().len()
                    };
                    if spread(to) > spread(self.destination(ix)) {
                        reasons.push(Reason::NotTogether { host: host.clone(), rule: name });
                    }
                }
                RuleKind::Apart { level, at_most } if about_it => {
                    let domain = self.domain(level, to);
                    let in_it = |places: Vec<HostIx>| places.iter().any(|place| self.domain(level, *place) == domain);
                    let members = self.members(rule);
                    let before = members.iter().filter(|vm| in_it(self.places_before(**vm))).count() as u32;
                    let now = members.iter().filter(|vm| in_it(self.places(**vm))).count() as u32;
                    let with = members.iter().filter(|vm| **vm == ix || in_it(self.places(**vm))).count() as u32;
                    if with > now && with > before.max(*at_most) {
                        reasons.push(Reason::TooClose { rule: name, domain, vms: with, limit: *at_most });
                    }
                }
                RuleKind::MaxVms { at_most } if (about_it || rule.vms.is_empty()) && there => {
                    let members = if rule.vms.is_empty() { self.all_vms().collect() } else { self.members(rule) };
                    let before = members.iter().filter(|vm| self.places_before(**vm).contains(&to)).count() as u32;
                    let now = members.iter().filter(|vm| self.places(**vm).contains(&to)).count() as u32;
                    let with = members.iter().filter(|vm| **vm == ix || self.places(**vm).contains(&to)).count() as u32;
                    if with > now && with > before.max(*at_most) {
                        reasons.push(Reason::HostFull { host: host.clone(), rule: name, vms: with, limit: *at_most });
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether automatic moves are not to begin now. The calendars here have one span of every day, by UTC.
    fn is_shut(&self, rule: &Rule) -> bool {
        let RuleKind::Window { calendar, open } = &rule.kind else { return false };
        let minute = (self.now.0 / 60_000 % 1440) as u16;
        let span = &calendar.spans[0];
        let holds = if span.from < span.to {
            (span.from..span.to).contains(&minute)
        } else {
            minute >= span.from || minute < span.to
        };
        holds != *open
    }

    /// Rules that set the host aside from automatic moves.
    fn set_aside(&self, host: HostIx) -> Vec<Reason> {
        let of = |rule: &Rule| match rule.kind {
            RuleKind::Exclude => {
                Some(Reason::HostExcluded { host: self.host(host).name.clone(), rule: rule.name.clone() })
            }
            RuleKind::Window { .. } if self.is_shut(rule) => {
                Some(Reason::OutsideWindow { rule: rule.name.clone(), until: None })
            }
            _ => None,
        };
        self.rules_of_host(host).filter_map(of).collect()
    }

    fn budgets(&self, ix: VmIx, expected: Duration, initiative: Initiative, reasons: &mut Vec<Reason>) {
        for rule in self.rules_of_vm(ix) {
            let RuleKind::Budget { per, moves, downtime, within, at_once } = &rule.kind else { continue };
            let together = |other: VmIx| {
                let same = |key: &str| {
                    let value = value_of(&self.vm(ix).tags, key);
                    value.is_some() && value == value_of(&self.vm(other).tags, key)
                };
                other == ix
                    || match per {
                        Per::Vm => false,
                        Per::Rule => true,
                        Per::Label(key) => same(key),
                    }
            };
            let group: Vec<VmIx> = self.members(rule).into_iter().filter(|vm| together(*vm)).collect();
            let ids: Vec<VmId> = group.iter().map(|vm| self.vm(*vm).id).collect();
            let young = |past: &&PastMove| Duration::from_millis((self.now.0 - past.ended.0) as u64) <= *within;
            let past: Vec<&PastMove> = self.past.iter().filter(|past| ids.contains(&past.vm)).filter(young).collect();
            let flying = group.iter().filter(|vm| self.is_moving(**vm)).count() as u32;
            let begun = past.len() as u32 + flying;
            let still = past.iter().map(|past| past.downtime).sum::<Duration>() + expected;
            let (rule, within) = (rule.name.clone(), *within);
            if initiative == Initiative::Automatic {
                if let Some(limit) = moves.filter(|limit| begun + 1 > *limit) {
                    reasons.push(Reason::MovesSpent { rule: rule.clone(), moves: begun, limit, within });
                }
                if let Some(limit) = downtime.filter(|limit| still > *limit) {
                    reasons.push(Reason::DowntimeSpent { rule: rule.clone(), downtime: still, limit, within });
                }
            }
            if let Some(limit) = at_once.filter(|limit| flying + 1 > *limit) {
                reasons.push(Reason::OthersMove { rule, moves: flying, limit });
            }
        }
    }

    /// Why the VM cannot leave.
    pub fn stays(&self, ix: VmIx, expected: Duration, initiative: Initiative) -> Vec<Reason> {
        let (mut reasons, home) = (Vec::new(), self.vm(ix).host);
        if let HostState::Unreachable { because } = &self.host(home).state {
            reasons.push(Reason::Unreachable { host: self.host(home).name.clone(), error: because.to_string() });
        }
        if self.is_moving(ix) {
            reasons.push(Reason::Moving {});
        }
        if initiative == Initiative::Automatic {
            reasons.extend(self.set_aside(home));
            for rule in self.rules_of_vm(ix) {
                if rule.kind == RuleKind::Exclude {
                    reasons.push(Reason::Excluded { rule: rule.name.clone() });
                }
                if self.is_shut(rule) {
                    reasons.push(Reason::OutsideWindow { rule: rule.name.clone(), until: None });
                }
            }
        }
        self.budgets(ix, expected, initiative, &mut reasons);
        reasons
    }

    /// Why the VM cannot go there, spare room aside.
    pub fn why_not(&self, ix: VmIx, to: HostIx, initiative: Initiative) -> Vec<Reason> {
        let mut reasons = self.stays(ix, Duration::ZERO, initiative);
        let host = self.host(to);
        if self.vm(ix).host == to {
            reasons.push(Reason::AlreadyThere { host: host.name.clone() });
            return reasons;
        }
        match &host.state {
            HostState::Up => {}
            HostState::Maintenance => reasons.push(Reason::Maintenance { host: host.name.clone() }),
            HostState::Unreachable { because } => {
                reasons.push(Reason::Unreachable { host: host.name.clone(), error: because.to_string() });
            }
        }
        if self.rules_of_host(to).any(|rule| rule.kind == RuleKind::Maintenance) {
            reasons.push(Reason::Maintenance { host: host.name.clone() });
        }
        if initiative == Initiative::Automatic {
            reasons.extend(self.set_aside(to));
        }
        self.rules(ix, to, &mut reasons);
        self.cells(ix, to, &mut reasons);
        self.capacity(ix, to, initiative, &mut reasons);
        reasons
    }

    /// The soft rules that the VM would break there, by being one too many or away from all others.
    pub fn unwished(&self, ix: VmIx, to: HostIx) -> Vec<Reason> {
        let mut reasons = Vec::new();
        for rule in self.rules_of_vm(ix).filter(|rule| rule.soft) {
            let there = host_is_selected(&rule.hosts, self.host(to));
            let others: Vec<VmIx> = self.members(rule).into_iter().filter(|vm| *vm != ix).collect();
            let broken = match &rule.kind {
                RuleKind::Pin => !there,
                RuleKind::KeepOff => there,
                RuleKind::Apart { level, at_most } => {
                    let domain = self.domain(level, to);
                    let in_it = |vm: &&VmIx| self.places(**vm).iter().any(|host| self.domain(level, *host) == domain);
                    others.iter().filter(in_it).count() as u32 + 1 > *at_most
                }
                RuleKind::Together { level } => {
                    let near = |vm: &VmIx| self.domain(level, self.destination(*vm)) == self.domain(level, to);
                    !others.is_empty() && !others.iter().any(near)
                }
                _ => false,
            };
            if broken {
                reasons.push(Reason::Unwished { host: self.host(to).name.clone(), rule: rule.name.clone() });
            }
        }
        reasons
    }

    pub fn rank(&self, ix: VmIx) -> u32 {
        let rank = |rule: &Rule| if let RuleKind::Priority { rank } = rule.kind { Some(rank) } else { None };
        self.rules_of_vm(ix).find_map(rank).unwrap_or(100)
    }

    // ---- the loss of a host

    /// The hosts of each spare rule that cannot be lost when VMs count at these places.
    pub fn cannot_be_lost(&self, places: &dyn Fn(VmIx) -> Vec<HostIx>) -> Vec<(HostIx, Reason)> {
        let mut lost = Vec::new();
        for rule in self.rulebook.rules.iter().filter(|rule| rule.kind == RuleKind::Spare) {
            let counts = |host: &HostIx| {
                self.host(*host).state == HostState::Up && host_is_selected(&rule.hosts, self.host(*host))
            };
            let hosts: Vec<HostIx> = self.all_hosts().filter(counts).collect();
            for host in &hosts {
                let mut others: Vec<(HostIx, (u64, u64))> = hosts
                    .iter()
                    .filter(|other| *other != host)
                    .map(|other| (*other, self.promised(*other, places)))
                    .collect();
                let on = |vm: &VmIx| places(*vm).contains(host);
                let vms: Vec<VmIx> = self.all_vms().filter(on).collect();
                if !self.have_places(&vms, &mut others) {
                    let name = self.host(*host).name.clone();
                    lost.push((*host, Reason::NoSpare { host: name, rule: rule.name.clone() }));
                }
            }
        }
        lost
    }

    fn have_places(&self, vms: &[VmIx], hosts: &mut Vec<(HostIx, (u64, u64))>) -> bool {
        let Some((vm, rest)) = vms.split_first() else { return true };
        let (memory, vcpus) = (self.vm(*vm).memory.0, u64::from(self.vm(*vm).vcpus));
        (0..hosts.len()).any(|i| {
            let (host, promised) = hosts[i];
            let (with, limits) = ((promised.0 + memory, promised.1 + vcpus), self.limits(host));
            hosts[i].1 = with;
            let found = with.0 <= limits.0 && with.1 <= limits.1 && self.have_places(rest, hosts);
            hosts[i].1 = promised;
            found
        })
    }

    /// The first host that could be lost in the snapshot and cannot be with the VM on its way there, too.
    pub fn loses(&self, ix: VmIx, to: HostIx) -> Option<Reason> {
        if self.places(ix).contains(&to) {
            return None;
        }
        let before = self.cannot_be_lost(&|vm| self.places_before(vm));
        let with = |vm: VmIx| {
            let mut places = self.places(vm);
            places.extend((vm == ix).then_some(to));
            places
        };
        let concerns = |reason: &Reason| {
            let Reason::NoSpare { rule, .. } = reason else { return false };
            let rule = self.rulebook.rules.iter().find(|one| one.name == *rule).unwrap();
            self.host(to).state == HostState::Up && host_is_selected(&rule.hosts, self.host(to))
        };
        let after = self.cannot_be_lost(&with);
        after.into_iter().find(|lost| !before.contains(lost) && concerns(&lost.1)).map(|(_, reason)| reason)
    }

    pub fn spare(&self) -> Vec<Reason> {
        self.cannot_be_lost(&|vm| self.places(vm)).into_iter().map(|(_, reason)| reason).collect()
    }
}
