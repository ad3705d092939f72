//! The real daemon and the real command, as an administrator would use them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use ulm_lab_tests::Lab;

/// A daemon with state, socket and policy of its own. Dropping it kills it.
pub struct Ulm<'l> {
    lab: &'l Lab,
    program: PathBuf,
    folder: PathBuf,
    daemon: Child,
}

/// What the tests look at of a host's status.
#[derive(Debug)]
pub struct Host {
    pub name: String,
    pub state: String,
    /// CPU in use, in ten-thousandths of all.
    pub cpu_share: Option<u64>,
}

impl<'l> Ulm<'l> {
    /// Builds the program, starts the daemon and waits until it answers.
    pub fn serve(lab: &'l Lab, policy: &str) -> Self {
        let program = built();
        let folder = Lab::state_folder().join(format!("ulm-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("the lab's folder can be written");
        std::fs::write(folder.join("policy.toml"), policy).expect("the lab's folder can be written");
        let daemon = spawn(&program, &folder);
        let ulm = Ulm { lab, program, folder, daemon };
        ulm.wait_until_it_answers();
        ulm
    }

    /// Writes the policy file anew, as an editor does: all of it at once.
    pub fn write_policy(&self, policy: &str) {
        let (next, file) = (self.folder.join("policy.new"), self.folder.join("policy.toml"));
        std::fs::write(&next, policy).and_then(|()| std::fs::rename(&next, &file)).expect("the folder can be written");
    }

    /// Takes the lab's hosts under care, each by its own transport.
    pub fn add_hosts(&self, hosts: u32) {
        for host in 1..=hosts {
            let (uri, peer) = (self.lab.uri(host), self.lab.peer_uri(host));
            self.run(&["host", "add", &uri, "--peer", &peer]).unwrap_or_else(|error| panic!("host {host}: {error}"));
        }
    }

    /// Runs a command; its standard output, or its standard error when it fails.
    pub fn run(&self, args: &[&str]) -> Result<String, String> {
        let output = Command::new(&self.program)
            .arg("--socket")
            .arg(self.folder.join("ulm.sock"))
            .args(args)
            .output()
            .expect("the program can be run");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Runs a command that must succeed; what it prints for programs.
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["--json"].iter().chain(args).copied().collect();
        let text = self.run(&args).unwrap_or_else(|error| panic!("ulm {args:?}: {error}"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("ulm {args:?} printed no JSON: {error}\n{text}"))
    }

    /// Every host's status.
    pub fn hosts(&self) -> Vec<Host> {
        let status = self.json(&["status"]);
        let hosts = status["hosts"].as_array().expect("the status lists hosts");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let host =
            |h: &Value| Host { name: text(&h["name"]), state: text(&h["state"]), cpu_share: h["cpu_share"].as_u64() };
        hosts.iter().map(host).collect()
    }

    /// What the ledger tells, oldest first.
    pub fn ledger(&self) -> Vec<Value> {
        let told = self.json(&["history"]);
        let entries = told["entries"].as_array().expect("the ledger is a list");
        entries.iter().map(|entry| entry["event"].clone()).collect()
    }

    /// The ledger's entries of one kind, oldest first.
    pub fn events_of(&self, kind: &str) -> Vec<Value> {
        self.ledger().into_iter().filter(|event| event["event"] == kind).collect()
    }

    /// Whether the VM is being copied and some of its memory has gone over.
    pub fn copying(&self, vm: &str) -> bool {
        let status = self.json(&["status"]);
        let moves = status["moves"].as_array().expect("the status lists moves");
        moves
            .iter()
            .any(|m| m["key"]["vm_name"] == vm && m["phase"] == "copying" && m["progress"]["sent"].as_u64() > Some(0))
    }

    /// kill -9, in the middle of whatever it does.
    pub fn kill(&mut self) {
        self.daemon.kill().expect("it runs");
        self.daemon.wait().expect("it was our child");
    }

    /// Starts the daemon on the same state.
    pub fn start_again(&mut self) {
        self.daemon = spawn(&self.program, &self.folder);
        self.wait_until_it_answers();
    }

    fn wait_until_it_answers(&self) {
        wait_until("the daemon answers", || self.run(&["status"]).is_ok());
    }
}

impl Drop for Ulm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.join("ulm.log")).unwrap_or_default();
            eprintln!("the daemon's log:\n{log}\nthe ledger:\n{}", self.run(&["history"]).unwrap_or_else(|e| e));
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn spawn(program: &Path, folder: &Path) -> Child {
    let log =
        std::fs::File::options().create(true).append(true).open(folder.join("ulm.log")).expect("it can be written");
    Command::new(program)
        .arg("--socket")
        .arg(folder.join("ulm.sock"))
        .args(["serve", "--state"])
        .arg(folder.join("state"))
        .arg("--policy")
        .arg(folder.join("policy.toml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file can be shared"))
        .stderr(log)
        .spawn()
        .expect("the program can be run")
}

/// The program, built as this test was: same folder, same profile.
fn built() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    let profile = test.parent().and_then(Path::parent).expect("tests lie in PROFILE/deps").to_owned();
    let target = profile.parent().expect("profiles lie in the target folder");
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).args([
        "build",
        "--offline",
        "--quiet",
        "-p",
        "ulm",
    ]);
    build.arg("--target-dir").arg(target);
    // What `cargo test` tells this test of its own package would have ring, and all that stands on it,
    // built anew each time.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_MANIFEST_") || text.starts_with("CARGO_PKG_") {
            build.env_remove(&name);
        }
    }
    if profile.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().expect("cargo can be run").success(), "the program does not build");
    profile.join("ulm")
}

/// Polls until `done`, with a generous deadline: no assertion on time.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(180);
    while !done() {
        assert!(Instant::now() < deadline, "gave up waiting until {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
