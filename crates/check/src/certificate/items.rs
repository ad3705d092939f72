//! What moves as one: a VM, or a group with all its members.

use crate::terms::Terms;

/// All VMs, as items.
pub(super) struct Items<'t> {
    pub terms: &'t Terms<'t>,
    pub list: Vec<Item>,
    /// For each VM its item.
    pub of_vm: Vec<usize>,
}

/// See the module's text. All its members are on one host in A, and on one in B.
pub(super) struct Item {
    /// Ascending.
    pub vms: Vec<u32>,
    pub from: u32,
    pub to: u32,
    /// Whether a member cannot move.
    pub stays: bool,
}

impl<'t> Items<'t> {
    pub fn of(terms: &'t Terms<'t>) -> Self {
        let vms = &terms.task.vms;
        let mut list = Vec::new();
        let mut of_vm = vec![usize::MAX; vms.len()];
        let grouped = terms.groups.iter().cloned();
        for members in grouped.chain((0..vms.len() as u32).map(|vm| vec![vm])) {
            let first = members[0] as usize;
            if of_vm[first] != usize::MAX {
                continue;
            }
            members.iter().for_each(|vm| of_vm[*vm as usize] = list.len());
            let stays = members.iter().any(|vm| vms[*vm as usize].stays);
            list.push(Item { from: vms[first].from, to: vms[first].to, stays, vms: members });
        }
        Items { terms, list, of_vm }
    }

    /// What the counters count of an item on a host, each counter once.
    pub fn counters(&self, item: usize, host: u32) -> Vec<(usize, u64)> {
        let vms = &self.list[item].vms;
        let mut all: Vec<(usize, u64)> = vms.iter().flat_map(|vm| self.terms.counters(*vm, host)).collect();
        if vms.len() > 1 {
            all.sort_unstable_by_key(|(counter, _)| *counter);
            all.dedup_by(|later, kept| {
                let same = later.0 == kept.0;
                kept.1 += if same { later.1 } else { 0 };
                same
            });
        }
        all
    }

    /// Whether the item may go to the host, from somewhere; room aside.
    pub fn fits(&self, item: usize, to: u32) -> bool {
        let item = &self.list[item];
        !item.stays && item.vms.iter().all(|vm| self.terms.unfit(*vm, to).is_none())
    }

    /// Whether no rank is against going from the one host to the other.
    pub fn steps_up(&self, item: usize, from: u32, to: u32) -> bool {
        self.list[item].vms.iter().all(|vm| self.terms.steps_down(*vm, from, to).is_none())
    }

    /// The name of its first VM.
    pub fn name(&self, item: usize) -> String {
        self.terms.vm(self.list[item].vms[0]).to_owned()
    }
}
