//! A plan that brings VMs with equal pages together, and what it would save.
//!
//! It is an ordinary question about a placement in which only copies of pages cost something, beside the moves. Rules, ceilings and
//! capacity hold as for every plan: a VM that arrives counts with its full size; of what is merged on a host only so much is believed as
//! may be counted on ([`shared`]). The way there is found and judged as always ([`crate::way()`]).

use serde::{Deserialize, Serialize};
use ulm_model::{Action, Bytes, HostIx, Plan, Reason, Sharing, SharingClass, Snapshot, VmId, VmIx};
use ulm_place::{Effort, PlaceMove, Points, search};
use ulm_policy::Policy;

use crate::draft::empty_plan;
use crate::round::Round;
use crate::seek::question::Question;
use crate::seek::{relations, shared};
use crate::wanted::Wanted;
use crate::{Input, gates, way};

/// Placements that are weighed.
const EVALUATIONS: u64 = 4_000_000;
/// What a copy of a MiB costs.
const MIB: u64 = 25;
/// What moving 4 GiB costs: as much as 40 MiB that are saved for good.
const MOVE: Points = 1000;

/// What a plan would save.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SharingPlan {
    /// The moves, judged by the checker; without steps if there are none to make.
    pub plan: Plan,
    /// What the moved VMs hold, which is about what the moves send.
    pub sends: Bytes,
    /// What is saved after the last step, when everything is merged.
    pub predicted: Bytes,
    /// Of that so much may be counted on.
    pub counted_on: Bytes,
    /// VMs that would be wanted elsewhere and stay, each with the reason.
    pub left_out: Vec<(VmId, Reason)>,
    /// Why nothing is moved, if so.
    pub held: Option<Reason>,
}

/// Looks for it, with what is known to be shared.
pub(super) fn plan(input: &Input, policy: &Policy, sharing: &Sharing) -> SharingPlan {
    let snapshot = &input.snapshot;
    let held = gates::unbelievable(input, policy).into_iter().next();
    let wanted = if held.is_none() { wanted(input, policy, sharing) } else { Vec::new() };
    let (plan, left_out) = match wanted[..] {
        [] => (empty_plan(input, policy), Vec::new()),
        _ => {
            let found = way(input, policy, &wanted);
            (found.plan, found.left_out)
        }
    };
    let on = ends(snapshot, &plan);
    let merging = || snapshot.hosts_ix().filter(|(_, host)| host.merges()).map(|(ix, _)| on[ix.at()].iter().copied());
    let predicted = merging().map(|vms| sharing.saved(vms, |class| class.likely)).sum();
    let counted_on = merging().map(|vms| sharing.saved(vms, |class| class.credit)).sum();
    let moved = plan.steps.iter().filter_map(|step| {
        let Action::Move { vm, .. } = &step.action;
        snapshot.find_vm(*vm)
    });
    let sends = moved.map(|vm| snapshot.vm(vm).memory_use.value().unwrap_or(snapshot.vm(vm).memory)).sum();
    let held = held.or_else(|| plan.steps.is_empty().then_some(Reason::NothingBetter {}));
    let left_out = left_out.into_iter().map(|(vm, reason)| (snapshot.vm(vm).id, reason)).collect();
    SharingPlan { plan, sends, predicted, counted_on, left_out, held }
}

/// The VMs of each host after the last step.
fn ends(snapshot: &Snapshot, plan: &Plan) -> Vec<Vec<VmIx>> {
    let mut at: Vec<HostIx> = snapshot.vms.iter().map(|vm| vm.host).collect();
    for step in &plan.steps {
        let Action::Move { vm, to, .. } = &step.action;
        if let (Some(vm), Some(to)) = (snapshot.find_vm(*vm), snapshot.find_host(to)) {
            at[vm.at()] = to;
        }
    }
    let mut on = vec![Vec::new(); snapshot.hosts.len()];
    snapshot.vms_ix().for_each(|(vm, _)| on[at[vm.at()].at()].push(vm));
    on
}

fn wanted(input: &Input, policy: &Policy, sharing: &Sharing) -> Vec<Wanted> {
    if sharing.classes.is_empty() {
        return Vec::new();
    }
    let (rulebook, _) = policy.rulebook_for(&input.snapshot);
    let mut round = Round::new(input, policy, &rulebook);
    let mut question = Question::of(&mut round, &|_| true);
    relations::add(&mut question, &input.snapshot, round.concerns(), None);
    question.price_moves(MOVE);
    shared::credit(&mut question, &round, sharing, price);
    let moves = u32::try_from(question.vms.len()).unwrap_or(u32::MAX);
    let found = search(&question.problem, &Effort { evaluations: EVALUATIONS, moves });
    let packages = found.packages.iter().zip(0..);
    let all = packages.flat_map(|(package, number)| package.moves.iter().map(move |one| (one, number)));
    all.map(|(one, number)| one_wanted(&question, one, number)).collect()
}

fn one_wanted(question: &Question, one: &PlaceMove, package: u32) -> Wanted {
    let what = "VMs with equal pages come together".to_owned();
    let because = Reason::ForGoal { goal: "sharing".to_owned(), what };
    Wanted { package: Some(package), ..Wanted::new(question.vms[one.vm as usize], HostIx(one.to), because) }
}

/// What a copy of these pages costs.
fn price(class: &SharingClass) -> Points {
    Points::try_from((class.likely.0 >> 20).saturating_mul(MIB)).unwrap_or(Points::MAX / 4)
}
