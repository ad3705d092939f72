//! What a host says about itself in its capabilities document.

use uuid::Uuid;

use super::cells::HostCells;
use super::xml::{self, Walk, XmlError};

const WHAT: &str = "the capabilities document";

/// The parts of a capabilities document that ULM uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The machine's own UUID.
    pub machine: Uuid,
    /// CPU architecture, e.g. `x86_64`.
    pub arch: String,
    /// CPU model as libvirt names it, empty if it does not.
    pub model: String,
    /// The CPU in canonical text: everything that a guest with the host's own CPU can see of it.
    pub cpu: String,
    /// Its pages and NUMA cells.
    pub cells: HostCells,
}

impl Capabilities {
    /// Reads a document.
    ///
    /// # Errors
    /// When it is not one, or has no UUID or no architecture.
    pub fn read(text: &str) -> Result<Self, XmlError> {
        let document = xml::parse(text, WHAT, "capabilities")?;
        let missing = |what: &str| XmlError::new(WHAT, format!("it does not name the host's {what}"));
        let host = document.root_element().one("host").ok_or_else(|| missing("properties"))?;
        let uuid = host.one("uuid").and_then(Walk::words).ok_or_else(|| missing("UUID"))?;
        let machine = Uuid::try_parse(uuid).map_err(|_| XmlError::new(WHAT, format!("{uuid:?} is no UUID")))?;
        let cpu = host.one("cpu").ok_or_else(|| missing("CPU"))?;
        let of = |name| cpu.one(name).and_then(Walk::words).unwrap_or_default();
        let arch = Some(of("arch")).filter(|arch| !arch.is_empty()).ok_or_else(|| missing("architecture"))?;
        let signature = cpu.one("signature").map_or_else(String::new, |signature| {
            ["family", "model", "stepping"].map(|name| signature.attr(name).unwrap_or("?")).join("/")
        });
        let mut features: Vec<&str> = cpu.all("feature").filter_map(|feature| feature.attr("name")).collect();
        features.sort_unstable();
        Ok(Capabilities {
            machine,
            arch: arch.to_owned(),
            model: of("model").to_owned(),
            // Without clock, topology, microcode and page sizes: they differ between equal machines.
            cpu: format!("{arch} {} {} {signature}: {}", of("vendor"), of("model"), features.join(" ")),
            cells: HostCells::read(host),
        })
    }
}

#[cfg(test)]
mod tests {
    use ulm_model::{Bytes, Cell, HugePages};

    use super::*;

    #[test]
    fn a_real_document_is_read() {
        let text = include_str!("../../tests/xml/capabilities.xml");
        let capabilities = Capabilities::read(text).unwrap();
        assert_eq!(capabilities.machine.to_string(), "4d1f0c66-5a0e-4f35-9b2a-0c3d6f1a7e21");
        assert_eq!((capabilities.arch.as_str(), capabilities.model.as_str()), ("x86_64", "EPYC-Rome"));
        assert_eq!(capabilities.cpu, "x86_64 AMD EPYC-Rome 23/49/0: ht topoext x2apic");
        let cells = capabilities.cells;
        assert_eq!((cells.base, cells.huge), (Bytes::kib(4), [Bytes::mib(2), Bytes::gib(1)].into()));
        let pages = [(2, 4), (1024, 0)].map(|(mib, gib)| HugePages {
            size: Bytes::mib(mib),
            total: Bytes::gib(gib),
            free: Bytes(0),
        });
        let last = Cell { id: 1, cpus: 2, memory: Bytes::kib(66_053_664), free: Bytes(0), pages: pages.into() };
        assert_eq!((cells.cells.len(), &cells.cells[1]), (2, &last));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, says) in [
            ("<capabilities/>", "properties"),
            ("<capabilities><host/></capabilities>", "UUID"),
            ("<capabilities><host><uuid>x</uuid></host></capabilities>", "is no UUID"),
            (
                "<capabilities><host><uuid>4d1f0c66-5a0e-4f35-9b2a-0c3d6f1a7e21</uuid><cpu/></host></capabilities>",
                "architecture",
            ),
        ] {
            let error = Capabilities::read(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
