//! Moves: begun on a connection of their own, watched and aborted over the usual one.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use ulm_libvirt::job::{JobOperation, JobStats, WhichJob};
use ulm_libvirt::{Connection, Domain, Error, ErrorCode, MigrateFlags, MigrateParams, Uri};
use ulm_model::{Bytes, BytesPerSecond, VmId};

use super::errors::sorted;
use super::jobs::{self, Answer};
use super::options::LibvirtOptions;
use super::reading::{job_of, run_state};
use crate::driver::{DriverError, ErrorKind, JobKind, JobProgress, MoveOrder, Presence};

/// A move ends when it ends; whoever wants it to end sooner aborts it.
const NO_DEADLINE: Duration = Duration::from_secs(365 * 86_400);
/// How often is looked whether the job has begun, so that it can be given its downtime.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Moves a VM, and returns when libvirt says that the move has ended.
pub(super) async fn migrate(uri: Uri, options: LibvirtOptions, order: MoveOrder) -> Result<(), DriverError> {
    let host = Connection::open_with(&uri, &options.connect()).await.map_err(sorted)?;
    let outcome = migrate_over(&host, &order).await;
    host.close().await;
    outcome
}

async fn migrate_over(host: &Connection, order: &MoveOrder) -> Result<(), DriverError> {
    let vm = find(host, order.vm).await?;
    let flags = flags(host.domain_is_persistent(&vm).await.map_err(sorted)?);
    let params = MigrateParams { bandwidth_mib_s: order.bandwidth.map(mib_s), ..MigrateParams::default() };
    tokio::select! {
        outcome = host.migrate_to(&vm, &order.to_uri, &params, flags, NO_DEADLINE) => outcome.map_err(sorted),
        never = steer(host, &vm, order.max_downtime) => match never {},
    }
}

/// A VM that is defined permanently is so on the target and no more on the source; one that is not stays so.
/// Never `UNSAFE`: libvirt's word on disks stands. Never `TUNNELLED`: twice the work for both daemons.
fn flags(persistent: bool) -> MigrateFlags {
    let always = MigrateFlags::LIVE | MigrateFlags::PEER2PEER | MigrateFlags::ABORT_ON_ERROR;
    match persistent {
        true => always | MigrateFlags::PERSIST_DEST | MigrateFlags::UNDEFINE_SOURCE,
        false => always,
    }
}

/// Whole MiB per second, rounded down so that the limit holds, but not down to "no limit".
fn mib_s(limit: BytesPerSecond) -> u64 {
    (limit.0 >> 20).max(1)
}

/// Sets the downtime as soon as there is a job: libvirt takes it only then. Never ends; the move does.
async fn steer(host: &Connection, vm: &Domain, max_downtime: Option<Duration>) -> std::convert::Infallible {
    if let Some(downtime) = max_downtime {
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            let begun = host.job_stats(vm, WhichJob::Current).await.is_ok_and(|job| job.is_running());
            if begun && host.set_migration_max_downtime(vm, downtime).await.is_ok() {
                break;
            }
        }
    }
    std::future::pending().await
}

/// The VM as this host knows it.
pub(super) async fn find(host: &Connection, vm: VmId) -> Result<Domain, DriverError> {
    host.domain_by_uuid(vm.0).await.map_err(sorted)
}

/// Where a VM stands on this host.
pub(super) async fn locate(host: &Connection, vm: VmId) -> Result<Presence, DriverError> {
    let absent_or = |error: Error| match error.is_no_domain() {
        true => Ok(Presence::Absent),
        false => Err(sorted(error)),
    };
    let domain = match host.domain_by_uuid(vm.0).await {
        Ok(domain) => domain,
        Err(error) => return absent_or(error),
    };
    let state = match host.domain_state(&domain).await {
        Ok(state) if state.is_active() => state,
        Ok(_) => return Ok(Presence::ShutOff),
        Err(error) => return absent_or(error),
    };
    let answer = pin!(jobs::ask(host, vec![(vm, domain)])).next().await.transpose().map_err(sorted)?;
    let job = match answer.and_then(|(_, answer)| answer) {
        Some(Answer::Gone) => return Ok(Presence::Absent),
        Some(Answer::Job(job)) => job,
        None => JobKind::Other,
    };
    let run = run_state(Some(state), job);
    Ok(Presence::Here { state: run, job: job_of(run, job) })
}

/// How far a VM's job is.
pub(super) async fn job(host: &Connection, vm: VmId) -> Result<Option<JobProgress>, DriverError> {
    let domain = find(host, vm).await?;
    match host.job_stats(&domain, WhichJob::Current).await {
        Ok(stats) => Ok(stats.is_running().then(|| progress(&stats))),
        // The receiving half has no figures of its own.
        Err(error) if jobs::is_incoming(&error) => Ok(None),
        Err(error) => Err(sorted(error)),
    }
}

/// What the VM's move to this host took.
pub(super) async fn completed(host: &Connection, vm: VmId) -> Result<Option<JobProgress>, DriverError> {
    let domain = find(host, vm).await?;
    let stats = match host.job_stats(&domain, WhichJob::CompletedKeep).await {
        // Before libvirt 6.0 it could not be read without being forgotten.
        Err(error) if matches!(error.code(), Some(ErrorCode::INVALID_ARG)) => {
            host.job_stats(&domain, WhichJob::Completed).await
        }
        answer => answer,
    };
    let stats = match stats {
        Err(error) if jobs::is_incoming(&error) => return Ok(None),
        stats => stats.map_err(sorted)?,
    };
    Ok((stats.operation == JobOperation::MigrationIn && !stats.is_running()).then(|| progress(&stats)))
}

/// Aborts a VM's job, if it has one. Asks first what it is: the receiving half of a move would keep the call
/// waiting until libvirt gives up.
pub(super) async fn abort(host: &Connection, vm: VmId) -> Result<(), DriverError> {
    let domain = find(host, vm).await?;
    match locate(host, vm).await? {
        Presence::Here { job: JobKind::MovingIn, .. } => {
            let sentence = "an incoming move cannot be aborted here; abort it on its source";
            return Err(DriverError::new(ErrorKind::Refused, sentence));
        }
        Presence::Here { job: JobKind::MovingOut | JobKind::Other, .. } => {}
        _ => return Ok(()),
    }
    let refused = match host.abort_job(&domain).await {
        Ok(()) => return Ok(()),
        // "No job" and "not this job" are the same code: look whether the job has just ended.
        Err(error) if error.is_operation_invalid() => error,
        Err(error) => return Err(sorted(error)),
    };
    match locate(host, vm).await? {
        Presence::Here { job, .. } if job != JobKind::None => Err(sorted(refused)),
        _ => Ok(()),
    }
}

fn progress(stats: &JobStats) -> JobProgress {
    let ms = Duration::from_millis;
    JobProgress {
        elapsed: ms(stats.elapsed_ms.unwrap_or(0)),
        total: stats.memory_total_bytes.map(Bytes),
        remaining: stats.memory_remaining_bytes.map(Bytes),
        sent: stats.memory_processed_bytes.map(Bytes),
        rate: stats.memory_bps.map(BytesPerSecond),
        dirty_rate: stats.dirty_bps().map(BytesPerSecond),
        passes: stats.iteration.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
        downtime: stats.downtime_ms.map(ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_is_live_and_safe_and_takes_the_definition_along() {
        let flags = flags(true);
        assert!(flags.contains(MigrateFlags::LIVE | MigrateFlags::PEER2PEER | MigrateFlags::ABORT_ON_ERROR));
        assert!(flags.contains(MigrateFlags::PERSIST_DEST | MigrateFlags::UNDEFINE_SOURCE));
        assert!(!flags.contains(MigrateFlags::UNSAFE) && !flags.contains(MigrateFlags::TUNNELLED));
    }

    #[test]
    fn a_transient_vm_stays_transient() {
        let flags = flags(false);
        assert!(!flags.contains(MigrateFlags::PERSIST_DEST) && !flags.contains(MigrateFlags::UNDEFINE_SOURCE));
    }

    #[test]
    fn a_bandwidth_is_never_exceeded_and_never_becomes_none() {
        assert_eq!(mib_s(BytesPerSecond((3 << 20) - 1)), 2);
        assert_eq!(mib_s(BytesPerSecond(1)), 1);
    }
}
