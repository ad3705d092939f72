//! The real command against the real daemon over a real socket; only the hypervisors are simulated.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Two hosts and four VMs; a move takes some seconds, so that it can be seen and aborted.
const SCENARIO: &str = r#"
seed = 1
[[host]]
name = "left"
cpus = 8
memory = "32GiB"
link = "400MiB/s"
[[host]]
name = "right"
cpus = 8
memory = "32GiB"
link = "400MiB/s"
[[vm]]
name = "web-{}"
count = 2
host = "left"
vcpus = 2
memory = "1GiB"
[[vm]]
name = "big"
host = "left"
vcpus = 2
memory = "16GiB"
resident = { shape = { constant = 100.0 } }
[[vm]]
name = "tied"
host = "left"
vcpus = 1
memory = "1GiB"
fixtures = [{ passthrough = { device = "pci 0000:3b:00.0" } }]
"#;

const POLICY: &str = "[observe]\ninterval = \"1s\"\n";

/// Far more than anything here takes; reached only when something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of its own for each test.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        std::fs::write(folder.path().join("scenario.toml"), SCENARIO).expect("it can be written to");
        std::fs::write(folder.path().join("policy.toml"), POLICY).expect("it can be written to");
        Place(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ulm"));
        command
            .args(args)
            .env("ULM_SOCKET", self.path("run/ulm.sock"))
            .env("ULM_STATE", self.path("state"))
            .env("NO_COLOR", "1")
            .current_dir(self.0.path());
        command
    }

    fn ulm(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the command can be run")
    }

    /// Standard output of a command that succeeds.
    fn told(&self, args: &[&str]) -> String {
        let output = self.ulm(args);
        assert!(output.status.success(), "ulm {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("the command speaks UTF-8")
    }

    fn json(&self, args: &[&str]) -> Value {
        let args = [args, &["--json"]].concat();
        serde_json::from_str(&self.told(&args)).expect("--json prints JSON")
    }

    /// Exit code and standard error of a command that fails.
    fn refused(&self, args: &[&str]) -> (i32, String) {
        let output = self.ulm(args);
        let code = output.status.code().expect("it was not killed");
        assert_ne!(code, 0, "ulm {args:?} should have failed: {}", String::from_utf8_lossy(&output.stdout));
        (code, String::from_utf8(output.stderr).expect("the command speaks UTF-8"))
    }

    /// Starts the daemon.
    fn start(&self) -> Daemon {
        let args = ["serve", "--simulate", "scenario.toml", "--policy", "policy.toml"];
        let log =
            std::fs::File::options().create(true).append(true).open(self.path("log")).expect("a log can be written");
        Daemon(self.command(&args).stderr(log).stdout(Stdio::null()).spawn().expect("it can be started"))
    }

    /// Starts the daemon and waits until it has seen its hosts.
    fn serve(&self) -> Daemon {
        let daemon = self.start();
        self.until("both hosts are up", |status| {
            let hosts = status["hosts"].as_array()?;
            (hosts.len() == 2 && hosts.iter().all(|host| host["state"] == "up")).then_some(())
        });
        daemon
    }

    /// Waits until the status says so.
    fn until<T>(&self, what: &str, look: impl Fn(&Value) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let output = self.ulm(&["status", "--json"]);
            let status: Option<Value> = serde_json::from_slice(&output.stdout).ok();
            if let Some(found) = status.as_ref().and_then(&look) {
                return found;
            }
            let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}; status: {status:?}; log:\n{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn until_there_are_figures(&self) {
        self.until("there are figures", |status| {
            let hosts = status["hosts"].as_array()?;
            hosts.iter().all(|host| !host["cpu_use"].is_null()).then_some(())
        });
    }

    /// As the daemon itself says.
    fn search_runs(&self) -> bool {
        let mut stream = UnixStream::connect(self.path("run/ulm.sock")).expect("the daemon listens");
        let request = "GET /v1/plan/search HTTP/1.1\r\nhost: ulm\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("it can be asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer.starts_with("HTTP/1.1 200")
    }

    fn home_of(&self, vm: &str) -> String {
        let vms = self.json(&["status", "--vms"]);
        let vm = vms.as_array().and_then(|vms| vms.iter().find(|it| it["name"] == vm)).expect("the VM is listed");
        vm["host"].as_str().expect("a VM has a host").to_owned()
    }
}

/// Killed when a test fails half-way.
struct Daemon(Child);

impl Daemon {
    fn kill_9(mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }

    /// Stops it as an administrator would.
    fn stop(mut self) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill can be run").success());
        assert!(self.0.wait().expect("it ends").success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_day_of_an_administrator() {
    let place = Place::new();
    let daemon = place.serve();

    let hosts = place.told(&["host", "list"]);
    assert!(hosts.contains("left") && hosts.contains("sim:///right"), "{hosts}");
    assert!(place.told(&["status"]).contains("acting off"));
    let plan = place.told(&["plan"]);
    assert!(plan.contains("Acting is off") && plan.contains("Nothing is to be done now"), "{plan}");

    // A move by hand is carried out although acting is off, and ends with the VM there.
    let moved = place.told(&["migrate", "web-1", "right"]);
    assert!(moved.contains("moved: web-1 runs on right"), "{moved}");
    place.until("the figures agree", |_| (place.home_of("web-1") == "right").then_some(()));

    // What rules speak against is refused with its reason.
    let (code, error) = place.refused(&["migrate", "tied", "right"]);
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("pci 0000:3b:00.0"), "{error}");
    place.told(&["host", "maintenance", "right", "on"]);
    let (code, error) = place.refused(&["migrate", "web-2", "right"]);
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("maintenance"), "{error}");
    place.told(&["host", "maintenance", "right", "off"]);

    // An abort leaves the VM where it was, and the one who waits is told.
    let waiting = place.command(&["migrate", "big", "right"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn();
    let waiting = waiting.expect("the command can be run");
    place.until("the copy runs", |status| {
        status["moves"].as_array()?.iter().any(|it| it["phase"] == "copying").then_some(())
    });
    assert!(place.told(&["abort", "big"]).contains("the abort is asked for"));
    let ended = waiting.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("stayed on its host"));
    place.until("the figures agree", |_| (place.home_of("big") == "left").then_some(()));

    place.told(&["enable"]);
    assert!(place.told(&["status"]).contains("acting on"));
    place.told(&["disable"]);
    assert!(place.told(&["status"]).contains("acting off"));

    let history = place.told(&["history"]);
    for wanted in ["move web-1: left -> right ended", "switched on by", "big: left -> right to be aborted"] {
        assert!(history.contains(wanted), "{wanted} is missing in:\n{history}");
    }
    let of_vm = place.json(&["history", "big", "--metric", "memory_use"]);
    assert!(of_vm["entries"].as_array().is_some_and(|entries| entries.len() >= 3), "{of_vm}");
    assert_eq!(of_vm["series"][0]["metric"], "memory_use", "{of_vm}");

    place.told(&["host", "remove", "right"]);
    assert!(!place.told(&["host", "list"]).contains("right"));
    daemon.stop();
    assert!(!place.path("run/ulm.sock").exists(), "an orderly end takes the socket away");
    assert_eq!(place.refused(&["status"]).0, 4);
}

#[test]
fn wrong_names_and_files_are_told_with_what_to_do() {
    let place = Place::new();
    let _daemon = place.serve();
    let (code, error) = place.refused(&["migrate", "web-9", "right"]);
    assert_eq!(code, 2);
    assert!(error.contains("did you mean `web-"), "{error}");
    assert_eq!(place.refused(&["migrate", "web-1", "nowhere"]).0, 2);
    let (code, error) = place.refused(&["host", "add", "not a uri"]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("sim:///NAME"), "{error}");
    assert_eq!(place.refused(&["host", "add", "sim:///left"]).0, 3, "it is there already");
    assert_eq!(place.refused(&["host", "remove", "nowhere"]).0, 2);
    std::fs::write(place.path("plan.json"), "{\n  \"schema\": \"ulm.plan/1\",\n  \"steps\": 3\n}").expect("written");
    let (code, error) = place.refused(&["apply", "plan.json"]);
    assert_eq!(code, 2);
    assert!(error.contains("line 3, column"), "{error}");
    let (code, error) = place.refused(&["history", "left", "--metric", "happiness"]);
    assert_eq!(code, 2);
    assert!(error.contains("cpu_use"), "{error}");
    let (code, error) = place.refused(&["migrate", "tied", "right", "--json"]);
    let error: Value = serde_json::from_str(&error).expect("--json tells errors as JSON");
    assert_eq!((code, error["error"]["reasons"][0]["code"].as_str()), (3, Some("vm.immovable")));
}

#[test]
fn a_second_daemon_is_refused_and_the_first_one_goes_on() {
    let place = Place::new();
    let _daemon = place.serve();
    let (code, error) = place.refused(&["serve", "--simulate", "scenario.toml"]);
    assert_eq!(code, 1);
    assert!(error.contains("another daemon"), "{error}");
    let (code, error) = place.refused(&["serve", "--simulate", "scenario.toml", "--socket", "other.sock"]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("stop it first"), "{error}");
    assert!(!place.path("other.sock").exists());
    assert!(place.told(&["status"]).contains("acting off"));
}

#[test]
fn after_kill_9_hosts_acting_and_ledger_are_as_they_were() {
    let place = Place::new();
    let daemon = place.serve();
    place.told(&["host", "maintenance", "right", "on"]);
    place.told(&["enable"]);
    place.told(&["host", "maintenance", "right", "off"]);
    place.told(&["migrate", "web-1", "right"]);
    place.told(&["host", "maintenance", "left", "on"]);
    let before = place.json(&["history"]);
    daemon.kill_9();
    assert!(place.path("run/ulm.sock").exists(), "a dead daemon leaves its socket behind");
    assert_eq!(place.refused(&["status"]).0, 4);

    let again = place.start();
    place.until("the first round has ended", |status| status["round"].as_object().map(|_| ()));
    let status = place.json(&["status"]);
    assert_eq!(status["acting"], "on");
    let hosts: Vec<_> = status["hosts"].as_array().expect("a list").iter().map(|host| &host["name"]).collect();
    assert_eq!(hosts, ["left", "right"]);
    place.until("maintenance is remembered", |status| (status["hosts"][0]["state"] == "maintenance").then_some(()));
    let after = place.json(&["history"]);
    let (before, after) = (before["entries"].as_array().expect("a list"), after["entries"].as_array().expect("a list"));
    assert_eq!(&after[..before.len()], &before[..], "entries are only ever added");
    assert!(before.iter().any(|entry| entry["event"]["event"] == "move_ended"), "{before:#?}");
    again.stop();
}

#[test]
fn the_socket_is_for_its_owner_and_group() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let _daemon = place.serve();
    let mode = std::fs::metadata(place.path("run/ulm.sock")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert!(Path::new(&place.path("state")).is_dir());
}

#[test]
fn a_forecast_of_what_is_hardly_known_says_so_and_a_wrong_name_gets_the_nearest() {
    let place = Place::new();
    let _daemon = place.serve();
    let points = place.json(&["forecast", "web-1", "--hours", "3"]);
    let points = points.as_array().expect("a list");
    assert_eq!(points.len(), 12);
    assert!(
        points.iter().all(|point| point["high"] == 2000 && point["at"].as_str().is_some_and(|at| at.ends_with('Z')))
    );
    let told = place.told(&["forecast", "web-1"]);
    assert!(told.starts_with("Nothing is known of web-1 yet") && told.lines().count() == 27, "{told}");
    let (code, error) = place.refused(&["forecast", "wbe-1"]);
    assert!(code == 2 && error.contains("did you mean `web-1`?"), "{code} {error}");
}

#[test]
fn a_changed_policy_takes_effect_without_a_restart_and_a_broken_one_is_told() {
    let place = Place::new();
    let daemon = place.serve();
    assert!(place.told(&["status"]).contains("of policy.toml, in force since"));
    std::fs::write(place.path("policy.toml"), "[observe]\ninterval = 1\n").expect("it can be written to");
    place.until("what is wrong is told", |status| {
        let troubles = status["troubles"].as_array()?;
        let told = |trouble: &Value| trouble.as_str().is_some_and(|told| told.contains("policy.toml, line 2, column"));
        (troubles.iter().any(told) && status["round"]["every"]["secs"] == 1).then_some(())
    });
    assert!(place.told(&["status"]).contains("trouble: the policy of"));

    std::fs::write(place.path("policy.toml"), "[observe]\ninterval = \"2s\"\n").expect("it can be written to");
    let pid = daemon.0.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().expect("kill can be run").success());
    place.until("the new one is in force", |status| {
        let troubles = status["troubles"].as_array()?;
        (status["round"]["every"]["secs"] == 2 && troubles.is_empty()).then_some(())
    });
    let history = place.told(&["history"]);
    for wanted in ["a changed policy is not sound, the old one stays: policy.toml, line 2", "in force, by "] {
        assert!(history.contains(wanted), "{wanted} is missing in:\n{history}");
    }
}

#[test]
fn the_daemon_looks_longer_and_ctrl_c_shows_the_best_so_far() {
    let place = Place::new();
    let policy = "[observe]\ninterval = \"1s\"\n[hotspot]\nabove = 1\nof = 1\n[[goal]]\nname = \"even\"\nkind = \"even\"\nfloor = \"0%\"\n";
    std::fs::write(place.path("policy.toml"), policy).expect("it can be written to");
    let daemon = place.serve();
    place.until_there_are_figures();
    let plan = place.told(&["plan", "--budget", "10k", "--output", "plan.json"]);
    assert!(plan.contains("a longer search of ") && place.path("plan.json").exists(), "{plan}");
    let (code, error) = place.refused(&["plan", "--time-limit", "3600"]);
    assert!(code == 2 && error.contains("600 s at most"), "{code} {error}");

    let waiting = place.command(&["plan", "--time-limit", "600"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let waiting = waiting.expect("the command can be run");
    place.until("a search runs", |_| place.search_runs().then_some(()));
    let (code, error) = place.refused(&["plan", "--budget", "10k"]);
    assert!(code == 3 && error.contains("one search runs at a time"), "{code} {error}");
    let pid = waiting.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill can be run").success());
    let ended = waiting.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && told.contains("this is the best so far"), "{ended:?}");

    // Who goes away without a word ends it as well.
    let mut waiting = place.command(&["plan", "--time-limit", "600"]).stdout(Stdio::null()).spawn().expect("it runs");
    place.until("a search runs", |_| place.search_runs().then_some(()));
    waiting.kill().expect("it runs");
    waiting.wait().expect("it ends");
    place.until("no search runs", |_| (!place.search_runs()).then_some(()));
    daemon.stop();
}

#[test]
fn why_and_why_not_are_answered() {
    let place = Place::new();
    // One figure is enough.
    let policy = "[observe]\ninterval = \"1s\"\n[hotspot]\nabove = 1\nof = 1\n";
    std::fs::write(place.path("policy.toml"), policy).expect("it can be written to");
    let _daemon = place.serve();
    place.until_there_are_figures();
    assert!(place.told(&["sharing"]).contains("The policy has no sharing group"));
    let samples = place.path("samples.json").display().to_string();
    let nobodys = r#"{"schema": "ulm.samples/1", "modulus": 1, "vms": {"nobody": [1]}}"#;
    std::fs::write(&samples, nobodys).expect("it can be written to");
    let (code, error) = place.refused(&["sharing", "--samples", &samples]);
    assert!(code == 2 && error.contains("there is no VM `nobody`"), "{code} {error}");
    assert!(place.told(&["capacity"]).contains("Largest VM that can start now: "));
    let best = place.told(&["best-host", "--cpu", "1", "--ram", "1GiB", "--quiet"]);
    assert!(["left\n", "right\n"].contains(&best.as_str()), "{best}");
    let (code, error) = place.refused(&["best-host", "--cpu", "1", "--ram", "1TiB", "--quiet"]);
    assert!(code == 3 && error.contains("left has"), "{code} {error}");
    let (code, error) = place.refused(&["best-host", "--cpu", "1", "--ram", "1GiB", "--label", "rack=r4"]);
    assert!(code == 3 && error.contains("does not have rack=r4"), "{code} {error}");

    place.told(&["migrate", "web-1", "right"]);
    place.until("the figures agree", |_| (place.home_of("web-1") == "right").then_some(()));

    let why = place.told(&["why", "web-1"]);
    for wanted in
        ["web-1 is on right.", "left -> right: ", "asked for it", "moved, took", "What the last decision says"]
    {
        assert!(why.contains(wanted), "{wanted} is missing in:\n{why}");
    }
    let why = place.json(&["why", "web-1"]);
    assert_eq!(why["moves"][0]["outcome"]["outcome"], "moved", "{why}");
    assert_eq!(place.json(&["why", "web-1", "--at", "1h"])["host"], "left");
    assert!(place.told(&["history", "web-1"]).contains("left -> right ended"));

    let why_not = place.told(&["why-not", "tied", "right"]);
    assert!(why_not.contains("tied is on left.") && why_not.contains("pci 0000:3b:00.0"), "{why_not}");
    let all = place.json(&["why-not", "--all", "tied"]);
    assert_eq!(all["targets"].as_array().map(Vec::len), Some(2), "{all}");
    assert!(place.told(&["why-not"]).contains("Nothing else moves now."));
    let (code, error) = place.refused(&["why-not", "tide", "right"]);
    assert!(code == 2 && error.contains("did you mean `tied`?"), "{code} {error}");
}
