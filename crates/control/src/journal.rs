//! The ledger as the executor sees it: written before every effect, durable when `write` returns.

use std::sync::Mutex;

use ulm_model::Time;
use ulm_model::ledger::{Entry, Event};

/// Writes to the ledger.
pub trait Journal: Send + Sync + 'static {
    /// Adds an entry; durable when it returns. The error is a sentence that says what to do.
    fn write(&self, at: Time, event: &Event) -> Result<u64, String>;
}

/// A ledger in memory, for tests and the demo's throw-away runs.
#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<Vec<Entry>>);

impl MemoryJournal {
    /// All entries so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().expect("no writer panics").clone()
    }
}

impl Journal for MemoryJournal {
    fn write(&self, at: Time, event: &Event) -> Result<u64, String> {
        let mut entries = self.0.lock().expect("no writer panics");
        let seq = entries.len() as u64 + 1;
        entries.push(Entry { seq, at, event: event.clone() });
        Ok(seq)
    }
}
