//! TCP, plain and as the basis of TLS.

use crate::error::{Error, Result, TransportFault};
use crate::uri::{Transport, Uri};
use std::io::ErrorKind;
use tokio::net::{TcpStream, lookup_host};

/// Connects to the first address of the host that answers.
pub(super) async fn connect(uri: &Uri) -> Result<TcpStream> {
    let host = uri.host().unwrap_or("localhost");
    let addresses = match lookup_host((host, uri.port())).await {
        Ok(addresses) => addresses,
        Err(error) => {
            return Err(Error::transport(
                TransportFault::Resolve,
                format!(
                    "the host name {host:?} has no address ({error}); check the spelling, DNS or \
                     /etc/hosts"
                ),
            ));
        }
    };
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Calls are small and answered one by one; waiting for more to send costs 40 ms.
                stream.set_nodelay(true).map_err(|e| Error::transport(TransportFault::Other, e.to_string()))?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    let place = uri.place();
    Err(match last {
        None => Error::transport(
            TransportFault::Resolve,
            format!("the host name {host:?} has no address; check DNS or /etc/hosts"),
        ),
        Some(error) => match error.kind() {
            ErrorKind::ConnectionRefused => Error::transport(
                TransportFault::Refused,
                format!("{place} refused the connection; {}", listen_advice(uri)),
            ),
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Error::transport(
                TransportFault::Unreachable,
                format!("there is no way to {place} ({error}); is the host up and routed?"),
            ),
            ErrorKind::TimedOut => Error::transport(
                TransportFault::Hangs,
                format!("{place} does not answer; is the host up, is there a firewall?"),
            ),
            _ => Error::transport(TransportFault::Other, format!("cannot connect to {place}: {error}")),
        },
    })
}

fn listen_advice(uri: &Uri) -> &'static str {
    match uri.transport() {
        Transport::Tls(_) => "does the daemon listen for TLS there (systemctl start libvirtd-tls.socket)?",
        _ => "does the daemon listen for TCP there (systemctl start libvirtd-tcp.socket)?",
    }
}
