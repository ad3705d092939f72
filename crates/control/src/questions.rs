//! Why not, what there is room for, what is shared, and the best host: answers for one state of things, be it the present one or a
//! snapshot from a file.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use ulm_decide::{Backing, BestHost, Capacity, Input, SharingReport, Stillness, Wish};
use ulm_forecast::Samples;
use ulm_model::{Bytes, HostName, Reason, Snapshot, VmId};
use ulm_policy::{Policy, pages_fault};

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
    /// Where its memory must be.
    pub backing: Backing,
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

/// What there is room for, for new VMs whose memory is so.
pub fn capacity(input: &Input, policy: &Policy, backing: Backing) -> Result<Capacity, OrderError> {
    can_be(backing, Bytes(0), &input.snapshot)?;
    ulm_decide::capacity(input, policy, backing)
        .map_err(|reasons| OrderError::not_allowed("that cannot be said:", reasons))
}

/// What VMs save by pages that they have in common, and what a plan would save; with samples by what these show.
pub fn sharing(input: &Input, policy: &Policy, samples: Option<&Samples>) -> Result<SharingReport, OrderError> {
    let wrong = |sentence| OrderError::new(Refusal::Malformed, format!("the samples do not fit: {sentence}"));
    ulm_decide::sharing(input, policy, samples).map_err(wrong)
}

/// The hosts on which a new VM can start now, the best one first; an error when there is none.
pub fn best_host(input: &Input, policy: &Policy, new: &NewVm) -> Result<Vec<BestHost>, OrderError> {
    can_be(new.backing, new.ram, &input.snapshot)?;
    let wish = Wish { vcpus: new.cpu, memory: new.ram, labels: new.labels.clone(), backing: new.backing };
    let none = |reasons| OrderError::not_allowed("no host has room for it now:", reasons);
    match ulm_decide::best_host(input, policy, &wish) {
        Ok(hosts) if hosts.is_empty() => Err(none(Vec::new())),
        answer => answer.map_err(none),
    }
}

/// Whether so much memory can be so on any host at all, however much of it is free.
fn can_be(backing: Backing, memory: Bytes, snapshot: &Snapshot) -> Result<(), OrderError> {
    let refused = |refusal: Refusal, sentence: String| Err(OrderError::new(refusal, sentence));
    if let Some(fault) = backing.pages.and_then(|size| pages_fault(size, memory)) {
        return refused(Refusal::Malformed, format!("{}: {}; {}", fault.rule, fault.wrong, fault.help));
    }
    if backing != Backing::default() && snapshot.hosts.iter().all(|host| host.cells.is_empty()) {
        return refused(
            Refusal::NotAllowed,
            "no host has told which NUMA cells it has, and which pages in them".to_owned(),
        );
    }
    let Some(size) = backing.pages else { return Ok(()) };
    let pages = snapshot.hosts.iter().flat_map(|host| &host.cells).flat_map(|cell| &cell.pages);
    let there: BTreeSet<Bytes> = pages.filter(|pages| pages.total > Bytes(0)).map(|pages| pages.size).collect();
    if there.contains(&size) {
        return Ok(());
    }
    let there = match there.is_empty() {
        true => "none of any size".to_owned(),
        false => format!("those of {}", there.iter().map(Bytes::to_string).collect::<Vec<_>>().join(" and ")),
    };
    refused(Refusal::NotAllowed, format!("no host has set huge pages of {size} aside; there are {there}"))
}
