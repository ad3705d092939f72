//! What each VM is expected to want, learned from the rounds' figures.
//!
//! A profile for each VM, fed with its newest figure if that is newer than the last one taken and nobody doubts VM or host. Profiles are kept
//! with the history: some in each round, so that each is kept every two hours, and all at an orderly end. After kill -9 at most two hours of learning
//! are lost, which leaves cells of the table unvisited for this week. A VM that had no figure for 30 days is forgotten.
//!
//! At 30,000 VMs, by the sizes of what is kept: 72 MB for profiles and 26 MB for outlooks; 67 MB of profiles in the database, which takes a page
//! of 4 KB for each (125 MB), of which 62 are written in a round of 15 s. Times are in the bench `coverage` of `forecast`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ulm_forecast::{Outlook, Profile};
use ulm_model::{HostName, MilliCpu, Scope, Snapshot, Time, Vm, VmId, VmState};
use ulm_store::{History, StoreError};

/// Each profile is kept so often.
const KEPT_EVERY: Duration = Duration::from_secs(2 * 3600);
/// So many are written in one transaction, at most.
const AT_ONCE: usize = 1000;
/// A VM that had no figure for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30 * 86_400);
/// Between two looks for VMs to be forgotten.
const SWEPT_EVERY: Duration = Duration::from_secs(3600);
/// Outlooks are good for so long.
const LOOKED_OUT_EVERY: Duration = Duration::from_secs(60);

/// See the module's text.
#[derive(Default)]
pub struct Demands {
    profiles: BTreeMap<VmId, Profile>,
    /// The VM that was kept last; the next ones by id are next.
    kept: Option<VmId>,
    /// When profiles were kept last, and when VMs to be forgotten were looked for.
    kept_at: Option<Time>,
    swept_at: Option<Time>,
    /// The last outlooks: when, of which VMs, what.
    outlooks: (Time, Vec<VmId>, Vec<Option<Outlook>>),
}

impl Demands {
    /// What was learned before a restart. What cannot be read is learned anew.
    pub fn restored(history: &History, now: Time) -> Result<Self, StoreError> {
        let (mut profiles, mut unreadable) = (BTreeMap::new(), 0);
        for (vm, bytes) in history.demand()? {
            let Some(mut profile) = Profile::from_bytes(&bytes) else {
                unreadable += 1;
                continue;
            };
            profile.not_after(now);
            profiles.insert(vm, profile);
        }
        if unreadable > 0 {
            tracing::warn!(unreadable, "what VMs are expected to want could not be read for some: it is learned anew");
        }
        Ok(Demands { profiles, ..Demands::default() })
    }

    /// What is known of a VM.
    pub fn profile(&self, vm: VmId) -> Option<&Profile> {
        self.profiles.get(&vm)
    }

    /// Takes in what a round measured.
    pub fn learn(&mut self, snapshot: &Snapshot) {
        let (mut hosts, mut vms): (BTreeSet<&HostName>, BTreeSet<VmId>) = Default::default();
        for doubt in &snapshot.doubts {
            match &doubt.scope {
                Scope::Host(host) => drop(hosts.insert(host)),
                Scope::Vm(vm) => drop(vms.insert(*vm)),
                Scope::Everything => return,
            }
        }
        let doubted = |vm: &Vm| vms.contains(&vm.id) || hosts.contains(&snapshot.host(vm.host).name);
        for vm in snapshot.vms.iter().filter(|vm| vm.state == VmState::Running && !doubted(vm)) {
            let Some(figure) = vm.cpu_use.latest() else { continue };
            let whole = MilliCpu::cpus(vm.vcpus);
            let profile = self.profiles.entry(vm.id).or_insert_with(|| Profile::new(whole));
            if profile.whole() != whole {
                profile.resize(whole);
            }
            profile.observe(figure.at, figure.value);
        }
    }

    /// What is expected of the VMs of a snapshot, in its order. Made anew once a minute, or when there are other VMs.
    pub fn outlooks(&mut self, snapshot: &Snapshot, now: Time) -> Vec<Option<Outlook>> {
        let (at, ids, _) = &self.outlooks;
        let same = ids.len() == snapshot.vms.len() && ids.iter().zip(&snapshot.vms).all(|(id, vm)| *id == vm.id);
        if !same || now < *at || now.since(*at) >= LOOKED_OUT_EVERY {
            let of = |vm: &Vm| self.profiles.get(&vm.id).and_then(|profile| profile.outlook(now));
            let outlooks = snapshot.vms.iter().map(of).collect();
            self.outlooks = (now, snapshot.vms.iter().map(|vm| vm.id).collect(), outlooks);
        }
        self.outlooks.2.clone()
    }

    /// Keeps the profiles whose turn it is, and forgets VMs that are gone for long.
    pub fn keep_some(&mut self, history: &History, now: Time) -> Result<(), StoreError> {
        let since = now.since(*self.kept_at.get_or_insert(now)).min(KEPT_EVERY);
        let due = (self.profiles.len() as u128 * since.as_millis() / KEPT_EVERY.as_millis()) as usize;
        if due > 0 {
            let next = self.after(self.kept).chain(self.profiles.keys().copied());
            let ids: Vec<VmId> = next.take(due).collect();
            self.keep(history, now, &ids)?;
            (self.kept, self.kept_at) = (ids.last().copied(), Some(now));
        }
        if now.since(*self.swept_at.get_or_insert(now)) >= SWEPT_EVERY {
            self.forget(history, now)?;
            self.swept_at = Some(now);
        }
        Ok(())
    }

    /// Keeps all profiles: at an orderly end.
    pub fn keep_all(&self, history: &History, now: Time) -> Result<(), StoreError> {
        let ids: Vec<VmId> = self.profiles.keys().copied().collect();
        self.keep(history, now, &ids)
    }

    fn after(&self, vm: Option<VmId>) -> impl Iterator<Item = VmId> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.profiles.range((vm.map_or(Unbounded, Excluded), Unbounded)).map(|(id, _)| *id)
    }

    /// Keeps those of some that had a figure since they were last kept.
    fn keep(&self, history: &History, now: Time, ids: &[VmId]) -> Result<(), StoreError> {
        let fresh = |id: &&VmId| {
            let last = self.profiles.get(id).and_then(Profile::last);
            last.is_some_and(|last| now.since(last) <= KEPT_EVERY.saturating_mul(2))
        };
        let fresh: Vec<VmId> = ids.iter().filter(fresh).copied().collect();
        for some in fresh.chunks(AT_ONCE) {
            let rows: Vec<(VmId, Vec<u8>)> = some.iter().map(|id| (*id, self.profiles[id].to_bytes())).collect();
            history.keep_demand(now, &rows)?;
        }
        Ok(())
    }

    fn forget(&mut self, history: &History, now: Time) -> Result<(), StoreError> {
        let gone = |profile: &Profile| profile.last().is_none_or(|last| now.since(last) > FORGOTTEN_AFTER);
        let ids: Vec<VmId> = self.profiles.iter().filter(|(_, profile)| gone(profile)).map(|(id, _)| *id).collect();
        if !ids.is_empty() {
            history.forget_demand(&ids)?;
            ids.iter().for_each(|id| drop(self.profiles.remove(id)));
        }
        Ok(())
    }
}
