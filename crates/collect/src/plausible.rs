//! What cannot be is refused here, with a reason, before any rate is computed from it.
//!
//! Everywhere a mass of wrong moves has been reported of other systems, an impossible figure stood at
//! its beginning: zero CPUs, more than all, time going back. A refused figure is not repaired: the
//! host or VM is only watched until two figures in a row make sense again.

use std::time::Duration;

use ulm_drivers::{Reading, VmReading};
use ulm_model::{Bytes, Cell, HostName, Merging, MilliCpu, Reason, Share};

/// Two readings closer than this give no rate: rounding would be most of it.
const SHORTEST: Duration = Duration::from_millis(200);

/// A VM's process does more than its vCPUs do: disk and network threads, the emulator itself.
const EMULATOR: MilliCpu = MilliCpu(2000);

/// Memory as a whole and by cells is not always counted alike: so much more in the cells is not yet nonsense.
const MARGIN: Share = Share::percent(12);

/// Refuses a host's reading that cannot be, taken alone.
pub fn alone(host: &HostName, reading: &Reading) -> Result<(), Reason> {
    let impossible = |what: String| Err(Reason::Impossible { of: host.to_string(), what });
    if reading.cpu.cpus == 0 {
        return impossible("0 CPUs".to_owned());
    }
    if reading.memory.total == Bytes(0) {
        return impossible("no memory at all".to_owned());
    }
    if reading.memory.available > reading.memory.total {
        return impossible(format!("{} of {} memory available", reading.memory.available, reading.memory.total));
    }
    let free_in = |cell: &Cell| cell.free + cell.pages.iter().map(|pages| pages.free).sum();
    let free: Bytes = reading.cells.iter().map(free_in).sum();
    if free > reading.memory.total + MARGIN * reading.memory.total {
        return impossible(format!("{free} of {} memory free in its NUMA cells", reading.memory.total));
    }
    Ok(())
}

/// What the host counts of merged pages, if it can be: a figure beside the others that nothing else rests on, so no doubt of the host.
pub fn merging(reading: &Reading) -> Option<Merging> {
    let sane = |merging: &Merging| {
        merging.shared <= reading.memory.total && (merging.saved == Bytes(0) || merging.shared > Bytes(0))
    };
    reading.merging.filter(sane)
}

/// The host's CPU use between two readings; `Ok(None)` when they are too close to tell.
///
/// The share is taken of the counters' own sum, so that a slow answer does not distort it; the sum
/// itself must agree with the time that has passed, within a factor of two and two seconds.
pub fn host_cpu(host: &HostName, before: &Reading, now: &Reading) -> Result<Option<MilliCpu>, Reason> {
    if now.at < before.at {
        return Err(Reason::TimeWentBack { of: host.to_string(), by: before.at.since(now.at) });
    }
    for (was, is) in [(before.cpu.busy, now.cpu.busy), (before.cpu.idle, now.cpu.idle)] {
        if is < was {
            return Err(Reason::TimeWentBack { of: host.to_string(), by: was - is });
        }
    }
    let elapsed = now.at.since(before.at);
    if elapsed < SHORTEST || before.cpu.cpus != now.cpu.cpus {
        return Ok(None);
    }
    let (busy, idle) = (now.cpu.busy - before.cpu.busy, now.cpu.idle - before.cpu.idle);
    let counted = busy + idle;
    let expected = elapsed * now.cpu.cpus;
    let slack = Duration::from_secs(2) * now.cpu.cpus;
    if counted > expected * 2 + slack || counted + slack < expected / 2 {
        let what = format!(
            "{:.1} s of CPU time counted in {:.1} s on {} CPUs ({} of what there is)",
            counted.as_secs_f64(),
            elapsed.as_secs_f64(),
            now.cpu.cpus,
            Share::ratio(counted.as_millis() as u64, expected.as_millis() as u64),
        );
        return Err(Reason::Impossible { of: host.to_string(), what });
    }
    if counted.is_zero() {
        return Ok(None);
    }
    let capacity = u128::from(MilliCpu::cpus(now.cpu.cpus).0);
    Ok(Some(MilliCpu((capacity * busy.as_nanos() / counted.as_nanos()) as u64)))
}

/// A VM's CPU use between two readings on the same host; `Ok(None)` when its counter began anew or they are too close.
pub fn vm_cpu(before: &VmReading, now: &VmReading, elapsed: Duration) -> Result<Option<MilliCpu>, Reason> {
    let (Some(was), Some(is)) = (before.cpu_time, now.cpu_time) else { return Ok(None) };
    if is < was || elapsed < SHORTEST {
        return Ok(None);
    }
    let Some(used) = MilliCpu::from_time(is - was, elapsed) else { return Ok(None) };
    // Answers come late by chance: a quarter more than all is not yet nonsense.
    let most = Share::percent(125) * (MilliCpu::cpus(now.vcpus) + EMULATOR);
    if used > most {
        let what = format!("{used} used by {} vCPUs", now.vcpus);
        return Err(Reason::Impossible { of: format!("VM {}", now.name), what });
    }
    Ok(Some(used))
}

#[cfg(test)]
mod tests {
    use ulm_drivers::{JobKind, MemoryReading, NodeCpu, RunState};
    use ulm_model::{HugePages, Time, VmId};

    use super::*;

    fn reading(at: i64, cpus: u32, busy: u64, idle: u64) -> Reading {
        Reading {
            at: Time(at),
            cpu: NodeCpu { cpus, busy: Duration::from_millis(busy), idle: Duration::from_millis(idle) },
            memory: MemoryReading { total: Bytes::gib(8), available: Bytes::gib(4) },
            cells: vec![],
            merging: None,
            vms: vec![],
        }
    }

    fn vm(cpu_ms: u64) -> VmReading {
        VmReading {
            id: VmId(Default::default()),
            name: "web".into(),
            state: RunState::Running,
            job: JobKind::None,
            vcpus: 1,
            memory: Bytes::gib(1),
            resident: None,
            cpu_time: Some(Duration::from_millis(cpu_ms)),
            cpu_delay: None,
            network: None,
            disk: None,
        }
    }

    fn host() -> HostName {
        "h1".into()
    }

    #[test]
    fn a_host_with_no_cpus_is_refused() {
        let reason = alone(&host(), &reading(0, 0, 0, 0)).unwrap_err();
        assert_eq!(reason.to_string(), "h1 reports what cannot be: 0 CPUs");
    }

    #[test]
    fn more_memory_available_than_there_is_is_refused() {
        let mut odd = reading(0, 4, 0, 0);
        odd.memory.available = Bytes::gib(9);
        assert_eq!(alone(&host(), &odd).unwrap_err().code(), "data.impossible");
    }

    #[test]
    fn more_memory_free_in_cells_than_there_is_is_refused() {
        let mut odd = reading(0, 4, 0, 0);
        let pages = HugePages { size: Bytes::gib(1), total: Bytes::gib(5), free: Bytes::gib(4) };
        odd.cells = vec![Cell { memory: Bytes::gib(8), free: Bytes::gib(4), pages: vec![pages], ..Cell::default() }];
        assert_eq!(alone(&host(), &odd), Ok(()));
        odd.cells[0].pages[0].free = Bytes::gib(6);
        let reason = alone(&host(), &odd).unwrap_err();
        assert_eq!(reason.to_string(), "h1 reports what cannot be: 10.0 GiB of 8.0 GiB memory free in its NUMA cells");
    }

    #[test]
    fn merged_pages_that_cannot_be_are_not_told() {
        let of = |saved, shared| {
            let counted = Merging { saved: Bytes::gib(saved), shared: Bytes::gib(shared), ..Merging::default() };
            merging(&Reading { merging: Some(counted), ..reading(0, 4, 0, 0) }).is_some()
        };
        assert!(of(0, 0) && of(20, 1), "more may be saved than there is");
        assert!(!of(1, 0) && !of(1, 9));
    }

    #[test]
    fn counters_that_go_back_are_refused() {
        let refused = host_cpu(&host(), &reading(0, 4, 9_000, 0), &reading(15_000, 4, 1_000, 60_000)).unwrap_err();
        assert_eq!(refused.code(), "data.time_went_back");
    }

    #[test]
    fn more_work_than_time_allows_is_refused() {
        let refused = host_cpu(&host(), &reading(0, 2, 0, 0), &reading(15_000, 2, 80_000, 0)).unwrap_err();
        assert_eq!(refused.code(), "data.impossible");
    }

    #[test]
    fn a_slow_answer_does_not_distort_the_share() {
        // 15 s of counters, read 4 s late.
        let used = host_cpu(&host(), &reading(0, 4, 0, 0), &reading(19_000, 4, 30_000, 30_000)).unwrap();
        assert_eq!(used, Some(MilliCpu(2000)));
    }

    #[test]
    fn a_vms_counter_that_begins_anew_gives_no_rate_and_no_doubt() {
        assert_eq!(vm_cpu(&vm(50_000), &vm(10), Duration::from_secs(15)), Ok(None));
    }

    #[test]
    fn a_vm_that_uses_more_than_it_can_is_refused() {
        assert!(vm_cpu(&vm(0), &vm(100_000), Duration::from_secs(15)).is_err());
        assert_eq!(vm_cpu(&vm(0), &vm(15_000), Duration::from_secs(15)), Ok(Some(MilliCpu(1000))));
    }
}
