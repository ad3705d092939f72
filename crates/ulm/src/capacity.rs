//! `ulm capacity` and `ulm best-host`: what there is room for, and where a new VM is best started.

use ulm_control::questions::{self, NewVm};
use ulm_decide::{Backing, BestHost, Capacity};
use ulm_model::Bytes;
use ulm_web::client::Client;

use crate::cli::{Backing as BackingArgs, BestHost as BestHostArgs, Capacity as CapacityArgs, Common};
use crate::exit::Outcome;
use crate::figures::percent;
use crate::print::{self, BOLD, Side, styled};

/// Units of sizes on the command line.
const UNITS: [(&str, u64); 5] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// A size with its unit, e.g. `8GiB`.
pub fn size(text: &str) -> Result<Bytes, String> {
    let wrong = || "give a whole number with its unit (B, KiB, MiB, GiB, TiB), e.g. 8GiB".to_owned();
    let digits = text.trim().find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.trim().split_at(digits);
    let (_, factor) = UNITS.into_iter().find(|(name, _)| *name == unit.trim()).ok_or_else(wrong)?;
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    bytes.map(Bytes).ok_or_else(wrong)
}

/// Tells what there is room for.
pub async fn run(common: &Common, client: &Client, args: CapacityArgs) -> Outcome {
    let backing = Backing::from(args.backing);
    let found = match args.on.files()? {
        Some((input, policy)) => questions::capacity(&input, &policy, backing)?,
        None => client.capacity(backing).await?,
    };
    if common.json {
        return print::json(&found);
    }
    anstream::println!("{}", spoken(&found, backing));
    Ok(())
}

impl From<BackingArgs> for Backing {
    fn from(BackingArgs { cell, pages }: BackingArgs) -> Self {
        Backing { cell, pages }
    }
}

/// Where the memory of new VMs must be, if not anywhere.
fn lies(backing: Backing) -> Option<String> {
    let cell = backing.cell.then(|| "in one NUMA cell of a host".to_owned());
    let pages = backing.pages.map(|size| format!("in pages of {size}"));
    let both: Vec<String> = pages.into_iter().chain(cell).collect();
    (!both.is_empty()).then(|| both.join(" "))
}

fn spoken(found: &Capacity, backing: Backing) -> String {
    let largest = match &found.largest {
        Some(vm) => format!("{}, with up to {} virtual CPUs, on {}", vm.memory, vm.vcpus, vm.host),
        None => "none: no host has room".to_owned(),
    };
    let moves = |moves| match moves {
        0 => String::new(),
        1 => ", after 1 move".to_owned(),
        moves => format!(", after {moves} moves"),
    };
    let lies = lies(backing).map(|lies| format!("{} {lies}", styled(BOLD, "Memory of new VMs:")));
    let mut lines = Vec::from_iter(lies);
    lines.extend([
        format!("{} {largest}", styled(BOLD, "Largest VM that can start now:")),
        format!("{} {}", styled(BOLD, "Hosts that may fail at once:"), found.may_fail),
        format!("{} {}{}", styled(BOLD, "Hosts that may sleep:"), found.may_sleep, moves(found.moves_to_sleep)),
    ]);
    if !found.shapes.is_empty() {
        let rows = found.shapes.iter().map(|shape| {
            vec![
                shape.vcpus.to_string(),
                shape.memory.to_string(),
                shape.vms.to_string(),
                shape.now.to_string(),
                shape.after.to_string(),
                shape.moves.to_string(),
            ]
        });
        let headings = ["VCPUS", "MEMORY", "THERE ARE", "MORE NOW", "AFTER MOVES", "MOVES"];
        lines.push(String::new());
        lines.push(print::table(&headings.map(|heading| (heading, Side::Right)), rows.collect()));
        lines.push("Each line by itself: what one kind takes is not there for another.".to_owned());
    }
    lines.join("\n")
}

/// Tells the best host for a new VM; ends with [`Exit::Refused`](crate::exit::Exit::Refused) when there is none.
pub async fn best_host(common: &Common, client: &Client, args: BestHostArgs) -> Outcome {
    let new = NewVm { cpu: args.cpu, ram: args.ram, labels: args.labels, backing: args.backing.into() };
    let hosts = match args.on.files()? {
        Some((input, policy)) => questions::best_host(&input, &policy, &new)?,
        None => client.best_host(&new).await?,
    };
    if common.json {
        return print::json(&hosts);
    }
    match hosts.first() {
        Some(best) if args.quiet => anstream::println!("{}", best.host),
        _ => anstream::println!("{}", ranked(&hosts)),
    }
    Ok(())
}

fn ranked(hosts: &[BestHost]) -> String {
    let row =
        |host: &BestHost| vec![host.host.to_string(), percent(host.memory), percent(host.vcpus), percent(host.cpu_use)];
    let headings = [
        ("HOST", Side::Left),
        ("MEMORY PROMISED", Side::Right),
        ("VCPUS PROMISED", Side::Right),
        ("CPU IN USE", Side::Right),
    ];
    let table = print::table(&headings, hosts.iter().map(row).collect());
    format!("{table}\nThe best first. Promised: of what the policy lets be promised, with the new VM; in use: now.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit() {
        assert_eq!(size("8GiB"), Ok(Bytes::gib(8)));
        assert_eq!(size(" 512 MiB "), Ok(Bytes::mib(512)));
        for wrong in ["8", "GiB", "8GB", "-1GiB", "1.5GiB", "99999999999TiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
