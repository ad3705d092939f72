//! What holds a VM, a host or everything back for a while.

use std::time::Duration;

use ulm_model::{Host, HostIx, HostName, Reason, Time, VmId};
use ulm_place::Barred;
use ulm_policy::Policy;

use crate::Input;
use crate::figures::{self, HostFigures};
use crate::input::doubled;

const DAY: Duration = Duration::from_secs(86_400);

/// Why the VM's own past keeps it where it is: cool-down, minimum residence, failed moves.
pub(crate) fn vm_rests(input: &Input, policy: &Policy, vm: VmId) -> Vec<Reason> {
    let Some(past) = input.past.vms.get(&vm) else { return Vec::new() };
    let (now, mut reasons) = (input.now, Vec::new());
    if let Some(last) = past.moved.last() {
        // Each further move within a day before the last one doubles the rest: who goes back and forth goes ever more slowly.
        let further = past.moved.iter().filter(|at| last.since(**at) < DAY).count() as u32 - 1;
        let until = *last + doubled(policy.hotspot.cool_down, further);
        if now < until {
            reasons.push(Reason::CoolingDown { until });
        }
    }
    if let Some(came) = past.came {
        let until = came + policy.hotspot.minimum_residence;
        if now < until {
            reasons.push(Reason::TooNew { until });
        }
    }
    if let Some(failed_at) = past.failed_at {
        let until = failed_at + doubled(policy.limits.back_off, past.failures.saturating_sub(1));
        if past.failures >= policy.limits.max_failures.max(1) {
            reasons.push(Reason::GivenUp { failures: past.failures });
        } else if now < until {
            reasons.push(Reason::BackingOff { failures: past.failures, until });
        }
    }
    reasons
}

/// The hosts that the VM left too short a while ago to go back, each with when it may.
pub(crate) fn left_lately(input: &Input, policy: &Policy, vm: VmId) -> Vec<(HostIx, Time)> {
    let left = input.past.vms.get(&vm).map(|past| &past.left).into_iter().flatten();
    let lately =
        left.map(|(host, left)| (host, *left + policy.hotspot.no_return)).filter(|(_, until)| input.now < *until);
    lately.filter_map(|(host, until)| Some((input.snapshot.find_host(host)?, until))).collect()
}

/// When the host is judged again after its last move, if that is still to come.
pub(crate) fn settling(input: &Input, policy: &Policy, host: &HostName) -> Option<Reason> {
    let until = *input.past.hosts.get(host)? + policy.hotspot.settle;
    (input.now < until).then(|| Reason::Settling { host: host.clone(), until })
}

/// From when on the host's samples tell of what runs on it now: the end of its last move.
pub(crate) fn unchanged_since(input: &Input, host: &HostName) -> Time {
    // A sample that was taken at the very moment covers the time before it.
    input.past.hosts.get(host).map_or(Time(i64::MIN), |changed| *changed + Duration::from_millis(1))
}

/// What is wrong with the facts as a whole.
pub(crate) fn unbelievable(input: &Input, policy: &Policy) -> Vec<Reason> {
    let (snapshot, of) = (&input.snapshot, "the cluster".to_owned());
    if let Some(flaw) = snapshot.flaw() {
        return vec![Reason::Impossible { of, what: flaw }];
    }
    let mut reasons = Vec::new();
    let (age, limit) = (input.now.since(snapshot.taken_at), policy.observe.stale_after);
    if age > limit {
        reasons.push(Reason::Stale { of, age, limit });
    } else if snapshot.taken_at > input.now + limit {
        reasons
            .push(Reason::Impossible { of, what: format!("a round at {}, which is still to come", snapshot.taken_at) });
    }
    let everything = snapshot.doubts.iter().filter(|doubt| doubt.scope == ulm_model::Scope::Everything);
    reasons.extend(everything.map(|doubt| doubt.reason.clone()));
    reasons
}

/// Looks at a host's figures since its last move.
pub(crate) fn seen(input: &Input, policy: &Policy, host: &Host) -> Result<HostFigures, Reason> {
    figures::of_host(host, policy, input.now, unchanged_since(input, &host.name))
}

/// Why a host of which that was seen is no target just now, if so.
pub(crate) fn bar(input: &Input, policy: &Policy, host: &Host, seen: &Result<HostFigures, Reason>) -> Option<Barred> {
    match (seen, settling(input, policy, &host.name)) {
        (Err(reason), _) => Some(Barred::NoFigures(reason.clone())),
        (Ok(_), Some(settling)) => Some(Barred::Settling(settling)),
        (Ok(seen), None) => seen.enough(host, policy).err().map(Barred::NoFigures),
    }
}

/// Why the host is no target just now, if so.
pub(crate) fn barred(input: &Input, policy: &Policy, host: HostIx) -> Option<Reason> {
    let host = input.snapshot.host(host);
    bar(input, policy, host, &seen(input, policy, host))
        .map(|(Barred::NoFigures(reason) | Barred::Settling(reason))| reason)
}
