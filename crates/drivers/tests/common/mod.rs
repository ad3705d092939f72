//! What the simulator's tests share.
#![allow(dead_code)]

use std::future::Future;
use std::time::Duration;

use ulm_drivers::sim::{Scenario, SimCluster};
use ulm_drivers::{DriverError, MoveOrder};
use ulm_model::HostName;

/// Runs a test in virtual time.
pub fn paused<T>(test: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(test)
}

/// A cluster in virtual time.
pub fn cluster(scenario: &Scenario) -> SimCluster {
    SimCluster::in_virtual_time(scenario).expect("the scenario is sound")
}

/// Lets so many virtual seconds pass.
pub async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// The order to move a VM by name.
pub fn order(cluster: &SimCluster, vm: &str, to: &str) -> MoveOrder {
    let to: HostName = to.into();
    let to_uri = cluster.driver(&to).map_or_else(|| format!("sim://{to}/system"), |driver| driver.peer_uri());
    MoveOrder { vm: cluster.world().vm(vm), to, to_uri, bandwidth: None, max_downtime: None }
}

/// Moves a VM by name from wherever it is.
pub async fn migrate(cluster: &SimCluster, vm: &str, to: &str) -> Result<(), DriverError> {
    migrate_with(cluster, order(cluster, vm, to)).await
}

/// Obeys an order on the VM's present host.
pub async fn migrate_with(cluster: &SimCluster, order: MoveOrder) -> Result<(), DriverError> {
    use ulm_drivers::sim::Whereabouts::*;
    let host = match cluster.world().whereabouts(order.vm).expect("the VM is known") {
        Runs(host) | Held(host) | Broken(host) => host,
        ShutOff(hosts) => hosts[0].clone(),
    };
    let driver = cluster.driver(&host).expect("the host is known");
    driver.migrate(&order).await
}
