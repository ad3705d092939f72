//! TLS with certificates, as libvirt's own clients do it.
//!
//! After the handshake the daemon sends one byte: 1 if it accepts our certificate. Anything else,
//! or a closed connection, means that it does not.

use super::{Wire, tcp};
use crate::error::{Error, Result, TransportFault};
use crate::uri::{TlsOptions, Uri, Verify};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsConnector;

/// The one place that chooses the cryptography.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(super) async fn connect(uri: &Uri, options: &TlsOptions) -> Result<Wire> {
    let config = client_config(options)?;
    let host = uri.host().unwrap_or("localhost");
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        Error::transport(
            TransportFault::Tls,
            format!("{host:?} cannot be in a certificate; use a DNS name or an IP address"),
        )
    })?;
    let stream = tcp::connect(uri).await?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|e| explain(uri, &e))?;
    let mut verdict = [0];
    match stream.read_exact(&mut verdict).await {
        Ok(_) if verdict == [1] => {}
        Ok(_) => return Err(not_accepted(uri, "it said so")),
        Err(error) => {
            return Err(match tls_error(&error) {
                Some(_) => explain(uri, &error),
                None => not_accepted(uri, "it closed the connection"),
            });
        }
    }
    let (read, write) = tokio::io::split(stream);
    Ok(Wire::new(read, write))
}

struct Files {
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
    /// Whether a missing client certificate is an error.
    required: bool,
}

fn files(options: &TlsOptions) -> Files {
    let flat = |folder: &Path, required| Files {
        ca: folder.join("cacert.pem"),
        cert: folder.join("clientcert.pem"),
        key: folder.join("clientkey.pem"),
        required,
    };
    if let Some(folder) = &options.pkipath {
        return flat(folder, true);
    }
    // Like libvirt: a user's own certificates come before those of the machine.
    if let Some(home) = std::env::var_os("HOME") {
        let own = flat(&Path::new(&home).join(".pki/libvirt"), false);
        if own.ca.exists() && own.cert.exists() && own.key.exists() {
            return own;
        }
    }
    Files {
        ca: "/etc/pki/CA/cacert.pem".into(),
        cert: "/etc/pki/libvirt/clientcert.pem".into(),
        key: "/etc/pki/libvirt/private/clientkey.pem".into(),
        required: false,
    }
}

fn client_config(options: &TlsOptions) -> Result<ClientConfig> {
    let files = files(options);
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::transport(TransportFault::Tls, e.to_string()))?;
    let builder = match options.verify {
        Verify::Always => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(&files.ca, "CA certificate")? {
                roots.add(certificate).map_err(|e| bad_pem(&files.ca, &e.to_string()))?;
            }
            builder.with_root_certificates(roots)
        }
        Verify::Never => builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider()))),
    };
    if !files.required && !files.cert.exists() && !files.key.exists() {
        // The daemon decides whether it lets clients in without one.
        return Ok(builder.with_no_client_auth());
    }
    let chain = certificates(&files.cert, "client certificate")?;
    let key = PrivateKeyDer::from_pem_slice(&bytes(&files.key, "client key")?)
        .map_err(|e| bad_pem(&files.key, &e.to_string()))?;
    builder.with_client_auth_cert(chain, key).map_err(|e| {
        Error::transport(
            TransportFault::Certificate,
            format!("{} and {} do not go together: {e}", files.cert.display(), files.key.display()),
        )
    })
}

fn bytes(path: &Path, what: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| {
        Error::transport(
            TransportFault::Certificate,
            format!(
                "cannot read the {what} {}: {e}; put it there, or name the folder with \
                 ?pkipath=FOLDER (cacert.pem, clientcert.pem, clientkey.pem)",
                path.display()
            ),
        )
    })
}

fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let pem = bytes(path, what)?;
    let list = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| bad_pem(path, &e.to_string()))?;
    match list.is_empty() {
        true => Err(bad_pem(path, "no certificate in it")),
        false => Ok(list),
    }
}

fn bad_pem(path: &Path, why: &str) -> Error {
    Error::transport(
        TransportFault::Certificate,
        format!("{} is not a PEM file that can be used: {why}", path.display()),
    )
}

fn tls_error(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref::<rustls::Error>()
}

fn not_accepted(uri: &Uri, how: &str) -> Error {
    Error::transport(
        TransportFault::Certificate,
        format!(
            "{} does not accept our client certificate, or we sent none ({how}); is it signed \
             by the CA the daemon knows, and does tls_allowed_dn_list in its libvirtd.conf let it in?",
            uri.place()
        ),
    )
}

fn explain(uri: &Uri, error: &std::io::Error) -> Error {
    let place = uri.place();
    let host = uri.host().unwrap_or_default();
    let (kind, what) = match tls_error(error) {
        Some(rustls::Error::InvalidCertificate(fault)) => (
            TransportFault::Certificate,
            match fault {
                CertificateError::UnknownIssuer => format!(
                    "the certificate of {place} is not signed by our CA; put the CA that signed it \
                     into cacert.pem"
                ),
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    format!("the certificate of {place} has expired; issue a new one")
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    format!("the certificate of {place} is not valid yet; check the clocks")
                }
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
                    "the certificate of {place} does not name {host:?}; use a name that it has, or \
                     issue one with {host} as subjectAltName (a common name alone does not count)"
                ),
                other => format!("the certificate of {place} is not acceptable: {other}"),
            },
        ),
        Some(rustls::Error::AlertReceived(alert)) => (
            TransportFault::Certificate,
            format!(
                "{place} refused us during the TLS handshake ({alert:?}); it probably wants a \
                 client certificate signed by a CA it knows"
            ),
        ),
        Some(rustls::Error::InvalidMessage(_)) => {
            (TransportFault::Tls, format!("{place} does not speak TLS; is it the plain TCP port (write qemu+tcp)?"))
        }
        Some(other) => (TransportFault::Tls, format!("the TLS handshake with {place} failed: {other}")),
        None => (
            TransportFault::Tls,
            format!(
                "the TLS handshake with {place} was cut off ({error}); is it libvirt's TLS port (the \
                 plain one needs qemu+tcp), and does the daemon have a server certificate?"
            ),
        ),
    };
    Error::transport(kind, what)
}

/// Takes any server certificate (`no_verify=1`), but still checks that the server has its key.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
