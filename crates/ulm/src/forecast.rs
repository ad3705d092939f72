//! `ulm forecast`: what a VM is expected to want.

use std::time::Duration;

use serde::Serialize;
use ulm_control::view::{Forecast, ForecastPoint, ForecastQuery};
use ulm_model::MilliCpu;
use ulm_web::client::Client;

use crate::cli::{Common, Forecast as Args};
use crate::exit::Outcome;
use crate::figures::sparkline;
use crate::print::{self, Side};

/// Before that nothing is known but the size.
const BEGUN: Duration = Duration::from_secs(3600);
/// Before that only the most that was seen is.
const WARM: Duration = Duration::from_secs(86_400);
/// Quarters of an hour in one.
const QUARTERS: usize = 4;

/// What `--json` prints for each quarter of an hour, ready to be plotted.
#[derive(Serialize)]
struct Plotted {
    /// RFC 3339, UTC.
    at: String,
    /// Thousandths of a CPU.
    median: MilliCpu,
    /// Thousandths of a CPU.
    high: MilliCpu,
}

/// Shows it.
pub async fn run(common: &Common, client: &Client, args: Args) -> Outcome {
    let forecast = client.forecast(&ForecastQuery { of: args.vm, hours: args.hours }).await?;
    if common.json {
        let plotted =
            |point: &ForecastPoint| Plotted { at: point.at.to_string(), median: point.median, high: point.high };
        return print::json(&forecast.points.iter().map(plotted).collect::<Vec<_>>());
    }
    anstream::println!("{}\n\n{}", learned(&forecast), table(&forecast.points));
    Ok(())
}

fn learned(forecast: &Forecast) -> String {
    let Forecast { of, whole, learned, seen, .. } = forecast;
    let so_far = print::span(*learned);
    match *learned {
        learned if learned.is_zero() => format!(
            "Nothing is known of {of} yet: it must be watched for an hour first. Until then its size is what it may want, {whole}."
        ),
        learned if learned < BEGUN => format!(
            "Hardly anything is known of {of} yet: {so_far} were seen, and an hour is needed. Until then its size is what it may want, {whole}."
        ),
        learned if learned < WARM => format!(
            "{so_far} of {of} were seen. Until a day was, the most that was seen counts for all times; its size is {whole}."
        ),
        _ => format!(
            "Learned from {so_far} of {of}, which cover {} % of the week; its size is {whole}.",
            seen * 100 / 672
        ),
    }
}

fn table(points: &[ForecastPoint]) -> String {
    let top = points.iter().map(|point| point.high).max().unwrap_or_default();
    let rows = points.chunks(QUARTERS).map(|hour| {
        let median = MilliCpu(hour.iter().map(|point| point.median.0).sum::<u64>() / hour.len().max(1) as u64);
        let high = hour.iter().map(|point| point.high).max().unwrap_or_default();
        let marks = hour.iter().map(|point| point.high.0 as f64).chain([top.0 as f64]).collect::<Vec<_>>();
        // The last mark is the top of the scale, so that hours can be compared.
        let line: String = sparkline(&marks).chars().take(hour.len()).collect();
        vec![print::local(hour[0].at), line, median.to_string(), high.to_string()]
    });
    let headings = [("FROM", Side::Left), ("", Side::Left), ("MEDIAN", Side::Right), ("P95", Side::Right)];
    print::table(&headings, rows.collect())
}

#[cfg(test)]
mod tests {
    use ulm_model::{Time, VmId};

    use super::*;

    fn forecast(learned: u64) -> Forecast {
        let points = (0..8).map(|n| ForecastPoint {
            at: Time(n * 900_000),
            median: MilliCpu(100 * n as u64),
            high: MilliCpu(1000 * n as u64),
        });
        Forecast {
            of: "web".into(),
            id: VmId(Default::default()),
            whole: MilliCpu::cpus(8),
            learned: Duration::from_secs(learned),
            seen: 336,
            points: points.collect(),
        }
    }

    #[test]
    fn how_much_was_learned_is_said_in_a_sentence() {
        assert!(learned(&forecast(0)).starts_with("Nothing is known of web yet"));
        assert!(learned(&forecast(1800)).contains("30 min were seen"));
        assert!(learned(&forecast(7200)).starts_with("2 h of web were seen."));
        assert!(learned(&forecast(10 * 86_400)).contains("10 days of web, which cover 50 % of the week"));
    }

    #[test]
    fn an_hour_has_the_mean_of_its_medians_and_the_highest_of_its_highs() {
        let told = table(&forecast(0).points);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 3, "{told}");
        assert!(lines[1].ends_with("0.15 CPU  3.00 CPU") && lines[2].ends_with("0.55 CPU  7.00 CPU"), "{told}");
        assert!(lines[2].contains("▅▆▇█"), "{told}");
    }
}
