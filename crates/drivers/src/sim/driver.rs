//! A simulated cluster and its drivers: the world behind a mutex, brought to the clock's time on every call.
//!
//! Who waits (a move for its end, a listener for an event, a caller for a host that hangs) waits for the
//! world to change. One task keeps it going while nobody calls: it sleeps until something is due.
//!
//! Callers must be woken in the order in which they began to wait, or two runs of one scenario differ: of two
//! orders that a hung host held, the first to wake wins. So they wait on one [`Notify`]. A `watch` channel would
//! not do, as it spreads its receivers over several queues by chance; nor would a `select!` that is not `biased`.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::{Notify, mpsc, watch};
use ulm_model::{CpuNeed, CpuVerdict, HostName, Needs, Platform, VmId};

use super::fault::Orders;
use super::host::Contact;
use super::moves::{Mover, Wish};
use super::scenario::{Scenario, ScenarioError};
use super::world::{Subscriber, World};
use crate::clock::{Clock, VirtualClock};
use crate::driver::{
    Driver, DriverError, DriverEvent, ErrorKind, HostFacts, JobKind, JobProgress, Link, MoveOrder, Presence, Reading,
    VmFacts,
};

/// A simulated cluster. Cheap to clone; all clones are the same cluster.
#[derive(Clone)]
pub struct SimCluster {
    shared: Arc<Shared>,
}

struct Shared {
    world: Mutex<World>,
    clock: Arc<dyn Clock>,
    /// The world's version that was told last. Only [`keep_going`] listens, to end with the cluster.
    told: watch::Sender<u64>,
    /// Wakes the callers when the world has changed, first come, first woken.
    changed: Notify,
    drivers: Mutex<u64>,
    /// The thread that holds the world: it would wait for itself if it asked again.
    holder: Mutex<Option<ThreadId>>,
}

/// The world, brought to the present and held. Do not keep it across an await.
pub struct Held<'a> {
    world: MutexGuard<'a, World>,
    shared: &'a Shared,
}

impl Deref for Held<'_> {
    type Target = World;
    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let version = self.world.version;
        if self.shared.told.send_if_modified(|told| std::mem::replace(told, version) != version) {
            self.shared.changed.notify_waiters();
        }
        *self.shared.holder.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Shared {
    fn world(&self) -> Held<'_> {
        let me = std::thread::current().id();
        assert!(
            *self.holder.lock().unwrap_or_else(PoisonError::into_inner) != Some(me),
            "this thread holds the simulated world already: let go of it before the next call, \
             e.g. by `let` statements of their own",
        );
        // A test that panicked while it held the world has said what is wrong already.
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        *self.holder.lock().unwrap_or_else(PoisonError::into_inner) = Some(me);
        world.advance(self.clock.now());
        Held { world, shared: self }
    }
}

impl SimCluster {
    /// A cluster that follows `clock`, which must run as fast as tokio's time. It begins now.
    ///
    /// Must be called inside a tokio runtime. Errors say what is wrong with the scenario.
    pub fn new(scenario: &Scenario, clock: Arc<dyn Clock>) -> Result<Self, ScenarioError> {
        let world = World::new(scenario, clock.now())?;
        let (told, _) = watch::channel(0);
        let shared = Arc::new(Shared {
            world: Mutex::new(world),
            clock,
            told,
            changed: Notify::new(),
            drivers: Mutex::new(0),
            holder: Mutex::new(None),
        });
        tokio::spawn(keep_going(Arc::downgrade(&shared), shared.told.subscribe()));
        Ok(SimCluster { shared })
    }

    /// A cluster that begins at the scenario's own time and follows tokio's: virtual when the runtime is paused.
    ///
    /// Must be called inside a tokio runtime. Errors say what is wrong with the scenario.
    pub fn in_virtual_time(scenario: &Scenario) -> Result<Self, ScenarioError> {
        SimCluster::new(scenario, Arc::new(VirtualClock::starting_at(scenario.start)))
    }

    /// The clock that the cluster follows.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.shared.clock.clone()
    }

    /// A driver for each host, in the scenario's order.
    pub fn drivers(&self) -> Vec<Arc<dyn Driver>> {
        let names = self.world().host_names();
        names.iter().filter_map(|name| self.driver(name)).collect()
    }

    /// A driver for one host; `None` when the scenario does not have it.
    pub fn driver(&self, host: &HostName) -> Option<Arc<dyn Driver>> {
        let at = self.world().find_host(host)?;
        let mut drivers = self.shared.drivers.lock().unwrap_or_else(PoisonError::into_inner);
        *drivers += 1;
        Some(Arc::new(SimDriver { name: host.clone(), host: at, id: *drivers, shared: self.shared.clone() }))
    }

    /// The world at the present moment, to look at and to interfere with. Do not keep it across an await.
    pub fn world(&self) -> Held<'_> {
        self.shared.world()
    }
}

/// Lets the world go on while nobody calls; ends with the cluster.
async fn keep_going(shared: std::sync::Weak<Shared>, mut told: watch::Receiver<u64>) {
    loop {
        told.borrow_and_update();
        let wait = {
            let Some(shared) = shared.upgrade() else { return };
            let due = shared.world().next_due();
            due.map(|due| due.since(shared.clock.now()).max(Duration::from_millis(1)))
        };
        let changed = match wait {
            Some(wait) => tokio::select! {
                biased;
                changed = told.changed() => changed,
                () = tokio::time::sleep(wait) => Ok(()),
            },
            None => told.changed().await,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// The driver of one simulated host.
struct SimDriver {
    name: HostName,
    host: usize,
    id: u64,
    shared: Arc<Shared>,
}

impl Drop for SimDriver {
    fn drop(&mut self) {
        // A thread that panics may hold the world; another panic would hide the first.
        if !std::thread::panicking() {
            self.shared.world().subscribers.retain(|listener| listener.driver != self.id);
        }
    }
}

/// Whether a call only asks or wants something done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Question,
    Order,
}

const URI_SCHEME: &str = "sim://";

fn no_such_vm(host: &HostName, vm: VmId) -> DriverError {
    DriverError::new(ErrorKind::NoSuchVm, format!("there is no VM {vm} on {host}"))
}

impl SimDriver {
    /// Calls the hypervisor: waits while it hangs, fails when it cannot be reached.
    async fn call<T>(
        &self,
        what: Call,
        mut answer: impl FnMut(&mut World) -> Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        let begun = tokio::time::Instant::now();
        let mut connection = None;
        let mut obeyed = None;
        loop {
            // Made before the look, so that no change after it is missed.
            let changed = self.shared.changed.notified();
            let deadline = {
                let mut world = self.shared.world();
                let it = &world.hosts[self.host];
                if connection.is_some_and(|connection| connection != it.connection) {
                    return Err(self.broken());
                }
                connection = Some(it.connection);
                match it.contact() {
                    Contact::Answers => return obeyed.unwrap_or_else(|| answer(&mut world)),
                    Contact::Refuses(because) => {
                        let sentence = format!("cannot reach {}: {because}", self.name);
                        return Err(DriverError::new(ErrorKind::Unreachable, sentence));
                    }
                    Contact::Hangs(Orders::Obeyed) if what == Call::Order && obeyed.is_none() => {
                        obeyed = Some(answer(&mut world));
                    }
                    Contact::Hangs(_) | Contact::Silent => {}
                }
                world.physics.call_deadline_s
            };
            if deadline == 0.0 {
                changed.await;
                continue;
            }
            tokio::select! {
                biased;
                () = changed => {}
                () = tokio::time::sleep_until(begun + Duration::from_secs_f64(deadline)) => {
                    let sentence = format!("{} did not answer within {deadline} s; look at its libvirtd", self.name);
                    return Err(DriverError::new(ErrorKind::TimedOut, sentence));
                }
            }
        }
    }

    fn broken(&self) -> DriverError {
        let sentence = format!("the connection to {} broke; read the host afresh when it is back", self.name);
        DriverError::new(ErrorKind::Unreachable, sentence)
    }

    /// Whether the host knows a VM, and which.
    fn known(&self, world: &World, vm: VmId) -> Result<usize, DriverError> {
        let host = &world.hosts[self.host];
        world
            .find_vm(vm)
            .filter(|vm| host.defined.contains(vm) || host.resident(*vm).is_some())
            .ok_or_else(|| no_such_vm(&self.name, vm))
    }
}

#[async_trait]
impl Driver for SimDriver {
    fn host(&self) -> &HostName {
        &self.name
    }

    fn link(&self) -> Link {
        self.shared.world().hosts[self.host].link.clone()
    }

    async fn facts(&self) -> Result<HostFacts, DriverError> {
        self.call(Call::Question, |world| {
            let host = &world.hosts[self.host];
            Ok(HostFacts {
                machine: host.machine,
                hostname: host.name.0.clone(),
                platform: Platform {
                    arch: host.spec.arch.clone(),
                    cpu_model: host.spec.cpu_offers.first().cloned().unwrap_or_else(|| "simulated".into()),
                    hypervisor: "ULM simulator".into(),
                },
                networks: host.spec.networks.clone(),
                storage: host.spec.storage.clone(),
            })
        })
        .await
    }

    async fn reading(&self) -> Result<Reading, DriverError> {
        self.call(Call::Question, |world| Ok(world.reading(self.host))).await
    }

    async fn vm_facts(&self, vm: VmId) -> Result<VmFacts, DriverError> {
        self.call(Call::Question, |world| {
            let spec = &world.vms[self.known(world, vm)?].spec;
            Ok(VmFacts {
                needs: Needs {
                    arch: spec.arch.clone(),
                    cpu: CpuNeed(spec.cpu.clone()),
                    networks: spec.networks.clone(),
                    storage: spec.storage.clone(),
                    pages: spec.pages,
                    cells: spec.cells.clone(),
                },
                fixtures: spec.fixtures.clone(),
                tags: spec.tags.clone(),
                unmergeable: spec.unmergeable,
            })
        })
        .await
    }

    async fn judge_cpu(&self, need: &CpuNeed) -> Result<CpuVerdict, DriverError> {
        self.call(Call::Question, |world| {
            let offers = &world.hosts[self.host].spec.cpu_offers;
            if need.0.is_empty() || offers.contains(&need.0) {
                Ok(CpuVerdict::Offered)
            } else {
                Ok(CpuVerdict::Missing { what: format!("the host does not offer `{}`", need.0) })
            }
        })
        .await
    }

    async fn locate(&self, vm: VmId) -> Result<Presence, DriverError> {
        self.call(Call::Question, |world| {
            let Ok(vm) = self.known(world, vm) else { return Ok(Presence::Absent) };
            Ok(match world.hosts[self.host].resident(vm) {
                Some(resident) => Presence::Here { state: resident.state, job: resident.job },
                None => Presence::ShutOff,
            })
        })
        .await
    }

    async fn migrate(&self, order: &MoveOrder) -> Result<(), DriverError> {
        let target = order.to_uri.strip_prefix(URI_SCHEME).and_then(|rest| rest.split('/').next()).unwrap_or("");
        let target = HostName(target.to_owned());
        let (id, connection) = self
            .call(Call::Order, |world| {
                let vm = self.known(world, order.vm)?;
                let Some(to) = world.find_host(&target) else {
                    let sentence =
                        format!("cannot resolve the target `{}`; give the URI of another host's driver", order.to_uri);
                    return Err(DriverError::new(ErrorKind::Refused, sentence));
                };
                let wish = Wish {
                    vm,
                    from: self.host,
                    to,
                    bandwidth: order.bandwidth,
                    max_downtime: order.max_downtime,
                    by: Mover::Driver,
                };
                Ok((world.begin_move(wish)?, world.hosts[self.host].connection))
            })
            .await?;
        loop {
            // Made before the look, so that no change after it is missed.
            let changed = self.shared.changed.notified();
            {
                let world = self.shared.world();
                let it = &world.hosts[self.host];
                if it.connection != connection {
                    return Err(self.broken());
                }
                if let (Contact::Answers, Some(outcome)) = (it.contact(), &world.truth.moves[id].outcome) {
                    return outcome.clone().map(|_| ());
                }
            }
            changed.await;
        }
    }

    async fn job(&self, vm: VmId) -> Result<Option<JobProgress>, DriverError> {
        self.call(Call::Question, |world| {
            let vm = self.known(world, vm)?;
            let Some(resident) = world.hosts[self.host].resident(vm) else { return Ok(None) };
            let progress = world.move_of(vm).and_then(|id| world.progress(id));
            Ok(match resident.job {
                JobKind::None => None,
                JobKind::MovingOut => progress,
                // The receiving half knows the time only.
                JobKind::MovingIn => {
                    let elapsed = progress.map(|progress| progress.elapsed).unwrap_or_default();
                    Some(JobProgress { elapsed, ..JobProgress::default() })
                }
                JobKind::Other => Some(JobProgress::default()),
            })
        })
        .await
    }

    async fn completed(&self, vm: VmId) -> Result<Option<JobProgress>, DriverError> {
        self.call(Call::Question, |world| {
            let vm = self.known(world, vm)?;
            Ok(world.hosts[self.host].completed.get(&vm).copied())
        })
        .await
    }

    async fn abort(&self, vm: VmId) -> Result<(), DriverError> {
        self.call(Call::Order, |world| {
            let at = self.known(world, vm)?;
            let job = world.hosts[self.host].resident(at).map_or(JobKind::None, |resident| resident.job);
            match job {
                JobKind::None => {}
                JobKind::MovingOut => {
                    if let Some(id) = world.move_of(at) {
                        world.put_abort(id);
                        world.version += 1;
                    }
                }
                JobKind::MovingIn => {
                    let sentence = "an incoming move cannot be aborted here; abort it on its source";
                    return Err(DriverError::new(ErrorKind::Refused, sentence));
                }
                JobKind::Other => world.end_other_job(self.host, at),
            }
            Ok(())
        })
        .await
    }

    fn peer_uri(&self) -> String {
        format!("{URI_SCHEME}{}/system", self.name)
    }

    fn events(&self) -> BoxStream<'static, DriverEvent> {
        let (to, from) = mpsc::unbounded_channel();
        self.shared.world().subscribers.push(Subscriber { host: self.host, driver: self.id, to });
        stream::unfold(from, |mut from| async move { from.recv().await.map(|event| (event, from)) }).boxed()
    }
}
