//! Pages of memory that VMs have in common: who shares what, as a tree, and what it saves that they are on one host.
//!
//! A host that merges equal pages (KSM) keeps one copy of what several VMs hold. Which VMs have equal pages is said by
//! *sharing groups*: only VMs of one group are credited with each other, since merged pages can tell one tenant about another.
//! In a group sharing is a tree: operating system, version, libraries, application. A VM is a leaf: its *path* are the values of
//! its tags, level by level. A node has a *weight*: the memory that all VMs below it have in common, beyond what they have in
//! common already with the nodes above it. On one host `n` VMs below a node save `n − 1` times its weight.
//!
//! # What limits make of it
//!
//! What was promised on a host, and what it has available for VMs that come, are looked at in every state that a plan can reach, and a VM
//! that arrives is not merged for minutes. So only VMs that *stay* count as merged: they are on the host in the snapshot, are not in
//! flight, and no step of the plan moves them, neither before nor later. All this only on hosts that merge ([`Host::merges`]).
//!
//! * The *credit* of some VMs on a host is the sum over all nodes of `n − 1` times the node's credit: the part [`Trust::sure`] of
//!   its weight, less the part [`SharingGroup::reserve`] of that, each rounded down to a byte.
//! * What is *short* is by how much the credit of all VMs there that are not in flight is above what the host counts as saved
//!   ([`Merging::saved`]): so much is not merged yet, or no more.
//! * **Promised.** The memory promised on a host is the sum of the VMs' sizes, less the credit of those that stay as far as that is
//!   more than what is short.
//! * **Available.** A VM that goes gives back less than it holds: what others there have, too, stays. So of what a host has available
//!   its *loss* is taken off: by how much the stated weights save less without those that do not stay (VMs in flight are not
//!   reckoned), at most what the host counts as saved.
//!
//! After Sindelar, Sitaraman, Shenoy: Sharing-aware algorithms for virtual machine colocation, SPAA 2011 (the tree model).
//!
//! ```
//! # use ulm_model::*;
//! # let mut snapshot = Snapshot::default();
//! let group = SharingGroup {
//!     name: "shop".into(),
//!     vms: VmSelector { name: vec!["shop-*".into()], tag: vec![] },
//!     levels: vec![SharingLevel { prefix: "os:".into(), weight: Bytes::mib(300) }],
//!     nodes: vec![],
//!     trust: Trust::stated(Share::percent(50)),
//!     reserve: Share::percent(15),
//! };
//! let sharing = Sharing::of(&snapshot, &[group], |snapshot, _| vec![Some(0); snapshot.vms.len()]);
//! assert_eq!(sharing.saved(snapshot.vms_ix().map(|(ix, _)| ix), |class| class.weight), Bytes(0));
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Bytes, Host, Share, Snapshot, Vm, VmIx, VmSelector};

/// VMs that may be credited with the pages that they have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharingGroup {
    /// What people call it.
    pub name: String,
    /// Which VMs. A VM that several groups select belongs to the first one.
    pub vms: VmSelector,
    /// The levels of the tree, from the root down.
    pub levels: Vec<SharingLevel>,
    /// Nodes with a weight of their own.
    pub nodes: Vec<SharingNode>,
    /// How far the weights are to be believed. In a policy: as long as no counters of hosts say more.
    pub trust: Trust,
    /// The part of the credit that is never counted on: merged pages break when guests write to them, all at once if all are updated.
    pub reserve: Share,
}

/// A level of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharingLevel {
    /// What the tags of this level begin with, e.g. `os:` or `os=`; what follows is the value. The first tag that begins so counts.
    pub prefix: String,
    /// The weight of each of its nodes.
    pub weight: Bytes,
}

/// A node with a weight of its own, instead of that of its level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharingNode {
    /// The values from the root down to it; their number says its level.
    pub path: Vec<String>,
    /// Its weight.
    pub weight: Bytes,
}

/// How far the weights of a group are to be believed: parts of what is stated, at most the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// The likeliest part.
    pub likely: Share,
    /// The part that is counted on: the lower confidence bound.
    pub sure: Share,
}

/// Who has which pages in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharing {
    /// Nodes below which there are at least two VMs, by group and path; so a node stands after those above it.
    pub classes: Vec<SharingClass>,
    /// For each VM of the snapshot the classes that it is in, as indices into [`Sharing::classes`], ascending.
    pub of_vm: Vec<Vec<u32>>,
}

/// Pages that all VMs below a node of a group's tree have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharingClass {
    /// The group, as an index into the groups that were given.
    pub group: usize,
    /// The values from the root down to the node; never empty.
    pub path: Vec<String>,
    /// What they have in common as it is stated.
    pub weight: Bytes,
    /// What they are likely to have in common.
    pub likely: Bytes,
    /// What may be counted on where memory must not run out: the lower confidence bound less the reserve.
    pub credit: Bytes,
    /// The VMs, ascending; at least two.
    pub vms: Vec<VmIx>,
}

/// What a host's kernel counts of merged pages (KSM), as memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merging {
    /// Memory that is saved now: so much more would be held without merging.
    pub saved: Bytes,
    /// Memory of the merged copies themselves.
    pub shared: Bytes,
    /// Memory that was looked at and has no equal.
    pub unshared: Bytes,
    /// Memory that changes too fast to be merged.
    pub volatile: Bytes,
    /// So many times all memory was looked at since the host was started.
    pub full_scans: u64,
    /// Whether pages of different NUMA cells are merged, if the host says it.
    pub across_cells: Option<bool>,
    /// So long it takes to look at all memory by the host's settings, the time of the look itself aside, if the host says them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<Duration>,
    /// Nobody looks at memory any more: merging was switched off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
}

impl Merging {
    /// So many full scans it takes until equal pages are merged: a page is merged only if it has not changed since the scan before.
    pub const SCANS: u64 = 2;
}

impl Host {
    /// Whether it was seen to merge pages, and still does. Elsewhere no VM may be credited with anything.
    pub fn merges(&self) -> bool {
        self.merging.is_some_and(|merging| merging.full_scans >= Merging::SCANS && !merging.stopped)
    }
}

impl Vm {
    /// Whether its pages can be merged with others' at all. Not in huge pages, not encrypted, and not before its definition was read.
    pub fn mergeable(&self) -> bool {
        !self.unmergeable && self.needs.as_ref().is_some_and(|needs| needs.pages.is_none())
    }
}

impl SharingGroup {
    /// The VM's path: the values of its tags until a level of which it has none, or an empty one.
    pub fn path<'v>(&self, vm: &'v Vm) -> Vec<&'v str> {
        let value = |level: &SharingLevel| {
            vm.tags.iter().find_map(|tag| tag.strip_prefix(level.prefix.as_str())).filter(|value| !value.is_empty())
        };
        self.levels.iter().map_while(value).collect()
    }

    /// The weights of nodes that have their own, by their values from the root down.
    fn own_weights(&self) -> BTreeMap<Vec<&str>, Bytes> {
        self.nodes.iter().map(|node| (node.path.iter().map(String::as_str).collect(), node.weight)).collect()
    }
}

impl Trust {
    /// What is stated is likely, and this part of it sure.
    pub fn stated(sure: Share) -> Self {
        Trust { likely: Share::WHOLE, sure }
    }
}

/// A node of a group's tree, while VMs are put below it.
#[derive(Default)]
struct Node<'v> {
    weight: Bytes,
    vms: Vec<VmIx>,
    /// By value.
    below: BTreeMap<&'v str, usize>,
}

impl Sharing {
    /// The classes of a snapshot.
    ///
    /// `belongs` says for each VM the first group that selects it. A VM's path ends where the weights would pass its memory.
    ///
    /// Complexity: one look-up for each level of each VM.
    pub fn of(
        snapshot: &Snapshot,
        groups: &[SharingGroup],
        belongs: impl Fn(&Snapshot, &[SharingGroup]) -> Vec<Option<usize>>,
    ) -> Sharing {
        let group_of = belongs(snapshot, groups);
        let own: Vec<BTreeMap<Vec<&str>, Bytes>> = groups.iter().map(SharingGroup::own_weights).collect();
        // First the root of each group, which has no value.
        let mut nodes: Vec<Node<'_>> = groups.iter().map(|_| Node::default()).collect();
        for (ix, vm) in snapshot.vms_ix().filter(|(_, vm)| vm.mergeable()) {
            let Some(at) = group_of[ix.at()] else { continue };
            let (path, mut node, mut sum) = (groups[at].path(vm), at, Bytes(0));
            for (depth, level) in (0..path.len()).zip(&groups[at].levels) {
                let next = nodes.len();
                node = *nodes[node].below.entry(path[depth]).or_insert(next);
                if node == next {
                    let weight = own[at].get(&path[..=depth]).copied().unwrap_or(level.weight);
                    nodes.push(Node { weight, ..Node::default() });
                }
                sum += nodes[node].weight;
                if sum > vm.memory {
                    break;
                }
                nodes[node].vms.push(ix);
            }
        }
        let mut sharing = Sharing { classes: Vec::new(), of_vm: vec![Vec::new(); snapshot.vms.len()] };
        for (at, group) in groups.iter().enumerate() {
            sharing.list(&mut nodes, at, (at, group), &mut Vec::new());
        }
        sharing
    }

    /// Lists what is below a node, in the order of the paths.
    fn list(
        &mut self,
        nodes: &mut [Node<'_>],
        above: usize,
        (at, group): (usize, &SharingGroup),
        path: &mut Vec<String>,
    ) {
        for (value, node) in std::mem::take(&mut nodes[above].below) {
            let (weight, vms) = (nodes[node].weight, std::mem::take(&mut nodes[node].vms));
            if vms.len() < 2 {
                continue;
            }
            path.push(value.to_owned());
            let number = self.classes.len() as u32;
            vms.iter().for_each(|vm| self.of_vm[vm.at()].push(number));
            let Trust { likely, sure } = group.trust;
            self.classes.push(SharingClass {
                group: at,
                path: path.clone(),
                weight,
                likely: likely * weight,
                credit: less(sure * weight, group.reserve),
                vms,
            });
            self.list(nodes, node, (at, group), path);
            path.pop();
        }
    }

    /// The classes of which these VMs on one host have several copies, each with how many are one too many: what merging saves.
    pub fn spared(&self, vms: impl IntoIterator<Item = VmIx>) -> Vec<(&SharingClass, u64)> {
        let mut all: Vec<u32> = vms.into_iter().flat_map(|vm| &self.of_vm[vm.at()]).copied().collect();
        all.sort_unstable();
        let several = all.chunk_by(|a, b| a == b).filter(|same| same.len() > 1);
        several.map(|same| (&self.classes[same[0] as usize], same.len() as u64 - 1)).collect()
    }

    /// What these VMs save if they are together on one host that merges, by what `weight` says of each class.
    pub fn saved(&self, vms: impl IntoIterator<Item = VmIx>, weight: impl Fn(&SharingClass) -> Bytes) -> Bytes {
        let of = |(class, copies): (&SharingClass, u64)| Bytes(weight(class).0.saturating_mul(copies));
        self.spared(vms).into_iter().map(of).sum()
    }

    /// What these VMs take together on one host that merges: their memory less what they save.
    pub fn footprint(
        &self,
        snapshot: &Snapshot,
        vms: impl IntoIterator<Item = VmIx, IntoIter: Clone>,
        weight: impl Fn(&SharingClass) -> Bytes,
    ) -> Bytes {
        let vms = vms.into_iter();
        let whole: Bytes = vms.clone().map(|vm| snapshot.vm(vm).memory).sum();
        whole.saturating_sub(self.saved(vms, weight))
    }
}

/// What is left of it without that part.
fn less(whole: Bytes, part: Share) -> Bytes {
    Share::WHOLE.saturating_sub(part) * whole
}

#[cfg(test)]
mod tests;
