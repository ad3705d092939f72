//! NUMA cells and huge pages in the simulated world.

mod common;

use std::time::Duration;

use common::{cluster, migrate, order, pass, paused};
use proptest::prelude::*;
use ulm_drivers::ErrorKind;
use ulm_drivers::sim::{Fault, HostSpec, Load, Scenario, SimCluster, VmSpec, Whereabouts};
use ulm_model::{Bytes, BytesPerSecond};

const HUGE: Bytes = Bytes::mib(2);

/// A host with two cells of 8 GiB, of which so much is in huge pages each, that uses nothing itself.
fn host(name: &str, huge_gib: u64) -> HostSpec {
    let pages = [(HUGE, Bytes::gib(huge_gib))];
    let host = HostSpec::new(name, 8, Bytes::gib(16)).cell(Bytes::gib(8), &pages).cell(Bytes::gib(8), &pages);
    HostSpec { base_memory: Bytes(0), link: BytesPerSecond(1 << 30), ..host }
}

fn vm(name: &str, home: &str, gib: u64) -> VmSpec {
    VmSpec::new(name, home, 2, Bytes::gib(gib)).resident(Load::constant(100.0))
}

/// Free memory of each cell of a host in GiB: ordinary, and in huge pages.
async fn free(cluster: &SimCluster, host: usize) -> Vec<(u64, u64)> {
    let cells = cluster.drivers()[host].reading().await.unwrap().cells;
    let huge = |cell: &ulm_model::Cell| cell.pages.iter().map(|pages| pages.free).sum::<Bytes>().0 >> 30;
    cells.iter().map(|cell| (cell.free.0 >> 30, huge(cell))).collect()
}

fn sound(cluster: &SimCluster) {
    assert_eq!(cluster.world().violations(), [] as [String; 0]);
}

#[test]
fn a_move_takes_huge_pages_at_its_beginning_and_gives_them_back_at_its_end() {
    paused(async {
        let scenario = Scenario::new(1)
            .host(host("h1", 4))
            .host(host("h2", 4))
            .vm(vm("a", "h1", 6).in_pages(HUGE))
            .vm(vm("b", "h2", 1));
        let cluster = cluster(&scenario);
        assert_eq!(free(&cluster, 0).await, [(4, 0), (4, 2)], "the first cell is filled first");
        assert_eq!(free(&cluster, 1).await, [(3, 4), (3, 4)], "ordinary memory is spread: 3.5 GiB each");
        let (drivers, a_move) = (cluster.drivers(), order(&cluster, "a", "h2"));
        let moving = tokio::spawn(async move { drivers[0].migrate(&a_move).await });
        pass(2).await;
        assert_eq!((free(&cluster, 0).await, free(&cluster, 1).await), (vec![(4, 0), (4, 2)], vec![(3, 0), (3, 2)]));
        moving.await.unwrap().unwrap();
        assert_eq!((free(&cluster, 0).await, free(&cluster, 1).await), (vec![(4, 4), (4, 4)], vec![(3, 0), (3, 2)]));
        let reading = cluster.drivers()[1].reading().await.unwrap();
        assert_eq!(reading.memory.available, Bytes::gib(7), "all pages are set aside, and b holds 1 GiB");
        let a = cluster.world().vm("a");
        let facts = cluster.drivers()[1].vm_facts(a).await.unwrap();
        assert_eq!(facts.needs.pages, Some(HUGE));
        sound(&cluster);
    });
}

#[test]
fn too_few_huge_pages_refuse_the_move() {
    paused(async {
        let scenario = Scenario::new(1)
            .host(host("h1", 4))
            .host(host("h2", 2))
            .host(HostSpec::new("h3", 8, Bytes::gib(64)))
            .vm(vm("a", "h1", 6).in_pages(HUGE));
        let cluster = cluster(&scenario);
        for target in ["h2", "h3"] {
            let error = migrate(&cluster, "a", target).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused);
            assert!(error.message.contains(&format!("{target} has too few free huge pages")), "{error}");
        }
        sound(&cluster);
    });
}

#[test]
fn an_aborted_move_and_a_vm_that_ends_give_their_pages_back() {
    paused(async {
        let scenario = Scenario::new(1).host(host("h1", 4)).host(host("h2", 4)).vm(vm("a", "h1", 6).in_pages(HUGE));
        let cluster = cluster(&scenario);
        let (drivers, a_move) = (cluster.drivers(), order(&cluster, "a", "h2"));
        let moving = tokio::spawn(async move { drivers[0].migrate(&a_move).await });
        pass(2).await;
        let a = cluster.world().vm("a");
        cluster.drivers()[0].abort(a).await.unwrap();
        assert_eq!(moving.await.unwrap().unwrap_err().kind, ErrorKind::Aborted);
        assert_eq!(free(&cluster, 1).await, [(4, 4), (4, 4)]);
        cluster.world().inject(Fault::GuestShutsDown { vm: "a".into() }).unwrap();
        assert_eq!(free(&cluster, 0).await, [(4, 4), (4, 4)]);
        cluster.world().inject(Fault::StartVm { vm: "a".into() }).unwrap();
        assert_eq!(free(&cluster, 0).await, [(4, 0), (4, 2)]);
        sound(&cluster);
    });
}

#[test]
fn a_bound_vm_lies_in_its_cells_and_finds_only_the_room_in_them() {
    paused(async {
        let scenario = Scenario::new(1)
            .host(host("h1", 0))
            .host(host("h2", 0))
            .host(HostSpec::new("h3", 8, Bytes::gib(64)).cell(Bytes::gib(64), &[]))
            .vm(vm("a", "h1", 4).bound_to(&[1]))
            .vm(vm("b", "h2", 5).bound_to(&[1]))
            .vm(vm("c", "h2", 1).bound_to(&[0, 1]));
        let cluster = cluster(&scenario);
        assert_eq!(free(&cluster, 0).await, [(8, 0), (4, 0)]);
        assert_eq!(free(&cluster, 1).await, [(7, 0), (3, 0)]);
        let error = migrate(&cluster, "a", "h3").await.unwrap_err();
        assert!(error.message.contains("NUMA node 1 is unavailable on h3"), "{error}");
        let error = migrate(&cluster, "a", "h2").await.unwrap_err();
        assert!(error.message.contains("Unable to write to socket"), "its receiving half dies: {error}");
        let a = cluster.world().vm("a");
        assert_eq!(cluster.world().whereabouts(a), Some(Whereabouts::Runs("h1".into())));
        migrate(&cluster, "c", "h1").await.unwrap();
        assert_eq!(free(&cluster, 0).await, [(7, 0), (4, 0)]);
        sound(&cluster);
    });
}

#[test]
fn figures_that_cannot_be_are_refused_with_a_sentence() {
    let fault = |host: HostSpec| Scenario::new(1).host(host).sound().unwrap_err().to_string();
    let plain = || HostSpec::new("h", 4, Bytes::gib(16));
    assert!(fault(plain().cell(Bytes::gib(17), &[])).contains("more memory or CPUs than it has"));
    assert!(
        fault(plain().cell(Bytes::gib(4), &[(HUGE, Bytes::gib(5))])).contains("more in huge pages than its memory")
    );
    assert!(fault(plain().cell(Bytes::gib(4), &[(HUGE, Bytes::mib(3))])).contains("number of whole pages"));
    assert!(fault(plain().cell(Bytes::gib(16), &[(HUGE, Bytes::gib(16))])).contains("leave no memory for itself"));
    let mut twice = plain().cell(Bytes::gib(1), &[]).cell(Bytes::gib(1), &[]);
    twice.cells[1].id = 0;
    assert!(fault(twice).contains("each once"));
    let of_vm = |vm: VmSpec| Scenario::new(1).host(host("h1", 4)).vm(vm).sound().unwrap_err().to_string();
    assert!(of_vm(vm("a", "h1", 9).in_pages(HUGE)).contains("does not find its NUMA cells or huge pages"));
    assert!(of_vm(vm("a", "h1", 1).bound_to(&[2])).contains("does not find its NUMA cells or huge pages"));
    assert!(of_vm(VmSpec { memory: Bytes::mib(3), ..vm("a", "h1", 1).in_pages(HUGE) }).contains("whole `pages`"));
}

#[test]
fn cells_and_pages_have_a_text_form() {
    let scenario = Scenario::new(1).host(host("h1", 4)).vm(vm("a", "h1", 2).in_pages(HUGE).bound_to(&[1]));
    let text = scenario.to_toml();
    assert!(text.contains("pages = \"2 MiB\"") && text.contains("cells = [1]"), "{text}");
    assert_eq!(Scenario::parse(&text, std::path::Path::new(".")).unwrap(), scenario);
}

proptest! {
    /// Whatever moves wherever: no page is given twice, and what is free in cells is never more than what is free at all.
    #[test]
    fn cells_and_hosts_agree_about_what_is_free(
        vms in prop::collection::vec((0..3usize, 1..4u64, any::<bool>(), prop::option::of(0..2u32)), 1..6),
        moves in prop::collection::vec((0..6usize, 0..3usize, 0..8u64), 0..8),
    ) {
        let mut scenario = Scenario::new(3);
        for name in ["h0", "h1", "h2"] {
            scenario = scenario.host(host(name, 3));
        }
        for (i, (home, gib, huge, cell)) in vms.iter().enumerate() {
            let mut vm = vm(&format!("v{i}"), &format!("h{home}"), *gib);
            vm.pages = huge.then_some(HUGE);
            vm.cells.extend(*cell);
            scenario = scenario.vm(vm);
        }
        prop_assume!(scenario.sound().is_ok());
        paused(async {
            let cluster = cluster(&scenario);
            for (vm, to, wait) in moves {
                let vm = format!("v{}", vm % vms.len());
                let fault = Fault::ForeignMove { vm, to: format!("h{to}").as_str().into(), bandwidth: None };
                cluster.world().inject(fault).unwrap();
                pass(wait).await;
                for driver in cluster.drivers() {
                    let reading = driver.reading().await.unwrap();
                    let ordinary: Bytes = reading.cells.iter().map(|cell| cell.free).sum();
                    // These cells are all that it has; the rest is rounded in each.
                    assert!(ordinary >= reading.memory.available && ordinary.0 <= reading.memory.available.0 + 2);
                }
            }
            pass(Duration::from_secs(60).as_secs()).await;
            sound(&cluster);
        });
    }
}
