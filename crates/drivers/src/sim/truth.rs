//! What a test may look at: the truth, apart from what drivers report.
//!
//! The world watches itself. After every event it holds its invariants against its state; what it finds
//! broken stands in [`World::violations`], which every test should find empty at its end.

use std::time::Duration;

use ulm_model::{Bytes, HostName, MilliCpu, Time, VmId};

use super::host::{Power, duration};
use super::moves::MoveRecord;
use super::world::World;
use crate::driver::{JobKind, RunState};

/// Books that only the world itself keeps.
#[derive(Default)]
pub(super) struct Truth {
    pub moves: Vec<MoveRecord>,
    pub out_of_memory: Vec<(Time, HostName, VmId)>,
    pub violations: Vec<String>,
    pub peaks: Vec<Peaks>,
}

/// The most that was ever laid on a host, by the VMs on it and those that were arriving.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    /// Memory that the VMs could take at most, together.
    pub memory_promised: Bytes,
    /// Memory that was really in use, the host's own included; as seen at events.
    pub memory_used: Bytes,
    /// Virtual CPUs together.
    pub vcpus: u32,
}

/// Where a VM really is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// It executes here.
    Runs(HostName),
    /// It is held here, by somebody or for the end of a move.
    Held(HostName),
    /// It is lost: a post-copy move broke.
    Broken(HostName),
    /// It is shut off; these hosts have its definition.
    ShutOff(Vec<HostName>),
}

/// What a VM has lived through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// CPU time that it got.
    pub worked: Duration,
    /// CPU time that it wanted and did not get.
    pub contention: Duration,
    /// How long it stood still at the ends of its moves, in all.
    pub stood_still: Duration,
    /// The longest of these.
    pub longest_stall: Duration,
}

/// How a host really is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostTruth {
    /// Whether it has power.
    pub power: Power,
    /// CPU in use.
    pub cpu_used: MilliCpu,
    /// CPU wanted; more than [`HostTruth::cpu`] means contention.
    pub cpu_wanted: MilliCpu,
    /// CPU in all.
    pub cpu: MilliCpu,
    /// Memory in use.
    pub memory_used: Bytes,
    /// Memory in all.
    pub memory: Bytes,
    /// VMs on it, arriving ones not counted.
    pub vms: u32,
    /// The most that was ever laid on it.
    pub peaks: Peaks,
}

impl World {
    /// The names of all hosts, in the scenario's order.
    pub fn host_names(&self) -> Vec<HostName> {
        self.hosts.iter().map(|host| host.name.clone()).collect()
    }

    /// All VMs with their names, in the scenario's order.
    pub fn vms(&self) -> Vec<(VmId, String)> {
        self.vms.iter().map(|vm| (vm.id, vm.spec.name.clone())).collect()
    }

    /// The identity of a VM. Panics when the scenario has none of that name.
    pub fn vm(&self, name: &str) -> VmId {
        let vm = self.find_vm_by_name(name).unwrap_or_else(|| panic!("the scenario has no VM `{name}`"));
        self.vms[vm].id
    }

    /// Where a VM really is; `None` when the scenario does not know it.
    pub fn whereabouts(&self, vm: VmId) -> Option<Whereabouts> {
        let vm = self.find_vm(vm)?;
        let Some(host) = self.lives_on(vm) else {
            return Some(Whereabouts::ShutOff(
                self.homes(vm).into_iter().map(|h| self.hosts[h].name.clone()).collect(),
            ));
        };
        let name = self.hosts[host].name.clone();
        Some(match self.hosts[host].resident(vm)?.state {
            RunState::Running => Whereabouts::Runs(name),
            RunState::Broken => Whereabouts::Broken(name),
            _ => Whereabouts::Held(name),
        })
    }

    /// What a VM has lived through until now; `None` when the scenario does not know it.
    pub fn life(&mut self, vm: VmId) -> Option<Life> {
        let vm = self.find_vm(vm)?;
        let (mut got, mut missed) = (0.0, 0.0);
        if let Some(host) = self.lives_on(vm) {
            let ahead = self.hosts[host].look(self.now, &mut self.vms, self.grid);
            let it = &self.hosts[host];
            if let Some(resident) = it.resident(vm) {
                let (cpu, delay) = it.vm_cpu(resident, ahead);
                (got, missed) = (cpu - resident.cpu, delay - resident.delay);
            }
        }
        let vm = &self.vms[vm];
        Some(Life {
            worked: duration(vm.worked + got),
            contention: duration(vm.contention + missed),
            stood_still: duration(vm.stood_still),
            longest_stall: duration(vm.longest_stall),
        })
    }

    /// How a host really is; `None` when the scenario does not know it.
    pub fn host(&mut self, name: &HostName) -> Option<HostTruth> {
        let host = self.find_host(name)?;
        self.hosts[host].look(self.now, &mut self.vms, self.grid);
        let it = &self.hosts[host];
        let milli = |cpus: f64| MilliCpu((cpus * 1000.0).round() as u64);
        Some(HostTruth {
            power: it.power,
            cpu_used: milli(it.cpus_in_use()),
            cpu_wanted: milli(it.cpus_wanted()),
            cpu: MilliCpu::cpus(it.spec.cpus),
            memory_used: Bytes(it.memory_used(self.cell(), &self.vms, self.grid)),
            memory: it.spec.memory,
            vms: it.residents.iter().filter(|resident| resident.state != RunState::Incoming).count() as u32,
            peaks: self.truth.peaks[host],
        })
    }

    /// Every move that was ever begun, in order, by whomever.
    pub fn moves(&self) -> &[MoveRecord] {
        &self.truth.moves
    }

    /// When the out-of-memory killer came, where, and whom it killed (of a move: the receiving half).
    pub fn out_of_memory(&self) -> &[(Time, HostName, VmId)] {
        &self.truth.out_of_memory
    }

    /// Which invariants of the world were found broken. Anything in here is a fault of the simulator.
    pub fn violations(&self) -> &[String] {
        &self.truth.violations
    }

    pub(super) fn note_peaks(&mut self, host: usize) {
        let it = &self.hosts[host];
        let used = Bytes(it.memory_used(self.cell(), &self.vms, self.grid));
        let vcpus = it.residents.iter().map(|resident| self.vms[resident.vm].spec.vcpus).sum();
        let promised = it.memory_promised(&self.vms);
        let peaks = &mut self.truth.peaks[host];
        peaks.memory_promised = peaks.memory_promised.max(promised);
        peaks.memory_used = peaks.memory_used.max(used);
        peaks.vcpus = peaks.vcpus.max(vcpus);
    }

    /// Holds the invariants against the state.
    pub(super) fn verify(&mut self) {
        let mut broken = Vec::new();
        let mut executes = vec![0_u32; self.vms.len()];
        let mut alive = vec![0_u32; self.vms.len()];
        let mut defined = vec![0_u32; self.vms.len()];
        let cell = self.cell();
        for (h, host) in self.hosts.iter().enumerate() {
            for vm in &host.defined {
                defined[*vm] += 1;
            }
            if host.power != Power::On && !host.residents.is_empty() {
                broken.push(format!("{} has no power, but VMs on it", host.name));
            }
            for resident in &host.residents {
                let vm = &self.vms[resident.vm];
                executes[resident.vm] += u32::from(resident.state == RunState::Running);
                let moves = self.moves.values().find(|a_move| a_move.vm == resident.vm);
                if resident.state == RunState::Incoming {
                    let arriving = moves.is_some_and(|a_move| a_move.to == h);
                    if !arriving && host.hypervisor {
                        broken.push(format!("half of {} is on {} without a move", vm.spec.name, host.name));
                    }
                } else {
                    alive[resident.vm] += 1;
                    if !host.defined.contains(&resident.vm) {
                        broken.push(format!("{} is on {}, which does not know it", vm.spec.name, host.name));
                    }
                    let leaving = moves.is_some_and(|a_move| a_move.from == h);
                    if leaving != (resident.job == JobKind::MovingOut) {
                        broken.push(format!("the job of {} on {} does not fit its move", vm.spec.name, host.name));
                    }
                }
                if host.held_by(resident, cell, &self.vms, self.grid) > vm.spec.memory.0 {
                    broken.push(format!("{} holds more than its memory", vm.spec.name));
                }
            }
            if host.overdraws_pages() {
                broken.push(format!("{} gives more huge pages than it has", host.name));
            }
            let used = host.memory_used(cell, &self.vms, self.grid);
            if used > host.spec.memory.0 {
                broken.push(format!("{} uses {} of {}", host.name, Bytes(used), host.spec.memory));
            }
        }
        for (i, vm) in self.vms.iter().enumerate() {
            if executes[i] > 1 || alive[i] > 1 {
                broken.push(format!("{} is alive on {} hosts", vm.spec.name, alive[i].max(executes[i])));
            }
            if defined[i] == 0 {
                broken.push(format!("{} is known to no host", vm.spec.name));
            }
        }
        let now = self.time(self.now);
        self.truth.violations.extend(broken.into_iter().map(|sentence| format!("{now}: {sentence}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::host::Resident;
    use crate::sim::numa::Taken;
    use crate::sim::{Fault, HostSpec, Load, Scenario, VmSpec};

    fn world() -> World {
        let scenario = Scenario::new(1)
            .host(HostSpec::new("h1", 4, Bytes::gib(16)))
            .host(HostSpec::new("h2", 4, Bytes::gib(16)))
            .vm(VmSpec::new("a", "h1", 2, Bytes::gib(4)).load(Load::constant(50.0)));
        World::new(&scenario, Time(0)).unwrap()
    }

    /// What the world says after somebody tampered with it.
    fn complaint(tamper: impl FnOnce(&mut World)) -> String {
        let mut world = world();
        assert_eq!(world.violations(), [] as [String; 0]);
        tamper(&mut world);
        world.verify();
        world.violations().join("; ")
    }

    #[test]
    fn the_world_notices_when_its_laws_are_broken() {
        let twice = complaint(|world| world.hosts[1].residents.push(Resident::new(0, RunState::Running)));
        assert!(twice.contains("a is alive on 2 hosts") && twice.contains("h2, which does not know it"), "{twice}");
        let half = complaint(|world| world.hosts[1].residents.push(Resident::new(0, RunState::Incoming)));
        assert!(half.contains("half of a is on h2 without a move"), "{half}");
        let taken = Taken { cell: 0, size: Bytes::mib(2), amount: Bytes::mib(2) };
        let pages = complaint(|world| world.hosts[0].residents[0].pages.push(taken));
        assert!(pages.contains("h1 gives more huge pages than it has"), "{pages}");
        let full = complaint(|world| world.hosts[0].hog = Bytes::gib(14).0);
        assert!(full.contains("h1 uses"), "{full}");
        let dark = complaint(|world| world.hosts[0].power = Power::Off);
        assert!(dark.contains("h1 has no power, but VMs on it"), "{dark}");
        let lost = complaint(|world| world.hosts[0].defined.clear());
        assert!(lost.contains("a is known to no host"), "{lost}");
        let job = complaint(|world| world.hosts[0].residents[0].job = JobKind::MovingOut);
        assert!(job.contains("the job of a on h1 does not fit its move"), "{job}");
        let fat = complaint(|world| world.hosts[0].residents[0].holds = Some(Bytes::gib(5).0));
        assert!(fat.contains("a holds more than its memory"), "{fat}");
    }

    #[test]
    fn a_world_needs_neither_a_clock_nor_a_runtime() {
        let mut world = world();
        let a = world.vm("a");
        world.inject(Fault::ForeignMove { vm: "a".into(), to: "h2".into(), bandwidth: None }).unwrap();
        assert_eq!(world.whereabouts(a), Some(Whereabouts::Runs("h1".into())));
        assert_eq!(world.host(&"h2".into()).unwrap().peaks.memory_promised, Bytes::gib(4));
        world.advance(Time(60_000));
        assert_eq!(world.whereabouts(a), Some(Whereabouts::Runs("h2".into())));
        assert_eq!(world.host(&"h1".into()).unwrap().vms, 0);
        let life = world.life(a).unwrap();
        let lost = Duration::from_secs(60).saturating_sub(life.worked + life.stood_still);
        assert!(lost < Duration::from_millis(1), "1 CPU is wanted whenever it does not stand still: {life:?}");
        world.advance(Time(30_000));
        assert_eq!(world.now(), Time(60_000));
    }
}
