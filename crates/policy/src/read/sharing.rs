//! `[[sharing]]`: whose equal pages may be reckoned as merged, and how much VMs have in common.

use std::collections::BTreeSet;

use toml::de::DeValue;
use ulm_model::{Bytes, Share, SharingGroup, SharingLevel, SharingNode, Trust};

use super::keys::{Key, key};
use super::names::meant;
use super::section::{Section, doubles};
use super::selection::{Groups, Selection};
use crate::problem::Found;
use crate::values::{Form, Item, SHARE, TEXT, TEXTS, Value, Wrong, expected, size, words, words_or_list};

/// A sharing group as it is read.
pub(crate) struct SharingDraft {
    name: Option<String>,
    select: Selection,
    levels: Vec<SharingLevel>,
    nodes: Vec<SharingNode>,
    trust: Share,
    reserve: Share,
}

/// Nothing is counted on before counters of hosts show it, and of what they show 15 % is kept back.
impl Default for SharingDraft {
    fn default() -> Self {
        SharingDraft {
            name: None,
            select: Selection::default(),
            levels: Vec::new(),
            nodes: Vec::new(),
            trust: Share::ZERO,
            reserve: Share::percent(15),
        }
    }
}

const LEVELS: Value<Vec<SharingLevel>> = Value { form: Form::SharingLevels, read: levels };
const NODES: Value<Vec<SharingNode>> = Value { form: Form::SharingNodes, read: nodes };

/// The keys of a `[[sharing]]`.
pub(crate) static SHARING_KEYS: [Key<SharingDraft>; 8] = [
    key!("name", TEXT, must some name, "what people call the group"),
    key!("vm", TEXTS, select.vm, "VMs: patterns of which one must fit the name or the UUID"),
    key!("vm_tag", TEXTS, select.vm_tag, "VMs: patterns of which one must fit a tag"),
    key!("vms", TEXT, some select.vms, "VMs: the name of a group"),
    key!(
        "levels", LEVELS, must levels,
        "the tree from the root down: what the tags of each level begin with, and the memory that VMs with equal values have in common"
    ),
    key!(
        "nodes",
        NODES,
        nodes,
        "nodes of the tree that have another amount in common, by their values from the root down"
    ),
    key!("trust", SHARE, trust, "this part is counted on before the counters of hosts say more (0%)"),
    key!(
        "reserve",
        SHARE,
        reserve,
        "this part of what is saved is never counted on, since merged pages can break (15%)"
    ),
];

/// The values of a table's keys, all of which must be there; else what is wrong, and where.
fn fields<'i, const N: usize>(item: &'i Item<'i>, names: [&str; N], right: &str) -> Result<[&'i Item<'i>; N], Wrong> {
    let table = item.get_ref().as_table().ok_or_else(|| at(item, expected(right, item.get_ref())))?;
    if let Some((name, value)) = table.iter().find(|(name, _)| !names.contains(&name.get_ref().as_ref())) {
        return Err(at(
            value,
            format!("`{}` is not known here: {}", name.get_ref(), meant(name.get_ref(), &names, "known here")),
        ));
    }
    let found = names.map(|name| table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value));
    match names.iter().zip(&found).find(|(_, found)| found.is_none()) {
        Some((name, _)) => Err(at(item, format!("`{name}` is missing: this must be {right}"))),
        None => Ok(found.map(|found| found.unwrap_or(item))),
    }
}

fn at(item: &Item<'_>, label: String) -> Wrong {
    Wrong { label, part: Some((item.span(), String::new(), 0..0)) }
}

fn read<T>(item: &Item<'_>, read: fn(&DeValue<'_>) -> Result<T, String>) -> Result<T, Wrong> {
    read(item.get_ref()).map_err(|label| at(item, label))
}

fn memory(item: &Item<'_>) -> Result<Bytes, Wrong> {
    match read(item, size)? {
        Bytes(0) => Err(at(item, "nothing in common is no level; leave it out".to_owned())),
        memory => Ok(memory),
    }
}

fn list<'i>(item: &'i Item<'i>, right: &str) -> Result<&'i [Item<'i>], Wrong> {
    let items = item.get_ref().as_array().ok_or_else(|| Wrong::from(expected(right, item.get_ref())))?;
    if items.is_empty() { Err("this list is empty".to_owned().into()) } else { Ok(items) }
}

fn levels(item: &Item<'_>) -> Result<Vec<SharingLevel>, Wrong> {
    const RIGHT: &str = "a list of tables, e.g. [{ tag = \"os:\", memory = \"300MiB\" }]";
    let mut levels: Vec<SharingLevel> = Vec::new();
    for item in list(item, RIGHT)? {
        let [tag, weight] = fields(item, ["tag", "memory"], "a table, e.g. { tag = \"os:\", memory = \"300MiB\" }")?;
        let prefix = read(tag, words)?;
        if levels.iter().any(|level| level.prefix == prefix) {
            return Err(at(tag, "this is a level already".to_owned()));
        }
        levels.push(SharingLevel { prefix, weight: memory(weight)? });
    }
    Ok(levels)
}

fn nodes(item: &Item<'_>) -> Result<Vec<SharingNode>, Wrong> {
    const RIGHT: &str = "a list of tables, e.g. [{ path = [\"debian\", \"12\"], memory = \"500MiB\" }]";
    let mut nodes: Vec<SharingNode> = Vec::new();
    for item in list(item, RIGHT)? {
        let one = "a table, e.g. { path = [\"debian\", \"12\"], memory = \"500MiB\" }";
        let [path, weight] = fields(item, ["path", "memory"], one)?;
        let values = read(path, words_or_list)?;
        if nodes.iter().any(|node| node.path == values) {
            return Err(at(path, "this node has an amount already".to_owned()));
        }
        nodes.push(SharingNode { path: values, weight: memory(weight)? });
    }
    Ok(nodes)
}

/// All sharing groups, in the order of the texts.
pub(super) fn groups<'t>(
    sections: &[Section<'t>],
    groups: &Groups<'t>,
    problems: &mut Vec<Found>,
) -> Vec<SharingGroup> {
    let (mut sharing, mut places) = (Vec::new(), Vec::new());
    for section in sections {
        let before = problems.len();
        let mut draft = SharingDraft::default();
        section.read(&SHARING_KEYS, &mut draft, problems);
        let vms = groups.vms(section, &draft.select, problems);
        if problems.len() == before {
            sense(section, &draft, problems);
        }
        let Some(name) = draft.name else { continue };
        let SharingDraft { levels, nodes, trust, reserve, .. } = draft;
        sharing.push(SharingGroup { name, vms, levels, nodes, trust: Trust::stated(trust), reserve });
        places.push(section);
    }
    let named = sharing.iter().map(|group: &SharingGroup| group.name.as_str()).zip(places);
    doubles(named, "sharing group", "people tell them apart by their names", problems);
    sharing
}

/// What must hold between the values of one.
fn sense(section: &Section<'_>, draft: &SharingDraft, problems: &mut Vec<Found>) {
    let mut refuse = |key: &str, message: String, label: &str, help: &str| {
        problems.push(Found::new(section.place_of(key), message, label).help(help));
    };
    if !draft.select.by_vm() {
        let help = "say whose pages may be merged: `vm`, `vm_tag`, or `vms` for a group; `vm = \"*\"` are all VMs";
        refuse("name", "this sharing group has no VMs".to_owned(), "selects nothing", help);
    }
    if draft.trust > Share::WHOLE {
        refuse("trust", "`trust` is at most 100 %".to_owned(), "more than all", "0% waits for the counters of hosts");
    }
    if draft.reserve >= Share::WHOLE {
        let help = "10% to 15% is usual";
        refuse("reserve", "`reserve` is below 100 %".to_owned(), "nothing could ever be counted on", help);
    }
    let deepest: BTreeSet<usize> = draft.nodes.iter().map(|node| node.path.len()).collect();
    if deepest.last().is_some_and(|deepest| *deepest > draft.levels.len()) {
        let message = format!("a node is deeper than the {} level(s) of this group", draft.levels.len());
        refuse("nodes", message, "too many values in a path", "a path has one value for each level from the root down");
    }
}
