//! The admin's own `ssh` as a child process: its configuration, agent, jump hosts and known hosts
//! all count. On the far side `virt-ssh-helper` or netcat passes the bytes to the daemon's socket.

use super::Wire;
use crate::connection::Access;
use crate::error::{Error, Result, TransportFault};
use crate::uri::{SshOptions, SshProxy, Uri, Verify};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

// What ssh says on its error channel; more than this is of no use to anybody.
const STDERR_MAX: usize = 8 * 1024;
// How long an ssh whose output has ended may take to end itself.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A running ssh. Dropping it kills the process.
pub(crate) struct Child {
    process: tokio::process::Child,
    stderr: tokio::task::JoinHandle<()>,
    said: Arc<Mutex<Vec<u8>>>,
    place: String,
    command: String,
}

impl Child {
    /// Why the connection ended, from ssh's last words and exit code; `None` if it says nothing.
    pub(crate) async fn explain(mut self) -> Option<Error> {
        let code = tokio::time::timeout(LAST_WORDS, self.process.wait()).await.ok()?.ok()?.code();
        let _ = tokio::time::timeout(LAST_WORDS, &mut self.stderr).await;
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        explain(&self.place, &self.command, code, &String::from_utf8_lossy(&said))
    }
}

pub(super) fn connect(uri: &Uri, options: &SshOptions, access: Access) -> Result<Wire> {
    let program = options.command.as_deref().unwrap_or("ssh");
    let mut process = Command::new(program)
        .args(arguments(uri, options, access))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| {
            Error::transport(
                TransportFault::Ssh,
                format!("cannot run {program:?}: {e}; install ssh, or name it with ?command=PATH"),
            )
        })?;
    let (Some(stdin), Some(stdout), Some(mut stderr)) =
        (process.stdin.take(), process.stdout.take(), process.stderr.take())
    else {
        return Err(Error::transport(TransportFault::Ssh, "ssh has no pipes"));
    };
    let said = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&said);
    let stderr = tokio::spawn(async move {
        let mut chunk = [0; 1024];
        // Read on beyond the limit: an ssh that cannot write its warnings would stop.
        while let Ok(n) = stderr.read(&mut chunk).await {
            if n == 0 {
                break;
            }
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            let room = STDERR_MAX.saturating_sub(kept.len());
            kept.extend_from_slice(&chunk[..n.min(room)]);
        }
    });
    let mut wire = Wire::new(stdout, stdin);
    wire.child = Some(Child { process, stderr, said, place: uri.place(), command: program.to_owned() });
    Ok(wire)
}

fn arguments(uri: &Uri, options: &SshOptions, access: Access) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|w| (*w).to_owned()));
    // No terminal, no questions, no escape character: the channel carries binary data.
    add(&["-T", "-e", "none", "-o", "BatchMode=yes"]);
    if let Some(port) = uri.explicit_port() {
        add(&["-p", &port.to_string()]);
    }
    if let Some(user) = uri.user() {
        add(&["-l", user]);
    }
    if let Some(key) = &options.keyfile {
        // With a key named, the agent's other keys would only use up the allowed attempts.
        add(&["-i", &key.to_string_lossy(), "-o", "IdentitiesOnly=yes"]);
    }
    if let Some(file) = &options.known_hosts {
        let option = format!("UserKnownHostsFile={}", quote_option(file));
        add(&["-o", &option]);
    }
    if options.verify == Verify::Never {
        add(&["-o", "StrictHostKeyChecking=accept-new"]);
    }
    let script = format!("sh -c {}", quote(&script(uri, options, access)));
    add(&["--", uri.host().unwrap_or("localhost"), &script]);
    arguments
}

/// What the far side runs.
fn script(uri: &Uri, options: &SshOptions, access: Access) -> String {
    let native = {
        let read_only = match access {
            Access::ReadWrite => "",
            Access::ReadOnly => "-r ",
        };
        format!("exec virt-ssh-helper {read_only}{}", quote(&uri.remote_name()))
    };
    let netcat = {
        let nc = quote(options.netcat.as_deref().unwrap_or("nc"));
        let sockets = match &options.socket {
            Some(path) => quote(&path.to_string_lossy()),
            None => {
                let folder = match uri.path() {
                    "/session" => "\"$XDG_RUNTIME_DIR/libvirt",
                    _ => "\"/var/run/libvirt",
                };
                let suffix = access.socket_suffix();
                format!("{folder}/libvirt-sock{suffix}\" {folder}/virt{}d-sock{suffix}\"", uri.driver())
            }
        };
        // Some netcats need -q 0 to end with their input.
        format!(
            "if {nc} -q 2>&1 | grep -q \"requires an argument\"; then q=\"-q 0\"; else q=; fi; \
             for s in {sockets}; do if test -S \"$s\"; then exec {nc} $q -U \"$s\"; fi; done; \
             echo \"no libvirt socket on this host\" >&2; exit 126"
        )
    };
    match options.proxy {
        SshProxy::Native => native,
        SshProxy::Netcat => netcat,
        // virt-ssh-helper cannot be told a socket.
        SshProxy::Auto if options.socket.is_some() => netcat,
        SshProxy::Auto => format!("if command -v virt-ssh-helper >/dev/null 2>&1; then {native}; else {netcat}; fi"),
    }
}

/// Quotes a word for any shell.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Quotes a file name inside an ssh option.
fn quote_option(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

fn explain(place: &str, command: &str, code: Option<i32>, said: &str) -> Option<Error> {
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
    let has = |text: &str| said.contains(text);
    let (kind, what) = if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        (
            TransportFault::HostKey,
            format!(
                "the host key of {place} has changed; if the host was set up anew, remove the old \
                 key with ssh-keygen -R, if not, somebody may be in between"
            ),
        )
    } else if has("Host key verification failed") {
        (
            TransportFault::HostKey,
            format!(
                "the host key of {place} is not known; connect once with {command} by hand and \
                 compare it, or use ?known_hosts=FILE"
            ),
        )
    } else if has("Permission denied (") {
        (
            TransportFault::SshDenied,
            format!(
                "{place} does not let us in by ssh; put our public key into authorized_keys there, \
                 or name a key with ?keyfile=FILE ({last})"
            ),
        )
    } else if has("Could not resolve hostname") {
        (
            TransportFault::Resolve,
            format!("ssh finds no address for {place}; check the spelling, DNS or ssh's configuration"),
        )
    } else if has("Connection refused") {
        (TransportFault::Refused, format!("{place} refused the ssh connection; does sshd run there, on that port?"))
    } else if has("Connection timed out") || has("Operation timed out") {
        (TransportFault::Hangs, format!("{place} does not answer ssh; is the host up, is there a firewall?"))
    } else if has("No route to host") || has("Network is unreachable") {
        (TransportFault::Unreachable, format!("there is no way to {place}; is the host up and routed?"))
    } else if has("cannot connect to '") && !has("Permission denied") {
        (TransportFault::Socket, format!("on {place} no libvirt daemon listens; start it ({last})"))
    } else if has("Permission denied") {
        (
            TransportFault::Socket,
            format!(
                "on {place} our user may not use libvirt's socket; log in as root or join the group \
                 libvirt there ({last})"
            ),
        )
    } else {
        match code {
            Some(0) | None if said.trim().is_empty() => return None,
            Some(127) => (
                TransportFault::Ssh,
                format!(
                    "on {place} neither virt-ssh-helper nor netcat was found; install \
                     libvirt-clients or netcat-openbsd there ({last})"
                ),
            ),
            Some(126) => (
                TransportFault::Socket,
                format!("on {place} no libvirt daemon listens; start it, or name ?socket=PATH ({last})"),
            ),
            code => (
                TransportFault::Ssh,
                format!(
                    "{command} to {place} ended{}: {last}",
                    code.map(|c| format!(" with code {c}")).unwrap_or_default()
                ),
            ),
        }
    };
    Some(Error::transport(kind, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uri::Transport;

    fn arguments_of(text: &str) -> Vec<String> {
        let uri: Uri = text.parse().unwrap();
        let Transport::Ssh(options) = uri.transport().clone() else {
            panic!("{text} is not ssh");
        };
        arguments(&uri, &options, Access::ReadWrite)
    }

    #[test]
    fn ssh_is_asked_for_no_terminal_no_questions_and_the_given_key() {
        let arguments = arguments_of("qemu+ssh://root@h1:2222/system?keyfile=/k&known_hosts=/h");
        let expected = [
            "-T",
            "-e",
            "none",
            "-o",
            "BatchMode=yes",
            "-p",
            "2222",
            "-l",
            "root",
            "-i",
            "/k",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "UserKnownHostsFile=\"/h\"",
            "--",
            "h1",
        ];
        assert_eq!(arguments[..expected.len()], expected);
        assert_eq!(arguments.len(), expected.len() + 1);
    }

    #[test]
    fn the_far_side_tries_the_helper_first_and_netcat_second() {
        let script = arguments_of("qemu+ssh://h1/system").pop().unwrap();
        let helper = script.find("exec virt-ssh-helper").unwrap();
        let netcat = script.find("-U").unwrap();
        assert!(helper < netcat, "{script}");
        assert!(script.starts_with("sh -c '"), "{script}");
        assert!(!arguments_of("qemu+ssh://h1/system?proxy=native").pop().unwrap().contains("-U"));
        assert!(!arguments_of("qemu+ssh://h1/system?proxy=netcat").pop().unwrap().contains("helper"));
    }

    #[test]
    fn quotes_in_a_parameter_cannot_leave_their_word() {
        let script = arguments_of("qemu+ssh://h1/system?proxy=netcat&netcat=nc'%3breboot").pop().unwrap();
        // Run what the far side would run, with `exec` and friends replaced by an echo.
        let inner =
            std::process::Command::new("sh").args(["-c", &script.replacen("sh -c", "printf %s", 1)]).output().unwrap();
        let inner = String::from_utf8(inner.stdout).unwrap();
        assert!(inner.contains("exec 'nc'\\'';reboot' $q"), "{inner}");
    }

    #[test]
    fn last_words_become_advice() {
        for (code, said, kind) in [
            (255, "Host key verification failed.", TransportFault::HostKey),
            (255, "root@h1: Permission denied (publickey).", TransportFault::SshDenied),
            (255, "ssh: Could not resolve hostname h1", TransportFault::Resolve),
            (255, "ssh: connect to host h1 port 22: Connection refused", TransportFault::Refused),
            (127, "sh: 1: exec: nc: not found", TransportFault::Ssh),
            (126, "no libvirt socket on this host", TransportFault::Socket),
            (3, "odd", TransportFault::Ssh),
        ] {
            let Some(Error::Transport(error)) = explain("h1", "ssh", Some(code), said) else {
                panic!("{said}");
            };
            assert_eq!(error.kind, kind, "{said}");
        }
        assert!(explain("h1", "ssh", Some(0), "").is_none());
    }
}
