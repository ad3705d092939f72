//! `ulm policy`: whether policies are sound, what they decide in made-up situations and on snapshots, and those that come with ULM.
//! Offline, and changes nothing; only `ulm policy reload` asks the daemon.

mod cluster;
mod diff;
mod origin;
mod presets;
mod settings;
mod test;
mod verdict;

use std::path::Path;

use ulm_policy::{Policy, PolicyError, Sources};
use ulm_web::client::Client;

use crate::cli::{self, Common};
use crate::exit::{Exit, Failure, Outcome};
use crate::print;

/// Does what was asked.
pub async fn run(common: &Common, client: &Client, args: &cli::Policy) -> Outcome {
    match args {
        cli::Policy::Check { policy } => origin::check(common, policy),
        cli::Policy::Test(args) => test::run(common, args),
        cli::Policy::Diff(args) => diff::run(common, args),
        cli::Policy::Preset(args) => presets::run(common, args),
        cli::Policy::Reload => reload(common, client).await,
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

/// Has the daemon read its policy again.
async fn reload(common: &Common, client: &Client) -> Outcome {
    let status = client.reload_policy().await?;
    if common.json {
        return print::json(&status);
    }
    let (digest, file) = (status.digest.get(..12).unwrap_or_default(), status.file.unwrap_or_default());
    anstream::println!("The policy of {file} is in force: {digest}, since {}.", print::local(status.since));
    Ok(())
}

/// The texts of a policy that was named by its file or as `preset:NAME`.
fn sources(of: &Path) -> Outcome<Sources> {
    match presets::named(of)? {
        Some(preset) => Ok(Sources::new(&of.display().to_string(), preset.text)),
        None => Sources::of_path(of).map_err(wrong),
    }
}

/// The policy, or what is wrong with it.
pub fn read(of: &Path) -> Outcome<Policy> {
    Policy::read(&sources(of)?).map_err(wrong)
}

/// What is wrong, in the words that it came with; who tells it says `error:` himself.
fn wrong(error: PolicyError) -> Failure {
    let text = error.to_string();
    Failure::new(Exit::Usage, text.strip_prefix("error: ").unwrap_or(&text))
}
