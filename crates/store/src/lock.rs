//! The lock on the folder: one daemon for one state.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use crate::StoreError;

/// Holds the folder until it is dropped; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

/// A program that is just being started by the holder before us holds the lock until it has taken on its own shape: a moment.
const PAUSE: Duration = Duration::from_millis(25);
const PATIENCE: u32 = 40;

/// Makes the folder when it is missing and takes it.
pub(crate) fn take(folder: &Path) -> Result<FolderLock, StoreError> {
    DirBuilder::new().recursive(true).mode(0o750).create(folder).map_err(|e| StoreError::io(folder, e))?;
    let path = folder.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(&path)
        .map_err(|e| StoreError::io(&path, e))?;
    let mut tries = PATIENCE;
    let taken = loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if tries > 0 => {
                tries -= 1;
                std::thread::sleep(PAUSE);
            }
            taken => break taken,
        }
    };
    match taken {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(StoreError::InUse { pid, path: folder.to_owned() });
        }
        Err(TryLockError::Error(e)) => return Err(StoreError::io(&path, e)),
    }
    // The number is for people and messages only; the lock itself is the kernel's. A full disk must not keep the daemon away from its state.
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(FolderLock { _file: file })
}
