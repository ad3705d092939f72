//! How a move ended, read back from both hypervisors. A return code is never believed.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use ulm_drivers::{Driver, DriverError, ErrorKind, JobKind, Presence, RunState};
use ulm_model::VmId;
use ulm_model::ledger::Outcome;

/// One look at one host may take so long.
const LOOK: Duration = Duration::from_secs(10);

/// Between two looks while the hosts are still at it.
const BETWEEN: Duration = Duration::from_secs(1);

/// A state that can be a passing one in the hand-over must be seen so often in a row before it is believed.
const SURE_AFTER: u32 = 10;

/// What one look at both hosts says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// The move is over, and this is how.
    Over(Outcome),
    /// It looks like this, but may be passing.
    Perhaps(Outcome),
    /// The hypervisors are still moving it.
    StillMoving,
    /// One host could not be asked.
    Blind(String),
}

/// Looks at both hosts at once.
pub async fn look(vm: VmId, from: &dyn Driver, to: &dyn Driver, error: Option<&str>) -> Look {
    let ask = |driver: &dyn Driver| {
        let host = driver.host().clone();
        move |answer: Result<Result<Presence, DriverError>, tokio::time::error::Elapsed>| match answer {
            Ok(Ok(presence)) => Ok(presence),
            // A host that answers that it has no such VM has answered.
            Ok(Err(error)) if error.kind == ErrorKind::NoSuchVm => Ok(Presence::Absent),
            Ok(Err(error)) => Err(format!("{host}: {error}")),
            Err(_) => Err(format!("{host}: no answer within {LOOK:?}")),
        }
    };
    let (source, target) = tokio::join!(timeout(LOOK, from.locate(vm)), timeout(LOOK, to.locate(vm)));
    match (ask(from)(source), ask(to)(target)) {
        (Ok(source), Ok(target)) => judge(&source, &target, error),
        (Err(blind), _) | (_, Err(blind)) => Look::Blind(blind),
    }
}

/// What the two hosts' words mean together. `error` is what the hypervisor said when the move ended, if it failed.
pub fn judge(source: &Presence, target: &Presence, error: Option<&str>) -> Look {
    use JobKind::{MovingIn, MovingOut};
    use Presence::{Absent, Here, ShutOff};
    use RunState::{Broken, Incoming, Paused, Running};
    let stayed = || {
        let error = error.unwrap_or("the hypervisor reported success, but the VM never left its host").to_owned();
        Outcome::Stayed { error }
    };
    let details = || format!("source says {source:?}, target says {target:?}");
    match (source, target) {
        (Here { job: MovingOut, .. }, _) => Look::StillMoving,
        // The source has no job any more, or not yet: the target may be clearing its half away.
        (Here { state: Running, .. }, Here { job: MovingIn, .. }) => Look::Perhaps(stayed()),
        (_, Here { job: MovingIn, .. }) => Look::StillMoving,
        (Here { state: Broken, .. }, _) => Look::Perhaps(Outcome::Gone { details: details() }),
        (Absent | ShutOff, Here { state: Running | Paused, .. }) => Look::Over(Outcome::Moved),
        (Here { state: Running, .. }, Absent | ShutOff) => Look::Over(stayed()),
        // Paused on the source can be the instant between copy and hand-over.
        (Here { .. }, Absent | ShutOff | Here { state: Incoming, .. }) => Look::Perhaps(stayed()),
        (Here { .. }, Here { .. }) => Look::Perhaps(Outcome::Doubled { details: details() }),
        (Absent | ShutOff, Absent | ShutOff | Here { .. }) => Look::Perhaps(Outcome::Gone { details: details() }),
    }
}

/// How soon a VM that is where it was is believed to stay there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// At once: the hypervisor has said that the move is over.
    AtOnce,
    /// After several looks: nobody knows whether the hypervisor has the order and has yet to begin.
    AfterAWhile,
}

/// Looks until the outcome is sure, however long the hosts need; tells `blind` each time when one cannot be asked.
///
/// Returns `None` as soon as a look finds the move still running: then it is to be watched, not settled.
pub async fn settle(
    vm: VmId,
    trust: Trust,
    from: &dyn Driver,
    to: &dyn Driver,
    error: Option<&str>,
    mut blind: impl FnMut(&str),
) -> Option<Outcome> {
    let mut last = None;
    let mut in_a_row = 0;
    let mut pause = BETWEEN;
    loop {
        let seen = match look(vm, from, to, error).await {
            Look::Over(outcome @ Outcome::Stayed { .. }) if trust == Trust::AfterAWhile => Look::Perhaps(outcome),
            seen => seen,
        };
        match seen {
            Look::Over(outcome) => return Some(outcome),
            Look::StillMoving => return None,
            Look::Perhaps(outcome) => {
                pause = BETWEEN;
                in_a_row = if last.as_ref() == Some(&outcome) { in_a_row + 1 } else { 1 };
                if in_a_row >= SURE_AFTER {
                    return Some(outcome);
                }
                last = Some(outcome);
            }
            Look::Blind(error) => {
                blind(&error);
                in_a_row = 0;
                pause = (pause * 2).min(Duration::from_secs(30));
            }
        }
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: Presence = Presence::Here { state: RunState::Running, job: JobKind::None };
    const HELD: Presence = Presence::Here { state: RunState::Paused, job: JobKind::None };
    const ARRIVING: Presence = Presence::Here { state: RunState::Incoming, job: JobKind::MovingIn };

    #[test]
    fn success_is_believed_only_when_the_target_runs_it_and_the_source_does_not() {
        assert_eq!(judge(&Presence::Absent, &RUNS, None), Look::Over(Outcome::Moved));
        assert_eq!(judge(&Presence::ShutOff, &RUNS, Some("timed out")), Look::Over(Outcome::Moved));
        assert!(matches!(judge(&RUNS, &Presence::Absent, None), Look::Over(Outcome::Stayed { .. })));
    }

    #[test]
    fn an_error_with_the_vm_on_the_target_is_still_a_move() {
        assert_eq!(judge(&Presence::Absent, &RUNS, Some("client socket is closed")), Look::Over(Outcome::Moved));
    }

    #[test]
    fn running_on_both_is_never_called_moved() {
        assert!(matches!(judge(&RUNS, &RUNS, None), Look::Perhaps(Outcome::Doubled { .. })));
        assert!(matches!(judge(&HELD, &RUNS, None), Look::Perhaps(Outcome::Doubled { .. })));
    }

    #[test]
    fn a_job_that_runs_is_not_settled() {
        let leaving = Presence::Here { state: RunState::Running, job: JobKind::MovingOut };
        assert_eq!(judge(&leaving, &ARRIVING, None), Look::StillMoving);
        assert!(matches!(judge(&RUNS, &ARRIVING, None), Look::Perhaps(Outcome::Stayed { .. })));
    }

    #[test]
    fn a_vm_that_runs_nowhere_is_told_as_gone() {
        assert!(matches!(judge(&Presence::ShutOff, &Presence::Absent, None), Look::Perhaps(Outcome::Gone { .. })));
    }
}
