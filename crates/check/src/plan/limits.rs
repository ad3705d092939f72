//! The limits on moves at once.

use std::collections::BTreeMap;

use ulm_model::{HostIx, Reason};

use super::{Fault, Grounds, Resolved, breaks};

/// Whether all of these can begin at once: with what runs already there are never more moves than the limits say, in all and for
/// each host.
pub(super) fn kept(beginning: &[&Resolved<'_>], grounds: &Grounds<'_>) -> Result<(), Fault> {
    let (limits, running) = (grounds.rulebook.limits, &grounds.snapshot.in_flight);
    let most = running.len() + beginning.len();
    if !beginning.is_empty() && most > limits.moves as usize {
        return Err(Fault::TooManyAtOnce { moves: most as u32, limit: limits.moves });
    }
    let mut touching: BTreeMap<HostIx, Vec<&Resolved<'_>>> = BTreeMap::new();
    for step in beginning {
        touching.entry(step.from).or_default().push(step);
        touching.entry(step.to).or_default().push(step);
    }
    for (host, steps) in touching {
        let there = running.iter().filter(|flight| flight.from == host || flight.to == Some(host)).count();
        let most = there + steps.len();
        if most > limits.moves_per_host as usize {
            let (host, limit) = (grounds.snapshot.host(host).name.clone(), limits.moves_per_host);
            return Err(breaks(steps[0], grounds, Reason::HostBusy { host, moves: most as u32, limit }));
        }
    }
    Ok(())
}
