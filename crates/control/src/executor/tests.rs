//! Which steps are ready, refused and held back.

use super::*;
use ulm_model::HostName;

fn step(id: u32, after: &[u32]) -> Step {
    let vm = VmId(uuid::Uuid::from_u128(u128::from(id)));
    let (from, to) = (HostName::from("a"), HostName::from("b"));
    let action = Action::Move { vm, vm_name: format!("vm{id}"), from, to };
    let because = Reason::Asked { by: "a test".into() };
    Step { id: StepId(id), action, after: after.iter().map(|&i| StepId(i)).collect(), because, expected: None }
}

fn executor(steps: Vec<Step>) -> (Executor, PlanId) {
    let (mut executor, _) = Executor::new();
    let plan = Plan { parent: String::new(), made_at: Time(0), expires_at: Time(1), steps };
    let id = plan.id();
    executor.accept(id.clone(), plan, "a test", Time(0));
    (executor, id)
}

fn ready_ids(executor: &mut Executor) -> Vec<u32> {
    executor.ready().iter().map(|(key, _)| key.step.0).collect()
}

fn end(executor: &mut Executor, id: &PlanId, step: u32, end: End) {
    let key = key(id, &executor.runs[id].plan.steps[step as usize].clone());
    executor.ended(Done { key, end }, Time(0));
}

#[test]
fn every_ready_step_is_ready_whatever_stands_before_it_in_the_list() {
    let (mut executor, _) = executor(vec![step(0, &[]), step(1, &[0]), step(2, &[]), step(3, &[2])]);
    assert_eq!(ready_ids(&mut executor), [0, 2]);
}

#[test]
fn a_step_begins_only_after_all_it_waits_for_have_moved() {
    let (mut executor, id) = executor(vec![step(0, &[]), step(1, &[]), step(2, &[0, 1])]);
    end(&mut executor, &id, 0, End::Ended(Outcome::Moved));
    assert_eq!(ready_ids(&mut executor), [1]);
    end(&mut executor, &id, 1, End::Ended(Outcome::Moved));
    assert_eq!(ready_ids(&mut executor), [2]);
}

#[test]
fn a_failed_step_takes_those_that_wait_for_it_along_and_no_others() {
    let (mut executor, id) = executor(vec![step(0, &[]), step(1, &[0]), step(2, &[1]), step(3, &[])]);
    end(&mut executor, &id, 0, End::Ended(Outcome::Stayed { error: "no".into() }));
    assert_eq!(ready_ids(&mut executor), [3]);
    let plan = &executor.plans()[&id];
    assert_eq!(plan.steps[1].refused, Some(Reason::PredecessorFailed { step: 0 }));
    assert_eq!(plan.steps[2].refused, Some(Reason::PredecessorFailed { step: 1 }));
}

#[test]
fn switching_off_refuses_all_that_has_not_begun_and_leaves_what_runs() {
    let (mut executor, _) = executor(vec![step(0, &[]), step(1, &[])]);
    let (first, because) = executor.ready().remove(0);
    executor.begin(first, because, Phase::Waiting, Time(0)).expect("nothing is open yet");
    let refused = executor.refuse_waiting(None, &Reason::Stopped {});
    assert_eq!(refused.iter().map(|key| key.step.0).collect::<Vec<_>>(), [1]);
    assert!(!executor.has_waiting() && executor.known_moves().len() == 1);
}

#[test]
fn a_step_that_a_limit_holds_back_is_overtaken_and_tried_again_when_a_move_has_ended() {
    let (mut executor, id) = executor(vec![step(0, &[]), step(1, &[])]);
    let (first, _) = executor.ready().remove(0);
    executor.hold(&first, Reason::AllBusy { moves: 1, limit: 1 });
    assert_eq!(ready_ids(&mut executor), [1]);
    assert!(executor.has_waiting());
    assert_eq!(executor.moves()[0].trouble.as_deref(), Some("1 of at most 1 moves run at once"));
    end(&mut executor, &id, 1, End::Ended(Outcome::Moved));
    assert_eq!(ready_ids(&mut executor), [0]);
}

#[test]
fn a_step_is_held_back_for_so_long_only_when_nothing_of_its_plan_runs() {
    let (mut executor, _) = executor(vec![step(0, &[]), step(1, &[]), step(2, &[0])]);
    let (minute, limit) = (Duration::from_secs(60), Reason::AllBusy { moves: 1, limit: 1 });
    let mut ready = executor.ready();
    let (runs, because) = ready.remove(1);
    executor.begin(runs.clone(), because, Phase::Waiting, Time(0)).expect("nothing is open yet");
    executor.hold(&ready[0].0, limit.clone());
    assert!(executor.give_up(Time(600_000), minute).is_empty(), "a move of the plan runs");
    executor.ended(Done { key: runs, end: End::Ended(Outcome::Moved) }, Time(600_000));
    executor.hold(&ready[0].0, limit);
    assert!(executor.give_up(Time(659_999), minute).is_empty());
    let given_up = executor.give_up(Time(660_000), minute);
    assert_eq!(
        given_up.iter().map(|(key, reason)| (key.step.0, reason.code())).collect::<Vec<_>>(),
        [(0, "step.waited")]
    );
    assert!(executor.ready().is_empty() && !executor.has_waiting(), "what waits for it is refused as well");
}

#[test]
fn a_vm_has_one_open_move_at_most() {
    let (mut executor, _) = executor(vec![step(0, &[])]);
    let (key, because) = executor.ready().remove(0);
    assert!(executor.begin(key.clone(), because.clone(), Phase::Waiting, Time(0)).is_some());
    assert!(executor.begin(key, because, Phase::Waiting, Time(0)).is_none());
}
