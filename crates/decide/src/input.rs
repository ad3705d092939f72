//! Everything that a decision may see.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ulm_forecast::Outlook;
use ulm_model::ledger::{Entry, Event, Found, MoveKey, Outcome};
use ulm_model::text::Document;
use ulm_model::{Acting, HostName, PastMove, Snapshot, Time, VmId, VmIx};
use ulm_rules::Moment;

/// One value with everything that a decision may see, the policy aside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// What was observed. Moves that ULM has begun must be among [`Snapshot::in_flight`], even if no hypervisor shows them yet.
    pub snapshot: Snapshot,
    /// The present time.
    pub now: Time,
    /// Whether plans of the policy are carried out. Reported, and without any influence on the plan.
    pub acting: Acting,
    /// What happened to VMs and hosts before.
    pub past: Past,
    /// What is expected of each VM, in the order of [`Snapshot::vms`]; `None`: too little is known of it. Empty: of none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outlooks: Vec<Option<Outlook>>,
}

impl Document for Input {
    const SCHEMA: &'static str = "ulm.input/2";
}

/// What happened before, so far as it bears on what may be done next. Rebuilt from the ledger after a restart with [`Past::note`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// By VM. A VM that nothing happened to needs no entry.
    pub vms: BTreeMap<VmId, VmPast>,
    /// When a host last took part in a move that ended.
    pub hosts: BTreeMap<HostName, Time>,
    /// Moves that ended within [`ulm_model::Rulebook::REMEMBERED`], oldest first: what budgets count.
    #[serde(default)]
    pub moves: Vec<PastMove>,
}

/// What happened to a VM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmPast {
    /// When it was moved, oldest first; at most [`VmPast::KEPT`].
    pub moved: Vec<Time>,
    /// When it came to its host, if ULM saw it come (by a move or by starting). `None`: it was there when ULM first looked.
    pub came: Option<Time>,
    /// When it last left each host that it was moved away from.
    pub left: BTreeMap<HostName, Time>,
    /// Moves that failed since the last one that succeeded.
    pub failures: u32,
    /// When the last of them failed.
    pub failed_at: Option<Time>,
    /// Targets on which they failed.
    pub failed_on: BTreeSet<HostName>,
}

impl VmPast {
    /// So many of a VM's moves are remembered: enough to double a cool-down up to its bound.
    pub const KEPT: usize = 16;
}

impl Input {
    /// An input for the present, without forecasts.
    pub fn new(snapshot: Snapshot, now: Time, acting: Acting, past: Past) -> Self {
        Input { snapshot, now, acting, past, outlooks: Vec::new() }
    }

    /// The same with what is expected of the VMs, in the order of [`Snapshot::vms`].
    pub fn with_outlooks(self, outlooks: Vec<Option<Outlook>>) -> Self {
        Input { outlooks, ..self }
    }

    /// The present and the past, as rules look at them.
    pub(crate) fn moment(&self) -> Moment<'_> {
        Moment { now: self.now, past: &self.past.moves }
    }

    /// What is expected of a VM, if enough is known of it.
    pub fn outlook(&self, vm: VmIx) -> Option<&Outlook> {
        self.outlooks.get(vm.at())?.as_ref()
    }
}

impl Past {
    /// Takes in what a ledger entry says. Called for each entry in the ledger's order, at the start and later.
    ///
    /// Only ends count: what was merely intended, refused or is not known yet is no move (and a dry run writes none).
    pub fn note(&mut self, entry: &Entry) {
        match &entry.event {
            Event::MoveEnded { r#move, outcome, cost } => self.ended(r#move, outcome, cost.downtime_ms, entry.at),
            Event::MoveReconciled { r#move, found: Found::Ended { outcome } } => {
                self.ended(r#move, outcome, None, entry.at)
            }
            Event::Arrived { vm, host, from, .. } => {
                self.came(*vm, entry.at);
                // Somebody else's move changes what both hosts show as much as one of ours does. A start only adds load, which
                // has to last before it counts.
                if let Some(from) = from {
                    self.changed([host, from], entry.at);
                }
            }
            _ => {}
        }
    }

    /// Takes in that a VM was seen on a host on which it was not a round before: it was started there, or somebody else moved it.
    pub fn came(&mut self, vm: VmId, at: Time) {
        self.vms.entry(vm).or_default().came = Some(at);
    }

    /// Forgets what has no effect any more: VMs whose last event is older than `before`, except those that have failed moves.
    pub fn forget(&mut self, before: Time) {
        self.vms.retain(|_, vm| {
            vm.left.retain(|_, left| *left >= before);
            let last = vm.moved.last().copied().max(vm.came);
            vm.failures > 0 || last.is_some_and(|last| last >= before)
        });
        self.hosts.retain(|_, changed| *changed >= before);
        self.moves.retain(|past| past.ended >= before);
    }

    fn ended(&mut self, key: &MoveKey, outcome: &Outcome, downtime_ms: Option<u64>, at: Time) {
        match outcome {
            Outcome::Moved => self.moved(key, Duration::from_millis(downtime_ms.unwrap_or(0)), at),
            Outcome::Stayed { .. } => self.failed(key, at),
            Outcome::Gone { .. } | Outcome::Doubled { .. } | Outcome::Unknown { .. } => {}
        }
    }

    fn moved(&mut self, key: &MoveKey, downtime: Duration, at: Time) {
        self.moves.push(PastMove { vm: key.vm, ended: at, downtime });
        let vm = self.vms.entry(key.vm).or_default();
        vm.moved.push(at);
        let surplus = vm.moved.len().saturating_sub(VmPast::KEPT);
        vm.moved.drain(..surplus);
        (vm.came, vm.failures, vm.failed_at) = (Some(at), 0, None);
        vm.failed_on.clear();
        vm.left.insert(key.from.clone(), at);
        self.changed([&key.from, &key.to], at);
    }

    /// Takes in that what these hosts show has changed: a move between them is over, whether the ledger says so already or not.
    pub fn changed(&mut self, hosts: [&HostName; 2], at: Time) {
        for host in hosts {
            let changed = self.hosts.entry(host.clone()).or_insert(at);
            *changed = at.max(*changed);
        }
    }

    fn failed(&mut self, key: &MoveKey, at: Time) {
        let vm = self.vms.entry(key.vm).or_default();
        vm.failures = vm.failures.saturating_add(1);
        vm.failed_at = Some(at);
        vm.failed_on.insert(key.to.clone());
    }
}

/// `base`, doubled `times` times, but at most a day (or `base`, if that is longer).
pub(crate) fn doubled(base: Duration, times: u32) -> Duration {
    const DAY: Duration = Duration::from_secs(86_400);
    let factor = 1u32.checked_shl(times).unwrap_or(u32::MAX);
    base.saturating_mul(factor).min(DAY.max(base))
}

#[cfg(test)]
mod tests {
    use ulm_model::ledger::MoveCost;
    use ulm_model::{PlanId, Reason, StepId};

    use super::*;

    fn entry(at: i64, event: impl FnOnce(MoveKey) -> Event) -> Entry {
        let key = MoveKey {
            plan: PlanId("p".into()),
            step: StepId(0),
            vm: VmId(uuid::Uuid::from_u128(1)),
            vm_name: "vm".into(),
            from: "a".into(),
            to: "b".into(),
        };
        Entry { seq: 1, at: Time(at), event: event(key) }
    }

    fn ended(at: i64, outcome: Outcome) -> Entry {
        entry(at, |r#move| Event::MoveEnded { r#move, outcome, cost: MoveCost::default() })
    }

    #[test]
    fn only_ends_count_as_moves() {
        let mut past = Past::default();
        past.note(&entry(1, |r#move| Event::MoveIntended { r#move, because: Reason::Calm {}, expected: None }));
        past.note(&entry(2, |r#move| Event::MoveRefused { r#move, reason: Reason::Calm {} }));
        past.note(&ended(3, Outcome::Unknown { error: "no answer".into() }));
        assert_eq!(past, Past::default());
        past.note(&ended(4, Outcome::Moved));
        let vm = past.vms.values().next().unwrap();
        assert_eq!((vm.moved.as_slice(), vm.came), ([Time(4)].as_slice(), Some(Time(4))));
        assert_eq!(past.hosts, [("a".into(), Time(4)), ("b".into(), Time(4))].into());
    }

    #[test]
    fn what_somebody_else_moved_is_new_on_its_host_but_not_cooling_down() {
        let mut past = Past::default();
        let arrived = |from: Option<&str>| Event::Arrived {
            vm: VmId(uuid::Uuid::from_u128(1)),
            vm_name: "vm".into(),
            host: "b".into(),
            from: from.map(HostName::from),
        };
        past.note(&Entry { seq: 1, at: Time(1), event: arrived(None) });
        let vm = past.vms.values().next().unwrap();
        assert_eq!((vm.came, vm.moved.len(), past.hosts.len()), (Some(Time(1)), 0, 0));
        past.note(&Entry { seq: 2, at: Time(2), event: arrived(Some("a")) });
        assert_eq!(past.hosts.len(), 2);
    }

    #[test]
    fn a_failed_move_is_remembered_until_one_succeeds() {
        let mut past = Past::default();
        for at in 1..=3 {
            past.note(&ended(at, Outcome::Stayed { error: "no".into() }));
        }
        let vm = past.vms.values().next().unwrap();
        assert_eq!((vm.failures, vm.failed_at), (3, Some(Time(3))));
        assert!(vm.failed_on.contains(&"b".into()) && past.hosts.is_empty());
        past.note(&ended(4, Outcome::Moved));
        let vm = past.vms.values().next().unwrap();
        assert!(vm.failures == 0 && vm.failed_at.is_none() && vm.failed_on.is_empty());
    }

    #[test]
    fn what_has_no_effect_any_more_is_forgotten_and_failures_are_not() {
        let mut past = Past::default();
        past.note(&ended(10, Outcome::Moved));
        past.forget(Time(10));
        assert_eq!(past.vms.len(), 1);
        past.note(&ended(11, Outcome::Stayed { error: "no".into() }));
        past.forget(Time(100));
        assert_eq!((past.vms.len(), past.hosts.len()), (1, 0));
    }

    #[test]
    fn doubling_ends_at_a_day() {
        let half_hour = Duration::from_secs(1800);
        assert_eq!(doubled(half_hour, 0), half_hour);
        assert_eq!(doubled(half_hour, 2), half_hour * 4);
        assert_eq!(doubled(half_hour, 500), Duration::from_secs(86_400));
        assert_eq!(doubled(Duration::from_secs(100_000), 3), Duration::from_secs(100_000));
    }
}
