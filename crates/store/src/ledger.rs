//! The ledger in `state.db`: what was begun, ended, refused or switched.
//!
//! [`Store::append`] returns when the entry is on the disk; only then may its effect be begun. After a
//! crash [`Store::open_moves`] tells which moves must be looked up in the hypervisors, and
//! [`Store::last_moves`] which VMs cool down or back off.
//!
//! With the `sqlite3` tool:
//!
//! ```sql
//! SELECT * FROM entries ORDER BY seq DESC LIMIT 20;        -- the last entries, in sentences
//! SELECT * FROM moves ORDER BY intended DESC LIMIT 20;     -- one line per move, with its outcome and cost
//! SELECT * FROM moves WHERE outcome = 'open';              -- moves whose end is not known yet
//! SELECT from_host, count(*) FROM moves WHERE outcome = 'moved' GROUP BY from_host;
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use ulm_model::ledger::{Entry, Event, Found, MoveKey, Outcome};
use ulm_model::{HostName, Reason, Time, VmId};

use crate::{Store, StoreError};

/// Which entries are wanted. The default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Written at or after.
    pub since: Option<Time>,
    /// Written before.
    pub until: Option<Time>,
    /// Entries with a smaller number: for paging back.
    pub before: Option<u64>,
    /// About this VM: its UUID, or its name at the time.
    pub vm: Option<String>,
    /// About this host: as source, as target or by itself.
    pub host: Option<HostName>,
    /// Of one of these kinds, e.g. `move_ended` (see [`kind`]). Empty: of all.
    pub kinds: Vec<String>,
    /// At most so many, the newest. `None`: all.
    pub limit: Option<u32>,
}

/// A move whose end is not settled.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenMove {
    /// The number of the entry that announced it.
    pub seq: u64,
    /// When it was announced.
    pub intended_at: Time,
    /// Which move.
    pub r#move: MoveKey,
    /// Why it was to be made.
    pub because: Reason,
}

/// What came of the moves of one VM, as far as cool-downs need it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastMoves {
    /// When its last move that succeeded had ended.
    pub moved_at: Option<Time>,
    /// Where that one went.
    pub moved_to: Option<HostName>,
    /// When its last move that failed had ended.
    pub failed_at: Option<Time>,
    /// Failures since the last success.
    pub failures_in_row: u32,
}

/// The word for an event's kind, as in the ledger's `event` column and JSON.
pub fn kind(event: &Event) -> &'static str {
    match event {
        Event::DaemonStarted { .. } => "daemon_started",
        Event::DaemonStopped => "daemon_stopped",
        Event::Enabled { .. } => "enabled",
        Event::Disabled { .. } => "disabled",
        Event::HostAdded { .. } => "host_added",
        Event::HostRemoved { .. } => "host_removed",
        Event::Arrived { .. } => "arrived",
        Event::MaintenanceBegun { .. } => "maintenance_begun",
        Event::MaintenanceEnded { .. } => "maintenance_ended",
        Event::PlanAccepted { .. } => "plan_accepted",
        Event::PlanRefused { .. } => "plan_refused",
        Event::MoveIntended { .. } => "move_intended",
        Event::MoveRefused { .. } => "move_refused",
        Event::AbortAsked { .. } => "abort_asked",
        Event::MoveEnded { .. } => "move_ended",
        Event::MoveReconciled { .. } => "move_reconciled",
        Event::PolicyChanged { .. } => "policy_changed",
        Event::PolicyRefused { .. } => "policy_refused",
        Event::Stuck { .. } => "stuck",
    }
}

/// The move that an event is about.
pub fn move_of(event: &Event) -> Option<&MoveKey> {
    match event {
        Event::MoveIntended { r#move, .. }
        | Event::MoveRefused { r#move, .. }
        | Event::AbortAsked { r#move, .. }
        | Event::MoveEnded { r#move, .. }
        | Event::MoveReconciled { r#move, .. } => Some(r#move),
        _ => None,
    }
}

/// What an event says about the end of its move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settles {
    /// Nothing, or not for certain: an open move stays open.
    Nothing,
    /// It had no effect.
    NoEffect,
    /// The VM moved.
    Success,
    /// It was tried, and the VM did not move as it should.
    Failure,
}

/// What `event` settles.
///
/// A move that was found not begun after a restart counts as without effect: nobody knows whether it had been
/// tried, and a VM must not back off for a crash of ours.
pub fn settles(event: &Event) -> Settles {
    match event {
        Event::MoveRefused { .. } | Event::MoveReconciled { found: Found::NotBegun, .. } => Settles::NoEffect,
        Event::MoveEnded { outcome, .. } | Event::MoveReconciled { found: Found::Ended { outcome }, .. } => {
            match outcome {
                Outcome::Moved => Settles::Success,
                outcome if outcome.is_settled() => Settles::Failure,
                _ => Settles::Nothing,
            }
        }
        _ => Settles::Nothing,
    }
}

/// Writes one entry and what is derived from it, within the caller's transaction. Returns the entry's number.
pub(crate) fn append_in(tx: &Connection, path: &Path, at: Time, event: &Event) -> Result<u64, StoreError> {
    let json = serde_json::to_string(event)
        .map_err(|e| StoreError::Value { what: "an event".to_owned(), error: e.to_string() })?;
    write(tx, at, event, &json).map_err(|e| StoreError::sql(path, e))
}

fn write(tx: &Connection, at: Time, event: &Event, json: &str) -> rusqlite::Result<u64> {
    let seq: i64 =
        tx.prepare_cached("SELECT coalesce(max(seq), 0) + 1 FROM ledger")?.query_row([], |row| row.get(0))?;
    let key = move_of(event);
    let plan = match event {
        Event::PlanAccepted { plan, .. } | Event::PlanRefused { plan, .. } => Some(&plan.0),
        _ => key.map(|key| &key.plan.0),
    };
    let host = match event {
        Event::HostAdded { host, .. }
        | Event::HostRemoved { host, .. }
        | Event::MaintenanceBegun { host, .. }
        | Event::MaintenanceEnded { host, .. }
        | Event::Arrived { host, .. }
        | Event::Stuck { host, .. } => Some(&host.0),
        _ => None,
    };
    let (vm, vm_name) = match event {
        Event::Arrived { vm, vm_name, .. } => (Some(vm.to_string()), Some(vm_name)),
        _ => (key.map(|key| key.vm.to_string()), key.map(|key| &key.vm_name)),
    };
    tx.prepare_cached(
        "INSERT INTO ledger (seq, at, event, plan, step, vm, vm_name, from_host, to_host, host, says, json) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        seq,
        at.0,
        kind(event),
        plan,
        key.map(|key| key.step.0),
        vm,
        vm_name,
        key.map(|key| &key.from.0),
        key.map(|key| &key.to.0),
        host,
        event.to_string(),
        json,
    ])?;
    if let Some(key) = key {
        derive(tx, seq, at, event, key)?;
    }
    Ok(seq as u64)
}

/// Keeps `open_move` and `vm_moves` in step with the ledger.
fn derive(tx: &Connection, seq: i64, at: Time, event: &Event, key: &MoveKey) -> rusqlite::Result<()> {
    let vm = key.vm.to_string();
    if let Event::MoveIntended { .. } = event {
        tx.prepare_cached("INSERT OR REPLACE INTO open_move (plan, step, vm, seq) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![key.plan.0, key.step.0, vm, seq])?;
    }
    let settles = settles(event);
    if settles != Settles::Nothing {
        tx.prepare_cached("DELETE FROM open_move WHERE plan = ?1 AND step = ?2 AND vm = ?3")?
            .execute(params![key.plan.0, key.step.0, vm])?;
    }
    match settles {
        Settles::Success => {
            tx.prepare_cached(
                "INSERT INTO vm_moves (vm, moved_at, moved_to, failures_in_row) VALUES (?1, ?2, ?3, 0) \
                 ON CONFLICT (vm) DO UPDATE SET moved_at = excluded.moved_at, moved_to = excluded.moved_to, failures_in_row = 0",
            )?
            .execute(params![vm, at.0, key.to.0])?;
        }
        Settles::Failure => {
            tx.prepare_cached(
                "INSERT INTO vm_moves (vm, failed_at, failures_in_row) VALUES (?1, ?2, 1) \
                 ON CONFLICT (vm) DO UPDATE SET failed_at = excluded.failed_at, failures_in_row = failures_in_row + 1",
            )?
            .execute(params![vm, at.0])?;
        }
        Settles::Nothing | Settles::NoEffect => {}
    }
    Ok(())
}

impl Store {
    /// Adds an entry and returns its number. When this returns, the entry is on the disk.
    ///
    /// Errors leave the ledger as it was; the number is given to the next entry.
    pub fn append(&self, at: Time, event: &Event) -> Result<u64, StoreError> {
        self.change(|tx| append_in(tx, self.path(), at, event))
    }

    /// The entries that `filter` wants, newest first.
    pub fn entries(&self, filter: &Filter) -> Result<Vec<Entry>, StoreError> {
        let mut sql = String::from("SELECT seq, at, json FROM ledger WHERE true");
        let mut values: Vec<Value> = Vec::new();
        let mut and = |condition: &str, given: Vec<Value>| {
            sql.push_str(" AND ");
            sql.push_str(condition);
            values.extend(given);
        };
        if let Some(since) = filter.since {
            and("at >= ?", vec![since.0.into()]);
        }
        if let Some(until) = filter.until {
            and("at < ?", vec![until.0.into()]);
        }
        if let Some(before) = filter.before {
            and("seq < ?", vec![i64::try_from(before).unwrap_or(i64::MAX).into()]);
        }
        if let Some(vm) = &filter.vm {
            and("(vm = ? OR vm_name = ?)", vec![vm.to_lowercase().into(), vm.clone().into()]);
        }
        if let Some(host) = &filter.host {
            and("(from_host = ? OR to_host = ? OR host = ?)", vec![host.0.clone().into(); 3]);
        }
        if !filter.kinds.is_empty() {
            let places = vec!["?"; filter.kinds.len()].join(", ");
            and(&format!("event IN ({places})"), filter.kinds.iter().cloned().map(Value::from).collect());
        }
        sql.push_str(" ORDER BY seq DESC LIMIT ?");
        values.push(filter.limit.map_or(-1, i64::from).into());

        let rows: Vec<(u64, i64, String)> = {
            let connection = self.connection();
            let mut statement = connection.prepare_cached(&sql).map_err(|e| self.sql(e))?;
            let rows = statement.query_map(params_from_iter(values), |row| {
                Ok((row.get::<_, i64>(0)? as u64, row.get(1)?, row.get(2)?))
            });
            rows.and_then(Iterator::collect).map_err(|e| self.sql(e))?
        };
        rows.into_iter().map(|(seq, at, json)| Ok(Entry { seq, at: Time(at), event: parse(seq, &json)? })).collect()
    }

    /// The moves that were intended and whose end is not settled, oldest first: those to be looked up after a restart.
    pub fn open_moves(&self) -> Result<Vec<OpenMove>, StoreError> {
        let rows: Vec<(u64, i64, String)> = {
            let connection = self.connection();
            let mut statement = connection
                .prepare_cached("SELECT l.seq, l.at, l.json FROM open_move JOIN ledger AS l USING (seq) ORDER BY l.seq")
                .map_err(|e| self.sql(e))?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?, row.get(2)?)));
            rows.and_then(Iterator::collect).map_err(|e| self.sql(e))?
        };
        rows.into_iter()
            .filter_map(|(seq, at, json)| match parse(seq, &json) {
                Ok(Event::MoveIntended { r#move, because, .. }) => {
                    Some(Ok(OpenMove { seq, intended_at: Time(at), r#move, because }))
                }
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            })
            .collect()
    }

    /// What came of the moves of every VM that ever had one.
    pub fn last_moves(&self) -> Result<BTreeMap<VmId, LastMoves>, StoreError> {
        let connection = self.connection();
        let mut statement = connection
            .prepare_cached("SELECT vm, moved_at, moved_to, failed_at, failures_in_row FROM vm_moves")
            .map_err(|e| self.sql(e))?;
        let rows = statement.query_map([], |row| {
            let last = LastMoves {
                moved_at: row.get::<_, Option<i64>>(1)?.map(Time),
                moved_to: row.get::<_, Option<String>>(2)?.map(HostName),
                failed_at: row.get::<_, Option<i64>>(3)?.map(Time),
                failures_in_row: row.get(4)?,
            };
            Ok((row.get::<_, String>(0)?, last))
        });
        let rows: Vec<(String, LastMoves)> = rows.and_then(Iterator::collect).map_err(|e| self.sql(e))?;
        rows.into_iter().map(|(vm, last)| Ok((vm_id(&vm)?, last))).collect()
    }
}

pub(crate) fn vm_id(text: &str) -> Result<VmId, StoreError> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|e| StoreError::Value { what: format!("the VM id `{text}`"), error: e.to_string() })
}

fn parse(seq: u64, json: &str) -> Result<Event, StoreError> {
    serde_json::from_str(json)
        .map_err(|e| StoreError::Value { what: format!("entry {seq} of the ledger"), error: e.to_string() })
}
