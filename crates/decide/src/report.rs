//! What was decided, and every why and why-not that can be asked for later.

use std::fmt;

use serde::{Deserialize, Serialize};
use ulm_check::Sane;
use ulm_model::text::Document;
use ulm_model::{Acting, Action, Bytes, Gain, HostName, MilliCpu, Plan, Reason, Resource, Share, Stopped, VmId};

/// What was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What is to be done; without steps when nothing is.
    pub plan: Plan,
    /// The checker's receipt for the plan; there always is one when the plan has steps.
    pub sane: Option<Sane>,
    /// Why, and why not.
    pub report: Report,
}

impl Decision {
    /// The hosts that stay overworked because nothing on them can go anywhere, each with the reason that says so.
    pub fn stuck(&self) -> impl Iterator<Item = (&HostName, &Reason)> {
        self.report.hosts.iter().flat_map(|host| {
            let ends = host.relief.iter().filter_map(|relief| relief.ends.as_ref());
            ends.filter(|reason| matches!(reason, Reason::Stuck { .. })).map(|reason| (&host.host, reason))
        })
    }
}

impl Document for Decision {
    const SCHEMA: &'static str = "ulm.decision/1";
}

/// Why, and why not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Whether plans of the policy are carried out.
    pub acting: Acting,
    /// The one reason that tells most.
    pub summary: Reason,
    /// The gates that the round as a whole went through, in order, up to the one that held it back.
    pub gates: Vec<GateReport>,
    /// Hosts of which there is something to say, the most overworked ones first.
    pub hosts: Vec<HostReport>,
    /// Goals of which there is something to say, in the policy's order.
    #[serde(default)]
    pub goals: Vec<GoalReport>,
    /// How far the best placement for the goals is from what is possible at all. A plan makes the first moves to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<Bound>,
    /// What a longer search brought, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longer: Option<LongerSearch>,
    /// What VMs ask for by their tags and cannot be obeyed; the rest is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aside: Vec<SetAside>,
}

/// What a VM asks for and cannot be obeyed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetAside {
    /// Which VM.
    pub vm: VmId,
    /// Its name.
    pub name: String,
    /// Why not.
    pub reason: Reason,
}

impl Report {
    /// A report in which there is nothing yet.
    pub(crate) fn new(acting: Acting, summary: Reason) -> Self {
        let (gates, hosts, goals, bounds, aside) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Report { acting, summary, gates, hosts, goals, bounds, longer: None, aside }
    }
}

/// What there is to say of a goal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoalReport {
    /// The goal, as the policy names it.
    pub goal: String,
    /// What the plan brings for it.
    pub gains: Vec<Gain>,
    /// Why nothing is done for it, if so.
    pub ends: Option<Reason>,
    /// What of it was set aside, e.g. expressions without a result.
    pub aside: Vec<Reason>,
}

/// How far a figure is from the least that any placement could have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Which figure.
    pub what: String,
    /// What it is in the best placement that was found.
    pub reached: String,
    /// What is proved of all placements.
    pub possible: String,
    /// What the proof stands on, if that can be said in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// What a longer search brought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LongerSearch {
    /// Placements that were weighed beside those of the quick search.
    pub weighed: u64,
    /// Who ended it before its budget was spent: what was found until then counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a longer search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// How far each search comes; if the longer one's plan is the better one it is taken.
    Looked {
        /// The quick search.
        quick: Reached,
        /// What is better of both.
        longer: Reached,
        /// By how much less the goals cost after the longer one's plan, as a part of what they cost after the quick one's.
        less: Share,
    },
    /// No placement that may be costs less than the one that the quick search found, so it was not begun.
    NothingLeft,
    /// The round is not about what goals make better, so it was not begun.
    NotAsked,
}

/// How far a search comes, in parts of what the goals cost now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// What they cost after its plan.
    pub plan: Share,
    /// What they cost in the best placement that it found. Plans make the first moves to it.
    pub placement: Share,
}

impl LongerSearch {
    /// There was nothing to look for.
    pub(crate) fn not_begun(outcome: Outcome) -> Self {
        LongerSearch { weighed: 0, stopped: None, outcome }
    }
}

/// A gate that a round goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Something is wanted at this time.
    Enabled,
    /// The facts as a whole can be believed.
    Data,
    /// Some host has been overworked for long enough.
    Sustained,
    /// Further moves may be begun.
    Limits,
    /// Another placement is better by the goals, and worth the moves.
    Worth,
    /// A safe way leads to where VMs are wanted. Only mentioned when some have none.
    Way,
    /// The independent checker agrees.
    Check,
}

/// What a gate said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateReport {
    /// Which gate.
    pub gate: Gate,
    /// Why it held the round back; empty: it let it pass.
    pub held: Vec<Reason>,
}

/// What there is to say of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostReport {
    /// Which host.
    pub host: HostName,
    /// What was found: overworked, settling, stale, not sustained … in the order of the gates.
    pub findings: Vec<Reason>,
    /// For an overworked host: what came of trying to relieve it, for each hot resource.
    pub relief: Vec<Relief>,
}

/// What came of trying to relieve a host of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relief {
    /// The hot resource.
    pub resource: Resource,
    /// What the host will use of it when all moves from it have ended.
    pub after: Share,
    /// The VMs that were looked at, most hungry first.
    pub vms: Vec<VmReport>,
    /// VMs that were not looked at, or not listed for length.
    pub more_vms: u32,
    /// Why no more is done, when the host stays overworked.
    pub ends: Option<Reason>,
}

/// What came of looking at a VM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VmReport {
    /// Which VM.
    pub vm: VmId,
    /// Its name.
    pub name: String,
    /// CPU that it uses on average.
    pub cpu: MilliCpu,
    /// Memory of the host that it uses on average.
    pub memory: Bytes,
    /// What came of it.
    pub answer: Answer,
}

/// Moved, not moved, or no target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It goes there.
    Goes(HostName),
    /// It is not moved, whatever the target.
    Stays(Vec<Reason>),
    /// No host takes it: for each obstacle how many hosts it rules out, and the reason for the first of them.
    Nowhere(Vec<(u32, Reason)>),
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.plan.steps {
            let Action::Move { vm_name, from, to, .. } = &step.action;
            writeln!(f, "move {vm_name} from {from} to {to}: {}", step.because)?;
        }
        self.report.fmt(f)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.summary)?;
        for reason in self.gates.iter().flat_map(|gate| &gate.held).filter(|reason| **reason != self.summary) {
            writeln!(f, "{reason}")?;
        }
        for host in &self.hosts {
            writeln!(f, "{}:", host.host)?;
            for finding in &host.findings {
                writeln!(f, "  {finding}")?;
            }
            for relief in &host.relief {
                relief.fmt(f)?;
            }
        }
        for goal in &self.goals {
            goal.fmt(f)?;
        }
        for bound in &self.bounds {
            writeln!(f, "{bound}")?;
        }
        if let Some(longer) = &self.longer {
            writeln!(f, "{longer}")?;
        }
        for aside in &self.aside {
            writeln!(f, "{}: {}", aside.name, aside.reason)?;
        }
        if self.acting == Acting::Off {
            writeln!(f, "{}", Reason::ActingOff {})?;
        }
        Ok(())
    }
}

impl fmt::Display for GoalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "goal `{}`:", self.goal)?;
        for gain in &self.gains {
            writeln!(f, "  {}: {} → {}", gain.what, gain.before, gain.after)?;
        }
        for reason in self.aside.iter().chain(&self.ends) {
            writeln!(f, "  {reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at best: {}; {}", self.what, self.reached, self.possible)?;
        self.because.as_ref().map_or(Ok(()), |because| write!(f, " ({because})"))
    }
}

impl fmt::Display for LongerSearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (quick, longer, less) = match self.outcome {
            Outcome::Looked { quick, longer, less } => (quick, longer, less),
            Outcome::NothingLeft => {
                return write!(
                    f,
                    "no longer search: no placement that may be costs less than the one that the quick search found"
                );
            }
            Outcome::NotAsked => {
                return write!(
                    f,
                    "no longer search: it looks for what goals make better; this round is about other things"
                );
            }
        };
        match (self.weighed / 1000, self.weighed / 100_000) {
            (0..10, _) => write!(f, "a longer search of {} placements: ", self.weighed)?,
            (thousands, 0..10) => write!(f, "a longer search of {thousands} thousand placements: ")?,
            (_, tenths) => write!(f, "a longer search of {}.{} million placements: ", tenths / 10, tenths % 10)?,
        }
        match less.0 {
            1..10 => write!(
                f,
                "after this plan the goals cost less than 0.1 % less than after the quick search's ({} of what they cost now)",
                longer.plan
            )?,
            10.. => write!(
                f,
                "after this plan the goals cost {less} less than after the quick search's ({} of what they cost now, not {})",
                longer.plan, quick.plan
            )?,
            0 => {
                write!(f, "its plan is no better than the quick search's ({} of what the goals cost now)", quick.plan)?
            }
        }
        if longer.placement < quick.placement {
            write!(f, "; the best placement costs {}, not {}", longer.placement, quick.placement)?;
        }
        match self.stopped {
            None => Ok(()),
            Some(Stopped::Clock) => {
                write!(f, "; the time was over: another time the same input may give another answer")
            }
            Some(_) => write!(f, "; it was ended early: this is the best so far"),
        }
    }
}

impl fmt::Display for Relief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for vm in &self.vms {
            write!(f, "  {} ({}, {}) ", vm.name, vm.cpu, vm.memory)?;
            match &vm.answer {
                Answer::Goes(to) => writeln!(f, "goes to {to}")?,
                Answer::Stays(reasons) => {
                    let reasons: Vec<String> = reasons.iter().map(Reason::to_string).collect();
                    writeln!(f, "stays: {}", reasons.join("; "))?;
                }
                Answer::Nowhere(counts) => {
                    writeln!(f, "fits nowhere:")?;
                    for (hosts, example) in counts {
                        let others = if *hosts > 1 { format!(" (and {} more)", hosts - 1) } else { String::new() };
                        writeln!(f, "    {example}{others}")?;
                    }
                }
            }
        }
        if self.more_vms > 0 {
            writeln!(f, "  {} more VM(s) not looked at or not listed", self.more_vms)?;
        }
        match &self.ends {
            Some(reason) => writeln!(f, "  {} then: {}; {reason}", self.resource, self.after),
            None => writeln!(f, "  {} then: {}", self.resource, self.after),
        }
    }
}
