//! A daemon behind a real socket.
#![allow(dead_code)]

use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use ulm_control::{Config, Connector, Daemon, Keep};
use ulm_drivers::SystemClock;
use ulm_policy::Policy;
use ulm_web::client::Client;
use ulm_web::socket::Socket;

/// See the module's text.
pub struct Served {
    pub client: Client,
    folder: tempfile::TempDir,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Served {
    pub fn with(connector: Arc<dyn Connector>, policy: Policy) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ulm.sock");
        let config = Config {
            keep: Keep::Memory,
            policy: policy.into(),
            connector,
            clock: Arc::new(SystemClock),
            version: "test".into(),
        };
        let (handle, daemon) = Daemon::start(config).unwrap();
        let socket = Socket::bind(&path).unwrap();
        let stop = CancellationToken::new();
        let serving = ulm_web::serve_unix(socket, ulm_web::router(handle), stop.clone());
        let tasks = vec![tokio::spawn(daemon.run(stop.clone())), tokio::spawn(async move { serving.await.unwrap() })];
        Served { client: Client::new(path), folder, stop, tasks }
    }

    pub fn path(&self) -> &Path {
        self.client.socket()
    }

    pub async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
        assert!(!self.folder.path().join("ulm.sock").exists(), "an orderly end takes the socket away");
    }

    /// Sends a request as it stands; its answer can be read, or not waited for.
    pub async fn sent(&self, method: &str, path: &str, body: &str) -> UnixStream {
        let mut stream = UnixStream::connect(self.path()).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: ulm\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Sends a request as it stands, and gives the status code and the body.
    pub async fn raw(&self, method: &str, path: &str, body: &str) -> (u16, serde_json::Value) {
        let mut stream = self.sent(method, path, body).await;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {answer}")))
    }
}
