//! What each fault does to the world.

use ulm_model::HostName;

use super::fault::{Fault, Lie, Manner};
use super::host::{Power, Resident};
use super::moves::{Half, Mover, Wish};
use super::scenario::ScenarioError;
use super::world::{BROKEN_SOCKET, Later, World};
use crate::driver::{DriverError, DriverEvent, ErrorKind, JobKind, RunState};

/// Whether a fault found something to hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It happened.
    Happened,
    /// There was nothing for it to hit, e.g. no move to abort.
    NothingToHit,
}
use Effect::{Happened, NothingToHit};

fn socket_closed() -> DriverError {
    DriverError::new(
        ErrorKind::Refused,
        "internal error: client socket is closed; the target broke off, read both hosts afresh",
    )
}

impl World {
    /// Lets something happen now. An error means that the scenario has no such host or VM.
    pub fn inject(&mut self, fault: Fault) -> Result<Effect, ScenarioError> {
        let (hosts, vms) = fault.concerns();
        let Some(hosts) = hosts.iter().map(|host| self.find_host(host)).collect::<Option<Vec<_>>>() else {
            return Err(ScenarioError(format!("a fault concerns a host that is not in the scenario: {fault:?}")));
        };
        let Some(vms) = vms.iter().map(|vm| self.find_vm_by_name(vm)).collect::<Option<Vec<_>>>() else {
            return Err(ScenarioError(format!("a fault concerns a VM that is not in the scenario: {fault:?}")));
        };
        let effect = match (fault, hosts.as_slice(), vms.as_slice()) {
            (Fault::StopHypervisor { down_s, .. }, &[host], _) => self.stop_hypervisor(host, down_s),
            (Fault::StartHypervisor { .. }, &[host], _) => self.start_hypervisor(host),
            (Fault::CutLink { for_s, .. }, &[host], _) => self.cut_link(host, for_s),
            (Fault::MendLink { .. }, &[host], _) => self.mend_link(host),
            (Fault::CutPower { manner, .. }, &[host], _) => self.cut_power(host, manner),
            (Fault::ShutDownHost { .. }, &[host], _) => self.shut_down_host(host),
            (Fault::PowerOn { .. }, &[host], _) => self.switch_on(host),
            (Fault::Hang { for_s, orders, .. }, &[host], _) => {
                self.hosts[host].hung = Some(orders);
                self.arrange(host, Later::HangEnds, for_s);
                self.reshare();
                Happened
            }
            (Fault::Recover { .. }, &[host], _) => self.recover(host),
            (Fault::FillMemory { amount, for_s, .. }, &[host], _) => {
                let it = &mut self.hosts[host];
                it.hog = amount.0.min(it.most_hogged());
                self.arrange(host, Later::HogEnds, for_s);
                self.check_memory(host);
                Happened
            }
            (Fault::LoseEvents { for_s, .. }, &[host], _) => {
                self.hosts[host].losing_events = true;
                self.arrange(host, Later::EventsBack, Some(for_s));
                Happened
            }
            (Fault::Lie { lie, for_s, .. }, &[host], _) => {
                self.hosts[host].lie = None;
                let frozen = (lie == Lie::Frozen).then(|| Box::new(self.reading(host)));
                self.hosts[host].lie = Some((lie, self.now, frozen));
                self.arrange(host, Later::LieEnds, for_s);
                Happened
            }
            (Fault::ForeignMove { bandwidth, .. }, &[to], &[vm]) => match self.executes_on(vm) {
                Some(from) => {
                    let wish = Wish { vm, from, to, bandwidth, max_downtime: None, by: Mover::SomebodyElse };
                    if self.begin_move(wish).is_ok() { Happened } else { NothingToHit }
                }
                None => NothingToHit,
            },
            (Fault::KillIncoming { .. }, _, &[vm]) => self.kill_incoming(vm),
            (Fault::AbortMove { .. }, _, &[vm]) => match self.move_of(vm) {
                Some(id) => {
                    self.put_abort(id);
                    Happened
                }
                None => NothingToHit,
            },
            (Fault::BreakPostCopy { .. }, _, &[vm]) => self.break_post_copy(vm),
            (Fault::GuestShutsDown { .. }, _, &[vm]) => self.guest_shuts_down(vm),
            (Fault::StartVm { .. }, _, &[vm]) => self.start_vm(vm),
            (Fault::PauseVm { .. }, _, &[vm]) => self.turn(vm, RunState::Running, RunState::Paused),
            (Fault::ResumeVm { .. }, _, &[vm]) => self.turn(vm, RunState::Paused, RunState::Running),
            (Fault::OtherJob { for_s, .. }, _, &[vm]) => self.other_job(vm, for_s),
            (fault, ..) => return Err(ScenarioError(format!("a fault names too little: {fault:?}"))),
        };
        for host in hosts {
            self.update_link(host);
        }
        self.version += 1;
        self.verify();
        Ok(effect)
    }

    /// Switches a host off at once, as a power cut that its peers notice. An error means that there is no such host.
    pub fn power_off(&mut self, host: &HostName) -> Result<Effect, ScenarioError> {
        self.inject(Fault::CutPower { host: host.clone(), manner: Manner::Reset })
    }

    /// Switches a host on; it answers after its boot time. An error means that there is no such host.
    pub fn power_on(&mut self, host: &HostName) -> Result<Effect, ScenarioError> {
        self.inject(Fault::PowerOn { host: host.clone() })
    }

    pub(super) fn happen_later(&mut self, host: usize, later: Later) {
        match later {
            Later::Booted => {
                let now = self.now;
                let it = &mut self.hosts[host];
                it.settle(now, &mut self.vms, self.grid);
                it.power = Power::On;
                it.hypervisor = true;
                it.boot(now);
            }
            Later::HypervisorStarts => drop(self.start_hypervisor(host)),
            Later::LinkMended => drop(self.mend_link(host)),
            Later::SilenceNoticed => {
                self.hosts[host].silent = false;
                for id in self.moves_at(host) {
                    self.fail_move(id, socket_closed(), Half::Removed);
                }
            }
            Later::HangEnds => drop(self.recover(host)),
            Later::HogEnds => self.hosts[host].hog = 0,
            Later::LieEnds => self.hosts[host].lie = None,
            Later::EventsBack => self.hosts[host].losing_events = false,
        }
        self.update_link(host);
    }

    fn stop_hypervisor(&mut self, host: usize, down_s: Option<f64>) -> Effect {
        if self.hosts[host].power != Power::On || !self.hosts[host].hypervisor {
            return NothingToHit;
        }
        let it = &mut self.hosts[host];
        it.hypervisor = false;
        it.hung = None;
        it.completed.clear();
        self.arrange(host, Later::HangEnds, None);
        self.arrange(host, Later::HypervisorStarts, down_s);
        for id in self.moves_at(host) {
            if self.moves[&id].from == host {
                self.orphan(id);
            } else {
                self.fail_move(id, socket_closed(), Half::Kept);
            }
        }
        self.reshare();
        Happened
    }

    fn start_hypervisor(&mut self, host: usize) -> Effect {
        if self.hosts[host].power != Power::On || self.hosts[host].hypervisor {
            return NothingToHit;
        }
        self.hosts[host].hypervisor = true;
        self.arrange(host, Later::HypervisorStarts, None);
        for id in self.moves_at(host) {
            if self.moves[&id].from == host && self.is_orphaned(id) {
                let error = DriverError::new(ErrorKind::Refused, "libvirtd was restarted, so the move was cancelled");
                self.fail_move(id, error, Half::Removed);
            }
        }
        let halves = self.hosts[host].residents.iter().filter(|resident| resident.state == RunState::Incoming);
        let halves: Vec<usize> = halves.map(|resident| resident.vm).collect();
        for vm in halves {
            if self.move_of(vm).is_none_or(|id| self.moves[&id].to != host) {
                self.end_process(host, vm);
            }
        }
        self.reshare();
        Happened
    }

    fn cut_link(&mut self, host: usize, for_s: Option<f64>) -> Effect {
        if !self.hosts[host].cable {
            return NothingToHit;
        }
        self.hosts[host].cable = false;
        self.arrange(host, Later::LinkMended, for_s);
        if self.hosts[host].power == Power::On {
            self.hosts[host].silent = true;
            self.arrange(host, Later::SilenceNoticed, Some(self.physics.keepalive_s));
        }
        self.reshare();
        Happened
    }

    fn mend_link(&mut self, host: usize) -> Effect {
        if self.hosts[host].cable {
            return NothingToHit;
        }
        self.hosts[host].cable = true;
        self.arrange(host, Later::LinkMended, None);
        if self.hosts[host].power == Power::On {
            self.hosts[host].silent = false;
            self.arrange(host, Later::SilenceNoticed, None);
        }
        self.reshare();
        Happened
    }

    fn cut_power(&mut self, host: usize, manner: Manner) -> Effect {
        if self.hosts[host].power == Power::Off {
            return NothingToHit;
        }
        self.touch(host);
        let it = &mut self.hosts[host];
        it.power = Power::Off;
        it.hypervisor = false;
        it.hung = None;
        it.hog = 0;
        it.lie = None;
        it.residents.clear();
        it.completed.clear();
        for later in [Later::Booted, Later::HypervisorStarts, Later::HangEnds, Later::HogEnds, Later::LieEnds] {
            self.arrange(host, later, None);
        }
        match manner {
            Manner::Reset if !self.hosts[host].silent => {
                for id in self.moves_at(host) {
                    self.fail_move(id, socket_closed(), Half::Removed);
                }
            }
            // A host that was silent already is found out when that is noticed.
            Manner::Reset => {}
            Manner::Silent => {
                if !self.hosts[host].silent {
                    self.hosts[host].silent = true;
                    self.arrange(host, Later::SilenceNoticed, Some(self.physics.keepalive_s));
                }
            }
        }
        self.reshare();
        Happened
    }

    fn shut_down_host(&mut self, host: usize) -> Effect {
        if self.hosts[host].power != Power::On {
            return self.cut_power(host, Manner::Reset);
        }
        let alive = self.hosts[host].residents.iter().filter(|resident| resident.state != RunState::Incoming);
        for vm in alive.map(|resident| resident.vm).collect::<Vec<_>>() {
            self.guest_shuts_down(vm);
        }
        self.cut_power(host, Manner::Reset)
    }

    fn switch_on(&mut self, host: usize) -> Effect {
        if self.hosts[host].power != Power::Off {
            return NothingToHit;
        }
        self.hosts[host].power = Power::Booting;
        if self.hosts[host].silent && self.hosts[host].cable {
            // Its network card answers again, and knows of no connection.
            self.arrange(host, Later::SilenceNoticed, None);
            self.happen_later(host, Later::SilenceNoticed);
        }
        let boot_s = self.hosts[host].spec.boot_s;
        self.arrange(host, Later::Booted, Some(boot_s));
        Happened
    }

    fn recover(&mut self, host: usize) -> Effect {
        if self.hosts[host].hung.take().is_none() {
            return NothingToHit;
        }
        self.arrange(host, Later::HangEnds, None);
        self.reshare();
        Happened
    }

    fn kill_incoming(&mut self, vm: usize) -> Effect {
        let Some(id) = self.move_of(vm) else { return NothingToHit };
        self.fail_move(id, DriverError::new(ErrorKind::Refused, BROKEN_SOCKET), Half::Removed);
        Happened
    }

    fn break_post_copy(&mut self, vm: usize) -> Effect {
        let Some(id) = self.move_of(vm).filter(|id| !self.is_orphaned(*id)) else { return NothingToHit };
        let (from, to) = (self.moves[&id].from, self.moves[&id].to);
        if self.hosts[from].resident(vm).is_none_or(|source| source.state != RunState::Running) {
            return NothingToHit;
        }
        let error = DriverError::new(
            ErrorKind::Refused,
            "operation failed: domain is not running; the post-copy phase broke and neither half is whole",
        );
        self.fail_move(id, error, Half::Removed);
        self.touch(from);
        if let Some(source) = self.hosts[from].resident_mut(vm) {
            source.state = RunState::Broken;
        }
        self.hosts[to].defined.insert(vm);
        let id = self.vms[vm].id;
        self.emit(from, DriverEvent::VmChanged(id));
        Happened
    }

    fn guest_shuts_down(&mut self, vm: usize) -> Effect {
        let Some(host) = self.lives_on(vm) else { return NothingToHit };
        let moving = self.move_of(vm);
        self.end_process(host, vm);
        if let Some(id) = moving {
            let error =
                DriverError::new(ErrorKind::Refused, "operation failed: domain is not running; it was shut down");
            self.fail_move(id, error, Half::Removed);
        }
        Happened
    }

    fn start_vm(&mut self, vm: usize) -> Effect {
        if self.hosts.iter().any(|host| host.resident(vm).is_some()) {
            return NothingToHit;
        }
        let ready = |host: &usize| self.hosts[*host].power == Power::On && self.hosts[*host].hypervisor;
        let Some(host) = self.homes(vm).into_iter().find(ready) else { return NothingToHit };
        let Some(pages) = self.hosts[host].take_pages(&self.vms[vm].spec) else { return NothingToHit };
        self.touch(host);
        let since = self.now;
        self.hosts[host].residents.push(Resident { pages, since, ..Resident::new(vm, RunState::Running) });
        let id = self.vms[vm].id;
        self.emit(host, DriverEvent::VmRuns(id));
        self.check_memory(host);
        Happened
    }

    fn turn(&mut self, vm: usize, was: RunState, is: RunState) -> Effect {
        let Some(host) = self.lives_on(vm) else { return NothingToHit };
        self.touch(host);
        let Some(resident) = self.hosts[host].resident_mut(vm) else { return NothingToHit };
        if resident.state != was || resident.job != JobKind::None {
            return NothingToHit;
        }
        resident.state = is;
        let id = self.vms[vm].id;
        let event = if is == RunState::Running { DriverEvent::VmRuns } else { DriverEvent::VmChanged };
        self.emit(host, event(id));
        Happened
    }

    fn other_job(&mut self, vm: usize, for_s: f64) -> Effect {
        let Some(host) = self.lives_on(vm) else { return NothingToHit };
        let Some(resident) = self.hosts[host].resident_mut(vm).filter(|r| r.job == JobKind::None) else {
            return NothingToHit;
        };
        resident.job = JobKind::Other;
        self.put_job_end(host, vm, for_s);
        let id = self.vms[vm].id;
        self.emit(host, DriverEvent::VmChanged(id));
        Happened
    }

    /// The host on which a VM is alive; of a move the source.
    pub(super) fn lives_on(&self, vm: usize) -> Option<usize> {
        let alive = |host: &super::host::SimHost| {
            host.resident(vm).is_some_and(|resident| resident.state != RunState::Incoming)
        };
        self.hosts.iter().position(alive)
    }

    /// The host on which a VM is alive and not broken.
    fn executes_on(&self, vm: usize) -> Option<usize> {
        self.lives_on(vm).filter(|host| self.hosts[*host].resident(vm).is_some_and(|r| r.state != RunState::Broken))
    }
}
