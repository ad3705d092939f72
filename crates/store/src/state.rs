//! `state.db`: hosts, settings, plans and (in [`crate::ledger`]) the ledger.
//!
//! Everything here is durable when the call returns: `synchronous=FULL`. Where a change of state has
//! an entry in the ledger, both are written in one transaction, so that the ledger never tells of a host
//! that is not there, nor the other way round.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use ulm_model::ledger::Event;
use ulm_model::{Acting, HostName, Plan, PlanId, Time, text};

use crate::history::History;
use crate::lock::{self, FolderLock};
use crate::schema::{self, Durability, Schema};
use crate::{StoreError, ledger};

/// The name of the file in the folder.
pub const STATE_FILE: &str = "state.db";

pub(crate) const STATE: Schema = Schema {
    migrations: &[("hosts, settings, plans, ledger", include_str!("state.sql"))],
    durability: Durability::EveryCommit,
    page_size: 4096,
};

/// The state of one ULM: hosts, settings, plans, ledger. A handle: clones share it, from any thread.
///
/// All calls are synchronous and wait for the disk; in asynchronous code put them into `spawn_blocking`.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Mutex<Connection>,
    path: PathBuf,
    /// `None` in memory.
    folder: Option<PathBuf>,
    lock: Option<Arc<FolderLock>>,
    /// Opened once: there is one writer.
    history: Mutex<Option<History>>,
}

/// A host as the administrator has made it known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownHost {
    /// Its name: unique.
    pub name: HostName,
    /// How it is reached, e.g. `qemu+ssh://h1/system`: unique.
    pub uri: String,
    /// Whether it may take VMs.
    pub service: Service,
    /// When it was added.
    pub added_at: Time,
}

/// Whether a host may take VMs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Service {
    /// It may.
    #[default]
    InService,
    /// Taken out by the administrator.
    Maintenance,
}

/// What is kept of a plan besides its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanHead {
    /// Its hash.
    pub id: PlanId,
    /// When it was made.
    pub made_at: Time,
    /// From then on it must not be begun.
    pub expires_at: Time,
    /// How many steps it has.
    pub steps: u32,
}

impl Store {
    /// Opens the state in `folder`, making both when they are missing, and holds the folder until the last clone
    /// (and the last [`History`] made from it) is dropped.
    ///
    /// Errors: [`StoreError::InUse`] when another process holds it; [`StoreError::Corrupt`], [`StoreError::Newer`],
    /// [`StoreError::Foreign`], [`StoreError::Denied`], [`StoreError::ReadOnly`], [`StoreError::Full`] for what they say.
    pub fn open(folder: &Path) -> Result<Store, StoreError> {
        let lock = lock::take(folder)?;
        let path = folder.join(STATE_FILE);
        let connection = schema::open(&path, &STATE)?;
        // The state is small, so that all of it can be looked at: better to say now that it is damaged than to act upon it.
        let verdict: String = connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|e| StoreError::sql(&path, e))?;
        if verdict != "ok" {
            return Err(StoreError::Corrupt { path, error: verdict });
        }
        Ok(Store::with(connection, path, Some(folder.to_owned()), Some(Arc::new(lock))))
    }

    /// Opens the state for reading only, also while a daemon holds it: for tools. Every change fails with [`StoreError::ReadOnly`].
    pub fn open_read_only(folder: &Path) -> Result<Store, StoreError> {
        let path = folder.join(STATE_FILE);
        let connection = schema::open_read_only(&path, &STATE)?;
        Ok(Store::with(connection, path, Some(folder.to_owned()), None))
    }

    /// A state in memory, gone with the last clone: for tests, and for demonstrations that leave nothing behind.
    pub fn in_memory() -> Result<Store, StoreError> {
        Ok(Store::with(schema::open_in_memory(&STATE)?, PathBuf::from(":memory:"), None, None))
    }

    fn with(connection: Connection, path: PathBuf, folder: Option<PathBuf>, lock: Option<Arc<FolderLock>>) -> Store {
        let (connection, history) = (Mutex::new(connection), Mutex::default());
        Store(Arc::new(Inner { connection, path, folder, lock, history }))
    }

    /// The history in the same folder (or in memory, or for reading only, as the state is). Opened at the first call, the same for all.
    pub fn history(&self) -> Result<History, StoreError> {
        let mut history = self.0.history.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(history) = &*history {
            return Ok(history.clone());
        }
        let opened = match (&self.0.folder, &self.0.lock) {
            (Some(folder), Some(lock)) => History::open(folder, lock.clone()),
            (Some(folder), None) => History::open_read_only(folder),
            (None, _) => History::in_memory(),
        }?;
        Ok(history.insert(opened).clone())
    }

    /// The folder; `None` in memory.
    pub fn folder(&self) -> Option<&Path> {
        self.0.folder.as_deref()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0.path
    }

    pub(crate) fn sql(&self, error: rusqlite::Error) -> StoreError {
        StoreError::sql(&self.0.path, error)
    }

    /// A panic elsewhere does not spoil the connection: an open transaction was rolled back when it was dropped.
    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.0.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in one transaction: all of it is kept, or nothing.
    pub(crate) fn change<T>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection();
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|e| self.sql(e))?;
        let result = work(&tx)?;
        tx.commit().map_err(|e| self.sql(e))?;
        Ok(result)
    }

    // ---- hosts

    /// Adds a host, in service, and writes [`Event::HostAdded`]. Returns the entry's number.
    ///
    /// Errors: [`StoreError::HostNameTaken`], [`StoreError::HostUriTaken`].
    pub fn add_host(&self, name: &HostName, uri: &str, by: &str, at: Time) -> Result<u64, StoreError> {
        self.change(|tx| {
            let named: Option<String> = tx
                .query_row("SELECT uri FROM host WHERE name = ?1", [&name.0], |row| row.get(0))
                .optional()
                .map_err(|e| self.sql(e))?;
            if let Some(uri) = named {
                return Err(StoreError::HostNameTaken { name: name.clone(), uri });
            }
            let reached: Option<String> = tx
                .query_row("SELECT name FROM host WHERE uri = ?1", [uri], |row| row.get(0))
                .optional()
                .map_err(|e| self.sql(e))?;
            if let Some(other) = reached {
                return Err(StoreError::HostUriTaken { uri: uri.to_owned(), name: HostName(other) });
            }
            tx.execute(
                "INSERT INTO host (name, uri, service, added_at) VALUES (?1, ?2, 'in_service', ?3)",
                params![name.0, uri, at.0],
            )
            .map_err(|e| self.sql(e))?;
            let event = Event::HostAdded { host: name.clone(), uri: uri.to_owned(), by: by.to_owned() };
            ledger::append_in(tx, self.path(), at, &event)
        })
    }

    /// Removes a host and writes [`Event::HostRemoved`]. Its history and its entries in the ledger stay. Returns the entry's number.
    ///
    /// Errors: [`StoreError::NoSuchHost`].
    pub fn remove_host(&self, name: &HostName, by: &str, at: Time) -> Result<u64, StoreError> {
        self.change(|tx| {
            let gone = tx.execute("DELETE FROM host WHERE name = ?1", [&name.0]).map_err(|e| self.sql(e))?;
            if gone == 0 {
                return Err(StoreError::NoSuchHost { name: name.clone() });
            }
            ledger::append_in(tx, self.path(), at, &Event::HostRemoved { host: name.clone(), by: by.to_owned() })
        })
    }

    /// All hosts, by name.
    pub fn hosts(&self) -> Result<Vec<KnownHost>, StoreError> {
        let connection = self.connection();
        let mut statement = connection
            .prepare_cached("SELECT name, uri, service, added_at FROM host ORDER BY name")
            .map_err(|e| self.sql(e))?;
        let rows = statement.query_map([], |row| {
            Ok(KnownHost {
                name: HostName(row.get(0)?),
                uri: row.get(1)?,
                service: if row.get::<_, String>(2)? == "maintenance" {
                    Service::Maintenance
                } else {
                    Service::InService
                },
                added_at: Time(row.get(3)?),
            })
        });
        rows.and_then(Iterator::collect).map_err(|e| self.sql(e))
    }

    /// Takes a host out of service, or puts it back. Errors: [`StoreError::NoSuchHost`].
    pub fn set_service(&self, name: &HostName, service: Service) -> Result<(), StoreError> {
        let word = match service {
            Service::InService => "in_service",
            Service::Maintenance => "maintenance",
        };
        self.change(|tx| {
            match tx
                .execute("UPDATE host SET service = ?2 WHERE name = ?1", [&name.0, word])
                .map_err(|e| self.sql(e))?
            {
                0 => Err(StoreError::NoSuchHost { name: name.clone() }),
                _ => Ok(()),
            }
        })
    }

    // ---- settings

    /// Whether ULM may act. Off until it was switched on.
    pub fn acting(&self) -> Result<Acting, StoreError> {
        Ok(if self.setting::<bool>("acting")?.unwrap_or(false) { Acting::On } else { Acting::Off })
    }

    /// Switches acting on or off and writes [`Event::Enabled`] or [`Event::Disabled`], also when it was so already.
    /// Returns the entry's number.
    pub fn switch_acting(&self, acting: Acting, by: &str, at: Time) -> Result<u64, StoreError> {
        let by = by.to_owned();
        let event = match acting {
            Acting::On => Event::Enabled { by },
            Acting::Off => Event::Disabled { by },
        };
        self.change(|tx| {
            self.put(tx, "acting", &(acting == Acting::On))?;
            ledger::append_in(tx, self.path(), at, &event)
        })
    }

    /// The setting `key`, kept as JSON; `None` when it was never set. Errors: [`StoreError::Value`] when it is of another type.
    pub fn setting<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let text: Option<String> = self
            .connection()
            .query_row("SELECT value FROM setting WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(|e| self.sql(e))?;
        text.map(|text| {
            serde_json::from_str(&text)
                .map_err(|e| StoreError::Value { what: format!("setting `{key}`"), error: e.to_string() })
        })
        .transpose()
    }

    /// Sets the setting `key`.
    pub fn set_setting<T: Serialize>(&self, key: &str, value: &T) -> Result<(), StoreError> {
        self.change(|tx| self.put(tx, key, value))
    }

    fn put<T: Serialize>(&self, tx: &Connection, key: &str, value: &T) -> Result<(), StoreError> {
        let text = serde_json::to_string(value)
            .map_err(|e| StoreError::Value { what: format!("setting `{key}`"), error: e.to_string() })?;
        tx.execute(
            "INSERT INTO setting (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            [key, &text],
        )
        .map_err(|e| self.sql(e))?;
        Ok(())
    }

    // ---- plans

    /// Keeps a plan under its id; keeping it again changes nothing.
    pub fn save_plan(&self, plan: &Plan) -> Result<PlanId, StoreError> {
        let id = plan.id();
        self.change(|tx| {
            tx.execute(
                "INSERT INTO plan (id, made_at, expires_at, steps, json) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                params![id.0, plan.made_at.0, plan.expires_at.0, plan.steps.len() as i64, text::write(plan)],
            )
            .map_err(|e| self.sql(e))
        })?;
        Ok(id)
    }

    /// The plan whose id is, or alone begins with, `id`.
    ///
    /// Errors: [`StoreError::NoSuchPlan`], [`StoreError::AmbiguousPlan`].
    pub fn plan(&self, id: &str) -> Result<Plan, StoreError> {
        let found: Vec<String> = {
            let connection = self.connection();
            let mut statement = connection
                .prepare_cached("SELECT json FROM plan WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2")
                .map_err(|e| self.sql(e))?;
            let rows = statement.query_map([id], |row| row.get(0));
            rows.and_then(Iterator::collect).map_err(|e| self.sql(e))?
        };
        match found.as_slice() {
            [] => Err(StoreError::NoSuchPlan { id: id.to_owned() }),
            _ if id.is_empty() => Err(StoreError::NoSuchPlan { id: id.to_owned() }),
            [json] => {
                text::read(json).map_err(|e| StoreError::Value { what: format!("plan {id}"), error: e.to_string() })
            }
            _ => Err(StoreError::AmbiguousPlan { id: id.to_owned() }),
        }
    }

    /// The newest plans, newest first, at most `limit`.
    pub fn plans(&self, limit: u32) -> Result<Vec<PlanHead>, StoreError> {
        let connection = self.connection();
        let mut statement = connection
            .prepare_cached("SELECT id, made_at, expires_at, steps FROM plan ORDER BY made_at DESC, id LIMIT ?1")
            .map_err(|e| self.sql(e))?;
        let rows = statement.query_map([limit], |row| {
            Ok(PlanHead {
                id: PlanId(row.get(0)?),
                made_at: Time(row.get(1)?),
                expires_at: Time(row.get(2)?),
                steps: row.get(3)?,
            })
        });
        rows.and_then(Iterator::collect).map_err(|e| self.sql(e))
    }

    /// Forgets plans that had expired before `before` and that the ledger does not mention. Returns how many.
    pub fn forget_plans(&self, before: Time) -> Result<usize, StoreError> {
        self.change(|tx| {
            tx.execute(
                "DELETE FROM plan WHERE expires_at < ?1 AND NOT EXISTS (SELECT 1 FROM ledger WHERE ledger.plan = plan.id)",
                [before.0],
            )
            .map_err(|e| self.sql(e))
        })
    }
}
