//! The driver itself: the trait's calls, over a connection that is kept alive in the background.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tokio::sync::watch;
use ulm_libvirt::domain::XmlFlags;
use ulm_libvirt::{Connection, CpuComparison, Error, ErrorCode, LinkState, Uri};
use ulm_model::{CpuNeed, CpuVerdict, Fixture, HostName, VmId};

use super::cpu::{CpuQuestion, WantedCpu};
use super::errors::sorted;
use super::facts::{self, Portrait};
use super::options::LibvirtOptions;
use super::reading::Readings;
use super::{answers, cpu, definition, events, moves, peer};
use crate::clock::Clock;
use crate::driver::{
    Driver, DriverError, DriverEvent, ErrorKind, HostFacts, JobProgress, Link, MoveOrder, Presence, Reading, VmFacts,
};

/// One libvirt host.
pub struct LibvirtDriver {
    host: HostName,
    uri: Uri,
    clock: Arc<dyn Clock>,
    options: LibvirtOptions,
    link: ulm_libvirt::Link,
    /// The link's state in the words of the drivers. While it is being rebuilt the last reason stands.
    state: watch::Receiver<Link>,
    /// Grows with every connection: what was learned over an older one may not hold any more.
    connections: Arc<AtomicU64>,
    portrait: Mutex<Option<(u64, Arc<Portrait>)>>,
    own_name: Mutex<Option<String>>,
    readings: Readings,
    readings_from: AtomicU64,
}

impl LibvirtDriver {
    /// A driver for the host behind `uri`. Never waits: the connection is made, and made anew whenever it breaks,
    /// in the background, until the driver is dropped. Must be called inside a tokio runtime.
    pub fn new(host: HostName, uri: Uri, clock: Arc<dyn Clock>, options: LibvirtOptions) -> Arc<Self> {
        let link = ulm_libvirt::Link::start(uri.clone(), options.link());
        let connections = Arc::new(AtomicU64::new(0));
        let (to_state, state) = watch::channel(Link::Connecting);
        tokio::spawn(follow(link.state(), to_state, Arc::clone(&connections)));
        Arc::new(LibvirtDriver {
            host,
            uri,
            clock,
            options,
            link,
            state,
            connections,
            portrait: Mutex::default(),
            own_name: Mutex::default(),
            readings: Readings::default(),
            readings_from: AtomicU64::new(0),
        })
    }

    /// The URI that the controller uses.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The connection, or at once why there is none.
    fn connection(&self) -> Result<Connection, DriverError> {
        self.link.connection().map_err(sorted)
    }

    /// Asks the host who it is, and keeps the answer for the other calls.
    async fn look(&self) -> Result<Arc<Portrait>, DriverError> {
        let connection = self.connections.load(Ordering::Relaxed);
        let portrait = Arc::new(facts::portrait(&self.connection()?, &self.options).await?);
        *lock(&self.own_name) = Some(portrait.facts.hostname.clone());
        *lock(&self.portrait) = Some((connection, Arc::clone(&portrait)));
        Ok(portrait)
    }

    /// What was last learned over this connection, or a new look.
    async fn portrait(&self) -> Result<Arc<Portrait>, DriverError> {
        let connection = self.connections.load(Ordering::Relaxed);
        let known = lock(&self.portrait).clone().filter(|(over, _)| *over == connection);
        match known {
            Some((_, portrait)) => Ok(portrait),
            None => self.look().await,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Translates the link's states until the link is stopped.
async fn follow(mut link: watch::Receiver<LinkState>, to: watch::Sender<Link>, connections: Arc<AtomicU64>) {
    loop {
        let now = match &*link.borrow_and_update() {
            LinkState::Up { .. } => {
                connections.fetch_add(1, Ordering::Relaxed);
                Some(Link::Up)
            }
            LinkState::Down { reason, .. } => Some(Link::Down { because: reason.to_string() }),
            LinkState::Connecting => None,
        };
        if let Some(now) = now {
            to.send_if_modified(|old| (*old != now).then(|| *old = now).is_some());
        }
        if link.changed().await.is_err() {
            return;
        }
    }
}

#[async_trait]
impl Driver for LibvirtDriver {
    fn host(&self) -> &HostName {
        &self.host
    }

    fn link(&self) -> Link {
        self.state.borrow().clone()
    }

    async fn facts(&self) -> Result<HostFacts, DriverError> {
        Ok(self.look().await?.facts.clone())
    }

    async fn reading(&self) -> Result<Reading, DriverError> {
        let connection = self.connections.load(Ordering::Relaxed);
        if self.readings_from.swap(connection, Ordering::Relaxed) != connection {
            self.readings.forget().await;
        }
        // Of an older connection too: what a machine is made of outlives a connection, and the host has the last word.
        let portrait = lock(&self.portrait).as_ref().map(|(_, portrait)| Arc::clone(portrait));
        let cells = portrait.as_ref().map(|portrait| &portrait.capabilities.cells);
        self.readings.take(&self.connection()?, cells, || self.clock.now()).await
    }

    async fn vm_facts(&self, vm: VmId) -> Result<VmFacts, DriverError> {
        let host = self.connection()?;
        let portrait = self.portrait().await?;
        let domain = moves::find(&host, vm).await?;
        let xml = host.domain_xml(&domain, XmlFlags::CURRENT).await.map_err(sorted)?;
        let mut facts = definition::read(&xml, &portrait.home())?;
        match answers::snapshots(&host, &domain).await {
            Ok(0) => {}
            Ok(count) => facts.fixtures.push(Fixture::Other {
                what: format!("it has {count} snapshot(s), and libvirt does not move a VM with snapshots"),
            }),
            Err(error) if error.is_unsupported() => {}
            Err(error) => return Err(sorted(error)),
        }
        Ok(facts)
    }

    async fn judge_cpu(&self, need: &CpuNeed) -> Result<CpuVerdict, DriverError> {
        let question = CpuQuestion::read(need)?;
        let host = self.connection()?;
        let portrait = self.portrait().await?;
        let answer = match &question.cpu {
            WantedCpu::Model(_) if !facts::can_compare(portrait.libvirt) => {
                return Ok(CpuVerdict::Missing { what: facts::too_old(portrait.libvirt) });
            }
            WantedCpu::Model(model) => answers::compare_cpu(&host, &question.of, model).await.map(|code| {
                match CpuComparison::from_code(code) {
                    comparison if comparison.can_run() => CpuVerdict::Offered,
                    comparison => CpuVerdict::Missing { what: comparison.to_string() },
                }
            }),
            WantedCpu::Default => host.domain_capabilities(&question.of).await.map(|_| CpuVerdict::Offered),
            WantedCpu::Host { cpu, hypervisor } => host
                .domain_capabilities(&question.of)
                .await
                .map(|_| cpu::judge_host_cpu(cpu, hypervisor.as_deref(), &portrait.home_cpu())),
        };
        match answer {
            Ok(verdict) => Ok(verdict),
            Err(Error::Libvirt(said)) if is_a_verdict(said.code) => {
                Ok(CpuVerdict::Missing { what: said.message.clone() })
            }
            Err(error) => Err(sorted(error)),
        }
    }

    async fn locate(&self, vm: VmId) -> Result<Presence, DriverError> {
        moves::locate(&self.connection()?, vm).await
    }

    async fn migrate(&self, order: &MoveOrder) -> Result<(), DriverError> {
        // In a task of its own: a caller that gives up takes neither the move nor its connection along.
        let moving = tokio::spawn(moves::migrate(self.uri.clone(), self.options.clone(), order.clone()));
        moving.await.unwrap_or_else(|error| {
            Err(DriverError::new(ErrorKind::Unreachable, format!("the move's task was lost: {error}")))
        })
    }

    async fn job(&self, vm: VmId) -> Result<Option<JobProgress>, DriverError> {
        moves::job(&self.connection()?, vm).await
    }

    async fn completed(&self, vm: VmId) -> Result<Option<JobProgress>, DriverError> {
        moves::completed(&self.connection()?, vm).await
    }

    async fn abort(&self, vm: VmId) -> Result<(), DriverError> {
        moves::abort(&self.connection()?, vm).await
    }

    fn peer_uri(&self) -> String {
        match &self.options.peer_uri {
            Some(uri) => uri.clone(),
            None => peer::derived(&self.uri, lock(&self.own_name).as_deref().unwrap_or(&self.host.0)),
        }
    }

    fn events(&self) -> BoxStream<'static, DriverEvent> {
        events::merged(self.link.events(), self.state.clone())
    }
}

/// Errors that say "not on this host", as opposed to "not now": no such machine type, no such emulator, no such model.
fn is_a_verdict(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CPU_INCOMPATIBLE
            | ErrorCode::INVALID_ARG
            | ErrorCode::CONFIG_UNSUPPORTED
            | ErrorCode::NO_SUPPORT
            | ErrorCode::OPERATION_UNSUPPORTED
            | ErrorCode::ARGUMENT_UNSUPPORTED
            | ErrorCode::SYSTEM_ERROR
    )
}
