//! How far what was found is from what is possible at all.

use ulm_model::Share;
use ulm_place::bound::{self, HostBound};
use ulm_place::{Found, Points};

use super::answer::apply;
use super::measure::carrying;
use super::question::{self, Question};
use crate::report::Bound;

/// What can be said of the best placement that was found: hosts, where it costs something that they carry VMs, and the cost of all; nothing
/// where the present placement costs nothing.
pub(super) fn bounds(question: &Question, found: &Found) -> Vec<Bound> {
    let Some(before) = u64::try_from(found.before).ok().filter(|before| *before > 0) else { return Vec::new() };
    let least = least_hosts(question);
    let hosts = least.as_ref().map(|least| hosts(question, found, least));
    let least = bound::cost(&question.problem, &least.unwrap_or_default());
    hosts.into_iter().chain([cost(before, found.after, least)]).collect()
}

/// What every placement costs at least.
pub(crate) fn least(question: &Question) -> Points {
    bound::cost(&question.problem, &least_hosts(question).unwrap_or_default())
}

/// `None`: it costs nothing that hosts carry VMs, and nobody asks how many do.
fn least_hosts(question: &Question) -> Option<HostBound> {
    let matter = question.problem.awake.iter().any(|points| *points > 0);
    matter.then(|| bound::hosts(&question.problem))
}

fn hosts(question: &Question, found: &Found, least: &HostBound) -> Bound {
    let mut at = question.home();
    found.packages.iter().for_each(|package| apply(&mut at, &package.moves));
    Bound {
        what: "hosts that carry VMs".into(),
        reached: carrying(question, &at).len().to_string(),
        possible: format!("no fewer than {}", least.hosts),
        because: Some(least.because.text(|resource| question::name(resource).to_owned())),
    }
}

/// As parts of what the present placement costs.
fn cost(before: u64, after: Points, least: Points) -> Bound {
    let part = |points: Points| Share::ratio(u64::try_from(points).unwrap_or(0), before);
    Bound {
        what: "cost by all goals together".into(),
        reached: format!("{} of the present one", part(after)),
        possible: format!("no less than {}", part(least)),
        because: None,
    }
}
