//! Sets of hosts as bits: one pass over 1,000 hosts is sixteen words.

use ulm_model::HostIx;

/// A set of hosts of one snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostSet {
    words: Vec<u64>,
    hosts: usize,
}

impl HostSet {
    /// The set of those of `hosts` hosts that `holds` says yes to.
    pub fn of(hosts: usize, mut holds: impl FnMut(HostIx) -> bool) -> Self {
        let mut set = HostSet::none(hosts);
        for i in 0..hosts {
            if holds(HostIx(i as u32)) {
                set.words[i / 64] |= 1 << (i % 64);
            }
        }
        set
    }
    /// All of `hosts` hosts.
    pub fn all(hosts: usize) -> Self {
        let mut words = vec![u64::MAX; hosts.div_ceil(64)];
        if let Some(last) = words.last_mut().filter(|_| !hosts.is_multiple_of(64)) {
            *last = (1 << (hosts % 64)) - 1;
        }
        HostSet { words, hosts }
    }
    /// None of `hosts` hosts.
    pub fn none(hosts: usize) -> Self {
        HostSet { words: vec![0; hosts.div_ceil(64)], hosts }
    }
    /// Whether the host is in the set.
    pub fn contains(&self, host: HostIx) -> bool {
        self.words.get(host.at() / 64).is_some_and(|word| word >> (host.at() % 64) & 1 == 1)
    }
    /// Keeps only what is in `other`, too.
    pub fn intersect(&mut self, other: &HostSet) {
        for (word, also) in self.words.iter_mut().zip(&other.words) {
            *word &= also;
        }
    }
    /// Takes out what is in `other`.
    pub fn subtract(&mut self, other: &HostSet) {
        for (word, out) in self.words.iter_mut().zip(&other.words) {
            *word &= !out;
        }
    }
    /// Puts one host in.
    pub fn insert(&mut self, host: HostIx) {
        self.words[host.at() / 64] |= 1 << (host.at() % 64);
    }
    /// Takes one host out.
    pub fn remove(&mut self, host: HostIx) {
        self.words[host.at() / 64] &= !(1 << (host.at() % 64));
    }
    /// How many hosts are in the set.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }
    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }
    /// The hosts in the set, in the snapshot's order.
    pub fn iter(&self) -> impl Iterator<Item = HostIx> + '_ {
        self.words.iter().enumerate().flat_map(|(i, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(HostIx(i as u32 * 64 + bit))
            })
        })
    }
    /// How many hosts there are to be in the set or not.
    pub fn universe(&self) -> usize {
        self.hosts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_gives_back_what_was_put_in() {
        let mut even = HostSet::of(130, |host| host.0.is_multiple_of(2));
        let mut threes = HostSet::of(130, |host| host.0.is_multiple_of(3));
        assert_eq!(even.len(), 65);
        threes.intersect(&even);
        assert_eq!(threes.iter().map(|h| h.0).take(3).collect::<Vec<_>>(), [0, 6, 12]);
        even.subtract(&threes);
        even.remove(HostIx(128));
        assert!(!even.contains(HostIx(6)) && !even.contains(HostIx(128)) && even.contains(HostIx(64)));
        assert!(!even.contains(HostIx(500)));
        for hosts in [0, 1, 63, 64, 65, 128, 130] {
            assert_eq!(HostSet::all(hosts), HostSet::of(hosts, |_| true));
            assert!(HostSet::none(hosts).is_empty());
        }
    }
}
