//! Events: they arrive in order, never hold up calls, and losses are counted.

use std::time::Duration;
use ulm_libvirt::events::{Lifecycle, Resumed, Started, Stopped, Suspended};
use ulm_libvirt::testing::{FakeHost, FakeServer};
use ulm_libvirt::{
    ConnectOptions, Connection, DomainFilter, Event, EventKind, Incoming, MigrateFlags, MigrateParams, Procedure,
};

async fn connect(server: &FakeServer, event_buffer: usize) -> Connection {
    let options = ConnectOptions { event_buffer, ..Default::default() };
    Connection::over(server.connect(), "qemu:///system", &options).await.unwrap()
}

#[tokio::test]
async fn a_migration_is_told_on_both_hosts_in_order() {
    let (a, b) =
        (FakeServer::in_memory(FakeHost::with_vms("h1", 2)), FakeServer::in_memory(FakeHost::with_vms("h2", 0)));
    a.add_peer("qemu+tcp://h2/system", &b);
    let (source, target) = (connect(&a, 16).await, connect(&b, 16).await);
    let mut at_source = source.events(&EventKind::ALL).await.unwrap();
    let mut at_target = target.events(&EventKind::ALL).await.unwrap();
    let vm = source.domain_by_name("h1-vm001").await.unwrap();
    let flags = MigrateFlags::LIVE | MigrateFlags::PERSIST_DEST | MigrateFlags::UNDEFINE_SOURCE;
    let params = MigrateParams { bandwidth_mib_s: Some(100), ..Default::default() };
    let deadline = Duration::from_secs(60);
    let error = source.migrate_to(&vm, "qemu+tcp://h9/system", &params, flags, deadline).await.unwrap_err();
    assert!(error.to_string().contains("h9"), "{error}");
    source.migrate_to(&vm, "qemu+tcp://h2/system", &params, flags, deadline).await.unwrap();
    let expect = async |stream: &mut ulm_libvirt::EventStream, wanted: Lifecycle| {
        let Some(Incoming::Event(Event::Lifecycle { domain, change })) = stream.next().await else {
            panic!("no lifecycle event");
        };
        assert_eq!((domain.uuid, change), (vm.uuid, wanted));
    };
    expect(&mut at_source, Lifecycle::Suspended(Suspended::Migrated)).await;
    expect(&mut at_source, Lifecycle::Stopped(Stopped::Migrated)).await;
    expect(&mut at_target, Lifecycle::Started(Started::Migrated)).await;
    expect(&mut at_target, Lifecycle::Resumed(Resumed::Migrated)).await;
    assert_eq!(source.domains(DomainFilter::ALL).await.unwrap().len(), 1);
    assert_eq!(target.domain_by_uuid(vm.uuid).await.unwrap().uuid, vm.uuid);
}

#[tokio::test]
async fn a_slow_consumer_loses_events_is_told_how_many_and_holds_up_nobody() {
    let server = FakeServer::in_memory(FakeHost::with_vms("h1", 1));
    let host = connect(&server, 4).await;
    let mut slow = host.events(&[EventKind::MigrationIteration]).await.unwrap();
    let domain = host.domain_by_name("h1-vm000").await.unwrap();
    for iteration in 1..=10 {
        let domain = domain.clone();
        server.emit(&Event::MigrationIteration { domain, iteration });
    }
    // An answer comes behind the events, so they have all arrived by then.
    assert_eq!(host.hostname().await.unwrap(), "h1");
    assert_eq!(slow.next().await, Some(Incoming::Lagged(6)));
    for wanted in 7..=10 {
        let Some(Incoming::Event(Event::MigrationIteration { iteration, .. })) = slow.next().await else {
            panic!("no iteration {wanted}");
        };
        assert_eq!(iteration, wanted);
    }
}

#[tokio::test]
async fn a_kind_is_registered_once_however_many_listen() {
    let server = FakeServer::in_memory(FakeHost::with_vms("h1", 1));
    let host = connect(&server, 16).await;
    let mut first = host.events(&[EventKind::Lifecycle]).await.unwrap();
    let mut second = host.events(&[EventKind::Lifecycle]).await.unwrap();
    let registered = Procedure::DOMAIN_EVENT_CALLBACK_REGISTER_ANY;
    assert_eq!(server.times_called(registered), 1);
    let event = Event::Lifecycle {
        domain: host.domain_by_name("h1-vm000").await.unwrap(),
        change: Lifecycle::Suspended(Suspended::Paused),
    };
    server.emit(&event);
    assert_eq!(first.next().await, Some(Incoming::Event(event.clone())));
    assert_eq!(second.next().await, Some(Incoming::Event(event)));
}

#[tokio::test]
async fn the_stream_ends_with_the_connection() {
    let server = FakeServer::in_memory(FakeHost::with_vms("h1", 1));
    let host = connect(&server, 16).await;
    let mut events = host.events(&EventKind::ALL).await.unwrap();
    server.cut_all();
    host.ended().await;
    drop(host);
    assert_eq!(events.next().await, None);
}
