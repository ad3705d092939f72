//! `ulm status`.

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use ulm_control::view::{MoveStatus, Status, VmStatus};
use ulm_model::{Acting, Scope, Share, Time};
use ulm_web::client::Client;

use crate::cli::{Common, Status as Args};
use crate::exit::Outcome;
use crate::figures::with_age;
use crate::hosts;
use crate::print::{self, BAD, BOLD, DIM, GOOD, Side, WARM, styled};

/// Between two looks with `--watch`.
const AGAIN: Duration = Duration::from_secs(2);

/// Shows it, once or again and again.
pub async fn run(common: &Common, client: &Client, args: Args) -> Outcome {
    loop {
        let text = match (args.vms, common.json) {
            (true, true) => compact(args.watch, &client.vms().await?),
            (false, true) => compact(args.watch, &client.status().await?),
            (true, false) => {
                let now = client.status().await?.now;
                vms(&client.vms().await?, now)
            }
            (false, false) => glance(&client.status().await?),
        };
        if args.watch && !common.json && stdout().is_terminal() {
            anstream::print!("\x1b[H\x1b[2J");
        }
        anstream::println!("{text}");
        if !args.watch {
            return Ok(());
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// With `--watch` one line for each look, so that programs can tell them apart.
fn compact(watch: bool, value: &impl serde::Serialize) -> String {
    let text = if watch { serde_json::to_string(value) } else { serde_json::to_string_pretty(value) };
    text.expect("views always have a JSON form")
}

fn glance(status: &Status) -> String {
    let mut lines = vec![headline(status), policy(status)];
    for trouble in &status.troubles {
        lines.push(format!("{} {trouble}", styled(BAD, "trouble:")));
    }
    lines.push(String::new());
    if status.hosts.is_empty() {
        lines.push("No hosts yet. `ulm host add URI` takes one under care.".into());
    } else {
        lines.push(hosts::loads(&status.hosts, status.now));
    }
    let told =
        status.hosts.iter().flat_map(|host| host.because.iter().map(|reason| format!("{}: {reason}", host.name)));
    section(&mut lines, "Hosts that are not counted on", told.collect());
    section(&mut lines, "Moves", status.moves.iter().map(moving).collect());
    let vm_doubts = status.doubts.iter().filter(|doubt| !matches!(doubt.scope, Scope::Host(_)));
    section(&mut lines, "Data that is not believed", vm_doubts.map(|doubt| doubt.reason.to_string()).collect());
    section(&mut lines, "Last decision", status.because.iter().map(ToString::to_string).collect());
    lines.join("\n")
}

fn section(lines: &mut Vec<String>, heading: &str, items: Vec<String>) {
    if !items.is_empty() {
        lines.push(String::new());
        lines.push(styled(BOLD, heading));
        lines.extend(items.into_iter().map(|item| format!("  {item}")));
    }
}

fn headline(status: &Status) -> String {
    let acting = match status.acting {
        Acting::On => format!("acting {}", styled(GOOD, "on")),
        Acting::Off => format!("acting {} (`ulm enable` switches it on)", styled(WARM, "off")),
    };
    let round = status.round.map_or("no round of observation has ended yet".to_owned(), |round| {
        let age = status.now.since(round.at);
        format!("round {} {} ago took {:.0} ms", round.number, print::span(age), round.took.as_secs_f64() * 1000.0)
    });
    format!("ulm {}, {acting}, {round}", status.version)
}

fn policy(status: &Status) -> String {
    let ulm_control::view::PolicyStatus { file, digest, since, .. } = &status.policy;
    let from = file.as_ref().map_or_else(|| "the defaults".to_owned(), |file| file.to_string());
    format!("policy {} of {from}, in force since {}", digest.get(..12).unwrap_or(digest), print::local(*since))
}

/// One move in a line.
pub fn moving(it: &MoveStatus) -> String {
    let progress = it.progress.as_ref().and_then(crate::follow::copied);
    let progress = progress.map_or(String::new(), |part| format!(" {:.0} %", part * 100.0));
    let trouble = it.trouble.as_ref().map_or(String::new(), |trouble| format!(" {}", styled(BAD, trouble)));
    format!("{}  {}{progress}{trouble}  {}", it.key, crate::follow::phase(it.phase), styled(DIM, &it.because))
}

fn vms(vms: &[VmStatus], now: Time) -> String {
    if vms.is_empty() {
        return "No VMs are known. Either no host is under care (`ulm host list`), or none of them runs a VM.".into();
    }
    let rows = vms.iter().map(|vm| {
        let host = vm.moving_to.as_ref().map_or(vm.host.to_string(), |to| format!("{} -> {to}", vm.host));
        let tied = vm.fixtures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let state = serde_json::to_value(vm.state).ok().and_then(|state| state.as_str().map(str::to_owned));
        vec![
            vm.name.clone(),
            host,
            state.unwrap_or_default(),
            vm.vcpus.to_string(),
            with_age(vm.cpu_use, now, |used| used.to_string()),
            vm.memory.to_string(),
            with_age(vm.memory_use, now, |used| used.to_string()),
            with_age(vm.contention, now, |waited: Share| waited.to_string()),
            tied,
        ]
    });
    let headings = [
        ("VM", Side::Left),
        ("HOST", Side::Left),
        ("STATE", Side::Left),
        ("VCPUS", Side::Right),
        ("CPU", Side::Right),
        ("MEMORY", Side::Right),
        ("HELD", Side::Right),
        ("CONTENTION", Side::Right),
        ("TIED BY", Side::Left),
    ];
    print::table(&headings, rows.collect())
}
