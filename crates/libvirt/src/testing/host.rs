//! The made-up host: what it has and what its VMs do. All figures are functions of the host's name,
//! the VM's number and how often they were asked for; nothing is random.

use crate::domain::Domain;
use crate::node::{FREE_PAGES_MAX, Network, StoragePool};
use crate::typed_params::{TypedParam, Value};
use uuid::Uuid;

/// A host for a [`super::FakeServer`]. All fields may be changed at any time with
/// [`super::FakeServer::edit`].
#[derive(Debug, Clone)]
pub struct FakeHost {
    /// Its name.
    pub name: String,
    /// Logical CPUs.
    pub cpus: u32,
    /// Memory.
    pub memory_bytes: u64,
    /// How busy the CPUs look, in percent of all of them.
    pub busy_percent: u64,
    /// The VMs.
    pub vms: Vec<FakeVm>,
    /// Authentication types to offer; empty or 0 is none, 1 SASL, 2 polkit.
    pub auth: Vec<i32>,
    /// What polkit says.
    pub polkit_complete: i32,
    /// Whether the daemon knows keep-alive.
    pub keep_alive: bool,
    /// libvirt's packed version.
    pub lib_version: u64,
    /// The capabilities document.
    pub capabilities: String,
    /// Networks, all active.
    pub networks: Vec<Network>,
    /// Storage pools, all active.
    pub pools: Vec<StoragePool>,
    /// NUMA cells; with none it does not know the call for free pages. Put in by [`FakeHost::tell_cells`].
    pub cells: Vec<FakeCell>,
    /// What it tells of merging; with none it does not know the call. Put in by [`FakeHost::tell_merging`].
    pub memory_parameters: Vec<TypedParam>,
    /// How often the CPU figures were asked for; the fake's clock, 15 s each.
    pub ticks: u64,
}

/// A NUMA cell of a [`FakeHost`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeCell {
    /// Its number.
    pub id: u32,
    /// CPUs.
    pub cpus: u32,
    /// Pages, by size.
    pub pages: Vec<FakePages>,
}

/// Pages of one size in a [`FakeCell`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FakePages {
    /// The size of a page in KiB.
    pub size_kib: u32,
    /// How many there are.
    pub total: u64,
    /// How many nobody uses.
    pub free: u64,
}

/// A VM of a [`FakeHost`].
#[derive(Debug, Clone)]
pub struct FakeVm {
    /// Its name, UUID and id.
    pub domain: Domain,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory.
    pub memory_bytes: u64,
    /// CPU time so far.
    pub cpu_ns: u64,
    /// CPU time it uses between two questions.
    pub cpu_ns_per_tick: u64,
    /// libvirt's state and reason.
    pub state: (i32, i32),
    /// libvirt's job type and parameters, while there is a job.
    pub job: Option<(i32, Vec<TypedParam>)>,
    /// The definition.
    pub xml: String,
}

const TICK_NS: u64 = 15_000_000_000;
const GIB: u64 = 1 << 30;

impl FakeHost {
    /// A host with 32 CPUs and 256 GiB and `count` running VMs.
    pub fn with_vms(name: &str, count: u32) -> Self {
        let vms = (0..count).map(|n| FakeVm::new(name, n)).collect();
        Self {
            name: name.to_owned(),
            cpus: 32,
            memory_bytes: 256 * GIB,
            busy_percent: 40,
            vms,
            auth: Vec::new(),
            polkit_complete: 1,
            keep_alive: true,
            lib_version: 11_003_000,
            capabilities: format!(
                "<capabilities><host><uuid>{}</uuid><cpu><arch>x86_64</arch>\
                 <model>Skylake-Server</model></cpu></host></capabilities>",
                id_of(name, u32::MAX)
            ),
            networks: vec![Network { name: "default".into(), uuid: id_of("network default", 0) }],
            pools: vec![StoragePool { name: "shared".into(), uuid: id_of("pool shared", 0) }],
            cells: Vec::new(),
            memory_parameters: Vec::new(),
            ticks: 0,
        }
    }

    /// Gives it NUMA cells, and a capabilities document that names them as libvirt does.
    pub fn tell_cells(&mut self, cells: Vec<FakeCell>) {
        let mut topology = format!("<topology><cells num='{}'>", cells.len());
        for cell in &cells {
            let kib: u64 = cell.pages.iter().map(|pages| u64::from(pages.size_kib) * pages.total).sum();
            topology += &format!("<cell id='{}'><memory unit='KiB'>{kib}</memory>", cell.id);
            for pages in &cell.pages {
                topology += &format!("<pages unit='KiB' size='{}'>{}</pages>", pages.size_kib, pages.total);
            }
            topology += &format!("<cpus num='{}'/></cell>", cell.cpus);
        }
        topology += "</cells></topology></host>";
        self.capabilities = self.capabilities.replace("</host>", &topology);
        self.cells = cells;
    }

    /// Lets it merge pages: so many merged copies, so many pages saved by them, after so many full scans. Names and types are
    /// libvirt's.
    pub fn tell_merging(&mut self, shared: u64, sharing: u64, full_scans: u64) {
        let parameters = [
            ("shm_pages_to_scan", Value::Uint(100)),
            ("shm_sleep_millisecs", Value::Uint(20)),
            ("shm_pages_shared", Value::Ulong(shared)),
            ("shm_pages_sharing", Value::Ulong(sharing)),
            ("shm_pages_unshared", Value::Ulong(7_000)),
            ("shm_pages_volatile", Value::Ulong(50)),
            ("shm_full_scans", Value::Ulong(full_scans)),
            ("shm_merge_across_nodes", Value::Uint(1)),
        ];
        self.memory_parameters = parameters.into_iter().map(|(field, value)| TypedParam::new(field, value)).collect();
    }

    /// What libvirt says about free pages: cells behind the last one are left out, and a cell or a size that is
    /// not there spoils all.
    pub(super) fn free_pages(&self, sizes_kib: &[u32], first: u32, cells: u32) -> Result<Vec<u64>, String> {
        let last = self.cells.iter().map(|cell| cell.id).max().unwrap_or(0);
        if first > last {
            return Err(format!("internal error: start cell {first} out of range (0-{last})"));
        }
        if sizes_kib.len().saturating_mul(cells as usize) > FREE_PAGES_MAX {
            return Err("internal error: the result won't fit into REMOTE_NODE_MAX_CELLS".into());
        }
        let mut counts = Vec::new();
        for id in first..=last.min(first.saturating_add(cells).saturating_sub(1)) {
            for size in sizes_kib {
                let pages = self.cells.iter().filter(|cell| cell.id == id).flat_map(|cell| &cell.pages);
                let free = pages.filter(|pages| pages.size_kib == *size).map(|pages| pages.free).next();
                counts.push(free.ok_or_else(|| format!("internal error: node {id} has no pages of {size} KiB"))?);
            }
        }
        Ok(counts)
    }

    /// kernel, user, idle, iowait in ns since boot.
    pub(super) fn cpu_counters(&mut self) -> [(&'static str, u64); 4] {
        self.ticks += 1;
        let all = self.ticks * TICK_NS * u64::from(self.cpus);
        let busy = all / 100 * self.busy_percent.min(100);
        [("kernel", busy / 5), ("user", busy - busy / 5), ("idle", all - busy), ("iowait", 0)]
    }

    /// total, free, buffers, cached in KiB.
    pub(super) fn memory_counters(&self) -> [(&'static str, u64); 4] {
        let used: u64 = self.vms.iter().map(|vm| vm.memory_bytes).sum();
        let left = self.memory_bytes.saturating_sub(used);
        [
            ("total", self.memory_bytes / 1024),
            ("free", left / 2 / 1024),
            ("buffers", left / 8 / 1024),
            ("cached", left / 4 / 1024),
        ]
    }

    pub(super) fn find(&mut self, domain: &Domain) -> Option<&mut FakeVm> {
        self.vms.iter_mut().find(|vm| vm.domain.uuid == domain.uuid)
    }
}

impl FakeVm {
    /// VM number `n` of a host.
    pub fn new(host: &str, n: u32) -> Self {
        let name = format!("{host}-vm{n:03}");
        let vcpus = 1 << (n % 3);
        let uuid = id_of(host, n);
        Self {
            xml: format!(
                "<domain type='kvm'><name>{name}</name><uuid>{uuid}</uuid>\
                 <memory unit='GiB'>4</memory><vcpu>{vcpus}</vcpu>\
                 <os><type arch='x86_64' machine='pc-q35-9.0'>hvm</type></os>\
                 <devices><interface type='network'><source network='default'/></interface></devices>\
                 </domain>"
            ),
            domain: Domain { name, uuid, id: Some(n + 1) },
            vcpus,
            memory_bytes: 4 * GIB,
            cpu_ns: 0,
            cpu_ns_per_tick: TICK_NS / 100 * u64::from(5 + n % 60) * u64::from(vcpus),
            state: (1, 1),
            job: None,
        }
    }

    /// The figures that QEMU's driver gives for a VM with one disk and one network card. Time moves
    /// on with each question.
    pub(super) fn stats(&mut self) -> Vec<TypedParam> {
        let mut params = Vec::with_capacity(64);
        let mut add = |field: &str, value: Value| params.push(TypedParam::new(field, value));
        add("state.state", Value::Int(self.state.0));
        add("state.reason", Value::Int(self.state.1));
        if self.domain.id.is_none() {
            return params;
        }
        self.cpu_ns += self.cpu_ns_per_tick;
        let cpu = self.cpu_ns;
        add("cpu.time", Value::Ulong(cpu));
        add("cpu.user", Value::Ulong(cpu / 10 * 9));
        add("cpu.system", Value::Ulong(cpu / 10));
        let kib = self.memory_bytes / 1024;
        for (field, value) in [
            ("balloon.current", kib),
            ("balloon.maximum", kib),
            ("balloon.swap_in", 0),
            ("balloon.swap_out", 0),
            ("balloon.major_fault", 150),
            ("balloon.minor_fault", cpu / 100_000),
            ("balloon.unused", kib / 4),
            ("balloon.available", kib / 100 * 96),
            ("balloon.usable", kib / 2),
            ("balloon.last-update", 1_700_000_000 + cpu / 1_000_000_000),
            ("balloon.disk_caches", kib / 4),
            ("balloon.rss", kib / 10 * 9),
        ] {
            add(field, Value::Ulong(value));
        }
        add("vcpu.current", Value::Uint(self.vcpus));
        add("vcpu.maximum", Value::Uint(self.vcpus));
        for n in 0..self.vcpus {
            let own = cpu / u64::from(self.vcpus);
            add(&format!("vcpu.{n}.state"), Value::Int(1));
            add(&format!("vcpu.{n}.time"), Value::Ulong(own));
            add(&format!("vcpu.{n}.wait"), Value::Ulong(0));
            add(&format!("vcpu.{n}.delay"), Value::Ulong(own / 50));
        }
        add("net.count", Value::Uint(1));
        add("net.0.name", Value::String("vnet0".into()));
        for (at, field) in ["bytes", "pkts", "errs", "drop"].into_iter().enumerate() {
            let value = if at < 2 { cpu / 10_000 / (1 + at as u64 * 900) } else { 0 };
            add(&format!("net.0.rx.{field}"), Value::Ulong(value));
            add(&format!("net.0.tx.{field}"), Value::Ulong(value / 2));
        }
        add("block.count", Value::Uint(1));
        add("block.0.name", Value::String("vda".into()));
        let path = format!("/srv/vms/{}.qcow2", self.domain.name);
        add("block.0.path", Value::String(path));
        for (field, divisor) in [
            ("rd.reqs", 40_000_000),
            ("rd.bytes", 1_000),
            ("rd.times", 100),
            ("wr.reqs", 20_000_000),
            ("wr.bytes", 500),
            ("wr.times", 50),
            ("fl.reqs", 80_000_000),
            ("fl.times", 200),
        ] {
            add(&format!("block.0.{field}"), Value::Ulong(cpu / divisor));
        }
        for (field, bytes) in [("allocation", 9 * GIB), ("capacity", 20 * GIB), ("physical", 9 * GIB)] {
            add(&format!("block.0.{field}"), Value::Ulong(bytes));
        }
        params
    }
}

/// A UUID made from a name and a number (FNV-1a, twice).
fn id_of(name: &str, n: u32) -> Uuid {
    let hash = |seed: u64| {
        let bytes = name.bytes().chain(n.to_be_bytes());
        bytes.fold(seed, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
    };
    Uuid::from_u64_pair(hash(0xcbf2_9ce4_8422_2325), hash(0x8422_2325_cbf2_9ce4))
}
