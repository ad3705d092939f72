//! What the daemon writes down: state and ledger (nothing is begun without them), and the history (watching goes on without it).

use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use ulm_decide::{Decision, Input, Past};
use ulm_forecast::{Outlook, Profile};
use ulm_model::ledger::{Entry, Event};
use ulm_model::{Acting, HostName, MilliCpu, Snapshot, Time, VmId};
use ulm_store::{Entity, Filter, History, Metric, Resolution, Store, StoreError, Unit};

use crate::demand::Demands;
use crate::journal::Journal;
use crate::order::{OrderError, Refusal, unavailable};
use crate::published::Published;
use crate::reports::{KeptDecision, Reports};
use crate::samples;
use crate::view::{Forecast, ForecastPoint, ForecastQuery, HistoryQuery, LedgerQuery, Series, SeriesPoint};

/// What happened longer ago does not bear on decisions: no budget counts further back, and cool-downs are shorter.
const BEARS_FOR: Duration = ulm_model::Rulebook::REMEMBERED;

/// Entries that a question without a limit gets.
const ENTRIES: u32 = 100;

/// See the module's text.
pub struct Books {
    store: Store,
    history: History,
    recording: Mutex<Recording>,
    /// What the ledger says of the past, as far as decisions need it.
    past: Mutex<Past>,
    demands: Mutex<Demands>,
    reports: Reports,
}

#[derive(Default)]
struct Recording {
    series: samples::Series,
    /// The time of the last tick: older figures are in the history already.
    last: Time,
}

impl Books {
    /// Opens the books in a folder, and holds it against a second daemon.
    pub fn open(folder: &Path) -> Result<Books, StoreError> {
        Books::with(Store::open(folder)?)
    }

    /// Books that leave nothing behind, for demonstrations and tests.
    pub fn in_memory() -> Result<Books, StoreError> {
        Books::with(Store::in_memory()?)
    }

    fn with(store: Store) -> Result<Books, StoreError> {
        let history = store.history()?;
        let (recording, past, demands, reports) = Default::default();
        Ok(Books { store, history, recording, past, demands, reports })
    }

    /// Reads from the ledger what bears on decisions at `now`, so that cool-downs survive a restart, and what was learned of demand.
    pub fn recall(&self, now: Time) -> Result<(), StoreError> {
        let filter = Filter { since: Some(now - BEARS_FOR), ..Filter::default() };
        let mut past = Past::default();
        for entry in self.store.entries(&filter)?.iter().rev() {
            past.note(entry);
        }
        *self.past.lock().expect("no holder of the past panics") = past;
        *self.demands() = Demands::restored(&self.history, now)?;
        Ok(())
    }

    /// What happened before, as far as decisions need it.
    pub fn past(&self) -> Past {
        self.past.lock().expect("no holder of the past panics").clone()
    }

    /// State and ledger.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Keeps a round's figures, and does a part of the upkeep that is due. What is learned from them is learned even if they cannot be kept.
    pub fn record(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.demands().learn(snapshot);
        let mut recording = self.recording.lock().expect("no recorder panics");
        let last = recording.last;
        let tick = recording.series.tick(snapshot, last, &self.history)?;
        self.history.append(&tick)?;
        recording.last = snapshot.taken_at;
        self.demands().keep_some(&self.history, snapshot.taken_at)?;
        self.history.maintain(snapshot.taken_at)?;
        self.past.lock().expect("no holder of the past panics").forget(snapshot.taken_at - BEARS_FOR);
        Ok(())
    }

    fn demands(&self) -> MutexGuard<'_, Demands> {
        self.demands.lock().expect("no holder of demands panics")
    }

    /// What is expected of the VMs of a snapshot, in its order.
    pub fn outlooks(&self, snapshot: &Snapshot, now: Time) -> Vec<Option<Outlook>> {
        self.demands().outlooks(snapshot, now)
    }

    /// Everything that a decision may see. `open`: moves of ours that run, with source and target.
    pub fn input<'m>(
        &self,
        snapshot: &Snapshot,
        now: Time,
        acting: Acting,
        open: impl Iterator<Item = (VmId, &'m HostName, &'m HostName)>,
    ) -> Input {
        let mut past = self.past();
        // Handed over already and not settled yet: what its hosts have shown so far is not what runs on them now.
        for (vm, from, to) in open {
            let home = snapshot.find_vm(vm).map(|ix| &snapshot.host(snapshot.vm(ix).host).name);
            if home == Some(to) {
                past.changed([from, to], now);
            }
        }
        Input::new(snapshot.clone(), now, acting, past).with_outlooks(self.outlooks(snapshot, now))
    }

    /// Keeps a round's decision, if it says something else than the one before.
    pub fn keep_report(&self, decision: &Decision, at: Time) -> Result<(), StoreError> {
        self.reports.keep(&self.history, decision, at)
    }

    /// The decision that was in force at a time.
    pub fn decision_at(&self, at: Time) -> Result<KeptDecision, OrderError> {
        crate::reports::decision_at(&self.history, at)
    }

    /// Keeps all that was learned of demand, for an orderly end.
    pub fn keep_demand(&self, now: Time) -> Result<(), StoreError> {
        self.demands().keep_all(&self.history, now)
    }

    /// What a VM is expected to want from now on, by quarters of an hour.
    pub fn forecast(&self, query: &ForecastQuery, snapshot: &Snapshot, now: Time) -> Result<Forecast, OrderError> {
        const QUARTER: Duration = Duration::from_secs(900);
        if !(1..=ForecastQuery::MOST_HOURS).contains(&query.hours) {
            let message =
                format!("a forecast is for 1 to {} hours, not for {}", ForecastQuery::MOST_HOURS, query.hours);
            return Err(OrderError::new(Refusal::Malformed, message));
        }
        let vm = snapshot.vm(crate::orders::find_vm(snapshot, &query.of)?);
        let known = self.demands().profile(vm.id).cloned();
        let profile = known.unwrap_or_else(|| Profile::new(MilliCpu::cpus(vm.vcpus)));
        let first = Time(now.seconds().div_euclid(900) * 900_000);
        let point = |at: Time| {
            // Of the quarter that has begun what is left of it.
            let expected = profile.expected(at.max(now));
            ForecastPoint { at, median: expected.median, high: expected.high }
        };
        Ok(Forecast {
            of: vm.name.clone(),
            id: vm.id,
            whole: profile.whole(),
            learned: profile.learned(),
            seen: profile.cells_seen(),
            points: (0..query.hours * 4).map(|n| point(first + QUARTER * n)).collect(),
        })
    }

    /// Entries of the ledger, newest first.
    pub fn ledger(&self, query: &LedgerQuery) -> Result<Vec<Entry>, OrderError> {
        let limit = query.limit.unwrap_or(ENTRIES);
        let filter = Filter {
            since: query.since,
            until: query.until,
            vm: query.vm.clone(),
            host: query.host.clone(),
            limit: query.plan.is_none().then_some(limit),
            ..Filter::default()
        };
        let entries = self.store.entries(&filter).map_err(unavailable)?;
        let of_plan = |entry: &Entry| {
            query.plan.as_ref().is_none_or(|plan| plan_of(&entry.event).is_some_and(|id| id.starts_with(plan)))
        };
        Ok(entries.into_iter().filter(of_plan).take(limit as usize).collect())
    }

    /// Figures over time.
    pub fn history(&self, query: &HistoryQuery, known: &Published) -> Result<Vec<Series>, OrderError> {
        let (name, entity) = find(&query.of, known)?;
        let wanted = match &query.metric {
            None => None,
            Some(name) => Some(Metric::from_name(name).ok_or_else(|| unknown_metric(name))?),
        };
        let resolution = Resolution::Auto { max_points: query.points.max(1) as usize };
        let mut found = Vec::new();
        for (metric, id) in self.history.series_of(&entity).map_err(unavailable)? {
            if wanted.is_some_and(|wanted| wanted != metric) {
                continue;
            }
            let points = self.history.range(id, query.from, query.to, resolution).map_err(unavailable)?;
            let point = |p: ulm_store::Point| SeriesPoint { at: p.at, mean: f64::from(p.mean), max: f64::from(p.max) };
            found.push(Series {
                of: name.clone(),
                metric: metric.name().to_owned(),
                unit: unit_name(metric.unit()).to_owned(),
                points: points.into_iter().map(point).collect(),
            });
        }
        Ok(found)
    }
}

impl Journal for Books {
    fn write(&self, at: Time, event: &Event) -> Result<u64, String> {
        let seq = self.store.append(at, event).map_err(|error| error.to_string())?;
        let entry = Entry { seq, at, event: event.clone() };
        self.past.lock().expect("no holder of the past panics").note(&entry);
        Ok(seq)
    }
}

fn plan_of(event: &Event) -> Option<&str> {
    match event {
        Event::PlanAccepted { plan, .. } | Event::PlanRefused { plan, .. } => Some(&plan.0),
        other => ulm_store::ledger::move_of(other).map(|key| key.plan.0.as_str()),
    }
}

/// A host or VM by name or UUID.
fn find(wanted: &str, known: &Published) -> Result<(String, Entity), OrderError> {
    let snapshot = &known.snapshot;
    let host = HostName::from(wanted);
    if known.uris.contains_key(&host) || snapshot.find_host(&host).is_some() {
        return Ok((wanted.to_owned(), Entity::Host(host)));
    }
    let id = crate::orders::find_vm(snapshot, wanted)?;
    Ok((snapshot.vm(id).name.clone(), Entity::Vm(snapshot.vm(id).id)))
}

fn unknown_metric(name: &str) -> OrderError {
    let all: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    OrderError::new(Refusal::Malformed, format!("there is no metric `{name}`; there are {}", all.join(", ")))
}

fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::MilliCpu => "mCPU",
        Unit::Bytes => "bytes",
        Unit::BytesPerSecond => "bytes/s",
        Unit::Share => "1/10000",
        Unit::Count => "count",
        Unit::PerSecond => "1/s",
        Unit::Milliseconds => "ms",
        Unit::Mean => "mean",
        Unit::HostNumber => "host number",
    }
}
