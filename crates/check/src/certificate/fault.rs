//! Why a certificate proves nothing.

use thiserror::Error;

/// Why a certificate does not prove that there is no route.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertificateFault {
    /// The question has no sound shape.
    #[error("the task is not sound: {flaw}")]
    TaskFlawed {
        /// What is wrong.
        flaw: String,
    },
    /// A number that is not in the task.
    #[error("the proof names a VM, a host, a resource or a rule that is not in the task")]
    Unknown,
    /// B does not break it.
    #[error("B is said to be unsound, but does not break {what}")]
    NotBroken {
        /// What it is said to break.
        what: String,
    },
    /// A list without its order.
    #[error("VM {vm} is listed twice, or not in ascending order")]
    Unordered {
        /// The VM.
        vm: String,
    },
    /// A group is named in part.
    #[error("VM {vm} is listed, and {other}, which moves with it, is not")]
    HalfGroup {
        /// The VM.
        vm: String,
        /// A member of its group.
        other: String,
    },
    /// All that is said to be frozen may be.
    #[error("none of the frozen VMs is to be elsewhere, so they prove nothing")]
    NothingToMove,
    /// Seen from A, it can make its first move.
    #[error("VM {vm} is not frozen: it can be the first of them to move, to {host}")]
    CanLeave {
        /// The VM.
        vm: String,
        /// Where to.
        host: String,
    },
    /// Seen from B, it can make its last move.
    #[error("VM {vm} is not frozen: it can be the last of them to arrive, from {host}")]
    CanArrive {
        /// The VM.
        vm: String,
        /// Where from.
        host: String,
    },
    /// A class of VMs that differ.
    #[error("VMs {vm} and {other} are in one class and are not interchangeable")]
    Different {
        /// A VM.
        vm: String,
        /// Another one.
        other: String,
    },
    /// A list of hosts that is no placement.
    #[error("state {state} is no placement of the classes: wrong length or order, or {vm} cannot be where it is")]
    NoState {
        /// The state, by its place.
        state: usize,
        /// The VM that comes first in what is wrong.
        vm: String,
    },
    /// States without their order.
    #[error("state {state} is listed twice, or not in ascending order")]
    StatesUnordered {
        /// The state, by its place.
        state: usize,
    },
    /// The end from which it is seen is not among the states.
    #[error("the states begin at {from}, but {from} is not among them")]
    NoStart {
        /// `A` or `B`.
        from: &'static str,
    },
    /// There may be a route.
    #[error("{other} is among the states, so there may be a route")]
    OtherEnd {
        /// `A` or `B`.
        other: &'static str,
    },
    /// A move leads out of the states.
    #[error("VM {vm} can move from {from} to {to} at state {state}, and the state on the other side is not listed")]
    Open {
        /// The state, by its place.
        state: usize,
        /// The VM.
        vm: String,
        /// From where.
        from: String,
        /// To where.
        to: String,
    },
    /// Too many to be explored again.
    #[error("{states} states are too many to be explored again; at most {most} are")]
    TooMany {
        /// So many.
        states: u64,
        /// The most.
        most: u64,
    },
    /// Another count.
    #[error("the proof counts {said} states, but there are {found}{}", if *found > *said { " or more" } else { "" })]
    Count {
        /// What the proof says.
        said: u64,
        /// What was found.
        found: u64,
    },
}
