//! `ulm export`: what was observed, as a document that can be kept, shown and looked into; without names for strangers.

use std::path::Path;

use ulm_model::{Snapshot, anonymous, text};
use ulm_web::client::Client;

use crate::cli::{self, Common};
use crate::exit::{Exit, Failure, Outcome};
use crate::print;

/// Takes the snapshot from the file or the daemon, and writes it.
pub async fn run(common: &Common, client: &Client, args: &cli::Export) -> Outcome {
    let mut snapshot = match &args.file {
        Some(file) => read(file)?,
        None => client.snapshot().await?,
    };
    if args.anonymous {
        snapshot = anonymous::snapshot(&snapshot);
    }
    let document = text::write(&snapshot);
    let Some(output) = &args.output else {
        print::text(&document);
        return Ok(());
    };
    crate::import::write(output, &document)?;
    let (hosts, vms) = (snapshot.hosts.len(), snapshot.vms.len());
    if common.json {
        return print::json(&serde_json::json!({ "hosts": hosts, "vms": vms, "anonymous": args.anonymous }));
    }
    let names = if args.anonymous { ", without names" } else { "" };
    print::text(&format!("{hosts} hosts and {vms} VMs written to {}{names}.\n", output.display()));
    Ok(())
}

/// Reads a snapshot from a file.
pub fn read(file: &Path) -> Outcome<Snapshot> {
    let name = file.display();
    let wrong = |what: String| Failure::new(Exit::Usage, format!("{name} cannot be read: {what}"));
    let snapshot: Snapshot = text::read(&crate::path::text(file)?).map_err(|error| wrong(error.to_string()))?;
    match snapshot.flaw() {
        Some(flaw) => Err(wrong(format!("{flaw}: give it as `ulm export` wrote it"))),
        None => Ok(snapshot),
    }
}
