//! Rules that VMs bring themselves, as tags.
//!
//! | tag | rule |
//! |---|---|
//! | `plb_affinity_NAME`, `ulm:together=NAME` | all VMs with the tag on one host |
//! | `plb_anti_affinity_NAME`, `ulm:apart=NAME` | no two VMs with the tag on one host |
//! | `plb_pin_HOST`, `ulm:pin=HOST` | only on this host; with several such tags, on any of these hosts |
//! | `plb_ignore_NAME`, `ulm:exclude` | no automatic moves |
//!
//! Each distinct tag is one rule with the name `tag TAG`, after the rules of the files: pins last, else in the order of the tags. VMs that
//! have the same several pins are in one rule with all their names. A tag that cannot be obeyed is set aside with a reason; all others hold.

use std::collections::BTreeMap;

use ulm_forecast::believe;
use ulm_model::{HostSelector, Level, Reason, Rule, RuleKind, Rulebook, Snapshot, VmId, VmSelector};
use ulm_rules::index::sharing_groups;

use crate::Policy;

/// What a tag asks for.
enum Asked<'t> {
    Together,
    Apart,
    Pin(&'t str),
    Exclude,
}

fn asked(tag: &str) -> Option<Asked<'_>> {
    let named = |prefix| tag.strip_prefix(prefix).filter(|name: &&str| !name.is_empty());
    let any = |prefixes: [&'static str; 2]| prefixes.into_iter().find_map(named);
    if tag == "ulm:exclude" || named("plb_ignore_").is_some() {
        return Some(Asked::Exclude);
    }
    if let Some(host) = any(["plb_pin_", "ulm:pin="]) {
        return Some(Asked::Pin(host));
    }
    any(["plb_affinity_", "ulm:together="])
        .map(|_| Asked::Together)
        .or_else(|| any(["plb_anti_affinity_", "ulm:apart="]).map(|_| Asked::Apart))
}

impl Policy {
    /// What states and plans of this snapshot are judged by: the rules of the files, and those that VMs bring as tags: the
    /// tags of [ProxLB](https://github.com/gyptazy/ProxLB) (`plb_affinity_NAME`, `plb_anti_affinity_NAME`, `plb_pin_HOST`,
    /// `plb_ignore_NAME`) and our own (`ulm:together=NAME`, `ulm:apart=NAME`, `ulm:pin=HOST`, `ulm:exclude`).
    ///
    /// Of the weights of sharing groups that part is counted on that the hosts' counters show ([`ulm_forecast::sharing`]).
    ///
    /// And what VMs ask for that cannot be obeyed, with the reason, by VM.
    pub fn rulebook_for(&self, snapshot: &Snapshot) -> (Rulebook, Vec<(VmId, Reason)>) {
        let mut book = self.rulebook();
        believe(snapshot, &mut book.sharing, sharing_groups);
        let mut aside = Vec::new();
        let mut tags: BTreeMap<&str, Vec<VmId>> = BTreeMap::new();
        // By all the pins of a VM together: with several it may be on any of these hosts, so they are one rule.
        let mut pins: BTreeMap<Vec<&str>, Vec<VmId>> = BTreeMap::new();
        for vm in &snapshot.vms {
            let mut pinned: Vec<&str> = Vec::new();
            for tag in &vm.tags {
                match asked(tag) {
                    None => {}
                    // No host can be called by a pattern.
                    Some(Asked::Pin(host)) if is_pattern(host) || snapshot.find_host(&host.into()).is_none() => {
                        aside.push((vm.id, Reason::TagUnknownHost { tag: tag.clone(), host: host.into() }));
                    }
                    Some(Asked::Pin(_)) => pinned.push(tag),
                    Some(_) => tags.entry(tag).or_default().push(vm.id),
                }
            }
            if !pinned.is_empty() {
                pins.entry(pinned).or_default().push(vm.id);
            }
        }
        for (tag, vms) in &tags {
            let kind = match asked(tag) {
                Some(Asked::Together) => RuleKind::Together { level: Level::Host },
                Some(Asked::Apart) => RuleKind::Apart { level: Level::Host, at_most: 1 },
                _ => RuleKind::Exclude,
            };
            book.rules.push(rule(&[tag], kind, bearers(tag, vms), HostSelector::default()));
        }
        for (words, vms) in &pins {
            let mut hosts: Vec<String> = words.iter().filter_map(|tag| host_of(tag)).map(str::to_owned).collect();
            hosts.dedup();
            let alone = |tag: &str| pins.keys().filter(|others| others.contains(&tag)).count() == 1;
            let vms = match words[..] {
                [tag] if alone(tag) => bearers(tag, vms),
                _ => by_id(vms),
            };
            book.rules.push(rule(words, RuleKind::Pin, vms, HostSelector { name: hosts, tag: Vec::new() }));
        }
        (book, aside)
    }
}

fn rule(tags: &[&str], kind: RuleKind, vms: VmSelector, hosts: HostSelector) -> Rule {
    Rule { name: format!("tag {}", tags.join(", ")), kind, soft: false, vms, hosts }
}

/// Those that have the tag. Tags are patterns in selectors, so one that would fit more than itself does not do.
fn bearers(tag: &str, vms: &[VmId]) -> VmSelector {
    match is_pattern(tag) {
        true => by_id(vms),
        false => VmSelector { name: Vec::new(), tag: vec![tag.to_owned()] },
    }
}

fn by_id(vms: &[VmId]) -> VmSelector {
    VmSelector { name: vms.iter().map(VmId::to_string).collect(), tag: Vec::new() }
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

fn host_of(tag: &str) -> Option<&str> {
    match asked(tag) {
        Some(Asked::Pin(host)) => Some(host),
        _ => None,
    }
}
