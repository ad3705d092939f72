//! **Memory merged.** What a host that merges equal pages counts once: among the VMs that are there and that no step of the plan moves,
//! the same for the whole plan. Meaning: [`ulm_model::sharing`].
//!
//! The VMs of a host in the order of their paths are a walk through the tree: a VM has in common with the one before what their paths
//! have in common from the root down, and so the sum over neighbours is what all of them have in common.

use std::collections::BTreeSet;

use ulm_model::{Bytes, Merging, SharingGroup, Vm};

use super::selectors::Book;
use super::{Grounds, Resolved};

/// What merging makes of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Merged {
    /// By so much less is promised than the VMs' sizes.
    pub credit: u128,
    /// The same if nobody moves.
    pub before: u128,
    /// So much of what VMs that go hold is not given back.
    pub loss: u128,
}

/// Where a VM stands in its group's tree: by level the value, what is stated of the node, and what is counted on of that.
struct Path<'g> {
    group: usize,
    nodes: Vec<Node<'g>>,
}

struct Node<'g> {
    value: &'g str,
    stated: u128,
    sure: u128,
}

/// By number of the host.
pub(super) fn merged(book: &Book<'_>, steps: &[Resolved<'_>], grounds: &Grounds<'_>) -> Vec<Merged> {
    let snapshot = grounds.snapshot;
    let mut hosts = vec![Merged::default(); snapshot.hosts.len()];
    if grounds.rulebook.sharing.is_empty() {
        return hosts;
    }
    let mut paths = paths(book, grounds);
    let mut moves = vec![false; paths.len()];
    snapshot.in_flight.iter().for_each(|flight| paths[flight.vm.at()] = None);
    steps.iter().for_each(|step| moves[step.vm.at()] = true);
    let mut there: Vec<Vec<(bool, Path<'_>)>> = hosts.iter().map(|_| Vec::new()).collect();
    for ((vm, path), moves) in snapshot.vms.iter().zip(paths).zip(moves) {
        there[vm.host.at()].extend(path.map(|path| (moves, path)));
    }
    for ((merged, host), mut there) in hosts.iter_mut().zip(&snapshot.hosts).zip(there) {
        // Two full scans, before nothing can have been merged; and what is no more looked at may break.
        let looked = |counted: &Merging| counted.full_scans >= 2 && !counted.stopped;
        let Some(counted) = host.merging.filter(looked) else { continue };
        there.sort_by(|(_, a), (_, b)| a.key().cmp(b.key()));
        let all = in_common(there.iter().map(|(_, path)| path));
        let stay = in_common(there.iter().filter(|(moves, _)| !moves).map(|(_, path)| path));
        let saved = u128::from(counted.saved.0);
        let short = all.1.saturating_sub(saved);
        merged.credit = stay.1.saturating_sub(short);
        merged.before = all.1 - short;
        merged.loss = (all.0 - stay.0).min(saved);
    }
    hosts
}

impl Path<'_> {
    fn key(&self) -> impl Iterator<Item = (usize, &str)> {
        self.nodes.iter().map(|node| (self.group, node.value))
    }
}

/// What is stated and what is counted on of all that these have in common, in the order of their paths.
fn in_common<'p>(paths: impl Iterator<Item = &'p Path<'p>>) -> (u128, u128) {
    let (mut sum, mut last) = ((0, 0), None::<&Path<'_>>);
    for path in paths {
        if let Some(last) = last.replace(path).filter(|last| last.group == path.group) {
            for (one, _) in last.nodes.iter().zip(&path.nodes).take_while(|(one, other)| one.value == other.value) {
                sum = (sum.0 + one.stated, sum.1 + one.sure);
            }
        }
    }
    sum
}

/// By number of the VM; none without a group, or without a place in its tree.
fn paths<'g>(book: &Book<'g>, grounds: &Grounds<'g>) -> Vec<Option<Path<'g>>> {
    let snapshot = grounds.snapshot;
    let mut paths: Vec<Option<Path<'g>>> = snapshot.vms.iter().map(|_| None).collect();
    let mut grouped = vec![false; paths.len()];
    for (number, group) in grounds.rulebook.sharing.iter().enumerate() {
        let members = book.selected(&group.vms);
        for (v, vm) in snapshot.vms.iter().enumerate() {
            // The first group that selects it.
            if members[v] && !std::mem::replace(&mut grouped[v], true) && can_be_merged(vm) {
                let nodes = nodes(group, &vm.tags, vm.memory);
                paths[v] = (!nodes.is_empty()).then_some(Path { group: number, nodes });
            }
        }
    }
    paths
}

fn can_be_merged(vm: &Vm) -> bool {
    !vm.unmergeable && matches!(&vm.needs, Some(needs) if needs.pages.is_none())
}

/// From the root down, until a level without a value, or until what is stated is more than the VM has.
fn nodes<'g>(group: &'g SharingGroup, tags: &'g BTreeSet<String>, memory: Bytes) -> Vec<Node<'g>> {
    let (mut nodes, mut values, mut left) = (Vec::new(), Vec::new(), u128::from(memory.0));
    for level in &group.levels {
        let Some(tag) = tags.iter().find(|tag| tag.starts_with(&level.prefix)) else { break };
        let value = &tag[level.prefix.len()..];
        values.push(value);
        let own = group.nodes.iter().rfind(|node| node.path == values);
        let stated = u128::from(own.map_or(level.weight, |node| node.weight).0);
        let Some(rest) = left.checked_sub(stated).filter(|_| !value.is_empty()) else { break };
        left = rest;
        let sure = stated * u128::from(group.trust.sure.0) / 10_000;
        let sure = sure * u128::from(10_000u32.saturating_sub(group.reserve.0)) / 10_000;
        nodes.push(Node { value, stated, sure });
    }
    nodes
}

#[cfg(test)]
mod tests {
    use ulm_model::{Share, SharingLevel, Trust, VmSelector};

    use super::*;

    fn path<'g>(group: usize, text: &'g str) -> Path<'g> {
        let nodes = text.split_whitespace().map(|value| Node { value, stated: 10, sure: 7 }).collect();
        Path { group, nodes }
    }

    #[test]
    fn neighbours_in_the_order_of_paths_tell_what_all_have_in_common() {
        // Debian four times, of these 12 twice; the same value in another group is another node.
        let paths =
            [path(0, "alpine"), path(0, "debian"), path(0, "debian 11"), path(0, "debian 12"), path(0, "debian 12")];
        assert_eq!(in_common(paths.iter().chain([&path(1, "debian 12")])), (40, 28));
    }

    #[test]
    fn a_path_ends_where_weights_pass_the_memory() {
        let level = |prefix: &str| SharingLevel { prefix: prefix.into(), weight: Bytes(600) };
        let group = SharingGroup {
            name: "g".into(),
            vms: VmSelector::default(),
            levels: ["os:", "app:"].map(level).into(),
            nodes: vec![],
            trust: Trust::stated(Share::percent(50)),
            reserve: Share::percent(10),
        };
        let told = |memory: u64, tags: &str| {
            let tags = tags.split_whitespace().map(str::to_owned).collect();
            let nodes = nodes(&group, &tags, Bytes(memory));
            nodes.iter().map(|node| format!("{} {}", node.value, node.sure)).collect::<Vec<String>>()
        };
        assert_eq!(told(1200, "os:a app:x"), ["a 270", "x 270"]);
        assert_eq!(told(1199, "os:a app:x"), ["a 270"]);
        assert_eq!(told(1200, "app:x"), [""; 0]);
        assert_eq!(told(1200, "os: app:x"), [""; 0]);
    }
}
