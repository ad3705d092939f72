//! What a search has found, read back.

use ulm_model::{Expected, Gain, HostIx, Reason, Share};
use ulm_place::{Found, PlaceMove};
use ulm_policy::Goal;

use crate::wanted::Wanted;
use crate::worth::Bargain;

/// What is gained, as a part of what the present placement costs.
pub(crate) fn gained(found: &Found) -> Share {
    let gain = u64::try_from(found.before.saturating_sub(found.after)).unwrap_or(0);
    if gain == 0 { Share::ZERO } else { Share::ratio(gain, u64::try_from(found.before).unwrap_or(0)) }
}

/// Makes the moves in a list of hosts by VM.
pub(super) fn apply(at: &mut [u32], moves: &[PlaceMove]) {
    for one in moves {
        at[one.vm as usize] = one.to;
    }
}

/// One move of a package as somebody who is wanted elsewhere.
pub(super) fn wanted(
    bargain: &Bargain<'_, '_>,
    one: &PlaceMove,
    package: usize,
    because: Reason,
    gains: Vec<Gain>,
    goals: &[&Goal],
) -> Wanted {
    let (vm, taking) = bargain.taking(one);
    let payback = bargain.payback(goals);
    let expected = Expected {
        duration: taking.duration,
        downtime: taking.downtime,
        bytes: taking.bytes,
        gains,
        payback,
        lasts: payback.map(|_| bargain.lasts(goals)),
    };
    Wanted { vm, to: HostIx(one.to), because, expected: Some(expected), package: Some(package as u32) }
}
