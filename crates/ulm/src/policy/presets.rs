//! The policies that come with ULM, and their cases.

use std::path::Path;

use ulm_policy::Policy;

use crate::cli::{self, Common};
use crate::exit::{Exit, Failure, Outcome};
use crate::print::{self, Side};

/// What a policy that comes with ULM is called by where a file could be given.
const PREFIX: &str = "preset:";

/// Cases of the presets, in the order of [`Policy::PRESETS`].
const CASES: [&str; Policy::PRESETS.len()] = [
    include_str!("../../../policy/presets/careful.test.toml"),
    include_str!("../../../policy/presets/balanced.test.toml"),
    include_str!("../../../policy/presets/packed.test.toml"),
    include_str!("../../../policy/presets/green.test.toml"),
];

/// A policy that comes with ULM.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    pub name: &'static str,
    pub text: &'static str,
    pub cases: &'static str,
}

fn all() -> impl Iterator<Item = Preset> {
    Policy::PRESETS.into_iter().zip(CASES).map(|((name, text), cases)| Preset { name, text, cases })
}

/// The preset that is meant, if one is and not a file.
pub fn named(policy: &Path) -> Outcome<Option<Preset>> {
    let name = policy.to_str().and_then(|text| text.strip_prefix(PREFIX));
    name.map(find).transpose()
}

fn find(name: &str) -> Outcome<Preset> {
    let known = || Vec::from_iter(all().map(|preset| preset.name)).join(", ");
    all()
        .find(|preset| preset.name == name)
        .ok_or_else(|| Failure::new(Exit::Usage, format!("there is no preset `{name}`: there are {}", known())))
}

/// Lists them, or prints one.
pub fn run(common: &Common, args: &cli::PolicyPreset) -> Outcome {
    if let Some(name) = &args.name {
        let preset = find(name.strip_prefix(PREFIX).unwrap_or(name))?;
        print::text(if args.cases { preset.cases } else { preset.text });
        return Ok(());
    }
    if common.json {
        let list = all().map(|preset| serde_json::json!({ "name": preset.name, "about": about(preset.text) }));
        return print::json(&Vec::from_iter(list));
    }
    let rows = all().map(|preset| vec![preset.name.to_owned(), about(preset.text)]).collect();
    anstream::println!("{}", print::table(&[("PRESET", Side::Left), ("WHAT IT WANTS", Side::Left)], rows));
    anstream::println!(
        "`ulm policy preset NAME > policy.toml` gives you one to change; preset:NAME stands for its file."
    );
    Ok(())
}

/// The first sentence of the comment that it begins with, without its name.
fn about(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("# "));
    let comment = Vec::from_iter(lines).join(" ");
    let sentence = comment.split_inclusive(". ").next().unwrap_or_default().trim_end().trim_end_matches('.');
    sentence.split_once(": ").map_or(sentence, |(_, about)| about).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_says_what_it_wants() {
        for preset in all() {
            assert!(about(preset.text).len() > 20, "{}: {}", preset.name, about(preset.text));
        }
    }
}
