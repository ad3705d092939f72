//! ULM's tests against real libvirt hosts, and the Rust side of the lab.
//!
//! The lab itself is `lab/lab` (bash; see `lab/README.md`): N libvirtd hosts in namespaces of this
//! machine with QEMU guests that count, dirty memory and answer pings. This crate wraps its commands:
//!
//! ```no_run
//! use ulm_lab_tests::{Guest, Lab};
//!
//! #[test]
//! fn a_guest_counts() {
//!     let Some(lab) = Lab::require() else { return };
//!     lab.up(2);
//!     lab.guest(&Guest::new("g1", 1, 1));
//!     assert!(lab.guest_check("g1").counting);
//! } // dropping the lab takes it down
//! ```
//!
//! [`Lab::require`] gives one test at a time a lab, inside the lab's controller namespace (so that a
//! test can simply connect to [`Lab::uri`]), or returns `None` when the test is over: it was skipped
//! with a printed reason, or it has just run, and passed, in a child process inside that namespace.
//! With `ULM_LAB_REQUIRED=1` in the environment nothing is ever skipped.
//!
//! These are tests, so everything here panics with the lab's own sentence when something fails.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Set for the child process that runs one test inside the controller's namespace; names the file
/// that the child makes to prove that the test really ran.
const INSIDE: &str = "ULM_LAB_TEST_INSIDE";

/// A lab that this test has for itself. Dropping it takes the lab down.
#[derive(Debug)]
pub struct Lab {
    /// Held for as long as the lab is ours; `None` in a child whose parent holds it.
    _turn: Option<File>,
    host_cpus: Option<String>,
    host_mem_mib: Option<String>,
}

/// A guest to start: its load, and the host that starts it.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Name of the VM in libvirt.
    pub name: String,
    /// 1 to 150, one per guest of a lab: gives MAC, UUID and the address 10.77.1.(100+id).
    pub id: u32,
    /// The host that defines and starts it, from 1.
    pub host: u32,
    /// Memory in MiB.
    pub mem_mib: u32,
    /// Memory that it keeps dirtying, in MiB; at most `mem_mib - 64`.
    pub dirty_mib: u32,
    /// How fast it dirties that memory, in MiB/s.
    pub rate_mib_s: u32,
    /// Share of its one vCPU that it burns, 0 to 100 percent.
    pub cpu_percent: u32,
    /// Its disk.
    pub disk: Disk,
}

/// The disk of a [`Guest`], written to once a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// None at all.
    None,
    /// On storage that all hosts share: the guest can move.
    Shared,
    /// On the host's own disk: libvirt refuses to move the guest.
    Local,
}

impl Guest {
    /// A light guest without a disk: 128 MiB, of which 16 are dirtied at 4 MiB/s; about 7 % of a core under TCG.
    pub fn new(name: &str, id: u32, host: u32) -> Self {
        Self {
            name: name.to_owned(),
            id,
            host,
            mem_mib: 128,
            dirty_mib: 16,
            rate_mib_s: 4,
            cpu_percent: 0,
            disk: Disk::None,
        }
    }

    /// The same guest, burning this share of its vCPU, in percent.
    pub fn cpu(mut self, percent: u32) -> Self {
        self.cpu_percent = percent;
        self
    }

    /// The same guest with other memory: `mem_mib` in all, `dirty_mib` of it dirtied at `rate_mib_s`.
    pub fn memory(mut self, mem_mib: u32, dirty_mib: u32, rate_mib_s: u32) -> Self {
        (self.mem_mib, self.dirty_mib, self.rate_mib_s) = (mem_mib, dirty_mib, rate_mib_s);
        self
    }

    /// The same guest with this disk.
    pub fn disk(mut self, disk: Disk) -> Self {
        self.disk = disk;
        self
    }
}

/// What a guest says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestCheck {
    /// How often its kernel booted: more than once means that it crashed, or was started again.
    pub boots: u64,
    /// The last value of its counter.
    pub counter: u64,
    /// Whether the counter moved while the check watched (up to 10 s).
    pub counting: bool,
    /// How often the counter went back without a boot between.
    pub regressions: u64,
    /// Pages that did not hold what the guest had written there.
    pub bad_pages: u64,
    /// Longest pause of the guest's work by its own clock, in ms. That clock stands still while QEMU
    /// hands the guest over; [`Lab::ping_stop`] has the view from outside.
    pub longest_gap_ms: u64,
    /// The share of its vCPU that it was last told to burn, in percent.
    pub cpu_percent: u64,
}

impl GuestCheck {
    /// Panics unless the guest lives, has booted once, and lost nothing.
    #[track_caller]
    pub fn assert_unharmed(&self) {
        assert!(
            self.counting && self.boots == 1 && self.regressions == 0 && self.bad_pages == 0,
            "the guest was harmed: {self:?}"
        );
    }
}

/// The result of pinging a guest every 20 ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pings {
    /// Pings sent.
    pub sent: u64,
    /// Pings answered.
    pub received: u64,
    /// Pings never answered.
    pub lost: u64,
    /// Longest time from one answer to the next, in ms.
    pub longest_gap_ms: u64,
}

/// One host's view of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The host, from 1.
    pub host: u32,
    /// The state in virsh's words: `running`, `paused`, `shut off` …
    pub state: String,
}

/// What to do with a host's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Cut it: libvirtd and every guest are gone at once.
    Off,
    /// Give it back: guests are defined there, shut off.
    On,
}

/// What to do to a host's libvirtd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Libvirtd {
    /// Kill it; it starts again after one second.
    Kill,
    /// Stop it: connections stay open, nothing answers.
    Hang,
    /// Let it go on after [`Libvirtd::Hang`].
    Resume,
}

/// What to do to a host's management and migration link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Pull the cable.
    Down,
    /// Put it back.
    Up,
    /// Limit it to so many MiB/s in both directions; 0 lifts the limit.
    Rate(u32),
}

impl Lab {
    /// Gives the calling test a lab of its own, still down, or `None` when there is nothing left to do
    /// for this test: see the crate's documentation. Waits while another test has the lab.
    ///
    /// # Panics
    /// When `ULM_LAB_REQUIRED=1` and the lab cannot run, or when the test failed in its child process.
    pub fn require() -> Option<Self> {
        if let Some(mark) = std::env::var_os(INSIDE) {
            File::create(&mark).expect("the parent's folder takes a file");
            return Some(Self { _turn: None, host_cpus: None, host_mem_mib: None });
        }
        if let Some(reason) = why_not() {
            assert!(
                std::env::var_os("ULM_LAB_REQUIRED").is_none_or(|v| v != "1"),
                "the lab is required, but: {reason}"
            );
            // not eprintln!: the harness would swallow it, and a skipped test must not look like a passed one
            let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
            return None;
        }
        let turn = wait_for_turn();
        if is_inside() {
            return Some(Self { _turn: Some(turn), host_cpus: None, host_mem_mib: None });
        }
        run_this_test_inside();
        drop(turn);
        None
    }

    /// CPUs of the hosts as libvirt reports them, for the next [`Lab::up`]: "1" for all, or by host, "1,2,4".
    pub fn host_cpus(mut self, cpus: &str) -> Self {
        self.host_cpus = Some(cpus.to_owned());
        self
    }

    /// Memory of the hosts in MiB as libvirt reports it, for the next [`Lab::up`]: one value, or by host.
    pub fn host_mem_mib(mut self, mib: &str) -> Self {
        self.host_mem_mib = Some(mib.to_owned());
        self
    }

    /// Brings up `hosts` hosts, after taking down what is left of an earlier lab.
    #[track_caller]
    pub fn up(&self, hosts: u32) {
        self.run(&["up", &hosts.to_string()]);
    }

    /// Takes everything down. Dropping the lab does the same.
    #[track_caller]
    pub fn down(&self) {
        self.run(&["down"]);
    }

    /// Starts a guest and waits until it counts and answers pings.
    #[track_caller]
    pub fn guest(&self, guest: &Guest) {
        self.run(&self.guest_args(guest));
    }

    /// Starts several guests side by side, and waits for all of them.
    #[track_caller]
    pub fn guests(&self, guests: &[Guest]) {
        let started: Vec<_> = guests
            .iter()
            .map(|guest| {
                self.command(&self.guest_args(guest))
                    .stderr(std::process::Stdio::piped())
                    .spawn()
                    .expect("lab/lab can be started")
            })
            .collect();
        for (guest, child) in guests.iter().zip(started) {
            let output = child.wait_with_output().expect("lab/lab ends");
            assert!(output.status.success(), "lab guest {}: {}", guest.name, text(&output.stderr));
        }
    }

    /// Changes the share of its vCPU that a running guest burns, in percent. A move keeps it.
    #[track_caller]
    pub fn set_cpu(&self, guest: &str, percent: u32) {
        self.run(&["cpu", guest, &percent.to_string()]);
    }

    /// Changes how fast a running guest dirties its memory, in MiB/s. A move keeps it.
    #[track_caller]
    pub fn set_rate(&self, guest: &str, mib_s: u32) {
        self.run(&["rate", guest, &mib_s.to_string()]);
    }

    /// Asks a guest how it fared since it was started.
    #[track_caller]
    pub fn guest_check(&self, guest: &str) -> GuestCheck {
        let json = self.json(&["guest-check", guest]);
        GuestCheck {
            boots: number(&json, "boots"),
            counter: number(&json, "counter"),
            counting: json["counting"] == Value::Bool(true),
            regressions: number(&json, "regressions"),
            bad_pages: number(&json, "bad_pages"),
            longest_gap_ms: number(&json, "longest_gap_ms"),
            cpu_percent: number(&json, "cpu_percent"),
        }
    }

    /// Starts pinging a guest every 20 ms in the background; returns after the first answer.
    #[track_caller]
    pub fn ping_start(&self, guest: &str) {
        self.run(&["ping", guest, "start"]);
    }

    /// Ends the pings and sums them up.
    #[track_caller]
    pub fn ping_stop(&self, guest: &str) -> Pings {
        let json = self.json(&["ping", guest, "stop"]);
        Pings {
            sent: number(&json, "sent"),
            received: number(&json, "received"),
            lost: number(&json, "lost"),
            longest_gap_ms: number(&json, "longest_gap_ms"),
        }
    }

    /// The hosts that know the guest, in order, each with the state it has there.
    #[track_caller]
    pub fn places(&self, guest: &str) -> Vec<Place> {
        let json = self.json(&["where", guest]);
        let hosts = json["hosts"].as_array().expect("lab where prints a list");
        hosts
            .iter()
            .map(|place| Place {
                host: number(place, "host") as u32,
                state: place["state"].as_str().unwrap_or_default().to_owned(),
            })
            .collect()
    }

    /// Cuts or gives back a host's power; returns when the host is gone, or answers again.
    #[track_caller]
    pub fn power(&self, host: u32, power: Power) {
        let what = match power {
            Power::Off => "off",
            Power::On => "on",
        };
        self.run(&["power", &host.to_string(), what]);
    }

    /// Kills, stops or resumes a host's libvirtd.
    #[track_caller]
    pub fn libvirtd(&self, host: u32, what: Libvirtd) {
        let what = match what {
            Libvirtd::Kill => "kill",
            Libvirtd::Hang => "hang",
            Libvirtd::Resume => "resume",
        };
        self.run(&["libvirtd", &host.to_string(), what]);
    }

    /// Pulls, puts back or slows down a host's management and migration link.
    #[track_caller]
    pub fn link(&self, host: u32, link: Link) {
        let host = host.to_string();
        match link {
            Link::Down => self.run(&["link", &host, "down"]),
            Link::Up => self.run(&["link", &host, "up"]),
            Link::Rate(mib_s) => self.run(&["link", &host, "rate", &mib_s.to_string()]),
        };
    }

    /// The URI by which a controller reaches the host: host 1 by TCP, 2 by SSH, 3 by TLS, the rest by TCP.
    #[track_caller]
    pub fn uri(&self, host: u32) -> String {
        self.run(&["uri", &host.to_string()])
    }

    /// Host 2 by an sshd whose users find no `virt-ssh-helper`, so that `nc -U` is the only way.
    #[track_caller]
    pub fn uri_without_ssh_helper(&self) -> String {
        self.run(&["uri", "2", "--nc"])
    }

    /// [`Lab::uri`] in a form that virsh understands in every respect (it takes no known-hosts file for SSH).
    #[track_caller]
    pub fn virsh_uri(&self, host: u32) -> String {
        if host == 2 { self.run(&["uri", "2", "--virsh"]) } else { self.uri(host) }
    }

    /// The URI by which the other hosts reach this host: where a peer-to-peer move goes.
    #[track_caller]
    pub fn peer_uri(&self, host: u32) -> String {
        self.run(&["peer-uri", &host.to_string()])
    }

    /// Runs virsh on a host: the cross-check of what ULM says. Returns what it printed, or its error text.
    pub fn virsh(&self, uri: &str, args: &[&str]) -> Result<String, String> {
        let output =
            self.command(&["exec", "virsh", "-q", "-c", uri]).args(args).output().expect("lab/lab can be started");
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The lab's state folder: keys, certificates, consoles and logs lie there.
    pub fn state_folder() -> PathBuf {
        std::env::var_os("ULM_LAB").map_or_else(|| PathBuf::from("/tmp/ulm-lab"), PathBuf::from)
    }

    /// A command on the controller's machine, ready to be run: for daemons that a test starts.
    pub fn exec(&self, program: &Path) -> Command {
        let mut command = self.command(&["exec"]);
        command.arg(program);
        command
    }

    fn guest_args(&self, guest: &Guest) -> Vec<String> {
        let mut args: Vec<String> = ["guest", &guest.name].map(str::to_owned).into();
        args.extend([guest.id, guest.host].map(|n| n.to_string()));
        for (option, value) in [
            ("--mem", guest.mem_mib),
            ("--dirty", guest.dirty_mib),
            ("--rate", guest.rate_mib_s),
            ("--cpu", guest.cpu_percent),
        ] {
            args.extend([option.to_owned(), value.to_string()]);
        }
        match guest.disk {
            Disk::None => {}
            Disk::Shared => args.push("--disk".to_owned()),
            Disk::Local => args.push("--local-disk".to_owned()),
        }
        args
    }

    fn command<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(program());
        command.args(args);
        if let Some(cpus) = &self.host_cpus {
            command.env("LAB_HOST_CPUS", cpus);
        }
        if let Some(mib) = &self.host_mem_mib {
            command.env("LAB_HOST_MEM_MIB", mib);
        }
        command
    }

    #[track_caller]
    fn run<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> String {
        let output = self.command(args).output().expect("lab/lab can be started");
        let words: Vec<_> = args.iter().map(|a| a.as_ref().to_string_lossy()).collect();
        assert!(output.status.success(), "lab {} failed: {}", words.join(" "), text(&output.stderr));
        text(&output.stdout)
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        let printed = self.run(args);
        serde_json::from_str(&printed)
            .unwrap_or_else(|e| panic!("lab {} printed no JSON ({e}): {printed}", args.join(" ")))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.command(&["logs", "12"]).output();
            eprintln!("--- the lab's logs\n{}---", logs.map_or_else(|e| e.to_string(), |o| text(&o.stdout)));
        }
        let down = self.command(&["down"]).output();
        if !down.is_ok_and(|output| output.status.success()) {
            eprintln!("lab down failed; run it by hand: {} down", program().display());
        }
    }
}

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[track_caller]
fn number(json: &Value, key: &str) -> u64 {
    json[key].as_u64().unwrap_or_else(|| panic!("the lab printed no number '{key}': {json}"))
}

/// Why the lab cannot run on this machine, in one line.
fn why_not() -> Option<String> {
    let Output { status, stdout, stderr } = match Command::new(program()).arg("check").output() {
        Ok(output) => output,
        Err(e) => return Some(format!("{} cannot be started: {e}", program().display())),
    };
    if status.success() {
        return None;
    }
    let sentences = [text(&stdout), text(&stderr)].join(" ");
    Some(format!("the lab cannot run here. {}", sentences.split_whitespace().collect::<Vec<_>>().join(" ")))
}

/// One test at a time has the lab, over all test programs: the lock falls with the file, or with its process.
fn wait_for_turn() -> File {
    std::fs::create_dir_all(Lab::state_folder()).expect("the lab's state folder can be made");
    let file = File::create(Lab::state_folder().join("tests.lock")).expect("the lab's state folder is writable");
    file.lock().expect("the lab's lock can be taken");
    file
}

fn is_inside() -> bool {
    Command::new(program()).args(["exec", "--is-inside"]).output().is_ok_and(|output| output.status.success())
}

/// Runs the test that calls us once more, as a child process on the controller's machine. The name of a
/// test is that of its thread, which the test harness sets.
fn run_this_test_inside() {
    let thread = std::thread::current();
    let name = thread.name().filter(|name| *name != "main").expect(
        "a lab test must be called from the test's own thread: leave out --test-threads=1 (lab tests take turns anyway), or use `lab/lab exec cargo test`",
    );
    let mark = Lab::state_folder().join(format!("ran.{}", std::process::id()));
    let _ = std::fs::remove_file(&mark);
    let status = Command::new(program())
        .arg("exec")
        .arg(std::env::current_exe().expect("a program knows its own path"))
        .args([name, "--exact", "--include-ignored", "--nocapture", "--quiet"])
        .env(INSIDE, &mark)
        .status()
        .expect("lab/lab can be started");
    let ran = std::fs::remove_file(&mark).is_ok();
    // Also after a child that was killed, and with it its guard.
    let _ = Command::new(program()).arg("down").output();
    assert!(ran, "the test '{name}' was not found by its own program");
    assert!(status.success(), "'{name}' failed inside the lab: see its output above");
}
