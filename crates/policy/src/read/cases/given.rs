//! The hosts and VMs that are given.

use std::time::Duration;

use ulm_model::{Bytes, MilliCpu};

use super::super::keys::{Key, key};
use super::super::section::Section;
use super::amounts::{Amount, CPU_USE, MEMORY_USE, SPANS};
use super::unknown_name;
use crate::case::{GivenHost, GivenVm};
use crate::problem::Found;
use crate::values::{COUNT, FLAG, SIZE, TEXT, TEXTS};

/// The most that `count` may be: a case is a small thing to be read by people.
const MOST: u32 = 1000;

/// A host or VM and where it stands.
#[derive(Clone)]
struct Placed<'t, T> {
    section: Section<'t>,
    value: T,
}

/// What is given, in the order of the file.
#[derive(Clone, Default)]
pub(super) struct Given<'t> {
    hosts: Vec<Placed<'t, GivenHost>>,
    vms: Vec<Placed<'t, GivenVm>>,
}

struct HostDraft {
    name: Vec<String>,
    count: Option<u32>,
    cpus: u32,
    memory: Bytes,
    own_cpu: Amount,
    own_memory: Amount,
    tags: Vec<String>,
    maintenance: bool,
}

struct VmDraft {
    name: Vec<String>,
    count: Option<u32>,
    host: String,
    vcpus: u32,
    memory: Bytes,
    cpu: Amount,
    memory_use: Amount,
    tags: Vec<String>,
    moved: Vec<Duration>,
    moved_from: Option<String>,
}

static HOST: [Key<HostDraft>; 8] = [
    key!("name", TEXTS, must name, "its name; several names are so many hosts that are alike"),
    key!("count", COUNT, some count, "so many hosts that are alike, with numbers from 1 behind the name"),
    key!("cpus", COUNT, cpus, "CPUs"),
    key!("memory", SIZE, memory, "memory in all"),
    key!("own_cpu", CPU_USE, own_cpu, "CPU in use beside its VMs'"),
    key!("own_memory", MEMORY_USE, own_memory, "memory in use beside its VMs'"),
    key!("tags", TEXTS, tags, "its tags"),
    key!("maintenance", FLAG, maintenance, "whether it is taken out"),
];

static VM: [Key<VmDraft>; 10] = [
    key!("name", TEXTS, must name, "its name; several names are so many VMs that are alike"),
    key!("count", COUNT, some count, "so many VMs that are alike, with numbers from 1 behind the name"),
    key!("host", TEXT, must host, "the host that it is on"),
    key!("vcpus", COUNT, vcpus, "virtual CPUs"),
    key!("memory", SIZE, memory, "its size"),
    key!("cpu", CPU_USE, cpu, "CPU that it uses, in CPUs or as a part of its virtual CPUs"),
    key!("memory_use", MEMORY_USE, memory_use, "memory of the host that it holds"),
    key!("tags", TEXTS, tags, "its tags"),
    key!("moved", SPANS, moved, "how long ago it was moved; several: each time"),
    key!("moved_from", TEXT, some moved_from, "the host that it was on before the last of these moves"),
];

impl<'t> Given<'t> {
    /// Reads the tables of hosts and of VMs, which are shown as said.
    pub fn read(section: &Section<'t>, [host, vm]: [&'static str; 2], problems: &mut Vec<Found>) -> Self {
        section.read_beside::<()>(&[], &["host", "vm"], &mut (), problems);
        let mut given = Given::default();
        for section in section.tables("host", host, problems) {
            given.read_host(section, problems);
        }
        for section in section.tables("vm", vm, problems) {
            given.read_vm(section, problems);
        }
        given
    }

    fn read_host(&mut self, section: Section<'t>, problems: &mut Vec<Found>) {
        let mut draft = HostDraft {
            name: Vec::new(),
            count: None,
            cpus: 16,
            memory: Bytes::gib(64),
            own_cpu: Amount::So(0),
            own_memory: Amount::So(Bytes::gib(2).0),
            tags: Vec::new(),
            maintenance: false,
        };
        section.read(&HOST, &mut draft, problems);
        if draft.cpus == 0 {
            problems.push(Found::new(section.place_of("cpus"), "a host has CPUs", "none at all"));
        }
        let cpu = MilliCpu::cpus(draft.cpus);
        for name in names(&section, &draft.name, draft.count, problems) {
            let value = GivenHost {
                cpus: draft.cpus,
                memory: draft.memory,
                own_cpu: MilliCpu(draft.own_cpu.of(cpu.0)),
                own_memory: Bytes(draft.own_memory.of(draft.memory.0)),
                tags: draft.tags.iter().cloned().collect(),
                maintenance: draft.maintenance,
                name,
            };
            add(&mut self.hosts, &section, value, "host", |host| &host.name, problems);
        }
    }

    fn read_vm(&mut self, section: Section<'t>, problems: &mut Vec<Found>) {
        let mut draft = VmDraft {
            name: Vec::new(),
            count: None,
            host: String::new(),
            vcpus: 2,
            memory: Bytes::gib(4),
            cpu: Amount::So(0),
            memory_use: Amount::Part(ulm_model::Share::WHOLE),
            tags: Vec::new(),
            moved: Vec::new(),
            moved_from: None,
        };
        section.read(&VM, &mut draft, problems);
        let cpu = MilliCpu::cpus(draft.vcpus);
        let (uses, holds) = (draft.cpu.of(cpu.0), draft.memory_use.of(draft.memory.0));
        if draft.vcpus == 0 {
            problems.push(Found::new(section.place_of("vcpus"), "a VM has virtual CPUs", "none at all"));
        } else if uses > cpu.0 {
            let message = "a VM cannot use more CPU than it has virtual CPUs";
            let found = Found::new(section.place_of("cpu"), message, format!("{} in all", MilliCpu(uses)));
            problems.push(found.help(format!("it has {} (`vcpus`)", draft.vcpus)));
        }
        if holds > draft.memory.0 {
            let message = "a VM cannot hold more memory than its size";
            let found = Found::new(section.place_of("memory_use"), message, format!("{} in all", Bytes(holds)));
            problems.push(found.help(format!("its size is {} (`memory`)", draft.memory)));
        }
        if draft.moved_from.is_some() && draft.moved.is_empty() {
            let found =
                Found::new(section.place_of("moved_from"), "this VM was never moved", "so it came from nowhere");
            problems.push(found.help("`moved`: how long ago it was moved, e.g. \"20min\""));
        }
        for name in names(&section, &draft.name, draft.count, problems) {
            let value = GivenVm {
                host: draft.host.clone(),
                vcpus: draft.vcpus,
                memory: draft.memory,
                cpu: MilliCpu(uses),
                memory_use: Bytes(holds),
                tags: draft.tags.iter().cloned().collect(),
                moved: draft.moved.clone(),
                moved_from: draft.moved_from.clone(),
                name,
            };
            add(&mut self.vms, &section, value, "VM", |vm| &vm.name, problems);
        }
    }

    /// This above what all cases have in common: what has the same name takes its place.
    pub fn over(self, common: &Given<'t>) -> Self {
        let mut whole = common.clone();
        for host in self.hosts {
            match whole.hosts.iter_mut().find(|known| known.value.name == host.value.name) {
                Some(known) => *known = host,
                None => whole.hosts.push(host),
            }
        }
        for vm in self.vms {
            match whole.vms.iter_mut().find(|known| known.value.name == vm.value.name) {
                Some(known) => *known = vm,
                None => whole.vms.push(vm),
            }
        }
        whole
    }

    /// Tells what cannot be: VMs on no host, and hosts with more in use than there is. `case` is where the case begins.
    pub fn sense(&self, case: &Section<'_>, problems: &mut Vec<Found>) {
        if self.hosts.is_empty() {
            let found = Found::new(case.place(), "this case has no hosts", "of this case");
            problems.push(
                found.help("[[case.given.host]] gives hosts; [[given.host]] gives them to all cases of the file"),
            );
            return;
        }
        let hosts: Vec<&str> = self.hosts().collect();
        for vm in &self.vms {
            let mut known = |key: &str, host: &str| {
                // A host that is missing was told already.
                if !host.is_empty() && !hosts.contains(&host) {
                    problems.push(unknown_name(&vm.section, key, "host", host, &hosts));
                }
            };
            known("host", &vm.value.host);
            known("moved_from", vm.value.moved_from.as_deref().unwrap_or_default());
        }
        for host in &self.hosts {
            let name = &host.value.name;
            let on_it = || self.vms.iter().map(|vm| &vm.value).filter(|vm| vm.host == *name);
            let cpu = host.value.own_cpu + on_it().map(|vm| vm.cpu).sum();
            let memory = host.value.own_memory + on_it().map(|vm| vm.memory_use).sum();
            let mut within = |holds: bool, key: &str, used: String, there: String| {
                if !holds {
                    let message = format!("more is in use on `{name}` than there is");
                    let found = Found::new(host.section.place_of(key), message, format!("{there} in all"));
                    problems.push(found.help(format!("it and its VMs use {used}")));
                }
            };
            let whole = MilliCpu::cpus(host.value.cpus);
            within(cpu <= whole, "cpus", cpu.to_string(), whole.to_string());
            within(memory <= host.value.memory, "memory", memory.to_string(), host.value.memory.to_string());
        }
    }

    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(|host| host.value.name.as_str())
    }

    pub fn vms(&self) -> impl Iterator<Item = &str> {
        self.vms.iter().map(|vm| vm.value.name.as_str())
    }

    pub fn into_values(self) -> (Vec<GivenHost>, Vec<GivenVm>) {
        let hosts = self.hosts.into_iter().map(|host| host.value).collect();
        (hosts, self.vms.into_iter().map(|vm| vm.value).collect())
    }
}

/// All names that are meant.
fn names(section: &Section<'_>, names: &[String], count: Option<u32>, problems: &mut Vec<Found>) -> Vec<String> {
    let mut wrong = |label: &str| {
        problems.push(Found::new(section.place_of("count"), "`count` cannot be so", label));
        Vec::new()
    };
    match (count, names) {
        (None, _) => names.to_vec(),
        (Some(count), _) if count == 0 || count > MOST => wrong(&format!("give a number from 1 to {MOST}")),
        (Some(count), [name]) => (1..=count).map(|number| format!("{name}{number}")).collect(),
        (Some(_), []) => Vec::new(),
        (Some(_), _) => wrong("this is for one name, and there are several"),
    }
}

fn add<'t, T>(
    all: &mut Vec<Placed<'t, T>>,
    section: &Section<'t>,
    value: T,
    what: &str,
    name: impl Fn(&T) -> &String,
    problems: &mut Vec<Found>,
) {
    match all.iter().find(|known| name(&known.value) == name(&value)) {
        Some(first) => {
            let message = format!("there are two {what}s named `{}`", name(&value));
            let found = Found::new(section.place_of("name"), message, "this name is taken");
            problems.push(found.also(first.section.place_of("name"), "here first"));
        }
        None => all.push(Placed { section: section.clone(), value }),
    }
}
