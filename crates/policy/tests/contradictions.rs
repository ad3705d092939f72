//! Rules that cannot both hold are told with both lines; what only may be so is not.

use proptest::prelude::*;
use ulm_policy::Policy;

fn complaint(text: &str) -> String {
    Policy::parse(text, "ulm.toml").expect_err("these rules contradict each other").to_string()
}

fn fine(text: &str) {
    Policy::parse(text, "ulm.toml").unwrap_or_else(|error| panic!("{error}"));
}

/// Two rules with these keys, named `first` and `second`.
fn rules(first: &str, second: &str) -> String {
    format!("[[rule]]\nname = \"first\"\n{first}\n\n[[rule]]\nname = \"second\"\n{second}\n")
}

const PIN: &str = "kind = \"pin\"\nvm = \"db-*\"\nhost = [\"h1\", \"h2\"]";

#[test]
fn pins_of_the_same_vms_to_different_hosts() {
    insta::assert_snapshot!(complaint(&rules(PIN, "kind = \"pin\"\nvm = \"db-*\"\nhost = \"h3\"")));
    insta::assert_snapshot!(complaint(&rules(PIN, "kind = \"pin\"\nvm = [\"web\", \"db-1\"]\nhost = \"x*\"")));
    for other in [
        "kind = \"pin\"\nvm = \"db-*\"\nhost = \"*2\"",
        "kind = \"pin\"\nvm = \"*-1\"\nhost = \"h3\"",
        "kind = \"pin\"\nvm = \"db-*\"\nhost_tag = \"new\"",
        "kind = \"pin\"\nvm = \"db-*\"\nhost = \"h3\"\nsoft = true",
    ] {
        fine(&rules(PIN, other));
    }
}

#[test]
fn a_pin_to_hosts_that_the_same_vms_are_kept_off() {
    insta::assert_snapshot!(complaint(&rules("kind = \"keep_off\"\nvm = \"*\"\nhost = \"h*\"", PIN)));
    fine(&rules(PIN, "kind = \"keep_off\"\nvm = \"*\"\nhost = \"h1\""));
    fine(&rules(PIN, "kind = \"keep_off\"\nvm = \"*-1\"\nhost = \"h*\""));
}

#[test]
fn a_pin_to_a_host_that_takes_nothing() {
    let pin = "kind = \"pin\"\nvm = \"db-*\"\nhost = \"h1\"";
    insta::assert_snapshot!(complaint(&rules(pin, "kind = \"maintenance\"\nhost = \"h?\"")));
    insta::assert_snapshot!(complaint(&rules(pin, "kind = \"max_vms\"\nat_most = 0\nhost = \"h1\"")));
    insta::assert_snapshot!(complaint(&rules(pin, "kind = \"max_vms\"\nat_most = 0\nhost = \"h1\"\nvm = \"d*\"")));
    fine(&rules(pin, "kind = \"max_vms\"\nat_most = 0\nhost = \"h1\"\nvm = \"web-*\""));
    fine(&rules(pin, "kind = \"max_vms\"\nat_most = 1\nhost = \"h1\""));
    fine(&rules(PIN, "kind = \"maintenance\"\nhost = \"h1\""));
}

#[test]
fn the_same_vms_together_and_apart() {
    let together = |level: &str| format!("kind = \"together\"\nvm = \"db-*\"\nlevel = \"{level}\"");
    let apart = |level: &str, n: u32| format!("kind = \"apart\"\nvm = \"db-*\"\nlevel = \"{level}\"\nat_most = {n}");
    insta::assert_snapshot!(complaint(&rules(&together("rack"), &apart("rack", 1))));
    insta::assert_snapshot!(complaint(&rules(&apart("rack", 1), &together("host"))));
    fine(&rules(&together("rack"), &apart("host", 1)));
    fine(&rules(&together("rack"), &apart("rack", 2)));
    fine(&rules(&together("host"), "kind = \"apart\"\nvm = \"db-1\"\nat_most = 1"));
}

#[test]
fn more_vms_together_than_may_be_together() {
    let three = "kind = \"together\"\nvm = [\"a\", \"b\", \"c\"]";
    insta::assert_snapshot!(complaint(&rules(
        three,
        "kind = \"apart\"\nvm = [\"a\", \"b\", \"c\", \"d\"]\nat_most = 2"
    )));
    fine(&rules(three, "kind = \"apart\"\nvm = [\"a\", \"b\", \"d\"]\nat_most = 2"));
}

fn windows(spans: [&str; 2], keys: [&str; 2]) -> String {
    let calendar = |name: &str, spans: &str| format!("[[calendar]]\nname = \"{name}\"\nspans = [\"{spans}\"]\n\n");
    let window = |key: &str, name: &str| format!("kind = \"window\"\nvm = \"db-*\"\n{key} = \"{name}\"");
    calendar("one", spans[0])
        + &calendar("other", spans[1])
        + &rules(&window(keys[0], "one"), &window(keys[1], "other"))
}

#[test]
fn windows_that_never_leave_a_minute_of_the_week() {
    insta::assert_snapshot!(complaint(&windows(["mon-fri 22:00-06:00", "20:00-08:00"], ["when", "not_when"])));
    insta::assert_snapshot!(complaint(&windows(["sat 00:00-24:00", "mon-fri"], ["when", "when"])));
    insta::assert_snapshot!(complaint(&windows(["20:00-08:00", "22:00-06:00"], ["not_when", "when"])));
    fine(&windows(["mon-fri 22:00-06:00", "22:00-05:59"], ["when", "not_when"]));
    fine(&windows(["sun 22:00-06:00", "mon"], ["when", "when"]));
    fine(&windows(["sat", "2026-01-03 00:00-24:00"], ["when", "not_when"]));
}

#[test]
fn a_rank_that_never_counts() {
    let rank = |vm: &str, rank: u32| format!("kind = \"priority\"\nvm = \"{vm}\"\nrank = {rank}");
    insta::assert_snapshot!(complaint(&rules(&rank("db-*", 1), &rank("db-*", 2))));
    insta::assert_snapshot!(complaint(&rules(&rank("*", 1), &rank("db-*", 2))));
    fine(&rules(&rank("db-*", 1), &rank("*", 2)));
}

#[test]
fn a_capacity_that_never_counts() {
    let first = "kind = \"capacity\"\nhost = \"h*\"\ncpu_overcommit = \"300%\"";
    insta::assert_snapshot!(complaint(&rules(first, "kind = \"capacity\"\nhost = \"h1\"\ncpu_overcommit = \"200%\"")));
    fine(&rules(first, "kind = \"capacity\"\nhost = \"h1\"\nmemory_overcommit = \"200%\""));
    fine(&rules(first, "kind = \"capacity\"\nhost = \"*\"\ncpu_overcommit = \"200%\""));
}

#[test]
fn a_group_that_nothing_names_is_no_contradiction() {
    fine("[[group]]\nname = \"spare\"\nvm = \"x\"\n");
}

/// Plainly: does the word fit the pattern?
fn fits(pattern: &[u8], word: &[u8]) -> bool {
    match pattern.split_first() {
        None => word.is_empty(),
        Some((b'*', rest)) => (0..=word.len()).any(|skip| fits(rest, &word[skip..])),
        Some((b'?', rest)) => !word.is_empty() && fits(rest, &word[1..]),
        Some((letter, rest)) => word.first() == Some(letter) && fits(rest, &word[1..]),
    }
}

/// Patterns for names, and patterns for tags.
type Patterns = (Vec<String>, Vec<String>);

fn selects((names, tags): &Patterns, name: &str, words: &[&str]) -> bool {
    let by_name = names.iter().any(|pattern| fits(pattern.as_bytes(), name.as_bytes()));
    let by_tag = tags.iter().any(|pattern| words.iter().any(|word| fits(pattern.as_bytes(), word.as_bytes())));
    (names.is_empty() || by_name) && (tags.is_empty() || by_tag) && !(names.is_empty() && tags.is_empty())
}

fn keys(thing: &str, (names, tags): &Patterns) -> String {
    let line = |key: String, texts: &Vec<String>| match texts.is_empty() {
        true => String::new(),
        false => format!("{key} = {texts:?}\n"),
    };
    line(thing.to_owned(), names) + &line(format!("{thing}_tag"), tags)
}

fn patterns() -> impl Strategy<Value = Patterns> {
    let list = |least| prop::collection::vec("[ab*?]{1,3}", least..3);
    prop_oneof![(list(1), list(0)), (list(0), list(1))]
}

const WORDS: [&str; 9] = ["a", "b", "ab", "ba", "aa", "aab", "bba", "z", "abab"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// A rank is said never to count only if whatever VM there may be, an earlier rule gives it another.
    #[test]
    fn what_is_said_never_to_count_never_does(first in patterns(), second in patterns()) {
        let rank = |of: &Patterns| format!("kind = \"priority\"\nrank = 1\n{}", keys("vm", of));
        if Policy::parse(&rules(&rank(&first), &rank(&second)), "ulm.toml").is_err() {
            for name in WORDS {
                for (one, other) in WORDS.iter().flat_map(|one| WORDS.map(|other| (one, other))) {
                    let tags = [*one, other];
                    prop_assert!(!selects(&second, name, &tags) || selects(&first, name, &tags), "{name} {tags:?}");
                }
            }
        }
    }

    /// Two pins are said to contradict each other only if no host is good for both, and some VM is meant by both.
    #[test]
    fn pins_that_are_said_to_contradict_each_other_do(
        vms in (patterns(), patterns()),
        hosts in (patterns(), patterns()),
    ) {
        let pin = |vms: &Patterns, hosts: &Patterns| format!("kind = \"pin\"\n{}{}", keys("vm", vms), keys("host", hosts));
        if Policy::parse(&rules(&pin(&vms.0, &hosts.0), &pin(&vms.1, &hosts.1)), "ulm.toml").is_err() {
            for name in WORDS {
                prop_assert!(!(selects(&hosts.0, name, &WORDS) && selects(&hosts.1, name, &WORDS)), "{name}");
            }
            // Each letter that a pattern leaves open may be any.
            let named = |of: &Patterns| of.0.iter().map(|name| name.replace('*', "").replace('?', "a")).collect::<Vec<_>>();
            let names: Vec<String> = named(&vms.0).into_iter().chain(named(&vms.1)).chain([String::new()]).collect();
            let tags: Vec<String> = [&vms.0, &vms.1].into_iter().flat_map(|of| of.1.iter().map(|tag| tag.replace('*', "").replace('?', "a"))).collect();
            let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
            prop_assert!(names.iter().any(|name| selects(&vms.0, name, &tags) && selects(&vms.1, name, &tags)));
        }
    }
}
