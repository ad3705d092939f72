//! Which VMs are busy. libvirt tells it only per VM, so it is asked of those that may be.
//!
//! A VM whose emulator is stuck may never answer, and each question that was given up keeps one of the
//! connection's few places until libvirt has answered it. So the first VM that does not answer in time ends the
//! questions for a while, and is itself left alone for longer: one bad VM never costs the figures of the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use tokio::time::Instant;
use ulm_libvirt::job::{JobOperation, JobStats, JobType, WhichJob};
use ulm_libvirt::{Connection, Domain, Error, ErrorCode};
use ulm_model::VmId;

use crate::driver::JobKind;

/// So many VMs are asked in every reading; of more, all are asked within a few readings. A VM that stands
/// still, or that was busy the last time, is asked in any case.
const EACH_TIME: usize = 64;
/// Of the four calls that a connection may have under way, two at most wait for VMs that may be stuck.
const AT_ONCE: usize = 2;
/// A VM whose daemon side does not answer within this time is stuck.
const PATIENCE: Duration = Duration::from_secs(1);
/// libvirt itself gives up waiting for a stuck VM after 30 s; until then nobody is asked.
const REST: Duration = Duration::from_secs(35);
/// A stuck VM is left alone for so long.
const LEFT_ALONE: Duration = Duration::from_secs(120);

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
    busy: BTreeMap<VmId, JobKind>,
    /// VMs that did not answer, and until when they are left alone.
    stuck: BTreeMap<VmId, Instant>,
    /// Nobody is asked before.
    rest: Option<Instant>,
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
    /// The VMs to ask now, the suspicious ones first. Moves the turn on.
    pub fn choose(&mut self, vms: &BTreeMap<VmId, Suspicion>, now: Instant) -> Vec<VmId> {
        self.stuck.retain(|vm, until| *until > now && vms.contains_key(vm));
        self.busy.retain(|vm, _| vms.contains_key(vm));
        if self.rest.is_some_and(|until| until > now) {
            return Vec::new();
        }
        let free = vms.iter().filter(|(vm, _)| !self.stuck.contains_key(vm));
        let suspicious = |vm: &VmId| vms[vm] == Suspicion::Odd || self.busy.contains_key(vm);
        let (first, calm): (Vec<VmId>, Vec<VmId>) = free.map(|(vm, _)| *vm).partition(suspicious);
        let start = self.last.map_or(0, |last| calm.partition_point(|vm| *vm <= last));
        let turns = calm[start..].iter().chain(&calm[..start]).take(EACH_TIME).copied();
        let chosen: Vec<VmId> = first.iter().copied().chain(turns).collect();
        if let Some(last) = chosen[first.len()..].last() {
            self.last = Some(*last);
        }
        chosen
    }

    /// What is known of a VM's job. One that does not answer may do anything, so it counts as busy.
    pub fn known(&self, vm: VmId) -> JobKind {
        match self.stuck.contains_key(&vm) {
            true => JobKind::Other,
            false => self.busy.get(&vm).copied().unwrap_or(JobKind::None),
        }
    }

    /// Remembers what was answered; `None` for no answer in time.
    pub fn note(&mut self, vm: VmId, answer: Option<Answer>, now: Instant) {
        match answer {
            Some(Answer::Job(JobKind::None) | Answer::Gone) => _ = self.busy.remove(&vm),
            Some(Answer::Job(job)) => _ = self.busy.insert(vm, job),
            None => {
                self.stuck.insert(vm, now + LEFT_ALONE);
                self.rest = Some(now + REST);
            }
        }
    }
}

/// Asks VMs for their jobs, one after the other with a little overlap. `None` where no answer came in time.
pub(super) fn ask(
    host: &Connection,
    vms: Vec<(VmId, Domain)>,
) -> impl Stream<Item = Result<(VmId, Option<Answer>), Error>> + Send {
    let host = host.within(PATIENCE);
    let answers = stream::iter(vms).map(move |(vm, domain)| {
        let host = host.clone();
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
    answers.buffer_unordered(AT_ONCE)
}

/// What a VM's current job is, in the words of the drivers. One that has failed or was cancelled is still there while
/// libvirt clears it away, and for so long no other can begin.
fn kind_of(stats: &JobStats) -> JobKind {
    if stats.job == JobType::None {
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
    use std::collections::BTreeSet;

    use ulm_libvirt::{TypedParam, TypedParams, Value};
    use uuid::Uuid;

    use super::*;

    fn vms(count: u128) -> BTreeMap<VmId, Suspicion> {
        (0..count).map(|n| (VmId(Uuid::from_u128(n)), Suspicion::None)).collect()
    }

    #[test]
    fn a_cancelled_job_occupies_its_vm_until_it_is_cleared_away() {
        let job = |kind| {
            let operation = TypedParam::new("operation", Value::Int(JobOperation::MigrationOut.code()));
            kind_of(&JobStats::from_params(kind, TypedParams(vec![operation])))
        };
        assert_eq!(job(JobType::Unbounded), JobKind::MovingOut);
        assert_eq!(job(JobType::Cancelled), JobKind::MovingOut);
        assert_eq!(job(JobType::Failed), JobKind::MovingOut);
        assert_eq!(job(JobType::None), JobKind::None);
    }

    #[tokio::test(start_paused = true)]
    async fn few_vms_are_all_asked_and_many_take_turns() {
        let now = Instant::now();
        let mut watch = JobWatch::default();
        assert_eq!(watch.choose(&vms(10), now).len(), 10);
        let many = vms(150);
        let mut watch = JobWatch::default();
        let asked: BTreeSet<VmId> = (0..3).flat_map(|_| watch.choose(&many, now)).collect();
        assert_eq!(asked.len(), 150);
    }

    #[tokio::test(start_paused = true)]
    async fn an_odd_or_busy_vm_is_asked_every_time_and_first() {
        let now = Instant::now();
        let mut watch = JobWatch::default();
        let mut many = vms(200);
        let (odd, busy) = (VmId(Uuid::from_u128(199)), VmId(Uuid::from_u128(198)));
        many.insert(odd, Suspicion::Odd);
        watch.note(busy, Some(Answer::Job(JobKind::Other)), now);
        for _ in 0..5 {
            assert_eq!(watch.choose(&many, now)[..2], [busy, odd]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_stuck_vm_nobody_is_asked_for_a_while_and_it_even_longer() {
        let start = Instant::now();
        let mut watch = JobWatch::default();
        let few = vms(3);
        let stuck = VmId(Uuid::from_u128(1));
        watch.note(stuck, None, start);
        assert_eq!(watch.known(stuck), JobKind::Other);
        assert_eq!(watch.choose(&few, start + REST / 2), []);
        assert_eq!(watch.choose(&few, start + REST).len(), 2);
        assert!(watch.choose(&few, start + LEFT_ALONE).contains(&stuck));
        assert_eq!(watch.known(stuck), JobKind::None);
    }
}
