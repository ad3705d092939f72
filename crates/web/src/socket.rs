//! The daemon's Unix socket: who may connect, and what is found in its place.
//!
//! Mode 0660, and the group `ulm` if there is one. A file that a dead daemon left is replaced; a
//! socket on which somebody listens is not.

use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::error::{ApiError, Sort};
use crate::peer::{Directory, GROUP, Peer, SystemDirectory, admit};
use crate::routes::By;

/// After the stop, answers under way may take so long.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Why the socket cannot be served: what is wrong and what to do.
#[derive(Debug, Error)]
pub enum SocketError {
    /// A daemon listens there.
    #[error(
        "another daemon serves {} already: stop it first, or give this one another socket (--socket) and another state (--state)",
        .0.display()
    )]
    InUse(PathBuf),
    /// Something that is not a socket is there.
    #[error("{} is there and is not a socket: remove it, or give another path with --socket", .0.display())]
    NotASocket(PathBuf),
    /// The file system does not allow it.
    #[error("the socket {} cannot be made: {error}{}", .path.display(), hint(.error))]
    Io {
        /// Where.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => ". Run `ulm serve` as root, or give a path of your own with --socket",
        ErrorKind::InvalidInput => {
            ". The path of a Unix socket may have about 100 bytes: give a shorter one with --socket"
        }
        _ => ". Give another path with --socket, or mend the folder",
    }
}

/// A socket that is bound and not served yet. Its file goes when it is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    file: SocketFile,
}

/// Removes the file at the end, if it is still ours.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Socket {
    /// Binds the socket, and makes its folder if it is missing. Must be called inside a tokio runtime.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let told = |error| SocketError::Io { path: path.to_owned(), error };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(told)?;
        }
        clear_the_place(path)?;
        let listener = UnixListener::bind(path).map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => SocketError::InUse(path.to_owned()),
            _ => told(error),
        })?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(told)?;
        if let Some(group) = SystemDirectory.group(GROUP) {
            // Only root, or a member, can give a file to the group; for another user's own daemon it does not matter.
            let _ = chown(path, None, Some(group.gid));
        }
        let inode = std::fs::symlink_metadata(path).map_err(told)?.ino();
        Ok(Socket { listener, file: SocketFile { path: path.to_owned(), inode } })
    }
}

/// Removes the socket file of a daemon that is dead.
fn clear_the_place(path: &Path) -> Result<(), SocketError> {
    let told = |error| SocketError::Io { path: path.to_owned(), error };
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(SocketError::NotASocket(path.to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(told(error)),
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(SocketError::InUse(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(told),
        Err(error) => Err(told(error)),
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        // Without credentials it is nobody, and nobody is let in.
        stream
            .io()
            .peer_cred()
            .map_or(Peer { uid: u32::MAX, gid: u32::MAX }, |cred| Peer { uid: cred.uid(), gid: cred.gid() })
    }
}

/// Serves the API on the socket until it is told to stop. Callers that may not are answered 403.
pub async fn serve_unix(socket: Socket, router: Router, stop: CancellationToken) -> io::Result<()> {
    let Socket { listener, file: _file } = socket;
    let own = UnixStream::pair()?.0.peer_cred()?.uid();
    let door = Door { own, directory: Arc::new(SystemDirectory) };
    let app = router.layer(from_fn_with_state(door, let_in)).into_make_service_with_connect_info::<Peer>();
    let serving = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        served = async { serving.await } => served,
        () = async { stop.cancelled().await; tokio::time::sleep(LAST_ANSWERS).await } => Ok(()),
    }
}

#[derive(Clone)]
struct Door {
    own: u32,
    directory: Arc<dyn Directory>,
}

async fn let_in(
    State(door): State<Door>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    // The directory reads files, or asks a server.
    let admitted = tokio::task::spawn_blocking(move || admit(peer, door.own, &*door.directory)).await;
    match admitted {
        Ok(Ok(name)) => {
            request.extensions_mut().insert(By(name.into()));
            next.run(request).await
        }
        Ok(Err(sentence)) => ApiError::new(Sort::Forbidden, sentence).into_response(),
        Err(_) => ApiError::new(Sort::Unavailable, "the caller's name cannot be looked up: ask again").into_response(),
    }
}
