//! Measured values that know when they were measured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Time;

/// One measured value and the time it was measured at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure<T> {
    /// The value, in the unit of its type.
    pub value: T,
    /// When it was measured, by the controller's clock.
    pub at: Time,
}

impl<T> Figure<T> {
    /// How old the figure is at `now`.
    pub fn age(&self, now: Time) -> Duration {
        now.since(self.at)
    }
}

/// The last few figures of one thing, oldest first, newest last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recent<T>(pub Vec<Figure<T>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Recent(Vec::new())
    }
}

impl<T: Copy> Recent<T> {
    /// The newest figure.
    pub fn latest(&self) -> Option<Figure<T>> {
        self.0.last().copied()
    }
    /// The newest value, whatever its age.
    pub fn value(&self) -> Option<T> {
        self.latest().map(|figure| figure.value)
    }
    /// The last `n` figures, or all when there are fewer; oldest first.
    pub fn last(&self, n: usize) -> &[Figure<T>] {
        &self.0[self.0.len().saturating_sub(n)..]
    }
    /// Adds a figure and forgets the oldest ones beyond `keep`.
    pub fn push(&mut self, figure: Figure<T>, keep: usize) {
        self.0.push(figure);
        let surplus = self.0.len().saturating_sub(keep);
        self.0.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_figures_are_kept() {
        let mut recent = Recent::default();
        for i in 0..5 {
            recent.push(Figure { value: i, at: Time(i64::from(i)) }, 3);
        }
        assert_eq!(recent.0.iter().map(|f| f.value).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(recent.value(), Some(4));
        assert_eq!(recent.last(2).len(), 2);
        assert_eq!(recent.last(9).len(), 3);
    }
}
