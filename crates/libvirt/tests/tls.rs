//! TLS: who is trusted, who is not, and libvirt's byte after the handshake.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use ulm_libvirt::testing::{FakeHost, FakeServer};
use ulm_libvirt::{Connection, Error, TransportFault, Uri};

fn pki(whose: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pki").join(whose)
}

async fn daemon(verdict: u8) -> u16 {
    daemon_at("127.0.0.1", verdict).await
}

/// A daemon on loopback that asks for certificates of the good CA, and says `verdict` after the
/// handshake. Gives its port.
async fn daemon_at(address: &str, verdict: u8) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let good = pki("good");
    let ca = CertificateDer::from_pem_file(good.join("cacert.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(ca).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(
            vec![CertificateDer::from_pem_file(good.join("servercert.pem")).unwrap()],
            PrivateKeyDer::from_pem_file(good.join("serverkey.pem")).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let server = FakeServer::in_memory(FakeHost::with_vms("h1", 1));
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            stream.write_all(&[verdict]).await.unwrap();
            let mut inside = server.connect();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut inside).await;
            });
        }
    });
    port
}

async fn open(port: u16, host: &str, parameters: &str) -> Result<String, Error> {
    let uri: Uri = format!("qemu+tls://{host}:{port}/system?{parameters}").parse()?;
    Connection::open(&uri).await?.hostname().await
}

fn fault(result: Result<String, Error>) -> (TransportFault, String) {
    match result {
        Err(Error::Transport(error)) => (error.kind, error.what.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn with_the_right_certificates_it_works_by_name_and_by_address() {
    let port = daemon(1).await;
    let parameters = format!("pkipath={}", pki("good").display());
    assert_eq!(open(port, "localhost", &parameters).await.unwrap(), "h1");
    assert_eq!(open(port, "127.0.0.1", &parameters).await.unwrap(), "h1");
}

#[tokio::test]
async fn a_server_of_another_ca_is_not_trusted() {
    let port = daemon(1).await;
    let parameters = format!("pkipath={}", pki("stranger").display());
    let (kind, what) = fault(open(port, "localhost", &parameters).await);
    assert_eq!(kind, TransportFault::Certificate);
    assert!(what.contains("not signed by our CA"), "{what}");
}

#[tokio::test]
async fn a_client_of_another_ca_is_refused_by_the_daemon() {
    let port = daemon(1).await;
    let parameters = format!("no_verify=1&pkipath={}", pki("stranger").display());
    let (kind, what) = fault(open(port, "localhost", &parameters).await);
    assert_eq!(kind, TransportFault::Certificate, "{what}");
}

#[tokio::test]
async fn a_server_whose_certificate_names_another_host_is_not_trusted() {
    // The certificate is for localhost and 127.0.0.1.
    let port = daemon_at("127.0.0.2", 1).await;
    let parameters = format!("pkipath={}", pki("good").display());
    let (kind, what) = fault(open(port, "127.0.0.2", &parameters).await);
    assert_eq!(kind, TransportFault::Certificate);
    assert!(what.contains("does not name \"127.0.0.2\""), "{what}");
}

#[tokio::test]
async fn any_byte_but_one_after_the_handshake_is_a_refusal() {
    let port = daemon(0).await;
    let parameters = format!("pkipath={}", pki("good").display());
    let (kind, what) = fault(open(port, "localhost", &parameters).await);
    assert_eq!(kind, TransportFault::Certificate);
    assert!(what.contains("tls_allowed_dn_list"), "{what}");
}

#[tokio::test]
async fn a_missing_certificate_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let parameters = format!("pkipath={}", folder.path().display());
    let (kind, what) = fault(open(1, "localhost", &parameters).await);
    assert_eq!(kind, TransportFault::Certificate);
    assert!(what.contains("cacert.pem"), "{what}");
}
