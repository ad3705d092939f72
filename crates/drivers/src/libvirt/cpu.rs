//! The CPU that a VM needs, as text, and whether a host offers it.
//!
//! The text is canonical, so that VMs with equal needs share one question to each host:
//!
//! ```text
//! <need arch='x86_64' emulator='/usr/bin/qemu-system-x86_64' machine='pc-q35-9.0' type='kvm'><cpu …>…</cpu></need>
//! ```
//!
//! * A **named model** (also what `host-model` became when the VM started) stands there as `<cpu>`. libvirt compares it with
//!   what the target's emulator offers (`virConnectCompareHypervisorCPU`); identical or more is enough.
//! * **`host-passthrough`** stands there as `<host-cpu>` with the source host's own CPU. It is offered only by hosts with the
//!   same CPU, feature by feature: the guest would see any difference. A host that has more is refused, too.
//! * **`maximum`** is the same with the hypervisor's version, because there the emulator decides.
//! * **No `<cpu>`** at all is the machine type's default: a host offers it if its emulator has the machine type.
//!
//! A libvirt older than 4.4, or an architecture that libvirt cannot compare, gives "missing" with that reason: the VM is not moved.

use roxmltree::Node;
use ulm_libvirt::node::Hypervisor;
use ulm_model::{CpuNeed, CpuVerdict};

use super::capabilities::Capabilities;
use super::xml::{self, Walk, XmlError, escape};

const WHAT: &str = "a VM's CPU need";

/// A [`CpuNeed`] taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuQuestion {
    /// The emulator, architecture, machine type and virtualisation type that the VM runs with.
    pub of: Hypervisor,
    /// What CPU it has.
    pub cpu: WantedCpu,
}

/// What CPU a VM has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedCpu {
    /// The machine type's default.
    Default,
    /// A named model with features: a `<cpu>` element.
    Model(String),
    /// The host's own.
    Host {
        /// The canonical text of [`Capabilities::cpu`].
        cpu: String,
        /// For `maximum`: hypervisor and version.
        hypervisor: Option<String>,
    },
}

/// The host that a VM runs on, as far as it shapes the VM's need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomeCpu<'a> {
    /// What the host says about itself.
    pub capabilities: &'a Capabilities,
    /// Hypervisor and version, e.g. `QEMU 10.0.2`.
    pub hypervisor: &'a str,
}

/// The need of a VM with this definition (`<domain>`), on this host.
pub(super) fn need_of(domain: Node<'_, '_>, home: &HomeCpu<'_>) -> CpuNeed {
    let os = domain.at(&["os", "type"]);
    let attributes: String = [
        ("arch", os.and_then(|os| os.attr("arch"))),
        ("emulator", domain.at(&["devices", "emulator"]).and_then(Walk::words)),
        ("machine", os.and_then(|os| os.attr("machine"))),
        ("type", domain.attr("type")),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(format!(" {name}='{}'", escape(value?))))
    .collect();
    let host_cpu = |version: &str| format!("<host-cpu is='{}'{version}/>", escape(&home.capabilities.cpu));
    let inside = match domain.one("cpu").map(|cpu| (cpu, cpu.attr("mode"))) {
        None => String::new(),
        Some((_, Some("host-passthrough"))) => host_cpu(""),
        Some((_, Some("maximum"))) => host_cpu(&format!(" hypervisor='{}'", escape(home.hypervisor))),
        Some((cpu, _)) if cpu.one("model").is_none() => String::new(),
        Some((cpu, _)) => model_text(cpu),
    };
    CpuNeed(format!("<need{attributes}>{inside}</need>"))
}

/// Model, vendor and features in order; without topology, NUMA cells and caches, which any host can make up.
fn model_text(cpu: Node<'_, '_>) -> String {
    let model = cpu.one("model").and_then(Walk::words).unwrap_or_default();
    let vendor = cpu.one("vendor").and_then(Walk::words);
    let mut features: Vec<String> = cpu
        .all("feature")
        .filter_map(|feature| {
            let policy = feature.attr("policy").unwrap_or("require");
            Some(format!("<feature name='{}' policy='{}'/>", escape(feature.attr("name")?), escape(policy)))
        })
        .collect();
    features.sort_unstable();
    features.dedup();
    format!(
        "<cpu match='exact' mode='custom'><model fallback='forbid'>{}</model>{}{}</cpu>",
        escape(model),
        vendor.map_or_else(String::new, |vendor| format!("<vendor>{}</vendor>", escape(vendor))),
        features.concat()
    )
}

impl CpuQuestion {
    /// Takes a need apart.
    ///
    /// # Errors
    /// When the text is not one of this driver's.
    pub fn read(need: &CpuNeed) -> Result<Self, XmlError> {
        let document = xml::parse(&need.0, WHAT, "need")?;
        let root = document.root_element();
        let attribute = |name| root.attr(name).map(str::to_owned);
        let of = Hypervisor {
            emulator: attribute("emulator"),
            arch: attribute("arch"),
            machine: attribute("machine"),
            virt_type: attribute("type"),
        };
        let cpu = match (root.one("cpu"), root.one("host-cpu")) {
            (Some(cpu), None) => WantedCpu::Model(model_text(cpu)),
            (None, Some(host)) => WantedCpu::Host {
                cpu: host.attr("is").unwrap_or_default().to_owned(),
                hypervisor: host.attr("hypervisor").map(str::to_owned),
            },
            (None, None) => WantedCpu::Default,
            (Some(_), Some(_)) => return Err(XmlError::new(WHAT, "it names two CPUs")),
        };
        Ok(CpuQuestion { of, cpu })
    }
}

/// Whether a host with these properties has the very CPU that a VM was given from its old host.
pub(super) fn judge_host_cpu(wanted: &str, hypervisor: Option<&str>, here: &HomeCpu<'_>) -> CpuVerdict {
    if wanted != here.capabilities.cpu {
        let what = format!(
            "the VM was given its host's own CPU ({}), and this host's is another one ({})",
            difference(wanted, &here.capabilities.cpu),
            difference(&here.capabilities.cpu, wanted),
        );
        return CpuVerdict::Missing { what };
    }
    match hypervisor {
        Some(version) if version != here.hypervisor => CpuVerdict::Missing {
            what: format!("the VM was given all that {version} can emulate, and this host has {}", here.hypervisor),
        },
        _ => CpuVerdict::Offered,
    }
}

/// The words of one text that the other does not have; its first words if there are none.
fn difference(of: &str, to: &str) -> String {
    let other: Vec<&str> = to.split_whitespace().collect();
    let own: Vec<&str> = of.split_whitespace().filter(|word| !other.contains(word)).collect();
    match own.is_empty() {
        true => of.split(':').next().unwrap_or_default().to_owned(),
        false => own.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libvirt::cells::HostCells;

    fn capabilities(cpu: &str) -> Capabilities {
        Capabilities {
            machine: uuid::Uuid::nil(),
            arch: "x86_64".into(),
            model: String::new(),
            cpu: cpu.into(),
            cells: HostCells { base: ulm_model::Bytes::kib(4), huge: Default::default(), cells: Vec::new() },
        }
    }

    fn need(domain: &str) -> CpuNeed {
        let capabilities = capabilities("x86_64 AMD EPYC 23/1/2: aes avx");
        let document = roxmltree::Document::parse(domain).unwrap();
        need_of(document.root_element(), &HomeCpu { capabilities: &capabilities, hypervisor: "QEMU 10.0.2" })
    }

    const OS: &str = "<os><type arch='x86_64' machine='q35'>hvm</type></os><devices><emulator>/q</emulator></devices>";

    #[test]
    fn needs_do_not_depend_on_the_order_of_features_or_on_topology() {
        let one = need(&format!(
            "<domain type='kvm'>{OS}<cpu mode='custom' check='full'><model fallback='forbid'>EPYC</model>\
             <topology sockets='1' cores='2'/><feature policy='require' name='b'/><feature policy='disable' name='a'/></cpu></domain>"
        ));
        let other = need(&format!(
            "<domain type='kvm' id='7'>{OS}<cpu mode='custom'><model>EPYC</model><feature policy='disable' name='a'/>\
             <feature policy='require' name='b'/></cpu></domain>"
        ));
        assert_eq!(one, other);
        let question = CpuQuestion::read(&one).unwrap();
        assert_eq!(question.of.machine.as_deref(), Some("q35"));
        assert_eq!(
            question.cpu,
            WantedCpu::Model(
                "<cpu match='exact' mode='custom'><model fallback='forbid'>EPYC</model>\
                 <feature name='a' policy='disable'/><feature name='b' policy='require'/></cpu>"
                    .into()
            )
        );
    }

    #[test]
    fn a_passed_through_cpu_needs_the_same_one() {
        let need = need(&format!("<domain type='kvm'>{OS}<cpu mode='host-passthrough'/></domain>"));
        let WantedCpu::Host { cpu, hypervisor } = CpuQuestion::read(&need).unwrap().cpu else { panic!("{need:?}") };
        let same = capabilities("x86_64 AMD EPYC 23/1/2: aes avx");
        let more = capabilities("x86_64 AMD EPYC 23/1/2: aes avx avx2");
        let judge = |capabilities| {
            judge_host_cpu(&cpu, hypervisor.as_deref(), &HomeCpu { capabilities, hypervisor: "QEMU 9.0.0" })
        };
        assert_eq!(judge(&same), CpuVerdict::Offered);
        let CpuVerdict::Missing { what } = judge(&more) else { panic!("more is not the same") };
        assert!(what.contains("avx2"), "{what}");
    }

    #[test]
    fn all_that_an_emulator_can_do_needs_the_same_emulator() {
        let need = need(&format!("<domain type='qemu'>{OS}<cpu mode='maximum'/></domain>"));
        let WantedCpu::Host { cpu, hypervisor } = CpuQuestion::read(&need).unwrap().cpu else { panic!("{need:?}") };
        let here = capabilities(&cpu);
        let judge = |hypervisor_here| {
            let here = HomeCpu { capabilities: &here, hypervisor: hypervisor_here };
            judge_host_cpu(&cpu, hypervisor.as_deref(), &here)
        };
        assert_eq!(judge("QEMU 10.0.2"), CpuVerdict::Offered);
        assert!(matches!(judge("QEMU 9.0.0"), CpuVerdict::Missing { .. }));
    }

    #[test]
    fn without_a_cpu_the_machine_type_decides() {
        assert_eq!(CpuQuestion::read(&need(&format!("<domain>{OS}</domain>"))).unwrap().cpu, WantedCpu::Default);
    }

    #[test]
    fn text_of_somebody_else_is_refused() {
        assert!(CpuQuestion::read(&CpuNeed("Skylake".into())).is_err());
        assert!(CpuQuestion::read(&CpuNeed("<need><cpu/><host-cpu/></need>".into())).is_err());
    }
}
