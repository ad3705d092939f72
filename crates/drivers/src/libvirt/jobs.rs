//! Which VMs are busy. libvirt tells it only per VM, so it is asked of those that may be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use ulm_libvirt::job::{JobOperation, JobStats, WhichJob};
use ulm_libvirt::{Connection, Domain, Error, ErrorCode};
use ulm_model::VmId;

use crate::driver::JobKind;

/// So many VMs are asked in every reading; of more, all are asked within a few readings. A VM that stands
/// still, or that was busy the last time, is asked in any case.
const EACH_TIME: usize = 64;
/// Of the four calls that a connection may have under way, two at most wait for VMs that may be stuck.
const AT_ONCE: usize = 2;
/// A VM whose daemon side does not answer within this time is stuck.
const PATIENCE: Duration = Duration::from_secs(2);
/// A stuck VM is left alone for so many readings, so that it cannot use up the connection.
const LEFT_ALONE: u32 = 8;

/// What one VM answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It runs this job, or none.
    Job(JobKind),
    /// It is not on the host any more.
    Gone,
}

/// What is remembered of the VMs' jobs between two readings.
#[derive(Debug, Default)]
pub(super) struct JobWatch {
    busy: BTreeSet<VmId>,
    stuck: BTreeMap<VmId, u32>,
    /// The last VM that was asked only because it was its turn.
    last: Option<VmId>,
}

/// Why a VM's job is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// It stands still, or is in another odd state.
    Odd,
    /// None in particular.
    None,
}

impl JobWatch {
    /// The VMs to ask now. Moves the turn on.
    pub fn choose(&mut self, vms: &BTreeMap<VmId, Suspicion>) -> BTreeSet<VmId> {
        self.stuck.retain(|vm, left| {
            *left -= 1;
            *left > 0 && vms.contains_key(vm)
        });
        self.busy.retain(|vm| vms.contains_key(vm));
        let free = |vm: &VmId| !self.stuck.contains_key(vm);
        let mut chosen: BTreeSet<VmId> =
            vms.iter().filter(|(_, why)| **why == Suspicion::Odd).map(|(vm, _)| *vm).collect();
        chosen.extend(self.busy.iter().copied());
        chosen.retain(free);
        let calm: Vec<VmId> = vms.keys().filter(|vm| !chosen.contains(vm) && free(vm)).copied().collect();
        let start = self.last.map_or(0, |last| calm.partition_point(|vm| *vm <= last));
        let turns: Vec<VmId> = calm[start..].iter().chain(&calm[..start]).take(EACH_TIME).copied().collect();
        if let Some(last) = turns.last() {
            self.last = Some(*last);
        }
        chosen.extend(turns);
        chosen
    }

    /// Whether the VM did not answer lately: what it does is not known.
    pub fn is_stuck(&self, vm: VmId) -> bool {
        self.stuck.contains_key(&vm)
    }

    /// Remembers what was answered; `None` for no answer in time.
    pub fn note(&mut self, vm: VmId, answer: Option<Answer>) {
        match answer {
            Some(Answer::Job(JobKind::None) | Answer::Gone) => _ = self.busy.remove(&vm),
            Some(Answer::Job(_)) => _ = self.busy.insert(vm),
            None => _ = self.stuck.insert(vm, LEFT_ALONE),
        }
    }
}

/// Asks VMs for their jobs. `None` where no answer came in time.
pub(super) async fn ask(host: &Connection, vms: Vec<(VmId, Domain)>) -> Result<Vec<(VmId, Option<Answer>)>, Error> {
    let host = host.within(PATIENCE);
    let answers = stream::iter(vms).map(|(vm, domain)| {
        let host = &host;
        async move {
            match host.job_stats(&domain, WhichJob::Current).await {
                Ok(stats) => Ok((vm, Some(Answer::Job(kind_of(&stats))))),
                Err(error) if error.is_no_domain() => Ok((vm, Some(Answer::Gone))),
                Err(error) if is_incoming(&error) => Ok((vm, Some(Answer::Job(JobKind::MovingIn)))),
                Err(error) if error.is_connection_lost() => Err(error),
                // No answer, or libvirt itself cannot get hold of the VM.
                Err(_) => Ok((vm, None)),
            }
        }
    });
    let answers: Vec<Result<_, Error>> = answers.buffer_unordered(AT_ONCE).collect().await;
    answers.into_iter().collect()
}

/// What a VM's job is, in the words of the drivers.
pub(super) fn kind_of(stats: &JobStats) -> JobKind {
    if !stats.is_running() {
        return JobKind::None;
    }
    match stats.operation {
        JobOperation::MigrationOut => JobKind::MovingOut,
        JobOperation::MigrationIn => JobKind::MovingIn,
        _ => JobKind::Other,
    }
}

/// The receiving host has no figures of a move and says so with an error of its own.
pub(super) fn is_incoming(error: &Error) -> bool {
    match error {
        Error::Libvirt(said) => {
            matches!(said.code, ErrorCode::OPERATION_UNSUPPORTED | ErrorCode::OPERATION_INVALID)
                && said.message.contains("only on the source")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn vms(count: u128) -> BTreeMap<VmId, Suspicion> {
        (0..count).map(|n| (VmId(Uuid::from_u128(n)), Suspicion::None)).collect()
    }

    #[test]
    fn few_vms_are_all_asked_and_many_take_turns() {
        let mut watch = JobWatch::default();
        assert_eq!(watch.choose(&vms(10)).len(), 10);
        let many = vms(150);
        let mut watch = JobWatch::default();
        let asked: BTreeSet<VmId> = (0..3).flat_map(|_| watch.choose(&many)).collect();
        assert_eq!(asked.len(), 150);
    }

    #[test]
    fn an_odd_or_busy_vm_is_asked_every_time() {
        let mut watch = JobWatch::default();
        let mut many = vms(200);
        let (odd, busy) = (VmId(Uuid::from_u128(199)), VmId(Uuid::from_u128(198)));
        many.insert(odd, Suspicion::Odd);
        watch.note(busy, Some(Answer::Job(JobKind::Other)));
        for _ in 0..5 {
            let chosen = watch.choose(&many);
            assert!(chosen.contains(&odd) && chosen.contains(&busy));
        }
    }

    #[test]
    fn a_stuck_vm_is_left_alone_for_a_while() {
        let mut watch = JobWatch::default();
        let few = vms(3);
        let stuck = VmId(Uuid::from_u128(1));
        watch.note(stuck, None);
        assert!(!watch.choose(&few).contains(&stuck) && watch.is_stuck(stuck));
        let asked_again = (0..LEFT_ALONE).any(|_| watch.choose(&few).contains(&stuck));
        assert!(asked_again && !watch.is_stuck(stuck));
    }
}
