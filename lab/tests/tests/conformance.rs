//! The libvirt driver does what every driver must do, against real libvirt hosts and real guests: one host
//! by TCP, one by ssh, one by TLS. The guest is asked afterwards how it fared.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ulm_drivers::conformance::{self, Fixture, Hook};
use ulm_drivers::libvirt::{LibvirtDriver, LibvirtOptions, connect_once};
use ulm_drivers::{Driver, ErrorKind, JobKind, MoveOrder, Presence, Reading, RunState, SystemClock};
use ulm_lab_tests::{Disk, Guest, Lab, Libvirtd, Link};
use ulm_model::{Bytes, HostName, VmId};

const HOSTS: u32 = 3;

struct LabHosts {
    lab: Lab,
    drivers: Vec<Arc<dyn Driver>>,
}

fn shared_folder() -> PathBuf {
    Lab::state_folder().join("run/shared")
}

fn driver(lab: &Lab, number: u32) -> Arc<dyn Driver> {
    let options = LibvirtOptions {
        peer_uri: Some(lab.peer_uri(number)),
        shared_paths: vec![shared_folder()],
        ..LibvirtOptions::default()
    };
    let uri = lab.uri(number).parse().expect("the lab gives URIs that can be read");
    LibvirtDriver::new(HostName(format!("labh{number}")), uri, Arc::new(SystemClock), options)
}

fn number_of(host: &HostName) -> u32 {
    host.0.trim_start_matches("labh").parse().expect("the fixture's own names")
}

#[async_trait]
impl Fixture for LabHosts {
    fn drivers(&self) -> Vec<Arc<dyn Driver>> {
        self.drivers.clone()
    }

    fn movable(&self) -> String {
        "mover".to_owned()
    }

    fn tied(&self) -> Option<String> {
        Some("tied".to_owned())
    }

    fn dead_uri(&self) -> String {
        // A host of the lab, and a port at which nobody listens.
        "qemu+tcp://10.77.0.11:1/system".to_owned()
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(120)
    }

    async fn restart_hypervisor(&mut self, host: &HostName) -> Hook {
        tokio::task::block_in_place(|| self.lab.libvirtd(number_of(host), Libvirtd::Kill));
        Hook::Done
    }

    async fn cut_link_shortly(&mut self, host: &HostName) -> Hook {
        // The lab's libvirtd give up after 6 s of silence.
        tokio::task::block_in_place(|| self.lab.link(number_of(host), Link::Down));
        tokio::time::sleep(Duration::from_secs(2)).await;
        tokio::task::block_in_place(|| self.lab.link(number_of(host), Link::Up));
        Hook::Done
    }

    async fn fill_memory(&mut self, host: &HostName) -> Hook {
        // The mover has written to more than twice as much.
        let Some(folder) = memory_cgroup(host) else { return Hook::Unavailable };
        limit_memory(&folder, Some(resident(&folder) + (32 << 20)))
    }

    async fn free_memory(&mut self, host: &HostName) -> Hook {
        memory_cgroup(host).map_or(Hook::Unavailable, |folder| limit_memory(&folder, None))
    }
}

/// The control group that holds a lab host's processes, where the kernel has one for memory.
fn memory_cgroup(host: &HostName) -> Option<PathBuf> {
    let names = concat!(env!("CARGO_MANIFEST_DIR"), "/../lib/common.sh");
    let script = format!(". {names}; host_ns {}", number_of(host));
    let name = std::process::Command::new("bash").args(["-c", &script]).output().ok()?;
    let name = String::from_utf8(name.stdout).ok()?.trim().to_owned();
    let roots = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"].map(|root| PathBuf::from(root).join(&name));
    roots.into_iter().find(|folder| LIMITS.iter().any(|limit| folder.join(limit).exists()))
}

/// The files that hold the limit, of the first and of the second version of control groups.
const LIMITS: [&str; 2] = ["memory.limit_in_bytes", "memory.max"];

/// Bytes that the group's processes hold for themselves.
fn resident(folder: &Path) -> u64 {
    let stat = std::fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let of = |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    of("total_rss ").or_else(|| of("anon ")).unwrap_or(0)
}

fn limit_memory(folder: &Path, bytes: Option<u64>) -> Hook {
    let file = LIMITS.map(|limit| folder.join(limit)).into_iter().find(|file| file.exists());
    let text = match (&file, bytes) {
        (_, Some(bytes)) => bytes.to_string(),
        (Some(file), None) if file.ends_with("memory.max") => "max".to_owned(),
        (_, None) => "-1".to_owned(),
    };
    match file.map(|file| std::fs::write(file, text)) {
        Some(Ok(())) => Hook::Done,
        _ => Hook::Unavailable,
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

#[test]
fn the_libvirt_driver_does_what_every_driver_must_do() {
    let Some(lab) = Lab::require() else { return };
    lab.up(HOSTS);
    lab.guests(&[
        Guest::new("mover", 1, 1).memory(192, 64, 4).disk(Disk::Shared).cpu(10),
        // Not on the host whose memory is filled: the kernel would kill it instead of the guest that arrives.
        Guest::new("tied", 2, 3).disk(Disk::Local),
    ]);
    runtime().block_on(async {
        let drivers = (1..=HOSTS).map(|number| driver(&lab, number)).collect();
        let mut fixture = LabHosts { lab, drivers };
        let report = conformance::run(&mut fixture).await.unwrap_or_else(|failure| panic!("{failure}"));
        println!("{report}");
        let check = fixture.lab.guest_check("mover");
        println!("the guest after all moves: {check:?}");
        check.assert_unharmed();
    });
}

#[test]
fn facts_of_real_hosts_and_guests_name_what_a_move_needs() {
    let Some(lab) = Lab::require() else { return };
    lab.up(2);
    lab.guests(&[Guest::new("mover", 1, 1).disk(Disk::Shared), Guest::new("tied", 2, 1).disk(Disk::Local)]);
    runtime().block_on(async {
        let (one, two) = (driver(&lab, 1), driver(&lab, 2));
        up(&one).await;
        up(&two).await;
        let mover = one.vm_facts(id_of(&one, "mover").await).await.unwrap();
        println!("{mover:#?}");
        let target = two.facts().await.unwrap();
        println!("{target:#?}");
        assert!(mover.fixtures.is_empty());
        // The second host is empty: its bridge is known from libvirt's interface driver alone.
        assert!(mover.needs.networks.is_subset(&target.networks));
        assert!(mover.needs.storage.is_subset(&target.storage));
        assert!(!mover.needs.networks.is_empty() && !mover.needs.storage.is_empty());
        let tied = one.vm_facts(id_of(&one, "tied").await).await.unwrap();
        let path = "/var/lib/libvirt/images/tied.raw".to_owned();
        assert_eq!(tied.fixtures, [ulm_model::Fixture::LocalDisk { path }]);
    });
}

async fn up(driver: &Arc<dyn Driver>) {
    while driver.link() != ulm_drivers::Link::Up {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks again until the answer is there; generous, because no test here is about speed.
async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(answer) = probe().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn id_of(driver: &Arc<dyn Driver>, name: &str) -> VmId {
    let reading = driver.reading().await.unwrap();
    reading.vms.iter().find(|vm| vm.name == name).unwrap_or_else(|| panic!("{name} is not there: {reading:?}")).id
}

fn order(vm: VmId, to: &Arc<dyn Driver>) -> MoveOrder {
    MoveOrder { vm, to: to.host().clone(), to_uri: to.peer_uri(), bandwidth: None, max_downtime: None }
}

#[test]
fn a_transient_vm_stays_transient_and_a_snapshot_ties() {
    let Some(lab) = Lab::require() else { return };
    lab.up(2);
    lab.guests(&[Guest::new("transient", 1, 1), Guest::new("kept", 2, 1).disk(Disk::Shared)]);
    lab.virsh(&lab.virsh_uri(1), &["undefine", "transient"]).unwrap();
    let overlay = format!("vda,file={}", shared_folder().join("overlay.qcow2").display());
    let snapshot = ["snapshot-create-as", "kept", "s1", "--disk-only", "--diskspec", &overlay];
    lab.virsh(&lab.virsh_uri(1), &snapshot).unwrap();
    runtime().block_on(async {
        let (one, two) = (driver(&lab, 1), driver(&lab, 2));
        up(&one).await;
        up(&two).await;
        let (transient, kept) = (id_of(&one, "transient").await, id_of(&one, "kept").await);
        one.migrate(&order(transient, &two)).await.unwrap();
        assert_eq!(one.locate(transient).await.unwrap(), Presence::Absent);
        let persistent = lab.virsh(&lab.virsh_uri(2), &["list", "--transient", "--name"]).unwrap();
        assert_eq!(persistent, "transient");

        let facts = one.vm_facts(kept).await.unwrap();
        println!("{:?}", facts.fixtures);
        assert!(facts.fixtures.iter().any(|fixture| fixture.to_string().contains("1 snapshot")));
        // libvirt is of the same opinion.
        let error = one.migrate(&order(kept, &two)).await.unwrap_err();
        assert!(error.kind == ErrorKind::Refused && error.message.contains("snapshot"), "{error}");
    });
}

#[test]
fn a_move_that_somebody_else_began_is_seen_on_both_hosts_and_can_be_aborted() {
    let Some(lab) = Lab::require() else { return };
    lab.up(2);
    lab.guest(&Guest::new("mover", 1, 1));
    runtime().block_on(async {
        let (one, two) = (driver(&lab, 1), driver(&lab, 2));
        up(&one).await;
        up(&two).await;
        let vm = id_of(&one, "mover").await;
        let (from, to) = (lab.peer_uri(1), lab.peer_uri(2));
        let args = ["-q", "-c", &from, "migrate", "--live", "--p2p", "--bandwidth", "4", "mover", &to];
        let mut virsh = lab.exec("virsh".as_ref()).args(args).spawn().unwrap();
        let seen = until("both readings show the move", async || {
            let (there, here) = (one.reading().await.unwrap(), two.reading().await.unwrap());
            let of = |reading: &Reading| {
                reading.vms.iter().find(|reading| reading.id == vm).map(|vm| (vm.state, vm.job, vm.memory))
            };
            let (source, target) = (of(&there)?, of(&here)?);
            (source.1 != JobKind::None).then_some((source, target))
        })
        .await;
        let memory = Bytes::mib(128);
        assert_eq!(
            seen,
            ((RunState::Running, JobKind::MovingOut, memory), (RunState::Incoming, JobKind::MovingIn, memory))
        );
        let refused = two.abort(vm).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Refused, "{refused}");
        one.abort(vm).await.unwrap();
        assert!(!virsh.wait().unwrap().success());
        until("the VM runs on without a job", async || {
            let free = Presence::Here { state: RunState::Running, job: JobKind::None };
            (one.locate(vm).await.unwrap() == free && two.locate(vm).await.unwrap() == Presence::Absent).then_some(())
        })
        .await;
    });
}

/// The process of a guest of this lab.
fn process_of(guest: &str) -> String {
    let (name, kernel) = (format!("guest={guest},"), format!("{}/cache/", Lab::state_folder().display()));
    let is_it = |pid: &str| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.starts_with("/usr/bin/qemu-system") && line.contains(&name) && line.contains(&kernel)
    };
    let all = std::fs::read_dir("/proc").unwrap();
    let mut pids = all.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    pids.find(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()) && is_it(pid)).expect("the guest has a process")
}

fn signal(name: &str, pid: &str) {
    assert!(std::process::Command::new("kill").args([name, pid]).status().unwrap().success());
}

#[test]
fn an_emulator_that_is_stuck_does_not_cost_the_other_vms_their_figures() {
    let Some(lab) = Lab::require() else { return };
    lab.up(1);
    lab.guests(&[Guest::new("stuck", 1, 1), Guest::new("sound", 2, 1)]);
    runtime().block_on(async {
        let one = driver(&lab, 1);
        up(&one).await;
        let (stuck, sound) = (id_of(&one, "stuck").await, id_of(&one, "sound").await);
        let pid = process_of("stuck");
        signal("-STOP", &pid);
        let begun = tokio::time::Instant::now();
        let reading = until("a reading comes through", async || {
            let reading = one.reading().await.inspect_err(|error| println!("{:?}: {error}", begun.elapsed())).ok()?;
            println!("{:?}: {reading:?}", begun.elapsed());
            reading.vms.iter().any(|vm| vm.id == stuck && vm.job == JobKind::Other).then_some(reading)
        })
        .await;
        let vm = reading.vms.iter().find(|vm| vm.id == sound).unwrap();
        assert!(vm.job == JobKind::None && vm.cpu_time.is_some() && vm.resident.is_some(), "{vm:?}");
        let vm = reading.vms.iter().find(|vm| vm.id == stuck).unwrap();
        assert_eq!(vm.memory, Bytes::mib(128), "its memory counts all the same");
        signal("-CONT", &pid);
        until("the stuck VM's figures are back", async || {
            let reading = one.reading().await.ok()?;
            reading.vms.iter().find(|vm| vm.id == stuck)?.resident.map(drop)
        })
        .await;
    });
}

#[test]
fn a_person_who_tests_a_host_is_told_what_is_wrong() {
    let Some(lab) = Lab::require() else { return };
    lab.up(HOSTS);
    let keys = Lab::state_folder().join("cache");
    let (ssh, pki) = (keys.join("ssh"), keys.join("pki"));
    let by_ssh = |key: &str, known: &str| {
        format!(
            "qemu+ssh://root@10.77.0.12/system?keyfile={}&known_hosts={}",
            ssh.join(key).display(),
            ssh.join(known).display()
        )
    };
    runtime().block_on(async {
        let once = async |uri: &str| connect_once(uri, Duration::from_secs(5)).await;
        for number in 1..=HOSTS {
            let probe = once(&lab.uri(number)).await.unwrap();
            println!("{}: {} with libvirt {}", probe.uri, probe.facts.platform.hypervisor, probe.libvirt);
            assert!(probe.facts.platform.hypervisor.starts_with("QEMU "));
        }
        let stranger = format!("qemu+tls://10.77.0.13/system?pkipath={}", pki.join("stranger").display());
        let cases = [
            ("labh1".to_owned(), ErrorKind::Unreachable, "://"),
            ("qemu+tcp://no-such-host.invalid/system".to_owned(), ErrorKind::Unreachable, "no-such-host.invalid"),
            ("qemu+tcp://10.77.0.11:1/system".to_owned(), ErrorKind::Unreachable, "10.77.0.11:1"),
            ("qemu+tcp://10.77.0.12:22/system".to_owned(), ErrorKind::Unreachable, "10.77.0.12:22"),
            (by_ssh("stranger", "known_hosts"), ErrorKind::Unreachable, "key"),
            (by_ssh("id", "known_hosts.wrong"), ErrorKind::Unreachable, "host key"),
            (stranger, ErrorKind::Unreachable, "certificate"),
            ("lxc+tcp://10.77.0.11/system".to_owned(), ErrorKind::Refused, "QEMU"),
        ];
        for (uri, kind, says) in cases {
            let error = once(&uri).await.unwrap_err();
            println!("{uri}\n    {error}");
            assert_eq!(error.kind, kind, "{uri}: {error}");
            assert!(error.message.contains(says), "{uri}: {error}");
        }
        tokio::task::block_in_place(|| lab.libvirtd(1, Libvirtd::Hang));
        let error = once(&lab.uri(1)).await.unwrap_err();
        println!("libvirtd hangs\n    {error}");
        assert!(matches!(error.kind, ErrorKind::Unreachable | ErrorKind::TimedOut), "{error:?}");
        tokio::task::block_in_place(|| lab.libvirtd(1, Libvirtd::Resume));
    });
}
