//! What a simulated cluster is made of: hosts, VMs, loads, and what goes wrong when.
//!
//! A [`Scenario`] is read from TOML ([`Scenario::read`]) or built in code:
//!
//! ```
//! use ulm_drivers::sim::{HostSpec, Load, Scenario, VmSpec};
//! use ulm_model::Bytes;
//!
//! let scenario = Scenario::new(7)
//!     .host(HostSpec::new("h1", 8, Bytes::gib(32)))
//!     .host(HostSpec::new("h2", 8, Bytes::gib(32)))
//!     .vm(VmSpec::new("web", "h1", 4, Bytes::gib(8)).load(Load::constant(60.0)));
//! assert_eq!(scenario.sound(), Ok(()));
//! ```
//!
//! The text format is the serde form of these types; `scenarios/example.toml` beside this crate's
//! sources shows and explains every part of it. Unknown keys are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use ulm_model::{Bytes, BytesPerSecond, Fixture, Time};

use super::fault::{Fault, FaultAt};
use super::load::{self, Load, Shape};
use super::merging::{self, Content};
use super::numa::{self, CellSpec, PagesSpec, Taken};
use super::text;

/// A simulated cluster as it is when the world begins, and what goes wrong in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Everything that is left to chance follows from it.
    pub seed: u64,
    /// When the world begins, if it runs in virtual time: loads follow the hour and the weekday (UTC).
    #[serde(with = "text::time", default = "a_monday")]
    pub start: Time,
    /// Constants of the world.
    #[serde(default)]
    pub physics: Physics,
    /// The hosts.
    #[serde(default, rename = "host")]
    pub hosts: Vec<HostSpec>,
    /// The VMs.
    #[serde(default, rename = "vm")]
    pub vms: Vec<VmSpec>,
    /// What goes wrong, and when.
    #[serde(default, rename = "fault", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultAt>,
}

/// Monday, 2 March 2026, 08:00.
fn a_monday() -> Time {
    Time(1_772_438_400_000)
}

/// Constants of the world. The defaults are QEMU's and libvirt's, or were measured on them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Physics {
    /// Loads are constant within a cell of so many seconds.
    pub grid_s: f64,
    /// How long a peer may be silent before libvirt gives it up, in seconds.
    pub keepalive_s: f64,
    /// What a move takes before its first byte, in seconds.
    pub setup_s: f64,
    /// What handing over takes beside sending the rest, in seconds; the guest stands still.
    pub switch_over_s: f64,
    /// The hypervisor's own limit on how long a guest may stand still, in seconds.
    pub max_downtime_s: f64,
    /// How long an abort takes to have its effect, in seconds.
    pub abort_s: f64,
    /// After so many seconds a driver gives up waiting for an answer. 0: it waits for ever, so that only the caller's deadline helps.
    pub call_deadline_s: f64,
}

impl Default for Physics {
    fn default() -> Self {
        Physics {
            grid_s: 5.0,
            keepalive_s: 6.0,
            setup_s: 0.5,
            switch_over_s: 0.1,
            max_downtime_s: 0.3,
            abort_s: 0.035,
            call_deadline_s: 10.0,
        }
    }
}

/// One host, or several alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostSpec {
    /// Its name. With a count, `{}` in it becomes the number: `h{}` gives h01, h02, …
    pub name: String,
    /// How many alike.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u32,
    /// CPUs on line.
    pub cpus: u32,
    /// Memory in all.
    #[serde(with = "text::bytes")]
    pub memory: Bytes,
    /// What its link carries in each direction, for all moves together.
    #[serde(with = "text::rate", default = "ten_gigabit")]
    pub link: BytesPerSecond,
    /// CPU architecture.
    #[serde(default = "x86_64")]
    pub arch: String,
    /// The CPU needs that it offers, as VMs name them in `cpu`. A VM without a CPU need runs on any.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub cpu_offers: BTreeSet<String>,
    /// Networks, e.g. `network:default`, `bridge:br0`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub networks: BTreeSet<String>,
    /// Storage, e.g. `pool:ceph`, `path:/srv/vms`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub storage: BTreeSet<String>,
    /// From power on to a hypervisor that answers, in seconds.
    #[serde(default = "a_minute")]
    pub boot_s: f64,
    /// Whether it is on when the world begins.
    #[serde(default)]
    pub power: PowerAtStart,
    /// CPUs that the host itself uses.
    #[serde(default = "base_cpu")]
    pub base_cpu: f64,
    /// Memory that the host itself uses.
    #[serde(with = "text::bytes", default = "base_memory")]
    pub base_memory: Bytes,
    /// NUMA cells; with none it does not tell any, and VMs that are bound to cells or in huge pages cannot be on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<CellSpec>,
    /// It merges equal pages (KSM), and looks at all memory once in so many seconds; 0: it does not merge.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub scan_s: f64,
}

/// Whether a host is on when the world begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerAtStart {
    /// It runs.
    #[default]
    On,
    /// It is off.
    Off,
}

fn one() -> u32 {
    1
}
fn is_one(n: &u32) -> bool {
    *n == 1
}
fn is_zero(n: &f64) -> bool {
    *n == 0.0
}
fn ten_gigabit() -> BytesPerSecond {
    BytesPerSecond(1_250_000_000)
}
fn x86_64() -> String {
    "x86_64".into()
}
fn a_minute() -> f64 {
    60.0
}
fn base_cpu() -> f64 {
    0.2
}
fn base_memory() -> Bytes {
    Bytes::gib(1)
}

/// One VM, or several alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VmSpec {
    /// Its name, unique. With a count, `{}` in it becomes the number.
    pub name: String,
    /// How many alike; each has noise and bursts of its own.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u32,
    /// The host that it begins on. With a count, several may be given: they take turns.
    pub host: Homes,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory that it may take at most.
    #[serde(with = "text::bytes")]
    pub memory: Bytes,
    /// What it does when the world begins.
    #[serde(default)]
    pub state: StateAtStart,
    /// What it wants of its vCPUs, in per cent.
    #[serde(default)]
    pub load: Load,
    /// What its process holds of its memory, in per cent.
    #[serde(default = "most_of_it")]
    pub resident: Load,
    /// How it writes to its memory.
    #[serde(default)]
    pub dirty: DirtySpec,
    /// CPU architecture that it needs.
    #[serde(default = "x86_64")]
    pub arch: String,
    /// CPU that it needs; empty: any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cpu: String,
    /// Networks that it needs.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub networks: BTreeSet<String>,
    /// Storage that it needs.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub storage: BTreeSet<String>,
    /// What ties it to its host, e.g. `[{ passthrough = { device = "pci 0000:3b:00.0" } }]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixtures: Vec<Fixture>,
    /// Free words that policies select by.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// The size of the huge pages that its memory is in; by default it is in ordinary ones.
    #[serde(with = "text::maybe_bytes", default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<Bytes>,
    /// The NUMA cells that its memory is bound to; by default none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub cells: BTreeSet<u32>,
    /// What its memory holds that other VMs may have too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contents: Vec<Content>,
    /// Its pages are never merged: its memory is encrypted, say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unmergeable: bool,
}

fn most_of_it() -> Load {
    Load::constant(80.0)
}

/// The host or hosts that VMs begin on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Homes {
    /// One for all.
    One(String),
    /// They take turns.
    Several(Vec<String>),
}

/// What a VM does when the world begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateAtStart {
    /// It runs.
    #[default]
    Running,
    /// It is held.
    Paused,
    /// It is defined only.
    ShutOff,
}

/// How a VM writes to its memory: after t seconds W·(1 − e^(−r·t/W)) + c·t bytes differ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirtySpec {
    /// W: what it writes again and again.
    #[serde(with = "text::bytes")]
    pub hot: Bytes,
    /// r: how fast it writes there.
    #[serde(with = "text::rate")]
    pub hot_rate: BytesPerSecond,
    /// c: how fast it writes elsewhere.
    #[serde(with = "text::rate")]
    pub cold_rate: BytesPerSecond,
}

impl Default for DirtySpec {
    fn default() -> Self {
        DirtySpec { hot: Bytes::mib(64), hot_rate: BytesPerSecond(20 << 20), cold_rate: BytesPerSecond(1 << 20) }
    }
}

/// Why a scenario cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ScenarioError(pub String);

fn wrong<T>(sentence: impl Into<String>) -> Result<T, ScenarioError> {
    Err(ScenarioError(sentence.into()))
}

impl HostSpec {
    /// A host that offers nothing special.
    pub fn new(name: &str, cpus: u32, memory: Bytes) -> Self {
        HostSpec {
            name: name.into(),
            count: 1,
            cpus,
            memory,
            link: ten_gigabit(),
            arch: x86_64(),
            cpu_offers: BTreeSet::new(),
            networks: BTreeSet::new(),
            storage: BTreeSet::new(),
            boot_s: a_minute(),
            power: PowerAtStart::On,
            base_cpu: base_cpu(),
            base_memory: base_memory(),
            cells: Vec::new(),
            scan_s: 0.0,
        }
    }
    /// Merging equal pages, and looking at all memory once in so many seconds.
    pub fn scanning_in(mut self, seconds: f64) -> Self {
        self.scan_s = seconds;
        self
    }
    /// With one more NUMA cell that has so much memory, and of it so much in huge pages of each size. CPUs are shared out equally.
    pub fn cell(mut self, memory: Bytes, pages: &[(Bytes, Bytes)]) -> Self {
        let pages = pages.iter().map(|(size, total)| PagesSpec { size: *size, total: *total }).collect();
        self.cells.push(CellSpec { id: self.cells.len() as u32, cpus: 0, memory, pages });
        let each = self.cpus / self.cells.len() as u32;
        self.cells.iter_mut().for_each(|cell| cell.cpus = each);
        self
    }
    /// With a link of so many bytes per second.
    pub fn link(mut self, rate: BytesPerSecond) -> Self {
        self.link = rate;
        self
    }
    /// Offering a CPU.
    pub fn offers(mut self, cpu: &str) -> Self {
        self.cpu_offers.insert(cpu.into());
        self
    }
    /// With a network.
    pub fn network(mut self, network: &str) -> Self {
        self.networks.insert(network.into());
        self
    }
    /// With storage.
    pub fn storage(mut self, storage: &str) -> Self {
        self.storage.insert(storage.into());
        self
    }
    /// Booting in so many seconds.
    pub fn boots_in(mut self, seconds: f64) -> Self {
        self.boot_s = seconds;
        self
    }
    /// Switched off when the world begins.
    pub fn off(mut self) -> Self {
        self.power = PowerAtStart::Off;
        self
    }
}

impl VmSpec {
    /// An idle VM that needs nothing special.
    pub fn new(name: &str, host: &str, vcpus: u32, memory: Bytes) -> Self {
        VmSpec {
            name: name.into(),
            count: 1,
            host: Homes::One(host.into()),
            vcpus,
            memory,
            state: StateAtStart::Running,
            load: Load::default(),
            resident: most_of_it(),
            dirty: DirtySpec::default(),
            arch: x86_64(),
            cpu: String::new(),
            networks: BTreeSet::new(),
            storage: BTreeSet::new(),
            fixtures: Vec::new(),
            tags: BTreeSet::new(),
            pages: None,
            cells: BTreeSet::new(),
            contents: Vec::new(),
            unmergeable: false,
        }
    }
    /// Holding so much that other VMs may have too.
    pub fn content(mut self, name: &str, memory: Bytes) -> Self {
        self.contents.push(Content { name: name.into(), memory });
        self
    }
    /// With pages that are never merged.
    pub fn unmergeable(mut self) -> Self {
        self.unmergeable = true;
        self
    }
    /// In huge pages of a size.
    pub fn in_pages(mut self, size: Bytes) -> Self {
        self.pages = Some(size);
        self
    }
    /// Bound to NUMA cells.
    pub fn bound_to(mut self, cells: &[u32]) -> Self {
        self.cells.extend(cells);
        self
    }
    /// With a load on its vCPUs.
    pub fn load(mut self, load: Load) -> Self {
        self.load = load;
        self
    }
    /// With a resident set over time.
    pub fn resident(mut self, resident: Load) -> Self {
        self.resident = resident;
        self
    }
    /// Writing to its memory like this: hot set, rate into it, rate elsewhere.
    pub fn dirty(mut self, hot: Bytes, hot_rate: BytesPerSecond, cold_rate: BytesPerSecond) -> Self {
        self.dirty = DirtySpec { hot, hot_rate, cold_rate };
        self
    }
    /// Needing a CPU.
    pub fn needs_cpu(mut self, cpu: &str) -> Self {
        self.cpu = cpu.into();
        self
    }
    /// Needing a network.
    pub fn needs_network(mut self, network: &str) -> Self {
        self.networks.insert(network.into());
        self
    }
    /// Needing storage.
    pub fn needs_storage(mut self, storage: &str) -> Self {
        self.storage.insert(storage.into());
        self
    }
    /// Tied to its host.
    pub fn tied(mut self, fixture: Fixture) -> Self {
        self.fixtures.push(fixture);
        self
    }
    /// With a tag.
    pub fn tag(mut self, tag: &str) -> Self {
        self.tags.insert(tag.into());
        self
    }
    /// In another state than running when the world begins.
    pub fn state(mut self, state: StateAtStart) -> Self {
        self.state = state;
        self
    }
}

impl Scenario {
    /// An empty world.
    pub fn new(seed: u64) -> Self {
        Scenario {
            seed,
            start: a_monday(),
            physics: Physics::default(),
            hosts: Vec::new(),
            vms: Vec::new(),
            faults: Vec::new(),
        }
    }
    /// Adds a host.
    pub fn host(mut self, host: HostSpec) -> Self {
        self.hosts.push(host);
        self
    }
    /// Adds a VM.
    pub fn vm(mut self, vm: VmSpec) -> Self {
        self.vms.push(vm);
        self
    }
    /// Lets something happen `at_s` seconds after the world began.
    pub fn fault(mut self, at_s: f64, what: Fault) -> Self {
        self.faults.push(FaultAt { at_s, what });
        self
    }

    /// Reads a scenario from TOML. CSV files are looked for in `folder`. Errors say what is wrong and where.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ScenarioError> {
        let mut scenario: Scenario = toml::from_str(text).or_else(|error| wrong(error.to_string()))?;
        for vm in &mut scenario.vms {
            for load in [&mut vm.load, &mut vm.resident] {
                fetch(load, folder)?;
            }
        }
        scenario.sound()?;
        Ok(scenario)
    }

    /// Reads a scenario from a TOML file. CSV files are looked for beside it.
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(path).or_else(|error| wrong(format!("{}: {error}", path.display())))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Scenario::parse(&text, folder)
            .or_else(|ScenarioError(sentence)| wrong(format!("{}: {sentence}", path.display())))
    }

    /// As TOML that [`Scenario::parse`] reads again.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a scenario always has a TOML form")
    }

    /// Writes out what stands for several: every host and VM once, with a count of 1.
    pub fn spelled_out(&self) -> Scenario {
        let mut hosts = Vec::new();
        for host in &self.hosts {
            hosts.extend((1..=host.count).map(|i| HostSpec {
                name: numbered(&host.name, i, host.count),
                count: 1,
                ..host.clone()
            }));
        }
        let mut vms = Vec::new();
        for vm in &self.vms {
            vms.extend((1..=vm.count).map(|i| {
                let home = match &vm.host {
                    Homes::One(home) => home.clone(),
                    Homes::Several(homes) if homes.is_empty() => String::new(),
                    Homes::Several(homes) => homes[(i as usize - 1) % homes.len()].clone(),
                };
                VmSpec { name: numbered(&vm.name, i, vm.count), count: 1, host: Homes::One(home), ..vm.clone() }
            }));
        }
        Scenario { hosts, vms, ..self.clone() }
    }

    /// Whether the figures make sense together; if not, the first thing that is wrong.
    pub fn sound(&self) -> Result<(), ScenarioError> {
        let physics = &self.physics;
        if !(physics.grid_s >= 0.1 && physics.grid_s <= 3600.0) {
            return wrong("`physics.grid_s` must be between 0.1 and 3600 seconds");
        }
        for (name, value) in [
            ("keepalive_s", physics.keepalive_s),
            ("setup_s", physics.setup_s),
            ("switch_over_s", physics.switch_over_s),
            ("max_downtime_s", physics.max_downtime_s),
            ("abort_s", physics.abort_s),
            ("call_deadline_s", physics.call_deadline_s),
        ] {
            if !value.is_finite() || value < 0.0 {
                return wrong(format!("`physics.{name}` must not be negative"));
            }
        }
        let all = self.spelled_out();
        let mut memory_left = BTreeMap::new();
        for host in &all.hosts {
            let name = &host.name;
            if name.is_empty() || host.cpus == 0 || host.link.0 == 0 || host.memory <= host.base_memory {
                return wrong(format!(
                    "host `{name}` needs a name, CPUs, a link, and more memory than it uses itself ({})",
                    host.base_memory
                ));
            }
            let finite = host.boot_s.is_finite() && host.boot_s >= 0.0 && host.base_cpu.is_finite();
            if !finite || host.base_cpu < 0.0 || host.base_cpu > f64::from(host.cpus) {
                return wrong(format!(
                    "host `{name}`: `boot_s` and `base_cpu` must not be negative or beyond its CPUs"
                ));
            }
            if !host.scan_s.is_finite() || host.scan_s < 0.0 {
                return wrong(format!("host `{name}`: `scan_s` must not be negative"));
            }
            if let Some(fault) = numa::fault(host) {
                return wrong(format!("host `{name}`: {fault}"));
            }
            let left = host.memory.saturating_sub(host.base_memory + numa::set_aside(&host.cells));
            if memory_left.insert(name.clone(), left).is_some() {
                return wrong(format!("host `{name}` is there twice"));
            }
        }
        let off: BTreeSet<&str> =
            all.hosts.iter().filter(|host| host.power == PowerAtStart::Off).map(|host| host.name.as_str()).collect();
        let cells: BTreeMap<&str, &[CellSpec]> =
            all.hosts.iter().map(|host| (host.name.as_str(), host.cells.as_slice())).collect();
        let mut taken: BTreeMap<&str, Vec<Taken>> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for vm in &all.vms {
            let name = &vm.name;
            if name.is_empty() || vm.vcpus == 0 || vm.memory.0 == 0 {
                return wrong(format!("VM `{name}` needs a name, vCPUs and memory"));
            }
            if vm.pages.is_some_and(|size| size.0 == 0 || !vm.memory.0.is_multiple_of(size.0)) {
                return wrong(format!("the memory of VM `{name}` must be a number of whole `pages`"));
            }
            if let Some(fault) = merging::fault(vm) {
                return wrong(format!("VM `{name}`: {fault}"));
            }
            if !names.insert(name.clone()) {
                return wrong(format!("VM `{name}` is there twice"));
            }
            let Homes::One(home) = &vm.host else { return wrong(format!("VM `{name}` needs one host")) };
            let Some(left) = memory_left.get_mut(home) else {
                return wrong(format!("VM `{name}` begins on host `{home}`, which is not in the scenario"));
            };
            if vm.state != StateAtStart::ShutOff {
                if off.contains(home.as_str()) {
                    return wrong(format!("VM `{name}` cannot begin alive on host `{home}`, which is off"));
                }
                let cells = cells.get(home.as_str()).copied().unwrap_or_default();
                let of_host = taken.entry(home).or_default();
                let Some(pages) = numa::take(cells, of_host.iter(), vm) else {
                    return wrong(format!("VM `{name}` does not find its NUMA cells or huge pages on host `{home}`"));
                };
                of_host.extend(pages);
                if vm.pages.is_none() {
                    if vm.memory > *left {
                        return wrong(format!("VM `{name}` does not fit into the memory of host `{home}`"));
                    }
                    *left = left.saturating_sub(vm.memory);
                }
            }
            for (what, load) in [("load", &vm.load), ("resident", &vm.resident)] {
                if let Some(fault) = load.fault() {
                    return wrong(format!("VM `{name}`, `{what}`: {fault}"));
                }
            }
        }
        for fault in &all.faults {
            if !fault.at_s.is_finite() || fault.at_s < 0.0 {
                return wrong("a fault's `at_s` must not be negative");
            }
            let (hosts, vms) = fault.what.concerns();
            for host in hosts {
                if !memory_left.contains_key(&host.0) {
                    return wrong(format!("a fault concerns host `{host}`, which is not in the scenario"));
                }
            }
            for vm in vms {
                if !names.contains(vm) {
                    return wrong(format!("a fault concerns VM `{vm}`, which is not in the scenario"));
                }
            }
        }
        Ok(())
    }
}

/// `web-{}` → `web-07` for the 7th of 12.
fn numbered(name: &str, i: u32, count: u32) -> String {
    if count == 1 {
        return name.into();
    }
    let width = count.to_string().len();
    let number = format!("{i:0width$}");
    if name.contains("{}") { name.replace("{}", &number) } else { format!("{name}{number}") }
}

fn fetch(load: &mut Load, folder: &Path) -> Result<(), ScenarioError> {
    let Shape::Csv { file, then } = &load.shape else { return Ok(()) };
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).or_else(|error| wrong(format!("{}: {error}", path.display())))?;
    let points = load::points_from_csv(&text).or_else(|fault| wrong(format!("{}: {fault}", path.display())))?;
    load.shape = Shape::Points { points, then: *then };
    Ok(())
}
