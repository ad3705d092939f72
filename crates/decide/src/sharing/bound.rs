//! The most that any placement can save.

use ulm_model::{Bytes, Rulebook, Sharing, Snapshot, VmIx};
use ulm_rules::State;

/// Each class is kept once on each host that has VMs of it, and on no fewer hosts than the VMs fill, for rules count of each VM at least
/// what it has not in common with others; or as is saved now, if somebody has put more on a host than rules allow.
pub(super) fn at_most(snapshot: &Snapshot, rulebook: &Rulebook, sharing: &Sharing) -> Bytes {
    let state = State::new(snapshot, rulebook);
    let merging = || snapshot.hosts_ix().filter(|(_, host)| host.merges());
    let Some(largest) = merging().map(|(ix, _)| state.limit(ix).memory).max() else { return Bytes(0) };
    let own = |vm: &VmIx| {
        let credit = sharing.of_vm[vm.at()].iter().map(|class| sharing.classes[*class as usize].credit).sum();
        snapshot.vm(*vm).memory.saturating_sub(credit)
    };
    let most = sharing.classes.iter().map(|class| {
        let whole: Bytes = class.vms.iter().map(own).sum();
        let hosts = whole.0.div_ceil(largest.0.max(1)).max(1);
        Bytes(class.likely.0.saturating_mul((class.vms.len() as u64).saturating_sub(hosts)))
    });
    let on = snapshot.by_host();
    let now = merging().map(|(ix, _)| sharing.saved(on[ix.at()].iter().copied(), |class| class.likely));
    most.sum::<Bytes>().max(now.sum())
}
