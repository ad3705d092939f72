//! Unix sockets on this machine.

use super::Wire;
use crate::connection::Access;
use crate::error::{Error, Result, TransportFault};
use crate::uri::Uri;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// The sockets to try, in order. libvirtd's (or virtproxyd's) comes first because it offers
/// networks and storage as well; the modular virtqemud only knows VMs.
fn candidates(uri: &Uri, access: Access) -> Vec<PathBuf> {
    let folder = match uri.path() {
        "/session" => match std::env::var_os("XDG_RUNTIME_DIR") {
            Some(folder) => PathBuf::from(folder).join("libvirt"),
            None => return Vec::new(),
        },
        _ => PathBuf::from("/var/run/libvirt"),
    };
    let suffix = access.socket_suffix();
    vec![folder.join(format!("libvirt-sock{suffix}")), folder.join(format!("virt{}d-sock{suffix}", uri.driver()))]
}

pub(super) async fn connect(uri: &Uri, socket: Option<&Path>, access: Access) -> Result<Wire> {
    let paths = match socket {
        Some(path) => vec![path.to_path_buf()],
        None => candidates(uri, access),
    };
    let mut first = None;
    for path in &paths {
        match UnixStream::connect(path).await {
            Ok(stream) => {
                let (read, write) = stream.into_split();
                return Ok(Wire::new(read, write));
            }
            Err(error) => first = first.or(Some((path, error))),
        }
    }
    let Some((path, error)) = first else {
        return Err(Error::transport(
            TransportFault::Socket,
            "the session daemon's socket is below $XDG_RUNTIME_DIR, which is not set; set it or \
             write ?socket=PATH",
        ));
    };
    let path = path.display();
    Err(match error.kind() {
        ErrorKind::NotFound => Error::transport(
            TransportFault::Socket,
            format!(
                "there is no socket {path}; is libvirt installed and running (systemctl start \
                 libvirtd), or is the socket elsewhere (?socket=PATH)?"
            ),
        ),
        ErrorKind::PermissionDenied => Error::transport(
            TransportFault::Socket,
            format!("no permission to use {path}; run as root or join the group libvirt"),
        ),
        ErrorKind::ConnectionRefused => Error::transport(
            TransportFault::Refused,
            format!("nobody listens on {path}; start the daemon (systemctl start libvirtd)"),
        ),
        _ => Error::transport(TransportFault::Other, format!("cannot connect to {path}: {error}")),
    })
}
