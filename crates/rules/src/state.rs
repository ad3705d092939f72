//! One state of the cluster with its running sums, and the answer to "may this VM go there, and why not?".
//!
//! Names are turned into numbers once: every thing that a VM can ask of a host (an architecture, a CPU, a network, a storage, a
//! rule's hosts) becomes a set of hosts, computed when it is first asked for and shared by all VMs that ask the same. A VM's
//! [`Profile`] is the intersection of its sets. So [`State::blocker`] looks at bits and adds integers, whatever the number of rules.

use std::collections::BTreeMap;

use ulm_model::{Bytes, CpuNeed, HostIx, Reason, RuleKind, Rulebook, Snapshot, VmIx};

use crate::doubts::Doubts;
use crate::orders::{self, Initiative};
use crate::{HostSet, arch, cpu_model, fixtures, host_state, memory, memory_used, networks, storage, vcpus, vm_state};

/// What is promised on a host, moves in flight counted on both ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Sizes of the VMs that live there or are arriving.
    pub memory: Bytes,
    /// Their virtual CPUs.
    pub vcpus: u64,
    /// What the processes of the arriving ones hold, so far as it must still be found on the host.
    pub arriving: Bytes,
    /// Moves to and from it.
    pub moves: u32,
}

/// What a host can give at most.
#[derive(Clone, Copy, Debug)]
struct Limit {
    memory: Bytes,
    vcpus: u64,
    available: Option<Bytes>,
}

/// What a host can still give in one state: small and plain, for those who look at a thousand of them for each VM.
///
/// Less than nothing when more is promised than may be; then not even a VM of no size fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    memory: i64,
    really: i64,
    vcpus: i64,
}

/// The first thing that keeps a VM from a host: small, for counting. [`State::reason`] makes the sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blocker {
    /// It is there already.
    AlreadyThere,
    /// The host's data is not believed.
    HostDoubted,
    /// The host does not answer.
    HostUnreachable,
    /// The host is in maintenance.
    HostInMaintenance,
    /// The host is excluded from automatic moves.
    HostExcluded,
    /// Another architecture.
    Arch,
    /// The host has not said whether it offers the CPU.
    CpuUnknown,
    /// The host does not offer the CPU.
    CpuMissing,
    /// A network is missing.
    Network,
    /// A storage is missing.
    Storage,
    /// A rule binds the VM to other hosts.
    Pinned,
    /// No room for its memory.
    Memory,
    /// Really no memory available.
    MemoryUsed,
    /// Too many virtual CPUs.
    Vcpus,
}

impl Blocker {
    /// How many there are: `blocker as usize` is below it.
    pub const COUNT: usize = 14;
}

/// What a VM asks of hosts, in numbers.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Which VM.
    pub vm: VmIx,
    /// Whose idea the move is.
    pub initiative: Initiative,
    /// The hosts that offer all that it needs and that no rule forbids, whatever their load.
    pub allowed: HostSet,
    /// The sets whose intersection `allowed` is, with what is missing outside of each.
    parts: Vec<(Blocker, u32)>,
    home: HostIx,
    asks: Room,
}

/// Something that a VM can ask of a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ask<'s> {
    Arch(&'s str),
    CpuAsked(&'s CpuNeed),
    CpuOffered(&'s CpuNeed),
    Network(&'s str),
    Storage(&'s str),
    Rule(usize),
}

/// One state of the cluster.
#[derive(Debug)]
pub struct State<'s> {
    snapshot: &'s Snapshot,
    rulebook: &'s Rulebook,
    doubts: Doubts<'s>,
    limits: Vec<Limit>,
    loads: Vec<Load>,
    moving: Vec<VmIx>,
    moves: u32,
    closed: [Vec<Option<Blocker>>; 2],
    sets: Vec<HostSet>,
    set_of: BTreeMap<Ask<'s>, u32>,
}

impl<'s> State<'s> {
    /// The state that the snapshot shows. The snapshot must be without [`Snapshot::flaw`]; linear in hosts, VMs and rules.
    pub fn new(snapshot: &'s Snapshot, rulebook: &'s Rulebook) -> Self {
        let limits = snapshot.hosts.iter().map(|host| Limit {
            memory: memory::limit(host, &rulebook.capacity),
            vcpus: vcpus::limit(host, &rulebook.capacity),
            available: memory_used::available(host),
        });
        let doubts = Doubts::new(snapshot);
        let closed = [Initiative::Automatic, Initiative::ByHand].map(|initiative| {
            snapshot
                .hosts_ix()
                .map(|(ix, _)| closed_by(snapshot, rulebook, &doubts, ix, initiative).map(|c| c.0))
                .collect()
        });
        let mut state = State {
            snapshot,
            rulebook,
            doubts,
            limits: limits.collect(),
            loads: vec![Load::default(); snapshot.hosts.len()],
            moving: snapshot.in_flight.iter().map(|flight| flight.vm).collect(),
            moves: snapshot.in_flight.len() as u32,
            closed,
            sets: Vec::new(),
            set_of: BTreeMap::new(),
        };
        state.moving.sort();
        for (ix, vm) in snapshot.vms_ix() {
            state.add(ix, vm.host);
        }
        for flight in &snapshot.in_flight {
            state.loads[flight.from.at()].moves += 1;
            if let Some(to) = flight.to {
                state.arrive(flight.vm, to);
            }
        }
        state
    }

    /// What is promised on each host.
    pub fn hosts(&self) -> &[Load] {
        &self.loads
    }
    /// What is promised on one host.
    pub fn load(&self, host: HostIx) -> Load {
        self.loads[host.at()]
    }
    /// Moves in this state, in all.
    pub fn moves(&self) -> u32 {
        self.moves
    }
    /// The snapshot behind it.
    pub fn snapshot(&self) -> &'s Snapshot {
        self.snapshot
    }
    /// The rulebook behind it.
    pub fn rulebook(&self) -> &'s Rulebook {
        self.rulebook
    }
    /// The snapshot's doubts.
    pub fn doubts(&self) -> &Doubts<'s> {
        &self.doubts
    }

    /// Counts the VM on the host.
    pub fn add(&mut self, vm: VmIx, host: HostIx) {
        let (vm, load) = (self.snapshot.vm(vm), &mut self.loads[host.at()]);
        load.memory += vm.memory;
        load.vcpus = load.vcpus.saturating_add(u64::from(vm.vcpus));
    }
    /// Counts the VM on the host no more.
    pub fn remove(&mut self, vm: VmIx, host: HostIx) {
        let (vm, load) = (self.snapshot.vm(vm), &mut self.loads[host.at()]);
        load.memory = load.memory.saturating_sub(vm.memory);
        load.vcpus = load.vcpus.saturating_sub(u64::from(vm.vcpus));
    }
    /// Begins a move: from now on the VM counts on both hosts and is moving.
    pub fn begin(&mut self, vm: VmIx, to: HostIx) {
        self.loads[self.snapshot.vm(vm).host.at()].moves += 1;
        self.arrive(vm, to);
        self.moves += 1;
        if let Err(place) = self.moving.binary_search(&vm) {
            self.moving.insert(place, vm);
        }
    }
    fn arrive(&mut self, vm: VmIx, to: HostIx) {
        self.add(vm, to);
        let load = &mut self.loads[to.at()];
        load.arriving += memory_used::held(self.snapshot.vm(vm));
        load.moves += 1;
    }

    /// What the VM asks of hosts. Costs a set for each thing that no VM before has asked for.
    pub fn profile(&mut self, ix: VmIx, initiative: Initiative) -> Profile {
        let vm = self.snapshot.vm(ix);
        let mut parts = Vec::new();
        if let Some(needs) = &vm.needs {
            parts.push((Blocker::Arch, self.set(Ask::Arch(&needs.arch))));
            parts.push((Blocker::CpuUnknown, self.set(Ask::CpuAsked(&needs.cpu))));
            parts.push((Blocker::CpuMissing, self.set(Ask::CpuOffered(&needs.cpu))));
            parts.extend(needs.networks.iter().map(|network| (Blocker::Network, self.set(Ask::Network(network)))));
            parts.extend(needs.storage.iter().map(|storage| (Blocker::Storage, self.set(Ask::Storage(storage)))));
        }
        for (i, rule) in self.rulebook.rules.iter().enumerate() {
            if orders::binds(rule, vm) {
                parts.push((Blocker::Pinned, self.set(Ask::Rule(i))));
            }
        }
        let mut allowed = HostSet::all(self.snapshot.hosts.len());
        for (_, set) in &parts {
            allowed.intersect(&self.sets[*set as usize]);
        }
        Profile {
            vm: ix,
            initiative,
            allowed,
            parts,
            home: vm.host,
            asks: Room {
                memory: small(vm.memory.0),
                really: small(memory_used::held(vm).0),
                vcpus: i64::from(vm.vcpus),
            },
        }
    }

    fn set(&mut self, ask: Ask<'s>) -> u32 {
        if let Some(known) = self.set_of.get(&ask) {
            return *known;
        }
        let hosts = &self.snapshot.hosts;
        let set = HostSet::of(hosts.len(), |ix| {
            let host = &hosts[ix.at()];
            match ask {
                Ask::Arch(name) => arch::offered(host, name),
                Ask::CpuAsked(need) => host.cpu_verdicts.contains_key(need),
                Ask::CpuOffered(need) => cpu_model::offered(host, need),
                Ask::Network(name) => networks::offered(host, name),
                Ask::Storage(name) => storage::offered(host, name),
                Ask::Rule(i) => orders::lets_be_on(&self.rulebook.rules[i], host),
            }
        });
        self.sets.push(set);
        let number = self.sets.len() as u32 - 1;
        self.set_of.insert(ask, number);
        number
    }

    /// The first thing that keeps the VM from the host; `None`: it may go there. Integers only.
    pub fn blocker(&self, profile: &Profile, to: HostIx) -> Option<Blocker> {
        if to == profile.home {
            return Some(Blocker::AlreadyThere);
        }
        if let Some(closed) = self.closed[profile.initiative as usize][to.at()] {
            return Some(closed);
        }
        if !profile.allowed.contains(to) {
            return profile.parts.iter().find(|(_, set)| !self.sets[*set as usize].contains(to)).map(|part| part.0);
        }
        self.room(to).blocker(profile)
    }

    /// What the host can still give.
    pub fn room(&self, host: HostIx) -> Room {
        let (load, limit) = (&self.loads[host.at()], &self.limits[host.at()]);
        Room {
            memory: left(limit.memory.0, load.memory.0),
            really: limit.available.map_or(-1, |available| left(available.0, load.arriving.0)),
            vcpus: left(limit.vcpus, load.vcpus),
        }
    }

    /// What closes the host to all arrivals, if anything does.
    pub fn closed(&self, host: HostIx, initiative: Initiative) -> Option<Blocker> {
        self.closed[initiative as usize][host.at()]
    }

    /// Leaves in `hosts` only those that the profile allows. Tells for each blocker how many it took out, and the first of them.
    pub fn sift(&self, profile: &Profile, hosts: &mut HostSet, mut taken_out: impl FnMut(Blocker, u32, HostIx)) {
        for (blocker, set) in &profile.parts {
            let mut without = hosts.clone();
            without.subtract(&self.sets[*set as usize]);
            if let Some(first) = without.iter().next() {
                taken_out(*blocker, without.len() as u32, first);
                hosts.subtract(&without);
            }
        }
    }

    /// Why nothing can leave the host, if so.
    pub fn gives_nothing(&self, ix: HostIx, initiative: Initiative) -> Option<Reason> {
        let host = self.snapshot.host(ix);
        let doubt = self.doubts.everything.or(self.doubts.of_host(&host.name)).cloned();
        let rules = &self.rulebook.rules;
        doubt
            .or_else(|| host_state::gives_nothing(host))
            .or_else(|| rules.iter().find_map(|rule| orders::host_gives_nothing(rule, host, initiative)))
    }

    /// Why the VM cannot leave its host, wherever to; empty when it can.
    pub fn vm_stays(&self, ix: VmIx, initiative: Initiative) -> Vec<Reason> {
        let vm = self.snapshot.vm(ix);
        let home = self.snapshot.host(vm.host);
        let mut reasons: Vec<Reason> = Vec::new();
        reasons.extend(self.doubts.everything.cloned());
        reasons.extend(self.doubts.of_host(&home.name).cloned());
        match self.doubts.of_vm(vm.id) {
            Some(doubt) => reasons.push(doubt.clone()),
            None => reasons.extend(vm_state::unread(vm)),
        }
        reasons.extend(host_state::gives_nothing(home));
        reasons.extend(vm_state::reason(vm));
        reasons.extend(fixtures::reasons(vm));
        if self.moving.binary_search(&ix).is_ok() {
            reasons.push(Reason::Moving {});
        }
        for rule in &self.rulebook.rules {
            reasons.extend(orders::host_gives_nothing(rule, home, initiative));
            reasons.extend(orders::vm_stays(rule, vm, initiative));
        }
        reasons
    }

    /// Every reason why the VM cannot go to that host now; empty when it can.
    pub fn why_not(&self, ix: VmIx, to: HostIx, initiative: Initiative) -> Vec<Reason> {
        let mut reasons = self.vm_stays(ix, initiative);
        let (vm, host) = (self.snapshot.vm(ix), self.snapshot.host(to));
        if vm.host == to {
            reasons.push(Reason::AlreadyThere { host: host.name.clone() });
            return reasons;
        }
        reasons.extend(closed_by(self.snapshot, self.rulebook, &self.doubts, to, initiative).map(|closed| closed.1));
        if let Some(needs) = &vm.needs {
            reasons.extend(arch::reason(host, needs));
            reasons.extend(cpu_model::reason(host, &needs.cpu));
            reasons.extend(networks::reasons(host, needs));
            reasons.extend(storage::reasons(host, needs));
        }
        let binding = self.rulebook.rules.iter().filter(|rule| orders::binds(rule, vm));
        reasons.extend(binding.filter_map(|rule| orders::reason(rule, host)));
        let (load, limit, held) = (self.load(to), &self.limits[to.at()], memory_used::held(vm));
        if !memory::fits(load.memory, vm.memory, limit.memory) {
            reasons.push(memory::reason(host, load.memory, vm.memory, limit.memory));
        }
        if !memory_used::fits(limit.available, load.arriving, held) {
            reasons.push(memory_used::reason(host, limit.available, load.arriving, held));
        }
        if !vcpus::fits(load.vcpus, vm.vcpus, limit.vcpus) {
            reasons.push(vcpus::reason(host, load.vcpus, vm.vcpus, limit.vcpus));
        }
        reasons
    }

    /// Whether the VM may go to that host now.
    pub fn admits(&mut self, vm: VmIx, to: HostIx, initiative: Initiative) -> bool {
        let profile = self.profile(vm, initiative);
        self.vm_stays(vm, initiative).is_empty() && self.blocker(&profile, to).is_none()
    }

    /// The sentence for a blocker that [`State::blocker`] gave for this VM and host in this state.
    pub fn reason(&self, blocker: Blocker, ix: VmIx, to: HostIx, initiative: Initiative) -> Reason {
        let (vm, host) = (self.snapshot.vm(ix), self.snapshot.host(to));
        let (load, limit, held) = (self.load(to), &self.limits[to.at()], memory_used::held(vm));
        let needs = vm.needs.as_ref();
        let binding = || self.rulebook.rules.iter().filter(|rule| orders::binds(rule, vm));
        let found = match blocker {
            Blocker::AlreadyThere => None,
            Blocker::HostDoubted | Blocker::HostUnreachable | Blocker::HostInMaintenance | Blocker::HostExcluded => {
                closed_by(self.snapshot, self.rulebook, &self.doubts, to, initiative).map(|closed| closed.1)
            }
            Blocker::Arch => needs.and_then(|needs| arch::reason(host, needs)),
            Blocker::CpuUnknown | Blocker::CpuMissing => needs.and_then(|needs| cpu_model::reason(host, &needs.cpu)),
            Blocker::Network => needs.and_then(|needs| networks::reasons(host, needs).next()),
            Blocker::Storage => needs.and_then(|needs| storage::reasons(host, needs).next()),
            Blocker::Pinned => binding().find_map(|rule| orders::reason(rule, host)),
            Blocker::Memory => Some(memory::reason(host, load.memory, vm.memory, limit.memory)),
            Blocker::MemoryUsed => Some(memory_used::reason(host, limit.available, load.arriving, held)),
            Blocker::Vcpus => Some(vcpus::reason(host, load.vcpus, vm.vcpus, limit.vcpus)),
        };
        found.unwrap_or_else(|| Reason::AlreadyThere { host: host.name.clone() })
    }
}

impl Room {
    /// Whose memory, memory in use or virtual CPUs do not fit; the integers of [`memory::fits`] and its like.
    pub fn blocker(&self, profile: &Profile) -> Option<Blocker> {
        if profile.asks.memory > self.memory {
            Some(Blocker::Memory)
        } else if profile.asks.really > self.really {
            Some(Blocker::MemoryUsed)
        } else if profile.asks.vcpus > self.vcpus {
            Some(Blocker::Vcpus)
        } else {
            None
        }
    }
}

/// What is left of a limit, negative when it is passed. Never so much that [`small`]'s largest fits.
fn left(limit: u64, taken: u64) -> i64 {
    let left = i128::from(limit) - i128::from(taken);
    left.clamp(i128::from(i64::MIN), i128::from(i64::MAX - 1)) as i64
}

fn small(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// What closes the host to all arrivals, if anything, short and as a sentence.
fn closed_by(
    snapshot: &Snapshot,
    rulebook: &Rulebook,
    doubts: &Doubts<'_>,
    ix: HostIx,
    initiative: Initiative,
) -> Option<(Blocker, Reason)> {
    let host = snapshot.host(ix);
    if let Some(doubt) = doubts.everything.or(doubts.of_host(&host.name)) {
        return Some((Blocker::HostDoubted, doubt.clone()));
    }
    if let Some(reason) = host_state::takes_nothing(host) {
        let maintenance = matches!(reason, Reason::Maintenance { .. });
        return Some((if maintenance { Blocker::HostInMaintenance } else { Blocker::HostUnreachable }, reason));
    }
    rulebook.rules.iter().find_map(|rule| {
        let reason = orders::host_takes_nothing(rule, host, initiative)?;
        let maintenance = rule.kind == RuleKind::Maintenance;
        Some((if maintenance { Blocker::HostInMaintenance } else { Blocker::HostExcluded }, reason))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ulm_model::*;

    use super::*;
    use crate::testing::{host, rulebook, vm};

    fn three_hosts() -> Snapshot {
        Snapshot {
            taken_at: Time(0),
            hosts: ["a", "b", "c"].map(host).into(),
            vms: (1..=4).map(|i| vm(i, u32::from(i > 2))).collect(),
            ..Snapshot::default()
        }
    }

    fn codes(reasons: &[Reason]) -> Vec<&'static str> {
        reasons.iter().map(Reason::code).collect()
    }

    #[test]
    fn a_vm_in_flight_counts_on_both_hosts() {
        let mut snapshot = three_hosts();
        snapshot.in_flight.push(InFlight { vm: VmIx(0), from: HostIx(0), to: Some(HostIx(2)), since: Time(0) });
        let rulebook = rulebook();
        let state = State::new(&snapshot, &rulebook);
        assert_eq!(state.load(HostIx(0)).memory, Bytes::gib(8));
        assert_eq!(state.load(HostIx(2)), Load { memory: Bytes::gib(4), vcpus: 2, arriving: Bytes::gib(3), moves: 1 });
        assert_eq!(codes(&state.vm_stays(VmIx(0), Initiative::ByHand)), ["vm.moving"]);
    }

    #[test]
    fn seventy_gigabytes_of_vms_are_not_sent_to_a_host_with_fifty_eight() {
        let mut snapshot = three_hosts();
        snapshot.hosts[2].memory = Bytes::gib(58);
        snapshot.vms =
            (1..=7).map(|i| Vm { memory: Bytes::gib(10), memory_use: Recent::default(), ..vm(i, 0) }).collect();
        let rulebook = rulebook();
        let mut state = State::new(&snapshot, &rulebook);
        let mut sent = 0;
        for i in 0..7 {
            if state.admits(VmIx(i), HostIx(2), Initiative::Automatic) {
                state.begin(VmIx(i), HostIx(2));
                sent += 1;
            }
        }
        assert_eq!(sent, 5, "8 GiB of the 58 are in use, so 50 can be filled");
        assert_eq!(
            codes(&state.why_not(VmIx(6), HostIx(2), Initiative::Automatic)),
            ["capacity.memory", "capacity.memory_used"]
        );
    }

    #[test]
    fn every_obstacle_is_named_at_once() {
        let mut snapshot = three_hosts();
        snapshot.hosts[2] = Host {
            state: HostState::Maintenance,
            platform: Platform { arch: "aarch64".into(), ..Platform::default() },
            networks: Default::default(),
            storage: Default::default(),
            memory: Bytes::gib(2),
            cpu: MilliCpu(250),
            cpu_verdicts: Default::default(),
            ..host("c")
        };
        let mut rulebook = rulebook();
        rulebook.rules.push(Rule {
            name: "stay".into(),
            kind: RuleKind::Pin,
            soft: false,
            vms: VmSelector { name: vec!["*".into()], tag: vec![] },
            hosts: HostSelector { name: vec!["a".into()], tag: vec![] },
        });
        let state = State::new(&snapshot, &rulebook);
        assert_eq!(
            codes(&state.why_not(VmIx(0), HostIx(2), Initiative::Automatic)),
            [
                "host.maintenance",
                "platform.arch",
                "data.cpu_unknown",
                "platform.network",
                "platform.storage",
                "rule.pinned",
                "capacity.memory",
                "capacity.memory_used",
                "capacity.cpu"
            ]
        );
    }

    #[test]
    fn what_is_begun_is_deducted_from_what_is_asked_next() {
        let snapshot = three_hosts();
        let mut rulebook = rulebook();
        rulebook.capacity.memory_reserve = Bytes::gib(58);
        let mut state = State::new(&snapshot, &rulebook);
        assert!(state.admits(VmIx(0), HostIx(2), Initiative::Automatic));
        state.begin(VmIx(0), HostIx(2));
        assert_eq!(codes(&state.why_not(VmIx(1), HostIx(2), Initiative::Automatic)), ["capacity.memory"]);
        state.remove(VmIx(0), HostIx(2));
        assert!(state.admits(VmIx(1), HostIx(2), Initiative::Automatic));
    }

    /// Any small cluster with any obstacles.
    fn clusters() -> impl Strategy<Value = (Snapshot, Rulebook)> {
        let one = (0u8..8, 1u64..40, 0u64..40, 0u8..3, 1u32..12);
        (proptest::collection::vec(one.clone(), 1..5), proptest::collection::vec(one, 1..9), 0u8..8).prop_map(
            |(hosts, vms, rules)| {
                let mut snapshot = Snapshot::default();
                for (i, (kind, gib, used, odd, cpus)) in hosts.iter().enumerate() {
                    let mut host = host(&format!("h{i}"));
                    host.memory = Bytes::gib(*gib);
                    host.memory_use = Recent(vec![Figure { value: Bytes::gib(*used.min(gib)), at: Time(0) }]);
                    host.cpu = MilliCpu::cpus(*cpus);
                    match kind {
                        0 => host.state = HostState::Maintenance,
                        1 => host.networks.clear(),
                        2 => host.storage.clear(),
                        3 => host.cpu_verdicts.clear(),
                        _ => {}
                    }
                    if *odd == 0 {
                        snapshot.doubts.push(Doubt {
                            scope: Scope::Host(host.name.clone()),
                            reason: Reason::CpuUnknown { host: host.name.clone() },
                        });
                    }
                    snapshot.hosts.push(host);
                }
                for (i, (kind, gib, held, odd, vcpus)) in vms.iter().enumerate() {
                    let home = HostIx(i as u32 % hosts.len() as u32);
                    let mut vm = vm(i as u128, home.0);
                    vm.memory = Bytes::gib(*gib / 2);
                    vm.memory_use = Recent(vec![Figure { value: Bytes::gib(*held / 2), at: Time(0) }]);
                    vm.vcpus = *vcpus;
                    let to = HostIx((i as u32 + 1) % hosts.len() as u32);
                    match kind {
                        0 => vm.needs = None,
                        1 => vm.state = VmState::Other,
                        2 if to != home => snapshot.in_flight.push(InFlight {
                            vm: VmIx(i as u32),
                            from: home,
                            to: (*odd > 0).then_some(to),
                            since: Time(0),
                        }),
                        _ => {}
                    }
                    snapshot.vms.push(vm);
                }
                let mut rulebook = rulebook();
                let kinds = [RuleKind::Exclude, RuleKind::Pin, RuleKind::KeepOff, RuleKind::Maintenance];
                rulebook.rules.push(Rule {
                    name: "r".into(),
                    kind: kinds[rules as usize % 4].clone(),
                    soft: false,
                    vms: VmSelector { name: vec!["vm-?".into()], tag: vec![] },
                    hosts: HostSelector { name: (rules > 3).then(|| "h?".into()).into_iter().collect(), tag: vec![] },
                });
                (snapshot, rulebook)
            },
        )
    }

    proptest! {
        #[test]
        fn the_quick_answer_and_the_full_one_agree((snapshot, rulebook) in clusters()) {
            prop_assert_eq!(snapshot.flaw(), None);
            let mut state = State::new(&snapshot, &rulebook);
            for initiative in [Initiative::Automatic, Initiative::ByHand] {
                for (vm, _) in snapshot.vms_ix() {
                    let profile = state.profile(vm, initiative);
                    let mut sifted = HostSet::all(snapshot.hosts.len());
                    let mut out = 0;
                    state.sift(&profile, &mut sifted, |_, hosts, _| out += hosts);
                    prop_assert_eq!(&sifted, &profile.allowed);
                    prop_assert_eq!(sifted.len() + out as usize, snapshot.hosts.len());
                    for (host, _) in snapshot.hosts_ix() {
                        let stays = state.vm_stays(vm, initiative).len();
                        let all = state.why_not(vm, host, initiative);
                        match state.blocker(&profile, host) {
                            None => prop_assert_eq!(all.len(), stays, "{:?}", all),
                            Some(blocker) => {
                                let reason = state.reason(blocker, vm, host, initiative);
                                prop_assert!(all[stays..].contains(&reason), "{:?} not in {:?}", reason, all);
                            }
                        }
                    }
                }
            }
        }
    }
}
