//! What the rules mean, word by word, slowly, and with nothing of the room's own.

use std::collections::BTreeSet;

use ulm_model::*;

use crate::world::{Then, World};

mod answers;
mod room;
mod rules;
mod spare;

/// Whether a text fits a pattern.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|n| fits(rest, &text[n..])),
        Some((sign, rest)) => {
            text.split_first().is_some_and(|(t, tail)| (sign == t || *sign == b'?') && fits(rest, tail))
        }
    }
}

fn some_fits(patterns: &[String], texts: &[&str]) -> bool {
    patterns.is_empty() || patterns.iter().any(|p| texts.iter().any(|text| fits(p.as_bytes(), text.as_bytes())))
}

pub fn vm_is_selected(selector: &VmSelector, vm: &Vm) -> bool {
    let id = vm.id.0.to_string();
    let tags: Vec<&str> = vm.tags.iter().map(String::as_str).collect();
    let given = !(selector.name.is_empty() && selector.tag.is_empty());
    given && some_fits(&selector.name, &[&vm.name, &id]) && some_fits(&selector.tag, &tags)
}

pub fn host_is_selected(selector: &HostSelector, host: &Host) -> bool {
    let tags: Vec<&str> = host.tags.iter().map(String::as_str).collect();
    let given = !(selector.name.is_empty() && selector.tag.is_empty());
    given && some_fits(&selector.name, &[&host.name.0]) && some_fits(&selector.tag, &tags)
}

fn value_of(tags: &BTreeSet<String>, key: &str) -> Option<String> {
    let begin = format!("{key}=");
    tags.iter().find(|tag| tag.starts_with(&begin)).map(|tag| tag[begin.len()..].to_owned())
}

fn part(share: Share, whole: u64) -> u64 {
    (u128::from(whole) * u128::from(share.0) / 10_000) as u64
}

impl World {
    fn host(&self, ix: HostIx) -> &Host {
        &self.snapshot.hosts[ix.0 as usize]
    }
    fn vm(&self, ix: VmIx) -> &Vm {
        &self.snapshot.vms[ix.0 as usize]
    }
    fn all_hosts(&self) -> impl Iterator<Item = HostIx> + use<> {
        (0..self.snapshot.hosts.len() as u32).map(HostIx)
    }
    fn all_vms(&self) -> impl Iterator<Item = VmIx> + use<> {
        (0..self.snapshot.vms.len() as u32).map(VmIx)
    }
    fn rules_of_vm(&self, vm: VmIx) -> impl Iterator<Item = &Rule> {
        self.rulebook.rules.iter().filter(move |rule| vm_is_selected(&rule.vms, self.vm(vm)))
    }
    fn rules_of_host(&self, host: HostIx) -> impl Iterator<Item = &Rule> {
        self.rulebook.rules.iter().filter(move |rule| host_is_selected(&rule.hosts, self.host(host)))
    }
    fn members(&self, rule: &Rule) -> Vec<VmIx> {
        self.all_vms().filter(|vm| vm_is_selected(&rule.vms, self.vm(*vm))).collect()
    }

    /// Where the VM counted in the snapshot.
    fn places_before(&self, vm: VmIx) -> Vec<HostIx> {
        let mut places = vec![self.vm(vm).host];
        places.extend(self.snapshot.in_flight.iter().filter(|flight| flight.vm == vm).filter_map(|flight| flight.to));
        places
    }
    /// Where it counts now; the last one is where it will be.
    fn places(&self, vm: VmIx) -> Vec<HostIx> {
        match self.since.iter().find(|since| since.vm == vm) {
            None => self.places_before(vm),
            Some(since) => match since.then {
                Then::Runs => vec![self.vm(vm).host, since.to],
                Then::Ended => vec![since.to],
                Then::Failed => vec![self.vm(vm).host],
            },
        }
    }
    fn destination(&self, vm: VmIx) -> HostIx {
        *self.places(vm).last().unwrap()
    }
    fn is_moving(&self, vm: VmIx) -> bool {
        self.snapshot.in_flight.iter().any(|flight| flight.vm == vm) || self.since.iter().any(|since| since.vm == vm)
    }
    /// Everything that has set out for the host.
    fn set_out_for(&self, host: HostIx) -> Vec<VmIx> {
        let in_flight = self.snapshot.in_flight.iter().filter(|flight| flight.to == Some(host)).map(|flight| flight.vm);
        in_flight.chain(self.since.iter().filter(|since| since.to == host).map(|since| since.vm)).collect()
    }

    fn domain(&self, level: &Level, host: HostIx) -> String {
        let own = self.host(host).name.0.clone();
        match level {
            Level::Host => own,
            Level::Label(key) => value_of(&self.host(host).tags, key).map_or(own, |value| format!("{key}={value}")),
        }
    }
}
