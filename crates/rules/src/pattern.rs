//! Name patterns: `*` stands for any run of characters, also none, `?` for exactly one; everything else for itself.

/// Whether the whole of `text` matches `pattern`. Linear in practice: after a mismatch only the last `*` takes one more character.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut last_star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                last_star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star, taken)) = last_star else { return false };
                last_star = Some((star, taken + 1));
                p = star + 1;
                t = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, straight and slow.
    fn by_definition(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skip| by_definition(rest, &text[skip..])),
            Some((c, rest)) => {
                text.split_first().is_some_and(|(t, tail)| (*c == '?' || c == t) && by_definition(rest, tail))
            }
        }
    }

    #[test]
    fn patterns_read_as_expected() {
        assert!(matches("db-*", "db-1") && matches("db-*", "db-") && !matches("db-*", "xdb-1"));
        assert!(matches("web-?", "web-7") && !matches("web-?", "web-17"));
        assert!(matches("*", "") && !matches("", "a") && matches("ü?", "üß"));
        assert!(!matches("DB", "db"));
    }

    proptest! {
        #[test]
        fn the_fast_way_agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), by_definition(&p, &t));
        }
    }
}
