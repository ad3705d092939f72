//! Where things are unless something else is asked for.

use std::env;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The daemon's socket.
pub fn socket(given: Option<PathBuf>) -> PathBuf {
    given.unwrap_or_else(|| {
        if is_root() {
            return "/run/ulm/ulm.sock".into();
        }
        folder("XDG_RUNTIME_DIR").map_or_else(|| state(None).join("ulm.sock"), |folder| folder.join("ulm.sock"))
    })
}

/// The folder for state, ledger and history.
pub fn state(given: Option<PathBuf>) -> PathBuf {
    given.unwrap_or_else(|| {
        if is_root() {
            return "/var/lib/ulm".into();
        }
        folder("XDG_STATE_HOME").unwrap_or_else(|| home().join(".local/state")).join("ulm")
    })
}

/// The policy file that is used when none is given, if it is there.
pub fn policy() -> PathBuf {
    if is_root() {
        return "/etc/ulm/policy.toml".into();
    }
    folder("XDG_CONFIG_HOME").unwrap_or_else(|| home().join(".config")).join("ulm/policy.toml")
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

fn folder(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn home() -> PathBuf {
    folder("HOME").unwrap_or_else(|| "/tmp".into())
}
