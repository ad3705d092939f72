//! What a move costs.

use std::time::Duration;

use ulm_forecast::{DirtyCurve, Precopy, PrecopyInput, precopy};
use ulm_model::{Bytes, BytesPerSecond, Task, TaskVm};

/// What a move costs: any whole number that the sum of all moves is to make small. The same question must get the same answer.
///
/// A move to the VM's own host is never asked for.
pub trait MoveCost: Sync {
    /// The cost of moving the VM between these hosts, all by their places in the task.
    fn cost(&self, task: &Task, vm: u32, from: u32, to: u32) -> u64;
    /// Whether the cost depends on the VM alone. Then it is asked for once for each VM.
    fn by_vm_alone(&self) -> bool {
        false
    }
    /// A cost that no move of the VM undercuts; the closer the better, for bounds and search. When [`MoveCost::by_vm_alone`]: the cost.
    fn least(&self, task: &Task, vm: u32) -> u64 {
        let _ = (task, vm);
        0
    }
}

/// The bytes that a move copies (at least 1): the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByBytes;

impl MoveCost for ByBytes {
    fn cost(&self, task: &Task, vm: u32, _from: u32, _to: u32) -> u64 {
        task.vms[vm as usize].copy.bytes.max(1)
    }
    fn by_vm_alone(&self) -> bool {
        true
    }
    fn least(&self, task: &Task, vm: u32) -> u64 {
        self.cost(task, vm, 0, 0)
    }
}

/// The time that a move is forecast to take, in milliseconds (at least 1).
#[derive(Clone, Copy, Debug, Default)]
pub struct BySeconds;

impl MoveCost for BySeconds {
    fn cost(&self, task: &Task, vm: u32, from: u32, to: u32) -> u64 {
        duration_ms(&task.vms[vm as usize], rate(task, from, to)).max(1)
    }
    fn least(&self, task: &Task, vm: u32) -> u64 {
        duration_ms(&task.vms[vm as usize], STREAM).max(1)
    }
}

/// What a single stream copies at most where no link says less, in bytes per second: 10 Gb/s.
pub const STREAM: u64 = 1_250_000_000;
/// From the order to the first byte.
const SETUP: Duration = Duration::from_millis(1000);
/// Device state and announcement at the end.
const SWITCH_OVER: Duration = Duration::from_millis(100);
/// QEMU's own default.
const DOWNTIME_LIMIT: Duration = Duration::from_millis(300);

/// The rate of a move between two hosts: that of the slowest link on its way, in bytes per second; at most [`STREAM`].
pub fn rate(task: &Task, from: u32, to: u32) -> u64 {
    let crossed = task.links.iter().filter(|link| link.inside.contains(&from) != link.inside.contains(&to));
    crossed.map(|link| link.rate).min().unwrap_or(STREAM).min(STREAM)
}

/// How long a move of the VM takes at that rate, in milliseconds, as far as can be told; a copy that would never end counts as ten
/// passes over its memory.
pub fn duration_ms(vm: &TaskVm, rate: u64) -> u64 {
    if let Some(known) = vm.copy.takes_ms {
        return known;
    }
    let forecast = precopy(&PrecopyInput {
        resident: Bytes(vm.copy.bytes),
        zero: Bytes(0),
        dirty: DirtyCurve {
            hot: Bytes(vm.copy.hot_bytes),
            hot_rate: BytesPerSecond(vm.copy.hot_rate),
            cold_rate: BytesPerSecond(vm.copy.cold_rate),
        },
        bandwidth: BytesPerSecond(rate),
        downtime_limit: DOWNTIME_LIMIT,
        setup: SETUP,
        switch_over: SWITCH_OVER,
    });
    match forecast.end {
        Precopy::Converges { total, .. } => total.as_millis() as u64,
        Precopy::Diverges { .. } => vm.copy.bytes.saturating_mul(10_000) / rate.max(1) + SETUP.as_millis() as u64,
    }
}
