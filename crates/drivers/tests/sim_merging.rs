//! Equal pages in the simulated world: merged after two full scans, and never at once on a host that a VM has just come to.

mod common;

use common::{cluster, migrate, pass, paused};
use ulm_drivers::sim::{HostSpec, Load, Scenario, SimCluster, VmSpec};
use ulm_model::{Bytes, Merging};

/// A host of 16 GiB that uses nothing itself and looks at all memory once in so many seconds.
fn host(name: &str, scan_s: f64) -> HostSpec {
    HostSpec { base_memory: Bytes(0), ..HostSpec::new(name, 8, Bytes::gib(16)) }.scanning_in(scan_s)
}

/// A VM that holds all of its 4 GiB.
fn vm(name: &str, home: &str) -> VmSpec {
    VmSpec::new(name, home, 2, Bytes::gib(4)).resident(Load::constant(100.0))
}

/// What a host counts, and what it has left in MiB.
async fn seen(cluster: &SimCluster, host: usize) -> (Option<Merging>, u64) {
    let reading = cluster.drivers()[host].reading().await.unwrap();
    (reading.merging, reading.memory.available.0 >> 20)
}

fn saved(merging: Option<Merging>) -> u64 {
    merging.unwrap().saved.0 >> 20
}

#[test]
fn what_several_vms_have_is_kept_once_after_two_full_scans() {
    paused(async {
        let debian = |vm: VmSpec| vm.content("debian", Bytes::mib(300));
        let scenario = Scenario::new(1)
            .host(host("h1", 60.0))
            .host(host("h2", 0.0))
            .vm(debian(vm("a", "h1")).content("postgres", Bytes::mib(100)))
            .vm(debian(vm("b", "h1")).content("postgres", Bytes::mib(80)))
            .vm(debian(vm("c", "h1")).content("nginx", Bytes::mib(50)))
            .vm(debian(vm("d", "h2")));
        let cluster = cluster(&scenario);
        pass(119).await;
        let (merging, left) = seen(&cluster, 0).await;
        assert_eq!((merging.unwrap().full_scans, saved(merging), left), (1, 0, 4096));
        pass(6).await;
        let (merging, left) = seen(&cluster, 0).await;
        assert_eq!(
            (merging.unwrap().full_scans, saved(merging), left),
            (2, 680, 4096 + 680),
            "2 × debian, 80 of postgres"
        );
        assert_eq!(merging.unwrap().shared, Bytes::mib(300 + 100));
        assert_eq!(seen(&cluster, 1).await.0, None, "this one does not merge");
        assert_eq!(cluster.world().violations(), [] as [String; 0]);
    });
}

#[test]
fn a_vm_that_has_just_arrived_takes_its_full_size_for_two_scans() {
    paused(async {
        let of = |name, home| vm(name, home).content("debian", Bytes::mib(512));
        let scenario = Scenario::new(1)
            .host(host("h1", 60.0))
            .host(host("h2", 60.0))
            .vm(of("a", "h1"))
            .vm(of("b", "h1"))
            .vm(of("c", "h2"));
        let cluster = cluster(&scenario);
        pass(150).await;
        assert_eq!((saved(seen(&cluster, 0).await.0), saved(seen(&cluster, 1).await.0)), (512, 0));
        migrate(&cluster, "b", "h2").await.unwrap();
        let (merging, left) = seen(&cluster, 0).await;
        assert_eq!((saved(merging), left), (0, 12 << 10), "of two the one that stays has all of it");
        let (merging, left) = seen(&cluster, 1).await;
        assert_eq!((saved(merging), left), (0, 8 << 10));
        pass(170).await;
        let (merging, left) = seen(&cluster, 1).await;
        assert_eq!((saved(merging), left), (512, (8 << 10) + 512));
        assert_eq!(cluster.world().violations(), [] as [String; 0]);
    });
}

#[test]
fn huge_pages_and_encrypted_memory_are_not_merged() {
    paused(async {
        let huge = Bytes::mib(2);
        let of = |name| vm(name, "h1").content("debian", Bytes::mib(512));
        let host = host("h1", 10.0).cell(Bytes::gib(16), &[(huge, Bytes::gib(4))]);
        let scenario = Scenario::new(1).host(host).vm(of("a")).vm(of("b").in_pages(huge)).vm(of("c").unmergeable());
        let cluster = cluster(&scenario);
        pass(60).await;
        let (merging, _) = seen(&cluster, 0).await;
        assert_eq!((merging.unwrap().full_scans, saved(merging)), (6, 0));
        let c = cluster.world().vm("c");
        let facts = cluster.drivers()[0].vm_facts(c).await.unwrap();
        assert!(facts.unmergeable);
    });
}

#[test]
fn contents_beyond_the_memory_of_a_vm_are_refused() {
    let of = |mib| Scenario::new(1).host(host("h1", 60.0)).vm(vm("a", "h1").content("debian", Bytes::mib(mib))).sound();
    assert!(of(4096).is_ok());
    assert!(of(4097).unwrap_err().to_string().contains("larger than its memory"));
    let endless = Scenario::new(1).host(host("h1", -1.0)).sound().unwrap_err().to_string();
    assert!(endless.contains("scan_s"), "{endless}");
}

#[test]
fn a_scenario_that_merges_is_read_as_it_is_written() {
    let scenario =
        Scenario::new(1).host(host("h1", 60.0)).vm(vm("a", "h1").content("debian", Bytes::mib(300)).unmergeable());
    let again = Scenario::parse(&scenario.to_toml(), std::path::Path::new(".")).unwrap();
    assert_eq!(again, scenario);
}
