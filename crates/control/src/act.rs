//! One move from its intention to its settled outcome. Makes no choices: the plan made them.
//!
//! ```text
//! Intended (in the ledger) ─migrate─► Copying ─┬─ends───────────────► Settling ─both hosts─► Ended
//!                                                └─abort, deadline─► Aborting ─┘
//! ```
//!
//! The entry that announces an effect is durable before the effect is begun. Whatever the hypervisor
//! returns, the outcome is what both hosts say afterwards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use ulm_drivers::{Clock, Driver, DriverError, ErrorKind, JobProgress, MoveOrder};
use ulm_model::ledger::{Event, Found, MoveCost, MoveKey, Outcome};
use ulm_model::{BytesPerSecond, Reason, Time};

use crate::journal::Journal;
use crate::phase::Phase;
use crate::settle::{Trust, settle};

/// Progress is asked for so often while the hypervisor copies.
const PROGRESS: Duration = Duration::from_secs(1);

/// An abort that shows no effect is asked for again after so long.
const ABORT_AGAIN: Duration = Duration::from_secs(5);

/// When the end of a move cannot be written to the ledger, it is tried again after so long.
const WRITE_AGAIN: Duration = Duration::from_secs(5);

/// After so long without an answer the ledger says that the outcome is not known yet.
const TELL_UNKNOWN_AFTER: Duration = Duration::from_secs(60);

/// The limits that every move keeps.
#[derive(Clone, Debug)]
pub struct MoveLimits {
    /// A move that takes longer is aborted.
    pub deadline: Duration,
    /// At most so many bytes per second.
    pub bandwidth: Option<BytesPerSecond>,
    /// The longest that a guest may stand still.
    pub max_downtime: Option<Duration>,
}

/// A move as others may see it while it lasts.
#[derive(Clone, Debug)]
pub struct Track {
    /// Which move.
    pub key: MoveKey,
    /// Why it is made.
    pub because: Reason,
    /// Where it stands.
    pub phase: Phase,
    /// When it was intended.
    pub since: Time,
    /// How far the copy is.
    pub progress: Option<JobProgress>,
    /// What holds it up, if anything.
    pub trouble: Option<String>,
}

/// A [`Track`] that its move writes and everybody reads.
pub type Shared = Arc<Mutex<Track>>;

/// Who asks for an abort; nobody at first.
pub type AbortSwitch = watch::Sender<Option<String>>;

/// Everything that one move needs.
pub struct Act {
    /// The source's driver.
    pub from: Arc<dyn Driver>,
    /// The target's driver.
    pub to: Arc<dyn Driver>,
    /// The ledger.
    pub journal: Arc<dyn Journal>,
    /// The clock for entries.
    pub clock: Arc<dyn Clock>,
    /// What it must keep to.
    pub limits: MoveLimits,
    /// What others see.
    pub track: Shared,
    /// Where others ask for an abort.
    pub abort: watch::Receiver<Option<String>>,
}

/// How an [`Act`] came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was begun, and this is the settled outcome.
    Ended(Outcome),
    /// It was not begun.
    Refused(Reason),
}

impl Act {
    /// Begins a move whose intention is in the ledger, and sees it through.
    pub async fn carry_out(mut self) -> End {
        let key = self.key();
        let begun = Instant::now();
        let mut abort_again = None;
        self.become_(Phase::Copying);
        let error = self.copy(&key, begun, &mut abort_again).await;
        self.become_(Phase::Settling);
        self.settle_and_tell(&key, begun, abort_again, error).await
    }

    /// Takes up a move that was open when the daemon began: looks first, then watches or settles.
    pub async fn take_up(mut self) -> End {
        let key = self.key();
        let intended_at = self.lock().since;
        let already = self.clock.now().since(intended_at);
        let begun = Instant::now().checked_sub(already).unwrap_or_else(Instant::now);
        self.become_(Phase::Settling);
        if let Some(outcome) = self.settled(Trust::AfterAWhile, None).await {
            let found = match &outcome {
                // On the source, without a job: whether it had been begun at all cannot be told, and does not matter.
                Outcome::Stayed { .. } => Found::NotBegun,
                _ => Found::Ended { outcome: outcome.clone() },
            };
            self.tell(&Event::MoveReconciled { r#move: key, found });
            self.become_(Phase::Ended);
            return End::Ended(outcome);
        }
        self.tell(&Event::MoveReconciled { r#move: key.clone(), found: Found::Running });
        let mut abort_again = None;
        self.watch(&key, begun, &mut abort_again).await;
        self.settle_and_tell(&key, begun, abort_again, None).await
    }

    /// Tells the hypervisor to move, and waits until it says that it has ended. Returns its error, if any.
    async fn copy(&mut self, key: &MoveKey, begun: Instant, abort_again: &mut Option<Instant>) -> Option<String> {
        let order = MoveOrder {
            vm: key.vm,
            to: key.to.clone(),
            to_uri: self.to.peer_uri(),
            bandwidth: self.limits.bandwidth,
            max_downtime: self.limits.max_downtime,
        };
        let from = self.from.clone();
        let migration = tokio::spawn(async move { from.migrate(&order).await });
        match self.attend(key, begun, abort_again, Some(migration)).await {
            Some(Ok(Ok(()))) | None => None,
            Some(Ok(Err(error))) => Some(error.message),
            Some(Err(panic)) => Some(format!("the driver failed: {panic}")),
        }
    }

    /// Attends to a copy until it ends: asks for progress, and for an abort when somebody or the deadline wants it.
    ///
    /// With a `call` it has ended when the call returns, whose answer is handed back. Without one (another process began it) it has
    /// ended when the source knows of no job any more.
    ///
    /// `abort_again` says when an abort that was asked for is to be asked for again.
    async fn attend(
        &mut self,
        key: &MoveKey,
        begun: Instant,
        abort_again: &mut Option<Instant>,
        mut call: Option<Call>,
    ) -> Option<Answer> {
        if abort_again.is_some() {
            self.become_(Phase::Aborting);
        }
        let mut tick = interval(PROGRESS);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let deadline = begun + self.limits.deadline;
        loop {
            tokio::select! {
                biased;
                answer = returned(&mut call) => return Some(answer),
                by = asked(&mut self.abort), if abort_again.is_none() => *abort_again = Some(self.ask_abort(key, &by).await),
                () = tokio::time::sleep_until(deadline), if abort_again.is_none() => {
                    *abort_again = Some(self.ask_abort(key, "deadline").await);
                }
                () = tokio::time::sleep_until(abort_again.unwrap_or(deadline)), if abort_again.is_some() => {
                    *abort_again = Some(self.abort_once().await);
                }
                _ = tick.tick() => if self.note_progress(key).await == Copy::Over && call.is_none() { return None },
            }
        }
    }

    /// Watches a copy that the hypervisor goes on with although no call of ours waits for it.
    async fn watch(&mut self, key: &MoveKey, begun: Instant, abort_again: &mut Option<Instant>) {
        self.become_(Phase::Copying);
        self.attend(key, begun, abort_again, None).await;
        self.become_(Phase::Settling);
        // The source knows of no job any more; the target may need a moment to see it, too.
        tokio::time::sleep(PROGRESS).await;
    }

    /// Asks for an abort in the open: ledger first. Tells when to ask again.
    async fn ask_abort(&mut self, key: &MoveKey, by: &str) -> Instant {
        self.tell(&Event::AbortAsked { r#move: key.clone(), by: by.to_owned() });
        self.become_(Phase::Aborting);
        self.abort_once().await
    }

    async fn abort_once(&self) -> Instant {
        let vm = self.key().vm;
        if let Ok(Err(error)) = timeout(PROGRESS * 10, self.from.abort(vm)).await {
            self.lock().trouble = Some(format!("the abort was refused: {error}"));
        }
        Instant::now() + ABORT_AGAIN
    }

    /// Asks how far the copy is.
    async fn note_progress(&self, key: &MoveKey) -> Copy {
        match timeout(PROGRESS * 5, self.from.job(key.vm)).await {
            Ok(Ok(Some(progress))) => {
                self.lock().progress = Some(progress);
                Copy::Runs
            }
            Ok(Ok(None)) => Copy::Over,
            Ok(Err(error)) if error.kind == ErrorKind::NoSuchVm => Copy::Over,
            // The source does not answer: whether the copy runs is not known, so it is taken to run.
            Ok(Err(_)) | Err(_) => Copy::Runs,
        }
    }

    async fn settle_and_tell(
        &mut self,
        key: &MoveKey,
        begun: Instant,
        mut abort_again: Option<Instant>,
        error: Option<String>,
    ) -> End {
        loop {
            if let Some(outcome) = self.settled(Trust::AtOnce, error.as_deref()).await {
                let cost = self.cost(key, begun, &outcome).await;
                let ended = Event::MoveEnded { r#move: key.clone(), outcome: outcome.clone(), cost };
                // The VM's rest depends on this entry: the move is open until it can be written.
                while let Err(error) = self.write(&ended) {
                    tracing::error!(%error, event = %ended, "the ledger cannot be written");
                    self.lock().trouble = Some(format!("its end cannot be written: {error}"));
                    tokio::time::sleep(WRITE_AGAIN).await;
                }
                self.become_(Phase::Ended);
                return End::Ended(outcome);
            }
            // The hypervisor let go of the call, but goes on with the move.
            self.watch(key, begun, &mut abort_again).await;
        }
    }

    /// Looks at both hosts until the outcome is sure; `None` when the move still runs.
    ///
    /// While a host cannot be asked, somebody may give it up with an abort: then the outcome is not known, and the ledger says so.
    async fn settled(&mut self, trust: Trust, error: Option<&str>) -> Option<Outcome> {
        let key = self.key();
        let blind_since = Instant::now();
        let told = AtomicBool::new(false);
        let mut abort = self.abort.clone();
        abort.mark_unchanged();
        let looking = settle(key.vm, trust, &*self.from, &*self.to, error, |trouble| {
            self.lock().trouble = Some(trouble.to_owned());
            if blind_since.elapsed() >= TELL_UNKNOWN_AFTER && !told.swap(true, Ordering::Relaxed) {
                let outcome = Outcome::Unknown { error: trouble.to_owned() };
                self.tell(&Event::MoveEnded { r#move: key.clone(), outcome, cost: MoveCost::default() });
            }
        });
        tokio::pin!(looking);
        let outcome = loop {
            tokio::select! {
                outcome = &mut looking => break outcome,
                Ok(()) = abort.changed() => {
                    let by = abort.borrow_and_update().clone().unwrap_or_default();
                    let trouble = self.lock().trouble.clone();
                    if let Some(trouble) = trouble {
                        self.tell(&Event::AbortAsked { r#move: key.clone(), by: by.clone() });
                        break Some(Outcome::Unknown { error: format!("given up by {by}: {trouble}") });
                    }
                }
            }
        };
        self.lock().trouble = None;
        outcome
    }

    /// What the move took, asked of the target, which remembers it.
    async fn cost(&self, key: &MoveKey, begun: Instant, outcome: &Outcome) -> MoveCost {
        let took_ms = begun.elapsed().as_millis() as u64;
        let asked = match outcome {
            Outcome::Moved => {
                timeout(PROGRESS * 5, self.to.completed(key.vm)).await.ok().and_then(Result::ok).flatten()
            }
            _ => None,
        };
        let downtime_ms = asked.and_then(|job| job.downtime).map(|downtime| downtime.as_millis() as u64);
        MoveCost { took_ms, downtime_ms, sent: asked.and_then(|job| job.sent) }
    }

    fn key(&self) -> MoveKey {
        self.lock().key.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Track> {
        self.track.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the phase, if the table allows it. A transition that it does not allow is a fault of ours, but no reason to let go of a
    /// move that runs.
    fn become_(&self, next: Phase) {
        let from = self.lock().phase;
        if from.may_become(next) {
            self.lock().phase = next;
        } else {
            tracing::error!(?from, ?next, "a move cannot take this step");
        }
    }

    fn write(&self, event: &Event) -> Result<u64, String> {
        self.journal.write(self.clock.now(), event)
    }

    /// Writes what has happened already. If that fails the move stays open in the ledger, and is reconciled at the next start.
    fn tell(&self, event: &Event) {
        if let Err(error) = self.write(event) {
            tracing::error!(%error, %event, "the ledger cannot be written");
            self.lock().trouble = Some(format!("the ledger cannot be written: {error}"));
        }
    }
}

#[derive(PartialEq, Eq)]
enum Copy {
    Runs,
    Over,
}

/// A driver's call that moves a VM, in a task of its own: it goes on when nobody waits for it.
type Call = JoinHandle<Result<(), DriverError>>;

/// What such a call comes to.
type Answer = Result<Result<(), DriverError>, JoinError>;

/// Resolves when the call returns; never when there is none.
async fn returned(call: &mut Option<Call>) -> Answer {
    match call {
        Some(call) => call.await,
        None => std::future::pending().await,
    }
}

/// Resolves when somebody has asked for an abort, with who it was; never when the switch is gone.
async fn asked(abort: &mut watch::Receiver<Option<String>>) -> String {
    let by = abort.wait_for(Option::is_some).await.ok().and_then(|by| by.clone());
    match by {
        Some(by) => by,
        None => std::future::pending().await,
    }
}
