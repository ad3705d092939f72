//! Certificates: does one really prove that there is no route?
//!
//! Every proof here is about sequences of single moves: one item (a VM, or a group that moves as one) after the other, all else at
//! rest. That is enough, because every route can be run like that. Its steps wait only for earlier ones; so whoever runs them in
//! their order, each to its end before the next one begins (the steps of a group's hop, which all wait for the same, as one), passes
//! only through states that the route can reach; and the route is sane only if all of these are. While an item moves it is on both
//! hosts (of a group all members may be, since none of them waits for another), so a single move is legal when the gates allow
//! it and every limit is kept with the item on both. Hosts that are to be switched on may be on from the outset and those that are to
//! be switched off until the end: that allows more, and what is impossible then is impossible at all.

mod closed;
mod explored;
mod fault;
mod frozen;
mod items;
mod system;

pub use explored::MOST_STATES;
pub use fault::CertificateFault;

use ulm_model::{Breach, Certificate, End, Task};

use crate::end;
use crate::terms::Terms;
use items::Items;
use system::System;

/// Whether the certificate proves that no route leads from A to B; if not, why not. That there is none it may still be true.
pub fn check_certificate(task: &Task, certificate: &Certificate) -> Result<(), CertificateFault> {
    if let Some(flaw) = task.flaw() {
        return Err(CertificateFault::TaskFlawed { flaw });
    }
    match certificate {
        Certificate::Unsound { breach } => unsound(task, breach),
        Certificate::Frozen { from, vms } => frozen::check(&Items::of(&Terms::of(task)), *from, vms),
        Certificate::Closed { from, classes, states } => {
            let terms = Terms::of(task);
            let items = Items::of(&terms);
            closed::check(&System::of(&items, *from, classes)?, states)
        }
        Certificate::Explored { from, classes, states } => {
            let terms = Terms::of(task);
            let items = Items::of(&terms);
            explored::check(&System::of(&items, *from, classes)?, *states)
        }
    }
}

/// Whether B breaks what it is said to break.
fn unsound(task: &Task, breach: &Breach) -> Result<(), CertificateFault> {
    let known = |number: &u32, count: usize| (*number as usize) < count;
    let vm_is_known = |vm: &u32| known(vm, task.vms.len());
    let (is_known, what): (bool, &dyn Fn() -> String) = match breach {
        Breach::Capacity { host, resource } => {
            (known(host, task.hosts.len()) && known(resource, task.resources.len()), &|| {
                format!(
                    "the limit of {} on {}",
                    task.resources[*resource as usize].name, task.hosts[*host as usize].name
                )
            })
        }
        Breach::Rule { rule } => {
            (known(rule, task.rules.len()), &|| format!("rule {}", task.rules[*rule as usize].name))
        }
        Breach::Off { vm } | Breach::TakesNothing { vm } => {
            (vm_is_known(vm), &|| format!("anything by where {} is", task.vms[*vm as usize].name))
        }
    };
    if !is_known {
        return Err(CertificateFault::Unknown);
    }
    if end::is_so(task, breach) { Ok(()) } else { Err(CertificateFault::NotBroken { what: what() }) }
}

/// What people call an end.
fn name(end: End) -> &'static str {
    match end {
        End::A => "A",
        End::B => "B",
    }
}
