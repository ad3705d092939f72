//! The simulated world: hosts, VMs, moves, and an agenda of what is due.
//!
//! A [`World`] knows no clock and waits for nothing: [`World::advance`] brings it to a moment by doing
//! what is due until then, in order of time. Between two events everything has a closed form. So the
//! world is the same at a given moment, however often and by whom it was brought there.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::mpsc::UnboundedSender;
use ulm_model::{Bytes, HostName, Time, VmId};
use uuid::Uuid;

use super::fault::{Fault, Lie};
use super::host::{Contact, Nanos, Power, Resident, SimHost, SimVm, duration, nanos, seconds};
use super::load::{Series, hash, seed_of, unit};
use super::moves::{Move, MoveId};
use super::scenario::{Homes, Physics, PowerAtStart, Scenario, ScenarioError, StateAtStart};
use super::truth::Truth;
use crate::driver::{
    DriverError, DriverEvent, ErrorKind, JobKind, Link, MemoryReading, NodeCpu, Reading, RunState, VmReading,
};

/// The simulated world. See the module's text; a test may look at the truth by its methods.
pub struct World {
    pub(super) start: Time,
    pub(super) physics: Physics,
    pub(super) grid: Nanos,
    pub(super) now: Nanos,
    pub(super) hosts: Vec<SimHost>,
    pub(super) vms: Vec<SimVm>,
    host_by_name: BTreeMap<HostName, usize>,
    vm_by_id: BTreeMap<VmId, usize>,
    vm_by_name: BTreeMap<String, usize>,
    pub(super) moves: BTreeMap<MoveId, Move>,
    pub(super) truth: Truth,
    agenda: BTreeMap<(Nanos, u64), Due>,
    tickets: u64,
    arranged: BTreeMap<(usize, Later), u64>,
    pub(super) subscribers: Vec<Subscriber>,
    /// Grows with everything that somebody may wait for.
    pub(super) version: u64,
}

/// Memory checks come first at their moment: their tickets are the hosts' numbers, and all others are higher.
const FIRST_TICKET: u64 = 1 << 32;

/// Somebody who listens to a host's events.
pub(super) struct Subscriber {
    pub host: usize,
    pub driver: u64,
    pub to: UnboundedSender<DriverEvent>,
}

/// What is due at a moment.
enum Due {
    Fault(Fault),
    CheckMemory(usize),
    /// Something arranged for a host; counts only if the ticket is still the one that was given last.
    Later(usize, Later),
    AbortTakes(MoveId),
    JobEnds {
        host: usize,
        vm: usize,
    },
}

/// What can be arranged for later on a host, once each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Later {
    Booted,
    HypervisorStarts,
    LinkMended,
    SilenceNoticed,
    HangEnds,
    HogEnds,
    LieEnds,
    EventsBack,
}

impl World {
    /// A world as a scenario describes it, at the moment `start`.
    pub fn new(scenario: &Scenario, start: Time) -> Result<Self, ScenarioError> {
        scenario.sound()?;
        let scenario = scenario.spelled_out();
        let mut world = World {
            start,
            grid: nanos(scenario.physics.grid_s),
            physics: scenario.physics.clone(),
            now: 0,
            hosts: Vec::new(),
            vms: Vec::new(),
            host_by_name: BTreeMap::new(),
            vm_by_id: BTreeMap::new(),
            vm_by_name: BTreeMap::new(),
            moves: BTreeMap::new(),
            truth: Truth::default(),
            agenda: BTreeMap::new(),
            tickets: FIRST_TICKET,
            arranged: BTreeMap::new(),
            subscribers: Vec::new(),
            version: 0,
        };
        for spec in scenario.hosts {
            let power = match spec.power {
                PowerAtStart::On => Power::On,
                PowerAtStart::Off => Power::Off,
            };
            let machine = uuid_of(scenario.seed, "host", &spec.name);
            let mut host = SimHost::new(spec, machine, power);
            host.link = link_of(&host);
            world.host_by_name.insert(host.name.clone(), world.hosts.len());
            world.hosts.push(host);
        }
        for spec in scenario.vms {
            let Homes::One(home) = &spec.host else { continue };
            let Some(home) = world.find_host(&HostName(home.clone())) else { continue };
            let seed = seed_of(scenario.seed, "vm", &spec.name);
            let vm = world.vms.len();
            let id = VmId(uuid_of(scenario.seed, "vm", &spec.name));
            world.vm_by_id.insert(id, vm);
            world.vm_by_name.insert(spec.name.clone(), vm);
            world.hosts[home].defined.insert(vm);
            let state = match spec.state {
                StateAtStart::Running => Some(RunState::Running),
                StateAtStart::Paused => Some(RunState::Paused),
                StateAtStart::ShutOff => None,
            };
            if let Some(state) = state {
                let pages = world.hosts[home].take_pages(&spec).unwrap_or_default();
                world.hosts[home].residents.push(Resident { pages, ..Resident::new(vm, state) });
            }
            world.vms.push(SimVm {
                id,
                load: Series::new(spec.load.clone(), hash(seed, 1), start),
                resident: Series::new(spec.resident.clone(), hash(seed, 2), start),
                network_per_cpu: 1e5 + 1e7 * unit(hash(seed, 3)),
                disk_per_cpu: 1e5 + 1e7 * unit(hash(seed, 4)),
                contention: 0.0,
                worked: 0.0,
                stood_still: 0.0,
                longest_stall: 0.0,
                spec,
            });
        }
        for fault in scenario.faults {
            world.put(nanos(fault.at_s), Due::Fault(fault.what));
        }
        world.truth.peaks = vec![super::truth::Peaks::default(); world.hosts.len()];
        for host in 0..world.hosts.len() {
            world.check_memory(host);
        }
        world.verify();
        Ok(world)
    }

    /// The moment that the world is at.
    pub fn now(&self) -> Time {
        self.time(self.now)
    }

    pub(super) fn time(&self, at: Nanos) -> Time {
        self.start + std::time::Duration::from_nanos(at)
    }

    /// The number of a host.
    pub(super) fn find_host(&self, name: &HostName) -> Option<usize> {
        self.host_by_name.get(name).copied()
    }

    /// The number of a VM.
    pub(super) fn find_vm(&self, id: VmId) -> Option<usize> {
        self.vm_by_id.get(&id).copied()
    }

    /// The number of a VM.
    pub(super) fn find_vm_by_name(&self, name: &str) -> Option<usize> {
        self.vm_by_name.get(name).copied()
    }

    /// When something happens next by itself; rounded up to the clock's milliseconds.
    pub fn next_due(&self) -> Option<Time> {
        let moves = self.moves.values().filter_map(|a_move| a_move.due).min();
        let agenda = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let due = moves.into_iter().chain(agenda).min()?;
        Some(Time(self.start.0.saturating_add(i64::try_from(due.div_ceil(1_000_000)).unwrap_or(i64::MAX))))
    }

    /// Brings the world to a moment. A moment that is past is passed over.
    pub fn advance(&mut self, to: Time) {
        let to = u64::try_from(to.0.saturating_sub(self.start.0)).unwrap_or(0).saturating_mul(1_000_000);
        loop {
            let a_move = self.moves.iter().filter_map(|(id, a_move)| Some((a_move.due?, *id))).min();
            let item = self.agenda.first_key_value().map(|(key, _)| *key);
            match (a_move, item) {
                // At the same moment the agenda comes first: a fault hits a move before it gets away.
                (a_move, Some((at, ticket))) if at <= to && a_move.is_none_or(|(due, _)| at <= due) => {
                    self.now = self.now.max(at);
                    if let Some(due) = self.agenda.remove(&(at, ticket)) {
                        self.happen(due, ticket);
                        self.version += 1;
                        // Resident sets change with the cell: all memory checks of a moment belong together.
                        let more = self
                            .agenda
                            .first_key_value()
                            .is_some_and(|((next, ticket), _)| *next == at && *ticket < FIRST_TICKET);
                        if !more {
                            self.verify();
                        }
                    }
                }
                (Some((due, id)), _) if due <= to => {
                    self.now = self.now.max(due);
                    self.step_move(id);
                }
                _ => break,
            }
        }
        self.now = self.now.max(to);
    }

    fn happen(&mut self, due: Due, ticket: u64) {
        match due {
            // Names were checked when the scenario was read.
            Due::Fault(fault) => drop(self.inject(fault)),
            Due::CheckMemory(host) => {
                self.hosts[host].memory_watched = false;
                self.check_memory(host);
            }
            Due::Later(host, later) => {
                if self.arranged.get(&(host, later)) == Some(&ticket) {
                    self.arranged.remove(&(host, later));
                    self.happen_later(host, later);
                }
            }
            Due::AbortTakes(id) => self.abort_takes(id),
            Due::JobEnds { host, vm } => self.end_other_job(host, vm),
        }
    }

    /// Ends a VM's job that is no move, if it has one.
    pub(super) fn end_other_job(&mut self, host: usize, vm: usize) {
        if let Some(resident) = self.hosts[host].resident_mut(vm).filter(|r| r.job == JobKind::Other) {
            resident.job = JobKind::None;
            let id = self.vms[vm].id;
            self.emit(host, DriverEvent::VmChanged(id));
        }
    }

    fn put(&mut self, at: Nanos, due: Due) -> u64 {
        self.tickets += 1;
        self.agenda.insert((at, self.tickets), due);
        self.tickets
    }

    pub(super) fn put_abort(&mut self, id: MoveId) {
        self.put(self.now + nanos(self.physics.abort_s), Due::AbortTakes(id));
    }

    pub(super) fn put_job_end(&mut self, host: usize, vm: usize, after_s: f64) {
        self.put(self.now + nanos(after_s), Due::JobEnds { host, vm });
    }

    /// Arranges something for later; replaces what was arranged of the same sort. `None`: it does not come by itself.
    pub(super) fn arrange(&mut self, host: usize, later: Later, after_s: Option<f64>) {
        self.arranged.remove(&(host, later));
        if let Some(after) = after_s {
            let ticket = self.put(self.now + nanos(after), Due::Later(host, later));
            self.arranged.insert((host, later), ticket);
        }
    }

    /// Books a host up to now, before who wants what on it changes.
    pub(super) fn touch(&mut self, host: usize) {
        self.hosts[host].settle(self.now, &mut self.vms, self.grid);
        self.hosts[host].disturb();
    }

    pub(super) fn cell(&self) -> u64 {
        self.now / self.grid
    }

    /// Tells everybody who listens to a host, if its connection carries it.
    pub(super) fn emit(&mut self, host: usize, event: DriverEvent) {
        let it = &mut self.hosts[host];
        if it.losing_events {
            it.lost += 1;
            return;
        }
        match it.contact() {
            Contact::Answers => self.deliver(host, event),
            Contact::Hangs(_) | Contact::Silent => it.withheld.push(event),
            Contact::Refuses(_) => it.lost += 1,
        }
    }

    pub(super) fn deliver(&mut self, host: usize, event: DriverEvent) {
        self.version += 1;
        self.subscribers.retain(|listener| listener.host != host || listener.to.send(event.clone()).is_ok());
    }

    /// Finds out what a change of a host means for the connection to it.
    pub(super) fn update_link(&mut self, host: usize) {
        self.version += 1;
        let link = link_of(&self.hosts[host]);
        let it = &mut self.hosts[host];
        let contact = it.contact();
        if link != it.link {
            let was_up = it.link == Link::Up;
            it.link = link.clone();
            if was_up {
                it.break_connection();
            }
            if was_up || link == Link::Up {
                self.deliver(host, DriverEvent::LinkChanged(link));
            }
        }
        if contact == Contact::Answers {
            let it = &mut self.hosts[host];
            let withheld = std::mem::take(&mut it.withheld);
            let lost = if it.losing_events { 0 } else { std::mem::take(&mut it.lost) };
            for event in withheld {
                self.deliver(host, event);
            }
            if lost > 0 {
                self.deliver(host, DriverEvent::Missed(lost));
            }
        }
    }

    /// The out-of-memory killer, if it is needed; and another look in the next cell, if it could be needed then.
    pub(super) fn check_memory(&mut self, host: usize) {
        let (cell, grid) = (self.cell(), self.grid);
        let total = self.hosts[host].spec.memory.0;
        while self.hosts[host].memory_used(cell, &self.vms, grid) > total {
            let it = &self.hosts[host];
            let weight = |resident: &Resident| {
                // What arrives is taken first: it is the newest and the largest that grows.
                (resident.state == RunState::Incoming, it.ordinary(resident, cell, &self.vms, grid))
            };
            let helps = it.residents.iter().filter(|resident| weight(resident).1 > 0);
            let Some(victim) = helps.max_by_key(|resident| weight(resident)) else {
                self.hosts[host].hog = self.hosts[host].most_hogged();
                break;
            };
            let vm = victim.vm;
            self.kill_for_memory(host, vm);
        }
        self.note_peaks(host);
        let it = &mut self.hosts[host];
        if it.power == Power::On && it.used_at_most(&self.vms).0 > total && !it.memory_watched {
            it.memory_watched = true;
            self.agenda.insert(((cell + 1) * grid, host as u64), Due::CheckMemory(host));
        }
    }

    /// Ends a VM's process on a host.
    pub(super) fn end_process(&mut self, host: usize, vm: usize) {
        self.touch(host);
        self.hosts[host].residents.retain(|resident| resident.vm != vm);
        let id = self.vms[vm].id;
        self.emit(host, DriverEvent::VmLeft(id));
    }

    fn kill_for_memory(&mut self, host: usize, vm: usize) {
        self.truth.out_of_memory.push((self.time(self.now), self.hosts[host].name.clone(), self.vms[vm].id));
        let moving =
            self.moves.iter().find(|(_, a_move)| a_move.vm == vm && (a_move.to == host || a_move.from == host));
        let id = moving.map(|(id, _)| *id);
        self.end_process(host, vm);
        if let Some(id) = id {
            self.fail_move(id, DriverError::new(ErrorKind::Refused, BROKEN_SOCKET), super::moves::Half::Removed);
        }
    }

    /// The raw figures of a host, as a hypervisor that tells the truth would give them, and then the lie.
    pub(super) fn reading(&mut self, host: usize) -> Reading {
        let ahead = self.hosts[host].look(self.now, &mut self.vms, self.grid);
        let (now, cell, grid) = (self.now, self.cell(), self.grid);
        let (it, vms) = (&self.hosts[host], &self.vms);
        let (busy, idle) = it.node_cpu(now, ahead);
        let used = it.memory_used(cell, vms, grid);
        let mut readings = Vec::with_capacity(it.residents.len());
        for resident in &it.residents {
            let vm = &vms[resident.vm];
            let (cpu, delay) = it.vm_cpu(resident, ahead);
            // As of real ones: huge pages are no part of a process's resident set.
            let held = it.ordinary(resident, cell, vms, grid);
            readings.push(VmReading {
                id: vm.id,
                name: vm.spec.name.clone(),
                state: resident.state,
                job: resident.job,
                vcpus: vm.spec.vcpus,
                memory: vm.spec.memory,
                resident: Some(Bytes(held)),
                cpu_time: Some(duration(cpu)),
                cpu_delay: Some(duration(delay)),
                network: Some(Bytes((cpu * vm.network_per_cpu) as u64)),
                disk: Some(Bytes((cpu * vm.disk_per_cpu) as u64)),
            });
        }
        let mut reading = Reading {
            at: self.time(now),
            cpu: NodeCpu { cpus: it.spec.cpus, busy: duration(busy), idle: duration(idle) },
            memory: MemoryReading { total: it.spec.memory, available: it.spec.memory.saturating_sub(Bytes(used)) },
            cells: it.cells(cell, vms, grid),
            merging: it.merging(cell, vms, grid),
            vms: readings,
        };
        self.bend(host, &mut reading);
        // Arrivals are at the end of the residents; the order of a reading is that of the ids.
        reading.vms.sort_by_key(|vm| vm.id);
        reading
    }

    fn bend(&self, host: usize, reading: &mut Reading) {
        let Some((lie, since, frozen)) = &self.hosts[host].lie else { return };
        let lasted = seconds(self.now - since);
        match lie {
            Lie::ZeroCpus => reading.cpu.cpus = 0,
            Lie::MoreThanAllCpus => reading.cpu.busy += duration(lasted * 4.0 * f64::from(reading.cpu.cpus)),
            Lie::MoreThanAllVcpus { vm } => {
                for vm in reading.vms.iter_mut().filter(|reading| reading.name == *vm) {
                    let surplus = duration(lasted * 10.0 * f64::from(vm.vcpus));
                    vm.cpu_time = vm.cpu_time.map(|time| time + surplus);
                }
            }
            Lie::CountersGoBack => {
                reading.cpu.busy /= 2;
                reading.cpu.idle /= 2;
                for vm in &mut reading.vms {
                    vm.cpu_time = vm.cpu_time.map(|time| time / 2);
                }
            }
            Lie::TimeGoesBack => reading.at = reading.at - std::time::Duration::from_secs(3600),
            Lie::Frozen => {
                if let Some(frozen) = frozen {
                    *reading = (**frozen).clone();
                }
            }
            Lie::NoMemory => reading.memory = MemoryReading { total: Bytes(0), available: Bytes(0) },
            Lie::MoreThanAllMemory => reading.memory.available = reading.memory.total + reading.memory.total,
            Lie::Phantom { vm } => {
                let Some(vm) = self.find_vm_by_name(vm).filter(|vm| self.hosts[host].resident(*vm).is_none()) else {
                    return;
                };
                let vm = &self.vms[vm];
                reading.vms.push(VmReading {
                    id: vm.id,
                    name: vm.spec.name.clone(),
                    state: RunState::Running,
                    job: JobKind::None,
                    vcpus: vm.spec.vcpus,
                    memory: vm.spec.memory,
                    resident: Some(vm.spec.memory),
                    cpu_time: Some(duration(lasted)),
                    cpu_delay: Some(duration(0.0)),
                    network: Some(Bytes(0)),
                    disk: Some(Bytes(0)),
                });
            }
        }
    }

    /// The hosts that know a VM.
    pub(super) fn homes(&self, vm: usize) -> BTreeSet<usize> {
        (0..self.hosts.len()).filter(|host| self.hosts[*host].defined.contains(&vm)).collect()
    }
}

pub(super) const BROKEN_SOCKET: &str =
    "job 'migration out' failed: Unable to write to socket: Bad file descriptor; look at the target's log";

fn link_of(host: &SimHost) -> Link {
    match host.contact() {
        Contact::Refuses(because) => Link::Down { because: format!("{}: {because}", host.name) },
        _ => Link::Up,
    }
}

fn uuid_of(seed: u64, kind: &str, name: &str) -> Uuid {
    let seed = seed_of(seed, kind, name);
    let bits = (u128::from(hash(seed, 0x71)) << 64) | u128::from(hash(seed, 0x72));
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
}
