//! The figures of all VMs of a host in one call.
//!
//! Nearly everything here is a counter that grows from the VM's start *on this host*: after a
//! migration it begins again near 0, so a smaller value than before means a new start, not a
//! negative rate.

use crate::codes::codes;
use crate::connection::Connection;
use crate::domain::{Domain, DomainFilter, DomainState};
use crate::error::Result;
use crate::procedures::Procedure;
use crate::typed_params::{TypedParam, TypedParams, Value};
use crate::xdr::{List, xdr_struct};
use std::collections::BTreeMap;

/// The most parameters, and the most records, an answer may have.
pub const STATS_MAX: usize = 262_144;

const KIB: u64 = 1024;

/// Which groups of figures to ask for (`VIR_DOMAIN_STATS_…`). The empty set is all the daemon has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatsGroups(pub u32);

#[allow(missing_docs)] // the names are libvirt's own
impl StatsGroups {
    pub const ALL: Self = Self(0);
    pub const STATE: Self = Self(1);
    pub const CPU_TOTAL: Self = Self(1 << 1);
    pub const BALLOON: Self = Self(1 << 2);
    pub const VCPU: Self = Self(1 << 3);
    pub const INTERFACE: Self = Self(1 << 4);
    pub const BLOCK: Self = Self(1 << 5);
    pub const PERF: Self = Self(1 << 6);
    pub const IOTHREAD: Self = Self(1 << 7);
    pub const MEMORY: Self = Self(1 << 8);
    pub const DIRTYRATE: Self = Self(1 << 9);
    pub const VM: Self = Self(1 << 10);
}

impl std::ops::BitOr for StatsGroups {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Whether to wait for a VM that is busy with something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BusyVms {
    /// Leave out what would have to wait for a job or a stuck QEMU: one bad VM does not hold up
    /// the figures of all others.
    #[default]
    DoNotWait,
    /// Wait.
    Wait,
}

/// What figures of which VMs to get.
#[derive(Debug, Clone, Default)]
pub struct StatsRequest {
    /// The groups of figures.
    pub groups: StatsGroups,
    /// Which VMs.
    pub filter: DomainFilter,
    /// What to do about VMs that do not answer.
    pub busy: BusyVms,
    /// Only these VMs; empty means all.
    pub only: Vec<Domain>,
}

/// The figures of one VM.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainStats {
    /// Which VM.
    pub domain: Domain,
    /// Its state.
    pub state: Option<DomainState>,
    /// CPU time of the whole VM.
    pub cpu: CpuStats,
    /// Memory.
    pub balloon: BalloonStats,
    /// Virtual CPUs.
    pub vcpu: VcpuTotals,
    /// Network cards, by number.
    pub nets: Vec<NetStats>,
    /// Disks, by number.
    pub blocks: Vec<BlockStats>,
    /// The last measurement of the dirty rate.
    pub dirty_rate: Option<DirtyRate>,
    /// Whatever else the daemon said, as it said it.
    pub other: TypedParams,
}

/// CPU time since the VM started on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuStats {
    /// Guest and emulator together.
    pub total_ns: Option<u64>,
    /// In user space (where guest code counts).
    pub user_ns: Option<u64>,
    /// In the kernel.
    pub system_ns: Option<u64>,
}

/// Memory of a VM. Besides `current`, `maximum` and `rss` the figures come from the guest's
/// balloon driver; see [`Connection::set_memory_stats_period`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BalloonStats {
    /// Given to the guest now.
    pub current_bytes: Option<u64>,
    /// At most.
    pub maximum_bytes: Option<u64>,
    /// Memory the emulator's process really takes up on the host.
    pub rss_bytes: Option<u64>,
    /// What the guest sees as its memory.
    pub available_bytes: Option<u64>,
    /// Not used for anything in the guest.
    pub unused_bytes: Option<u64>,
    /// What the guest could give away without swapping.
    pub usable_bytes: Option<u64>,
    /// Disk caches in the guest.
    pub disk_caches_bytes: Option<u64>,
    /// Read back from swap in the guest.
    pub swap_in_bytes: Option<u64>,
    /// Written to swap in the guest.
    pub swap_out_bytes: Option<u64>,
    /// Page faults that needed a disk.
    pub major_faults: Option<u64>,
    /// Page faults that did not.
    pub minor_faults: Option<u64>,
    /// When the guest said so, in seconds since 1970 by the host's clock.
    pub last_update_s: Option<u64>,
}

/// The virtual CPUs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VcpuTotals {
    /// How many are plugged in.
    pub current: Option<u32>,
    /// How many there may be.
    pub maximum: Option<u32>,
    /// Each one.
    pub each: Vec<VcpuStats>,
}

impl VcpuTotals {
    /// How long the virtual CPUs together waited for a physical one ([`VcpuStats::delay_ns`]);
    /// `None` if the daemon does not say.
    pub fn delay_ns(&self) -> Option<u64> {
        self.sum(|vcpu| vcpu.delay_ns)
    }

    /// The sum of [`VcpuStats::wait_ns`].
    pub fn wait_ns(&self) -> Option<u64> {
        self.sum(|vcpu| vcpu.wait_ns)
    }

    fn sum(&self, of: impl Fn(&VcpuStats) -> Option<u64>) -> Option<u64> {
        self.each.iter().filter_map(of).reduce(|sum, ns| sum.saturating_add(ns))
    }
}

codes! {
    /// What a virtual CPU does.
    pub enum VcpuState {
        Offline = 0 "offline",
        Running = 1 "running",
        Blocked = 2 "blocked",
    }
}

/// One virtual CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VcpuStats {
    /// Its number.
    pub index: u32,
    /// What it does.
    pub state: Option<VcpuState>,
    /// How long it ran.
    pub time_ns: Option<u64>,
    /// How long it wanted to run and waited for disks or the like (`vcpu.N.wait`).
    pub wait_ns: Option<u64>,
    /// How long it stood in the queue for a physical CPU: contention, what the guest sees as steal.
    pub delay_ns: Option<u64>,
    /// Whether the guest has put it to rest.
    pub halted: Option<bool>,
}

/// One network card, seen from the guest: `rx` is what the guest received.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetStats {
    /// Its number.
    pub index: u32,
    /// The host's name of it, like `vnet0`.
    pub name: Option<String>,
    /// Received.
    pub rx: Traffic,
    /// Sent.
    pub tx: Traffic,
}

/// One direction of a network card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Bytes.
    pub bytes: Option<u64>,
    /// Packets.
    pub packets: Option<u64>,
    /// Errors.
    pub errors: Option<u64>,
    /// Packets dropped.
    pub dropped: Option<u64>,
}

/// One disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockStats {
    /// Its number.
    pub index: u32,
    /// The guest's name of it, like `vda`.
    pub name: Option<String>,
    /// The file or device behind it.
    pub path: Option<String>,
    /// Reads.
    pub read: Transfers,
    /// Writes.
    pub write: Transfers,
    /// Flushes (without bytes).
    pub flush: Transfers,
    /// Failed requests.
    pub errors: Option<u64>,
    /// Taken up on the storage.
    pub allocation_bytes: Option<u64>,
    /// The size the guest sees.
    pub capacity_bytes: Option<u64>,
    /// The size of the file or device.
    pub physical_bytes: Option<u64>,
}

/// Requests of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transfers {
    /// How many.
    pub requests: Option<u64>,
    /// How much.
    pub bytes: Option<u64>,
    /// How long they took together.
    pub time_ns: Option<u64>,
}

codes! {
    /// How far a measurement of the dirty rate is.
    pub enum DirtyRateStatus {
        Unstarted = 0 "never started",
        Measuring = 1 "under way",
        Measured = 2 "done",
    }
}

/// A measurement of how fast a guest dirties its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirtyRate {
    /// How far it is.
    pub status: DirtyRateStatus,
    /// When it began, in seconds of a clock of the emulator's choice.
    pub start_s: Option<i64>,
    /// How long it took.
    pub period_s: Option<u64>,
    /// The rate, once it is done. Page sampling is rough: expect a factor of two.
    pub bytes_per_s: Option<u64>,
}

xdr_struct! {
    /// remote_domain_stats_record.
    pub struct StatsRecordWire {
        /// Which VM.
        pub dom: Domain,
        /// Its figures.
        pub params: List<TypedParam, STATS_MAX>,
    }
}

impl Connection {
    /// The figures of all VMs the request names, in the daemon's order.
    pub async fn domain_stats(&self, request: &StatsRequest) -> Result<Vec<DomainStats>> {
        const NOWAIT: u32 = 1 << 29;
        let flags = request.filter.0
            | match request.busy {
                BusyVms::DoNotWait => NOWAIT,
                BusyVms::Wait => 0,
            };
        let only: List<Domain, { crate::domain::LIST_MAX }> = List(request.only.clone());
        let records: List<StatsRecordWire, STATS_MAX> =
            self.call(Procedure::CONNECT_GET_ALL_DOMAIN_STATS, &(only, request.groups.0, flags)).await?;
        Ok(records.0.into_iter().map(|r| DomainStats::from_params(r.dom, r.params.0)).collect())
    }
}

impl DomainStats {
    /// Sorts a daemon's parameters into the fields. What does not fit anywhere (an unknown name, or
    /// a value of an unexpected type) is kept in `other`.
    pub fn from_params(domain: Domain, params: Vec<TypedParam>) -> Self {
        let mut stats = Self {
            domain,
            state: None,
            cpu: CpuStats::default(),
            balloon: BalloonStats::default(),
            vcpu: VcpuTotals::default(),
            nets: Vec::new(),
            blocks: Vec::new(),
            dirty_rate: None,
            other: TypedParams::default(),
        };
        let mut state: (Option<i32>, i32) = (None, 0);
        let mut rate: (Option<i32>, DirtyRate) =
            (None, DirtyRate { status: DirtyRateStatus::Unstarted, start_s: None, period_s: None, bytes_per_s: None });
        let mut vcpus = Numbered::<VcpuStats>::default();
        let mut nets = Numbered::<NetStats>::default();
        let mut blocks = Numbered::<BlockStats>::default();
        for param in params {
            let value = &param.value;
            let small = || value.as_i64().and_then(|n| i32::try_from(n).ok());
            let (group, rest) = param.field.split_once('.').unwrap_or((&param.field, ""));
            let known = match group {
                "state" => match rest {
                    "state" => set(&mut state.0, small()),
                    "reason" => small().map(|reason| state.1 = reason).is_some(),
                    _ => false,
                },
                "cpu" => stats.cpu.take(rest, value),
                "balloon" => stats.balloon.take(rest, value),
                "vcpu" => match rest {
                    "current" => set(&mut stats.vcpu.current, number(value)),
                    "maximum" => set(&mut stats.vcpu.maximum, number(value)),
                    _ => vcpus.take(rest, |vcpu, field| vcpu.take(field, value)),
                },
                "net" if rest == "count" => true,
                "net" => nets.take(rest, |net, field| net.take(field, value)),
                "block" if rest == "count" => true,
                "block" => blocks.take(rest, |block, field| block.take(field, value)),
                "dirtyrate" => match rest {
                    "calc_status" => set(&mut rate.0, small()),
                    "calc_start_time" => set(&mut rate.1.start_s, value.as_i64()),
                    "calc_period" => set(&mut rate.1.period_s, value.as_u64()),
                    "megabytes_per_second" => {
                        set(&mut rate.1.bytes_per_s, value.as_u64().map(|mib| mib.saturating_mul(KIB * KIB)))
                    }
                    _ => false,
                },
                _ => false,
            };
            if !known {
                stats.other.0.push(param);
            }
        }
        stats.state = state.0.map(|code| DomainState::from_codes(code, state.1));
        stats.dirty_rate = rate.0.map(|code| DirtyRate { status: DirtyRateStatus::from_code(code), ..rate.1 });
        stats.vcpu.each = vcpus.into_vec(|vcpu, index| vcpu.index = index);
        stats.nets = nets.into_vec(|net, index| net.index = index);
        stats.blocks = blocks.into_vec(|block, index| block.index = index);
        stats
    }
}

/// Things that libvirt numbers in the names of their figures: `net.3.rx.bytes`. Built from the
/// names that are there, never from the count the daemon claims.
struct Numbered<T>(BTreeMap<u32, T>);

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Default> Numbered<T> {
    /// Passes `3.rx.bytes` on as the field `rx.bytes` of number 3; whether it was understood.
    fn take(&mut self, name: &str, set: impl FnOnce(&mut T, &str) -> bool) -> bool {
        let Some((index, field)) = name.split_once('.') else {
            return false;
        };
        let Ok(index) = index.parse() else {
            return false;
        };
        let mut fresh = T::default();
        match self.0.get_mut(&index) {
            Some(old) => set(old, field),
            None => {
                let known = set(&mut fresh, field);
                if known {
                    self.0.insert(index, fresh);
                }
                known
            }
        }
    }

    fn into_vec(self, mut name: impl FnMut(&mut T, u32)) -> Vec<T> {
        self.0
            .into_iter()
            .map(|(index, mut thing)| {
                name(&mut thing, index);
                thing
            })
            .collect()
    }
}

/// Puts a value in its place; whether it had the right type.
fn set<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let known = value.is_some();
    if known {
        *place = value;
    }
    known
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64()?.try_into().ok()
}

impl CpuStats {
    fn take(&mut self, field: &str, value: &Value) -> bool {
        let place = match field {
            "time" => &mut self.total_ns,
            "user" => &mut self.user_ns,
            "system" => &mut self.system_ns,
            _ => return false,
        };
        set(place, value.as_u64())
    }
}

impl BalloonStats {
    fn take(&mut self, field: &str, value: &Value) -> bool {
        let place = match field {
            "major_fault" => return set(&mut self.major_faults, value.as_u64()),
            "minor_fault" => return set(&mut self.minor_faults, value.as_u64()),
            "last-update" => return set(&mut self.last_update_s, value.as_u64()),
            "current" => &mut self.current_bytes,
            "maximum" => &mut self.maximum_bytes,
            "rss" => &mut self.rss_bytes,
            "available" => &mut self.available_bytes,
            "unused" => &mut self.unused_bytes,
            "usable" => &mut self.usable_bytes,
            "disk_caches" => &mut self.disk_caches_bytes,
            "swap_in" => &mut self.swap_in_bytes,
            "swap_out" => &mut self.swap_out_bytes,
            _ => return false,
        };
        set(place, value.as_u64().map(|kib| kib.saturating_mul(KIB)))
    }
}

impl VcpuStats {
    fn take(&mut self, field: &str, value: &Value) -> bool {
        match field {
            "state" => {
                set(&mut self.state, value.as_i64().and_then(|n| i32::try_from(n).ok()).map(VcpuState::from_code))
            }
            "time" => set(&mut self.time_ns, value.as_u64()),
            "wait" => set(&mut self.wait_ns, value.as_u64()),
            "delay" => set(&mut self.delay_ns, value.as_u64()),
            // libvirt says yes or no as text here.
            "halted" => set(&mut self.halted, value.as_bool().or(value.as_str().map(|text| text == "yes"))),
            _ => false,
        }
    }
}

impl NetStats {
    fn take(&mut self, field: &str, value: &Value) -> bool {
        let place = match field {
            "name" => return set(&mut self.name, value.as_str().map(str::to_owned)),
            "rx.bytes" => &mut self.rx.bytes,
            "rx.pkts" => &mut self.rx.packets,
            "rx.errs" => &mut self.rx.errors,
            "rx.drop" => &mut self.rx.dropped,
            "tx.bytes" => &mut self.tx.bytes,
            "tx.pkts" => &mut self.tx.packets,
            "tx.errs" => &mut self.tx.errors,
            "tx.drop" => &mut self.tx.dropped,
            _ => return false,
        };
        set(place, value.as_u64())
    }
}

impl BlockStats {
    fn take(&mut self, field: &str, value: &Value) -> bool {
        let place = match field {
            "name" => return set(&mut self.name, value.as_str().map(str::to_owned)),
            "path" => return set(&mut self.path, value.as_str().map(str::to_owned)),
            "rd.reqs" => &mut self.read.requests,
            "rd.bytes" => &mut self.read.bytes,
            "rd.times" => &mut self.read.time_ns,
            "wr.reqs" => &mut self.write.requests,
            "wr.bytes" => &mut self.write.bytes,
            "wr.times" => &mut self.write.time_ns,
            "fl.reqs" => &mut self.flush.requests,
            "fl.times" => &mut self.flush.time_ns,
            "errors" => &mut self.errors,
            "allocation" => &mut self.allocation_bytes,
            "capacity" => &mut self.capacity_bytes,
            "physical" => &mut self.physical_bytes,
            _ => return false,
        };
        set(place, value.as_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RunningReason;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn vm() -> Domain {
        Domain { name: "vm1".into(), uuid: Uuid::from_u128(1), id: Some(1) }
    }

    fn stats(params: &[(&str, Value)]) -> DomainStats {
        let params = params.iter().map(|(f, v)| TypedParam::new(*f, v.clone())).collect();
        DomainStats::from_params(vm(), params)
    }

    #[test]
    fn figures_are_sorted_into_fields_with_units() {
        let stats = stats(&[
            ("state.state", Value::Int(1)),
            ("state.reason", Value::Int(2)),
            ("cpu.time", Value::Ulong(12)),
            ("balloon.current", Value::Ulong(131_072)),
            ("balloon.last-update", Value::Ulong(1_700_000_000)),
            ("vcpu.current", Value::Uint(2)),
            ("vcpu.0.delay", Value::Ulong(5)),
            ("vcpu.1.delay", Value::Ulong(6)),
            ("net.count", Value::Uint(4_000_000_000)),
            ("net.1.rx.bytes", Value::Ulong(7)),
            ("block.0.name", Value::String("vda".into())),
            ("dirtyrate.calc_status", Value::Int(2)),
            ("dirtyrate.megabytes_per_second", Value::Long(24)),
            ("perf.cmt", Value::Ulong(9)),
        ]);
        assert_eq!(stats.state, Some(DomainState::Running(RunningReason::Migrated)));
        assert_eq!(stats.cpu.total_ns, Some(12));
        assert_eq!(stats.balloon.current_bytes, Some(128 << 20));
        assert_eq!(stats.balloon.last_update_s, Some(1_700_000_000));
        assert_eq!(stats.vcpu.delay_ns(), Some(11));
        assert_eq!(stats.vcpu.wait_ns(), None);
        assert_eq!((stats.nets[0].index, stats.nets[0].rx.bytes), (1, Some(7)));
        assert_eq!(stats.blocks[0].name.as_deref(), Some("vda"));
        assert_eq!(stats.dirty_rate.and_then(|r| r.bytes_per_s), Some(24 << 20));
        assert_eq!(stats.other.u64("perf.cmt"), Some(9));
        assert_eq!(stats.other.0.len(), 1);
    }

    #[test]
    fn a_figure_of_the_wrong_type_is_kept_aside() {
        let stats = stats(&[("cpu.time", Value::String("much".into()))]);
        assert_eq!(stats.cpu.total_ns, None);
        assert_eq!(stats.other.str("cpu.time"), Some("much"));
    }

    proptest! {
        #[test]
        fn odd_names_never_panic(
            names in proptest::collection::vec("(vcpu|net|block|state|dirtyrate|balloon)?\\.?[0-9]{0,12}\\.?[a-z.]{0,8}", 0..20),
            n: i64,
        ) {
            let params = names.into_iter().map(|f| TypedParam::new(f, Value::Long(n))).collect();
            let _ = DomainStats::from_params(vm(), params);
        }
    }
}
