//! `ulm sharing`: which pages VMs have in common, what hosts save by merging them, and what a plan would save.

use std::path::Path;

use ulm_control::questions;
use ulm_decide::{SharingOfGroup, SharingOfHost, SharingPlan, SharingReport};
use ulm_forecast::Samples;
use ulm_model::{Action, Bytes, Merging, Step, text};
use ulm_web::client::Client;

use crate::cli::{Common, Sharing as Args};
use crate::exit::{Exit, Failure, Outcome};
use crate::figures::percent;
use crate::print::{self, BOLD, Side, styled};

/// So many moves are told; `--json` has them all.
const MOVES: usize = 20;

/// Tells it.
pub async fn run(common: &Common, client: &Client, args: Args) -> Outcome {
    let samples = args.samples.as_deref().map(read).transpose()?;
    let found = match args.on.files()? {
        Some((input, policy)) => questions::sharing(&input, &policy, samples.as_ref())?,
        None => client.sharing(samples.as_ref()).await?,
    };
    if common.json {
        return print::json(&found);
    }
    anstream::println!("{}", spoken(&found));
    Ok(())
}

fn read(file: &Path) -> Outcome<Samples> {
    let wrong = |error| Failure::new(Exit::Usage, format!("{} cannot be read: {error}", file.display()));
    text::read(&crate::path::text(file)?).map_err(wrong)
}

fn spoken(found: &SharingReport) -> String {
    let mut parts = Vec::new();
    match found.groups.is_empty() {
        true => parts.push(
            "The policy has no sharing group ([[sharing]]): every VM counts with its full size, whatever hosts merge."
                .to_owned(),
        ),
        false => parts.push(groups(&found.groups)),
    }
    parts.push(hosts(&found.hosts));
    if !found.groups.is_empty() {
        parts.push(format!("{}\n{}", in_all(found), plan(found)));
    }
    parts.join("\n\n")
}

fn groups(groups: &[SharingOfGroup]) -> String {
    let row = |group: &SharingOfGroup| {
        vec![
            group.name.clone(),
            group.vms.to_string(),
            group.nodes.to_string(),
            group.hosts.to_string(),
            percent(group.trust.likely),
            percent(group.trust.sure),
            group.predicted.to_string(),
            group.counted_on.to_string(),
        ]
    };
    let figures = ["VMS", "NODES", "LEARNED FROM", "LIKELY", "SURE", "PREDICTED", "COUNTED ON"];
    let headings: Vec<(&str, Side)> =
        [("GROUP", Side::Left)].into_iter().chain(figures.map(|figure| (figure, Side::Right))).collect();
    let table = print::table(&headings, groups.iter().map(row).collect());
    format!(
        "{table}\nLearned from so many hosts. Likely, sure: parts of the weights. Counted on: sure, less the reserve."
    )
}

fn hosts(hosts: &[SharingOfHost]) -> String {
    let row = |host: &SharingOfHost| {
        let counted = host.counted.map_or_else(|| "-".to_owned(), |merging| merging.saved.to_string());
        let predicted: Bytes = host.predicted.iter().copied().sum();
        vec![host.name.to_string(), merges(host.counted), counted, predicted.to_string(), host.counted_on.to_string()]
    };
    let headings = [
        ("HOST", Side::Left),
        ("MERGES", Side::Left),
        ("IT COUNTS", Side::Right),
        ("PREDICTED", Side::Right),
        ("COUNTED ON", Side::Right),
    ];
    print::table(&headings, hosts.iter().map(row).collect())
}

fn merges(counted: Option<Merging>) -> String {
    match counted {
        None => "does not tell".to_owned(),
        Some(merging) if merging.full_scans < Merging::SCANS => {
            format!("not yet: {} of {} full scans", merging.full_scans, Merging::SCANS)
        }
        Some(merging) if merging.stopped => format!("no more: {} full scans and no further one", merging.full_scans),
        Some(merging) => format!("yes, {} full scans", merging.full_scans),
    }
}

fn in_all(found: &SharingReport) -> String {
    let counted: Bytes = found.hosts.iter().filter_map(|host| host.counted).map(|merging| merging.saved).sum();
    format!(
        "{} {} are predicted, {} may be counted on, hosts count {counted}. No placement can save more than {}.",
        styled(BOLD, "Now:"),
        found.predicted,
        found.counted_on,
        found.at_most,
    )
}

fn plan(found: &SharingReport) -> String {
    let SharingPlan { plan, sends, predicted, counted_on, left_out, held } = &found.plan;
    let heading = styled(BOLD, "With a plan:");
    let stay = match left_out.len() {
        0 => String::new(),
        vms => format!("\n{vms} VM(s) more would be wanted elsewhere, and there is no safe way; --json tells why."),
    };
    if let Some(reason) = held {
        return format!("{heading} nothing more: {reason}.{stay}");
    }
    let moves = plan.steps.len();
    let first = plan.steps.iter().take(MOVES).map(row).collect();
    let headings = [("VM", Side::Left), ("FROM", Side::Left), ("TO", Side::Left)];
    let table = print::table(&headings, first);
    let more = match moves.saturating_sub(MOVES) {
        0 => String::new(),
        more => format!("\nand {more} more, see --json"),
    };
    format!(
        "{heading} {predicted} predicted, {counted_on} to be counted on, after {moves} move(s) of {sends}:\n\n{table}{more}{stay}"
    )
}

fn row(step: &Step) -> Vec<String> {
    let Action::Move { vm_name, from, to, .. } = &step.action;
    vec![vm_name.clone(), from.to_string(), to.to_string()]
}
