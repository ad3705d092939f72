//! `ulm plan`, `ulm apply`, `ulm migrate`, `ulm abort`.

use std::path::Path;
use std::time::Duration;

use ulm_control::longer::{LongerWish, SearchId};
use ulm_control::view::Accepted;
use ulm_decide::{Decision, GoalReport, Input, Report};
use ulm_model::{Acting, Action, HostName, Plan, Reason, Step, text};
use ulm_policy::Policy;
use ulm_web::api::Decided;
use ulm_web::client::{Client, ClientError};
use ulm_web::error::Sort;

use crate::cli::{self, Common};
use crate::exit::{Exit, Failure, Outcome};
use crate::follow::follow;
use crate::gains;
use crate::print::{self, BOLD, Side, WARM, styled};
use crate::watch::{self, Lookout};

/// Shows what would be done now, and writes it to a file if one is given.
pub async fn show(common: &Common, client: &Client, args: cli::Plan) -> Outcome {
    let longer = args.budget.is_some() || args.time_limit.is_some();
    let decided = match (args.on.files()?, longer) {
        (Some((input, policy)), true) => longer_here(common, &args, input, policy).await?.into(),
        (Some((input, policy)), false) => ulm_decide::decide(&input, &policy).into(),
        (None, true) => longer_there(common, client, &args).await?,
        (None, false) => client.plan().await?,
    };
    if let Some(file) = &args.output {
        std::fs::write(file, text::write(&decided.decision.plan)).map_err(|error| {
            let message = format!("the plan cannot be written to {}: {error}. Give another file", file.display());
            Failure::new(Exit::Error, message)
        })?;
    }
    if common.json {
        return print::json(&decided);
    }
    anstream::println!("{}", spoken(&decided, args.on.snapshot.is_none()));
    if let Some(file) = &args.output {
        anstream::println!("\nWritten to {}; `ulm apply {}` has it carried out.", file.display(), file.display());
    }
    Ok(())
}

const LOOKING: &str = "looking longer";

/// Looks longer, until the budget is spent, the time is over, or somebody ends it.
async fn longer_here(common: &Common, args: &cli::Plan, input: Input, policy: Policy) -> Outcome<Decision> {
    let lookout = Lookout::new(args.time_limit, common.json);
    tokio::spawn(watch::interrupts(lookout.interrupt()));
    let budget = args.budget;
    let search = move || {
        let stop = || lookout.look_on(|| LOOKING.to_owned());
        let decision = ulm_control::longer::longer(&input, &policy, budget, &stop);
        lookout.over();
        decision
    };
    // The search takes threads for itself; this one waits for Ctrl-C meanwhile.
    let broken = |error| Failure::new(Exit::Error, format!("the search broke down: {error}. This is a bug in ulm"));
    tokio::task::spawn_blocking(search).await.map_err(broken)
}

/// How often somebody looks how the daemon's search is getting on.
const TICK: Duration = Duration::from_millis(100);

/// Has the daemon look longer; it watches the budget and the clock.
async fn longer_there(common: &Common, client: &Client, args: &cli::Plan) -> Outcome<Decided> {
    let lookout = Lookout::new(None, common.json);
    tokio::spawn(watch::interrupts(lookout.interrupt()));
    let wish = LongerWish::new(args.budget, args.time_limit.map(|limit| limit.as_secs_f64()));
    let answer = client.longer(&wish);
    tokio::pin!(answer);
    let (mut ticks, mut ended) = (tokio::time::interval(TICK), false);
    let answer = loop {
        tokio::select! {
            answer = &mut answer => break answer,
            _ = ticks.tick() => {
                let interrupted = lookout.look_on(|| LOOKING.to_owned()).is_some();
                if interrupted && !ended {
                    ended = end_search(client, wish.id).await?;
                }
            }
        }
    };
    lookout.over();
    Ok(answer?)
}

/// Whether the search ran, so that it could be ended: one that was asked for just now may not have begun.
async fn end_search(client: &Client, id: SearchId) -> Outcome<bool> {
    match client.end_search(id).await {
        Ok(_) => Ok(true),
        Err(ClientError::Refused(told)) if told.refusal == Sort::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn spoken(decided: &Decided, live: bool) -> String {
    let Decided { id, decision } = decided;
    let plan = &decision.plan;
    let mut lines = Vec::new();
    if live && decision.report.acting == Acting::Off {
        lines.push(format!(
            "{} nothing of this is done by itself. `ulm enable` switches acting on; `ulm apply` carries out one plan.\n",
            styled(WARM, "Acting is off:")
        ));
    }
    if plan.steps.is_empty() {
        lines.push(styled(BOLD, "Nothing is to be done now."));
    } else {
        lines.push(styled(
            BOLD,
            format!(
                "Plan {}, made {}, good until {}",
                id.short(),
                print::local(plan.made_at),
                print::local(plan.expires_at)
            ),
        ));
        lines.push(steps(plan));
        section(&mut lines, "What each move brings and takes", plan.steps.iter().flat_map(brings).collect());
    }
    section(&mut lines, "What the plan brings", decision.report.goals.iter().flat_map(goal).collect());
    let bounds = decision.report.bounds.iter().map(ToString::to_string).collect();
    section(&mut lines, "What is possible at all, with as many moves as it takes", bounds);
    let longer = decision.report.longer.iter().map(ToString::to_string).collect();
    section(&mut lines, "What a longer search brings", longer);
    lines.push(String::new());
    lines.push(styled(BOLD, "Why, and why not the rest"));
    let off = Reason::ActingOff {}.to_string();
    let report = rest(&decision.report).to_string();
    lines.extend(report.lines().filter(|line| *line != off).map(|line| format!("  {line}")));
    lines.join("\n")
}

fn section(lines: &mut Vec<String>, heading: &str, items: Vec<String>) {
    if !items.is_empty() {
        lines.push(String::new());
        lines.push(styled(BOLD, heading));
        lines.extend(items.into_iter().map(|item| format!("  {item}")));
    }
}

/// What is measured for each goal, before and after the move; what it takes, and when it pays back.
fn brings(step: &Step) -> Vec<String> {
    let Some(expected) = &step.expected else { return Vec::new() };
    let Action::Move { vm_name, .. } = &step.action;
    let mut lines = vec![format!("{} {vm_name} {}", step.id, gains::taking(expected))];
    lines.extend(expected.gains.iter().map(|gain| format!("  {}", gains::gain(gain))));
    lines
}

/// What the whole plan brings for a goal.
fn goal(report: &GoalReport) -> Vec<String> {
    report.gains.iter().map(|gain| format!("goal `{}`: {}", report.goal, gains::gain(gain))).collect()
}

/// The report without what the plan brings, what is possible and what a longer search brings, which is told by itself.
fn rest(report: &Report) -> Report {
    let mut rest = report.clone();
    rest.goals.iter_mut().for_each(|goal| goal.gains.clear());
    rest.bounds.clear();
    rest.longer = None;
    rest.goals.retain(|goal| goal.ends.is_some() || !goal.aside.is_empty());
    rest
}

fn steps(plan: &Plan) -> String {
    let rows = plan.steps.iter().map(|step| {
        let Action::Move { vm_name, from, to, .. } = &step.action;
        let after = step.after.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        vec![step.id.to_string(), vm_name.clone(), from.to_string(), to.to_string(), after, step.because.to_string()]
    });
    let headings = [
        ("STEP", Side::Right),
        ("MOVE", Side::Left),
        ("FROM", Side::Left),
        ("TO", Side::Left),
        ("AFTER", Side::Left),
        ("BECAUSE", Side::Left),
    ];
    print::table(&headings, rows.collect())
}

/// Hands a plan in and follows it.
pub async fn apply(common: &Common, client: &Client, args: cli::Apply) -> Outcome {
    let plan = read(&args.plan)?;
    if plan.steps.is_empty() {
        return match common.json {
            true => print::json(&serde_json::json!({ "plan": plan.id(), "steps": 0 })),
            false => {
                anstream::println!("The plan has no steps: nothing is to be done.");
                Ok(())
            }
        };
    }
    let accepted = client.apply(&plan).await?;
    told_and_followed(common, client, &accepted, Wait::unless(args.no_wait)).await
}

fn read(file: &Path) -> Outcome<Plan> {
    let wrong = |message: String| Failure::new(Exit::Usage, format!("{}: {message}", file.display()));
    let document = std::fs::read_to_string(file)
        .map_err(|error| wrong(format!("{error}. `ulm plan --output FILE` writes a plan")))?;
    text::read(&document).map_err(|error| wrong(error.to_string()))
}

/// Asks for one move and follows it.
pub async fn migrate(common: &Common, client: &Client, args: cli::Migrate) -> Outcome {
    let accepted = client.migrate(&args.vm, &HostName(args.host)).await?;
    told_and_followed(common, client, &accepted, Wait::unless(args.no_wait)).await
}

/// Whether the end is waited for.
#[derive(PartialEq, Eq)]
enum Wait {
    ForTheEnd,
    No,
}

impl Wait {
    fn unless(no_wait: bool) -> Self {
        if no_wait { Wait::No } else { Wait::ForTheEnd }
    }
}

async fn told_and_followed(common: &Common, client: &Client, accepted: &Accepted, wait: Wait) -> Outcome {
    if wait == Wait::ForTheEnd {
        return follow(common, client, accepted).await;
    }
    if common.json {
        return print::json(accepted);
    }
    let moves = if accepted.steps == 1 { "move" } else { "moves" };
    anstream::println!(
        "Accepted: plan {} with {} {moves}. `ulm status` shows how far it is, `ulm history` how it ended.",
        accepted.plan.short(),
        accepted.steps
    );
    Ok(())
}

/// Has moves aborted.
pub async fn abort(common: &Common, client: &Client, args: cli::Abort) -> Outcome {
    let aborted = client.abort(args.vm.as_deref()).await?;
    if common.json {
        return print::json(&aborted);
    }
    if aborted.is_empty() {
        anstream::println!("No move runs, so none is aborted.");
    }
    for key in aborted {
        anstream::println!("{key}: the abort is asked for; `ulm history {}` tells how it ended.", key.vm_name);
    }
    Ok(())
}
