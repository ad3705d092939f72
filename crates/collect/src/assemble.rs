//! Puts together what is known into one snapshot. Pure: memory, known moves and a time in, a snapshot out.

use std::collections::BTreeMap;
use std::time::Duration;

use ulm_drivers::{JobKind, RunState, VmFacts, VmReading};
use ulm_model::{
    Bytes, Doubt, Host, HostIx, HostName, HostState, InFlight, MilliCpu, Platform, Reason, Recent, Scope, Snapshot,
    Time, Vm, VmId, VmIx, VmState,
};

use crate::Known;
use crate::memory::{HostMemory, Memory};
use crate::plausible;

/// VMs that no host has shown for so long are forgotten with their figures.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// One host's sight of one VM.
#[derive(Clone, Copy)]
struct Sight<'a> {
    host: HostIx,
    vm: &'a VmReading,
    /// The host answered in the present look, and is believed.
    fresh: bool,
}

/// The snapshot of all that is remembered.
pub fn snapshot(memory: &mut Memory, known: &Known, now: Time, keep: usize) -> Snapshot {
    memory.forget_unseen(now, FORGET_AFTER);
    let mut snapshot = Snapshot { taken_at: now, ..Snapshot::default() };
    let mut sights: BTreeMap<VmId, Vec<Sight>> = BTreeMap::new();
    for (index, (name, of)) in memory.hosts.iter().enumerate() {
        let ix = HostIx(index as u32);
        snapshot.hosts.push(host(name, of, known, keep));
        if let Some(reason) = &of.doubt {
            snapshot.doubts.push(Doubt { scope: Scope::Host(name.clone()), reason: reason.clone() });
        }
        for vm in of.reading.iter().flat_map(|reading| &reading.vms) {
            sights.entry(vm.id).or_default().push(Sight { host: ix, vm, fresh: memory.is_fresh(of) });
        }
    }
    for (id, sights) in sights {
        vm(memory, known, now, id, &sights, &mut snapshot);
    }
    same_machines(memory, &mut snapshot);
    snapshot.sort();
    snapshot
}

fn host(name: &HostName, of: &HostMemory, known: &Known, keep: usize) -> Host {
    let state = match (&of.error, &of.facts) {
        (Some(error), _) => unreachable_because(name, &error.message),
        // A doubted reading was an answer all the same: the doubt says the rest.
        (None, None) if of.doubt.is_none() => unreachable_because(name, "it has not answered yet"),
        _ if known.maintenance.contains(name) => HostState::Maintenance,
        _ => HostState::Up,
    };
    let facts = of.facts.as_ref().map(|(_, facts)| facts);
    Host {
        name: name.clone(),
        state,
        cpu: of.reading.as_ref().map_or(MilliCpu(0), |reading| MilliCpu::cpus(reading.cpu.cpus)),
        memory: of.reading.as_ref().map_or_else(Default::default, |reading| reading.memory.total),
        cpu_use: Recent(of.cpu_use.last(keep).to_vec()),
        memory_use: Recent(of.memory_use.last(keep).to_vec()),
        platform: facts.map_or_else(Platform::default, |facts| facts.platform.clone()),
        cpu_verdicts: of.verdicts.clone(),
        networks: facts.map_or_else(Default::default, |facts| facts.networks.clone()),
        storage: facts.map_or_else(Default::default, |facts| facts.storage.clone()),
        tags: known.tags.get(name).cloned().unwrap_or_default(),
        cells: of.reading.as_ref().map_or_else(Vec::new, |reading| reading.cells.clone()),
        merging: of
            .reading
            .as_ref()
            .and_then(|reading| Some(of.scans.judged(plausible::merging(reading)?, reading.at))),
    }
}

fn unreachable_because(name: &HostName, error: &str) -> HostState {
    HostState::Unreachable { because: Box::new(Reason::Unreachable { host: name.clone(), error: error.to_owned() }) }
}

/// Finds a VM's home among the hosts that show it, and adds it with its move and its doubts.
fn vm(memory: &Memory, known: &Known, now: Time, id: VmId, sights: &[Sight], snapshot: &mut Snapshot) {
    let own = known.moves.get(&id);
    let ix_of = |snapshot: &Snapshot, name: &HostName| {
        snapshot.hosts.iter().position(|host| host.name == *name).map(|i| HostIx(i as u32))
    };
    let whole: Vec<&Sight> = sights.iter().filter(|sight| sight.vm.state != RunState::Incoming).collect();
    let incoming = sights.iter().find(|sight| sight.vm.state == RunState::Incoming);
    let own_ends = own.map(|own| (ix_of(snapshot, &own.from), ix_of(snapshot, &own.to)));

    // While one of our moves is open its source is the home, wherever the halves are seen at this instant.
    let by_own_move = own_ends.and_then(|(from, _)| whole.iter().find(|sight| Some(sight.host) == from));
    let Some(&&home) = by_own_move.or_else(|| best_home(&whole)) else {
        // Only a receiving half is seen: the source does not answer and was never seen with it. It holds memory there.
        if let Some(half) = incoming {
            let reason = Reason::Impossible {
                of: format!("VM {}", half.vm.name),
                what: "it arrives on a host and is seen on no other".to_owned(),
            };
            snapshot.doubts.push(Doubt { scope: Scope::Vm(id), reason });
            let vm_ix = push(memory, id, half, snapshot);
            if let Some(own) = own {
                snapshot.in_flight.push(InFlight { vm: vm_ix, from: half.host, to: None, since: own.since });
            }
        }
        return;
    };

    let running_elsewhere = whole
        .iter()
        .find(|other| other.host != home.host && other.fresh && home.fresh && executes(other) && executes(&home));
    if let (Some(other), None) = (running_elsewhere, own) {
        let (one, two) = (snapshot.host(home.host).name.clone(), snapshot.host(other.host).name.clone());
        let reason = Reason::RunsTwice { vm: id, name: home.vm.name.clone(), one: one.clone(), other: two.clone() };
        for scope in [Scope::Vm(id), Scope::Host(one), Scope::Host(two)] {
            snapshot.doubts.push(Doubt { scope, reason: reason.clone() });
        }
    }
    if let Some(reason) = memory.vms.get(&id).and_then(|vm| vm.doubt.clone()) {
        snapshot.doubts.push(Doubt { scope: Scope::Vm(id), reason });
    }

    let vm_ix = push(memory, id, &home, snapshot);
    if let Some(own) = own {
        // Handed over already and not settled yet: it is at home on the target, and no other host is concerned.
        let to = own_ends.and_then(|(_, to)| to).filter(|to| *to != home.host);
        snapshot.in_flight.push(InFlight { vm: vm_ix, from: home.host, to, since: own.since });
    } else if home.vm.job == JobKind::MovingOut || incoming.is_some() {
        // Somebody else moves it.
        let to = incoming.map(|half| half.host).filter(|to| *to != home.host);
        snapshot.in_flight.push(InFlight { vm: vm_ix, from: home.host, to, since: now });
    }
}

/// The host where the VM really is, when several show it: one that executes it beats one that holds it, a fresh answer beats an old one.
fn best_home<'a, 'b>(whole: &'b [&'a Sight<'a>]) -> Option<&'b &'a Sight<'a>> {
    whole.iter().min_by_key(|sight| (!sight.fresh, !executes(sight), sight.host))
}

fn executes(sight: &Sight) -> bool {
    sight.vm.state == RunState::Running
}

fn push(memory: &Memory, id: VmId, home: &Sight, snapshot: &mut Snapshot) -> VmIx {
    let remembered = memory.vms.get(&id);
    let definition = memory.definition(id).ok();
    let ix = VmIx(snapshot.vms.len() as u32);
    snapshot.vms.push(Vm {
        id,
        name: home.vm.name.clone(),
        host: home.host,
        state: match (home.vm.state, home.vm.job) {
            // A save, a dump or a backup runs: it must not be moved now.
            (_, JobKind::Other) => VmState::Other,
            (RunState::Running, _) => VmState::Running,
            (RunState::Paused, _) => VmState::Paused,
            (RunState::Incoming | RunState::Broken | RunState::Other, _) => VmState::Other,
        },
        vcpus: home.vm.vcpus,
        memory: home.vm.memory,
        cpu_use: remembered.map_or_else(Default::default, |vm| vm.cpu_use.clone()),
        memory_use: memory_use(remembered.map(|vm| &vm.memory_use), definition, home.vm),
        contention: remembered.map_or_else(Default::default, |vm| vm.contention.clone()),
        network: remembered.and_then(|vm| vm.network),
        disk: remembered.and_then(|vm| vm.disk),
        needs: definition.map(|facts| facts.needs.clone()),
        fixtures: definition.map_or_else(Vec::new, |facts| facts.fixtures.clone()),
        tags: definition.map_or_else(Default::default, |facts| facts.tags.clone()),
        unmergeable: definition.is_some_and(|facts| facts.unmergeable),
    });
    ix
}

/// What its process holds. A VM in huge pages holds all its memory from its start, and no part of it is in the resident set.
fn memory_use(resident: Option<&Recent<Bytes>>, definition: Option<&VmFacts>, vm: &VmReading) -> Recent<Bytes> {
    let mut figures = resident.cloned().unwrap_or_default();
    if definition.is_some_and(|facts| facts.needs.pages.is_some()) {
        figures.0.iter_mut().for_each(|figure| figure.value = vm.memory);
    }
    figures
}

/// Two names for one machine would count everything twice: neither is acted on.
fn same_machines(memory: &Memory, snapshot: &mut Snapshot) {
    let mut seen: BTreeMap<uuid::Uuid, &HostName> = BTreeMap::new();
    for (name, of) in &memory.hosts {
        let Some((_, facts)) = &of.facts else { continue };
        if let Some(first) = seen.get(&facts.machine) {
            let reason = Reason::SameMachine { one: (*first).clone(), other: name.clone() };
            for host in [(*first).clone(), name.clone()] {
                snapshot.doubts.push(Doubt { scope: Scope::Host(host), reason: reason.clone() });
            }
        } else {
            seen.insert(facts.machine, name);
        }
    }
}
