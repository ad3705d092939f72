//! What the goals that make a placement better say of one move.

use serde::{Deserialize, Serialize};
use ulm_model::{Gain, HostIx, Reason, Share, VmId, VmIx};
use ulm_place::{PlaceMove, Placement};
use ulm_policy::{Goal, Policy};

use crate::goals::Goals;
use crate::round::Round;
use crate::seek::question::Question;
use crate::seek::{self, measure};
use crate::worth::Bargain;
use crate::{Input, gates};

/// What the goals that are on cost, move by move.
pub(super) struct Verdict<'q, 'p> {
    question: &'q Question,
    placement: Placement<'q>,
    goals: &'q [&'p Goal],
}

impl<'q, 'p> Verdict<'q, 'p> {
    /// The goals must be those that the question is of.
    pub fn new(question: &'q Question, goals: &'q [&'p Goal]) -> Self {
        Verdict { question, placement: Placement::new(&question.problem), goals }
    }

    /// What there is against the move, if anything: nothing is gained, or too little, or too late.
    pub fn of(&self, round: &Round<'_>, vm: VmIx, to: HostIx) -> Option<Reason> {
        let number = self.question.number[vm.at()]?;
        let gain = u64::try_from(-self.placement.price_of_shift(number, to.0)).unwrap_or(0);
        if gain == 0 {
            return Some(Reason::NothingGained {});
        }
        let (now, needed) = (u64::try_from(self.placement.total()).unwrap_or(u64::MAX), round.policy.worth.gain);
        let gain = Share::ratio(gain, now);
        if gain < needed {
            return Some(Reason::GainTooSmall { gain, needed });
        }
        let (home, after) = (self.question.home(), self.placed(number, to));
        let moves = [PlaceMove { vm: number, to: to.0 }];
        let bargain = Bargain { question: self.question, round, before: &home, after: &after, moves: &moves };
        bargain.terms(self.goals).refused(round.policy)
    }

    fn placed(&self, vm: u32, host: HostIx) -> Vec<u32> {
        let mut after = self.question.home();
        after[vm as usize] = host.0;
        after
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
    let broken = crate::concerns::broken(&input.snapshot, round.concerns(), ix);
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
    let (question, _) = seek::ask::of_goals(round, &goals.others, goals.rules);
    let verdict = Verdict::new(&question, &goals.others);
    let number = question.number[vm.at()]?;
    let reach = round.reach(vm);
    let profile = round.scene.state.profile(vm, ulm_rules::Initiative::Automatic);
    let open = reach.iter().filter(|host| round.is_open(*host) && round.scene.state.blocker(&profile, *host).is_none());
    let best = open.min_by_key(|host| (verdict.placement.price_of_shift(number, host.0), *host))?;
    let (home, after) = (question.home(), verdict.placed(number, best));
    let gains = goals.others.iter().flat_map(|goal| measure::gains(&question, round, goal, &home, &after)).collect();
    Some((round.input.snapshot.host(best).name.clone(), gains, verdict.of(round, vm, best)))
}
