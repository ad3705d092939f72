//! `ulm why`: why a VM is where it is, now or at a time of the past.

use ulm_control::why::{MoveTold, Said, Why, WhyQuery};
use ulm_decide::{Answer, Standing};
use ulm_model::ledger::Outcome as Settled;
use ulm_model::{Action, Reason, Time};
use ulm_web::client::Client;

use crate::cli::{Common, Why as Args};
use crate::exit::Outcome;
use crate::gains;
use crate::print::{self, BOLD, styled};

/// Tells it.
pub async fn run(common: &Common, client: &Client, args: Args) -> Outcome {
    let at = args.at.as_deref().map(print::since).transpose()?;
    let why = client.why(&WhyQuery { vm: args.vm, at }).await?;
    if common.json {
        return print::json(&why);
    }
    anstream::println!("{}", spoken(&why, at));
    Ok(())
}

fn spoken(why: &Why, past: Option<Time>) -> String {
    let name = styled(BOLD, &why.name);
    let mut lines = vec![match (&why.host, past) {
        (Some(host), None) => format!("{name} is on {host}."),
        (Some(host), Some(at)) => format!("{name} was on {host} at {}.", print::local(at)),
        (None, None) => format!("{name} is on no host that is under care."),
        (None, Some(at)) => format!("Where {name} was at {} is not known.", print::local(at)),
    }];
    let mut section = |heading: &str, items: Vec<String>| {
        if !items.is_empty() {
            lines.push(String::new());
            lines.push(styled(BOLD, heading));
            lines.extend(items.into_iter().map(|item| format!("  {item}")));
        }
    };
    let none = || vec!["none is known: it has been there since ULM first looked".to_owned()];
    let moves: Vec<String> = why.moves.iter().flat_map(a_move).collect();
    section("Its last moves", if moves.is_empty() { none() } else { moves });
    if let Some(said) = &why.said {
        let since = print::local(said.at);
        let heading = match past {
            None => format!("What the last decision says of it (the same since {since})"),
            Some(_) => format!("What the decision in force then says of it ({since} to {})", print::local(said.until)),
        };
        section(&heading, what_was_said(said));
    }
    if let Some(standing) = &why.standing {
        section("Where it stands", standing_of(standing));
    }
    section("Nothing more can be said, because", why.unknown.iter().map(Reason::to_string).collect());
    lines.join("\n")
}

/// When, from where, to where, why; and how it ended beside what was expected.
fn a_move(told: &MoveTold) -> Vec<String> {
    let at = print::local(told.at);
    let way = match &told.from {
        Some(from) => format!("{at}  {from} -> {}", told.to),
        None => format!("{at}  started on {}", told.to),
    };
    let mut lines = vec![match (&told.because, &told.from) {
        (Some(because), _) => format!("{way}: {because}"),
        (None, Some(_)) if told.refused.is_none() => format!("{way}: somebody else moved it"),
        _ => way,
    }];
    let gains = told.expected.iter().flat_map(|expected| &expected.gains);
    lines.extend(gains.map(|gain| format!("    expected: {}", gains::gain(gain))));
    if let Some(outcome) = &told.outcome {
        let cost = told.cost.filter(|_| *outcome == Settled::Moved);
        let took = cost.map_or_else(String::new, |cost| format!(", {}", gains::took(&cost, told.expected.as_ref())));
        lines.push(format!("    {outcome}{took}"));
    }
    lines.extend(told.refused.as_ref().map(|reason| format!("    not begun: {reason}")));
    lines
}

fn what_was_said(said: &Said) -> Vec<String> {
    let mut lines = vec![said.summary.to_string()];
    lines.extend(said.held.iter().chain(&said.host).map(Reason::to_string));
    for step in &said.moves {
        let Action::Move { from, to, .. } = &step.action;
        lines.push(format!("it goes from {from} to {to}: {}", step.because));
        if let Some(expected) = &step.expected {
            lines.extend(expected.gains.iter().map(|gain| format!("  {}", gains::gain(gain))));
            lines.push(format!("  {}", gains::taking(expected)));
        }
    }
    match &said.answer {
        Some(Answer::Stays(reasons)) => lines.extend(reasons.iter().map(|reason| format!("it stays: {reason}"))),
        Some(Answer::Nowhere(counts)) => lines.extend(counts.iter().map(|(hosts, reason)| match hosts {
            1 => format!("it fits nowhere: {reason}"),
            _ => format!("it fits nowhere: {reason} (and {} more)", hosts - 1),
        })),
        Some(Answer::Goes(_)) | None => {}
    }
    lines
}

fn standing_of(standing: &Standing) -> Vec<String> {
    let mut lines: Vec<String> = standing.broken.iter().map(Reason::to_string).collect();
    lines.extend(standing.held.iter().map(|reason| format!("held: {reason}")));
    if standing.held.is_empty() {
        lines.push("nothing holds it there whatever the target".to_owned());
    }
    match &standing.best {
        Some((host, _, _)) if *host == standing.host => {
            lines.push(format!("by the goals it is best where it is, on {host}"));
        }
        Some((host, gains, against)) => {
            lines.push(format!("the best that the goals could do with it: {host}"));
            lines.extend(gains.iter().map(|gain| format!("  goal `{}`: {}", gain.goal, gains::gain(gain))));
            lines.push(match against {
                Some(reason) => format!("  against it: {reason}"),
                None => "  nothing is against it".to_owned(),
            });
        }
        None => {}
    }
    lines
}
