//! **Capacity.** How much may be promised on each host: the policy's limits, or those of the first rules that give others.

use ulm_model::{Bytes, Host, HostIx, RuleKind, Share};

use super::Grounds;
use super::selectors::Book;

/// What may be promised on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Promise {
    /// Memory, in bytes.
    pub memory: u128,
    /// Virtual CPUs.
    pub vcpus: u128,
}

/// By number of the host.
pub(super) fn promises(book: &Book<'_>, grounds: &Grounds<'_>) -> Vec<Promise> {
    grounds.snapshot.hosts_ix().map(|(ix, host)| promise(ix, host, book, grounds)).collect()
}

fn promise(ix: HostIx, host: &Host, book: &Book<'_>, grounds: &Grounds<'_>) -> Promise {
    let (mut memory, mut reserve, mut cpu) = (None, None, None);
    for rule in book.rules.iter().filter(|rule| rule.has(ix)) {
        if let RuleKind::Capacity { memory_overcommit, memory_reserve, cpu_overcommit } = rule.rule.kind {
            memory = memory.or(memory_overcommit);
            reserve = reserve.or(memory_reserve);
            cpu = cpu.or(cpu_overcommit);
        }
    }
    let usual = &grounds.rulebook.capacity;
    let Bytes(reserve) = reserve.unwrap_or(usual.memory_reserve);
    Promise {
        memory: part(host.memory.0.saturating_sub(reserve).into(), memory.unwrap_or(usual.memory_overcommit)),
        vcpus: part(host.cpu.0.into(), cpu.unwrap_or(usual.cpu_overcommit)) / 1000,
    }
}

/// A part of the whole, rounded down.
pub(super) fn part(whole: u128, share: Share) -> u128 {
    whole * u128::from(share.0) / 10_000
}
