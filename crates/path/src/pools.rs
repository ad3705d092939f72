//! Sets of hosts that no item can leave for each other: each is a task of its own.

use crate::joined::{join, root};
use crate::problem::{NONE, Problem};
use crate::rule::Scope;

/// A set of hosts with the items that may move on them.
pub(crate) struct Pool {
    /// Ascending.
    pub hosts: Vec<u32>,
    /// Items that may move at all; ascending.
    pub items: Vec<u32>,
    /// Whether one of them is not at its goal in A.
    pub pending: bool,
    inside: Vec<bool>,
}

impl Pool {
    /// Whether the host is one of its own.
    pub fn has(&self, host: u32) -> bool {
        self.inside[host as usize]
    }
}

/// The pools in which something may move. `fixed` tells which items never move.
pub(crate) fn pools(problem: &Problem<'_>, fixed: &[bool]) -> Vec<Pool> {
    let mut joined: Vec<u32> = (0..problem.hosts as u32).collect();
    let mut used = vec![false; problem.gates.len()];
    for (i, item) in problem.items.iter().enumerate().filter(|(i, _)| !fixed[*i]) {
        let gate = &problem.gates[item.gate as usize];
        let first = gate.enter.iter().position(|open| *open);
        if let Some(first) = first {
            join(&mut joined, item.home, first as u32);
        }
        if !std::mem::replace(&mut used[item.gate as usize], true) {
            let open = (0..problem.hosts).filter(|h| gate.enter[*h]);
            open.for_each(|h| join(&mut joined, h as u32, first.unwrap_or(h) as u32));
        }
        join(&mut joined, problem.items[i].goal, item.home);
    }
    for counter in &problem.counters {
        let mut first = vec![NONE; counter.room.len()];
        for (h, d) in counter.domain.iter().enumerate().filter(|(_, d)| **d != NONE) {
            match first[*d as usize] {
                NONE => first[*d as usize] = h as u32,
                known => join(&mut joined, known, h as u32),
            }
        }
    }
    if problem.extra.iter().any(|rule| rule.nature().scope == Scope::Placement) {
        (0..problem.hosts as u32).for_each(|h| join(&mut joined, 0, h));
    }
    let mut number = vec![NONE; problem.hosts];
    let mut pools: Vec<Pool> = Vec::new();
    for (i, item) in problem.items.iter().enumerate().filter(|(i, _)| !fixed[*i]) {
        let root = root(&mut joined, item.home) as usize;
        if number[root] == NONE {
            number[root] = pools.len() as u32;
            pools.push(Pool { hosts: vec![], items: vec![], pending: false, inside: vec![false; problem.hosts] });
        }
        let pool = &mut pools[number[root] as usize];
        pool.items.push(i as u32);
        pool.pending |= item.home != item.goal;
    }
    for host in 0..problem.hosts as u32 {
        let n = number[root(&mut joined, host) as usize];
        if n != NONE {
            pools[n as usize].hosts.push(host);
            pools[n as usize].inside[host as usize] = true;
        }
    }
    pools
}
