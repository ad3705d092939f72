//! Keep-alive: is the other side still there?
//!
//! The daemon's pings are answered always. Our own pings are sent when nothing at all has come
//! for an interval; when several in a row stay without any sign of life, the connection is dead.

use crate::engine::Shared;
use crate::error::{Error, ProtocolError};
use crate::frame::{Frame, Header, Kind, PROGRAM_KEEPALIVE, PROGRAM_VERSION, Status};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

const PING: i32 = 1;
const PONG: i32 = 2;

/// When to ask, and when to give up. libvirt's own values are 5 s and 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// How long silence may last before a ping is sent.
    pub interval: Duration,
    /// How many pings may stay unanswered.
    pub count: u32,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self { interval: Duration::from_secs(5), count: 5 }
    }
}

/// A ping or pong, ready to send. Both are messages without serial or payload.
pub(crate) fn message(procedure: i32) -> Vec<u8> {
    let frame = Frame {
        header: Header {
            program: PROGRAM_KEEPALIVE,
            version: PROGRAM_VERSION,
            procedure,
            kind: Kind::Message,
            serial: 0,
            status: Status::Ok,
        },
        payload: Vec::new(),
    };
    // A header alone is never too long.
    frame.to_wire().unwrap_or_default()
}

/// Takes a message of the keep-alive program.
pub(crate) fn received(shared: &Shared, header: &Header) -> Result<(), ProtocolError> {
    match header.procedure {
        PING => {
            // If the writer is behind, the bytes it sends are sign of life enough.
            shared.try_send(message(PONG));
            Ok(())
        }
        PONG => Ok(()),
        other => Err(ProtocolError::new(format!("unknown keep-alive message {other}"), "frame header")),
    }
}

/// Sends pings into silence, and ends the connection when they stay without answer.
pub(crate) async fn watch_pulse(shared: Arc<Shared>, settings: KeepAlive) {
    let mut ticks = tokio::time::interval(settings.interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await; // the first tick comes at once
    let mut heard = shared.received.load(Ordering::Relaxed);
    let mut unanswered = 0;
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = shared.received.load(Ordering::Relaxed);
        if now != heard {
            heard = now;
            unanswered = 0;
            continue;
        }
        if unanswered >= settings.count {
            let silence = settings.interval * (settings.count + 1);
            shared.end(Error::closed(format!(
                "no sign of life for {:.0} s, {unanswered} keep-alive pings unanswered: host, \
                 network or daemon is down or stuck",
                silence.as_secs_f64()
            )));
            return;
        }
        unanswered += 1;
        shared.try_send(message(PING));
    }
}
