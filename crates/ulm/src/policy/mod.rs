//! `ulm policy`: whether policies are sound, what they decide in made-up situations and on snapshots, and those that come with ULM.
//! Offline; changes nothing.

mod cluster;
mod diff;
mod origin;
mod presets;
mod settings;
mod test;
mod verdict;

use std::path::Path;

use ulm_policy::{Policy, PolicyError, Sources};

use crate::cli::{self, Common};
use crate::exit::{Exit, Failure, Outcome};
use crate::print;

/// Does what was asked.
pub fn run(common: &Common, args: &cli::Policy) -> Outcome {
    match args {
        cli::Policy::Check { policy } => origin::check(common, policy),
        cli::Policy::Test(args) => test::run(common, args),
        cli::Policy::Diff(args) => diff::run(common, args),
        cli::Policy::Preset(args) => presets::run(common, args),
        cli::Policy::Schema => {
            print::text(&ulm_policy::schema());
            Ok(())
        }
        cli::Policy::Example => {
            print::text(ulm_policy::EXAMPLE);
            Ok(())
        }
    }
}

/// The texts of a policy that was named by its file or as `preset:NAME`.
fn sources(of: &Path) -> Outcome<Sources> {
    match presets::named(of)? {
        Some(preset) => Ok(Sources::new(&of.display().to_string(), preset.text)),
        None => Sources::of_path(of).map_err(wrong),
    }
}

/// The policy, or what is wrong with it.
fn read(of: &Path) -> Outcome<Policy> {
    Policy::read(&sources(of)?).map_err(wrong)
}

/// What is wrong, in the words that it came with; who tells it says `error:` himself.
fn wrong(error: PolicyError) -> Failure {
    let text = error.to_string();
    Failure::new(Exit::Usage, text.strip_prefix("error: ").unwrap_or(&text))
}
