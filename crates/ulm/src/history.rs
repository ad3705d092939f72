//! `ulm history`: the ledger, and figures as sparklines.

use std::collections::BTreeMap;

use serde::Serialize;
use ulm_control::view::{HistoryQuery, LedgerQuery, Series};
use ulm_model::ledger::{Entry, Event, MoveKey, Outcome as Ended};
use ulm_model::{Expected, HostName, Time};
use ulm_web::client::{Client, ClientError};
use ulm_web::error::Sort;

use crate::cli::{Common, History};
use crate::exit::{Exit, Failure, Outcome};
use crate::figures::{in_unit, sparkline};
use crate::gains;
use crate::print::{self, BOLD, Side, styled};

/// As many points as a sparkline has room for.
const POINTS: u32 = 48;

/// At most so many entries are shown.
const ENTRIES: u32 = 1000;

/// What `--json` prints.
#[derive(Serialize)]
struct Told {
    /// Oldest first.
    entries: Vec<Entry>,
    series: Vec<Series>,
}

/// Shows it.
pub async fn run(common: &Common, client: &Client, args: History) -> Outcome {
    let since = print::since(&args.since)?;
    let status = client.status().await?;
    let host = args.of.as_ref().filter(|of| status.hosts.iter().any(|host| host.name.0 == **of));
    let query = LedgerQuery {
        host: host.map(|host| HostName(host.clone())),
        vm: args.of.clone().filter(|_| host.is_none()),
        since: Some(since),
        limit: Some(ENTRIES),
        ..LedgerQuery::default()
    };
    let mut entries = client.ledger(&query).await?;
    entries.reverse();
    let series = match &args.of {
        Some(of) => figures(client, of, args.metric, since, status.now, entries.is_empty()).await?,
        None if args.metric.is_some() => {
            return Err(Failure::new(
                Exit::Usage,
                "--metric needs a VM or a host: `ulm history HOST --metric cpu_use`",
            ));
        }
        None => Vec::new(),
    };
    if common.json {
        return print::json(&Told { entries, series });
    }
    if entries.is_empty() {
        anstream::println!("Nothing is in the ledger since {}.", print::local(since));
    }
    let mut promised = BTreeMap::new();
    for entry in &entries {
        anstream::println!("{}  {}", print::local(entry.at), entry.event);
        for line in promised_and_kept(&entry.event, &mut promised) {
            anstream::println!("                       {line}");
        }
    }
    if !series.is_empty() {
        anstream::println!("\n{}", styled(BOLD, format!("Figures since {}", print::local(since))));
        anstream::println!("{}", spoken(&series));
    }
    Ok(())
}

/// What a move that begins is expected to take and to bring; and what one that has ended took, beside that.
fn promised_and_kept(event: &Event, promised: &mut BTreeMap<MoveKey, Expected>) -> Vec<String> {
    match event {
        Event::MoveIntended { r#move, expected: Some(expected), .. } => {
            promised.insert(r#move.clone(), expected.clone());
            let gains = expected.gains.iter().map(|gain| format!("expected: {}", gains::gain(gain)));
            std::iter::once(format!("expected: {}", gains::taking(expected))).chain(gains).collect()
        }
        Event::MoveEnded { r#move, outcome: Ended::Moved, cost } => {
            let expected = promised.remove(r#move);
            expected.map(|expected| gains::took(cost, Some(&expected))).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The figures. A VM that is gone has none, but its entries are still worth showing.
async fn figures(
    client: &Client,
    of: &str,
    metric: Option<String>,
    from: Time,
    to: Time,
    must_be_known: bool,
) -> Outcome<Vec<Series>> {
    let query = |from| HistoryQuery { of: of.to_owned(), metric: metric.clone(), from, to, points: POINTS };
    let series = match client.history(&query(from)).await {
        Err(ClientError::Refused(told)) if told.refusal == Sort::NotFound && !must_be_known => return Ok(Vec::new()),
        answer => answer?,
    };
    // Watched for a small part of the time only: that part in a finer resolution says more.
    let first = series.iter().filter_map(|series| series.points.first()).map(|point| point.at).min();
    match first {
        Some(first) if first > from && to.since(first) < to.since(from) / 4 => {
            Ok(client.history(&query(first)).await?)
        }
        _ => Ok(series),
    }
}

fn spoken(series: &[Series]) -> String {
    let rows = series.iter().filter(|series| !series.points.is_empty() && series.unit != "host number").map(|series| {
        let means: Vec<f64> = series.points.iter().map(|point| point.mean).collect();
        let mean = means.iter().sum::<f64>() / means.len() as f64;
        let max = series.points.iter().map(|point| point.max).fold(f64::MIN, f64::max);
        let latest = means.last().copied().unwrap_or_default();
        let show = |value| in_unit(value, &series.unit);
        vec![series.metric.clone(), sparkline(&means), show(latest), show(mean), show(max)]
    });
    let headings =
        [("METRIC", Side::Left), ("", Side::Left), ("NOW", Side::Right), ("MEAN", Side::Right), ("MAX", Side::Right)];
    print::table(&headings, rows.collect())
}
