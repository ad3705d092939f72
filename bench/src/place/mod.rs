//! Placement: one file for each set of instances.

mod balcon;
mod packing;

use std::path::Path;

use clap::Subcommand;

/// A set of instances.
#[derive(Subcommand)]
pub enum Set {
    /// Consolidation of 40 clusters: hosts and memory moved, beside BalCon.
    Balcon,
    /// Defragment: classes of vector bin packing from the literature, against lower bounds.
    Packing {
        /// Only classes whose names contain one of these words.
        only: Vec<String>,
    },
}

/// Prints the table of a set.
pub fn run(set: &Set, data: &Path) -> anyhow::Result<()> {
    match set {
        Set::Balcon => balcon::run(data),
        Set::Packing { only } => packing::run(only),
    }
}
