//! **Memory merged.** On hosts that merge equal pages, what VMs that stay have in common is promised once, and what VMs that go have in
//! common with others is not given back. Meaning: [`ulm_model::sharing`]. Not a rule by itself: it is what [`crate::memory`] counts.
//!
//! Method: for each host that merges and each class how many VMs there stay; what they save beside it. A VM that begins to move
//! stays no more, whatever becomes of the move.
//!
//! Complexity: one look-up for each class of a VM that begins to move, or is asked about. Without sharing groups nothing is kept, and
//! nothing costs.

use ulm_model::{Bytes, Host, HostIx, Rulebook, Sharing, SharingClass, Snapshot, VmIx};

use crate::index::sharing_groups;
use crate::state::State;

/// Who stays, and what that saves.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    sharing: Sharing,
    /// By VM; empty without sharing groups.
    stays: Vec<bool>,
    hosts: Vec<Merging>,
}

/// One host; empty where nothing is merged.
#[derive(Clone, Debug, Default)]
struct Merging {
    /// Classes, ascending, each with how many of its VMs stay.
    count: Vec<(u32, u64)>,
    /// What is saved by all that stay.
    now: Saved,
    /// The same of all that were there and not moving in the snapshot.
    before: Saved,
    /// What is counted on and not merged.
    short: Bytes,
    /// What the host counts as saved.
    counted: Bytes,
}

/// What some VMs save.
#[derive(Clone, Copy, Debug, Default)]
struct Saved {
    /// So much of it is counted on.
    credit: Bytes,
    /// By the stated weights.
    weight: Bytes,
}

/// What merging leaves of a host if some VMs do not stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// By so much less is promised than the VMs' sizes.
    pub credit: Bytes,
    /// So much of the memory of those that go is not given back.
    pub loss: Bytes,
}

impl Merged {
    /// Everybody stays but those that are moving already.
    pub fn new(snapshot: &Snapshot, rulebook: &Rulebook) -> Self {
        if rulebook.sharing.is_empty() || !snapshot.hosts.iter().any(Host::merges) {
            return Merged::default();
        }
        let sharing = Sharing::of(snapshot, &rulebook.sharing, sharing_groups);
        let mut stays = vec![true; snapshot.vms.len()];
        snapshot.in_flight.iter().for_each(|flight| stays[flight.vm.at()] = false);
        let mut there: Vec<Vec<u32>> = vec![Vec::new(); snapshot.hosts.len()];
        for (ix, vm) in snapshot.vms_ix().filter(|(ix, vm)| stays[ix.at()] && snapshot.host(vm.host).merges()) {
            there[vm.host.at()].extend(&sharing.of_vm[ix.at()]);
        }
        let hosts = there.into_iter().zip(&snapshot.hosts).map(|(there, host)| Merging::new(&sharing, there, host));
        Merged { hosts: hosts.collect(), sharing, stays }
    }

    /// By how much less is promised on the host than the VMs' sizes.
    pub fn credit(&self, host: HostIx) -> Bytes {
        self.hosts.get(host.at()).map_or(Bytes(0), |host| host.credit(host.now))
    }

    /// [`Merged::credit`] in the snapshot, by host.
    pub fn at_first(&self, hosts: usize) -> Vec<Bytes> {
        let at_first = |host: &Merging| host.credit(host.before);
        (0..hosts).map(|host| self.hosts.get(host).map_or(Bytes(0), at_first)).collect()
    }

    /// The VM stays no more.
    pub fn leave(&mut self, vm: VmIx, home: HostIx) {
        if self.stays.get_mut(vm.at()).is_some_and(std::mem::take) {
            self.hosts[home.at()].leave(&self.sharing, vm);
        }
    }

    fn without(&self, host: HostIx, gone: impl Iterator<Item = VmIx>) -> Remains {
        let Some(host) = self.hosts.get(host.at()) else { return Remains::default() };
        let gone = gone.filter(|vm| self.stays[vm.at()]);
        let left = host.without(&self.sharing, gone.flat_map(|vm| &self.sharing.of_vm[vm.at()]).copied().collect());
        Remains { credit: host.credit(left), loss: host.before.weight.saturating_sub(left.weight).min(host.counted) }
    }
}

impl Saved {
    /// So many copies of what the VMs of a class have in common.
    fn of(sharing: &Sharing, class: u32, copies: u64) -> Self {
        let SharingClass { credit, weight, .. } = sharing.classes[class as usize];
        let all = |of: Bytes| Bytes(of.0.saturating_mul(copies));
        Saved { credit: all(credit), weight: all(weight) }
    }

    fn plus(self, more: Saved) -> Self {
        Saved { credit: self.credit + more.credit, weight: self.weight + more.weight }
    }

    fn minus(self, less: Saved) -> Self {
        Saved { credit: self.credit.saturating_sub(less.credit), weight: self.weight.saturating_sub(less.weight) }
    }
}

impl Merging {
    /// A host, and the classes of its VMs that stay, each as often as it is there.
    fn new(sharing: &Sharing, mut there: Vec<u32>, host: &Host) -> Self {
        there.sort_unstable();
        let same = || there.chunk_by(|a, b| a == b);
        let now = same().map(|same| Saved::of(sharing, same[0], same.len() as u64 - 1));
        let now = now.fold(Saved::default(), Saved::plus);
        let counted = host.merging.map_or(Bytes(0), |merging| merging.saved);
        Merging {
            count: same().map(|same| (same[0], same.len() as u64)).collect(),
            now,
            before: now,
            short: now.credit.saturating_sub(counted),
            counted,
        }
    }

    /// What counts if VMs that stay save this.
    fn credit(&self, saved: Saved) -> Bytes {
        saved.credit.saturating_sub(self.short)
    }

    fn leave(&mut self, sharing: &Sharing, vm: VmIx) {
        self.now = self.without(sharing, sharing.of_vm[vm.at()].clone());
        for class in &sharing.of_vm[vm.at()] {
            if let Some(place) = self.place(*class) {
                self.count[place].1 -= 1;
            }
        }
    }

    /// What is saved without VMs of these classes, each named as often as a VM of it goes.
    fn without(&self, sharing: &Sharing, mut gone: Vec<u32>) -> Saved {
        gone.sort_unstable();
        let mut left = self.now;
        for same in gone.chunk_by(|a, b| a == b) {
            // Where nothing is merged nobody is counted.
            let Some(place) = self.place(same[0]) else { continue };
            let (there, gone) = (self.count[place].1, same.len() as u64);
            left = left.minus(Saved::of(sharing, same[0], gone.min(there.saturating_sub(1))));
        }
        left
    }

    fn place(&self, class: u32) -> Option<usize> {
        self.count.binary_search_by_key(&class, |it| it.0).ok()
    }
}

impl State<'_> {
    /// Who has which pages in common; nobody where no host merges or no group is known.
    pub fn sharing(&self) -> &Sharing {
        &self.merged.sharing
    }

    /// What merging leaves of the host if these VMs of it, each once, do not stay in addition to those that have begun to move.
    pub fn merged_without(&self, host: HostIx, gone: impl IntoIterator<Item = VmIx>) -> Remains {
        self.merged.without(host, gone.into_iter())
    }

    /// Whether more would be promised on its host if the VM stayed there no more.
    pub fn gives_credit(&self, vm: VmIx) -> bool {
        let home = self.snapshot().vm(vm).host;
        self.merged_without(home, [vm]).credit < self.merged.credit(home)
    }
}

#[cfg(test)]
mod tests {
    use ulm_model::{
        HostName, HostSelector, InFlight, Merging as Counters, Reason, Rule, RuleKind, Share, SharingGroup,
        SharingLevel, Time, Trust, VmSelector,
    };

    use super::*;
    use crate::testing::{host, rulebook, vm};

    /// Two hosts; `a` merges, and has three VMs with a GiB in common.
    fn cluster(saved: u64) -> (Snapshot, Rulebook) {
        let mut snapshot = Snapshot { hosts: ["a", "b"].map(host).into(), ..Snapshot::default() };
        let counted = Counters { saved: Bytes::gib(saved), full_scans: 2, ..Counters::default() };
        snapshot.hosts[0].merging = Some(counted);
        snapshot.vms = (1..=3).map(|i| vm(i, 0)).collect();
        snapshot.vms.iter_mut().for_each(|vm| _ = vm.tags.insert("os:a".into()));
        let group = SharingGroup {
            name: "g".into(),
            vms: VmSelector { name: vec!["*".into()], tag: vec![] },
            levels: vec![SharingLevel { prefix: "os:".into(), weight: Bytes::gib(1) }],
            nodes: vec![],
            trust: Trust::stated(Share::percent(50)),
            reserve: Share::percent(50),
        };
        (snapshot, Rulebook { sharing: vec![group], ..rulebook() })
    }

    #[test]
    fn what_vms_that_stay_have_in_common_is_promised_once() {
        let (snapshot, rulebook) = cluster(2);
        let mut state = State::new(&snapshot, &rulebook);
        assert_eq!(state.load(HostIx(0)).promised(), Bytes::mib(12 * 1024 - 512));
        assert_eq!(
            state.merged_without(HostIx(0), [VmIx(1)]),
            Remains { credit: Bytes::mib(256), loss: Bytes::gib(1) },
            "the loss is by the stated weights"
        );
        assert!(state.gives_credit(VmIx(1)));
        state.begin(VmIx(1), HostIx(1));
        assert!(!state.gives_credit(VmIx(1)), "it gives none any more");
        let without = |vm: u32| state.merged_without(HostIx(0), [VmIx(vm)]);
        assert_eq!(without(1), Remains { credit: Bytes::mib(256), loss: Bytes::gib(1) }, "it goes once");
        assert_eq!(without(2), Remains { credit: Bytes(0), loss: Bytes::gib(2) }, "what both take with them");
        assert_eq!(state.merged.at_first(2), [Bytes::mib(512), Bytes(0)]);
        assert_eq!(state.load(HostIx(0)).promised(), Bytes::mib(12 * 1024 - 256), "it counts in full on both");
        assert_eq!(state.load(HostIx(1)).promised(), Bytes::gib(4));
        state.remove(VmIx(1), HostIx(0));
        assert_eq!(state.load(HostIx(0)).promised(), Bytes::mib(8 * 1024 - 256));
    }

    #[test]
    fn nothing_is_merged_where_nothing_was_seen_to_be() {
        let changes: [fn(&mut Snapshot); 5] = [
            |snapshot| snapshot.hosts[0].merging = None,
            |snapshot| snapshot.hosts[0].merging.as_mut().unwrap().full_scans = 1,
            |snapshot| snapshot.hosts[0].merging.as_mut().unwrap().stopped = true,
            |snapshot| snapshot.hosts[0].merging.as_mut().unwrap().saved = Bytes(0),
            |snapshot| snapshot.vms.iter_mut().for_each(|vm| vm.unmergeable = true),
        ];
        for change in changes {
            let (mut snapshot, rulebook) = cluster(2);
            change(&mut snapshot);
            let state = State::new(&snapshot, &rulebook);
            assert_eq!(state.load(HostIx(0)).promised(), Bytes::gib(12));
            assert!(!state.gives_credit(VmIx(0)));
        }
    }

    #[test]
    fn a_vm_in_flight_counts_in_full() {
        let (mut snapshot, rulebook) = cluster(2);
        snapshot.in_flight.push(InFlight { vm: VmIx(0), from: HostIx(0), to: None, since: Time(0) });
        let state = State::new(&snapshot, &rulebook);
        assert_eq!(state.load(HostIx(0)).merged, Bytes::mib(256), "of the two others");
        let left = state.merged_without(HostIx(0), [VmIx(0)]);
        assert_eq!(left, Remains { credit: Bytes::mib(256), loss: Bytes(0) });
    }

    #[test]
    fn the_last_one_with_the_same_pages_takes_no_credit_with_it() {
        let (mut snapshot, rulebook) = cluster(3);
        snapshot.vms.extend((4..=5).map(|i| vm(i, 0)));
        snapshot.vms[3..].iter_mut().for_each(|vm| _ = vm.tags.insert("os:b".into()));
        let mut state = State::new(&snapshot, &rulebook);
        let left = state.merged_without(HostIx(0), (0..3).map(VmIx));
        assert_eq!(left, Remains { credit: Bytes::mib(256), loss: Bytes::gib(2) }, "that of the other two remains");
        (0..2).for_each(|vm| state.begin(VmIx(vm), HostIx(1)));
        assert_eq!(state.merged_without(HostIx(0), [VmIx(2)]), left, "whether they have begun to move or not");
    }

    #[test]
    fn a_vm_that_is_taken_off_without_a_move_stays_no_more() {
        let (snapshot, rulebook) = cluster(2);
        let mut state = State::new(&snapshot, &rulebook);
        state.remove(VmIx(0), HostIx(0));
        assert_eq!(state.load(HostIx(0)).promised(), Bytes::mib(8 * 1024 - 256));
    }

    #[test]
    fn whether_a_host_can_be_lost_hangs_on_what_is_merged() {
        // What `b` has fits on `a` beside what is merged there, and no more once one of three goes.
        let (mut snapshot, mut rulebook) = cluster(2);
        snapshot.hosts.push(host("c"));
        snapshot.hosts[0].memory = Bytes::mib(16 * 1024 - 512);
        snapshot.hosts[2].memory = Bytes::gib(4);
        snapshot.vms.push(vm(4, 1));
        let mut keeps = |hosts: &[&str], to: u32, shared: bool| {
            let hosts = HostSelector { name: hosts.iter().map(|name| (*name).into()).collect(), tag: vec![] };
            let vms = VmSelector::default();
            rulebook.rules = vec![Rule { name: "r".into(), kind: RuleKind::Spare, soft: false, vms, hosts }];
            let sharing = if shared { rulebook.sharing.clone() } else { vec![] };
            State::new(&snapshot, &Rulebook { sharing, ..rulebook.clone() }).keeps_spare(VmIx(0), HostIx(to))
        };
        let lost = Err(Reason::NoSpare { host: HostName("b".into()), rule: "r".into() });
        assert_eq!(keeps(&["a", "b", "c"], 2, true), lost, "it takes its credit with it, and the room on `c`");
        assert_eq!(keeps(&["a", "b"], 1, true), lost, "it could be lost before");
        assert_eq!(keeps(&["a", "b"], 1, false), Ok(()), "it could not");
    }

    #[test]
    fn what_the_host_does_not_count_as_saved_is_short_whoever_goes() {
        let (mut snapshot, rulebook) = cluster(0);
        snapshot.hosts[0].merging.as_mut().unwrap().saved = Bytes::mib(300);
        let state = State::new(&snapshot, &rulebook);
        assert_eq!(state.load(HostIx(0)).merged, Bytes::mib(300));
        let left = state.merged_without(HostIx(0), [VmIx(0)]);
        assert_eq!(left, Remains { credit: Bytes::mib(44), loss: Bytes::mib(300) }, "perhaps it is what was saved");
    }
}
