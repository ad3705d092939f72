//! **Huge pages.** A VM whose memory is in huge pages goes only to hosts where so much is free in pages of that size: in the cells that it
//! is bound to, or in all if it is bound to none. `platform.pages`. When a move begins; concerns pairs of VM and host.
//!
//! What is on its way to the host in such pages is deducted, see [`crate::numa`].

use std::collections::BTreeSet;

use ulm_model::{Bytes, Host, Reason};

use crate::cells;

/// What is free in pages of the size in the cells that count.
pub fn free(host: &Host, cells: &BTreeSet<u32>, size: Bytes) -> Bytes {
    let pages = cells::concerned(host, cells).flat_map(|cell| &cell.pages);
    pages.filter(|pages| pages.size == size).map(|pages| pages.free).sum()
}

/// Why what is `left` of them does not suffice, if so.
pub fn reason(host: &Host, cells: &BTreeSet<u32>, size: Bytes, left: Bytes, needed: Bytes) -> Option<Reason> {
    let short =
        || Reason::PagesShort { host: host.name.clone(), size, needed, free: left, cells: cells::listed(cells) };
    (left < needed).then(short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cell, host};

    #[test]
    fn only_pages_of_the_size_in_the_vms_cells_count() {
        let (large, small) = (Bytes::gib(1), Bytes::mib(2));
        let host = Host { cells: vec![cell(0, 9, &[(large, 4), (small, 2)]), cell(1, 9, &[(large, 3)])], ..host("a") };
        assert_eq!(free(&host, &[].into(), large), Bytes::gib(7));
        assert_eq!(free(&host, &[1].into(), large), Bytes::gib(3));
        assert_eq!(free(&host, &[1].into(), small), Bytes(0));
    }

    #[test]
    fn the_sentence_tells_the_size_of_a_page() {
        let short = |needed| reason(&host("a"), &[].into(), Bytes::mib(2), Bytes::gib(2), Bytes::gib(needed));
        assert!(short(2).is_none());
        assert_eq!(short(3).unwrap().to_string(), "a has 2.0 GiB free in pages of 2.0 MiB, it needs 3.0 GiB");
    }
}
