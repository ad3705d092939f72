//! The order of the rooms: lower ones never know upper ones. See ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Lowest first.
const ORDER: [&str; 16] = [
    "ulm-model",
    "ulm-rules",
    "ulm-forecast",
    "ulm-place",
    "ulm-path",
    "ulm-check",
    "ulm-policy",
    "ulm-decide",
    "ulm-libvirt",
    "ulm-drivers",
    "ulm-collect",
    "ulm-power",
    "ulm-store",
    "ulm-control",
    "ulm-web",
    "ulm",
];

/// Rooms without input and output: they decide, so they must be able to do it again.
const PURE: [&str; 7] = ["ulm-model", "ulm-rules", "ulm-forecast", "ulm-place", "ulm-path", "ulm-check", "ulm-decide"];

/// What pure rooms have no use for.
const IMPURE: [&str; 11] = [
    "tokio",
    "tokio-util",
    "hyper",
    "hyper-util",
    "axum",
    "rusqlite",
    "rustls",
    "tokio-rustls",
    "tempfile",
    "tracing",
    "rand",
];

/// What pure rooms must not say either, since the standard library is always at hand.
const IMPURE_WORDS: [&str; 7] =
    ["std::fs", "std::net", "std::process", "std::env", "SystemTime", "Instant::now", "std::thread"];

struct Room {
    folder: PathBuf,
    needs: BTreeSet<String>,
}

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the command's crate stands among the rooms").to_owned()
}

/// Every crate under `crates/` by name, with what it needs when it is not being tested.
fn rooms() -> BTreeMap<String, Room> {
    let folders = std::fs::read_dir(crates()).expect("the folder of the rooms can be read");
    let folders = folders.map(|entry| entry.expect("the folder of the rooms can be read").path());
    folders.filter(|folder| folder.join("Cargo.toml").exists()).map(room).collect()
}

fn room(folder: PathBuf) -> (String, Room) {
    let text = std::fs::read_to_string(folder.join("Cargo.toml")).expect("a room has a Cargo.toml");
    let manifest: toml::Table = text.parse().expect("a room's Cargo.toml is TOML");
    let name = manifest["package"]["name"].as_str().expect("a room has a name").to_owned();
    let mut needs = BTreeSet::new();
    for kind in ["dependencies", "build-dependencies"] {
        let Some(table) = manifest.get(kind).and_then(toml::Value::as_table) else { continue };
        needs.extend(table.keys().cloned());
    }
    (name, Room { folder, needs })
}

fn ours(needs: &BTreeSet<String>) -> BTreeSet<&str> {
    needs.iter().map(String::as_str).filter(|name| name.starts_with("ulm")).collect()
}

#[test]
fn every_room_has_its_place_in_the_order() {
    let unknown: Vec<String> = rooms().into_keys().filter(|name| !ORDER.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "rooms without a place in the order: {unknown:?}");
}

#[test]
fn no_room_knows_an_upper_one() {
    let place = |name: &str| ORDER.iter().position(|room| *room == name);
    let mut wrong = Vec::new();
    for (name, room) in rooms() {
        for need in ours(&room.needs) {
            if place(need) >= place(&name) {
                wrong.push(format!("{name} must not know {need}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// There is more than one binary in the workspace, and the README says `cargo run -- demo`.
#[test]
fn cargo_run_without_a_name_runs_the_command() {
    let text = std::fs::read_to_string(crates().join("ulm/Cargo.toml")).expect("the command has a Cargo.toml");
    let manifest: toml::Table = text.parse().expect("the command's Cargo.toml is TOML");
    assert_eq!(manifest["package"].get("default-run").and_then(toml::Value::as_str), Some("ulm"));
}

#[test]
fn libvirt_stands_on_its_own() {
    assert_eq!(ours(&rooms()["ulm-libvirt"].needs), BTreeSet::new());
}

#[test]
fn the_store_knows_the_words_and_nothing_else() {
    assert_eq!(ours(&rooms()["ulm-store"].needs), BTreeSet::from(["ulm-model"]));
}

#[test]
fn the_checker_shares_no_code_with_those_it_checks() {
    assert_eq!(ours(&rooms()["ulm-check"].needs), BTreeSet::from(["ulm-model"]));
}

#[test]
fn pure_rooms_need_nothing_that_reads_writes_waits_or_throws_dice() {
    let rooms = rooms();
    let mut wrong = Vec::new();
    for name in PURE {
        let Some(room) = rooms.get(name) else { continue };
        wrong.extend(
            IMPURE.iter().filter(|need| room.needs.contains(**need)).map(|need| format!("{name} needs {need}")),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn pure_rooms_read_no_clock_file_or_network_by_way_of_the_standard_library() {
    let rooms = rooms();
    let mut wrong = Vec::new();
    for name in PURE {
        let Some(room) = rooms.get(name) else { continue };
        for file in sources(&room.folder.join("src")) {
            let text = std::fs::read_to_string(&file).expect("a source can be read");
            let said = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in said.filter(|line| IMPURE_WORDS.iter().any(|word| line.contains(word))) {
                wrong.push(format!("{}: {}", file.display(), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a room has sources") {
        let path = entry.expect("a room's folder can be read").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}
