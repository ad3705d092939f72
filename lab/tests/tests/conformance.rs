//! The libvirt driver does what every driver must do, against real libvirt hosts and real guests: one host
//! by TCP, one by ssh, one by TLS. The guest is asked afterwards how it fared.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ulm_drivers::conformance::{self, Fixture, Hook};
use ulm_drivers::libvirt::{LibvirtDriver, LibvirtOptions, connect_once};
use ulm_drivers::{Driver, ErrorKind, SystemClock};
use ulm_lab_tests::{Disk, Guest, Lab, Libvirtd, Link};
use ulm_model::HostName;

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
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

#[test]
fn the_libvirt_driver_does_what_every_driver_must_do() {
    let Some(lab) = Lab::require() else { return };
    lab.up(HOSTS);
    lab.guests(&[Guest::new("mover", 1, 1).disk(Disk::Shared).cpu(10), Guest::new("tied", 2, 2).disk(Disk::Local)]);
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
        for driver in [&one, &two] {
            while driver.link() != ulm_drivers::Link::Up {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let reading = one.reading().await.unwrap();
        let vm = |name: &str| reading.vms.iter().find(|vm| vm.name == name).unwrap().id;
        let mover = one.vm_facts(vm("mover")).await.unwrap();
        println!("{mover:#?}");
        let target = two.facts().await.unwrap();
        println!("{target:#?}");
        assert!(mover.fixtures.is_empty());
        // The second host is empty: its bridge is known from libvirt's interface driver alone.
        assert!(mover.needs.networks.is_subset(&target.networks));
        assert!(mover.needs.storage.is_subset(&target.storage));
        assert!(!mover.needs.networks.is_empty() && !mover.needs.storage.is_empty());
        let tied = one.vm_facts(vm("tied")).await.unwrap();
        let path = "/var/lib/libvirt/images/tied.raw".to_owned();
        assert_eq!(tied.fixtures, [ulm_model::Fixture::LocalDisk { path }]);
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
