//! A snapshot without names, to be shown to strangers: decisions on it are the same.
//!
//! Hosts, VMs, networks, storage, tags, CPUs, devices and all free texts get neutral names instead; equal ones stay equal and the
//! order stays the order, so that whatever is sorted or settled by names comes out as before. What is counted or measured stays as
//! it is, and so do times and CPU architectures. Policies that select by names or tags find nothing in it any more.
//!
//! **Tags** mean something, and go on to mean it ([`tags`]): labels stay labels, with their numbers, and rules stay rules.
//!
//! ```
//! use ulm_model::{Snapshot, anonymous};
//! let snapshot = Snapshot::default();
//! assert_eq!(anonymous::snapshot(&snapshot), snapshot);
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use uuid::Uuid;

use tags::Tags;

use crate::{CpuNeed, CpuVerdict, Fixture, Host, HostName, HostState, Needs, Reason, Scope, Snapshot, Vm, VmId};

/// The same snapshot without names.
pub fn snapshot(original: &Snapshot) -> Snapshot {
    let mut names = Names::of(original);
    let mut snapshot = original.clone();
    snapshot.hosts.iter_mut().for_each(|host| names.host(host));
    snapshot.vms.iter_mut().for_each(|vm| names.vm(vm));
    for doubt in &mut snapshot.doubts {
        doubt.scope = match &doubt.scope {
            Scope::Host(host) => Scope::Host(HostName(names.told(&host.0))),
            Scope::Vm(vm) => Scope::Vm(names.id(*vm)),
            Scope::Everything => Scope::Everything,
        };
        doubt.reason = names.reason(&doubt.reason);
    }
    snapshot
}

/// Neutral names for all names of one kind, in their order.
type Neutral = BTreeMap<String, String>;

/// The neutral names of everything.
struct Names {
    hosts: Neutral,
    vms: Neutral,
    ids: BTreeMap<VmId, VmId>,
    /// Networks and storage, each with the kind before the colon kept.
    places: Neutral,
    tags: Tags,
    cpus: Neutral,
    models: Neutral,
    hypervisors: Neutral,
    devices: Neutral,
    /// Free texts, in the order in which they come.
    texts: Neutral,
}

/// `PREFIX1` and so on, with as many digits as keep the order of texts.
fn neutral<'n>(prefix: &str, names: impl Iterator<Item = &'n str>) -> Neutral {
    let sorted: BTreeSet<&str> = names.collect();
    let digits = sorted.len().to_string().len();
    sorted.into_iter().enumerate().map(|(i, name)| (name.to_owned(), format!("{prefix}{:0digits$}", i + 1))).collect()
}

impl Names {
    fn of(snapshot: &Snapshot) -> Self {
        let (hosts, vms) = (&snapshot.hosts, &snapshot.vms);
        let needs = || vms.iter().filter_map(|vm| vm.needs.as_ref());
        let platforms = || hosts.iter().map(|host| &host.platform);
        let tags = hosts.iter().flat_map(|host| &host.tags).chain(vms.iter().flat_map(|vm| &vm.tags));
        let cpus = hosts.iter().flat_map(|host| host.cpu_verdicts.keys()).chain(needs().map(|needs| &needs.cpu));
        let networks = hosts.iter().flat_map(|host| &host.networks).chain(needs().flat_map(|needs| &needs.networks));
        let storage = hosts.iter().flat_map(|host| &host.storage).chain(needs().flat_map(|needs| &needs.storage));
        let fixtures = vms.iter().flat_map(|vm| &vm.fixtures);
        let host_names = neutral("host-", hosts.iter().map(|host| host.name.0.as_str()));
        let tags = Tags::of(tags.map(String::as_str), &host_names);
        Names {
            hosts: host_names,
            vms: neutral("vm-", vms.iter().map(|vm| vm.name.as_str())),
            ids: vms.iter().enumerate().map(|(i, vm)| (vm.id, counted(i))).collect(),
            places: places(networks.map(String::as_str), storage.map(String::as_str)),
            tags,
            cpus: neutral("cpu-", cpus.map(|need| need.0.as_str())),
            models: neutral("model-", platforms().map(|platform| platform.cpu_model.as_str())),
            hypervisors: neutral("hypervisor-", platforms().map(|platform| platform.hypervisor.as_str())),
            devices: neutral("device-", fixtures.map(fixture_text)),
            texts: Neutral::new(),
        }
    }

    fn host(&mut self, host: &mut Host) {
        host.name = HostName(self.hosts[&host.name.0].clone());
        if let HostState::Unreachable { because } = &mut host.state {
            **because = self.reason(because);
        }
        host.platform.cpu_model = self.models[&host.platform.cpu_model].clone();
        host.platform.hypervisor = self.hypervisors[&host.platform.hypervisor].clone();
        let verdicts = std::mem::take(&mut host.cpu_verdicts);
        for (need, verdict) in verdicts {
            let verdict = match verdict {
                CpuVerdict::Offered => CpuVerdict::Offered,
                CpuVerdict::Missing { what } => CpuVerdict::Missing { what: self.told(&what) },
            };
            host.cpu_verdicts.insert(self.cpu(&need), verdict);
        }
        host.networks = all(&self.places, &host.networks);
        host.storage = all(&self.places, &host.storage);
        host.tags = self.tags.all(&host.tags);
    }

    fn vm(&self, vm: &mut Vm) {
        vm.id = self.ids[&vm.id];
        vm.name = self.vms[&vm.name].clone();
        vm.tags = self.tags.all(&vm.tags);
        if let Some(needs) = &mut vm.needs {
            *needs = Needs {
                arch: std::mem::take(&mut needs.arch),
                cpu: self.cpu(&needs.cpu),
                networks: all(&self.places, &needs.networks),
                storage: all(&self.places, &needs.storage),
                pages: needs.pages,
                cells: std::mem::take(&mut needs.cells),
            };
        }
        for fixture in &mut vm.fixtures {
            let text = self.devices[fixture_text(fixture)].clone();
            match fixture {
                Fixture::Passthrough { device: old }
                | Fixture::LocalDisk { path: old }
                | Fixture::Other { what: old } => {
                    *old = text;
                }
            }
        }
    }

    fn cpu(&self, need: &CpuNeed) -> CpuNeed {
        CpuNeed(self.cpus[&need.0].clone())
    }

    /// The neutral id; one that the snapshot does not list counts from there on.
    fn id(&mut self, id: VmId) -> VmId {
        let next = counted(self.ids.len());
        *self.ids.entry(id).or_insert(next)
    }

    /// A text in which anything may stand: a name that is known becomes its neutral name, every other text a numbered one.
    fn told(&mut self, text: &str) -> String {
        let known = [&self.hosts, &self.vms, &self.places, &self.devices];
        if let Some(name) = known.iter().find_map(|names| names.get(text)).or_else(|| self.tags.one(text)) {
            return name.clone();
        }
        if let Ok(id) = text.parse::<Uuid>() {
            return self.id(VmId(id)).to_string();
        }
        let next = format!("text-{}", self.texts.len() + 1);
        self.texts.entry(text.to_owned()).or_insert(next).clone()
    }

    /// The same reason with neutral texts; code, figures and what it is about stay.
    fn reason(&mut self, reason: &Reason) -> Reason {
        let mut value = serde_json::to_value(reason).expect("the model's types always have a JSON form");
        self.value(&mut value);
        // Every text of a reason is free but for those that `value` leaves alone; if ever one is not, its sentence is lost.
        serde_json::from_value(value)
            .unwrap_or(Reason::Impossible { of: "text".to_owned(), what: reason.code().to_owned() })
    }

    fn value(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.told(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(keys) => {
                let free = keys.iter_mut().filter(|(key, _)| !["code", "resource"].contains(&key.as_str()));
                free.for_each(|(_, value)| self.value(value));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// The id with that number, from 0.
fn counted(i: usize) -> VmId {
    VmId(Uuid::from_u128(i as u128 + 1))
}

fn fixture_text(fixture: &Fixture) -> &str {
    match fixture {
        Fixture::Passthrough { device } => device,
        Fixture::LocalDisk { path } => path,
        Fixture::Other { what } => what,
    }
}

/// `bridge:NAME` as `bridge:network-1`, `path:/dir` as `path:storage-1`; a kind that ULM does not know is a name itself.
fn places<'n>(networks: impl Iterator<Item = &'n str>, storage: impl Iterator<Item = &'n str>) -> Neutral {
    let mut places = neutral("storage-", storage);
    places.extend(neutral("network-", networks));
    for (old, new) in &mut places {
        if let Some((kind, _)) =
            old.split_once(':').filter(|(kind, _)| ["network", "bridge", "pool", "path"].contains(kind))
        {
            *new = format!("{kind}:{new}");
        }
    }
    places
}

fn all(names: &Neutral, old: &BTreeSet<String>) -> BTreeSet<String> {
    old.iter().map(|name| names[name].clone()).collect()
}

mod tags;
#[cfg(test)]
mod tests;
