//! `ulm path`: from placement A to placement B. Offline: two files in, a verified answer out.
//!
//! [`price`] is what moves cost, [`crate::watch`] shows how far a search is and ends it, [`verify`] lets the checker judge every answer
//! before anybody sees it; [`steps`], [`gantt`] and [`proof`] say the answer.

mod gantt;
mod help;
pub mod price;
pub mod proof;
mod steps;
mod tell;
pub mod verify;
pub mod words;

use std::path::Path;

use ulm_model::placement::{self, Source};
use ulm_model::{Answer, RouteFile, Stopped, Task};
use ulm_path::{Budget, Help};

use crate::cli::{self, Common, Show};
use crate::exit::{Exit, Failure, Outcome};
use crate::print;
use crate::watch::{self, Lookout};

use price::Price;

/// Reads A and B, searches, has the answer verified, and shows it.
pub async fn run(common: &Common, args: cli::Path) -> Outcome {
    let lookout = Lookout::new(args.time_limit, common.json);
    tokio::spawn(watch::interrupts(lookout.interrupt()));
    let common = common.clone();
    // The search takes a thread for itself; this one waits for Ctrl-C meanwhile.
    match tokio::task::spawn_blocking(move || found(&common, &args, &lookout)).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Failure::new(Exit::Error, format!("the search broke down: {error}. This is a bug in ulm"))),
    }
}

fn found(common: &Common, args: &cli::Path, lookout: &Lookout) -> Outcome {
    let (a, b) = (text(&args.a)?, text(&args.b)?);
    let (file_a, file_b) = (args.a.display().to_string(), args.b.display().to_string());
    let task = placement::task(Source { file: &file_a, text: &a }, Source { file: &file_b, text: &b })
        .map_err(|error| Failure::new(Exit::Usage, format!("A and B cannot be read:\n{error}")))?;
    let price = Price::of(&args.cost, &task)?;
    let task = if args.relabel { ulm_path::relabel(&task, price.cost()) } else { task };
    let usual = Budget::default();
    let budget =
        Budget { expansions: args.budget.unwrap_or(usual.expansions), bytes: args.memory.unwrap_or(usual.bytes) };
    let answer = ulm_path::path(&task, price.cost(), &budget, lookout);
    let help = match &answer {
        Answer::Impossible { .. } => ulm_path::what_would_help(&task, price.cost(), lookout),
        Answer::Route(_) | Answer::Undecided { .. } => Help::default(),
    };
    lookout.over();
    if let Some(error) = price.failure() {
        return Err(Failure::new(Exit::Usage, format!("--cost: {error}")));
    }
    if let Err(fault) = verify::answer(&task, &answer) {
        let message = format!(
            "the answer that was found does not pass the check: {fault}. This is a bug in ulm, and nothing of the answer is shown; report it with both files"
        );
        return Err(Failure::new(Exit::Error, message));
    }
    let costs = price.costs(&task, &answer);
    let file = RouteFile { task, cost: args.cost.clone(), costs, answer };
    show(common, args, &file, &price, &help)
}

/// What stands in a file.
pub fn text(file: &Path) -> Outcome<String> {
    let wrong = |what: String| Failure::new(Exit::Usage, format!("{}: {what}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| wrong(format!("{error}. Give a file that is there")))?;
    String::from_utf8(bytes).map_err(|_| wrong("this is no text in UTF-8: give a JSON file".to_owned()))
}

fn show(common: &Common, args: &cli::Path, file: &RouteFile, price: &Price, help: &Help) -> Outcome {
    if let Some(output) = &args.output {
        std::fs::write(output, file.write()).map_err(|error| {
            let message = format!("the answer cannot be written to {}: {error}. Give another file", output.display());
            Failure::new(Exit::Error, message)
        })?;
    }
    let json = common.json || args.show == Show::Json;
    if json {
        print::text(&file.write());
    }
    match &file.answer {
        Answer::Route(route) => {
            if !json {
                let chart = if args.show == Show::Gantt { gantt::chart } else { steps::table };
                if !route.steps.is_empty() {
                    print::text(&format!("{}\n\n", chart(&file.task, route)));
                }
                print::text(&format!("{}\n", tell::summary(&file.task, route, price)));
            }
            if let (Some(output), false) = (&args.output, json) {
                let output = output.display();
                print::text(&format!("\nWritten to {output}; `ulm check {output}` judges it again.\n"));
            }
            Ok(())
        }
        Answer::Impossible { certificate } => {
            let ends = format!("No route leads from {} to {}.", args.a.display(), args.b.display());
            let why = proof::sentences(&file.task, certificate);
            let helps = help::sentences(&file.task, help, price);
            let message = format!("{ends}\n{why}\n{helps}").trim_end().to_owned();
            Err(Failure::new(Exit::Refused, message))
        }
        Answer::Undecided { best, left, explored, why } => {
            if !json && !best.steps.is_empty() {
                let chart = if args.show == Show::Gantt { gantt::chart } else { steps::table };
                let chart = chart(&file.task, best);
                let moved = tell::moved(&file.task, best).join("\n");
                print::text(&format!("The best way that was found, as far as it leads:\n\n{chart}\n\n{moved}\n"));
            }
            Err(Failure::new(Exit::Error, undecided(&file.task, left, *explored, *why)))
        }
    }
}

fn undecided(task: &Task, left: &[u32], explored: u64, why: Stopped) -> String {
    let ended = match why {
        Stopped::Expansions => "the budget of states to expand is used up: give more with --budget",
        Stopped::Memory => "the memory for states is used up: give more with --memory",
        Stopped::Clock => "the time is over: give more with --time-limit",
        Stopped::Interrupted => "you ended the search",
        Stopped::Ideas => "nothing that is tried with a task of this size led any further",
    };
    let explored = words::counted(explored, "state");
    let names = words::named(left.iter().map(|vm| task.vms[*vm as usize].name.as_str()));
    let rest = match left.len() {
        0 => "all VMs are at their hosts".to_owned(),
        n => format!("{} of {} VMs are not at their hosts of B: {names}", n, task.vms.len()),
    };
    format!(
        "neither a route nor the proof that there is none was found ({explored} explored); {ended}.\nAt the end of the best way that was found {rest}"
    )
}
