//! What `ulm import` writes is a placement that `ulm path` takes; what `ulm export` writes is what the daemon saw.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ulm_model::{Snapshot, text};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().expect("a temporary folder can be made"))
    }
    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ulm"));
        command
            .args(args)
            .env("NO_COLOR", "1")
            .env("ULM_SOCKET", self.path("ulm.sock"))
            .env("ULM_STATE", self.path(""));
        command
    }
    fn ulm(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the command can be run")
    }
    fn told(&self, args: &[&str]) -> String {
        let output = self.ulm(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it is UTF-8")
    }
}

fn example(name: &str) -> String {
    let file: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    file.display().to_string()
}

#[test]
fn what_was_imported_is_a_sound_placement() {
    let (place, hosts, vms) = (Place::new(), example("import/hosts.csv"), example("import/vms.csv"));
    let a = place.path("A.json");
    let told = place.told(&["import", "csv", "--hosts", &hosts, "--vms", &vms, "--output", &a]);
    assert_eq!(told, format!("3 hosts and 5 VMs written to {a}; `ulm path {a} B.json` takes it as A.\n"));
    assert!(place.told(&["path", &a, &a]).starts_with("Nothing is to be done"));

    place.told(&["import", "ganeti", &example("import/small.ganeti"), "--output", &a]);
    assert!(place.told(&["path", &a, &a]).starts_with("Nothing is to be done"));
    // db1 and web1 change to other nodes: one to its secondary, the other wherever it likes.
    let placement = std::fs::read_to_string(&a).unwrap();
    let moved = placement.replace("\"web1\", \"host\": \"node1\"", "\"web1\", \"host\": \"node2\"");
    assert_ne!(moved, placement);
    std::fs::write(place.path("B.json"), moved).unwrap();
    assert!(place.told(&["path", &a, &place.path("B.json")]).contains("1 move"));
    let beyond = placement.replace("\"db1\", \"host\": \"node1\"", "\"db1\", \"host\": \"node3\"");
    std::fs::write(place.path("B.json"), beyond).unwrap();
    let refused = place.ulm(&["path", &a, &place.path("B.json")]);
    assert_eq!(refused.status.code(), Some(3), "a mirrored VM goes to its secondary only");
}

/// A daemon that is killed at the end, also of a test that fails.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_the_daemon_saw_can_be_shown_to_strangers() {
    let place = Place::new();
    let mut serve =
        place.command(&["serve", "--simulate", &example("three-hosts.toml"), "--policy", &example("quick.toml")]);
    let _daemon = Daemon(serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the daemon can be started"));
    let began = Instant::now();
    let seen = loop {
        let output = place.ulm(&["export"]);
        // The hosts of the scenario are added one by one, each is seen in a round.
        let seen = output.status.success().then(|| String::from_utf8(output.stdout).unwrap());
        if let Some(seen) = seen.filter(|seen| text::read::<Snapshot>(seen).unwrap().vms.len() > 1) {
            break seen;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{}", String::from_utf8_lossy(&output.stderr));
        std::thread::sleep(Duration::from_millis(100));
    };
    let snapshot: Snapshot = text::read(&seen).unwrap();
    assert!(snapshot.hosts.iter().any(|host| host.name.0 == "host1"));

    let (file, neutral) = (place.path("seen.json"), place.path("neutral.json"));
    std::fs::write(&file, &seen).unwrap();
    let told = place.told(&["export", &file, "--anonymous", "--output", &neutral]);
    assert!(told.ends_with(&format!("VMs written to {neutral}, without names.\n")), "{told}");
    let written = std::fs::read_to_string(&neutral).unwrap();
    for vm in &snapshot.vms {
        assert!(!written.contains(&format!("\"{}\"", vm.name)) && !written.contains(&vm.id.to_string()), "{written}");
    }
    assert_eq!(place.told(&["export", &file]), seen, "without the option nothing is changed");
}
