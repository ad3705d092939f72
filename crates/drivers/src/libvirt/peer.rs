//! How other hosts reach this one.
//!
//! A peer-to-peer move is made by the source host: its libvirtd connects to the target's with its own keys and
//! certificates. So the controller's files (`keyfile`, `pkipath` …) mean nothing there, and the URI is derived
//! without them: `driver+transport://[user@]host[:port]/path`. A host that the controller reaches by its own
//! Unix socket or as `localhost` is named by its own host name; from a Unix socket the transport is ssh.

use ulm_libvirt::{Transport, Uri};

/// Derives the URI. `own_name` is what the host calls itself, as far as it is known.
pub(super) fn derived(uri: &Uri, own_name: &str) -> String {
    let driver = uri.driver();
    let transport = match uri.transport() {
        Transport::Unix { .. } => return format!("{driver}+ssh://{own_name}{}", uri.path()),
        Transport::Ssh(_) => "ssh",
        Transport::Tls(_) => "tls",
        Transport::Tcp => "tcp",
    };
    let user = uri.user().map_or_else(String::new, |user| format!("{user}@"));
    let host = uri.host().filter(|host| !means_itself(host)).unwrap_or(own_name);
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let port = uri.explicit_port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{driver}+{transport}://{user}{host}{port}{}", uri.path())
}

fn means_itself(host: &str) -> bool {
    host == "localhost" || host == "::1" || host.starts_with("127.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_hosts_get_the_place_without_our_own_files() {
        for (ours, theirs) in [
            ("qemu+ssh://root@h2/system?keyfile=/k&known_hosts=/h", "qemu+ssh://root@h2/system"),
            ("qemu+ssh://h2:2222/system", "qemu+ssh://h2:2222/system"),
            ("qemu+tls://h3/system?pkipath=/p", "qemu+tls://h3/system"),
            ("qemu://h3/system", "qemu+tls://h3/system"),
            ("qemu+tcp://[fd00::1]:16510/system", "qemu+tcp://[fd00::1]:16510/system"),
            ("qemu+tcp://127.0.0.1/system", "qemu+tcp://self/system"),
            ("qemu:///system", "qemu+ssh://self/system"),
        ] {
            assert_eq!(derived(&ours.parse().unwrap(), "self"), theirs);
        }
    }
}
