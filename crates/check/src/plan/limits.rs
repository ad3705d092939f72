//! **Limits.** So many moves run at once, in all and for each host. Who carries a plan out keeps them by waiting.

use std::collections::BTreeMap;

use ulm_model::{HostIx, Reason};

use super::{Case, Fault};

/// Whether all of these can begin at once: with what runs already there are never more moves than the limits say, in all and for
/// each host.
pub(super) fn kept(beginning: &[usize], case: &Case<'_>) -> Result<(), Fault> {
    let grounds = case.grounds;
    let (limits, running) = (grounds.rulebook.limits, &grounds.snapshot.in_flight);
    let most = running.len() + beginning.len();
    if !beginning.is_empty() && most > limits.moves as usize {
        return Err(Fault::TooManyAtOnce { moves: most as u32, limit: limits.moves });
    }
    let mut touching: BTreeMap<HostIx, Vec<usize>> = BTreeMap::new();
    for i in beginning {
        touching.entry(case.steps[*i].from).or_default().push(*i);
        touching.entry(case.steps[*i].to).or_default().push(*i);
    }
    for (host, steps) in touching {
        let there = running.iter().filter(|flight| flight.from == host || flight.to == Some(host)).count();
        let most = there + steps.len();
        if most > limits.moves_per_host as usize {
            let (host, limit) = (grounds.snapshot.host(host).name.clone(), limits.moves_per_host);
            return Err(case.breaks(steps[0], Reason::HostBusy { host, moves: most as u32, limit }).1);
        }
    }
    Ok(())
}
