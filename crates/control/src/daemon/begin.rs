//! The beginning of steps. Before one begins, its two hosts are asked again and the checker judges it, alone, by what they say.
//!
//! What is in the way only while other moves run waits; what breaks anything else is refused.

use std::collections::BTreeSet;
use std::time::Duration;

use ulm_check::{Fault, Grounds, check_beginning};
use ulm_model::ledger::{Event, MoveKey};
use ulm_model::{Action, Expected, HostName, InFlight, Plan, Reason, Snapshot, Step, StepId};

use super::{Core, Daemon};
use crate::executor::How;

/// A step that is held back is given up when nothing of its plan has run for so long. The facts that the plan was made from are
/// minutes old then, and the policy makes no new plan as long as steps of an old one wait.
const PATIENCE: Duration = Duration::from_secs(300);

impl Daemon {
    /// Begins every ready step that its two hosts, asked again, and the checker allow. Afterwards no step is ready.
    pub(super) async fn begin_ready(&mut self) {
        loop {
            let ready = self.core.ready();
            if ready.is_empty() {
                return;
            }
            let hosts: BTreeSet<HostName> =
                ready.iter().flat_map(|(key, _)| [key.from.clone(), key.to.clone()]).collect();
            let mut snapshot = self.observe(Some(&hosts)).await;
            // Switching off while the hosts were asked has refused some. What has become ready meanwhile is judged by newer facts.
            let still: BTreeSet<StepName> = self.core.executor.ready().iter().map(|(key, _)| name(key)).collect();
            for (key, because) in ready.into_iter().filter(|(key, _)| still.contains(&name(key))) {
                self.core.begin_or_hold(&key, because, &mut snapshot);
            }
            self.core.published.snapshot = std::sync::Arc::new(snapshot);
        }
    }
}

impl Core {
    /// The ready steps; none when as many moves of ours run as may: that needs no look at the hosts.
    fn ready(&mut self) -> Vec<(MoveKey, Reason)> {
        let ready = self.executor.ready();
        let (moves, limit) = (self.executor.open_moves() as u32, self.policy().limits.moves);
        if moves < limit {
            return ready;
        }
        for (key, _) in ready {
            self.executor.hold(&key, Reason::AllBusy { moves, limit });
        }
        Vec::new()
    }

    /// Begins a step and counts it in the snapshot, refuses it, or lets it wait.
    fn begin_or_hold(&mut self, key: &MoveKey, because: Reason, snapshot: &mut Snapshot) {
        // Taken out while the hosts were asked.
        if self.maintenance.contains(&key.to) {
            return self.refuse(key, Reason::Maintenance { host: key.to.clone() });
        }
        if let Err(fault) = self.may_begin(&one_step(key, &because, self.executor.expected(key), snapshot), snapshot) {
            return match passing(&fault, snapshot) {
                Some(limit) => self.executor.hold(key, limit),
                None => self.refuse(key, Reason::CheckRefused { sentence: fault.to_string() }),
            };
        }
        self.begin(key, because, How::Begin, self.clock.now());
        let (vm, from) = (snapshot.find_vm(key.vm), snapshot.find_host(&key.from));
        if let (Some(vm), Some(from)) = (vm, from) {
            let to = snapshot.find_host(&key.to);
            snapshot.in_flight.push(InFlight { vm, from, to, since: snapshot.taken_at });
            snapshot.in_flight.sort_by_key(|flight| flight.vm);
        }
    }

    fn may_begin(&self, plan: &Plan, snapshot: &Snapshot) -> Result<(), Fault> {
        let ((rulebook, _), past) = (self.policy().rulebook_for(snapshot), self.books.past().moves);
        let grounds =
            Grounds { snapshot, digest: &plan.parent, rulebook: &rulebook, now: self.clock.now(), past: &past };
        check_beginning(plan, &grounds).map(|_| ())
    }

    /// Once in a round: gives up what has been held back for too long, and lets the rest try again. Others' moves may have ended.
    pub(super) fn try_held_again(&mut self) {
        for (key, reason) in self.executor.give_up(self.clock.now(), PATIENCE) {
            self.tell(&Event::MoveRefused { r#move: key, reason });
        }
        self.executor.try_again();
    }
}

type StepName = (ulm_model::PlanId, StepId);

fn name(key: &MoveKey) -> StepName {
    (key.plan.clone(), key.step)
}

/// What is in the way and ends with a move that runs: a limit on moves at once (in all, on a host, of what a rule counts together),
/// told without the step itself, or memory, of a NUMA cell too. `None` when something else is wrong.
fn passing(fault: &Fault, snapshot: &Snapshot) -> Option<Reason> {
    match fault {
        Fault::TooManyAtOnce { moves, limit } => {
            Some(Reason::AllBusy { moves: moves.saturating_sub(1), limit: *limit })
        }
        Fault::Breaks { reason: Reason::HostBusy { host, moves, limit }, .. } => {
            Some(Reason::HostBusy { host: host.clone(), moves: moves.saturating_sub(1), limit: *limit })
        }
        Fault::Breaks { reason: reason @ Reason::OthersMove { .. }, .. } => Some(reason.clone()),
        // What a running move has copied already is missing in what the host has available, and all that it is to bring is deducted
        // once more: how much there really is can be told when it has ended. The same in its cells and of its huge pages.
        Fault::Breaks {
            reason:
                reason @ (Reason::MemoryUsed { host, .. }
                | Reason::CellsShort { host, .. }
                | Reason::PagesShort { host, .. }),
            ..
        } => {
            let host = snapshot.find_host(host);
            snapshot.in_flight.iter().any(|flight| host.is_some() && flight.to == host).then(|| reason.clone())
        }
        _ => None,
    }
}

/// A plan of one step, as it is judged just before it begins.
fn one_step(key: &MoveKey, because: &Reason, expected: Option<&Expected>, snapshot: &Snapshot) -> Plan {
    let MoveKey { vm, vm_name, from, to, .. } = key.clone();
    let action = Action::Move { vm, vm_name, from, to };
    let step = Step { id: StepId(0), action, after: Vec::new(), because: because.clone(), expected: expected.cloned() };
    let taken = snapshot.taken_at;
    Plan { parent: String::new(), made_at: taken, expires_at: taken + Duration::from_secs(60), steps: vec![step] }
}
