//! `docs/policy-tests.md` is run word by word: its files are written, its commands run, and what they print stands in it.
//!
//! After a wanted change: `ULM_WRITE_DOCS=1 cargo test -p ulm --test policy_cases` writes what is printed anew.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A fenced block: what kind it is of, and its lines.
struct Block {
    kind: String,
    lines: Vec<String>,
}

/// What stands outside of blocks, and the blocks, in turn.
enum Piece {
    Line(String),
    Block(Block),
}

fn pieces(text: &str) -> Vec<Piece> {
    let (mut pieces, mut lines) = (Vec::new(), text.lines());
    while let Some(line) = lines.next() {
        match line.strip_prefix("```") {
            None => pieces.push(Piece::Line(line.to_owned())),
            Some(kind) => {
                let inside = lines.by_ref().take_while(|line| *line != "```").map(str::to_owned).collect();
                pieces.push(Piece::Block(Block { kind: kind.to_owned(), lines: inside }));
            }
        }
    }
    pieces
}

/// What the command prints, both streams, and its exit code if it is not 0.
fn printed(folder: &Path, command: &str) -> Vec<String> {
    let mut words = command.split(' ');
    assert_eq!(words.next(), Some("ulm"), "{command}");
    let output = Command::new(env!("CARGO_BIN_EXE_ulm"))
        .args(words)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .output()
        .expect("the command can be run");
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("it is UTF-8")).concat();
    text.lines().map(str::to_owned).collect()
}

/// The block as it would be if it were right.
fn run(folder: &Path, block: Block) -> Block {
    let lines = match block.kind.as_str() {
        "toml" => {
            let name = block.lines[0].strip_prefix("# ").expect("the first line says the file's name");
            std::fs::write(folder.join(name), block.lines.join("\n") + "\n").expect("the folder can be written to");
            block.lines
        }
        "console" => {
            let commands = block.lines.iter().filter_map(|line| line.strip_prefix("$ "));
            let shown = |command: &str| [vec![format!("$ {command}")], printed(folder, command)].concat();
            commands.flat_map(shown).collect()
        }
        other => panic!("nothing is known of blocks of {other}"),
    };
    Block { kind: block.kind, lines }
}

#[test]
fn every_block_of_the_page_on_cases_is_as_it_says() {
    let page: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/policy-tests.md");
    let text = std::fs::read_to_string(&page).expect("the page is there");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut right = String::new();
    for piece in pieces(&text) {
        match piece {
            Piece::Line(line) => right += &format!("{line}\n"),
            Piece::Block(block) => {
                let block = run(folder.path(), block);
                right += &format!("```{}\n{}\n```\n", block.kind, block.lines.join("\n"));
            }
        }
    }
    if std::env::var_os("ULM_WRITE_DOCS").is_some() {
        std::fs::write(&page, &right).expect("the page can be written");
    }
    let stands = std::fs::read_to_string(&page).expect("the page is there");
    let first = stands.lines().zip(right.lines()).find(|(stands, right)| stands != right);
    assert!(stands == right, "run with ULM_WRITE_DOCS=1 to write it anew; the first difference: {first:?}");
}

/// Why the presets' cases pass is that the presets are good, and not that the cases ask for nothing: no preset passes another's.
#[test]
fn no_preset_passes_the_cases_of_another_one() {
    let presets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy/presets");
    let names = ["careful", "balanced", "packed", "green"];
    for policy in names {
        for cases in names {
            let file = presets.join(format!("{cases}.test.toml"));
            let file = file.to_str().expect("the path is UTF-8");
            let passed = printed(&presets, &format!("ulm policy test preset:{policy} {file}"));
            let all_ok = passed.last().is_some_and(|line| line.ends_with("all ok."));
            assert_eq!(all_ok, policy == cases, "{policy} with the cases of {cases}:\n{}", passed.join("\n"));
        }
    }
}

#[test]
fn the_schema_that_is_printed_is_the_one_for_editors() {
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/policy.schema.json");
    let stored = std::fs::read_to_string(stored).expect("the schema is there");
    assert_eq!(printed(Path::new("."), "ulm policy schema").join("\n") + "\n", stored);
}

#[test]
fn a_preset_that_is_printed_is_a_policy_with_cases_of_its_own() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (name, _) in ulm_policy::Policy::PRESETS {
        for (command, file) in [("", "mine.toml"), (" --cases", "mine.test.toml")] {
            let text = printed(folder.path(), &format!("ulm policy preset {name}{command}")).join("\n");
            std::fs::write(folder.path().join(file), text).expect("the folder can be written to");
        }
        let passed = printed(folder.path(), "ulm policy test mine.toml");
        assert!(passed.last().is_some_and(|line| line.ends_with("all ok.")), "{name}:\n{}", passed.join("\n"));
    }
}
