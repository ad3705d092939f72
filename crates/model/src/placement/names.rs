//! Names of hosts, VMs and resources, looked up; an unknown one is reported with the nearest that there is.

use std::collections::HashMap;

use super::json::{Name, Spot};
use super::listing::{Amounts, ListedVms, Listing};
use super::problem::{Report, nearest};

/// Places in a task's lists by name.
#[derive(Default)]
pub(crate) struct Names<'l> {
    pub hosts: Index<'l>,
    pub vms: Index<'l>,
    pub resources: Index<'l>,
}

/// Names of one kind of thing.
pub(crate) struct Index<'l> {
    what: &'static str,
    remedy: &'static str,
    names: Vec<&'l str>,
    places: HashMap<&'l str, u32>,
}

impl Default for Index<'_> {
    fn default() -> Self {
        Index { what: "thing", remedy: "list it in A", names: Vec::new(), places: HashMap::new() }
    }
}

impl<'l> Index<'l> {
    fn new(what: &'static str, remedy: &'static str) -> Self {
        Index { what, remedy, ..Index::default() }
    }

    /// Of names that are known to be unique.
    pub fn of(what: &'static str, remedy: &'static str, names: impl Iterator<Item = &'l str>) -> Self {
        let mut index = Index::new(what, remedy);
        index.names.extend(names);
        index.places.extend(index.names.iter().enumerate().map(|(place, name)| (*name, place as u32)));
        index
    }

    fn add<'t>(&mut self, name: &'l Name<'t>, first: Option<&'t str>, report: &mut Report<'t>) {
        let place = self.names.len() as u32;
        self.names.push(&name.value);
        if self.places.insert(&name.value, place).is_some() {
            twice(self.what, name, first.unwrap_or(name.at), report);
        }
    }

    /// The place of a name, if it is known.
    pub fn get(&self, name: &str) -> Option<u32> {
        self.places.get(name).copied()
    }

    pub fn names(&self) -> &[&'l str] {
        &self.names
    }

    /// The place of a name; an unknown one is reported. The empty name stands for one that could not be read.
    pub fn find<'t>(&self, name: &Name<'t>, report: &mut Report<'t>) -> Option<u32> {
        let place = self.get(&name.value);
        if place.is_none() && !name.value.is_empty() {
            let near = if report.may_hint() { nearest(&name.value, self.names.iter().copied()) } else { None };
            let hint = near.map_or(String::new(), |near| format!("did you mean `{near}`? Otherwise "));
            report.at(name.at, format!("there is no {} `{}`: {hint}{}", self.what, name.value, self.remedy));
        }
        place
    }

    pub fn find_all<'t>(&self, names: &[Name<'t>], report: &mut Report<'t>) -> Vec<u32> {
        names.iter().filter_map(|name| self.find(name, report)).collect()
    }
}

fn twice<'t>(what: &str, name: &Name<'t>, first: &'t str, report: &mut Report<'t>) {
    let message = format!("{what} `{}` is there already, at {{other}}: names are unique", name.value);
    report.with(name.at, first, message);
}

/// Reports names that are there twice, with both lines.
pub(crate) fn unique<'l, 't: 'l>(what: &str, names: impl Iterator<Item = &'l Name<'t>>, report: &mut Report<'t>) {
    let mut seen: HashMap<&str, &'t str> = HashMap::new();
    for name in names {
        match seen.get(name.value.as_ref()) {
            Some(first) => twice(what, name, first, report),
            None => {
                seen.insert(&name.value, name.at);
            }
        }
    }
}

impl<'l> Names<'l> {
    /// Those of A.
    pub fn of<'t>(a: &'l Listing<'t>, report: &mut Report<'t>) -> Self {
        let mut names = Names {
            hosts: Index::new("host", "list it under `hosts` in A"),
            vms: Index::new("VM", "list it under `vms` in A"),
            resources: Index::new("resource", "list it under `resources` in A"),
        };
        for host in &a.hosts {
            let first = names.hosts.get(&host.name.value).map(|at| a.hosts[at as usize].name.at);
            names.hosts.add(&host.name, first, report);
        }
        for vm in &a.vms {
            let first = names.vms.get(&vm.name.value).map(|at| a.vms[at as usize].name.at);
            names.vms.add(&vm.name, first, report);
        }
        match &a.resources {
            Some(Spot { value, .. }) => {
                for resource in value {
                    let first = names.resources.get(&resource.name.value).map(|at| value[at as usize].name.at);
                    names.resources.add(&resource.name, first, report);
                }
            }
            None => names.gather(a, report),
        }
        names
    }

    /// The resources that occur: hosts' first. One that VMs ask for and no host has, or the other way round and spelt almost
    /// like another, is taken for a slip.
    fn gather<'t>(&mut self, a: &'l Listing<'t>, report: &mut Report<'t>) {
        let had = a.hosts.iter().filter_map(|host| host.capacity.as_ref()).flat_map(|spot| &spot.value);
        for (name, _) in had {
            if self.resources.get(&name.value).is_none() {
                self.resources.add(name, None, report);
            }
        }
        let mut asked = vec![false; self.resources.names.len()];
        for (name, _) in a.vms.iter().filter_map(|vm| vm.size.as_ref()).flat_map(|spot| &spot.value) {
            match self.resources.get(&name.value) {
                Some(at) => asked[at as usize] = true,
                None => {
                    let near = nearest(&name.value, self.resources.names.iter().copied());
                    let hint = near.map_or(String::new(), |near| format!("did you mean `{near}`? Otherwise "));
                    let remedy = "give hosts a capacity of it, or list it under `resources`";
                    report.at(name.at, format!("no host has `{}`: {hint}{remedy}", name.value));
                    self.resources.add(name, None, report);
                    asked.push(true);
                }
            }
        }
        let slip = |at: usize| {
            let word = self.resources.names[at];
            let others = self.resources.names.iter().enumerate().filter(|(other, _)| asked[*other]);
            let near =
                others.map(|(_, name)| *name).find(|near| super::problem::distance(word, near) <= word.len() / 4);
            near.filter(|_| !asked[at])
        };
        let slips: Vec<_> = (0..asked.len()).filter_map(|at| Some((self.resources.names[at], slip(at)?))).collect();
        for (word, near) in slips {
            let had = a.hosts.iter().filter_map(|host| host.capacity.as_ref()).flat_map(|spot| &spot.value);
            for (name, _) in had.filter(|(name, _)| name.value == word) {
                let remedy = "did you mean it? Otherwise list all resources under `resources`";
                report.at(name.at, format!("no VM asks for `{word}`, but some for `{near}`: {remedy}"));
            }
        }
    }

    /// Amounts in the order of the resources; what is left out is 0.
    pub fn amounts<'t>(&self, amounts: &Amounts<'t>, report: &mut Report<'t>) -> Vec<u64> {
        let mut all = vec![0; self.resources.names.len()];
        for (name, amount) in amounts {
            if let Some(at) = self.resources.find(name, report) {
                all[at as usize] = *amount;
            }
        }
        all
    }

    /// The places of VMs.
    pub fn vms<'t>(&self, vms: &ListedVms<'t>, report: &mut Report<'t>) -> Vec<u32> {
        match vms {
            ListedVms::All => (0..self.vms.names.len() as u32).collect(),
            ListedVms::Named(names) => self.vms.find_all(names, report),
        }
    }
}
