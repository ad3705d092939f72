//! A daemon over simulated hosts, driven in virtual time. Shared by tests and benches, each of which uses a part.
#![allow(dead_code)]

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use ulm_control::simulated::{SimConnector, uri_of};
use ulm_control::view::{Accepted, LedgerQuery, PlanStatus};
use ulm_control::{Config, Daemon, Handle, Keep, PolicyFile};
use ulm_drivers::sim::{Held, Scenario, SimCluster, Whereabouts};
use ulm_model::ledger::Event;
use ulm_model::{Acting, Time, VmId};
use ulm_policy::Policy;

/// See the module's text.
pub struct Simulated {
    /// The daemon's door.
    pub handle: Handle,
    cluster: SimCluster,
    policy: PolicyFile,
    keep: Keep,
    /// Removes the folder when the last one that uses it is gone.
    folder: Option<Arc<tempfile::TempDir>>,
    task: JoinHandle<()>,
}

/// The default policy with windows short enough for tests.
pub fn policy() -> Policy {
    let mut policy = Policy::default();
    policy.hotspot.minimum_residence = Duration::ZERO;
    policy
}

impl Simulated {
    /// Starts a cluster and a daemon that has its hosts under care.
    pub async fn start(scenario: &Scenario, policy: impl Into<PolicyFile>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let keep = Keep::Folder(folder.path().to_owned());
        Simulated::with(scenario, policy.into(), keep, Some(Arc::new(folder))).await
    }

    /// As [`Simulated::start`], with books in memory: faster, but nothing survives a restart.
    pub async fn in_memory(scenario: &Scenario, policy: impl Into<PolicyFile>) -> Self {
        Simulated::with(scenario, policy.into(), Keep::Memory, None).await
    }

    async fn with(scenario: &Scenario, policy: PolicyFile, keep: Keep, folder: Option<Arc<tempfile::TempDir>>) -> Self {
        let cluster = SimCluster::in_virtual_time(scenario).expect("the scenario is sound");
        let (handle, task) = daemon(&cluster, keep.clone(), policy.clone());
        let names = cluster.world().host_names();
        for name in names {
            handle.add_host(&uri_of(&name), Some(&name.0), "a test").await.expect("it can be added");
        }
        Simulated { handle, cluster, policy, keep, folder, task }
    }

    /// Switches acting on.
    pub async fn enable(&self) {
        self.handle.set_acting(Acting::On, "a test").await.expect("it can be switched on");
    }

    /// Lets virtual time pass.
    pub async fn run_for(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    /// Waits until an accepted plan is over; at most two virtual hours.
    pub async fn follow(&self, accepted: &Accepted) -> PlanStatus {
        for _ in 0..7200 {
            let plan = self.handle.plan(&accepted.plan.0).expect("it was accepted");
            if plan.is_over() {
                return plan;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("the plan is never over: {:?}", self.handle.plan(&accepted.plan.0));
    }

    /// Kills the daemon as kill -9 does, and starts another on the same books at once.
    pub async fn killed_and_started_again(self) -> Self {
        self.killed_for(Duration::ZERO).await
    }

    /// As [`Simulated::killed_and_started_again`], with a pause.
    pub async fn killed_for(self, pause: Duration) -> Self {
        let Simulated { handle, cluster, policy, keep, folder, task } = self;
        task.abort();
        let _ = task.await;
        drop(handle);
        tokio::time::sleep(pause).await;
        let policy = policy.file().map_or(policy.clone(), |file| PolicyFile::load(file).expect("it is sound"));
        let (handle, task) = daemon(&cluster, keep.clone(), policy.clone());
        Simulated { handle, cluster, policy, keep, folder, task }
    }

    /// The truth behind the drivers.
    pub fn world(&self) -> Held<'_> {
        self.cluster.world()
    }

    /// A VM's identity.
    pub fn vm(&self, name: &str) -> VmId {
        self.world().vm(name)
    }

    /// The host that really runs a VM.
    pub fn host_of(&self, name: &str) -> String {
        let id = self.vm(name);
        let truth = self.world().whereabouts(id);
        match truth {
            Some(Whereabouts::Runs(host)) => host.0,
            other => panic!("{name} does not run: {other:?}"),
        }
    }

    /// Everything in the ledger, oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.entries().into_iter().map(|(_, event)| event).collect()
    }

    /// Everything in the ledger with its time, oldest first.
    pub fn entries(&self) -> Vec<(Time, Event)> {
        let all = LedgerQuery { limit: Some(1_000_000), ..LedgerQuery::default() };
        let mut entries = self.handle.ledger(&all).expect("the ledger can be read");
        entries.reverse();
        entries.into_iter().map(|entry| (entry.at, entry.event)).collect()
    }

    /// How many hosts there are.
    pub fn hosts(&self) -> usize {
        self.world().host_names().len()
    }
}

fn daemon(cluster: &SimCluster, keep: Keep, policy: PolicyFile) -> (Handle, JoinHandle<()>) {
    let (handle, daemon) = Daemon::start(Config {
        keep,
        policy,
        connector: Arc::new(SimConnector(cluster.clone())),
        clock: cluster.clock(),
        version: "test".to_owned(),
    })
    .expect("a fresh folder can be used");
    (handle, tokio::spawn(daemon.run(CancellationToken::new())))
}
