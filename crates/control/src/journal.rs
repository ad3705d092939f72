//! The ledger as the executor sees it: written before every effect, durable when `write` returns.

use ulm_model::Time;
use ulm_model::ledger::Event;

/// Writes to the ledger.
pub trait Journal: Send + Sync + 'static {
    /// Adds an entry; durable when it returns. The error is a sentence that says what to do.
    fn write(&self, at: Time, event: &Event) -> Result<u64, String>;
}
