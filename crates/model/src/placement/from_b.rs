//! What B adds: where VMs are to be and which hosts are to be on. All else must be as in A, or left out.

use std::collections::HashMap;

use crate::{Power, Task};

use super::from_a;
use super::json::Spot;
use super::listing::{ListedHost, ListedVm, Listing};
use super::names::{Names, unique};
use super::problem::Report;

/// Switching a host on takes so long where nothing is said, in milliseconds.
const BOOT_MS: u64 = 180_000;
/// Switching a host off takes so long where nothing is said, in milliseconds.
const SHUTDOWN_MS: u64 = 60_000;

/// Puts B's hosts of VMs and B's power of hosts into the task; reports everything else in which B is not as A.
pub(crate) fn complete<'t>(
    task: &mut Task,
    a: &Listing<'t>,
    b: &Listing<'t>,
    names: &Names<'_>,
    files: [&str; 2],
    report: &mut Report<'t>,
) {
    unique("host", b.hosts.iter().map(|host| &host.name), report);
    let hosts = names_of(b.hosts.iter().map(|host| host.name.value.as_ref()));
    for (h, in_a) in a.hosts.iter().enumerate() {
        let in_b = hosts.get(in_a.name.value.as_ref()).map(|at| &b.hosts[*at]);
        task.hosts[h].power = power(in_a, in_b, report);
    }
    for listed in &b.hosts {
        if let Some(h) = names.hosts.find(&listed.name, report) {
            same_host(&a.hosts[h as usize], listed, task, h as usize, names, report);
        }
    }
    vms(task, a, b, names, files, report);
    lists(task, a, b, names, report);
}

fn names_of<'l>(names: impl Iterator<Item = &'l str>) -> HashMap<&'l str, usize> {
    names.enumerate().map(|(at, name)| (name, at)).collect()
}

fn power<'t>(a: &ListedHost<'t>, b: Option<&ListedHost<'t>>, report: &mut Report<'t>) -> Power {
    let now = a.on.as_ref().is_none_or(|on| on.value);
    let then = b.and_then(|b| b.on.as_ref()).map_or(now, |on| on.value);
    let mut takes = |of: for<'l> fn(&'l ListedHost<'t>) -> Option<&'l Spot<'t, u64>>, usual: u64, key: &str| match (
        of(a),
        b.and_then(of),
    ) {
        (Some(one), Some(other)) if one.value != other.value => {
            let message = format!("`{key}` is not as in A ({{other}}): give it in one place, or the same in both");
            report.with(other.at, one.at, message);
            one.value
        }
        (Some(given), _) | (None, Some(given)) => given.value,
        (None, None) => usual,
    };
    let boot = takes(|host| host.boot_ms.as_ref(), BOOT_MS, "boot_seconds");
    let shutdown = takes(|host| host.shutdown_ms.as_ref(), SHUTDOWN_MS, "shutdown_seconds");
    match (now, then) {
        (true, true) => Power::On,
        (false, false) => Power::Off,
        (false, true) => Power::SwitchOn { takes_ms: boot },
        (true, false) => Power::SwitchOff { takes_ms: shutdown },
    }
}

/// `key` of something in B is not as in A.
fn differs<'t>(key: &str, whose: &str, at: &'t str, in_a: &'t str, report: &mut Report<'t>) {
    let message = format!(
        "`{key}` of {whose} is not as in A ({{other}}): B says only where VMs are to be and which hosts are to be on; leave `{key}` out here, or make both the same"
    );
    report.with(at, in_a, message);
}

fn same_host<'t>(
    a: &ListedHost<'t>,
    b: &ListedHost<'t>,
    task: &Task,
    h: usize,
    names: &Names<'_>,
    report: &mut Report<'t>,
) {
    let (host, whose) = (&task.hosts[h], format!("host `{}`", a.name.value));
    if let Some(capacity) = &b.capacity
        && names.amounts(&capacity.value, report) != host.capacity
    {
        differs("capacity", &whose, capacity.at, a.name.at, report);
    }
    let mut same = |key: &str, at: Option<&'t str>, same: bool| {
        if let (Some(at), false) = (at, same) {
            differs(key, &whose, at, a.name.at, report);
        }
    };
    same("takes", at(&b.takes), b.takes.as_ref().is_none_or(|one| one.value == host.takes));
    same("moves_in", at(&b.moves_in), b.moves_in.as_ref().is_none_or(|one| one.value == host.moves_in));
    same("moves_out", at(&b.moves_out), b.moves_out.as_ref().is_none_or(|one| one.value == host.moves_out));
    let in_a = a.bandwidth.as_ref().map(|rate| rate.value);
    same("bandwidth", at(&b.bandwidth), b.bandwidth.as_ref().is_none_or(|one| Some(one.value) == in_a));
}

fn at<'t, T>(spot: &Option<Spot<'t, T>>) -> Option<&'t str> {
    spot.as_ref().map(|spot| spot.at)
}

fn vms<'t>(
    task: &mut Task,
    a: &Listing<'t>,
    b: &Listing<'t>,
    names: &Names<'_>,
    [file_a, file_b]: [&str; 2],
    report: &mut Report<'t>,
) {
    unique("VM", b.vms.iter().map(|vm| &vm.name), report);
    let mut there = vec![false; task.vms.len()];
    for listed in &b.vms {
        let name = &listed.name.value;
        let Some(vm) = names.vms.get(name) else {
            let remedy = "VMs neither come nor go on the way; add it there with its host and size, or take it out here";
            report.at(listed.name.at, format!("VM `{name}` is not in {file_a}: {remedy}"));
            continue;
        };
        there[vm as usize] = true;
        let in_a = &a.vms[vm as usize];
        if let Some(to) = names.hosts.find(&listed.host, report) {
            let vm = &mut task.vms[vm as usize];
            vm.to = to;
            if let Some(stays) = in_a.stays.as_ref().filter(|stays| stays.value && vm.from != to) {
                let host = &listed.host.value;
                let remedy = "give it the host that it is on, or take `stays` away in A";
                let message = format!("VM `{name}` stays ({{other}}), but is to be on `{host}` here: {remedy}");
                report.with(listed.host.at, stays.at, message);
            }
        }
        same_vm(in_a, listed, task, vm as usize, names, report);
    }
    for (in_a, _) in a.vms.iter().zip(there).filter(|(_, there)| !there) {
        let remedy = "VMs neither come nor go on the way; add it there with the host where it is to be";
        report.at(in_a.name.at, format!("VM `{}` is not in {file_b}: {remedy}", in_a.name.value));
    }
}

fn same_vm<'t>(a: &ListedVm<'t>, b: &ListedVm<'t>, task: &Task, v: usize, names: &Names<'_>, report: &mut Report<'t>) {
    let vm = &task.vms[v];
    let whose = || format!("VM `{}`", a.name.value);
    if let Some(size) = &b.size
        && names.amounts(&size.value, report) != vm.size
    {
        differs("size", &whose(), size.at, a.name.at, report);
    }
    if let Some(stays) = b.stays.as_ref().filter(|stays| stays.value != vm.stays) {
        differs("stays", &whose(), stays.at, a.name.at, report);
    }
    let figures = [
        ("bytes", &b.copy.bytes, Some(vm.copy.bytes)),
        ("hot_bytes", &b.copy.hot_bytes, Some(vm.copy.hot_bytes)),
        ("hot_rate", &b.copy.hot_rate, Some(vm.copy.hot_rate)),
        ("cold_rate", &b.copy.cold_rate, Some(vm.copy.cold_rate)),
        ("seconds", &b.copy.takes_ms, vm.copy.takes_ms),
    ];
    for (key, here, there) in figures {
        if let Some(here) = here.as_ref().filter(|here| Some(here.value) != there) {
            differs(key, &whose(), here.at, a.name.at, report);
        }
    }
}

/// Resources, rules and links, if B lists them: the same as in A.
fn lists<'t>(task: &Task, a: &Listing<'t>, b: &Listing<'t>, names: &Names<'_>, report: &mut Report<'t>) {
    let mut whole = |key: &str, here: &'t str, there: Option<&'t str>| {
        let remedy = format!("leave `{key}` out here, or make both the same");
        match there {
            Some(there) => report.with(here, there, format!("`{key}` is not as in A ({{other}}): {remedy}")),
            None => report.at(here, format!("`{key}` is not as in A, which has none: {remedy}")),
        }
    };
    if let Some(listed) = &b.resources {
        let same = listed.value.len() == task.resources.len()
            && listed.value.iter().all(|one| {
                let at = names.resources.get(&one.name.value);
                at.is_some_and(|at| task.resources[at as usize].holds == one.holds)
            });
        if !same {
            whole("resources", listed.at, at(&a.resources));
        }
    }
    // What is not as in A is one problem, whatever is wrong in it.
    let mut unheard = Report::new(Vec::new());
    if let Some(listed) = &b.rules
        && (from_a::rules(&listed.value, names, &mut unheard) != task.rules || !unheard.is_empty())
    {
        whole("rules", listed.at, at(&a.rules));
    }
    if let Some(listed) = &b.links {
        let cards = a.hosts.iter().filter(|host| host.bandwidth.is_some()).count();
        let links: Vec<_> = listed.value.iter().map(|one| from_a::link(one, names, &mut unheard)).collect();
        if task.links.get(cards..).unwrap_or_default() != links || !unheard.is_empty() {
            whole("links", listed.at, at(&a.links));
        }
    }
}
