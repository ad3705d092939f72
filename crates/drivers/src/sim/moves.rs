//! Live migration: pre-copy in passes, over links that all moves share.
//!
//! A pass sends what is outstanding down to what fits into the downtime, but at least for 50 ms. What is
//! dirtied meanwhile follows the VM's unique-dirty curve W·(1 − e^(−r·t/W)) + c·t over the time that the pass
//! *really* took: rates change whenever another move begins or ends, or a cable is pulled. At a constant
//! rate the passes are those of `ulm_forecast::precopy`, which a test holds this to.
//!
//! The target's memory is held from the start. When it is less than what the VM holds, the receiving
//! process dies as soon as the room is full.

use ulm_model::{Bytes, BytesPerSecond, HostName, Time, VmId};

use super::host::{Nanos, Power, Resident, duration, nanos, seconds};
use super::link::{Flow, max_min_fair};
use super::world::{BROKEN_SOCKET, World};
use crate::driver::{DriverError, DriverEvent, ErrorKind, JobKind, JobProgress, RunState};

/// QEMU looks whether it can end every so often; in seconds.
const SLICE: f64 = 0.05;

/// The number of a move, in the order in which they began.
pub(super) type MoveId = usize;

/// One move that runs.
pub(super) struct Move {
    pub vm: usize,
    pub from: usize,
    pub to: usize,
    /// Bytes per second at most.
    cap: f64,
    /// Seconds.
    downtime_limit: f64,
    began: Nanos,
    phase: Phase,
    /// Bytes per second, while a pass runs.
    rate: f64,
    settled: Nanos,
    /// When the present phase ends at the present rate; `None` when it does not.
    pub due: Option<Nanos>,
    /// Bytes to send in the first pass.
    total: f64,
    sent: f64,
    passes: u32,
    /// Bytes dirtied per second in the last pass.
    dirty_rate: f64,
    /// Bytes after which the target's memory is full.
    room: Option<f64>,
    /// What the VM did before it was stopped for the hand-over.
    was: RunState,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Connections are made; `left` in seconds.
    Setup { left: f64 },
    /// A pass over the memory; `left` of `size` bytes are to be sent, `unsent` stay for the next one.
    Pass { began: Nanos, left: f64, unsent: f64 },
    /// The guest stands still; `left` in seconds.
    SwitchOver { left: f64, began: Nanos },
    /// The source's libvirtd is dead: nobody will end it.
    Orphaned,
}

/// What becomes of the receiving half when a move fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    /// It is removed.
    Removed,
    /// It stays until the target's libvirtd starts again.
    Kept,
}

/// Who began a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mover {
    /// Somebody with a driver.
    Driver,
    /// Somebody else.
    SomebodyElse,
}

/// What is known for good about a move, running or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveRecord {
    /// Which VM.
    pub vm: VmId,
    /// Its name.
    pub name: String,
    /// The source.
    pub from: HostName,
    /// The target.
    pub to: HostName,
    /// Who began it.
    pub by: Mover,
    /// When it began.
    pub began: Time,
    /// When it ended; `None` while it runs.
    pub ended: Option<Time>,
    /// What came of it; `None` while it runs.
    pub outcome: Option<Result<JobProgress, DriverError>>,
}

/// What somebody wishes to be moved.
pub(super) struct Wish {
    pub vm: usize,
    pub from: usize,
    pub to: usize,
    pub bandwidth: Option<BytesPerSecond>,
    pub max_downtime: Option<std::time::Duration>,
    pub by: Mover,
}

fn refused<T>(message: String) -> Result<T, DriverError> {
    Err(DriverError::new(ErrorKind::Refused, message))
}

impl World {
    /// Begins a move, or says why a hypervisor would not.
    pub(super) fn begin_move(&mut self, wish: Wish) -> Result<MoveId, DriverError> {
        self.may_move(&wish)?;
        let Wish { vm, from, to, bandwidth, max_downtime, by } = wish;
        let (cell, grid) = (self.cell(), self.grid);
        let Some(source) = self.hosts[from].resident(vm) else { return refused("the VM is gone".into()) };
        let was = source.state;
        let held = self.hosts[from].held_by(source, cell, &self.vms, grid);
        let (target, spec) = (&self.hosts[to], &self.vms[vm].spec);
        let pages = target.take_pages(spec).unwrap_or_default();
        // Huge pages are all there already.
        let free = if spec.pages.is_some() { held } else { target.room_for(spec, cell, &self.vms, grid) };
        let now = self.now;
        let a_move = Move {
            vm,
            from,
            to,
            cap: bandwidth.map_or(f64::INFINITY, |rate| rate.0.max(1) as f64),
            downtime_limit: max_downtime.map_or(self.physics.max_downtime_s, |limit| limit.as_secs_f64()),
            began: now,
            phase: Phase::Setup { left: self.physics.setup_s },
            rate: 0.0,
            settled: now,
            due: None,
            total: held as f64,
            sent: 0.0,
            passes: 0,
            dirty_rate: 0.0,
            room: (held > free).then_some(free as f64),
            was,
        };
        if let Some(source) = self.hosts[from].resident_mut(vm) {
            source.job = JobKind::MovingOut;
        }
        self.touch(to);
        let mut half = Resident::new(vm, RunState::Incoming);
        half.job = JobKind::MovingIn;
        half.holds = Some(held.min(free));
        half.pages = pages;
        self.hosts[to].residents.push(half);
        let id = self.truth.moves.len();
        self.truth.moves.push(MoveRecord {
            vm: self.vms[vm].id,
            name: self.vms[vm].spec.name.clone(),
            from: self.hosts[from].name.clone(),
            to: self.hosts[to].name.clone(),
            by,
            began: self.time(now),
            ended: None,
            outcome: None,
        });
        self.moves.insert(id, a_move);
        self.check_memory(to);
        let vm_id = self.vms[vm].id;
        self.emit(from, DriverEvent::VmChanged(vm_id));
        self.emit(to, DriverEvent::VmChanged(vm_id));
        self.reshare();
        self.version += 1;
        self.verify();
        Ok(id)
    }

    fn may_move(&self, wish: &Wish) -> Result<(), DriverError> {
        let spec = &self.vms[wish.vm].spec;
        let (name, target) = (&spec.name, &self.hosts[wish.to]);
        let Some(source) = self.hosts[wish.from].resident(wish.vm) else {
            if self.hosts[wish.from].defined.contains(&wish.vm) {
                return refused(format!("`{name}` does not run, so it cannot be moved live; start it first"));
            }
            return Err(DriverError::new(ErrorKind::NoSuchVm, format!("there is no VM `{name}` on this host")));
        };
        if source.job != JobKind::None {
            return Err(DriverError::new(
                ErrorKind::Busy,
                format!("another job runs already for `{name}`; wait for it"),
            ));
        }
        if !matches!(source.state, RunState::Running | RunState::Paused) {
            return refused(format!("`{name}` is in a state in which it cannot be moved"));
        }
        if let Some(fixture) = spec.fixtures.first() {
            return refused(format!("`{name}` is tied to its host by {fixture:?}, so it cannot be moved"));
        }
        if wish.from == wish.to {
            return refused(format!("`{name}` is on {} already", target.name));
        }
        if target.power != Power::On || !target.hypervisor || !(target.cable || target.silent) {
            return refused(format!(
                "unable to connect to the target {}; is it on, and does libvirtd run there?",
                target.name
            ));
        }
        if target.resident(wish.vm).is_some() {
            return refused(format!("a VM with the identity of `{name}` is active on {} already", target.name));
        }
        if spec.arch != target.spec.arch || !(spec.cpu.is_empty() || target.spec.cpu_offers.contains(&spec.cpu)) {
            return refused(format!("{} does not offer the CPU that `{name}` needs", target.name));
        }
        let missing =
            spec.networks.difference(&target.spec.networks).chain(spec.storage.difference(&target.spec.storage));
        if let Some(missing) = missing.into_iter().next() {
            return refused(format!("{} does not have `{missing}`, which `{name}` uses", target.name));
        }
        if let Some(cell) = spec.cells.iter().find(|id| target.spec.cells.iter().all(|cell| cell.id != **id)) {
            return refused(format!("NUMA node {cell} is unavailable on {}, and `{name}` is bound to it", target.name));
        }
        if target.take_pages(spec).is_none() {
            let name = &target.name;
            return refused(format!("unable to map backing store for guest RAM: {name} has too few free huge pages"));
        }
        Ok(())
    }

    /// Deals out the links among the passes that run, and finds out anew when each phase ends.
    pub(super) fn reshare(&mut self) {
        let now = self.now;
        for id in self.moves.keys().copied().collect::<Vec<_>>() {
            self.settle_move(id);
        }
        let flowing: Vec<MoveId> = self
            .moves
            .iter()
            .filter(|(_, m)| matches!(m.phase, Phase::Pass { .. }) && self.flows(m))
            .map(|(id, _)| *id)
            .collect();
        let flows: Vec<Flow> = flowing
            .iter()
            .map(|id| Flow { from: self.moves[id].from, to: self.moves[id].to, cap: self.moves[id].cap })
            .collect();
        let links: Vec<f64> = self.hosts.iter().map(|host| host.spec.link.0 as f64).collect();
        let rates = max_min_fair(&links, &flows);
        for a_move in self.moves.values_mut() {
            a_move.rate = 0.0;
        }
        for (id, rate) in flowing.iter().zip(rates) {
            if let Some(a_move) = self.moves.get_mut(id) {
                a_move.rate = rate;
            }
        }
        for id in self.moves.keys().copied().collect::<Vec<_>>() {
            let runs = self.talks(&self.moves[&id]);
            if let Some(a_move) = self.moves.get_mut(&id) {
                a_move.due = a_move.next_end(now, runs);
            }
        }
    }

    /// Whether pages can flow.
    fn flows(&self, a_move: &Move) -> bool {
        self.hosts[a_move.from].carries() && self.hosts[a_move.to].carries()
    }

    /// Whether the two hypervisors can speak to each other, which the beginning and the end need.
    fn talks(&self, a_move: &Move) -> bool {
        let ready = |host: usize| self.hosts[host].hypervisor && self.hosts[host].hung.is_none();
        self.flows(a_move) && ready(a_move.from) && ready(a_move.to)
    }

    fn settle_move(&mut self, id: MoveId) {
        let now = self.now;
        if let Some(a_move) = self.moves.get_mut(&id) {
            let span = seconds(now - a_move.settled);
            match &mut a_move.phase {
                Phase::Pass { left, .. } => {
                    let moved = (a_move.rate * span).min(*left);
                    *left -= moved;
                    a_move.sent += moved;
                }
                // A phase that is held up has no due time.
                Phase::Setup { left } | Phase::SwitchOver { left, .. } if a_move.due.is_some() => *left -= span,
                _ => {}
            }
            a_move.settled = now;
        }
    }

    /// Does what is due for a move.
    pub(super) fn step_move(&mut self, id: MoveId) {
        self.settle_move(id);
        let Some(a_move) = self.moves.get(&id) else { return };
        if a_move.room.is_some_and(|room| a_move.sent + 1.0 >= room && !matches!(a_move.phase, Phase::Setup { .. })) {
            let (host, vm) = (a_move.to, a_move.vm);
            self.truth.out_of_memory.push((self.time(self.now), self.hosts[host].name.clone(), self.vms[vm].id));
            return self.fail_move(id, DriverError::new(ErrorKind::Refused, BROKEN_SOCKET), Half::Removed);
        }
        match a_move.phase {
            Phase::Setup { .. } => {
                let total = a_move.total;
                self.begin_pass(id, total);
            }
            Phase::Pass { began, unsent, .. } => self.end_pass(id, seconds(self.now - began), unsent),
            Phase::SwitchOver { .. } => self.finish_move(id),
            Phase::Orphaned => {}
        }
    }

    fn begin_pass(&mut self, id: MoveId, outstanding: f64) {
        let now = self.now;
        let Some(a_move) = self.moves.get_mut(&id) else { return };
        let in_a_pass = matches!(a_move.phase, Phase::Pass { .. });
        a_move.phase = Phase::Pass { began: now, left: outstanding, unsent: 0.0 };
        if !in_a_pass {
            self.reshare();
            self.version += 1;
        }
        let Some(a_move) = self.moves.get_mut(&id) else { return };
        let threshold = a_move.rate * a_move.downtime_limit;
        let send = (outstanding - threshold).max(a_move.rate * SLICE).min(outstanding);
        let send = if a_move.rate > 0.0 { send } else { outstanding };
        a_move.phase = Phase::Pass { began: now, left: send, unsent: outstanding - send };
        a_move.due = a_move.next_end(now, true);
    }

    fn end_pass(&mut self, id: MoveId, took: f64, unsent: f64) {
        let Some(a_move) = self.moves.get_mut(&id) else { return };
        let dirty = self.vms[a_move.vm].spec.dirty;
        let hot = (dirty.hot.0 as f64).min(a_move.total);
        let turnover = if hot > 0.0 { dirty.hot_rate.0 as f64 / hot } else { 0.0 };
        let (x, cold) = (turnover * took, dirty.cold_rate.0 as f64);
        let dirtied = if a_move.was != RunState::Running || a_move.total <= 0.0 {
            0.0
        } else if a_move.passes == 0 {
            // A page that is written before it is sent costs nothing: the mean of the curve over the pass.
            let mean = if x < 1e-4 { x / 2.0 - x * x / 6.0 } else { 1.0 - (1.0 - exp_minus(x)) / x };
            (hot * mean + cold * took / 2.0) * (1.0 - unsent / a_move.total)
        } else {
            // What is left unsent is hot already.
            (hot - unsent).max(0.0) * (1.0 - exp_minus(x)) + cold * took
        };
        let outstanding = (unsent + dirtied).min(a_move.total);
        a_move.passes += 1;
        a_move.dirty_rate = if took > 0.0 { dirtied / took } else { 0.0 };
        if outstanding >= a_move.rate * a_move.downtime_limit && outstanding >= 1.0 {
            return self.begin_pass(id, outstanding);
        }
        let last = if a_move.rate > 0.0 { outstanding / a_move.rate } else { 0.0 };
        a_move.sent += outstanding;
        a_move.phase = Phase::SwitchOver { left: last + self.physics.switch_over_s, began: self.now };
        a_move.due = None;
        let (vm, from) = (a_move.vm, a_move.from);
        self.touch(from);
        if let Some(source) = self.hosts[from].resident_mut(vm) {
            source.state = RunState::Paused;
        }
        let vm_id = self.vms[vm].id;
        self.emit(from, DriverEvent::VmChanged(vm_id));
        self.reshare();
        self.version += 1;
        self.verify();
    }

    /// Hands the VM over. From here on it runs on the target and is unknown on the source.
    fn finish_move(&mut self, id: MoveId) {
        let Some(a_move) = self.moves.remove(&id) else { return };
        let Phase::SwitchOver { began, .. } = a_move.phase else { return };
        let (vm, from, to, now) = (a_move.vm, a_move.from, a_move.to, self.now);
        let vm_id = self.vms[vm].id;
        self.touch(from);
        self.touch(to);
        self.hosts[from].residents.retain(|resident| resident.vm != vm);
        self.hosts[from].defined.remove(&vm);
        if let Some(half) = self.hosts[to].resident_mut(vm) {
            half.state = a_move.was;
            half.job = JobKind::None;
            half.holds = None;
            half.since = now;
        }
        self.hosts[to].defined.insert(vm);
        let stall = seconds(self.now - began);
        self.book_stall(vm, stall);
        let done = JobProgress {
            elapsed: duration(seconds(self.now - a_move.began)),
            total: Some(Bytes(a_move.total as u64)),
            remaining: Some(Bytes(0)),
            sent: Some(Bytes(a_move.sent as u64)),
            rate: None,
            dirty_rate: Some(BytesPerSecond(a_move.dirty_rate as u64)),
            passes: Some(a_move.passes),
            downtime: Some(duration(stall)),
        };
        self.hosts[to].completed.insert(vm, done);
        self.note_end(id, Ok(done));
        let arrived = if a_move.was == RunState::Running { DriverEvent::VmRuns } else { DriverEvent::VmChanged };
        self.emit(to, arrived(vm_id));
        self.emit(from, DriverEvent::VmLeft(vm_id));
        self.check_memory(to);
        self.reshare();
        self.version += 1;
        self.verify();
    }

    /// Ends a move without success: the VM runs on where it was, if it still is there.
    pub(super) fn fail_move(&mut self, id: MoveId, error: DriverError, half: Half) {
        let Some(a_move) = self.moves.remove(&id) else { return };
        let (vm, from, to) = (a_move.vm, a_move.from, a_move.to);
        let vm_id = self.vms[vm].id;
        self.touch(from);
        let mut stays = false;
        if let Some(source) = self.hosts[from].resident_mut(vm) {
            stays = true;
            source.job = JobKind::None;
            if let Phase::SwitchOver { began, .. } = a_move.phase {
                source.state = a_move.was;
                self.book_stall(vm, seconds(self.now - began));
            }
        }
        if half == Half::Removed {
            let there = self.hosts[to].resident(vm).is_some_and(|half| half.state == RunState::Incoming);
            if there {
                self.end_process(to, vm);
            }
        }
        self.note_end(id, Err(error));
        if stays {
            let resumed = matches!(a_move.phase, Phase::SwitchOver { .. }) && a_move.was == RunState::Running;
            self.emit(from, if resumed { DriverEvent::VmRuns(vm_id) } else { DriverEvent::VmChanged(vm_id) });
        }
        self.reshare();
        self.version += 1;
    }

    fn book_stall(&mut self, vm: usize, stall: f64) {
        let vm = &mut self.vms[vm];
        vm.stood_still += stall;
        vm.longest_stall = vm.longest_stall.max(stall);
    }

    fn note_end(&mut self, id: MoveId, outcome: Result<JobProgress, DriverError>) {
        let now = self.time(self.now);
        let record = &mut self.truth.moves[id];
        record.ended = Some(now);
        record.outcome = Some(outcome);
    }

    /// The move that a VM makes.
    pub(super) fn move_of(&self, vm: usize) -> Option<MoveId> {
        self.moves.iter().find(|(_, a_move)| a_move.vm == vm).map(|(id, _)| *id)
    }

    /// The moves from and to a host.
    pub(super) fn moves_at(&self, host: usize) -> Vec<MoveId> {
        self.moves.iter().filter(|(_, m)| m.from == host || m.to == host).map(|(id, _)| *id).collect()
    }

    /// The source's libvirtd died: its moves hang in the air until it starts again.
    pub(super) fn orphan(&mut self, id: MoveId) {
        self.settle_move(id);
        let Some(a_move) = self.moves.get_mut(&id) else { return };
        if let Phase::SwitchOver { began, .. } = a_move.phase {
            let (vm, from, was, stall) = (a_move.vm, a_move.from, a_move.was, seconds(self.now - began));
            self.touch(from);
            if let Some(source) = self.hosts[from].resident_mut(vm) {
                source.state = was;
            }
            self.book_stall(vm, stall);
        }
        if let Some(a_move) = self.moves.get_mut(&id) {
            a_move.phase = Phase::Orphaned;
            a_move.due = None;
        }
    }

    /// Whether nobody will ever end the move by itself.
    pub(super) fn is_orphaned(&self, id: MoveId) -> bool {
        self.moves.get(&id).is_some_and(|a_move| a_move.phase == Phase::Orphaned)
    }

    /// An abort has its effect, unless the hand-over has begun.
    pub(super) fn abort_takes(&mut self, id: MoveId) {
        let Some(a_move) = self.moves.get(&id) else { return };
        if matches!(a_move.phase, Phase::SwitchOver { .. } | Phase::Orphaned) {
            return;
        }
        let error = DriverError::new(ErrorKind::Aborted, "operation aborted: the move was cancelled by a client");
        self.fail_move(id, error, Half::Removed);
    }

    /// How far a move is.
    pub(super) fn progress(&self, id: MoveId) -> Option<JobProgress> {
        let a_move = self.moves.get(&id)?;
        let elapsed = duration(seconds(self.now - a_move.began));
        let ahead = seconds(self.now - a_move.settled);
        let amount = |bytes: f64| Some(Bytes(bytes.max(0.0) as u64));
        Some(match a_move.phase {
            // At first libvirt tells the time only.
            Phase::Setup { .. } => JobProgress { elapsed, ..JobProgress::default() },
            Phase::Pass { left, unsent, .. } => {
                let moved = (a_move.rate * ahead).min(left);
                let remaining = left - moved + unsent;
                JobProgress {
                    elapsed,
                    total: amount(a_move.total),
                    remaining: amount(remaining),
                    sent: amount(a_move.sent + moved),
                    rate: Some(BytesPerSecond(a_move.rate as u64)),
                    dirty_rate: Some(BytesPerSecond(a_move.dirty_rate as u64)),
                    passes: Some(a_move.passes),
                    downtime: (a_move.rate > 0.0).then(|| duration(remaining / a_move.rate)),
                }
            }
            Phase::SwitchOver { .. } | Phase::Orphaned => JobProgress {
                elapsed,
                total: amount(a_move.total),
                remaining: Some(Bytes(0)),
                sent: amount(a_move.sent),
                rate: Some(BytesPerSecond(0)),
                dirty_rate: Some(BytesPerSecond(a_move.dirty_rate as u64)),
                passes: Some(a_move.passes),
                downtime: None,
            },
        })
    }
}

impl Move {
    /// When the phase ends at the present rate; `None` when it is held up.
    fn next_end(&self, now: Nanos, talks: bool) -> Option<Nanos> {
        match self.phase {
            Phase::Setup { left } | Phase::SwitchOver { left, .. } => talks.then(|| now + nanos(left.max(0.0))),
            Phase::Pass { left, .. } => {
                let left = self.room.map_or(left, |room| left.min(room - self.sent)).max(0.0);
                (self.rate > 0.0 || left == 0.0)
                    .then(|| now.saturating_add(if left == 0.0 { 0 } else { (left / self.rate * 1e9).ceil() as Nanos }))
            }
            Phase::Orphaned => None,
        }
    }
}

/// e^(−x) for x ≥ 0 from basic operations only: the system's own may differ in the last bit between machines.
fn exp_minus(x: f64) -> f64 {
    if x > 700.0 {
        return 0.0;
    }
    // The limit of (1 + z + z²/2 + …) for z = −x/1024, ten times squared.
    let z = -x / 1024.0;
    let series = (1..=13).rev().fold(1.0, |sum, n| 1.0 + z / f64::from(n) * sum);
    (0..10).fold(series, |power, _| power * power)
}

#[cfg(test)]
mod tests {
    use super::exp_minus;

    #[test]
    fn the_exponential_is_the_usual_one() {
        for x in [0.0, 1e-9, 0.1, 1.0, 5.0, 50.0, 600.0] {
            let usual = f64::exp(-x);
            assert!((exp_minus(x) - usual).abs() <= 1e-12, "{x}");
        }
        assert_eq!(exp_minus(1e9), 0.0);
    }
}
