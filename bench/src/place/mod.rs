//! Placement: one file for each set of instances.

mod balcon;
mod btrplace;
mod exact;
mod ganeti;
mod packing;
mod roadef;
mod sharing;
mod vmr;

use std::path::Path;

use clap::Subcommand;

/// A set of instances.
#[derive(Subcommand)]
pub enum Set {
    /// Consolidation of 40 clusters: hosts and memory moved, beside BalCon.
    Balcon,
    /// Repair of clusters of 5,000 hosts, beside BtrPlace.
    Btrplace {
        /// Only the figures of this instance, as one line.
        #[arg(long)]
        only: Option<String>,
    },
    /// Small questions of each goal, beside the proved optimum.
    Exact {
        /// Where questions and answers are.
        folder: std::path::PathBuf,
        /// Writes the questions for `bench/exact.py`, which writes the answers.
        #[arg(long)]
        write: bool,
        /// The number of the first question of each goal: other numbers are other questions.
        #[arg(long, default_value_t = 0)]
        first: u64,
        /// Questions of each goal.
        #[arg(long, default_value_t = 200)]
        questions: u64,
    },
    /// Balance: clusters in Ganeti's text format, beside its `hbal`.
    Ganeti {
        /// Files as `gen.py` of the instances makes them.
        #[arg(required = true)]
        files: Vec<std::path::PathBuf>,
        /// Without hbal, which takes minutes for 40 nodes and hours for 400.
        #[arg(long)]
        alone: bool,
        /// Where plots are written: score and spread of memory, over moves and over GiB.
        #[arg(long)]
        plots: Option<std::path::PathBuf>,
    },
    /// Defragment: classes of vector bin packing from the literature, against lower bounds.
    Packing {
        /// Only classes whose names contain one of these words.
        only: Vec<String>,
    },
    /// Machine reassignment: the ROADEF/EURO challenge 2012, beside its winner.
    Roadef(roadef::Options),
    /// Page sharing: hosts and memory saved, against packing that knows nothing of it, by how much is shared.
    Sharing,
    /// Room by few migrations: VM rescheduling with a limit on migrations, against proved optima.
    Vmr,
}

/// Prints the table of a set.
pub fn run(set: &Set, data: &Path) -> anyhow::Result<()> {
    match set {
        Set::Balcon => balcon::run(data),
        Set::Btrplace { only } => btrplace::run(data, only.as_deref()),
        Set::Exact { folder, write, first, questions } => {
            let seeds = *first..first.saturating_add(*questions);
            if *write { exact::write(folder, seeds) } else { exact::run(folder, seeds) }
        }
        Set::Ganeti { files, alone, plots } => ganeti::run(files, !alone, plots.as_deref()),
        Set::Roadef(options) => roadef::run(options, data),
        Set::Sharing => sharing::run(),
        Set::Packing { only } => packing::run(only),
        Set::Vmr => vmr::run(data),
    }
}
