//! Why a VM is where it is: now, or at a time of the past. Told from the ledger, the decisions that were kept, and the policy in force.

use serde::{Deserialize, Serialize};
use ulm_decide::{Answer, Decision, Standing};
use ulm_model::ledger::{Entry, Event, Found, MoveCost, MoveKey, Outcome};
use ulm_model::{Action, Expected, HostName, Reason, Step, Time, VmId};

/// So many of its last moves are told.
const MOVES: usize = 5;

/// Which VM, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhyQuery {
    /// The VM: its name or UUID.
    pub vm: String,
    /// When; now when not given.
    #[serde(default)]
    pub at: Option<Time>,
}

/// Why a VM is where it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// Which VM.
    pub vm: VmId,
    /// Its name.
    pub name: String,
    /// The time that is asked about.
    pub at: Time,
    /// The host that it is, or was, on, as far as that is known.
    pub host: Option<HostName>,
    /// Its last moves until then, newest first.
    pub moves: Vec<MoveTold>,
    /// What the decision in force says, or said, of it.
    pub said: Option<Said>,
    /// Where it stands with the policy. Only for the present.
    pub standing: Option<Standing>,
    /// Why that cannot be told.
    pub unknown: Vec<Reason>,
}

/// A move as the ledger tells it: what it was to take and bring, and what it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MoveTold {
    /// Where it came from; `None`: it was started.
    pub from: Option<HostName>,
    /// Where it went, or was to go.
    pub to: HostName,
    /// When it was begun, refused, or seen.
    pub at: Time,
    /// Why; `None`: it was not a move of ULM's.
    pub because: Option<Reason>,
    /// What it was expected to take and to bring.
    pub expected: Option<Expected>,
    /// When it had ended.
    pub ended_at: Option<Time>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What it took.
    pub cost: Option<MoveCost>,
    /// Why it was not begun.
    pub refused: Option<Reason>,
}

/// What a decision says of one VM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// When it was made first.
    pub at: Time,
    /// When the same was decided last.
    pub until: Time,
    /// The one reason that tells most.
    pub summary: Reason,
    /// What held the round back.
    pub held: Vec<Reason>,
    /// Moves of the VM that are wanted.
    pub moves: Vec<Step>,
    /// What was found about its host.
    pub host: Vec<Reason>,
    /// What came of looking at it, when its host was to be relieved.
    pub answer: Option<Answer>,
}

impl Said {
    /// What a decision says of a VM that is on a host.
    pub fn of(decision: &Decision, vm: VmId, host: Option<&HostName>, at: Time, until: Time) -> Self {
        let moves = |step: &&Step| matches!(&step.action, Action::Move { vm: moved, .. } if *moved == vm);
        let report = &decision.report;
        let reports = || report.hosts.iter().filter(|one| Some(&one.host) == host);
        let mut looked_at = report.hosts.iter().flat_map(|host| &host.relief).flat_map(|relief| &relief.vms);
        let held = report.gates.iter().flat_map(|gate| &gate.held).filter(|reason| **reason != report.summary);
        Said {
            at,
            until,
            summary: report.summary.clone(),
            held: held.cloned().collect(),
            moves: decision.plan.steps.iter().filter(moves).cloned().collect(),
            host: reports().flat_map(|one| &one.findings).cloned().collect(),
            answer: looked_at.find(|one| one.vm == vm).map(|one| one.answer.clone()),
        }
    }
}

/// The VM that an entry is about, with its name at the time.
pub fn vm_of(event: &Event) -> Option<(VmId, &str)> {
    match event {
        Event::Arrived { vm, vm_name, .. } => Some((*vm, vm_name)),
        other => ulm_store::ledger::move_of(other).map(|key| (key.vm, key.vm_name.as_str())),
    }
}

/// Where a VM was at a time, by its entries (oldest first) and the host that it is on now.
pub fn host_at(entries: &[Entry], at: Time, now: Option<&HostName>) -> Option<HostName> {
    let came = |entry: &Entry| match &entry.event {
        Event::Arrived { host, from, .. } => Some((from.clone(), host.clone())),
        Event::MoveEnded { r#move, outcome: Outcome::Moved, .. }
        | Event::MoveReconciled { r#move, found: Found::Ended { outcome: Outcome::Moved } } => {
            Some((Some(r#move.from.clone()), r#move.to.clone()))
        }
        _ => None,
    };
    let before = entries.iter().rev().filter(|entry| entry.at <= at).find_map(came);
    if let Some((_, host)) = before {
        return Some(host);
    }
    match entries.iter().filter(|entry| entry.at > at).find_map(came) {
        Some((from, _)) => from,
        None => now.cloned(),
    }
}

/// The last moves until a time, newest first, by the VM's entries (oldest first).
pub fn moves_until(entries: &[Entry], at: Time) -> Vec<MoveTold> {
    let mut moves: Vec<(Option<MoveKey>, MoveTold)> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.at <= at) {
        if let Event::Arrived { host, from, .. } = &entry.event {
            moves.push((None, told(from.clone(), host.clone(), entry.at)));
        }
        let Some(key) = ulm_store::ledger::move_of(&entry.event) else { continue };
        let known = moves.iter().rposition(|(known, _)| known.as_ref() == Some(key));
        let place = known.unwrap_or_else(|| {
            moves.push((Some(key.clone()), told(Some(key.from.clone()), key.to.clone(), entry.at)));
            moves.len() - 1
        });
        note(&mut moves[place].1, entry);
    }
    moves.into_iter().rev().map(|(_, told)| told).take(MOVES).collect()
}

fn told(from: Option<HostName>, to: HostName, at: Time) -> MoveTold {
    let (because, expected, ended_at, outcome, cost, refused) = Default::default();
    MoveTold { from, to, at, because, expected, ended_at, outcome, cost, refused }
}

fn note(told: &mut MoveTold, entry: &Entry) {
    match &entry.event {
        Event::MoveIntended { because, expected, .. } => {
            (told.because, told.expected) = (Some(because.clone()), expected.clone());
        }
        Event::MoveRefused { reason, .. } => told.refused = Some(reason.clone()),
        Event::MoveEnded { outcome, cost, .. } => {
            (told.outcome, told.cost, told.ended_at) = (Some(outcome.clone()), Some(*cost), Some(entry.at));
        }
        Event::MoveReconciled { found: Found::Ended { outcome }, .. } => {
            (told.outcome, told.ended_at) = (Some(outcome.clone()), Some(entry.at));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use ulm_model::{PlanId, StepId};

    use super::*;

    fn key(step: u32, from: &str, to: &str) -> MoveKey {
        let plan = PlanId("p".into());
        let vm = VmId(uuid::Uuid::from_u128(1));
        MoveKey { plan, step: StepId(step), vm, vm_name: "web".into(), from: from.into(), to: to.into() }
    }

    fn entries() -> Vec<Entry> {
        let intended = |r#move| Event::MoveIntended { r#move, because: Reason::Calm {}, expected: None };
        let ended = |r#move, outcome| Event::MoveEnded { r#move, outcome, cost: MoveCost::default() };
        let stayed = Outcome::Stayed { error: "no".into() };
        let vm = VmId(uuid::Uuid::from_u128(1));
        let arrived = Event::Arrived { vm, vm_name: "web".into(), host: "d".into(), from: Some("b".into()) };
        let refused = Event::MoveRefused { r#move: key(2, "b", "c"), reason: Reason::Stopped {} };
        let events = [
            (10, intended(key(0, "a", "b"))),
            (20, ended(key(0, "a", "b"), Outcome::Moved)),
            (30, intended(key(1, "b", "c"))),
            (40, ended(key(1, "b", "c"), stayed)),
            (50, refused),
            (60, arrived),
        ];
        events.into_iter().enumerate().map(|(i, (at, event))| Entry { seq: i as u64, at: Time(at), event }).collect()
    }

    #[test]
    fn where_it_was_follows_from_the_moves_before_or_after() {
        let entries = entries();
        let at = |time| host_at(&entries, Time(time), Some(&"d".into())).map(|host| host.0);
        let hosts: Vec<_> = [5, 15, 20, 45, 60, 99].map(at).into_iter().flatten().collect();
        assert_eq!(hosts, ["a", "a", "b", "b", "d", "d"]);
        assert_eq!(host_at(&[], Time(5), Some(&"x".into())), Some("x".into()));
        assert_eq!(host_at(&[], Time(5), None), None);
    }

    #[test]
    fn a_moves_entries_become_one_line_newest_first() {
        let moves = moves_until(&entries(), Time(99));
        let short: Vec<(i64, bool, bool, bool)> = moves
            .iter()
            .map(|told| (told.at.0, told.because.is_some(), told.outcome.is_some(), told.refused.is_some()))
            .collect();
        assert_eq!(
            short,
            [(60, false, false, false), (50, false, false, true), (30, true, true, false), (10, true, true, false)]
        );
        assert_eq!(moves_until(&entries(), Time(15)).len(), 1);
        assert_eq!(moves_until(&entries(), Time(15))[0].outcome, None, "it had not ended then");
    }
}
