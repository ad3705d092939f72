//! An instance in BtrPlace's JSON, packed by gzip: a model of hosts and VMs, and constraints.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

/// An instance. Hosts and VMs are named by their places, which are the order of their numbers in the file.
pub struct Instance {
    pub hosts: Vec<Host>,
    pub vms: Vec<Vm>,
    pub resources: Vec<Resource>,
    pub groups: Vec<Group>,
}

/// A host: its number in the file, and whether it is on, at first and at the end.
pub struct Host {
    pub id: u32,
    pub on: bool,
    pub on_then: bool,
}

/// A VM that runs at the end.
pub struct Vm {
    pub id: u32,
    /// Where it runs now; `None`: it waits to be started.
    pub at: Option<u32>,
    /// How long its start takes, in milliseconds.
    pub boot_ms: u64,
}

/// What hosts have and VMs take.
pub struct Resource {
    pub name: String,
    /// By host.
    pub capacity: Vec<i64>,
    /// By VM, at first.
    pub now: Vec<i64>,
    /// By VM, at the end: what is asked to be preserved, if that is more.
    pub then: Vec<i64>,
}

/// A constraint on VMs.
pub struct Group {
    /// Ascending.
    pub vms: Vec<u32>,
    pub asks: Asks,
    /// Whether it holds on the way, too.
    pub continuous: bool,
}

/// What is asked of VMs.
pub enum Asks {
    /// No two on one host.
    Spread,
    /// All on the hosts of one of these sets, each ascending.
    Among(Vec<Vec<u32>>),
    /// All on these hosts, ascending.
    Fence(Vec<u32>),
}

#[derive(Deserialize)]
struct Written {
    model: Model,
    constraints: Vec<Constraint>,
}

#[derive(Deserialize)]
struct Model {
    mapping: Mapping,
    attributes: Attributes,
    views: Vec<View>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mapping {
    online_nodes: BTreeMap<u32, Node>,
    offline_nodes: Vec<u32>,
    #[serde(rename = "readyVMs")]
    ready_vms: Vec<u32>,
}

#[derive(Deserialize)]
struct Node {
    #[serde(rename = "runningVMs")]
    running: Vec<u32>,
    #[serde(rename = "sleepingVMs")]
    sleeping: Vec<u32>,
}

#[derive(Deserialize)]
struct Attributes {
    vms: BTreeMap<u32, OfVm>,
}

/// Durations in seconds.
#[derive(Deserialize)]
struct OfVm {
    boot: Option<u64>,
}

/// A view; those of resources have all of this.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct View {
    id: String,
    rc_id: Option<String>,
    nodes: Option<BTreeMap<u32, i64>>,
    vms: Option<BTreeMap<u32, i64>>,
    def_capacity: Option<i64>,
    def_consumption: Option<i64>,
}

#[derive(Deserialize)]
struct Constraint {
    id: String,
    vm: Option<u32>,
    node: Option<u32>,
    rc: Option<String>,
    amount: Option<i64>,
    vms: Option<Vec<u32>>,
    nodes: Option<Vec<u32>>,
    parts: Option<Vec<Vec<u32>>>,
    continuous: Option<bool>,
}

/// What an action takes where the file does not say: a second (`ConstantActionDuration` of BtrPlace's `DurationEvaluators`). An attribute
/// goes before it; the instances of this set have some for the start of VMs and none for migrations.
pub const USUAL_MS: u64 = 1_000;

impl Instance {
    /// Reads a file.
    pub fn read(path: &Path) -> anyhow::Result<Instance> {
        let file = File::open(path).with_context(|| format!("{}: --data names the folder", path.display()))?;
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(file).read_to_end(&mut text)?;
        let written: Written = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        written.instance().with_context(|| path.display().to_string())
    }
}

impl Written {
    fn instance(self) -> anyhow::Result<Instance> {
        let mapping = &self.model.mapping;
        ensure!(mapping.online_nodes.values().all(|it| it.sleeping.is_empty()), "sleeping VMs are not known here");
        let mut hosts: Vec<Host> =
            mapping.online_nodes.keys().map(|id| Host { id: *id, on: true, on_then: true }).collect();
        hosts.extend(mapping.offline_nodes.iter().map(|id| Host { id: *id, on: false, on_then: false }));
        hosts.sort_by_key(|it| it.id);
        let host_of: BTreeMap<u32, u32> = hosts.iter().zip(0..).map(|(it, place)| (it.id, place)).collect();
        let vm = |id: u32, at: Option<u32>| {
            let boot = self.model.attributes.vms.get(&id).and_then(|it| it.boot);
            Vm { id, at, boot_ms: boot.map_or(USUAL_MS, |seconds| seconds.saturating_mul(1_000)) }
        };
        let running =
            |(id, node): (&u32, &Node)| node.running.iter().map(|of| vm(*of, Some(host_of[id]))).collect::<Vec<_>>();
        let mut vms: Vec<Vm> = mapping.online_nodes.iter().flat_map(running).collect();
        let started = self.constraints.iter().filter(|it| it.id == "running").filter_map(|it| it.vm);
        let mut started: Vec<u32> = started.filter(|id| mapping.ready_vms.contains(id)).collect();
        started.sort_unstable();
        started.dedup();
        vms.extend(started.into_iter().map(|id| vm(id, None)));
        vms.sort_by_key(|it| it.id);
        let vm_of: BTreeMap<u32, u32> = vms.iter().zip(0..).map(|(it, place)| (it.id, place)).collect();
        let resources = self.model.views.iter().filter(|it| it.id == "shareableResource");
        let resources = resources.map(|view| view.resource(&hosts, &vms)).collect::<anyhow::Result<Vec<_>>>()?;
        let mut instance = Instance { hosts, vms, resources, groups: Vec::new() };
        for constraint in self.constraints {
            let name = constraint.id.clone();
            instance.constrain(constraint, &host_of, &vm_of).with_context(|| format!("constraint {name}"))?;
        }
        Ok(instance)
    }
}

impl View {
    fn resource(&self, hosts: &[Host], vms: &[Vm]) -> anyhow::Result<Resource> {
        let name = self.rc_id.clone().context("a resource without rcId")?;
        let (of_host, of_vm) = (self.def_capacity.unwrap_or(0), self.def_consumption.unwrap_or(0));
        let of = |list: &Option<BTreeMap<u32, i64>>, id, usual| {
            list.as_ref().and_then(|list| list.get(&id)).copied().unwrap_or(usual)
        };
        let capacity: Vec<i64> = hosts.iter().map(|it| of(&self.nodes, it.id, of_host)).collect();
        let now: Vec<i64> = vms.iter().map(|it| of(&self.vms, it.id, of_vm)).collect();
        ensure!(capacity.iter().chain(&now).all(|it| *it >= 0), "{name}: an amount below 0");
        Ok(Resource { name, capacity, then: now.clone(), now })
    }
}

impl Instance {
    fn constrain(
        &mut self,
        it: Constraint,
        host_of: &BTreeMap<u32, u32>,
        vm_of: &BTreeMap<u32, u32>,
    ) -> anyhow::Result<()> {
        let host = |id: u32| host_of.get(&id).copied().with_context(|| format!("host {id} is not known"));
        let vm = |id: u32| vm_of.get(&id).copied().with_context(|| format!("VM {id} does not run"));
        let sorted = |ids: &[u32], of: &dyn Fn(u32) -> anyhow::Result<u32>| {
            let mut places = ids.iter().map(|id| of(*id)).collect::<anyhow::Result<Vec<u32>>>()?;
            places.sort_unstable();
            places.dedup();
            anyhow::Ok(places)
        };
        let members = it.vms.unwrap_or_else(|| it.vm.into_iter().collect());
        let nodes = it.nodes.unwrap_or_else(|| it.node.into_iter().collect());
        match it.id.as_str() {
            // Which VMs wait to be started was looked at before.
            "running" => {
                sorted(&members, &vm)?;
            }
            "online" | "offline" => {
                for place in sorted(&nodes, &host)? {
                    self.hosts[place as usize].on_then = it.id == "online";
                }
            }
            "preserve" => {
                let (rc, amount) = it.rc.zip(it.amount).context("without rc or amount")?;
                let resource = self.resources.iter_mut().find(|it| it.name == rc);
                let resource = resource.with_context(|| format!("resource {rc} is not known"))?;
                for place in sorted(&members, &vm)? {
                    let then = &mut resource.then[place as usize];
                    *then = amount.max(*then);
                }
            }
            "spread" | "among" | "fence" => {
                let asks = match (it.id.as_str(), it.parts) {
                    ("spread", _) => Asks::Spread,
                    ("fence", _) => Asks::Fence(sorted(&nodes, &host)?),
                    (_, Some(parts)) => {
                        Asks::Among(parts.iter().map(|part| sorted(part, &host)).collect::<anyhow::Result<_>>()?)
                    }
                    (_, None) => bail!("without parts"),
                };
                let vms = sorted(&members, &vm)?;
                self.groups.push(Group { vms, asks, continuous: it.continuous.unwrap_or(false) });
            }
            _ => bail!("it is not known here"),
        }
        Ok(())
    }
}
