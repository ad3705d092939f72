//! What an administrator may say about a host, and how long to wait for it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use ulm_libvirt::{ConnectOptions, LinkOptions};

/// How a [`LibvirtDriver`](super::LibvirtDriver) talks to its host, and what it is told about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibvirtOptions {
    /// How long a call may take. A migration has no deadline here; callers abort it.
    pub call_deadline: Duration,
    /// How long making a connection may take.
    pub connect_deadline: Duration,
    /// How other hosts reach this one for a peer-to-peer move, e.g. `qemu+tls://h2/system`. `None`: derived from
    /// the URI that the controller uses, see [`Driver::peer_uri`](crate::Driver::peer_uri).
    pub peer_uri: Option<String>,
    /// Directories (or block devices) that hold the same files on every host of this installation.
    pub shared_paths: Vec<PathBuf>,
    /// Networks that the host has although libvirt does not name them, e.g. `bridge:br0` of an Open vSwitch,
    /// or `direct:eth1`.
    pub networks: BTreeSet<String>,
}

impl Default for LibvirtOptions {
    fn default() -> Self {
        LibvirtOptions {
            call_deadline: Duration::from_secs(10),
            connect_deadline: Duration::from_secs(10),
            peer_uri: None,
            shared_paths: Vec::new(),
            networks: BTreeSet::new(),
        }
    }
}

impl LibvirtOptions {
    /// How to make one connection.
    pub(super) fn connect(&self) -> ConnectOptions {
        ConnectOptions {
            connect_deadline: self.connect_deadline,
            call_deadline: self.call_deadline,
            ..ConnectOptions::default()
        }
    }

    /// How to keep one.
    pub(super) fn link(&self) -> LinkOptions {
        LinkOptions { connect: self.connect(), ..LinkOptions::default() }
    }
}
