//! Why, why not, what there is room for, and what a longer search finds.

use hyper::Method;
use ulm_control::longer::{LONGEST, LongerWish, SearchId, Searching};
use ulm_control::questions::{NewVm, WhyNot, WhyNotQuery};
use ulm_control::reports::KeptDecision;
use ulm_control::view::PolicyStatus;
use ulm_control::why::{Why, WhyQuery};
use ulm_decide::{Backing, BestHost, Capacity, SharingReport, Stillness};
use ulm_forecast::Samples;
use ulm_model::{Time, text};

use super::{ANSWER, Answer, Client, json, path, with_query};
use crate::api::{self, Decided, Done};

impl Client {
    /// Why a VM is where it is, now or at a time of the past.
    pub async fn why(&self, query: &WhyQuery) -> Answer<Why> {
        let pairs = [("vm", Some(query.vm.clone())), ("at", query.at.map(|at| at.0.to_string()))];
        self.get(&with_query(api::WHY, &pairs)).await
    }

    /// Everything that keeps the policy from moving a VM to a host, or to any.
    pub async fn why_not(&self, query: &WhyNotQuery) -> Answer<WhyNot> {
        let pairs = [("vm", Some(query.vm.clone())), ("host", query.host.as_ref().map(|host| host.0.clone()))];
        self.get(&with_query(api::WHY_NOT, &pairs)).await
    }

    /// Why nothing moves, or why the rest does not.
    pub async fn stillness(&self) -> Answer<Vec<Stillness>> {
        self.get(api::STILLNESS).await
    }

    /// The decision that was in force at a time; the last one when none is given.
    pub async fn decision_at(&self, at: Option<Time>) -> Answer<KeptDecision> {
        self.get(&with_query(api::REPORTS, &[("at", at.map(|at| at.0.to_string()))])).await
    }

    /// What there is room for, for new VMs whose memory is so.
    pub async fn capacity(&self, backing: Backing) -> Answer<Capacity> {
        self.get(&with_query(api::CAPACITY, &pairs_of(backing))).await
    }

    /// What VMs save by pages that they have in common, and what a plan would save; with samples by what these show.
    pub async fn sharing(&self, samples: Option<&Samples>) -> Answer<SharingReport> {
        match samples {
            None => self.get(api::SHARING).await,
            Some(samples) => self.call(Method::POST, api::SHARING, text::write(samples).into_bytes()).await,
        }
    }

    /// The hosts on which a new VM can start now, the best one first. Refused when there is none.
    pub async fn best_host(&self, new: &NewVm) -> Answer<Vec<BestHost>> {
        let mut pairs = vec![("cpu", Some(new.cpu.to_string())), ("ram", Some(new.ram.0.to_string()))];
        pairs.extend(new.labels.iter().map(|label| ("label", Some(label.clone()))));
        pairs.extend(pairs_of(new.backing));
        self.get(&with_query(api::BEST_HOST, &pairs)).await
    }

    /// What would be done after a longer search. Who drops the future ends the search.
    pub async fn longer(&self, wish: &LongerWish) -> Answer<Decided> {
        self.call_for(LONGEST + ANSWER, Method::POST, api::PLAN_SEARCH, json(wish)).await
    }

    /// The longer search that runs. Refused when there is none.
    pub async fn searching(&self) -> Answer<Searching> {
        self.get(api::PLAN_SEARCH).await
    }

    /// Ends the longer search of this id: whoever waits for it gets the best so far. Refused when it does not run.
    pub async fn end_search(&self, id: SearchId) -> Answer<Done> {
        self.call(Method::DELETE, &path(api::PLAN_SEARCH_ONE, &id.to_string()), Vec::new()).await
    }

    /// Has the policy's files read at once.
    pub async fn reload_policy(&self) -> Answer<PolicyStatus> {
        self.send(Method::POST, api::POLICY_RELOAD, &Done {}).await
    }
}

fn pairs_of(backing: Backing) -> [(&'static str, Option<String>); 2] {
    let cell = backing.cell.then(|| true.to_string());
    [("cell", cell), ("pages", backing.pages.map(|size| size.0.to_string()))]
}
