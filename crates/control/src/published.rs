//! What the loop publishes, and the views that are made of it when somebody asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ulm_decide::Decision;
use ulm_model::{Acting, Bytes, Doubt, HostIx, HostName, HostState, PlanId, Reason, Scope, Snapshot, Time, VmIx};
use ulm_policy::Policy;

use crate::view::{HostCondition, HostStatus, MoveStatus, PlanStatus, PolicyStatus, RoundStatus, Status, VmStatus};

/// Published after every round and every change; cheap to clone.
#[derive(Clone, Default)]
pub struct Published {
    /// The daemon's version.
    pub version: String,
    /// When the daemon began to run.
    pub started_at: Time,
    /// Whether it acts.
    pub acting: Acting,
    /// What the user wants.
    pub policy: Arc<Policy>,
    /// Which policy that is.
    pub policy_status: PolicyStatus,
    /// The last round; `None` until the first has ended.
    pub round: Option<RoundStatus>,
    /// The last snapshot; empty until the first round has ended.
    pub snapshot: Arc<Snapshot>,
    /// The last decision.
    pub decision: Option<Arc<Decision>>,
    /// Where each host under care is reached.
    pub uris: Arc<BTreeMap<HostName, String>>,
    /// Moves that are wanted or run.
    pub moves: Vec<MoveStatus>,
    /// Accepted plans since the daemon began.
    pub plans: BTreeMap<PlanId, PlanStatus>,
    /// What is wrong with ULM itself.
    pub troubles: Vec<String>,
}

impl Published {
    /// The whole at a glance.
    pub fn status(&self, now: Time) -> Status {
        Status {
            version: self.version.clone(),
            now,
            started_at: self.started_at,
            acting: self.acting,
            policy: self.policy_status.clone(),
            round: self.round,
            hosts: self.hosts(),
            moves: self.moves.clone(),
            doubts: self.snapshot.doubts.clone(),
            because: self.decision.as_ref().map_or_else(Vec::new, |decision| vec![decision.report.summary.clone()]),
            troubles: self.troubles.clone(),
        }
    }

    /// Every host under care, by name.
    pub fn hosts(&self) -> Vec<HostStatus> {
        let residents = self.snapshot.by_host();
        let arrivals = self.arrivals();
        let seen: BTreeSet<&HostName> = self.snapshot.hosts.iter().map(|host| &host.name).collect();
        let mut hosts: Vec<HostStatus> = self
            .snapshot
            .hosts_ix()
            // One that was removed since the last round is gone at once.
            .filter(|(_, host)| self.uris.contains_key(&host.name))
            .map(|(ix, _)| self.host(ix, &residents[ix.at()], arrivals.get(&ix).map_or(&[], Vec::as_slice)))
            .collect();
        // Added since the last round.
        hosts.extend(self.uris.iter().filter(|(name, _)| !seen.contains(name)).map(|(name, uri)| not_seen(name, uri)));
        hosts.sort_by(|a, b| a.name.cmp(&b.name));
        hosts
    }

    fn host(&self, ix: HostIx, residents: &[VmIx], arrivals: &[VmIx]) -> HostStatus {
        let host = self.snapshot.host(ix);
        let vms = || residents.iter().map(|&vm| self.snapshot.vm(vm));
        let doubts: Vec<Reason> = self.doubts_of(&host.name).map(|doubt| doubt.reason.clone()).collect();
        let (state, because) = match &host.state {
            HostState::Unreachable { because } => (HostCondition::Unreachable, vec![(**because).clone()]),
            _ if !doubts.is_empty() => (HostCondition::Doubted, doubts),
            HostState::Maintenance => (HostCondition::Maintenance, Vec::new()),
            HostState::Up => (HostCondition::Up, Vec::new()),
        };
        let promised: Bytes =
            vms().map(|vm| vm.memory).chain(arrivals.iter().map(|&vm| self.snapshot.vm(vm).memory)).sum();
        HostStatus {
            name: host.name.clone(),
            uri: self.uris.get(&host.name).cloned().unwrap_or_default(),
            state,
            because,
            tags: host.tags.iter().cloned().collect(),
            hypervisor: host.platform.hypervisor.clone(),
            cpu: host.cpu,
            cpu_use: host.cpu_use.latest(),
            cpu_share: host.cpu_use.value().map(|used| used.share_of(host.cpu)),
            memory: host.memory,
            memory_use: host.memory_use.latest(),
            memory_share: host.memory_use.value().map(|used| used.share_of(host.memory)),
            memory_promised: promised,
            vms: residents.len() as u32,
            vcpus: vms().map(|vm| vm.vcpus).sum(),
        }
    }

    /// All VMs, by name.
    pub fn vms(&self) -> Vec<VmStatus> {
        let going: BTreeMap<VmIx, HostIx> =
            self.snapshot.in_flight.iter().filter_map(|flight| Some((flight.vm, flight.to?))).collect();
        let mut vms: Vec<VmStatus> = self
            .snapshot
            .vms_ix()
            .map(|(ix, vm)| VmStatus {
                id: vm.id,
                name: vm.name.clone(),
                host: self.snapshot.host(vm.host).name.clone(),
                moving_to: going.get(&ix).map(|&to| self.snapshot.host(to).name.clone()),
                state: vm.state,
                vcpus: vm.vcpus,
                memory: vm.memory,
                cpu_use: vm.cpu_use.latest(),
                memory_use: vm.memory_use.latest(),
                contention: vm.contention.latest(),
                fixtures: vm.fixtures.clone(),
                tags: vm.tags.iter().cloned().collect(),
            })
            .collect();
        vms.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        vms
    }

    fn arrivals(&self) -> BTreeMap<HostIx, Vec<VmIx>> {
        let mut arrivals: BTreeMap<HostIx, Vec<VmIx>> = BTreeMap::new();
        for flight in &self.snapshot.in_flight {
            if let Some(to) = flight.to {
                arrivals.entry(to).or_default().push(flight.vm);
            }
        }
        arrivals
    }

    fn doubts_of<'a>(&'a self, host: &'a HostName) -> impl Iterator<Item = &'a Doubt> {
        self.snapshot.doubts.iter().filter(move |doubt| doubt.scope == Scope::Host(host.clone()))
    }
}

fn not_seen(name: &HostName, uri: &str) -> HostStatus {
    HostStatus {
        name: name.clone(),
        uri: uri.to_owned(),
        state: HostCondition::Unreachable,
        because: vec![Reason::Unreachable { host: name.clone(), error: "it has not been asked yet".to_owned() }],
        tags: Vec::new(),
        hypervisor: String::new(),
        cpu: Default::default(),
        cpu_use: None,
        cpu_share: None,
        memory: Default::default(),
        memory_use: None,
        memory_share: None,
        memory_promised: Default::default(),
        vms: 0,
        vcpus: 0,
    }
}
