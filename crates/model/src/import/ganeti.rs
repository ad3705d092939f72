//! A cluster of Ganeti as a placement: what of it holds for live migration.
//!
//! Nodes are hosts, running instances are VMs on their primary nodes. A VM whose disk is mirrored by DRBD goes to its secondary
//! only, one with a local disk goes nowhere, all others go to any node of their group. Instances with an exclusion tag in common
//! are apart.

use std::collections::{BTreeMap, BTreeSet};

use crate::placement::Source;
use crate::placement::write::quoted;

use super::Imported;
use super::cluster::{self, Cluster, Instance, Node};
use super::draft::{Draft, DraftRule, Origin, Row};
use super::problem::{ImportError, Problems};

/// Cluster tags with this beginning say how exclusion tags of instances begin.
const EXCLUSION: &str = "htools:iextags:";

/// What keeps an instance where it is, by its disk template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Its disk is on its primary and on its secondary.
    Mirrored,
    /// Its disk is on its primary alone.
    Local,
    /// Every node of its group reaches its disk, or it has none.
    Shared,
}

const TEMPLATES: [(&str, Reach); 10] = [
    ("drbd", Reach::Mirrored),
    ("plain", Reach::Local),
    ("file", Reach::Local),
    ("diskless", Reach::Shared),
    ("sharedfile", Reach::Shared),
    ("gluster", Reach::Shared),
    ("blockdev", Reach::Shared),
    ("rbd", Reach::Shared),
    ("ext", Reach::Shared),
    ("shared", Reach::Shared),
];

/// States of instances: whether one in that state runs on its primary.
const STATES: [(&str, bool); 10] = [
    ("running", true),
    // It should be down, and runs.
    ("ERROR_up", true),
    ("ADMIN_down", false),
    ("ADMIN_offline", false),
    ("USER_down", false),
    ("ERROR_down", false),
    ("ERROR_nodedown", false),
    ("ERROR_nodeoffline", false),
    ("ERROR_wrongnode", false),
    ("ERROR_unknown", false),
];

/// A VM to be, with what its disk allows.
struct Mover<'i, 't> {
    instance: &'i Instance<'t>,
    reach: Reach,
}

/// See [`super::ganeti()`].
pub(super) fn import(source: Source<'_>) -> Result<Imported, ImportError> {
    let mut problems = Problems::default();
    let Some(cluster) = cluster::read(source, &mut problems) else {
        problems.end()?;
        unreachable!("a file that is not read has a problem");
    };
    let movers = movers(source.file, &cluster, &mut problems);
    // An unsound file is told as such, before the reader of placements wonders about what is missing.
    problems.end()?;
    let local_disks = movers.iter().any(|mover| mover.reach != Reach::Shared);
    let resources = ["memory", "vcpus", "disk"].iter().take(if local_disks { 3 } else { 2 });
    let mut draft = Draft { resources: resources.map(|name| (*name).to_owned()).collect(), ..Draft::default() };
    draft.hosts =
        cluster.nodes.iter().enumerate().map(|(at, node)| host(&cluster, &movers, at, node, local_disks)).collect();
    draft.vms = movers.iter().map(|mover| vm(&cluster, mover)).collect();
    draft.rules = rules(&cluster, &movers);
    let notes = notes(&cluster, &movers);
    draft.finish(&[source.file], problems, notes)
}

/// The instances that run. Unknown states and templates are reported.
fn movers<'i, 't>(file: &str, cluster: &'i Cluster<'t>, problems: &mut Problems) -> Vec<Mover<'i, 't>> {
    let mut movers = Vec::new();
    for instance in &cluster.instances {
        let Some(runs) = known(&STATES, instance.status) else {
            let known = STATES.map(|(state, _)| state).join(", ");
            let message = format!("`{}` is no state of an instance: the states are {known}", instance.status);
            problems.at(file, instance.line, "field 5 (`status`)", message);
            continue;
        };
        let Some(reach) = known(&TEMPLATES, instance.template) else {
            let known = TEMPLATES.map(|(template, _)| template).join(", ");
            let message = format!("`{}` is no disk template: the templates are {known}", instance.template);
            problems.at(file, instance.line, "field 9 (`disk template`)", message);
            continue;
        };
        if runs {
            movers.push(Mover { instance, reach });
        }
    }
    movers
}

fn known<T: Copy>(words: &[(&str, T)], word: &str) -> Option<T> {
    words.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
}

fn mib(amount: u64) -> String {
    quoted(&format!("{amount}MiB"))
}

fn local_disk(mover: &Mover<'_, '_>) -> u64 {
    if mover.reach == Reach::Shared { 0 } else { mover.instance.disk }
}

fn host(cluster: &Cluster<'_>, movers: &[Mover<'_, '_>], at: usize, node: &Node<'_>, local_disks: bool) -> Row {
    let from = Origin { file: 0, line: node.line, place: String::new() };
    let mut row = Row::new(from.clone());
    row.key("name", quoted(node.name), from.clone());
    let vcpus = (node.cpus as f64 * cluster.groups[node.group].vcpu_ratio + 1e-6).floor() as u64;
    let mut amounts = [node.memory, vcpus, node.disk];
    if node.offline {
        row.key("takes", "false".to_owned(), from.clone());
        // Files give nothing or 0 for such nodes: what is on one fits on it.
        let there = movers.iter().filter(|mover| mover.instance.primary == at);
        let there = there.fold([0; 3], |[memory, vcpus, disk]: [u64; 3], mover| {
            let instance = mover.instance;
            [memory + instance.memory, vcpus + instance.vcpus, disk + local_disk(mover)]
        });
        amounts = [0, 1, 2].map(|i| amounts[i].max(there[i]));
    }
    row.amount("memory", mib(amounts[0]), from.clone());
    row.amount("vcpus", amounts[1].to_string(), from.clone());
    if local_disks {
        row.amount("disk", mib(amounts[2]), from);
    }
    row
}

fn vm(cluster: &Cluster<'_>, mover: &Mover<'_, '_>) -> Row {
    let instance = mover.instance;
    let from = Origin { file: 0, line: instance.line, place: String::new() };
    let mut row = Row::new(from.clone());
    row.key("name", quoted(instance.name), from.clone());
    row.key("host", quoted(cluster.nodes[instance.primary].name), from.clone());
    if stays(mover) {
        row.key("stays", "true".to_owned(), from.clone());
    }
    row.amount("memory", mib(instance.memory), from.clone());
    row.amount("vcpus", instance.vcpus.to_string(), from.clone());
    if local_disk(mover) > 0 {
        row.amount("disk", mib(local_disk(mover)), from);
    }
    row
}

/// Whether it has nowhere to go: its disk is on its node alone.
fn stays(mover: &Mover<'_, '_>) -> bool {
    match mover.reach {
        Reach::Local => true,
        Reach::Mirrored => mover.instance.secondary.is_none(),
        Reach::Shared => false,
    }
}

fn rules(cluster: &Cluster<'_>, movers: &[Mover<'_, '_>]) -> Vec<DraftRule> {
    let mut apart: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut pairs: BTreeMap<(usize, usize), Vec<&str>> = BTreeMap::new();
    let mut groups: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    let beginnings: Vec<&str> = exclusions(cluster).collect();
    for mover in movers {
        let instance = mover.instance;
        let tags: BTreeSet<&str> = instance.tags.iter().copied().collect();
        for tag in tags.into_iter().filter(|tag| beginnings.iter().any(|beginning| tag.starts_with(beginning))) {
            apart.entry(tag).or_default().push(instance.name);
        }
        match (mover.reach, instance.secondary) {
            (Reach::Mirrored, Some(secondary)) => {
                let pair = (instance.primary.min(secondary), instance.primary.max(secondary));
                pairs.entry(pair).or_default().push(instance.name);
            }
            (Reach::Shared, _) if cluster.groups.len() > 1 => {
                groups.entry(cluster.nodes[instance.primary].group).or_default().push(instance.name);
            }
            _ => {}
        }
    }
    let name = |at: usize| cluster.nodes[at].name.to_owned();
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let mut rules = Vec::new();
    rules.extend(apart.into_iter().filter(|(_, vms)| vms.len() > 1).map(|(tag, vms)| DraftRule {
        name: format!("exclusion tag {tag}"),
        kind: "apart",
        vms: owned(vms),
        hosts: Vec::new(),
    }));
    rules.extend(pairs.into_iter().map(|((one, other), vms)| DraftRule {
        name: format!("mirrored on {} and {}", name(one), name(other)),
        kind: "only",
        vms: owned(vms),
        hosts: vec![name(one), name(other)],
    }));
    rules.extend(groups.into_iter().map(|(group, vms)| {
        let inside = cluster.nodes.iter().filter(|node| node.group == group);
        let hosts = inside.map(|node| node.name.to_owned()).collect();
        DraftRule { name: format!("node group {}", cluster.groups[group].name), kind: "only", vms: owned(vms), hosts }
    }));
    rules
}

/// How exclusion tags begin.
fn exclusions<'c>(cluster: &'c Cluster<'_>) -> impl Iterator<Item = &'c str> {
    cluster.tags.iter().filter_map(|tag| tag.strip_prefix(EXCLUSION)).filter(|beginning| !beginning.is_empty())
}

/// What the placement does not say, or says otherwise than the file.
fn notes(cluster: &Cluster<'_>, movers: &[Mover<'_, '_>]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |names: Vec<&str>, what: &str| {
        if !names.is_empty() {
            notes.push(format!("{what}: {}", listed(&names)));
        }
    };
    let of = |state: &dyn Fn(&str) -> bool| -> Vec<&str> {
        let all = cluster.instances.iter().filter(|instance| known(&STATES, instance.status) == Some(false));
        all.filter(|instance| state(instance.status)).map(|instance| instance.name).collect()
    };
    note(of(&|status| status != "ERROR_wrongnode"), "left out, since they are down");
    note(of(&|status| status == "ERROR_wrongnode"), "left out, since they run on another node than their primary");
    let offline = cluster.nodes.iter().filter(|node| node.offline).map(|node| node.name);
    note(offline.collect(), "nodes that are offline or drained take no VMs");
    let such = |wanted: &dyn Fn(&Mover<'_, '_>) -> bool| -> Vec<&str> {
        movers.iter().filter(|mover| wanted(mover)).map(|mover| mover.instance.name).collect()
    };
    note(
        such(&|mover| mover.reach == Reach::Mirrored && !stays(mover)),
        "may move to their DRBD secondary only; room that secondaries keep for failover is not modelled",
    );
    note(such(&stays), "stay where they are, since their disks are on one node only");
    if cluster.groups.len() > 1 {
        note(cluster.groups.iter().map(|group| group.name).collect(), "VMs move within their node group only");
    }
    let foreign = |tag: &&&str| tag.starts_with("htools:") && !tag.starts_with(EXCLUSION);
    note(cluster.tags.iter().filter(foreign).copied().collect(), "cluster tags that are not modelled");
    notes
}

/// The first few names, and how many more there are.
fn listed(names: &[&str]) -> String {
    let first = names.iter().take(3).copied().collect::<Vec<_>>().join(", ");
    match names.len() {
        0..=3 => first,
        more => format!("{first} and {} more", more - 3),
    }
}
