//! What the series are of: entities, metrics, units.

use std::fmt;

use ulm_model::{HostName, VmId};

use super::code::Precision;

/// What a series belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// A physical host.
    Host(HostName),
    /// A VM, wherever it runs.
    Vm(VmId),
}

/// Names a series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey {
    /// Of what.
    pub entity: Entity,
    /// Which of its figures.
    pub metric: Metric,
}

/// A series' number in this history, from [`History::intern`](super::History::intern): kept by the caller, so that a
/// tick needs no look-ups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId {
    pub(crate) number: u32,
    pub(crate) precision: Precision,
}

/// A host's number in this history: what [`Metric::OnHost`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostNumber(pub u16);

/// What one unit of a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Thousandths of a physical CPU.
    MilliCpu,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
    /// Ten-thousandths of a whole.
    Share,
    /// Things, counted exactly up to 32,767.
    Count,
    /// Operations per second.
    PerSecond,
    /// Milliseconds.
    Milliseconds,
    /// A mean number of things, kept to the thousandth.
    Mean,
    /// See [`HostNumber`].
    HostNumber,
}

macro_rules! metrics {
    ($($number:literal $variant:ident $name:literal $unit:ident $doc:literal;)*) => {
        /// The figures that are kept. Numbers never change and are never given again; new ones are added at the end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Metric { $(#[doc = $doc] $variant = $number,)* }

        impl Metric {
            /// All of them, by number.
            pub const ALL: &'static [Metric] = &[$(Metric::$variant,)*];

            /// The name in tables and in the interface.
            pub fn name(self) -> &'static str {
                match self { $(Metric::$variant => $name,)* }
            }
            /// The unit of its values.
            pub fn unit(self) -> Unit {
                match self { $(Metric::$variant => Unit::$unit,)* }
            }
            /// What it is, in a sentence.
            pub fn about(self) -> &'static str {
                match self { $(Metric::$variant => $doc,)* }
            }
            /// The metric with that number; `None` for one of a newer ulm.
            pub fn from_number(number: u16) -> Option<Metric> {
                match number { $($number => Some(Metric::$variant),)* _ => None }
            }
            /// The metric with that name.
            pub fn from_name(name: &str) -> Option<Metric> {
                match name { $($name => Some(Metric::$variant),)* _ => None }
            }
        }
    };
}

metrics! {
    1 CpuUse "cpu_use" MilliCpu "CPU in use: of a host by everything on it, of a VM by its process.";
    2 CpuCapacity "cpu_capacity" MilliCpu "CPU that a host can give in all.";
    3 MemoryUse "memory_use" Bytes "Memory in use: of a host what a new VM could not get at once, of a VM its resident set.";
    4 MemoryTotal "memory_total" Bytes "Memory of a host in all, or a VM's size.";
    5 VmCount "vm_count" Count "VMs on a host that hold resources.";
    6 Contention "contention" Share "CPU time that virtual CPUs wanted and did not get, of wall time and vCPUs.";
    7 Network "network" BytesPerSecond "Bytes through the network interfaces, both directions.";
    8 Disk "disk" BytesPerSecond "Bytes read from and written to disks.";
    9 OnHost "on_host" HostNumber "The host that runs a VM, as its number in this history.";
    10 VcpusPromised "vcpus_promised" Count "Virtual CPUs: of a host those of all its VMs, of a VM its own.";
    11 MemoryPromised "memory_promised" Bytes "Memory that the VMs of a host may take at most.";
    12 CpuUser "cpu_user" MilliCpu "CPU in use by processes of a host.";
    13 CpuSystem "cpu_system" MilliCpu "CPU in use by a host's kernel.";
    14 CpuIoWait "cpu_iowait" MilliCpu "CPU of a host that is idle because something waits for a disk.";
    15 MemoryFree "memory_free" Bytes "Memory that nothing uses.";
    16 MemoryCached "memory_cached" Bytes "Memory that caches and buffers hold and can give back.";
    17 SwapUse "swap_use" Bytes "Swap space in use.";
    18 NetworkIn "network_in" BytesPerSecond "Bytes received.";
    19 NetworkOut "network_out" BytesPerSecond "Bytes sent.";
    20 DiskRead "disk_read" BytesPerSecond "Bytes read from disks.";
    21 DiskWritten "disk_written" BytesPerSecond "Bytes written to disks.";
    22 DiskOperations "disk_operations" PerSecond "Reads and writes of disks.";
    23 PressureCpu "pressure_cpu" Share "Part of the time in which some task waited for a CPU.";
    24 PressureMemory "pressure_memory" Share "Part of the time in which some task waited for memory.";
    25 PressureIo "pressure_io" Share "Part of the time in which some task waited for a disk.";
    26 Load "load" Mean "Tasks that run or want to run, mean of a minute.";
    27 MovesIn "moves_in" Count "Moves to a host that run.";
    28 MovesOut "moves_out" Count "Moves away from a host that run.";
    29 AnswerTime "answer_time" Milliseconds "How long a host took to answer the round's questions.";
    30 MemoryShared "memory_shared" Bytes "Memory saved because equal pages are kept once.";
    31 MemoryUnused "memory_unused" Bytes "Memory that a guest itself says it does not use.";
    32 DirtyRate "dirty_rate" BytesPerSecond "Memory that a guest writes anew.";
}

impl Metric {
    /// Its number in the file.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// How its values are rounded when they are kept.
    pub fn precision(self) -> Precision {
        match self.unit() {
            Unit::Count | Unit::HostNumber => Precision::Exact,
            Unit::Mean => Precision::Thousandths,
            _ => Precision::Whole,
        }
    }
}

impl Entity {
    /// `host` or `vm`.
    pub fn kind(&self) -> &'static str {
        match self {
            Entity::Host(_) => "host",
            Entity::Vm(_) => "vm",
        }
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Entity::Host(name) => name.0.clone(),
            Entity::Vm(vm) => vm.to_string(),
        }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.name())
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Unit::MilliCpu => "thousandths of a CPU",
            Unit::Bytes => "bytes",
            Unit::BytesPerSecond => "bytes per second",
            Unit::Share => "ten-thousandths",
            Unit::Count | Unit::Mean => "",
            Unit::PerSecond => "per second",
            Unit::Milliseconds => "milliseconds",
            Unit::HostNumber => "host number",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_lead_back() {
        let names: BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        for &metric in Metric::ALL {
            assert_eq!(Metric::from_number(metric.number()), Some(metric));
            assert_eq!(Metric::from_name(metric.name()), Some(metric));
        }
        assert_eq!(Metric::from_number(0), None);
    }
}
