//! A connection that is built anew when it breaks, and says so.
//!
//! ```no_run
//! # async fn example() -> ulm_libvirt::Result<()> {
//! use ulm_libvirt::{EventKind, Link, LinkOptions, LinkState};
//! let link = Link::start("qemu+ssh://root@h1/system".parse()?, LinkOptions::default());
//! let mut state = link.state();
//! while state.changed().await.is_ok() {
//!     match &*state.borrow_and_update() {
//!         LinkState::Connecting => println!("…"),
//!         LinkState::Up { .. } => println!("up"),
//!         LinkState::Down { reason, retry_in, .. } => println!("down: {reason}; again in {retry_in:?}"),
//!     }
//! }
//! # Ok(()) }
//! ```

use crate::connection::{ConnectOptions, Connection};
use crate::error::{Error, Result};
use crate::events::{EventKind, EventStream, Incoming};
use crate::uri::Uri;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long to wait before the next attempt: 1 s, 2 s, 4 s … up to 60 s by default. Without
/// chance, so that tests and people can foretell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(60) }
    }
}

impl Backoff {
    /// The pause after `failures` failed attempts in a row (at least 1).
    pub fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }
}

/// How a link behaves.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// For each connection.
    pub connect: ConnectOptions,
    /// The pauses between attempts.
    pub backoff: Backoff,
    /// Which events to ask for each time.
    pub events: Vec<EventKind>,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self { connect: ConnectOptions::default(), backoff: Backoff::default(), events: EventKind::ALL.to_vec() }
    }
}

/// How a link is.
#[derive(Debug, Clone)]
pub enum LinkState {
    /// The first attempt, or one after a pause, is under way.
    Connecting,
    /// Calls can be made.
    Up {
        /// Since when.
        since: Instant,
    },
    /// No connection.
    Down {
        /// Since when there has been none.
        since: Instant,
        /// Why.
        reason: Error,
        /// How long until the next attempt, counted from the moment this state was published.
        retry_in: Duration,
    },
}

impl LinkState {
    /// Whether calls can be made.
    pub fn is_up(&self) -> bool {
        matches!(self, LinkState::Up { .. })
    }
}

/// Keeps one connection to a daemon alive for as long as it exists. Cheap to clone.
///
/// Calls are made through [`Link::connection`], which never waits: while the link is down it fails
/// at once with the reason. A call that was under way when the connection broke fails too, and is
/// never repeated by the link: whether it was carried out is for the caller to find out.
#[derive(Debug, Clone)]
pub struct Link {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    current: watch::Receiver<Current>,
    state: watch::Receiver<LinkState>,
    events: broadcast::Sender<Incoming>,
    stop: CancellationToken,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

type Current = Result<Connection, Error>;

/// Makes a new connection whose events go into the given channel.
pub(crate) type Connector =
    Box<dyn Fn(broadcast::Sender<Incoming>) -> BoxFuture<'static, Result<Connection>> + Send + Sync>;

impl Link {
    /// Begins to connect, in the background.
    pub fn start(uri: Uri, options: LinkOptions) -> Self {
        let connect = options.connect.clone();
        let connector: Connector = Box::new(move |events| {
            let (uri, connect) = (uri.clone(), connect.clone());
            Box::pin(async move { Connection::open_into(&uri, &connect, events).await })
        });
        Self::start_with(connector, options)
    }

    pub(crate) fn start_with(connector: Connector, options: LinkOptions) -> Self {
        let events = broadcast::channel(options.connect.event_buffer.max(1)).0;
        let stop = CancellationToken::new();
        let (to_current, current) =
            watch::channel(Err(Error::closed("not connected yet, the first attempt is under way")));
        let (to_state, state) = watch::channel(LinkState::Connecting);
        let keeper = Keeper {
            connector,
            options,
            events: events.clone(),
            current: to_current,
            state: to_state,
            stop: stop.clone(),
        };
        tokio::spawn(keeper.run());
        Self { inner: Arc::new(Inner { current, state, events, stop }) }
    }

    /// The present connection, or at once the reason why there is none.
    pub fn connection(&self) -> Result<Connection> {
        let connection = self.inner.current.borrow().clone()?;
        match connection.end_reason() {
            None => Ok(connection),
            Some(reason) => Err(reason),
        }
    }

    /// The state now, and a notice whenever it changes.
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.inner.state.clone()
    }

    /// Waits until the link is up, for as long as it takes. Combine with a time-out.
    pub async fn up(&self) -> Result<Connection> {
        let mut current = self.inner.current.clone();
        match current.wait_for(Result::is_ok).await {
            Ok(connection) => connection.clone(),
            Err(_) => Err(Error::closed("the link has been stopped")),
        }
    }

    /// All events from now on, over all connections. After a break [`Incoming::Interrupted`] says that
    /// some may be missing. Ends with the link.
    pub fn events(&self) -> EventStream {
        EventStream::new(self.inner.events.subscribe())
    }

    /// Ends the link and its connection, for all clones.
    pub fn stop(&self) {
        self.inner.stop.cancel();
    }
}

/// The task that keeps the connection.
struct Keeper {
    connector: Connector,
    options: LinkOptions,
    events: broadcast::Sender<Incoming>,
    current: watch::Sender<Current>,
    state: watch::Sender<LinkState>,
    stop: CancellationToken,
}

impl Keeper {
    async fn run(self) {
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep() => {}
        }
        let stopped = Error::closed("the link has been stopped");
        let old = self.current.send_replace(Err(stopped.clone()));
        if let Ok(connection) = old {
            connection.close().await;
        }
        self.state.send_replace(LinkState::Down { since: Instant::now(), reason: stopped, retry_in: Duration::MAX });
    }

    async fn keep(&self) {
        let mut failures = 0;
        let mut down_since = Instant::now();
        let mut interrupted: Option<Error> = None;
        loop {
            self.state.send_replace(LinkState::Connecting);
            let reason = match self.connect().await {
                Ok(connection) => {
                    if let Some(why) = interrupted.take() {
                        let _ = self.events.send(Incoming::Interrupted(why.to_string()));
                    }
                    let up_since = Instant::now();
                    let _ = self.current.send_replace(Ok(connection.clone()));
                    self.state.send_replace(LinkState::Up { since: up_since });
                    let reason = connection.ended().await;
                    tracing::warn!(%reason, "connection to libvirt lost");
                    interrupted = Some(reason.clone());
                    down_since = Instant::now();
                    // A connection that breaks at once must not be retried at full speed: only one
                    // that lasted longer than the last pause begins the schedule anew.
                    if up_since.elapsed() >= self.options.backoff.pause(failures) {
                        failures = 0;
                    }
                    reason
                }
                Err(reason) => reason,
            };
            failures += 1;
            let pause = self.options.backoff.pause(failures);
            let _ = self.current.send_replace(Err(reason.clone()));
            self.state.send_replace(LinkState::Down { since: down_since, reason, retry_in: pause });
            tokio::time::sleep(pause).await;
        }
    }

    async fn connect(&self) -> Result<Connection> {
        let connection = (self.connector)(self.events.clone()).await?;
        match connection.register(&self.options.events).await {
            Ok(()) => Ok(connection),
            // An old or special driver without some event is still worth talking to.
            Err(error) if error.is_unsupported() => {
                tracing::warn!(%error, "no events from this daemon");
                Ok(connection)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::events::{Event, Lifecycle, Suspended};
    use crate::testing::{Behaviour, FakeHost, FakeServer};

    /// A link to a server in memory, for a paused clock.
    fn link_to(server: &Arc<FakeServer>) -> Link {
        let (server, options) = (Arc::clone(server), LinkOptions::default());
        let connect = options.connect.clone();
        let connector: Connector = Box::new(move |events| {
            let (server, connect) = (Arc::clone(&server), connect.clone());
            Box::pin(async move {
                let (read, write) = tokio::io::split(server.connect());
                let wire = crate::transport::Wire::new(read, write);
                Connection::greet(wire, "qemu:///system", &connect, events).await
            })
        });
        Link::start_with(connector, options)
    }

    fn server() -> Arc<FakeServer> {
        Arc::new(FakeServer::in_memory(FakeHost::with_vms("h1", 1)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_connection_is_rebuilt_with_growing_pauses_and_says_so() {
        let server = server();
        let link = link_to(&server);
        let mut state = link.state();
        assert_eq!(link.up().await.unwrap().hostname().await.unwrap(), "h1");
        server.behave(Behaviour::HangsUp);
        server.cut_all();
        let mut pauses = Vec::new();
        while pauses.len() < 8 {
            state.changed().await.unwrap();
            if let LinkState::Down { retry_in, .. } = &*state.borrow_and_update() {
                pauses.push(retry_in.as_secs());
            }
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        let error = link.connection().unwrap_err();
        assert!(error.to_string().contains("closed the connection"), "{error}");
        server.behave(Behaviour::Normal);
        assert_eq!(link.up().await.unwrap().hostname().await.unwrap(), "h1");
    }

    #[tokio::test(start_paused = true)]
    async fn the_published_pause_is_the_real_one() {
        let server = server();
        let link = link_to(&server);
        link.up().await.unwrap();
        server.cut_all();
        let mut state = link.state();
        let down = state.wait_for(|s| matches!(s, LinkState::Down { .. })).await;
        assert!(down.is_ok());
        drop(down);
        let before = Instant::now();
        link.up().await.unwrap();
        assert_eq!(before.elapsed().as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_on_a_link_that_is_down_fail_at_once_with_the_reason() {
        let server = server();
        server.behave(Behaviour::HangsUp);
        let link = link_to(&server);
        let mut state = link.state();
        let down = state.wait_for(|s| matches!(s, LinkState::Down { .. })).await;
        drop(down);
        let before = Instant::now();
        assert!(link.connection().unwrap_err().is_connection_lost());
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn events_go_on_after_a_break_and_the_break_is_told() {
        let server = server();
        let link = link_to(&server);
        let mut events = link.events();
        let host = link.up().await.unwrap();
        let event = Event::Lifecycle {
            domain: host.domain_by_name("h1-vm000").await.unwrap(),
            change: Lifecycle::Suspended(Suspended::Paused),
        };
        server.emit(&event);
        assert_eq!(events.next().await, Some(Incoming::Event(event.clone())));
        server.cut_all();
        assert!(matches!(events.next().await, Some(Incoming::Interrupted(_))));
        server.emit(&event);
        assert_eq!(events.next().await, Some(Incoming::Event(event)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_is_dropped_ends_its_connection() {
        let server = server();
        let link = link_to(&server);
        link.up().await.unwrap();
        let mut state = link.state();
        drop(link);
        let stopped = state.wait_for(|s| matches!(s, LinkState::Down { retry_in: Duration::MAX, .. }));
        assert!(stopped.await.is_ok());
        server.until(|s| s.connected() == 0).await;
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let backoff = Backoff::default();
        let pauses: Vec<u64> = (1..=8).map(|n| backoff.pause(n).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.pause(u32::MAX).as_secs(), 60);
    }
}
