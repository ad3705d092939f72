//! Both sides of the API over a real socket, with a daemon that has no hosts.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use ulm_control::view::{HostTrial, LedgerQuery};
use ulm_control::{Config, Connector, Daemon, Keep, OrderError, Refusal};
use ulm_drivers::{Driver, SystemClock};
use ulm_model::ledger::Event;
use ulm_model::{Acting, HostName, Plan, Time};
use ulm_policy::Policy;
use ulm_web::client::{Client, ClientError};
use ulm_web::error::Sort;
use ulm_web::peer::{Directory, SystemDirectory};
use ulm_web::socket::{Socket, SocketError};

/// No host can be reached in these tests.
struct Nowhere;

#[async_trait]
impl Connector for Nowhere {
    fn connect(&self, _: &HostName, uri: &str) -> Result<Arc<dyn Driver>, OrderError> {
        Err(OrderError::new(Refusal::Malformed, format!("`{uri}` is no URI")))
    }
    async fn trial(&self, uri: &str) -> Result<HostTrial, OrderError> {
        Err(OrderError::new(Refusal::Unavailable, format!("{uri} does not answer")))
    }
}

struct Served {
    folder: tempfile::TempDir,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    client: Client,
}

impl Served {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ulm.sock");
        let config = Config {
            keep: Keep::Memory,
            policy: Policy::default().into(),
            connector: Arc::new(Nowhere),
            clock: Arc::new(SystemClock),
            version: "test".into(),
        };
        let (handle, daemon) = Daemon::start(config).unwrap();
        let socket = Socket::bind(&path).unwrap();
        let stop = CancellationToken::new();
        let serving = ulm_web::serve_unix(socket, ulm_web::router(handle), stop.clone());
        let tasks = vec![tokio::spawn(daemon.run(stop.clone())), tokio::spawn(async move { serving.await.unwrap() })];
        Served { folder, stop, tasks, client: Client::new(path) }
    }

    fn path(&self) -> &Path {
        self.client.socket()
    }

    async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
        assert!(!self.folder.path().join("ulm.sock").exists(), "an orderly end takes the socket away");
    }

    /// Sends a request as it stands, and gives the status code and the body.
    async fn raw(&self, method: &str, path: &str, body: &str) -> (u16, serde_json::Value) {
        let mut stream = UnixStream::connect(self.path()).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: ulm\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {answer}")))
    }
}

fn refusal(error: ClientError) -> Sort {
    match error {
        ClientError::Refused(told) => told.refusal,
        other => panic!("not a refusal: {other}"),
    }
}

#[tokio::test]
async fn an_order_reaches_the_ledger_with_its_callers_name() {
    let served = Served::start();
    served.client.set_acting(Acting::On).await.unwrap();
    assert_eq!(served.client.status().await.unwrap().acting, Acting::On);
    let own = tokio::net::UnixStream::pair().unwrap().0.peer_cred().unwrap().uid();
    let me = SystemDirectory.user(own).unwrap_or_else(|| format!("uid {own}"));
    let entries = served.client.ledger(&LedgerQuery::default()).await.unwrap();
    assert!(entries.iter().any(|entry| entry.event == Event::Enabled { by: me.clone() }), "{entries:?}");
    served.stop().await;
}

#[tokio::test]
async fn refusals_have_the_status_code_of_their_sort_and_a_sentence() {
    let served = Served::start();
    for (method, path, body, status, refusal) in [
        ("GET", "/v1/nothing", "", 404, "malformed"),
        ("POST", "/v1/status", "", 405, "malformed"),
        ("POST", "/v1/acting", "{", 400, "malformed"),
        ("POST", "/v1/acting", r#"{"acting":"perhaps"}"#, 400, "malformed"),
        ("POST", "/v1/acting", r#"{"acting":"on","now":true}"#, 400, "malformed"),
        ("GET", "/v1/ledger?limit=many", "", 400, "malformed"),
        ("GET", "/v1/ledger?limt=3", "", 400, "malformed"),
        ("POST", "/v1/plan/apply", "{}", 400, "malformed"),
        ("GET", "/v1/plans/abc", "", 404, "not_found"),
        ("DELETE", "/v1/hosts/h1", "", 404, "not_found"),
        ("POST", "/v1/hosts/test", r#"{"uri":"qemu:///system"}"#, 503, "unavailable"),
    ] {
        let (code, body) = served.raw(method, path, body).await;
        assert_eq!((code, body["error"]["refusal"].as_str()), (status, Some(refusal)), "{method} {path}: {body}");
        assert!(body["error"]["message"].as_str().is_some_and(|sentence| sentence.len() > 10), "{body}");
    }
    served.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_unread() {
    let served = Served::start();
    let body = format!(r#"{{"uri":"{}"}}"#, "x".repeat(ulm_web::api::MAX_ORDER));
    let (code, body) = served.raw("POST", "/v1/hosts/test", &body).await;
    assert_eq!(code, 413, "{body}");
    served.stop().await;
}

#[tokio::test]
async fn a_plan_that_has_expired_is_not_carried_out() {
    let served = Served::start();
    let plan = Plan { parent: String::new(), made_at: Time(0), expires_at: Time(1), steps: Vec::new() };
    let error = served.client.apply(&plan).await.unwrap_err();
    assert!(error.to_string().contains("expired"), "{error}");
    assert_eq!(refusal(error), Sort::NotAllowed);
    served.stop().await;
}

#[tokio::test]
async fn names_with_slashes_and_spaces_arrive_as_they_are() {
    let served = Served::start();
    let error = served.client.remove_host(&HostName::from("rack 1/host ä")).await.unwrap_err();
    assert!(error.to_string().contains("rack 1/host ä"), "{error}");
    assert_eq!(refusal(error), Sort::NotFound);
    served.stop().await;
}

#[tokio::test]
async fn a_dead_daemons_socket_is_replaced_and_a_live_ones_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/ulm.sock");
    let live = Socket::bind(&path).unwrap();
    assert!(matches!(Socket::bind(&path), Err(SocketError::InUse(_))));
    drop(live);
    assert!(!path.exists());
    // A listener that is dropped by the standard library leaves its file, as a killed daemon does.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    assert!(matches!(Client::new(&path).status().await, Err(ClientError::NotRunning(_))));
    let _replaced = Socket::bind(&path).unwrap();
}

#[tokio::test]
async fn what_is_not_a_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("precious");
    std::fs::write(&path, "text").unwrap();
    assert!(matches!(Socket::bind(&path), Err(SocketError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "text");
}
