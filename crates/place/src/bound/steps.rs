//! Dual feasible functions: what VMs weigh, so that VMs that leave gaps weigh more than they take.
//!
//! A function `f` from sizes to weights that never falls and is superadditive, `f(a) + f(b) <= f(a + b)`, makes a
//! bound: VMs on a host with room `c` weigh at most `f(c)` together, since their sizes are at most `c` together. All
//! functions here are made of few straight pieces, so the weight of any number of VMs is known from sums over their
//! sorted sizes.
//!
//! The families, each for hosts with room `c`, and kept on integers by a common factor: the threshold function behind
//! the bound L2 of Martello and Toth (1990); the step function of Fekete and Schepers (2001); that of Carlier,
//! Clautiaux and Moukrim (2007); and mixed integer rounding, known as Burdett and Johnson's (1977).

use crate::cost::Sum;

/// Sizes, ascending, with their sums.
pub(super) struct Sizes {
    sizes: Vec<Sum>,
    /// The sum of the first so many.
    sums: Vec<Sum>,
}

impl Sizes {
    pub fn new(mut sizes: Vec<Sum>) -> Self {
        sizes.sort_unstable();
        let sums = std::iter::once(0).chain(sizes.iter().scan(0, |sum, size| {
            *sum += size;
            Some(*sum)
        }));
        Sizes { sums: sums.collect(), sizes }
    }

    /// All together.
    pub fn sum(&self) -> Sum {
        self.sums[self.sizes.len()]
    }

    /// The largest.
    pub fn largest(&self) -> Sum {
        self.sizes.last().copied().unwrap_or(0)
    }

    /// At most so many different sizes from `from` to `to`, spread evenly over the VMs.
    pub fn some(&self, from: Sum, to: Sum, most: usize) -> Vec<Sum> {
        let mut some = self.sizes[self.below(from)..self.below(to + 1)].to_vec();
        some.dedup();
        let step = some.len().div_ceil(most).max(1);
        some.into_iter().step_by(step).collect()
    }

    /// How many are below.
    fn below(&self, size: Sum) -> usize {
        self.sizes.partition_point(|it| *it < size)
    }
}

/// A function made of straight pieces, for sizes from 0 on.
pub(super) struct Steps {
    /// Ascending; the first from 0.
    pieces: Vec<Piece>,
    /// Up to here the function is superadditive. Larger VMs weigh what one of this size does.
    reach: Sum,
}

#[derive(Clone, Copy)]
struct Piece {
    from: Sum,
    value: Sum,
    slope: Sum,
}

impl Steps {
    /// What one VM of this size weighs.
    pub fn value(&self, size: Sum) -> Sum {
        let size = size.min(self.reach);
        let piece = self.pieces[self.pieces.partition_point(|it| it.from <= size) - 1];
        piece.value + piece.slope * (size - piece.from)
    }

    /// For each piece that has any VMs: the first of them, one past the last, and the piece.
    fn spans<'a>(&'a self, sizes: &'a Sizes) -> impl Iterator<Item = (usize, usize, Piece)> + 'a {
        let ends = self.pieces.iter().skip(1).map(|it| it.from).chain([self.reach + 1]);
        let spans = self.pieces.iter().zip(ends).scan(0, |begin, (piece, end)| {
            let span = (*begin, sizes.below(end), *piece);
            *begin = span.1;
            Some(span)
        });
        spans.filter(|span| span.0 < span.1)
    }

    /// What all VMs weigh together.
    pub fn weight(&self, sizes: &Sizes) -> Sum {
        let of = |(begin, end, piece): (usize, usize, Piece)| {
            let count = (end - begin) as Sum;
            count * (piece.value - piece.slope * piece.from) + piece.slope * (sizes.sums[end] - sizes.sums[begin])
        };
        let beyond = (sizes.sizes.len() - sizes.below(self.reach + 1)) as Sum;
        self.spans(sizes).map(of).sum::<Sum>() + beyond * self.value(self.reach)
    }

    /// The most that some of these VMs weigh together on a host with so much room.
    pub fn bears(&self, room: Sum, sizes: &Sizes, weight: Sum) -> Sum {
        if room <= self.reach {
            return self.value(room).min(weight);
        }
        // No VM weighs more for its size than the one that does most: at one end of a piece, or the first beyond all
        // pieces.
        let ends = self.spans(sizes).flat_map(|(begin, end, _)| [sizes.sizes[begin], sizes.sizes[end - 1]]);
        let beyond = sizes.sizes.get(sizes.below(self.reach + 1)).copied();
        let mut most = self.value(self.reach);
        for size in ends.chain(beyond).filter(|size| *size > 0) {
            let value = self.value(size);
            most = most.max(value.checked_mul(room).map_or(weight, |all| all / size));
        }
        most.min(weight)
    }

    /// Sizes as they are.
    pub fn plain() -> Self {
        Steps { pieces: vec![Piece { from: 0, value: 0, slope: 1 }], reach: Sum::MAX - 1 }
    }

    /// Below `small` nothing; above `c - small` the whole; else the size. `small` is at most half of `c`.
    pub fn threshold(c: Sum, small: Sum) -> Self {
        let small = small.max(1);
        let pieces = vec![
            Piece { from: 0, value: 0, slope: 0 },
            Piece { from: small, value: small, slope: 1 },
            Piece { from: c - small + 1, value: c, slope: 0 },
        ];
        Steps { pieces, reach: c }
    }

    /// Full multiples of the `k + 1`th part of `c`, each as one of `k`; exact multiples as they are.
    pub fn parts(c: Sum, k: Sum) -> Self {
        let mut pieces = vec![Piece { from: 0, value: 0, slope: 0 }];
        for j in 1..=k + 1 {
            let (at, exact) = (j * c / (k + 1), j * c % (k + 1) == 0);
            if exact {
                push(&mut pieces, at, k * j * c);
            }
            if at < c {
                push(&mut pieces, at + 1, (k + 1) * j * c);
            }
        }
        Steps { pieces, reach: c }
    }

    /// Multiples of `unit`, rounded down below half of `c`, and so that what is missing to `c` is rounded down above.
    pub fn mirrored(c: Sum, unit: Sum) -> Self {
        let mut pieces: Vec<Piece> = Vec::new();
        let (whole, half) = (c / unit, c / 2);
        for j in (0..).take_while(|j| 2 * j * unit < c) {
            push(&mut pieces, j * unit, 2 * j);
        }
        if c % 2 == 0 {
            push(&mut pieces, half, whole);
        }
        for j in (0..=(c - half - 1) / unit).rev() {
            push(&mut pieces, (c - (j + 1) * unit).max(half) + 1, 2 * (whole - j));
        }
        Steps { pieces, reach: c }
    }

    /// Multiples of `unit`, rounded down; of what is above a multiple only what goes beyond the remainder of `c`.
    /// Superadditive without an end, and reckoned up to `reach`.
    pub fn rounded(c: Sum, unit: Sum, reach: Sum) -> Self {
        let rest = c % unit;
        let mut pieces = Vec::new();
        for j in (0..).take_while(|j| j * unit <= reach) {
            let value = j * (unit - rest);
            push(&mut pieces, j * unit, value);
            if j * unit + rest <= reach {
                pieces.push(Piece { from: j * unit + rest, value, slope: 1 });
            }
        }
        Steps { pieces, reach }
    }
}

/// A further level piece; one that begins where another does takes its place.
fn push(pieces: &mut Vec<Piece>, from: Sum, value: Sum) {
    pieces.retain(|it| it.from < from);
    pieces.push(Piece { from, value, slope: 0 });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(c: Sum) -> Vec<(String, Steps)> {
        let mut all = Vec::new();
        for unit in 1..=c / 2 {
            all.push((format!("threshold {c} {unit}"), Steps::threshold(c, unit)));
            all.push((format!("mirrored {c} {unit}"), Steps::mirrored(c, unit)));
        }
        for unit in 1..=c {
            all.push((format!("rounded {c} {unit}"), Steps::rounded(c, unit, 3 * c)));
            all.push((format!("parts {c} {unit}"), Steps::parts(c, unit)));
        }
        all
    }

    #[test]
    fn all_functions_are_superadditive_and_never_fall() {
        for (name, steps) in (1..=30).flat_map(all) {
            assert!(steps.value(0) >= 0, "{name}");
            for a in 0..=steps.reach {
                assert!(a == 0 || steps.value(a) >= steps.value(a - 1), "{name}: falls at {a}");
                for b in 0..=steps.reach - a {
                    let (sum, apart) = (steps.value(a + b), steps.value(a) + steps.value(b));
                    assert!(apart <= sum, "{name}: {a} and {b} weigh {apart}, their sum {sum}");
                }
            }
        }
    }

    #[test]
    fn the_weight_of_all_is_the_sum_of_the_weights_of_each() {
        let sizes = Sizes::new(vec![7, 0, 3, 3, 12, 9, 30, 1, 45, 12, 10]);
        for (name, steps) in (1..=30).flat_map(all).chain([("plain".to_owned(), Steps::plain())]) {
            let each: Sum = sizes.sizes.iter().map(|size| steps.value(*size)).sum();
            assert_eq!(steps.weight(&sizes), each, "{name}");
        }
    }

    #[test]
    fn no_vms_on_a_larger_host_weigh_more_than_it_bears() {
        let vms: [Sum; 9] = [1, 2, 3, 5, 5, 7, 8, 11, 13];
        let sizes = Sizes::new(vms.to_vec());
        for (name, steps) in [5, 6, 7, 10, 12].into_iter().flat_map(all) {
            let weight = steps.weight(&sizes);
            for some in 0..1 << vms.len() {
                let some = (0..vms.len()).filter(|i| some >> i & 1 == 1).map(|i| vms[i]);
                let (room, weighs) = some.fold((0, 0), |sum, size| (sum.0 + size, sum.1 + steps.value(size)));
                let bears = steps.bears(room, &sizes, weight);
                assert!(weighs <= bears, "{name}: {weighs} on {room}, which bears {bears}");
            }
        }
    }
}
