//! **NUMA cells.** A VM whose memory is bound to cells goes only to hosts that have cells of these numbers, with enough free memory in
//! them for what it holds. `platform.cells`. When a move begins; concerns pairs of VM and host.
//!
//! Free memory counts for ordinary pages only (see [`crate::pages`]); what is on its way to one of the same cells is deducted, see
//! [`crate::numa`]. A host that does not tell its cells takes no VM that asks for cells or huge pages.

use std::collections::BTreeSet;

use ulm_model::{Bytes, Cell, Host, Needs, Reason};

/// The cells of the host that count: those with these numbers, or all when no number is given.
pub fn concerned<'h>(host: &'h Host, cells: &BTreeSet<u32>) -> impl Iterator<Item = &'h Cell> {
    host.cells.iter().filter(move |cell| cells.is_empty() || cells.contains(&cell.id))
}

/// Whether the host tells its cells and has all of these.
pub fn offered(host: &Host, cells: &BTreeSet<u32>) -> bool {
    !host.cells.is_empty() && cells.iter().all(|id| host.cells.iter().any(|cell| cell.id == *id))
}

/// What is free in the VM's cells, huge pages aside.
pub fn free(host: &Host, cells: &BTreeSet<u32>) -> Bytes {
    concerned(host, cells).map(|cell| cell.free).sum()
}

/// Why the host does not have the cells, if so.
pub fn missing(host: &Host, needs: &Needs) -> Option<Reason> {
    let what = if host.cells.is_empty() {
        "it has not told which cells it has".to_owned()
    } else {
        let there = |id: &u32| host.cells.iter().any(|cell| cell.id == *id);
        let id = needs.cells.iter().find(|id| !there(id))?;
        format!("it has no cell {id}")
    };
    Some(Reason::CellsShort { host: host.name.clone(), cells: named(needs), what })
}

/// Why what is `left` of their free memory does not suffice, if so.
pub fn short(host: &Host, needs: &Needs, left: Bytes, held: Bytes) -> Option<Reason> {
    (left < held).then(|| Reason::CellsShort {
        host: host.name.clone(),
        cells: named(needs),
        what: format!("{left} are free there, it holds {held}"),
    })
}

fn named(needs: &Needs) -> String {
    if needs.cells.is_empty() {
        return "of any number".into();
    }
    listed(&needs.cells)
}

/// Their numbers, for people.
pub(crate) fn listed(cells: &BTreeSet<u32>) -> String {
    cells.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cell, host};

    fn bound(cells: &[u32]) -> Needs {
        Needs { cells: cells.iter().copied().collect(), ..Needs::default() }
    }

    #[test]
    fn a_host_that_does_not_tell_its_cells_is_refused_with_a_sentence() {
        let reason = missing(&host("a"), &bound(&[0])).unwrap();
        assert_eq!(reason.to_string(), "a cannot take it into NUMA cell(s) 0: it has not told which cells it has");
        assert!(!offered(&host("a"), &BTreeSet::new()));
    }

    #[test]
    fn every_cell_must_be_there_and_together_they_must_have_the_memory() {
        let host = Host { cells: vec![cell(0, 3, &[]), cell(2, 2, &[])], ..host("a") };
        assert!(missing(&host, &bound(&[0, 2])).is_none());
        let none = missing(&host, &bound(&[0, 1])).unwrap();
        assert_eq!(none.to_string(), "a cannot take it into NUMA cell(s) 0,1: it has no cell 1");
        let needs = bound(&[0, 2]);
        assert_eq!(free(&host, &needs.cells), Bytes::gib(5));
        assert!(short(&host, &needs, Bytes::gib(5), Bytes::gib(5)).is_none());
        let short = short(&host, &needs, Bytes::gib(2), Bytes::gib(3)).unwrap();
        assert!(short.to_string().ends_with("2.0 GiB are free there, it holds 3.0 GiB"), "{short}");
    }
}
