//! One simulated host: who is on it, who gets how much CPU, what its counters say.
//!
//! Counters are integrals. Demand is constant within a grid cell, so time is booked in steps that end
//! at cell boundaries and at events, never at the moments at which somebody looks: a reading in between
//! is computed from the last step and changes nothing. That makes a trace independent of who polls when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ulm_model::{Bytes, HostName, VmId};
use uuid::Uuid;

use super::fault::{Lie, Orders};
use super::load::Series;
use super::numa::{self, Taken};
use super::scenario::{HostSpec, VmSpec};
use crate::driver::{DriverEvent, JobKind, JobProgress, Link, Reading, RunState};

/// Nanoseconds since the world began.
pub(super) type Nanos = u64;

pub(super) fn nanos(seconds: f64) -> Nanos {
    (seconds * 1e9).round().max(0.0) as Nanos
}

pub(super) fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 * 1e-9
}

pub(super) fn duration(seconds: f64) -> Duration {
    Duration::from_nanos((seconds.max(0.0) * 1e9) as u64)
}

/// One VM of the world, wherever it is.
pub(super) struct SimVm {
    pub id: VmId,
    pub spec: VmSpec,
    pub load: Series,
    pub resident: Series,
    /// Bytes through its network interfaces per second of CPU time.
    pub network_per_cpu: f64,
    /// Bytes to and from its disks per second of CPU time.
    pub disk_per_cpu: f64,
    /// Seconds of CPU time that it wanted and did not get, ever.
    pub contention: f64,
    /// Seconds of CPU time that it got, ever.
    pub worked: f64,
    /// Seconds that it stood still at the ends of its moves.
    pub stood_still: f64,
    /// The longest of these times, in seconds.
    pub longest_stall: f64,
}

impl SimVm {
    /// Resident bytes in a cell.
    pub fn resident_in(&self, cell: u64, grid: Nanos) -> u64 {
        (self.resident.at((cell * grid / 1_000_000) as i64, cell) * self.spec.memory.0 as f64) as u64
    }
}

/// A VM on a host.
pub(super) struct Resident {
    pub vm: usize,
    pub state: RunState,
    pub job: JobKind,
    /// CPU seconds since it came.
    pub cpu: f64,
    /// Seconds of waiting for CPUs since it came.
    pub delay: f64,
    /// CPUs that it wants in the present cell.
    pub wants: f64,
    /// When it came; 0: when the world began, or by no way that matters.
    pub since: Nanos,
    /// What it holds of the host's memory, if that does not follow its resident series.
    pub holds: Option<u64>,
    /// The huge pages that its memory is in.
    pub pages: Vec<Taken>,
}

impl Resident {
    pub fn new(vm: usize, state: RunState) -> Self {
        let job = JobKind::None;
        Resident { vm, state, job, cpu: 0.0, delay: 0.0, wants: 0.0, since: 0, holds: None, pages: Vec::new() }
    }
}

/// Whether a host has power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It runs.
    On,
    /// It was switched on and does not answer yet.
    Booting,
    /// It is off.
    Off,
}

/// What happens to somebody who calls a host's hypervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Contact {
    /// It answers.
    Answers,
    /// It takes the call and does not answer.
    Hangs(Orders),
    /// Nothing comes back, and nobody knows why yet.
    Silent,
    /// There is no connection, because …
    Refuses(&'static str),
}

/// One host of the world.
pub(super) struct SimHost {
    pub name: HostName,
    pub machine: Uuid,
    pub spec: HostSpec,
    pub power: Power,
    /// Whether libvirtd runs.
    pub hypervisor: bool,
    /// Whether the cable is in.
    pub cable: bool,
    /// Cut off without a word: the peers find out when the keep-alive runs out.
    pub silent: bool,
    pub hung: Option<Orders>,
    /// Grows whenever the connection to the controller breaks.
    pub connection: u64,
    pub link: Link,
    pub residents: Vec<Resident>,
    /// VMs that are defined here, alive or not.
    pub defined: BTreeSet<usize>,
    pub completed: BTreeMap<usize, JobProgress>,
    /// Memory taken by something else.
    pub hog: u64,
    pub memory_watched: bool,
    pub lie: Option<(Lie, Nanos, Option<Box<Reading>>)>,
    pub losing_events: bool,
    pub lost: u64,
    pub withheld: Vec<DriverEvent>,
    pub booted: Nanos,
    settled: Nanos,
    busy: f64,
    fresh: Option<u64>,
    /// The part of what is wanted that everybody gets.
    share: f64,
    /// CPUs in use.
    used: f64,
}

impl SimHost {
    pub fn new(spec: HostSpec, machine: Uuid, power: Power) -> Self {
        SimHost {
            name: HostName(spec.name.clone()),
            machine,
            spec,
            power,
            hypervisor: power == Power::On,
            cable: true,
            silent: false,
            hung: None,
            connection: 0,
            link: Link::Up,
            residents: Vec::new(),
            defined: BTreeSet::new(),
            completed: BTreeMap::new(),
            hog: 0,
            memory_watched: false,
            lie: None,
            losing_events: false,
            lost: 0,
            withheld: Vec::new(),
            booted: 0,
            settled: 0,
            busy: 0.0,
            fresh: None,
            share: 1.0,
            used: 0.0,
        }
    }

    pub fn contact(&self) -> Contact {
        if self.silent {
            return Contact::Silent;
        }
        match self.power {
            Power::Off => return Contact::Refuses("no route to host; it is off, or the network is broken"),
            Power::Booting => return Contact::Refuses("no route to host; it may be booting"),
            Power::On => {}
        }
        if !self.cable {
            return Contact::Refuses("no route to host; look at its network link");
        }
        if !self.hypervisor {
            return Contact::Refuses("connection refused; libvirtd does not run there, start it");
        }
        self.hung.map_or(Contact::Answers, Contact::Hangs)
    }

    /// Whether memory pages can flow to and from it.
    pub fn carries(&self) -> bool {
        self.power == Power::On && self.cable && !self.silent
    }

    pub fn resident(&self, vm: usize) -> Option<&Resident> {
        self.residents.iter().find(|resident| resident.vm == vm)
    }

    pub fn resident_mut(&mut self, vm: usize) -> Option<&mut Resident> {
        self.residents.iter_mut().find(|resident| resident.vm == vm)
    }

    /// To be called after [`SimHost::settle`] and before anything that changes who wants how much.
    pub fn disturb(&mut self) {
        self.fresh = None;
    }

    /// The connection to the controller is gone, and what was on its way with it.
    pub fn break_connection(&mut self) {
        self.connection += 1;
        self.lost += self.withheld.drain(..).count() as u64;
    }

    /// A start with all counters at zero.
    pub fn boot(&mut self, now: Nanos) {
        self.booted = now;
        self.settled = now;
        self.busy = 0.0;
        self.fresh = None;
    }

    /// Books everything up to `to`.
    pub fn settle(&mut self, to: Nanos, vms: &mut [SimVm], grid: Nanos) {
        while self.settled < to {
            let cell = self.settled / grid;
            let end = ((cell + 1) * grid).min(to);
            if self.power == Power::On {
                self.share_out(cell, vms, grid);
                let span = seconds(end - self.settled);
                for resident in self.residents.iter_mut().filter(|resident| resident.state == RunState::Running) {
                    let got = resident.wants * self.share * span;
                    let missed = resident.wants * span - got;
                    resident.cpu += got;
                    resident.delay += missed;
                    vms[resident.vm].worked += got;
                    vms[resident.vm].contention += missed;
                }
                self.busy += self.used * span;
            }
            self.settled = end;
        }
    }

    /// Decides who gets how much in a cell: in proportion to what is wanted when that is too much.
    fn share_out(&mut self, cell: u64, vms: &[SimVm], grid: Nanos) {
        if self.fresh == Some(cell) {
            return;
        }
        let ms = (cell * grid / 1_000_000) as i64;
        let mut wanted = self.spec.base_cpu;
        for resident in self.residents.iter_mut().filter(|resident| resident.state == RunState::Running) {
            let vm = &vms[resident.vm];
            resident.wants = vm.load.at(ms, cell) * f64::from(vm.spec.vcpus);
            wanted += resident.wants;
        }
        let cpus = f64::from(self.spec.cpus);
        self.share = if wanted > cpus { cpus / wanted } else { 1.0 };
        self.used = wanted.min(cpus);
        self.fresh = Some(cell);
    }

    /// Brings the host to `now` without booking anything that another moment of asking would book otherwise;
    /// gives the seconds since the last booking.
    pub fn look(&mut self, now: Nanos, vms: &mut [SimVm], grid: Nanos) -> f64 {
        self.settle(now / grid * grid, vms, grid);
        if self.power == Power::On {
            self.share_out(now / grid, vms, grid);
        }
        seconds(now.saturating_sub(self.settled))
    }

    /// CPU seconds busy and idle since the boot, `ahead` seconds after the last booking.
    pub fn node_cpu(&self, now: Nanos, ahead: f64) -> (f64, f64) {
        let busy = self.busy + self.used * ahead;
        (busy, (seconds(now - self.booted) * f64::from(self.spec.cpus) - busy).max(0.0))
    }

    /// CPU seconds got and missed by a resident since it came, `ahead` seconds after the last booking.
    pub fn vm_cpu(&self, resident: &Resident, ahead: f64) -> (f64, f64) {
        if resident.state != RunState::Running {
            return (resident.cpu, resident.delay);
        }
        let got = resident.wants * self.share * ahead;
        (resident.cpu + got, resident.delay + (resident.wants * ahead - got))
    }

    /// CPUs in use now. To be called after [`SimHost::look`].
    pub fn cpus_in_use(&self) -> f64 {
        if self.power == Power::On { self.used } else { 0.0 }
    }

    /// CPUs wanted now. To be called after [`SimHost::look`].
    pub fn cpus_wanted(&self) -> f64 {
        if self.power == Power::On { self.used / self.share } else { 0.0 }
    }

    /// What a resident has touched of its memory.
    pub fn held_by(&self, resident: &Resident, cell: u64, vms: &[SimVm], grid: Nanos) -> u64 {
        resident.holds.unwrap_or_else(|| vms[resident.vm].resident_in(cell, grid))
    }

    /// Memory in use: the host's own, what is set aside as huge pages, what fills it, and the resident sets less what is merged.
    pub fn memory_used(&self, cell: u64, vms: &[SimVm], grid: Nanos) -> u64 {
        if self.power != Power::On {
            return 0;
        }
        let held: u64 = self.residents.iter().map(|resident| self.ordinary(resident, cell, vms, grid)).sum();
        let saved = self.saved(cell, vms, grid);
        self.spec.base_memory.0 + numa::set_aside(&self.spec.cells).0 + self.hog + held.saturating_sub(saved)
    }

    /// The most that something else can fill of it.
    pub fn most_hogged(&self) -> u64 {
        self.spec.memory.saturating_sub(self.spec.base_memory + numa::set_aside(&self.spec.cells)).0
    }

    /// What would be in use if every VM took all that it may.
    pub fn memory_promised(&self, vms: &[SimVm]) -> Bytes {
        self.residents.iter().map(|resident| vms[resident.vm].spec.memory).sum()
    }
}
