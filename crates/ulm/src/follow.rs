//! Following an accepted plan to its end: bars on a terminal, lines on a pipe, and the outcome as the daemon settled it.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};
use ulm_control::phase::Phase;
use ulm_control::view::{Accepted, PlanStatus, StepStatus};
use ulm_drivers::JobProgress;
use ulm_model::StepId;
use ulm_model::ledger::Outcome as Settled;
use ulm_web::client::{Client, ClientError};
use ulm_web::error::Sort;

use crate::cli::Common;
use crate::exit::{Exit, Failure, Outcome};
use crate::print::{self, BAD, GOOD, styled};

const LOOK: Duration = Duration::from_millis(250);

/// A plan that was just accepted is published within this time.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(10);

/// Follows the plan to its end; fails when a step did not end with its VM on the target.
pub async fn follow(common: &Common, client: &Client, accepted: &Accepted) -> Outcome {
    let mut show = Show::new(common.json);
    let begun = Instant::now();
    let plan = loop {
        match client.plan_status(&accepted.plan.0).await {
            Ok(plan) => {
                show.plan(&plan);
                if plan.is_over() {
                    break plan;
                }
            }
            Err(ClientError::Refused(told)) if told.refusal == Sort::NotFound && begun.elapsed() < PUBLISHED_WITHIN => {
            }
            Err(error) => return Err(error.into()),
        }
        sleep(LOOK).await;
    };
    if common.json {
        print::json(&plan)?;
    }
    let failed: Vec<String> = plan.steps.iter().filter_map(failure).collect();
    if failed.is_empty() { Ok(()) } else { Err(Failure::new(Exit::MoveFailed, failed.join("\n"))) }
}

/// Why a step that is over did not end well.
fn failure(step: &StepStatus) -> Option<String> {
    match (&step.outcome, &step.refused) {
        (Some(Settled::Moved), _) => None,
        (Some(outcome), _) => Some(format!("{}: {outcome}", step.key)),
        (None, Some(reason)) => Some(format!("{}: not begun: {reason}", step.key)),
        (None, None) => Some(format!("{}: not known: look at `ulm history {}`", step.key, step.key.vm_name)),
    }
}

/// The part of the memory that is copied, from 0 to 1; `None` when it is not known.
pub fn copied(progress: &JobProgress) -> Option<f64> {
    let (total, remaining) = (progress.total?.0, progress.remaining?.0);
    (total > 0).then(|| 1.0 - (remaining as f64 / total as f64).min(1.0))
}

/// A phase in words.
pub fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Waiting => "waits",
        Phase::Intended => "begins",
        Phase::Copying => "copies",
        Phase::Aborting => "is being aborted",
        Phase::Settling => "both hosts are asked how it ended",
        Phase::Ended => "ended",
        Phase::Refused => "not begun",
    }
}

/// What is shown while it lasts.
struct Show {
    /// JSON shows nothing but the end.
    silent: bool,
    bars: MultiProgress,
    by_step: BTreeMap<StepId, ProgressBar>,
    told: BTreeMap<StepId, Phase>,
}

impl Show {
    fn new(silent: bool) -> Self {
        Show { silent, bars: MultiProgress::new(), by_step: BTreeMap::new(), told: BTreeMap::new() }
    }

    fn plan(&mut self, plan: &PlanStatus) {
        if self.silent {
            return;
        }
        for step in &plan.steps {
            if self.told.insert(step.step, step.phase) != Some(step.phase) {
                self.tell(step);
            }
            let running = step.phase.may_have_effect();
            if running && !self.by_step.contains_key(&step.step) {
                let bar = self.bars.add(ProgressBar::new(1000).with_prefix(step.key.to_string()));
                let style = ProgressStyle::with_template("{prefix} [{bar:30}] {percent:>3} % {msg}");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                self.by_step.insert(step.step, bar);
            }
            if let Some(bar) = self.by_step.get(&step.step) {
                if let Some(part) = step.progress.as_ref().and_then(copied) {
                    bar.set_position((part * 1000.0) as u64);
                }
                bar.set_message(message(step));
                if !running {
                    bar.finish_and_clear();
                }
            }
        }
    }

    /// A phase that is new: the ends always, the ways there only where no bar shows them.
    fn tell(&self, step: &StepStatus) {
        let line = match (step.phase, &step.outcome, &step.refused) {
            (Phase::Ended, Some(Settled::Moved), _) => {
                format!("{} {} runs on {}", styled(GOOD, "moved:"), step.key.vm_name, step.key.to)
            }
            // Told once more, with what to do, by the exit.
            (Phase::Ended | Phase::Refused, ..) => format!("{} {}", styled(BAD, phase(step.phase)), step.key),
            (Phase::Copying | Phase::Aborting, ..) if self.bars.is_hidden() => {
                format!("{}: {}", step.key, phase(step.phase))
            }
            _ => return,
        };
        self.bars.suspend(|| anstream::println!("{line}"));
    }
}

fn message(step: &StepStatus) -> String {
    let progress = step.progress.unwrap_or_default();
    let rate = progress.rate.map_or(String::new(), |rate| format!(", {rate}"));
    let left = progress.remaining.map_or(String::new(), |left| format!(", {left} left"));
    format!("{}{left}{rate}", phase(step.phase))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulm_model::Bytes;

    #[test]
    fn the_copied_part_is_between_nothing_and_all() {
        let at = |total, remaining| {
            copied(&JobProgress {
                total: Some(Bytes(total)),
                remaining: Some(Bytes(remaining)),
                ..JobProgress::default()
            })
        };
        assert_eq!(at(100, 25), Some(0.75));
        assert_eq!(at(100, 250), Some(0.0), "dirtied faster than sent");
        assert_eq!(at(0, 0), None);
        assert_eq!(copied(&JobProgress::default()), None);
    }
}
