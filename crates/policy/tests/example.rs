//! The example, the presets, the schema for editors and the reference: all of one mind.

mod common;

use serde_json::Value;
use ulm_model::{RuleKind, Share};
use ulm_policy::{EXAMPLE, GoalKind, Policy};

/// The example with its commented parts in force.
fn whole_example() -> String {
    let in_force = |line: &str| {
        let code = line.strip_prefix("# ")?;
        let key = code.split(" = ").next().filter(|key| code.contains(" = ") && !key.contains(' '));
        (code.starts_with("[[") || key.is_some()).then(|| code.to_owned())
    };
    EXAMPLE.lines().map(|line| in_force(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

#[test]
fn the_example_file_holds_the_defaults() {
    assert_eq!(Policy::parse(EXAMPLE, "example.toml").unwrap(), Policy::default());
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(Policy::parse("", "ulm.toml").unwrap(), Policy::default());
}

#[test]
fn the_rules_and_goals_in_the_comments_of_the_example_are_right() {
    let policy = Policy::parse(&whole_example(), "example.toml").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((policy.rules.len(), policy.goals.len(), policy.sharing.len()), (15, 10, 2));
    assert_eq!(policy.rulebook().rules, policy.rules);
}

#[test]
fn the_example_file_names_every_key_and_every_kind() {
    let schema: Value = serde_json::from_str(&ulm_policy::schema()).unwrap();
    for (table, shape) in schema["properties"].as_object().unwrap() {
        let list = shape["type"] == "array";
        let header = if list { format!("[[{table}]]") } else { format!("\n[{table}]") };
        let example = whole_example();
        assert!(example.contains(&header), "{header}");
        let kinds = match shape.pointer("/items/oneOf") {
            Some(kinds) => kinds.as_array().unwrap().clone(),
            None => vec![if list { shape["items"].clone() } else { shape.clone() }],
        };
        for kind in &kinds {
            for (key, value) in kind["properties"].as_object().unwrap() {
                let line = value["const"].as_str().map_or(format!("\n{key} = "), |kind| format!("\nkind = \"{kind}\""));
                assert!(example.contains(&line), "{table}: {line}");
            }
        }
    }
}

#[test]
fn the_schema_for_editors_is_of_the_same_keys_as_the_reader() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/policy.schema.json");
    if std::env::var_os("ULM_WRITE_SCHEMA").is_some() {
        std::fs::write(path, ulm_policy::schema()).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        stored == ulm_policy::schema(),
        "run the tests with ULM_WRITE_SCHEMA=1 to write docs/policy.schema.json anew"
    );
}

#[test]
fn the_example_and_the_presets_are_right_for_editors() {
    let schema: Value = serde_json::from_str(&ulm_policy::schema()).unwrap();
    let presets = Policy::PRESETS.map(|(name, text)| (name, text.to_owned()));
    for (name, text) in presets.into_iter().chain([("example", whole_example()), ("plain example", EXAMPLE.to_owned())])
    {
        let file: Value = toml::from_str(&text).unwrap();
        common::schema::fits(&schema, &file, name).unwrap();
    }
}

#[test]
fn what_the_reader_refuses_editors_refuse_too() {
    let schema: Value = serde_json::from_str(&ulm_policy::schema()).unwrap();
    for wrong in [
        "[hotspot]\nmemroy = \"90%\"\n",
        "[hotspot]\ncpu = 75\n",
        "[[rule]]\nname = \"a\"\nkind = \"pin\"\nvm = \"a\"\n",
        "[[rule]]\nname = \"a\"\nkind = \"exclude\"\nvm = \"a\"\nhost = \"b\"\n",
        "[[rule]]\nname = \"a\"\nkind = \"spare\"\nhost = \"b\"\nsoft = true\n",
        "[[rule]]\nname = \"a\"\nkind = \"one_way\"\nvm = \"b\"\n",
        "[[goal]]\nname = \"a\"\nkind = \"evacuate\"\n",
        "[[goal]]\nname = \"a\"\nkind = \"even\"\nfloor = 50\n",
        "rule = 3\n",
        "[[sharing]]\nname = \"a\"\nvm = \"b\"\n",
        "[[sharing]]\nname = \"a\"\nvm = \"b\"\nlevels = []\n",
        "[[sharing]]\nname = \"a\"\nvm = \"b\"\nlevels = [{ tag = \"os:\" }]\n",
    ] {
        assert!(Policy::parse(wrong, "ulm.toml").is_err(), "{wrong}");
        let file: Value = toml::from_str(wrong).unwrap();
        assert!(common::schema::fits(&schema, &file, "wrong").is_err(), "{wrong}");
    }
}

#[test]
fn the_presets_are_what_they_say() {
    let preset = |name: &str| Policy::parse(text(name), name).unwrap_or_else(|error| panic!("{error}"));
    for (name, _) in Policy::PRESETS {
        assert_eq!(Policy::preset(name), Some(preset(name)), "{name}");
    }
    assert_eq!(Policy::preset("greedy"), None);
    let careful = preset("careful");
    assert_eq!(careful.limits.moves, 1);
    assert!(careful.goals.iter().all(|goal| matches!(goal.kind, GoalKind::Rules | GoalKind::Relieve)));
    assert!(careful.hotspot.cool_down > Policy::default().hotspot.cool_down);
    let balanced = preset("balanced");
    assert!(
        balanced
            .goals
            .iter()
            .any(|goal| matches!(goal.kind, GoalKind::Even(spread) if spread.floor == Share::percent(50))
                && goal.when.is_none())
    );
    assert!(matches!(balanced.rules[..], [ulm_model::Rule { kind: RuleKind::Budget { moves: Some(2), .. }, .. }]));
    for name in ["packed", "green"] {
        let policy = preset(name);
        let kinds = |wanted: fn(&RuleKind) -> bool| policy.rules.iter().any(|rule| wanted(&rule.kind));
        assert!(kinds(|kind| matches!(kind, RuleKind::Headroom { .. })) && kinds(|kind| *kind == RuleKind::Spare));
        for goal in &policy.goals {
            assert_eq!(goal.when.is_some(), matches!(goal.kind, GoalKind::Defragment(_)), "{name}: {}", goal.name);
        }
    }
    assert!(preset("green").worth.payback < preset("packed").worth.payback);
}

fn text(preset: &str) -> &'static str {
    Policy::PRESETS.into_iter().find(|(name, _)| *name == preset).unwrap().1
}

#[test]
fn every_block_of_the_reference_is_right() {
    let reference = include_str!("../../../docs/policy.md");
    let blocks: Vec<&str> = reference.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() > 20, "{}", blocks.len());
    for block in blocks {
        // Groups and calendars that other blocks define.
        let shared = "[[group]]\nname = \"web servers\"\nvm = \"web-*\"\n\n[[calendar]]\nname = \"nights\"\nspans = [\"22:00-06:00\"]\n\n";
        let whole = if block.contains("[[group]]") || block.contains("[[calendar]]") {
            block.to_owned()
        } else {
            format!("{shared}{block}")
        };
        Policy::parse(&whole, "docs/policy.md").unwrap_or_else(|error| panic!("{error}"));
    }
    // The reference has an example of each kind.
    let schema: Value = serde_json::from_str(&ulm_policy::schema()).unwrap();
    for list in ["rule", "goal"] {
        for kind in schema["properties"][list].pointer("/items/oneOf").unwrap().as_array().unwrap() {
            let kind = kind.pointer("/properties/kind/const").unwrap().as_str().unwrap();
            let example = reference.split(&format!("[[{list}]]")).any(|part| {
                part.split("\n\n").next().is_some_and(|block| block.contains(&format!("kind = \"{kind}\"")))
            });
            assert!(example, "{list} {kind}");
        }
    }
}
