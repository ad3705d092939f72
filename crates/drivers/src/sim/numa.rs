//! Where memory lies on a simulated host: NUMA cells and huge pages.
//!
//! **Huge pages** are set aside for good, so a host never has their memory to give otherwise. A VM in such pages takes its whole
//! size when its process begins, of its own cells or of any, in the order of their numbers, and gives it back when the process
//! ends: in a move the target's pages are taken at the beginning and the source's are given back at the end. A host that has too
//! few refuses the move.
//!
//! **Ordinary memory** follows what VMs hold, so where it lies is worked out afresh whenever somebody looks: VMs that are bound to
//! cells fill these in the order of their numbers, those with the fewest cells first; all the rest is spread over what is left,
//! in proportion. A VM that comes and is bound finds only the room in its cells. One that is there already and grows out of them
//! is left alone, and what its cells cannot hold lies in others.

use serde::{Deserialize, Serialize};
use ulm_model::{Bytes, Cell, HugePages};

use super::host::{Nanos, Resident, SimHost, SimVm};
use super::scenario::{HostSpec, VmSpec};
use super::text;

/// A NUMA cell of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellSpec {
    /// Its number.
    pub id: u32,
    /// CPUs.
    pub cpus: u32,
    /// Memory in all.
    #[serde(with = "text::bytes")]
    pub memory: Bytes,
    /// What of it is set aside as huge pages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<PagesSpec>,
}

/// Huge pages of one size in a NUMA cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagesSpec {
    /// The size of a page.
    #[serde(with = "text::bytes")]
    pub size: Bytes,
    /// Memory in such pages.
    #[serde(with = "text::bytes")]
    pub total: Bytes,
}

/// Huge pages that a VM has taken in one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub cell: u32,
    pub size: Bytes,
    pub amount: Bytes,
}

/// What is wrong with a host's cells.
pub(super) fn fault(host: &HostSpec) -> Option<&'static str> {
    let cells = &host.cells;
    let memory: Bytes = cells.iter().map(|cell| cell.memory).sum();
    let cpus = cells.iter().fold(0_u32, |sum, cell| sum.saturating_add(cell.cpus));
    let whole = |pages: &PagesSpec| pages.size.0 > 0 && pages.total.0.is_multiple_of(pages.size.0);
    if !cells.is_sorted_by(|a, b| a.id < b.id) {
        return Some("`cells` must be in the order of their `id`s, each once");
    }
    if memory > host.memory || cpus > host.cpus {
        return Some("its `cells` have more memory or CPUs than it has");
    }
    if !cells.iter().all(|cell| cell.pages.iter().all(whole) && cell.pages.is_sorted_by(|a, b| a.size < b.size)) {
        return Some("`pages` must be in the order of their `size`s, and each `total` a number of whole pages");
    }
    if cells.iter().any(|cell| set_aside(std::slice::from_ref(cell)) > cell.memory) {
        return Some("a cell has more in huge pages than its memory");
    }
    (host.memory <= host.base_memory + set_aside(cells)).then_some("its huge pages leave no memory for itself")
}

/// Memory in huge pages, used or not.
pub(super) fn set_aside(cells: &[CellSpec]) -> Bytes {
    cells.iter().flat_map(|cell| &cell.pages).map(|pages| pages.total).sum()
}

/// The pages that a VM would get beside those that are taken: none if it is in ordinary ones. `None` if it cannot be there at all.
pub(super) fn take<'t>(
    cells: &[CellSpec],
    taken: impl Iterator<Item = &'t Taken> + Clone,
    vm: &VmSpec,
) -> Option<Vec<Taken>> {
    if !vm.cells.iter().all(|id| cells.iter().any(|cell| cell.id == *id)) {
        return None;
    }
    let Some(size) = vm.pages else { return Some(Vec::new()) };
    let mut wanted = vm.memory;
    let mut got = Vec::new();
    for cell in cells.iter().filter(|cell| vm.cells.is_empty() || vm.cells.contains(&cell.id)) {
        let amount = free(cell, size, taken.clone()).min(wanted);
        if amount > Bytes(0) {
            got.push(Taken { cell: cell.id, size, amount });
            wanted = wanted.saturating_sub(amount);
        }
    }
    (wanted == Bytes(0)).then_some(got)
}

fn total(cell: &CellSpec, size: Bytes) -> Bytes {
    cell.pages.iter().filter(|pages| pages.size == size).map(|pages| pages.total).sum()
}

fn free<'t>(cell: &CellSpec, size: Bytes, taken: impl Iterator<Item = &'t Taken>) -> Bytes {
    total(cell, size)
        .saturating_sub(taken.filter(|one| one.cell == cell.id && one.size == size).map(|one| one.amount).sum())
}

impl SimHost {
    fn taken(&self) -> impl Iterator<Item = &Taken> + Clone {
        self.residents.iter().flat_map(|resident| &resident.pages)
    }

    /// The pages that the VM would get here now; `None` if it cannot be here.
    pub fn take_pages(&self, vm: &VmSpec) -> Option<Vec<Taken>> {
        take(&self.spec.cells, self.taken(), vm)
    }

    /// Whether more pages are taken somewhere than there are.
    pub fn overdraws_pages(&self) -> bool {
        self.taken().any(|one| {
            let alike = self.taken().filter(|other| (other.cell, other.size) == (one.cell, one.size));
            let cell = self.spec.cells.iter().find(|cell| cell.id == one.cell);
            let total = cell.map_or(Bytes(0), |cell| total(cell, one.size));
            alike.map(|other| other.amount).sum::<Bytes>() > total
        })
    }

    /// What a resident holds of the host's ordinary memory.
    pub fn ordinary(&self, resident: &Resident, cell: u64, vms: &[SimVm], grid: Nanos) -> u64 {
        match vms[resident.vm].spec.pages {
            Some(_) => 0,
            None => self.held_by(resident, cell, vms, grid),
        }
    }

    /// Its NUMA cells, with what is free of them now.
    pub fn cells(&self, cell: u64, vms: &[SimVm], grid: Nanos) -> Vec<Cell> {
        let mut cells: Vec<Cell> = self
            .spec
            .cells
            .iter()
            .map(|cell| Cell {
                id: cell.id,
                cpus: cell.cpus,
                memory: cell.memory,
                free: cell.memory.saturating_sub(set_aside(std::slice::from_ref(cell))),
                pages: cell
                    .pages
                    .iter()
                    .map(|pages| HugePages {
                        size: pages.size,
                        total: pages.total,
                        free: free(cell, pages.size, self.taken()),
                    })
                    .collect(),
            })
            .collect();
        let is_bound = |resident: &&Resident| !vms[resident.vm].spec.cells.is_empty();
        let (mut bound, others): (Vec<&Resident>, Vec<&Resident>) = self.residents.iter().partition(is_bound);
        bound.sort_by_key(|resident| vms[resident.vm].spec.cells.len());
        let mut rest: u64 = others.iter().map(|resident| self.ordinary(resident, cell, vms, grid)).sum();
        for resident in bound {
            let mut held = Bytes(self.ordinary(resident, cell, vms, grid));
            for cell in cells.iter_mut().filter(|cell| vms[resident.vm].spec.cells.contains(&cell.id)) {
                let here = held.min(cell.free);
                cell.free = cell.free.saturating_sub(here);
                held = held.saturating_sub(here);
            }
            rest += held.0;
        }
        let rest = u128::from(self.spec.base_memory.0 + self.hog + rest);
        let left: u128 = cells.iter().map(|cell| u128::from(cell.free.0)).sum();
        for cell in &mut cells {
            let here = u128::from(cell.free.0) * rest.min(left) / left.max(1);
            cell.free = cell.free.saturating_sub(Bytes(here as u64));
        }
        cells
    }

    /// How much more ordinary memory such a VM could hold here now.
    pub fn room_for(&self, vm: &VmSpec, cell: u64, vms: &[SimVm], grid: Nanos) -> u64 {
        let host = self.spec.memory.0.saturating_sub(self.memory_used(cell, vms, grid));
        if vm.cells.is_empty() {
            return host;
        }
        let of_vm = self.cells(cell, vms, grid).into_iter().filter(|cell| vm.cells.contains(&cell.id));
        of_vm.map(|cell| cell.free).sum::<Bytes>().0.min(host)
    }

    /// The most that could come to be in use: every VM takes all that it may, and huge pages stay set aside.
    pub fn used_at_most(&self, vms: &[SimVm]) -> Bytes {
        let ordinary = self.residents.iter().map(|resident| &vms[resident.vm].spec).filter(|vm| vm.pages.is_none());
        let promised: Bytes = ordinary.map(|vm| vm.memory).sum();
        self.spec.base_memory + set_aside(&self.spec.cells) + Bytes(self.hog) + promised
    }
}
