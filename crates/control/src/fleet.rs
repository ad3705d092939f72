//! The hosts under care and their drivers.

use std::sync::Arc;

use async_trait::async_trait;
use ulm_drivers::{Driver, HostFacts};
use ulm_model::HostName;

use crate::order::OrderError;
use crate::view::HostTrial;

/// Makes drivers from URIs: the one place that knows which families of hypervisors there are.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// A driver for a host under care. Connects in the background and again whenever it must; fails only when the URI is malformed.
    fn connect(&self, name: &HostName, uri: &str) -> Result<Arc<dyn Driver>, OrderError>;

    /// A connection on trial, with all that can be learnt at once.
    async fn trial(&self, uri: &str) -> Result<HostTrial, OrderError>;
}

/// The name that a host gets when none is given: its own, without its domain.
pub fn name_of(facts: &HostFacts) -> HostName {
    HostName(facts.hostname.split('.').next().unwrap_or(&facts.hostname).to_owned())
}
