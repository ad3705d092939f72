//! One round's figures of a host, in as few calls as possible: two for the host, one for its NUMA cells if it tells any,
//! one for the pages that it merges if it counts them ([`super::merging`]), one for all VMs, one small one for each VM whose job has to
//! be known ([`super::jobs`]), and the number of CPUs now and then.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::Mutex;
use tokio::time::Instant;
use ulm_libvirt::domain::{PausedReason, RunningReason};
use ulm_libvirt::stats::{DomainStats, StatsGroups};
use ulm_libvirt::{Connection, DomainFilter, DomainState, NodeCpuStats, NodeMemoryStats, StatsRequest};
use ulm_model::{Bytes, Time, VmId};

use super::answers;
use super::cells::HostCells;
use super::errors::sorted;
use super::jobs::{self, Answer, JobWatch, Suspicion};
use super::merging::MergingWatch;
use crate::driver::{DriverError, ErrorKind, JobKind, MemoryReading, NodeCpu, Reading, RunState, VmReading};

/// CPUs are put on line and off line seldom.
const CPUS_HOLD_FOR: Duration = Duration::from_secs(300);

const GROUPS: StatsGroups = StatsGroups(
    StatsGroups::STATE.0
        | StatsGroups::CPU_TOTAL.0
        | StatsGroups::BALLOON.0
        | StatsGroups::VCPU.0
        | StatsGroups::INTERFACE.0
        | StatsGroups::BLOCK.0,
);

/// What is remembered between two readings.
#[derive(Debug, Default)]
pub(super) struct Readings {
    jobs: Mutex<JobWatch>,
    cpus: Mutex<Option<(Instant, u32)>>,
    merging: MergingWatch,
}

impl Readings {
    /// Forgets what may have changed while there was no connection.
    pub async fn forget(&self) {
        *self.cpus.lock().await = None;
        self.merging.forget();
    }

    /// Reads the host, of whose NUMA cells that much is known. `now` is asked when the answers have come in.
    pub async fn take(
        &self,
        host: &Connection,
        cells: Option<&HostCells>,
        now: impl FnOnce() -> Time,
    ) -> Result<Reading, DriverError> {
        let request = StatsRequest { groups: GROUPS, filter: DomainFilter::ACTIVE, ..StatsRequest::default() };
        let figures = async {
            tokio::try_join!(host.node_cpu_stats(), host.node_memory_stats(), host.domain_stats(&request))
                .map_err(sorted)
        };
        let merging = async {
            match cells {
                Some(cells) => self.merging.ask(host, cells.base).await.map_err(sorted),
                None => Ok(None),
            }
        };
        let cells = async {
            match cells {
                Some(cells) => cells.ask(host).await.map_err(sorted),
                None => Ok(Vec::new()),
            }
        };
        let (cpus, (cpu, memory, stats), cells, merging) = tokio::try_join!(self.cpus(host), figures, cells, merging)?;
        let at = now();
        let (cpu, memory) = (node_cpu(cpus, &cpu)?, node_memory(&memory)?);
        Ok(Reading { at, cpu, memory, cells, merging, vms: self.vms(host, stats).await? })
    }

    async fn cpus(&self, host: &Connection) -> Result<u32, DriverError> {
        let mut known = self.cpus.lock().await;
        match *known {
            Some((since, cpus)) if since.elapsed() < CPUS_HOLD_FOR => Ok(cpus),
            _ => {
                let cpus = host.node_info().await.map_err(sorted)?.cpus;
                *known = Some((Instant::now(), cpus));
                Ok(cpus)
            }
        }
    }

    async fn vms(&self, host: &Connection, stats: Vec<DomainStats>) -> Result<Vec<VmReading>, DriverError> {
        let vms: BTreeMap<VmId, DomainStats> = stats
            .into_iter()
            .filter(|vm| !matches!(vm.state, Some(DomainState::Shutoff(_))))
            .map(|vm| (VmId(vm.domain.uuid), vm))
            .collect();
        let mut watch = self.jobs.lock().await;
        let suspicions = vms.iter().map(|(id, vm)| (*id, suspicion(vm.state))).collect();
        let chosen = watch.choose(&suspicions, Instant::now());
        let ask = chosen.iter().map(|id| (*id, vms[id].domain.clone())).collect();
        let mut answers = BTreeMap::new();
        let mut asked = pin!(jobs::ask(host, ask));
        while let Some(answer) = asked.next().await {
            let (id, answer) = answer.map_err(sorted)?;
            watch.note(id, answer, Instant::now());
            answers.insert(id, answer);
            if answer.is_none() {
                break;
            }
        }
        let mut readings = Vec::with_capacity(vms.len());
        for (id, vm) in vms {
            let job = match answers.get(&id) {
                Some(Some(Answer::Gone)) => continue,
                Some(Some(Answer::Job(job))) => *job,
                _ => watch.known(id),
            };
            let memory = match vm.balloon.maximum_bytes {
                Some(bytes) => Bytes(bytes),
                None => match answers::memory(host, &vm.domain).await {
                    Ok(memory) => memory,
                    Err(error) if error.is_no_domain() => continue,
                    Err(error) => return Err(sorted(error)),
                },
            };
            readings.push(vm_reading(id, vm, job, memory));
        }
        Ok(readings)
    }
}

fn impossible(what: &str) -> DriverError {
    DriverError::new(ErrorKind::Refused, format!("libvirt does not tell the host's {what}"))
}

fn node_cpu(cpus: u32, stats: &NodeCpuStats) -> Result<NodeCpu, DriverError> {
    let (Some(kernel), Some(user), Some(idle)) = (stats.kernel_ns, stats.user_ns, stats.idle_ns) else {
        return Err(impossible("CPU time in its parts"));
    };
    let sum = |parts: [u64; 3]| Duration::from_nanos(parts.into_iter().fold(0, u64::saturating_add));
    Ok(NodeCpu {
        cpus,
        busy: sum([kernel, user, stats.intr_ns.unwrap_or(0)]),
        idle: sum([idle, stats.iowait_ns.unwrap_or(0), 0]),
    })
}

/// Free memory, buffers and the page cache. libvirt counts memory that is shared between processes (guests with `memfd` or
/// shared backing) as cache, so with such guests more looks available than is; what is promised to VMs is counted elsewhere.
fn node_memory(stats: &NodeMemoryStats) -> Result<MemoryReading, DriverError> {
    let (Some(total), Some(free)) = (stats.total_bytes, stats.free_bytes) else {
        return Err(impossible("memory"));
    };
    let parts = [free, stats.buffers_bytes.unwrap_or(0), stats.cached_bytes.unwrap_or(0)];
    Ok(MemoryReading { total: Bytes(total), available: parts.into_iter().map(Bytes).sum() })
}

fn suspicion(state: Option<DomainState>) -> Suspicion {
    match state {
        Some(DomainState::Running(RunningReason::Postcopy | RunningReason::PostcopyFailed)) => Suspicion::Odd,
        Some(DomainState::Running(_) | DomainState::Blocked) => Suspicion::None,
        _ => Suspicion::Odd,
    }
}

/// What a VM does, from its state and its job. The states of a move's two halves look alike in the hand-over
/// ("paused for migration" on both hosts): only the source has the job that leads away.
pub(super) fn run_state(state: Option<DomainState>, job: JobKind) -> RunState {
    match state {
        Some(DomainState::Running(RunningReason::PostcopyFailed))
        | Some(DomainState::Paused(PausedReason::PostcopyFailed)) => RunState::Broken,
        Some(DomainState::Running(_) | DomainState::Blocked) => RunState::Running,
        Some(DomainState::Paused(PausedReason::Migration | PausedReason::StartingUp)) => match job {
            JobKind::MovingOut | JobKind::Other => RunState::Paused,
            JobKind::None | JobKind::MovingIn => RunState::Incoming,
        },
        Some(DomainState::Paused(_)) => match job {
            JobKind::MovingIn => RunState::Incoming,
            _ => RunState::Paused,
        },
        _ => RunState::Other,
    }
}

/// An incoming half may not say itself that it has a job; its state does.
pub(super) fn job_of(state: RunState, job: JobKind) -> JobKind {
    match (state, job) {
        (RunState::Incoming, JobKind::None) => JobKind::MovingIn,
        _ => job,
    }
}

fn vm_reading(id: VmId, vm: DomainStats, job: JobKind, memory: Bytes) -> VmReading {
    let state = run_state(vm.state, job);
    // While a VM goes away libvirt has been seen to say 0 for counters that were far from it.
    let cpu_time = vm.cpu.total_ns.filter(|ns| *ns > 0).map(Duration::from_nanos);
    let delay = cpu_time.and(vm.vcpu.delay_ns()).map(Duration::from_nanos);
    let network = vm.nets.iter().flat_map(|net| [net.rx.bytes, net.tx.bytes]).flatten().map(Bytes);
    let disk = vm.blocks.iter().flat_map(|block| [block.read.bytes, block.write.bytes]).flatten().map(Bytes);
    VmReading {
        id,
        name: vm.domain.name,
        state,
        job: job_of(state, job),
        vcpus: vm.vcpu.current.unwrap_or(0),
        memory,
        resident: vm.balloon.rss_bytes.map(Bytes),
        cpu_time,
        cpu_delay: delay,
        network: network.reduce(|a, b| a + b),
        disk: disk.reduce(|a, b| a + b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_halves_of_a_move_are_told_apart_by_their_jobs() {
        let paused = Some(DomainState::Paused(PausedReason::Migration));
        assert_eq!(run_state(paused, JobKind::MovingOut), RunState::Paused);
        assert_eq!(run_state(paused, JobKind::None), RunState::Incoming);
        assert_eq!(job_of(RunState::Incoming, JobKind::None), JobKind::MovingIn);
        let starting = Some(DomainState::Paused(PausedReason::StartingUp));
        assert_eq!(run_state(starting, JobKind::MovingIn), RunState::Incoming);
    }

    #[test]
    fn a_vm_whose_post_copy_broke_is_broken_on_both_sides() {
        for state in
            [DomainState::Paused(PausedReason::PostcopyFailed), DomainState::Running(RunningReason::PostcopyFailed)]
        {
            assert_eq!(run_state(Some(state), JobKind::None), RunState::Broken);
        }
    }

    #[test]
    fn a_vm_held_by_its_admin_is_paused() {
        assert_eq!(run_state(Some(DomainState::Paused(PausedReason::User)), JobKind::None), RunState::Paused);
        assert_eq!(run_state(Some(DomainState::Crashed), JobKind::None), RunState::Other);
        assert_eq!(run_state(None, JobKind::None), RunState::Other);
    }

    #[test]
    fn caches_count_as_available_and_input_waits_as_idle() {
        let memory = NodeMemoryStats {
            total_bytes: Some(100),
            free_bytes: Some(10),
            buffers_bytes: Some(5),
            cached_bytes: Some(20),
        };
        assert_eq!(node_memory(&memory).unwrap(), MemoryReading { total: Bytes(100), available: Bytes(35) });
        let cpu = NodeCpuStats {
            kernel_ns: Some(1),
            user_ns: Some(2),
            idle_ns: Some(3),
            iowait_ns: Some(4),
            ..NodeCpuStats::default()
        };
        let ns = Duration::from_nanos;
        assert_eq!(node_cpu(4, &cpu).unwrap(), NodeCpu { cpus: 4, busy: ns(3), idle: ns(7) });
    }

    #[test]
    fn figures_that_are_missing_are_not_taken_for_zero() {
        assert!(node_cpu(4, &NodeCpuStats { utilization_percent: Some(5), ..NodeCpuStats::default() }).is_err());
        assert!(node_memory(&NodeMemoryStats::default()).is_err());
    }
}
