//! The command's side: one method for each path, over the daemon's Unix socket.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::UnixStream;
use tokio::time::timeout;
use ulm_control::view::{
    Accepted, Forecast, ForecastQuery, HistoryQuery, HostStatus, HostTrial, LedgerQuery, MoveStatus, PlanStatus,
    Series, Status, VmStatus,
};
use ulm_model::ledger::{Entry, MoveKey};
use ulm_model::{Acting, HostName, Plan, Snapshot, text};

use crate::api::{
    self, AbortOrder, ActingOrder, Decided, Done, Failure, HostAdded, MaintenanceOrder, MoveWish, NewHost, TagsOrder,
    Told, TrialOrder,
};

mod questions;

/// A daemon that has not answered after so long will not: an order waits at most for a round and a trial connection.
const ANSWER: Duration = Duration::from_secs(120);

/// Why the daemon did not do what was asked.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("the daemon is not running (nobody listens on {}): start it with `ulm serve`, or give its socket with --socket", .0.display())]
    NotRunning(PathBuf),
    /// The socket's file does not let this user in.
    #[error(
        "you may not use the daemon's socket {}: be root, or let root run `usermod -aG ulm YOU` and log in again",
        .0.display()
    )]
    NoPermission(PathBuf),
    /// The connection broke, or something else than a daemon of this version answered.
    #[error("the daemon on {} {trouble}", .path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What happened, and what to do.
        trouble: String,
    },
    /// The daemon refused.
    #[error("{}", .0.message)]
    Refused(Told),
}

/// The daemon behind a socket. Each call connects anew, so that a daemon that was started again is found.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

type Answer<T> = Result<T, ClientError>;

impl Client {
    /// The daemon on a socket. Nothing is connected yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Client { socket: socket.into() }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The whole at a glance.
    pub async fn status(&self) -> Answer<Status> {
        self.get(api::STATUS).await
    }

    /// Every host, by name.
    pub async fn hosts(&self) -> Answer<Vec<HostStatus>> {
        self.get(api::HOSTS).await
    }

    /// All VMs, by name.
    pub async fn vms(&self) -> Answer<Vec<VmStatus>> {
        self.get(api::VMS).await
    }

    /// Moves that are wanted or run.
    pub async fn moves(&self) -> Answer<Vec<MoveStatus>> {
        self.get(api::MOVES).await
    }

    /// All that the last round observed.
    pub async fn snapshot(&self) -> Answer<Snapshot> {
        self.get(api::SNAPSHOT).await
    }

    /// What would be done now and why, and why not the rest.
    pub async fn plan(&self) -> Answer<Decided> {
        self.get(api::PLAN).await
    }

    /// How an accepted plan is getting on; by its id or the beginning of it.
    pub async fn plan_status(&self, id: &str) -> Answer<PlanStatus> {
        self.get(&path(api::PLAN_STATUS, id)).await
    }

    /// Entries of the ledger, newest first.
    pub async fn ledger(&self, query: &LedgerQuery) -> Answer<Vec<Entry>> {
        let time = |time: Option<ulm_model::Time>| time.map(|time| time.0.to_string());
        let pairs = [
            ("vm", query.vm.clone()),
            ("host", query.host.as_ref().map(|host| host.0.clone())),
            ("plan", query.plan.clone()),
            ("since", time(query.since)),
            ("until", time(query.until)),
            ("limit", query.limit.map(|limit| limit.to_string())),
        ];
        self.get(&with_query(api::LEDGER, &pairs)).await
    }

    /// Figures over time.
    pub async fn history(&self, query: &HistoryQuery) -> Answer<Vec<Series>> {
        let pairs = [
            ("of", Some(query.of.clone())),
            ("metric", query.metric.clone()),
            ("from", Some(query.from.0.to_string())),
            ("to", Some(query.to.0.to_string())),
            ("points", Some(query.points.to_string())),
        ];
        self.get(&with_query(api::HISTORY, &pairs)).await
    }

    /// What a VM is expected to want.
    pub async fn forecast(&self, query: &ForecastQuery) -> Answer<Forecast> {
        let pairs = [("of", Some(query.of.clone())), ("hours", Some(query.hours.to_string()))];
        self.get(&with_query(api::FORECAST, &pairs)).await
    }

    /// Switches acting.
    pub async fn set_acting(&self, acting: Acting) -> Answer<Done> {
        self.send(Method::POST, api::ACTING, &ActingOrder { acting }).await
    }

    /// Hands a plan in.
    pub async fn apply(&self, plan: &Plan) -> Answer<Accepted> {
        self.call(Method::POST, api::PLAN_APPLY, text::write(plan).into_bytes()).await
    }

    /// Asks for one VM to be moved.
    pub async fn migrate(&self, vm: &str, host: &HostName) -> Answer<Accepted> {
        self.send(Method::POST, api::MOVES, &MoveWish { vm: vm.to_owned(), host: host.clone() }).await
    }

    /// Has the moves of one VM, or all, aborted; tells which.
    pub async fn abort(&self, vm: Option<&str>) -> Answer<Vec<MoveKey>> {
        self.send(Method::POST, api::MOVES_ABORT, &AbortOrder { vm: vm.map(str::to_owned) }).await
    }

    /// Takes a host under care; tells its name.
    pub async fn add_host(&self, uri: &str, name: Option<&str>) -> Answer<HostAdded> {
        let host = NewHost { uri: uri.to_owned(), name: name.map(str::to_owned) };
        self.send(Method::POST, api::HOSTS, &host).await
    }

    /// Has the daemon try a host.
    pub async fn try_host(&self, uri: &str) -> Answer<HostTrial> {
        self.send(Method::POST, api::HOSTS_TEST, &TrialOrder { uri: uri.to_owned() }).await
    }

    /// Removes a host from care.
    pub async fn remove_host(&self, name: &HostName) -> Answer<Done> {
        self.call(Method::DELETE, &path(api::HOST, &name.0), Vec::new()).await
    }

    /// Gives a host these tags instead of those that it has.
    pub async fn set_tags(&self, name: &HostName, tags: BTreeSet<String>) -> Answer<Done> {
        self.send(Method::PUT, &path(api::HOST_TAGS, &name.0), &TagsOrder { tags }).await
    }

    /// Takes a host out or back in.
    pub async fn set_maintenance(&self, name: &HostName, on: bool) -> Answer<Done> {
        self.send(Method::PUT, &path(api::HOST_MAINTENANCE, &name.0), &MaintenanceOrder { on }).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Answer<T> {
        self.call(Method::GET, path, Vec::new()).await
    }

    async fn send<T: DeserializeOwned>(&self, method: Method, path: &str, body: &impl Serialize) -> Answer<T> {
        self.call(method, path, json(body)).await
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Vec<u8>) -> Answer<T> {
        self.call_for(ANSWER, method, path, body).await
    }

    /// The same where the answer may take so long.
    async fn call_for<T: DeserializeOwned>(
        &self,
        patience: Duration,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Answer<T> {
        let (status, body) = match timeout(patience, self.exchange(method, path, body)).await {
            Ok(answer) => answer?,
            Err(_) => {
                return Err(self.broken(format!("has not answered for {} s: look at its log", patience.as_secs())));
            }
        };
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                self.broken(format!(
                    "answered what this command does not understand ({error}): are both of one version?"
                ))
            });
        }
        match serde_json::from_slice::<Failure>(&body) {
            Ok(failure) => Err(ClientError::Refused(failure.error)),
            Err(_) => Err(self.broken(format!("answered {status} without saying why: is it an ulm daemon?"))),
        }
    }

    async fn exchange(&self, method: Method, path: &str, body: Vec<u8>) -> Answer<(StatusCode, Bytes)> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => ClientError::NotRunning(self.socket.clone()),
            ErrorKind::PermissionDenied => ClientError::NoPermission(self.socket.clone()),
            _ => self.broken(format!("cannot be reached: {error}")),
        })?;
        let cut = |error: hyper::Error| {
            self.broken(format!("broke the connection off ({error}): look whether it still runs"))
        };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(cut)?;
        // Ends when the answer is read and the sender dropped; its error reaches the request as well.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "ulm")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| self.broken(format!("cannot be asked that: {error}")))?;
        let response = sender.send_request(request).await.map_err(cut)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(cut)?.to_bytes();
        Ok((status, body))
    }

    fn broken(&self, trouble: impl Into<String>) -> ClientError {
        ClientError::Broken { path: self.socket.clone(), trouble: trouble.into() }
    }
}

fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("orders always have a JSON form")
}

/// Puts a value into the place that a path keeps for it.
fn path(template: &str, value: &str) -> String {
    match (template.find('{'), template.find('}')) {
        (Some(from), Some(to)) => format!("{}{}{}", &template[..from], escaped(value), &template[to + 1..]),
        _ => template.to_owned(),
    }
}

fn with_query(path: &str, pairs: &[(&str, Option<String>)]) -> String {
    let given: Vec<String> = pairs
        .iter()
        .filter_map(|(key, value)| value.as_ref().map(|value| format!("{key}={}", escaped(value))))
        .collect();
    if given.is_empty() { path.to_owned() } else { format!("{path}?{}", given.join("&")) }
}

/// Percent-encoding of everything but RFC 3986's unreserved characters.
fn escaped(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_kind_fit_into_paths_and_queries() {
        assert_eq!(path(api::HOST_MAINTENANCE, "rack 1/ä"), "/v1/hosts/rack%201%2F%C3%A4/maintenance");
        let pairs = [("vm", Some("a&b".to_owned())), ("host", None), ("limit", Some("3".to_owned()))];
        assert_eq!(with_query(api::LEDGER, &pairs), "/v1/ledger?vm=a%26b&limit=3");
    }
}
