//! What VMs save by the pages that they have in common: now, by the policy's sharing groups and by what hosts count; and what a plan
//! would save.
//!
//! Weights are those of the policy, or of samples where there are any; how far they are believed is learned from the hosts' counters
//! ([`ulm_forecast::sharing`]). *Predicted* is what the likeliest weights say, *counted on* what is surely saved, less the reserve.

mod bound;
mod plan;

use serde::{Deserialize, Serialize};
use ulm_forecast::sharing::predicted;
use ulm_forecast::{Samples, believe};
use ulm_model::{Bytes, HostName, Merging, Sharing, SharingClass, SharingGroup, Snapshot, Trust, VmIx};
use ulm_policy::Policy;
use ulm_rules::index::sharing_groups;

use crate::Input;
pub use plan::SharingPlan;

/// What is shared, and what could be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SharingReport {
    /// In the order of the policy.
    pub groups: Vec<SharingOfGroup>,
    /// Every host, by name.
    pub hosts: Vec<SharingOfHost>,
    /// All hosts together.
    pub predicted: Bytes,
    /// Of that so much may be counted on.
    pub counted_on: Bytes,
    /// No placement of these VMs on the hosts that merge can save more. Not what a plan would reach.
    pub at_most: Bytes,
    /// What a plan would save.
    pub plan: SharingPlan,
}

/// A sharing group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharingOfGroup {
    /// Its name.
    pub name: String,
    /// VMs that have pages in common with others of the group, wherever they are.
    pub vms: u32,
    /// Nodes of its tree with at least two VMs.
    pub nodes: u32,
    /// So many hosts showed how far its weights are to be believed.
    pub hosts: u32,
    /// How far they are believed.
    pub trust: Trust,
    /// What is saved now by its weights.
    pub predicted: Bytes,
    /// Of that so much may be counted on.
    pub counted_on: Bytes,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharingOfHost {
    /// Its name.
    pub name: HostName,
    /// Whether it was seen to merge pages: elsewhere nothing is predicted.
    pub merges: bool,
    /// What it counts, if it tells.
    pub counted: Option<Merging>,
    /// What is saved there by the weights of each group, in the order of the policy.
    pub predicted: Vec<Bytes>,
    /// Of all groups' savings so much may be counted on.
    pub counted_on: Bytes,
}

/// The groups as they are believed, and what is known of them on a snapshot.
struct Learned {
    groups: Vec<SharingGroup>,
    /// By group, from how many hosts that is known.
    hosts: Vec<u32>,
    sharing: Sharing,
}

/// What hosts' counters say of the groups.
fn learn(snapshot: &Snapshot, mut groups: Vec<SharingGroup>) -> Learned {
    let hosts = believe(snapshot, &mut groups, sharing_groups);
    Learned { sharing: Sharing::of(snapshot, &groups, sharing_groups), groups, hosts }
}

/// What is shared now, and what a plan would save.
///
/// # Errors
/// When the samples do not fit the snapshot, in a sentence.
pub fn sharing(input: &Input, policy: &Policy, samples: Option<&Samples>) -> Result<SharingReport, String> {
    let snapshot = &input.snapshot;
    let mut groups = policy.sharing.clone();
    if let Some(samples) = samples {
        groups = samples.learn(&samples.by_vm(snapshot)?, snapshot, &groups, sharing_groups);
    }
    let learned = learn(snapshot, groups);
    let on = snapshot.by_host();
    let hosts: Vec<SharingOfHost> =
        snapshot.hosts_ix().map(|(ix, host)| of_host(host, &learned, &on[ix.at()])).collect();
    let groups: Vec<SharingOfGroup> =
        (0..learned.groups.len()).map(|at| of_group(snapshot, &learned, at, &hosts, &on)).collect();
    Ok(SharingReport {
        predicted: groups.iter().map(|group| group.predicted).sum(),
        counted_on: hosts.iter().map(|host| host.counted_on).sum(),
        at_most: bound::at_most(snapshot, &policy.rulebook(), &learned.sharing),
        plan: plan::plan(input, policy, &learned.sharing),
        groups,
        hosts,
    })
}

fn of_host(host: &ulm_model::Host, learned: &Learned, vms: &[VmIx]) -> SharingOfHost {
    let groups = learned.groups.len();
    let merges = host.merges();
    let vms = if merges { vms } else { &[] };
    SharingOfHost {
        name: host.name.clone(),
        merges,
        counted: host.merging,
        predicted: predicted(&learned.sharing, groups, vms, |class| class.likely),
        counted_on: learned.sharing.saved(vms.iter().copied(), |class| class.credit),
    }
}

fn of_group(
    snapshot: &Snapshot,
    learned: &Learned,
    at: usize,
    hosts: &[SharingOfHost],
    on: &[Vec<VmIx>],
) -> SharingOfGroup {
    let own = |class: &&SharingClass| class.group == at;
    let credit = |class: &SharingClass| if class.group == at { class.credit } else { Bytes(0) };
    let merging = snapshot.hosts_ix().filter(|(_, host)| host.merges());
    let counted_on = merging.map(|(ix, _)| learned.sharing.saved(on[ix.at()].iter().copied(), credit)).sum();
    // Each VM is in the classes above its own too: those without a class above have all of them.
    let topmost = learned.sharing.classes.iter().filter(own).filter(|class| class.path.len() == 1);
    SharingOfGroup {
        name: learned.groups[at].name.clone(),
        vms: topmost.map(|class| class.vms.len() as u32).sum(),
        nodes: learned.sharing.classes.iter().filter(own).count() as u32,
        hosts: learned.hosts[at],
        trust: learned.groups[at].trust,
        predicted: hosts.iter().map(|host| host.predicted[at]).sum(),
        counted_on,
    }
}
