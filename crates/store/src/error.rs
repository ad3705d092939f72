//! What can go wrong with the files, each as a sentence that says what to do next.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;
use ulm_model::HostName;

/// Why something could not be read or kept. Whatever was kept before is still there.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process holds the folder.
    #[error("{}{} is using {}: stop it first, or give this one a folder of its own", owner(.pid), if .pid.is_some() { "" } else { "another process" }, .path.display())]
    InUse {
        /// The other process, when it has written its id.
        pid: Option<u32>,
        /// The folder.
        path: PathBuf,
    },
    /// The folder or a file cannot be opened or made.
    #[error("{} cannot be opened: {error}; make it readable and writable for the user that runs ulm, or give another folder", .path.display())]
    Denied {
        /// What was to be opened.
        path: PathBuf,
        /// What the system says.
        error: String,
    },
    /// The file may not be written.
    #[error("{} cannot be written, it is read-only for this user; make the folder and the files in it writable, nothing was lost", .path.display())]
    ReadOnly {
        /// Which file.
        path: PathBuf,
    },
    /// No room.
    #[error("there is no room left to write {}; free some space on that file system, what was kept before is safe and ulm goes on as soon as there is room", .path.display())]
    Full {
        /// Which file.
        path: PathBuf,
    },
    /// The disk or file system fails.
    #[error("the disk fails under {}: {error}; look into the system's log (`dmesg`) before anything else", .path.display())]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        error: String,
    },
    /// The file's content is not what it should be.
    #[error("{} is damaged: {error}; {}", .path.display(), remedy(.path))]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        error: String,
    },
    /// The file belongs to something else.
    #[error("{} is not a file of ulm; move it away, or give another folder", .path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// The file was written by a newer ulm.
    #[error("{} was written by a newer ulm (schema {found}, this one knows up to {known}); run that newer version, or give another folder", .path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its schema's version.
        found: u32,
        /// The newest one that this program knows.
        known: u32,
    },
    /// The file does not exist and was not to be made.
    #[error("there is no {}; start the daemon once (`ulm serve`), or name the folder that it uses", .path.display())]
    Missing {
        /// Which file.
        path: PathBuf,
    },
    /// Another process is writing to the file at this moment, and does not end.
    #[error("{} is held by another program for more than {seconds} s; end that program (an open `sqlite3` with a transaction?) and try again", .path.display())]
    Busy {
        /// Which file.
        path: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// A host of that name exists.
    #[error("there is a host named {name} already (its URI is {uri}); choose another name, or remove that one first")]
    HostNameTaken {
        /// The name.
        name: HostName,
        /// The URI that has it.
        uri: String,
    },
    /// A host with that URI exists.
    #[error("{uri} is known already, as host {name}")]
    HostUriTaken {
        /// The URI.
        uri: String,
        /// The host that has it.
        name: HostName,
    },
    /// No such host.
    #[error("there is no host named {name}; `ulm host list` shows those that there are")]
    NoSuchHost {
        /// The name.
        name: HostName,
    },
    /// No such plan.
    #[error("there is no plan {id}; `ulm plan` makes a new one")]
    NoSuchPlan {
        /// What was asked for.
        id: String,
    },
    /// More than one plan begins so.
    #[error("{id} is the beginning of several plans; give more of its digits")]
    AmbiguousPlan {
        /// What was asked for.
        id: String,
    },
    /// A value cannot be kept or read in that form.
    #[error("{what} cannot be read as expected: {error}")]
    Value {
        /// Which value.
        what: String,
        /// What is wrong.
        error: String,
    },
    /// Anything else that SQLite says.
    #[error("{}: {error}", .path.display())]
    Sql {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        error: String,
    },
}

/// How long a statement waits for another process.
pub(crate) const BUSY_SECONDS: u64 = 10;

fn owner(pid: &Option<u32>) -> String {
    pid.map(|pid| format!("process {pid}")).unwrap_or_default()
}

fn remedy(path: &Path) -> &'static str {
    if path.file_name().is_some_and(|name| name == "history.db") {
        "stop ulm and move history.db, history.db-wal and history.db-shm away: a new history is begun, hosts and ledger are not concerned"
    } else {
        "stop ulm, keep a copy of the folder, and try `sqlite3 state.db .recover | sqlite3 new.db`, or put back a backup"
    }
}

impl StoreError {
    /// Sorts what SQLite says about `path` into sentences.
    pub(crate) fn sql(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full { path },
            Some(ErrorCode::ReadOnly) => StoreError::ReadOnly { path },
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => StoreError::Denied { path, error: text },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt { path, error: text },
            Some(ErrorCode::SystemIoFailure) => StoreError::Disk { path, error: text },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                StoreError::Busy { path, seconds: BUSY_SECONDS }
            }
            _ => StoreError::Sql { path, error: text },
        }
    }

    /// What the file system says about `path`.
    pub(crate) fn io(path: &Path, error: std::io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full { path },
            std::io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { path },
            _ => StoreError::Denied { path, error: error.to_string() },
        }
    }

    /// Whether trying again later can help without anybody changing the files (no room, held by another program).
    pub fn passes(&self) -> bool {
        matches!(self, StoreError::Full { .. } | StoreError::Busy { .. })
    }
}
