//! Simulated hosts for the daemon: `sim:///NAME` instead of a libvirt URI.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ulm_drivers::sim::SimCluster;
use ulm_drivers::{Driver, DriverError};
use ulm_model::HostName;

use crate::fleet::Connector;
use crate::order::{OrderError, Refusal};
use crate::view::HostTrial;

const SCHEME: &str = "sim:///";

/// Hands out the drivers of a simulated cluster.
pub struct SimConnector(pub SimCluster);

/// The URI of a simulated host.
pub fn uri_of(host: &HostName) -> String {
    format!("{SCHEME}{host}")
}

/// Whether a URI means a simulated host.
pub fn is_simulated(uri: &str) -> bool {
    uri.starts_with("sim:")
}

#[async_trait]
impl Connector for SimConnector {
    fn connect(&self, _: &HostName, uri: &str) -> Result<Arc<dyn Driver>, OrderError> {
        let Some(host) = uri.strip_prefix(SCHEME) else {
            let message = format!(
                "`{uri}` is no URI of a simulated host, and this daemon simulates (`ulm serve --simulate`): write {SCHEME}NAME"
            );
            return Err(OrderError::new(Refusal::Malformed, message));
        };
        self.0.driver(&host.into()).ok_or_else(|| {
            let names: Vec<String> = self.0.world().host_names().into_iter().map(|name| name.0).collect();
            let message = format!("the scenario has no host `{host}`; it has {}", names.join(", "));
            OrderError::new(Refusal::NotFound, message)
        })
    }

    async fn trial(&self, uri: &str) -> Result<HostTrial, OrderError> {
        let driver = self.connect(&HostName::from(""), uri)?;
        let refused = |error: DriverError| OrderError::new(Refusal::Unavailable, error.message);
        let facts = driver.facts().await.map_err(refused)?;
        let reading = driver.reading().await.map_err(refused)?;
        Ok(HostTrial {
            facts,
            cpus: reading.cpu.cpus,
            memory: reading.memory.total,
            vms: reading.vms.len() as u32,
            took: Duration::ZERO,
            peer_uri: driver.peer_uri(),
        })
    }
}
