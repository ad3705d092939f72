//! The loop: observe, decide, check, act — and nothing flows backwards but facts.
//!
//! One task owns everything that changes. It takes orders, ends of moves and the clock's ticks one at
//! a time; while a round of observation is under way, orders that need no fresh facts (switching off,
//! aborting) are obeyed at once. How a step begins, or waits, stands in `begin`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};
use tokio_util::sync::CancellationToken;
use ulm_check::{Fault, Grounds};
use ulm_collect::{Known, Observer};
use ulm_decide::Decision;
use ulm_drivers::{Clock, Driver};
use ulm_model::ledger::{Event, MoveKey, Outcome};
use ulm_model::{Acting, HostName, HostState, Plan, Reason, Snapshot, Step, Time, VmId};
use ulm_store::{Service, StoreError};

use crate::act::{Act, End, MoveLimits};
use crate::books::Books;
use crate::executor::{Done, Executor, How};
use crate::fleet::Connector;
use crate::handle::Handle;
use crate::journal::Journal;
use crate::order::{Order, OrderError, Refusal, Reply, unavailable};
use crate::orders::{find_host, find_vm};
use crate::phase::Phase;
use crate::policy_file::PolicyFile;
use crate::published::Published;
use crate::view::{Accepted, RoundStatus};

mod begin;
mod policy;

/// Orders that wait for the loop; more than a person can give at once.
const ORDERS: usize = 64;

/// The setting that holds the hosts' tags.
const HOST_TAGS: &str = "host_tags";

/// While moves run, what is published is renewed so often.
const RENEW: Duration = Duration::from_secs(1);

/// Where the books are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// In a folder.
    Folder(PathBuf),
    /// In memory: nothing is left behind.
    Memory,
}

/// What a daemon is started with.
pub struct Config {
    /// Where the books are kept.
    pub keep: Keep,
    /// What the user wants, and the file that is watched for changes of it.
    pub policy: PolicyFile,
    /// Makes drivers.
    pub connector: Arc<dyn Connector>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The daemon's version, for the ledger and the status.
    pub version: String,
}

/// Why a daemon does not start: a sentence that says what is wrong and what to do.
#[derive(Debug, Error)]
pub enum StartError {
    /// The books cannot be used.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A host under care has a URI that no driver takes any more.
    #[error("host {host}: {error}")]
    Host {
        /// Which host.
        host: HostName,
        /// What is wrong with it.
        error: OrderError,
    },
}

/// A daemon that is ready to run. See the module's text.
pub struct Daemon {
    observer: Observer,
    orders: mpsc::Receiver<Order>,
    dones: mpsc::UnboundedReceiver<Done>,
    core: Core,
    /// Orders that wait for the end of a round, each with [`Core::stops`] when it was given.
    later: Vec<(u64, Order)>,
}

/// Everything but the observer, so that orders can be obeyed while it is observing.
struct Core {
    books: Arc<Books>,
    policy: PolicyFile,
    /// What every host had by the policy when drivers were made.
    everywhere: ulm_policy::Everywhere,
    connector: Arc<dyn Connector>,
    clock: Arc<dyn Clock>,
    drivers: BTreeMap<HostName, Arc<dyn Driver>>,
    maintenance: BTreeSet<HostName>,
    tags: BTreeMap<HostName, BTreeSet<String>>,
    executor: Executor,
    /// How often acting was switched off: an order that was given before does not begin anything after.
    stops: u64,
    last_round: LastRound,
    /// VMs whose moves of ours ended since the last round, and between the last two: they are where we brought them.
    brought: [BTreeSet<VmId>; 2],
    /// Hosts that the ledger says are stuck, so that it says so once.
    stuck: BTreeSet<HostName>,
    published: Published,
    out: watch::Sender<Arc<Published>>,
    /// Troubles by what they are about: a new one replaces the old one, and success takes it away.
    troubles: BTreeMap<&'static str, String>,
}

/// What the last round saw, for telling what came since.
#[derive(Default)]
struct LastRound {
    /// Hosts that answered.
    hosts: BTreeSet<HostName>,
    /// Where each VM was.
    homes: BTreeMap<VmId, HostName>,
}

impl Daemon {
    /// Opens the books, takes up the hosts under care, and tells the ledger that it starts. Nothing moves before [`Daemon::run`].
    pub fn start(config: Config) -> Result<(Handle, Daemon), StartError> {
        let Config { keep, policy, connector, clock, version } = config;
        let books = Arc::new(match &keep {
            Keep::Folder(folder) => Books::open(folder)?,
            Keep::Memory => Books::in_memory()?,
        });
        let now = clock.now();
        books.store().append(now, &Event::DaemonStarted { version: version.clone() })?;
        books.recall(now)?;
        let acting = books.store().acting()?;
        let (executor, dones) = Executor::new();
        let published = Published { version, started_at: now, acting, ..Published::default() };
        let (out, seen) = watch::channel(Arc::new(published.clone()));
        let (orders_in, orders) = mpsc::channel(ORDERS);
        let mut core = Core {
            books: books.clone(),
            connector: connector.clone(),
            clock: clock.clone(),
            drivers: BTreeMap::new(),
            maintenance: BTreeSet::new(),
            tags: books.store().setting(HOST_TAGS)?.unwrap_or_default(),
            executor,
            stops: 0,
            last_round: LastRound::default(),
            brought: Default::default(),
            stuck: BTreeSet::new(),
            published,
            out,
            troubles: BTreeMap::new(),
            everywhere: policy.policy().everywhere.clone(),
            policy,
        };
        core.begin_with_policy(now)?;
        let mut observer = Observer::new(core.observing());
        for host in books.store().hosts()? {
            let driver = connector
                .connect(&host.name, &host.uri)
                .map_err(|error| StartError::Host { host: host.name.clone(), error })?;
            observer.watch(driver.clone());
            if host.service == Service::Maintenance {
                core.maintenance.insert(host.name.clone());
            }
            core.adopt(host.name, &host.uri, driver);
        }
        core.publish();
        let search = Arc::default();
        let handle = Handle { orders: orders_in, published: seen, books, connector, clock, search };
        Ok((handle, Daemon { observer, orders, dones, core, later: Vec::new() }))
    }

    /// Runs until it is told to stop. Moves that run then go on by themselves; the next start finds them.
    pub async fn run(mut self, stop: CancellationToken) {
        self.core.take_up_open_moves();
        self.core.publish();
        let mut every = self.core.policy().observe.interval;
        let mut rounds = interval(every);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut renew = interval(RENEW);
        renew.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(done) = self.dones.recv() => {
                    let ends = self.core.take_end(done);
                    let snapshot = self.observe(Some(&ends)).await;
                    self.core.published.snapshot = Arc::new(snapshot);
                }
                Some(order) = self.orders.recv() => self.obey(self.core.stops, order).await,
                _ = rounds.tick() => self.round().await,
                _ = renew.tick(), if self.core.executor.is_busy() => {}
            }
            for (stops, order) in std::mem::take(&mut self.later) {
                self.obey(stops, order).await;
            }
            self.begin_ready().await;
            self.core.publish();
            if every != self.core.policy().observe.interval {
                every = self.core.policy().observe.interval;
                rounds = interval_at(Instant::now() + every, every);
                rounds.set_missed_tick_behavior(MissedTickBehavior::Skip);
            }
        }
        let now = self.core.clock.now();
        if let Err(error) = off_the_loop(|| self.core.books.keep_demand(now)) {
            tracing::error!(%error, "what was learned of demand since it was kept last is lost");
        }
        if let Err(error) = self.core.books.store().append(now, &Event::DaemonStopped) {
            tracing::error!(%error, "the ledger cannot be written");
        }
    }

    /// One round: observe, write down, decide, accept.
    async fn round(&mut self) {
        let begun = Instant::now();
        off_the_loop(|| self.core.look_at_policy());
        self.observer.set(self.core.observing());
        let snapshot = Arc::new(self.observe(None).await);
        self.core.record(&snapshot);
        self.core.note_arrivals(&snapshot);
        self.core.try_held_again();
        let decision = ulm_decide::decide(&self.core.input(&snapshot), self.core.policy());
        self.core.keep_report(&decision);
        self.core.note_stuck(&decision);
        let plan = decision.plan.clone();
        let number = self.core.published.round.map_or(1, |round| round.number + 1);
        let (took, every) = (begun.elapsed(), self.core.policy().observe.interval);
        self.core.published.round = Some(RoundStatus { number, at: snapshot.taken_at, took, every });
        self.core.published.snapshot = snapshot;
        self.core.published.decision = Some(Arc::new(decision));
        // A plan that still has steps to begin is carried out before the policy makes another.
        if self.core.published.acting == Acting::On && !plan.steps.is_empty() && !self.core.executor.has_waiting() {
            // What cannot be written down is not begun; the trouble is in the status.
            let _ = self.core.accept(plan, "policy");
        }
    }

    /// Observes all hosts, or some, while orders that need no fresh facts are obeyed.
    async fn observe(&mut self, hosts: Option<&BTreeSet<HostName>>) -> Snapshot {
        let Daemon { observer, orders, dones, core, later } = self;
        let known = Known {
            maintenance: core.maintenance.clone(),
            tags: core.tags.clone(),
            moves: core.executor.known_moves(),
        };
        let clock = core.clock.clone();
        let now = move || clock.now();
        let observing = async {
            match hosts {
                Some(hosts) => observer.look_again(hosts, &known, now).await,
                None => observer.round(&known, now).await,
            }
        };
        tokio::pin!(observing);
        loop {
            tokio::select! {
                biased;
                snapshot = &mut observing => return snapshot,
                Some(done) = dones.recv() => {
                    core.take_end(done);
                }
                Some(order) = orders.recv() => {
                    let stops = core.stops;
                    later.extend(core.obey_at_once(order).map(|order| (stops, order)));
                }
            }
            core.publish();
        }
    }

    /// Obeys an order, with fresh facts where it needs them. `stops` is what [`Core::stops`] was when it was given.
    async fn obey(&mut self, stops: u64, order: Order) {
        match self.core.obey_at_once(order) {
            None => {}
            Some(Order::Apply { plan, by, reply }) => {
                let answer = self.apply(plan, &by, stops).await;
                self.core.answer(reply, answer);
            }
            Some(Order::Migrate { vm, host, by, reply }) => {
                let answer = self.migrate(&vm, &host, &by, stops).await;
                self.core.answer(reply, answer);
            }
            Some(Order::AddHost { uri, name, by, reply }) => {
                let answer = self.add_host(&uri, name, &by).await;
                self.core.answer(reply, answer);
            }
            Some(Order::RemoveHost { name, by, reply }) => {
                let answer = self.remove_host(&name, &by);
                self.core.answer(reply, answer);
            }
            Some(
                Order::SetActing { .. }
                | Order::Abort { .. }
                | Order::SetMaintenance { .. }
                | Order::ReloadPolicy { .. }
                | Order::SetTags { .. },
            ) => unreachable!("these are obeyed at once"),
        }
    }

    async fn apply(&mut self, plan: Plan, by: &str, stops: u64) -> Result<Accepted, OrderError> {
        let now = self.core.clock.now();
        let refuse = |core: &Core, reason: Reason| {
            core.tell(&Event::PlanRefused { plan: plan.id(), reason: reason.clone() });
            Err(OrderError::not_allowed(format!("plan {} is not carried out:", plan.id().short()), vec![reason]))
        };
        if now >= plan.expires_at {
            return refuse(&self.core, Reason::Expired { at: plan.expires_at });
        }
        let hosts = hosts_of(&plan.steps);
        for host in &hosts {
            find_host(&self.core.published.snapshot, host)?;
        }
        let snapshot = self.observe(Some(&hosts)).await;
        self.core.not_stopped_since(stops)?;
        // What only passes a limit on moves at once waits until it does not.
        if let Err(fault) = self.core.check(&plan, &snapshot)
            && !fault.passes()
        {
            return refuse(&self.core, Reason::CheckRefused { sentence: fault.to_string() });
        }
        self.core.accept(plan, by)
    }

    async fn migrate(&mut self, vm: &str, host: &HostName, by: &str, stops: u64) -> Result<Accepted, OrderError> {
        let before = self.core.published.snapshot.clone();
        let vm_ix = find_vm(&before, vm)?;
        find_host(&before, host)?;
        let hosts = BTreeSet::from([before.host(before.vm(vm_ix).host).name.clone(), host.clone()]);
        let snapshot = self.observe(Some(&hosts)).await;
        self.core.not_stopped_since(stops)?;
        let id = before.vm(vm_ix).id;
        let input = self.core.input(&snapshot);
        let plan = ulm_decide::migrate_by_hand(&input, self.core.policy(), id, host, by)
            .map_err(|reasons| OrderError::not_allowed(format!("VM {vm} is not moved to {host}:"), reasons))?;
        self.core.accept(plan, by)
    }

    async fn add_host(&mut self, uri: &str, name: HostName, by: &str) -> Result<HostName, OrderError> {
        let driver = self.core.connector.connect(&name, uri)?;
        self.core.books.store().add_host(&name, uri, by, self.core.clock.now()).map_err(refusal_of)?;
        self.observer.watch(driver.clone());
        self.core.adopt(name.clone(), uri, driver);
        // Its first figures at once, so that it can be named in orders.
        let snapshot = self.observe(Some(&BTreeSet::from([name.clone()]))).await;
        self.core.published.snapshot = Arc::new(snapshot);
        Ok(name)
    }

    fn remove_host(&mut self, name: &HostName, by: &str) -> Result<(), OrderError> {
        if self.core.executor.touches(name) {
            let message = format!("a move to or from {name} runs: wait for its end, or `ulm abort` it first");
            return Err(OrderError::new(Refusal::Conflict, message));
        }
        self.core.books.store().remove_host(name, by, self.core.clock.now()).map_err(refusal_of)?;
        self.observer.forget(name);
        self.core.release(name);
        Ok(())
    }
}

impl Core {
    fn observing(&self) -> ulm_collect::Settings {
        ulm_collect::Settings {
            deadline: self.policy().observe.deadline,
            keep: self.policy().hotspot.of as usize,
            spacing: self.policy().observe.interval / 2,
            ..ulm_collect::Settings::default()
        }
    }

    fn adopt(&mut self, name: HostName, uri: &str, driver: Arc<dyn Driver>) {
        self.drivers.insert(name.clone(), driver);
        Arc::make_mut(&mut self.published.uris).insert(name, uri.to_owned());
    }

    fn release(&mut self, name: &HostName) {
        self.drivers.remove(name);
        self.maintenance.remove(name);
        self.stuck.remove(name);
        Arc::make_mut(&mut self.published.uris).remove(name);
    }

    /// Obeys what needs no fresh facts; gives back what does.
    fn obey_at_once(&mut self, order: Order) -> Option<Order> {
        match order {
            Order::SetActing { acting, by, reply } => {
                let answer = self.set_acting(acting, &by);
                self.answer(reply, answer);
            }
            Order::Abort { vm, by, reply } => {
                let answer = self.abort(vm.as_deref(), &by);
                self.answer(reply, answer);
            }
            Order::ReloadPolicy { by, reply } => {
                let answer = off_the_loop(|| self.reload_policy(&by));
                self.answer(reply, answer);
            }
            Order::SetTags { name, tags, reply } => {
                let answer = self.set_tags(name, tags);
                self.answer(reply, answer);
            }
            Order::SetMaintenance { name, on, by, reply } => {
                let answer = self.set_maintenance(name, on, by);
                self.answer(reply, answer);
            }
            other => return Some(other),
        }
        None
    }

    /// Publishes what an order has changed, then answers: who has the answer finds what it speaks of.
    fn answer<T>(&mut self, reply: Reply<T>, answer: Result<T, OrderError>) {
        self.publish();
        // Who does not wait for the answer any more does not want it.
        let _ = reply.send(answer);
    }

    fn set_acting(&mut self, acting: Acting, by: &str) -> Result<(), OrderError> {
        if acting == Acting::Off {
            // Off is off even if the books cannot be written.
            self.published.acting = Acting::Off;
            self.stops += 1;
            for key in self.executor.refuse_waiting(None, &Reason::Stopped {}) {
                self.tell(&Event::MoveRefused { r#move: key, reason: Reason::Stopped {} });
            }
        }
        self.books.store().switch_acting(acting, by, self.clock.now()).map_err(unavailable)?;
        self.published.acting = acting;
        Ok(())
    }

    /// Whether acting was switched off after an order was given: then it begins nothing.
    fn not_stopped_since(&self, stops: u64) -> Result<(), OrderError> {
        if self.stops == stops {
            return Ok(());
        }
        Err(OrderError::not_allowed(
            "nothing is begun; give the order again if it still stands:",
            vec![Reason::Stopped {}],
        ))
    }

    fn set_maintenance(&mut self, name: HostName, on: bool, by: String) -> Result<(), OrderError> {
        if !self.drivers.contains_key(&name) {
            return find_host(&self.published.snapshot, &name).map(|_| ());
        }
        let service = if on { Service::Maintenance } else { Service::InService };
        self.books.store().set_service(&name, service).map_err(unavailable)?;
        if on {
            self.maintenance.insert(name.clone());
            self.tell(&Event::MaintenanceBegun { host: name, by });
        } else {
            self.maintenance.remove(&name);
            self.tell(&Event::MaintenanceEnded { host: name, by });
        }
        Ok(())
    }

    /// The tags of all hosts are one setting; those of a host that was removed come back with it.
    fn set_tags(&mut self, name: HostName, tags: BTreeSet<String>) -> Result<(), OrderError> {
        if !self.drivers.contains_key(&name) {
            return find_host(&self.published.snapshot, &name).map(|_| ());
        }
        let mut all = self.tags.clone();
        all.insert(name, tags);
        all.retain(|_, tags| !tags.is_empty());
        self.books.store().set_setting(HOST_TAGS, &all).map_err(unavailable)?;
        self.tags = all;
        Ok(())
    }

    fn abort(&mut self, vm: Option<&str>, by: &str) -> Result<Vec<MoveKey>, OrderError> {
        let wanted = match vm {
            None => None,
            Some(vm) => Some(self.published.snapshot.vm(find_vm(&self.published.snapshot, vm)?).id),
        };
        let mut asked = self.executor.abort(wanted, by);
        for key in self.executor.refuse_waiting(wanted, &Reason::Stopped {}) {
            self.tell(&Event::MoveRefused { r#move: key.clone(), reason: Reason::Stopped {} });
            asked.push(key);
        }
        match (asked.is_empty(), vm) {
            (false, _) => Ok(asked),
            (true, Some(vm)) => Err(OrderError::new(Refusal::NotFound, format!("ULM is not moving VM {vm} now"))),
            (true, None) => Err(OrderError::new(Refusal::NotFound, "ULM is not moving any VM now")),
        }
    }

    /// Everything that the decision may see.
    fn input(&self, snapshot: &Snapshot) -> ulm_decide::Input {
        let open = self.executor.known_moves();
        let open = open.iter().map(|(vm, open)| (*vm, &open.from, &open.to));
        self.books.input(snapshot, self.clock.now(), self.published.acting, open)
    }

    fn check(&self, plan: &Plan, snapshot: &Snapshot) -> Result<(), Fault> {
        let ((rulebook, _), past) = (self.policy().rulebook_for(snapshot), self.books.past().moves);
        // The digest binds a plan to the facts that it was made from; here it is judged by newer ones.
        let grounds =
            Grounds { snapshot, digest: &plan.parent, rulebook: &rulebook, now: self.clock.now(), past: &past };
        ulm_check::check(plan, &grounds).map(|_| ())
    }

    /// Takes a plan on: it is kept, and the ledger says so, before any step of it begins.
    fn accept(&mut self, plan: Plan, by: &str) -> Result<Accepted, OrderError> {
        let (now, steps) = (self.clock.now(), plan.steps.len() as u32);
        let written = self.books.store().save_plan(&plan).and_then(|id| {
            let event = Event::PlanAccepted { plan: id.clone(), steps, by: by.to_owned() };
            self.books.store().append(now, &event).map(|_| id)
        });
        match written {
            Ok(id) => {
                self.troubles.remove("ledger");
                self.executor.accept(id.clone(), plan, by, now);
                Ok(Accepted { plan: id, steps })
            }
            Err(error) => {
                self.troubles.insert("ledger", format!("nothing is begun: {error}"));
                Err(unavailable(error))
            }
        }
    }

    fn begin(&mut self, key: &MoveKey, because: Reason, how: How, since: Time) {
        let (Some(from), Some(to)) = (self.drivers.get(&key.from).cloned(), self.drivers.get(&key.to).cloned()) else {
            let gone = if self.drivers.contains_key(&key.from) { &key.to } else { &key.from };
            let error = "it is not under ULM's care any more".to_owned();
            return self.refuse(key, Reason::Unreachable { host: gone.clone(), error });
        };
        let Some(begin) = self.executor.begin(key.clone(), because.clone(), Phase::Intended, since) else {
            return self.refuse(key, Reason::Moving {});
        };
        if how == How::Begin {
            let expected = self.executor.expected(key).cloned();
            let intended = Event::MoveIntended { r#move: key.clone(), because, expected };
            if let Err(error) = self.books.write(since, &intended) {
                self.troubles.insert("ledger", format!("nothing is begun: {error}"));
                self.executor.forget(key);
                return self.refuse(key, Reason::LedgerUnwritable { error });
            }
        }
        let limits = MoveLimits {
            deadline: self.policy().limits.deadline,
            bandwidth: self.policy().limits.bandwidth,
            max_downtime: None,
        };
        let (journal, clock) = (self.books.clone() as Arc<dyn Journal>, self.clock.clone());
        self.executor.run(Act { from, to, journal, clock, limits, track: begin.track, abort: begin.abort }, how);
    }

    fn refuse(&mut self, key: &MoveKey, reason: Reason) {
        self.tell(&Event::MoveRefused { r#move: key.clone(), reason: reason.clone() });
        self.executor.refuse(key, reason);
    }

    /// Finds the moves that were open when the last daemon ended, and sees them through.
    fn take_up_open_moves(&mut self) {
        let open = match self.books.store().open_moves() {
            Ok(open) => open,
            Err(error) => {
                self.troubles.insert("open moves", format!("open moves cannot be read: {error}"));
                return;
            }
        };
        for open in open {
            if self.drivers.contains_key(&open.r#move.from) && self.drivers.contains_key(&open.r#move.to) {
                self.begin(&open.r#move, open.because, How::TakeUp, open.intended_at);
            } else {
                let text = format!(
                    "the end of move {} is not known: add its hosts again with `ulm host add`, then restart ulm",
                    open.r#move
                );
                self.troubles.insert("open moves", text);
            }
        }
    }

    /// Takes the end of a move in; tells the two hosts that it has changed.
    fn take_end(&mut self, done: Done) -> BTreeSet<HostName> {
        let (key, end) = self.executor.ended(done, self.clock.now());
        let ends = BTreeSet::from([key.from.clone(), key.to.clone()]);
        match end {
            End::Ended(Outcome::Moved) => tracing::info!(%key, "moved"),
            End::Ended(outcome) => tracing::warn!(%key, %outcome, "the move ended otherwise"),
            End::Refused(reason) => tracing::warn!(%key, %reason, "the move was not begun"),
        }
        self.brought[0].insert(key.vm);
        ends
    }

    fn record(&mut self, snapshot: &Snapshot) {
        match off_the_loop(|| self.books.record(snapshot)) {
            Ok(()) => self.troubles.remove("history"),
            Err(error) => self.troubles.insert("history", format!("figures are not kept: {error}")),
        };
    }

    fn keep_report(&mut self, decision: &Decision) {
        match off_the_loop(|| self.books.keep_report(decision, self.clock.now())) {
            Ok(()) => self.troubles.remove("decisions"),
            Err(error) => self.troubles.insert("decisions", format!("decisions are not kept for later: {error}")),
        };
    }

    /// Tells the ledger of VMs that are on another host than in the last round, by no move of ours.
    fn note_arrivals(&mut self, snapshot: &Snapshot) {
        let host_of = |vm: &ulm_model::Vm| snapshot.host(vm.host).name.clone();
        let answers = |host: &&ulm_model::Host| !matches!(host.state, HostState::Unreachable { .. });
        let now = LastRound {
            hosts: snapshot.hosts.iter().filter(answers).map(|host| host.name.clone()).collect(),
            homes: snapshot.vms.iter().map(|vm| (vm.id, host_of(vm))).collect(),
        };
        let before = std::mem::replace(&mut self.last_round, now);
        let open = self.executor.known_moves();
        let ours = |vm: &VmId| open.contains_key(vm) || self.brought.iter().any(|brought| brought.contains(vm));
        for vm in snapshot.vms.iter().filter(|vm| !ours(&vm.id)) {
            let (host, from) = (host_of(vm), before.homes.get(&vm.id).cloned());
            // What is there when ULM first looks at a host has been there for nobody knows how long.
            if from.as_ref() != Some(&host) && before.hosts.contains(&host) {
                self.tell(&Event::Arrived { vm: vm.id, vm_name: vm.name.clone(), host, from });
            }
        }
        let [since, _] = std::mem::take(&mut self.brought);
        self.brought = [BTreeSet::new(), since];
    }

    /// Tells the ledger once of each host that stays overworked, and forgets it when it does not.
    fn note_stuck(&mut self, decision: &Decision) {
        let now_stuck: BTreeMap<HostName, Reason> =
            decision.stuck().map(|(host, reason)| (host.clone(), reason.clone())).collect();
        for (host, reason) in now_stuck.iter().filter(|(host, _)| !self.stuck.contains(*host)) {
            self.tell(&Event::Stuck { host: host.clone(), reason: reason.clone() });
        }
        self.stuck = now_stuck.into_keys().collect();
    }

    fn tell(&self, event: &Event) {
        if let Err(error) = self.books.write(self.clock.now(), event) {
            tracing::error!(%error, %event, "the ledger cannot be written");
        }
    }

    fn publish(&mut self) {
        self.published.moves = self.executor.moves();
        self.published.plans = self.executor.plans();
        self.published.troubles = self.troubles.values().cloned().collect();
        self.out.send_replace(Arc::new(self.published.clone()));
    }
}

fn hosts_of(steps: &[Step]) -> BTreeSet<HostName> {
    let ends = |step: &Step| {
        let ulm_model::Action::Move { from, to, .. } = &step.action;
        [from.clone(), to.clone()]
    };
    steps.iter().flat_map(ends).collect()
}

fn refusal_of(error: StoreError) -> OrderError {
    let refusal = match error {
        StoreError::HostNameTaken { .. } | StoreError::HostUriTaken { .. } => Refusal::Conflict,
        StoreError::NoSuchHost { .. } => Refusal::NotFound,
        _ => Refusal::Unavailable,
    };
    OrderError::new(refusal, error.to_string())
}

/// Lets other tasks of a many-threaded runtime go on while the disk is waited for.
fn off_the_loop<T>(work: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::current().runtime_flavor() {
        tokio::runtime::RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        _ => work(),
    }
}
