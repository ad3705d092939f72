//! A host's NUMA cells: which there are and what they have stands in its capabilities document; what is free of it is asked
//! for with every reading.
//!
//! Free ordinary memory is what nobody uses at all: libvirt does not tell the caches of one cell, so what could be dropped of
//! them is not counted. Totals are as old as the document, and some versions of libvirt make it only once: where more huge
//! pages are free than were there, the total is raised.
//!
//! One question covers all cells whose numbers follow each other and that have the same sizes of pages, which is all of them on
//! nearly every host; the questions are asked at once. A host that cannot answer has no cells, which is not an error.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use roxmltree::Node;
use ulm_libvirt::node::FREE_PAGES_MAX;
use ulm_libvirt::{Connection, Error};
use ulm_model::{Bytes, Cell, HugePages};

use super::amount;
use super::xml::{Walk, XmlError};

/// The size of an ordinary page when the host does not tell it: the smallest that there is, so that less is taken to be merged than is.
const USUAL_BASE: Bytes = Bytes::kib(4);

/// No ordinary page is larger: a host that tells only larger ones tells only its huge pages.
const LARGEST_BASE: Bytes = Bytes::kib(64);

/// The memory of a host as its capabilities document tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCells {
    /// The size of its ordinary pages.
    pub base: Bytes,
    /// The sizes of huge pages that its processors know.
    pub huge: BTreeSet<Bytes>,
    /// Its cells in the order of their numbers, with nothing free; empty when it does not tell them.
    pub cells: Vec<Cell>,
}

/// Cells that one question is about: their numbers follow each other, and they have the same sizes of pages.
type Run<'c> = &'c [Cell];

impl HostCells {
    /// Reads the `<host>` of a document. Cells that cannot be read are cells that are not told.
    pub(super) fn read(host: Node<'_, '_>) -> Self {
        let cells = cells(host).unwrap_or_else(|error| {
            tracing::warn!(%error, "its NUMA cells are left out");
            Vec::new()
        });
        let told = host.one("cpu").into_iter().flat_map(|cpu| cpu.all("pages")).filter_map(|pages| size(pages).ok());
        let in_cells = cells.iter().flat_map(|cell| &cell.pages).map(|pages| pages.size);
        let mut huge: BTreeSet<Bytes> = told.chain(in_cells).collect();
        let base = huge.first().copied().filter(|size| *size <= LARGEST_BASE).unwrap_or(USUAL_BASE);
        huge.remove(&base);
        let cells = cells.into_iter().map(|mut cell| {
            cell.pages.retain(|pages| pages.size > base);
            cell
        });
        HostCells { base, huge, cells: cells.collect() }
    }

    /// The size of huge pages that a VM gets which names none. libvirt does not tell it; a VM that runs says that there are
    /// some, and on all common machines it is the smallest size.
    pub fn usual_huge(&self) -> Option<Bytes> {
        let there = self.cells.iter().flat_map(|cell| &cell.pages).filter(|pages| pages.total > Bytes(0));
        there.map(|pages| pages.size).min().or_else(|| self.huge.first().copied())
    }

    /// The cells with what is free of them now; none when the host does not answer that.
    ///
    /// # Errors
    /// Only when the connection fails.
    pub(super) async fn ask(&self, host: &Connection) -> Result<Vec<Cell>, Error> {
        let questions = self.runs().into_iter().map(|run| async move {
            let sizes = self.sizes(run);
            let (first, count) = (run[0].id, run.len() as u32);
            Ok(self.with_free(run, &host.node_free_pages(&sizes, first, count).await?))
        });
        match try_join_all(questions).await {
            // A host that answers something else than it was asked has told nothing.
            Ok(runs) => Ok(runs.into_iter().collect::<Option<Vec<_>>>().unwrap_or_default().concat()),
            Err(Error::Libvirt(said)) => {
                tracing::debug!(error = %said.message, "the host does not tell what is free in its NUMA cells");
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    /// In KiB: ordinary pages first, then the huge ones of these cells.
    fn sizes(&self, run: Run<'_>) -> Vec<u32> {
        let huge = run.first().into_iter().flat_map(|cell| &cell.pages).map(|pages| pages.size);
        std::iter::once(self.base).chain(huge).filter_map(|size| u32::try_from(size.0 >> 10).ok()).collect()
    }

    fn runs(&self) -> Vec<Run<'_>> {
        let sizes = |cell: &Cell| cell.pages.iter().map(|pages| pages.size).collect::<Vec<_>>();
        let joined = |a: &Cell, b: &Cell| a.id.checked_add(1) == Some(b.id) && sizes(a) == sizes(b);
        let runs = self.cells.chunk_by(joined);
        runs.flat_map(|run| run.chunks((FREE_PAGES_MAX / (run[0].pages.len() + 1)).max(1))).collect()
    }

    fn with_free(&self, run: Run<'_>, answer: &[Vec<u64>]) -> Option<Vec<Cell>> {
        let free = |size: Bytes, count: u64| Bytes(size.0.saturating_mul(count));
        let fits = answer.len() == run.len() && answer.iter().zip(run).all(|(a, cell)| a.len() == cell.pages.len() + 1);
        let filled = run.iter().zip(answer).map(|(cell, counts)| Cell {
            free: free(self.base, counts[0]),
            pages: cell
                .pages
                .iter()
                .zip(&counts[1..])
                .map(|(pages, count)| {
                    let free = free(pages.size, *count);
                    HugePages { size: pages.size, total: pages.total.max(free), free }
                })
                .collect(),
            ..cell.clone()
        });
        fits.then(|| filled.collect())
    }
}

fn size(pages: Node<'_, '_>) -> Result<Bytes, XmlError> {
    let size = amount::of_attribute(pages, "size", amount::KIB)?;
    // The call that asks for free pages counts in KiB, in 32 bits.
    let usable = size.0 >= 1 << 10 && size.0.is_multiple_of(1 << 10) && size.0 >> 10 <= u64::from(u32::MAX);
    usable.then_some(size).ok_or_else(|| amount::odd(format!("pages of {size}")))
}

/// All kinds of pages of each cell, the ordinary ones included.
fn cells(host: Node<'_, '_>) -> Result<Vec<Cell>, XmlError> {
    let mut found = BTreeMap::new();
    let all = host.at(&["topology", "cells"]);
    for cell in all.into_iter().flat_map(|cells| cells.all("cell")) {
        let id = amount::number(cell.attr("id").unwrap_or_default())?;
        let cpus = cell.one("cpus").and_then(|cpus| cpus.attr("num")).map_or(Ok(0), amount::number)?;
        let memory = cell.one("memory").map_or(Ok(Bytes(0)), |memory| amount::of_text(memory, amount::KIB))?;
        let mut pages = BTreeMap::new();
        for of_a_size in cell.all("pages") {
            let count: u64 = amount::number(of_a_size.words().unwrap_or("0"))?;
            let size = size(of_a_size)?;
            let total = Bytes(size.0.saturating_mul(count));
            pages.insert(size, HugePages { size, total, free: Bytes(0) });
        }
        let pages = pages.into_values().collect();
        if found.insert(id, Cell { id, cpus, memory, free: Bytes(0), pages }).is_some() {
            return Err(amount::odd(format!("two NUMA cells {id}")));
        }
    }
    Ok(found.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libvirt::xml;

    fn read(topology: &str) -> HostCells {
        let text =
            format!("<host><cpu><pages unit='KiB' size='4'/><pages unit='KiB' size='2048'/></cpu>{topology}</host>");
        HostCells::read(xml::parse(&text, "a host", "host").unwrap().root_element())
    }

    fn cell(id: u32, sizes_kib: &[u64]) -> Cell {
        let pages = |kib: &u64| HugePages { size: Bytes::kib(*kib), total: Bytes(0), free: Bytes(0) };
        Cell { id, pages: sizes_kib.iter().map(pages).collect(), ..Cell::default() }
    }

    #[test]
    fn cells_are_read_with_their_huge_pages_and_without_the_ordinary_ones() {
        let text = "<topology><cells num='2'><cell id='1'><memory unit='KiB'>4194304</memory>\
                    <pages unit='KiB' size='4'>524288</pages><pages unit='KiB' size='2048'>1024</pages>\
                    <distances><sibling id='0' value='21'/></distances><cpus num='8'><cpu id='0'/></cpus></cell>\
                    <cell id='0'><cpus num='8'/></cell></cells></topology>";
        let read = read(text);
        assert_eq!((read.base, read.usual_huge()), (Bytes::kib(4), Some(Bytes::mib(2))));
        let pages = HugePages { size: Bytes::mib(2), total: Bytes::gib(2), free: Bytes(0) };
        let one = Cell { id: 1, cpus: 8, memory: Bytes::gib(4), free: Bytes(0), pages: vec![pages] };
        assert_eq!(read.cells, [Cell { id: 0, cpus: 8, ..Cell::default() }, one]);
    }

    #[test]
    fn ordinary_pages_are_known_where_they_are_not_told() {
        let base = |inside: &str| {
            let text = format!("<host><cpu>{inside}</cpu></host>");
            HostCells::read(xml::parse(&text, "a host", "host").unwrap().root_element()).base
        };
        assert_eq!(base(""), Bytes::kib(4));
        assert_eq!(base("<pages unit='KiB' size='2048'/>"), Bytes::kib(4));
        assert_eq!(base("<pages unit='KiB' size='64'/><pages unit='KiB' size='524288'/>"), Bytes::kib(64));
    }

    #[test]
    fn the_usual_huge_page_is_the_smallest_that_there_are_any_of() {
        let mut host = read("");
        host.huge.insert(Bytes::gib(1));
        assert_eq!(host.usual_huge(), Some(Bytes::mib(2)));
        host.cells = vec![cell(0, &[2048, 1 << 20])];
        host.cells[0].pages[1].total = Bytes::gib(8);
        assert_eq!(host.usual_huge(), Some(Bytes::gib(1)));
        assert_eq!(HostCells { huge: BTreeSet::new(), cells: Vec::new(), ..host }.usual_huge(), None);
    }

    #[test]
    fn a_document_that_tells_odd_cells_tells_none() {
        for odd in ["id='x'", "id='-1'", "", "id='0'><memory unit='acres'>1</memory></cell><cell id='1'"] {
            let read = read(&format!("<topology><cells><cell {odd}/></cells></topology>"));
            assert_eq!((read.cells.len(), read.huge.len()), (0, 1), "{odd}");
        }
        assert_eq!(read("<topology><cells><cell id='0'/><cell id='0'/></cells></topology>").cells, []);
    }

    #[test]
    fn gaps_and_other_sizes_are_asked_about_apart_and_no_question_is_too_large() {
        let host = |cells| HostCells { base: Bytes::kib(4), huge: BTreeSet::new(), cells };
        let all = [cell(0, &[2048]), cell(1, &[2048]), cell(3, &[2048]), cell(4, &[])];
        let ids = |runs: Vec<Run<'_>>| runs.iter().map(|run| (run[0].id, run.len())).collect::<Vec<_>>();
        assert_eq!(ids(host(all.to_vec()).runs()), [(0, 2), (3, 1), (4, 1)]);
        let many = host((0..1000).map(|id| cell(id, &[2048])).collect());
        assert_eq!(ids(many.runs()), [(0, 512), (512, 488)]);
        assert_eq!(many.sizes(many.runs()[0]), [4, 2048]);
        assert!(host(Vec::new()).runs().is_empty());
    }

    #[test]
    fn an_answer_of_another_shape_is_no_answer() {
        let host = HostCells { base: Bytes::kib(4), huge: BTreeSet::new(), cells: vec![cell(0, &[2048])] };
        let told = host.with_free(&host.cells, &[vec![10, 3]]).unwrap();
        assert_eq!(
            (told[0].free, told[0].pages[0].free, told[0].pages[0].total),
            (Bytes::kib(40), Bytes::mib(6), Bytes::mib(6))
        );
        for odd in [&[][..], &[vec![1]], &[vec![1, 2, 3]], &[vec![1, 2], vec![1, 2]]] {
            assert_eq!(host.with_free(&host.cells, odd), None, "{odd:?}");
        }
    }
}
