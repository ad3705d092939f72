//! Placement: one file for each set of instances.

use std::path::Path;

use clap::Subcommand;

/// A set of instances.
#[derive(Subcommand)]
pub enum Set {}

/// Prints the table of a set.
pub fn run(set: &Set, _data: &Path) -> anyhow::Result<()> {
    match *set {}
}
