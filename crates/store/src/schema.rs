//! Opening a database file: settings, versions, migrations.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::StoreError;
use crate::error::BUSY_SECONDS;

/// `ulm1`, in SQLite's header: tells our files from others.
const APPLICATION_ID: i32 = 0x756c_6d31;

/// How far a commit is carried before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// On the disk when the commit returns: `synchronous=FULL`.
    EveryCommit,
    /// In the kernel when the commit returns, on the disk at the next checkpoint: `synchronous=NORMAL`. Survives kill -9, and a power
    /// failure loses at most the last commits, never the file.
    Checkpoints,
}

/// What a database is made of.
pub(crate) struct Schema {
    /// One script per version, from version 1; each lifts the file from the version before. Released ones are never changed.
    pub migrations: &'static [(&'static str, &'static str)],
    /// See [`Durability`].
    pub durability: Durability,
    /// Bytes per page for new files.
    pub page_size: u32,
}

impl Schema {
    fn known(&self) -> u32 {
        self.migrations.len() as u32
    }
}

/// Opens a file for reading and writing and brings it to the newest version; makes it when it is missing.
pub(crate) fn open(path: &Path, schema: &Schema) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| StoreError::sql(path, e))?;
    prepare(connection, path, schema)
}

/// A database that lives in memory, for tests and for runs that are to leave nothing behind.
pub(crate) fn open_in_memory(schema: &Schema) -> Result<Connection, StoreError> {
    let path = Path::new(":memory:");
    prepare(Connection::open_in_memory().map_err(|e| StoreError::sql(path, e))?, path, schema)
}

/// Opens a file for reading only. It must exist and have a version that this program knows.
pub(crate) fn open_read_only(path: &Path, schema: &Schema) -> Result<Connection, StoreError> {
    if matches!(path.try_exists(), Ok(false)) {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| StoreError::sql(path, e))?;
    let sql = |e| StoreError::sql(path, e);
    connection.busy_timeout(Duration::from_secs(BUSY_SECONDS)).map_err(sql)?;
    connection.pragma_update(None, "query_only", true).map_err(sql)?;
    let version = version(&connection, path, schema)?;
    if version == 0 {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    Ok(connection)
}

fn prepare(mut connection: Connection, path: &Path, schema: &Schema) -> Result<Connection, StoreError> {
    let sql = |e| StoreError::sql(path, e);
    connection.busy_timeout(Duration::from_secs(BUSY_SECONDS)).map_err(sql)?;
    connection.pragma_update(None, "page_size", schema.page_size).map_err(sql)?;
    // The first statement that reads the file: a file that is none of ours is found here, before anything is written.
    version(&connection, path, schema)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(sql)?;
    let synchronous = match schema.durability {
        Durability::EveryCommit => "full",
        Durability::Checkpoints => "normal",
    };
    connection.pragma_update(None, "synchronous", synchronous).map_err(sql)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(sql)?;
    migrate(&mut connection, path, schema)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// The file's version; 0 for an empty file.
fn version(connection: &Connection, path: &Path, schema: &Schema) -> Result<u32, StoreError> {
    let sql = |e| StoreError::sql(path, e);
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(sql)?;
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sql)?;
    let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(sql)?;
    if application != APPLICATION_ID && (tables > 0 || application != 0) {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    if found > schema.known() {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: schema.known() });
    }
    Ok(found)
}

/// Each step in a transaction of its own: a crash in between leaves a whole version.
fn migrate(connection: &mut Connection, path: &Path, schema: &Schema) -> Result<(), StoreError> {
    let sql = |e| StoreError::sql(path, e);
    loop {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
        let from = version(&tx, path, schema)?;
        let Some((what, script)) = schema.migrations.get(from as usize) else { return Ok(()) };
        if from == 0 {
            tx.execute_batch(
                "CREATE TABLE migration (version INTEGER PRIMARY KEY, what TEXT NOT NULL, at TEXT NOT NULL) STRICT",
            )
            .map_err(sql)?;
        }
        tx.execute_batch(script).map_err(sql)?;
        tx.execute("INSERT INTO migration VALUES (?1, ?2, strftime('%Y-%m-%dT%H:%M:%SZ'))", (from + 1, what))
            .map_err(sql)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID).map_err(sql)?;
        tx.pragma_update(None, "user_version", from + 1).map_err(sql)?;
        tx.commit().map_err(sql)?;
    }
}
