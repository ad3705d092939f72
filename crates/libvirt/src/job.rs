//! Jobs: what a VM is busy with, above all a migration, and how far it is.

use crate::codes::codes;
use crate::connection::Connection;
use crate::domain::Domain;
use crate::error::Result;
use crate::procedures::Procedure;
use crate::typed_params::{TypedParam, TypedParams};
use crate::xdr::List;

/// The most parameters a job may have.
pub const JOB_PARAMS_MAX: usize = 64;

codes! {
    /// Where a job stands.
    pub enum JobType {
        None = 0 "no job",
        Bounded = 1 "under way, end in sight",
        Unbounded = 2 "under way, end open",
        Completed = 3 "completed",
        Failed = 4 "failed",
        Cancelled = 5 "cancelled",
    }
}

codes! {
    /// What a job does.
    pub enum JobOperation {
        Unknown = 0 "unknown",
        Start = 1 "start",
        Save = 2 "save",
        Restore = 3 "restore",
        MigrationIn = 4 "migration in",
        MigrationOut = 5 "migration out",
        Snapshot = 6 "snapshot",
        SnapshotRevert = 7 "snapshot revert",
        Dump = 8 "dump",
        Backup = 9 "backup",
        SnapshotDelete = 10 "snapshot delete",
    }
}

/// Which job to ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichJob {
    /// The one under way.
    Current,
    /// The last one that completed; the daemon forgets it when it has been read. After a
    /// migration ask on the *destination*. Empty after a post-copy migration.
    Completed,
    /// The same without forgetting it.
    CompletedKeep,
}

/// How far a job is. In the first moments most fields are missing.
#[derive(Debug, Clone, PartialEq)]
pub struct JobStats {
    /// Where it stands.
    pub job: JobType,
    /// What it does.
    pub operation: JobOperation,
    /// Since its start.
    pub elapsed_ms: Option<u64>,
    /// Estimated until its end (bounded jobs).
    pub remaining_ms: Option<u64>,
    /// While it runs: the downtime to expect if the guest were stopped now. Afterwards: the real one.
    pub downtime_ms: Option<u64>,
    /// Of the downtime, what went into the network.
    pub downtime_net_ms: Option<u64>,
    /// Preparation before the first byte.
    pub setup_ms: Option<u64>,
    /// Everything to transfer.
    pub data_total_bytes: Option<u64>,
    /// Transferred; can exceed the total when memory is dirtied again.
    pub data_processed_bytes: Option<u64>,
    /// Left.
    pub data_remaining_bytes: Option<u64>,
    /// Memory to transfer.
    pub memory_total_bytes: Option<u64>,
    /// Memory transferred.
    pub memory_processed_bytes: Option<u64>,
    /// Memory left.
    pub memory_remaining_bytes: Option<u64>,
    /// Speed of the memory's transfer.
    pub memory_bps: Option<u64>,
    /// Pages the guest dirties per second.
    pub dirty_pages_per_s: Option<u64>,
    /// The size of such a page.
    pub page_bytes: Option<u64>,
    /// Which pass over the memory.
    pub iteration: Option<u64>,
    /// Post-copy: pages the guest had to wait for.
    pub postcopy_requests: Option<u64>,
    /// Disk to transfer.
    pub disk_total_bytes: Option<u64>,
    /// Disk transferred.
    pub disk_processed_bytes: Option<u64>,
    /// Disk left.
    pub disk_remaining_bytes: Option<u64>,
    /// Speed of the disks' transfer.
    pub disk_bps: Option<u64>,
    /// Auto-converge: by how many percent the guest is slowed down.
    pub throttle_percent: Option<u64>,
    /// Whether it went well (some completed jobs).
    pub success: Option<bool>,
    /// Why it did not.
    pub error: Option<String>,
    /// Whatever else the daemon said.
    pub other: TypedParams,
}

impl JobStats {
    /// Whether a job is under way.
    pub fn is_running(&self) -> bool {
        matches!(self.job, JobType::Bounded | JobType::Unbounded)
    }

    /// How fast the guest dirties memory, in bytes per second. Without a page size from the
    /// daemon, 4 KiB is assumed.
    pub fn dirty_bps(&self) -> Option<u64> {
        let page = self.page_bytes.unwrap_or(4096);
        Some(self.dirty_pages_per_s?.saturating_mul(page))
    }

    pub(crate) fn completed(params: TypedParams) -> Self {
        Self::from_params(JobType::Completed, params)
    }

    /// Sorts a daemon's parameters into the fields.
    pub fn from_params(job: JobType, params: TypedParams) -> Self {
        let operation = params.i64("operation").unwrap_or(0);
        let mut stats = Self {
            job,
            operation: JobOperation::from_code(operation.try_into().unwrap_or(-1)),
            elapsed_ms: None,
            remaining_ms: None,
            downtime_ms: None,
            downtime_net_ms: None,
            setup_ms: None,
            data_total_bytes: None,
            data_processed_bytes: None,
            data_remaining_bytes: None,
            memory_total_bytes: None,
            memory_processed_bytes: None,
            memory_remaining_bytes: None,
            memory_bps: None,
            dirty_pages_per_s: None,
            page_bytes: None,
            iteration: None,
            postcopy_requests: None,
            disk_total_bytes: None,
            disk_processed_bytes: None,
            disk_remaining_bytes: None,
            disk_bps: None,
            throttle_percent: None,
            success: None,
            error: None,
            other: TypedParams::default(),
        };
        for TypedParam { field, value } in params.0 {
            let place = match field.as_str() {
                "time_elapsed" => &mut stats.elapsed_ms,
                "time_remaining" => &mut stats.remaining_ms,
                "downtime" => &mut stats.downtime_ms,
                "downtime_net" => &mut stats.downtime_net_ms,
                "setup_time" => &mut stats.setup_ms,
                "data_total" => &mut stats.data_total_bytes,
                "data_processed" => &mut stats.data_processed_bytes,
                "data_remaining" => &mut stats.data_remaining_bytes,
                "memory_total" => &mut stats.memory_total_bytes,
                "memory_processed" => &mut stats.memory_processed_bytes,
                "memory_remaining" => &mut stats.memory_remaining_bytes,
                "memory_bps" => &mut stats.memory_bps,
                "memory_dirty_rate" => &mut stats.dirty_pages_per_s,
                "memory_page_size" => &mut stats.page_bytes,
                "memory_iteration" => &mut stats.iteration,
                "memory_postcopy_requests" => &mut stats.postcopy_requests,
                "disk_total" => &mut stats.disk_total_bytes,
                "disk_processed" => &mut stats.disk_processed_bytes,
                "disk_remaining" => &mut stats.disk_remaining_bytes,
                "disk_bps" => &mut stats.disk_bps,
                "auto_converge_throttle" => &mut stats.throttle_percent,
                "operation" => continue,
                "success" if value.as_bool().is_some() => {
                    stats.success = value.as_bool();
                    continue;
                }
                "errmsg" if value.as_str().is_some() => {
                    stats.error = value.as_str().map(str::to_owned);
                    continue;
                }
                _ => {
                    stats.other.0.push(TypedParam { field, value });
                    continue;
                }
            };
            match value.as_u64() {
                Some(number) => *place = Some(number),
                None => stats.other.0.push(TypedParam { field, value }),
            }
        }
        stats
    }
}

impl Connection {
    /// How far a VM's job is. Without a job, [`JobStats::job`] is [`JobType::None`].
    pub async fn job_stats(&self, domain: &Domain, which: WhichJob) -> Result<JobStats> {
        let flags: u32 = match which {
            WhichJob::Current => 0,
            WhichJob::Completed => 1,
            WhichJob::CompletedKeep => 1 | 2,
        };
        let (job, params): (i32, List<TypedParam, JOB_PARAMS_MAX>) =
            self.call(Procedure::DOMAIN_GET_JOB_STATS, &(domain.clone(), flags)).await?;
        Ok(JobStats::from_params(JobType::from_code(job), TypedParams(params.0)))
    }

    /// Aborts the job under way. The call that started it fails with
    /// [`crate::Error::is_operation_aborted`]; without a job this one fails with
    /// [`crate::Error::is_operation_invalid`].
    pub async fn abort_job(&self, domain: &Domain) -> Result<()> {
        self.nothing(Procedure::DOMAIN_ABORT_JOB, domain).await
    }

    /// Pauses a post-copy migration that is stuck (libvirt 8.5 and newer); both sides keep their half
    /// of the guest, to be resumed later.
    pub async fn pause_postcopy(&self, domain: &Domain) -> Result<()> {
        const POSTCOPY: u32 = 1;
        self.nothing(Procedure::DOMAIN_ABORT_JOB_FLAGS, &(domain.clone(), POSTCOPY)).await
    }
}
