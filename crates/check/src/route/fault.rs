//! What is wrong with a route: the first bad state, as a sentence.

use std::fmt;

use thiserror::Error;

/// The first thing that is wrong with a route. Steps are named by their places in [`ulm_model::Route::steps`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RouteFault {
    /// The question has no sound shape.
    #[error("the task is not sound: {flaw}")]
    TaskFlawed {
        /// What is wrong.
        flaw: String,
    },
    /// A number that is not in the task.
    #[error("step {step} names a VM or a host that is not in the task")]
    Unknown {
        /// The step.
        step: u32,
    },
    /// A step waits for one that does not come before.
    #[error("step {step} waits for step {other}, which does not come before it")]
    NotEarlier {
        /// The step that waits.
        step: u32,
        /// What it waits for.
        other: u32,
    },
    /// The list of steps that one waits for has no order.
    #[error("step {step} does not name the steps that it waits for in ascending order, each once")]
    Unordered {
        /// The step.
        step: u32,
    },
    /// The VM is elsewhere then.
    #[error("step {step} moves {vm} away from {from}, but it is on {really}")]
    WrongSource {
        /// The step.
        step: u32,
        /// The VM.
        vm: String,
        /// Where the step takes it to be.
        from: String,
        /// Where it is.
        really: String,
    },
    /// Nowhere to go.
    #[error("step {step} moves {vm} from {host} to {host}")]
    SameHost {
        /// The step.
        step: u32,
        /// The VM.
        vm: String,
        /// The host.
        host: String,
    },
    /// A VM's moves in no order.
    #[error("steps {other} and {step} both move {vm}, and the later one does not wait for the earlier one")]
    NoChain {
        /// The later step.
        step: u32,
        /// The earlier step.
        other: u32,
        /// The VM.
        vm: String,
    },
    /// The VM cannot move.
    #[error("step {step} moves {vm}, which stays where it is")]
    Stays {
        /// The step.
        step: u32,
        /// The VM.
        vm: String,
    },
    /// The host only gives.
    #[error("step {step} moves {vm} to {host}, which takes nothing")]
    TakesNothing {
        /// The step.
        step: u32,
        /// The VM.
        vm: String,
        /// The host.
        host: String,
    },
    /// The host is off.
    #[error("step {step} moves {vm} to {host}, which is off")]
    Off {
        /// The step.
        step: u32,
        /// The VM.
        vm: String,
        /// The host.
        host: String,
    },
    /// The host is to be off.
    #[error("step {step} moves {vm} to {host}, which is to be switched off")]
    GoesOff {
        /// The step.
        step: u32,
        /// The VM.
        vm: String,
        /// The host.
        host: String,
    },
    /// The host may still be off.
    #[error("step {step} moves {vm} to {host}, and does not wait until it has been switched on")]
    NotYetOn {
        /// The step.
        step: u32,
        /// The VM.
        vm: String,
        /// The host.
        host: String,
    },
    /// A rule about where the VM goes.
    #[error("step {step} moves {vm} from {from} to {to}, and rule {rule} is against it")]
    Forbidden {
        /// The step.
        step: u32,
        /// The VM.
        vm: String,
        /// From where.
        from: String,
        /// To where.
        to: String,
        /// The rule.
        rule: String,
    },
    /// Switched on or off against the task, or twice.
    #[error("step {step} switches {host} on or off, and that is not asked for, or was done before")]
    Switch {
        /// The step.
        step: u32,
        /// The host.
        host: String,
    },
    /// A host that goes off with a VM on it.
    #[error("step {step} switches {host} off, and does not wait until {vm} has left it")]
    NotEmpty {
        /// The step.
        step: u32,
        /// The host.
        host: String,
        /// The VM.
        vm: String,
    },
    /// Members of a group move in different ways.
    #[error("step {step} moves {vm}, but not from where, to where and after what {other} moves, which it must be with")]
    Apart {
        /// The step.
        step: u32,
        /// The VM.
        vm: String,
        /// The other member of its group.
        other: String,
    },
    /// A group that goes on before it has arrived.
    #[error(
        "step {step} moves {vm} on, and does not wait until {other}, which it must be with, is there (step {arrival})"
    )]
    NotGathered {
        /// The step.
        step: u32,
        /// The VM.
        vm: String,
        /// The other member of its group.
        other: String,
        /// Its arrival.
        arrival: u32,
    },
    /// A step ends before it begins.
    #[error("step {step} ends at {end_ms} ms, before it begins at {start_ms} ms")]
    EndsEarly {
        /// The step.
        step: u32,
        /// Its beginning.
        start_ms: u64,
        /// Its end.
        end_ms: u64,
    },
    /// Steps stand in the order in which they begin.
    #[error("step {step} begins at {start_ms} ms, before the step that is listed before it")]
    OutOfTurn {
        /// The step.
        step: u32,
        /// Its beginning.
        start_ms: u64,
    },
    /// A step begins before one that it waits for has ended.
    #[error("step {step} begins at {start_ms} ms, before step {other}, which it waits for, ends at {end_ms} ms")]
    TooEarly {
        /// The step.
        step: u32,
        /// Its beginning.
        start_ms: u64,
        /// What it waits for.
        other: u32,
        /// That one's end.
        end_ms: u64,
    },
    /// More moves to a host at once than may be.
    #[error("with step {step} {moves} moves to {host} run at once, at most {limit} may")]
    TooManyIn {
        /// The step.
        step: u32,
        /// The host.
        host: String,
        /// So many moves.
        moves: usize,
        /// The limit.
        limit: u32,
    },
    /// More moves from a host at once than may be.
    #[error("with step {step} {moves} moves from {host} run at once, at most {limit} may")]
    TooManyOut {
        /// The step.
        step: u32,
        /// The host.
        host: String,
        /// So many moves.
        moves: usize,
        /// The limit.
        limit: u32,
    },
    /// More on a link than it carries.
    #[error("with step {step} moves take {rate} bytes/s of link {link}, which carries {limit}")]
    LinkFull {
        /// The step.
        step: u32,
        /// The link.
        link: String,
        /// Bytes per second.
        rate: u64,
        /// What it carries.
        limit: u64,
    },
    /// A state with too much of a resource on a host.
    #[error("while step {step} brings {vm} to {host}, {resource} on {host} can reach {reach} of {limit}: {company}")]
    Overfull {
        /// The step that leads there.
        step: u32,
        /// The VM that it brings.
        vm: String,
        /// The host.
        host: String,
        /// The resource.
        resource: String,
        /// What is asked for in the worst state.
        reach: u64,
        /// The limit; no worse than A.
        limit: u64,
        /// Who is there then.
        company: Box<Company>,
    },
    /// A state with too many VMs of a rule in a domain.
    #[error("while step {step} brings {vm} to {host}, rule {rule} can come to {reach} of {limit}: {company}")]
    TooMany {
        /// The step that leads there.
        step: u32,
        /// The VM that it brings.
        vm: String,
        /// The host.
        host: String,
        /// The rule.
        rule: String,
        /// So many in the worst state.
        reach: u64,
        /// The limit; no worse than A.
        limit: u64,
        /// Who is there then.
        company: Box<Company>,
    },
    /// The timetable's end is not that of its last step.
    #[error("the route says that it takes {found} ms, but its last step ends at {wanted} ms")]
    Makespan {
        /// What the route says.
        found: u64,
        /// When the last step ends.
        wanted: u64,
    },
    /// A VM that has not come to its place.
    #[error("at the end {vm} is on {really}, not on {host}")]
    NotThere {
        /// The VM.
        vm: String,
        /// Where it is to be.
        host: String,
        /// Where it is.
        really: String,
    },
    /// A host that is to be switched on or off, and was not.
    #[error("at the end {host} has not been switched {}", if *on { "on" } else { "off" })]
    NotSwitched {
        /// The host.
        host: String,
        /// Whether it was to be switched on; else off.
        on: bool,
    },
    /// The route leads to B, but B is not sound.
    #[error("the end itself is not sound: {breach}")]
    EndUnsound {
        /// What B breaks.
        breach: String,
    },
}

impl RouteFault {
    /// The step that leads there, unless the fault is of the task, or of the end.
    pub fn step(&self) -> Option<u32> {
        use RouteFault::*;
        match self {
            Unknown { step, .. }
            | NotEarlier { step, .. }
            | Unordered { step, .. }
            | WrongSource { step, .. }
            | SameHost { step, .. }
            | NoChain { step, .. }
            | Stays { step, .. }
            | TakesNothing { step, .. }
            | Off { step, .. }
            | GoesOff { step, .. }
            | NotYetOn { step, .. }
            | Forbidden { step, .. }
            | Switch { step, .. }
            | NotEmpty { step, .. }
            | Apart { step, .. }
            | NotGathered { step, .. }
            | EndsEarly { step, .. }
            | OutOfTurn { step, .. }
            | TooEarly { step, .. }
            | TooManyIn { step, .. }
            | TooManyOut { step, .. }
            | LinkFull { step, .. }
            | Overfull { step, .. }
            | TooMany { step, .. } => Some(*step),
            TaskFlawed { .. } | Makespan { .. } | NotThere { .. } | NotSwitched { .. } | EndUnsound { .. } => None,
        }
    }
}

/// Who is there in a bad state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Company {
    /// VMs that are there; the one that has just been brought is the last.
    pub there: Vec<Guest>,
    /// Those of them that are to leave, each with the step: it need not have ended.
    pub leaving: Vec<(String, u32)>,
}

/// A VM that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// The VM.
    pub vm: String,
    /// Whether another step that brings it may still run.
    pub arriving: bool,
}

/// So many names are told.
const TOLD: usize = 6;

impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.vm, if self.arriving { " (arriving)" } else { "" })
    }
}

impl fmt::Display for Company {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there: Vec<String> = self.there.iter().map(Guest::to_string).collect();
        write!(f, "{} there", listed(&there, "is", "are"))?;
        match self.leaving.len() {
            0 => Ok(()),
            _ => {
                let leaving: Vec<String> =
                    self.leaving.iter().map(|(vm, step)| format!("{vm}'s departure (step {step})")).collect();
                write!(f, ", and {} need not have ended", listed(&leaving, "", "").trim_end())
            }
        }
    }
}

/// `a`, `a and b`, `a, b and c`, and a verb.
fn listed(names: &[String], one: &str, many: &str) -> String {
    match names {
        [] => format!("nobody {one}"),
        [name] => format!("{name} {one}"),
        [first, .., last] if names.len() <= TOLD => {
            let middle: String = names[1..names.len() - 1].iter().map(|name| format!(", {name}")).collect();
            format!("{first}{middle} and {last} {many}")
        }
        [.., last] => {
            let (told, rest) = (names[..TOLD - 1].join(", "), names.len() - TOLD);
            format!("{told}, {rest} more and {last} {many}")
        }
    }
}
