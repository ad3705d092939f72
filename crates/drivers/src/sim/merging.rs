//! Equal pages that a simulated host merges (KSM).
//!
//! A VM's memory holds *contents*: pages that other VMs with the same content have too. A host that merges looks at all memory
//! once in [`HostSpec::scan_s`], and keeps one copy of each content that several VMs have who were there during the last two
//! full scans: a VM that has just arrived takes its full size. What is merged is part of each VM's resident set all the same, as
//! on real hosts. What is not modelled: pages that break because guests write to them, and pages that a guest has twice itself.
//!
//! As loads are, merging is constant within a grid cell, whoever looks when.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ulm_model::{Bytes, Merging};

use super::host::{Nanos, Power, Resident, SimHost, SimVm, nanos};
use super::scenario::VmSpec;
use super::text;

/// Pages that several VMs may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// What they hold, e.g. `debian 12`: VMs with the same name have the same pages.
    pub name: String,
    /// How much of it this VM has: of several VMs the smaller amount is what they have in common.
    #[serde(with = "text::bytes")]
    pub memory: Bytes,
}

/// What is wrong with what a VM's memory holds.
pub(super) fn fault(vm: &VmSpec) -> Option<&'static str> {
    let whole: Bytes = vm.contents.iter().map(|content| content.memory).sum();
    (whole > vm.memory).then_some("its `contents` are larger than its memory")
}

impl SimHost {
    /// Full scans from the host's start until a cell begins.
    fn full_scans(&self, cell: u64, grid: Nanos) -> u64 {
        self.scans_until(cell * grid)
    }

    fn scans_until(&self, at: Nanos) -> u64 {
        at.saturating_sub(self.booted).checked_div(nanos(self.spec.scan_s)).unwrap_or(0)
    }

    /// Whether two full scans have looked at all that it holds, and it holds all its contents.
    fn is_merged(&self, resident: &Resident, cell: u64, vms: &[SimVm], grid: Nanos) -> bool {
        let spec = &vms[resident.vm].spec;
        let contents: Bytes = spec.contents.iter().map(|content| content.memory).sum();
        // The scan under way when it came has not seen all of it.
        let seen = self.scans_until(resident.since) + u64::from(resident.since > self.booted) + Merging::SCANS;
        resident.holds.is_none()
            && !spec.unmergeable
            && self.full_scans(cell, grid) >= seen
            && self.ordinary(resident, cell, vms, grid) >= contents.0
    }

    /// For each content that at least two VMs have merged: its largest amount, and the sum of all.
    fn merged(&self, cell: u64, vms: &[SimVm], grid: Nanos) -> Vec<(u64, u64)> {
        if self.spec.scan_s == 0.0 || self.power != Power::On {
            return Vec::new();
        }
        let mut contents: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for resident in self.residents.iter().filter(|resident| self.is_merged(resident, cell, vms, grid)) {
            for content in &vms[resident.vm].spec.contents {
                contents.entry(&content.name).or_default().push(content.memory.0);
            }
        }
        let several = contents.into_values().filter(|amounts| amounts.len() > 1);
        several.map(|amounts| (amounts.iter().copied().max().unwrap_or(0), amounts.iter().sum())).collect()
    }

    /// Memory that merging saves.
    pub fn saved(&self, cell: u64, vms: &[SimVm], grid: Nanos) -> u64 {
        self.merged(cell, vms, grid).into_iter().map(|(largest, sum)| sum - largest).sum()
    }

    /// What its kernel counts; `None` when it does not merge.
    pub fn merging(&self, cell: u64, vms: &[SimVm], grid: Nanos) -> Option<Merging> {
        if self.spec.scan_s == 0.0 {
            return None;
        }
        let merged = self.merged(cell, vms, grid);
        let mergeable = self.residents.iter().filter(|resident| !vms[resident.vm].spec.unmergeable);
        let held: u64 = mergeable.map(|resident| self.ordinary(resident, cell, vms, grid)).sum();
        let full_scans = self.full_scans(cell, grid);
        let in_merged: u64 = merged.iter().map(|(_, sum)| sum).sum();
        Some(Merging {
            saved: Bytes(self.saved(cell, vms, grid)),
            shared: Bytes(merged.iter().map(|(largest, _)| largest).sum()),
            unshared: if full_scans > 0 { Bytes(held.saturating_sub(in_merged)) } else { Bytes(0) },
            volatile: Bytes(0),
            full_scans,
            across_cells: Some(true),
            scan: Some(Duration::from_nanos(nanos(self.spec.scan_s))),
            stopped: false,
        })
    }
}
