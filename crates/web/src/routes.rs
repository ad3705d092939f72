//! The router: each path translated into one call of the daemon's handle.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Extension, FromRequest, FromRequestParts, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use ulm_control::view::{
    Accepted, Forecast, ForecastQuery, HistoryQuery, HostStatus, HostTrial, LedgerQuery, MoveStatus, PlanStatus,
    Series, Status, VmStatus,
};
use ulm_control::{Handle, OrderError};
use ulm_model::ledger::{Entry, MoveKey};
use ulm_model::text::{self, Document};
use ulm_model::{HostName, Plan};

use crate::api::{
    self, AbortOrder, ActingOrder, Decided, Done, HostAdded, MaintenanceOrder, MoveWish, NewHost, TagsOrder, TrialOrder,
};
use crate::error::ApiError;

mod longer;
mod questions;

/// Who gives an order, for the ledger. Put into every request by whoever serves the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By(pub Arc<str>);

type Answer<T> = Result<Json<T>, ApiError>;

/// The API over a handle. Whoever serves it adds [`By`] to every request ([`crate::serve_unix`] does).
pub fn router(handle: Handle) -> Router {
    Router::new()
        .route(api::STATUS, get(status))
        .route(api::HOSTS, get(hosts).post(add_host))
        .route(api::HOSTS_TEST, post(try_host))
        .route(api::HOST, delete(remove_host))
        .route(api::HOST_MAINTENANCE, put(set_maintenance))
        .route(api::HOST_TAGS, put(set_tags))
        .route(api::VMS, get(vms))
        .route(api::SNAPSHOT, get(snapshot))
        .route(api::PLAN, get(plan))
        .route(api::PLAN_APPLY, post(apply).layer(DefaultBodyLimit::max(api::MAX_PLAN)))
        .route(api::PLAN_STATUS, get(plan_status))
        .route(api::ACTING, post(set_acting))
        .route(api::MOVES, get(moves).post(migrate))
        .route(api::MOVES_ABORT, post(abort))
        .route(api::LEDGER, get(ledger))
        .route(api::HISTORY, get(history))
        .route(api::FORECAST, get(forecast))
        .merge(longer::routes())
        .merge(questions::routes())
        .layer(DefaultBodyLimit::max(api::MAX_ORDER))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(handle)
}

async fn status(State(handle): State<Handle>) -> Json<Status> {
    Json(handle.status())
}

async fn hosts(State(handle): State<Handle>) -> Json<Vec<HostStatus>> {
    Json(handle.status().hosts)
}

async fn vms(State(handle): State<Handle>) -> Json<Vec<VmStatus>> {
    Json(handle.vms())
}

async fn moves(State(handle): State<Handle>) -> Json<Vec<MoveStatus>> {
    Json(handle.status().moves)
}

async fn snapshot(State(handle): State<Handle>) -> Result<impl IntoResponse, ApiError> {
    // Before the first decision there is no snapshot worth the name, and the refusal says so.
    handle.decision()?;
    let snapshot = handle.published().snapshot.clone();
    // A large one takes a while to write.
    let document = blocking(move || Ok(text::write(&*snapshot))).await?;
    Ok(([(CONTENT_TYPE, "application/json")], document))
}

async fn plan(State(handle): State<Handle>) -> Answer<Decided> {
    Ok(Json((*handle.decision()?).clone().into()))
}

async fn plan_status(State(handle): State<Handle>, Path(id): Path<String>) -> Answer<PlanStatus> {
    Ok(Json(handle.plan(&id)?))
}

async fn ledger(State(handle): State<Handle>, Asked(query): Asked<LedgerQuery>) -> Answer<Vec<Entry>> {
    Ok(Json(blocking(move || handle.ledger(&query)).await?))
}

async fn history(State(handle): State<Handle>, Asked(query): Asked<HistoryQuery>) -> Answer<Vec<Series>> {
    Ok(Json(blocking(move || handle.history(&query)).await?))
}

async fn forecast(State(handle): State<Handle>, Asked(query): Asked<ForecastQuery>) -> Answer<Forecast> {
    Ok(Json(blocking(move || handle.forecast(&query)).await?))
}

async fn set_acting(State(handle): State<Handle>, By(by): By, Order(order): Order<ActingOrder>) -> Answer<Done> {
    handle.set_acting(order.acting, &by).await?;
    Ok(Json(Done {}))
}

async fn apply(State(handle): State<Handle>, By(by): By, body: Result<Bytes, BytesRejection>) -> Answer<Accepted> {
    let plan: Plan = document("the plan", body)?;
    Ok(Json(handle.apply(plan, &by).await?))
}

/// A document of the model's text format as a body.
fn document<T: Document>(what: &str, body: Result<Bytes, BytesRejection>) -> Result<T, ApiError> {
    let body = body.map_err(|rejection| ApiError::malformed(rejection.status(), rejection.body_text()))?;
    let unreadable = |error: &dyn std::fmt::Display| {
        ApiError::malformed(StatusCode::BAD_REQUEST, format!("{what} cannot be read: {error}"))
    };
    let document = std::str::from_utf8(&body).map_err(|error| unreadable(&error))?;
    text::read(document).map_err(|error| unreadable(&error))
}

async fn migrate(State(handle): State<Handle>, By(by): By, Order(wish): Order<MoveWish>) -> Answer<Accepted> {
    Ok(Json(handle.migrate(&wish.vm, &wish.host, &by).await?))
}

async fn abort(State(handle): State<Handle>, By(by): By, Order(order): Order<AbortOrder>) -> Answer<Vec<MoveKey>> {
    Ok(Json(handle.abort(order.vm.as_deref(), &by).await?))
}

async fn add_host(State(handle): State<Handle>, By(by): By, Order(host): Order<NewHost>) -> Answer<HostAdded> {
    let name = handle.add_host(&host.uri, host.name.as_deref(), &by).await?;
    Ok(Json(HostAdded { name }))
}

async fn try_host(State(handle): State<Handle>, Order(trial): Order<TrialOrder>) -> Answer<HostTrial> {
    Ok(Json(handle.try_host(&trial.uri).await?))
}

async fn remove_host(State(handle): State<Handle>, By(by): By, Path(name): Path<String>) -> Answer<Done> {
    handle.remove_host(&HostName(name), &by).await?;
    Ok(Json(Done {}))
}

async fn set_maintenance(
    State(handle): State<Handle>,
    By(by): By,
    Path(name): Path<String>,
    Order(order): Order<MaintenanceOrder>,
) -> Answer<Done> {
    handle.set_maintenance(&HostName(name), order.on, &by).await?;
    Ok(Json(Done {}))
}

async fn set_tags(
    State(handle): State<Handle>,
    By(_): By,
    Path(name): Path<String>,
    Order(order): Order<TagsOrder>,
) -> Answer<Done> {
    handle.set_tags(&HostName(name), order.tags).await?;
    Ok(Json(Done {}))
}

async fn no_such_path(request: Request) -> ApiError {
    let message = format!("there is no {} here: command and daemon may be of different versions", request.uri().path());
    ApiError::malformed(StatusCode::NOT_FOUND, message)
}

async fn no_such_method(request: Request) -> ApiError {
    let message = format!("{} cannot be used on {}", request.method(), request.uri().path());
    ApiError::malformed(StatusCode::METHOD_NOT_ALLOWED, message)
}

/// What reads from disk or takes long: not on a thread that others wait for.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, OrderError> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(read).await {
        Ok(answer) => Ok(answer?),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// A JSON body; a malformed one is told in the API's own form.
struct Order<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Order<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let told = |rejection: JsonRejection| {
            // A shape that does not fit is malformed here; 422 is kept for what rules speak against.
            let status = match rejection.status() {
                StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
                other => other,
            };
            ApiError::malformed(status, rejection.body_text())
        };
        Json::from_request(request, state).await.map(|Json(body)| Order(body)).map_err(told)
    }
}

/// A query; a malformed one is told in the API's own form.
struct Asked<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let told = |rejection: QueryRejection| ApiError::malformed(rejection.status(), rejection.body_text());
        Query::from_request_parts(parts, state).await.map(|Query(query)| Asked(query)).map_err(told)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let nobody = || ApiError::new(crate::error::Sort::Forbidden, "orders are taken only from somebody with a name");
        Extension::from_request_parts(parts, state).await.map(|Extension(by)| by).map_err(|_| nobody())
    }
}
