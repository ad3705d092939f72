//! What a VM's memory asks of a host: the size of its huge pages, and the NUMA cells that it is bound to.
//!
//! **Huge pages.** `<hugepages/>` without a `<page>` is the host's usual size ([`HostCells::usual_huge`]). A VM may ask for other
//! sizes for other parts of its memory (guest cells, memory devices); ULM counts one size for all, so such a VM stays where it is.
//!
//! **Merging.** Which VMs' pages cannot be merged with others' at all ([`ulm_model::Vm::unmergeable`]).
//!
//! **Cells.** Only the modes `strict` (libvirt's usual one) and `restrictive` bind; what is placed automatically is bound to cells
//! that nobody can know beforehand, so to none. Where parts are bound to cells of their own, the VM is bound to all of these
//! together.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::Node;
use ulm_model::Bytes;

use super::amount::{self, odd};
use super::cells::HostCells;
use super::xml::{Walk, XmlError};

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MemoryNeeds {
    pub pages: Option<Bytes>,
    pub cells: BTreeSet<u32>,
    /// Whether its pages are never merged with others'.
    pub unmergeable: bool,
    /// Why it cannot move, if so.
    pub tie: Option<&'static str>,
}

const UNKNOWN_SIZE: &str = "its memory is in huge pages, and its host does not tell of which size";
const SEVERAL_SIZES: &str = "its memory is in pages of several sizes";

/// Reads them from a `<domain>` on such a host.
///
/// # Errors
/// When numbers, units, modes or sets of cells are not as libvirt writes them.
pub(super) fn read(domain: Node<'_, '_>, host: &HostCells) -> Result<MemoryNeeds, XmlError> {
    let cells = bound_to(domain)?;
    let found = MemoryNeeds { cells, unmergeable: unmergeable(domain), ..MemoryNeeds::default() };
    Ok(match sizes(domain, host)? {
        None => MemoryNeeds { tie: Some(UNKNOWN_SIZE), ..found },
        // Of nothing at all in huge pages there is one size too: that of ordinary ones.
        Some(sizes) if sizes.len() > 1 => MemoryNeeds { tie: Some(SEVERAL_SIZES), ..found },
        Some(sizes) => MemoryNeeds { pages: sizes.into_iter().next().filter(|size| *size > host.base), ..found },
    })
}

/// Kernels merge only private, anonymous memory that the guest has not encrypted, and of it only what QEMU offers to them.
fn unmergeable(domain: Node<'_, '_>) -> bool {
    let of = |name| domain.at(&["memoryBacking", name]);
    let shared = |node: Node<'_, '_>, attribute| node.attr(attribute) == Some("shared");
    let guest_cells = domain.at(&["cpu", "numa"]).into_iter().flat_map(|numa| numa.all("cell"));
    domain.one("launchSecurity").is_some()
        || of("nosharepages").is_some()
        || of("access").is_some_and(|access| shared(access, "mode"))
        || of("source").is_some_and(|source| source.attr("type") != Some("anonymous"))
        || guest_cells.into_iter().any(|cell| shared(cell, "memAccess"))
}

/// The devices that add memory: DIMMs and their like, not what is a file on a disk.
fn devices<'a>(domain: Node<'a, 'a>) -> impl Iterator<Item = Node<'a, 'a>> {
    let all = domain.one("devices").into_iter().flat_map(|devices| devices.all("memory"));
    all.filter(|device| matches!(device.attr("model"), Some("dimm" | "virtio-mem")))
}

fn guest_cells(domain: Node<'_, '_>) -> Result<Vec<u32>, XmlError> {
    let all = domain.at(&["cpu", "numa"]).into_iter().flat_map(|numa| numa.all("cell"));
    let ids = all.enumerate().map(|(at, cell)| cell.attr("id").map_or(Ok(at as u32), amount::number));
    let ids = ids.collect::<Result<Vec<u32>, XmlError>>()?;
    Ok(if ids.is_empty() { vec![0] } else { ids })
}

/// All sizes of pages that its memory is in, ordinary ones included; `None` when one of them cannot be known.
fn sizes(domain: Node<'_, '_>, host: &HostCells) -> Result<Option<BTreeSet<Bytes>>, XmlError> {
    let mut known = BTreeSet::new();
    let mut unknown = false;
    let huge = domain.at(&["memoryBacking", "hugepages"]);
    let mut named = Vec::new();
    for page in huge.into_iter().flat_map(|huge| huge.all("page")) {
        let size = amount::of_attribute(page, "size", amount::KIB)?;
        let of = page.attr("nodeset").map(amount::cells).transpose()?;
        // libvirt takes the size of ordinary pages for a way to ask for these.
        named.push((of, size.max(host.base)));
    }
    if huge.is_some() && named.is_empty() {
        match host.usual_huge() {
            Some(size) => known.extend([size]),
            None => unknown = true,
        }
    } else {
        for id in guest_cells(domain)? {
            let own = named.iter().find(|(of, _)| of.as_ref().is_some_and(|of| of.contains(&id)));
            let page = own.or_else(|| named.iter().find(|(of, _)| of.is_none()));
            known.insert(page.map_or(host.base, |(_, size)| *size));
        }
    }
    for size in devices(domain).filter_map(|device| device.at(&["source", "pagesize"])) {
        known.insert(amount::of_text(size, amount::KIB)?.max(host.base));
    }
    Ok((!unknown).then_some(known))
}

fn binds(mode: Option<&str>) -> Result<bool, XmlError> {
    match mode {
        None | Some("strict" | "restrictive") => Ok(true),
        Some("preferred" | "interleave") => Ok(false),
        Some(_) => Err(odd("its NUMA memory has a mode that is not known")),
    }
}

fn bound_to(domain: Node<'_, '_>) -> Result<BTreeSet<u32>, XmlError> {
    let tune = domain.one("numatune");
    let whole = tune.and_then(|tune| tune.one("memory"));
    let mut bound = BTreeSet::new();
    let whole_binds = binds(whole.and_then(|memory| memory.attr("mode")))?;
    if let Some(memory) = whole.filter(|memory| whole_binds && memory.attr("placement") != Some("auto")) {
        bound.extend(memory.attr("nodeset").map(amount::cells).transpose()?.into_iter().flatten());
    }
    let mut by_guest_cell = BTreeMap::new();
    for part in tune.into_iter().flat_map(|tune| tune.all("memnode")) {
        let part_binds = binds(part.attr("mode"))?;
        by_guest_cell.insert(part.attr("cellid").unwrap_or_default(), part_binds);
        if part_binds {
            bound.extend(amount::cells(part.attr("nodeset").unwrap_or_default())?);
        }
    }
    for device in devices(domain) {
        let Some(cells) = device.at(&["source", "nodemask"]) else { continue };
        let guest_cell = device.at(&["target", "node"]).and_then(Walk::words).unwrap_or("0");
        if *by_guest_cell.get(guest_cell).unwrap_or(&whole_binds) {
            bound.extend(amount::cells(cells.words().unwrap_or_default())?);
        }
    }
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libvirt::xml;

    fn of(inside: &str) -> Result<MemoryNeeds, String> {
        let host = HostCells { base: Bytes::kib(4), huge: [Bytes::mib(2), Bytes::gib(1)].into(), cells: Vec::new() };
        on(&host, inside)
    }

    fn on(host: &HostCells, inside: &str) -> Result<MemoryNeeds, String> {
        let text = format!("<domain>{inside}</domain>");
        read(xml::parse(&text, "a VM", "domain").unwrap().root_element(), host).map_err(|error| error.to_string())
    }

    fn pages(inside: &str) -> Option<u64> {
        let needs = of(&format!("<memoryBacking><hugepages>{inside}</hugepages></memoryBacking>")).unwrap();
        assert_eq!(needs.tie, None);
        needs.pages.map(|size| size.0 >> 20)
    }

    fn cells(inside: &str) -> Vec<u32> {
        of(&format!("<numatune>{inside}</numatune>")).unwrap().cells.into_iter().collect()
    }

    #[test]
    fn huge_pages_are_of_the_size_that_is_named_or_usual() {
        assert_eq!(of("").unwrap(), MemoryNeeds::default());
        assert_eq!(of("<memoryBacking><locked/></memoryBacking>").unwrap(), MemoryNeeds::default());
        assert_eq!(pages(""), Some(2));
        assert_eq!(pages("<page size='1' unit='G'/>"), Some(1024));
        assert_eq!(pages("<page size='2048'/>"), Some(2));
        assert_eq!(pages("<page size='1048576' unit='KiB' nodeset='0'/>"), Some(1024));
        assert_eq!(pages("<page size='4' unit='KiB'/>"), None);
        let silent = HostCells { base: Bytes::kib(4), huge: BTreeSet::new(), cells: Vec::new() };
        let backing = "<memoryBacking><hugepages/></memoryBacking>";
        assert_eq!(on(&silent, backing).unwrap().tie, Some(UNKNOWN_SIZE));
    }

    #[test]
    fn a_vm_with_pages_of_several_sizes_stays() {
        let guest = "<cpu><numa><cell id='0' cpus='0'/><cell id='1' cpus='1'/></numa></cpu>";
        let tie = |pages: &str, more: &str| {
            of(&format!("{guest}<memoryBacking><hugepages>{pages}</hugepages></memoryBacking>{more}")).unwrap().tie
        };
        let large = "<page size='1' unit='G' nodeset='0'/>";
        assert_eq!(tie(large, ""), Some(SEVERAL_SIZES), "the other guest cell is in ordinary pages");
        assert_eq!(tie(&format!("{large}<page size='2' unit='M'/>"), ""), Some(SEVERAL_SIZES));
        assert_eq!(tie(&format!("{large}<page size='1024' unit='M' nodeset='1'/>"), ""), None);
        let device = |kib: u64| {
            format!("<devices><memory model='dimm'><source><pagesize>{kib}</pagesize></source></memory></devices>")
        };
        assert_eq!(tie("", &device(2048)), None);
        assert_eq!(tie("", &device(1 << 20)), Some(SEVERAL_SIZES));
        assert_eq!(of(&device(2048)).unwrap().tie, Some(SEVERAL_SIZES));
    }

    #[test]
    fn only_strict_and_restrictive_modes_bind() {
        assert_eq!(cells("<memory mode='strict' nodeset='0,2-3'/>"), [0, 2, 3]);
        assert_eq!(cells("<memory nodeset='1'/>"), [1]);
        assert_eq!(cells("<memory mode='restrictive' nodeset='1'/>"), [1]);
        assert_eq!(cells("<memory mode='preferred' nodeset='1'/>"), [0; 0]);
        assert_eq!(cells("<memory mode='interleave' nodeset='0-1'/>"), [0; 0]);
        assert_eq!(cells("<memory mode='strict' placement='auto'/>"), [0; 0]);
        assert_eq!(cells("<memory mode='strict' placement='auto' nodeset='1'/>"), [0; 0]);
        let parts = "<memnode cellid='0' mode='strict' nodeset='3'/><memnode cellid='1' mode='preferred' nodeset='4'/>";
        assert_eq!(cells(parts), [3]);
    }

    #[test]
    fn memory_devices_are_bound_as_their_part_of_the_guest_is() {
        let bound = |mode: &str| {
            let device = "<memory model='virtio-mem'><source><nodemask>2-3</nodemask></source><target><node>1</node></target></memory>";
            let tune = format!("<numatune><memnode cellid='1' mode='{mode}' nodeset='1'/></numatune>");
            of(&format!("{tune}<devices>{device}</devices>")).unwrap().cells.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(bound("strict"), [1, 2, 3]);
        assert_eq!(bound("interleave"), [0; 0]);
    }

    #[test]
    fn odd_numbers_units_modes_and_sets_are_told() {
        for (inside, says) in [
            ("<memoryBacking><hugepages><page/></hugepages></memoryBacking>", "\"\" is no number"),
            (
                "<memoryBacking><hugepages><page size='2' unit='furlong'/></hugepages></memoryBacking>",
                "no unit of memory",
            ),
            (
                "<memoryBacking><hugepages><page size='2' nodeset='x'/></hugepages></memoryBacking>",
                "no set of NUMA cells",
            ),
            ("<numatune><memory mode='loose' nodeset='0'/></numatune>", "a mode that is not known"),
            ("<numatune><memory nodeset='3-1'/></numatune>", "\"3-1\" is no set"),
            ("<numatune><memnode cellid='0' mode='strict'/></numatune>", "\"\" is no set"),
            ("<cpu><numa><cell id='one'/></numa></cpu>", "\"one\" is no number"),
        ] {
            let error = of(inside).unwrap_err();
            assert!(error.contains(says), "{inside}: {error}");
        }
    }
}
