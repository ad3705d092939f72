//! Why, why not, and what there is room for: answered from what was published last, the books, and the policy in force.
//!
//! Answers to most of these take a while at full size: ask on a thread that others do not wait for.

use std::sync::Arc;
use std::time::Duration;

use ulm_decide::{Backing, BestHost, Capacity, Decision, Input, SharingReport, Stillness};
use ulm_forecast::Samples;
use ulm_model::{HostName, Stopped, Time, VmId};
use ulm_policy::Policy;
use ulm_store::Filter;

use super::{Handle, starting};
use crate::longer::{self, LongerWish, SearchId, Searching};
use crate::order::{OrderError, unavailable};
use crate::orders::find_vm;
use crate::questions::{self, NewVm, WhyNot, WhyNotQuery};
use crate::reports::KeptDecision;
use crate::why::{self, Said, Why, WhyQuery};

/// So many entries of a VM are looked at for where it was and what was made of it.
const ENTRIES: u32 = 1000;

impl Handle {
    /// What a decision made now would see, and the policy by which it would be made: both of one moment.
    pub fn grounds(&self) -> Result<(Input, Arc<Policy>), OrderError> {
        let published = self.published();
        if published.decision.is_none() {
            return Err(starting());
        }
        let open = published.moves.iter().filter(|it| it.phase.may_have_effect());
        let open = open.map(|it| (it.key.vm, &it.key.from, &it.key.to));
        let input = self.books.input(&published.snapshot, self.clock.now(), published.acting, open);
        Ok((input, published.policy.clone()))
    }

    /// Everything that keeps the policy from moving a VM to a host, or to any.
    pub fn why_not(&self, query: &WhyNotQuery) -> Result<WhyNot, OrderError> {
        let (input, policy) = self.grounds()?;
        questions::why_not(&input, &policy, query)
    }

    /// Why nothing moves, or why the rest does not.
    pub fn stillness(&self) -> Result<Vec<Stillness>, OrderError> {
        let (input, policy) = self.grounds()?;
        Ok(questions::stillness(&input, &policy))
    }

    /// What there is room for, for new VMs whose memory is so.
    pub fn capacity(&self, backing: Backing) -> Result<Capacity, OrderError> {
        let (input, policy) = self.grounds()?;
        questions::capacity(&input, &policy, backing)
    }

    /// What VMs save by pages that they have in common, and what a plan would save.
    pub fn sharing(&self, samples: Option<&Samples>) -> Result<SharingReport, OrderError> {
        let (input, policy) = self.grounds()?;
        questions::sharing(&input, &policy, samples)
    }

    /// The hosts on which a new VM can start now, the best one first; an error when there is none.
    pub fn best_host(&self, new: &NewVm) -> Result<Vec<BestHost>, OrderError> {
        let (input, policy) = self.grounds()?;
        questions::best_host(&input, &policy, new)
    }

    /// Looks longer for a plan by what is known at its beginning; the loop goes on meanwhile, and nothing is carried out by it. It has
    /// threads of its own, and ends when the future is dropped.
    ///
    /// Errors: the wish is malformed; another search runs; nothing is known yet.
    pub async fn longer(&self, wish: LongerWish, by: &str) -> Result<Decision, OrderError> {
        let limit = wish.limit()?;
        let (turn, stop) = self.search.begin(by, self.clock.now(), wish)?;
        tracing::info!(by, ?wish, "a longer search begins");
        let _waiting = stop.clone().when_dropped();
        let (handle, stopped) = (self.clone(), stop.clone());
        let search = move || {
            // The next one may begin when this thread has ended, not when nobody waits any more.
            let _turn = turn;
            let (input, policy) = handle.grounds()?;
            let decision = longer::longer(&input, &policy, wish.budget, &|| stopped.said());
            tracing::info!(stopped = ?stopped.said(), "the longer search has ended");
            Ok(longer::handed_out(decision, &input, &policy, handle.clock.now()))
        };
        let mut search = tokio::task::spawn_blocking(search);
        let answer = tokio::select! {
            answer = &mut search => answer,
            why = self.ends_it(limit) => {
                stop.say(why);
                search.await
            }
        };
        answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// Waits until the time is over, or the daemon stops.
    async fn ends_it(&self, limit: Duration) -> Stopped {
        tokio::select! {
            () = tokio::time::sleep(limit) => Stopped::Clock,
            () = self.orders.closed() => Stopped::Interrupted,
        }
    }

    /// The longer search that runs; an error when there is none.
    pub fn searching(&self) -> Result<Searching, OrderError> {
        self.search.look()
    }

    /// Ends this longer search: whoever waits for it gets the best so far. An error when it does not run.
    pub fn end_search(&self, id: SearchId, by: &str) -> Result<(), OrderError> {
        self.search.end(id)?;
        tracing::info!(by, %id, "the longer search is to end");
        Ok(())
    }

    /// The decision that was in force at a time; the last one when none is given.
    pub fn decision_at(&self, at: Option<Time>) -> Result<KeptDecision, OrderError> {
        self.books.decision_at(at.unwrap_or_else(|| self.clock.now()))
    }

    /// Why a VM is where it is, now or at a time of the past.
    pub fn why(&self, query: &WhyQuery) -> Result<Why, OrderError> {
        let (published, now) = (self.published(), self.clock.now());
        let at = query.at.unwrap_or(now);
        let (vm, name, here) = self.vm(&query.vm)?;
        let filter = Filter { vm: Some(vm.to_string()), limit: Some(ENTRIES), ..Filter::default() };
        let mut entries = self.books.store().entries(&filter).map_err(unavailable)?;
        entries.reverse();
        let host = why::host_at(&entries, at, here.as_ref());
        let said = match query.at {
            None => published.decision.as_ref().map(|decision| {
                let kept = self.books.decision_at(now).ok();
                let since = kept.map_or(published.snapshot.taken_at, |kept| kept.at);
                Said::of(decision, vm, host.as_ref(), since, now)
            }),
            Some(at) => {
                let kept = self.books.decision_at(at);
                kept.ok().map(|kept| Said::of(&kept.decision, vm, host.as_ref(), kept.at, kept.until))
            }
        };
        let standing = match (query.at, &here) {
            (None, Some(_)) => {
                let (input, policy) = self.grounds()?;
                ulm_decide::standing(&input, &policy, vm).map(Some)
            }
            _ => Ok(None),
        };
        let (standing, unknown) = standing.map_or_else(|reasons| (None, reasons), |standing| (standing, Vec::new()));
        Ok(Why { vm, name, at, host, moves: why::moves_until(&entries, at), said, standing, unknown })
    }

    /// A VM by name or UUID, and the host that it is on: one that is gone is known by the ledger.
    fn vm(&self, wanted: &str) -> Result<(VmId, String, Option<HostName>), OrderError> {
        let snapshot = &self.published().snapshot;
        let missing = match find_vm(snapshot, wanted) {
            Ok(ix) => {
                let vm = snapshot.vm(ix);
                return Ok((vm.id, vm.name.clone(), Some(snapshot.host(vm.host).name.clone())));
            }
            Err(error) => error,
        };
        let filter = Filter { vm: Some(wanted.to_owned()), limit: Some(1), ..Filter::default() };
        let last = self.books.store().entries(&filter).map_err(unavailable)?;
        let known = last.first().and_then(|entry| why::vm_of(&entry.event));
        known.map(|(vm, name)| (vm, name.to_owned(), None)).ok_or(missing)
    }
}
