//! **Huge pages.** A VM whose memory is in huge pages goes only to hosts where so much is free in pages of that size: in the cells that it
//! is bound to, or in all if it is bound to none. `platform.pages`. When a move begins; concerns pairs of VM and host.
//!
//! What is on its way to the host in pages of the same size is deducted, whatever its cells.

use ulm_model::{Bytes, Host, Needs, Reason, Vm};

use crate::cells;

/// What is free in pages of the size in the cells that count.
pub fn free(host: &Host, needs: &Needs, size: Bytes) -> Bytes {
    let pages = cells::concerned(host, &needs.cells).flat_map(|cell| &cell.pages);
    pages.filter(|pages| pages.size == size).map(|pages| pages.free).sum()
}

/// What an arriving VM takes of the pages of this size.
pub fn taken(arriving: &Vm, size: Bytes) -> Bytes {
    let pages = arriving.needs.as_ref().and_then(|needs| needs.pages);
    if pages == Some(size) { arriving.memory } else { Bytes(0) }
}

/// Why they do not suffice, if so.
pub fn reason(host: &Host, size: Bytes, free: Bytes, arriving: Bytes, needed: Bytes) -> Option<Reason> {
    let short = free.0 < arriving.0.saturating_add(needed.0);
    short.then(|| Reason::PagesShort { host: host.name.clone(), size, needed, free: free.saturating_sub(arriving) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cell, host, vm};

    #[test]
    fn only_pages_of_the_size_in_the_vms_cells_count() {
        let (large, small) = (Bytes::gib(1), Bytes::mib(2));
        let host = Host { cells: vec![cell(0, 9, &[(large, 4), (small, 2)]), cell(1, 9, &[(large, 3)])], ..host("a") };
        let bound = |cells: &[u32]| Needs { cells: cells.iter().copied().collect(), ..Needs::default() };
        assert_eq!(free(&host, &bound(&[]), large), Bytes::gib(7));
        assert_eq!(free(&host, &bound(&[1]), large), Bytes::gib(3));
        assert_eq!(free(&host, &bound(&[1]), small), Bytes(0));
    }

    #[test]
    fn what_arrives_in_the_same_pages_is_deducted() {
        let size = Bytes::mib(2);
        let mut arriving = vm(1, 0);
        assert_eq!(taken(&arriving, size), Bytes(0), "it is in ordinary pages");
        arriving.needs.as_mut().unwrap().pages = Some(size);
        assert_eq!(taken(&arriving, size), Bytes::gib(4));
        let short = |needed| reason(&host("a"), size, Bytes::gib(6), Bytes::gib(4), Bytes::gib(needed));
        assert!(short(2).is_none());
        assert_eq!(short(3).unwrap().to_string(), "a has 2.0 GiB free in pages of 2.0 MiB, it needs 3.0 GiB");
    }
}
