//! Why there is no way, in a sentence, and who is to be left out for that.

use ulm_model::{Answer, Breach, Certificate, Reason, TaskRuleKind};
use ulm_rules::Initiative;

use super::field::{Field, Ground};
use crate::wanted::Wanted;

/// There is no way for all of those that were asked for.
pub(super) struct No {
    /// Which of them is to be left out.
    pub without: usize,
    /// Whether it took much effort to find out.
    pub dear: bool,
    /// What is in the way, as the end of a sentence.
    why: String,
}

impl No {
    /// Reads it from the answer: whoever the proof names, and of these the one that was asked for last.
    pub fn of(answer: &Answer, field: &Field, ground: &Ground<'_>, asked: &[&Wanted]) -> Self {
        let last = asked.len() - 1;
        let last_of =
            |concerned: &dyn Fn(usize) -> bool| (0..asked.len()).rev().find(|i| concerned(*i)).unwrap_or(last);
        let no = |without: usize, dear: bool, why: String| No { without, dear, why };
        let certificate = match answer {
            Answer::Impossible { certificate } => certificate,
            Answer::Route(_) | Answer::Undecided { .. } => {
                return no(last, true, "none was found with the effort that is made for it".into());
            }
        };
        match certificate {
            Certificate::Unsound { breach: Breach::Capacity { host, resource } } => {
                let (to, what) = (field.hosts[*host as usize], &field.task.resources[*resource as usize].name);
                let why = format!("{} has too little {what} for all that are to be there", ground.name(to));
                no(last_of(&|i| asked[i].to == to), false, why)
            }
            Certificate::Unsound { breach: Breach::TakesNothing { vm } | Breach::Off { vm } } => {
                let without = last_of(&|i| i == *vm as usize);
                let one = asked[without];
                let crowded =
                    || format!("{} has no room left once VMs that are to leave it count unmerged", ground.name(one.to));
                let why = ground.takes_nothing(one.to, one.vm).map_or_else(crowded, |reason| reason.to_string());
                no(without, false, why)
            }
            Certificate::Unsound { breach: Breach::Rule { rule } } => {
                let outside = |i: usize| match &field.task.rules[*rule as usize].kind {
                    TaskRuleKind::Only { vms, hosts } => {
                        vms.contains(&(i as u32)) && !hosts.contains(&field.task.vms[i].to)
                    }
                    _ => false,
                };
                let without = last_of(&outside);
                let reasons = ground.state.why_not(asked[without].vm, asked[without].to, Initiative::Automatic);
                let why = reasons.first().map_or_else(|| "a rule forbids it".into(), Reason::to_string);
                no(without, false, why)
            }
            Certificate::Frozen { vms, .. } => {
                let why = "it and what is in its way have no room for a first move, not even with further hosts' help";
                no(last_of(&|i| vms.binary_search(&(i as u32)).is_ok()), false, why.into())
            }
            Certificate::Closed { .. } | Certificate::Explored { .. } => {
                no(last, true, "no order of moves leads there, not even with further hosts' help".into())
            }
        }
    }

    /// For a VM that says of itself what cannot be.
    pub fn too_large() -> Self {
        No { without: 0, dear: false, why: "no VM is as large as it says".into() }
    }

    /// The reason for one that is left out.
    pub fn reason(&self, ground: &Ground<'_>, one: &Wanted) -> Reason {
        let vm = ground.input.snapshot.vm(one.vm).name.clone();
        Reason::NoWay { vm, host: ground.name(one.to), why: self.why.clone() }
    }
}
