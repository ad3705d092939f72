//! What every driver must do: one suite for all of them.
//!
//! A test implements [`Fixture`] for its hosts and calls [`run`]. The checks run in a fixed order, each is one
//! sentence ([`CHECKS`]), the first that fails ends the suite with that sentence and what was seen instead. What
//! cannot be tried (a hook that the fixture does not have) is reported as skipped by name, never silently.
//!
//! The suite waits for conditions, by asking again until [`Fixture::patience`] runs out, so it works in
//! virtual time and with slow real guests. It moves the fixture's VM away and back again, several times.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use ulm_model::{Bytes, BytesPerSecond, Cell, CpuVerdict, HostName, VmId};
use uuid::Uuid;

use crate::driver::{
    Driver, DriverError, DriverEvent, ErrorKind, JobKind, Link, MoveOrder, Presence, Reading, RunState, VmReading,
};

/// The hosts and VMs that the suite may use.
#[async_trait]
pub trait Fixture: Send {
    /// One driver for each host, two at least. All hosts must be able to take the movable VM.
    fn drivers(&self) -> Vec<Arc<dyn Driver>>;

    /// The name of a VM that runs on one of the hosts, is not busy, and can move to all others.
    fn movable(&self) -> String;

    /// The name of a running VM that is tied to its host, if there is one.
    fn tied(&self) -> Option<String> {
        None
    }

    /// A URI at which no hypervisor is, of the form that [`Driver::peer_uri`] has. It should fail soon.
    fn dead_uri(&self) -> String;

    /// How long to wait for anything.
    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Kills a host's hypervisor daemon, not its VMs, and sees to it that it starts again.
    async fn restart_hypervisor(&mut self, _host: &HostName) -> Hook {
        Hook::Unavailable
    }

    /// Cuts a host off the network for less than the keep-alive, and returns when it is on again.
    async fn cut_link_shortly(&mut self, _host: &HostName) -> Hook {
        Hook::Unavailable
    }

    /// Leaves a host too little memory for the movable VM.
    async fn fill_memory(&mut self, _host: &HostName) -> Hook {
        Hook::Unavailable
    }

    /// Gives the memory back that [`Fixture::fill_memory`] took.
    async fn free_memory(&mut self, _host: &HostName) -> Hook {
        Hook::Unavailable
    }
}

/// Whether a fixture could do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Done.
    Done,
    /// This fixture cannot do that.
    Unavailable,
}

/// What came of a suite that did not fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The checks that passed, in order.
    pub passed: Vec<&'static str>,
    /// The checks that were not tried, and why.
    pub skipped: Vec<(&'static str, String)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.passed {
            writeln!(f, "passed   {check}")?;
        }
        for (check, why) in &self.skipped {
            writeln!(f, "skipped  {check} ({why})")?;
        }
        write!(f, "{} passed, {} skipped", self.passed.len(), self.skipped.len())
    }
}

/// The check that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What should hold.
    pub check: &'static str,
    /// What was seen instead.
    pub seen: String,
    /// What passed before.
    pub before: Report,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nFAILED   {}: {}", self.before, self.check, self.seen)
    }
}

impl std::error::Error for Failure {}

/// Every check as a sentence, in the order in which they run.
pub const CHECKS: [&str; 20] = [
    "the link of every host comes up",
    "facts tell who the host is and what it offers, and two hosts are not one machine",
    "a reading is plausible",
    "counters grow, and never go back",
    "the movable VM runs on exactly one host and has no job",
    "the movable VM's facts name its architecture and nothing that ties it",
    "the VM's own host and the target offer the CPU that it needs",
    "a tied VM says what ties it, its move is refused, and it stays",
    "an unknown VM is told as such by every call",
    "to abort nothing is no error",
    "a move to a target that does not exist is an error, and the VM stays",
    "a move that runs is visible on both hosts, and its progress goes on",
    "a second move of a VM that moves is refused as busy",
    "an abort ends the move with an error of its own kind, and the VM stays on the source",
    "after a move the VM runs on the target and is gone from the source, and the events tell so",
    "what the move took can be read on the target, downtime included",
    "the VM's counters start anew on the target",
    "a move goes on when nobody waits for it any more",
    "a move survives a link that is cut shortly",
    "when the target's hypervisor dies or its memory is full, the move fails and the VM runs on",
];

/// Runs the suite. `Err` is the first check that failed.
pub async fn run(fixture: &mut dyn Fixture) -> Result<Report, Failure> {
    let drivers = fixture.drivers();
    let mut bench = Bench {
        patience: fixture.patience(),
        dead_uri: fixture.dead_uri(),
        events: drivers.iter().map(listen).collect(),
        drivers,
        vm: VmId(Uuid::nil()),
        home: 0,
    };
    let mut report = Report::default();
    for (number, check) in CHECKS.into_iter().enumerate() {
        match bench.check(number, fixture).await {
            Ok(Outcome::Passed) => report.passed.push(check),
            Ok(Outcome::Skipped(why)) => report.skipped.push((check, why)),
            Err(seen) => {
                bench.calm().await;
                return Err(Failure { check, seen, before: report });
            }
        }
    }
    Ok(report)
}

enum Outcome {
    Passed,
    Skipped(String),
}

type Seen<T = ()> = Result<T, String>;

/// What the checks hand on to each other.
struct Bench {
    drivers: Vec<Arc<dyn Driver>>,
    events: Vec<Ear>,
    patience: Duration,
    dead_uri: String,
    /// The movable VM.
    vm: VmId,
    /// The number of the host that it is on.
    home: usize,
}

/// Everything that a host's events have said so far.
struct Ear {
    heard: Arc<Mutex<Vec<DriverEvent>>>,
    task: JoinHandle<()>,
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn listen(driver: &Arc<dyn Driver>) -> Ear {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut events = driver.events();
    let task = tokio::spawn({
        let heard = heard.clone();
        async move {
            while let Some(event) = events.next().await {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            }
        }
    });
    Ear { heard, task }
}

fn ensure(holds: bool, seen: impl FnOnce() -> String) -> Seen {
    if holds { Ok(()) } else { Err(seen()) }
}

/// The names of hosts and the answer, for the sentence of a failure.
fn told<T: fmt::Debug>(driver: &Arc<dyn Driver>, answer: T) -> String {
    format!("{} says {answer:?}", driver.host())
}

const FREE: Presence = Presence::Here { state: RunState::Running, job: JobKind::None };

impl Bench {
    async fn check(&mut self, number: usize, fixture: &mut dyn Fixture) -> Seen<Outcome> {
        match number {
            0 => self.links_come_up().await?,
            1 => self.facts_are_plausible().await?,
            2 => self.readings_are_plausible().await?,
            3 => self.counters_grow().await?,
            4 => self.find(&fixture.movable()).await?,
            5 => self.vm_is_free().await?,
            6 => self.cpu_is_offered().await?,
            7 => match fixture.tied() {
                Some(tied) => self.tied_vm_stays(&tied).await?,
                None => return Ok(Outcome::Skipped("the fixture has no tied VM".into())),
            },
            8 => self.unknown_vm_is_told().await?,
            9 => self.drivers[self.home].abort(self.vm).await.map_err(|error| format!("{error:?}"))?,
            10 => self.dead_target_is_an_error().await?,
            11 => self.running_move_is_visible().await?,
            12 => self.second_move_is_busy().await?,
            13 => self.abort_leaves_it_on_the_source().await?,
            14 => self.move_ends_on_the_target().await?,
            15 => self.completed_tells_the_downtime().await?,
            16 => self.counters_start_anew().await?,
            17 => self.forgotten_move_goes_on().await?,
            18 => return self.short_cut_is_survived(fixture).await,
            _ => return self.accidents_leave_it_on_the_source(fixture).await,
        }
        Ok(Outcome::Passed)
    }

    /// Asks again until the answer is there.
    async fn until<T>(&self, what: &str, mut probe: impl AsyncFnMut() -> Result<T, String>) -> Seen<T> {
        let deadline = Instant::now() + self.patience;
        loop {
            match probe().await {
                Ok(answer) => return Ok(answer),
                Err(seen) if Instant::now() >= deadline => {
                    return Err(format!("waited {:?} in vain until {what}; at last: {seen}", self.patience));
                }
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Puts an end to a move that a failed check may have left behind.
    async fn calm(&self) {
        for driver in &self.drivers {
            let _ = driver.abort(self.vm).await;
        }
    }

    fn source(&self) -> &Arc<dyn Driver> {
        &self.drivers[self.home]
    }

    fn away(&self) -> usize {
        (self.home + 1) % self.drivers.len()
    }

    fn target(&self) -> &Arc<dyn Driver> {
        &self.drivers[self.away()]
    }

    fn order(&self, bandwidth: Option<BytesPerSecond>) -> MoveOrder {
        let target = self.target();
        MoveOrder { vm: self.vm, to: target.host().clone(), to_uri: target.peer_uri(), bandwidth, max_downtime: None }
    }

    /// Slow enough to be seen; libvirt counts in MiB/s.
    async fn slow(&self) -> Seen<BytesPerSecond> {
        let vm = self.vm_reading(self.source()).await?;
        let size = vm.resident.unwrap_or(vm.memory).0;
        Ok(BytesPerSecond((size / 40).max(1 << 20)))
    }

    fn begin(&self, order: MoveOrder) -> JoinHandle<Result<(), DriverError>> {
        let source = self.source().clone();
        tokio::spawn(async move { source.migrate(&order).await })
    }

    /// Waits for the end of a move that was begun.
    async fn end(&self, running: JoinHandle<Result<(), DriverError>>) -> Seen<Result<(), DriverError>> {
        let ended = tokio::time::timeout(self.patience, running).await;
        let ended = ended.map_err(|_| format!("the move had not ended after {:?}", self.patience))?;
        ended.map_err(|panic| format!("the driver panicked: {panic}"))
    }

    async fn reading(&self, driver: &Arc<dyn Driver>) -> Seen<Reading> {
        driver.reading().await.map_err(|error| told(driver, error))
    }

    async fn vm_reading(&self, driver: &Arc<dyn Driver>) -> Seen<VmReading> {
        let reading = self.reading(driver).await?;
        let vm = reading.vms.into_iter().find(|vm| vm.id == self.vm);
        vm.ok_or_else(|| format!("the reading of {} does not list the VM", driver.host()))
    }

    async fn locate(&self, driver: &Arc<dyn Driver>, vm: VmId) -> Seen<Presence> {
        driver.locate(vm).await.map_err(|error| told(driver, error))
    }

    /// The VM runs on the host of that number without a job, and on no other.
    async fn settled_on(&self, vm: VmId, host: usize) -> Seen {
        self.until("the VM runs there and nowhere else", async || {
            for (number, driver) in self.drivers.iter().enumerate() {
                let presence = self.locate(driver, vm).await?;
                let right = if number == host {
                    presence == FREE
                } else {
                    matches!(presence, Presence::Absent | Presence::ShutOff)
                };
                ensure(right, || told(driver, presence))?;
            }
            Ok(())
        })
        .await
    }

    async fn links_come_up(&self) -> Seen {
        ensure(self.drivers.len() >= 2, || "the fixture must have two drivers at least".into())?;
        for driver in &self.drivers {
            self.until("the link is up", async || {
                let link = driver.link();
                ensure(link == Link::Up, || told(driver, link))
            })
            .await?;
        }
        Ok(())
    }

    async fn facts_are_plausible(&self) -> Seen {
        let mut machines = Vec::new();
        for driver in &self.drivers {
            let facts = driver.facts().await.map_err(|error| told(driver, error))?;
            let whole = !facts.machine.is_nil()
                && !facts.hostname.is_empty()
                && !facts.platform.arch.is_empty()
                && !facts.platform.hypervisor.is_empty();
            ensure(whole, || told(driver, &facts))?;
            let kinds = |names: &std::collections::BTreeSet<String>, prefixes: &[&str]| {
                names.iter().all(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
            };
            let named = kinds(&facts.networks, &["network:", "bridge:", "direct:"])
                && kinds(&facts.storage, &["pool:", "path:/", "network-disk:"]);
            ensure(named, || told(driver, &facts))?;
            ensure(!machines.contains(&facts.machine), || format!("{} is another host too", driver.host()))?;
            ensure(!driver.peer_uri().is_empty(), || told(driver, driver.peer_uri()))?;
            machines.push(facts.machine);
        }
        Ok(())
    }

    async fn readings_are_plausible(&self) -> Seen {
        for driver in &self.drivers {
            let reading = self.reading(driver).await?;
            let host = reading.cpu.cpus > 0
                && reading.memory.total > Bytes(0)
                && reading.memory.available <= reading.memory.total;
            ensure(host, || told(driver, (&reading.cpu, &reading.memory)))?;
            let cells = &reading.cells;
            let sane =
                |cell: &Cell| cell.free <= cell.memory && cell.pages.iter().all(|pages| pages.free <= pages.total);
            ensure(cells.is_sorted_by(|a, b| a.id < b.id) && cells.iter().all(sane), || told(driver, cells))?;
            let merged = reading.merging.is_none_or(|merging| {
                merging.shared <= reading.memory.total && (merging.saved == Bytes(0) || merging.shared > Bytes(0))
            });
            ensure(merged, || told(driver, reading.merging))?;
            for vm in &reading.vms {
                ensure(vm.vcpus > 0 && vm.memory > Bytes(0) && !vm.name.is_empty(), || told(driver, vm))?;
                if vm.state == RunState::Running {
                    ensure(vm.cpu_time.is_some(), || told(driver, vm))?;
                }
            }
        }
        Ok(())
    }

    async fn counters_grow(&self) -> Seen {
        for driver in &self.drivers {
            let first = self.reading(driver).await?;
            self.until("the counters have grown", async || {
                let next = self.reading(driver).await?;
                ensure(next.at >= first.at, || told(driver, (first.at, next.at)))?;
                let back = next.cpu.busy < first.cpu.busy || next.cpu.idle < first.cpu.idle;
                ensure(!back, || told(driver, (first.cpu, next.cpu)))?;
                let scans = |reading: &Reading| reading.merging.map(|merging| merging.full_scans);
                ensure(scans(&next) >= scans(&first), || told(driver, (first.merging, next.merging)))?;
                for vm in &next.vms {
                    let was = first.vms.iter().find(|was| was.id == vm.id);
                    let back = was.is_some_and(|was| vm.cpu_time < was.cpu_time || vm.cpu_delay < was.cpu_delay);
                    ensure(!back, || told(driver, (was, vm)))?;
                }
                let grown = next.at > first.at && next.cpu.busy + next.cpu.idle > first.cpu.busy + first.cpu.idle;
                ensure(grown, || told(driver, (first.cpu, next.cpu)))
            })
            .await?;
        }
        Ok(())
    }

    async fn find(&mut self, name: &str) -> Seen {
        let found = self.find_vm(name).await?;
        (self.vm, self.home) = found;
        self.settled_on(self.vm, self.home).await
    }

    async fn find_vm(&self, name: &str) -> Seen<(VmId, usize)> {
        let mut found = Vec::new();
        for (number, driver) in self.drivers.iter().enumerate() {
            let reading = self.reading(driver).await?;
            found.extend(reading.vms.iter().filter(|vm| vm.name == name).map(|vm| (vm.id, number)));
        }
        let [found] = found[..] else { return Err(format!("`{name}` is on {} hosts", found.len())) };
        Ok(found)
    }

    async fn vm_is_free(&self) -> Seen {
        let facts = self.source().vm_facts(self.vm).await.map_err(|error| told(self.source(), error))?;
        ensure(!facts.needs.arch.is_empty() && facts.fixtures.is_empty(), || told(self.source(), &facts))
    }

    async fn cpu_is_offered(&self) -> Seen {
        let facts = self.source().vm_facts(self.vm).await.map_err(|error| told(self.source(), error))?;
        for driver in [self.source(), self.target()] {
            let verdict = driver.judge_cpu(&facts.needs.cpu).await.map_err(|error| told(driver, error))?;
            ensure(verdict == CpuVerdict::Offered, || told(driver, &verdict))?;
        }
        Ok(())
    }

    async fn tied_vm_stays(&self, name: &str) -> Seen {
        let (vm, host) = self.find_vm(name).await?;
        let driver = &self.drivers[host];
        let facts = driver.vm_facts(vm).await.map_err(|error| told(driver, error))?;
        ensure(!facts.fixtures.is_empty(), || told(driver, &facts))?;
        let target = &self.drivers[(host + 1) % self.drivers.len()];
        let order =
            MoveOrder { vm, to: target.host().clone(), to_uri: target.peer_uri(), bandwidth: None, max_downtime: None };
        let answer = driver.migrate(&order).await;
        ensure(answer.is_err(), || told(driver, &answer))?;
        self.settled_on(vm, host).await
    }

    async fn unknown_vm_is_told(&self) -> Seen {
        let nobody = VmId(Uuid::from_u128(0x7f3e_52c1_9b04_4a6d_8e11_0c5d_2f9a_6b37));
        let driver = self.source();
        let is_told = |error: Option<DriverError>, call: &str| {
            let right = error.as_ref().is_some_and(|error| error.kind == ErrorKind::NoSuchVm);
            ensure(right, || format!("{call}: {}", told(driver, error)))
        };
        is_told(driver.vm_facts(nobody).await.err(), "vm_facts")?;
        is_told(driver.job(nobody).await.err(), "job")?;
        is_told(driver.completed(nobody).await.err(), "completed")?;
        is_told(driver.abort(nobody).await.err(), "abort")?;
        let order = MoveOrder { vm: nobody, ..self.order(None) };
        is_told(driver.migrate(&order).await.err(), "migrate")?;
        let presence = self.locate(driver, nobody).await?;
        ensure(presence == Presence::Absent, || told(driver, presence))
    }

    async fn dead_target_is_an_error(&self) -> Seen {
        let order = MoveOrder { to: HostName("nowhere".into()), to_uri: self.dead_uri.clone(), ..self.order(None) };
        let answer = self.end(self.begin(order)).await?;
        ensure(answer.is_err(), || told(self.source(), &answer))?;
        self.settled_on(self.vm, self.home).await
    }

    async fn running_move_is_visible(&mut self) -> Seen {
        let slow = self.slow().await?;
        self.begin_and_watch(slow).await.map(drop)
        // The move runs on: the next two checks need it.
    }

    /// Begins a move that is slow enough to be seen, and sees it.
    async fn begin_and_watch(&self, slow: BytesPerSecond) -> Seen<JoinHandle<Result<(), DriverError>>> {
        let running = self.begin(self.order(Some(slow)));
        match self.watch_a_move().await {
            Ok(()) => Ok(running),
            Err(seen) if running.is_finished() => {
                Err(format!("{seen}; the move had ended with {:?}", self.end(running).await?))
            }
            Err(seen) => Err(seen),
        }
    }

    async fn watch_a_move(&self) -> Seen {
        self.until("both hosts show the move", async || {
            let presence = self.locate(self.source(), self.vm).await?;
            let leaving = matches!(presence, Presence::Here { job: JobKind::MovingOut, .. });
            ensure(leaving, || told(self.source(), presence))?;
            let presence = self.locate(self.target(), self.vm).await?;
            let arriving = presence == Presence::Here { state: RunState::Incoming, job: JobKind::MovingIn };
            ensure(arriving, || told(self.target(), presence))
        })
        .await?;
        let half = self.vm_reading(self.target()).await?;
        ensure(half.state == RunState::Incoming, || told(self.target(), &half))?;
        let whole = self.vm_reading(self.source()).await?;
        ensure(whole.job == JobKind::MovingOut, || told(self.source(), &whole))?;
        let job = async || {
            let job = self.source().job(self.vm).await.map_err(|error| told(self.source(), error))?;
            job.ok_or_else(|| format!("{} shows no job", self.source().host()))
        };
        let first = job().await?;
        self.until("the progress is told and goes on", async || {
            let next = job().await?;
            let further = next.elapsed > first.elapsed
                && next.total.is_some()
                && next.sent.is_some_and(|sent| sent > first.sent.unwrap_or_default())
                && next.remaining.is_some();
            ensure(further, || told(self.source(), (first, next)))
        })
        .await
    }

    async fn second_move_is_busy(&self) -> Seen {
        let answer = self.source().migrate(&self.order(None)).await;
        let busy = matches!(&answer, Err(error) if error.kind == ErrorKind::Busy);
        ensure(busy, || told(self.source(), &answer))?;
        let presence = self.locate(self.source(), self.vm).await?;
        let unharmed = matches!(presence, Presence::Here { job: JobKind::MovingOut, .. });
        ensure(unharmed, || told(self.source(), presence))
    }

    async fn abort_leaves_it_on_the_source(&self) -> Seen {
        self.source().abort(self.vm).await.map_err(|error| told(self.source(), error))?;
        self.settled_on(self.vm, self.home).await?;
        let slow = self.slow().await?;
        let running = self.begin_and_watch(slow).await?;
        self.source().abort(self.vm).await.map_err(|error| told(self.source(), error))?;
        let answer = self.end(running).await?;
        let aborted = matches!(&answer, Err(error) if error.kind == ErrorKind::Aborted);
        ensure(aborted, || told(self.source(), &answer))?;
        self.settled_on(self.vm, self.home).await
    }

    /// Moves the VM as fast as it goes, and makes the target its home.
    async fn go(&mut self) -> Seen {
        let answer = self.end(self.begin(self.order(None))).await?;
        ensure(answer.is_ok(), || told(self.source(), &answer))?;
        self.settled_on(self.vm, self.away()).await?;
        self.home = self.away();
        Ok(())
    }

    async fn move_ends_on_the_target(&mut self) -> Seen {
        let heard = |ear: &Ear| ear.heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (from, to) = (self.home, self.away());
        let before = (heard(&self.events[from]).len(), heard(&self.events[to]).len());
        self.go().await?;
        self.until("the events have told of it", async || {
            let (at_source, at_target) = (heard(&self.events[from]), heard(&self.events[to]));
            let left = at_source[before.0..].contains(&DriverEvent::VmLeft(self.vm));
            let runs = at_target[before.1..].contains(&DriverEvent::VmRuns(self.vm));
            ensure(left && runs, || {
                format!("the source told {:?}, the target {:?}", &at_source[before.0..], &at_target[before.1..])
            })
        })
        .await
    }

    async fn completed_tells_the_downtime(&self) -> Seen {
        let done = self.source().completed(self.vm).await.map_err(|error| told(self.source(), error))?;
        let whole = done.is_some_and(|done| {
            done.elapsed > Duration::ZERO && done.downtime.is_some_and(|downtime| downtime <= done.elapsed)
        });
        ensure(whole, || told(self.source(), done))
    }

    async fn counters_start_anew(&mut self) -> Seen {
        let old = self.until("the VM has worked", async || {
            let vm = self.vm_reading(self.source()).await?;
            ensure(vm.cpu_time > Some(Duration::from_millis(10)), || told(self.source(), &vm))?;
            Ok(vm)
        });
        old.await?;
        let begun = Instant::now();
        self.go().await?;
        let vm = self.vm_reading(self.source()).await?;
        // What the receiving process itself has used counts too.
        let most = (begun.elapsed() + Duration::from_secs(1)) * (vm.vcpus + 1);
        ensure(vm.cpu_time.is_some_and(|time| time <= most), || {
            format!("{}, but no more than {most:?} can have passed", told(self.source(), &vm))
        })?;
        self.until("it grows from there", async || {
            let next = self.vm_reading(self.source()).await?;
            ensure(next.cpu_time > vm.cpu_time, || told(self.source(), (vm.cpu_time, next.cpu_time)))
        })
        .await
    }

    async fn forgotten_move_goes_on(&mut self) -> Seen {
        let vm = self.vm_reading(self.source()).await?;
        let size = vm.resident.unwrap_or(vm.memory).0;
        // Slow enough to be caught, with a downtime that lets it end whatever the guest writes.
        let rate = BytesPerSecond((size / 5).max(32 << 20));
        let order = MoveOrder { max_downtime: Some(Duration::from_secs(3)), ..self.order(Some(rate)) };
        let running = self.begin(order);
        self.until("the move has begun", async || {
            let presence = self.locate(self.source(), self.vm).await?;
            ensure(presence != FREE, || told(self.source(), presence))
        })
        .await?;
        running.abort();
        self.settled_on(self.vm, self.away()).await?;
        self.home = self.away();
        Ok(())
    }

    async fn short_cut_is_survived(&mut self, fixture: &mut dyn Fixture) -> Seen<Outcome> {
        let slow = self.slow().await?;
        let running = self.begin_and_watch(slow).await?;
        let target = self.target().host().clone();
        if fixture.cut_link_shortly(&target).await == Hook::Unavailable {
            self.source().abort(self.vm).await.map_err(|error| told(self.source(), error))?;
            drop(self.end(running).await?);
            self.settled_on(self.vm, self.home).await?;
            return Ok(Outcome::Skipped("the fixture cannot cut a link".into()));
        }
        // Either it ended well meanwhile, or it goes on.
        let job = async || {
            let job = self.source().job(self.vm).await;
            job.map(|job| job.map(|job| job.sent)).map_err(|error| told(self.source(), error))
        };
        let before = job().await;
        if let Ok(Some(before)) = before {
            self.until("the move goes on", async || {
                let after = job().await?;
                ensure(after.is_none() || after > Some(before), || told(self.source(), (before, after)))
            })
            .await?;
            self.source().abort(self.vm).await.map_err(|error| told(self.source(), error))?;
        }
        match self.end(running).await? {
            Ok(()) => self.home = self.away(),
            Err(error) if error.kind == ErrorKind::Aborted => {}
            Err(error) => return Err(told(self.source(), error)),
        }
        self.links_come_up().await?;
        self.settled_on(self.vm, self.home).await?;
        Ok(Outcome::Passed)
    }

    async fn accidents_leave_it_on_the_source(&mut self, fixture: &mut dyn Fixture) -> Seen<Outcome> {
        let mut missing = Vec::new();
        let target = self.target().host().clone();
        if fixture.fill_memory(&target).await == Hook::Done {
            let answer = self.end(self.begin(self.order(None))).await;
            fixture.free_memory(&target).await;
            let answer = answer?;
            ensure(answer.is_err(), || format!("memory was full, but {}", told(self.source(), &answer)))?;
            self.settled_on(self.vm, self.home).await?;
        } else {
            missing.push("fill a host's memory");
        }
        let slow = self.slow().await?;
        let running = self.begin_and_watch(slow).await?;
        if fixture.restart_hypervisor(&target).await == Hook::Done {
            let answer = self.end(running).await?;
            ensure(answer.is_err(), || format!("the target died, but {}", told(self.source(), &answer)))?;
            self.links_come_up().await?;
        } else {
            missing.push("restart a hypervisor");
            self.source().abort(self.vm).await.map_err(|error| told(self.source(), error))?;
            drop(self.end(running).await?);
        }
        self.settled_on(self.vm, self.home).await?;
        if missing.is_empty() {
            Ok(Outcome::Passed)
        } else {
            Ok(Outcome::Skipped(format!("the fixture cannot {}", missing.join(", nor "))))
        }
    }
}
