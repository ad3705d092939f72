//! The tasks behind a connection: one reads, one writes, one watches the other side's pulse.
//!
//! They share a table of calls that wait for their reply. Nothing in the reading task ever waits
//! for a consumer: replies go to one-shot channels, events to a channel that drops the oldest,
//! answers to pings are dropped if the writer is busy. So no consumer can hold up another one.

use crate::connection::{ConnectOptions, KeepAlive};
use crate::error::{Error, ProtocolError, Result};
use crate::events::{self, Incoming};
use crate::frame::{Frame, Header, Kind, PROGRAM_KEEPALIVE, PROGRAM_REMOTE, PROGRAM_VERSION, Status, read_frame};
use crate::keepalive;
use crate::procedures::Procedure;
use crate::transport::Wire;
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

// Room for the calls under way and for some pings; more is never needed.
const OUTGOING: usize = 32;

/// The owner of the tasks: when it is dropped, they end.
#[derive(Debug)]
pub(crate) struct Engine {
    shared: Arc<Shared>,
}

impl Engine {
    pub(crate) fn start(wire: Wire, options: &ConnectOptions, events: broadcast::Sender<Incoming>) -> Arc<Self> {
        let (outgoing, to_write) = mpsc::channel(OUTGOING);
        let shared = Arc::new(Shared {
            calls: Mutex::default(),
            outgoing,
            slots: Arc::new(Semaphore::new(options.calls_at_once.max(1))),
            patience: options.call_deadline,
            received: AtomicU64::new(0),
            events,
            stop: CancellationToken::new(),
            ended: watch::channel(None).0,
        });
        let Wire { read, write, child } = wire;
        tokio::spawn(writer(Arc::clone(&shared), write, to_write));
        tokio::spawn(reader(Arc::clone(&shared), read, child));
        Arc::new(Self { shared })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn keep_alive(&self, settings: KeepAlive) {
        tokio::spawn(keepalive::watch_pulse(Arc::clone(&self.shared), settings));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.end(Error::closed("no longer needed"));
    }
}

/// What the tasks and the callers share.
#[derive(Debug)]
pub(crate) struct Shared {
    calls: Mutex<Calls>,
    outgoing: mpsc::Sender<Vec<u8>>,
    slots: Arc<Semaphore>,
    patience: Duration,
    /// Bytes received so far: the other side's pulse.
    pub(crate) received: AtomicU64,
    pub(crate) events: broadcast::Sender<Incoming>,
    pub(crate) stop: CancellationToken,
    ended: watch::Sender<Option<Error>>,
}

#[derive(Debug, Default)]
struct Calls {
    waiting: HashMap<u32, Waiting>,
    last_serial: u32,
    /// Set once; nothing is registered afterwards.
    dead: Option<Error>,
}

/// A call whose reply has not come yet.
#[derive(Debug)]
struct Waiting {
    procedure: Procedure,
    /// Closed on the other end when the caller has given up.
    reply: oneshot::Sender<Result<(bool, Vec<u8>)>>,
    since: Instant,
    /// The place among the calls at once. Kept until the reply is here even if nobody waits for
    /// it, because the daemon still counts the request.
    _slot: OwnedSemaphorePermit,
}

impl Shared {
    /// Sends a call and waits for its reply: whether it is a result, and its payload.
    /// Cancel-safe: between the registration and the sending nothing waits.
    pub(crate) async fn ask(&self, procedure: Procedure, payload: Vec<u8>) -> Result<(bool, Vec<u8>)> {
        // Callers that give up before their deadline never come to the check after it.
        self.check_for_stuck_daemon();
        let slot = match Arc::clone(&self.slots).acquire_owned().await {
            Ok(slot) => slot,
            Err(_) => return Err(self.why_dead()),
        };
        let Ok(outgoing) = self.outgoing.reserve().await else {
            return Err(self.why_dead());
        };
        let mut frame = Frame { header: Header::call(procedure.number, 0), payload };
        let (reply, answer) = oneshot::channel();
        {
            let mut calls = self.calls();
            if let Some(error) = &calls.dead {
                return Err(error.clone());
            }
            let serial = calls.fresh_serial();
            frame.header.serial = serial;
            let bytes = frame.to_wire()?;
            calls.waiting.insert(serial, Waiting { procedure, reply, since: Instant::now(), _slot: slot });
            outgoing.send(bytes);
        }
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(self.why_dead()),
        }
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        // Nothing panics while holding the lock; if it did, the table is still in order.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn why_dead(&self) -> Error {
        self.end_reason().unwrap_or_else(|| Error::closed("the connection has ended"))
    }

    pub(crate) fn end_reason(&self) -> Option<Error> {
        self.calls().dead.clone()
    }

    /// Ends the connection; the first reason counts. All calls fail with it.
    pub(crate) fn end(&self, why: Error) {
        let waiting = {
            let mut calls = self.calls();
            if calls.dead.is_some() {
                return;
            }
            calls.dead = Some(why.clone());
            std::mem::take(&mut calls.waiting)
        };
        self.slots.close();
        for (_, call) in waiting {
            let _ = call.reply.send(Err(why.clone()));
        }
        self.ended.send_replace(Some(why));
        self.stop.cancel();
    }

    pub(crate) async fn wait_for_end(&self) -> Error {
        let mut ended = self.ended.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_else(|| self.why_dead()),
            Err(_) => self.why_dead(),
        }
    }

    /// When no place is free and every call that holds one was given up long ago, the daemon is
    /// stuck for good: nothing would ever get through again. A new connection may do better.
    pub(crate) fn check_for_stuck_daemon(&self) {
        if self.slots.available_permits() > 0 {
            return;
        }
        let names = {
            let calls = self.calls();
            let stuck = |call: &Waiting| call.reply.is_closed() && call.since.elapsed() >= self.patience;
            if calls.waiting.is_empty() || !calls.waiting.values().all(stuck) {
                return;
            }
            let mut names: Vec<_> = calls.waiting.values().map(|c| c.procedure.name).collect();
            names.sort_unstable();
            names.join(", ")
        };
        self.end(Error::closed(format!("the daemon is stuck: it never answered {names}")));
    }

    /// Queues bytes unless the writer is behind; gives whether they were queued.
    pub(crate) fn try_send(&self, bytes: Vec<u8>) -> bool {
        self.outgoing.try_send(bytes).is_ok()
    }

    fn take(&self, frame: Frame) -> Result<(), ProtocolError> {
        let header = &frame.header;
        if header.version != PROGRAM_VERSION {
            return Err(ProtocolError::new(
                format!(
                    "version {} of program {:#x}, only version {PROGRAM_VERSION} is known; the \
                     daemon is too new or too old for this client",
                    header.version, header.program
                ),
                "frame header",
            ));
        }
        match (header.program, header.kind) {
            (PROGRAM_KEEPALIVE, _) => keepalive::received(self, header),
            (PROGRAM_REMOTE, Kind::Reply) => self.take_reply(frame),
            (PROGRAM_REMOTE, Kind::Message) => {
                if let Some(event) = events::decode(header.procedure, &frame.payload)? {
                    // An error only says that nobody listens at the moment.
                    let _ = self.events.send(Incoming::Event(event));
                }
                Ok(())
            }
            (PROGRAM_REMOTE, kind) => {
                Err(ProtocolError::new(format!("a message of kind {kind:?}, which nobody asked for"), "frame header"))
            }
            (program, _) => Err(ProtocolError::new(format!("unknown program {program:#x}"), "frame header")),
        }
    }

    fn take_reply(&self, frame: Frame) -> Result<(), ProtocolError> {
        let serial = frame.header.serial;
        let Some(call) = self.calls().waiting.remove(&serial) else {
            return Err(ProtocolError::new(format!("a reply to call {serial}, which was never made"), "frame header"));
        };
        if frame.header.procedure != call.procedure.number {
            let error = ProtocolError::new(
                format!(
                    "call {serial} was {}, the reply is for procedure {}",
                    call.procedure.name, frame.header.procedure
                ),
                "frame header",
            );
            let _ = call.reply.send(Err(Error::Protocol(error.clone())));
            return Err(error);
        }
        let ok = match frame.header.status {
            Status::Ok => true,
            Status::Error => false,
            Status::Continue => {
                let error = ProtocolError::new("a reply that says there is more", "frame header");
                let _ = call.reply.send(Err(Error::Protocol(error.clone())));
                return Err(error);
            }
        };
        if call.reply.send(Ok((ok, frame.payload))).is_err() {
            tracing::debug!(call = call.procedure.name, "reply to a call that was given up");
        }
        Ok(())
    }
}

impl Calls {
    fn fresh_serial(&mut self) -> u32 {
        loop {
            self.last_serial = self.last_serial.wrapping_add(1);
            if self.last_serial != 0 && !self.waiting.contains_key(&self.last_serial) {
                return self.last_serial;
            }
        }
    }
}

async fn reader(
    shared: Arc<Shared>,
    mut from: Box<dyn tokio::io::AsyncRead + Send + Unpin>,
    child: Option<crate::transport::Child>,
) {
    let stop = shared.stop.clone();
    let why = loop {
        let frame = tokio::select! {
            () = stop.cancelled() => return,
            frame = read_frame(&mut from, &shared.received) => frame,
        };
        match frame {
            Ok(Some(frame)) => {
                if let Err(error) = shared.take(frame) {
                    break Error::Protocol(error);
                }
            }
            Ok(None) => break Error::closed("the other side closed the connection"),
            Err(error) => break error,
        }
    };
    let better = match child {
        Some(child) => child.explain().await,
        None => None,
    };
    shared.end(better.unwrap_or(why));
}

async fn writer(shared: Arc<Shared>, mut to: Box<dyn AsyncWrite + Send + Unpin>, mut queue: mpsc::Receiver<Vec<u8>>) {
    let stop = shared.stop.clone();
    let work = async {
        while let Some(bytes) = queue.recv().await {
            to.write_all(&bytes).await?;
            to.flush().await?;
        }
        Ok::<_, std::io::Error>(())
    };
    let result = tokio::select! {
        () = stop.cancelled() => Ok(()),
        result = work => result,
    };
    if let Err(error) = result {
        // The reader usually sees the same and may know a better reason; let it speak first.
        let grace = Duration::from_secs(5);
        if tokio::time::timeout(grace, stop.cancelled()).await.is_err() {
            shared.end(Error::closed(format!("writing to the connection failed: {error}")));
        }
    }
    let _ = to.shutdown().await;
}
