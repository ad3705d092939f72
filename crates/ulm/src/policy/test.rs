//! `ulm policy test`: a policy decides in made-up situations.

use std::fmt::Write as _;

use ulm_decide::decide;
use ulm_policy::{Case, GivenMove, Policy, Sources};

use super::verdict::Verdict;
use super::{cluster, presets};
use crate::cli::{self, Common};
use crate::exit::{Exit, Failure, Outcome};
use crate::print;

/// Has every case decided, and tells which were not as they were to be.
pub fn run(common: &Common, args: &cli::PolicyTest) -> Outcome {
    let policy = super::read(&args.policy)?;
    let sources = match presets::named(&args.policy)? {
        _ if !args.cases.is_empty() => Sources::of_files(&args.cases).map_err(super::wrong)?,
        Some(preset) => Sources::new(&format!("{}.test.toml", preset.name), preset.cases),
        None => Sources::of_cases(&args.policy).map_err(super::wrong)?,
    };
    let cases = Case::read(&sources).map_err(super::wrong)?;
    if cases.is_empty() {
        let beside = args.policy.with_extension("test.toml");
        let files = Vec::from_iter(sources.names()).join(", ");
        return Err(Failure::new(
            Exit::Usage,
            match files.is_empty() {
                true => format!("there are no cases: write some into {}, or name their file", beside.display()),
                false => format!("there are no cases in {files}: [[case]] begins one"),
            },
        ));
    }
    let judged: Vec<(&Case, Verdict)> = cases.iter().map(|case| (case, judge(case, &policy))).collect();
    let failed = judged.iter().filter(|(_, verdict)| !verdict.wrong.is_empty()).count();
    if common.json {
        print::json(&serde_json::json!({
            "cases": judged.iter().map(|(case, verdict)| view(case, verdict)).collect::<Vec<_>>(),
            "ok": judged.len() - failed,
            "failed": failed,
        }))?;
    } else {
        let lines: String = judged.iter().map(|(case, verdict)| told(case, verdict)).collect();
        anstream::print!("{lines}");
    }
    match failed {
        0 => {
            if !common.json {
                anstream::println!("{} cases, all ok.", judged.len());
            }
            Ok(())
        }
        _ => {
            let message = format!("{failed} of {} cases were not decided as they were to be", judged.len());
            Err(Failure::new(Exit::Refused, message))
        }
    }
}

fn judge(case: &Case, policy: &Policy) -> Verdict {
    let input = cluster::input(case, policy);
    Verdict::of(case, &input, policy, &decide(&input, policy))
}

fn told(case: &Case, verdict: &Verdict) -> String {
    if verdict.wrong.is_empty() {
        return format!("{}      {}\n", print::styled(print::GOOD, "ok"), case.name);
    }
    let failed = print::styled(print::BAD, "FAILED");
    let mut text = format!("{failed}  {} ({}:{})\n", case.name, case.file, case.line);
    let mut line = |line: String| writeln!(text, "        {line}").expect("a string takes everything");
    for wrong in &verdict.wrong {
        line(wrong.clone());
    }
    match verdict.moves.len() {
        0 => line(format!("decided: nothing moves: {} ({})", verdict.summary, verdict.summary.code())),
        _ => {
            for (made, because) in &verdict.moves {
                let GivenMove { vm, from, to } = made;
                line(format!("decided: move {vm} from {from} to {to}: {because} ({})", because.code()));
            }
        }
    }
    text
}

fn view(case: &Case, verdict: &Verdict) -> serde_json::Value {
    let moves = verdict.moves.iter().map(
        |(made, because)| serde_json::json!({ "vm": made.vm, "from": made.from, "to": made.to, "because": because }),
    );
    serde_json::json!({
        "name": case.name, "file": case.file, "line": case.line, "ok": verdict.wrong.is_empty(),
        "wrong": verdict.wrong, "moves": moves.collect::<Vec<_>>(), "summary": verdict.summary,
    })
}
