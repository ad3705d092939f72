//! The host: what it has, how busy it is, what it can run.

use crate::codes::codes;
use crate::connection::Connection;
use crate::domain::LIST_MAX;
use crate::error::{Error, ProtocolError, Result};
use crate::procedures::Procedure;
use crate::typed_params::{TypedParam, TypedParams};
use crate::xdr::{Decoder, Encoder, List, Opaque, Void, Xdr, XdrError, xdr_struct};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use uuid::Uuid;

const KIB: u64 = 1024;

/// [`Connection::node_free_pages`] gives at most so many counts at once: sizes times cells.
pub const FREE_PAGES_MAX: usize = 1024;

/// libvirt knows at most so many parameters of a host's memory.
pub(crate) const MEMORY_PARAMETERS_MAX: usize = 64;

/// What the host is made of, as libvirt found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// The CPU architecture, like `x86_64`.
    pub model: String,
    /// Memory. Firmware and crash kernels are not always counted alike: take
    /// [`NodeMemoryStats::total_bytes`] for accounting.
    pub memory_bytes: u64,
    /// Logical CPUs that are on.
    pub cpus: u32,
    /// The clock of a CPU in MHz; 0 if unknown.
    pub mhz: u32,
    /// NUMA nodes; 1 for odd topologies.
    pub numa_nodes: u32,
    /// Sockets per NUMA node.
    pub sockets: u32,
    /// Cores per socket.
    pub cores: u32,
    /// Threads per core.
    pub threads: u32,
}

/// What the host's CPUs have done since it booted. Counters: two readings make a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeCpuStats {
    /// Time in the kernel, in ns, all CPUs together.
    pub kernel_ns: Option<u64>,
    /// Time in user space (guests included), in ns.
    pub user_ns: Option<u64>,
    /// Time with nothing to do, in ns.
    pub idle_ns: Option<u64>,
    /// Time waiting for disks, in ns.
    pub iowait_ns: Option<u64>,
    /// Time in interrupts, in ns. Most drivers leave it out.
    pub intr_ns: Option<u64>,
    /// Some drivers give no counters but a percentage.
    pub utilization_percent: Option<u64>,
}

/// The host's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeMemoryStats {
    /// All of it.
    pub total_bytes: Option<u64>,
    /// Used by nobody.
    pub free_bytes: Option<u64>,
    /// Buffers of block devices, can be given back.
    pub buffers_bytes: Option<u64>,
    /// The page cache, can mostly be given back.
    pub cached_bytes: Option<u64>,
}

/// How the host merges equal pages of memory (KSM), and what came of it. Pages are the host's ordinary ones; what its kernel
/// does not know is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeMemoryParameters {
    /// Pages that are looked at before the merging thread sleeps.
    pub pages_to_scan: Option<u64>,
    /// How long it sleeps, in ms.
    pub sleep_ms: Option<u64>,
    /// Merged pages: copies that are used several times.
    pub pages_shared: Option<u64>,
    /// Uses of merged pages beyond the first: so many pages are saved.
    pub pages_sharing: Option<u64>,
    /// Pages that have no equal.
    pub pages_unshared: Option<u64>,
    /// Pages that change too fast to be merged.
    pub pages_volatile: Option<u64>,
    /// How often all pages were looked at.
    pub full_scans: Option<u64>,
    /// Whether pages of different NUMA nodes are merged.
    pub merge_across_nodes: Option<bool>,
}

codes! {
    /// How a host's hypervisor compares with a CPU description.
    pub enum CpuComparison {
        Incompatible = 0 "a guest with this CPU cannot run here",
        Identical = 1 "exactly this CPU",
        Superset = 2 "this CPU and more",
    }
}

impl CpuComparison {
    /// Whether a guest with the described CPU can run.
    pub fn can_run(self) -> bool {
        matches!(self, Self::Identical | Self::Superset)
    }
}

/// Which emulator a question is about. `None` is the daemon's default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hypervisor {
    /// Path of the emulator.
    pub emulator: Option<String>,
    /// Architecture, like `x86_64`.
    pub arch: Option<String>,
    /// Machine type, like `q35`.
    pub machine: Option<String>,
    /// `kvm` or `qemu`.
    pub virt_type: Option<String>,
}

/// How deep the host is to sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SleepTarget {
    /// Suspend to RAM (S3).
    Memory = 0,
    /// Suspend to disk (S4).
    Disk = 1,
    /// Both.
    Hybrid = 2,
}

macro_rules! named_with_uuid {
    ($(#[$meta:meta])* $name:ident) => {
        xdr_struct! {
            $(#[$meta])*
            pub struct $name {
                /// Its name, unique on the host.
                pub name: String,
                /// Its identity.
                pub uuid: Uuid,
            }
        }
    };
}

named_with_uuid! {
    /// A virtual network of the host.
    Network
}
named_with_uuid! {
    /// A storage pool of the host.
    StoragePool
}

codes! {
    /// The state of a storage pool.
    pub enum StoragePoolState {
        Inactive = 0 "inactive",
        Building = 1 "building",
        Running = 2 "running",
        Degraded = 3 "degraded",
        Inaccessible = 4 "inaccessible",
    }
}

/// State and size of a storage pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoragePoolInfo {
    /// Whether it can be used.
    pub state: StoragePoolState,
    /// Its size.
    pub capacity_bytes: u64,
    /// Given away.
    pub allocation_bytes: u64,
    /// Left.
    pub available_bytes: u64,
}

xdr_struct! {
    /// remote_node_get_info_ret; libvirt sends the 32 characters of the model as 32 numbers.
    pub struct NodeInfoWire {
        /// The model, ended by a 0.
        pub model: ModelWire,
        /// KiB.
        pub memory_kib: u64,
        /// CPUs.
        pub cpus: i32,
        /// MHz.
        pub mhz: i32,
        /// NUMA nodes.
        pub nodes: i32,
        /// Sockets.
        pub sockets: i32,
        /// Cores.
        pub cores: i32,
        /// Threads.
        pub threads: i32,
    }
}

/// 32 characters, each in four bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelWire(pub String);

impl Xdr for ModelWire {
    const MIN_SIZE: usize = 128;

    fn encode(&self, out: &mut Encoder) {
        let bytes = self.0.as_bytes();
        for at in 0..32 {
            i32::from(bytes.get(at).copied().unwrap_or(0)).encode(out);
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, XdrError> {
        let mut bytes = Vec::with_capacity(32);
        for _ in 0..32 {
            // `char` is signed on some machines and not on others; only the low byte counts.
            bytes.push(i32::decode(input)? as u8);
        }
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        Ok(Self(String::from_utf8_lossy(&bytes[..end]).into_owned()))
    }
}

xdr_struct! {
    /// A counter with its name.
    pub struct CounterWire {
        /// The name.
        pub field: String,
        /// The value.
        pub value: u64,
    }
}

type Counters = List<CounterWire, 16>;

impl Connection {
    /// What the host is made of.
    pub async fn node_info(&self) -> Result<NodeInfo> {
        let wire: NodeInfoWire = self.call(Procedure::NODE_GET_INFO, &Void).await?;
        let count = |n: i32, what: &str| {
            u32::try_from(n)
                .map_err(|_| Error::Protocol(ProtocolError::new(format!("{n} {what}"), "payload of node_get_info")))
        };
        Ok(NodeInfo {
            model: wire.model.0,
            memory_bytes: wire.memory_kib.saturating_mul(KIB),
            cpus: count(wire.cpus, "CPUs")?,
            mhz: count(wire.mhz, "MHz")?,
            numa_nodes: count(wire.nodes, "NUMA nodes")?,
            sockets: count(wire.sockets, "sockets")?,
            cores: count(wire.cores, "cores")?,
            threads: count(wire.threads, "threads")?,
        })
    }

    /// What all CPUs of the host together have done since it booted.
    pub async fn node_cpu_stats(&self) -> Result<NodeCpuStats> {
        const ALL_CPUS: i32 = -1;
        let counters = self
            .node_counters(&self.session.cpu_fields, |fields| {
                (Procedure::NODE_GET_CPU_STATS, (ALL_CPUS, fields as i32, 0u32))
            })
            .await?;
        let mut stats = NodeCpuStats::default();
        for CounterWire { field, value } in counters {
            match field.as_str() {
                "kernel" => stats.kernel_ns = Some(value),
                "user" => stats.user_ns = Some(value),
                "idle" => stats.idle_ns = Some(value),
                "iowait" => stats.iowait_ns = Some(value),
                "intr" => stats.intr_ns = Some(value),
                "utilization" => stats.utilization_percent = Some(value),
                _ => {}
            }
        }
        Ok(stats)
    }

    /// The memory of the whole host.
    pub async fn node_memory_stats(&self) -> Result<NodeMemoryStats> {
        const ALL_CELLS: i32 = -1;
        let counters = self
            .node_counters(&self.session.memory_fields, |fields| {
                (Procedure::NODE_GET_MEMORY_STATS, (fields as i32, ALL_CELLS, 0u32))
            })
            .await?;
        let mut stats = NodeMemoryStats::default();
        for CounterWire { field, value } in counters {
            let bytes = Some(value.saturating_mul(KIB));
            match field.as_str() {
                "total" => stats.total_bytes = bytes,
                "free" => stats.free_bytes = bytes,
                "buffers" => stats.buffers_bytes = bytes,
                "cached" => stats.cached_bytes = bytes,
                _ => {}
            }
        }
        Ok(stats)
    }

    /// libvirt wants to know how many fields we expect, and says how many there are if we say 0.
    /// The answer does not change, so it is asked once per connection.
    async fn node_counters<A: Xdr>(
        &self,
        known: &AtomicU32,
        request: impl Fn(u32) -> (Procedure, A),
    ) -> Result<Vec<CounterWire>> {
        let mut fields = known.load(Ordering::Relaxed);
        if fields == 0 {
            let (procedure, arguments) = request(0);
            let (_, count): (Counters, i32) = self.call(procedure, &arguments).await?;
            fields = u32::try_from(count).unwrap_or(0);
            known.store(fields, Ordering::Relaxed);
        }
        let (procedure, arguments) = request(fields);
        let (counters, _): (Counters, i32) = self.call(procedure, &arguments).await?;
        Ok(counters.0)
    }

    /// Free pages of the given sizes (KiB, like 4 and 2048) in the NUMA cells
    /// `first_cell .. first_cell + cells`: for each cell, one count per size. Of the host's ordinary page size
    /// these are pages that nobody uses at all; what caches hold is not among them.
    ///
    /// libvirt refuses when a cell in between does not exist or does not know one of the sizes, and gives
    /// at most [`FREE_PAGES_MAX`] counts; cells behind the last one are left out.
    pub async fn node_free_pages(&self, page_sizes_kib: &[u32], first_cell: u32, cells: u32) -> Result<Vec<Vec<u64>>> {
        type Sizes = List<u32, FREE_PAGES_MAX>;
        let arguments =
            (List(page_sizes_kib.to_vec()) as Sizes, i32::try_from(first_cell).unwrap_or(i32::MAX), cells, 0u32);
        let counts: List<u64, FREE_PAGES_MAX> = self.call(Procedure::NODE_GET_FREE_PAGES, &arguments).await?;
        Ok(counts.0.chunks(page_sizes_kib.len().max(1)).map(<[u64]>::to_vec).collect())
    }

    /// How the host merges equal pages of memory, and what came of it. A host without such a kernel says nothing, or refuses.
    pub async fn node_memory_parameters(&self) -> Result<NodeMemoryParameters> {
        let arguments = (MEMORY_PARAMETERS_MAX as i32, 0u32);
        let (list, _): (List<TypedParam, MEMORY_PARAMETERS_MAX>, i32) =
            self.call(Procedure::NODE_GET_MEMORY_PARAMETERS, &arguments).await?;
        let told = TypedParams(list.0);
        Ok(NodeMemoryParameters {
            pages_to_scan: told.u64("shm_pages_to_scan"),
            sleep_ms: told.u64("shm_sleep_millisecs"),
            pages_shared: told.u64("shm_pages_shared"),
            pages_sharing: told.u64("shm_pages_sharing"),
            pages_unshared: told.u64("shm_pages_unshared"),
            pages_volatile: told.u64("shm_pages_volatile"),
            full_scans: told.u64("shm_full_scans"),
            merge_across_nodes: told.u64("shm_merge_across_nodes").map(|number| number != 0),
        })
    }

    /// What the host and its emulators can do, as XML: CPU model, NUMA, guest types.
    pub async fn capabilities(&self) -> Result<String> {
        self.call(Procedure::CONNECT_GET_CAPABILITIES, &Void).await
    }

    /// What guests of one emulator can have, as XML: CPU models, devices.
    pub async fn domain_capabilities(&self, of: &Hypervisor) -> Result<String> {
        self.call(Procedure::CONNECT_GET_DOMAIN_CAPABILITIES, &(of.to_wire(), 0u32)).await
    }

    /// Whether a guest with the CPU described by `cpu_xml` (a `<cpu>` element) can run here.
    pub async fn compare_hypervisor_cpu(&self, of: &Hypervisor, cpu_xml: &str) -> Result<CpuComparison> {
        let code: i32 =
            self.call(Procedure::CONNECT_COMPARE_HYPERVISOR_CPU, &(of.to_wire(), cpu_xml.to_owned(), 0u32)).await?;
        Ok(CpuComparison::from_code(code))
    }

    /// The best CPU, as XML, that runs on all hosts whose CPUs are described.
    pub async fn baseline_hypervisor_cpu(&self, of: &Hypervisor, cpu_xmls: &[String]) -> Result<String> {
        self.call(
            Procedure::CONNECT_BASELINE_HYPERVISOR_CPU,
            &(of.to_wire(), List::<String, 256>(cpu_xmls.to_vec()), 0u32),
        )
        .await
    }

    /// A device of the host, as XML.
    pub async fn node_device_xml(&self, name: &str) -> Result<String> {
        self.call(Procedure::NODE_DEVICE_GET_XML_DESC, &(name.to_owned(), 0u32)).await
    }

    /// Sends the host to sleep for `duration` (at least 60 s, whole seconds), after which its clock
    /// wakes it. The connection dies with it.
    pub async fn suspend_node(&self, target: SleepTarget, duration: Duration) -> Result<()> {
        self.nothing(Procedure::NODE_SUSPEND_FOR_DURATION, &(target as u32, duration.as_secs(), 0u32)).await
    }

    /// All virtual networks, active or not.
    pub async fn networks(&self) -> Result<Vec<Network>> {
        let (list, _): (List<Network, LIST_MAX>, u32) =
            self.call(Procedure::CONNECT_LIST_ALL_NETWORKS, &(1i32, 0u32)).await?;
        Ok(list.0)
    }

    /// Whether guests can be plugged into the network now.
    pub async fn network_is_active(&self, network: &Network) -> Result<bool> {
        let active: i32 = self.call(Procedure::NETWORK_IS_ACTIVE, network).await?;
        Ok(active != 0)
    }

    /// A network's definition, as XML.
    pub async fn network_xml(&self, network: &Network) -> Result<String> {
        self.call(Procedure::NETWORK_GET_XML_DESC, &(network.clone(), 0u32)).await
    }

    /// All storage pools, active or not.
    pub async fn storage_pools(&self) -> Result<Vec<StoragePool>> {
        let (list, _): (List<StoragePool, LIST_MAX>, u32) =
            self.call(Procedure::CONNECT_LIST_ALL_STORAGE_POOLS, &(1i32, 0u32)).await?;
        Ok(list.0)
    }

    /// Whether the pool can be used now.
    pub async fn storage_pool_is_active(&self, pool: &StoragePool) -> Result<bool> {
        let active: i32 = self.call(Procedure::STORAGE_POOL_IS_ACTIVE, pool).await?;
        Ok(active != 0)
    }

    /// State and size of a pool.
    pub async fn storage_pool_info(&self, pool: &StoragePool) -> Result<StoragePoolInfo> {
        let (state, capacity_bytes, allocation_bytes, available_bytes): (u32, u64, u64, u64) =
            self.call(Procedure::STORAGE_POOL_GET_INFO, pool).await?;
        Ok(StoragePoolInfo {
            state: StoragePoolState::from_code(state as i32),
            capacity_bytes,
            allocation_bytes,
            available_bytes,
        })
    }

    /// A pool's definition, as XML.
    pub async fn storage_pool_xml(&self, pool: &StoragePool) -> Result<String> {
        self.call(Procedure::STORAGE_POOL_GET_XML_DESC, &(pool.clone(), 0u32)).await
    }
}

impl Hypervisor {
    #[allow(clippy::type_complexity)]
    fn to_wire(&self) -> (Option<String>, Option<String>, Option<String>, Option<String>) {
        (self.emulator.clone(), self.arch.clone(), self.machine.clone(), self.virt_type.clone())
    }
}

/// What a migration leaves for the other phases; opaque to us.
pub(crate) type Cookie = Opaque<{ 4 * 1024 * 1024 }>;
