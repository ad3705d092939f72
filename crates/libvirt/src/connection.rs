//! A connection: one conversation with one daemon.
//!
//! Calls overlap: each gets a serial number, and a reading task hands every reply to the call that
//! waits for it. Every call has a deadline, see [`Connection::within`]. A call may be dropped at
//! any time: its reply, when it comes, is thrown away.
//!
//! A daemon works on few requests of one client at a time (libvirt's `max_client_requests`, 5 by
//! default, keep-alives included) and stops listening to a client that sends more; therefore at
//! most [`ConnectOptions::calls_at_once`] are under way, the others wait here. A call that was
//! given up keeps its place until the daemon has answered it, because the daemon counts it too.
//!
//! ```no_run
//! # async fn example() -> ulm_libvirt::Result<()> {
//! use std::time::Duration;
//! use ulm_libvirt::{Connection, DomainFilter, Uri};
//! let uri: Uri = "qemu+ssh://root@h1/system".parse()?;
//! let host = Connection::open(&uri).await?;
//! for vm in host.within(Duration::from_secs(5)).domains(DomainFilter::ACTIVE).await? {
//!     println!("{} {}", vm.uuid, vm.name);
//! }
//! # Ok(()) }
//! ```

use crate::engine::Engine;
use crate::error::{Error, ErrorWire, Result, TransportFault};
use crate::events::{EventKind, EventStream};
use crate::procedures::{Feature, Procedure};
use crate::transport::{self, Wire};
use crate::uri::Uri;
use crate::xdr::{List, Void, Xdr, from_bytes, to_bytes};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Mutex, broadcast};
use tokio::time::Instant;

pub use crate::keepalive::KeepAlive;

/// What the connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Everything.
    #[default]
    ReadWrite,
    /// Only look (`VIR_CONNECT_RO`); the daemon refuses everything else. libvirt also refuses some
    /// reading calls then, such as XML with secrets.
    ReadOnly,
}

impl Access {
    pub(crate) fn socket_suffix(self) -> &'static str {
        match self {
            Access::ReadWrite => "",
            Access::ReadOnly => "-ro",
        }
    }
}

/// How to connect and how to talk.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// How long making the connection may take, from the name's look-up to the open driver.
    pub connect_deadline: Duration,
    /// How long a call may take unless [`Connection::within`] says otherwise, waiting for a free
    /// place included.
    pub call_deadline: Duration,
    /// When to ask whether the daemon is still there; `None` never asks (pings from the daemon are
    /// answered in any case).
    pub keep_alive: Option<KeepAlive>,
    /// How many calls may be under way at once; libvirt's usual limit is 5 with keep-alives.
    pub calls_at_once: usize,
    /// What the connection may do.
    pub access: Access,
    /// How many events are kept for a consumer that does not keep up.
    pub event_buffer: usize,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            connect_deadline: Duration::from_secs(20),
            call_deadline: Duration::from_secs(30),
            keep_alive: Some(KeepAlive::default()),
            calls_at_once: 4,
            access: Access::ReadWrite,
            event_buffer: 1024,
        }
    }
}

/// A conversation with one daemon. Cheap to clone; it ends when the last clone is dropped.
///
/// The calls themselves are in the modules [`crate::domain`], [`crate::node`], [`crate::stats`],
/// [`crate::job`], [`crate::migrate`] and [`crate::events`].
#[derive(Debug, Clone)]
pub struct Connection {
    engine: Arc<Engine>,
    deadline: Duration,
    pub(crate) session: Arc<Session>,
}

/// What is known about the daemon on the other side.
#[derive(Debug, Default)]
pub(crate) struct Session {
    pub(crate) subscribed: Mutex<BTreeSet<EventKind>>,
    /// How many fields node_get_cpu_stats has here; 0 is not asked yet.
    pub(crate) cpu_fields: AtomicU32,
    /// The same for node_get_memory_stats.
    pub(crate) memory_fields: AtomicU32,
}

impl Connection {
    /// Connects with the usual options.
    pub async fn open(uri: &Uri) -> Result<Self> {
        Self::open_with(uri, &ConnectOptions::default()).await
    }

    /// Connects: makes the way, authenticates, agrees on keep-alive and opens the driver.
    pub async fn open_with(uri: &Uri, options: &ConnectOptions) -> Result<Self> {
        let events = broadcast::channel(options.event_buffer.max(1)).0;
        Self::open_into(uri, options, events).await
    }

    /// The same with the events going into a channel of the caller, which outlives the connection.
    pub(crate) async fn open_into(
        uri: &Uri,
        options: &ConnectOptions,
        events: broadcast::Sender<crate::events::Incoming>,
    ) -> Result<Self> {
        let limit = options.connect_deadline;
        let open = async {
            let wire = transport::connect(uri, options.access).await?;
            Self::greet(wire, &uri.remote_name(), options, events).await
        };
        match tokio::time::timeout(limit, open).await {
            Err(_) => Err(transport::hangs(uri, limit.as_secs_f64())),
            Ok(Err(Error::Closed { reason })) => Err(Error::transport(
                TransportFault::Other,
                format!(
                    "{} ended the conversation before it began ({reason}); is it really libvirt's \
                     port for this transport, and has the daemon reached max_clients?",
                    uri.place()
                ),
            )),
            Ok(result) => result,
        }
    }

    /// Speaks over any stream that leads to a daemon, and opens `remote_name` (like
    /// `qemu:///system`) there. Has no deadline beyond those of the calls.
    pub async fn over<S>(stream: S, remote_name: &str, options: &ConnectOptions) -> Result<Self>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let events = broadcast::channel(options.event_buffer.max(1)).0;
        let (read, write) = tokio::io::split(stream);
        Self::greet(Wire::new(read, write), remote_name, options, events).await
    }

    pub(crate) async fn greet(
        wire: Wire,
        remote_name: &str,
        options: &ConnectOptions,
        events: broadcast::Sender<crate::events::Incoming>,
    ) -> Result<Self> {
        let connection = Self {
            engine: Engine::start(wire, options, events),
            deadline: options.call_deadline,
            session: Arc::default(),
        };
        connection.authenticate().await?;
        // Asking for the feature switches the daemon's own pings on. It has to come before the
        // driver is opened.
        if connection.supports_feature(Feature::KeepAlive).await?
            && let Some(keep_alive) = options.keep_alive
        {
            connection.engine.keep_alive(keep_alive);
        }
        let flags: u32 = match options.access {
            Access::ReadWrite => 0,
            Access::ReadOnly => 1,
        };
        let name = Some(remote_name.to_owned());
        let _: Void = connection.call(Procedure::CONNECT_OPEN, &(name, flags)).await?;
        Ok(connection)
    }

    async fn authenticate(&self) -> Result<()> {
        const NONE: i32 = 0;
        const SASL: i32 = 1;
        const POLKIT: i32 = 2;
        let types: List<i32, 20> = self.call(Procedure::AUTH_LIST, &Void).await?;
        if types.0.is_empty() || types.0.contains(&NONE) {
            return Ok(());
        }
        if types.0.contains(&POLKIT) {
            // 1 if it was enough; without that, a challenge for somebody at a screen would follow.
            let complete: i32 = self.call(Procedure::AUTH_POLKIT, &Void).await?;
            return match complete {
                0 => Err(Error::Auth(
                    "polkit wants to ask a person; run as root, join the group libvirt, or write a \
                     polkit rule for org.libvirt.unix.manage"
                        .into(),
                )),
                _ => Ok(()),
            };
        }
        if types.0.contains(&SASL) {
            return Err(Error::Auth(
                "the daemon wants SASL (user and password or Kerberos), which this client does not \
                 speak; use qemu+ssh:// or qemu+tls:// with a client certificate, or set auth_tcp / \
                 auth_tls to \"none\" in its libvirtd.conf"
                    .into(),
            ));
        }
        Err(Error::Auth(format!(
            "the daemon wants an authentication unknown to this client (types {:?}); use \
             qemu+ssh:// as root",
            types.0
        )))
    }

    /// The same connection with another deadline for every call made through it.
    ///
    /// A call that changes something may be carried out after its deadline all the same: read the
    /// state again before repeating it.
    pub fn within(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// Makes any call: `arguments` and result in their XDR forms. Meant for procedures that this
    /// crate has no method for.
    pub async fn call<A: Xdr, R: Xdr>(&self, procedure: Procedure, arguments: &A) -> Result<R> {
        let reply = self.call_bytes(procedure, to_bytes(arguments)).await?;
        from_bytes(&reply).map_err(|e| Error::payload(e, procedure.name))
    }

    async fn call_bytes(&self, procedure: Procedure, payload: Vec<u8>) -> Result<Vec<u8>> {
        let shared = self.engine.shared();
        let until = Instant::now() + self.deadline;
        match tokio::time::timeout_at(until, shared.ask(procedure, payload)).await {
            Ok(reply) => {
                let (status_ok, payload) = reply?;
                match status_ok {
                    true => Ok(payload),
                    false => Err(ErrorWire::read(&payload, procedure.name)),
                }
            }
            Err(_) => {
                shared.check_for_stuck_daemon();
                Err(Error::Deadline { call: procedure.name, after: self.deadline })
            }
        }
    }

    /// Whether the daemon (for [`Feature::KeepAlive`]) or the driver (for the others) can do
    /// something.
    pub async fn supports_feature(&self, feature: Feature) -> Result<bool> {
        let supported: i32 = self.call(Procedure::CONNECT_SUPPORTS_FEATURE, &(feature as i32)).await?;
        Ok(supported != 0)
    }

    /// The host's own name.
    pub async fn hostname(&self) -> Result<String> {
        self.call(Procedure::CONNECT_GET_HOSTNAME, &Void).await
    }

    /// The URI as the daemon sees it, like `qemu:///system`.
    pub async fn remote_uri(&self) -> Result<String> {
        self.call(Procedure::CONNECT_GET_URI, &Void).await
    }

    /// The version of the daemon's libvirt.
    pub async fn lib_version(&self) -> Result<Version> {
        let number: u64 = self.call(Procedure::CONNECT_GET_LIB_VERSION, &Void).await?;
        Ok(Version(number))
    }

    /// The version of the hypervisor, such as QEMU.
    pub async fn hypervisor_version(&self) -> Result<Version> {
        let number: u64 = self.call(Procedure::CONNECT_GET_VERSION, &Void).await?;
        Ok(Version(number))
    }

    /// Asks the daemon for these kinds of events and gives the stream of all events of this
    /// connection. The stream never holds up calls: who does not keep up loses the oldest events
    /// and is told how many.
    pub async fn events(&self, kinds: &[EventKind]) -> Result<EventStream> {
        let stream = EventStream::new(self.engine.shared().events.subscribe());
        self.register(kinds).await?;
        Ok(stream)
    }

    /// Registers event kinds that are not registered yet. In a task of its own, so that a dropped
    /// caller cannot leave it unknown whether the daemon knows of it: a second registration
    /// would deliver everything twice.
    pub(crate) async fn register(&self, kinds: &[EventKind]) -> Result<()> {
        let (this, kinds) = (self.clone(), kinds.to_vec());
        let register = async move {
            let mut subscribed = this.session.subscribed.lock().await;
            for kind in kinds {
                if subscribed.contains(&kind) {
                    continue;
                }
                let all_vms: Option<crate::domain::Domain> = None;
                let _callback: i32 =
                    this.call(Procedure::DOMAIN_EVENT_CALLBACK_REGISTER_ANY, &(kind.id(), all_vms)).await?;
                subscribed.insert(kind);
            }
            Ok(())
        };
        tokio::spawn(register).await.map_err(|e| Error::closed(format!("registering events was interrupted: {e}")))?
    }

    /// Says good-bye and ends the connection, for all clones. Calls under way fail.
    pub async fn close(self) {
        let patience = self.deadline.min(Duration::from_secs(2));
        let good_bye: Result<Void> = self.within(patience).call(Procedure::CONNECT_CLOSE, &Void).await;
        if let Err(error) = good_bye {
            tracing::debug!(%error, "closing without the daemon's consent");
        }
        self.engine.shared().end(Error::closed("closed by this side"));
    }

    /// Waits until the connection has ended, and says why.
    pub async fn ended(&self) -> Error {
        self.engine.shared().wait_for_end().await
    }

    /// Why the connection has ended, if it has.
    pub fn end_reason(&self) -> Option<Error> {
        self.engine.shared().end_reason()
    }
}

/// A version as libvirt packs it: major × 1,000,000 + minor × 1,000 + release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

impl Version {
    /// The first number.
    pub fn major(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The second number.
    pub fn minor(self) -> u64 {
        self.0 / 1_000 % 1_000
    }

    /// The third number.
    pub fn release(self) -> u64 {
        self.0 % 1_000
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major(), self.minor(), self.release())
    }
}
