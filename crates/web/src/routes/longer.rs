//! A longer search for a plan: begun, looked at, ended.

use axum::extract::{Path, State};
use axum::routing::{delete, post};
use axum::{Json, Router};
use ulm_control::Handle;
use ulm_control::longer::{LongerWish, Searching};

use super::{Answer, By, Order};
use crate::api::{self, Decided, Done};

pub(super) fn routes() -> Router<Handle> {
    Router::new().route(api::PLAN_SEARCH, post(search).get(searching)).route(api::PLAN_SEARCH_ONE, delete(end))
}

/// When the connection is closed this is dropped, and the search ends.
async fn search(State(handle): State<Handle>, By(by): By, Order(wish): Order<LongerWish>) -> Answer<Decided> {
    Ok(Json(handle.longer(wish, &by).await?.into()))
}

async fn searching(State(handle): State<Handle>) -> Answer<Searching> {
    Ok(Json(handle.searching()?))
}

async fn end(State(handle): State<Handle>, By(by): By, Path(id): Path<String>) -> Answer<Done> {
    handle.end_search(id.parse()?, &by)?;
    Ok(Json(Done {}))
}
