//! Domains: a host, or all hosts with the same value of a label; a host without that label is a domain by itself.

use std::collections::BTreeMap;

use ulm_model::{Host, HostIx, Level, label};

/// The domains of one level as small numbers.
#[derive(Debug)]
pub struct Domains {
    of: Vec<u32>,
    starts: Vec<u32>,
    hosts: Vec<HostIx>,
}

/// The domain of hosts that do not count.
pub const OUTSIDE: u32 = u32::MAX;

impl Domains {
    /// The domains of the hosts that are `concerned`.
    pub fn new(hosts: &[Host], level: &Level, concerned: impl Fn(HostIx) -> bool) -> Self {
        let mut number: BTreeMap<(Option<&str>, usize), u32> = BTreeMap::new();
        let of: Vec<u32> = (0..hosts.len())
            .map(|i| {
                if !concerned(HostIx(i as u32)) {
                    return OUTSIDE;
                }
                let value = value(level, &hosts[i]);
                let next = number.len() as u32;
                *number.entry((value, if value.is_some() { 0 } else { i })).or_insert(next)
            })
            .collect();
        let mut members: Vec<HostIx> = (0..hosts.len() as u32).map(HostIx).filter(|h| of[h.at()] != OUTSIDE).collect();
        members.sort_by_key(|host| of[host.at()]);
        let starts = (0..=number.len() as u32).map(|d| members.partition_point(|host| of[host.at()] < d) as u32);
        Domains { starts: starts.collect(), of, hosts: members }
    }
    /// The host's domain, or [`OUTSIDE`].
    pub fn of(&self, host: HostIx) -> u32 {
        self.of[host.at()]
    }
    /// The hosts of a domain; of [`OUTSIDE`] none.
    pub fn hosts(&self, domain: u32) -> &[HostIx] {
        if domain == OUTSIDE {
            return &[];
        }
        let at = domain as usize;
        &self.hosts[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
    /// All hosts that count.
    pub fn all(&self) -> &[HostIx] {
        &self.hosts
    }
}

fn value<'h>(level: &Level, host: &'h Host) -> Option<&'h str> {
    match level {
        Level::Host => None,
        Level::Label(key) => label(&host.tags, key),
    }
}

/// What the host's domain is called: `h1` or `rack=r4`.
pub fn name(level: &Level, host: &Host) -> String {
    match (level, value(level, host)) {
        (Level::Label(key), Some(value)) => format!("{key}={value}"),
        _ => host.name.0.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::host;

    #[test]
    fn a_host_without_the_label_is_a_domain_by_itself() {
        let mut hosts: Vec<Host> = ["a", "b", "c", "d", "e"].map(host).into();
        for i in [0, 2] {
            hosts[i].tags.insert("rack=1".into());
        }
        let racks = Domains::new(&hosts, &Level::Label("rack".into()), |host| host.0 != 4);
        assert_eq!(racks.hosts(racks.of(HostIx(0))), [HostIx(0), HostIx(2)]);
        assert_eq!(racks.hosts(racks.of(HostIx(1))), [HostIx(1)]);
        assert_ne!(racks.of(HostIx(1)), racks.of(HostIx(3)));
        assert_eq!((racks.of(HostIx(4)), racks.hosts(OUTSIDE)), (OUTSIDE, &[][..]));
        let level = Level::Label("rack".into());
        assert_eq!((name(&level, &hosts[0]), name(&level, &hosts[1])), ("rack=1".into(), "b".into()));
    }
}
