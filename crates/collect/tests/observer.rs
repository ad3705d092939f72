//! The observer over simulated hosts: what it reports, what it refuses, what it does not wait for.

mod renamed;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use renamed::Renamed;
use ulm_collect::{Known, KnownMove, Observer, Settings};
use ulm_drivers::sim::{Fault, HostSpec, Lie, Load, Orders, Scenario, SimCluster, VmSpec};
use ulm_model::{Bytes, BytesPerSecond, Cell, HostName, HostState, HugePages, MilliCpu, Scope, Snapshot, VmId};

const INTERVAL: Duration = Duration::from_secs(15);

struct Bench {
    cluster: SimCluster,
    observer: Observer,
    known: Known,
}

/// Three hosts of 8 CPUs and 32 GiB; `web` burns 4 CPUs on h1, `db` one CPU on h2.
fn bench() -> Bench {
    let host = |name: &str| HostSpec::new(name, 8, Bytes::gib(32));
    let scenario = Scenario::new(1)
        .host(host("h1"))
        .host(host("h2"))
        .host(host("h3"))
        .vm(VmSpec::new("web", "h1", 4, Bytes::gib(8)).load(Load::constant(100.0)))
        .vm(VmSpec::new("db", "h2", 2, Bytes::gib(4)).load(Load::constant(50.0)));
    watching(&scenario)
}

fn watching(scenario: &Scenario) -> Bench {
    let cluster = SimCluster::in_virtual_time(scenario).expect("the scenario is sound");
    let mut observer = Observer::new(Settings::default());
    for driver in cluster.drivers() {
        observer.watch(driver);
    }
    Bench { cluster, observer, known: Known::default() }
}

impl Bench {
    /// One round at once.
    async fn round(&mut self) -> Snapshot {
        let clock = self.cluster.clock();
        self.observer.round(&self.known, || clock.now()).await
    }

    /// So many rounds, an interval apart; the last one's snapshot.
    async fn rounds(&mut self, n: u32) -> Snapshot {
        let mut last = Snapshot::default();
        for _ in 0..n {
            tokio::time::sleep(INTERVAL).await;
            last = self.round().await;
        }
        last
    }

    fn inject(&self, fault: Fault) {
        self.cluster.world().inject(fault).expect("the fault names what there is");
    }

    fn vm(&self, name: &str) -> VmId {
        self.cluster.world().vm(name)
    }
}

fn reasons(snapshot: &Snapshot, scope: &Scope) -> Vec<&'static str> {
    snapshot.doubts.iter().filter(|doubt| doubt.scope == *scope).map(|doubt| doubt.reason.code()).collect()
}

fn host(name: &str) -> Scope {
    Scope::Host(HostName::from(name))
}

#[tokio::test(start_paused = true)]
async fn cells_and_huge_pages_reach_the_snapshot() {
    let huge = Bytes::mib(2);
    let host = HostSpec::new("h1", 8, Bytes::gib(16)).cell(Bytes::gib(16), &[(huge, Bytes::gib(4))]);
    let vm = |name| VmSpec::new(name, "h1", 2, Bytes::gib(1)).resident(Load::constant(50.0));
    let scenario = Scenario::new(1).host(host).vm(vm("a").in_pages(huge).bound_to(&[0])).vm(vm("b"));
    let snapshot = watching(&scenario).rounds(3).await;
    let pages = HugePages { size: huge, total: Bytes::gib(4), free: Bytes::gib(3) };
    // Half a GiB of b, and one of the host itself.
    let free = Bytes::gib(16 - 4 - 1).saturating_sub(Bytes::mib(512));
    let cell = Cell { id: 0, cpus: 8, memory: Bytes::gib(16), free, pages: vec![pages] };
    assert_eq!((snapshot.hosts[0].cells.as_slice(), snapshot.doubts.len()), (&[cell][..], 0));
    let of = |name: &str| snapshot.vms.iter().find(|vm| vm.name == name).unwrap();
    let needs = of("a").needs.as_ref().unwrap();
    assert_eq!((needs.pages, &needs.cells), (Some(huge), &[0].into()));
    assert_eq!(of("a").memory_use.value(), Some(Bytes::gib(1)), "no resident set shows what is in huge pages");
    assert_eq!(of("b").memory_use.value(), Some(Bytes::mib(512)));
}

#[tokio::test(start_paused = true)]
async fn merged_pages_reach_the_snapshot() {
    let vm = |name| VmSpec::new(name, "h1", 2, Bytes::gib(1)).content("debian", Bytes::mib(300));
    let scenario = Scenario::new(1)
        .host(HostSpec::new("h1", 8, Bytes::gib(16)).scanning_in(5.0))
        .host(HostSpec::new("h2", 8, Bytes::gib(16)))
        .vm(vm("a"))
        .vm(vm("b"))
        .vm(vm("c").unmergeable());
    let snapshot = watching(&scenario).rounds(5).await;
    let [one, other] = &snapshot.hosts[..] else { panic!("two hosts") };
    assert_eq!((one.merging.map(|merging| merging.saved), one.merges()), (Some(Bytes::mib(300)), true));
    assert_eq!((other.merging, other.merges()), (None, false));
    let of = |name: &str| snapshot.vms.iter().find(|vm| vm.name == name).unwrap();
    assert!(of("a").mergeable() && !of("c").mergeable());
}

#[tokio::test(start_paused = true)]
async fn two_rounds_give_the_use_of_hosts_and_vms() {
    let mut bench = bench();
    let snapshot = bench.rounds(2).await;
    assert!(snapshot.doubts.is_empty(), "{:?}", snapshot.doubts);
    let web = snapshot.vm(snapshot.find_vm(bench.vm("web")).expect("web is seen"));
    assert_eq!(snapshot.host(web.host).name, HostName::from("h1"));
    let used = web.cpu_use.value().expect("two readings give a rate");
    assert!((3_900..=4_100).contains(&used.0), "web uses {used}");
    assert!(web.needs.is_some() && web.fixtures.is_empty());
    let h1 = &snapshot.hosts[0];
    assert_eq!((h1.cpu, &h1.state), (MilliCpu::cpus(8), &HostState::Up));
    assert!(h1.cpu_use.value() >= Some(used), "a host uses what its VMs use: {:?}", h1.cpu_use);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_host_is_waited_for_once_and_never_again() {
    let mut bench = bench();
    bench.rounds(3).await;
    bench.inject(Fault::Hang { host: "h2".into(), for_s: None, orders: Orders::default() });
    let clock = bench.cluster.clock();
    let mut took = Vec::new();
    for _ in 0..4 {
        tokio::time::sleep(INTERVAL).await;
        let begun = clock.now();
        let snapshot = bench.round().await;
        took.push(clock.now().since(begun));
        let fresh = |name: &str| {
            let host = snapshot.host(snapshot.find_host(&name.into()).expect("all hosts are listed"));
            host.cpu_use.latest().is_some_and(|figure| figure.age(clock.now()) <= Duration::from_secs(6))
        };
        assert!(fresh("h1") && fresh("h3") && !fresh("h2"));
    }
    assert!(took[0] <= Settings::default().deadline, "{took:?}");
    assert!(took[1..].iter().all(Duration::is_zero), "nobody waits for it again: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_vms_of_a_silent_host_are_still_known_to_be_there() {
    let mut bench = bench();
    bench.rounds(2).await;
    bench.inject(Fault::StopHypervisor { host: "h1".into(), down_s: None });
    let snapshot = bench.rounds(2).await;
    assert!(matches!(snapshot.hosts[0].state, HostState::Unreachable { .. }));
    let web = snapshot.vm(snapshot.find_vm(bench.vm("web")).expect("it is not forgotten"));
    assert_eq!(snapshot.host(web.host).name, HostName::from("h1"));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_reports_no_cpus_is_only_watched_and_is_believed_again_later() {
    let mut bench = bench();
    bench.rounds(2).await;
    bench.inject(Fault::Lie { host: "h1".into(), lie: Lie::ZeroCpus, for_s: Some(20.0) });
    let snapshot = bench.rounds(1).await;
    assert_eq!(reasons(&snapshot, &host("h1")), ["data.impossible"]);
    assert_eq!(snapshot.by_host()[0].len(), 1, "its VMs stand as they were last believed");
    let snapshot = bench.rounds(3).await;
    assert!(reasons(&snapshot, &host("h1")).is_empty(), "{:?}", snapshot.doubts);
}

#[tokio::test(start_paused = true)]
async fn every_lie_of_a_host_is_refused_or_grows_stale() {
    let lies = [
        (Lie::ZeroCpus, "data.impossible"),
        (Lie::MoreThanAllCpus, "data.impossible"),
        (Lie::CountersGoBack, "data.time_went_back"),
        (Lie::TimeGoesBack, "data.time_went_back"),
        (Lie::NoMemory, "data.impossible"),
        (Lie::MoreThanAllMemory, "data.impossible"),
    ];
    for (lie, code) in lies {
        let mut bench = bench();
        bench.rounds(3).await;
        bench.inject(Fault::Lie { host: "h1".into(), lie: lie.clone(), for_s: None });
        let snapshot = bench.rounds(1).await;
        assert_eq!(reasons(&snapshot, &host("h1")), [code], "{lie:?}");
    }
    let mut bench = bench();
    bench.rounds(3).await;
    bench.inject(Fault::Lie { host: "h1".into(), lie: Lie::Frozen, for_s: None });
    let snapshot = bench.rounds(8).await;
    let age = snapshot.hosts[0].cpu_use.latest().map(|figure| figure.age(snapshot.taken_at));
    assert!(age >= Some(Duration::from_secs(90)), "a frozen reading does not look fresh: {age:?}");
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_works_more_than_it_can_is_doubted_alone() {
    let mut bench = bench();
    bench.rounds(3).await;
    bench.inject(Fault::Lie { host: "h1".into(), lie: Lie::MoreThanAllVcpus { vm: "web".into() }, for_s: None });
    let snapshot = bench.rounds(2).await;
    assert_eq!(reasons(&snapshot, &Scope::Vm(bench.vm("web"))), ["data.impossible"]);
    assert!(reasons(&snapshot, &host("h1")).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_runs_on_two_hosts_is_doubted_with_both_of_them() {
    let mut bench = bench();
    bench.rounds(2).await;
    bench.inject(Fault::Lie { host: "h3".into(), lie: Lie::Phantom { vm: "web".into() }, for_s: None });
    let snapshot = bench.rounds(1).await;
    for scope in [&Scope::Vm(bench.vm("web")), &host("h1"), &host("h3")] {
        assert_eq!(reasons(&snapshot, scope), ["data.runs_twice"], "{scope:?}");
    }
    assert_eq!(snapshot.vms.iter().filter(|vm| vm.name == "web").count(), 1, "it is counted once");
}

#[tokio::test(start_paused = true)]
async fn our_own_move_counts_on_both_hosts_and_is_no_doubt() {
    let mut bench = bench();
    bench.rounds(2).await;
    let web = bench.vm("web");
    let since = bench.cluster.clock().now();
    bench.known.moves.insert(web, KnownMove { from: "h1".into(), to: "h3".into(), since });
    bench.inject(Fault::ForeignMove { vm: "web".into(), to: "h3".into(), bandwidth: None });
    let snapshot = bench.round().await;
    assert!(snapshot.doubts.is_empty(), "{:?}", snapshot.doubts);
    let [flight] = snapshot.in_flight.as_slice() else { panic!("one move: {:?}", snapshot.in_flight) };
    assert_eq!((snapshot.vm(flight.vm).id, flight.from.at(), flight.to.map(|to| to.at())), (web, 0, Some(2)));
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_move_is_seen_with_both_ends() {
    let mut bench = bench();
    bench.rounds(2).await;
    let slow = Some(BytesPerSecond(100 << 20));
    bench.inject(Fault::ForeignMove { vm: "web".into(), to: "h3".into(), bandwidth: slow });
    let snapshot = bench.rounds(1).await;
    let [flight] = snapshot.in_flight.as_slice() else { panic!("one move: {:?}", snapshot.in_flight) };
    assert_eq!((flight.from.at(), flight.to.map(|to| to.at())), (0, Some(2)));
}

#[tokio::test(start_paused = true)]
async fn after_a_move_the_counter_begins_anew_and_no_wrong_rate_is_computed() {
    let mut bench = bench();
    bench.rounds(2).await;
    bench.inject(Fault::ForeignMove { vm: "web".into(), to: "h3".into(), bandwidth: None });
    let snapshot = bench.rounds(20).await;
    let web = snapshot.vm(snapshot.find_vm(bench.vm("web")).expect("web is seen"));
    assert_eq!(snapshot.host(web.host).name, HostName::from("h3"));
    assert!(web.cpu_use.0.iter().all(|figure| figure.value <= MilliCpu(4_100)), "{:?}", web.cpu_use);
    assert!(snapshot.doubts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_reboots_is_doubted_until_its_counters_make_sense() {
    let mut bench = bench();
    bench.rounds(4).await;
    bench.inject(Fault::CutPower { host: "h2".into(), manner: Default::default() });
    bench.inject(Fault::PowerOn { host: "h2".into() });
    let mut seen = Vec::new();
    for _ in 0..40 {
        let snapshot = bench.rounds(1).await;
        seen.extend(snapshot.doubts.iter().map(|doubt| doubt.reason.code()));
    }
    assert!(seen.iter().all(|code| *code == "data.time_went_back"), "{seen:?}");
    let snapshot = bench.rounds(1).await;
    assert!(snapshot.doubts.is_empty() && snapshot.hosts[1].state == HostState::Up);
    assert!(snapshot.find_vm(bench.vm("db")).is_none(), "a VM that is shut off holds nothing");
}

#[tokio::test(start_paused = true)]
async fn two_names_for_one_machine_are_both_only_watched() {
    let mut bench = bench();
    let twin = bench.cluster.driver(&"h1".into()).expect("h1 is there");
    bench.observer.watch(Arc::new(Renamed::new(twin, "h1-again")));
    let snapshot = bench.rounds(2).await;
    assert!(reasons(&snapshot, &host("h1")).contains(&"data.same_machine"));
    assert!(reasons(&snapshot, &host("h1-again")).contains(&"data.same_machine"));
}

#[tokio::test(start_paused = true)]
async fn our_own_move_that_has_ended_unsettled_leaves_the_snapshot_without_a_flaw() {
    let mut bench = bench();
    bench.rounds(2).await;
    let web = bench.vm("web");
    let since = bench.cluster.clock().now();
    bench.known.moves.insert(web, KnownMove { from: "h1".into(), to: "h3".into(), since });
    bench.inject(Fault::ForeignMove { vm: "web".into(), to: "h3".into(), bandwidth: None });
    let snapshot = bench.rounds(20).await;
    assert_eq!(snapshot.flaw(), None);
    assert_eq!(snapshot.in_flight.len(), 1, "it counts until it is settled");
    assert_eq!(snapshot.host(snapshot.in_flight[0].from).name, HostName::from("h3"), "where it runs");
    assert!(snapshot.doubts.is_empty(), "{:?}", snapshot.doubts);
}

#[tokio::test(start_paused = true)]
async fn a_look_at_one_of_two_hosts_after_a_move_is_no_proof_that_the_vm_runs_twice() {
    let mut bench = bench();
    bench.rounds(2).await;
    bench.inject(Fault::ForeignMove { vm: "web".into(), to: "h3".into(), bandwidth: None });
    tokio::time::sleep(Duration::from_secs(120)).await;
    let clock = bench.cluster.clock();
    let only = BTreeSet::from([HostName::from("h2"), HostName::from("h3")]);
    let snapshot = bench.observer.look_again(&only, &bench.known, || clock.now()).await;
    assert!(snapshot.doubts.is_empty(), "h1 was not asked, what it said before is old: {:?}", snapshot.doubts);
    let web = snapshot.vm(snapshot.find_vm(bench.vm("web")).expect("web is seen"));
    assert_eq!(snapshot.host(web.host).name, HostName::from("h3"));
}

#[tokio::test(start_paused = true)]
async fn looks_between_rounds_make_no_samples_of_their_own() {
    let mut bench = bench();
    bench.observer.set(Settings { spacing: INTERVAL / 2, ..Settings::default() });
    bench.rounds(3).await;
    let only = BTreeSet::from([HostName::from("h1")]);
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let clock = bench.cluster.clock();
        bench.observer.look_again(&only, &bench.known, || clock.now()).await;
    }
    let snapshot = bench.rounds(1).await;
    let samples = |host: usize| snapshot.hosts[host].cpu_use.0.len();
    assert_eq!((samples(0), samples(1)), (3, 3), "h1 was looked at more often and counts like all others");
    let web = snapshot.vm(snapshot.find_vm(bench.vm("web")).expect("web is seen"));
    assert_eq!(web.cpu_use.0.len(), 3);
}
