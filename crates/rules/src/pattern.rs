//! Name patterns: `*` stands for any run of characters, also none, `?` for exactly one; everything else for itself.

/// Whether the whole of `text` matches `pattern`. After a mismatch only the last `*` takes one more character, and nothing is
/// allocated: rules are matched against every host in every round.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // What followed the last `*`, and where the text stood when that star took as little as it had to.
    let mut last_star = None;
    loop {
        let at = text.clone();
        match (pattern.next(), text.next()) {
            (Some('*'), _) => {
                last_star = Some((pattern.clone(), at.clone()));
                text = at;
            }
            (Some(sign), Some(c)) if sign == '?' || sign == c => {}
            (None, None) => return true,
            (_, found) => {
                // The text has ended or differs: the star takes one more, if there is one more to take.
                let Some((after_star, mut taken_to)) = last_star.take() else { return false };
                if found.is_none() || taken_to.next().is_none() {
                    return false;
                }
                pattern = after_star.clone();
                text = taken_to.clone();
                last_star = Some((after_star, taken_to));
            }
        }
    }
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
