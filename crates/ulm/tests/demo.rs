//! The demonstration: the same seed tells the same story, and the story is the main job.

use std::process::Command;

fn demo(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ulm"))
        .args(["demo", "--speed", "max"])
        .args(args)
        .output()
        .expect("the command can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the demonstration speaks UTF-8")
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let once = demo(&["--hours", "0.3", "--seed", "42"]);
    assert!(once.contains("moved"), "{once}");
    assert_eq!(once, demo(&["--hours", "0.3", "--seed", "42"]));
    assert_ne!(once, demo(&["--hours", "0.3", "--seed", "43"]));
}

#[test]
fn every_hot_spot_of_the_demonstration_is_relieved_and_nothing_moves_back_and_forth() {
    for seed in ["1", "7"] {
        let told = demo(&["--json", "--seed", seed]);
        let last = told.lines().last().expect("there is a summary");
        let last: serde_json::Value = serde_json::from_str(last).expect("each line is JSON");
        let summary = &last["summary"];
        assert_eq!((summary["hosts"].as_u64(), summary["vms"].as_u64()), (Some(12), Some(150)));
        assert!(summary["hot_spots"].as_u64() >= Some(3), "seed {seed}: {told}");
        assert_eq!(summary["relieved"], summary["hot_spots"], "seed {seed}: {told}");
        assert_eq!(summary["failed"], 0, "seed {seed}: {told}");
        assert_eq!(summary["back_and_forth"], 0, "seed {seed}: {told}");
    }
}
