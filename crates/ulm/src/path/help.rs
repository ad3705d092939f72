//! What would make an impossible target possible, in sentences.

use ulm_model::Task;
use ulm_path::{Conflict, Help, Repair, RepairKind};

use crate::path::price::Price;
use crate::path::words::{counted, named};

/// What conflicts and what would help; empty when nothing was found.
pub fn sentences(task: &Task, help: &Help, price: &Price) -> String {
    let mut lines = Vec::new();
    lines.extend(conflict(task, &help.conflict));
    if !help.repairs.is_empty() {
        lines.push("What would make it possible (each was planned):".to_owned());
        lines.extend(help.repairs.iter().map(|repair| format!("  {}", spoken(task, repair, price))));
    }
    lines.join("\n")
}

fn conflict(task: &Task, conflict: &Conflict) -> Option<String> {
    let hosts = || named(conflict.hosts.iter().map(|host| task.hosts[*host as usize].name.as_str()));
    let rules = || named(conflict.rules.iter().map(|rule| task.rules[*rule as usize].name.as_str()));
    let vms = || named(conflict.moves.iter().map(|vm| task.vms[*vm as usize].name.as_str()));
    let mut parts = Vec::new();
    if !conflict.moves.is_empty() {
        parts.push(format!("the wanted moves of {}", vms()));
    }
    if !conflict.hosts.is_empty() {
        parts.push(format!("the capacity of {}", hosts()));
    }
    if !conflict.rules.is_empty() {
        parts.push(format!("the rules {}", rules()));
    }
    let last = parts.pop()?;
    let all = if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) };
    Some(format!("What conflicts, and nothing of it can be left out: {all}."))
}

fn spoken(task: &Task, repair: &Repair, price: &Price) -> String {
    let rule = |rule: &u32| &task.rules[*rule as usize].name;
    let what = match &repair.kind {
        RepairKind::LiftWish { rule: number } => format!("lift the wish {}", rule(number)),
        RepairKind::LiftRule { rule: number } => format!("lift the rule {}", rule(number)),
        RepairKind::Leave { vms } => {
            let vms = named(vms.iter().map(|vm| task.vms[*vm as usize].name.as_str()));
            format!("leave {vms} where they are")
        }
        RepairKind::Stop { vm } => {
            let vm = &task.vms[*vm as usize];
            let to = &task.hosts[vm.to as usize].name;
            format!("stop {} and start it on {to} when all others are at their places", vm.name)
        }
        RepairKind::AddHost { like } => {
            format!("add one host like {} for the time of the moves", task.hosts[*like as usize].name)
        }
    };
    format!("{what}: {}, {}", counted(u64::from(repair.moves), "move"), price.spoken(repair.cost))
}
