//! Against real daemons. Skipped unless the environment names them (`tests/real.sh` does):
//!
//! * `ULM_LIBVIRT_TEST_HOST`: a URI of a daemon with the test driver, like `test+tcp://…/default`;
//! * `ULM_LIBVIRT_TEST_PAIR`: two URIs of QEMU daemons that reach each other, separated by a space,
//!   and the address where the second one takes migration data (`tcp://…`).
//!
//! The guests have no disk and no kernel: firmware that finds nothing to boot, under TCG.

use std::time::Duration;
use ulm_libvirt::domain::{PausedReason, RunningReason, ShutoffReason, Start, XmlFlags};
use ulm_libvirt::events::{Lifecycle, Resumed, Started, Stopped, Suspended};
use ulm_libvirt::job::{JobOperation, WhichJob};
use ulm_libvirt::migrate::{MigrationCookie, MigrationOutcome};
use ulm_libvirt::node::Hypervisor;
use ulm_libvirt::stats::{DirtyRateStatus, StatsGroups};
use ulm_libvirt::{
    Access, ConnectOptions, Connection, Domain, DomainFilter, DomainState, ErrorCode, Event, EventKind, EventStream,
    Feature, Incoming, MigrateFlags, MigrateParams, StatsRequest, Uri,
};

const DEADLINE: Duration = Duration::from_secs(60);

fn test_host() -> Option<Uri> {
    match std::env::var("ULM_LIBVIRT_TEST_HOST") {
        Ok(uri) => Some(uri.parse().unwrap()),
        Err(_) => {
            eprintln!("skipped: ULM_LIBVIRT_TEST_HOST names no daemon (run tests/real.sh)");
            None
        }
    }
}

struct Pair {
    a: Connection,
    b: Connection,
    b_uri: String,
    data: String,
}

async fn pair() -> Option<Pair> {
    let Ok(pair) = std::env::var("ULM_LIBVIRT_TEST_PAIR") else {
        eprintln!("skipped: ULM_LIBVIRT_TEST_PAIR names no daemons (run tests/real.sh)");
        return None;
    };
    let words: Vec<&str> = pair.split_whitespace().collect();
    let [a, b, data] = words[..] else {
        panic!("ULM_LIBVIRT_TEST_PAIR needs two URIs and a data address: {pair}");
    };
    Some(Pair {
        a: Connection::open(&a.parse().unwrap()).await.unwrap(),
        b: Connection::open(&b.parse().unwrap()).await.unwrap(),
        b_uri: b.to_owned(),
        data: data.to_owned(),
    })
}

/// Defines and starts a guest of 64 MiB, after removing what an earlier run has left.
async fn guest(pair: &Pair, name: &str) -> Domain {
    for host in [&pair.a, &pair.b] {
        if let Ok(old) = host.domain_by_name(name).await {
            let _ = host.destroy_domain(&old).await;
            let _ = host.undefine_domain(&old).await;
        }
    }
    let xml = format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os>\
         <devices><memballoon model='virtio'/></devices></domain>"
    );
    let vm = pair.a.define_domain(&xml).await.unwrap();
    assert_eq!(vm.id, None);
    let vm = pair.a.start_domain(&vm, Start::Running).await.unwrap();
    assert!(vm.id.is_some());
    vm
}

async fn remove(host: &Connection, vm: &Domain) {
    host.destroy_domain(vm).await.unwrap();
    host.undefine_domain(vm).await.unwrap();
}

/// Waits for a lifecycle change of a VM, in order; others in between are passed over.
async fn wait_for(events: &mut EventStream, vm: &Domain, wanted: Lifecycle) {
    let wait = async {
        loop {
            match events.next().await {
                Some(Incoming::Event(Event::Lifecycle { domain, change }))
                    if domain.uuid == vm.uuid && change == wanted =>
                {
                    return;
                }
                Some(_) => {}
                None => panic!("the events ended before {wanted}"),
            }
        }
    };
    if tokio::time::timeout(DEADLINE, wait).await.is_err() {
        panic!("no event {wanted}");
    }
}

#[tokio::test]
async fn the_test_driver_lists_suspends_and_tells() {
    let Some(uri) = test_host() else { return };
    let host = Connection::open(&uri).await.unwrap();
    assert_eq!(host.remote_uri().await.unwrap(), "test:///default");
    assert!(host.supports_feature(Feature::KeepAlive).await.unwrap());
    assert!(host.supports_feature(Feature::EventCallback).await.unwrap());
    assert!(host.lib_version().await.unwrap().major() >= 7);
    assert_eq!(host.node_info().await.unwrap().memory_bytes, 3 << 30);
    let mut events = host.events(&[EventKind::Lifecycle]).await.unwrap();
    let vm = host.domain_by_name("test").await.unwrap();
    assert_eq!(host.domain_by_uuid(vm.uuid).await.unwrap(), vm);
    host.suspend_domain(&vm).await.unwrap();
    wait_for(&mut events, &vm, Lifecycle::Suspended(Suspended::Paused)).await;
    let paused = DomainState::Paused(PausedReason::User);
    assert_eq!(host.domain_state(&vm).await.unwrap(), paused);
    host.resume_domain(&vm).await.unwrap();
    wait_for(&mut events, &vm, Lifecycle::Resumed(Resumed::Unpaused)).await;
    assert!(host.domain_xml(&vm, XmlFlags::CURRENT).await.unwrap().contains("<domain"));
    assert!(host.capabilities().await.unwrap().contains("<capabilities"));
    assert!(host.domain_is_persistent(&vm).await.unwrap());
    let networks = host.networks().await.unwrap();
    assert!(host.network_is_active(&networks[0]).await.unwrap());
    assert!(host.network_xml(&networks[0]).await.unwrap().contains("<network"));
    let pools = host.storage_pools().await.unwrap();
    assert!(host.storage_pool_is_active(&pools[0]).await.unwrap());
    let info = host.storage_pool_info(&pools[0]).await.unwrap();
    assert!(info.capacity_bytes > info.allocation_bytes);
    assert!(host.storage_pool_xml(&pools[0]).await.unwrap().contains("<pool"));
    assert!(host.node_device_xml("computer").await.unwrap().contains("<device"));
    let error = host.domain_by_name("nobody").await.unwrap_err();
    assert!(error.is_no_domain(), "{error}");
    let error = host.node_memory_stats().await.unwrap_err();
    assert!(error.is_unsupported(), "{error}");
    host.close().await;
}

#[tokio::test]
async fn a_read_only_connection_may_look_and_not_touch() {
    let Some(uri) = test_host() else { return };
    let options = ConnectOptions { access: Access::ReadOnly, ..Default::default() };
    let host = Connection::open_with(&uri, &options).await.unwrap();
    let vm = host.domain_by_name("test").await.unwrap();
    let error = host.suspend_domain(&vm).await.unwrap_err();
    assert!(error.is_denied(), "{error}");
}

#[tokio::test]
async fn many_calls_at_once_are_all_answered() {
    let Some(uri) = test_host() else { return };
    let host = Connection::open(&uri).await.unwrap();
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let host = host.clone();
            tokio::spawn(async move { host.remote_uri().await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_daemons_keep_alive_is_satisfied_with_us() {
    let Some(uri) = test_host() else { return };
    // The daemon of tests/real.sh asks every second and gives up after 2 pings.
    let options = ConnectOptions { keep_alive: None, ..Default::default() };
    let host = Connection::open_with(&uri, &options).await.unwrap();
    let idle = tokio::time::timeout(Duration::from_secs(6), host.ended()).await;
    assert!(idle.is_err(), "{idle:?}");
    host.hostname().await.unwrap();
}

#[tokio::test]
async fn a_qemu_host_gives_its_figures() {
    let Some(pair) = pair().await else { return };
    let vm = guest(&pair, "ulm-stats").await;
    let host = &pair.a;
    assert!(host.hypervisor_version().await.unwrap().major() >= 7);
    let cpu = host.node_cpu_stats().await.unwrap();
    assert!(cpu.idle_ns.unwrap() > 0 && cpu.user_ns.unwrap() > 0);
    let memory = host.node_memory_stats().await.unwrap();
    assert!(memory.total_bytes.unwrap() > memory.free_bytes.unwrap());
    let info = host.node_info().await.unwrap();
    assert!(info.cpus > 0 && info.model == "x86_64", "{info:?}");
    let pages = host.node_free_pages(&[4], 0, 1).await.unwrap();
    assert_eq!((pages.len(), pages[0].len()), (1, 1));
    if std::path::Path::new("/sys/kernel/mm/ksm/pages_sharing").exists() {
        let merging = host.node_memory_parameters().await.unwrap();
        assert!(merging.pages_sharing.is_some() && merging.full_scans.is_some(), "{merging:?}");
    }
    let of = Hypervisor { virt_type: Some("qemu".into()), ..Default::default() };
    assert!(host.domain_capabilities(&of).await.unwrap().contains("<domainCapabilities"));
    let cpu = "<cpu><arch>x86_64</arch><model>qemu64</model></cpu>";
    host.compare_hypervisor_cpu(&of, cpu).await.unwrap();
    let baseline = host.baseline_hypervisor_cpu(&of, &[cpu.to_owned()]).await.unwrap();
    assert!(baseline.contains("<cpu"), "{baseline}");

    host.start_dirty_rate_calc(&vm, Duration::from_secs(1)).await.unwrap();
    let figures = async |groups| {
        let request =
            StatsRequest { groups, filter: DomainFilter::ACTIVE, only: vec![vm.clone()], ..Default::default() };
        host.domain_stats(&request).await.unwrap().remove(0)
    };
    let stats = figures(StatsGroups::ALL).await;
    assert_eq!(stats.state, Some(DomainState::Running(RunningReason::Booted)));
    assert!(stats.cpu.total_ns.unwrap() > 0);
    assert_eq!(stats.balloon.maximum_bytes, Some(64 << 20));
    assert_eq!(stats.vcpu.current, Some(1));
    assert!(stats.vcpu.each[0].time_ns.is_some(), "{stats:?}");
    assert!(stats.dirty_rate.is_some());
    let measured = async {
        while figures(StatsGroups::DIRTYRATE).await.dirty_rate.map(|r| r.status) != Some(DirtyRateStatus::Measured) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(DEADLINE, measured).await.unwrap();
    assert!(figures(StatsGroups::DIRTYRATE).await.dirty_rate.unwrap().bytes_per_s.is_some());

    host.set_memory_stats_period(&vm, Duration::from_secs(1)).await.unwrap();
    let xml = host.domain_xml(&vm, XmlFlags::MIGRATABLE | XmlFlags::SECURE).await.unwrap();
    assert!(xml.contains("<name>ulm-stats</name>"), "{xml}");
    let error = host.abort_job(&vm).await.unwrap_err();
    assert!(error.is_operation_invalid(), "{error}");
    remove(host, &vm).await;
}

const MOVE: MigrateFlags = MigrateFlags::LIVE.with(MigrateFlags::PERSIST_DEST).with(MigrateFlags::UNDEFINE_SOURCE);

#[tokio::test]
async fn a_guest_moves_peer_to_peer_and_both_hosts_tell() {
    let Some(pair) = pair().await else { return };
    let vm = guest(&pair, "ulm-p2p").await;
    let mut at_a = pair.a.events(&EventKind::ALL).await.unwrap();
    let mut at_b = pair.b.events(&EventKind::ALL).await.unwrap();
    let params =
        MigrateParams { migrate_uri: Some(pair.data.clone()), bandwidth_mib_s: Some(1000), ..Default::default() };
    pair.a.migrate_to(&vm, &pair.b_uri, &params, MOVE, DEADLINE).await.unwrap();
    wait_for(&mut at_b, &vm, Lifecycle::Started(Started::Migrated)).await;
    wait_for(&mut at_a, &vm, Lifecycle::Suspended(Suspended::Migrated)).await;
    wait_for(&mut at_b, &vm, Lifecycle::Resumed(Resumed::Migrated)).await;
    wait_for(&mut at_a, &vm, Lifecycle::Stopped(Stopped::Migrated)).await;
    assert!(pair.a.domain_by_uuid(vm.uuid).await.unwrap_err().is_no_domain());
    let there = pair.b.domain_by_uuid(vm.uuid).await.unwrap();
    assert_eq!(pair.b.domain_state(&there).await.unwrap(), DomainState::Running(RunningReason::Migrated));
    let done = pair.b.job_stats(&there, WhichJob::Completed).await.unwrap();
    assert_eq!(done.operation, JobOperation::MigrationIn);
    println!("{} ms in all, {} ms downtime", done.elapsed_ms.unwrap(), done.downtime_ms.unwrap());
    remove(&pair.b, &there).await;
}

#[tokio::test]
async fn an_aborted_migration_leaves_the_guest_where_it_was() {
    let Some(pair) = pair().await else { return };
    let vm = guest(&pair, "ulm-abort").await;
    let mut passes = pair.a.events(&[EventKind::MigrationIteration]).await.unwrap();
    let params = MigrateParams {
        migrate_uri: Some(pair.data.clone()),
        // So slow that it cannot be over before it is aborted; empty pages cost next to nothing.
        bandwidth_mib_s: Some(1),
        ..Default::default()
    };
    pair.a.set_migration_max_downtime(&vm, Duration::from_millis(1)).await.unwrap();
    assert_eq!(pair.a.migration_max_downtime(&vm).await.unwrap(), Duration::from_millis(1));
    let moving = pair.a.migrate_to(&vm, &pair.b_uri, &params, MOVE, DEADLINE);
    let aborting = async {
        assert!(matches!(passes.next().await, Some(Incoming::Event(Event::MigrationIteration { .. }))));
        let job = pair.a.job_stats(&vm, WhichJob::Current).await.unwrap();
        assert!(job.is_running(), "{job:?}");
        assert_eq!(job.operation, JobOperation::MigrationOut);
        pair.a.set_migration_max_speed(&vm, 2).await.unwrap();
        assert_eq!(pair.a.migration_max_speed(&vm).await.unwrap(), 2);
        pair.a.abort_job(&vm).await.unwrap();
    };
    let (moved, ()) = tokio::join!(moving, aborting);
    let error = moved.unwrap_err();
    assert!(error.is_operation_aborted(), "{error}");
    assert!(pair.a.domain_state(&vm).await.unwrap().is_running());
    match pair.b.domain_by_uuid(vm.uuid).await {
        Err(error) => assert!(error.is_no_domain(), "{error}"),
        Ok(there) => {
            assert_eq!(pair.b.domain_state(&there).await.unwrap(), DomainState::Shutoff(ShutoffReason::Failed))
        }
    }
    remove(&pair.a, &vm).await;
}

#[tokio::test]
async fn the_five_phases_by_hand_move_a_guest() {
    let Some(pair) = pair().await else { return };
    let vm = guest(&pair, "ulm-phases").await;
    let (xml, cookie) = pair.a.migrate_begin(&vm, &MigrateParams::default(), MOVE).await.unwrap();
    let mut params = MigrateParams {
        dest_xml: Some(xml),
        dest_name: Some(vm.name.clone()),
        migrate_uri: Some(pair.data.clone()),
        ..Default::default()
    };
    let (uri, cookie) = pair.b.migrate_prepare(&params, &cookie, MOVE).await.unwrap();
    params.migrate_uri = uri.or(params.migrate_uri);
    let cookie = pair.a.migrate_perform(&vm, &params, &cookie, MOVE, DEADLINE).await.unwrap();
    let done = MigrationOutcome::Completed;
    let (there, cookie) = pair.b.migrate_finish(&params, &cookie, MOVE, done).await.unwrap();
    pair.a.migrate_confirm(&vm, &params, &cookie, MOVE, done).await.unwrap();
    assert_ne!(cookie, MigrationCookie::default());
    assert!(pair.a.domain_by_uuid(vm.uuid).await.unwrap_err().is_no_domain());
    assert!(pair.b.domain_state(&there).await.unwrap().is_running());
    remove(&pair.b, &there).await;
}

#[tokio::test]
async fn a_guest_is_switched_to_post_copy_and_arrives() {
    let Some(pair) = pair().await else { return };
    let vm = guest(&pair, "ulm-postcopy").await;
    let mut at_a = pair.a.events(&EventKind::ALL).await.unwrap();
    let params = MigrateParams { migrate_uri: Some(pair.data.clone()), bandwidth_mib_s: Some(1), ..Default::default() };
    let flags = MOVE | MigrateFlags::POSTCOPY;
    let moving = pair.a.migrate_to(&vm, &pair.b_uri, &params, flags, DEADLINE);
    let switching = async {
        let pass =
            async { while !matches!(at_a.next().await, Some(Incoming::Event(Event::MigrationIteration { .. }))) {} };
        tokio::time::timeout(DEADLINE, pass).await.unwrap();
        pair.a.start_post_copy(&vm).await.unwrap();
    };
    let (moved, ()) = tokio::join!(moving, switching);
    moved.unwrap();
    wait_for(&mut at_a, &vm, Lifecycle::Suspended(Suspended::Postcopy)).await;
    let there = pair.b.domain_by_uuid(vm.uuid).await.unwrap();
    assert!(pair.b.domain_state(&there).await.unwrap().is_running());
    remove(&pair.b, &there).await;
}

#[tokio::test]
async fn an_impossible_destination_is_libvirts_error() {
    let Some(pair) = pair().await else { return };
    let vm = guest(&pair, "ulm-nowhere").await;
    let params = MigrateParams::default();
    let error = pair.a.migrate_to(&vm, "qemu+tcp://127.0.0.1:1/system", &params, MOVE, DEADLINE).await.unwrap_err();
    assert!(error.code().is_some(), "{error}");
    assert_ne!(error.code(), Some(ErrorCode::OPERATION_ABORTED));
    assert!(pair.a.domain_state(&vm).await.unwrap().is_running());
    remove(&pair.a, &vm).await;
}
