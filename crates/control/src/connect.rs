//! Hosts behind libvirt: URIs in, drivers out.
//!
//! A host's URI is libvirt's own, with one parameter more: `peer=URI` says how *other hosts* reach it for a move,
//! where that differs from how the controller does.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ulm_drivers::libvirt::{LibvirtDriver, LibvirtOptions, connect_once};
use ulm_drivers::{Clock, Driver, DriverError, ErrorKind, Link, Reading};
use ulm_libvirt::Uri;
use ulm_model::HostName;
use ulm_policy::Everywhere;

use crate::fleet::Connector;
use crate::order::{OrderError, Refusal};
use crate::view::HostTrial;

/// A host on trial may take so long for each step.
const TRIAL: Duration = Duration::from_secs(10);

/// Makes libvirt drivers.
pub struct LibvirtConnector {
    clock: Arc<dyn Clock>,
    everywhere: Everywhere,
}

impl LibvirtConnector {
    /// A connector for hosts that all have `everywhere`, whatever libvirt can see of them.
    pub fn new(clock: Arc<dyn Clock>, everywhere: Everywhere) -> Self {
        LibvirtConnector { clock, everywhere }
    }

    fn driver(&self, name: &HostName, uri: &str) -> Result<Arc<LibvirtDriver>, OrderError> {
        let (own, peer) = split_peer(uri);
        let parsed: Uri = own.parse().map_err(malformed)?;
        let options = LibvirtOptions {
            peer_uri: peer,
            shared_paths: self.everywhere.paths.iter().map(PathBuf::from).collect(),
            networks: self.everywhere.networks.iter().cloned().collect(),
            ..LibvirtOptions::default()
        };
        Ok(LibvirtDriver::new(name.clone(), parsed, self.clock.clone(), options))
    }
}

#[async_trait]
impl Connector for LibvirtConnector {
    fn connect(&self, name: &HostName, uri: &str) -> Result<Arc<dyn Driver>, OrderError> {
        Ok(self.driver(name, uri)?)
    }

    async fn trial(&self, uri: &str) -> Result<HostTrial, OrderError> {
        let begun = Instant::now();
        let (own, peer) = split_peer(uri);
        own.parse::<Uri>().map_err(malformed)?;
        let probe = connect_once(&own, TRIAL).await.map_err(refused)?;
        let driver = self.driver(&HostName(probe.facts.hostname.clone()), uri)?;
        let reading = first_reading(&*driver).await.map_err(refused)?;
        Ok(HostTrial {
            cpus: reading.cpu.cpus,
            memory: reading.memory.total,
            vms: reading.vms.len() as u32,
            took: begun.elapsed(),
            peer_uri: peer.unwrap_or(probe.peer_uri),
            facts: probe.facts,
        })
    }
}

/// The driver's first reading, as soon as its connection is up.
async fn first_reading(driver: &dyn Driver) -> Result<Reading, DriverError> {
    let wait = async {
        loop {
            match driver.link() {
                Link::Up => return driver.reading().await,
                Link::Down { because } => return Err(DriverError::new(ErrorKind::Unreachable, because)),
                Link::Connecting => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let late = || DriverError::new(ErrorKind::TimedOut, format!("no figures within {TRIAL:?}: is its libvirtd stuck?"));
    tokio::time::timeout(TRIAL, wait).await.unwrap_or_else(|_| Err(late()))
}

/// A host's URI with the one by which other hosts reach it.
pub fn with_peer(uri: &str, peer: &str) -> String {
    let escaped: String = peer
        .chars()
        .map(|c| match c {
            '%' | '&' | '#' | '?' => format!("%{:02X}", c as u32),
            other => other.to_string(),
        })
        .collect();
    format!("{uri}{}peer={escaped}", if uri.contains('?') { '&' } else { '?' })
}

/// Takes the URI for other hosts out of a host's URI.
fn split_peer(uri: &str) -> (String, Option<String>) {
    let Some((place, query)) = uri.split_once('?') else { return (uri.to_owned(), None) };
    let (peers, rest): (Vec<&str>, Vec<&str>) = query.split('&').partition(|part| part.starts_with("peer="));
    let peer = peers.first().map(|part| unescaped(&part["peer=".len()..]));
    let own = if rest.is_empty() { place.to_owned() } else { format!("{place}?{}", rest.join("&")) };
    (own, peer)
}

fn unescaped(text: &str) -> String {
    ["%26&", "%23#", "%3F?", "%25%"].iter().fold(text.to_owned(), |text, pair| text.replace(&pair[..3], &pair[3..]))
}

fn malformed(error: ulm_libvirt::UriError) -> OrderError {
    OrderError::new(Refusal::Malformed, error.to_string())
}

fn refused(error: DriverError) -> OrderError {
    let refusal = match error.kind {
        ErrorKind::Unreachable | ErrorKind::TimedOut => Refusal::Unavailable,
        _ => Refusal::NotAllowed,
    };
    OrderError::new(refusal, error.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_uri_survives_its_way_through_the_hosts_uri() {
        for uri in ["qemu+ssh://root@h2/system", "qemu+tls://h3/system?pkipath=/p"] {
            for peer in ["qemu+tcp://10.77.0.12/system", "qemu+tls://h3/system?no_verify=1&pkipath=/100%25"] {
                let (own, found) = split_peer(&with_peer(uri, peer));
                assert_eq!((own.as_str(), found.as_deref()), (uri, Some(peer)));
            }
        }
        assert_eq!(split_peer("qemu:///system"), ("qemu:///system".to_owned(), None));
    }
}
