//! What two patterns have in common, decided exactly.
//!
//! A pattern is a sequence of tokens: a letter, any one letter (`?`), or any run of letters (`*`). Whether two patterns have a common
//! word is a walk over pairs of positions, O(n·m). Whether one is contained in the other follows the one pattern and at the same time
//! the set of all positions that the other may be at; that may take long for hostile patterns, so the walk ends after [`MOST`] steps
//! and says no: whoever asks only acts on a yes.

use std::collections::{BTreeSet, HashSet};

/// So many steps are made at most.
const MOST: usize = 20_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Letter(char),
    One,
    Any,
}

fn tokens(pattern: &str) -> Vec<Token> {
    let token = |letter| match letter {
        '*' => Token::Any,
        '?' => Token::One,
        letter => Token::Letter(letter),
    };
    pattern.chars().map(token).collect()
}

/// Whether the pattern stands for itself alone.
pub(super) fn is_exact(pattern: &str) -> bool {
    !pattern.contains(['*', '?'])
}

/// Whether any word fits both patterns.
pub(super) fn share_a_word(one: &str, other: &str) -> bool {
    let (a, b) = (tokens(one), tokens(other));
    let mut seen = HashSet::new();
    let mut open = vec![(0, 0)];
    while let Some((i, j)) = open.pop() {
        if !seen.insert((i, j)) {
            continue;
        }
        match (a.get(i), b.get(j)) {
            (None, None) => return true,
            (Some(Token::Any), other) => {
                open.push((i + 1, j));
                if other.is_some() {
                    open.push((i, j + 1));
                }
            }
            (one, Some(Token::Any)) => {
                open.push((i, j + 1));
                if one.is_some() {
                    open.push((i + 1, j));
                }
            }
            (Some(Token::Letter(x)), Some(Token::Letter(y))) if x != y => {}
            (Some(_), Some(_)) => open.push((i + 1, j + 1)),
            _ => {}
        }
    }
    false
}

/// Whether every word that fits the inner pattern fits the outer one. A no may also mean that it took too long to tell.
pub(super) fn contains(outer: &str, inner: &str) -> bool {
    let (inner, outer) = (tokens(inner), tokens(outer));
    // Letters that neither names behave alike: one stands for all of them.
    let named = inner.iter().chain(&outer).filter_map(|token| match token {
        Token::Letter(letter) => Some(Some(*letter)),
        _ => None,
    });
    let letters: BTreeSet<Option<char>> = named.chain([None]).collect();
    let start = |pattern: &[Token]| closed(pattern, BTreeSet::from([0]));
    let mut seen = HashSet::new();
    let mut open: Vec<(usize, Vec<usize>)> =
        start(&inner).into_iter().map(|i| (i, start(&outer).into_iter().collect())).collect();
    while let Some((i, states)) = open.pop() {
        if !seen.insert((i, states.clone())) {
            continue;
        }
        if seen.len() > MOST || (i == inner.len() && !states.contains(&outer.len())) {
            return false;
        }
        for letter in &letters {
            let from = BTreeSet::from([i]);
            let next: Vec<usize> = step(&outer, states.iter().copied(), *letter).into_iter().collect();
            open.extend(step(&inner, from.into_iter(), *letter).into_iter().map(|i| (i, next.clone())));
        }
    }
    true
}

/// Where a letter leads from these positions.
fn step(pattern: &[Token], from: impl Iterator<Item = usize>, letter: Option<char>) -> BTreeSet<usize> {
    let next = from.filter_map(|i| match pattern.get(i)? {
        Token::Any => Some(i),
        Token::One => Some(i + 1),
        Token::Letter(own) => (Some(*own) == letter).then_some(i + 1),
    });
    closed(pattern, next.collect())
}

/// A run may be empty: whoever is before it is behind it too.
fn closed(pattern: &[Token], mut positions: BTreeSet<usize>) -> BTreeSet<usize> {
    for (i, token) in pattern.iter().enumerate() {
        if *token == Token::Any && positions.contains(&i) {
            positions.insert(i + 1);
        }
    }
    positions
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plainly: does the word fit?
    fn fits(pattern: &[u8], word: &[u8]) -> bool {
        match pattern.split_first() {
            None => word.is_empty(),
            Some((b'*', rest)) => (0..=word.len()).any(|skip| fits(rest, &word[skip..])),
            Some((b'?', rest)) => !word.is_empty() && fits(rest, &word[1..]),
            Some((letter, rest)) => word.first() == Some(letter) && fits(rest, &word[1..]),
        }
    }

    /// All texts of these letters up to a length.
    fn texts(letters: &[u8], longest: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut from = 0;
        for _ in 0..longest {
            let until = all.len();
            for at in from..until {
                all.extend(letters.iter().map(|letter| format!("{}{}", all[at], *letter as char)).collect::<Vec<_>>());
            }
            from = until;
        }
        all
    }

    #[test]
    fn short_patterns_agree_with_all_short_words() {
        // Words of up to six letters, one of them in no pattern, tell any two patterns of up to three tokens apart.
        let (patterns, words) = (texts(b"ab*?", 3), texts(b"abz", 6));
        let of: Vec<Vec<bool>> = patterns
            .iter()
            .map(|pattern| words.iter().map(|word| fits(pattern.as_bytes(), word.as_bytes())).collect())
            .collect();
        for (one, its) in patterns.iter().zip(&of) {
            for (other, others) in patterns.iter().zip(&of) {
                let common = its.iter().zip(others).any(|(x, y)| *x && *y);
                assert_eq!(share_a_word(one, other), common, "{one} and {other}");
                let inside = its.iter().zip(others).all(|(x, y)| *x || !*y);
                assert_eq!(contains(one, other), inside, "{other} in {one}");
            }
        }
    }

    #[test]
    fn patterns_are_compared_as_people_would() {
        assert!(share_a_word("db-*", "*-1") && !share_a_word("db-*", "web-*"));
        assert!(contains("db-*", "db-1") && contains("*", "") && contains("db*", "db-*") && !contains("db-*", "db*"));
        assert!(contains("*a*", "*a?a*") && !contains("?*?", "*?"));
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        let hostile = format!("*a{}", "?".repeat(60));
        assert!(!contains(&hostile, &format!("*{}", "?".repeat(61))));
    }
}
