//! What VMs have in common, from samples of their pages.
//!
//! A page is in the sample of a VM if the hash of its content is a multiple of the modulus: of equal pages either all VMs that have
//! them show them, or none. So samples can be joined and compared like the memory itself, in which each sampled page stands for
//! as many as the modulus says: the memory that a set of VMs needs after merging is about `modulus · page · |all samples joined|`.
//! With `n` pages found that is off by about `1/√n`: a GiB in 4 KiB pages with modulus 1024 gives 256 of them, and 6 %.
//!
//! Who takes the samples leaves out pages of zeros and pages that change (those that are not there in a second look), and hashes
//! well: 64 bits, of which the low ones are as random as the others.
//!
//! **Weights of a tree's nodes.** Below a node the VMs fall into parts: those of each node under it, and each VM that has no further
//! value by itself. What the parts have in common is the sum of their joined samples less the joined sample of all; a tree in
//! which all pages are where the model has them says that this is `parts − 1` times the weights down to the node. So the weights
//! are those with which the tree tells the memory of all VMs of each node exactly, and sets of some of them on average.
//!
//! Complexity: each sample is sorted once, and joined with others once for each level above it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ulm_model::text::Document;
use ulm_model::{Bytes, Share, Sharing, SharingGroup, SharingNode, Snapshot, Trust, VmIx};

/// Samples of VMs' pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Samples {
    /// A page is in a sample if the hash of its content is a multiple of this; from 1.
    pub modulus: u64,
    /// The size of a page.
    #[serde(default = "usual_page")]
    pub page: Bytes,
    /// Hashes of pages, by VM: its id, or its name if no other has it.
    pub vms: BTreeMap<String, Vec<u64>>,
}

fn usual_page() -> Bytes {
    Bytes::kib(4)
}

impl Document for Samples {
    const SCHEMA: &'static str = "ulm.samples/1";
}

/// Sorted, each hash once.
type Pages = Vec<u64>;

impl Samples {
    /// The memory that so many different sampled pages stand for.
    pub fn stand_for(&self, pages: u64) -> Bytes {
        Bytes(pages.saturating_mul(self.modulus).saturating_mul(self.page.0))
    }

    /// For each VM of the snapshot its sample, if there is one.
    ///
    /// # Errors
    /// When the modulus is 0, or a name is not that of exactly one VM.
    pub fn by_vm(&self, snapshot: &Snapshot) -> Result<Vec<Option<Pages>>, String> {
        if self.modulus == 0 || self.page == Bytes(0) {
            return Err("`modulus` and `page` are at least 1".to_owned());
        }
        let mut names: BTreeMap<String, Vec<VmIx>> = BTreeMap::new();
        for (ix, vm) in snapshot.vms_ix() {
            names.entry(vm.id.to_string()).or_default().push(ix);
            names.entry(vm.name.clone()).or_default().push(ix);
        }
        let mut found = vec![None; snapshot.vms.len()];
        for (name, hashes) in &self.vms {
            let vm = match names.get(name).map_or(&[][..], Vec::as_slice) {
                [] => return Err(format!("there is no VM `{name}`; leave out its sample, or give its id or its name")),
                [vm] => *vm,
                _ => return Err(format!("several VMs are named `{name}`; give its id instead")),
            };
            if let Some(odd) = hashes.iter().find(|hash| *hash % self.modulus != 0) {
                return Err(format!("{odd} of VM `{name}` is no multiple of the modulus {}", self.modulus));
            }
            let mut pages = hashes.clone();
            pages.sort_unstable();
            pages.dedup();
            if found[vm.at()].replace(pages).is_some() {
                return Err(format!("there are two samples of VM `{name}`; give one"));
            }
        }
        Ok(found)
    }

    /// The memory that these VMs need together after merging, as far as samples of them are there.
    pub fn footprint(&self, by_vm: &[Option<Pages>], vms: impl IntoIterator<Item = VmIx>) -> Bytes {
        self.stand_for(joined(vms.into_iter().filter_map(|vm| by_vm[vm.at()].as_deref())).len() as u64)
    }

    /// The groups with the weights of nodes that the samples show: those that have at least two parts with a sample. The trust
    /// becomes what the errors of the samples leave, in the mean of all that the group could save; for nodes without samples it stays.
    pub fn learn(
        &self,
        by_vm: &[Option<Pages>],
        snapshot: &Snapshot,
        groups: &[SharingGroup],
        belongs: impl Fn(&Snapshot, &[SharingGroup]) -> Vec<Option<usize>>,
    ) -> Vec<SharingGroup> {
        let mut learned = groups.to_vec();
        let mut measured: BTreeMap<(usize, Vec<String>), Measured> = BTreeMap::new();
        for (at, group) in learned.iter_mut().enumerate() {
            for (path, weight) in self.of_group(by_vm, snapshot, groups, at, &belongs) {
                group.nodes.retain(|node| node.path != path);
                group.nodes.push(SharingNode { path: path.clone(), weight: weight.likely });
                measured.insert((at, path), weight);
            }
        }
        let sharing = Sharing::of(snapshot, &learned, &belongs);
        let mut sums = vec![(0_u128, 0_u128); groups.len()];
        for class in &sharing.classes {
            let others = class.vms.len() as u128 - 1;
            let trusted = groups[class.group].trust.sure * class.weight;
            let sure = measured.get(&(class.group, class.path.clone())).map_or(trusted, |measured| measured.sure);
            sums[class.group].0 += u128::from(sure.0) * others;
            sums[class.group].1 += u128::from(class.weight.0) * others;
        }
        for (group, (sure, likely)) in learned.iter_mut().zip(sums) {
            if let Some(parts) = (sure * u128::from(Share::WHOLE.0)).checked_div(likely) {
                group.trust = Trust::stated(Share(parts as u32).min(Share::WHOLE));
            }
        }
        learned
    }

    /// The nodes of one group that samples show.
    fn of_group(
        &self,
        by_vm: &[Option<Pages>],
        snapshot: &Snapshot,
        groups: &[SharingGroup],
        at: usize,
        belongs: impl Fn(&Snapshot, &[SharingGroup]) -> Vec<Option<usize>>,
    ) -> Vec<(Vec<String>, Measured)> {
        let (mut tree, group_of) = (Tree::default(), belongs(snapshot, groups));
        for (ix, vm) in snapshot.vms_ix().filter(|(_, vm)| vm.mergeable()) {
            let Some(pages) = &by_vm[ix.at()] else { continue };
            if group_of[ix.at()] == Some(at) {
                tree.put(&groups[at].path(vm), pages);
            }
        }
        let mut found = Vec::new();
        for (value, below) in tree.below {
            self.measure(below, vec![value.to_owned()], 0, &mut found);
        }
        found
    }

    /// The weight of a node, and of those below it. `above`: sampled pages in common by the weights of the nodes above.
    fn measure(&self, tree: Tree<'_>, path: Vec<String>, above: u64, found: &mut Vec<(Vec<String>, Measured)>) {
        let common = tree.common();
        match common {
            Some(common) => found.push((path.clone(), self.measured(common, above))),
            // What the one part below has in common with nobody else shows in its own weight.
            None if tree.own.is_empty() => found.push((path.clone(), Measured::default())),
            None => {}
        }
        for (value, below) in tree.below {
            let path = path.iter().cloned().chain([value.to_owned()]).collect();
            self.measure(below, path, common.unwrap_or(above), found);
        }
    }

    fn measured(&self, common: u64, above: u64) -> Measured {
        let own = common.saturating_sub(above);
        // A page that all parts have is one accident for all of them: the count of these pages is as wrong as that of one VM's.
        let twice_its_error = (4 * common).isqrt() + 1;
        Measured { likely: self.stand_for(own), sure: self.stand_for(own.saturating_sub(twice_its_error)) }
    }
}

/// The weight of a node.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    likely: Bytes,
    /// The lower confidence bound.
    sure: Bytes,
}

/// Samples below a node.
#[derive(Default)]
struct Tree<'s> {
    below: BTreeMap<&'s str, Tree<'s>>,
    /// VMs that have no further value.
    own: Vec<&'s [u64]>,
}

impl<'s> Tree<'s> {
    fn put(&mut self, path: &[&'s str], pages: &'s [u64]) {
        match path.split_first() {
            Some((value, rest)) => self.below.entry(value).or_default().put(rest, pages),
            None => self.own.push(pages),
        }
    }

    /// All different pages.
    fn pages(&self) -> Pages {
        let below: Vec<Pages> = self.below.values().map(Tree::pages).collect();
        joined(below.iter().map(Vec::as_slice).chain(self.own.iter().copied()))
    }

    /// Sampled pages that each of the node's parts has in common with the others; `None`: there are fewer than two parts.
    fn common(&self) -> Option<u64> {
        let below: Vec<Pages> = self.below.values().map(Tree::pages).collect();
        let parts: Vec<&[u64]> = below.iter().map(Vec::as_slice).chain(self.own.iter().copied()).collect();
        let others = (parts.len() as u64).checked_sub(1).filter(|others| *others > 0)?;
        let together: u64 = parts.iter().map(|pages| pages.len() as u64).sum();
        Some((together - joined(parts.into_iter()).len() as u64) / others)
    }
}

fn joined<'p>(parts: impl Iterator<Item = &'p [u64]>) -> Pages {
    let mut all: Pages = parts.flatten().copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}
