//! The documented example file is the defaults, and documents every key.

use ulm_policy::{EXAMPLE, Policy};

#[test]
fn the_example_file_holds_the_defaults() {
    assert_eq!(Policy::parse(EXAMPLE, "example.toml").unwrap(), Policy::default());
}

#[test]
fn the_example_file_names_every_key() {
    // Leaving any line out must change nothing; a key that is not there at all could not be left out.
    let json = serde_json::to_value(Policy::default()).unwrap();
    for (section, values) in json.as_object().unwrap().iter().filter(|(name, _)| *name != "rules") {
        assert!(EXAMPLE.contains(&format!("[{section}]")), "{section}");
        for key in values.as_object().unwrap().keys() {
            assert!(EXAMPLE.contains(&format!("\n{key} = ")), "{section}.{key}");
        }
    }
}

#[test]
fn the_rules_in_the_comments_of_the_example_are_right() {
    let start = EXAMPLE.find("# [[rule]]").unwrap();
    let rules: String = EXAMPLE[start..]
        .lines()
        .map(|line| line.trim_start_matches("# ").trim_start_matches('#').to_owned() + "\n")
        .collect();
    let policy = Policy::parse(&rules, "example.toml").unwrap();
    assert_eq!(policy.rules.len(), 4);
    assert_eq!(policy.rulebook().rules, policy.rules);
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(Policy::parse("", "ulm.toml").unwrap(), Policy::default());
}
