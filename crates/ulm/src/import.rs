//! `ulm import`: placements from what others keep. Offline; touches nothing but the file that it writes.

use std::path::Path;

use ulm_model::import::{self, ImportError, Imported};
use ulm_model::placement::Source;

use crate::cli::{self, Common};
use crate::exit::{Exit, Failure, Outcome};
use crate::print;

/// Reads the files, writes the placement, and says on standard error what it does not hold.
pub fn run(common: &Common, args: &cli::Import) -> Outcome {
    let (imported, output) = match args {
        cli::Import::Ganeti { file, output } => (ganeti(file)?, output),
        cli::Import::Csv { hosts, vms, output } => (csv(hosts, vms)?, output),
    };
    for note in &imported.notes {
        if common.json {
            eprintln!("{}", serde_json::json!({ "note": note }));
        } else {
            anstream::eprintln!("{} {note}", print::styled(print::WARM, "note:"));
        }
    }
    let Some(output) = output else {
        print::text(&imported.text);
        return Ok(());
    };
    write(output, &imported.text)?;
    if common.json {
        return print::json(&serde_json::json!({ "hosts": imported.hosts, "vms": imported.vms }));
    }
    let (hosts, vms, output) = (imported.hosts, imported.vms, output.display());
    print::text(&format!(
        "{hosts} hosts and {vms} VMs written to {output}; `ulm path {output} B.json` takes it as A.\n"
    ));
    Ok(())
}

fn ganeti(file: &Path) -> Outcome<Imported> {
    let (name, text) = (file.display().to_string(), text(file)?);
    import::ganeti(Source { file: &name, text: &text }).map_err(|error| unreadable(&name, &error))
}

fn csv(hosts: &Path, vms: &Path) -> Outcome<Imported> {
    let (hosts_name, vms_name) = (hosts.display().to_string(), vms.display().to_string());
    let (hosts, vms) = (text(hosts)?, text(vms)?);
    let (hosts, vms) = (Source { file: &hosts_name, text: &hosts }, Source { file: &vms_name, text: &vms });
    import::csv(hosts, vms).map_err(|error| unreadable(&format!("{hosts_name} and {vms_name}"), &error))
}

fn unreadable(what: &str, error: &ImportError) -> Failure {
    Failure::new(Exit::Usage, format!("{what} cannot be imported:\n{error}"))
}

fn text(file: &Path) -> Outcome<String> {
    let wrong = |what: String| Failure::new(Exit::Usage, format!("{}: {what}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| wrong(format!("{error}. Give a file that is there")))?;
    String::from_utf8(bytes).map_err(|_| wrong("this is no text in UTF-8: save it as such".to_owned()))
}

/// Writes a document to a file.
pub fn write(output: &Path, text: &str) -> Outcome {
    std::fs::write(output, text).map_err(|error| {
        Failure::new(Exit::Error, format!("{} cannot be written: {error}. Give another file", output.display()))
    })
}
