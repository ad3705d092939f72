//! What was decided and why, kept as documents whose form is somebody else's.
//!
//! A decision is kept when it says something else than the one before, which whoever keeps it judges; how long it was said stands
//! beside it. At most [`KEPT_FOR`], and at most [`MOST_BYTES`] in all: the oldest go first. A power failure may lose the last ones.

use std::time::Duration;

use rusqlite::{OptionalExtension, ToSql, TransactionBehavior};
use ulm_model::Time;

use super::History;
use crate::StoreError;

/// Older ones are forgotten.
pub const KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);
/// All together are not longer than this.
pub const MOST_BYTES: u64 = 256 << 20;

/// A decision that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptReport {
    /// When it was made first.
    pub at: Time,
    /// When the same was decided last.
    pub until: Time,
    /// The code of the reason that tells most.
    pub summary: String,
    /// The decision, as it was given.
    pub document: String,
}

impl History {
    /// Keeps a decision that differs from the one before, and forgets what is too old or too much.
    pub fn keep_report(&self, at: Time, summary: &str, document: &str) -> Result<(), StoreError> {
        self.keep_report_within(at, summary, document, MOST_BYTES)
    }

    fn keep_report_within(&self, at: Time, summary: &str, document: &str, most: u64) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        let path = writer.path.clone();
        let sql = |e| StoreError::sql(&path, e);
        let tx = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
        let run = |text: &str, values: &[&dyn ToSql]| {
            tx.prepare_cached(text).and_then(|mut run| run.execute(values)).map_err(sql)
        };
        let bytes = document.len() as i64;
        // Two steps: what is merely replaced would be left in the sum.
        run("DELETE FROM report WHERE at = ?1", &[&at.0])?;
        run(
            "INSERT INTO report (at, until, summary, bytes, document) VALUES (?1, ?1, ?2, ?3, ?4)",
            &[&at.0, &summary, &bytes, &document],
        )?;
        // The oldest goes while it is too old or all together are too much; the one that was just kept stays in any case.
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let forgets = "DELETE FROM report WHERE at = (SELECT min(at) FROM report) AND at < ?1 \
                       AND (until < ?2 OR (SELECT bytes FROM report_total) > ?3)";
        while run(forgets, &[&at.0, &(at - KEPT_FOR).0, &most])? > 0 {}
        tx.commit().map_err(sql)
    }

    /// Takes in that the decision that was kept at `at` was made again at `until`.
    pub fn report_lasts(&self, at: Time, until: Time) -> Result<(), StoreError> {
        let writer = self.writer()?;
        let update = writer.connection.prepare_cached("UPDATE report SET until = max(until, ?2) WHERE at = ?1");
        update.and_then(|mut update| update.execute([at.0, until.0])).map_err(|e| StoreError::sql(&writer.path, e))?;
        Ok(())
    }

    /// The decision that was in force at a time: the last one that was made then or before.
    pub fn report_at(&self, at: Time) -> Result<Option<KeptReport>, StoreError> {
        let sql = |e| StoreError::sql(&self.0.path, e);
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT at, until, summary, document FROM report WHERE at <= ?1 ORDER BY at DESC LIMIT 1",
                )
                .map_err(sql)?
                .query_row([at.0], |row| {
                    Ok(KeptReport {
                        at: Time(row.get(0)?),
                        until: Time(row.get(1)?),
                        summary: row.get(2)?,
                        document: row.get(3)?,
                    })
                })
                .optional()
                .map_err(sql)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    fn documents(history: &History, times: impl Iterator<Item = i64>) -> Vec<Option<String>> {
        times.map(|at| history.report_at(Time(at)).unwrap().map(|kept| kept.document)).collect()
    }

    #[test]
    fn at_a_time_the_last_decision_before_it_was_in_force() {
        let history = Store::in_memory().unwrap().history().unwrap();
        assert_eq!(history.report_at(Time(5)).unwrap(), None);
        history.keep_report(Time(10), "hotspot.calm", "first").unwrap();
        history.report_lasts(Time(10), Time(15)).unwrap();
        history.keep_report(Time(20), "goal.nearer", "second").unwrap();
        let (first, second) = (Some("first".to_owned()), Some("second".to_owned()));
        assert_eq!(
            documents(&history, [9, 10, 19, 20, 1000].into_iter()),
            [None, first.clone(), first, second.clone(), second]
        );
        let kept = history.report_at(Time(12)).unwrap().unwrap();
        assert_eq!((kept.at, kept.until, kept.summary.as_str()), (Time(10), Time(15), "hotspot.calm"));
    }

    #[test]
    fn what_is_too_old_or_too_much_is_forgotten_oldest_first() {
        let history = Store::in_memory().unwrap().history().unwrap();
        let day = 86_400_000;
        history.keep_report(Time(0), "a", "old").unwrap();
        history.report_lasts(Time(0), Time(2 * day)).unwrap();
        history.keep_report(Time(3 * day), "a", "younger").unwrap();
        history.keep_report(Time(31 * day), "a", "new").unwrap();
        assert!(history.report_at(Time(day)).unwrap().is_some(), "it was said 29 days ago");
        history.keep_report(Time(33 * day), "a", "newest").unwrap();
        assert_eq!(documents(&history, [day, 4 * day].into_iter()), [None, Some("younger".to_owned())]);

        let history = Store::in_memory().unwrap().history().unwrap();
        for at in 0..10 {
            history.keep_report_within(Time(at), "a", "0123456789", 35).unwrap();
        }
        let kept = (0..10).filter(|at| history.report_at(Time(*at)).unwrap().is_some_and(|kept| kept.at == Time(*at)));
        assert_eq!(kept.collect::<Vec<_>>(), [7, 8, 9]);
        history.keep_report_within(Time(10), "a", "longer than all that may be kept together", 35).unwrap();
        assert_eq!(documents(&history, [9, 10].into_iter()).iter().flatten().count(), 1, "the last one stays");
    }
}
