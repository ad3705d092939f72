//! What A says, as a task in which nothing moves yet.

use std::collections::HashMap;

use crate::task::{self, LARGEST};
use crate::{Copying, Power, Task, TaskHost, TaskLink, TaskResource, TaskRule, TaskRuleKind, TaskVm};

use super::json::Name;
use super::listing::{Domains, ListedKind, ListedLink, ListedRule, ListedVm, ListedVms, Listing};
use super::names::{Names, unique};
use super::problem::Report;

/// The task with every VM staying where it is and every host on or off as it is.
pub(crate) fn task<'t>(a: &Listing<'t>, names: &Names<'_>, report: &mut Report<'t>) -> Task {
    let mut task = Task { resources: resources(a, names), ..Task::default() };
    for host in &a.hosts {
        let capacity = host.capacity.as_ref().map_or(Vec::new(), |spot| names.amounts(&spot.value, report));
        task.hosts.push(TaskHost {
            name: host.name.value.to_string(),
            capacity,
            takes: host.takes.as_ref().is_none_or(|spot| spot.value),
            power: if host.on.as_ref().is_none_or(|spot| spot.value) { Power::On } else { Power::Off },
            moves_in: host.moves_in.as_ref().map_or(1, |spot| spot.value),
            moves_out: host.moves_out.as_ref().map_or(1, |spot| spot.value),
        });
    }
    for (vm, listed) in a.vms.iter().enumerate() {
        let at = names.hosts.find(&listed.host, report);
        if let Some(host) = at.map(|at| &a.hosts[at as usize])
            && let Some(off) = host.on.as_ref().filter(|on| !on.value)
        {
            let (vm, host) = (&listed.name.value, &host.name.value);
            let remedy = "a VM runs on a host that is on: correct the one or the other";
            report.with(
                listed.host.at,
                off.at,
                format!("VM `{vm}` is on host `{host}`, which is off ({{other}}): {remedy}"),
            );
        }
        let size = listed.size.as_ref().map_or(Vec::new(), |spot| names.amounts(&spot.value, report));
        debug_assert_eq!(vm, task.vms.len());
        task.vms.push(TaskVm {
            name: listed.name.value.to_string(),
            from: at.unwrap_or(0),
            to: at.unwrap_or(0),
            copy: copying(listed, &size, names),
            size,
            stays: listed.stays.as_ref().is_some_and(|spot| spot.value),
        });
    }
    sums(a, names, report);
    if let Some(listed) = &a.rules {
        unique("rule", listed.value.iter().map(|rule| &rule.name), report);
        task.rules = rules(&listed.value, names, report);
    }
    let cards = a.hosts.iter().enumerate().filter_map(|(h, host)| Some((h as u32, host, host.bandwidth.as_ref()?)));
    task.links.extend(cards.map(|(h, host, rate)| TaskLink {
        name: format!("network card of {}", host.name.value),
        rate: rate.value,
        inside: vec![h],
    }));
    if let Some(listed) = &a.links {
        unique("link", listed.value.iter().map(|link| &link.name), report);
        task.links.extend(listed.value.iter().map(|listed| link(listed, names, report)));
    }
    task
}

fn resources(a: &Listing<'_>, names: &Names<'_>) -> Vec<TaskResource> {
    let holds = |at: usize| a.resources.as_ref().map_or_else(Default::default, |listed| listed.value[at].holds);
    let all = names.resources.names().iter().enumerate();
    all.map(|(at, name)| TaskResource { name: (*name).to_owned(), holds: holds(at) }).collect()
}

/// What a move copies: the memory, unless the text says otherwise.
fn copying(listed: &ListedVm<'_>, size: &[u64], names: &Names<'_>) -> Copying {
    let memory = names.resources.get("memory").map_or(0, |at| at as usize);
    let copy = &listed.copy;
    Copying {
        bytes: copy.bytes.as_ref().map_or_else(|| size.get(memory).copied().unwrap_or(0), |spot| spot.value),
        hot_bytes: copy.hot_bytes.as_ref().map_or(0, |spot| spot.value),
        hot_rate: copy.hot_rate.as_ref().map_or(0, |spot| spot.value),
        cold_rate: copy.cold_rate.as_ref().map_or(0, |spot| spot.value),
        takes_ms: copy.takes_ms.as_ref().map(|spot| spot.value),
    }
}

/// Reports amounts that add up to more than can be reckoned with, at the largest of them.
fn sums<'t>(a: &Listing<'t>, names: &Names<'_>, report: &mut Report<'t>) {
    let had = a.hosts.iter().filter_map(|host| host.capacity.as_ref()).flat_map(|spot| &spot.value);
    let asked = a.vms.iter().filter_map(|vm| vm.size.as_ref()).flat_map(|spot| &spot.value);
    for (all, whose) in [(had.collect::<Vec<_>>(), "hosts have"), (asked.collect(), "VMs ask for")] {
        let mut sums = vec![0u128; names.resources.names().len()];
        let mut largest: Vec<Option<(u64, &Name<'t>)>> = vec![None; sums.len()];
        for (name, amount) in all {
            let Some(at) = names.resources.get(&name.value) else { continue };
            sums[at as usize] += u128::from(*amount);
            if largest[at as usize].is_none_or(|(most, _)| *amount > most) {
                largest[at as usize] = Some((*amount, name));
            }
        }
        for (sum, largest) in sums.into_iter().zip(largest) {
            if let (true, Some((_, name))) = (sum >= u128::from(LARGEST), largest) {
                let what = &name.value;
                let message = format!(
                    "what all {whose} of `{what}` adds up to 2^61 or more, and this is the largest amount: count it in a larger unit"
                );
                report.at(name.at, message);
            }
        }
    }
}

/// All rules with their names looked up.
pub(crate) fn rules<'t>(listed: &[ListedRule<'t>], names: &Names<'_>, report: &mut Report<'t>) -> Vec<TaskRule> {
    let mut grouped: HashMap<u32, &'t str> = HashMap::new();
    let each = task::Domains::each(names.hosts.names().len() as u32);
    listed.iter().map(|listed| rule(listed, names, &each, &mut grouped, report)).collect()
}

fn rule<'t>(
    listed: &ListedRule<'t>,
    names: &Names<'_>,
    each: &task::Domains,
    grouped: &mut HashMap<u32, &'t str>,
    report: &mut Report<'t>,
) -> TaskRule {
    let kind = match &listed.kind {
        ListedKind::AtMost { vms, domains, limit } => {
            each_once("VM", vms, report);
            TaskRuleKind::AtMost {
                vms: names.vms(vms, report),
                domains: domains_of(domains, names, each, report),
                limit: *limit,
            }
        }
        ListedKind::Together { vms } => {
            each_once("VM", vms, report);
            let found = names.vms(vms, report);
            for vm in &found {
                if let Some(first) = grouped.insert(*vm, listed.at).filter(|first| *first != listed.at) {
                    let name = names.vms.names()[*vm as usize];
                    let message = format!(
                        "VM `{name}` is held together with others by the rule at {{other}} already: a VM is in one such rule at most, join the two"
                    );
                    report.with(listed.name.at, first, message);
                }
            }
            TaskRuleKind::Together { vms: found }
        }
        ListedKind::Only { vms, hosts } => {
            TaskRuleKind::Only { vms: names.vms(vms, report), hosts: names.hosts.find_all(hosts, report) }
        }
        ListedKind::Never { vms, hosts } => {
            TaskRuleKind::Never { vms: names.vms(vms, report), hosts: names.hosts.find_all(hosts, report) }
        }
        ListedKind::OneWay { vms, ranks } => {
            let mut rank = vec![0; names.hosts.names().len()];
            for (name, of) in ranks {
                if let Some(host) = names.hosts.find(name, report) {
                    rank[host as usize] = *of;
                }
            }
            TaskRuleKind::OneWay { vms: names.vms(vms, report), rank }
        }
    };
    TaskRule { name: listed.name.value.to_string(), holds: listed.holds, soft: listed.soft, kind }
}

fn each_once<'t>(what: &str, vms: &ListedVms<'t>, report: &mut Report<'t>) {
    if let ListedVms::Named(vms) = vms {
        unique(what, vms.iter(), report);
    }
}

fn domains_of<'t>(
    domains: &Domains<'t>,
    names: &Names<'_>,
    each: &task::Domains,
    report: &mut Report<'t>,
) -> task::Domains {
    match domains {
        Domains::EachHost => each.clone(),
        Domains::Listed(lists) => {
            unique("host", lists.iter().flatten(), report);
            lists.iter().map(|hosts| names.hosts.find_all(hosts, report)).collect()
        }
    }
}

/// A link with its hosts looked up.
pub(crate) fn link<'t>(listed: &ListedLink<'t>, names: &Names<'_>, report: &mut Report<'t>) -> TaskLink {
    let inside = names.hosts.find_all(&listed.inside, report);
    TaskLink { name: listed.name.value.to_string(), rate: listed.rate.value, inside }
}
