//! `ulm check`: judges a route or a proof, whoever wrote it. Offline; changes nothing.

use serde::Deserialize;
use ulm_model::placement::Source;
use ulm_model::{Answer, RouteFile};

use crate::cli::{self, Common};
use crate::exit::{Exit, Failure, Outcome};
use crate::path::price::Price;
use crate::path::{proof, verify};
use crate::print;

/// Only what a file says that it is.
#[derive(Deserialize)]
struct Head {
    schema: String,
}

/// Reads the file and has it judged.
pub fn run(common: &Common, args: &cli::Check) -> Outcome {
    let text = crate::path::text(&args.file)?;
    let name = args.file.display().to_string();
    let usage = |message: String| Failure::new(Exit::Usage, message);
    if serde_json::from_str(&text).is_ok_and(|head: Head| head.schema.starts_with("ulm.plan/")) {
        return Err(usage(format!(
            "{name} is a plan of the daemon: it is judged by the daemon's own view of the hosts, and `ulm apply {name}` does so before anything begins"
        )));
    }
    let file = RouteFile::read(Source { file: &name, text: &text })
        .map_err(|error| usage(format!("{name} cannot be read:\n{error}")))?;
    let refused = |fault: String| Failure::new(Exit::Refused, format!("{name} is wrong: {fault}"));
    let price = Price::of(&file.cost, &file.task)?;
    verify::answer(&file.task, &file.answer).map_err(refused)?;
    verify::costs(&file, &price).map_err(refused)?;
    let (kind, told) = accepted(&file);
    if common.json {
        return print::json(&serde_json::json!({ "sound": true, "answer": kind }));
    }
    print::text(&format!("{name} is sound. {told}\n"));
    Ok(())
}

fn accepted(file: &RouteFile) -> (&'static str, String) {
    let sane = |steps: usize| format!("{steps} steps, and every state that they can reach keeps all limits and rules");
    match &file.answer {
        Answer::Route(route) => ("route", format!("{}; they lead from A to B.", sane(route.steps.len()))),
        Answer::Impossible { certificate } => {
            let proof = proof::sentences(&file.task, certificate);
            ("impossible", format!("The proof holds: no route leads from A to B.\n{proof}"))
        }
        Answer::Undecided { best, left, .. } => {
            let rest = format!("{} of {} VMs are not at their hosts of B then", left.len(), file.task.vms.len());
            ("undecided", format!("{}; but they do not lead to B: {rest}.", sane(best.steps.len())))
        }
    }
}
