//! Which known word may have been meant.

/// The known word with the fewest changed letters, if it is near enough to be meant.
pub(crate) fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    let allowed = word.chars().count().div_ceil(3);
    known.iter().map(|near| (distance(word, near), *near)).filter(|(d, _)| *d <= allowed).min().map(|(_, near)| near)
}

/// `did you mean …?`, or all that there is.
pub(crate) fn meant(word: &str, known: &[&str], all: &str) -> String {
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("{all}: there are none"),
        None => format!("{all}: {}", known.join(", ")),
    }
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
