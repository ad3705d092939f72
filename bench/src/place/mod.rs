//! Placement: one file for each set of instances.

mod packing;

use std::path::Path;

use clap::Subcommand;

/// A set of instances.
#[derive(Subcommand)]
pub enum Set {
    /// Defragment: classes of vector bin packing from the literature, against lower bounds.
    Packing {
        /// Only classes whose names contain one of these words.
        only: Vec<String>,
    },
}

/// Prints the table of a set.
pub fn run(set: &Set, _data: &Path) -> anyhow::Result<()> {
    match set {
        Set::Packing { only } => packing::run(only),
    }
}
