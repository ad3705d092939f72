//! Calls: how they overlap, end, fail and are given up.

use std::time::Duration;
use ulm_libvirt::domain::RunningReason;
use ulm_libvirt::job::{JobType, WhichJob};
use ulm_libvirt::testing::{Answer, Behaviour, FakeCell, FakeHost, FakePages, FakeServer, Gate};
use ulm_libvirt::{
    ConnectOptions, Connection, Domain, DomainFilter, DomainState, Error, ErrorCode, ErrorWire, KeepAlive,
    NodeMemoryParameters, Procedure, StatsRequest,
};

const LONG: Duration = Duration::from_secs(3600);

/// No keep-alive and no deadlines in the way of a paused clock.
fn patient() -> ConnectOptions {
    ConnectOptions { keep_alive: None, call_deadline: LONG, ..Default::default() }
}

async fn connect(server: &FakeServer, options: &ConnectOptions) -> Connection {
    Connection::over(server.connect(), "qemu:///system", options).await.unwrap()
}

#[tokio::test]
async fn a_host_is_read_in_typed_figures() {
    let server = FakeServer::tcp(FakeHost::with_vms("h1", 3)).await.unwrap();
    let host = Connection::open(&server.uri()).await.unwrap();
    assert_eq!(host.hostname().await.unwrap(), "h1");
    assert_eq!(host.lib_version().await.unwrap().to_string(), "11.3.0");
    let info = host.node_info().await.unwrap();
    assert_eq!((info.model.as_str(), info.cpus), ("x86_64", 32));
    assert_eq!(info.memory_bytes, 256 << 30);
    let cpu = host.node_cpu_stats().await.unwrap();
    assert!(cpu.idle_ns.unwrap() > cpu.kernel_ns.unwrap());
    let memory = host.node_memory_stats().await.unwrap();
    assert_eq!(memory.total_bytes, Some(256 << 30));
    let vms = host.domain_stats(&StatsRequest::default()).await.unwrap();
    assert_eq!(vms.len(), 3);
    assert_eq!(vms[0].state, Some(DomainState::Running(RunningReason::Booted)));
    assert_eq!(vms[0].balloon.current_bytes, Some(4 << 30));
    assert_eq!(vms[2].vcpu.each.len(), 4);
    assert!(vms[0].other.0.is_empty(), "{:?}", vms[0].other);
    let vm = host.domain_by_uuid(vms[1].domain.uuid).await.unwrap();
    assert_eq!(vm, host.domain_by_name("h1-vm001").await.unwrap());
    let job = host.job_stats(&vm, WhichJob::Current).await.unwrap();
    assert_eq!(job.job, JobType::None);
    assert_eq!(host.networks().await.unwrap()[0].name, "default");
    host.close().await;
    server.until(|s| s.connected() == 0).await;
}

#[tokio::test]
async fn free_pages_are_told_by_cell_and_size() {
    let pages = |size_kib, free| FakePages { size_kib, total: 1000, free };
    let cell = |id, free| FakeCell { id, cpus: 8, pages: vec![pages(4, free), pages(2048, free / 10)] };
    let server = FakeServer::tcp(FakeHost::with_vms("h1", 0)).await.unwrap();
    let host = Connection::open(&server.uri()).await.unwrap();
    let unknown = host.node_free_pages(&[4], 0, 1).await.unwrap_err();
    assert!(unknown.is_unsupported(), "{unknown}");
    server.edit(|host| host.tell_cells(vec![cell(0, 700), cell(1, 500), cell(3, 90)]));
    assert_eq!(host.node_free_pages(&[4, 2048], 0, 2).await.unwrap(), [[700, 70], [500, 50]]);
    assert_eq!(host.node_free_pages(&[2048], 3, 9).await.unwrap(), [[9]]);
    for (sizes, first, cells, says) in
        [(&[4][..], 1, 3, "node 2"), (&[16], 0, 1, "16 KiB"), (&[4], 4, 1, "out of range"), (&[4], 0, 1025, "fit")]
    {
        let error = host.node_free_pages(sizes, first, cells).await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn what_a_host_merges_is_told_in_its_pages() {
    let server = FakeServer::tcp(FakeHost::with_vms("h1", 0)).await.unwrap();
    let host = Connection::open(&server.uri()).await.unwrap();
    let unknown = host.node_memory_parameters().await.unwrap_err();
    assert!(unknown.is_unsupported(), "{unknown}");
    server.edit(|host| host.tell_merging(300, 4_000, 12));
    let told = host.node_memory_parameters().await.unwrap();
    assert_eq!((told.pages_shared, told.pages_sharing, told.full_scans), (Some(300), Some(4_000), Some(12)));
    assert_eq!((told.pages_unshared, told.pages_volatile), (Some(7_000), Some(50)));
    assert_eq!((told.pages_to_scan, told.sleep_ms, told.merge_across_nodes), (Some(100), Some(20), Some(true)));
    // A kernel that does not merge: libvirt leaves out what it cannot read.
    server.edit(|host| host.memory_parameters.retain(|parameter| parameter.field == "shm_full_scans"));
    let told = host.node_memory_parameters().await.unwrap();
    assert_eq!(told, NodeMemoryParameters { full_scans: Some(12), ..NodeMemoryParameters::default() });
}

#[tokio::test]
async fn a_unix_socket_works_like_tcp() {
    let folder = tempfile::tempdir().unwrap();
    let server = FakeServer::unix(&folder.path().join("sock"), FakeHost::with_vms("h1", 2)).await.unwrap();
    let host = Connection::open(&server.uri()).await.unwrap();
    let vms = host.domains(DomainFilter::ACTIVE).await.unwrap();
    assert_eq!(vms.len(), 2);
}

#[tokio::test]
async fn a_slow_call_does_not_hold_up_another() {
    let server = FakeServer::in_memory(FakeHost::with_vms("h1", 1));
    let host = connect(&server, &patient()).await;
    let gate = Gate::new();
    server.answer(Procedure::CONNECT_GET_CAPABILITIES, Answer::Gated(gate.clone()));
    let slow = tokio::spawn({
        let host = host.clone();
        async move { host.capabilities().await }
    });
    server.until(|s| s.times_called(Procedure::CONNECT_GET_CAPABILITIES) == 1).await;
    assert_eq!(host.hostname().await.unwrap(), "h1");
    assert!(!slow.is_finished());
    gate.open();
    assert!(slow.await.unwrap().unwrap().contains("<capabilities>"));
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_ends_at_its_deadline_and_the_connection_lives_on() {
    let server = FakeServer::in_memory(FakeHost::with_vms("h1", 1));
    let host = connect(&server, &patient()).await;
    server.answer(Procedure::CONNECT_GET_CAPABILITIES, Answer::Never);
    let error = host.within(Duration::from_secs(7)).capabilities().await.unwrap_err();
    assert!(error.is_deadline());
    assert!(error.to_string().contains("within 7.0 s"), "{error}");
    assert_eq!(host.hostname().await.unwrap(), "h1");
}

#[tokio::test]
async fn the_reply_to_a_dropped_call_is_thrown_away() {
    let server = FakeServer::in_memory(FakeHost::with_vms("h1", 1));
    let host = connect(&server, &patient()).await;
    let gate = Gate::new();
    server.answer(Procedure::CONNECT_GET_CAPABILITIES, Answer::Gated(gate.clone()));
    let dropped = tokio::spawn({
        let host = host.clone();
        async move { host.capabilities().await }
    });
    server.until(|s| s.times_called(Procedure::CONNECT_GET_CAPABILITIES) == 1).await;
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    gate.open();
    for _ in 0..10 {
        assert_eq!(host.hostname().await.unwrap(), "h1");
    }
    assert!(host.end_reason().is_none());
}

#[tokio::test]
async fn no_more_than_four_calls_are_under_way_at_once() {
    let server = FakeServer::in_memory(FakeHost::with_vms("h1", 1));
    let host = connect(&server, &patient()).await;
    let gate = Gate::new();
    server.answer(Procedure::CONNECT_GET_HOSTNAME, Answer::Gated(gate.clone()));
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let host = host.clone();
            tokio::spawn(async move { host.hostname().await })
        })
        .collect();
    server.until(|s| s.times_called(Procedure::CONNECT_GET_HOSTNAME) == 4).await;
    gate.open();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(server.most_at_once(), 4);
    assert_eq!(server.times_called(Procedure::CONNECT_GET_HOSTNAME), 20);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_never_answers_anything_is_given_up() {
    let server = FakeServer::in_memory(FakeHost::with_vms("h1", 1));
    let options = ConnectOptions { call_deadline: Duration::from_secs(30), ..patient() };
    let host = connect(&server, &options).await;
    server.answer(Procedure::CONNECT_GET_HOSTNAME, Answer::Never);
    for _ in 0..4 {
        assert!(host.hostname().await.unwrap_err().is_deadline());
    }
    let reason = host.ended().await.to_string();
    assert!(reason.contains("stuck"), "{reason}");
    assert!(reason.contains("connect_get_hostname"), "{reason}");
    assert!(host.hostname().await.unwrap_err().is_connection_lost());
}

#[tokio::test(start_paused = true)]
async fn silence_ends_the_connection_with_a_reason_and_fails_the_calls_under_way() {
    let server = FakeServer::in_memory(FakeHost::with_vms("h1", 1));
    let options =
        ConnectOptions { keep_alive: Some(KeepAlive { interval: Duration::from_secs(5), count: 3 }), ..patient() };
    let host = connect(&server, &options).await;
    server.answer(Procedure::CONNECT_GET_HOSTNAME, Answer::Never);
    server.behave(Behaviour::IgnoresPings);
    let error = host.hostname().await.unwrap_err();
    assert!(error.is_connection_lost());
    assert!(error.to_string().contains("no sign of life for 20 s"), "{error}");
    assert_eq!(server.pings(), 3);
}

#[tokio::test(start_paused = true)]
async fn answered_pings_keep_an_idle_connection_alive() {
    let server = FakeServer::in_memory(FakeHost::with_vms("h1", 1));
    let options = ConnectOptions { keep_alive: Some(KeepAlive::default()), ..patient() };
    let host = connect(&server, &options).await;
    server.until(|s| s.pings() >= 20).await;
    assert!(host.end_reason().is_none());
    assert_eq!(host.hostname().await.unwrap(), "h1");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_without_keep_alive_is_not_pinged() {
    let mut host = FakeHost::with_vms("h1", 1);
    host.keep_alive = false;
    let server = FakeServer::in_memory(host);
    let options = ConnectOptions { keep_alive: Some(KeepAlive::default()), ..patient() };
    let host = connect(&server, &options).await;
    server.answer(Procedure::CONNECT_GET_HOSTNAME, Answer::Later(Duration::from_secs(600)));
    assert_eq!(host.hostname().await.unwrap(), "h1");
    assert_eq!(server.pings(), 0);
}

#[tokio::test]
async fn the_daemons_pings_are_answered() {
    let server = FakeServer::in_memory(FakeHost::with_vms("h1", 1));
    let _host = connect(&server, &patient()).await;
    for _ in 0..3 {
        server.ping();
    }
    server.until(|s| s.pongs() == 3).await;
}

#[tokio::test]
async fn an_error_carries_libvirts_code_domain_and_message() {
    let server = FakeServer::in_memory(FakeHost::with_vms("h1", 1));
    let host = connect(&server, &patient()).await;
    let error = host.domain_by_name("nobody").await.unwrap_err();
    assert!(error.is_no_domain());
    let Error::Libvirt(details) = &error else {
        panic!("{error:?}");
    };
    assert_eq!((details.code, details.domain), (ErrorCode::NO_DOMAIN, 10));
    assert!(details.message.contains("'nobody'"));
    let vm = host.domain_by_name("h1-vm000").await.unwrap();
    let error = host.abort_job(&vm).await.unwrap_err();
    assert!(error.is_operation_invalid());
    let error = host.node_device_xml("pci_0").await.unwrap_err();
    assert!(error.is_unsupported(), "{error}");
    let aborted = ErrorWire::new(ErrorCode::OPERATION_ABORTED, 10, "canceled by client");
    server.answer(Procedure::DOMAIN_GET_STATE, Answer::Error(aborted));
    let error = host.domain_state(&vm).await.unwrap_err();
    assert!(error.is_operation_aborted());
}

#[tokio::test]
async fn a_running_job_is_reported_in_bytes_and_ms() {
    let server = FakeServer::in_memory(FakeHost::with_vms("h1", 1));
    let host = connect(&server, &patient()).await;
    let vm = host.domain_by_name("h1-vm000").await.unwrap();
    server.edit(|h| h.vms[0].begin_migration_job(1 << 30));
    let job = host.job_stats(&vm, WhichJob::Current).await.unwrap();
    assert!(job.is_running());
    assert_eq!(job.memory_remaining_bytes, Some(1 << 30));
    assert_eq!(job.dirty_bps(), Some(10 << 20));
    assert_eq!((job.iteration, job.downtime_ms), (Some(2), Some(300)));
    assert!(job.other.0.is_empty(), "{:?}", job.other);
    host.abort_job(&vm).await.unwrap();
}

#[tokio::test]
async fn sasl_is_refused_with_advice_and_polkit_is_tried() {
    let open = async |auth: Vec<i32>, complete| {
        let mut host = FakeHost::with_vms("h1", 0);
        (host.auth, host.polkit_complete) = (auth, complete);
        let server = FakeServer::in_memory(host);
        Connection::over(server.connect(), "qemu:///system", &patient()).await
    };
    let error = open(vec![1], 0).await.unwrap_err();
    assert!(error.is_denied());
    assert!(error.to_string().contains("SASL"), "{error}");
    assert!(open(vec![2], 1).await.is_ok());
    let error = open(vec![2], 0).await.unwrap_err();
    assert!(error.to_string().contains("polkit"), "{error}");
    assert!(open(vec![1, 0], 0).await.is_ok());
}

#[tokio::test]
async fn arguments_of_an_absent_vm_do_not_end_the_connection() {
    let server = FakeServer::in_memory(FakeHost::with_vms("h1", 1));
    let host = connect(&server, &patient()).await;
    let ghost =
        Domain { name: "ghost".into(), uuid: "00000000-0000-0000-0000-000000000001".parse().unwrap(), id: None };
    assert!(host.domain_state(&ghost).await.unwrap_err().is_no_domain());
    assert_eq!(host.hostname().await.unwrap(), "h1");
}
