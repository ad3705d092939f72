//! Both sides of the API over a real socket, with a daemon that has no hosts.

mod served;

use std::sync::Arc;

use async_trait::async_trait;
use served::Served;
use ulm_control::view::{HostTrial, LedgerQuery};
use ulm_control::{Connector, OrderError, Refusal};
use ulm_drivers::Driver;
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

fn nowhere() -> Served {
    Served::with(Arc::new(Nowhere), Policy::default())
}

fn refusal(error: ClientError) -> Sort {
    match error {
        ClientError::Refused(told) => told.refusal,
        other => panic!("not a refusal: {other}"),
    }
}

#[tokio::test]
async fn an_order_reaches_the_ledger_with_its_callers_name() {
    let served = nowhere();
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
    let served = nowhere();
    for (method, path, body, status, refusal) in [
        ("GET", "/v1/nothing", "", 404, "malformed"),
        ("POST", "/v1/status", "", 405, "malformed"),
        ("POST", "/v1/acting", "{", 400, "malformed"),
        ("POST", "/v1/acting", r#"{"acting":"perhaps"}"#, 400, "malformed"),
        ("POST", "/v1/acting", r#"{"acting":"on","now":true}"#, 400, "malformed"),
        ("GET", "/v1/ledger?limit=many", "", 400, "malformed"),
        ("GET", "/v1/ledger?limt=3", "", 400, "malformed"),
        ("POST", "/v1/plan/apply", "{}", 400, "malformed"),
        ("POST", "/v1/plan/search", r#"{"budget":1}"#, 400, "malformed"),
        ("POST", "/v1/plan/search", r#"{"id":"mine","budget":1}"#, 400, "malformed"),
        ("POST", "/v1/plan/search", r#"{"id":"3889f4d2-37e3-43b1-a342-538690d836ac"}"#, 400, "malformed"),
        (
            "POST",
            "/v1/plan/search",
            r#"{"id":"3889f4d2-37e3-43b1-a342-538690d836ac","budget":"50M"}"#,
            400,
            "malformed",
        ),
        ("POST", "/v1/plan/search", r#"{"id":"3889f4d2-37e3-43b1-a342-538690d836ac","budget":-1}"#, 400, "malformed"),
        ("POST", "/v1/plan/search", r#"{"id":"3889f4d2-37e3-43b1-a342-538690d836ac","seconds":-1}"#, 400, "malformed"),
        ("POST", "/v1/plan/search", r#"{"id":"3889f4d2-37e3-43b1-a342-538690d836ac","seconds":601}"#, 400, "malformed"),
        ("POST", "/v1/plan/search", r#"{"id":"3889f4d2-37e3-43b1-a342-538690d836ac","second":60}"#, 400, "malformed"),
        ("GET", "/v1/plan/search", "", 404, "not_found"),
        ("DELETE", "/v1/plan/search", "", 405, "malformed"),
        ("DELETE", "/v1/plan/search/mine", "", 400, "malformed"),
        ("DELETE", "/v1/plan/search/3889f4d2-37e3-43b1-a342-538690d836ac", "", 404, "not_found"),
        ("GET", "/v1/capacity?cell=yes", "", 400, "malformed"),
        ("GET", "/v1/capacity?pages=2MiB", "", 400, "malformed"),
        ("GET", "/v1/capacity?page=2097152", "", 400, "malformed"),
        ("GET", "/v1/best-host?cpu=1&ram=1&cell=yes", "", 400, "malformed"),
        ("GET", "/v1/best-host?cpu=1&ram=1&pages=2MiB", "", 400, "malformed"),
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
async fn where_the_memory_of_new_vms_must_be_is_understood() {
    let served = nowhere();
    for path in ["/v1/capacity?cell=true&pages=2097152", "/v1/best-host?cpu=1&ram=2097152&cell=true&pages=2097152"] {
        let (code, body) = served.raw("GET", path, "").await;
        // Nothing is known before the first round, and then there is no host with such memory.
        assert!([422, 503].contains(&code), "{path}: {code} {body}");
    }
    served.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_unread() {
    let served = nowhere();
    let body = format!(r#"{{"uri":"{}"}}"#, "x".repeat(ulm_web::api::MAX_ORDER));
    let (code, body) = served.raw("POST", "/v1/hosts/test", &body).await;
    assert_eq!(code, 413, "{body}");
    served.stop().await;
}

#[tokio::test]
async fn a_plan_that_has_expired_is_not_carried_out() {
    let served = nowhere();
    let plan = Plan { parent: String::new(), made_at: Time(0), expires_at: Time(1), steps: Vec::new() };
    let error = served.client.apply(&plan).await.unwrap_err();
    assert!(error.to_string().contains("expired"), "{error}");
    assert_eq!(refusal(error), Sort::NotAllowed);
    served.stop().await;
}

#[tokio::test]
async fn names_with_slashes_and_spaces_arrive_as_they_are() {
    let served = nowhere();
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
