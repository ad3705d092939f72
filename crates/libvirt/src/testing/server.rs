//! The daemon itself: sockets, frames, and how it misbehaves.

use super::answers::{self, Effect, Refusal, refusal};
use super::host::FakeHost;
use crate::domain::Domain;
use crate::error::{ErrorCode, ErrorWire};
use crate::events::{Event, EventKind, Lifecycle};
use crate::frame::{Frame, Header, Kind, PROGRAM_KEEPALIVE, PROGRAM_REMOTE, PROGRAM_VERSION, Status, read_frame};
use crate::keepalive;
use crate::procedures::Procedure;
use crate::uri::Uri;
use crate::xdr::to_bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

/// How the whole server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// As a daemon should.
    #[default]
    Normal,
    /// Takes connections and bytes and never says anything.
    Hangs,
    /// Answers calls, but no keep-alive pings.
    IgnoresPings,
    /// Takes connections and closes them at once.
    HangsUp,
}

/// How one procedure is answered instead of the usual way.
#[derive(Debug, Clone)]
pub enum Answer {
    /// With this payload.
    Reply(Vec<u8>),
    /// With this error.
    Error(ErrorWire),
    /// Never.
    Never,
    /// As usual, but later.
    Later(Duration),
    /// As usual, but only when the gate is opened.
    Gated(Gate),
    /// With these bytes on the wire, whatever they are.
    Raw(Vec<u8>),
    /// By closing the connection.
    CutOff,
}

/// Holds answers back until it is opened.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    open: Arc<watch::Sender<bool>>,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everything through from now on.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    async fn passed(&self) {
        // The sender is in `self`, so waiting cannot fail.
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }
}

/// A fake libvirtd. It ends when dropped.
#[derive(Debug)]
pub struct FakeServer {
    shared: Arc<Shared>,
    uri: Option<Uri>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
    stop: CancellationToken,
}

#[derive(Debug)]
struct State {
    host: FakeHost,
    behaviour: Behaviour,
    answers: BTreeMap<i32, Answer>,
    peers: BTreeMap<String, Weak<Shared>>,
    clients: Vec<Client>,
    accepted: usize,
    calls: Vec<i32>,
    pings: usize,
    pongs: usize,
    at_once: usize,
    most_at_once: usize,
}

#[derive(Debug, Clone)]
struct Client {
    number: usize,
    to_write: mpsc::UnboundedSender<Vec<u8>>,
    cut: CancellationToken,
    events: BTreeSet<i32>,
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl FakeServer {
    /// Listens on a free port of 127.0.0.1.
    pub async fn tcp(host: FakeHost) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let uri = format!("qemu+tcp://{}/system", listener.local_addr()?);
        let mut server = Self::in_memory(host);
        server.uri = uri.parse().ok();
        let shared = Arc::clone(&server.shared);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = shared.stop.cancelled() => return,
                    Ok((stream, _)) = listener.accept() => {
                        let _ = stream.set_nodelay(true);
                        serve(&shared, stream);
                    }
                }
            }
        });
        Ok(server)
    }

    /// Listens on a Unix socket.
    pub async fn unix(path: &Path, host: FakeHost) -> std::io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        let uri = format!("qemu+unix:///system?socket={}", path.display());
        let mut server = Self::in_memory(host);
        server.uri = uri.parse().ok();
        let shared = Arc::clone(&server.shared);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = shared.stop.cancelled() => return,
                    Ok((stream, _)) = listener.accept() => serve(&shared, stream),
                }
            }
        });
        Ok(server)
    }

    /// Listens nowhere; connect with [`FakeServer::connect`]. Works with a paused clock.
    pub fn in_memory(host: FakeHost) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    host,
                    behaviour: Behaviour::Normal,
                    answers: BTreeMap::new(),
                    peers: BTreeMap::new(),
                    clients: Vec::new(),
                    accepted: 0,
                    calls: Vec::new(),
                    pings: 0,
                    pongs: 0,
                    at_once: 0,
                    most_at_once: 0,
                }),
                changed: Notify::new(),
                stop: CancellationToken::new(),
            }),
            uri: None,
        }
    }

    /// Where it listens.
    ///
    /// # Panics
    /// If it listens nowhere.
    pub fn uri(&self) -> Uri {
        self.uri.clone().expect("this fake server listens nowhere")
    }

    /// A stream to the server, for [`crate::Connection::over`].
    pub fn connect(&self) -> DuplexStream {
        let (near, far) = tokio::io::duplex(64 * 1024);
        serve(&self.shared, far);
        near
    }

    /// How it behaves from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.state().behaviour = behaviour;
    }

    /// How a procedure is answered from now on.
    pub fn answer(&self, procedure: Procedure, answer: Answer) {
        self.state().answers.insert(procedure.number, answer);
    }

    /// A procedure is answered as usual again.
    pub fn answer_as_usual(&self, procedure: Procedure) {
        self.state().answers.remove(&procedure.number);
    }

    /// Changes the made-up host.
    pub fn edit<T>(&self, change: impl FnOnce(&mut FakeHost) -> T) -> T {
        change(&mut self.state().host)
    }

    /// Makes another server known as the host behind `uri`: migrations there arrive there. (Without
    /// it they fail.)
    pub fn add_peer(&self, uri: &str, peer: &FakeServer) {
        let peer = Arc::downgrade(&peer.shared);
        self.state().peers.insert(uri.to_owned(), peer);
    }

    /// Sends an event to all who asked for its kind. Of a completed job only the parameters in
    /// [`crate::JobStats::other`] are sent.
    pub fn emit(&self, event: &Event) {
        self.shared.emit(event);
    }

    /// Sends bytes to all clients, whatever they are.
    pub fn send_raw(&self, bytes: &[u8]) {
        for client in &self.state().clients {
            let _ = client.to_write.send(bytes.to_vec());
        }
    }

    /// Sends a keep-alive ping to all clients.
    pub fn ping(&self) {
        self.send_raw(&keepalive::message(1));
    }

    /// Cuts all connections. New ones are taken.
    pub fn cut_all(&self) {
        for client in &self.state().clients {
            client.cut.cancel();
        }
    }

    /// How many connections there have been.
    pub fn accepted(&self) -> usize {
        self.state().accepted
    }

    /// How many connections there are.
    pub fn connected(&self) -> usize {
        self.state().clients.len()
    }

    /// How often a procedure was called.
    pub fn times_called(&self, procedure: Procedure) -> usize {
        let calls = &self.state().calls;
        calls.iter().filter(|n| **n == procedure.number).count()
    }

    /// The most calls that ever waited for their answers at once.
    pub fn most_at_once(&self) -> usize {
        self.state().most_at_once
    }

    /// How many keep-alive pings came.
    pub fn pings(&self) -> usize {
        self.state().pings
    }

    /// How many keep-alive pongs came.
    pub fn pongs(&self) -> usize {
        self.state().pongs
    }

    /// Waits until `condition` holds; looked at again after everything that arrives.
    pub async fn until(&self, condition: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if condition(self) {
                return;
            }
            changed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_waiters();
    }

    fn emit(&self, event: &Event) {
        let (kind, procedure, payload) = encode_event(event);
        let Ok(bytes) = (Frame {
            header: Header {
                program: PROGRAM_REMOTE,
                version: PROGRAM_VERSION,
                procedure: procedure.number,
                kind: Kind::Message,
                serial: 0,
                status: Status::Ok,
            },
            payload,
        })
        .to_wire() else {
            return;
        };
        for client in &self.state().clients {
            if client.events.contains(&kind.id()) {
                let _ = client.to_write.send(bytes.clone());
            }
        }
    }

    /// Moves a VM to a peer, with the events that libvirt sends.
    fn migrate(&self, domain: &Domain, destination: &str) -> Result<(), Refusal> {
        let fail = |text: &str| Err(refusal(ErrorCode::SYSTEM_ERROR, 7, text));
        let Some(peer) = self.state().peers.get(destination).and_then(Weak::upgrade) else {
            return fail(&format!("unable to connect to server at '{destination}': No route to host"));
        };
        let Some(mut vm) = ({
            let host = &mut self.state().host;
            let at = host.vms.iter().position(|vm| vm.domain.uuid == domain.uuid);
            at.map(|at| host.vms.remove(at))
        }) else {
            return Err(answers::no_domain(&domain.name));
        };
        let gone = vm.domain.clone();
        vm.cpu_ns = 0;
        vm.job = None;
        vm.state = (1, 2);
        let arrived = {
            let host = &mut peer.state().host;
            let last = host.vms.iter().filter_map(|vm| vm.domain.id).max();
            vm.domain.id = Some(last.unwrap_or(0) + 1);
            let arrived = vm.domain.clone();
            host.vms.push(vm);
            arrived
        };
        let tell = |shared: &Shared, domain: &Domain, change| {
            shared.emit(&Event::Lifecycle { domain: domain.clone(), change });
        };
        use crate::events::{Resumed, Started, Stopped, Suspended};
        tell(&peer, &arrived, Lifecycle::Started(Started::Migrated));
        tell(self, &gone, Lifecycle::Suspended(Suspended::Migrated));
        tell(&peer, &arrived, Lifecycle::Resumed(Resumed::Migrated));
        tell(self, &gone, Lifecycle::Stopped(Stopped::Migrated));
        Ok(())
    }
}

fn encode_event(event: &Event) -> (EventKind, Procedure, Vec<u8>) {
    match event {
        Event::Lifecycle { domain, change } => {
            let (event, detail) = change.to_codes();
            (EventKind::Lifecycle, Procedure::EVENT_LIFECYCLE, to_bytes(&(0i32, domain.clone(), event, detail)))
        }
        Event::MigrationIteration { domain, iteration } => (
            EventKind::MigrationIteration,
            Procedure::EVENT_MIGRATION_ITERATION,
            to_bytes(&(20i32, domain.clone(), *iteration)),
        ),
        Event::JobCompleted { domain, stats } => (
            EventKind::JobCompleted,
            Procedure::EVENT_JOB_COMPLETED,
            to_bytes(&(21i32, domain.clone(), crate::xdr::List::<crate::TypedParam, 64>(stats.other.0.clone()))),
        ),
    }
}

fn serve<S>(shared: &Arc<Shared>, stream: S)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (read, mut write) = tokio::io::split(stream);
    let (to_write, mut queue) = mpsc::unbounded_channel::<Vec<u8>>();
    let cut = shared.stop.child_token();
    let mut number = 0;
    shared.note(|state| {
        state.accepted += 1;
        number = state.accepted;
        if state.behaviour == Behaviour::HangsUp {
            cut.cancel();
        }
        state.clients.push(Client { number, to_write: to_write.clone(), cut: cut.clone(), events: BTreeSet::new() });
    });
    let write_cut = cut.clone();
    tokio::spawn(async move {
        let work = async {
            while let Some(bytes) = queue.recv().await {
                if write.write_all(&bytes).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            biased;
            () = write_cut.cancelled() => {}
            () = work => {}
        }
        let _ = write.shutdown().await;
    });
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let talk = talk(&shared, read, number, &to_write, &cut);
        tokio::select! {
            () = cut.cancelled() => {}
            () = talk => {}
        }
        cut.cancel();
        shared.note(|state| state.clients.retain(|client| client.number != number));
    });
}

async fn talk(
    shared: &Arc<Shared>,
    mut read: impl AsyncRead + Unpin,
    client: usize,
    to_write: &mpsc::UnboundedSender<Vec<u8>>,
    cut: &CancellationToken,
) {
    let received = AtomicU64::new(0);
    while let Ok(Some(frame)) = read_frame(&mut read, &received).await {
        let behaviour = shared.state().behaviour;
        if frame.header.program == PROGRAM_KEEPALIVE {
            let ping = frame.header.procedure == 1;
            shared.note(|state| match ping {
                true => state.pings += 1,
                false => state.pongs += 1,
            });
            if ping && behaviour == Behaviour::Normal {
                let _ = to_write.send(keepalive::message(2));
            }
            continue;
        }
        let answer = shared.state().answers.get(&frame.header.procedure).cloned();
        shared.note(|state| {
            state.calls.push(frame.header.procedure);
            state.at_once += 1;
            state.most_at_once = state.most_at_once.max(state.at_once);
        });
        if behaviour == Behaviour::Hangs {
            continue;
        }
        // Each call in a task of its own, so that a slow one does not hold up the others.
        let (shared, to_write, cut) = (Arc::clone(shared), to_write.clone(), cut.clone());
        tokio::spawn(async move {
            let work = respond(&shared, client, frame, answer, &to_write, &cut);
            tokio::select! {
                () = cut.cancelled() => {}
                () = work => {}
            }
            shared.note(|state| state.at_once -= 1);
        });
    }
}

async fn respond(
    shared: &Arc<Shared>,
    client: usize,
    frame: Frame,
    answer: Option<Answer>,
    to_write: &mpsc::UnboundedSender<Vec<u8>>,
    cut: &CancellationToken,
) {
    let result = match answer {
        Some(Answer::Reply(payload)) => Ok(payload),
        Some(Answer::Error(error)) => Err(Box::new(error)),
        Some(Answer::Never) => return std::future::pending().await,
        Some(Answer::Raw(bytes)) => {
            let _ = to_write.send(bytes);
            return;
        }
        Some(Answer::CutOff) => return cut.cancel(),
        Some(Answer::Later(pause)) => {
            tokio::time::sleep(pause).await;
            usual(shared, client, &frame, cut)
        }
        Some(Answer::Gated(gate)) => {
            gate.passed().await;
            usual(shared, client, &frame, cut)
        }
        None => usual(shared, client, &frame, cut),
    };
    let (status, payload) = match result {
        Ok(payload) => (Status::Ok, payload),
        Err(error) => (Status::Error, to_bytes(error.as_ref())),
    };
    let reply = Frame { header: Header { kind: Kind::Reply, status, ..frame.header }, payload };
    if let Ok(bytes) = reply.to_wire() {
        let _ = to_write.send(bytes);
    }
}

fn usual(shared: &Shared, client: usize, frame: &Frame, cut: &CancellationToken) -> Result<Vec<u8>, Refusal> {
    let (result, effect) = answers::answer(&mut shared.state().host, frame.header.procedure, &frame.payload);
    match effect {
        None => {}
        Some(Effect::Close) => {
            let cut = cut.clone();
            tokio::spawn(async move {
                // After the answer has gone out; the client closes first as a rule.
                tokio::time::sleep(Duration::from_millis(50)).await;
                cut.cancel();
            });
        }
        Some(Effect::Register(kind)) => shared.note(|state| {
            for known in &mut state.clients {
                if known.number == client {
                    known.events.insert(kind);
                }
            }
        }),
        Some(Effect::Migrate { domain, destination }) => shared.migrate(&domain, &destination)?,
    }
    result
}
