//! The ways to a daemon. Each gives a pair of byte streams, or an error that says what stood in
//! the way and what to do about it.

mod ssh;
mod tcp;
mod tls;
mod unix;

use crate::connection::Access;
use crate::error::{Error, Result, TransportFault};
use crate::uri::{Transport, Uri};
use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use ssh::Child;

/// Both directions of a connection to a daemon.
pub(crate) struct Wire {
    pub read: Box<dyn AsyncRead + Send + Unpin>,
    pub write: Box<dyn AsyncWrite + Send + Unpin>,
    /// The ssh behind the streams, which can say why they ended.
    pub child: Option<Child>,
}

impl Wire {
    pub(crate) fn new(
        read: impl AsyncRead + Send + Unpin + 'static,
        write: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        Self { read: Box::new(read), write: Box::new(write), child: None }
    }
}

/// Makes the connection. Has no deadline of its own; the caller sets one.
pub(crate) async fn connect(uri: &Uri, access: Access) -> Result<Wire> {
    match uri.transport() {
        Transport::Unix { socket } => unix::connect(uri, socket.as_deref(), access).await,
        Transport::Tcp => {
            let (read, write) = tcp::connect(uri).await?.into_split();
            Ok(Wire::new(read, write))
        }
        Transport::Tls(options) => tls::connect(uri, options).await,
        Transport::Ssh(options) => ssh::connect(uri, options, access),
    }
}

/// The sentence for a connection that did not come about in time.
pub(crate) fn hangs(uri: &Uri, seconds: f64) -> Error {
    let advice = match uri.transport() {
        Transport::Unix { .. } => "the daemon is there but stuck; look at its log or restart it",
        Transport::Ssh(_) => {
            "is the host up, does a firewall drop the packets, does the daemon there answer \
             `virsh list`?"
        }
        Transport::Tls(_) | Transport::Tcp => {
            "is the host up, does a firewall drop the packets, is it really libvirt's port?"
        }
    };
    Error::transport(TransportFault::Hangs, format!("no answer from {} within {seconds:.0} s; {advice}", uri.place()))
}
