//! How temperatures fall in annealing: in integers, so that they fall alike everywhere.

use crate::cost::Sum;

/// So many values that fall by the same factor each, from the first to about the last; both count as 1 at least.
pub(super) fn falling(first: i64, last: i64, count: usize) -> Vec<i64> {
    let (first, last) = (Sum::from(first.max(1)) << 30, Sum::from(last.max(1)) << 30);
    let end = |factor: Sum| (1..count).fold(first, |value, _| (value * factor) >> 30);
    // By halving the interval: the factor is between 0 and 1, in 2³⁰ths.
    let (mut low, mut high): (Sum, Sum) = (0, 1 << 30);
    while low + 1 < high {
        let middle = (low + high) / 2;
        if end(middle) >= last { high = middle } else { low = middle }
    }
    std::iter::successors(Some(first), |value| Some((value * high) >> 30))
        .take(count)
        .map(|it| (it >> 30) as i64)
        .collect()
}
