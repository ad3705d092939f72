//! The simulator passes the suite that every driver must pass.

mod common;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::{cluster, pass, paused};
use ulm_drivers::conformance::{CHECKS, Fixture, Hook, run};
use ulm_drivers::sim::{Fault, HostSpec, Load, Scenario, SimCluster, VmSpec};
use ulm_drivers::{Driver, SystemClock};
use ulm_model::{Bytes, Fixture as Tie, HostName};

struct Simulated {
    cluster: SimCluster,
}

#[async_trait]
impl Fixture for Simulated {
    fn drivers(&self) -> Vec<Arc<dyn Driver>> {
        self.cluster.drivers()
    }
    fn movable(&self) -> String {
        "free".into()
    }
    fn tied(&self) -> Option<String> {
        Some("tied".into())
    }
    fn dead_uri(&self) -> String {
        "sim://nowhere/system".into()
    }
    async fn restart_hypervisor(&mut self, host: &HostName) -> Hook {
        self.cluster.world().inject(Fault::StopHypervisor { host: host.clone(), down_s: Some(1.0) }).unwrap();
        Hook::Done
    }
    async fn cut_link_shortly(&mut self, host: &HostName) -> Hook {
        self.cluster.world().inject(Fault::CutLink { host: host.clone(), for_s: Some(3.0) }).unwrap();
        pass(3).await;
        Hook::Done
    }
    async fn fill_memory(&mut self, host: &HostName) -> Hook {
        let fault = Fault::FillMemory { host: host.clone(), amount: Bytes::gib(30), for_s: None };
        self.cluster.world().inject(fault).unwrap();
        Hook::Done
    }
    async fn free_memory(&mut self, host: &HostName) -> Hook {
        let fault = Fault::FillMemory { host: host.clone(), amount: Bytes(0), for_s: None };
        self.cluster.world().inject(fault).unwrap();
        Hook::Done
    }
}

/// A fixture without hooks and without a tied VM, in real time with a small guest.
struct Bare(SimCluster);

#[async_trait]
impl Fixture for Bare {
    fn drivers(&self) -> Vec<Arc<dyn Driver>> {
        self.0.drivers()
    }
    fn movable(&self) -> String {
        "free".into()
    }
    fn dead_uri(&self) -> String {
        "sim://nowhere/system".into()
    }
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }
}

fn scenario() -> Scenario {
    let huge = [(Bytes::mib(2), Bytes::gib(4))];
    let host = |name| {
        let host = HostSpec::new(name, 8, Bytes::gib(32)).network("network:lan").storage("pool:ceph");
        host.cell(Bytes::gib(16), &huge).cell(Bytes::gib(16), &[]).scanning_in(2.0)
    };
    let vm =
        |name, home| VmSpec::new(name, home, 2, Bytes::gib(4)).load(Load::constant(40.0)).needs_network("network:lan");
    Scenario::new(11)
        .host(host("h1"))
        .host(host("h2"))
        .host(host("h3"))
        .vm(vm("free", "h1").bound_to(&[1]).content("debian", Bytes::mib(100)))
        .vm(vm("sibling", "h1").content("debian", Bytes::mib(100)))
        .vm(vm("tied", "h2").tied(Tie::LocalDisk { path: "/var/lib/images/tied.raw".into() }))
        .vm(vm("other", "h3").in_pages(Bytes::mib(2)))
}

#[test]
fn the_simulator_passes_every_check() {
    paused(async {
        let cluster = cluster(&scenario());
        let report =
            run(&mut Simulated { cluster: cluster.clone() }).await.unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(report.passed, CHECKS);
        assert_eq!(cluster.world().violations(), [] as [String; 0]);
    });
}

#[test]
fn what_could_not_be_tried_is_named() {
    paused(async {
        let cluster = cluster(&scenario());
        let report = run(&mut Bare(cluster)).await.unwrap_or_else(|failure| panic!("{failure}"));
        let skipped: Vec<&str> = report.skipped.iter().map(|(check, _)| *check).collect();
        assert_eq!(skipped, [CHECKS[7], CHECKS[18], CHECKS[19]]);
        assert!(report.to_string().contains("skipped  a move survives a link that is cut shortly"), "{report}");
    });
}

#[test]
fn the_suite_works_in_real_time_too() {
    let mut scenario = scenario();
    scenario.physics.setup_s = 0.05;
    scenario.vms[0].memory = Bytes::mib(128);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async {
        let cluster = SimCluster::new(&scenario, Arc::new(SystemClock)).unwrap();
        run(&mut Bare(cluster)).await.unwrap_or_else(|failure| panic!("{failure}"));
    });
}

#[test]
fn a_driver_that_falls_short_is_named_with_what_it_did() {
    paused(async {
        let mut scenario = scenario();
        scenario.vms[0] = scenario.vms[0].clone().tied(Tie::Other { what: "a lock".into() });
        let failure = run(&mut Bare(cluster(&scenario))).await.unwrap_err();
        assert_eq!(failure.check, CHECKS[5]);
        assert!(failure.seen.contains("a lock"), "{failure}");
    });
}
