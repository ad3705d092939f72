//! One attempt to reach a host, for a person who waits for the answer.

use std::time::Duration;

use ulm_libvirt::{Connection, Error, Uri};

use super::errors::sorted;
use super::facts::{self, Portrait};
use super::options::LibvirtOptions;
use super::peer;
use crate::driver::{DriverError, ErrorKind, HostFacts};

/// What a host said when it was asked once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The URI, parsed.
    pub uri: Uri,
    /// Who the host is and what it offers.
    pub facts: HostFacts,
    /// The version of its libvirt, e.g. `11.3.0`.
    pub libvirt: String,
    /// How other hosts will be told to reach it, unless the administrator says otherwise.
    pub peer_uri: String,
}

/// Connects to a host, asks who it is, and says good-bye.
///
/// # Errors
/// One clear sentence, with what to do next, for each of: a malformed URI, a name that does not resolve, a refused
/// connection, a host that hangs, a wrong ssh key, a certificate that is not accepted, a port that speaks something
/// else, a libvirt that is too old, missing permission, and a hypervisor that is not QEMU.
pub async fn connect_once(uri: &str, deadline: Duration) -> Result<Probe, DriverError> {
    let uri: Uri = uri.parse().map_err(|error: ulm_libvirt::UriError| sorted(error.into()))?;
    if uri.driver() != "qemu" {
        let sentence =
            format!("{uri} leads to the driver {:?}, and ULM moves QEMU's VMs only; write qemu", uri.driver());
        return Err(DriverError::new(ErrorKind::Refused, sentence));
    }
    let options = LibvirtOptions { connect_deadline: deadline, call_deadline: deadline, ..LibvirtOptions::default() };
    let ask = async {
        let host = Connection::open_with(&uri, &options.connect()).await.map_err(|error| unreachable(&uri, error))?;
        let portrait = facts::portrait(&host, &options).await;
        host.close().await;
        portrait
    };
    // A host that takes the connection and then hangs is given a little more, so that its own sentence is heard.
    let portrait = tokio::time::timeout(deadline + Duration::from_secs(1), ask).await;
    let Portrait { facts, libvirt, .. } = match portrait.unwrap_or_else(|_| Err(stuck(&uri))) {
        Err(error) if error.kind == ErrorKind::TimedOut => return Err(stuck(&uri)),
        portrait => portrait?,
    };
    if !facts::can_compare(libvirt) {
        return Err(DriverError::new(ErrorKind::Refused, facts::too_old(libvirt)));
    }
    let peer_uri = peer::derived(&uri, &facts.hostname);
    Ok(Probe { uri, facts, libvirt: facts::dotted(libvirt), peer_uri })
}

fn stuck(uri: &Uri) -> DriverError {
    let sentence = format!(
        "{} took the connection and does not answer; is its libvirtd stuck (does `virsh list` answer there)?",
        uri.place()
    );
    DriverError::new(ErrorKind::TimedOut, sentence)
}

/// The sentence for a connection that did not come about.
fn unreachable(uri: &Uri, error: Error) -> DriverError {
    let kind = sorted(error.clone()).kind;
    let sentence = match &error {
        Error::Protocol(_) => format!(
            "{} does not speak libvirt's protocol ({error}); is it libvirt's port for this transport?",
            uri.place()
        ),
        error if error.is_denied() => format!("{} does not let us in: {error}", uri.place()),
        error => error.to_string(),
    };
    DriverError::new(kind, sentence)
}
