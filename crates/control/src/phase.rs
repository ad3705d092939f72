//! The life of one move, as a table of legal transitions. Nothing else in the house changes a phase.

use serde::{Deserialize, Serialize};

/// Where a move stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Wanted by an accepted plan; not begun.
    Waiting,
    /// Written to the ledger; the hypervisor may or may not have been told.
    Intended,
    /// The hypervisor copies.
    Copying,
    /// As copying, but an abort was asked for.
    Aborting,
    /// The hypervisor says that it is over, or nobody knows: both hosts are being asked.
    Settling,
    /// Over, and the outcome is known from both hosts.
    Ended,
    /// Not begun, and never will be.
    Refused,
}

use Phase::{Aborting, Copying, Ended, Intended, Refused, Settling, Waiting};

/// Every legal transition.
pub const LEGAL: &[(Phase, Phase)] = &[
    (Waiting, Intended),
    (Waiting, Refused),
    (Intended, Copying),
    // After a restart: it may have been begun and ended while nobody watched.
    (Intended, Settling),
    (Copying, Aborting),
    (Copying, Settling),
    (Aborting, Settling),
    (Settling, Ended),
    // After a restart: one that is found still running is watched to its end.
    (Settling, Copying),
];

impl Phase {
    /// Whether the table allows the step from here to `next`.
    pub fn may_become(self, next: Phase) -> bool {
        LEGAL.contains(&(self, next))
    }
    /// Whether the move is over.
    pub fn is_final(self) -> bool {
        matches!(self, Ended | Refused)
    }
    /// Whether the hypervisors may hold memory for it on both hosts.
    pub fn may_have_effect(self) -> bool {
        matches!(self, Intended | Copying | Aborting | Settling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Phase; 7] = [Waiting, Intended, Copying, Aborting, Settling, Ended, Refused];

    #[test]
    fn what_is_over_stays_over() {
        for over in ALL.into_iter().filter(|phase| phase.is_final()) {
            assert!(ALL.iter().all(|&next| !over.may_become(next)), "{over:?}");
        }
    }

    #[test]
    fn nothing_is_copied_that_was_not_intended_first() {
        assert!(!Waiting.may_become(Copying) && !Waiting.may_become(Settling));
    }

    #[test]
    fn a_move_with_an_effect_ends_only_by_asking_both_hosts() {
        for phase in ALL.into_iter().filter(|&phase| phase.may_become(Ended)) {
            assert_eq!(phase, Settling);
        }
        assert!(ALL.iter().all(|phase| !(phase.may_have_effect() && phase.may_become(Refused))));
    }

    #[test]
    fn every_phase_can_reach_an_end() {
        let mut can_end: Vec<Phase> = vec![Ended, Refused];
        for _ in ALL {
            let more: Vec<_> = LEGAL.iter().filter(|(_, to)| can_end.contains(to)).map(|&(from, _)| from).collect();
            can_end.extend(more);
        }
        assert!(ALL.iter().all(|phase| can_end.contains(phase)));
    }
}
