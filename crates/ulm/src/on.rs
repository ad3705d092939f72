//! The state of things that a question is about: what the daemon observes, or a snapshot from a file.

use std::path::PathBuf;

use clap::Args;
use ulm_decide::{Input, Past};
use ulm_model::Acting;
use ulm_policy::Policy;

use crate::exit::Outcome;

/// What a question is about.
#[derive(Clone, Debug, Default, Args)]
pub struct On {
    /// Ask about a snapshot, as `ulm export` writes it, instead of the daemon: its own time is the present, and nothing
    /// of the past is known
    #[arg(long = "on", value_name = "SNAPSHOT")]
    pub snapshot: Option<PathBuf>,
    /// The policy for that: its file, or preset:NAME [default: what holds without a policy file]
    #[arg(long, value_name = "POLICY", requires = "snapshot")]
    pub policy: Option<PathBuf>,
}

impl On {
    /// The snapshot as all that a decision may see, and the policy; `None` when the daemon is to be asked.
    pub fn files(&self) -> Outcome<Option<(Input, Policy)>> {
        let Some(file) = &self.snapshot else { return Ok(None) };
        let snapshot = crate::export::read(file)?;
        let policy = match &self.policy {
            Some(of) => crate::policy::read(of)?,
            None => Policy::default(),
        };
        let now = snapshot.taken_at;
        Ok(Some((Input::new(snapshot, now, Acting::Off, Past::default()), policy)))
    }
}
