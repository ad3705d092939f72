//! Watching a search: how far it is, on a terminal; Ctrl-C and the clock, which end it with the best that there is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ulm_model::Stopped;
use ulm_path::{Progress, Watch};

use crate::path::words::counted;

/// Searches that end within this time show nothing.
const SILENT: Duration = Duration::from_secs(1);

/// Who looks on.
pub struct Lookout {
    begun: Instant,
    limit: Option<Duration>,
    interrupted: Arc<AtomicBool>,
    silent: bool,
    bar: OnceLock<ProgressBar>,
}

impl Lookout {
    /// From now on.
    pub fn new(limit: Option<Duration>, silent: bool) -> Self {
        Lookout { begun: Instant::now(), limit, interrupted: Arc::default(), silent, bar: OnceLock::new() }
    }

    /// Ends the search when it is set.
    pub fn interrupt(&self) -> Arc<AtomicBool> {
        self.interrupted.clone()
    }

    /// The search is over: nothing is shown any more.
    pub fn over(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }

    /// Who has ended the search, if somebody has.
    fn ended(&self) -> Option<Stopped> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Some(Stopped::Interrupted);
        }
        self.limit.is_some_and(|limit| self.begun.elapsed() >= limit).then_some(Stopped::Clock)
    }

    /// Says what the search does, once it has lasted for a while; a reason to end it, if there is one.
    pub fn look_on(&self, what: impl FnOnce() -> String) -> Option<Stopped> {
        let ended = self.ended();
        if ended.is_none() && !self.silent && self.begun.elapsed() >= SILENT {
            self.show(what());
        }
        ended
    }

    fn show(&self, what: String) {
        let bar = self.bar.get_or_init(|| {
            // On anything but a terminal it draws nothing.
            let bar =
                ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_elapsed(self.begun.elapsed());
            bar.set_style(
                ProgressStyle::with_template("{spinner} {elapsed} {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar
        });
        bar.set_message(format!("{what}; Ctrl-C ends it with the best so far"));
        bar.tick();
    }
}

impl Watch for Lookout {
    fn look(&self, Progress { stage, left, explored }: Progress) -> Option<Stopped> {
        let what = || {
            let (states, vms) = (counted(explored, "state"), counted(left as u64, "VM"));
            format!("{stage}: {states} explored, {vms} to go")
        };
        self.look_on(what)
    }
}

/// Waits for Ctrl-C: the first one ends the search, the second one the command.
pub async fn interrupts(interrupt: Arc<AtomicBool>) {
    while tokio::signal::ctrl_c().await.is_ok() {
        if interrupt.swap(true, Ordering::Relaxed) {
            // As a shell says it of a command that ended by SIGINT.
            std::process::exit(130);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRESS: Progress = Progress { stage: "looking", left: 1, explored: 2 };

    #[test]
    fn a_search_goes_on_until_somebody_or_the_clock_ends_it() {
        let lookout = Lookout::new(None, true);
        assert_eq!(lookout.look(PROGRESS), None);
        lookout.interrupt().store(true, Ordering::Relaxed);
        assert_eq!(lookout.look(PROGRESS), Some(Stopped::Interrupted));
        assert_eq!(Lookout::new(Some(Duration::ZERO), true).look(PROGRESS), Some(Stopped::Clock));
    }
}
