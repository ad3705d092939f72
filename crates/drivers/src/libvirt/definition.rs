//! A VM's live definition: what it needs of any host, and what ties it to this one.
//!
//! Whatever is not known to move ties the VM, with a sentence: better not moved than moved half-way.
//! A kernel or firmware file is needed at the next start only, a serial console's file is made anew; they tie nothing.
//!
//! **Tags** come from the definition's metadata and from its title. `virsh metadata VM --uri urn:ulm:1 --key ulm --set
//! '<tags>web production</tags>' --live --config` sets them; in a title, words that begin with `#` count as tags.
//!
//! **Rules** can be written there in words too. Each element is the tag that stands beside it:
//!
//! | element | tag |
//! |---|---|
//! | `<together>NAME</together>` | `ulm:together=NAME` |
//! | `<apart>NAME</apart>` | `ulm:apart=NAME` |
//! | `<pin>HOST</pin>` | `ulm:pin=HOST` |
//! | `<exclude/>` | `ulm:exclude` |
//!
//! libvirt keeps one element for each namespace, and `--set` replaces it; so tags and rules stand in one, whose name does not matter:
//!
//! ```sh
//! virsh metadata VM --uri urn:ulm:1 --key ulm --live --config \
//!     --set '<vm><tags>web production</tags><apart>web</apart><pin>h1</pin><pin>h2</pin></vm>'
//! ```
//!
//! libvirt gives that back as `<ulm:vm xmlns:ulm="urn:ulm:1"><ulm:tags>…`. Several names in one element, between blanks or
//! commas, are several tags.

use std::collections::BTreeSet;

use roxmltree::Node;
use ulm_model::{Fixture, Needs};

use super::cpu::{self, HomeCpu};
use super::memory;
use super::storage::{NETWORK_PROTOCOLS, Reach, Storage, network_word};
use super::xml::{self, Walk, XmlError};
use crate::driver::VmFacts;

const WHAT: &str = "a VM's definition";

/// The namespace of ULM's own element in a VM's metadata.
pub const METADATA_NAMESPACE: &str = "urn:ulm:1";

/// The host that a VM runs on, as far as it shapes what the VM needs.
#[derive(Clone, Debug)]
pub struct Home<'a> {
    /// Its CPU and hypervisor.
    pub cpu: HomeCpu<'a>,
    /// Its storage.
    pub storage: &'a Storage,
}

/// Reads a live definition.
///
/// # Errors
/// When it is not a `<domain>`, names no architecture, or says something about its memory that cannot be understood.
pub fn read(text: &str, home: &Home<'_>) -> Result<VmFacts, XmlError> {
    let document = xml::parse(text, WHAT, "domain")?;
    let domain = document.root_element();
    let arch = domain.at(&["os", "type"]).and_then(|os| os.attr("arch"));
    let arch = arch.ok_or_else(|| XmlError::new(WHAT, "it names no architecture"))?;
    let mut found = Found::default();
    if let Some(devices) = domain.one("devices") {
        for device in devices.children().filter(Node::is_element) {
            found.device(device, home.storage);
        }
    }
    let memory = memory::read(domain, &home.cpu.capabilities.cells);
    let memory = memory.map_err(|error| XmlError { what: WHAT, ..error })?;
    found.host_memory(domain, memory.tie);
    found.own_arguments(domain);
    found.cpu_flags(domain);
    Ok(VmFacts {
        needs: Needs {
            arch: arch.to_owned(),
            cpu: cpu::need_of(domain, &home.cpu),
            networks: found.networks,
            storage: found.storage,
            pages: memory.pages,
            cells: memory.cells,
        },
        fixtures: found.fixtures.into_iter().collect(),
        tags: tags(domain),
        unmergeable: memory.unmergeable,
    })
}

/// The bridges that the VM's interfaces are plugged into: they exist on its host.
///
/// # Errors
/// When the text is not a `<domain>`.
pub fn bridges(text: &str) -> Result<BTreeSet<String>, XmlError> {
    let document = xml::parse(text, WHAT, "domain")?;
    let devices = document.root_element().one("devices").into_iter();
    let interfaces = devices.flat_map(|devices| devices.all("interface")).filter(|i| i.attr("type") == Some("bridge"));
    Ok(interfaces.filter_map(|i| i.one("source")?.attr("bridge")).map(bridge_word).collect())
}

/// The word for a host bridge.
pub(super) fn bridge_word(name: &str) -> String {
    format!("bridge:{name}")
}

/// What was found so far. Sets, so that the order of devices does not matter.
#[derive(Default)]
struct Found {
    networks: BTreeSet<String>,
    storage: BTreeSet<String>,
    fixtures: BTreeSet<Fixture>,
}

impl Found {
    fn passthrough(&mut self, device: String) {
        self.fixtures.insert(Fixture::Passthrough { device });
    }

    fn other(&mut self, what: impl Into<String>) {
        self.fixtures.insert(Fixture::Other { what: what.into() });
    }

    fn device(&mut self, device: Node<'_, '_>, storage: &Storage) {
        let kind = device.attr("type").unwrap_or_default();
        match device.tag_name().name() {
            "disk" => self.disk(device, storage),
            "interface" => self.interface(device, kind),
            "hostdev" => self.passthrough(host_device(device)),
            "filesystem" => {
                let source = device.one("source");
                let folder = source.and_then(|s| ["dir", "file", "name", "dev"].iter().find_map(|name| s.attr(name)));
                self.other(format!("it shares {} with its host", folder.unwrap_or("a file system")));
            }
            "tpm" => match device.one("backend").and_then(|backend| backend.attr("type")) {
                // libvirt sends an emulated TPM's state along.
                Some("emulator") | None => {}
                Some("passthrough") => {
                    let path = device.at(&["backend", "device"]).and_then(|d| d.attr("path")).unwrap_or("?");
                    self.passthrough(format!("tpm {path}"));
                }
                Some(other) => self.other(format!("its TPM runs outside of libvirt ({other})")),
            },
            "shmem" if device.attr("role") != Some("master") => {
                let name = device.attr("name").unwrap_or("?");
                self.other(format!("it shares memory ({name}) with programs on its host"));
            }
            "memory" if matches!(device.attr("model"), Some("nvdimm" | "virtio-pmem")) => {
                if let Some(path) = device.at(&["source", "path"]).and_then(Walk::words) {
                    self.reach(storage.of_file(path), path);
                }
            }
            "smartcard" if device.attr("mode") == Some("host") => self.passthrough("smart card reader".to_owned()),
            "redirdev" if kind != "spicevmc" => self.other("a USB device is redirected to it"),
            "input" if matches!(kind, "passthrough" | "evdev") => {
                let path = device.one("source").and_then(|s| s.attr("evdev").or(s.attr("dev"))).unwrap_or("?");
                self.passthrough(format!("input {path}"));
            }
            "serial" | "parallel" | "console" | "channel" if kind == "dev" => {
                let path = device.one("source").and_then(|s| s.attr("path")).unwrap_or("?");
                self.passthrough(format!("{} {path}", device.tag_name().name()));
            }
            "video" => {
                let accelerated = device.at(&["model", "acceleration"]);
                if accelerated.is_some_and(|a| a.attr("accel3d") == Some("yes")) {
                    self.other("its screen is drawn by its host's graphics card");
                }
                if device.one("driver").and_then(|driver| driver.attr("name")) == Some("vhostuser") {
                    self.other("its screen is drawn by a program on its host (vhost-user)");
                }
            }
            _ => {}
        }
    }

    fn reach(&mut self, reach: Reach, what: &str) {
        match reach {
            Reach::Shared(words) => self.storage.extend(words),
            Reach::Local => {
                self.fixtures.insert(Fixture::LocalDisk { path: what.to_owned() });
            }
        }
    }

    /// A disk with everything behind it. A drive without a medium needs nothing.
    fn disk(&mut self, disk: Node<'_, '_>, storage: &Storage) {
        let name = disk.one("target").and_then(|target| target.attr("dev")).unwrap_or("?");
        if disk.one("transient").is_some() {
            self.other(format!("what its disk {name} has written is to be thrown away (transient)"));
        }
        if disk.one("mirror").is_some() {
            self.other(format!("its disk {name} is being copied (block job)"));
        }
        let mut layer = Some((disk, disk.attr("type")));
        while let Some((node, kind)) = layer {
            self.source(node, kind.unwrap_or("file"), name, storage);
            if let Some(data) = node.at(&["source", "dataStore"]).or_else(|| node.one("dataStore")) {
                self.source(data, data.attr("type").unwrap_or("file"), name, storage);
            }
            layer = node.one("backingStore").map(|below| (below, below.attr("type")));
        }
    }

    fn source(&mut self, layer: Node<'_, '_>, kind: &str, name: &str, storage: &Storage) {
        let Some(source) = layer.one("source") else { return };
        let attribute = |name| source.attr(name);
        match kind {
            "file" => {
                if let Some(path) = attribute("file") {
                    self.reach(storage.of_file(path), path);
                }
            }
            "dir" => {
                if let Some(path) = attribute("dir") {
                    self.reach(storage.of_file(path), path);
                }
            }
            "block" => {
                if let Some(path) = attribute("dev") {
                    self.reach(storage.of_block(path), path);
                }
            }
            "volume" => {
                if let Some(pool) = attribute("pool") {
                    let volume = format!("{pool}/{}", attribute("volume").unwrap_or("?"));
                    self.reach(storage.of_volume(pool), &volume);
                }
            }
            "network" => {
                let protocol = attribute("protocol").unwrap_or("?");
                let local = source.all("host").any(|host| {
                    host.attr("transport") == Some("unix") || host.attr("name").is_some_and(is_this_machine)
                });
                match local || !NETWORK_PROTOCOLS.contains(&protocol) {
                    true => self.reach(Reach::Local, &format!("{name} ({protocol})")),
                    false => self.storage.extend([network_word(protocol)]),
                }
            }
            "nvme" => self.passthrough(format!("nvme {}", address(source).unwrap_or_else(|| name.to_owned()))),
            _ => self.other(format!("its disk {name} is served by its host ({kind})")),
        }
    }

    fn interface(&mut self, interface: Node<'_, '_>, kind: &str) {
        let source = interface.one("source");
        let from = |name| source.and_then(|source| source.attr(name)).unwrap_or("?");
        match kind {
            "network" => {
                // A network may hand out host devices; then the live definition says so here.
                match source.is_some_and(|source| source.one("address").is_some()) {
                    true => self.passthrough(format!("network {}", from("network"))),
                    false => self.networks.extend([format!("network:{}", from("network"))]),
                }
            }
            "bridge" => self.networks.extend([bridge_word(from("bridge"))]),
            "direct" if from("mode") == "passthrough" => self.passthrough(format!("interface {}", from("dev"))),
            "direct" => self.networks.extend([format!("direct:{}", from("dev"))]),
            "hostdev" | "vdpa" => self.passthrough(match source.and_then(address) {
                Some(at) => format!("network card {at}"),
                None => format!("network card {}", from("dev")),
            }),
            "user" if interface.one("backend").and_then(|b| b.attr("type")).is_none() => {}
            "null" => {}
            other => self.other(format!("its network card is connected outside of libvirt's networks ({other})")),
        }
    }

    fn host_memory(&mut self, domain: Node<'_, '_>, tie: Option<&str>) {
        if let Some(tie) = tie {
            self.other(tie);
        }
        if let Some(kind) = domain.one("launchSecurity").and_then(|security| security.attr("type")) {
            self.other(format!("its memory is encrypted ({kind})"));
        }
    }

    fn own_arguments(&mut self, domain: Node<'_, '_>) {
        let arguments = domain.one("commandline").is_some_and(|line| line.children().any(|c| c.is_element()));
        if arguments || domain.one("override").is_some() {
            self.other("its emulator has arguments that libvirt does not know");
        }
    }

    fn cpu_flags(&mut self, domain: Node<'_, '_>) {
        let Some(cpu) = domain.one("cpu") else { return };
        if cpu.attr("migratable") == Some("off") {
            self.other("its CPU has features that cannot move (migratable='off')");
        }
        let steady_clock = |feature: Node<'_, '_>| {
            feature.attr("name") == Some("invtsc") && !matches!(feature.attr("policy"), Some("disable" | "forbid"))
        };
        if cpu.all("feature").any(steady_clock) {
            self.other("its CPU promises a steady clock (invtsc), which another host cannot keep");
        }
    }
}

fn is_this_machine(name: &str) -> bool {
    name == "localhost" || name == "::1" || name.starts_with("127.")
}

/// Where a PCI device is, like `0000:3b:00.0`.
fn address(source: Node<'_, '_>) -> Option<String> {
    let address = source.one("address").or_else(|| source.at(&["source", "address"]))?;
    let part = |name| address.attr(name).map_or("0", |value| value.trim_start_matches("0x"));
    (address.attr("bus").is_some())
        .then(|| format!("{:0>4}:{:0>2}:{:0>2}.{}", part("domain"), part("bus"), part("slot"), part("function")))
}

/// A handed-through device in words: `pci 0000:3b:00.0`, `usb 1-4`, `mdev UUID` …
fn host_device(device: Node<'_, '_>) -> String {
    let kind = device.attr("type").unwrap_or("device");
    let Some(source) = device.one("source") else { return kind.to_owned() };
    let which = match kind {
        "pci" => address(source),
        "usb" => {
            let id = |name| Some(source.one(name)?.attr("id")?.trim_start_matches("0x"));
            let at = |name| source.one("address")?.attr(name);
            match (id("vendor"), id("product")) {
                (Some(vendor), Some(product)) => Some(format!("{vendor}:{product}")),
                _ => at("bus").zip(at("device")).map(|(bus, device)| format!("{bus}-{device}")),
            }
        }
        "mdev" => source.one("address").and_then(|address| address.attr("uuid")).map(str::to_owned),
        "scsi" => source.one("adapter").and_then(|adapter| adapter.attr("name")).map(str::to_owned),
        "scsi_host" => source.attr("wwpn").map(str::to_owned),
        _ => None,
    };
    which.map_or_else(|| kind.to_owned(), |which| format!("{kind} {which}"))
}

fn tags(domain: Node<'_, '_>) -> BTreeSet<String> {
    let own = domain.one("metadata").into_iter().flat_map(|metadata| {
        metadata.children().filter(|e| e.is_element() && e.tag_name().namespace() == Some(METADATA_NAMESPACE))
    });
    let mut tags = BTreeSet::new();
    // All text inside, so that <tags>a b</tags> and <tags><tag>a</tag><tag>b</tag></tags> are the same.
    for node in own.flat_map(|element| element.descendants()) {
        if node.is_element() && node.tag_name().name() == "exclude" {
            tags.insert("ulm:exclude".to_owned());
        }
        let Some(text) = node.text().filter(|_| node.is_text()) else { continue };
        let rule = match node.parent_element().map(|parent| parent.tag_name().name()) {
            Some("together") => "ulm:together=",
            Some("apart") => "ulm:apart=",
            Some("pin") => "ulm:pin=",
            Some("exclude") => continue,
            _ => "",
        };
        let words = text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
        tags.extend(words.map(|word| format!("{rule}{word}")));
    }
    let title = domain.one("title").and_then(Walk::words).unwrap_or_default();
    let in_title = title.split_whitespace().filter_map(|word| word.strip_prefix('#'));
    tags.extend(in_title.filter(|word| !word.is_empty()).map(str::to_owned));
    tags
}
