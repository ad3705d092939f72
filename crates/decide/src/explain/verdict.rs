//! What the goals that make a placement better say of one move.

use serde::{Deserialize, Serialize};
use ulm_model::{Gain, HostIx, Reason, Share, VmId, VmIx};
use ulm_place::{Found, PlaceMove, Points, cost};
use ulm_policy::{Goal, Policy};

use crate::goals::Goals;
use crate::round::Round;
use crate::seek::question::Question;
use crate::seek::{self, measure};
use crate::worth::Bargain;
use crate::{Input, gates};

/// The goals that are on as a question, and what the present placement costs by them.
pub(super) struct Verdict<'p> {
    question: Question,
    goals: Vec<&'p Goal>,
    now: Points,
}

impl<'p> Verdict<'p> {
    pub fn new(round: &mut Round<'_>, goals: &Goals<'p>) -> Self {
        let (question, _) = seek::ask::of_goals(round, &goals.others, goals.rules);
        let now = cost(&question.problem, &question.home()).total();
        Verdict { question, goals: goals.others.clone(), now }
    }

    /// What there is against the move, if anything: nothing is gained, or too little, or too late.
    pub fn of(&self, round: &Round<'_>, vm: VmIx, to: HostIx) -> Option<Reason> {
        if self.goals.is_empty() {
            return None;
        }
        let number = self.question.number[vm.at()]?;
        let (home, mut after) = (self.question.home(), self.question.home());
        after[number as usize] = to.0;
        let then = cost(&self.question.problem, &after).total();
        let found = Found { before: self.now, after: then, ..Found::default() };
        let (gain, needed) = (seek::answer::gained(&found), round.policy.worth.gain);
        if gain == Share::ZERO {
            return Some(Reason::NothingGained {});
        }
        if gain < needed {
            return Some(Reason::GainTooSmall { gain, needed });
        }
        let moves = [PlaceMove { vm: number, to: to.0 }];
        let bargain = Bargain { question: &self.question, round, before: &home, after: &after, moves: &moves };
        bargain.refused(&self.goals)
    }
}

/// Where a VM stands with the policy just now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Which VM.
    pub vm: VmId,
    /// Its name.
    pub name: String,
    /// The host that it is on.
    pub host: ulm_model::HostName,
    /// What holds it there whatever the target; empty: nothing does.
    pub held: Vec<Reason>,
    /// Rules that are not kept where it is.
    pub broken: Vec<Reason>,
    /// The best that the goals could do with it: the host, what it would bring, and what is against it.
    pub best: Option<(ulm_model::HostName, Vec<Gain>, Option<Reason>)>,
}

/// Where the VM stands; or why nothing can be said of it.
pub fn standing(input: &Input, policy: &Policy, vm: VmId) -> Result<Standing, Vec<Reason>> {
    let unbelievable = gates::unbelievable(input, policy);
    if !unbelievable.is_empty() {
        return Err(unbelievable);
    }
    let ix = input.snapshot.find_vm(vm).ok_or_else(|| vec![Reason::NoSuchVm { vm }])?;
    let (rulebook, _) = policy.rulebook_for(&input.snapshot);
    let mut round = Round::new(input, policy, &rulebook);
    let one = input.snapshot.vm(ix);
    let mut held: Vec<Reason> = round.demand(ix).err().into_iter().collect();
    held.extend(gates::vm_rests(input, policy, vm));
    held.extend(round.scene.state.vm_stays(ix, ulm_rules::Initiative::Automatic));
    let members = seek::relations::members(&round.scene.state);
    let broken = seek::relations::broken(&round.scene.state, &members, ix);
    let broken = broken.map(|(rule, what)| Reason::RuleBroken { rule, what });
    let goals = Goals::at(policy, input.now);
    let best = best(&mut round, &goals, ix);
    Ok(Standing {
        vm,
        name: one.name.clone(),
        host: input.snapshot.host(one.host).name.clone(),
        held,
        broken: broken.into_iter().collect(),
        best,
    })
}

fn best(
    round: &mut Round<'_>,
    goals: &Goals<'_>,
    vm: VmIx,
) -> Option<(ulm_model::HostName, Vec<Gain>, Option<Reason>)> {
    if goals.others.is_empty() {
        return None;
    }
    let verdict = Verdict::new(round, goals);
    let number = verdict.question.number[vm.at()]?;
    let reach = round.reach(vm);
    let profile = round.scene.state.profile(vm, ulm_rules::Initiative::Automatic);
    let open = reach.iter().filter(|host| round.is_open(*host) && round.scene.state.blocker(&profile, *host).is_none());
    let home = verdict.question.home();
    let placed = |host: HostIx| {
        let mut after = home.clone();
        after[number as usize] = host.0;
        after
    };
    let best = open.min_by_key(|host| (cost(&verdict.question.problem, &placed(*host)).total(), *host))?;
    let after = placed(best);
    let gains = |goal: &&Goal| measure::gains(&verdict.question, round, goal, &home, &after);
    let gains = verdict.goals.iter().flat_map(gains).collect();
    Some((round.input.snapshot.host(best).name.clone(), gains, verdict.of(round, vm, best)))
}
