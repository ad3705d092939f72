//! Accepted plans and the moves that run: every ready step runs, and nothing else.
//!
//! A step is ready when all the steps that it waits for have ended with their VM on its target. A step
//! that waits for one that came out otherwise is refused, and so are those that wait for it; all others
//! go on. The executor makes no choices: which steps there are and what they wait for, the plan says.
//!
//! The limits on moves at once are kept by waiting: a ready step that would pass one is held back, others overtake it, and it is tried
//! again when a move has ended, and in each round. When nothing of its plan runs, that has an end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use ulm_collect::KnownMove;
use ulm_model::ledger::{MoveKey, Outcome};
use ulm_model::{Action, Expected, HostName, Plan, PlanId, Reason, Step, StepId, Time, VmId};

use crate::act::{AbortSwitch, Act, End, Shared, Track};
use crate::phase::Phase;
use crate::view::{MoveStatus, PlanStatus, StepStatus};

/// So many plans that are over are kept for those who follow them.
const KEEP_PLANS: usize = 100;

/// One move has come to its end.
#[derive(Debug)]
pub struct Done {
    key: MoveKey,
    end: End,
}

/// See the module's text.
pub struct Executor {
    runs: BTreeMap<PlanId, Run>,
    /// In the order in which plans were accepted, for forgetting the oldest.
    order: Vec<PlanId>,
    open: BTreeMap<VmId, Open>,
    /// The tasks of the open moves: they end with the executor. The hypervisors go on, and the next start finds them.
    acts: JoinSet<()>,
    done: mpsc::UnboundedSender<Done>,
}

struct Run {
    plan: Plan,
    by: String,
    accepted_at: Time,
    ends: BTreeMap<StepId, End>,
    /// The limit that last held a ready step back.
    held: BTreeMap<StepId, Reason>,
    /// Held steps that are not to be tried before something has changed.
    resting: BTreeSet<StepId>,
    /// When it was accepted, or last began or ended a move.
    last_sign: Time,
}

struct Open {
    track: Shared,
    abort: AbortSwitch,
}

/// A move that is about to begin: what [`Executor::begin`] hands to the one who knows the drivers.
pub struct Begin {
    /// What others will see of it.
    pub track: Shared,
    /// Where an abort will be asked for.
    pub abort: watch::Receiver<Option<String>>,
}

impl Executor {
    /// An executor without plans, and the channel on which moves tell that they have ended.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Done>) {
        let (done, dones) = mpsc::unbounded_channel();
        (
            Executor { runs: BTreeMap::new(), order: Vec::new(), open: BTreeMap::new(), acts: JoinSet::new(), done },
            dones,
        )
    }

    /// Takes a plan on. The caller has checked it and has it in the ledger.
    pub fn accept(&mut self, id: PlanId, plan: Plan, by: &str, at: Time) {
        self.order.retain(|known| *known != id);
        self.order.push(id.clone());
        let run = Run {
            plan,
            by: by.to_owned(),
            accepted_at: at,
            ends: BTreeMap::new(),
            held: BTreeMap::new(),
            resting: BTreeSet::new(),
            last_sign: at,
        };
        self.runs.insert(id, run);
        while self.order.len() > KEEP_PLANS {
            let Some(over) = self.order.iter().position(|id| self.runs[id].is_over()) else { break };
            self.runs.remove(&self.order.remove(over));
        }
    }

    /// The steps that may begin now, in the order of plans and steps; not those that a limit holds back. Refuses on the way those that
    /// never can.
    pub fn ready(&mut self) -> Vec<(MoveKey, Reason)> {
        let mut ready = Vec::new();
        let order = self.order.clone();
        for id in order {
            while let Some((step, reason)) = self.doomed(&id) {
                self.runs.get_mut(&id).expect("ordered plans are kept").ends.insert(step, End::Refused(reason));
            }
            let run = &self.runs[&id];
            for step in &run.plan.steps {
                let key = key(&id, step);
                let fulfilled = step.after.iter().all(|after| run.moved(*after));
                let over = run.ends.contains_key(&step.id) || run.resting.contains(&step.id);
                if !over && fulfilled && !self.is_open(&key) {
                    ready.push((key, step.because.clone()));
                }
            }
        }
        ready
    }

    /// What a step of an accepted plan is expected to take and to bring, if that was forecast.
    pub fn expected(&self, key: &MoveKey) -> Option<&Expected> {
        let steps = &self.runs.get(&key.plan)?.plan.steps;
        steps.iter().find(|step| step.id == key.step)?.expected.as_ref()
    }

    /// A step that waits for one that did not succeed.
    fn doomed(&self, id: &PlanId) -> Option<(StepId, Reason)> {
        let run = &self.runs[id];
        run.plan.steps.iter().filter(|step| !run.ends.contains_key(&step.id)).find_map(|step| {
            let failed = step.after.iter().find(|after| run.ends.contains_key(after) && !run.moved(**after))?;
            Some((step.id, Reason::PredecessorFailed { step: failed.0 }))
        })
    }

    /// Whether some accepted step has neither begun nor been refused.
    pub fn has_waiting(&self) -> bool {
        self.order.iter().any(|id| {
            let run = &self.runs[id];
            run.plan.steps.iter().any(|step| !run.ends.contains_key(&step.id) && !self.is_open(&key(id, step)))
        })
    }

    /// Holds a ready step back, until [`Executor::try_again`].
    pub fn hold(&mut self, key: &MoveKey, limit: Reason) {
        if let Some(run) = self.runs.get_mut(&key.plan) {
            run.held.insert(key.step, limit);
            run.resting.insert(key.step);
        }
    }

    /// Makes the steps ready again that a limit has held back: something may have ended.
    pub fn try_again(&mut self) {
        self.runs.values_mut().for_each(|run| run.resting.clear());
    }

    /// Refuses the steps that a limit holds back in plans of which nothing has run for so long; tells which, and why.
    pub fn give_up(&mut self, now: Time, patience: Duration) -> Vec<(MoveKey, Reason)> {
        let mut given_up = Vec::new();
        for (id, run) in &self.runs {
            let waited = now.since(run.last_sign);
            if waited < patience || self.tracks().any(|track| track.key.plan == *id) {
                continue;
            }
            for step in run.plan.steps.iter().filter(|step| run.resting.contains(&step.id)) {
                let limit = run.held.get(&step.id).map_or_else(String::new, Reason::to_string);
                given_up.push((key(id, step), Reason::WaitedTooLong { waited, limit }));
            }
        }
        for (key, reason) in &given_up {
            self.refuse(key, reason.clone());
        }
        given_up
    }

    /// How many moves are open.
    pub fn open_moves(&self) -> usize {
        self.open.len()
    }

    /// Whether any move is open.
    pub fn is_busy(&self) -> bool {
        !self.open.is_empty()
    }

    /// Refuses a step that was to begin.
    pub fn refuse(&mut self, key: &MoveKey, reason: Reason) {
        if let Some(run) = self.runs.get_mut(&key.plan) {
            run.end(key.step, End::Refused(reason));
        }
    }

    /// Refuses every step that has not begun, or those of one VM; tells which.
    pub fn refuse_waiting(&mut self, vm: Option<VmId>, reason: &Reason) -> Vec<MoveKey> {
        let mut refused = Vec::new();
        for id in &self.order {
            let run = &self.runs[id];
            for step in &run.plan.steps {
                let key = key(id, step);
                let wanted = vm.is_none_or(|vm| vm == key.vm);
                if wanted && !run.ends.contains_key(&step.id) && !self.is_open(&key) {
                    refused.push(key);
                }
            }
        }
        for key in &refused {
            self.refuse(key, reason.clone());
        }
        refused
    }

    /// Opens a move. `None` when its VM has an open move already.
    pub fn begin(&mut self, key: MoveKey, because: Reason, phase: Phase, since: Time) -> Option<Begin> {
        if self.open.contains_key(&key.vm) {
            return None;
        }
        let vm = key.vm;
        if let Some(run) = self.runs.get_mut(&key.plan) {
            run.held.remove(&key.step);
            run.last_sign = since;
        }
        let track = Arc::new(Mutex::new(Track { key, because, phase, since, progress: None, trouble: None }));
        let (abort, asked) = watch::channel(None);
        self.open.insert(vm, Open { track: track.clone(), abort });
        Some(Begin { track, abort: asked })
    }

    /// Closes a move that was opened and then not begun.
    pub fn forget(&mut self, key: &MoveKey) {
        self.open.remove(&key.vm);
    }

    /// Runs an opened move in the background; its end arrives on the channel.
    pub fn run(&mut self, act: Act, how: How) {
        let key = act.track.lock().unwrap_or_else(PoisonError::into_inner).key.clone();
        let done = self.done.clone();
        self.acts.spawn(async move {
            let end = match how {
                How::Begin => act.carry_out().await,
                How::TakeUp => act.take_up().await,
            };
            // When nobody listens the daemon is gone, and the ledger has it all.
            let _ = done.send(Done { key, end });
        });
    }

    /// Takes the end of a move in; tells which, and how it ended. Whatever a limit held back is tried again.
    pub fn ended(&mut self, done: Done, at: Time) -> (MoveKey, End) {
        let Done { key, end } = done;
        while self.acts.try_join_next().is_some() {}
        self.open.remove(&key.vm);
        if let Some(run) = self.runs.get_mut(&key.plan) {
            run.end(key.step, end.clone());
            run.last_sign = at;
        }
        self.try_again();
        (key, end)
    }

    /// Asks for the moves of VMs to be aborted, by the VMs' ids; all when `None`. Tells which.
    pub fn abort(&self, vm: Option<VmId>, by: &str) -> Vec<MoveKey> {
        let wanted = self.open.iter().filter(|(id, _)| vm.is_none_or(|vm| vm == **id));
        wanted
            .map(|(_, open)| {
                open.abort.send_replace(Some(by.to_owned()));
                open.track.lock().unwrap_or_else(PoisonError::into_inner).key.clone()
            })
            .collect()
    }

    /// The open moves, for the observer.
    pub fn known_moves(&self) -> BTreeMap<VmId, KnownMove> {
        self.tracks()
            .map(|track| (track.key.vm, KnownMove { from: track.key.from, to: track.key.to, since: track.since }))
            .collect()
    }

    /// Whether any open move touches the host.
    pub fn touches(&self, host: &HostName) -> bool {
        self.tracks().any(|track| track.key.from == *host || track.key.to == *host)
    }

    /// Open moves and waiting steps, by VM name.
    pub fn moves(&self) -> Vec<MoveStatus> {
        let mut moves: Vec<MoveStatus> = self
            .tracks()
            .map(|track| MoveStatus {
                key: track.key,
                because: track.because,
                phase: track.phase,
                since: track.since,
                progress: track.progress,
                trouble: track.trouble,
            })
            .collect();
        let open: BTreeSet<(PlanId, StepId)> = moves.iter().map(|m| (m.key.plan.clone(), m.key.step)).collect();
        for (id, run) in &self.runs {
            for step in run.plan.steps.iter().filter(|step| !run.ends.contains_key(&step.id)) {
                if !open.contains(&(id.clone(), step.id)) {
                    moves.push(MoveStatus {
                        key: key(id, step),
                        because: step.because.clone(),
                        phase: Phase::Waiting,
                        since: run.accepted_at,
                        progress: None,
                        trouble: run.held.get(&step.id).map(Reason::to_string),
                    });
                }
            }
        }
        moves.sort_by(|a, b| (&a.key.vm_name, a.key.vm).cmp(&(&b.key.vm_name, b.key.vm)));
        moves
    }

    /// How the accepted plans are getting on.
    pub fn plans(&self) -> BTreeMap<PlanId, PlanStatus> {
        let tracks: BTreeMap<VmId, Track> = self.tracks().map(|track| (track.key.vm, track)).collect();
        let status = |id: &PlanId, run: &Run| PlanStatus {
            plan: id.clone(),
            by: run.by.clone(),
            steps: run.plan.steps.iter().map(|step| step_status(id, run, step, &tracks)).collect(),
        };
        self.runs.iter().map(|(id, run)| (id.clone(), status(id, run))).collect()
    }

    fn tracks(&self) -> impl Iterator<Item = Track> + '_ {
        self.open.values().map(|open| open.track.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn is_open(&self, key: &MoveKey) -> bool {
        self.open.get(&key.vm).is_some_and(|open| open.track.lock().unwrap_or_else(PoisonError::into_inner).key == *key)
    }
}

/// Whether a move is begun, or one that was begun before a restart is taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Begin it.
    Begin,
    /// Look it up in the hypervisors, and see it through if it runs.
    TakeUp,
}

impl Run {
    fn end(&mut self, step: StepId, end: End) {
        self.held.remove(&step);
        self.resting.remove(&step);
        self.ends.insert(step, end);
    }

    fn moved(&self, step: StepId) -> bool {
        self.ends.get(&step) == Some(&End::Ended(Outcome::Moved))
    }

    fn is_over(&self) -> bool {
        self.ends.len() == self.plan.steps.len()
    }
}

/// The name of a step's attempt.
pub fn key(plan: &PlanId, step: &Step) -> MoveKey {
    let Action::Move { vm, vm_name, from, to } = &step.action;
    MoveKey { plan: plan.clone(), step: step.id, vm: *vm, vm_name: vm_name.clone(), from: from.clone(), to: to.clone() }
}

fn step_status(id: &PlanId, run: &Run, step: &Step, tracks: &BTreeMap<VmId, Track>) -> StepStatus {
    let key = key(id, step);
    let track = tracks.get(&key.vm).filter(|track| track.key == key);
    let (phase, outcome, refused) = match run.ends.get(&step.id) {
        Some(End::Ended(outcome)) => (Phase::Ended, Some(outcome.clone()), None),
        Some(End::Refused(reason)) => (Phase::Refused, None, Some(reason.clone())),
        None => (track.map_or(Phase::Waiting, |track| track.phase), None, None),
    };
    StepStatus { step: step.id, key, phase, progress: track.and_then(|track| track.progress), outcome, refused }
}

#[cfg(test)]
mod tests;
