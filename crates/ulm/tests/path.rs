//! `ulm path` writes what `ulm check` judges; whatever is changed in it by hand is found out.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn ulm(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ulm")).env("NO_COLOR", "1").args(args).output().expect("ulm runs")
}

fn example(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/path");
    folder.join(name).display().to_string()
}

/// The document of an example, written by `ulm path` into a folder.
fn document(folder: &Path, a: &str, b: &str, options: &[&str]) -> (PathBuf, Output) {
    let file = folder.join("route.json");
    let (a, b, output) = (example(a), example(b), file.display().to_string());
    let done = ulm(&[&["path", &a, &b, "--output", &output], options].concat());
    (file, done)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// What the check says of the file with one text in place of another.
fn changed(file: &Path, that: &str, this: &str) -> (Option<i32>, String) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(that), "{that} must stand in the file:\n{text}");
    let other = file.with_file_name("changed.json");
    std::fs::write(&other, text.replacen(that, this, 1)).unwrap();
    let done = ulm(&["check", &other.display().to_string()]);
    (done.status.code(), said(&done))
}

#[test]
fn a_route_is_sound_until_somebody_changes_it() {
    let folder = tempfile::tempdir().unwrap();
    let (file, done) = document(folder.path(), "A.json", "B.json", &[]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let judged = ulm(&["check", &file.display().to_string(), "--json"]);
    let judged: serde_json::Value = serde_json::from_slice(&judged.stdout).unwrap();
    assert_eq!(judged, serde_json::json!({ "sound": true, "answer": "route" }));

    let text = std::fs::read_to_string(&file).unwrap();
    let steps: Vec<&str> = text.lines().filter(|line| line.contains("\"move\"")).collect();
    let last = *steps.last().unwrap();
    let away = last.replace(&last[last.find("\"after\"").unwrap()..last.find(", \"start\"").unwrap()], "\"after\": []");
    let changes = [
        // The last step waits for nothing, and comes too early.
        (last, away.as_str()),
        // Smaller hosts, larger VMs.
        ("\"h2\", \"capacity\": {\"memory\": 68719476736", "\"h2\", \"capacity\": {\"memory\": 50465865728"),
        (
            "\"db3\", \"host\": \"h3\", \"size\": {\"memory\": 42949672960",
            "\"db3\", \"host\": \"h3\", \"size\": {\"memory\": 64424509440",
        ),
        // A VM that is to be elsewhere.
        ("{\"name\": \"web2\", \"host\": \"h2\"}", "{\"name\": \"web2\", \"host\": \"h1\"}"),
        // A VM that stays.
        ("\"copy\": {\"bytes\": 42949672960}", "\"stays\": true"),
        // Better than it is.
        ("\"cost_bound\": 1", "\"cost_bound\": 91"),
        ("\"makespan_seconds\": 2", "\"makespan_seconds\": 1"),
        ("\"rate\": 1250000000, \"cost\": ", "\"rate\": 1250000000, \"cost\": 1"),
        // A host that is on already.
        ("\"power_on\": \"spare\"", "\"power_off\": \"spare\""),
    ];
    for (that, this) in changes {
        let (code, said) = changed(&file, that, this);
        // Some changes make a task that has no meaning, and are refused by the reading: never is the file called sound.
        assert!(matches!(code, Some(2 | 3)), "{this}: {code:?}: {said}");
    }
    let (code, told) = changed(&file, "\"cost_bound\": 1", "\"cost_bound\": 91");
    assert_eq!(code, Some(3));
    assert!(told.contains("is wrong: it is better than what it says that no route can pass"), "{told}");
}

#[test]
fn a_proof_holds_until_somebody_changes_it() {
    let folder = tempfile::tempdir().unwrap();
    let (file, done) = document(folder.path(), "tight-A.json", "tight-B.json", &["--json"]);
    assert_eq!(done.status.code(), Some(3));
    assert_eq!(done.stdout, std::fs::read(&file).unwrap(), "with --json the document is printed too");
    let error: serde_json::Value = serde_json::from_slice(&done.stderr).unwrap();
    assert_eq!(error["error"]["exit_code"], 3);

    let judged = ulm(&["check", &file.display().to_string()]);
    assert_eq!(judged.status.code(), Some(0), "{}", said(&judged));
    assert!(said(&judged).contains("The proof holds: no route leads from A to B."));

    let (code, told) = changed(
        &file,
        "\"h2\", \"capacity\": {\"memory\": 68719476736",
        "\"h2\", \"capacity\": {\"memory\": 137438953472",
    );
    assert_eq!(code, Some(3), "{told}");
}

#[test]
fn who_is_who_need_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let (file, done) = document(folder.path(), "tight-A.json", "tight-B.json", &["--relabel"]);
    assert_eq!(done.status.code(), Some(0), "the two databases are alike and stay: {}", said(&done));
    assert!(said(&done).starts_with("Nothing is to be done"), "{}", said(&done));
    assert_eq!(ulm(&["check", &file.display().to_string()]).status.code(), Some(0));
}

#[test]
fn a_plan_of_the_daemon_is_not_judged_here() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json");
    std::fs::write(
        &file,
        "{\"schema\": \"ulm.plan/1\", \"parent\": \"p\", \"made_at\": 1, \"expires_at\": 2, \"steps\": []}",
    )
    .unwrap();
    let done = ulm(&["check", &file.display().to_string()]);
    assert_eq!(done.status.code(), Some(2));
    assert!(said(&done).contains("`ulm apply "), "{}", said(&done));
}
