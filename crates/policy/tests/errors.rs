//! What people see when their policy file is wrong.

use ulm_policy::Policy;

fn complaint(text: &str) -> String {
    Policy::parse(text, "ulm.toml").expect_err("this file is wrong").to_string()
}

#[test]
fn a_misspelt_key_is_told_with_the_nearest_known_one() {
    insta::assert_snapshot!(complaint("[hotspot]\ncpu = \"75%\"\nmemroy = \"90%\"\n"));
}

#[test]
fn a_bare_number_is_refused_where_a_unit_belongs() {
    insta::assert_snapshot!(complaint(
        "[observe]\ninterval = 15\n\n[hotspot]\ncpu = 0.75\n\n[capacity]\nmemory_reserve = \"512MB\"\n"
    ));
}

#[test]
fn broken_toml_is_told_with_its_place() {
    insta::assert_snapshot!(complaint("[hotspot]\ncpu = \"75%\nmemory = \"90%\"\n"));
}

#[test]
fn values_that_contradict_each_other_are_told() {
    insta::assert_snapshot!(complaint("[hotspot]\nabove = 20\nof = 16\nmargin = \"80%\"\n"));
}

#[test]
fn a_rule_that_does_not_say_whom_it_is_about_is_told() {
    insta::assert_snapshot!(complaint(
        "[[rule]]\nname = \"db\"\nkind = \"pin\"\nvm = \"db-*\"\n\n[[rule]]\nkind = \"exlude\"\nvm = \"x\"\n"
    ));
}

#[test]
fn two_rules_of_one_name_are_told() {
    let rule = "[[rule]]\nname = \"a\"\nkind = \"exclude\"\nvm = \"x\"\n";
    insta::assert_snapshot!(complaint(&format!("{rule}{rule}")));
}

#[test]
fn a_section_that_is_a_value_is_told() {
    insta::assert_snapshot!(complaint("hotspot = 3\nrule = \"x\"\n"));
}

#[test]
fn a_place_after_letters_beyond_ascii_is_counted_in_characters() {
    let error = Policy::parse("[hotspot]\n\"müh\" = 1\n", "ulm.toml").unwrap_err();
    assert_eq!((error.problems[0].line, error.problems[0].column), (2, 1));
    let error = Policy::parse("rule = [\"ü\", \"ü\"]\n", "ulm.toml").unwrap_err();
    assert_eq!((error.problems[1].line, error.problems[1].column), (1, 14));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Policy::load(std::path::Path::new("/nonexistent/ulm.toml")).unwrap_err().to_string();
    assert!(error.starts_with("error: the policy file /nonexistent/ulm.toml cannot be read: "), "{error}");
}

#[test]
fn a_file_that_is_not_text_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ulm.toml");
    std::fs::write(&path, b"[hotspot]\n\xff\xfe").unwrap();
    let error = Policy::load(&path).unwrap_err().to_string();
    assert!(error.ends_with("byte 10 is not UTF-8: save the file as UTF-8 text"), "{error}");
}
