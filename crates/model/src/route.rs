//! The answer to a [`Task`]: a route, the proof that there is none, or neither within the budget.

use serde::{Deserialize, Serialize};

use crate::Task;

/// A way from A to B: steps in a partial order, with a timetable.
///
/// A step may begin as soon as all that it waits for have ended well, whatever else runs, fails or hangs: every state that can be
/// reached so is sane. The timetable is a forecast, and the steps stand in the order in which it begins them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// What is to be done. A step is named by its place in this list, and waits only for earlier ones.
    pub steps: Vec<RouteStep>,
    /// What all moves cost.
    pub cost: u64,
    /// No route costs less.
    pub cost_bound: u64,
    /// When the last step ends, in milliseconds from the beginning.
    pub makespan_ms: u64,
    /// No timetable that keeps the limits on moves at once, the links and the forecast durations ends before, in milliseconds.
    pub makespan_bound_ms: u64,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteStep {
    /// What is done.
    pub action: RouteAction,
    /// Steps that must have ended well before, by their places; ascending.
    pub after: Vec<u32>,
    /// When it begins, in milliseconds from the beginning.
    pub start_ms: u64,
    /// When it ends, in milliseconds from the beginning.
    pub end_ms: u64,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteAction {
    /// One live migration.
    Move {
        /// Which VM.
        vm: u32,
        /// Where it is.
        from: u32,
        /// Where it goes.
        to: u32,
        /// Bytes per second that it takes of each link on its way; 0 when there is none.
        rate: u64,
    },
    /// A host is switched on.
    PowerOn {
        /// Which host.
        host: u32,
    },
    /// A host is switched off.
    PowerOff {
        /// Which host.
        host: u32,
    },
}

/// A placement that a proof speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Where the VMs are.
    A,
    /// Where they are to be.
    B,
}

/// A proof that no route leads from A to B. A separate checker accepts it or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// B breaks a limit or a rule itself.
    Unsound {
        /// What it breaks, and where.
        breach: Breach,
    },
    /// These VMs can never make their first move (from A), or their last one (to B), even if all others were out of the way
    /// as far as they can ever be; one of them is to be elsewhere.
    ///
    /// Meaning for `A`: whichever listed VM moved first would find on every other host either a rule against it, or less room than
    /// it needs, even if the listed VMs alone were there. Room: the limit (no worse than A), less the listed VMs there; of a
    /// resource that always holds also no more than is free in all hosts together. For `B` the same, backwards in time.
    Frozen {
        /// Seen from here.
        from: End,
        /// Which VMs; ascending.
        vms: Vec<u32>,
    },
    /// All placements that can be reached from A (or from which B can be reached), and the other end is not among them.
    ///
    /// VMs of one class are interchangeable in everything that always holds: same sizes, same host in B, named together by every rule
    /// that can be broken; and, when their host in A is one that they may not come back to, the same host in A. VMs in no class
    /// either never move, or what they do only takes room from those in a class: they are not counted. Backwards from B a VM may
    /// have come from any host that it may go to, and from its host in A.
    Closed {
        /// Seen from here.
        from: End,
        /// The classes of VMs of which the states tell. Members ascend.
        classes: Vec<Vec<u32>>,
        /// For each state the hosts of the VMs, class by class, ascending within each class. The states ascend.
        states: Vec<Vec<u32>>,
    },
    /// As [`Certificate::Closed`], for so many states that they are counted instead of listed; the checker explores them again.
    Explored {
        /// Seen from here.
        from: End,
        /// The classes of VMs of which the states tell.
        classes: Vec<Vec<u32>>,
        /// How many states there are.
        states: u64,
    },
}

/// What a placement breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// More is asked of a host than it has.
    Capacity {
        /// Which host.
        host: u32,
        /// Of what.
        resource: u32,
    },
    /// A rule.
    Rule {
        /// Which.
        rule: u32,
    },
    /// A VM is on a host that is off in B.
    Off {
        /// Which VM.
        vm: u32,
    },
    /// A VM is to go to a host that takes nothing.
    TakesNothing {
        /// Which VM.
        vm: u32,
    },
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There is a route.
    Route(Route),
    /// There is none.
    Impossible {
        /// The proof.
        certificate: Certificate,
    },
    /// Neither was found within the budget.
    Undecided {
        /// A route to as near to B as was found: it can be carried out, and every state on it is sane.
        best: Route,
        /// VMs that are not at their hosts of B at its end.
        left: Vec<u32>,
        /// States that were explored.
        explored: u64,
        /// What ended the search.
        why: Stopped,
    },
}

/// What ended a search before it was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// The budget of work.
    Expansions,
    /// The budget of memory.
    Memory,
    /// The wall clock: the same input may give another answer on another machine.
    Clock,
    /// Somebody asked for it.
    Interrupted,
    /// Nothing that is tried with a task of this size led any further; a larger budget would not either.
    Ideas,
}

impl Route {
    /// Where each VM is when all steps have been done, beginning with A.
    pub fn placement(&self, task: &Task) -> Vec<u32> {
        let mut at: Vec<u32> = task.vms.iter().map(|vm| vm.from).collect();
        for step in &self.steps {
            if let RouteAction::Move { vm, to, .. } = step.action {
                at[vm as usize] = to;
            }
        }
        at
    }
    /// How many of its steps are moves.
    pub fn moves(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step.action, RouteAction::Move { .. })).count()
    }
}
