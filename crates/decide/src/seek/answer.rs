//! What a search has found, read back.

use ulm_model::{Expected, Gain, HostIx, Reason, Share};
use ulm_place::{Found, PlaceMove};

use crate::wanted::Wanted;
use crate::worth::{Bargain, Terms};

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

/// The moves of a package as VMs that are wanted elsewhere, together or not at all.
pub(super) fn wanted(
    bargain: &Bargain<'_, '_>,
    package: usize,
    because: &dyn Fn(&PlaceMove) -> Reason,
    gains: &[Gain],
    terms: &Terms,
) -> Vec<Wanted> {
    let of = |one: &PlaceMove| {
        let (vm, taking) = bargain.taking(one);
        let expected = Expected {
            duration: taking.duration,
            downtime: taking.downtime,
            bytes: taking.bytes,
            gains: gains.to_vec(),
            payback: terms.payback,
            lasts: terms.payback.map(|_| terms.lasts),
        };
        let (because, package) = (because(one), Some(package as u32));
        Wanted { vm, to: HostIx(one.to), because, expected: Some(expected), package }
    };
    bargain.moves.iter().map(of).collect()
}
