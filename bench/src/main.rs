//! Compares ULM with its peers and with bounds on public instances.
//!
//! `cargo run --release -p ulm-bench -- place SET --data FOLDER` prints a table for one set: our figure, the peer's or the bound, and the
//! ratio. The instances are not part of this repository; `--data` names the folder that has them. Each set has its reader, its
//! question in the terms of [`ulm_place::Problem`], and its own judge, which knows nothing of how the answer was found.

mod clock;
mod place;
mod plot;
mod table;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Compares ULM with its peers and with bounds on public instances.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Which placement: search and bounds.
    Place {
        /// Which instances.
        #[command(subcommand)]
        set: place::Set,
        /// The folder that has the instances, one folder for each set.
        #[arg(long, global = true, default_value = "../shared/data")]
        data: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Args::parse().bench {
        Bench::Place { set, data } => place::run(&set, &data),
    }
}
