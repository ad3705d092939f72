//! What is answered when something is refused: the daemon's refusals and the door's own, as HTTP tells them.
//!
//! | sort | status |
//! |---|---|
//! | `malformed` | 400 (404 for a path that does not exist, 405 for a method, 413 for a body that is too large) |
//! | `forbidden` | 403 |
//! | `not_found` | 404 |
//! | `conflict` | 409 |
//! | `not_allowed` | 422 |
//! | `unavailable` | 503 |

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use ulm_control::{OrderError, Refusal};

use crate::api::{Failure, Told};

/// Sorts of refusal as the API tells them: the daemon's, and `forbidden`, which is said at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// No such host, VM or plan.
    NotFound,
    /// The order itself is malformed.
    Malformed,
    /// It contradicts what is there already.
    Conflict,
    /// A rule or the present state does not allow it.
    NotAllowed,
    /// A host or the store cannot be used at the moment.
    Unavailable,
    /// Whoever asks may not.
    Forbidden,
}

impl From<Refusal> for Sort {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Sort::NotFound,
            Refusal::Malformed => Sort::Malformed,
            Refusal::Conflict => Sort::Conflict,
            Refusal::NotAllowed => Sort::NotAllowed,
            Refusal::Unavailable => Sort::Unavailable,
        }
    }
}

impl Sort {
    fn status(self) -> StatusCode {
        match self {
            Sort::NotFound => StatusCode::NOT_FOUND,
            Sort::Malformed => StatusCode::BAD_REQUEST,
            Sort::Conflict => StatusCode::CONFLICT,
            Sort::NotAllowed => StatusCode::UNPROCESSABLE_ENTITY,
            Sort::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Sort::Forbidden => StatusCode::FORBIDDEN,
        }
    }
}

/// A refusal on its way out.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    status: StatusCode,
    told: Told,
}

impl ApiError {
    /// A refusal of a sort with a sentence.
    pub fn new(refusal: Sort, message: impl Into<String>) -> Self {
        let told = Told { refusal, message: message.into(), reasons: Vec::new() };
        ApiError { status: refusal.status(), told }
    }

    /// A malformed request for which HTTP has a more telling status than 400.
    pub fn malformed(status: StatusCode, message: impl Into<String>) -> Self {
        ApiError { status, ..ApiError::new(Sort::Malformed, message) }
    }
}

impl From<OrderError> for ApiError {
    fn from(error: OrderError) -> Self {
        let refusal = Sort::from(error.refusal);
        let told = Told { refusal, message: error.message, reasons: error.reasons };
        ApiError { status: refusal.status(), told }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(Failure { error: self.told })).into_response()
    }
}
