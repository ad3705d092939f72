//! The daemon's door: everything that the API may ask or order goes through a [`Handle`].
//!
//! Questions are answered from what the loop last published and from the store, without waiting for
//! the loop. Orders are handed to the loop, which alone changes anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use ulm_decide::Decision;
use ulm_drivers::Clock;
use ulm_model::ledger::{Entry, MoveKey};
use ulm_model::{Acting, HostName, Plan};

use crate::books::Books;
use crate::fleet::{Connector, name_of};
use crate::longer::OneSearch;
use crate::order::{Order, OrderError, Refusal, Reply};
use crate::published::Published;
use crate::view::{
    Accepted, Forecast, ForecastQuery, HistoryQuery, HostTrial, LedgerQuery, PlanStatus, PolicyStatus, Series, Status,
    VmStatus,
};

mod questions;

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) published: watch::Receiver<Arc<Published>>,
    pub(crate) books: Arc<Books>,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) search: Arc<OneSearch>,
}

impl Handle {
    /// What was published last.
    pub fn published(&self) -> Arc<Published> {
        self.published.borrow().clone()
    }

    /// Waits for the next publication.
    pub async fn changed(&mut self) -> Option<Arc<Published>> {
        self.published.changed().await.ok()?;
        Some(self.published.borrow_and_update().clone())
    }

    /// The whole at a glance.
    pub fn status(&self) -> Status {
        self.published().status(self.clock.now())
    }

    /// All VMs, by name.
    pub fn vms(&self) -> Vec<VmStatus> {
        self.published().vms()
    }

    /// The last decision: what would be done now and why, and why not the rest.
    pub fn decision(&self) -> Result<Arc<Decision>, OrderError> {
        self.published().decision.clone().ok_or_else(starting)
    }

    /// How an accepted plan is getting on; by its id or the beginning of it.
    pub fn plan(&self, id: &str) -> Result<PlanStatus, OrderError> {
        let published = self.published();
        let mut found = published.plans.iter().filter(|(plan, _)| plan.0.starts_with(id));
        match (found.next(), found.next()) {
            (Some((_, plan)), None) => Ok(plan.clone()),
            (None, _) => Err(OrderError::new(
                Refusal::NotFound,
                format!("no plan `{id}` was accepted since the daemon began; `ulm history` shows earlier ones"),
            )),
            (Some(_), Some(_)) => {
                Err(OrderError::new(Refusal::Malformed, format!("several plans begin with `{id}`: give more of it")))
            }
        }
    }

    /// Entries of the ledger, newest first.
    pub fn ledger(&self, query: &LedgerQuery) -> Result<Vec<Entry>, OrderError> {
        self.books.ledger(query)
    }

    /// Figures over time.
    pub fn history(&self, query: &HistoryQuery) -> Result<Vec<Series>, OrderError> {
        self.books.history(query, &self.published())
    }

    /// What a VM is expected to want.
    pub fn forecast(&self, query: &ForecastQuery) -> Result<Forecast, OrderError> {
        self.books.forecast(query, &self.published().snapshot, self.clock.now())
    }

    /// Connects to a host on trial and tells what is there. Changes nothing.
    pub async fn try_host(&self, uri: &str) -> Result<HostTrial, OrderError> {
        self.connector.trial(uri).await
    }

    /// Switches acting on or off. Off stops every step that has not begun, at once.
    pub async fn set_acting(&self, acting: Acting, by: &str) -> Result<(), OrderError> {
        self.order(|reply| Order::SetActing { acting, by: by.to_owned(), reply }).await
    }

    /// Has a plan carried out: exactly this one, checked again, or nothing.
    pub async fn apply(&self, plan: Plan, by: &str) -> Result<Accepted, OrderError> {
        self.order(|reply| Order::Apply { plan, by: by.to_owned(), reply }).await
    }

    /// Has one VM moved, by name or UUID, if every rule allows it.
    pub async fn migrate(&self, vm: &str, host: &HostName, by: &str) -> Result<Accepted, OrderError> {
        self.order(|reply| Order::Migrate { vm: vm.to_owned(), host: host.clone(), by: by.to_owned(), reply }).await
    }

    /// Has the moves of one VM, or all, aborted; tells which.
    pub async fn abort(&self, vm: Option<&str>, by: &str) -> Result<Vec<MoveKey>, OrderError> {
        self.order(|reply| Order::Abort { vm: vm.map(str::to_owned), by: by.to_owned(), reply }).await
    }

    /// Adds a host, named as it names itself unless a name is given; tells the name. A host that cannot be reached is not added.
    pub async fn add_host(&self, uri: &str, name: Option<&str>, by: &str) -> Result<HostName, OrderError> {
        let trial = self.connector.trial(uri).await?;
        let name = name.map_or_else(|| name_of(&trial.facts), HostName::from);
        let (uri, by) = (uri.to_owned(), by.to_owned());
        self.order(|reply| Order::AddHost { uri, name, by, reply }).await
    }

    /// Removes a host from ULM's care. Its VMs stay where they are.
    pub async fn remove_host(&self, name: &HostName, by: &str) -> Result<(), OrderError> {
        self.order(|reply| Order::RemoveHost { name: name.clone(), by: by.to_owned(), reply }).await
    }

    /// Takes a host out (it takes no VMs) or back in.
    pub async fn set_maintenance(&self, name: &HostName, on: bool, by: &str) -> Result<(), OrderError> {
        self.order(|reply| Order::SetMaintenance { name: name.clone(), on, by: by.to_owned(), reply }).await
    }

    /// Gives a host these tags instead of those that it has: words that the policy's rules select by.
    pub async fn set_tags(&self, name: &HostName, tags: BTreeSet<String>) -> Result<(), OrderError> {
        self.order(|reply| Order::SetTags { name: name.clone(), tags, reply }).await
    }

    /// Has the policy's files read at once, whether they look changed or not; tells which policy is in force then.
    pub async fn reload_policy(&self, by: &str) -> Result<PolicyStatus, OrderError> {
        self.order(|reply| Order::ReloadPolicy { by: by.to_owned(), reply }).await
    }

    async fn order<T>(&self, make: impl FnOnce(Reply<T>) -> Order) -> Result<T, OrderError> {
        let (reply, answer) = oneshot::channel();
        let gone = || OrderError::new(Refusal::Unavailable, "the daemon is stopping: start it again with `ulm serve`");
        self.orders.send(make(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn starting() -> OrderError {
    OrderError::new(Refusal::Unavailable, "the daemon has just begun and knows nothing yet: ask again in a few seconds")
}
