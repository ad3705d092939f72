//! `ulm policy diff`: what changes with another policy.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use ulm_decide::{Input, Past, decide, still};
use ulm_model::{Acting, Reason, Snapshot, Time};
use ulm_policy::{GivenMove, Policy};

use super::settings::{self, Difference};
use super::verdict::told;
use crate::cli::{self, Common};
use crate::exit::Outcome;
use crate::{export, print};

/// What is decided otherwise on one snapshot.
#[derive(Debug, Serialize)]
struct Effect {
    snapshot: String,
    taken_at: Time,
    hosts: usize,
    vms: usize,
    /// The one reason that tells most, by the old policy and by the new one.
    old: Reason,
    new: Reason,
    /// Moves that only the old policy makes.
    less: Vec<Move>,
    /// Moves that only the new policy makes.
    more: Vec<Move>,
    /// Moves that both make.
    same: usize,
    /// VMs that neither policy moves, and that stay for another reason.
    stay: Vec<Stay>,
}

#[derive(Debug, Serialize)]
struct Move {
    vm: String,
    from: String,
    to: String,
    because: Reason,
}

/// VMs whose most telling reason to stay has changed from one code to another.
#[derive(Debug, Serialize)]
struct Stay {
    vms: usize,
    /// The first of them, by id; the reasons are its.
    example: String,
    old: Reason,
    new: Reason,
}

/// Compares both policies, and what they decide on every snapshot.
pub fn run(common: &Common, args: &cli::PolicyDiff) -> Outcome {
    let (old, new) = (super::read(&args.old)?, super::read(&args.new)?);
    let differences = settings::differences(&old, &new);
    let mut effects = Vec::new();
    for file in &args.on {
        effects.push(effect(file, export::read(file)?, &old, &new));
    }
    if common.json {
        return print::json(&serde_json::json!({ "policy": differences, "on": effects }));
    }
    let mut text = String::new();
    for difference in &differences {
        push(&mut text, &line(difference));
    }
    if differences.is_empty() {
        push(&mut text, "The policies say the same.");
    }
    for effect in &effects {
        push(&mut text, &format!("\n{effect}"));
    }
    if effects.len() > 1 {
        push(&mut text, &format!("\nIn all: {}", Sum::of(&effects)));
    }
    anstream::print!("{text}");
    Ok(())
}

fn push(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes everything");
}

fn line(difference: &Difference) -> String {
    let Difference { what, name, old, new } = difference;
    let named = match what.starts_with('[') {
        true => format!("{what} {name}"),
        false => format!("{what} `{name}`"),
    };
    match (old, new) {
        (Some(_), None) => print::styled(print::BAD, format!("- {named}")),
        (None, _) => print::styled(print::GOOD, format!("+ {named}")),
        (Some(old), Some(new)) if old == new => print::styled(print::WARM, format!("~ {named}")),
        (Some(old), Some(new)) => print::styled(print::WARM, format!("~ {named}: {old} → {new}")),
    }
}

fn effect(file: &Path, snapshot: Snapshot, old: &Policy, new: &Policy) -> Effect {
    let now = snapshot.taken_at;
    let input = Input::new(snapshot, now, Acting::On, Past::default());
    let decided = |policy: &Policy| {
        let decision = decide(&input, policy);
        let moves: Vec<(GivenMove, Reason)> = decision.plan.steps.iter().map(told).collect();
        (moves, decision.report.summary)
    };
    let ((before, was), (after, is)) = (decided(old), decided(new));
    let only = |these: &[(GivenMove, Reason)], those: &[(GivenMove, Reason)]| {
        let alone = these.iter().filter(|(made, _)| !those.iter().any(|(other, _)| made == other)).cloned();
        let told = alone.map(|(GivenMove { vm, from, to }, because)| Move { vm, from, to, because });
        told.collect::<Vec<_>>()
    };
    let (less, more) = (only(&before, &after), only(&after, &before));
    let moving = |vm: &str| before.iter().chain(&after).any(|(made, _)| made.vm == vm);
    let mut stay: BTreeMap<[&'static str; 2], Stay> = BTreeMap::new();
    for ((vm, old), new) in input.snapshot.vms.iter().zip(still(&input, old)).zip(still(&input, new)) {
        if old.code() != new.code() && !moving(&vm.name) {
            let codes = [old.code(), new.code()];
            let entry = stay.entry(codes).or_insert_with(|| Stay { vms: 0, example: vm.name.clone(), old, new });
            entry.vms += 1;
        }
    }
    let mut stay: Vec<Stay> = stay.into_values().collect();
    stay.sort_by_key(|stay| std::cmp::Reverse(stay.vms));
    Effect {
        snapshot: file.display().to_string(),
        taken_at: now,
        hosts: input.snapshot.hosts.len(),
        vms: input.snapshot.vms.len(),
        old: was,
        new: is,
        same: before.len() - less.len(),
        less,
        more,
        stay,
    }
}

impl std::fmt::Display for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Effect { snapshot, taken_at, hosts, vms, .. } = self;
        writeln!(f, "On {snapshot} of {taken_at} ({hosts} hosts, {vms} VMs):")?;
        writeln!(f, "  old: {}", self.old)?;
        writeln!(f, "  new: {}", self.new)?;
        let mut moves = |sign: char, style, moves: &[Move]| {
            moves.iter().try_for_each(|Move { vm, from, to, because }| {
                writeln!(f, "{}", print::styled(style, format!("{sign} move {vm} from {from} to {to}: {because}")))
            })
        };
        moves('-', print::BAD, &self.less)?;
        moves('+', print::GOOD, &self.more)?;
        for Stay { vms, example, old, new } in &self.stay {
            let who = match vms {
                1 => example.clone(),
                _ => format!("{vms} VMs (e.g. {example})"),
            };
            writeln!(f, "{}", print::styled(print::WARM, format!("~ {who}: {old} → {new}")))?;
        }
        write!(f, "{}", Sum::of(std::slice::from_ref(self)))
    }
}

/// What changes, in one line.
struct Sum {
    more: usize,
    less: usize,
    same: usize,
    stay: usize,
}

impl Sum {
    fn of(effects: &[Effect]) -> Self {
        let sum = |of: fn(&Effect) -> usize| effects.iter().map(of).sum();
        Sum {
            more: sum(|effect| effect.more.len()),
            less: sum(|effect| effect.less.len()),
            same: sum(|effect| effect.same),
            stay: sum(|effect| effect.stay.iter().map(|stay| stay.vms).sum()),
        }
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Sum { more, less, same, stay } = self;
        let some = |count: &usize, one: &str, many: &str| match count {
            1 => format!("1 {one}"),
            _ => format!("{count} {many}"),
        };
        let more = some(more, "move more", "moves more");
        let stay = some(stay, "VM stays for another reason", "VMs stay for another reason");
        write!(f, "{more}, {less} less, {same} the same; {stay}.")
    }
}
