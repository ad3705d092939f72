//! The libvirt driver against made-up daemons: what it asks, what it does when they hang, break or lie.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use ulm_drivers::libvirt::{LibvirtDriver, LibvirtOptions, connect_once};
use ulm_drivers::{
    Driver, DriverError, DriverEvent, ErrorKind, JobKind, Link, MoveOrder, Presence, Reading, RunState, SystemClock,
};
use ulm_libvirt::testing::{Answer, Behaviour, FakeCell, FakeHost, FakePages, FakeServer, Gate};
use ulm_libvirt::xdr::{List, to_bytes};
use ulm_libvirt::{ErrorCode, ErrorWire, Procedure};
use ulm_model::{Bytes, Cell, CpuVerdict, HostName, HugePages, Merging, VmId};

/// No answer is late before that, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// For calls whose answer never comes.
const SOON: Duration = Duration::from_millis(300);

async fn server(name: &str, vms: u32) -> FakeServer {
    FakeServer::tcp(FakeHost::with_vms(name, vms)).await.unwrap()
}

fn driver_of(server: &FakeServer, options: LibvirtOptions) -> Arc<LibvirtDriver> {
    LibvirtDriver::new(HostName("h1".into()), server.uri(), Arc::new(SystemClock), options)
}

/// A driver whose link is up.
async fn connected(server: &FakeServer) -> Arc<LibvirtDriver> {
    let driver = driver_of(server, LibvirtOptions::default());
    until(&driver, |link| *link == Link::Up).await;
    driver
}

async fn until(driver: &LibvirtDriver, wanted: impl Fn(&Link) -> bool) -> Link {
    let wait = async {
        loop {
            let link = driver.link();
            if wanted(&link) {
                return link;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the link gets into the wanted state")
}

fn vm(server: &FakeServer, number: usize) -> VmId {
    server.edit(|host| VmId(host.vms[number].domain.uuid))
}

fn refusal(code: ErrorCode, message: &str) -> Answer {
    Answer::Error(ErrorWire::new(code, 10, message))
}

fn find(reading: &Reading, vm: VmId) -> &ulm_drivers::VmReading {
    reading.vms.iter().find(|reading| reading.id == vm).expect("the VM is listed")
}

/// Waits for one event among others.
async fn heard(events: &mut BoxStream<'static, DriverEvent>, wanted: DriverEvent) {
    let wait = async { while events.next().await.expect("the stream goes on") != wanted {} };
    tokio::time::timeout(PATIENCE, wait).await.expect("the event comes");
}

#[tokio::test]
async fn a_new_driver_does_not_wait_and_connects_in_the_background() {
    let server = server("a", 1).await;
    let driver = driver_of(&server, LibvirtOptions::default());
    assert_eq!(driver.link(), Link::Connecting);
    assert_eq!(driver.facts().await.unwrap_err().kind, ErrorKind::Unreachable);
    until(&driver, |link| *link == Link::Up).await;
    let facts = driver.facts().await.unwrap();
    assert_eq!((facts.hostname.as_str(), facts.platform.arch.as_str()), ("a", "x86_64"));
    assert_eq!(facts.platform.hypervisor, "QEMU 10.0.2");
    assert!(facts.networks.contains("network:default"));
}

#[tokio::test]
async fn declared_networks_and_paths_are_offered() {
    let server = server("a", 0).await;
    let options = LibvirtOptions {
        networks: ["bridge:br0".to_owned()].into(),
        shared_paths: vec!["/srv/vms".into()],
        peer_uri: Some("qemu+tls://a.example/system".into()),
        ..LibvirtOptions::default()
    };
    let driver = driver_of(&server, options);
    until(&driver, |link| *link == Link::Up).await;
    let facts = driver.facts().await.unwrap();
    assert!(facts.networks.contains("bridge:br0") && facts.storage.contains("path:/srv/vms"));
    assert_eq!(driver.peer_uri(), "qemu+tls://a.example/system");
}

#[tokio::test]
async fn a_reading_asks_for_all_vms_at_once_and_for_the_number_of_cpus_seldom() {
    let server = server("a", 30).await;
    let driver = connected(&server).await;
    let first = driver.reading().await.unwrap();
    let second = driver.reading().await.unwrap();
    assert_eq!((first.vms.len(), first.cpu.cpus), (30, 32));
    assert_eq!(first.memory.total, Bytes::gib(256));
    assert!(second.cpu.busy > first.cpu.busy && second.cpu.idle > first.cpu.idle);
    for (vm, later) in first.vms.iter().zip(&second.vms) {
        assert_eq!((vm.state, vm.job, vm.memory), (RunState::Running, JobKind::None, Bytes::gib(4)));
        assert!(later.cpu_time > vm.cpu_time);
    }
    assert_eq!(server.times_called(Procedure::CONNECT_GET_ALL_DOMAIN_STATS), 2);
    assert_eq!(server.times_called(Procedure::NODE_GET_INFO), 1);
    assert_eq!(server.times_called(Procedure::DOMAIN_GET_JOB_STATS), 60);
}

/// A cell with so many free pages of 4 KiB and of 2 MiB, of a million and of a thousand.
fn fake_cell(id: u32, ordinary: u64, huge: u64) -> FakeCell {
    let small = FakePages { size_kib: 4, total: 1_000_000, free: ordinary };
    FakeCell { id, cpus: 16, pages: vec![small, FakePages { size_kib: 2048, total: 1000, free: huge }] }
}

#[tokio::test]
async fn free_memory_of_all_cells_comes_with_the_reading_by_one_call() {
    let server = server("a", 3).await;
    server.edit(|host| host.tell_cells(vec![fake_cell(0, 5000, 30), fake_cell(1, 7, 0)]));
    let driver = connected(&server).await;
    assert_eq!(driver.reading().await.unwrap().cells, [], "who it is was not asked yet");
    driver.facts().await.unwrap();
    let cell = |id, ordinary: u64, huge: u64| Cell {
        id,
        cpus: 16,
        memory: Bytes::kib(4 * 1_000_000 + 2048 * 1000),
        free: Bytes::kib(4 * ordinary),
        pages: vec![HugePages { size: Bytes::mib(2), total: Bytes::mib(2000), free: Bytes::mib(2 * huge) }],
    };
    assert_eq!(driver.reading().await.unwrap().cells, [cell(0, 5000, 30), cell(1, 7, 0)]);
    assert_eq!(server.times_called(Procedure::NODE_GET_FREE_PAGES), 1);
}

#[tokio::test]
async fn the_question_for_free_pages_goes_out_with_the_others() {
    let server = server("a", 0).await;
    server.edit(|host| host.tell_cells(vec![fake_cell(0, 5000, 30)]));
    let driver = connected(&server).await;
    driver.facts().await.unwrap();
    driver.reading().await.unwrap();
    let gate = Gate::new();
    let together = [
        Procedure::NODE_GET_FREE_PAGES,
        Procedure::NODE_GET_MEMORY_STATS,
        Procedure::NODE_GET_CPU_STATS,
        Procedure::CONNECT_GET_ALL_DOMAIN_STATS,
    ];
    let before = together.map(|procedure| server.times_called(procedure));
    for procedure in together {
        server.answer(procedure, Answer::Gated(gate.clone()));
    }
    let reading = tokio::spawn(async move { driver.reading().await });
    let all = |server: &FakeServer| together.iter().zip(before).all(|(it, before)| server.times_called(*it) > before);
    tokio::time::timeout(PATIENCE, server.until(all)).await.expect("no call waits for another's answer");
    gate.open();
    assert_eq!(reading.await.unwrap().unwrap().cells.len(), 1);
}

#[tokio::test]
async fn what_the_host_merges_comes_with_the_reading_in_bytes() {
    let server = server("a", 2).await;
    server.edit(|host| host.tell_merging(300, 4_000, 12));
    let driver = connected(&server).await;
    assert_eq!(driver.reading().await.unwrap().merging, None, "how large its pages are was not asked yet");
    driver.facts().await.unwrap();
    let merging = Merging {
        saved: Bytes::kib(4 * 4_000),
        shared: Bytes::kib(4 * 300),
        unshared: Bytes::kib(4 * 7_000),
        volatile: Bytes::kib(4 * 50),
        full_scans: 12,
        across_cells: Some(true),
        // 11 350 pages, of which 100 are looked at in 20 ms.
        scan: Some(Duration::from_millis(113 * 20)),
        stopped: false,
    };
    assert_eq!(driver.reading().await.unwrap().merging, Some(merging));
    driver.reading().await.unwrap();
    assert_eq!(server.times_called(Procedure::NODE_GET_MEMORY_PARAMETERS), 2);
    // A kernel that counts something else: nothing is made up.
    server.edit(|host| host.memory_parameters.retain(|parameter| parameter.field != "shm_pages_sharing"));
    assert_eq!(driver.reading().await.unwrap().merging, None);
}

#[tokio::test]
async fn a_host_that_does_not_merge_is_asked_once_over_a_connection() {
    let server = server("a", 1).await;
    let driver = connected(&server).await;
    driver.facts().await.unwrap();
    for _ in 0..3 {
        let reading = driver.reading().await.unwrap();
        assert_eq!((reading.merging, reading.vms.len()), (None, 1));
    }
    assert_eq!(server.times_called(Procedure::NODE_GET_MEMORY_PARAMETERS), 1);
    server.edit(|host| host.tell_merging(1, 1, 5));
    server.cut_all();
    until(&driver, |link| *link != Link::Up).await;
    until(&driver, |link| *link == Link::Up).await;
    assert_eq!(driver.reading().await.unwrap().merging.map(|merging| merging.full_scans), Some(5));
}

#[tokio::test]
async fn a_host_that_does_not_tell_its_free_pages_has_no_cells_and_no_error() {
    let server = server("a", 1).await;
    server.edit(|host| host.tell_cells(vec![fake_cell(0, 5000, 30), fake_cell(1, 5000, 30)]));
    let driver = connected(&server).await;
    driver.facts().await.unwrap();
    for (code, says) in [(ErrorCode::NO_SUPPORT, "not supported"), (ErrorCode::INTERNAL_ERROR, "node 1 is gone")] {
        server.answer(Procedure::NODE_GET_FREE_PAGES, refusal(code, says));
        let reading = driver.reading().await.unwrap();
        assert_eq!((reading.cells.len(), reading.vms.len()), (0, 1), "{says}");
    }
    // Fewer counts than were asked for.
    server.answer(Procedure::NODE_GET_FREE_PAGES, Answer::Reply(to_bytes(&List::<u64, 1024>(vec![1, 2, 3]))));
    assert_eq!(driver.reading().await.unwrap().cells, []);
    server.answer_as_usual(Procedure::NODE_GET_FREE_PAGES);
    assert_eq!(driver.reading().await.unwrap().cells.len(), 2);
}

#[tokio::test]
async fn a_vm_that_somebody_else_moves_is_seen() {
    let server = server("a", 3).await;
    let driver = connected(&server).await;
    server.edit(|host| host.vms[1].begin_migration_job(1 << 30));
    // The receiving half of a move from elsewhere: paused for migration.
    server.edit(|host| host.vms[2].state = (3, 2));
    let reading = driver.reading().await.unwrap();
    let states = |number| {
        let vm = find(&reading, vm(&server, number));
        (vm.state, vm.job)
    };
    assert_eq!(states(0), (RunState::Running, JobKind::None));
    assert_eq!(states(1), (RunState::Running, JobKind::MovingOut));
    assert_eq!(states(2), (RunState::Incoming, JobKind::MovingIn));
    let there = Presence::Here { state: RunState::Running, job: JobKind::MovingOut };
    assert_eq!(driver.locate(vm(&server, 1)).await.unwrap(), there);
    let progress = driver.job(vm(&server, 1)).await.unwrap().unwrap();
    assert_eq!((progress.total, progress.remaining), (Some(Bytes::gib(4)), Some(Bytes::gib(1))));
    assert_eq!(progress.passes, Some(2));
    driver.abort(vm(&server, 1)).await.unwrap();
    assert_eq!(driver.job(vm(&server, 1)).await.unwrap(), None);
    driver.abort(vm(&server, 1)).await.unwrap();
}

#[tokio::test]
async fn a_stuck_vm_neither_holds_up_the_others_nor_passes_for_idle() {
    let server = server("a", 4).await;
    let driver = connected(&server).await;
    server.answer(Procedure::DOMAIN_GET_JOB_STATS, Answer::Never);
    let reading = tokio::time::timeout(PATIENCE, driver.reading()).await.unwrap().unwrap();
    assert_eq!(reading.vms.len(), 4);
    assert!(reading.vms.iter().any(|vm| vm.job == JobKind::Other), "{reading:?}");
    // Questions that are given up keep their places: no more are asked for a while.
    let asked = server.times_called(Procedure::DOMAIN_GET_JOB_STATS);
    assert!(asked <= 3, "{asked}");
    for _ in 0..3 {
        let again = driver.reading().await.unwrap();
        assert!(again.vms.iter().any(|vm| vm.job == JobKind::Other), "{again:?}");
    }
    assert_eq!(server.times_called(Procedure::DOMAIN_GET_JOB_STATS), asked);
}

#[tokio::test]
async fn a_call_that_hangs_ends_with_its_deadline_and_the_others_go_on() {
    let server = server("a", 2).await;
    let driver = driver_of(&server, LibvirtOptions { call_deadline: SOON, ..LibvirtOptions::default() });
    until(&driver, |link| *link == Link::Up).await;
    server.answer(Procedure::CONNECT_GET_ALL_DOMAIN_STATS, Answer::Never);
    assert_eq!(driver.reading().await.unwrap_err().kind, ErrorKind::TimedOut);
    let there = Presence::Here { state: RunState::Running, job: JobKind::None };
    assert_eq!(driver.locate(vm(&server, 0)).await.unwrap(), there);
}

#[tokio::test]
async fn a_host_that_hangs_is_down_with_a_sentence_and_calls_fail_at_once() {
    let server = server("a", 1).await;
    server.behave(Behaviour::Hangs);
    let driver = driver_of(&server, LibvirtOptions { connect_deadline: SOON, ..LibvirtOptions::default() });
    let Link::Down { because } = until(&driver, |link| matches!(link, Link::Down { .. })).await else {
        unreachable!("that is what was waited for");
    };
    assert!(because.contains("no answer from 127.0.0.1"), "{because}");
    assert_eq!(driver.reading().await.unwrap_err().kind, ErrorKind::Unreachable);
}

#[tokio::test]
async fn a_broken_connection_is_told_and_built_anew() {
    let server = server("a", 1).await;
    let driver = connected(&server).await;
    let mut events = driver.events();
    server.cut_all();
    let mut told = Vec::new();
    while !(told.contains(&DriverEvent::LinkChanged(Link::Up)) && told.contains(&DriverEvent::Missed(1))) {
        told.push(tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap());
    }
    assert!(matches!(told[0], DriverEvent::LinkChanged(Link::Down { .. })), "{told:?}");
    assert_eq!(driver.reading().await.unwrap().vms.len(), 1);
}

#[tokio::test]
async fn the_events_end_with_the_driver() {
    let server = server("a", 1).await;
    let driver = connected(&server).await;
    let events = driver.events();
    drop(driver);
    let rest: Vec<_> = tokio::time::timeout(PATIENCE, events.collect()).await.expect("the stream ends");
    assert!(rest.iter().all(|event| matches!(event, DriverEvent::LinkChanged(_))), "{rest:?}");
}

#[tokio::test]
async fn a_move_has_a_connection_of_its_own_and_is_told_on_both_sides() {
    let (from, to) = (server("a", 2).await, server("b", 0).await);
    from.add_peer("qemu+tcp://b/system", &to);
    let (source, target) = (connected(&from).await, connected(&to).await);
    let (mut leaves, mut arrives) = (source.events(), target.events());
    let moved = vm(&from, 0);
    let order = MoveOrder {
        vm: moved,
        to: "b".into(),
        to_uri: "qemu+tcp://b/system".into(),
        bandwidth: None,
        max_downtime: None,
    };
    source.migrate(&order).await.unwrap();
    assert_eq!((from.accepted(), to.accepted()), (2, 1));
    heard(&mut leaves, DriverEvent::VmLeft(moved)).await;
    heard(&mut arrives, DriverEvent::VmRuns(moved)).await;
    assert!(matches!(target.locate(moved).await.unwrap(), Presence::Here { state: RunState::Running, .. }));
}

#[tokio::test]
async fn errors_of_a_move_keep_their_kind() {
    let server = server("a", 1).await;
    let driver = connected(&server).await;
    let order = |vm| MoveOrder {
        vm,
        to: "b".into(),
        to_uri: "qemu+tcp://b/system".into(),
        bandwidth: None,
        max_downtime: None,
    };
    let nobody = VmId(uuid::Uuid::from_u128(1));
    assert_eq!(driver.migrate(&order(nobody)).await.unwrap_err().kind, ErrorKind::NoSuchVm);
    for (code, message, kind) in [
        (ErrorCode::OPERATION_ABORTED, "operation aborted: canceled by client", ErrorKind::Aborted),
        (ErrorCode::OPERATION_INVALID, "another migration job is already running for domain 'v'", ErrorKind::Busy),
        (ErrorCode::MIGRATE_UNSAFE, "Unsafe migration: without shared storage is unsafe", ErrorKind::Refused),
        (ErrorCode::INTERNAL_ERROR, "client socket is closed", ErrorKind::Refused),
    ] {
        server.answer(Procedure::DOMAIN_MIGRATE_PERFORM3_PARAMS, refusal(code, message));
        let error = driver.migrate(&order(vm(&server, 0))).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(message), "{error}");
    }
    server.answer(Procedure::DOMAIN_MIGRATE_PERFORM3_PARAMS, Answer::CutOff);
    assert_eq!(driver.migrate(&order(vm(&server, 0))).await.unwrap_err().kind, ErrorKind::Unreachable);
}

#[tokio::test]
async fn a_cpu_that_is_not_offered_is_a_verdict_and_a_broken_daemon_is_none() {
    let server = server("a", 1).await;
    server.edit(|host| {
        let cpu = "<cpu mode='custom'><model>Skylake</model></cpu><devices>";
        host.vms[0].xml = host.vms[0].xml.replace("<devices>", cpu);
    });
    let driver = connected(&server).await;
    let need = driver.vm_facts(vm(&server, 0)).await.unwrap().needs.cpu;
    assert_eq!(driver.judge_cpu(&need).await.unwrap(), CpuVerdict::Offered);
    let words = "the CPU is incompatible with host CPU: Host CPU does not provide required features: avx2";
    server.answer(Procedure::CONNECT_COMPARE_HYPERVISOR_CPU, refusal(ErrorCode::CPU_INCOMPATIBLE, words));
    assert_eq!(driver.judge_cpu(&need).await.unwrap(), CpuVerdict::Missing { what: words.into() });
    server.answer(Procedure::CONNECT_COMPARE_HYPERVISOR_CPU, Answer::Reply(to_bytes(&0i32)));
    assert!(matches!(driver.judge_cpu(&need).await.unwrap(), CpuVerdict::Missing { .. }));
    server.answer(Procedure::CONNECT_COMPARE_HYPERVISOR_CPU, refusal(ErrorCode::INTERNAL_ERROR, "out of memory"));
    assert_eq!(driver.judge_cpu(&need).await.unwrap_err().kind, ErrorKind::Refused);
}

#[tokio::test]
async fn a_libvirt_that_cannot_compare_cpus_does_not_offer_any() {
    let server = server("a", 1).await;
    server.edit(|host| {
        host.lib_version = 4_003_000;
        let cpu = "<cpu mode='custom'><model>Skylake</model></cpu><devices>";
        host.vms[0].xml = host.vms[0].xml.replace("<devices>", cpu);
    });
    let driver = connected(&server).await;
    let need = driver.vm_facts(vm(&server, 0)).await.unwrap().needs.cpu;
    let CpuVerdict::Missing { what } = driver.judge_cpu(&need).await.unwrap() else { panic!("it cannot know") };
    assert!(what.contains("4.3.0") && what.contains("4.4.0"), "{what}");
}

#[tokio::test]
async fn lies_of_a_host_are_errors() {
    let server = server("a", 1).await;
    let driver = connected(&server).await;
    server.edit(|host| host.vms[0].xml = "<!DOCTYPE x [<!ENTITY e 'e'>]><domain>&e;</domain>".into());
    assert_eq!(driver.vm_facts(vm(&server, 0)).await.unwrap_err().kind, ErrorKind::Refused);
    server.edit(|host| host.capabilities = "<capabilities><host/></capabilities>".into());
    let error = driver.facts().await.unwrap_err();
    assert!(error.message.contains("UUID"), "{error}");
}

#[tokio::test]
async fn a_person_who_tests_a_host_gets_one_clear_sentence() {
    let sound = server("a", 1).await;
    let probe = connect_once(&sound.uri().to_string(), PATIENCE).await.unwrap();
    assert_eq!((probe.facts.hostname.as_str(), probe.libvirt.as_str()), ("a", "11.3.0"));

    async fn told(server: &FakeServer, deadline: Duration) -> DriverError {
        connect_once(&server.uri().to_string(), deadline).await.unwrap_err()
    }
    let hangs = server("b", 1).await;
    hangs.behave(Behaviour::Hangs);
    let error = told(&hangs, SOON).await;
    assert!(error.message.contains("answer"), "{error}");

    let hangs_up = server("c", 1).await;
    hangs_up.behave(Behaviour::HangsUp);
    let error = told(&hangs_up, PATIENCE).await;
    assert!(error.message.contains("is it really libvirt's port"), "{error}");

    let stuck = server("d", 1).await;
    stuck.answer(Procedure::CONNECT_GET_CAPABILITIES, Answer::Never);
    let error = told(&stuck, SOON).await;
    assert_eq!(error.kind, ErrorKind::TimedOut);
    assert!(error.message.contains("is its libvirtd stuck"), "{error}");

    let polkit = server("e", 1).await;
    polkit.edit(|host| {
        host.auth = vec![2];
        host.polkit_complete = 0;
    });
    let error = told(&polkit, PATIENCE).await;
    assert!(error.message.contains("does not let us in") && error.message.contains("polkit"), "{error}");

    let container = server("f", 1).await;
    container.answer(Procedure::CONNECT_GET_URI, Answer::Reply(to_bytes(&"lxc:///system".to_owned())));
    let error = told(&container, PATIENCE).await;
    assert!(error.message.contains("\"lxc\"") && error.message.contains("QEMU"), "{error}");

    let old = server("g", 1).await;
    old.edit(|host| host.lib_version = 1_002_000);
    let error = told(&old, PATIENCE).await;
    assert!(error.message.contains("libvirt 1.2.0"), "{error}");

    let other = server("h", 1).await;
    other.answer(Procedure::AUTH_LIST, Answer::Raw(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n".to_vec()));
    let error = told(&other, PATIENCE).await;
    assert!(error.message.contains("does not speak libvirt's protocol"), "{error}");
}
