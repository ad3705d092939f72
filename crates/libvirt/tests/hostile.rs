//! What comes from the network is hostile: every nonsense ends in an error, never in a panic.

use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use ulm_libvirt::frame::{Frame, Header, Kind, Status};
use ulm_libvirt::testing::{Answer, Behaviour, FakeHost, FakeServer};
use ulm_libvirt::{ConnectOptions, Connection, Error, Procedure, TransportFault, Uri};

fn options() -> ConnectOptions {
    ConnectOptions { keep_alive: None, ..Default::default() }
}

async fn server_and_host() -> (FakeServer, Connection) {
    let server = FakeServer::in_memory(FakeHost::with_vms("h1", 1));
    let host = Connection::over(server.connect(), "qemu:///system", &options()).await.unwrap();
    (server, host)
}

/// What a call says when its answer is these bytes.
async fn answered_with(bytes: Vec<u8>) -> Error {
    let (server, host) = server_and_host().await;
    server.answer(Procedure::CONNECT_GET_HOSTNAME, Answer::Raw(bytes));
    let error = host.hostname().await.unwrap_err();
    // The connection is dead, and says so at once instead of hanging.
    assert!(host.lib_version().await.unwrap_err().is_connection_lost());
    error
}

fn frame(header: Header, payload: &[u8]) -> Vec<u8> {
    Frame { header, payload: payload.to_vec() }.to_wire().unwrap()
}

/// The header of a reply to the first call after the connection was opened (the fourth one).
fn reply() -> Header {
    Header { kind: Kind::Reply, ..Header::call(Procedure::CONNECT_GET_HOSTNAME.number, 4) }
}

#[tokio::test]
async fn impossible_frames_end_the_connection_with_a_reason() {
    for (bytes, says) in [
        (vec![0, 0, 0, 5, 1], "shorter than its own header"),
        (vec![0xff, 0xff, 0xff, 0xff], "at most 33554432"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "does not speak"),
        (frame(Header { serial: 77, ..reply() }, &[]), "call 77, which was never made"),
        (frame(Header { procedure: 1, ..reply() }, &[]), "the reply is for procedure 1"),
        (frame(Header { version: 2, ..reply() }, &[]), "too new or too old"),
        (frame(Header { program: 7, ..reply() }, &[]), "unknown program 0x7"),
        (frame(Header { kind: Kind::Stream, ..reply() }, &[]), "which nobody asked for"),
        (frame(Header { status: Status::Continue, ..reply() }, &[]), "there is more"),
        (
            frame(
                Header { kind: Kind::Message, procedure: Procedure::EVENT_LIFECYCLE.number, ..reply() },
                &[1, 2, 3, 4],
            ),
            "payload of event 318",
        ),
    ] {
        let error = answered_with(bytes).await;
        assert!(error.is_connection_lost(), "{error:?}");
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
}

#[tokio::test]
async fn a_nonsensical_payload_fails_its_call_only() {
    for (status, payload, says) in [
        (Status::Ok, vec![0xff; 8], "at most 4194304"),
        (Status::Ok, vec![0, 0, 0, 9, b'x'], "only 1 are left"),
        (Status::Ok, vec![0, 0, 0, 0, 1], "more than the value has"),
        (Status::Ok, vec![], "only 0 are left"),
        (Status::Error, vec![0; 7], "are left"),
    ] {
        let (server, host) = server_and_host().await;
        let bytes = frame(Header { status, ..reply() }, &payload);
        server.answer(Procedure::CONNECT_GET_HOSTNAME, Answer::Raw(bytes));
        let error = host.hostname().await.unwrap_err();
        assert!(matches!(error, Error::Protocol(_)), "{error:?}");
        assert!(error.to_string().contains(says), "{says}: {error}");
        assert!(host.lib_version().await.is_ok());
    }
}

#[tokio::test]
async fn a_list_that_claims_more_than_it_has_is_refused() {
    let (server, host) = server_and_host().await;
    // 16,384 VMs in four bytes.
    let claims = vec![0, 0, 0x40, 0, 0, 0, 0, 0];
    server.answer(Procedure::CONNECT_LIST_ALL_DOMAINS, Answer::Reply(claims));
    let error = host.domains(ulm_libvirt::DomainFilter::ALL).await.unwrap_err();
    assert!(error.to_string().contains("cannot fit"), "{error}");
}

#[tokio::test]
async fn a_connection_cut_off_fails_the_calls_under_way() {
    let (server, host) = server_and_host().await;
    server.answer(Procedure::CONNECT_GET_HOSTNAME, Answer::CutOff);
    let error = host.hostname().await.unwrap_err();
    assert!(error.to_string().contains("closed the connection"), "{error}");
    assert!(host.ended().await.is_connection_lost());
}

#[tokio::test]
async fn a_flood_of_pings_without_reading_costs_no_memory_and_no_call() {
    let (server, host) = server_and_host().await;
    for _ in 0..5_000 {
        server.ping();
    }
    assert_eq!(host.hostname().await.unwrap(), "h1");
}

#[tokio::test]
async fn obstacles_on_the_way_are_named_with_advice() {
    // Nobody listens.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let fault = async |uri: String| {
        let uri: Uri = uri.parse().unwrap();
        let options = ConnectOptions { connect_deadline: Duration::from_millis(300), ..options() };
        match Connection::open_with(&uri, &options).await.unwrap_err() {
            Error::Transport(error) => error.as_ref().clone(),
            other => panic!("{other:?}"),
        }
    };
    let error = fault(format!("qemu+tcp://{address}/system")).await;
    assert_eq!(error.kind, TransportFault::Refused, "{error}");
    assert!(error.what.contains("libvirtd-tcp.socket"), "{error}");

    let name = "a".repeat(70);
    let error = fault(format!("qemu+tcp://{name}/system")).await;
    assert_eq!(error.kind, TransportFault::Resolve, "{error}");

    let error = fault("qemu+unix:///system?socket=/nowhere/sock".into()).await;
    assert_eq!(error.kind, TransportFault::Socket, "{error}");

    // Somebody listens and never says anything.
    let server = FakeServer::tcp(FakeHost::with_vms("h1", 0)).await.unwrap();
    server.behave(Behaviour::Hangs);
    let error = fault(server.uri().to_string()).await;
    assert_eq!(error.kind, TransportFault::Hangs, "{error}");

    server.behave(Behaviour::HangsUp);
    let error = fault(server.uri().to_string()).await;
    assert!(error.what.contains("max_clients"), "{error}");

    let error = fault(server.uri().to_string().replace("+tcp", "+tls") + "?no_verify=1").await;
    assert_eq!(error.kind, TransportFault::Tls, "{error}");
}

#[tokio::test]
async fn another_service_on_the_port_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri: Uri = format!("qemu+tcp://{}/system", listener.local_addr().unwrap()).parse().unwrap();
    let service = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n").await.unwrap();
        stream
    });
    let error = Connection::open_with(&uri, &options()).await.unwrap_err();
    assert!(error.to_string().contains("does not speak libvirt"), "{error}");
    service.await.unwrap();
}

#[tokio::test]
async fn a_thousand_random_streams_never_panic() {
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..1_000 {
        let mut bytes = Vec::new();
        for _ in 0..8 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            bytes.extend(seed.to_be_bytes());
        }
        bytes[..4].copy_from_slice(&60u32.to_be_bytes());
        let (near, mut far) = tokio::io::duplex(4096);
        far.write_all(&bytes).await.unwrap();
        drop(far);
        assert!(Connection::over(near, "qemu:///system", &options()).await.is_err());
    }
}
