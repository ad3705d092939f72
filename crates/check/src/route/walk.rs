//! Whether each step may be: the VM is there, may go there, and the step waits for what makes it possible.

use std::collections::HashMap;

use ulm_model::{Power, RouteAction, RouteStep};

use super::RouteFault;
use crate::order::Order;
use crate::terms::{Bar, Terms};

/// A step must wait for another one, else there is this fault.
struct Need {
    step: u32,
    other: u32,
    otherwise: RouteFault,
}

/// What the steps so far have done, each when it has ended.
struct Walk<'t> {
    terms: &'t Terms<'t>,
    /// The last move of each VM that has moved.
    last: HashMap<u32, u32>,
    /// Where it has led.
    at: HashMap<u32, u32>,
    /// The first move of each VM that has moved.
    first: HashMap<u32, u32>,
    /// The steps that switched hosts on or off.
    switched: HashMap<u32, u32>,
    /// For each host its VMs in A.
    homes: Vec<Vec<u32>>,
    needs: Vec<Need>,
}

pub(super) fn first(terms: &Terms<'_>, steps: &[RouteStep], order: &Order) -> Option<(u32, RouteFault)> {
    let mut homes = vec![Vec::new(); terms.task.hosts.len()];
    for (v, vm) in terms.task.vms.iter().enumerate() {
        homes[vm.from as usize].push(v as u32);
    }
    let (last, at, first, switched) = Default::default();
    let mut walk = Walk { terms, last, at, first, switched, homes, needs: Vec::new() };
    let wrong = steps.iter().enumerate().find_map(|(s, step)| {
        let fault = match step.action {
            RouteAction::Move { vm, from, to, .. } => walk.moves(s as u32, vm, from, to),
            RouteAction::PowerOn { host } => walk.switches_on(s as u32, host),
            RouteAction::PowerOff { host } => walk.switches_off(s as u32, host),
        };
        Some((s as u32, fault.err()?))
    });
    // What a step needs is one of its own faults; those of lower steps come first.
    let pairs: Vec<(u32, u32)> = walk.needs.iter().map(|need| (need.step, need.other)).collect();
    let unmet = order.waits(&pairs).into_iter().zip(walk.needs).find(|(waits, _)| !waits);
    let unmet = unmet.map(|(_, need)| (need.step, need.otherwise));
    match (unmet, wrong) {
        (Some(unmet), Some(wrong)) if wrong.0 < unmet.0 => Some(wrong),
        (Some(unmet), _) => Some(unmet),
        (None, wrong) => wrong,
    }
}

impl Walk<'_> {
    fn moves(&mut self, step: u32, vm: u32, from: u32, to: u32) -> Result<(), RouteFault> {
        let terms = self.terms;
        let (name, host) = (|| terms.vm(vm).to_owned(), |host: u32| terms.host(host).to_owned());
        let really = self.at.get(&vm).copied().unwrap_or(terms.task.vms[vm as usize].from);
        if really != from {
            return Err(RouteFault::WrongSource { step, vm: name(), from: host(from), really: host(really) });
        }
        if from == to {
            return Err(RouteFault::SameHost { step, vm: name(), host: host(to) });
        }
        if terms.task.vms[vm as usize].stays {
            return Err(RouteFault::Stays { step, vm: name() });
        }
        match terms.barred(vm, from, to) {
            None => {}
            Some(Bar::TakesNothing) => return Err(RouteFault::TakesNothing { step, vm: name(), host: host(to) }),
            Some(Bar::Off) => return Err(RouteFault::Off { step, vm: name(), host: host(to) }),
            Some(Bar::GoesOff) => return Err(RouteFault::GoesOff { step, vm: name(), host: host(to) }),
            Some(Bar::Rule(rule)) => {
                let rule = terms.rule(rule).to_owned();
                return Err(RouteFault::Forbidden { step, vm: name(), from: host(from), to: host(to), rule });
            }
        }
        if let Power::SwitchOn { .. } = terms.task.hosts[to as usize].power {
            let otherwise = RouteFault::NotYetOn { step, vm: name(), host: host(to) };
            match self.switched.get(&to) {
                Some(other) => self.needs.push(Need { step, other: *other, otherwise }),
                None => return Err(otherwise),
            }
        }
        if let Some(other) = self.last.insert(vm, step) {
            self.needs.push(Need { step, other, otherwise: RouteFault::NoChain { step, other, vm: name() } });
        }
        self.at.insert(vm, to);
        self.first.entry(vm).or_insert(step);
        Ok(())
    }

    fn switches_on(&mut self, step: u32, host: u32) -> Result<(), RouteFault> {
        let asked = matches!(self.terms.task.hosts[host as usize].power, Power::SwitchOn { .. });
        self.switches(step, host, asked)
    }

    fn switches_off(&mut self, step: u32, host: u32) -> Result<(), RouteFault> {
        let asked = matches!(self.terms.task.hosts[host as usize].power, Power::SwitchOff { .. });
        self.switches(step, host, asked)?;
        // Nothing goes to such a host, so whoever was ever there was there in A, and has gone with his first move.
        for vm in &self.homes[host as usize] {
            let name = |host: u32| self.terms.host(host).to_owned();
            let otherwise = RouteFault::NotEmpty { step, host: name(host), vm: self.terms.vm(*vm).to_owned() };
            match self.first.get(vm) {
                Some(other) => self.needs.push(Need { step, other: *other, otherwise }),
                None => return Err(otherwise),
            }
        }
        Ok(())
    }

    fn switches(&mut self, step: u32, host: u32, asked: bool) -> Result<(), RouteFault> {
        if !asked || self.switched.insert(host, step).is_some() {
            return Err(RouteFault::Switch { step, host: self.terms.host(host).to_owned() });
        }
        Ok(())
    }
}
