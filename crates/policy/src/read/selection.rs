//! Which VMs and hosts are meant: by patterns, by tags, or by a group that is named once.

use ulm_model::{HostSelector, VmSelector};

use super::keys::{Key, key};
use super::names::meant;
use super::section::{Section, doubles};
use crate::problem::Found;
use crate::values::{TEXT, TEXTS};

/// What selectors are read into.
#[derive(Default)]
pub(crate) struct Selection {
    pub vm: Vec<String>,
    pub vm_tag: Vec<String>,
    pub vms: Option<String>,
    pub host: Vec<String>,
    pub host_tag: Vec<String>,
    pub hosts: Option<String>,
}

impl Selection {
    pub fn by_vm(&self) -> bool {
        !self.vm.is_empty() || !self.vm_tag.is_empty() || self.vms.is_some()
    }

    pub fn by_host(&self) -> bool {
        !self.host.is_empty() || !self.host_tag.is_empty() || self.hosts.is_some()
    }
}

/// A group as it is read.
#[derive(Default)]
pub(crate) struct GroupDraft {
    name: Option<String>,
    select: Selection,
}

/// The keys of a `[[group]]`.
pub(crate) static GROUP_KEYS: [Key<GroupDraft>; 5] = [
    key!("name", TEXT, must some name, "what rules and goals call the group"),
    key!("vm", TEXTS, select.vm, "patterns of which one must fit the VM's name or UUID"),
    key!("vm_tag", TEXTS, select.vm_tag, "patterns of which one must fit one of the VM's tags"),
    key!("host", TEXTS, select.host, "patterns of which one must fit the host's name"),
    key!("host_tag", TEXTS, select.host_tag, "patterns of which one must fit one of the host's tags"),
];

/// All groups.
pub(super) struct Groups<'t>(Vec<(String, Selection, Section<'t>)>);

impl<'t> Groups<'t> {
    pub fn read(sections: &[Section<'t>], problems: &mut Vec<Found>) -> Self {
        let mut groups = Vec::new();
        for section in sections {
            let before = problems.len();
            let mut draft = GroupDraft::default();
            section.read(&GROUP_KEYS, &mut draft, problems);
            let selects = draft.select.by_vm() || draft.select.by_host();
            if problems.len() == before && !selects {
                let found = Found::new(section.place(), "this group is empty", "selects nothing");
                problems.push(found.help("a group selects VMs (`vm`, `vm_tag`) or hosts (`host`, `host_tag`)"));
            }
            // A group that has a mistake of its own is still there for those who name it.
            groups.extend(draft.name.map(|name| (name, draft.select, section.clone())));
        }
        let named = groups.iter().map(|(name, _, section)| (name.as_str(), section));
        doubles(named, "group", "rules and goals name the group that they mean", problems);
        Groups(groups)
    }

    /// The VMs that are selected.
    pub fn vms(&self, section: &Section<'_>, selection: &Selection, problems: &mut Vec<Found>) -> VmSelector {
        let own = VmSelector { name: selection.vm.clone(), tag: selection.vm_tag.clone() };
        let Some(name) = &selection.vms else { return own };
        if !own.is_empty() {
            problems.push(both(section, "vms", "`vm` and `vm_tag`"));
        }
        let Some((_, group, of)) = self.named(section, "vms", name, problems) else { return own };
        let selector = VmSelector { name: group.vm.clone(), tag: group.vm_tag.clone() };
        if selector.is_empty() && group.by_host() {
            let found = Found::new(section.place_of("vms"), format!("group `{name}` selects no VMs"), "VMs are meant");
            let help = "`hosts` names a group of hosts, `vms` one of VMs (`vm`, `vm_tag`)";
            problems.push(found.also(of.place_of_any(&["host", "host_tag"]), "it selects hosts alone").help(help));
        }
        selector
    }

    /// The hosts that are selected.
    pub fn hosts(&self, section: &Section<'_>, selection: &Selection, problems: &mut Vec<Found>) -> HostSelector {
        let own = HostSelector { name: selection.host.clone(), tag: selection.host_tag.clone() };
        let Some(name) = &selection.hosts else { return own };
        if !own.is_empty() {
            problems.push(both(section, "hosts", "`host` and `host_tag`"));
        }
        let Some((_, group, of)) = self.named(section, "hosts", name, problems) else { return own };
        let selector = HostSelector { name: group.host.clone(), tag: group.host_tag.clone() };
        if selector.is_empty() && group.by_vm() {
            let message = format!("group `{name}` selects no hosts");
            let found = Found::new(section.place_of("hosts"), message, "hosts are meant");
            let help = "`vms` names a group of VMs, `hosts` one of hosts (`host`, `host_tag`)";
            problems.push(found.also(of.place_of_any(&["vm", "vm_tag"]), "it selects VMs alone").help(help));
        }
        selector
    }

    fn named(
        &self,
        section: &Section<'_>,
        key: &str,
        name: &str,
        problems: &mut Vec<Found>,
    ) -> Option<&(String, Selection, Section<'t>)> {
        let found = self.0.iter().find(|(known, ..)| known == name);
        if found.is_none() {
            let known: Vec<&str> = self.0.iter().map(|(name, ..)| name.as_str()).collect();
            let found = Found::new(section.place_of(key), format!("there is no group `{name}`"), "unknown");
            problems.push(found.help(meant(name, &known, "groups, each a [[group]] with a name")));
        }
        found
    }
}

fn both(section: &Section<'_>, group: &str, others: &str) -> Found {
    let message = format!("`{group}` stands beside {others}");
    let found = Found::new(section.place_of_name(group), message, "one or the other");
    found.help(format!("name a group with `{group}`, or select with {others}; a group can have both of these"))
}
