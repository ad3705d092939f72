//! Readings of all hosts → one plausible [`Snapshot`](ulm_model::Snapshot).
//!
//! An [`Observer`] polls all hosts at once, each within its own deadline ([`poll`]), remembers what it
//! needs to turn counters into rates ([`memory`]), refuses what cannot be ([`plausible`]) and puts the
//! rest together ([`assemble`]). One dead host never delays or spoils the rest: a host that did not
//! answer in the last round is asked again, but nobody waits for it.
//!
//! ```text
//! drivers ──poll──► Answer per host ──plausible──► Memory ──assemble──► Snapshot
//! ```

pub mod assemble;
pub mod memory;
pub mod plausible;
pub mod poll;
mod scans;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use ulm_drivers::Driver;
use ulm_model::{HostName, Snapshot, Time, VmId};

use memory::Memory;
use poll::{Answer, Question};

/// How to observe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The longest that one host may take to answer in one round.
    pub deadline: Duration,
    /// How many figures of each kind the snapshot keeps.
    pub keep: usize,
    /// After this time a host's facts and a VM's definition are read again.
    pub refresh: Duration,
    /// Readings closer together than this make one sample: a host that is looked at often between rounds counts like all others.
    pub spacing: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            deadline: Duration::from_secs(5),
            keep: 16,
            refresh: Duration::from_secs(600),
            spacing: Duration::ZERO,
        }
    }
}

/// What only the controller knows and the hosts cannot tell.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Hosts that an administrator took out.
    pub maintenance: BTreeSet<HostName>,
    /// The tags that an administrator gave to hosts.
    pub tags: BTreeMap<HostName, BTreeSet<String>>,
    /// The controller's own moves that have begun and are not settled.
    pub moves: BTreeMap<VmId, KnownMove>,
}

/// One of the controller's own moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownMove {
    /// The source.
    pub from: HostName,
    /// The target.
    pub to: HostName,
    /// When it was begun.
    pub since: Time,
}

/// Watches a set of hosts. See the module's text.
pub struct Observer {
    settings: Settings,
    hosts: BTreeMap<HostName, Watched>,
    memory: Memory,
    answers: mpsc::UnboundedReceiver<Answer>,
    inbox: mpsc::UnboundedSender<Answer>,
}

struct Watched {
    driver: Arc<dyn Driver>,
    /// Tells this watch's answers from those of a host of the same name that was removed before.
    watch: u64,
    polling: bool,
    /// Whether the next round waits for it.
    answered_last_time: bool,
}

impl Observer {
    /// An observer of no hosts yet.
    pub fn new(settings: Settings) -> Self {
        let (inbox, answers) = mpsc::unbounded_channel();
        Observer { settings, hosts: BTreeMap::new(), memory: Memory::default(), answers, inbox }
    }

    /// Changes how to observe, from the next round on.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Begins to watch a host; its first figures come with the second round from now.
    pub fn watch(&mut self, driver: Arc<dyn Driver>) {
        let watch = self.memory.begin(driver.host());
        let name = driver.host().clone();
        self.hosts.insert(name, Watched { driver, watch, polling: false, answered_last_time: true });
    }

    /// Stops watching a host and forgets it.
    pub fn forget(&mut self, host: &HostName) {
        self.hosts.remove(host);
        self.memory.end(host);
    }

    /// One round: asks every host, waits for those that may be expected to answer, and puts together what is known.
    pub async fn round(&mut self, known: &Known, now: impl Fn() -> Time) -> Snapshot {
        self.ask(known, now, None).await
    }

    /// Asks only these hosts afresh, as before an effect; all others stand as they were last seen.
    pub async fn look_again(&mut self, hosts: &BTreeSet<HostName>, known: &Known, now: impl Fn() -> Time) -> Snapshot {
        self.ask(known, now, Some(hosts)).await
    }

    /// Asks all hosts, or `only` these. All hosts: nobody waits for one that did not answer the last time. Only these: all are waited for.
    async fn ask(&mut self, known: &Known, now: impl Fn() -> Time, only: Option<&BTreeSet<HostName>>) -> Snapshot {
        // Answers that came late belong to an earlier look.
        while let Ok(answer) = self.answers.try_recv() {
            self.take(answer);
        }
        self.memory.look_anew();
        let begun = Instant::now();
        let mut awaited = BTreeSet::new();
        for (name, watched) in &mut self.hosts {
            if only.is_some_and(|only| !only.contains(name)) {
                continue;
            }
            if only.is_some() || (!watched.polling && watched.answered_last_time) {
                awaited.insert(name.clone());
            }
            if !watched.polling {
                watched.polling = true;
                let question = Question { watch: watched.watch, ..self.memory.question(name, now(), &self.settings) };
                poll::ask(watched.driver.clone(), question, self.settings.deadline, self.inbox.clone());
            }
        }
        // Every poll ends within its deadline by itself; the guard here only keeps a bug from stopping the watch.
        let guard = begun + self.settings.deadline + Duration::from_secs(1);
        while !awaited.is_empty() {
            let Ok(Some(answer)) = tokio::time::timeout_at(guard, self.answers.recv()).await else { break };
            awaited.remove(&answer.host);
            self.take(answer);
        }
        while let Ok(answer) = self.answers.try_recv() {
            self.take(answer);
        }
        assemble::snapshot(&mut self.memory, known, now(), self.settings.keep)
    }

    fn take(&mut self, answer: Answer) {
        let Some(watched) = self.hosts.get_mut(&answer.host).filter(|w| w.watch == answer.watch) else { return };
        watched.polling = false;
        watched.answered_last_time = answer.reading.is_ok();
        self.memory.take(answer, &self.settings);
    }
}
