//! Where a daemon is and how to reach it: libvirt's connection URIs.
//!
//! `driver[+transport]://[user@][host][:port]/path[?parameters]`
//!
//! ```
//! use ulm_libvirt::{Transport, Uri};
//! let uri: Uri = "qemu+tls://h1.example.org/system?pkipath=/etc/ulm/pki".parse().unwrap();
//! assert_eq!(uri.remote_name(), "qemu:///system");
//! assert_eq!((uri.host(), uri.port()), (Some("h1.example.org"), 16514));
//! assert!(matches!(uri.transport(), Transport::Tls(_)));
//! ```
//!
//! Parameters that belong to the way there are understood and checked here; all others are passed
//! on to the driver behind the daemon, as libvirt does.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Port of the plain TCP listener.
pub const PORT_TCP: u16 = 16509;
/// Port of the TLS listener.
pub const PORT_TLS: u16 = 16514;
/// Port of ssh.
pub const PORT_SSH: u16 = 22;

/// What is wrong with a URI, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{uri:?} is not a URI of a libvirt host: {wrong}; {instead}")]
pub struct UriError {
    /// What was given.
    pub uri: String,
    /// What is wrong with it.
    pub wrong: String,
    /// What to write instead.
    pub instead: String,
}

/// Which program to run on the far side of an ssh connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SshProxy {
    /// `virt-ssh-helper` if it is there, else netcat.
    #[default]
    Auto,
    /// Only netcat.
    Netcat,
    /// Only `virt-ssh-helper`.
    Native,
}

/// Whether the other side has to prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// Yes: certificate or host key must be known.
    #[default]
    Always,
    /// No (`no_verify=1`). For tests and trusted networks only.
    Never,
}

/// How `ssh` is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SshOptions {
    /// The ssh program (`command=`); default `ssh`.
    pub command: Option<String>,
    /// The private key (`keyfile=`).
    pub keyfile: Option<PathBuf>,
    /// The file of known host keys (`known_hosts=`).
    pub known_hosts: Option<PathBuf>,
    /// Whether an unknown host key stops the connection (`no_verify=1` takes it; a *changed*
    /// key is refused in any case).
    pub verify: Verify,
    /// The netcat program on the far side (`netcat=`); default `nc`.
    pub netcat: Option<String>,
    /// The daemon's socket on the far side (`socket=`).
    pub socket: Option<PathBuf>,
    /// Which program passes the bytes on (`proxy=`).
    pub proxy: SshProxy,
}

/// Where the certificates are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsOptions {
    /// A folder with `cacert.pem`, `clientcert.pem` and `clientkey.pem` (`pkipath=`); default
    /// are libvirt's own paths.
    pub pkipath: Option<PathBuf>,
    /// Whether the server's certificate is checked.
    pub verify: Verify,
}

/// The way to the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// A Unix socket on this machine.
    Unix {
        /// Its path (`socket=`); default are libvirt's usual paths.
        socket: Option<PathBuf>,
    },
    /// The admin's own ssh.
    Ssh(SshOptions),
    /// TLS with client certificate.
    Tls(TlsOptions),
    /// TCP without any protection.
    Tcp,
}

/// A parsed connection URI. Shown as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    text: String,
    driver: String,
    transport: Transport,
    user: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    path: String,
    passed_on: Vec<(String, String)>,
    name: Option<String>,
}

impl Uri {
    /// The driver: `qemu`, `test`, …
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// The way to the daemon.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The user for ssh.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The host, without the brackets of an IPv6 address.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The port, or the transport's usual one (0 for a Unix socket).
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.transport {
            Transport::Unix { .. } => 0,
            Transport::Ssh(_) => PORT_SSH,
            Transport::Tls(_) => PORT_TLS,
            Transport::Tcp => PORT_TCP,
        })
    }

    /// The port, if the URI names one.
    pub fn explicit_port(&self) -> Option<u16> {
        self.port
    }

    /// The path: `/system`, `/session`, `/default` …
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What the daemon is asked to open: the URI without the way there, like `qemu:///system`.
    pub fn remote_name(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let mut name = format!("{}://{}", self.driver, self.path);
        for (at, (key, value)) in self.passed_on.iter().enumerate() {
            let separator = if at == 0 { '?' } else { '&' };
            name.push_str(&format!("{separator}{}={}", escape(key), escape(value)));
        }
        name
    }

    /// Where this leads, for messages: `h1:16509`, a socket's path …
    pub fn place(&self) -> String {
        match (&self.transport, &self.host) {
            (Transport::Unix { socket: Some(path) }, _) => path.display().to_string(),
            (Transport::Unix { socket: None }, _) | (_, None) => "this machine".to_owned(),
            (Transport::Ssh(_), Some(host)) => match (&self.user, self.port) {
                (None, None) => host.clone(),
                (None, Some(port)) => format!("{host}:{port}"),
                (Some(user), None) => format!("{user}@{host}"),
                (Some(user), Some(port)) => format!("{user}@{host}:{port}"),
            },
            (_, Some(host)) if host.contains(':') => format!("[{host}]:{}", self.port()),
            (_, Some(host)) => format!("{host}:{}", self.port()),
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const EXAMPLE: &str = "write for example qemu+ssh://root@HOST/system";

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let bad = |wrong: String, instead: &str| UriError { uri: text.to_owned(), wrong, instead: instead.to_owned() };
        if text.is_empty() {
            return Err(bad("it is empty".into(), EXAMPLE));
        }
        if let Some(c) = text.chars().find(|c| c.is_whitespace() || c.is_control()) {
            return Err(bad(format!("it contains {c:?}"), "write a space inside a value as %20"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(bad("there is no \"://\"".into(), EXAMPLE));
        };
        let (driver, transport_name) = match scheme.split_once('+') {
            None => (scheme, None),
            Some((driver, transport)) => (driver, Some(transport)),
        };
        if driver.is_empty() || !driver.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
            return Err(bad(format!("{driver:?} is no driver"), "begin with qemu, as in qemu+tls://HOST/system"));
        }
        if rest.contains('#') {
            return Err(bad("it has a fragment (#)".into(), "leave that part out"));
        }
        let (rest, query) = match rest.split_once('?') {
            None => (rest, None),
            Some((rest, query)) => (rest, Some(query)),
        };
        let (authority, path) = match rest.find('/') {
            None => (rest, ""),
            Some(at) => rest.split_at(at),
        };
        if path.is_empty() && (driver == "qemu" || driver == "test") {
            let path = if driver == "qemu" { "system" } else { "default" };
            return Err(bad("the path is missing".into(), &format!("write {scheme}://{authority}/{path}")));
        }
        if driver == "qemu" && !matches!(path, "/system" | "/session" | "/embed") {
            return Err(bad(format!("qemu has no {path:?}"), &format!("write {scheme}://{authority}/system")));
        }
        let path = unescape(path).map_err(|wrong| bad(wrong, "write % itself as %25"))?;

        let (user, host_port) = match authority.rsplit_once('@') {
            None => (None, authority),
            Some((user, host)) => (Some(user), host),
        };
        let (host, port) = split_port(host_port).map_err(|wrong| bad(wrong, EXAMPLE))?;
        let host = unescape(host).map_err(|wrong| bad(wrong, EXAMPLE))?;
        let host = Some(host).filter(|h| !h.is_empty());
        if let Some(host) = &host {
            check_host(host).map_err(|wrong| bad(wrong, EXAMPLE))?;
        }
        let user = user.map(|u| unescape(u).map_err(|wrong| bad(wrong, EXAMPLE))).transpose()?;
        if let Some(user) = &user
            && (user.is_empty() || user.starts_with('-') || user.contains(':'))
        {
            return Err(bad(
                format!("{user:?} is no user"),
                "write qemu+ssh://USER@HOST/system; a password cannot be given here, use a key",
            ));
        }

        let mut parameters = Vec::new();
        for pair in query.unwrap_or("").split(['&', ';']).filter(|p| !p.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = unescape(key).map_err(|wrong| bad(wrong, "write % itself as %25"))?;
            let value = unescape(value).map_err(|wrong| bad(wrong, "write % itself as %25"))?;
            parameters.push((key, value));
        }
        let mut parameters = Parameters(parameters);

        let transport_name = match transport_name {
            Some(name) => name,
            None if host.is_some() => "tls",
            None => "unix",
        };
        let verify = match parameters.take("no_verify") {
            None => Verify::Always,
            Some(value) => match value.as_str() {
                "0" => Verify::Always,
                "1" => Verify::Never,
                other => {
                    return Err(bad(format!("no_verify={other}"), "write no_verify=1, or leave it out"));
                }
            },
        };
        // Which daemon answers is found out by trying; the parameter is accepted and ignored.
        let _ = parameters.take("mode");
        let _ = parameters.take("no_tty");
        let socket = parameters.take("socket").map(PathBuf::from);
        if let Some(socket) = &socket
            && !socket.is_absolute()
        {
            return Err(bad(
                format!("the socket {} is not a full path", socket.display()),
                "write socket=/run/libvirt/libvirt-sock",
            ));
        }
        let transport = match transport_name {
            "unix" => {
                if host.is_some() {
                    return Err(bad(
                        "a Unix socket is on this machine, yet a host is named".into(),
                        "leave the host out, or write +ssh instead of +unix",
                    ));
                }
                Transport::Unix { socket }
            }
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls(TlsOptions { pkipath: parameters.take("pkipath").map(PathBuf::from), verify }),
            "ssh" => {
                let proxy = match parameters.take("proxy").as_deref() {
                    None | Some("auto") => SshProxy::Auto,
                    Some("netcat") => SshProxy::Netcat,
                    Some("native") => SshProxy::Native,
                    Some(other) => {
                        return Err(bad(format!("proxy={other}"), "write proxy=auto, proxy=netcat or proxy=native"));
                    }
                };
                if proxy == SshProxy::Native && socket.is_some() {
                    return Err(bad(
                        "virt-ssh-helper cannot be told the socket".into(),
                        "leave socket= out, or write proxy=netcat",
                    ));
                }
                Transport::Ssh(SshOptions {
                    command: parameters.take("command"),
                    keyfile: parameters.take("keyfile").map(PathBuf::from),
                    known_hosts: parameters.take("known_hosts").map(PathBuf::from),
                    verify,
                    netcat: parameters.take("netcat"),
                    socket,
                    proxy,
                })
            }
            "libssh" | "libssh2" => {
                return Err(bad(
                    format!("the transport {transport_name} is not built in"),
                    "write +ssh: it runs your own ssh",
                ));
            }
            "ext" => {
                return Err(bad(
                    "the transport ext is not built in".into(),
                    "write +ssh with command=PROGRAM, or +unix with socket=PATH",
                ));
            }
            other => {
                return Err(bad(format!("there is no transport {other:?}"), "write +unix, +ssh, +tls or +tcp"));
            }
        };
        if host.is_none() && !matches!(transport, Transport::Unix { .. }) {
            return Err(bad("the host is missing".into(), &format!("write {scheme}://HOST{path}")));
        }
        if user.is_some() && !matches!(transport, Transport::Ssh(_)) {
            return Err(bad("only ssh knows users".into(), "leave USER@ out, or write +ssh"));
        }
        if port.is_some() && matches!(transport, Transport::Unix { .. }) {
            return Err(bad("a Unix socket has no port".into(), "leave it out"));
        }
        let name = parameters.take("name");
        Ok(Uri {
            text: text.to_owned(),
            driver: driver.to_owned(),
            transport,
            user,
            host,
            port,
            path,
            passed_on: parameters.0,
            name,
        })
    }
}

struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Takes a parameter out; the last one counts if it is given twice.
    fn take(&mut self, key: &str) -> Option<String> {
        let value = self.0.iter().rev().find(|(k, _)| k == key)?.1.clone();
        self.0.retain(|(k, _)| k != key);
        Some(value)
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((host, after)) = rest.split_once(']') else {
            return Err("the bracket of an IPv6 address is not closed".into());
        };
        match after.strip_prefix(':') {
            None if after.is_empty() => (host, None),
            None => return Err(format!("{after:?} after the bracket")),
            Some(port) => (host, Some(port)),
        }
    } else {
        match text.split_once(':') {
            None => (text, None),
            Some((_, port)) if port.contains(':') => {
                return Err(format!("{text:?} looks like an IPv6 address, which needs brackets: [{text}]"));
            }
            Some((host, port)) => (host, Some(port)),
        }
    };
    match port {
        None | Some("") => Ok((host, None)),
        Some(port) => match port.parse::<u16>() {
            Ok(n) if n > 0 => Ok((host, Some(n))),
            _ => Err(format!("{port:?} is no port (1 to 65535)")),
        },
    }
}

/// A host goes on ssh's command line, so it must not look like an option; the rest is left to the
/// resolver.
fn check_host(host: &str) -> Result<(), String> {
    let fine = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if host.starts_with('-') || !host.chars().all(fine) {
        return Err(format!("{host:?} is no host name"));
    }
    Ok(())
}

fn unescape(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| (b as char).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
            _ => return Err("a % without two hexadecimal digits".into()),
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err("an escape that is not text".into()),
    }
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' | b':' | b'~' => {
                out.push(byte as char);
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Uri {
        text.parse().unwrap_or_else(|e| panic!("{e}"))
    }

    fn wrong(text: &str) -> String {
        text.parse::<Uri>().unwrap_err().to_string()
    }

    #[test]
    fn the_usual_forms_are_understood() {
        let local = parse("qemu:///system");
        assert_eq!(local.transport(), &Transport::Unix { socket: None });
        assert_eq!(local.remote_name(), "qemu:///system");

        let tls = parse("qemu://h1/system");
        assert_eq!((tls.host(), tls.port()), (Some("h1"), PORT_TLS));

        let tcp = parse("qemu+tcp://[fe80::1]:1234/system");
        assert_eq!((tcp.host(), tcp.port()), (Some("fe80::1"), 1234));
        assert_eq!(tcp.place(), "[fe80::1]:1234");

        let ssh = parse("qemu+ssh://root@h2:2222/system?keyfile=/k&proxy=netcat&no_verify=1");
        assert_eq!((ssh.user(), ssh.explicit_port()), (Some("root"), Some(2222)));
        let Transport::Ssh(options) = ssh.transport() else {
            panic!("{ssh:?}");
        };
        assert_eq!(options.proxy, SshProxy::Netcat);
        assert_eq!(options.verify, Verify::Never);
        assert_eq!(ssh.remote_name(), "qemu:///system");

        let test = parse("test+unix:///default?socket=/tmp/a%20b&foo=bar");
        assert_eq!(test.remote_name(), "test:///default?foo=bar");
        assert_eq!(test.place(), "/tmp/a b");
    }

    #[test]
    fn a_wrong_uri_says_what_is_wrong_and_what_to_write_instead() {
        for (uri, says) in [
            ("", "it is empty"),
            ("h1", "there is no \"://\""),
            ("qemu+tcp://h1", "write qemu+tcp://h1/system"),
            ("qemu+tcp://h1/sytem", "write qemu+tcp://h1/system"),
            ("qemu+tcp:///system", "the host is missing"),
            ("qemu+unix://h1/system", "write +ssh instead"),
            ("qemu+telnet://h1/system", "write +unix, +ssh, +tls or +tcp"),
            ("qemu+tcp://h1:99999/system", "is no port"),
            ("qemu+tcp://fe80::1/system", "needs brackets"),
            ("qemu+tcp://root@h1/system", "only ssh knows users"),
            ("qemu+ssh://root:secret@h1/system", "use a key"),
            ("qemu+ssh://-oProxyCommand=x/system", "is no host name"),
            ("qemu+ssh://-x@h1/system", "is no user"),
            ("qemu+ssh://h1/system?proxy=magic", "write proxy=auto"),
            ("qemu+ssh://h1/system?proxy=native&socket=/s", "proxy=netcat"),
            ("qemu+tls://h1/system?no_verify=yes", "write no_verify=1"),
            ("qemu:///system?socket=run/x", "not a full path"),
            ("qemu+tcp://h 1/system", "%20"),
            ("qemu+tcp://h%zz/system", "two hexadecimal digits"),
            ("QEMU://h1/system", "is no driver"),
        ] {
            let message = wrong(uri);
            assert!(message.contains(says), "{uri}: {message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_but_never_panics(text in "\\PC*") {
            let _ = text.parse::<Uri>();
        }

        #[test]
        fn almost_right_uris_never_panic(
            text in "(qemu|test)(\\+(tcp|tls|ssh|unix))?://[a-z@:\\[\\]%0-9-]{0,12}/(system|default)(\\?[a-z_=&%0-9/]{0,20})?"
        ) {
            if let Ok(uri) = text.parse::<Uri>() {
                prop_assert_eq!(uri.to_string(), text);
            }
        }
    }
}
