//! The ssh transport with stand-ins for ssh: what it is asked to do, and what its last words become.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use ulm_libvirt::testing::{FakeHost, FakeServer};
use ulm_libvirt::{Connection, Error, TransportFault, Uri};

/// A program that does what `script` says instead of what ssh would.
fn stand_in(folder: &Path, script: &str) -> String {
    let path = folder.join("ssh");
    std::fs::write(&path, format!("#!/usr/bin/env bash\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// A URI with the stand-in; None without bash.
fn uri(folder: &Path, script: &str) -> Option<Uri> {
    if std::process::Command::new("bash").arg("--version").output().is_err() {
        eprintln!("skipped: no bash on this machine");
        return None;
    }
    let ssh = stand_in(folder, script);
    Some(format!("qemu+ssh://root@h1:2222/system?command={ssh}").parse().unwrap())
}

async fn fault(script: &str) -> Option<(TransportFault, String)> {
    let folder = tempfile::tempdir().unwrap();
    match Connection::open(&uri(folder.path(), script)?).await {
        Err(Error::Transport(error)) => Some((error.kind, error.what.clone())),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn bytes_pass_through_the_child_in_both_directions() {
    let server = FakeServer::tcp(FakeHost::with_vms("h1", 5)).await.unwrap();
    let port = server.uri().port();
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "printf '%s\\n' \"$@\" > {}/asked\n\
         exec 3<>/dev/tcp/127.0.0.1/{port}\ncat <&3 &\ncat >&3\nkill %1",
        folder.path().display()
    );
    let Some(uri) = uri(folder.path(), &script) else {
        return;
    };
    let host = Connection::open(&uri).await.unwrap();
    assert_eq!(host.domains(Default::default()).await.unwrap().len(), 5);
    let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap();
    assert!(asked.contains("BatchMode=yes\n-p\n2222\n-l\nroot\n--\nh1\nsh -c "), "{asked}");
    host.close().await;
    server.until(|s| s.connected() == 0).await;
}

#[tokio::test]
async fn the_last_words_of_ssh_become_the_error() {
    for (script, kind) in [
        ("echo 'Host key verification failed.' >&2; exit 255", TransportFault::HostKey),
        ("echo 'root@h1: Permission denied (publickey).' >&2; exit 255", TransportFault::SshDenied),
        ("echo 'sh: 1: exec: nc: not found' >&2; exit 127", TransportFault::Ssh),
        ("exit 0", TransportFault::Other),
    ] {
        let result = fault(script).await;
        if let Some((found, what)) = result {
            assert_eq!(found, kind, "{script}: {what}");
        }
    }
}

#[tokio::test]
async fn an_ssh_that_dies_later_says_why_to_the_calls_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let server = FakeServer::tcp(FakeHost::with_vms("h1", 1)).await.unwrap();
    let port = server.uri().port();
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port}\ncat >&3 <&0 &\ncat <&3\n\
         echo 'client_loop: send disconnect: Broken pipe' >&2\nexit 255"
    );
    let Some(uri) = uri(folder.path(), &script) else {
        return;
    };
    let host = Connection::open(&uri).await.unwrap();
    server.cut_all();
    let reason = tokio::time::timeout(Duration::from_secs(60), host.ended()).await.unwrap();
    assert!(reason.to_string().contains("Broken pipe"), "{reason}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let uri: Uri = "qemu+ssh://h1/system?command=/nowhere/ssh".parse().unwrap();
    let error = Connection::open(&uri).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/ssh"), "{error}");
}
