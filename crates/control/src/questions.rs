//! Why not, what there is room for, what is shared, and the best host: answers for one state of things, be it the present one or a
//! snapshot from a file.

use serde::{Deserialize, Serialize};
use ulm_decide::{BestHost, Capacity, Input, SharingReport, Stillness, Wish};
use ulm_forecast::Samples;
use ulm_model::{Bytes, HostName, Reason, VmId};
use ulm_policy::Policy;

use crate::order::{OrderError, Refusal};
use crate::orders::{find_host, find_vm};

/// What keeps a VM from going to hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhyNot {
    /// Which VM.
    pub vm: VmId,
    /// Its name.
    pub name: String,
    /// The host that it is on.
    pub host: HostName,
    /// Each host that was asked for, by name.
    pub targets: Vec<Target>,
}

/// What keeps a VM from going to a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Which host.
    pub host: HostName,
    /// Everything that there is against it; empty: the policy makes the move as soon as it looks.
    pub reasons: Vec<Reason>,
}

/// Which VM is not to go where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhyNotQuery {
    /// The VM: its name or UUID.
    pub vm: String,
    /// The host; all when not given.
    #[serde(default)]
    pub host: Option<HostName>,
}

/// A VM that does not exist yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewVm {
    /// Virtual CPUs.
    pub cpu: u32,
    /// Memory.
    pub ram: Bytes,
    /// Tags that its host must have.
    pub labels: Vec<String>,
}

/// Everything that keeps the policy from moving a VM to a host, or to any.
pub fn why_not(input: &Input, policy: &Policy, query: &WhyNotQuery) -> Result<WhyNot, OrderError> {
    let snapshot = &input.snapshot;
    let ix = find_vm(snapshot, &query.vm)?;
    let vm = snapshot.vm(ix);
    let targets = match &query.host {
        Some(host) => {
            find_host(snapshot, host)?;
            vec![Target { host: host.clone(), reasons: ulm_decide::why_not(input, policy, vm.id, host) }]
        }
        None => ulm_decide::why_not_anywhere(input, policy, vm.id)
            .map_err(|reasons| OrderError::not_allowed("nothing is moved:", reasons))?
            .into_iter()
            .map(|(host, reasons)| Target { host, reasons })
            .collect(),
    };
    Ok(WhyNot { vm: vm.id, name: vm.name.clone(), host: snapshot.host(vm.host).name.clone(), targets })
}

/// Why nothing moves, or why the rest does not: the most telling reasons first.
pub fn stillness(input: &Input, policy: &Policy) -> Vec<Stillness> {
    ulm_decide::stillness(input, policy)
}

/// What there is room for.
pub fn capacity(input: &Input, policy: &Policy) -> Result<Capacity, OrderError> {
    ulm_decide::capacity(input, policy).map_err(|reasons| OrderError::not_allowed("that cannot be said:", reasons))
}

/// What VMs save by pages that they have in common, and what a plan would save; with samples by what these show.
pub fn sharing(input: &Input, policy: &Policy, samples: Option<&Samples>) -> Result<SharingReport, OrderError> {
    let wrong = |sentence| OrderError::new(Refusal::Malformed, format!("the samples do not fit: {sentence}"));
    ulm_decide::sharing(input, policy, samples).map_err(wrong)
}

/// The hosts on which a new VM can start now, the best one first; an error when there is none.
pub fn best_host(input: &Input, policy: &Policy, new: &NewVm) -> Result<Vec<BestHost>, OrderError> {
    let wish = Wish { vcpus: new.cpu, memory: new.ram, labels: new.labels.clone() };
    let none = |reasons| OrderError::not_allowed("no host has room for it now:", reasons);
    match ulm_decide::best_host(input, policy, &wish) {
        Ok(hosts) if hosts.is_empty() => Err(none(Vec::new())),
        answer => answer.map_err(none),
    }
}
