//! A driver under another name.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use ulm_drivers::{
    Driver, DriverError, DriverEvent, HostFacts, JobProgress, Link, MoveOrder, Presence, Reading, VmFacts,
};
use ulm_model::{CpuNeed, CpuVerdict, HostName, VmId};

/// Everything as the other driver says, but for the host's name.
pub struct Renamed(Arc<dyn Driver>, HostName);

impl Renamed {
    /// The driver under the name.
    pub fn new(driver: Arc<dyn Driver>, name: &str) -> Self {
        Renamed(driver, name.into())
    }
}

#[async_trait]
impl Driver for Renamed {
    fn host(&self) -> &HostName {
        &self.1
    }
    fn link(&self) -> Link {
        self.0.link()
    }
    async fn facts(&self) -> Result<HostFacts, DriverError> {
        self.0.facts().await
    }
    async fn reading(&self) -> Result<Reading, DriverError> {
        self.0.reading().await
    }
    async fn vm_facts(&self, vm: VmId) -> Result<VmFacts, DriverError> {
        self.0.vm_facts(vm).await
    }
    async fn judge_cpu(&self, need: &CpuNeed) -> Result<CpuVerdict, DriverError> {
        self.0.judge_cpu(need).await
    }
    async fn locate(&self, vm: VmId) -> Result<Presence, DriverError> {
        self.0.locate(vm).await
    }
    async fn migrate(&self, order: &MoveOrder) -> Result<(), DriverError> {
        self.0.migrate(order).await
    }
    async fn job(&self, vm: VmId) -> Result<Option<JobProgress>, DriverError> {
        self.0.job(vm).await
    }
    async fn completed(&self, vm: VmId) -> Result<Option<JobProgress>, DriverError> {
        self.0.completed(vm).await
    }
    async fn abort(&self, vm: VmId) -> Result<(), DriverError> {
        self.0.abort(vm).await
    }
    fn peer_uri(&self) -> String {
        self.0.peer_uri()
    }
    fn events(&self) -> BoxStream<'static, DriverEvent> {
        self.0.events()
    }
}
