//! The lines of Ganeti's text format: sections that are separated by one empty line each, fields that are separated by `|`.

use std::collections::HashMap;
use std::str::FromStr;

use crate::placement::Source;

use super::problem::Problems;

/// What a file says, as far as placements know of it.
pub(super) struct Cluster<'t> {
    pub groups: Vec<Group<'t>>,
    pub nodes: Vec<Node<'t>>,
    pub instances: Vec<Instance<'t>>,
    /// Tags of the cluster as a whole.
    pub tags: Vec<&'t str>,
}

/// A node group: instances move within it.
pub(super) struct Group<'t> {
    pub name: &'t str,
    uuid: &'t str,
    /// Virtual CPUs for each CPU, by its policy.
    pub vcpu_ratio: f64,
}

/// A node. Amounts are 0 where the file does not know them.
pub(super) struct Node<'t> {
    pub line: usize,
    pub name: &'t str,
    /// MiB in all, less the node's own.
    pub memory: u64,
    /// MiB of its volume group.
    pub disk: u64,
    pub cpus: u64,
    /// Offline, drained, or not able to hold VMs: the format does not tell them apart.
    pub offline: bool,
    pub group: usize,
}

/// An instance.
pub(super) struct Instance<'t> {
    pub line: usize,
    pub name: &'t str,
    /// MiB.
    pub memory: u64,
    /// MiB, all disks together.
    pub disk: u64,
    pub vcpus: u64,
    pub status: &'t str,
    pub primary: usize,
    pub secondary: Option<usize>,
    pub template: &'t str,
    pub tags: Vec<&'t str>,
}

/// The policy's virtual CPUs for each CPU where a file has no policies: Ganeti's own default.
const VCPU_RATIO: f64 = 4.0;

const SECTIONS: &str = "groups, nodes, instances, cluster tags and policies, with one empty line between two of them";

/// Reads all lines; what is wrong is reported, and left out.
pub(super) fn read<'t>(source: Source<'t>, problems: &mut Problems) -> Option<Cluster<'t>> {
    let mut sections = sections(source.text);
    if !(4..=5).contains(&sections.len()) {
        let (count, last) = (sections.len(), source.text.lines().count().max(1));
        let message = format!(
            "{count} section{} where 4 or 5 are needed: {SECTIONS}. Take the file as `hscan` writes it; a section without lines needs its empty line too",
            if count == 1 { "" } else { "s" }
        );
        problems.at(source.file, last, "", message);
        return None;
    }
    let policies = if sections.len() == 5 { sections.pop().unwrap_or_default() } else { Vec::new() };
    let mut lines = Lines { file: source.file, problems };
    let mut groups: Vec<Group<'t>> = sections[0].iter().filter_map(|line| lines.group(line)).collect();
    lines.policies(&mut groups, &policies);
    let nodes: Vec<Node<'t>> = sections[1].iter().filter_map(|line| lines.node(line, &groups)).collect();
    if sections[1].is_empty() {
        let message = format!("there are no nodes: the second section lists them. The sections are {SECTIONS}");
        lines.problems.at(source.file, 1, "", message);
    }
    lines.unique("node", nodes.iter().map(|node| (node.name, node.line)));
    let places: HashMap<&str, usize> = nodes.iter().enumerate().map(|(at, node)| (node.name, at)).collect();
    let instances: Vec<Instance<'t>> = sections[2].iter().filter_map(|line| lines.instance(line, &places)).collect();
    lines.unique("instance", instances.iter().map(|instance| (instance.name, instance.line)));
    let tags = sections[3].iter().map(|line| line.text.trim()).collect();
    Some(Cluster { groups, nodes, instances, tags })
}

/// A line with its number and its fields.
struct Line<'t> {
    number: usize,
    text: &'t str,
    fields: Vec<&'t str>,
}

/// Every empty line ends a section; those at the end of the file are too many.
fn sections(text: &str) -> Vec<Vec<Line<'_>>> {
    let mut sections = vec![Vec::new()];
    for (i, text) in text.trim_end().lines().enumerate() {
        let text = text.trim_end_matches('\r');
        match sections.last_mut() {
            Some(section) if !text.trim().is_empty() => {
                section.push(Line { number: i + 1, text, fields: text.split('|').map(str::trim).collect() });
            }
            _ => sections.push(Vec::new()),
        }
    }
    // A file without policies may end with a section of tags that has no lines: only the empty lines say that it is there.
    let ended = text[text.trim_end().len()..].matches('\n').count();
    if sections.len() == 3 && ended > 1 {
        sections.push(Vec::new());
    }
    sections
}

/// Reads lines and reports what is wrong with them.
struct Lines<'f, 'p> {
    file: &'f str,
    problems: &'p mut Problems,
}

impl Lines<'_, '_> {
    fn wrong(&mut self, line: &Line<'_>, field: Option<(usize, &str)>, message: impl Into<String>) {
        let place = field.map_or(String::new(), |(at, name)| format!("field {} (`{name}`)", at + 1));
        self.problems.at(self.file, line.number, &place, message);
    }

    /// Whether a line has so many fields that all that is needed is there, and a name.
    fn whole(&mut self, line: &Line<'_>, what: &str, needed: usize, form: &str) -> bool {
        if line.fields.len() < needed {
            let count = line.fields.len();
            self.wrong(line, None, format!("{count} fields of {what} where {needed} are needed: {form}"));
            return false;
        }
        if line.fields[0].is_empty() {
            self.wrong(line, Some((0, "name")), format!("{what} needs a name"));
            return false;
        }
        true
    }

    fn number<T: FromStr>(&mut self, line: &Line<'_>, at: usize, name: &str, right: &str) -> Option<T> {
        let text = line.fields[at];
        let read = text.parse().ok();
        if read.is_none() {
            self.wrong(line, Some((at, name)), format!("`{text}` is no number that fits here: it must be {right}"));
        }
        read
    }

    fn group<'t>(&mut self, line: &Line<'t>) -> Option<Group<'t>> {
        let form = "name|uuid|allocation policy|tags|networks";
        let fields = &line.fields;
        self.whole(line, "a group", 2, form).then(|| Group { name: fields[0], uuid: fields[1], vcpu_ratio: VCPU_RATIO })
    }

    /// A policy without an owner is the cluster's, for all groups that have none of their own.
    fn policies(&mut self, groups: &mut [Group<'_>], policies: &[Line<'_>]) {
        let ratio = |lines: &mut Self, line: &Line<'_>| -> Option<f64> {
            if line.fields.len() < 3 {
                let form = "owner|standard|bounds|disk templates|vCPU ratio|spindle ratio";
                lines.wrong(line, None, format!("{} fields are no policy: {form}", line.fields.len()));
                return None;
            }
            let at = line.fields.len() - 2;
            let ratio: f64 = lines.number(line, at, "vCPU ratio", "vCPUs for each CPU, e.g. 4.0")?;
            let sound = ratio.is_finite() && ratio > 0.0;
            if !sound {
                lines.wrong(line, Some((at, "vCPU ratio")), format!("{ratio} must be more than 0"));
            }
            sound.then_some(ratio)
        };
        let (of_cluster, of_groups): (Vec<_>, Vec<_>) = policies.iter().partition(|line| line.fields[0].is_empty());
        for line in of_cluster {
            if let Some(ratio) = ratio(self, line) {
                groups.iter_mut().for_each(|group| group.vcpu_ratio = ratio);
            }
        }
        for line in of_groups {
            let Some(ratio) = ratio(self, line) else { continue };
            match groups.iter_mut().find(|group| group.name == line.fields[0]) {
                Some(group) => group.vcpu_ratio = ratio,
                None => {
                    let hint = self.problems.hint(line.fields[0], groups.iter().map(|group| group.name));
                    let message = format!("there is no group `{}`: {hint}list it in the first section", line.fields[0]);
                    self.wrong(line, Some((0, "owner")), message);
                }
            }
        }
    }

    fn node<'t>(&mut self, line: &Line<'t>, groups: &[Group<'_>]) -> Option<Node<'t>> {
        let form = "name|memory|its own|free|disk|free|CPUs|Y, N or M|group's uuid";
        if !self.whole(line, "a node", 9, form) {
            return None;
        }
        let fields = &line.fields;
        let flag = fields[7];
        if !["Y", "N", "M"].contains(&flag) {
            let message =
                format!("`{flag}` is not known: Y stands for offline or drained, N for in use, M for the master");
            self.wrong(line, Some((7, "offline")), message);
        }
        let unknown = [1, 2, 4, 6].iter().any(|at| fields[*at] == "?");
        let offline = flag == "Y" || unknown;
        let mut amount = |at: usize, name: &str, right: &str| match fields[at] {
            "?" | "" if offline => Some(0.0),
            _ => self
                .number(line, at, name, right)
                .map(|amount: f64| if amount.is_finite() { amount.max(0.0) } else { 0.0 }),
        };
        let memory = amount(1, "memory", "MiB, e.g. 65536");
        let own = amount(2, "memory of the node's own", "MiB, e.g. 1024");
        let disk = amount(4, "disk", "MiB, e.g. 1048576");
        let cpus = amount(6, "CPUs", "a number of CPUs, e.g. 64");
        let group = groups.iter().position(|group| group.uuid == fields[8] || group.name == fields[8]);
        if group.is_none() {
            let hint = self.problems.hint(fields[8], groups.iter().map(|group| group.uuid));
            let message = format!("there is no group `{}`: {hint}list it in the first section", fields[8]);
            self.wrong(line, Some((8, "group")), message);
        }
        Some(Node {
            line: line.number,
            name: fields[0],
            memory: (memory.unwrap_or(0.0) - own.unwrap_or(0.0)).max(0.0) as u64,
            disk: disk.unwrap_or(0.0) as u64,
            cpus: cpus.unwrap_or(0.0) as u64,
            offline,
            group: group.unwrap_or(0),
        })
    }

    fn instance<'t>(&mut self, line: &Line<'t>, nodes: &HashMap<&str, usize>) -> Option<Instance<'t>> {
        let form = "name|memory|disk|vCPUs|status|balanced|primary|secondary|disk template|tags";
        if !self.whole(line, "an instance", 10, form) {
            return None;
        }
        let fields = &line.fields;
        let memory = self.number(line, 1, "memory", "MiB, e.g. 4096");
        let disk = self.number(line, 2, "disk", "MiB, e.g. 10240");
        let vcpus = self.number(line, 3, "vCPUs", "a number of vCPUs, e.g. 2");
        let primary = self.find(line, 6, "primary", nodes);
        let secondary = match fields[7] {
            "" => None,
            _ => self.find(line, 7, "secondary", nodes),
        };
        if primary.is_some() && primary == secondary {
            let message = format!("`{}` is the primary already: the secondary is another node, or none", fields[7]);
            self.wrong(line, Some((7, "secondary")), message);
        }
        Some(Instance {
            line: line.number,
            name: fields[0],
            memory: memory.unwrap_or(0),
            disk: disk.unwrap_or(0),
            vcpus: vcpus.unwrap_or(0),
            status: fields[4],
            primary: primary.unwrap_or(0),
            secondary,
            template: fields[8],
            tags: fields[9].split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect(),
        })
    }

    fn find(&mut self, line: &Line<'_>, at: usize, name: &str, nodes: &HashMap<&str, usize>) -> Option<usize> {
        let node = line.fields[at];
        let found = nodes.get(node).copied();
        if found.is_none() {
            let hint = self.problems.hint(node, nodes.keys().copied());
            let message = format!("there is no node `{node}`: {hint}list it in the second section");
            self.wrong(line, Some((at, name)), message);
        }
        found
    }

    fn unique<'n>(&mut self, what: &str, names: impl Iterator<Item = (&'n str, usize)>) {
        let mut seen = HashMap::new();
        for (name, line) in names {
            let first = *seen.entry(name).or_insert(line);
            if first != line {
                let message = format!("{what} `{name}` is there already, at line {first}: names are unique");
                self.problems.at(self.file, line, "", message);
            }
        }
    }
}
