//! What a host's kernel counts of merged pages (KSM): asked for with every reading, by one small call.
//!
//! libvirt has no names but `shm_…` for it. A host whose libvirt or kernel does not know it is asked once over a connection and
//! then not again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ulm_libvirt::{Connection, Error, NodeMemoryParameters};
use ulm_model::{Bytes, Merging};

/// Whether a host is worth asking.
#[derive(Debug, Default)]
pub(super) struct MergingWatch {
    knows_nothing: AtomicBool,
}

impl MergingWatch {
    /// Asks again: it may be another daemon.
    pub fn forget(&self) {
        self.knows_nothing.store(false, Ordering::Relaxed);
    }

    /// What the host counts, with ordinary pages of that size; `None` when it does not tell.
    ///
    /// # Errors
    /// Only when the connection fails.
    pub async fn ask(&self, host: &Connection, page: Bytes) -> Result<Option<Merging>, Error> {
        if self.knows_nothing.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match host.node_memory_parameters().await {
            Ok(told) => {
                let merging = merging(&told, page);
                self.knows_nothing.store(merging.is_none(), Ordering::Relaxed);
                Ok(merging)
            }
            Err(Error::Libvirt(said)) => {
                tracing::debug!(error = %said.message, "the host does not tell what it merges");
                self.knows_nothing.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// In bytes. Counters that a kernel does not have say nothing.
fn merging(told: &NodeMemoryParameters, page: Bytes) -> Option<Merging> {
    let bytes = |pages: u64| Bytes(pages.saturating_mul(page.0));
    let pages = [told.pages_sharing?, told.pages_shared?, told.pages_unshared?, told.pages_volatile?];
    let [saved, shared, unshared, volatile] = pages.map(bytes);
    Some(Merging {
        saved,
        shared,
        unshared,
        volatile,
        full_scans: told.full_scans?,
        across_cells: told.merge_across_nodes,
        scan: scan(told, pages.into_iter().fold(0, u64::saturating_add)),
        stopped: false,
    })
}

/// How long it takes to look at so many pages by the host's settings: it sleeps after each few of them.
fn scan(told: &NodeMemoryParameters, pages: u64) -> Option<Duration> {
    let sleeps = pages.checked_div(told.pages_to_scan?)?;
    Some(Duration::from_millis(sleeps.saturating_mul(told.sleep_ms?)))
}
