//! Why, why not, and what there is room for.

use axum::Json;
use axum::Router;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use ulm_control::Handle;
use ulm_control::questions::{NewVm, WhyNot, WhyNotQuery};
use ulm_control::reports::KeptDecision;
use ulm_control::view::PolicyStatus;
use ulm_control::why::{Why, WhyQuery};
use ulm_decide::{Backing, BestHost, Capacity, SharingReport, Stillness};
use ulm_forecast::Samples;
use ulm_model::Bytes;

use super::{Answer, Asked, By, blocking, document};
use crate::api::{self, ReportQuery};
use crate::error::ApiError;

pub(super) fn routes() -> Router<Handle> {
    Router::new()
        .route(api::WHY, get(why))
        .route(api::WHY_NOT, get(why_not))
        .route(api::STILLNESS, get(stillness))
        .route(api::REPORTS, get(report))
        .route(api::CAPACITY, get(capacity))
        .route(api::SHARING, get(sharing).post(sharing_by_samples).layer(DefaultBodyLimit::max(api::MAX_SAMPLES)))
        .route(api::BEST_HOST, get(best_host))
        .route(api::POLICY_RELOAD, post(reload_policy))
}

async fn why(State(handle): State<Handle>, Asked(query): Asked<WhyQuery>) -> Answer<Why> {
    Ok(Json(blocking(move || handle.why(&query)).await?))
}

async fn why_not(State(handle): State<Handle>, Asked(query): Asked<WhyNotQuery>) -> Answer<WhyNot> {
    Ok(Json(blocking(move || handle.why_not(&query)).await?))
}

async fn stillness(State(handle): State<Handle>) -> Answer<Vec<Stillness>> {
    Ok(Json(blocking(move || handle.stillness()).await?))
}

async fn report(State(handle): State<Handle>, Asked(query): Asked<ReportQuery>) -> Answer<KeptDecision> {
    Ok(Json(blocking(move || handle.decision_at(query.at)).await?))
}

async fn capacity(State(handle): State<Handle>, Asked(backing): Asked<Backing>) -> Answer<Capacity> {
    Ok(Json(blocking(move || handle.capacity(backing)).await?))
}

async fn sharing(State(handle): State<Handle>) -> Answer<SharingReport> {
    Ok(Json(blocking(move || handle.sharing(None)).await?))
}

async fn sharing_by_samples(
    State(handle): State<Handle>,
    body: Result<axum::body::Bytes, BytesRejection>,
) -> Answer<SharingReport> {
    let samples: Samples = document("the samples", body)?;
    Ok(Json(blocking(move || handle.sharing(Some(&samples))).await?))
}

async fn best_host(State(handle): State<Handle>, Asked(query): Asked<Vec<(String, String)>>) -> Answer<Vec<BestHost>> {
    let new = new_vm(query)?;
    Ok(Json(blocking(move || handle.best_host(&new)).await?))
}

async fn reload_policy(State(handle): State<Handle>, By(by): By) -> Answer<PolicyStatus> {
    Ok(Json(handle.reload_policy(&by).await?))
}

/// `label` may be given several times.
fn new_vm(query: Vec<(String, String)>) -> Result<NewVm, ApiError> {
    let wrong = |message: String| ApiError::malformed(StatusCode::BAD_REQUEST, message);
    let number = |key: &str, value: &str| {
        value.parse::<u64>().map_err(|_| wrong(format!("`{key}` must be a whole number, not `{value}`")))
    };
    let flag = |key: &str, value: &str| {
        value.parse::<bool>().map_err(|_| wrong(format!("`{key}` must be true or false, not `{value}`")))
    };
    let (mut cpu, mut ram, mut labels, mut backing) = (None, None, Vec::new(), Backing::default());
    for (key, value) in query {
        match key.as_str() {
            "cpu" => cpu = Some(number(&key, &value)?),
            "ram" => ram = Some(number(&key, &value)?),
            "label" => labels.push(value),
            "cell" => backing.cell = flag(&key, &value)?,
            "pages" => backing.pages = Some(Bytes(number(&key, &value)?)),
            _ => return Err(wrong(format!("there is no `{key}` here; there are cpu, ram, label, cell and pages"))),
        }
    }
    let missing = |key: &str| wrong(format!("`{key}` is missing"));
    let cpu = cpu.ok_or_else(|| missing("cpu"))?;
    let cpu = u32::try_from(cpu).map_err(|_| wrong(format!("no VM has {cpu} virtual CPUs")))?;
    Ok(NewVm { cpu, ram: Bytes(ram.ok_or_else(|| missing("ram"))?), labels, backing })
}
