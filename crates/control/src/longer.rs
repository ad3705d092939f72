//! A longer search for a plan, where somebody waits for it: one at a time, and on few threads, for the daemon must go on answering.
//!
//! A search ends when its budget is spent or its time is over; when somebody ends it, or the daemon stops; and when whoever waits for it
//! goes away: dropping the future ends the threads. Only when they have ended may the next search begin.
//!
//! Whoever begins a search gives it an id, and ends it by that: in no moment is it somebody else's that is ended.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ulm_check::{Grounds, check};
use ulm_decide::{Decision, Input, Longer, Work, decide_longer};
use ulm_model::{Plan, Stopped, Time};
use ulm_policy::Policy;
use uuid::Uuid;

use crate::order::{OrderError, Refusal};

/// So many threads look for a plan at most, however many the machine has.
const THREADS: usize = 2;

/// A search with the daemon lasts no longer than this, so that the next one who asks need not wait for long.
pub const LONGEST: Duration = Duration::from_secs(600);

/// Which search: a UUID, and another one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SearchId(pub Uuid);

/// How much longer is to be looked; at least one of `budget` and `seconds` is given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongerWish {
    /// By this the search can be ended.
    pub id: SearchId,
    /// Placements that may be weighed beside those of the usual search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
    /// Seconds that all of it may take, 600 at most, which also holds when nothing is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// A search that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Searching {
    /// Who waits for it.
    pub by: String,
    /// Since when.
    pub since: Time,
    /// What was asked for.
    pub wish: LongerWish,
    /// Who has ended it, if somebody has: it comes to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
}

impl SearchId {
    /// One that nobody else has.
    pub fn fresh() -> Self {
        SearchId(Uuid::new_v4())
    }
}

impl fmt::Display for SearchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SearchId {
    type Err = OrderError;

    fn from_str(text: &str) -> Result<Self, OrderError> {
        let wrong = |_| {
            let sentence = format!("`{text}` is no id of a search: give the UUID that it was begun with");
            OrderError::new(Refusal::Malformed, sentence)
        };
        text.parse().map(SearchId).map_err(wrong)
    }
}

impl LongerWish {
    /// A wish for a search with a fresh id.
    pub fn new(budget: Option<u64>, seconds: Option<f64>) -> Self {
        LongerWish { id: SearchId::fresh(), budget, seconds }
    }

    /// How long it may take; an error when that is too long, or nothing is said.
    pub(crate) fn limit(&self) -> Result<Duration, OrderError> {
        let malformed = |sentence: String| OrderError::new(Refusal::Malformed, sentence);
        match (self.budget, self.seconds) {
            (None, None) => Err(malformed("say how much longer to look: give `budget`, `seconds` or both".to_owned())),
            (Some(_), None) => Ok(LONGEST),
            (_, Some(seconds)) if seconds > LONGEST.as_secs_f64() => Err(malformed(format!(
                "a search with the daemon takes {} s at most, not {seconds}: give less, or look longer without the daemon \
                 (`ulm export --output FILE`, then `ulm plan --on FILE`)",
                LONGEST.as_secs()
            ))),
            (_, Some(seconds)) => Duration::try_from_secs_f64(seconds)
                .map_err(|_| malformed(format!("`seconds` must be a number from 0 on, not {seconds}"))),
        }
    }
}

/// Looks longer for what the goals make better, on at most two threads: this one and another. `stop` as in [`Longer`].
pub fn longer(
    input: &Input,
    policy: &Policy,
    budget: Option<u64>,
    stop: &(dyn Fn() -> Option<Stopped> + Sync),
) -> Decision {
    decide_longer(input, policy, &Longer { budget, share_out: &on_threads, stop })
}

/// Every piece of work on the next thread that is free; this one is among them.
fn on_threads(count: usize, work: &Work<'_>) {
    let next = AtomicUsize::new(0);
    let take = || {
        while let Some(piece) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|piece| *piece < count) {
            work(piece);
        }
    };
    std::thread::scope(|scope| {
        (1..THREADS.min(count)).for_each(|_| drop(scope.spawn(take)));
        take();
    });
}

/// The decision with its plan good from `now` on, which is when somebody gets it: the facts are those of the search's beginning, and
/// whoever carries it out asks the hosts again. If the checker has something against that, the plan stays as it was.
pub(crate) fn handed_out(decision: Decision, input: &Input, policy: &Policy, now: Time) -> Decision {
    let plan = Plan { made_at: now, expires_at: now + policy.observe.stale_after, ..decision.plan.clone() };
    if plan.steps.is_empty() {
        return Decision { plan, ..decision };
    }
    let (rulebook, _) = policy.rulebook_for(&input.snapshot);
    let (snapshot, past) = (&input.snapshot, &input.past.moves);
    let grounds = Grounds { snapshot, digest: &plan.parent, rulebook: &rulebook, now, past };
    match check(&plan, &grounds) {
        Ok(sane) => Decision { plan, sane: Some(sane), ..decision },
        Err(_) => decision,
    }
}

/// Ends a search. The first reason counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<OnceLock<Stopped>>);

impl Stop {
    pub fn say(&self, why: Stopped) {
        // It was ended already.
        let _ = self.0.set(why);
    }

    pub fn said(&self) -> Option<Stopped> {
        self.0.get().copied()
    }

    /// Ends the search when the answer is dropped.
    pub fn when_dropped(self) -> impl Drop {
        Left(self)
    }
}

struct Left(Stop);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.say(Stopped::Interrupted);
    }
}

/// The one search that may run.
#[derive(Debug, Default)]
pub(crate) struct OneSearch(Mutex<Option<(Searching, Stop)>>);

/// The right to search, until it is dropped.
pub(crate) struct Turn(Arc<OneSearch>);

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.running() = None;
    }
}

impl OneSearch {
    /// Begins a search, if none runs.
    pub fn begin(self: &Arc<Self>, by: &str, since: Time, wish: LongerWish) -> Result<(Turn, Stop), OrderError> {
        let mut running = self.running();
        if let Some((searching, stop)) = &*running {
            return Err(OrderError::new(Refusal::Conflict, busy(searching, stop)));
        }
        let stop = Stop::default();
        *running = Some((Searching { by: by.to_owned(), since, wish, stopped: None }, stop.clone()));
        Ok((Turn(self.clone()), stop))
    }

    /// Ends this search; an error when it does not run, and then another one that does goes on.
    pub fn end(&self, id: SearchId) -> Result<(), OrderError> {
        match self.running().as_ref() {
            Some((searching, stop)) if searching.wish.id == id => stop.say(Stopped::Interrupted),
            Some((searching, _)) => return Err(another(id, searching)),
            None => return Err(none()),
        }
        Ok(())
    }

    /// The search that runs; an error when there is none.
    pub fn look(&self) -> Result<Searching, OrderError> {
        let running = self.running();
        let (searching, stop) = running.as_ref().ok_or_else(none)?;
        Ok(Searching { stopped: stop.said(), ..searching.clone() })
    }

    fn running(&self) -> MutexGuard<'_, Option<(Searching, Stop)>> {
        // Whoever panicked has left it whole: it is only ever replaced.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn busy(Searching { by, since, .. }: &Searching, stop: &Stop) -> String {
    let runs = format!("{by} has had the daemon look for a plan since {since}, and one search runs at a time");
    match stop.said() {
        Some(_) => format!("{runs}. It was ended and needs a few seconds more: ask again then"),
        None => format!(
            "{runs}: ask again when it has ended, which may take {} minutes, or end it (Ctrl-C where it was begun)",
            LONGEST.as_secs() / 60
        ),
    }
}

fn another(id: SearchId, Searching { by, since, wish, .. }: &Searching) -> OrderError {
    let sentence = format!(
        "no search {id} runs: it has ended, or has not begun. The one that runs is {}, for {by} since {since}; it goes on",
        wish.id
    );
    OrderError::new(Refusal::NotFound, sentence)
}

fn none() -> OrderError {
    OrderError::new(Refusal::NotFound, "no longer search runs: `ulm plan --budget` or `--time-limit` begins one")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    fn refusal<T: std::fmt::Debug>(answer: Result<T, OrderError>) -> (Refusal, String) {
        let error = answer.expect_err("it is refused");
        (error.refusal, error.message)
    }

    #[test]
    fn every_piece_of_work_is_done_once_and_by_two_threads_at_most() {
        for count in [0, 1, 2, 7] {
            let (done, by): (AtomicU64, Mutex<Vec<_>>) = Default::default();
            on_threads(count, &|piece| {
                assert_eq!(done.fetch_or(1 << piece, Ordering::Relaxed) & (1 << piece), 0, "done twice");
                by.lock().unwrap().push(std::thread::current().id());
            });
            assert_eq!(done.into_inner(), (1 << count) - 1);
            let threads: std::collections::HashSet<_> = by.into_inner().unwrap().into_iter().collect();
            assert!(threads.len() <= THREADS, "{threads:?}");
        }
    }

    #[test]
    fn a_wish_says_how_much_and_has_an_end() {
        let limit = |budget, seconds| LongerWish::new(budget, seconds).limit();
        assert_eq!(limit(Some(1), None), Ok(LONGEST));
        assert_eq!(limit(None, Some(600.0)), Ok(LONGEST));
        assert_eq!(limit(Some(1), Some(0.5)), Ok(Duration::from_millis(500)));
        for (budget, seconds, wanted) in [
            (None, None, "give `budget`"),
            (Some(1), Some(600.5), "600 s at most"),
            (None, Some(-1.0), "from 0 on"),
            (None, Some(f64::MAX), "600 s at most"),
        ] {
            let (refusal, sentence) = refusal(limit(budget, seconds));
            assert!(refusal == Refusal::Malformed && sentence.contains(wanted), "{sentence}");
        }
    }

    #[test]
    fn one_search_runs_at_a_time_and_the_next_one_is_told_whose() {
        let one = Arc::new(OneSearch::default());
        let wish = LongerWish::new(Some(5), None);
        assert_eq!(refusal(one.end(wish.id)).0, Refusal::NotFound);
        assert_eq!(refusal(one.look()).0, Refusal::NotFound);
        let (turn, stop) = one.begin("anna", Time(0), wish).expect("none runs");
        let (sort, sentence) = refusal(one.begin("bert", Time(1), wish).map(|_| ()));
        assert_eq!(sort, Refusal::Conflict);
        assert!(sentence.contains("anna") && sentence.contains("since 1970-01-01T00:00:00Z"), "{sentence}");
        let seen = Searching { by: "anna".into(), since: Time(0), wish, stopped: None };
        assert_eq!(one.look(), Ok(seen.clone()));

        // Ended is not yet over: the threads must come back first.
        assert_eq!(one.end(wish.id), Ok(()));
        assert_eq!(stop.said(), Some(Stopped::Interrupted));
        assert_eq!(one.look(), Ok(Searching { stopped: Some(Stopped::Interrupted), ..seen }));
        assert!(refusal(one.begin("bert", Time(1), wish).map(|_| ())).1.contains("was ended"));
        drop(turn);
        assert!(one.begin("bert", Time(1), wish).is_ok());
    }

    #[test]
    fn who_ends_a_search_ends_that_one_and_nobody_elses() {
        let one = Arc::new(OneSearch::default());
        let (mine, theirs) = (LongerWish::new(Some(5), None), LongerWish::new(Some(5), None));
        let (turn, stop) = one.begin("anna", Time(0), theirs).expect("none runs");
        // Mine was refused just now, or is on its way.
        let (sort, sentence) = refusal(one.end(mine.id));
        assert_eq!(sort, Refusal::NotFound);
        for part in [&mine.id.to_string(), &theirs.id.to_string(), "anna"] {
            assert!(sentence.contains(part), "{sentence}");
        }
        assert_eq!(stop.said(), None, "theirs goes on");

        drop(turn);
        let (_turn, stop) = one.begin("bert", Time(1), mine).expect("none runs");
        assert_eq!(refusal(one.end(theirs.id)).0, Refusal::NotFound, "it is over");
        assert_eq!((stop.said(), one.end(mine.id)), (None, Ok(())));
        assert_eq!(stop.said(), Some(Stopped::Interrupted));
    }

    #[test]
    fn an_id_is_a_uuid() {
        let id = SearchId::fresh();
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "mine", "../plan", "3889f4d2-37e3-43b1-a342-538690d836a"] {
            let (sort, sentence) = refusal(text.parse::<SearchId>());
            assert!(sort == Refusal::Malformed && sentence.contains(&format!("`{text}`")), "{sentence}");
        }
    }

    #[test]
    fn the_first_reason_to_end_a_search_counts_and_going_away_is_one() {
        let stop = Stop::default();
        drop(stop.clone().when_dropped());
        stop.say(Stopped::Clock);
        assert_eq!(stop.said(), Some(Stopped::Interrupted));
    }
}
